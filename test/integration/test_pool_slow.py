"""Promise: the slowest commands of pooled clients are known by their names, sizes and times, and
nothing of what they said."""
import datetime
import json
import re
import time

import pytest

from lib.pooled_world import BUSY, PooledWorld
from lib.prometheus import parse_metrics
from lib.resp import RespError, encode
from lib.waiting import Clock, until


@pytest.fixture(scope="module")
def shared(shared_home):
    return PooledWorld(shared_home)


@pytest.fixture
def world(shared):
    yield shared
    shared.end()


def slow(world, words=""):
    return json.loads(world.run(f"show slow json {words}".strip()))


@pytest.mark.sanitize
def test_slow_commands_are_told_by_name_and_size(world):
    client = world.client(["GET", "x"])
    session, = (line.split(":")[0] for line in world.run("show sess").splitlines())
    world.run.ok("clear slow")
    assert slow(world) == []
    began = time.time()
    sent = [("EVAL", BUSY, "0", "60000", "1000"), ("EVAL", BUSY, "0", "90000", "2000"),
            ("SET", "key:4711", b"secret" * 100), ("SET", "key:4711", b"secret" * 200_000),
            ("CLIENT", "SETNAME", "secret"), ("GET", "key:4711"), ("NONSENSE", "secret"),
            ("AUTH", "app", "apple")]
    names = ["eval", "eval", "set", "set", "client|setname", "get", "?", "auth"]
    sizes, spent = [], []
    for command in sent:
        clock = Clock()
        client.send(*command)
        before = len(client.buffer)
        assert before == 0
        reply = client.read()
        spent.append(clock.seconds())
        sizes.append((len(encode(*command)), size_of(reply)))
    client.send("BLPOP", "nothing", "0.1")
    assert client.read() is None
    rows = slow(world)
    assert [row["command"] for row in rows[:2]] == ["eval", "eval"]
    assert sorted(row["command"] for row in rows) == sorted(names)
    assert sorted((row["bytes_in"], row["bytes_out"]) for row in rows) == sorted(sizes)
    took = [row["took_us"] for row in rows]
    assert took == sorted(took, reverse=True)
    assert 90_000 <= took[0] <= spent[1] * 1e6 and 60_000 <= took[1] <= spent[0] * 1e6
    assert (rows[0]["bytes_out"], rows[1]["bytes_out"]) == (2000 + 9, 1000 + 9)
    for row in rows:
        assert (row["backend"], row["server"], row["session"]) == ("b", "redis", session)
        at = datetime.datetime.fromisoformat(row["at"].replace("Z", "+00:00")).timestamp()
        assert began - 1 <= at <= time.time() + 1
    text = world.run("show slow")
    assert len(text.splitlines()) == len(sent) and "secret" not in text and "4711" not in text
    assert re.fullmatch(r"time=\S+Z took_us=9\d{4,} command=eval in=\d+ out=2009 srv=b/redis "
                        rf"sess={session}", text.splitlines()[0])
    assert len(slow(world, "2")) == 2
    assert world.run("show slow none").startswith("Expected json, or how many")


def size_of(reply):
    """As the server sends it."""
    return 1 + len(reply) + 2 if isinstance(reply, RespError) or reply == "OK" else \
        len(encode(reply)) - 4


def test_of_many_commands_the_slowest_stay(world):
    """64 on each worker; and a pause is not part of what comes after it."""
    client = world.client(["GET", "x"])
    world.run.ok("clear slow")
    for _ in range(100):
        client.call("GET", "x")
    client.call("EVAL", BUSY, "0", "20000", "1")
    idle = Clock()
    until(lambda: idle.passed(0.3), "some time to pass")
    client.pipeline([["GET", "x"]] * 1000)
    rows = slow(world, "1000")
    assert len(rows) == 64 and rows[0]["command"] == "eval"
    assert rows[1]["took_us"] < 300_000


def test_the_time_of_commands_is_a_histogram(world):
    def histogram():
        families = parse_metrics(world.router.http("/metrics")[1])
        series = families["router_backend_command_seconds"][1]
        return {what: series[(what, ("proxy", "b"))] for what in ("_count", "_sum")}

    client = world.client(["GET", "x"])
    before = histogram()
    client.pipeline([["GET", "x"]] * 50)
    client.call("EVAL", BUSY, "0", "40000", "1")
    client.call("BLPOP", "nothing", "0.05")
    after = histogram()
    assert after["_count"] - before["_count"] == 51
    assert 0.04 <= after["_sum"] - before["_sum"] < 4


def test_long_commands_that_are_not_kept_have_their_own_names_and_sizes(world):
    client = world.client(["DEL", "l", "s"])
    world.run.ok("clear slow")
    sent = [("SET", "s", b"a" * 100_000), ("RPUSH", "l", b"b" * 40_000, b"c" * 30_000, "d"),
            ("APPEND", "s", b"e" * 20_000), ("GET", "s"), ("SET", "s", b"f" * 17_000)]
    client.sock.sendall(b"".join(encode(*command) for command in sent))
    for _ in sent:
        client.read()
    rows = {(row["command"], row["bytes_in"], row["bytes_out"]) for row in slow(world)}
    assert rows == {(command[0].lower(), len(encode(*command)), size) for command, size in
                    zip(sent, [5, 4, 9, 120_000 + 11, 5])}
