"""Promise: a change of the primary is one record: who, why, how long, and at whose cost."""
import pytest

from lib.ini import frontend, redis_backend
from lib.playbook import Stage
from lib.process import free_port
from lib.resp import Resp
from lib.sockets import local

pytestmark = pytest.mark.sanitize


def complete(stage, number):
    """The record of this number, once somebody has written."""
    stats = stage.router.wait_for(
        lambda s: any(c["number"] == number and c["written_ms"] is not None
                      for c in s["changes"]), f"change {number} to be complete", 10)
    return next(c for c in stats["changes"] if c["number"] == number)


def client(home, address, key):
    """A session that has written once, and stays."""
    resp = home.keep(Resp(address, 20))
    assert resp.call("SET", key, "1") == "OK"
    return resp


def waiting(home, stage, key):
    """One whose write waits in the router."""
    resp = home.keep(Resp(stage.address, 20))
    resp.send("SET", key, "1")
    return resp


def told(stage):
    """The reason of the newest verdict that elected somebody."""
    return next(e["text"] for e in stage.router.stats()["events"] if e["kind"] == "primary")


def test_the_first_primary_is_a_change_from_nobody(home):
    stage = Stage(home, writers=False)
    record, = stage.router.stats()["changes"]
    assert (record["number"], record["backend"]) == (1, "b")
    assert (record["from"], record["to"]) == (None, "a")
    assert record["fenced_ms"] is None and record["written_ms"] is None
    client(home, stage.address, "k")
    record = complete(stage, 1)
    assert 0 <= record["elected_ms"] <= record["published_ms"] <= record["written_ms"]
    assert (record["held"], record["closed"]) == (0, 0)


def test_a_failover_is_one_whole_record(home):
    stage = Stage(home, writers=False)
    a, b, c = stage.servers
    for number in range(3):
        client(home, stage.address, f"old{number}")
    complete(stage, 1)
    a.pause()
    stage.gone(a)
    opened = stage.router.stats()["changes"]
    assert [(r["number"], r["from"], r["to"]) for r in opened] == [(2, "a", None), (1, None, "a")]
    assert "a: silent" in opened[0]["claims"]
    late = [waiting(home, stage, f"new{number}") for number in range(2)]
    stage.router.wait_for(lambda s: s.backend()["waiting"] == 2, "both to wait")
    assert stage.router.stats()["changes"][0]["held"] == 2, "it counts while it is open"
    b.promote()
    c.follow(b)
    stage.router.wait_primary("b")
    assert [client.read() for client in late] == ["OK", "OK"]
    record = complete(stage, 2)
    assert len(stage.router.stats()["changes"]) == 2
    assert (record["from"], record["to"], record["backend"]) == ("a", "b", "b")
    assert record["elected_ms"] <= record["published_ms"] <= record["written_ms"]
    assert record["fenced_ms"] <= record["published_ms"], "fenced before it was published"
    assert (record["held"], record["closed"]) == (2, 3)
    claims = dict(claim.split(": ", 1) for claim in record["claims"].split("; "))
    assert claims == {"a": "silent", "b": "primary", "c": claims["c"]}
    assert claims["c"].startswith("replica")
    assert record["evidence"] == told(stage) and record["evidence"].startswith("b: ")
    # It is closed: what happens later does not belong to it.
    waiting(home, stage, "later").read()
    b.call("CLIENT", "KILL", "TYPE", "normal")
    assert complete(stage, 2) == record
    a.resume()


def test_a_primary_that_comes_back_is_a_change_to_itself(home):
    stage = Stage(home, writers=False)
    a = stage.servers[0]
    client(home, stage.address, "k")
    complete(stage, 1)
    a.pause()
    stage.gone(a)
    late = waiting(home, stage, "late")
    stage.router.wait_for(lambda s: s.backend()["waiting"] == 1, "it to wait")
    a.resume()
    assert late.read() == "OK"
    record = complete(stage, 2)
    assert (record["from"], record["to"]) == ("a", "a")
    assert (record["held"], record["closed"]) == (1, 0)
    assert record["evidence"] == told(stage)
    assert record["claims"].startswith("a: primary; ")
    assert record["elected_ms"] <= record["published_ms"] <= record["written_ms"]


def test_a_change_nobody_wrote_after_ends_with_the_next(home):
    stage = Stage(home, writers=False)
    a, b, c = stage.servers
    b.promote()
    a.follow(b)
    c.follow(b)
    stage.router.wait_primary("b")
    client(home, stage.address, "k")
    record = complete(stage, 2)
    first = stage.router.stats()["changes"][1]
    assert (record["from"], record["to"]) == ("a", "b")
    assert first["written_ms"] is None and first["to"] == "a"


def test_reads_are_no_write(home):
    servers = home.redis_group("a", "b")
    write, read = free_port(), free_port()
    router = home.router(frontend("w", write) + frontend("r", read, route="replica") +
                         redis_backend(*servers))
    router.wait_primary("a")
    router.wait_for(lambda s: s.server("b")["access"] == "open", "the replica")
    reader = home.keep(Resp(local(read), 20))
    assert reader.call("GET", "k") is None
    assert router.stats()["changes"][0]["written_ms"] is None
    client(home, local(write), "k")
    router.wait_for(lambda s: s["changes"][0]["written_ms"] is not None, "the first write")


def test_two_backends_have_records_of_their_own(home):
    one, two = home.redis("one"), home.redis("two")
    ports = free_port(), free_port()
    router = home.router(
        frontend("f1", ports[0], "b1") + frontend("f2", ports[1], "b2") +
        redis_backend(one, name="b1") + redis_backend(two, name="b2"))
    router.wait_primary("one", "b1")
    router.wait_primary("two", "b2")
    client(home, local(ports[1]), "k")
    stats = router.wait_for(lambda s: any(c["written_ms"] is not None for c in s["changes"]),
                            "the write")
    written = {c["backend"]: c["written_ms"] is not None for c in stats["changes"]}
    assert written == {"b1": False, "b2": True}
    assert [c["number"] for c in stats["changes"]] == [2, 1]
