"""Promise: at the edges of what the machine and the configuration allow nothing is half done: no
thread missing, no probe storm, nobody refused below a limit."""
import os

import pytest

from lib.actor import Actor
from lib.fake import echo
from lib.ini import frontend, redis_backend, section, tcp_backend
from lib.process import Process, free_port
from lib.resp import connect
from lib.router import BINARY
from lib.sockets import local, refused
from lib.waiting import SLOW, Clock, until

ADDRESS_SPACE = 600 << 20  # less than 100 threads' stacks of 8 MiB
FAST = 0.05


def test_a_thread_that_cannot_be_started_fails_the_start(home):
    """Its listener would take clients whom nobody serves. (Not with a sanitizer build, which needs
    the address space for itself.)"""
    port, path = free_port(), os.path.join(home.path, "s")
    text = (section("router", workers=100, admin="off")
            + frontend("w", port) + frontend("u", f"unix:{path}") + tcp_backend(home.fake(echo)))
    router = Process(["prlimit", f"--as={ADDRESS_SPACE}", "--stack=8388608", BINARY,
                      "-c", home.file("router.ini", text)], os.path.join(home.path, "log"))
    try:
        assert router.wait() == 1
    finally:
        router.kill()
    lines = router.log.splitlines()
    assert len(lines) == 1 and "cannot start thread" in lines[0], router.log
    assert refused(local(port))
    assert not os.path.exists(path)


@pytest.mark.sanitize
def test_a_server_that_cuts_its_probes_is_not_stormed(home):
    """It answers each probe and then ends the connection: in each probe_fast_interval it is asked
    twice at most, by the clock and because a lost connection is a doubt."""
    cutter = Actor(home, "a", "master", cuts=True)
    router = home.router(frontend("w", free_port()) + redis_backend(
        cutter, probe_interval="1s", probe_fast_interval="50ms", probe_timeout="500ms"))
    router.wait_primary("a")
    clock = Clock()
    before = cutter.fake.accepted
    until(lambda: clock.passed(1.5), "the probes to be counted", 5)
    probes, took = cutter.fake.accepted - before, clock.seconds()
    assert 1 <= probes <= 2.2 * took / FAST + 2


@pytest.mark.sanitize
def test_nobody_below_the_limit_by_address_is_refused(home):
    """max_sessions clients, each from an address of its own: the table has room for all of them,
    wherever they fall."""
    count = 32
    port = free_port()
    router = home.router(frontend("f", port, max_sessions_per_ip=5)
                         + tcp_backend(home.fake(echo)), max_sessions=count)
    for i in range(count):
        client = home.keep(connect(local(port), 5 * SLOW, source=f"127.0.{1 + i // 8}.{1 + i}"))
        client.sendall(b"x")
        assert client.recv(10) == b"x", f"client {i + 1} of {count} was refused"
    assert router.stats().frontend()["refused_sessions"] == 0
