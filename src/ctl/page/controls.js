/* What a person does: searches, chooses light or dark, goes about by keys. */
let sought = [];
const has = (...fields) => { const text = fields.join(' ').toLowerCase(); return sought.every(word => text.includes(word)); };
const WANTED = {
  server: (b, v) => has(b.name, b.protocol, v.name, v.address, v.kind, KINDS[v.kind][0], v.role, v.state, v.admin || ''),
  hub: b => has(b.name, b.protocol, b.verdict || ''),
  door: f => has(f.name, ...f.binds, ...f.backends, f.route || ''),
  change: c => has(c.backend, c.from || '', c.to || '', c.evidence),
  certificate: c => has(c.owner, c.kind, c.file, ...c.names, c.validity),
  event: e => has(e.backend || '', e.kind, e.text),
};
function sayFound(s) {
  const all = s.backends.flatMap(b => b.servers.map(v => [b, v])), hits = all.filter(x => WANTED.server(...x)).length;
  const doors = s.frontends.filter(WANTED.door).length;
  say($('found'), sought.length ? `${n(hits)} of ${plural(all.length, 'server', 'servers')} and ${n(doors)} of ${plural(s.frontends.length, 'frontend', 'frontends')}` : '');
}
$('search').addEventListener('input', () => {
  sought = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  if (latest) render(latest, true);
});

/* Light, dark, or as the system has it: remembered where the browser lets us. */
const THEMES = ['auto', 'light', 'dark'], darkness = matchMedia('(prefers-color-scheme: dark)');
let theme = 'auto';
try { theme = localStorage.getItem('router-theme') || 'auto'; } catch { /* private */ }
function applyTheme() {
  if (!THEMES.includes(theme)) theme = 'auto';
  document.documentElement.dataset.theme = theme === 'auto' ? darkness.matches ? 'dark' : 'light' : theme;
  say($('theme'), { auto: '◐ Auto', light: '○ Light', dark: '● Dark' }[theme]);
  $('theme').setAttribute('aria-label', 'Colours: ' + theme + '. Press for ' + THEMES[(THEMES.indexOf(theme) + 1) % 3]);
}
$('theme').onclick = () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % 3];
  try { localStorage.setItem('router-theme', theme); } catch { /* forgotten with the page */ }
  applyTheme();
};
darkness.addEventListener('change', applyTheme);
applyTheme();

/* The picture is one stop of the Tab key; within it the arrows go to what is next in their direction. */
const nodes = () => [...$('picture').querySelectorAll('[data-kind]')].filter(node => node.getClientRects().length);
function rove(node) {
  for (const other of $('picture').querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  if (node) node.tabIndex = 0;
}
/* Somebody can always be reached, also when the one that was is gone or not wanted. */
function keepReachable() {
  const now = $('picture').querySelector('[tabindex="0"]');
  if (!now || !now.getClientRects().length) rove(nodes()[0]);
}
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
function neighbour(from, [dx, dy]) {
  const mid = r => [(r.left + r.right) / 2, (r.top + r.bottom) / 2], a = from.getBoundingClientRect(), [ax, ay] = mid(a);
  let best = null, least = Infinity;
  for (const node of nodes()) {
    const r = node.getBoundingClientRect(), [x, y] = mid(r);
    const ahead = dx ? dx > 0 ? r.left - a.right : a.left - r.right : dy > 0 ? r.top - a.bottom : a.top - r.bottom;
    const aside = dx ? Math.abs(y - ay) : Math.max(0, r.left - a.right, a.left - r.right) * 20 + Math.abs(x - ax);
    if (node === from || ahead < -2) continue;
    const far = Math.max(0, ahead) + 2 * aside;
    if (far < least) { least = far; best = node; }
  }
  return best;
}
$('picture').addEventListener('keydown', e => {
  const from = e.target.closest('[data-kind]'), all = ['Home', 'End'].includes(e.key) && nodes();
  if (!from || !(ARROWS[e.key] || all)) return;
  const to = all ? all[e.key === 'Home' ? 0 : all.length - 1] : neighbour(from, ARROWS[e.key]);
  e.preventDefault();
  if (to) { rove(to); to.focus(); }
});
$('picture').addEventListener('focusin', e => { const node = e.target.closest('[data-kind]'); if (node) rove(node); });
$('picture').addEventListener('click', e => { const node = e.target.closest('[data-kind]'); if (node) { rove(node); openDetails(node); } });
document.addEventListener('keydown', e => {
  const typing = e.target === $('search');
  if (e.key === '/' && !typing && !$('details').open && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); $('search').focus(); $('search').select(); }
  if (e.key === 'Escape' && typing) { $('search').value = ''; $('search').dispatchEvent(new Event('input')); $('search').blur(); }
  if ((e.key === 'ArrowDown' || e.key === 'Enter') && typing && nodes().length) {
    e.preventDefault();
    const first = nodes().find(node => node.dataset.kind === 's') || nodes()[0];
    rove(first);
    first.focus();
  }
});
