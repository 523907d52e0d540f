"""Promise: after the same traffic the numbers are those of a real HAProxy, by its own names."""
import os
import socket

import pytest

from lib.csv_stats import header, rows
from lib.fake import reset
from lib.ini import frontend, section
from lib.process import Process, free_port
from lib.prometheus import parse_metrics
from lib.sockets import local
from lib.waiting import SLOW, until
from lib.web import fetch

CONFIG = """global
    maxconn 500
    nbthread 1
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout queue 10s
frontend plain
    bind 127.0.0.1:{plain}
    maxconn 100
    default_backend echo
frontend guarded
    bind 127.0.0.1:{guarded}
    tcp-request connection reject
    default_backend dead
backend echo
    server s1 {echo} check inter 100ms rise 1 fall 2 maxconn 3 weight 7
backend dead
    server d1 {dead} check inter 100ms rise 1 fall 2
    server d2 {spare} check inter 100ms rise 1 fall 2 backup
frontend numbers
    bind 127.0.0.1:{numbers}
    mode http
    http-request use-service prometheus-exporter if {{ path /metrics }}
    stats enable
    stats uri /
"""

# Columns that depend on when it was started and asked, on words, or on what one of the two counts
# and the other does not.
WHEN = {"rate", "rate_max", "conn_rate", "conn_rate_max", "req_rate", "req_rate_max", "lastchg",
        "downtime", "lastsess", "chkfail", "chkdown", "check_duration", "qtime", "ctime", "ttime",
        "qtime_max", "ctime_max", "ttime_max"}
OWN = {"iid", "sid", "pid", "addr", "algo", "last_chk", "need_conn_est", "check_health"}
FULLCONN = {"slim"}  # of a backend: HAProxy's fullconn, which nobody has set
SERVER_OF_NUMBERS = {"numbers"}


def echo_or_reset(_server, sock):
    while data := sock.recv(65536):
        if data == b"reset":
            reset(sock)
            return
        sock.sendall(data)


class Pair:
    """The same frontends and backends, in HAProxy and in the router, before the same servers."""

    def __init__(self, home):
        self.echo = home.fake(echo_or_reset, name="s1")
        ports = {name: free_port() for name in ("plain", "guarded", "numbers")}
        dead, spare = (f"127.0.0.1:{free_port()}" for _ in range(2))
        path = home.file("haproxy.cfg", CONFIG.format(
            echo=self.echo.text, dead=dead, spare=spare, **ports))
        self.haproxy = Process(["haproxy", "-db", "-f", path],
                               os.path.join(home.path, "haproxy.log"))
        home.keep(self)
        self.haproxy_port = ports["numbers"]
        self.haproxy_ports = ports
        self.router_ports = {"plain": free_port(), "guarded": free_port()}
        quick = {"probe_interval": "100ms", "probe_fall": 2, "protocol": "tcp"}
        self.router = home.router(
            frontend("plain", self.router_ports["plain"], "echo", max_sessions=100) +
            frontend("guarded", self.router_ports["guarded"], "dead", deny="0.0.0.0/0") +
            section("backend echo", server=f"s1 {self.echo.text} weight=7 "
                    "server_max_connections=3", **quick) +
            section("backend dead", server=[f"d1 {dead}", f"d2 {spare} backup"], **quick),
            workers=1, max_sessions=500)
        until(self._both_know, "both to have asked the servers", 10)

    def close(self):
        self.haproxy.kill()

    def _both_know(self):
        try:
            both = self.csv()
        except OSError:
            return False
        return all(of["echo", "s1"]["status"] == "UP" and of["dead", "d2"]["status"] == "DOWN"
                   for of in both)

    def fetch(self, path):
        return [fetch(local(port), path).decode()
                for port in (self.haproxy_port, self.router.admin_port)]

    def csv(self):
        return [rows(text) for text in self.fetch("/;csv")]

    def wait_empty(self, of):
        until(lambda: (self.csv()[of]["plain", "FRONTEND"]["scur"],
                       self.csv()[of]["echo", "s1"]["scur"]) == ("0", "0"), "all to have left")

    def metrics(self):
        return [parse_metrics(text, strict=False) for text in self.fetch("/metrics")]


def talk(port, all_left):
    """Sessions one by one, five at once where three have a place, ends of all kinds."""
    for size in (1, 100, 30000):
        with socket.create_connection(local(port), timeout=8 * SLOW) as sock:
            sock.sendall(b"x" * size)
            read(sock, size)
    all_left()
    crowd = [socket.create_connection(local(port), timeout=8 * SLOW) for _ in range(3)]
    for sock in crowd:
        sock.sendall(b"y" * 50)
        read(sock, 50)
    late = [socket.create_connection(local(port), timeout=8 * SLOW) for _ in range(2)]
    for sock in late:
        sock.sendall(b"z" * 10)
    return crowd, late


def leave(port, crowd, late, all_left):
    for sock in crowd:
        sock.close()
    for sock in late:
        read(sock, 10)
        sock.close()
    all_left()
    for _ in range(2):
        sock = socket.create_connection(local(port), timeout=8 * SLOW)
        sock.sendall(b"mine")
        read(sock, 4)
        reset(sock)
    with socket.create_connection(local(port), timeout=8 * SLOW) as sock:
        sock.sendall(b"reset")
        see_the_end(sock)


def see_the_end(sock):
    """HAProxy makes a FIN of a server's reset."""
    try:
        assert sock.recv(1) == b""
    except ConnectionResetError:
        pass


def read(sock, count):
    while count > 0:
        data = sock.recv(65536)
        assert data
        count -= len(data)


def be_denied(port):
    for _ in range(4):
        try:
            sock = socket.create_connection(local(port), timeout=8 * SLOW)
        except ConnectionResetError:  # the denial was faster than connect()
            continue
        with sock:
            see_the_end(sock)


@pytest.fixture(scope="module")
def pair(shared_home):
    """Both have had the same clients, who are all gone."""
    pair = Pair(shared_home)
    for ports, of in ((pair.haproxy_ports, 0), (pair.router_ports, 1)):
        def all_left(of=of):
            pair.wait_empty(of)
        crowd, late = talk(ports["plain"], all_left)
        until(lambda of=of: pair.csv()[of]["echo", "BACKEND"]["scur"] == "5", "five sessions")
        leave(ports["plain"], crowd, late, all_left)
        be_denied(ports["guarded"])
        pair.wait_empty(of)
        until(lambda of=of: pair.csv()[of]["guarded", "FRONTEND"]["dcon"] == "4", "the denials")
    return pair


def test_the_csv_has_haproxys_columns_in_haproxys_order(pair):
    haproxy, router = map(header, pair.fetch("/;csv"))
    known = haproxy[:haproxy.index("-")]  # behind it stand those of its modules
    assert router[:len(known)] == known
    assert router[len(known):] == (
        "srid,sess_other,h1sess,h2sess,h3sess,req_other,h1req,h2req,h3req,proto,priv_idle_cur,"
        "reqbin,reqbout,resbin,resbout,cache_hint_hits").split(",")


def test_both_paths_of_the_csv_are_known(pair):
    for path in ("/;csv", "/stats;csv"):
        assert header(fetch(local(pair.router.admin_port), path).decode())[0] == "pxname"


def test_the_csv_has_haproxys_rows(pair):
    haproxy, router = pair.csv()
    assert set(router) == {of for of in haproxy if of[0] not in SERVER_OF_NUMBERS}
    assert [of[1] for of in router if of[0] == "dead"] == ["d1", "d2", "BACKEND"]


def differences(haproxy, router, but):
    return {column: (value, router[column]) for column, value in haproxy.items()
            if column in router and column not in but and value != router[column]}


def test_the_csv_has_the_same_numbers_after_the_same_traffic(pair):
    haproxy, router = pair.csv()
    assert router["echo", "s1"]["stot"] == "11" and router["echo", "s1"]["smax"] == "3"
    assert router["echo", "BACKEND"]["smax"] == "5" and router["echo", "BACKEND"]["cli_abrt"] == "2"
    for of, row in router.items():
        but = WHEN | OWN | (FULLCONN if of[1] == "BACKEND" else set())
        if of[1] == "s1":
            but = but | {"qmax", "lbtot"}  # who waits here waits for the backend
        if of[1] == "BACKEND":
            but = but | {"qmax", "lbtot"}
        if of == ("guarded", "FRONTEND"):
            but = but | {"smax"}  # for HAProxy who is denied was there for a moment
        assert differences(haproxy[of], row, but) == {}, of


def test_who_waited_is_counted_for_the_backend(pair):
    backend = pair.csv()[1]["echo", "BACKEND"]
    assert (backend["qmax"], backend["qcur"], backend["lbtot"]) == ("2", "0", "9")


def test_what_both_export_has_the_same_type_and_labels(pair):
    haproxy, router = pair.metrics()
    ours = {name for name in router if name.startswith("haproxy_")}
    assert len(ours) > 90 and ours <= set(haproxy), ours - set(haproxy)
    for name in ours:
        assert router[name][0] == haproxy[name][0], name
        keys = [{tuple(key for key, _ in labels) for labels in of[name][1]}
                for of in (haproxy, router)]
        assert keys[1] <= keys[0], name


# What HAProxy measures for itself, or counts with the connections that ask for these numbers.
PROCESS = "haproxy_process_"
TIMES = ("_seconds", "_seconds_total", "_rate", "_rate_max", "_check_failures_total",
         "_check_up_down_total", "_max_queue", "_loadbalanced_total")


def test_what_both_export_has_the_same_values_after_the_same_traffic(pair):
    haproxy, router = pair.metrics()
    compared = 0
    for name, (_, series) in router.items():
        if not name.startswith("haproxy_") or name.startswith(PROCESS) or name.endswith(TIMES):
            continue
        for labels, value in series.items():
            if name == "haproxy_frontend_max_sessions" and ("proxy", "guarded") in labels:
                continue
            assert haproxy[name][1][labels] == value, (name, labels)
            compared += 1
    assert compared > 150
    assert router["haproxy_process_nbthread"] == haproxy["haproxy_process_nbthread"]
    assert router["haproxy_process_max_connections"] == haproxy["haproxy_process_max_connections"]
    denied, taken = 4, 11
    assert router["haproxy_process_connections_total"][1][()] == denied + taken
