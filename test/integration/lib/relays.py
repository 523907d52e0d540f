"""The stage of the WSS tests: hubs, a router before them, clients. `mode` says where TLS is:

    clear    nowhere
    passed   from the client to the hub; the router sees opaque bytes
    ended    from the client to the router
    again    from the client to the router, and from the router to the hub
"""
import ssl

from lib.certificates import Authority
from lib.crowd import Crowd
from lib.ini import frontend, section
from lib.process import free_port
from lib.sockets import local
from lib.streams import exact
from lib.websocket import WebSocket
from lib.ws_hub import WsHub

HOST = "hub.test"
QUICK = {"probe_interval": "50ms", "probe_fast_interval": "20ms", "probe_timeout": "5s"}
CLEAR, PASSED, ENDED, AGAIN = MODES = ("clear", "passed", "ended", "again")


# Served by each hub: opens a relay to where it came from, and again whenever it has lost it.
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>relay</title>
<link rel="icon" href="data:,">
<script>
"use strict";
const seen = {opened: 0, lost: 0, hub: "", heard: []};
let relay;
function come() {
    relay = new WebSocket(location.origin.replace("http", "ws") + "/relay");
    relay.onopen = () => { seen.opened++; relay.send("!name"); };
    relay.onmessage = (event) => {
        if (seen.hub === "") {
            seen.hub = event.data;
        } else {
            seen.heard.push(event.data);
        }
    };
    relay.onclose = () => { seen.lost++; seen.hub = ""; setTimeout(come, 20); };
}
come();
</script>
"""


class Relays:
    def __init__(self, home):
        self.home = home
        self.authority = Authority(home.directory("ca"), "Relay CA")
        self.leaf = self.authority.leaf(names=[HOST], ips=["127.0.0.1"])
        self.trusting = exact(ssl.create_default_context(cafile=self.authority.ca))
        self.page = home.file("page.html", PAGE)
        self.kept = {}      # (mode of the hubs, names): hubs

    def hubs(self, mode, *names):
        """All up and well, whatever the test before did to them."""
        key = mode in (PASSED, AGAIN), names
        if key not in self.kept:
            tls = (self.leaf.cert, self.leaf.key) if key[0] else None
            self.kept[key] = [self.home.keep(WsHub(self.home.directory(name), name, tls=tls,
                                                   page=self.page, wait=False)) for name in names]
        found = self.kept[key]
        for hub in found:
            if not hub.process.running():
                hub.start(wait=False)
        for hub in found:
            hub.wait_up()
            hub.health(200)
        return found

    def tls_front(self, mode):
        """What a frontend needs beside bind and backend."""
        return {"tls": "yes", "tls_cert": self.leaf.pem} if mode in (ENDED, AGAIN) else {}

    def backend(self, mode, servers, **keys):
        """`servers` as lines, or hubs."""
        lines = [s if isinstance(s, str) else f"{s.name} {s.text}" for s in servers]
        keys = {"balance": "ip_hash", "http_check": "GET /health", **QUICK, **keys}
        if mode == AGAIN:
            keys = {"tls": "yes", "tls_ca": self.authority.ca, **keys}
        if mode == PASSED and keys["http_check"]:
            keys = {"probe_tls": "yes", "tls_ca": self.authority.ca, **keys}
        return section("backend b", protocol="tcp", server=lines,
                       **{key: value for key, value in keys.items() if value not in (None, "no")})

    def router(self, home, mode, servers, workers=2, nofile=None, front=None, **keys):
        """(router, address), with all servers up. `front`: more keys of the frontend."""
        port = free_port()
        router = home.router(frontend("f", port, **self.tls_front(mode), **(front or {}))
                             + self.backend(mode, servers, **keys), workers=workers,
                             nofile=nofile, drain_timeout="100ms")
        all_up(router)
        return router, local(port)

    def tls_of(self, mode):
        return None if mode == CLEAR else self.trusting

    def crowd(self, home, mode, address, **keys):
        return home.keep(Crowd(address, tls=self.tls_of(mode), host=HOST, **keys))

    def client(self, home, mode, address, **keys):
        return home.keep(WebSocket(address, tls=self.tls_of(mode), host=HOST, **keys))


def is_up(router, name):
    return router.wait_for(lambda s: s.server(name)["state"] == "up", f"{name} to be up", 10)


def is_down(router, name):
    return router.wait_for(lambda s: s.server(name)["state"] == "down", f"{name} to be down", 10)


def all_up(router):
    router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]),
                    "all hubs to be up", 10)
