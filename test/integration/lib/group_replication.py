"""MySQL Group Replication with one primary, whose members can be isolated from each other.

The group talks through the servers' own ports (communication stack MYSQL) and by names. Each member
has an /etc/hosts of its own, in which the others' names are addresses of links that can be cut."""
from lib.links import Link
from lib.mariadb import REPLICATION, connect
from lib.mysql import MySQL, Undoing
from lib.process import free_port
from lib.waiting import until

GROUP = "5a1e0000-0000-4000-8000-000000000001"
LONG = 60.0  # seconds; START GROUP_REPLICATION took up to 13

# The detector needs 5 s of silence whatever the options say; expulsion comes a second later.
OPTIONS = {"plugin-load-add": "group_replication.so"}
OPTIONS.update({f"loose-group-replication-{key}": value for key, value in {
    "group-name": GROUP, "start-on-boot": "OFF", "communication-stack": "MYSQL",
    "member-expel-timeout": "0", "autorejoin-tries": "0", "recovery-get-public-key": "ON",
    "recovery-reconnect-interval": "1", "ip-allowlist": "127.0.0.0/8",
    "message-cache-size": "134217728"}.items()})


class Member(MySQL):
    def members(self):
        """{port: (state, role)} in its own words. A member that is in no group tells of itself."""
        rows = self.sql("SELECT MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE"
                        " FROM performance_schema.replication_group_members")
        return {port: (state, role) for port, state, role in rows}

    def itself(self):
        """(state, role)"""
        return self.members().get(self.port, ("OFFLINE", ""))

    def majority(self):
        """Whether it reaches one, as it thinks."""
        states = [state for state, _ in self.members().values()]
        return sum(s in ("ONLINE", "RECOVERING") for s in states) * 2 > len(states)

    def view(self):
        """The number of its view, which grows: two members with the same number agree."""
        view = self.value("SELECT VIEW_ID FROM performance_schema.replication_group_member_stats")
        return int(view.rpartition(":")[2]) if view else 0

    def fingerprint(self):
        return (*super().fingerprint(), self.members())

    def join(self, bootstrap=False):
        """Starts it if it does not run; it leaves the group if it still thinks that it is in it."""
        if not self.running():
            self.start()
        with connect(unix=self.unix, timeout=LONG) as connection:
            with connection.cursor() as cursor:
                cursor.execute("STOP GROUP_REPLICATION")
                cursor.execute("SET GLOBAL offline_mode = 0")  # an expelled member's
                cursor.execute("SET GLOBAL group_replication_bootstrap_group = %s", int(bootstrap))
                cursor.execute("START GROUP_REPLICATION USER = %s, PASSWORD = %s", REPLICATION)
                cursor.execute("SET GLOBAL group_replication_bootstrap_group = 0")


class GroupReplication(Undoing):
    """The first is the primary when it is new."""

    def __init__(self, home, names=("a", "b", "c"), options=None):
        directory = home.directory("group")
        ports = {name: free_port() for name in names}
        self.links = {}  # (from, to): Link
        servers = []
        for n, name in enumerate(names, 1):
            hosts = {f"127.0.{n}.{m}": other for m, other in enumerate(names, 1) if other != name}
            for address, other in hosts.items():
                self.links[name, other] = home.keep(
                    Link((address, ports[other]), ("127.0.0.1", ports[other])))
            lines = [f"{address} {other}.group" for address, other in hosts.items()]
            text = "\n".join(["127.0.0.1 localhost", f"127.0.0.1 {name}.group", *lines, ""])
            own = {"loose-group-replication-local-address": f"{name}.group:{ports[name]}",
                   "loose-group-replication-group-seeds": ",".join(
                       f"{other}.group:{port}" for other, port in ports.items())}
            servers.append(home.keep(Member(
                directory, name, server_id=n, port=ports[name], hosts=text,
                options={**OPTIONS, **own, **(options or {})})))
        super().__init__(servers)

    def _birth(self):
        self.mend()
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_up()
        for server in self.servers:
            server.join(bootstrap=server is self.servers[0])
        self.wait_online()

    def _as_born(self):
        return all(link.whole for link in self.links.values()) and super()._as_born()

    def primary(self):
        """Of the newest view, None if there is none. Ask when all that run answer."""
        seen = [(s.view(), s.name) for s in self.servers if s.running() and s.majority()]
        if not seen:
            return None
        members = self.server(max(seen)[1]).members()
        return next((s for s in self.servers if members.get(s.port) == ("ONLINE", "PRIMARY")), None)

    def wait_online(self, *servers):
        """Until all of the group (or those) see each other online, and nobody else."""
        servers = servers or self.servers
        ports = {server.port for server in servers}
        for server in servers:
            until(lambda: {port for port, (state, _) in server.members().items()
                           if state == "ONLINE"} == ports == set(server.members()),
                  f"{server.name} to see all online", LONG)

    def wait_primary(self, *candidates):
        """Until one of them (or of all) is the primary and writable. Returns it."""
        def found():
            primary = self.primary()
            fit = primary in (candidates or self.servers)
            return primary if fit and not primary.value("SELECT @@super_read_only") else None

        return until(found, "the group to have a primary", LONG)

    def switch(self, server):
        """A planned change of the primary: it waits for running transactions."""
        with connect(unix=server.unix, timeout=LONG) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT group_replication_set_as_primary(@@server_uuid)")
        assert self.wait_primary(server) is server

    def isolate(self, server):
        """Silence between it and the other members. Clients still reach it."""
        for ends, link in self.links.items():
            if server.name in ends:
                link.cut()

    def mend(self):
        """Whole again; expelled members do not come back by themselves: join()."""
        for link in self.links.values():
            link.mend()


def three_members(home):
    """For clusters.fixture()."""
    return GroupReplication(home)
