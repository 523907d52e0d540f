"""Promise: log_sessions says of each session how it ended and how many bytes went each way: of all
of them, of those that did not end well, or of none."""
import re
import socket

import pytest

from lib.fake import echo, reset
from lib.ini import frontend, section, servers, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_all
from lib.waiting import Clock, until

LINE = re.compile(r'^time=\S+Z level=info msg="session end=\\"([\w ]+)\\" frontend=(\S+)'
                  r' backend=(\S+) server=(\S+)'
                  r' ms=(\d+) in=(\d+) out=(\d+)"$', re.M)


def echo_or_reset(server, sock):
    """Echoes; closes with a RST when it is told to."""
    while data := sock.recv(65536):
        if data == b"reset":
            reset(sock)
            return
        sock.sendall(data)


class Sessions:
    """A router whose sessions end in a way we choose; `lines` is what the log says of them."""

    def __init__(self, home, wanted, backend=None, router_keys=None, **frontend_keys):
        self.home = home
        self.fake = home.fake(echo_or_reset, "one")
        self.port = free_port()
        keys = {} if wanted is None else {"log_sessions": wanted}
        self.router = home.router(
            frontend("f", self.port, route="any", **frontend_keys)
            + (backend or tcp_backend(self.fake)), **keys, **(router_keys or {}))

    @property
    def lines(self):
        """(end, server, bytes in, bytes out) of each line."""
        log = self.router.log
        found = LINE.findall(log)
        assert all(line[1:3] == ("f", "b") for line in found), found
        assert len(found) == log.count("session end="), log
        return [(end, server, int(came), int(went))
                for end, _, _, server, _, came, went in found]

    def wait_lines(self, count):
        until(lambda: len(self.lines) >= count, f"{count} lines:\n{self.router.log}")
        return self.lines

    def talk(self, data):
        sock = self.home.keep(connect(local(self.port)))
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


def test_all_has_one_line_for_each_session(home):
    """In the order of their ends; the bytes are the client's, in and out."""
    place = Sessions(home, "all")
    place.end_well(b"x" * 1234)
    place.wait_lines(1)
    reset(place.talk(b"y" * 77))
    place.wait_lines(2)
    connect(local(place.port)).close()
    place.wait_none()
    assert place.wait_lines(3) == [("done", "one", 1234, 1234), ("client failed", "one", 77, 77),
                                   ("done", "one", 0, 0)]


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
    assert place.wait_lines(1) == [("done", "short", 100_000, 5)]


def test_errors_are_only_those_that_did_not_end_well(home):
    place = Sessions(home, "errors")
    for _ in range(5):
        place.end_well(b"fine")
    place.wait_none()
    reset(place.talk(b"abc"))
    assert place.wait_lines(1) == [("client failed", "one", 3, 3)]
    sock = place.talk(b"abcd")
    sock.sendall(b"reset")
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    assert place.wait_lines(2)[1:] == [("server failed", "one", 9, 4)]
    place.end_well(b"fine")
    place.wait_none()
    assert len(place.lines) == 2


@pytest.mark.parametrize("wanted", ["no", None], ids=["no", "by default"])
def test_no_is_silent(home, wanted):
    place = Sessions(home, wanted)
    place.end_well(b"fine")
    reset(place.talk(b"abc"))
    place.wait_none()
    place.router.stop()
    assert place.lines == []


def test_an_idle_session_ended_well(home):
    place = Sessions(home, "errors", idle_timeout="100ms")
    assert place.talk(b"x").recv(1) == b""
    place.wait_none()
    assert place.lines == []
    place = Sessions(home, "all", idle_timeout="100ms")
    assert place.talk(b"x").recv(1) == b""
    assert place.wait_lines(1) == [("idle", "one", 1, 1)]


def test_who_never_met_a_server_has_a_line_without_one(home):
    """Refused for want of a place, and one that was cut off while it waited."""
    fake = home.fake(echo, "one")
    backend = section("backend b", protocol="redis", probe="off", server=servers(fake),
                      server_max_connections=1, queue_timeout="300ms")
    place = Sessions(home, "errors", backend=backend)
    place.talk(b"x")
    with connect(local(place.port)) as sock:
        assert read_all(sock).startswith(b"-ERR router: ")
    assert [line[:2] for line in place.wait_lines(1)] == [("refused", "-")]
    leaver = connect(local(place.port))
    place.router.wait_for(lambda s: s.backend()["waiting"] == 1, "it to wait")
    reset(leaver)
    assert [line[:2] for line in place.wait_lines(2)[1:]] == [("client left", "-")]


def test_a_line_tells_how_long_the_session_was(home):
    place = Sessions(home, "all")
    whole = Clock()
    sock = place.talk(b"x")
    clock = Clock()
    until(lambda: clock.passed(0.2), "a session of 200 ms")
    sock.close()
    place.wait_lines(1)
    took = int(LINE.search(place.router.log)[5])
    assert 190 <= took <= whole.seconds() * 1000 + 5


def test_a_session_that_the_shutdown_cut_has_a_line(home):
    place = Sessions(home, "errors", router_keys={"drain_timeout": "100ms"})
    place.talk(b"x")
    place.router.stop()
    assert place.lines == [("shutdown", "one", 1, 1)]
