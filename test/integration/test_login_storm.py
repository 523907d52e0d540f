"""Promise: whatever servers and clients do in a login, wherever it stops, nothing is left of it: no
session, no place, no waiter, no descriptor."""
import random
import socket
import struct
import threading

import pytest

from lib.fake import reset
from lib.ini import frontend, section, servers
from lib.mysql_wire import ACCEPTED, GREETING, SSL_REQUEST, login, packet
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local
from lib.waiting import SLOW

THREADS, ROUNDS = 16, 150
HELLO = b"\x16\x03\x01\0\x05hello"


def typed(kind, body):
    return kind + struct.pack(">I", len(body) + 4) + body


def untyped(code, body=b""):
    return struct.pack(">II", len(body) + 8, code) + body


PG_ASKS = [untyped(80877103), untyped(80877104)]
PG_STARTUP = untyped(0x30000, b"user\0u\0\0")
PG_KEY = b"\0\0\0\7keys"
PG_CANCEL = untyped(80877102, PG_KEY)
PG_WELCOME = typed(b"R", b"\0\0\0\0") + typed(b"K", PG_KEY) + typed(b"Z", b"I")
PG_ERROR = typed(b"E", b"SFATAL\0C57P03\0Mno\0\0")


class MySQL:
    name = "mysql"
    client = [[packet(1, login()), packet(0, b"\x03SELECT 1")], [packet(1, SSL_REQUEST), HELLO],
              [packet(1, login()) + b"x" * 3000], [packet(1, login()), packet(3, b"y" * 20)],
              [b"GET / HTTP/1.1\r\n\r\n"], [packet(1, SSL_REQUEST)], [packet(7, b"")], []]
    server = [[packet(0, GREETING), packet(2, ACCEPTED)],
              [packet(0, GREETING), packet(2, b"\xfeclient_ed25519\0" + b"n" * 32),
               packet(4, ACCEPTED)],
              [packet(0, GREETING), packet(2, b"\x01\x04"), packet(4, b"\xff\x15\x04#28000no")],
              [packet(0, b"\xff\x10\x04Too many connections")], [packet(0, b"\x09" + b"3.23")],
              [packet(0, GREETING + b"z" * 60000)], [b"\xff\xff\xff\0\x0a" + b"a" * 9000],
              [b"SSH-2.0-x\r\n"], [packet(0, b"")], []]


class Postgres:
    name = "pgsql"
    client = [[PG_STARTUP, typed(b"p", b"secret\0"), typed(b"Q", b"SELECT 1\0")],
              [PG_ASKS[0], PG_STARTUP], [PG_ASKS[1], PG_ASKS[0], PG_STARTUP], [*PG_ASKS, HELLO],
              [PG_CANCEL], [PG_ASKS[0], PG_CANCEL], [HELLO], [PG_ASKS[0], PG_ASKS[0]],
              [PG_STARTUP + b"x" * 50000], [untyped(0x20000)], [b"GET / HTTP/1.1\r\n\r\n"], []]
    server = [[b"N", PG_WELCOME], [b"N", b"N", PG_WELCOME], [PG_WELCOME], [b"S", HELLO], [PG_ERROR],
              [typed(b"R", b"\0\0\0\x0a" + b"SCRAM\0\0"), typed(b"v", b"\0" * 8), PG_WELCOME],
              [typed(b"K", b"k" * 260)], [b"K\0\0\xff\xff" + b"k" * 3000], [b"Z\0\0\0\0"],
              [b"\xff" * 100], []]


def send_in_pieces(rng, sock, data):
    while data:
        size = rng.choice((1, 5, len(data)))
        sock.sendall(data[:size])
        data = data[size:]


def play(rng, sock, script):
    """Says what the script says, in turns with the other side; stops anywhere, in any way."""
    sock.settimeout(rng.choice((0.001, 0.01, 0.03)))
    for words in script:
        if rng.random() < 0.1:
            break
        cut = rng.randrange(len(words)) if rng.random() < 0.1 else len(words)
        send_in_pieces(rng, sock, words[:cut])
        if cut < len(words):
            break
        try:
            sock.recv(65536)
        except TimeoutError:
            pass
    end = rng.random()
    if end < 0.4:
        reset(sock)
    elif end < 0.6:
        sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(65536):
                pass
        except TimeoutError:
            pass


def misbehaving(family):
    random_of_all = random.Random(2)

    def handler(_server, sock):
        rng = random.Random(random_of_all.random())
        play(rng, sock, rng.choice(family.server))

    return handler


def storm(port, family):
    def client(number):
        rng = random.Random(number)
        for _ in range(ROUNDS):
            try:
                with connect(local(port), 10 * SLOW) as sock:
                    play(rng, sock, rng.choice(family.client))
            except OSError:
                pass

    threads = [threading.Thread(target=client, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def join(threads):
    for thread in threads:
        thread.join()


def misbehaving_backend(home, family, **keys):
    things = [home.fake(misbehaving(family), name) for name in ("s", "t")]
    return section("backend b", protocol=family.name, probe="off", queue_timeout="200ms",
                   tcp_user_timeout="1s", server=servers(*things), **keys)


def is_empty(stats):
    backend = stats.backend()
    return (stats["router"]["sessions"] == 0 and stats.frontend()["sessions"] == 0
            and backend["waiting"] == 0 and all(s["sessions"] == 0 for s in backend["servers"]))


FAMILIES = pytest.mark.parametrize("family", [MySQL, Postgres], ids=lambda family: family.name)


@pytest.mark.sanitize
@FAMILIES
@pytest.mark.parametrize("sessions, connections", [("none", "none"), (6, "none"), ("none", 2)])
def test_a_storm_of_broken_logins_leaves_nothing(home, family, sessions, connections):
    port = free_port()
    router = home.router(
        frontend("f", port, route="any", idle_timeout="300ms", max_sessions=sessions)
        + misbehaving_backend(home, family, server_max_connections=connections))
    router.stats()
    before = router.process.sockets()
    join(storm(port, family))
    router.wait_for(is_empty, "nothing to be left", 20)
    router.wait_for(lambda _: router.process.sockets() <= before + 1, "no socket to be left", 10)


@pytest.mark.sanitize
@FAMILIES
def test_a_router_ends_in_the_midst_of_a_storm(home, family):
    port = free_port()
    router = home.router(frontend("f", port, route="any") + misbehaving_backend(home, family),
                         drain_timeout="50ms")
    threads = storm(port, family)
    try:
        router.wait_for(lambda s: s.frontend()["sessions_total"] > 300, "the storm to rage")
        router.stop()
    finally:
        join(threads)
