"""A Galera cluster of real MariaDB servers on the loopback."""
import atexit
import os
import re
import shutil
import tempfile
import threading

import pymysql

from lib import mariadb
from lib.clusters import NotInstallable
from lib.mariadb import Group, MariaDB
from lib.process import Process, free_port
from lib.waiting import until

PROVIDER = "/usr/lib/galera/libgalera_smm.so"
HERE = os.path.dirname(os.path.abspath(__file__))  # of wsrep_sst_loopback
POSITION = re.compile(r"Recovered position:\s*(\S+)")

# A node counts as lost after a second instead of five.
FAST = ("evs.keepalive_period=PT0.2S", "evs.inactive_check_period=PT0.1S",
        "evs.suspect_timeout=PT1S", "evs.inactive_timeout=PT3S", "evs.install_timeout=PT3S",
        "gcache.size=16M", "gcs.fc_limit=1000", "pc.announce_timeout=PT1S")

_template_lock = threading.Lock()
_template = []


def template():
    """Data of a node that was alone once and ended cleanly: all nodes are born as copies, with the
    same position in the same history, so that nobody needs a copy of another's data."""
    with _template_lock:
        if not _template:
            _template.append(_make_template())
        return _template[0]


def _make_template():
    if not os.path.exists(PROVIDER):
        raise NotInstallable("galera-4 is not installed")
    place = tempfile.mkdtemp(prefix="router-galera-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    first = Node(place, "first", 1, source=mariadb.template)
    first.configure([first])
    try:
        first.bootstrap()
        first.wait_synced()
        first.stop()
    finally:
        first.close()
    for name in ("galera.cache", "gvwstate.dat"):
        if os.path.exists(os.path.join(first.data_directory, name)):
            os.unlink(os.path.join(first.data_directory, name))
    return first.data_directory


class Node(MariaDB):
    def __init__(self, directory, name, server_id, options=None, source=template):
        self.group_port = free_port()
        self.ist_port = free_port()
        self.extra = dict(options or {})
        super().__init__(directory, name, server_id, source=source)

    def configure(self, nodes):
        """Tells it of all nodes, itself among them, before it starts."""
        provider = [f"base_host=127.0.0.1;base_port={self.group_port}",
                    f"gmcast.listen_addr=tcp://127.0.0.1:{self.group_port}",
                    f"ist.recv_addr=127.0.0.1:{self.ist_port}", *FAST]
        members = ",".join(f"127.0.0.1:{node.group_port}" for node in nodes)
        self.options = {
            "wsrep-on": "1", "wsrep-provider": PROVIDER, "wsrep-cluster-name": "router-test",
            "wsrep-cluster-address": f"gcomm://{members}", "wsrep-node-name": self.name,
            "wsrep-node-address": f"127.0.0.1:{self.group_port}",
            "wsrep-node-incoming-address": self.text, "wsrep-sst-method": "loopback",
            "wsrep-provider-options": '"' + ";".join(provider) + '"',
            "innodb-autoinc-lock-mode": "2", "log-bin": False, "log-slave-updates": False,
            "gtid-strict-mode": False, **self.extra}

    def bootstrap(self, wait=True):
        """Starts as the first of a cluster."""
        return self.start(wait, ["--wsrep-new-cluster"])

    def start_again(self, wait=True):
        """Joins again after kill() or stop(). What it missed it gets from the others' caches; as
        systemd's unit does, we ask for the position of its data first."""
        return self.start(wait, [f"--wsrep-start-position={self.recovered_position()}"])

    def recovered_position(self):
        """uuid:number of the last transaction in the data of a node that is down."""
        log = os.path.join(self.directory, "recovery.err")
        argv = ["mariadbd", f"--defaults-file={self._write_config()}", "--wsrep-recover",
                f"--log-error={log}"]
        if os.path.exists(log):
            os.unlink(log)
        process = Process(argv, os.path.join(self.directory, "log"), env=self.environment())
        try:
            process.wait(30)
        finally:
            process.kill()
        with open(log, encoding="utf-8", errors="replace") as file:
            found = POSITION.findall(file.read())
        assert found, f"{self.name} has no position:\n{process.log[-2000:]}"
        return found[-1]

    def environment(self):
        return {**os.environ, "PATH": f"{HERE}:{mariadb.PATH}"}

    # Its own word.

    def status(self, name):
        """Of a wsrep_ variable without its prefix."""
        rows = self.sql("SHOW GLOBAL STATUS LIKE %s", f"wsrep_{name}")
        return rows[0][1] if rows else None

    def synced(self):
        """In the primary component and up to date."""
        return self.status("cluster_status") == "Primary" and self.state() == "Synced"

    def state(self):
        """Synced, Donor/Desynced, Joining, Initialized ..."""
        return self.status("local_state_comment")

    def size(self):
        """Nodes in its component, by its own word."""
        return int(self.status("cluster_size"))

    def answers(self):
        """Also while it is in no primary component and refuses what reads tables."""
        if not self.process.running():
            raise AssertionError(f"{self.name} ended:\n{self.process.log[-4000:]}")
        try:
            return self.status("ready") is not None
        except pymysql.MySQLError:
            return False

    def wait_synced(self, size=None, timeout=30.0):
        """In a primary component (of so many nodes)."""
        until(lambda: self.answers() and self.synced() and size in (None, self.size()),
              f"{self.name} to be synced", timeout)

    def wait_non_primary(self):
        until(lambda: self.status("cluster_status") == "non-Primary",
              f"{self.name} to be outside of the primary component", 20)

    def wait_caught_up(self, other):
        until(lambda: self.status("last_committed") == other.status("last_committed"),
              f"{self.name} to catch up", 20)

    def fingerprint(self):
        return (super().fingerprint(), self.synced(), self.size(), self.status("last_committed"))

    # Moods and faults.

    def desync(self, on=True):
        """Donor/Desynced: it takes part, and may lag behind without slowing the others."""
        self.sql(f"SET GLOBAL wsrep_desync = {int(on)}")

    def reject_queries(self, how="ALL"):
        """NONE, ALL, or ALL_KILL, which ends the connections that are there."""
        self.sql(f"SET GLOBAL wsrep_reject_queries = {how}")

    def isolate(self, on=True):
        """A network partition around it; it answers its clients all the while."""
        self.sql(f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={int(on)}'")

    def declare_primary(self):
        """Makes the component of a node that is non-Primary the primary one."""
        self.sql("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'")

    def bootstrap_again(self, wait=True):
        """After kill() or stop() of all nodes: the first of the same cluster, with its data."""
        position = self.recovered_position()
        path = os.path.join(self.data_directory, "grastate.dat")
        with open(path, encoding="ascii") as file:
            text = file.read()
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))
        return self.start(wait, ["--wsrep-new-cluster", f"--wsrep-start-position={position}"])


class Galera(Group):
    """Nodes that all take writes."""

    def __init__(self, home, names=("a", "b", "c"), options=None):
        directory = home.directory("galera")
        nodes = [home.keep(Node(directory, name, n, options)) for n, name in enumerate(names, 1)]
        for node in nodes:
            node.configure(nodes)
        super().__init__(nodes)

    @property
    def nodes(self):
        return self.servers

    def _birth(self):
        """One after the other: nodes that join at once get in each other's way for seconds."""
        self.nodes[0].bootstrap()
        for number, node in enumerate(self.nodes[1:], 2):
            node.start(wait=False)
            node.wait_synced(number)
        self.wait_synced()

    def wait_synced(self, *nodes):
        """All of them, or these, see each other and are in the primary component."""
        for node in nodes or self.nodes:
            node.wait_synced(len(nodes or self.nodes))

    def bootstrap_again(self):
        """After all were killed: from the node that has most, as one does by hand."""
        order = sorted(self.nodes, key=lambda n: -int(n.recovered_position().split(":")[1]))
        order[0].bootstrap_again()
        for number, node in enumerate(order[1:], 2):
            node.start_again(wait=False)
            node.wait_synced(number)
        self.wait_synced()


def galera(home):
    """For clusters.fixture()."""
    return Galera(home)
