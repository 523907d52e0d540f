"""Promise: a clock that jumps changes what time it is, and nothing else: nobody is timed out, no
limit forgets or remembers, and what is due comes when it is due."""
import glob
import os

import pytest

from lib.certificates import Authority
from lib.fake import echo
from lib.ini import frontend, redis_backend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_all
from lib.waiting import until

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
YEAR = 365 * 86400


@pytest.fixture(name="clock")
def _clock(home):
    """The wall clock of a router, which is set by hand; what counts seconds goes on as it does."""
    assert LIBRARY, "the package faketime is missing"

    class Clock:
        path = home.file("offset", "+0")
        env = {"LD_PRELOAD": LIBRARY[0], "FAKETIME_TIMESTAMP_FILE": path,
               "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1",
               "FAKETIME_DONT_RESET": "1"}

        def jump(self, seconds):
            with open(self.path + ".new", "w", encoding="ascii") as file:
                file.write(f"{seconds:+d}")
            os.rename(self.path + ".new", self.path)

    return Clock()


def shows_another_year(router):
    router.reload()  # a line of the log
    years = [line[5:9] for line in router.log.splitlines() if line.startswith("time=")]
    return years[0] != years[-1]


def ask(client):
    client.sendall(b"ping")
    assert client.recv(4) == b"ping"


@pytest.mark.parametrize("seconds", [YEAR, -YEAR], ids=["ahead", "back"])
def test_sessions_queues_and_probes_go_on(home, clock, seconds):
    server, redis = home.fake(echo), home.redis("r")
    port, other = free_port(), free_port()
    router = home.router(
        frontend("f", port, "x", idle_timeout="1h", session_rate=1000)
        + tcp_backend(server, name="x", server_max_connections=1, queue_timeout="1h")
        + frontend("g", other, "y") + redis_backend(redis, name="y"), env=clock.env)
    router.wait_primary("r", "y")
    one = home.keep(connect(local(port)))
    ask(one)
    two = home.keep(connect(local(port), 30))
    two.sendall(b"ping")
    router.wait_for(lambda s: s.backend("x")["waiting"] == 1, "one to wait")
    clock.jump(seconds)
    until(lambda: shows_another_year(router), "the log to show another year", 10)
    ask(one)
    stats = router.stats()
    assert stats.backend("x")["waiting"] == 1
    assert stats.backend("y")["verdict"] == "primary"
    assert 0 <= stats["router"]["uptime_ms"] < 3600_000
    redis.pause()
    router.wait_for(lambda s: s.backend("y")["verdict"] != "primary", "the probe to notice")
    redis.resume()
    router.wait_primary("r", "y")
    one.close()
    assert two.recv(4) == b"ping"


def test_a_certificate_that_has_expired_by_then_is_told_and_stays_in_use(home, clock):
    authority = Authority(home.directory("ca"))
    leaf = authority.leaf(names=["hub.example.com"], days=90)
    server = home.fake(echo)
    port = free_port()
    router = home.router(frontend("f", port, tls="yes", tls_cert=leaf.pem) + tcp_backend(server),
                         env=clock.env)
    clock.jump(YEAR)
    until(lambda: "expired" in router.log, "the log to say so", 10)
    with connect(local(port)) as client:
        client.sendall(b"x" * 8)  # no hello: it is heard, and refused, as ever
        read_all(client)
    clock.jump(0)
    assert router.process.running()
