"""A router that other processes of it take the place of: all of them are followed, and ended."""
import os
import select
import shutil
import signal
import subprocess

from lib.process import Process
from lib.rerun import unforgivable
from lib.router import BINARY, Router, judge
from lib.waiting import until

MIDDLEMAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "middleman.py")


class Heir(Process):
    """Somebody else's child. What is signalled is this process, whoever gets its number later."""

    def __init__(self, pid, log_path):
        self.pid = pid
        self.argv = [f"process {pid}"]
        self.log_path = log_path
        self.handle = os.pidfd_open(pid)

    def running(self):
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return not poll.poll(0)

    def signal(self, number):
        if self.running():
            signal.pidfd_send_signal(self.handle, number)

    def wait(self, timeout=10.0):
        """Nobody but its parent knows the status."""
        until(lambda: not self.running(), f"process {self.pid} to end", timeout)
        return 0

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()
        return -signal.SIGKILL


class Upgraded(Router):
    """`process` is always the one that serves, `before` are the others. The program is a copy, so
    that another one can be put into its place. All are one process group, which ends with us."""

    def __init__(self, home, sections, **options):
        directory = home.directory("router")
        self.before = []
        self.killed = 0
        self.program = os.path.join(directory, "program")
        shutil.copy(BINARY, self.program)
        self.guard = None
        super().__init__(directory, sections, start=False,
                         wrap=lambda argv: [self.program, *argv[1:]], **options)
        home.keep(self)
        self.start()

    def start(self, wait=True):
        super().start(wait=False)
        self.group = self.process.pid
        self.guard = subprocess.Popen(
            ["sh", "-c", f"cat >/dev/null; kill -KILL -- -{self.group}"], stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        if wait:
            until(self._listening, "the router's /readyz", 10)
        return self

    def put(self, program):
        """Another program, for the next upgrade."""
        shutil.copy(program, self.program + ".new")
        os.chmod(self.program + ".new", 0o755)
        os.rename(self.program + ".new", self.program)

    def put_middleman(self, **rules):
        """See lib/middleman.py."""
        self.put(MIDDLEMAN)
        with open(self.program + ".rules", "w", encoding="ascii") as file:
            file.writelines(f"{key}={value}\n" for key, value in {"program": BINARY,
                                                                  **rules}.items())

    def begin_and_stay(self, word):
        """Until the middleman has got that word, and waits for go_on()."""
        self.put_middleman(act="wait", word=word)
        self.begin()
        until(lambda: os.path.exists(self.program + ".there"), f"{word}\n{self.log[-2000:]}", 10)

    def go_on(self):
        """What the middleman waits for."""
        with open(self.program + ".go", "w", encoding="ascii"):
            pass

    def begin(self):
        self.process.signal(signal.SIGUSR2)

    def pid_that_serves(self):
        status, body = self.http("/stats.json", missing_ok=True)
        return int(body.split('"pid":', 1)[1].split(",", 1)[0]) if status == 200 else None

    def turn(self, timeout=20.0):
        """Until another process serves; returns the one before."""
        old = self.process

        def another():
            pid = self.pid_that_serves()
            return pid if pid != old.pid else None

        try:
            # Asked once more, the old one may still answer what it had accepted.
            pid = until(another, "another process to serve", timeout, poll=0.01)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-3000:]}") from None
        self.before.append(old)
        self.process = Heir(pid, old.log_path)
        return old

    def upgrade(self):
        self.begin()
        return self.turn()

    def fail(self, what):
        """An upgrade that comes to nothing."""
        words = "this one goes on"
        before = self.log.count(words)
        self.begin()
        until(lambda: self.log.count(words) > before, f"{what} to fail", 20)
        until(lambda: not children(self.process.pid), "the child to be gone")

    def close(self):
        try:
            self._end()
        finally:
            try:
                os.killpg(self.group, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.guard.stdin.close()
            self.guard.wait()
        judge(None, self.log)

    def _end(self):
        everybody = [self.process, *reversed(self.before)]
        for process in everybody:
            process.signal(signal.SIGTERM)
        for process in everybody:
            process.wait(20)
        ended = self.log.count("router has ended")
        with unforgivable():
            assert ended == len(everybody) - self.killed, self.log[-4000:]


def children(pid):
    """Zombies too."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()
