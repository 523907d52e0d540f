"""Promise: with accept_proxy a client is who its PROXY header says: to the server, to the caps, to
ip_hash and to deny. Only allowed peers may say so; what is no header, late or too long is refused
and counted, and nobody else suffers."""
import socket
import ssl

import pytest

from lib import proxy_header as proxy
from lib.certificates import Authority
from lib.edge import Edge, drip, ending
from lib.fake import echo, name_then_echo, reset
from lib.hello import real, trusting_all
from lib.ini import frontend, section, servers, tcp_backend
from lib.mariadb import NOBODY, MariaDB, connect as sql_connect
from lib.process import Process, free_port
from lib.resp import connect
from lib.sockets import local, read_line, where
from lib.waiting import Clock, until

pytestmark = pytest.mark.sanitize

V4 = ("192.0.2.7", 40000), ("198.51.100.1", 443)
V6 = ("2001:db8::7", 40000), ("2001:db8:1::1", 443)
VERSIONS = pytest.mark.parametrize("version", [1, 2])


def accepting(home, *fakes, allow="127.0.0.1", backend_keys=None, **keys):
    return Edge(home, tcp_backend(*fakes, **(backend_keys or {})), accept_proxy="yes",
                allow=allow, **keys)


def telling(home, **keys):
    """What the server is told of a client shows in what it says: the router hands it on."""
    fake = home.fake(proxy.source_then_echo, "one")
    return accepting(home, fake, backend_keys={"send_proxy": "v2"}, **keys)


def said(client):
    return f"{client[0]} {client[1]}"


def own(sock):
    return said(sock.getsockname())


def echoes(sock, data=b"something"):
    sock.sendall(data)
    assert proxy.read_exactly(sock, len(data)) == data


# Who the client is.


@VERSIONS
@pytest.mark.parametrize("client", [V4, V6], ids=["v4", "v6"])
def test_the_server_is_told_the_headers_client(home, version, client):
    edge = telling(home)
    sock = edge.connect(proxy.header(version, *client))
    assert read_line(sock) == said(client[0])
    echoes(sock)
    edge.wait_sessions(1)
    assert edge.count("refused_proxy") == 0


@VERSIONS
def test_data_behind_the_header_in_the_same_segment_is_the_sessions(home, version):
    edge = accepting(home, home.fake(echo))
    data = proxy.header(version, *V4) + bytes(range(256)) * 100    # the second one is data
    sock = edge.connect(proxy.header(version, *V4) + data)
    assert proxy.read_exactly(sock, len(data)) == data
    echoes(sock)


@VERSIONS
def test_a_header_may_come_byte_by_byte(home, version):
    edge = telling(home)
    for client in V4, V6:
        sock = edge.connect()
        proxy.send_slowly(sock, proxy.header(version, *client) + b"hello")
        assert read_line(sock) == said(client[0])
        assert proxy.read_exactly(sock, 5) == b"hello"


@VERSIONS
def test_a_header_may_come_in_two_pieces_cut_anywhere(home, version):
    """Between them the router answers a question, so that it has most likely read the first."""
    edge = accepting(home, home.fake(echo))
    whole = proxy.header(version, *V6) + b"x"
    for cut in range(1, len(whole) - 1, 3):
        sock = edge.connect(whole[:cut])
        edge.router.stats()
        sock.sendall(whole[cut:])
        assert sock.recv(10) == b"x"
        sock.close()
    assert edge.count("refused_proxy") == 0


@pytest.mark.parametrize("header", [
    proxy.header(1, None, None),
    b"PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n",
    proxy.header(2, None, None),
    proxy.fixed(proxy.LOCAL, proxy.TCP4, bytes(12)),
    proxy.fixed(proxy.LOCAL, proxy.UNSPEC, proxy.tlv(proxy.NOOP, bytes(100))),
    proxy.fixed(proxy.PROXY, proxy.UNSPEC),
    proxy.fixed(proxy.PROXY, proxy.UNIX, b"/run/client".ljust(216, b"\0")),
], ids=["unknown", "unknown with words", "local", "local with addresses", "local with a tlv",
        "unspec", "unix"])
def test_who_speaks_for_nobody_is_the_client(home, header):
    edge = telling(home)
    sock = edge.connect(header)
    assert read_line(sock) == own(sock)
    echoes(sock)


def test_tlvs_are_skipped_up_to_the_longest_header(home):
    edge = telling(home)
    least = len(proxy.binary(*V4))
    tlvs = [proxy.tlv(1, b"h2") + proxy.tlv(0x20, b"\1\0\0\0\0" + proxy.tlv(0x21, b"TLSv1.3")),
            b"\xee\xff\xff and no more",
            proxy.tlv(proxy.NOOP, bytes(proxy.LONGEST - least - 3))]
    for more in tlvs:
        sock = edge.connect(proxy.binary(*V4, more) + b"hello")
        assert read_line(sock) == said(V4[0])
        assert proxy.read_exactly(sock, 5) == b"hello"
    assert len(proxy.binary(*V4, tlvs[-1])) == proxy.LONGEST
    edge.refuses(proxy.binary(*V4, proxy.tlv(proxy.NOOP, bytes(proxy.LONGEST - least - 2))))


@VERSIONS
def test_caps_count_the_headers_address(home, version):
    edge = accepting(home, home.fake(echo), max_sessions_per_ip=2)

    def client(host):
        return edge.connect(proxy.header(version, (host, 1), V6[1] if ":" in host else V4[1]))

    for host in "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1":
        for _ in range(2):
            echoes(client(host))
    for host in "192.0.2.1", "192.0.2.2", "2001:db8::ffff", "2001:db8:0:1::2":
        assert ending(client(host)) == b""
    edge.wait_count("refused_sessions", 4)
    echoes(client("192.0.2.3"))
    first = client("192.0.2.4")
    echoes(first)
    first.close()
    edge.wait_sessions(9)
    for _ in range(2):
        echoes(client("192.0.2.4"))


@VERSIONS
def test_ip_hash_goes_by_the_headers_address(home, version):
    """As it goes by the connection's where there is no header."""
    fakes = [home.fake(name_then_echo, name) for name in "abc"]
    edge = accepting(home, *fakes, backend_keys={"balance": "ip_hash"})
    direct = Edge(home, tcp_backend(*fakes, balance="ip_hash"))
    hosts = [f"127.0.0.{n}" for n in range(2, 32)]
    placed = {}
    for host in hosts:
        with connect(edge.address) as sock:
            sock.sendall(proxy.header(version, (host, 1), V4[1]))
            placed[host] = read_line(sock)
    assert set(placed.values()) == set("abc")
    assert {host: where(direct.address, source=host) for host in hosts} == placed


# Who may say so.


@VERSIONS
def test_a_peer_that_is_not_allowed_is_refused_whatever_it_says(home, version):
    edge = telling(home)
    for data in proxy.header(version, ("127.0.0.1", 1), V4[1]), proxy.header(version, None, None):
        edge.refuses(data, source="127.0.0.9")
    assert read_line(edge.connect(proxy.header(version, *V4))) == said(V4[0])
    edge.wait_sessions(1)
    assert edge.count("denied") == 2
    edge.wait_log("127.0.0.9")


@VERSIONS
def test_deny_is_about_both_addresses(home, version):
    edge = accepting(home, home.fake(echo), allow="127.0.0.0/8",
                     deny=["192.0.2.0/24", "127.0.0.9"])
    for host in "192.0.2.1", "127.0.0.9":
        edge.refuses(proxy.header(version, (host, 1), V4[1]))
    for host in "192.0.3.1", "10.0.0.1":  # allow is not about this one
        echoes(edge.connect(proxy.header(version, (host, 1), V4[1])))
    assert edge.count("denied") == 2


@pytest.mark.parametrize("more", [False, True])
def test_a_unix_socket_may_be_accepted_from_whatever_is_allowed(home, more):
    path = f"{home.path}/edge.sock"
    fake = home.fake(proxy.source_then_echo)
    keys = {"bind": [f"unix:{path}", f"127.0.0.1:{free_port()}"], "allow": "192.0.2.1"}
    edge = Edge(home, tcp_backend(fake, send_proxy="v1"), accept_proxy="yes",
                **keys if more else {"bind": f"unix:{path}"})
    assert read_line(edge.connect(proxy.header(2, *V4), address=path)) == said(V4[0])
    assert read_line(edge.connect(proxy.header(1, None, None), address=path)) == "nobody"


def test_the_client_is_told_to_the_server_that_its_name_leads_to(home):
    """Only there a PROXY header is sent on: which backend it is, is known later than the client."""
    fake = home.fake(proxy.source_then_echo)
    edge = Edge(home, tcp_backend(home.fake(echo)) + tcp_backend(fake, name="named",
                                                                 send_proxy="v2"),
                accept_proxy="yes", allow="127.0.0.1", sni="a.example named")
    sock = edge.connect(proxy.header(2, *V4) + real("a.example"))
    assert read_line(sock) == said(V4[0])
    data = real("b.example")
    assert proxy.read_exactly(edge.connect(proxy.header(2, *V4) + data), len(data)) == data


# What is no header.

V4_BLOCK = proxy.binary(*V4)[16:]
BAD = {
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tls": b"\x16\3\1\2\0\1\0\1\xfc\3\3",
    "zeros": bytes(100),
    "almost v1": b"PROXI TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "almost v2": proxy.SIGNATURE[:-1] + b"\r" + bytes(4),
    "other family": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "port": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
    "leading zero": b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
    "two spaces": b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
    "no carriage return": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
    "words": b"PROXY TCP4 one two three four\r\n",
    "long line": b"PROXY UNKNOWN " + b"x" * 93,
    "version": proxy.fixed(1, proxy.TCP4, V4_BLOCK, version=3),
    "command": proxy.fixed(2, proxy.TCP4, V4_BLOCK),
    "datagram": proxy.fixed(1, 0x12, V4_BLOCK),
    "family": proxy.fixed(1, 0x41, V4_BLOCK),
    "short": proxy.fixed(1, proxy.TCP4, V4_BLOCK[:-1]),
    "short v6": proxy.fixed(1, proxy.TCP6, V4_BLOCK),
    "long": proxy.fixed(1, proxy.TCP4, V4_BLOCK, length=proxy.LONGEST - 15),
    "longest": proxy.fixed(1, proxy.TCP4, V4_BLOCK, length=65535),
}


def test_what_is_no_header_is_refused_at_once_and_counted(home):
    """At once: handshake_timeout is ten minutes here, and none of them is more than begun."""
    server = home.fake(echo)
    edge = accepting(home, server)
    held = edge.connect(proxy.header(1, *V4))
    echoes(held)
    for count, (name, data) in enumerate(BAD.items(), 1):
        edge.refuses(data)
        stats = edge.wait_count("refused_proxy", count)
        assert stats.server("fake")["sessions"] == 1, name
    assert server.accepted == 1
    echoes(held)
    echoes(edge.connect(proxy.header(2, *V4)))
    edge.wait_sessions(2)
    edge.wait_log("127.0.0.1")


def test_a_flood_of_garbage_does_not_flood_the_log(home):
    edge = accepting(home, home.fake(echo))
    for _ in range(300):
        with connect(edge.address) as sock:
            sock.sendall(BAD["http"])
            assert ending(sock) == b""
    edge.wait_count("refused_proxy", 300)
    clock = Clock()
    edge.wait_sessions()
    assert edge.router.log.count("\n") < 100 + 20 * clock.seconds()
    assert "GET /" not in edge.router.log


def test_a_late_header_is_refused_however_it_drips(home):
    edge = accepting(home, home.fake(echo), handshake_timeout="300ms")
    silent = edge.connect()
    begun = edge.connect(b"PROXY TCP4 1.2")
    assert ending(silent) == b"" and ending(begun) == b""
    edge.wait_count("refused_proxy", 2)
    slow = proxy.fixed(1, proxy.TCP4, V4_BLOCK + bytes(2000))
    clock = Clock()

    def pause():
        began = clock.seconds()
        until(lambda: clock.passed(began + 0.02), "a pause")

    assert drip(edge.connect(), slow, pause) < len(slow)
    edge.wait_count("refused_proxy", 3)
    edge.wait_sessions()


@VERSIONS
def test_clients_that_leave_within_the_header_are_counted_and_leave_nothing_behind(home, version):
    server = home.fake(echo)
    edge = accepting(home, server)
    whole = proxy.header(version, *V4)
    before = edge.router.process.sockets()
    lengths = range(1, len(whole), 4)
    for length in lengths:
        fin, rst = edge.connect(whole[:length]), edge.connect(whole[:length])
        fin.shutdown(socket.SHUT_WR)
        assert ending(fin) == b""
        reset(rst)
    edge.wait_count("refused_proxy", 2 * len(lengths))
    edge.wait_sessions()
    until(lambda: edge.router.process.sockets() <= before, "their sockets to be closed")
    assert server.accepted == 0
    echoes(edge.connect(whole))


def test_who_only_looks_whether_the_port_is_open_is_no_bad_client(home):
    """As load balancers do, with a FIN."""
    edge = accepting(home, home.fake(echo))
    for _ in range(10):
        sock = edge.connect()
        sock.shutdown(socket.SHUT_WR)
        assert ending(sock) == b""
    edge.wait_sessions()
    assert edge.count("refused_proxy") == 0
    assert "127.0.0.1 is refused" not in edge.router.log


# With TLS, with other protocols, and with real senders.


@pytest.fixture
def leaf(home):
    return Authority(home.directory("ca")).leaf(names=["a.example"])


@VERSIONS
@pytest.mark.parametrize("whole", [True, False])
def test_tls_may_begin_behind_the_header(home, leaf, version, whole):
    """In one segment with it, or not."""
    edge = telling(home, tls="yes", tls_cert=leaf.cert, tls_key=leaf.key)
    came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = trusting_all().wrap_bio(came, out, server_hostname="a.example")
    sock = edge.connect() if whole else edge.connect(proxy.header(version, *V4))
    said_before = proxy.header(version, *V4) if whole else b""

    def step(call):
        nonlocal said_before
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                sock.sendall(said_before + out.read())
                said_before = b""
                came.write(sock.recv(65536))

    step(secure.do_handshake)
    line = b""
    while not line.endswith(b"\n"):
        line += step(lambda: secure.read(100))
    assert line.decode().strip() == said(V4[0])
    secure.write(b"inside")
    assert step(lambda: secure.read(100)) == b"inside"
    edge.wait_count("tls_handshakes", 1)


def test_a_header_inside_tls_is_data(home, leaf):
    edge = accepting(home, home.fake(echo), tls="yes", tls_cert=leaf.cert, tls_key=leaf.key)
    edge.refuses(real("a.example"))
    edge.wait_count("refused_proxy", 1)
    sock = edge.connect(proxy.header(1, *V4))
    with trusting_all().wrap_socket(sock, server_hostname="a.example") as secure:
        secure.sendall(proxy.header(1, *V4))
        assert proxy.read_exactly(secure, 30) == proxy.header(1, *V4)[:30]


@VERSIONS
def test_mariadb_sees_the_client_of_the_header(home, version):
    """A header comes before the server's greeting, and again before it at the server."""
    mariadb = home.keep(MariaDB(home.directory("m"), "m",
                                options={"proxy-protocol-networks": "127.0.0.1"})).start()
    edge = Edge(home, section("backend b", protocol="mysql", probe="off", send_proxy=f"v{version}",
                              server=servers(mariadb)), accept_proxy="yes", allow="127.0.0.1")
    sock = edge.connect(proxy.header(version, *V4))
    client = sql_connect(user=NOBODY[0], password=NOBODY[1], defer_connect=True)
    client.connect(sock)
    with client.cursor() as cursor:
        cursor.execute("SELECT USER()")
        assert cursor.fetchall() == (("nobody@192.0.2.7",),)
    client.close()


HAPROXY = """defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 5s
listen l
    bind 127.0.0.1:{port}
    server router 127.0.0.1:{to} {send} check inter 100ms
"""


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn",
                                  "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_sends_what_we_accept(home, send):
    """Its health checks as well, which speak for nobody."""
    edge = telling(home)
    port = free_port()
    path = home.file("haproxy.cfg", HAPROXY.format(port=port, to=edge.port, send=send))
    haproxy = Process(["haproxy", "-db", "-f", path], f"{home.path}/haproxy.log")
    home.keep(Closing(haproxy))
    until(lambda: is_open(local(port)), "HAProxy to listen", 10)
    with connect(local(port), source="127.0.0.77") as sock:
        assert read_line(sock) == own(sock)
        echoes(sock, b"x" * 100000)
    edge.router.wait_for(lambda s: s.frontend("f")["sessions_total"] >= 3, "checks", 10)
    assert edge.count("refused_proxy") == 0


class Closing:
    def __init__(self, process):
        self.process = process

    def close(self):
        self.process.kill()


def is_open(address):
    try:
        connect(address).close()
        return True
    except ConnectionRefusedError:
        return False


@VERSIONS
def test_a_router_behind_a_router_knows_the_client(home, version):
    fake = home.fake(proxy.source_then_echo)
    behind = Edge(home, tcp_backend(fake, send_proxy="v1"), accept_proxy="yes", allow="127.0.0.1")
    port = free_port()
    home.router(frontend("g", port, route="any")
                + section("backend b", protocol="tcp", send_proxy=f"v{version}",
                          server=f"r 127.0.0.1:{behind.port}", probe_interval="50ms"))
    with connect(local(port), source="127.0.0.78") as sock:
        assert read_line(sock) == own(sock)
        echoes(sock)
    assert behind.count("refused_proxy") == 0
