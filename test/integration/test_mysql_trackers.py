"""Promise: the session trackers of MariaDB and MySQL tell what the router believes of them
(src/proto/mysql_state.h), and are silent about what it therefore looks for in the text of
statements (mysql_statement.h). Nothing of the router runs here: if one of these fails, a server has
changed, and pool_mode = transaction must learn it."""
import os
import re
import struct

import pytest

from lib import clusters
from lib.mysql_people import ALL
from lib.mysql_speaker import (DEPRECATE_EOF, IN_TRANS, INIT_DB, MODERN, RESET_CONNECTION,
                               STATE_CHANGED, USUAL, SESSION_TRACK, MySQLError)
from lib.mysql_tracks import ON, Tracked, told

PROTO = os.path.join(os.path.dirname(__file__), "../../src/proto")
VARIABLES = os.path.join(PROTO, "mysql_variables.def")
BUILT_IN = os.path.join(PROTO, "mysql_built_in.def")
COLLATIONS = os.path.join(PROTO, "mysql_collations.def")
# Functions that mysql_meaning.c knows one by one, and statements.
TOLD_BY_NAME = ("get_lock", "last_insert_id", "connection_id", "found_rows", "row_count", "lastval",
                "wsrep_last_seen_gtid", "wsrep_last_written_gtid", "call")
ACCOUNT = "tracked"
ASK = "SET SESSION last_insert_id=LAST_INSERT_ID(), collation_connection=@@collation_connection"
STATE = ["state"]
UTF8MB4_UNICODE_CI = 224
PROGRAMS = {
    "sets_a_user_variable": "PROCEDURE {}() SET @a = 1",
    "sets_a_setting": "PROCEDURE {}() SET time_zone = '+02:00'",
    "locks": "PROCEDURE {}() DO GET_LOCK('p', 0)",
    "fails": "PROCEDURE {}() BEGIN SET time_zone = '+06:00'; SELECT * FROM nowhere; END",
    "f_setting": "FUNCTION {}() RETURNS INT NO SQL BEGIN SET time_zone = '+03:00'; RETURN 1; END",
    "f_variable": "FUNCTION {}() RETURNS INT NO SQL BEGIN SET @b = 5; RETURN 1; END",
    "f_locks": "FUNCTION {}() RETURNS INT NO SQL RETURN GET_LOCK('f', 0)",
}


class Stage:
    def __init__(self, people):
        self.server, self.mariadb = people.server, people.name == "mariadb"
        sql = self.server.sql
        for statement in (f"DROP USER IF EXISTS {ACCOUNT}", "DROP ROLE IF EXISTS tracked_role",
                          f"CREATE USER {ACCOUNT}", "CREATE ROLE tracked_role",
                          f"GRANT ALL ON *.* TO {ACCOUNT}", f"GRANT tracked_role TO {ACCOUNT}",
                          "CREATE OR REPLACE TABLE other.t (id INT PRIMARY KEY AUTO_INCREMENT)"
                          if self.mariadb else
                          "CREATE TABLE IF NOT EXISTS other.t (id INT PRIMARY KEY AUTO_INCREMENT)"):
            sql(statement)
        for name, text in PROGRAMS.items():
            sql(f"DROP {text.split()[0]} IF EXISTS other.{name}")
            sql("CREATE " + text.format(f"other.{name}"))

    def clear(self):
        for statement in (f"DROP USER {ACCOUNT}", "DROP ROLE tracked_role", "DROP TABLE other.t"):
            self.server.sql(statement)
        for name, text in PROGRAMS.items():
            self.server.sql(f"DROP {text.split()[0]} other.{name}")

    def open(self, modern=True, **options):
        capabilities = MODERN if modern else USUAL | SESSION_TRACK
        return Tracked(self.server.address, ACCOUNT, database="other", capabilities=capabilities,
                       **options)


@pytest.fixture(name="stage", scope="module", params=ALL, ids=lambda people: people.name)
def one_of_each(request):
    with clusters.lent(request.param.cluster) as people:
        made = Stage(people)
        yield made
        made.clear()


@pytest.fixture(name="client")
def logged_in(stage):
    with stage.open() as client:
        yield client


def check(client, mariadb, rows):
    """rows: (statement, what is told); a pair where they differ: (MariaDB, MySQL)."""
    for statement, *expected in rows:
        wanted = expected[0 if mariadb else -1]
        assert (statement, client.tell(statement)) == (statement, wanted)


def zone(value):
    return [f"time_zone={value}", "state"]


def charsets(client="latin1", connection="latin1"):
    return [f"character_set_client={client}", f"character_set_connection={connection}",
            f"character_set_results={client}", "state"]


def test_settings_are_told_with_their_values(stage, client):
    check(client, stage.mariadb, [
        ("SELECT 1", []),
        ("SET time_zone = '+01:00'", zone("+01:00")),
        ("SET time_zone = '+01:00'", zone("+01:00")),
        ("SET time_zone = @@time_zone", zone("+01:00")),
        ("SET @@session.time_zone = CONCAT('+0', '2:00')", zone("+02:00")),
        ("SET @@local.time_zone = (SELECT '+03:00')", zone("+03:00")),
        ("SET LOCAL time_zone = DEFAULT", zone("SYSTEM")),
        ("SET GLOBAL max_connections = 400", []),
        ("SET autocommit = 0", ["autocommit=OFF", "state"]),
        ("SET autocommit = 1", ["autocommit=ON", "state"]),
        ("SET sql_mode = ''", ["sql_mode=", "state"]),
        ("SET character_set_results = NULL", ["character_set_results=", "state"]),
        ("SET sql_select_limit = DEFAULT", ["sql_select_limit=18446744073709551615", "state"]),
        ("SET long_query_time = 1.5", ["long_query_time=1.500000", "state"]),
        ("SET insert_id = 5", ["insert_id=5", "state"]),
        ("SET last_insert_id = 6", ["last_insert_id=6", "state"]),
        ("SET SESSION identity = 7", ["identity=7", "state"]),
        ("SET time_zone = 'x', nonsense = 1", None),
        ("SET time_zone = 'SYSTEM'; SET insert_id = 0", [*zone("SYSTEM"), "insert_id=0", "state"]),
    ])


def test_a_charset_is_told_without_its_collation(stage, client):
    utf8 = charsets("utf8mb4", "utf8mb4")
    check(client, stage.mariadb, [
        ("SET NAMES latin1", charsets()),
        ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", utf8),
        ("SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci", utf8),
        ("SET CHARACTER SET latin1", charsets("latin1", "utf8mb4")),
        ("SET collation_connection = latin1_bin", ["collation_connection=latin1_bin", "state"]),
        (ASK, ["collation_connection=latin1_bin", "last_insert_id=0", "state"]),
    ])


def of_results(client):
    """The number of their collation, as the router asks for it."""
    definition = client.query("SELECT _latin1'' LIMIT 0").packets[1]
    return struct.unpack("<H", definition[-12:-10])[0]


def test_only_definitions_tell_the_collation_of_results(stage):
    """And it is another one when character_set_results is set to what it is."""
    own = 45 if stage.mariadb else 255
    with stage.open(charset=UTF8MB4_UNICODE_CI) as client:
        assert of_results(client) == UTF8MB4_UNICODE_CI
        client.query("SET collation_connection = latin1_bin")
        assert of_results(client) == UTF8MB4_UNICODE_CI
        for statement, number in (
                ("SET character_set_results = @@character_set_results", own),
                ("SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'", 46),
                ("SET SESSION time_zone = 'SYSTEM', NAMES 'latin1' COLLATE 'latin1_bin'", 47),
                ("SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci', collation_connection ="
                 " 'latin1_bin', character_set_client = 'latin1'", UTF8MB4_UNICODE_CI)):
            client.query(statement)
            assert (statement, of_results(client)) == (statement, number)
        assert client.rows("SELECT @@collation_connection, @@character_set_client") == [
            ("latin1_bin", "latin1")]


def test_a_look_at_a_definition_leaves_no_trace(stage, client):
    client.query("SELECT 1 / 0")
    client.query("DO 1")
    assert client.query("SELECT _latin1'' LIMIT 0").ok.warnings == 0
    assert client.value("SELECT FOUND_ROWS()") == "0"
    assert not client.query("SELECT _latin1'' LIMIT 0").ok.status & IN_TRANS
    client.query("SET autocommit = 0")
    assert not client.query("SELECT _latin1'' LIMIT 0").ok.status & IN_TRANS


def test_collations_have_the_numbers_that_the_router_knows(stage, client):
    with open(COLLATIONS, encoding="ascii") as file:
        known = {int(number): name for number, name in
                 re.findall(r'^COLLATION\((\d+), "(\w+)"\)$', file.read(), re.M)}
    assert list(known) == sorted(known)
    theirs = {int(number): name for number, name in client.rows(
        "SELECT id, collation_name FROM information_schema.collations WHERE id IS NOT NULL")}
    common = known.keys() & theirs.keys()
    assert len(common) > 150
    assert {n: known[n] for n in common} == {n: theirs[n] for n in common}
    usual = {n for n, name in theirs.items() if not name.startswith(("ucs2", "utf16", "utf32"))}
    assert usual - known.keys() <= {213, 245}  # Croatian: one number, two names


def test_the_database_is_told(stage, client):
    check(client, stage.mariadb, [
        ("USE test", ["schema:test", "state"]),
        ("USE test", ["schema:test", "state"]),
        ("CREATE DATABASE short_lived", []),
        ("USE short_lived", ["schema:short_lived", "state"]),
        ("DROP DATABASE short_lived", ["schema:"]),
    ])
    assert told(client.command(INIT_DB, b"other")) == ["schema:other", "state"]


def test_transactions_are_told(stage, client):
    once = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;"
    name = "tx_isolation" if stage.mariadb else "transaction_isolation"
    check(client, stage.mariadb, [
        ("BEGIN", ["now:T_______", "next:START TRANSACTION;"]),
        ("COMMIT", ["now:________", "next:"]),
        ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
         [f"{name}=READ-COMMITTED", "state"]),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", [f"next:{once}"]),
        ("SELECT 1", []),
        ("SELECT * FROM t", ["next:"]),
        (f"SET @@{name} = 'SERIALIZABLE'", [f"next:{once}"]),
        ("BEGIN", ["now:T_______", f"next:{once} START TRANSACTION;"]),
        ("ROLLBACK AND CHAIN", [f"next:{once} START TRANSACTION;"]),
        ("ROLLBACK", ["now:________", "next:"]),
        ("LOCK TABLES t READ", ["now:_______L"]),
        ("UNLOCK TABLES", ["now:________"]),
    ])


def test_a_change_without_a_name_cannot_be_given_again(stage, client):
    check(client, stage.mariadb, [
        ("SET @a = 1", STATE),
        ("CREATE TEMPORARY TABLE t1 (a INT)", STATE),
        ("DROP TEMPORARY TABLE t1", STATE),
        ("PREPARE s FROM 'SELECT 1'", STATE),
        ("EXECUTE s", []),
        ("DEALLOCATE PREPARE s", STATE),
        ("CALL sets_a_user_variable()", STATE),
        ("SELECT f_variable()", STATE),
        ("CALL sets_a_setting()", zone("+02:00")),
        ("SELECT f_setting()", zone("+03:00")),
        ("SET SESSION session_track_system_variables = 'time_zone'", STATE),
        ("SET sql_mode = ''", STATE),
        ("SET SESSION session_track_system_variables = '*'",
         ["session_track_system_variables=*", "state"]),
    ])


def test_what_is_never_told_must_be_seen_in_the_text(stage, client):
    check(client, stage.mariadb, [
        ("SELECT @a := 2", []),
        ("SELECT 1 INTO @a", []),
        ("SET time_zone = 'SYSTEM', @a = 3", zone("SYSTEM")),
        ("CREATE TEMPORARY TABLE t2 AS SELECT 1", []),
        ("DROP TABLE t2", []),
        ("SELECT GET_LOCK('a', 0)", []),
        ("CALL locks()", []),
        ("SELECT f_locks()", []),
        ("HANDLER t OPEN", []),
        ("HANDLER t CLOSE", []),
        ("FLUSH TABLES WITH READ LOCK", []),
        ("UNLOCK TABLES", []),
        ("LOCK INSTANCE FOR BACKUP", None, []),
        ("UNLOCK INSTANCE", None, []),
        ("BACKUP STAGE START", [], None),
        ("BACKUP STAGE END", [], None),
        ("SET RESOURCE GROUP USR_default", None, []),
        ("SET ROLE tracked_role", STATE, []),
        ("SET ROLE NONE", STATE, []),
        ("SELECT LAST_INSERT_ID(55)", []),
    ])


def test_mariadb_tells_nothing_of_what_is_set_without_a_scope(stage, client):
    check(client, stage.mariadb, [
        ("SET @@time_zone = '+01:00'", [], zone("+01:00")),
        ("SET @@sql_mode = 'ANSI_QUOTES'", [], ["sql_mode=ANSI_QUOTES", "state"]),
        ("SET time_zone = '+02:00', @@wait_timeout = 5", zone("+02:00"),
         ["time_zone=+02:00", "wait_timeout=5", "state"]),
        ("SET @@session_track_schema = OFF", [], ["session_track_schema=OFF", "state"]),
    ])


def test_mariadb_tells_of_set_statement_as_if_it_lasted(stage, client):
    check(client, stage.mariadb, [
        ("SET time_zone = '+01:00'", zone("+01:00")),
        ("SET STATEMENT time_zone = '+08:00' FOR SELECT 1", zone("+08:00"), None),
        ("DO 1", []),
    ])
    assert client.value("SELECT @@time_zone") == "+01:00"


def test_news_of_a_statement_that_fails_are_told_later(stage, client):
    """MySQL tells them with the next OK, MariaDB with the next one that has news of its own."""
    check(client, stage.mariadb, [
        ("CALL fails()", None),
        ("SELECT 1", [], zone("+06:00")),
        ("DO 1", []),
        ("SET @a = 1", zone("+06:00"), STATE),
        ("CALL fails()", None),
        ("SELECT nothing", None),
    ])
    assert "time_zone=+06:00" in client.tell(ASK)


def test_news_behind_rows_that_end_with_an_eof_are_told_later(stage):
    """As those of a statement that fails. MariaDB's status says that there are some."""
    with stage.open(modern=False) as client:
        assert not client.capabilities & DEPRECATE_EOF
        answer = client.query("SELECT f_setting()")
        assert bool(answer.ok.status & STATE_CHANGED) == stage.mariadb
        check(client, stage.mariadb, [
            ("SELECT 1", []),
            ("DO 1", [], zone("+03:00")),
            ("SELECT 1", []),
            ("SET @a = 1", zone("+03:00"), STATE),
            ("SELECT f_setting()", []),
        ])
        assert "time_zone=+03:00" in client.tell(ASK)


def test_a_reset_keeps_the_database_and_switches_the_trackers_off(stage):
    """MySQL forgets the charset of the login too."""
    with stage.open(charset=UTF8MB4_UNICODE_CI) as client:
        for statement in ("SET NAMES latin1", "SET time_zone = '+01:00'", "SET last_insert_id = 5",
                          "SET TRANSACTION READ ONLY"):
            client.query(statement)
        assert told(client.command(RESET_CONNECTION)) == []
        assert client.tell("SET @a = 1") == []
        assert client.rows("SELECT DATABASE(), @@time_zone, LAST_INSERT_ID()") == [
            ("other", "SYSTEM", "0")]
        assert client.value("SELECT @@collation_connection") == (
            "utf8mb4_unicode_ci" if stage.mariadb else "utf8mb4_0900_ai_ci")
        assert client.tell(ON + ", sql_mode=@@sql_mode")[0].startswith("session_track_")


def test_what_an_ok_packet_calls_the_insert_id_may_not_be_it(stage, client):
    client.query("DELETE FROM t")
    client.query("SET last_insert_id = 9")
    assert client.query("INSERT INTO t VALUES (1000)").ok.insert_id == 1000
    assert client.value("SELECT LAST_INSERT_ID()") == "9"
    assert client.query("INSERT INTO t VALUES (NULL), (NULL)").ok.insert_id == 1001
    assert "last_insert_id=1001" in client.tell(ASK)
    with pytest.raises(MySQLError, match="1062"):
        client.query("UPDATE t SET id = LAST_INSERT_ID(id + 1) WHERE id = 1001")
    assert client.value("SELECT LAST_INSERT_ID()") == "1002"


def test_prepared_statements_are_told_only_when_they_change_something(client):
    statement, _parameters = client.prepare("SELECT 1")
    assert told(client.execute(statement)) == []
    statement, _parameters = client.prepare("SET @b = 1")
    assert told(client.execute(statement)) == STATE


def listed():
    with open(VARIABLES, encoding="ascii") as file:
        return re.findall(r'^VARIABLE\("(\w+)", (\w+)\)$', file.read(), re.M)


def literal(name, kind, value):
    if name == "character_set_results" and value == "":
        return "NULL"
    return f"'{value}'" if kind == "TEXT" else value


# What a login says, not a global variable; always known, since the router asks at a login.
OF_THE_LOGIN = ("character_set_client", "character_set_results", "collation_connection")


def test_every_setting_that_the_router_repeats_can_be_given_and_taken_back(stage, client):
    known = 0
    for name, kind in listed():
        if client.ask(f"SELECT @@{name}").error:
            continue
        known += 1
        first = dict(x.split("=", 1) for x in client.tell(f"SET SESSION {name}=@@{name}")[:-1])
        assert list(first) == [name]
        value = first[name]
        if value == "" and name not in ("sql_mode", "character_set_results", "old_mode"):
            continue  # a state in which the router would not repeat it
        answer = client.query(f"SET SESSION {name}={literal(name, kind, value)}")
        assert (told(answer), answer.ok.warnings) == ([f"{name}={value}", "state"], 0)
        if name not in OF_THE_LOGIN:
            assert client.tell(f"SET SESSION {name}=@@GLOBAL.{name}") == [f"{name}={value}",
                                                                          "state"]
    assert known > 60


def built_in():
    with open(BUILT_IN, encoding="ascii") as file:
        return re.findall(r'"(\w+)",', file.read())


def test_what_servers_have_themselves_is_not_taken_for_a_routine(stage, client):
    table, column = (("SQL_FUNCTIONS", "FUNCTION") if stage.mariadb
                     else ("KEYWORDS WHERE RESERVED = 1", "WORD"))
    theirs = {row[0].lower() for row in client.rows(f"SELECT {column} FROM information_schema"
                                                    f".{table}")}
    missing = theirs - {*built_in(), *TOLD_BY_NAME}
    assert len(theirs) > 200 and missing == set()


def test_the_lists_are_sorted():
    names = [name for name, _kind in listed()]
    assert names == sorted(set(names)) and len(names) > 70
    assert built_in() == sorted(set(built_in())) and len(built_in()) > 700
