"""Promise: sessions with MySQL and MariaDB begin as if the router was not there; who is refused can
read why; and whatever clients do, servers hold no broken login against the router's address."""
import queue
import signal
import ssl
import struct
import threading
import time

import pymysql
import pytest

from lib import mysql_wire
from lib.clusters import NotInstallable
from lib.fake import reset
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mysql_wire import ACCEPTED, GREETING, SSL_REQUEST, Wire, attributes, login
from lib.process import free_port
from lib.sockets import local
from lib.strict import USER, StrictMariaDB, StrictMySQL, Stranger
from lib.waiting import SLOW, until

CLIENTS = 120  # at each stage


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


# --- what servers hold against an address ---


@pytest.fixture(name="strict", scope="module", params=[StrictMariaDB, StrictMySQL])
def strict_server(request, shared_home):
    """(server, the stranger before it)"""
    try:
        server = shared_home.keep(request.param(shared_home.directory("strict")))
    except NotInstallable as missing:
        pytest.skip(str(missing))
    server.start()
    server.add_user(*USER)
    return server, shared_home.keep(Stranger(server))


def before_greeting(_client):
    pass


def after_greeting(client):
    client.read()


def half_a_login(client):
    client.read()
    client.sock.sendall(mysql_wire.packet(1, login())[:30])


def after_login(client):
    client.read()
    client.send(1, login(USER[0].encode(), plugin=b"unheard_of"))


def after_switch(client):
    after_login(client)
    client.read()


def full_authentication(client):
    client.read()
    client.send(1, login(USER[0].encode(), plugin=b"caching_sha2_password", answer=b"x" * 32))
    client.read()


def tls_request(client):
    client.read()
    client.send(1, SSL_REQUEST)


def garbage(client):
    client.read()
    garbage_http(client)


def early_garbage(client):
    garbage_http(client)


def tls_garbage(client):
    client.read()
    client.sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300)


STAGES = [before_greeting, after_greeting, half_a_login, after_login, after_switch,
          full_authentication, tls_request, garbage, early_garbage, tls_garbage]


def vanish(port, stage, by_reset):
    client = Wire.to(local(port))
    try:
        stage(client)
        if by_reset:
            reset(client.sock)
    finally:
        client.close()


def connections(server):
    """Of others than root."""
    return server.value("SELECT COUNT(*) FROM information_schema.processlist"
                        " WHERE user NOT IN ('root', 'event_scheduler', 'system user')")


def test_clients_that_vanish_at_any_stage_are_not_held_against_the_router(home, strict):
    server, stranger = strict
    server.forget()
    _, port = one_frontend(home, open_backend(stranger))
    for stage in STAGES:
        for number in range(CLIENTS):
            vanish(port, stage, by_reset=number % 2)
        until(lambda: connections(server) == 0, f"all logins to be over after {stage.__name__}")
        assert stranger.login(port), stage.__name__


def test_many_clients_that_vanish_together(home, strict):
    server, stranger = strict
    server.forget()
    _, port = one_frontend(home, open_backend(stranger))

    def crowd(first):
        for number in range(150):
            vanish(port, STAGES[(first + number) % len(STAGES)], by_reset=number % 3 == 0)

    threads = [threading.Thread(target=crowd, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: connections(server) == 0, "all logins to be over", 20)
    assert stranger.login(port)


def test_clients_that_never_answer_are_told_before_the_server_loses_patience(home, strict):
    server, stranger = strict
    server.forget()
    router, port = one_frontend(home, open_backend(stranger))
    silent = [Wire.to(local(port)) for _ in range(20)]
    slow = [Wire.to(local(port)) for _ in range(5)]
    for client in silent + slow:
        client.read()
    for client in slow:
        client.sock.sendall(mysql_wire.packet(1, login())[:30])
    for client in silent + slow:
        assert client.error()[:3] == (2, 1043, "08S01")
        client.close()
    assert router.stats().frontend()["refused_login"] == 25
    assert stranger.login(port)


def test_a_server_that_stands_still_finds_whole_logins_when_it_goes_on(home, strict):
    server, stranger = strict
    server.forget()
    router, port = one_frontend(home, open_backend(stranger))
    assert stranger.login(port)
    router.wait_for(lambda s: s.server(stranger.name)["sessions"] == 0, "its end")
    server.pause()
    try:
        for number in range(30):
            vanish(port, before_greeting, by_reset=number % 2)
        router.wait_for(lambda s: s.frontend()["sessions"] == 0, "the clients to be gone")
        assert router.stats().server(stranger.name)["sessions"] == 30
    finally:
        server.resume()
    router.wait_for(lambda s: s.server(stranger.name)["sessions"] == 0, "the logins to be over")
    assert stranger.login(port)


def test_without_the_router_one_such_client_locks_the_address_out(strict):
    """The harness must see it."""
    server, stranger = strict
    server.forget()
    for _ in range(2):
        vanish(stranger.port, after_greeting, by_reset=False)
    until(lambda: not can_login(stranger), "the address to be locked out")
    server.forget()


def can_login(stranger):
    try:
        return stranger.login()
    except pymysql.OperationalError as error:
        assert error.args[0] == 1129, error
        return False


def test_a_client_in_its_login_is_told_when_the_server_loses_its_role(home, strict):
    """And its login is finished; sessions that are through it are reset."""
    server, stranger = strict
    server.forget()
    server.add_user("probe", "of the router", grants=[f"{server.MONITOR} ON *.*"])
    router, port = one_frontend(home, section(
        "backend b", protocol="mysql", server=servers(stranger), probe_user="probe",
        probe_password="of the router", **FAST_PROBES), route="primary")
    router.wait_primary(stranger.name)
    through = pymysql.connect(host="127.0.0.1", port=port, user=USER[0], password=USER[1],
                              read_timeout=20)
    with Wire.to(local(port)) as client, through:
        client.read()
        server.set_read_only(True)
        try:
            sequence, number, state, words = client.error()
            assert (sequence, number, state) == (2, 1105, "HY000")
            assert words == "router: the server lost its role"
            with pytest.raises(pymysql.OperationalError):
                through.ping(reconnect=False)
        finally:
            server.set_read_only(False)
    router.wait_primary(stranger.name)
    assert stranger.login(port)
