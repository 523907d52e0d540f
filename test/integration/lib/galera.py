"""A Galera cluster of real MariaDB servers on the loopback."""
import os
import re
import signal

import pymysql

from lib.clusters import NotInstallable
from lib.mariadb import MariaDB, template
from lib.process import free_port
from lib.waiting import until

PROVIDER = "/usr/lib/galera/libgalera_smm.so"
POSITION = re.compile(r"Recovered position:\s*(\S+)")

# A node counts as dead after about a second instead of five; a slow machine is not a dead node.
FAST = ("evs.keepalive_period=PT0.2S", "evs.inactive_check_period=PT0.1S",
        "evs.suspect_timeout=PT1S", "evs.inactive_timeout=PT3S", "evs.install_timeout=PT3S",
        "pc.weight=1", "gcache.size=16M", "socket.ssl=no", "gcs.fc_limit=1000")

# All nodes are born with the same history, so that nobody needs a copy of another's data.
STATE = """# GALERA saved state
version: 2.1
uuid:    5d0ca1de-1ab0-11ee-be56-0242ac120002
seqno:   1
safe_to_bootstrap: 1
"""


class Node(MariaDB):
    def __init__(self, directory, name, server_id, options=None):
        self.group_port = free_port()
        self.ist_port = free_port()
        self.sst_port = free_port()
        self.others = []
        super().__init__(directory, name, server_id, options)

    def refill(self):
        super().refill()
        with open(os.path.join(self.data_directory, "grastate.dat"), "w", encoding="ascii") as file:
            file.write(STATE)

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
            "wsrep-node-incoming-address": self.text,
            "wsrep-sst-method": "rsync", "wsrep-sst-receive-address": f"127.0.0.1:{self.sst_port}",
            "wsrep-provider-options": '"' + ";".join(provider) + '"',
            "innodb-autoinc-lock-mode": "2", "gtid-strict-mode": "0", "wsrep-retry-autocommit": "0",
            **self.options}

    def bootstrap(self, wait=True):
        """Starts as the first of a cluster."""
        return self.start(wait, ["--wsrep-new-cluster"])

    def start_again(self, wait=True):
        """Joins again after kill() or stop(). What it missed it gets from the others' caches: as
        systemd's unit does, we ask for the position of its data first."""
        return self.start(wait, [f"--wsrep-start-position={self._position()}"])

    def _position(self):
        with open(os.path.join(self.directory, "recovery"), "w+b") as log:
            self.process = self._recovery(log.name)
            assert self.process.wait(30) == 0, self.process.log
        return POSITION.findall(self.process.log)[-1]

    # Its own word.

    def status(self, name):
        """Of a wsrep_ variable without its prefix."""
        rows = self.sql("SHOW GLOBAL STATUS LIKE %s", f"wsrep_{name}")
        return rows[0][1] if rows else None
