"""A PostgreSQL primary with its streaming standbys."""
import psycopg2

from lib.postgres import ACCESS, Postgres

FINGERPRINT = """SELECT pg_is_in_recovery(), pg_postmaster_start_time()::text,
    (SELECT array_agg(a::text ORDER BY oid) FROM pg_authid a),
    (SELECT array_agg(s::text) FROM pg_db_role_setting s),
    (SELECT array_agg(datname ORDER BY datname) FROM pg_database),
    (SELECT array_agg(relname ORDER BY oid) FROM pg_class WHERE oid >= 16384),
    (SELECT array_agg(name || setting ORDER BY name) FROM pg_settings
        WHERE name != 'password_encryption'),
    (SELECT count(*) FROM writes)"""


class Replicated:
    """Servers the first of which is the primary. What it learnt about itself when it was new
    tells reset() whether a test changed anything."""

    def __init__(self, home, names=("a", "b", "c"), options=None):
        directory = home.directory("postgres")
        self.options = options or {}
        self.servers = [home.keep(Postgres(directory, name)) for name in names]
        self.born = None
        self._birth()

    @property
    def primary(self):
        """Of the first layout."""
        return self.servers[0]

    @property
    def standbys(self):
        return self.servers[1:]

    def server(self, name):
        return next(s for s in self.servers if s.name == name)

    def promote_best(self):
        """As an operator does when the primary is dead: the running standby that has most is
        promoted and the others follow it. The new primary."""
        alive = [s for s in self.servers if s.running() and s.in_recovery()]
        best = max(alive, key=Postgres.received)
        best.promote()
        for server in alive:
            if server is not best:
                server.follow(best)
        return best

    def _birth(self):
        for server in self.servers:
            server.options = dict(self.options)
            server.access = list(ACCESS)
            server.refill()
            standby = server is not self.primary
            if standby:
                server.primary = self.primary
            server.start_again(standby, wait=False)
        for server in self.servers:
            server.wait_up()
        for server in self.standbys:
            server.wait_linked()
        self.born = [self._fingerprint(s) for s in self.servers]

    def _fingerprint(self, server):
        return server.access[:], server.timeline(), server.sql(FINGERPRINT)

    def _as_born(self):
        try:
            return all(s.running() and self._fingerprint(s) == born
                       for s, born in zip(self.servers, self.born))
        except psycopg2.Error:
            return False

    def reset(self):
        """As new: nothing to do, or all servers start again with new data on their old ports."""
        for server in self.servers:
            server.resume()
        if self._as_born():
            return
        for server in self.servers:
            server.close()
        self._birth()

    def add_user(self, name, password=None, method="scram-sha-256", attributes=""):
        """On all of them, through the present primary."""
        for server in self.servers:
            server.add_user(name, password, method, attributes)
        primary = next(s for s in self.servers if not s.in_recovery())
        for server in self.servers:
            if server is not primary:
                server.wait_caught_up(primary)


def replicated(home):
    """For clusters.fixture()."""
    return Replicated(home)
