"""A relay between a primary and its replica, which can be closed: the link stays up, and what the
primary writes arrives when it is opened again."""
import socket
import threading

from lib.fake import FakeServer


class Valve(FakeServer):
    def __init__(self, target):
        self.target = target  # a Redis
        self.is_open = threading.Event()
        self.is_open.set()
        super().__init__(self._relay, f"valve of {target.name}")

    @property
    def host(self):
        """With `port`: where a replica follows."""
        return self.address[0]

    def shut(self):
        self.is_open.clear()

    def open_again(self):
        self.is_open.set()

    def _relay(self, _server, near):
        with socket.create_connection(self.target.address, 5) as far:
            far.settimeout(None)
            threading.Thread(target=self._back, args=(near, far), daemon=True).start()
            while data := far.recv(65536):
                self.is_open.wait()
                near.sendall(data)

    @staticmethod
    def _back(near, far):
        """The replica's acknowledgements."""
        try:
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.is_open.set()
        super().close()
