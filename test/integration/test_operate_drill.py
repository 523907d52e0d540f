"""Promise: a drill holds a backend's clients as the loss of its primary would, harms nobody, ends
by itself or when the election changes, and reports what clients felt."""
import re

import pytest

from lib.playbook import Stage
from lib.resp import Resp, RespError
from lib.runtime import control_of
from lib.waiting import until

pytestmark = pytest.mark.sanitize


def staged(home, **options):
    keys, runtime = control_of(home)
    return Stage(home, router_keys=keys, **options), runtime


def wait_on(stage):
    return stage.router.wait_for(lambda s: s.server("a")["access"] == "pause", "the drill")


def felt(report):
    """The numbers of the report."""
    still, still_ms, left = re.search(
        r"stood still: (\d+), for (\d+) ms; (\d+) were there at the end", report).groups()
    waited, longest, yet = re.search(
        r"that waited: (\d+), the longest (\d+) ms; (\d+) wait yet", report).groups()
    refused, gone = re.search(r"refused: (\d+) .*left while they waited: (\d+)", report).groups()
    names = ("still", "still_ms", "left", "waited", "longest", "yet", "refused", "gone")
    return dict(zip(names, map(int, (still, still_ms, left, waited, longest, yet, refused, gone))))


def drill_events(stage):
    return [e["text"] for e in stage.router.stats()["events"] if e["kind"] == "drill"]


def test_a_drill_loses_nothing_cuts_nobody_and_reports_what_was_felt(home):
    stage, runtime = staged(home, queue_timeout="60s", writer_options={"count": 3})
    stage.router.wait_for(lambda s: s.server("a")["sessions"] == 3, "all writers")
    drill = runtime.later("drill b 50")
    wait_on(stage)
    assert runtime("drill b 1") == "No drill: there is a drill already.\n"
    late = [home.keep(Resp(stage.address, 60)) for _ in range(5)]
    for number, client in enumerate(late):
        client.send("SET", f"late:{number}", number)
    stage.router.wait_for(lambda s: s.backend()["waiting"] == 5, "all to wait")
    runtime.ok("pause backend b")
    runtime.ok("resume backend b")  # ends both
    report = drill.answer()
    print(report)
    assert report.startswith("drill: b/a was treated as lost for ")
    numbers = felt(report)
    assert (numbers["still"], numbers["left"], numbers["waited"]) == (3, 3, 5)
    assert (numbers["yet"], numbers["refused"], numbers["gone"]) == (0, 0, 0)
    assert "ended early: resumed by the operator\n" in report
    assert "a real loss would have cut: 3\n" in report
    assert "next primary: none, until another server claims\n" in report
    assert re.search(r"^replicas: b \(\d+ bytes behind\), c \(\d+ bytes behind\)$", report, re.M)
    assert [client.read() for client in late] == ["OK"] * 5
    stage.wait_writes(20, stage.servers[0])
    assert stage.writers.cut == [] and stage.writers.refused == []
    assert stage.router.stats().backend()["primary"] == "a"
    assert "by the operator (uid " in drill_events(stage)[2]
    assert [c["from"] for c in stage.router.stats()["changes"]] == [None], "no other primary"
    assert stage.curtain(stage.servers[0]).lost == []


def test_a_drill_ends_by_itself_when_its_time_is_over(home):
    stage, runtime = staged(home, names=("a", "b"))
    report = runtime("drill b 1")
    assert "ended early" not in report
    assert felt(report)["still_ms"] >= 1000
    stage.wait_writes(10, stage.servers[0])
    assert stage.writers.cut == []


def test_who_may_not_wait_so_long_is_refused_in_a_drill_that_is_forced(home):
    stage, runtime = staged(home, names=("a", "b"), writers=False, queue_timeout="300ms")
    assert runtime("drill b 1").startswith("No drill: who waits for longer than queue_timeout ")
    drill = runtime.later("drill b 1 force")
    wait_on(stage)
    for _ in range(2):
        with Resp(stage.address) as client:
            answer = client.call("PING")
            assert isinstance(answer, RespError) and "in time" in answer
    numbers = felt(drill.answer())
    assert (numbers["still"], numbers["waited"], numbers["refused"]) == (0, 2, 2)


def test_a_real_failover_ends_the_drill_at_once(home):
    stage, runtime = staged(home, queue_timeout="61s", writers=False)
    a, b, c = stage.servers
    drill = runtime.later("drill b 60")
    wait_on(stage)
    a.kill()
    b.promote()
    c.follow(b)
    report = drill.answer()
    assert "ended early: " in report
    assert felt(report)["still_ms"] < 60000
    stage.router.wait_primary("b")
    assert drill_events(stage)[1].startswith("ends early: ")


def test_a_drill_goes_on_without_anybody_who_asks(home):
    stage, runtime = staged(home, names=("a", "b"))
    sock = runtime.send("drill b 2")
    until(lambda: drill_events(stage), "the beginning")
    sock.close()
    until(lambda: drill_events(stage)[0].startswith("over after "),
          "the end")
    stage.wait_writes(10, stage.servers[0])
    assert stage.writers.cut == []


def test_a_router_that_ends_ends_its_drill(home):
    stage, runtime = staged(home, names=("a",), queue_timeout="61s", writers=False)
    sock = home.keep(runtime.send("drill b 60"))
    wait_on(stage)
    stage.router.stop()
    sock.close()
