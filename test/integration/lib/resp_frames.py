"""Replies as the bytes they are, RESP2 and RESP3: where one ends, not what it says."""

_VALUES = {ord(c): 1 for c in "*~>"}  # how many values follow for one of its count
_VALUES.update({ord("%"): 2, ord("|"): 2})
_BULKS = frozenset(b"$!=")
_SIMPLE = frozenset(b"+-:_,#(")


def end_of_frame(data, at=0):
    """Where the reply that begins at `at` ends; -1 if it is not whole yet. An attribute and a push
    are as a server sends them: the one stands before a value, the other is one by itself."""
    values = 1
    while values:
        line = data.find(b"\r\n", at)
        if line < 0:
            return -1
        kind = data[at]
        number = int(data[at + 1:line]) if kind in _BULKS or kind in _VALUES else 0
        at = line + 2
        if kind in _BULKS:
            values -= 1
            at += number + 2 if number >= 0 else 0
        elif kind in _VALUES:
            values += max(number, 0) * _VALUES[kind] - (kind != ord("|"))
        else:
            assert kind in _SIMPLE, bytes(data[max(0, line - 200):line + 200])
            values -= 1
        if at > len(data):
            return -1
    return at


class Frames:
    """Bytes go in, whole replies come out."""

    def __init__(self):
        self.data = bytearray()

    def feed(self, data):
        self.data += data
        found, at = [], 0
        while at < len(self.data):
            end = end_of_frame(self.data, at)
            if end < 0:
                break
            found.append(bytes(self.data[at:end]))
            at = end
        del self.data[:at]
        return found
