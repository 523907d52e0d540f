"""Promise: the clients that people have work through a pool as they do without one, with all that
they do by themselves: pools, pipelines, transactions, scripts, Pub/Sub, locks, reconnects."""
import csv
import itertools
import os
import subprocess
import threading

import pytest
import redis

from lib import node
from lib.pooling import MODES, Pooled, connections, wait_still
from lib.process import Process
from lib.waiting import SLOW, until

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
SECONDS = 30
ACL = ["app on >of-app ~* &* +@all", "reader on >of-reader ~* &* +@all -@write"]
PIPED = 20000
_marks = itertools.count()


@pytest.fixture(name="place", scope="module", params=MODES)
def one_for_all(shared_home, request):
    server = shared_home.redis("a" + request.param, acl=ACL)
    return Pooled(shared_home, server, mode=request.param)


@pytest.fixture(name="mark")
def prefix_of_keys():
    return f"m{next(_marks)}"


@pytest.fixture(autouse=True)
def nothing_left_behind(place):
    """Whoever was there is gone, and the connections are as if nobody had been."""
    yield
    place.wait_left()
    wait_still(place.servers[0])


def run(*argv, stdin=b"", timeout=SECONDS):
    done = subprocess.run(["setpriv", "--pdeathsig", "KILL", *argv], input=stdin, check=False,
                          capture_output=True, timeout=timeout * SLOW)
    assert done.returncode == 0, (argv, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout.decode("utf-8", "replace")


def cli(place, *args, stdin=b""):
    return run("redis-cli", "-p", str(place.port), *args, stdin=stdin)


class Listening:
    """A redis-cli that goes on until it is ended; what it says is told in lines."""

    def __init__(self, home, place, *args):
        self.process = home.keep(Background(["redis-cli", "-p", str(place.port), *args],
                                            os.path.join(home.directory("cli"), "log")))

    def wait_for(self, text):
        until(lambda: text in self.process.log, f"redis-cli to say {text!r}", 10)


class Background(Process):
    def close(self):
        self.kill()


# redis-cli.

def test_redis_cli_asks(place, mark):
    assert cli(place, "SET", mark, "1") == "OK\n"
    assert cli(place, "-r", "100", "INCR", mark).split() == [str(n) for n in range(2, 102)]
    assert cli(place, "-n", "3", "SET", mark, "in 3") == "OK\n"
    assert cli(place, "-n", "3", "GET", mark) == "in 3\n"
    assert cli(place, "GET", mark) == "101\n"
    assert cli(place, "-3", "CONFIG", "GET", "port") == f"port {place.servers[0].port}\n"
    assert cli(place, "--user", "app", "--pass", "of-app", "--no-auth-warning",
               "ACL", "WHOAMI") == "app\n"
    assert "NOPERM" in cli(place, "--user", "reader", "--pass", "of-reader", "--no-auth-warning",
                           "SET", mark, "1")
    assert cli(place, "-x", "SET", mark, stdin=b"0123456789" * 300000) == "OK\n"
    assert len(cli(place, "GET", mark)) == 3000001
    assert "Biggest string found" in cli(place, "--bigkeys")


def test_redis_cli_is_typed_to(place, mark):
    lines = (f"SELECT 2\nMULTI\nSET {mark} 1\nINCR {mark}\nEXEC\nWATCH {mark}\nUNWATCH\n"
             f"MULTI\nINCR {mark}\nDISCARD\nGET {mark}\nNOSUCH\nHELLO 3\nGET {mark}none\nPING\n")
    said = cli(place, stdin=lines.encode()).replace("\n\n", "\n").split("\n")
    assert said[:10] == ["OK", "OK", "QUEUED", "QUEUED", "OK", "2", "OK", "OK", "OK", "QUEUED"]
    assert said[10:12] == ["OK", "2"] and said[12].startswith("ERR unknown command")
    assert "PONG" in said


def test_redis_cli_pipes(place, mark):
    data = "".join(f"SET {mark}:{n} {n}\r\n" for n in range(PIPED)).encode()
    assert f"errors: 0, replies: {PIPED}" in cli(place, "--pipe", stdin=data)
    server = place.servers[0]
    assert server.ok("MGET", *(f"{mark}:{n}" for n in range(PIPED))) == [
        str(n) for n in range(PIPED)]
    assert len(set(cli(place, "--scan", "--pattern", f"{mark}:*").split())) == PIPED


def test_redis_cli_listens(home, place, mark):
    listening = Listening(home, place, "SUBSCRIBE", mark)
    listening.wait_for("subscribe")
    patterns = Listening(home, place, "-3", "PSUBSCRIBE", mark + "*")
    patterns.wait_for("psubscribe")
    watching = Listening(home, place, "MONITOR")
    watching.wait_for("OK")
    assert cli(place, "PUBLISH", mark, "the news") == "2\n"
    for each in (listening, patterns, watching):
        each.wait_for("the news")


def test_redis_cli_takes_a_snapshot(home, place):
    """It acts as a replica."""
    path = os.path.join(home.directory("rdb"), "rdb")
    cli(place, "--rdb", path)
    with open(path, "rb") as file:
        assert file.read(5) == b"REDIS"


# redis-benchmark.

TESTS = ("set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lpush,lrange_100,mset,"
         "ping_inline,ping_mbulk")


@pytest.mark.parametrize("pipelined", [1, 16])
def test_redis_benchmark_runs(place, pipelined):
    server = place.servers[0]
    server.ok("FLUSHALL")
    requests = 160 * pipelined
    rows = run("redis-benchmark", "-p", str(place.port), "-c", "50", "-P", str(pipelined),
               "-n", str(requests), "-t", TESTS, "--csv")
    rows = list(csv.reader(rows.splitlines()))[1:]
    assert len(rows) >= 16 and all(float(row[1]) > 0 for row in rows), rows
    assert int(server.ok("GET", "counter:__rand_int__")) == requests
    script = "return redis.call('INCR', KEYS[1])"
    run("redis-benchmark", "-p", str(place.port), "-c", "50", "-P", str(pipelined),
        "-n", str(requests), "-q", "EVAL", script, "1", "by-script")
    assert int(server.ok("GET", "by-script")) == requests


# python3-redis.

@pytest.fixture(name="r")
def python_client(place):
    client = redis.Redis(port=place.port, decode_responses=True, socket_timeout=10 * SLOW)
    yield client
    client.connection_pool.disconnect()


def test_python_has_a_pool_of_its_own(place, r, mark):
    def act(number):
        for turn in range(50):
            key = f"{mark}:{number}"
            assert r.set(key, turn) and r.get(key) == str(turn)
            r.incr(mark)

    in_threads(act, 20)
    assert r.get(mark) == "1000"
    other = redis.Redis(port=place.port, db=5, client_name=mark, username="app",
                        password="of-app", health_check_interval=1, single_connection_client=True)
    assert other.get(mark) is None and other.client_getname() == mark
    assert other.acl_whoami() == "app"
    assert other.client_id() == other.client_id()
    other.close()
    other.connection_pool.disconnect()
    wrong = redis.Redis(port=place.port, username="app", password="wrong")
    with pytest.raises(redis.ResponseError, match="WRONGPASS"):
        wrong.ping()


def in_threads(act, count):
    errors = []

    def one(number):
        try:
            act(number)
        except Exception as error:  # the test tells it
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS * SLOW)
    if errors:
        raise errors[0]


def test_python_pipelines(r, mark):
    keys = [f"{mark}:{n}" for n in range(1000)]
    for transaction in (False, True):
        with r.pipeline(transaction=transaction) as pipe:
            for key in keys:
                pipe.incr(key)
            assert pipe.execute() == [1 + transaction] * len(keys)
    assert r.mget(keys) == ["2"] * len(keys)
    assert set(r.scan_iter(match=f"{mark}:*", count=50)) == set(keys)
    with r.pipeline(transaction=False) as pipe:
        pipe.lpush(keys[0], "x").get(keys[0])
        replies = pipe.execute(raise_on_error=False)
    assert isinstance(replies[0], redis.ResponseError) and replies[1] == "2"
    with r.pipeline() as pipe, pytest.raises(redis.ResponseError):
        pipe.execute_command("NOSUCH").get(keys[0])
        pipe.execute()


def test_python_transactions(r, mark):
    def add(pipe):
        now = int(pipe.get(mark) or 0)
        pipe.multi()
        pipe.set(mark, now + 1)

    in_threads(lambda _: [r.transaction(add, mark) for _ in range(10)], 8)
    assert r.get(mark) == "80"


def test_python_listens(r, mark):
    with r.pubsub() as listener:
        listener.subscribe(mark)
        listener.psubscribe(mark + ":*")
        kinds = [listener.get_message(timeout=10)["type"] for _ in range(2)]
        assert kinds == ["subscribe", "psubscribe"]
        for n in range(100):
            assert r.publish(f"{mark}:{n}" if n % 2 else mark, n) == 1
        heard = [listener.get_message(timeout=10)["data"] for _ in range(100)]
        assert heard == [str(n) for n in range(100)]
        listener.unsubscribe(mark)
        assert listener.get_message(timeout=10)["type"] == "unsubscribe"
        assert r.publish(mark, "x") == 0


def test_python_locks(r, mark):
    """Its lock is released by a script, which it sends again when the server has forgotten it."""
    inside = []

    def hold(number):
        with r.lock(mark, timeout=20, blocking_timeout=20 * SLOW, sleep=0.002):
            inside.append(number)
            assert inside == [number]
            r.script_flush()
            inside.remove(number)

    in_threads(hold, 8)
    assert r.exists(mark) == 0
    script = r.register_script("return {KEYS[1], ARGV[1]}")
    assert script(keys=["k"], args=["v"]) == ["k", "v"]
    r.script_flush()
    assert script(keys=["k"], args=["v"]) == ["k", "v"]


def test_python_waits(r, mark):
    assert r.blpop(mark, timeout=0.05) is None
    with_job = []

    def wait(number):
        with_job.append(r.blpop([mark, mark + "2"], timeout=10 * SLOW)[1])
        return number

    threads = [threading.Thread(target=wait, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for n in range(5):
        r.rpush(mark, n)
    for thread in threads:
        thread.join(SECONDS * SLOW)
    assert sorted(with_job) == [str(n) for n in range(5)]
    r.xgroup_create(mark + "x", "g", mkstream=True)
    r.xadd(mark + "x", {"f": "v"}, id="1-1")
    assert r.xreadgroup("g", "me", {mark + "x": ">"}, block=1000) == [
        [mark + "x", [("1-1", {"f": "v"})]]]
    assert r.xreadgroup("g", "me", {mark + "x": ">"}, block=20) == []
    assert r.wait(0, 100) == 0
    with r.monitor() as monitor:
        r.set(mark + "m", "seen")
        assert any("seen" in seen["command"] for seen in itertools.islice(monitor.listen(), 5))


# The others do what they do in programs of their own.

def test_php(place, mark):
    said = run("php", os.path.join(CLIENTS, "client.php"), str(place.port), mark)
    assert said.split() == ["each_by_itself", "values", "persistent", "accounts", "transactions",
                            "messages"]


def test_ioredis(place, mark):
    said = run("node", os.path.join(CLIENTS, "client.js"), str(place.port), mark, node.modules())
    assert said.split() == ["values", "pipelines", "transactions", "messages", "waiting", "manners",
                            "reconnects"]


def test_clients_that_connect_for_each_command_find_connections_open(place, mark):
    """What session mode is for."""
    server = place.servers[0]
    cli(place, "INCR", mark)
    before = int(server.info("stats")["total_connections_received"])
    for _ in range(20):
        cli(place, "INCR", mark)
    after = int(server.info("stats")["total_connections_received"])
    assert server.ok("GET", mark) == "21"
    # A worker that had no client before opens one.
    assert after - before <= (20 if place.mode == "none" else 4), connections(server)
