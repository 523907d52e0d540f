"""One family of servers, a router before them and steady writers: what test_family_failover.py
plays on."""
import threading
import time

from lib.ini import frontend
from lib.process import free_port
from lib.sockets import local
from lib.sql_writers import SqlWriters
from lib.waiting import SLOW, until
from lib.writers import compare

NATURAL_SECONDS = 1.0  # replication that works loses only what was written just before the fault
ROUNDING_MS = 5  # of two ages that are told in whole ms; probes are at least 50 ms apart


class Both:
    """Writers that keep their connection and writers that take a new one every few writes."""

    def __init__(self, home, address, dialect):
        self.kept = home.keep(SqlWriters(address, dialect, prefix="kept", rate=100))
        self.renewed = home.keep(SqlWriters(address, dialect, prefix="new", count=2, rate=50,
                                            reconnect_every=5))
        self.all = (self.kept, self.renewed)

    def acked(self, by=None, since=0.0):
        return [write for writers in self.all for write in writers.acked(by, since)]

    def refused(self, since=0.0):
        return [text for writers in self.all for at, text in writers.refused if at >= since]

    def stop(self):
        for writers in self.all:
            writers.stop_event.set()
        for writers in self.all:
            writers.stop()


class Watch:
    """When a server began to take writes, by its own word."""

    def __init__(self, family, server):
        self.at = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(family, server), daemon=True)
        self.thread.start()

    def _run(self, family, server):
        while not self.over.is_set():
            try:
                asked = time.monotonic()
                if family.writable(server):
                    self.at = asked
                    return
            except Exception:  # it does not answer while it changes
                pass
            self.over.wait(0.002)

    def stop(self):
        self.over.set()
        self.thread.join(20)

    close = stop


class Stage:
    def __init__(self, home, family, router_keys=None, front=None, **keys):
        self.family = family
        self.primary = family.primary()
        port = free_port()
        self.router = home.router(frontend("write", port, **(front or {}))
                                  + family.backend(**keys), **(router_keys or {}))
        self.address = local(port)
        self.router.wait_primary(self.primary.name)
        self.router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]),
                             "all servers up")
        self.writers = Both(home, self.address, family.dialect)
        self.fault_at = None
        self.wait_writes(20, self.primary)

    def wait_writes(self, count, by, timeout=30.0):
        """Until so many more were acknowledged by that server, of both sorts of writers."""
        since = time.monotonic()
        until(lambda: all(len(w.acked(by, since)) >= count / 2 for w in self.writers.all),
              f"{count} writes by {by.name}", timeout)

    def fault(self):
        """Notes the time: the writes acknowledged well before it must survive."""
        self.fault_at = time.monotonic()

    def wait_asked(self, server, times=3):
        """Until the server has been probed so often from now on."""
        for _ in range(times):
            last = self._asked_at(self.router.stats(), server)
            self.router.wait_for(lambda s, t=last: self._asked_at(s, server) > t + ROUNDING_MS,
                                 f"{server.name} to be probed")

    @staticmethod
    def _asked_at(stats, server):
        """When its last probe ended, on the router's clock."""
        return stats["router"]["uptime_ms"] - stats.server(server.name)["probe_age_ms"]

    def acked_by_others(self, *primaries):
        ports = {server.port for server in primaries}
        return [write for write in self.writers.acked() if write.by not in ports]

    def wait_change(self, old, new, timeout=10.0):
        """The flight recorder's record that says that the writes went from one to the other, once
        somebody has written. There may be newer ones: a machine that is busy with other servers
        lets one be silent for a moment."""
        def found(stats):
            return next((c for c in stats["changes"] if c["from"] == old.name
                         and c["to"] == new.name and c["written_ms"] is not None), None)

        return found(self.router.wait_for(found, f"the change from {old.name} to {new.name}",
                                          timeout))

    def curtain(self, last_primary, nothing_lost=False):
        """Stops the writers and reads every key everywhere: nothing may be lost but what the
        servers' own replication lost, and no server that was succeeded may have acknowledged
        anything."""
        self.writers.stop()
        others = [s for s in self.family.servers
                  if s is not last_primary and self.family.readable(s)]
        report = compare(self.writers, last_primary, others)
        print(report.verdict())
        report.check()
        if self.fault_at:
            early = [w for w in report.lost if w.sent < self.fault_at - NATURAL_SECONDS * SLOW]
            assert early == [], "lost, though they had long been replicated"
        if nothing_lost or self.family.loses_nothing:
            assert report.lost == [], report.verdict()
        return report
