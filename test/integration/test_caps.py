"""Promise: caps are exact over all workers and frontends; who must wait waits fairly, for a bounded
time; who is refused is told so, always."""
import random
import socket
import statistics
import threading
import time

import pytest

from lib.fake import fake_redis, name_then_echo, primary_answers
from lib.ini import frontend, section, servers, tcp_backend
from lib.process import free_port
from lib.resp import RespError, Resp, connect
from lib.sockets import local, read_all, read_line, where
from lib.waiting import SLOW, holds, until

pytestmark = pytest.mark.sanitize


def redis_open(*things, **keys):
    """A backend that speaks Redis' refusals, with servers that need no probes."""
    return section("backend b", protocol="redis", probe="off", server=servers(*things), **keys)


def one_frontend(home, backend, workers=2, route="any", router_keys=None, **keys):
    port = free_port()
    router = home.router(frontend("f", port, route=route, **keys) + backend, workers=workers,
                         **(router_keys or {}))
    return router, local(port)


def refusal(sock):
    """The whole refusal, up to the end of the stream, which must be no reset."""
    text = read_all(sock).decode()
    assert text.startswith("-ERR router: ") and text.endswith("\r\n"), repr(text)
    assert text.count("\r\n") == 1
    return text


def say_then_linger(server, sock):
    """Says its name; answers until told to leave, then waits for the router's FIN, so that it
    counts a connection for as long as the router has it open."""
    sock.sendall(server.name.encode() + b"\n")
    while data := sock.recv(100):
        if data.startswith(b"quit"):
            sock.shutdown(socket.SHUT_WR)


# --- the cap of a server ---


def test_server_max_connections_is_never_exceeded(home):
    """Two frontends, two workers, 60 clients, 10 places. Every client is served in the end."""
    one, two = home.fake(say_then_linger, "one"), home.fake(say_then_linger, "two")
    ports = free_port(), free_port()
    router = home.router(frontend("f", ports[0]) + frontend("g", ports[1])
                         + tcp_backend(one, two, server_max_connections=5, queue_timeout="30s"))
    served, problems = [], []

    def client(number):
        rng = random.Random(number)
        for turn in range(6):
            try:
                with connect(local(ports[(number + turn) % 2]), 30 * SLOW) as sock:
                    served.append(read_line(sock))
                    time.sleep(rng.uniform(0.0, 0.02))  # the client's own work
                    if rng.random() < 0.5:
                        sock.sendall(b"quit")
                        read_all(sock)
            except OSError as error:
                problems.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(served) == 360
    assert (one.most, two.most) == (5, 5), "above the cap, or the storm never reached it"
    stats = router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")
    assert stats.backend()["waiting"] == 0
    assert all(s["sessions"] == 0 for s in stats.backend()["servers"])


def test_a_servers_own_cap_comes_before_the_backends(home):
    one, two = home.fake(name_then_echo, "one"), home.fake(name_then_echo, "two")
    backend = section("backend b", protocol="tcp", probe="off", server_max_connections=3,
                      server=[f"one {one.text} server_max_connections=1", f"two {two.text}"])
    router, address = one_frontend(home, backend)
    held = [home.keep(connect(address)) for _ in range(4)]
    names = sorted(read_line(sock) for sock in held)
    assert names == ["one", "two", "two", "two"]
    home.keep(connect(address))
    stats = router.wait_for(lambda s: s.backend()["waiting"] == 1, "the fifth to wait")
    assert stats.server("one")["max_connections"] == 1
    assert stats.server("two")["max_connections"] == 3
    assert stats.frontend()["held"] == 1


# --- the queue ---


class Full:
    """A server with one place, taken; `wait(n)` adds waiters whose order is known."""

    def __init__(self, home, handler=name_then_echo, backend=tcp_backend, **keys):
        self.home = home
        self.fake = home.fake(handler, "one")
        self.router, self.address = one_frontend(
            home, backend(self.fake, server_max_connections=1, **keys))
        self.holder = home.keep(connect(self.address))
        self.router.wait_for(lambda s: s.server("one")["sessions"] == 1, "the place to be taken")
        self.fake.wait_count(1)
        self.waiters = []

    def wait(self, count=1, data=b""):
        for _ in range(count):
            sock = self.home.keep(connect(self.address, 10 * SLOW))
            if data:
                sock.sendall(data)
            self.waiters.append(sock)
            self.waiting(len(self.waiters))
        return self.waiters

    def waiting(self, count, timeout=5.0):
        return self.router.wait_for(lambda s: s.backend()["waiting"] == count,
                                    f"{count} waiting", timeout)


def test_waiters_are_served_first_come_first_served_over_all_workers(home):
    full = Full(home)
    waiters = full.wait(12)
    full.holder.close()
    for number, sock in enumerate(waiters):
        assert read_line(sock) == "one", f"waiter {number}"
        for later in waiters[number + 1:]:
            later.setblocking(False)
            with pytest.raises(BlockingIOError):
                later.recv(1)
            later.setblocking(True)
            later.settimeout(10 * SLOW)
        sock.close()
    full.waiting(0)


def test_a_freed_slot_reaches_the_next_waiter_within_ten_milliseconds(home):
    """On whatever worker it was freed: half of them, in a moment when the machine has time. With
    the loop's tick of 50 ms it would be one of five."""
    full = Full(home)
    holder = full.holder

    def median():
        nonlocal holder
        took = []
        for _ in range(30):
            waiter = home.keep(connect(full.address, 10 * SLOW))
            full.waiting(1)
            began = time.monotonic()
            holder.close()
            assert read_line(waiter) == "one"
            took.append(time.monotonic() - began)
            holder = waiter
        return statistics.median(took) * 1000

    until(lambda: median() < 10 * SLOW, "a moment with time", 30)


def test_a_full_queue_refuses_at_once(home):
    full = Full(home, backend=redis_open, handler=fake_redis(primary_answers), queue_limit=2)
    full.wait(2)
    for _ in range(5):
        with connect(full.address) as sock:
            began = time.monotonic()
            refusal(sock)
            assert time.monotonic() - began < 3 * SLOW, "it waited"
    stats = full.waiting(2)
    assert stats.frontend()["refused_queue"] == 5
    assert stats.backend()["queue_limit"] == 2


def test_the_refusal_after_queue_timeout_arrives_every_time(home):
    """100 of 100 clients read it to the end of the stream, whether they have sent something or
    nothing, little or much."""
    full = Full(home, backend=redis_open, handler=fake_redis(primary_answers),
                queue_timeout="400ms")
    sizes = [0, 1, 20, 5000, 16384, 40000]
    socks = [home.keep(connect(full.address, 10 * SLOW)) for _ in range(100)]
    for number, sock in enumerate(socks):
        sock.sendall(b"x" * sizes[number % len(sizes)])
    began = time.monotonic()
    for sock in socks:
        refusal(sock)
    assert time.monotonic() - began < 8 * SLOW
    stats = full.waiting(0)
    assert stats.frontend()["refused_queue"] == 100
    full.holder.sendall(b"PING\r\n")
    assert full.holder.recv(7) == b"+PONG\r\n", "the holder of the place suffered"


def test_a_client_of_an_opaque_protocol_is_just_closed(home):
    full = Full(home, queue_timeout="200ms")
    sock, = full.wait(1)
    assert read_all(sock) == b""


@pytest.mark.parametrize("data", [b"", b"x" * 10, b"x" * 100_000], ids=["silent", "10B", "100kB"])
def test_a_waiter_who_hangs_up_leaves_the_queue(home, data):
    """Within a second, also one whose bytes fill what is read ahead; the next one moves up."""
    full = Full(home)
    leaver, stays = full.wait(1, data)[0], full.wait(1)[-1]
    leaver.close()
    full.waiting(1)  # long before queue_timeout
    full.holder.close()
    assert read_line(stays) == "one"
    stats = full.router.stats()
    assert stats.frontend()["left_waiting"] == 1
    assert full.fake.accepted == 2, "the place was given to somebody who had left"


def test_what_a_waiter_sent_is_not_lost(home):
    full = Full(home)
    payload = random.Random(5).randbytes(300_000)
    sock = home.keep(connect(full.address, 10 * SLOW))
    sender = threading.Thread(target=sock.sendall, args=(payload,))
    sender.start()
    full.waiting(1)
    full.holder.close()
    assert read_line(sock) == "one"
    got = b""
    while len(got) < len(payload):
        got += sock.recv(65536)
    sender.join()
    assert got == payload


def test_a_storm_of_leavers_leaks_no_place(home):
    """Clients that leave at any moment: before, during and after the grant."""
    fake = home.fake(name_then_echo, "one")
    router, address = one_frontend(home, tcp_backend(fake, server_max_connections=2))

    def client(number):
        rng = random.Random(number)
        for _ in range(10):
            sock = connect(address, 10 * SLOW)
            sock.settimeout(rng.choice((0.001, 0.005, 0.02)))
            try:
                sock.recv(10)
            except TimeoutError:
                pass
            sock.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = router.wait_for(lambda s: s["router"]["sessions"] == 0 and s.backend()["waiting"] == 0
                            and s.server("one")["sessions"] == 0, "nothing left")
    assert fake.most <= 2
    assert stats.frontend()["sessions"] == 0
    assert where(address) == "one"


# --- caps on clients ---


def test_max_sessions_of_a_frontend_refuses_in_redis_words(home):
    fake = home.fake(fake_redis(primary_answers), "one")
    router, address = one_frontend(home, redis_open(fake), max_sessions=3)
    held = [home.keep(Resp(address)) for _ in range(3)]
    assert [client.call("PING") for client in held] == ["PONG"] * 3
    for _ in range(20):
        with connect(address) as sock:
            sock.sendall(b"PING\r\n")
            refusal(sock)
    stats = router.stats()
    assert stats.frontend()["refused_sessions"] == 20
    assert stats.frontend()["max_sessions"] == 3
    assert stats.frontend()["sessions"] == 3
    held[0].close()
    router.wait_for(lambda s: s.frontend()["sessions"] == 2, "a place")
    with Resp(address) as client:
        assert client.call("PING") == "PONG"


def test_max_sessions_of_the_router_counts_all_frontends(home):
    fake = home.fake(name_then_echo, "one")
    ports = free_port(), free_port()
    router = home.router(frontend("f", ports[0]) + frontend("g", ports[1]) + tcp_backend(fake),
                         max_sessions=4)
    held = [home.keep(connect(local(ports[n % 2]))) for n in range(4)]
    assert [read_line(sock) for sock in held] == ["one"] * 4
    for port in ports:
        with connect(local(port)) as sock:
            assert read_all(sock) == b""
    assert router.stats()["router"]["max_sessions"] == 4
    assert router.stats()["router"]["sessions"] == 4


def test_max_sessions_per_ip_counts_each_address_by_itself(home):
    fake = home.fake(fake_redis(primary_answers), "one")
    router, address = one_frontend(home, redis_open(fake), max_sessions_per_ip=2)
    for source in ("127.0.9.1", "127.0.9.2"):
        for _ in range(2):
            assert home.keep(Resp(address, source=source)).call("PING") == "PONG"
    with connect(address, source="127.0.9.1") as sock:
        refusal(sock)
    with Resp(address, source="127.0.9.3") as client:
        assert client.call("PING") == "PONG"
    assert router.stats().frontend()["refused_sessions"] == 1


def test_a_cap_per_address_holds_over_all_workers(home):
    """40 clients of one address at once, on two workers."""
    fake = home.fake(name_then_echo, "one")
    router, address = one_frontend(home, tcp_backend(fake), max_sessions_per_ip=7)
    socks = [home.keep(connect(address, source="127.0.9.9")) for _ in range(40)]
    served = sum(1 for sock in socks if sock.recv(10))
    assert served == 7
    assert fake.most == 7
    assert router.stats().frontend()["refused_sessions"] == 33


def served_of(address, count, source=None):
    """How many of `count` connects in a row were served."""
    served = 0
    for _ in range(count):
        with connect(address, source=source) as sock:
            served += bool(sock.recv(10))
    return served


def test_session_rate_lets_through_so_many_a_second(home):
    fake = home.fake(name_then_echo, "one")
    router, address = one_frontend(home, tcp_backend(fake), session_rate=20)
    began = time.monotonic()
    served = served_of(address, 80)
    elapsed = time.monotonic() - began
    assert 15 <= served <= 20 * (elapsed + 1) + 2
    assert router.stats().frontend()["refused_rate"] == 80 - served
    until(lambda: served_of(address, 1) == 1, "the rate to allow one again")


def test_session_rate_per_ip_counts_each_address_by_itself(home):
    fake = home.fake(name_then_echo, "one")
    router, address = one_frontend(home, tcp_backend(fake), session_rate_per_ip=10)
    began = time.monotonic()
    served = served_of(address, 40, "127.0.8.1")
    assert served <= 10 * (time.monotonic() - began + 1) + 2
    assert served_of(address, 5, "127.0.8.2") == 5
    assert router.stats().frontend()["refused_rate"] == 40 - served


def test_allow_and_deny_first_match_wins(home):
    fake = home.fake(name_then_echo, "one")
    port = free_port()
    # The order of the lines matters, so they are written out.
    access = "deny = 127.0.7.0/25\nallow = 127.0.7.0/24\nallow = 127.0.6.1\n"
    router = home.router(frontend("f", port) + access + tcp_backend(fake))
    for source, welcome in [("127.0.7.1", False), ("127.0.7.127", False), ("127.0.7.128", True),
                            ("127.0.7.255", True), ("127.0.6.1", True), ("127.0.6.2", False),
                            ("127.0.0.1", False)]:
        with connect(local(port), source=source) as sock:
            try:
                got = sock.recv(10)
            except ConnectionResetError:
                got = b""
            assert bool(got) == welcome, source
    assert router.stats().frontend()["denied"] == 4
    assert fake.accepted == 3


def test_a_deny_alone_lets_everybody_else_in(home):
    fake = home.fake(name_then_echo, "one")
    _, address = one_frontend(home, tcp_backend(fake), deny="127.0.7.0/24")
    assert where(address, "127.0.6.1") == "one"
    with connect(address, source="127.0.7.9") as sock:
        try:
            assert sock.recv(10) == b""
        except ConnectionResetError:
            pass


def test_a_refusal_costs_no_session_for_long(home):
    """Clients that never close after a refusal are closed by the router, within a second or so."""
    fake = home.fake(fake_redis(primary_answers), "one")
    router, address = one_frontend(home, redis_open(fake), max_sessions=1)
    first = home.keep(Resp(address))
    assert first.call("PING") == "PONG"
    before = router.process.sockets()
    stubborn = [home.keep(connect(address)) for _ in range(50)]
    for sock in stubborn:
        assert sock.recv(100).startswith(b"-ERR router: ")
    until(lambda: router.process.sockets() <= before, "the refused to be closed")
    holds(lambda: first.call("PING") == "PONG", "the session that is served", 0.1)


def test_a_refusal_is_an_error_a_redis_client_understands(home):
    fake = home.fake(fake_redis(primary_answers), "one")
    _, address = one_frontend(home, redis_open(fake), max_sessions=1)
    assert home.keep(Resp(address)).call("PING") == "PONG"
    with Resp(address) as client:
        answer = client.read()
    assert isinstance(answer, RespError)
    assert answer.startswith("ERR router: ")
