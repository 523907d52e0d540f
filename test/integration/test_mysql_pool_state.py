"""Promise: who is lent a connection finds nothing of whoever had it before, and gets what its own
login asks for; what the one before held is free at once, whether anybody comes or not."""
import contextlib
import socket
import struct

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.mysql_people import PLAIN, SECOND
from lib.mysql_pooled import DIRECT, KINDS, VOLATILE, PooledMySQL
from lib.mysql_speaker import MODERN, Speaker
from lib.waiting import SLOW, Clock, until


@pytest.fixture(name="stage", scope="module", params=KINDS, ids=str)
def one_stage(request, shared_home):
    """With one connection to the server, so that whoever comes gets that of whoever went."""
    with clusters.lent(request.param.cluster) as people:
        people.server.sql("SET GLOBAL interactive_timeout = 12345")
        people.server.sql("CREATE OR REPLACE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT,"
                          " v INT) ENGINE = InnoDB" if people.name == "mariadb" else
                          "CREATE TABLE IF NOT EXISTS test.t (id INT PRIMARY KEY AUTO_INCREMENT,"
                          " v INT)")
        yield PooledMySQL(shared_home, people, request.param.mode, of_router={"workers": 1},
                          pool_size=1)


@pytest.fixture(name="table")
def rows_in_a_table(stage):
    stage.server.sql("TRUNCATE test.t")
    stage.server.sql("INSERT INTO test.t VALUES (1, 1), (2, 2), (3, 3)")
    yield
    stage.wait_left()


def log_in(address, account=PLAIN, **options):
    return Speaker(address, *account, **{"database": "test", **options})


def say(*statements):
    def left(client):
        for statement in statements:
            client.query(statement)
    return left


def prepared(client):
    number, _ = client.prepare("SELECT ? + 1")
    client.command(my.LONG_DATA, struct.pack("<IH", number, 0) + b"41")
    assert not client.execute(number, "1").error


def with_cursor(client):
    number, _ = client.prepare("SELECT * FROM t")
    assert not client.execute(number, cursor=1).error
    client.command(my.FETCH, struct.pack("<II", number, 1))


def no_multi_statements(client):
    assert not client.command(my.SET_OPTION, b"\1\0").error
    assert client.ask("SELECT 1; SELECT 2").error.code == 1064


def half_a_command(client):
    """And away in the middle of it."""
    client.sock.sendall(b"\x20\0\0\0\x03INSERT INTO t VALUES")


def half_a_result(client):
    client.say(my.QUERY, b"SELECT REPEAT('x', 1000000) FROM t a, t b, t c, t d")
    client.sock.recv(1000)


def many_results(client):
    client.say(my.QUERY, b"SET @v = 1; SELECT 1; SELECT 2; SELECT SLEEP(0.05); SET @v = 2")


LEAVE = {
    "nothing": say(),
    "user-variables": say("SET @v = 'left', @w = 2"),
    "database": say("USE other"),
    "sql-mode": say("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"),
    "settings": say("SET time_zone = '+05:00', foreign_key_checks = 0, unique_checks = 0,"
                    " sql_safe_updates = 1, sql_select_limit = 1, group_concat_max_len = 8,"
                    " lc_messages = 'de_DE', lc_time_names = 'de_DE', wait_timeout = 77,"
                    " max_error_count = 0, sql_notes = 0, div_precision_increment = 9,"
                    " sort_buffer_size = 65536"),
    "moments": say("SET timestamp = 1, insert_id = 77, last_insert_id = 78, rand_seed1 = 3"),
    "charset": say("SET NAMES latin1 COLLATE latin1_german1_ci"),
    "results-as-they-are": say("SET character_set_results = NULL"),
    "collation": say("SET collation_connection = utf8mb4_bin"),
    "autocommit": say("SET autocommit = 0", "INSERT INTO t VALUES (9, 9)"),
    "isolation": say("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"),
    "next-isolation": say("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    "read-only": say("SET SESSION TRANSACTION READ ONLY"),
    "transaction": say("BEGIN", "UPDATE t SET v = 9", "SAVEPOINT s", "DELETE FROM t WHERE id = 2"),
    "snapshot": say("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"),
    "xa": say("XA START 'x'", "UPDATE t SET v = 9"),
    "locked-tables": say("LOCK TABLES t WRITE", "UPDATE t SET v = 9"),
    "locks": say("SELECT GET_LOCK('left', 0), GET_LOCK('behind', 0)"),
    "temporary-table": say("CREATE TEMPORARY TABLE temporary (a INT)",
                           "CREATE TEMPORARY TABLE t (hidden INT)",
                           "INSERT INTO temporary VALUES (1)"),
    "statement": say("PREPARE p FROM 'SELECT 1'"),
    "prepared": prepared,
    "cursor": with_cursor,
    "handler": say("HANDLER t OPEN", "HANDLER t READ FIRST"),
    "insert-id": say("INSERT INTO t (v) VALUES (7)", "DELETE FROM t WHERE v = 7"),
    "warnings": say("SELECT CAST('x' AS SIGNED), 1 / 0"),
    "error": lambda client: client.ask("SELECT nonsense"),
    "found-rows": say("SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1"),
    "row-count": say("UPDATE t SET v = v + 1"),
    "multi-statements": no_multi_statements,
    "half-a-command": half_a_command,
    "half-a-result": half_a_result,
    "many-results": many_results,
}

LOOK = (
    "SELECT ROW_COUNT(), LAST_INSERT_ID()", "SHOW WARNINGS",
    "SELECT DATABASE(), CURRENT_USER(), USER(), @v, @w, @@identity, @@timestamp > 1000000000",
    "SELECT * FROM t ORDER BY id", "SELECT * FROM temporary", "EXECUTE p", "HANDLER t READ FIRST",
    "SELECT IS_USED_LOCK('left'), IS_USED_LOCK('behind')", "SELECT 1; SELECT 'x\\'y'",
    "SELECT \"id\", 'a' 'b' FROM t LIMIT 1", "UPDATE t SET v = v",
    "UPDATE t SET v = v WHERE id = 1",
    "INSERT INTO t VALUES (4, 4)", "DELETE FROM t WHERE id = 4", "SELECT CAST('x' AS SIGNED)",
    "SHOW WARNINGS", "SELECT COUNT (*) FROM t", "SELECT '\xe4', HEX('\xe4')",
    "SELECT @@wait_timeout",
    "XA END 'x'", "COMMIT", "SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", "SELECT FOUND_ROWS()",
    "LOAD DATA LOCAL INFILE 'x' INTO TABLE t")


def seen(client):
    """All that a client sees of its session."""
    took = client.accepted
    told = [(took.affected, took.insert_id, took.status & ~my.STATE_CHANGED, took.info)]
    for statement in LOOK:
        answer = client.ask(statement)
        told.append((statement, answer.error.told if answer.error else answer.packets))
    told.append(client.execute(1).error.told)
    variables = dict(client.rows("SHOW SESSION VARIABLES"))
    told += sorted(item for item in variables.items() if item[0] not in VOLATILE
                   and not item[0].startswith("session_track_"))  # the router's own
    return told


def assert_as_new(stage, account=PLAIN, **options):
    """Who comes now sees what somebody sees who comes by no router. Its connection's id."""
    with log_in(stage.address, account, **options) as client:
        told = seen(client)
        number = client.value("SELECT CONNECTION_ID()")
        client.quit()
    with log_in(stage.server.address, account, **options) as direct:
        expected = seen(direct)
        direct.quit()
    differing = [pair for pair in zip(told, expected, strict=True) if pair[0] != pair[1]]
    assert not differing, differing[:5]
    return number


@contextlib.contextmanager
def who_leaves(stage, leave, by_quit):
    client = log_in(stage.address)
    number = client.value("SELECT CONNECTION_ID()")
    leave(client)
    if by_quit:
        client.quit()
    client.close()
    yield number


@pytest.mark.parametrize("leave", LEAVE.values(), ids=list(LEAVE))
def test_nothing_is_left_behind(stage, table, leave):
    """For the same account and for another one, which come at once; they get the same connection
    as long as nothing was under way on it."""
    broken_off = leave in (half_a_command, half_a_result, many_results)
    another = broken_off or leave is no_multi_statements
    for account in (SECOND, PLAIN):
        for by_quit in (True, False):
            if by_quit and broken_off:
                continue
            with who_leaves(stage, leave, by_quit) as number:
                same = assert_as_new(stage, account) == number
            assert another or same == (stage.mode != DIRECT)
    assert stage.server.sql("SELECT COUNT(*) FROM test.t") == [(3,)]


INNODB_SECONDS = 0.15  # it lists transactions anew if nobody has asked for so long


def free_lock(stage):
    return stage.server.value("SELECT IS_FREE_LOCK('left')") == 1


def free_rows(stage):
    return not stage.server.sql("SELECT trx_id FROM information_schema.innodb_trx")


def free_table(stage):
    with Speaker(stage.server.address, *PLAIN, database="test") as client:
        client.query("SET lock_wait_timeout = 1")
        return not client.ask("ALTER TABLE t COMMENT 'x'").error


HELD = {"locks": free_lock, "transaction": free_rows, "xa": free_rows, "autocommit": free_rows,
        "locked-tables": free_table, "snapshot": free_rows, "handler": free_table,
        "cursor": free_table}


@pytest.mark.parametrize("by_quit", [True, False], ids=["quit", "gone"])
@pytest.mark.parametrize("what", HELD)
def test_what_was_held_is_free_although_nobody_comes(stage, table, what, by_quit):
    with who_leaves(stage, LEAVE[what], by_quit):
        until(lambda: HELD[what](stage), f"{what} to be free", 3, poll=INNODB_SECONDS)


def test_a_statement_that_is_under_way_is_not_waited_for(stage, table):
    """Its connection is closed, whatever the server makes of that, and there is a place for
    another one."""
    client = log_in(stage.address)
    number = client.value("SELECT CONNECTION_ID()")
    client.say(my.QUERY, b"SELECT SLEEP(2)")
    until(lambda: any(row[4] == "User sleep" for row in stage.people.connections()), "its sleep")
    clock = Clock()
    client.close()
    assert assert_as_new(stage, SECOND) != number
    assert not clock.passed(1 * SLOW)


OTHER_LOGINS = {
    "usual": {},
    "no-database": {"database": None},
    "another-database": {"database": "other"},
    "latin1": {"charset": 8},
    "latin1-by-name": {"charset": 8, "database": "latin"},
    "unknown-charset": {"charset": 255},
    "another-unknown": {"charset": 254},
    "binary": {"charset": 63},
    "old-framing": {"capabilities": my.USUAL},
    "no-tracking": {"capabilities": MODERN & ~my.SESSION_TRACK},
    "found-rows": {"capabilities": MODERN | my.FOUND_ROWS},
    "ignore-space": {"capabilities": MODERN | 0x100},
    "interactive": {"capabilities": MODERN | my.INTERACTIVE},
    "single": {"capabilities": MODERN & ~my.MULTI_STATEMENTS},
    "files": {"capabilities": MODERN | my.LOCAL_FILES},
    "odbc": {"capabilities": MODERN | 0x40},
    "expired": {"capabilities": MODERN | my.EXPIRED},
    "mariadb": {"capabilities": MODERN & ~my.LONG_PASSWORD, "extended": 0x0d},
    "no-transactions": {"capabilities": MODERN & ~my.TRANSACTIONS},
    "attributes": {"attributes": my.text_of(b"program_name") + my.text_of(b"test")},
    "query-attributes": {"capabilities": MODERN},
}


@pytest.mark.parametrize("login", OTHER_LOGINS.values(), ids=list(OTHER_LOGINS))
def test_each_login_gets_what_it_asks_for(stage, table, login):
    """Behind another one, which left another database, charset and set of capabilities."""
    assert_as_new(stage, SECOND)
    assert_as_new(stage, PLAIN, **login)
    assert_as_new(stage, SECOND, **login)
    assert_as_new(stage, PLAIN)


def reset_by_itself(client):
    assert not client.command(my.RESET_CONNECTION).error


def change_user_by_itself(client):
    client.change_user(*PLAIN, database="test")


@pytest.mark.parametrize("how", [reset_by_itself, change_user_by_itself],
                         ids=["reset", "change-user"])
@pytest.mark.parametrize("leave", ["user-variables", "database", "settings", "charset", "prepared",
                                   "transaction", "temporary-table", "autocommit", "locks"])
def test_clients_may_do_that_by_themselves(stage, table, how, leave):
    """What they see then is what they see who did the same without a router."""
    told = []
    for address in (stage.server.address, stage.address):
        with log_in(address) as client:
            LEAVE[leave](client)
            how(client)
            told.append(seen(client)[1:])
            client.quit()
    differing = [pair for pair in zip(*told, strict=True) if pair[0] != pair[1]]
    assert not differing, differing[:5]
    assert_as_new(stage, SECOND)


def test_a_client_may_become_another_account(stage, table):
    """And fail to: then it is over, as at a MySQL. The next one is who it says all the same."""
    with log_in(stage.address) as client:
        client.change_user(*SECOND, database="other")
        assert client.rows("SELECT CURRENT_USER(), DATABASE()") == [("second@%", "other")]
        client.change_user(*PLAIN)
        assert client.rows("SELECT CURRENT_USER(), DATABASE()") == [("app@%", None)]
        with pytest.raises(my.MySQLError) as caught:
            client.change_user(SECOND.name, "wrong")
        assert caught.value.told[:2] == (1045, "28000")
    assert_as_new(stage, SECOND)
    with log_in(stage.address) as client:
        client.change_user(*SECOND)
        client.quit()
    assert_as_new(stage, PLAIN)


def test_a_client_that_is_reset_leaves_the_connection_to_others(stage, table):
    client = log_in(stage.address)
    client.query("SET @v = 'left'")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert_as_new(stage, SECOND)


def test_who_fails_is_nobody_and_stays_nobody(stage, table):
    """MariaDB goes on serving a connection whose COM_CHANGE_USER failed as the account before it;
    for the client it is over, and the connection is lent to nobody again."""
    with log_in(stage.address) as client:
        number = client.value("SELECT CONNECTION_ID()")
        client.quit()
    with Speaker(stage.address, SECOND.name, "wrong", login=False) as failing:
        with pytest.raises(my.MySQLError):
            failing.log_in()
        with contextlib.suppress(ConnectionError):
            failing.say(my.QUERY, b"SET @v = 1")
        assert failing.closed_by_peer()
    assert assert_as_new(stage) != number
