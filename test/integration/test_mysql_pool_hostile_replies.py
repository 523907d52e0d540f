"""Promise: what a MySQL server says wrongly to a pooled client, to nobody, or when a connection is
cleaned, costs that connection; no byte of it reaches another client."""
import struct
import threading

import pytest

from lib.fake import established, reset
from lib.mysql_client import query_packet
from lib.mysql_liar import END, RESET, SILENCE, WELL
from lib.mysql_said import COM, IN_TRANS, SaidNo, error, greeting, ok, result, switch
from lib.mysql_stage import all_is_well, lonely
from lib.mysql_wire import packet
from lib.rerun import unforgivable
from lib.waiting import until

pytestmark = pytest.mark.sanitize

NONCE = b"n" * 20


@pytest.fixture(name="alone", params=["session", "transaction"])
def stage_of_its_own(request, home):
    stage = lonely(home, request.param)
    with all_is_well(stage, served_meanwhile=False):
        yield stage


# --- what nobody asked for ---

STRAY = {"ok": packet(1, ok()), "rows": result(["a"], [["stranger"]], 0), "byte": b"x",
         "number 0": packet(0, error(1053, "Server shutdown in progress", "08S01")),
         "inactive": packet(0, error(4031, "The client was disconnected by the server because of "
                                     "inactivity.", "HY000")),
         "half": packet(1, ok())[:6], "much": packet(1, ok()) * 20000,
         "switch": packet(1, switch(NONCE)), "greeting": packet(0, greeting(NONCE, 1))}


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())
def test_what_a_server_says_on_an_idle_connection_is_nobodys(alone, stray):
    client = alone.client("user0")
    _, number, *_ = client.who()
    client.quit()
    alone.wait_left()
    link, = alone.liar.clients_links()
    try:
        link.sock.sendall(stray)
    except ConnectionError:
        pass
    with alone.client("user1") as other:
        user, another, _, kept, word = other.who("mine")
        assert (user, kept, word) == ("user1", "", "mine") and another != str(number)
    assert not established(link.sock)


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())
def test_what_comes_behind_an_answer_is_not_the_next_clients(alone, stray):
    """In the same write as the answer's end, and no more is asked there."""
    alone.liar.plans["MORE"] = [[packet(1, ok()) + stray]]
    client = alone.client("user0")
    client.command(COM["query"], "MORE")
    client.payload()
    client.close()
    with alone.client("user1") as other:
        assert other.who("mine")[::4] == ("user1", "mine")
        other.quit()


@pytest.mark.parametrize("stray", [STRAY["ok"], STRAY["rows"], STRAY["half"]])
def test_what_comes_while_the_next_client_logs_in_is_not_its_answer(alone, stray):
    """A server that is one answer late: the change of user is not answered with it."""
    alone.client("user0").quit()
    alone.wait_left()
    alone.liar.plans["change"] = [[stray, WELL]]
    alone.liar.plans["login"] = [[WELL]]
    client = alone.raw("user1", password="wrong").greet()
    client.say_login()
    with pytest.raises((SaidNo, ConnectionError)):
        client.finish()
        with unforgivable():
            raise AssertionError(f"let in as {client.who()}")


@pytest.mark.parametrize("way", [END, RESET])
def test_idle_connections_that_the_server_ends_are_not_lent(alone, way):
    for _ in range(5):
        alone.client("user0").quit()
        alone.wait_left()
        link, = alone.liar.clients_links()
        if way == RESET:
            link.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER
        link.sock.shutdown(2)
        with alone.client("user1") as other:
            assert other.who()[0] == "user1"
            other.quit()
        alone.wait_left()


# --- replies ---


def whole_packets(data):
    at = 0
    while len(data) - at >= 4 and (size := 4 + int.from_bytes(data[at:at + 3], "little")):
        if len(data) - at < size:
            break
        at += size
    return data[:at]


@pytest.mark.parametrize("how", [END, RESET, SILENCE])
@pytest.mark.parametrize("said", [b"", packet(1, ok())[:7], packet(1, b"\x02"),
                                  result(["a"], [["1"]] * 3, 0)[:-3]],
                         ids=["none", "half", "columns", "rows"])
def test_a_reply_that_breaks_off_is_nobody_elses(alone, said, how):
    alone.liar.plans["BREAK"] = [[said, how]]
    client = alone.client("user0")
    client.command(COM["query"], "BREAK")
    # What a client has not asked for is taken out of whole packets.
    passes = whole_packets(said) if alone.mode == "transaction" else said
    got = b""
    while len(got) < len(passes):
        got += client.sock.recv(1000) or b"the end"
    assert got == passes
    if how == SILENCE:
        reset(client.sock)
    else:
        try:
            rest = client.sock.recv(1000)
            assert rest == b"" or b"\xff" in rest[:5], rest
        except ConnectionError:
            pass
    with alone.client("user1") as other:
        assert other.who("mine")[::4] == ("user1", "mine")


NOT_REPLIES = {"a greeting": packet(0, greeting(NONCE, 1)), "zeros": b"\0" * 100,
               "2^64 columns": packet(1, b"\xfe" + b"\xff" * 8), "cut": packet(1, b"\0")}


@pytest.mark.parametrize("said", NOT_REPLIES.values(), ids=NOT_REPLIES.keys())
def test_what_is_no_reply_is_told_and_its_connection_serves_nobody(alone, said):
    before = alone.router.stats().server(alone.liar.name)["protocol_errors"]
    alone.liar.plans["BAD"] = [[said]]
    client = alone.client("user0")
    _, link, *_ = client.who()
    client.command(COM["query"], "BAD")
    got = client.sock.recv(1000)
    assert struct.unpack("<xxxBBH6s", got[:13]) == (1, 0xff, 2027, b"#HY000"), got
    assert client.ended()
    assert alone.router.stats().server(alone.liar.name)["protocol_errors"] == before + 1
    with alone.client("user1") as other:
        user, number, _, kept, word = other.who("mine")
        assert (user, kept, word) == ("user1", "", "mine") and number != link


HALF_REPLIES = {"http": b"HTTP/1.1 400 Bad\r\n\r\n", "a null": packet(1, b"\xfb"),
                "no columns": packet(1, b"\xfc\0\0"),
                "number 3": packet(1, b"\1") + packet(3, ok()),
                "rows": result(["a"], [["1"]], 0)[:-5] + packet(77, b"x")}


@pytest.mark.parametrize("said", HALF_REPLIES.values(), ids=HALF_REPLIES.keys())
def test_what_begins_as_a_reply_is_for_who_asked_to_judge(alone, said):
    """It may be one that is long, or of which a part has been seen; then it is over."""
    alone.liar.plans["BAD"] = [[said]]
    client = alone.client("user0")
    _, link, *_ = client.who()
    client.command(COM["query"], "BAD")
    reset(client.sock)
    with alone.client("user1") as other:
        user, number, _, kept, word = other.who("mine")
        assert (user, kept, word) == ("user1", "", "mine") and number != link


def test_a_reply_without_end_ends_with_its_client(alone):
    """And is never kept in memory."""
    stop = threading.Event()

    def for_ever(link):
        link.sock.sendall(result(["a"], [], 0)[:-9])
        number = 4
        while not stop.is_set():
            link.sock.sendall(packet(number & 0xff, b"\xfc\x00\x10" + b"x" * 4096))
            number += 1

    alone.liar.plans["ENDLESS"] = [[for_ever]]
    client = alone.client("user0")
    client.command(COM["query"], "ENDLESS")
    for _ in range(400):
        assert client.sock.recv(65536)
    client.close()
    try:
        with alone.client("user1") as other:
            assert other.who()[0] == "user1"
    finally:
        stop.set()


def test_a_file_that_nobody_offered_is_for_the_client_to_refuse(alone):
    """A statement that did not ask for one: passed on as without a pool."""
    def ask(link):
        link.send(1, b"\xfb/etc/passwd")
        number, payload = link.read()
        link.send(number + 1, error(2, f"had {len(payload)}"))

    alone.liar.plans["WHAT"] = [[ask]]
    client = alone.client("user0")
    client.command(COM["query"], "WHAT")
    assert client.payload() == b"\xfb/etc/passwd"
    client.send(2, b"")
    with pytest.raises(SaidNo) as caught:
        client.rows()
    assert (caught.value.code, caught.value.words) == (2, "had 0")
    assert client.who("on")[4] == "on"


# --- cleaning up ---


@pytest.mark.parametrize("answer", [[packet(1, error(1047, "Unknown command"))], [SILENCE], [END],
                                    [packet(1, b"\x01")], [packet(1, ok()) + packet(2, ok())]],
                         ids=["no", "silence", "end", "rows", "twice"])
def test_a_connection_that_cannot_be_cleaned_is_ended(alone, answer):
    """Its client left in the midst of a transaction: locks must go, so must the connection."""
    alone.liar.plans["reset"] = [answer]
    client = alone.client("user0")
    client.query("BEGIN")
    _, link, *_ = client.who()
    client.quit()
    until(lambda: not any(str(one.number) == link for one in alone.liar.clients_links()),
          "it to be ended, or never to be kept", 15)
    with alone.client("user1") as other:
        assert other.who()[0] == "user1"


def test_a_transaction_does_not_outlive_its_client(alone):
    client = alone.client("user0")
    client.query("BEGIN")
    client.query("KEEP mine")
    client.close()
    until(lambda: not any(link.status & IN_TRANS for link in alone.liar.clients_links()),
          "the transaction to be ended")
    with alone.client("user0") as again:
        assert again.who()[::3] == ("user0", "")


def test_commands_that_are_pipelined_are_answered_in_turn(alone):
    client = alone.client("user0")
    client.sock.sendall(b"".join(query_packet(f"WHO {n}") for n in range(200)))
    assert [client.rows()[0][4] for _ in range(200)] == [str(n) for n in range(200)]
