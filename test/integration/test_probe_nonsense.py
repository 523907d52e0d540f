"""Promise: whatever answers a probe, it is told in words why it is not what it should be; memory
and CPU stay bounded, and the router goes on answering."""
import itertools
import random
import struct

import pytest

from lib.fake import fake_redis, hold, primary_answers, read_command
from lib.fake_sentinel import MASTER
from lib.hub import head
from lib.ini import FAST_PROBES, frontend, section
from lib.mysql_wire import ACCEPTED, GREETING, packet
from lib.process import free_port
from lib.waiting import SLOW, Clock, until

pytestmark = pytest.mark.sanitize

MEMORY = 24 << 20
CPU = 0.2       # of one CPU, while all of them talk
READ = 16 << 20 # bytes on one connection, with what the kernel keeps
LOOK_SECONDS = 1.5


def says(*parts, greeting=b""):
    """A server that says this to whatever comes, and then waits; `parts` may be endless."""
    def handler(server, sock):
        sock.sendall(greeting)
        if parts and (greeting or sock.recv(65536)):
            for part in itertools.chain(*parts):
                sock.sendall(part)
                server.sent = getattr(server, "sent", 0) + len(part)
        hold(server, sock)
    return handler


def endless(data):
    return itertools.repeat(data * max(1, 16384 // len(data)))


# --- servers that are something else ---


def postgres_that_is_asked_nonsense(_server, sock):
    """PostgreSQL 15's answer to a startup packet of another protocol."""
    sock.recv(65536)
    fields = b"SFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol 20304.8239\0\0"
    sock.sendall(b"E" + struct.pack(">I", len(fields) + 4) + fields)


def mysql(_server, sock):
    """It speaks first, and takes nothing that is no login."""
    sock.sendall(packet(0, GREETING))
    if sock.recv(65536):
        sock.sendall(packet(1, b"\xff\x13\x04#08S01Bad handshake"))


def noise(_server, sock):
    sock.sendall(random.Random(1).randbytes(65536))
    hold(_server, sock)


OTHERS = {
    "redis": fake_redis(primary_answers),
    "mysql": mysql,
    "pgsql": postgres_that_is_asked_nonsense,
    "ssh": says(greeting=b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
    "smtp": says(greeting=b"220 mail.test ESMTP Postfix\r\n"),
    "noise": noise,
    "silence": hold,
    "zeros": says(greeting=b"\0" * 4096),
    "zeros for ever": says(endless(b"\0"), greeting=b"\0"),
    "text for ever": says(endless(b"all work and no play makes a dull boy\r\n"), greeting=b"a"),
}

# --- servers that are what they should be, and never come to an end ---


def column(name=b"x"):
    text = b"\x03def\0\0\0" + bytes([len(name)]) + name + bytes([len(name)]) + name
    return text + b"\x0c\x21\0\xff\0\0\0\xfd\0\0\0\0\0"


def pg(kind, payload):
    return kind + struct.pack(">I", len(payload) + 4) + payload


def mysql_floods(sequence_of_parts):
    """After a login that is welcome."""
    def handler(_server, sock):
        sock.sendall(packet(0, GREETING))
        sock.recv(65536)
        sock.sendall(packet(2, ACCEPTED))
        sock.recv(65536)
        for part in sequence_of_parts():
            sock.sendall(part)
    return handler


def numbered(first, payload):
    """Packets in the order of their numbers, for ever."""
    block = b"".join(packet((first + n) % 256, payload) for n in range(256))
    return itertools.repeat(block)


def rows():
    yield packet(1, b"\x01") + packet(2, column()) + packet(3, b"\xfe\0\0\2\0")
    yield from numbered(4, b"\x01x")


def columns():
    yield packet(1, b"\xfc\xff\xff")
    yield from numbered(2, column())


def mysql_login_for_ever(_server, sock):
    """Another plugin each time."""
    sock.sendall(packet(0, GREETING))
    sequence = 2
    while sock.recv(65536):
        sock.sendall(packet(sequence, b"\xfecaching_sha2_password\0" + b"n" * 20 + b"\0"))
        sequence = (sequence + 2) % 256


def pg_floods(part):
    welcome = pg(b"R", struct.pack(">I", 0)) + pg(b"S", b"server_version\x0015.9\0")
    return says([welcome], endless(part))


def info_floods(data):
    """A Redis' first reply never ends."""
    def handler(_server, sock):
        args, _ = read_command(sock, b"")
        if args:
            for part in itertools.chain([b"$536870000\r\n"], endless(data)):
                sock.sendall(part)
    return handler


FLOODS = {
    "redis": {
        "info": info_floods(b"role:master\r\n"),
        "status": says(endless(b"+OK\r\n")),
        "bulk": says(endless(b"$2\r\nOK\r\n")),
        "nested": says(endless(b"*1\r\n")),
        "array": says([b"*1000000000\r\n"], endless(b":1\r\n")),
        "line": says([b"+"], endless(b"x")),
    },
    "mysql": {
        "rows": mysql_floods(rows),
        "columns": mysql_floods(columns),
        "accepted": mysql_floods(lambda: numbered(1, ACCEPTED)),
        "login": mysql_login_for_ever,
        "greetings": says(endless(packet(0, GREETING)), greeting=packet(0, GREETING)),
        "long greeting": says(endless(b"5"), greeting=b"\xff\xff\xff\x00\x0a"),
    },
    "pgsql": {
        "notices": pg_floods(pg(b"N", b"SNOTICE\0C00000\0Mwell\0\0")),
        "settings": pg_floods(pg(b"S", b"server_version\x0015.9\0")),
        "rows": pg_floods(pg(b"D", b"\0\1\0\0\0\1t")),
        "ready": pg_floods(pg(b"Z", b"I")),
        "notices in the login": says(endless(pg(b"N", b"SNOTICE\0C00000\0Mwell\0\0"))),
        "a message": says([b"S\x3f\xff\xff\xff"], endless(b"x")),
    },
    "http": {
        "fields": says([b"HTTP/1.1 200 OK\r\n"], endless(b"Cookie: x\r\n")),
        "interim": says(endless(head(103, "Link: x"))),
        "chunks": says([head(200, "Transfer-Encoding: chunked")], endless(b"1\r\nx\r\n")),
        "body": says([head(200, "Content-Length: 60000000")], endless(b"x")),
        "answers": says(endless(head(200, "Content-Length: 0"))),
        "line": says([b"HTTP/1.1 200 "], endless(b"x")),
    },
}
NAMES = {"redis": "Redis", "mysql": "MySQL", "pgsql": "PostgreSQL", "http": "HTTP/1.1"}
LATE = "accepts connections but does not answer in time"
# Whom two that wait for each other to begin do not understand.
WAITING = {("mysql", "redis"), ("mysql", "pgsql"), ("pgsql", "redis")}
ACCOUNT = {"probe_user": "router", "probe_password": "geheim"}
KEYS = {"redis": {}, "mysql": ACCOUNT, "pgsql": ACCOUNT, "http": {"http_check": "GET /health"}}

LONG = "answers with more than 256 KB"
ALL_ROWS = "does not answer SHOW GLOBAL VARIABLES as MySQL does"
MORE = "says more than it was asked"
FLOOD_REASONS = {
    "redis": {"info": "does not speak Redis", "status": "does not answer INFO as Redis does",
              "bulk": MORE, "nested": "does not speak Redis", "array": "does not speak Redis",
              "line": "answers INFO with more than 256 KB"},
    "mysql": {"rows": ALL_ROWS, "columns": ALL_ROWS, "accepted": ALL_ROWS,
              "login": "never comes to the end of its login", "greetings": MORE,
              "long greeting": "does not speak MySQL"},
    "pgsql": {"notices": LONG, "settings": LONG, "rows": "does not speak PostgreSQL",
              "ready": "does not answer as PostgreSQL does", "notices in the login": LONG,
              "a message": "does not speak PostgreSQL"},
    # The status of two of them is there, and nobody waits for the rest.
    "http": {"fields": "does not speak HTTP/1.1", "interim": "does not speak HTTP/1.1",
             "chunks": "", "body": "", "answers": MORE, "line": "does not speak HTTP/1.1"},
}


class Crowd:
    """A router with a backend for each of these servers; or, where there is something they stand
    `before`, with backends of that whose Sentinels they are."""

    def __init__(self, home, protocol, handlers, before=None, **keys):
        self.fakes = {name: home.fake(handler, "a") for name, handler in handlers.items()}
        self.names = {name: f"b{n}" for n, name in enumerate(handlers)}
        keys = {**FAST_PROBES, "probe_fast_interval": "100ms", **KEYS[protocol], **keys}
        backends = ""
        for name, fake in self.fakes.items():
            if before:
                keys["sentinel"] = fake.text
            backends += section(f"backend {self.names[name]}", protocol=protocol,
                                server=f"a {(before or fake).text}", **keys)
        self.router = home.router(frontend("f", free_port(), "b0") + backends,
                                  start_timeout="500ms")

    def server(self, stats, name):
        return stats.server("a", self.names[name])

    def wait_reasons(self, wanted):
        """{name: reason} of all; who is well has none."""
        def told(stats):
            servers = {name: self.server(stats, name) for name in self.fakes}
            return all(servers[n]["state"] == ("down" if wanted[n] else "up")
                       and servers[n]["reason"] == wanted[n] for n in self.fakes)

        self.router.wait_for(told, f"the reasons {wanted}", 15)


    def watch(self):
        """For a while: it answers, and takes little."""
        process = self.router.process
        clock, memory, cpu = Clock(), process.rss(), process.cpu_seconds()
        until(lambda: self.router.stats() and clock.passed(LOOK_SECONDS), "the time to pass", 30,
              poll=0.05)
        for name, fake in self.fakes.items():
            each = getattr(fake, "sent", 0) / fake.accepted
            assert each < READ, f"{name} could send {each:.0f} bytes on each connection"
        if SLOW == 1:
            assert process.rss() - memory < MEMORY
            share = (process.cpu_seconds() - cpu) / clock.seconds()
            assert share < CPU, f"{share:.2f} CPUs"


def reason_of(protocol, other):
    if other == "silence" or (protocol, other) in WAITING:
        return LATE
    return f"does not speak {NAMES[protocol]}"


@pytest.mark.parametrize("protocol", FLOODS)
def test_a_server_of_another_protocol_is_told_in_words(home, protocol):
    others = {name: handler for name, handler in OTHERS.items() if name != protocol}
    crowd = Crowd(home, protocol, others)
    crowd.wait_reasons({name: reason_of(protocol, name) for name in others})
    crowd.watch()


@pytest.mark.parametrize("protocol", FLOODS)
def test_one_that_never_comes_to_an_end_is_left(home, protocol):
    crowd = Crowd(home, protocol, FLOODS[protocol])
    crowd.wait_reasons(FLOOD_REASONS[protocol])
    crowd.watch()


@pytest.mark.parametrize("handlers", [OTHERS, FLOODS["redis"]], ids=["others", "floods"])
def test_what_is_no_sentinel_changes_nothing(home, handlers):
    primary = home.fake(fake_redis(primary_answers), "a")
    crowd = Crowd(home, "redis", handlers, before=primary, sentinel_master=MASTER)
    stats = crowd.router.wait_for(
        lambda s: all(b["primary"] == "a" and b["sentinels"][0]["why"] for b in s["backends"]),
        "a primary that no Sentinel contradicts, and why", 15)
    assert not any(b["sentinels"][0]["heard"] for b in stats["backends"])
    crowd.watch()
