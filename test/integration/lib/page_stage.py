"""The page as it is in the binary, over numbers that a test makes up: a small HTTP server that
plays the router's address, with or without a password."""
import base64
import copy
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PASSWORD = ("ops", "open sesame")


def server(name, **fields):
    return {"name": name, "address": "10.0.0.1:6379", "state": "up", "role": "unknown",
            "access": "open", "reason": "", "sessions": 0, "max_connections": 0, "weight": 1,
            "backup": False, "lag_bytes": None, "latency_us": 300, "probe_age_ms": 200,
            "failures": 0, "sessions_total": 0, "bytes_in": 0, "bytes_out": 0, **fields}


def backend(name, *servers, **fields):
    return {"name": name, "protocol": "tcp", "primary": None, "verdict": None, "stale": False,
            "reason": "", "waiting": 0, "queue_limit": 1024, "held_ms": 0, "tls": None,
            "sentinels": [], "servers": list(servers), **fields}


def frontend(name, *backends, **fields):
    return {"name": name, "binds": ["127.0.0.1:6379"], "backend": backends[0], "route": "any",
            "backends": list(backends), "has_server": True, "sessions": 0, "max_sessions": 0,
            "tls": None, "sessions_total": 0, "bytes_in": 0, "bytes_out": 0, **fields}


def numbers(frontends, backends, **fields):
    return {"router": {"version": "0", "pid": 1, "uptime_ms": 1000, "workers": 2, "sessions": 0,
                       "max_sessions": 1000, "generation": 1, "ready": True, "draining": False},
            "frontends": frontends, "backends": backends, "changes": [], "events": [], **fields}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        stage = self.server.stage
        wanted = "Basic " + base64.b64encode(":".join(PASSWORD).encode()).decode()
        if stage.locked and self.headers.get("Authorization") != wanted:
            stage.refused += 1
            scheme = "Page" if self.path.endswith("?page") else "Basic"
            self._answer(401, "text/plain", b"no\n",
                         ("WWW-Authenticate", f'{scheme} realm="router"'))
        elif self.path == "/stats.json?page":
            stage.asked += 1
            self._answer(stage.status, "application/json", json.dumps(stage.now()).encode())
        elif self.path == "/":
            self._answer(200, "text/html; charset=utf-8", stage.page,
                         ("Content-Security-Policy", stage.policy))
        else:
            self._answer(404, "text/plain", b"nothing\n")

    def _answer(self, status, kind, body, *fields):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", len(body)), *fields):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class PageStage:
    """`stats` is what is answered, by a clock that goes on. May be changed at any time."""

    def __init__(self, page, policy, stats):
        self.page, self.policy, self.stats = page, policy, stats
        self.status = 200
        self.locked = False
        self.asked = self.refused = 0
        self.began = time.monotonic()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.http.daemon_threads = True
        self.http.stage = self
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.address = f"127.0.0.1:{self.http.server_port}"

    def now(self):
        stats = copy.deepcopy(self.stats() if callable(self.stats) else self.stats)
        stats.get("router", {})["uptime_ms"] = 60000 + int((time.monotonic() - self.began) * 1000)
        return stats

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
