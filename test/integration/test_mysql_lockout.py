"""Promise: whatever clients do, and wherever they vanish, servers hold no broken login against the
router's address; who took too long is told."""
import threading

import pymysql
import pytest

from lib import mysql_wire
from lib.clusters import NotInstallable
from lib.fake import reset
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mysql_wire import SSL_REQUEST, Wire, login
from lib.process import free_port
from lib.sockets import local
from lib.strict import USER, StrictMariaDB, StrictMySQL, Stranger
from lib.waiting import until

CLIENTS = 120  # at each stage


def one_frontend(home, stranger):
    port = free_port()
    backend = section("backend b", protocol="mysql", probe="off", server=servers(stranger))
    return home.router(frontend("f", port, route="any") + backend), port


@pytest.fixture(name="strict", scope="module", params=[StrictMariaDB, StrictMySQL])
def strict_server(request, shared_home):
    """(server, the stranger before it)"""
    try:
        server = shared_home.keep(request.param(shared_home.directory("strict")))
    except NotInstallable as missing:
        pytest.skip(str(missing))
    server.start()
    server.add_users()
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


def after_ed25519(client):
    client.read()
    client.send(1, login(b"edward", plugin=b"unheard_of"))
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
    early_garbage(client)


def early_garbage(client):
    client.sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def tls_garbage(client):
    client.read()
    client.sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300)


STAGES = [before_greeting, after_greeting, half_a_login, after_login, after_switch,
          after_ed25519, full_authentication, tls_request, garbage, early_garbage, tls_garbage]


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
    _, port = one_frontend(home, stranger)
    for stage in STAGES:
        for number in range(CLIENTS):
            vanish(port, stage, by_reset=number % 2)
        until(lambda: connections(server) == 0, f"all logins to be over after {stage.__name__}")
        assert stranger.login(port), stage.__name__


def test_many_clients_that_vanish_together(home, strict):
    server, stranger = strict
    server.forget()
    _, port = one_frontend(home, stranger)

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
    router, port = one_frontend(home, stranger)
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
    router, port = one_frontend(home, stranger)
    assert stranger.login(port)
    router.wait_for(lambda s: s.server(stranger.name)["sessions"] == 0, "its end")
    server.pause()
    try:
        for number in range(30):
            vanish(port, before_greeting, by_reset=number % 2)
        router.wait_for(lambda s: s.frontend()["sessions"] == 0
                        and s.server(stranger.name)["sessions"] == 30,
                        "the clients to be gone, and their logins to stay")
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
    port = free_port()
    router = home.router(frontend("f", port) + section(
        "backend b", protocol="mysql", server=servers(stranger), probe_user="probe",
        probe_password="of the router", **FAST_PROBES))
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
