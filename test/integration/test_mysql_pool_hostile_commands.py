"""Promise: whatever a client of a MySQL pool sends when it is logged in, and however it leaves, it
becomes nobody else, and who comes next on its connection finds nothing of it."""
import socket

import pytest

from lib.fake import reset
from lib.mysql_client import query_packet
from lib.mysql_said import COM, DEPRECATE_EOF, SaidNo, change_user
from lib.mysql_stage import ACCOUNTS, MySQLStage, all_is_well, refusal
from lib.mysql_wire import packet
from lib.rerun import unforgivable
from lib.waiting import until

pytestmark = pytest.mark.sanitize


@pytest.fixture(name="stage", scope="module", params=["session", "transaction"])
def shared_stage(request, shared_home):
    return MySQLStage(shared_home, mode=request.param)


@pytest.fixture(autouse=True)
def well(stage):
    with all_is_well(stage):
        yield


BAD_CHANGES = {
    "empty": b"\x11", "no nul": b"\x11user1", "cut token": b"\x11user1\0\xffabc",
    "cut database": b"\x11user1\0\0data", "cut charset": b"\x11user1\0\0\0\x2d",
    "binary": b"\x11" + b"\xff" * 200, "no plugin": b"\x11user1\0\0\0\x2d\0",
    "wrong": change_user("user1", b"x" * 20), "unknown": change_user("nobody", b"x" * 20),
}


@pytest.mark.parametrize("payload", BAD_CHANGES.values(), ids=BAD_CHANGES.keys())
def test_a_change_of_user_that_fails_leaves_nobody_as_somebody_else(stage, payload):
    """Told, or cut; afterwards neither it nor who comes next is user1."""
    client = stage.client(password=ACCOUNTS["user0"])
    client.query("KEEP mine")
    client.password = "of nobody"
    client.send(0, payload)
    try:
        client.finish()
        let_in = True
    except (SaidNo, ConnectionError):
        let_in = False
    with unforgivable():
        assert not let_in, "it is user1 without a proof"
    try:
        assert client.who()[0] == "user0"
    except (SaidNo, ConnectionError):
        pass
    client.close()
    with stage.client("user2") as other:
        assert other.who()[::3] == ("user2", "")


def test_a_change_of_user_with_a_proof_is_one(stage):
    client = stage.client()
    client.query("KEEP mine")
    for user in ("user1", "user0", "user1"):
        client.password = ACCOUNTS[user]
        client.send(0, change_user(user, client.proof(client.greeting.nonce)))
        client.finish()
        assert client.who()[::3] == (user, "")
        client.query(f"KEEP {user}")
    client.quit()


def test_a_change_of_user_in_the_midst_of_replies(stage):
    """Pipelined behind queries and before them: each is answered as who asked it."""
    client = stage.client()
    client.sock.sendall(query_packet("WHO one") + query_packet("WHO two")
                        + packet(0, change_user("user1", b"x" * 20)))
    assert [client.rows()[0][4], client.rows()[0][4]] == ["one", "two"]
    client.password = ACCOUNTS["user1"]
    client.finish()
    assert client.who()[0] == "user1"
    client.quit()


NO_COMMANDS = {
    "number 1": packet(1, b"\x03WHO"), "number 255": packet(255, b"\x03WHO"),
    "a file": packet(2, b"1,2,3\n") + packet(3, b""), "the end of one": packet(2, b""),
    "a header": b"\x05\0\0\x07",
}
OUT_OF_ORDER = 0, 1156, "08S01", "Got packets out of order"


def disorder(client):
    """As servers say it: with the number 0, whatever was said before."""
    said = refusal(client)
    return client.sequence, said.code, said.state, said.words


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("data", NO_COMMANDS.values(), ids=NO_COMMANDS.keys())
def test_what_is_no_command_ends_its_session(stage, data, before):
    """Nobody knows where the next command would begin. No server is sent any of it; what was asked
    before is answered before."""
    errors = stage.frontend("protocol_errors")
    client = stage.client()
    client.query("KEEP mine")
    client.sock.sendall(b"".join(query_packet(f"WHO {n}") for n in range(before)) + data)
    assert [client.rows()[0][4] for _ in range(before)] == [str(n) for n in range(before)]
    assert disorder(client) == OUT_OF_ORDER
    assert stage.frontend("protocol_errors") == errors + 1
    for _ in range(5):
        with stage.client("user1") as other:
            assert other.who()[::3] == ("user1", "")
            other.quit()


def test_the_rest_of_a_command_may_be_out_of_order_too(stage):
    """One of two packets, of which the second has the number of another: the server waits for it,
    and is left with what it got."""
    errors = stage.frontend("protocol_errors")
    client = stage.client()
    client.sock.sendall(packet(0, b"\x03" + b"x" * 0xfffffe))
    client.sock.sendall(packet(0, b"\x03WHO"))
    assert disorder(client) == OUT_OF_ORDER
    assert stage.frontend("protocol_errors") == errors + 1
    until(lambda: all(link.user != "user0" for link in stage.liar.clients_links()), "its end")


def test_an_empty_command_is_one_that_nobody_knows(stage):
    """To MariaDB 10.11 and MySQL 9.7 as well; they go on."""
    client = stage.client()
    client.sock.sendall(packet(0, b"") + query_packet("WHO behind"))
    with pytest.raises(SaidNo) as caught:
        client.payload()
    assert (client.sequence, caught.value.code, caught.value.state) == (1, 1047, "08S01")
    assert client.rows()[0][4] == "behind"
    client.quit()


TOO_MUCH = {"long": (packet(0, b"\x11" + b"u" * 20000), 1153),
            "more": (packet(0, change_user("user1", b"x" * 20)) + query_packet("WHO"), 1156),
            "malformed": (packet(0, b"\x11user1"), 1047)}


@pytest.mark.parametrize("data, code", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_a_change_of_user_that_is_none_is_told(stage, data, code):
    errors = stage.frontend("protocol_errors")
    client = stage.client()
    client.sock.sendall(query_packet("WHO me") + data)
    assert client.rows()[0][4] == "me"
    said = refusal(client)
    assert (client.sequence, said.code, said.state) == (1, code, "08S01"), said
    assert said.words.startswith("router: ")
    assert stage.frontend("protocol_errors") == errors + 1


def test_a_file_is_sent_when_it_is_asked_for(stage):
    wanted = b"\xfb/etc/hostname"
    got = []

    def take(link):
        link.send(1, wanted)
        while (said := link.read())[1]:
            got.append(said)
        link.send(said[0] + 1, b"\0\x03\0\2\0\0\0")

    stage.liar.plans["LOAD"] = [[take]]
    client = stage.client()
    for _ in range(2):
        client.command(COM["query"], "LOAD")
        assert client.payload() == wanted
        for number, data in enumerate([b"1,2\n" * 1000, b"\x01", b"\x03WHO", b""], 2):
            client.send(number, data)
        assert client.payload()[:2] == b"\0\x03"
        assert client.who("then")[4] == "then"
    client.quit()
    assert [len(payload) for _, payload in got] == [4000, 1, 4] * 2


def test_who_leaves_in_the_midst_of_a_file_leaves_nothing_of_it(stage):
    stage.liar.plans["LOAD"] = [[lambda link: link.send(1, b"\xfbf"), lambda link: link.read()]]
    for data in (b"", packet(2, b"half")[:6], packet(2, b"one")):
        client = stage.client()
        _, link, *_ = client.who()
        client.command(COM["query"], "LOAD")
        assert client.payload() == b"\xfbf"
        client.sock.sendall(data)
        client.close()
        until(lambda: all(str(one.number) != link for one in stage.liar.clients_links()),
              "its connection to be ended")


@pytest.mark.parametrize("behind", [b"", b"\x05\0\0\0\x03WH"], ids=["whole", "half a command"])
def test_half_a_connection(stage, behind):
    """Who ends its half may be answered still; its connection is lent only when all is."""
    client = stage.client()
    client.sock.sendall(query_packet("WHO mine") + behind)
    client.sock.shutdown(socket.SHUT_WR)
    try:
        assert client.rows()[0][4] == "mine"
    except (ConnectionError, SaidNo):
        pass
    assert client.ended()


def test_who_dies_with_commands_under_way_leaves_no_answers(stage):
    for count in (1, 3, 40):
        for _ in range(5):
            client = stage.client()
            client.sock.sendall(b"".join(query_packet(f"WHO {n}") for n in range(count)))
            reset(client.sock)
        with stage.client("user1") as other:
            assert other.who("me")[::4] == ("user1", "me")
            other.quit()


def test_who_does_not_read_is_not_read_for(stage):
    """One that asks much and reads nothing holds its own connection, and little memory."""
    stage.liar.plans["MUCH"] = [[lambda link: pour(link, 64 << 20)]]
    client = stage.client()
    client.command(COM["query"], "MUCH")
    with stage.witnesses() as witnesses:
        witnesses.go_on(20)
    reset(client.sock)


def pour(link, size):
    """A result set of one column that ends after so many bytes."""
    link.send(1, b"\x01")
    link.send(2, b"\x03def\0\0\0\x01c\0\x0c\x2d\0\0\4\0\0\xfd\0\0\0\0\0")
    sequence = 3
    if not link.capabilities & DEPRECATE_EOF:
        link.send(3, b"\xfe\0\0\2\0")
        sequence = 4
    row = b"\xfc\x00\x40" + b"x" * 0x4000
    for _ in range(size // len(row)):
        link.sock.sendall(packet(sequence & 0xff, row))
        sequence += 1
    link.send(sequence & 0xff, b"\xfe\0\0\2\0\0\0"[:5 if not link.capabilities & DEPRECATE_EOF
                                                   else 7])
