"""Promise: all that passes through a pool is what the server said; whoever leaves, in whichever way
and wherever in it, leaves its place and nothing else."""
import socket

import pytest

from lib import clusters
from lib import mysql_speaker as my
from lib.mysql_people import PLAIN, SECOND
from lib.mysql_pooled import KINDS, PooledMySQL
from lib.mysql_speaker import MODERN, Speaker
from lib.mysql_wire import packet


@pytest.fixture(name="people", scope="module", params=KINDS, ids=str)
def their_server(request):
    with clusters.lent(request.param.cluster) as people:
        people.mode = request.param.mode
        sql = people.server.sql
        sql("CREATE TABLE IF NOT EXISTS test.s (id INT PRIMARY KEY, v TEXT)")
        sql("CREATE TABLE IF NOT EXISTS test.numbers (seq INT PRIMARY KEY)")
        sql("REPLACE INTO test.numbers VALUES (1), (2), (3), (4), (5), (6), (7), (8)")
        yield people


@pytest.fixture(name="common", scope="module")
def a_pool_that_tests_share(people, shared_home):
    return PooledMySQL(shared_home, people, people.mode, pool_size=1, of_router={"workers": 1})


# --- whoever leaves ---


def only_connects(_client):
    pass


def says_half_a_login(client):
    client.sock.sendall(packet(1, b"\x85\xa6\xff\x01" + b"\0" * 40)[:30])


def says_its_login(client):
    """And is gone before it could answer the question that follows."""
    client.answer(my.struct.pack("<IIB23x", client.capabilities, 1 << 24, 45)
                  + b"app\0\0mysql_native_password\0")


def is_asked(client):
    says_its_login(client)
    client.next()


def answers_half(client):
    is_asked(client)
    client.sock.sendall(b"\x14\0\0\3half")


def is_in_a_transaction(client):
    client.log_in()
    client.query("BEGIN")
    client.query("REPLACE INTO test.s VALUES (1, 'never')")


def asks(client):
    is_in_a_transaction(client)
    client.say(my.QUERY, b"SELECT SLEEP(0.2)")


def is_told(client):
    client.log_in()
    client.say(my.QUERY, b"SELECT REPEAT('x', 20000000)")
    client.sock.recv(1000)


def asks_by_halves(client):
    client.log_in()
    client.sock.sendall(b"\xff\0\0\0\3SELECT")


def prepares(client):
    client.log_in()
    client.say(my.PREPARE, b"SELECT ?")


def sends_a_file(client):
    client.log_in()
    client.say(my.QUERY, b"LOAD DATA LOCAL INFILE 'x' INTO TABLE test.s")
    client.next()
    client.sock.sendall(b"\xff\0\0\2" + b"1\tx\n" * 3)


STAGES = [only_connects, says_half_a_login, says_its_login, is_asked, answers_half,
          is_in_a_transaction, asks, is_told, asks_by_halves, prepares, sends_a_file]


@pytest.mark.parametrize("stage_of_it", STAGES, ids=lambda f: f.__name__)
def test_clients_that_are_killed(home, people, stage_of_it):
    """Nothing of them is left, at the server or in the router, and the place is free."""
    stage = PooledMySQL(home, people, people.mode, pool_size=2, queue_timeout="5s")
    for reset in (False, True):
        for _ in range(3):
            client = Speaker(stage.address, *PLAIN, login=False,
                             capabilities=MODERN | my.LOCAL_FILES)
            stage_of_it(client)
            if reset:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       my.struct.pack("ii", 1, 0))
            client.close()
    stage.wait_left()
    assert len(people.connections()) <= 2 + 2  # those of `common`
    for account in (PLAIN, SECOND):
        with Speaker(stage.address, *account) as client:
            assert client.value("SELECT USER()") == f"{account.name}@127.0.0.1"
    assert people.server.sql("SELECT * FROM test.s") == []


# --- all that passes ---


def of_a_result(client):
    return [client.ask("SELECT REPEAT('x', 16777210 + seq) FROM test.numbers"
                       " WHERE seq > 5").packets,
            client.ask("SELECT * FROM test.numbers a, test.numbers b").packets]


def of_long_statements(client):
    """Whose packets end where the longest ones do, and one of 20 MB."""
    told = []
    for length in (my.LONGEST - 1, my.LONGEST, my.LONGEST + 1, 20 << 20):
        text = b"SELECT LENGTH('" + b"x" * (length - 19) + b"')"
        told.append((len(text), client.ask(text + b" " * (length - 1 - len(text))).rows))
    return told


def of_many_statements(client):
    told = client.ask("SELECT 1; SELECT * FROM test.numbers; SET @a = 1; SELECT @a, nonsense;"
                      " SELECT 2")
    return [told.packets, told.error.told, client.ask("SELECT @a").packets]


def of_prepared_statements(client):
    number, count = client.prepare("SELECT ?, seq FROM test.numbers WHERE seq < ?")
    told = [count, client.execute(number, "a", "3").packets]
    client.command(my.LONG_DATA, my.struct.pack("<IH", number, 0) + b"long " * 10000)
    told.append(client.execute(number, "a", "2").packets)
    told.append(client.command(my.RESET_STATEMENT, my.struct.pack("<I", number)).packets)
    told.append(client.execute(number, "2", "5", cursor=1).packets)
    told.append(client.command(my.FETCH, my.struct.pack("<II", number, 2)).packets)
    client.command(my.CLOSE, my.struct.pack("<I", number))
    told.append(client.execute(number).error.code)
    return told


def of_files(client):
    told = []
    for content in (b"", b"1\tone\n2\ttwo\n", b"".join(b"%d\t%s\n" % (n, b"x" * 1000)
                                                      for n in range(3000))):
        client.query("BEGIN")
        client.say(my.QUERY, b"LOAD DATA LOCAL INFILE 'any' INTO TABLE test.s")
        told.append(client.listen(file=content).packets)
        told.append(client.ask("SELECT COUNT(*), SUM(LENGTH(v)) FROM test.s").packets)
        client.query("ROLLBACK")
    return told


def of_other_commands(client):
    told = [client.command(code, body).packets for code, body in (
        (my.PING, b""), (my.INIT_DB, b"other"), (my.SET_OPTION, b"\0\0"), (my.PING, b""))]
    told.append(client.command(my.INIT_DB, b"nowhere").error.told)
    told.append(client.command(my.QUERY, b"").error.told)
    told.append(client.command(0x77).error.told)
    return told


def of_many_at_once(client):
    """Commands that are sent before the answers to others have come."""
    for number in range(200):
        client.send(0, b"\3SELECT %d, REPEAT('x', 3000)" % number)
    told = []
    for _ in range(200):
        client.sequence = 0
        told.append(client.listen().packets)
    return told


PASSING = [of_a_result, of_long_statements, of_many_statements, of_prepared_statements, of_files,
           of_other_commands, of_many_at_once]


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("what", PASSING, ids=lambda f: f.__name__)
def test_what_passes_is_what_the_server_said(common, people, what, secure):
    """Packet by packet, in both framings, and the connection is used again."""
    told = []
    for address in (people.server.address, common.to(secure)):
        with Speaker(address, *PLAIN, database="test", tls=my.trusting() if secure else None,
                     capabilities=(MODERN if secure else my.USUAL) | my.LOCAL_FILES) as client:
            told.append(what(client))
            client.quit()
    for pair in zip(*told, strict=True):
        if isinstance(pair[0], list):
            assert len(pair[0]) == len(pair[1])
            assert [one for one in zip(*pair) if one[0] != one[1]] == []
        assert pair[0] == pair[1]
    common.wait_left()
