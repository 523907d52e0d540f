"""Promise: another configuration takes effect in place, as a whole or not at all, and costs no
connection and no request."""
import os
import re
import signal
import socket
import ssl

import pytest

from lib.certificates import Authority
from lib.fake import echo, name_then_echo
from lib.ini import frontend, redis_backend, section, tcp_backend
from lib.playbook import Stage
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_all, read_line
from lib.storm import Echo, Storm, ask, refused
from lib.waiting import SLOW, holds, until

pytestmark = pytest.mark.sanitize
CROWD = 2000 if SLOW == 1 else 200
MEGABYTE = 1 << 20


def greeted(client):
    return read_line(client).strip()


def test_a_hundred_reloads_cost_no_session_and_no_request(home):
    """Thousands of living sessions and a storm of new ones; servers come, go and come back, an
    address to listen on comes and goes, limits move."""
    one, two, three = (home.keep(Echo(name)) for name in ("one", "two", "three"))
    port, second = free_port(), free_port()
    sets = [(one,), (one, two), (two, three), (three, two, one)]

    def sections(i):
        binds = [f"127.0.0.1:{port}"] + ([f"127.0.0.1:{second}"] if i % 5 == 0 else [])
        return (frontend("f", binds, max_sessions=CROWD + 100 + i, idle_timeout=f"{600 + i}s")
                + tcp_backend(*sets[i % len(sets)], queue_timeout=f"{5 + i % 3}s"))

    router = home.router(sections(0))
    crowd = [socket.create_connection(local(port), timeout=20 * SLOW) for _ in range(CROWD)]
    for client in crowd:
        ask(client)
    storm = home.keep(Storm(local(port)))
    for i in range(1, 101):
        router.reload(sections(i))
        ask(crowd[i * 7 % CROWD])
    storm.close()
    assert storm.failures == []
    assert storm.done > 100
    for client in crowd:
        ask(client, b"still here")
        client.close()
    stats = router.wait_for(lambda s: s["router"]["sessions"] == 0, "all sessions to end")
    assert stats.frontend()["sessions_total"] == CROWD + storm.done
    assert stats.frontend()["bytes_in"] == CROWD * (4 + 10) + 100 * 4 + storm.done * 4


def test_signals_that_come_faster_than_they_are_dealt_with_are_one_reload_or_several(home):
    server = home.fake(echo)
    port = free_port()
    text = frontend("f", port) + tcp_backend(server)
    router = home.router(text)
    with connect(local(port)) as client:
        for _ in range(500):
            router.process.signal(signal.SIGHUP)
        router.reload(text)
        ask(client)


@pytest.mark.parametrize("broken, words", [
    ("[backend b]\nprotocol = tcp\nserver = a 127.0.", "127.0."),
    ("[frontend f]\nbind = 127.0.0.1:1\nbackend = nobody\n", "nobody"),
    ("", "frontend"),
    ("\0\xff" * 2000, "line"),
], ids=["half-written", "no-such-backend", "empty", "junk"])
def test_a_wrong_file_changes_nothing_and_is_told(home, broken, words):
    server = home.fake(echo)
    port = free_port()
    good = frontend("f", port, max_sessions=7) + tcp_backend(server)
    router = home.router(good)
    with connect(local(port)) as client:
        ask(client)
        router.reload(broken, taken=False)
        assert words in router.log
        assert router.stats().frontend()["max_sessions"] == 7
        ask(client)
        with connect(local(port)) as other:
            ask(other)
        router.reload(good.replace("= 7", "= 8"))
        assert router.stats().frontend()["max_sessions"] == 8


def test_a_file_that_is_gone_changes_nothing(home):
    server = home.fake(echo)
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(server))
    os.unlink(router.path)
    router.reload(taken=False)
    with connect(local(port)) as client:
        ask(client)


def test_an_address_that_cannot_be_bound_changes_nothing(home):
    server = home.fake(echo)
    port, other = free_port(), free_port()
    router = home.router(frontend("f", port) + tcp_backend(server))
    busy = socket.create_server(("127.0.0.1", 0))
    taken = busy.getsockname()[1]
    with busy:
        router.reload(frontend("f", [f"127.0.0.1:{port}", f"127.0.0.1:{other}",
                                     f"127.0.0.1:{taken}"]) + tcp_backend(server), taken=False)
    assert f"cannot bind 127.0.0.1:{taken}" in router.log
    assert refused(local(other))
    with connect(local(port)) as client:
        ask(client)


def test_sessions_stay_on_a_server_that_is_removed_and_nobody_new_comes(home):
    a, b = home.fake(name_then_echo, "a"), home.fake(name_then_echo, "b")
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(a, b, balance="first"))
    with connect(local(port)) as old:
        assert greeted(old) == "a"
        router.reload(frontend("f", port) + tcp_backend(b, balance="first"))
        assert [s["name"] for s in router.stats().backend()["servers"]] == ["b"]
        for _ in range(3):
            with connect(local(port)) as new:
                assert greeted(new) == "b"
        ask(old)
        router.reload(frontend("f", port) + tcp_backend(a, b, balance="first"))
        ask(old)
        with connect(local(port)) as new:
            assert greeted(new) == "a"
        assert router.stats().server("a")["sessions_total"] == 2


def test_the_order_in_the_file_is_that_of_now(home):
    a, b = home.fake(name_then_echo, "a"), home.fake(name_then_echo, "b")
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(a, balance="first"))
    router.reload(frontend("f", port) + tcp_backend(b, a, balance="first"))
    with connect(local(port)) as client:
        assert greeted(client) == "b"


def test_a_server_that_is_added_is_down_until_it_is_proven(home):
    a = home.fake(name_then_echo, "a")
    port, late = free_port(), free_port()
    text = frontend("f", port) + section(
        "backend b", protocol="tcp", probe="connect", probe_interval="50ms", balance="first",
        server=[f"late 127.0.0.1:{late}", f"a {a.text}"])
    router = home.router(frontend("f", port) + tcp_backend(a, probe="connect"))
    router.wait_for(lambda s: s.server("a")["state"] == "up", "a")
    router.reload(text)
    assert router.stats().server("late")["state"] == "down"
    assert router.stats().server("a")["state"] == "up"
    for _ in range(5):
        with connect(local(port)) as client:
            assert greeted(client) == "a"
    home.fake(name_then_echo, "late", port=late)
    router.wait_for(lambda s: s.server("late")["state"] == "up", "the late one")
    with connect(local(port)) as client:
        assert greeted(client) == "late"


def test_limits_take_effect_on_whoever_comes_next(home):
    server = home.fake(echo)
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(server))
    with connect(local(port)) as one, connect(local(port)) as two:
        ask(one)
        ask(two)
        router.reload(frontend("f", port, max_sessions=1) + tcp_backend(server))
        with connect(local(port)) as third:
            assert read_all(third) == b""
        ask(one)
        ask(two)
        router.reload(frontend("f", port, deny="127.0.0.1/32") + tcp_backend(server))
        with connect(local(port)) as third:
            assert read_all(third) == b""
        router.reload(frontend("f", port, max_sessions_per_ip=3) + tcp_backend(server))
        with connect(local(port)) as third:
            ask(third)


def test_who_waits_for_a_place_gets_it_when_the_cap_is_raised(home):
    server = home.fake(echo)
    port = free_port()
    cap = {"server_max_connections": 1, "queue_timeout": "30s"}
    router = home.router(frontend("f", port) + tcp_backend(server, **cap))
    with connect(local(port)) as one:
        ask(one)
        with connect(local(port), 30 * SLOW) as two:
            two.sendall(b"ping")
            router.wait_for(lambda s: s.backend()["waiting"] == 1, "somebody to wait")
            cap["server_max_connections"] = 2
            router.reload(frontend("f", port) + tcp_backend(server, **cap))
            assert two.recv(4, socket.MSG_WAITALL) == b"ping"


def test_idle_sessions_end_by_the_time_that_is_in_force(home):
    server = home.fake(echo)
    port = free_port()
    router = home.router(frontend("f", port, idle_timeout="1h") + tcp_backend(server))
    with connect(local(port), 20 * SLOW) as client:
        ask(client)
        router.reload(frontend("f", port, idle_timeout="200ms") + tcp_backend(server))
        assert read_all(client) == b""


def test_addresses_come_and_go_and_move_to_another_frontend(home):
    a, b = home.fake(name_then_echo, "a"), home.fake(name_then_echo, "b")
    path = f"{home.path}/f.sock"
    port, other = free_port(), free_port()
    two = tcp_backend(a, name="x") + tcp_backend(b, name="y")
    router = home.router(frontend("f", [f"127.0.0.1:{port}", f"unix:{path}"], "x") + two)
    with connect(local(port)) as old, connect(path) as by_path:
        assert greeted(old) == greeted(by_path) == "a"
        router.reload(frontend("f", other, "x") + frontend("g", port, "y") + two)
        with connect(local(port)) as moved, connect(local(other)) as fresh:
            assert greeted(moved) == "b"
            assert greeted(fresh) == "a"
        ask(old)
        ask(by_path)
        until(lambda: not os.path.exists(path), "the socket file to go")
        router.reload(frontend("g", other, "y") + two)
        until(lambda: refused(local(port)), "the address to be closed")
        with connect(local(other)) as fresh:
            assert greeted(fresh) == "b"
        ask(old)
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "all to end")


def test_another_protocol_under_the_same_name_is_another_backend(home):
    a, redis = home.fake(name_then_echo, "a"), home.redis("r")
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(a))
    with connect(local(port)) as old:
        assert greeted(old) == "a"
        router.reload(frontend("f", port) + redis_backend(redis))
        router.wait_primary("r")
        with connect(local(port)) as new:
            new.sendall(b"PING\r\n")
            assert new.recv(7, socket.MSG_WAITALL) == b"+PONG\r\n"
        ask(old)
        assert [x["name"] for x in router.stats()["backends"]] == ["b"]


def test_tls_can_begin_with_a_reload(home):
    authority = Authority(home.directory("ca"))
    leaf = authority.leaf(names=["hub.example.com"])
    server = home.fake(echo)
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(server))
    with connect(local(port)) as old:
        ask(old)
        router.reload(frontend("f", port, tls="yes", tls_cert=leaf.pem)
                      + tcp_backend(server))
        context = ssl.create_default_context(cafile=authority.ca)
        with context.wrap_socket(connect(local(port)), server_hostname="hub.example.com") as new:
            new.sendall(b"ping")
            assert new.recv(4) == b"ping"
        ask(old)


def test_certificates_that_cannot_be_read_change_nothing(home):
    server = home.fake(echo)
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(server))
    router.reload(frontend("f", port, tls="yes", tls_cert="/nowhere.pem") + tcp_backend(server),
                  taken=False)
    assert "/nowhere.pem" in router.log
    with connect(local(port)) as client:
        ask(client)


def test_what_only_a_start_can_change_is_told(home):
    server = home.fake(echo)
    port = free_port()
    text = frontend("f", port) + tcp_backend(server)
    router = home.router(text, workers=2)
    router.reload(text, workers=3)
    assert re.search(r'\\?"workers\\?" has changed', router.log)
    with connect(local(port)) as client:
        ask(client)


def test_roles_and_writes_go_on(home):
    """Twenty reloads, some with new connections of the probes, under a steady writer: no write
    waits for an election, none is refused, none is lost."""
    stage = Stage(home)
    a = stage.servers[0]
    for i in range(20):
        stage.router.reload(frontend("write", stage.port, max_sessions=1000 + i)
                            + redis_backend(*stage.servers, probe_timeout=f"{300 + i // 4}ms"))
        stats = stage.router.stats()
        assert stats.backend()["primary"] == "a"
        assert stats.backend()["verdict"] == "primary"
    stage.wait_writes(50, a)
    assert stage.writers.refused == []
    stage.curtain(a)


def test_a_primary_that_is_removed_is_fenced_before_another_one_writes(home):
    """It is taken out of the file: writes wait; another one is promoted, and takes them. The old
    one claims all the time, and nobody writes to it any more."""
    stage = Stage(home)
    a, b, c = stage.servers
    stage.router.reload(frontend("write", stage.port) + redis_backend(b, c))
    assert [s["name"] for s in stage.router.stats().backend()["servers"]] == ["b", "c"]
    holds(lambda: stage.router.stats().backend()["verdict"] != "primary", "nobody is primary", 0.3)
    b.promote()
    c.follow(b)
    stage.router.wait_primary("b")
    stage.wait_writes(30, b)
    stage.curtain(b)


def test_who_was_removed_is_not_waited_for(home):
    """A replica was taken out of the file and is gone; then the primary dies, and the other
    replica is promoted: what the removed one would say of it is not asked for."""
    stage = Stage(home, writers=False)
    a, b, c = stage.servers
    stage.router.reload(frontend("write", stage.port) + redis_backend(a, b))
    c.kill()
    a.kill()
    b.promote()
    stage.router.wait_primary("b")
    stage.start_writers()
    stage.wait_writes(20, b)
    stage.curtain(b)


def test_memory_does_not_grow_with_reloads(home):
    """Names that nobody has seen before each time; what is gone and not used is given away."""
    server = home.fake(echo)
    port = free_port()

    def text(i):
        return frontend(f"f{i}", port, f"b{i}") + section(
            f"backend b{i}", protocol="tcp", probe="off", server=f"s{i} {server.text}")

    router = home.router(text(0))
    for i in range(1, 30):
        router.reload(text(i))
    before = router.process.rss()
    for i in range(30, 130):
        router.reload(text(i))
    with connect(local(port)) as client:
        ask(client)
    if SLOW == 1:
        until(lambda: router.process.rss() < before + 2 * MEGABYTE, "memory to stay", 10)
