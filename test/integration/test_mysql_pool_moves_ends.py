"""Promise: connections that are on their way from one worker to another are ended with their
server's role, by the operator's word and with the process, and go on through a reload and another
process: none is left, none is lost, and no place with it."""
import contextlib
import threading

import pytest

from lib import clusters, families
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mariadb import PROBER, WRITER, MariaDB
from lib.mysql_speaker import MySQLError, Speaker
from lib.process import free_port
from lib.router import Router
from lib.runtime import control_of
from lib.sql_playbook import Stage
from lib.upgrade import Upgraded
from lib.waiting import until

pytestmark = pytest.mark.sanitize

WORKERS, SIZE, CLIENTS = 3, 4, 9
REST = 0.003  # seconds between the turns of one client, in which its worker may need no connection


@pytest.fixture(name="server", scope="module")
def one_server(shared_home):
    return shared_home.keep(MariaDB(shared_home.directory("db"), "db")).start()


class Crowd:
    """Clients of one account that begin and commit, one after the other, each in a thread."""

    def __init__(self, address, stack):
        self.stopped, self.errors, self.turns = threading.Event(), [], [0] * CLIENTS
        clients = [stack.enter_context(Speaker(address, *WRITER, database="test"))
                   for _ in range(CLIENTS)]
        self.threads = [threading.Thread(target=self._go, args=(n, client), daemon=True)
                        for n, client in enumerate(clients)]
        for thread in self.threads:
            thread.start()

    def _go(self, number, client):
        try:
            while not self.stopped.wait(REST):
                for text in "BEGIN", "INSERT INTO test.turns VALUES ()", "COMMIT":
                    client.query(text)
                self.turns[number] += 1
        except (MySQLError, OSError) as error:
            self.errors.append(error)

    def wait(self, turns=5):
        """Until all have had their turns from now on."""
        had = list(self.turns)
        until(lambda: self.errors or min(now - was for now, was in zip(self.turns, had)) >= turns,
              "all to go on", 20)
        assert not self.errors

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()


def count(server):
    return server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s",
                        WRITER[0])


class World:
    def __init__(self, home, server, kind=Router):
        self.server, self.port = server, free_port()
        server.sql("CREATE OR REPLACE TABLE test.turns (id INT PRIMARY KEY AUTO_INCREMENT)")
        control, self.run = control_of(home)
        keys = {"workers": WORKERS, "drain_timeout": "2s", **control}
        self.router = (home.router(self.sections(), **keys) if kind is Router
                       else kind(home, self.sections(), **keys))
        self.router.wait_primary("db", "b")
        self.stack = home.keep(contextlib.ExitStack())
        self.crowd = Crowd(("127.0.0.1", self.port), self.stack)
        self.wait_moves()

    def sections(self, **keys):
        return frontend("f", self.port, pool_mode="transaction") + section(
            "backend b", protocol="mysql", server=servers(self.server),
            probe_user=PROBER[0], probe_password=PROBER[1], queue_timeout="20s",
            **{**FAST_PROBES, "pool_size": SIZE, **keys})

    def moved(self):
        return self.router.stats().backend("b")["pool_moved"]

    def wait_moves(self):
        had = self.moved()
        until(lambda: self.crowd.errors or self.moved() > had + 5, "connections to move", 20)
        assert not self.crowd.errors

    def at_server(self):
        return count(self.server)

    def committed(self):
        return self.server.value("SELECT COUNT(*) FROM test.turns")


def test_the_end_of_the_router(home, server):
    """Nothing is left, as a sanitizer sees it."""
    world = World(home, server)
    world.router.stop()
    until(lambda: len(world.crowd.errors) == CLIENTS, "all to be ended")
    world.crowd.stop()
    assert world.committed() >= sum(world.crowd.turns)
    until(lambda: world.at_server() == 0, "the connections to end")


def test_a_reload(home, server):
    world = World(home, server)
    for size in (2, 6, SIZE):
        world.router.reload(world.sections(pool_size=size))
        world.crowd.wait()
        assert 0 < world.at_server() <= SIZE
    world.wait_moves()
    world.crowd.stop()


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_smaller_pool_closes_at_once_what_nobody_uses(home, server, mode):
    port = free_port()

    def sections(size):
        return frontend("f", port, pool_mode=mode) + section(
            "backend b", protocol="mysql", server=servers(server), pool_size=size,
            probe_user=PROBER[0], probe_password=PROBER[1], **FAST_PROBES)

    router = home.router(sections(SIZE), workers=2)
    router.wait_primary("db", "b")
    clients = [Speaker(("127.0.0.1", port), *WRITER, database="test") for _ in range(SIZE)]
    assert len({client.value("SELECT CONNECTION_ID()") for client in clients}) == SIZE
    for client in clients:
        client.quit()
    router.wait_for(lambda s: s.backend("b")["pool"]["idle"] == SIZE, "all to be idle")
    router.reload(sections(1))
    until(lambda: count(server) <= 1, "the others to be closed")
    with contextlib.closing(Speaker(("127.0.0.1", port), *WRITER, database="test")) as client:
        assert client.value("SELECT 1") == "1"


def test_another_process(home, server):
    """Those who are there go on in the old one, with what is there."""
    world = World(home, server, Upgraded)
    old = world.router.upgrade()
    world.crowd.wait(20)
    assert 0 < world.at_server() <= SIZE
    world.crowd.stop()
    world.stack.close()
    old.wait()
    with contextlib.closing(Speaker(("127.0.0.1", world.port), *WRITER, database="test")) as new:
        assert new.value("SELECT 1") == "1"


def test_the_word_of_an_operator(home, server):
    world = World(home, server)
    for _ in range(3):
        world.run.ok("shutdown sessions server b/db")
        until(lambda: len(world.crowd.errors) == CLIENTS, "all to be ended")
        world.crowd.stop()
        until(lambda: world.at_server() == 0, "the connections to end")
        until(lambda: world.router.stats().server("db")["sessions"] == 0, "all places to be free")
        world.crowd = Crowd(("127.0.0.1", world.port), world.stack)
        world.wait_moves()
    world.crowd.stop()


@pytest.fixture(name="family")
def lent_family():
    with clusters.lent(families.MariaDBReplication.cluster) as cluster:
        yield families.MariaDBReplication(cluster)


def test_a_switchover(home, family):
    stage = Stage(home, family, router_keys={"workers": WORKERS},
                  front={"pool_mode": "transaction"}, pool_size=SIZE)
    old = stage.primary
    stage.router.wait_for(lambda s: s.backend()["pool_moved"] > 5, "connections to move", 20)
    steps = family.switch(old)
    new = next(steps)
    next(steps, None)
    stage.wait_writes(30, new)
    until(lambda: not old.sql("SELECT id FROM information_schema.processlist "
                              "WHERE user = 'writer'"), "the connections to the old one to end", 20)
    stage.curtain(new, nothing_lost=True)
