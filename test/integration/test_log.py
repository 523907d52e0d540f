"""Promise: the log goes where it is told, in each format valid line by line, is opened again by
SIGUSR1, and never stops a session: what a target does not take is lost, counted and told."""
import json
import os
import re
import signal

import pytest

from lib.fake import echo
from lib.freeze import Frozen
from lib.ini import frontend, tcp_backend
from lib.process import Process, free_port
from lib.resp import connect
from lib.router import BINARY, run
from lib.sockets import local, refused
from lib.syslog import HEADER, Syslog
from lib.waiting import until

LOST = re.compile(r"\b(\d+) lines of the log were lost")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Place:
    """A router whose sessions all leave a line; `path` is where its log may be."""

    def __init__(self, home, log=None, start=True, **keys):
        self.home = home
        self.port = free_port()
        self.path = f"{home.path}/the.log"
        self.router = home.router(
            frontend("f", self.port) + tcp_backend(home.fake(echo, "one")), start=start,
            log=log or f"file:{self.path}", log_sessions="all", **keys)

    @property
    def text(self):
        return read(self.path)

    def wait(self, words):
        until(lambda: words in self.text, f"{words!r} in the log: {self.text[-2000:]}")

    def sessions(self, count):
        for _ in range(count):
            with connect(local(self.port)) as sock:
                sock.sendall(b"x")
                assert sock.recv(1) == b"x"

    def reopen(self):
        self.router.process.signal(signal.SIGUSR1)


def test_a_file_holds_all_and_standard_error_nothing(home):
    place = Place(home)
    place.sessions(3)
    place.router.stop()
    lines = place.text.splitlines()
    assert sum("msg=session " in line for line in lines) == 3
    assert "at most" in lines[0] and "router has ended" in lines[-1]
    assert all(re.match(r"time=\d{4}-\d\d-\d\dT\S+Z level=(info|warn) msg=", line)
               for line in lines)
    assert place.router.log == ""
    assert os.stat(place.path).st_mode & 0o777 == 0o640


def test_json_is_an_object_a_line(home):
    place = Place(home, log_format="json", drain_timeout="100ms")
    place.sessions(1)
    with connect(local(place.port)) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        place.router.stop()
    told = [json.loads(line) for line in place.text.splitlines()]
    assert all(entry["level"] in ("info", "warn") and entry["time"] and entry["msg"]
               for entry in told)
    session = next(entry for entry in told if entry["msg"] == "session")
    assert (session["backend"], session["server"], session["in"], session["code"]) \
        == ("b", "one", 1, "--")


def test_a_file_that_was_moved_away_is_opened_again(home):
    """What logrotate does: rename, SIGUSR1. Not a line is lost."""
    place = Place(home)
    place.sessions(2)
    os.rename(place.path, place.path + ".1")
    place.sessions(2)
    place.reopen()
    until(lambda: os.path.exists(place.path), "the new file")
    place.wait("opened again")
    place.sessions(2)
    place.router.stop()
    old = read(place.path + ".1")
    assert (old + place.text).count("msg=session ") == 6
    assert place.text.count("msg=session ") >= 2


def test_one_that_cannot_be_opened_again_stays(home):
    place = Place(home)
    moved = place.path + ".1"
    os.rename(place.path, moved)
    os.mkdir(place.path)
    place.reopen()
    until(lambda: "cannot open the log file" in read(moved), "it to be told")
    place.sessions(1)
    until(lambda: "msg=session " in read(moved), "the session's line")


def test_a_syslog_at_a_path_and_sigusr1_means_nothing_to_it(home):
    syslog = home.keep(Syslog(f"{home.path}/dev-log"))
    place = Place(home, log=syslog.text)
    place.reopen()
    place.sessions(1)
    line = syslog.wait(lambda text: "msg=session " in text, "the session's line")
    header = HEADER.match(line)
    assert (int(header[1]), header[3], int(header[4])) == (16 * 8 + 6, "router", place.router.pid)
    assert line[header.end():].startswith("time=") and not line.endswith("\n")
    assert place.router.log == ""


@pytest.mark.parametrize("target, words", [
    ("file:/nowhere/at/all", "No such file or directory"),
    ("syslog:unix:/nowhere/log", "No such file or directory"),
    ("file:/", "Is a directory"),
])
def test_what_cannot_be_used_fails_the_check_and_the_start(home, target, words):
    path = Place(home, log=target, start=False).router.path
    for args in (["-t"], []):
        done = run("-c", path, *args)
        assert (done.returncode, done.stderr) == (1, f"router: cannot log to {target}: {words}\n")


@pytest.mark.parametrize("target", ["syslog:localhost:514", "syslog::514", "stdout", "/var/log/x"])
def test_what_is_no_target_is_an_error_with_its_line(home, target):
    path = Place(home, log=target, start=False).router.path
    done = run("-t", "-c", path)
    assert done.returncode == 1
    assert f'bad value "{target}" for "log": expected stderr, file:PATH, syslog' in done.stderr


def reload(place, changes):
    """Changes the lines of router.ini that begin with these words, and lets it be read again."""
    with open(place.router.path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    lines = [next((new for old, new in changes.items() if line.startswith(old + " =")), line)
             for line in lines]
    with open(place.router.path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    place.router.process.signal(signal.SIGHUP)


@pytest.mark.sanitize
def test_a_reload_changes_where_the_log_goes_how_it_looks_and_what_is_in_it(home):
    """A session that began before has a line too, if sessions have one when it ends."""
    place = Place(home, log_level="info")
    other = f"{home.path}/other.log"
    reload(place, {"log_sessions": "log_sessions = no"})
    place.wait("is in force")
    with connect(local(place.port)) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        client = "%s:%d" % sock.getsockname()
        reload(place, {"log": f"log = file:{other}\nlog_format = json",
                       "log_sessions": "log_sessions = all"})
        until(lambda: os.path.exists(other) and "is in force" in read(other), "the other file")
    until(lambda: '"msg":"session"' in read(other), "the session's line")
    session = next(entry for entry in map(json.loads, read(other).splitlines())
                   if entry["msg"] == "session")
    assert (session["client"], session["server"], session["in"]) == (client, "one", 1)
    assert "session" not in place.text.replace("sessions", "")
    reload(place, {"log_level": "log_level = error"})
    place.router.wait_for(lambda s: sum(e["kind"] == "reload" for e in s["events"]) == 3,
                          "the third reload")
    place.sessions(3)
    place.router.stop()
    assert read(other).count('"msg":"session"') == 1


def test_a_reload_to_a_log_that_cannot_be_used_is_refused(home):
    place = Place(home)
    reload(place, {"log": "log = file:/nowhere/at/all"})
    place.wait("was not taken")
    assert "cannot log to file:/nowhere/at/all: No such file or directory" in place.text
    place.sessions(1)
    place.wait("msg=session ")


@pytest.mark.sanitize
def test_a_disk_that_stands_still_stops_nobody(home):
    """The thread that writes the file is stopped, as it is while the file system is frozen:
    sessions go on, another file can be opened, and all is written once it goes on."""
    place = Place(home, workers=1)
    task = f"/proc/{place.router.pid}/task"

    def writer():
        for thread in os.listdir(task):
            with open(f"{task}/{thread}/comm", encoding="ascii") as file:
                if file.read() == "log\n":
                    return int(thread)
        return None

    with Frozen(until(writer, "the thread to have its name")):
        place.sessions(200)
        os.rename(place.path, place.path + ".1")
        place.reopen()  # another file, and another thread
        until(lambda: os.path.exists(place.path), "the new file")
        more = 0
        while place.text.count("msg=session ") < 10:  # the first may go the old way yet
            more += 1
            place.sessions(1)
            assert more < 1000
        frozen = read(place.path + ".1").count("msg=session ")
    place.router.stop()
    thawed = read(place.path + ".1").count("msg=session ")
    assert frozen <= 1 and thawed + place.text.count("msg=session ") == 200 + more


def test_a_full_disk_stops_nobody(home):
    place = Place(home, log="file:/dev/full")
    place.sessions(50)
    place.router.stop()


@pytest.mark.sanitize
def test_a_pipe_that_nobody_reads_stops_nobody(home):
    """Standard error is one. What was lost is told when somebody reads."""
    port = free_port()
    path = home.file("router.ini", "[router]\nadmin = off\nworkers = 2\nlog_sessions = all\n"
                     + frontend("f", port) + tcp_backend(home.fake(echo, "one")))
    ends = os.pipe()
    reading = home.keep(os.fdopen(ends[0], "rb", buffering=0))
    os.set_blocking(ends[0], False)
    router = home.keep(Process([BINARY, "-c", path], f"/dev/fd/{ends[1]}"))
    router.close = router.kill
    os.close(ends[1])

    def session():
        with connect(local(port)) as sock:
            sock.sendall(b"x")
            return sock.recv(1) == b"x"

    until(lambda: not refused(local(port)), "the router to listen")
    assert all(session() for _ in range(600))  # more than 64 KiB of lines
    text = reading.read().decode()
    assert 32768 < len(text) <= 65536 and text.endswith("\n")
    count = 600

    def told():
        """A line is one that was written, or one that was told to be lost."""
        nonlocal text, count
        count += session()
        text += (reading.read() or b"").decode()
        return sum(map(int, LOST.findall(text))) + text.count("msg=session ") >= count

    until(told, "what was lost to be told")
    assert sum(map(int, LOST.findall(text))) > 100
    reading.close()  # and nobody ever will
    assert session()
    assert router.terminate() == 0
