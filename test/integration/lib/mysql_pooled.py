"""A router that pools before a MariaDB or an Oracle MySQL, and both ways to its servers."""
import collections

from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mariadb import PROBER
from lib.mysql_people import ALL, SERVER_NAME
from lib.process import free_port

# Of SHOW SESSION VARIABLES: what is of a connection or a moment.
VOLATILE = {"timestamp", "rand_seed1", "rand_seed2", "pseudo_thread_id", "statement_id",
            "gtid_executed", "gtid_binlog_pos", "gtid_binlog_state", "gtid_current_pos",
            "last_gtid", "warning_count", "error_count"}
DIRECT, SESSION, TRANSACTION = "direct", "session", "transaction"
MODES = (SESSION, TRANSACTION)


class Kind(collections.namedtuple("Kind", "people mode")):
    """A parameter of tests."""

    @property
    def cluster(self):
        return self.people.cluster

    def __str__(self):
        return f"{self.people.name}-{self.mode}"


KINDS = [Kind(people, mode) for mode in MODES for people in ALL]
# For what does not depend on the mode, or is compared byte by byte.
SESSION_KINDS = [kind for kind in KINDS if kind.mode == MODES[0]]
TLS_NAMES = {(False, False): "plain", (True, False): "tls-to-us", (False, True): "tls-to-server",
             (True, True): "tls"}


def settings(client):
    """All that a session is like, but for what the router's own trackers are."""
    client.query("SET character_set_results = utf8mb4")
    client.query("SET sql_select_limit = DEFAULT")
    told = dict(client.rows("SHOW SESSION VARIABLES"))
    return {name: value for name, value in told.items()
            if name not in VOLATILE and not name.startswith("session_track_")}


def backend(server, name="b", people=None, **keys):
    """people: with TLS to their server."""
    keys = {**FAST_PROBES, "probe_user": PROBER[0], "probe_password": PROBER[1], **keys}
    if people:
        keys = {"tls": "yes", "tls_ca": people.authority.ca, "tls_server_name": SERVER_NAME, **keys}
    return section(f"backend {name}", protocol="mysql", server=servers(server), **keys)


class PooledMySQL:
    """keys: the backends'. The frontends take clients with TLS and without; that of `address` is
    before servers without, that of `secure_address` before the same server with TLS."""

    def __init__(self, home, people, mode, of_frontend=None, of_router=None, **keys):
        self.people, self.mode, self.server = people, mode, people.server
        if mode == DIRECT:
            self.router = None
            self.address = self.secure_address = people.server.address
            return
        leaf = people.authority.leaf(names=[SERVER_NAME], ips=["127.0.0.1"])
        ports = free_port(), free_port()
        self.address, self.secure_address = [("127.0.0.1", port) for port in ports]
        common = {"pool_mode": mode, "tls": "yes", "tls_cert": leaf.pem, **(of_frontend or {})}
        self.sections = (frontend("f", ports[0], **common)
                         + frontend("s", ports[1], backend="bs", **common)
                         + backend(self.server, **keys)
                         + backend(self.server, "bs", people, **keys))
        self.router = home.router(self.sections, **(of_router or {}))
        for name in ("b", "bs"):
            self.router.wait_primary(people.server.name, name)

    def to(self, secure):
        return self.secure_address if secure else self.address

    def wait_left(self):
        """Until no client is there any more."""
        if self.router:
            self.router.wait_for(lambda s: s["router"]["sessions"] == 0, "all clients to be gone")

    def check(self):
        assert not self.router or self.router.process.running()
