"""What the demo starts and leaves nothing of: processes and one temporary folder.

Ended in order by close(). Should the demo itself be killed, the kernel ends the processes
(PR_SET_PDEATHSIG) and a caretaker, a fork that only waits for our end, removes the folder."""
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from resp import Client, RedisError

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
START_SECONDS = 10
BELOW_EPHEMERAL = (10000, 32000)  # the kernel gives clients ports above


class DemoError(Exception):
    """Told in one line, not as a traceback."""


class Home:
    def __init__(self):
        """Call it with the signals that end the demo blocked, and unblock them afterwards."""
        self.path = tempfile.mkdtemp(prefix="router-demo-")
        self.caretaker, self.alive = start_caretaker(self.path)
        self.processes = []
        self.ports = set()

    def free_port(self):
        while True:
            port = random.randrange(*BELOW_EPHEMERAL)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in self.ports:
                self.ports.add(port)
                return port

    def start(self, name, argv, env=None, gentle=True):
        """Only from the main thread: the kernel's signal comes when the starting thread ends."""
        log_path = os.path.join(self.path, name + ".log")
        with open(log_path, "ab") as log:
            try:
                process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env=env, start_new_session=True,
                                           preexec_fn=die_with_parent)
            except OSError as error:
                raise DemoError(f"cannot start {argv[0]}: {error.strerror}") from None
        process.log_path = log_path
        process.gentle = gentle  # ended by SIGTERM
        self.processes.append(process)
        return process

    def redis(self, name, primary=None):
        return Redis(self, name, self.free_port(), primary)

    def close(self):
        for process in reversed(self.processes):
            end(process)
        os.close(self.alive)
        os.waitpid(self.caretaker, 0)


class Redis:
    """A real redis-server that keeps every write on disk (append only file)."""

    def __init__(self, home, name, port, primary):
        self.home = home
        self.name = name
        self.port = port
        self.folder = os.path.join(home.path, name)
        os.mkdir(self.folder)
        self.start(primary)

    def start(self, primary=None):
        follow = ["--replicaof", f"127.0.0.1 {primary.port}"] if primary else []
        self.process = self.home.start(self.name, [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
            "--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0", *follow],
            gentle=False)  # told to end, a Redis takes seconds to see its replicas off

    def kill(self):
        """As a power cut does: no good-bye, no last words to the replicas."""
        self.process.kill()
        self.process.wait()

    def call(self, *words):
        with Client(self.port, timeout=5) as client:
            return client.call(*words)

    def info(self, section):
        lines = self.call("INFO", section).split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def wait_ready(self):
        self._wait(lambda: self.call("PING") == "PONG", "answer")

    def wait_following(self):
        self._wait(lambda: self.info("replication").get("master_link_status") == "up", "follow")

    def _wait(self, condition, verb):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if condition():
                    return
            except (OSError, RedisError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"{self.name} does not {verb}:\n{last_words(self.process)}")
            time.sleep(0.01)

    def data(self):
        """Every key this server holds, with its value."""
        found, cursor = {}, "0"
        with Client(self.port, timeout=10) as client:
            while True:
                cursor, keys = client.call("SCAN", cursor, "COUNT", 1000)
                if keys:
                    found.update(zip(keys, client.call("MGET", *keys)))
                if cursor == "0":
                    return found


def end(process, seconds=5):
    if process.poll() is None and process.gentle:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    process.kill()
    process.wait()


def last_words(process, lines=8):
    with open(process.log_path, encoding="utf-8", errors="replace") as log:
        return "".join(log.readlines()[-lines:]).rstrip()


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_caretaker(path):
    """Returns its pid and the end of a pipe: when that is closed, `path` is removed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reader)
        return pid, writer
    try:
        os.close(writer)
        os.setsid()  # out of reach of the terminal's Ctrl-C
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.read(reader, 1)
        for _ in range(100):  # what the kernel is still ending may still write
            shutil.rmtree(path, ignore_errors=True)
            if not os.path.exists(path):
                break
            time.sleep(0.02)
    finally:
        os._exit(0)
