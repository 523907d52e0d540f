"""Promise: a client that is slow in its handshake, or never goes on with it, costs others nothing;
what a cap has to say to a client is said under TLS."""
import contextlib
import socket
import ssl
import threading

import pytest

from lib.certificates import Authority
from lib.fake import echo
from lib.ini import frontend, section, tcp_backend
from lib.process import free_port
from lib.sockets import read_all
from lib.waiting import SLOW, holds

pytestmark = pytest.mark.sanitize


@pytest.fixture(name="authority", scope="module")
def one_authority(shared_home):
    return Authority(shared_home.directory("ca"), "Test CA")


def start(home, authority, back=None, workers=1, **keys):
    port = free_port()
    keys.setdefault("tls", "yes")
    if keys["tls"] == "yes":
        keys["tls_cert"] = authority.leaf(names=["hub.example.com"]).pem
    back = back or tcp_backend(home.fake(echo, "one"))
    return home.router(frontend("f", port, **keys) + back, workers=workers), port


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 30 * SLOW)


def secure(authority, port):
    context = ssl.create_default_context(cafile=authority.ca)
    return context.wrap_socket(connect(port), server_hostname="hub.example.com")


def hello():
    context = ssl.create_default_context()
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="hub.example.com").do_handshake()
    return sent.read()


def stall(home, port):
    """A client that says hello and nothing more; the router's answer shows that it has its turn."""
    client = home.keep(connect(port))
    client.sendall(hello())
    assert client.recv(1) == b"\x16"
    return client


def talks(client):
    client.sendall(b"x" * 1000)
    got = b""
    while len(got) < 1000:
        got += client.recv(1000)
    return got == b"x" * 1000


def refused(router, key, count):
    router.wait_for(lambda s: s.frontend("f")[key] == count, f"{count} of {key}")


def test_who_stalls_gives_its_turn_to_who_waits(home, authority):
    router, port = start(home, authority, max_handshakes=2, handshake_timeout="60s")
    stalled = [stall(home, port) for _ in range(2)]
    with secure(authority, port) as client:
        assert talks(client)
    read_all(stalled[0])  # ends: the oldest one went
    assert router.stats().frontend("f")["tls_failed"] == 1
    assert "its handshake stands still, and others wait" in router.log
    stalled[1].setblocking(False)
    stalled[1].recv(65536)
    holds(lambda: alive(stalled[1]), "the other one to be left alone", 0.3)


def alive(client):
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True


def test_nobody_loses_its_turn_while_nobody_waits(home, authority):
    _, port = start(home, authority, max_handshakes=2, handshake_timeout="60s")
    client = stall(home, port)
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        client.recv(65536)
    holds(lambda: alive(client), "it to be left alone", 2.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crowd_takes_turns_and_all_come_in(home, authority, workers):
    router, port = start(home, authority, max_handshakes=2, workers=workers)
    context = ssl.create_default_context(cafile=authority.ca)
    well = []

    def come():
        for _ in range(10):  # few threads: who is kept from going on for a second loses its turn
            with context.wrap_socket(connect(port), server_hostname="hub.example.com") as client:
                well.append(talks(client))

    threads = [threading.Thread(target=come, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * SLOW)
    assert well == [True] * 80
    now = router.stats().frontend("f")
    assert now["tls_handshakes"] == 80 and now["tls_failed"] == 0


def test_half_a_hello_takes_no_turn(home, authority):
    _, port = start(home, authority, max_handshakes=1, handshake_timeout="60s")
    slow = [home.keep(connect(port)) for _ in range(20)]
    for client in slow:
        client.sendall(hello()[:-1])
    with secure(authority, port) as client:
        assert talks(client)


def test_a_handshake_has_its_time(home, authority):
    router, port = start(home, authority, handshake_timeout="300ms")
    read_all(stall(home, port))  # ends
    refused(router, "tls_failed", 1)
    with connect(port) as client:
        client.sendall(hello()[:20])
        assert read_all(client) == b""
    refused(router, "refused_hello", 1)


def test_a_port_that_is_only_tried_is_no_refusal(home, authority):
    router, port = start(home, authority)
    for _ in range(5):
        connect(port).close()
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "them to be gone")
    now = router.stats().frontend("f")
    assert (now["refused_hello"], now["tls_failed"]) == (0, 0)
    assert "refused" not in router.log


def test_a_cap_is_told_under_tls(home, authority):
    server = home.redis("redis")
    back = section("backend b", protocol="redis", probe="off", server=f"one {server.text}")
    router, port = start(home, authority, back, max_sessions=1, route="any")
    with secure(authority, port) as first:
        first.sendall(b"PING\r\n")
        assert first.recv(100) == b"+PONG\r\n"
        with secure(authority, port) as second:
            second.sendall(b"PING\r\n")
            assert second.recv(1000).startswith(b"-ERR")
        first.sendall(b"PING\r\n")
        assert first.recv(100) == b"+PONG\r\n"
    now = router.stats().frontend("f")
    assert (now["refused_sessions"], now["tls_handshakes"]) == (1, 2)


def test_places_at_the_edge_count_and_come_back(home, authority):
    """Who is at the edge has its place among max_sessions; who leaves there gives it back."""
    router, port = start(home, authority, max_sessions=3)
    waiting = [home.keep(connect(port)) for _ in range(3)]
    router.wait_for(lambda s: s.frontend("f")["sessions"] == 3, "three at the edge")
    for client in waiting:
        client.close()
    router.wait_for(lambda s: s.frontend("f")["sessions"] == 0, "their places")
    with secure(authority, port) as client:
        assert talks(client)


def test_who_has_heard_the_end_may_be_back_at_once(home, authority):
    """Its place is free before close_notify tells it so."""
    router, port = start(home, authority, workers=2, max_sessions_per_ip=1)
    for _ in range(60):
        with secure(authority, port) as client:
            assert talks(client)
            client.unwrap().close()
    assert router.stats().frontend("f")["refused_sessions"] == 0


def test_who_is_only_to_be_refused_takes_no_place_from_others(home, authority):
    """One address that is over its cap, and does not go on with its handshakes."""
    router, port = start(home, authority, max_sessions=3, max_sessions_per_ip=1,
                         handshake_timeout="600s")
    flood = [home.keep(connect(port)) for _ in range(20)]
    for client in flood:
        client.sendall(hello())
        assert client.recv(1) == b"\x16"
    now = router.stats()
    assert (now["router"]["sessions"], now.frontend("f")["sessions"]) == (1, 1)
    other = socket.create_connection(("127.0.0.1", port), 30 * SLOW, ("127.0.0.2", 0))
    context = ssl.create_default_context(cafile=authority.ca)
    with context.wrap_socket(other, server_hostname="hub.example.com") as client:
        assert talks(client)
