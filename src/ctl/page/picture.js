/* The picture: a lane for each backend, its frontends on the left, its servers on the right. */
const MANY = 16;
const DOOR = [['name', 'b'], ['binds', 'small', 'mono'], ['to', 'small'], ['now', 'span', 'now'], ['rates', 'small'], ['refused', 'small', 'warn-ink'], ['flow', 'span', 'flow']];
const HUB = [['name', 'button', 'node'], ['badge', 'span', 'badge'], ['speaks', 'span', 'soft'], ['lead', 'p', '', [['who', 'b'], ['address', 'small', 'mono']]], ['reason', 'p', 'soft'], ['queue', 'p']];
const SERVER = [
  ['who', 'span', 'name', [['name', 'b'], ['address', 'small', 'mono']]], ['is', 'span', 'is', [['word', 'span'], ['beside', 'small']]],
  ['at', 'span', 'at num', [['sessions', 'span'], ['fresh', 'small']]], ['flows', 'span', 'flows num', [['in', 'span'], ['out', 'small']]],
  ['behind', 'span', 'behind num', [['lag', 'span'], ['lagWord', 'small']]], ['asked', 'span', 'asked num', [['probe', 'span'], ['probeAge', 'small']]],
  ['cause', 'span', 'cause'], ['flow', 'span', 'flow'],
];
/* 0 .. 1, by orders of magnitude: 100 B/s are hardly to be seen, 1 GB/s is all there is. */
const loudness = rate => rate > 0 ? Math.min(1, Math.max(.08, (Math.log10(rate) - 1.5) / 7.5)) : 0;
const traffic = t => t && t.rate.in != null ? t.rate.in + t.rate.out : 0;
function fillFlow(bar, rate) {
  const scale = `scaleX(${loudness(rate).toFixed(2)})`;
  if (bar.style.transform !== scale) bar.style.transform = scale;
}
function makeNode(tag, cls, parts, kind, name, backend) {
  const node = build(make(tag, cls), parts);
  node.dataset.kind = kind;
  node.subject = { kind, name, backend };
  node.tabIndex = -1;
  return node;
}

function makeDoor(f) {
  const node = makeNode('button', 'node door', DOOR, 'f', f.name, '');
  node.type = 'button';
  node.p.spark = makeSpark(SHOWN);
  node.p.name.after(node.p.spark);
  return make('li', '', node);
}
function fillDoor(li, f) {
  const node = li.firstChild, p = node.p, t = thing('f', f.name), no = refused(f);
  say(p.name, f.name);
  say(p.binds, f.binds.join('  '));
  say(p.to, routeWord(f) + (f.backends.length > 1 ? ' of ' + f.backends.join(', ') : '') + (f.tls ? ' · TLS' : ''));
  say(p.now, ofMost(f.sessions, f.max_sessions) + (f.sessions === 1 ? ' session' : ' sessions'));
  say(p.rates, known(t.rate.fresh, perSecond) + ' new/s · ' + known(traffic(t), rated(bytes)));
  say(p.refused, f.disabled ? 'disabled' : no ? n(no) + ' refused' : '');
  p.spark.fill(t.series.fresh);
  fillFlow(p.flow, traffic(t));
  set(node, 'aria-label', `Frontend ${f.name}, ${f.binds.join(' ')}, to ${f.backends.join(', ')}, ${routeWord(f)}, ${plural(f.sessions, 'session', 'sessions')}${no ? ', ' + n(no) + ' refused' : ''}`);
}

function makeServer(v) {
  const node = makeNode('button', 'node server', SERVER, 's', v.name, v.backend);
  node.type = 'button';
  node.p.shape = makeShape();
  node.p.spark = makeSpark(SHOWN);
  node.prepend(node.p.shape);
  node.p.at.after(node.p.spark);
  return make('li', '', node);
}
function fillServer(li, v, many) {
  const node = li.firstChild, p = node.p, t = thing('s', v.name, v.backend), fine = FINE.has(v.kind), [word, colour] = KINDS[v.kind];
  p.shape.fill(v.kind);
  say(p.name, v.name);
  say(p.sessions, ofMost(v.sessions, many ? 0 : v.max_connections));
  dress(node, 'node server' + (fine ? '' : ' loud' + (colour === 'bad' ? ' bad-row' : '')));
  fillFlow(p.flow, traffic(t));
  set(node, 'aria-label', [v.name, v.address, word, beside(v.kind, v), plural(v.sessions, 'session', 'sessions'), fine ? '' : v.reason].filter(Boolean).join(', '));
  if (many) return; /* the rest is not to be seen */
  say(p.address, v.address + (v.weight > 1 ? ' · weight ' + n(v.weight) : ''));
  say(p.word, word);
  dress(p.word, colour === 'soft' ? 'soft' : colour + '-ink');
  say(p.beside, beside(v.kind, v));
  say(p.fresh, known(t.rate.fresh, perSecond) + ' new/s');
  p.spark.fill(t.series.sessions);
  say(p.in, '→ ' + known(t.rate.in, rated(bytes)));
  say(p.out, '← ' + known(t.rate.out, rated(bytes)));
  const lag = lagOf(v);
  say(p.lag, lag == null ? '' : lagUnit(v)(lag));
  say(p.lagWord, lag == null ? '' : 'behind');
  say(p.probe, v.failures ? 'failed' : known(probeOf(v), millis));
  dress(p.probe, v.failures ? 'warn-ink' : '');
  say(p.probeAge, v.failures ? n(v.failures) + ' ×' : v.probe_age_ms == null ? 'not asked' : v.probe_age_ms < 5000 ? 'probe' : 'probe, ' + ago(v.probe_age_ms));
  say(p.cause, fine ? '' : v.reason || '');
  dress(p.cause, 'cause ' + (colour === 'soft' ? 'soft' : colour + '-ink'));
}

function makeLane(b) {
  const hub = build(make('div', 'hub'), HUB), doors = make('ul', 'doors'), list = make('ul');
  hub.p.spark = makeSpark(SHOWN);
  hub.p.sentinels = make('ul', 'sentinels');
  hub.p.pool = makePool();
  hub.append(hub.p.spark, hub.p.pool, hub.p.sentinels);
  const name = hub.p.name;
  name.type = 'button';
  name.dataset.kind = 'b';
  name.subject = { kind: 'b', name: b.name, backend: '' };
  name.tabIndex = -1;
  const lane = make('section', 'lane', doors, hub, make('div', 'servers', list));
  doors.setAttribute('aria-label', 'Frontends of ' + b.name);
  list.setAttribute('aria-label', 'Servers of ' + b.name);
  lane.setAttribute('aria-label', 'Backend ' + b.name);
  lane.p = { ...hub.p, hub, doors, list };
  return lane;
}
function fillHub(p, b) {
  const primary = b.servers.find(v => v.name === b.primary), open = b.servers.filter(v => v.access === 'open').length;
  const unasked = b.stale && b.verdict === 'primary';
  const [word, cls] = b.paused ? ['paused', 'warn'] : b.verdict == null ? [open ? 'serving' : 'no server', open ? 'good' : 'bad'] : unasked ? ['writes flow, unasked', 'warn'] : VERDICT[b.verdict];
  say(p.name, b.name);
  say(p.badge, word);
  dress(p.badge, 'badge ' + cls);
  say(p.speaks, ' ' + b.protocol);
  say(p.who, b.verdict == null ? n(open) + ' of ' + plural(b.servers.length, 'server', 'servers') + ' open' : b.primary ? 'Primary ' + b.primary : 'No primary');
  say(p.address, primary ? primary.address : '');
  say(p.reason, b.verdict == null ? '' : b.reason || '');
  const waits = b.waiting > 0 || b.held_ms > 0;
  say(p.queue, (b.waiting ? n(b.waiting) + ' of at most ' + plural(b.queue_limit, 'client waits', 'clients wait') : 'nobody waits') + (b.held_ms ? ', writes held for ' + span(b.held_ms) : ''));
  dress(p.queue, waits ? 'warn-ink' : 'soft');
  const t = thing('b', b.name), waited = t.series.waiting && t.series.waiting.some(x => x > 0);
  p.spark.setAttribute('class', waits ? 'spark warn-ink' : 'spark');
  p.spark.style.display = waited ? '' : 'none';
  if (waited) p.spark.fill(t.series.waiting);
  fillPool(p.pool, b);
  fillSentinels(p.sentinels, b.sentinels);
}
function fillSentinels(list, sentinels) {
  const heard = sentinels.filter(v => v.heard).length;
  show(list, sentinels.length > 0);
  sync(list, sentinels.length ? [null, ...sentinels] : [], v => v && v.address, v => make('li', v ? '' : 'soft', make('span', v ? 'mono' : ''), ' ', make('span')), (li, v) => {
    const who = li.firstChild, what = li.lastChild;
    say(who, v ? v.address : 'Sentinels: ' + n(heard) + ' of ' + n(sentinels.length) + ' heard');
    if (!v) return;
    say(what, v.heard ? (v.names ? 'names ' + v.names : 'names nobody') + (v.subscribed ? '' : ', tells no news') + (v.why ? ' (' + v.why + ')' : '') : 'not heard: ' + v.why);
    dress(what, v.heard && v.names ? '' : 'warn-ink');
  });
}
/* A frontend stands at the first of its backends that is there. */
function doorsOf(s) {
  const map = new Map(s.backends.map(b => [b.name, []]));
  for (const f of s.frontends) { const home = f.backends.find(x => map.has(x)); if (home != null) map.get(home).push(f); }
  return map;
}
function fillPicture(s, wanted) {
  const doors = doorsOf(s);
  sync($('picture').lanes, s.backends, b => b.name, makeLane, (lane, b) => {
    const p = lane.p, many = b.servers.length > MANY, own = doors.get(b.name);
    dress(lane, many ? 'lane many' : 'lane');
    sync(p.doors, own, f => f.name, makeDoor, fillDoor);
    fillHub(p, b);
    sync(p.list, b.servers, v => v.name, makeServer, (li, v) => fillServer(li, v, many));
    for (const f of own) show(p.doors.known.get(f.name), wanted.door(f));
    let any = false;
    for (const v of b.servers) { const on = wanted.server(b, v); any = any || on; show(p.list.known.get(v.name), on); }
    show(p.list.parentNode, any);
    show(lane, any || wanted.hub(b) || own.some(wanted.door));
  });
}
