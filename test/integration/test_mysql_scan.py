"""Promise: where the replies of real MariaDB and MySQL servers end, and what they say of the
session, is understood wherever the bytes are cut: all kinds of them, one behind the other and as
clients ask for them."""
import json
import os
import struct
import subprocess
from types import SimpleNamespace

import pymysql
import pytest
from pymysql.constants import CLIENT as CAP

from lib import mysql, mysql_commands as com, node, sid
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.mysql_client import MySQLClient
from lib.mysql_commands import Speaker, execute, fetch, long_data, of_statement, prepare, query
from lib.mysql_play import ACCOUNT, MANY, STANDS, Play, speaker, start
from lib.mysql_recorded import Recorder, read
from lib.mysql_said import (AUTOCOMMIT, CLIENT as CAPABILITIES, DEPRECATE_EOF, SESSION_TRACK,
                            lenenc, read_lenenc)

CLIENTS = os.path.join(os.path.dirname(__file__), "clients")


@pytest.fixture(name="mariadb_itself", scope="module")
def one_mariadb(shared_home):
    return start(shared_home, MariaDB, "scan-mariadb")


@pytest.fixture(name="mysql_itself", scope="module")
def one_mysql(shared_home):
    return start(shared_home, MySQL, "scan-mysql")


@pytest.fixture(name="server", params=["mariadb", "mysql"])
def one_of_each(request):
    return request.getfixturevalue(request.param + "_itself")


ALL = [(0,), (DEPRECATE_EOF,), (SESSION_TRACK,), (DEPRECATE_EOF, SESSION_TRACK)]


@pytest.fixture(name="play", params=ALL, ids=["old", "no-eof", "track", "no-eof-track"])
def play_(server, request):
    speaking = speaker(server, *request.param)
    yield Play(not isinstance(server, MySQL), speaking)
    speaking.sock.close()


def test_statements(play, tmp_path):
    play(query("SELECT 1"), rows=1, warnings=0)
    play(query("SELECT id, v FROM t WHERE 0"), rows=1)
    play(query("SELECT NULL, '', 'x'"), rows=1)
    play(query(MANY), rows=1)
    play(query("SELECT " + ", ".join(map(str, range(300)))), rows=1)  # two bytes say so
    play(query("INSERT INTO t (v) VALUES ('a'), ('b')"), rows=0, affected=2)
    play(query("SELECT LAST_INSERT_ID(77)"), rows=1)
    play(query("UPDATE t SET v = 'c' WHERE id = 1"), rows=0)
    play(query("nonsense"), error=1064, rows=0)
    play(query("SELECT * FROM nowhere"), error=1146)
    play(query("INSERT INTO t (u) VALUES (1)"), error=1062)
    play(query("DO 1"), rows=0)
    play(query("BEGIN"))
    play(query("COMMIT"))
    play(query("SET autocommit = 0"))
    play(query("SELECT 1 FROM t"), rows=1)
    play(query("SET autocommit = 1"))
    play(query("SELECT 1/0, CAST('x' AS SIGNED)"), rows=1, warnings=2)
    play(query("SHOW WARNINGS"), rows=1)
    play(query("EXPLAIN SELECT * FROM t"), rows=1)
    play(query("CHECK TABLE t"), rows=1)
    play(query("CREATE TEMPORARY TABLE tt (i INT)"))
    play(query("SHOW CREATE TABLE tt"), rows=1)
    play(query("HANDLER t OPEN"))
    play(query("HANDLER t READ FIRST"), rows=1)
    play(query("LOCK TABLES t READ"))
    play(query("UNLOCK TABLES"))
    play(query("SHOW PROCESSLIST"), rows=1)
    play(query("KILL QUERY CONNECTION_ID()"), error=1317)
    play(query("/* nothing */"))
    play(query(""), error=1065)
    ends = play.check(str(tmp_path))
    assert ends[10].insert_id > 3
    assert ends[12].insert_id in (0, 77)  # a result set has none without DEPRECATE_EOF


def test_many_results(play, tmp_path):
    play(query("SELECT 1; SELECT 2; INSERT INTO t (v) VALUES ('m')"), rows=1, affected=1)
    play(query("SELECT 1; DO 1; SELECT 2"), rows=1)
    play(query("SELECT 1; nonsense"), rows=1, error=1064)
    play(query("DO 1; DO 2;"), rows=0)
    play(query("CALL several()"), rows=1)
    play(query("CALL several(); SELECT 1; CALL several()"), rows=1)
    play(query("CALL says_no()"), rows=1, error=play.says_no)
    play(query("BEGIN; INSERT INTO t (v) VALUES ('x'); ROLLBACK"))
    play(query("SELECT id, EXP(300 * id) FROM t ORDER BY id LIMIT 3"), rows=1, error=1690)
    play(bytes([com.SET_OPTION, 1, 0]))
    play(query("SELECT 1; SELECT 2"), error=1064)
    play(bytes([com.SET_OPTION, 0, 0]))
    play(query("SELECT 1; SELECT 2"), rows=1)
    play.check(str(tmp_path))


def test_what_an_error_did_to_the_session_is_not_said(play, tmp_path):
    play(query("DO 1"))
    play(query("CALL begins()"), error=1644)
    play(query("ROLLBACK"))
    ends = play.check(str(tmp_path))
    assert [end.status & STANDS for end in ends[1:4]] == [AUTOCOMMIT, AUTOCOMMIT, STANDS]


def test_prepared_statements(play, tmp_path):
    both = play.prepare("SELECT id, v FROM t WHERE id > ? AND v <> ?")
    play(execute(both, 0, "x"), rows=1)
    play(execute(both, 10000, "x"), rows=1)
    none = play.prepare("DO 1")
    play(execute(none), rows=0)
    columns = play.prepare("SELECT 1, 2, 3")
    play(execute(columns), rows=1)
    params = play.prepare("INSERT INTO t (v) VALUES (?)")
    play(long_data(params, 0, b"x" * 50000))
    play(long_data(params, 0, b"y" * 50000))
    play(execute(params, None), affected=1)
    play(of_statement(com.RESET, params))
    play(prepare("SELECT ? nonsense FROM"), error=1064)
    call = play.prepare("CALL several()")
    play(execute(call), rows=1)
    gives = play.prepare("CALL gives(?)")
    play(execute(gives, 1), rows=1)
    fails = play.prepare("CALL says_no()")
    play(execute(fails), rows=1, error=play.says_no)
    late = play.prepare("SELECT id, EXP(300 * id) FROM t ORDER BY id LIMIT 3")
    play(execute(late), rows=1, error=1690)
    play(of_statement(com.CLOSE, columns))
    play(execute(columns), error=1243)
    play(of_statement(com.RESET, 99), error=1243)
    many = play.prepare(MANY)
    play(execute(many), rows=1)
    play(execute(both, 0, "x"), rows=1)
    play.check(str(tmp_path))


def test_cursors(play, tmp_path):
    many = play.prepare("SELECT id, v, ? FROM t ORDER BY id LIMIT 3")
    for rows in (1, 2, 3, 100):
        play(execute(many, 5, cursor=com.READ_ONLY_CURSOR), rows=1)
        for _ in range(3 // rows + 1):
            play(fetch(many, rows))
        play(fetch(many, 1), error=1421)  # it was closed
    play(execute(many, 5, cursor=com.READ_ONLY_CURSOR), rows=1)
    play(query("SELECT 1"), rows=1)  # while it is open
    play(fetch(many, 2))
    if play.mariadb:  # MySQL 9.7 says nonsense now, an OK behind the definitions, and no rows
        play(execute(many, 5), rows=1)
    empty = play.prepare("SELECT id FROM t WHERE 0")
    play(execute(empty, cursor=com.READ_ONLY_CURSOR), rows=1)
    play(fetch(empty, 5))
    change = play.prepare("UPDATE t SET v = v")
    play(execute(change, cursor=com.READ_ONLY_CURSOR), rows=0)
    show = play.prepare("SHOW TABLES")
    play(execute(show, cursor=com.READ_ONLY_CURSOR), rows=1)
    play(fetch(show, 1))
    play(of_statement(com.RESET, show))
    late = play.prepare("SELECT id, EXP(300 * id) FROM t ORDER BY id LIMIT 3")
    play(execute(late, cursor=com.READ_ONLY_CURSOR), rows=1, error=1690)
    play.check(str(tmp_path))


def test_cursors_that_are_no_clients(play, tmp_path):
    """The servers say that one exists; rows follow all the same."""
    play(query("CALL cursed()"), rows=1)
    play(query("SELECT id FROM t WHERE id = f()"), rows=1)
    where = play.prepare("SELECT id FROM t WHERE id = f()")
    play(execute(where), rows=1)
    for text in ("CALL cursed()", "CALL several()", "SELECT f()"):
        own = play.prepare(text)
        play(execute(own), rows=1)
        play(execute(own, cursor=com.READ_ONLY_CURSOR), rows=1)
    play(fetch(own, 10))
    play.check(str(tmp_path))


def changes(state):
    """{kind: what is said of it last} of session state information."""
    said, at = {}, 0
    while at < len(state):
        size, behind = read_lenenc(state, at + 1)
        assert behind + size <= len(state)
        said[state[at]] = state[behind:behind + size]
        at = behind + size
    return said


def test_changes_of_state(server, tmp_path):
    """Those of all results of one reply, one behind the other."""
    schema, value, other, transaction = 1, 0, 2, 5
    for capabilities in ALL[2:]:
        play = Play(not isinstance(server, MySQL), speaker(server, *capabilities))
        play(query("SET session_track_system_variables = 'wait_timeout,lc_time_names',"
                   " session_track_state_change = 1, session_track_transaction_info = 'STATE'"))
        play(query("USE mysql; SET @a = 1; SET SESSION wait_timeout = 77; BEGIN; SELECT 1"), rows=1)
        play(query("COMMIT; USE test"), rows=0)
        play(bytes([com.INIT_DB]) + b"mysql")
        play(query("SELECT 1"), rows=1, state=b"")
        play(query("SET lc_time_names = 'de_DE'; " * 200 + "DO 1"), cut=1)
        ends = [end for end in play.check(str(tmp_path)) if end.code != com.PING]
        told = [changes(end.state) for end in ends]
        assert {schema, value, other, transaction} <= set(told[1])
        assert (told[1][schema], told[1][transaction][1:2]) == (b"\5mysql", b"T")
        assert told[1][value] == b"\x0cwait_timeout\x0277"
        assert (told[2][schema], told[2][transaction][1:2]) == (b"\4test", b"_")
        assert told[3][schema] == b"\5mysql"
        assert len(ends[5].state) > 1900


def test_bulk_operations(mariadb_itself, tmp_path):
    """For clients that say they can: the server says so in bytes that MySQL has not."""
    plain = CAPABILITIES | DEPRECATE_EOF
    client = MySQLClient(mariadb_itself.address, *ACCOUNT, capabilities=plain).greet()
    client.log_in(reserved=bytes(19) + struct.pack("<I", 1 << 2), database="test")
    play = Play(True, Speaker(SimpleNamespace(_sock=client.sock, client_flag=plain)))
    for text, expected in (("INSERT INTO t (v) VALUES (?)", {"affected": 3}),
                           ("INSERT INTO t (v) VALUES (?) RETURNING id", {"rows": 1})):
        bulk = play.prepare(text)
        rows = b"".join(b"\0" + lenenc(value) for value in ("a", "b", "c"))
        play(struct.pack("<BIHH", com.BULK_EXECUTE, bulk, 128, 253) + rows, **expected)
    play.check(str(tmp_path))
    client.close()


def test_attributes_of_statements(mysql_itself, tmp_path):
    """A bit in the flags of COM_STMT_EXECUTE, which are a cursor's too, says that they are
    there."""
    play = Play(False, speaker(mysql_itself, 1 << 27))
    there, none = 8, b"\0\1"
    play(bytes([com.QUERY]) + none + b"SELECT 1", rows=1)
    play(prepare("SELECT id FROM t"), statement=1)
    play(execute(1, cursor=there) + b"\0", rows=1)
    play(prepare("SELECT id FROM t"), statement=2)
    play(execute(2, cursor=there | com.READ_ONLY_CURSOR) + b"\0", rows=1)
    play(fetch(2, 1))
    play.check(str(tmp_path))


def test_other_commands(play, tmp_path):
    play(bytes([com.PING]))
    play(bytes([com.STATISTICS]))
    play(bytes([com.INIT_DB]) + b"test")
    play(bytes([com.INIT_DB]) + b"nowhere", error=1049)
    play(bytes([com.FIELD_LIST]) + b"t\0%")
    play(bytes([com.PROCESS_INFO]), **{"rows": 1} if play.mariadb else {"error": 1047})
    play(bytes([com.DEBUG]))
    play(bytes([com.REFRESH, 1]), error=-1 if play.mariadb else 1047)
    play(bytes([com.RESET_CONNECTION]))
    play(bytes([com.CREATE_DB]) + b"other", error=1047)
    play(bytes([com.DROP_DB]) + b"other", error=1047)
    play(bytes([0]), error=1047)
    play(bytes([11]), error=1047)
    play(bytes([200]), error=1047)
    play.check(str(tmp_path))


def test_files_of_clients(play, tmp_path):
    play(query("CREATE TEMPORARY TABLE f (v VARCHAR(20), u INT UNIQUE)"))
    load = "LOAD DATA LOCAL INFILE 'some' INTO TABLE f"
    play.load(load, [b"a\t1\nb\t2\n", b"c\t", b"3\n"], affected=3)
    play.load(load, [], affected=0)
    play.load(load, [f"x\t{n + 10}\n".encode() for n in range(600)], affected=600)
    play.load(load, [b"d\t1\n", b"e\t4\n"], affected=1, warnings=1)
    play.load(load + "; SELECT 1", [b"f\t5\n"], rows=1)
    play.load("SELECT 1; SELECT 2; " + load, [b"g\t6\n"], rows=1, affected=1)
    play(query("LOAD DATA LOCAL INFILE 'some' INTO TABLE nowhere"), error=1146)
    play(query("SELECT COUNT(*) FROM f"), rows=1)
    play.check(str(tmp_path))


def test_what_is_longer_than_a_packet(server, tmp_path):
    mariadb = not isinstance(server, MySQL)
    play = Play(mariadb, speaker(server, 0 if mariadb else DEPRECATE_EOF))
    long = play.prepare("SELECT REPEAT('x', ?)")
    play(query(f"SELECT REPEAT('x', {com.FULL - 4})"), rows=1)  # 4 bytes say how long
    play(query(f"SELECT REPEAT('x', {com.FULL + 1})"), rows=1)
    play(execute(long, com.FULL - 6), rows=1)  # and a header of 2
    text = f"SELECT LENGTH('{'x' * (com.FULL - 18)}')"
    assert len(query(text)) == com.FULL
    play(query(text), rows=1)
    play(query(text[:-2] + "xxx')"), rows=1)
    play.check(str(tmp_path), rounds=3)


# Clients ----------------------------------------------------------------------------------------


@pytest.fixture(name="recorder")
def before_the_server(server, home):
    return home.keep(Recorder(server.address))


def check_turns(recorder, place):
    """What a client was told: it speaks when a reply is over, and never before."""
    recorder.close()
    dialogues = recorder.taken()
    told = []
    for dialogue, events in zip(dialogues, read(dialogues, place)):
        ends = [event for event in events if event.what == "end"]
        assert events[-1].values["outstanding"] == "0", events[-1]
        assert ends and {end.at for end in ends} <= set(dialogue.turns())
        told += ends
    return told


def ask(connection, text):
    """As a PyMySQL client sees it: (error, status, warnings)"""
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
            while cursor.nextset():
                pass
    except pymysql.MySQLError as error:
        return error.args[0], None, None
    result = connection._result  # pylint: disable=protected-access
    return -1, result.server_status, result.warning_count


def test_pymysql(recorder, tmp_path):
    (tmp_path / "file").write_text("l\nm\n")
    texts = ("SELECT 1", "SELECT * FROM t", "SELECT 1/0", "INSERT INTO t (v) VALUES ('q')", "BEGIN",
             "SELECT 1 FROM t WHERE 0", "ROLLBACK", "nonsense", "SELECT 1; DO 1; SELECT 1/0",
             "SELECT 1; nonsense", "CALL several()", "CALL cursed()", "CALL begins()", "ROLLBACK",
             MANY, f"LOAD DATA LOCAL INFILE '{tmp_path}/file' INTO TABLE t (v)",
             f"LOAD DATA LOCAL INFILE '{tmp_path}/none' INTO TABLE t (v)", "SELECT 1")
    with pymysql.connect(host=recorder.address[0], port=recorder.address[1], user=ACCOUNT[0],
                         password=ACCOUNT[1], database="test", local_infile=True,
                         client_flag=CAP.MULTI_STATEMENTS) as connection:
        seen = [ask(connection, text) for text in texts]
        connection.ping()
    ends = [end for end in check_turns(recorder, str(tmp_path)) if end.code == com.QUERY]
    del seen[-2], ends[-2]  # there is no such file: the client says so, not the server
    for (error, status, warnings), end in zip(seen, ends[-len(seen):]):
        assert error == end.error and warnings in (None, end.warnings), end
        assert status in (None, end.status), end


def test_mariadbs_command_line(recorder, tmp_path):
    (tmp_path / "file").write_text("l\nm\n")
    text = f"""SELECT 1; SELECT * FROM t; SHOW WARNINGS; nonsense; INSERT INTO t (v) VALUES ('c');
        CALL several(); CALL cursed(); CALL begins(); ROLLBACK; {MANY}; USE test; USE nowhere;
        status; SELECT 1/0; LOAD DATA LOCAL INFILE '{tmp_path}/file' INTO TABLE t (v); SELECT 2;
        SHOW CREATE PROCEDURE several; BEGIN; DELETE FROM t WHERE id > 1000; ROLLBACK;"""
    run(["mariadb", "--no-defaults", "--force", "--show-warnings", "--local-infile=1",
         "--skip-ssl", "-h", recorder.address[0], "-P", str(recorder.address[1]),
         f"-u{ACCOUNT[0]}", f"-p{ACCOUNT[1]}", "-A", "test"], text, status=(0, 1))
    ends = check_turns(recorder, str(tmp_path))
    assert len(ends) > 20 and {1064, 1049} <= {end.error for end in ends}


def check_told(seen, ends):
    """By a program: [error, warnings, insert id] of each text that it says first."""
    texts = [end for end in ends if end.code == com.QUERY]
    assert 10 < len(seen) <= len(texts)
    for (error, warnings, insert_id), end in zip(seen, texts):
        assert error == max(end.error, 0), end
        assert error or warnings in (None, end.warnings), end
        assert error or insert_id in (None, end.insert_id), end


def test_php(recorder, tmp_path):
    host, port = recorder.address
    script = os.path.join(CLIENTS, "mysql_scan.php")
    seen = json.loads(run(["php", script, host, str(port), *ACCOUNT]))
    ends = check_turns(recorder, str(tmp_path))
    check_told(seen, ends)
    assert {com.PREPARE, com.EXECUTE_AT_ONCE, com.EXECUTE, com.FETCH} <= {end.code for end in ends}


def test_node(recorder, tmp_path):
    host, port = recorder.address
    script = os.path.join(CLIENTS, "mysql_scan.js")
    seen = json.loads(run(["node", script, node.modules(), host, str(port), *ACCOUNT]))
    ends = check_turns(recorder, str(tmp_path))
    check_told(seen, ends)
    assert {com.PREPARE, com.EXECUTE_AT_ONCE} <= {end.code for end in ends}


@pytest.fixture(name="recorder97")
def before_mysql(mysql_itself, home):
    """MySQL's own programs cannot log in at MariaDB."""
    return home.keep(Recorder(mysql_itself.address))


def inside(server, recorder, program, *arguments):
    """A program of MySQL 9.7, in its own Debian; the server's directory is /srv there."""
    host, port = recorder.address
    who = ["--no-defaults", "--ssl-mode=DISABLED", "--get-server-public-key", "-h", host, "-P",
           str(port), f"-u{ACCOUNT[0]}", f"-p{ACCOUNT[1]}"]
    return sid.command(mysql.folder(), server.directory, "/etc/hosts",
                       ["/usr/bin/" + program, *who, *arguments])


def test_mysqls_command_line(mysql_itself, recorder97, tmp_path):
    with open(os.path.join(mysql_itself.directory, "file"), "w", encoding="ascii") as file:
        file.write("l\nm\n")
    text = f"""SELECT 1; SELECT * FROM t; nonsense; INSERT INTO t (v) VALUES ('c'); USE nowhere;
        CALL several(); CALL cursed(); CALL begins(); ROLLBACK; CALL says_no(); {MANY};
        SET SESSION session_track_system_variables = '*', session_track_state_change = 1,
        session_track_gtids = 'ALL_GTIDS'; INSERT INTO t (v) VALUES ('d'); status; SELECT 1/0;
        LOAD DATA LOCAL INFILE '/srv/file' INTO TABLE t (v); USE mysql; SELECT 2; BEGIN; COMMIT;
        query_attributes a b; SELECT 3; DELIMITER //
        SELECT 1; DO 1; SELECT 2 //"""
    run(inside(mysql_itself, recorder97, "mysql", "--force", "--show-warnings", "--local-infile=1",
               "--reconnect", "test"), text, status=(0, 1))
    ends = check_turns(recorder97, str(tmp_path))
    assert len(ends) > 20 and {1064, 1049, 1644, 65535} <= {end.error for end in ends}
    gtids = 3
    assert any(gtids in changes(end.state) for end in ends)


def test_mysqldump(mysql_itself, recorder97, tmp_path):
    run(inside(mysql_itself, recorder97, "mysqldump", "--routines", "--single-transaction",
               "--column-statistics", "--databases", "test", "mysql"))
    assert len(check_turns(recorder97, str(tmp_path))) > 100


def test_a_binlog_has_no_end(mysql_itself, recorder97, tmp_path):
    run(inside(mysql_itself, recorder97, "mysqlbinlog", "--read-from-remote-server",
               "binlog.000001"))
    recorder97.close()
    dialogues = recorder97.taken()
    events, = read(dialogues, str(tmp_path))
    assert events[-1].values["outstanding"] == "1" and events[-1].line.endswith(" endless")


def run(argv, text="", status=(0,)):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode in status, done.stdout + done.stderr
    return done.stdout
