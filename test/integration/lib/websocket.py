"""WebSockets (RFC 6455): frames, the opening handshake, and a client on a blocking socket."""
import base64
import hashlib
import os
import struct

from lib.resp import connect

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_MAX = 16384


class Broken(ConnectionError):
    """What came is no WebSocket."""


def masked(data, mask):
    """RFC 6455 5.3, by one long number: a loop over bytes would be the slowest part of a test."""
    if not data:
        return b""
    keys = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(len(data), "big")


def frame(opcode, payload=b"", client=False, last=True):
    """One frame; a client's is masked."""
    first, bit = (0x80 if last else 0) | opcode, 0x80 if client else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, bit | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, bit | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, bit | 127, len(payload))
    if not client:
        return head + payload
    mask = os.urandom(4)
    return head + mask + masked(payload, mask)


class Frames:
    """Takes bytes as they come, gives whole messages: (opcode, payload). Control frames may stand
    between the fragments of a message."""

    def __init__(self, from_client):
        self.from_client = from_client
        self.buffer = bytearray()
        self.opcode = None      # of the message whose fragments are being collected
        self.parts = []

    def feed(self, data):
        self.buffer += data
        messages = []
        while (got := self._frame()) is not None:
            message = self._collect(*got)
            if message:
                messages.append(message)
        return messages

    def _length(self):
        """(length of the head with its mask, length of the payload), or None."""
        if len(self.buffer) < 2:
            return None
        short = self.buffer[1] & 0x7f
        masks = 4 if self.from_client else 0
        if bool(self.buffer[1] & 0x80) != self.from_client:
            raise Broken("masked from the server, or unmasked from a client")
        if short < 126:
            return 2 + masks, short
        more = 2 if short == 126 else 8
        if len(self.buffer) < 2 + more:
            return None
        return 2 + more + masks, int.from_bytes(self.buffer[2:2 + more], "big")

    def _frame(self):
        lengths = self._length()
        if lengths is None or len(self.buffer) < sum(lengths):
            return None
        head, length = lengths
        first = self.buffer[0]
        if first & 0x70:
            raise Broken("reserved bits")
        payload = bytes(self.buffer[head:head + length])
        if self.from_client:
            payload = masked(payload, bytes(self.buffer[head - 4:head]))
        del self.buffer[:head + length]
        return first & 0x0f, bool(first & 0x80), payload

    def _collect(self, opcode, last, payload):
        if opcode >= CLOSE:
            return opcode, payload
        if (opcode == 0) != (self.opcode is not None):
            raise Broken("a fragment out of place")
        self.opcode = opcode or self.opcode
        self.parts.append(payload)
        if not last:
            return None
        message = self.opcode, b"".join(self.parts)
        self.opcode, self.parts = None, []
        return message


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


class Head:
    """The head of a request or an answer: its first line, and fields by their name in small."""

    def __init__(self, data):
        lines = data.decode("latin-1").split("\r\n")
        self.first = lines[0]
        self.fields = {name.strip().lower(): value.strip()
                       for name, _, value in (line.partition(":") for line in lines[1:])}


def take_head(buffer):
    """The Head that `buffer` (a bytearray) begins with, taken out of it; None if there is more to
    come."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > HEAD_MAX:
            raise Broken("an endless head")
        return None
    found = Head(bytes(buffer[:end]))
    del buffer[:end + 4]
    return found


class Opening:
    """A client's half of the opening handshake (RFC 6455 4.1)."""

    def __init__(self, host="hub.test", path="/relay"):
        self.key = base64.b64encode(os.urandom(16))
        self.request = (f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        f"Sec-WebSocket-Key: {self.key.decode()}\r\n\r\n").encode()

    def check(self, answer):
        """The name of the hub that agreed."""
        if not answer.first.startswith("HTTP/1.1 101 "):
            raise Broken(answer.first)
        if answer.fields.get("sec-websocket-accept", "").encode() != accept_key(self.key):
            raise Broken("Sec-WebSocket-Accept")
        return answer.fields["x-hub"]


class WebSocket:
    """A client. `tls` is an ssl.SSLContext, `before` what is sent ahead of all else (a PROXY
    header), `hub` the name of the hub it landed on."""

    def __init__(self, address, tls=None, host="hub.test", source=None, before=b"", session=None,
                 timeout=5.0):
        sock = connect(address, timeout, source)
        try:
            if before:
                sock.sendall(before)
            if tls:
                sock = tls.wrap_socket(sock, server_hostname=host, session=session,
                                       suppress_ragged_eofs=False)
            self.sock = sock
            self.frames = Frames(from_client=False)
            self.messages = []
            opening = Opening(host)
            sock.sendall(opening.request)
            buffer = bytearray()
            while (answer := take_head(buffer)) is None:
                buffer += self._read()
            self.hub = opening.check(answer)
            self.client_seen = answer.fields["x-client"]    # its address as the hub was told
            self.messages += self.frames.feed(buffer)
        except BaseException:
            sock.close()
            raise

    def _read(self):
        data = self.sock.recv(262144)
        if not data:
            raise ConnectionError("end of stream")
        return data

    def send(self, payload, opcode=TEXT):
        data = payload.encode() if isinstance(payload, str) else payload
        self.sock.sendall(frame(opcode, data, client=True))

    def receive(self):
        """The next message: text, or bytes. Pings are answered; a close is an error."""
        while True:
            while not self.messages:
                self.messages += self.frames.feed(self._read())
            opcode, payload = self.messages.pop(0)
            if opcode == PING:
                self.send(payload, PONG)
            elif opcode == CLOSE:
                raise ConnectionError("closed")
            elif opcode != PONG:
                return payload.decode() if opcode == TEXT else payload

    def ask(self, text):
        self.send(text)
        return self.receive()

    def echoes(self, text="still here?"):
        """Whether the relay lives."""
        try:
            return self.ask(text) == text
        except OSError:
            return False

    def leave(self):
        """The closing handshake (RFC 6455 7.1.2), then the connection's own end."""
        self.send(struct.pack("!H", 1000), CLOSE)
        while CLOSE not in [opcode for opcode, _ in self.messages]:
            self.messages += self.frames.feed(self._read())
        self.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
