"""The stage of the client edge's tests: a router that wants something of its clients before their
session begins, and what becomes of those who do not do it."""
from lib.ini import frontend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_all
from lib.waiting import SLOW, until

PATIENCE = 30.0  # for what happens at once: much less than handshake_timeout below


class Edge:
    """`backends` is the rest of the router.ini, the first of them called b."""

    def __init__(self, home, backends, bind=None, router_keys=None, **keys):
        self.home = home
        self.port = free_port()
        if not {"accept_proxy", "sni", "tls"}.isdisjoint(keys):
            keys.setdefault("handshake_timeout", "600s")
        keys = {"route": "any", **keys}
        self.router = home.router(frontend("f", bind or self.port, **keys) + backends,
                                  **(router_keys or {}))

    @property
    def address(self):
        return local(self.port)

    def connect(self, data=b"", source=None, address=None):
        """A client that has said this."""
        sock = self.home.keep(connect(address or self.address, PATIENCE * SLOW, source))
        sock.sendall(data)
        return sock

    def refuses(self, data, source=None):
        """Such a client hears nothing but the end, and at once."""
        assert ending(self.connect(data, source)) == b""

    def count(self, metric):
        """A counter of the frontend, as it is now."""
        return self.router.stats().frontend("f")[metric]

    def wait_count(self, metric, count):
        return self.router.wait_for(lambda s: s.frontend("f")[metric] == count,
                                    f"{metric} = {count}")

    def wait_sessions(self, count=0):
        return self.router.wait_for(lambda s: s.frontend("f")["sessions"] == count,
                                    f"{count} sessions")

    def wait_log(self, words):
        until(lambda: words in self.router.log, f"{words!r} in the log:\n{self.router.log}")


def ending(sock):
    """What came before the end of the stream, be it a FIN or a reset."""
    try:
        return read_all(sock)
    except (ConnectionResetError, BrokenPipeError):
        return b""


def drip(sock, data, pause):
    """Sends a byte at a time, with pause() between, until the peer ends it: how many left."""
    sock.setblocking(False)
    for sent, byte in enumerate(data):
        try:
            if sock.recv(1) == b"":
                return sent
            raise AssertionError("it answered")
        except BlockingIOError:
            pass
        except ConnectionError:
            return sent
        try:
            sock.send(bytes([byte]))
        except ConnectionError:
            return sent
        pause()
    raise AssertionError("all of it left, and nobody ended it")
