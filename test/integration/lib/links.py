"""TCP links that can be cut: silence, as a network that loses everything, not a reset."""
import contextlib
import socket
import threading


class Link:
    """Relays what connects to `address` to `target` while it is whole. In a cut link connections
    stay open, and new ones are accepted, but nothing comes out at the other end; mend() ends all
    that were open, whose streams have holes."""

    def __init__(self, address, target, source=None):
        self.target = target
        self.source = (source, 0) if source else None  # whence the target sees it come
        self.whole = True
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server(address)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.ExitStack() as stack:
            stack.callback(self._forget, client)
            self._remember(client)
            if not self.whole:
                self._pump(client, None)
                return
            try:
                server = socket.create_connection(self.target, 5, self.source)
            except OSError:
                return
            server.settimeout(None)
            stack.callback(self._forget, server)
            self._remember(server)
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.whole and sink:
                    sink.sendall(data)
        for sock in (source, sink):
            _end(sock)

    def _remember(self, sock):
        with self.lock:
            self.open.add(sock)

    def _forget(self, sock):
        with self.lock:
            self.open.discard(sock)
        sock.close()

    def cut(self):
        self.whole = False

    def mend(self):
        if not self.whole:
            self._end_all()
            self.whole = True

    def _end_all(self):
        with self.lock:
            for sock in self.open:
                _end(sock)

    def close(self):
        _end(self.listener)
        self.listener.close()
        self._end_all()


def _end(sock):
    """Wakes whoever reads it."""
    if sock:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
