"""Promise: another process takes the place of a router that serves, and costs no connect, no
request and no session; if it fails on the way, nothing has happened."""
import os
import signal
import socket
import ssl

import pytest

from lib.certificates import Authority
from lib.fake import echo, established, name_then_echo
from lib.ini import frontend, section, tcp_backend
from lib.manager import Manager
from lib.playbook import Stage
from lib.process import free_port
from lib.resp import connect
from lib.router import BINARY
from lib.runtime import control_of
from lib.sockets import local, read_all, read_line
from lib.storm import Echo, Operators, Storm, ask, refused
from lib.upgrade import Upgraded, children
from lib.waiting import SLOW, holds, until

CROWD = 300 if SLOW == 1 else 60
BROKEN = "[frontend f]\nbind = 127.0.0.1:1\nbackend = nobody\n"


def text_of(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class Place:
    """A router before an echo server, on a TCP port and a unix socket."""

    def __init__(self, home, server=None, router_keys=None, backend=None, **keys):
        self.server = server or home.fake(echo)
        self.port = free_port()
        self.path = f"{home.path}/f.sock"
        control, self.runtime = control_of(home)
        self.pid_file = f"{home.path}/pid"
        self.backend = tcp_backend(self.server, **(backend or {}))
        self.keys = keys
        self.router = Upgraded(home, self.sections(), pid_file=self.pid_file, **control,
                               **(router_keys or {}))

    def sections(self):
        return frontend("f", [f"127.0.0.1:{self.port}", f"unix:{self.path}"],
                        **self.keys) + self.backend

    def client(self, by_path=False):
        return connect(self.path if by_path else local(self.port), 20 * SLOW)

    def check(self, sessions=()):
        """Everything answers, and is of the process that serves."""
        for client in sessions:
            ask(client)
        for by_path in (False, True):
            with self.client(by_path) as client:
                ask(client)
        pid = self.router.process.pid
        assert self.router.stats()["router"]["pid"] == pid
        assert f"Pid: {pid}\n" in self.runtime("show info")
        assert text_of(self.pid_file) == f"{pid}\n"


def descriptors(process):
    """What it has open: kinds, with how many of each."""
    found = {}
    for name in os.listdir(f"/proc/{process.pid}/fd"):
        try:
            kind = os.readlink(f"/proc/{process.pid}/fd/{name}").split(":")[0]
        except FileNotFoundError:
            continue
        found[kind] = found.get(kind, 0) + 1
    found.pop("/dev/null")  # what a worker keeps to be able to refuse, from its first client on
    return found


@pytest.mark.sanitize
def test_three_generations_cost_no_connect_and_no_request(home):
    """Under a storm, with hundreds of sessions that stay where they are. The old ones end with
    their last session, and leave files alone. Nothing is left open in the new ones."""
    place = Place(home, home.keep(Echo("echo")))
    router = place.router
    listening = 2 * 2 + 2  # two workers at two addresses, and the operators' own
    until(lambda: descriptors(router.process)["socket"] == listening, "nobody to be there")
    at_first = descriptors(router.process)
    storm = home.keep(Storm(local(place.port)))
    operators = home.keep(Operators(router, place.runtime))
    crowds = []
    for _ in range(2):
        crowds.append([place.client(i % 3 == 0) for i in range(CROWD)])
        for client in crowds[-1]:
            ask(client)
        old = router.upgrade()
        place.check(crowds[-1])
        assert old.running()
    for crowd, old in zip(crowds, router.before):
        for client in crowd:
            ask(client, b"still here")
        assert old.running()
        for client in crowd:
            client.close()
        old.wait()
        place.check()
    done = storm.done
    until(lambda: storm.done > done + 10, "the storm to go on")
    storm.close()
    operators.close()
    assert storm.failures == []
    assert operators.failures == []
    assert operators.seen["pids"] >= {old.pid for old in router.before}
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")
    until(lambda: descriptors(router.process) == at_first, "nothing else to be open")
    router.stop()
    assert not any(os.path.exists(path) for path in (place.path, place.pid_file))


def test_another_number_of_workers_takes_over_all_that_is_queued(home):
    place = Place(home, home.keep(Echo("echo")), {"workers": 1})
    storm = home.keep(Storm(local(place.port)))
    for workers in (4, 1):
        with place.client() as client:
            ask(client)
            place.router.write(place.sections(), workers=workers)
            place.router.upgrade()
            place.check([client])
            assert place.router.stats()["router"]["workers"] == workers
        done = storm.done
        until(lambda: storm.done > done + 50, "the storm to go on")
    storm.close()
    assert storm.failures == []


def test_the_cap_of_a_server_is_kept_by_both_together(home):
    """The old one's sessions leave one by one; who waits in either gets the places."""
    server = home.fake(name_then_echo, "s")
    place = Place(home, server, {"workers": 1},  # so that they wait in the order of coming
                  backend={"server_max_connections": 4, "queue_timeout": "60s"})
    old = [place.client() for _ in range(4)]
    for client in old:
        read_line(client)
    waits_in_old = place.client()
    place.router.wait_for(lambda s: s.backend()["waiting"] == 1, "somebody to wait")
    place.router.upgrade()
    new = [place.client() for _ in range(3)]
    place.router.wait_for(lambda s: s.backend()["waiting"] == 3, "the new one's to wait")
    assert server.count() == 4
    old.pop().close()
    assert read_line(waits_in_old).strip() == "s"
    for client in new:
        old.pop().close()
        assert read_line(client).strip() == "s"
    assert server.most == 4
    assert server.accepted == 8
    for client in [waits_in_old, *new]:
        ask(client)
        client.close()
    place.router.before[0].wait()
    again = [place.client() for _ in range(4)]
    for client in again:
        read_line(client)
    assert server.most == 4


@pytest.mark.parametrize("whose", ["frontend", "router"])
def test_sessions_of_both_count_together(home, whose):
    keys = {"max_sessions": 3}
    place = Place(home, home.fake(name_then_echo, "s"), keys if whose == "router" else {},
                  **(keys if whose == "frontend" else {}))
    old = [place.client() for _ in range(2)]
    for client in old:
        read_line(client)
    place.router.upgrade()
    with place.client() as third:
        read_line(third)
        with place.client() as fourth:
            assert read_all(fourth) == b""
        old.pop().close()
        place.router.wait_for(lambda s: s["router"]["sessions"] == 2, "the place to be free")
        with place.client() as fourth:
            assert read_line(fourth).strip() == "s"
            ask(third)
    old.pop().close()
    place.router.before[0].wait()


# What fails.

def conduct(act, word):
    return {"act": act, "word": word}


@pytest.mark.parametrize("rules", [
    None, conduct("kill-new", "begin"), conduct("kill-new", "end"), conduct("kill-new", "ready"),
    conduct("kill-new", "over")], ids=lambda rules: rules["word"] if rules else "no-program")
@pytest.mark.sanitize
def test_a_new_process_that_ends_at_any_stage_has_changed_nothing(home, rules):
    place = Place(home, home.keep(Echo("echo")))
    router = place.router
    storm = home.keep(Storm(local(place.port)))
    with place.client() as one, place.client(by_path=True) as two:
        for client in (one, two):
            ask(client)
        if rules:
            router.put_middleman(**rules)
            router.fail("an upgrade")
        else:
            os.unlink(router.program)
            router.begin()
            until(lambda: "cannot start" in router.log, "a word about it")
        place.check([one, two])
        done = storm.done
        until(lambda: storm.done > done + 10, "the storm to go on")
        storm.close()
        assert storm.failures == []
        assert children(router.process.pid) == []
        router.put(BINARY)
        router.upgrade()
        place.check([one, two])
    router.before[0].wait()


@pytest.mark.parametrize("sections", [BROKEN, "busy"], ids=["wrong", "address-in-use"])
def test_a_configuration_that_cannot_be_used_has_changed_nothing(home, sections):
    """Nor are the files of sockets gone that it does not name."""
    place = Place(home)
    with place.client() as client, socket.create_server(("127.0.0.1", 0)) as busy:
        ask(client)
        if sections == "busy":
            sections = frontend("f", [f"127.0.0.1:{place.port}", f"unix:{place.path}",
                                      f"127.0.0.1:{busy.getsockname()[1]}"]) + place.backend
        place.router.write(sections)
        place.router.fail("the configuration")
        place.check([client])
        place.router.write(frontend("f", f"127.0.0.1:{place.port}") + place.backend)
        place.router.put_middleman(**conduct("kill-new", "ready"))
        place.router.fail("the new one")
        place.check([client])


@pytest.mark.parametrize("word", ["end", "ready", "over"])
def test_an_old_process_that_is_killed_at_any_stage_is_followed_all_the_same(home, word):
    place = Place(home, home.keep(Echo("echo")))
    storm = home.keep(Storm(local(place.port)))
    place.router.put_middleman(**conduct("kill-old", word))
    until(lambda: storm.done > 10, "the storm")
    place.router.begin()
    old = place.router.turn()
    place.router.killed += 1
    assert old.wait() == -signal.SIGKILL
    place.check()
    done = storm.done
    until(lambda: storm.done > done + 10, "the storm to go on")
    storm.close()
    assert not [f for f in storm.failures if "Refused" in f]


def test_a_signal_in_the_midst_of_it(home):
    """Nobody accepts before its turn, a second SIGUSR2 and a reload are refused, and nothing of it
    comes in between."""
    place = Place(home)
    router = place.router
    router.begin_and_stay("ready")
    router.process.signal(signal.SIGUSR2)
    until(lambda: "another process is about to take over already" in router.log, "a word")
    router.reload(taken=False)
    clients = [place.client() for _ in range(20)]
    for client in clients:
        ask(client)
    assert router.stats()["router"]["sessions"] == 20
    router.go_on()
    router.turn()
    place.check(clients)
    router.put(BINARY)
    router.reload()
    for client in clients:
        ask(client)
        client.close()
    router.before[0].wait()


def test_names_that_are_looked_up_do_not_begin_the_turn(home):
    server = home.fake(name_then_echo, "s")
    place = Place(home, server)
    place.backend = section("backend b", protocol="tcp", probe="off",
                            server=f"s localhost:{server.port}")
    place.router.write(place.sections())
    place.router.begin_and_stay("ready")
    clients = [place.client() for _ in range(20)]
    for client in clients:
        assert read_line(client).strip() == "s"
    assert place.router.stats()["router"]["sessions"] == 20
    place.router.go_on()
    place.router.turn()
    with place.client() as client:
        assert read_line(client).strip() == "s"


@pytest.mark.parametrize("when", ["after", "within"])
def test_sigterm_ends_the_old_one_within_its_time(home, when):
    place = Place(home, router_keys={"drain_timeout": "300ms"})
    router = place.router
    with place.client() as client:
        ask(client)
        if when == "within":
            router.begin_and_stay("over")
            router.process.signal(signal.SIGTERM)
            until(lambda: "SIGTERM" in router.log, "the signal")
            router.go_on()
            router.turn()
        else:
            router.upgrade().signal(signal.SIGTERM)
        until(lambda: not established(client), "the session to be closed")
        router.before[0].wait()
    place.check()


# What is handed over.

def test_frontends_come_and_go(home):
    a, b = home.fake(name_then_echo, "a"), home.fake(name_then_echo, "b")
    place = Place(home, a)
    fresh, moved = free_port(), f"{home.path}/g.sock"
    with place.client() as old, place.client(by_path=True) as by_path:
        assert read_line(old).strip() == read_line(by_path).strip() == "a"
        place.router.keys.pop("control")
        place.router.write(frontend("g", [f"127.0.0.1:{fresh}", f"unix:{moved}"], "c")
                           + tcp_backend(b, name="c"))
        place.router.upgrade()
        for address in (local(fresh), moved):
            with connect(address) as new:
                assert read_line(new).strip() == "b"
        until(lambda: refused(local(place.port)), "the address to be closed")
        until(lambda: not os.path.exists(place.path), "the socket file to go")
        until(lambda: not os.path.exists(place.runtime.path), "the control socket to go")
        ask(old)
        ask(by_path)


def test_tls_goes_on(home):
    authority = Authority(home.directory("ca"))
    leaf = authority.leaf(names=["hub.example.com"])
    place = Place(home, tls="yes", tls_cert=leaf.pem)
    context = ssl.create_default_context(cafile=authority.ca)

    def client():
        return context.wrap_socket(place.client(), server_hostname="hub.example.com")

    with client() as old:
        place.router.upgrade()
        with client() as new:
            for one in (old, new):
                one.sendall(b"ping")
                assert one.recv(4) == b"ping"


def test_roles_and_writes_go_on(home):
    """Three generations under a steady writer: no write is refused or lost; who was the primary is
    known, without an election that could find another one."""
    stage = Stage(home, start=False)
    stage.router = Upgraded(home, stage.sections)
    a = stage.servers[0]
    stage.router.wait_primary("a")
    stage.start_writers()
    for _ in range(2):
        stage.router.upgrade()
        stats = stage.router.stats()
        assert stats.backend()["primary"] == "a"
        assert stats.backend()["verdict"] == "primary"
        stage.wait_writes(20, a)
    assert stage.writers.refused == []
    assert stage.writers.cut == []
    stage.curtain(a)


def test_a_failover_while_both_live_is_seen_by_both(home):
    """The writer's session is the old one's: it is cut and comes to the new one. Nobody writes to
    the one that was succeeded, whichever process it came by."""
    stage = Stage(home, start=False)
    stage.router = Upgraded(home, stage.sections)
    a, b, c = stage.servers
    stage.router.wait_primary("a")
    stage.start_writers()
    sleeper = home.keep(connect(stage.address, 20 * SLOW))
    ping(sleeper)
    old = stage.router.upgrade()
    ping(sleeper)
    assert old.running()
    stage.fault()
    b.promote()
    c.follow(b)
    stage.router.wait_primary("b")
    until(lambda: not established(sleeper), "the old one to fence what it has")
    old.wait()
    stage.wait_writes(20, b)
    stage.curtain(b)


def ping(client):
    client.sendall(b"PING\r\n")
    assert client.recv(7, socket.MSG_WAITALL) == b"+PONG\r\n"


def test_what_lost_an_election_before_does_not_win_one_after(home):
    """`a` was succeeded and comes back with its claim; so it was before the upgrade, and the new
    process, which never saw the election, knows."""
    stage = Stage(home, start=False)
    stage.router = Upgraded(home, stage.sections, start_timeout="300ms")
    a, b, c = stage.servers
    stage.router.wait_primary("a")
    b.promote()
    c.follow(b)
    stage.router.wait_primary("b")
    stage.start_writers()
    for server in (b, c):  # nobody but `a` answers
        server.process.signal(signal.SIGSTOP)
    try:
        stage.verdict(verdict="hold", primary="b")
        stage.router.upgrade()
        holds(lambda: stage.router.stats().backend()["primary"] != "a", "a has lost", 0.3)
        stage.verdict(verdict="hold", primary="b")
    finally:
        for server in (b, c):
            server.process.signal(signal.SIGCONT)
    stage.router.wait_primary("b")
    stage.wait_writes(20, b)
    stage.curtain(b)


def test_what_the_operator_said_is_known(home):
    control, runtime = control_of(home)
    stage = Stage(home, start=False)
    stage.router = Upgraded(home, stage.sections + frontend("t", free_port(), "q")
                            + tcp_backend(home.fake(echo), name="q"), **control)
    stage.router.wait_primary("a")
    runtime.ok("set server b/c state maint")
    runtime.ok("pause backend q")
    stage.router.upgrade()
    assert stage.router.stats().server("c", "b")["admin"] == "maint"
    assert runtime("pause backend q") == "It is paused already.\n"
    runtime.ok("resume backend q")
    stage.router.upgrade()
    runtime.ok("pause backend q")
    assert stage.router.stats().server("c", "b")["admin"] == "maint"


@pytest.mark.parametrize("fails", [False, True])
def test_systemd_is_told_who_the_service_is(home, fails):
    """The new one has said nothing before, and the old one says nothing afterwards."""
    manager = Manager(home)
    place = Place(home, router_keys={"env": manager.environment()})
    router = place.router
    manager.wait("READY=1")
    with place.client() as client:
        ask(client)
        if fails:
            router.put_middleman(**conduct("kill-new", "over"))
            router.fail("the new one")
            manager.wait("STATUS=serving, 1 sessions; b: 1 of 1 servers")
            assert manager.lines().count("READY=1") == 1
            assert not [line for line in manager.lines() if line.startswith("MAINPID=")]
            return
        router.upgrade()
        until(lambda: manager.lines().count("READY=1") == 2, "the second READY")
        manager.wait(f"MAINPID={router.process.pid}")
    router.before[0].wait()
    assert "STOPPING=1" not in manager.lines()
    assert "STATUS=draining" not in "".join(manager.lines())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_who_has_become_another_user_can_be_followed(home):
    os.chmod(home.path, 0o777)
    place = Place(home, router_keys={"becomes": "nobody"})
    os.chmod(place.router.directory, 0o755)
    with place.client() as client:
        ask(client)
        for _ in range(2):
            place.router.upgrade()
            place.check([client])
            assert os.stat(f"/proc/{place.router.process.pid}").st_uid != 0
