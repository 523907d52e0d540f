"""Promise: the page shows a person what is, by itself, and loads nothing but itself."""
import base64
import hashlib
import re

import pytest

from lib.admin import World
from lib.browser import BINARY as CHROMIUM, Browser
from lib.fake_sentinel import FakeSentinel
from lib.ini import frontend, redis_backend
from lib.playbook import Stage
from lib.process import free_port
from lib.runtime import control_of
from lib.waiting import until

pytestmark = pytest.mark.sanitize
PAGE_BYTES = 76 * 1024


@pytest.fixture(scope="module")
def world(shared_home):
    return World(shared_home)


def test_the_page_may_load_nothing_but_itself(world):
    answer, body = world.get("/")
    html = body.decode()
    policy = dict(part.split(" ", 1) for part in
                  answer.headers["Content-Security-Policy"].split("; "))
    for tag in ("style", "script"):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert set(re.findall(r"https?://[^'\"\s]+", html)) == {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in html and "style=" not in html
    assert "prefers-color-scheme" in html and 'name="viewport"' in html


def test_the_page_is_small(world):
    assert len(world.get("/")[1]) <= PAGE_BYTES


@pytest.fixture(scope="module")
def one_browser(shared_home):
    if CHROMIUM is None:
        pytest.skip("no chromium")
    return shared_home.keep(Browser())


@pytest.fixture
def browser(one_browser):
    one_browser.resize(390, 844)
    one_browser.open("about:blank")
    one_browser.requests.clear()
    one_browser.complaints.clear()
    return one_browser


def test_the_page_shows_what_is_and_asks_nobody_else(world, browser):
    origin = f"http://127.0.0.1:{world.router.admin_port}"
    browser.open(origin + "/")
    until(lambda: "redis-2" in browser.text() and "All is well." in browser.text(),
          "the page to show the servers", 20)
    text = browser.text()
    for words in ("redis-0", "redis-1", "echo", "write", "read", "hub", "Primary redis-0",
                  "replica", "serving", world.servers[0].text, f"127.0.0.1:{world.ports[0]}",
                  world.router.stats().backend("redis")["reason"]):
        assert words in text, words
    asked = len(browser.requests)
    until(lambda: browser.evaluate("1") and len(browser.requests) >= asked + 3,
          "it to ask again by itself", 10)
    for url in browser.requests:
        assert url.startswith((origin + "/", "data:", "about:")), url
    assert browser.complaints == []
    width = browser.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "a phone would scroll sideways"


def test_the_page_says_when_nobody_answers_and_goes_on_when_somebody_does(home, browser):
    redis = home.redis("alpha")
    router = home.router(frontend("f", free_port()) + redis_backend(redis))
    router.wait_primary("alpha")
    browser.open(f"http://127.0.0.1:{router.admin_port}/")
    until(lambda: "All is well." in browser.text(), "the page", 20)
    redis.kill()
    until(lambda: "Writes to b wait." in browser.text(), "the page to show the loss", 10)
    router.stop()
    until(lambda: "The router does not answer." in browser.text(), "the page to say so", 10)
    assert "Not since " in browser.text() and "alpha" in browser.text()
    redis.start()
    router.start()
    until(lambda: "All is well." in browser.text(), "the page to recover", 20)


def test_what_a_server_says_is_shown_as_text(home, browser):
    said = "<img src=x onerror=alert(1)>"

    def liar(_server, sock):
        while sock.recv(65536):
            sock.sendall(b"-ERR " + said.encode() + b"\r\n")

    fake = home.fake(liar, name="liar")
    router = home.router(frontend("f", free_port()) + redis_backend(fake), start_timeout="100ms")
    browser.open(f"http://127.0.0.1:{router.admin_port}/")
    until(lambda: said in browser.text(), "what the server said", 20)
    assert browser.evaluate("document.images.length") == 0
    assert said in router.stats().server("liar")["reason"]


def opened(browser, router):
    browser.open(f"http://127.0.0.1:{router.admin_port}/")


def section(browser, selector):
    return browser.evaluate(f"document.querySelector('{selector}').innerText")


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_tells_each_change_of_the_primary(home, browser, width):
    browser.resize(width)
    stage = Stage(home)
    a, b, c = stage.servers
    opened(browser, stage.router)
    until(lambda: "nobody → a" in browser.text(), "the first change", 20)
    b.promote()
    a.follow(b)
    c.follow(b)
    stage.router.wait_primary("b")
    stage.wait_writes(5, by=b)
    change = stage.router.stats()["changes"][0]
    until(lambda: "a → b" in browser.text() and "first write after" in
          section(browser, "#changes > li"), "the change", 20)
    text = section(browser, "#changes > li")
    for words in ("detected ", "elected ", "fenced ", "published ", "first write ",
                  change["evidence"], "Who said what", f"{change['closed']} w"):
        assert words in text, words
    assert change["claims"].split("; ")[1] not in text, "folded"
    browser.evaluate("document.querySelector('#changes details').open = true")
    text = section(browser, "#changes > li")
    for words in change["claims"].split("; "):
        assert words in text, words
    assert browser.evaluate("document.querySelectorAll('#changes > li:first-child .bar i').length"
                            ) == 4
    assert browser.complaints == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("[...document.querySelectorAll('#changes *')].every("
                            "e => e.getBoundingClientRect().right <= innerWidth)"), "cut off"


def test_many_changes_are_folded_and_an_open_one_says_so(home, browser):
    stage = Stage(home, writers=False)
    a, b, c = stage.servers
    for primary, others in ((b, (a, c)), (c, (a, b))) * 3:
        primary.promote()
        for other in others:
            other.follow(primary)
        stage.router.wait_primary(primary.name)
    opened(browser, stage.router)
    until(lambda: "Show all 7" in browser.text(), "the button", 20)
    count = "document.querySelectorAll('#changes > li').length"
    assert browser.evaluate(count) == 5
    assert "no write yet" in section(browser, "#changes > li:first-child")
    assert "nobody wrote" in section(browser, "#changes > li:nth-child(2)")
    browser.evaluate("document.getElementById('more-changes').click()")
    assert browser.evaluate(count) == 7
    c.kill()
    until(lambda: "writes wait" in section(browser, "#changes > li:first-child"), "the hold", 10)
    assert "c → nobody yet" in section(browser, "#changes > li:first-child")


def test_the_page_shows_what_operators_do(home, browser):
    keys, runtime = control_of(home)
    redis = home.redis_group("a", "b")
    router = home.router(frontend("f", free_port()) + redis_backend(*redis), **keys)
    router.wait_for(lambda s: all(v["access"] == "open" for v in s.backend()["servers"]), "all")
    opened(browser, router)
    until(lambda: "All is well." in browser.text(), "the page", 20)
    for command in ("set server b/b state maint", "disable frontend f", "pause backend b"):
        runtime.ok(command)
    until(lambda: all(words in browser.text() for words in (
        "b of b is in maintenance.", "f is disabled.", "b is paused.")), "what was done", 20)
    for command in ("set server b/b state ready", "enable frontend f", "resume backend b"):
        runtime.ok(command)
    until(lambda: "All is well." in browser.text(), "what was undone", 20)


def test_the_page_shows_what_sentinels_say(home, browser):
    redis = home.redis("a")
    good, mute = (home.keep(FakeSentinel(redis)) for _ in range(2))
    mute.silent = True
    router = home.router(frontend("f", free_port()) + redis_backend(
        redis, sentinel=[good.text, mute.text], sentinel_master="mymaster"))
    router.wait_for(lambda s: s.backend()["sentinels"][0]["subscribed"], "the Sentinel")
    opened(browser, router)
    until(lambda: "Sentinels: 1 of 2 heard" in browser.text(), "the Sentinels", 20)
    text = section(browser, ".sentinels")
    assert f"{good.text} names a" in text
    assert f"{mute.text} not heard" in text
    assert "A Sentinel of b is not heard." in browser.text()
    mute.silent = False
    until(lambda: "Sentinels: 2 of 2 heard" in browser.text(), "both Sentinels", 20)
    until(lambda: "All is well." in browser.text(), "the page to recover", 20)
