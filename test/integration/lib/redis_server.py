"""A real redis-server in a directory of its own."""
import os
import signal

from lib.process import Process, free_port
from lib.resp import Resp, RespError
from lib.waiting import until

KEEP = object()  # restart(): with the replicaof it was given last

COMMON = {
    "protected-mode": "no", "daemonize": "no", "save": '""',
    "appendonly": "no", "shutdown-timeout": "0", "enable-debug-command": "yes",
    "repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1",
    "repl-backlog-size": "8mb", "rdb-save-incremental-fsync": "no", "loglevel": "notice",
}


class Redis:
    def __init__(self, directory, name, save=None, appendonly=False, requirepass=None, acl=None,
                 rename=None, replicaof=None, unix=False, options=None, port=None,
                 host="127.0.0.1", program=None):
        """program: what redis_versions.program() says."""
        self.name = name
        self.program = program or ["redis-server"]
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory)
        self.host = host
        self.port = port or free_port(host)
        self.unix = os.path.join(self.directory, "redis.sock") if unix else None
        self.password = requirepass
        self.rename = rename or {}
        self.replicaof = replicaof
        self.options = dict(COMMON, bind=host)
        if save:
            self.options["save"] = save
        if appendonly:
            self.options["appendonly"] = "yes"
            self.options["appendfsync"] = "always"
        self.options.update(options or {})
        self.acl = acl
        self.process = None
        self._admin = None

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def text(self):
        """As a router.ini or a REPLICAOF wants it."""
        return f"{self.host}:{self.port}"

    def _write_config(self):
        lines = [f"{key} {value}" for key, value in self.options.items()]
        lines += [f"port {self.port}", f"dir {self.directory}"]
        if self.unix:
            lines.append(f"unixsocket {self.unix}")
        if self.password:
            lines += [f"requirepass {self.password}", f"masterauth {self.password}"]
        if self.acl:
            lines += [f"user {line}" for line in self.acl]
        lines += [f"rename-command {old} {new}" for old, new in self.rename.items()]
        if self.replicaof:
            lines.append(f"replicaof {self.replicaof.host} {self.replicaof.port}")
        path = os.path.join(self.directory, "redis.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def start(self, wait=True):
        path = self._write_config()
        self.process = Process([*self.program, path], os.path.join(self.directory, "log"))
        if wait:
            self.wait_up()
        return self

    def wait_up(self):
        until(self._answers, f"{self.name} to answer", 10)

    def _answers(self):
        if not self.process.running():
            if "Address already in use" in self.process.log:
                raise AssertionError(f"{self.name}: port {self.port} was taken")
            raise AssertionError(f"{self.name} ended:\n{self.process.log}")
        try:
            answer = self.call("PING")
        except OSError:
            return False
        return answer == "PONG"

    # A connection of our own, past the router.

    def connect(self, timeout=5.0):
        return Resp(self.address, timeout, password=self.password)

    def call(self, *args):
        """One command, on a kept connection."""
        args = (self.rename.get(args[0], args[0]), *args[1:])
        if self._admin is None:
            self._admin = self.connect()
        try:
            return self._admin.call(*args)
        except OSError:
            self._drop()
            raise

    def ok(self, *args):
        answer = self.call(*args)
        assert not isinstance(answer, RespError), (self.name, args, answer)
        return answer

    def _drop(self):
        if self._admin:
            self._admin.close()
            self._admin = None

    def info(self, section="replication"):
        lines = self.ok("INFO", section).splitlines()
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        return {key: value.strip() for key, value in pairs}

    def role(self):
        return self.info()["role"]

    def data(self):
        """Every key and its value, read from this server alone."""
        found, cursor = {}, "0"
        while True:
            cursor, keys = self.ok("SCAN", cursor, "COUNT", 5000)
            if keys:
                # A replica that begins to synchronise forgets what it has just named.
                found.update((key, value) for key, value in zip(keys, self.ok("MGET", *keys))
                             if value is not None)
            if cursor == "0":
                return found

    # Replication.

    def follow(self, primary):
        self.ok("REPLICAOF", primary.host, primary.port)
        self.replicaof = primary

    def promote(self):
        self.ok("REPLICAOF", "NO", "ONE")
        self.replicaof = None

    def linked(self):
        info = self.info()
        return info["role"] == "slave" and info["master_link_status"] == "up"

    def wait_linked(self):
        until(self.linked, f"{self.name}'s replication link", 20)

    def wait_caught_up(self, primary):
        until(lambda: self.linked() and self.info()["master_repl_offset"]
              == primary.info()["master_repl_offset"], f"{self.name} to catch up", 20)

    # Faults.

    def kill(self):
        self._drop()
        self.process.kill()

    def pause(self):
        self.process.signal(signal.SIGSTOP)
        until(self._stopped, f"{self.name} to stop")

    def _stopped(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    def resume(self):
        self.process.signal(signal.SIGCONT)

    def stop(self):
        """A clean end: SIGTERM, which saves if it is told to."""
        self._drop()
        if self.process:
            self.process.terminate()

    def start_again(self, replicaof=KEEP, wait=True):
        """After kill() or stop(): the same port and files."""
        assert not self.process.running()
        if replicaof is not KEEP:
            self.replicaof = replicaof
        return self.start(wait)

    def close(self):
        self._drop()
        if self.process:
            self.process.kill()


def link(primary, *replicas):
    """Makes them follow the primary and waits until they do."""
    for replica in replicas:
        replica.follow(primary)
    for replica in replicas:
        replica.wait_linked()
