"""Promise: probes never leave a MySQL or MariaDB server with a broken handshake, whatever happens
in between: with max_connect_errors = 1, one would lock the router's address out."""
import socket

import pytest

from lib.clusters import NotInstallable
from lib.ini import frontend, section, servers
from lib.postgres import run_openssl
from lib.process import free_port
from lib.sockets import local
from lib.strict import ADDRESS, USER, StrictMariaDB, StrictMySQL, Stranger
from lib.waiting import Clock, until

BACKENDS = 4  # each with a probe of its own, every 10 ms
PROBES = 1200
PROBE_TIMEOUT = 0.2
KEYS = {"probe_interval": "10ms", "probe_fast_interval": "10ms",
        "probe_timeout": f"{PROBE_TIMEOUT * 1000:.0f}ms", "probe_user": USER[0],
        "probe_password": USER[1]}


@pytest.fixture(name="strict", scope="module", params=[StrictMySQL, StrictMariaDB],
                ids=["mysql", "mariadb"])
def strict_server(request, shared_home):
    """Locks an address out after one broken login."""
    place = shared_home.directory("strict")
    run_openssl(f"{place}/cert.pem", f"{place}/key.pem")
    options = {"ssl-cert": f"{place}/cert.pem", "ssl-key": f"{place}/key.pem"}
    try:
        server = shared_home.keep(request.param(
            place, options=options if request.param is StrictMariaDB else {})).start()
    except NotInstallable as missing:
        pytest.skip(str(missing))
    server.add_user(*USER, grants=[f"{server.MONITOR} ON *.*"])
    return server


@pytest.fixture(name="strangers")
def clean_strangers(strict, home):
    strict.forget()
    return [home.keep(Stranger(strict, f"s{n}")) for n in range(BACKENDS)]


WAYS = {"new": {"probe_keep": "no"}, "kept": {"probe_keep": "yes"},
        "tls": {"probe_keep": "no", "probe_tls": "yes", "tls_verify": "no"}}


def start(home, strangers, way):
    text = ""
    for stranger in strangers:
        text += frontend(f"f-{stranger.name}", free_port(), backend=stranger.name)
        text += section(f"backend {stranger.name}", protocol="mysql", server=servers(stranger),
                        **KEYS, **WAYS[way])
    router = home.router(text)
    wait_primaries(router, strangers)
    return router


def wait_primaries(router, strangers):
    for stranger in strangers:
        router.wait_primary(stranger.name, stranger.name, timeout=20)


def logins(server):
    return int(server.sql("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])


def wait_logins(server, count):
    before = logins(server)
    until(lambda: logins(server) - before > count, f"{count} logins", 60)


def stop_for(server, seconds):
    """SIGSTOP, wherever its threads are in a login just then."""
    server.pause()
    clock = Clock()
    until(lambda: clock.passed(seconds), "the time-out to pass", 10)
    server.resume()


def check(strict, strangers):
    """Had the address been locked out, a login would not even be answered any more."""
    assert strangers[0].login() == f"{USER[0]}@%"
    if isinstance(strict, StrictMySQL):
        rows = strict.sql("SELECT SUM_CONNECT_ERRORS, COUNT_HOST_BLOCKED_ERRORS"
                          " FROM performance_schema.host_cache WHERE IP = %s", ADDRESS)
        assert rows == [(0, 0)]


def never_locked_out(router):
    assert "has blocked our address" not in router.log


@pytest.mark.parametrize("way", list(WAYS))
def test_thousands_of_probes_and_time_outs_are_not_held_against_the_router(home, strict,
                                                                           strangers, way):
    router = start(home, strangers, way)
    for _ in range(4):
        if way == "new":
            wait_logins(strict, PROBES // 4)
        stop_for(strict, 3 * PROBE_TIMEOUT)
        wait_primaries(router, strangers)
    check(strict, strangers)
    never_locked_out(router)


@pytest.mark.parametrize("way", list(WAYS))
def test_a_server_that_is_restarted_is_asked_again_with_whole_logins(home, strict, strangers,
                                                                     way):
    router = start(home, strangers, way)
    strict.kill()
    strict.start_again()
    wait_primaries(router, strangers)
    strict.restart()
    wait_primaries(router, strangers)
    check(strict, strangers)
    never_locked_out(router)


@pytest.mark.sanitize
@pytest.mark.parametrize("way", ["new", "tls"])
def test_a_router_that_is_restarted_leaves_whole_logins(home, strict, strangers, way):
    """At any moment: there are always some under way."""
    router = start(home, strangers, way)
    for _ in range(6):
        router.stop()
        router.start()
        wait_primaries(router, strangers)
    check(strict, strangers)
    never_locked_out(router)


def test_a_probe_that_gave_up_in_the_midst_would_lock_the_router_out(strict, strangers):
    """So that the tests above tell something."""
    with socket.create_connection(local(strangers[0].port)) as sock:
        assert sock.recv(5)
    until(strangers[0].locked_out, "the address to be locked out")
