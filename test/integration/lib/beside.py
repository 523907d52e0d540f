"""HAProxy and a router that run from the same haproxy.cfg, but for the ports where they listen."""
import os
import re

from lib.process import Process, free_port
from lib.router import Router
from lib.sockets import local
from lib.sql_writers import Refused
from lib.waiting import until

# What all those files begin with. A word like @this@ is a port of the side that listens there.
HEAD = """global
    stats socket {socket} level admin
    external-check
    insecure-fork-wanted
defaults
    mode tcp
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout check 300ms
    default-server check inter 100ms fall 2 rise 1 on-marked-down shutdown-sessions
listen stats
    mode http
    bind 127.0.0.1:@stats@
    stats enable
    stats uri /
"""
PORT = re.compile(r"@(\w+)@")


class Imported(Router):
    """`router -f`: a router that runs from HAProxy's own file."""

    flag = "-f"

    def __init__(self, directory, path, admin_port, env=None):
        self.directory = directory
        self.path = path
        self.admin_port = admin_port
        self.process = None
        self.ended = False
        self.limits = {}
        self.env = dict(os.environ, **(env or {}))
        self.wrap = lambda argv: argv
        self.start()


class Side:
    """One of the two: its file, its ports."""

    def __init__(self, home, name, words):
        self.name = name
        self.directory = home.directory(name)
        self.path = os.path.join(self.directory, "haproxy.cfg")
        self.ports = {}
        head = HEAD.format(socket=os.path.join(self.directory, "control"))
        with open(self.path, "w", encoding="ascii") as file:
            file.write(PORT.sub(lambda found: str(self._port(found.group(1))), head + words))

    def _port(self, name):
        return self.ports.setdefault(name, free_port())

    def address(self, name):
        return local(self.ports[name])


class Beside:
    def __init__(self, home, words, env=None):
        self.haproxy = Side(home, "haproxy", words)
        self.router = Side(home, "router", words)
        self.sides = [self.haproxy, self.router]
        self.processes = {
            "haproxy": home.keep(_HAProxy(self.haproxy, env)),
            "router": home.keep(Imported(self.router.directory, self.router.path,
                                         self.router.ports["stats"], env)),
        }

    def see(self, name, ask, expected, what, timeout=15.0):
        """Until on both sides clients of that frontend meet who is expected: ask(address) says who
        that is, or fails."""
        for side in self.sides:
            met = []

            def right(side=side, met=met):
                met[:] = [tell(ask, side.address(name))]
                return met[0] == expected

            try:
                until(right, what, timeout)
            except AssertionError as error:
                raise AssertionError(f"{side.name}: {error}, met {met}\n"
                                     f"{self.processes[side.name].log[-2000:]}") from None


def tell(ask, address):
    try:
        return ask(address)
    except (OSError, EOFError, Refused) as error:
        return error.__class__.__name__


class _HAProxy(Process):
    def __init__(self, side, env):
        super().__init__(["haproxy", "-db", "-f", side.path],
                         os.path.join(side.directory, "log"), env=dict(os.environ, **(env or {})))

    def close(self):
        self.kill()
