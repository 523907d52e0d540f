"""Promise: with pool_mode = transaction a client finds what it would find on a connection of its
own: random statements of clients that share connections have the same rows, errors, numbers,
warnings, status and settings as those of a twin beside the router. Only what asks about an earlier
statement may be refused, in the router's own words."""
import random

import pytest

from lib import clusters
from lib.mysql_people import ALL
from lib.mysql_pooled import TRANSACTION, PooledMySQL, settings
from lib.mysql_speaker import AUTOCOMMIT, IN_TRANS, MODERN, SESSION_TRACK, USUAL, Speaker

CLIENTS, CONNECTIONS, STEPS = 6, 2, 700
ACCOUNT = "twin"
REFUSED = 1235  # by the router: it asks about a statement that ran somewhere else
OURS, THEIRS = "twin_a", "twin_b"  # databases of those behind the router, and of their twins
CHARSETS = (8, 33, 45, 46, 224)

SETTINGS = (
    "SET NAMES latin1", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET NAMES 'utf8mb4'",
    "SET CHARACTER SET utf8mb4", "SET character_set_results = NULL",
    "SET collation_connection = utf8mb4_unicode_ci", "SET sql_mode = 'ANSI_QUOTES'",
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')",
    "SET sql_mode = DEFAULT", "SET time_zone = '+02:00'", "SET time_zone = 'SYSTEM'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET foreign_key_checks = 0", "SET unique_checks = 0, foreign_key_checks = 1",
    "SET group_concat_max_len = 50000", "SET sql_select_limit = 2",
    "SET sql_select_limit = DEFAULT", "SET lc_time_names = 'de_DE'",
    "SET optimizer_switch = 'index_merge=off'",
    "SET time_zone = '+07:00'; SET lc_time_names = 'fr_FR'", "SET last_insert_id = 12",
    "SET div_precision_increment = 6", "SET sql_auto_is_null = 1")
STATEMENTS = (
    "SELECT 1", "SELECT 1 / 3, DATABASE(), @@time_zone, @@sql_mode, @@collation_connection",
    "SELECT DAYNAME('2026-11-22'), CHARSET('x'), COLLATION('x')", "SELECT * FROM {t}",
    "SELECT nothing", "SELECT LAST_INSERT_ID()", "SELECT LAST_INSERT_ID()", "DO 1",
    "INSERT INTO {t} (v) VALUES (1)", "INSERT INTO {t} (v) VALUES (1), (2)",
    "INSERT INTO {t} (id, v) VALUES (77, 0)", "DELETE FROM {t} WHERE id > 5",
    "UPDATE {t} SET v = LAST_INSERT_ID(v + 1)", "SELECT 'a\\'b' AS x", "SELECT \"v\" FROM {t}",
    "INSERT INTO {t} VALUES ('x')", "SELECT 1 / 0", "SELECT ROW_COUNT()",
    "SELECT FOUND_ROWS()", "BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK",
    "USE {other}", "USE {main}")
# MariaDB's list of warnings outlives statements without tables, those of others too.
ABOUT_WARNINGS = ("SHOW WARNINGS", "SELECT @@warning_count", "SELECT 1 / 0", "SELECT ROW_COUNT()")
PINNING = ("SET TRANSACTION READ ONLY", "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
          "SET @@time_zone = '-05:00'", "SET nonsense = 1", "SET time_zone = 'nowhere'",
           "SET @a = 5", "SELECT @a", "CREATE TEMPORARY TABLE IF NOT EXISTS tmp SELECT 5 AS x",
           "SELECT x FROM tmp", "SET autocommit = 0", "SET autocommit = 1",
           "SELECT GET_LOCK('{t}', 0)", "SELECT IS_USED_LOCK('{t}') = CONNECTION_ID()")


class Twin:
    """A client behind the router, and one beside it that says the same."""

    def __init__(self, stage, number, rng, capabilities=MODERN):
        options = {"capabilities": capabilities, "charset": rng.choice(CHARSETS)}
        self.number, self.said = number, []
        self.ours = Speaker(stage.address, ACCOUNT, database=OURS, **options)
        self.theirs = Speaker(stage.server.address, ACCOUNT, database=THEIRS, **options)
        self.both("CREATE TABLE {t} (id INT PRIMARY KEY AUTO_INCREMENT, v INT) ENGINE = InnoDB")

    def text(self, statement, base):
        return statement.format(t=f"{base}.t{self.number}", main=base, other=f"{base}2")

    def both(self, statement):
        self.said.append(statement)
        ours = self.ours.ask(self.text(statement, OURS))
        if ours.error and ours.error.code == REFUSED:
            assert "router" in ours.error.words
            return
        theirs = self.theirs.ask(self.text(statement, THEIRS))
        assert self.seen(ours) == self.seen(theirs), (self.number, self.said)

    @staticmethod
    def seen(answer):
        """But for what is named after the databases."""
        def plain(text):
            return text.replace(THEIRS, OURS) if isinstance(text, str) else text.replace(
                THEIRS.encode(), OURS.encode()) if text else text
        error = answer.error and (answer.error.code, answer.error.state, plain(answer.error.words))
        results = [(r.rows and [tuple(plain(v) for v in row) for row in r.rows],
                    r.ok and (r.ok.affected, r.ok.insert_id, r.ok.warnings,
                              r.ok.status & (IN_TRANS | AUTOCOMMIT))) for r in answer.results]
        return error, results

    def settings(self):
        """Of both."""
        found = []
        for client, base in ((self.ours, OURS), (self.theirs, THEIRS)):
            rows = settings(client)
            rows["database"] = client.value("SELECT DATABASE()").replace(base, "")
            found.append(rows)
        return found

    def close(self):
        self.ours.close()
        self.theirs.close()


@pytest.fixture(name="stage", scope="module", params=ALL, ids=lambda people: people.name)
def a_router_with_few_connections(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        sql = people.server.sql
        for name in (OURS, f"{OURS}2", THEIRS, f"{THEIRS}2"):
            sql(f"DROP DATABASE IF EXISTS {name}")
            sql(f"CREATE DATABASE {name}")
        sql(f"DROP USER IF EXISTS {ACCOUNT}")
        sql(f"CREATE USER {ACCOUNT}")
        sql(f"GRANT ALL ON *.* TO {ACCOUNT}")
        yield PooledMySQL(shared_home, people, TRANSACTION, of_router={"workers": 1},
                          pool_size=CONNECTIONS)
        for name in (OURS, f"{OURS}2", THEIRS, f"{THEIRS}2"):
            sql(f"DROP DATABASE {name}")
        sql(f"DROP USER {ACCOUNT}")


@pytest.mark.parametrize("capabilities", [MODERN, USUAL | SESSION_TRACK, USUAL],
                         ids=["modern", "eof", "old"])
def test_clients_that_share_find_what_their_twins_find(stage, capabilities):
    """No transaction stays open, so that everybody comes to his turn."""
    seed = CLIENTS * (capabilities % 1009)
    rng = random.Random(seed)
    twins = [Twin(stage, seed + n, rng, capabilities) for n in range(CLIENTS)]
    others = () if stage.people.name == "mariadb" else ABOUT_WARNINGS
    try:
        for _ in range(STEPS):
            twin = rng.choice(twins)
            twin.both(rng.choice(SETTINGS if rng.random() < 0.3 else STATEMENTS + others))
            twin.both("ROLLBACK")
        for twin in twins:
            ours, theirs = twin.settings()
            assert ours == theirs, twin.said
    finally:
        for twin in twins:
            twin.close()


def test_what_pins_stays_with_its_client(stage):
    """As many clients as there are connections: all of them may keep theirs."""
    rng = random.Random(7)
    twins = [Twin(stage, 100 + n, rng) for n in range(CONNECTIONS)]
    try:
        for _ in range(STEPS // 2):
            rng.choice(twins).both(rng.choice(rng.choice((SETTINGS, STATEMENTS, PINNING))))
    finally:
        for twin in twins:
            twin.close()
