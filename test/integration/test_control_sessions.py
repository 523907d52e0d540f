"""Promise: `show sess` lists each session once, however many there are and whatever they do
meanwhile."""
import re
import socket

import pytest

from lib.fake import echo
from lib.freeze import Frozen, threads
from lib.ini import frontend, section, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.runtime import Runtime, control_of
from lib.waiting import until

LISTED_MAX = 4096


class World:
    def __init__(self, home, **keys):
        control, self.run = control_of(home)
        self.port = free_port()
        self.server = home.fake(echo, "s")
        self.router = home.router(frontend("f", self.port) + tcp_backend(self.server) +
                                  frontend("g", free_port(), backend="r") +
                                  tcp_backend(self.server, name="r"), **control, **keys)

    def clients(self, count):
        """Connected through the router, and heard by the server."""
        made = [connect(("127.0.0.1", self.port)) for _ in range(count)]
        for client in made:
            client.sendall(b"xyz")
        for client in made:
            assert client.recv(1) == b"x"
        return made


@pytest.fixture(scope="module")
def world(shared_home):
    return World(shared_home)


@pytest.mark.sanitize
def test_each_session_is_listed_once_with_what_is_known_of_it(world):
    clients = world.clients(300)
    try:
        lines = world.run("show sess").splitlines()
        sources = [re.search(r" src=127\.0\.0\.1:(\d+) ", line).group(1) for line in lines]
        assert sorted(sources) == sorted(str(c.getsockname()[1]) for c in clients)
        ids = [line.split(":")[0] for line in lines]
        assert len(set(ids)) == 300 and {int(i, 0) >> 32 for i in ids} == {0, 1}
        assert re.fullmatch(r"0x[0-9a-f]+: proto=tcpv4 src=127\.0\.0\.1:\d+ fe=f be=b srv=s "
                            r"ts=00 epoch=0 age=\d+s state=relay in=3 out=3 tls=no held=no exp= "
                            r"rc=0", lines[0])
        whole = world.run(f"show sess {ids[7]}")
        assert f"source=127.0.0.1:{sources[7]}\n" in whole and "server=s (addr=" in whole
        assert world.run("show sess all").count("\n  backend=b (protocol=tcp)\n") == 300
        assert len(world.run("show sess server b/s").splitlines()) == 300
        world.run.ok(f"shutdown session {ids[7]}")
        assert world.run(f"show sess {ids[7]}") == "No such session (use 'show sess').\n"
        lists = [world.run.later("show sess all;show sess") for _ in range(8)]
        for client in clients:
            client.close()
        for answer in lists:
            answer.answer()
    finally:
        for client in clients:
            client.close()
    until(lambda: world.run("show sess") == "", "all sessions to end")
    assert world.run("show sess server r/s") == ""
    assert world.run("show sess nonsense").startswith("Expected the number of a session")


@pytest.mark.sanitize
def test_sessions_that_end_while_they_are_listed_are_let_go(home):
    """The next part of a list begins at a session that has been freed."""
    world = World(home, workers=1)
    clients = world.clients(300)
    control = Frozen(world.router.pid)
    with Frozen(threads(world.router.process)[-1]):  # a sanitizer's own thread comes before it
        listing = world.run.send("show sess")
        for _ in range(3):
            world.run("show version")  # behind it: the worker has been asked by now
        control.__enter__()
    try:
        for client in clients:
            client.close()
        until(lambda: not world.server.open, "the worker to end its sessions", 20)
    finally:
        control.__exit__()
    with listing:
        lines = listing.makefile().read().splitlines()
    assert len(lines) == 128 + 1, "those of the first part, and an empty line"
    assert world.run("show sess") == ""


def test_of_more_than_can_be_listed_it_says_how_many_there_are(home):
    backlog = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(2)]
    for sock in backlog:
        home.keep(sock)
    control, runtime = control_of(home)
    port = free_port()
    servers = [f"s{i} 127.0.0.1:{sock.getsockname()[1]}" for i, sock in enumerate(backlog)]
    home.router(frontend("f", port) + section("backend b", protocol="tcp", probe="off",
                                              server=servers),
                drain_timeout="100ms", **control)
    clients = [home.keep(connect(("127.0.0.1", port))) for _ in range(LISTED_MAX + 4)]
    until(lambda: f"CurrConns: {len(clients)}\n" in runtime("show info"), "all to be accepted", 20)
    lines = runtime("show sess").splitlines()
    assert len(lines) == LISTED_MAX + 1
    assert lines[-1] == "# 4 more sessions are not listed"
