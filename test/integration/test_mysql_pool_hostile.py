"""Promise: a MySQL server that is broken, or lies, loses its pooled connections and nothing else: a
client of it is told or cut, nobody is let in whom no server judged, and no byte reaches another."""
import struct

import pytest

from lib.mysql_liar import END, RESET, SILENCE, WELL
from lib.mysql_said import (DEPRECATE_EOF, MULTI_STATEMENTS, PLUGIN_AUTH, PROTOCOL_41, SERVER,
                            SESSION_TRACK, SaidNo, error, greeting, ok, switch)
from lib.mysql_stage import MySQLStage, all_is_well, lonely, refusal
from lib.mysql_wire import packet
from lib.rerun import unforgivable
from lib.waiting import SLOW, Clock, until

pytestmark = pytest.mark.sanitize

NONCE = b"n" * 20


@pytest.fixture(name="stage", scope="module")
def shared_stage(shared_home):
    return MySQLStage(shared_home, pool_size=6)


@pytest.fixture(name="alone")
def stage_of_its_own(home):
    return lonely(home)


@pytest.fixture(autouse=True)
def well(request):
    name = next((n for n in ("alone", "stage") if n in request.fixturenames), None)
    if not name:
        yield
        return
    with all_is_well(request.getfixturevalue(name), served_meanwhile=False):
        yield


def fresh(stage):
    """No pooled connection is left: the next client gets a new one."""
    for link in stage.liar.clients_links():
        try:
            link.sock.shutdown(2)
        except OSError:
            pass
    until(lambda: not stage.liar.clients_links(), "the connections to be ended")
    stage.router.wait_for(lambda s: s.server(stage.liar.name)["sessions"] == 0,
                          "the router to know")


def try_in(stage, user="user0", **options):
    """How a login ends: SaidNo, "cut" or the client."""
    client = stage.raw(user, **options).greet()
    try:
        return client.log_in()
    except SaidNo as said:
        assert client.ended()
        return said
    except ConnectionError:
        return "cut"


def told(said, *codes):
    """An ERR of the router's own, in a client's words."""
    assert isinstance(said, SaidNo), said
    assert said.words.startswith("router: ") and said.state in ("08S01", "HY000", "28000"), said
    assert not codes or said.code in codes, said


# --- greetings ---

GREETINGS = {
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "zeros": b"\0" * 200, "empty": b"\0\0\0\0",
    "version 9": packet(0, b"\x09" + b"3.20\0" + b"\1\0\0\0" + b"abcdefgh\0"),
    "version 11": packet(0, greeting(NONCE, 1, protocol=11)),
    "giant": b"\xff\xff\xff\0" + b"\x0a" * 70000,
    "cut": packet(0, greeting(NONCE, 1)[:30]), "no nonce": packet(0, greeting(b"n" * 8, 1)[:32]),
    "a version without end": packet(0, b"\x0a" + b"5" * 900),
    "before 4.1": packet(0, greeting(NONCE, 1, capabilities=SERVER & ~PROTOCOL_41)),
    "without plugins": packet(0, greeting(NONCE, 1, capabilities=SERVER & ~PLUGIN_AUTH)),
}


@pytest.mark.parametrize("said", GREETINGS.values(), ids=GREETINGS.keys())
def test_a_greeting_that_is_none_is_told_to_who_waits(stage, said):
    """Its login has come already, so it gets a clear answer; the server gets none of it."""
    fresh(stage)
    logins = stage.liar.count("login", "user0")
    stage.liar.plans["greeting"] = [[said, SILENCE]]
    clock = Clock()
    told(try_in(stage))
    assert clock.seconds() < 12 * SLOW
    with unforgivable():
        assert stage.liar.count("login", "user0") == logins


@pytest.mark.parametrize("code, words", [(1040, "Too many connections"),
                                         (1129, "Host '10.0.0.1' is blocked"),
                                         (1130, "Host is not allowed to connect")])
def test_a_server_that_has_no_place_says_so_in_its_own_words(stage, code, words):
    """In the form of before the login, without SQLSTATE; the client is past that."""
    fresh(stage)
    stage.liar.plans["greeting"] = [[packet(0, b"\xff" + struct.pack("<H", code) + words.encode()),
                                     END], [WELL]]
    client = stage.raw().greet()
    client.say_login()
    try:
        said = refusal(client)
    except AssertionError:  # another connection was tried, and that is well
        return
    assert said.code == code and words in said.words and len(said.state) == 5, said


@pytest.mark.parametrize("less", [SESSION_TRACK, DEPRECATE_EOF, MULTI_STATEMENTS,
                                  DEPRECATE_EOF | SESSION_TRACK])
def test_a_server_that_greets_with_less_than_its_probe_saw(stage, less):
    """It was replaced behind our back: its clients are refused, or understand each other."""
    fresh(stage)
    before = stage.liar.capabilities
    stage.liar.capabilities = SERVER & ~less
    try:
        client = stage.raw("user0", capabilities=SERVER).greet()
        client.say_login()
        try:
            client.finish()
        except SaidNo as said:
            told(said)
        else:
            assert client.who()[0] == "user0"
            client.query("BEGIN")
            assert client.who("2")[4] == "2"
        client.close()
    finally:
        stage.liar.capabilities = before
        fresh(stage)


# --- connections that end, or say nothing ---

STAGES = ["greeting", "login", "proof"]


@pytest.mark.parametrize("how", [END, RESET])
@pytest.mark.parametrize("when", STAGES)
def test_a_server_that_ends_in_the_login_is_told_of(stage, when, how):
    """Once: the next client is served, whether or not this one was by another connection."""
    fresh(stage)
    stage.liar.plans[when] = [[how], [WELL]]
    said = try_in(stage)
    if isinstance(said, SaidNo):
        told(said)
    else:
        assert when == "greeting" and said.who()[0] == "user0", said
    again = try_in(stage)
    assert again.who()[0] == "user0"


@pytest.mark.parametrize("how", [END, RESET])
@pytest.mark.parametrize("when", STAGES)
def test_a_server_that_always_ends_there_is_not_besieged(stage, when, how):
    fresh(stage)
    stage.liar.plans[when] = [[how]]
    before = stage.liar.fake.accepted
    for _ in range(4):
        told(try_in(stage))
    assert stage.liar.fake.accepted - before <= 40


def test_a_server_that_says_nothing_is_not_waited_for_without_end(home):
    """Neither where it should greet, nor in the login; all at once."""
    stage = MySQLStage(home, pool_size=6, connect_timeout="1s", queue_timeout="4s")
    stage.client().quit()  # of strangers only a few may be unfinished at once
    fresh(stage)
    ins, logins = stage.liar.count("in"), stage.liar.count("login")
    clock, clients = Clock(), []
    for when in ("proof", "login", "greeting"):
        stage.liar.plans[when] = [[SILENCE]]
        client = stage.raw().greet()
        client.say_login()
        clients.append(client)
        if when == "proof":
            client.send(3, client.proof(client.asked()))
            until(lambda: stage.liar.count("in") == ins + 1, "the proof")
        elif when == "login":
            until(lambda: stage.liar.count("login") == logins + 2, "the login")
    for client in clients:
        told(refusal(client))
    assert clock.seconds() < 15 * SLOW
    stage.liar.plans = {}
    fresh(stage)
    with stage.witnesses():
        pass


# --- proofs ---


def test_a_server_that_asks_for_ever_is_stopped(stage):
    asked = []

    def ask(link):
        sequence = 2
        while True:
            link.send(sequence & 0xff, switch(NONCE))
            link.read()
            asked.append(sequence)
            sequence += 2

    fresh(stage)
    stage.liar.plans["login"] = [[ask]]
    told(try_in(stage))
    assert len(asked) < 300


BAD_PROOFS = {
    "garbage": b"\x07\0\0\2garbage", "empty": packet(2, b""), "a row": packet(2, b"\x05hello"),
    "number 5": packet(5, switch(NONCE)), "number 0": packet(0, switch(NONCE)),
    "16 MB": b"\xff\xff\xff\2\xfe" + b"x" * 200000, "a file": packet(2, b"\xfb/etc/passwd"),
    "more": packet(2, b"\x01\x04"), "no plugin": packet(2, b"\xfe"),
    "plugin without end": packet(2, b"\xfe" + b"p" * 5000), "cut ok": packet(2, b"\0"),
    "short error": packet(2, b"\xff"),
}


@pytest.mark.parametrize("said", BAD_PROOFS.values(), ids=BAD_PROOFS.keys())
def test_what_does_not_belong_into_a_login_ends_it(stage, said):
    """Told, or passed on to who can judge it; never let in."""
    fresh(stage)
    stage.liar.plans["login"] = [[said, SILENCE]]
    client = stage.raw().greet()
    client.say_login()
    client.sock.settimeout(12 * SLOW)
    try:
        first, payload = client.read()
        with unforgivable():
            assert payload[:1] != b"\0", "let in"
        if payload[:1] not in (b"\xff", b""):
            assert first == 2
            client.close()
    except ConnectionError:
        pass


@pytest.mark.parametrize("pooled", [False, True], ids=["fresh", "pooled"])
def test_who_was_not_asked_for_a_proof_is_not_let_in(alone, pooled):
    """As a proxy would answer that trusts us; or MariaDB at a unix socket, for the router's own
    user. The client has proved nothing to anybody."""
    if pooled:
        alone.client("user1").quit()
        alone.wait_left()
    before = alone.frontend("refused_login")
    alone.liar.plans["change"] = [[packet(1, ok())]]
    alone.liar.plans["login"] = [[packet(2, ok())]]
    client = alone.raw("user0", password="wrong").greet()
    client.say_login()
    try:
        client.finish()
    except SaidNo as said:
        told(said)
    else:
        with unforgivable():
            raise AssertionError(f"let in without a proof, as {client.who()}")
    assert client.ended()
    assert alone.liar.count("change" if pooled else "login", "user0") == 1
    until(lambda: not alone.liar.clients_links(), "the connection to be ended")
    until(lambda: alone.frontend("refused_login") == before + 1, "it to be counted")


@pytest.mark.parametrize("pooled", [False, True], ids=["fresh", "pooled"])
def test_who_was_told_no_at_once_hears_why(alone, pooled):
    if pooled:
        alone.client("user1").quit()
        alone.wait_left()
    for stage, number in (("change", 1), ("login", 2)):
        alone.liar.plans[stage] = [[packet(number, error(1698, "Access denied", "28000"))]]
    said = try_in(alone, "user0")
    assert (said.code, said.state, said.words) == (1698, "28000", "Access denied")
    until(lambda: not alone.liar.clients_links(), "the connection to be ended")


def test_a_connection_on_which_a_login_failed_serves_nobody(alone):
    """MariaDB would go on with it as whoever was there before."""
    first = alone.client("user1")
    _, link, *_ = first.who()
    first.quit()
    alone.wait_left()
    said = try_in(alone, "user0", password="wrong")
    assert (said.code, said.state) == (1045, "28000") and "router" not in said.words
    with alone.client("user2") as other:
        user, number, _, kept, _ = other.who()
        assert (user, kept) == ("user2", "") and number != link


def test_an_account_without_a_password_is_asked_and_let_in(alone):
    alone.liar.accounts["free"] = ""
    for _ in range(2):
        with alone.client("free", password="") as client:
            assert client.who()[0] == "free"
            client.quit()
        alone.wait_left()
    said = try_in(alone, "free", password="wrong")
    assert said.code == 1045
