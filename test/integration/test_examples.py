"""Promise: the examples do what they say: the accounts that the one of Sentinel names are enough
for the probes; those of hubs bring each client to its hub, by name, under TLS, behind a proxy."""
import os
import re
import socket
import ssl

import pytest

from lib.certificates import Authority
from lib.crowd import Crowd, addresses
from lib.ini import frontend, redis_backend
from lib.nginx import before_hubs
from lib.process import free_port
from lib.relays import CLEAR, ENDED, HOST, Relays
from lib.router import run
from lib.sentinel import Watched
from lib.sockets import local
from lib.ws_hub import WsHub

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def rules(where):
    """The ACL rules that the example gives an account at the servers or at the Sentinels."""
    with open(os.path.join(ROOT, "examples", "redis-sentinel.ini"), encoding="utf-8") as file:
        comments = " ".join(line[1:].strip() for line in file if line.startswith(";"))
    found = re.search(rf"at the {where}\s+user router on >\.\.\. ((?:[\w@+*|-]+ ?)+)", comments)
    return [word for word in found.group(1).split() if word[0] in "+-" or word.endswith("channels")]


def allow(things, words):
    for thing in things:
        thing.ok("ACL", "SETUSER", "router", "reset")
        thing.ok("ACL", "SETUSER", "router", "on", ">pw", *words)


@pytest.fixture(scope="module")
def watched(shared_home):
    return Watched(shared_home, 2, 1)


def sections(watched):
    return frontend("f", free_port()) + redis_backend(
        *watched.servers, sentinel=[s.text for s in watched.sentinels], sentinel_master="mymaster",
        **{f"{whose}_{key}": value for whose in ("probe", "sentinel")
           for key, value in (("user", "router"), ("password", "pw"))})


def test_the_accounts_of_the_sentinel_example_are_enough(home, watched):
    allow(watched.servers, rules("servers"))
    allow(watched.sentinels, rules("Sentinels"))
    router = home.router(sections(watched))
    stats = router.wait_for(lambda s: s.backend()["sentinels"][0]["subscribed"]
                            and all(v["state"] == "up" for v in s.backend()["servers"]),
                            "everybody to be asked")
    said = stats.backend()["sentinels"][0]
    assert said["heard"] and said["why"] == ""
    assert {v["role"] for v in stats.backend()["servers"]} == {"primary", "replica"}


@pytest.mark.parametrize("where, missing, words", [
    ("servers", "+info", "does not let the probe's user run INFO (ACL: +info)"),
    ("Sentinels", "+sentinel|get-master-addr-by-name", "(ACL: +sentinel|get-master-addr-by-name)"),
])
def test_a_probe_says_which_of_them_is_missing(home, watched, where, missing, words):
    for place in ("servers", "Sentinels"):
        given = rules(place)
        assert place != where or missing in given
        allow(getattr(watched, place.lower()),
              [word for word in given if place != where or word != missing])
    done = run("--probe", "-c", home.file("r.ini", "[router]\nadmin = off\n" + sections(watched)))
    assert words in done.stdout, done.stdout


# --- hubs ---

CLIENTS = addresses(40)


@pytest.fixture(scope="module")
def relays(shared_home):
    return Relays(shared_home)


def example(name, port, servers, also=()):
    """Its sections but [router], here: `servers` are those of its names, `also` pairs of texts."""
    with open(os.path.join(ROOT, "examples", name), encoding="utf-8") as file:
        text = re.sub(r"\[router\][^[]*", "", file.read(), count=1)
    text, count = re.subn(r"^bind = \S+", f"bind = 127.0.0.1:{port}", text, flags=re.M)
    assert count == 1
    for server in servers:
        text, count = re.subn(rf"^server = {server.name} \S+",
                              f"server = {server.name} {server.text}", text, flags=re.M)
        assert count == 1, server.name
    for old, new in also:
        assert old in text, old
        text = text.replace(old, new)
    return text


def all_up(router, names):
    def up(stats):
        found = [server for backend in stats["backends"] for server in backend["servers"]
                 if server["name"] in names]
        return len(found) == len(names) and all(server["state"] == "up" for server in found)
    router.wait_for(up, "all hubs to be up", 20)


def test_tls_ends_before_the_hubs_of_the_example(home, relays):
    hubs = relays.hubs(CLEAR, "hub-0", "hub-1", "hub-2")
    port = free_port()
    router = home.router(example("hubs.ini", port, hubs), env={"HUB_CERT": relays.leaf.pem})
    all_up(router, [hub.name for hub in hubs])
    crowd = relays.crowd(home, ENDED, local(port))
    first = crowd.visit(CLIENTS)
    assert set(first.values()) == {hub.name for hub in hubs}
    assert crowd.visit(CLIENTS) == first
    shown = router.stats().frontend("wss")["tls"]["certificates"]
    assert [certificate["file"] for certificate in shown] == [relays.leaf.pem]


def test_names_lead_to_the_hubs_of_the_example(home):
    authority = Authority(home.directory("ca"), "Hub CA")
    names = ["hub.example.com", "chat.example.com", "*.chat.example.com", "other.example.com"]
    leaf = authority.leaf(names=names)
    hubs = [home.keep(WsHub(home.directory(name), name, tls=(leaf.cert, leaf.key)))
            for name in ("hub-0", "hub-1", "chat-0", "chat-1")]
    port = free_port()
    router = home.router(example("hubs-passthrough.ini", port, hubs), env={"HUB_CA": authority.ca})
    all_up(router, [hub.name for hub in hubs])
    trusting = ssl.create_default_context(cafile=authority.ca)
    for name, kind in zip(names, ("hub", "chat", "chat", "hub")):
        name = name.replace("*", "a")
        crowd = home.keep(Crowd(local(port), tls=trusting, host=name))
        first = crowd.visit(CLIENTS)
        assert set(first.values()) == {f"{kind}-0", f"{kind}-1"}, name
        assert crowd.visit(CLIENTS) == first, name


def header(source):
    return f"PROXY TCP4 {source} 10.0.0.10 40000 443\r\n".encode()


def is_closed(client):
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_proxy_speaks_for_the_clients_of_the_example(home, relays):
    hubs = relays.hubs(CLEAR, "hub-0", "hub-1", "hub-2")
    fronted = before_hubs(home, relays, hubs, proxy_protocol=True)
    port = free_port()
    router = home.router(example("hubs-behind-proxy.ini", port, fronted,
                                 [("allow = 10.0.0.5 ", "allow = 127.0.0.1 ")]))
    all_up(router, [hub.name for hub in hubs])
    crowd = home.keep(Crowd(local(port), tls=relays.trusting, host=HOST, before=header))
    clients = [f"203.0.113.{n}" for n in range(1, 41)]
    first = crowd.visit(clients)
    assert set(first.values()) == {hub.name for hub in hubs}
    assert crowd.visit(clients) == first
    with socket.create_connection(local(port), 20) as client:
        client.sendall(header("192.0.2.1"))
        assert is_closed(client), "it speaks for somebody who is denied"
    with socket.socket() as client:
        client.settimeout(20)
        client.bind(("127.0.0.2", 0))
        client.connect(local(port))
        assert is_closed(client), "it may not speak for others"
    router.wait_for(lambda s: s.frontend("wss")["denied"] == 2, "both to be counted")
