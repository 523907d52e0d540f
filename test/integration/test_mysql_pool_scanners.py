"""Promise: who connects to a MySQL pool and never logs in, or fails again and again, is counted and
slowed by address; servers see nothing of the former and do not lock the router out for either."""
import json
import threading

import pytest

from lib.clusters import NotInstallable
from lib.fake import reset
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mysql_client import MySQLClient
from lib.mysql_said import SaidNo, change_user
from lib.mysql_stage import MySQLStage, refusal
from lib.mysql_wire import packet
from lib.process import free_port
from lib.runtime import control_of
from lib.sockets import local
from lib.strict import USER, StrictMariaDB, StrictMySQL, Stranger
from lib.waiting import SLOW, Clock, until

BAD, GOOD = "127.0.0.66", "127.0.0.77"
STRICT = {"max-connect-errors": "3"}


# --- against a fake ---


@pytest.fixture(name="stage")
def one_stage(home):
    return MySQLStage(home, pool_size=6, queue_timeout="5s")


def fail(stage, times, source=BAD, user="user0"):
    """Wrong passwords, one after another."""
    for _ in range(times):
        with stage.raw(user, password="wrong", source=source) as client:
            with pytest.raises(SaidNo) as caught:
                client.greet().log_in()
            assert caught.value.code == 1045


def seconds_of(stage, user="user1", source=GOOD):
    clock = Clock()
    with stage.client(user, source=source) as client:
        assert client.who()[0] == user
        took = clock.seconds()
        client.quit()
    return took


@pytest.mark.sanitize
def test_who_never_logs_in_costs_no_server_anything(stage):
    opened = stage.liar.count("open")
    for number in range(300):
        with stage.raw(source=BAD) as client:
            if number % 3:
                client.greet()
            if number % 3 == 2:
                client.sock.sendall(packet(1, client.login_payload())[:number % 60])
    stage.wait_left()
    assert stage.liar.count("open") == opened
    assert seconds_of(stage) < 1 * SLOW
    assert seconds_of(stage, source=BAD) < 1 * SLOW, "looking at a port is no failure"


@pytest.mark.sanitize
def test_who_fails_again_and_again_is_slowed(stage):
    clock = Clock()
    fail(stage, 14)
    assert clock.seconds() > 1
    stats = stage.router.stats().backend("b")
    assert stats["logins_denied"] == 14 and stats["logins_slowed"] > 0
    assert seconds_of(stage) < 0.5 * SLOW, "a good client elsewhere waited"


@pytest.mark.sanitize
def test_who_is_good_does_not_wait_for_others_of_the_same_address(stage):
    """In front of a sidecar all come from 127.0.0.1: the account that succeeded lately is told
    apart from those that fail."""
    assert seconds_of(stage, "user1", BAD) < 1 * SLOW
    stop = threading.Event()
    failed = []

    def try_on():
        while not stop.is_set():
            fail(stage, 1)
            failed.append(1)

    threads = [threading.Thread(target=try_on, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: stage.router.stats().backend("b")["logins_slowed"] > 3,
              "them to be slowed", 15)
        for _ in range(20):
            assert seconds_of(stage, "user1", BAD) < 0.5 * SLOW
            assert seconds_of(stage, "user2", GOOD) < 0.5 * SLOW
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failed


@pytest.mark.sanitize
def test_those_who_are_slowed_take_nobodys_place(stage):
    """Neither a connection to the server nor a place in its queue."""
    fail(stage, 15)
    slowed = [stage.raw("user0", password="wrong", source=BAD).greet() for _ in range(40)]
    for client in slowed:
        client.say_login()
    before = stage.liar.count("login", "user0") + stage.liar.count("change", "user0")
    for _ in range(5):
        assert seconds_of(stage) < 0.1 * SLOW
    after = stage.liar.count("login", "user0") + stage.liar.count("change", "user0")
    assert SLOW > 1 or after == before, "not slowed"


def stall(stage, times, source=BAD):
    """They say who they are, and then nothing more."""
    clients = [stage.raw(f"nobody{n}", source=source).greet() for n in range(times)]
    for client in clients:
        client.say_login()
    return clients


def unfinished(stage):
    """Connections to the server on which somebody is at it who stalls."""
    return sum(link.user.startswith("nobody") for link in stage.liar.clients_links() if link.user)


@pytest.mark.sanitize
def test_those_who_do_not_go_on_hold_few_connections(stage):
    """Neither of strangers, nor of who is known at their address; not even at first."""
    assert seconds_of(stage, "user1", BAD) < 1 * SLOW
    stall(stage, 40)
    until(lambda: unfinished(stage) == 1, "the first one to be asked")
    for _ in range(20):
        assert seconds_of(stage, "user1", BAD) < 0.5 * SLOW
        assert seconds_of(stage, "user2", GOOD) < 0.5 * SLOW
        assert unfinished(stage) <= 1
    assert stage.router.stats().backend("b")["logins_slowed"] >= 39
    stage.leave()
    stage.wait_left()


@pytest.mark.sanitize
def test_who_does_not_go_on_is_told_and_who_waits_behind_it_too(home):
    control, run = control_of(home)
    stage = MySQLStage(home, pool_size=6, queue_timeout="3s", router=control)
    clients = stall(stage, 1)
    clients[0].asked()
    clients += stall(stage, 3)
    said = [refusal(client) for client in clients]
    assert {one.code for one in said} == {1043, 1040}, said
    assert "unfinished" in next(one.words for one in said if one.code == 1040)
    guard, = json.loads(run("show pool json b"))[0]["failures"]
    assert (guard["address"], guard["late"], guard["slowed"]) == (BAD, 1, 3), guard


@pytest.mark.sanitize
def test_a_fleet_of_one_address_does_not_wait_for_itself(stage):
    """At first nobody of it is known there."""
    clock, clients = Clock(), []
    for number in range(48):
        clients.append(stage.raw(f"user{number % 8}", source=GOOD).greet())
    for client in clients:
        client.say_login()
    for client in clients:
        client.finish()
        client.quit()
    assert clock.seconds() < 2 * SLOW, clock.seconds()
    stage.wait_left()


@pytest.mark.sanitize
def test_failures_of_very_many_accounts_and_addresses_are_bounded(stage):
    """What is kept of them has a bound; who is good is served."""
    before = stage.router.process.rss()
    for number in range(400):
        source = f"127.1.{number % 200}.{1 + number // 200}"
        with stage.raw(f"nobody{number}", password="x", source=source) as client:
            with pytest.raises(SaidNo):
                client.greet().log_in()
    assert seconds_of(stage) < 1 * SLOW
    assert SLOW > 1 or stage.router.process.rss() - before < 8 << 20


# --- against servers that lock out ---


class Locking:
    """A server that locks an address out after three broken logins, and a router that comes from
    one that it may lock out."""

    def __init__(self, home, kind):
        self.clients = 0
        self.server = home.keep(kind(home.directory("strict"), options=STRICT)).start()
        self.server.add_users()
        self.server.add_user("prober", "of the probes",
                             grants=[f"{self.server.MONITOR} ON *.*"])
        self.stranger = home.keep(Stranger(self.server))
        self.port = free_port()
        self.router = home.router(
            frontend("f", self.port, pool_mode="session") + section(
                "backend b", protocol="mysql", server=servers(self.stranger), pool_size=8,
                probe_user="prober", probe_password="of the probes", probe_keep="yes",
                **FAST_PROBES), workers=1)
        self.router.wait_primary("s")
        if kind is StrictMySQL:  # its cache of proofs is warm then, without RSA
            self.stranger.login()

    def raw(self, user=USER[0], password=USER[1]):
        """Each from an address of its own, or those who fail would be slowed."""
        self.clients += 1
        source = f"127.9.{self.clients // 200}.{1 + self.clients % 200}"
        return MySQLClient(local(self.port), user, password, source=source)

    def wait_left(self):
        self.router.wait_for(lambda s: s.frontend("f")["sessions"] == 0, "them to be gone")

    def still_welcome(self):
        """The router may connect anew, and a client is served."""
        self.wait_left()
        until(lambda: self.router.stats().server("s")["sessions"] <= 8, "its logins to end")
        assert not self.stranger.locked_out()
        assert self.stranger.login(self.port) == f"{USER[0]}@%"


@pytest.fixture(name="locking", scope="module", params=[StrictMariaDB, StrictMySQL],
                ids=["mariadb", "mysql"])
def locking_server(request, shared_home):
    try:
        return Locking(shared_home, request.param)
    except NotInstallable as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def forgiven(request):
    """What one test did is not held against the next."""
    if "locking" in request.fixturenames:
        request.getfixturevalue("locking").server.forget()
    yield


def aborted(server):
    return int(server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_connects'")[0][1])


def test_who_never_logs_in_is_no_aborted_connect(locking):
    before = aborted(locking.server)
    for number in range(100):
        with locking.raw() as client:
            if number % 2:
                client.greet()
            if number % 4 == 3:
                client.sock.sendall(packet(1, client.login_payload())[:number % 60])
    locking.wait_left()
    assert aborted(locking.server) == before
    locking.still_welcome()


def leave_behind_the_login(client):
    client.say_login()


def leave_when_asked(client):
    client.say_login()
    client.payload()


def leave_in_the_proof(client):
    client.say_login()
    client.payload()
    client.sock.sendall(packet(3, b"x" * 20)[:10])


def leave_behind_the_proof(client):
    client.say_login()
    client.payload()
    client.send(3, b"x" * 20)


def leave_at_the_change(client):
    client.log_in()
    client.send(0, change_user(USER[0], b"x" * 20))


def leave_when_asked_at_the_change(client):
    client.log_in()
    client.send(0, change_user(USER[0], b"x" * 20))
    client.payload()


LEAVES = [leave_behind_the_login, leave_when_asked, leave_in_the_proof, leave_behind_the_proof,
          leave_at_the_change, leave_when_asked_at_the_change]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("leave", LEAVES, ids=lambda leave: leave.__name__)
def test_who_leaves_in_the_midst_locks_nobody_out(locking, leave, how):
    """Five times, on fresh connections and on pooled ones; three would be enough."""
    if isinstance(locking.server, StrictMySQL) and "change" in leave.__name__:
        pytest.skip("by hand only mysql_native_password")
    for _ in range(5):
        with locking.raw() as client:
            client.greet()
            leave(client)
            if how == "reset":
                reset(client.sock)
    locking.still_welcome()


@pytest.mark.parametrize("charset", [35, 54, 60, 90, 101, 128, 160])
def test_a_charset_that_no_client_may_have_locks_nobody_out(locking, charset):
    """Both servers count it as a broken login."""
    for _ in range(5):
        with locking.raw() as client:
            client.greet().say_login(charset=charset)
            try:
                client.payload()
            except SaidNo:
                pass
    locking.still_welcome()


@pytest.mark.parametrize("length", [1, 19, 21, 64, 3000])
def test_a_proof_of_the_wrong_length_locks_nobody_out(locking, length):
    """MariaDB counts it as a broken login."""
    for _ in range(5):
        with locking.raw() as client:
            client.greet().say_login()
            client.payload()
            client.send(3, b"x" * length)
            with pytest.raises((SaidNo, ConnectionError)):
                while client.payload()[0] != 0:
                    pass
    locking.still_welcome()


@pytest.mark.parametrize("database", [b"\xff\x80", b"d" * 200, b"nosuch"],
                         ids=["binary", "long", "unknown"])
def test_a_database_that_is_none_locks_nobody_out(locking, database):
    """MariaDB counts a name that is not in the client's charset."""
    for _ in range(5):
        with locking.raw() as client:
            client.greet().say_login(database=database)
            try:
                while client.payload()[0] != 0:
                    client.send(3, client.proof(b"n" * 20))
            except (SaidNo, ConnectionError):
                pass
    locking.still_welcome()


def test_a_login_that_is_broken_off_would_lock_the_router_out(locking):
    """So that the tests above tell something."""
    for _ in range(3):
        with MySQLClient(local(locking.stranger.port)) as client:
            client.greet()
    until(locking.stranger.locked_out, "the address to be locked out")
    locking.server.forget()
