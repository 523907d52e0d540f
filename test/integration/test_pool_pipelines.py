"""What is pipelined behind a command that changes its connection finds the connection changed."""
import pytest

from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.resp import Resp, RespError
from lib.sockets import local

pytestmark = pytest.mark.sanitize

ACCOUNTS = ["default on nopass ~* &* +@all", "bob on >secret ~* &* +@all"]


@pytest.fixture(scope="module")
def stage(shared_home):
    server = shared_home.redis("a", acl=ACCOUNTS)
    port = free_port()
    router = shared_home.router(frontend("f", port, pool_mode="transaction")
                                + redis_backend(server, pool_size=1), workers=1)
    router.wait_primary("a")
    return server, local(port)


@pytest.fixture
def client(stage):
    with Resp(stage[1]) as resp:
        yield resp


def test_what_follows_a_login_is_asked_as_the_new_user_of_the_same_database(stage, client):
    stage[0].ok("FLUSHALL")
    assert client.pipeline([("SELECT", 5), ("SET", "k", "five")]) == ["OK", "OK"]
    answers = client.pipeline([("AUTH", "bob", "secret"), ("GET", "k"), ("ACL", "WHOAMI")])
    assert answers == ["OK", "five", "bob"]


def test_what_follows_a_login_that_fails_is_asked_as_the_old_user(stage, client):
    assert client.pipeline([("SELECT", 5), ("SET", "k", "five")]) == ["OK", "OK"]
    assert client.call("AUTH", "bob", "secret") == "OK"
    answers = client.pipeline([("AUTH", "bob", "wrong"), ("ACL", "WHOAMI"), ("GET", "k")])
    assert isinstance(answers[0], RespError) and answers[1:] == ["bob", "five"]


def test_what_follows_a_login_does_not_go_where_it_is_judged(stage, client):
    """On a connection of the same user, in whatever database that is."""
    stage[0].ok("FLUSHALL")
    client.pipeline([("AUTH", "bob", "secret"), ("SELECT", 5), ("SET", "k", "five")])
    assert client.call("GET", "k") == "five"
    with Resp(stage[1]) as other:
        assert other.pipeline([("AUTH", "bob", "secret"), ("GET", "k")]) == ["OK", None]
    stage[0].ok("ACL", "SETUSER", "bob", ">new", "<secret")
    try:
        with Resp(stage[1]) as other:
            answers = other.pipeline([("AUTH", "bob", "secret"), ("ACL", "WHOAMI")])
        assert isinstance(answers[0], RespError) and answers[1] == "default"
    finally:
        stage[0].ok("ACL", "SETUSER", "bob", ">secret", "<new")


def test_databases_chosen_in_one_go_pin_nothing(stage, client):
    before = stage[0].info("clients")["connected_clients"]
    for _ in range(3):
        answers = client.pipeline([("SELECT", 1), ("SELECT", 2), ("SET", "k", "two"),
                                   ("SELECT", 3), ("GET", "k"), ("SELECT", 2), ("GET", "k")])
        assert answers == ["OK", "OK", "OK", "OK", None, "OK", "two"]
    with Resp(stage[1]) as other:
        assert other.pipeline([("SELECT", 2), ("GET", "k")]) == ["OK", "two"]
    assert int(stage[0].info("clients")["connected_clients"]) <= int(before) + 3


@pytest.mark.parametrize("ended_by", [[("WATCH", "other"), ("UNWATCH",)],
                                      [("MULTI",), ("SET", "other", 1), ("EXEC",)]])
def test_a_watch_behind_the_end_of_another_one_holds(stage, client, ended_by):
    client.pipeline([*ended_by, ("WATCH", "k")])
    with Resp(stage[1]) as other:
        assert other.call("MULTI") == "OK"
        stage[0].ok("SET", "k", "changed")
        assert client.pipeline([("MULTI",), ("SET", "mine", 1), ("EXEC",)])[-1] is None
        assert other.pipeline([("SET", "theirs", 1), ("EXEC",)])[-1] == ["OK"]


def test_reset_ends_a_transaction_and_what_is_subscribed_to(client):
    assert client.pipeline([("MULTI",), ("SET", "k", 1), ("RESET",)]) == ["OK", "QUEUED", "RESET"]
    assert client.pipeline([("CLIENT", "SETNAME", "me"), ("CLIENT", "GETNAME")]) == ["OK", "me"]
    client.send("SUBSCRIBE", "a", "b")
    assert [client.read()[0] for _ in "ab"] == ["subscribe", "subscribe"]
    assert client.call("RESET") == "RESET"
    assert client.call("UNSUBSCRIBE") == ["unsubscribe", None, 0]
    assert client.pipeline([("ECHO", "x"), ("ECHO", "y")]) == ["x", "y"]
