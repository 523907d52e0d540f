"""Promise: a client of a MySQL pool that is killed at any packet, its own or the server's, in the
midst of one or between two, holds nothing then, and who shares its connections notices nothing."""
import contextlib
import struct

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.fake import reset
from lib.mysql_people import PLAIN, SECOND
from lib.mysql_pooled import KINDS, SESSION, PooledMySQL
from lib.mysql_speaker import MODERN, Speaker
from lib.mysql_wire import packet

MINE = {"first": (PLAIN, "+01:00", "test"), "second": (PLAIN, "-02:00", "other"),
        "third": (SECOND, "+03:00", "test")}
SEEN = "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1), @@time_zone, DATABASE()"


class Killed(Exception):
    """As it was planned."""


class Mortal(Speaker):
    """Is killed before packet number `last`, or when half of it is said; counted are those of both
    sides."""

    def __init__(self, address, last, half, abrupt):
        self.last, self.half, self.abrupt, self.packets = -1, half, abrupt, 0
        super().__init__(address, *PLAIN, "test", capabilities=MODERN | my.LOCAL_FILES,
                         login=False)
        self.last, self.packets = last, 0  # behind the greeting

    def _live(self, data=b""):
        if self.packets == self.last:
            if self.half:
                self.sock.sendall(data[:len(data) // 2])
            if self.abrupt:
                reset(self.sock)
            raise Killed
        self.packets += 1

    def send(self, sequence, payload):
        self._live(packet(sequence, payload))
        super().send(sequence, payload)

    def read(self):
        self._live()
        return super().read()


def live(client):
    """A whole life."""
    assert client.value("SELECT 1") == "1"
    number, _ = client.prepare("SELECT ?, ?")
    client.command(my.LONG_DATA, struct.pack("<IH", number, 0) + b"x" * 50)
    client.execute(number, "a", "b")
    client.command(my.CLOSE, struct.pack("<I", number))
    client.query("SET time_zone = '+09:00', @mine = 1")
    client.query("CREATE TEMPORARY TABLE passing (id INT)")
    client.command(my.RESET_CONNECTION)
    client.query("BEGIN")
    client.query("UPDATE one SET v = v + 1")
    client.query("SAVEPOINT s")
    client.say(my.QUERY, b"LOAD DATA LOCAL INFILE 'x' INTO TABLE one")
    client.listen(file=b"7\t7\n")
    client.query("ROLLBACK")
    client.change_user(*SECOND, database="other")
    client.query("SET time_zone = '+08:00'")
    client.query("BEGIN")
    client.query("UPDATE test.one SET v = v + 1")
    client.query("ROLLBACK")
    client.quit()


class Witness:
    """Stays, and knows itself again."""

    def __init__(self, stage, name):
        account, self.zone, self.database = MINE[name]
        self.name = account.name
        self.client = Speaker(stage.address, *account, database=self.database)
        self.client.query(f"SET time_zone = '{self.zone}', innodb_lock_wait_timeout = 2")

    def look(self):
        assert self.client.rows(SEEN) == [(self.name, self.zone, self.database)]


@pytest.fixture(name="stage", scope="module", params=KINDS, ids=str)
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        people.server.sql("DROP TABLE IF EXISTS test.one")
        people.server.sql("CREATE TABLE test.one (id INT PRIMARY KEY, v INT)")
        size = 4 if request.param.mode == SESSION else 3
        yield PooledMySQL(shared_home, people, request.param.mode, of_router={"workers": 1},
                          pool_size=size, queue_timeout="5s")


def die(stage, last, half=False, abrupt=False):
    """How many packets it lived."""
    with Mortal(stage.address, last, half, abrupt) as client:
        try:
            client.log_in()
            live(client)
        except Killed:
            pass
        return client.packets


@pytest.fixture(name="witnesses")
def all_witnesses(stage):
    with contextlib.ExitStack() as stack:
        made = [Witness(stage, name) for name in MINE]
        for witness in made:
            stack.enter_context(witness.client)
        yield made
    stage.wait_left()


@pytest.mark.sanitize
@pytest.mark.parametrize("half", [False, True], ids=["between", "within"])
def test_at_every_packet(stage, witnesses, half):
    stage.server.sql("REPLACE INTO test.one VALUES (1, 0)")
    whole = die(stage, -1)
    assert whole > 50
    for last in range(whole):
        assert die(stage, last, half, abrupt=last % 2) == last
        for witness in witnesses:
            witness.look()
        witnesses[last % 3].client.query("UPDATE test.one SET v = v + 1 WHERE id = 1")
    assert stage.server.sql("SELECT * FROM test.one") == [(1, whole)]
    for witness in witnesses:
        witness.client.quit()
