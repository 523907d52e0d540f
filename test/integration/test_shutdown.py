"""Promise: SIGTERM drains and leaves with 0; the second one ends at once; SIGPIPE never kills."""
import signal
import threading
import time

import pytest

from lib.fake import echo, hold, name_then_echo, reset
from lib.ini import frontend, redis_backend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_line, refused
from lib.waiting import SLOW, Clock, holds, until

pytestmark = pytest.mark.sanitize


def relay(home, handler=echo, **router_keys):
    fake = home.fake(handler)
    port = free_port()
    return fake, home.router(frontend("f", port) + tcp_backend(fake), **router_keys), local(port)


def begin_drain(router, address):
    router.ended = True
    router.process.signal(signal.SIGTERM)
    until(lambda: refused(address), "new clients to be refused")


def test_sigterm_lets_a_session_finish_and_takes_no_new_one(home):
    _, router, address = relay(home)
    client = home.keep(connect(address))
    client.sendall(b"before")
    assert client.recv(6) == b"before"
    begin_drain(router, address)
    for _ in range(5):
        client.sendall(b"during")
        assert client.recv(6) == b"during"
    assert router.process.running()
    client.close()
    assert router.process.wait(3) == 0
    router.check_log()


def test_readyz_says_no_and_healthz_yes_while_it_drains(home):
    _, router, address = relay(home)
    client = home.keep(connect(address))
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    begin_drain(router, address)
    assert router.http("/readyz")[0] == 503
    assert router.http("/healthz")[0] == 200
    assert router.stats()["router"]["draining"] is True
    client.close()
    assert router.process.wait(3) == 0


def test_shutdown_delay_takes_clients_while_readyz_already_says_no(home):
    _, router, address = relay(home, shutdown_delay="1500ms", drain_timeout="60s")
    router.ended = True
    router.process.signal(signal.SIGTERM)
    until(lambda: router.http("/readyz")[0] == 503, "/readyz to say no")
    client = home.keep(connect(address))    # a load balancer that has not noticed yet
    client.sendall(b"late")
    assert client.recv(4) == b"late"
    assert "draining:" not in router.log
    until(lambda: refused(address), "new clients to be refused in the end")
    client.sendall(b"more")
    assert client.recv(4) == b"more"
    client.close()
    assert router.process.wait(5) == 0
    assert router.log.index("about to drain") < router.log.index("draining: ")
    router.check_log()


def test_shutdown_delay_is_kept_also_without_sessions(home):
    _, router, address = relay(home, shutdown_delay="700ms")
    router.ended = True
    clock = Clock()
    router.process.signal(signal.SIGTERM)
    assert router.process.wait(10) == 0
    assert clock.seconds() >= 0.7


def test_a_second_sigterm_ends_the_delay_and_all_else_at_once(home):
    _, router, _ = relay(home, shutdown_delay="60s")
    router.ended = True
    router.process.signal(signal.SIGTERM)
    until(lambda: "about to drain" in router.log, "the first one to be heard")
    router.process.signal(signal.SIGTERM)
    assert router.process.wait(5) == 1


def test_a_draining_router_fences_to_its_end(home):
    a, b = home.redis_group("a", "b")
    port = free_port()
    router = home.router(frontend("f", port) + redis_backend(a, b), drain_timeout="60s")
    router.wait_primary("a")
    client = home.keep(connect(local(port)))
    client.sendall(b"PING\r\n")
    assert client.recv(7) == b"+PONG\r\n"
    begin_drain(router, local(port))
    b.promote()
    a.follow(b)
    with pytest.raises(ConnectionResetError):   # the session on the old primary is cut
        client.recv(1)
    assert router.process.wait(10) == 0
    assert "no worker writes to the old primary" in router.log
    router.check_log()


def test_drain_timeout_closes_what_is_left(home):
    fake, router, address = relay(home, drain_timeout="500ms")
    clients = [home.keep(connect(address)) for _ in range(5)]
    fake.wait_count(5)
    began = time.monotonic()
    begin_drain(router, address)
    assert router.process.wait(5) == 0
    assert 0.4 <= time.monotonic() - began < 5 * SLOW
    router.check_log()
    assert "drain_timeout is over: 5 sessions are closed" in router.log
    assert "frontend=f closed at the end of the drain: 5" in router.log
    for client in clients:
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
    fake.wait_count(0)


def test_who_is_cut_off_at_the_end_is_told_nothing_that_a_server_did_not_say(home):
    """In the midst of a reply the router's words would be part of it."""
    a, b = home.redis_group("a", "b")
    port = free_port()
    router = home.router(frontend("f", port) + redis_backend(a, b), drain_timeout="200ms")
    router.wait_primary("a")
    client = home.keep(connect(local(port)))
    client.sendall(b"PING\r\n")
    assert client.recv(7) == b"+PONG\r\n"
    begin_drain(router, local(port))
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    assert router.process.wait(5) == 0


def test_a_second_sigterm_ends_at_once(home):
    fake, router, address = relay(home, drain_timeout="60s")
    home.keep(connect(address))
    fake.wait_count(1)
    begin_drain(router, address)
    holds(router.process.running, "it drains", 0.1)
    router.process.signal(signal.SIGTERM)
    assert router.process.wait(5) == 1  # drain_timeout is a minute


def test_sigint_drains_too(home):
    _, router, _ = relay(home)
    router.ended = True
    router.process.signal(signal.SIGINT)
    assert router.process.wait(5) == 0
    router.check_log()


def test_without_sessions_it_ends_at_once(home):
    _, router, _ = relay(home, drain_timeout="60s")
    began = time.monotonic()
    router.stop()
    assert time.monotonic() - began < 10 * SLOW


def test_waiters_are_told_when_it_drains(home):
    """A client in the queue is refused rather than kept until drain_timeout."""
    fake = home.fake(name_then_echo, "one")
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(fake, server_max_connections=1,
                                                           queue_timeout="5s"))
    holder = home.keep(connect(local(port)))
    assert read_line(holder) == "one"
    waiter = home.keep(connect(local(port), 10))
    router.wait_for(lambda s: s.backend()["waiting"] == 1, "one waiting")
    begin_drain(router, local(port))
    holder.close()
    # Either it got the place that became free, or was refused: it does not hang.
    waiter.settimeout(6 * SLOW)
    assert waiter.recv(10) in (b"", b"one\n")
    waiter.close()
    assert router.process.wait(6) == 0
    router.check_log()


@pytest.mark.parametrize("who", ["client", "server"])
def test_writing_to_somebody_who_has_left_does_not_kill_the_router(home, who):
    """SIGPIPE: the one side is gone while the other sends without pause."""
    def flood(_server, sock):
        if who == "client":
            while True:
                sock.sendall(bytes(65536))
        sock.recv(1)
        reset(sock)

    _, router, address = relay(home, flood)
    for _ in range(20):
        client = connect(address)
        try:
            if who == "client":
                client.recv(10)
                reset(client)
            else:
                for _ in range(100):
                    client.sendall(bytes(65536))
        except OSError:
            pass
        finally:
            client.close()
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")
    router.stop()


def test_a_drain_under_load_ends_with_nothing_left(home):
    """Clients come and go without pause while it drains: status 0, no leaked handle."""
    fake, router, address = relay(home, drain_timeout="1s")
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            try:
                with connect(address, 5) as client:
                    client.sendall(b"x")
                    client.recv(1)
            except OSError:
                stop.wait(0.005)

    threads = [threading.Thread(target=churn) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        router.wait_for(lambda s: s.frontend()["sessions_total"] > 200, "load", 20)
        router.stop()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    fake.wait_count(0)


def test_a_drain_with_a_stalled_reader_ends(home):
    """A session whose client does not read is closed at drain_timeout, with all that is queued."""
    def source(_server, sock):
        while True:
            sock.sendall(bytes(65536))

    fake, router, address = relay(home, source, drain_timeout="300ms")
    home.keep(connect(address))
    fake.wait_count(1)
    router.stop()
    fake.wait_count(0)


def test_the_admin_address_is_free_again_after_the_end(home):
    _, router, _ = relay(home, hold)
    router.stop()
    router.start()
    assert router.http("/healthz")[0] == 200
