"""A real PostgreSQL server in a directory of its own."""
import atexit
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2
import psycopg2.extensions

from lib import warden
from lib.clusters import NotInstallable
from lib.process import Process, free_port
from lib.waiting import until

BIN = "/usr/lib/postgresql/15/bin"  # there may be others in the path
DATABASE = "test"
WRITER = ("writer", "of the writers")  # name and password: may write in the table and nothing else
PROBER = ("prober", "of the probes")   # may see who replicates from whom and nothing else
NOBODY = ("nobody", "of nobody")       # may log in
KEEP = object()  # start_again(): standby or not as the files say

# PostgreSQL does not run as root.
AS_OWNER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
AS_OWNER = AS_OWNER if os.geteuid() == 0 else []

# What SIGKILL leaves behind is in the page cache: nothing needs to be synced.
COMMON = {
    "listen_addresses": "127.0.0.1", "fsync": "off", "wal_level": "replica", "hot_standby": "on",
    "wal_log_hints": "on", "wal_keep_size": "64MB", "max_wal_size": "128MB",
    "shared_buffers": "16MB", "max_connections": "100", "max_wal_senders": "10",
    "dynamic_shared_memory_type": "mmap", "autovacuum": "off", "wal_retrieve_retry_interval": "200",
    "wal_receiver_status_interval": "1", "log_line_prefix": "%m [%p] %q%u@%d ",
}
ACCESS = ["local all postgres trust", "host all postgres 127.0.0.1/32 trust",
          "host replication postgres 127.0.0.1/32 trust",
          *(f"host all {name} 127.0.0.1/32 scram-sha-256" for name, _ in (WRITER, PROBER, NOBODY))]

TABLES = f"""CREATE TABLE writes (name text PRIMARY KEY, value text NOT NULL);
CREATE ROLE {WRITER[0]} LOGIN PASSWORD '{WRITER[1]}';
GRANT ALL ON writes TO {WRITER[0]};
CREATE ROLE {PROBER[0]} LOGIN PASSWORD '{PROBER[1]}' IN ROLE pg_monitor;
CREATE ROLE {NOBODY[0]} LOGIN PASSWORD '{NOBODY[1]}';
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
    if not os.access(os.path.join(BIN, "postgres"), os.X_OK):
        raise NotInstallable(f"{BIN}/postgres is not installed")
    place = tempfile.mkdtemp(prefix="router-postgres-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    give_away(place)
    data = os.path.join(place, "data")
    run(["initdb", "-D", data, "--no-sync", "--no-instructions", "--username=postgres",
         "--auth=trust", "--encoding=UTF8", "--locale=C"], place)
    single = ["postgres", "--single", "-j", "-D", data, "-c", "fsync=off"]
    run([*single, "postgres"], place, f"CREATE DATABASE {DATABASE};\n\n")
    run([*single, DATABASE], place, TABLES + "\n\n")
    return data


def run(argv, directory, text=""):
    """One of PostgreSQL's programs, as the owner of the files."""
    done = subprocess.run([*AS_OWNER, os.path.join(BIN, argv[0]), *argv[1:]], cwd=directory,
                          input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, env=environment(directory), check=False)
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode or "ERROR:" in output:
        raise AssertionError(f"{argv[0]} failed:\n{output}")
    return output


def environment(home):
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": home}


def give_away(path, mode=0o755):
    """To who runs PostgreSQL."""
    os.chmod(path, mode)
    if AS_OWNER:
        shutil.chown(path, "postgres", "postgres")


def fill(data):
    """Makes a data directory as new; nothing may run on it."""
    shutil.rmtree(data, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", template(), data], check=True)


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    give_away(path, mode)


def start_under_warden(argv, directory, log):
    """As the owner. Ended by end_under_warden(), with everything it started."""
    return Process([sys.executable, "-I", warden.__file__, *AS_OWNER, *argv], log, cwd=directory,
                   env=environment(directory))


def end_under_warden(process):
    """Like the loss of a machine."""
    if process:
        process.terminate()


# Connections. A server that is stopped must not stop a test: every wait has its time.


def _wait(connection):
    deadline = time.monotonic() + connection.timeout
    poll = select.poll()
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        reading = state == psycopg2.extensions.POLL_READ
        poll.register(connection.fileno(), select.POLLIN if reading else select.POLLOUT)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise psycopg2.OperationalError(f"no answer for {connection.timeout} s")


psycopg2.extensions.set_wait_callback(_wait)


def connect(port, host="127.0.0.1", user=WRITER[0], password=WRITER[1], database=DATABASE,
            timeout=5.0, **options):
    """A psycopg2 connection with autocommit. options: libpq's."""
    factory = type("Connection", (psycopg2.extensions.connection,), {"timeout": timeout})
    options = {"sslmode": "disable", "gssencmode": "disable", **options}
    connection = psycopg2.connect(host=host, port=port, user=user, password=password,
                                  dbname=database, connection_factory=factory, **options)
    connection.autocommit = True
    return connection


class Postgres:
    def __init__(self, directory, name, options=None, port=None):
        self.name = name
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory)
        give_away(self.directory)
        self.data_directory = os.path.join(self.directory, "data")
        self.port = port or free_port()
        self.options = dict(options or {})
        self.access = list(ACCESS)  # lines of pg_hba.conf
        self.primary = None         # whom it was told to follow
        self.process = None         # the warden's
        self.pid = None             # the postmaster's
        self._kept = None
        self._lock = threading.RLock()

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def text(self):
        """As a router.ini wants it."""
        return f"127.0.0.1:{self.port}"

    # Life.

    def refill(self):
        """Makes it a primary with data as new, while it does not run."""
        assert not self.running()
        fill(self.data_directory)
        self.primary = None

    def _write_config(self):
        options = {**COMMON, "port": self.port, "unix_socket_directories": self.directory,
                   **self.options}
        if self.primary:
            options["primary_conninfo"] = (f"host=127.0.0.1 port={self.primary.port} user=postgres"
                                           f" application_name={self.name} sslmode=disable")
        quoted = ((key, str(value).replace("'", "''")) for key, value in options.items())
        write(self._file("postgresql.conf"), "".join(f"{k} = '{v}'\n" for k, v in quoted))
        write(self._file("pg_hba.conf"), "".join(f"{line}\n" for line in self.access))

    def _file(self, name):
        return os.path.join(self.data_directory, name)

    def _set_standby(self, on):
        if on:
            write(self._file("standby.signal"), "")
        elif os.path.exists(self._file("standby.signal")):
            os.unlink(self._file("standby.signal"))

    def start(self, wait=True):
        assert not self.running()
        self._write_config()
        self.process = start_under_warden([f"{BIN}/postgres", "-D", self.data_directory],
                                          self.directory, os.path.join(self.directory, "log"))
        if wait:
            self.wait_up()
        return self

    def running(self):
        return self.process is not None and self.process.running()

    def wait_up(self, timeout=20.0):
        until(self.answers, f"{self.name} to answer", timeout)
        self.pid = postmaster(self.data_directory)

    def answers(self):
        if not self.running():
            raise AssertionError(f"{self.name} ended:\n{self.process.log[-4000:]}")
        try:
            return self.sql("SELECT 1") == [(1,)]
        except psycopg2.Error:
            return False

    def start_again(self, standby=KEEP, wait=True):
        """After kill() or stop(): the same port and data. standby=False is the classic mistake: a
        standby without its standby.signal writes on in its primary's timeline."""
        assert not self.running()
        if standby is not KEEP:
            self._set_standby(standby)
        return self.start(wait)

    def restart(self):
        self.stop()
        return self.start_again()

    def reload(self):
        """Its configuration, as it stands in the options."""
        self._write_config()
        before = self.value("SELECT pg_conf_load_time()::text")
        self.sql("SELECT pg_reload_conf()")
        until(lambda: self.connect_and("SELECT pg_conf_load_time()::text") != before,
              f"{self.name} to read its configuration", 10)

    def close(self):
        self._drop()
        end_under_warden(self.process)
        remove_segment(self.data_directory)

    # Its own word, past the router.

    def connect(self, user=WRITER[0], password=WRITER[1], timeout=5.0, **options):
        return connect(self.port, user=user, password=password, timeout=timeout, **options)

    def connect_and(self, text):
        """The value a new session of the superuser sees."""
        connection = connect(self.port, self.directory, "postgres")
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchone()[0]
        finally:
            connection.close()

    def sql(self, text, *args):
        """Rows of one statement, as the superuser on a kept connection."""
        with self._lock:
            if self._kept is None:
                self._kept = connect(self.port, self.directory, "postgres")
            try:
                with self._kept.cursor() as cursor:
                    cursor.execute(text, args or None)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.Error:
                self._drop()
                raise

    def value(self, text, *args):
        """The first column of the first row."""
        return self.sql(text, *args)[0][0]

    def _drop(self):
        with self._lock:
            if self._kept:
                self._kept.close()
                self._kept = None

    def data(self):
        """Every key and its value, read from this server alone."""
        return dict(self.sql("SELECT name, value FROM writes"))

    def in_recovery(self):
        return self.value("SELECT pg_is_in_recovery()")

    def timeline(self):
        """The one it writes or receives; None for a standby that receives nothing."""
        if self.in_recovery():
            rows = self.sql("SELECT received_tli FROM pg_stat_wal_receiver")
            return rows[0][0] if rows else None
        return int(self.value("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"), 16)

    def lsn(self):
        """Bytes it wrote, or replayed."""
        return int(self.value("SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
                              " ELSE pg_current_wal_lsn() END) - '0/0'::pg_lsn"))

    def received(self):
        """Bytes a standby has, replayed or not."""
        return int(self.value("SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
                              " - '0/0'::pg_lsn"))

    # Who may log in.

    def allow(self, name, method="scram-sha-256", kind="host"):
        """A line of pg_hba.conf, before all others. kind: "hostssl" for TLS only."""
        self.access.insert(0, f"{kind} all {name} 127.0.0.1/32 {method}")
        self.reload()

    def add_user(self, name, password=None, method="scram-sha-256", attributes=""):
        """method: scram-sha-256, md5, password, trust or reject. On a primary the role is made
        too, and reaches the standbys, which need an allow() of their own."""
        self.allow(name, method)
        if not self.in_recovery():
            self.sql(f'CREATE ROLE "{name}" LOGIN {attributes}')
            if password is not None:
                self.set_password(name, password, method)

    def set_password(self, name, password, method="scram-sha-256"):
        stored = "md5" if method == "md5" else "scram-sha-256"
        self.sql(f"SET password_encryption = '{stored}'")
        self.sql(f'ALTER ROLE "{name}" PASSWORD %s', password)

    def use_tls(self):
        """With a certificate of its own; it stays until the next refill()."""
        run_openssl(self._file("server.crt"), self._file("server.key"))
        self.options["ssl"] = "on"
        self.reload()

    # Replication.

    def follow(self, primary, rewind=False):
        """As a standby. One that was a primary, or is told so because it had received more when
        the other was promoted, is rewound to where they parted."""
        if self.running() and self.in_recovery() and not rewind:
            self.primary = primary
            self.reload()
            return
        if self.running():
            self.stop()
        primary.sql("CHECKPOINT")  # else its control file does not tell of a promotion yet
        run(["pg_rewind", "-D", self.data_directory, "--no-sync", "--source-server",
             f"host=127.0.0.1 port={primary.port} user=postgres dbname=postgres"], self.directory)
        self.primary = primary
        self._set_standby(True)
        self.start()

    def clone(self, primary):
        """A standby with a base backup instead of what it had, while it does not run."""
        assert not self.running()
        shutil.rmtree(self.data_directory, ignore_errors=True)
        run(["pg_basebackup", "-D", self.data_directory, "--no-sync", "--checkpoint=fast",
             "--wal-method=stream", "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"],
            self.directory)
        self.primary = primary
        self._set_standby(True)
        self.start()

    def promote(self):
        """Returns when it writes."""
        assert self.value("SELECT pg_promote(true, 20)"), f"{self.name} was not promoted"
        self.primary = None

    def demote(self):
        """Starts again as a standby that follows nobody."""
        self.stop()
        self.primary = None
        self.start_again(standby=True)

    def linked(self):
        rows = self.sql("SELECT status, sender_port FROM pg_stat_wal_receiver")
        return self.primary is not None and rows == [("streaming", self.primary.port)]

    def wait_linked(self):
        until(self.linked, f"{self.name} to stream", 20)

    def wait_caught_up(self, primary):
        until(lambda: self.linked() and self.lsn() >= primary.lsn(), f"{self.name} to catch up", 20)

    # Faults.

    def kill(self):
        """SIGKILL of the postmaster and all its children."""
        self._drop()
        end_under_warden(self.process)

    def kill_postmaster(self):
        """Of it alone: its backends serve on until they notice, when next idle."""
        self._drop()
        os.kill(self.pid, signal.SIGKILL)

    def pause(self, backends=True):
        """SIGSTOP; of the postmaster alone, sessions live on and no new one is served."""
        if backends:
            warden.freeze(self.pid)
            return
        os.kill(self.pid, signal.SIGSTOP)
        until(lambda: warden.stopped(self.pid), f"{self.name} to stop")

    def resume(self):
        if self.pid and warden.alive(self.pid):
            warden.thaw(self.pid)

    def stop(self, number=signal.SIGINT):
        """A clean end; of its sessions too, unless SIGTERM waits for them."""
        self._drop()
        if self.running():
            os.kill(self.pid, number)
            self.process.wait(20)


def postmaster(data):
    """Its pid, by its own word."""
    return int(_pid_file(data)[0])


def _pid_file(data):
    try:
        with open(os.path.join(data, "postmaster.pid"), encoding="ascii") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def remove_segment(data):
    """A killed postmaster leaves 56 bytes of System V shared memory behind."""
    lines = _pid_file(data)
    if len(lines) > 6 and not warden.alive(int(lines[0])):
        subprocess.run(["ipcrm", "-m", lines[6].split()[1]], stderr=subprocess.DEVNULL, check=False)


def run_openssl(certificate, key):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-out", certificate, "-keyout", key], stderr=subprocess.DEVNULL, check=True)
    for path in (certificate, key):
        give_away(path, 0o600)
