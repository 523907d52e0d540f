"""Promise: systemd's notify protocol is told when the router is ready, what it does, that it ends;
and the watchdog's beats stop as soon as one of its loops does."""
import os
import signal
import time

import pytest

from lib.fake import echo, hold
from lib.freeze import Frozen, threads
from lib.ini import frontend, redis_backend, tcp_backend
from lib.manager import Manager
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local
from lib.waiting import Clock, holds, until

pytestmark = pytest.mark.sanitize


def start(home, manager, sections=None, **options):
    sections = sections or frontend("f", free_port()) + tcp_backend(home.fake(echo))
    more = options.pop("more", {})
    return home.router(sections, env=manager.environment(**more), **options)


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_and_stopping_are_told(home, abstract):
    manager = Manager(home, abstract)
    router = start(home, manager, shutdown_delay="300ms", drain_timeout="3s")
    manager.wait("READY=1")
    assert manager.lines().count("READY=1") == 1
    assert manager.beats() == 0 and "STOPPING=1" not in manager.lines()
    manager.wait("STATUS=serving, 0 sessions; b: 1 of 1 servers")
    router.stop()
    assert ["STOPPING=1", "EXTEND_TIMEOUT_USEC=13300000"] in manager.listen()
    assert manager.lines()[-1].startswith("STATUS=draining")


def test_it_is_not_ready_before_the_first_election(home):
    manager = Manager(home)
    silent = home.fake(hold)        # accepts, and says nothing
    router = start(home, manager, frontend("f", free_port()) +
                   redis_backend(silent, probe_timeout="30s"), start_timeout="1s", start=False)
    clock = Clock()
    router.start(wait=False)
    manager.wait("READY=1", 10)
    assert clock.seconds() > 0.9
    assert ["STATUS=starting, 0 sessions; b: 0 of 1 servers, no primary"] in manager.heard
    assert router.http("/readyz")[0] == 200


def test_the_status_names_the_primary(home):
    manager = Manager(home)
    servers = home.redis_group("a", "b")
    start(home, manager, frontend("f", free_port()) + redis_backend(*servers)).wait_primary("a")
    manager.wait("STATUS=serving, 0 sessions; b: 2 of 2 servers, primary a", 8)


def test_the_watchdog_hears_the_control_loop_and_every_worker(home):
    manager = Manager(home)
    router = start(home, manager, workers=2,
                   more={"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"})
    manager.wait("READY=1")
    holds(lambda: manager.beats() == 0, "WATCHDOG_PID is another process", 0.3)
    router.stop()

    router = start(home, manager, workers=2, more={"WATCHDOG_USEC": "200000"})
    until(lambda: manager.beats() >= 5, "beats")
    workers = threads(router.process)[-2:]  # a sanitizer's own thread comes before them
    for thread in workers + [router.pid]:
        with Frozen(thread):
            manager.beats()             # what was under way
            until(lambda: quiet(manager), "the beats to stop")
        before = manager.beats()
        until(lambda: manager.beats() >= before + 3, "the beats to go on")
    router.stop()


def quiet(manager):
    """Not a beat in five times the interval."""
    before = manager.beats()
    clock = Clock()
    until(lambda: clock.passed(0.5) or manager.beats() != before, "half a second")
    return manager.beats() == before


def test_the_watchdog_is_fed_while_it_drains(home):
    manager = Manager(home)
    port = free_port()
    router = start(home, manager, frontend("f", port) + tcp_backend(home.fake(echo)),
                   drain_timeout="60s", more={"WATCHDOG_USEC": "100000"})
    client = home.keep(connect(local(port)))
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    router.ended = True
    router.process.signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    before = manager.beats()
    until(lambda: manager.beats() >= before + 5, "beats in the drain")
    client.close()
    assert router.process.wait(10) == 0
    router.check_log()


def test_a_reload_is_told_and_what_became_of_it(home):
    manager = Manager(home)
    router = start(home, manager)
    manager.wait("READY=1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    router.process.signal(signal.SIGHUP)
    until(lambda: manager.lines().count("READY=1") == 2, "it to be over")
    begun = next(notice for notice in manager.heard if notice[0] == "RELOADING=1")
    told = int(begun[1].removeprefix("MONOTONIC_USEC="))
    assert before <= told <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.heard.index(begun) < manager.heard.index(["READY=1", "STATUS=reloaded"])
    with open(router.path, "a", encoding="ascii") as file:
        file.write("nonsense = yes\n")
    router.process.signal(signal.SIGHUP)
    manager.wait("STATUS=serving, 0 sessions; b: 1 of 1 servers; the last reload was not taken")
    assert manager.lines().count("RELOADING=1") == 2 and manager.lines().count("READY=1") == 3


def alive(pid):
    """Not even a zombie that nobody has buried."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_after_an_upgrade_the_new_process_is_the_service(home):
    manager = Manager(home)
    port = free_port()
    router = start(home, manager, frontend("f", port) + tcp_backend(home.fake(echo)),
                   more={"WATCHDOG_USEC": "200000"}, drain_timeout="60s")
    manager.wait("READY=1")
    client = home.keep(connect(local(port)))
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    router.ended = True
    router.process.signal(signal.SIGUSR2)
    until(lambda: any(line.startswith("MAINPID=") for line in manager.lines()), "a new main", 15)
    pid = next(int(line[8:]) for line in manager.lines() if line.startswith("MAINPID="))
    try:
        until(lambda: manager.lines().count("READY=1") == 2, "it to be ready")
        assert pid != router.pid and alive(pid)
        client.sendall(b"y")        # the old one serves its own to their end, and says nothing
        assert client.recv(1) == b"y"
        client.close()
        assert router.process.wait(10) == 0
        before = manager.beats()
        until(lambda: manager.beats() >= before + 3, "beats of the new one")
        assert "STOPPING=1" not in manager.lines()
        os.kill(pid, signal.SIGTERM)
        manager.wait("STOPPING=1")
        until(lambda: not alive(pid), "its end", 10)
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    router.check_log()


@pytest.mark.parametrize("address", ["", "relative", "@", "/" + "x" * 200, "/nobody/listens"])
def test_a_socket_that_is_none_disturbs_nothing(home, address):
    fake = home.fake(echo)
    router = home.router(frontend("f", free_port()) + tcp_backend(fake),
                         env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"})
    router.stop()
    router.check_log()
