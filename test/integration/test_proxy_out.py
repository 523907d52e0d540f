"""Promise: with send_proxy a server learns the client's address before the first byte, from each
connection once; probes say that they speak for nobody, and work. MariaDB, nginx and HAProxy agree.
"""
import contextlib
import socket

import pymysql
import pytest

from lib import proxy_header as proxy
from lib.certificates import Authority
from lib.edge import Edge
from lib.fake import echo, fake_redis, name_then_echo, primary_answers
from lib.ini import frontend, redis_backend, section, servers, tcp_backend
from lib.mariadb import NOBODY, PROBER, MariaDB, connect as sql_connect
from lib.nginx import Nginx
from lib.process import Process, free_port
from lib.relays import QUICK
from lib.resp import Resp, connect
from lib.sockets import local, read_all, read_line
from lib.waiting import until

VERSIONS = pytest.mark.parametrize("version", [1, 2])


def sending(home, version, *fakes, bind=None, **keys):
    return Edge(home, tcp_backend(*fakes, send_proxy=f"v{version}", **keys), bind=bind)


def only(fake):
    """The one header that this server was told."""
    until(lambda: getattr(fake, "headers", []), "a header")
    assert len(fake.headers) == 1
    return fake.headers[0]


# What is sent.


@pytest.mark.sanitize
@VERSIONS
def test_the_header_names_the_client_and_where_it_connected_to(home, version):
    fake = home.fake(proxy.source_then_echo)
    edge = sending(home, version, fake)
    sock = edge.connect(b"from the first byte", source="127.0.0.33")
    assert read_line(sock) == "127.0.0.33 {}".format(sock.getsockname()[1])
    assert proxy.read_exactly(sock, 19) == b"from the first byte"
    found = only(fake)
    assert found.version == version
    assert (found.source, found.target) == (sock.getsockname(), edge.address)
    assert found.raw == proxy.header(version, sock.getsockname(), edge.address)


@pytest.mark.sanitize
@VERSIONS
def test_ipv6_clients_are_named_too(home, version):
    port = free_port("::1")
    fake = home.fake(proxy.source_then_echo)
    edge = sending(home, version, fake, bind=f"[::1]:{port}")
    sock = edge.connect(address=("::1", port))
    read_line(sock)
    assert only(fake).raw == proxy.header(version, sock.getsockname()[:2], ("::1", port))


@pytest.mark.sanitize
@VERSIONS
def test_ipv4_clients_of_a_dual_address_are_named_as_ipv4(home, version):
    fake = home.fake(proxy.source_then_echo)
    port = free_port()
    edge = sending(home, version, fake, bind=f":{port}")
    sock = edge.connect(address=local(port))
    read_line(sock)
    assert only(fake).raw == proxy.header(version, sock.getsockname(), local(port))


@pytest.mark.sanitize
@VERSIONS
def test_clients_of_a_unix_socket_are_nobody(home, version):
    path = f"{home.path}/front.sock"
    fake = home.fake(proxy.source_then_echo)
    edge = sending(home, version, fake, bind=f"unix:{path}")
    assert read_line(edge.connect(address=path)) == "nobody"
    assert only(fake).raw == proxy.header(version, None, None)


@pytest.mark.sanitize
@VERSIONS
def test_a_server_of_a_unix_socket_is_told_of_the_client(home, version):
    fake = home.fake(proxy.source_then_echo, path=f"{home.path}/server.sock")
    edge = sending(home, version, fake)
    sock = edge.connect()
    read_line(sock)
    assert only(fake).raw == proxy.header(version, sock.getsockname(), edge.address)


@pytest.mark.sanitize
@VERSIONS
def test_each_connection_has_one_header_and_all_of_its_bytes(home, version):
    """The server that is tried first takes no connects."""
    fake = home.fake(proxy.source_then_echo, "one")
    edge = Edge(home, section("backend b", protocol="tcp", probe="off", balance="first",
                              send_proxy=f"v{version}",
                              server=[f"gone 127.0.0.1:{free_port()}", f"one {fake.text}"]))
    data = bytes(range(256)) * 1000
    clients = [edge.connect() for _ in range(20)]
    for sock in clients:
        assert read_line(sock).split()[1] == str(sock.getsockname()[1])
    for sock in clients:
        sock.sendall(data)
        assert proxy.read_exactly(sock, len(data)) == data
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""
    assert len(fake.headers) == 20
    assert len({found.source for found in fake.headers}) == 20


@pytest.mark.sanitize
@VERSIONS
def test_who_waited_for_a_place_is_named_as_well(home, version):
    fake = home.fake(proxy.source_then_echo)
    edge = sending(home, version, fake, server_max_connections=1)
    first = edge.connect()
    read_line(first)
    second = edge.connect(b"meanwhile")
    edge.router.wait_for(lambda s: s.backend()["waiting"] == 1, "the second to wait")
    first.close()
    assert read_line(second).split()[1] == str(second.getsockname()[1])
    assert proxy.read_exactly(second, 9) == b"meanwhile"


# Probes.


@pytest.mark.sanitize
@VERSIONS
def test_probes_speak_for_nobody_and_work(home, version):
    """Of the router itself, by its own address, would be right as well."""
    fake = home.fake(proxy.expecting(fake_redis(primary_answers)), "one")
    port = free_port()
    router = home.router(frontend("f", port) + redis_backend(fake, send_proxy=f"v{version}"))
    router.wait_primary("one")
    of_probes = {found.source for found in fake.headers}
    assert of_probes <= {None} | set(fake.peers), "a probe spoke for somebody else"
    with Resp(local(port)) as client:
        assert client.call("PING") == "PONG"
        assert client.sock.getsockname() in [found.source for found in fake.headers]
    assert all(found.version == version for found in fake.headers)


@pytest.mark.sanitize
@VERSIONS
def test_a_probe_of_a_connect_sends_the_header_too(home, version):
    """A server that is only connected to would otherwise log a connection without a header."""
    fake = home.fake(proxy.expecting(name_then_echo))
    edge = sending(home, version, fake, probe="connect", probe_interval="50ms")
    edge.router.wait_for(lambda s: s.server("fake")["state"] == "up", "the server to be up")
    until(lambda: len(getattr(fake, "headers", [])) >= 2, "headers of probes")
    assert all(found.version == version for found in fake.headers)
    with connect(edge.address) as sock:
        assert read_line(sock) == "fake"


@pytest.mark.sanitize
@VERSIONS
def test_a_probe_port_gets_no_header(home, version):
    heard = []

    def answer(_server, sock):
        heard.append(sock.recv(1000))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    checks, fake = home.fake(answer, "checks"), home.fake(proxy.source_then_echo, "one")
    edge = Edge(home, section("backend b", protocol="http", http_check="GET /health",
                              probe_port=checks.port, send_proxy=f"v{version}",
                              server=servers(fake), **QUICK))
    edge.router.wait_for(lambda s: s.server("one")["state"] == "up", "the server to be up")
    sock = edge.connect(b"GET / HTTP/1.1\r\n\r\n")
    assert read_line(sock).split()[1] == str(sock.getsockname()[1])
    assert heard and all(data.startswith(b"GET /health ") for data in heard)


# Real servers.


@VERSIONS
def test_mariadb_knows_the_clients_and_its_probes_are_no_errors(home, version):
    """Every login is that of the client's host, and privileges go by it. After some probes with a
    full login each no connection is counted as aborted."""
    mariadb = home.keep(MariaDB(home.directory("m"), "m",
                                options={"proxy-protocol-networks": "127.0.0.1",
                                         "max-connect-errors": "3"})).start()
    mariadb.add_user("near", "by", host="127.0.0.44")
    port = free_port()
    router = home.router(
        frontend("f", port) + section("backend b", protocol="mysql", send_proxy=f"v{version}",
                                      server=servers(mariadb), probe_user=PROBER[0],
                                      probe_password=PROBER[1], probe_keep="no", **QUICK))
    router.wait_primary("m")
    for source in "127.0.0.43", "127.0.0.44":
        with contextlib.closing(sql_connect(port=port, user=NOBODY[0], password=NOBODY[1],
                                            bind_address=source)) as client:
            with client.cursor() as cursor:
                cursor.execute("SELECT USER()")
                assert cursor.fetchall() == ((f"{NOBODY[0]}@{source}",),)
    sql_connect(port=port, user="near", password="by", bind_address="127.0.0.44").close()
    connected = status(mariadb, "Connections")
    until(lambda: status(mariadb, "Connections") >= connected + 10, "ten more probes", 20)
    assert status(mariadb, "Aborted_connects") == 0
    assert router.stats().server("m")["state"] == "up"
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        sql_connect(port=port, user="near", password="by", bind_address="127.0.0.43")


def status(mariadb, name):
    return int(mariadb.sql("SHOW GLOBAL STATUS LIKE %s", name)[0][1])


NGINX = '"$proxy_protocol_addr $proxy_protocol_port $remote_addr\\n"'
NGINX_HTTP = """    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        location /health {{ return 200; }}
        location / {{ return 200 {says}; }}
    }}
"""
NGINX_STREAM = """    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        return {says};
    }}
"""
HAPROXY = """defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend f
    bind 127.0.0.1:{port} accept-proxy
    http-request return status 200 if {{ path /health }}
    http-request return status 200 content-type text/plain lf-string \
"%[src] %[src_port] %[dst] %[dst_port]\\n"
"""


class Peer:
    """A real server as the router sees it."""

    def __init__(self, home, kind):
        self.name = kind
        self.port = free_port()
        self.text = f"127.0.0.1:{self.port}"
        if kind == "haproxy":
            path = home.file("haproxy.cfg", HAPROXY.format(port=self.port))
            self.process = Process(["haproxy", "-db", "-f", path], f"{home.path}/haproxy.log")
            home.keep(self)
            until(self._listens, "HAProxy to listen", 10)
            return
        authority = Authority(home.directory("ca"))
        blocks = {"http": NGINX_HTTP.format(port=self.port, says=NGINX)} if kind == "nginx" else {
            "stream": NGINX_STREAM.format(port=self.port, says=NGINX)}
        home.keep(Nginx(home.directory("nginx"), authority.leaf(names=["a.example"]),
                        authority.ca, ports=[self.port], **blocks)).wait_up()

    def _listens(self):
        assert self.process.running(), self.process.log
        try:
            connect(local(self.port)).close()
            return True
        except OSError:
            return False

    def close(self):
        self.process.kill()


@VERSIONS
@pytest.mark.parametrize("kind", ["nginx", "nginx-stream", "haproxy"])
def test_nginx_and_haproxy_know_the_clients(home, kind, version):
    peer = Peer(home, kind)
    asks = {"protocol": "tcp", "probe": "connect"} if kind == "nginx-stream" else {
        "protocol": "http", "http_check": "GET /health"}
    edge = Edge(home, section("backend b", send_proxy=f"v{version}", server=servers(peer), **asks,
                              **QUICK))
    edge.router.wait_for(lambda s: s.server(kind)["state"] == "up", "probes to work", 10)
    request = b"" if kind == "nginx-stream" else b"GET / HTTP/1.0\r\n\r\n"
    for source in "127.0.0.1", "127.0.0.55":
        sock = edge.connect(request, source=source)
        words = read_all(sock).split(b"\r\n\r\n")[-1].decode().split()
        assert words[:2] == [source, str(sock.getsockname()[1])]
        assert words[2:] == (["127.0.0.1", str(edge.port)] if kind == "haproxy" else ["127.0.0.1"])


@pytest.mark.sanitize
@VERSIONS
def test_a_server_that_does_not_expect_a_header_takes_it_for_data(home, version):
    """As the manual says: there is no asking whether it does."""
    edge = sending(home, version, home.fake(echo))
    sock = edge.connect(b"hello")
    expected = proxy.header(version, sock.getsockname(), edge.address) + b"hello"
    assert proxy.read_exactly(sock, len(expected)) == expected
