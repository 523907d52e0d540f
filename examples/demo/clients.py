"""The demo's clients: threads that write and read one command at a time, as an application would,
and note what they were told and when."""
import secrets
import threading
import time
from dataclasses import dataclass

from resp import Client, RedisError

PATIENCE = 15  # seconds a client waits for an answer: longer than the router's queue_timeout
PAUSE = 0.003  # between two commands
PAUSE_ON_ERROR = 0.02


@dataclass
class Write:
    """One SET of a key that is never used again."""
    key: str
    value: str
    sent: float
    acknowledged: float = 0.0  # 0: never; its fate is unknown


class ClientThread(threading.Thread):
    def __init__(self, port, reconnect=False):
        super().__init__(daemon=True)
        self.port = port
        self.reconnect = reconnect  # a new connection for every command
        self.client = None
        self.errors = []  # (time, words)
        self.ending = threading.Event()

    def run(self):
        while not self.ending.wait(PAUSE):
            try:
                if self.client is None:
                    self.client = Client(self.port, PATIENCE)
                self.command()
                if self.reconnect:
                    self._disconnect()
            except (OSError, RedisError) as error:
                if not self.ending.is_set():
                    self.errors.append((time.monotonic(), str(error)))
                self._disconnect()
                self.ending.wait(PAUSE_ON_ERROR)
        self._disconnect()

    def command(self):
        raise NotImplementedError

    def _disconnect(self):
        if self.client is not None:
            self.client.close()
            self.client = None

    def errors_between(self, begin, end):
        return sum(begin <= at < end for at, _ in self.errors)


class Writer(ClientThread):
    """Writes keys of its own, each once, each with a value of its own."""

    def __init__(self, name, port, reconnect=False):
        super().__init__(port, reconnect)
        self.name = name
        self.writes = []

    def command(self):
        number = len(self.writes)
        write = Write(f"{self.name}:{number}", secrets.token_hex(8), time.monotonic())
        self.writes.append(write)
        if self.client.call("SET", write.key, write.value) == "OK":
            write.acknowledged = time.monotonic()

    def acknowledged(self):
        return [write for write in list(self.writes) if write.acknowledged]

    def pause_around(self, moment):
        """Seconds from the last acknowledgement before `moment` to the first one after it, and the
        part of them that lies after it. None if there was none after it."""
        times = [write.acknowledged for write in self.acknowledged()]
        after = [at for at in times if at > moment]
        before = [at for at in times if at <= moment]
        if not after or not before:
            return None
        return after[0] - before[-1], after[0] - moment

    def longest_pause(self, begin, end):
        times = [at for at in (w.acknowledged for w in self.acknowledged()) if begin <= at <= end]
        return max((b - a for a, b in zip([begin] + times, times + [end])), default=0.0)


class Reader(ClientThread):
    """Reads; only whether it is answered counts."""

    def __init__(self, port):
        super().__init__(port)
        self.answers = 0

    def command(self):
        self.client.call("GET", "writer-0:0")
        self.answers += 1


class Pulse(ClientThread):
    """Writes one key over and over and keeps no record but numbers: may run for days."""

    def __init__(self, name, port):
        super().__init__(port)
        self.name = name
        self.count = 0
        self.longest = 0.0
        self.last = time.monotonic()

    def command(self):
        self.client.call("SET", self.name, self.count)
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now
        self.count += 1


def stop(clients, seconds=2):
    """Each ends its command first; whoever is still waiting after `seconds` is left behind."""
    for client in clients:
        client.ending.set()
    deadline = time.monotonic() + seconds
    for client in clients:
        client.join(max(0.0, deadline - time.monotonic()))
