"""Promise: through a pool the server alone judges who a client is; nobody is given a connection of
an account that he has not proved; what changes about accounts is felt at once; passwords stay
nowhere."""
import contextlib
import threading

import pytest

from lib.pooling import MODES, TRANSACTION, Pooled
from lib.redis_server import Redis
from lib.resp import Closed, Resp, RespError
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize
ACL = ["one on >of-one ~one:* &* +@all", "two on >of-two ~two:* &* +@all",
       "fades on >of-fades ~* &* +@all"]
DEFAULT = "of-default"
UNIQUE = "a-password-that-is-nowhere-else-7261"
RENAMED = {"MULTI": "BEGIN_x", "AUTH": "OPEN_x", "SELECT": "USE_x"}


@pytest.fixture(name="place", params=MODES)
def with_accounts(home, request):
    server = home.redis("a", requirepass=DEFAULT, acl=ACL)
    return Pooled(home, server, mode=request.param, probe_password=DEFAULT,
                  of_router={"log_level": "debug", "log_sessions": "all"})


def client(place, user=None):
    return Resp(place.address, 5 * SLOW, password=f"of-{user}" if user else None, user=user)


def code(answer):
    assert isinstance(answer, RespError), answer
    return answer.split()[0]


def test_who_has_not_logged_in_may_nothing(place):
    """Also behind others who have, on whatever connections these left."""
    with client(place, "one") as known, client(place) as unknown:
        for _ in range(20):
            assert known.call("SET", "one:k", "v") == "OK"
            assert code(unknown.call("GET", "one:k")) == "NOAUTH"
            assert code(unknown.call("MULTI")) == "NOAUTH"
            assert code(unknown.call("AUTH", "one", "wrong")) == "WRONGPASS"
            assert code(unknown.call("AUTH", "wrong")) == "WRONGPASS"
            assert code(unknown.call("HELLO", "3", "AUTH", "one", "wrong")) == "WRONGPASS"
        assert unknown.pipeline([("AUTH", "one", "wrong"), ("GET", "one:k"),
                                 ("AUTH", "one", "of-one"), ("GET", "one:k")])[2:] == ["OK", "v"]
        assert unknown.call("RESET") == "RESET"
        assert code(unknown.call("GET", "one:k")) == "NOAUTH"
    place.wait_left()
    with client(place) as later:
        assert code(later.call("GET", "one:k")) == "NOAUTH"


def test_two_accounts_side_by_side_are_each_told_what_is_theirs(place):
    errors = []

    def act(user, other):
        try:
            with client(place, user) as mine:
                for n in range(60):
                    replies = mine.pipeline([
                        ("SET", f"{user}:k", f"{user}-{n}"), ("GET", f"{other}:k"),
                        ("GET", f"{user}:k"), ("ACL", "WHOAMI"), ("MULTI",), ("GET", f"{user}:k"),
                        ("EXEC",), ("ACL", "WHOAMI")])
                    assert code(replies.pop(1)) == "NOPERM"
                    value = replies[1]
                    assert value.startswith(user + "-"), value
                    assert replies[2] == replies[6] == user and replies[5][0].startswith(user)
        except BaseException as error:  # told by the test
            errors.append(error)

    threads = [threading.Thread(target=act, args=users)
               for users in [("one", "two"), ("two", "one")] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * SLOW)
    if errors:
        raise errors[0]


def test_a_client_that_logs_in_as_another_is_that_one(place):
    with client(place) as changing:
        for n in range(20):
            user, other = ("one", "two") if n % 2 else ("two", "one")
            login = ("HELLO", "2", "AUTH", user, f"of-{user}") if n % 3 else (
                "AUTH", user, f"of-{user}")
            replies = changing.pipeline([login, ("ACL", "WHOAMI"), ("SET", f"{user}:k", n),
                                         ("GET", f"{other}:k")])
            assert not isinstance(replies[0], RespError)
            assert replies[1:3] == [user, "OK"] and code(replies[3]) == "NOPERM"
            assert code(changing.call("AUTH", other, "wrong")) == "WRONGPASS"
            assert changing.call("ACL", "WHOAMI") == user
        assert changing.call("AUTH", DEFAULT) == "OK"
        assert changing.call("ACL", "WHOAMI") == "default"


def test_a_new_password_counts_for_new_logins_and_who_is_there_goes_on(place):
    server = place.servers[0]
    with client(place, "one") as living:
        assert living.call("SET", "one:k", "v") == "OK"
        server.ok("ACL", "SETUSER", "one", "resetpass", ">newer")
        for _ in range(5):
            with client(place) as late:
                assert code(late.call("AUTH", "one", "of-one")) == "WRONGPASS"
                assert late.call("AUTH", "one", "newer") == "OK"
                assert late.call("GET", "one:k") == "v"
            assert living.call("GET", "one:k") == "v"


def test_what_an_account_may_is_felt_at_once(place):
    server = place.servers[0]
    with client(place, "fades") as some, client(place, "fades") as other:
        assert some.call("SET", "k", "1") == other.call("SET", "k", "2") == "OK"
        server.ok("ACL", "SETUSER", "fades", "-@write")
        for each in (some, other):
            assert code(each.call("SET", "k", "3")) == "NOPERM" and each.call("GET", "k") == "2"
        server.ok("ACL", "SETUSER", "fades", "+@write")
        assert some.call("SET", "k", "4") == "OK"


def test_clients_of_an_account_that_is_removed_are_cut(place):
    server = place.servers[0]
    with contextlib.ExitStack() as stack:
        gone = [stack.enter_context(client(place, "fades")) for _ in range(4)]
        stays = stack.enter_context(client(place, "one"))
        assert [each.call("SET", "k", "v") for each in gone] == ["OK"] * 4
        server.ok("ACL", "DELUSER", "fades")
        for each in gone:
            with contextlib.suppress(OSError, Closed):
                assert isinstance(each.call("GET", "k"), RespError)
                assert isinstance(each.call("GET", "k"), RespError)
        assert stays.call("SET", "one:k", "v") == "OK"
        with client(place) as late:
            assert code(late.call("AUTH", "fades", "of-fades")) == "WRONGPASS"


def test_databases_are_kept_apart(place):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(place, "one")) for _ in range(8)]
        for turn in range(10):
            for number, each in enumerate(clients):
                each.send("SELECT", (number + turn) % 4)
                each.send("SET", f"one:{number}", f"{number} in {(number + turn) % 4}")
            for each in clients:
                assert (each.read(), each.read()) == ("OK", "OK")
            for number, each in enumerate(clients):
                assert each.call("GET", f"one:{number}") == f"{number} in {(number + turn) % 4}"
                wrong = each.pipeline([("SELECT", "99"), ("GET", f"one:{number}")])
                assert code(wrong[0]) == "ERR" and wrong[1].startswith(f"{number} in")


def in_memory(pid, text):
    """Whether writable memory of the process holds this."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(number, 16) for number in span.split("-"))
            with contextlib.suppress(OSError, OverflowError):
                mem.seek(begin)
                if text.encode() in mem.read(end - begin):
                    return True
    return False


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer keeps what was freed")
def test_a_password_is_nowhere(place):
    server, router = place.servers[0], place.router
    server.ok("ACL", "SETUSER", "secret", "on", ">" + UNIQUE, "~*", "&*", "+@all")
    with Resp(place.address, 5 * SLOW) as some:
        assert some.call("AUTH", "secret", UNIQUE) == "OK"
        assert not isinstance(some.call("HELLO", "2", "AUTH", "secret", UNIQUE), RespError)
        assert some.call("SET", "k", "v") == "OK"
        assert code(some.call("AUTH", "secret", UNIQUE + "!")) == "WRONGPASS"
        for page in ("/", "/stats.json", "/metrics"):
            assert UNIQUE not in router.http(page)[1], page
    place.wait_left()
    assert UNIQUE not in router.log
    # Later commands of others pass through the same buffers of the loop.
    with client(place, "one") as other:
        other.call("SET", "one:k", "x" * 200000)
        other.call("GET", "one:k")
        until(lambda: not in_memory(router.pid, UNIQUE), "its memory to be without the password")


# Renamed commands: told in router.ini where the router itself needs them, else found.

@pytest.mark.parametrize("mode", MODES)
def test_renamed_commands_are_what_they_were(home, mode):
    server = home.keep(Redis(home.directory("a"), "a", rename=RENAMED)).start()
    place = Pooled(home, server, mode=mode,
                   probe_command="AUTH=" + RENAMED["AUTH"])
    renamed_work(place)


def test_renamed_commands_are_found_by_themselves(home):
    """The server says what they are, but not under which name the router itself must ask."""
    server = home.keep(Redis(home.directory("a"), "a", rename=RENAMED)).start()
    renamed_work(Pooled(home, server, mode=TRANSACTION))


def renamed_work(place):
    with contextlib.ExitStack() as stack:
        some, other = (stack.enter_context(Resp(place.address, 5 * SLOW)) for _ in range(2))
        for n in range(5):
            assert isinstance(some.call("MULTI"), RespError)
            assert some.call("BEGIN_x") == "OK"
            assert some.call("SET", "k", n) == "QUEUED"
            assert other.call("GET", "k") == (str(n - 1) if n else None)
            assert some.call("EXEC") == ["OK"]
            assert other.pipeline([("USE_x", "3"), ("GET", "k"), ("USE_x", "0"), ("GET", "k")]) == [
                "OK", None, "OK", str(n)]
            assert code(other.call("OPEN_x", "nobody", "wrong")) == "WRONGPASS"
        assert some.call("GET", "k") == "4"


def test_the_router_itself_asks_by_the_names_it_is_told(home):
    """It chooses the database again on a connection that it opens itself."""
    server = home.keep(Redis(home.directory("a"), "a", rename=RENAMED)).start()
    place = Pooled(home, server, mode=TRANSACTION, probe_command="SELECT=" + RENAMED["SELECT"])
    with Resp(place.address, 5 * SLOW) as client:
        assert client.pipeline([("USE_x", "3"), ("SET", "three", "3")]) == ["OK", "OK"]
        assert server.ok("CLIENT", "KILL", "TYPE", "normal") > 0
        assert client.call("GET", "three") == "3"
