"""Promise: a probe dialogue may break at any byte, and in any way, and the router goes on: it tells
why, elects nobody else, and finds the primary again when the server is itself."""
import re

import pytest

from lib.clusters import NotInstallable
from lib import postgres, sentinel as sentinel_lib
from lib.hub import Hub, chunked
from lib.ini import FAST_PROBES, frontend, section
from lib.lone import LoneMariaDB, LoneMySQL, LonePostgreSQL
from lib.process import free_port
from lib.saboteur import END, FLIP, KINDS, RESET, Saboteur, every_byte
from lib.waiting import SLOW, until

BACKENDS = 6  # that ask the same server, to be done sooner
PACE = {**FAST_PROBES, "probe_interval": "20ms", "probe_fast_interval": "5ms", "probe_keep": "no"}
MEMORY = 12 << 20
MYSQL_LOGIN = 800  # bytes, with the key

# What a probe may say of a server that breaks off, or talks nonsense.
CLEAR = re.compile(r"[ -~]{12,}")


class Stage:
    """Some backends with a server behind the same saboteur, each probed as fast as it can be."""

    def __init__(self, home, relay, protocol, extra=(), server=None, **keys):
        self.relay = relay
        self.names = [f"b{n}" for n in range(BACKENDS)]
        lines = [f"a {(server or relay).text}", *extra]
        sections = "".join(section(f"backend {name}", protocol=protocol, server=lines,
                                   **{**PACE, **keys}) for name in self.names)
        self.router = home.router(frontend("f", free_port(), self.names[0]) + sections,
                                  log_level="error")
        self.reasons = set()

    def well(self, stats):
        return all(self.is_well(stats, name) for name in self.names)

    def is_well(self, stats, name):
        raise NotImplementedError

    def wait_well(self, timeout=15.0):
        self.router.wait_for(self.well, "all to be well", timeout)

    def look(self):
        """Any time: nothing is elected that should not be. Returns the stats."""
        stats = self.router.stats()
        for name in self.names:
            server, backend = stats.server("a", name), stats.backend(name)
            if server["state"] != "up":
                self.reasons.add(server["reason"])
            if backend["primary"] or backend["verdict"] == "hold":
                self.reasons.add(backend["reason"])
            assert backend["primary"] in ("a", None), backend
        return stats

    def length(self):
        """Bytes of one dialogue. The first ones may be longer than the others."""
        seen = len(self.relay.lengths) + BACKENDS
        until(lambda: len(self.relay.lengths) > seen + BACKENDS, "some dialogues", 10)
        return max(self.relay.lengths[seen:])

    def play(self, plans, timeout):
        plans = list(plans)
        first, rest = plans[:len(plans) // 10], plans[len(plans) // 10:]
        self._through(first, timeout)
        memory = self.router.process.rss()
        self._through(rest, timeout)
        assert self.relay.spoiled > len(plans) * 0.9, "dialogues were shorter than thought"
        self.wait_well()
        if SLOW == 1:
            grown = self.router.process.rss() - memory
            assert grown < MEMORY, f"{grown} bytes more after {len(plans)} dialogues"
        return len(plans)

    def _through(self, plans, timeout):
        self.relay.plan(plans)
        self.relay.cut()  # connections that are kept begin to count
        until(lambda: self.look() and not self.relay.plans, "all dialogues to be spoiled", timeout,
              poll=0.05)

    def curtain(self):
        unclear = [reason for reason in self.reasons if not CLEAR.fullmatch(reason)]
        assert self.reasons and not unclear


class WithRoles(Stage):
    def is_well(self, stats, name):
        return stats.backend(name)["primary"] == "a" and stats.server("a", name)["access"] == "open"


class Checked(Stage):
    def is_well(self, stats, name):
        return stats.server("a", name)["state"] == "up"


class Heard(WithRoles):
    """What the saboteur stands before is a Sentinel."""

    def is_well(self, stats, name):
        words = stats.backend(name)["sentinels"][0]
        return super().is_well(stats, name) and words["heard"] and words["subscribed"]

    def look(self):
        stats = super().look()
        words = [stats.backend(name)["sentinels"][0] for name in self.names]
        self.reasons.update(w["why"] for w in words if not w["heard"])
        return stats


class Witnessed(WithRoles):
    """A Patroni."""

    def is_well(self, stats, name):
        return super().is_well(stats, name) and stats.server("a", name)["patroni_leader"]


def spoil(stage, plans, timeout=60.0):
    stage.play(plans, timeout)
    stage.curtain()


def spoil_everywhere(stage):
    stage.wait_well()
    spoil(stage, every_byte(stage.length()))


def before(home, server, **options):
    return home.keep(Saboteur(server.address, **options))


def lone(home, kind, **options):
    """A server that is alone, a saboteur before it, and the account of the probe."""
    try:
        thing = kind(home)
    except NotInstallable as missing:
        pytest.skip(str(missing))
    user, password = thing.prober
    return (thing.server, before(home, thing.server, **options),
            {"probe_user": user, "probe_password": password})


@pytest.mark.sanitize
def test_redis(home):
    a, b = home.redis_group("a", "b", requirepass="geheim")
    spoil_everywhere(WithRoles(home, before(home, a), "redis", [f"b {b.text}"],
                               probe_password="geheim"))


def test_mariadb_and_its_native_password(home):
    _, relay, account = lone(home, LoneMariaDB)
    spoil_everywhere(WithRoles(home, relay, "mysql", **account))


def test_mysql_and_its_cached_password(home):
    """The questions are MariaDB's, so once is enough for them. The login comes once more with a
    server that has forgotten the password, and sends its key."""
    server, relay, account = lone(home, LoneMySQL)
    stage = WithRoles(home, relay, "mysql", **account)
    stage.wait_well()
    spoil(stage, every_byte(stage.length(), *KINDS))
    relay.prepare = lambda: server.sql("FLUSH PRIVILEGES")
    spoil(stage, every_byte(MYSQL_LOGIN, END, FLIP, RESET))


def test_postgresql(home):
    _, relay, account = lone(home, LonePostgreSQL)
    spoil_everywhere(WithRoles(home, relay, "pgsql", probe_database="test", **account))


@pytest.mark.sanitize
def test_http(home):
    hub = home.keep(Hub(shape=chunked))
    spoil_everywhere(Checked(home, before(home, hub.server), "http", http_check="GET /health"))


def test_patroni(home, patroni):
    """Its REST API and its PostgreSQL have the same address and other ports."""
    node, host = patroni.wait_leader(), "127.0.0.61"
    relay = home.keep(Saboteur((node.host, node.rest_port), host=host))
    database = home.keep(Saboteur(node.address, host=host))
    stage = Witnessed(home, relay, "pgsql", server=database, patroni=relay.port,
                      probe_user=postgres.PROBER[0], probe_password=postgres.PROBER[1])
    spoil_everywhere(stage)


def test_sentinel_that_is_asked(home):
    spoil_sentinel(home, lambda said: b"SUBSCRIBE" not in said, 1500)


def test_sentinel_that_is_listened_to(home):
    spoil_sentinel(home, lambda said: b"SUBSCRIBE" in said, 400)


def spoil_sentinel(home, meant, length):
    """Its connections are kept: what follows on the first dialogue is spoiled, too."""
    watched = sentinel_lib.Watched(home, servers=1, sentinels=1)
    relay = before(home, watched.sentinels[0], meant=meant, patience_ms=30)
    stage = Heard(home, relay, "redis", server=watched.primary, sentinel=relay.text,
                  sentinel_master=sentinel_lib.MASTER)
    stage.wait_well()
    spoil(stage, every_byte(length))
