"""Promise: sysbench, which holds its connections and uses them without a pause, sees no errors
through a pool, also with more threads than there are connections, and its rows are right."""
import re

import pytest

from lib import clusters
from lib.mysql_logins import run
from lib.mysql_people import PLAIN
from lib.mysql_pooled import KINDS, TRANSACTION, PooledMySQL

SIZE, THREADS, MANY = 4, 4, 16
ROWS, EVENTS = 500, 300
UNPREPARED = "--db-ps-mode=disable"


@pytest.fixture(name="stage", scope="module", params=KINDS, ids=str)
def filled_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        stage = PooledMySQL(shared_home, people, request.param.mode, of_router={"workers": 1},
                            pool_size=SIZE, queue_timeout="20s")
        stage.others = len(people.connections())  # which other pools keep
        people.server.sql("DROP TABLE IF EXISTS test.sbtest1")
        sysbench(stage, "oltp_read_write", "prepare")
        yield stage
        people.server.sql("DROP TABLE test.sbtest1")


def sysbench(stage, script, *command):
    return run("sysbench", script, "--db-driver=mysql", f"--mysql-host={stage.address[0]}",
               f"--mysql-port={stage.address[1]}", f"--mysql-user={PLAIN.name}",
               f"--mysql-password={PLAIN.password}", "--mysql-db=test", f"--table-size={ROWS}",
               *command).stdout


def number(pattern, said):
    return int(re.search(pattern + r":? +(\d+)", said)[1])


def do(stage, script, threads, *options):
    said = sysbench(stage, script, f"--threads={threads}", f"--events={EVENTS}", "--time=0",
                    *options, "run")
    assert number("total number of events:", said) == EVENTS, said
    assert number("reconnects:", said) == 0, said
    return said


@pytest.mark.parametrize("options", [(), (UNPREPARED,)], ids=["prepared", "unprepared"])
def test_reading(stage, options):
    said = do(stage, "oltp_point_select", THREADS, *options)
    assert number("ignored errors:", said) == 0 and number("read:", said) == EVENTS


@pytest.mark.parametrize("options", [(), (UNPREPARED,)], ids=["prepared", "unprepared"])
def test_writing(stage, options):
    """What it ignores are deadlocks. Each of its transactions deletes a row and inserts it again.
    Prepared statements keep their connections, and only where they do not there may be more threads
    than connections."""
    many = stage.mode == TRANSACTION and UNPREPARED in options
    said = do(stage, "oltp_read_write", MANY if many else THREADS, "--skip-trx=off", *options)
    assert number("transactions:", said) == EVENTS
    assert stage.server.sql("SELECT COUNT(*), MIN(id), MAX(id), COUNT(DISTINCT id) FROM"
                            " test.sbtest1") == [(ROWS, 1, ROWS, ROWS)]
    assert len(stage.people.connections()) <= SIZE + stage.others
    if many:
        assert stage.router.stats().backend("b")["pool_leases"] > EVENTS
