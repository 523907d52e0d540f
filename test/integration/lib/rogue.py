"""Clients and servers that do at random what well-behaved ones do not: stop in the midst, reset,
end, send garbage, cut what they send anywhere. All that is random comes from one seed for each.

A rogue's life is what is_over() lets it be: every wait of its own is bounded, and every error is
an end of that life, never of the test."""
import random
import socket
import ssl
import struct

from lib import hello, proxy_header
from lib.fake import reset

SHORT = 0.05  # how long it listens before it goes on with something else
SSL_REQUEST, GSS_REQUEST, CANCEL = 80877103, 80877104, 80877102
ROUTER = ("127.0.0.1", 443)


class Rogue:
    """kind: what the frontend expects; a set of "proxy", "pgsql" and "tls"."""

    def __init__(self, seed, address, kind, names):
        self.rng = random.Random(seed)
        self.address, self.kind, self.names = address, kind, names
        self.sock = None
        self.sessions = []  # of TLS, to be resumed

    def live(self):
        """One connection, to whatever end. Returns its socket where it is just left as it is."""
        self.sock = socket.create_connection(self.address, 5)
        self.sock.settimeout(SHORT)
        try:
            self.step()
        except (OSError, ValueError):
            pass
        return self.leave()

    def leave(self):
        how = self.rng.choice(["close", "reset", "fin", "stay"])
        if how == "stay":
            return self.sock
        if how == "fin":
            try:
                self.sock.shutdown(socket.SHUT_WR)
                self.listen()
            except OSError:
                pass
        if how == "reset":
            reset(self.sock)
        else:
            self.sock.close()
        return None

    # What it says.

    def chance(self, percent):
        return self.rng.randrange(100) < percent

    def garbage(self, most=3000):
        return self.rng.randbytes(self.rng.randrange(1, most))

    def send(self, data):
        """All of it, in pieces; or the beginning of it, or something else."""
        if self.chance(5):
            data = data[:self.rng.randrange(len(data) + 1)]
        if self.chance(4):
            at = self.rng.randrange(len(data) + 1)
            data = data[:at] + self.garbage(30) + data[at:]
        if self.chance(70):
            self.sock.sendall(data)
            return
        size = self.rng.choice([1, 5, 100, 1000, 20000])
        for at in range(0, min(len(data), size * 300), size):
            self.sock.sendall(data[at:at + size])

    def listen(self):
        try:
            return self.sock.recv(self.rng.choice([1, 5, 100, 65536]))
        except socket.timeout:
            return None

    def step(self):
        first = b""
        if "proxy" in self.kind:
            first = self.proxy()
        if "pgsql" in self.kind and self.pgsql(first):
            return
        self.tls(b"" if "pgsql" in self.kind else first)

    def proxy(self):
        """A header; to be sent with what follows."""
        version = self.rng.choice([1, 2])
        source = (f"10.0.0.{self.rng.randrange(8)}", self.rng.randrange(65536))
        if self.chance(10):
            source = None
        made = proxy_header.header(version, source, ROUTER)
        if self.chance(10):
            made = self.garbage(200)
        if self.chance(40):
            self.send(made)
            made = b""
        return made

    def pgsql(self, first):
        """True: TLS is not what follows."""
        what = self.rng.choice(["tls", "tls", "gss", "direct", "clear", "cancel", "again",
                                "garbage"])
        body = struct.pack(">I", 0x30000) + b"user\0rogue\0\0"
        ask, gss = struct.pack(">II", 8, SSL_REQUEST), struct.pack(">II", 8, GSS_REQUEST)
        said = {"tls": ask, "gss": gss, "direct": b"", "again": gss * 50,
                "clear": struct.pack(">I", 4 + len(body)) + body, "garbage": self.garbage(),
                "cancel": struct.pack(">II", 16, CANCEL) + self.rng.randbytes(8)}[what]
        self.send(first + said)
        answer = self.listen() if said else b"S"
        if what == "gss" and answer == b"N":
            self.send(ask)
            answer = self.listen()
        return answer != b"S"

    def tls(self, first):
        """A handshake and what follows; `first` goes before its first bytes."""
        if self.chance(8):
            self.send(first + self.odd_hello())
            self.listen()
            return
        context = hello.trusting_all(self.rng.choice([ssl.TLSVersion.TLSv1_2,
                                                      ssl.TLSVersion.TLSv1_3]))
        came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(came, out, server_hostname=self.rng.choice(self.names))
        if not self.shake(secure, came, out, first):
            return
        for _ in range(self.rng.randrange(8)):
            self.talk(secure, came, out)
        if self.chance(50):
            self.say_end(secure, out)
            self.listen()

    def odd_hello(self):
        name = self.rng.choice(self.names).encode()
        padding = hello.extension(hello.PADDING, bytes(self.rng.choice([0, 100, 20000, 65000])))
        return self.rng.choice([
            lambda: hello.named(name, padding, size=self.rng.choice([1, 7, 16384])),
            lambda: hello.records(b"\1" + hello.vector(3, bytes(3000))),
            lambda: b"\x16\3\1\0\0" * 100,
            lambda: b"\x15\3\3\0\2\2\x28",
            lambda: b"GET / HTTP/1.1\r\n\r\n",
            self.garbage])()

    def shake(self, secure, came, out, first):
        for _ in range(6):
            try:
                secure.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            said = first + out.read()
            first = b""
            if done and self.chance(10):
                said += b"\x17\3\3\0\x20" + self.rng.randbytes(32)
            if said:
                self.send(said)
            if done:
                return True
            if self.chance(6):
                return False
            self.hear(came)
        return False

    def hear(self, came):
        data = self.listen()
        if data == b"":
            raise ConnectionError("it ended")
        came.write(data or b"")

    def talk(self, secure, came, out):
        if self.chance(60):
            secure.write(self.garbage(self.rng.choice([2, 300, 60000])))
            self.send(out.read())
        elif self.chance(80):
            self.hear(came)
            try:
                secure.read(65536)
            except ssl.SSLWantReadError:
                pass
        else:
            self.send(self.rng.choice([b"\x17\3\3\0\0", b"\x14\3\3\0\1\1", b"\x16\3\3\0\4\0\0\0\0",
                                       b"\x15\3\3\0\2\1\0", self.garbage(50)]))

    def say_end(self, secure, out):
        try:
            secure.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.send(out.read())


def saboteur(seed, leaf):
    """A handler of lib.fake.FakeServer that should speak TLS, and mostly does not go on with it."""
    rng = random.Random(seed)

    def talk(context, sock):
        with context.wrap_socket(sock, server_side=True) as secure:
            for _ in range(rng.randrange(5)):
                secure.sendall(rng.randbytes(rng.randrange(1, 50000)))
                secure.recv(rng.choice([1, 1000, 65536]))
            if rng.randrange(2):
                secure.unwrap().sendall(rng.randbytes(100))  # more behind its close_notify
            else:
                reset(secure)

    def handle(_server, sock):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.cert, leaf.key)
        context.maximum_version = rng.choice([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
        what = rng.choice(["cut", "reset", "garbage", "alert", "silence", "half", "talk", "talk",
                           "talk", "talk"])
        if what == "talk":
            talk(context, sock)
        elif what != "cut":
            sock.recv(65536)
        if what == "garbage":
            sock.sendall(rng.randbytes(rng.randrange(1, 5000)))
        elif what == "alert":
            sock.sendall(b"\x15\3\3\0\2\2\x28")
        elif what == "half":
            sock.sendall(b"\x16\3\3\0\x7a" + rng.randbytes(20))
        if what in ("silence", "half"):
            sock.recv(1)
        elif what == "reset":
            reset(sock)
    return handle
