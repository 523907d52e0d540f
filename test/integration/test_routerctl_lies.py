"""A control socket that lies, floods, stalls or breaks off neither crashes routerctl, nor keeps it,
nor makes it big, nor reaches the terminal with what a terminal would obey."""
import copy
import json
import os
import resource
import subprocess

import pytest

from lib.fake_control import DOCUMENT, FakeControl
from lib.routerctl import BINARY, environment, routerctl
from lib.terminal import Terminal

EVIL = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202eabc\x7f\r\n\t"


def lying(value):
    """The document with every string and number of it replaced."""
    if isinstance(value, dict):
        return {key: lying(member) for key, member in value.items()}
    if isinstance(value, list):
        return [lying(member) for member in value]
    return EVIL if isinstance(value, str) else 1e308 if isinstance(value, (int, float)) else value


class Stage:
    def __init__(self, home):
        self.path = os.path.join(home.path, "control")
        self.fake = home.keep(FakeControl(self.path, {}))

    def says(self, command, answer):
        self.fake.answers[command] = answer

    def ctl(self, *args, **options):
        return routerctl(*args, socket=self.path, **options)


@pytest.fixture(scope="module")
def stage(shared_home):
    return Stage(shared_home)


@pytest.fixture(autouse=True)
def honest_again(stage):
    yield
    stage.fake.answers = {"show json": json.dumps(DOCUMENT) + "\n"}


@pytest.fixture
def terminal(home):
    def start(*args, **options):
        return home.keep(Terminal([BINARY, *args], **options))

    return start


VIEWS = ["status", "servers", "frontends", "changes", "events"]


@pytest.mark.parametrize("answer", [
    "", "{", "null", "[]", "1", "{}", '{"backends":[1,null,{},[]],"frontends":{"a":1}}',
    '{"events":[[]],"changes":"x","backends":[{"servers":[1]}]}', "[" * 5000, '"' + "\\u0000" * 9,
    '{"backends":[{"name":{},"servers":{"name":1},"waiting":"many"}]}', "\xff\xfe", "[3]: No.",
    '{"router":{"uptime_ms":1e999,"sessions":-5}}', "\n\n\n", "[9]: x", "[3]"])
@pytest.mark.sanitize
def test_documents_that_are_none_end_in_a_status_and_no_crash(stage, answer):
    stage.says("show json", answer + "\n")
    good = answer.startswith("{") and answer != "{"
    for view in VIEWS if good else VIEWS[:1]:
        for form in ([], ["--json"]):
            done = stage.ctl(view, *form)
            assert done.returncode == (0 if good else 1 if answer == "[3]: No." else 3), done
            assert good or (done.stderr and not done.stdout)


POOL = [{"name": "b", "pool": {
    "mode": "transaction", "clients": 3, "held": 0, "shared": 1, "lent": 1, "idle": 0, "opening": 0,
    "reuse_percent": 50, "read": 1, "written": 2, "other": 3, "waited": 0, "resent": 0,
    "unknown": 0, "refused": 0, "pins": {"watch": 1}}, "oldest_pin_ms": {"watch": 1500},
    "servers": [{"server": "s", "used": 2, "max_connections": 10, "shared": 1, "lent": 1,
                 "idle": 0, "opening": 0}],
    "connections": [{"server": "s", "address": "127.0.0.1:1", "user": "u", "database": 0, "resp": 2,
                     "state": "ready", "use": "lent", "pins": "watch", "pinned_ms": 1500,
                     "age_ms": 9000, "commands": 4, "in_flight": 0, "session": "0x1"}]}]


@pytest.mark.parametrize("answer", [
    json.dumps(POOL), json.dumps(lying(POOL)), json.dumps([lying(POOL)]), "[]", "[1,null,{},[]]",
    '[{"pool":{"pins":{"a":1,"b":[]}},"servers":{},"connections":[{"server":7}]}]',
    '[{"pool":[],"oldest_pin_ms":3,"servers":[null],"connections":"many"}]'])
@pytest.mark.sanitize
def test_a_pool_that_is_none_is_shown_as_far_as_it_goes(stage, answer):
    stage.says("show pool json", answer + "\n")
    done = stage.ctl("pool")
    assert done.returncode == 0 and not set(done.stdout) & set("\x1b\x07\u009b\u202e"), done
    assert ("transaction" in done.stdout) == (answer == json.dumps(POOL))


@pytest.mark.parametrize("answer", ["", "[", "{}", "1", "[3]: No."])
def test_what_is_no_list_of_pools_is_no_answer(stage, answer):
    stage.says("show pool json", answer + "\n")
    done = stage.ctl("pool")
    assert done.returncode == (1 if answer == "[3]: No." else 3) and not done.stdout, done


def cut(data):
    """Says so much and closes."""
    return lambda sock: sock.sendall(data)


def flood(piece):
    data = piece * (128 << 10)

    def pour(sock):
        sock.sendall(b"\n")
        while True:  # until routerctl has gone: the send fails then
            sock.sendall(data)
    return pour


def silence(stage):
    def wait(sock):
        while sock.recv(1):
            pass
    return wait


@pytest.mark.parametrize("data", [b"", b"\n", b'\n{"a":1}', b'\n{"a":1}\n', b"\nwords", b"words"])
def test_an_answer_that_breaks_off_is_not_taken_for_one(stage, data):
    stage.says("show json", cut(data))
    stage.says("show info", cut(data))
    for command in (["status"], ["events"], ["info"], ["show", "info"], ["show", "info", "--json"]):
        done = stage.ctl(*command)
        assert done.returncode == 3 and "cut short" in done.stderr, done


def test_a_connection_that_is_reset_is_no_answer(stage):
    def reset(sock):
        sock.sendall(b"\nhalf")
        sock.shutdown(2)
    stage.says("show info", reset)
    assert stage.ctl("show", "info").returncode == 3


def test_silence_ends_when_patience_does(stage):
    stage.says("show json", silence(stage))
    stage.says("show info", silence(stage))
    for command in (["status"], ["show", "info"]):
        done = stage.ctl("-t", "1", *command)
        assert done.returncode == 3 and "in time" in done.stderr


@pytest.mark.parametrize("data", [b"[1,", b"a", b"a\n"])
def test_an_endless_answer_is_given_up_where_all_of_it_is_needed(stage, data):
    stage.says("show json", flood(data))
    done = stage.ctl("status")
    assert done.returncode == 3 and "no end" in done.stderr


def test_what_comes_before_the_answer_has_an_end(stage):
    def pour(sock):
        while True:
            sock.sendall(b"a" * 65536)
    stage.says("show info", pour)
    done = stage.ctl("show", "info")
    assert done.returncode == 3 and "no end" in done.stderr


@pytest.mark.parametrize("data", [b"a", b"a\n"])
def test_an_endless_answer_that_is_passed_on_takes_no_memory(stage, data):
    stage.says("show info", flood(data))

    def small():
        resource.setrlimit(resource.RLIMIT_DATA, (16 << 20, 16 << 20))

    if os.environ.get("ROUTER_SANITIZE"):
        pytest.skip("a sanitizer needs memory of its own")
    reader = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", BINARY, "-s", stage.path, "show",
                               "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment(), preexec_fn=small)
    try:
        got = 0
        while got < 24 << 20:
            piece = reader.stdout.read1(1 << 20)
            assert piece, reader.communicate()
            got += len(piece)
    finally:
        reader.kill()
        reader.communicate()


def test_nothing_that_a_terminal_obeys_comes_through(stage, terminal):
    document = lying(copy.deepcopy(DOCUMENT))
    stage.says("show json", json.dumps(document, ensure_ascii=False) + "\n")
    stage.says("show sess", f"0x1: src={EVIL[:-2]} a=b\n")
    stage.says("show info", f"Name: {EVIL[:-2]}\n")
    stage.says("set server b/s state drain", f"[3]: {EVIL[:-2]}\n")
    for command in (VIEWS + ["sessions", "info", "drain b/s", "show info", "status --json",
                             "servers --json", "info --json"]):
        shown = terminal("-s", stage.path, *command.split())
        shown.wait()  # the screen fails on sequences that are not ours
        for evil in (b"\x1b]", b"\x1b[2J", b"\x07", "\u009b".encode(), "\u202e".encode(), b"\x7f"):
            assert evil not in shown.raw, (command, shown.raw)


def test_names_that_a_shell_would_run_are_not_offered_to_it(stage):
    document = copy.deepcopy(DOCUMENT)
    names = ["$(reboot)", "a;b", "a b", "`x`", "a\nb", "", "-", "good-1.x", "[::1]", "'"]
    document["backends"] = [{"name": name, "servers": []} for name in names]
    stage.says("show json", json.dumps(document) + "\n")
    done = routerctl("--complete", "-s", stage.path, "pause", "")
    assert set(done.stdout.split("\n")) == {"-", "good-1.x", ""}


def test_whoever_asks_for_completion_is_not_kept_waiting(stage):
    stage.says("show json", silence(stage))
    stage.says("help", silence(stage))
    done = routerctl("--complete", "-s", stage.path, "drain", "")
    assert (done.returncode, done.stdout) == (0, "")


def test_top_lives_through_all_of_it(stage, terminal):
    top = terminal("-s", stage.path, "top")
    top.wait_text("LAST EVENTS")
    stage.says("show json", flood(b"["))
    top.wait_text("the numbers are from")
    stage.says("show json", cut(b"\n{\"backends\":[{"))
    top.wait_text("what came is no whole answer")
    stage.says("show json", "[3]: Permission denied\n")
    top.wait_text("Permission denied")
    stage.says("show json", json.dumps(lying(copy.deepcopy(DOCUMENT))) + "\n")
    top.wait_text("?]0;owned??[2J?31m?abc????")
    stage.says("show json", json.dumps(DOCUMENT) + "\n")
    top.wait_text("primary r1: one claim")
    top.type("q")
    assert top.wait() == 0 and top.restored()
