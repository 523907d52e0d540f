"""Promise: whoever looks at the page at night finds what he looks for, by eye, by keys and by
search, in light and in dark, and is never shown old numbers, or somebody's markup, as the truth."""
import urllib.error
import urllib.request

import pytest

from lib.browser import BINARY as CHROMIUM, Browser
from lib.fake import echo
from lib.ini import frontend as frontend_section, tcp_backend
from lib.page_stage import PageStage, backend, frontend, numbers, server
from lib.process import free_port
from lib.waiting import until

NAMES = "[...document.querySelectorAll('.server')].filter(n => n.getClientRects().length)" \
        ".map(n => n.querySelector('b').innerText)"
FOCUSED = "document.activeElement.querySelector('b')?.innerText || document.activeElement.innerText"
EVIL = "\"><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>" \
       "\u202e\u0007" + "x" * 300


def redis_and_hubs():
    redis = backend(
        "redis", server("r0", role="primary", address="10.0.0.10:6379", sessions=7),
        server("r1", role="replica", address="10.0.0.11:6379", lag_bytes=2000),
        server("r2", role="replica", address="10.0.0.12:6379", lag_bytes=0),
        protocol="redis", primary="r0", verdict="primary", reason="r0 says that it is the primary")
    hubs = backend("hubs", server("h0", address="10.0.1.10:80"), server("h1"), protocol="http")
    return numbers([frontend("write", "redis", route="primary"), frontend("hub", "hubs")],
                   [redis, hubs])


@pytest.fixture(scope="module")
def page(shared_home):
    """The page as the binary has it, and the policy that comes with it."""
    router = shared_home.router(frontend_section("f", free_port()) +
                                tcp_backend(shared_home.fake(echo)))
    with urllib.request.urlopen(f"http://127.0.0.1:{router.admin_port}/", timeout=20) as answer:
        return answer.read(), answer.headers["Content-Security-Policy"]


@pytest.fixture(scope="module")
def one_browser(shared_home):
    if CHROMIUM is None:
        pytest.skip("no chromium")
    return shared_home.keep(Browser())


@pytest.fixture
def browser(one_browser):
    one_browser.resize(1200)
    one_browser.prefer("light")
    one_browser.complaints.clear()
    return one_browser


@pytest.fixture
def stage(home, page, browser):
    """Opens the page over these numbers, and waits until it shows them."""
    def make(stats, words="r0"):
        made = home.keep(PageStage(*page, stats))
        browser.open(f"http://{made.address}/")
        until(lambda: words in browser.text(), "the page", 20)
        return made
    return make


def find(stats, name):
    return next(v for b in stats["backends"] for v in b["servers"] if v["name"] == name)


def test_search_shows_what_is_looked_for_and_nothing_else(stage, browser):
    stage(redis_and_hubs())
    assert browser.evaluate(NAMES) == ["r0", "r1", "r2", "h0", "h1"]
    browser.press("/")
    for words, names in (("REPLICA", ["r1", "r2"]), ("10.0.1.10", ["h0"]), ("hubs", ["h0", "h1"]),
                         ("primary up", ["r0"]), ("nothing like it", [])):
        browser.evaluate("document.activeElement.select()")
        browser.type(words)
        assert browser.evaluate(NAMES) == names, words
        assert f"{len(names)} of 5 servers" in browser.text()
    browser.press("Escape")
    assert browser.evaluate(NAMES) == ["r0", "r1", "r2", "h0", "h1"]
    assert browser.evaluate("document.activeElement === document.body")


def test_all_can_be_reached_and_opened_by_keys(stage, browser):
    made = stage(redis_and_hubs())
    browser.evaluate("document.getElementById('theme').focus()")
    browser.press("Tab")
    assert browser.evaluate(FOCUSED) == "write"
    for key, name in (("ArrowRight", "redis"), ("ArrowRight", "r0"), ("ArrowDown", "r1"),
                      ("ArrowDown", "r2"), ("ArrowDown", "h0"),
                      ("ArrowLeft", "hubs"), ("ArrowLeft", "hub"), ("End", "h1"),
                      ("Home", "write"), ("ArrowRight", "redis"), ("ArrowRight", "r0"),
                      ("ArrowDown", "r1")):
        browser.press(key)
        assert browser.evaluate(FOCUSED) == name, key
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    details = "document.getElementById('details').innerText"
    for words in ("r1", "Server of redis, 10.0.0.11:6379: replica", "Behind", "2.00 kB"):
        assert words in browser.evaluate(details), words
    find(made.stats, "r1")["sessions_total"] = 4321
    until(lambda: "4,321" in browser.evaluate(details), "the details to go on", 10)
    browser.press("Escape")
    assert not browser.evaluate("document.getElementById('details').open")
    assert browser.evaluate(FOCUSED) == "r1", "where it came from"
    browser.press("Tab")
    assert not browser.evaluate("document.activeElement.closest('#picture')"), "one stop of Tab"


def test_who_sees_no_picture_is_told_the_same(stage, browser):
    stats = redis_and_hubs()
    find(stats, "r2").update(state="down", access="quiet", reason="connection refused")
    stage(stats)
    for i, label in ((1, "r1, 10.0.0.11:6379, replica, 0 sessions"),
                     (2, "r2, 10.0.0.12:6379, down, replica, no new sessions, 0 sessions, "
                         "connection refused")):
        assert browser.evaluate(
            f"document.querySelectorAll('.server')[{i}].getAttribute('aria-label')") == label
    nameless = browser.evaluate(
        "[...document.querySelectorAll('button, input')].filter(x => x.getClientRects().length &&"
        " !(x.innerText || x.getAttribute('aria-label') || x.labels?.length)).length")
    assert nameless == 0
    assert browser.evaluate("document.getElementById('headline').getAttribute('role')") == "status"


def test_light_and_dark_follow_the_system_until_somebody_chooses(stage, browser):
    made = stage(redis_and_hubs())
    theme = "document.documentElement.dataset.theme"
    colour = "getComputedStyle(document.body).backgroundColor"
    light = browser.evaluate(colour)
    browser.prefer("dark")
    until(lambda: browser.evaluate(theme) == "dark", "the system's choice", 5)
    assert browser.evaluate(colour) != light
    press = "document.getElementById('theme').click()"
    browser.evaluate(press)
    assert browser.evaluate(theme) == "light"
    browser.open(f"http://{made.address}/")
    until(lambda: "r0" in browser.text(), "the page again", 20)
    assert browser.evaluate(theme) == "light", "remembered"
    assert browser.evaluate(colour) == light
    browser.evaluate(press)
    assert browser.evaluate(theme) == "dark"
    browser.evaluate(press)
    browser.prefer("light")
    until(lambda: browser.evaluate(theme) == "light", "the system's choice again", 5)


def test_whatever_they_are_called_names_and_reasons_are_text(stage, browser):
    bad = server(EVIL, address=EVIL, state="down", role="primary", access="none", reason=EVIL)
    stats = numbers(
        [frontend(EVIL, EVIL, binds=[EVIL], tls={
            "problem": EVIL, "certificates": [{
                "file": EVIL, "names": [EVIL], "not_before": EVIL, "not_after": EVIL,
                "days_left": 1, "validity": "soon", "problem": EVIL}]})],
        [backend(EVIL, bad, server("r0"), verdict="nobody", reason=EVIL, protocol=EVIL, sentinels=[
            {"address": EVIL, "heard": True, "subscribed": True, "names": EVIL, "why": EVIL},
            {"address": EVIL + "2", "heard": False, "subscribed": False, "why": EVIL}])],
        changes=[{"number": 1, "at": EVIL, "backend": EVIL, "from": EVIL, "to": EVIL,
                  "evidence": EVIL, "claims": EVIL, "elected_ms": 1, "fenced_ms": 1,
                  "published_ms": 1, "written_ms": 1, "held": 1, "closed": 1}],
        events=[{"number": 1, "at": EVIL, "backend": EVIL, "kind": EVIL, "text": EVIL}])
    stats["router"]["version"] = EVIL
    browser.resize(360)
    stage(stats)
    elements = "document.querySelectorAll('img, script').length"
    for selector in (".server", ".door", ".hub .node"):
        browser.evaluate(f"document.querySelector('{selector}').click()")
        assert "onerror" in browser.evaluate("document.getElementById('details').innerText")
        assert browser.evaluate(elements) == 1, "its own script"
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360
        assert browser.evaluate("details.scrollWidth <= details.clientWidth"), selector
        browser.press("Escape")
    assert "owned" not in browser.evaluate("document.title").split("'")[0]
    assert browser.complaints == []


def test_each_state_has_a_shape_and_a_word_of_its_own(stage, browser):
    stats = redis_and_hubs()
    stats["backends"].append(backend(
        "odd", server("down", state="down", access="none"), server("unknown", state="unknown"),
        server("fenced", access="none"), server("held", access="pause"),
        server("quiet", access="quiet"), server("stale", state="stale"),
        server("drained", admin="drain"), server("maint", admin="maint", state="down")))
    stage(stats)
    shown = browser.evaluate(
        "[...document.querySelectorAll('.server')].map(n => [n.querySelector('.shape path')"
        ".getAttribute('d') + n.querySelectorAll('.shape path')[1].getAttribute('d'),"
        " n.querySelector('.is span').innerText])")
    words = {word for _, word in shown}
    assert words == {"primary", "replica", "serving", "down", "unknown", "fenced", "held",
                     "no new sessions", "unasked", "draining", "maintenance"}
    assert len({shape for shape, _ in shown}) == len(words)


def test_wires_are_as_wide_as_what_flows_and_stop_where_nothing_may(stage, browser):
    stats = redis_and_hubs()

    def flowing():
        for name, many in (("r0", 5_000_000), ("r1", 5_000)):
            find(stats, name)["bytes_out"] += many
        return stats

    stage(flowing)
    wide = "(() => { const g = $('picture').wires.known.get('s\\0redis\\0NAME').base;" \
           " return parseFloat(g.style.strokeWidth) || 0; })()"
    until(lambda: browser.evaluate(wide.replace("NAME", "r0"))
          > browser.evaluate(wide.replace("NAME", "r1")) > 0, "the wires", 10)
    assert browser.evaluate(wide.replace("NAME", "r2")) == 0
    find(stats, "r0").update(access="pause")
    stats["backends"][0].update(verdict="hold")
    look = "document.querySelectorAll('.wire.held').length"
    until(lambda: browser.evaluate(look) == 2, "the held wires", 10)


def test_a_backend_tells_of_its_pool(stage, browser):
    stats = redis_and_hubs()
    pool = {"mode": "transaction", "clients": 340, "held": 0, "shared": 4, "lent": 3, "idle": 5,
            "opening": 0, "reuse_percent": 97, "read": 0, "written": 500, "other": 10,
            "pins": {"transaction": 1, "subscribe": 2, "watch": 0, "session": 9, EVIL: 1}}
    stats["backends"][0]["pool"] = pool

    def reading():
        pool["read"] += 1000
        return stats

    stage(reading)
    shown = "document.querySelectorAll('.hub')[%d].querySelector('.pool').innerText"
    until(lambda: "– commands" not in browser.evaluate(shown % 0), "a rate", 10)
    text = browser.evaluate(shown % 0)
    for words in ("12 connections", "340 clients", "4 shared", "3 lent", "5 idle", "97 % reused",
                  "Alone: 1 transaction, 2 subscribe, 1 \"><img"):
        assert words in text, words
    assert "held" not in text and "opening" not in text and "watch" not in text
    assert "session" not in text.replace(EVIL, "") and browser.evaluate(shown % 1) == ""
    rate = int(text.split(" commands/s")[0].split()[-1].replace(",", ""))
    assert 300 < rate < 2000, "a thousand each second"
    widths = "[...document.querySelector('.uses').children].map(i => i.offsetWidth)"
    one, two, three = browser.evaluate(widths)
    assert two < one < three
    pool.update(held=2, opening=1, reuse_percent=None)
    until(lambda: "340 clients, 2 held" in browser.evaluate(shown % 0), "who is held", 10)
    assert "1 opening" in browser.evaluate(shown % 0)
    assert "reused" not in browser.evaluate(shown % 0)
    browser.evaluate("document.querySelector('.hub .node').click()")
    details = "document.getElementById('details').innerText"
    assert "Pooled connections" in browser.evaluate(details) and "Commands" in \
        browser.evaluate(details)
    browser.press("Escape")
    browser.evaluate("document.querySelectorAll('.hub .node')[1].click()")
    assert "Pooled connections" not in browser.evaluate(details)
    browser.resize(360)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360
    assert browser.complaints == [] and browser.evaluate("document.title") == "router"


def test_a_backend_of_mysql_tells_of_its_logins(stage, browser):
    """What clients do there is not told apart."""
    stats = redis_and_hubs()
    pool = {"mode": "session", "clients": 40, "held": 0, "shared": 0, "lent": 30, "idle": 2,
            "opening": 0, "reuse_percent": 99, "fresh": 32, "changed": 0, "resumed": 0, "denied": 1,
            "pins": {"session": 30}, "failing_addresses": 0}
    stats["backends"][0]["pool"] = pool

    def reading():
        pool["changed"] += 1000
        return stats

    stage(reading)
    shown = "document.querySelector('.hub .pool').innerText"
    until(lambda: "– logins" not in browser.evaluate(shown), "a rate", 10)
    text = browser.evaluate(shown)
    assert "32 connections" in text and "40 clients" in text and "commands" not in text
    assert 300 < int(text.split(" logins/s")[0].split()[-1].replace(",", "")) < 2000
    assert "fail" not in text
    pool["failing_addresses"] = 3
    until(lambda: "Logins fail from 3 addresses" in browser.evaluate(shown), "them to be told", 10)
    browser.evaluate("document.querySelector('.hub .node').click()")
    details = browser.evaluate("document.getElementById('details').innerText")
    assert "Pooled connections" in details and "Logins" in details and "Commands" not in details
    assert browser.complaints == []


def test_two_hundred_servers_cost_what_changed_of_them(stage, browser):
    servers = [server(f"s{i:03}", role="replica", address=f"10.0.0.{i}:6379") for i in range(200)]
    stats = numbers([frontend("f", "fleet")], [backend("fleet", *servers, verdict="primary")])
    stage(stats, "s199")
    assert len(browser.evaluate(NAMES)) == 200
    browser.evaluate("""(() => {
        window.touched = new Set();
        new MutationObserver(list => list.forEach(m => {
            const node = (m.target.nodeType === 1 ? m.target : m.target.parentNode)
                .closest('.server');
            if (node) touched.add(node.querySelector('b').innerText);
        })).observe($('picture'), {subtree: true, childList: true, characterData: true,
                                   attributes: true});
    })()""")
    turn = browser.evaluate("turn")
    servers[150]["sessions"] = 77
    until(lambda: browser.evaluate("turn") > turn + 3, "more ticks", 20)
    assert browser.evaluate("[...touched]") == ["s150"]
    until(lambda: browser.evaluate("spent") < 50, "a tick in less than 50 ms", 20)
    browser.resize(360)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360


def test_what_is_remembered_is_bounded(stage, browser):
    stats = redis_and_hubs()
    stage(stats)
    before = browser.evaluate("things.size")
    stats["backends"].pop()
    stats["frontends"].pop()
    until(lambda: "h0" not in browser.text(), "the backend to go", 10)
    assert browser.evaluate("things.size") == before - 4
    assert browser.evaluate("[...things.values()].every(t => t.marks.length < 50 &&"
                            " Object.values(t.series).every(x => x.length === KEEP))")
    assert browser.evaluate("latest.router.uptime_ms += 9e9, remember(latest), head < KEEP")


def test_a_router_that_tells_less_is_shown_as_far_as_it_goes(stage, browser):
    stats = {"router": {"version": "0", "pid": 1, "workers": 1},
             "frontends": [{"name": "f", "backend": "b"}],
             "backends": [{"name": "b", "servers": [{"name": "r0", "state": "up"}]}]}
    stage(stats)
    browser.evaluate("document.querySelector('.server').click()")
    until(lambda: browser.evaluate("turn") > 3, "it to go on", 10)
    assert "undefined" not in browser.text() and "NaN" not in browser.text()
    assert browser.complaints == []


def test_old_numbers_are_never_shown_as_new_ones(stage, browser):
    made = stage(redis_and_hubs())
    until(lambda: "All is well." in browser.text(), "the page", 10)
    old = "getComputedStyle(document.getElementById('details'), '::before').content"
    assert browser.evaluate(old) == "none"
    made.status = 500
    until(lambda: "What is below is old" in browser.text(), "the page to say so", 10)
    assert "The router answers with an error." in browser.text()
    assert browser.evaluate("getComputedStyle(document.getElementById('old')).position") == "sticky"
    assert "cannot say" in browser.evaluate("document.title")
    assert "These numbers are old" in browser.evaluate(old), "in front of the details too"
    made.status = 200
    until(lambda: "All is well." in browser.text(), "the page to recover", 10)
    assert "What is below is old" not in browser.text()
    assert browser.evaluate("document.title") == "router"


def test_who_is_signed_out_is_told_and_not_asked_again_and_again(stage, browser):
    made = stage(redis_and_hubs())
    made.locked = True
    until(lambda: "The router asks who you are." in browser.text(), "the page to say so", 10)
    assert "What is below is old" in browser.text() and "Sign in again" in browser.text()
    refused = made.refused
    for _ in range(3):
        browser.evaluate("ask()")
    assert made.refused == refused


def test_nobody_is_asked_while_nobody_looks(stage, browser):
    made = stage(redis_and_hubs())
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});" \
           "document.dispatchEvent(new Event('visibilitychange'))"
    browser.evaluate(hide % "true")
    until(lambda: not browser.evaluate("asking"), "the last answer", 10)
    asked = made.asked
    for _ in range(3):
        browser.evaluate("ask()")
    assert made.asked == asked
    browser.evaluate(hide % "false")
    until(lambda: made.asked > asked, "it to ask again", 5)


def test_the_page_works_behind_the_password(home, browser):
    router = home.router(frontend_section("f", free_port()) + tcp_backend(home.fake(echo)),
                         admin_user="ops", admin_password="s3cret")
    browser.open(f"http://ops:s3cret@127.0.0.1:{router.admin_port}/")
    until(lambda: "All is well." in browser.text(), "the page", 20)
    turn = browser.evaluate("turn")
    until(lambda: browser.evaluate("turn") > turn, "it to go on", 10)
    assert browser.complaints == []
    for path, scheme in (("/stats.json", "Basic "), ("/stats.json?page", "Page ")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{router.admin_port}{path}", timeout=20)
        assert refused.value.code == 401
        assert refused.value.headers["WWW-Authenticate"].startswith(scheme)
