"""Promise: servers are as well as their answer to http_check says, whatever shape of HTTP it has;
one that is not gets no new sessions and keeps those it has. HTTP itself passes as it is, and who is
refused reads a 503."""
import http.client
import random
import socket

import pymysql
import pytest

from lib.hub import Authority, Hub, chunked, head, names_wanted, with_length
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mariadb import NOBODY, connect as mariadb_connect
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local, read_all
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize

MANY = 12  # probes


def http_backend(*hubs, protocol="http", **keys):
    return section("backend b", protocol=protocol, server=servers(*hubs),
                   **{**FAST_PROBES, "probe_interval": "30ms", "probe_timeout": "3s",
                      "http_check": "GET /health", **keys})


class Site:
    """A router before hubs."""

    def __init__(self, home, *hubs, **keys):
        self.hubs = hubs
        self.port = free_port()
        self.router = home.router(frontend("f", self.port) + http_backend(*hubs, **keys))

    @property
    def address(self):
        return local(self.port)

    def server(self, name="hub"):
        return self.router.stats().server(name)

    def wait_state(self, state, name="hub", timeout=5.0):
        return self.router.wait_for(lambda s: s.server(name)["state"] == state,
                                    f"{name} to be {state}", timeout).server(name)

    def wait_probed(self, hub, times=MANY):
        before = hub.asked()
        until(lambda: hub.asked() >= before + times, f"{times} probes", 20)

    def get(self, target="/name", source=None, timeout=5.0):
        """(status, body) of a new client's request."""
        client = http.client.HTTPConnection(*self.address, timeout=timeout * SLOW,
                                            source_address=source and (source, 0))
        try:
            client.request("GET", target)
            answer = client.getresponse()
            return answer.status, answer.read().decode()
        finally:
            client.close()

    def met(self, times=8):
        return {self.get()[1] for _ in range(times)}

    def socket(self, home):
        """A client whose connection was upgraded, and is nobody's business any more."""
        sock = home.keep(connect(self.address, 10 * SLOW))
        sock.sendall(b"GET /socket HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        return sock


def start(home, hub=None, **keys):
    hub = home.keep(hub or Hub())
    return hub, Site(home, hub, **keys)


# --- what is asked ---


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_the_check_is_asked_as_it_is_written_on_one_connection(home, method):
    hub, site = start(home, http_check=f"{method} /health?deep=yes")
    site.wait_state("up")
    site.wait_probed(hub)
    asked = hub.requests[-1]
    assert (asked.method, asked.target, asked.version) == (method, "/health?deep=yes", "HTTP/1.1")
    assert asked.fields["host"] == hub.text
    assert {r.connection for r in hub.requests} == {1}
    assert hub.accepted == 1


def test_what_stands_behind_a_question_mark_is_shown_nowhere(home):
    """It may be a token."""
    hub, site = start(home, http_check="GET /health?token=geheim")
    hub.status = 503
    server = site.wait_state("down")
    assert server["reason"] == "answers GET /health with 503", server
    assert hub.requests[0].target.endswith("geheim")
    shown = site.router.log + site.router.http("/stats.json")[1] + site.router.http("/")[1]
    assert "geheim" not in shown


def test_the_status_decides_by_ranges(home):
    hub, site = start(home, http_expect="200-299,301,404-404", probe_fall=1)
    for status, state in ((200, "up"), (300, "down"), (299, "up"), (302, "down"), (301, "up"),
                          (403, "down"), (404, "up"), (405, "down"), (204, "up"), (503, "down"),
                          (250, "up"), (500, "down")):
        hub.status = status
        server = site.wait_state(state)
        if state == "down":
            assert server["reason"] == f"answers GET /health with {status}", server
    assert hub.accepted == 1, "an answer that is not liked is not the end of a connection"


def test_each_probe_has_its_connection_if_none_is_to_be_kept(home):
    hub, site = start(home, probe_keep="no")
    site.wait_state("up")
    site.wait_probed(hub)
    connections = [r.connection for r in hub.requests]
    assert len(set(connections)) == len(connections)
    until(lambda: hub.server.count() <= 1, "those that were used to be closed")
    assert site.server()["failures"] == 0


# --- what is answered ---


def continued_first(status, body):
    return head(100) + head(103, "Link: </style.css>", "Content-Length: 5") \
        + with_length(status, body)


def old_and_kept(status, body):
    return head(status, "Connection: Keep-Alive", f"Content-Length: {len(body)}",
                version="1.0") + body


def bare_lines(status, body):
    return with_length(status, b"").replace(b"\r\n", b"\n").replace(b": 0", b": %d" % len(body)) \
        + body


def large_fields(status, body):
    return head(status, f"Cookie: {'x' * 4000}", f"Content-Length: {len(body)}") + body


def long_body(status, _body):
    return with_length(status, b"x" * 60000)


KEPT = [with_length, chunked, continued_first, old_and_kept, bare_lines, large_fields, long_body]


@pytest.mark.parametrize("shape", KEPT)
def test_a_connection_is_kept_behind_every_answer_whose_end_is_known(home, shape):
    hub, site = start(home, Hub(shape=shape))
    site.wait_state("up")
    site.wait_probed(hub)
    assert hub.accepted == 1
    hub.status = 503
    assert site.wait_state("down")["reason"] == "answers GET /health with 503"
    hub.status = 200
    site.wait_state("up")
    assert hub.accepted == 1


def old(status, body):
    return head(status, version="1.0") + body


def until_the_end(status, body):
    return head(status, "Content-Type: text/plain") + body


def closing(status, body):
    return head(status, "Connection: close", f"Content-Length: {len(body)}") + body


def endless(status, body):
    """Nobody waits for so much."""
    return head(status, "Content-Length: 1000000000") + body


@pytest.mark.parametrize("ends", [True, False], ids=["ends", "stays"])
@pytest.mark.parametrize("shape", [old, until_the_end, closing, endless])
def test_a_connection_that_may_serve_no_other_probe_is_left(home, shape, ends):
    """Also if the server does not end it, though it should."""
    hub, site = start(home, Hub(shape=shape, ends=ends))
    site.wait_state("up")
    site.wait_probed(hub)
    connections = [r.connection for r in hub.requests]
    assert len(set(connections)) == len(connections)
    server = site.server()
    assert (server["state"], server["failures"]) == ("up", 0)
    assert "hub is down" not in site.router.log
    until(lambda: hub.server.count() <= 1, "those that were used to be closed")


def test_a_server_that_ends_connections_without_a_word_is_not_down(home):
    """As many do after a number of requests, or of seconds."""
    hub, site = start(home, Hub(ends=True))
    site.wait_state("up")
    site.wait_probed(hub, 3 * MANY)
    assert "hub is down" not in site.router.log


@pytest.mark.parametrize("raw, reason", [
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak HTTP/1.1"),
    (b"HTTP/2 200\r\n\r\n", "does not speak HTTP/1.1"),
    (b"HTTP/1.1 200 OK\r\n" + b"x" * 9000, "does not speak HTTP/1.1"),
    (with_length(200, b"well") * 2, "says more than it was asked"),
    (head(101, "Upgrade: h2c"), "does not speak HTTP/1.1"),
], ids=["ssh", "HTTP/2", "long head", "two answers", "an upgrade"])
def test_an_answer_that_is_none_is_told(home, raw, reason):
    _, site = start(home, Hub(shape=lambda status, body: raw))
    assert site.wait_state("down")["reason"] == reason


# --- where ---


def test_the_check_goes_to_another_port_than_the_clients(home):
    """As many hubs keep their health apart."""
    check, hub = home.keep(Hub("check")), home.keep(Hub("hub"))
    site = Site(home, hub, probe_port=check.port)
    site.wait_state("up")
    site.wait_probed(check)
    assert (hub.asked(), hub.accepted) == (0, 0)
    assert check.requests[-1].fields["host"] == check.text
    assert site.get() == (200, "hub")
    check.status = 503
    site.wait_state("down")


@pytest.mark.parametrize("protocol", ["tcp", "redis", "pgsql"])
def test_any_protocol_is_checked_by_http_if_it_says_so(home, protocol):
    """clustercheck and its kind: each server has its own, on the same port of its address."""
    port = free_port()
    nodes = [home.keep(Hub(f"hub-{n}", host=f"127.0.0.{n}")) for n in (2, 3)]
    checks = [home.keep(Hub(f"check-{n}", host=f"127.0.0.{n}", port=port)) for n in (2, 3)]
    site_port = free_port()
    router = home.router(frontend("f", site_port, route="any") + http_backend(
        *nodes, protocol=protocol, http_check="OPTIONS /", probe_port=port))
    router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]), "both up")
    checks[0].status = 503
    stats = router.wait_for(lambda s: s.server("hub-2")["state"] == "down", "one down")
    assert stats.server("hub-2")["reason"] == "answers OPTIONS / with 503"
    assert stats.server("hub-3")["state"] == "up"
    assert [node.accepted for node in nodes] == [0, 0]
    assert all(check.accepted == 1 for check in checks)
    assert {r.method for r in checks[0].requests} == {"OPTIONS"}


def test_a_mysql_server_is_served_as_its_clustercheck_says(home, mariadb):
    """The router logs in nowhere."""
    check = home.keep(Hub("check"))
    node = mariadb.replicas[0]
    port = free_port()
    router = home.router(frontend("f", port, route="any") + http_backend(
        node, protocol="mysql", http_check="OPTIONS /", probe_port=check.port,
        queue_timeout="200ms"))
    router.wait_for(lambda s: s.server(node.name)["state"] == "up", "it to be up")
    with mariadb_connect(port=port, user=NOBODY[0], password=NOBODY[1]) as client, \
            client.cursor() as cursor:
        cursor.execute("SELECT @@port")
        assert cursor.fetchone() == (node.port,)
        check.status = 503
        router.wait_for(lambda s: s.server(node.name)["state"] == "down", "it to be down")
        cursor.execute("SELECT @@port")
        assert cursor.fetchone() == (node.port,), "a living session was cut"
    with pytest.raises(pymysql.MySQLError, match="no server was free in time"):
        mariadb_connect(port=port, user=NOBODY[0], password=NOBODY[1])


def test_a_hub_on_a_unix_socket_has_a_name_too(home):
    """A path is no Host: nginx and others answer 400 to it."""
    path = f"{home.path}/hub.sock"
    hub, site = start(home, Hub(path=path))
    site.wait_state("up")
    assert hub.requests[-1].fields["host"] == "localhost"
    assert site.get() == (200, "hub")


# --- TLS ---


@pytest.fixture(name="authority")
def _authority(home):
    return Authority(home.directory("ca"))


def secure(home, context, **keys):
    return start(home, Hub(tls=context), probe_tls="yes", **keys)


def test_a_certificate_of_the_address_is_accepted_from_who_may_sign(home, authority):
    context = authority.context("hub", "IP:127.0.0.1")
    with names_wanted(context) as wanted:
        hub, site = secure(home, context, tls_ca=authority.ca)
        site.wait_state("up")
        site.wait_probed(hub)
    assert hub.accepted == 1
    assert wanted == [None], "an address is no name (RFC 6066, section 3)"
    assert hub.requests[-1].fields["host"] == hub.text
    hub.status = 503
    assert site.wait_state("down")["reason"] == "answers GET /health with 503"


def test_tls_server_name_is_asked_for_and_must_be_carried(home, authority):
    """It is the Host too: servers answer 421 if it is another one."""
    context = authority.context("hub", "DNS:hub.test")
    with names_wanted(context) as wanted:
        hub, site = secure(home, context, tls_ca=authority.ca, tls_server_name="hub.test")
        site.wait_state("up")
    assert set(wanted) == {"hub.test"}
    assert hub.requests[-1].fields["host"] == f"hub.test:{hub.port}"


@pytest.mark.parametrize("carried, keys, reason", [
    ("DNS:other.test", {"tls_server_name": "hub.test"}, "hostname mismatch"),
    ("DNS:hub.test", {}, "IP address mismatch"),
    ("IP:127.0.0.2", {}, "IP address mismatch"),
])
def test_a_certificate_of_somebody_else_is_refused_in_words(home, authority, carried, keys, reason):
    hub, site = secure(home, authority.context("hub", carried), tls_ca=authority.ca, **keys)
    said = site.wait_state("down")["reason"]
    assert said == f"its certificate is not accepted: {reason}", said
    assert hub.requests == [], "it was asked"


def test_a_certificate_that_a_stranger_signed_is_refused_in_words(home, authority):
    stranger = Authority(home.directory("stranger"), "stranger")
    hub, site = secure(home, stranger.context("hub", "IP:127.0.0.1"), tls_ca=authority.ca)
    said = site.wait_state("down")["reason"]
    assert said.startswith("its certificate is not accepted: "), said
    assert hub.requests == []
    until(lambda: "TLSV1_ALERT_UNKNOWN_CA" in hub.refused, "the server to be told why")


def test_without_tls_verify_any_certificate_will_do(home, authority):
    hub, site = secure(home, authority.context("hub", "DNS:other.test"), tls_verify="no")
    site.wait_state("up")
    site.wait_probed(hub)
    assert hub.accepted == 1


def test_tls_and_none_do_not_understand_each_other_and_say_so(home, authority):
    _, plain = start(home, probe_tls="yes", tls_verify="no")
    said = plain.wait_state("down")["reason"]
    assert said.startswith("the TLS handshake failed"), said
    _, site = start(home, Hub(tls=authority.context("hub", "IP:127.0.0.1")))
    said = site.wait_state("down")["reason"]
    assert said == "does not speak HTTP/1.1" or said.startswith("the connection was c"), said


# --- clients ---


def test_a_hub_that_answers_503_is_drained_and_comes_back(home):
    a, b = home.keep(Hub("a")), home.keep(Hub("b"))
    site = Site(home, a, b)
    site.router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]), "up")
    living = []
    while not all(x["sessions"] for x in site.router.stats().backend()["servers"]):
        living.append(site.socket(home))
    count = site.server("a")["sessions"]
    assert site.met() == {"a", "b"}
    a.status = 503
    assert site.wait_state("down", "a")["reason"] == "answers GET /health with 503"
    site.router.wait_for(lambda s: s.server("a")["sessions"] == count, "its living sessions")
    assert site.met() == {"b"}
    for number, sock in enumerate(living):
        sock.sendall(b"%d" % number)
        assert sock.recv(10) == b"%d" % number, "a living session was cut"
    assert site.server("a")["sessions_fenced"] == 0
    a.status = 200
    site.wait_state("up", "a")
    assert site.met() == {"a", "b"}


def test_long_lived_bytes_pass_in_both_directions(home):
    """As a WebSocket's: any size, any time, and both sides at once."""
    hub, site = start(home)
    site.wait_state("up")
    generator = random.Random(1)
    socks = [site.socket(home) for _ in range(5)]
    for turn in range(20):
        for sock in socks:
            data = generator.randbytes(generator.choice([1, 2, 125, 126, 65535, 65536, 200000]))
            sock.sendall(data)
            got = b""
            while len(got) < len(data):
                got += sock.recv(1 << 20)
            assert got == data, turn
        hub.status = 503 if turn % 2 else 200
    socks[0].shutdown(socket.SHUT_WR)
    assert read_all(socks[0]) == b""


def refusal(site, request):
    """What a client reads that sends all of it at once."""
    with connect(site.address, 10 * SLOW) as sock:
        sock.sendall(request)
        return read_all(sock)


@pytest.mark.parametrize("request_bytes", [
    b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 40000\r\n\r\n" + b"x" * 40000,
], ids=["GET", "a long POST"])
def test_a_refusal_is_a_503_that_arrives(home, request_bytes):
    hub, site = start(home, queue_timeout="100ms")
    hub.status = 500
    site.wait_state("down")
    for _ in range(10):
        fields, _, body = refusal(site, request_bytes).partition(b"\r\n\r\n")
        lines = fields.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 503 Service Unavailable"
        assert b"Connection: close" in lines
        assert b"Content-Length: %d" % len(body) in lines
        assert body.startswith(b"router: ") and body.endswith(b"\n"), body
    assert site.get() == (503, body.decode()), "http.client understands it"


def test_a_client_beyond_a_cap_reads_a_503(home):
    hub, port = home.keep(Hub()), free_port()
    router = home.router(frontend("f", port, max_sessions=1) + http_backend(hub))
    router.wait_for(lambda s: s.server("hub")["state"] == "up", "it to be up")
    with connect(local(port)) as first:
        first.sendall(b"GET /name HTTP/1.1\r\n\r\n")
        assert first.recv(4096).startswith(b"HTTP/1.1 200 ")
        with connect(local(port)) as second:
            assert read_all(second).startswith(b"HTTP/1.1 503 ")


def test_ip_hash_sends_who_was_moved_back_when_the_hub_returns(home):
    hubs = [home.keep(Hub(name)) for name in ("a", "b", "c")]
    site = Site(home, *hubs, balance="ip_hash")
    site.router.wait_for(lambda s: all(x["state"] == "up" for x in s.backend()["servers"]), "up")
    clients = [f"127.0.{n}.{n + 1}" for n in range(1, 60)]

    def placed():
        return {client: site.get(source=client)[1] for client in clients}

    before = placed()
    assert set(before.values()) == {"a", "b", "c"}
    hubs[1].status = 503
    site.wait_state("down", "b")
    meanwhile = placed()
    assert set(meanwhile.values()) == {"a", "c"}
    assert all(meanwhile[c] == before[c] for c in clients if before[c] != "b")
    hubs[1].status = 200
    site.wait_state("up", "b")
    assert placed() == before
