"""Promise: TLS takes nothing away: what was sent arrives, however either side ends; an end is
passed on as what it was, clean, half or broken; much goes through both ways in little memory."""
import contextlib
import hashlib
import select
import socket
import ssl
import struct
import threading

import pytest

from lib.certificates import Authority
from lib.fake import reset
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local
from lib.streams import exact, was_cut
from lib.waiting import SLOW, Clock, until

HOST = "hub.test"
BULK = 64 << 20
PIECE = bytes(range(256)) * 1024    # 256 KiB
# Where TLS is: (before the router, behind it)
ENDED, AGAIN, BEHIND = (True, False), (True, True), (False, True)
WHERE = pytest.mark.parametrize("where", [ENDED, AGAIN, BEHIND], ids=["ended", "again", "behind"])
VERSION = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


class Stage:
    def __init__(self, home):
        self.authority = Authority(home.directory("ca"))
        self.leaf = self.authority.leaf(names=[HOST], ips=["127.0.0.1"])
        self.serving = exact(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self.serving.load_cert_chain(self.leaf.cert, self.leaf.key)

    def router(self, home, where, handler, **front):
        """(router, address, server). The handler gets a socket that speaks TLS where it should."""
        def secured(server, sock):
            with self.serving.wrap_socket(sock, server_side=True,
                                          suppress_ragged_eofs=False) as secure:
                handler(server, secure)

        before, behind = where
        server = home.fake(secured if behind else handler, "s")
        port = free_port()
        keys = {"tls": "yes", "tls_cert": self.leaf.pem} if before else {}
        back = {"tls": "yes", "tls_ca": self.authority.ca} if behind else {}
        router = home.router(frontend("f", port, **keys, **front) + tcp_backend(server, **back))
        return router, local(port), server

    def client(self, home, where, address, version=None):
        sock = connect(address, 30 * SLOW)
        if not where[0]:
            return home.keep(sock)
        context = exact(ssl.create_default_context(cafile=self.authority.ca))
        if version:
            context.maximum_version = version
        return home.keep(context.wrap_socket(sock, server_hostname=HOST,
                                             suppress_ragged_eofs=False))


@pytest.fixture(scope="module")
def stage(shared_home):
    return Stage(shared_home)


def say_nothing_more(sock):
    """The clean end of what is sent: a close_notify with TLS, then a FIN. What comes can be read
    from then on; until then nothing may come."""
    if isinstance(sock, ssl.SSLSocket):
        sock.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            sock.unwrap()
        sock.settimeout(30 * SLOW)
    cut_off(sock)


def cut_off(sock):
    """A FIN, and with TLS nothing before it that says so."""
    socket.socket.shutdown(sock, socket.SHUT_WR)


def read_to_end(sock):
    """(how it ended, all that came): clean, abrupt or reset."""
    got = bytearray()
    try:
        while data := sock.recv(65536):
            got += data
        return "clean", bytes(got)
    except ssl.SSLZeroReturnError:      # we have sent ours before
        return "clean", bytes(got)
    except ssl.SSLError as error:
        assert was_cut(error), error
        return "abrupt", bytes(got)
    except ConnectionResetError:
        return "reset", bytes(got)


# How clients end.


@WHERE
@VERSION
@pytest.mark.sanitize
def test_who_has_said_all_still_hears_everything(home, stage, where, version):
    """A half close, by a close_notify where there is TLS."""
    got = []
    go_on = threading.Event()

    def handler(_server, sock):
        got.append(read_to_end(sock))
        go_on.wait(30 * SLOW)
        sock.sendall(PIECE * 4)
        say_nothing_more(sock)

    _, address, _ = stage.router(home, where, handler)
    client = stage.client(home, where, address, version)
    client.sendall(PIECE)
    say_nothing_more(client)
    go_on.set()
    assert read_to_end(client) == ("clean", PIECE * 4)
    assert got == [("clean", PIECE)]


@pytest.mark.parametrize("where", [ENDED, AGAIN], ids=["ended", "again"])
@VERSION
@pytest.mark.parametrize("leave", [cut_off, socket.socket.close], ids=["fin", "close"])
@pytest.mark.sanitize
def test_the_last_bytes_of_who_leaves_without_a_word_arrive(home, stage, where, version, leave):
    got = []

    def handler(_server, sock):
        sock.sendall(b"welcome")
        got.append(read_to_end(sock))

    _, address, server = stage.router(home, where, handler)
    client = stage.client(home, where, address, version)
    assert client.recv(7) == b"welcome"     # nothing is left unread: no reset
    client.sendall(PIECE)
    leave(client)
    server.wait_count(0, 10)
    how, data = got[0]
    assert data == PIECE, f"{len(data)} of {len(PIECE)} bytes"
    if where == AGAIN:
        assert how != "clean", "what was cut off looks whole to the server"


# How servers end.


def read_on(sock):
    """Until the router has ended it as well: closing with something unread would be a reset."""
    with contextlib.suppress(OSError):
        while socket.socket.recv(sock, 65536):
            pass


@pytest.mark.parametrize("where, end", [
    (ENDED, say_nothing_more), (ENDED, reset), (AGAIN, say_nothing_more), (AGAIN, cut_off),
    (AGAIN, reset), (BEHIND, say_nothing_more), (BEHIND, reset),
], ids=["ended-clean", "ended-reset", "again-clean", "again-abrupt", "again-reset", "behind-clean",
        "behind-reset"])
@VERSION
@pytest.mark.sanitize
def test_the_end_that_a_client_sees_is_that_of_the_server(home, stage, where, version, end):
    def handler(_server, sock):
        assert sock.recv(5) == b"hello"
        sock.sendall(PIECE)
        assert sock.recv(4) == b"done"
        end(sock)
        if end is not reset:
            read_on(sock)

    _, address, _ = stage.router(home, where, handler)
    client = stage.client(home, where, address, version)
    client.sendall(b"hello")
    got = b""
    while len(got) < len(PIECE):
        got += client.recv(65536)
    assert got == PIECE
    client.sendall(b"done")
    how, _ = read_to_end(client)
    if end is say_nothing_more:
        assert how == "clean"
    else:
        assert how != "clean", "a broken end looks like a clean one"


# Quiet ones.


@WHERE
def test_a_quiet_session_is_cut_by_no_timer_but_idle_timeout(home, stage, where):
    def handler(_server, sock):
        while data := sock.recv(100):
            sock.sendall(data)

    short = {"handshake_timeout": "100ms"} if where[0] and SLOW == 1 else {}
    _, address, _ = stage.router(home, where, handler, **short)
    _, limited, _ = stage.router(home, where, handler, idle_timeout="1s")
    quiet, cut = (stage.client(home, where, to) for to in (address, limited))
    for client in quiet, cut:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
    clock = Clock()
    assert read_to_end(cut)[1] == b""
    until(lambda: clock.passed(2.5), "time to pass", 5)
    quiet.sendall(b"still here")
    assert quiet.recv(10) == b"still here"


# Much.


def patterned(seed, size):
    """Pieces that differ, `size` bytes together."""
    for number in range(size // len(PIECE)):
        yield struct.pack("!QQ", seed, number) + PIECE[16:]


def digest_of(seed, size):
    digest = hashlib.sha256()
    for piece in patterned(seed, size):
        digest.update(piece)
    return digest.hexdigest()


class Flood:
    """Sends and reads at once on a non-blocking socket, with TLS or without."""

    def __init__(self, sock, seed, size):
        self.sock = sock
        self.pieces = patterned(seed, size)
        self.left = memoryview(b"")
        self.sent = 0
        self.read = 0
        self.digest = hashlib.sha256()
        self.size = size
        sock.setblocking(False)

    def _try(self, action):
        try:
            return action()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return None

    def write_some(self):
        if not self.left and self.sent < self.size:
            self.left = memoryview(next(self.pieces))
        count = self._try(lambda: self.sock.send(self.left)) if self.left else None
        if count:
            self.left = self.left[count:]
            self.sent += count
        return bool(count)

    def read_some(self):
        data = self._try(lambda: self.sock.recv(262144))
        if data:
            self.digest.update(data)
            self.read += len(data)
        assert data is None or data, f"the end after {self.read} bytes"
        return bool(data)

    def run(self, reads=True):
        """Until all was sent and read; without `reads`, until nothing more can be sent now."""
        while self.sent < self.size or self.read < self.size:
            moved = self.write_some()
            moved = (reads and self.read_some()) or moved
            if not moved:
                wants = [self.sock] if self.sent < self.size else []
                ready = select.select([self.sock], wants, [], 0.5 if not reads else 30 * SLOW)
                if not ready[1] and not reads:
                    return
                assert any(ready), f"stands still: {self.sent} sent, {self.read} read"


@pytest.mark.parametrize("where", [ENDED, AGAIN], ids=["ended", "again"])
def test_bulk_goes_both_ways_in_little_memory(home, stage, where):
    """First the client reads nothing: all must stand still, with little in the router."""
    size = BULK if SLOW == 1 else BULK // 16
    floods = []

    def handler(_server, sock):
        floods.append(Flood(sock, 2, size))
        floods[0].run()

    router, address, _ = stage.router(home, where, handler)
    before = router.process.rss()
    client = Flood(stage.client(home, where, address), 1, size)
    until(lambda: floods, "the server")
    peak = Peak(router)
    client.run(reads=False)
    until(lambda: floods[0].sent > 0, "the server to send")
    client.run()
    until(lambda: floods[0].read == size, "the server to have all", 60)
    grown = peak.stop() - before
    assert client.digest.hexdigest() == digest_of(2, size)
    assert floods[0].digest.hexdigest() == digest_of(1, size)
    if SLOW == 1:
        assert grown < 8 << 20, f"{grown >> 10} KiB for one session"


class Peak:
    """The most memory that a process had, as the kernel kept it."""

    def __init__(self, router):
        self.path = f"/proc/{router.pid}"
        with open(f"{self.path}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")     # VmHWM begins anew

    def stop(self):
        with open(f"{self.path}/status", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
