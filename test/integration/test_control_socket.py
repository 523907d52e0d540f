"""Promise: scripts written for HAProxy's stats socket go on working, and nobody who connects to a
control socket can do more than its level, nor keep others from it."""
import json
import os
import random
import re
import select
import signal
import socket
import stat
import threading

import pytest

from lib.fake import echo
from lib.ini import FAST_PROBES, frontend, section, tcp_backend
from lib.process import Process, free_port
from lib.resp import connect
from lib.router import run
from lib.runtime import Runtime
from lib.waiting import SLOW, until

SECRET = "hunter2-of-the-probe"

HAPROXY = """global
    stats socket {socket} level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    server s 127.0.0.1:{server} check
"""


def read_all(sock):
    parts = []
    try:
        while data := sock.recv(65536):
            parts.append(data)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def exchange(path, data, half=False):
    """All that comes back for these bytes until the router closes."""
    with connect(path, 20 * SLOW) as sock:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it had enough
        if half:
            sock.shutdown(socket.SHUT_WR)
        return read_all(sock).decode()


def hung_up(sock):
    """Whether the other end is closed, whatever there is to read still."""
    poll = select.poll()
    poll.register(sock, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


class World:
    """A router with a socket of each level, and a HAProxy of the same shape."""

    def __init__(self, home):
        run_dir = home.directory("run")
        self.paths = {level: os.path.join(run_dir, level) for level in
                      ("admin", "operator", "user")}
        self.port = free_port()
        self.server = home.fake(echo, "s")
        keys = {"probe_password": SECRET, "server": "r 127.0.0.1:1", **FAST_PROBES}
        self.router = home.router(
            frontend("f", self.port) + tcp_backend(self.server) + frontend(
                "g", free_port(), backend="r") + section("backend r", protocol="redis", **keys),
            control=[self.paths["admin"], f"{self.paths['operator']} level=operator mode=660",
                     f"{self.paths['user']} mode=666 level=user"])
        self.run = Runtime(self.paths["admin"])

    def haproxy(self, home):
        directory = home.directory("haproxy")
        path = os.path.join(directory, "socket")
        config = home.file("haproxy.cfg", HAPROXY.format(socket=path, port=free_port(),
                                                         server=self.server.address[1]))
        process = home.keep(Process(["haproxy", "-db", "-f", config],
                                    os.path.join(directory, "log")))
        process.close = process.kill
        until(lambda: os.path.exists(path), "HAProxy to listen", 20)
        return Runtime(path)


@pytest.fixture(scope="module")
def world(shared_home):
    return World(shared_home)


@pytest.fixture(scope="module")
def haproxy(shared_home, world):
    return world.haproxy(shared_home)


# The same as HAProxy.


def test_show_info_has_haproxys_names_in_its_order(world, haproxy):
    def names(answer):
        return [line.split(": ")[0] for line in answer.splitlines() if line]

    ours, theirs = world.run("show info"), haproxy("show info")
    assert names(ours) == names(theirs)
    values = dict(line.split(": ", 1) for line in ours.splitlines() if line)
    assert values["Pid"] == str(world.router.pid)
    assert values["Nbthread"] == "2"
    assert re.fullmatch(r"\d+d \d+h\d\dm\d\ds", values["Uptime"])
    assert values["node"] == socket.gethostname()


def test_typed_forms_have_haproxys_positions_tags_and_types(world, haproxy):
    def shape(answer):
        found = {}
        for line in answer.splitlines():
            if line:
                key, tags, kind, _ = line.split(":", 3)
                found[key] = (tags, kind)
        return found

    assert shape(world.run("show info typed")) == shape(haproxy("show info typed"))

    def columns(answer):
        return {tuple(key.split(".")[3:5]): value for key, value in shape(answer).items()
                if key.startswith("S.")}

    ours, theirs = columns(world.run("show stat typed")), columns(haproxy("show stat typed"))
    both = set(ours) & set(theirs)
    assert len(both) > 40
    assert {key: ours[key] for key in both} == {key: theirs[key] for key in both}


def test_json_forms_are_haproxys(world, haproxy):
    def shape(fields):
        return [(f["field"], f["tags"], f["value"]["type"]) for f in fields]

    ours, theirs = (json.loads(r("show info json")) for r in (world.run, haproxy))
    assert shape(ours) == shape(theirs)
    rows = json.loads(world.run("show stat json"))
    assert [{f["objType"] for f in row} for row in rows] == [
        {"Frontend"}, {"Frontend"}, {"Server"}, {"Backend"}, {"Server"}, {"Backend"}]
    assert set(rows[2][0]) == set(json.loads(haproxy("show stat json"))[1][0])


def test_show_stat_has_haproxys_header_and_its_parts(world, haproxy):
    theirs = haproxy("show stat").splitlines()[0].split(",-,")[0]
    ours = world.run("show stat").splitlines()
    assert ours[0].startswith(theirs + ",")
    assert [line.split(",")[:2] for line in ours[1:] if line] == [
        ["f", "FRONTEND"], ["g", "FRONTEND"], ["b", "s"], ["b", "BACKEND"], ["r", "r"],
        ["r", "BACKEND"]]

    def part(words):
        return [line.split(",")[:2] for line in world.run(f"show stat {words}").splitlines()[1:]
                if line]

    assert part("-1 4 -1") == [["b", "s"], ["r", "r"]]
    assert part("b -1 -1") == [["b", "s"], ["b", "BACKEND"]]
    assert part("3 2 -1") == [["b", "BACKEND"]]
    assert part("up -1 4 -1") == [["b", "s"]]
    assert part("-1 4 7") == []


def test_servers_state_and_conn_have_haproxys_columns(world, haproxy):
    ours, theirs = (r("show servers state").splitlines() for r in (world.run, haproxy))
    assert ours[:2] == theirs[:2]
    for line in ours[2:]:
        assert not line or len(line.split()) == len(ours[1].split()) - 1
    assert ours[2].split()[1:5] == ["b", "1", "s", "127.0.0.1"]
    assert ours[2].split()[5:7] == ["2", "0"]
    assert ours[2].split()[18] == str(world.server.address[1])
    assert len(world.run("show servers state b").splitlines()) == 3
    assert world.run("show servers state nope") == haproxy("show servers state nope")
    ours, theirs = (r("show servers conn").splitlines() for r in (world.run, haproxy))
    bare = [re.sub(r"\[\d+\]", "", line) for line in (ours[0], theirs[0])]
    assert bare[0] == bare[1]
    assert len(ours[1].split()) == len(ours[0].split())  # without "#", and of two threads
    assert world.run("show backend").splitlines() == ["# name", "b", "r"]


def test_a_server_that_is_taken_out_or_weighted_says_so_in_its_state(world):
    world.run.ok("set server b/s weight 7")
    assert world.run("show servers state b").splitlines()[2].split()[7:9] == ["7", "1"]
    world.run.ok("set server b/s weight 1")
    world.run.ok("set server b/s state maint")
    assert world.run("show servers state b").splitlines()[2].split()[6] == "1"
    world.run.ok("set server b/s state drain")
    assert world.run("show servers state b").splitlines()[2].split()[6] == "8"
    world.run.ok("set server b/s state ready")
    assert world.run("show servers state b").splitlines()[2].split()[6] == "0"


@pytest.mark.parametrize("line", [
    "show servers state nope", "set server b/nope state ready", "set severity-output number",
    "set severity-output number;set server b/nope state ready;show cli level",
    "set severity-output string;set server b/nope state ready", "show cli level", "quit"])
def test_messages_are_haproxys(world, haproxy, line):
    assert exchange(world.run.path, line.encode() + b"\n") == \
        exchange(haproxy.path, line.encode() + b"\n")


# Lines.


def test_several_commands_stand_in_a_line_and_the_connection_ends(world):
    version = world.run("show version")
    one = version + "\n"
    path = world.run.path
    assert exchange(path, b"show version\n") == one
    assert exchange(path, b"show version;show version\n") == 2 * one
    assert exchange(path, b"show version;  show version ;\r\n") == 2 * one
    assert exchange(path, b"show version\nshow version\n") in (one, 2 * one)
    assert exchange(path, b"show version;quit;show version\n") == one
    assert "Unknown command" in exchange(path, b"show version\\;\n")
    assert "Unknown command" in exchange(path, b"\n")


def test_a_client_that_has_ended_sending_gets_its_answers_but_a_cut_command_is_not_run(world):
    one = world.run("show version") + "\n"
    path = world.run.path
    assert exchange(path, b"show version;show version\n", half=True) == 2 * one
    assert exchange(path, b"show version\nset server b/s state main", half=True) == one
    assert exchange(path, b"set server b/s state maint", half=True) == ""
    assert world.run("show servers state b").splitlines()[2].split()[6] == "0"


def test_a_prompt_keeps_the_connection_for_more(world):
    version = world.run("show version")
    with connect(world.run.path, 20 * SLOW) as sock:
        def until_prompt():
            got = b""
            while not got.endswith(b"\n> "):
                data = sock.recv(4096)
                assert data, got
                got += data
            return got.decode()

        sock.sendall(b"prompt\n")
        assert until_prompt() == "\n> "
        for _ in range(3):
            sock.sendall(b"show version\n")
            assert until_prompt() == version + "\n> "
        sock.sendall(b"\n")
        assert until_prompt() == "\n> "
        sock.sendall(b"prompt\n")
        assert read_all(sock) == b"\n"


def test_help_names_every_command_and_of_some_words_those_that_fit(world):
    lines = world.run("help").splitlines()
    assert lines[0] == "The following commands are valid at this level:"
    commands = [re.split(r" *: ", line.strip())[0] for line in lines[1:] if line]
    names = [re.split(r" [\[<]", command)[0] for command in commands]
    assert len(names) == len(set(names))
    assert commands[-3:] == ["help [<command>]", "prompt", "quit"]
    for words in ("show sess", "show topology", "set server", "drill", "show servers state"):
        assert any(c.startswith(words) for c in commands), words
    fitting = world.run("help show servers").splitlines()[1:]
    assert all("show servers" in line for line in fitting if line)
    assert "show servers state" in world.run("show nonsense")


# Who may do what.


def test_a_level_is_all_that_its_socket_may_do(world):
    user, operator = Runtime(world.paths["user"]), Runtime(world.paths["operator"])
    assert user("show version") == world.run("show version")
    assert user("show cli level") == "user\n"
    for line in ("show sess", "show errors", "show cli sockets"):
        assert user(line) == "Permission denied\n", line
        assert operator(line) != "Permission denied\n", line
    for runtime in (user, operator):
        for line in ("set server b/s state maint", "shutdown sessions server b/s", "drain"):
            assert runtime(line) == "Permission denied\n", line
    assert world.run("user;set server b/s state maint") == "\nPermission denied\n"
    assert "set server" not in user("help")
    assert operator("show cli sockets").splitlines()[1:] == [
        f"unix@{world.paths[level]} {level} all" for level in ("admin", "operator", "user")]


def test_files_have_the_permissions_that_are_written(world):
    for level, mode in (("admin", 0o600), ("operator", 0o660), ("user", 0o666)):
        assert stat.S_IMODE(os.stat(world.paths[level]).st_mode) == mode


def test_who_changes_something_is_in_the_log_and_who_looks_is_not(world):
    world.run("set server b/s weight 1;show version")
    line = until(lambda: next((x for x in world.router.log.splitlines()
                               if "set server b/s weight 1" in x), None), "a line of the log")
    assert f"uid {os.getuid()}, pid {os.getpid()}" in line
    assert "show version" not in world.router.log


def test_no_command_shows_a_secret(world):
    names = [re.split(r"[\[<:]", line)[0].strip() for line in world.run("help").splitlines()[1:]]
    shown = [name for name in names if name.startswith("show ")]
    assert len(shown) > 10
    for name in shown:
        assert SECRET not in world.run(name), name


# The router's own words.


def test_topology_waiting_and_pool_say_what_is(world):
    text = world.run("show topology")
    assert f"frontend f: 127.0.0.1:{world.port} to b (any), 0 sessions" in text
    assert "backend r (redis): no primary" in text
    assert re.search(r"^  s +127\.0\.0\.1:\d+ +up +unknown +open +ready +0 ", text, re.M)
    assert "backend r" not in world.run("show topology b")
    assert world.run("show topology nope") == "Can't find backend.\n"
    with connect(("127.0.0.1", world.port)) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert world.run("show pool b").startswith("b/s: used=1 limit=none free=any ")
    assert re.match(r"b: waiting=0 limit=1024 primary=0 replica=0 any=0 held_ms=0 ",
                    world.run("show waiting"))
    assert json.loads(world.run("show json"))["router"]["pid"] == world.router.pid
    world.run("pause backend b;resume backend b")
    assert "b: paused by the operator" in world.run("show events")


# Bad peers.


@pytest.mark.sanitize
def test_garbage_is_answered_and_leaves_no_trace(world):
    dice = random.Random(7)
    for size in (1, 10, 1000, 20000):
        data = bytes(dice.randrange(256) for _ in range(size))
        exchange(world.run.path, data + b"\n", half=True)
    words = ["show", "set", "server", "b/s", "\\", ";", "sess", "help", "\x00", "-1", "#3", "/"]
    for _ in range(100):
        line = " ".join(dice.choice(words) for _ in range(dice.randrange(1, 12)))
        exchange(world.run.path, line.encode() + b"\n")
    assert "control characters" in exchange(world.run.path, b"show\x01version\n")
    assert "Too many words" in exchange(world.run.path, b"a " * 100 + b"\n")
    assert world.run("show servers state b").splitlines()[2].split()[6] == "0"


@pytest.mark.sanitize
def test_an_endless_line_is_refused(world):
    before = world.router.process.rss()
    for data in (b"x" * 4_000_000, b"x" * 17000 + b"\n", b"a " * 2_000_000):
        assert "too long" in exchange(world.run.path, data) or len(data) > 100000
    assert exchange(world.run.path, b"show version" + b" " * 10000 + b"\n") == \
        world.run("show version") + "\n"
    if SLOW == 1:
        assert world.router.process.rss() - before < 4_000_000


@pytest.mark.sanitize
def test_a_crowd_is_refused_politely_and_leaves_room_for_those_after_it(world):
    sockets = []
    try:
        for _ in range(2000):
            sockets.append(connect(world.run.path, 20 * SLOW))
        refused = [s for s in sockets[100:200] if s.recv(100).startswith(b"Too many connections")]
        assert len(refused) == 100
        assert world.router.http("/healthz")[0] == 200
    finally:
        for sock in sockets:
            sock.close()
    until(lambda: exchange(world.run.path, b"show version\n") == world.run("show version") + "\n",
          "room", 20)


@pytest.mark.sanitize
def test_who_does_not_read_costs_little_and_is_let_go_as_who_does_not_ask(world):
    """And meanwhile others get their answers."""
    line = b";".join([b"show stat typed;show json"] * 300) + b"\n"
    slow = [connect(world.run.path, 60 * SLOW) for _ in range(10)]
    idle = connect(world.run.path, 60 * SLOW)
    before = world.router.process.rss()
    try:
        for sock in slow:
            sock.sendall(line)
        answers = [world.run.later("show version") for _ in range(10)]
        assert {a.answer() for a in answers} == {world.run("show version")}
        assert idle.recv(1) == b"", "closed after ten seconds without a command"
        until(lambda: all(hung_up(sock) for sock in slow), "the slow to be cut", 20)
        whole = 300 * len(exchange(world.run.path, b"show stat typed;show json\n"))
        for sock in slow:
            assert len(read_all(sock)) < whole / 2
        if SLOW == 1:
            assert world.router.process.rss() - before < 20_000_000
    finally:
        for sock in [*slow, idle]:
            sock.close()
    assert world.run("show version")


# Files.


def config_of(home, path, port):
    return home.file("second.ini", f"[router]\nadmin = off\ncontrol = {path}\n" +
                     frontend("f", port) + tcp_backend(home.fake(echo)))


def test_a_socket_of_a_living_router_is_left_alone_and_one_of_a_dead_one_replaced(home):
    path = os.path.join(home.path, "control")
    sections = frontend("f", free_port()) + tcp_backend(home.fake(echo))
    first = home.router(sections, control=path)
    done = run("-c", config_of(home, path, free_port()))
    assert done.returncode == 1
    assert f"cannot bind the control socket {path}: another process listens there" in done.stderr
    assert Runtime(path)("show version")
    first.process.signal(signal.SIGKILL)
    first.process.wait()
    first.ended = True
    assert os.path.exists(path)
    second = home.router(frontend("f", free_port()) + tcp_backend(home.fake(echo)), control=path)
    assert f"Pid: {second.pid}\n" in Runtime(path)("show info")
    second.stop()
    assert not os.path.exists(path)


def test_a_file_that_is_no_socket_is_never_removed(home):
    path = home.file("precious", "data")
    done = run("-c", config_of(home, path, free_port()))
    assert done.returncode == 1 and path in done.stderr
    with open(path, encoding="ascii") as file:
        assert file.read() == "data"


@pytest.mark.sanitize
def test_a_router_ends_whatever_its_clients_are_doing(home):
    path = os.path.join(home.path, "control")
    server = home.fake(echo)
    router = home.router(frontend("f", free_port()) + tcp_backend(server), control=path)
    prompted = home.keep(connect(path))
    prompted.sendall(b"prompt\n")
    assert prompted.recv(10) == b"\n> "
    unread = home.keep(connect(path))
    unread.sendall(b";".join([b"show json;show sess all"] * 500) + b"\n")
    home.keep(connect(path)).sendall(b"show ver")
    done = threading.Event()

    def ask():
        while not done.is_set():
            try:
                exchange(path, b"show sess;show sess all;show stat\n")
            except OSError:
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        router.stop()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert read_all(prompted) == b""
