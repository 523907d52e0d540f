"""The harness of Oracle MySQL 9.7 does what tests of the router rely on, the traps included."""
import socket

import pymysql
import pytest

from lib.mariadb import connect
from lib.mysql import suspicious
from lib.process import free_port
from lib.sockets import local
from lib.waiting import until


def test_what_the_primary_writes_reaches_the_replicas(mysql):
    mysql.primary.sql("INSERT INTO test.writes VALUES ('key', 'value')")
    for replica in mysql.replicas:
        replica.wait_caught_up(mysql.primary)
        assert replica.data() == {"key": "value"}
        assert replica.replication()["Source_UUID"] == mysql.primary.uuid()
        assert replica.sql("SELECT @@read_only, @@super_read_only") == [(1, 1)]


def test_a_replica_is_promoted_and_the_old_primary_follows_it(mysql):
    old, new = mysql.servers[:2]
    assert old.data() == {}, "what the last test wrote was undone"
    old.demote()
    new.promote()
    old.follow(new)
    old.wait_linked()
    new.sql("INSERT INTO test.writes VALUES ('key', 'value')")
    old.wait_caught_up(new)
    assert old.data() == {"key": "value"}


def test_a_killed_primary_of_a_group_is_succeeded_and_comes_back(mysql_group):
    old = mysql_group.primary()
    assert old is mysql_group.servers[0]
    others = mysql_group.servers[1:]
    assert [s.sql("SELECT @@read_only, @@super_read_only") for s in others] == [[(1, 1)]] * 2
    old.kill()
    new = mysql_group.wait_primary(*others)
    mysql_group.wait_online(*others)
    new.sql("INSERT INTO test.writes VALUES ('key', 'value')")

    # Back, but not yet in the group: it says that it is writable.
    old.start_again()
    assert old.sql("SELECT @@read_only, @@super_read_only") == [(0, 0)]
    assert old.itself() == ("OFFLINE", "")
    old.join()
    mysql_group.wait_online()
    until(lambda: old.data() == {"key": "value"}, "the old primary to catch up")
    mysql_group.switch(old)


def test_an_isolated_primary_says_that_it_is_writable_while_another_is_elected(mysql_group):
    """read_only tells nothing: the majority does and, after the network is whole again, the view.
    Then it saw itself as the primary of three members that are online for 5 to 19 s more, let
    writes wait and failed them (3100), before it was in ERROR, read-only and in offline mode."""
    old = mysql_group.wait_primary()
    others = [server for server in mysql_group.servers if server is not old]
    mysql_group.isolate(old)
    new = mysql_group.wait_primary(*others)
    until(lambda: not old.majority(), "the old primary to notice")
    assert old.itself() == ("ONLINE", "PRIMARY")
    assert {old.members()[server.port][0] for server in others} == {"UNREACHABLE"}
    assert old.sql("SELECT @@read_only, @@super_read_only") == [(0, 0)]
    assert new.view() > old.view()
    mysql_group.mend()
    old.join()
    mysql_group.wait_online()
    assert mysql_group.primary() is new


def test_a_handshake_that_is_given_up_blocks_the_client_and_a_wrong_password_does_not(mysql, home):
    """The same if the client goes after the SSL request, within the TLS handshake, after it, or in
    the middle of the login. Only a login that succeeds sets the count back."""
    assert mysql.primary.running()  # or there is no MySQL at all
    port = free_port()
    server = suspicious(home, local(port))
    server.add_user("user", "right")
    for _ in range(3):
        with pytest.raises(pymysql.OperationalError, match="1045"):
            connect(port=port, user="user", password="wrong")
    connect(port=port, user="user", password="right").close()

    with socket.create_connection(local(port)) as client:
        assert b"caching_sha2_password" in client.recv(200)
    until(lambda: server.sql("SELECT SUM_CONNECT_ERRORS FROM performance_schema.host_cache")
          == [(1,)], "the server to count")
    with pytest.raises(pymysql.OperationalError, match="1129.*blocked because of many"):
        connect(port=port, user="user", password="right")
