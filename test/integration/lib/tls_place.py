"""Routers that end TLS, their clients, and the ways in which certificates are renewed."""
import os
import socket
import ssl

from lib.certificates import Authority, fingerprint, write
from lib.fake import echo
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.sockets import local
from lib.waiting import SLOW

HUB = "hub.example.com"


class Place:
    """An authority, a server that echoes, and routers before it that end TLS."""

    def __init__(self, home):
        self.home = home
        self.folder = home.directory("certificates")
        self.authority = Authority(self.folder)
        self.server = home.fake(echo)

    def sections(self, port=None, backend=None, **keys):
        return (frontend("f", port or free_port(), tls="yes", **keys)
                + tcp_backend(self.server, **(backend or {})))

    def router(self, **keys):
        """(router, port)"""
        port = free_port()
        return self.home.router(self.sections(port, **keys)), port

    def file(self, sections):
        return self.home.file("r.ini", "[router]\nadmin = off\n" + sections)


def connect(place, port, name=HUB):
    """A TLS session with a client that trusts the authority whatever the dates and names."""
    context = ssl.create_default_context(cafile=place.authority.ca)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = socket.create_connection(local(port), timeout=8 * SLOW)
    try:
        return context.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise


def shown(session):
    return fingerprint(session.getpeercert(binary_form=True))


def shown_to_new(place, port, name=HUB):
    with connect(place, port, name) as session:
        return shown(session)


def echoes(session, data=b"still here"):
    session.sendall(data)
    got = b""
    while len(got) < len(data):
        part = session.recv(100)
        assert part, "the session has ended"
        got += part
    return got == data


def tls_of(router, name="f"):
    return router.stats().frontend(name)["tls"]


def content(path):
    with open(path, "rb") as file:
        return file.read()


class InPlace:
    """cert and key as two files that are written over."""

    def __init__(self, folder, leaf):
        self.cert, self.key = os.path.join(folder, "live.crt"), os.path.join(folder, "live.key")
        self.put(leaf)

    def put(self, leaf):
        write(self.cert, content(leaf.cert))
        write(self.key, content(leaf.key), 0o600)


class Renamed(InPlace):
    """New files take the places of the old ones."""

    def put(self, leaf):
        for source, target in ((leaf.cert, self.cert), (leaf.key, self.key)):
            write(target + ".new", content(source), 0o600)
            os.rename(target + ".new", target)


class Swapped:
    """As Kubernetes does it: tls.crt -> ..data/tls.crt, ..data -> ..1; then ..data -> ..2."""

    def __init__(self, folder, leaf):
        self.folder, self.count = folder, 0
        self.cert, self.key = os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key")
        for path in (self.cert, self.key):
            os.symlink(os.path.join("..data", os.path.basename(path)), path)
        self.put(leaf)

    def put(self, leaf):
        self.count += 1
        fresh = os.path.join(self.folder, f"..{self.count}")
        os.mkdir(fresh)
        write(os.path.join(fresh, "tls.crt"), content(leaf.cert))
        write(os.path.join(fresh, "tls.key"), content(leaf.key), 0o600)
        os.symlink(f"..{self.count}", os.path.join(self.folder, "..data_tmp"))
        os.rename(os.path.join(self.folder, "..data_tmp"), os.path.join(self.folder, "..data"))
