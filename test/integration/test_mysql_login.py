"""Promise: sessions with MySQL and MariaDB begin as if the router was not there; who is refused can
read why, and its login is finished in its place."""
import queue
import signal
import ssl
import struct
import threading
import time

import pymysql
import pytest

from lib import families, mysql_wire
from lib.fake import hold
from lib.ini import frontend, section, servers
from lib.mysql_wire import ACCEPTED, GREETING, SSL_REQUEST, Wire, attributes, login
from lib.process import free_port
from lib.sockets import local
from lib.strict import USER, StrictMariaDB
from lib.waiting import SLOW, until


def open_backend(*things, **keys):
    return section("backend b", protocol="mysql", probe="off", server=servers(*things), **keys)


def one_frontend(home, backend, router_keys=None, **keys):
    port = free_port()
    keys.setdefault("route", "any")
    return home.router(frontend("f", port, **keys) + backend, **(router_keys or {})), port


def ask(port, query="SELECT @@port", user=USER, **options):
    connection = pymysql.connect(host="127.0.0.1", port=port, user=user[0], password=user[1],
                                 connect_timeout=20, read_timeout=20, **options)
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


# --- as if it was not there ---


@pytest.fixture(name="plain", scope="module")
def plain_server(shared_home):
    """A MariaDB that all tests here only read."""
    server = shared_home.keep(StrictMariaDB(shared_home.directory("plain"), options={
        "skip-name-resolve": None, "max-allowed-packet": "16M"})).start()
    server.add_user(*USER)
    return server


@pytest.mark.sanitize
def test_logins_and_queries_pass(home, plain):
    router, port = one_frontend(home, open_backend(plain))
    assert ask(port) == ((plain.port,),)
    assert len(ask(port, "SELECT REPEAT('x', 3000000)")[0][0]) == 3000000
    with pytest.raises(pymysql.OperationalError) as caught:
        ask(port, user=(USER[0], "wrong"))
    assert caught.value.args[0] == 1045
    stats = router.stats()
    assert stats.frontend()["refused_login"] == 0
    assert stats.server(plain.name)["sessions_total"] == 3


@pytest.mark.sanitize
def test_a_login_may_come_in_any_pieces(home, plain):
    _, port = one_frontend(home, open_backend(plain))
    with Wire.to(local(port)) as client:
        _, greeting = client.read()
        assert greeting[0] == 10
        for byte in mysql_wire.packet(1, login(USER[0].encode(), plugin=b"unheard_of")):
            client.sock.sendall(bytes([byte]))
        sequence, question = client.read()
        assert question[0] == mysql_wire.AUTH_SWITCH and sequence == 2
        client.send(3, b"x" * 20)
        assert b"Access denied" in client.read()[1]


@pytest.mark.sanitize
def test_a_login_may_be_as_long_as_clients_make_it(home, plain):
    _, port = one_frontend(home, open_backend(plain))
    with Wire.to(local(port)) as client:
        client.read()
        client.send(1, login(attributes=attributes(65000)))
        assert b"Access denied" in client.read()[1]


def test_tls_passes_through(home, mysql):
    server = mysql.primary
    server.add_user(*USER)
    _, port = one_frontend(home, open_backend(server))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    rows = ask(port, "SHOW STATUS LIKE 'Ssl_cipher'", ssl=context)
    assert rows[0][1]


# --- refusals ---


@pytest.mark.sanitize
def test_a_full_router_says_so_in_place_of_the_greeting(home, plain):
    _, port = one_frontend(home, open_backend(plain), max_sessions=1)
    with Wire.to(local(port)) as first:
        first.read()
        with Wire.to(local(port)) as second:
            assert second.error(greeted=False) == (0, 1040, "", "router: too many connections")
        with pytest.raises(pymysql.OperationalError) as caught:
            ask(port)
        assert caught.value.args[0] == 1040


@pytest.mark.sanitize
def test_who_waits_in_vain_is_told(home, plain):
    _, port = one_frontend(home, open_backend(plain, server_max_connections=1,
                                              queue_timeout="100ms"))
    with Wire.to(local(port)) as first:
        first.read()
        with Wire.to(local(port)) as second:
            words = "router: no server was free in time"
            assert second.error(greeted=False) == (0, 1105, "", words)


def garbage_http(client):
    client.sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def garbage_sequence(client):
    client.send(2, login())


def garbage_old(client):
    client.send(1, b"\x05\0\0\0\0user\0" + b"x" * 40)


def garbage_long(client):
    client.sock.sendall(b"\xff\xff\xff\x01")


def garbage_after_tls_request(client):
    client.send(1, SSL_REQUEST)
    client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")


GARBAGE = [garbage_http, garbage_sequence, garbage_old, garbage_long, garbage_after_tls_request]


@pytest.mark.sanitize
@pytest.mark.parametrize("say", GARBAGE, ids=lambda say: say.__name__)
def test_garbage_does_not_reach_the_server_and_is_refused(home, say):
    heard = []

    def handler(_server, sock):
        server = Wire(sock)
        server.send(0, GREETING)
        heard.append(server.read()[1])
        server.send(2, ACCEPTED)
        heard.append(server.read()[1])

    server = home.fake(handler)
    router, port = one_frontend(home, open_backend(server))
    with Wire.to(local(port)) as client:
        client.read()
        say(client)
        sequence, number, state, _ = client.error()
        assert (sequence, number, state) == (2, 1043, "08S01")
    until(lambda: len(heard) == 2, "the login to be finished")
    assert b"router_gone\0" in heard[0] and heard[1] == b"\x01"  # COM_QUIT
    assert router.stats().frontend()["refused_login"] == 1


# --- the finished login, seen from the server ---


class Manual:
    """A server that says what it is told to, when it is told."""

    def __init__(self, home, name="m"):
        self.wires = queue.Queue()
        self.fake = home.fake(self._handle, name)

    def _handle(self, _server, sock):
        done = threading.Event()
        self.wires.put((Wire(sock), done))
        done.wait(60)

    def accept(self, home):
        wire, done = self.wires.get(timeout=20)
        home.keep(Closing(done.set))
        return wire


class Closing:
    def __init__(self, close):
        self.close = close


def hear_login(server):
    sequence, payload = server.read()
    assert b"router_gone\0" in payload
    return sequence


@pytest.mark.sanitize
def test_the_place_on_the_server_is_kept_until_the_login_is_finished(home):
    manual = Manual(home)
    router, port = one_frontend(home, open_backend(manual.fake, server_max_connections=1))
    with Wire.to(local(port)):
        first = manual.accept(home)
    with Wire.to(local(port)) as client:
        router.wait_for(lambda s: s.backend()["waiting"] == 1, "the second one to wait")
        assert router.stats().server("m")["sessions"] == 1
        first.sock.sendall(mysql_wire.packet(0, GREETING)[:10])
        first.sock.sendall(mysql_wire.packet(0, GREETING)[10:])
        assert hear_login(first) == 1
        first.send(2, b"\xfeclient_ed25519\0" + b"n" * 32)
        assert first.read() == (3, b"\0" * 64)
        first.send(4, b"\x01\x04")
        assert first.read() == (5, b"\x02")
        first.send(6, b"\x01-----BEGIN PUBLIC KEY-----")
        assert first.read() == (7, b"")
        first.send(8, b"\x01\x03")
        first.send(9, ACCEPTED)
        assert first.read() == (0, b"\x01")
        second = manual.accept(home)
        second.send(0, GREETING)
        assert client.read()[1] == GREETING


@pytest.mark.sanitize
def test_logins_left_to_a_silent_server_are_bounded_and_said(home):
    silent = home.fake(hold, "silent")
    router, port = one_frontend(home, open_backend(silent), router_keys={"workers": 1})
    for number in range(300):
        Wire.to(local(port)).close()
        until(lambda want=number + 1: silent.accepted == want, "the connect")
    router.wait_for(lambda s: s.frontend()["sessions"] == 0, "the clients to be gone")
    assert router.stats().server("silent")["sessions"] == 256
    assert "it may lock this address out (max_connect_errors)" in router.log


def wait_end(router):
    """It was told to end already; a second signal would end it at once."""
    router.ended = True
    assert router.process.wait() == 0
    router.check_log()


@pytest.mark.sanitize
@pytest.mark.parametrize("greeted", [False, True])
def test_a_router_that_ends_finishes_what_it_can(home, greeted):
    """Who is in its login is told; its login is finished; a silent server is not waited for."""
    manual = Manual(home)
    router, port = one_frontend(home, open_backend(manual.fake),
                                router_keys={"drain_timeout": "100ms"})
    with Wire.to(local(port)) as client:
        server = manual.accept(home)
        if greeted:
            server.send(0, GREETING)
            client.read()
        router.process.signal(signal.SIGTERM)
        assert client.error(greeted)[:2] == ((2, 1053) if greeted else (0, 1053))
        if greeted:
            hear_login(server)
            server.send(2, ACCEPTED)
    began = time.monotonic()
    wait_end(router)
    assert time.monotonic() - began < 5 * SLOW


def test_who_was_sent_to_a_stopped_server_is_greeted_by_its_successor(home, mariadb):
    family = families.MariaDBReplication(mariadb)
    old, port = family.primary(), free_port()
    old.add_user(*USER)
    for replica in family.others(old):
        replica.wait_caught_up(old)
    # Its silence is noticed when the clients are there, and not before.
    router = home.router(frontend("f", port) + family.backend(probe_timeout="1500ms"))
    router.wait_primary(old.name)
    old.pause()
    try:
        clients = [home.keep(Wire.to(local(port))) for _ in range(10)]
        router.wait_for(lambda s: s.server(old.name)["sessions"] == len(clients), "their connects")
        family.succeed(old)
        assert [client.read()[1][0] for client in clients] == [10] * len(clients)
    finally:
        family.resume(old)


@pytest.mark.sanitize
def test_a_client_cut_off_in_the_midst_of_the_greeting_is_reset(home):
    manual = Manual(home)
    router, port = one_frontend(home, open_backend(manual.fake),
                                router_keys={"drain_timeout": "100ms"})
    with Wire.to(local(port)) as client:
        server = manual.accept(home)
        server.sock.sendall(mysql_wire.packet(0, GREETING)[:20])
        assert client.sock.recv(20)
        router.process.signal(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            client.sock.recv(100)
        server.sock.sendall(mysql_wire.packet(0, GREETING)[20:])
        hear_login(server)
    wait_end(router)


@pytest.mark.sanitize
def test_a_client_that_sends_ahead_without_end_is_refused(home):
    """Before the server has answered its login nothing goes on, and little is kept."""
    manual = Manual(home)
    _, port = one_frontend(home, open_backend(manual.fake))
    with Wire.to(local(port)) as client:
        server = manual.accept(home)
        server.send(0, GREETING)
        client.read()
        client.send(1, login())
        client.send(0, b"\x03SELECT 1")
        assert b"nobody\0" in server.read()[1]
        client.sock.sendall(b"x" * 30000)
        assert client.error()[:3] == (2, 1043, "08S01")
        server.send(2, b"\xfemysql_native_password\0" + b"n" * 20)
        assert server.read() == (3, b"")


@pytest.mark.sanitize
def test_what_a_client_sends_behind_its_login_goes_on_when_it_is_over(home):
    manual = Manual(home)
    _, port = one_frontend(home, open_backend(manual.fake))
    with Wire.to(local(port)) as client:
        server = manual.accept(home)
        server.send(0, GREETING)
        client.read()
        client.sock.sendall(mysql_wire.packet(1, login()) + mysql_wire.packet(0, b"\x03SELECT 1"))
        assert b"nobody\0" in server.read()[1]
        server.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.sock.recv(1)
        server.sock.settimeout(20)
        server.send(2, ACCEPTED)
        assert server.read() == (0, b"\x03SELECT 1")


@pytest.mark.sanitize
def test_a_server_that_is_none_of_ours_is_relayed_as_it_is(home):
    manual = Manual(home)
    _, port = one_frontend(home, open_backend(manual.fake))
    with Wire.to(local(port)) as client:
        server = manual.accept(home)
        server.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert client.sock.recv(100).startswith(b"HTTP/1.1 400")
        client.sock.sendall(b"anything")
        assert server.sock.recv(100) == b"anything"


@pytest.mark.sanitize
def test_a_server_that_has_no_place_says_so_itself(home):
    manual = Manual(home)
    _, port = one_frontend(home, open_backend(manual.fake))
    with Wire.to(local(port)) as client:
        server = manual.accept(home)
        server.send(0, b"\xff\x10\x04Too many connections")
        assert client.read() == (0, b"\xff\x10\x04Too many connections")


@pytest.mark.sanitize
@pytest.mark.parametrize("number", [1290, 1836, 1792, 1047, 3100])
def test_role_errors_are_seen_in_passing(home, number):
    manual = Manual(home)
    router, port = one_frontend(home, open_backend(manual.fake))
    with Wire.to(local(port)) as client:
        server = manual.accept(home)
        server.send(0, GREETING)
        client.read()
        client.send(1, login())
        server.read()
        server.send(2, ACCEPTED)
        assert client.read() == (2, ACCEPTED)
        client.send(0, b"\x03INSERT")
        server.read()
        server.send(1, b"\xff" + struct.pack("<H", number) + b"#HY000no")
        client.read()
        server.send(1, b"\xff" + struct.pack("<H", 1064) + b"#42000no")
        client.read()
    assert router.stats().server("m")["role_errors"] == 1
