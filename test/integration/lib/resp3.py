"""The client of resp.py for RESP3 as well. Pushes are set aside; what a value was can be told."""
from lib.resp import Resp, RespError, encode
from lib.waiting import SLOW

AGGREGATES = {b"*": 1, b"~": 1, b">": 1, b"%": 2}


class Resp3(Resp):
    """RESP2 until hello(). `name` is whatever a test calls it."""

    def __init__(self, address, timeout=20.0 * SLOW, name=None, **options):
        self.pushes = []
        self.name = name
        super().__init__(address, timeout, **options)

    def hello(self, *more):
        answer = self.call("HELLO", "3", *more)
        assert isinstance(answer, dict), answer
        return self

    def send_all(self, commands):
        self.sock.sendall(b"".join(encode(*command) for command in commands))

    def read(self):
        """The next reply; pushes that come before it are set aside."""
        while True:
            kind, value = self._value()
            if kind != b">":
                return value
            self.pushes.append(value)

    def push(self):
        """The next push, one that was set aside first."""
        if self.pushes:
            return self.pushes.pop(0)
        kind, value = self._value()
        assert kind == b">", (kind, value)
        return value

    def _value(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"|":  # attributes stand before a value
            self._items(2 * int(rest))
            return self._value()
        if kind in AGGREGATES:
            if int(rest) < 0:
                return kind, None
            items = self._items(AGGREGATES[kind] * int(rest))
            return kind, dict(zip(items[::2], items[1::2])) if kind == b"%" else items
        if kind in (b"$", b"=", b"!"):
            text = self._bulk(int(rest))
            return kind, RespError(text) if kind == b"!" else text
        return kind, self._simple(kind, rest, line)

    @staticmethod
    def _simple(kind, rest, line):
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RespError(rest.decode())
        if kind in (b":", b"("):
            return int(rest)
        if kind == b"_":
            return None
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == b"t"
        raise AssertionError(f"not RESP: {line!r}")

    def _items(self, count):
        return [self._value()[1] for _ in range(count)]
