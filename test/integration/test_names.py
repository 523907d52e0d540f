"""Promise: names are followed wherever they lead, and no failure of a name server takes away a
server, holds up another name, or the router's end."""
import signal
import time

import pytest

from lib import openssl
from lib.certificates import Authority
from lib.dns_server import NXDOMAIN, SERVFAIL, Names
from lib.fake import FakeServer, name_then_echo
from lib.fake_sentinel import FakeSentinel
from lib.ini import FAST_PROBES, frontend, section
from lib.process import free_port
from lib.resp import Resp, connect
from lib.runtime import Runtime
from lib.sockets import local, read_all
from lib.waiting import SLOW, holds, until

SPEED = {"probe": "connect", **{key: FAST_PROBES[key] for key in FAST_PROBES}}


def host(number):
    return f"127.0.0.{number}"


class Place:
    """Fakes on addresses of their own, all at the same port; a router whose servers have names."""

    def __init__(self, home, numbers=(2,), dead="timeout:2 attempts:1"):
        self.home = home
        self.names = Names(home, options=dead)
        self.dns = self.names.dns
        self.port = free_port()  # the fakes' one, on every address
        self.fakes = {number: self.fake(number) for number in numbers}
        self.front = free_port()
        self.router = None

    def fake(self, number):
        return self.home.keep(FakeServer(name_then_echo, host(number), host=host(number),
                                         port=self.port))

    def start(self, wait=True, router=None, **keys):
        sections = frontend("f", self.front) + section(
            "backend b", protocol="tcp", **{**SPEED, **keys})
        self.control = self.home.path + "/control.sock"
        self.router = self.names.router(sections, start=False, control=self.control,
                                        **(router or {}))
        self.router.start(wait)
        return self

    def set(self, name, *numbers, **how):
        return self.dns.set(name, *map(host, numbers), **how)

    def client(self):
        """(its socket, which fake it is connected to)."""
        sock = self.home.keep(connect(local(self.front), 20 * SLOW))
        line = b""
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            assert byte, "no server"
            line += byte
        return sock, line.decode().strip()

    def servers(self):
        """{name: address} of those that are up."""
        return up(self.router.stats())

    def wait_servers(self, expected, timeout=10.0):
        """{name: number of its address}."""
        wanted = {name: f"{host(number)}:{self.port}" for name, number in expected.items()}
        self.router.wait_for(lambda s: up(s) == wanted, f"servers {wanted}", timeout)


def up(stats, backend="b"):
    return {s["name"]: s["address"] for s in stats.backend(backend)["servers"]
            if s["state"] == "up"}


def says(sock, text):
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        part = sock.recv(100)
        assert part, "the session was ended"
        got += part
    assert got == text


def reload_with(router, key, value):
    """The same file, with another line in [backend b] that shows in /stats.json."""
    with open(router.path, encoding="utf-8") as file:
        text = file.read()
    with open(router.path, "w", encoding="utf-8") as file:
        file.write(text.replace("[backend b]", f"[backend b]\n{key} = {value}"))
    router.process.signal(signal.SIGHUP)
    router.wait_for(lambda s: s.backend()[key] == value, "the other configuration", 10)


# One server -----------------------------------------------------------------------------------


def test_a_name_that_leads_nowhere_is_a_server_that_is_down_until_it_does(home):
    place = Place(home).start(server=f"s late.test:{1}")
    server = place.router.stats().backend()["servers"][0]
    assert server["state"] == "down" and "cannot resolve late.test" in server["reason"], server
    assert "late.test:1" in server["address"]
    assert place.router.http("/readyz")[0] == 200, "who waits for a name is not ready for ever"
    place.router.stop()


def test_a_server_appears_with_its_name(home):
    place = Place(home)
    place.start(server=f"s late.test:{place.port}")
    place.router.wait_for(lambda s: "cannot resolve" in s.backend()["servers"][0]["reason"], "down")
    place.set("late.test", 2)
    place.wait_servers({"s": 2})
    assert place.client()[1] == host(2)
    told = Runtime(place.control)("show resolvers")
    assert "late.test" in told and host(2) in told


def test_a_server_moves_with_its_name(home):
    """Where the old one still answers, it is left when it is missing for the second time."""
    place = Place(home, numbers=(2, 3))
    place.set("s.test", 2)
    place.start(server=f"s s.test:{place.port}", router={"drain_timeout": "1s"})
    place.wait_servers({"s": 2})
    old, where = place.client()
    assert where == host(2)
    place.set("s.test", 3)
    place.wait_servers({"s": 3})
    assert place.client()[1] == host(3)
    old.close()


def test_a_server_that_fails_tries_its_names_other_addresses(home):
    place = Place(home, numbers=(4,))
    place.set("s.test", 2, 3, 4, rotate=True)
    place.start(server=f"s s.test:{place.port}")
    place.wait_servers({"s": 4}, 30.0)
    assert place.client()[1] == host(4)


# What is discovered ---------------------------------------------------------------------------


def test_a_service_scales_and_whoever_stays_is_not_touched(home):
    """3, 5, 2 servers: the names come by PTR; a session on one that stays goes through it all."""
    place = Place(home, numbers=range(2, 7))
    for number in range(2, 7):
        place.dns.owners[host(number)] = f"hub-{number}.hubs.test"
    place.set("hubs.test", 2, 3, 4)
    place.start(discover=f"hubs.test:{place.port} weight=3", balance="first")
    place.wait_servers({"hub-2": 2, "hub-3": 3, "hub-4": 4})
    stays, where = place.client()
    assert where == host(2)
    place.set("hubs.test", 2, 3, 4, 5, 6, rotate=True)
    place.wait_servers({f"hub-{n}": n for n in range(2, 7)})
    assert place.router.stats().server("hub-5")["weight"] == 3
    before = place.router.stats().server("hub-2")
    place.set("hubs.test", 2, 6)
    place.wait_servers({"hub-2": 2, "hub-6": 6})
    says(stays, b"still here\n")
    after = place.router.stats().server("hub-2")
    assert after["sessions"] == 1 and after["changed_ms"] >= before["changed_ms"]


def test_no_name_no_label_is_an_address(home):
    """Nobody answers for the PTR of any address: they are servers all the same, soon."""
    place = Place(home, numbers=(2, 3))
    place.dns.silent_owners = True
    place.set("hubs.test", 2, 3)
    place.start(discover=f"hubs.test:{place.port}")
    place.wait_servers({host(2): 2, host(3): 3}, 20.0)


@pytest.mark.sanitize
def test_a_name_server_that_fails_takes_nobody_away(home):
    """SERVFAIL, NXDOMAIN, no addresses, silence, and another order each time."""
    place = Place(home, numbers=(2, 3, 4), dead="timeout:1 attempts:1")
    place.set("hubs.test", 2, 3)
    place.set("s.test", 4)
    place.start(discover=f"hubs.test:{place.port}", server=f"s s.test:{place.port}")
    expected = {host(2): 2, host(3): 3, "s": 4}
    place.wait_servers(expected)
    clients = [place.client()[0] for _ in range(3)]
    for how in {"rcode": SERVFAIL}, {"rcode": NXDOMAIN}, {}, {"silent": True}:
        place.dns.set("hubs.test", **how)
        place.dns.set("s.test", **how)
        times = 1 if "silent" in how else 3
        place.dns.wait_asked("hubs.test", times, 30.0)
        place.dns.wait_asked("s.test", times, 30.0)
        place.wait_servers(expected)
    place.set("hubs.test", 2, 3, rotate=True)
    place.set("s.test", 4)
    place.dns.wait_asked("hubs.test", 5, 30.0)
    place.wait_servers(expected)
    for client in clients:
        says(client, b"all the time\n")
    log = place.router.log
    assert log.count("hubs.test cannot be resolved any more") == 1, log
    assert log.count("s.test has") == log.count("hubs.test has") + 1 == 2, "orders are no news"


def test_an_answer_that_slips_once_changes_nothing(home):
    """A server that is missing once and answers probes stays; the next answer has it again."""
    place = Place(home, numbers=(2, 3))
    place.set("hubs.test", 2, 3)
    place.start(discover=f"hubs.test:{place.port}", router={"resolve_interval": "500ms"})
    place.wait_servers({host(2): 2, host(3): 3})
    place.set("hubs.test", 2)
    until(lambda: "(missing)" in place.router.log, "the slip to be seen", 10)
    place.set("hubs.test", 2, 3)
    place.dns.wait_asked("hubs.test", 2)
    place.wait_servers({host(2): 2, host(3): 3})
    assert place.router.log.count("is up") == 2, place.router.log


# Many, and dead ones --------------------------------------------------------------------------


@pytest.mark.sanitize
def test_dead_names_are_not_in_the_way_of_another_nor_of_the_end(home):
    """Ten names that nobody answers for; the eleventh is followed, and the router ends at once."""
    place = Place(home, numbers=(2, 3), dead="timeout:30 attempts:1")
    for number in range(10):
        place.dns.set(f"dead{number}.test", silent=True)
    place.set("s.test", 2)
    place.start(False, server=[f"s s.test:{place.port}"]
                + [f"d{n} dead{n}.test:{place.port}" for n in range(10)])
    until(lambda: place.router.http("/healthz", missing_ok=True)[0] == 200, "the router", 20)
    place.wait_servers({"s": 2}, 20.0)
    place.set("s.test", 3)
    place.wait_servers({"s": 3}, 20.0)
    began = time.monotonic()
    place.router.stop()
    assert time.monotonic() - began < 5 * SLOW, "it waited for a look-up"


def test_a_hundred_names(home):
    place = Place(home, numbers=(2,))
    for number in range(100):
        place.set(f"n{number}.test", 2)
    place.start(server=[f"s{n} n{n}.test:{place.port}" for n in range(100)])
    stats = place.router.wait_for(
        lambda s: all("another server" in x["reason"] or x["state"] == "up"
                      for x in s.backend()["servers"]), "all names to be looked up", 20.0)
    assert len(up(stats)) == 1, "two names for one server would give it twice its cap"
    for number in range(100):
        place.dns.set(f"n{number}.test", f"127.0.1.{number + 1}")
    place.router.wait_for(
        lambda s: {x["address"] for x in s.backend()["servers"]}
        >= {f"127.0.1.{n + 1}:{place.port}" for n in range(100)}, "all names to move", 40.0)


# Roles ----------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_redis_service_is_followed_and_its_primary_keeps_its_clients(home):
    """A primary and two replicas in a headless service; the replicas are replaced one by one."""
    names = Names(home)
    port, front = free_port(), free_port()
    redis = {n: home.redis(f"redis-{n}", host=host(n), port=port) for n in (2, 3, 4)}
    redis[3].follow(redis[2])
    redis[3].wait_linked()
    names.dns.owners.update({host(2): "redis-0.r.test", host(3): "redis-1.r.test",
                             host(4): "redis-1.r.test"})
    names.dns.set("r.test", host(2), host(3))
    router = names.router(frontend("f", front) + section(
        "backend b", protocol="redis", discover=f"r.test:{port}", **FAST_PROBES))
    router.wait_primary("redis-0")
    with Resp(local(front), 20 * SLOW) as client:
        assert client.call("SET", "a", "1") == "OK"
        redis[4].follow(redis[2])
        redis[4].wait_linked()
        redis[3].kill()
        names.dns.set("r.test", host(2), host(4))  # the pod redis-1 has another address
        router.wait_for(lambda s: up(s) == {"redis-0": f"{host(2)}:{port}",
                                            "redis-1": f"{host(4)}:{port}"}, "redis-1 to move", 20)
        assert client.call("SET", "a", "2") == "OK", "the primary's sessions were touched"
    # The primary's pod dies; its successor has the other address.
    redis[4].wait_caught_up(redis[2])
    redis[2].kill()
    redis[4].promote()
    router.wait_primary("redis-1", timeout=20.0)
    with Resp(local(front), 20 * SLOW) as client:
        assert client.call("GET", "a") == "2"
        names.dns.set("r.test", host(4))
        router.wait_for(lambda s: list(up(s)) == ["redis-1"], "redis-0 to go", 20)
        assert client.call("SET", "a", "3") == "OK"
        reload_with(router, "queue_limit", 7)
        assert client.call("SET", "a", "4") == "OK", "a reload found its primary somewhere else"


def test_sentinels_come_by_name_and_those_that_are_missing_still_count(home):
    """Three addresses are three Sentinels, and a majority of three is needed when one is left."""
    names = Names(home)
    port = free_port()
    a, b = home.redis_group("a", "b")
    sentinels = [home.keep(FakeSentinel(a, port=port, host=host(n))) for n in (2, 3, 4)]
    names.dns.set("sentinel.test", host(2), host(3), host(4))
    router = names.router(frontend("f", free_port()) + section(
        "backend b", protocol="redis", server=[f"a {a.text}", f"b {b.text}"],
        sentinel=f"sentinel.test:{port}", sentinel_master="mymaster", **FAST_PROBES))
    router.wait_primary("a")

    def heard(stats):
        return sorted(s["address"] for s in stats.backend()["sentinels"] if s["heard"])

    router.wait_for(lambda s: heard(s) == [f"{host(n)}:{port}" for n in (2, 3, 4)],
                    "three Sentinels to be heard")
    names.dns.set("sentinel.test", host(2))
    router.wait_for(lambda s: heard(s) == [f"{host(2)}:{port}"], "one to be left", 20)
    left = router.stats().backend()["sentinels"]
    assert len(left) == 3 and all(s["why"] for s in left if not s["heard"]), left
    sentinels[0].named(b)
    b.promote()  # one of three: the primary answers, and is not unseated by that
    router.wait_for(lambda s: any(x["names"] == "b" for x in s.backend()["sentinels"]), "its word")
    holds(lambda: router.stats().backend()["primary"] != "b", "b is not the primary", 0.5)
    names.dns.set("sentinel.test", host(2), host(3), host(4))
    for sentinel in sentinels:
        sentinel.named(b)
    router.wait_primary("b", timeout=20.0)


# Whom it asks for -----------------------------------------------------------------------------


def test_a_server_with_a_name_must_prove_that_name(home):
    """With tls = yes and no tls_server_name; one that proves its address only is none of ours."""
    names = Names(home)
    authority = Authority(home.directory("ca"))
    fronts = {"good": free_port(), "bad": free_port()}
    leaves = {"good": authority.leaf(names=["good.test"], intermediate=False),
              "bad": authority.leaf(ips=["127.0.0.1"], intermediate=False)}
    sections = ""
    for name, leaf in leaves.items():
        server = openssl.server(home, leaf, name=name)
        names.dns.set(f"{name}.test", "127.0.0.1")
        sections += frontend(name, fronts[name], name) + section(
            f"backend {name}", protocol="tcp", tls="yes", tls_ca=authority.ca,
            server=f"s {name}.test:{server.port}", connect_retries="0", probe="off")
    router = names.router(sections)
    router.wait_for(lambda s: all(b["servers"][0]["state"] == "up" for b in s["backends"]), "both")
    with connect(local(fronts["good"]), 20 * SLOW) as sock:
        sock.sendall(b"hello\n")
        assert sock.recv(100) == b"olleh\n"
    with connect(local(fronts["bad"]), 20 * SLOW) as sock:
        assert read_all(sock) == b"", "whoever has the address was taken for it"
    until(lambda: "hostname mismatch" in router.log, "the reason", 5)


def test_an_http_check_is_for_the_name(home):
    asked = []

    def answer(_server, sock):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(4096) or b"\r\n\r\n"
        asked.append(head.decode())
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    names = Names(home)
    server = home.keep(FakeServer(answer, "hub"))
    names.dns.set("hub.test", "127.0.0.1")
    router = names.router(frontend("f", free_port()) + section(
        "backend b", protocol="http", server=f"s hub.test:{server.port}", http_check="GET /ok"))
    router.wait_for(lambda s: s.server("s")["state"] == "up", "the hub to be up")
    assert f"\r\nHost: hub.test:{server.port}\r\n" in asked[0], asked[0]


# The command line and another configuration ---------------------------------------------------


def test_the_file_is_checked_without_a_look_up_and_a_probe_does_one(home):
    place = Place(home)
    place.set("s.test", 2)
    place.set("hubs.test", 2)
    text = frontend("f", place.front) + section(
        "backend b", protocol="tcp", server=[f"s s.test:{place.port}", "t nowhere.test:1"],
        discover="gone.test:1", **SPEED)
    path = home.file("names.ini", text)
    assert place.names.run("-t", "-c", path).returncode == 0
    assert place.dns.questions("s.test") == 0
    dump = place.names.run("--dump-config", "-c", path).stdout
    assert f"server = s s.test:{place.port}" in dump and "discover = gone.test:1" in dump
    assert place.dns.questions("s.test") == 0
    probed = place.names.run("--probe", "-c", path)
    assert probed.returncode == 0, probed.stderr
    assert f"{host(2)}:{place.port}" in probed.stdout
    assert "cannot resolve nowhere.test" in probed.stdout
    assert "gone.test: 1 look-ups, 1 failed, never resolved" in probed.stdout, probed.stdout


@pytest.mark.sanitize
def test_what_is_known_of_a_name_lives_through_a_reload(home):
    """The name server is silent meanwhile: the servers stay, and so do their sessions."""
    place = Place(home, numbers=(2, 3), dead="timeout:1 attempts:1")
    place.dns.owners[host(2)] = "hub-0.hubs.test"
    place.set("hubs.test", 2)
    place.set("s.test", 3)
    place.start(discover=f"hubs.test:{place.port}", server=f"s s.test:{place.port}")
    expected = {"hub-0": 2, "s": 3}
    place.wait_servers(expected)
    clients = [place.client()[0] for _ in range(4)]
    for name in ("hubs.test", "s.test"):
        place.dns.set(name, silent=True)
    before = place.router.stats()["router"]["generation"]
    reload_with(place.router, "queue_limit", 7)
    place.wait_servers(expected)
    for client in clients:
        says(client, b"all the time\n")
    after = place.router.stats()["router"]["generation"]
    slipped = " is down" in place.router.log  # a probe did not get its turn on a busy machine
    assert after == before + 1 or slipped, "for a moment it had none of them"
    place.set("hubs.test", 2, 3)
    place.set("s.test", 3)
    place.dns.wait_asked("hubs.test", 2, 30.0)
    place.wait_servers(expected)
