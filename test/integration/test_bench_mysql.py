"""The benchmark of MySQL pooling measures what it says: its load proves who it is, and an error, a
wrong byte or number ends it. What it finds is not judged here."""
import hashlib
import json
import os
import struct
import sys

import pytest

from lib.mysql_wire import ACCEPTED, CAPABILITIES, ERR, SSL, Wire, packet
from lib.router import BUILD
from test_bench import BENCH, run, table_of

CONNECT_WITH_DB = 8
NONCE, FRESH = b"abcdefghijklmnopqrst", b"tsrqponmlkjihgfedcba"
PASSWORD = b"of somebody"
EOF = b"\xfe\0\0\2\0"
REPLY = (b"\1", b"\3def\0\0\0\0011\0\x0c\x3f\0\1\0\0\0\3\x81\0\0\0\0", EOF, b"\0011", EOF)


def greeting(plugin, capabilities=CAPABILITIES | CONNECT_WITH_DB):
    return (b"\x0a9.9.9\0" + struct.pack("<I", 7) + NONCE[:8] + b"\0"
            + struct.pack("<HBHH", capabilities & 0xffff, 45, 2, capabilities >> 16)
            + bytes([21]) + b"\0" * 10 + NONCE[8:] + b"\0" + plugin + b"\0")


def native(nonce):
    once = hashlib.sha1(PASSWORD).digest()
    mask = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


def sha2(nonce):
    once = hashlib.sha256(PASSWORD).digest()
    mask = hashlib.sha256(hashlib.sha256(once).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


PROOFS = {b"mysql_native_password": native, b"caching_sha2_password": sha2}


class Server:
    """Says what a server says; a test tells what it says instead."""

    def __init__(self, plugin=b"mysql_native_password", account=None, reply=REPLY, judged=None,
                 sequence=2, capabilities=CAPABILITIES | CONNECT_WITH_DB, greets=None):
        self.plugin = plugin
        self.account = account or plugin  # the account's
        self.reply = reply
        self.judged = judged or [ACCEPTED]
        self.sequence = sequence  # of its first word on the login
        self.capabilities = capabilities
        self.greeting = greets
        self.wrong = []           # what clients said that they should not

    def expect(self, said, wanted):
        if said != wanted:
            self.wrong.append((said, wanted))

    def __call__(self, _fake, sock):
        wire = Wire(sock)
        try:
            self.talk(wire)
        except OSError:
            pass  # the load has left: that is what these tests are about

    def talk(self, wire):
        wire.send(0, self.greeting or greeting(self.plugin, self.capabilities))
        _, login = wire.read()
        proof = PROOFS[self.plugin](NONCE)
        start = b"somebody\0" + bytes([len(proof)]) + proof + b"base\0" + self.plugin + b"\0"
        self.expect(login[32:32 + len(start)], start)
        sequence = self.sequence
        if self.account != self.plugin:
            wire.send(sequence, b"\xfe" + self.account + b"\0" + FRESH + b"\0")
            self.expect(wire.read(), (sequence + 1, PROOFS[self.account](FRESH)))
            sequence += 2
        for number, judged in enumerate(self.judged):
            wire.send(sequence + number, judged)
        self.expect(wire.read(), (0, b"\3SELECT 1"))
        wire.sock.sendall(b"".join(packet(*each) for each in enumerate(self.reply, 1)))
        self.expect(wire.read(), (0, b"\1"))


@pytest.fixture(scope="module", name="load")
def programs():
    """bench/mysql_load, built as the benchmark builds it."""
    sys.path.insert(0, BENCH)
    from lab import build_programs  # pylint: disable=import-outside-toplevel
    build_programs(BUILD)
    program = os.path.join(BUILD, "bench", "mysql_load")

    return lambda port, *args: run([program, "-a", "127.0.0.1", "-p", str(port), "-u", "somebody",
                                    "-P", PASSWORD.decode(), "-D", "base", *map(str, args)])


@pytest.mark.parametrize("plugin", PROOFS)
@pytest.mark.parametrize("account", PROOFS)
def test_it_proves_who_it_is(home, load, plugin, account):
    judged = [b"\1\3", ACCEPTED] if account == b"caching_sha2_password" else None
    server = Server(plugin, account, judged=judged)
    done = load(home.fake(server).port, "-c", 3, "-n", 30, "-w", 5)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert not server.wrong
    assert (said["requests"], said["logins"]) == (30, 35)
    assert said["switched"] == (35 if account != plugin else 0)


FULL = bytes([ERR]) + struct.pack("<H", 1040) + b"too many"
REFUSED = bytes([ERR]) + struct.pack("<H", 1045) + b"#28000no such luck"


@pytest.mark.parametrize("options, words", [
    ({"greets": FULL}, "instead of a greeting: too many"),
    ({"judged": [REFUSED]}, "the login: no such luck"),
    ({"judged": [b"\1\4"]}, "its cache of accounts is cold"),
    ({"sequence": 3}, "wrong sequence number"),
    ({"reply": [REFUSED]}, "the query: no such luck"),
    ({"reply": (*REPLY[:4], b"\xfe\1\0\2\0")}, "not one row of one column"),
    ({"reply": (b"\2", *REPLY[1:])}, "not one row of one column"),
    ({"reply": (*REPLY, b"\0")}, "not what the first one was"),
    ({"capabilities": CAPABILITIES}, "a greeting that cannot be answered"),
    ({"account": b"client_ed25519"}, "another proof is asked for that is not ours"),
], ids=["full", "login", "cold", "sequence", "query", "warnings", "columns", "more", "capabilities",
        "plugin"])
def test_whatever_else_comes_ends_it(home, load, options, words):
    done = load(home.fake(Server(**options)).port, "-c", 1, "-n", 2)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


def test_one_wrong_byte_in_a_later_reply_is_an_error(home, load):
    server = Server()

    def later(fake, sock):
        server(fake, sock)
        server.reply = (*REPLY[:3], b"\0012", EOF)

    done = load(home.fake(later).port, "-c", 1, "-n", 2)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not what the first one was" in done.stderr


def test_no_tls_is_an_error_where_it_was_asked_for(home, load):
    done = load(home.fake(Server()).port, "-c", 1, "-n", 2, "-t")
    assert (done.returncode, done.stdout) == (1, "")
    assert "a greeting that cannot be answered" in done.stderr
    offers = Server(capabilities=CAPABILITIES | CONNECT_WITH_DB | SSL)
    assert load(home.fake(offers).port, "-c", 1, "-n", 2).returncode == 0


WAYS = {"direct": "direct", "haproxy": "HAProxy", "relay": "router, `pool_mode = none`",
        "session": "router, `session`", "session_tls": "router, `session`, TLS to it"}
CYCLE = "MariaDB: connect + login + `SELECT 1` + disconnect"


@pytest.fixture(scope="module", name="said")
def all_rows(shared_home):
    """What one quick round prints; MySQL takes as long again and differs in nothing."""
    done = run(["/usr/bin/python3", "-B", os.path.join(BENCH, "mysql.py"), "--build", BUILD,
                "--quick", "--rounds", "1", "--family", "mariadb"],
               "TERM", env=dict(os.environ, TMPDIR=shared_home.directory("bench")))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("row, ways", [
    (f"{CYCLE}, 16 at once", 4), (f"{CYCLE}, one client", 4), (f"{CYCLE}, 16 at once, TLS", 5),
    ("MariaDB: `SELECT 1`, 16 connections that stay", 4)],
    ids=["cycle", "alone", "secure", "query"])
def test_all_figures_come_out_for_every_way(said, row, ways):
    table = table_of(said, f"{row} | ")
    assert [cells[0] for cells in table] == list(WAYS.values())[:ways]
    for cells in table:
        server, _, _, proxy, load, rate, *_, p50, p99, each, threads = cells[1:]
        assert float(server) > 0 and float(load) > 0 and int(rate.replace(",", "")) > 0, cells
        assert (proxy == "") == (cells[0] == "direct"), cells
        assert 0 < int(p50) <= int(p99) and int(threads) >= 0, cells
        assert (float(each) < 0.2) if "session" in cells[0] else (each == "1.00"), cells


def test_sysbench_is_counted(said):
    for cells in table_of(said, "MariaDB: sysbench `oltp_point_select`, 16 threads | "):
        server, ratio, _, proxy, load, rate = cells[1:7]
        assert float(server) > 0 and float(ratio) > 0 and float(load) > 0, cells
        assert (proxy == "") == (cells[0] == "direct") and int(rate.replace(",", "")) > 0, cells


def test_a_crowd_has_as_many_connections_as_it_may_or_is_told_of(said):
    direct, *pooled = table_of(said, f"{CYCLE}, 1,000 at once, `pool_size = 32` | ")
    assert direct[0] == WAYS["direct"] and int(direct[-1]) > 100, direct
    (judged,) = [cells[2] for cells in table_of(said, "what | target") if "1,000" in cells[0]]
    if pooled:
        assert pooled[0][0] == WAYS["session"] and judged.startswith(pooled[0][-1]), pooled
    else:
        assert judged.startswith("**missed**: ") and "load: " in judged


def test_what_is_asked_of_pools_is_judged(said):
    lines = [cells for cells in table_of(said, "what | target") if cells[0].startswith("MariaDB")]
    assert len(lines) == 9
    assert all("met" in cells[2] or "missed" in cells[2] for cells in lines), lines
