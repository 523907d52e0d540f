"""A real MariaDB server in a directory of its own, and a primary with its replicas."""
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import threading

import pymysql

from lib.clusters import NotInstallable
from lib.process import Process, free_port
from lib.waiting import until

REPLICATION = ("repl", "of the replicas")  # name and password, in every template
WRITER = ("writer", "of the writers")      # may write in the database `test` and nothing else
PROBER = ("prober", "of the probes")       # may see the replication and nothing else
NOBODY = ("nobody", "of nobody")           # may log in
KEEP = object()  # start_again(): following whom it followed
STATEMENT_SECONDS = 15.0  # a machine that is busy with other servers takes its time

# What SIGKILL leaves behind is in the page cache: neither file is synced at a commit.
COMMON = {
    "bind-address": "127.0.0.1", "skip-name-resolve": None, "performance-schema": "0",
    "innodb-buffer-pool-size": "16M", "innodb-log-file-size": "8M", "key-buffer-size": "1M",
    "aria-pagecache-buffer-size": "1M", "innodb-temp-data-file-path": "ibtmp1:4M:autoextend",
    "innodb-flush-log-at-trx-commit": "2", "sync-binlog": "0", "log-bin": "binlog",
    "log-slave-updates": None, "binlog-format": "ROW", "gtid-strict-mode": "1",
    "slave-net-timeout": "5", "max-connections": "200", "feedback": "OFF",
}

TEMPLATE = f"""FLUSH PRIVILEGES;
CREATE DATABASE test;
CREATE TABLE test.writes (name VARCHAR(64) PRIMARY KEY, value VARCHAR(200) NOT NULL) ENGINE=InnoDB;
CREATE USER '{REPLICATION[0]}'@'%' IDENTIFIED BY '{REPLICATION[1]}';
GRANT REPLICATION SLAVE ON *.* TO '{REPLICATION[0]}'@'%';
CREATE USER '{WRITER[0]}'@'%' IDENTIFIED BY '{WRITER[1]}';
GRANT ALL ON test.* TO '{WRITER[0]}'@'%';
CREATE USER '{PROBER[0]}'@'%' IDENTIFIED BY '{PROBER[1]}';
GRANT SLAVE MONITOR ON *.* TO '{PROBER[0]}'@'%';
CREATE USER '{NOBODY[0]}'@'%' IDENTIFIED BY '{NOBODY[1]}';
"""

_template_lock = threading.Lock()
_template = []


def template():
    """A data directory as it is just after installation, made once in a session."""
    with _template_lock:
        if not _template:
            _template.append(_make_template())
        return _template[0]


def _make_template():
    missing = [x for x in ("mariadbd", "mariadb-install-db") if not shutil.which(x, path=PATH)]
    if missing:
        raise NotInstallable(f"{missing[0]} is not installed")
    place = tempfile.mkdtemp(prefix="router-mariadb-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    data = os.path.join(place, "data")
    config = os.path.join(place, "my.cnf")
    with open(config, "w", encoding="ascii") as file:
        file.write(_config({**COMMON, "log-bin": False, "datadir": data, "tmpdir": place}))
    _run(["mariadb-install-db", f"--defaults-file={config}", "--skip-test-db",
          "--auth-root-authentication-method=normal"], place)
    _run(["mariadbd", f"--defaults-file={config}", "--bootstrap"], place, TEMPLATE)
    return data


# Debian keeps servers in sbin, which not everybody has in their path.
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def _run(argv, directory, text=""):
    done = subprocess.run(argv, cwd=directory, input=text.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, env={**os.environ, "PATH": PATH},
                          check=False)
    if done.returncode:
        raise AssertionError(f"{argv[0]} failed:\n{done.stdout.decode('utf-8', 'replace')}")
    return done.stdout.decode("utf-8", "replace")


def _config(options):
    """False leaves an option out, None is a flag without a value."""
    if os.geteuid() == 0:
        options = {**options, "user": "root"}
    lines = [key if value is None else f"{key} = {value}"
             for key, value in options.items() if value is not False]
    return "\n".join(["[mariadbd]", *lines, ""])


def connect(host=None, port=None, unix=None, user="root", password="", timeout=5.0, **options):
    """A PyMySQL connection with autocommit."""
    where = {"unix_socket": unix} if unix else {"host": host or "127.0.0.1", "port": port}
    return pymysql.connect(**where, user=user, password=password, autocommit=True,
                           connect_timeout=timeout, read_timeout=timeout, write_timeout=timeout,
                           **options)


class MariaDB:
    def __init__(self, directory, name, server_id=1, options=None, port=None, source=template):
        self.name = name
        self.source = source  # makes the directory to copy
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory)
        self.port = port or free_port()
        self.server_id = server_id
        self.unix = os.path.join(self.directory, "sock")
        self.data_directory = os.path.join(self.directory, "data")
        self.options = dict(options or {})
        self.primary = None  # whom it was told to follow
        self.process = None
        self._kept = None
        self._lock = threading.RLock()
        self.refill()

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def text(self):
        """As a router.ini wants it."""
        return f"127.0.0.1:{self.port}"

    # Life.

    def refill(self):
        """Makes the data as new, while it does not run."""
        assert not self.running()
        shutil.rmtree(self.data_directory, ignore_errors=True)
        shutil.copytree(self.source(), self.data_directory, copy_function=shutil.copy)
        self.primary = None

    def _write_config(self):
        options = {**COMMON, "datadir": self.data_directory, "port": self.port,
                   "tmpdir": self.directory,  # who starts removes what others have in theirs
                   "socket": self.unix, "pid-file": os.path.join(self.directory, "pid"),
                   "server-id": self.server_id, **self.options}
        path = os.path.join(self.directory, "my.cnf")
        with open(path, "w", encoding="ascii") as file:
            file.write(_config(options))
        return path

    def start(self, wait=True, arguments=()):
        assert not self.running()
        argv = ["mariadbd", f"--defaults-file={self._write_config()}", *arguments]
        self.process = Process(argv, os.path.join(self.directory, "log"), env=self.environment())
        if wait:
            self.wait_up()
        return self

    def environment(self):
        return {**os.environ, "PATH": PATH}

    def running(self):
        return self.process is not None and self.process.running()

    def wait_up(self, timeout=20.0):
        until(self.answers, f"{self.name} to answer", timeout)

    def answers(self):
        if not self.process.running():
            raise AssertionError(f"{self.name} ended:\n{self.process.log[-4000:]}")
        try:
            return self.sql("SELECT 1") == [(1,)]
        except pymysql.MySQLError:
            return False

    # Its own word, past the router.

    def connect(self, user=WRITER[0], password=WRITER[1], timeout=5.0, **options):
        return connect(port=self.port, user=user, password=password, timeout=timeout, **options)

    def sql(self, text, *args):
        """Rows of one statement, as root on a kept connection."""
        with self._lock:
            if self._kept is None:
                self._kept = connect(unix=self.unix, timeout=STATEMENT_SECONDS)
            try:
                with self._kept.cursor() as cursor:
                    cursor.execute(text, args or None)
                    return list(cursor.fetchall())
            except pymysql.MySQLError:
                self._drop()
                raise

    def value(self, text, *args):
        """The first column of the first row."""
        return self.sql(text, *args)[0][0]

    def row(self, text):
        """{column: value} of the first row, {} if there is none."""
        with connect(unix=self.unix) as connection:
            with connection.cursor(pymysql.cursors.DictCursor) as cursor:
                cursor.execute(text)
                return cursor.fetchone() or {}

    def _drop(self):
        with self._lock:
            if self._kept:
                self._kept.close()
                self._kept = None

    def data(self):
        """Every key and its value, read from this server alone; see lib/sql_writers.py."""
        return dict(self.sql("SELECT name, value FROM test.writes"))

    def gtid(self):
        """What it has: its own writes and those it replicated."""
        return self.value("SELECT @@GLOBAL.gtid_current_pos")

    def fingerprint(self):
        """Whatever a test may change: the process, data, accounts, settings, the layout."""
        volatile = ("timestamp", "rand_seed1", "rand_seed2", "identity", "last_insert_id")
        settings = dict(self.sql("SHOW GLOBAL VARIABLES"))
        status = self.replication()
        link = [status.get(key) for key in ("Master_Port", "Slave_IO_Running", "Slave_SQL_Running",
                                            "Using_Gtid", "SQL_Delay")]
        tables = self.sql("CHECKSUM TABLE test.writes, mysql.global_priv")
        return (self.process.pid, link, tables, self.sql("SHOW DATABASES"),
                {key: value for key, value in settings.items() if key not in volatile})

    def add_user(self, name, password="", plugin=None, grants=(), host="%"):
        """On a primary it reaches the replicas. grants: "SELECT ON *.*" and the like."""
        way = f"VIA {plugin} USING PASSWORD(%s)" if plugin else "BY %s"
        self.sql(f"CREATE OR REPLACE USER %s@%s IDENTIFIED {way}", name, host, password)
        for grant in grants:
            self.sql(f"GRANT {grant} TO %s@%s", name, host)

    def set_password(self, name, password, host="%"):
        self.sql("SET PASSWORD FOR %s@%s = PASSWORD(%s)", name, host, password)

    # Replication.

    def follow(self, primary):
        self.sql("STOP SLAVE")
        self.sql("SET GLOBAL read_only = 1")
        self.sql("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %s, MASTER_USER = %s,"
                 " MASTER_PASSWORD = %s, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1,"
                 " MASTER_USE_GTID = slave_pos, MASTER_DEMOTE_TO_SLAVE = 1",
                 primary.port, *REPLICATION)
        self.sql("START SLAVE")
        self.primary = primary

    def promote(self):
        self.sql("STOP SLAVE")
        self.sql("RESET SLAVE ALL")
        self.set_read_only(False)
        self.primary = None

    def demote(self):
        self.set_read_only(True)

    def set_read_only(self, on):
        self.sql(f"SET GLOBAL read_only = {int(on)}")

    def stop_replication(self, threads=""):
        """threads: "IO_THREAD" or "SQL_THREAD" for one of them."""
        self.sql(f"STOP SLAVE {threads}")

    def start_replication(self, threads=""):
        self.sql(f"START SLAVE {threads}")

    def replication(self):
        """SHOW SLAVE STATUS as a dictionary, {} on a primary."""
        return self.row("SHOW SLAVE STATUS")

    def linked(self):
        status = self.replication()
        for error in ("Last_IO_Errno", "Last_SQL_Errno"):
            fatal = status.get(error, 0) and status["Slave_IO_Running"] != "Connecting"
            assert not fatal, (self.name, status["Last_IO_Error"], status["Last_SQL_Error"])
        return status.get("Slave_IO_Running") == status.get("Slave_SQL_Running") == "Yes"

    def wait_linked(self):
        until(self.linked, f"{self.name}'s replication link", 20)

    def wait_caught_up(self, primary):
        until(lambda: self.linked() and self.gtid() == primary.gtid(),
              f"{self.name} to catch up", 20)

    # Faults.

    def kill(self):
        self._drop()
        self.process.kill()

    def pause(self):
        self.process.signal(signal.SIGSTOP)
        until(lambda: self._state() == "T", f"{self.name} to stop")

    def _state(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def resume(self):
        self.process.signal(signal.SIGCONT)

    def stop(self):
        """A clean end: SIGTERM."""
        self._drop()
        if self.process:
            self.process.terminate()

    def start_again(self, wait=True):
        """After kill() or stop(): the same port and data; a replica goes on following."""
        return self.start(wait)

    def restart(self):
        self.stop()
        return self.start_again()

    def close(self):
        self._drop()
        if self.process:
            self.process.kill()


class Group:
    """Servers that belong together. What they tell of themselves when they are new tells reset()
    whether a test changed anything. A subclass says how they come up: _birth()."""

    def __init__(self, servers):
        self.servers = servers
        self._start()

    def server(self, name):
        return next(s for s in self.servers if s.name == name)

    def _birth(self):
        raise NotImplementedError

    def _start(self):
        self._birth()
        self.born = [server.fingerprint() for server in self.servers]

    def _as_born(self):
        try:
            return all(server.running() and server.fingerprint() == born
                       for server, born in zip(self.servers, self.born))
        except pymysql.MySQLError:
            return False

    def reset(self):
        """As new: nothing to do, or all servers start again with new data on their old ports."""
        for server in self.servers:
            server.resume()
        if self._as_born():
            return
        for server in self.servers:
            server.close()
        for server in self.servers:
            server.refill()
        self._start()


class Replicated(Group):
    """The first is the primary, the others follow it and are read-only."""

    def __init__(self, home, names=("a", "b", "c"), options=None):
        directory = home.directory("mariadb")
        super().__init__([home.keep(MariaDB(directory, name, server_id=n, options=options))
                          for n, name in enumerate(names, 1)])

    @property
    def primary(self):
        """Of the first layout."""
        return self.servers[0]

    @property
    def replicas(self):
        return self.servers[1:]

    def _birth(self):
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_up()
        for replica in self.replicas:
            replica.follow(self.primary)
        for replica in self.replicas:
            replica.wait_linked()


def replicated(home):
    """For clusters.fixture()."""
    return Replicated(home)
