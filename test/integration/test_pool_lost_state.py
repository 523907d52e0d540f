"""What a client had begun, or watched, when its server connection was lost is not carried out in
part, nor as if nothing had happened."""
import pytest

from lib.ini import frontend, redis_backend
from lib.pooling import wait_still
from lib.process import free_port
from lib.resp import Resp, RespError, encode
from lib.resp3 import Resp3
from lib.sockets import local
from lib.waiting import until

pytestmark = pytest.mark.sanitize


@pytest.fixture(scope="module")
def stage(shared_home):
    server = shared_home.redis("a")
    port = free_port()
    router = shared_home.router(frontend("f", port, pool_mode="transaction")
                                + redis_backend(server), workers=1)
    router.wait_primary("a")
    return server, local(port)


@pytest.fixture
def client(stage):
    with Resp(stage[1]) as resp:
        yield resp


def cut(server):
    """All connections of the router, and until it has new ones."""
    ids = {line.split()[0] for line in server.ok("CLIENT", "LIST").splitlines()}
    assert server.ok("CLIENT", "KILL", "TYPE", "normal") > 0
    server.call("CLIENT", "KILL", "TYPE", "pubsub")
    until(lambda: not ids & {line.split()[0] for line in
                             server.ok("CLIENT", "LIST", "TYPE", "normal").splitlines()
                             if "cmd=client|list" not in line}, "the connections to be cut")


def test_a_watch_that_was_lost_is_not_replaced_by_another_one(stage, client):
    assert client.call("WATCH", "first") == "OK"
    cut(stage[0])
    stage[0].ok("SET", "first", "changed")
    assert client.pipeline([("WATCH", "second"), ("MULTI",), ("WATCH", "third"),
                            ("SET", "mine", 1), ("EXEC",)]) == [
        "OK", "OK", RespError("ERR WATCH inside MULTI is not allowed"), "QUEUED", None]
    assert client.pipeline([("WATCH", "first"), ("MULTI",), ("SET", "mine", 2), ("EXEC",)]) == [
        "OK", "OK", "QUEUED", ["OK"]]


def test_the_rest_of_a_transaction_is_not_carried_out_by_who_is_subscribed_again(stage):
    with Resp3(stage[1]) as client:
        client.hello()
        client.send("SUBSCRIBE", "news")
        assert client.push()[0] == "subscribe"
        assert client.pipeline([("MULTI",), ("SET", "begun", 1)]) == ["OK", "QUEUED"]
        cut(stage[0])
        until(lambda: stage[0].ok("PUBSUB", "NUMSUB", "news")[1] == 1, "it to be subscribed again")
        answers = client.pipeline([("SET", "rest", 1), ("EXEC",), ("GET", "rest"), ("PING",)])
        assert isinstance(answers[0], RespError) and answers[1].startswith("EXECABORT")
        assert answers[2:] == [None, "PONG"]
        assert client.call("RESET") == "RESET"
        until(lambda: stage[0].ok("PUBSUB", "NUMSUB", "news")[1] == 0, "RESET to be sent on")


def test_a_lost_transaction_ends_without_a_primary(home):
    server = home.redis("a")
    port = free_port()
    router = home.router(frontend("f", port, pool_mode="transaction")
                         + redis_backend(server, queue_timeout="200ms"))
    router.wait_primary("a")
    with Resp(local(port)) as client:
        assert client.pipeline([("MULTI",), ("SET", "k", 1)]) == ["OK", "QUEUED"]
        server.kill()
        router.wait_for(lambda s: s.server("a")["access"] != "open", "the primary to be lost")
        answers = client.pipeline([("EXEC",), ("GET", "k")])
        assert answers[0].startswith("EXECABORT")
        assert answers[1] == RespError("ERR router: no primary in time")
        assert client.call("RESET") == "RESET"


def test_what_was_under_way_to_a_subscriber_that_left_is_nobodys(stage, client):
    with Resp3(stage[1]) as subscriber:
        subscriber.hello()
        subscriber.send("SUBSCRIBE", "many")
        assert subscriber.push()[0] == "subscribe"
        with stage[0].connect() as publisher:
            publisher.sock.sendall(encode("PUBLISH", "many", "x" * 1000) * 5000)
            subscriber.close()
            assert sum(publisher.read() for _ in range(5000)) > 0
    until(lambda: stage[0].ok("PUBSUB", "NUMSUB", "many")[1] == 0, "the subscription to end")
    with Resp3(stage[1]) as other:
        other.hello()
        answers = other.pipeline([("MULTI",), ("ECHO", "mine"), ("EXEC",)])
        assert answers == ["OK", "QUEUED", ["mine"]]
        assert not other.pushes


def test_what_cleans_a_connection_is_not_told_to_who_is_not_listened_to(home):
    server = home.redis("a")
    port = free_port()
    router = home.router(frontend("f", port, pool_mode="session") + redis_backend(server))
    router.wait_primary("a")
    for _ in range(3):
        with Resp(local(port)) as client:
            assert client.call("GET", "k") is None
        with Resp(local(port)) as client:
            assert client.call("MONITOR") == "OK"


@pytest.mark.parametrize("what", ["NO-EVICT", "TRACKING"])
def test_what_reset_may_leave_on_is_gone_with_its_connection(stage, what):
    """RESET of Redis 7.0 leaves NO-EVICT on."""
    with Resp3(stage[1]) as client:
        client.hello()
        assert client.call("CLIENT", what, "ON") == "OK"
    wait_still(stage[0])
