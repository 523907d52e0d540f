"""The router that the tests of the admin address look at, and HTTP by hand."""
import http.client
import re
import socket

from lib.fake import echo
from lib.ini import frontend, redis_backend, tcp_backend
from lib.process import free_port
from lib.sockets import local
from lib.waiting import SLOW

CLOSE = "Connection: close"


class World:
    """Three Redis servers and an opaque one, three frontends."""

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
