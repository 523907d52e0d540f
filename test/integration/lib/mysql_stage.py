"""The stage of the tests of MySQL pooling with fakes: a MySQLLiar, a router that pools before it,
clients by hand, and others that are served meanwhile whatever happens."""
import contextlib
import threading
import time

from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mysql_client import MySQLClient
from lib.mysql_liar import PROBER, MySQLLiar
from lib.mysql_said import SaidNo
from lib.pooled import Memory
from lib.process import free_port
from lib.sockets import local
from lib.waiting import SLOW, until

ACCOUNTS = {f"user{n}": f"of user{n}" for n in range(8)}


class MySQLStage:
    """One worker and few connections, so that clients meet on them."""

    def __init__(self, home, liar=None, front=None, router=None, mode="session", **back):
        self.home, self.mode = home, mode
        self.liar = liar or MySQLLiar(home, accounts=ACCOUNTS, asks=mode == "none")
        self.clients = []
        # Without one, a connection would be kept: no server goes back to none.
        self.database = "d" if mode == "transaction" else None
        self.port = free_port()
        self.address = local(self.port)
        keys = {**FAST_PROBES, "probe_user": PROBER[0], "probe_password": PROBER[1], **back}
        if mode != "none":
            keys.setdefault("pool_size", 4)
        self.router = home.router(
            frontend("f", self.port, pool_mode=mode, **(front or {}))
            + section("backend b", protocol="mysql", server=servers(self.liar), **keys),
            **{"workers": 1, **(router or {})})
        self.router.wait_primary(self.liar.name)

    def raw(self, user="user0", **options):
        """One that has said nothing yet."""
        password = options.pop("password", ACCOUNTS.get(user, ""))
        client = MySQLClient(self.address, user, password, **options)
        client.database = self.database
        self.clients.append(client)
        return client

    def client(self, user="user0", **options):
        """One that is logged in."""
        return self.raw(user, **options).greet().log_in()

    def leave(self):
        """All clients that there are."""
        while self.clients:
            self.clients.pop().close()

    def frontend(self, key):
        return self.router.stats().frontend("f")[key]

    def wait_left(self, others=0):
        self.router.wait_for(lambda s: s.frontend("f")["sessions"] <= others,
                             "all clients to be gone", 15)

    def witnesses(self, count=2, **options):
        return MySQLWitnesses(self.address, count, database=self.database, **options)


def lonely(home, mode="session"):
    """One connection to one server, which a test knows by heart."""
    return MySQLStage(home, pool_size=1, queue_timeout="3s", tcp_user_timeout="1s", mode=mode)


class Bounds:
    """A context: at its end the router has hardly more memory and no more sockets."""

    def __init__(self, stage, megabytes=16, sockets=8):
        self.stage, self.megabytes, self.sockets = stage, megabytes, sockets

    def __enter__(self):
        process = self.stage.router.process
        self.memory, self.before = Memory(process), process.sockets()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        process = self.stage.router.process
        self.memory.check(self.megabytes)
        until(lambda: process.sockets() <= self.before + self.sockets,
              "the router's sockets to be closed")


@contextlib.contextmanager
def all_is_well(stage, served_meanwhile=True):
    """At its end others are served as before, nothing is left of what was, and no server was sent
    what none may be."""
    garbage = stage.liar.count("garbage")
    meanwhile = stage.witnesses() if served_meanwhile else contextlib.nullcontext()
    with Bounds(stage), meanwhile:
        yield
        stage.liar.plans.clear()
        stage.leave()
        if not served_meanwhile:
            with stage.witnesses():
                pass
    stage.wait_left()
    assert stage.liar.count("garbage") == garbage


class MySQLWitness(threading.Thread):
    """Short sessions one after another, each of which asks who it is."""

    def __init__(self, owner, user):
        super().__init__(daemon=True)
        self.owner, self.user = owner, user
        self.rounds, self.longest, self.error = 0, 0.0, None
        self.start()

    def run(self):
        try:
            while not self.owner.ending.wait(0.005):
                began = time.monotonic()
                self._round()
                self.longest = max(self.longest, time.monotonic() - began)
                self.rounds += 1
        except Exception as error:  # told by check()
            self.error = error

    def _round(self):
        client = MySQLClient.to(self.owner.address, self.user, ACCOUNTS[self.user],
                                source=self.owner.source, database=self.owner.database)
        with client:
            for n in range(2):
                word = f"{self.user}.{self.rounds}.{n}"
                user, _, _, kept, said = client.who(word)
                assert (user, kept, said) == (self.user, "", word), (user, kept, said)
            client.query(f"KEEP {self.user}")
            assert client.who()[3] == self.user
            client.quit()


class MySQLWitnesses:
    """A context: at its end each has gone on, and was answered rightly and in time."""

    def __init__(self, address, count=2, most_seconds=2.0, source=None, database=None):
        self.address, self.source, self.database = address, source, database
        self.most_seconds = most_seconds * SLOW
        self.ending = threading.Event()
        self.all = [MySQLWitness(self, f"user{n + 6}") for n in range(count)]

    def go_on(self, rounds=2):
        wanted = [(one, one.rounds + rounds) for one in self.all]
        until(lambda: all(one.error or one.rounds >= count for one, count in wanted),
              "the witnesses to go on", 15)
        for one in self.all:
            if one.error:
                raise AssertionError(f"{one.user}: {one.error!r}") from one.error
            assert one.longest < self.most_seconds, f"{one.user} waited {one.longest:.2f} s"

    def __enter__(self):
        self.go_on()
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.go_on()
        finally:
            self.ending.set()
            for one in self.all:
                one.join(30 * SLOW)


def refusal(client):
    """The ERR that comes next, and nothing but the end behind it."""
    try:
        payload = client.payload()
    except SaidNo as said:
        assert client.ended(), "it was told no, and not cut"
        return said
    raise AssertionError(f"an ERR was to come: {payload!r}")


def refused_or_cut(client):
    """SaidNo, or None: it was cut without a word."""
    try:
        return refusal(client)
    except ConnectionError:
        return None
