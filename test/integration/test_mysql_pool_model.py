"""Promise: what random clients say, through a pool and to the server itself, has the same results,
errors, warnings and consequences. The seed is printed; ROUTER_SEED=N repeats one run."""
import os
import random
import re

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.mysql_people import EMPTY, PLAIN, SECOND
from lib.mysql_pooled import SESSION, SESSION_KINDS, PooledMySQL
from lib.mysql_speaker import Speaker
from lib.waiting import Clock

SECONDS, CLIENTS, SIZE = 4.0, 12, 3
TWINS = "mirror_a", "mirror_b"  # databases: of those who come through the router, and of the others
STATEMENT_ID = re.compile(r"handler \(\d+\)")
ELSEWHERE = ("FOUND_ROWS", "ROW_COUNT", "SHOW WARNINGS", "SHOW ERRORS", "GET DIAGNOSTICS")


@pytest.fixture(name="stage", scope="module", params=SESSION_KINDS, ids=str)
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        sql = people.server.sql
        for name in TWINS:
            sql(f"CREATE DATABASE IF NOT EXISTS {name}")
            for account in (PLAIN, SECOND, EMPTY):
                sql(f"GRANT ALL ON {name}.* TO {account.name}")
        # In transaction mode there is room for all, because what pins a session keeps its place.
        yield PooledMySQL(shared_home, people, request.param.mode, pool_size=CLIENTS,
                          of_router={"workers": 2})
        for name in TWINS:
            sql(f"DROP DATABASE {name}")


class Pair:
    """One client that is two: what both are told must be the same."""

    def __init__(self, stage, chance, number):
        self.addresses = stage.address, stage.server.address
        self.mode, self.chance, self.number = stage.mode, chance, number
        self.sides, self.prepared, self.said, self.life = [], [], [], 0

    def come(self):
        account = self.chance.choice((PLAIN, PLAIN, SECOND, EMPTY))
        options = {"charset": self.chance.choice((45, 45, 8)),
                   "capabilities": self.chance.choice((my.MODERN, my.USUAL))}
        self.sides = [Speaker(address, *account, database=name, **options)
                      for address, name in zip(self.addresses, TWINS)]
        self.prepared = []
        self.life += 1
        self.said.append(("come", account.name, options))

    def go(self):
        by_quit = self.chance.random() < 0.6
        for side in self.sides:
            if by_quit:
                side.quit()
            side.close()
        self.sides = []

    def ask(self, text):
        self.said.append(text)
        told = [self._told(side.ask(text.replace("twin", name)), name)
                for side, name in zip(self.sides, TWINS)]
        assert told[0] == told[1], self._words(told)

    def command(self, code, body=b""):
        self.said.append((code, body))
        told = [self._told(side.command(code, body), name)
                for side, name in zip(self.sides, TWINS)]
        assert told[0] == told[1], self._words(told)

    @staticmethod
    def _told(answer, name):
        """Without what a connection may be told of its state, and with one name for both twins."""
        told = [answer.error and answer.error.told]
        for result in answer.results:
            ok = result.ok
            told.append((result.columns, result.rows, ok and (
                ok.affected, ok.insert_id, ok.status & ~my.STATE_CHANGED, ok.warnings)))
        return STATEMENT_ID.sub("handler", repr(told).replace(name, "twin"))

    def _words(self, told):
        routed, direct = (str(what)[:2000] for what in told)
        said = map(str, self.said[-20:])
        return "\n".join(["", *said, "through the router:", routed, "directly:", direct])

    def prepare(self):
        text = self.chance.choice(("SELECT ? + 1", "SELECT * FROM twin.t% WHERE id = ?",
                                   "UPDATE twin.t% SET v = ? WHERE id = 2"))
        self.said.append(("prepare", text))
        told, numbers = [], []
        for side, name in zip(self.sides, TWINS):
            try:
                numbers.append(side.prepare(self._mine(text).replace("twin", name))[0])
                told.append(None)
            except my.MySQLError as error:
                told.append(error.told)
        assert told[0] == told[1], self._words(told)
        if numbers:
            self.prepared.append(numbers)

    def execute(self):
        value = str(self.chance.randrange(5))
        self.said.append(("execute", value))
        told = [self._told(side.execute(number, value), name) for side, number, name in zip(
            self.sides, self.chance.choice(self.prepared), TWINS)]
        assert told[0] == told[1], self._words(told)

    def step(self):
        chance = self.chance
        if not self.sides:
            return self.come()
        dice = chance.random()
        if dice < 0.04:
            return self.go()
        if dice < 0.06:
            return self.command(*chance.choice(((my.PING,), (my.INIT_DB, b"other"),
                                                (my.RESET_CONNECTION,), (my.INIT_DB, b"nowhere"))))
        if dice < 0.08:
            return self.prepare()
        if dice < 0.14 and self.prepared:
            return self.execute()
        return self.ask(self.statement())

    def statement(self):
        chance = self.chance
        text = chance.choice(STATEMENTS)
        if self.mode != SESSION and any(word in text for word in ELSEWHERE):
            text = f"SELECT 1; {text}" if chance.random() < 0.5 else "SELECT LAST_INSERT_ID()"
        return self._mine(text.replace("#", str(chance.randrange(1, 6))))

    def _mine(self, text):
        return text.replace("%", str(self.number)).replace("~", str(self.life))


# Tables with numbers of the client's own: nobody waits for another one's locks.
STATEMENTS = (
    "SELECT # + 1", "SELECT * FROM twin.t% ORDER BY id", "SELECT 'ü', 'x\\'y', NULL",
    "INSERT INTO twin.a% (owner, v) VALUES (%, #)", "SELECT LAST_INSERT_ID()", "SELECT @@identity",
    "SELECT LAST_INSERT_ID(#)", "UPDATE twin.t% SET v = v + #",
    "UPDATE twin.t% SET v = v", "DELETE FROM twin.t% WHERE id = #",
    "REPLACE INTO twin.t% VALUES (#, #)", "INSERT INTO twin.t% VALUES (#, 'x')",
    "SELECT ROW_COUNT()", "SELECT SQL_CALC_FOUND_ROWS * FROM twin.t% LIMIT 1",
    "SELECT SQL_CALC_FOUND_ROWS * FROM twin.t% LIMIT #; SELECT FOUND_ROWS()",
    "SELECT CAST('x#' AS SIGNED)", "SHOW WARNINGS", "SHOW ERRORS",
    "SELECT nonsense", "SELECT * FROM twin.nothing", "USE twin", "USE other", "SELECT DATABASE()",
    "SET @v = #", "SELECT @v", "SELECT @v := #", "SET sql_mode = ''", "SET sql_mode = DEFAULT",
    "SET sql_mode = 'ANSI_QUOTES'", "SELECT @@sql_mode", "SET time_zone = '+0#:00'",
    "SELECT @@time_zone, FROM_UNIXTIME(0)", "SET NAMES latin1", "SET NAMES utf8mb4",
    "SELECT @@character_set_client, @@collation_connection", "BEGIN", "START TRANSACTION READ ONLY",
    "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK AND CHAIN", "SAVEPOINT s", "ROLLBACK TO s",
    "SET autocommit = 0", "SET autocommit = 1", "SET autocommit = 1", "SELECT @@autocommit",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION sql_select_limit = #",
    "SET SESSION sql_select_limit = DEFAULT", "SET group_concat_max_len = 1#",
    "SELECT GROUP_CONCAT(REPEAT('x', 9))", "CREATE TEMPORARY TABLE twin.p (a INT)",
    "INSERT INTO twin.p VALUES (#)", "SELECT * FROM twin.p", "DROP TEMPORARY TABLE twin.p",
    "PREPARE p FROM 'SELECT ? * 2'", "EXECUTE p USING @v", "DEALLOCATE PREPARE p",
    "SELECT GET_LOCK('twin%.~.#', 0)", "SELECT RELEASE_LOCK('twin%.~.#')",
    "SELECT RELEASE_ALL_LOCKS()",
    "SELECT 1; SELECT nonsense; SELECT 3", "SET @w = #; SELECT @w; SELECT # FROM twin.t% LIMIT 1",
    "SELECT CURRENT_USER(), USER()", "CALL twin.nothing()", "SET insert_id = #",
    "SET timestamp = 100#", "SELECT UNIX_TIMESTAMP() < 2000", "SET timestamp = DEFAULT",
    "SELECT * FROM twin.t% FOR UPDATE", "LOCK TABLES twin.own% WRITE",
    "UNLOCK TABLES", "INSERT INTO twin.own% VALUES (#)", "SELECT COUNT(*) FROM twin.own%",
)


def make_tables(server):
    for name in TWINS:
        server.sql(f"DROP DATABASE {name}")
        server.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        for number in range(CLIENTS):
            server.sql(f"CREATE TABLE {name}.a{number} (id INT AUTO_INCREMENT PRIMARY KEY,"
                       " owner INT, v INT)")
            server.sql(f"CREATE TABLE {name}.own{number} (id INT)")
            server.sql(f"CREATE TABLE {name}.t{number} (id INT PRIMARY KEY, v INT)")
            server.sql(f"INSERT INTO {name}.t{number} VALUES (1, 1), (2, 2)")


def test_all_are_told_the_same(stage):
    seed = int(os.environ.get("ROUTER_SEED") or random.randrange(1 << 32))
    print(f"ROUTER_SEED={seed}")
    chance = random.Random(seed)
    make_tables(stage.server)
    pairs = [Pair(stage, chance, number) for number in range(CLIENTS)]
    clock, steps = Clock(), 0
    try:
        while not clock.passed(SECONDS):
            chance.choice(pairs).step()
            steps += 1
    finally:
        for pair in pairs:
            for side in pair.sides:
                side.close()
    print(f"{steps} steps")
    assert steps > 300
    stage.wait_left()
