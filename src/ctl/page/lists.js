/* Figures, changes of the primary, certificates, events. */
const FIGURES = [
  ['Sessions', 'sessions', (v, s) => [n(s.router.sessions), 'of ' + n(s.router.max_sessions)]],
  ['New sessions', 'fresh', (v, s) => [known(v, rated(perSecond)), s.router.rate_max ? 'at most ' + n(s.router.rate_max) : '']],
  ['From clients', 'in', v => [known(v, rated(bytes)), '']],
  ['To clients', 'out', v => [known(v, rated(bytes)), '']],
  ['Waiting', 'waiting', v => [known(v, whole), '']],
  ['Slowest probe', 'probe', v => [known(v, millis), '']],
];
function fillFigures(s) {
  const t = thing('r', '');
  sync($('figures'), FIGURES, f => f[0], f => {
    const div = build(make('div'), [['label', 'dt'], ['value', 'dd', '', [['now', 'span'], ['unit', 'small']]]]);
    div.spark = makeSpark(KEEP);
    div.append(make('dd', '', div.spark));
    say(div.p.label, f[0]);
    return div;
  }, (div, f) => {
    const [now, unit] = f[2](t.series[f[1]][head], s);
    say(div.p.now, now);
    say(div.p.unit, unit && ' ' + unit);
    dress(div.p.now, f[1] === 'waiting' && t.series.waiting[head] > 0 ? 'warn-ink' : '');
    div.spark.fill(t.series[f[1]]);
  });
}

function makeTime(iso) {
  const at = new Date(iso), today = at.toDateString() === new Date().toDateString(), time = make('time');
  const when = (today ? '' : at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) + ' ') + clock(at);
  time.dateTime = time.title = iso;
  time.fill = (now = Date.now()) => say(time, when + (now - at < 3600000 ? ' · ' + ago(now - at) : ''));
  time.fill();
  return time;
}

/* The flight recorder: detected is nought, each step is told by when it was and what it took. */
const STEPS = ['elected', 'fenced', 'published', 'written'];
const STEP_WORD = { elected: 'elected', fenced: 'fenced', published: 'published', written: 'first write' };
function gapOf(c, newest) {
  if (c.written_ms != null) return ['first write after ' + took(c.written_ms), 'badge good'];
  if (c.published_ms != null) return newest ? ['no write yet', 'badge cool'] : ['nobody wrote', 'badge'];
  return newest ? ['writes wait', 'badge warn'] : ['nobody came', 'badge'];
}
function makeChange(c) {
  const li = build(make('li'), [['who', 'p', '', [['backend', 'b'], ['what', 'span']]], ['gap', 'span', 'badge'], ['because', 'p', 'because'], ['line', 'div', 'line', [['bar', 'p', 'bar'], ['steps', 'p', 'steps'], ['counts', 'p', 'soft']]], ['more', 'details', '', [['open', 'summary'], ['claims', 'ul']]]]);
  li.p.time = makeTime(c.at);
  li.prepend(li.p.time);
  li.p.bar.setAttribute('aria-hidden', 'true');
  say(li.p.backend, c.backend + ' ');
  say(li.p.open, 'Who said what');
  return li;
}
function fillChange(li, c, newest) {
  const p = li.p, [gap, cls] = gapOf(c, newest), steps = STEPS.filter(k => c[k + '_ms'] != null).sort((a, b) => c[a + '_ms'] - c[b + '_ms']);
  const before = k => steps.indexOf(k) > 0 ? c[steps[steps.indexOf(k) - 1] + '_ms'] : 0, took1 = k => c[k + '_ms'] - before(k);
  p.time.fill();
  say(p.what, c.from === c.to && c.to ? c.to + ' stays' : (c.from || 'nobody') + ' → ' + (c.to || 'nobody yet'));
  say(p.gap, gap);
  dress(p.gap, cls);
  show(p.bar, steps.length > 0);
  sync(p.bar, steps, k => k, k => make('i', k), (i, k) => { const grow = String(took1(k)); if (i.style.flexGrow !== grow) i.style.flexGrow = grow; });
  sync(p.steps, [null, ...steps], k => k, k => make('span', k || ''), (node, k) =>
    say(node, k === null ? 'detected ' + clock(new Date(c.at)) : STEP_WORD[k] + ' ' + took(c[k + '_ms']) + (before(k) > 0 && took1(k) > 0 ? ' (+' + took(took1(k)) + ')' : '')));
  say(p.counts, plural(c.held, 'session waited', 'sessions waited') + ', ' + n(c.closed) + (c.closed === 1 ? ' was closed' : ' were closed'));
  say(p.because, sentence(c.evidence));
  sync(p.claims, (c.claims || '').split('; ').map((claim, i) => [i, claim]), x => x[0], () => make('li'), (claim, x) => say(claim, x[1]));
}
/* Its first few, or all of it once the button was pressed or something is searched for. */
function few(button, list, count) {
  show(button, list.length > count && !sought.length);
  say(button, button.all ? 'Show fewer' : 'Show all ' + n(list.length));
  button.onclick = () => { button.all = !button.all; render(latest); };
  return button.all || sought.length ? list : list.slice(0, count);
}
build($('strip'), [['from', 'span'], ['marks', 'span', 'marks'], ['now', 'span']]).p.now.append('now');
/* When they were, on one line from the oldest, or an hour ago, until now. */
function fillStrip(list) {
  const now = Date.now(), from = Math.min(now - 3600000, ...list.map(c => Date.parse(c.at)).filter(at => at === at)), p = $('strip').p;
  say(p.from, ago(now - from));
  sync(p.marks, list, c => c.number, c => { const mark = make('i'); mark.title = c.backend + ': ' + c.at; return mark; }, (mark, c) => {
    const left = (100 * (Date.parse(c.at) - from) / (now - from)).toFixed(1) + '%';
    if (mark.style.left !== left) mark.style.left = left;
    dress(mark, c.written_ms != null ? 'written' : 'elected');
  });
}
function fillChanges(s, wanted) {
  const list = s.changes.filter(wanted.change);
  fillStrip(list);
  show($('changes-section'), list.length > 0);
  sync($('changes'), few($('more-changes'), list, 5), c => c.number, makeChange, (li, c) => fillChange(li, c, c === s.changes.find(x => x.backend === c.backend)));
}

function makeCertificate() {
  return build(make('li'), [['who', 'p', '', [['names', 'b'], ['file', 'small', 'mono']]], ['of', 'span', 'soft'], ['left', 'p', '', [['days', 'span'], ['life', 'meter'], ['until', 'small']]], ['problem', 'p']]);
}
function fillCertificate(li, c) {
  const p = li.p, from = Date.parse(c.not_before), to = Date.parse(c.not_after), colour = WRONG.has(c.validity) ? 'bad-ink' : c.validity === 'soon' ? 'warn-ink' : '';
  const left = Math.max(0, Math.min(1, (to - Date.now()) / (to - from) || 0)).toFixed(3);
  say(p.names, c.names.join(', ') || 'nobody');
  say(p.file, c.file);
  say(p.of, c.kind + ' ' + c.owner);
  say(p.days, c.days_left < 0 ? 'expired' : plural(c.days_left, 'day', 'days') + ' left');
  dress(p.days, colour);
  p.life.low = .1;
  p.life.optimum = 1;
  set(p.life, 'value', left);
  set(p.life, 'aria-label', 'Left of its life: ' + Math.round(left * 100) + ' %');
  say(p.until, new Date(to).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' }));
  say(p.problem, c.problem || '');
  dress(p.problem, colour);
}
function fillTls(s, wanted) {
  const owned = kind => x => (x.tls ? x.tls.certificates : []).map(c => ({ ...c, kind, owner: x.name }));
  const list = [...s.frontends.flatMap(owned('frontend')), ...s.backends.flatMap(owned('backend'))].filter(wanted.certificate);
  show($('tls-section'), list.length > 0 || s.frontends.some(f => f.tls && wanted.door(f)));
  sync($('certificates'), list, c => c.kind + '/' + c.owner + '/' + c.file, makeCertificate, fillCertificate);
  sync($('shakes'), s.frontends.filter(f => f.tls && wanted.door(f)), f => f.name, f => make('li', '', make('b', '', f.name), make('span'), make('span')), (li, f) => {
    const [, done, failed] = li.childNodes, resumed = Math.floor(100 * f.tls_resumed / f.tls_handshakes) + ' % resumed';
    say(done, f.tls_handshakes ? known(thing('f', f.name).rate.shakes, rated(perSecond)) + ' handshakes · ' + n(f.tls_handshakes) + ' ever, ' + resumed : 'no handshake yet');
    say(failed, n(f.tls_failed) + ' failed');
    dress(failed, f.tls_failed ? 'warn-ink' : 'soft');
  });
}

const EVENT = { primary: 'good', written: 'good', hold: 'warn', fence: 'warn', contested: 'bad', nobody: 'bad', server: 'cool' };
function fillEvents(s, wanted) {
  const list = s.events.filter(wanted.event);
  show($('no-events'), list.length === 0);
  say($('no-events'), s.events.length ? 'No event is like that.' : 'Nothing has happened yet.');
  sync($('events'), few($('more'), list, 20), e => e.number, e => {
    const kind = make('span', '', make('span', 'badge ' + (EVENT[e.kind] || ''), e.kind));
    return make('li', '', makeTime(e.at), kind, make('p', '', ...(e.backend ? [make('b', '', e.backend), ' '] : []), e.text));
  }, li => li.firstChild.fill());
}
