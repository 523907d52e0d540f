"""A client of MySQL's protocol that shows what the session trackers of a server say: what an OK
packet carries as "session state information"."""
import struct

from lib.mysql_wire import (AUTH_SWITCH, CAPABILITIES, ERR, OK, SSL, Wire)

CONNECT_WITH_DB, MULTI_STATEMENTS, MULTI_RESULTS = 0x8, 0x10000, 0x20000
PS_MULTI_RESULTS, SESSION_TRACK, DEPRECATE_EOF = 0x40000, 0x800000, 0x1000000

INIT_DB, QUERY, CHANGE_USER, PREPARE, EXECUTE, CLOSE, SET_OPTION, RESET = (
    0x02, 0x03, 0x11, 0x16, 0x17, 0x19, 0x1b, 0x1f)

IN_TRANS, AUTOCOMMIT, MORE_RESULTS, STATE_CHANGED = 0x1, 0x2, 0x8, 0x4000

KINDS = {0: "variable", 1: "schema", 2: "state", 3: "gtids", 4: "characteristics",
         5: "transaction"}


class Refused(Exception):
    """An ERR: (number, words)."""


def lenenc(data, at):
    """(number, where it ends)"""
    first = data[at]
    if first < 0xfb:
        return first, at + 1
    size = {0xfc: 2, 0xfd: 3, 0xfe: 8}[first]
    return int.from_bytes(data[at + 1:at + 1 + size], "little"), at + 1 + size


def text(data, at):
    length, at = lenenc(data, at)
    assert at + length <= len(data)
    return data[at:at + length], at + length


def changes(info):
    """[(kind, text, ...)] of session state information."""
    found, at = [], 0
    while at < len(info):
        kind, (body, at) = info[at], text(info, at + 1)
        parts, inner = [], 1 if kind == 3 else 0  # behind the encoding of GTIDs
        if kind == 2:  # no length of its own
            parts, inner = [body.decode()], len(body)
        while inner < len(body):
            part, inner = text(body, inner)
            parts.append(part.decode("latin-1"))
        found.append((KINDS.get(kind, str(kind)), *parts))
    return found


class Reply:
    """All results of one command."""

    def __init__(self):
        self.changes = []  # of all its OK packets
        self.raw = b""     # the same as bytes
        self.rows = []
        self.status = self.warnings = self.insert_id = 0

    def ok(self, payload):
        _affected, at = lenenc(payload, 1)
        self.insert_id, at = lenenc(payload, at)
        self.status, self.warnings = struct.unpack_from("<HH", payload, at)
        at += 4
        if at < len(payload):
            _info, at = text(payload, at)
        if self.status & STATE_CHANGED and at < len(payload):
            info, at = text(payload, at)
            self.raw += info
            self.changes += changes(info)
        assert at == len(payload), payload

    def eof(self, payload):
        self.warnings, self.status = struct.unpack_from("<HH", payload, 1)

    def told(self, *kinds):
        return [change for change in self.changes if change[0] in kinds]


class Tracked(Wire):
    """Logged in as an account without a password."""

    def log_in(self, user="root", database="", modern=True, trackers=True, charset=33):
        self.modern = modern
        self.greeting = self.read()[1]
        assert self.greeting[0] == 10, self.greeting
        capabilities = (CAPABILITIES | MULTI_STATEMENTS | MULTI_RESULTS | PS_MULTI_RESULTS
                        | (SESSION_TRACK if trackers else 0) | (DEPRECATE_EOF if modern else 0)
                        | (CONNECT_WITH_DB if database else 0))
        self.send(1, struct.pack("<IIB", capabilities, 1 << 24, charset) + b"\0" * 23
                  + user.encode() + b"\0\0" + (database.encode() + b"\0" if database else b"")
                  + b"mysql_native_password\0")
        return self._logged_in()

    def _logged_in(self):
        sequence, payload = self.read()
        if payload[0] == AUTH_SWITCH:
            self.send(sequence + 1, b"")
            sequence, payload = self.read()
        self._fail(payload)
        assert payload[0] == OK, payload
        reply = Reply()
        reply.ok(payload)
        return reply

    @staticmethod
    def _fail(payload):
        if payload[0] == ERR:
            raise Refused(struct.unpack_from("<H", payload, 1)[0], payload[3:].decode("latin-1"))

    def command(self, code, argument=b""):
        self.send(0, bytes([code]) + argument)

    def simple(self, code, argument=b""):
        """A command that is answered by one OK."""
        self.command(code, argument)
        _sequence, payload = self.read()
        self._fail(payload)
        reply = Reply()
        if payload[0] == OK:
            reply.ok(payload)
        else:
            reply.eof(payload)
        return reply

    def query(self, statement):
        self.command(QUERY, statement if isinstance(statement, bytes) else statement.encode())
        return self._results()

    def execute(self, statement):
        self.command(EXECUTE, struct.pack("<IBI", statement, 0, 1))
        return self._results()

    def prepare(self, statement):
        """(its id, what the server told)"""
        self.command(PREPARE, statement.encode())
        _sequence, payload = self.read()
        self._fail(payload)
        number, columns, params = struct.unpack_from("<IHH", payload, 1)
        for count in (params, columns):
            for _ in range(count + (0 if self.modern or not count else 1)):
                self.read()
        return number

    def _results(self):
        reply = Reply()
        while True:
            _sequence, payload = self.read()
            self._fail(payload)
            if payload[0] == OK:
                reply.ok(payload)
            else:
                self._rows(reply, lenenc(payload, 0)[0])
            if not reply.status & MORE_RESULTS:
                return reply

    def _rows(self, reply, columns):
        for _ in range(columns + (0 if self.modern else 1)):
            self.read()
        while True:
            _sequence, payload = self.read()
            self._fail(payload)
            if payload[0] == 0xfe and len(payload) < 0xffffff:
                if self.modern:
                    reply.ok(payload)
                else:
                    reply.eof(payload)
                return
            reply.rows.append(payload)
