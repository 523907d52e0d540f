"""Promise: a replica that is too far behind, or still copies the data set, is not read; one to
which nothing was written is not behind, however long nobody spoke."""
import os
import time

import pytest

from lib.fake import fake_redis, info_reply, primary_answers
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.redis_server import link
from lib.resp import Resp
from lib.sockets import local
from lib.waiting import SLOW, holds, until

PROBES = {"probe_interval": "20ms", "probe_fast_interval": "20ms"}
BOUND_MS = 400


class Pair:
    """A primary and a replica that say what we tell them; probed every 20 ms."""

    def __init__(self, home, **keys):
        self.written = self.applied = 1000
        self.more = {}  # lines of the replica's INFO that are to be others
        self.growing = False
        a, b = home.fake(fake_redis(self.answers), "a"), home.fake(fake_redis(self.answers), "b")
        self.port = free_port()
        self.router = home.router(frontend("read", self.port, route="replica")
                                  + redis_backend(a, b, **PROBES, **keys))
        self.router.wait_primary("a")
        self.wait_access("open")

    def answers(self, server, args):
        if args[0] != "INFO":
            return primary_answers(server, args)
        identity = f"{server.port:040x}"
        if server.name == "a":
            self.written += self.growing and args[1] == "replication"
            return info_reply(run_id=identity, offset=self.written)
        reply = info_reply("slave", identity, offset=self.applied)
        for old, new in self.more.items():
            assert len(old) == len(new) and old in reply
            reply = reply.replace(old, new)
        return reply

    def client(self):
        return Resp(local(self.port))

    def meets(self):
        with self.client() as client:
            return client.call("GET", "x")

    def replica(self):
        return self.router.stats().server("b")

    def wait_access(self, *wanted):
        self.router.wait_for(lambda s: s.server("b")["access"] in wanted, f"access {wanted}")


NOT_READ = ("drain", "none")


def test_a_replica_that_stands_still_is_not_read_after_max_lag(home):
    """Its primary goes on. Not before the bound, soon after it; and its readers are closed."""
    pair = Pair(home, max_lag=f"{BOUND_MS}ms")
    reader = home.keep(pair.client())
    assert reader.call("GET", "x") == "b"
    began = time.monotonic()
    pair.growing = True
    pair.wait_access(*NOT_READ)
    took = (time.monotonic() - began) * 1000
    assert BOUND_MS - 60 <= took < (BOUND_MS + 400) * SLOW, f"{took:.0f} ms"
    assert "behind" in pair.replica()["reason"]
    assert pair.meets() == "a"
    with pytest.raises(ConnectionError):
        until(lambda: reader.call("GET", "x") != "b", "the end of the reader")
    pair.growing = False
    pair.applied = pair.written
    pair.wait_access("open")
    assert pair.meets() == "b"


def test_a_replica_that_follows_a_little_later_is_read(home):
    """Always behind, never for longer than the bound."""
    pair = Pair(home, max_lag=f"{BOUND_MS}ms")
    reader = home.keep(pair.client())
    pair.growing = True

    def follows():
        pair.applied = max(pair.applied, pair.written - 3)  # 3 probes of 20 ms ago
        return reader.call("GET", "x") == "b" and pair.replica()["access"] == "open"

    holds(follows, "it is read", 3 * BOUND_MS / 1000 * SLOW)
    assert pair.written > 1010


def test_an_idle_pair_is_not_behind(home):
    """Nothing was written and nothing heard for longer than max_lag; then one write, which the
    replica has a moment later: neither the silence nor the first write after it counts."""
    pair = Pair(home, max_lag=f"{BOUND_MS}ms")
    pair.more = {b"master_last_io_seconds_ago:0": b"master_last_io_seconds_ago:9"}
    with pair.client() as reader:
        holds(lambda: reader.call("GET", "x") == "b" and pair.replica()["access"] == "open",
              "it is read", 3 * BOUND_MS / 1000)
        pair.written += 100
        holds(lambda: reader.call("GET", "x") == "b" and pair.replica()["access"] == "open",
              "it is read", BOUND_MS / 1000 / 4)
        pair.applied += 100
        holds(lambda: reader.call("GET", "x") == "b" and pair.replica()["access"] == "open",
              "it is read", 2 * BOUND_MS / 1000)
    assert pair.replica()["sessions_fenced"] == 0


def test_a_real_pair_whose_link_is_silent_is_not_behind(home):
    """Redis pings its replicas every 10 s; until then they have heard nothing."""
    a, b = home.redis_group("a", "b", options={"repl-ping-replica-period": "1000"})
    port = free_port()
    router = home.router(frontend("read", port, route="replica")
                         + redis_backend(a, b, max_lag="500ms", **PROBES))
    router.wait_primary("a")
    a.ok("SET", "seed", "1")
    router.wait_for(lambda s: s.server("b")["access"] == "open", "it to be read")
    with Resp(local(port)) as reader:
        until(lambda: reader.call("PING") == "PONG"
              and int(b.info()["master_last_io_seconds_ago"]) >= 2, "two seconds of silence", 10)
        server = router.stats().server("b")
        assert (server["access"], server["lag_bytes"]) == ("open", 0)
        assert server["sessions_fenced"] == 0
        assert int(b.info()["master_last_io_seconds_ago"]) >= 2


# --- a full synchronisation ---


def test_the_flag_of_a_synchronisation_is_enough(home):
    pair = Pair(home)
    pair.more = {b"master_sync_in_progress:0": b"master_sync_in_progress:1"}
    pair.wait_access(*NOT_READ)
    assert "synchronises" in pair.replica()["reason"]
    assert pair.meets() == "a"
    pair.more = {}
    pair.wait_access("open")


def port_of(client):
    return int(client.call("CONFIG", "GET", "port")[1])


class Slow:
    """A primary that takes some seconds to send its data set, and two replicas."""

    KEYS = 200

    def __init__(self, home):
        self.servers = home.redis_group("a", "b", "c", options={"repl-backlog-size": "16kb"})
        a, b, c = self.servers
        a.ok("MSET", *[word for n in range(self.KEYS) for word in (f"key:{n}", "x" * 100)])
        b.wait_caught_up(a)
        c.wait_caught_up(a)
        self.port = free_port()
        self.router = home.router(frontend("read", self.port, route="replica")
                                  + redis_backend(*self.servers))
        self.router.wait_primary("a")
        self.router.wait_for(lambda s: all(x["access"] == "open" for x in s.backend()["servers"]),
                             "all to be used")
        a.ok("CONFIG", "SET", "rdb-key-save-delay", "10000")  # microseconds for each key

    def met(self):
        met = set()
        for _ in range(12):
            with Resp(local(self.port)) as client:
                met.add(port_of(client))
        return met

    def check_not_read_until_done(self, replica, other):
        until(lambda: replica.info()["master_sync_in_progress"] == "1", "the full sync", 10)
        self.router.wait_for(lambda s: "synchronises" in s.server(replica.name)["reason"]
                             and s.server(replica.name)["access"] == "drain", "it to be left")
        rounds = 0
        while replica.info()["master_sync_in_progress"] == "1":
            met = self.met()
            assert met == {other.port} or replica.linked(), "read in the middle of its sync"
            rounds += 1
        assert rounds >= 3, "the sync was too quick to see anything"
        self.router.wait_for(lambda s: s.server(replica.name)["access"] == "open", "to be read", 10)
        until(lambda: replica.port in self.met(), "to be met")


def test_a_replica_that_comes_back_empty_is_not_read_until_it_has_all(home):
    slow = Slow(home)
    _, b, c = slow.servers
    b.kill()
    os.unlink(os.path.join(b.directory, "dump.rdb"))  # what it was given the first time
    b.start_again()
    slow.check_not_read_until_done(b, c)


def test_replicas_that_lost_touch_and_copy_all_again_are_left_by_their_readers(home):
    """Their links were cut, and more was written meanwhile than the primary remembers."""
    slow = Slow(home)
    a, b, c = slow.servers
    readers = {}
    while set(readers) != {b.port, c.port}:
        client = home.keep(Resp(local(slow.port)))
        readers.setdefault(port_of(client), client)
    full_before = int(a.info("stats")["sync_full"])
    with a.connect() as admin:
        commands = [("MULTI",), ("CLIENT", "KILL", "TYPE", "replica")]
        commands += [("SET", f"key:{n}", "y" * 1000) for n in range(100)]
        admin.pipeline(commands + [("EXEC",)])
    until(lambda: int(a.info("stats")["sync_full"]) > full_before, "a full sync", 10)
    for reader in readers.values():
        with pytest.raises(ConnectionError):
            until(lambda: reader.call("PING") != "PONG", "the reader to be cut", 5)
    assert slow.met() == {a.port}
    until(lambda: slow.met() == {b.port, c.port}, "both to be read again", 15)
    assert b.ok("GET", "key:99") == c.ok("GET", "key:99") == "y" * 1000
