'use strict';
const PERIOD = 1000, PATIENCE = 4000, WINDOW = 5000, FEW_EVENTS = 25, FEW_CHANGES = 5;
const $ = id => document.getElementById(id);

/* Words and numbers */
const number = new Intl.NumberFormat('en');
const n = x => number.format(x);
const decimals = x => x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
const plural = (x, one, many) => n(x) + ' ' + (x === 1 ? one : many);
function bytes(x) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let u = 0;
  for (; x >= 999.5 && u < units.length - 1; u++) x /= 1000;
  return (u === 0 ? x.toFixed(0) : decimals(x)) + ' ' + units[u];
}
function span(ms) {
  const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (d > 0) return d + ' d ' + h % 24 + ' h';
  if (h > 0) return h + ' h ' + m % 60 + ' min';
  if (m > 0) return m + ' min ' + s % 60 + ' s';
  return ms < 10000 ? (ms / 1000).toFixed(1) + ' s' : s + ' s';
}
function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return s + ' s ago';
  return s < 3600 ? Math.floor(s / 60) + ' min ago' : s < 86400 ? Math.floor(s / 3600) + ' h ago' : Math.floor(s / 86400) + ' d ago';
}
const clock = date => date.toLocaleTimeString('en-GB');
const per = (rate, unit) => rate === null ? '–' : unit(rate) + '/s';
const perSecond = x => x >= 10 || x === 0 ? x.toFixed(0) : x.toFixed(1);

/* Elements: made once, changed only where the text differs, so that nothing flickers */
function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}
function say(node, text) { if (node.textContent !== text) node.textContent = text; }
function dress(node, className) { if (node.className !== className) node.className = className; }
function show(node, on) { if (node.hidden === on) node.hidden = !on; }
function sync(parent, items, key, create, update) {
  const known = parent.known || (parent.known = new Map()), gone = new Set(known.keys());
  let at = parent.firstChild;
  for (const item of items) {
    const k = key(item);
    let node = known.get(k);
    if (!node) known.set(k, node = create(item));
    gone.delete(k);
    if (node === at) at = at.nextSibling; else parent.insertBefore(node, at);
    update(node, item);
  }
  for (const k of gone) { known.get(k).remove(); known.delete(k); }
}
/* columns: [label, class, parts of a cell, update(parts, item)] */
function makeTable(columns, caption) {
  const head = make('tr'), body = make('tbody');
  for (const [label, cls] of columns) { const th = make('th', cls, label); th.scope = 'col'; head.append(th); }
  const table = make('table', '', make('thead', '', head), body);
  table.setAttribute('aria-label', caption);
  table.fill = (items, key) => sync(body, items, key, () => {
    const row = make('tr');
    row.parts = columns.map(([label, cls, parts]) => {
      const cell = make('td', cls), inner = parts.map(([tag, c]) => make(tag, c));
      if (cls !== 'name') cell.dataset.label = label;
      cell.append(...inner);
      row.append(cell);
      return inner;
    });
    return row;
  }, (row, item) => columns.forEach(([, , , update], i) => update(row.parts[i], item)));
  return table;
}

/* Rates: differences over the last seconds, by the router's own clock */
const COUNTERS = ['sessions_total', 'bytes_in', 'bytes_out', 'tls_handshakes', 'tls_resumed'];
let history = [];
function remember(s) {
  const last = history[history.length - 1];
  if (last && (last.pid !== s.router.pid || last.at > s.router.uptime_ms)) history = [];
  const counters = new Map();
  const keep = (kind, owner, x) => COUNTERS.forEach(k => counters.set(kind + '/' + owner + '/' + x.name + '/' + k, x[k]));
  s.frontends.forEach(f => keep('f', '', f));
  s.backends.forEach(b => b.servers.forEach(v => keep('s', b.name, v)));
  history.push({ pid: s.router.pid, at: s.router.uptime_ms, counters });
  while (history.length > 2 && history[1].at < s.router.uptime_ms - WINDOW) history.shift();
}
function rate(kind, owner, name, key) {
  const a = history[0], b = history[history.length - 1], k = kind + '/' + owner + '/' + name + '/' + key;
  if (b.at <= a.at || !a.counters.has(k)) return null;
  return Math.max(0, b.counters.get(k) - a.counters.get(k)) * 1000 / (b.at - a.at);
}

/* [name, TLS] of all that has it */
const tlsOf = s => [...s.frontends, ...s.backends].filter(x => x.tls).map(x => [x.name, x.tls]);
const VALIDITY = { good: 'has a problem', soon: 'expires soon', expired: 'has expired', future: 'is not valid yet' };
const WRONG = new Set(['expired', 'future']);

/* What needs attention, the worst first: [level, what, why] */
function problemsOf(s) {
  const list = [], add = (level, what, why) => list.push([level, what, why]), rank = { bad: 0, warn: 1 };
  for (const b of s.backends) {
    const wait = b.waiting ? ' ' + plural(b.waiting, 'client waits.', 'clients wait.') : '';
    const open = b.servers.some(v => v.access === 'open');
    if (b.verdict === 'nobody') add('bad', b.name + ' has no primary', b.reason + '.' + wait);
    else if (b.verdict === 'contested') add('bad', b.name + ': who is primary is contested', b.reason + '.' + wait);
    else if (b.verdict === 'hold') add('warn', 'Writes to ' + b.name + ' wait', b.reason + '.' + wait);
    else if (!open) add('bad', b.name + ' has no server', b.reason + '.' + wait);
    else if (b.waiting) add('warn', b.name + ': ' + plural(b.waiting, 'client waits', 'clients wait'), 'Of at most ' + n(b.queue_limit) + '.');
    if (b.stale) add('warn', b.name + ': the primary cannot be asked', b.reason + '.');
    for (const v of b.sentinels) if (!v.heard) add('warn', 'A Sentinel of ' + b.name + ' is not heard', v.address + ': ' + v.why + '.');
    for (const v of b.servers) {
      if (v.name === b.primary && b.verdict !== 'primary') continue; /* told above */
      if (v.state === 'down') add('warn', v.name + ' of ' + b.name + ' is down', v.reason);
      else if (v.state === 'stale' && v.name !== b.primary) add('warn', v.name + ' of ' + b.name + ' cannot be asked', v.reason);
      else if (v.state === 'unknown') add('warn', v.name + ' of ' + b.name + ' has not answered yet', v.reason);
      else if (v.access !== 'open' && b.verdict === 'primary') add('warn', v.name + ' of ' + b.name + ' gets no new sessions', v.reason);
    }
  }
  for (const f of s.frontends) {
    const own = s.backends.filter(b => f.backends.includes(b.name));
    const explained = own.some(b => b.verdict === null ? !b.servers.some(v => v.access === 'open') : b.verdict !== 'primary');
    if (!f.has_server && !explained) add('bad', f.name + ' has no server', 'No server of ' + f.backends.join(' or ') + ' may serve the route ' + f.route + '.');
    if (f.max_sessions && f.sessions >= f.max_sessions) add('warn', f.name + ' is full', n(f.sessions) + ' sessions, as many as it may have.');
  }
  for (const [name, tls] of tlsOf(s)) {
    if (tls.problem) add('warn', 'TLS of ' + name + ' needs attention', tls.problem[0].toUpperCase() + tls.problem.slice(1) + '.');
    for (const c of tls.certificates) if (c.problem) add(WRONG.has(c.validity) ? 'bad' : 'warn', 'A certificate of ' + name + ' ' + VALIDITY[c.validity], c.file + ' (' + c.names.join(', ') + '): ' + c.problem + '.');
  }
  if (s.router.draining) add('warn', 'This router is draining', 'It takes no new sessions and ends with the last one.');
  else if (!s.router.ready) add('warn', 'This router is not ready yet', 'The first election round is not over.');
  return list.sort((a, b) => rank[a[0]] - rank[b[0]]);
}

const ICON = { good: '%231b9a5c', warn: '%23d99000', bad: '%23d0312d', lost: '%23888888' };
function judge(level, headline, why, others) {
  dress($('verdict'), 'verdict is-' + level);
  say($('headline'), headline);
  say($('why'), why);
  show($('why'), why !== '');
  show($('problems'), others.length > 0);
  sync($('problems'), others, p => p[1], () => { const b = make('b'), t = make('span'), li = make('li', '', b, ' ', t); li.parts = [b, t]; return li; },
    (li, p) => { say(li.parts[0], p[1] + '.'); say(li.parts[1], p[2]); });
  const icon = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='" + (ICON[level] || ICON.lost) + "'/></svg>";
  if ($('icon').href !== icon) $('icon').href = icon;
  const title = (level === 'good' ? '' : headline + ' · ') + 'router';
  if (document.title !== title) document.title = title;
}

/* The parts of the page */
const ACCESS = { open: '', pause: 'sessions paused', quiet: 'no new sessions', drain: 'draining', none: 'gets no sessions' };
const ROLE = { primary: ['Primary', 'badge good'], replica: ['Replica', 'badge cool'], unknown: ['Unknown', 'badge'] };
const STATE = { up: 'good-ink', stale: 'warn-ink', down: 'bad-ink', unknown: 'soft' };
const VERDICT = { primary: ['writes flow', 'badge good'], hold: ['writes wait', 'badge warn'], contested: ['contested', 'badge bad'], nobody: ['no primary', 'badge bad'] };
function sessions(now, max) { return n(now) + (max ? ' of ' + n(max) : ''); }

function serverTable(backend) {
  const hasRoles = backend.verdict !== null;
  const columns = [
    ['Server', 'name', [['b'], ['small', 'mono']], ([b, a], v) => { say(b, v.name); say(a, v.address + (v.backup ? ' · backup' : '')); }],
    ['Role', '', [['span'], ['small']], ([r, p], v) => { say(p, v.patroni_leader === null ? '' : 'Patroni: ' + (v.patroni_leader ? 'leader' : 'not leader')); say(r, ROLE[v.role][0]); dress(r, v.role === 'primary' && v.state !== 'up' ? 'badge warn' : ROLE[v.role][1]); }],
    ['State', 'state', [['span'], ['small']], ([s, a], v) => { say(s, v.state); dress(s, STATE[v.state]); say(a, ACCESS[v.access]); }],
    ['Sessions', 'num', [['span'], ['small']], ([s, r], v) => { say(s, sessions(v.sessions, v.max_connections)); say(r, per(rate('s', backend.name, v.name, 'sessions_total'), perSecond) + ' new'); }],
    ['To it', 'num', [['span'], ['small']], ([r, t], v) => { say(r, per(rate('s', backend.name, v.name, 'bytes_in'), bytes)); say(t, bytes(v.bytes_in)); }],
    ['From it', 'num', [['span'], ['small']], ([r, t], v) => { say(r, per(rate('s', backend.name, v.name, 'bytes_out'), bytes)); say(t, bytes(v.bytes_out)); }],
    ['Behind', 'num', [['span']], ([l], v) => say(l, v.lag_bytes === null ? '–' : v.lag_bytes === 0 ? 'nothing' : bytes(v.lag_bytes))],
    ['Probe', 'num', [['span'], ['small']], ([l, a], v) => { say(l, v.failures ? plural(v.failures, 'failure', 'failures') : v.latency_us === null ? '–' : decimals(v.latency_us / 1000) + ' ms'); say(a, v.probe_age_ms === null ? '' : ago(v.probe_age_ms)); }],
    ['Why', 'note', [['span']], ([w], v) => say(w, v.reason)],
  ];
  const table = makeTable(hasRoles ? columns : columns.filter(c => c[0] !== 'Role' && c[0] !== 'Behind'), 'Servers of ' + backend.name);
  dress(table, hasRoles ? 'roles' : '');
  return table;
}

function makeBackend(b) {
  const p = {
    title: make('h3', '', b.name), protocol: make('span', 'soft', 'speaks ' + b.protocol), badge: make('span', 'badge'), queue: make('span', 'queue'),
    label: make('p', 'label', b.verdict === null ? 'Servers that take new sessions' : 'Primary'), name: make('span'), address: make('span', 'mono'), reason: make('p', 'reason'),
    table: serverTable(b), sentinels: make('ul', 'sentinels'),
  };
  const head = make('div', 'head', p.title, p.protocol, p.badge, p.queue);
  const card = make('section', 'card', head, make('div', 'lead', p.label, make('p', 'who', p.name, p.address), p.reason), p.table, p.sentinels);
  card.setAttribute('aria-label', 'Backend ' + b.name);
  card.parts = p;
  return card;
}
function fillBackend(card, b) {
  const p = card.parts, primary = b.servers.find(v => v.name === b.primary);
  const open = b.servers.filter(v => v.access === 'open').length;
  const [word, cls] = b.verdict === null ? [open ? 'serving' : 'no server', open ? 'badge good' : 'badge bad'] : VERDICT[b.verdict];
  say(p.badge, b.stale && b.verdict === 'primary' ? 'writes flow, unasked' : word);
  dress(p.badge, b.stale && b.verdict === 'primary' ? 'badge warn' : cls);
  say(p.name, b.verdict === null ? n(open) + ' of ' + n(b.servers.length) : b.primary || 'none');
  say(p.address, primary ? primary.address : '');
  say(p.reason, b.verdict === null ? '' : b.reason);
  const held = b.held_ms ? ' · writes held for ' + span(b.held_ms) : '';
  say(p.queue, (b.waiting ? n(b.waiting) + ' of at most ' + n(b.queue_limit) + ' clients wait' : 'nobody waits') + held);
  dress(p.queue, b.waiting || b.held_ms ? 'queue warn-ink' : 'queue');
  p.table.fill(b.servers, v => v.name);
  show(p.sentinels, b.sentinels.length > 0);
  const heard = b.sentinels.filter(v => v.heard).length;
  sync(p.sentinels, [null, ...b.sentinels], v => v && v.address, v => make('li', v ? '' : 'soft', make('span', v ? 'mono' : ''), make('span')), (li, v) => {
    const [who, what] = li.childNodes;
    say(who, v ? v.address : 'Sentinels: ' + n(heard) + ' of ' + n(b.sentinels.length) + ' heard');
    if (v) say(what, v.heard ? (v.names ? 'names ' + v.names : 'names nobody') + (v.subscribed ? '' : ', tells no news') + (v.why ? ' (' + v.why + ')' : '') : 'not heard: ' + v.why);
    if (v) dress(what, v.heard && v.names ? '' : 'warn-ink');
  });
}

const refused = f => f.refused_sessions + f.refused_rate + f.refused_queue + f.refused_connect + f.refused_proxy + f.refused_hello + f.denied;
const frontendTable = makeTable([
  ['Frontend', 'name', [['b'], ['small', 'mono']], ([b, a], f) => { say(b, f.name); say(a, f.binds.join('  ')); }],
  ['Goes to', '', [['span'], ['small']], ([b, r], f) => { say(b, f.backends.join(', ')); say(r, f.route === 'any' ? 'any server' : f.route); }],
  ['Sessions', 'num', [['span'], ['small']], ([s, r], f) => { say(s, sessions(f.sessions, f.max_sessions)); say(r, per(rate('f', '', f.name, 'sessions_total'), perSecond) + ' new'); }],
  ['From clients', 'num', [['span'], ['small']], ([r, t], f) => { say(r, per(rate('f', '', f.name, 'bytes_in'), bytes)); say(t, bytes(f.bytes_in)); }],
  ['To clients', 'num', [['span'], ['small']], ([r, t], f) => { say(r, per(rate('f', '', f.name, 'bytes_out'), bytes)); say(t, bytes(f.bytes_out)); }],
  ['Ever', 'num', [['span'], ['small']], ([t, h], f) => { say(t, n(f.sessions_total)); say(h, n(f.held) + ' held'); }],
  ['Refused', 'num', [['span']], ([r], f) => { say(r, n(refused(f))); dress(r, refused(f) ? 'warn-ink' : ''); }],
], 'Frontends');
$('frontends').append(frontendTable);

const certificateTable = makeTable([
  ['Certificate', 'name', [['b'], ['small', 'mono']], ([b, a], c) => { say(b, c.names.join(', ') || 'nobody'); say(a, c.file); }],
  ['Of', '', [['span'], ['small']], ([o, k], c) => { say(o, c.owner); say(k, c.kind); }],
  ['Ends', 'num', [['span'], ['small']], ([d, t], c) => { say(d, c.days_left < 0 ? 'expired' : plural(c.days_left, 'day', 'days') + ' left'); dress(d, WRONG.has(c.validity) ? 'bad-ink' : c.validity === 'soon' ? 'warn-ink' : ''); say(t, new Date(c.not_after).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })); }],
  ['Problem', 'note', [['span']], ([w], c) => { say(w, c.problem || ''); dress(w, WRONG.has(c.validity) ? 'bad-ink' : 'warn-ink'); }],
], 'Certificates');
$('tls').prepend(certificateTable);
function fillTls(s) {
  const owned = kind => x => (x.tls ? x.tls.certificates : []).map(c => ({ ...c, kind, owner: x.name }));
  const list = [...s.frontends.flatMap(owned('frontend')), ...s.backends.flatMap(owned('backend'))];
  show($('tls-section'), s.frontends.some(f => f.tls) || list.length > 0);
  show(certificateTable, list.length > 0);
  certificateTable.fill(list, c => c.kind + '/' + c.owner + '/' + c.file);
  sync($('shakes'), s.frontends.filter(f => f.tls), f => f.name, f => make('li', '', make('b', '', f.name), make('span'), make('span')), (li, f) => {
    const [, done, failed] = li.childNodes, resumed = Math.floor(100 * f.tls_resumed / f.tls_handshakes) + ' % resumed';
    say(done, f.tls_handshakes ? per(rate('f', '', f.name, 'tls_handshakes'), perSecond) + ' handshakes · ' + n(f.tls_handshakes) + ' ever, ' + resumed : 'no handshake yet');
    say(failed, n(f.tls_failed) + ' failed');
    dress(failed, f.tls_failed ? 'warn-ink' : 'soft');
  });
}

function fillFigures(s) {
  const sum = key => s.frontends.reduce((total, f) => { const r = rate('f', '', f.name, key); return r === null ? total : (total || 0) + r; }, null);
  const figures = [
    ['Sessions', n(s.router.sessions), 'of ' + n(s.router.max_sessions)],
    ['New sessions', per(sum('sessions_total'), perSecond), ''],
    ['From clients', per(sum('bytes_in'), bytes), ''],
    ['To clients', per(sum('bytes_out'), bytes), ''],
    ['Waiting', n(s.backends.reduce((t, b) => t + b.waiting, 0)), ''],
  ];
  sync($('figures'), figures, f => f[0], f => { const v = make('span'), u = make('small'), d = make('div', '', make('dt', '', f[0]), make('dd', '', v, ' ', u)); d.parts = [v, u]; return d; },
    (d, f) => { say(d.parts[0], f[1]); say(d.parts[1], f[2]); });
}

function makeTime(iso) {
  const at = new Date(iso), today = at.toDateString() === new Date().toDateString(), time = make('time');
  const when = (today ? '' : at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) + ' ') + clock(at);
  time.dateTime = time.title = iso;
  time.fill = (now = Date.now()) => say(time, when + (now - at < 3600000 ? ' · ' + ago(now - at) : ''));
  return time;
}

const took = ms => ms < 1000 ? decimals(ms) + ' ms' : (ms / 1000).toFixed(2) + ' s';
function gapOf(c, newest) {
  if (c.written_ms !== null) return ['first write after ' + took(c.written_ms), 'badge good'];
  if (c.published_ms !== null) return newest ? ['no write yet', 'badge cool'] : ['nobody wrote', 'badge'];
  return newest ? ['writes wait', 'badge warn'] : ['nobody came', 'badge'];
}
function makeChange(c) {
  const p = { time: makeTime(c.at), who: make('p', '', make('b', '', c.backend), ' ', make('span')), gap: make('span', 'badge'), bar: make('p', 'bar'), steps: make('p', 'steps'), counts: make('p', 'soft'), evidence: make('dd'), claims: make('dd') };
  p.bar.setAttribute('aria-hidden', 'true');
  const more = make('details', '', make('summary', '', 'Evidence and claims'), make('dl', '', make('dt', '', 'Evidence'), p.evidence, make('dt', '', 'Claims'), p.claims));
  const li = make('li', '', p.time, p.who, p.gap, make('div', 'line', p.bar, p.steps, p.counts), more);
  li.parts = p;
  return li;
}
function fillChange(li, c, newest) {
  const p = li.parts, [gap, cls] = gapOf(c, newest), known = ['elected', 'fenced', 'published', 'written'].filter(k => c[k + '_ms'] !== null).sort((a, b) => c[a + '_ms'] - c[b + '_ms']);
  const before = k => known.indexOf(k) > 0 ? c[known[known.indexOf(k) - 1] + '_ms'] : 0;
  p.time.fill();
  say(p.who.lastChild, c.from === c.to && c.to ? c.to + ' stays' : (c.from || 'nobody') + ' → ' + (c.to || 'nobody yet'));
  say(p.gap, gap);
  dress(p.gap, cls);
  sync(p.bar, known, k => k, k => make('i', k), (i, k) => { i.style.flexGrow = c[k + '_ms'] - before(k); });
  sync(p.steps, known, k => k, k => make('span', k), (span, k) => say(span, k + ' ' + took(c[k + '_ms'])));
  say(p.counts, plural(c.held, 'session waited', 'sessions waited') + ', ' + n(c.closed) + (c.closed === 1 ? ' was closed' : ' were closed'));
  say(p.evidence, c.evidence);
  sync(p.claims, c.claims.split('; ').map((claim, i) => [i, claim]), x => x[0], () => make('div'), (div, x) => say(div, x[1]));
}
/* Its first few, or all of it once the button was pressed */
function few(button, list, count) {
  show(button, list.length > count);
  say(button, button.all ? 'Show fewer' : 'Show all ' + n(list.length));
  button.onclick = () => { button.all = !button.all; render(latest); };
  return button.all ? list : list.slice(0, count);
}
function fillChanges(list) {
  show($('changes-section'), list.length > 0);
  sync($('changes'), few($('more-changes'), list, FEW_CHANGES), c => c.number, makeChange, (li, c) => fillChange(li, c, c === list.find(x => x.backend === c.backend)));
}

const KIND = { primary: 'badge good', written: 'badge good', hold: 'badge warn', fence: 'badge warn', contested: 'badge bad', nobody: 'badge bad', server: 'badge cool' };
function fillEvents(list) {
  show($('no-events'), list.length === 0);
  sync($('events'), few($('more'), list, FEW_EVENTS), e => e.number, e => {
    const kind = make('span', '', make('span', KIND[e.kind] || 'badge', e.kind));
    return make('li', '', makeTime(e.at), kind, make('p', '', ...(e.backend ? [make('b', '', e.backend), ' '] : []), e.text));
  }, li => li.firstChild.fill());
}

function render(s) {
  remember(s);
  const r = s.router, problems = problemsOf(s), servers = s.backends.reduce((t, b) => t + b.servers.length, 0);
  if (problems.length) judge(problems[0][0], problems[0][1] + '.', problems[0][2], problems.slice(1));
  else judge('good', 'All is well.', plural(s.frontends.length, 'frontend', 'frontends') + ', ' + plural(s.backends.length, 'backend', 'backends') + ', ' + plural(servers, 'server', 'servers') + ', all of them up.', []);
  say($('facts'), r.version + ' · ' + plural(r.workers, 'worker', 'workers') + ' · up ' + span(r.uptime_ms));
  say($('pid'), 'pid ' + r.pid + ' · topology ' + n(r.generation));
  fillFigures(s);
  sync($('backends'), s.backends, b => b.name + '/' + (b.verdict === null), makeBackend, fillBackend);
  frontendTable.fill(s.frontends, f => f.name);
  fillTls(s);
  fillChanges(s.changes);
  fillEvents(s.events);
  show($('main'), true);
}

/* Asking, again and again, whatever happened before */
let latest = null, answered = Date.now(), timer = 0, asking = false;
async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  const patience = new AbortController(), limit = setTimeout(() => patience.abort(), PATIENCE);
  try {
    const response = await fetch('/stats.json', { cache: 'no-store', signal: patience.signal });
    if (!response.ok) throw new Error('status ' + response.status);
    latest = await response.json();
    answered = Date.now();
    render(latest);
    document.body.classList.remove('lost');
    say($('live'), 'as of ' + clock(new Date(answered)));
  } catch (error) {
    document.body.classList.add('lost');
    say($('live'), 'no answer');
    const since = clock(new Date(answered)) + ' (' + span(Date.now() - answered) + ')';
    judge('bad', 'The router does not answer.', 'Not since ' + since + '.' + (latest ? ' Below is how it was then.' : '') + ' Asking again every second.', []);
    console.warn(error);
  }
  clearTimeout(limit);
  asking = false;
  timer = setTimeout(ask, PERIOD);
}
document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
ask();
