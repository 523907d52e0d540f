"""Packages for Node.js, as clients/package-lock.json names them, from whatever registry this
machine uses; they are below the build directory and installed once."""
import fcntl
import hashlib
import os
import shutil

import pytest

from lib.process import Process

HERE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "clients"))
FOLDER = os.path.abspath(os.path.join(HERE, "../../../build/node"))
LISTS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 60.0

_refused = []  # why they cannot be had, asked once in a session


def modules():
    """The folder node_modules. Skips the test, in npm's words, where there is none to be had."""
    digest = hashlib.sha256()
    for name in LISTS:
        with open(os.path.join(HERE, name), "rb") as file:
            digest.update(file.read())
    place = os.path.join(FOLDER, digest.hexdigest()[:16])
    if not os.path.exists(place) and not _refused:
        os.makedirs(FOLDER, exist_ok=True)
        with open(os.path.join(FOLDER, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(place):
                _install(place)
    if _refused:
        pytest.skip(_refused[0])
    return os.path.join(place, "node_modules")


def _install(place):
    new = place + ".new"
    shutil.rmtree(new, ignore_errors=True)
    os.makedirs(new)
    for name in LISTS:
        shutil.copy(os.path.join(HERE, name), new)
    npm = Process(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], new + ".log",
                  cwd=new)
    try:
        status = npm.wait(INSTALL_SECONDS)
    except AssertionError as error:
        status = str(error)
    finally:
        npm.kill()
    if status == 0:
        os.rename(new, place)
    else:
        _refused.append(f"npm could not install the packages: {status}\n{npm.log[-400:]}")
