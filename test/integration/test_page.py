"""Promise: the page shows a person what is, by itself, and loads nothing but itself."""
import base64
import hashlib
import re

import pytest

from lib.admin import World
from lib.browser import BINARY as CHROMIUM, Browser
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.waiting import until

pytestmark = pytest.mark.sanitize


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


@pytest.fixture
def browser(home):
    if CHROMIUM is None:
        pytest.skip("no chromium")
    return home.keep(Browser(width=390, height=844))


def test_the_page_shows_what_is_and_asks_nobody_else(world, browser):
    origin = f"http://127.0.0.1:{world.router.admin_port}"
    browser.open(origin + "/")
    until(lambda: "redis-2" in browser.text() and "All is well." in browser.text(),
          "the page to show the servers", 20)
    text = browser.text()
    for words in ("redis-0", "redis-1", "echo", "write", "read", "hub", "Primary", "Replica",
                  world.servers[0].text, f"127.0.0.1:{world.ports[0]}",
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
