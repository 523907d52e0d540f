"""Promise: it starts whole or not at all, and says in one line why not."""
import glob
import os
import re
import resource
import shutil
import socket

import pytest

from lib import router as router_module
from lib.certificates import Authority
from lib.fake import echo, fake_redis, info_reply, name_then_echo, primary_answers
from lib.ini import frontend, redis_backend, section, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.router import run
from lib.sockets import local, read_line, where
from lib.waiting import SLOW, Clock, until

pytestmark = pytest.mark.sanitize

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
GOOD = """[router]
admin = off
[frontend f]
bind = 127.0.0.1:{port}
backend = b
[backend b]
protocol = tcp
server = one 127.0.0.1:1
probe = off
"""


def one_line(done, *words):
    """Status 1 and one clear line that has the words. A log line may carry a time in front."""
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word.lower() in lines[0].lower(), lines[0]


# --- addresses ---


def listener(home):
    sock = home.keep(socket.socket())
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock.getsockname()[1]


def test_a_taken_port_ends_the_start_and_nothing_was_half_started(home):
    """The first address is free, the second is not: no probe was sent, nobody was accepted."""
    probed = home.fake(echo)
    free, taken = free_port(), listener(home)
    path = home.file("r.ini", "[router]\nadmin = off\n" + frontend("f", free)
                     + frontend("g", taken) + tcp_backend(probed, probe="connect",
                                                          probe_interval="10ms"))
    one_line(run("-c", path), f"127.0.0.1:{taken}", "in use")
    assert probed.accepted == 0


def test_a_second_router_on_the_same_address_does_not_start(home):
    """SO_REUSEPORT would share the port silently."""
    fake = home.fake(name_then_echo, "one")
    port = free_port()
    sections = frontend("f", port) + tcp_backend(fake)
    home.router(sections)
    path = home.file("second.ini", "[router]\nadmin = off\n" + sections)
    one_line(run("-c", path), f"127.0.0.1:{port}", "in use")
    assert [where(local(port)) for _ in range(10)] == ["one"] * 10


def test_a_second_router_on_the_same_unix_socket_does_not_start(home):
    fake = home.fake(name_then_echo, "one")
    socket_path = os.path.join(home.path, "f.sock")
    sections = frontend("f", f"unix:{socket_path}") + tcp_backend(fake)
    home.router(sections)
    path = home.file("second.ini", "[router]\nadmin = off\n" + sections)
    one_line(run("-c", path), socket_path, "in use")
    assert where(socket_path) == "one"


def test_the_unix_socket_of_a_router_that_was_killed_is_taken_over(home):
    fake = home.fake(name_then_echo, "one")
    socket_path = os.path.join(home.path, "f.sock")
    router = home.router(frontend("f", f"unix:{socket_path}") + tcp_backend(fake))
    router.process.kill()
    assert os.path.exists(socket_path)
    router.start()
    assert where(socket_path) == "one"


def test_an_admin_address_that_is_written_and_busy_ends_the_start(home):
    taken = listener(home)
    path = home.file("r.ini", GOOD.format(port=free_port()).replace(
        "admin = off", f"admin = 127.0.0.1:{taken}"))
    one_line(run("-c", path), f"127.0.0.1:{taken}", "in use")


def test_a_privilege_that_lacks_is_one_clear_line(home):
    """An ordinary user and port 80."""
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        if int(file.read()) <= 80:
            pytest.skip("every port is open to every user here")
    user = None
    if os.geteuid() == 0:
        user = 65534
        # Where the build lies need not be open to that user.
        shutil.copy(router_module.BINARY, os.path.join(home.path, "router"))
    path = home.file("r.ini", GOOD.format(port=80))
    original = router_module.BINARY
    try:
        if user:
            router_module.BINARY = os.path.join(home.path, "router")
        one_line(run("-c", path, user=user), "127.0.0.1:80", "permission")
    finally:
        router_module.BINARY = original


def test_an_address_of_another_machine_is_one_clear_line(home):
    path = home.file("r.ini", GOOD.format(port=1234).replace("127.0.0.1:1234", "192.0.2.1:1234"))
    one_line(run("-c", path), "192.0.2.1:1234")


# --- descriptors ---


def test_max_sessions_auto_stays_below_the_descriptor_limit(home):
    fake = home.fake(name_then_echo, "one")
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(fake), nofile=64)
    assert 1 <= router.stats()["router"]["max_sessions"] < 32, "a session takes two descriptors"
    assert where(local(port)) == "one"


def test_max_sessions_above_the_descriptor_limit_ends_the_start(home):
    path = home.file("r.ini", GOOD.format(port=free_port()).replace(
        "admin = off", "admin = off\nmax_sessions = 5000"))
    one_line(run("-c", path, nofile=64), "descriptor")


def served(port):
    try:
        return where(local(port)) == "one"
    except OSError:
        return False


def connect_or_none(port):
    """Whoever finds no descriptor left for a refusal in words may be reset."""
    try:
        return connect(local(port))
    except ConnectionResetError:
        return None


def test_a_flood_of_clients_beyond_the_descriptors_neither_spins_nor_crashes(home):
    """300 clients that stay, 64 descriptors: little CPU while they wait, service afterwards."""
    fake = home.fake(name_then_echo, "one")
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(fake), nofile=64)
    flood = [sock for sock in (connect_or_none(port) for _ in range(300)) if sock]
    for sock in flood:
        home.keep(sock)
    until(lambda: fake.count() >= 5, "some of them to be served")
    began = router.process.cpu_seconds()
    clock = Clock()
    until(lambda: clock.passed(1.0), "a second")
    assert router.process.cpu_seconds() - began < 0.3 * SLOW, "it spins"
    for sock in flood:
        sock.close()
    fake.wait_count(0)
    until(lambda: served(port), "service after the flood", 5)
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_running_out_of_descriptors_pauses_accepting(home, spare):
    """The limit is taken away under a running router, so that neither accept nor the socket to the
    server can be had. Little CPU, no crash, the living session lives; service when it is back."""
    fake = home.fake(name_then_echo, "one")
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(fake))
    living = home.keep(connect(local(port)))
    assert read_line(living) == "one"
    router.wait_for(lambda s: s["router"]["sessions"] == 1, "one session")
    used = len(os.listdir(f"/proc/{router.pid}/fd"))
    before = resource.prlimit(router.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(router.pid, resource.RLIMIT_NOFILE, (used + spare, before[1]))
    flood = [sock for sock in (connect_or_none(port) for _ in range(50)) if sock]
    began = router.process.cpu_seconds()
    clock = Clock()
    until(lambda: clock.passed(1.0), "a second")
    spent = router.process.cpu_seconds() - began
    living.sendall(b"x")
    assert living.recv(1) == b"x"
    assert spent < 0.3 * SLOW, f"it spins: {spent:.2f} s of CPU in a second"
    for sock in flood:
        sock.close()
    resource.prlimit(router.pid, resource.RLIMIT_NOFILE, before)
    until(lambda: served(port), "service afterwards", 5)
    router.wait_for(lambda s: s["router"]["sessions"] == 1, "only the living session")


# --- the command line ---


def test_t_accepts_a_good_file_and_starts_nothing(home):
    taken = listener(home)
    done = run("-t", "-c", home.file("r.ini", GOOD.format(port=taken)))
    assert done.returncode == 0, done.stderr


EXAMPLES = sorted(glob.glob(os.path.join(ROOT, "examples", "*.ini")))


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=[os.path.basename(p) for p in EXAMPLES])
def test_every_example_is_accepted(home, path):
    leaf = Authority(home.directory("ca"), "Test CA").leaf(names=["hub.example.com"])
    done = run("-t", "-c", path, env={"HUB_CERT": leaf.pem, "ROUTER_CERT": leaf.pem})
    assert done.returncode == 0, done.stderr


def test_v_says_version_and_libraries():
    done = run("-v")
    assert done.returncode == 0
    with open(os.path.join(ROOT, "include", "router.h"), encoding="utf-8") as file:
        version = re.search(r'ROUTER_VERSION "(.*)"', file.read()).group(1)
    assert version in done.stdout
    assert "libuv" in done.stdout and "hiredis" in done.stdout


def test_dump_config_shows_values_and_sources_and_no_secret(home):
    text = GOOD.format(port=7777).replace("protocol = tcp", "protocol = redis").replace(
        "probe = off", "probe_password = ${ROUTER_TEST_SECRET}\nserver_max_connections = 77")
    path = home.file("r.ini", text)
    done = run("--dump-config", "-c", path, env={"ROUTER_TEST_SECRET": "hunter2"})
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "(set)" in done.stdout
    assert re.search(r"server_max_connections\s*=\s*77\b.*r\.ini:10", done.stdout), done.stdout
    assert re.search(r"queue_limit\s*=\s*1024\b.*default", done.stdout)
    assert re.search(r"probe_password\s*=.*environment", done.stdout)


def test_what_dump_config_prints_is_a_configuration(home):
    """Its output, fed back, is accepted and dumps the same values."""
    path = home.file("r.ini", GOOD.format(port=7777))
    first = run("--dump-config", "-c", path)
    again = home.file("again.ini", first.stdout)
    done = run("-t", "-c", again)
    assert done.returncode == 0, done.stderr


def test_probe_names_the_primary_and_why(home):
    def answers(role):
        def answer(server, args):
            if args[0] == "INFO":
                return info_reply(role, run_id=f"{server.port:040x}")
            return primary_answers(server, args)
        return fake_redis(answer)

    one, two = home.fake(answers("slave"), "one"), home.fake(answers("master"), "two")
    path = home.file("r.ini", frontend("f", free_port()) + redis_backend(one, two))
    done = run("--probe", "-c", path)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert re.search(r"two.*primary|primary.*two", done.stdout), done.stdout
    assert re.search(r"one.*replica", done.stdout), done.stdout


def test_probe_fails_when_a_frontend_has_no_server(home):
    replica = home.fake(fake_redis(lambda server, args: info_reply("slave")), "one")
    # Without a primary it looks again until start_timeout.
    backend = redis_backend(replica) + section("router", start_timeout="300ms")
    served = home.file("replica.ini", frontend("f", free_port(), route="replica") + backend)
    assert run("--probe", "-c", served).returncode == 0
    unserved = home.file("primary.ini", frontend("f", free_port()) + backend)
    done = run("--probe", "-c", unserved)
    assert done.returncode == 1, (done.stdout, done.stderr)


def test_probe_wants_both_sides_of_a_split_route(home):
    """Writes have a server; reads have one where they may fall back to it."""
    primary = home.fake(fake_redis(primary_answers), "one")
    for fallback, status in (("primary", 0), ("none", 1)):
        path = home.file(f"{fallback}.ini", redis_backend(primary) + frontend(
            "f", free_port(), pool_mode="transaction", route="split", fallback=fallback))
        done = run("--probe", "-c", path)
        assert done.returncode == status, (done.stdout, done.stderr)


def test_an_unknown_argument_is_refused():
    done = run("--frobnicate")
    assert done.returncode not in (0, -6, -11)
    assert "frobnicate" in done.stderr


def test_a_file_that_is_not_there_is_one_line(home):
    done = run("-c", os.path.join(home.path, "nowhere.ini"))
    one_line(done, "nowhere.ini", "no such file")


# --- bad input ---

BAD = {
    "unknown key": ("balance = first", "blance = first", 10,
                    'unknown key "blance", did you mean "balance"?'),
    "unknown section": ("[backend b]", "[bakend b]", 6, "bakend"),
    "bad value": ("balance = first", "balance = fastest", 10, "fastest"),
    "bad number": ("balance = first", "queue_limit = many", 10, "many"),
    "bad duration": ("balance = first", "queue_timeout = 5 parsecs", 10, "5 parsecs"),
    "a single key twice": ("balance = first", "balance = first\nbalance = first", 11, "balance"),
    "two servers of one name": ("balance = first", "server = one 127.0.0.1:2", 10, '"one"'),
    "no such backend": ("backend = b", "backend = c", 5, "[backend c]"),
    "a key outside a section": ("[router]", "workers = 1\n[router]", 1, "workers"),
    "a line too long": ("balance = first", "balance = " + "x" * 70000, 10, "long"),
    "a NUL byte": ("balance = first", "balance = fi\0rst", 10, "NUL"),
    "a missing variable": ("balance = first", "balance = ${NOT_THERE_1}", 10, "NOT_THERE_1"),
    "a secret that cannot be read": ("balance = first", "probe_password_file = /not/there", 10,
                                     "/not/there"),
    "no host name": ("one 127.0.0.1:1", "one example..com:1", 8, "example..com:1"),
    "a later issue's option": ("balance = first", "mirror_to = other", 10, "mirror_to"),
    "the probe off and a route by role": ("backend = b", "backend = b\nroute = primary", None,
                                          "route"),
}


def bad_file(home, old, new):
    text = GOOD.format(port=7777) + "balance = first\n"
    assert old in text
    path = os.path.join(home.path, "router.ini")
    with open(path, "wb") as file:
        file.write(text.replace(old, new, 1).encode())
    return path


@pytest.mark.parametrize("what", BAD)
def test_each_error_says_file_line_and_text(home, what):
    old, new, line, words = BAD[what]
    path = bad_file(home, old, new)
    for arguments in (("-t", "-c", path), ("-c", path)):
        done = run(*arguments)
        assert done.returncode == 1, done.stderr
        assert words in done.stderr, done.stderr
        if line:
            assert f"router.ini:{line}: " in done.stderr, done.stderr


def test_all_errors_are_told_at_once(home):
    text = GOOD.format(port=7777) + "blance = first\nqueue_limit = many\n"
    text = text.replace("backend = b", "backend = c")
    path = home.file("router.ini", text)
    done = run("-c", path)
    assert done.returncode == 1
    for line in (5, 10, 11):
        assert f"router.ini:{line}: " in done.stderr, done.stderr


def test_required_keys_are_asked_for(home):
    done = run("-t", "-c", home.file("router.ini", "[frontend f]\n[backend b]\n"))
    assert done.returncode == 1
    for key in ("bind", "backend", "protocol", "server"):
        assert f'"{key}"' in done.stderr or f" {key}" in done.stderr, (key, done.stderr)


def test_the_shortest_file_serves(home):
    """Required are only bind and backend, protocol and one server; [router] may be missing."""
    fake = home.fake(fake_redis(primary_answers), "one")
    path = home.file("router.ini", section("frontend f", bind=f"127.0.0.1:{free_port()}",
                                           backend="b")
                     + section("backend b", protocol="redis", server=f"one {fake.text}"))
    done = run("-t", "-c", path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", ["", "x", "-1", "0", "99999", "99999999999999999999"])
def test_what_is_no_router_before_hands_over_nothing(home, number):
    """A variable that somebody else has set is no reason to wait, or to read what is there."""
    path = home.file("router.ini", GOOD.format(port=free_port()))
    done = run("-c", path, env={"ROUTER_UPGRADE": number})
    assert done.returncode == 1
    assert "ROUTER_UPGRADE is set" in done.stderr
