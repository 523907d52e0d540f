"""Promise: few connections serve many clients, never more than are allowed and for no longer than
they may; whoever waits is served in turn, also when the server is restarted."""
import contextlib
import threading

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.mysql_people import EMPTY, PLAIN, SECOND
from lib.mysql_pooled import DIRECT, KINDS, PooledMySQL
from lib.mysql_speaker import MODERN, MySQLError, Speaker
from lib.waiting import SLOW, Clock, holds, until

CROWD, SIZE = 1000, 32


@pytest.fixture(name="people", scope="module", params=KINDS, ids=str)
def their_server(request):
    with clusters.lent(request.param.cluster) as people:
        people.mode = request.param.mode
        yield people


@pytest.fixture(name="pool")
def make_pool(home, people):
    """A PooledMySQL of the test's own. At the end nobody is there, and every connection is idle."""
    made = []

    def make(**keys):
        made.append(PooledMySQL(home, people, people.mode, **keys))
        return made[-1]

    yield make
    for stage in made:
        stage.wait_left()


def log_in(stage, account=PLAIN, **options):
    return Speaker(stage.address, *account, **{"database": "test", **options})


def visit(stage, account=PLAIN, **options):
    """The id of the connection at the server."""
    with log_in(stage, account, **options) as client:
        number = client.value("SELECT CONNECTION_ID()")
        client.quit()
        return number


# --- few serve many ---


def test_the_server_sees_no_one_come_or_go(pool, people):
    """In the steady state it makes no threads, and nothing is aborted. A connection that is being
    cleaned is not waited for."""
    stage = pool()
    seen = {visit(stage) for _ in range(20)}
    names = "Connections", "Threads_created", "Aborted_clients", "Aborted_connects"
    before = people.status(*names)
    for number in range(100):
        seen.add(visit(stage, (PLAIN, SECOND, EMPTY)[number % 3]))
    after = people.status(*names)
    if stage.mode == DIRECT:
        return
    assert len(seen) <= 6, "some of each worker"
    assert after[0] - before[0] <= 2 and after[1] - before[1] <= 2
    assert after[2:] == before[2:]


def test_a_thousand_clients(pool, people):
    """All are there at once; the server never has more than it may."""
    stage = pool(pool_size=SIZE)
    threading.stack_size(256 * 1024)
    names, failed = [], []
    connected = threading.Barrier(CROWD)

    def come():
        try:
            client = Speaker(stage.address, *PLAIN, login=False, timeout=60)
            connected.wait(60 * SLOW)
            client.log_in()
            names.append(client.value("SELECT USER()"))
            client.quit()
        except (OSError, MySQLError, AssertionError, threading.BrokenBarrierError) as error:
            failed.append(error)
            connected.abort()

    people.wait_connections(0)
    people.server.sql("FLUSH STATUS")
    threads = [threading.Thread(target=come) for _ in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    threading.stack_size(0)
    assert not failed, (len(failed), failed[:3])
    assert names == ["app@127.0.0.1"] * CROWD
    others = 2 + 2  # the probes of both backends, the test's, and one that came in between
    assert people.status("Max_used_connections")[0] <= SIZE + others
    assert len(people.connections()) <= SIZE


def test_who_waits_too_long_is_told(pool):
    stage = pool(pool_size=1, queue_timeout="300ms")
    with log_in(stage) as first:
        clock = Clock()
        with pytest.raises(MySQLError) as caught:
            log_in(stage, SECOND)
        assert caught.value.code == 1040 and 0.25 < clock.seconds() < 2 * SLOW
        first.quit()
    assert visit(stage, SECOND)


def test_who_waits_is_next(pool):
    """The one place is taken, given back, and taken, whichever worker has the clients."""
    stage = pool(pool_size=1, queue_timeout="20s")
    for account in (PLAIN, SECOND):  # of strangers a few may wait there at once
        log_in(stage, account).quit()
    clock, order = Clock(), []

    def come(number):
        with log_in(stage, (PLAIN, SECOND)[number % 2]) as client:
            order.append(client.value("SELECT CONNECTION_ID()"))
            client.quit()

    for _ in range(5):
        with log_in(stage):
            threads = [threading.Thread(target=come, args=(n,)) for n in range(6)]
            for thread in threads:
                thread.start()
            stage.router.wait_for(lambda s: s.backend("b")["waiting"] == 6, "six to wait")
        for thread in threads:
            thread.join()
    assert len(order) == 30
    assert not clock.passed(10 * SLOW)


def test_an_idle_connection_elsewhere_starves_nobody(pool):
    """It belongs to another worker, or serves other capabilities; the place is one."""
    stage = pool(pool_size=1, queue_timeout="5s")
    clock = Clock()
    for number in range(30):
        visit(stage, capabilities=(MODERN, my.USUAL, MODERN | my.FOUND_ROWS)[number % 3])
    assert not clock.passed(15 * SLOW)


# --- how long they last ---


def test_idle_ones_are_closed(pool, people):
    stage = pool(pool_idle_timeout="300ms")
    visit(stage)
    assert len(people.connections()) == 1
    people.wait_connections(0)
    assert visit(stage)


def test_some_are_kept_warm(pool, people):
    stage = pool(pool_idle_timeout="200ms", pool_min_idle=2, of_router={"workers": 1})
    clients = [log_in(stage) for _ in range(5)]
    for client in clients:
        client.quit()
    people.wait_connections(2)
    holds(lambda: len(people.connections()) == 2, "two are kept", 1.0)


def test_old_ones_are_closed_when_nobody_has_them(pool, people):
    stage = pool(pool_max_age="1s", of_router={"workers": 1})
    with log_in(stage) as client:
        old = client.value("SELECT CONNECTION_ID()")
        clock = Clock()
        until(lambda: clock.passed(1.2), "it to be old")
        assert client.value("SELECT CONNECTION_ID()") == old
        client.quit()
    people.wait_connections(0)
    assert visit(stage) != old


def test_one_that_the_server_closed_is_lent_to_nobody(pool, people):
    stage = pool(of_router={"workers": 1})
    for _ in range(5):
        number = visit(stage)
        people.server.sql(f"KILL {number}")
        people.wait_connections(0)
        assert visit(stage) != number


# --- what happens to servers ---


class Load:
    """Clients that come and go."""

    def __init__(self, stage, count=4):
        self.stage, self.over = stage, False
        self.good, self.bad, self.met = [0] * count, [], set()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        while not self.over:
            try:
                with log_in(self.stage, (PLAIN, SECOND)[number % 2]) as client:
                    for _ in range(3):
                        self.met.add((number % 2, client.value("SELECT USER()")))
                    client.quit()
                self.good[number] += 1
            except (OSError, MySQLError, AssertionError) as error:
                self.bad.append(error)

    def wait_served(self):
        """Until each was served again."""
        before = list(self.good)
        until(lambda: all(now > then + 3 for now, then in zip(self.good, before)),
              "all to be served", 20)

    def close(self):
        self.over = True
        for thread in self.threads:
            thread.join()
        assert self.met == {(0, "app@127.0.0.1"), (1, "second@127.0.0.1")}


def test_a_server_that_is_restarted_under_load(pool, people, home):
    stage = pool(pool_size=3, queue_timeout="10s")
    load = Load(stage)
    with contextlib.closing(load):
        load.wait_served()
        assert not load.bad, load.bad[:3]
        people.server.restart()
        load.wait_served()
        count = len(load.bad)
        load.wait_served()
        assert len(load.bad) == count, load.bad[count:]
    stage.wait_left()
    assert len(people.connections()) <= 3


def test_a_server_that_is_killed_under_load(pool, people, home):
    stage = pool(pool_size=3, queue_timeout="10s")
    load = Load(stage)
    with contextlib.closing(load):
        load.wait_served()
        people.server.kill()
        people.server.start_again()
        load.wait_served()
        count = len(load.bad)
        load.wait_served()
        assert len(load.bad) == count, load.bad[count:]
    stage.wait_left()
