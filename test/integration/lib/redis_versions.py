"""The Redis servers that there are: this machine's own (7.0 on Debian 12), and those of Debian 13,
unpacked into a folder and run from there with their own libraries: nothing is installed."""
import fcntl
import glob
import os
import shutil

import pytest

from lib.chroot import mirror
from lib.process import Process

PROJECT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
SUITE = "trixie"
FOLDER = os.path.join(PROJECT, "build", SUITE)
UNPACKED = {"redis8": "redis-server", "valkey": "valkey-server"}  # packages, and their programs
NAMES = ["redis7", *UNPACKED]
MAKE_SECONDS = 120.0

_refused = []  # why they cannot be had, asked once in a session


def program(name):
    """The words that start this server, before its own arguments; lib.redis_server.Redis and
    home.redis() take them as `program`. Skips the test, in words, where it cannot be had."""
    if name not in UNPACKED:
        return ["redis-server"]
    if not os.path.exists(FOLDER) and not _refused:
        _make()
    if _refused:
        pytest.skip(_refused[0])
    loader, = glob.glob(os.path.join(FOLDER, "usr/lib*/ld-linux*"))
    libraries, = glob.glob(os.path.join(FOLDER, "usr/lib/*-linux-gnu*"))
    return [loader, "--library-path", libraries, os.path.join(FOLDER, "usr/bin", UNPACKED[name])]


def _make():
    """Ten seconds. Another pytest may be at it too."""
    os.makedirs(os.path.dirname(FOLDER), exist_ok=True)
    with open(FOLDER + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(FOLDER):
            _unpack(FOLDER + ".new")


def _unpack(folder):
    source = mirror()
    if source is None:
        _refused.append("this machine has no apt source for its own Debian")
        return
    shutil.rmtree(folder, ignore_errors=True)
    log = folder + ".log"
    maker = Process(["mmdebstrap", "--quiet", "--variant=extract",
                     "--include=" + ",".join(UNPACKED.values()), SUITE, folder, source[1]], log)
    try:
        status = maker.wait(MAKE_SECONDS)
    finally:
        maker.kill()
    words = maker.log[-400:]
    os.unlink(log)
    if status == 0:
        os.rename(folder, FOLDER)
    else:
        _refused.append(f"{', '.join(UNPACKED)} of Debian {SUITE} cannot be unpacked: {words}")
