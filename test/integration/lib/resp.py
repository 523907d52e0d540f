"""A small Redis client over one socket, for RESP2. Errors are values, a lost connection raises."""
import socket


class Closed(ConnectionError):
    """The peer ended the connection in the middle of, or instead of, a reply."""


class RespError(str):
    """An error reply, without the minus sign."""


def encode(*args):
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def connect(address, timeout=5.0, source=None):
    """A connected socket. address: (host, port), or the path of a unix socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock.settimeout(timeout)
    try:
        if source:
            sock.bind((source, 0))
        sock.connect(address)
        if not isinstance(address, str):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock


class Resp:
    def __init__(self, address, timeout=5.0, source=None, password=None, user=None):
        self.sock = connect(address, timeout, source)
        self.buffer = b""
        if password is not None:
            answer = self.call("AUTH", *([user, password] if user else [password]))
            assert answer == "OK", answer

    def send(self, *args):
        self.sock.sendall(encode(*args))

    def call(self, *args):
        self.send(*args)
        return self.read()

    def pipeline(self, commands):
        self.sock.sendall(b"".join(encode(*c) for c in commands))
        return [self.read() for _ in commands]

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed("end of stream")
        self.buffer += data

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RespError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b"*":
            return None if int(rest) < 0 else [self.read() for _ in range(int(rest))]
        raise AssertionError(f"not RESP: {line!r}")

    def _bulk(self, length):
        if length < 0:
            return None
        while len(self.buffer) < length + 2:
            self._more()
        data, self.buffer = self.buffer[:length], self.buffer[length + 2:]
        return data.decode("utf-8", "replace")

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
