"""Promise: what an operator does to a router with pool_mode = transaction of MySQL meets sessions
that have no connection at the moment as it meets all others: they are listed, told, ended, kept
standing, and nobody waits for those that do nothing."""
import contextlib
import re
import signal

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.ini import frontend
from lib.mysql_liar import MySQLLiar
from lib.mysql_people import ALL, PLAIN, SECOND
from lib.mysql_pooled import TRANSACTION, backend
from lib.mysql_speaker import MySQLError, Speaker
from lib.process import free_port
from lib.router import Router
from lib.runtime import control_of
from lib.sockets import refused
from lib.upgrade import Upgraded
from lib.waiting import SLOW, Clock, holds, until

SIZE = 2
KILLED, SHUTDOWN, NO_PLACE, NO_PRIMARY = 1927, 1053, 1040, 1290

pytestmark = pytest.mark.sanitize


@pytest.fixture(name="people", scope="module")
def one_server():
    with clusters.lent(ALL[0].cluster) as people:
        yield people


@pytest.fixture(name="both", scope="module", params=ALL, ids=lambda kind: kind.name)
def each_server(request):
    with clusters.lent(request.param.cluster) as people:
        yield people


class Stage:
    """One worker with two connections to one server."""

    def __init__(self, home, people, kind=Router, front=None, router=None, **back):
        self.people, self.server, self.port = people, people.server, free_port()
        self.address = ("127.0.0.1", self.port)
        self.front, self.back = front or {}, {"pool_size": SIZE, **back}
        control, self.run = control_of(home)
        keys = {"workers": 1, **control, **(router or {})}
        if kind is Upgraded:
            self.router = kind(home, self.sections(), **keys)
        else:
            self.router = home.router(self.sections(), **keys)
        self.router.wait_primary(self.server.name, "b")
        self.clients = home.keep(contextlib.ExitStack())

    def sections(self):
        return (frontend("f", self.port, pool_mode=TRANSACTION, **self.front)
                + backend(self.server, **self.back))

    def come(self, account=PLAIN):
        return self.clients.enter_context(Speaker(self.address, *account, database="test"))

    def three(self):
        """The first one is parked, and the others have the two connections."""
        clients = [self.come() for _ in range(SIZE)]
        assert [client.value("SELECT 1") for client in clients] == ["1"] * SIZE
        clients.append(self.come())
        assert clients[-1].value("SELECT 1") == "1"
        until(lambda: self.states() == ["parked", "relay", "relay"], "one to be parked")
        return clients

    def rows(self):
        return [row for row in self.run("show sess").splitlines() if " fe=f " in row]

    def states(self):
        return sorted(re.search(r" state=(\w+)", row)[1] for row in self.rows())

    def row(self, client):
        """Of one session."""
        name = ":".join(str(part) for part in client.sock.getsockname())
        found, = [row for row in self.rows() if f" src={name} " in row]
        return found

    def wait_left(self):
        until(lambda: not self.rows(), "all to be gone")

    def held(self):
        return self.router.stats().backend("b")["pool"]["held"]

    def ask(self, client):
        """Said, and not answered yet."""
        before = self.held()
        client.say(my.QUERY, b"SELECT 7")
        until(lambda: self.held() == before + 1, "it to wait")


def told(client, answer=None):
    """(code, state, words) in place of an answer, and the end behind it."""
    client.sequence = 0
    error = (answer or client.listen()).error
    assert error and error.words.startswith(("router: ", "Connection was killed")), answer
    assert client.closed_by_peer()
    return error.code, error.state


def answered(client):
    """What was asked."""
    client.sequence = 0
    return client.listen().rows == [(b"7",)]


def is_quiet(client):
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1) and False
    except BlockingIOError:
        return True
    finally:
        client.sock.settimeout(20 * SLOW)


# --- what is seen, and ended by hand ---


def test_they_are_listed(home, people):
    stage = Stage(home, people)
    first, second, third = stage.three()
    row = stage.row(first)
    assert " state=parked " in row and " srv=<none> " in row and " held=no pins=- " in row, row
    second.query("BEGIN")
    third.query("BEGIN")
    stage.ask(first)
    assert " state=parked " in stage.row(first) and " held=yes " in stage.row(first)
    assert stage.router.stats().frontend("f")["sessions"] == 3
    third.query("COMMIT")
    assert answered(first)
    assert stage.held() == 0


@pytest.mark.parametrize("waits", [False, True], ids=["idle", "waits"])
def test_one_is_ended_by_its_number(home, people, waits):
    stage = Stage(home, people)
    first, second, third = stage.three()
    if waits:
        second.query("BEGIN")
        third.query("BEGIN")
        stage.ask(first)
    stage.run.ok(f"shutdown session {stage.row(first).split(':', 1)[0]}")
    assert first.closed_by_peer()
    assert stage.states() == ["relay", "relay"] and stage.held() == 0
    assert second.value("SELECT 1") == third.value("SELECT 1") == "1"


def test_those_of_a_server_are_ended_with_it(home, people):
    """Those too that have no connection of it: they can have one of no other."""
    stage = Stage(home, people)
    clients = stage.three()
    other = stage.come(SECOND)
    assert other.value("SELECT 1") == "1"
    stage.run(f"shutdown sessions server b/{stage.server.name}")
    assert all(client.closed_by_peer() for client in [*clients, other])
    assert stage.states() == []
    assert stage.come().value("SELECT 1") == "1"


def test_sql_kills_a_parked_one_never_as_somebody_else(home, both):
    """Nothing of it runs anywhere: there is no such thread, and whose connection it had is well."""
    stage = Stage(home, both)
    first, second, third = stage.three()
    assert second.ask(f"KILL QUERY {first.greeting.thread}").error.code == 1094
    assert third.value("SELECT 1") == second.value("SELECT 1") == first.value("SELECT 1") == "1"


# --- bounds ---


def test_they_count_among_max_sessions(home, people):
    stage = Stage(home, people, front={"max_sessions": 3})
    first, *_ = stage.three()
    with pytest.raises(MySQLError) as caught:
        stage.come()
    assert caught.value.code == NO_PLACE
    first.quit()
    until(lambda: len(stage.rows()) == 2, "it to be gone")
    assert stage.come().value("SELECT 1") == "1"


def test_idle_timeout_ends_them_as_all_others(home, people):
    stage = Stage(home, people, front={"idle_timeout": f"{int(1000 * SLOW)}ms"})
    first, second, third = stage.three()
    clock = Clock()
    until(lambda: first.closed_by_peer() if second.value("SELECT 1") == third.value("SELECT 1")
          and "parked" not in stage.states() else None, "the idle one to be ended", 5)
    assert clock.seconds() > 0.3
    assert second.value("SELECT 1") == third.value("SELECT 1") == "1"
    assert stage.router.stats().frontend("f")["idle_closed"] == 1


# --- reloads, pauses ---


def test_a_reload_is_not_noticed(home, people):
    """Whatever it changes of the pool."""
    stage = Stage(home, people)
    clients = stage.three()
    clients[0].query("SET time_zone = '+03:00'")
    for size in (1, 4, 2):
        stage.back["pool_size"] = size
        stage.router.reload(stage.sections())
        for client in clients:
            assert client.value("SELECT DATABASE()") == "test"
    assert [client.value("SELECT @@time_zone") for client in clients[:2]] == ["+03:00", "SYSTEM"]


def test_a_reload_that_takes_their_server_away_ends_them(home, people):
    """They proved themselves to that server: no other one knows them. They stand still for as long
    as another one could succeed it."""
    stage = Stage(home, people, queue_timeout="700ms")
    first, second, third = stage.three()
    fourth = stage.come()
    assert fourth.value("SELECT 1") == "1"  # so that two are parked
    second.query("BEGIN")
    third.query("BEGIN")
    stage.ask(first)
    stage.server = MySQLLiar(home, "other")
    stage.router.reload(stage.sections())
    assert told(first)[0] in (NO_PRIMARY, KILLED, NO_PLACE)
    assert all(client.closed_by_peer() for client in (second, third, fourth))
    stage.router.wait_primary("other", "b")
    stage.wait_left()


def test_those_who_are_there_go_on_where_nobody_new_comes(home, people):
    stage = Stage(home, people)
    clients = stage.three()
    stage.run.ok(f"set server b/{stage.server.name} weight 0")
    for client in clients * 2:
        assert client.value("SELECT 1") == "1"
    second, third = clients[1:]
    second.query("BEGIN")
    third.query("BEGIN")
    stage.ask(clients[0])
    second.query("ROLLBACK")
    assert answered(clients[0])


def test_a_pause_keeps_all_standing_and_all_go_on(home, people):
    stage = Stage(home, people)
    clients = stage.three()
    stage.run("pause backend b")
    for client in clients:
        client.say(my.QUERY, b"SELECT 7")
    until(lambda: stage.held() == 1, "the one without a connection to wait")
    holds(lambda: all(is_quiet(client) for client in clients), "all wait", 0.3)
    stage.run("resume backend b")
    assert all(answered(client) for client in clients)
    for client in clients:
        assert client.value("SELECT 1") == "1"


def test_nobody_takes_a_connection_from_one_that_stands_still(home, people):
    """Who has it goes on with it: it must not be forgotten as one that stands still."""
    stage = Stage(home, people)
    first, second, third = stage.three()
    stage.run("pause backend b")
    stage.ask(first)
    assert sum(" held=yes " in row for row in stage.rows()) == 3
    stage.run("resume backend b")
    assert answered(first)
    for client in (second, third, first):
        client.sock.settimeout(5 * SLOW)
        assert client.value("SELECT 1") == "1"


def test_a_pause_that_lasts_too_long_is_told(home, people):
    stage = Stage(home, people, queue_timeout="300ms")
    first, second, third = stage.three()
    stage.run("pause backend b")
    first.say(my.QUERY, b"SELECT 7")
    assert told(first) == (NO_PLACE, "08004")
    stage.run("resume backend b")
    assert second.value("SELECT 1") == third.value("SELECT 1") == "1"


# --- no server ---


def test_without_a_server_they_are_told_when_they_speak(home, both):
    """It is stopped, so it may come back: who stands still does. Then it is gone."""
    stage = Stage(home, both, queue_timeout="20s")
    first, second, third = stage.three()
    stage.server.kill()
    try:
        stage.router.wait_for(lambda s: s.server(stage.server.name)["state"] == "down", "it down")
        until(lambda: stage.states() == ["parked", "parked"], "the last connection to be lost")
        first.say(my.QUERY, b"SELECT 7")
        assert told(first)[0] == KILLED
    finally:
        both.reset()
    stage.router.wait_primary(stage.server.name, "b")
    assert stage.come().value("SELECT 1") == "1"


# --- the end ---


def begin_end(stage):
    stage.router.ended = True
    stage.router.process.signal(signal.SIGTERM)
    until(lambda: refused(stage.address), "new clients to be refused")


def test_the_end_waits_for_nobody_who_does_nothing(home, people):
    """Neither for the parked nor for those with a connection; drain_timeout is a minute."""
    stage = Stage(home, people, router={"drain_timeout": "60s"})
    clients = stage.three()
    clock = Clock()
    begin_end(stage)
    assert stage.router.process.wait(15) == 0
    assert clock.seconds() < 10 * SLOW
    assert all(client.closed_by_peer() for client in clients)
    assert "drain_timeout is over" not in stage.router.log
    stage.router.check_log()


def test_the_end_lets_those_work_who_do(home, people):
    """As long as they say something, or have a transaction."""
    stage = Stage(home, people, router={"drain_timeout": "60s"})
    first, second, third = stage.three()
    third.query("BEGIN")
    begin_end(stage)
    clock = Clock()
    until(lambda: (first.value("SELECT 1"), second.value("SELECT 2")) == ("1", "2")
          and clock.passed(2.5 * SLOW), "them to work on", 10)
    assert third.query("COMMIT").error is None
    assert stage.router.process.wait(15) == 0
    stage.router.check_log()


def test_at_the_end_of_the_drain_who_waits_is_told(home, people):
    stage = Stage(home, people, router={"drain_timeout": "300ms"}, queue_timeout="20s")
    first, second, third = stage.three()
    second.query("BEGIN")
    third.say(my.QUERY, b"SELECT SLEEP(20)")
    until(lambda: " pins=" in stage.row(third), "it to sleep")
    second.query("SELECT 1")
    begin_end(stage)
    first.say(my.QUERY, b"SELECT 7")
    assert told(first) == (SHUTDOWN, "08S01")
    assert told(third) == (SHUTDOWN, "08S01")
    assert second.closed_by_peer()
    assert stage.router.process.wait(10) == 0
    stage.router.check_log()


def test_an_upgrade_leaves_them_where_they_are(home, people):
    """As long as they like, until the process that they are at is told to end as well."""
    stage = Stage(home, people, kind=Upgraded, router={"drain_timeout": "60s"}, pool_size=4)
    stage.back["pool_size"] = SIZE
    stage.router.reload(stage.sections())
    clients = stage.three()
    clients[0].query("SET time_zone = '+03:00'")
    old = stage.router.upgrade()
    holds(old.running, "it stays", 1.5)
    assert clients[0].value("SELECT @@time_zone") == "+03:00"
    assert [client.value("SELECT 1") for client in clients] == ["1"] * 3
    old.signal(signal.SIGTERM)
    old.wait(15)
    assert all(client.closed_by_peer() for client in clients)
    assert stage.come().value("SELECT 1") == "1"
