"""Promise: a pooled command that its server refused to run is held and sent again, and what comes
behind it after it; nothing waits without bound; what may have run is never sent again."""
import socket
import time

import pytest

from lib.fake import established
from lib.liar import END, RESET, SILENCE, WELL, Liar
from lib.pooled import Memory, Pooled, is_uncertain
from lib.resp import RespError, encode
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize

UNHURRIED = {"probe_interval": "20s"}  # the router learns from what passes, not from its probes
READONLY = b"-READONLY You can't write against a read only replica.\r\n"
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
MASTERDOWN = b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is 'no'.\r\n"


def demoted(home, **keys):
    """A stage whose primary has just become a replica, which the router does not know."""
    stage = Pooled(home, **UNHURRIED, **keys)
    client = stage.client()
    assert client.call("SET", "before", "1") == "OK"
    a, b, _ = stage.servers
    b.wait_caught_up(a)
    a.follow(b)
    return stage, client


def test_a_refused_write_is_answered_by_the_next_primary(home):
    stage, client = demoted(home)
    client.send("SET", "k", "v")
    stage.router.wait_for(lambda s: s.backend()["commands_held"] >= 1, "the write to be held")
    stage.servers[1].promote()
    assert client.read() == "OK"
    assert stage.servers[1].data() == {"before": "1", "k": "v"}


def test_what_comes_behind_a_refused_command_comes_behind_it(home):
    """On the old primary the reads of this pipeline would have been answered too early."""
    stage, client = demoted(home)
    client.send_all([("GET", "before"), ("INCR", "n"), ("GET", "n"), ("RPUSH", "l", "a"),
                     ("LRANGE", "l", 0, -1), ("RPUSH", "l", "b"), ("PING",), ("GET", "n")])
    stage.router.wait_for(lambda s: s.backend()["commands_held"] >= 1, "the write to be held")
    stage.servers[1].promote()
    assert [client.read() for _ in range(8)] == ["1", 1, "1", 1, ["a"], 2, "PONG", "1"]


def test_each_of_a_crowd_of_refused_clients_gets_its_own_answer(home):
    """They share connections, so that refusals and answers of many stand behind each other."""
    stage, _ = demoted(home, workers=1, pool_size=1)
    b = stage.servers[1]
    clients = stage.clients(30)
    for client in clients:
        client.send_all([("GET", "before"), ("INCR", client.name), ("ECHO", client.name),
                         ("GET", client.name)])
    stage.router.wait_for(lambda s: s.backend()["commands_held"] >= 30, "all to be held")
    b.promote()
    for client in clients:
        assert [client.read() for _ in range(4)] == ["1", 1, client.name, "1"]
    assert b.data() == {"before": "1", **{client.name: "1" for client in clients}}


def test_a_write_refused_inside_a_transaction_aborts_it(home):
    stage, client = demoted(home)
    assert client.call("MULTI") == "OK"
    answer = client.call("SET", "k", "v")
    assert isinstance(answer, RespError), answer
    answer = client.call("EXEC")
    assert isinstance(answer, RespError) and answer.startswith("EXECABORT"), answer
    stage.servers[1].promote()
    stage.switched("b")
    assert client.call("SET", "k", "w") == "OK"
    assert stage.servers[1].ok("GET", "k") == "w"


def test_a_server_that_loads_its_data_is_waited_for(home):
    """DEBUG RELOAD: for the time of it the server refuses everything."""
    stage = Pooled(home, names=("a",),
                   redis={"options": {"loading-process-events-interval-bytes": "1024"}})
    a, = stage.servers
    clients = stage.clients(10)
    clients[0].pipeline([("SET", f"k{n}", f"{n} {'x' * 100}") for n in range(300)])
    a.ok("CONFIG", "SET", "key-load-delay", "2000")  # microseconds for each
    with a.connect(20 * SLOW) as admin:
        admin.send("DEBUG", "RELOAD")
        until(lambda: a.info("persistence")["loading"] == "1", "the loading")
        for client in clients:
            client.send_all([("INCR", client.name), ("GET", "k7"), ("GET", client.name)])
        for client in clients:
            assert [client.read() for _ in range(3)] == [1, f"7 {'x' * 100}", "1"]
        assert admin.read() == "OK"


# A server that says what we tell it.


class Scene:
    """One liar as the primary, or two."""

    def __init__(self, home, count=1, **keys):
        self.liars = [Liar(home, name, "slave" if n else "master")
                      for n, name in enumerate("ab"[:count])]
        self.stage = Pooled(home, fakes=self.liars, workers=1, pool_size=1, **keys)
        self.client = self.stage.client()


@pytest.mark.parametrize("refusal", [READONLY, LOADING, MASTERDOWN], ids=["ro", "loading", "down"])
def test_a_refusal_is_never_seen_by_the_client(home, refusal):
    """Nor is the server asked all the time meanwhile."""
    scene = Scene(home)
    primary, = scene.liars
    began = time.monotonic()
    primary.plans["k"] = [[refusal], [refusal], [refusal], [WELL]]
    replies = scene.client.pipeline([("GET", "x"), ("SET", "k", "1"), ("GET", "y"), ("GET", "z")])
    assert replies == ["value of x", "OK", "value of y", "value of z"]
    assert primary.times("k") == 4
    assert time.monotonic() - began < 5 * SLOW


@pytest.mark.parametrize("refusal", [READONLY, LOADING, MASTERDOWN], ids=["ro", "loading", "down"])
def test_a_server_that_refuses_for_ever_is_not_waited_for_longer_than_told(home, refusal):
    scene = Scene(home, queue_timeout="500ms")
    primary, = scene.liars
    primary.plans["k"] = [[refusal]]
    client = scene.client
    began = time.monotonic()
    client.send_all([("SET", "k", "1"), ("GET", "x")])
    answer = client.read()
    assert isinstance(answer, RespError), answer
    assert 0.4 <= time.monotonic() - began < 5 * SLOW
    client.read()  # that of GET: its answer, or a refusal too
    assert primary.times("k") <= 100, "a server that refuses is asked in a hurry"
    primary.plans.clear()
    assert client.pipeline([("GET", "x"), ("SET", "k", "1")]) == ["value of x", "OK"]


def test_a_refused_client_does_not_stop_the_others(home):
    scene = Scene(home, queue_timeout="20s")
    primary, = scene.liars
    primary.plans["k"] = [[LOADING]]
    scene.client.send("SET", "k", "1")
    until(lambda: primary.times("k") >= 1, "the refusal")
    other = scene.stage.client()
    assert other.call("GET", "x") == "value of x"
    del primary.plans["k"]
    assert scene.client.read() == "OK"


@pytest.mark.parametrize("ending", [END, RESET])
def test_a_write_that_was_sent_is_never_sent_again(home, ending):
    """The connection ends instead of an answer, as often as anybody asks."""
    scene = Scene(home)
    primary, = scene.liars
    primary.plans["k"] = [[ending]]
    for number in range(1, 4):
        replies = scene.client.pipeline([("GET", "x"), ("INCR", "k"), ("GET", "y")])
        assert replies[0] == "value of x" and replies[2] == "value of y"
        assert is_uncertain(replies[1]), replies
        assert primary.times("k") == number


@pytest.mark.parametrize("ending", [END, RESET])
def test_a_read_that_kills_its_server_is_not_asked_for_ever(home, ending):
    """It would take all servers with it, one after the other."""
    scene = Scene(home, queue_timeout="3s")
    primary, = scene.liars
    primary.plans["poison"] = [[ending]]
    answer = scene.client.call("GET", "poison")
    assert isinstance(answer, RespError), answer
    assert primary.times("poison") <= 10
    assert scene.client.call("GET", "x") == "value of x"


def test_a_write_that_was_sent_to_a_lost_primary_is_not_sent_to_the_next(home):
    scene = Scene(home, count=2, probe_timeout="700ms")
    a, b = scene.liars
    a.plans["k"] = [[SILENCE]]
    client = scene.client
    assert client.call("GET", "x") == "value of x"
    client.send_all([("SET", "k", "1"), ("GET", "x"), ("SET", "later", "1")])
    until(lambda: a.times("k") == 1, "the write to arrive")
    a.role, b.role = "slave", "master"
    answer = client.read()
    assert is_uncertain(answer), answer
    assert client.read() == "value of x"
    client.read()
    assert b.times("k") == 0
    assert a.times("later") + b.times("later") <= 1


# Bounds.


def without_primary(home, **keys):
    stage = Pooled(home, names=("a",), **keys)
    client = stage.client()
    assert client.call("SET", "k", "v") == "OK"
    a, = stage.servers
    a.kill()
    stage.nobody()
    return stage, client


def test_who_waits_too_long_is_told_why_and_stays(home):
    stage, client = without_primary(home, queue_timeout="400ms")
    began = time.monotonic()
    client.send_all([("SET", "k", "1"), ("GET", "k")])
    replies = [client.read(), client.read()]
    assert 0.35 <= time.monotonic() - began < 5 * SLOW
    for answer in replies:
        assert isinstance(answer, RespError) and answer.startswith("ERR router: "), answer
        assert "primary" in answer
    assert stage.backend()["commands_refused"] == 2
    newcomer = stage.client()
    assert isinstance(newcomer.call("GET", "k"), RespError)
    assert established(client.sock) and established(newcomer.sock)
    stage.servers[0].start_again()
    stage.switched("a")
    assert [c.call("SET", "k", "2") for c in (client, newcomer)] == ["OK", "OK"]


def test_commands_that_need_no_server_are_answered_without_one_or_wait(home):
    """Whichever it is, nothing is lost or answered out of order."""
    stage, client = without_primary(home)
    client.send_all([("PING",), ("GET", "k"), ("ECHO", "x")])
    stage.servers[0].start_again()
    assert [client.read() for _ in range(3)] == ["PONG", None, "x"]


def test_what_waits_is_bounded_in_bytes(home):
    """A client that goes on sending is not read any more; later it is, and nothing is missing."""
    stage, client = without_primary(home, queue_timeout="60s")
    memory = Memory(stage.router.process)
    clients = [client, *stage.clients(5)]
    sent = [flood(one) for one in clients]
    memory.check(48)
    assert max(sent) < 16 * 2**20, "a client was read without end"
    stage.servers[0].start_again()
    for one, count in zip(clients, sent):
        one.sock.settimeout(30 * SLOW)
        finish(one, count)


BODY = b"x" * 1000


def flood(client):
    """RPUSHes of 1,000 bytes until nobody takes them; how many bytes that was."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    client.sock.settimeout(0.2)
    client.command = encode("RPUSH", f"flood:{client.sock.getsockname()[1]}", BODY)
    sent = 0
    try:
        while sent < 32 * 2**20:
            data = client.command * 64
            sent += client.sock.send(data[sent % len(client.command):])
    except TimeoutError:
        pass
    return sent


def finish(client, sent):
    """The rest of the command that was cut off, and all answers."""
    if sent % len(client.command):
        client.sock.sendall(client.command[sent % len(client.command):])
    count = -(-sent // len(client.command))
    assert [client.read() for _ in range(count)] == list(range(1, count + 1))


def test_what_waits_is_bounded_in_number(home):
    """queue_limit commands of clients wait; others are told at once, and stay."""
    stage, client = without_primary(home, queue_timeout="30s", queue_limit=3)
    waiters = [client, *stage.clients(2)]
    for one in waiters:
        one.send("INCR", "n")
    stage.router.wait_for(lambda s: s.backend()["waiting"] == 3, "three to wait")
    late = stage.client()
    answer = late.call("INCR", "n")
    assert isinstance(answer, RespError) and answer.startswith("ERR router: "), answer
    stage.servers[0].start_again()
    assert sorted(one.read() for one in waiters) == [1, 2, 3]
    assert late.call("INCR", "n") == 4


def test_a_client_that_leaves_while_it_waits_leaves_nothing(home):
    """What it sent is not run later."""
    stage, client = without_primary(home, queue_timeout="30s")
    leavers = stage.clients(10)
    for one in leavers:
        one.send("RPUSH", "left", one.name)
    stage.router.wait_for(lambda s: s.backend()["waiting"] >= 1, "them to wait")
    for one in leavers:
        one.close()
    stage.router.wait_for(lambda s: s["router"]["sessions"] == 1, "them to be gone")
    stage.servers[0].start_again()
    assert client.call("RPUSH", "stayed", "x") == 1
    assert stage.servers[0].ok("KEYS", "*") == ["stayed"]
