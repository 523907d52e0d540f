"""Promise: a certificate that cannot be used ends the start; one that was renewed is shown to new
clients and servers without a restart, while running sessions keep theirs."""
import os
import re
import socket
import ssl

import pytest

from lib.certificates import Authority, fingerprint, write
from lib.ini import frontend, section, servers, tcp_backend
from lib.process import free_port
from lib.router import run
from lib.sockets import local
from lib.tls_place import (HUB, InPlace, Place, Renamed, Swapped, connect, content, echoes, shown,
                           shown_to_new, tls_of)
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize

STAMP = r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "


@pytest.fixture
def place(home):
    return Place(home)


# --- the start ---


def other_key(place):
    ours, theirs = place.authority.leaf(names=[HUB]), place.authority.leaf(names=[HUB])
    return ({"tls_cert": ours.cert, "tls_key": theirs.key},
            f"the private key in {theirs.key} is not that of the certificate in {ours.cert}")


def other_key_behind_a_good_pair(place):
    good = place.authority.leaf(names=["good.example.com"])
    bad, words = other_key(place)
    return ({"tls_cert": [good.cert, bad["tls_cert"]], "tls_key": [good.key, bad["tls_key"]]},
            words)


def no_file(place):
    path = os.path.join(place.folder, "nothing.pem")
    return {"tls_cert": path}, f"cannot read certificates from {path}: no such file or directory"


def no_key_file(place):
    leaf, path = place.authority.leaf(names=[HUB]), os.path.join(place.folder, "nothing.key")
    return ({"tls_cert": leaf.cert, "tls_key": path},
            f"cannot read the private key from {path}: no such file or directory")


def no_certificate_in_it(place):
    leaf = place.authority.leaf(names=[HUB])
    return {"tls_cert": leaf.key}, f"cannot read certificates from {leaf.key}: there is none in it"


def no_key_in_it(place):
    leaf = place.authority.leaf(names=[HUB])
    return ({"tls_cert": leaf.cert},
            f"cannot read the private key from {leaf.cert}: there is none in it")


def a_folder(place):
    return ({"tls_cert": place.folder},
            f"cannot read certificates from {place.folder}: it is not a file")


def a_pipe(place):
    """Opening it would wait for somebody to write, for ever."""
    path = os.path.join(place.folder, "pipe")
    os.mkfifo(path)
    return {"tls_cert": path}, f"cannot read certificates from {path}: it is not a file"


def no_authority(place):
    leaf = place.authority.leaf(names=[HUB])
    path = write(os.path.join(place.folder, "junk"), b"not a certificate\n")
    return ({"tls_cert": leaf.pem, "tls_client_ca": path},
            f"cannot read certificates from {path}: there is none in it")


def servers_authority(place):
    leaf = place.authority.leaf(names=[HUB])
    return ({"tls_cert": leaf.pem, "backend": {"tls": "yes", "tls_ca": leaf.key}},
            f"cannot read certificates from {leaf.key}: there is none in it")


def client_certificate(place):
    leaf, bad = place.authority.leaf(names=[HUB]), other_key(place)
    return {"tls_cert": leaf.pem, "backend": {"tls": "yes", **bad[0]}}, bad[1]


@pytest.mark.parametrize("fault", [
    other_key, other_key_behind_a_good_pair, no_file, no_key_file, no_certificate_in_it,
    no_key_in_it, a_folder, a_pipe, no_authority, servers_authority, client_certificate])
def test_a_file_that_cannot_be_used_ends_the_start_in_one_line(place, fault):
    keys, words = fault(place)
    path = place.file(place.sections(**keys))
    whose = "backend b" if "backend" in keys else "frontend f"
    for args in (["-t"], ["--probe"], []):
        done = run(*args, "-c", path)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert done.stderr == f"router: {whose}: {words}\n", done.stderr


def test_good_files_pass_the_test_and_say_nothing(place):
    leaf = place.authority.leaf(names=[HUB])
    client = place.authority.leaf(name="router", client=True)
    path = place.file(place.sections(
        tls_cert=leaf.cert, tls_key=leaf.key, tls_client_ca=place.authority.ca, sni=f"{HUB} b",
        backend={"tls": "yes", "tls_ca": place.authority.ca, "tls_cert": client.pem}))
    done = run("-t", "-c", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: ok\n", "")


# --- several ---


def test_the_certificate_is_the_one_for_the_name_that_the_client_asks_for(place):
    one, two, wild = (place.authority.leaf(names=[name], key=kind) for name, kind in
                      (("one.example.com", "ec"), ("two.example.com", "rsa"),
                       ("*.example.com", "ec")))
    _, port = place.router(tls_cert=[one.cert, two.cert, wild.cert],
                           tls_key=[one.key, two.key, wild.key])
    for name, leaf in (("one.example.com", one), ("two.example.com", two),
                       ("TWO.example.com", two), ("three.example.com", wild),
                       ("a.b.example.com", one), ("elsewhere.org", one), (None, one)):
        assert shown_to_new(place, port, name) == leaf.fingerprint, name


# --- read again ---


@pytest.mark.parametrize("way", [InPlace, Renamed, Swapped])
def test_a_renewed_certificate_is_shown_to_new_clients_and_sessions_live_on(place, way):
    old = place.authority.leaf(names=[HUB], days=20)
    new = place.authority.leaf(names=[HUB, "more.example.com"], days=90)
    live = way(place.home.directory("live"), old)
    router, port = place.router(tls_cert=live.cert, tls_key=live.key)
    with connect(place, port) as session:
        assert shown(session) == old.fingerprint and echoes(session)
        live.put(new)
        until(lambda: shown_to_new(place, port) == new.fingerprint, "the new certificate", 10)
        assert echoes(session) and shown(session) == old.fingerprint
        certificate, = tls_of(router)["certificates"]
        assert certificate["days_left"] == 90
        assert tls_of(router)["problem"] is None
        line = f"level=info msg=\"frontend=f its TLS files were read again: {live.cert} " \
               f"({HUB} more.example.com; 90 days left)\"\n"
        assert router.log.count(line) == 1, router.log
        live.put(old)
        until(lambda: shown_to_new(place, port) == old.fingerprint, "the old one again", 10)
        assert echoes(session)
    assert router.log.count("were read again") <= 4  # a pair may be seen half-written


def test_all_workers_show_the_new_certificate(place):
    old, new = (place.authority.leaf(names=[HUB]) for _ in range(2))
    live = InPlace(place.home.directory("live"), old)
    port = free_port()
    place.home.router(place.sections(port, tls_cert=live.cert, tls_key=live.key), workers=4)
    live.put(new)

    def all_new():
        return {shown_to_new(place, port) for _ in range(20)} == {new.fingerprint}

    until(all_new, "each of twenty clients to see the new one", 10)


HALVES = {
    "a new certificate beside the old key": lambda live, new: write(live.cert, content(new.cert)),
    "a new key beside the old certificate": lambda live, new: write(live.key, content(new.key)),
    "half of the certificate": lambda live, new: write(live.cert, content(new.cert)[:300]),
    "an empty file": lambda live, new: write(live.key, b""),
    "no file": lambda live, new: os.unlink(live.cert),
}


@pytest.mark.parametrize("half", list(HALVES))
def test_a_pair_that_is_not_whole_leaves_the_old_one_in_use(place, half):
    old, new = (place.authority.leaf(names=[HUB]) for _ in range(2))
    live = InPlace(place.home.directory("live"), old)
    router, port = place.router(tls_cert=live.cert, tls_key=live.key)
    HALVES[half](live, new)
    problem = router.wait_for(lambda s: s.frontend()["tls"]["problem"], "it to be told", 10)
    words = problem.frontend()["tls"]["problem"]
    assert re.fullmatch(r"its TLS files cannot be used as they are now \(.*/live\.(crt|key).*\): "
                        "what they held before stays in use", words), words
    metric = 'router_frontend_tls_unread{proxy="f"} %d\n'
    assert metric % 1 in router.http("/metrics")[1]
    assert shown_to_new(place, port) == old.fingerprint
    looks = router.stats()["router"]["uptime_ms"]
    router.wait_for(lambda s: s["router"]["uptime_ms"] > looks + 2500, "two more looks", 20)
    assert router.log.count("cannot be used as they are now") == 1, router.log
    live.put(new)
    until(lambda: shown_to_new(place, port) == new.fingerprint, "the whole pair", 10)
    assert tls_of(router)["problem"] is None
    assert metric % 0 in router.http("/metrics")[1]


def test_a_pair_that_is_put_back_as_it_was_is_no_problem_any_more(place):
    leaf = place.authority.leaf(names=[HUB])
    router, port = place.router(tls_cert=leaf.cert, tls_key=leaf.key)
    os.rename(leaf.key, leaf.key + ".away")
    router.wait_for(lambda s: s.frontend()["tls"]["problem"], "it to be missed", 10)
    os.rename(leaf.key + ".away", leaf.key)
    router.wait_for(lambda s: not s.frontend()["tls"]["problem"], "it to be well again", 10)
    assert "its TLS files are the old ones again" in router.log
    assert shown_to_new(place, port) == leaf.fingerprint


def test_one_frontends_files_are_no_matter_to_another(place):
    one, two, new = (place.authority.leaf(names=[HUB]) for _ in range(3))
    ports = [free_port(), free_port()]
    router = place.home.router(
        frontend("f", ports[0], tls="yes", tls_cert=one.pem)
        + frontend("g", ports[1], tls="yes", tls_cert=two.pem) + tcp_backend(place.server))
    write(one.pem, b"")
    router.wait_for(lambda s: s.frontend("f")["tls"]["problem"], "it to be told", 10)
    write(two.pem, content(new.pem))
    until(lambda: shown_to_new(place, ports[1]) == new.fingerprint, "the other's new one", 10)
    assert shown_to_new(place, ports[0]) == one.fingerprint
    assert tls_of(router, "g")["problem"] is None


def test_who_may_sign_clients_certificates_is_read_again(place):
    leaf = place.authority.leaf(names=[HUB])
    others = Authority(place.home.directory("others"), "Other CA")
    ca = write(os.path.join(place.folder, "clients.pem"), content(place.authority.ca))
    mine = others.leaf(name="client", client=True)
    _, port = place.router(tls_cert=leaf.pem, tls_client_ca=ca)
    context = ssl.create_default_context(cafile=place.authority.ca)
    context.load_cert_chain(mine.cert, mine.key)

    def lets_in():
        with socket.create_connection(local(port), timeout=8 * SLOW) as sock:
            try:
                with context.wrap_socket(sock, server_hostname=HUB) as session:
                    return echoes(session)
            except (ssl.SSLError, ConnectionError):
                return False

    assert not lets_in()
    write(ca, content(others.ca))
    until(lets_in, "the new authority to count", 10)


def test_a_file_that_is_named_by_a_descriptor_will_not_be_seen_to_change(place):
    leaf = place.authority.leaf(names=[HUB])
    path = place.file(place.sections(tls_cert=leaf.cert, tls_key="/dev/fd/0"))
    with open(leaf.key, "rb") as key:
        done = run("-t", "-c", path, stdin=key)
    assert done.stdout == f"{path}: ok\n"
    assert re.fullmatch(STAMP + "level=warn msg=\"frontend=f /dev/fd/0 is an open file: one that "
                        "takes its place will not be read again\"\n", done.stderr), done.stderr


# --- to servers ---


class Greeter:
    """A server that demands a client's certificate and notes which one it saw."""

    def __init__(self, place, leaf):
        self.seen = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(leaf.cert, leaf.key)
        self.context.load_verify_locations(place.authority.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.fake = place.home.fake(self.serve, "greeter")

    def serve(self, _server, sock):
        try:
            with self.context.wrap_socket(sock, server_side=True) as session:
                seen = fingerprint(session.getpeercert(binary_form=True))
                self.seen.append(seen)
                session.sendall(b"+PONG\r\n")
                while data := session.recv(1000):
                    if data.startswith(b"GET"):
                        session.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                                        b"Connection: close\r\n\r\n")
        except (ssl.SSLError, OSError):
            pass


@pytest.mark.parametrize("whose", ["sessions", "probes"])
def test_the_certificate_that_is_shown_to_servers_is_read_again(place, whose):
    server = Greeter(place, place.authority.leaf(ips=["127.0.0.1"]))
    old, new = (place.authority.leaf(name="router", client=True) for _ in range(2))
    live = InPlace(place.home.directory("live"), old)
    keys = {"tls_ca": place.authority.ca, "tls_cert": live.cert, "tls_key": live.key}
    if whose == "sessions":
        keys.update(tls="yes", probe="off")
    else:
        keys.update(probe_tls="yes", http_check="GET /", probe_interval="50ms",
                    probe_fast_interval="20ms", probe_keep="no")
    port = free_port()
    router = place.home.router(frontend("f", port) + section(
        "backend b", protocol="tcp", server=servers(server.fake), **keys))

    def last():
        if whose == "sessions":
            with socket.create_connection(local(port), timeout=8 * SLOW) as client:
                client.recv(100)
        return server.seen[-1] if server.seen else None

    until(lambda: last() == old.fingerprint, "the certificate to be shown", 10)
    live.put(new)
    until(lambda: last() == new.fingerprint, "the new one to be shown", 10)
    assert f"level=info msg=\"backend=b its TLS files were read again: {live.cert} " in router.log
