"""A MariaDB and a MySQL with something to ask for, and clients that ask for much at once: what the
servers say is recorded and read again by the router's own code."""
import struct

import pytest
from pymysql.constants import CLIENT as CAP

from lib import mysql_commands as com
from lib.clusters import NotInstallable
from lib.mysql_commands import Speaker, prepare, query
from lib.mysql_recorded import SERVER, read
from lib.mysql_said import AUTOCOMMIT, IN_TRANS
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
