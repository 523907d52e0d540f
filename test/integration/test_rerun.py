"""Promise: where .ci/run runs a failed test again, chance is forgiven and told, and nothing else:
not what fails twice, no crash, no sanitizer's report, no lost write, not many tests of one run."""
import os
import subprocess
import sys

import pytest

from lib.rerun import AT_MOST
from lib.router import BUILD
from lib.waiting import SLOW

HERE = os.path.dirname(os.path.abspath(__file__))
CONFTEST = """
import pytest
from lib import rerun
from lib.home import Home

pytest_runtest_protocol = rerun.protocol

def pytest_terminal_summary(terminalreporter):
    rerun.terminal_summary(terminalreporter)

@pytest.fixture
def home():
    place = Home()
    yield place
    place.close()
"""
PREFACE = """
import os, signal, pytest
from lib import rerun, writers
from lib.fake import echo
from lib.ini import frontend, tcp_backend
from lib.process import free_port

def first(what="ran"):
    mark = os.path.join(os.path.dirname(__file__), what)
    if os.path.exists(mark):
        return False
    open(mark, "w").close()
    return True

def router(home):
    return home.router(frontend("f", free_port()) + tcp_backend(home.fake(echo)))
"""


class Played:
    """What pytest says of a file with this text."""

    def __init__(self, home, text, rerun=True):
        folder = home.directory("tests")
        names = os.path.join(folder, "unstable")
        home.file(os.path.join(folder, "conftest.py"), CONFTEST)
        home.file(os.path.join(folder, "test_it.py"), PREFACE + text)
        environment = dict(os.environ, PYTHONPATH=HERE, PYTEST_ADDOPTS="", ROUTER_BUILD=BUILD,
                           ROUTER_UNSTABLE=names if rerun else "")
        self.said = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-B", "-m", "pytest", "-q",
             "-p", "no:cacheprovider", "--rootdir", folder, folder], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60 * SLOW, check=False, env=environment).stdout
        self.unstable = []
        if os.path.exists(names):
            with open(names, encoding="utf-8") as file:
                self.unstable = file.read().splitlines()

    def ended(self, words):
        """In its last line."""
        return self.said.splitlines()[-1].startswith(words)


ONCE = """
def test_once():
    assert not first(), "only the first time"
"""


def test_what_passes_the_second_time_is_named_and_its_failure_is_told(home):
    played = Played(home, ONCE)
    assert played.unstable == ["test_it.py::test_once"]
    assert played.ended("1 passed in"), played.said
    assert "unstable: test_it.py::test_once" in played.said
    assert "only the first time" in played.said


def test_a_developers_run_forgives_nothing(home):
    played = Played(home, ONCE, rerun=False)
    assert played.unstable == []
    assert played.ended("1 failed in"), played.said


def test_what_fails_twice_fails_and_both_failures_are_told(home):
    played = Played(home, """
def test_always():
    assert not first(), "the first time"
    assert False, "the second time"
""")
    assert played.unstable == []
    assert played.ended("1 failed in"), played.said
    assert "the first time" in played.said and "the second time" in played.said


@pytest.mark.parametrize("sin", [
    "os.kill(place.pid, signal.SIGABRT); place.process.wait()",
    "os.kill(place.pid, signal.SIGSEGV)",
    "place.process.kill()",
    "print('==1==ERROR: AddressSanitizer: heap-use-after-free', file=open(log, 'a'))",
    "print('==1==ERROR: LeakSanitizer: detected memory leaks', file=open(log, 'a'))",
    "print('WARNING: ThreadSanitizer: data race', file=open(log, 'a'))",
    "print('a.c:1:2: runtime error: signed integer overflow', file=open(log, 'a'))",
    "place.stop(status=3)",
    "writers.Report(1, [], [], [1], [], [], 0.0).check()",
    "writers.Report(1, [], [], [], [1], [], 0.0).check()",
])
def test_what_may_not_happen_once_is_not_run_again(home, sin):
    """Whether the test trips over it itself or its end does, and whatever else fails then."""
    played = Played(home, f"""
def test_it(home):
    place = router(home)
    log = place.process.log_path
    if first():
        {sin}
        raise AssertionError("something that waited in vain")
""")
    assert played.unstable == []
    assert played.ended("1 failed"), played.said
    assert "Run again" not in played.said


def test_a_fixture_of_a_wider_scope_is_made_again_if_it_failed(home):
    played = Played(home, """
@pytest.fixture(scope="module")
def shared():
    assert not first(), "the first time"
    yield ["it"]

def test_one(shared):
    assert shared == ["it"]

def test_two(shared):
    assert shared == ["it"]
""")
    assert played.unstable == ["test_it.py::test_one"]
    assert played.ended("2 passed in"), played.said


@pytest.mark.parametrize("which", ["one", "two"])
def test_a_fixture_of_a_wider_scope_serves_a_second_run(home, which):
    """Also when the test is the last one that has it: then it was ended in between."""
    played = Played(home, """
open_now = []

@pytest.fixture(scope="session")
def shared():
    open_now.append("it")
    yield open_now
    open_now.remove("it")

@pytest.fixture
def own(shared):
    shared.append("own")
    yield shared
    shared.remove("own")

@pytest.mark.parametrize("name", ["one", "two"])
def test_it(own, name):
    assert own == ["it", "own"]
    assert name != "%s" or not first(), "the first time"
""" % which)
    assert played.unstable == [f"test_it.py::test_it[{which}]"]
    assert played.ended("2 passed in"), played.said


def test_a_failure_of_the_end_is_run_again_too(home):
    played = Played(home, """
@pytest.fixture
def own():
    yield
    assert not first(), "at the end"

def test_it(own):
    pass
""")
    assert played.unstable == ["test_it.py::test_it"]
    assert played.ended("1 passed in"), played.said


def test_more_than_a_few_are_no_chance(home):
    played = Played(home, f"""
@pytest.mark.parametrize("i", range({AT_MOST + 2}))
def test_it(i):
    assert not first(str(i)), "the first time"
""")
    assert len(played.unstable) == AT_MOST
    assert played.ended(f"2 failed, {AT_MOST} passed in"), played.said
