"""Promise: what an operator does to servers and to the router itself goes unnoticed by pooled
clients: restarts, pauses, maintenance, reloads, the end, an upgrade; accounts are the exception."""
import signal
import socket
import time

import pytest

from lib.fake import established
from lib.pooled import Pooled, planned_switch
from lib.resp import Closed, RespError
from lib.sockets import refused
from lib.upgrade import Upgraded
from lib.waiting import SLOW, holds, until

pytestmark = pytest.mark.sanitize

ROUTER = {"probe_user": "default", "probe_password": "secret"}
ACL = ["default on >secret ~* &* +@all", "app on >apple ~* &* +@all"]


def answered(client, key="k"):
    return client.call("INCR", key)


# Servers.


def test_a_server_that_is_another_process_gets_new_connections(home):
    stage = Pooled(home, names=("a",))
    a, = stage.servers
    clients = stage.clients(20)
    assert [answered(client, client.name) for client in clients] == [1] * 20
    for _ in range(2):
        a.kill()
        a.start_again()
        assert [answered(client, client.name) for client in clients] == [1] * 20
    assert all(established(client.sock) for client in clients)


def test_a_server_that_ends_all_connections_gets_new_ones(home):
    """CLIENT KILL TYPE normal, as Sentinels do to a server which they give a role."""
    stage = Pooled(home, names=("a",))
    clients = stage.clients(20)
    for turn in range(1, 6):
        assert [answered(client, client.name) for client in clients] == [turn] * 20
        stage.servers[0].ok("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def test_an_account_that_the_router_can_log_in_for_lives_on(home):
    """The client proved the very password that the router has."""
    stage = Pooled(home, redis={"acl": ACL, "requirepass": "secret"}, **ROUTER)
    client, other = stage.client(), stage.client()
    assert client.call("AUTH", "secret") == "OK"
    assert other.call("AUTH", "default", "secret") == "OK"
    assert answered(client) == 1
    planned_switch(*stage.servers)
    stage.switched("b")
    assert answered(client) == 2
    assert answered(other) == 3


def test_an_account_of_which_the_router_does_not_know_the_password_is_cut(home):
    """Nobody may log in for it but its clients, who must connect again. No other account is lent
    to them, not for one command."""
    stage = Pooled(home, redis={"acl": ACL, "requirepass": "secret"}, **ROUTER)
    client, other = stage.client(), stage.client()
    assert client.call("AUTH", "app", "apple") == "OK"
    assert other.call("AUTH", "secret") == "OK"
    assert client.call("ACL", "WHOAMI") == "app"
    planned_switch(*stage.servers)
    stage.switched("b")
    assert answered(other) == 1
    try:
        answer = client.call("ACL", "WHOAMI")
        assert isinstance(answer, RespError) or answer == "app", answer
    except (Closed, ConnectionError):
        pass
    again = stage.client()
    assert again.call("AUTH", "app", "apple") == "OK"
    assert again.call("ACL", "WHOAMI") == "app"


def test_who_never_logged_in_stays_nobody(home):
    stage = Pooled(home, redis={"acl": ACL, "requirepass": "secret"}, **ROUTER)
    client = stage.client()
    friend = stage.client()
    assert friend.call("AUTH", "secret") == "OK"
    for turn in range(2):
        assert answered(friend) == turn + 1
        answer = client.call("GET", "k")
        assert isinstance(answer, RespError) and answer.startswith("NOAUTH"), answer
        if turn == 0:
            planned_switch(*stage.servers)
            stage.switched("b")


# Operators.


def test_while_a_backend_is_paused_commands_wait(home):
    stage = Pooled(home)
    clients = stage.clients(10)
    assert all(answered(client, client.name) == 1 for client in clients)
    stage.runtime("pause backend b")
    for client in clients:
        client.send_all([("INCR", client.name), ("GET", client.name)])
    holds(lambda: all(not readable(client) for client in clients), "all wait", 0.3)
    stage.runtime("resume backend b")
    for client in clients:
        assert [client.read(), client.read()] == [2, "2"]


def readable(client):
    client.sock.setblocking(False)
    try:
        client.sock.recv(1, socket.MSG_PEEK)
        return True
    except BlockingIOError:
        return False
    finally:
        client.sock.settimeout(20 * SLOW)


def test_a_primary_is_changed_within_a_pause(home):
    """The way that costs nobody anything, whatever the servers can do."""
    stage = Pooled(home)
    a, b, c = stage.servers
    loggers = stage.loggers(6)
    loggers.wait_more(10)
    stage.runtime("pause backend b")
    b.wait_caught_up(a)
    a.follow(b)
    b.promote()
    c.follow(b)
    stage.runtime("resume backend b")
    stage.switched("b")
    loggers.wait_more(10)
    loggers.check(b)
    assert loggers.refused() == []


def test_clients_wait_for_a_primary_that_is_in_maintenance(home):
    stage = Pooled(home)
    client, blocked = stage.clients(2)
    assert answered(client) == 1
    blocked.send("BLPOP", "q", "0")
    until(stage.blocked, "the blocked one")
    stage.runtime.ok("disable server b/a")
    client.send("INCR", "k")
    holds(lambda: not readable(client), "it waits", 0.2)
    stage.runtime.ok("enable server b/a")
    assert client.read() == 2
    client.call("RPUSH", "q", "e")
    answer = blocked.read()
    assert answer == ["q", "e"] or isinstance(answer, RespError)


def test_readers_move_away_from_a_server_in_maintenance(home):
    stage = Pooled(home, front={"route": "replica"}, redis={"options": {"replica-read-only": "no"}})
    a, b, c = stage.servers
    a.ok("SET", "who", "a")
    for server in (b, c):
        server.wait_caught_up(a)
        server.ok("SET", "who", server.name)
        stage.wait_access(server.name, "open")
    clients = stage.clients(20)
    for server, other in ((b, c), (c, b)):
        stage.runtime.ok(f"disable server b/{server.name}")
        stage.router.wait_for(lambda s, n=server.name: s.server(n)["access"] != "open", "shut")
        assert {client.call("GET", "who") for client in clients} == {other.name}
        stage.runtime.ok(f"enable server b/{server.name}")
        stage.wait_access(server.name, "open")


def test_a_pinned_client_is_ended_by_its_id_and_gives_its_connection_back(home):
    stage = Pooled(home)
    client, other = stage.clients(2)
    client.send("BLPOP", "q", "0")
    until(stage.blocked, "the blocked one")
    rows = [row for row in stage.runtime("show sess").splitlines() if "f=" in row or "fe=" in row]
    assert rows, stage.runtime("show sess")
    for row in rows:
        stage.runtime(f"shutdown session {row.split(':', 1)[0]}")
    with pytest.raises((Closed, ConnectionError)):
        client.read()
    until(lambda: not stage.blocked(), "nobody blocked")
    assert stage.client().call("PING") == "PONG"
    other.close()


# The router.


def test_a_reload_is_not_noticed(home):
    """Whatever it changes of the pool; blocked and subscribed clients, transactions too."""
    stage = Pooled(home)
    loggers = stage.loggers(6)
    blocked, watcher, subscriber = stage.clients(3)
    blocked.send("BLPOP", "q", "0")
    assert watcher.pipeline([("WATCH", "w"), ("MULTI",), ("SET", "w", "1")])[2] == "QUEUED"
    assert subscriber.call("SUBSCRIBE", "ch") == ["subscribe", "ch", 1]
    for size in (1, 5, 2):
        loggers.wait_more(5)
        stage.back["pool_size"] = size
        stage.router.reload(stage.sections())
    loggers.wait_more(5)
    loggers.check(stage.servers[0])
    assert loggers.refused() == []
    assert watcher.call("EXEC") == ["OK"]
    stage.servers[0].ok("PUBLISH", "ch", "x")
    assert subscriber.read() == ["message", "ch", "x"]
    stage.servers[0].ok("RPUSH", "q", "e")
    assert blocked.read() == ["q", "e"]


def test_a_reload_that_takes_the_primary_away_moves_its_clients(home):
    """Its servers are others from now on; the primary of those is the next one."""
    stage = Pooled(home)
    a, b, c = stage.servers
    clients = stage.clients(10)
    assert all(answered(client, client.name) == 1 for client in clients)
    b.wait_caught_up(a)
    b.promote()
    c.follow(b)
    stage.servers = [b, c]
    stage.router.reload(stage.sections())
    stage.switched("b")
    assert [answered(client, client.name) for client in clients] == [2] * 10
    until(lambda: not stage.connections(a), "no connection to who is gone")


def test_the_end_lets_what_is_asked_be_answered(home):
    stage = Pooled(home, names=("a",), router={"drain_timeout": "10s"})
    client, idle = stage.clients(2)
    assert idle.call("PING") == "PONG"
    before = stage.router.stats().frontend()["bytes_in"]
    stage.servers[0].pause()
    client.send_all([("INCR", "k"), ("GET", "k")])
    stage.router.wait_for(lambda s: s.frontend()["bytes_in"] > before, "the commands")
    stage.router.process.signal(signal.SIGTERM)
    until(lambda: refused(stage.address), "no new clients")
    stage.servers[0].resume()
    assert [client.read(), client.read()] == [1, "1"]
    client.close()
    idle.close()
    assert stage.router.process.wait(10) == 0
    stage.router.ended = True


def test_the_end_does_not_wait_for_ever(home):
    """A blocked client and a subscriber do not end by themselves."""
    stage = Pooled(home, names=("a",), router={"drain_timeout": "500ms"})
    blocked, subscriber = stage.clients(2)
    blocked.send("BLPOP", "q", "0")
    assert subscriber.call("SUBSCRIBE", "ch") == ["subscribe", "ch", 1]
    until(stage.blocked, "the blocked one")
    began = time.monotonic()
    stage.router.stop()
    assert time.monotonic() - began < 5 * SLOW


def test_an_upgrade_leaves_the_old_clients_where_they_are(home):
    stage = Pooled(home, kind=Upgraded, router={"drain_timeout": "30s"})
    loggers = stage.loggers(6)
    blocked, subscriber, watcher = stage.clients(3)
    blocked.send("BLPOP", "q", "0")
    assert subscriber.call("SUBSCRIBE", "ch") == ["subscribe", "ch", 1]
    assert watcher.pipeline([("MULTI",), ("SET", "w", "1")]) == ["OK", "QUEUED"]
    loggers.wait_more(10)
    old = stage.router.upgrade()
    new = stage.client()
    assert answered(new) == 1
    loggers.wait_more(10)
    assert old.running()
    assert watcher.call("EXEC") == ["OK"]
    stage.servers[0].ok("PUBLISH", "ch", "x")
    assert subscriber.read() == ["message", "ch", "x"]
    stage.servers[0].ok("RPUSH", "q", "e")
    assert blocked.read() == ["q", "e"]
    loggers.check(stage.servers[0])
    assert loggers.refused() == []
    for one in (blocked, subscriber, watcher):
        one.close()
    old.wait(10)
    assert answered(new) == 2


def test_the_primary_changes_for_the_clients_of_an_old_process_too(home):
    stage = Pooled(home, kind=Upgraded, router={"drain_timeout": "30s"})
    loggers = stage.loggers(6)
    loggers.wait_more(10)
    old = stage.router.upgrade()
    new = stage.client()
    planned_switch(*stage.servers)
    stage.switched("b")
    loggers.wait_more(10)
    assert answered(new) == 1
    loggers.check(stage.servers[1])
    assert loggers.refused() == []
    old.wait(10)


def test_it_works_with_the_options_that_bound_connections(home):
    """server_max_connections is a bound on all that the pool opens; who finds none waits."""
    stage = Pooled(home, names=("a",), server_max_connections=4, pool_size=2, queue_timeout="20s")
    blocked = stage.clients(8)
    for number, client in enumerate(blocked):
        client.send("BLPOP", f"q{number}", "0")
    until(lambda: len(stage.blocked()) >= 1, "blocked ones")
    holds(lambda: len(stage.connections()) <= 4, "at most four connections", 0.3)
    stage.servers[0].ok("EVAL", "for i = 0, 7 do redis.call('rpush', 'q' .. i, i) end", 0)
    for number, client in enumerate(blocked):
        assert client.read() == [f"q{number}", str(number)]
    assert answered(stage.client()) == 1
