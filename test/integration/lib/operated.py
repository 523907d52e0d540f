"""Two servers without roles, a router before them, and its control socket."""
from lib.fake import name_then_echo
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.runtime import control_of
from lib.sockets import local
from lib.waiting import SLOW


class Plain:
    """Each server says its name, and then what it is told."""

    def __init__(self, home, names=("x", "y"), workers=1, **keys):
        self.home = home
        self.servers = [home.fake(name_then_echo, name) for name in names]
        self.port = free_port()
        options, self.runtime = control_of(home)
        self.router = home.router(frontend("f", self.port) + tcp_backend(*self.servers, **keys),
                                  workers=workers, **options)

    def client(self):
        """(socket, the name of its server)."""
        sock = self.home.keep(connect(local(self.port), 20 * SLOW))
        return sock, sock.recv(100).decode().strip()

    def status(self, server):
        """As "show stat" has it."""
        lines = self.router.http("/;csv")[1].splitlines()
        at = lines[0].split(",").index("status")
        return next(line.split(",")[at] for line in lines if line.startswith(f"b,{server},"))

    def clients(self, count):
        found = [self.client() for _ in range(count)]
        return {name: [sock for sock, of in found if of == name] for _, name in found}

    def wait_access(self, server, access):
        return self.router.wait_for(lambda s: s.server(server)["access"] == access,
                                    f"{server}: {access}")

    def events(self):
        return [event["text"] for event in self.router.stats()["events"]]


def says(sock, data=b"hello"):
    sock.sendall(data)
    return sock.recv(100) == data


def is_cut(sock):
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
