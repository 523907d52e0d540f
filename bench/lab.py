"""What the benchmark runs: processes on free loopback ports in a temporary folder, all ended on
every way out. Each process leads a group of its own, so that ending it ends what it forked; should
this program be killed outright, the kernel ends them (PR_SET_PDEATHSIG). Every process is bound to
CPUs: where the scheduler puts the three of them is worth more than what tells one proxy from
another."""

import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = {"relay": ("relay.c", "secure.c"), "multiplex": ("multiplex.c",),
            "load": ("load.c", "load_client.c", "secure.c", "watch.c"),
            "mysql_load": ("mysql_load.c", "mysql_client.c", "mysql_login.c", "secure.c",
                           "watch.c")}
LIBRARIES = ["-lssl", "-lcrypto"]
COMPILE = ["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow",
           "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"]
LOAD_OPTIONS = {"mode": "-m", "connections": "-c", "requests": "-n", "warmup": "-w", "depth": "-d",
                "key": "-k", "length": "-l", "tls": "-t", "certificate": "-s", "handshake": "-H"}
START_SECONDS = 15
LOAD_SECONDS = 120
KEYS = {"ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "rsa": ["-newkey", "rsa:2048"]}
VALUES = {"small": 100, "large": 1 << 20}
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """Something that is told in one line, not as a traceback."""


def free_port(address):
    with socket.socket() as s:
        s.bind((address, 0))
        return s.getsockname()[1]


def resp(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


def clear(s):
    return s


def secured(s):
    """TLS over it, to whomever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(s, server_hostname="bench.example")


def ask(address, port, request, reply, wrap=clear):
    """Whether `request` got exactly `reply`."""
    try:
        with wrap(socket.create_connection((address, port), timeout=2)) as s:
            s.sendall(request)
            got = b""
            while len(got) < len(reply):
                more = s.recv(65536)
                if not more:
                    return False
                got += more
            return got == reply
    except OSError:
        return False


def memory(pids):
    """Sums, in bytes, of the fields of /proc/PID/smaps_rollup."""
    total = {}
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            for line in f.readlines()[1:]:
                name, kilobytes = line.split()[:2]
                total[name[:-1]] = total.get(name[:-1], 0) + int(kilobytes) * 1024
    return total


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


def placements():
    """By name: the CPUs of the proxy under test, and those of Redis and the load."""
    cpus = sorted(os.sched_getaffinity(0))
    one = {"one": ({cpus[0]}, {cpus[0]})}
    if len(cpus) == 1:
        return one
    return {"own": ({cpus[0]}, set(cpus[1:])), **one}


def shared_placements():
    """The same, where the scheduler may put everybody anywhere."""
    cpus = os.sched_getaffinity(0)
    return {"both": (cpus, cpus), "one": ({min(cpus)}, {min(cpus)})}


def bind(pid, cpus):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), cpus)


def build_programs(build):
    """bench/*.c into build/bench, where that is older or missing."""
    os.makedirs(os.path.join(build, "bench"), exist_ok=True)
    newest = max(os.path.getmtime(path) for path in glob.glob(os.path.join(HERE, "*.[ch]")))
    for name, sources in PROGRAMS.items():
        made = os.path.join(build, "bench", name)
        if os.path.exists(made) and os.path.getmtime(made) > newest:
            continue
        paths = [os.path.join(HERE, source) for source in sources]
        if subprocess.run([*COMPILE, "-o", made, *paths, *LIBRARIES], check=False).returncode:
            raise BenchError(f"bench/{name}.c did not compile")


class Process:
    def __init__(self, name, argv, folder, cpus, death=signal.SIGKILL, stdin=subprocess.DEVNULL,
                 stdout=subprocess.DEVNULL):
        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, death)
            os.sched_setaffinity(0, cpus)

        self.name = name
        self.log = os.path.join(folder, f"{name}.log")
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=log, cwd=folder, start_new_session=True,
                preexec_fn=prepare)
        self.pid = self.popen.pid

    def stop(self, patience=2):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(patience)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read().strip()[-400:]


class Lab:
    """Owns the temporary folder, the processes and the addresses."""

    def __init__(self, build, placed=None):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix="router-bench-")
        os.chmod(self.folder, 0o755)
        self.processes = []
        self.redis = None
        self.redis_port = 0
        self.placements = placed or placements()
        self.proxy_cpus, self.other_cpus = next(iter(self.placements.values()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, argv, cpus=None, **more):
        try:
            process = Process(name, argv, self.folder, cpus or self.other_cpus, **more)
        except FileNotFoundError as missing:
            raise BenchError(f"{argv[0]} is missing") from missing
        self.processes.append(process)
        return process

    def stop(self, process, **how):
        process.stop(**how)
        self.processes.remove(process)

    def place(self, placement, pids):
        """For Redis, the proxies' processes `pids`, and all that is started from now on."""
        self.proxy_cpus, self.other_cpus = self.placements[placement]
        bind(self.redis.pid, self.other_cpus)
        for pid in pids:
            bind(pid, self.proxy_cpus)

    def path(self, name, text):
        where = os.path.join(self.folder, name)
        with open(where, "w", encoding="ascii") as f:
            f.write(text)
        return where

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def certificate(self, kind):
        """A file of a self-signed certificate and its key, made once."""
        where = os.path.join(self.folder, kind + ".pem")
        if not os.path.exists(where):
            made = subprocess.run(
                ["openssl", "req", "-x509", *KEYS[kind], "-nodes", "-days", "30", "-subj",
                 "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example",
                 "-keyout", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            if made.returncode:
                raise BenchError(f"openssl: {made.stderr.decode(errors='replace').strip()[-400:]}")
            with open(os.open(where, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(made.stdout)
        return where

    def wait_ready(self, process, address, port, wrap=clear):
        request, reply = get_and_reply("small")
        until = time.monotonic() + START_SECONDS
        while not ask(address, port, request, reply, wrap):
            if process.popen.poll() is not None or time.monotonic() > until:
                raise BenchError(f"{process.name} did not start: {process.last_words()}")
            time.sleep(0.02)

    def start_redis(self, addresses):
        """One Redis for all; each proxy reaches it at an address of its own, so that none pays for
        the ports that another left in TIME_WAIT."""
        self.redis_port = free_port(addresses[0])
        self.redis = self.start("redis", [
            "redis-server", "--port", str(self.redis_port), "--bind", *addresses, "--save", "",
            "--appendonly", "no", "--maxclients", "9000", "--dir", self.folder])
        until = time.monotonic() + START_SECONDS
        for key, length in VALUES.items():
            request = resp(b"SET", key.encode(), b"v" * length)
            while not ask(addresses[0], self.redis_port, request, b"+OK\r\n"):
                if self.redis.popen.poll() is not None or time.monotonic() > until:
                    raise BenchError(f"redis-server did not start: {self.redis.last_words()}")
                time.sleep(0.02)

    def redis_clients(self, address):
        """Connections to Redis at `address`; probes are none, they ask for INFO."""
        with socket.create_connection((address, self.redis_port), timeout=5) as s:
            s.sendall(resp(b"CLIENT", b"LIST") + resp(b"QUIT"))
            listed = b"".join(iter(lambda: s.recv(65536), b"")).decode("ascii")
        return sum(f" laddr={address}:{self.redis_port} " in line and " cmd=info " not in line
                   and " cmd=client|list " not in line for line in listed.splitlines())

    def run(self, name, argv):
        """A load to its end, and what it printed."""
        process = self.start(name, argv, stdout=subprocess.PIPE)
        try:
            out, _ = process.popen.communicate(timeout=LOAD_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise BenchError(f"the {name} did not end in {LOAD_SECONDS} s") from late
        finally:
            self.stop(process)
        out = out.decode("utf-8", "replace")
        if process.popen.returncode:
            raise BenchError(process.last_words() or out[-400:])
        return out

    def load(self, address, port, watch, **options):
        """Runs bench/load once and returns what it printed."""
        argv = self.load_argv(address, port, options)
        for pid in watch:
            argv += ["-W", str(pid)]
        return json.loads(self.run("load", argv))

    def load_argv(self, address, port, options):
        argv = [self.program("load"), "-a", address, "-p", str(port)]
        key = options.get("key", "small")
        for name, value in {"key": key, "length": VALUES.get(key), **options}.items():
            argv += [LOAD_OPTIONS[name], str(value)]
        return argv

    def hold_idle(self, address, port, count, **options):
        """`count` connections, each of which asked once; they stay until the returned process is
        stopped."""
        argv = self.load_argv(address, port, {"mode": "idle", "connections": count, **options})
        process = self.start("idle", argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not process.popen.stdout.readline():
            raise BenchError(process.last_words())
        return process


def get_and_reply(key):
    value = b"v" * VALUES[key]
    return resp(b"GET", key.encode()), b"$%d\r\n%s\r\n" % (len(value), value)
