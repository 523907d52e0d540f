"""Promise: the harness of the MariaDB and Galera tests sees a lost write and whose fault it is. HAProxy
with the usual check must show it, or a router that loses nothing proves nothing."""
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
