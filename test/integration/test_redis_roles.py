"""Promise: it asks each Redis what it is, in every way Redis lets itself be asked, and routes by
the answer; a server that lies, hangs or refuses hurts nobody else."""
import socket
import threading
import time

import pytest

from lib.fake import fake_redis, info_reply, primary_answers
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.redis_server import link
from lib.resp import RespError, Resp, connect
from lib.sockets import local
from lib.waiting import SLOW, Clock, holds, until

WRITE, READ, ANY = "write", "read", "any"


class Routes:
    """A router with one frontend for each route before `servers`."""

    def __init__(self, home, *servers, read_keys=None, **keys):
        self.ports = {name: free_port() for name in (WRITE, READ, ANY)}
        self.router = home.router(
            frontend(WRITE, self.ports[WRITE])
            + frontend(READ, self.ports[READ], route="replica", **(read_keys or {}))
            + frontend(ANY, self.ports[ANY], route="any")
            + redis_backend(*servers, **keys))

    def address(self, name):
        return local(self.ports[name])

    def client(self, name=WRITE, **options):
        return Resp(self.address(name), **options)

    def call(self, *args, name=WRITE):
        with self.client(name) as client:
            return client.call(*args)

    def met(self, name, times=8):
        """The ports of the servers that so many clients meet."""
        return {int(self.call("CONFIG", "GET", "port", name=name)[1]) for _ in range(times)}

    def wait_asleep(self):
        """Until the probes are at their slow interval."""
        self.router.wait_for(lambda s: all(x["probe_age_ms"] > 200 for x in s.backend()["servers"]),
                             "no probe for a while", 10)

    def state(self, server):
        return self.router.stats().server(server.name)

    def wait_state(self, server, condition, what, timeout=5.0):
        return self.router.wait_for(lambda s: condition(s.server(server.name)),
                                    f"{server.name}: {what}", timeout)


def ready_group(home, *names, routes=None, **options):
    servers = home.redis_group(*names, **options)
    place = Routes(home, *servers, **(routes or {}))
    place.router.wait_primary(servers[0].name)
    servers[0].ok("SET", "seed", "1")  # a replica that has received nothing yet is not read
    place.router.wait_for(lambda s: all(x["access"] == "open" for x in s.backend()["servers"]),
                          "all to be used")
    return servers, place


# --- routes ---


def test_each_route_meets_the_servers_it_should(home):
    (a, b, c), place = ready_group(home, "a", "b", "c")
    place.router.wait_for(lambda s: [x["role"] for x in s.backend()["servers"]]
                          == ["primary", "replica", "replica"], "the roles")
    assert place.met(WRITE) == {a.port}
    assert place.met(READ, 20) == {b.port, c.port}
    assert place.met(ANY, 20) == {a.port, b.port, c.port}
    assert place.call("SET", "key", "value") == "OK"
    stats = place.router.stats()
    assert stats.backend()["primary"] == "a"
    assert stats.server("a")["reason"] and stats.backend()["reason"], "no reason is shown"


def test_reads_fall_back_to_the_primary_and_return(home):
    (a, b), place = ready_group(home, "a", "b")
    assert place.met(READ) == {b.port}
    b.kill()
    place.wait_state(b, lambda s: s["state"] == "down", "to be down")
    assert place.met(READ) == {a.port}
    b.start_again()
    place.wait_state(b, lambda s: s["access"] == "open", "to be read again", 10)
    assert place.met(READ) == {b.port}


def test_without_fallback_reads_wait_for_a_replica(home):
    (_, b), place = ready_group(home, "a", "b", routes={
        "read_keys": {"fallback": "none"}, "queue_timeout": "500ms"})
    b.kill()
    place.wait_state(b, lambda s: s["state"] == "down", "to be down")
    answer = place.call("PING", name=READ)
    assert isinstance(answer, RespError) and answer.startswith("ERR router: ")
    assert place.call("PING", name=WRITE) == "PONG"


def test_a_replica_that_has_lost_its_link_is_not_read(home):
    """Its primary is stopped and restarted elsewhere: it may not serve what it does not have."""
    (a, b, c), place = ready_group(home, "a", "b", "c")
    b.ok("REPLICAOF", "127.0.0.1", free_port())
    place.wait_state(b, lambda s: s["access"] != "open", "not to be read")
    assert place.met(READ, 10) == {c.port}
    link(a, b)
    place.wait_state(b, lambda s: s["access"] == "open", "to be read again")
    assert place.met(READ, 20) == {b.port, c.port}


def test_readers_of_a_replica_that_breaks_are_closed(home):
    (_, b, c), place = ready_group(home, "a", "b", "c")
    readers = {}
    until(lambda: reader_on_each(place, readers) >= {b.port, c.port}, "a reader on each replica")
    b.ok("REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(ConnectionError):
        until(lambda: readers[b.port].call("PING") != "PONG", "the reader of b to be cut", 5)
    assert readers[c.port].call("PING") == "PONG"
    for reader in readers.values():
        reader.close()


def test_readers_stay_when_the_primary_dies_and_when_theirs_is_promoted(home):
    """Without a primary every replica's link is down: who reads goes on reading what there is."""
    (a, b), place = ready_group(home, "a", "b")
    with place.client(READ) as reader:
        assert reader.call("PING") == "PONG"
        a.kill()
        place.wait_state(a, lambda s: s["state"] == "down", "to be down")
        holds(lambda: reader.call("PING") == "PONG", "the reader is served", 0.3)
        b.promote()
        place.router.wait_primary("b")
        assert reader.call("SET", "x", "1") == "OK", "the reader of the promoted one was cut"


def test_readers_stay_while_it_is_not_yet_known_that_the_primary_died(home):
    """Its probe connection is lost and it does not answer yet, when the replica already says that
    its link is down. Fakes, so that the order is certain."""
    dying = threading.Event()

    def answers(server, args):
        if args[0] == "INFO" and server.name == "a":
            return b"" if dying.is_set() else info_reply(run_id=f"{server.port:040x}")
        if args[0] == "INFO":
            link_now = "down" if dying.is_set() else "up"
            return info_reply("slave", f"{server.port:040x}", link=link_now)
        return primary_answers(server, args)

    a, b = home.fake(fake_redis(answers), "a"), home.fake(fake_redis(answers), "b")
    place = Routes(home, a, b)
    place.router.wait_primary("a")
    place.wait_state(b, lambda s: s["access"] == "open", "to be read")
    with place.client(READ) as reader:
        assert reader.call("GET", "x") == "b"
        dying.set()
        with a.lock:
            for sock in a.open:
                sock.shutdown(socket.SHUT_RDWR)
        place.router.wait_for(lambda s: s.backend()["verdict"] == "hold", "hold")
        assert reader.call("GET", "x") == "b", "the reader was cut"


def test_readers_of_a_replica_that_is_promoted_beside_the_primary_stay(home):
    (a, b), place = ready_group(home, "a", "b")
    with place.client(READ) as reader:
        assert reader.call("PING") == "PONG"
        b.wait_caught_up(a)
        b.promote()  # both claim for a while: the router decides that b has all that a has
        place.router.wait_primary("b")
        assert reader.call("SET", "x", "1") == "OK", "the reader of the promoted one was cut"


def reader_on_each(place, readers):
    """One client of the read route more; those that meet a new server are kept, by its port."""
    client = place.client(READ)
    port = int(client.call("CONFIG", "GET", "port")[1])
    if port in readers:
        client.close()
    else:
        readers[port] = client
    return set(readers)


def test_a_replica_behind_max_lag_is_not_read(home):
    """A fake replica, so that its offset is ours to choose."""
    offset = [1_000_000]
    primary_offset = 1_000_000

    def answers(server, args):
        if args[0] == "INFO":
            is_primary = server.name == "a"
            return info_reply("master" if is_primary else "slave", f"{server.port:040x}",
                              offset=primary_offset if is_primary else offset[0])
        return primary_answers(server, args)

    a, b = home.fake(fake_redis(answers), "a"), home.fake(fake_redis(answers), "b")
    place = Routes(home, a, b, max_lag="1k", read_keys={"fallback": "primary"})
    place.router.wait_primary("a")
    place.wait_state(b, lambda s: s["access"] == "open", "to be read")
    offset[0] -= 5000
    place.wait_state(b, lambda s: s["access"] != "open", "to be too far behind")
    assert place.state(b)["lag_bytes"] == 5000
    assert place.call("GET", "x", name=READ) == "a"
    offset[0] = primary_offset - 100
    place.wait_state(b, lambda s: s["access"] == "open", "to have caught up")
    assert place.call("GET", "x", name=READ) == "b"


@pytest.mark.parametrize("bad", [{"offset": 0}, {"link": "down"}], ids=["offset 0", "link down"])
def test_a_replica_with_nothing_to_show_is_not_read(home, bad):
    def answers(server, args):
        if args[0] != "INFO":
            return primary_answers(server, args)
        if server.name == "a":
            return info_reply(run_id=f"{server.port:040x}")
        return info_reply("slave", f"{server.port:040x}", **bad)

    a, b = home.fake(fake_redis(answers), "a"), home.fake(fake_redis(answers), "b")
    place = Routes(home, a, b)
    place.router.wait_primary("a")
    place.wait_state(b, lambda s: s["probe_age_ms"] is not None and s["role"] == "replica", "asked")
    assert place.state(b)["access"] != "open"
    assert [place.call("GET", "x", name=READ) for _ in range(5)] == ["a"] * 5


# --- asking ---


def one_server(home, backend_keys=None, **options):
    server = home.redis("a", **options)
    return server, Routes(home, server, **(backend_keys or {}))


def test_probes_log_in_with_a_password(home):
    _, place = one_server(home, {"probe_password": "hunter2"}, requirepass="hunter2")
    place.router.wait_primary("a")
    with place.client(password="hunter2") as client:
        assert client.call("SET", "x", "1") == "OK"
    assert "hunter2" not in place.router.log + place.router.http("/stats.json")[1]


def test_probes_read_the_password_from_a_file(home):
    path = home.file("secret", "hunter2\n")
    _, place = one_server(home, {"probe_password_file": path}, requirepass="hunter2")
    place.router.wait_primary("a")


def test_probes_log_in_as_an_acl_user_that_may_do_little(home):
    acl = ["default on nopass ~* +@all", "prober on >probepass +info +ping"]
    _, place = one_server(home, {"probe_user": "prober", "probe_password": "probepass"}, acl=acl)
    place.router.wait_primary("a")
    assert place.call("SET", "x", "1") == "OK"


def test_probes_know_renamed_commands(home):
    server, place = one_server(home, {"probe_command": ["INFO=XINFO_a1b2"]},
                               rename={"INFO": "XINFO_a1b2"})
    place.router.wait_primary("a")
    assert server.info()["role"] == "master"


def test_a_renamed_auth_is_known_too(home):
    """Redis logs in under the new name; the old one would be an unknown command."""
    server = home.redis("a", start=False, rename={"AUTH": "OPEN_a1b2"}, requirepass="hunter2")
    server.start(wait=False)
    place = Routes(home, server, probe_command=["AUTH=OPEN_a1b2"], probe_password="hunter2")
    place.router.wait_primary("a")


@pytest.mark.parametrize("keep", ["yes", "no"])
def test_a_kept_probe_connection_is_one_and_a_new_one_each_time_is_left_properly(home, keep):
    server, place = one_server(home, {"probe_keep": keep, "probe_interval": "20ms"})
    place.router.wait_primary("a")
    before = int(server.info("stats")["total_connections_received"])
    clock = Clock()
    until(lambda: clock.passed(0.5), "half a second of probes")
    came = int(server.info("stats")["total_connections_received"]) - before
    if keep == "yes":
        assert came == 0
    else:
        assert came >= 5
        assert len(server.ok("CLIENT", "LIST").strip().splitlines()) <= 2


@pytest.mark.parametrize("keys, words", [
    ({}, "asks for a password"), ({"probe_password": "wrong"}, "does not accept")],
    ids=["none", "wrong"])
def test_a_server_never_proven_that_refuses_the_probe_is_down_with_the_reason(home, keys, words):
    server = home.redis("a", requirepass="hunter2")
    good = home.redis("good")
    place = Routes(home, server, good, probe_rise=1, **keys)
    if "probe_password" in keys:  # the good one has no password and refuses AUTH as well
        good.ok("CONFIG", "SET", "requirepass", "wrong")
        good.password = "wrong"
    place.wait_state(server, lambda s: s["state"] == "down", "to be down")
    assert words in place.state(server)["reason"]
    place.router.wait_primary("good")


def test_a_proven_server_whose_password_changed_is_stale_and_goes_on_serving(home):
    server, place = one_server(home, {"probe_password": "old"}, requirepass="old")
    place.router.wait_primary("a")
    client = place.client(password="old")
    with client:
        server.ok("CONFIG", "SET", "requirepass", "new")
        server.password = "new"
        # The kept probe connection is logged in for ever: cut it, so that it must log in again.
        server.ok("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        place.wait_state(server, lambda s: s["state"] == "stale", "to be stale")
        stats = place.router.stats()
        assert stats.backend()["primary"] == "a"
        assert stats.backend()["stale"] is True
        assert "password" in stats.server("a")["reason"]
        with place.client(password="new") as other:
            assert other.call("SET", "x", "1") == "OK"
        assert "cannot be asked" in place.router.log
        server.ok("CONFIG", "SET", "requirepass", "old")
        place.wait_state(server, lambda s: s["state"] == "up", "to be up again")
        assert place.router.stats().backend()["stale"] is False


def test_a_loading_server_is_not_the_primary(home):
    def answers(server, args):
        if args[0] == "INFO":
            reply = info_reply(run_id=f"{server.port:040x}")
            text = reply.split(b"\r\n", 1)[1].replace(b"loading:0", b"loading:1")
            return b"$%d\r\n%s" % (len(text) - 2, text)
        return b"-LOADING Redis is loading the dataset in memory\r\n"

    fake = home.fake(fake_redis(answers), "a")
    place = Routes(home, fake, queue_timeout="300ms")
    place.wait_state(fake, lambda s: "loading" in s["reason"].lower(), "to say why")
    answer = place.call("PING")
    assert isinstance(answer, RespError) and answer.startswith("ERR router: ")


def test_a_restart_of_a_server_is_seen(home):
    """Down while it is away, up when it is back; the lost connection is the signal, not the
    interval of a minute."""
    server, place = one_server(home, {"probe_interval": "60s", "probe_fast_interval": "20ms"})
    place.router.wait_primary("a")
    server.kill()
    place.wait_state(server, lambda s: s["state"] == "down", "to be down", 20)
    server.start_again()
    place.router.wait_primary("a", timeout=20)


# --- errors seen in passing ---


def test_readonly_in_passing_has_the_servers_probed_within_milliseconds(home):
    """The probes sleep for a minute; the role is flipped behind the router's back, and a client's
    own -READONLY is what tells. The demoted server's CLIENT KILL is not involved."""
    a, b = home.redis_group("a", "b")
    place = Routes(home, a, b, probe_interval="60s", probe_fast_interval="20ms")
    place.router.wait_primary("a")
    place.wait_asleep()
    with place.client() as client:
        assert client.call("SET", "x", "1") == "OK"
        b.wait_caught_up(a)
        b.promote()
        a.follow(b)
        began = time.monotonic()
        answer = client.call("SET", "x", "2")
        assert isinstance(answer, RespError) and answer.startswith("READONLY"), answer
    place.router.wait_primary("b")
    took = time.monotonic() - began
    assert took < 10 * SLOW, f"{took * 1000:.0f} ms"
    stats = place.router.stats()
    assert stats.server("a")["role_errors"] >= 1
    assert place.call("SET", "x", "3") == "OK"


@pytest.mark.parametrize("word", ["LOADING Redis is loading", "MASTERDOWN Link with MASTER is down",
                                  "READONLY You can't write"])
def test_each_role_error_in_passing_is_a_probe(home, word):
    """A fake that counts how often it was asked, with probes a minute apart."""
    asked = []

    def answers(server, args):
        if args[0] == "INFO":
            asked.append(time.monotonic())
        if args[0] == "SET":
            return b"-%s\r\n" % word.encode()
        return primary_answers(server, args)

    fake = home.fake(fake_redis(answers), "a")
    place = Routes(home, fake, probe_interval="60s")
    place.router.wait_primary("a")
    place.wait_asleep()
    before, began = len(asked), time.monotonic()
    assert place.call("SET", "x", "1").startswith(word.split()[0])
    until(lambda: len(asked) > before, "a probe")
    print(f"asked {(asked[before] - began) * 1000:.0f} ms later")


# --- servers that lie ---

LIES = {
    "nonsense": lambda server, args: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a huge length": lambda server, args: b"$9999999999999\r\nx",
    "a negative array": lambda server, args: b"*-7\r\n",
    "a deep array": lambda server, args: b"*1\r\n" * 1000,
    "half a reply": lambda server, args: b"$500\r\n# Server\r\n",
    "no role": lambda server, args: b"$10\r\n# Server\r\n\r\n",
    "a wrong type": lambda server, args: b":42\r\n",
    "an empty reply": lambda server, args: b"$0\r\n\r\n",
    "nothing": lambda server, args: b"",
    "the end": lambda server, args: None,
    "NOAUTH": lambda server, args: b"-NOAUTH Authentication required.\r\n",
    "DENIED": lambda server, args: b"-DENIED Redis is running in protected mode\r\n",
    "NOPERM": lambda server, args: b"-NOPERM this user has no permissions\r\n",
}


WORDS = {"NOAUTH": "password", "DENIED": "protected mode", "NOPERM": "ACL"}


@pytest.fixture(scope="module")
def liars(shared_home):
    """One router; in it every liar beside a good server, each pair a backend of its own."""
    text, fakes, ports = "", {}, {}
    for number, (name, lie) in enumerate(LIES.items()):
        fakes[name] = shared_home.fake(fake_redis(lie), "liar")
        good = shared_home.fake(fake_redis(primary_answers), "good")
        ports[name] = free_port()
        text += frontend(f"f{number}", ports[name], backend=f"b{number}")
        text += redis_backend(fakes[name], good, name=f"b{number}")
    return shared_home.router(text, start_timeout="1s"), ports


@pytest.mark.parametrize("number, lie", list(enumerate(LIES)), ids=list(LIES))
def test_a_server_never_proven_that_lies_is_down_and_nobody_suffers(liars, number, lie):
    router, ports = liars
    backend = f"b{number}"
    router.wait_primary("good", backend)
    stats = router.wait_for(lambda s: s.server("liar", backend)["state"] == "down", "to be down")
    assert stats.server("liar", backend)["reason"], "no reason on the stats page"
    assert WORDS.get(lie, "") in stats.server("liar", backend)["reason"]
    with Resp(local(ports[lie])) as client:
        assert client.call("SET", "x", "1") == "OK"


@pytest.mark.parametrize("lie", ["nonsense", "NOAUTH", "DENIED"])
def test_a_proven_server_that_cannot_be_asked_any_more_is_stale_and_serves(home, lie):
    lying = []

    def answers(server, args):
        if lying and args[0] in ("INFO", "AUTH"):
            return LIES[lie](server, args)
        return primary_answers(server, args)

    fake = home.fake(fake_redis(answers), "a")
    place = Routes(home, fake)
    place.router.wait_primary("a")
    lying.append(True)
    place.wait_state(fake, lambda s: s["state"] == "stale", "to be stale")
    assert place.call("SET", "x", "1") == "OK"
    lying.clear()
    place.wait_state(fake, lambda s: s["state"] == "up", "to be up")


def test_a_server_that_hangs_in_the_middle_of_a_reply_holds_new_sessions_only(home):
    """Silence is not demotion: the living session goes on, a new one waits and is then served."""
    hanging = []

    def answers(server, args):
        if hanging and args[0] == "INFO":
            return info_reply()[:100]
        return primary_answers(server, args)

    fake = home.fake(fake_redis(answers), "a")
    place = Routes(home, fake)
    place.router.wait_primary("a")
    with place.client() as old:
        assert old.call("PING") == "PONG"
        hanging.append(True)
        place.router.wait_for(lambda s: s.backend()["verdict"] == "hold", "hold", 5)
        assert old.call("SET", "x", "1") == "OK"
        with connect(place.address(WRITE), 10 * SLOW) as waiting:
            waiting.sendall(b"PING\r\n")
            place.router.wait_for(lambda s: s.backend()["waiting"] == 1, "one waiting")
            hanging.clear()
            assert waiting.recv(7) == b"+PONG\r\n"
