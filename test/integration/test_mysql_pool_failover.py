"""Promise: with pool_mode, writers of MySQL follow the primary as without: what a server that lost
the role has acknowledged is not lost, none of its pooled connections is used again, and who waits
for a primary goes on with the next one."""
import pytest

from lib import clusters, families
from lib.sql_playbook import Stage
from lib.waiting import until

WRITES = 30
FAMILIES = [pytest.param(families.MariaDBReplication, marks=[pytest.mark.sanitize]),
            families.MySQLReplication, families.Galera]


@pytest.fixture(name="family", params=FAMILIES, ids=lambda f: f.name)
def lent_family(request):
    with clusters.lent(request.param.cluster) as cluster:
        yield request.param(cluster)


@pytest.fixture(name="stage", params=["session", "transaction"])
def pooled_stage(request, home, family):
    return Stage(home, family, front={"pool_mode": request.param}, pool_size=8)


def ours(stage, server):
    """Connections that the writers have, or had, there: the router's probes are of another account.
    A node of Galera is stopped for a switchover."""
    if not server.running():
        return []
    return server.sql("SELECT id FROM information_schema.processlist WHERE user = 'writer'")


def test_a_planned_switchover_loses_nothing_and_leaves_nothing_behind(stage, family):
    old = stage.primary
    stage.router.wait_for(lambda s: s.backend()["pool_reused"] > 0, "a connection to be used again")
    steps = family.switch(old)
    new = next(steps)
    next(steps, None)
    stage.wait_writes(WRITES, new)
    until(lambda: not ours(stage, old), "the pooled connections to the old primary to end", 20)
    assert ours(stage, new)
    stage.curtain(new, nothing_lost=True)


def test_a_killed_primary_is_succeeded_and_gets_nothing_when_it_comes_back(stage, family):
    old = stage.primary
    stage.fault()
    family.kill(old)
    new = family.succeed(old)
    stage.wait_writes(WRITES, new)
    family.come_back(old)
    stage.router.wait_for(lambda s: family.back(s, old), f"{old.name} to be seen again", 60)
    stage.wait_writes(WRITES, new)
    stage.router.wait_primary(new.name)
    assert not ours(stage, old)
    stage.curtain(new)


def test_a_stopped_primary_is_succeeded_and_gets_nothing_when_it_goes_on(stage, family):
    old = stage.primary
    stage.fault()
    family.pause(old)
    new = family.succeed(old)
    stage.wait_writes(WRITES, new)
    family.resume(old)
    stage.router.wait_for(lambda s: family.awake(s, old), f"{old.name} to be seen again", 60)
    stage.wait_writes(WRITES, new)
    until(lambda: not ours(stage, old), "the pooled connections to the old primary to end", 20)
    stage.curtain(new)
