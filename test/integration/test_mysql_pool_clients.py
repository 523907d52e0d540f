"""Promise: the clients that people have log in through a pool as they do without one."""
import pytest

from lib import clusters, mysql_logins
from lib.mysql_people import LENGTHY, PLAIN, Login, MySQLPeople
from lib.mysql_pooled import DIRECT, KINDS, TLS_NAMES, PooledMySQL

CLIENTS = [name for name in mysql_logins.ALL if name != "hand"]


@pytest.fixture(name="stage", scope="module", params=KINDS, ids=str)
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        people.told = {}  # what it says to those who come by no router
        yield PooledMySQL(shared_home, people, request.param.mode)


def logins(people):
    return [*[Login(account, database="test") for account in people.accounts],
            Login(PLAIN, "wrong"), Login(PLAIN), Login(PLAIN, database="nowhere")]


def told_directly(people, client, secure):
    key = client, secure
    if key not in people.told:
        people.told[key] = mysql_logins.ALL[client](logins(people), people.server.address, secure,
                                                    people)
    return people.told[key]


@pytest.mark.parametrize("client", CLIENTS)
def test_who_is_let_in_and_who_is_not(stage, client):
    """With TLS to the router or without, and from there."""
    people = stage.people
    for by_client, by_server in TLS_NAMES:
        if stage.mode == DIRECT and by_client != by_server:
            continue
        expected = told_directly(people, client, by_server)
        assert expected[0][0] == "in" and expected[-1][:2] == ("out", 1044)
        told = mysql_logins.ALL[client](logins(people), stage.to(by_server), by_client, people)
        for login, is_told, should_be in zip(logins(people), told, expected, strict=True):
            assert is_told == should_be, (login, TLS_NAMES[by_client, by_server])
    stage.wait_left()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stage", [k for k in KINDS if k.people is MySQLPeople], ids=str,
                         indirect=True)
def test_they_tell_their_password_to_a_server_that_has_forgotten_it(stage, client):
    for by_client, by_server in TLS_NAMES:
        if stage.mode == DIRECT and by_client != by_server:
            continue
        for account in (PLAIN, LENGTHY):
            stage.people.forget_passwords()
            told, = mysql_logins.ALL[client]([Login(account)], stage.to(by_server), by_client,
                                             stage.people)
            assert told[:2] == ("in", f"{account.name}@%"), TLS_NAMES[by_client, by_server]
    stage.wait_left()
