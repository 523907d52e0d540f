"""Promise: those who waited for a server do not fall upon it at once, all of them are served, and
nobody who stalls or leaves stands in the way of the others."""
import random
import resource
import selectors
import socket
import struct
import time

import pytest

from lib import mysql_wire
from lib.fake import hold
from lib.ini import frontend, section, servers
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local
from lib.waiting import SLOW, until

CROWD = 1000
AT_ONCE = 32
STARTUP = struct.pack(">II", 16, 0x30000) + b"user\0u\0\0"
WELCOME = b"R" + struct.pack(">II", 8, 0) + b"Z" + struct.pack(">I", 5) + b"I"


class Postgres:
    """What each side says; the client first."""
    name = "pgsql"
    hello = b""
    login = STARTUP
    welcome = WELCOME


class MySQL:
    """The server first."""
    name = "mysql"
    hello = mysql_wire.packet(0, mysql_wire.GREETING)
    login = mysql_wire.packet(1, mysql_wire.login())
    welcome = mysql_wire.packet(2, mysql_wire.ACCEPTED)


class Named:
    """A server line."""
    name = "s"

    def __init__(self, port):
        self.text = f"127.0.0.1:{port}"


class Crowd:
    """Clients, and the one server that they wait for, on one selector. The server takes four logins
    a turn, the oldest first, whatever came."""

    def __init__(self, home, family, port, count):
        self.family = family
        self.selector = selectors.DefaultSelector()
        self.clients = {}       # socket -> what it has heard
        self.served = 0
        self.logins = []        # of the server: sockets whose login it has, and has not answered
        self.most = 0
        home.keep(self)
        for _ in range(count):
            sock = connect(local(port), 20)
            if not family.hello:
                sock.sendall(family.login)
            sock.setblocking(False)
            self.clients[sock] = b""
            self.selector.register(sock, selectors.EVENT_READ, self.on_client)
        self.listener = None

    def listen(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=2000)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, self.on_accept)

    def on_accept(self, listener):
        sock, _ = listener.accept()
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ, self.on_server)
        if self.family.hello:
            sock.sendall(self.family.hello)

    def on_server(self, sock):
        if self.heard(sock):
            self.logins.append(sock)
            self.most = max(self.most, len(self.logins))
        else:
            self.logins = [s for s in self.logins if s is not sock]
            self.forget(sock)

    def on_client(self, sock):
        data = self.heard(sock)
        assert data, "a client was not served"
        before = self.clients[sock]
        self.clients[sock] += data
        if self.family.hello and before != self.family.hello == self.clients[sock]:
            sock.sendall(self.family.login)
        self.served += self.clients[sock] == self.family.hello + self.family.welcome

    @staticmethod
    def heard(sock):
        try:
            return sock.recv(65536)
        except ConnectionError:
            return b""

    def forget(self, sock):
        self.selector.unregister(sock)
        sock.close()

    def leave(self, sock):
        """One of the clients."""
        self.served -= self.clients.pop(sock) == self.family.hello + self.family.welcome
        self.forget(sock)

    def look(self):
        for key, _ in self.selector.select(0.002):
            key.data(key.fileobj)

    def turn(self):
        self.look()
        for sock in self.logins[:4]:
            sock.sendall(self.family.welcome)
        del self.logins[:4]

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


@pytest.fixture(autouse=True)
def descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(before[1], 8192)), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def waiting_crowd(home, family):
    """Everybody waits, because their server does not listen yet."""
    port, server = free_port(), free_port()
    router = home.router(frontend("f", port, route="any") + section(
        "backend b", protocol=family.name, probe="connect", probe_interval="100ms",
        probe_fast_interval="50ms", queue_limit=CROWD, queue_timeout="10m",
        server=servers(Named(server))))
    crowd = Crowd(home, family, port, CROWD)
    router.wait_for(lambda s: s.backend()["waiting"] == CROWD, "all to wait", 20)
    crowd.listen(server)
    return router, crowd


def serve(crowd):
    """Until all that are left are served."""
    deadline = time.monotonic() + 60 * SLOW
    while crowd.served < len(crowd.clients):
        assert time.monotonic() < deadline, f"{crowd.served} of {len(crowd.clients)} were served"
        crowd.turn()


@pytest.mark.sanitize
@pytest.mark.parametrize("family", [Postgres, MySQL], ids=lambda family: family.name)
def test_a_thousand_who_waited_come_a_few_at_a_time(home, family):
    router, crowd = waiting_crowd(home, family)
    until(lambda: crowd.look() or len(crowd.logins) == AT_ONCE, "as many as may come at once", 20,
          poll=0)
    serve(crowd)
    assert crowd.most == AT_ONCE
    assert router.stats().server("s")["sessions"] == CROWD


@pytest.mark.sanitize
def test_those_who_leave_make_room_for_the_others(home):
    """In the queue, while they connect, in their login and after it."""
    router, crowd = waiting_crowd(home, Postgres)
    rng = random.Random(1)
    while len(crowd.clients) > CROWD // 2:
        for sock in rng.sample(list(crowd.clients), 5) + list(crowd.clients)[:5]:
            if sock in crowd.clients:
                crowd.leave(sock)
        crowd.turn()
    serve(crowd)
    assert crowd.most <= AT_ONCE

    def settled(stats):
        crowd.turn()
        left = len(crowd.clients)
        return stats.server("s")["sessions"] == stats["router"]["sessions"] == left

    router.wait_for(settled, "only those who stayed", 20)


@pytest.mark.sanitize
def test_those_who_stall_in_their_login_do_not_keep_the_others_waiting(home):
    """The server answers none of the first: the next ones come all the same, after a while."""
    server = home.fake(hold, "s")
    port = free_port()
    router = home.router(frontend("f", port, route="any") + section(
        "backend b", protocol="pgsql", probe="off", queue_timeout="10m",
        server_max_connections=AT_ONCE + 8, server=servers(server)))

    def clients(count):
        made = []
        for _ in range(count):
            made.append(home.keep(connect(local(port), 20)))
            made[-1].sendall(STARTUP)
        return made

    first = clients(AT_ONCE + 8)
    until(lambda: server.accepted == AT_ONCE + 8, "all places to be taken")
    clients(AT_ONCE + 1)
    router.wait_for(lambda s: s.backend()["waiting"] == AT_ONCE + 1, "the others to wait")
    for client in first:
        client.close()
    until(lambda: server.accepted == AT_ONCE + 8 + AT_ONCE, "as many as may come at once")
    until(lambda: server.accepted == AT_ONCE + 8 + AT_ONCE + 1, "the last one to come", 20)
