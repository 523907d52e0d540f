"""Promise: what an operator types at the control socket has the effect that HAProxy's users know:
servers are drained and taken out, frontends disabled, sessions ended; and taking the primary out is
a planned switch that loses nothing."""
import time

import pytest

from lib import clusters, families, sql_playbook
from lib.ini import frontend, redis_backend
from lib.operated import Plain, is_cut, says
from lib.playbook import Stage
from lib.process import free_port
from lib.resp import Closed, Resp, RespError, connect
from lib.runtime import control_of
from lib.sockets import local
from lib.waiting import holds, until

pytestmark = pytest.mark.sanitize


def staged(home, **options):
    keys, runtime = control_of(home)
    return Stage(home, router_keys=keys, **options), runtime


def wait_access(router, server, access):
    return router.wait_for(lambda s: s.server(server)["access"] == access, f"{server}: {access}")


def wait_stillness(writers):
    """Until nobody's writes are acknowledged any more."""
    until(lambda: time.monotonic() - writers.acked()[-1].acked > 0.2, "the writers to stand still")


def events(router):
    return [event["text"] for event in router.stats()["events"]]


# The primary.


@pytest.mark.parametrize("state", ["maint", "drain"])
def test_the_primary_is_taken_out_and_the_one_that_is_promoted_takes_over(home, state):
    stage, runtime = staged(home)
    a, b, c = stage.servers
    runtime.ok(f"set server b/a state {state}")
    wait_access(stage.router, "a", "pause")
    stage.verdict(verdict="hold", primary="a")
    wait_stillness(stage.writers)
    before = len(stage.writers.acked())
    holds(lambda: len(stage.writers.acked()) == before, "nothing is acknowledged", 0.3)
    b.wait_caught_up(a)
    b.promote()
    c.follow(b)
    stage.wait_writes(20, b)
    assert a.role() == "master", "nobody has told it"
    runtime.ok("set server b/a state ready")
    stage.wait_writes(20, b)
    assert stage.router.stats().backend()["primary"] == "b"
    report = stage.curtain(b)
    assert report.lost == [], report.verdict()
    assert stage.writers.refused == []
    assert any(text.startswith("a is ready again, by the operator (uid ")
               for text in events(stage.router))


def test_a_primary_that_is_let_in_again_goes_on_without_a_cut(home):
    stage, runtime = staged(home)
    runtime.ok("disable server b/a")
    wait_access(stage.router, "a", "pause")
    wait_stillness(stage.writers)
    runtime.ok("enable server b/a")
    stage.wait_writes(20, stage.servers[0])
    assert stage.writers.cut == [] and stage.writers.refused == []
    stage.curtain(stage.servers[0])


def test_who_stands_still_for_queue_timeout_is_closed(home):
    stage, runtime = staged(home, names=("a", "b"), writers=False, queue_timeout="300ms")
    client = home.keep(Resp(stage.address))
    assert client.call("SET", "x", 1) == "OK"
    runtime.ok("set server b/a state maint")
    with pytest.raises((Closed, ConnectionResetError)):
        client.call("SET", "x", 2)
    wait_access(stage.router, "a", "none")
    with Resp(stage.address) as waits:
        answer = waits.call("SET", "x", 3)
        assert isinstance(answer, RespError) and "no primary in time" in answer
    assert stage.servers[0].data() == {"x": "1"}
    runtime.ok("set server b/a state ready")
    stage.router.wait_primary("a")
    with Resp(stage.address) as again:
        assert again.call("SET", "x", 4) == "OK"


def test_a_promotion_of_a_server_that_is_out_does_not_count(home):
    stage, runtime = staged(home)
    a, b, _ = stage.servers
    runtime.ok("set server b/b state maint")
    b.promote()
    stage.router.wait_for(lambda s: "b still claims" in s.backend()["reason"], "b's claim")
    stage.wait_writes(50, a)
    assert runtime("elect b/b") == "Not elected: it is taken out (drain or maint).\n"
    assert stage.written_by(b) == []
    stage.curtain(a)


@pytest.mark.parametrize("family", [families.Galera], ids=lambda f: f.name)
def test_with_galera_the_next_one_takes_over_at_once(home, family):
    keys, runtime = control_of(home)
    with clusters.lent(family.cluster) as cluster:
        stage = sql_playbook.Stage(home, family(cluster), router_keys=keys)
        old = stage.primary
        runtime.ok(f"set server b/{old.name} state maint")
        stats = stage.router.wait_for(
            lambda s: s.backend()["primary"] not in (None, old.name),
            "another writer")
        new = next(s for s in cluster.servers if s.name == stats.backend()["primary"])
        stage.wait_writes(20, new)
        wait_access(stage.router, old.name, "quiet")
        runtime.ok(f"set server b/{old.name} state ready")
        wait_access(stage.router, old.name, "open")
        stage.wait_writes(20, new)
        stage.curtain(new, nothing_lost=True)


# Servers without a role.


STATES = "'set server <srv> state' expects 'ready', 'drain' and 'maint'."


@pytest.mark.parametrize("out, back", [("set server b/x state drain", "set server b/x state ready"),
                                       ("set server b/x state maint", "enable server b/x"),
                                       ("disable server b/x", "enable server b/x")])
def test_who_is_out_gets_nobody_new_and_keeps_whom_it_has(home, out, back):
    plain = Plain(home)
    (living,) = plain.clients(2)["x"]
    plain.runtime.ok(out)
    stats = plain.wait_access("x", "quiet")
    assert stats.server("x")["admin"] == ("drain" if "drain" in out else "maint")
    assert plain.status("x") == ("DRAIN" if "drain" in out else "MAINT")
    assert set(plain.clients(6)) == {"y"}
    assert says(living)
    plain.runtime.ok(out)  # it is so already
    plain.runtime.ok(back)
    plain.wait_access("x", "open")
    assert plain.status("x") == "no check"
    assert set(plain.clients(4)) == {"x", "y"}


def test_all_are_out_and_clients_wait_for_the_first_that_is_back(home):
    plain = Plain(home, queue_timeout="30s")
    plain.runtime.ok("disable server b/x")
    plain.runtime.ok("disable server b/y")
    sock = home.keep(connect(local(plain.port), 20))
    plain.router.wait_for(lambda s: s.backend()["waiting"] == 1, "one that waits")
    plain.runtime.ok("enable server b/y")
    assert sock.recv(100) == b"y\n"


def test_names_that_are_not_there_and_words_that_are_none(home):
    plain = Plain(home)
    for line, answer in [
            ("set server b/z state drain", "No such server."),
            ("set server q/x state drain", "No such server."),
            ("set server x state drain", "Require 'backend/server'."),
            ("set server b/x state", STATES),
            ("set server b/x state up", STATES),
            ("disable frontend q", "No such frontend."),
            ("disable frontend", "A frontend name is expected."),
            ("shutdown session", "Session pointer expected (use 'show sess')."),
            ("shutdown session nobody", "Session pointer expected (use 'show sess')."),
            ("shutdown session 0x77", "No such session (use 'show sess')."),
            ("shutdown session 0x7700000001", "No such session (use 'show sess')."),
            ("shutdown sessions server b/z", "No such server."),
            ("resume backend b", "It is not paused."),
            ("elect b/x", "Not elected: there are no roles."),
            ("drill b 5", "No drill: there are no roles."),
            ("pause backend q", "Can't find backend."),
            ("clear counters some", 'Expected nothing or "all".'),
            ("drill b 61", 'Expected a number of seconds from 1 to 60, and perhaps "force".')]:
        assert plain.runtime(line) == answer + "\n", line
    assert set(plain.clients(2)) == {"x", "y"}


# Frontends.


def test_a_disabled_frontend_refuses_in_words_and_keeps_whom_it_has(home):
    redis = home.redis("a")
    port = free_port()
    keys, runtime = control_of(home)
    router = home.router(frontend("f", port) + redis_backend(redis), **keys)
    router.wait_primary("a")
    living = home.keep(Resp(local(port)))
    assert living.call("PING") == "PONG"
    runtime.ok("disable frontend f")
    assert runtime("disable frontend f") == "All sockets are already disabled.\n"
    for _ in range(3):
        with Resp(local(port)) as late:
            answer = late.read()
            assert isinstance(answer, RespError) and "disabled by its operator" in answer
    assert living.call("PING") == "PONG"
    stats = router.stats().frontend()
    assert (stats["refused_disabled"], stats["sessions_total"]) == (3, 1)
    assert stats["disabled"] is True
    runtime.ok("enable frontend f")
    assert runtime("enable frontend f") == "All sockets are already enabled.\n"
    with Resp(local(port)) as again:
        assert again.call("PING") == "PONG"


# Sessions.


def test_one_session_is_ended_by_its_number_and_no_other(home):
    plain = Plain(home, names=("x",))
    first, second = plain.clients(2)["x"]
    plain.runtime.ok("shutdown session 0x1")
    assert is_cut(first)
    assert says(second)
    assert plain.runtime("shutdown session 0x1") == "No such session (use 'show sess').\n"
    assert plain.router.stats().frontend()["killed"] == 1


def test_all_sessions_of_a_server_are_ended_and_no_others(home):
    """More of them than one turn of the loop ends."""
    plain = Plain(home, workers=2, balance="round_robin")
    found = plain.clients(400)
    assert sorted(found) == ["x", "y"] and len(found["x"]) > 150
    plain.runtime.ok("shutdown sessions server b/x")
    assert all(is_cut(sock) for sock in found["x"])
    assert all(says(sock) for sock in found["y"])
    stats = plain.router.stats()
    assert stats.frontend()["killed"] == len(found["x"])
    assert stats.server("x")["sessions"] == 0
    assert set(plain.clients(8)) == {"x", "y"}, "only those that were there are meant"


def test_counters_begin_anew(home):
    plain = Plain(home, names=("x",))
    plain.clients(3)
    assert plain.router.stats().frontend()["sessions_total"] == 3
    plain.runtime.ok("clear counters")
    assert plain.router.stats().frontend()["sessions_total"] == 3
    plain.runtime.ok("clear counters all")
    assert plain.router.stats().frontend()["sessions_total"] == 0


def test_a_pause_and_its_end(home):
    plain = Plain(home, names=("x",))
    living, _ = plain.client()
    plain.runtime.ok("pause backend b")
    assert plain.runtime("pause backend b") == "It is paused already.\n"
    plain.wait_access("x", "pause")
    living.sendall(b"still")
    late = home.keep(connect(local(plain.port), 20))
    plain.router.wait_for(lambda s: s.backend()["waiting"] == 1, "one that waits")
    plain.runtime.ok("resume backend b")
    assert living.recv(100) == b"still" and late.recv(100) == b"x\n"
    assert any(text.startswith("paused by the operator (uid ") for text in plain.events())


def test_a_drain_ends_the_router(home):
    plain = Plain(home, names=("x",))
    sock, _ = plain.client()
    plain.runtime.ok("drain")
    until(lambda: plain.router.http("/readyz", missing_ok=True)[0] == 503, "/readyz to say so")
    assert says(sock)
    sock.close()
    until(lambda: not plain.router.process.running(), "the router's end", 10)
    plain.router.stop()
