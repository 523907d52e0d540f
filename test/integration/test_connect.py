"""Promise: a connect that fails or times out tries the next server and has the first one probed."""
import socket
import time

import pytest

from lib.fake import fake_redis, name_then_echo, primary_answers
from lib.ini import frontend, redis_backend, section, tcp_backend
from lib.process import free_port
from lib.resp import Resp, RespError, connect
from lib.sockets import local, where
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize


class Nobody:
    """An address where connects are refused."""
    name = "nobody"

    def __init__(self):
        self.text = f"127.0.0.1:{free_port()}"


class Deaf:
    """An address whose kernel does not answer connects: its accept queue is full."""
    name = "deaf"

    def __init__(self):
        self.listener = socket.socket()
        self.port = free_port()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(local(self.port))
        self.listener.listen(0)
        self.fillers = []
        until(self._full, "the accept queue to be full")

    def _full(self):
        try:
            self.fillers.append(connect(local(self.port), 0.1))
        except TimeoutError:
            return True
        return False

    @property
    def text(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        for sock in self.fillers:
            sock.close()
        self.listener.close()


def routed(home, backend, **keys):
    port = free_port()
    return home.router(frontend("f", port) + backend, **keys), local(port)


def test_a_refused_connect_goes_on_to_the_next_server(home):
    good = home.fake(name_then_echo, "good")
    router, address = routed(home, tcp_backend(Nobody(), good, balance="first"))
    assert [where(address) for _ in range(10)] == ["good"] * 10
    stats = router.stats()
    assert stats.server("nobody")["connect_errors"] >= 1
    assert stats.server("nobody")["retries"] >= 1
    assert stats.server("nobody")["sessions"] == 0
    assert stats.server("good")["sessions_total"] == 10


def test_a_connect_that_times_out_goes_on_to_the_next_server(home):
    deaf, good = home.keep(Deaf()), home.fake(name_then_echo, "good")
    router, address = routed(home, tcp_backend(deaf, good, balance="first",
                                               connect_timeout="200ms"))
    began = time.monotonic()
    assert where(address) == "good"
    assert 0.15 <= time.monotonic() - began < 10 * SLOW
    assert router.stats().server("deaf")["connect_errors"] == 1


def test_what_the_client_sent_while_it_waited_reaches_the_next_server(home):
    deaf, good = home.keep(Deaf()), home.fake(name_then_echo, "good")
    _, address = routed(home, tcp_backend(deaf, good, balance="first", connect_timeout="300ms"))
    payload = bytes(range(256)) * 1000
    with connect(address, 10) as client:
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while data := client.recv(65536):
            got += data
    assert got == b"good\n" + payload


@pytest.mark.parametrize("kind", ["tcp", "redis"])
def test_a_failed_connect_has_the_server_probed_at_once(home, kind):
    """The interval of the probes is a minute: only the doubt can have brought the news."""
    handler = name_then_echo if kind == "tcp" else fake_redis(primary_answers)
    one, two = home.fake(handler, "one"), home.fake(handler, "two")
    slow = {"probe_interval": "60s", "probe_fast_interval": "20ms"}
    if kind == "tcp":
        backend = tcp_backend(one, two, balance="first", probe="connect", **slow)
    else:
        backend = section("backend b", protocol="redis", balance="first", probe="connect", **slow,
                          server=[f"one {one.text}", f"two {two.text}"])
    port = free_port()
    router = home.router(frontend("f", port, route="any") + backend)
    router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]), "both up")
    one.close()
    connect(local(port)).close()
    router.wait_for(lambda s: s.server("one")["state"] == "down", "one to be down", 20)


def test_a_client_is_told_when_no_server_takes_the_connect(home):
    """In its own language, and within the time of the retries, not of the queue."""
    port = free_port()
    backend = section("backend b", protocol="redis", probe="off", queue_timeout="300ms",
                      server=[f"one 127.0.0.1:{free_port()}", f"two 127.0.0.1:{free_port()}"])
    router = home.router(frontend("f", port, route="any") + backend)
    for _ in range(20):
        with Resp(local(port)) as client:
            answer = client.call("PING")
            assert isinstance(answer, RespError) and answer.startswith("ERR router: "), answer
    frontend_stats = router.stats().frontend()
    assert frontend_stats["refused_connect"] + frontend_stats["refused_queue"] == 20
    assert frontend_stats["held"] == 20, "each waited when both had refused, and counts once"
    assert router.stats()["router"]["sessions"] == 0


def test_connect_retries_bounds_the_attempts(home):
    """One more server is tried, not all of them."""
    port = free_port()
    good = home.fake(name_then_echo, "good")
    bad = [f"bad{n} 127.0.0.1:{free_port()}" for n in range(2)]
    backend = section("backend b", protocol="tcp", probe="off", balance="first", connect_retries=1,
                      queue_timeout="200ms", server=[*bad, f"good {good.text}"])
    home.router(frontend("f", port) + backend)
    with connect(local(port)) as client:
        assert client.recv(10) == b""
    assert good.accepted == 0


def test_a_primary_that_refuses_a_connect_is_probed_at_once(home):
    """With a Redis' role probe: the lost probe connection and the failed connect agree."""
    primary = home.fake(fake_redis(primary_answers), "one")
    port = free_port()
    router = home.router(frontend("f", port) + redis_backend(primary, probe_interval="60s",
                                                            queue_timeout="300ms"))
    router.wait_primary("one")
    primary.close()
    with Resp(local(port)) as client:
        assert isinstance(client.call("PING"), RespError)
    router.wait_for(lambda s: s.server("one")["state"] != "up", "one not to be up", 20)
