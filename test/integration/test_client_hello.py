"""Promise: with sni a client comes to the backend of the name in its TLS hello, however it is cut,
and the server gets it as it was sent. What is no hello, late or too long, or names no host, is
refused and counted, and nobody else suffers."""
import socket
import ssl
import subprocess

import pytest

from lib import hello
from lib.certificates import Authority
from lib.edge import Edge, drip, ending
from lib.fake import reset
from lib.hello import ECH, GREASE, PADDING, extension, named, server_name
from lib.ini import section, servers, tcp_backend
from lib.proxy_header import read_exactly, send_slowly
from lib.resp import connect
from lib.sockets import read_line
from lib.waiting import Clock, until

pytestmark = pytest.mark.sanitize

SNI = ["a.example a", "b.example wrong", "*.b.example b", "deep.x.b.example a"]
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("maximum", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
PLACES = ("a.example", "a"), ("other.example", "default"), (None, "default")


class Named(Edge):
    """Servers that say which backend they are of; `fakes` has them by its name."""

    def __init__(self, home, handler=hello.name_then_listen, **keys):
        names = "default", "a", "b", "wrong"
        self.fakes = {name: home.fake(handler, name) for name in names}
        backends = [tcp_backend(fake, name="b" if name == "default" else f"to_{name}")
                    for name, fake in self.fakes.items()]
        super().__init__(home, "".join(backends), **{"sni": [
            line.replace(" ", " to_") for line in SNI], **keys})

    def where(self, data, source=None):
        """The backend of a client that says this. Its server must have got just that."""
        with self.connect(data, source) as sock:
            name = read_line(sock)
            sock.shutdown(socket.SHUT_WR)
            assert ending(sock) == b""
        assert bytes(self.fakes[name].heard[-1]) == data
        return name

    def accepted(self):
        return sum(fake.accepted for fake in self.fakes.values())


# Names.


def test_the_name_says_the_backend(home):
    edge = Named(home)
    for name, backend in [
            (b"a.example", "a"), (b"A.Example", "a"), (b"a.example.", "a"),
            (b"b.example", "wrong"), (b"x.b.example", "b"), (b"y.x.b.example", "b"),
            (b"Deep.X.b.EXAMPLE", "a"), (b"b.example.org", "default"),
            (b"xa.example", "default"), (b"xb.example", "default"), (b"example", "default"),
            (b"127.0.0.1", "default"), (b"a_b.b.example", "b")]:
        assert edge.where(named(name)) == backend, name
    stats = edge.wait_sessions()
    assert stats.frontend("f")["refused_hello"] == 0
    assert stats.server("a", "to_a")["sessions_total"] == 4


@VERSIONS
def test_hellos_of_openssl_with_and_without_a_name(home, maximum):
    edge = Named(home)
    for name, backend in PLACES:
        for alpn in (), ("h2", "http/1.1"):
            assert edge.where(hello.real(name, alpn, maximum)) == backend


def test_unknown_extensions_and_the_inner_name_of_ech_do_not_matter(home):
    edge = Named(home)
    more = [extension(GREASE), extension(ECH, server_name(b"b.example")),
            extension(0xfafa, b"\0"), extension(0xff01, b"\0")]
    for place in range(len(more) + 1):
        mixed = [*more[:place], server_name(b"a.example"), *more[place:]]
        assert edge.where(hello.records(hello.message(*mixed))) == "a"
    assert edge.where(hello.records(hello.message(*more))) == "default"
    unknown_type = hello.message(server_name((9, b"b.example"), b"a.example"))
    assert edge.where(hello.records(unknown_type)) == "a"


# However it is cut.


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_hello_may_be_in_many_records(home, size):
    edge = Named(home)
    for name, backend in PLACES:
        cut = hello.records(hello.content(hello.real(name)), size)
        assert edge.where(cut) == backend


def test_a_hello_may_come_byte_by_byte(home):
    edge = Named(home)
    for data in hello.real("a.example"), named(b"a.example", size=1):
        sock = edge.connect()
        send_slowly(sock, data)
        assert read_line(sock) == "a"
        sock.shutdown(socket.SHUT_WR)
        assert ending(sock) == b""
        assert bytes(edge.fakes["a"].heard[-1]) == data


def test_a_hello_may_come_in_two_pieces_cut_anywhere(home):
    """Between them the router answers a question, so that it has most likely read the first."""
    edge = Named(home)
    data = named(b"x.b.example", size=60)
    for cut in range(1, len(data), 5):
        sock = edge.connect(data[:cut])
        edge.router.stats()
        sock.sendall(data[cut:])
        assert read_line(sock) == "b"
        sock.close()
    edge.wait_sessions()
    assert edge.count("refused_hello") == 0


@pytest.mark.parametrize("size", [17000, 40000, 65000])
def test_a_hello_of_more_than_a_record_is_read_to_its_end(home, size):
    edge = Named(home)
    data = named(b"a.example", extension(PADDING, bytes(size)))
    assert size < len(data) < hello.HELLO_MAX
    assert edge.where(data) == "a"


def test_data_behind_the_hello_is_the_sessions(home):
    """As TLS 1.3 sends it with an earlier session's keys."""
    edge = Named(home)
    early = b"\x17\3\3" + hello.vector(2, b"e" * 16000)
    assert edge.where(named(b"a.example") + early * 20) == "a"


# Real servers behind it.


@pytest.fixture
def authority(home):
    return Authority(home.directory("ca"))


@VERSIONS
def test_tls_is_between_the_client_and_the_named_server(home, authority, maximum):
    leaf = authority.leaf(names=["a.example", "*.b.example", "other.example"])
    edge = Named(home, hello.tls_name_then_echo(leaf, ["http/1.1"]))
    trusting = ssl.create_default_context(cafile=authority.ca)
    trusting.maximum_version = maximum
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    for name, backend in [("a.example", "a"), ("x.b.example", "b"), ("other.example", "default")]:
        with trusting.wrap_socket(edge.connect(), server_hostname=name) as secure:
            assert read_line(secure) == f"{backend} {name}"
            assert secure.selected_alpn_protocol() == "http/1.1"
            data = bytes(range(256)) * 400
            secure.sendall(data)
            assert read_exactly(secure, len(data)) == data


@pytest.mark.parametrize("options", [["-tls1_2"], ["-tls1_3"], ["-noservername"]],
                         ids=" ".join)
def test_openssl_s_client_gets_through(home, authority, options):
    leaf = authority.leaf(names=["a.example"])
    edge = Named(home, hello.tls_name_then_echo(leaf))
    name = [] if "-noservername" in options else ["-servername", "a.example"]
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-CAfile", authority.ca,
         "-verify_return_error", "-quiet", *name, *options],
        input=b"leave\n", capture_output=True, timeout=60, check=False)
    assert done.stdout == (b"a a.example\n" if name else b"default None\n"), done


# What is no hello.

EMPTY = hello.records(hello.message())
REFUSED = {
    "http": b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "sslv2": b"\x80\x2e\1\3\1\0\x15\0\0\0\x10",
    "proxy header": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "alert": b"\x15\3\1\0\2\1\0",
    "data": b"\x17\3\3\0\5hello",
    "server hello": hello.records(b"\2" + EMPTY[6:]),
    "empty record": b"\x16\3\1\0\0",
    "long record": b"\x16\3\1\x40\1",
    "long message": hello.records(b"\1\xff\xff\xff"),
    "alert between": hello.records(hello.content(EMPTY), 20)[:25] + b"\x15\3\1\0\2\1\0",
    "two names": hello.records(hello.message(server_name(b"a.example", b"b.example"))),
    "two extensions": hello.records(hello.message(server_name(b"a.example"),
                                                  server_name(b"b.example"))),
    "empty list": hello.records(hello.message(extension(0, b"\0\0"))),
    "lengths": hello.records(hello.message(extension(0, b"\0\x0c\0\0\x0aa.example"))),
    "nul": named(b"a.example\0.b.example"),
    "not utf-8": named(b"\xff\xfe.b.example"),
    "utf-8": named("bücher.b.example".encode()),
    "space": named(b"a.example "),
    "line end": named(b"a.example\r\nX: y"),
    "wildcard": named(b"*.b.example"),
    "empty label": named(b"a..b.example"),
    "empty name": named(b""),
    "only a dot": named(b"."),
    "long label": named(b"l" * 64 + b".b.example"),
    "300 bytes": named(b"l." * 145 + b"b.example."),
    "30000 bytes": named(b"l" * 30000),
}


def test_what_is_no_hello_is_refused_at_once_and_counted(home):
    """At once: handshake_timeout is ten minutes here, and some of them are only begun."""
    edge = Named(home)
    held = edge.connect(named(b"a.example"))
    assert read_line(held) == "a"
    for count, data in enumerate(REFUSED.values(), 1):
        edge.refuses(data)
        edge.wait_count("refused_hello", count)
    assert edge.accepted() == 1
    held.sendall(b"more")
    until(lambda: edge.fakes["a"].heard[0].endswith(b"more"), "the session that was there")
    assert edge.where(named(b"x.b.example")) == "b"
    edge.wait_sessions(1)


def test_no_name_that_is_refused_is_in_the_log(home):
    edge = Named(home)
    for data in named(b"evil\r\nname"), named(b"e\x1b[31mvil"), named(b"\xffevil"):
        edge.refuses(data)
    edge.wait_count("refused_hello", 3)
    edge.wait_log("server name")
    assert "evil" not in edge.router.log and "vil" not in edge.router.log


def test_a_flood_of_no_hellos_does_not_flood_the_log(home):
    edge = Named(home)
    clock = Clock()
    for _ in range(300):
        with connect(edge.address) as sock:
            sock.sendall(REFUSED["http"])
            assert ending(sock) == b""
    edge.wait_count("refused_hello", 300)
    edge.wait_sessions()
    assert edge.router.log.count("\n") < 100 + 20 * clock.seconds()
    assert "GET /" not in edge.router.log


def test_a_hello_that_never_ends_is_refused_at_its_bound(home):
    """One that announces what is allowed, in the smallest records, and goes on."""
    edge = Named(home)
    endless = hello.records(b"\1" + hello.vector(3, bytes(60000)), 1)
    sock = edge.connect()
    try:
        sock.sendall(endless)
    except ConnectionError:
        pass
    assert ending(sock) == b""
    edge.wait_count("refused_hello", 1)


@pytest.mark.parametrize("begun", [b"", b"\x16", named(b"a.example")[:-1]],
                         ids=["nothing", "a byte", "all but one"])
def test_a_late_hello_is_refused(home, begun):
    edge = Named(home, handshake_timeout="300ms")
    assert ending(edge.connect(begun)) == b""
    edge.wait_count("refused_hello", 1)
    edge.wait_sessions()
    assert edge.accepted() == 0


def test_a_hello_that_drips_is_late(home):
    edge = Named(home, handshake_timeout="300ms")
    slow = named(b"a.example", extension(PADDING, bytes(3000)))
    clock = Clock()

    def pause():
        began = clock.seconds()
        until(lambda: clock.passed(began + 0.01), "a pause")

    assert drip(edge.connect(), slow, pause) < len(slow)
    edge.wait_count("refused_hello", 1)


def test_clients_that_leave_within_the_hello_are_counted_and_leave_nothing_behind(home):
    edge = Named(home)
    whole = named(b"a.example", size=50)
    before = edge.router.process.sockets()
    lengths = range(1, len(whole), 7)
    for length in lengths:
        fin, rst = edge.connect(whole[:length]), edge.connect(whole[:length])
        fin.shutdown(socket.SHUT_WR)
        assert ending(fin) == b""
        reset(rst)
    edge.wait_count("refused_hello", 2 * len(lengths))
    edge.wait_sessions()
    until(lambda: edge.router.process.sockets() <= before, "their sockets to be closed")
    assert edge.accepted() == 0
    assert edge.where(whole) == "a"


def test_slow_clients_take_nobodys_place_at_a_server(home):
    """Hundreds that do not finish their hello are held while others are served."""
    edge = Named(home)
    slow = [edge.connect(named(b"a.example")[:40]) for _ in range(300)]
    edge.wait_sessions(300)
    for _ in range(20):
        assert edge.where(named(b"a.example")) == "a"
    assert edge.fakes["a"].most == 1
    for sock in slow:
        sock.close()
    edge.wait_sessions()


# Together with the rest.


def test_the_cap_of_a_named_backend_makes_its_clients_wait(home):
    fakes = {name: home.fake(hello.name_then_listen, name) for name in ("default", "a")}
    edge = Edge(home, tcp_backend(fakes["default"])
                + tcp_backend(fakes["a"], name="to_a", server_max_connections=1),
                sni="a.example to_a")
    first = edge.connect(named(b"a.example"))
    assert read_line(first) == "a"
    second = edge.connect(named(b"a.example"))
    edge.router.wait_for(lambda s: s.backend("to_a")["waiting"] == 1, "the second to wait")
    assert read_line(edge.connect(named(b"other.example"))) == "default"
    first.close()
    assert read_line(second) == "a"


def test_caps_of_the_frontend_hold_for_all_names(home):
    edge = Named(home, max_sessions=2)
    held = [edge.connect(named(name)) for name in (b"a.example", b"x.b.example")]
    assert [read_line(sock) for sock in held] == ["a", "b"]
    assert ending(edge.connect(named(b"other.example"))) == b""
    edge.wait_count("refused_sessions", 1)


@pytest.mark.parametrize("protocol", ["http", "redis"])
def test_no_words_in_the_clear_are_said_to_whose_tls_passes(home, protocol):
    fake = home.fake(hello.name_then_listen, "one")
    edge = Edge(home, section("backend b", protocol=protocol, probe="off",
                              server=servers(fake)), sni="a.example b", max_sessions=1)
    first = edge.connect(named(b"a.example"))
    assert read_line(first) == "one"
    assert ending(edge.connect(named(b"a.example"))) == b""
    edge.wait_count("refused_sessions", 1)


def test_where_tls_ends_the_name_says_the_backend_too(home, authority):
    """And what reaches the server is what is inside. Names that cannot be routed are refused as
    they are where TLS passes."""
    leaf = authority.leaf(names=["a.example", "*.b.example"])
    edge = Named(home, tls="yes", tls_cert=leaf.cert, tls_key=leaf.key)
    for name, backend in [("a.example", "a"), ("x.b.example", "b"), (None, "default")]:
        with hello.trusting_all().wrap_socket(edge.connect(), server_hostname=name) as secure:
            secure.sendall(b"inside")
            assert read_line(secure) == backend
        until(lambda b=backend: bytes(edge.fakes[b].heard[-1]) == b"inside", "what was inside")
    refused = [REFUSED[name] for name in ("http", "two names", "nul", "300 bytes", "sslv2")]
    for count, data in enumerate(refused, 1):
        sock = edge.connect(data)
        ending(sock)  # an alert may say why
        edge.router.wait_for(lambda s, n=count: s.frontend("f")["refused_hello"]
                             + s.frontend("f")["tls_failed"] == n, f"{count} refused")
    edge.wait_sessions()


# A handshake that is not finished.


class Begun:
    """A client's TLS without its socket: flights are bytes."""

    def __init__(self, maximum):
        self.came, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.secure = hello.trusting_all(maximum).wrap_bio(self.came, self.out,
                                                           server_hostname="a.example")

    def flight(self):
        """What it sends next."""
        try:
            self.secure.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.out.read()

    def answer(self, sock):
        """Sends its hello; what it sends after the server's whole answer. Nothing, if there is
        none."""
        sock.sendall(self.flight())
        while data := sock.recv(65536):
            self.came.write(data)
            if reply := self.flight():
                return reply
        return b""


def secured(home, authority, **keys):
    leaf = authority.leaf(names=["a.example"])
    return Named(home, tls="yes", tls_cert=leaf.cert, tls_key=leaf.key, **keys)


def failed(stats):
    return stats.frontend("f")["tls_failed"] + stats.frontend("f")["refused_hello"]


@VERSIONS
def test_handshakes_abandoned_at_each_step_are_counted_and_leave_nothing_behind(home, authority,
                                                                               maximum):
    edge = secured(home, authority)
    before = edge.router.process.sockets()
    expected = 0
    for leave in (lambda sock: sock.shutdown(socket.SHUT_WR)), reset:
        for part in None, 0.0, 0.5, 0.99:
            sock, client = edge.connect(), Begun(maximum)
            if part is None:
                sock.sendall(client.flight())
            else:
                reply = client.answer(sock)
                assert reply
                sock.sendall(reply[:int(len(reply) * part)])
            leave(sock)
            expected += 1
            edge.router.wait_for(lambda s, n=expected: failed(s) == n, f"{expected} failed")
    edge.wait_sessions()
    until(lambda: edge.router.process.sockets() <= before, "their sockets to be closed")
    assert edge.accepted() == 0 and edge.count("tls_handshakes") == 0
    with hello.trusting_all().wrap_socket(edge.connect(), server_hostname="a.example") as secure:
        secure.sendall(b"inside")
        assert read_line(secure) == "a"


@VERSIONS
@pytest.mark.parametrize("answered", [False, True])
def test_a_handshake_that_stands_still_is_late(home, authority, maximum, answered):
    """Where the machine is so slow that the answer is late already: that too."""
    edge = secured(home, authority, handshake_timeout="1s")
    sock, client = edge.connect(), Begun(maximum)
    if answered:
        sock.sendall(client.answer(sock)[:-1])
    else:
        sock.sendall(client.flight())
    ending(sock)
    edge.wait_count("tls_failed", 1)
    edge.wait_sessions()
    assert edge.accepted() == 0


@VERSIONS
def test_garbage_in_the_midst_of_a_handshake_ends_it_at_once(home, authority, maximum):
    edge = secured(home, authority)
    for count, garbage in enumerate([b"GET / HTTP/1.1\r\n\r\n", b"\x17\3\3\0\5hello",
                                     b"\x16\3\3\xff\xff" + bytes(65535)], 1):
        sock, client = edge.connect(), Begun(maximum)
        assert client.answer(sock)
        try:
            sock.sendall(garbage)
        except ConnectionError:
            pass
        ending(sock)
        edge.wait_count("tls_failed", count)
    edge.wait_sessions()
    assert edge.accepted() == 0
