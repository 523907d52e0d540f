"""Promise: the admin address shows what is, to people and programs, and nobody who talks to it, well
or badly, disturbs it."""
import base64
import hashlib
import http.client
import json
import os
import re
import socket
import threading
import time

import pytest

from lib.browser import BINARY as CHROMIUM, Browser
from lib.fake import echo, reset
from lib.ini import frontend, redis_backend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local
from lib.waiting import SLOW, holds, until

pytestmark = pytest.mark.sanitize

CONNECTIONS = 64        # src/ctl/admin.h
REQUEST_SECONDS = 10    # src/ctl/admin.c
CLOSE = "Connection: close"
METRICS = os.path.join(os.path.dirname(__file__), "..", "..", "src", "model", "metrics.def")


class World:
    """One router that most tests look at: three Redis servers, one opaque one."""

    def __init__(self, home):
        self.servers = home.redis_group("redis-0", "redis-1", "redis-2")
        fake = home.fake(echo, name="echo")
        self.ports = [free_port() for _ in range(3)]
        self.router = home.router(
            frontend("write", self.ports[0], "redis") +
            frontend("read", self.ports[1], "redis", route="replica", max_sessions=100) +
            frontend("hub", self.ports[2], "hubs") +
            redis_backend(*self.servers, name="redis", server_max_connections=50) +
            tcp_backend(fake, name="hubs"))
        self.router.wait_primary("redis-0", "redis")
        self.router.wait_for(lambda s: all(v["access"] == "open" for v in
                                           s.backend("redis")["servers"]), "the replicas")

    @property
    def address(self):
        return local(self.router.admin_port)

    def connect(self, **options):
        sock = socket.socket()
        for name, value in options.items():
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        sock.settimeout(8 * SLOW)
        sock.connect(self.address)
        return sock

    def exchange(self, data):
        """Sends, and reads until the other side ends."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock)

    def get(self, path, method="GET"):
        connection = http.client.HTTPConnection(*self.address, timeout=8 * SLOW)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def world(shared_home):
    return World(shared_home)


def read_all(sock):
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def request(path="/healthz", *fields, method="GET", version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: router", *fields, "", ""]
    return "\r\n".join(lines).encode()


def read_answer(file, head_only=False):
    """(status, fields, body) of one answer on a kept connection."""
    line = file.readline().decode()
    status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) [ -~]+\r\n", line)[1])
    fields = {}
    while (line := file.readline().decode()) != "\r\n":
        name, value = line.rstrip("\r\n").split(": ", 1)
        assert name.lower() not in fields
        fields[name.lower()] = value
    return status, fields, b"" if head_only else file.read(int(fields["content-length"]))


def metric_keys(scope):
    with open(METRICS, encoding="utf-8") as file:
        return re.findall(rf'METRIC\({scope}, \w+, "(\w+)", "(\w+)", (\w+),', file.read())


# The paths.


def test_every_path_answers_with_its_type_and_length(world):
    types = {"/": "text/html; charset=utf-8", "/stats.json": "application/json",
             "/metrics": "text/plain; version=0.0.4; charset=utf-8",
             "/healthz": "text/plain; charset=utf-8", "/readyz": "text/plain; charset=utf-8"}
    for path, kind in types.items():
        answer, body = world.get(path)
        assert answer.status == 200, path
        assert answer.headers["Content-Type"] == kind
        assert int(answer.headers["Content-Length"]) == len(body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["Date"])
    assert world.get("/healthz")[1] == b"ok\n"
    assert world.get("/readyz")[1] == b"ready\n"
    assert world.get("/readyz?backends")[1] == b"ready\n"
    assert world.get("/nothing")[0].status == 404
    assert world.get("/healthz/")[0].status == 404


def test_stats_json_has_every_key(world):
    stats = json.loads(world.get("/stats.json")[1])
    assert set(stats) == {"router", "frontends", "backends", "events"}
    assert set(stats["router"]) == {"version", "pid", "uptime_ms", "workers", "sessions",
                                    "max_sessions", "generation", "ready", "draining"}
    assert stats["router"]["pid"] == world.router.pid
    assert stats["router"]["ready"] is True and stats["router"]["draining"] is False
    keys = {"name", "binds", "backend", "route", "sessions", "max_sessions", "has_server"}
    for f in stats["frontends"]:
        assert set(f) == keys | {key for key, _, _ in metric_keys("FRONTEND")}
    assert [f["name"] for f in stats["frontends"]] == ["write", "read", "hub"]
    assert [f["route"] for f in stats["frontends"]] == ["primary", "replica", "any"]
    assert [f["max_sessions"] for f in stats["frontends"]] == [0, 100, 0]
    assert stats["frontends"][0]["binds"] == [f"127.0.0.1:{world.ports[0]}"]
    for b in stats["backends"]:
        assert set(b) == {"name", "protocol", "primary", "verdict", "stale", "reason", "waiting",
                          "queue_limit", "held_ms", "servers"}
        for s in b["servers"]:
            assert set(s) == {"name", "address", "state", "role", "access", "reason", "sessions",
                              "max_connections", "weight", "backup", "offset", "lag_bytes",
                              "latency_us", "probe_age_ms", "failures"} | {
                                  key for key, _, _ in metric_keys("SERVER")}
    for e in stats["events"]:
        assert set(e) == {"number", "at", "backend", "kind", "text"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["at"])
    numbers = [e["number"] for e in stats["events"]]
    assert numbers == sorted(numbers, reverse=True) and numbers[-1] == 1


def test_stats_json_says_who_is_what(world):
    stats = world.router.wait_for(
        lambda s: all(v["lag_bytes"] == 0 for v in s.backend("redis")["servers"][1:]),
        "replicas that are up to date")
    redis, hubs = stats.backend("redis"), stats.backend("hubs")
    assert (redis["primary"], redis["verdict"], redis["stale"]) == ("redis-0", "primary", False)
    assert redis["reason"]
    assert [s["role"] for s in redis["servers"]] == ["primary", "replica", "replica"]
    assert {s["state"] for s in redis["servers"]} == {"up"}
    assert {s["access"] for s in redis["servers"]} == {"open"}
    assert {s["max_connections"] for s in redis["servers"]} == {50}
    assert [s["address"] for s in redis["servers"]] == [s.text for s in world.servers]
    assert redis["servers"][0]["lag_bytes"] is None
    for s in redis["servers"]:
        assert s["offset"] > 0 and s["latency_us"] > 0 and s["failures"] == 0
        assert s["probe_age_ms"] < 2000 * SLOW
    assert (hubs["primary"], hubs["verdict"]) == (None, None)
    assert (hubs["servers"][0]["state"], hubs["servers"][0]["role"]) == ("up", "unknown")
    assert hubs["servers"][0]["offset"] is None


def test_sessions_and_bytes_are_counted_where_they_go(world):
    before = world.router.stats()
    with connect(local(world.ports[2])) as client:
        client.sendall(b"x" * 1000)
        got = b""
        while len(got) < 1000:
            got += client.recv(1000)
        now = world.router.wait_for(
            lambda s: s.frontend("hub")["bytes_out"] - before.frontend("hub")["bytes_out"] == 1000,
            "the bytes to be counted")
        assert now.frontend("hub")["sessions"] == 1
        assert now["router"]["sessions"] == before["router"]["sessions"] + 1
        assert now.server("echo", "hubs")["sessions"] == 1
    after = world.router.wait_for(lambda s: s.frontend("hub")["sessions"] == 0, "the end")
    for things in (lambda s: s.frontend("hub"), lambda s: s.server("echo", "hubs")):
        for key, value in (("sessions_total", 1), ("bytes_in", 1000), ("bytes_out", 1000)):
            assert things(after)[key] - things(before)[key] == value, key


# Prometheus.


def parse_metrics(text):
    """A strict reader of the text format 0.0.4: {name: (type, {labels: value})}."""
    families, name = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in families and words
            families[name] = [None, {}]
        elif line.startswith("# TYPE "):
            typed, kind = line[7:].split(" ")
            assert typed == name and families[name] == [None, {}] and kind in ("counter", "gauge")
            assert (kind == "counter") == name.endswith("_total")
            families[name][0] = kind
        else:
            match = re.fullmatch(r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})?'
                                 r' (\S+)', line)
            assert match and match[1] == name and families[name][0], line
            labels = tuple(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            assert labels not in families[name][1], f"twice: {line}"
            families[name][1][labels] = float(match[3])
    return families


def server_labels(backend, server, *more):
    return (("proxy", backend), ("server", server), *more)


def test_metrics_are_well_formed_and_complete(world):
    families = parse_metrics(world.get("/metrics")[1].decode())
    for scope, count in (("FRONTEND", 3), ("SERVER", 4)):
        for _, name, kind in metric_keys(scope):
            assert families[name][0] == kind
            assert len(families[name][1]) == count, name
    for name in ("haproxy_frontend_current_sessions", "haproxy_server_current_sessions",
                 "haproxy_backend_current_queue", "haproxy_process_uptime_seconds",
                 "router_backend_hold_seconds", "router_server_offset",
                 "router_server_probe_latency_seconds", "router_server_lag_bytes",
                 "router_events_total"):
        assert families[name][1], name
    assert families["router_events_total"][1][()] >= 1


def test_metrics_say_who_is_what(world):
    families = parse_metrics(world.get("/metrics")[1].decode())
    status, role = families["haproxy_server_status"][1], families["router_server_role"][1]
    assert {k[2][1] for k in status} == {"UP", "DOWN", "MAINT", "DRAIN", "NOLB"}
    for server in ("redis-0", "redis-1", "redis-2"):
        of = {k[2][1]: v for k, v in status.items() if k[:2] == server_labels("redis", server)}
        assert of == {"UP": 1, "DOWN": 0, "MAINT": 0, "DRAIN": 0, "NOLB": 0}
    assert role[server_labels("redis", "redis-0", ("role", "primary"))] == 1
    assert role[server_labels("redis", "redis-0", ("role", "replica"))] == 0
    assert role[server_labels("redis", "redis-1", ("role", "replica"))] == 1
    assert role[server_labels("hubs", "echo", ("role", "unknown"))] == 1
    assert families["router_backend_has_primary"][1] == {(("proxy", "redis"),): 1}


def test_metrics_and_json_give_the_same_counters(world):
    stats = world.router.stats()
    families = parse_metrics(world.get("/metrics")[1].decode())
    for key, name, _ in metric_keys("FRONTEND"):
        for f in stats["frontends"]:
            assert families[name][1][(("proxy", f["name"]),)] == f[key], name
    for key, name, _ in metric_keys("SERVER"):
        for b in stats["backends"]:
            for s in b["servers"]:
                assert families[name][1][server_labels(b["name"], s["name"])] == s[key], name


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
    socks = [world.connect() for _ in range(100)]
    try:
        for sock in socks:
            sock.sendall(request("/stats.json"))    # none says that it will close
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
    socks = [world.connect() for _ in range(CONNECTIONS + 36)]
    try:
        until(lambda: admin_descriptors(world) == CONNECTIONS, "the limit to be reached")
        cpu = world.router.process.cpu_seconds()
        began = time.monotonic()
        
        with world.connect() as sock, sock.makefile("rb") as file:
            sock.settimeout((REQUEST_SECONDS + 5) * SLOW)
            sock.sendall(request("/healthz"))
            assert read_answer(file)[0] == 200
        waited = time.monotonic() - began
        assert waited < REQUEST_SECONDS + 3 * SLOW
        assert admin_descriptors(world) <= CONNECTIONS
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
    assert slowest < 0.5 * SLOW
    if SLOW == 1:       # sanitizers hold back what was freed
        assert world.router.process.rss() - rss < 10e6
    assert read_all(half).startswith(b"HTTP/1.1 408 ")
    assert read_all(idle) == b""
    waited = time.monotonic() - began
    assert REQUEST_SECONDS - 1 < waited < REQUEST_SECONDS + 3 * SLOW
    until(lambda: admin_descriptors(world) == 0, "the slow reader to be gone", 5)
    with pytest.raises(ConnectionResetError):
        read_all(reader)
    for sock in (half, idle, reader):
        sock.close()


def test_whoever_pipelines_much_does_not_hold_up_the_others(world):
    count = 1500        # as many as one read of the router takes
    with world.connect() as greedy:
        def drain():
            read_all(greedy)
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
    assert slowest < 0.1 * SLOW


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
    assert world.router.process.sockets() <= before
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


# What happens is seen.


def test_without_a_primary_readyz_stays_and_its_backends_variant_tells(home):
    redis = home.redis("only")
    ports = [free_port(), free_port()]
    router = home.router(frontend("write", ports[0]) +
                         frontend("read", ports[1], route="replica", fallback="none") +
                         redis_backend(redis))
    router.wait_primary("only")
    status, body = router.http("/readyz?backends")
    assert status == 503 and "read has no server: b: " in body and "write" not in body
    redis.kill()
    router.wait_for(lambda s: s.server("only")["state"] == "down", "the server to be down")
    assert router.http("/readyz")[0] == 200
    status, body = router.http("/readyz?backends")
    assert status == 503 and "write has no server: b: " in body
    families = parse_metrics(router.http("/metrics")[1])
    assert families["router_backend_has_primary"][1][(("proxy", "b"),)] == 0
    status = families["haproxy_server_status"][1]
    assert status[server_labels("b", "only", ("state", "DOWN"))] == 1
    events = router.stats()["events"]
    assert any(e["backend"] == "b" and "only" in e["text"] for e in events)


# The page.


def test_the_page_may_load_nothing_but_itself(world):
    answer, body = world.get("/")
    html = body.decode()
    policy = dict(part.split(" ", 1) for part in
                  answer.headers["Content-Security-Policy"].split("; "))
    for tag in ("style", "script"):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert set(re.findall(r"https?://[^'\"\s]+", html)) == {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in html and "style=" not in html
    assert "prefers-color-scheme" in html and 'name="viewport"' in html


@pytest.fixture
def browser(home):
    if CHROMIUM is None:
        pytest.skip("no chromium")
    return home.keep(Browser(width=390, height=844))


def test_the_page_shows_what_is_and_asks_nobody_else(world, browser):
    origin = f"http://127.0.0.1:{world.router.admin_port}"
    browser.open(origin + "/")
    until(lambda: "redis-2" in browser.text() and "All is well." in browser.text(),
          "the page to show the servers", 20)
    text = browser.text()
    for words in ("redis-0", "redis-1", "echo", "write", "read", "hub", "Primary", "Replica",
                  world.servers[0].text, f"127.0.0.1:{world.ports[0]}",
                  world.router.stats().backend("redis")["reason"]):
        assert words in text, words
    asked = len(browser.requests)
    until(lambda: browser.evaluate("1") and len(browser.requests) >= asked + 3,
          "it to ask again by itself", 10)
    for url in browser.requests:
        assert url.startswith((origin + "/", "data:", "about:")), url
    assert browser.complaints == []
    width = browser.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "a phone would scroll sideways"


def test_the_page_says_when_nobody_answers_and_goes_on_when_somebody_does(home, browser):
    redis = home.redis("alpha")
    router = home.router(frontend("f", free_port()) + redis_backend(redis))
    router.wait_primary("alpha")
    browser.open(f"http://127.0.0.1:{router.admin_port}/")
    until(lambda: "All is well." in browser.text(), "the page", 20)
    redis.kill()
    until(lambda: "Writes to b wait." in browser.text(), "the page to show the loss", 10)
    router.stop()
    until(lambda: "The router does not answer." in browser.text(), "the page to say so", 10)
    assert "Not since " in browser.text() and "alpha" in browser.text()
    redis.start()
    router.start()
    until(lambda: "All is well." in browser.text(), "the page to recover", 20)


def test_what_a_server_says_is_shown_as_text(home, browser):
    said = "<img src=x onerror=alert(1)>"

    def liar(_server, sock):
        while sock.recv(65536):
            sock.sendall(b"-ERR " + said.encode() + b"\r\n")

    fake = home.fake(liar, name="liar")
    router = home.router(frontend("f", free_port()) + redis_backend(fake), start_timeout="100ms")
    browser.open(f"http://127.0.0.1:{router.admin_port}/")
    until(lambda: said in browser.text(), "what the server said", 20)
    assert browser.evaluate("document.images.length") == 0
    assert said in router.stats().server("liar")["reason"]
