"""Promise: a router that root starts becomes its user once everything is bound, in every thread and
for good; what that user could not read again is told before; one pid_file belongs to one router."""
import os
import pwd
import shutil
import signal
import socket
import stat

import pytest

from lib import router as router_module
from lib.fake import echo
from lib.ini import frontend, section, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.router import run
from lib.sockets import local
from lib.waiting import until

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root can start it and let it become a user")
# Who became another user cannot be looked into by its own leak checker, so not all are for it.
sanitize = pytest.mark.sanitize

NOBODY = pwd.getpwnam("nobody")
BIND_SERVICE = 1 << 10      # CAP_NET_BIND_SERVICE


def statuses(pid):
    """Of each thread: /proc/PID/task/*/status as a dictionary."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as file:
            found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
    return found


def capabilities(status):
    return {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}


def relay(home, port=None, **options):
    port = port or free_port()
    router = home.router(frontend("f", port) + tcp_backend(home.fake(echo)), **options)
    with connect(local(port)) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    return router


def own_directory(home, name):
    path = os.path.join(home.path, name)
    os.mkdir(path, 0o755)
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    return path


def low_port():
    for port in range(600, 1023):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port below 1024")


def check(home, text, user=None):
    path = home.file(f"{len(os.listdir(home.path))}.ini", text)
    done = run("-t", "-c", path, user=user)
    return done.returncode, done.stderr.replace(home.path, "")


def ini(**keys):
    return (section("router", admin="off", **keys) + frontend("f", free_port()) +
            section("backend b", protocol="tcp", probe="off", server="s 127.0.0.1:9"))


# Who it is.


@needs_root
def test_it_becomes_the_user_in_all_threads_for_good(home):
    router = relay(home, becomes="nobody", workers=2)
    found = statuses(router.pid)
    assert len(found) >= 3
    for status in found:
        assert set(status["Uid"].split()) == {str(NOBODY.pw_uid)}
        assert set(status["Gid"].split()) == {str(NOBODY.pw_gid)}
        assert status["Groups"].split() == [str(NOBODY.pw_gid)]
        assert set(capabilities(status).values()) == {0}
        assert status["NoNewPrivs"] == "1"


@needs_root
def test_low_ports_are_all_that_is_kept_and_only_if_there_is_one(home):
    router = relay(home, low_port(), becomes=NOBODY.pw_uid, group="daemon", workers=1)
    for status in statuses(router.pid):
        assert set(status["Uid"].split()) == {str(NOBODY.pw_uid)}
        assert set(status["Gid"].split()) == {str(pwd.getpwnam("daemon").pw_gid)}
        assert set(capabilities(status).values()) == {BIND_SERVICE}


@sanitize
def test_without_a_user_it_stays_what_it_is_and_gains_nothing(home):
    for status in statuses(relay(home, workers=1).pid):
        assert set(status["Uid"].split()) == {str(os.geteuid())}
        assert status["NoNewPrivs"] == "1"


@sanitize
def test_a_user_that_is_none_or_cannot_be_had_is_refused(home, monkeypatch):
    assert check(home, ini(user="who-is-that")) == (1, 'router: there is no user "who-is-that"\n')
    assert check(home, ini(group="which-is")) == (1, 'router: there is no group "which-is"\n')
    user = NOBODY.pw_uid if ROOT else None
    path = home.file("other.ini", ini(user="daemon"))
    if ROOT:        # where the build lies need not be open to that user
        monkeypatch.setattr(router_module, "BINARY", shutil.copy(router_module.BINARY, home.path))
    done = run("-c", path, user=user)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1, 'router: only root can become another user or group ("daemon")')
    assert run("-t", "-c", path, user=user).returncode == 0     # it cannot tell


@needs_root
def test_an_upgrade_keeps_the_user_and_its_low_ports(home, monkeypatch):
    """The new process is begun by the user; it may take a port below 1024 anew, too."""
    monkeypatch.setattr(router_module, "BINARY", shutil.copy(router_module.BINARY, home.path))
    pids, port = os.path.join(own_directory(home, "run"), "pid"), low_port()
    router = relay(home, port, becomes="nobody", pid_file=pids, workers=1)
    router.ended = True
    router.process.signal(signal.SIGUSR2)
    pid = until(lambda: pid_in(pids) != router.pid and pid_in(pids), "the new process", 15)
    try:
        assert router.process.wait(10) == 0
        with connect(local(port)) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        for status in statuses(pid):
            assert set(status["Uid"].split()) == {str(NOBODY.pw_uid)}
            assert capabilities(status)["CapEff"] == BIND_SERVICE
        os.kill(pid, signal.SIGTERM)
        until(lambda: not os.path.exists(pids), "its end", 10)
    finally:
        if os.path.exists(pids):
            os.kill(pid, signal.SIGKILL)


def pid_in(path):
    with open(path, encoding="ascii") as file:
        return int(file.read() or 0)


# What it must read again.


@needs_root
def test_files_that_the_user_cannot_read_again_are_told(home):
    secret = home.file("secret", "pass\n")
    os.chmod(secret, 0o600)
    keys = {"admin_user": "ops", "admin_password_file": secret, "user": "nobody"}
    text = ini(**keys).replace("admin = off", "admin = 127.0.0.1:1")
    words = ('router: "nobody" must be able to read again what it cannot read: /secret '
             "(permission denied)\n")
    assert check(home, text) == (1, words)
    done = run("-c", home.file("start.ini", text))
    assert (done.returncode, done.stderr.replace(home.path, "").splitlines()[-1] + "\n") == (
        1, words)
    os.chown(secret, 0, NOBODY.pw_gid)
    os.chmod(secret, 0o640)
    assert check(home, text)[0] == 0
    os.chmod(home.path, 0o700)      # the way to it counts too, and to the configuration
    status, told = check(home, text)
    os.chmod(home.path, 0o755)
    assert status == 1 and told.count("permission denied") == 2 and ".ini (" in told


@needs_root
def test_a_password_is_read_again_as_the_user(home):
    directory = own_directory(home, "mine")
    path = os.path.join(directory, "password")
    with open(path, "w", encoding="ascii") as file:
        file.write("one")
    os.chown(path, NOBODY.pw_uid, 0)
    os.chmod(path, 0o400)
    router = relay(home, becomes="nobody", admin_user="ops", admin_password_file=path)
    with open(path, "w", encoding="ascii") as file:
        file.write("two")
    until(lambda: "the password in" in router.log, "the change to be seen", 10)


# What it leaves in the file system.


@needs_root
def test_socket_files_and_the_log_are_the_users(home):
    directory = own_directory(home, "run")
    paths = {name: os.path.join(directory, name) for name in ("f.sock", "c.sock", "log", "pid")}
    router = home.router(
        frontend("f", f"unix:{paths['f.sock']}") + tcp_backend(home.fake(echo)), becomes="nobody",
        control=paths["c.sock"], log=f"file:{paths['log']}", pid_file=paths["pid"])
    for path in paths.values():
        assert os.stat(path).st_uid == NOBODY.pw_uid, path
    os.rename(paths["log"], paths["log"] + ".1")
    router.process.signal(signal.SIGUSR1)
    until(lambda: os.path.exists(paths["log"]), "the log to be opened again")
    router.stop()
    assert sorted(os.listdir(directory)) == ["log", "log.1"]


@sanitize
def test_a_pid_file_belongs_to_one_router(home):
    path = os.path.join(home.path, "pid")
    with open(path, "w", encoding="ascii") as file:
        file.write("12345678 left behind by a crash\n")
    router = relay(home, pid_file=path)
    with open(path, encoding="ascii") as file:
        assert file.read() == f"{router.pid}\n"
    second = run("-c", home.file("second.ini", ini(pid_file=path)))
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == (
        f"router: {path} is held by another router, process {router.pid}")
    with open(path, encoding="ascii") as file:
        assert file.read() == f"{router.pid}\n"
    router.stop()
    assert not os.path.exists(path)


@needs_root
def test_a_pid_file_that_cannot_be_removed_is_emptied(home):
    path = os.path.join(home.path, "pid")
    router = relay(home, pid_file=path, becomes="nobody")
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o022 == 0
    router.stop()
    assert os.path.getsize(path) == 0


@sanitize
def test_a_pid_file_that_cannot_be_written_ends_the_start(home):
    done = run("-c", home.file("r.ini", ini(pid_file="/proc/none/pid")))
    assert done.returncode == 1 and "cannot write the pid_file /proc/none/pid" in done.stderr
