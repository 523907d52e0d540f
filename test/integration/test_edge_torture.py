"""Promise: whatever a crowd does at the clients' edge and behind the servers', and while
certificates are renewed, who behaves well gets its own bytes back, nothing is lost count of,
nothing crashes, and SIGTERM ends all of it with 0.

By hand: ROUTER_TORTURE_SEED=7 ROUTER_TORTURE_SECONDS=60 pytest test_edge_torture.py"""
import contextlib
import os
import random
import socket
import ssl
import struct
import threading

import pytest

from lib import hello, proxy_header
from lib.certificates import Authority
from lib.ini import frontend, section, servers, tcp_backend
from lib.process import free_port
from lib.proxy_header import read_exactly, read_header
from lib.rogue import CANCEL, ROUTER, SSL_REQUEST, Rogue, saboteur
from lib.sockets import local
from lib.tls_place import InPlace
from lib.waiting import SLOW, Clock, until

pytestmark = pytest.mark.sanitize

SECONDS = float(os.environ.get("ROUTER_TORTURE_SECONDS", "2.5"))
SEEDS = [int(s) for s in os.environ.get("ROUTER_TORTURE_SEED", "1 2 3").split()]
NAMES = ["good.example", "bad.example", "other.example"]
AGES = 120 * SLOW  # for who behaves well: nothing of it may be late, however slow the machine is
LONG = "600s"
STAYING = 20       # connections that a rogue leaves as they are
STARTUP = struct.pack(">II", 22, 0x30000) + b"user\0behaved\0\0"
READY = b"R\0\0\0\x08\0\0\0\0" + b"K\0\0\0\x0c" + b"12345678" + b"Z\0\0\0\5I"


# Servers that do what they should.


def echo_under_tls(context, sock):
    with context.wrap_socket(sock, server_side=True) as secure:
        while data := secure.recv(65536):
            secure.sendall(data)
        secure.unwrap()


def server_context(leaf):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.cert, leaf.key)
    return context


def tls_echo(leaf, header=False):
    context = server_context(leaf)

    def handle(_server, sock):
        if header:
            read_header(sock)
        echo_under_tls(context, sock)
    return handle


def fake_postgres(leaf):
    context = server_context(leaf)

    def handle(_server, sock):
        read_exactly(sock, 8)
        sock.sendall(b"S")
        with context.wrap_socket(sock, server_side=True) as secure:
            length, = struct.unpack(">I", read_exactly(secure, 4))
            if read_exactly(secure, length - 4).startswith(struct.pack(">I", CANCEL)):
                return
            secure.sendall(READY)
            while data := secure.recv(65536):
                secure.sendall(data)
            secure.unwrap()
    return handle


class Stage:
    def __init__(self, home, seed):
        self.home, self.seed = home, seed
        folder = home.directory("certificates")
        self.authority = Authority(folder)
        leafs = [self.authority.leaf(names=NAMES, key=kind) for kind in ("ec", "rsa")]
        self.leafs, self.live = leafs, InPlace(folder, leafs[0])
        self.fakes = {
            "sealed": home.fake(tls_echo(leafs[0], header=True), "sealed"),
            "opaque": home.fake(tls_echo(leafs[0]), "opaque"),
            "db": home.fake(fake_postgres(leafs[0]), "db"),
            "bad": home.fake(saboteur(seed, leafs[0]), "bad"),
            "worse": home.fake(saboteur(seed + 1, leafs[0]), "worse"),
        }
        self.ports = {name: free_port() for name in ("hub", "proxied", "pass", "db", "narrow")}
        self.router = home.router(self.frontends() + self.backends(), drain_timeout="1s")
        self.clients = ssl.create_default_context(cafile=self.authority.ca)
        self.over = threading.Event()
        self.wrong, self.done, self.lives = [], [], []

    def frontends(self):
        terminates = {"tls": "yes", "tls_cert": self.live.cert, "tls_key": self.live.key}
        names = ["good.example sealed", "bad.example bad"]
        ports = self.ports
        return "".join([
            frontend("hub", ports["hub"], "sealed", sni=names, handshake_timeout=LONG,
                     **terminates),
            frontend("proxied", ports["proxied"], "sealed", sni=names, accept_proxy="yes",
                     allow="127.0.0.1", deny="10.0.0.7", max_sessions_per_ip=4,
                     handshake_timeout=LONG, **terminates),
            frontend("pass", ports["pass"], "opaque", sni=["bad.example worse"],
                     handshake_timeout=LONG),
            frontend("db", ports["db"], "db", route="any", handshake_timeout=LONG, **terminates),
            frontend("narrow", ports["narrow"], "bad", handshake_timeout="300ms", max_handshakes=2,
                     max_sessions=4, **terminates)])

    def backends(self):
        patient = {"connect_timeout": "60s", "tls": "yes", "tls_verify": "no"}
        hasty = {"connect_timeout": "300ms", "queue_timeout": "200ms", "server_max_connections": 3}
        fakes = self.fakes
        return "".join([
            tcp_backend(fakes["sealed"], name="sealed", send_proxy="v2", **patient),
            tcp_backend(fakes["opaque"], name="opaque", connect_timeout="60s"),
            section("backend db", protocol="pgsql", probe="off", server=servers(fakes["db"]),
                    **patient),
            tcp_backend(fakes["bad"], name="bad", tls="yes", tls_verify="no", **hasty),
            tcp_backend(fakes["worse"], name="worse", **hasty)])

    # The crowd.

    def behave(self, me):
        """Comes again and again, and must get its own bytes back, and none behind them."""
        rng = random.Random(f"{self.seed} {me}")
        ways = [self.by_hub, self.by_proxy, self.through, self.to_db]
        count = 0
        try:
            while count < len(ways) or not self.over.is_set():
                data = f"{me} {count} ".encode() * rng.randrange(1, 3000)
                with ways[count % len(ways)](me) as secure:
                    secure.sendall(data)
                    assert read_exactly(secure, len(data)) == data
                    secure.unwrap().close()
                count += 1
            self.done.append(count)
        except BaseException as error:
            self.wrong.append(f"{me}, {ways[count % len(ways)].__name__}: {error!r}")

    def secure(self, name, first=b"", answer=b""):
        sock = socket.create_connection(local(self.ports[name]), AGES)
        try:
            sock.sendall(first)
            assert read_exactly(sock, len(answer)) == answer
            return self.clients.wrap_socket(sock, server_hostname="good.example")
        except BaseException:
            sock.close()
            raise

    def by_hub(self, _me):
        return self.secure("hub")

    def by_proxy(self, me):
        return self.secure("proxied", proxy_header.header(2, (f"10.1.{me}.1", 1), ROUTER))

    def through(self, _me):
        return self.secure("pass")

    def to_db(self, _me):
        secure = self.secure("db", struct.pack(">II", 8, SSL_REQUEST), b"S")
        secure.sendall(STARTUP)
        assert read_exactly(secure, len(READY)) == READY
        return secure

    def misbehave(self, me):
        kinds = {"hub": {"tls"}, "proxied": {"proxy", "tls"}, "pass": {"tls"}, "db": {"pgsql"},
                 "narrow": {"tls"}}
        rng = random.Random(f"{self.seed} rogue {me}")
        staying = []
        try:
            while not self.over.is_set():
                name = rng.choice(list(kinds))
                rogue = Rogue(rng.random(), local(self.ports[name]), kinds[name], NAMES)
                with contextlib.suppress(OSError):  # it may be that nobody listens any more
                    staying.append(rogue.live())
                    self.lives.append(name)
                staying = [sock for sock in staying if sock][-STAYING:]
        except BaseException as error:
            self.wrong.append(f"rogue {me}: {error!r}")
        finally:
            for sock in staying:
                if sock:
                    sock.close()

    def threads(self, what, count):
        made = [threading.Thread(target=what, args=(n,), daemon=True) for n in range(count)]
        for thread in made:
            thread.start()
        return made

    def join(self, threads):
        self.over.set()
        for thread in threads:
            thread.join(AGES * 2)
            assert not thread.is_alive()
        self.over.clear()
        assert not self.wrong, self.wrong + [self.router.log[-3000:]]


def nothing_left(stats):
    counts = [stats["router"]["sessions"]]
    counts += [f["sessions"] for f in stats["frontends"]]
    counts += [b["waiting"] for b in stats["backends"]]
    counts += [s["sessions"] for b in stats["backends"] for s in b["servers"]]
    return not any(counts)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crowd_of_rogues_harms_nobody(home, seed):
    stage = Stage(home, seed)
    crowd = stage.threads(stage.behave, 3) + stage.threads(stage.misbehave, 5)
    clock = Clock()
    count = 0

    def renewed_till_the_end():
        nonlocal count
        count += 1
        stage.live.put(stage.leafs[count % 2])
        return clock.passed(SECONDS)

    until(renewed_till_the_end, "the end", SECONDS + 60, poll=0.25)
    stage.join(crowd)
    assert len(stage.done) == 3 and stage.lives
    stage.router.wait_for(nothing_left, "all to be gone, and all counts with them", 60)

    before = len(stage.lives)
    rogues = stage.threads(stage.misbehave, 5)
    until(lambda: len(stage.lives) > before + 20, "rogues to be back", 60)
    stage.router.stop(timeout=60)
    stage.join(rogues)
    assert "PRIVATE" not in stage.router.log
