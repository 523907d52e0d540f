"""Three Patroni nodes, each with a real PostgreSQL, and the etcd in which they hold the lock.

They speak etcd's second API. With the third one Debian's Patroni 3.0.2 writes the lock without a
condition when its lease ran out: a leader that was stopped and goes on takes it from its successor,
and throws away what that one acknowledged."""
import http.client
import json
import os
import shutil
import ssl
import urllib.parse

import psycopg2
import yaml

from lib import warden
from lib.clusters import NotInstallable
from lib.postgres import (ACCESS, BIN, COMMON, WRITER, connect, environment, fill, give_away,
                          postmaster, remove_segment, run, start_under_warden, end_under_warden,
                          write)
from lib.process import Process, free_port
from lib.waiting import until

SCOPE = "test"
# Patroni's rule: loop_wait + 2 * retry_timeout <= ttl. A lock whose holder is dead lasts for ttl.
TIMES = {"ttl": 5, "loop_wait": 1, "retry_timeout": 2, "maximum_lag_on_failover": 1048576}

FIRST_ADDRESS = 41  # 127.0.0.x

# What Patroni sets by itself, or on its command line.
NOT_OURS = ("listen_addresses", "wal_level", "hot_standby", "wal_log_hints", "max_connections",
            "max_wal_senders")


class Etcd:
    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.peer_port = free_port()
        self.process = None

    def start(self):
        """Empty, whatever it held."""
        shutil.rmtree(os.path.join(self.directory, "data"), ignore_errors=True)
        return self.start_again()

    def start_again(self):
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer_port}"
        argv = ["etcd", "--name", "e", "--data-dir", os.path.join(self.directory, "data"),
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"e={peer}", "--enable-v2", "--log-level", "warn"]
        self.process = Process(argv, os.path.join(self.directory, "log"))
        until(self._answers, "etcd to answer", 10)
        return self

    def _answers(self):
        assert self.process.running(), self.process.log
        try:
            return request(self.port, "GET", "/health")[1] == {"health": "true"}
        except OSError:
            return False

    def put(self, key, value):
        status, answer = request(self.port, "PUT", "/v2/keys" + key,
                                 "value=" + urllib.parse.quote(value),
                                 "application/x-www-form-urlencoded")
        assert status == 201, answer

    def kill(self):
        self.process.kill()

    close = kill


def request(port, method, path, body=None, kind="application/json", timeout=20.0,
            host="127.0.0.1", tls=None):
    """(status, the answer as JSON or text) of one HTTP request; tls: an ssl.SSLContext."""
    if tls:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, text


class Node:
    """One Patroni and its PostgreSQL."""

    def __init__(self, directory, name, etcd, host="127.0.0.1", rest_port=None):
        self.name = name
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory)
        give_away(self.directory)
        self.data_directory = os.path.join(self.directory, "data")
        self.etcd = etcd
        self.host = host
        self.port = free_port()                    # PostgreSQL's
        self.rest_port = rest_port or free_port()  # Patroni's
        self.tags = {}                             # noloadbalance and the like
        self.tls = {}                              # of the REST API: certfile, keyfile, cafile
        self.access = list(ACCESS)
        self.process = None           # the warden's of Patroni
        self.wardens = []             # a killed Patroni's one keeps the postmaster

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def text(self):
        """As a router.ini wants it."""
        return f"{self.host}:{self.port}"

    # Life.

    def refill(self):
        self.access = list(ACCESS)
        self.tags = {}
        self.tls = {}
        fill(self.data_directory)

    def _config(self):
        user = {"username": "postgres", "password": "unused"}
        parameters = {key: value for key, value in COMMON.items() if key not in NOT_OURS}
        return {
            "scope": SCOPE, "name": self.name, "etcd": {"host": f"127.0.0.1:{self.etcd.port}"},
            "restapi": {"listen": f"{self.host}:{self.rest_port}",
                        "connect_address": f"{self.host}:{self.rest_port}", **self.tls},
            "tags": self.tags,
            "postgresql": {
                "listen": self.text, "connect_address": self.text,
                "data_dir": self.data_directory, "bin_dir": BIN, "use_unix_socket": True,
                "pgpass": os.path.join(self.directory, "pgpass"), "pg_hba": self.access,
                "authentication": {"superuser": user, "replication": user},
                "parameters": {**parameters, "unix_socket_directories": self.directory},
            },
        }

    def start(self):
        """Patroni, and with it what it finds to do. Does not wait."""
        path = os.path.join(self.directory, "patroni.yml")
        write(path, yaml.safe_dump(self._config()))
        self.process = start_under_warden(["/usr/bin/patroni", path], self.directory,
                                          os.path.join(self.directory, "log"))
        self.wardens.append(self.process)
        return self

    start_again = start

    def patroni_running(self):
        """Whether there is a process; its PostgreSQL is another."""
        return self.process is not None and bool(self._patroni())

    def _patroni(self):
        """Its pid: alone of what the warden keeps it was not adopted."""
        pids = warden.children(self.process.pid)
        return next((pid for pid in pids if warden.name(pid) == "patroni"), None)

    def allow(self, name, method="scram-sha-256"):
        """A line of pg_hba.conf, before all others."""
        self.access.insert(0, f"host all {name} 127.0.0.1/32 {method}")
        self._reload()
        until(lambda: self.sql("SELECT count(*) FROM pg_hba_file_rules WHERE user_name = %s",
                               [name])[0][0], f"{self.name} to allow {name}", 10)

    def serve_tls(self, leaf, ca):
        """Its REST API, from now on; until it has new data."""
        tls = {}
        for key, path in (("certfile", leaf.cert), ("keyfile", leaf.key), ("cafile", ca)):
            with open(path, encoding="ascii") as file:
                tls[key] = os.path.join(self.directory, os.path.basename(path))
                write(tls[key], file.read())
        self._reload(tls)
        until(self.status, f"{self.name}'s REST API in TLS", 20)

    def serve_clear(self):
        self._reload({})
        until(self.status, f"{self.name}'s REST API in the clear", 20)

    def _reload(self, tls=None):
        """It is asked for in the old way."""
        before, self.tls = self.tls, self.tls if tls is None else tls
        write(os.path.join(self.directory, "patroni.yml"), yaml.safe_dump(self._config()))
        self.tls, after = before, self.tls
        status, answer = self.rest("POST", "/reload")
        assert status in (200, 202), answer
        self.tls = after

    def close(self):
        self.kill()
        remove_segment(self.data_directory)

    # Its word.

    def rest(self, method, path, body=None, timeout=20.0):
        trust = self.tls and ssl.create_default_context(cafile=self.tls["cafile"])
        return request(self.rest_port, method, path, body and json.dumps(body), timeout=timeout,
                       host=self.host, tls=trust)

    def status(self):
        """GET /patroni, {} while it does not answer."""
        try:
            answer = self.rest("GET", "/patroni", timeout=5.0)[1]
        except OSError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def connect(self, user=WRITER[0], password=WRITER[1], timeout=5.0, **options):
        return connect(self.port, self.host, user, password, timeout=timeout, **options)

    def sql(self, text, *args):
        """Rows of one statement, as the superuser."""
        connection = connect(self.port, self.directory, "postgres")
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, args or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def data(self):
        """Every key and its value, read from this server alone."""
        return dict(self.sql("SELECT name, value FROM writes"))

    # Faults.

    def kill(self):
        """SIGKILL of Patroni and its PostgreSQL."""
        for process in self.wardens:
            end_under_warden(process)
        self.wardens = []

    def kill_patroni(self):
        """Its PostgreSQL goes on, and nobody takes its role away."""
        os.kill(self._patroni(), 9)
        until(lambda: not self.patroni_running(), "Patroni to end")

    def kill_postgres(self):
        """Patroni starts it again, or another node takes over."""
        warden.kill_family(postmaster(self.data_directory))

    def pause(self):
        """SIGSTOP of Patroni and its PostgreSQL."""
        self._each(warden.freeze)

    def pause_patroni(self):
        """Its PostgreSQL goes on as what it is, though the lock runs out."""
        warden.freeze(self._patroni())

    def resume(self):
        self._each(warden.thaw)

    def _each(self, act):
        for process in self.wardens:
            if process.running():
                for child in warden.children(process.pid):
                    act(child)


class Patroni:
    """Which node leads is not fixed: ask leader(). Each has an address of its own, as a router is
    told of one port for the REST API of all."""

    def __init__(self, home, names=("a", "b", "c")):
        for program in ("/usr/bin/patroni", "/usr/bin/etcd", f"{BIN}/postgres"):
            if not os.access(program, os.X_OK):
                raise NotInstallable(f"{program} is not installed")
        directory = home.directory("patroni")
        give_away(directory)
        self.etcd = home.keep(Etcd(home.directory("etcd")))
        self.rest_port = free_port()
        self.nodes = [home.keep(Node(directory, name, self.etcd, f"127.0.0.{n}", self.rest_port))
                      for n, name in enumerate(names, FIRST_ADDRESS)]
        self.born = None
        self._birth()

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    def _birth(self):
        """From copies of one data directory, of which the lock is told before Patroni asks."""
        for node in self.nodes:
            node.refill()
        self.etcd.start()
        control = run(["pg_controldata", self.nodes[0].data_directory], self.nodes[0].directory)
        identifier = next(line for line in control.splitlines() if "system identifier" in line)
        parameters = {"max_connections": COMMON["max_connections"]}
        self.etcd.put(f"/service/{SCOPE}/initialize", identifier.split()[-1])
        self.etcd.put(f"/service/{SCOPE}/config", json.dumps(
            {**TIMES, "postgresql": {"use_pg_rewind": True, "use_slots": True,
                                     "parameters": parameters}}))
        for node in self.nodes:
            node.start()
        self.wait_healthy()
        self.born = self._fingerprint()

    # What they say.

    def leader(self):
        """The node that says it holds the lock; None for now."""
        for node in self.nodes:
            try:
                if node.rest("GET", "/primary", timeout=1.0)[0] == 200:
                    return node
            except OSError:
                continue
        return None

    def replicas(self):
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def wait_leader(self, other_than=None, timeout=30.0):
        return until(lambda: (leader := self.leader()) is not other_than and leader,
                     "a leader", timeout, poll=0.02)

    def healthy(self):
        """One leads, and the others stream from it in its timeline."""
        said = [node.status() for node in self.nodes]
        if any(s.get("state") != "running" or s.get("pause") for s in said):
            return False
        leader = [s for s in said if s["role"] in ("master", "primary")]
        return (len(leader) == 1 and len({s.get("timeline") for s in said}) == 1
                and len(leader[0].get("replication", [])) == len(self.nodes) - 1
                and all(s["state"] == "streaming" for s in leader[0]["replication"]))

    def wait_healthy(self, timeout=60.0):
        until(self.healthy, "the nodes to be well", timeout, poll=0.05)

    # What is done to them.

    def switchover(self, to):
        """Planned; returns when Patroni says it is done."""
        leader = self.leader()
        status, answer = leader.rest("POST", "/switchover",
                                     {"leader": leader.name, "candidate": to.name}, timeout=60.0)
        assert status == 200, answer

    def failover(self, to):
        """Without regard to the leader; for one that does not answer."""
        status, answer = to.rest("POST", "/failover", {"candidate": to.name}, timeout=60.0)
        assert status == 200, answer

    def configure(self, **settings):
        """The dynamic configuration: ttl and the like, pause=True for maintenance."""
        status, answer = self.leader().rest("PATCH", "/config", settings)
        assert status == 200, answer

    def add_user(self, name, password=None, method="scram-sha-256", attributes=""):
        for node in self.nodes:
            node.allow(name, method)
        leader = self.leader()
        leader.sql(f'CREATE ROLE "{name}" LOGIN {attributes}')
        if password is not None:
            self.set_password(name, password, method)
        for node in self.replicas():
            until(lambda n=node: n.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", name),
                  f"{name} on {node.name}", 10)

    def set_password(self, name, password, method="scram-sha-256"):
        stored = "md5" if method == "md5" else "scram-sha-256"
        self.leader().sql(f"SET password_encryption = '{stored}';"
                          f' ALTER ROLE "{name}" PASSWORD %s', password)

    def _fingerprint(self):
        """What a test may change. Who leads is not part of it, nor when a server was started."""
        return [(node.access[:], node.tags, dict(node.tls),
                 node.sql("SELECT array_agg(a::text ORDER BY oid) FROM pg_authid a"),
                 node.sql("SELECT array_agg(datname ORDER BY datname) FROM pg_database"),
                 node.sql("SELECT array_agg(relname ORDER BY oid) FROM pg_class"
                          " WHERE oid >= 16384"),
                 node.sql("SELECT array_agg(name || setting ORDER BY name) FROM pg_settings WHERE"
                          " source IN ('configuration file', 'command line', 'database', 'user')"
                          " AND name NOT LIKE 'recovery%%' AND name NOT LIKE 'primary_%%'"),
                 node.rest("GET", "/config")[1]) for node in self.nodes]

    def _as_born(self):
        try:
            return self.healthy() and self._fingerprint() == self.born
        except (psycopg2.Error, OSError):
            return False

    def spoil(self):
        """What a test does is not to be seen in the fingerprint: all will start again. (After TLS
        members of Patroni 3.0.2 go on to be called by https, and there is no switchover.)"""
        self.born = None

    def reset(self):
        """Well, in some layout: nothing to do, or all starts again with new data."""
        for node in self.nodes:
            node.resume()
        if self._as_born():
            if self.leader().sql("SELECT 1 FROM writes LIMIT 1"):
                self.leader().sql("TRUNCATE writes")
            return
        for node in self.nodes:
            node.close()
        self.etcd.kill()
        self._birth()


def three_nodes(home):
    """For clusters.fixture()."""
    return Patroni(home)
