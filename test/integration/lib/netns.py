"""Two network namespaces with a cable between them, that can be pulled.

While a Cable lives, the calling thread is in the near one: what it starts there (routers, fakes,
threads) is there too, and has a loopback of its own. Sockets made in `with cable.far():` are at the
other end. The namespaces have no name: they end with the last that is in them, whatever happens."""
import contextlib
import ctypes
import os
import subprocess

import pytest

from lib.waiting import until

CLONE_NEWNET = 0x40000000
NEAR, FAR = "10.77.0.1", "10.77.0.2"
NEAR_HARDWARE, FAR_HARDWARE = "02:00:00:00:00:01", "02:00:00:00:00:02"
NOBODYS_HARDWARE = "02:00:00:00:00:ff"


def _call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _open_current():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _ip(*arguments):
    done = subprocess.run(["ip", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


class Cable:
    """keep() it before all that is to run in it, so that it is the last to be closed."""

    def __init__(self):
        self.home_fd = _open_current()
        self.fds = [self.home_fd]
        try:
            _call("unshare", CLONE_NEWNET)
        except OSError as error:
            os.close(self.home_fd)
            pytest.skip(f"no network namespaces here: {error}")
        try:
            self._lay()
        except BaseException:
            self.close()
            raise

    def _lay(self):
        self.near_fd = _open_current()
        self.fds.append(self.near_fd)
        _call("unshare", CLONE_NEWNET)
        self.far_fd = _open_current()
        self.fds.append(self.far_fd)
        _call("setns", self.near_fd, CLONE_NEWNET)
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "near", "address", NEAR_HARDWARE, "type", "veth", "peer", "name", "far",
            "address", FAR_HARDWARE, "netns", f"/proc/{os.getpid()}/fd/{self.far_fd}")
        _ip("address", "add", f"{NEAR}/24", "dev", "near")
        _ip("link", "set", "near", "up")
        with self.far():
            _ip("link", "set", "lo", "up")
            _ip("address", "add", f"{FAR}/24", "dev", "far")
            _ip("link", "set", "far", "up")
        self.plug()
        until(lambda: "LOWER_UP" in _ip("-o", "link", "show", "near"), "the link to be up")

    @contextlib.contextmanager
    def far(self):
        """This thread is at the other end meanwhile."""
        _call("setns", self.far_fd, CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", self.near_fd, CLONE_NEWNET)

    def pull(self):
        """What either end sends reaches nobody, and nobody is told so."""
        self._send_to(NOBODYS_HARDWARE, NOBODYS_HARDWARE)

    def plug(self):
        self._send_to(FAR_HARDWARE, NEAR_HARDWARE)

    def _send_to(self, from_near, from_far):
        _ip("neigh", "replace", FAR, "lladdr", from_near, "dev", "near", "nud", "permanent")
        with self.far():
            _ip("neigh", "replace", NEAR, "lladdr", from_far, "dev", "far", "nud", "permanent")

    def close(self):
        _call("setns", self.home_fd, CLONE_NEWNET)
        for fd in self.fds:
            os.close(fd)
