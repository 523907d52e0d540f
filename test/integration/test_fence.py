"""Promise: nothing is acknowledged through the router by a server after it was fenced, counted from
the servers' own data; the same harness against HAProxy must show losses, or it is broken."""
import random
import threading
import time

import pytest

from lib.freeze import Frozen, threads
from lib.playbook import Stage
from lib.resp import connect
from lib.waiting import holds, until
from lib.writers import compare

pytestmark = pytest.mark.sanitize
EXPOSURE_SECONDS = 1.5  # how long two servers claim: several rounds of anybody's checks
MANY = {"count": 12, "rate": 100}


def stop_promote_continue(servers, writers, wait_for_successor):
    """The fault that makes two primaries: stopped, succeeded, continued, and at last demoted."""
    a, b, c = servers
    a.pause()
    b.promote()
    c.follow(b)
    wait_for_successor()
    a.resume()
    until(lambda: a.role() == "master", "a to claim again")
    since = time.monotonic()
    until(lambda: time.monotonic() > since + EXPOSURE_SECONDS
          and len(writers.acked(since=since)) >= 200, "writes while both claim", 20)
    a.follow(b)
    a.wait_linked()


def test_nothing_is_acknowledged_by_a_fenced_server_with_writers_on_all_workers(home):
    stage = Stage(home, workers=4, writer_options=MANY)
    _, b, _ = stage.servers
    stage.fault()
    stop_promote_continue(stage.servers, stage.writers, lambda: stage.wait_writes(50, b))
    report = stage.curtain(b)
    assert report.by_fenced == []
    assert stage.router.stats().server("a")["sessions_fenced"] > 0


@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
def test_the_new_primary_waits_for_the_acknowledgement_of_every_worker(home, which):
    """One worker's thread stands still. Until it has said that it writes to the old primary no
    more, nobody writes to the new one, on no worker."""
    stage = Stage(home, workers=2, writer_options=MANY)
    a, b, c = stage.servers
    workers = threads(stage.router.process)[-2:]  # a sanitizer's own thread comes before them
    stage.fault()
    with Frozen(workers[which]):
        b.promote()
        a.follow(b)
        c.follow(b)
        stage.router.wait_for(lambda s: s.server("a")["role"] == "replica", "a to follow")
        holds(lambda: stage.written_by(b) == [], "nobody writes to the new one", 0.5)
    stage.wait_writes(50, b)
    stage.curtain(b)


def test_a_planned_switchover_leaves_nobody_on_the_old_one(home):
    """b is promoted while a still answers and claims; then a is told to follow. Sessions that come
    and go and sessions that stay, on all workers."""
    stage = Stage(home, workers=4, writer_options={**MANY, "reconnect_every": 5})
    a, b, c = stage.servers
    stay = home.writers(stage.address, count=6, rate=100, prefix="stay")
    until(lambda: len(stay.acked()) > 50, "the others to write")
    stage.fault()
    b.promote()
    a.follow(b)
    c.follow(b)
    stage.wait_writes(100, b)
    until(lambda: len(stay.acked(b)) > 20, "those that stay to be on the new one")
    stay.stop()
    stage.writers.acknowledged += stay.acknowledged
    stage.curtain(b)
    assert stage.router.stats().server("a")["sessions"] == 0


def test_back_and_forth_under_load(home):
    """Five switchovers in a row between two servers."""
    stage = Stage(home, names=("a", "b"), workers=4, writer_options=MANY)
    old, new = stage.servers
    for _ in range(5):
        new.promote()
        old.follow(new)
        stage.router.wait_primary(new.name)
        stage.wait_writes(30, new)
        old.wait_linked()
        old, new = new, old
    final = old
    stage.writers.stop()
    data = final.data()
    tenures = ordered_tenures(stage.writers)
    # A session that outlived a switchover would interleave the servers.
    assert len(tenures) == 6, tenures
    lost = [w for w in stage.writers.acked() if w.key not in data]
    assert len(lost) <= 12 * 5 * 3, f"{len(lost)} lost: more than was in flight at the switchovers"


def leave_at_any_moment(address, stop, number):
    """Clients that connect, say little, much or nothing, and go."""
    rng = random.Random(number)
    while not stop.is_set():
        try:
            with connect(address, 1) as sock:
                sock.settimeout(rng.choice((0.001, 0.01, 0.05)))
                sock.sendall(b"PING\r\n" * rng.choice((0, 1, 10000)))
                sock.recv(10)
        except OSError:
            stop.wait(0.01)


def fail_over(stage, how, old, new, other):
    """One failover and the way back of the old one, which follows in the end."""
    if how == "kill":
        old.kill()
    elif how == "stop":
        old.pause()
    new.promote()
    other.follow(new)
    stage.wait_writes(30, new, timeout=20)
    if how == "kill":
        old.start_again(replicaof=None)
    old.resume()
    stage.wait_writes(30, new)
    old.follow(new)
    old.wait_linked()
    other.wait_linked()
    stage.router.wait_for(lambda s: all(x["access"] == "open" for x in s.backend()["servers"]),
                          "all to be used again", 10)


def test_many_failovers_with_caps_queues_and_leavers(home):
    """Of every kind, one after the other: never two tenures at once, and no place, waiter or
    session is left in the books at the end."""
    stage = Stage(home, workers=4, server_max_connections=8, queue_timeout="20s",
                  writer_options={"count": 10, "rate": 100, "reconnect_every": 20})
    stop = threading.Event()
    leavers = [threading.Thread(target=leave_at_any_moment, args=(stage.address, stop, n))
               for n in range(6)]
    for thread in leavers:
        thread.start()
    try:
        old, new, other = stage.servers
        for how in ("kill", "stop", "planned", "stop", "kill", "planned"):
            fail_over(stage, how, old, new, other)
            old, new, other = new, other, old
    finally:
        stop.set()
        for thread in leavers:
            thread.join()
    stage.writers.stop()
    assert len(ordered_tenures(stage.writers)) == 7
    stage.router.wait_for(
        lambda s: s["router"]["sessions"] == s.backend()["waiting"] == 0
        and all(x["sessions"] == 0 for x in s.backend()["servers"]), "nothing left in the books")


def ordered_tenures(writers):
    """Who acknowledged, in the order in which the writes were sent, repeats removed. A write in
    flight may be acknowledged late, so the time of sending against the successor's first
    acknowledgement is what counts."""
    tenures = []
    for write in sorted(writers.acked(), key=lambda w: w.acked):
        if not tenures or tenures[-1][0] != write.by:
            if len(tenures) > 1 and tenures[-2][0] == write.by and write.sent < tenures[-1][1]:
                continue
            tenures.append((write.by, write.acked))
    return [port for port, _ in tenures]


def test_the_same_harness_sees_haproxy_lose_writes(home):
    """If it did not, the tests above would prove nothing."""
    servers = home.redis_group("a", "b", "c")
    proxy = home.haproxy(servers)
    writers = home.writers(proxy.address, **{**MANY, "reconnect_every": 5})
    until(lambda: len(writers.acked()) > 50, "writes")
    a, b, c = servers
    stop_promote_continue(servers, writers, lambda: until(
        lambda: len(writers.acked(b)) >= 50, "HAProxy to move", 20))
    writers.stop()
    report = compare(writers, b, [a, c])
    print("HAProxy:", report.verdict())
    assert report.lost_beyond, "HAProxy lost nothing: the harness is broken"
    assert report.by_fenced, "HAProxy fenced: the harness is broken"
    assert report.acknowledged > len(report.lost), "nothing survived: the harness is broken"
