"""The fake MySQL server does what tests of pooling rely on: real clients, and the router's probe,
take it for a primary, and it says truly who is logged in."""
import pymysql
import pytest

from lib.mysql_client import MySQLClient
from lib.mysql_liar import END, MySQLLiar
from lib.mysql_said import COM, SERVER, DEPRECATE_EOF, IN_TRANS, OK, SaidNo, change_user
from lib.mysql_stage import ACCOUNTS, MySQLStage

USER, OTHER = "user0", "user1"


@pytest.fixture(name="liar", params=[SERVER, SERVER & ~DEPRECATE_EOF], ids=["ok", "eof"])
def some_liar(home, request):
    return MySQLLiar(home, accounts=ACCOUNTS, capabilities=request.param)


def test_pymysql_logs_in_and_asks(liar):
    with pymysql.connect(host="127.0.0.1", port=liar.fake.port, user=USER,
                         password=ACCOUNTS[USER]) as connection, connection.cursor() as cursor:
        cursor.execute("WHO word")
        assert cursor.fetchall() == ((USER, "1", "1", "", "word"),)
        cursor.execute("BEGIN")
        assert connection.server_status & IN_TRANS
        connection.ping()
    with pytest.raises(pymysql.OperationalError) as caught:
        pymysql.connect(host="127.0.0.1", port=liar.fake.port, user=USER, password="wrong")
    assert caught.value.args[0] == 1045


def test_a_change_of_user_needs_a_proof_and_cleans_the_session(liar):
    client = MySQLClient.to(liar.address, USER, ACCOUNTS[USER], capabilities=SERVER)
    with client:
        client.query("KEEP this")
        assert client.who()[::3] == (USER, "this")
        client.password = ACCOUNTS[OTHER]
        client.send(0, change_user(OTHER, plugin="of_nobody"))
        client.finish()
        assert client.who()[::3] == (OTHER, "")
        client.query("KEEP that")
        client.command(COM["reset"])
        assert client.payload()[0] == OK and client.who()[::3] == (OTHER, "")
        client.send(0, change_user(USER, plugin="of_nobody"))
        with pytest.raises(SaidNo) as caught:
            client.finish()
        assert caught.value.code == 1045 and client.ended()


def test_a_plan_is_followed_as_often_as_it_is_there(liar):
    liar.plans["WHO"] = [[b"\x05\0\0\1\xff\1\0no"], [END]]
    with MySQLClient.to(liar.address, USER, ACCOUNTS[USER]) as client:
        with pytest.raises(SaidNo):
            client.query("WHO")
        client.command(COM["query"], "WHO")
        assert client.ended()


@pytest.mark.sanitize
def test_the_routers_probe_takes_it_for_a_primary(home):
    stage = MySQLStage(home, mode="none")
    with stage.witnesses() as witnesses:
        witnesses.go_on(10)
    assert stage.liar.count("in") >= 20 and stage.liar.count("out") == 0
