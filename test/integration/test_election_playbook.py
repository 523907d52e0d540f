"""Promise: in each of these sequences, played on real servers under a steady writer, the primary is
the one that loses nothing; what is not decided waits. The numbers are those of the issue."""
import signal

import pytest

from lib.playbook import Stage
from lib.redis_server import link
from lib.resp import Resp
from lib.waiting import holds, until

SAVED = {"save": "3600 100000"}  # an RDB at a clean stop and on BGSAVE, never by itself


def save(server):
    server.ok("SAVE")


def test_01_killed_primary_promoted_replica_and_the_old_one_back_empty(home):
    stage = Stage(home)
    a, b, c = stage.servers
    stage.fault()
    a.kill()
    b.promote()
    c.follow(b)
    stage.wait_writes(20, b)
    a.start_again(replicaof=None)
    assert a.role() == "master" and a.data() == {}
    stage.router.wait_for(lambda s: s.server("a")["state"] == "up", "a to have been asked")
    stage.wait_writes(100, b)
    assert stage.router.stats().backend()["primary"] == "b"
    assert a.data() == {}, "a write reached the empty one"
    stage.curtain(b)


def test_02_the_old_primary_comes_back_with_its_rdb(home):
    stage = Stage(home, redis_options=SAVED)
    a, b, c = stage.servers
    save(a)
    stage.fault()
    a.kill()
    b.promote()
    c.follow(b)
    stage.wait_writes(20, b)
    a.start_again(replicaof=None)
    kept = a.data()
    assert kept and a.role() == "master"
    stage.router.wait_for(lambda s: s.server("a")["state"] == "up", "a to have been asked")
    stage.wait_writes(100, b)
    assert a.data() == kept, "a write reached the old one"
    stage.curtain(b)


@pytest.mark.parametrize("how", ["rdb", "empty"])
def test_03_a_replica_restarts_without_its_replicaof(home, how):
    """Its replid2 is perfect and its keys are old. It must not win while the primary lives."""
    stage = Stage(home, redis_options=SAVED if how == "rdb" else None)
    a, _, c = stage.servers
    if how == "rdb":
        save(c)
    stage.wait_writes(50, a)
    stage.fault()
    c.kill()
    c.start_again(replicaof=None)
    old = c.data()
    assert c.role() == "master" and len(old) < len(a.data())
    stage.router.wait_for(lambda s: s.server("c")["state"] == "up", "c to have been asked")
    stage.wait_writes(100, a)
    assert stage.router.stats().backend()["primary"] == "a"
    assert c.data() == old and stage.written_by(c) == []
    stage.curtain(a)


def test_03_a_replica_restarts_without_its_replicaof_and_there_is_no_other(home):
    """No third server that could vote."""
    stage = Stage(home, names=("a", "c"), redis_options=SAVED)
    a, c = stage.servers
    save(c)
    stage.wait_writes(50, a)
    c.stop()
    stage.wait_writes(20, a)
    c.start_again(replicaof=None)
    old = c.data()
    stage.router.wait_for(lambda s: s.server("c")["state"] == "up", "c to have been asked")
    stage.wait_writes(100, a)
    assert c.data() == old and stage.written_by(c) == []
    stage.curtain(a)


def test_04_stopped_primary_promotion_and_the_old_one_continues(home):
    stage = Stage(home)
    a, b, c = stage.servers
    stage.fault()
    a.pause()
    b.promote()
    c.follow(b)
    stage.wait_writes(50, b)
    a.resume()
    until(lambda: a.role() == "master", "a to claim again")
    stage.wait_writes(100, b)
    assert stage.router.stats().backend()["primary"] == "b"
    stage.curtain(b)


def test_05_a_second_promotion_on_top_with_the_middle_one_invisible(home):
    """a is stopped, b promoted; b is stopped, c promoted; then all three claim."""
    stage = Stage(home)
    a, b, c = stage.servers
    a.pause()
    b.promote()
    link(b, c)
    stage.wait_writes(50, b)
    stage.fault()
    b.pause()
    c.promote()
    stage.wait_writes(30, c)
    a.resume()
    until(lambda: a.role() == "master", "a to claim again")
    stage.wait_writes(50, c)
    assert stage.router.stats().backend()["primary"] == "c"
    b.resume()
    until(lambda: b.role() == "master", "b to claim again")
    stage.router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]),
                          "all three to answer")
    stage.wait_writes(100, c)
    assert stage.router.stats().backend()["primary"] == "c"
    stage.curtain(c)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")], ids=["two", "three"])
def test_06_a_replica_promoted_by_mistake_while_the_primary_goes_on(home, names):
    """The primary has taken writes that the claimant does not have: contested, held, then kept."""
    stage = Stage(home, names=names, conflict_timeout="500ms")
    a, b = stage.servers[:2]
    # Writes that pass the router by, so that the histories part for certain.
    b.promote()
    for number in range(100):
        a.ok("SET", f"past:{number}", "x")
    stage.wait_writes(100, a)
    assert stage.router.stats().backend()["primary"] == "a"
    assert stage.written_by(b) == []
    stage.curtain(a)
    b.follow(a)
    stage.verdict(primary="a", verdict="primary")


def test_06_while_it_is_contested_living_sessions_stand_still(home):
    """A write that is sent meanwhile reaches nobody; it is carried out when it is decided."""
    stage = Stage(home, names=("a", "b"), writers=False, conflict_timeout="1s")
    a, b = stage.servers
    client = home.keep(Resp(stage.address, 20))
    assert client.call("SET", "before", "1") == "OK"
    b.promote()
    for number in range(100):
        a.ok("SET", f"past:{number}", "x")
    stage.verdict(verdict="contested", primary="a")
    client.send("SET", "meanwhile", "1")

    def still_contested():
        on_a = a.call("EXISTS", "meanwhile")
        contested = stage.router.stats().backend()["verdict"] == "contested"
        assert not (contested and on_a), "a write went through while it was contested"
        return contested

    until(lambda: not still_contested(), "the conflict to end", 5)
    assert client.read() == "OK"
    assert stage.router.stats().backend()["primary"] == "a"
    assert "meanwhile" in a.data() and "meanwhile" not in b.data()


def test_06_with_on_conflict_refuse_nobody_is_written_to(home):
    stage = Stage(home, names=("a", "b"), conflict_timeout="300ms", on_conflict="refuse",
                  queue_timeout="300ms")
    a, b = stage.servers
    paused_at = len(stage.written_by(a))
    b.promote()
    for number in range(100):
        a.ok("SET", f"past:{number}", "x")
    stage.router.wait_for(lambda s: s.backend()["verdict"] != "primary" and
                          any("ERR router: " in text for _, text in stage.writers.refused),
                          "clients to be refused", 5)
    count = len(stage.writers.acked())
    holds(lambda: len(stage.writers.acked()) == count, "nothing is acknowledged", 0.5)
    assert stage.written_by(b) == [] and count >= paused_at
    b.follow(a)
    stage.wait_writes(50, a)
    stage.curtain(a)


def test_07_two_replicas_promoted(home):
    """Both have all that the dead one had. At most one of them is written to, at any time, and once
    the other follows it, it is."""
    stage = Stage(home)
    a, b, c = stage.servers
    stage.writers.stop()  # so that neither is ahead of the other
    for replica in (b, c):
        replica.wait_caught_up(a)
    stage.fault()
    stage.router.process.signal(signal.SIGSTOP)  # the router finds both claims there
    a.kill()
    b.promote()
    c.promote()
    stage.router.process.signal(signal.SIGCONT)
    stage.start_writers(wait=False)
    stage.router.wait_for(lambda s: s.server("a")["state"] == "down", "a to be down")
    holds(lambda: not (stage.written_by(b) and stage.written_by(c)), "one or none is written to", 1)
    winner, other = (c, b) if stage.written_by(c) else (b, c)
    assert stage.written_by(other) == []
    other.follow(winner)
    stage.wait_writes(50, winner)
    assert stage.written_by(other) == []
    stage.curtain(winner)


def test_08_restart_from_aof_looks_empty_by_lineage_and_is_not(home):
    stage = Stage(home, redis_options={"appendonly": True})
    a, _, _ = stage.servers
    stage.fault()
    lineage = a.info()["master_replid"]
    a.kill()
    a.start_again()
    assert a.info()["master_replid"] != lineage
    stage.wait_writes(100, a, timeout=20)
    assert stage.router.stats().backend()["primary"] == "a"
    report = stage.curtain(a)
    assert report.lost == []


def test_09_a_clean_restart_from_rdb(home):
    stage = Stage(home, redis_options=SAVED)
    a, _, _ = stage.servers
    a.stop()
    a.start_again()
    stage.wait_writes(100, a, timeout=20)
    assert stage.router.stats().backend()["primary"] == "a"
    report = stage.curtain(a)
    assert report.lost == []


def test_10_a_cascade(home):
    """a <- b <- c; a dies and the last of the chain is promoted."""
    stage = Stage(home, replicas=False, start=False)
    a, b, c = stage.servers
    link(a, b)
    link(b, c)
    stage.start_router()
    stage.router.wait_primary("a")
    stage.start_writers()
    stage.fault()
    a.kill()
    c.promote()
    b.follow(c)
    stage.wait_writes(50, c)
    a.start_again(replicaof=None)
    stage.router.wait_for(lambda s: s.server("a")["state"] == "up", "a to have been asked")
    stage.wait_writes(50, c)
    assert stage.router.stats().backend()["primary"] == "c"
    assert a.data() == {}
    stage.curtain(c)


def stale_claimant(stage):
    """a is left behind as a claimant; b is the primary, c follows it."""
    a, b, c = stage.servers
    a.pause()
    b.promote()
    link(b, c)
    stage.wait_writes(20, b)
    a.resume()
    until(lambda: a.role() == "master", "a to claim again")
    stage.router.wait_for(lambda s: s.server("a")["state"] == "up", "a to have been asked")
    stage.wait_writes(20, b)


def test_11_a_stale_claimant_and_the_true_primary_stopped_for_three_seconds(home):
    stage = Stage(home)
    a, b, _ = stage.servers
    stale_claimant(stage)
    left, written = a.data(), len(stage.written_by(a))
    b.pause()
    stage.verdict(verdict="hold")
    holds(lambda: len(stage.written_by(a)) == written, "no write on the stale one", 3.0)
    assert a.data() == left
    b.resume()
    stage.wait_writes(50, b)
    assert a.data() == left
    stage.curtain(b)


def test_11_the_stale_claimant_does_not_win_when_the_true_primary_dies(home):
    """The loser of an election never wins by the winner's silence or death."""
    stage = Stage(home)
    a, b, c = stage.servers
    stale_claimant(stage)
    left, written = a.data(), len(stage.written_by(a))
    stage.fault()
    b.kill()
    stage.router.wait_for(lambda s: s.server("b")["state"] == "down", "b to be down")
    holds(lambda: len(stage.written_by(a)) == written, "no write on the stale one", 0.7)
    c.promote()
    stage.wait_writes(50, c)
    assert a.data() == left
    stage.curtain(c)


def test_12_the_same_at_the_routers_start(home):
    """The first thing the router sees is a stale claimant and a primary that does not answer."""
    stage = Stage(home)
    a, b, _ = stage.servers
    stale_claimant(stage)
    stage.writers.stop()
    stage.router.stop()
    left = a.data()
    b.pause()
    stage.router.start(wait=False)
    until(lambda: stage.router.http("/healthz", missing_ok=True)[0] == 200, "the router to live")
    stage.start_writers(wait=False)
    holds(lambda: not stage.writers.acked(), "no write on the stale one", 3.0)
    b.resume()
    stage.wait_writes(50, b)
    assert a.data() == left
    stage.curtain(b)
