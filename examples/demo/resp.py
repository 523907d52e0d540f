"""The Redis protocol, as much of it as a client that sends one command at a time needs."""
import socket


class RedisError(Exception):
    """An error reply."""


class Client:
    def __init__(self, port, timeout):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")

    def call(self, *words):
        """Sends a command, returns its reply. Raises RedisError, or OSError if the line is cut."""
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))
        return self._reply()

    def _reply(self):
        line = self.lines.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("connection closed")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        return self._bulk(int(rest))

    def _bulk(self, length):
        if length < 0:
            return None
        data = self.lines.read(length + 2)
        if len(data) < length + 2:
            raise ConnectionError("connection closed")
        return data[:-2].decode()

    def close(self):
        self.lines.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
