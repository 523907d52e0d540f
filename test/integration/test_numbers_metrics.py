"""Promise: /metrics, the alerts and the dashboard fit together, and Prometheus' own tool is content
with each of them."""
import json
import os
import re

import pytest

from lib.fake import echo
from lib.ini import frontend, redis_backend, section, tcp_backend
from lib.process import free_port
from lib.prometheus import check_histograms, parse_metrics, promtool
from lib.resp import connect
from lib.sockets import local
from lib.waiting import SLOW, until
from lib.web import fetch

EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "examples")
ALERTS = os.path.join(EXAMPLES, "prometheus", "alerts.yml")
ALERTS_TEST = os.path.join(EXAMPLES, "prometheus", "alerts_test.yml")
DASHBOARD = os.path.join(EXAMPLES, "grafana", "state-tier.json")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class World:
    def __init__(self, home):
        self.redis = home.redis_group("redis-0", "redis-1")
        self.echo = home.fake(echo, name="echo")
        self.port = free_port()
        self.router = home.router(
            frontend("write", free_port(), "redis") + frontend("hub", self.port, "hubs") +
            redis_backend(*self.redis, name="redis") + tcp_backend(self.echo, name="hubs"))
        self.router.wait_primary("redis-0", "redis")

    @property
    def text(self):
        return fetch(local(self.router.admin_port), "/metrics").decode()

    def families(self):
        return parse_metrics(self.text)


@pytest.fixture(scope="module")
def world(shared_home):
    return World(shared_home)


def test_promtool_finds_nothing_in_the_metrics(world):
    assert promtool("check", "metrics", text=world.text) == ""


def buckets(families, name, **labels):
    return check_histograms(families)[name][tuple(labels.items())]


def test_histograms_take_what_sessions_took(world):
    before = world.families()
    with connect(local(world.port)) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        connects = buckets(world.families(), "router_server_connect_seconds", proxy="hubs",
                           server="echo")
        assert connects[0][-1][1] == buckets(before, "router_server_connect_seconds",
                                             proxy="hubs", server="echo")[0][-1][1] + 1
        assert 0 < connects[1] < 5
    name, labels = "router_backend_session_seconds", {"proxy": "hubs"}
    count = buckets(before, name, **labels)[0][-1][1] + 1
    until(lambda: buckets(world.families(), name, **labels)[0][-1][1] == count, "its end")
    after = world.families()
    assert buckets(after, name, **labels)[1] > buckets(before, name, **labels)[1]
    waits = buckets(after, "router_backend_queue_seconds", **labels)
    assert waits[0][0][1] == waits[0][-1][1] == count and waits[1] == 0  # nobody had to


def cpu_ms(pid):
    """Of all threads, by the scheduler's own clock."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e6


def test_the_metrics_of_200_servers_cost_less_than_20_ms(home):
    router = home.router("".join(
        frontend(f"f{b}", free_port(), f"b{b}") +
        section(f"backend b{b}", protocol="tcp", probe="off",
                server=[f"server-{s} 10.1.{b}.{s + 1}:6379" for s in range(20)])
        for b in range(10)), max_sessions=1000)
    address, times = local(router.admin_port), 20
    families = parse_metrics(fetch(address, "/metrics").decode())
    assert len(families["haproxy_server_bytes_in_total"][1]) == 200
    before = cpu_ms(router.pid)
    for _ in range(times):
        fetch(address, "/metrics")
    assert (cpu_ms(router.pid) - before) / times < 20 * SLOW


# The examples.


def metrics_of(expression):
    """Names of metrics in PromQL; what stands in quotes is none."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:router|haproxy)_\w+", bare))


def assert_known(expressions, families):
    for expression in expressions:
        names = metrics_of(expression)
        assert names or "up{" in expression, expression
        for name in names:
            known = name in families or families.get(SUFFIX.sub("", name), [""])[0] == "histogram"
            assert known, f"{name} in {expression}"


def alerts():
    """{name: expression}"""
    found = {}
    for rule in read(ALERTS).split("- alert: ")[1:]:
        name, rest = rule.split("\n", 1)
        expression = re.search(r"expr: (?:>-\n)?(.*?)\n        (?:for|labels):", rest, re.S)[1]
        found[name] = " ".join(expression.split())
    return found


def test_alerts_are_valid_and_come_when_they_should():
    assert f"{len(alerts())} rules found" in promtool("check", "rules", ALERTS)
    assert "SUCCESS" in promtool("test", "rules", ALERTS_TEST)


def test_each_alert_has_a_test_of_coming_and_of_staying_away():
    tests = read(ALERTS_TEST)
    for name in alerts():
        assert len(re.findall(rf"alertname: {name}\b", tests)) == 2, name
        assert len(re.findall(rf"alertname: {name}\n        eval_time: \w+\n        exp_alerts:",
                              tests)) == 1, name


def test_alerts_ask_for_metrics_that_exist(world):
    assert len(alerts()) >= 15
    assert_known(alerts().values(), world.families())


def expressions_of(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for note in dashboard["annotations"]["list"]:
        yield note["expr"]


def test_the_dashboard_asks_for_metrics_that_exist(world):
    dashboard = json.loads(read(DASHBOARD))
    assert dashboard["title"] == "State tier"
    expressions = list(expressions_of(dashboard))
    assert len(expressions) > 40
    assert_known(expressions, world.families())
    for variable in dashboard["templating"]["list"][1:]:
        assert_known([variable["query"]["query"]], world.families())


def test_the_dashboards_queries_are_valid(tmp_path):
    rules = ["groups:", "- name: dashboard", "  rules:"]
    for number, expression in enumerate(expressions_of(json.loads(read(DASHBOARD)))):
        plain = expression.replace("$__rate_interval", "5m").replace("$instance", ".*").replace(
            "$proxy", ".*")
        rules += [f"  - record: dashboard:{number}", f"    expr: {json.dumps(plain)}"]
    path = tmp_path / "dashboard.yml"
    path.write_text("\n".join(rules) + "\n", encoding="utf-8")
    assert f"{len(rules) // 2 - 1} rules found" in promtool("check", "rules", str(path))


def test_the_dashboards_panels_have_places_of_their_own():
    taken = set()
    panels = json.loads(read(DASHBOARD))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
