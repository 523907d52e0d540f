"""Promise: a session whose server has ended holds its place for tcp_user_timeout at most, unless
bytes still move; who waits when the drain is over is told so."""
import signal
import socket

import pytest

from lib.actor import Actor
from lib.ini import frontend, redis_backend, tcp_backend
from lib.process import free_port
from lib.resp import connect, encode
from lib.sockets import local, read_all
from lib.waiting import SLOW, Clock, holds, until

pytestmark = pytest.mark.sanitize


class Leaver:
    """Says hello; at `quit` it ends its side, and goes on counting what it gets."""

    def __init__(self):
        self.got = 0

    def __call__(self, _server, sock):
        sock.sendall(b"hello")
        while data := sock.recv(65536):
            self.got += len(data)
            if data.startswith(b"quit"):
                sock.shutdown(socket.SHUT_WR)


def greeted(home, port, timeout=5.0):
    sock = home.keep(connect(local(port), timeout * SLOW))
    assert sock.recv(100) == b"hello"
    return sock


def test_places_of_sessions_whose_server_has_ended_come_free(home):
    """Pooled clients do not look; the places they hold are for somebody else."""
    fake = home.fake(Leaver())
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(
        fake, server_max_connections=2, queue_timeout="30s", tcp_user_timeout="1s"))
    idle = [greeted(home, port) for _ in range(2)]
    for sock in idle:
        sock.sendall(b"quit")
    late = greeted(home, port, timeout=4)
    router.wait_for(lambda s: s.server("fake")["sessions"] == 1, "both places to be free")
    late.sendall(b"still served")
    assert [sock.recv(100) for sock in idle] == [b"", b""], "they are told by a FIN"


def test_a_half_closed_server_that_gets_bytes_lives_on(home):
    """It has nothing more to say, but the client has: COPY, a log shipper."""
    leaver = Leaver()
    fake = home.fake(leaver)
    port = free_port()
    home.router(frontend("f", port) + tcp_backend(fake, tcp_user_timeout="1s"))
    client = greeted(home, port)
    client.sendall(b"quit")
    assert client.recv(100) == b""
    sent = 4

    def goes_on():
        nonlocal sent
        sent += client.send(b"x")
        return fake.count() == 1

    holds(goes_on, "the session", 2.5)
    until(lambda: leaver.got == sent, "every byte to arrive")


def test_who_waits_at_the_end_of_the_drain_is_told(home):
    """No primary: 20 clients wait. The text arrives whole, and then a FIN, not a reset."""
    replica = Actor(home, "a")
    port = free_port()
    router = home.router(frontend("f", port) + redis_backend(replica, queue_timeout="30s"),
                         drain_timeout="500ms", start=False)
    router.start(wait=False)
    until(lambda: router.http("/healthz", missing_ok=True)[0] == 200, "the router to live", 10)
    clients = [home.keep(connect(local(port), 10 * SLOW)) for _ in range(20)]
    for client in clients:
        client.sendall(encode("SET", "a", "b"))
    router.wait_for(lambda s: s.backend()["waiting"] == 20, "all to wait")
    clock = Clock()
    router.process.signal(signal.SIGTERM)
    for client in clients:
        text = read_all(client).decode()
        assert text.startswith("-ERR router: ") and text.endswith("\r\n"), repr(text)
    assert clock.passed(0.45), "told before the drain was over"
    router.ended = True
    assert router.process.wait() == 0
    router.check_log()
