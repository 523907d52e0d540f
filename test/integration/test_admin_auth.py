"""Promise: with a password nobody sees numbers without it, and guessing it is slow; neither
disturbs those who know it, nor probes of an orchestrator."""
import base64
import http.client
import os
import socket

import pytest

from lib.admin import CLOSE, read_answer, request
from lib.fake import echo
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.sockets import local
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize

GUARDED = ("/", "/stats.json", "/metrics", "/nothing")
OPEN = {"/healthz": b"ok\n", "/readyz": b"ready\n", "/readyz?backends": b"ready\n"}
BURST = 5           # src/ctl/authorize.h


def basic(user, password):
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Guarded:
    def __init__(self, home, **router_keys):
        self.file = home.file("password", "s3cret-Ü:x\n")
        self.router = home.router(
            frontend("f", free_port()) + tcp_backend(home.fake(echo)),
            admin_user="ops", admin_password_file=self.file, **router_keys)

    def connect(self, source="127.0.0.1"):
        sock = socket.socket()
        sock.bind((source, 0))
        sock.settimeout(8 * SLOW)
        sock.connect(local(self.router.admin_port))
        return sock

    def ask(self, path, *fields, source="127.0.0.1", method="GET"):
        with self.connect(source) as sock, sock.makefile("rb") as file:
            sock.sendall(request(path, CLOSE, *fields, method=method))
            return read_answer(file, head_only=method == "HEAD")


RIGHT = basic("ops", "s3cret-Ü:x")


@pytest.fixture(scope="module")
def guarded(shared_home):
    return Guarded(shared_home)


def test_all_but_what_orchestrators_ask_needs_the_password(guarded):
    for path in GUARDED:
        for method in ("GET", "HEAD"):
            status, fields, body = guarded.ask(path, method=method)
            assert status == 401, path
            assert fields["www-authenticate"] == 'Basic realm="router", charset="UTF-8"'
            assert b"redis" not in body and len(body) < 100
        assert guarded.ask(path, RIGHT)[0] == (404 if path == "/nothing" else 200)
    for path, body in OPEN.items():
        assert guarded.ask(path)[::2] == (200, body)
        assert guarded.ask(path, basic("who", "ever"))[::2] == (200, body)


def test_a_reload_does_not_open_an_address_that_others_reach(home):
    """The file has a loopback address now, but that is there with the next start only."""
    sections = frontend("f", free_port()) + tcp_backend(home.fake(echo))
    words = {"admin_user": "ops", "admin_password": "one"}
    router = home.router(sections, start=False, **words)
    router.write(sections, admin=f"0.0.0.0:{router.admin_port}")
    router.start()
    for admin in (f"0.0.0.0:{router.admin_port}", f"127.0.0.1:{router.admin_port}"):
        router.reload(sections, taken=False, admin=admin, admin_user=[], admin_password=[])
        assert router.http("/stats.json")[0] == 401
    assert "until the next start" in router.log
    router.reload(sections, **words)  # that another address will be there is no reason to refuse
    router.reload(sections, admin_open="yes", admin_user=[], admin_password=[])
    assert router.http("/stats.json")[0] == 200  # it was said so


def test_a_connection_goes_on_after_it_was_asked(guarded):
    with guarded.connect() as sock, sock.makefile("rb") as file:
        for field, status in (("X: y", 401), (RIGHT, 200), ("X: y", 401), (RIGHT, 200)):
            sock.sendall(request("/stats.json", field))
            assert read_answer(file)[0] == status


def test_only_the_very_words_count(guarded):
    right = base64.b64encode("ops:s3cret-Ü:x".encode()).decode()
    wrong = [basic("ops", "s3cret-Ü:"), basic("ops", "s3cret-Ü:xx"), basic("ops", ""),
             basic("", "s3cret-Ü:x"), basic("op", "s3cret-Ü:x"), basic("Ops", "s3cret-Ü:x"),
             basic("ops", "s3cret-Ü:x\0"), basic("ops\0", "s3cret-Ü:x"),
             f"Authorization: Basic {right[:-1]}", f"Authorization: Basic {right}=",
             f"Authorization: Bearer {right}", f"Authorization: Basic{right}",
             "Authorization: Basic", "Authorization:", "Authorization: Basic ====",
             "Authorization: Basic b3Bz", "Authorization: Basic " + "A" * 4000,
             f"Authorization: Basic {right}\r\nX-Authorization: {right}x"]
    for i, field in enumerate(wrong[:-1]):
        assert guarded.ask("/", field, source=f"127.0.2.{i + 1}")[0] == 401, field
    assert guarded.ask("/", wrong[-1])[0] == 200        # another field is not looked at
    assert guarded.ask("/", f"authorization:  bAsIc  {right} ")[0] == 200
    assert guarded.ask("/", RIGHT, RIGHT)[0] == 400     # which of them counts?


def test_guessing_is_slowed_for_the_guesser_alone(guarded):
    with guarded.connect("127.0.3.1") as known, known.makefile("rb") as file:
        known.sendall(request("/", RIGHT))
        assert read_answer(file)[0] == 200
        got = [guarded.ask("/", basic("ops", str(i)), source="127.0.3.1")[0] for i in range(30)]
        assert got[:BURST] == [401] * BURST
        assert 429 in got and got.count(401) < 20 * SLOW
        status, fields, _ = guarded.ask("/", basic("ops", "x"), source="127.0.3.1")
        while status != 429:        # a slow machine had a turn again meanwhile
            status, fields, _ = guarded.ask("/", basic("ops", "x"), source="127.0.3.1")
        assert fields["retry-after"] == "1"
        # Others, who knew it before, and what is open: as ever.
        assert guarded.ask("/", RIGHT, source="127.0.3.2")[0] == 200
        known.sendall(request("/", RIGHT))
        assert read_answer(file)[0] == 200
        assert guarded.ask("/healthz", source="127.0.3.1")[0] == 200
    until(lambda: guarded.ask("/", RIGHT, source="127.0.3.1")[0] == 200, "it to be forgiven", 10)


def test_guesses_from_very_many_addresses_are_bounded_in_memory_and_harmless(guarded):
    for i in range(200):
        assert guarded.ask("/", basic("ops", "x"), source=f"127.1.{i}.1")[0] == 401
    assert guarded.ask("/", RIGHT)[0] == 200


def test_the_password_changes_with_its_file(guarded):
    with open(guarded.file + ".new", "w", encoding="utf-8") as file:
        file.write("another")
    os.rename(guarded.file + ".new", guarded.file)
    until(lambda: guarded.ask("/", basic("ops", "another"), source="127.0.4.1")[0] == 200,
          "the new password to count", 10)
    assert guarded.ask("/", RIGHT, source="127.0.4.2")[0] == 401
    os.unlink(guarded.file)
    until(lambda: "cannot be read again" in guarded.router.log, "that to be told", 10)
    assert guarded.ask("/", basic("ops", "another"))[0] == 200
    for secret in ("s3cret", "another", RIGHT.split()[-1]):
        assert secret not in guarded.router.log


def test_metrics_may_be_open_alone(home):
    guarded = Guarded(home, metrics_open="yes")
    assert guarded.ask("/metrics")[0] == 200
    for path in GUARDED:
        assert guarded.ask(path)[0] == (200 if path == "/metrics" else 401)
    connection = http.client.HTTPConnection(*local(guarded.router.admin_port), timeout=8 * SLOW)
    connection.request("GET", "/stats.json", headers=dict([RIGHT.split(": ")]))
    assert b"s3cret" not in connection.getresponse().read()
    connection.close()
