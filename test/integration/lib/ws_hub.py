"""A hub: a real WebSocket server in a process of its own, so that it can be killed like one.

It echoes what is sent to it and knows no other relay. Beside that it answers HTTP on the same port:
GET /health with a status that PUT /health/503 changes, GET /stats, and GET / with a page."""
import argparse
import http.client
import json
import os
import signal
import socket
import ssl
import struct
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.process import Process, free_port  # noqa: E402
from lib.streams import WANT_READ, Loop, Stream, exact  # noqa: E402
from lib.waiting import SLOW, until  # noqa: E402
from lib.websocket import (BINARY, CLOSE, PING, PONG, TEXT, Frames, accept_key,  # noqa: E402
                           frame, take_head)

REASONS = {101: "Switching Protocols", 200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class Relay(Stream):
    """One client of the hub: HTTP until it asks for the upgrade."""

    def __init__(self, hub, sock, peer):
        super().__init__(hub.loop, sock, tls=hub.tls, server=True)
        self.hub = hub
        self.peer = peer
        self.buffer = bytearray()
        self.frames = None

    def on_open(self):
        pass

    def on_data(self, data):
        if self.frames:
            self._talk(data)
            return
        self.buffer += data
        while not self.frames and (request := take_head(self.buffer)) is not None:
            self._answer(request)

    def _answer(self, request):
        method, path, _ = request.first.split(" ", 2)
        if request.fields.get("upgrade", "").lower() == "websocket":
            self._upgrade(request)
            return
        status, kind, body = self.hub.http(method, path)
        self.send(head(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}") + body)

    def _upgrade(self, request):
        key = accept_key(request.fields["sec-websocket-key"].encode()).decode()
        client = request.fields.get("x-forwarded-for", self.peer)
        self.send(head(101, "Upgrade: websocket", "Connection: Upgrade",
                       f"Sec-WebSocket-Accept: {key}", f"X-Hub: {self.hub.name}",
                       f"X-Client: {client}"))
        self.frames = Frames(from_client=True)
        self.hub.relays.add(self)
        self.hub.accepted += 1
        self._talk(bytes(self.buffer))

    def _talk(self, data):
        for opcode, payload in self.frames.feed(data):
            if opcode == CLOSE:
                self.send(frame(CLOSE, payload[:2]))
                self.leave()
                return
            if opcode == PING:
                self.send(frame(PONG, payload))
            elif opcode in (TEXT, BINARY):
                self._message(opcode, payload)

    def _message(self, opcode, payload):
        if payload == b"!name":
            self.send(frame(TEXT, self.hub.name.encode()))
        elif payload == b"!cut":          # no closing frame, and no close_notify
            self.end("cut")
        elif payload == b"!reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.end("reset")
        else:
            self.send(frame(opcode, payload))

    def on_end(self, _why):
        self.hub.relays.discard(self)


def head(status, *fields):
    return "\r\n".join([f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}", *fields,
                        "", ""]).encode()


class Server:
    def __init__(self, name, port, tls, page):
        self.name = name
        self.tls = tls
        self.page = page
        self.status = 200
        self.relays = set()
        self.accepted = 0
        self.asked = 0      # how often GET /health was
        self.loop = Loop()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.loop.watch(self, self.listener.fileno(), WANT_READ)

    def ready(self, _events):
        while True:
            try:
                sock, peer = self.listener.accept()
            except BlockingIOError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Relay(self, sock, peer[0]).start()

    def http(self, method, path):
        """(status, content type, body)"""
        if method == "PUT" and path.startswith("/health/"):
            self.status = int(path.rsplit("/", 1)[1])
            return 200, "text/plain", b"from now on\n"
        if path == "/health":
            self.asked += 1
            return self.status, "text/plain", b"as you see\n"
        if path == "/stats":
            numbers = {"name": self.name, "open": len(self.relays), "accepted": self.accepted,
                       "asked": self.asked}
            return 200, "application/json", json.dumps(numbers).encode()
        if path == "/" and self.page:
            return 200, "text/html; charset=utf-8", self.page
        return 404, "text/plain", b"no such thing\n"

    def run(self):
        while True:
            self.loop.turn(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("port", type=int)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--page")
    arguments = parser.parse_args()
    tls = None
    if arguments.cert:
        tls = exact(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        tls.load_cert_chain(arguments.cert, arguments.key)
    page = None
    if arguments.page:
        with open(arguments.page, "rb") as file:
            page = file.read()
    Server(arguments.name, arguments.port, tls, page).run()


class WsHub:
    """The handle that a test holds. `tls` is (certificate chain, key) as files."""

    def __init__(self, directory, name, tls=None, page=None, port=None, nofile=None, wait=True):
        self.directory = directory
        self.name = name
        self.port = port or free_port()
        self.tls = tls
        self.arguments = [*(["--cert", tls[0], "--key", tls[1]] if tls else []),
                          *(["--page", page] if page else [])]
        self.nofile = nofile
        self.start(wait)

    @property
    def text(self):
        return f"127.0.0.1:{self.port}"

    def start(self, wait=True):
        """Also again, after kill()."""
        self.process = Process(["/usr/bin/python3", "-B", os.path.abspath(__file__), self.name,
                                str(self.port), *self.arguments],
                               os.path.join(self.directory, f"{self.name}.log"),
                               nofile=self.nofile)
        if wait:
            self.wait_up()
        return self

    def wait_up(self):
        until(self._answers, f"hub {self.name} to answer", 10)

    def _answers(self):
        assert self.process.running(), self.process.log
        try:
            return self.stats()
        except OSError:
            return None

    def _http(self, method, path):
        """Past the router."""
        if self.tls:
            trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusting.check_hostname = False
            trusting.verify_mode = ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5 * SLOW,
                                                     context=trusting)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5 * SLOW)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def stats(self):
        return json.loads(self._http("GET", "/stats"))

    def open(self):
        """How many relays it holds now."""
        return self.stats()["open"]

    def health(self, status):
        """What GET /health says from now on."""
        self._http("PUT", f"/health/{status}")

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.signal(signal.SIGSTOP)

    def close(self):
        self.process.kill()


def hubs(home, *names, **options):
    """Started side by side."""
    found = [home.keep(WsHub(home.directory(name), name, wait=False, **options)) for name in names]
    for hub in found:
        hub.wait_up()
    return found


if __name__ == "__main__":
    main()
