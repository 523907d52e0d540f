"""Promise: what is told of MySQL's pools is true: every number is that of the server, or of who
counted beside the router; and who fails to log in is told, and slowed alone."""
import json
import socket
import struct
import threading
import time

import pymysql
import pytest

from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mariadb import NOBODY, PROBER, WRITER, MariaDB
from lib.process import free_port
from lib.prometheus import parse_metrics, server_labels
from lib.routerctl import routerctl, rows
from lib.runtime import Runtime, control_of
from lib.waiting import SLOW, holds, until

SIZE = 5
SHARED = 2  # connections of pool_mode = transaction
PINS = {"transaction", "state", "session", "prepared", "temporary", "variable", "lock", "routine",
        "warnings"}


class World:
    def __init__(self, home):
        control, self.run = control_of(home)
        path = control["control"]
        self.look = Runtime(f"{path}-user")  # of somebody who is no operator
        self.server = home.keep(MariaDB(home.directory("db"), "db")).start()
        self.port, self.sharing = free_port(), free_port()
        self.router = home.router(
            frontend("f", self.port, pool_mode="session") + self.backend("b", SIZE)
            + frontend("t", self.sharing, backend="tb", pool_mode="transaction")
            + self.backend("tb", SHARED),
            control=[path, f"{path}-user level=user"], workers=1)
        for backend in ("b", "tb"):
            self.router.wait_primary("db", backend)
        self.open = []

    def backend(self, name, size):
        return section(f"backend {name}", protocol="mysql", server=servers(self.server),
                       pool_size=size, probe_user=PROBER[0], probe_password=PROBER[1],
                       **FAST_PROBES)

    def client(self, account=WRITER, password=None, port=None, **login):
        client = pymysql.connect(host="127.0.0.1", port=port or self.port, user=account[0],
                                 password=password or account[1], read_timeout=20 * SLOW,
                                 autocommit=True, **login)
        self.open.append(client)
        return client

    def sharer(self):
        """One without a database would keep its connection: no server goes back to none."""
        return self.client(port=self.sharing, database="test")

    def denied(self, account=WRITER):
        with pytest.raises(pymysql.OperationalError) as caught:
            self.client(account, "wrong")
        assert caught.value.args[0] == 1045

    def pool(self, backend="b"):
        one, = json.loads(self.run(f"show pool json {backend}"))
        return one

    def settled(self, backend="b"):
        """Once nobody is there."""
        for client in self.open:
            if client.open:
                client.close()
        self.open = []
        told = until(lambda: (p := self.pool(backend))["pool"]["clients"] == 0 and
                     all(c["use"] == "idle" for c in p["connections"]) and p, "calm", 10)
        assert told["pool"]["lent"] == told["pool"]["opening"] == 0, told
        assert not any(told["pool"]["pins"].values()), told
        assert told["servers"][0]["used"] == len(told["connections"]) == told["pool"]["idle"], told
        return told

    def processes(self):
        """What the server itself says of those that are not its own, by its number of each."""
        listed = self.server.sql("SELECT ID, USER, HOST, COMMAND FROM "
                                 "information_schema.PROCESSLIST WHERE USER IN (%s, %s)",
                                 WRITER[0], NOBODY[0])
        return {one[0]: one for one in listed}


@pytest.fixture(name="shared", scope="module")
def one_world(shared_home):
    return World(shared_home)


@pytest.fixture
def world(shared):
    yield shared
    shared.settled()


def change(world, before):
    after = world.pool(before["name"])["pool"]
    return {key: after[key] - before["pool"][key] for key in after
            if key not in ("mode", "pins", "reuse_percent")}


def ask(client, sql):
    with client.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.mark.sanitize
def test_each_connection_is_as_the_server_has_it(world):
    clients = [world.client(), world.client(), world.client(NOBODY)]
    threads = [ask(client, "SELECT CONNECTION_ID()")[0][0] for client in clients]
    told = world.pool()
    theirs = world.processes()
    ours = {c["thread"]: c for c in told["connections"]}
    assert set(ours) == set(theirs) and set(threads) <= set(ours)
    for thread, one in ours.items():
        _, user, host, _ = theirs[thread]
        assert (one["user"], one["address"], one["state"]) == (user, host, "ready")
        lent = thread in threads
        assert (one["use"], one["pins"]) == (("lent", "session") if lent else ("idle", ""))
        assert (one["session"] is not None) == lent and one["in_flight"] == 0
        assert one["leases"] >= 1 and one["commands"] >= 1
    pool = told["pool"]
    assert (pool["mode"], pool["clients"], pool["lent"]) == ("session", 3, 3)
    assert pool["lent"] + pool["idle"] == told["servers"][0]["used"] == len(ours)
    assert set(pool["pins"]) == PINS
    accounts = {a["user"]: a for a in told["accounts"]}
    assert accounts["writer"]["lent"] == 2 and accounts["nobody"]["lent"] == 1
    for use in ("lent", "idle"):
        assert sum(a[use] for a in told["accounts"]) == pool[use], use
    assert {pin: count for pin, count in pool["pins"].items() if count} == {"session": 3}
    assert set(told["oldest_pin_ms"]) == {"session"}
    text = world.run("show pool b").splitlines()
    assert text[0].startswith("b: mode=session clients=3 held=0 shared=0 lent=3 idle=")
    assert text[1].startswith("b: pin=session clients=3 oldest=")
    assert "b: account=nobody lent=1 idle=0" in text
    listed = [line for line in text if f" thread={threads[2]} " in line]
    assert len(listed) == 1 and " user=nobody " in listed[0]
    assert " state=ready use=lent pins=session" in listed[0]
    sessions = [line for line in world.run("show sess").splitlines() if "fe=f" in line]
    assert len(sessions) == 3 and all("pins=session" in line for line in sessions), sessions


@pytest.mark.sanitize
def test_logins_are_counted_by_their_way(world):
    before = world.settled()
    for account in (WRITER, NOBODY) * 4:
        with world.client(account) as client:
            ask(client, "SELECT 1")
        world.settled()
    told = change(world, before)
    assert told["fresh"] + told["changed"] == told["leases"] == told["returned"] == 8
    assert told["opened"] == told["fresh"] <= 1  # what is just being cleaned is not lent
    assert told["reused"] == told["changed"]
    assert told["denied"] == told["ended"] == told["slowed"] == told["resumed"] == 0
    after = world.settled()["pool"]
    assert 0 < after["login_average_us"] <= after["login_max_us"] < 20e6


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_what_is_not_kept_is_counted(world):
    world.client().close()
    before = world.settled()
    world.denied()  # on the idle one, which is no use to anybody then
    busy = world.client()
    busy._execute_command(3, "SELECT SLEEP(30)")  # pylint: disable=protected-access
    until(lambda: any(c["in_flight"] for c in world.pool()["connections"]), "it to be asked")
    reset(busy._sock)  # pylint: disable=protected-access
    world.settled()
    told = change(world, before)
    assert (told["denied"], told["ended"], told["returned"]) == (1, 2, 0)
    assert told["idle"] == told["fresh"] - told["ended"]


def test_what_a_client_leaves_behind_is_cleaned(world):
    before = world.settled()
    client = world.client()
    ask(client, "SET @left = 1")
    client.close()
    told = until(lambda: (c := change(world, before))["cleaned"] and c, "it to be cleaned")
    assert told["returned"] == 1 and told["ended"] == 0 and told["cleaned"] >= 1


def test_an_open_transaction_is_rolled_back_at_once_and_once(world):
    before = world.settled()
    client = world.client()
    ask(client, "BEGIN")
    client.close()
    until(lambda: change(world, before)["cleaned"], "it to be cleaned")
    holds(lambda: change(world, before)["cleaned"] <= before["pool"]["idle"] + 1, "once", 0.3)


def test_who_waits_for_a_connection_is_counted(world):
    before = world.settled()
    clients = [world.client() for _ in range(SIZE)]
    came = []
    late = threading.Thread(target=lambda: came.append(world.client()), daemon=True)
    late.start()
    told = until(lambda: (p := world.pool())["waiting"] and p, "it to wait")
    assert told["pool"]["lent"] == told["servers"][0]["used"] == SIZE
    assert not came and told["servers"][0]["max_connections"] == SIZE
    clients[0].close()
    late.join(20 * SLOW)
    assert ask(came[0], "SELECT 7") == ((7,),)
    assert change(world, before)["queued"] == 1 and world.pool()["waiting"] == 0


KEEPING = {  # why a session keeps its connection, and how it begins to
    "transaction": "BEGIN", "prepared": "PREPARE p FROM 'SELECT 1'",
    "temporary": "CREATE TEMPORARY TABLE test.t (a INT)", "variable": "SET @x = 1",
    "lock": "SELECT GET_LOCK('x', 0)", "warnings": "SELECT 1 / 0, CAST('x' AS INT)",
}


def test_why_a_session_keeps_its_connection_is_told(world):
    for reason, sql in KEEPING.items():
        before = world.settled("tb")
        client = world.sharer()
        ask(client, "SELECT 1")
        soft, = [c for c in world.pool("tb")["connections"] if c["use"] == "lent"]
        assert (soft["state"], soft["pins"]) == ("soft", ""), soft
        ask(client, sql)
        told = world.pool("tb")
        pins = {pin: n for pin, n in told["pool"]["pins"].items() if n}
        assert pins[reason] == 1 and set(pins) <= {reason, "state"}  # the server's trackers say so
        assert set(told["oldest_pin_ms"]) == set(pins)
        kept, = [c for c in told["connections"] if c["use"] == "lent"]
        assert kept["state"] == "ready" and set(kept["pins"].split(",")) == set(pins), kept
        metrics = parse_metrics(world.router.http("/metrics")[1])
        count = metrics[f"router_backend_pinned_{reason}_total"][1][(("proxy", "tb"),)]
        ask(client, "ROLLBACK")
        client.close()
        assert count >= 1 and not any(world.settled("tb")["pool"]["pins"].values())
        assert change(world, before)["leases"] == 1


def test_who_goes_on_elsewhere_and_who_waits_for_that_is_counted(world):
    before = world.settled("tb")
    clients = [world.sharer() for _ in range(SHARED + 1)]
    assert [ask(c, "SELECT 8") for c in clients * 2] == [((8,),)] * len(clients) * 2
    told = change(world, before)
    assert told["resumed"] >= SHARED and told["fresh"] + told["changed"] == SHARED + 1
    for client in clients[:SHARED]:
        ask(client, "BEGIN")
    queued = change(world, before)["queued"]
    came = []
    late = threading.Thread(target=lambda: came.append(ask(clients[-1], "SELECT 9")), daemon=True)
    late.start()
    held = until(lambda: (p := world.pool("tb"))["pool"]["held"] and p, "it to wait")
    assert held["pool"]["held"] == 1 and held["pool"]["pins"]["transaction"] == SHARED
    assert not came and held["servers"][0]["used"] == SHARED
    ask(clients[0], "COMMIT")
    late.join(20 * SLOW)
    assert came == [((9,),)] and change(world, before)["queued"] == queued + 1
    assert world.pool("tb")["pool"]["held"] == 0
    world.settled("tb")


def failures(world):
    found = world.pool()["failures"]
    assert len(found) == 1 and found[0]["address"] == "127.0.0.1", found
    return found[0]


def test_who_fails_is_told_and_slowed_and_others_are_not(world):
    world.settled()
    world.run("shutdown sessions server b/db")  # MariaDB takes a second to refuse a change of user
    before = until(lambda: (p := world.settled())["pool"]["idle"] == 0 and p, "none to be idle")
    for _ in range(13):
        world.denied(("stranger", ""))
    one = failures(world)
    assert one["denied"] >= 13 and one["slowed"] >= 1 and one["delay_ms"] > 0, one
    told = change(world, before)
    assert told["denied"] == 13 and told["slowed"] == one["slowed"]
    slowed = failures(world)["slowed"]
    world.client().close()  # it logged in before: nobody's failures are its own
    assert failures(world)["slowed"] == slowed
    began = time.monotonic()
    world.denied(("stranger", ""))
    assert time.monotonic() - began > 0.2 and failures(world)["slowed"] == slowed + 1
    counted = parse_metrics(world.router.http("/metrics")[1])
    told, = json.loads(world.look("show pool json b"))
    assert (told["pool"]["failing_addresses"], told["pool"]["failed_denied"]) == (
        1, failures(world)["denied"])
    assert counted["router_login_failing_addresses"][1][()] == 1
    assert counted["router_login_failures_total"][1][(("how", "denied"),)] == (
        told["pool"]["failed_denied"])
    assert "127.0.0.1" not in json.dumps(world.router.stats().backend("b")["pool"])
    assert told["failures"] == told["accounts"] == told["connections"] == []
    assert told["pool"]["denied"] > 0
    assert "127.0.0.1" not in world.look("show pool b")
    line = [x for x in world.run("show pool b").splitlines() if x.startswith("b: failures from=")]
    assert len(line) == 1 and line[0].startswith("b: failures from=127.0.0.1 left=0 late=0 denied=")


def test_the_metrics_say_the_same(world):
    client = world.client()
    told = world.pool()["pool"]
    metrics = parse_metrics(world.router.http("/metrics")[1])
    after = world.pool()["pool"]
    backend = (("proxy", "b"),)
    for name, key in (("logins_fresh", "fresh"), ("logins_changed", "changed"),
                      ("logins_denied", "denied"), ("logins_slowed", "slowed"),
                      ("pool_waited", "queued"), ("pool_returned", "returned"),
                      ("pool_ended", "ended"), ("pool_cleaned", "cleaned")):
        value = metrics[f"router_backend_{name}_total"][1][backend]
        assert told[key] <= value <= after[key], name
    links = metrics["router_server_pool_links"][1]
    for use in ("shared", "lent", "idle", "opening"):
        assert links[server_labels("b", "db", ("state", use))] == told[use], use
    pins = metrics["router_backend_pool_pins"][1]
    assert pins[(*backend, ("reason", "session"))] == 1
    assert metrics["router_backend_pool_clients"][1][backend] == 1
    logins = metrics["router_backend_login_seconds"][1]
    assert logins[("_count", *backend)] == told["fresh"] + told["changed"]
    client.close()


def test_routerctl_shows_it(world):
    world.client(NOBODY)
    done = routerctl("pool", socket=world.run.path)
    assert done.returncode == 0, done.stderr
    tables = rows(done.stdout)
    heads = [row for row in tables if row[0] in ("BACKEND", "SERVER")]
    assert heads[0][:4] == ["BACKEND", "MODE", "CLIENTS", "HELD"] and "FRESH" in heads[0]
    assert any(row[:2] == ["BACKEND", "FAILURES_FROM"] for row in heads)
    assert ["b", "nobody", "1", "0"] in tables
    assert any(row[3:5] == ["THREAD", "LEASES"] for row in heads)
    assert not any("DB" in row for row in heads)  # that is Redis'
    lent = [row for row in tables if "lent" in row]
    assert len(lent) == 1 and lent[0][0] == "b/db" and "nobody" in lent[0]
