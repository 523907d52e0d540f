"""Promise: a client that causes doubts without end does not have the servers probed without end:
never faster than probe_fast_interval, and everybody is served meanwhile."""
import threading
import time

from lib.fake import fake_redis, info_reply, primary_answers
from lib.hub import Hub
from lib.ini import frontend, redis_backend, section, servers
from lib.process import free_port
from lib.resp import RespError, Resp
from lib.sockets import local
from lib.waiting import SLOW, Clock, holds, until

PROBES = {"probe_interval": "60s", "probe_fast_interval": "50ms"}  # 20 rounds a second
SECONDS = 1.5
READONLY = b"-READONLY You can't write against a read only replica.\r\n"


class Storm:
    """Clients on one route that write as fast as they are answered."""

    def __init__(self, address, count):
        self.stopping = threading.Event()
        self.refused = [0] * count
        self.problems = []
        self.threads = [threading.Thread(target=self._run, args=(address, n))
                        for n in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, address, number):
        try:
            with Resp(address, 10 * SLOW) as client:
                while not self.stopping.is_set():
                    answer = client.call("SET", "x", "1")
                    assert isinstance(answer, RespError) and answer.startswith("READONLY"), answer
                    self.refused[number] += 1
        except (OSError, AssertionError) as error:
            self.problems.append(error)

    def close(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def rage(home, router, ports, rounds):
    """A storm on the read route for a while; what `rounds()` grew by, and how long it took."""
    storm = home.keep(Storm(local(ports[1]), 4))
    until(lambda: min(storm.refused) > 10, "the storm to rise")
    doubts = router.stats().server("b")["role_errors"]
    before, began = rounds(), time.monotonic()
    clock, slowest = Clock(), 0.0
    with Resp(local(ports[0])) as writer:
        while not clock.passed(SECONDS):
            asked = time.monotonic()
            assert writer.call("SET", "y", "2") == "OK"
            slowest = max(slowest, time.monotonic() - asked)
    grown, took = rounds() - before, time.monotonic() - began
    more = router.stats().server("b")["role_errors"] - doubts
    storm.close()
    assert storm.problems == []
    assert more > 200, "that was no storm"
    assert slowest < 3 * SLOW
    print(f"{more} doubts in {took:.1f} s led to {grown} rounds of probes")
    return grown, took


def check_calm(grown, took):
    """The fast pace is 20 rounds a second. The probes' own turns and those asked for by a doubt may
    just miss each other, so up to twice that; one round for each doubt would be thousands."""
    assert 0 < grown <= 40 * took + 2, f"{grown} in {took:.2f} s"


def routes(home, a, b):
    ports = free_port(), free_port()
    router = home.router(frontend("write", ports[0]) + frontend("read", ports[1], route="replica")
                         + redis_backend(a, b, **PROBES))
    router.wait_primary("a")
    router.wait_for(lambda s: s.server("b")["access"] == "open", "the replica to be read")
    router.wait_for(lambda s: all(x["probe_age_ms"] > 300 for x in s.backend()["servers"]),
                    "the probes to be at their slow pace", 10)
    return router, ports


def test_endless_writes_to_a_replica_do_not_hasten_the_probes(home):
    asked = {"a": 0, "b": 0}

    def answers(server, args):
        if args[0] == "INFO":
            asked[server.name] += args[1] == "replication"
            role = "master" if server.name == "a" else "slave"
            return info_reply(role, f"{server.port:040x}")
        if args[0] == "SET" and server.name == "b":
            return READONLY
        return primary_answers(server, args)

    a, b = home.fake(fake_redis(answers), "a"), home.fake(fake_redis(answers), "b")
    router, ports = routes(home, a, b)
    check_calm(*rage(home, router, ports, lambda: asked["a"]))
    check_calm(*rage(home, router, ports, lambda: asked["b"]))
    until(lambda: router.stats().server("b")["probe_age_ms"] > 300, "calm after the storm", 10)


def info_calls(server):
    """Three for each probe, and our own."""
    stat = server.info("commandstats").get("cmdstat_info", "calls=0")
    return int(stat.split(",")[0].split("=")[1])


def test_the_same_with_real_servers(home):
    a, b = home.redis_group("a", "b")
    a.ok("SET", "seed", "1")
    router, ports = routes(home, a, b)
    check_calm(*rage(home, router, ports, lambda: info_calls(a) // 3))
    check_calm(*rage(home, router, ports, lambda: info_calls(b) // 3))


def test_a_server_that_ends_connections_after_each_answer_is_not_asked_in_a_loop(home):
    """HTTP allows it, without a word in the answer; so it is no doubt either."""
    hub = home.keep(Hub(ends=True))
    router = home.router(frontend("f", free_port()) + section(
        "backend b", protocol="http", http_check="GET /health", server=servers(hub),
        probe_interval="200ms", probe_fast_interval="50ms"))
    router.wait_for(lambda s: s.server("hub")["state"] == "up", "the first answer")
    before = hub.asked()
    holds(lambda: router.stats().server("hub")["access"] == "open", "it gets sessions", SECONDS)
    assert 2 <= hub.asked() - before <= (SECONDS / 0.2 + 2) * SLOW
