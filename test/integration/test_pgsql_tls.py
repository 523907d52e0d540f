"""Promise: PostgreSQL's clients ask for TLS inside the protocol, and the router can answer in the
server's place; servers are spoken to under TLS, whatever the clients speak; requests to cancel find
their session all the same."""
import socket
import ssl

import psycopg2
import pytest

from lib import postgres as postgres_lib
from lib.certificates import Authority
from lib.fake import hold
from lib.ini import frontend, section, servers
from lib.postgres import Postgres
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_all
from lib.waiting import SLOW
from test_pgsql_login import (GSSENC_REQUEST, SSL_REQUEST, Sleeper, ask, cancel_request,
                              startup)

pytestmark = pytest.mark.sanitize


@pytest.fixture(name="authority", scope="module")
def one_authority(shared_home):
    return Authority(shared_home.directory("ca"), "Test CA")


@pytest.fixture(name="clear", scope="module")
def server_without_tls(shared_home):
    server = shared_home.keep(Postgres(shared_home.directory("clear"), "clear"))
    server.refill()
    server.start()
    return server


@pytest.fixture(name="secure", scope="module")
def server_with_tls(shared_home):
    """It lets nobody in without TLS."""
    server = shared_home.keep(Postgres(shared_home.directory("secure"), "secure"))
    server.refill()
    server.start()
    server.use_tls()
    server.add_user("sealed", "of the sealed")
    server.allow("sealed", kind="hostssl")
    server.reload()
    return server


def backend(*things, **keys):
    return section("backend b", protocol="pgsql", probe="off", server=servers(*things), **keys)


def start(home, authority, back, **keys):
    port = free_port()
    if keys.get("tls", "no") != "no":
        keys["tls_cert"] = authority.leaf(names=["db.example.com"], ips=["127.0.0.1"]).pem
    return home.router(frontend("f", port, route="any", **keys) + back), port


def log_in(port, authority=None, **options):
    if authority:
        options.update(sslmode="verify-full", sslrootcert=authority.ca)
    return postgres_lib.connect(port, timeout=20 * SLOW, **options)


def uses_tls(connection):
    return connection.info.ssl_in_use


def server_sees_tls(connection):
    return ask(connection, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


def test_tls_ends_at_the_router_for_who_asks(home, authority, clear):
    router, port = start(home, authority, backend(clear), tls="yes")
    connection = log_in(port, authority)
    assert uses_tls(connection) and not server_sees_tls(connection)
    assert len(ask(connection, "SELECT repeat('x', 3000000)")) == 3000000
    assert not uses_tls(log_in(port, sslmode="disable"))
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        log_in(port, authority, password="wrong")
    assert router.stats().frontend("f")["tls_handshakes"] == 2


def test_who_does_not_ask_is_refused_where_tls_is_required(home, authority, clear):
    router, port = start(home, authority, backend(clear), tls="required")
    assert uses_tls(log_in(port, authority))
    with pytest.raises(psycopg2.OperationalError, match="TLS is required"):
        log_in(port, sslmode="disable")
    assert router.stats().frontend("f")["refused_hello"] == 1


def test_other_encryption_is_declined_and_tls_may_still_be_asked_for(home, authority, clear):
    _, port = start(home, authority, backend(clear), tls="yes")
    with connect(local(port), 20) as client:
        for request, answer in (GSSENC_REQUEST, b"N"), (SSL_REQUEST, b"S"):
            for byte in request:
                client.sendall(bytes([byte]))
            assert client.recv(10) == answer
        context = ssl.create_default_context(cafile=authority.ca)
        with context.wrap_socket(client, server_hostname="db.example.com") as secured:
            secured.sendall(startup(user="writer", database="test"))
            assert b"SCRAM-SHA-256" in secured.recv(1000)


@pytest.mark.parametrize("tls, request_", [("no", SSL_REQUEST), ("no", GSSENC_REQUEST),
                                           ("yes", GSSENC_REQUEST)])
def test_who_asks_again_is_refused(home, authority, tls, request_):
    """Each answer that nobody reads would cost memory until handshake_timeout."""
    back = backend(home.fake(hold), tls="yes", tls_verify="no")
    router, port = start(home, authority, back, tls=tls, handshake_timeout="600s")
    with connect(local(port), 30 * SLOW) as client:
        client.sendall(request_)
        assert client.recv(10) == b"N"
        client.sendall(request_)
        assert read_all(client) == b""
    router.wait_for(lambda s: s.frontend("f")["refused_hello"] == 1, "the refusal to be counted")
    with connect(local(port), 30 * SLOW) as client, pytest.raises(ConnectionError):
        while True:
            client.sendall(request_ * 8192)


def test_tls_may_begin_without_a_question(home, authority, clear):
    _, port = start(home, authority, backend(clear), tls="required", tls_alpn="postgresql")
    context = ssl.create_default_context(cafile=authority.ca)
    context.set_alpn_protocols(["postgresql"])
    with connect(local(port), 20) as client:
        with context.wrap_socket(client, server_hostname="127.0.0.1") as secured:
            assert secured.selected_alpn_protocol() == "postgresql"
            secured.sendall(startup(user="writer", database="test"))
            assert b"SCRAM-SHA-256" in secured.recv(1000)


def test_nothing_may_stand_in_the_clear_behind_the_question(home, authority, clear):
    """CVE-2021-23214 and its kin: it would be taken for what came under TLS."""
    router, port = start(home, authority, backend(clear), tls="yes")
    with connect(local(port), 20) as client:
        client.sendall(SSL_REQUEST + startup(user="writer", database="test"))
        assert read_all(client) == b""
    router.wait_for(lambda s: s.frontend("f")["refused_hello"] == 1, "the refusal to be counted")


@pytest.mark.parametrize("tls", ["no", "yes"])
def test_servers_are_spoken_to_under_tls(home, authority, secure, tls):
    _, port = start(home, authority, backend(secure, tls="yes", tls_verify="no"), tls=tls)
    options = {"authority": authority, "channel_binding": "disable"} if tls == "yes" else {}
    connection = log_in(port, user="sealed", password="of the sealed", **options)
    assert server_sees_tls(connection)
    assert uses_tls(connection) == (tls == "yes")


def test_who_asks_for_tls_hears_no_where_only_the_servers_speak_it(home, authority, secure):
    _, port = start(home, authority, backend(secure, tls="yes", tls_verify="no"))
    assert not uses_tls(log_in(port, sslmode="prefer"))
    with pytest.raises(psycopg2.OperationalError, match="does not support SSL"):
        log_in(port, sslmode="require")


def test_a_server_that_is_not_to_be_trusted_gets_nothing(home, authority, secure):
    router, port = start(home, authority,
                         backend(secure, tls="yes", tls_ca=authority.ca, connect_retries="0"))
    with pytest.raises(psycopg2.OperationalError, match="certificate is not accepted"):
        log_in(port)
    assert router.stats().server("secure")["connect_errors"] == 1


def test_a_server_without_tls_is_said_to_be_one(home, authority, clear):
    _, port = start(home, authority,
                    backend(clear, tls="yes", tls_verify="no", connect_retries="0"))
    with pytest.raises(psycopg2.OperationalError, match="cannot connect to clear"):
        log_in(port)


@pytest.mark.parametrize("tls", ["no", "required"])
def test_a_cancel_finds_its_session_through_tls_on_both_sides(home, authority, secure, tls):
    """libpq's own request comes in the clear, and is taken also where TLS is required."""
    _, port = start(home, authority, backend(secure, tls="yes", tls_verify="no"), tls=tls)
    options = {"sslmode": "require", "channel_binding": "disable"} if tls != "no" else {}
    made = [home.keep(Sleeper(port, **options)) for _ in range(2)]
    for sleeper in made:
        sleeper.wait_asleep([secure])
    made[0].cancel()
    assert not made[1].cancelled()


def test_a_cancel_may_come_under_tls(home, authority, clear):
    """As libpq 17 sends it."""
    _, port = start(home, authority, backend(clear), tls="required")
    sleeper = home.keep(Sleeper(port, sslmode="require"))
    sleeper.wait_asleep([clear])
    foreign = cancel_request(sleeper.pid.to_bytes(4, "big") + b"\x01\x02\x03\x04")
    context = ssl.create_default_context(cafile=authority.ca)
    with connect(local(port), 20) as client:
        client.sendall(SSL_REQUEST)
        assert client.recv(1) == b"S"
        with context.wrap_socket(client, server_hostname="127.0.0.1") as secured:
            secured.sendall(foreign)
            assert secured.recv(10) == b""
    assert not sleeper.cancelled()
    sleeper.cancel()


def test_a_half_question_ends_with_its_time(home, authority, clear):
    router, port = start(home, authority, backend(clear), tls="yes", handshake_timeout="300ms")
    with connect(local(port), 20) as client:
        client.sendall(SSL_REQUEST[:5])
        assert read_all(client) == b""
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(SSL_REQUEST)
        assert client.recv(1) == b"S"
        assert client.recv(1) == b""
    router.wait_for(lambda s: s.frontend("f")["refused_hello"] == 2, "both to be counted")
