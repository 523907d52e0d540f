/* What was, kept in this page only: five minutes of each number, a value a second, and rates as the
   difference of counters over the last seconds, by the router's own clock. */
const KEEP = 300, SHOWN = 90, WINDOW = 5000;
const COUNTERS = { fresh: 'sessions_total', in: 'bytes_in', out: 'bytes_out', shakes: 'tls_handshakes' };
const things = new Map();
let head = 0, turn = 0, lastPid = null, lastAt = 0;

const keyOf = (kind, name, backend = '') => kind + '\0' + backend + '\0' + name;
const thing = (kind, name, backend) => things.get(keyOf(kind, name, backend));
function put(t, name, value) {
  const series = t.series[name] || (t.series[name] = new Float32Array(KEEP).fill(NaN));
  series[head] = value == null ? NaN : value;
}
/* The newest `count` values, the oldest first; NaN where nobody asked. */
function recent(series, count) {
  const values = new Array(count);
  for (let i = 0; i < count; i++) values[i] = series[(head - count + 1 + i + KEEP) % KEEP];
  return values;
}
function putRate(t, name, counter) {
  const a = t.marks[0], { item } = t.marks[t.marks.length - 1], ms = lastAt - a.at;
  t.rate[name] = ms > 0 && item[counter] != null && a.item[counter] != null ? Math.max(0, item[counter] - a.item[counter]) * 1000 / ms : null;
  put(t, name, t.rate[name]);
}
function track(key, item, gauges) {
  let t = things.get(key);
  if (!t) things.set(key, t = { marks: [], series: {}, rate: {} });
  t.turn = turn;
  t.marks.push({ at: lastAt, item });
  while (t.marks.length > 2 && t.marks[1].at < lastAt - WINDOW) t.marks.shift();
  for (const [name, counter] of Object.entries(COUNTERS)) putRate(t, name, counter);
  for (const name in gauges) put(t, name, gauges[name]);
  return t;
}
function sum(list, value) {
  return list.reduce((total, x) => { const v = value(x); return v == null ? total : (total || 0) + v; }, null);
}
const most = (list, value) => list.reduce((top, x) => { const v = value(x); return v == null ? top : Math.max(top == null ? v : top, v); }, null);
/* Behind in bytes where that is known, else in time. */
const lagOf = v => v.lag_bytes != null ? v.lag_bytes : v.behind_ms;
const lagUnit = v => v.lag_bytes != null ? bytes : span;
const probeOf = v => v.latency_us == null ? null : v.latency_us / 1000;

/* Steps on by as many places as seconds went by, and empties what nobody saw. */
function advance(s) {
  const at = s.router.uptime_ms, again = lastPid !== s.router.pid || at < lastAt;
  const steps = again ? 1 : Math.min(KEEP, Math.max(1, Math.round((at - lastAt) / 1000)));
  if (again) for (const t of things.values()) t.marks = [];
  for (let i = 0; i < steps; i++) {
    head = (head + 1) % KEEP;
    for (const t of things.values()) for (const name in t.series) t.series[name][head] = NaN;
  }
  lastPid = s.router.pid;
  lastAt = at;
  turn++;
}
function remember(s) {
  advance(s);
  const doors = s.frontends.map(f => track(keyOf('f', f.name), f, { sessions: f.sessions }));
  for (const b of s.backends) {
    const own = b.servers.map(v => track(keyOf('s', v.name, b.name), v, { sessions: v.sessions, lag: lagOf(v), probe: probeOf(v) }));
    const t = track(keyOf('b', b.name), { commands: commandsOf(b), logins: loginsOf(b) }, { waiting: b.waiting, links: linksOf(b), held: b.held_ms, sessions: sum(b.servers, v => v.sessions), probe: most(b.servers, probeOf) });
    for (const name in COUNTERS) put(t, name, t.rate[name] = sum(own, x => x.rate[name]));
    putRate(t, 'commands', 'commands');
    putRate(t, 'logins', 'logins');
  }
  const all = track(keyOf('r', ''), {}, { sessions: s.router.sessions, waiting: sum(s.backends, b => b.waiting),
    probe: most(s.backends, b => most(b.servers, probeOf)) });
  for (const name in COUNTERS) put(all, name, all.rate[name] = sum(doors, x => x.rate[name]));
  for (const [key, t] of things) if (t.turn !== turn) things.delete(key);
}
