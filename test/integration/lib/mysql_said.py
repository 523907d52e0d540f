"""MySQL's packets, beyond what lib/mysql_wire.py has: greetings, logins, changes of user, results;
read and written, for fakes and for clients by hand."""
import hashlib
import struct

from lib.mysql_wire import (AUTH_SWITCH, CONNECT_ATTRS, ERR, OK, PLUGIN_AUTH, PROTOCOL_41,
                            SECURE_CONNECTION, SSL, packet)

LONG_PASSWORD, LONG_FLAG, CONNECT_WITH_DB, COMPRESS, LOCAL_FILES = 1, 4, 8, 0x20, 0x80
TRANSACTIONS, MULTI_STATEMENTS, MULTI_RESULTS = 0x2000, 0x10000, 0x20000
LENENC, SESSION_TRACK, DEPRECATE_EOF = 1 << 21, 1 << 23, 1 << 24

# What an ordinary client claims, and what an ordinary server offers.
CLIENT = (PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH | LONG_FLAG | TRANSACTIONS
          | MULTI_RESULTS | LOCAL_FILES)
SERVER = (CLIENT | CONNECT_WITH_DB | CONNECT_ATTRS | MULTI_STATEMENTS | LENENC | SESSION_TRACK
          | DEPRECATE_EOF | 2)

IN_TRANS, AUTOCOMMIT, STATE_CHANGED = 1, 2, 0x4000
COM = {"sleep": 0, "quit": 1, "init_db": 2, "query": 3, "field_list": 4, "statistics": 9,
       "ping": 14, "change_user": 17, "prepare": 22, "reset": 31}
NATIVE = "mysql_native_password"


def native_proof(password, nonce):
    """mysql_native_password's."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()
    salted = hashlib.sha1(nonce[:20] + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, salted))


def lenenc(text):
    """A string behind its length."""
    data = text if isinstance(text, bytes) else str(text).encode("latin-1")
    if len(data) < 251:
        return bytes([len(data)]) + data
    if len(data) < 1 << 16:
        return b"\xfc" + struct.pack("<H", len(data)) + data
    return b"\xfd" + struct.pack("<I", len(data))[:3] + data


def read_lenenc(data, at):
    """(number, behind it); None is SQL's NULL."""
    first = data[at]
    if first == 0xfb:
        return None, at + 1
    size = {0xfc: 2, 0xfd: 3, 0xfe: 8}.get(first, 0)
    if not size:
        return first, at + 1
    return int.from_bytes(data[at + 1:at + 1 + size], "little"), at + 1 + size


def greeting(nonce, thread, version="5.5.5-10.11.6-MariaDB", capabilities=SERVER, plugin=NATIVE,
             charset=45, protocol=10):
    """HandshakeV10's payload."""
    return (bytes([protocol]) + version.encode() + b"\0" + struct.pack("<I", thread) + nonce[:8]
            + b"\0" + struct.pack("<HBHH", capabilities & 0xffff, charset, AUTOCOMMIT,
                                  capabilities >> 16)
            + bytes([21]) + b"\0" * 10 + nonce[8:20] + b"\0" + plugin.encode() + b"\0")


class Greeting:
    def __init__(self, payload):
        assert payload[0] == 10, payload
        self.version, _, rest = payload[1:].partition(b"\0")
        self.thread, first = struct.unpack("<I8s", rest[:12])
        low, self.charset, self.status, high = struct.unpack("<HBHH", rest[13:20])
        self.capabilities = low | high << 16
        self.nonce = first + rest[31:43]
        self.plugin = rest[44:].partition(b"\0")[0].decode()


def response(user, proof=b"", capabilities=CLIENT, plugin=NATIVE, database=None, attributes=None,
             charset=45, reserved=b"\0" * 23):
    """HandshakeResponse41's payload. Names are text or bytes; `attributes` is a dictionary, or
    bytes with their length in front."""
    capabilities |= CONNECT_WITH_DB if database is not None else 0
    capabilities |= CONNECT_ATTRS if attributes is not None else 0
    text = struct.pack("<IIB", capabilities, 1 << 24, charset) + reserved + _bytes(user) + b"\0"
    text += lenenc(proof) if capabilities & LENENC else bytes([len(proof)]) + proof
    if capabilities & CONNECT_WITH_DB:
        text += _bytes(database or "") + b"\0"
    if capabilities & PLUGIN_AUTH:
        text += _bytes(plugin) + b"\0"
    if capabilities & CONNECT_ATTRS:
        text += attributes if isinstance(attributes, bytes) else attribute_block(attributes or {})
    return text


def attribute_block(attributes):
    return lenenc(b"".join(lenenc(key) + lenenc(value) for key, value in attributes.items()))


def change_user(user, proof=b"", plugin=NATIVE, database="", charset=45):
    """COM_CHANGE_USER's payload."""
    return (b"\x11" + _bytes(user) + b"\0" + bytes([len(proof)]) + proof + _bytes(database)
            + b"\0" + struct.pack("<H", charset) + _bytes(plugin) + b"\0")


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


class Request:
    """A login, or a change of user, as a server reads it."""

    def __init__(self, payload, capabilities=None):
        if capabilities is None:
            self.capabilities, = struct.unpack("<I", payload[:4])
            self.charset, at = payload[8], 32
        else:
            self.capabilities, at = capabilities, 1
        user, _, rest = payload[at:].partition(b"\0")
        self.user = user.decode("latin-1")
        size, at = rest[0], 1
        if capabilities is None and self.capabilities & LENENC:
            size, at = read_lenenc(rest, 0)
        self.proof, rest = rest[at:at + size], rest[at + size:]
        self.database = ""
        if capabilities is not None or self.capabilities & CONNECT_WITH_DB:
            database, _, rest = rest.partition(b"\0")
            self.database = database.decode("latin-1")
        if capabilities is not None:
            self.charset, rest = rest[0], rest[2:]
        self.plugin, _, self.attributes = rest.partition(b"\0")
        self.plugin = self.plugin.decode("latin-1")


def ok(status=AUTOCOMMIT, first=OK, told=()):
    """told: what has changed of the session's state, as variable() says it."""
    status |= STATE_CHANGED if told else 0
    behind = b"\0" + lenenc(b"".join(told)) if told else b""
    return bytes([first]) + b"\0\0" + struct.pack("<HH", status, 0) + behind


def variable(name, value):
    return b"\0" + lenenc(lenenc(name) + lenenc(value))


CHANGED = b"\2" + lenenc(lenenc("1"))  # something that has no name


def error(code, words, state="HY000"):
    return bytes([ERR]) + struct.pack("<H", code) + b"#" + state.encode() + words.encode()


def switch(nonce, plugin=NATIVE):
    """AuthSwitchRequest."""
    return bytes([AUTH_SWITCH]) + plugin.encode() + b"\0" + nonce + b"\0"


def _eof(status):
    return b"\xfe\0\0" + struct.pack("<H", status)


def column(name):
    return (b"".join(map(lenenc, ("def", "", "", "", name, ""))) + b"\x0c"
            + struct.pack("<HIBHBH", 45, 1024, 253, 0, 0, 0))


def result(names, rows, capabilities, status=AUTOCOMMIT, sequence=1):
    """A text result set as packets."""
    payloads = [bytes([len(names)]), *map(column, names)]
    if not capabilities & DEPRECATE_EOF:
        payloads.append(_eof(status))
    payloads += [b"".join(map(lenenc, row)) for row in rows]
    payloads.append(ok(status, 0xfe) if capabilities & DEPRECATE_EOF else _eof(status))
    return b"".join(packet((sequence + n) & 0xff, payload) for n, payload in enumerate(payloads))


class SaidNo(Exception):
    """An ERR packet."""

    def __init__(self, payload):
        self.code, = struct.unpack("<H", payload[1:3])
        self.state = payload[4:9].decode() if payload[3:4] == b"#" else ""
        self.words = payload[9 if self.state else 3:].decode("utf-8", "replace")
        super().__init__(self.code, self.state, self.words)
