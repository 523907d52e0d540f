/* The details of one frontend, backend or server: charts of five minutes, facts, what happened to it. */
const CHARTS = {
  f: [['Sessions', 'sessions', whole], ['New sessions', 'fresh', rated(perSecond)], ['From clients', 'in', rated(bytes)], ['To clients', 'out', rated(bytes)]],
  b: [['Clients that wait', 'waiting', whole], ['Sessions', 'sessions', whole], ['Pooled connections', 'links', whole], ['Commands', 'commands', rated(perSecond)], ['Logins', 'logins', rated(perSecond)], ['New sessions', 'fresh', rated(perSecond)], ['To its servers', 'in', rated(bytes)], ['From its servers', 'out', rated(bytes)], ['Slowest probe', 'probe', millis]],
  s: [['Sessions', 'sessions', whole], ['New sessions', 'fresh', rated(perSecond)], ['To it', 'in', rated(bytes)], ['From it', 'out', rated(bytes)], ['Behind', 'lag', bytes], ['Probe', 'probe', millis]],
};
/* Whatever else the router tells, by the names of /stats.json and in the units that they end in. */
const TOLD = new Set(['name', 'address', 'reason', 'kind', 'backend']);
const AGO = new Set(['changed_ms', 'last_session_ms', 'probe_age_ms']);
function factsOf(x) {
  return Object.entries(x).filter(([key, v]) => !TOLD.has(key) && v != null && v !== '' && typeof v !== 'object').map(([key, v]) => {
    const label = key.replace(/_(ms|us)$/, '').replace(/_/g, ' ').replace('tls', 'TLS');
    if (typeof v !== 'number') return [key, label, v === true ? 'yes' : v === false ? 'no' : v];
    if (v === 0) return [key, label, key.startsWith('max_') ? 'no limit' : null];
    const unit = key.includes('bytes') ? bytes : AGO.has(key) ? ago : key.endsWith('_ms') ? span : key.endsWith('_us') ? us => took(us / 1000) : n;
    return [key, label, unit(v)];
  });
}
/* Charts that only some have. */
const POOLED = { links: x => x.pool, commands: x => x.pool && !isOfLogins(x), logins: isOfLogins };
const WHAT = { f: 'Frontend', b: 'Backend', s: 'Server' };
let subject = null;

function find(s, { kind, name, backend }) {
  if (kind === 'f') return s.frontends.find(f => f.name === name);
  const b = s.backends.find(x => x.name === (kind === 'b' ? name : backend));
  return kind === 'b' || !b ? b : b.servers.find(v => v.name === name);
}
function makeChart([label, key, unit]) {
  const chart = build(make('div'), [['top', 'p', '', [['label', 'span', 'soft'], ['now', 'b']]]]);
  chart.spark = makeSpark(KEEP);
  chart.range = make('small');
  chart.append(chart.spark, chart.range);
  chart.fill = (series, say2 = unit) => {
    const values = series ? recent(series, KEEP).filter(v => v === v) : [], last = values.length ? values[values.length - 1] : null;
    const low = Math.min(...values), high = Math.max(...values);
    say(chart.p.label, label);
    say(chart.p.now, known(last, say2));
    say(chart.range, values.length ? low === high ? 'all the time' : `${say2(low)} to ${say2(high)}` : 'not known');
    chart.spark.fill(series);
  };
  return chart;
}
function makeDetails(kind) {
  const dialog = $('details'), parts = build(make('div'), [['head', 'header', '', [['text', 'div', '', [['name', 'h2'], ['sub', 'p', 'soft']]]]], ['why', 'p', 'because'], ['charts', 'div', 'charts'], ['facts', 'dl', 'facts'], ['noughts', 'p', 'soft'], ['past', 'div', '', [['title', 'h3'], ['events', 'ol', 'events']]]]);
  const p = dialog.p = parts.p, close = make('button', 'close', 'Close');
  p.name.id = 'd-name';
  p.name.tabIndex = -1;
  close.type = 'button';
  close.onclick = () => dialog.close();
  p.shape = makeShape();
  if (kind === 's') p.head.prepend(p.shape);
  p.head.append(close);
  say(p.title, 'Lately');
  p.list = CHARTS[kind].map(c => [c[1], makeChart(c)]);
  p.charts.append(...p.list.map(c => c[1]));
  dialog.replaceChildren(parts);
}
function fillDetails(s) {
  if (!$('details').open) return;
  const x = find(s, subject), p = $('details').p, kind = subject.kind;
  say(p.name, subject.name);
  if (!x) { say(p.why, 'It is not there any more.'); return; }
  say(p.sub, WHAT[kind] + (kind === 's' ? ' of ' + subject.backend + ', ' + x.address + ': ' + [KINDS[x.kind][0], beside(x.kind, x)].filter(Boolean).join(', ') : kind === 'f' ? ' ' + x.binds.join(', ') + ', to ' + x.backends.join(', ') : ''));
  if (kind === 's') p.shape.fill(x.kind);
  say(p.why, sentence(x.reason));
  const t = thing(kind, subject.name, subject.backend);
  for (const [key, chart] of p.list) {
    const unknown = key === 'lag' ? lagOf(x) == null : POOLED[key] != null && !POOLED[key](x);
    show(chart, !unknown);
    if (!unknown) chart.fill(t && t.series[key], key === 'lag' ? lagUnit(x) : undefined);
  }
  const facts = factsOf(x), noughts = facts.filter(f => f[2] === null).map(f => f[1]);
  say(p.noughts, noughts.length ? 'Nought: ' + noughts.join(', ') : '');
  sync(p.facts, facts.filter(f => f[2] !== null), f => f[0], f => make('div', '', make('dt', '', f[1]), make('dd')), (div, f) => say(div.lastChild, f[2]));
  const words = e => e.backend === (kind === 's' ? subject.backend : subject.name) && (kind === 'b' || e.text.split(/[^\w.:-]+/).includes(subject.name));
  const past = s.events.filter(words).slice(0, 8);
  show(p.past, past.length > 0);
  sync(p.events, past, e => e.number, e => make('li', '', makeTime(e.at), make('p', '', e.text)), li => li.firstChild.fill());
}
function openDetails(node) {
  const dialog = $('details');
  subject = node.subject;
  makeDetails(subject.kind);
  dialog.showModal();
  fillDetails(latest);
  dialog.p.name.focus();
}
/* A press beside the dialog closes it, as Escape does. */
$('details').addEventListener('click', e => { if (e.target === $('details')) $('details').close(); });
