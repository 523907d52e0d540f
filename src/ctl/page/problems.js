/* What needs attention, the worst first, and the line that says so. */
const VALIDITY = { good: 'has a problem', soon: 'expires soon', expired: 'has expired', future: 'is not valid yet' };
const WRONG = new Set(['expired', 'future']);
/* [name, TLS] of all that has it */
const tlsOf = s => [...s.frontends, ...s.backends].filter(x => x.tls).map(x => [x.name, x.tls]);

function backendProblems(b, add) {
  const wait = b.waiting ? ' ' + plural(b.waiting, 'client waits.', 'clients wait.') : '';
  const open = b.servers.some(v => v.access === 'open'), why = sentence(b.reason) + wait;
  if (b.paused) add('warn', b.name + ' is paused', 'By an operator: writes and reads wait.' + wait);
  else if (b.verdict === 'nobody') add('bad', b.name + ' has no primary', why);
  else if (b.verdict === 'contested') add('bad', b.name + ': who is primary is contested', why);
  else if (b.verdict === 'hold') add('warn', 'Writes to ' + b.name + ' wait', why);
  else if (!open) add('bad', b.name + ' has no server', why);
  else if (b.waiting) add('warn', b.name + ': ' + plural(b.waiting, 'client waits', 'clients wait'), 'Of at most ' + n(b.queue_limit) + '.');
  if (b.stale) add('warn', b.name + ': the primary cannot be asked', sentence(b.reason));
  for (const v of b.sentinels) if (!v.heard) add('warn', 'A Sentinel of ' + b.name + ' is not heard', sentence(v.address + ': ' + v.why));
  for (const v of b.servers) {
    const who = v.name + ' of ' + b.name;
    if (v.name === b.primary && b.verdict !== 'primary') continue; /* told above */
    if (v.admin === 'maint') add('warn', who + ' is in maintenance', 'By an operator.');
    else if (v.state === 'down') add('warn', who + ' is down', sentence(v.reason));
    else if (v.state === 'stale' && v.name !== b.primary) add('warn', who + ' cannot be asked', sentence(v.reason));
    else if (v.state === 'unknown') add('warn', who + ' has not answered yet', sentence(v.reason));
    else if (v.admin === 'drain') add('warn', who + ' is draining', 'By an operator.');
    else if (v.access !== 'open' && b.verdict === 'primary') add('warn', who + ' gets no new sessions', sentence(v.reason));
  }
}
function frontendProblems(s, f, add) {
  const own = s.backends.filter(b => f.backends.includes(b.name));
  const explained = own.some(b => b.verdict == null ? !b.servers.some(v => v.access === 'open') : b.verdict !== 'primary');
  if (f.disabled) add('warn', f.name + ' is disabled', 'By an operator: it takes no new sessions.');
  else if (f.has_server === false && !explained) add('bad', f.name + ' has no server', 'No server of ' + f.backends.join(' or ') + ' may serve the route ' + f.route + '.');
  if (f.max_sessions && f.sessions >= f.max_sessions) add('warn', f.name + ' is full', n(f.sessions) + ' sessions, as many as it may have.');
}
function problemsOf(s) {
  const list = [], add = (level, what, why) => list.push([level, what, why]), rank = { bad: 0, warn: 1 };
  for (const b of s.backends) backendProblems(b, add);
  for (const f of s.frontends) frontendProblems(s, f, add);
  for (const [name, tls] of tlsOf(s)) {
    if (tls.problem) add('warn', 'TLS of ' + name + ' needs attention', tls.problem[0].toUpperCase() + sentence(tls.problem.slice(1)));
    for (const c of tls.certificates) if (c.problem) add(WRONG.has(c.validity) ? 'bad' : 'warn', 'A certificate of ' + name + ' ' + VALIDITY[c.validity], c.file + ' (' + c.names.join(', ') + '): ' + c.problem + '.');
  }
  if (s.router.draining) add('warn', 'This router is draining', 'It takes no new sessions and ends with the last one.');
  else if (!s.router.ready) add('warn', 'This router is not ready yet', 'The first election round is not over.');
  return list.sort((a, b) => rank[a[0]] - rank[b[0]]);
}

const FEW = 6;
/* The tab's icon has a shape for each level too. */
const ICON = { good: "<circle cx='8' cy='8' r='7' fill='%231b9a5c'/>", warn: "<path d='M8 1l7 7-7 7-7-7z' fill='%23d99000'/>", bad: "<path d='M1 1h14v14H1z' fill='%23d0312d'/>" };
function judge(level, headline, why, list) {
  const more = list.length - FEW, others = more > 1 ? [...list.slice(0, FEW), ['', 'And ' + n(more) + ' more', '']] : list;
  dress($('verdict'), 'verdict is-' + level);
  say($('headline'), headline);
  say($('why'), why);
  show($('why'), why !== '');
  show($('problems'), others.length > 0);
  sync($('problems'), others, p => p[0] && p[1], () => build(make('li'), [['what', 'b'], ['why', 'span']]), (li, p) => { say(li.p.what, p[1] + '. '); say(li.p.why, p[2]); });
  const icon = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>" + ICON[level] + '</svg>';
  if ($('icon').href !== icon) $('icon').href = icon;
  const title = (level === 'good' ? '' : headline + ' · ') + 'router';
  if (document.title !== title) document.title = title;
}
function judgeAll(s) {
  const problems = problemsOf(s), servers = s.backends.reduce((t, b) => t + b.servers.length, 0);
  if (problems.length) judge(problems[0][0], problems[0][1] + '.', problems[0][2], problems.slice(1));
  else judge('good', 'All is well.', plural(s.frontends.length, 'frontend', 'frontends') + ', ' + plural(s.backends.length, 'backend', 'backends') + ', ' + plural(servers, 'server', 'servers') + ', all of them up.', []);
}
