"""Promise: whatever happens to a primary of MariaDB, MySQL, Galera, Group Replication, PostgreSQL
or Patroni, by accident or by plan, writers go on at its successor, and nothing that was
acknowledged is lost beyond what the servers' own replication loses."""
import time

import pytest

from lib import clusters, families
from lib.sql_playbook import Stage, Watch
from lib.waiting import SLOW, holds
from lib.writers import compare

WRITES = 30
SWITCH_SECONDS = 2.0  # from the promotion to the first write; it takes a few milliseconds


# With sanitizers, one of each protocol.
SANITIZED = (families.MariaDBReplication, families.PostgreSQL)
PARAMETERS = [pytest.param(f, id=f.name, marks=[pytest.mark.sanitize] if f in SANITIZED else [])
              for f in families.ALL]


@pytest.fixture(name="family", params=PARAMETERS)
def lent_family(request):
    with clusters.lent(request.param.cluster) as cluster:
        yield request.param(cluster)


def only(*chosen):
    return pytest.mark.parametrize("family", chosen, ids=lambda f: f.name, indirect=True)


def check_change(change, **least):
    """In the order in which it happened; and so many sessions at least were held, or closed."""
    times = [change[key] for key in ("elected_ms", "published_ms", "written_ms")]
    assert times == sorted(times), change
    assert change["evidence"] and change["claims"]
    assert all(change[key] >= count for key, count in least.items()), change


def wait_seen(stage, condition, old):
    """Until the router has seen that the old primary is there again."""
    stage.router.wait_for(lambda s: condition(s, old), f"{old.name} to be seen again", 60)


def test_a_planned_switchover_loses_nothing_and_costs_little(home, family):
    stage = Stage(home, family)
    old = stage.primary
    steps = family.switch(old)
    new = next(steps)
    watch = home.keep(Watch(family, new)) if not family.writable(new) else None
    began = time.monotonic()
    next(steps, None)
    stage.wait_writes(WRITES, new)
    if watch:
        watch.stop()
    promoted = watch.at if watch else began
    first = min(write.acked for write in stage.writers.acked(new))
    print(f"{(first - promoted) * 1000:.0f} ms from the promotion to the first write")
    assert first - promoted < SWITCH_SECONDS * SLOW
    check_change(stage.wait_change(old, new))
    stage.curtain(new, nothing_lost=True)


def test_a_killed_primary_is_succeeded_and_gets_nothing_when_it_comes_back(home, family):
    stage = Stage(home, family)
    old = stage.primary
    stage.fault()
    family.kill(old)
    new = family.succeed(old)
    stage.wait_writes(WRITES, new)
    check_change(stage.wait_change(old, new), held=0 if family.waits_for_none else 1)
    family.come_back(old)
    wait_seen(stage, family.back, old)
    stage.wait_writes(WRITES, new)
    stage.router.wait_primary(new.name)
    stage.curtain(new)


def test_a_stopped_primary_is_succeeded_and_gets_nothing_when_it_goes_on(home, family):
    stage = Stage(home, family)
    old = stage.primary
    stage.fault()
    family.pause(old)
    new = family.succeed(old)
    stage.wait_writes(WRITES, new)
    check_change(stage.wait_change(old, new), closed=1)
    family.resume(old)
    wait_seen(stage, family.awake, old)
    stage.wait_writes(WRITES, new)
    assert stage.router.stats().backend()["primary"] == new.name
    stage.curtain(new)


@only(*(f for f in families.ALL if not f.waits_for_none))
def test_a_primary_made_read_only_by_hand_holds_the_writers_until_it_is_not(home, family):
    stage = Stage(home, family)
    old = stage.primary
    family.set_read_only(old, True)
    stage.router.wait_for(lambda s: s.backend()["verdict"] != "primary", "nobody to take writes")
    since = time.monotonic()
    holds(lambda: not stage.writers.acked(since=since), "nothing is acknowledged", 0.3)
    family.set_read_only(old, False)
    stage.wait_writes(WRITES, old)
    check_change(stage.wait_change(old, old), held=1)
    stage.curtain(old, nothing_lost=True)


@only(families.Galera)
def test_a_galera_node_made_read_only_by_hand_is_succeeded_and_stays_so(home, family):
    """All have all data: there is nothing to wait for, and nothing to go back for."""
    stage = Stage(home, family)
    old, new = family.servers[:2]
    family.set_read_only(old, True)
    stage.wait_writes(WRITES, new)
    check_change(stage.wait_change(old, new))
    family.set_read_only(old, False)
    wait_seen(stage, family.back, old)
    stage.wait_writes(WRITES, new)
    assert stage.router.stats().backend()["primary"] == new.name
    stage.curtain(new)


# A standby of PostgreSQL cannot be made writable without being promoted: see the test below.
@only(families.MariaDBReplication, families.MySQLReplication, families.GroupReplication)
def test_a_replica_made_writable_by_hand_changes_nothing(home, family):
    stage = Stage(home, family, probe_timeout="5s")
    old = stage.primary
    replica = family.others(old)[0]
    family.set_read_only(replica, False)
    assert not replica.value("SELECT @@read_only")
    changes = stage.router.stats()["changes"]
    stage.wait_asked(replica)
    stage.wait_writes(WRITES, old)
    stats = stage.router.stats()
    assert (stats.backend()["primary"], stats.server(replica.name)["role"]) == (old.name, "replica")
    assert len(stats["changes"]) == len(changes), "the writers were held"
    assert stage.acked_by_others(old) == []
    family.set_read_only(replica, True)
    stage.curtain(old, nothing_lost=True)


@only(families.PostgreSQL)
def test_a_standby_promoted_by_mistake_gets_nothing(home, family):
    """The primary has written since, and goes on after it was clear that nobody follows the other.
    """
    stage = Stage(home, family, conflict_timeout="500ms")
    old = stage.primary
    standby = family.others(old)[0]
    standby.promote()
    old.sql("INSERT INTO writes SELECT 'past ' || n, '' FROM generate_series(1, 100) n")
    wait_seen(stage, family.back, standby)
    stage.wait_writes(WRITES, old)
    assert stage.router.stats().backend()["primary"] == old.name
    assert stage.acked_by_others(old) == []
    stage.curtain(old, nothing_lost=True)


@only(families.Patroni)
def test_a_primary_that_nobody_demotes_any_more_is_succeeded_by_who_gets_the_lock(home, family):
    """Its Patroni stands still, and its PostgreSQL goes on to take writes."""
    stage = Stage(home, family)
    old = stage.primary
    stage.fault()
    old.pause_patroni()
    new = family.succeed(old)
    stage.wait_writes(WRITES, new)
    check_change(stage.wait_change(old, new), closed=1)
    wait_seen(stage, super(families.Patroni, family).back, old)
    assert family.writable(old)
    stage.wait_writes(WRITES, new)
    stage.writers.stop()
    report = compare(stage.writers, new, [old])
    print(report.verdict())
    report.check()


@only(families.Patroni)
def test_a_standby_promoted_behind_patronis_back_gets_nothing_whoever_follows_it(home, family):
    """By what the servers have and whom they follow it would be the primary; Patroni names another.
    """
    old = family.primary()
    standby, follower = family.others(old)
    for node in standby, follower:
        node.pause_patroni()
    family.cascade(follower, standby)
    stage = Stage(home, family, conflict_timeout="500ms")
    standby.sql("SELECT pg_promote(true, 20)")
    wait_seen(stage, super(families.Patroni, family).back, standby)
    stage.wait_writes(WRITES, old)
    assert stage.router.stats().backend()["primary"] == old.name
    assert stage.acked_by_others(old) == []
    stage.curtain(old, nothing_lost=True)
