"""MySQL and MariaDB servers that lock an address out after its first broken login.

Two things are exempt from that: 127.0.0.1, and addresses whose names cannot be looked up. So a
`Stranger` stands before such a server and comes to it from another address of the loopback, which
the server's own /etc/hosts knows."""
import select
import socket

import pymysql

from lib.fake import FakeServer, reset
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.process import Process

ADDRESS = "127.0.0.9"
HOSTS = f"127.0.0.1 localhost\n{ADDRESS} stranger.test\n"
OPTIONS = {"skip-name-resolve": False, "max-connect-errors": "1", "max-connections": "1000",
           "back-log": "1000"}
USER = ("app", "of the application")

# Its /etc/hosts is a mount in a namespace that ends with the command.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


class StrictMariaDB(MariaDB):
    MONITOR = "SLAVE MONITOR"  # the privilege to see its replication

    def __init__(self, directory, name="m", options=None):
        super().__init__(directory, name, options={
            **OPTIONS, "plugin-load-add": "auth_ed25519", **(options or {})})

    def start(self, wait=True, arguments=()):
        hosts = f"{self.directory}/hosts"
        with open(hosts, "w", encoding="ascii") as file:
            file.write(HOSTS)
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", WITH_HOSTS, "sh",
                hosts, "mariadbd", f"--defaults-file={self._write_config()}", *arguments]
        self.process = Process(argv, f"{self.directory}/log", env=self.environment())
        if wait:
            self.wait_up()
        return self

    def forget(self):
        self.sql("FLUSH HOSTS")

    def add_users(self):
        self.add_user(*USER)
        self.sql("CREATE USER edward IDENTIFIED VIA ed25519 USING PASSWORD('of edward')")


class StrictMySQL(MySQL):
    MONITOR = "REPLICATION CLIENT"

    def __init__(self, directory, name="m", options=None):
        super().__init__(directory, name, options={**OPTIONS, **(options or {})}, hosts=HOSTS)

    def forget(self):
        self.sql("TRUNCATE performance_schema.host_cache")

    def add_users(self):
        self.add_user(*USER)


class Stranger(FakeServer):
    """What connects here comes to `server` from ADDRESS; the ends are relayed as they are."""

    def __init__(self, server, name="s"):
        self.server = server
        super().__init__(self._relay, name)

    def _relay(self, _server, near):
        with socket.create_connection(self.server.address, 10, (ADDRESS, 0)) as far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers = {near: far, far: near}
            poll = select.poll()
            numbers = {}
            for sock in peers:
                numbers[sock.fileno()] = sock
                poll.register(sock, select.POLLIN)
            while numbers:
                for number, _ in poll.poll():
                    sock = numbers[number]
                    if not self._move(sock, peers[sock]):
                        poll.unregister(sock)
                        del numbers[number]

    @staticmethod
    def _move(sock, peer):
        """False at the end of the stream; a reset ends both at once."""
        try:
            data = sock.recv(65536)
            if data:
                peer.sendall(data)
                return True
            peer.shutdown(socket.SHUT_WR)
            return False
        except OSError:
            reset(peer)
            raise

    def locked_out(self):
        """Whether the server does not even greet ADDRESS any more."""
        with socket.create_connection(self.server.address, 10, (ADDRESS, 0)) as sock:
            head = sock.recv(5)
            return head[4] == 0xff

    def login(self, port=None):
        """A proper one, through a router on `port` or past it."""
        connection = pymysql.connect(host="127.0.0.1", port=port or self.port, user=USER[0],
                                     password=USER[1], connect_timeout=10, read_timeout=10)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            return cursor.fetchone()[0]
