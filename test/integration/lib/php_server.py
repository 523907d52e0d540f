"""PHP's own web server: a process that outlives its requests, and keeps connections if it is told
so. (With PHP_CLI_SERVER_WORKERS it leaves some requests without an answer.)"""
import json
import os
import socket
import urllib.parse

from lib import web
from lib.mysql_logins import CLIENTS
from lib.process import Process, free_port
from lib.waiting import until


class PhpServer:
    """A page of clients/."""

    def __init__(self, home, page):
        self.address = "127.0.0.1", free_port()
        self.process = Process(["php", "-S", f"{self.address[0]}:{self.address[1]}",
                                os.path.join(CLIENTS, page)],
                               os.path.join(home.directory("php"), "log"))
        home.keep(self)
        until(self._listens, "php to listen")

    def _listens(self):
        assert self.process.running(), self.process.log
        with socket.socket() as sock:
            return sock.connect_ex(self.address) == 0

    def get(self, **asked):
        """What the page says."""
        return json.loads(web.fetch(self.address, "/?" + urllib.parse.urlencode(asked)))

    def close(self):
        self.process.terminate()
