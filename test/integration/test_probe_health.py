"""Promise: a server is down after probe_fall failed probes in a row and up after probe_rise good
ones, not before and not later; where the protocol has no roles that decides about new sessions
only."""
import threading

from lib.fake import FakeServer, fake_redis, hold, info_reply, name_then_echo, primary_answers
from lib.ini import frontend, redis_backend, section, servers, tcp_backend
from lib.process import free_port
from lib.resp import Resp, connect
from lib.sockets import local, read_line, where
from lib.waiting import SLOW, until

GOOD, BAD = True, False


class Doctor:
    """A fake Redis that answers each probe as `plan` says, then as its last item says. Before the
    `gate`th probe is answered it waits for release(), so that we can look."""

    def __init__(self, plan, gate, role="master", offset=1000):
        self.plan, self.gate = plan, gate
        self.role, self.offset = role, offset
        self.asked = 0
        self.released = threading.Event()

    def answers(self, server, args):
        if args[0] != "INFO":
            return primary_answers(server, args)
        if args[1] == "server":  # the first of a probe's three questions
            self.asked += 1
            if self.asked == self.gate:
                self.released.wait(30 * SLOW)
            if not self.plan[min(self.asked, len(self.plan)) - 1]:
                return None
        return info_reply(self.role, f"{server.port:040x}", offset=self.offset)

    def wait_gate(self):
        until(lambda: self.asked == self.gate, f"probe number {self.gate}", 10)

    def close(self):
        self.released.set()


def patient(*fakes, **keys):
    """The gate may be closed for as long as we look."""
    return redis_backend(*fakes, probe_timeout="30s", probe_interval="20ms", **keys)


def consult(home, plan, gate, **keys):
    doctor = Doctor(plan, gate)
    fake = home.fake(fake_redis(doctor.answers), "a")
    home.keep(doctor)
    router = home.router(frontend("f", free_port()) + patient(fake, **keys), start=False)
    router.start(wait=False)
    until(lambda: router.http("/healthz", missing_ok=True)[0] == 200, "the router to live")
    return doctor, router


def state(router, name="a"):
    return router.stats().server(name)["state"]


def test_a_redis_is_down_after_probe_fall_failures_in_a_row(home):
    """Two of three, a good one, again two: it is still up when the third is asked. The next one
    is good, so only the third can have put it down."""
    plan = [GOOD, GOOD, BAD, BAD, GOOD, BAD, BAD, BAD, GOOD]
    doctor, router = consult(home, plan, gate=8, probe_fall=3)
    doctor.wait_gate()
    router.wait_for(lambda s: s.server("a")["failures"] == 2, "two failures")
    assert state(router) == "up"
    assert "a is down" not in router.log
    doctor.close()
    until(lambda: "server: a is down" in router.log, "the third to count")
    router.wait_for(lambda s: s.server("a")["state"] == "up", "the good ones to count")


def test_a_redis_is_up_after_probe_rise_good_probes_in_a_row(home):
    """The one after the third is bad: only the third can have put it up."""
    plan = [GOOD, GOOD, BAD, GOOD, GOOD, GOOD, BAD]
    doctor, router = consult(home, plan, gate=6, probe_rise=3, probe_fall=1)
    doctor.wait_gate()
    assert state(router) != "up"
    assert "a is up" not in router.log
    doctor.close()
    until(lambda: "server: a is up" in router.log, "the third to count")
    router.wait_for(lambda s: s.server("a")["state"] == "down", "the bad ones to count")


def test_a_redis_that_was_never_up_is_told_with_its_last_failure(home):
    doctor, router = consult(home, [BAD], gate=3, probe_fall=2)
    doctor.wait_gate()
    assert router.log.count("server=a is down") == 1
    doctor.close()


def test_a_replica_is_read_again_after_probe_rise_good_probes(home):
    """Down after one failure, then two of three good ones: its readers are still elsewhere."""
    plan = [GOOD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD]
    doctor = home.keep(Doctor(plan, gate=len(plan), role="slave"))
    a = home.fake(fake_redis(primary_answers), "a")
    b = home.fake(fake_redis(doctor.answers), "b")
    port = free_port()
    router = home.router(frontend("read", port, route="replica")
                         + patient(a, b, probe_rise=3, probe_fall=1))
    doctor.wait_gate()
    server = router.stats().server("b")
    assert (server["state"], server["access"]) == ("down", "quiet")
    assert reads(port) == {"a"}
    doctor.close()
    router.wait_for(lambda s: s.server("b")["access"] == "open", "it to be read")
    assert reads(port) == {"b"}


def reads(port):
    met = set()
    for _ in range(5):
        with Resp(local(port)) as client:
            met.add(client.call("GET", "x"))
    return met


# --- a plain connect ---

CONNECT = {"probe": "connect", "probe_interval": "100ms", "probe_fast_interval": "100ms"}
SEEN = {"probe_interval": "400ms", "probe_fast_interval": "400ms"}  # we look between any two


def opaque(home, *fakes, **keys):
    port = free_port()
    return home.router(frontend("f", port) + tcp_backend(*fakes, **{**CONNECT, **keys})), port


def watch(router, goal, seen):
    """Collects `seen(server)` of all states on the way to the goal."""
    found = []

    def look(stats):
        server = stats.server("one")
        found.append((seen(server), server["state"]))
        return server["state"] == goal

    router.wait_for(look, f"it to be {goal}", 10)
    return found


def test_a_server_is_down_after_probe_fall_refused_connects(home):
    fake = home.fake(name_then_echo, "one")
    router, _ = opaque(home, fake, probe_fall=4, **SEEN)
    router.wait_for(lambda s: s.server("one")["state"] == "up", "up")
    fake.stop_listening()
    found = watch(router, "down", lambda server: server["failures"])
    assert {failures for failures, _ in found} >= {1, 2, 3}, found
    assert all((failures >= 4) == (state_then == "down") for failures, state_then in found), found


def test_a_server_is_up_after_probe_rise_connects(home):
    """Counted by the server itself."""
    port = free_port()
    gone = FakeServer(name_then_echo, "one", port=port)
    home.keep(gone).stop_listening()
    router, _ = opaque(home, gone, probe_rise=4, probe_fall=1, **SEEN)
    router.wait_for(lambda s: s.server("one")["state"] == "down", "down")
    fake = home.fake(name_then_echo, "one", port=port)
    found = watch(router, "up", lambda _: fake.accepted)
    counts = [accepted for accepted, state_then in found if state_then == "down"]
    assert set(counts) >= {1, 2, 3}, found
    assert max(counts) <= 4, found
    until(lambda: fake.accepted >= 4, "the fourth")
    assert fake.accepted <= 5


def test_clients_wait_while_all_are_down_and_go_on_with_the_first_that_returns(home):
    one, two = home.fake(name_then_echo, "one"), home.fake(name_then_echo, "two")
    router, port = opaque(home, one, two, queue_timeout="20s")
    router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]), "both up")
    one.close()
    two.close()
    router.wait_for(lambda s: all(x["state"] == "down" for x in s.backend()["servers"]), "down")
    clients = [home.keep(connect(local(port), 20 * SLOW)) for _ in range(10)]
    for number, client in enumerate(clients):
        client.sendall(b"said while waiting %d\n" % number)
    router.wait_for(lambda s: s.backend()["waiting"] == 10, "10 waiting")
    home.fake(name_then_echo, "two again", port=two.port)
    for number, client in enumerate(clients):
        assert read_line(client) == "two again"
        assert read_line(client) == f"said while waiting {number}"
    assert router.stats().server("one")["state"] == "down"


def test_living_sessions_of_a_server_that_the_probe_calls_down_are_left_alone(home):
    """It listens no more; who is connected is served. New ones go elsewhere."""
    one, two = home.fake(name_then_echo, "one"), home.fake(name_then_echo, "two")
    router, port = opaque(home, one, two)
    router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]), "both up")
    old = {}
    while len(old) < 2:
        sock = home.keep(connect(local(port)))
        old.setdefault(read_line(sock), sock)
    one.stop_listening()
    router.wait_for(lambda s: s.server("one")["state"] == "down", "one to be down")
    for name, sock in old.items():
        sock.sendall(b"still there?\n")
        assert read_line(sock) == "still there?", name
    assert [where(local(port)) for _ in range(6)] == ["two"] * 6
    stats = router.stats()
    assert stats.server("one")["sessions"] >= 1
    assert stats.server("one")["sessions_fenced"] == 0


# --- a login that is never answered ---


def keepalive_of(port):
    """Seconds until the kernel looks after the probe's connection to `port`; None: it never will.
    See proc_net_tcp.txt of the kernel: state 1 is established, timer 2 keepalive."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            timer, when = fields[5].split(":")
            if fields[2].endswith(f":{port:04X}") and fields[3] == "01":
                return int(when, 16) / 100 if timer == "02" else None
    return None


def test_a_login_that_waits_for_a_server_that_forgot_it_is_found_out(home):
    """It is not given up for its time-out, for the server might count that as broken."""
    fake = home.fake(hold, "a")
    router = home.router(frontend("f", free_port()) + section(
        "backend b", protocol="mysql", server=servers(fake), probe_user="u", probe_password="p",
        probe_interval="50ms", probe_timeout="50ms"), start=False)
    router.start(wait=False)
    until(lambda: "does not answer in time" in router.log, "it to be late")
    until(lambda: keepalive_of(fake.port) is not None, "keepalive")
    assert keepalive_of(fake.port) <= 2
    assert fake.accepted == 1
