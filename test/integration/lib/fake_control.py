"""A control socket that says what a test tells it, or breaks off, floods, is silent."""
import json
import os
import select
import socket
import threading

ASKED = "set severity-output number"

DOCUMENT = {
    "router": {"version": "9.9.9", "pid": 77, "uptime_ms": 3723000, "workers": 2, "sessions": 17,
               "max_sessions": 1000, "ready": True, "draining": False},
    "frontends": [
        {"name": "write", "binds": ["127.0.0.1:6379"], "backend": "redis", "route": "primary",
         "has_server": True, "sessions": 12, "max_sessions": 0, "sessions_total": 100,
         "bytes_in": 1000, "bytes_out": 2000, "denied": 1, "refused_rate": 2},
        {"name": "hubs", "binds": ["127.0.0.1:8000"], "backend": "hubs", "route": "any",
         "has_server": False, "sessions": 5, "max_sessions": 50, "sessions_total": 40,
         "bytes_in": 10, "bytes_out": 20, "denied": 0}],
    "backends": [
        {"name": "redis", "protocol": "redis", "primary": "r1", "verdict": "primary",
         "stale": False, "reason": "one claim, and it continues the elected history", "waiting": 0,
         "held_ms": 0, "servers": [
             {"name": "r1", "address": "10.0.0.1:6379", "state": "up", "role": "primary",
              "access": "open", "reason": "says role:master", "sessions": 12, "weight": 1,
              "max_connections": 256, "lag_bytes": None, "behind_ms": None, "latency_us": 312,
              "sessions_total": 100, "bytes_in": 1000, "bytes_out": 2000},
             {"name": "r2", "address": "10.0.0.2:6379", "state": "down", "role": "replica",
              "access": "none", "reason": "connection refused", "sessions": 0, "weight": 1,
              "max_connections": 0, "lag_bytes": 4096, "behind_ms": None, "latency_us": None,
              "sessions_total": 3, "bytes_in": 0, "bytes_out": 0}]},
        {"name": "hubs", "protocol": "http", "primary": None, "verdict": None, "stale": False,
         "reason": "0 of 1 servers take new sessions", "waiting": 3, "held_ms": 0, "servers": [
             {"name": "h1", "address": "10.0.1.1:80", "state": "unknown", "role": "unknown",
              "access": "none", "reason": "not asked yet", "sessions": 5, "weight": 1,
              "max_connections": 0, "latency_us": None, "sessions_total": 9, "bytes_in": 0,
              "bytes_out": 0}]}],
    "changes": [{"number": 1, "at": "2026-11-21T09:00:01.000Z", "backend": "redis", "from": None,
                 "to": "r1", "evidence": "it was promoted", "elected_ms": 0.5, "fenced_ms": 0,
                 "published_ms": 0.9, "written_ms": None, "held": 4, "closed": 0}],
    "events": [{"number": 2, "at": "2026-11-21T09:00:02.000Z", "backend": "redis",
                "kind": "server", "text": "r2 is down"},
               {"number": 1, "at": "2026-11-21T09:00:01.000Z", "backend": "", "kind": "router",
                "text": "started"}],
}


class FakeControl:
    """`answers` maps a command to its answer (text, without the empty line behind it), or to a
    function(sock) that takes the connection over. `asked` is what was asked, in order."""

    def __init__(self, path, answers=None, document=None):
        self.path = path
        self.answers = {"show json": json.dumps(document or DOCUMENT) + "\n", **(answers or {})}
        self.asked = []
        self.ended = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        self.wake_reader, self.wake_writer = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            ready, _, _ = select.select([self.listener, self.wake_reader], [], [])
            if self.wake_reader in ready:
                return
            sock, _ = self.listener.accept()
            with sock:
                try:
                    self._answer(sock)
                except (BrokenPipeError, ConnectionResetError):
                    pass

    def _answer(self, sock):
        line = b""
        while not line.endswith(b"\n"):
            got = sock.recv(4096)
            if not got:
                return
            line += got
        first, _, command = line.decode().rstrip("\n").partition(";")
        assert first == ASKED, first
        self.asked.append(command)
        answer = self.answers.get(command, "[3]: Unknown command.\n")
        if callable(answer):
            answer(sock)
        else:
            sock.sendall(f"\n{answer}\n".encode())

    def close(self):
        os.write(self.wake_writer, b"x")
        self.ended.set()
        self.thread.join()
        self.listener.close()
        os.close(self.wake_reader)
        os.close(self.wake_writer)
