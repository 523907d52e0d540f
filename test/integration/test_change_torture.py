"""Promise: whatever operators do while clients come, ask and leave, in whatever order: a session
ends only if its server was drained of it by hand, nothing is counted twice, and the router ends
well."""
import random
import socket
import threading
import time

import pytest

from lib.fake import name_then_echo
from lib.ini import FAST_PROBES, frontend, redis_backend, section
from lib.playbook import Stage
from lib.process import free_port
from lib.resp import connect
from lib.runtime import control_of
from lib.sockets import local, read_line
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize
SECONDS = 2
STAYS = "stay"
OTHERS = ("x", "y", "z")


class Passers:
    """Clients that come, ask and leave, wherever they are sent; that some are cut is no wonder."""

    def __init__(self, ports):
        self.ports = ports
        self.served = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True)
                        for i in range(2)]
        for thread in self.threads:
            thread.start()

    def _run(self, seed):
        choose = random.Random(seed)
        while not self.stopping.is_set():
            try:
                with connect(local(choose.choice(self.ports)), 2 * SLOW) as client:
                    client.settimeout(2 * SLOW)
                    if read_line(client):
                        client.sendall(b"ping")
                        self.served += client.recv(4) == b"ping"
            except OSError:
                pass

    def close(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30 * SLOW)


class Place:
    """Echo servers of which one stays whatever happens, and three Redis."""

    def __init__(self, home, seed):
        self.home = home
        self.random = random.Random(seed)
        self.fakes = {name: home.fake(name_then_echo, name) for name in (STAYS, *OTHERS)}
        self.moved = home.fake(name_then_echo, "moved")
        self.fixed, self.second = free_port(), free_port()
        options, self.runtime = control_of(home)
        self.stage = Stage(home, start=False, router_keys=options)
        self.redis = self.stage.sections
        self.stage.sections = self.text(OTHERS, True) + self.redis
        self.router = self.stage.start_router()
        self.router.wait_primary("a", "b")
        self.router.wait_for(lambda s: s.server(STAYS, "plain")["access"] == "open", STAYS)
        self.stage.start_writers()

    def text(self, names, second):
        patience = self.random.choice(("100ms", "200ms", "1s"))
        names = self.random.sample(names, len(names))
        lines = [f"{STAYS} {self.fakes[STAYS].text}"] + [
            f"{name} {self.fakes[name].text}" for name in names]
        self.random.shuffle(lines)
        out = frontend("f", self.fixed, "plain") + section(
            "backend plain", protocol="tcp", server=lines, queue_timeout="500ms",
            balance="round_robin",
            **FAST_PROBES, probe="connect",
            server_max_connections=self.random.choice(("none", 40)))
        if second:
            name = self.random.choice(("one", "two"))
            out += frontend(f"g-{name}", self.second, f"plain-{name}") + section(
                f"backend plain-{name}", protocol="tcp", probe="off", connect_timeout=patience,
                server=lines[:self.random.randint(1, len(lines))])
        return out

    def step(self):
        what = self.random.choice((self.reload, self.reload, self.weight, self.address, self.state,
                                   self.kill, self.pause, self.cap, self.drill, self.look))
        what()

    def reload(self):
        names = self.random.sample(OTHERS, self.random.randint(0, len(OTHERS)))
        timeout = self.random.choice(("300ms", "301ms"))
        redis = frontend("write", self.stage.port) + redis_backend(
            *self.stage.servers, probe_timeout=timeout)
        self.router.write(self.text(names, self.random.random() < 0.7) + redis)
        self.runtime("reload")

    def other(self):
        return self.random.choice(OTHERS)

    def weight(self):
        server = self.random.choice((STAYS, *OTHERS))
        self.runtime(f"set weight plain/{server} {self.random.randint(0, 5)}")

    def address(self):
        self.runtime(f"set server plain/{self.other()} addr 127.0.0.1 port {self.moved.port}")

    def state(self):
        state = self.random.choice(("ready", "drain", "maint"))
        self.runtime(f"set server plain/{self.other()} state {state}")

    def kill(self):
        self.runtime(f"shutdown sessions server plain/{self.other()}")

    def pause(self):
        backend = self.random.choice(("plain", "b"))
        self.runtime(f"pause backend {backend}")
        if self.random.random() < 0.5:
            self.reload()
        self.runtime(f"resume backend {backend}")

    def cap(self):
        self.runtime(f"set maxconn server plain/{self.other()} {self.random.choice((0, 1, 30))}")

    def drill(self):
        self.runtime.send("drill b 1 force").close()

    def look(self):
        self.runtime(self.random.choice(("show sess all", "show stat", "show servers state")))


def stayers(place, count):
    """Sessions on the server that stays."""
    found = []
    for _ in range(40):
        client = place.home.keep(connect(local(place.fixed), 20 * SLOW))
        if read_line(client).strip() == STAYS:
            found.append(client)
        else:
            client.close()
        if len(found) == count:
            return found
    raise AssertionError("nobody is sent to it")


@pytest.mark.parametrize("seed", (4,))
def test_nothing_is_lost_whatever_changes(home, seed):
    place = Place(home, seed)
    kept = stayers(place, 5)
    passers = home.keep(Passers((place.fixed, place.second)))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        place.step()
    for i, client in enumerate(kept):
        client.sendall(b"still %d" % i)
        assert client.recv(7, socket.MSG_WAITALL) == b"still %d" % i
    served = passers.served
    place.router.reload(place.text(OTHERS, True) + place.redis)
    for server in OTHERS:
        place.runtime(f"set server plain/{server} state ready")
    until(lambda: passers.served > served, "clients to be served")
    place.router.wait_primary("a", "b")
    place.stage.wait_writes(20)
    assert place.stage.writers.refused == []
    passers.close()
    place.stage.writers.close()
    for client in kept:
        client.close()
    stats = place.router.wait_for(lambda s: s["router"]["sessions"] == 0, "all to end")
    for backend in stats["backends"]:
        assert backend["waiting"] == 0
        assert all(s["sessions"] == 0 for s in backend["servers"]), backend
