/* Asking, again and again, whatever happened before; but not while nobody looks. */
const PERIOD = 1000, PATIENCE = 4000;
/* Relative to where the page is, and without the name and password that its address may hold: fetch
   takes no address with them. To ?page a 401 is no reason for the browser to open a dialog. */
const SOURCE = new URL('stats.json?page', location.origin + location.pathname).href;
let latest = null, answered = Date.now(), timer = 0, asking = false, spent = 0, barred = false;

$('picture').wires = draw('svg', { class: 'wires', 'aria-hidden': 'true' });
$('picture').lanes = make('div');
$('picture').append($('picture').lanes, $('picture').wires);
for (const kind in KINDS) { const shape = makeShape(); shape.fill(kind); $('legend').append(make('span', '', shape, KINDS[kind][0])); }

/* `again`: the same numbers, looked at in another way. */
function render(s, again = false) {
  const began = performance.now();
  if (!again) remember(s);
  judgeAll(s);
  say($('facts'), s.router.version + ' · ' + plural(s.router.workers, 'worker', 'workers') + ' · up ' + span(s.router.uptime_ms));
  say($('pid'), 'pid ' + s.router.pid + ' · topology ' + n(s.router.generation));
  show($('main'), true);
  sayFound(s);
  fillFigures(s);
  fillPicture(s, WANTED);
  fillChanges(s, WANTED);
  fillTls(s, WANTED);
  fillEvents(s, WANTED);
  fillDetails(s);
  keepReachable();
  fillWires(s);
  spent = performance.now() - began;
}
function lost(what, headline, why) {
  const since = clock(new Date(answered));
  document.body.classList.add('lost');
  say($('live'), 'no answer');
  say($('old-what'), what + (latest ? ' What is below is old: as of ' + since + '.' : ''));
  show($('again'), barred);
  show($('old'), true);
  judge('bad', headline, why, []);
}
function found() {
  document.body.classList.remove('lost');
  show($('old'), false);
  say($('live'), 'as of ' + clock(new Date(answered)));
}
async function ask() {
  if (asking || barred || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  const patience = new AbortController(), limit = setTimeout(() => patience.abort(), PATIENCE);
  let status = 0;
  try {
    const response = await fetch(SOURCE, { cache: 'no-store', credentials: 'same-origin', signal: patience.signal });
    status = response.status;
    if (!response.ok) throw new Error('status ' + status);
    latest = complete(await response.json());
    answered = Date.now();
    render(latest);
    found();
  } catch (error) {
    const since = 'Not since ' + clock(new Date(answered)) + ' (' + span(Date.now() - answered) + ').' + (latest ? ' Below is how it was then.' : '');
    barred = status === 401 || status === 403;
    if (barred) lost('The router asks who you are.', 'Not signed in.', 'The router wants a name and a password, and is not asked again before you sign in.');
    else if (status) lost('The router answers with an error.', 'The router cannot say how it is: ' + error.message + '.', since + ' Asking again every second.');
    else lost('The router does not answer.', 'The router does not answer.', since + ' Asking again every second.');
    console.warn(error);
  }
  clearTimeout(limit);
  asking = false;
  timer = setTimeout(ask, PERIOD);
}
document.addEventListener('visibilitychange', () => { clearTimeout(timer); ask(); });
addEventListener('resize', () => { if (latest) fillWires(latest); });
ask();
