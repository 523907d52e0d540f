"""Promise: log_sessions says of each session how it ended, what it waited for and how many bytes
went each way: of all of them, of those that did not end well, or of none."""
import json
import re
import socket

import pytest

from lib import tls_place
from lib.fake import echo, hold, reset
from lib.ini import frontend, redis_backend, section, servers, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.runtime import control_of
from lib.sockets import local, read_all
from lib.waiting import Clock, until

FIELD = re.compile(r' (\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


def echo_or_reset(server, sock):
    """Echoes; closes with a RST when it is told to."""
    while data := sock.recv(65536):
        if data == b"reset":
            reset(sock)
            return
        sock.sendall(data)


def parse(line):
    """The fields of a line of logfmt or JSON; None if it is not about a session."""
    if line.startswith("{"):
        fields = {key: str(value) for key, value in json.loads(line).items()}
    else:
        fields = {key: quoted or bare for key, quoted, bare in FIELD.findall(" " + line)}
    return fields if fields.get("msg") == "session" else None


class Sessions:
    """A router whose sessions end in a way we choose; `told` is what the log says of them."""

    def __init__(self, home, wanted, backend=None, router_keys=None, **frontend_keys):
        self.home = home
        self.fake = home.fake(echo_or_reset, "one")
        self.port = free_port()
        keys = {} if wanted is None else {"log_sessions": wanted}
        self.router = home.router(
            frontend("f", self.port, **{"route": "any", **frontend_keys})
            + (backend or tcp_backend(self.fake)), **keys, **(router_keys or {}))

    @property
    def told(self):
        """The fields of each line."""
        found = [fields for fields in map(parse, self.router.log.splitlines()) if fields]
        assert all((f["frontend"], f["backend"], f["level"]) == ("f", "b", "info")
                   for f in found), found
        return found

    @property
    def lines(self):
        """(end, code, server, bytes in, bytes out) of each line."""
        return [(f["end"], f["code"], f["server"], int(f["in"]), int(f["out"])) for f in self.told]

    def wait_lines(self, count):
        until(lambda: len(self.lines) >= count, f"{count} lines:\n{self.router.log}")
        return self.lines

    def connect(self):
        return self.home.keep(connect(local(self.port)))

    def talk(self, data):
        sock = self.connect()
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            got += sock.recv(65536)
        return sock

    def end_well(self, data):
        with self.talk(data) as sock:
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""

    def wait_none(self):
        self.router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")


def ended(sock):
    """Reads until it is closed, in whichever way."""
    try:
        return read_all(sock)
    except ConnectionResetError:
        return b""


@pytest.mark.sanitize
@pytest.mark.parametrize("form", ["text", "json"])
def test_all_has_one_line_for_each_session(home, form):
    """In the order of their ends; the bytes are the client's, in and out."""
    place = Sessions(home, "all", router_keys={"log_format": form})
    place.end_well(b"x" * 1234)
    place.wait_lines(1)
    sock = place.talk(b"y" * 77)
    client = "%s:%d" % sock.getsockname()
    reset(sock)
    place.wait_lines(2)
    connect(local(place.port)).close()
    place.wait_none()
    assert place.wait_lines(3) == [("done", "--", "one", 1234, 1234),
                                   ("client failed", "CD", "one", 77, 77),
                                   ("done", "--", "one", 0, 0)]
    second = place.told[1]
    assert second["client"] == client  # although the socket could not tell any more
    assert (second["queue_ms"], "retries" in second, "place_in_queue" in second) \
        == ("0", False, False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", second["time"])


def test_in_and_out_are_not_mixed_up(home):
    """A server that answers less than it gets."""
    def short(_server, sock):
        while sock.recv(65536):
            pass
        sock.sendall(b"12345")

    place = Sessions(home, "all", backend=tcp_backend(home.fake(short, "short")))
    with connect(local(place.port)) as sock:
        sock.sendall(b"x" * 100_000)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"12345"
    assert place.wait_lines(1) == [("done", "--", "short", 100_000, 5)]


def test_errors_are_only_those_that_did_not_end_well(home):
    place = Sessions(home, "errors", idle_timeout="200ms")
    for _ in range(5):
        place.end_well(b"fine")
    place.wait_none()
    reset(place.talk(b"abc"))
    assert place.wait_lines(1) == [("client failed", "CD", "one", 3, 3)]
    sock = place.talk(b"abcd")
    sock.sendall(b"reset")
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    assert place.wait_lines(2)[1:] == [("server failed", "SD", "one", 9, 4)]
    assert place.talk(b"x").recv(1) == b""
    assert place.wait_lines(3)[2:] == [("idle", "cD", "one", 1, 1)]
    place.end_well(b"fine")
    place.wait_none()
    assert len(place.lines) == 3


@pytest.mark.parametrize("wanted", ["no", None], ids=["no", "by default"])
def test_no_is_silent(home, wanted):
    place = Sessions(home, wanted)
    place.end_well(b"fine")
    reset(place.talk(b"abc"))
    place.wait_none()
    place.router.stop()
    assert place.lines == []


def test_who_never_met_a_server_has_a_line_without_one(home):
    """Too late for want of a place, too many who wait, and one that was cut off while it waited."""
    fake = home.fake(echo, "one")
    backend = section("backend b", protocol="redis", probe="off", server=servers(fake),
                      server_max_connections=1, queue_timeout="300ms", queue_limit=1)
    place = Sessions(home, "errors", backend=backend)
    place.talk(b"x")
    with connect(local(place.port)) as sock:
        place.router.wait_for(lambda s: s.backend()["waiting"] == 1, "it to wait")
        with connect(local(place.port)) as other:
            assert read_all(other).startswith(b"-ERR router: ")
        assert [line[:3] for line in place.wait_lines(1)] == [("queue full", "PQ", "-")]
        assert read_all(sock).startswith(b"-ERR router: ")
    assert [line[:3] for line in place.wait_lines(2)[1:]] == [("queue timeout", "sQ", "-")]
    late = place.told[1]
    assert late["place_in_queue"] == "1" and int(late["queue_ms"]) >= 295
    assert "connect_ms" not in late
    leaver = connect(local(place.port))
    place.router.wait_for(lambda s: s.backend()["waiting"] == 1, "it to wait")
    reset(leaver)
    assert [line[:3] for line in place.wait_lines(3)[2:]] == [("client left", "CQ", "-")]


@pytest.mark.sanitize
def test_caps_and_what_is_not_expected(home):
    """PC: a cap. PR: no PROXY header. cR: none in time. CR: left in the midst of it."""
    place = Sessions(home, "errors", max_sessions=1)
    place.talk(b"x")
    ended(place.connect())
    assert place.wait_lines(1) == [("refused", "PC", "-", 0, 0)]
    place = Sessions(home, "errors", accept_proxy="yes", allow="127.0.0.1",
                     handshake_timeout="300ms", deny="10.9.9.9")
    with place.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        ended(sock)
    place.wait_lines(1)
    with place.connect() as sock:
        sock.sendall(b"PROXY TCP4 10.9.9.9 10.0.0.1 1234 5678\r\n")
        ended(sock)
    place.wait_lines(2)
    with place.connect() as sock:
        sock.sendall(b"PROXY TCP4 ")
        ended(sock)
    place.wait_lines(3)
    with place.connect() as sock:
        sock.sendall(b"PROXY TCP4 ")
    assert [line[:3] for line in place.wait_lines(4)] == [
        ("refused", "PR", "-"), ("refused", "PR", "-"), ("client too slow", "cR", "-"),
        ("client left", "CR", "-")]
    assert place.told[1]["client"] == "10.9.9.9:1234"


def test_the_client_is_the_one_that_a_proxy_header_names(home):
    place = Sessions(home, "all", accept_proxy="yes", allow="127.0.0.1",
                     router_keys={"log_format": "haproxy"})
    with place.connect() as sock:
        sock.sendall(b"PROXY TCP6 2001:db8::9 2001:db8::1 4321 6379\r\nhello")
        assert sock.recv(5) == b"hello"
    until(lambda: re.search(r"^2001:db8::9:4321 \[[^ ]+\] f b/one 0/\d+/\d+ 5 -- 1/1/0/0/0 0/0$",
                            place.router.log, re.M), f"its line: {place.router.log}")


def test_where_tls_ended_the_frontend_is_marked(home):
    """As HAProxy does; and a client that breaks its handshake off has no server."""
    place = tls_place.Place(home)
    port = free_port()
    leaf = place.authority.leaf(names=[tls_place.HUB])
    router = home.router(place.sections(port, tls_cert=leaf.pem), log_format="haproxy",
                         log_sessions="all")
    with tls_place.connect(place, port) as session:
        assert tls_place.echoes(session)
    until(lambda: re.search(r" f~ b/fake 0/\d+/\d+ 10 -- ", router.log),
          f"its line: {router.log}")
    with connect(local(port)) as sock:
        sock.sendall(b"\x16\x03\x01")
    until(lambda: re.search(r" f b/<NOSRV> -1/-1/\d+ 0 CR 1/1/0/0/0 0/0$", router.log, re.M),
          f"its line: {router.log}")


def test_a_client_of_a_unix_socket_is_called_unix(home):
    path = f"{home.path}/front"
    port = free_port()
    router = home.router(frontend("f", f"unix:{path}") + frontend("g", port)
                         + tcp_backend(home.fake(echo, "one")), log_format="haproxy",
                         log_sessions="all")
    with connect(path) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    until(lambda: re.search(r"^unix:1 \[[^ ]+\] f b/one ", router.log, re.M),
          f"its line: {router.log}")


def test_a_server_that_lost_its_role(home):
    a, b = home.redis_group("a", "b")
    place = Sessions(home, "errors", backend=redis_backend(a, b), route="primary")
    place.router.wait_primary("a")
    sock = place.connect()
    sock.sendall(b"PING\r\n")
    assert sock.recv(100) == b"+PONG\r\n"
    b.promote()
    a.follow(b)
    assert ended(sock) == b""
    assert place.wait_lines(1)[0][:3] == ("fenced", "DD", "a")


def test_a_client_that_leaves_before_its_first_message(home):
    backend = section("backend b", protocol="pgsql", probe="off",
                      server=servers(home.fake(hold, "one")))
    place = Sessions(home, "errors", backend=backend)
    place.connect().close()
    assert place.wait_lines(1) == [("client left", "CR", "-", 0, 0)]


def test_a_line_tells_how_long_the_session_was(home):
    place = Sessions(home, "all")
    whole = Clock()
    sock = place.talk(b"x")
    clock = Clock()
    until(lambda: clock.passed(0.2), "a session of 200 ms")
    sock.close()
    place.wait_lines(1)
    took = int(place.told[0]["ms"])
    assert 190 <= took <= whole.seconds() * 1000 + 5


def test_a_session_that_an_operator_ended_has_a_line(home):
    keys, runtime = control_of(home)
    place = Sessions(home, "errors", router_keys=keys)
    place.talk(b"x")
    runtime.ok("shutdown sessions server b/one")
    assert place.wait_lines(1) == [("killed", "KD", "one", 1, 1)]


def test_a_session_that_the_shutdown_cut_has_a_line(home):
    place = Sessions(home, "errors", router_keys={"drain_timeout": "100ms"})
    place.talk(b"x")
    place.router.stop()
    assert place.lines == [("shutdown", "KD", "one", 1, 1)]
