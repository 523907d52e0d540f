"""What stands side by side before the servers of one stage: router as it comes, and HAProxy with
the checks that people write for it."""
import contextlib
import datetime
import http.server
import os
import threading
import time

import pymysql

from lib.ini import frontend, section
from lib.process import Process, free_port

HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen writes
    bind 127.0.0.1:{port}
{check}
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""

REDIS_CHECK = """    option tcp-check
    tcp-check connect
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    tcp-check send info\\ replication\\r\\n
    tcp-check expect string role:master
    tcp-check send QUIT\\r\\n
    tcp-check expect string +OK"""
MYSQL_CHECK = "    option mysql-check user {user}"
HTTP_CHECK = "    option httpchk OPTIONS {path}\n    http-check expect status 200"


class Front:
    """A proxy where clients connect."""

    def __init__(self, name, title, port, process):
        self.name = name
        self.title = title
        self.address = ("127.0.0.1", port)
        self.process = process

    @property
    def log(self):
        return self.process.log

    def published(self):
        """It does not tell."""
        return None

    def close(self):
        self.process.kill()


class RouterFront(Front):
    def __init__(self, port, running):
        super().__init__("router", "router", port, running.process)
        self.router = running

    def published(self):
        """When it let writes go to the last primary it chose, by time.monotonic()."""
        change = self.router.stats()["changes"][0]
        began = datetime.datetime.fromisoformat(change["at"].replace("Z", "+00:00")).timestamp()
        return began + change["published_ms"] / 1000 - time.time() + time.monotonic()


def haproxy(home, name, title, check, lines):
    """`lines` are those of its servers, without what default-server says."""
    directory = home.directory(name)
    port = free_port()
    path = os.path.join(directory, "haproxy.cfg")
    servers = "\n".join(f"    server {line}" for line in lines)
    with open(path, "w", encoding="ascii") as file:
        file.write(HAPROXY.format(port=port, check=check, servers=servers))
    process = Process(["haproxy", "-db", "-f", path], os.path.join(directory, "log"))
    return home.keep(Front(name, title, port, process))


def router(home, primary, **backend):
    """With nothing set but what it must know: where the servers are, and who it is to them."""
    port = free_port()
    sections = frontend("writes", port) + section("backend b", **backend)
    running = home.router(sections)
    running.wait_primary(primary.name)
    return RouterFront(port, running)


class ReadOnlyAgent:
    """What stands beside each server as `mysqlchk` on port 9200: logs in for every check, and says
    200 while the server takes writes, 503 otherwise."""

    SECONDS = 2

    def __init__(self, server):
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_OPTIONS(self):
                status = 200 if agent.writable() else 503
                with contextlib.suppress(OSError):  # the check gave up meanwhile
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_):
                pass

        self.server = server
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def writable(self):
        try:
            with pymysql.connect(unix_socket=self.server.unix, user="root",
                                 connect_timeout=self.SECONDS,
                                 read_timeout=self.SECONDS) as connection:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT @@GLOBAL.read_only")
                    return cursor.fetchone() == (0,)
        except pymysql.MySQLError:
            return False

    def close(self):
        self.http.shutdown()
        self.http.server_close()
