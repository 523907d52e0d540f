"""Promise: the harness of the MariaDB and Galera tests sees a lost write and whose fault it is.
HAProxy with the usual check must show it, or a router that loses nothing proves nothing."""
import time

import pytest

from lib.haproxy import HAProxy
from lib.sql_writers import MySQLDialect, Refused, SqlWriters
from lib.waiting import until
from lib.writers import compare

CHECKER = "haproxy"
WRITES = 50


def served(address):
    try:
        MySQLDialect().connect(address, 2).close()
    except Refused:
        return False
    return True


def proxy_before(home, first, *others):
    """HAProxy as one is told to set it up before MySQL: the others are the first one's backups."""
    first.add_user(CHECKER)
    for other in others:
        other.wait_caught_up(first)
    return home.keep(HAProxy(home.directory("haproxy"), [first], backups=others, answers=served,
                             check=f"    option mysql-check user {CHECKER}"))


def wait_writes(writers, by):
    """Until it has acknowledged so many that were sent after now."""
    since = time.monotonic()
    until(lambda: len(writers.acked(by, since)) >= WRITES, f"writes taken by {by.name}", 20)


@pytest.mark.parametrize("returning", [True, False], ids=["mariadb", "mysql"])
def test_haproxy_loses_writes_when_the_old_primary_returns(home, mariadb, returning):
    a, b, c = mariadb.servers
    proxy = proxy_before(home, a, b, c)
    writers = home.keep(SqlWriters(proxy.address, MySQLDialect(returning=returning), count=3,
                                   rate=100, reconnect_every=10))
    wait_writes(writers, a)
    a.kill()
    b.promote()
    c.follow(b)
    wait_writes(writers, b)
    a.start_again()
    wait_writes(writers, a)
    writers.stop()
    c.wait_caught_up(b)
    report = compare(writers, b, [a, c])
    print(report.verdict())
    assert len(report.by_fenced) >= WRITES
    assert report.wrong_value == []
    fenced = {write.key for write in report.by_fenced}
    assert fenced <= {write.key for write in report.lost}
    assert fenced <= set(a.data())


def test_writes_that_every_server_has_are_not_reported(home, mariadb):
    """One connection for each write, a handover that waits: nothing is lost."""
    a, b, c = mariadb.servers
    before = home.keep(SqlWriters(a.address, MySQLDialect(), rate=100, reconnect_every=1))
    wait_writes(before, a)
    before.stop()
    a.demote()
    for other in (b, c):
        other.wait_caught_up(a)
    b.promote()
    a.follow(b)
    c.follow(b)
    writers = home.keep(SqlWriters(b.address, MySQLDialect(), prefix="after", rate=100))
    wait_writes(writers, b)
    writers.stop()
    for other in (a, c):
        other.wait_caught_up(b)
    writers.acknowledged = before.acked() + writers.acked()
    for last in (a, b, c):
        report = compare(writers, last, [s for s in (a, b, c) if s is not last])
        assert report.acknowledged >= 2 * WRITES
        assert (report.lost, report.by_fenced, report.wrong_value) == ([], [], []), last.name


def test_a_read_only_server_refuses_the_writers(home, mariadb):
    b = mariadb.server("b")
    writers = home.keep(SqlWriters(b.address, MySQLDialect()))
    until(lambda: len(writers.refused) >= 3, "refusals")
    writers.stop()
    assert writers.acked() == []
    assert "--read-only" in writers.refused[0][1]
    assert b.data() == {}


def test_haproxy_sends_writers_to_a_galera_node_outside_the_cluster(home, galera):
    """The node lets the check log in and refuses everything else: an outage, and nothing lost."""
    a, b, c = galera.nodes
    proxy = proxy_before(home, a, b, c)
    writers = home.keep(SqlWriters(proxy.address, MySQLDialect(), rate=100, reconnect_every=10))
    wait_writes(writers, a)
    a.isolate()
    a.wait_non_primary()
    b.wait_synced(2)
    since = time.monotonic()
    until(lambda: len([t for t, _ in writers.refused if t > since]) >= WRITES, "refusals", 20)
    assert writers.acked(since=since) == []
    a.isolate(False)
    galera.wait_synced()
    wait_writes(writers, a)
    writers.stop()
    b.wait_caught_up(a)
    report = compare(writers, b, [a, c])
    assert (report.lost, report.wrong_value) == ([], [])


def leave_a_write(group):
    group.primary.sql("INSERT INTO test.writes VALUES ('left', 'over')")


def leave_an_account(group):
    with group.server("c").connect("root", "") as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("CREATE USER leftover")


CHANGES = {
    "nothing": lambda group: None,
    "write": leave_a_write,
    "account": leave_an_account,
    "killed": lambda group: group.primary.kill(),
    "paused": lambda group: group.server("b").pause(),
    "setting": lambda group: group.server("b").sql("SET GLOBAL max_connections = 17"),
    "link": lambda group: group.server("c").stop_replication("SQL_THREAD"),
    "handover": lambda group: (group.server("b").promote(), group.server("c").demote()),
}
NO_TRACE = (CHANGES["nothing"], CHANGES["paused"])  # no reason to start anew


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_a_test_changed_is_undone_before_the_next(mariadb, change):
    pids = [server.process.pid for server in mariadb.servers]
    change(mariadb)
    mariadb.reset()
    a, b, c = mariadb.servers
    assert [s.value("SELECT @@read_only") for s in (a, b, c)] == [0, 1, 1]
    assert [s.data() for s in (a, b, c)] == [{}, {}, {}]
    assert [s.value("SELECT @@max_connections") for s in (a, b, c)] == [200, 200, 200]
    accounts = [s.sql("SELECT User FROM mysql.user ORDER BY User, Host") for s in (a, b, c)]
    assert ("leftover",) not in accounts[0] and accounts[0] == accounts[1] == accounts[2]
    for replica in (b, c):
        assert replica.linked() and replica.replication()["Master_Port"] == a.port
    same = [server.process.pid for server in mariadb.servers] == pids
    assert same == (change in NO_TRACE)


def test_a_galera_cluster_that_was_killed_comes_back_with_its_data_or_as_new(galera):
    a, b, c = galera.nodes
    a.sql("INSERT INTO test.writes VALUES ('kept', 'x')")
    for node in (b, c):
        node.wait_caught_up(a)
        node.kill()
    a.kill()
    galera.bootstrap_again()
    assert [node.data() for node in galera.nodes] == [{"kept": "x"}] * 3
    c.kill()
    galera.reset()
    assert [node.data() for node in galera.nodes] == [{}] * 3
    galera.wait_synced()
