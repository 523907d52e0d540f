"""Promise: what is wrong with a certificate, and how long it lasts, is told before clients find
out: in the log, in the stats and on the page; and what its key is, nowhere."""
import datetime
import os
import re

import pytest

from lib.browser import BINARY as CHROMIUM, Browser
from lib.certificates import DAY, now, write
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.prometheus import parse_metrics
from lib.router import run
from lib.tls_place import HUB, InPlace, Place, shown_to_new, tls_of
from lib.waiting import until

pytestmark = pytest.mark.sanitize

STAMP = r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
NOBODY = 65534


@pytest.fixture
def place(home):
    return Place(home)


# --- what is wrong with one that can be used ---

WRONG = {
    "expired": {"days": -3},
    "expires soon": {"days": 5},
    "not valid yet": {"not_before": now() + 2 * DAY},
    "not for servers": {"client": True},
}
WORDS = {
    "expired": "expired 2 days ago",
    "expires soon": "expires in 5 days",
    "not valid yet": "not valid yet, but in 1 day",
    "not for servers": "the certificate is not meant for a TLS server",
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_what_is_wrong_with_a_certificate_is_told_at_the_start_and_does_not_prevent_it(place,
                                                                                     wrong):
    leaf = place.authority.leaf(names=[HUB], **WRONG[wrong])
    router, port = place.router(tls_cert=leaf.pem)
    line = f"level=warn msg=\"frontend=f certificate {leaf.pem} ({HUB}): {WORDS[wrong]}\"\n"
    assert re.match(STAMP + re.escape(line), router.log), router.log
    certificate, = tls_of(router)["certificates"]
    assert certificate["problem"] == WORDS[wrong]
    assert shown_to_new(place, port) == leaf.fingerprint
    done = run("-t", "-c", router.path)
    assert (done.returncode, done.stdout) == (0, f"{router.path}: ok\n")
    assert re.fullmatch(STAMP + re.escape(line), done.stderr), done.stderr


def test_names_of_sni_without_a_certificate_are_told(place):
    leaf = place.authority.leaf(names=[HUB, "*.relay.example.com"])
    router, _ = place.router(tls_cert=leaf.pem, sni=[
        f"{HUB} b", "*.relay.example.com b", "a.relay.example.com b", "chat.example.com b",
        "*.example.com b"])
    words = "no certificate is for chat.example.com, *.example.com"
    assert f"level=warn msg=\"frontend=f {words}\"\n" in router.log
    assert tls_of(router)["problem"] == words
    assert words in run("-t", "-c", router.path).stderr


def test_of_very_many_names_only_some_are_told(place):
    leaf = place.authority.leaf(names=[HUB])
    router, _ = place.router(tls_cert=leaf.pem, sni=[f"n{i}.example.org b" for i in range(300)])
    assert tls_of(router)["problem"] == ("no certificate is for " + ", ".join(
        f"n{i}.example.org" for i in range(5)) + " and 295 more")


def test_a_name_that_is_passed_through_needs_no_certificate(place):
    router = place.home.router(frontend("f", free_port(), sni=f"{HUB} b")
                               + tcp_backend(place.server))
    assert tls_of(router) is None and "warn" not in router.log


# --- stats ---


def test_stats_say_what_is_shown_and_how_long_it_lasts(place):
    long = place.authority.leaf(names=[HUB, "*.example.com"], days=90)
    short = place.authority.leaf(names=["b.example.com"], days=5)
    client = place.authority.leaf(name="router", client=True, days=200)
    router, _ = place.router(tls_cert=[long.pem, short.pem], backend={
        "tls": "yes", "tls_ca": place.authority.ca, "tls_cert": client.pem})
    tls = tls_of(router)
    first, second = tls["certificates"]
    assert (first["file"], second["file"]) == (long.pem, short.pem)
    assert (first["names"], second["names"]) == ([HUB, "*.example.com"], ["b.example.com"])
    assert (first["days_left"], second["days_left"]) == (90, 5)
    assert (first["validity"], second["validity"]) == ("good", "soon")
    assert (first["problem"], second["problem"]) == (None, "expires in 5 days")
    end = datetime.datetime.strptime(first["not_after"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert 90 * DAY < end - now() < 91 * DAY
    read = datetime.datetime.strptime(tls["read_at"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert abs(now() - read) < datetime.timedelta(minutes=5)
    assert tls["problem"] is None
    own, = router.stats().backend()["tls"]["certificates"]
    assert (own["file"], own["days_left"]) == (client.pem, 200)
    families = parse_metrics(router.http("/metrics")[1])
    ends = families["router_frontend_certificate_not_after_seconds"][1]
    assert len(ends) == 2
    assert ends[(("proxy", "f"), ("file", long.pem))] == end.replace(
        tzinfo=datetime.timezone.utc).timestamp()
    assert (("proxy", "b"), ("file", client.pem)) in families[
        "router_backend_certificate_not_after_seconds"][1]
    assert families["router_frontend_tls_unread"][1] == {(("proxy", "f"),): 0}


def test_nothing_says_what_a_key_is(place):
    leaf = place.authority.leaf(names=[HUB])
    router, _ = place.router(tls_cert=leaf.cert, tls_key=leaf.key)
    with open(leaf.key, encoding="utf-8") as file:
        secret = file.read().splitlines()[1]
    write(leaf.key, b"half of a key")
    router.wait_for(lambda s: s.frontend()["tls"]["problem"], "the problem to be told")
    for page in ("/", "/stats.json", "/metrics"):
        assert secret not in router.http(page)[1]
    assert secret not in router.log
    for args in (["-t"], ["--dump-config"]):
        done = run(*args, "-c", router.path)
        assert secret not in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start one as somebody else")
@pytest.mark.parametrize("side", ["frontend", "backend"])
def test_a_process_that_knows_a_private_key_is_not_dumpable(place, side):
    """No core, no ptrace by its own user; the kernel gives its files in /proc to root."""
    leaf = place.authority.leaf(names=[HUB])
    os.chown(leaf.pem, NOBODY, NOBODY)
    if side == "frontend":
        sections = place.sections(tls_cert=leaf.pem)
    else:
        sections = frontend("f", free_port()) + tcp_backend(
            place.server, tls="yes", tls_verify="no", tls_cert=leaf.pem)
    router = place.home.router(sections, user=NOBODY)
    assert os.stat(f"/proc/{router.pid}/environ").st_uid == 0


# --- the page ---


@pytest.fixture
def browser(home):
    if CHROMIUM is None:
        pytest.skip("no chromium")
    return home.keep(Browser(width=390, height=844))


def test_the_page_shows_the_days_that_are_left_and_what_is_wrong(place, browser):
    old, soon = (place.authority.leaf(names=[f"{n}.example.com"], days=d) for n, d in
                 (("old", -3), ("soon", 5)))
    good = InPlace(place.home.directory("live"), place.authority.leaf(names=[HUB], days=80))
    router, port = place.router(tls_cert=[good.cert, old.cert, soon.cert],
                                tls_key=[good.key, old.key, soon.key],
                                sni=["chat.example.com b", f"{HUB} b"])
    assert shown_to_new(place, port)
    browser.open(f"http://127.0.0.1:{router.admin_port}/")
    until(lambda: "A certificate of f has expired." in browser.text(), "the page", 20)
    for words in ("80 days left", "5 days left", "expired 2 days ago", "expires in 5 days",
                  "A certificate of f expires soon", HUB, "old.example.com", good.cert,
                  "o certificate is for chat.example.com", "0 failed"):
        assert words in browser.text(), words
    write(good.key, b"")
    until(lambda: "TLS files cannot be used as they are now" in browser.text(),
          "the broken pair on the page", 20)
    assert browser.complaints == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
