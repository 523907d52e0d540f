"""A relay before a server whose bytes come in pieces: most of them arrive by themselves."""
import random
import socket
import threading

from lib.fake import FakeServer

PIECE = 40  # bytes, at most
MANY = 20000  # of what comes at once, behind which there are no pieces any more


class Chopper(FakeServer):
    def __init__(self, target, seed):
        self.target, self.chance = target, random.Random(seed)
        super().__init__(self._relay, target.name)

    def _relay(self, _server, near):
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with socket.create_connection(self.target.address, 5) as far:
            far.settimeout(None)
            threading.Thread(target=self._back, args=(near, far), daemon=True).start()
            while data := far.recv(65536):
                self._chop(near, data)

    def _chop(self, near, data):
        at = 0
        while at < min(len(data), MANY):
            size = self.chance.randrange(1, PIECE)
            near.sendall(data[at:at + size])
            at += size
        near.sendall(data[at:])

    @staticmethod
    def _back(near, far):
        try:
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
