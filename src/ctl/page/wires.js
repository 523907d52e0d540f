/* The wires: frontend to backend, backend to server. Where they go is where the boxes are, measured
   once a tick after everything was filled in. */
function makeWire() {
  const base = draw('path', {}), pulse = draw('path', {});
  return Object.assign(draw('g', {}, base, pulse), { base, pulse });
}
function fillWire(g, wire) {
  const { x1, y1, x2, y2, rate, look } = wire, mid = (x1 + x2) / 2, loud = loudness(rate);
  const d = Math.abs(y1 - y2) < 1 ? `M${x1} ${y1}H${x2}` : `M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${x2} ${y2}`;
  const flowing = loud > 0 && look !== 'cut' && look !== 'held';
  set(g.base, 'd', d);
  set(g.base, 'class', 'wire ' + (look === 'cut' || look === 'held' ? look : flowing ? 'flowing ' + look : look === 'idle' ? 'idle' : ''));
  set(g.base, 'stroke-width', '');
  const width = flowing ? (2 + loud * 9).toFixed(1) + 'px' : '';
  if (g.base.style.strokeWidth !== width) g.base.style.strokeWidth = width;
  set(g.pulse, 'd', flowing ? d : '');
  set(g.pulse, 'class', 'pulse ' + (flowing ? look + ' speed' + Math.min(4, 1 + Math.floor(loud * 5)) : ''));
  const inner = flowing ? (1.2 + loud * 2).toFixed(1) + 'px' : '';
  if (g.pulse.style.strokeWidth !== inner) g.pulse.style.strokeWidth = inner;
}
/* How a wire to this server looks. */
function lookOf(v) {
  if (v.kind === 'held') return 'held';
  if (v.access !== 'open' && v.access !== 'quiet' || v.state === 'down') return 'cut';
  return v.role === 'primary' ? 'primary' : v.sessions ? 'idle' : '';
}
function doorLook(f, b) {
  if (f.disabled) return 'cut';
  if (b.paused || b.verdict === 'hold' && f.route === 'primary') return 'held';
  if (f.has_server === false) return 'cut';
  return f.route === 'primary' ? 'primary' : f.sessions ? 'idle' : '';
}
function fillWires(s) {
  const svg = $('picture').wires;
  if (getComputedStyle(svg).display === 'none') return;
  const zero = svg.getBoundingClientRect(), lanes = $('picture').lanes.known, wires = [];
  const box = node => { const r = node.getBoundingClientRect(); return r.height ? { l: r.left - zero.left, r: r.right - zero.left, y: (r.top + r.bottom) / 2 - zero.top, t: r.top - zero.top } : null; };
  const wire = (key, from, to, rate, look) => { if (from && to) wires.push({ key, x1: Math.round(from.r), y1: Math.round(from.y), x2: Math.round(to.l), y2: Math.round(to.y), rate, look }); };
  const hubs = new Map(s.backends.map(b => { const lane = lanes.get(b.name); return [b.name, lane && !lane.hidden ? box(lane.p.hub) : null]; }));
  const carried = new Map(s.backends.map(b => [b.name, traffic(thing('b', b.name))]));
  for (const [home, own] of doorsOf(s)) for (const f of own) {
    const from = box(lanes.get(home).p.doors.known.get(f.name)), goes = s.backends.filter(b => f.backends.includes(b.name));
    const all = goes.reduce((t, b) => t + carried.get(b.name), 0), t = traffic(thing('f', f.name));
    for (const b of goes) wire('f\0' + f.name + '\0' + b.name, from, hubs.get(b.name), all ? t * carried.get(b.name) / all : 0, doorLook(f, b));
  }
  for (const b of s.backends) {
    const p = lanes.get(b.name).p, hub = hubs.get(b.name);
    if (b.servers.length > MANY) {
      const to = box(p.list.parentNode);
      wire('b\0' + b.name, hub, to && hub && { ...to, y: hub.y }, carried.get(b.name), b.servers.some(v => v.access === 'open') ? 'idle' : 'cut');
    } else for (const v of b.servers) wire('s\0' + b.name + '\0' + v.name, hub, box(p.list.known.get(v.name)), traffic(thing('s', v.name, b.name)), lookOf(v));
  }
  sync(svg, wires, w => w.key, makeWire, fillWire);
}
