"""What clients and MySQL servers said to each other, recorded, and the router's own reading of it
(test/unit/test_mysql_dialogue.c)."""
import os
import re
import socket
import struct
import subprocess
import threading

from lib.mysql_wire import OK
from lib.sockets import local

PROJECT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.environ.get("ROUTER_BUILD", os.path.join(PROJECT, "build"))
READER = os.path.join(BUILD, "unit", "test_mysql_dialogue")
CLIENT, SERVER = "C", "S"


class Dialogue:
    """Behind a login. `said` is [(CLIENT or SERVER, bytes)] in the order in which it was read."""

    def __init__(self, capabilities):
        self.capabilities = capabilities
        self.said = []

    def note(self, who, data):
        self.said.append((who, bytes(data)))

    def bytes_of(self, who):
        return b"".join(data for side, data in self.said if side == who)

    def data(self):
        return (b"N" + struct.pack("<I", self.capabilities)
                + b"".join(who.encode() + struct.pack("<I", len(data)) + data
                           for who, data in self.said))

    def turns(self):
        """How many bytes the server had said whenever the client spoke again, and at the end."""
        total, turns = 0, []
        for side, data in self.said:
            if side == CLIENT:
                turns.append(total)
            else:
                total += len(data)
        return [*turns, total]


class Event:
    """A line that the reader told: what, where, and the rest by names."""

    def __init__(self, line):
        self.line = line
        self.what, _, rest = line.partition(" ")
        where = re.match(r"\d+", rest)
        self.at = int(where.group()) if where else None
        self.values = dict(re.findall(r"(\w+)=(\S*)", rest))

    def __getattr__(self, name):
        value = self.values[name]
        return bytes.fromhex(value) if name == "state" else int(value)

    def __repr__(self):
        return self.line


def read(dialogues, place, seed=1, rounds=20):
    """What the reader makes of them: a list of events for each. It plays all `rounds` times, cut
    otherwise each time, and it must come to the same."""
    path = os.path.join(place, "dialogues")
    with open(path, "wb") as file:
        file.writelines(dialogue.data() for dialogue in dialogues)
    done = subprocess.run([READER, path, str(seed), str(rounds)], capture_output=True, text=True,
                          timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    events, read_all = [], []
    for line in done.stdout.splitlines():
        if re.match("command|end|file|bad|over", line):
            events.append(Event(line))
        if line.startswith("over"):
            read_all.append(events)
            events = []
    assert len(read_all) == len(dialogues)
    return read_all


# What a router that has to find its way does not offer: compression, optional metadata; and of
# MariaDB's own all but bulk operations and extended metadata.
REFUSED = 1 << 5 | 1 << 25 | 1 << 26
OFFERED_EXTENDED = 1 << 2 | 1 << 3


def offered(greeting):
    """A greeting, a whole packet, without what is not offered."""
    at = greeting.index(b"\0", 5) + 14  # behind the version, the thread, 8 bytes and a zero
    text = bytearray(greeting)
    low, charset, status, high = struct.unpack_from("<HBHH", text, at)
    flags = (low | high << 16) & ~REFUSED
    struct.pack_into("<HBHH", text, at, flags & 0xffff, charset, status, flags >> 16)
    extended, = struct.unpack_from("<I", text, at + 14)
    struct.pack_into("<I", text, at + 14, extended & OFFERED_EXTENDED)
    return bytes(text)


class Recorder:
    """Stands before a server, passes on all but what is not offered, and keeps it by
    connections."""

    def __init__(self, target):
        self.target = target
        self.dialogues = []
        self.lock = threading.Lock()
        self.threads = []
        self.listener = socket.create_server(local(0))
        self.address = self.listener.getsockname()
        self._spawn(self._accept)

    def _spawn(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            tape = Tape()
            with self.lock:
                self.dialogues.append(tape)
            self._spawn(self._pump, tape, CLIENT, client, server)
            self._spawn(self._pump, tape, SERVER, server, client)

    @staticmethod
    def _pump(tape, who, source, sink):
        try:
            while data := source.recv(1 << 18):
                if who == SERVER and not tape.said:
                    data = offered(data)
                tape.note(who, data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        """And all that was said is there. Again: no effect."""
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in list(self.threads):
            thread.join(10)

    def taken(self):
        """The dialogues behind the logins."""
        with self.lock:
            return [tape.behind_login() for tape in self.dialogues]


class Tape(Dialogue):
    """From the greeting on."""

    def __init__(self):
        super().__init__(0)
        self.lock = threading.Lock()

    def note(self, who, data):
        with self.lock:
            super().note(who, data)

    def behind_login(self):
        """Its OK is the first packet of the server that begins so, and nothing is behind it before
        the client asks."""
        login = next(data for who, data in self.said if who == CLIENT)
        dialogue = Dialogue(struct.unpack("<I", login[4:8])[0])
        over = False
        for number, (who, data) in enumerate(self.said):
            if over:
                dialogue.note(who, data)
            elif who == SERVER and number > 0:
                over = _last_packet(data)[:1] == bytes([OK])
        return dialogue


def _last_packet(data):
    while True:
        end = 4 + int.from_bytes(data[:3], "little")
        if end >= len(data):
            return data[4:]
        data = data[end:]
