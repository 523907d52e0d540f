"""What stands behind and between in the MySQL benchmark: a MariaDB or a MySQL with the settings
that it comes with where they matter for a login, and the ways to it. Each proxy has loopback
addresses of its own, so that none pays for the ports another left in TIME_WAIT."""

import contextlib
import os
import shutil
import time
from dataclasses import dataclass

import pymysql

from lib import mysql
from lib.mariadb import PROBER, WRITER, MariaDB, connect
from lib.process import free_port

from lab import START_SECONDS, BenchError

CONNECTIONS = 3000  # max_connections of the servers: who has left is still counted for a while
POOL = 32           # pool_size where a row asks for it
CERTIFICATE = "rsa"  # as MySQL makes it for itself

FRONT = {"haproxy": "127.0.0.31", "relay": "127.0.0.32", "session": "127.0.0.33",
         "session_tls": "127.0.0.34", "transaction": "127.0.0.35"}
BACK = {"haproxy": "127.0.0.41", "relay": "127.0.0.42", "session": "127.0.0.43",
        "session_tls": "127.0.0.44", "transaction": "127.0.0.45"}

HAPROXY = """
global
    nbthread 1
    maxconn 9000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind {address}:{port}
    server one {back}:{server_port}
"""

ROUTER = """
[router]
workers = {workers}
admin = off
[frontend bench]
bind = {address}:{port}
{front}
backend = db
[backend db]
protocol = mysql
server = one {back}:{server_port}
probe_user = {user}
probe_password = {password}
{behind}
"""


@dataclass(frozen=True)
class Family:
    title: str
    server: type
    home: str      # of its directory, as the server sees it; empty: as we do
    options: dict  # beside COMMON


FAMILIES = {
    "mariadb": Family("MariaDB", MariaDB, "", {}),
    # The Performance Schema as it comes, not as small as tests want it.
    "mysql": Family("MySQL", mysql.MySQL, "/srv", {key: False for key in mysql.UNMEASURED}),
}


class Server:
    """One of a family; `pid` is where its CPU time is counted."""

    def __init__(self, home, lab, family):
        self.family = FAMILIES[family]
        listens = ",".join(["127.0.0.1", *BACK.values()])
        self.real = home.keep(self.family.server(
            home.directory(family), "one", options={
                **self.family.options, "max-connections": str(CONNECTIONS),
                "back-log": str(CONNECTIONS),  # else some of 1,000 at once wait for a minute
                "bind-address": listens, "innodb-buffer-pool-size": "64M"}))
        shutil.copy(lab.certificate(CERTIFICATE), os.path.join(self.real.directory, "tls.pem"))
        where = os.path.join(self.family.home or self.real.directory, "tls.pem")
        self.real.options.update({"ssl-cert": where, "ssl-key": where})
        self.real.start()
        # The account's way in, and the hash that caching_sha2_password keeps in memory.
        self.real.connect().close()

    @property
    def pid(self):
        return self.real.process.pid

    @property
    def port(self):
        return self.real.port

    def counters(self):
        """Connections and threads made since its start."""
        rows = dict(self.real.sql("SHOW GLOBAL STATUS WHERE Variable_name IN"
                                  " ('Connections', 'Threads_created')"))
        return int(rows["Connections"]), int(rows["Threads_created"])

    def others(self):
        """Connections that are not the clients': the probe's, and ours."""
        return self.real.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user"
                               " NOT IN (%s, 'event_scheduler', 'system user')", WRITER[0])

    def forget_most(self):
        self.real.sql("FLUSH STATUS")

    def most(self):
        return int(dict(self.real.sql("SHOW GLOBAL STATUS LIKE 'Max_used_connections'"))
                   ["Max_used_connections"])

    def version(self):
        return f"{self.family.title} {self.real.value('SELECT VERSION()')}"


@dataclass
class Way:
    """How clients come to the server."""
    name: str
    address: str
    port: int
    process: object = None

    @property
    def pids(self):
        return [self.process.pid] if self.process else []


def router_sections(lab, name, tls, pool_size):
    """What `name` adds to the frontend and to the backend."""
    if name == "relay":
        return "", ""
    front = [f"pool_mode = {name.removesuffix('_tls')}"]
    behind = [f"pool_size = {pool_size}"] if pool_size else []
    if name == "session_tls":
        front += ["tls = required", f"tls_cert = {lab.certificate(CERTIFICATE)}"]
    if tls:
        behind += ["tls = yes", "tls_verify = no"]
    return "\n".join(front), "\n".join(behind)


def start(lab, server, name, *, tls=False, pool_size=0, workers=1, wrap=()):
    """`tls`: between the router and the server, where the router can; `wrap` is put before the
    command."""
    if name == "direct":
        return Way(name, "127.0.0.1", server.port)
    front, behind = router_sections(lab, name, tls, pool_size)
    fill = {"address": FRONT[name], "port": free_port(FRONT[name]), "back": BACK[name],
            "server_port": server.port, "front": front, "behind": behind, "workers": workers,
            "user": PROBER[0], "password": PROBER[1]}
    label = f"{name}-tls" if tls else name
    if name == "haproxy":
        argv = ["haproxy", "-db", "-f", lab.path(f"{label}.cfg", HAPROXY.format(**fill))]
    else:
        argv = [os.path.join(lab.build, "router"), "-c",
                lab.path(f"{label}.ini", ROUTER.format(**fill))]
    process = lab.start(label, [*wrap, *argv])
    wait_ready(process, fill["address"], fill["port"])
    return Way(name, fill["address"], fill["port"], process)


def wait_ready(process, address, port):
    until = time.monotonic() + START_SECONDS
    options = {"ssl_disabled": True} if not process.name.startswith("session_tls") else {
        "ssl": {"check_hostname": False}}
    while True:
        try:
            with contextlib.closing(connect(address, port, user=WRITER[0], password=WRITER[1],
                                            **options)):
                return
        except pymysql.MySQLError as error:
            if process.popen.poll() is not None or time.monotonic() > until:
                raise BenchError(f"{process.name} did not start: {error}; "
                                 f"{process.last_words()}") from error
        time.sleep(0.02)
