"""A real Oracle MySQL 9.7, which Debian has in sid only, and a primary with its replicas. All that
it has in common with MariaDB it inherits."""
import atexit
import os
import shutil
import tempfile
import threading

import pymysql

from lib import mariadb, sid
from lib.links import Link
from lib.mariadb import NOBODY, PROBER, REPLICATION, WRITER, Group, MariaDB
from lib.process import Process
from lib.waiting import until

MEMBER = ("member", "of the members")  # may see the group and nothing else
# mysqld and its plugins, no service and no data directory; the command line
PACKAGES = ("mysql-server-core", "mysql-client-core")
HOSTS = "127.0.0.1 localhost\n"
INIT_SECONDS = 60.0

# What the Performance Schema would measure; the tables of replication need none of it. With it a
# server that does nothing has 400 MB, without 145.
UNMEASURED = {
    **{f"performance-schema-max-{thing}-classes": "0" for thing in (
        "statement", "memory", "mutex", "rwlock", "cond", "stage", "file", "thread", "socket")},
    **{f"performance-schema-events-{thing}-history{length}-size": "0"
       for thing in ("statements", "waits", "stages", "transactions") for length in ("", "-long")},
    "performance-schema-max-digest-length": "0", "performance-schema-digests-size": "0",
    "performance-schema-error-size": "0",
}

# Paths are those within the folder. What SIGKILL leaves behind is in the page cache.
COMMON = {
    **UNMEASURED, "user": "root", "datadir": "/srv/data", "socket": "/srv/sock",
    "pid-file": "/srv/pid", "secure-file-priv": "NULL", "bind-address": "127.0.0.1",
    "report-host": "127.0.0.1", "mysqlx": "OFF", "skip-name-resolve": None,
    "innodb-buffer-pool-size": "5M", "innodb-redo-log-capacity": "8M", "innodb-doublewrite": "OFF",
    "innodb-use-native-aio": "OFF", "innodb-flush-log-at-trx-commit": "2", "sync-binlog": "0",
    "innodb-flush-method": "fsync", "key-buffer-size": "8", "table-open-cache": "100",
    "table-definition-cache": "400", "max-connections": "200", "log-bin": "binlog",
    "gtid-mode": "ON", "enforce-gtid-consistency": "ON", "replica-net-timeout": "5",
}

# One statement in a line, as an init-file wants them.
TEMPLATE = f"""CREATE DATABASE test;
CREATE TABLE test.writes (name VARCHAR(64) PRIMARY KEY, value VARCHAR(200) NOT NULL);
CREATE USER '{REPLICATION[0]}'@'%' IDENTIFIED BY '{REPLICATION[1]}';
GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO '{
    REPLICATION[0]}'@'%';
CREATE USER '{WRITER[0]}'@'%' IDENTIFIED BY '{WRITER[1]}';
GRANT ALL ON test.* TO '{WRITER[0]}'@'%';
CREATE USER '{PROBER[0]}'@'%' IDENTIFIED BY '{PROBER[1]}';
GRANT REPLICATION CLIENT ON *.* TO '{PROBER[0]}'@'%';
CREATE USER '{MEMBER[0]}'@'%' IDENTIFIED BY '{MEMBER[1]}';
GRANT SELECT ON performance_schema.* TO '{MEMBER[0]}'@'%';
CREATE USER '{NOBODY[0]}'@'%' IDENTIFIED BY '{NOBODY[1]}';
"""

_template_lock = threading.Lock()
_template = []


def folder():
    return sid.root("mysql", *PACKAGES)


def template():
    """A data directory as it is just after installation, made once in a session. It has no
    server_uuid: each server makes one at its first start."""
    with _template_lock:
        if not _template:
            _template.append(_make_template())
        return _template[0]


def _make_template():
    inside = folder()
    place = tempfile.mkdtemp(prefix="router-mysql-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    _write(place, "init.sql", TEMPLATE)
    _write(place, "hosts", HOSTS)
    _write(place, "my.cnf", _config({**COMMON, "init-file": "/srv/init.sql", "log-bin": False,
                                     "skip-log-bin": None, "gtid-mode": "OFF"}))
    mysqld = Process(_mysqld(inside, place, "--initialize-insecure"), os.path.join(place, "log"))
    try:
        status = mysqld.wait(INIT_SECONDS)
    finally:
        mysqld.kill()
    assert status == 0, mysqld.log
    data = os.path.join(place, "data")
    os.unlink(os.path.join(data, "auto.cnf"))
    return data


def _mysqld(inside, place, *arguments):
    return sid.command(inside, place, os.path.join(place, "hosts"),
                       ["/usr/sbin/mysqld", "--defaults-file=/srv/my.cnf", *arguments])


def _write(place, name, text):
    with open(os.path.join(place, name), "w", encoding="ascii") as file:
        file.write(text)


def _config(options):
    """False leaves an option out, None is a flag without a value."""
    lines = [key if value is None else f"{key} = {value}"
             for key, value in options.items() if value is not False]
    return "\n".join(["[mysqld]", *lines, ""])


class MySQL(MariaDB):
    def __init__(self, directory, name, server_id=1, options=None, port=None, hosts=HOSTS):
        super().__init__(directory, name, server_id, options, port, source=template)
        self.hosts = hosts  # its /etc/hosts

    def start(self, wait=True, arguments=()):
        assert not self.running()
        _write(self.directory, "hosts", self.hosts)
        _write(self.directory, "my.cnf", _config({**COMMON, "port": self.port,
                                                  "server-id": self.server_id, **self.options}))
        self.process = Process(_mysqld(folder(), self.directory, *arguments),
                               os.path.join(self.directory, "log"))
        if wait:
            self.wait_up()
        return self

    def uuid(self):
        return self.value("SELECT @@server_uuid")

    def gtid(self):
        return self.value("SELECT @@GLOBAL.gtid_executed")

    def fingerprint(self):
        """As MariaDB's, but writes that were undone do not count; see Replicated."""
        volatile = ("timestamp", "gtid_executed", "gtid_purged")
        settings = dict(self.sql("SHOW GLOBAL VARIABLES"))
        status = self.replication()
        link = [status.get(key) for key in ("Source_Port", "Replica_IO_Running",
                                            "Replica_SQL_Running", "Auto_Position", "SQL_Delay")]
        tables = self.sql("CHECKSUM TABLE test.writes, mysql.user, mysql.db, mysql.global_grants")
        return (self.process.pid, link, tables, self.sql("SHOW DATABASES"),
                {key: value for key, value in settings.items() if key not in volatile})

    def add_user(self, name, password="", plugin=None, grants=(), host="%"):
        """On a primary it reaches the replicas. grants: "SELECT ON *.*" and the like."""
        self.sql("DROP USER IF EXISTS %s@%s", name, host)
        way = f"WITH {plugin} BY" if plugin else "BY"
        self.sql(f"CREATE USER %s@%s IDENTIFIED {way} %s", name, host, password)
        for grant in grants:
            self.sql(f"GRANT {grant} TO %s@%s", name, host)

    def set_password(self, name, password, host="%"):
        self.sql("ALTER USER %s@%s IDENTIFIED BY %s", name, host, password)

    # Replication.

    def follow(self, primary):
        self.sql("STOP REPLICA")
        self.set_read_only(True)
        self.sql("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %s,"
                 " SOURCE_USER = %s, SOURCE_PASSWORD = %s, SOURCE_CONNECT_RETRY = 1,"
                 " SOURCE_RETRY_COUNT = 86400,"  # 10 unless told: then the IO thread ends
                 " SOURCE_HEARTBEAT_PERIOD = 1, SOURCE_AUTO_POSITION = 1,"
                 " GET_SOURCE_PUBLIC_KEY = 1",
                 primary.port, *REPLICATION)
        self.sql("START REPLICA")
        self.primary = primary

    def promote(self):
        self.sql("STOP REPLICA")
        self.sql("RESET REPLICA ALL")
        self.set_read_only(False)
        self.primary = None

    def set_read_only(self, on):
        """As failover tools do: with super_read_only, which read_only = 0 takes back."""
        self.sql("SET GLOBAL super_read_only = 1" if on else "SET GLOBAL read_only = 0")

    def stop_replication(self, threads=""):
        """threads: "IO_THREAD" or "SQL_THREAD" for one of them."""
        self.sql(f"STOP REPLICA {threads}")

    def start_replication(self, threads=""):
        self.sql(f"START REPLICA {threads}")

    def replication(self):
        """SHOW REPLICA STATUS as a dictionary, {} on a primary."""
        return self.row("SHOW REPLICA STATUS")

    def linked(self):
        status = self.replication()
        for error in ("Last_IO_Errno", "Last_SQL_Errno"):
            fatal = status.get(error, 0) and status["Replica_IO_Running"] != "Connecting"
            assert not fatal, (self.name, status["Last_IO_Error"], status["Last_SQL_Error"])
        return status.get("Replica_IO_Running") == status.get("Replica_SQL_Running") == "Yes"


def suspicious(home, address):
    """A server that blocks a client after one handshake that was given up, behind a link to it at
    `address`. It counts neither clients from 127.0.0.1 nor, with skip-name-resolve, anybody."""
    listening, client = "127.0.0.9", "127.0.0.8"
    server = home.keep(MySQL(
        home.directory("suspicious"), "suspicious", hosts=f"{HOSTS}{client} client.test\n",
        options={"max-connect-errors": "1", "skip-name-resolve": False,
                 "bind-address": f"127.0.0.1,{listening}"}))
    server.start()
    home.keep(Link(address, (listening, server.port), client))
    return server


class Undoing(Group):
    """reset() that undoes writes, which every test does, without starting the servers again."""

    def _as_born(self):
        return self._undone() and super()._as_born()

    def _undone(self):
        first = self.servers[0]
        if not all(server.running() for server in self.servers):
            return False
        try:
            if first.data():
                first.sql("TRUNCATE test.writes")
            until(lambda: len({server.gtid() for server in self.servers}) == 1,
                  "all to have what the first has", 2)
        except (pymysql.MySQLError, AssertionError):
            return False
        return True


class Replicated(Undoing, mariadb.Replicated):
    def __init__(self, home, names=("a", "b", "c"), options=None):
        directory = home.directory("mysql")
        Group.__init__(self, [home.keep(MySQL(directory, name, server_id=n, options=options))
                              for n, name in enumerate(names, 1)])


def replicated(home):
    """For clusters.fixture()."""
    return Replicated(home)
