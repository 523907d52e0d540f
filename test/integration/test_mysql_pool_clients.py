"""Promise: the clients that people have log in through a pool as they do without one."""
import pytest

from lib import clusters, mysql_logins
from lib.mysql_people import (CLOSED, EXPIRED, LENGTHY, PLAIN, SECURE, UNKNOWN, Login,
                              MySQLPeople)
from lib.mysql_pooled import KINDS, SESSION, SESSION_KINDS, TLS_NAMES, PooledMySQL

CLIENTS = [name for name in mysql_logins.ALL if name != "hand"]
SECURE_ONLY = 3159  # ER_SECURE_TRANSPORT_REQUIRED


@pytest.fixture(name="people", scope="module", params=KINDS, ids=str)
def their_server(request):
    with clusters.lent(request.param.cluster) as people:
        people.told = {}  # what it says to those who come by no router
        people.mode = request.param.mode
        yield people


@pytest.fixture(name="stage")
def one_stage(home, people):
    """Each test has its own, because who fails slows those who come from the same address."""
    stage = PooledMySQL(home, people, people.mode, of_router={"workers": 1})
    yield stage
    stage.wait_left()


def logins(people):
    """Those that are refused come first: a MariaDB thinks for a second before it refuses a
    connection that it knows."""
    refused = CLOSED, SECURE, UNKNOWN, EXPIRED, people.locked
    return [Login(PLAIN, "wrong"), Login(people.locked), Login(PLAIN),
            *[Login(a, database="test") for a in people.accounts if a not in refused]]


def told_directly(people, client, secure):
    key = client, secure
    if key not in people.told:
        people.told[key] = mysql_logins.ALL[client](logins(people), people.server.address, secure,
                                                    people)
    return people.told[key]


@pytest.mark.parametrize("client", CLIENTS)
def test_who_is_let_in_and_who_is_not(stage, people, client):
    """With TLS to the router or without, and from there: all ways once, because what the modes do
    otherwise begins when the server has said yes."""
    for by_client, by_server in TLS_NAMES if stage.mode == SESSION else [(False, True)]:
        expected = told_directly(people, client, by_server)
        assert [outcome[0] for outcome in expected[:3]] == ["out", "out", "in"]
        skipped = 2 if by_client else 0
        told = mysql_logins.ALL[client](logins(people)[skipped:], stage.to(by_server), by_client,
                                        people)
        for login, is_told, should_be in zip(logins(people)[skipped:], told, expected[skipped:],
                                             strict=True):
            assert is_told == should_be, (login, TLS_NAMES[by_client, by_server])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("people", [k for k in SESSION_KINDS if k.people is MySQLPeople], ids=str,
                         indirect=True)
def test_they_tell_their_password_to_a_server_that_has_forgotten_it(stage, client):
    for by_client, by_server in TLS_NAMES:
        for account in (PLAIN, LENGTHY):
            stage.people.forget_passwords()
            told, = mysql_logins.ALL[client]([Login(account)], stage.to(by_server), by_client,
                                             stage.people)
            assert told[:2] == ("in", f"{account.name}@%"), TLS_NAMES[by_client, by_server]


@pytest.mark.parametrize("people", [k for k in KINDS if k.mode != SESSION], ids=str, indirect=True)
def test_those_that_must_have_tls_and_do_not_are_told_so(home, people):
    """And print it; the others come in."""
    stage = PooledMySQL(home, people, people.mode, of_frontend={"tls": "required"},
                        of_router={"workers": 1})
    for client in CLIENTS:
        log_in = mysql_logins.ALL[client]
        told, = log_in([Login(PLAIN)], stage.address, False, people)
        assert told[:2] == ("out", SECURE_ONLY), (client, told)
        assert "router: connections in the clear are not allowed here" in told[3], (client, told)
        assert log_in([Login(PLAIN)], stage.address, True, people)[0][:2] == ("in", "app@%"), client
    assert stage.router.stats().frontend("f")["refused_login"] == len(CLIENTS)
    stage.wait_left()
