"""MySQL's commands as bytes, and a client that says many of them at once."""
import struct
import threading

from lib.mysql_recorded import CLIENT, SERVER, Dialogue
from lib.mysql_said import lenenc
from lib.mysql_wire import packet

QUIT, INIT_DB, QUERY, FIELD_LIST, CREATE_DB, DROP_DB, REFRESH = 1, 2, 3, 4, 5, 6, 7
STATISTICS, PROCESS_INFO, PROCESS_KILL, DEBUG, PING = 9, 10, 12, 13, 14
PREPARE, EXECUTE, SEND_LONG_DATA, CLOSE, RESET, SET_OPTION, FETCH = 22, 23, 24, 25, 26, 27, 28
RESET_CONNECTION, BULK_EXECUTE = 31, 250
EXECUTE_AT_ONCE = 249  # the router's own
UNANSWERED = (QUIT, SEND_LONG_DATA, CLOSE)
FULL = 0xffffff
READ_ONLY_CURSOR = 1
KEPT = 4096  # bytes


def query(text):
    return bytes([QUERY]) + text.encode()


def prepare(text):
    return bytes([PREPARE]) + text.encode()


def execute(statement, *values, cursor=0):
    """Values are numbers, texts, or None for one that was sent as long data."""
    text = struct.pack("<BIBI", EXECUTE, statement, cursor, 1)
    if values:
        kinds, data = b"", b""
        for value in values:
            kinds += struct.pack("<H", 8 if isinstance(value, int) else 253)
            if isinstance(value, int):
                data += struct.pack("<q", value)
            elif value is not None:
                data += lenenc(value)
        text += b"\0" * ((len(values) + 7) // 8) + b"\1" + kinds + data
    return text


def fetch(statement, rows):
    return struct.pack("<BII", FETCH, statement, rows)


def of_statement(code, statement):
    return struct.pack("<BI", code, statement)


def long_data(statement, number, data):
    return struct.pack("<BIH", SEND_LONG_DATA, statement, number) + data


def packets(payload, sequence=0):
    """A payload of any length."""
    if len(payload) < FULL:
        return packet(sequence & 0xff, payload)
    return packet(sequence & 0xff, payload[:FULL]) + packets(payload[FULL:], sequence + 1)


class Speaker:
    """Behind the login of a PyMySQL connection, whose socket it uses."""

    def __init__(self, connection):
        self.connection = connection  # it would close the socket
        self.sock = connection._sock  # pylint: disable=protected-access
        self.dialogue = Dialogue(connection.client_flag)
        self.first = b""  # the beginning and the end of what came last
        self.last = b""

    def say(self, data, until=None):
        """Sends it, and takes what comes until that is enough, or to the connection's end."""
        self.dialogue.note(CLIENT, data)
        sender = threading.Thread(target=self.sock.sendall, args=(data,), daemon=True)
        sender.start()
        self.first = self.last = b""
        while until is None or not until(self.last):
            data = self.sock.recv(1 << 20)
            if not data:
                assert until is None, self.last[-100:]
                break
            self.dialogue.note(SERVER, data)
            self.first = (self.first + data[:KEPT])[:KEPT]
            self.last = (self.last + data[-KEPT:])[-KEPT:]
        sender.join(10)
        assert not sender.is_alive()
