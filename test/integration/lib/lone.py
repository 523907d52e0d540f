"""Servers of three families that are alone, for tests of how a probe logs in: a test may change
accounts and passwords there without anybody starting again."""
from lib import mariadb, postgres
from lib.ini import FAST_PROBES, section, servers as server_lines
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.pg_writers import PostgresDialect
from lib.postgres import Postgres, give_away, run_openssl
from lib.sql_writers import MySQLDialect

ACCOUNT = ("rotated", "of the first day")
SELF_SIGNED_NAME = "localhost"  # run_openssl()'s


class Lone:
    protocol = "mysql"
    prober = mariadb.PROBER
    dialect = MySQLDialect()

    def __init__(self, home):
        self.home = home
        self.directory = home.directory(self.name)
        self.server = self._start()

    def _start(self):
        raise NotImplementedError

    def backend(self, account=None, name="b", **keys):
        """account=None: one with the privileges that the probe needs."""
        user, password = account or self.prober
        given = {"probe_user": user}
        if password and "probe_password_file" not in keys:
            given["probe_password"] = password
        return section(f"backend {name}", protocol=self.protocol, server=server_lines(self.server),
                       **{**FAST_PROBES, **given, **keys})

    def add_account(self, user, password):
        raise NotImplementedError

    def set_password(self, user, password):
        self.server.set_password(user, password)

    def ca(self):
        """What signed its certificate, and the name in that."""
        raise NotImplementedError


class LoneMariaDB(Lone):
    name = "mariadb"
    grant = "SLAVE MONITOR ON *.*"

    def _start(self):
        run_openssl(f"{self.directory}/cert.pem", f"{self.directory}/key.pem")
        options = {"ssl-cert": f"{self.directory}/cert.pem", "ssl-key": f"{self.directory}/key.pem"}
        return self.home.keep(MariaDB(self.directory, "m", options=options)).start()

    def add_account(self, user, password):
        self.server.add_user(user, password, grants=[self.grant])

    def ca(self):
        return f"{self.directory}/cert.pem", SELF_SIGNED_NAME


class LoneMySQL(Lone):
    name = "mysql"
    grant = "REPLICATION CLIENT ON *.*"
    dialect = MySQLDialect(returning=False)

    def _start(self):
        return self.home.keep(MySQL(self.directory, "m")).start()

    def add_account(self, user, password):
        self.server.add_user(user, password, grants=[self.grant])

    def ca(self):
        """MySQL makes them itself."""
        version = self.server.value("SELECT @@version").split("-")[0]
        name = f"MySQL_Server_{version}_Auto_Generated_Server_Certificate"
        return f"{self.server.data_directory}/ca.pem", name


class LonePostgreSQL(Lone):
    name = "postgresql"
    protocol = "pgsql"
    prober = postgres.PROBER
    dialect = PostgresDialect()

    def _start(self):
        give_away(self.directory)
        server = self.home.keep(Postgres(self.directory, "p"))
        server.refill()
        server.access.insert(0, f"host all {ACCOUNT[0]} 127.0.0.0/8 scram-sha-256")
        server.start()
        server.use_tls()
        return server

    def add_account(self, user, password):
        self.server.sql(f'DROP ROLE IF EXISTS "{user}"')
        self.server.sql(f'CREATE ROLE "{user}" LOGIN IN ROLE pg_monitor')
        self.server.set_password(user, password)

    def ca(self):
        return f"{self.server.data_directory}/server.crt", SELF_SIGNED_NAME


ALL = [LoneMariaDB, LoneMySQL, LonePostgreSQL]
