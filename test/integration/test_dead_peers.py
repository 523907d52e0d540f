"""Promise: who has vanished without a word is found by tcp_keepalive and tcp_user_timeout, and what
was held for it is given back; who is only quiet, or comes back in time, loses nothing."""
import socket

import pytest

from lib.fake import echo, hold
from lib.ini import frontend, tcp_backend
from lib.netns import FAR, NEAR, Cable
from lib.process import free_port
from lib.resp import connect
from lib.sockets import connected_sockets
from lib.waiting import SLOW, Clock, until

pytestmark = pytest.mark.sanitize

QUICK = {"tcp_keepalive": "1s", "tcp_user_timeout": "2s"}
FOUND = 20.0  # seconds: generous, it takes three


@pytest.fixture(name="cable")
def _cable(home):
    return home.keep(Cable())


def flood(_server, sock):
    """Says more than anybody reads."""
    sock.settimeout(None)
    while True:
        sock.sendall(bytes(65536))


def talk(sock, word=b"word"):
    sock.sendall(word)
    return sock.recv(len(word), socket.MSG_WAITALL) == word


def hear(sock, count):
    """So many bytes, thrown away."""
    while count > 0:
        got = len(sock.recv(min(count, 1 << 16)))
        assert got
        count -= got


def tuned(router, port):
    """Whether the router's connection to that port is looked after."""
    for sock in connected_sockets(router.process):
        with sock:
            if sock.getpeername()[1] == port:
                return sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return False


class Place:
    """A frontend on the near end of the cable for each of these fakes, whichever end they are at;
    each has one place."""

    def __init__(self, home, fakes, **keys):
        self.home = home
        self.ports = {fake.name: free_port(NEAR) for fake in fakes}
        text = ""
        for fake in fakes:
            text += frontend(f"f-{fake.name}", f"{NEAR}:{self.ports[fake.name]}", f"b-{fake.name}",
                             max_sessions_per_ip=2)
            text += tcp_backend(fake, name=f"b-{fake.name}", server_max_connections=1,
                                queue_timeout="10m", **{**QUICK, **keys})
        self.router = home.router(text)

    def client(self, name, timeout=FOUND):
        return self.home.keep(connect((NEAR, self.ports[name]), timeout * SLOW))

    def wait_empty(self):
        return self.router.wait_for(
            lambda s: s["router"]["sessions"] == 0
            and all(b["waiting"] == 0 and b["servers"][0]["sessions"] == 0 for b in s["backends"]),
            "nothing to be left of those who vanished", FOUND)


def test_a_client_that_vanished_leaves_nothing(home, cable):
    """An idle one, one to whom bytes are under way, and one that waits for a place."""
    idle, busy = home.fake(echo, "idle"), home.fake(flood, "busy")
    place = Place(home, [idle, busy])
    with cable.far():
        clients = [place.client("idle"), place.client("busy")]
        assert talk(clients[0])
        hear(clients[1], 1 << 20)
        waiter = place.client("idle")
    place.router.wait_for(lambda s: s.backend("b-idle")["waiting"] == 1, "one to wait")
    assert waiter
    cable.pull()
    place.wait_empty()
    idle.wait_count(0)
    busy.wait_count(0)
    cable.plug()
    with cable.far():  # neither the place nor the address' share is taken any more
        assert talk(place.client("idle"))


def test_a_server_that_vanished_ends_its_sessions(home, cable):
    """An idle one, one that owes the answer, and one that vanished in the session's first moment,
    before the kernel was told to look after it."""
    with cable.far():
        idle, mute = [home.fake(echo, name, host=FAR) for name in ("idle", "mute")]
        first = home.fake(hold, "first", host=FAR)
    place = Place(home, [idle, mute, first])
    clients = {name: place.client(name) for name in ("idle", "mute")}
    assert all(talk(client) for client in clients.values())
    clients["first"] = place.client("first")
    until(lambda: first.accepted == 1, "its connection")
    cable.pull()
    clients["mute"].sendall(b"are you there?")
    for name, client in clients.items():
        with pytest.raises(ConnectionResetError):
            assert client.recv(1) == b"", name
    stats = place.wait_empty()
    assert all(b["servers"][0]["sessions_total"] == 1 for b in stats["backends"])


def test_the_quiet_who_live_are_cut_by_no_timer_but_idle_timeout(home, cable):
    """For several times as long as the dead are waited for; on both sides."""
    with cable.far():
        there = home.fake(echo, "there", host=FAR)
    here = home.fake(echo, "here")
    port = free_port(NEAR)
    place = Place(home, [there, here])
    router = home.router(frontend("f", f"{NEAR}:{port}", idle_timeout="1s")
                         + tcp_backend(here, **QUICK))
    with cable.far():
        quiet = [place.client("there"), place.client("here")]
        idle = home.keep(connect((NEAR, port), FOUND * SLOW))
    clock = Clock()
    assert all(talk(client) for client in [*quiet, idle])
    assert idle.recv(1) == b""
    router.wait_for(lambda s: s.frontend()["idle_closed"] == 1, "its end to be counted")
    until(lambda: clock.passed(8), "the quiet to be quiet for a while", 10)
    assert all(talk(client) for client in quiet)
    assert place.router.stats()["router"]["sessions"] == 2


def test_who_reads_nothing_while_bytes_wait_is_given_up_too(home, cable):
    """It may live, as its kernel's answers say, but takes no byte: tcp(7), TCP_USER_TIMEOUT."""
    busy = home.fake(flood, "busy")
    place = Place(home, [busy])
    with cable.far():
        stuck = place.client("busy")
    assert stuck.recv(1)
    place.wait_empty()
    busy.wait_count(0)


def test_who_comes_back_in_time_goes_on_where_it_was(home, cable):
    """Whether it said nothing, or something that was lost until then. More questions of the kernel
    stayed without an answer than it would ask if tcp_user_timeout did not say for how long."""
    with cable.far():
        there = [home.fake(echo, name, host=FAR) for name in ("t1", "t2")]
    here = [home.fake(echo, name) for name in ("h1", "h2")]
    place = Place(home, there + here, tcp_user_timeout="2m")
    with cable.far():
        clients = [place.client("h1", 120), place.client("h2", 120)]
    clients += [place.client("t1", 120), place.client("t2", 120)]
    assert all(talk(client) for client in clients)
    until(lambda: all(tuned(place.router, port) for port in (there[0].port, there[1].port)),
          "keepalive of the servers' connections")
    cable.pull()
    for client in clients[::2]:
        client.sendall(b"said meanwhile")
    clock = Clock()
    until(lambda: clock.passed(6), "keepalive to ask in vain", 10)
    cable.plug()
    for client in clients[::2]:
        assert client.recv(14, socket.MSG_WAITALL) == b"said meanwhile"
    assert all(talk(client) for client in clients)
