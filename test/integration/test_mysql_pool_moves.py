"""Promise: with pool_mode = transaction a client waits for no connection on its worker while
another worker has one of its account that is free: that one comes, with its place."""
import contextlib
import json

import pytest

from lib import clusters
from lib.mysql_people import ALL, PLAIN
from lib.mysql_pooled import TRANSACTION, PooledMySQL
from lib.mysql_speaker import QUERY, Speaker
from lib.runtime import control_of
from lib.waiting import until

pytestmark = pytest.mark.sanitize

SIZE = 4
WORKERS = (2, 3)


class Place(PooledMySQL):
    def __init__(self, home, people, workers):
        control, self.run = control_of(home)
        super().__init__(home, people, TRANSACTION, of_router={"workers": workers, **control},
                         pool_size=SIZE, queue_timeout="10s")
        self.workers = workers

    def pool(self):
        shown, = json.loads(self.run("show pool json b"))
        return shown

    def links(self):
        return self.pool()["connections"]

    def moved(self):
        return self.router.stats().backend("b")["pool_moved"]

    def at_server(self):
        return {thread for thread, in self.server.sql(
            "SELECT id FROM information_schema.processlist WHERE user = %s", PLAIN.name)}


def worker_of(number):
    return int(number, 16) >> 32


def thread(client):
    return int(client.value("SELECT CONNECTION_ID()"))


class Crew:
    """Clients of one account, of which it is known on which worker they are."""

    def __init__(self, place, stack):
        self.place, self.stack, self.on = place, stack, [[] for _ in range(place.workers)]

    def come(self):
        client = self.stack.enter_context(Speaker(self.place.address, *PLAIN, database="test"))
        client.query("BEGIN")
        own = thread(client)
        worker, = {worker_of(link["id"]) for link in self.place.links()
                   if int(link["thread"]) == own}
        client.query("COMMIT")
        self.on[worker].append(client)

    def until_each_has(self, count):
        """And there are as many connections as may be: one that was closed for who logged in may
        not have been needed."""
        while min(len(clients) for clients in self.on) < count or self.open() < SIZE:
            self.come()

    def open(self):
        return sum(link["state"] != "quit" for link in self.place.links())

    def all(self):
        return [client for clients in self.on for client in clients]

    def keep(self, *clients):
        """They begin transactions, which keep a connection each."""
        for client in clients:
            client.query("BEGIN")
        return {thread(client) for client in clients}


@pytest.fixture(name="place", scope="module", params=[(p, n) for p in ALL for n in WORKERS],
                ids=lambda p: f"{p[0].name}-{p[1]}")
def one_place(request, shared_home):
    people, workers = request.param
    with clusters.lent(people.cluster) as lent:
        place = Place(shared_home, lent, workers)
        yield place
        place.router.stop()


@pytest.fixture(name="crew")
def one_crew(place):
    with contextlib.ExitStack() as stack:
        yield Crew(place, stack)
    place.wait_left()
    place.check()


def test_one_that_is_free_serves_the_sessions_of_all_workers(place, crew):
    """Also when it is the only one, and its own worker's sessions have it back then."""
    crew.until_each_has(SIZE)
    before, held = place.moved(), crew.keep(*crew.on[0][:SIZE - 1])
    others = crew.on[0][SIZE - 1:] + [client for clients in crew.on[1:] for client in clients]
    left = {thread(client) for _ in range(5) for client in others}
    assert len(left) == 1 and not left & held
    assert place.moved() - before >= place.workers
    assert place.at_server() == left | held


def test_what_a_session_has_goes_with_it(place, crew):
    crew.until_each_has(SIZE)
    crew.keep(*crew.on[0][:SIZE - 1])
    others = [clients[-1] for clients in crew.on]
    for number, client in enumerate(others):
        client.query(f"SET time_zone = '+0{number}:00'")
        client.query("USE other" if number else "USE test")
        client.value(f"SELECT LAST_INSERT_ID({4711 + number})")
    for _ in range(3):
        for number, client in enumerate(others):
            assert client.rows("SELECT @@time_zone, DATABASE(), LAST_INSERT_ID()") == [
                (f"+0{number}:00", "other" if number else "test", str(4711 + number))]


def test_who_waits_gets_the_first_one_that_is_free_anywhere(place, crew):
    crew.until_each_has(SIZE)
    held = crew.on[0][:SIZE]
    crew.keep(*held)
    for number, client in enumerate(clients[-1] for clients in crew.on[1:]):
        client.say(QUERY, b"SELECT CONNECTION_ID()")
        until(lambda: place.pool()["pool"]["held"] == 1, "it to wait")
        free = thread(held[number])
        held[number].query("ROLLBACK")
        assert int(client.listen(QUERY).rows[0][0]) == free
        client.query("BEGIN")


def test_who_logs_in_gets_the_place_of_one_that_is_free_elsewhere(place, crew):
    """Though its worker has no more than its share."""
    crew.until_each_has(SIZE)
    crew.keep(*crew.on[0][:SIZE - 2])  # two are free
    crew.until_each_has(max(len(clients) for clients in crew.on) + 1)


def test_a_lost_one_is_missed_by_its_session_only(place, crew):
    """Others of that account on that worker go on with what another worker has."""
    crew.until_each_has(SIZE)
    held = crew.on[0][:SIZE - 1]
    threads = crew.keep(*held)
    assert thread(crew.on[-1][0]) not in threads  # the one that is free is there now
    for number in threads:
        place.server.sql(f"KILL {number}")
    for client in held:
        assert client.closed_by_peer()
    until(lambda: len(place.at_server()) == 1, "the others to be gone")
    assert len({thread(client) for client in crew.all() if client not in held}) == 1
    place.server.sql(f"KILL {place.at_server().pop()}")
    until(lambda: not place.links(), "the last one to be missed")
    lost = [client for client in crew.all() if client not in held]
    assert {answer_of(client) for client in lost} <= {1927, None}


def answer_of(client):
    """Its error's code; None: it was cut."""
    try:
        return client.ask("SELECT 1").error.code
    except ConnectionError:
        return None
