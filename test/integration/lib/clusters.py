"""Groups of database servers that all tests of a session share: they take long to start.

    conftest.py:  mariadb = clusters.fixture("mariadb", make)   # make(home) returns the cluster
    a test:       def test_it(mariadb): ...

Those that a collected test asks for start side by side while other tests run. A test may break
what it is lent: its reset() makes it as new, while other tests run if another one will ask for it,
and again before that one gets it; it must be quick about it if there is nothing to do. A factory
that cannot raises NotInstallable(words): the test is skipped."""
import collections
import contextlib
import queue
import threading
import time

import pytest

from lib.home import Home
from lib.waiting import SLOW

START_SECONDS = 180.0
END_SECONDS = 60.0

_factories = {}
_running = {}
_wanted = collections.Counter()  # how many tests to come ask for each


class NotInstallable(Exception):
    """The servers are not on this machine; the words say what is missing."""


class _Keeper:
    """Starts one cluster and ends it, in a thread that lives as long: the kernel kills the
    children of a thread that ends (see Process)."""

    def __init__(self, name, factory):
        self.name = name
        self.factory = factory
        self.cluster = None
        self.error = None
        self.seconds = None  # how long the start took
        self.home = Home()
        self.up = threading.Event()
        self.idle = threading.Event()
        self.work = queue.SimpleQueue()  # True: reset() is to be done; False: the end
        self.thread = threading.Thread(target=self._run, name=f"keeper of {name}", daemon=True)
        self.thread.start()

    def _run(self):
        began = time.monotonic()
        try:
            self.cluster = self.factory(self.home)
        except BaseException as error:  # told to every test that asks for the cluster
            self.error = error
        self.seconds = time.monotonic() - began
        self.idle.set()
        self.up.set()
        while self.work.get():
            with contextlib.suppress(Exception):  # whoever asks for it next will see it again
                self.cluster.reset()
            self.idle.set()
        self.home.close()

    def get(self):
        if not self.up.wait(START_SECONDS * SLOW):
            raise AssertionError(f"{self.name} did not start within {START_SECONDS * SLOW:.0f} s")
        if self.error:
            raise self.error
        if not self.idle.wait(START_SECONDS * SLOW):
            raise AssertionError(f"{self.name} was not repaired in {START_SECONDS * SLOW:.0f} s")
        return self.cluster

    def repair(self):
        """In the background."""
        self.idle.clear()
        self.work.put(True)

    def end(self):
        self.work.put(False)

    def join(self):
        self.thread.join(END_SECONDS * SLOW)
        assert not self.thread.is_alive(), f"{self.name} did not end"


def start(name, factory=None):
    """In the background; factory(home) builds it with what `home` will end. Again: no effect."""
    if name not in _running:
        _running[name] = _Keeper(name, factory or _factories[name])


def get(name):
    """The cluster, started if need be; waits until it is up. Raises what its factory raised."""
    start(name)
    return _running[name].get()


def seconds(name):
    """How long its start took."""
    return _running[name].seconds


def end(name):
    keeper = _running.pop(name)
    keeper.end()
    keeper.join()


def end_all():
    """For the end of the session."""
    keepers = list(_running.values())
    _running.clear()
    for keeper in keepers:
        keeper.end()
    for keeper in keepers:
        keeper.join()


def start_needed(items):
    """Starts what the collected tests name as a fixture, or in a parameter that has a `cluster`, in
    the order in which they need it."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        parameters = callspec.params.values() if callspec else ()
        named = [getattr(value, "cluster", None) for value in parameters]
        for name in {*getattr(item, "fixturenames", ()), *named} & set(_factories):
            _wanted[name] += 1
            start(name)


@contextlib.contextmanager
def lent(name):
    """The cluster as new, for a test."""
    yield _lend(name)
    _wanted[name] -= 1
    if _wanted[name] > 0 and name in _running:  # not at the end, with a fixture of a module
        _running[name].repair()


def _lend(name):
    """One that its reset() cannot repair is replaced."""
    try:
        cluster = get(name)
    except NotInstallable as missing:
        pytest.skip(str(missing))
    try:
        cluster.reset()
    except Exception as error:
        print(f"{name} was beyond repair, starts anew: {error}")
        end(name)
        cluster = get(name)
    return cluster


def fixture(name, factory):
    """To be bound to `name` in conftest.py."""
    _factories[name] = factory

    @pytest.fixture(name=name)
    def borrowed():
        with lent(name) as cluster:
            yield cluster

    return borrowed
