"""Promise: a client of the hubs lands on the same hub each time: on every router, after every
restart, with any number of workers; when a hub is lost only its clients move, and only they return.
A hub that drains keeps its relays and gets no new ones. All the same wherever TLS ends."""
import collections

import pytest

from lib.crowd import addresses
from lib.relays import CLEAR, ENDED, PASSED, Relays, all_up, is_down, is_up
from lib.waiting import until
from lib.ws_hub import WsHub

CLIENTS = addresses(90)
BOTH = pytest.mark.parametrize("mode", [PASSED, ENDED])


@pytest.fixture(scope="module")
def relays(shared_home):
    return Relays(shared_home)


def moved(before, after):
    return {client for client in before if after[client] != before[client]}


def of(placed, hub):
    return {client for client in placed if placed[client] == hub}


def assert_fair(placed, hubs):
    """30 of 90 expected, standard deviation 4.5; the addresses and so the counts are fixed."""
    counts = collections.Counter(placed.values())
    assert set(counts) == {hub.name for hub in hubs}
    assert all(16 <= n <= 44 for n in counts.values()), counts


@BOTH
def test_the_same_hub_after_reconnects_and_restarts_and_on_every_router(home, relays, mode):
    hubs = relays.hubs(mode, "a", "b", "c")
    router, address = relays.router(home, mode, hubs, workers=2)
    crowd = relays.crowd(home, mode, address)
    first = crowd.visit(CLIENTS)
    assert_fair(first, hubs)
    assert crowd.visit(CLIENTS) == first, "another hub for somebody who came again"
    _, beside = relays.router(home, mode, list(reversed(hubs)), workers=3)
    elsewhere = relays.crowd(home, mode, beside).visit(CLIENTS)
    assert elsewhere == first, "another router, with its hubs in another order, disagrees"
    router.stop()
    router.start()
    all_up(router)
    assert crowd.visit(CLIENTS) == first, "another hub after a restart"


@BOTH
@pytest.mark.sanitize
def test_only_the_clients_of_a_lost_hub_move_and_only_they_return(home, relays, mode):
    hubs = relays.hubs(mode, "a", "b", "c")
    router, address = relays.router(home, mode, hubs)
    crowd = relays.crowd(home, mode, address)
    before = crowd.join(CLIENTS)
    crowd.echo()
    hubs[1].kill()
    crowd.run(lambda: "b" not in crowd.counts(), "b's relays to end", 10)
    assert {member.source for member in crowd.lost} == of(before, "b"), "others were cut, too"
    crowd.echo()
    assert {member.hub for member in crowd.lost} == {"b"}
    again = crowd.join(sorted(of(before, "b")))     # at once: the router may not know it yet
    assert set(again.values()) == {"a", "c"}, "they all went to one hub"
    is_down(router, "b")
    without = relays.crowd(home, mode, address).visit(CLIENTS)
    assert moved(before, without) == of(before, "b")
    assert without == crowd.where()
    hubs[1].start()
    is_up(router, "b")
    crowd.echo()
    assert {member.hub for member in crowd.lost} == {"b"}, "b's return cost somebody a relay"
    assert relays.crowd(home, mode, address).visit(CLIENTS) == before


@BOTH
def test_a_hub_at_another_address_keeps_the_clients_of_its_name(home, relays, mode):
    a, b, c = relays.hubs(mode, "a", "b", "c")
    _, address = relays.router(home, mode, [a, b, c])
    before = relays.crowd(home, mode, address).visit(CLIENTS)
    other = home.keep(WsHub(home.directory("b"), "b", tls=b.tls))
    b.kill()
    router, address = relays.router(home, mode, [a, other, c])
    assert relays.crowd(home, mode, address).visit(CLIENTS) == before
    assert router.stats().server("b")["address"] == other.text


def test_heavier_hubs_get_more_clients_and_a_change_of_weight_moves_few(home, relays):
    a, b = relays.hubs(CLEAR, "a", "b")
    sources = addresses(200)

    def placed(weight):
        lines = [f"a {a.text} weight={weight}", f"b {b.text} weight=1"]
        _, address = relays.router(home, CLEAR, lines)
        return relays.crowd(home, CLEAR, address).visit(sources)

    equal, heavy = placed(1), placed(4)
    # 160 expected of 200, standard deviation 5.7; the addresses and so the counts are fixed.
    assert 140 <= len(of(heavy, "a")) <= 180
    assert moved(equal, heavy) <= of(equal, "b"), "somebody left the hub that became heavier"


def v1(source, family="TCP4", to="10.9.8.7"):
    return f"PROXY {family} {source} {to} 40000 443\r\n".encode()


@BOTH
@pytest.mark.sanitize
def test_the_address_in_a_proxy_header_is_the_clients(home, relays, mode):
    hubs = relays.hubs(mode, "a", "b", "c")
    front = {"accept_proxy": "yes", "allow": "127.0.0.1"}
    _, behind = relays.router(home, mode, hubs, front=front)
    _, direct = relays.router(home, mode, hubs)
    told = relays.crowd(home, mode, behind, before=v1).visit(CLIENTS)
    assert told == relays.crowd(home, mode, direct).visit(CLIENTS)


@BOTH
def test_ipv6_clients_are_placed_by_64(home, relays, mode):
    hubs = relays.hubs(mode, "a", "b", "c")
    _, address = relays.router(home, mode, hubs,
                               front={"accept_proxy": "yes", "allow": "127.0.0.1"})

    def placed(host):
        """{network: hub} of the clients with this host part."""
        crowd = relays.crowd(home, mode, address, before=lambda n: v1(
            f"2001:db8:1:{n:x}:{host}", "TCP6", "2001:db8::1"))
        return crowd.visit(range(90))

    first = placed(":1")
    assert_fair(first, hubs)
    assert placed("a:b:c:d") == first


@BOTH
@pytest.mark.sanitize
def test_a_hub_that_drains_keeps_its_relays_and_gets_no_new_ones(home, relays, mode):
    hubs = relays.hubs(mode, "a", "b", "c")
    router, address = relays.router(home, mode, hubs)
    crowd = relays.crowd(home, mode, address)
    before = crowd.join(CLIENTS)
    b = hubs[1]
    held = b.open()
    b.health(503)
    is_down(router, "b")
    crowd.echo()
    assert not crowd.lost and b.open() == held
    newcomers = relays.crowd(home, mode, address)
    others = newcomers.join(CLIENTS)
    assert moved(before, others) == of(before, "b")
    assert "b" not in others.values() and b.open() == held
    asked = b.stats()["asked"]
    until(lambda: b.stats()["asked"] >= asked + 10, "ten more bad answers", 20)
    crowd.echo()
    assert not crowd.lost, "a relay was cut while its hub drained"
    b.health(200)
    is_up(router, "b")
    crowd.echo()
    newcomers.echo()
    assert not crowd.lost and not newcomers.lost
    assert relays.crowd(home, mode, address).visit(CLIENTS) == before
