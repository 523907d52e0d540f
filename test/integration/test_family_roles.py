"""Promise: what a MariaDB, MySQL, Galera, Group Replication or PostgreSQL server may be used for is
known by what it says of itself and of its group, and is told in words."""
import collections
import time

import pytest

from lib import clusters, families
from lib.ini import frontend
from lib.mariadb import REPLICATION, MariaDB, connect
from lib.process import free_port
from lib.router import run
from lib.sockets import local
from lib.sql_playbook import Stage
from lib.waiting import until


@pytest.fixture(name="family")
def lent_family(request):
    with clusters.lent(request.param.cluster) as cluster:
        yield request.param(cluster)


def only(*chosen):
    return pytest.mark.parametrize("family", chosen, ids=lambda f: f.name, indirect=True)


class Routes:
    """A router with a frontend for writes and one for reads."""

    def __init__(self, home, family, text=None, read_keys=None, **keys):
        self.family = family
        self.ports = {"primary": free_port(), "replica": free_port()}
        self.sections = (frontend("write", self.ports["primary"])
                         + frontend("read", self.ports["replica"], route="replica",
                                    **(read_keys or {}))
                         + (text or family.backend(**keys)))
        self.router = home.router(self.sections)

    def wait_primary(self, server):
        return self.router.wait_primary(server.name)

    def wait_all_used(self):
        self.router.wait_for(lambda s: all(x["access"] == "open" for x in s.backend()["servers"]),
                             "all to be used", 10)

    def server(self, server, stats=None):
        return (stats or self.router.stats()).server(server.name)

    def wait(self, server, condition, what, timeout=10):
        stats = self.router.wait_for(lambda s: condition(self.server(server, s)),
                                     f"{server.name}: {what}", timeout)
        return self.server(server, stats)

    def wait_reason(self, server, words):
        return self.wait(server, lambda s: words in s["reason"], words)

    def met(self, route, times=8):
        """The ports of the servers that so many clients meet."""
        return {self.family.port_met(local(self.ports[route])) for _ in range(times)}

    def connect(self, route):
        return self.family.dialect.connect(local(self.ports[route]), 10)


@only(*families.ALL)
def test_each_route_meets_the_servers_it_should_and_a_single_look_tells_them(home, family):
    primary = family.primary()
    others = family.others(primary)
    routes = Routes(home, family)
    routes.wait_primary(primary)
    routes.wait_all_used()
    assert routes.met("primary") == {primary.port}
    assert routes.met("replica", 12) == {server.port for server in others}
    path = home.file("once.ini", f"[router]\nadmin = off\n{routes.sections}")
    done = run("--probe", "-c", path)
    assert done.returncode == 0, done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    roles = {line[0]: line[2:4] for line in lines if len(line) > 3 and line[1] in
             {server.text for server in family.servers}}
    assert roles.pop(primary.name) == ["up", "primary"], done.stdout
    assert list(roles.values()) == [["up", "replica"]] * len(others), done.stdout
    if family.name == "patroni":
        assert [primary.name, "patroni:", "leader"] in lines
        assert done.stdout.count("patroni: not the leader") == len(others), done.stdout


# --- replicas that take writes, that do not follow, that have no history ---


@only(families.MariaDBReplication, families.MySQLReplication)
def test_at_the_start_a_replica_that_takes_writes_is_a_replica(home, family):
    """MariaDB's are born so. And the primary with read_only still on is not one either."""
    a, b, c = family.servers
    for replica in b, c:
        family.set_read_only(replica, False)
    routes = Routes(home, family)
    routes.wait_primary(a)
    routes.wait_all_used()
    assert [routes.server(s)["role"] for s in (a, b, c)] == ["primary", "replica", "replica"]
    assert routes.met("primary") == {a.port}
    for replica in b, c:
        family.set_read_only(replica, True)


@only(families.MariaDBReplication, families.MySQLReplication, families.PostgreSQL)
def test_a_stopped_replica_is_not_read_and_says_why(home, family):
    a, b, c = family.servers
    routes = Routes(home, family)
    routes.wait_primary(a)
    routes.wait_all_used()
    reader, met = None, None
    while met != b.port:
        reader = routes.connect("replica")
        met = family.port_of(reader)
    family.stop_replication(b)
    seen = routes.wait(b, lambda s: s["access"] != "open", "not to be read")
    assert family.stopped_words(a) in seen["reason"], seen["reason"]
    assert routes.met("replica") == {c.port}
    until(lambda: family.is_cut(reader), "the reader of the stopped one to be cut")
    family.start_replication(b)
    routes.wait(b, lambda s: s["access"] == "open", "to be read again")
    assert routes.router.stats().backend()["primary"] == a.name


@only(families.MariaDBReplication, families.MySQLReplication)
def test_replication_that_broke_tells_the_servers_own_error(home, family):
    a, b, _ = family.servers
    routes = Routes(home, family)
    routes.wait_primary(a)
    b.set_read_only(False)
    b.sql("SET sql_log_bin = 0")
    b.sql("INSERT INTO test.writes VALUES ('twice', 'here')")
    a.sql("INSERT INTO test.writes VALUES ('twice', 'there')")
    seen = routes.wait_reason(b, "is stopped: error 1062")
    assert f"replication from {a.text} is stopped: error 1062" in seen["reason"]
    assert seen["role"] == "replica" and seen["access"] != "open"


@only(families.MariaDBReplication, families.MySQLReplication)
def test_replicas_that_lag_are_not_read_beyond_max_lag(home, family):
    """What it would insert is held by a lock: it falls behind while its replication runs."""
    a, b, c = family.servers
    routes = Routes(home, family, max_lag="2s")
    routes.wait_primary(a)
    routes.wait_all_used()
    b.set_read_only(False)  # else nobody may lock anything
    lock = connect(unix=b.unix)
    with lock.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM test.writes FOR UPDATE")
    b.set_read_only(True)
    a.sql("INSERT INTO test.writes VALUES ('behind', '')")
    c.wait_caught_up(a)
    seen = routes.wait(b, lambda s: s["access"] != "open", "to be too far behind", 15)
    assert "behind" in seen["reason"], seen["reason"]
    assert routes.met("replica") == {c.port}
    lock.close()
    routes.wait(b, lambda s: s["access"] == "open", "to have caught up")


@only(families.PostgreSQL)
def test_standbys_that_lag_are_not_read_beyond_max_lag(home, family):
    """Its replay waits for a conflict with a reader's old snapshot; what it receives goes on."""
    a, b, c = family.servers
    b.options["max_standby_streaming_delay"] = "-1"
    b.reload()
    a.sql("INSERT INTO writes SELECT 'old ' || n, '' FROM generate_series(1, 100) n")
    b.wait_caught_up(a)
    routes = Routes(home, family, max_lag="2s")
    routes.wait_primary(a)
    routes.wait_all_used()
    snapshot = b.connect()
    snapshot.autocommit = False
    with snapshot.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM writes")
    a.sql("DELETE FROM writes")
    a.sql("VACUUM writes")
    seen = routes.wait(b, lambda s: s["access"] != "open", "to be too far behind", 15)
    assert "behind" in seen["reason"], seen["reason"]
    assert routes.met("replica") == {c.port}
    snapshot.close()
    routes.wait(b, lambda s: s["access"] == "open", "to have caught up")


def test_servers_without_binary_logs_are_primary_and_replica_by_whom_they_follow(home):
    """The replica has none: it tells no transactions. Promoted, it is the primary all the same,
    because it was seen to follow the one that died."""
    directory = home.directory("plain")
    first = home.keep(MariaDB(directory, "first", 1))
    second = home.keep(MariaDB(directory, "second", 2, options={
        "log-bin": False, "log-slave-updates": False}))
    for server in first, second:
        server.start(wait=False)
    for server in first, second:
        server.wait_up()
    second.sql("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %s, MASTER_USER = %s,"
               " MASTER_PASSWORD = %s, MASTER_USE_GTID = slave_pos", first.port, *REPLICATION)
    second.sql("START SLAVE")
    second.wait_linked()

    Group = collections.namedtuple("Group", "servers")
    routes = Routes(home, families.MariaDBReplication(Group([first, second])))
    routes.wait_primary(first)
    routes.wait_all_used()
    first.kill()
    second.promote()
    routes.wait_primary(second)
    first.start_again()
    routes.router.wait_for(lambda s: families.told(s, "first claims to be the primary too"),
                           "the first to claim again")
    assert routes.met("primary") == {second.port}


# --- Galera ---

MOODS = {
    "desynced": (lambda n: n.desync(), "is not synced with its cluster (Donor/Desynced)",
                 lambda n: n.desync(False)),
    "rejecting": (lambda n: n.reject_queries(), "rejects queries (wsrep_reject_queries: ALL)",
                  lambda n: n.reject_queries("NONE")),
    "isolated": (lambda n: n.isolate(), "is not in its cluster's primary component",
                 lambda n: n.isolate(False)),
}


@pytest.mark.parametrize("failback", ["no", "yes"])
def test_a_galera_node_that_may_not_write_is_succeeded_and_comes_back_if_it_shall(home, galera,
                                                                                 failback):
    family = families.Galera(galera)
    a, b, _ = galera.nodes
    stage = Stage(home, family, failback=failback)
    for mood, (begin, words, end) in MOODS.items():
        begin(a)
        stage.wait_writes(10, b)
        stage.router.wait_for(lambda s, w=words: w in s.server("a")["reason"], words, 10)
        assert stage.router.stats().server("a")["access"] == "none", mood
        end(a)
        stage.router.wait_for(lambda s: s.server("a")["access"] == "open", "a to be used", 20)
        if failback == "yes":
            stage.wait_writes(10, a)
        else:
            stage.wait_writes(10, b)
            stage.router.wait_for(lambda s: s.backend()["primary"] == "b", "the writer to stay")
            break_back(stage, a, b)
    stage.writers.stop()
    galera.wait_synced()
    assert not lost(stage, galera)


def break_back(stage, a, b):
    """The writer is a again, for the next mood."""
    b.desync()
    stage.wait_writes(10, a)
    b.desync(False)
    stage.router.wait_for(lambda s: s.server("b")["access"] == "open", "b to be used", 20)


def lost(stage, galera):
    """Writers move there and back here, which compare() takes for an old primary's return."""
    a, b, c = galera.nodes
    for node in b, c:
        node.wait_caught_up(a)
    data = a.data()
    return [write for write in stage.writers.acked() if data.get(write.key) != write.value]


# --- Group Replication ---


def test_a_primary_cut_off_from_its_group_gets_nothing_before_and_after_the_network_is_whole(
        home, mysql_group):
    family = families.GroupReplication(mysql_group)
    stage = Stage(home, family)
    old = stage.primary
    stage.fault()
    mysql_group.isolate(old)
    new = family.succeed(old)
    stage.wait_writes(30, new)
    change = stage.wait_change(old, new)
    assert change["closed"] >= 1
    assert old.itself() == ("ONLINE", "PRIMARY") and not old.value("SELECT @@super_read_only")
    assert "without a majority" in stage.router.stats().server(old.name)["reason"]
    mysql_group.mend()
    since = time.monotonic()
    until(lambda: "offline" in stage.router.stats().server(old.name)["reason"],
          "the old one to notice", 60)
    assert [w for w in stage.writers.acked(old) if w.sent > since] == []
    stage.wait_writes(30, new)
    stage.curtain(new)
