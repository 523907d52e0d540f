"""The benchmark measures what it says: it counts what was asked for, and a wrong handshake or reply
ends it. What it finds is not judged here."""
import json
import os
import socket
import ssl
import subprocess
import sys
import time

import pytest

from lib.certificates import Authority
from lib.process import Process, free_port
from lib.resp import Resp, encode
from lib.router import BUILD
from lib.waiting import SLOW, until

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench")
REPLY = b"$100\r\n" + b"v" * 100 + b"\r\n"


def run(argv, signal="KILL", **options):
    """To its end, or to pytest's."""
    return subprocess.run(["setpriv", "--pdeathsig", signal, *argv], text=True, check=False,
                          capture_output=True, timeout=240 * SLOW, **options)


def bench(home, *args):
    """Its processes are ended and its files are gone whatever happens: they are in `home`."""
    return run(["/usr/bin/python3", "-B", os.path.join(BENCH, "run.py"), "--build", BUILD,
                "--quick", "--rounds", "1", *args], "TERM",
               env=dict(os.environ, TMPDIR=home.directory("bench")))


def table_of(text, title):
    """The lines of the table whose head begins with `title`: cells, the name first."""
    lines = text.split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("| " + title))
    body = []
    for line in lines[first + 2:]:
        if not line:
            break
        body.append([cell.strip() for cell in line.strip("|").split("|")])
    return body


@pytest.fixture(scope="module", name="load")
def programs():
    """bench/load, built as the benchmark builds it."""
    sys.path.insert(0, BENCH)
    from lab import build_programs  # pylint: disable=import-outside-toplevel
    build_programs(BUILD)
    program = os.path.join(BUILD, "bench", "load")

    return lambda port, *args: run([program, "-a", "127.0.0.1", "-p", str(port), *map(str, args)])


class Secured:
    """Answers every GET over TLS. `make` gives the context of each connection."""

    def __init__(self, home, make, reply=REPLY):
        self.make = make
        self.reply = reply
        self.port = home.fake(self.serve).port

    def serve(self, _server, sock):
        try:
            with self.make().wrap_socket(sock, server_side=True) as secure:
                while secure.recv(65536):
                    secure.sendall(self.reply)
        except OSError:
            pass  # the load has left: that is what these tests are about


@pytest.fixture(scope="module", name="leaf")
def certificate(shared_home):
    return Authority(shared_home.directory("ca")).leaf(names=["bench.example"])


def context(leaf, version=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(leaf.pem)
    if version:
        made.maximum_version = version
    return made


@pytest.mark.parametrize("proxies", ["floor", "haproxy", "nginx", "router"])
def test_all_rows_of_tls_come_out_for_every_proxy(home, proxies):
    done = bench(home, "--tls", "--proxies", proxies, "--only", "full13", "--only", "resumed12",
                 "--only", "message", "--only", "up", "--only", "idle13")
    assert done.returncode == 0, done.stderr
    for title in ("full handshakes, ECDSA P-256, TLS 1.3", "resumed handshakes, TLS 1.2",
                  "GET of 100 bytes", "bulk to the server"):
        (row,) = table_of(done.stdout, title)
        assert float(row[1]) > 0, row
    (row,) = table_of(done.stdout, "memory")
    assert row[1].endswith(" B"), row


POOL_PROXIES = {"floor": "multiplexing floor", "haproxy": "HAProxy", "twemproxy": "twemproxy",
                "router": "router"}


def test_all_rows_of_pools_come_out_for_every_proxy(home):
    done = bench(home, "--pool", "--proxies", ",".join(POOL_PROXIES), "--only", "get50",
                 "--only", "pipelined", "--only", "cycle", "--only", "idle")
    assert done.returncode == 0, done.stderr
    for row in ("GET, 50 clients; all CPUs", "GET, 50 clients, 16 pipelined; all on one CPU",
                "connect + GET + close, 50 at once, `pool_mode = session`; all CPUs"):
        direct, *others = table_of(done.stdout, row)
        assert direct[0] == "direct" and float(direct[4]) > 0, direct
        assert [cells[0] for cells in others] == list(POOL_PROXIES.values())
        for cells in others:
            own, _, _, redis, _, rate, _, p50, p99 = cells[1:]
            assert float(own) > 0 and float(redis) > 0 and int(rate.replace(",", "")) > 0, cells
            assert 0 < int(p50) <= int(p99), cells
    idle = {cells[0]: cells[1:] for cells in table_of(done.stdout, "idle clients")}
    assert idle["multiplexing floor"][2] == idle["twemproxy"][2] == "1"
    assert int(idle["router"][2]) >= 1
    assert all(cells[0].endswith(" B") for cells in idle.values())


def test_latencies_are_those_of_the_requests(home, load):
    """Of one client: nine in ten are answered at once, the others late."""
    def late_at_times(_server, sock):
        for number in range(100):
            sock.recv(65536)
            if number % 10 == 9:
                time.sleep(0.02)  # the server's own work
            sock.sendall(REPLY)

    done = load(home.fake(late_at_times).port, "-c", 1, "-n", 100)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["p50_ns"] < 20e6 <= said["p99_ns"]


@pytest.fixture(name="floor")
def multiplexing_floor(home, load):  # pylint: disable=unused-argument
    """Of `load`: that it is built. Clients, and the Redis behind."""
    redis = home.redis()
    port = free_port()
    process = Process([os.path.join(BUILD, "bench", "multiplex"), "127.0.0.1", str(port),
                       "127.0.0.1", str(redis.port)], os.path.join(home.path, "multiplex.log"))
    try:
        until(lambda: accepts(port), "the floor to listen")
        yield redis, lambda: Resp(("127.0.0.1", port))
    finally:
        process.kill()


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_floor_gives_each_client_its_own_replies(floor):
    redis, connect = floor
    values = [f"value of {number}, " * 50 * number for number in range(20)]
    with Resp(("127.0.0.1", redis.port)) as client:
        for number, value in enumerate(values):
            client.call("SET", number, value)
    for _ in range(10):
        clients = [connect() for _ in values]
        for number, client in enumerate(clients):
            client.sock.sendall(3 * encode("GET", number))
        for client in clients[::5]:
            client.sock.close()  # its replies are on their way
        for number, client in enumerate(clients):
            if number % 5:
                assert [client.read() for _ in range(3)] == 3 * [values[number]]
                client.sock.close()


def test_handshakes_are_counted_by_their_kind(home, load, leaf):
    one = context(leaf)
    server = Secured(home, lambda: one)
    cycles = ("-m", "cycle", "-c", 4, "-n", 30, "-w", 10)
    for version in ("1.2", "1.3"):
        for kind, counted in (("full", (40, 0)), ("resumed", (0, 40))):
            done = load(server.port, *cycles, "-t", version, "-H", kind)
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            assert (said["full"], said["resumed"]) == counted
            assert said["requests"] == 30


def test_a_server_that_gives_no_tickets_cannot_be_measured_for_resumption(home, load, leaf):
    one = context(leaf)
    one.num_tickets = 0
    one.options |= ssl.OP_NO_TICKET
    server = Secured(home, lambda: one)
    for version in ("1.2", "1.3"):
        done = load(server.port, "-m", "cycle", "-n", 10, "-t", version, "-H", "resumed")
        assert (done.returncode, done.stdout) == (1, "")


def test_a_full_handshake_is_no_resumed_one(home, load, leaf):
    server = Secured(home, lambda: context(leaf))  # keys of its own for each connection
    for version in ("1.2", "1.3"):
        done = load(server.port, "-m", "cycle", "-n", 10, "-t", version, "-H", "resumed")
        assert (done.returncode, done.stdout) == (1, "")
        assert "a session is new that should be resumed" in done.stderr


@pytest.mark.parametrize("asked", [("-t", "1.3"), ("-t", "1.2", "-s", "rsa")],
                         ids=["version", "key"])
def test_another_handshake_than_asked_for_is_an_error(home, load, leaf, asked):
    one = context(leaf, ssl.TLSVersion.TLSv1_2)
    server = Secured(home, lambda: one)
    done = load(server.port, "-n", 10, "-c", 1, *asked)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a handshake failed" in done.stderr


def test_one_wrong_byte_in_a_reply_is_an_error(home, load, leaf):
    one = context(leaf)
    server = Secured(home, lambda: one, REPLY.replace(b"v\r", b"w\r"))
    done = load(server.port, "-n", 10, "-c", 1, "-t", "1.3")
    assert (done.returncode, done.stdout) == (1, "")
    assert "unexpected reply" in done.stderr


def test_what_was_set_is_read_back(home, load):
    redis = home.redis()
    done = load(redis.port, "-m", "set", "-k", "mine", "-l", 100000, "-c", 2, "-n", 6)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bytes"] == 600000


def test_a_value_that_did_not_arrive_is_an_error(home, load):
    def forgetful(_server, sock):
        while data := sock.recv(65536):
            sock.sendall(b"+OK\r\n" if data.startswith(b"*3") else REPLY)

    done = load(home.fake(forgetful).port, "-m", "set", "-l", 100, "-c", 1, "-n", 6)
    assert (done.returncode, done.stdout) == (1, "")
    assert "unexpected reply" in done.stderr
