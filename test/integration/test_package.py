"""Promise: `make deb` makes a package that Debian's own checker has nothing to say about, that
installs, runs, and leaves nothing behind; its systemd unit is sound and locked down."""
import glob
import os
import re
import stat
import subprocess
import urllib.request

import pytest

from lib.chroot import Chroot
from lib.ini import frontend, section
from lib.process import Process, free_port
from lib.router import BINARY, BUILD
from lib.waiting import SLOW, until

PROJECT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
UNIT = os.path.join(PROJECT, "examples", "systemd", "router.service")

pytestmark = pytest.mark.skipif(SLOW != 1, reason="nobody packages a sanitizer's build")


@pytest.fixture(scope="module")
def package():
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("MAKE") and name not in ("MFLAGS", "DEBEMAIL")}
    for old in glob.glob(os.path.join(BUILD, "router_*.deb")):
        os.unlink(old)
    done = subprocess.run(["make", "-s", "deb", f"BUILD={BUILD}"], cwd=PROJECT, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return glob.glob(os.path.join(BUILD, "router_*.deb"))[0]


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], check=True, text=True,
                          capture_output=True).stdout.strip()


def test_lintian_has_nothing_to_say(package):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", package],
                          text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_it_has_all_that_it_should(package):
    listing = subprocess.run(["dpkg-deb", "-c", package], check=True, text=True,
                             capture_output=True).stdout
    files = set(re.findall(r" \.(/\S+[^/\s])$", listing, re.M))
    assert files >= {
        "/usr/bin/router", "/usr/bin/routerctl", "/lib/systemd/system/router.service",
        "/etc/default/router", "/etc/router/router.ini", "/usr/share/man/man8/router.8.gz",
        "/usr/share/man/man5/router.ini.5.gz", "/usr/share/man/man1/routerctl.1.gz",
        "/usr/share/bash-completion/completions/routerctl", "/usr/share/doc/router/copyright",
        "/usr/share/doc/router/README.md", "/usr/share/doc/router/changelog.gz",
        "/usr/share/doc/router/examples/redis-replication.ini"}
    assert all(line.split()[1] == "root/root" for line in listing.splitlines())
    depends = field(package, "Depends")
    for needed in ("libc6", "libuv1", "libssl3", "libhiredis", "libinih1", "adduser"):
        assert needed in depends


# In a Debian that has never seen it.


@pytest.fixture(scope="module")
def clean(package):
    depends = [word.split()[0] for word in field(package, "Depends").split(", ")]
    chroot = Chroot(os.path.join(BUILD, "clean-debian"), depends)
    try:
        if chroot.why:
            pytest.skip(chroot.why)
        yield chroot
    finally:
        chroot.close()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def passwd_of(clean):
    """uid, gid of the user router; None if there is none."""
    for line in read(clean.path("etc/passwd")).splitlines():
        if line.startswith("router:"):
            return int(line.split(":")[2]), int(line.split(":")[3])
    return None


# Of whoever adds users.
BACKUPS = {"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-"}


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read() == b"ready\n"
    except OSError:
        return False


def serve(clean, home):
    """Runs what was installed, as its user, and asks it."""
    admin = free_port()
    ini = (section("router", admin=f"127.0.0.1:{admin}") + frontend("f", free_port()) +
           section("backend b", protocol="tcp", probe="off", server="s 127.0.0.1:9"))
    with open(clean.path("etc/router/mine.ini"), "w", encoding="utf-8") as file:
        file.write(ini)
    uid, gid = passwd_of(clean)
    process = Process(["chroot", clean.root, "setpriv", f"--reuid={uid}", f"--regid={gid}",
                       "--clear-groups", "--pdeathsig", "KILL", "/usr/bin/router", "-c",
                       "/etc/router/mine.ini"], os.path.join(home.path, "log"))
    try:
        until(lambda: answers(f"http://127.0.0.1:{admin}/readyz"), "it to be ready", 10)
    finally:
        status = process.terminate()
    os.unlink(clean.path("etc/router/mine.ini"))
    assert status == 0, process.log


def test_it_installs_runs_and_leaves_nothing_behind(clean, package, home):
    before = clean.files()
    with open(package, "rb") as source, open(clean.path("router.deb"), "wb") as target:
        target.write(source.read())
    said = clean.run("dpkg", "--install", "router.deb")
    os.unlink(clean.path("router.deb"))
    assert "warning" not in said.lower(), said
    assert passwd_of(clean) is not None
    for name, mode in (("etc/router", 0o750), ("etc/router/router.ini", 0o640)):
        found = os.stat(clean.path(name))
        assert (found.st_uid, found.st_gid) == (0, passwd_of(clean)[1])
        assert stat.S_IMODE(found.st_mode) == mode
    assert clean.run("router", "-t", "-c", "/etc/router/router.ini") == (
        "/etc/router/router.ini: ok\n")
    assert clean.run("router", "-v").startswith("router ")
    check_unit(home, clean.path("lib/systemd/system"), clean.path("usr/bin/router"))
    serve(clean, home)

    assert "warning" not in clean.run("dpkg", "--remove", "router").lower()
    assert clean.files() - before - BACKUPS == {"etc/router", "etc/router/router.ini",
                                                "etc/default/router"}
    os.makedirs(clean.path("var/log/router"))
    clean.run("dpkg", "--purge", "router")
    assert clean.files() - BACKUPS == before - BACKUPS
    assert not os.path.exists(clean.path("var/log/router"))
    clean.run("dpkg", "--purge", "router", check=False)     # a second time says nothing bad


# The unit.


def check_unit(home, folder, binary=BINARY):
    """With the binary that there is: systemd wants to see it."""
    copy = os.path.join(home.directory("unit"), "router.service")
    with open(copy, "w", encoding="utf-8") as file:
        file.write(read(os.path.join(folder, "router.service")).replace("/usr/bin/router", binary))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    words = [line for line in done.stdout.splitlines() if "router.service" in line]
    assert (done.returncode, words) == (0, []), done.stdout


def test_the_unit_is_sound_and_locked_down(home):
    check_unit(home, os.path.dirname(UNIT))
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20",
                           "--no-pager", UNIT], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    unit = read(UNIT)
    for line in ("Type=notify", "ExecReload=kill -HUP $MAINPID", "NoNewPrivileges=yes",
                 "ProtectSystem=strict", "MemoryDenyWriteExecute=yes", "User=router",
                 "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"):
        assert f"\n{line}\n" in unit, line
