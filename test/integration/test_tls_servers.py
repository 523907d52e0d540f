"""Promise: with tls = yes servers are spoken to in TLS, those that prove who they are and no
others; sessions with them are resumed; a Redis that speaks TLS is probed and served like any."""
import shutil
import ssl
import subprocess

import pytest

from lib import openssl
from lib.certificates import Authority
from lib.fake import echo, hold
from lib.hub import names_wanted
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.process import free_port
from lib.redis_server import link
from lib.resp import Resp, connect
from lib.router import run
from lib.sockets import local, read_all
from lib.streams import exact
from lib.waiting import SLOW, until

HOST = "hub.test"
VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])

pytestmark = pytest.mark.sanitize


def by_file(authority, home):
    return {"SSL_CERT_FILE": authority.ca, "SSL_CERT_DIR": home.path + "/no"}


def by_folder(authority, home):
    folder = home.directory("trusted")
    shutil.copy(authority.ca, folder + "/one.pem")
    subprocess.run(["openssl", "rehash", folder], check=True)
    return {"SSL_CERT_FILE": home.path + "/no", "SSL_CERT_DIR": folder}


class Stage:
    def __init__(self, home):
        self.authority = Authority(home.directory("ca"))
        self.stranger = Authority(home.directory("stranger"), "Stranger")

    def leaf(self, authority=None, names=(), ips=("127.0.0.1",), **keys):
        return (authority or self.authority).leaf(names=names, ips=ips, intermediate=False, **keys)

    def router(self, home, *things, workers=1, protocol="tcp", system=None, **backend):
        """(router, address): clear text before, TLS behind. `system`: whom this system trusts, by
        a file or by a folder of files that are named after their hash."""
        port = free_port()
        backend = {"tls": "yes", "tls_ca": self.authority.ca, "probe": "off",
                   "connect_retries": "0", **backend}
        router = home.router(
            frontend("f", port, route="any")
            + section("backend b", protocol=protocol, server=servers(*things),
                      **{k: v for k, v in backend.items() if v}), workers=workers,
            env=system or by_file(self.stranger, home))
        return router, local(port)


@pytest.fixture(scope="module")
def stage(shared_home):
    return Stage(shared_home)


def asked(sock, words):
    """What `openssl s_server -rev` makes of a line."""
    sock.sendall(words.encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        data = sock.recv(1000)
        if not data:
            raise ConnectionError(f"end of stream after {answer!r}")
        answer += data
    return answer.decode().strip()


def refused_words(address):
    """What arrives instead of service: nothing, for a protocol without words."""
    with connect(address, 15 * SLOW) as sock:
        try:
            sock.sendall(b"secret\n")
            return read_all(sock)
        except ConnectionError:
            return b""


@VERSIONS
def test_a_server_that_proves_itself_is_spoken_to(home, stage, version):
    server = openssl.server(home, stage.leaf(), version)
    router, address = stage.router(home, server)
    with connect(address) as sock:
        assert asked(sock, "hello") == "olleh"
        assert asked(sock, "and more") == "erom dna"
    router.wait_for(lambda s: s.server("s")["tls_handshakes"] == 1, "the handshake to be counted")


WRONG = {
    "stranger": (lambda s: s.leaf(s.stranger), {}, "self-signed certificate in certificate chain"),
    "address": (lambda s: s.leaf(ips=["127.0.0.2"]), {}, "IP address mismatch"),
    "name": (lambda s: s.leaf(names=["other.test"]), {"tls_server_name": HOST},
             "hostname mismatch"),
    "expired": (lambda s: s.leaf(days=-1), {}, "certificate has expired"),
    "client": (lambda s: s.leaf(client=True), {}, "unsuitable certificate purpose"),
    "system": (lambda s: s.leaf(), {"tls_ca": None}, "unable to get local issuer certificate"),
}


@pytest.mark.parametrize("wrong", WRONG)
@VERSIONS
def test_a_server_that_does_not_is_told_nothing_and_the_client_why(home, stage, version, wrong):
    """In its protocol, where that has words."""
    leaf, keys, words = WRONG[wrong]
    server = openssl.server(home, leaf(stage), version, "-cert_chain", stage.stranger.ca)
    router, address = stage.router(home, server, protocol="redis", **keys)
    answer = refused_words(address).decode()
    assert answer.startswith("-ERR "), answer
    assert f" s: its certificate is not accepted: {words}" in answer
    until(lambda: "alert" in server.log, "the server to be told by an alert")
    assert "secret" not in server.log and "terces" not in server.log
    stats = router.stats().server("s")
    assert (stats["connect_errors"], stats["tls_handshakes"]) == (1, 0)


@pytest.mark.parametrize("system", [by_file, by_folder])
def test_without_tls_ca_those_are_trusted_whom_the_system_trusts(home, stage, system):
    server = openssl.server(home, stage.leaf())
    _, address = stage.router(home, server, tls_ca=None, system=system(stage.authority, home))
    with connect(address) as sock:
        assert asked(sock, "hello") == "olleh"


def test_a_server_that_does_not_is_named_in_the_log_where_clients_cannot_be_told(home, stage):
    handler, _, _ = tls_echo(stage.leaf(days=-1))
    router, address = stage.router(home, home.fake(handler, "s"))
    assert refused_words(address) == b""
    until(lambda: "certificate has expired" in router.log, "the log to say why")
    line = next(line for line in router.log.splitlines() if "has expired" in line)
    assert " level=warn " in line and " b/s: " in line, line


@pytest.mark.parametrize("wrong", ["stranger", "expired"])
def test_a_probe_that_does_not_trust_a_server_says_why(home, stage, wrong):
    leaf, keys, words = WRONG[wrong]
    handler, _, _ = tls_echo(leaf(stage))
    router, _ = stage.router(home, home.fake(handler, "s"), probe=None, http_check="GET /",
                             **FAST_PROBES, **keys)
    stats = router.wait_for(lambda s: s.server("s")["state"] == "down", "s to be down", 10)
    if wrong == "stranger":     # without its root
        words = "unable to get local issuer certificate"
    assert words in stats.server("s")["reason"]
    assert "server=s is down: " in router.log and words in router.log


@VERSIONS
def test_without_verification_anybody_is_spoken_to(home, stage, version):
    server = openssl.server(home, stage.leaf(stage.stranger, days=-1), version)
    _, address = stage.router(home, server, tls_verify="no", tls_ca=None)
    with connect(address) as sock:
        assert asked(sock, "hello") == "olleh"


def tls_echo(leaf, version=None):
    """(handler of a fake, its ssl.SSLContext, whether each session was resumed)"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.cert, leaf.key)
    if version:
        context.minimum_version = context.maximum_version = version
    resumed = []

    def handler(server, sock):
        with context.wrap_socket(sock, server_side=True) as secure:
            resumed.append(secure.session_reused)
            echo(server, secure)
    return handler, context, resumed


def echoed(address, data=b"hello"):
    with connect(address) as sock:
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            more = sock.recv(65536)
            if not more:
                raise ConnectionError("end of stream")
            got += more
        return got == data


def test_tls_server_name_is_asked_for_and_wanted(home, stage):
    handler, context, _ = tls_echo(stage.leaf(names=[HOST], ips=()))
    server = home.fake(handler, "s")
    _, address = stage.router(home, server, tls_server_name=HOST)
    with names_wanted(context) as wanted:
        assert echoed(address)
    assert wanted == [HOST]


def test_an_address_is_not_asked_for_by_name(home, stage):
    """RFC 6066 3: literal addresses are not permitted in the server name."""
    handler, context, _ = tls_echo(stage.leaf())
    _, address = stage.router(home, home.fake(handler, "s"))
    with names_wanted(context) as wanted:
        assert echoed(address)
    assert wanted == [None]


@VERSIONS
def test_a_server_that_demands_a_certificate_is_shown_ours(home, stage, version):
    demands = ["-Verify", "2", "-verify_return_error", "-CAfile", stage.authority.ca]
    client = stage.authority.leaf(names=["router.test"], client=True)
    server = openssl.server(home, stage.leaf(), version, *demands)
    _, address = stage.router(home, server)
    assert refused_words(address) == b""
    until(lambda: "peer did not return a certificate" in server.log, "the server to refuse")
    _, address = stage.router(home, server, tls_cert=client.cert, tls_key=client.key)
    with connect(address) as sock:
        assert asked(sock, "hello") == "olleh"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_with_a_server_are_resumed(home, stage, version):
    handler, _, resumed = tls_echo(stage.leaf(), version)
    router, address = stage.router(home, home.fake(handler, "s"))
    for _ in range(5):
        assert echoed(address)
    until(lambda: len(resumed) == 5, "five handshakes")
    assert resumed == [False, True, True, True, True]
    router.wait_for(lambda s: (s.server("s")["tls_handshakes"], s.server("s")["tls_resumed"])
                    == (5, 4), "them to be counted")


def test_a_server_that_has_forgotten_is_met_anew(home, stage):
    """Its restart makes what we would resume worthless; that must cost nobody the connection."""
    leaf = stage.leaf()
    handler, _, resumed = tls_echo(leaf)
    server = home.fake(handler, "s")
    _, address = stage.router(home, server)
    assert echoed(address) and echoed(address)
    server.close()
    handler, _, anew = tls_echo(leaf)
    home.fake(handler, "s", port=server.port)
    assert echoed(address) and echoed(address)
    until(lambda: len(anew) == 2, "two handshakes")
    assert resumed == [False, True] and anew == [False, True]


def plain(_server, sock):
    """Answers TLS with something else."""
    sock.recv(1)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def leaves(_server, sock):
    """In the middle of the handshake."""
    sock.recv(1)


@pytest.mark.parametrize("bad", [plain, leaves, hold])
def test_who_fails_in_the_handshake_is_passed_over(home, stage, bad):
    handler, _, _ = tls_echo(stage.leaf())
    good = home.fake(handler, "good")
    other = home.fake(bad, "other")
    router, address = stage.router(home, other, good, connect_retries="3", balance="first",
                                   connect_timeout="300ms")
    assert echoed(address)
    assert other.accepted == 1 and good.accepted == 1
    stats = router.stats()
    assert stats.server("other")["connect_errors"] == 1


def test_much_goes_through_both_ways(home, stage):
    handler, _, _ = tls_echo(stage.leaf())
    _, address = stage.router(home, home.fake(handler, "s"))
    data = bytes(range(256)) * 16384    # 4 MB
    with connect(address, 30 * SLOW) as sock:
        got = bytearray()
        sock.setblocking(False)
        sent = 0

        def moved():
            nonlocal sent
            try:
                sent += sock.send(data[sent:sent + 65536]) if sent < len(data) else 0
            except BlockingIOError:
                pass
            try:
                got.extend(sock.recv(65536))
            except BlockingIOError:
                pass
            return len(got) == len(data)

        until(moved, "everything to come back", 30, poll=0)
    assert got == data


# Redis.


class Secure:
    """A Redis as the router sees it: by its TLS port."""

    def __init__(self, redis, port):
        self.name = redis.name
        self.text = f"127.0.0.1:{port}"


def tls_redis(home, stage, name, auth_clients="no"):
    leaf = stage.leaf()
    port = free_port()
    options = {"tls-port": port, "tls-cert-file": leaf.cert, "tls-key-file": leaf.key,
               "tls-ca-cert-file": stage.authority.ca, "tls-auth-clients": auth_clients}
    redis = home.redis(name, options=options)
    return redis, Secure(redis, port)


def redis_stage(stage, *things, **keys):
    return section("backend b", protocol="redis", server=servers(*things),
                   **{**FAST_PROBES, "probe_timeout": "2s", "tls": "yes",
                      "tls_ca": stage.authority.ca, **keys})


@pytest.mark.parametrize("auth_clients", ["no", "yes"])
def test_redis_over_tls_is_probed_and_served(home, stage, auth_clients):
    a, front_a = tls_redis(home, stage, "a", auth_clients)
    b, front_b = tls_redis(home, stage, "b", auth_clients)
    link(a, b)
    shown = stage.authority.leaf(names=["router.test"], client=True)
    keys = {"tls_cert": shown.pem} if auth_clients == "yes" else {}
    port = free_port()
    router = home.router(frontend("f", port) + redis_stage(stage, front_a, front_b, **keys))
    router.wait_primary("a")
    with Resp(local(port)) as client:
        assert client.call("SET", "k", "v") == "OK"
    assert a.call("GET", "k") == "v"
    b.wait_caught_up(a)
    b.promote()
    a.follow(b)
    router.wait_primary("b")
    with Resp(local(port)) as client:
        assert client.call("SET", "k", "w") == "OK"
    assert b.call("GET", "k") == "w"


def test_a_redis_with_the_wrong_certificate_is_down_and_says_why(home, stage):
    _, front = tls_redis(home, stage, "a")
    path = home.file("probe.ini", frontend("f", free_port())
                     + redis_stage(stage, front, tls_ca=stage.stranger.ca))
    done = run("--probe", "-c", path)
    assert done.returncode == 1
    assert "certificate" in done.stdout + done.stderr


def redis_cli(authority, port, *arguments, stdin=None):
    done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(port), "--tls", "--cacert",
                           authority.ca, "--sni", HOST, *arguments], input=stdin,
                          capture_output=True, timeout=60 * SLOW, check=False)
    return done.stdout.decode().strip() + done.stderr.decode()


@pytest.mark.parametrize("behind", ["clear", "tls"])
def test_redis_cli_through_termination(home, stage, behind):
    leaf = stage.authority.leaf(names=[HOST])
    redis, front = tls_redis(home, stage, "a")
    port = free_port()
    router = home.router(
        frontend("f", port, tls="yes", tls_cert=leaf.pem)
        + (redis_stage(stage, front) if behind == "tls" else
           section("backend b", protocol="redis", server=servers(redis), **FAST_PROBES)))
    router.wait_primary("a")
    assert redis_cli(stage.authority, port, "SET", "k", "v") == "OK"
    assert redis_cli(stage.authority, port, "GET", "k") == "v"
    commands = b"".join(b"SET key:%d %d\r\n" % (n, n) for n in range(5000))
    assert "errors: 0, replies: 5000" in redis_cli(stage.authority, port, "--pipe", stdin=commands)
    assert redis.call("GET", "key:4999") == "4999"
    assert "certificate verify failed" in redis_cli(stage.stranger, port, "GET", "k")


def test_a_refusal_is_said_in_tls(home, stage):
    leaf = stage.authority.leaf(names=[HOST])
    redis = home.redis("a")
    port = free_port()
    router = home.router(frontend("f", port, tls="yes", tls_cert=leaf.pem, max_sessions="1")
                         + section("backend b", protocol="redis", server=servers(redis),
                                   **FAST_PROBES))
    router.wait_primary("a")
    context = exact(ssl.create_default_context(cafile=stage.authority.ca))
    with connect(local(port)) as one, context.wrap_socket(one, server_hostname=HOST) as first:
        first.sendall(b"PING\r\n")
        assert first.recv(100) == b"+PONG\r\n"
        with connect(local(port)) as two, context.wrap_socket(
                two, server_hostname=HOST, suppress_ragged_eofs=False) as second:
            words = b""
            while data := second.recv(1000):    # ends with a close_notify
                words += data
        assert words.startswith(b"-ERR "), words
        first.sendall(b"PING\r\n")
        assert first.recv(100) == b"+PONG\r\n"
