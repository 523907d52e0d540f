"""Promise: WebSockets live as long as they like behind the router, by the thousand, through the
loss of hubs, in a real browser, with nginx before and behind; TLS loses nothing of what they carry.
"""
import resource

import pytest

from lib.browser import BINARY as CHROMIUM, Browser
from lib.crowd import addresses
from lib.nginx import before_hubs, before_router
from lib.relays import AGAIN, CLEAR, ENDED, HOST, PASSED, Relays, is_down, is_up
from lib.waiting import until

MANY = {CLEAR: 5000, ENDED: 5000, PASSED: 2000}     # with TLS here and at the hubs costs us most
NOFILE = 12000      # two for each relay of the router, and some


@pytest.fixture(scope="module")
def relays(shared_home):
    return Relays(shared_home)


@pytest.fixture
def many_files():
    """So many for this process, too; what it starts gets its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, NOFILE), max(hard, NOFILE)))
    except (OSError, ValueError) as error:
        pytest.skip(f"{NOFILE} descriptors: {error}")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(hard, NOFILE)))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("mode", MANY)
def test_thousands_of_relays_through_the_loss_of_a_hub(home, relays, mode):
    many = MANY[mode]
    hubs = relays.hubs(mode, "a", "b", "c")
    router, address = relays.router(home, mode, hubs, nofile=NOFILE)
    crowd = relays.crowd(home, mode, address)
    before = crowd.join(addresses(many), 120)
    crowd.echo()
    assert not crowd.lost and len(crowd.members) == many
    on_b = {client for client in before if before[client] == "b"}
    assert many / 5 < len(on_b) < many / 2
    hubs[1].kill()
    crowd.run(lambda: len(crowd.lost) >= len(on_b), "the lost hub's relays to end", 60)
    crowd.echo()
    assert {member.source for member in crowd.lost} == on_b
    is_down(router, "b")
    after = crowd.join(sorted(on_b), 120)
    assert set(after.values()) == {"a", "c"}
    hubs[1].start()
    is_up(router, "b")
    crowd.echo()
    assert len(crowd.lost) == len(on_b), "b's return cost others their relays"
    some = sorted(on_b)[:100]
    assert set(relays.crowd(home, mode, address).visit(some).values()) == {"b"}
    router.wait_for(lambda s: s.frontend("f")["sessions"] == many, "as many sessions as clients")


@pytest.fixture
def browser(home):
    if CHROMIUM is None:
        pytest.skip("no chromium")
    browser = home.keep(Browser())
    browser.call("Security.setIgnoreCertificateErrors", ignore=True)
    return browser


@pytest.mark.parametrize("mode", [PASSED, ENDED])
def test_a_browser_whose_hub_dies_lands_on_the_next_one(home, relays, browser, mode):
    hubs = {hub.name: hub for hub in relays.hubs(mode, "a", "b", "c")}
    router, address = relays.router(home, mode, hubs.values())

    def seen(what):
        return browser.evaluate(f"typeof seen === 'undefined' ? '' : seen.{what}")

    browser.open(f"https://127.0.0.1:{address[1]}/")
    met = []
    for life in range(3):
        met.append(until(lambda: seen("hub"), "the page to be on a hub", 20))
        browser.evaluate(f"relay.send('life {life} \u2713')")
        until(lambda: seen("heard.length") == life + 1, "the echo", 10)
        assert seen("opened") == life + 1 and seen("lost") == life
        if life < 2:
            hubs[met[-1]].kill()
            until(lambda: seen("opened") == life + 2, "the page to come again", 20)
    assert sorted(met) == ["a", "b", "c"]
    assert seen("heard") == [f"life {life} \u2713" for life in range(3)]
    assert browser.evaluate("relay.url").startswith("wss://")
    hubs[met[0]].start()
    is_up(router, met[0])
    browser.evaluate("relay.close()")
    until(lambda: seen("opened") == 4, "the page to come again", 20)
    assert until(lambda: seen("hub"), "the page to be on a hub", 20) == met[0]


def greeted(home, relays, mode, address):
    """{client's address: what its hub was told of it} for some, all of whom were echoed to."""
    told = {}
    for source in addresses(300)[::100]:
        client = relays.client(home, mode, address, source=source)
        assert client.ask(f"from {source}") == f"from {source}"
        told[source] = client.client_seen
        client.leave()
    return told


@pytest.mark.parametrize("mode", [PASSED, AGAIN])
@pytest.mark.parametrize("send_proxy", ["no", "v1", "v2"])
def test_nginx_with_tls_behind_the_router(home, relays, mode, send_proxy):
    hubs = relays.hubs(CLEAR, "a", "b", "c")
    fronted = before_hubs(home, relays, hubs, proxy_protocol=send_proxy != "no")
    router, address = relays.router(home, mode, fronted, send_proxy=send_proxy)
    told = greeted(home, relays, mode, address)
    assert all(seen == (client if send_proxy != "no" else "127.0.0.1")
               for client, seen in told.items()), told
    crowd = relays.crowd(home, mode, address)
    before = crowd.join(addresses(60))
    crowd.echo()
    _, direct = relays.router(home, CLEAR, hubs)
    assert relays.crowd(home, CLEAR, direct).visit(addresses(60)) == before
    asked = hubs[0].stats()["asked"]
    until(lambda: hubs[0].stats()["asked"] >= asked + 3, "probes through nginx", 10)
    hubs[1].kill()      # nginx answers 502 for it
    is_down(router, "b")
    assert "b" not in relays.crowd(home, mode, address).visit(addresses(60)).values()


@pytest.mark.parametrize("mode", [CLEAR, ENDED, AGAIN])
def test_nginx_with_tls_before_the_router(home, relays, mode):
    """TLS ends at nginx; `ended`: and goes on to the router, `again`: and to the hub."""
    hubs = relays.hubs(mode, "a", "b", "c")
    _, address = relays.router(home, mode, hubs, front={"accept_proxy": "yes",
                                                        "allow": "127.0.0.1"})
    nginx = before_router(home, relays, address, host=None if mode == CLEAR else HOST)
    greeted(home, relays, ENDED, nginx)
    crowd = relays.crowd(home, ENDED, nginx)
    before = crowd.join(addresses(60))
    crowd.echo()
    _, direct = relays.router(home, mode, hubs)
    assert relays.crowd(home, mode, direct).visit(addresses(60)) == before
