"""Promise: weights, addresses and caps that an operator sets take effect at once, under all
sessions, until the configuration is read again; states outlive that."""
import re

import pytest

from lib.fake import name_then_echo
from lib.operated import Plain, is_cut, says
from lib.resp import connect
from lib.sockets import local
from lib.waiting import SLOW

pytestmark = pytest.mark.sanitize


def shares(plain, count):
    found = plain.clients(count)
    for socks in found.values():
        for sock in socks:
            sock.close()
    return {name: len(socks) for name, socks in found.items()}


def test_weights_move_new_sessions(home):
    plain = Plain(home)
    assert plain.runtime("get weight b/x") == "1 (initial 1)\n"
    plain.runtime.ok("set weight b/x 3")
    assert plain.runtime("get weight b/x") == "3 (initial 1)\n"
    found = shares(plain, 80)
    assert 57 <= found["x"] <= 63, found
    plain.runtime.ok("set server b/x weight 500%")
    assert plain.runtime("get weight b/x") == "5 (initial 1)\n"
    plain.runtime.ok("set weight b/x 100%")
    assert plain.runtime("get weight b/x") == "1 (initial 1)\n"
    found = shares(plain, 40)
    assert 18 <= found["x"] <= 22, found
    assert any(re.fullmatch(r"the weight of x is 3, by the operator \(uid \d+, pid \d+\)", text)
               for text in plain.events())


def test_who_has_no_weight_gets_nobody_new_and_keeps_whom_it_has(home):
    plain = Plain(home)
    (living,) = plain.clients(2)["x"]
    plain.runtime.ok("set weight b/x 0")
    plain.wait_access("x", "quiet")
    assert set(plain.clients(6)) == {"y"}
    assert says(living)
    plain.runtime.ok("set weight b/x 1")
    assert set(plain.clients(6)) == {"x", "y"}


def test_a_server_gets_another_address_and_its_sessions_stay_where_they_are(home):
    plain = Plain(home, names=("x",), probe="connect", probe_interval="50ms")
    other = home.fake(name_then_echo, "other")
    living, _ = plain.client()
    same = "no need to change the addr, no need to change the port\n"
    assert plain.runtime("set server b/x addr 127.0.0.1") == same
    old = plain.servers[0].port
    assert plain.runtime(f"set server b/x addr 127.0.0.1 port {other.port}") == (
        f"no need to change the addr, port changed from '{old}' to '{other.port}' "
        "by 'stats socket command'\n")
    late, name = plain.client()
    assert name == "other"
    assert says(living) and says(late)
    plain.runtime.ok("shutdown sessions server b/x")
    assert is_cut(late)


def test_a_state_stays_with_the_name_of_a_server(home):
    plain = Plain(home, probe="connect", probe_interval="50ms")
    other = home.fake(name_then_echo, "other")
    plain.runtime.ok("set server b/x state maint")
    plain.runtime(f"set server b/x addr 127.0.0.1 port {other.port}")
    plain.router.wait_for(lambda s: s.server("x")["state"] == "up", "it to be probed")
    assert plain.status("x") == "MAINT"
    assert set(plain.clients(4)) == {"y"}
    plain.runtime.ok("set server b/x state ready")
    assert set(plain.clients(4)) == {"other", "y"}


@pytest.mark.parametrize("line, answer", [
    ("set server b/x addr", "set server <b>/<s> addr requires an address and optionally a port."),
    ("set server b/x addr nowhere", "Invalid addr 'nowhere'."),
    ("set server b/x addr 127.0.0.1 port 70000", "Invalid port '70000'."),
    ("set server b/x addr 127.0.0.1 7", "set server <b>/<s> addr requires an address and "
                                        "optionally a port."),
    ("set server b/x weight", "Require <weight> or <weight%>."),
    ("set server b/x weight 257", "Absolute weight can only be between 0 and 256 inclusive."),
    ("set weight b/x 5x", "Trailing garbage in weight string"),
    ("set server b/x", "usage: set server <backend>/<server> addr | state | weight"),
    ("set maxconn server b/x", "Integer value expected."),
    ("set maxconn server b/x -1", "Value out of range."),
    ("set maxconn frontend q 1", "No such frontend."),
    ("set maxconn global", "Integer value expected.")])
def test_what_cannot_be_read_changes_nothing(shared_plain, line, answer):
    assert shared_plain.runtime(line) == answer + "\n"
    assert shared_plain.events() == []


@pytest.fixture(name="shared_plain", scope="module")
def only_one_plain(shared_home):
    return Plain(shared_home)


def waits(plain, count):
    return plain.router.wait_for(lambda s: s.backend()["waiting"] == count, f"{count} to wait")


def test_a_server_takes_more_and_less(home):
    plain = Plain(home, names=("x",), queue_timeout="60s")
    living = plain.clients(2)["x"]
    plain.runtime.ok("set maxconn server b/x 2")
    late = home.keep(connect(local(plain.port), 30 * SLOW))
    waits(plain, 1)
    plain.runtime.ok("set maxconn server b/x 3")
    assert late.recv(100) == b"x\n"
    plain.runtime.ok("set maxconn server b/x 1")
    assert all(says(sock) for sock in living), "who is there stays"
    plain.runtime.ok("set maxconn server b/x 0")
    assert len(plain.clients(10)["x"]) == 10


def refused(plain):
    return plain.router.stats().frontend()["refused_sessions"]


@pytest.mark.parametrize("what", ["frontend f", "global"])
def test_fewer_clients_and_more_again(home, what):
    plain = Plain(home, names=("x",))
    (living,) = plain.clients(1)["x"]
    plain.runtime.ok(f"set maxconn {what} 1")
    late = home.keep(connect(local(plain.port), 30 * SLOW))
    assert is_cut(late)
    assert refused(plain) == 1 and says(living)
    plain.runtime.ok(f"set maxconn {what} 0")
    assert len(plain.clients(5)["x"]) == 5


def test_a_reload_takes_back_weights_but_not_states(home):
    plain = Plain(home)
    plain.runtime.ok("set weight b/x 7")
    plain.runtime.ok("set server b/x state drain")
    plain.runtime.ok("disable frontend f")
    plain.runtime.ok("reload")
    assert plain.runtime("get weight b/x") == "1 (initial 1)\n"
    stats = plain.router.stats()
    assert stats.server("x")["admin"] == "drain" and stats.frontend()["disabled"] is True
    with open(plain.router.path, "a", encoding="utf-8") as file:
        file.write("nonsense = yes\n")
    answer = plain.runtime("reload")
    assert answer.startswith("Not taken, all stays as it was:\n") and "nonsense" in answer
    plain.runtime.ok("enable frontend f")
    assert set(plain.clients(3)) == {"y"}


def test_many_changes_in_a_row_are_nothing_to_those_who_live(home):
    plain = Plain(home, workers=2)
    living, _ = plain.client()
    for n in range(300):
        plain.runtime.ok(f"set weight b/x {n % 255 + 2}")
    assert plain.runtime("get weight b/x") == "46 (initial 1)\n"
    assert says(living)
    assert set(plain.clients(100)) == {"x", "y"}
