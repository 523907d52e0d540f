"""The router under test: a configuration, a process, its own numbers."""
import http.client
import json
import os
import re
import signal
import subprocess

from lib.ini import section
from lib.process import Process, free_port
from lib.rerun import unforgivable
from lib.waiting import SLOW, until

BUILD = os.path.abspath(os.environ.get("ROUTER_BUILD", os.path.join(
    os.path.dirname(__file__), "..", "..", "..", "build")))
BINARY = os.path.join(BUILD, "router")
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")
CRASHES = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE,
           signal.SIGTRAP, signal.SIGSYS, signal.SIGPIPE}


def run(*args, timeout=20, nofile=None, user=None, env=None, stdin=subprocess.DEVNULL,
        wrap=lambda argv: argv):
    """Runs the binary to its end: a CompletedProcess with text. `wrap` makes another command of
    the one it is given."""
    wrapper = ["setpriv", "--pdeathsig", "KILL"]
    if user is not None:
        wrapper[1:1] = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    if nofile is not None:
        wrapper += ["prlimit", f"--nofile={nofile}:{nofile}"]
    environment = dict(os.environ, **(env or {}))
    done = subprocess.run(wrapper + wrap([BINARY, *args]), stdin=stdin, capture_output=True,
                          text=True, timeout=timeout * SLOW, check=False, env=environment)
    judge(done.returncode, done.stderr)
    return done


def judge(status, log):
    """What nothing excuses: an end by a signal of its own making (a crash, an assertion), a report
    by a sanitizer (a leak is one)."""
    report = SANITIZER_REPORT.search(log)
    with unforgivable():
        assert not report, log[max(0, report.start() - 200):][:8000]
        assert status is None or -status not in CRASHES, f"status {status}\n{log[-4000:]}"


class _RouterProcess(Process):
    """Judged when it is seen to have ended, whichever way a test looks at it."""

    judged = False

    def running(self):
        if super().running():
            return True
        if not self.judged:
            self.judged = True
            judge(self.popen.returncode, self.log)
        return False


class Router:
    """`sections` is router.ini without [router]; its keys are the keyword arguments. `user` starts
    it, `becomes` is its own key of that name; `wrap` as for run()."""

    flag = "-c"

    def __init__(self, directory, sections, nofile=None, user=None, start=True, env=None,
                 becomes=None, wrap=lambda argv: argv, **router_keys):
        self.directory = directory
        self.admin_port = free_port()
        keys = {"workers": 2, "admin": f"127.0.0.1:{self.admin_port}", "drain_timeout": "5s",
                **router_keys, **({"user": becomes} if becomes else {})}
        self.keys = keys
        self.path = os.path.join(directory, "router.ini")
        self.write(sections)
        self.process = None
        self.ended = False
        self.limits = {"nofile": nofile, "user": user}
        self.env = dict(os.environ, **(env or {}))
        self.wrap = wrap
        if start:
            self.start()

    def start(self, wait=True):
        self.ended = False
        log = os.path.join(self.directory, "stderr")
        self.process = _RouterProcess(self.wrap([BINARY, self.flag, self.path]), log, env=self.env,
                                      **self.limits)
        if wait:
            try:
                until(self._listening, "the router's /readyz", 10)
            except BaseException:
                self.process.kill()
                raise
        return self

    def _listening(self):
        assert self.process.running(), f"the router ended:\n{self.log}"
        return self.http("/readyz", missing_ok=True)[0] == 200

    def write(self, sections, **keys):
        """The configuration as a whole, put into its place at once."""
        self.keys.update(keys)
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(section("router", **self.keys) + sections)
        os.rename(self.path + ".new", self.path)

    def reload(self, sections=None, taken=True, **keys):
        """SIGHUP, and until it is done."""
        words = "is in force" if taken else "was not taken"
        before = self.log.count(words)
        if sections is not None:
            self.write(sections, **keys)
        self.process.signal(signal.SIGHUP)
        until(lambda: self.log.count(words) > before or not self.process.running(),
              f"a reload that {words}\n", 10)
        assert self.process.running(), self.log[-3000:]

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.process.log

    # Its numbers.

    def http(self, path, missing_ok=False):
        """(status, body); status 0 if nobody listens and that is fine."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5 * SLOW)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8")
        except (ConnectionError, http.client.HTTPException):
            if missing_ok:
                return 0, ""
            raise
        finally:
            connection.close()

    def stats(self):
        status, body = self.http("/stats.json")
        assert status == 200
        return Stats(json.loads(body))

    def wait_for(self, condition, what, timeout=5.0):
        """Until condition(stats) is true; returns that stats."""
        last = None

        def met():
            nonlocal last
            assert self.process.running(), f"the router ended:\n{self.log}"
            last = self.stats()
            return last if condition(last) else None

        try:
            return until(met, what, timeout, poll=0.01)
        except AssertionError as error:
            numbers = json.dumps(last, indent=1)[:6000]
            raise AssertionError(f"{error}\n{numbers}\n{self.log[-4000:]}") from None

    def wait_primary(self, server, backend=None, timeout=10.0):
        return self.wait_for(lambda s: s.backend(backend)["primary"] == server
                             and s.backend(backend)["verdict"] == "primary"
                             and s.server(server, backend)["access"] == "open",
                             f"{server} to be the primary", timeout)

    # Its end.

    def stop(self, status=0, timeout=15.0):
        """SIGTERM; it must leave with `status`."""
        self.ended = True
        got = self.process.terminate(timeout)
        self.check_log()
        with unforgivable():
            assert got == status, f"exit status {got}\n{self.log[-4000:]}"

    def check_log(self):
        judge(None, self.log)

    def close(self):
        if self.process is None or self.ended:
            return
        died = not self.process.running()
        if died:
            self.ended = True
            self.check_log()
            with unforgivable():
                raise AssertionError(f"the router died, status {self.process.popen.returncode}:\n"
                                     f"{self.log[-4000:]}")
        try:
            self.stop()
        finally:
            self.process.kill()


class Stats(dict):
    def frontend(self, name=None):
        return next(f for f in self["frontends"] if name in (None, f["name"]))

    def backend(self, name=None):
        return next(b for b in self["backends"] if name in (None, b["name"]))

    def server(self, name, backend=None):
        return next(s for s in self.backend(backend)["servers"] if s["name"] == name)
