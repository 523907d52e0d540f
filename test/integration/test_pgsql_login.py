"""Promise: sessions with PostgreSQL begin as if the router was not there, and hold no server before
they have said what they want; who is refused can read why; a request to cancel reaches the session
it names, and no other."""
import signal
import socket
import struct
import threading
import time

import psycopg2
import psycopg2.errors
import pytest

from lib import postgres as postgres_lib
from lib.fake import hold, reset
from lib.ini import frontend, section, servers
from lib.postgres import Postgres
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_all
from lib.waiting import SLOW, holds, until

SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSSENC_REQUEST = struct.pack(">II", 8, 80877104)
CANCEL = 80877102


def startup(version=0x30000, **parameters):
    body = struct.pack(">I", version)
    for name, value in parameters.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return struct.pack(">I", len(body) + 4) + body


STARTUP = startup(user="nobody", database="nothing")


def cancel_request(key):
    return struct.pack(">II", 8 + len(key), CANCEL) + key


def message(kind, body):
    return kind + struct.pack(">I", len(body) + 4) + body


def open_backend(*things, **keys):
    return section("backend b", protocol="pgsql", probe="off", server=servers(*things), **keys)


def one_frontend(home, backend, router_keys=None, **keys):
    port = free_port()
    keys.setdefault("route", "any")
    return home.router(frontend("f", port, **keys) + backend, **(router_keys or {})), port


@pytest.fixture(name="plain", scope="module")
def three_servers(shared_home):
    """Three that know nothing of each other; all tests here only read them."""
    made = []
    for name in ("a", "b", "c"):
        server = shared_home.keep(Postgres(shared_home.directory("plain"), name))
        server.refill()
        server.start(wait=False)
        made.append(server)
    for server in made:
        server.wait_up()
        server.use_tls()
    return made


def log_in(port, **options):
    return postgres_lib.connect(port, timeout=20 * SLOW, **options)


def ask(connection, query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


# --- as if it was not there ---


@pytest.mark.sanitize
@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
def test_logins_and_queries_pass(home, plain, sslmode):
    _, port = one_frontend(home, open_backend(plain[0]))
    connection = log_in(port, sslmode=sslmode)
    assert ask(connection, "SELECT current_setting('port')") == str(plain[0].port)
    assert len(ask(connection, "SELECT repeat('x', 3000000)")) == 3000000
    connection.close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        log_in(port, sslmode=sslmode, password="wrong")


@pytest.mark.sanitize
def test_a_login_may_come_in_any_pieces(home, plain):
    _, port = one_frontend(home, open_backend(plain[0]))
    for request, answer in (SSL_REQUEST, b"S"), (GSSENC_REQUEST, b"G"):
        with connect(local(port), 20) as client:
            for byte in request:
                client.sendall(bytes([byte]))
            assert client.recv(1) == answer
    with connect(local(port), 20) as client:
        for byte in STARTUP:
            client.sendall(bytes([byte]))
        assert b"SCRAM-SHA-256" in client.recv(1000)


@pytest.mark.sanitize
def test_a_client_that_says_nothing_or_nonsense_meets_no_server(home):
    server = home.fake(hold)
    router, port = one_frontend(home, open_backend(server))
    silent = connect(local(port))
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\0\0\0\0", b"\0\0\0\x04",
                     struct.pack(">II", 20000, 0x30000)):
        with connect(local(port), 20) as client:
            client.sendall(nonsense)
            if len(nonsense) >= 8:
                assert read_all(client) == b""
    connect(local(port)).close()
    router.wait_for(lambda s: s.frontend()["sessions"] == 1, "only the silent one to be left")
    assert server.accepted == 0
    silent.sendall(STARTUP[:8])
    until(lambda: server.accepted == 1, "the session to be routed")
    silent.close()


# --- refusals ---


def fields(data):
    """{letter: text} of the one ErrorResponse that is all of `data`."""
    assert data[:1] == b"E" and struct.unpack(">I", data[1:5])[0] == len(data) - 1
    assert data.endswith(b"\0\0")
    return {field[:1].decode(): field[1:].decode() for field in data[5:-2].split(b"\0")}


@pytest.fixture(name="full")
def full_router(home):
    """The port of a frontend whose one place is taken."""
    server = home.fake(hold)
    router, port = one_frontend(home, open_backend(server), max_sessions=1)
    first = home.keep(connect(local(port)))
    router.wait_for(lambda s: s.frontend()["sessions"] == 1, "the place to be taken")
    assert first
    return port


@pytest.mark.sanitize
@pytest.mark.parametrize("sslmode", ["disable", "prefer"])
def test_who_is_refused_can_read_why(full, sslmode):
    with pytest.raises(psycopg2.OperationalError, match="FATAL:  router: too many connections"):
        log_in(full, sslmode=sslmode)


@pytest.mark.sanitize
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_a_refusal_waits_for_the_client_to_ask(full, piece):
    with connect(local(full), 20) as client:
        for request in GSSENC_REQUEST, SSL_REQUEST:
            for at in range(0, len(request), piece):
                client.sendall(request[at:at + piece])
            assert client.recv(1) == b"N"
        for at in range(0, len(STARTUP), piece):
            client.sendall(STARTUP[at:at + piece])
        said = fields(read_all(client))
    assert said == {"S": "FATAL", "V": "FATAL", "C": "53300", "M": "router: too many connections"}


@pytest.mark.sanitize
@pytest.mark.parametrize("request_bytes", [
    b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n", SSL_REQUEST + SSL_REQUEST,
    struct.pack(">II", 20000, 0x30000), startup(version=0x20000)])
def test_who_would_not_understand_is_just_closed(full, request_bytes):
    with connect(local(full), 20) as client:
        client.sendall(request_bytes)
        assert read_all(client).strip(b"N") == b""


@pytest.mark.sanitize
def test_who_waits_in_vain_is_told(home):
    server = home.fake(hold)
    _, port = one_frontend(home, open_backend(server, server_max_connections=1,
                                              queue_timeout="100ms"))
    with connect(local(port), 20) as first, connect(local(port), 20) as second:
        first.sendall(STARTUP)
        until(lambda: server.count() == 1, "the place to be taken")
        second.sendall(SSL_REQUEST)
        assert second.recv(1) == b"N"
        second.sendall(STARTUP)
        assert fields(read_all(second))["C"] == "57P03"


# --- requests to cancel ---


class Sleeper:
    """A session that sleeps until it is cancelled."""

    def __init__(self, port, **options):
        self.connection = log_in(port, **options)
        self.server = ask(self.connection, "SELECT current_setting('port')")
        self.pid = self.connection.info.backend_pid
        self.error = None
        self.thread = threading.Thread(target=self._sleep, daemon=True)
        self.thread.start()

    def _sleep(self):
        try:
            ask(self.connection, "SELECT pg_sleep(60)")
        except psycopg2.Error as error:
            self.error = error

    def wait_asleep(self, plain):
        server = next(s for s in plain if str(s.port) == self.server)
        until(lambda: server.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND"
                                 " wait_event = 'PgSleep'", self.pid), "it to sleep")

    def cancelled(self):
        return isinstance(self.error, psycopg2.errors.QueryCanceled)

    def cancel(self):
        self.connection.cancel()
        self.thread.join(10 * SLOW)
        assert self.cancelled(), self.error

    def close(self):
        self.connection.cancel()
        self.thread.join(10 * SLOW)
        self.connection.close()


def sleepers(home, plain, ports, count, **options):
    made = [home.keep(Sleeper(ports[n % len(ports)], **options)) for n in range(count)]
    for sleeper in made:
        sleeper.wait_asleep(plain)
    return made


@pytest.mark.sanitize
@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_a_cancel_reaches_its_session_and_no_other(home, plain, sslmode):
    """Six sessions on three servers by two frontends; each is cancelled through the other one."""
    ports = free_port(), free_port()
    home.router(frontend("f", ports[0], route="any") + frontend("g", ports[1], route="any")
                + open_backend(*plain))
    made = sleepers(home, plain, ports, 6, sslmode=sslmode)
    assert len({sleeper.server for sleeper in made}) == 3
    for number, sleeper in enumerate(made):
        sleeper.cancel()
        assert not any(other.cancelled() for other in made[number + 1:])


@pytest.mark.sanitize
def test_a_cancel_needs_no_place(home, plain):
    _, port = one_frontend(home, open_backend(plain[0], server_max_connections=1), max_sessions=1)
    sleeper, = sleepers(home, plain, [port], 1)
    with pytest.raises(psycopg2.OperationalError, match="too many connections"):
        log_in(port)
    sleeper.cancel()


@pytest.mark.sanitize
def test_a_foreign_key_cancels_nothing(home, plain):
    _, port = one_frontend(home, open_backend(*plain))
    made = sleepers(home, plain, [port], 3)
    for sleeper in made:
        with connect(local(port), 20) as client:
            client.sendall(cancel_request(struct.pack(">II", sleeper.pid, 12345)))
            assert read_all(client) == b""
    holds(lambda: not any(sleeper.cancelled() for sleeper in made), "they sleep", 0.3)


def keyed_server(home, name, key):
    """Names every session by `key`; remembers what is asked to be cancelled."""
    def handler(server, sock):
        first = sock.recv(1000)
        if struct.unpack(">I", first[4:8])[0] == CANCEL:
            server.cancels.append(first)
            return
        sock.sendall(message(b"R", struct.pack(">I", 0)) + message(b"S", b"a\0b\0"))
        for byte in message(b"K", key) + message(b"Z", b"I"):
            sock.sendall(bytes([byte]))
        sock.recv(1000)

    server = home.fake(handler, name)
    server.cancels = []
    return server


def session_of(home, port, key):
    client = home.keep(connect(local(port), 20))
    client.sendall(startup(0x30002, user="u"))
    want = message(b"K", key) + message(b"Z", b"I")
    got = b""
    while not got.endswith(want):
        data = client.recv(1000)
        assert data
        got += data
    return client


@pytest.mark.sanitize
def test_a_long_key_goes_to_its_server_only_and_to_all_once_its_session_is_over(home):
    keys = [bytes([n]) * 260 for n in (1, 2)]
    things = [keyed_server(home, f"s{n}", key) for n, key in enumerate(keys)]
    ports = free_port(), free_port()
    router = home.router(
        frontend("f", ports[0], "b", route="any") + frontend("g", ports[1], "c", route="any")
        + section("backend b", protocol="pgsql", probe="off", balance="first",
                  server=servers(*things))
        + section("backend c", protocol="pgsql", probe="off", server=servers(*things[1:])))
    client = session_of(home, ports[0], keys[0])
    request = cancel_request(keys[0])
    with connect(local(ports[0]), 20) as other:
        for byte in request:
            other.sendall(bytes([byte]))
        assert read_all(other) == b""
    assert [thing.cancels for thing in things] == [[request], []]
    client.close()
    router.wait_for(lambda s: s.frontend("f")["sessions"] == 0, "the session to be over")
    with connect(local(ports[0]), 20) as other:
        other.sendall(request)
        assert read_all(other) == b""
    assert [thing.cancels for thing in things] == [[request, request], [request]]


@pytest.mark.sanitize
def test_a_cancel_is_delivered_although_its_client_does_not_wait(home):
    key = b"\0\0\0\1abcd"
    server = keyed_server(home, "s", key)
    _, port = one_frontend(home, open_backend(server))
    session_of(home, port, key)
    for number in range(20):
        with connect(local(port)) as other:
            other.sendall(cancel_request(key))
        until(lambda want=number + 1: len(server.cancels) == want, "the cancel to arrive")


@pytest.mark.sanitize
def test_a_cancel_after_a_question_about_encryption_is_one_too(home):
    """As libpq 17 does it with sslmode=prefer."""
    def no_tls(server, sock):
        first = sock.recv(8)
        if first == SSL_REQUEST:
            sock.sendall(b"N")
            sock.recv(100)
        else:
            server.cancels.append(first + sock.recv(100))

    key = b"\0\0\0\1abcd"
    things = [home.fake(no_tls, name) for name in ("s", "t")]
    for thing in things:
        thing.cancels = []
    _, port = one_frontend(home, open_backend(*things))
    with connect(local(port), 20) as client:
        client.sendall(SSL_REQUEST)
        assert client.recv(1) == b"N"
        client.sendall(cancel_request(key))
        assert read_all(client) == b""
    assert [thing.cancels for thing in things] == [[cancel_request(key)]] * 2


@pytest.mark.sanitize
def test_a_server_that_does_not_take_a_cancel_is_not_waited_for_long(home):
    stuck = threading.Event()
    server = home.fake(lambda _server, sock: sock.recv(100) and stuck.wait(30))
    _, port = one_frontend(home, open_backend(server))
    began = time.monotonic()
    with connect(local(port), 30 * SLOW) as client:
        client.sendall(cancel_request(b"\0\0\0\1abcd"))
        assert read_all(client) == b""
    stuck.set()
    assert 4 < time.monotonic() - began < 10 * SLOW


@pytest.mark.sanitize
def test_requests_to_cancel_are_bounded(home):
    server = home.fake(hold, "s")
    _, port = one_frontend(home, open_backend(server), router_keys={"workers": 1})
    for number in range(70):
        client = home.keep(connect(local(port), 20))
        client.sendall(cancel_request(b"\0\0\0\1abcd"))
    until(lambda: server.accepted == 64, "the requests")  # they take five seconds
    assert read_all(client) == b""
    assert server.accepted == 64


@pytest.mark.sanitize
@pytest.mark.parametrize("leaves", [False, True])
def test_a_cancel_that_comes_while_the_router_ends_does_not_keep_it(home, leaves):
    """Its client is refused for want of a place, and asks when all others were ended already."""
    stuck = threading.Event()
    server = home.fake(lambda _server, sock: sock.recv(100) and stuck.wait(60))
    router, port = one_frontend(home, open_backend(server), max_sessions=1,
                                router_keys={"drain_timeout": "50ms"})
    first = home.keep(connect(local(port)))
    router.wait_for(lambda s: s.frontend()["sessions"] == 1, "the place to be taken")
    with connect(local(port), 20) as other:
        other.sendall(SSL_REQUEST)
        assert other.recv(1) == b"N"
        router.process.signal(signal.SIGTERM)
        until(lambda: "drain_timeout is over" in router.log, "the end to begin")
        other.sendall(cancel_request(b"\0\0\0\1abcd"))
        if leaves:
            until(lambda: server.accepted > 0 or not router.process.running(), "its arrival")
            reset(other)
    assert read_all(first) == b""
    router.ended = True
    try:
        assert router.process.wait(20) == 0
    finally:
        stuck.set()
    router.check_log()


# --- errors that speak of roles ---


@pytest.mark.sanitize
@pytest.mark.parametrize("state", ["25006", "57P01", "57P02", "57P03"])
def test_role_errors_are_seen_in_passing(home, state):
    error = message(b"E", b"SFATAL\0VFATAL\0C" + state.encode() + b"\0Mm\0\0")
    welcome = message(b"R", struct.pack(">I", 0)) + message(b"Z", b"I")

    def handler(_server, sock):
        sock.recv(1000)
        sock.sendall(welcome)
        sock.recv(1000)
        sock.sendall(error)

    server = home.fake(handler, "s")
    router, port = one_frontend(home, open_backend(server))
    with connect(local(port), 20) as client:
        client.sendall(STARTUP)
        assert client.recv(len(welcome), socket.MSG_WAITALL) == welcome
        client.sendall(message(b"Q", b"x\0"))
        assert read_all(client) == error
    assert router.stats().server("s")["role_errors"] == 1
