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

from lib import mysql_commands as com
from lib.clusters import NotInstallable
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.mysql_client import MySQLClient
from lib.mysql_commands import Speaker, execute, fetch, long_data, of_statement, prepare, query
from lib.mysql_recorded import SERVER, Recorder, read
from lib.mysql_said import (AUTOCOMMIT, CLIENT as CAPABILITIES, DEPRECATE_EOF, IN_TRANS,
                            SESSION_TRACK, lenenc, read_lenenc)
from lib.mysql_wire import packet

STANDS = IN_TRANS | AUTOCOMMIT
SETTINGS = {"local-infile": "1", "max-allowed-packet": "64M", "event-scheduler": "OFF"}
ACCOUNT = ("talker", "of talker")
MANY = ("WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 900) "
        "SELECT n, REPEAT('x', 50) FROM s")
SCHEMA = (
    "CREATE TABLE test.t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT, u INT UNIQUE)",
    "INSERT INTO test.t (v, u) VALUES ('one', 1), ('two', 2), ('three', 3)",
    "CREATE PROCEDURE test.several() BEGIN SELECT 1; SELECT 2, 'x'; INSERT INTO test.t (v) VALUES"
    " ('p'); SELECT 4 FROM test.t WHERE 0; END",
    "CREATE PROCEDURE test.says_no() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO ="
    " 65535, MESSAGE_TEXT = 'no'; END",
    "CREATE PROCEDURE test.begins() BEGIN START TRANSACTION; INSERT INTO test.t (v) VALUES ('b');"
    " SIGNAL SQLSTATE '45000'; END",
    "CREATE PROCEDURE test.gives(OUT a INT) BEGIN SELECT 5; SET a = 6; END",
    "CREATE PROCEDURE test.cursed() BEGIN DECLARE x INT; DECLARE c CURSOR FOR SELECT id FROM"
    " test.t; OPEN c; FETCH c INTO x; SELECT x; CLOSE c; SELECT 2; END",
    "CREATE FUNCTION test.f() RETURNS INT DETERMINISTIC READS SQL DATA BEGIN DECLARE x INT; DECLARE"
    " c CURSOR FOR SELECT id FROM test.t; OPEN c; FETCH c INTO x; CLOSE c; RETURN x; END",
)


def start(home, make, name):
    try:
        server = home.keep(make(home.directory(name), name, options=SETTINGS)).start()
    except NotInstallable as words:
        pytest.skip(str(words))
    server.add_user(*ACCOUNT, grants=["ALL ON *.*"])
    for statement in SCHEMA:
        server.sql(statement)
    return server


@pytest.fixture(name="server", scope="module", params=[MariaDB, MySQL], ids=["mariadb", "mysql"])
def one_of_each(shared_home, request):
    return start(shared_home, request.param, "scan-" + request.param.__name__.lower())


def speaker(server, *capabilities):
    flags = CAP.MULTI_STATEMENTS | CAP.PS_MULTI_RESULTS | sum(capabilities)
    connection = server.connect(*ACCOUNT, timeout=60, client_flag=flags, local_infile=True,
                                database="test")
    return Speaker(connection)


class Play:
    """Commands and what their replies must come to; behind each that is answered a COM_PING tells
    where its reply was over, and how the session stood then."""

    def __init__(self, mariadb, speaking):
        self.mariadb = mariadb
        self.says_no = 1231 if mariadb else 65535
        self.speaking = speaking
        self.marks = 0
        self.data = b""
        self.expected = []

    def __call__(self, payload, **expected):
        self.data += com.packets(payload)
        if payload[0] not in com.UNANSWERED:
            self.expected.append((payload, {"code": asked(payload), "error": -1, **expected}))
            self.data += packet(0, bytes([com.PING]))
        return self

    def prepare(self, text):
        """Its number."""
        self.go_on()
        self(prepare(text)).go_on()
        number, = struct.unpack("<I", self.speaking.first[5:9])
        self.expected[-2][1]["statement"] = number
        return number

    def load(self, text, chunks, **expected):
        """A statement that asks for the file "some", in which these chunks are."""
        self.go_on()
        self(query(text), **expected)
        ping, self.data = self.data[-5:], self.data[:-5]
        self.go(lambda said: said.endswith(b"\xfbsome"))
        first = self.speaking.last[-6] + 1
        for number, chunk in enumerate([*chunks, b""], first):
            self.data += packet(number & 0xff, chunk)
        self.data += ping
        return self

    def go_on(self):
        """Until all is answered, of which a syntax error tells."""
        self.marks += 1
        mark = f"mark{self.marks}"
        self(query(mark), error=1064).go(lambda said: over(said, f"'{mark}' at line 1".encode()))

    def go(self, until=None):
        data, self.data = self.data, b""
        self.speaking.say(data, until)

    def check(self, place, **options):
        """Returns what came of each, and of the ping behind it."""
        self(bytes([com.QUIT])).go()
        dialogue = self.speaking.dialogue
        events, = read([dialogue], place, **options)
        said = dialogue.bytes_of(SERVER)
        ends = [event for event in events if event.what == "end"]
        assert events[-1].line == (f"over client={len(dialogue.bytes_of('C'))} "
                                   f"server={len(said)} outstanding=0"), events[-12:]
        assert len(ends) == 2 * len(self.expected)
        for end, ping, (payload, expected) in zip(ends[::2], ends[1::2], self.expected):
            assert said[end.at:ping.at] == packet(1, b"\0\0\0" + said[end.at + 7:ping.at]), end
            for key, value in expected.items():
                assert getattr(end, key) == value, (key, value, payload[:100], end)
            if end.error < 0 and end.code not in (com.STATISTICS, com.PREPARE):
                assert end.status & STANDS == ping.status & STANDS, (end, ping)
        return ends


def asked(payload):
    at_once = payload[0] == com.EXECUTE and not payload[5] & com.READ_ONLY_CURSOR
    return com.EXECUTE_AT_ONCE if at_once else payload[0]


def over(said, mark):
    """There is one packet behind the mark, which answers the ping."""
    rest = said.partition(mark)[2]
    return len(rest) > 4 and len(rest) == 4 + rest[0]


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


def bulk_operations(server):
    """MariaDB's, for clients that say they can: the server says so in bytes that MySQL has not."""
    plain = CAPABILITIES | DEPRECATE_EOF
    client = MySQLClient(server.address, *ACCOUNT, capabilities=plain).greet()
    client.log_in(reserved=bytes(19) + struct.pack("<I", 1 << 2), database="test")
    play = Play(True, Speaker(SimpleNamespace(_sock=client.sock, client_flag=plain)))
    for text, expected in (("INSERT INTO t (v) VALUES (?)", {"affected": 3}),
                           ("INSERT INTO t (v) VALUES (?) RETURNING id", {"rows": 1})):
        bulk = play.prepare(text)
        rows = b"".join(b"\0" + lenenc(value) for value in ("a", "b", "c"))
        play(struct.pack("<BIHH", com.BULK_EXECUTE, bulk, 128, 253) + rows, **expected)
    return play, client


def query_attributes(server):
    """MySQL's: a bit in the flags of COM_STMT_EXECUTE says that they are there."""
    speaking = speaker(server, 1 << 27)
    play = Play(False, speaking)
    none, some = 8, b"\0\1"  # of no attributes
    play(bytes([com.QUERY]) + some + b"SELECT 1", rows=1)
    play(prepare("SELECT id FROM t"), statement=1)
    play(execute(1, cursor=none) + b"\0", rows=1)
    play(prepare("SELECT id FROM t"), statement=2)
    play(execute(2, cursor=none | com.READ_ONLY_CURSOR) + b"\0", rows=1)
    play(fetch(2, 1))
    return play, speaking.connection


def test_what_one_family_has_alone(server, tmp_path):
    way = query_attributes if isinstance(server, MySQL) else bulk_operations
    play, connection = way(server)
    play.check(str(tmp_path))
    connection.close()


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


def test_php(recorder, tmp_path):
    script = os.path.join(os.path.dirname(__file__), "clients", "mysql_scan.php")
    host, port = recorder.address
    seen = json.loads(run(["php", script, host, str(port), *ACCOUNT]))
    ends = check_turns(recorder, str(tmp_path))
    texts = [end for end in ends if end.code == com.QUERY][:len(seen)]
    for (error, warnings, insert_id), end in zip(seen, texts):
        assert error == max(end.error, 0), end
        assert error or (warnings, insert_id) == (end.warnings, end.insert_id), end
    assert {com.PREPARE, com.EXECUTE_AT_ONCE, com.EXECUTE, com.FETCH} <= {end.code for end in ends}


def run(argv, text="", status=(0,)):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode in status, done.stdout + done.stderr
    return done.stdout
