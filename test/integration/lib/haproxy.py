"""A real HAProxy with the checks people use: before Redis tcp-check and role:master, unless it is
given others."""
import os

from lib.process import Process, free_port
from lib.resp import Resp
from lib.waiting import until

CONFIG = """global
    stats socket {socket} level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
listen servers
    bind 127.0.0.1:{port}
    balance roundrobin
{check}
    default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""

REDIS_CHECK = """    option tcp-check
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    tcp-check send info\\ replication\\r\\n
    tcp-check expect string role:master"""


def redis_answers(address):
    with Resp(address, 2) as client:
        return client.call("PING") == "PONG"


class HAProxy:
    """`answers(address)` tells that a client is served; `backups` are used when no other is up."""

    def __init__(self, directory, servers, backups=(), check=REDIS_CHECK, answers=redis_answers):
        self.port = free_port()
        self.answers = answers
        self.path = os.path.join(directory, "haproxy.cfg")
        lines = "\n".join([*(f"    server {s.name} {s.text}" for s in servers),
                           *(f"    server {s.name} {s.text} backup" for s in backups)])
        with open(self.path, "w", encoding="ascii") as file:
            file.write(CONFIG.format(port=self.port, servers=lines, check=check,
                                     socket=os.path.join(directory, "haproxy.sock")))
        self.process = Process(["haproxy", "-db", "-f", self.path],
                               os.path.join(directory, "haproxy.log"))
        until(self._answers, "HAProxy to serve", 10)

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def _answers(self):
        assert self.process.running(), self.process.log
        try:
            return self.answers(self.address)
        except OSError:
            return False

    def close(self):
        self.process.kill()
