/* The details of one frontend, backend or server: charts of five minutes, facts, what happened to it. */
const CHARTS = {
  f: [['Sessions', 'sessions', whole], ['New sessions', 'fresh', rated(perSecond)], ['From clients', 'in', rated(bytes)], ['To clients', 'out', rated(bytes)]],
  b: [['Clients that wait', 'waiting', whole], ['Sessions', 'sessions', whole], ['New sessions', 'fresh', rated(perSecond)], ['To its servers', 'in', rated(bytes)], ['From its servers', 'out', rated(bytes)], ['Slowest probe', 'probe', millis]],
  s: [['Sessions', 'sessions', whole], ['New sessions', 'fresh', rated(perSecond)], ['To it', 'in', rated(bytes)], ['From it', 'out', rated(bytes)], ['Behind', 'lag', bytes], ['Probe', 'probe', millis]],
};
/* [key, label, how to say it]; what a router does not tell is left out. */
const yes = x => x ? 'yes' : 'no';
const FACTS = {
  f: [['route', 'Route'], ['max_sessions', 'Sessions at most', x => x ? n(x) : 'no limit'], ['sessions_max', 'The most so far', n], ['rate_max', 'New in a second, the most', n], ['sessions_total', 'Sessions ever', n], ['held', 'Of them waited', n], ['left_waiting', 'Left while waiting', n],
    ['idle_closed', 'Closed idle', n], ['bytes_in', 'From clients', bytes], ['bytes_out', 'To clients', bytes], ['denied', 'Denied by address', n], ['refused_sessions', 'Refused: too many', n],
    ['refused_rate', 'Refused: too fast', n], ['refused_queue', 'Refused: waited', n], ['refused_connect', 'Refused: no server', n], ['refused_login', 'Refused: login', n], ['refused_proxy', 'Refused: PROXY', n], ['refused_hello', 'Refused: TLS hello', n],
    ['tls_handshakes', 'TLS handshakes', n], ['tls_resumed', 'TLS resumed', n], ['tls_failed', 'TLS failed', n]],
  b: [['protocol', 'Protocol'], ['primary', 'Primary'], ['verdict', 'Verdict'], ['waiting', 'Clients that wait', n], ['queue_limit', 'May wait', n], ['waiting_max', 'The most that waited', n], ['elections', 'Elections', n], ['fences', 'Fences', n], ['changed_ms', 'Like this for', span], ['held_ms', 'Held for', x => x ? span(x) : 'nothing is held']],
  s: [['state', 'State'], ['changed_ms', 'Like this for', span], ['down_ms', 'Down in all', span], ['falls', 'Went down', n], ['role', 'Role'], ['access', 'Access'], ['admin', 'Operator says'], ['max_connections', 'Connections at most', x => x ? n(x) : 'no limit'], ['weight', 'Weight', n], ['backup', 'Backup', yes],
    ['sessions_max', 'The most so far', n], ['last_session_ms', 'Last session', ago], ['sessions_total', 'Sessions ever', n], ['bytes_in', 'To it', bytes], ['bytes_out', 'From it', bytes], ['lag_bytes', 'Behind', bytes], ['behind_ms', 'Behind, in time', span], ['offset', 'Offset', n],
    ['latency_us', 'Probe takes', x => millis(x / 1000)], ['probe_age_ms', 'Probed', ago], ['failures', 'Probes failed in a row', n], ['connect_errors', 'Connects failed', n], ['retries', 'Went elsewhere', n],
    ['sessions_fenced', 'Sessions fenced', n], ['role_errors', 'Role errors seen', n], ['tls_handshakes', 'TLS handshakes', n], ['tls_resumed', 'TLS resumed', n], ['patroni_leader', 'Patroni’s leader', yes]],
};
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
  const dialog = $('details'), parts = build(make('div'), [['head', 'header', '', [['text', 'div', '', [['name', 'h2'], ['sub', 'p', 'soft']]]]], ['why', 'p', 'because'], ['charts', 'div', 'charts'], ['facts', 'dl', 'facts'], ['past', 'div', '', [['title', 'h3'], ['events', 'ol', 'events']]]]);
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
    const unknown = key === 'lag' && lagOf(x) == null;
    show(chart, !unknown);
    if (!unknown) chart.fill(t && t.series[key], key === 'lag' ? lagUnit(x) : undefined);
  }
  sync(p.facts, FACTS[kind].filter(f => x[f[0]] != null), f => f[0], f => make('div', '', make('dt', '', f[1]), make('dd')), (div, f) => say(div.lastChild, String(f[2] ? f[2](x[f[0]]) : x[f[0]])));
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
