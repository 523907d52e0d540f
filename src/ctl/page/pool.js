/* The pool of a backend: what its connections are used for, for how many clients, and for which
   reasons some of them have one alone. */
const POOL = [['size', 'p', 'ends', [['connections', 'b'], ['clients', 'span']]], ['bar', 'p', 'uses'], ['uses', 'p', 'legend soft'], ['pace', 'p', 'ends', [['commands', 'span'], ['reuse', 'span', 'soft']]], ['alone', 'p', 'soft'], ['failing', 'p', 'warn-ink']];
const USES = { shared: 'shared', lent: 'lent', idle: 'idle', opening: 'opening' };
const sumOf = (pool, keys) => keys.reduce((total, key) => total + (pool[key] || 0), 0);
const commandsOf = b => b.pool && b.pool.fresh == null ? sumOf(b.pool, ['read', 'written', 'other']) : null;
const isOfLogins = b => b.pool != null && b.pool.fresh != null; /* MySQL's: what they do is not told apart */
const loginsOf = b => isOfLogins(b) ? sumOf(b.pool, ['fresh', 'changed']) : null;
const linksOf = b => b.pool ? sumOf(b.pool, Object.keys(USES)) : null;

function makePool() {
  const pool = build(make('div', 'pool'), POOL);
  pool.p.bar.setAttribute('aria-hidden', 'true');
  return pool;
}
function fillPool(node, b) {
  const pool = b.pool, p = node.p;
  show(node, pool != null);
  if (!pool) return;
  const t = thing('b', b.name), used = Object.keys(USES).filter(use => pool[use] > 0), all = linksOf(b);
  const alone = Object.entries(pool.pins || {}).filter(([pin, count]) => count > 0 && pin !== 'session');
  say(p.connections, plural(all, 'connection', 'connections'));
  say(p.clients, plural(pool.clients || 0, 'client', 'clients') + (pool.held ? ', ' + n(pool.held) + ' held' : ''));
  dress(p.clients, pool.held ? 'warn-ink' : '');
  sync(p.bar, used, use => use, use => make('i', use), (i, use) => { const grow = String(pool[use]); if (i.style.flexGrow !== grow) i.style.flexGrow = grow; });
  sync(p.uses, used, use => use, use => make('span', '', make('i', use), make('span')), (span, use) => say(span.lastChild, n(pool[use]) + ' ' + USES[use]));
  const pace = isOfLogins(b) ? 'logins' : 'commands';
  say(p.commands, known(t && t.rate[pace], whole) + ' ' + pace + '/s');
  say(p.reuse, pool.reuse_percent == null ? '' : n(pool.reuse_percent) + ' % reused');
  say(p.alone, 'Alone: ' + alone.map(([pin, count]) => n(count) + ' ' + pin).join(', '));
  show(p.alone, alone.length > 0);
  say(p.failing, 'Logins fail from ' + plural(pool.failing_addresses || 0, 'address', 'addresses'));
  show(p.failing, pool.failing_addresses > 0);
}
