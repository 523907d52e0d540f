"""An echo server for thousands on one thread; clients and operators that come without pause."""
import re
import selectors
import socket
import threading

from lib.waiting import SLOW

STORMERS = 4


class Echo:
    """An echo server for thousands of connections, on one thread."""

    def __init__(self, name):
        self.name = name
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.text = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.wake, self.waker = socket.socketpair()
        self.selector.register(self.wake, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.wake:
                    return
                if key.fileobj is self.listener:
                    sock, _ = self.listener.accept()
                    self.selector.register(sock, selectors.EVENT_READ)
                else:
                    self._echo(key.fileobj)

    def _echo(self, sock):
        try:
            data = sock.recv(65536)
            if data:
                sock.sendall(data)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(sock)
            sock.close()

    def close(self):
        self.waker.send(b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        self.waker.close()


class Storm:
    """Connects, asks, closes, again and again, until it is told to stop."""

    def __init__(self, address):
        self.address = address
        self.done = 0
        self.failures = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(STORMERS)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.stopping.is_set():
            try:
                with socket.create_connection(self.address, timeout=20 * SLOW) as client:
                    client.sendall(b"ping")
                    assert client.recv(4, socket.MSG_WAITALL) == b"ping"
                self.done += 1
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))

    def close(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30 * SLOW)


def ask(client, data=b"ping"):
    client.sendall(data)
    assert client.recv(len(data), socket.MSG_WAITALL) == data


def refused(address):
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


class Operators:
    """Look at the admin address and the control socket without pause."""

    def __init__(self, router, runtime):
        self.failures = []
        self.seen = {"pids": set(), "looks": 0}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(router, runtime), daemon=True)
        self.thread.start()

    def _run(self, router, runtime):
        while not self.stopping.is_set():
            try:
                status, body = router.http("/stats.json")
                assert status == 200, status
                self.seen["pids"].add(int(re.search(r'"pid":(\d+)', body)[1]))
                assert "Pid: " in runtime("show info")
                self.seen["looks"] += 1
            except (OSError, AssertionError, ValueError) as error:
                self.failures.append(repr(error))

    def close(self):
        self.stopping.set()
        self.thread.join(30)
