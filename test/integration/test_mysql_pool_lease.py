"""Promise: with pool_mode = transaction a session has on another connection what it had on its
own, or keeps that, and the reason is told; what cannot be known elsewhere is an error that says
so."""
import contextlib
import re
import struct

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.mysql_people import ALL, PLAIN, SECOND
from lib.mysql_pooled import TRANSACTION, PooledMySQL
from lib.mysql_speaker import MySQLError, Speaker
from lib.mysql_wire import packet
from lib.waiting import until

ELSEWHERE = "it needs pool_mode = session"


@pytest.fixture(name="stage", scope="module", params=ALL, ids=lambda p: p.name)
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        people.server.sql("DROP TABLE IF EXISTS test.t")
        people.server.sql("CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
        people.server.sql("SET GLOBAL log_bin_trust_function_creators = 1")
        people.server.sql("DROP FUNCTION IF EXISTS test.f")
        people.server.sql("CREATE FUNCTION test.f() RETURNS INT BEGIN"
                          " SET time_zone = '+03:00'; RETURN 1; END")
        yield PooledMySQL(shared_home, people, TRANSACTION, of_router={"workers": 1}, pool_size=2)


@pytest.fixture(name="come")
def clients(stage):
    with contextlib.ExitStack() as stack:
        yield lambda account=PLAIN, database="test": stack.enter_context(
            Speaker(stage.address, *account, database=database))
    stage.wait_left()


def thread(client):
    return client.value("SELECT CONNECTION_ID()")


def move(come, *clients):
    """Somebody else gets the connection of one of them, and then both have the other one: at the
    end the second of them."""
    theirs = [thread(client) for client in clients]
    third = come()
    third.query("BEGIN")
    assert thread(third) in theirs
    assert thread(clients[1]) in theirs
    return third


def test_what_a_session_has_goes_with_it(stage, come):
    first, second = come(), come()
    first.query("SET time_zone = '+05:00', sql_mode = 'ANSI_QUOTES'")
    first.query("USE other")
    assert first.value("SELECT LAST_INSERT_ID(4711)") == "4711"
    move(come, first, second)
    assert first.rows("SELECT @@time_zone, @@sql_mode, DATABASE(), LAST_INSERT_ID()") == [
        ("+05:00", "ANSI_QUOTES", "other", "4711")]
    assert second.rows("SELECT @@time_zone, DATABASE(), LAST_INSERT_ID()") == [
        (second.value("SELECT @@GLOBAL.time_zone"), "test", "0")]


def test_an_inserted_id_goes_with_it(stage, come):
    first, second = come(), come()
    number = first.query("INSERT INTO t (v) VALUES (1)").ok.insert_id
    move(come, first, second)
    assert first.value("SELECT LAST_INSERT_ID()") == str(number)
    assert second.value("SELECT LAST_INSERT_ID()") == "0"


@pytest.mark.parametrize("text", ["SELECT ROW_COUNT()", "SELECT FOUND_ROWS()", "SHOW WARNINGS",
                                  "SHOW ERRORS", "GET DIAGNOSTICS @n = NUMBER",
                                  "SELECT @@warning_count"])
def test_what_was_elsewhere_is_an_error(stage, come, text):
    first, second = come(), come()
    first.query("SELECT 1 UNION SELECT 2")
    move(come, first, second)
    answer = first.ask(text)
    assert answer.error and answer.error.words.endswith(ELSEWHERE)
    first.query("INSERT INTO t (v) VALUES (1), (2)")
    assert first.value("SELECT ROW_COUNT()") == "2"


def test_what_is_here_is_answered(stage, come):
    client = come()
    client.query("INSERT INTO t (v) VALUES (1), (2), (3)")
    assert client.value("SELECT ROW_COUNT()") == "3"
    client.query("SELECT CAST('x' AS SIGNED)")
    assert client.value("SELECT @@warning_count") == "1"


def prepare(client):
    client.prepare("SELECT 1")


PINS = {
    "transaction": "BEGIN", "autocommit": "SET autocommit = 0", "variable": "SET @v = 1",
    "temporary": "CREATE TEMPORARY TABLE tt (a INT)", "lock": "SELECT GET_LOCK('l', 0)",
    "warnings": "SELECT CAST('x' AS SIGNED)", "prepared": prepare,
}


@pytest.mark.parametrize("reason", PINS)
def test_why_it_keeps_its_connection(stage, come, reason):
    client, name = come(), "transaction" if reason == "autocommit" else reason
    text = PINS[reason]
    before = stage.router.stats().backend("b")[f"pinned_{name}"]
    if callable(text):
        text(client)
    else:
        client.query(text)
    assert stage.router.stats().backend("b")[f"pinned_{name}"] == before + 1
    client.command(my.RESET_CONNECTION)
    third = [come(), come()]
    third[0].query("BEGIN")
    assert thread(third[0]) != thread(third[1])


def test_who_leaves_leaves_the_database_of_its_connection(stage, come):
    """What is pinned and goes, when its connection was somebody else's before."""
    first, second = come(), come()
    third = move(come, first, second)
    third.query("ROLLBACK")
    third.query("USE other")
    third.query("SET @v = 1")
    second.query("BEGIN")
    third.quit()
    assert first.rows("SELECT DATABASE(), CURRENT_USER()") == [("test", "app@%")]


@pytest.mark.sanitize
def test_who_becomes_somebody_takes_nothing_along(stage, come):
    """Neither the connection that it had for the moment, nor the last one of those who wait."""
    first, second = come(), come()
    third = move(come, first, second)
    third.query("ROLLBACK")
    second.query("BEGIN")
    third.change_user(*PLAIN, database="other")
    assert first.value("SELECT DATABASE()") == "test"
    second.query("ROLLBACK")
    third.change_user(*SECOND, database="test")
    assert third.value("SELECT CURRENT_USER()") == "second@%"
    assert first.value("SELECT CURRENT_USER()") == "app@%"


def test_a_connection_that_the_server_kills_is_missed_by_nobody_else(stage, come):
    first, second = come(), come()
    third = move(come, first, second)
    stage.server.sql(f"KILL {thread(third)}")
    assert third.closed_by_peer()
    for client in (first, second):
        assert client.value("SELECT DATABASE()") == "test"


def test_a_closed_statement_pins_no_more(stage, come):
    first, second = come(), come()
    number, _ = first.prepare("SELECT LAST_INSERT_ID(77)")
    assert not first.execute(number).error
    first.command(my.CLOSE, struct.pack("<I", number))
    move(come, first, second)
    assert first.value("SELECT LAST_INSERT_ID()") == "77"


@pytest.mark.sanitize
def test_whose_statements_are_closed_says_nothing_more_and_is_shared(stage, come):
    """Closing one has no reply."""
    for client in come(), come():
        number, _ = client.prepare("SELECT 1")
        assert not client.execute(number).error
        client.command(my.CLOSE, struct.pack("<I", number))
    assert come().value("SELECT 1") == "1"


@pytest.mark.sanitize
def test_the_last_connection_of_an_account_may_be_proved_anew(stage, come):
    """By one of its sessions, while another one waits without."""
    first, second = come(), come()
    third = come(SECOND)
    third.query("BEGIN")
    for client in (first, second):
        assert client.value("SELECT CURRENT_USER()") == "app@%"
    second.change_user(*PLAIN, database="other")
    assert first.value("SELECT DATABASE()") == "test"
    assert second.value("SELECT DATABASE()") == "other"


@pytest.mark.sanitize
def test_nothing_is_left_of_an_account_that_nobody_is(stage, come):
    client = come(SECOND)
    client.query("SELECT 1")
    client.change_user(*PLAIN, database="test")
    assert client.value("SELECT CURRENT_USER()") == "app@%"
    client.quit()


def test_a_statement_of_many_packets_moves(stage, come):
    first, second = come(), come()
    move(come, first, second)
    assert first.value(f"SELECT LENGTH('{'x' * 17000000}')") == "17000000"


@pytest.mark.sanitize
def test_a_database_that_is_gone_is_no_reason_to_write_into_another(stage, come):
    """A server that knows it no more says so before the statement is sent, and not behind it."""
    sql = stage.server.sql
    sql("CREATE DATABASE IF NOT EXISTS brief")
    sql("GRANT ALL ON brief.* TO app")
    rows = sql("SELECT COUNT(*) FROM test.t")
    first, second = come(database="brief"), come()
    third = move(come, first, second)
    third.query("ROLLBACK")
    second.query("SELECT 1")
    sql("DROP DATABASE brief")
    answer = first.ask("INSERT INTO t (v) VALUES (1)")
    assert sql("SELECT COUNT(*) FROM test.t") == rows
    assert answer.error and answer.error.code == 1927 and "state" in answer.error.words, answer
    assert first.closed_by_peer()


def held(stage):
    """Clients that wait with a command."""
    _, text = stage.router.http("/metrics")
    text = text.decode() if isinstance(text, bytes) else text
    return int(re.search(r'router_backend_pool_held{proxy="b"} (\d+)', text)[1])


def test_who_leaves_while_it_waits_is_missed_by_nobody(stage, come):
    first, second = come(), come()
    move(come, first, second)
    second.query("BEGIN")
    first.say(my.QUERY, b"SELECT 1")
    until(lambda: held(stage) == 1, "it to wait")
    first.close()
    second.query("ROLLBACK")
    assert second.value("SELECT 5") == "5"
    assert held(stage) == 0


@pytest.mark.sanitize
def test_in_the_midst_of_a_command_nobody_else_has_a_word(stage, come):
    """One that has no reply, so that nothing is known to be under way."""
    first, second = come(), come()
    move(come, first, second)
    data = packet(0, bytes([my.LONG_DATA]) + struct.pack("<IH", 1 << 30, 0) + b"x" * 100)
    second.sock.sendall(data[:50])
    first.say(my.QUERY, b"SELECT 1")
    until(lambda: held(stage) == 1, "it to wait")
    second.sock.sendall(data[50:])
    assert first.listen().rows[0] == (b"1",)
    assert second.value("SELECT 2") == "2"


@pytest.fixture(name="old")
def old_clients(stage):
    """Their rows end with EOFs, which cannot tell what else has happened."""
    stage.server.sql("CREATE OR REPLACE VIEW test.v AS SELECT test.f() AS v")
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(
            Speaker(stage.address, *PLAIN, database="test", capabilities=my.USUAL))
    stage.wait_left()


def test_what_happened_behind_rows_goes_with_it(old):
    first, second = old(), old()
    assert first.value("SELECT v FROM v") == "1"
    move(old, first, second)
    assert second.value("SELECT @@time_zone") != "+03:00"
    assert first.value("SELECT @@time_zone") == "+03:00"


@pytest.mark.sanitize
def test_rows_behind_which_nothing_happened_cost_no_statement_more(stage, old):
    first, second = old(), old()
    move(old, first, second)
    leases = stage.router.stats().backend("b")["pool_leases"]
    before = stage.people.status("Com_set_option")
    for _ in range(10):
        for client in first, second:
            assert client.value("SELECT COUNT(*) FROM test.t WHERE id = -1") == "0"
    assert stage.people.status("Com_set_option") == before
    assert stage.router.stats().backend("b")["pool_leases"] == leases + 20


@pytest.mark.sanitize
def test_between_two_commands_others_have_their_turn(stage, come):
    """Also where the first of them has no reply, and both have come at once."""
    first, second = come(), come()
    move(come, first, second)
    number, _ = second.prepare("SELECT 1")
    first.say(my.QUERY, b"SELECT 1")
    until(lambda: held(stage) == 1, "it to wait")
    second.sock.sendall(packet(0, bytes([my.CLOSE]) + struct.pack("<I", number))
                        + packet(0, bytes([my.QUERY]) + b"BEGIN"))
    assert first.listen().rows[0] == (b"1",)
    second.sequence = 0
    assert not second.listen().error


def ends(client):
    """At once, or with a word at its next command, if it had no connection."""
    try:
        client.value("SELECT 1")
    except MySQLError as error:
        assert error.code == 1927
    except ConnectionError:
        pass
    return client.closed_by_peer()


def test_when_the_server_ends_all_end_and_others_come(stage, come):
    first, second = come(), come()
    third = move(come, first, second)
    stage.server.kill()
    for client in (first, second, third):
        assert ends(client)
    stage.people.reset()
    stage.router.wait_primary(stage.server.name, "b")
    assert come().value("SELECT 1") == "1"
