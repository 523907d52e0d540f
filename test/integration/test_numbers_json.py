"""Promise: /stats.json is what the manual says, and its numbers go with their owners when the
configuration changes."""
import os
import re

import pytest

from lib.csv_stats import rows
from lib.fake import echo
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.prometheus import metric_keys, parse_metrics, server_labels
from lib.resp import connect
from lib.sockets import local
from lib.waiting import until
from lib.web import fetch

MANUAL = os.path.join(os.path.dirname(__file__), "..", "..", "man", "router.8.in")
SCOPES = ("router", "frontend", "backend", "server")


def documented():
    """{scope: keys}, each with those of several things."""
    with open(MANUAL, encoding="utf-8") as file:
        chapter = file.read().split(".Ss The keys of /stats.json\n")[1].split("\n.Ss ")[0]
    lists = re.findall(r"\.Bl .*?\.El", chapter, re.S)
    keys = [set(re.findall(r"Va (\w+)", "\n".join(re.findall(r"^\.It.*", text, re.M))))
            for text in lists]
    assert len(keys) == 1 + len(SCOPES)
    return {scope: keys[0] | own for scope, own in zip(SCOPES, keys[1:])}, keys[0]


class World:
    def __init__(self, home):
        self.one = home.fake(echo, name="one")
        self.two = home.fake(echo, name="two")
        self.port = free_port()
        self.router = home.router(self.sections(self.one, self.two), workers=1)

    def sections(self, *servers):
        return frontend("hub", self.port, "hubs") + tcp_backend(*servers, name="hubs")

    def visit(self, times, size=1000):
        for _ in range(times):
            with connect(local(self.port)) as client:
                client.sendall(b"x" * size)
                got = 0
                while got < size:
                    got += len(client.recv(size))

    def csv(self):
        return rows(fetch(local(self.router.admin_port), "/;csv").decode())

    def families(self):
        return parse_metrics(fetch(local(self.router.admin_port), "/metrics").decode())

    def reload(self, *servers):
        self.router.reload(self.sections(*servers))


@pytest.fixture
def world(home):
    return World(home)


def test_the_manual_knows_every_key_and_no_other(world):
    stats = world.router.stats()
    keys, shared = documented()
    hubs = stats.backend("hubs")
    seen = {"router": stats["router"], "frontend": stats.frontend("hub"), "backend": hubs,
            "server": hubs["servers"][0]}
    for scope, of in seen.items():
        counted = set() if scope == "router" else {
            key for key, _, _ in metric_keys(scope.upper())}
        assert set(of) - counted <= keys[scope], scope
        assert keys[scope] - shared <= set(of), scope
    assert shared <= set().union(*seen.values())


def test_what_a_removed_server_has_counted_stays_with_its_backend(world):
    world.visit(4)
    until(lambda: world.router.stats().backend("hubs")["sessions"] == 0, "the sessions to end")
    before = world.csv()
    assert before["hubs", "one"]["bin"] == before["hubs", "two"]["bin"] == "2000"
    assert before["hubs", "BACKEND"]["bin"] == "4000"
    world.reload(world.one)
    after = world.csv()
    assert ("hubs", "two") not in after
    assert after["hubs", "one"]["bin"] == "2000" and after["hubs", "BACKEND"]["bin"] == "4000"
    assert server_labels("hubs", "two") not in world.families()["haproxy_server_status"][1]
    world.visit(1)
    assert world.router.wait_for(lambda s: s.server("one", "hubs")["bytes_in"] == 3000,
                                 "the bytes")
    assert world.csv()["hubs", "BACKEND"]["bin"] == "5000"


def test_a_server_in_the_place_of_another_one_begins_at_zero(world, home):
    world.visit(4)
    until(lambda: world.router.stats().backend("hubs")["sessions"] == 0, "the sessions to end")
    three = home.fake(echo, name="three")
    world.reload(world.one)
    world.reload(world.one, three)
    fresh = world.csv()["hubs", "three"]
    assert (fresh["bin"], fresh["stot"], fresh["smax"], fresh["ttime_max"]) == ("0",) * 4
    assert world.csv()["hubs", "BACKEND"]["bin"] == "4000"
    world.visit(2)
    until(lambda: world.csv()["hubs", "BACKEND"]["bin"] == "6000", "the bytes")
    counts = world.csv()
    assert counts["hubs", "three"]["bin"] == "1000" and counts["hubs", "one"]["bin"] == "3000"
