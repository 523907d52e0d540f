"""Who has not logged in may do what a new connection may do, and no more: also when connections
that are shared, or lent, are older than the password."""
import pytest

from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.resp import Resp, RespError
from lib.sockets import local
from lib.waiting import until

pytestmark = pytest.mark.sanitize

REFUSED = RespError("NOAUTH Authentication required.")


def first_word(address, *command):
    with Resp(address) as client:
        return client.call(*command)


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("before", [[], [("SELECT", 3)]], ids=["plain", "database"])
def test_a_password_that_is_new_counts_for_the_next_client(home, mode, before):
    server = home.redis("a")
    port = free_port()
    home.router(frontend("f", port, pool_mode=mode) + redis_backend(server),
                workers=1).wait_primary("a")
    with Resp(local(port)) as client:
        for command in before:
            client.call(*command)
        assert client.call("SET", "key", "value") == "OK"
    server.ok("CONFIG", "SET", "requirepass", "new")
    with Resp(local(port)) as client:
        until(lambda: client.call("GET", "key") == REFUSED, "the password to count")
        assert client.call("MULTI") == REFUSED
        assert client.call("AUTH", "new") == "OK"
        assert client.call("GET", "key") in ("value", None)
    assert first_word(local(port), "BLPOP", "queue", 1) == REFUSED
