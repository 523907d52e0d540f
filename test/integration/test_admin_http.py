"""Promise: whoever talks to the admin address, well or badly, gets the right answer and disturbs
nobody else."""
import json
import re
import select
import socket
import threading
import time

import pytest

from lib.admin import CLOSE, World, read_all, read_answer, request
from lib.fake import echo, reset
from lib.ini import frontend, section, tcp_backend
from lib.process import free_port
from lib.sockets import local
from lib.waiting import SLOW, Clock, holds, until

pytestmark = pytest.mark.sanitize

CONNECTIONS = 64        # src/ctl/admin.h
REQUEST_SECONDS = 10    # src/ctl/admin.c


@pytest.fixture(scope="module")
def world(shared_home):
    return World(shared_home)


# HTTP.


def test_head_is_get_without_the_body(world):
    for path in ("/", "/stats.json", "/metrics", "/healthz", "/readyz", "/nothing"):
        got = world.exchange(request(path, CLOSE, method="HEAD"))
        head, body = got.split(b"\r\n\r\n", 1)
        assert body == b""
        assert int(re.search(rb"Content-Length: (\d+)", head)[1]) > 0
        assert head.split(b" ")[1] == (b"404" if path == "/nothing" else b"200")


def test_other_methods_are_refused_with_those_allowed(world):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
        got = world.exchange(request("/stats.json", CLOSE, method=method))
        assert got.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in got


def test_bad_requests_are_answered_and_the_connection_ends(world):
    cases = {
        b"GET /\r\n\r\n": 400,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xa5" * 500: 400,   # TLS
        b"*1\r\n$4\r\nPING\r\n": 400,                                          # Redis
        b"\x00" * 100000: 400,
        b"GET / HTTP/1.1\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 400,
        b"GET / HTTP/2.0\r\n\r\n": 505,
        request("/", "Content-Length: 5") + b"hello": 413,
        request("/", "Content-Length: x"): 400,
        request("/", "Transfer-Encoding: chunked") + b"0\r\n\r\n": 400,
        request("/", "X: " + "y" * 9000): 431,
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n": 431,
    }
    for data, status in cases.items():
        got = world.exchange(data)
        assert got.startswith(b"HTTP/1.1 %d " % status), (data[:60], got[:200])
        assert b"\r\nConnection: close\r\n" in got
    assert world.get("/healthz")[0].status == 200


def test_a_connection_is_kept_as_the_client_wishes(world):
    with world.connect() as sock, sock.makefile("rb") as file:
        for _ in range(20):
            sock.sendall(request("/healthz"))
            status, fields, body = read_answer(file)
            assert (status, body, fields["connection"]) == (200, b"ok\n", "keep-alive")
        sock.sendall(request("/healthz", CLOSE))
        assert read_answer(file)[1]["connection"] == "close"
        assert file.read() == b""
    assert b"\r\nConnection: close\r\n" in world.exchange(request(version="1.0"))
    with world.connect() as sock, sock.makefile("rb") as file:
        for _ in range(2):
            sock.sendall(request("/healthz", "Connection: keep-alive", version="1.0"))
            assert read_answer(file)[1]["connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_order(world):
    paths = ["/healthz", "/stats.json", "/nothing", "/", "/metrics", "/readyz"] * 20
    with world.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"".join(request(path) for path in paths))
        sock.shutdown(socket.SHUT_WR)
        for path in paths:
            status, fields, body = read_answer(file)
            assert status == (404 if path == "/nothing" else 200)
            assert path != "/healthz" or body == b"ok\n"
            assert path != "/stats.json" or json.loads(body)
            assert path != "/" or fields["content-type"].startswith("text/html")
        assert file.read() == b""


def test_a_request_may_come_byte_by_byte(world):
    with world.connect() as sock, sock.makefile("rb") as file:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request("/readyz") + request("/healthz"):
            sock.sendall(bytes([byte]))
        assert read_answer(file)[2] == b"ready\n"
        assert read_answer(file)[2] == b"ok\n"


# Those who behave badly.


def test_a_hundred_at_once_are_all_answered(world):
    socks = []
    try:
        for _ in range(100):
            socks.append(world.connect())
            socks[-1].sendall(request("/stats.json"))   # none says that it will close
        files = [sock.makefile("rb") for sock in socks]
        began = time.monotonic()
        for file in files:
            status, _, body = read_answer(file)
            assert status == 200 and json.loads(body)
            file.close()
        assert time.monotonic() - began < 5 * SLOW
    finally:
        for sock in socks:
            sock.close()


def admin_descriptors(world):
    """Connections that the router holds on its admin address."""
    port = f":{world.router.admin_port:04X}"
    inodes = world.router.process.socket_inodes()
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return sum(1 for row in rows if row[1].endswith(port) and row[3] != "0A"
               and int(row[9]) in inodes)


def test_connections_are_bounded_and_silence_cannot_lock_others_out_for_long(world):
    socks = [world.connect() for _ in range(600)]
    try:
        until(lambda: admin_descriptors(world) == CONNECTIONS, "the limit to be reached")
        cpu = world.router.process.cpu_seconds()
        began = time.monotonic()
        with world.connect() as sock, sock.makefile("rb") as file:
            sock.settimeout((REQUEST_SECONDS + 5) * SLOW)
            sock.sendall(request("/healthz"))
            assert read_answer(file)[0] == 200
        waited = time.monotonic() - began
        assert waited < REQUEST_SECONDS * SLOW          # 600 / 64 times would be 94 s
        until(lambda: admin_descriptors(world) <= CONNECTIONS, "the bound")
        assert world.router.process.cpu_seconds() - cpu < 0.2 * waited, "it spins"
    finally:
        for sock in socks:
            sock.close()
    until(lambda: admin_descriptors(world) <= 1, "all to be gone")


def test_the_slow_lose_their_connection_and_nobody_else_notices(world):
    rss = world.router.process.rss()
    half = world.connect()
    half.sendall(b"GET /healthz HT")
    idle = world.connect()
    reader = world.connect(SO_RCVBUF=4096)
    reader.sendall(request("/metrics") * 2000)      # and never reads
    began = time.monotonic()
    slowest = 0.0
    for sock in (half, idle, reader):
        sock.settimeout((REQUEST_SECONDS + 5) * SLOW)
    while time.monotonic() - began < 3:
        at = time.monotonic()
        assert world.get("/healthz")[1] == b"ok\n"
        slowest = max(slowest, time.monotonic() - at)
    assert slowest < 3 * SLOW
    if SLOW == 1:       # sanitizers hold back what was freed
        assert world.router.process.rss() - rss < 10e6
    assert read_all(half).startswith(b"HTTP/1.1 408 ")
    assert read_all(idle) == b""
    waited = time.monotonic() - began
    assert REQUEST_SECONDS - 1 < waited < REQUEST_SECONDS + 10 * SLOW
    until(lambda: admin_descriptors(world) == 0, "the slow reader to be gone", 5)
    with pytest.raises(ConnectionResetError):
        read_all(reader)
    for sock in (half, idle, reader):
        sock.close()


def test_slow_readers_of_big_answers_hold_a_bounded_memory(home):
    """Each asks for more than its socket takes and never reads; together they would hold 10 MB."""
    servers = [f"server-{i} 127.0.0.1:{10000 + i}" for i in range(400)]
    router = home.router(frontend("f", free_port()) +
                         section("backend b", protocol="tcp", probe="off", server=servers))
    size = len(router.http("/stats.json")[1])
    assert size * 55 > 8e6
    before = router.process.rss()
    socks = []
    for _ in range(55):
        sock = home.keep(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(8 * SLOW)
        sock.connect(local(router.admin_port))
        sock.sendall(request("/stats.json") * 60)       # more than the kernel would keep for us
        socks.append(sock)
    clock = Clock()
    lost = until(lambda: select_reset(socks), "some to lose their connection", 8)
    assert clock.seconds() < REQUEST_SECONDS * SLOW and len(lost) < 55
    assert router.http("/healthz")[0] == 200
    if SLOW == 1:       # sanitizers hold back what was freed
        assert router.process.rss() - before < 9e6


def select_reset(socks):
    poll = select.poll()
    for sock in socks:
        poll.register(sock, select.POLLHUP)
    return [fd for fd, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]


def test_whoever_pipelines_much_does_not_hold_up_the_others(world):
    count = 1500
    with world.connect() as greedy:
        def drain():
            while greedy.recv(65536):   # keeping it all would take Python longer than the router
                pass
            done.set()

        done = threading.Event()
        reader = threading.Thread(target=drain)
        reader.start()
        try:
            greedy.sendall(request("/metrics") * (count - 1) + request("/metrics", CLOSE))
            slowest, rounds = 0.0, 0
            while not done.is_set():
                at = time.monotonic()
                assert world.get("/healthz")[1] == b"ok\n"
                slowest, rounds = max(slowest, time.monotonic() - at), rounds + 1
        finally:
            greedy.shutdown(socket.SHUT_RDWR)
            reader.join()
    assert rounds > 20
    assert slowest < 1 * SLOW          # all of them take seconds


def test_those_who_leave_in_the_middle_leave_nothing_behind(world):
    until(lambda: admin_descriptors(world) == 0, "the others to be gone", 15)
    before = world.router.process.sockets()
    for i in range(200):
        sock = world.connect()
        sock.sendall((request("/"), request("/metrics") * 50, b"GET /", b"")[i % 4])
        if i % 2:
            reset(sock)
        else:
            sock.close()
    until(lambda: admin_descriptors(world) == 0, "all to be gone", 15)
    until(lambda: world.router.process.sockets() <= before, "no more sockets than before")
    assert world.get("/healthz")[0].status == 200


def test_running_out_of_descriptors_pauses_it_and_does_not_end_it(home):
    fake = home.fake(echo)
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(fake), nofile=64, workers=1,
                         max_sessions=10)
    socks = []
    try:
        for _ in range(70):
            sock = socket.create_connection(local(router.admin_port), timeout=8 * SLOW)
            socks.append(sock)
        until(lambda: "cannot accept" in router.log, "the router to say so")
        cpu = router.process.cpu_seconds()
        holds(lambda: router.process.cpu_seconds() - cpu < 0.3 * SLOW, "it does not spin", 1)
    finally:
        for sock in socks:
            sock.close()
    until(lambda: router.http("/healthz", missing_ok=True)[0] == 200, "it to go on")
    assert router.log.count("cannot accept") < 20
