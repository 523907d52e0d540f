"""At a terminal routerctl has colours, unless they are not wanted, and `top` is a live view on any
size of screen that gives the terminal back as it was however it ends."""
import copy
import json
import os
import signal
import termios

import pytest

from lib.fake_control import DOCUMENT, FakeControl
from lib.routerctl import BINARY, routerctl
from lib.terminal import Terminal
from lib.waiting import until


class Stage:
    def __init__(self, home):
        self.home = home
        self.path = os.path.join(home.path, "control")
        self.fake = home.keep(FakeControl(self.path, {"show info": "Name: router\n"}))
        self.document = copy.deepcopy(DOCUMENT)

    def says(self, document):
        self.fake.answers["show json"] = json.dumps(document) + "\n"

    def terminal(self, *args, **options):
        return self.home.keep(Terminal([BINARY, "-s", self.path, *args], **options))

    def top(self, *args, **options):
        top = self.terminal("top", *args, **options)
        top.wait_text("q quit")
        return top


@pytest.fixture
def stage(home):
    return Stage(home)


# Colours -----------------------------------------------------------------------------------------

def test_colours_are_for_terminals_that_want_them(stage):
    shown = stage.terminal("status", columns=200)
    assert shown.wait() == 0
    assert {"1", "32", "1;31", "2", "0"} <= shown.screen.colours
    assert b"\x1b[32mup\x1b[0m" in shown.raw and b"\x1b[1;31mdown\x1b[0m" in shown.raw
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}):
        plain = stage.terminal("status", env=env, columns=200)
        assert plain.wait() == 0
        assert b"\x1b" not in plain.raw and b"r1" in plain.raw
    assert stage.terminal("status", env={"NO_COLOR": ""}, columns=200).wait() == 0
    piped = routerctl("status", socket=stage.path, env={"TERM": "xterm"})
    assert "\x1b" not in piped.stdout and piped.returncode == 0
    assert piped.stdout.splitlines() == plain.raw.decode().replace("\r", "").splitlines()


def test_what_is_passed_on_has_no_colours(stage):
    shown = stage.terminal("show", "info")
    assert shown.wait() == 0 and shown.raw == b"Name: router\r\n"


# top ---------------------------------------------------------------------------------------------

def test_top_shows_it_all_on_80_by_24(stage):
    top = stage.top()
    for words in ("router 9.9.9", "3 waiting", "FRONTEND", "redis (redis): primary r1: one claim",
                  "hubs (http), 3 waiting", "r2 is down", "b backend: all"):
        top.wait_text(words)
    lines = top.screen.lines
    assert lines[23].startswith("q quit") and len(lines) == 24
    server = next(line for line in lines if line.startswith("r1"))
    assert server.split()[:4] == ["r1", "primary", "up", "12"]
    assert not top.screen.cursor and top.screen.alternate


def test_top_follows_what_changes_and_says_how_much_a_second(stage):
    top = stage.top()
    document = stage.document
    server = document["backends"][0]["servers"][0]
    frontend = document["frontends"][0]

    def moved():
        """A hundred sessions more each time it is asked."""
        for thing in (server, frontend):
            thing["sessions_total"] += 100
            thing["bytes_in"] += 5_000_000
        stage.says(document)
        top.pump()
        cells = next(line for line in top.screen.lines if line.startswith("r1")).split()
        return cells[4] not in ("-", "0") and cells[5][-1] in "kMG"

    until(moved, "rates of r1", 15)
    server["role"] = "replica"
    document["backends"][0]["primary"] = None
    document["backends"][0]["verdict"] = "nobody"
    stage.says(document)
    top.wait_text("redis (redis): no primary, nobody")


def test_counters_that_were_cleared_are_no_rate(stage):
    top = stage.top()
    stage.document["backends"][0]["servers"][0].update(sessions_total=0, bytes_in=0, sessions=77)
    stage.says(stage.document)
    top.wait_text("77      0      0")


def test_keys_sort_choose_a_backend_and_move(stage):
    servers = stage.document["backends"][0]["servers"]
    servers[1].update(name="r2", sessions=900)
    servers += [dict(servers[0], name=f"s{i:02}", sessions=i) for i in range(40)]
    stage.says(stage.document)
    top = stage.top()

    def order():
        top.pump()
        return [line.split()[0] for line in top.screen.lines if line[:1] in "rs" and "10." not in
                line and line[1:2].isdigit()]

    assert order()[:3] == ["r1", "r2", "s00"]
    top.type("s")
    top.wait_text("sort: sessions")
    until(lambda: order()[:3] == ["r2", "s39", "s38"], "the busiest first")
    top.type("s")
    top.wait_text("sort: rate")
    top.type("ss")
    top.wait_text("sort: place")
    top.type("b")
    top.wait_text("b backend: redis")
    until(lambda: "hubs" not in top.screen.text(), "the other backend to go")
    top.type("jj")
    top.wait_text("lines 3-23 of")
    top.type("\x1b[A")
    top.wait_text("lines 2-22 of")
    top.type("\x1b[6~")
    top.wait_text("s24")
    top.type("          ")
    top.wait_text("r2 is down")  # the last line of the body
    top.type("kkkk\x1b[5~\x1b[5~\x1b[5~\x1b[5~")
    top.wait_text("lines 1-21 of")
    top.type("b")
    top.wait_text("b backend: hubs")
    top.type("b")
    top.wait_text("b backend: all")
    top.type("q")
    assert top.wait() == 0 and top.restored()


def test_one_backend_may_be_named(stage):
    top = stage.top("hubs")
    top.wait_text("h1")
    assert "redis (redis)" not in top.screen.text()


@pytest.mark.parametrize("rows, columns", [(1, 1), (2, 10), (5, 20), (10, 200), (60, 33)])
def test_any_size_of_screen_will_do(stage, rows, columns):
    top = stage.terminal("top", rows=rows, columns=columns)
    until(lambda: top.pump() or top.screen.lines[-1][:1] == "q", "a frame")
    top.resize(24, 80)  # the screen fails on what is written beyond its edges
    top.wait_text("b backend: all")
    top.type("q")
    assert top.wait() == 0 and top.restored()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
                                    signal.SIGSEGV, signal.SIGABRT])
def test_a_signal_gives_the_terminal_back_before_it_ends_top(stage, number):
    if number in (signal.SIGSEGV, signal.SIGABRT) and os.environ.get("ROUTER_SANITIZE"):
        pytest.skip("a sanitizer reports crashes itself")
    top = stage.top()
    top.signal(number)
    assert top.wait() == -number
    assert top.restored()


def test_ctrl_c_ends_top(stage):
    top = stage.top()
    top.type("\x03")
    assert top.wait() == -signal.SIGINT and top.restored()


def test_top_may_be_stopped_and_goes_on(stage):
    """The kernel stops nobody whom no shell could let go on: there is one."""
    script = '"$@"; echo "stopped: $?"; read -r _; fg >/dev/null'
    shell = stage.home.keep(Terminal(["bash", "-m", "-c", script, "bash", BINARY, "-s", stage.path,
                                      "top"]))
    shell.wait_text("q quit")
    shell.type("\x1a")
    shell.wait_text("stopped: 148")
    assert shell.restored()
    shell.type("\n")
    until(lambda: shell.pump() or shell.screen.alternate, "top to go on")
    shell.wait_text("q quit")
    shell.type("q")
    assert shell.wait() == 0 and shell.restored()


def test_keys_work_while_the_router_says_nothing(stage):
    top = stage.top()
    stage.fake.answers["show json"] = lambda sock: sock.recv(1)  # until top goes
    before = len(stage.fake.asked)
    until(lambda: len(stage.fake.asked) > before, "the question")
    top.type("s")
    top.wait_text("sort: sessions")
    top.type("q")
    assert top.wait() == 0 and top.restored()


def test_top_says_that_the_router_has_gone_and_finds_it_again(stage):
    top = stage.top()
    moved = stage.path + ".away"
    os.rename(stage.path, moved)
    top.wait_text("No such file")
    assert "r1" in top.screen.text()
    os.rename(moved, stage.path)
    top.wait_text("3 waiting")
    until(lambda: top.pump() or "No such file" not in top.screen.text(), "the trouble to be over")


def test_top_that_finds_nobody_at_first_does_not_begin(home):
    nobody = home.keep(Terminal([BINARY, "-s", os.path.join(home.path, "nobody"), "top"]))
    assert nobody.wait() == 3 and b"cannot connect" in nobody.raw and b"\x1b" not in nobody.raw
    assert termios.tcgetattr(nobody.slave) == nobody.before


# Asking whether one is sure ----------------------------------------------------------------------

@pytest.mark.parametrize("keys, asked", [("y\n", True), ("n\n", False), ("\n", False)])
def test_at_a_terminal_the_whole_router_is_drained_after_a_question(stage, keys, asked):
    stage.fake.answers["drain"] = ""
    shown = stage.terminal("drain")
    shown.wait_text("[y/N]")
    assert "drain" not in stage.fake.asked
    shown.type(keys)
    assert shown.wait() == (0 if asked else 1)
    assert ("drain" in stage.fake.asked) is asked
    assert stage.terminal("drain", "--yes").wait() == 0
