"""A real HAProxy with the checks people use before Redis: tcp-check, role:master."""
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
listen redis
    bind 127.0.0.1:{port}
    balance roundrobin
    option tcp-check
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    tcp-check send info\\ replication\\r\\n
    tcp-check expect string role:master
    default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


class HAProxy:
    def __init__(self, directory, servers):
        self.port = free_port()
        self.path = os.path.join(directory, "haproxy.cfg")
        lines = "\n".join(f"    server {s.name} {s.text}" for s in servers)
        with open(self.path, "w", encoding="ascii") as file:
            file.write(CONFIG.format(port=self.port, servers=lines,
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
            with Resp(self.address, 2) as client:
                return client.call("PING") == "PONG"
        except OSError:
            return False

    def close(self):
        self.process.kill()
