"""The stage of the pooling tests: Redis servers, a router whose frontend shares connections to
them, clients; and loggers, whose writes tell of each whether it ran once, twice or never."""
import threading
import time

from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.rerun import unforgivable
from lib.resp import RespError
from lib.resp3 import Resp3
from lib.runtime import control_of
from lib.sockets import local
from lib.waiting import SLOW, until

UNKNOWN = "ERR router: "
PROMPT = {"repl-diskless-sync": "no", "hz": "100"}  # or a second replica waits for a second


def is_uncertain(answer):
    """The error that says that nobody knows whether the command ran."""
    return isinstance(answer, RespError) and answer.startswith(UNKNOWN)


def planned_switch(old, new, *others):
    """By hand, and so that nothing is lost: writes stand still until the other one has all."""
    old.ok("CLIENT", "PAUSE", "20000", "WRITE")
    new.wait_caught_up(old)
    new.promote()
    for server in (old, *others):
        server.follow(new)
    old.ok("CLIENT", "UNPAUSE")


class Memory:
    """Of a process, beyond what it has now. Sanitizers keep what was freed: not told of those."""

    def __init__(self, process):
        self.process = process
        self.before = process.rss()
        self.most = 0

    def check(self, megabytes):
        self.most = max(self.most, self.process.rss() - self.before)
        assert SLOW > 1 or self.most < megabytes * 2**20, f"{self.most / 2**20:.1f} MB more"


class Pooled:
    """`servers` are real ones, the first is the primary, unless `fakes` are given. Two clients of
    the same account share a connection: `workers` and `pool_size` are 1 where a test needs that."""

    def __init__(self, home, names=("a", "b", "c"), fakes=None, redis=None, workers=2, front=None,
                 second=None, router=None, start=True, kind=None, **back):
        self.home = home
        redis = dict(redis or {})
        redis["options"] = {**PROMPT, **redis.get("options", {})}
        self.servers = fakes or home.redis_group(*names, **redis)
        self.port = free_port()
        self.address = local(self.port)
        self.front = {"pool_mode": "transaction", **(front or {})}
        self.second, self.second_port = second, free_port()  # another frontend's keys
        self.back = back
        self.options, self.runtime = control_of(home)
        self.options.update(router or {}, workers=workers)
        self.idle = {}
        self.router = None
        if start:
            self.start(kind)

    def sections(self):
        return (frontend("f", self.port, **self.front)
                + (frontend("g", self.second_port, pool_mode="transaction", **self.second)
                   if self.second else "")
                + redis_backend(*self.servers, **self.back))

    def start(self, kind=None):
        if kind:
            self.router = kind(self.home, self.sections(), **self.options)
        else:
            self.router = self.home.router(self.sections(), **self.options)
        self.router.wait_primary(self.servers[0].name)
        self.router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]),
                             "all servers up")

    def server(self, name):
        return next(s for s in self.servers if s.name == name)

    def client(self, name=None, **options):
        return self.home.keep(Resp3(self.address, name=name, **options))

    def clients(self, count, prefix="client"):
        return [self.client(f"{prefix}{n}") for n in range(count)]

    def loggers(self, count, **options):
        return self.home.keep(Loggers(self.address, count, **options))

    def backend(self):
        return self.router.stats().backend()

    def wait_backend(self, what, **expected):
        return self.router.wait_for(
            lambda s: all(s.backend()[key] == value for key, value in expected.items()), what)

    def switched(self, name):
        """Until the router sends writes to this one."""
        return self.router.wait_primary(name)

    def wait_access(self, name, access):
        self.router.wait_for(lambda s: s.server(name)["access"] == access, f"{name} {access}")

    def nobody(self):
        """Until the router knows of no primary."""
        return self.router.wait_for(lambda s: s.backend()["verdict"] != "primary", "no primary")

    # What the servers see of the router.

    def connections(self, server=None):
        """CLIENT LIST of what is not a replica's, ours or a probe's: one dictionary for each."""
        server = server or self.servers[0]
        own = server.ok("CLIENT", "ID")
        found = [dict(word.split("=", 1) for word in line.split(" "))
                 for line in server.ok("CLIENT", "LIST").splitlines()]
        return [c for c in found if c["flags"][0] not in "SM" and int(c["id"]) != own
                and not self._is_probe(c)]

    @staticmethod
    def _is_probe(c):
        return c["cmd"] == "info" and c["multi"] == "-1" and "N" in c["flags"]

    def wait_connections(self, most, server=None, least=0):
        """Until at most so many are left: what was pinned is given back, or closed."""
        return until(lambda: least <= len(self.connections(server)) <= most,
                     f"at most {most} connections", 5)

    def blocked(self, server=None):
        return [c for c in self.connections(server) if "b" in c["flags"]]


class Logger(threading.Thread):
    """Appends 0, 1, 2 and so on to a list of its own, counts them in a counter, reads the counter
    and keeps what it was answered. `depth` rounds are sent at once."""

    def __init__(self, owner, number):
        super().__init__(daemon=True)
        self.owner = owner
        self.name = f"{owner.prefix}{number}"
        self.depth = owner.depth if number % 2 else 1  # half of them wait for each reply
        self.acked = {}      # number -> when it was sent
        self.uncertain = []  # numbers of which nobody knows
        self.refused = []    # (number, text) of all errors
        self.read_errors = []
        self.counts = []     # what INCR answered
        self.lost = None     # how its connection ended, if it did
        self.next = 0
        self.start()

    def run(self):
        try:
            with Resp3(self.owner.address) as client:
                while not self.owner.ending.wait(self.owner.period):
                    self._round(client, range(self.next, self.next + self.depth))
        except Exception as error:  # told by check()
            self.lost = error

    def _round(self, client, numbers):
        self.next = numbers.stop
        sent = time.monotonic()
        client.send_all(command for n in numbers for command in (
            ("RPUSH", f"log:{self.name}", n), ("INCR", f"count:{self.name}"),
            ("GET", f"count:{self.name}")))
        for number in numbers:
            self._note(number, sent, client.read(), client.read(), client.read())

    def _note(self, number, sent, pushed, counted, got):
        if isinstance(pushed, RespError):
            self.refused.append((number, str(pushed)))
            self.uncertain.append(number)
        else:
            self.acked[number] = sent
        if isinstance(counted, int):
            self.counts.append(counted)
        if isinstance(got, RespError):
            self.read_errors.append(str(got))


class Loggers:
    def __init__(self, address, count, depth=8, period=0.003, prefix="l"):
        self.address, self.depth, self.prefix = address, depth, prefix
        self.period = period * SLOW
        self.ending = threading.Event()
        self.all = [Logger(self, n) for n in range(count)]

    def wait_more(self, rounds=10, timeout=15.0):
        """Until each has had so many more writes acknowledged."""
        wanted = [(one, len(one.acked) + rounds) for one in self.all]
        until(lambda: all(one.lost or len(one.acked) >= count for one, count in wanted),
              f"{rounds} more writes of each logger", timeout)
        self.check_alive()

    def check_alive(self):
        assert [one.lost for one in self.all if one.lost] == [], "a logger was cut"

    def refused(self):
        return [text for one in self.all for _, text in one.refused]

    def stop(self):
        self.ending.set()
        for one in self.all:
            one.join(30 * SLOW)
        assert not any(one.is_alive() for one in self.all), "a logger hangs"
        return self

    close = stop

    def check(self, server, may_lose_before=None, natural=1.0):
        """Reads the last primary's data. No write ran twice, none out of its order, and none that
        was acknowledged is lost; but where a primary died at `may_lose_before` (monotonic) those of
        the second before that may be."""
        self.stop()
        self.check_alive()
        for one in self.all:
            there = [int(n) for n in server.ok("LRANGE", f"log:{one.name}", 0, -1)]
            lost = set(one.acked) - set(there)
            if may_lose_before:
                lost = {n for n in lost
                        if not may_lose_before - natural <= one.acked[n] <= may_lose_before}
            with unforgivable():
                assert len(there) == len(set(there)), f"{one.name}: a write ran twice: {there}"
                assert there == sorted(there), f"{one.name}: out of order: {there}"
                assert not lost, f"{one.name}: acknowledged and lost: {sorted(lost)}"
                self._check_count(one, server, bool(may_lose_before))
            assert set(there) <= set(one.acked) | set(one.uncertain)
            assert one.read_errors == [], "a read was not asked again"

    @staticmethod
    def _check_count(one, server, may_lose):
        count = int(server.ok("GET", f"count:{one.name}") or 0)
        assert count <= one.next, f"{one.name}: an INCR ran twice"
        assert may_lose or count >= len(one.counts), f"{one.name}: an INCR is lost"
        assert may_lose or one.counts == sorted(set(one.counts)), f"{one.name}: {one.counts}"
