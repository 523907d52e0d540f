"""Promise: a server that the probe does not trust learns nothing and does not lock the router's
address out: the login is brought to its end, and the certificate is told as the reason."""
import pytest

from lib.clusters import NotInstallable
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.postgres import run_openssl
from lib.process import free_port
from lib.strict import StrictMariaDB, StrictMySQL, Stranger
from lib.waiting import until

PROBER = ("prober", "of the probes")
PROBES = 20


def with_tls(kind, home):
    """MySQL makes certificates by itself; nobody we know has signed them either way."""
    place = home.directory("strict")
    if kind is StrictMySQL:
        return kind(place)
    certificate, key = f"{place}/server.crt", f"{place}/server.key"
    run_openssl(certificate, key)
    return kind(place, options={"ssl-cert": certificate, "ssl-key": key})


@pytest.fixture(name="strict", scope="module", params=[StrictMariaDB, StrictMySQL])
def strict_server(request, shared_home):
    """What connects from an address that the server counts."""
    try:
        server = shared_home.keep(with_tls(request.param, shared_home))
    except NotInstallable as missing:
        pytest.skip(str(missing))
    server.start()
    server.add_user(*PROBER, grants=[f"{server.MONITOR} ON *.*"])
    return shared_home.keep(Stranger(server))


def probing(home, strict, start=True, **keys):
    strict.server.forget()  # that we looked whether we are locked out, last time
    backend = section("backend b", protocol="mysql", server=servers(strict), probe_tls="yes",
                      probe_user=PROBER[0], probe_password=PROBER[1], **{**FAST_PROBES, **keys})
    return home.router(frontend("f", free_port()) + backend, start=start)


@pytest.mark.parametrize("keep", ["yes", "no"])
def test_a_certificate_that_is_not_accepted_is_not_held_against_us(home, strict, keep):
    router = probing(home, strict, start=False, probe_keep=keep)
    before = strict.accepted
    router.start(wait=False)
    until(lambda: strict.accepted >= before + PROBES, f"{PROBES} probes", 30)
    server = router.stats().server("s")
    assert server["state"] == "down"
    assert "its certificate is not accepted" in router.log
    router.stop()
    assert not strict.locked_out()


def test_one_that_need_not_be_accepted_is_logged_in_over(home, strict):
    router = probing(home, strict, tls_verify="no")
    router.wait_primary("s")
    assert not strict.locked_out()
