"""Promise: the admin address shows what is, to people's programs and to Prometheus."""
import json
import re

import pytest

from lib.admin import World
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.prometheus import metric_keys, parse_metrics, server_labels
from lib.resp import connect
from lib.sockets import local
from lib.waiting import SLOW

pytestmark = pytest.mark.sanitize


@pytest.fixture(scope="module")
def world(shared_home):
    return World(shared_home)


# The paths.


def test_every_path_answers_with_its_type_and_length(world):
    types = {"/": "text/html; charset=utf-8", "/stats.json": "application/json",
             "/metrics": "text/plain; version=0.0.4; charset=utf-8",
             "/healthz": "text/plain; charset=utf-8", "/readyz": "text/plain; charset=utf-8"}
    for path, kind in types.items():
        answer, body = world.get(path)
        assert answer.status == 200, path
        assert answer.headers["Content-Type"] == kind
        assert int(answer.headers["Content-Length"]) == len(body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["Date"])
    assert world.get("/healthz")[1] == b"ok\n"
    assert world.get("/readyz")[1] == b"ready\n"
    assert world.get("/readyz?backends")[1] == b"ready\n"
    assert world.get("/nothing")[0].status == 404
    assert world.get("/healthz/")[0].status == 404


def test_stats_json_has_every_key(world):
    stats = json.loads(world.get("/stats.json")[1])
    assert set(stats) == {"version", "router", "frontends", "backends", "changes", "events"}
    assert stats["version"] == 1
    assert set(stats["router"]) == {"version", "pid", "uptime_ms", "workers", "sessions",
                                    "max_sessions", "sessions_max", "sessions_total",
                                    "connections_total", "bytes_in", "bytes_out", "rate",
                                    "rate_max", "connection_rate", "connection_rate_max",
                                    "idle_percent", "generation", "ready", "draining"}
    assert stats["router"]["pid"] == world.router.pid
    assert stats["router"]["ready"] is True and stats["router"]["draining"] is False
    keys = {"name", "binds", "backend", "backends", "route", "sessions", "max_sessions",
            "has_server", "disabled", "tls", "sessions_max", "rate", "rate_max"}
    tally = {"sessions_max", "rate", "rate_max", "up", "changed_ms", "down_ms", "falls",
             "last_session_ms"}
    for f in stats["frontends"]:
        assert set(f) == keys | {key for key, _, _ in metric_keys("FRONTEND")}
    assert [f["name"] for f in stats["frontends"]] == ["write", "read", "hub"]
    assert [f["route"] for f in stats["frontends"]] == ["primary", "replica", "any"]
    assert [f["max_sessions"] for f in stats["frontends"]] == [0, 100, 0]
    assert stats["frontends"][0]["binds"] == [f"127.0.0.1:{world.ports[0]}"]
    for b in stats["backends"]:
        assert set(b) == {"name", "protocol", "primary", "verdict", "stale", "paused", "reason",
                          "waiting",
                          "queue_limit", "held_ms", "tls", "sentinels", "servers", "waiting_max",
                          "sessions", "bytes_in", "bytes_out", "elections", "fences",
                              "pool"} | tally | {
                              key for key, _, _ in metric_keys("BACKEND")}
        for s in b["servers"]:
            assert set(s) == {"name", "address", "state", "role", "access", "reason", "sessions",
                              "max_connections", "admin", "weight", "backup", "offset", "lag_bytes",
                              "behind_ms", "latency_us", "probe_age_ms", "failures",
                              "patroni_leader", "patroni_why", "check", "check_code",
                              "failed_probes"} | tally | {
                                  key for key, _, _ in metric_keys("SERVER")}
    for c in stats["changes"]:
        assert set(c) == {"number", "at", "backend", "from", "to", "evidence", "claims",
                          "elected_ms", "fenced_ms", "published_ms", "written_ms", "held",
                          "closed"}
    for e in stats["events"]:
        assert set(e) == {"number", "at", "backend", "kind", "text"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["at"])
    numbers = [e["number"] for e in stats["events"]]
    assert numbers == sorted(numbers, reverse=True) and numbers[-1] == 1


def test_stats_json_says_who_is_what(world):
    stats = world.router.wait_for(
        lambda s: all(v["lag_bytes"] == 0 for v in s.backend("redis")["servers"][1:])
        and all(v["access"] == "open" and v["offset"] for v in s.backend("redis")["servers"]),
        "replicas that are up to date")
    redis, hubs = stats.backend("redis"), stats.backend("hubs")
    assert (redis["primary"], redis["verdict"], redis["stale"]) == ("redis-0", "primary", False)
    assert redis["reason"]
    assert [s["role"] for s in redis["servers"]] == ["primary", "replica", "replica"]
    assert {s["state"] for s in redis["servers"]} == {"up"}
    assert {s["access"] for s in redis["servers"]} == {"open"}
    assert {s["max_connections"] for s in redis["servers"]} == {50}
    assert [s["address"] for s in redis["servers"]] == [s.text for s in world.servers]
    assert redis["servers"][0]["lag_bytes"] is None
    for s in redis["servers"]:
        assert s["offset"] > 0 and s["latency_us"] > 0 and s["failures"] == 0
        assert s["probe_age_ms"] < 2000 * SLOW
    assert (hubs["primary"], hubs["verdict"]) == (None, None)
    assert (hubs["servers"][0]["state"], hubs["servers"][0]["role"]) == ("up", "unknown")
    assert hubs["servers"][0]["offset"] is None


def test_sessions_and_bytes_are_counted_where_they_go(world):
    before = world.router.stats()
    with connect(local(world.ports[2])) as client:
        client.sendall(b"x" * 1000)
        got = b""
        while len(got) < 1000:
            got += client.recv(1000)
        now = world.router.wait_for(
            lambda s: s.frontend("hub")["bytes_out"] - before.frontend("hub")["bytes_out"] == 1000,
            "the bytes to be counted")
        assert now.frontend("hub")["sessions"] == 1
        assert now["router"]["sessions"] == before["router"]["sessions"] + 1
        assert now.server("echo", "hubs")["sessions"] == 1
    after = world.router.wait_for(lambda s: s.frontend("hub")["sessions"] == 0, "the end")
    for things in (lambda s: s.frontend("hub"), lambda s: s.server("echo", "hubs")):
        for key, value in (("sessions_total", 1), ("bytes_in", 1000), ("bytes_out", 1000)):
            assert things(after)[key] - things(before)[key] == value, key


# Prometheus.


def test_metrics_are_well_formed_and_complete(world):
    families = parse_metrics(world.get("/metrics")[1].decode())
    for scope, count in (("FRONTEND", 3), ("BACKEND", 2), ("SERVER", 4)):
        for _, name, kind in metric_keys(scope):
            assert families[name][0] == kind
            assert len(families[name][1]) == count, name
    for name in ("haproxy_frontend_current_sessions", "haproxy_server_current_sessions",
                 "haproxy_backend_current_queue", "haproxy_process_uptime_seconds",
                 "router_backend_hold_seconds", "router_server_offset",
                 "router_server_probe_latency_seconds", "router_server_lag_bytes",
                 "router_events_total"):
        assert families[name][1], name
    assert families["router_events_total"][1][()] >= 1


def test_metrics_say_who_is_what(world):
    families = parse_metrics(world.get("/metrics")[1].decode())
    status, role = families["haproxy_server_status"][1], families["router_server_role"][1]
    assert {k[2][1] for k in status} == {"UP", "DOWN", "MAINT", "DRAIN", "NOLB"}
    for server in ("redis-0", "redis-1", "redis-2"):
        of = {k[2][1]: v for k, v in status.items() if k[:2] == server_labels("redis", server)}
        assert of == {"UP": 1, "DOWN": 0, "MAINT": 0, "DRAIN": 0, "NOLB": 0}
    assert role[server_labels("redis", "redis-0", ("role", "primary"))] == 1
    assert role[server_labels("redis", "redis-0", ("role", "replica"))] == 0
    assert role[server_labels("redis", "redis-1", ("role", "replica"))] == 1
    assert role[server_labels("hubs", "echo", ("role", "unknown"))] == 1
    assert families["router_backend_has_primary"][1] == {(("proxy", "redis"),): 1}


def in_json(of, key):
    """Times are in microseconds there, in seconds for Prometheus."""
    return of[key] / 1e6 if key.endswith("_us") else of[key]


def test_metrics_and_json_give_the_same_counters(world):
    stats = world.router.stats()
    families = parse_metrics(world.get("/metrics")[1].decode())
    for key, name, _ in metric_keys("FRONTEND"):
        for f in stats["frontends"]:
            assert families[name][1][(("proxy", f["name"]),)] == in_json(f, key), name
    for key, name, _ in metric_keys("SERVER"):
        for b in stats["backends"]:
            for s in b["servers"]:
                assert families[name][1][server_labels(b["name"], s["name"])] == in_json(
                    s, key), name


# What happens is seen.


def test_without_a_primary_readyz_stays_and_its_backends_variant_tells(home):
    redis = home.redis("only")
    split = {"pool_mode": "transaction", "route": "split"}
    router = home.router(frontend("write", free_port()) +
                         frontend("read", free_port(), route="replica", fallback="none") +
                         frontend("both", free_port(), **split) +
                         frontend("apart", free_port(), **split, fallback="none") +
                         redis_backend(redis))
    router.wait_primary("only")
    assert {f["name"]: f["route"] for f in router.stats()["frontends"]}["both"] == "split"
    status, body = router.http("/readyz?backends")
    assert status == 503 and "read has no server: b: " in body and "write" not in body
    assert "apart has no server: b: " in body and "both" not in body
    redis.kill()
    router.wait_for(lambda s: s.server("only")["state"] == "down", "the server to be down")
    assert router.http("/readyz")[0] == 200
    status, body = router.http("/readyz?backends")
    assert status == 503 and "write has no server: b: " in body
    assert "both has no server: b: " in body
    families = parse_metrics(router.http("/metrics")[1])
    assert families["router_backend_has_primary"][1][(("proxy", "b"),)] == 0
    status = families["haproxy_server_status"][1]
    assert status[server_labels("b", "only", ("state", "DOWN"))] == 1
    events = router.stats()["events"]
    assert any(e["backend"] == "b" and "only" in e["text"] for e in events)
