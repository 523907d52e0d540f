"""One child process: ended by its pid, also when the test fails, the interpreter included."""
import os
import random
import signal
import socket
import subprocess

from lib.waiting import until

BELOW_EPHEMERAL = range(10000, 32000)
_given = set()


def free_port(host="127.0.0.1"):
    """A port nobody listens on, below the range the kernel takes client ports from."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(1000):
        port = random.choice(BELOW_EPHEMERAL)
        if port in _given:
            continue
        with socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
                sock.listen()
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError("no free port")


class Process:
    """Starts argv. `log` is the file that takes standard error (and output, unless `pipe`).

    The kernel kills the child when pytest dies (PR_SET_PDEATHSIG, by setpriv), so start one from
    the main thread only: the signal comes when the starting *thread* ends. A session of its own
    keeps a Ctrl-C from it: pytest ends it, or its death does."""

    def __init__(self, argv, log, env=None, nofile=None, user=None, cwd=None):
        wrapper = ["setpriv"]
        if user is not None:
            wrapper += [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        wrapper += ["--pdeathsig", "KILL"]
        if nofile is not None:
            wrapper += ["prlimit", f"--nofile={nofile}:{nofile}"]
        self.log_path = log
        self.argv = argv
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(wrapper + argv, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, env=env, cwd=cwd, start_new_session=True)
        self.pid = self.popen.pid

    @property
    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def wait(self, timeout=10.0):
        """The exit status."""
        until(lambda: not self.running(), f"{self.argv[0]} to end", timeout)
        return self.popen.returncode

    def terminate(self, timeout=10.0):
        """SIGTERM, and SIGKILL if that does not help. The exit status."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except AssertionError:
            return self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.popen.wait()

    # What the kernel says about it.

    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sockets(self):
        """How many it has open. Its other descriptors are the loops' own."""
        return len(self.socket_inodes())

    def socket_inodes(self):
        """{inode: descriptor} of its sockets."""
        found = {}
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                target = os.readlink(f"/proc/{self.pid}/fd/{name}")
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                found[int(target[8:-1])] = int(name)
        return found
