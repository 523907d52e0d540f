"""Promise: what waits at the server (WAIT, blocking commands, CLIENT PAUSE) waits for whoever sent
it and for as long as it said; its connection is its own for just that time."""
import time

import pytest

from lib.pooled import Pooled
from lib.resp import RespError
from lib.resp3 import Resp3
from lib.waiting import SLOW, until
from lib.witness import Witnesses

pytestmark = pytest.mark.sanitize

POOL = 2  # shared connections
SHORT = 0.3  # seconds


@pytest.fixture(scope="module")
def stage(shared_home):
    return Pooled(shared_home, workers=1, pool_size=POOL, pool_idle_timeout="200ms")


@pytest.fixture
def place(stage):
    """As new, and at the end nothing is left of what was lent."""
    stage.servers[0].ok("FLUSHALL")
    stage.opened = []
    yield stage
    for client in stage.opened:
        client.close()
    stage.router.wait_for(lambda s: s["router"]["sessions"] == 0, "all to be gone")
    stage.wait_connections(POOL)


def clients(place, count):
    made = [Resp3(place.address) for _ in range(count)]
    place.opened += made
    return made


def timed(client, *command):
    began = time.monotonic()
    answer = client.call(*command)
    return answer, time.monotonic() - began


def took(seconds, wanted):
    """As long as was asked for, and not much longer."""
    return wanted - 0.02 <= seconds < wanted + 1.0 * SLOW


@pytest.fixture
def stopped_replicas(place):
    """Which the primary has not noticed."""
    a, b, c = place.servers
    for replica in (b, c):
        replica.wait_caught_up(a)
    for replica in (b, c):
        replica.pause()
    yield
    for replica in (b, c):
        replica.resume()


# WAIT.


def test_wait_counts_no_replica_that_lacks_the_write(place, stopped_replicas):
    client, = clients(place, 1)
    assert client.call("SET", "k", "v") == "OK"
    answer, seconds = timed(client, "WAIT", "1", int(SHORT * 1000))
    assert answer == 0 and took(seconds, SHORT), (answer, seconds)
    place.servers[1].resume()
    answer, seconds = timed(client, "WAIT", "1", "20000")
    assert answer >= 1 and seconds < 5 * SLOW


def test_wait_in_one_pipeline_with_its_write(place, stopped_replicas):
    """The write goes over a shared connection, or over that of the WAIT; it is counted either way,
    and what is behind comes behind."""
    client, = clients(place, 1)
    began = time.monotonic()
    assert client.pipeline([("SET", "k", "v"), ("WAIT", "1", "200"), ("GET", "k"), ("INCR", "n"),
                            ("WAIT", "2", "200"), ("PING",)]) == ["OK", 0, "v", 1, 0, "PONG"]
    assert took(time.monotonic() - began, 0.4)


def test_wait_on_a_borrowed_connection_covers_what_others_wrote(place, stopped_replicas):
    """A server counts for a connection that has written nothing all its replicas, at once; but it
    was not for nothing that this one waits."""
    writer, waiter = clients(place, 2)
    assert writer.call("SET", "k", "v") == "OK"
    answer, seconds = timed(waiter, "WAIT", "1", int(SHORT * 1000))
    assert answer == 0 and took(seconds, SHORT), (answer, seconds)


def test_wait_is_over_as_soon_as_the_replicas_have_it(place):
    client, = clients(place, 1)
    for number in range(10):
        assert client.call("SET", "k", number) == "OK"
        answer, seconds = timed(client, "WAIT", "2", "20000")
        assert answer == 2 and seconds < 5 * SLOW


def test_a_crowd_that_waits_keeps_nobody_waiting(place, stopped_replicas):
    crowd = clients(place, 20)
    for number, client in enumerate(crowd):
        client.send_all([("SET", f"k{number}", "v"), ("WAIT", "1", "500"), ("GET", f"k{number}")])
    with Witnesses(place.address, 2, most_seconds=0.4):
        for client in crowd:
            assert [client.read() for _ in range(3)] == ["OK", 0, "v"]


def test_wait_inside_a_transaction_does_not_wait(place, stopped_replicas):
    client, = clients(place, 1)
    began = time.monotonic()
    replies = client.pipeline([("MULTI",), ("SET", "k", "v"), ("WAIT", "2", "20000"), ("EXEC",)])
    assert replies == ["OK", "QUEUED", "QUEUED", ["OK", replies[3][1]]]
    assert time.monotonic() - began < 5 * SLOW


@pytest.mark.parametrize("command", [("WAIT",), ("WAIT", "x", "0"), ("WAIT", "1", "-1"),
                                     ("WAITAOF", "0", "0", "100")],
                         ids=" ".join)
def test_wait_answers_odd_questions_as_the_server_does(place, command):
    client, = clients(place, 1)
    with place.servers[0].connect() as direct:
        assert client.pipeline([command, ("PING",)]) == [direct.call(*command), "PONG"]


def test_who_waits_for_ever_and_leaves_gives_the_connection_back(place, stopped_replicas):
    crowd = clients(place, 5)
    for client in crowd:
        client.send_all([("SET", "k", "v"), ("WAIT", "2", "0")])
    until(lambda: len(place.blocked()) == 5, "five to wait")
    for client in crowd:
        client.close()
    until(lambda: not place.blocked(), "none to wait")


# CLIENT PAUSE.


def test_a_pause_of_writes_holds_writes_and_not_reads(place):
    one, writer, reader = clients(place, 3)
    assert writer.call("SET", "k", "before") == "OK"
    began = time.monotonic()
    assert one.call("CLIENT", "PAUSE", "500", "WRITE") == "OK"
    for _ in range(5):
        assert reader.call("GET", "k") == "before"
    assert time.monotonic() - began < 0.4 * SLOW
    assert writer.call("SET", "k", "after") == "OK"
    assert took(time.monotonic() - began, 0.5)
    assert reader.call("GET", "k") == "after"


def test_a_pause_is_ended_while_writes_hang(place):
    """Whoever ends it must not stand behind those who wait for that."""
    one, writer, other = clients(place, 3)
    assert one.call("CLIENT", "PAUSE", "20000", "WRITE") == "OK"
    writer.send("SET", "k", "v")
    until(lambda: place.blocked(), "the write to hang")
    answer, seconds = timed(other, "CLIENT", "UNPAUSE")
    assert answer == "OK" and seconds < 2 * SLOW
    assert writer.read() == "OK"


def test_a_pause_of_all_ends_by_itself(place):
    one, other = clients(place, 2)
    assert one.call("CLIENT", "PAUSE", int(SHORT * 1000), "ALL") == "OK"
    answer, seconds = timed(other, "PING")
    assert answer == "PONG" and seconds < SHORT + 1.0 * SLOW
    assert one.call("PING") == "PONG"


# Blocking commands.

BLOCKING = [("BLPOP", "q", "0.3"), ("BRPOP", "q", "0.3"),
            ("BLMOVE", "q", "r", "LEFT", "LEFT", "0.3"),
            ("BRPOPLPUSH", "q", "r", "0.3"), ("BZPOPMIN", "z", "0.3"), ("BZPOPMAX", "z", "0.3"),
            ("BLMPOP", "0.3", "1", "q", "LEFT"), ("BZMPOP", "0.3", "1", "z", "MIN"),
            ("XREAD", "BLOCK", "300", "STREAMS", "s", "$"),
            ("XREADGROUP", "GROUP", "g", "me", "BLOCK", "300", "STREAMS", "s", ">")]


def test_blocking_commands_wait_as_long_as_they_say(place):
    """All kinds at once, two of each, while others go on."""
    place.servers[0].ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    crowd = clients(place, 2 * len(BLOCKING))
    began = []
    for client, command in zip(crowd, BLOCKING * 2):
        began.append(time.monotonic())
        client.send_all([command, ("PING",)])
    with Witnesses(place.address, 2, most_seconds=0.25):
        for client, command, at in zip(crowd, BLOCKING * 2, began):
            assert client.read() is None, command
            assert took(time.monotonic() - at, 0.3), command
            assert client.read() == "PONG"


def test_who_blocked_first_is_served_first(place):
    first, second, pusher = clients(place, 3)
    first.send("BLPOP", "q", "0")
    until(lambda: len(place.blocked()) == 1, "the first to be blocked")
    second.send("BLPOP", "q", "0")
    until(lambda: len(place.blocked()) == 2, "the second to be blocked")
    assert pusher.call("RPUSH", "q", "x") == 1
    assert first.read() == ["q", "x"]
    assert pusher.call("RPUSH", "q", "y") == 1
    assert second.read() == ["q", "y"]


def test_what_is_behind_a_blocking_command_comes_behind_it(place):
    client, other = clients(place, 2)
    client.send_all([("SET", "k", "1"), ("BLPOP", "q", "0"), ("INCR", "k"), ("BLPOP", "q", "0"),
                     ("INCR", "k"), ("GET", "k")])
    until(place.blocked, "it to be blocked")
    assert other.pipeline([("GET", "k"), ("RPUSH", "q", "x")]) == ["1", 1]
    until(lambda: other.call("GET", "k") == "2" and place.blocked(), "the second")
    other.call("RPUSH", "q", "y")
    assert [client.read() for _ in range(6)] == ["OK", ["q", "x"], 2, ["q", "y"], 3, "3"]


def test_a_hundred_elements_go_to_a_hundred_who_are_blocked(place):
    """Each to one of them."""
    crowd = clients(place, 100 if SLOW == 1 else 30)
    for client in crowd:
        client.send("BLPOP", "q", "0")
    until(lambda: len(place.blocked()) == len(crowd), "all to be blocked")
    pusher, = clients(place, 1)
    for number in range(len(crowd)):
        pusher.send("RPUSH", "q", number)
    got = sorted(int(client.read()[1]) for client in crowd)
    assert got == list(range(len(crowd)))


def test_a_name_of_a_blocking_command_inside_a_transaction_does_not_block(place):
    client, = clients(place, 1)
    assert client.pipeline([("MULTI",), ("BLPOP", "q", "0"), ("EXEC",)]) == \
        ["OK", "QUEUED", [None]]


# Pins.

PINS = {
    "transaction": ([("MULTI",), ("GET", "k")], [("EXEC",)]),
    "discarded": ([("MULTI",), ("GET", "k")], [("DISCARD",)]),
    "watch": ([("WATCH", "k")], [("UNWATCH",)]),
    "watch and transaction": ([("WATCH", "k")], [("MULTI",), ("EXEC",)]),
    "subscribe": ([("SUBSCRIBE", "ch")], [("UNSUBSCRIBE", "ch")]),
    "pattern": ([("PSUBSCRIBE", "p*")], [("PUNSUBSCRIBE",)]),
    "shard": ([("SSUBSCRIBE", "s")], [("SUNSUBSCRIBE",)]),
    "tracking": ([("HELLO", "3"), ("CLIENT", "TRACKING", "ON")], [("CLIENT", "TRACKING", "OFF")]),
    "no evict": ([("CLIENT", "NO-EVICT", "ON")], [("CLIENT", "NO-EVICT", "OFF")]),
    "reset": ([("MULTI",), ("GET", "k")], [("RESET",)]),
}


@pytest.mark.parametrize("begin, end", PINS.values(), ids=PINS.keys())
def test_pins_come_and_go(place, begin, end):
    """As the server counts connections: one for each who holds something, none afterwards."""
    crowd = clients(place, 6)
    for client in crowd:
        send_and_hear(client, begin)
    until(lambda: 6 <= len(place.connections()) <= 6 + POOL, "one for each")
    for client in crowd:
        send_and_hear(client, end)
    place.wait_connections(POOL)
    assert {client.call("PING") for client in crowd} == {"PONG"}


def send_and_hear(client, commands):
    for command in commands:
        client.send(*command)
        answer = client.push() if "SUBSCRIBE" in command[0] and client.pushes else client.read()
        assert not isinstance(answer, RespError), (command, answer)


def test_hundreds_of_pins_open_few_connections(place):
    """A connection that was given back is lent again."""
    client, other = clients(place, 2)
    before = place.backend()["pool_opened"]
    for _ in range(300):
        assert client.pipeline([("MULTI",), ("INCR", "n"), ("EXEC",)])[0] == "OK"
        assert other.call("GET", "n") is not None
    assert place.backend()["pool_opened"] - before <= 10


def test_who_leaves_behind_more_than_is_read_is_not_waited_for_either(place):
    """What stands behind a command that blocks is not read without bound, so nor is the end."""
    client, = clients(place, 1)
    assert client.call("BLPOP", "nothing", "0.01") is None  # a connection is there from now on
    client.send("BLPOP", "nothing", "0")
    for _ in range(400):
        client.send("SET", "k", "x" * 100)
    until(lambda: "cmd=blpop" in place.servers[0].ok("CLIENT", "LIST"), "it to be blocked")
    client.close()
    until(lambda: "cmd=blpop" not in place.servers[0].ok("CLIENT", "LIST"), "its end to be seen")
