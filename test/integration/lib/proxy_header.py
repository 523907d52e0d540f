"""PROXY headers of both versions (haproxy.org, proxy-protocol.txt), written and read, and fakes
that expect one.

    header(1, ("192.0.2.1", 1234), ("192.0.2.9", 443))      header(2, None, None)  # nobody's
"""
import ipaddress
import socket
import struct
from typing import NamedTuple, Optional

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0, 1
UNSPEC, TCP4, TCP6, UNIX = 0x00, 0x11, 0x21, 0x31
LINE_MAX = 107
LONGEST = 4096  # that the router takes
NOOP = 4


class Header(NamedTuple):
    version: int
    source: Optional[tuple]   # (host, port); None: whose it is is not said
    target: Optional[tuple]
    raw: bytes


def header(version, source, target, tlvs=b""):
    """As a sender makes it. source None: UNKNOWN, LOCAL."""
    return line(source, target) if version == 1 else binary(source, target, tlvs)


def line(source, target):
    if source is None:
        return b"PROXY UNKNOWN\r\n"
    family = 6 if ":" in source[0] else 4
    return (f"PROXY TCP{family} {source[0]} {target[0]} {source[1]} {target[1]}\r\n").encode()


def binary(source, target, tlvs=b""):
    if source is None:
        return fixed(LOCAL, UNSPEC, tlvs)
    block = b"".join(ipaddress.ip_address(host).packed for host, _ in (source, target))
    block += struct.pack(">HH", source[1], target[1])
    return fixed(PROXY, TCP6 if ":" in source[0] else TCP4, block + tlvs)


def fixed(command, family, rest=b"", version=2, length=None):
    """A header of version 2 with whatever is in it."""
    size = len(rest) if length is None else length
    return SIGNATURE + struct.pack(">BBH", version << 4 | command, family, size) + rest


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError(f"end of stream after {data!r}")
        data += more
    return data


def read_header(sock):
    """A Header and not one byte of what follows. AssertionError if it is none."""
    begin = read_exactly(sock, 6)
    return _read_line(sock, begin) if begin == b"PROXY " else _read_binary(sock, begin)


def _read_line(sock, text):
    while not text.endswith(b"\n"):
        text += read_exactly(sock, 1)
        assert len(text) <= LINE_MAX, text
    assert text.endswith(b"\r\n"), text
    words = text[:-2].decode("ascii").split(" ")
    if words == ["PROXY", "UNKNOWN"]:
        return Header(1, None, None, text)
    name, family, source, target, source_port, target_port = words
    assert name == "PROXY" and family in ("TCP4", "TCP6"), text
    for host in source, target:
        assert ipaddress.ip_address(host).version == int(family[-1]), text
    for port in source_port, target_port:
        assert port == str(int(port)) and 0 <= int(port) <= 65535, text
    return Header(1, (source, int(source_port)), (target, int(target_port)), text)


def _read_binary(sock, begin):
    raw = begin + read_exactly(sock, 10)
    assert raw.startswith(SIGNATURE), f"no PROXY header: {raw!r}"
    command, family, length = struct.unpack(">BBH", raw[12:])
    block = read_exactly(sock, length)
    raw += block
    assert command >> 4 == 2, raw
    if command & 15 == LOCAL:
        return Header(2, None, None, raw)
    assert command & 15 == PROXY and family in (TCP4, TCP6), raw
    size = 4 if family == TCP4 else 16
    hosts = [str(ipaddress.ip_address(block[n * size:(n + 1) * size])) for n in range(2)]
    ports = struct.unpack(">HH", block[2 * size:2 * size + 4])
    return Header(2, (hosts[0], ports[0]), (hosts[1], ports[1]), raw)


# Handlers of lib.fake.FakeServer. What they were told is in server.headers, in order.


def note(server, sock):
    found = read_header(sock)
    server.__dict__.setdefault("headers", []).append(found)
    return found


def source_then_echo(server, sock):
    """Reads a header; says who it was told the client is, and echoes what follows."""
    found = note(server, sock)
    said = "nobody" if found.source is None else f"{found.source[0]} {found.source[1]}"
    sock.sendall(said.encode() + b"\n")
    while data := sock.recv(65536):
        sock.sendall(data)


def expecting(handler):
    """The handler behind a header."""
    def handle(server, sock):
        note(server, sock)
        handler(server, sock)
    return handle


def send_slowly(sock, data):
    """Each byte in a segment of its own."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in data:
        sock.sendall(bytes([byte]))
