"""Who may wait for a pooled connection, and what becomes of who may not."""
import pytest

from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.resp import Closed, Resp, RespError, encode
from lib.sockets import local

pytestmark = pytest.mark.sanitize


def staged(home, **keys):
    server = home.redis("a")
    port = free_port()
    router = home.router(frontend("f", port, pool_mode="transaction")
                         + redis_backend(server, **keys), workers=1)
    router.wait_primary("a")
    return server, router, local(port)


def lose(server, router):
    server.kill()
    router.wait_for(lambda s: s.backend()["primary"] is None or s.server("a")["access"] != "open",
                    "the primary to be lost")


def is_ended(client):
    with pytest.raises((Closed, ConnectionError)):
        client.read()


def test_subscribers_that_may_not_wait_for_a_primary_are_ended(home):
    server, router, address = staged(home, queue_limit=1, queue_timeout="60s")
    clients = [Resp(address) for _ in range(3)]
    for client in clients:
        client.call("SUBSCRIBE", "news")
    lose(server, router)
    ended = 0
    for client in clients:
        client.sock.settimeout(1)
        try:
            is_ended(client)
            ended += 1
        except TimeoutError:  # the one for which there was room
            pass
    assert ended == 2
    with Resp(address) as other:
        assert other.call("GET", "k") == RespError("ERR router: no primary in time")


def test_subscribers_wait_for_a_primary_for_as_long_as_others(home):
    server, router, address = staged(home, queue_timeout="300ms")
    with Resp(address) as client:
        client.call("SUBSCRIBE", "news")
        lose(server, router)
        is_ended(client)


def test_a_long_command_waits_for_a_primary_for_as_long_as_others(home):
    server, router, address = staged(home, queue_limit=1, queue_timeout="300ms")
    lose(server, router)
    for _ in range(2):
        with Resp(address) as client:
            client.sock.sendall(encode("SET", "k", "x" * 100000)[:50000])
            is_ended(client)


def test_who_waits_for_a_connection_that_is_being_made_needs_no_place(home):
    _, _, address = staged(home, queue_limit=0)
    clients = [Resp(address) for _ in range(20)]
    for client in clients:
        client.send("PING")
    assert [client.read() for client in clients] == ["PONG"] * 20
