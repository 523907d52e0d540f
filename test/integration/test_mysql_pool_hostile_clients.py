"""Promise: whatever a client of a MySQL pool sends, it is told what was wrong or is cut, it is
counted, nothing of it reaches a server that is not its login, and all others are served."""
import socket
import ssl
import struct

import pytest

from lib.certificates import Authority
from lib.fake import reset
from lib.mysql_client import query_packet
from lib.mysql_said import (CLIENT, COM, COMPRESS, LENENC, OK, PLUGIN_AUTH, SSL, SaidNo,
                            response)
from lib.mysql_stage import MySQLStage, all_is_well, refusal, refused_or_cut
from lib.mysql_wire import attributes, packet
from lib.rerun import unforgivable
from lib.waiting import SLOW, Clock, until

pytestmark = pytest.mark.sanitize

PATIENCE_SECONDS = 8.0  # of the router with a login
HANDSHAKE, OLD_CLIENT, DENIED = 1043, 1251, 1045
LATIN1 = 8
SSL_REQUEST = struct.pack("<IIB", CLIENT | SSL, 1 << 24, 45) + b"\0" * 23


@pytest.fixture(name="stage", scope="module")
def shared_stage(shared_home):
    return MySQLStage(shared_home)


@pytest.fixture(name="tls_stage", scope="module")
def shared_stage_of_tls(shared_home):
    authority = Authority(shared_home.directory("ca"))
    leaf = authority.leaf(names=["db.example.com"], ips=["127.0.0.1"])
    return MySQLStage(shared_home, front={"tls": "yes", "tls_cert": leaf.pem})


@pytest.fixture(autouse=True)
def well(request):
    name = "tls_stage" if "tls_stage" in request.fixturenames else "stage"
    with all_is_well(request.getfixturevalue(name)):
        yield


def counted(stage, before, by=1):
    until(lambda: stage.frontend("refused_login") >= before + by, "it to be counted")


# --- in place of a login ---


def login_of(stage):
    with stage.raw().greet() as client:
        return client.login_payload()


def no_sequence(number):
    def say(client):
        client.send(number, client.login_payload())
    say.__name__ = f"number_{number}"
    return say


def a_command(client):
    client.command(COM["query"], "WHO are you")


def a_command_with_the_logins_number(client):
    client.send(1, b"\x03WHO are you")


def http(client):
    client.sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def nothing_at_all(client):
    client.send(1, b"")


def sixteen_megabytes_claimed(client):
    client.sock.sendall(b"\xff\xff\xff\x01")


def sixteen_megabytes(client):
    try:
        client.sock.sendall(b"\xff\xff\xff\x01" + b"x" * 0xffffff)
    except ConnectionError:
        pass


def before_4_1(client):
    client.send(1, b"\x05\0\0\0\0user0\0" + b"x" * 8)


def without_plugins(client):
    client.send(1, response("user0", client.proof(client.greeting.nonce),
                            CLIENT & ~PLUGIN_AUTH))


def tls_that_is_not_offered(client):
    client.send(1, SSL_REQUEST)


def a_proof_longer_than_its_packet(client):
    client.send(1, struct.pack("<IIB", CLIENT | LENENC, 1 << 24, 45) + b"\0" * 23
                + b"user0\0\xfd\xff\xff\xff" + b"x" * 20)


def a_name_without_end(client):
    client.send(1, struct.pack("<IIB", CLIENT, 1 << 24, 45) + b"\0" * 23 + b"user0" * 50)


def attributes_longer_than_their_packet(client):
    client.send(1, client.login_payload(attributes=b"\xfe" + b"\xff" * 8 + b"x" * 50))


def an_attribute_longer_than_all(client):
    client.send(1, client.login_payload(attributes=b"\x05\x03key\xfe" + b"\xff" * 8))


def a_head_alone(client):
    client.send(1, response("user0")[:32])


INSTEAD = [no_sequence(0), no_sequence(2), no_sequence(255), a_command,
           a_command_with_the_logins_number, http, nothing_at_all, sixteen_megabytes_claimed,
           sixteen_megabytes, before_4_1, without_plugins, tls_that_is_not_offered,
           a_proof_longer_than_its_packet, a_name_without_end,
           attributes_longer_than_their_packet, a_head_alone]


@pytest.mark.parametrize("say", INSTEAD, ids=lambda say: say.__name__)
def test_what_is_no_login_is_refused_and_costs_no_server_anything(stage, say):
    before, logins = stage.frontend("refused_login"), stage.liar.count("login", "user0")
    changes = stage.liar.count("change", "user0")
    client = stage.raw().greet()
    say(client)
    said = refusal(client)
    assert said.code in (HANDSHAKE, OLD_CLIENT, 1156, 1153), said
    assert said.state == "08S01" or said.code == OLD_CLIENT, said
    assert said.words.startswith("router: "), said
    assert client.sequence == 2, "not the number that a client waits for"
    counted(stage, before)
    assert stage.liar.count("login", "user0") == logins
    assert stage.liar.count("change", "user0") == changes


def test_a_login_cut_at_any_byte_is_nobodys_business(stage):
    """Closed, reset or ended there: no server sees anything of it, but of a whole one."""
    whole = packet(1, login_of(stage))
    logins = stage.liar.count("login", "user0") + stage.liar.count("change", "user0")
    for at in range(len(whole)):
        with stage.raw().greet() as client:
            client.sock.sendall(whole[:at])
            if at % 3 == 1:
                client.sock.shutdown(socket.SHUT_WR)
                assert client.ended() or True
            if at % 3 == 2:
                reset(client.sock)
    stage.wait_left(2)
    assert stage.liar.count("login", "user0") + stage.liar.count("change", "user0") == logins


def test_a_login_in_single_bytes_is_one(stage):
    client = stage.raw().greet()
    for byte in packet(1, client.login_payload()):
        client.sock.sendall(bytes([byte]))
    assert client.finish().who()[0] == "user0"
    client.quit()


def test_who_stalls_in_its_login_is_told_in_time(stage):
    """At many of its bytes, and where it is asked for its proof; all at once."""
    whole = packet(1, login_of(stage))
    before = stage.frontend("refused_login")
    clock, stalled = Clock(), []
    for at in range(0, len(whole), 8):
        client = stage.raw().greet()
        client.sock.sendall(whole[:at])
        stalled.append(client)
    silent = stage.raw().greet()
    silent.say_login()
    silent.asked()
    for client in [*stalled, silent]:
        said = refusal(client)
        assert said.state == "08S01" and "in time" in said.words, said
    assert PATIENCE_SECONDS - 1 < clock.seconds() < (PATIENCE_SECONDS + 2) * SLOW
    counted(stage, before, len(stalled))
    until(lambda: stage.liar.count("out", "user0") >= 1, "the login of the silent one to be ended")


# --- strange logins, and right ---


def test_what_was_not_offered_is_not_believed(stage):
    """Who claims compression is not compressed to; who is offered no plugin data has none."""
    client = stage.raw().greet()
    assert not client.greeting.capabilities & (COMPRESS | SSL)
    client.capabilities |= COMPRESS | 1 << 26 | 1 << 30
    client.log_in()
    assert client.who()[0] == "user0"
    client.quit()


@pytest.mark.parametrize("size", [1000, 8000, 15000, 65000])
def test_attributes_may_be_long(stage, size):
    block = attributes(size)
    client = stage.raw().greet()
    client.say_login(attributes=b"\xfd" + struct.pack("<I", len(block))[:3] + block)
    assert client.finish().who()[0] == "user0"
    client.quit()


@pytest.mark.parametrize("user", [b"\xff\xfe\x80", b"", b"a" * 200, b"'\"\\\n\x1b[31m", b"\xc3"],
                         ids=["binary", "empty", "long", "quotes", "half"])
def test_names_of_any_bytes_are_judged_by_the_server(stage, user):
    name = user.decode("latin-1")
    client = stage.raw(user, password="of nobody").greet()
    odd = {"database": b"\xff\x80", "charset": LATIN1}
    client.say_login(attributes={b"\xff": b"\0\xff", b"": b""}, **odd)
    with pytest.raises(SaidNo) as caught:
        client.finish()
    assert caught.value.code == DENIED and not caught.value.words.startswith("router: ")
    assert client.ended()
    stage.liar.accounts[name] = "of nobody"
    client = stage.raw(user, password="of nobody").greet().log_in(**odd)
    assert client.query("WHO x")[0][0] == name
    stage.router.stats()  # valid JSON, whoever is logged in
    assert "\x1b" not in stage.router.log
    client.quit()


def test_a_nul_in_a_name_does_not_make_it_another_name(stage):
    """Everything behind it shifts: no login, or one of the name before it."""
    client = stage.raw("user0\0user1", password="of user1").greet()
    client.say_login()
    try:
        client.finish()
    except SaidNo as said:
        assert said.code in (DENIED, HANDSHAKE), said
    else:
        raise AssertionError(f"let in as {client.who()}")


# --- TLS ---


def handshake(sock):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


def secured(stage):
    client = stage.raw().greet()
    assert client.greeting.capabilities & SSL
    client.send(1, SSL_REQUEST)
    client.sock = handshake(client.sock)
    client.sequence, client.capabilities = 1, client.capabilities | SSL
    return client


def test_a_client_that_asks_for_tls_gets_it(tls_stage):
    client = secured(tls_stage).log_in()
    assert client.who()[0] == "user0"
    client.quit()


def test_tls_is_asked_for_once(tls_stage):
    client = secured(tls_stage)
    client.send(2, SSL_REQUEST)
    said = refusal(client)
    assert (said.code, said.state, client.sequence) == (HANDSHAKE, "08S01", 3)


@pytest.mark.parametrize("behind", ["login", "command", "byte"])
def test_what_comes_in_the_clear_behind_the_request_for_tls_is_not_taken(tls_stage, behind):
    """Whoever sits in between could put it there: it must not be taken as said under TLS."""
    tried = tls_stage.liar.count("login", "user0") + tls_stage.liar.count("change", "user0")
    client = tls_stage.raw().greet()
    said = {"login": packet(2, client.login_payload()), "command": query_packet("WHO"),
            "byte": b"x"}[behind]
    client.sock.sendall(packet(1, SSL_REQUEST) + said)
    with pytest.raises((OSError, SaidNo, AssertionError)):
        client.sock = handshake(client.sock)
        client.sequence = 1
        client.log_in()
        with unforgivable():
            assert not client.who()[0], "let in"
    assert tried == (tls_stage.liar.count("login", "user0")
                     + tls_stage.liar.count("change", "user0"))


def test_a_login_under_tls_has_the_number_behind_the_request(tls_stage):
    client = secured(tls_stage)
    client.send(1, client.login_payload())
    assert refusal(client).code == HANDSHAKE


def test_the_clear_may_be_refused(home):
    authority = Authority(home.directory("ca"))
    leaf = authority.leaf(names=["db.example.com"])
    stage = MySQLStage(home, front={"tls": "required", "tls_cert": leaf.pem})
    client = stage.raw().greet()
    client.say_login()
    said = refusal(client)
    assert said.code == 3159, said
    assert stage.liar.count("login") == 0
    client = secured(stage).log_in()
    assert client.who()[0] == "user0"


# --- in place of a proof ---


def asked(stage, **options):
    client = stage.raw(**options).greet()
    client.say_login()
    return client, client.asked()


def test_who_leaves_when_it_is_asked_does_not_break_the_servers_login(stage):
    """It is brought to its end in its place, so that no server counts it."""
    for how in ("close", "reset", "half"):
        out = stage.liar.count("out", "user0")
        client, _ = asked(stage)
        if how == "reset":
            reset(client.sock)
        elif how == "half":
            client.sock.shutdown(socket.SHUT_WR)
        else:
            client.close()
        until(lambda was=out: stage.liar.count("out", "user0") == was + 1,
              f"a login to be ended: {how}")


def test_an_answer_of_another_number_is_none(stage):
    for number in (0, 2, 4, 255):
        before, out = stage.frontend("refused_login"), stage.liar.count("out", "user0")
        client, nonce = asked(stage)
        client.send(number, client.proof(nonce))
        said = refusal(client)
        assert said.state == "08S01" and said.words.startswith("router: "), said
        counted(stage, before)
        until(lambda was=out: stage.liar.count("out", "user0") == was + 1, "the login's end")


@pytest.mark.parametrize("head", [b"\xff\xff\xff\x03", b"\0\0\2\x03"], ids=["16MB", "128K"])
def test_a_giant_answer_is_refused(stage, head):
    before = stage.frontend("refused_login")
    client, _ = asked(stage)
    try:
        client.sock.sendall(head + b"x" * 0x20000)
    except ConnectionError:
        pass
    said = refusal(client)
    assert said.state == "08S01" and said.words.startswith("router: "), said
    counted(stage, before)


def test_who_leaves_in_the_midst_of_its_answer_does_not_break_the_login(stage):
    for at in (0, 1, 3, 4, 5, 23):
        out = stage.liar.count("out", "user0")
        client, nonce = asked(stage)
        client.sock.sendall(packet(3, client.proof(nonce))[:at])
        client.close()
        until(lambda was=out: stage.liar.count("out", "user0") == was + 1, f"its end, {at}")


@pytest.mark.parametrize("second", [3, 4, 5])
def test_who_answers_twice_is_not_let_do_anything(stage, second):
    """The second answer is no command: it has the wrong number."""
    client, nonce = asked(stage)
    proof = client.proof(nonce)
    client.sock.sendall(packet(3, proof) + packet(second, b"\x03WHO proof"))
    try:
        assert client.payload()[0] == OK
        client.sequence, payload = client.read()
        assert payload[0] == 0xff, f"{payload!r} to what was no command"
    except (SaidNo, ConnectionError):
        pass
    assert client.ended()


@pytest.mark.parametrize("early", [False, True], ids=["proof", "login"])
def test_commands_behind_the_proof_or_the_login(stage, early):
    """No client sends them; they are answered rightly, or refused."""
    client = stage.raw().greet()
    commands = query_packet("WHO one") + query_packet("WHO two")
    client.sock.sendall(packet(1, client.login_payload()) + (commands if early else b""))
    proof = packet(3, client.proof(client.asked()))
    client.sock.sendall(proof + (b"" if early else commands))
    try:
        client.finish()
        rows = [client.rows()[0], client.rows()[0]]
        assert [(row[0], row[4]) for row in rows] == [("user0", "one"), ("user0", "two")]
    except SaidNo as said:
        assert said.code == HANDSHAKE and client.ended(), said


@pytest.mark.parametrize("number", [0, 3])
def test_a_goodbye_in_the_midst_of_the_login_is_one(stage, number):
    out = stage.liar.count("out", "user0")
    client, _ = asked(stage)
    client.send(number, b"\x01")
    refused_or_cut(client)
    until(lambda: stage.liar.count("out", "user0") == out + 1, "the login to be ended")
