"""Promise: where TLS ends here, clients get the versions, ciphers, certificates and sessions that
modern ones expect and no weaker ones."""
import os
import ssl

import pytest

from lib import openssl
from lib.certificates import Authority, fingerprint
from lib.fake import echo
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local

HOST = openssl.HOST
VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
# What a client needs to say by itself that it would speak what nobody should any more.
CARELESS = ["-cipher", "ALL:@SECLEVEL=0"]

pytestmark = pytest.mark.sanitize


class Stage:
    def __init__(self, home):
        self.authority = Authority(home.directory("ca"))
        self.stranger = Authority(home.directory("stranger"), "Stranger")
        self.leaf = self.authority.leaf(names=[HOST], ips=["127.0.0.1"])
        self.rsa = self.authority.leaf(names=[HOST], key="rsa", name="rsa")
        self.wild = self.authority.leaf(names=["*.wild.test"])
        self.other = self.authority.leaf(names=["other.test"])

    def router(self, home, workers=2, certs=None, **front):
        """(router, address): an echo behind TLS."""
        port = free_port()
        server = home.fake(echo, "s")
        router = home.router(
            frontend("f", port, tls="yes", tls_cert=[leaf.pem for leaf in certs or [self.leaf]],
                     **front) + tcp_backend(server), workers=workers)
        return router, local(port)

    def client(self, home, address, *options, **keys):
        return openssl.client(home, address, *options, ca=self.authority.ca, **keys)


@pytest.fixture(scope="module")
def stage(shared_home):
    return Stage(shared_home)


def counted(router, **more):
    """Waits until the frontend's counters have risen to these."""
    router.wait_for(lambda s: all(s.frontend("f")[key] == value for key, value in more.items()),
                    f"the counters {more}")


@VERSIONS
def test_modern_versions_are_spoken(home, stage, version):
    router, address = stage.router(home)
    client = stage.client(home, address, version)
    client.echoes("here I am")
    assert f"New, {version[1:].replace('tls', 'TLSv').replace('_', '.')}, " in client.output
    assert client.quit() == 0
    counted(router, tls_handshakes=1, tls_failed=0, tls_resumed=0)


@pytest.mark.parametrize("options", [
    ["-tls1"], ["-tls1_1"],
    ["-tls1_2", "-cipher", "AES128-SHA256:AES256-GCM-SHA384:AES128-SHA:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "ADH-AES128-SHA256:AECDH-AES128-SHA:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"],
], ids=["tls1.0", "tls1.1", "no-forward-secrecy", "anonymous", "in-clear", "cbc"])
def test_old_versions_and_weak_ciphers_are_refused(home, stage, options):
    """The client would take what the router must not give."""
    router, address = stage.router(home, certs=[stage.leaf, stage.rsa])
    if "-cipher" not in options:
        options = [*options, *CARELESS]
    client = openssl.client(home, address, *options)
    assert client.end() != 0
    assert "alert" in client.output and "Cipher is (NONE)" in client.output, client.output
    counted(router, tls_handshakes=0, tls_failed=1)
    stage.client(home, address).echoes("others are served")


def test_the_oldest_version_may_be_1_3(home, stage):
    router, address = stage.router(home, tls_min_version="1.3")
    client = stage.client(home, address, "-tls1_2")
    assert client.end() != 0
    assert "alert protocol version" in client.output, client.output
    stage.client(home, address).echoes("the other one")
    counted(router, tls_handshakes=1, tls_failed=1)


@VERSIONS
def test_the_protocol_is_the_first_of_ours_that_the_client_speaks(home, stage, version):
    router, address = stage.router(home, tls_alpn=["relay/2", "http/1.1"])
    for offered, chosen in (("http/1.1,relay/2", "ALPN protocol: relay/2"),
                            ("h2,http/1.1", "ALPN protocol: http/1.1"),
                            (None, "No ALPN negotiated")):
        client = stage.client(home, address, version, *(["-alpn", offered] if offered else []))
        client.echoes("hello")
        assert chosen in client.output
    client = stage.client(home, address, version, "-alpn", "h2,imap")
    assert client.end() != 0
    assert "alert no application protocol" in client.output, client.output
    counted(router, tls_handshakes=3, tls_failed=1)


def test_without_tls_alpn_clients_may_ask_for_what_they_want(home, stage):
    _, address = stage.router(home)
    client = stage.client(home, address, "-alpn", "h2,imap")
    client.echoes("hello")
    assert "No ALPN negotiated" in client.output


def shown(stage, address, name, version=None, rsa=False):
    """The fingerprint of the certificate that a client sees who asks for this name."""
    context = ssl.create_default_context(cafile=stage.authority.ca)
    context.check_hostname = False
    if version:
        context.maximum_version = version
    if rsa:
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with connect(address) as sock, context.wrap_socket(sock, server_hostname=name) as secure:
        secure.sendall(b"hello")
        assert secure.recv(10) == b"hello"
        return fingerprint(secure.getpeercert(binary_form=True))


def test_the_name_that_a_client_asks_for_chooses_the_certificate(home, stage):
    _, address = stage.router(home, certs=[stage.leaf, stage.wild, stage.other, stage.rsa])
    for name, leaf in ((HOST, stage.leaf), ("Other.TEST", stage.other), ("a.wild.test", stage.wild),
                       ("a.b.wild.test", stage.leaf), ("wild.test", stage.leaf),
                       ("unknown.test", stage.leaf), (None, stage.leaf)):
        assert shown(stage, address, name) == leaf.fingerprint, name
    assert shown(stage, address, HOST, ssl.TLSVersion.TLSv1_2, rsa=True) == stage.rsa.fingerprint
    client = stage.client(home, address, "-tls1_3", "-sigalgs", "RSA-PSS+SHA256")
    client.echoes("signed with RSA")
    assert "Peer signature type: RSA-PSS" in client.output


# Resumption.


def reused(client, line):
    client.echoes(line)
    said = client.output
    assert ("\nReused, " in said) != ("\nNew, " in said), said
    return "\nReused, " in said



@VERSIONS
def test_sessions_are_resumed_by_every_worker(home, stage, version):
    router, address = stage.router(home, workers=2)
    kept = os.path.join(home.path, "session.pem")
    first = stage.client(home, address, version, "-sess_out", kept)
    assert not reused(first, "first")
    assert first.quit() == 0
    again = [stage.client(home, address, version, "-sess_in", kept) for _ in range(12)]
    assert all(reused(client, "again") for client in again)
    counted(router, tls_handshakes=13, tls_resumed=12, tls_failed=0)


@VERSIONS
def test_a_session_of_another_process_is_not_resumed_and_harms_nobody(home, stage, version):
    router, address = stage.router(home)
    kept = os.path.join(home.path, "session.pem")
    first = stage.client(home, address, version, "-sess_out", kept)
    assert not reused(first, "first")
    assert first.quit() == 0
    router.stop()
    router.start()
    assert not reused(stage.client(home, address, version, "-sess_in", kept), "again")
    counted(router, tls_handshakes=1, tls_resumed=0, tls_failed=0)


# Client certificates.


@VERSIONS
def test_a_client_certificate_is_demanded(home, stage, version):
    router, address = stage.router(home, tls_client_ca=stage.authority.ca)
    right = stage.authority.leaf(names=["client.test"], client=True)
    wrong = stage.stranger.leaf(names=["client.test"], client=True)
    expired = stage.authority.leaf(names=["client.test"], client=True, days=-1)
    for number, leaf in enumerate((None, wrong, expired), 1):
        options = ["-cert", leaf.cert, "-cert_chain", leaf.cert, "-key", leaf.key] if leaf else []
        client = stage.client(home, address, version, *options)
        client.type("my words")
        assert client.end() != 0, client.output
        assert "alert" in client.output and "my words" not in client.output, client.output
        counted(router, tls_handshakes=0, tls_failed=number)
    client = stage.client(home, address, version, "-cert", right.cert, "-cert_chain", right.cert,
                          "-key", right.key)
    client.echoes("let in")
    assert "CN = Test CA" in client.output.split("Acceptable client certificate CA names")[1]
    counted(router, tls_handshakes=1, tls_failed=3)


@VERSIONS
def test_a_resumed_session_is_still_that_of_a_client_with_a_certificate(home, stage, version):
    """The ticket carries the certificate; and the ticket of a frontend that demands none is of no
    use at one that does."""
    leaf = stage.authority.leaf(names=["client.test"], client=True)
    port, demanding = free_port(), free_port()
    server = home.fake(echo, "s")
    home.router(frontend("open", port, tls="yes", tls_cert=stage.leaf.pem)
                + frontend("f", demanding, tls="yes", tls_cert=stage.leaf.pem,
                           tls_client_ca=stage.authority.ca) + tcp_backend(server))
    kept = os.path.join(home.path, "session.pem")
    shows = ["-cert", leaf.cert, "-cert_chain", leaf.cert, "-key", leaf.key]
    first = stage.client(home, local(demanding), version, "-sess_out", kept, *shows)
    assert not reused(first, "first")
    assert first.quit() == 0
    assert reused(stage.client(home, local(demanding), version, "-sess_in", kept, *shows), "again")
    stolen = os.path.join(home.path, "other.pem")
    first = stage.client(home, local(port), version, "-sess_out", stolen)
    assert not reused(first, "first")
    assert first.quit() == 0
    client = stage.client(home, local(demanding), version, "-sess_in", stolen)
    client.type("let me in")
    assert client.end() != 0
    assert "let me in" not in client.output


# In the middle of a session.


def test_renegotiation_is_refused(home, stage):
    router, address = stage.router(home)
    client = stage.client(home, address, "-tls1_2")
    client.echoes("before")
    beside = stage.client(home, address, "-tls1_2")
    beside.echoes("beside")
    client.type("R")
    assert client.end() != 0
    assert "no renegotiation" in client.output or "alert" in client.output, client.output
    beside.echoes("nothing has happened")
    counted(router, tls_handshakes=2)


@pytest.mark.parametrize("command", ["k", "K"])
def test_keys_may_be_updated(home, stage, command):
    _, address = stage.router(home)
    client = stage.client(home, address, "-tls1_3")
    for number in range(5):
        client.echoes(f"before {number}")
        client.update_keys(command)
    client.echoes("after")
    assert client.quit() == 0
