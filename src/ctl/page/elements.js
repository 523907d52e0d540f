/* Elements: made once, changed only where something differs, so that nothing flickers, the focus
   stays where it is, and two hundred servers cost what changed of them. */
const $ = id => document.getElementById(id);
function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}
function draw(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
function say(node, text) { if (node.textContent !== text) node.textContent = text; }
function dress(node, className) { if (node.className !== className) node.className = className; }
function show(node, on) { if (node.hidden === on) node.hidden = !on; }
function set(node, key, value) { if (node.getAttribute(key) !== value) node.setAttribute(key, value); }
/* The children of a parent, one for each item, known by its key and in its order. */
function sync(parent, items, key, create, update) {
  const before = parent.known || (parent.known = new Map()), gone = new Set(before.keys());
  let at = parent.firstChild;
  for (const item of items) {
    const k = key(item);
    let node = before.get(k);
    if (!node) before.set(k, node = create(item));
    gone.delete(k);
    if (node === at) at = at.nextSibling; else parent.insertBefore(node, at);
    update(node, item);
  }
  for (const k of gone) { before.get(k).remove(); before.delete(k); }
}
/* An element of parts: [name, tag, class] or a list of them inside another one. */
function build(node, list) {
  node.p = node.p || {};
  const add = (to, entries) => entries.forEach(([name, tag, cls, inside]) => {
    const part = node.p[name] = make(tag, cls);
    if (inside) add(part, inside);
    to.append(part);
  });
  add(node, list);
  return node;
}
function makeShape() {
  const lines = draw('path', {}), full = draw('path', { class: 'full' });
  const shape = draw('svg', { viewBox: '0 0 16 16', class: 'shape', 'aria-hidden': 'true' }, full, lines);
  shape.fill = kind => {
    if (shape.kind === kind) return;
    shape.kind = kind;
    const [, colour, outline, inside] = KINDS[kind];
    shape.setAttribute('class', 'shape ' + (colour === 'soft' ? 'soft' : colour + '-ink'));
    lines.setAttribute('d', outline);
    full.setAttribute('d', inside);
  };
  return shape;
}
const TALL = 30, FEWEST = 60;
/* A line of the newest values of a series, from nothing at the bottom to the most at the top; as
   many as were seen, between FEWEST and `most`. */
function makeSpark(most) {
  const area = draw('path', { class: 'area' }), line = draw('path', {});
  const node = draw('svg', { preserveAspectRatio: 'none', class: 'spark', 'aria-hidden': 'true' }, area, line);
  node.fill = series => {
    const count = Math.min(most, Math.max(FEWEST, turn)), values = series ? recent(series, count) : [], top = Math.max(1e-9, ...values.filter(v => v === v));
    let d = '', filled = '', from = -1;
    values.forEach((v, i) => {
      if (v !== v) return;
      const y = (TALL - v / top * (TALL - 2) - 1).toFixed(1), begins = !(values[i - 1] === values[i - 1] && i > 0);
      const ends = i + 1 === count || values[i + 1] !== values[i + 1];
      if (begins) { from = i; d += `M${i} ${y}`; filled += `M${i} ${TALL}L${i} ${y}`; }
      else if (ends || v !== values[i - 1] || v !== values[i + 1]) { d += `L${i} ${y}`; filled += `L${i} ${y}`; }
      if (ends) filled += `L${i} ${TALL}L${from} ${TALL}z`;
    });
    set(node, 'viewBox', `0 0 ${count - 1} ${TALL}`);
    set(line, 'd', d);
    set(area, 'd', filled);
  };
  return node;
}
