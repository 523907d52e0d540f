"""MySQL's connection phase, packet by packet, for clients and servers that do it wrong."""
import struct

from lib.resp import connect

PROTOCOL_41, SSL, SECURE_CONNECTION, PLUGIN_AUTH = 0x200, 0x800, 0x8000, 0x80000
CONNECT_ATTRS = 0x100000
CAPABILITIES = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH

OK, AUTH_SWITCH, ERR = 0x00, 0xfe, 0xff

GREETING = (b"\x0a5.5.5-10.11.0-Fake\0" + struct.pack("<I", 7) + b"a" * 8 + b"\0"
            + struct.pack("<HBHH", (CAPABILITIES | SSL) & 0xffff, 33, 2, CAPABILITIES >> 16)
            + bytes([21]) + b"\0" * 10 + b"b" * 12 + b"\0mysql_native_password\0")
ACCEPTED = b"\0\0\0\2\0\0\0"

SSL_REQUEST = struct.pack("<IIB", CAPABILITIES | SSL, 1 << 24, 33) + b"\0" * 23


def packet(sequence, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload


def login(user=b"nobody", plugin=b"mysql_native_password", answer=b"", attributes=None):
    """HandshakeResponse41."""
    capabilities = CAPABILITIES | (CONNECT_ATTRS if attributes is not None else 0)
    text = (struct.pack("<IIB", capabilities, 1 << 24, 33) + b"\0" * 23 + user + b"\0"
            + bytes([len(answer)]) + answer + plugin + b"\0")
    if attributes is not None:
        text += b"\xfd" + struct.pack("<I", len(attributes))[:3] + attributes
    return text


def attributes(size):
    """Connection attributes of about so many bytes in all."""
    one = b"\x03key\xfc" + struct.pack("<H", 1000) + b"v" * 1000
    return one * (size // len(one))


class Wire:
    """One side of a connection."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    @classmethod
    def to(cls, address):
        return cls(connect(address, 20))

    def _read(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError(f"end of stream after {self.buffer!r}")
            self.buffer += data
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read(self):
        """(sequence, payload)"""
        head = self._read(4)
        return head[3], self._read(head[0] | head[1] << 8 | head[2] << 16)

    def send(self, sequence, payload):
        self.sock.sendall(packet(sequence, payload))

    def error(self, greeted=True):
        """The ERR packet that comes, and nothing but the end behind it: (sequence, number,
        SQLSTATE, words)."""
        sequence, payload = self.read()
        assert payload[0] == ERR, payload
        number = struct.unpack("<H", payload[1:3])[0]
        state, words = b"", payload[3:]
        if greeted:
            assert payload[3:4] == b"#", payload
            state, words = payload[4:9], payload[9:]
        assert not self.buffer and self.sock.recv(100) == b""
        return sequence, number, state.decode(), words.decode()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()
