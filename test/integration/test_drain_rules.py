"""Promise: a session drains only where the server itself refuses writes, and only until the server
is well again; one that stands still in a contest is never resumed on a server that lost it."""
import pytest

from lib.actor import Actor
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.resp import Resp, RespError
from lib.sockets import local
from lib.waiting import SLOW, Clock, holds, until

pytestmark = pytest.mark.sanitize


def access(router, name):
    return router.stats().server(name)["access"]


def try_write(client, key):
    """Its reply, or None when the session has ended."""
    try:
        return client.call("SET", key, "x")
    except (ConnectionError, TimeoutError):
        return None


def ended(sock):
    """Whether the router has ended it; what arrives instead is not allowed."""
    sock.setblocking(False)
    try:
        assert sock.recv(100) == b"", "a held write was answered"
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def test_a_draining_session_writes_nothing_to_a_server_that_claims_again(home):
    """a -> b by a planned switchover, then a is promoted again while the sessions on it drain."""
    a, b = Actor(home, "a", "master"), Actor(home, "b")
    port = free_port()
    router = home.router(frontend("w", port) + redis_backend(
        a, b, on_demotion="drain 20s", conflict_timeout="3s"))
    router.wait_primary("a")
    client = Resp(local(port))
    assert client.call("SET", "before", "x") == "OK"
    a.role = "slave"
    b.promote("c" * 40)
    a.follow(b)
    router.wait_primary("b")
    assert isinstance(client.call("SET", "draining", "x"), RespError)
    b.offset = 5000  # b has taken writes that a lacks
    router.wait_for(lambda s: s.server("b")["offset"] == 5000, "b's writes to be seen")
    a.promote("d" * 40)
    router.wait_for(lambda s: s.server("a")["reason"].startswith(("was promoted", "claims")),
                    "a's claim")
    assert router.stats().backend()["primary"] != "a"
    until(lambda: try_write(client, "after") is None, "the draining session to be closed")
    assert "after" not in a.writes


@pytest.mark.parametrize("mood", ["silent", "denies"])
def test_a_reader_of_a_contestant_that_falls_silent_is_closed(home, mood):
    """b is promoted beside a living primary with more writes: its reader stands still. Then b says
    nothing any more, or not what we must know. The write that the reader has sent is not done."""
    a, b = Actor(home, "a", "master"), Actor(home, "b")
    port = free_port()
    router = home.router(frontend("any", port, route="any") + redis_backend(
        b, a, balance="first", conflict_timeout="1500ms"))
    router.wait_primary("a")
    router.wait_for(lambda s: s.server("b")["access"] == "open", "b to be read")
    client = Resp(local(port))
    assert isinstance(client.call("SET", "reader", "x"), RespError), "it is not on b"
    a.offset = 5000
    router.wait_for(lambda s: s.server("a")["offset"] == 5000, "a's writes to be seen")
    b.promote("c" * 40)
    router.wait_for(lambda s: s.server("b")["access"] == "pause", "the contest")
    client.send("SET", "held", "x")
    b.mood = mood
    until(lambda: ended(client.sock), "the reader to be closed", 6)
    assert b.writes == []


def drains_and_heals(home, ill, well, **keys):
    """A reader of b, which falls ill and is well again before the drain is over."""
    a, b = Actor(home, "a", "master"), Actor(home, "b", careless=True)
    port = free_port()
    seconds = 1.0 * SLOW
    router = home.router(
        frontend("r", port, route="replica", fallback="none")
        + redis_backend(a, b, on_demotion=f"drain {int(seconds * 1000)}ms", **keys))
    router.wait_for(lambda s: s.server("b")["access"] == "open", "b to be read")
    client = Resp(local(port))
    assert client.call("SET", "reader", "x") == "OK"
    ill(a, b)
    clock = Clock()
    router.wait_for(lambda s: s.server("b")["access"] == "drain", "b to drain")
    well(a, b)
    router.wait_for(lambda s: s.server("b")["access"] == "open", "b to be well")
    if clock.passed(seconds):
        pytest.skip("the machine is too slow: the drain was over before b was well")
    holds(lambda: try_write(client, "reader") == "OK", "the reader's session", 2 * seconds)


def test_a_link_that_comes_back_ends_the_drain(home):
    def down(_a, b):
        b.link = "down"

    def up(_a, b):
        b.link = "up"

    drains_and_heals(home, down, up)


def test_a_lag_that_is_made_up_for_ends_the_drain(home):
    def behind(a, _b):
        a.offset = 9000

    def caught_up(_a, b):
        b.offset = 9000

    drains_and_heals(home, behind, caught_up, max_lag="100b")
