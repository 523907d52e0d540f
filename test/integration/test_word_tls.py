"""Promise: Sentinels and Patroni are asked over TLS where sentinel_tls or patroni_tls say so, and
are not heard where they cannot be trusted."""
import ssl

import pytest

from lib.certificates import Authority, fingerprint
from lib.ini import FAST_PROBES, frontend, redis_backend, section
from lib.process import free_port
from lib.redis_server import Redis
from lib.sentinel import MASTER, Sentinel
from lib.waiting import until

pytestmark = pytest.mark.sanitize


@pytest.fixture
def authority(home):
    return Authority(home.directory("ca"))


class Secure:
    """Speaks TLS on `tls_port`, shows `leaf`, and demands a certificate of `authority`."""

    def secure(self, authority, leaf):
        client = authority.leaf(name=self.name, client=True)
        self.tls_port = free_port()
        self.tls = {"tls-port": self.tls_port, "tls-cert-file": leaf.cert,
                    "tls-key-file": leaf.key, "tls-ca-cert-file": authority.ca,
                    "tls-client-cert-file": client.cert, "tls-client-key-file": client.key,
                    "tls-replication": "yes", "tls-auth-clients": "yes"}
        return self


class SecureRedis(Secure, Redis):
    @property
    def text(self):
        return f"127.0.0.1:{self.tls_port}"


class SecureSentinel(Secure, Sentinel):
    @property
    def text(self):
        return f"127.0.0.1:{self.tls_port}"

    def learn(self, servers, sentinels, **settings):
        super().learn(servers, sentinels, **settings)
        with open(self.path, encoding="ascii") as file:
            text = file.read().replace(f"127.0.0.1 {servers[0].port} ",
                                       f"127.0.0.1 {servers[0].tls_port} ")
        with open(self.path, "w", encoding="ascii") as file:
            file.write(text + "".join(f"{key} {value}\n" for key, value in self.tls.items()))


@pytest.fixture
def watched(home, authority):
    """(primary, its Sentinel), both reached by the router over TLS only."""
    leaf = authority.leaf(ips=["127.0.0.1"])
    primary = home.keep(SecureRedis(home.directory("alpha"), "alpha")).secure(authority, leaf)
    primary.options.update(primary.tls)
    primary.start()
    sentinel = home.keep(SecureSentinel(home.directory("s1"), "s1")).secure(authority, leaf)
    sentinel.learn([primary], [sentinel])
    sentinel.start()
    until(lambda: sentinel.master()["runid"], "the Sentinel to have heard the primary", 20)
    return primary, sentinel


def routed(home, authority, watched, **keys):
    primary, sentinel = watched
    client = authority.leaf(name="router", client=True)
    return home.router(frontend("f", free_port()) + redis_backend(
        primary, sentinel=sentinel.text, sentinel_master=MASTER, tls="yes", tls_cert=client.pem,
        **{"tls_ca": authority.ca, "sentinel_tls": "yes", "probe_timeout": "2s", **keys}),
        start_timeout="200ms")


def test_sentinels_are_asked_and_listened_to_over_tls(home, authority, watched):
    router = routed(home, authority, watched)
    router.wait_primary("alpha")
    router.wait_for(lambda s: s.backend()["sentinels"][0]["subscribed"], "the subscription", 10)
    word = router.stats().backend()["sentinels"][0]
    assert (word["heard"], word["names"], word["why"]) == (True, "alpha", "")


def test_a_sentinel_whose_certificate_is_not_trusted_is_not_heard(home, authority, watched):
    others = Authority(home.directory("others"), "Other CA")
    router = routed(home, authority, watched, tls_ca=others.ca)
    stats = router.wait_for(lambda s: "certificate" in s.backend()["sentinels"][0]["why"],
                            "the reason", 10)
    word = stats.backend()["sentinels"][0]
    assert (word["heard"], word["subscribed"]) == (False, False)


def test_a_sentinel_that_speaks_tls_is_not_heard_in_the_clear(home, authority, watched):
    router = routed(home, authority, watched, sentinel_tls="no")
    router.wait_primary("alpha")
    router.wait_for(lambda s: s.backend()["sentinels"][0]["why"], "the reason", 10)
    assert router.stats().backend()["sentinels"][0]["heard"] is False


# --- Patroni ---


class Rest:
    """Patroni's REST API behind TLS, on a server that leads; it notes who asked."""

    def __init__(self, home, authority):
        leaf = authority.leaf(ips=["127.0.0.1"])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(leaf.cert, leaf.key)
        self.context.load_verify_locations(authority.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.seen = set()
        self.fake = home.fake(self.serve, "rest")

    def serve(self, _server, sock):
        try:
            with self.context.wrap_socket(sock, server_side=True) as session:
                self.seen.add(fingerprint(session.getpeercert(binary_form=True)))
                if session.recv(4000).startswith(b"GET /primary "):
                    session.sendall(b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.11\r\n"
                                    b"Content-Type: application/json\r\n\r\n{}")
        except (ssl.SSLError, OSError):
            pass


def patroni_router(home, rest, authority, **keys):
    return home.router(frontend("f", free_port()) + section(
        "backend b", protocol="pgsql", server=f"a 127.0.0.1:{free_port()}",
        patroni=rest.fake.port, probe_user="router", tls_ca=authority.ca, **FAST_PROBES, **keys),
        start_timeout="200ms")


def test_patroni_is_asked_over_tls(home, authority):
    rest, client = Rest(home, authority), authority.leaf(name="router", client=True)
    router = patroni_router(home, rest, authority, patroni_tls="yes", tls_cert=client.pem)
    router.wait_for(lambda s: s.server("a")["patroni_leader"] is True, "Patroni's word", 10)
    assert rest.seen == {client.fingerprint}


def test_a_patroni_whose_certificate_is_not_trusted_is_not_heard(home, authority):
    rest, client = Rest(home, authority), authority.leaf(name="router", client=True)
    others = Authority(home.directory("others"), "Other CA")
    router = patroni_router(home, rest, others, patroni_tls="yes", tls_cert=client.pem)
    router.wait_for(lambda s: "certificate" in s.server("a")["patroni_why"], "the reason", 10)
    assert router.stats().server("a")["patroni_leader"] is None
