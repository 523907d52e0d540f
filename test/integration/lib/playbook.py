"""Three real Redis servers, a router and a steady writer: what the failover tests play on."""
import time

from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.sockets import local
from lib.writers import compare

NATURAL_SECONDS = 1.0  # replication that works loses only what was written just before the fault


class Stage:
    """`a` is the primary, the others follow it, unless `replicas` is False."""

    def __init__(self, home, names=("a", "b", "c"), replicas=True, writers=True, start=True,
                 redis_options=None, writer_options=None, workers=2, router_keys=None, **keys):
        self.home = home
        self.servers = home.redis_group(*names, replicas=replicas, **(redis_options or {}))
        self.port = free_port()
        self.address = local(self.port)
        self.sections = frontend("write", self.port) + redis_backend(*self.servers, **keys)
        self.workers = workers
        self.router_keys = router_keys or {}
        self.writer_options = writer_options or {}
        self.router = None
        self.writers = None
        self.fault_at = None
        if start:
            self.start_router()
            self.router.wait_primary(names[0])
            self.router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]),
                                 "all servers up")
            if writers:
                self.start_writers()

    def start_router(self, wait=True):
        self.router = self.home.router(self.sections, workers=self.workers, start=wait,
                                       **self.router_keys)
        if not wait:
            self.router.start(wait=False)
        return self.router

    def start_writers(self, wait=True):
        """The second ones continue the first ones' list, with keys of their own."""
        before = self.writers.acknowledged if self.writers else []
        self.writers = self.home.writers(self.address, prefix=f"k{len(before)}",
                                         **self.writer_options)
        self.writers.earlier = before
        if wait:
            self.wait_writes(20)

    def wait_writes(self, count, by=None, timeout=10.0):
        """Until so many more writes were acknowledged (by one server)."""
        self.router.wait_for(self._more(count, by), f"{count} writes by {by and by.name}", timeout)

    def _more(self, count, by):
        since = time.monotonic()
        return lambda _stats: len(self.writers.acked(by, since)) >= count

    def fault(self):
        """Notes the time: the writes acknowledged well before it must survive."""
        self.fault_at = time.monotonic()

    def written_by(self, server):
        return self.writers.acked(server)

    def verdict(self, **expected):
        return self.router.wait_for(
            lambda s: all(s.backend()[key] == value for key, value in expected.items()),
            f"the verdict {expected}", 10)

    def gone(self, server):
        """Until the router has seen that the primary is away and holds."""
        return self.router.wait_for(lambda s: s.server(server.name)["state"] == "down"
                                    and s.backend()["verdict"] != "primary",
                                    f"{server.name} to be gone", 5)

    def curtain(self, last_primary):
        """Stops the writers and reads every key everywhere: nothing may be lost but what the
        servers' own replication lost, and no fenced server may have acknowledged anything."""
        self.writers.stop()
        self.writers.acknowledged = self.writers.earlier + self.writers.acknowledged
        others = [s for s in self.servers if s is not last_primary and s.process.running()]
        report = compare(self.writers, last_primary, others)
        print(report.verdict())
        report.check()
        if self.fault_at:
            early = [w for w in report.lost if w.sent < self.fault_at - NATURAL_SECONDS]
            assert early == [], "lost, though they had long been replicated"
        return report
