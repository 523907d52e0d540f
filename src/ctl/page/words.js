'use strict';
/* Numbers and words. What came from the network becomes text and nothing else. */
const number = new Intl.NumberFormat('en');
const n = x => x == null ? '–' : number.format(x);
const decimals = x => x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
const plural = (x, one, many) => n(x) + ' ' + (x === 1 ? one : many);
const sentence = text => text ? text + (/[.!?]$/.test(text) ? '' : '.') : '';
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
const took = ms => ms < 1000 ? decimals(ms) + ' ms' : (ms / 1000).toFixed(2) + ' s';
const clock = date => date.toLocaleTimeString('en-GB');
const known = (x, unit) => x == null || Number.isNaN(x) ? '–' : unit(x);
const perSecond = x => x >= 10 || x === 0 ? x.toFixed(0) : x.toFixed(1);
const rated = unit => x => unit(x) + '/s';
const whole = x => n(Math.round(x));
const millis = x => decimals(x) + ' ms';
const ofMost = (now, max) => n(now) + (max ? ' / ' + n(max) : '');

/* What a server is to its clients. Each has a word, a colour, and a shape of its own for those who
   see no colours: [word, colour, lines, filled part]. */
const ring = r => `M${8 - r} 8a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
const KINDS = {
  primary: ['primary', 'good', ring(7), ring(3.8)],
  replica: ['replica', 'cool', ring(6), ''],
  serving: ['serving', 'good', '', 'M3 4.5A1.5 1.5 0 0 1 4.5 3h7A1.5 1.5 0 0 1 13 4.5v7A1.5 1.5 0 0 1 11.5 13h-7A1.5 1.5 0 0 1 3 11.5z'],
  held: ['held', 'warn', ring(7) + 'M6 5.5v5M10 5.5v5', ''],
  fenced: ['fenced', 'warn', ring(7) + 'M3.2 3.2L12.8 12.8', ''],
  quiet: ['no new sessions', 'warn', ring(7) + 'M5 8h6', ''],
  drain: ['draining', 'warn', ring(7) + 'M8 4.5v6.5M5.2 8.4L8 11.2L10.8 8.4', ''],
  maint: ['maintenance', 'soft', 'M2 2h12v12h-12zM5.5 5.5h5v5h-5z', ''],
  stale: ['unasked', 'warn', 'M8 1.5L15 14H1zM8 6v4M8 11.8v.1', ''],
  down: ['down', 'bad', 'M3 3L13 13M13 3L3 13', ''],
  unknown: ['unknown', 'soft', 'M5.4 5.6a2.6 2.6 0 1 1 3.8 2.3C8.3 8.5 8 9 8 10.2M8 13.4v.1', ''],
};
const FINE = new Set(['primary', 'replica', 'serving']);
const ACCESS = { open: '', pause: 'sessions paused', quiet: 'no new sessions', drain: 'sessions are let out', none: 'gets no sessions' };
function kindOf(v) {
  if (v.admin === 'maint') return 'maint';
  if (v.state === 'down' || v.state === 'unknown') return v.state;
  if (v.admin === 'drain' || v.access === 'drain') return 'drain';
  if (v.access === 'pause') return 'held';
  if (v.access === 'none') return 'fenced';
  if (v.state === 'stale') return 'stale';
  if (v.access === 'quiet') return 'quiet';
  return v.role === 'unknown' ? 'serving' : v.role;
}
/* What stands beside its word: the role, and what clients feel, unless the word says it. */
function beside(kind, v) {
  const role = v.role !== kind && v.role !== 'unknown' ? v.role : '', felt = ACCESS[v.access] === KINDS[kind][0] ? '' : ACCESS[v.access];
  return [role, v.backup ? 'backup' : '', felt].filter(Boolean).join(', ');
}
const VERDICT = { primary: ['writes flow', 'good'], hold: ['writes wait', 'warn'], contested: ['contested', 'bad'], nobody: ['no primary', 'bad'] };
const routeWord = f => f.route === 'any' ? 'any server' : f.route === 'replica' ? 'reads: replica' : f.route === 'primary' ? 'writes: primary' : f.route === 'split' ? 'reads: replica, writes: primary' : f.route || '';
const refused = f => ['refused_sessions', 'refused_rate', 'refused_queue', 'refused_connect', 'refused_login', 'refused_proxy', 'refused_hello', 'denied']
  .reduce((sum, k) => sum + (f[k] || 0), 0);

/* A field that is not there, because the router is older or newer than this page, is empty. */
function complete(s) {
  for (const key of ['frontends', 'backends', 'changes', 'events']) s[key] = s[key] || [];
  for (const f of s.frontends) { f.binds = f.binds || []; f.backends = f.backends || [f.backend]; }
  for (const b of s.backends) {
    b.servers = b.servers || [];
    b.protocol = b.protocol || '';
    b.verdict = b.verdict || null;
    b.sentinels = b.sentinels || [];
    b.pool = b.pool || null;
    for (const v of b.servers) { v.role = v.role || 'unknown'; v.state = v.state || 'unknown'; v.access = v.access || 'open'; v.address = v.address || ''; v.kind = kindOf(v); v.backend = b.name; }
  }
  return s;
}
