"""Promise: with log_format = haproxy a session leaves the line that HAProxy's option tcplog writes
of the same session: the same fields, the same letters for how it ended."""
import datetime
import re
import socket

import pytest

from lib.fake import FakeServer, reset
from lib.home import Home
from lib.ini import frontend, section
from lib.process import Process, free_port
from lib.resp import connect
from lib.sockets import read_all
from lib.syslog import HEADER, Syslog
from lib.waiting import SLOW, Clock, until

LINE = re.compile(
    r"(?P<ci>[^ ]+):(?P<cp>\d+) \[(?P<t>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3})\] "
    r"(?P<ft>[^ ]+) (?P<b>[^ /]+)/(?P<s>[^ /]+) (?P<Tw>-?\d+)/(?P<Tc>-?\d+)/(?P<Tt>\d+) (?P<B>\d+) "
    r"(?P<ts>..) (?P<ac>\d+)/(?P<fc>\d+)/(?P<bc>\d+)/(?P<sc>\d+)/(?P<rc>\+?\d+) "
    r"(?P<sq>\d+)/(?P<bq>\d+)\n?")
TIMES = ("Tw", "Tc", "Tt")
DATE = "%d/%b/%Y:%H:%M:%S.%f"
LOCAL0_INFO = 16 * 8 + 6


def echo_or_reset(_server, sock):
    while data := sock.recv(65536):
        if data == b"reset":
            reset(sock)
            return
        sock.sendall(data)


class Hole:
    """An address whose backlog is full: a connect to it is not answered at all."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.fillers = [socket.socket() for _ in range(3)]
        for sock in self.fillers:
            sock.setblocking(False)
            sock.connect_ex(self.listener.getsockname())

    @property
    def text(self):
        return "127.0.0.1:%d" % self.listener.getsockname()[1]

    def close(self):
        for sock in [self.listener, *self.fillers]:
            sock.close()


# What each pair of frontend and backend has beside its servers: of HAProxy's frontend and backend,
# of each of its servers; of the router's frontend, of its backend.
STAGES = {
    "plain": ("", "", "", {}, {}),
    "idle": ("timeout client 200ms", "", "", {"idle_timeout": "200ms"}, {}),
    "dead": ("", "", "", {}, {}),
    "hole": ("", "", "", {}, {}),
    "late": ("", "timeout queue 200ms", " maxconn 1", {},
             {"server_max_connections": 1, "queue_timeout": "200ms"}),
    "queue": ("", "", " maxconn 1", {}, {"server_max_connections": 1}),
    "other": ("", "option redispatch 1", "", {}, {}),
}

HAPROXY = """global
    nbthread 1
    stats socket {socket}
    log 127.0.0.1:{port} local0
defaults
    mode tcp
    log global
    option tcplog
    option abortonclose
    retries 2
    balance first
    timeout connect 100ms
    timeout client 30s
    timeout server 30s
    timeout queue 30s
"""


class Side:
    """HAProxy or the router, and what its sessions left in its syslog."""

    def __init__(self, home):
        self.syslog = home.keep(Syslog())
        self.ports = {name: free_port() for name in STAGES}
        self.waiting = None  # how many clients wait, as it says itself

    def wait_waiting(self, count):
        until(lambda: self.waiting() == count, f"{count} clients to wait", 10)

    def connect(self, stage, first=b""):
        sock = connect(("127.0.0.1", self.ports[stage]))
        if first:
            sock.sendall(first)
            assert sock.recv(65536) == first
        return sock

    def sessions(self, after):
        """The fields of each line of a session, of those behind the first `after` lines."""
        found = []
        for text in self.syslog.lines[after:]:
            header = HEADER.match(text)
            match = LINE.fullmatch(text[header.end():])
            if match:
                assert int(header[1]) == LOCAL0_INFO and header[3] == "haproxy", text
                found.append(match.groupdict())
        return found

    def wait_sessions(self, ports, after):
        """Those of these clients, in the order of their ends."""
        def found():
            mine = [f for f in self.sessions(after) if int(f["cp"]) in ports]
            return mine if len(mine) == len(ports) else None

        return until(found, f"{len(ports)} lines; there are {self.syslog.lines[after:]}", 10)


def haproxy_waiting(path):
    """qcur of all backends, the third column of `show stat`."""
    with connect(path) as sock:
        sock.sendall(b"show stat\n")
        text = read_all(sock).decode()
    return sum(map(int, re.findall(r"^b-\w+,BACKEND,(\d+),", text, re.M)))


class Both:
    def __init__(self, home):
        self.home = home
        self.haproxy, self.router = Side(home), Side(home)
        alive = home.keep(FakeServer(echo_or_reset, "one")).text
        dead = f"127.0.0.1:{free_port()}"
        hole = home.keep(Hole()).text
        stats = f"{home.path}/haproxy.sock"
        self.haproxy.waiting = lambda: haproxy_waiting(stats)
        self.router.waiting = self._router_waiting
        servers = {"dead": [("one", dead)], "hole": [("one", hole)],
                   "other": [("a", dead), ("one", alive)]}
        config = HAPROXY.format(port=self.haproxy.syslog.port, socket=stats)
        sections = ""
        for name, (front, back, server, front_keys, back_keys) in STAGES.items():
            lines = servers.get(name, [("one", alive)])
            config += (f"frontend f-{name}\n    bind 127.0.0.1:{self.haproxy.ports[name]}\n"
                       f"    default_backend b-{name}\n    {front}\n"
                       f"backend b-{name}\n    {back}\n"
                       + "".join(f"    server {n} {at}{server}\n" for n, at in lines))
            sections += frontend(f"f-{name}", self.router.ports[name], backend=f"b-{name}",
                                 **front_keys)
            sections += section(f"backend b-{name}", protocol="tcp", probe="off", balance="first",
                                server=[f"{n} {at}" for n, at in lines], connect_retries=2,
                                connect_timeout="100ms",
                                **{"queue_timeout": "30s", **back_keys})
        self.process = home.keep(Process(["haproxy", "-db", "-f",
                                          home.file("haproxy.cfg", config)],
                                         f"{home.path}/haproxy.log"))
        self.process.close = self.process.kill
        self.process_router = home.router(sections, log=self.router.syslog.text,
                                          log_format="haproxy", log_sessions="all", workers=1)
        until(self._serves, "HAProxy to serve", 10)

    def _router_waiting(self):
        return sum(b["waiting"] for b in self.process_router.stats()["backends"])

    def _serves(self):
        assert self.process.running(), self.process.log
        try:
            self.haproxy.connect("plain").close()
            return True
        except OSError:
            return False


@pytest.fixture(scope="module", name="both")
def _both():
    home = Home()
    try:
        yield Both(home)
    finally:
        home.close()


def same(both, act):
    """Does act(side), which gives the ports of the clients whose sessions it ends, with each; their
    lines must be the same but for ports and times, and times -1 on the same occasions. Returns the
    router's."""
    told = []
    for side in (both.haproxy, both.router):
        after = len(side.syslog.lines)
        told.append(side.wait_sessions(act(side), after))
    for theirs, ours in zip(*told):
        pair = [dict(fields, never=[key for key in TIMES if fields[key] == "-1"])
                for fields in (theirs, ours)]
        for fields in pair:
            age = datetime.datetime.now() - datetime.datetime.strptime(fields.pop("t"), DATE)
            assert datetime.timedelta() <= age < datetime.timedelta(minutes=5), fields
            for key in ("cp", *TIMES):
                fields.pop(key)
        assert pair[0] == pair[1], (theirs, ours)
    return told[1]


def port_of(sock):
    return sock.getsockname()[1]


def closed(sock):
    try:
        read_all(sock)
    except ConnectionResetError:
        pass


def talked(side, then, stage="plain"):
    with side.connect(stage, b"x" * 100) as sock:
        port = port_of(sock)
        then(sock)
    return [port]


def test_a_session_that_ended_well(both):
    def finish(sock):
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""

    line, = same(both, lambda side: talked(side, finish))
    assert (line["ci"], line["s"], line["B"], line["ts"]) == ("127.0.0.1", "one", "100", "--")
    assert (line["ac"], line["fc"], line["bc"], line["sc"], line["rc"]) == ("1", "1", "0", "0", "0")


def test_a_client_that_just_closes_has_ended_well(both):
    line, = same(both, lambda side: talked(side, lambda sock: None))
    assert line["ts"] == "--"


def test_a_client_that_resets(both):
    line, = same(both, lambda side: talked(side, reset))
    assert line["ts"] == "CD"


def test_a_server_that_resets(both):
    def provoke(sock):
        sock.sendall(b"reset")
        closed(sock)

    line, = same(both, lambda side: talked(side, provoke))
    assert line["ts"] == "SD"


def test_an_idle_session(both):
    line, = same(both, lambda side: talked(side, read_all, "idle"))
    assert line["ts"] == "cD" and int(line["Tt"]) >= 195


def only_wait(stage):
    def act(side):
        with side.connect(stage) as sock:
            port = port_of(sock)
            closed(sock)
        return [port]
    return act


def test_a_server_that_refuses_the_connect(both):
    line, = same(both, only_wait("dead"))
    assert (line["ts"], line["s"], line["rc"], line["Tc"]) == ("SC", "one", "2", "-1")


def test_a_server_that_does_not_answer_the_connect(both):
    line, = same(both, only_wait("hole"))
    assert (line["ts"], line["s"], line["Tc"]) == ("sC", "one", "-1")
    assert int(line["Tt"]) >= 295


def test_a_connect_that_another_server_takes(both):
    line, = same(both, lambda side: talked(side, lambda sock: None, "other"))
    assert (line["ts"], line["s"], line["rc"]) == ("--", "one", "+1")


def test_who_waits_too_long(both):
    def act(side):
        with side.connect("late", b"x") as first, side.connect("late") as second:
            ports = [port_of(first), port_of(second)]
            closed(second)
            side.wait_waiting(0)
        return ports

    late, _ = same(both, act)
    assert (late["ts"], late["s"], late["Tc"], late["bq"]) == ("sQ", "<NOSRV>", "-1", "1")
    assert int(late["Tw"]) >= 195 and late["bc"] == "1" and late["ac"] == "2"


def test_who_leaves_the_queue(both):
    def act(side):
        after = len(side.syslog.lines)
        with side.connect("queue", b"x") as first:
            with side.connect("queue") as second:
                ports = [port_of(first), port_of(second)]
                side.wait_waiting(1)
            side.wait_sessions(ports[1:], after)
            side.wait_waiting(0)
        return ports

    left, _ = same(both, act)
    assert (left["ts"], left["s"], left["bq"]) == ("CQ", "<NOSRV>", "1")


def test_who_waited_and_was_served(both):
    def act(side):
        after = len(side.syslog.lines)
        with side.connect("queue", b"x") as first:
            ports = [port_of(first)]
            waiters = []
            for count in (1, 2):
                waiters.append(side.connect("queue"))
                side.wait_waiting(count)
            clock = Clock()
            until(lambda: clock.passed(0.05), "a wait that can be told from none")
        for sock in waiters:
            with sock:
                side.wait_sessions(ports, after)
                ports.append(port_of(sock))
                sock.sendall(b"yy")
                assert sock.recv(2) == b"yy"
        return ports

    first, second, third = same(both, act)
    assert [line["bq"] for line in (first, second, third)] == ["0", "1", "2"]
    assert int(third["Tw"]) >= 45 and second["ts"] == third["ts"] == "--"
    assert int(first["Tw"]) < 1000 * SLOW


def test_other_lines_are_told_as_notices_with_the_same_tag(both):
    line = both.router.syslog.wait(lambda text: ": router " in text, "the line of the start")
    header = HEADER.match(line)
    assert (header[3], int(header[4])) == ("haproxy", both.process_router.pid)
