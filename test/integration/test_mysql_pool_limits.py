"""Promise: an account that a server lets in only so many times at once comes as often through a
pool as without one: no connection that nobody uses is held against it."""
import contextlib

import pytest

from lib import clusters
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mariadb import PROBER, MariaDB
from lib.mysql_people import ALL, EXPIRED, PLAIN, SECOND, Account
from lib.mysql_pooled import SESSION, TRANSACTION, Kind, PooledMySQL
from lib.mysql_speaker import MODERN, USUAL, MySQLError, Speaker
from lib.process import free_port
from lib.sockets import local
from lib.waiting import until

POOL = 8
LATER = Account("later", "of later")
CODES = 1203, 1226  # of the limit for all, and of an account's own


@pytest.fixture(name="stage", scope="module", ids=str,
                params=[Kind(people, mode) for mode in (SESSION, TRANSACTION) for people in ALL])
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        for most in (1, 2, POOL + 1):
            account = limited_to(most)
            people.server.add_user(*account)
            people.server.sql(f"ALTER USER {account.name} WITH MAX_USER_CONNECTIONS {most}")
        yield PooledMySQL(shared_home, people, request.param.mode, pool_size=POOL,
                          of_router={"workers": 1})


def limited_to(most):
    return Account(f"upto{most}", f"of {most}")


def log_in(address, account, people, others, **options):
    """A server may not have seen yet that the last one left, without a pool too (1 of 300). But
    what nobody uses must end by itself."""
    try:
        return Speaker(address, *account, **options)
    except MySQLError as error:
        if people is None or error.code not in CODES:
            raise
        people.wait_connections(others, account)
        return Speaker(address, *account, **options)


@contextlib.contextmanager
def visitors(address, account, count, people=None, **options):
    """So many at once, and what their connections are called by the server. `people`: they may have
    to come twice."""
    clients = []
    try:
        for n in range(count):
            clients.append(log_in(address, account, people, n, **options))
        yield [client.value("SELECT CONNECTION_ID()") for client in clients]
        for client in clients:
            client.quit()
    finally:
        for client in clients:
            client.close()


def refusal(address, account):
    with pytest.raises(MySQLError) as caught:
        Speaker(address, *account)
    return caught.value.told


def visit(stage, account, times=1, **options):
    """One after another; the set of connections that they had."""
    seen = set()
    for _ in range(times):
        with visitors(stage.address, account, 1, stage.people, **options) as ids:
            seen.update(ids)
        stage.wait_left()
    return seen


@pytest.mark.sanitize
@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls-to-server"])
def test_it_comes_and_goes_as_often_as_it_likes(stage, most, secure):
    """While others do, whose connections it finds idle."""
    account, address = limited_to(most), stage.to(secure)
    with visitors(stage.server.address, account, most):
        expected = refusal(stage.server.address, account)
    stage.people.wait_connections(0, account)
    assert expected[0] in CODES
    for n in range(50):
        if n % 10 == 0:
            with visitors(address, PLAIN, 3):
                pass
        with visitors(address, account, most, stage.people):
            if n % 10 == 0:
                assert refusal(address, account) == expected
    stage.people.wait_connections(0, account)


@pytest.mark.parametrize("flags", [USUAL, MODERN], ids=["eof", "ok"])
def test_others_are_pooled_as_ever(stage, flags):
    """Those without a limit, and those who may come more often than the pool keeps connections."""
    for account in (SECOND, limited_to(POOL + 1)):
        until(lambda: len(visit(stage, account, 10, capabilities=flags)) == 1,
              "one connection to serve all")
        with visitors(stage.address, account, POOL, capabilities=flags):
            pass
        with visitors(stage.address, account, POOL, capabilities=flags):
            pass


LEFT_BEHIND = ("SET sql_select_limit = 0", "SET character_set_results = ucs2",
               "SET autocommit = 0", "SET sql_mode = 'ANSI_QUOTES,NO_UNSIGNED_SUBTRACTION'",
               "BEGIN", "LOCK TABLES test.writes WRITE", "XA START 'x'")


def test_what_a_client_leaves_behind_does_not_hide_the_limit(stage):
    """Each is an account of its own, of which nothing is known yet."""
    for n, words in enumerate(LEFT_BEHIND):
        account = Account(f"leaver{n}", "of leavers")
        stage.people.server.add_user(*account, grants=("ALL ON test.*",))
        stage.people.server.sql(f"ALTER USER {account.name} WITH MAX_USER_CONNECTIONS 1")
        for _ in range(3):
            with log_in(stage.address, account, stage.people, 0) as client:
                assert client.ask(words).error is None, words
                client.quit()
        stage.people.wait_connections(0, account)


def test_an_expired_password_is_no_harm(stage):
    for _ in range(3):
        with contextlib.suppress(MySQLError), Speaker(stage.address, *EXPIRED) as client:
            assert client.ask("SELECT 1").error.code == 1820
            client.quit()
        stage.people.wait_connections(0, EXPIRED)
    assert visit(stage, PLAIN)


def test_the_server_is_told_of_an_end(stage):
    """It counts, and logs, those that end without a word."""
    before = stage.people.status("Aborted_clients")
    visit(stage, limited_to(1), 3)
    stage.people.wait_connections(0, limited_to(1))
    assert stage.people.status("Aborted_clients") == before


@pytest.mark.parametrize("kind", [Kind(people, SESSION) for people in ALL], ids=str)
def test_a_limit_that_is_set_later_is_noticed(home, kind):
    """By all workers, when the server refuses somebody for the first time."""
    with clusters.lent(kind.cluster) as people:
        people.server.add_user(*LATER)
        stage = PooledMySQL(home, people, SESSION, of_router={"workers": 2}, pool_size=POOL)
        while len(people.connections(LATER)) < POOL:  # whose workers are the kernel's choice
            with visitors(stage.address, LATER, POOL):
                pass
        people.server.sql(f"ALTER USER {LATER.name} WITH MAX_USER_CONNECTIONS 1")
        refused = 0
        while people.connections(LATER) and refused < 2:
            try:
                with visitors(stage.address, LATER, 2):
                    pass
            except MySQLError as error:
                assert error.code == 1226
                refused += 1
            stage.wait_left()
        people.wait_connections(0, LATER)
        for _ in range(20):
            visit(stage, LATER)
        people.server.sql(f"DROP USER {LATER.name}")


def test_the_limit_for_all_counts_too(home):
    """MariaDB's variable; it lets in who may do anything."""
    server = home.keep(MariaDB(home.directory("few"), "few", options={"max-user-connections": "4"}))
    server.start()
    server.add_user(*PLAIN)
    port = free_port()
    router = home.router(
        frontend("f", port, pool_mode="session")
        + section("backend b", protocol="mysql", server=servers(server), pool_size=POOL,
                  probe_user=PROBER[0], probe_password=PROBER[1], **FAST_PROBES), workers=2)
    router.wait_primary("few")
    for _ in range(10):
        with visitors(local(port), PLAIN, 4):
            assert refusal(local(port), PLAIN)[0] in CODES
        until(lambda: server.sql("SELECT COUNT(*) FROM information_schema.processlist"
                                 " WHERE user = %s", PLAIN.name) == [(0,)], "all to be gone")
