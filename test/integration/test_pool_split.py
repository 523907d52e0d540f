"""Promise: with route = split reads go to replicas and all else to the primary; who wrote reads
what it wrote; a scan begins and ends on one server; and replies keep their order."""
import threading
import time

import pytest

from lib.pooled import Pooled, planned_switch
from lib.resp import RespError
from lib.valve import Valve
from lib.waiting import SLOW, Clock, holds, until

pytestmark = pytest.mark.sanitize

WRITABLE = {"options": {"replica-read-only": "no"}}  # so that each says who it is
WINDOW = 0.4 * SLOW  # seconds


class Split(Pooled):
    def __init__(self, home, window="0", front=None, redis=None, **options):
        super().__init__(home, redis=redis or WRITABLE, start=False,
                         front={"route": "split", "read_your_writes": window, **(front or {})},
                         **options)
        a, *replicas = self.servers
        a.ok("SET", "who", "a")
        for replica in replicas:
            replica.wait_caught_up(a)
            replica.call("SET", "who", replica.name)
        self.start()
        for replica in replicas:
            self.wait_access(replica.name, "open")


def who(client):
    return client.call("GET", "who")


# Who gets what.


def test_reads_go_to_replicas_and_writes_to_the_primary(home):
    stage = Split(home)
    a, b, c = stage.servers
    clients = stage.clients(20)
    assert {who(client) for client in clients for _ in range(5)} == {"b", "c"}
    for client in clients:
        assert client.call("SET", client.name, "x") == "OK"
    for replica in (b, c):
        replica.wait_caught_up(a)
    expected = {client.name: "x" for client in clients}
    assert a.data() == {"who": "a", **expected}
    assert b.data() == {"who": "b", **expected}


READS = [("GET", "who"), ("MGET", "who"), ("GETRANGE", "who", "0", "-1"), ("STRLEN", "other"),
         ("EVAL_RO", "return redis.call('get', KEYS[1])", "1", "who"), ("get", "who"),
         ("SUBSTR", "who", "0", "0")]
PRIMARYS = [("GETSET", "who", "a"), ("GETEX", "who"), ("SET", "who", "a", "GET"),
            ("EVAL", "return redis.call('get', KEYS[1])", "1", "who"),
            ("BLPOP", "list of a", "1")]


def test_what_is_a_read_is_what_the_server_calls_one(home):
    stage = Split(home)
    a, b, c = stage.servers
    for server, length in ((a, 1), (b, 2), (c, 3)):
        server.ok("SET", "other", "x" * length)
    client = stage.client()
    for command in READS:
        answer = client.call(*command)
        answer = answer[0] if isinstance(answer, list) else answer
        assert answer in ("b", "c", 2, 3), (command, answer)
    a.ok("RPUSH", "list of a", "a")
    for command in PRIMARYS:
        answer = client.call(*command)
        answer = answer[1] if isinstance(answer, list) else answer
        assert answer == "a", (command, answer)
        for replica in (b, c):  # SET was replicated
            replica.wait_caught_up(a)
            replica.ok("SET", "who", replica.name)


def test_a_transaction_is_the_primarys_with_its_reads(home):
    stage = Split(home)
    client = stage.client()
    assert who(client) in ("b", "c")
    assert client.pipeline([("WATCH", "who"), ("GET", "who"), ("MULTI",), ("GET", "who"),
                            ("SET", "k", "1"), ("GET", "k"), ("EXEC",)]) == \
        ["OK", "a", "OK", "QUEUED", "QUEUED", "QUEUED", ["a", "OK", "1"]]
    assert who(client) in ("b", "c")


# Who wrote.


def test_who_wrote_reads_from_the_primary_for_a_while(home):
    stage = Split(home, window=f"{int(WINDOW * 1000)}ms")
    writer, reader = stage.clients(2)
    assert who(writer) in ("b", "c")
    clock = Clock()
    assert writer.call("SET", "k", "v") == "OK"
    while True:
        server = who(writer)
        if clock.passed(WINDOW * 0.9):
            break
        assert server == "a", f"read from {server} {clock.seconds():.3f} s after a write"
        assert who(reader) in ("b", "c")
    until(lambda: who(writer) in ("b", "c"), "the end of the window")
    assert clock.passed(WINDOW * 0.95)
    assert clock.seconds() < WINDOW + 1.0 * SLOW


@pytest.mark.parametrize("write", [
    ("INCR", "n"), ("EVAL", "return redis.call('set', KEYS[1], 1)", "1", "k"), ("DEL", "nothing")],
    ids=lambda words: words[0])
def test_any_write_begins_it(home, write):
    client = Split(home, window="60s").client()
    assert who(client) in ("b", "c")
    client.call(*write)
    assert [who(client) for _ in range(10)] == ["a"] * 10


def test_a_transaction_and_a_large_value_begin_it_too(home):
    stage = Split(home, window="60s")
    for commands in ([("MULTI",), ("SET", "k", "1"), ("EXEC",)], [("SET", "k", "x" * 100_000)]):
        client = stage.client()
        assert who(client) in ("b", "c")
        client.pipeline(commands)
        assert [who(client) for _ in range(10)] == ["a"] * 10


def test_who_wrote_reads_from_a_replica_again_when_that_has_caught_up(home):
    """read_your_writes = offset: however long that takes."""
    stage = Split(home, names=("a", "b"), window="offset")
    a, b = stage.servers
    valve = home.keep(Valve(a))
    b.follow(valve)
    b.wait_caught_up(a)
    b.ok("SET", "who", "b")
    stage.wait_access("b", "open")
    writer, reader = stage.clients(2)
    until(lambda: who(writer) == "b", "b to be read")
    valve.shut()
    assert writer.call("SET", "k", "new") == "OK"
    holds(lambda: writer.pipeline([("GET", "who"), ("GET", "k")]) == ["a", "new"],
          "the writer sees its write", 0.5)
    assert who(reader) == "b"
    valve.open_again()
    until(lambda: writer.call("GET", "who") == "b", "b to be read again")
    assert writer.call("GET", "k") == "new"


@pytest.mark.parametrize("window", ["offset", "1s"])
def test_nobody_ever_misses_a_write_of_its_own(home, window):
    stage = Split(home, window=window)
    clients = stage.clients(5)
    for number in range(100):
        for client in clients:
            assert client.call("SET", client.name, number) == "OK"
            assert client.call("GET", client.name) == str(number)


# Order.


def test_pipelines_of_reads_and_writes_are_answered_in_order(home):
    """The reads of the writer see its writes, and each answer is that of its own question."""
    stage = Split(home, window="60s")
    clients = stage.clients(5)
    for turn in range(5):
        for client in clients:
            client.send_all(command for n in range(50) for command in (
                ("ECHO", f"{turn}:{n}"), ("RPUSH", client.name, n), ("LLEN", client.name),
                ("GET", "nothing"), ("LRANGE", client.name, -1, -1)))
        for client in clients:
            for n in range(50):
                count = turn * 50 + n + 1
                assert [client.read() for _ in range(5)] == [
                    f"{turn}:{n}", count, count, None, [str(n)]]


def test_pipelines_that_go_to_and_fro_are_answered_in_order(home):
    """Without a window each read goes elsewhere than the write before it."""
    stage = Split(home, window="0")
    clients = stage.clients(5)
    for client in clients:
        client.send_all(command for n in range(40) for command in (
            ("INCR", client.name), ("GET", "who"), ("ECHO", n), ("GET", "who")))
    for client in clients:
        for n in range(40):
            assert client.read() == n + 1
            assert client.read() in ("b", "c")
            assert client.read() == str(n)
            assert client.read() in ("b", "c")


# Cursors. A server's table has an order of its own: a scan on two of them loses a quarter.

COUNT = 2000
SCANS = {
    "keys": ("SCAN", None, lambda n: ("SET", f"m{n}", "x")),
    "hash": ("HSCAN", "h", lambda n: ("HSET", "h", f"m{n}", "x")),
    "set": ("SSCAN", "s", lambda n: ("SADD", "s", f"m{n}")),
    "sorted set": ("ZSCAN", "z", lambda n: ("ZADD", "z", n, f"m{n}")),
}


class Scan:
    """Step by step, from 0 to 0."""

    def __init__(self, client, kind):
        self.command, self.key, _ = SCANS[kind]
        self.client = client
        self.cursor = None
        self.found = set()

    def step(self):
        """False at the end."""
        words = [self.command, *([self.key] if self.key else []), self.cursor or "0", "COUNT", 20]
        if self.command == "SCAN":
            words += ["MATCH", "m*"]
        self.cursor, members = self.client.call(*words)
        self.found.update(m for m in members if m.startswith("m"))
        return self.cursor != "0"


@pytest.fixture(scope="module")
def filled(shared_home):
    """2,000 members of each kind; writes open a window of a moment."""
    stage = Split(shared_home, window="1ms")
    a, b, c = stage.servers
    with a.connect() as admin:
        for _, _, write in SCANS.values():
            admin.pipeline([write(n) for n in range(COUNT)])
    for replica in (b, c):
        replica.wait_caught_up(a)
    return stage


@pytest.mark.parametrize("kind", SCANS)
def test_a_scan_finds_everything_whatever_else_its_client_does(filled, kind):
    """Writes draw its reads to the primary, and reads go round the replicas."""
    client = filled.client()
    for turn in range(3):
        scan = Scan(client, kind)
        while scan.step():
            client.pipeline([("SET", "aside", turn), ("GET", "who"), ("GET", "aside")])
        assert len(scan.found) == COUNT


def test_scans_side_by_side_find_everything(filled):
    """Many clients, and of each client many at once."""
    scans = [Scan(client, kind) for client in filled.clients(4) for kind in SCANS for _ in range(2)]
    going = list(scans)
    while going:
        going = [scan for scan in going if scan.step()]
    assert [len(scan.found) for scan in scans] == [COUNT] * len(scans)


def test_steps_of_scans_in_one_pipeline_are_answered_in_order(filled):
    client = filled.client()
    first = client.call("SCAN", "0", "COUNT", 500, "MATCH", "m*")
    replies = client.pipeline([("SET", "aside", 1), ("SCAN", first[0], "COUNT", 500),
                               ("HSCAN", "h", "0", "COUNT", 10), ("GET", "who"),
                               ("SSCAN", "s", "0", "COUNT", 10)])
    assert replies[0] == "OK" and replies[3] in ("a", "b", "c")
    for answer in (replies[1], replies[2], replies[4]):
        assert isinstance(answer, list) and len(answer) == 2 and answer[1], answer


# Replicas that go.


class Readers:
    """Threads that read `who` without pause and keep what they were answered. At first each was
    answered once: who has read goes on reading where others would have to wait."""

    def __init__(self, stage, count=4):
        self.ending = threading.Event()
        self.answers = []
        self.begun = threading.Barrier(count + 1)
        self.error = None
        self.threads = [threading.Thread(target=self._run, args=(client,), daemon=True)
                        for client in stage.clients(count)]
        for thread in self.threads:
            thread.start()
        self.begun.wait(20 * SLOW)

    def _run(self, client):
        try:
            self.answers.append((time.monotonic(), client.pipeline([("GET", "who")])))
            self.begun.wait(20 * SLOW)
            while not self.ending.wait(0.001):
                self.answers.append((time.monotonic(), client.pipeline([("GET", "who")] * 2)))
        except Exception as error:  # told by check()
            self.error = error

    def now(self):
        """Who answered to all that was asked from now on."""
        began = time.monotonic()
        until(lambda: self.error or sum(1 for at, _ in list(self.answers) if at > began) > 20,
              "more answers", 10)
        self.check()
        return {word for at, pair in list(self.answers) if at > began for word in pair}

    def check(self):
        assert self.error is None, self.error
        wrong = [pair for _, pair in list(self.answers) if set(pair) - {"a", "b", "c"}]
        assert wrong == [], wrong[:3]

    def close(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30 * SLOW)


def kill(server):
    server.kill()


def pause(server):
    server.pause()


@pytest.mark.parametrize("how", [kill, pause])
def test_replicas_that_die_one_after_the_other_cost_no_reader_an_error(home, how):
    stage = Split(home)
    _, b, c = stage.servers
    readers = home.keep(Readers(stage))
    assert readers.now() == {"b", "c"}
    for server, left in ((c, {"b"}), (b, {"a"})):
        how(server)
        stage.router.wait_for(lambda s, n=server.name: s.server(n)["state"] == "down", "it is down")
        until(lambda w=left: readers.now() == w, f"only {left}", 10)
    if how is pause:
        b.resume()
        until(lambda: readers.now() == {"b"}, "b again", 10)
    readers.close()
    readers.check()


def test_a_replica_that_falls_behind_is_not_read_until_it_has_caught_up(home):
    stage = Split(home, names=("a", "b"), max_lag="1000b")
    a, b = stage.servers
    valve = home.keep(Valve(a))
    b.follow(valve)
    b.wait_caught_up(a)
    b.ok("SET", "who", "b")
    stage.wait_access("b", "open")
    readers = home.keep(Readers(stage))
    until(lambda: readers.now() == {"b"}, "b to be read")
    valve.shut()
    assert stage.client().call("SET", "k", "x" * 5000) == "OK"
    until(lambda: readers.now() == {"a"}, "b not to be read", 10)
    valve.open_again()
    until(lambda: readers.now() == {"b"}, "b to be read again", 10)
    readers.close()
    readers.check()


def test_without_fallback_reads_wait_and_writes_go_on(home):
    stage = Split(home, names=("a", "b"), front={"fallback": "none"}, queue_timeout="500ms")
    _, b = stage.servers
    reader, writer = stage.clients(2)
    assert who(reader) == "b"
    b.kill()
    stage.router.wait_for(lambda s: s.server("b")["state"] == "down", "b to be down")
    clock = Clock()
    reader.send_all([("GET", "who"), ("INCR", "behind")])
    assert writer.call("INCR", "n") == 1
    answer = reader.read()
    assert isinstance(answer, RespError) and answer.startswith("ERR router: "), answer
    assert clock.passed(0.45)
    answer = reader.read()
    assert answer == 1 or isinstance(answer, RespError)
    b.start_again()
    b.ok("SET", "who", "b")
    stage.wait_access("b", "open")
    assert who(reader) in ("a", "b")  # what it was told when it came back it has from a


def test_readers_go_on_while_there_is_no_primary(home):
    stage = Split(home)
    a, b, c = stage.servers
    readers = home.keep(Readers(stage))
    writer = stage.client()
    a.kill()
    stage.nobody()
    writer.send("SET", "k", "v")
    for _ in range(5):
        assert readers.now() <= {"b", "c"}
    b.promote()
    c.follow(b)
    assert writer.read() == "OK"
    readers.close()
    readers.check()


def test_a_planned_switch_costs_nobody_an_error(home):
    stage = Split(home, window="1s", redis={"options": {"replica-read-only": "yes"}})
    loggers = stage.loggers(6)
    readers = home.keep(Readers(stage, 2))
    loggers.wait_more(10)
    planned_switch(*stage.servers)
    stage.switched("b")
    loggers.wait_more(10)
    readers.close()
    readers.check()
    loggers.check(stage.servers[1])
    assert loggers.refused() == []
