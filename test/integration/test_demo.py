"""The demo: what a newcomer sees first. It must be true, tell when it is not, and leave nothing."""
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from lib.waiting import until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("ROUTER_BUILD", os.path.join(ROOT, "build"))
DEMO = os.path.join(ROOT, "examples", "demo", "demo.py")
STUB = os.path.join(os.path.dirname(__file__), "demo_stub.py")
SECONDS = 60


class Started:
    """A demo in a temporary directory of its own, so that what it leaves behind is seen."""

    def __init__(self, home, argv, stdout=subprocess.PIPE):
        self.folder = home.directory("tmp")
        env = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        env.update(TMPDIR=self.folder)
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout,
                                      stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=env,
                                      start_new_session=True)
        home.keep(self)

    def finish(self):
        output, _ = self.popen.communicate(timeout=SECONDS)
        return self.popen.returncode, output

    def processes(self):
        """What runs with our TMPDIR, or in it: Redis writes over its environment."""
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and self._is_ours(pid)]

    def _is_ours(self, pid):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(self.folder):
                return True
            with open(f"/proc/{pid}/environ", "rb") as file:
                return f"TMPDIR={self.folder}\0".encode() in file.read()
        except OSError:
            return False

    def wait_nothing_left(self):
        until(lambda: not self.processes() and not os.listdir(self.folder), "nothing left behind")

    def close(self):
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()


def demo(router):
    return [sys.executable, "-B", DEMO, "--router", router]


def stub(home, mode):
    path = home.file(mode, f'#!/bin/sh\nexec {sys.executable} -B {STUB} {mode} "$@"\n')
    os.chmod(path, 0o755)
    return demo(path)


def figure(output, words):
    """The number in front of `words` in the table."""
    (found,) = re.findall(rf"^ +([\d,]+)(?: ms)?  .*{re.escape(words)}", output, re.M)
    return int(found.replace(",", ""))


def test_make_demo_keeps_its_promises_ends_by_itself_and_leaves_nothing(home):
    started = Started(home, ["make", "demo"])
    status, output = started.finish()
    assert status == 0, output
    assert figure(output, "writes acknowledged") > 500
    assert figure(output, "acknowledged writes lost beyond that") == 0
    assert figure(output, "taken by redis-0 after it had been replaced") == 0
    assert figure(output, "pause in writes when redis-0 was killed") >= 1000
    assert figure(output, "of that after the promotion") < 1000
    assert figure(output, "client errors") <= 8
    assert re.search(r"Stats page: http://127\.0\.0\.1:\d+/", output)
    started.wait_nothing_left()


def test_a_router_that_follows_the_first_master_is_caught_writing_to_the_old_one(home):
    status, output = Started(home, stub(home, "first-master")).finish()
    assert status == 1, output
    assert figure(output, "taken by redis-0 after it had been replaced") > 0
    assert "BROKEN" in output


def test_a_router_that_acknowledges_what_it_does_not_keep_is_caught(home):
    status, output = Started(home, stub(home, "liar")).finish()
    assert status == 1, output
    assert figure(output, "acknowledged writes lost beyond that") > 100


def test_a_router_that_never_finds_the_new_primary_is_caught(home):
    status, output = Started(home, stub(home, "fixed")).finish()
    assert status == 1, output
    assert "no write was acknowledged within" in output


def test_a_relay_that_happens_to_choose_well_passes(home):
    """Or the failures above would prove nothing."""
    started = Started(home, stub(home, "last-master"))
    status, output = started.finish()
    assert status == 0, output
    started.wait_nothing_left()


def test_a_router_that_does_not_start_is_told_in_one_line(home):
    started = Started(home, demo("/nonexistent/router"))
    status, output = started.finish()
    assert status == 1
    assert "cannot start /nonexistent/router" in output and "Traceback" not in output
    started.wait_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_that_is_stopped_in_the_middle_leaves_nothing(home, number):
    started = Started(home, stub(home, "last-master"))
    assert any("redis-0 is killed" in line for line in started.popen.stdout)
    assert len(started.processes()) >= 5  # two servers, the stub, demo and caretaker
    started.popen.send_signal(number)
    status, output = started.finish()
    assert status == (-number if number == signal.SIGKILL else 128 + number), output
    started.wait_nothing_left()


def test_a_demo_whose_reader_left_ends_quietly_and_leaves_nothing(home):
    started = Started(home, ["bash", "-c", 'set -o pipefail; "$@" | true', "bash"]
                      + stub(home, "last-master"))
    status, output = started.finish()
    assert (status, output) == (128 + signal.SIGPIPE, "")
    started.wait_nothing_left()


class Terminal:
    """The demo's output as a terminal gets it."""

    def __init__(self, home, argv):
        self.master, slave = pty.openpty()
        self.started = Started(home, argv, stdout=slave)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.text = ""
        home.keep(self)

    def shows(self, words):
        try:
            self.text += os.read(self.master, 65536).decode()
        except OSError:
            pass
        return words in self.text

    def close(self):
        os.close(self.master)


def test_at_a_terminal_the_demo_goes_on_until_ctrl_c(home):
    terminal = Terminal(home, demo(os.path.join(BUILD, "router")))
    until(lambda: terminal.shows("Ctrl-C ends"), "the live line", timeout=SECONDS)
    address = re.search(r"Stats page: (http://\S+)", terminal.text).group(1)
    with urllib.request.urlopen(address, timeout=5) as page:
        assert b"redis-0" in page.read() or page.status == 200
    assert terminal.started.popen.poll() is None
    terminal.started.popen.send_signal(signal.SIGINT)
    assert terminal.started.popen.wait(SECONDS) == 0
    terminal.started.wait_nothing_left()
