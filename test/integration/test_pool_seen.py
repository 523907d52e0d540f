"""Promise: what is told of pools is true: every number is that of the server, or of who counted
beside the router."""
import json
import re
from random import Random

import pytest

from lib import csv_stats
from lib.freeze import Frozen, threads
from lib.ini import frontend, redis_backend
from lib.pooled_world import BUSY, PooledWorld
from lib.process import free_port
from lib.prometheus import parse_metrics, server_labels
from lib.resp import Resp, encode
from lib.routerctl import routerctl, rows
from lib.runtime import control_of
from lib.waiting import until

PINS = ["transaction", "watch", "blocking", "wait", "subscribe", "tracking", "state", "raw",
        "large", "pipeline", "login", "session"]



@pytest.fixture(scope="module")
def shared(shared_home):
    return PooledWorld(shared_home)


@pytest.fixture
def world(shared):
    yield shared
    shared.end()


def difference(after, before):
    return {key: after[key] - before[key] for key in after
            if isinstance(after[key], int) and isinstance(before[key], int)}


@pytest.mark.sanitize
def test_each_connection_is_as_the_server_has_it(world):
    for _ in range(2):
        world.client(["MULTI"], ["SET", "x", "1"])
    for _ in range(3):
        world.client(["SUBSCRIBE", "news"])
    world.client(["WATCH", "x"])
    world.client(["SELECT", "3"], ["MULTI"])
    world.client(["AUTH", "app", "apple"], ["MULTI"])
    for _ in range(2):
        world.client().send("BLPOP", "nothing", "0")
    for _ in range(5):
        world.client(["GET", "x"])
    theirs = until(lambda: (c := world.clients_of_redis()) and
                   sum("b" in one["flags"] for one in c.values()) == 2 and c, "both to block")
    told = world.pool()
    assert told["pool"]["clients"] == 15
    assert {k: v for k, v in told["pool"]["pins"].items() if v} == {
        "transaction": 4, "subscribe": 3, "watch": 1, "blocking": 2}
    assert told["pool"]["lent"] == 10
    assert set(told["oldest_pin_ms"]) == {"transaction", "subscribe", "watch", "blocking"}
    ours = told["by_address"]
    assert len(ours) == len(told["connections"]) and set(ours) <= set(theirs)
    by_use = {use: sum(c["use"] == use for c in ours.values()) for use in
              ("shared", "lent", "idle", "opening")}
    assert by_use == {use: told["pool"][use] for use in by_use}
    for address, one in ours.items():
        server = theirs[address]
        assert str(one["database"]) == server["db"], one
        assert (one["user"] or "default") == server["user"], one
        assert ("transaction" in one["pins"]) == (server["multi"] != "-1"), one
        assert ("subscribe" in one["pins"]) == (server["sub"] != "0"), one
        assert ("blocking" in one["pins"]) == ("b" in server["flags"]), one
        assert ("watch" in one["pins"]) == (server.get("watch", "0") != "0") or \
            "watch" not in server, one
        assert one["in_flight"] == ("b" in server["flags"]), one
        assert (one["session"] is not None) == (one["use"] == "lent"), one
        assert abs(one["age_ms"] / 1000 - int(server["age"])) < 2, one
        assert one["pinned_ms"] <= told["oldest_pin_ms"].get(one["pins"], 0), one
    server, = told["servers"]
    assert server["used"] == len(ours)
    text = world.run("show pool b").splitlines()
    assert len(text) == 1 + 4 + 1 + len(ours)
    assert text[0].startswith("b: mode=transaction clients=15 held=0 shared=")
    assert text[1].startswith("b: pin=transaction clients=4 oldest=")
    assert text[5].startswith(f"b/redis: used={len(ours)} limit=none free=any settling=0 shared=")
    assert "apple" not in world.run("show pool") + world.run("show pool json")


def test_commands_are_counted_by_what_they_do(world):
    before = world.settled()["pool"]
    client = world.client()
    client.pipeline([["SET", "n", i] for i in range(7)] + [["GET", "n"]] * 11 + [["PING"]] * 3)
    resp3 = world.client(["HELLO", "2"], ["GET", "n"])
    client.call("MULTI")
    client.call("GET", "n")
    client.call("EXEC")  # nobody looked into it: it may have written
    resp3.close()
    after = world.pool()["pool"]
    change = difference(after, before)
    assert (change["read"], change["written"], change["other"]) == (11 + 1 + 1, 7 + 1, 3 + 1 + 1)
    assert change["resent"] == change["unknown"] == change["refused"] == 0
    commands = sum(c["commands"] for c in world.pool()["connections"])
    assert commands >= 25


@pytest.mark.sanitize
def test_what_is_lent_comes_back_and_is_lent_again(world):
    before = world.settled("own")["pool"]
    assert before["mode"] == "session"
    for _ in range(4):
        world.client(["PING"], port=world.lending)
    told = world.pool("own")
    assert (told["pool"]["lent"], told["pool"]["pins"]["session"]) == (4, 4)
    sessions = {line.split(":")[0] for line in world.run("show sess").splitlines()
                if " fe=l " in line}
    assert {c["session"] for c in told["connections"] if c["use"] == "lent"} == sessions
    first = difference(told["pool"], before)
    assert first["leases"] == 4 and first["reused"] == 4 - first["opened"]
    world.close()
    calm = world.settled("own")["pool"]
    assert calm["lent"] == 0 and calm["idle"] >= 4 and not any(calm["pins"].values())
    for _ in range(10):
        world.client(["PING"], port=world.lending).close()
        world.settled("own")
    again = difference(world.pool("own")["pool"], calm)
    assert (again["leases"], again["reused"], again["opened"]) == (10, 10 - again["opened"],
                                                                   again["opened"])
    assert again["opened"] <= 1, "at most the other worker's first one"


def test_who_waits_is_told(world):
    """For a connection: the pool has no more."""
    before = world.settled("own")["pool"]
    for _ in range(200):
        world.client(["PING"], port=world.lending)
    late = world.client(port=world.lending)
    late.send("PING")
    told = until(lambda: (p := world.pool("own"))["pool"]["held"] == 1 and p, "one to wait")
    assert told["pool"]["clients"] == 201 and told["pool"]["lent"] == 200
    assert told["waiting"] == 1
    world.open[0].close()
    assert late.read() == "PONG"
    assert world.pool("own")["pool"]["held"] == 0
    assert difference(world.pool("own")["pool"], before)["waited"] >= 1


def test_all_who_tell_say_the_same(world):
    world.client(["MULTI"])
    world.client(["GET", "x"])
    told = world.pool()
    stats = world.router.stats()
    assert stats.backend("b")["pool"] == told["pool"]
    families = parse_metrics(world.router.http("/metrics")[1])
    kind, pins = families["router_backend_pool_pins"]
    assert kind == "gauge"
    by_reason = {dict(labels)["reason"]: n for labels, n in pins.items()
                 if dict(labels)["proxy"] == "b"}
    assert {reason: by_reason.pop(reason) for reason in PINS} == told["pool"]["pins"]
    assert not any(by_reason.values())  # reasons that MySQL's pools have
    links = families["router_server_pool_links"][1]
    for state in ("shared", "lent", "idle", "opening"):
        assert links[server_labels("b", "redis", ("state", state))] == told["pool"][state]
    assert families["router_backend_pool_clients"][1][(("proxy", "b"),)] == 2
    assert families["router_backend_pool_held"][1][(("proxy", "b"),)] == 0
    world.run.ok("clear counters all")
    cleared = world.pool()["pool"]
    assert cleared["clients"] == 2 and cleared["pins"]["transaction"] == 1 and cleared["lent"] == 1
    assert cleared["read"] == cleared["leases"] == 0 and cleared["reuse_percent"] is None


def test_what_is_not_pooled_has_no_pool(home):
    control, run = control_of(home)
    redis = home.redis()
    router = home.router(frontend("f", free_port()) + redis_backend(redis), **control)
    assert router.stats().backend("b")["pool"] is None
    assert run("show pool") == ("b/redis: used=0 limit=none free=any settling=0 shared=0 lent=0 "
                                "idle=0 opening=0 waiting=0\n")
    told, = json.loads(run("show pool json"))
    assert told["pool"] is None and told["connections"] == []


@pytest.mark.sanitize
def test_connections_that_end_while_they_are_listed_are_let_go(home):
    """The next part of a list begins at a connection that has been freed."""
    world = PooledWorld(home, workers=1)
    for _ in range(200):
        world.client(["PING"], port=world.lending)
    control = Frozen(world.router.pid)
    with Frozen(threads(world.router.process)[-1]):  # a sanitizer's own thread comes before it
        listing = world.run.send("show pool own")
        for _ in range(3):
            world.run("show version")  # behind it: the worker has been asked by now
        control.__enter__()
    try:
        for client in world.open[100:190]:  # whose reply is due: not to be lent again
            client.send("BLPOP", "nothing", "0")
        world.close()
        until(lambda: len(world.clients_of_redis()) <= 200 - 90 + 6, "the worker to end 90")
    finally:
        control.__exit__()
    with listing:
        lines = [line for line in listing.makefile().read().splitlines() if line.startswith("0x")]
    ids = [int(line.split(":")[0], 0) for line in lines]
    assert ids[:128] == list(range(ids[0], ids[0] + 128)), "the first part"
    assert len(ids) == 128 + 10 and ids[128:] == list(range(ids[0] + 190, ids[0] + 200)), ids


def test_what_a_server_that_stands_still_keeps_waiting_is_told(world):
    """A connection that is opening, and one that is being cleaned."""
    watching = world.client(["WATCH", "x"], port=world.lending)
    world.client(["GET", "x"])

    def uses(backend):
        told = world.pool(backend)
        by_use = {use: sum(c["use"] == use for c in told["connections"]) for use in
                  ("shared", "lent", "idle", "opening")}
        return by_use == {use: told["pool"][use] for use in by_use} and told

    world.redis.pause()
    try:
        watching.close()
        until(lambda: (told := uses("own")) and told["pool"]["lent"] == 0 and
              [c["use"] for c in told["connections"] if c["state"] == "clean"] == ["idle"],
              "one to be cleaned")
        for _ in range(world.pool()["pool"]["idle"] + 4):
            world.client().send("MULTI")
        until(lambda: (told := uses("b")) and told["pool"]["opening"] > 0 and
              {c["state"] for c in told["connections"] if c["use"] == "opening"} <=
              {"connect", "login"}, "one to be opened")
    finally:
        world.redis.resume()
    world.close()
    until(lambda: uses("own")["pool"]["idle"] > 0 and uses("b"), "both to be told")


def sessions_of(world, words=""):
    """{source: what is told of it}"""
    lines = world.run(f"show sess {words}".strip()).splitlines()
    rows = [dict(f.partition("=")[::2] for f in line.split(" ")[1:]) | {
        "id": line.split(":")[0]} for line in lines]
    return {row["src"]: row for row in rows}


def source(client):
    return "%s:%d" % client.sock.getsockname()


@pytest.mark.sanitize
def test_sessions_are_told_with_what_they_have(world):
    plain = world.client(["GET", "x"])
    both = world.client(["WATCH", "x"], ["MULTI"])
    lent = world.client(["PING"], port=world.lending)
    rows = sessions_of(world)
    assert len(rows) == 3
    what = {name: (row["state"], row["srv"], row["pins"], row["held"]) for name, row in
            (("plain", rows[source(plain)]), ("both", rows[source(both)]),
             ("lent", rows[source(lent)]))}
    assert what == {"plain": ("pooled", "<none>", "-", "no"),
                    "both": ("pooled", "redis", "transaction,watch", "no"),
                    "lent": ("pooled", "redis", "session", "no")}
    assert set(sessions_of(world, "server b/redis")) == {source(both)}
    assert set(sessions_of(world, "server own/redis")) == {source(lent)}
    whole = world.run(f"show sess {rows[source(both)]['id']}")
    assert "state=pooled held=no tls=no pins=transaction,watch age=" in whole
    world.run.ok(f"shutdown session {rows[source(both)]['id']}")
    with pytest.raises(ConnectionError):
        both.call("EXEC")
    assert plain.call("PING") == "PONG" and lent.call("PING") == "PONG"
    assert set(sessions_of(world)) == {source(plain), source(lent)}


@pytest.mark.sanitize
def test_all_sessions_on_a_server_go_and_so_do_its_connections(world):
    """Those that have one alone. Others keep their place, and the answer that is due to them."""
    plain = [world.client(["GET", "x"]) for _ in range(4)]
    alone = [world.client(["MULTI"]) for _ in range(3)]
    late = world.client(["GET", "x"])
    before = {c["id"] for c in world.pool()["connections"]}
    late.send("EVAL", BUSY, "0", "300000", "3")
    until(lambda: any(c["use"] == "shared" and c["in_flight"]
                      for c in world.pool()["connections"]), "it to be asked")
    world.run.ok("shutdown sessions server b/redis")
    late.send("PING")
    until(lambda: sessions_of(world)[source(late)]["held"] == "yes",
          "its next command to wait for another connection")
    for client in alone:
        with pytest.raises(ConnectionError):
            client.call("EXEC")
    assert (late.read(), late.read()) == ("xxx", "PONG")
    for client in plain:
        assert client.call("PING") == "PONG"
    after = until(lambda: (p := world.pool()) and
                  not before & {c["id"] for c in p["connections"]} and p, "new connections")
    assert after["pool"]["clients"] == 5
    assert {c["addr"] for c in world.clients_of_redis().values()} >= set(after["by_address"])
    assert len(sessions_of(world)) == 5


def test_haproxys_columns_know_of_idle_connections(world):
    for _ in range(3):
        world.client(["PING"], port=world.lending).close()
    calm = world.settled("own")
    world.client(["PING"], port=world.lending)
    told = until(lambda: (p := world.pool("own"))["pool"]["lent"] == 1 and p, "one to be lent")
    head, line = world.run("show servers conn own").splitlines()
    row = dict(zip(re.sub(r"\[\d+\]", "", head[2:]).split(), line.split()))
    idle, used = told["pool"]["idle"], told["servers"][0]["used"]
    assert row["idle_cur"] == row["safe_nb"] == str(idle) and idle > 0
    assert row["used_cur"] == str(used - idle)
    per_thread = line.split()[-2:]
    by_worker = [sum(c["use"] == "idle" and int(c["id"], 0) >> 32 == i
                     for c in told["connections"]) for i in range(2)]
    assert per_thread == [str(n) for n in by_worker]
    csv = csv_stats.rows(world.router.http("/;csv")[1])["own", "redis"]
    assert csv["srv_icur"] == str(idle) and csv["reuse"] == str(told["pool"]["reused"])
    assert calm["pool"]["reused"] <= told["pool"]["reused"]


def test_routerctl_shows_pools_and_slow_commands(world):
    client = world.client(["WATCH", "x"], ["MULTI"])
    world.client(["GET", "x"])
    world.run.ok("clear slow")
    with Resp(("127.0.0.1", world.port)) as third:
        third.call("EVAL", BUSY, "0", "30000", "7")

    def ctl(*words):
        done = routerctl(*words, socket=world.run.path)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    told = until(lambda: (p := world.pool())["pool"]["clients"] == 2 and p, "the third to go")
    tables = [rows(text) for text in ctl("pool", "b").split("\n\n")]
    pool, pins, servers, connections = tables
    assert dict(zip(*pool))["BACKEND"] == "b" and dict(zip(*pool))["CLIENTS"] == "2"
    assert dict(zip(*pool))["LENT"] == "1" and dict(zip(*pool))["READ"] == str(told["pool"]["read"])
    assert [row[:3] for row in pins[1:]] == [["b", "transaction", "1"], ["b", "watch", "1"]]
    assert servers[1][:2] == ["b/redis", str(told["servers"][0]["used"])]
    assert {row[1] for row in connections[1:]} == set(told["by_address"])
    lent, = (row for row in connections[1:] if row[6] == "lent")
    assert lent[7] == "transaction,watch" and lent[2] == "-"
    assert lent[-1] == sessions_of(world)[source(client)]["id"]
    assert {c["address"] for c in json.loads(ctl("--json", "pool", "b"))[0]["connections"]} == \
        set(told["by_address"])
    slowest = dict(zip(*rows(ctl("slow", "1"))))
    assert slowest["COMMAND"] == "eval" and int(slowest["TOOK_US"]) >= 30_000
    assert json.loads(ctl("--json", "slow", "1"))[0]["out"] == 7 + 6


@pytest.mark.sanitize
def test_whatever_clients_do_and_however_they_go_nothing_of_them_stays_counted(home):
    """Also when their server goes in the midst of it, and comes back."""
    world = PooledWorld(home)
    random = Random(4711)
    deeds = [
        [["MULTI"], ["SET", "a", "1"]], [["WATCH", "a"]], [["SUBSCRIBE", "n"]],
        [["GET", "a"]] * 300, [["BLPOP", "nothing", "0"]], [["WAIT", "1", "10000"]],
        [["SELECT", "5"], ["GET", "a"]],
        [["AUTH", "app", "apple"], ["MULTI"]], [["AUTH", "app", "wrong"]], [["MONITOR"]],
        [["CLIENT", "TRACKING", "ON"]], [["SET", "l", b"x" * 50_000]], [["NONSENSE"]], [["RESET"]],
        [["CLIENT", "REPLY", "OFF"]], [["EVAL", BUSY, "0", "1000", "9"]], [["QUIT"]]]
    for turn in range(3):
        for _ in range(80):
            client = world.client(port=random.choice((world.port, world.lending)))
            data = b"".join(encode(*c) for deed in random.choices(deeds, k=3) for c in deed)
            client.sock.sendall(data[:random.choice((len(data), len(data) - 9, len(data) // 2))])
            if random.random() < 0.3:
                client.close()
        if turn == 1:
            world.redis.kill()
            until(lambda: world.pool()["pool"]["held"] > 0, "some to wait")
            world.redis.start_again()
        until(lambda: world.pool()["pool"]["opening"] == 0, "all to be opened")
        for client in world.open:
            if random.random() < 0.5:
                client.close()
    world.close()
    for backend in ("b", "own"):
        world.settled(backend)
    assert world.run("show sess") == ""
