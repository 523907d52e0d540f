"""Promise: a client that sends nonsense, never ends, never reads or vanishes harms nobody but
itself: others get every answer, no byte of another's, in time; and nothing is left behind."""
import contextlib
import socket
import time

import pytest

from lib.fake import reset
from lib.pooled import Memory, Pooled
from lib.resp import RespError, encode
from lib.resp3 import Resp3
from lib.waiting import SLOW, until
from lib.witness import Witnesses

pytestmark = pytest.mark.sanitize

POOL = 2  # shared connections
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def place(shared_home):
    return Pooled(shared_home, names=("a",), workers=1, pool_size=POOL,
                  pool_idle_timeout="200ms")


@pytest.fixture
def calm(place):
    """Others go on meanwhile, and afterwards all is as it was."""
    server, = place.servers
    server.ok("FLUSHALL")
    memory = Memory(place.router.process)
    with Witnesses(place.address) as witnesses:
        yield witnesses
    place.router.wait_for(lambda s: s["router"]["sessions"] == 0, "all to be gone")
    place.wait_connections(POOL)
    assert not place.blocked()
    memory.check(24)


@contextlib.contextmanager
def stranger(place, timeout=20.0):
    with Resp3(place.address, timeout * SLOW) as client:
        yield client


def said(client):
    """All that comes until the end."""
    parts = [client.buffer]
    with contextlib.suppress(ConnectionError):
        while data := client.sock.recv(65536):
            parts.append(data)
    return b"".join(parts)


def try_send(sock, data):
    """As much as the other side takes."""
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)


# Nonsense.

WRONG = {
    "letters for a count": b"*abc\r\n", "huge count": b"*99999999999999999999\r\n",
    "count beyond bounds": b"*2147483648\r\n", "endless count": b"*" + b"1" * 70_000,
    "no bulk": b"*1\r\n+PING\r\n", "number for a bulk": b"*2\r\n$4\r\nECHO\r\n:1\r\n",
    "negative bulk": b"*2\r\n$4\r\nECHO\r\n$-1\r\n", "letters for a length": b"*1\r\n$abc\r\n",
    "huge bulk": b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n",
    "bulk beyond bounds": b"*2\r\n$3\r\nGET\r\n$536870913\r\n",
    "endless length": b"*1\r\n$" + b"1" * 70_000,
    "array in an array": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "unbalanced quotes": b"SET k \"v\r\n", "quotes in a word": b"SET k \"v\"w\r\n",
    "endless line": b"GET " + b"x" * 70_000,
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_command_is_told_so_and_ends_its_connection(place, calm, wrong):
    """What came before it is answered before."""
    errors = place.router.stats().frontend()["protocol_errors"]
    with stranger(place) as client:
        try_send(client.sock, encode("SET", "mine", "1") + encode("GET", "mine") + wrong)
        answer = said(client)
    assert answer.startswith(b"+OK\r\n$1\r\n1\r\n-ERR Protocol error"), answer
    assert answer.count(b"\r\n") == 4 and answer.endswith(b"\r\n"), answer
    assert place.router.stats().frontend()["protocol_errors"] == errors + 1


EMPTY = {"no words": b"*0\r\n", "less than none": b"*-1\r\n", "empty line": b"\r\n",
         "blanks": b"   \r\n", "line feeds": b"\n\n\n"}


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY.keys())
def test_empty_commands_are_not_answered(place, calm, empty):
    with stranger(place) as client:
        client.sock.sendall(empty + encode("ECHO", "1") + empty * 3 + b"ECHO 2\r\n" + empty)
        assert [client.read(), client.read()] == ["1", "2"]


STRANGE = {
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "http": b"POST / HTTP/1.1\r\nHost: router\r\n\r\nSET hacked 1\r\nSET hacked 2\r\n",
    "get": b"GET / HTTP/1.1\r\nHost: router\r\nSET hacked 1\r\n\r\n",
    "mysql": b"\x20\x00\x00\x01\x85\xa6\xff\x01" + bytes(28),
    "postgres": b"\0\0\0\x08\x04\xd2\x16\x2f",
    "zeros": bytes(1000), "resp3": b"%1\r\n+a\r\n:1\r\n", "reply": b"+OK\r\n-ERR\r\n:1\r\n",
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE.keys())
def test_other_protocols_end_as_they_end_at_the_server(place, calm, strange):
    """Of what a browser was made to send nothing runs."""
    server, = place.servers
    with stranger(place) as client:
        try_send(client.sock, strange)
        with contextlib.suppress(OSError):
            client.sock.shutdown(socket.SHUT_WR)
        answer = said(client)
    assert b"w0:" not in answer
    assert server.ok("EXISTS", "hacked") == 0


@pytest.mark.parametrize("command", [
    ("AUTH",), ("AUTH", "a", "b", "c"), ("HELLO", "9"), ("HELLO", "x"), ("HELLO", "3", "AUTH", "a"),
    ("SELECT",), ("SELECT", "-1"), ("SELECT", "999999"), ("SELECT", "x"), ("CLIENT",),
    ("CLIENT", "SETNAME"), ("CLIENT", "SETNAME", "a b"), ("CLIENT", "REPLY"), ("CLIENT", "NOSUCH"),
    ("MULTI", "x"), ("EXEC",), ("DISCARD",), ("WATCH",), ("SUBSCRIBE",), ("BLPOP", "k"),
    ("BLPOP", "k", "-1"), ("BLPOP", "k", "x"), ("WAIT", "x", "y"), ("WAIT",), ("GET",), ("",),
    ("NOSUCHCOMMAND", "x"), ("RESET", "x"), ("MONITOR", "x"), ("SET", "k"),
    ("SCRIPT", "DEBUG", "x"), ("CLIENT", "TRACKING", "ON"), ("CLIENT", "TRACKING", "x"),
    ("XREAD", "BLOCK"), ("SCAN", "x"),
    ("HELLO", "3", "SETNAME", "a b"), ("CLIENT", "ID", "x"), ("QUIT", "x")],
    ids=lambda words: " ".join(words) or "no name")
def test_a_command_that_a_server_refuses_is_refused_with_its_words(place, calm, command):
    """And leaves nothing behind: the next one is answered as on a connection of one's own."""
    if command[0] == "QUIT":
        pytest.skip("ends the connection, with OK")
    with stranger(place) as client, place.servers[0].connect() as direct:
        commands = [command, ("SET", "mine", "1"), ("GET", "mine"), ("PING",)]
        assert client.pipeline(commands) == direct.pipeline(commands)


# No end.


def test_everything_a_byte_at_a_time(place, calm):
    commands = [("SET", "mine", "x" * 50), ("GET", "mine"), ("MULTI",), ("INCR", "n"), ("EXEC",),
                ("RPUSH", "q", "a"), ("BLPOP", "q", "1"), ("PING",)]
    data = b"".join(encode(*command) for command in commands) + b"ECHO inline\r\n"
    with stranger(place) as client:
        for at in range(len(data)):
            client.sock.sendall(data[at:at + 1])
            if at % 50 == 0:
                time.sleep(0.001)  # or the kernel would put many bytes together
        assert [client.read() for _ in range(9)] == [
            "OK", "x" * 50, "OK", "QUEUED", [1], 1, ["q", "a"], "PONG", "inline"]


ENDLESS = {
    "value": (encode("SET", "mine", "")[:-6] + b"$536870912\r\n", b"x" * 262144),
    "arguments": (b"*1048576\r\n$3\r\nDEL\r\n", b"$1\r\nx\r\n" * 8192),
    "name": (b"*2\r\n$536870912\r\n", b"x" * 262144),
}


@pytest.mark.parametrize("head, more", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_command_that_does_not_end_is_not_kept_in_memory(place, calm, head, more):
    """30 MB of it come, or a million words, and then the client is gone."""
    memory = Memory(place.router.process)
    with stranger(place) as client:
        with contextlib.suppress(ConnectionError, TimeoutError):
            client.sock.sendall(head)
            for _ in range(min(30 * MEGABYTE // len(more), 120)):
                client.sock.sendall(more)
        memory.check(16)


def test_a_large_value_is_written_and_read_while_others_go_on(place, calm):
    body = b"0123456789abcdef" * MEGABYTE  # 16 MB
    with stranger(place, 60) as client:
        client.sock.sendall(encode("SET", "mine", body))
        assert client.read() == "OK"
        assert place.servers[0].ok("STRLEN", "mine") == len(body)
        calm.go_on()
        client.send("GET", "mine")
        got, length = [], len(body) + len(b"$16777216\r\n\r\n")
        while sum(map(len, got)) < length:
            got.append(client.sock.recv(MEGABYTE))
        assert b"".join(got) == b"$16777216\r\n" + body + b"\r\n"
        assert client.call("PING") == "PONG"


@pytest.mark.parametrize("how", ["get", "pipeline", "small ones"])
def test_who_never_reads_stops_nobody(place, calm, how):
    """100 MB of one reply, or of many."""
    server, = place.servers
    server.ok("SETRANGE", "big", (100 if how == "get" else 20) * MEGABYTE - 1, "x")
    server.ok("SETRANGE", "kilobyte", 999, "x")
    memory = Memory(place.router.process)
    with stranger(place) as client:
        client.sock.settimeout(0.5 * SLOW)
        with contextlib.suppress(TimeoutError, ConnectionError):
            client.sock.sendall({"get": encode("GET", "big"), "pipeline": encode("GET", "big") * 5,
                                 "small ones": encode("GET", "kilobyte") * 100_000}[how])
        calm.go_on(100)
        memory.check(24)


def test_a_long_pipeline_keeps_nobody_waiting(place, calm):
    """10,000 commands at once, and more than once."""
    calm.most_seconds = 1.0 * SLOW
    commands = [("INCR", "n") if n % 3 else ("ECHO", f"e{n}") for n in range(10_000)]
    data = b"".join(encode(*command) for command in commands)
    with stranger(place) as client:
        count = 0
        for _ in range(3):
            client.sock.sendall(data)
            for n in range(10_000):
                if n % 3:
                    count += 1
                    assert client.read() == count
                else:
                    assert client.read() == f"e{n}"
        assert client.call("PING") == "PONG"


def test_a_crowd_of_long_pipelines_keeps_nobody_waiting(place, calm):
    data = encode("ECHO", "x" * 20) * 2_000
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(stranger(place)) for _ in range(20)]
        for client in crowd:
            client.sock.sendall(data)
        calm.go_on()
        for client in crowd:
            assert {client.read() for _ in range(2_000)} == {"x" * 20}


# Who vanishes.

SCRIPT = b"".join(encode(*command) for command in [
    ("AUTH", "nobody", "wrong"), ("SET", "mine", "1"), ("GET", "mine"), ("MULTI",), ("INCR", "n"),
    ("EXEC",), ("WATCH", "mine"), ("HELLO", "3"), ("BLPOP", "nothing", "0")])
SUBSCRIBER = b"".join(encode(*command) for command in [
    ("SELECT", "1"), ("PSUBSCRIBE", "*"), ("SUBSCRIBE", "ch"), ("UNSUBSCRIBE",), ("MONITOR",)])


def vanish(sock, number):
    """A FIN, or a RST, before or after its own FIN."""
    if number % 3 == 0:
        sock.close()
        return
    if number % 3 == 1:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
    reset(sock)


@pytest.mark.parametrize("script", [SCRIPT, SUBSCRIBER], ids=["script", "subscriber"])
def test_clients_that_vanish_at_every_byte_of_what_they_send(place, calm, script):
    for at in range(len(script) + 1):
        with stranger(place) as client:
            client.sock.sendall(script[:at])
            vanish(client.sock, at)


@pytest.mark.parametrize("script", [SCRIPT, SUBSCRIBER], ids=["script", "subscriber"])
def test_clients_that_vanish_at_every_byte_of_their_replies(place, calm, script):
    with place.servers[0].connect() as direct:
        direct.sock.sendall(script)
        direct.sock.settimeout(0.2 * SLOW)
        whole = b""
        with contextlib.suppress(TimeoutError):
            while data := direct.sock.recv(65536):
                whole += data
    for at in range(0, min(len(whole), 400), 2):
        with stranger(place) as client:
            client.sock.sendall(script)
            got = 0
            while got < at:
                data = client.sock.recv(at - got)
                assert data
                got += len(data)
            vanish(client.sock, at // 2)


def test_a_crowd_that_vanishes_with_everything_in_flight(place, calm):
    """Hundreds with unread replies and unsent commands, again and again."""
    for turn in range(5):
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(stranger(place)) for _ in range(60)]
            for number, client in enumerate(crowd):
                client.sock.sendall(encode("GET", f"secret of {number}") * 20 + SCRIPT)
            for number, client in enumerate(crowd):
                vanish(client.sock, number + turn)


def test_who_has_left_before_it_is_blocked_is_not_blocked(place, calm):
    """Its last word comes while what was before it is not answered yet."""
    server, = place.servers
    for number in range(10):
        with stranger(place) as client:
            client.send_all([("SET", "k", number), *[("GET", "k")] * 10, ("BLPOP", "q", "0")])
            vanish(client.sock, number)
    until(lambda: not place.blocked() and place.router.stats()["router"]["sessions"] <= 3,
          "nobody to be there")
    assert server.ok("RPUSH", "q", "e") == 1
    assert server.ok("LLEN", "q") == 1


def test_half_a_transaction_is_never_run(place, calm):
    """Whatever is lent next does not know of it."""
    server, = place.servers
    for number in range(12):
        with stranger(place) as client:
            assert client.pipeline([("MULTI",), ("SET", "half", number)]) == ["OK", "QUEUED"]
            vanish(client.sock, number)
    with stranger(place) as client:
        answer = client.call("EXEC")
        assert isinstance(answer, RespError) and answer == "ERR EXEC without MULTI"
    assert server.ok("EXISTS", "half") == 0


BLOCKED = {
    "blocked": [], "behind another": [("BLPOP", "first", "0")],
    "in a watch": [("WATCH", "k"), ("BLPOP", "first", "0")],
}


@pytest.mark.parametrize("before", BLOCKED.values(), ids=BLOCKED.keys())
def test_who_is_blocked_and_vanishes_takes_no_element_with_it(place, calm, before):
    server, = place.servers
    for number in range(6):
        server.ok("RPUSH", "first", "x")
        with stranger(place) as client:
            client.send_all([*before, ("BLPOP", f"q{number}", "0")])
            until(place.blocked, "it to be blocked")
            vanish(client.sock, number)
        until(lambda: not place.blocked(), "nobody to be blocked")
        assert server.ok("RPUSH", f"q{number}", "e") == 1
        assert server.ok("LLEN", f"q{number}") == 1
