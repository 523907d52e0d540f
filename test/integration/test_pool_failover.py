"""Promise: clients of a pool stay connected while the primary changes; no write runs twice, none
that was acknowledged is lost by the router, and where nobody knows the client is told so."""
import time

import pytest

from lib.fake import established
from lib.pooled import Pooled, is_uncertain, planned_switch
from lib.resp import Closed, RespError
from lib.sentinel import MASTER
from lib.waiting import SLOW, until

LOGGERS = 12 if SLOW == 1 else 4


def failover(stage):
    """The server's own: FAILOVER."""
    a, b, c = stage.servers
    a.ok("FAILOVER", "TO", b.host, b.port, "TIMEOUT", 10000)
    until(lambda: b.role() == "master", "b's promotion")
    c.follow(b)


def by_hand(stage):
    planned_switch(*stage.servers)


def killed(stage):
    a, b, c = stage.servers
    a.kill()
    succeed(b, c)


def stopped(stage):
    a, b, c = stage.servers
    a.pause()
    stage.nobody()
    succeed(b, c)


def succeed(new, *others):
    new.promote()
    for other in others:
        other.follow(new)


PLANNED = [failover, by_hand]
EVERY = [*PLANNED, killed, stopped]


def change(stage, how):
    """Until the router writes to b."""
    began = time.monotonic()
    how(stage)
    stage.switched("b")
    return began


@pytest.mark.sanitize
@pytest.mark.parametrize("how", PLANNED)
def test_a_planned_switch_costs_no_client_an_error(home, how):
    stage = Pooled(home)
    b = stage.servers[1]
    loggers = stage.loggers(LOGGERS)
    loggers.wait_more(20)
    change(stage, how)
    loggers.wait_more(20)
    loggers.check(b)
    assert loggers.refused() == []


@pytest.mark.sanitize
@pytest.mark.parametrize("how", [killed, stopped])
def test_a_lost_primary_costs_what_was_in_flight_an_error_and_nobody_the_connection(home, how):
    """A stopped one goes on later, with what was in its sockets: nobody hears of that."""
    stage = Pooled(home)
    a, b, _ = stage.servers
    loggers = stage.loggers(LOGGERS)
    loggers.wait_more(20)
    began = change(stage, how)
    loggers.wait_more(20)
    if how is stopped:
        a.resume()
        loggers.wait_more(20)
    loggers.check(b, may_lose_before=began)
    refused = loggers.refused()
    assert all(is_uncertain(text) for text in map(RespError, refused)), refused
    assert len(refused) <= LOGGERS * loggers.depth, "what was not sent must wait"


def test_it_changes_again_and_again(home):
    """There and back, six times, under load."""
    stage = Pooled(home)
    a, b, c = stage.servers
    loggers = stage.loggers(LOGGERS)
    for old, new in [(a, b), (b, a)] * 3:
        loggers.wait_more(5)
        planned_switch(old, new, c)
        stage.switched(new.name)
    loggers.wait_more(5)
    loggers.check(a)
    assert loggers.refused() == []


def test_sentinels_change_it(home, sentinels):
    stage = Pooled(home, fakes=sentinels.servers, sentinel_master=MASTER,
                   sentinel=[s.text for s in sentinels.sentinels])
    loggers = stage.loggers(LOGGERS)
    loggers.wait_more(20)
    began = time.monotonic()
    sentinels.primary.kill()
    new = sentinels.wait_failover(sentinels.primary)
    stage.switched(new.name)
    loggers.wait_more(20)
    loggers.check(new, may_lose_before=began)


# What is in flight when the primary falls silent, one command at a time.


def in_flight(stage, *commands, client=None):
    """The replies to what was sent to a, which stands still, and then lost to b."""
    a, b, c = stage.servers
    if client is None:
        client = stage.client()
        assert client.call("PING") == "PONG"
    a.ok("SET", "warm", "yes")
    b.wait_caught_up(a)
    a.pause()
    client.send_all(commands)
    stage.nobody()
    succeed(b, c)
    return [client.read() for _ in commands], client


@pytest.mark.sanitize
def test_reads_in_flight_are_asked_again_and_writes_are_not(home):
    stage = Pooled(home, probe_timeout="700ms")
    replies, client = in_flight(stage, ("GET", "warm"), ("INCR", "n"), ("GET", "n"),
                                ("PING", "hello"), ("RPUSH", "l", "x"), ("LRANGE", "l", 0, -1))
    b = stage.servers[1]
    assert replies[0] == "yes"
    assert is_uncertain(replies[1]) and "not known" in replies[1]
    assert replies[2:4] == [None, "hello"]
    assert is_uncertain(replies[4])
    assert replies[5] == []
    assert b.ok("KEYS", "*") == ["warm"]
    assert client.pipeline([("INCR", "n"), ("GET", "n")]) == [1, "1"]
    stats = stage.backend()
    assert stats["commands_unknown"] == 2
    assert stats["commands_resent"] >= 4


def test_what_is_sent_while_there_is_no_primary_waits_for_the_next(home):
    stage = Pooled(home)
    a, b, c = stage.servers
    clients = stage.clients(40)
    assert {client.call("PING") for client in clients} == {"PONG"}
    a.kill()
    stage.nobody()
    for client in clients:
        client.send_all([("INCR", client.name), ("GET", client.name), ("INCR", client.name)])
    late = stage.client("late")
    late.send("INCR", "late")
    succeed(b, c)
    for client in clients:
        assert [client.read() for _ in range(3)] == [1, "1", 2]
    assert late.read() == 1
    assert b.data() == {"late": "1", **{client.name: "2" for client in clients}}
    assert stage.backend()["commands_held"] >= 41


# Transactions.


def half_a_transaction(client):
    assert client.pipeline([("MULTI",), ("SET", "t", "1"), ("INCR", "u")]) == \
        ["OK", "QUEUED", "QUEUED"]


def usable(client, key="again"):
    assert client.pipeline([("MULTI",), ("SET", key, "1"), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]
    assert client.call("GET", key) == "1"


@pytest.mark.sanitize
@pytest.mark.parametrize("how", EVERY)
def test_a_transaction_begun_on_the_old_primary_is_aborted_as_a_whole(home, how):
    stage = Pooled(home)
    client, other = stage.clients(2)
    half_a_transaction(client)
    half_a_transaction(other)
    change(stage, how)
    answer = client.call("SET", "v", "1")
    assert answer == "QUEUED" or isinstance(answer, RespError), answer
    answer = client.call("EXEC")
    assert isinstance(answer, RespError) and answer.startswith("EXECABORT"), answer
    assert other.call("DISCARD") == "OK"
    assert stage.servers[1].data() == {}
    usable(client)
    usable(other)


@pytest.mark.parametrize("whole", [False, True], ids=["only EXEC", "from MULTI to EXEC"])
def test_a_transaction_in_flight_is_never_run_again(home, whole):
    """Whether it ran is unknown; and the next one is not disturbed by it."""
    stage = Pooled(home, probe_timeout="700ms")
    client = stage.client()
    assert client.pipeline([("MULTI",), ("EXEC",)]) == ["OK", []]
    commands = [("MULTI",), ("RPUSH", "t", "1"), ("RPUSH", "t", "2"), ("EXEC",)]
    if not whole:
        assert client.pipeline(commands[:3]) == ["OK", "QUEUED", "QUEUED"]
        commands = commands[3:]
    replies, _ = in_flight(stage, *commands, client=client)
    assert isinstance(replies[-1], RespError), replies
    assert stage.servers[1].ok("KEYS", "*") == ["warm"]
    usable(client)


@pytest.mark.sanitize
@pytest.mark.parametrize("how", EVERY)
def test_what_was_watched_on_the_old_primary_fails_the_transaction(home, how):
    """The key may have changed meanwhile; who watched it must begin again."""
    stage = Pooled(home)
    client, other = stage.clients(2)
    assert client.pipeline([("SET", "k", "before"), ("WATCH", "k"), ("GET", "k")]) == \
        ["OK", "OK", "before"]
    assert other.pipeline([("WATCH", "k"), ("GET", "k")]) == ["OK", "before"]
    stage.servers[1].wait_caught_up(stage.servers[0])
    change(stage, how)
    stage.servers[1].ok("SET", "k", "meanwhile")
    replies = client.pipeline([("MULTI",), ("SET", "k", "mine"), ("EXEC",)])
    assert replies[2] is None or isinstance(replies[2], RespError), replies
    assert stage.servers[1].ok("GET", "k") == "meanwhile"
    assert other.call("UNWATCH") == "OK"
    usable(client)
    usable(other)


# Who waits at the server.


@pytest.mark.sanitize
@pytest.mark.parametrize("how", EVERY)
def test_who_is_blocked_is_told_or_blocked_again_and_no_element_is_lost(home, how):
    stage = Pooled(home)
    b = stage.servers[1]
    waiters = stage.clients(3)
    for number, client in enumerate(waiters):
        client.send("BLPOP", f"q{number}", "0")
    until(lambda: len(stage.blocked()) == 3, "three blocked")
    change(stage, how)
    pusher = stage.client()
    for number, client in enumerate(waiters):
        pusher.call("RPUSH", f"q{number}", "e")
    for number, client in enumerate(waiters):
        answer = got(client, b, f"q{number}")
        left = b.ok("LRANGE", f"q{number}", 0, -1)
        assert (answer == [f"q{number}", "e"] and left == []) or \
            (isinstance(answer, RespError) and left == ["e"]), (answer, left)
        assert client.call("PING") == "PONG"


def got(client, server, key):
    """What a blocked client was told; or what it is given by a second element."""
    try:
        return client.read()
    except TimeoutError:
        raise AssertionError(f"neither an answer nor blocked: {server.ok('LRANGE', key, 0, -1)}"
                             ) from None


# Subscribers.

SUBSCRIBES = [("SUBSCRIBE", "ch1", "ch2"), ("PSUBSCRIBE", "p*"), ("SSUBSCRIBE", "s1")]


def subscribed(stage, version):
    client = stage.client()
    if version == 3:
        client.hello()
    for command in SUBSCRIBES:
        client.send(*command)
        for _ in command[1:]:
            assert event(client, version)[0] == command[0].lower()
    return client


def event(client, version):
    return client.push() if version == 3 else client.read()


@pytest.mark.sanitize
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("how", EVERY)
def test_subscribers_hear_what_is_published_on_the_new_primary(home, how, version):
    """And nothing of how that came: not a word but the messages."""
    stage = Pooled(home)
    b = stage.servers[1]
    client = subscribed(stage, version)
    change(stage, how)
    for command, channel, expected in [
            ("PUBLISH", "ch1", ["message", "ch1", "x"]),
            ("PUBLISH", "ch2", ["message", "ch2", "x"]),
            ("PUBLISH", "p1", ["pmessage", "p*", "p1", "x"]),
            ("SPUBLISH", "s1", ["smessage", "s1", "x"])]:
        until(lambda c=command, h=channel: b.ok(c, h, "x") == 1, f"a subscriber of {channel}")
        assert event(client, version) == expected
    client.send("UNSUBSCRIBE", "ch1")
    assert event(client, version) == ["unsubscribe", "ch1", 2]
    assert b.ok("PUBLISH", "ch1", "x") == 0
    if version == 3:
        assert client.call("GET", "x") is None


def test_who_leaves_the_channels_while_there_is_no_primary_is_not_subscribed_again(home):
    stage = Pooled(home)
    a, b, c = stage.servers
    client = subscribed(stage, 3)
    a.kill()
    stage.nobody()
    client.send("UNSUBSCRIBE", "ch1")
    succeed(b, c)
    until(lambda: b.ok("PUBLISH", "ch2", "x") == 1, "the subscriber")
    told = [client.push(), client.push()]
    assert ["message", "ch2", "x"] in told
    assert ["unsubscribe", "ch1", 2] in told
    assert b.ok("PUBLISH", "ch1", "x") == 0


# What cannot be made again elsewhere.


@pytest.mark.parametrize("how", EVERY)
def test_monitors_are_cut(home, how):
    stage = Pooled(home)
    client = stage.client()
    assert client.call("MONITOR") == "OK"
    change(stage, how)
    with pytest.raises((Closed, ConnectionResetError)):
        while True:
            client.read()


@pytest.mark.parametrize("how", [by_hand, killed])
def test_who_caches_is_told_to_forget_or_cut(home, how):
    """CLIENT TRACKING: what the client has cached may have changed unseen."""
    stage = Pooled(home)
    client = stage.client()
    client.hello()
    assert client.pipeline([("SET", "k", "1"), ("CLIENT", "TRACKING", "ON"), ("GET", "k")]) == \
        ["OK", "OK", "1"]
    stage.servers[1].wait_caught_up(stage.servers[0])
    change(stage, how)
    stage.servers[1].ok("SET", "k", "2")
    try:
        assert client.push() in (["invalidate", None], ["invalidate", ["k"]])
    except (Closed, ConnectionResetError):
        return
    assert client.call("GET", "k") == "2"


@pytest.mark.parametrize("how", [by_hand, killed])
def test_what_a_client_has_chosen_is_the_same_on_the_new_primary(home, how):
    """Its database, its name, the version of the protocol, its id."""
    stage = Pooled(home)
    b = stage.servers[1]
    client = stage.client()
    client.hello("SETNAME", "me")
    assert client.call("SELECT", "3") == "OK"
    number = client.call("CLIENT", "ID")
    change(stage, how)
    assert client.call("SET", "k", "1") == "OK"
    assert client.call("CLIENT", "GETNAME") == "me"
    assert client.call("CLIENT", "ID") == number
    assert client.call("HSET", "h", "f", "v") == 1
    assert client.call("HGETALL", "h") == {"f": "v"}
    assert b.info("keyspace")["db3"].startswith("keys=2,")
    assert established(client.sock)
