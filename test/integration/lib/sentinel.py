"""Redis servers that real Sentinels watch."""
import collections
import hashlib
import os

from lib.process import Process
from lib.redis_server import Redis, link
from lib.resp import Closed
from lib.waiting import until

MASTER = "mymaster"  # as the Sentinels call the group
QUORUM = 2

# Sentinel's own periods are made for production: it pings each second, greets the others every two.
# A replica is fit to be promoted if it answered INFO within five pings; it is asked each second.
PERIODS = {"ping-period": 300, "publish-period": 300, "ask-period": 300, "info-period": 500,
           "min-link-reconnect-period": 500}
DOWN_AFTER_MS = 1000
FAILOVER_TIMEOUT_MS = 3000  # a failed attempt is repeated after twice that


def pairs(items):
    """What SENTINEL MASTER answers, as a dictionary."""
    return dict(zip(items[::2], items[1::2]))


class Watchable(Redis):
    """Its kept connection may be dead: Sentinels cut all of a server to which they give a role."""

    def call(self, *args):
        try:
            return super().call(*args)
        except (ConnectionResetError, BrokenPipeError, Closed):
            return super().call(*args)

    def forget(self):
        """A replica keeps a file of what it was sent, and would load it, while it does not run."""
        dump = os.path.join(self.directory, "dump.rdb")
        if os.path.exists(dump):
            os.unlink(dump)


class Sentinel(Redis):
    """One process. It starts with the knowledge it would otherwise gather in seconds."""

    def __init__(self, directory, name, **options):
        super().__init__(directory, name, **options)
        self.myid = hashlib.sha1(f"{name} {self.port}".encode()).hexdigest()
        self.path = os.path.join(self.directory, "sentinel.conf")

    def learn(self, servers, sentinels, down_after=DOWN_AFTER_MS):
        """Writes its configuration: servers[0] is the primary."""
        primary, replicas = servers[0], servers[1:]
        lines = [f"port {self.port}", "bind 127.0.0.1", "protected-mode no",
                 f"dir {self.directory}", f"sentinel myid {self.myid}",
                 f"sentinel monitor {MASTER} 127.0.0.1 {primary.port} {QUORUM}",
                 f"sentinel down-after-milliseconds {MASTER} {down_after}",
                 f"sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}",
                 f"sentinel parallel-syncs {MASTER} {len(replicas) or 1}"]
        if self.password:
            lines.append(f"requirepass {self.password}")
        if primary.password:
            lines.append(f"sentinel auth-pass {MASTER} {primary.password}")
        lines += [f"user {line}" for line in self.acl or ()]
        lines += [f"sentinel known-replica {MASTER} 127.0.0.1 {r.port}" for r in replicas]
        lines += [f"sentinel known-sentinel {MASTER} 127.0.0.1 {s.port} {s.myid}"
                  for s in sentinels if s is not self]
        with open(self.path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def start(self, wait=True):
        """With what it last knew: a Sentinel keeps its configuration file itself."""
        self.process = Process(["redis-server", self.path, "--sentinel"],
                               os.path.join(self.directory, "log"))
        if wait:
            self.wait_up()
        return self

    def wait_up(self):
        super().wait_up()
        for period, value in PERIODS.items():
            self.ok("SENTINEL", "DEBUG", period, value)

    # Its word.

    def address_of_primary(self):
        """(host, port), or None; asked as clients do."""
        answer = self.ok("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return answer and (answer[0], int(answer[1]))

    def master(self):
        return pairs(self.ok("SENTINEL", "MASTER", MASTER))

    def replicas(self):
        return [pairs(items) for items in self.ok("SENTINEL", "REPLICAS", MASTER)]

    def others(self):
        return [pairs(items) for items in self.ok("SENTINEL", "SENTINELS", MASTER)]

    def content(self, replicas, sentinels):
        """Whether it could lead a failover now."""
        said = self.replicas()
        return (self.master()["flags"] == "master" and len(said) == replicas
                and all(r["flags"] == "slave" and r["master-link-status"] == "ok" for r in said)
                and [s["flags"] for s in self.others()] == ["sentinel"] * (sentinels - 1))

    def simulate(self, *moments):
        """It dies when it leads a failover: crash-after-election, crash-after-promotion."""
        self.ok("SENTINEL", "SIMULATE-FAILURE", *moments)


class Watched:
    """`r1` is the primary, r2 and r3 follow it, s1 to s3 watch them."""

    server_kind = Watchable
    sentinel_kind = Sentinel

    def __init__(self, home, servers=3, sentinels=3):
        directory = home.directory("sentinel")
        self.servers = [home.keep(self.server_kind(directory, f"r{n}"))
                        for n in range(1, servers + 1)]
        self.sentinels = [home.keep(self.sentinel_kind(directory, f"s{n}"))
                          for n in range(1, sentinels + 1)]
        self.born = None
        self._birth()

    @property
    def primary(self):
        """Of the first layout."""
        return self.servers[0]

    def server(self, name):
        return next(s for s in self.servers if s.name == name)

    def _birth(self):
        for server in self.servers:
            server.replicaof = None
            server.forget()
            server.start(wait=False)
        for server in self.servers:
            server.wait_up()
        link(*self.servers)
        self._watch()
        self.born = self._fingerprint()

    def _watch(self, **settings):
        for sentinel in self.sentinels:
            sentinel.learn(self.servers, self.sentinels, **settings)
            sentinel.start(wait=False)
        for sentinel in self.sentinels:
            sentinel.wait_up()
        self.wait_content()

    def watch_again(self, requirepass=None, acl=None, **settings):
        """New Sentinels on the old ports: requirepass, acl ("name on >word +@all"), down_after."""
        for sentinel in self.sentinels:
            sentinel.close()
            sentinel.password = requirepass
            sentinel.acl = acl
        self._watch(**settings)

    def wait_content(self):
        """Until every Sentinel knows all and finds them well."""
        count = len(self.servers) - 1
        for sentinel in self.sentinels:
            until(lambda s=sentinel: s.content(count, len(self.sentinels)),
                  f"{sentinel.name} to be content", 20)

    # What they say together.

    def elected(self):
        """The server that a majority of all Sentinels names, or None."""
        votes = collections.Counter()
        for sentinel in self.sentinels:
            try:
                votes[sentinel.address_of_primary()] += 1
            except (OSError, AssertionError):
                continue
        address, count = (votes.most_common(1) or [(None, 0)])[0]
        if count <= len(self.sentinels) // 2:
            return None
        return next((s for s in self.servers if s.address == address), None)

    def failover(self):
        """Forced through one Sentinel, without the agreement of the others."""
        for sentinel in self.sentinels:
            if sentinel.process.running():
                sentinel.ok("SENTINEL", "FAILOVER", MASTER)
                return
        raise AssertionError("no Sentinel runs")

    def wait_failover(self, old, timeout=20.0):
        """Until a majority names another server, which says so itself. That server."""
        def done():
            new = self.elected()
            return new and new is not old and new.role() == "master" and new
        return until(done, f"a successor of {old.name}", timeout)

    # As new.

    def _fingerprint(self):
        return [self._server_print(s) for s in self.servers] + [
            (s.process.pid, s.password, s.address_of_primary(), s.master()["config-epoch"],
             s.master()["down-after-milliseconds"], s.ok("ACL", "LIST")) for s in self.sentinels]

    @staticmethod
    def _server_print(server):
        info = server.info()
        return (server.process.pid, info["role"], info.get("master_port"), info["master_replid"],
                server.ok("CONFIG", "GET", "*"), server.ok("ACL", "LIST"), server.ok("DBSIZE"))

    def _as_born(self):
        if not all(x.process.running() for x in self.servers + self.sentinels):
            return False
        try:
            count = len(self.servers) - 1
            return self._fingerprint() == self.born and all(
                s.content(count, len(self.sentinels)) for s in self.sentinels)
        except (OSError, AssertionError):
            return False

    def reset(self):
        """As new: nothing to do, or all start again on their old ports."""
        for thing in self.servers + self.sentinels:
            thing.resume()
        if self._as_born():
            return
        for thing in self.sentinels + self.servers:
            thing.close()
            thing.password = None
            thing.acl = None
        self._birth()


def watched(home):
    """For clusters.fixture()."""
    return Watched(home)
