"""Promise: the harness of the PostgreSQL, Patroni and Sentinel tests sees a lost write and whose
fault it is. HAProxy with the usual checks must show it, or a router that loses nothing proves
nothing."""
import collections
import os
import time

import pytest

from lib import warden
from lib.fake_sentinel import FakeSentinel
from lib.haproxy import HAProxy
from lib.pg_writers import PostgresDialect
from lib.process import Process
from lib.resp import Closed, Resp
from lib.sentinel import MASTER
from lib.sql_writers import Refused, SqlWriters
from lib.waiting import until
from lib.writers import Writers, compare

WRITES = 30
PGSQL_CHECK = "    option pgsql-check user checker"
PATRONI_CHECK = "    option httpchk OPTIONS /primary\n    http-check expect status 200"

Checked = collections.namedtuple("Checked", "name text")


def served(address):
    try:
        PostgresDialect().connect(address, 2).close()
    except Refused:
        return False
    return True


def wait_writes(writers, by, count=WRITES):
    """Until it has acknowledged so many that were sent after now."""
    since = time.monotonic()
    until(lambda: len(writers.acked(by, since)) >= count, f"writes taken by {by.name}", 20)


def test_haproxy_loses_writes_when_the_old_primary_returns(home, postgres):
    a, b, c = postgres.servers
    postgres.add_user("checker", method="trust")
    proxy = home.keep(HAProxy(home.directory("haproxy"), [a], backups=[b, c], answers=served,
                              check=PGSQL_CHECK))
    writers = home.keep(SqlWriters(proxy.address, PostgresDialect(), count=3, rate=100,
                                   reconnect_every=10))
    wait_writes(writers, a)
    a.kill()
    b.promote()  # to HAProxy the first backup is as good as the best
    c.follow(b, rewind=True)
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


def test_writes_that_every_server_has_are_not_reported(home, postgres):
    """A handover that waits: nothing is lost."""
    a, b, c = postgres.servers
    before = home.keep(SqlWriters(a.address, PostgresDialect(), rate=100, reconnect_every=1))
    wait_writes(before, a)
    before.stop()
    a.stop()
    b.promote()
    a.follow(b)
    c.follow(b)
    writers = home.keep(SqlWriters(b.address, PostgresDialect(), prefix="after", rate=100))
    wait_writes(writers, b)
    writers.stop()
    for other in (a, c):
        other.wait_caught_up(b)
    assert [s.timeline() for s in (a, b, c)] == [2, 2, 2]
    writers.acknowledged = before.acked() + writers.acked()
    for last in (a, b, c):
        report = compare(writers, last, [s for s in (a, b, c) if s is not last])
        assert report.acknowledged >= 2 * WRITES
        assert (report.lost, report.by_fenced, report.wrong_value) == ([], [], []), last.name


def test_the_standby_that_received_most_is_promoted_and_the_other_follows(postgres):
    a, b, c = postgres.servers
    b.pause()
    a.sql("INSERT INTO writes VALUES ('only', 'on c')")
    c.wait_caught_up(a)
    a.kill()
    b.kill()
    b.start_again()
    assert postgres.promote_best() is c
    b.wait_caught_up(c)
    assert b.data() == c.data() == {"only": "on c"}


def test_a_standby_refuses_the_writers(home, postgres):
    writers = home.keep(SqlWriters(postgres.server("b").address, PostgresDialect()))
    until(lambda: len(writers.refused) >= 3, "refusals")
    writers.stop()
    assert writers.acked() == []
    assert "25006" in writers.refused[0][1]


def test_haproxy_follows_patroni_through_a_pause_and_a_switchover(home, patroni):
    nodes = [Checked(n.name, f"{n.text} port {n.rest_port}") for n in patroni.nodes]
    proxy = home.keep(HAProxy(home.directory("haproxy"), nodes, answers=served,
                              check=PATRONI_CHECK))
    writers = home.keep(SqlWriters(proxy.address, PostgresDialect(), count=2, rate=100,
                                   reconnect_every=10))
    first = patroni.leader()
    wait_writes(writers, first)
    first.pause()
    second = patroni.wait_leader(other_than=first)
    wait_writes(writers, second)
    first.resume()
    patroni.wait_healthy()
    assert patroni.leader() is second
    third = next(n for n in patroni.nodes if n not in (first, second))
    patroni.switchover(third)
    wait_writes(writers, third)
    writers.stop()
    report = compare(writers, third)
    print(report.verdict())
    assert (report.lost_beyond, report.by_fenced, report.wrong_value) == ([], [], [])


def test_haproxy_loses_writes_when_sentinels_have_not_yet_demoted_the_old_primary(home, sentinels):
    old = sentinels.primary
    proxy = home.haproxy(sentinels.servers)
    writers = home.keep(Writers(proxy.address, count=4, rate=100, timeout=1.0, reconnect_every=2))
    wait_writes(writers, old)
    old.pause()
    new = sentinels.wait_failover(old)
    wait_writes(writers, new)
    for sentinel in sentinels.sentinels:
        sentinel.pause()  # as long as they like: they promise nothing about when
    old.resume()
    wait_writes(writers, old)
    for sentinel in sentinels.sentinels:
        sentinel.resume()
    until(lambda: old.role() == "slave", "the old primary to be demoted", 20)
    writers.stop()
    old.wait_caught_up(new)
    report = compare(writers, new, [s for s in sentinels.servers if s is not new])
    print(report.verdict())
    assert len(report.by_fenced) >= WRITES
    assert {w.key for w in report.by_fenced} <= {w.key for w in report.lost}


PG_CHANGES = {
    "nothing": lambda group: None,
    "write": lambda group: group.primary.sql("INSERT INTO writes VALUES ('left', 'over')"),
    "account": lambda group: group.add_user("leftover", "x", "md5"),
    "password": lambda group: group.primary.set_password("writer", "another"),
    "killed": lambda group: group.primary.kill(),
    "postmaster": lambda group: group.server("b").kill_postmaster(),
    "paused": lambda group: group.server("b").pause(),
    "setting": lambda group: group.server("b").options.update(work_mem="1MB") or
    group.server("b").reload(),
    "promoted": lambda group: group.server("b").promote(),
    "mistake": lambda group: (group.server("c").stop(),
                              group.server("c").start_again(standby=False)),
}


@pytest.mark.parametrize("change", PG_CHANGES.values(), ids=list(PG_CHANGES))
def test_what_a_test_did_to_postgresql_is_undone_before_the_next(postgres, change):
    pids = [server.process.pid for server in postgres.servers]
    change(postgres)
    postgres.reset()
    a, b, c = postgres.servers
    assert [s.in_recovery() for s in (a, b, c)] == [False, True, True]
    assert [s.timeline() for s in (a, b, c)] == [1, 1, 1]
    assert [s.data() for s in (a, b, c)] == [{}, {}, {}]
    assert {s.value("SHOW work_mem") for s in (a, b, c)} == {"4MB"}
    for standby in (b, c):
        standby.connect().close()
        assert standby.linked()
        assert standby.value("SELECT count(*) FROM pg_roles WHERE rolname = 'leftover'") == 0
    same = [server.process.pid for server in postgres.servers] == pids
    assert same == (change in (PG_CHANGES["nothing"], PG_CHANGES["paused"]))


def test_patroni_that_was_killed_or_reconfigured_is_as_new(patroni):
    patroni.leader().kill_patroni()
    patroni.reset()
    leader = patroni.leader()
    leader.sql("INSERT INTO writes VALUES ('left', 'over')")
    patroni.configure(pause=True)
    patroni.reset()
    assert patroni.healthy()
    assert [node.data() for node in patroni.nodes] == [{}] * 3
    assert patroni.leader().rest("GET", "/config")[1].get("pause") is None


def test_sentinels_and_their_servers_are_as_new_after_any_change(sentinels):
    sentinels.watch_again(requirepass="word")
    sentinels.failover()
    sentinels.wait_failover(sentinels.primary).ok("SET", "left", "over")
    sentinels.reset()
    assert [s.role() for s in sentinels.servers] == ["master", "slave", "slave"]
    assert [s.data() for s in sentinels.servers] == [{}] * 3
    assert sentinels.elected() is sentinels.primary
    assert all(s.connect().call("PING") == "PONG" for s in sentinels.sentinels)
    pids = [s.process.pid for s in sentinels.sentinels]
    sentinels.reset()
    assert [s.process.pid for s in sentinels.sentinels] == pids


def test_a_fake_sentinel_says_what_it_is_told(home, sentinels):
    first, second, _ = sentinels.servers
    fake = home.keep(FakeSentinel(first, password="word"))
    with Resp(fake.server.address) as client:
        assert client.call("PING").startswith("NOAUTH")
    question = ("SENTINEL", "get-master-addr-by-name", MASTER)
    with Resp(fake.server.address, password="word") as client, \
            Resp(fake.server.address, password="word") as listener:
        assert client.call(*question) == ["127.0.0.1", str(first.port)]
        real = sentinels.sentinels[0].ok("SENTINEL", "MASTER", MASTER)[::2]
        assert set(client.call("SENTINEL", "MASTER", MASTER)[::2]) <= set(real)
        assert listener.call("SUBSCRIBE", "+switch-master") == ["subscribe", "+switch-master", 1]
        fake.switch(second)
        assert listener.read() == ["message", "+switch-master", f"{MASTER} 127.0.0.1 {first.port}"
                                   f" 127.0.0.1 {second.port}"]
        assert client.call(*question) == ["127.0.0.1", str(second.port)]
        fake.named(None)
        assert client.call(*question) is None
        fake.cut()
        with pytest.raises(Closed):
            client.read()


def test_what_a_command_leaves_behind_dies_with_its_warden(home):
    """As Patroni leaves its postmaster."""
    script = "sh -c 'sleep 600 & exec sleep 600' & exec sleep 600"
    process = home.keep(Warden(home.file("log", ""), ["/bin/sh", "-c", script]))
    family = until(lambda: len(f := process.family()) == 3 and f, "the family to be complete")
    os.kill(family[0], 9)
    until(lambda: len(process.family()) == 2, "the others to be adopted")
    process.close()
    assert not any(warden.alive(pid) for pid in family)


class Warden:
    def __init__(self, log, argv):
        self.process = Process(["/usr/bin/python3", "-I", warden.__file__, *argv], log)

    def family(self):
        return sum((below(pid) for pid in warden.children(self.process.pid)), [])

    def close(self):
        self.process.terminate()


def below(pid):
    return [pid] + sum((below(child) for child in warden.children(pid)), [])
