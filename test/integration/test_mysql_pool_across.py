"""Promise: with pool_mode = transaction nothing that a client says or is told is harmed by a change
of its connection: files, prepared statements, attributes, many results, what it did not ask to
hear; and who reads slowly keeps nobody else."""
import re
import struct
import types

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.chopper import Chopper
from lib.mysql_swap import company, swap, thread
from lib.mysql_people import ALL, PLAIN, SECOND
from lib.mysql_pooled import TRANSACTION, PooledMySQL, settings
from lib.mysql_speaker import MODERN, USUAL, Speaker
from lib.waiting import until

QUERY_ATTRIBUTES = 1 << 27
UNICODE = 224  # a collation that no server has by itself


@pytest.fixture(name="stage", scope="module", params=ALL, ids=lambda p: p.name)
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        people.server.sql("DROP TABLE IF EXISTS test.moved")
        people.server.sql("CREATE TABLE test.moved (id INT PRIMARY KEY, v TEXT)")
        yield PooledMySQL(shared_home, people, TRANSACTION, of_router={"workers": 1}, pool_size=2)
        people.server.sql("DROP TABLE test.moved")


@pytest.fixture(name="come")
def clients(stage):
    with company(stage) as come:
        yield come


def metric(stage, name):
    """Of the router's page of numbers, which is what it has now."""
    _, text = stage.router.http("/metrics")
    text = text.decode() if isinstance(text, bytes) else text
    return int(re.search(rf'router_backend_{name}{{proxy="b"}} (\d+)', text)[1])


def wait_held(stage, count):
    until(lambda: metric(stage, "pool_held") == count, f"{count} clients to wait")


def pinned(stage, reason):
    return stage.router.stats().backend("b")[f"pinned_{reason}"]


# --- files ---


@pytest.fixture(name="filing")
def clients_with_files(stage):
    stage.server.sql("TRUNCATE test.moved")
    with company(stage, MODERN | my.LOCAL_FILES) as come:
        yield come


def load(client, content):
    client.say(my.QUERY, b"LOAD DATA LOCAL INFILE 'any' INTO TABLE moved")
    return client.listen(file=content)


def test_a_file_is_taken_on_any_connection(stage, filing):
    first, second = filing(), filing()
    swap(filing, first, second)
    assert load(first, b"1\tone\n2\ttwo\n").ok.affected == 2
    assert load(second, b"").ok.affected == 0
    swap(filing, first, second)
    assert load(second, b"3\t" + b"x" * 60000 + b"\n").ok.affected == 1
    assert first.rows("SELECT id, LENGTH(v) FROM moved ORDER BY id") == [
        ("1", "3"), ("2", "3"), ("3", "60000")]


def test_a_file_that_the_server_refuses_ends_nothing(stage, filing):
    first, second = filing(), filing()
    swap(filing, first, second)
    stage.server.sql("SET GLOBAL local_infile = 0")
    try:
        assert load(first, b"").error.code in (1148, 3948, 4166)
    finally:
        stage.server.sql("SET GLOBAL local_infile = 1")
    assert first.value("SELECT 5") == "5"
    swap(filing, first, second)
    assert load(first, b"9\tnine\n").ok.affected == 1


def test_a_file_that_the_table_refuses_keeps_its_warnings_there(stage, filing):
    first, second = filing(), filing()
    third = swap(filing, first, second)
    assert load(first, b"7\tseven\n7\tseven\n").ok.warnings == 1
    third.query("BEGIN")
    assert first.rows("SHOW WARNINGS")[0][1] == "1062"


@pytest.mark.sanitize
def test_who_leaves_in_the_midst_of_a_file_leaves_nothing(stage, filing):
    first, second = filing(), filing()
    swap(filing, first, second)
    first.say(my.QUERY, b"LOAD DATA LOCAL INFILE 'any' INTO TABLE moved")
    first.next()
    first.sock.sendall(b"\xff\0\0\2" + b"1\tx\n2\ty\n")
    first.close()
    third = filing()
    third.query("BEGIN")
    second.query("BEGIN")
    assert second.value("SELECT COUNT(*) FROM moved") == "0"
    assert third.value("SELECT COUNT(*) FROM moved") == "0"


# --- prepared statements ---


def test_what_is_prepared_stays_where_it_is_until_it_is_closed(stage, come):
    first, second = come(), come()
    third = swap(come, first, second)
    for _ in range(2):
        number, count = first.prepare("SELECT CONCAT(?, LENGTH(?))")
        assert count == 2
        for part in (b"long ", b"data " * 20000, b"in parts"):
            first.command(my.LONG_DATA, struct.pack("<IH", number, 1) + part)
            assert (second.value("SELECT 5"), third.value("SELECT 6")) == ("5", "6")
        values = b"\0\1\xfd\0\xfd\0" + my.text_of(b"has ")  # of the other one it was sent
        answer = first.command(my.EXECUTE, struct.pack("<IBI", number, 0, 1) + values)
        assert answer.rows[0].endswith(b"has 100013")
        first.command(my.CLOSE, struct.pack("<I", number))
        third = swap(come, first, second)


def test_rows_are_fetched_while_others_come_and_go(stage, come):
    first, second = come(), come()
    third = swap(come, first, second)
    number, _ = first.prepare("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
    assert not first.execute(number, cursor=1).error
    rows = []
    for _ in range(3):
        rows += first.command(my.FETCH, struct.pack("<II", number, 1)).results[0].rows
        assert (second.value("SELECT 5"), third.value("SELECT 6")) == ("5", "6")
    assert len(rows) == 3
    first.command(my.CLOSE, struct.pack("<I", number))
    swap(come, first, second)


# --- attributes ---


def attributed(text, **attributes):
    """The body of a COM_QUERY; all values are texts."""
    body = my.lenenc(len(attributes)) + b"\1"
    if attributes:
        body += b"\0" * ((len(attributes) + 7) // 8) + b"\1"
        body += b"".join(b"\xfd\0" + my.text_of(name.encode()) for name in attributes)
        body += b"".join(my.text_of(value.encode()) for value in attributes.values())
    return body + text.encode()


class Attributed(Speaker):
    def ask(self, text, **attributes):
        return self.command(my.QUERY, attributed(text, **attributes))


def test_attributes_of_a_query_are_its_own(stage):
    """Who has none moves as ever; who has some keeps its connection until it is reset."""
    if stage.people.name == "mariadb":
        pytest.skip("MariaDB has none")
    with company(stage, MODERN | QUERY_ATTRIBUTES, speaker=Attributed) as come:
        first, second = come(), come()
        assert first.capabilities & QUERY_ATTRIBUTES
        first.query("SET time_zone = '+01:00'")
        third = swap(come, first, second)
        before = pinned(stage, "state")
        answer = first.ask("SELECT @@time_zone", traced="by somebody", also="this")
        assert answer.rows == [(b"+01:00",)]
        assert pinned(stage, "state") == before + 1
        number = thread(first)
        assert len({number, thread(second), thread(third)}) == 2 and number == thread(first)
        first.command(my.RESET_CONNECTION)
        swap(come, first, second)


# --- many statements ---


def test_what_many_statements_set_goes_along(stage, come):
    first, second = come(), come()
    swap(come, first, second)
    answer = first.query("SET time_zone = '+05:00'; SELECT 1; USE other; SELECT @@time_zone;"
                         "SELECT LAST_INSERT_ID(4711)")
    assert [r.rows for r in answer.results if r.rows] == [[(b"1",)], [(b"+05:00",)], [(b"4711",)]]
    swap(come, first, second)
    assert first.rows("SELECT @@time_zone, DATABASE(), LAST_INSERT_ID()") == [
        ("+05:00", "other", "4711")]
    assert second.value("SELECT DATABASE()") == "test"


def test_what_was_set_before_an_error_goes_along(stage, come):
    first, second = come(), come()
    answer = first.ask("SET time_zone = '+06:00'; SELECT 1; SELECT nonsense; SET time_zone ="
                       " '+07:00'")
    assert answer.error.code == 1054 and answer.results[1].rows == [(b"1",)]
    swap(come, first, second)
    assert first.value("SELECT @@time_zone") == "+06:00"


def test_a_transaction_that_begins_in_the_midst_keeps_its_connection(stage, come):
    first, second = come(), come()
    swap(come, first, second)
    before = pinned(stage, "transaction")
    first.query("SELECT 1; BEGIN; SELECT 2")
    assert pinned(stage, "transaction") == before + 1
    first.query("SELECT 3; COMMIT")
    swap(come, first, second)


# --- what a client did not ask to hear ---

SETTINGS = ("SET SESSION sql_mode = @@sql_mode, optimizer_switch = @@optimizer_switch,"
            " time_zone = @@time_zone, collation_connection = @@collation_connection")


@pytest.fixture(name="chopped", scope="module")
def a_server_that_speaks_in_pieces(stage, shared_home):
    server = shared_home.keep(Chopper(stage.server, 7))
    people = types.SimpleNamespace(server=server, authority=stage.people.authority)
    return PooledMySQL(shared_home, people, TRANSACTION, of_router={"workers": 1}, pool_size=2)


@pytest.mark.parametrize("capabilities", [USUAL, USUAL | my.DEPRECATE_EOF], ids=["eof", "ok"])
@pytest.mark.parametrize("where", ["stage", "chopped"])
@pytest.mark.sanitize
def test_who_did_not_ask_for_its_state_is_not_told(request, stage, where, capabilities):
    """Byte by byte, however they come, also where the server's OK is longer than most and rows look
    like one."""
    texts = [SETTINGS, "UPDATE moved SET v = v WHERE id < 0", "SELECT '', REPEAT('x', 5000)",
             "SELECT '' FROM information_schema.collations LIMIT 150",
             f"{SETTINGS}; SELECT 1; {SETTINGS}"]
    longest = "SET SESSION " + ", ".join(f"{name} = @@{name}" for name in TOLD)
    texts += [longest, "SELECT 1", f"SELECT 1; {longest}; SELECT 2", "SELECT 3"]
    with company(request.getfixturevalue(where), capabilities) as come, Speaker(
            stage.server.address, *PLAIN, database="test", capabilities=capabilities) as direct:
        first, second = come(), come()
        swap(come, first, second)
        for text in texts:
            assert first.query(text).packets == direct.query(text).packets, text
    with Speaker(stage.server.address, *PLAIN, database="test") as tracked:
        tracked.query("SET SESSION session_track_system_variables = '*'")
        state = tracked.query(longest).ok.state
    assert len(state) > 2048


# Some of these have values of hundreds of bytes.
TOLD = ("auto_increment_increment", "auto_increment_offset", "bulk_insert_buffer_size",
        "character_set_client", "completion_type", "interactive_timeout",
        "collation_connection", "default_storage_engine", "default_week_format",
        "div_precision_increment", "eq_range_index_dive_limit", "foreign_key_checks",
        "group_concat_max_len", "innodb_lock_wait_timeout", "join_buffer_size", "lc_messages",
        "lc_time_names", "lock_wait_timeout", "long_query_time", "low_priority_updates",
        "max_error_count", "max_heap_table_size", "max_join_size", "max_length_for_sort_data",
        "max_seeks_for_key", "max_sort_length", "max_sp_recursion_depth", "min_examined_row_limit",
        "net_read_timeout", "net_retry_count", "net_write_timeout", "optimizer_prune_level",
        "optimizer_search_depth", "optimizer_switch", "preload_buffer_size",
        "range_alloc_block_size", "read_buffer_size", "read_rnd_buffer_size", "sort_buffer_size",
        "sql_auto_is_null", "sql_big_selects", "sql_buffer_result", "sql_mode", "sql_notes",
        "sql_quote_show_create", "sql_safe_updates", "sql_select_limit", "sql_warnings",
        "time_zone", "tmp_table_size", "unique_checks", "updatable_views_with_limit",
        "wait_timeout")


# --- who reads slowly ---


def test_who_reads_slowly_keeps_nobody_else(stage, come):
    slow, second = come(), come()
    third = swap(come, slow, second)
    slow.say(my.QUERY, b"SELECT REPEAT('x', 1000) FROM information_schema.collations a,"
                       b" information_schema.collations b LIMIT 30000")
    for _ in range(3):
        assert (second.value("SELECT 5"), third.value("SELECT 6")) == ("5", "6")
    second.query("BEGIN")
    third.say(my.QUERY, b"SELECT 7")
    wait_held(stage, 1)
    answer = slow.listen()
    assert len(answer.rows) == 30000 and {len(row[0]) for row in answer.rows} == {1000}
    assert third.listen().rows == [(b"7",)]  # it has the connection as soon as all is read
    second.query("ROLLBACK")
    swap(come, slow, second)


# --- beginning anew ---


def told(client):
    """What its session is like."""
    column = client.query("SELECT 'x'").results[0].columns[0]
    return (settings(client), client.rows("SELECT DATABASE(), @v, LAST_INSERT_ID()"),
            struct.unpack("<H", column[-12:-10]))


@pytest.mark.parametrize("charset", [UNICODE, 8, 45])
def test_a_reset_on_the_connection_of_somebody_else(stage, come, charset):
    """Gives what it gives on the session's own."""
    with Speaker(stage.server.address, *PLAIN, database="test", charset=charset) as direct:
        first, second = come(charset=charset), come(charset=46)
        swap(come, first, second)
        for client in (first, direct):
            client.query("SET time_zone = '+05:00', last_insert_id = 5, @v = 1")
            client.query("SET NAMES latin1")
            client.command(my.RESET_CONNECTION)
        assert told(first) == told(direct)
        for client in (first, direct):
            client.command(my.RESET_CONNECTION)
            client.query("USE test")
        swap(come, first, second)
        assert told(first) == told(direct)


def test_who_becomes_another_one_has_nothing_of_before(stage, come):
    first, second = come(charset=UNICODE), come()
    first.query("SET time_zone = '+05:00'")
    swap(come, first, second)
    with Speaker(stage.server.address, *SECOND, database="other", charset=8) as direct:
        first.charset = 8
        first.change_user(*SECOND, database="other")
        assert told(first) == told(direct)
        first.change_user(*PLAIN, database="test")
    swap(come, first, second)
    assert first.value("SELECT @@time_zone") == second.value("SELECT @@time_zone")


# --- what it is told of earlier statements ---


def in_pieces(client, text, parts):
    data = struct.pack("<I", len(text) + 1) + b"\3" + text.encode()
    step = -(-len(data) // parts)
    for at in range(0, len(data), step):
        client.sock.sendall(data[at:at + step])
    client.sequence = 0
    return client.listen()


@pytest.mark.parametrize("text", ["SHOW WARNINGS", "SELECT ROW_COUNT()"])
@pytest.mark.parametrize("parts", [1, 2, 20])
def test_a_question_in_pieces_is_answered_like_one_that_is_whole(stage, come, text, parts):
    """A client whose statement arrives by and by is refused in the same words, and goes on."""
    first, second = come(), come()
    swap(come, first, second).query("BEGIN")
    for client in (first, second) * 2:  # on one connection
        assert client.value("SELECT 5") == "5"
    for client in (first, second) * 2:
        error = in_pieces(client, text, parts).error
        assert error.code == 1235 and error.words.startswith("router: ")
        assert client.value("SELECT 5") == "5"


def test_a_session_without_a_database_keeps_its_connection(stage, come):
    first = come(database=None)
    assert pinned(stage, "state") > 0
    first.query("USE test")
    second = come()
    swap(come, first, second)
    assert first.value("SELECT DATABASE()") == "test"
