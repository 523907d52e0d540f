"""Promise: a server whose replies are wrong, incomplete, endless or nobody's loses that connection;
no client ever sees a byte of what was not meant for it, and none waits for ever."""

import pytest

from lib.fake import established
from lib.liar import BIT_BY_BIT, END, RESET, SILENCE, WELL, Liar, bulk
from lib.pooled import Memory, Pooled, is_uncertain
from lib.resp import RespError
from lib.resp3 import Resp3
from lib.sockets import local
from lib.waiting import until
from lib.witness import Witnesses, of_a_liar

pytestmark = pytest.mark.sanitize

BAD = {
    "type": b"?what\r\n", "binary": b"\0\1\2\3\r\n", "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "empty line": b"\r\n", "bulk -2": b"$-2\r\n", "bulk of letters": b"$abc\r\n",
    "bulk of 2^66": b"$73786976294838206464\r\nx", "array -7": b"*-7\r\n",
    "array of 2^66": b"*73786976294838206464\r\n", "bulk without end": b"$3\r\nabcdefg\r\n",
    "bulk that goes on": b"$3\r\nabc+OK\r\n", "bad inside an array": b"*2\r\n:1\r\n?2\r\n",
}
STRAY = {"simple": b"+STRANGER\r\n", "error": b"-ERR stranger\r\n", "number": b":5\r\n",
         "bulk": bulk("stranger"), "half": b"$8\r\nstra", "array": b"*1\r\n+STRANGER\r\n",
         "many": b"+STRANGER\r\n" * 1000, "nonsense": b"\0\0\0"}


class Scene:
    """One worker and one shared connection to a liar."""

    def __init__(self, home, **keys):
        self.liar = Liar(home)
        self.stage = Pooled(home, fakes=[self.liar], **{"workers": 1, "pool_size": 1, **keys})

    def client(self, version=2):
        client = self.stage.client()
        return client.hello() if version == 3 else client

    def witnesses(self):
        return Witnesses(self.stage.address, 2, of_a_liar)

    def broken(self):
        return self.stage.backend()["pool_broken"]


@pytest.fixture(scope="module")
def scene(shared_home):
    return Scene(shared_home)


@pytest.fixture
def planned(scene, request):
    """A key for this test alone."""
    key = request.node.name.replace(" ", "_")
    yield key
    scene.liar.plans.pop(key, None)


def value(key):
    return f"value of {key}"


# What nobody asked for.


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())
def test_a_reply_that_nobody_asked_for_is_nobodys(home, stray, version):
    """It comes while the connection is idle: the next who asks must not take it for an answer."""
    scene = Scene(home)
    clients = [scene.client(version) for _ in range(3)]
    assert [client.call("GET", "x") for client in clients] == [value("x")] * 3
    sockets = scene.liar.data_sockets()
    assert sockets
    for sock in sockets:
        sock.sendall(stray)
    until(lambda: not any(established(sock) for sock in sockets), "the connections to be ended")
    for number, client in enumerate(clients):
        assert client.call("GET", f"y{number}") == value(f"y{number}")
        assert client.pushes == []
    assert scene.broken() >= 1


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())
def test_what_comes_behind_an_answer_is_not_the_next_answer(scene, planned, stray):
    scene.liar.plans[planned] = [[bulk("mine") + stray], [WELL]]
    client, other = scene.client(), scene.client()
    assert client.call("GET", planned) in ("mine", value(planned))
    for one in (other, client, other):
        assert one.call("GET", "x") == value("x")


@pytest.mark.parametrize("version", [2, 3])
def test_a_push_on_a_shared_connection_is_no_answer(scene, planned, version):
    """Invalidations, messages: those who want them have a connection of their own."""
    push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    scene.liar.plans[planned] = [[push, WELL, push], [WELL]]
    client, other = scene.client(version), scene.client(version)
    with scene.witnesses():
        for _ in range(3):
            answer = client.call("GET", planned)
            assert answer == value(planned), answer
            assert other.call("GET", "x") == value("x")
    assert client.pushes == other.pushes == []


# What is no reply.


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_nonsense_ends_its_connection_and_nobody_else_is_harmed(scene, planned, bad):
    before = scene.broken()
    scene.liar.plans[planned] = [[bad], [WELL]]
    client = scene.client()
    with scene.witnesses():
        answer = client.call("GET", planned)
        assert answer == value(planned) or isinstance(answer, RespError), answer
        assert client.call("GET", "x") == value("x")
    assert scene.broken() == before + 1


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_write_that_is_answered_with_nonsense_is_not_sent_again(scene, planned, bad):
    scene.liar.plans[planned] = [[bad]]
    client = scene.client()
    replies = client.pipeline([("GET", "x"), ("SET", planned, "1"), ("GET", "y")])
    assert replies[0] == value("x") and replies[2] == value("y")
    assert is_uncertain(replies[1]), replies
    assert scene.liar.times(planned) == 1


def test_a_server_that_always_answers_nonsense_is_not_asked_for_ever(scene, planned):
    scene.liar.plans[planned] = [[BAD["type"]]]
    client = scene.client()
    answer = client.call("GET", planned)
    assert isinstance(answer, RespError), answer
    assert scene.liar.times(planned) <= 10
    assert client.call("GET", "x") == value("x")


# Replies that are strange, and right.


@pytest.mark.parametrize("version", [2, 3])
def test_ten_thousand_levels_are_relayed(scene, planned, version):
    deep = b"*1\r\n" * 10_000 + b":1\r\n"
    scene.liar.plans[planned] = [[deep]]
    client = scene.client(version)
    with scene.witnesses():
        client.send_all([("GET", planned), ("GET", "x")])
        assert exactly(client, len(deep)) == deep
        assert client.read() == value("x")


def exactly(client, count):
    while len(client.buffer) < count:
        client._more()
    data, client.buffer = client.buffer[:count], client.buffer[count:]
    return data


STRANGE = {"empty": b"$0\r\n\r\n", "null": b"$-1\r\n", "no array": b"*-1\r\n",
           "empty array": b"*0\r\n", "nested": b"*2\r\n*1\r\n$-1\r\n*0\r\n",
           "crlf": bulk(b"\r\n+OK"),
           "error": b"-ERR no\r\n", "long": bulk(b"\r\n" * 500), "empty line": b"+\r\n"}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE.keys())
def test_replies_a_byte_at_a_time_are_relayed(scene, planned, strange):
    scene.liar.plans[planned] = [[BIT_BY_BIT, strange]]
    client = scene.client()
    with scene.witnesses():
        client.send_all([("GET", planned), ("GET", "x"), ("GET", planned), ("GET", "y")])
        expected = strange + bulk(value("x")) + strange + bulk(value("y"))
        assert exactly(client, len(expected)) == expected


def test_a_large_reply_is_not_kept_in_memory(scene, planned):
    size = 64 * 2**20
    scene.liar.plans[planned] = [[b"$%d\r\n" % size, lambda sock: pour(sock, size), b"\r\n"]]
    client = scene.client()
    memory = Memory(scene.stage.router.process)
    client.send("GET", planned)
    assert exactly(client, 11) == b"$67108864\r\n"
    left = size + 2 - len(client.buffer)
    client.buffer = b""
    while left:
        left -= len(client.sock.recv(min(left, 2**20)))
        memory.check(24)
    assert client.call("GET", "x") == value("x")


def pour(sock, size, data=b"x" * 65536):
    while size > 0:
        sock.sendall(data[:size])
        size -= len(data)


def test_a_line_without_end_is_bounded(scene, planned):
    """It is relayed or refused; not kept, and no one else waits for its end."""
    scene.liar.plans[planned] = [[b"+", lambda sock: pour(sock, 64 * 2**20), END], [WELL]]
    client = scene.client()
    memory = Memory(scene.stage.router.process)
    client.send("GET", planned)
    got = []
    while data := ends(client):
        got.append(data)
        memory.check(24)
        if data.endswith(b"\r\n"):
            break
    got = b"".join(got)
    assert set(got[1:]) <= {ord("x")} or got in (b"", bulk(value(planned))) or got[:1] == b"-"
    assert scene.client().call("GET", "x") == value("x")


def ends(client):
    """What comes next; b"" at the end."""
    try:
        return client.sock.recv(2**20)
    except ConnectionError:
        return b""


# Replies that break off.

WHOLE = b"*4\r\n$5\r\nhello\r\n:12\r\n$-1\r\n+fine\r\n"


@pytest.mark.parametrize("ending", [END, RESET])
def test_a_reply_that_breaks_off_at_any_byte(scene, ending):
    """A read is asked again, if nothing of the answer was handed on; else its client is cut."""
    again = 0
    with scene.witnesses():
        for at in range(len(WHOLE)):
            key = f"{ending}{at}"
            scene.liar.plans[key] = [[WHOLE[:at], ending], [WHOLE]]
            with Resp3(scene.stage.address) as client:
                client.send_all([("GET", key), ("GET", "x")])
                got = read_all_of(client, WHOLE + bulk(value("x")))
                if got == WHOLE + bulk(value("x")):
                    again += 1
                else:
                    assert got == WHOLE[:len(got)] or got.startswith(b"-ERR router: "), (at, got)
                assert at > 0 or got.startswith(WHOLE), "not asked again"
    print(f"{again} of {len(WHOLE)} were asked again")


def read_all_of(client, expected):
    """Until so much has come, or an error, or the end."""
    got = b""
    while len(got) < len(expected) and not got.startswith(b"-"):
        data = ends(client)
        if not data:
            return got
        got += data
    return got


@pytest.mark.parametrize("ending", [END, RESET])
def test_an_answer_to_a_write_that_breaks_off_at_any_byte(scene, ending):
    """Told that it is unknown, or cut; never sent again, never told that all is well."""
    for at in range(len(WHOLE)):
        key = f"write{ending}{at}"
        scene.liar.plans[key] = [[WHOLE[:at], ending], [WHOLE]]
        with Resp3(scene.stage.address) as client:
            client.send("SET", key, "1")
            got = read_all_of(client, WHOLE)
            assert got == WHOLE[:len(got)] or got.startswith(b"-ERR router: "), (at, got)
            assert len(got) < len(WHOLE) or got.startswith(b"-")
        assert scene.liar.times(key) == 1


def test_an_answer_of_which_a_part_was_handed_on_is_not_begun_again(scene, planned):
    half = b"$1000000\r\n" + b"x" * 500_000
    scene.liar.plans[planned] = [[half, END], [bulk("another")]]
    client, other = scene.client(), scene.client()
    client.send("GET", planned)
    got = read_all_of(client, half + b"more")
    if got.startswith(b"$7"):
        assert got == bulk("another")
    else:
        assert got == half[:len(got)], got[-100:]
        assert ends(client) == b"", "it was not cut"
    assert other.call("GET", "x") == value("x")


# Servers that say nothing, or take nobody.


def test_a_silent_server_stops_nobody_whose_server_answers(home):
    """Both are in the hands of one worker."""
    a, b = Liar(home, "a"), Liar(home, "b", "slave")
    b.plans["silent"] = [[SILENCE]]
    stage = Pooled(home, fakes=[a, b], workers=1, pool_size=1, tcp_user_timeout="1s",
                   second={"route": "replica", "fallback": "none"})
    stage.router.wait_for(lambda s: s.server("b")["access"] == "open", "b to be read")
    with Witnesses(stage.address, 2, of_a_liar, most_seconds=1.0) as witnesses:
        stalled = [home.keep(Resp3(local(stage.second_port))) for _ in range(10)]
        for client in stalled:
            client.send_all([("GET", "silent"), ("GET", "x")])
        until(lambda: b.times("silent") >= 1, "the silence")
        witnesses.go_on(50)
        assert stage.client().call("GET", "x") == value("x")
        for client in stalled:
            client.close()
        stage.router.wait_for(lambda s: s["router"]["sessions"] <= 3, "the stalled to be gone")


def test_who_waits_for_a_silent_server_is_answered_by_the_next(home):
    """The probes are answered, the commands are not; then the server is lost for good."""
    a, b = Liar(home, "a"), Liar(home, "b", "slave")
    a.plans["k"] = [[SILENCE]]
    stage = Pooled(home, fakes=[a, b])
    client = stage.client()
    client.send_all([("GET", "k"), ("GET", "x")])
    until(lambda: a.times("k") == 1, "the silence")
    a.role, b.role = "slave", "master"
    assert [client.read(), client.read()] == [value("k"), value("x")]


def test_a_server_that_takes_no_more_connections_is_used_over_those_there_are(home):
    """maxclients: an error that nobody asked for, and the end."""
    stage = Pooled(home, names=("a",), workers=1, pool_size=4)
    a, = stage.servers
    first = stage.client()
    assert first.call("SET", "k", "v") == "OK"
    a.ok("CONFIG", "SET", "maxclients", len(stage.connections()) + 2)  # ours, the probe's
    clients = stage.clients(30)
    for client in clients:
        client.send_all([("GET", "k"), ("INCR", client.name)])
    for client in clients:
        assert [client.read(), client.read()] == ["v", 1]
    blocked = stage.client()
    blocked.send("BLPOP", "q", "0")
    assert first.call("GET", "k") == "v"
    a.ok("CONFIG", "SET", "maxclients", 1000)
    first.call("RPUSH", "q", "e")
    answer = blocked.read()
    assert answer == ["q", "e"] or isinstance(answer, RespError), answer


def test_a_server_that_ends_every_connection_is_not_besieged(home):
    """Each ends at its first command. Clients are told in time, and nobody connects in a hurry."""
    liar = Liar(home)
    stage = Pooled(home, fakes=[liar], queue_timeout="1s")
    for key in ("k", "x"):
        liar.plans[key] = [[RESET]]
    before = liar.fake.accepted
    clients = stage.clients(5)
    for client in clients:
        client.send_all([("GET", "k"), ("SET", "x", "1")])
    for client in clients:
        for _ in range(2):
            answer = client.read()
            assert isinstance(answer, RespError), answer
    assert liar.fake.accepted - before <= 100
