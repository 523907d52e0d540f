"""What listens as systemd does, for the notify protocol."""
import os
import socket

from lib.waiting import until


class Manager:
    """Listens as systemd does; a datagram is a list of lines."""

    def __init__(self, home, abstract=False):
        self.sock = home.keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        name = f"router-test-{os.getpid()}-{id(self)}"
        self.address = f"@{name}" if abstract else os.path.join(home.path, "notify")
        self.sock.bind("\0" + name if abstract else self.address)
        self.sock.setblocking(False)
        self.heard = []

    def environment(self, **more):
        return {"NOTIFY_SOCKET": self.address, **more}

    def listen(self):
        try:
            while True:
                self.heard.append(self.sock.recv(4096).decode().split("\n"))
        except BlockingIOError:
            return self.heard

    def lines(self):
        return [line for notice in self.listen() for line in notice]

    def beats(self):
        return self.lines().count("WATCHDOG=1")

    def wait(self, line, timeout=5.0):
        until(lambda: line in self.lines(), f"{line} in {self.heard}", timeout)
