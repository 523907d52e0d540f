"""A MariaDB and an Oracle MySQL with TLS and accounts of every plugin at hand, which tests share. A
Login is what a client is told to do."""
import os
from typing import NamedTuple

from lib.certificates import Authority
from lib.mariadb import PROBER, MariaDB
from lib.mysql import MySQL
from lib.waiting import until

SERVER_NAME = "db.test"  # in the certificates
DATABASES = ("test", "other")
OPTIONS = {"max-connections": "400", "local-infile": "1", "max-allowed-packet": "64M"}
LATIN = "latin"  # a database that is not in UTF-8


class Account(NamedTuple):
    name: str
    password: str


class Login(NamedTuple):
    account: Account
    password: str = None  # another one than its own
    database: str = ""

    @property
    def secret(self):
        return self.account.password if self.password is None else self.password


# What is the same at both.
PLAIN = Account("app", "of app")
SECOND = Account("second", "of the second")
EMPTY = Account("blank", "")
LENGTHY = Account("lengthy", "x" * 200)
EXPIRED = Account("expired", "of yesterday")
ONE = Account("one", "of one")  # may have a single connection
CLOSED = Account("closed", "of nobody at all")  # of a unix socket
SECURE = Account("secure", "of secrets")  # over TLS only
UNKNOWN = Account("unknown", "whatever")
# MariaDB's.
ED25519 = Account("edward", "thirty-two bytes are a key of it")
EITHER = Account("either", "one of two plugins has this word")
# MySQL's.
SHA256 = Account("sha", "of sha256")


class People:
    """Servers that tests share have a life of their own: reset() only brings back who was ended."""
    name = None
    locked = None
    others = ()  # accounts that only this family has

    def __init__(self, home):
        self.server = home.keep(self._make(home.directory(self.name)))
        self.authority = Authority(self.server.directory)
        leaf = self.authority.leaf(names=[SERVER_NAME], ips=["127.0.0.1"], key="rsa")
        for key, path in (("ca", self.authority.ca), ("cert", leaf.cert), ("key", leaf.key)):
            self.server.options[f"ssl-{key}"] = os.path.join(self._inside(), os.path.basename(path))
        self.server.start()
        self._fill()

    def _make(self, directory):
        raise NotImplementedError

    def _inside(self):
        """The server's directory, as the server sees it."""
        raise NotImplementedError

    @property
    def accounts(self):
        return (PLAIN, SECOND, EMPTY, LENGTHY, EXPIRED, ONE, CLOSED, SECURE, UNKNOWN, self.locked,
                *self.others)

    def _fill(self):
        sql = self.server.sql
        for name, charset in (("other", "utf8mb4"), (LATIN, "latin1")):
            sql(f"CREATE DATABASE {name} CHARACTER SET {charset}")
        for account in (PLAIN, SECOND, EMPTY, LENGTHY, EXPIRED, ONE, SECURE, self.locked):
            self.server.add_user(account.name, account.password)
        self._add_others()
        for account in self.accounts:
            if account is not UNKNOWN:
                for database in (*DATABASES, LATIN):
                    sql(f"GRANT ALL ON {database}.* TO {account.name}")
        sql(f"ALTER USER {EXPIRED.name} PASSWORD EXPIRE")
        sql(f"ALTER USER {self.locked.name} ACCOUNT LOCK")
        sql(f"ALTER USER {SECURE.name} REQUIRE SSL")
        sql(f"ALTER USER {ONE.name} WITH MAX_USER_CONNECTIONS 1")

    def _add_others(self):
        raise NotImplementedError

    def reset(self):
        if not self.server.running():
            self.server.start_again()

    # What it says of itself.

    def status(self, *names):
        """Numbers of SHOW GLOBAL STATUS."""
        told = dict(self.server.sql("SHOW GLOBAL STATUS"))
        return [int(told[name]) for name in names]

    def connections(self, *accounts):
        """The processlist's rows of those accounts (all but the harness's and the probes' unless
        told)."""
        rows = self.server.sql("SELECT id, user, command, COALESCE(db, ''), state"
                               " FROM information_schema.processlist")
        names = [account.name for account in accounts]
        return [row for row in rows if (row[1] in names if names
                                        else row[1] not in ("root", PROBER[0], "event_scheduler",
                                                            "system user"))]

    def wait_connections(self, count, *accounts):
        until(lambda: len(self.connections(*accounts)) == count,
              f"{self.name} to have {count} connections", 10)

    def forget_passwords(self):
        """What a server keeps of those that it saw is empty, as after a restart."""
        self.server.sql("FLUSH PRIVILEGES")


class MariaDBPeople(People):
    name = "mariadb"
    cluster = "pool_mariadb"
    locked = Account("locked", "behind bars")
    others = (ED25519, EITHER)

    def _make(self, directory):
        return MariaDB(directory, "m", options={**OPTIONS, "plugin-load-add": "auth_ed25519"})

    def _inside(self):
        return self.server.directory

    def _add_others(self):
        sql = self.server.sql
        sql(f"CREATE USER {ED25519.name} IDENTIFIED VIA ed25519 USING PASSWORD(%s)",
            ED25519.password)
        sql(f"CREATE USER {EITHER.name} IDENTIFIED VIA ed25519 USING PASSWORD('another one')"
            " OR mysql_native_password USING PASSWORD(%s)", EITHER.password)
        sql(f"CREATE USER {CLOSED.name} IDENTIFIED VIA unix_socket")


class MySQLPeople(People):
    name = "mysql"
    cluster = "pool_mysql"
    locked = Account("locked", "behind bars")
    others = (SHA256,)

    def _make(self, directory):
        return MySQL(directory, "m", options=OPTIONS)

    def _inside(self):
        return "/srv"

    def _add_others(self):
        sql = self.server.sql
        sql("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
        sql(f"CREATE USER {SHA256.name} IDENTIFIED WITH sha256_password BY %s", SHA256.password)
        sql(f"CREATE USER {CLOSED.name} IDENTIFIED WITH auth_socket")
        sql(f"GRANT SESSION_VARIABLES_ADMIN ON *.* TO {PLAIN.name}, {SECOND.name}")


ALL = (MariaDBPeople, MySQLPeople)
