"""routerctl shows people what the control socket says, passes on what is HAProxy's as it is, and
tells by its status whether the router did it, refused, or is not there."""
import json
import os
import socket
import subprocess

import pytest

from lib.fake_control import DOCUMENT
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.routerctl import BINARY, environment, routerctl, rows
from lib.waiting import until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Stage:
    def __init__(self, home):
        self.socket = os.path.join(home.path, "control")
        self.port = free_port()
        self.redis = home.redis_group("r1", "r2")
        self.router = home.router(frontend("write", self.port) + redis_backend(*self.redis),
                                  control=self.socket)
        self.router.wait_primary("r1")
        self.router.wait_for(lambda s: s.server("r2")["role"] == "replica", "r2 to be a replica")

    def ctl(self, *args, **options):
        return routerctl(*args, socket=self.socket, **options)

    def done(self, *args):
        """Its output; it must have gone well."""
        done = self.ctl(*args)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def json(self, *args):
        return json.loads(self.done(*args, "--json"))


@pytest.fixture(scope="module")
def stage(shared_home):
    return Stage(shared_home)


# What is shown -----------------------------------------------------------------------------------

def test_status_is_one_screen_of_frontends_backends_and_servers_with_the_reason(stage):
    said = stage.done("status")
    stats = stage.router.stats()
    assert f"pid {stage.router.pid}" in said and "ready" in said
    assert "b (redis): primary r1" in said
    assert stats.backend()["reason"] in said
    table = rows(said)
    assert ["r1", "primary", "up", "open"] in [row[:4] for row in table]
    assert ["r2", "replica", "up"] in [row[:3] for row in table]
    assert ["write", "b", "primary", "yes"] in [row[:4] for row in table]


def test_one_backend_or_one_server_may_be_asked_for(stage):
    assert rows(stage.done("servers", "b/r2"))[1][:3] == ["b", "r2", "replica"]
    assert len(rows(stage.done("servers", "b"))) == 3
    assert "b (redis)" in stage.done("status", "b")
    for verb, name in (("servers", "b/r9"), ("status", "nobody"), ("frontends", "nobody")):
        done = stage.ctl(verb, name)
        assert (done.returncode, done.stdout) == (1, "") and name in done.stderr


def test_json_is_what_the_router_says_for_programs(stage):
    status = stage.json("status")
    assert status["backends"][0]["primary"] == "r1"
    servers = stage.json("servers")
    assert [(s["backend"], s["name"]) for s in servers] == [("b", "r1"), ("b", "r2")]
    assert servers[0].keys() - {"backend"} == stage.router.stats().server("r1").keys()
    assert stage.json("frontends", "write")[0]["name"] == "write"
    assert stage.json("changes")[0]["to"] == "r1"
    assert stage.json("info")["Pid"] == stage.router.pid
    assert stage.json("show", "json")["router"]["pid"] == stage.router.pid


def test_events_are_shown_oldest_first_and_followed(stage):
    stage.done("pause", "b")
    assert "paused by the operator" in stage.done("status", "b")
    stage.done("resume", "b")
    assert "paused" not in stage.done("status", "b")
    said = stage.done("events").splitlines()
    assert [line.split()[0] for line in said] == sorted(line.split()[0] for line in said)
    (last,) = stage.done("events", "-n", "1").splitlines()
    assert last == said[-1]
    follower = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", BINARY, "-s", stage.socket, "events", "-f", "-n", "1"],
        stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert follower.stdout.readline().rstrip() == last
        stage.done("pause", "b")
        assert "paused" in follower.stdout.readline()
        stage.done("resume", "b")
        assert follower.poll() is None
    finally:
        follower.kill()
        follower.communicate()


def test_sessions_are_a_table(stage):
    with socket.create_connection(("127.0.0.1", stage.port)) as sock:
        sock.sendall(b"PING\r\n")
        assert sock.recv(64) == b"+PONG\r\n"
        table = rows(stage.done("sessions"))
        assert "ID" in table[0] and "SRC" in table[0]
        source = "%s:%d" % sock.getsockname()
        (session,) = [s for s in stage.json("sessions") if s["src"] == source]
        assert (session["fe"], session["be"], session["srv"]) == ("write", "b", "r1")


# What is done ------------------------------------------------------------------------------------

def test_a_server_is_drained_and_taken_back(stage):
    for word in ("drain", "ready", "maint", "ready"):
        stage.done(word, "b/r2")
        assert stage.router.stats().server("r2")["admin"] == word
        state = rows(stage.done("servers", "b/r2"))[1][3]
        assert state == (word if word != "ready" else "up")


def test_a_weight_is_set(stage):
    stage.done("weight", "b/r2", "7")
    assert stage.done("get", "weight", "b/r2") == "7 (initial 1)\n"
    assert stage.json("servers", "b/r2")[0]["weight"] == 7


def test_who_waits_and_how_full_servers_are_are_tables(stage):
    assert stage.json("waiting")[0]["id"] == "b"
    assert rows(stage.done("waiting", "b"))[1][:2] == ["b", "0"]
    assert [row[0] for row in rows(stage.done("pool"))] == ["SERVER", "b/r1", "b/r2"]
    assert stage.json("pool", "b")[0]["servers"][1]["server"] == "r2"
    assert stage.json("waiting", "b")[0]["waiting"] == 0


@pytest.mark.parametrize("command", [
    ["drain", "b/r9"], ["set", "server", "b/r9", "state", "drain"], ["pause", "nobody"],
    ["elect", "b/r2"], ["no", "such", "command"], ["shutdown", "session", "0x99"],
    ["raw", "set server b/r9 state ready"]])
def test_a_refusal_is_status_1_and_the_routers_words_on_standard_error(stage, command):
    done = stage.ctl(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr and not done.stderr.startswith("[")
    done = stage.ctl("--json", *command)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr


def test_what_haproxys_users_type_is_passed_on_as_it_is(stage):
    assert stage.done("show", "version") == stage.done("show version")
    assert "Pid: %d\n" % stage.router.pid in stage.done("show", "info")
    assert stage.done("show version; show cli level").splitlines()[1:] == ["", "admin"]
    assert stage.done("raw", "show", "version") == stage.done("show", "version")
    done = stage.ctl("show version; set server b/r9 state ready; show version")
    version = stage.done("show", "version")
    assert done.returncode == 1 and done.stdout.count(version) == 2 and "server" in done.stderr


def test_an_argument_of_a_short_word_is_one_word_of_the_command(stage):
    for command in (["drain", "b/r2; show version"], ["elect", "b/r9; show version"]):
        done = stage.ctl(*command)
        assert done.returncode == 1 and done.stdout == ""
    done = stage.ctl("show version\nshow version")
    assert done.returncode == 2 and "one line" in done.stderr


@pytest.mark.parametrize("command", [
    [], ["--nonsense"], ["status", "a", "b"], ["weight", "b/r1"], ["ready"], ["drain", "a", "b"],
    ["-n", "3", "status"], ["-f", "show", "info"], ["-n", "x", "events"], ["-t", "0", "status"],
    ["top"], ["raw"], ["drill", "b"]])
def test_what_makes_no_sense_is_status_2(command):
    done = routerctl(*command, socket="/nonexistent/control")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr


def test_where_nobody_listens_is_status_3_and_says_where(home):
    nowhere = os.path.join(home.path, "nowhere")
    for command in (["status"], ["show", "info"], ["info"], ["events"]):
        done = routerctl(*command, socket=nowhere)
        assert (done.returncode, done.stdout) == (3, "") and nowhere in done.stderr
    done = routerctl("status", env={"ROUTER_SOCKET": nowhere})
    assert done.returncode == 3 and nowhere in done.stderr
    done = routerctl("status", socket="x" * 200)
    assert done.returncode == 3 and "long" in done.stderr


def test_the_socket_may_be_named_by_the_environment(stage):
    done = routerctl("show", "version", env={"ROUTER_SOCKET": stage.socket})
    assert (done.returncode, done.stdout) == (0, stage.done("show", "version"))
    assert routerctl("show", "version", env={"ROUTER_SOCKET": "unix:" + stage.socket}).stdout


def test_help_and_version_need_no_router():
    for option in ("--help", "-h"):
        done = routerctl(option, socket="/nonexistent/control")
        assert done.returncode == 0 and "weight BACKEND/SERVER" in done.stdout
    assert routerctl("--version").stdout.startswith("routerctl ")


# Completion --------------------------------------------------------------------------------------

def completed(stage, line):
    """What bash offers for a line."""
    script = """
        source completion/routerctl.bash
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _routerctl "$1"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    words = [BINARY] + line.split(" ")[1:]
    done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, check=True,
                          env=environment(ROUTER_SOCKET=stage.socket))
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_words_and_the_names_that_the_router_has(stage):
    assert {"status", "drain", "show", "set"} <= completed(stage, "routerctl ")
    assert completed(stage, "routerctl st") == {"status"}
    assert completed(stage, "routerctl po") == {"pool"}
    assert completed(stage, "routerctl pool ") == {"b"} and not completed(stage, "routerctl slow ")
    assert {"pool", "slow"} <= completed(stage, "routerctl show ")
    assert completed(stage, "routerctl drain ") == {"b/r1", "b/r2"}
    assert completed(stage, "routerctl --json servers b") == {"b"} | {"b/r1", "b/r2"}
    assert completed(stage, "routerctl pause ") >= {"b", "backend"}
    assert completed(stage, "routerctl pause backend ") == {"b"}
    assert {"info", "json", "version"} <= completed(stage, "routerctl show ")
    assert completed(stage, "routerctl set server b/r1 state ") == {"ready", "drain", "maint"}
    assert completed(stage, "routerctl disable frontend ") == {"write"}
    assert "--json" in completed(stage, "routerctl --j")
    assert completed(stage, f"routerctl -s {stage.socket} elect b/r") == {"b/r1", "b/r2"}
    assert completed(stage, "routerctl no such ") == set()


def test_bash_completes_our_own_words_where_nobody_listens(home):
    class Nobody:
        socket = os.path.join(home.path, "nowhere")

    assert completed(Nobody, "routerctl dr") == {"drain", "drill"}
    assert completed(Nobody, "routerctl drain ") == set()
    assert completed(Nobody, f"routerctl -s {home.path[:-3]}") == {home.path}


def test_drain_alone_ends_the_whole_router(home):
    control = os.path.join(home.path, "control")
    router = home.router(frontend("f", free_port()) + redis_backend(home.redis("r1")),
                         control=control)
    assert routerctl("drain", socket=control).returncode == 0
    router.ended = True
    assert router.process.wait() == 0


def test_the_documents_of_these_tests_have_the_members_of_the_real_one(stage):
    """The tests with made-up numbers are worth nothing where the router says other words."""
    real = stage.router.stats()

    def check(made_up, real_one):
        assert made_up.keys() <= real_one.keys(), made_up.keys() - real_one.keys()

    check(DOCUMENT, real)
    check(DOCUMENT["router"], real["router"])
    check(DOCUMENT["frontends"][0], real.frontend())
    check(DOCUMENT["backends"][0], real.backend())
    check(DOCUMENT["backends"][0]["servers"][0], real.server("r1"))
    check(DOCUMENT["events"][0], real["events"][0])
    check(DOCUMENT["changes"][0], until(lambda: stage.router.stats()["changes"], "a change")[0])
