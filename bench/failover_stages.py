"""Three stages: servers with what elects their primary, and what is done to them. A stage says

    servers, primary      the primary is the first that will be succeeded
    fronts()              the proxies before them
    writers(...)          a steady writer
    watchers()            for each server that may succeed: it says that it is the primary
    evidence()            who else must say so before a proxy may believe it; None if nobody
    kill() stop() switch()  the faults; each returns at once
    come_back()           after stop(): the old primary goes on, and claims
    aftermath()           returns when the old primary claims no more"""
import collections
import threading
import time

import psycopg2

from lib import mariadb, patroni, postgres
from lib.ini import servers as server_lines
from lib.pg_writers import PostgresDialect
from lib.sentinel import MASTER, Watched
from lib.sql_writers import MySQLDialect, SqlWriters
from lib.waiting import until
from lib.writers import Writers

import failover_proxies as proxies
from failover_watch import Each, Watcher

OPERATOR_SECONDS = 1.0  # from the fault to what a quick operator's script does about it
RETURN_SECONDS = 3.0    # until an operator has noticed that the old primary is back, and ends it
TIMEOUT = 15.0          # of the writers: longer than anything here takes

# What Sentinel does if nobody makes it faster, and the time it takes to find a primary down.
SENTINEL_PERIODS = {"ping-period": 1000, "publish-period": 2000, "ask-period": 1000,
                    "info-period": 10000, "min-link-reconnect-period": 15000}
DOWN_AFTER_MS = 2000


class Stage:
    def __init__(self, home):
        self.home = home
        self.servers = []
        self.primary = None
        self.rate = 50
        self.tasks = []  # threads that do something to the servers

    def later(self, task):
        """Does it in the background; finish() tells what went wrong."""
        errors = []

        def run():
            try:
                task()
            except Exception as error:  # told by finish()
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.tasks.append((thread, errors))

    def finish(self):
        for thread, errors in self.tasks:
            thread.join(60)
            if thread.is_alive() or errors:
                raise AssertionError(f"what was done to the servers failed: {errors}")

    def candidates(self):
        return [s for s in self.servers if s is not self.primary]

    def kill(self):
        self.primary.kill()

    def stop(self):
        self.primary.pause()

    def come_back(self):
        self.primary.resume()

    def evidence(self):
        return None


class RedisStage(Stage):
    title = "Redis, three Sentinels"
    evidence_title = "majority of Sentinels"

    class Slow(Watched):
        """As in production."""

        def _watch(self, **settings):
            super()._watch(down_after=DOWN_AFTER_MS, **settings)
            for one in self.sentinels:
                for period, value in SENTINEL_PERIODS.items():
                    one.ok("SENTINEL", "DEBUG", period, value)

    def __init__(self, home):
        super().__init__(home)
        self.rate = 100
        self.cluster = self.Slow(home)
        self.servers = self.cluster.servers
        self.primary = self.cluster.primary

    def fronts(self):
        lines = [f"{s.name} {s.text} check" for s in self.servers]
        return [
            proxies.haproxy(self.home, "haproxy", "HAProxy, role:master", proxies.REDIS_CHECK,
                            lines),
            proxies.router(self.home, self.primary, protocol="redis",
                           server=server_lines(*self.servers),
                           sentinel=[s.text for s in self.cluster.sentinels],
                           sentinel_master=MASTER),
        ]

    def writers(self, address, **options):
        return Writers(address, rate=self.rate, timeout=TIMEOUT, **options)

    def watchers(self):
        return [Watcher(lambda s=s: s.connect(2), lambda c, s=s: self._claims(c) and s)
                for s in self.candidates()]

    @staticmethod
    def _claims(connection):
        return "\nrole:master" in connection.call("INFO", "replication")

    def evidence(self):
        return Watcher(lambda: Each([s.connect(2) for s in self.cluster.sentinels]),
                       self._majority, 0.002)

    def _majority(self, connections):
        said = [tuple(c.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER))
                for c in connections.connections]
        address, votes = collections.Counter(said).most_common(1)[0]
        return votes > len(said) // 2 and int(address[1]) != self.primary.port and address

    def switch(self):
        self.later(self.cluster.failover)

    def aftermath(self):
        """Sentinel tells the old primary in its own time, which is after four greetings."""
        if self.primary.process.running():
            until(lambda: self.primary.role() == "slave", "the old primary to follow", 30)

    def data(self, successor):
        assert self.cluster.elected() is successor, "there was another failover"
        return successor.data()


class MariaDBStage(Stage):
    title = "MariaDB, two replicas"

    def __init__(self, home):
        super().__init__(home)
        self.cluster = mariadb.replicated(home)
        self.servers = self.cluster.servers
        self.primary = self.cluster.primary
        self.primary.add_user("haproxy")
        for server in self.candidates():
            server.wait_caught_up(self.primary)

    def fronts(self):
        agents = [self.home.keep(proxies.ReadOnlyAgent(s)) for s in self.servers]
        backup = [f"{s.name} {s.text} check" + (" backup" if s is not self.primary else "")
                  for s in self.servers]
        asked = [f"{s.name} {s.text} check port {a.port}" for s, a in zip(self.servers, agents)]
        return [
            proxies.haproxy(self.home, "haproxy", "HAProxy, mysql-check and backup",
                            proxies.MYSQL_CHECK.format(user="haproxy"), backup),
            proxies.haproxy(self.home, "agent", "HAProxy, read_only by an agent",
                            proxies.HTTP_CHECK.format(path="/"), asked),
            proxies.router(self.home, self.primary, protocol="mysql",
                           server=server_lines(*self.servers), probe_user=mariadb.PROBER[0],
                           probe_password=mariadb.PROBER[1]),
        ]

    def writers(self, address, **options):
        return SqlWriters(address, MySQLDialect(), rate=self.rate, timeout=TIMEOUT, **options)

    def watchers(self):
        return [Watcher(lambda s=s: mariadb.connect(unix=s.unix),
                        lambda c, s=s: self._claims(c) and s, 0.002)
                for s in self.candidates()]

    @staticmethod
    def _claims(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.read_only")
            return cursor.fetchone() == (0,)

    def kill(self):
        self.later(self._replace)
        super().kill()

    def stop(self):
        self.later(self._replace)
        super().stop()

    def _replace(self):
        """The operator's script: who has most is promoted, the other one follows it."""
        time.sleep(OPERATOR_SECONDS)
        best, other = sorted(self.candidates(), key=self._position, reverse=True)
        best.promote()
        other.follow(best)

    @staticmethod
    def _position(server):
        return int(server.gtid().rsplit("-", 1)[1])

    def switch(self):
        self.later(self._hand_over)

    def _hand_over(self):
        old, new, third = self.servers
        old.demote()
        new.wait_caught_up(old)
        new.promote()
        third.follow(new)
        old.follow(new)

    def aftermath(self):
        """Nobody tells the old primary but an operator."""
        if self.primary.running() and self.primary.value("SELECT @@GLOBAL.read_only") == 0:
            time.sleep(RETURN_SECONDS)
            self.primary.demote()

    def data(self, successor):
        return successor.data()


class PatroniStage(Stage):
    title = "PostgreSQL, Patroni and etcd"
    evidence_title = "Patroni's leader lock"

    def __init__(self, home):
        super().__init__(home)
        self.rate = 25  # a new connection costs the server and the client much here
        self.cluster = patroni.three_nodes(home)
        self.servers = self.cluster.nodes
        self.primary = self.cluster.wait_leader()

    def fronts(self):
        lines = [f"{n.name} {n.text} check port {n.rest_port}" for n in self.servers]
        return [
            proxies.haproxy(self.home, "haproxy", "HAProxy, OPTIONS /primary",
                            proxies.HTTP_CHECK.format(path="/primary"), lines),
            proxies.router(self.home, self.primary, protocol="pgsql",
                           server=server_lines(*self.servers), patroni=self.primary.rest_port,
                           probe_user=postgres.PROBER[0], probe_password=postgres.PROBER[1]),
        ]

    def writers(self, address, **options):
        return SqlWriters(address, PostgresDialect(), rate=self.rate, timeout=TIMEOUT, **options)

    def watchers(self):
        return [Watcher(lambda n=n: postgres.connect(n.port, n.directory, "postgres"),
                        lambda c, n=n: self._claims(c) and n, 0.003)
                for n in self.candidates()]

    @staticmethod
    def _claims(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT NOT pg_is_in_recovery()")
            return cursor.fetchone()[0]

    def evidence(self):
        return Watcher(lambda: Each([]), lambda _: self._locked(), 0.01)

    def _locked(self):
        return any(n.rest("GET", "/primary", timeout=1.0)[0] == 200 for n in self.candidates())

    def switch(self):
        self.later(lambda: self.cluster.switchover(self.candidates()[0]))

    def aftermath(self):
        """Patroni makes a standby of it, if it lives."""
        if self.primary.patroni_running():
            until(self._demoted, "the old primary to follow", 40)

    def _demoted(self):
        try:
            return self.primary.sql("SELECT pg_is_in_recovery()") == [(True,)]
        except psycopg2.Error:
            return False

    def data(self, successor):
        assert self.cluster.leader() is successor, "there was another failover"
        return successor.data()


STAGES = {"redis": RedisStage, "mariadb": MariaDBStage, "pgsql": PatroniStage}
