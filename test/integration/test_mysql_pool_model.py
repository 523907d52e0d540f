"""Promise: what random clients say, through a pool and to the server itself, has the same results,
errors, warnings, definitions of columns and consequences, and leaves the same settings. The seed is
printed; ROUTER_SEED=N repeats one run."""
import os
import random
import re

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.mysql_people import EMPTY, PLAIN, SECOND
from lib.mysql_pooled import KINDS, SESSION, PooledMySQL, settings
from lib.mysql_speaker import Speaker
from lib.waiting import Clock

SECONDS, CLIENTS = 3.0, 12
CONNECTIONS = 4  # in transaction mode, where two less clients may do what pins them
MOVES = 50  # there, at least
TWINS = "mirror_a", "mirror_b"  # databases: of those who come through the router, and of the others
STATEMENT_ID = re.compile(r"handler \(\d+\)")
REFUSED = 1235  # by the router: it asks about a statement that ran somewhere else
ELSEWHERE = ("FOUND_ROWS", "ROW_COUNT", "SHOW WARNINGS", "SHOW ERRORS")


@pytest.fixture(name="stage", scope="module", params=KINDS, ids=str)
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        sql = people.server.sql
        for name in TWINS:
            sql(f"CREATE DATABASE IF NOT EXISTS {name}")
            for account in (PLAIN, SECOND, EMPTY):
                sql(f"GRANT ALL ON {name}.* TO {account.name}")
        alone = request.param.mode == SESSION
        yield PooledMySQL(shared_home, people, request.param.mode,
                          pool_size=CLIENTS if alone else CONNECTIONS,
                          of_router={"workers": 2 if alone else 1})
        for name in TWINS:
            sql(f"DROP DATABASE {name}")


class Club:
    """In transaction mode only its members say what may keep a connection, so that there is always
    one for everybody. All of those clients are one account, and speak in one way."""

    def __init__(self, stage, chance):
        self.shares = stage.mode != SESSION
        self.places = CONNECTIONS - 2 if self.shares else CLIENTS
        self.accounts = (PLAIN,) if self.shares else (PLAIN, PLAIN, SECOND, EMPTY)
        ways = (my.MODERN, my.USUAL, my.USUAL | my.SESSION_TRACK)
        self.ways = (chance.choice(ways),) if self.shares else ways

    def enter(self):
        entered = self.places > 0
        self.places -= entered
        return entered


class Pair:
    """One client that is two: what both are told must be the same."""

    def __init__(self, stage, chance, number, club):
        self.addresses = stage.address, stage.server.address
        self.chance, self.number, self.club = chance, number, club
        self.wild = False
        self.sides, self.prepared, self.said, self.life = [], [], [], 0

    def come(self):
        account = self.chance.choice(self.club.accounts)
        options = {"charset": self.chance.choice((45, 45, 8, 46, 224, 63)),
                   "capabilities": self.chance.choice(self.club.ways)}
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
        self._leave_club()

    def _leave_club(self):
        self.club.places += self.wild
        self.wild = False

    def ask(self, text):
        self.said.append(text)
        told = []
        for side, name in zip(self.sides, TWINS):
            answer = side.ask(text.replace("twin", name))
            if self.club.shares and not told and answer.error and answer.error.code == REFUSED:
                assert answer.error.words.startswith("router:")
                assert any(word in text for word in ELSEWHERE), self.said[-20:]
                self.said.append("(refused)")
                return
            told.append(self._told(answer, name))
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

    def reset(self):
        """Servers forget the database's charset, but not the database, until it is chosen anew: so
        that a move has no part in it."""
        self.command(my.RESET_CONNECTION)
        self.ask("USE twin")

    def some_command(self):
        self.command(*self.chance.choice(((my.PING,), (my.INIT_DB, b"other"),
                                          (my.INIT_DB, b"nowhere"))))

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
        dice = self.chance.random()
        if not self.sides:
            self.come()
        elif not self.club.shares:
            self.wild_step()
        elif self.wild and dice < 0.1:
            self.prepared = []
            self.reset()
            self._leave_club()
        elif self.wild:
            self.wild_step()
        elif dice < 0.05:
            self.wild = self.club.enter()
        else:
            self.calm_step()

    def calm_step(self):
        """Its connection is another one's afterwards."""
        chance = self.chance
        if chance.random() < 0.02:
            return self.go()
        burst = chance.choices(CALM, k=chance.randrange(1, 4))
        if chance.random() < 0.3:
            burst = ["BEGIN", *burst, chance.choice(("COMMIT", "ROLLBACK"))]
        for text in (*burst, "SELECT 1"):  # warnings keep it for one statement
            self.ask(self.filled(text))

    def wild_step(self):
        chance = self.chance
        dice = chance.random()
        if dice < 0.04:
            return self.go()
        if dice < 0.06:
            return chance.choice((self.reset, self.some_command))()
        if dice < 0.08:
            return self.prepare()
        if dice < 0.14 and self.prepared:
            return self.execute()
        return self.ask(self.filled(chance.choice(STATEMENTS)))

    def filled(self, text):
        return self._mine(text.replace("#", str(self.chance.randrange(1, 6))))

    def compare_settings(self):
        """Nothing is kept of a connection by what asks for them."""
        told = []
        for side in self.sides:
            side.command(my.QUERY, b"ROLLBACK")
            told.append(settings(side))
        if self.club.shares:
            self.go()
        assert not told or told[0] == told[1], [
            (name, told[0][name], told[1][name]) for name in told[0]
            if told[0][name] != told[1][name]] + self.said[-20:]

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
    "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci", "SET NAMES latin1 COLLATE latin1_bin",
    "SET CHARACTER SET utf8mb4", "SET character_set_results = NULL",
    "SET character_set_results = latin1", "SET collation_connection = utf8mb4_bin",
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


# What keeps no connection for longer than a statement, or a transaction.
CALM = [text for text in STATEMENTS if text.startswith((
    "SELECT # ", "SELECT * FROM twin.t%", "SELECT 'ü'", "INSERT INTO twin.a", "SELECT LAST_",
    "SELECT @@", "UPDATE", "DELETE", "REPLACE", "INSERT INTO twin.t", "SELECT ROW_", "SELECT SQL_",
    "SELECT CAST", "SHOW", "SELECT nonsense", "SELECT * FROM twin.nothing", "USE", "SELECT DATA",
    "SET sql_mode", "SET time_zone", "SET NAMES", "SET CHARACTER SET", "SET character_set",
    "SET collation", "SET SESSION", "SET group_", "SELECT GROUP", "SELECT 1; ", "SELECT CURRENT"))]


def make_tables(server):
    for name in TWINS:
        server.sql(f"DROP DATABASE {name}")
        server.sql(f"CREATE DATABASE {name} COLLATE utf8mb4_czech_ci")
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
    club = Club(stage, chance)
    pairs = [Pair(stage, chance, number, club) for number in range(CLIENTS)]
    before = stage.router.stats().backend("b")["logins_resumed"]
    clock, steps = Clock(), 0
    try:
        while not clock.passed(SECONDS):
            chance.choice(pairs).step()
            steps += 1
        for pair in sorted(pairs, key=lambda pair: not pair.wild):
            pair.compare_settings()
    finally:
        for pair in pairs:
            for side in pair.sides:
                side.close()
    moves = stage.router.stats().backend("b")["logins_resumed"] - before
    print(f"{steps} steps, {moves} moves")
    assert steps > 300
    assert moves > MOVES if club.shares else moves == 0
    stage.wait_left()
