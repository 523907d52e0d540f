"""Promise: max_sessions_per_ip and session_rate_per_ip hold for each address while tens of
thousands of others come and go; none loses its count by that; the memory for it is bounded."""
import socket
import threading
import time

import pytest

from lib.fake import fake_redis, hold, primary_answers, reset
from lib.ini import frontend, section, servers, tcp_backend
from lib.process import free_port
from lib.proxy_header import header
from lib.resp import RespError, Resp, connect
from lib.sockets import local
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize

ADDRESSES = 50_000 if SLOW == 1 else 15_000
NETWORKS = 2000 if SLOW == 1 else 500
REGULARS = 3000  # more than there are sessions at once
AHEAD = 100  # of a flood, that the router has not judged yet: less than it may have sessions
MEMORY = 8 << 20
IP_BIND_ADDRESS_NO_PORT = 24
GREEDY, MODEST, HOLDER = "127.200.0.1", "127.200.0.2", "127.200.0.3"


def come_and_leave(port, source):
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.settimeout(20 * SLOW)
        sock.bind((source, 0))
        sock.connect(local(port))
        reset(sock)


def judged(router):
    """How many clients the router has let in or refused."""
    numbers = router.stats().frontend()
    return sum(numbers[key] for key in ("sessions_total", "refused_rate", "refused_sessions"))


class Flood:
    """Each address comes once, and leaves."""

    def __init__(self, home, router, port):
        self.router, self.port = router, port
        self.stopping = threading.Event()
        self.came = 0
        self.memory = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        home.keep(self)

    def _run(self):
        before = judged(self.router)
        while self.came < ADDRESSES and not self.stopping.is_set():
            n = self.came
            come_and_leave(self.port, f"127.{1 + n // 65536}.{n // 256 % 256}.{n % 256}")
            self.came += 1
            if self.came % AHEAD == 0:
                until(lambda: judged(self.router) - before >= self.came, "all to be judged", 20)
            if self.came == ADDRESSES // 10:
                self.memory = self.router.process.rss()

    def rages(self):
        return self.thread.is_alive()

    def check(self):
        """That it came through, and what it cost."""
        assert self.came == ADDRESSES
        grown = self.router.process.rss() - self.memory
        print(f"{grown / 1024:.0f} KB for the last nine tenths of {ADDRESSES} addresses")
        assert SLOW > 1 or grown < MEMORY

    def close(self):
        self.stopping.set()
        self.thread.join(60)


class Place:
    """A server with so many places, or none that listens: whom the bounds of its address let in
    is told that there is no place, or nobody."""

    def __init__(self, home, places, **keys):
        self.home = home
        self.port = free_port()
        server = home.fake(fake_redis(primary_answers), "s") if places else None
        self.router = home.router(
            frontend("f", self.port, route="any", **keys)
            + section("backend b", protocol="redis", probe="off", queue_timeout="100ms",
                      connect_retries=0, server_max_connections=places or "none",
                      server=servers(server) if server else f"s 127.0.0.1:{free_port()}"))

    def stay(self, source):
        client = self.home.keep(Resp(local(self.port), 20 * SLOW, source=source))
        assert client.call("PING") == "PONG"
        return client

    def let_in(self, source, named=None):
        """`named` is whose connection a PROXY header says that it is."""
        with Resp(local(self.port), 20 * SLOW, source=source) as client:
            if named:
                client.sock.sendall(header(2, (named, 1), ("2001:db8::1", 1)))
            answer = client.read()
        assert isinstance(answer, RespError) and answer.startswith("ERR router: "), answer
        return "from this address" not in answer


def test_sessions_are_counted_through_a_flood(home):
    place = Place(home, 5, max_sessions_per_ip=3)
    greedy = [place.stay(GREEDY) for _ in range(3)]
    modest = [place.stay(MODEST) for _ in range(2)]
    assert not place.let_in(GREEDY) and place.let_in(MODEST)
    flood, tried = Flood(home, place.router, place.port), 0
    while flood.rages():
        assert not place.let_in(GREEDY), "its count was forgotten"
        assert place.let_in(MODEST), "it was counted for somebody else"
        tried += 1
    flood.check()
    assert tried > 0
    place.router.wait_for(lambda s: s["router"]["sessions"] == 5, "the flood to be over")
    assert all(client.call("PING") == "PONG" for client in greedy + modest)
    assert not place.let_in(GREEDY)
    greedy[0].close()
    place.router.wait_for(lambda s: s["router"]["sessions"] == 4, "its end")
    place.stay(GREEDY)
    assert not place.let_in(GREEDY)


def test_the_rate_of_each_is_kept_through_a_flood(home):
    """One that knocks without end gets in as often as it may, one that comes seldom always."""
    rate = 4
    place = Place(home, 0, session_rate_per_ip=rate)
    flood = Flood(home, place.router, place.port)
    began = time.monotonic()
    entered, knocked, came, next_visit = 0, 0, 0, began
    while flood.rages():
        entered += place.let_in(GREEDY)
        knocked += 1
        if time.monotonic() >= next_visit:
            assert place.let_in(MODEST), "it was refused for somebody else's haste"
            came, next_visit = came + 1, time.monotonic() + 1 / rate
    took = time.monotonic() - began
    flood.check()
    print(f"{entered} of {knocked} in {took:.1f} s")
    assert entered <= rate * (took + 1) + 1, "it was forgotten in between"
    assert entered < knocked and came > 0


def test_a_network_of_ipv6_is_one_client_whatever_address_in_it_comes(home):
    """Somebody who has a /64 has more addresses than anybody can count. Here each comes once, and
    as many other networks do, who are let in."""
    rate = 4
    place = Place(home, 0, session_rate_per_ip=rate, accept_proxy="yes", allow=HOLDER)
    began, entered = time.monotonic(), 0
    for n in range(NETWORKS):
        entered += place.let_in(HOLDER, f"2001:db8:0:7:{n:x}:{n * 7919 % 65536:x}::{n:x}")
        assert place.let_in(HOLDER, f"2001:db8:1:{n:x}::1"), "it was refused for somebody else"
    took = time.monotonic() - began
    print(f"{entered} of {NETWORKS} in {took:.1f} s")
    assert rate <= entered <= rate * (took + 1) + 1


def come_twice(router, port, net):
    """REGULARS addresses, one after the other, and all of them again: how many of them were let in,
    or None if that took a second, which gives everybody a new chance."""
    began, before = time.monotonic(), router.stats().frontend()
    for came, n in enumerate([*range(REGULARS), *range(REGULARS)], judged(router) + 1):
        come_and_leave(port, f"127.{net}.{n // 256}.{n % 256}")
        if came % AHEAD == 0:
            until(lambda want=came: judged(router) >= want, "all to be judged", 20)
    until(lambda: judged(router) >= came, "all to be judged", 20)
    after = router.stats().frontend()
    if time.monotonic() - began >= 1 or after["refused_sessions"] > before["refused_sessions"]:
        return None
    return after["sessions_total"] - before["sessions_total"]


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer build takes longer than the second it is about")
def test_the_rate_holds_for_each_address_of_a_flood(home):
    """Though thousands of others come before it comes again."""
    port = free_port()
    router = home.router(frontend("f", port, session_rate_per_ip=1)
                         + tcp_backend(home.fake(hold), server_max_connections=1), max_sessions=200)
    home.keep(connect(local(port), source=HOLDER))
    router.wait_for(lambda s: s.server("fake")["sessions"] == 1, "the place to be taken")
    entered = next((n for n in (come_twice(router, port, net) for net in range(1, 30)) if n), None)
    if entered is None:
        pytest.skip("the machine is too slow to come twice in a second")
    assert entered == REGULARS
