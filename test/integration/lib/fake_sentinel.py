"""A Sentinel that says what the test tells it: the truth, a lie, nothing, or far too much."""
import fnmatch
import socket
import threading

from lib.fake import FakeServer, read_command
from lib.waiting import until

MASTER = "mymaster"


def text(line):
    return b"$-1\r\n" if line is None else b"$%d\r\n%s\r\n" % (len(line.encode()), line.encode())


def array(*items):
    """Of replies that are encoded already."""
    return b"*%d\r\n%s" % (len(items), b"".join(items))


class FakeSentinel:
    """`primary` (anything with an address) is whom it names; change it with name(). Clients see
    what is set here at the time of their question:

    fields    of SENTINEL MASTER, over the usual ones; of the same kind: `others`, one dictionary
              for each Sentinel it claims to know
    silent    it reads and never answers, nor publishes
    raw       bytes it answers to everything
    password  and `user`: it wants AUTH first
    plain_pong  subscribers' PING is answered +PONG, as by what has no RESP2's own form for them
    """

    def __init__(self, primary=None, master=MASTER, password=None, user="default", port=None,
                 name="sentinel", host=None):
        self.name = name
        self.master = master
        self.address = None
        self.fields = {}
        self.others = [{}, {}]
        self.silent = False
        self.raw = None
        self.password = password
        self.user = user
        self.plain_pong = False
        self.questions = []      # every command, in the order of coming
        self.lock = threading.RLock()
        self.subscribers = {}    # socket -> {(kind, channel or pattern)}
        self.named(primary)
        self.server = FakeServer(self._serve, name, port=port, host=host)

    @property
    def port(self):
        return self.server.port

    @property
    def text(self):
        """As a router.ini wants it."""
        return self.server.text

    # What the test does with it.

    def named(self, primary):
        """Whom it names from now on, without an event. None: it does not know the group."""
        self.address = primary and primary.address

    def switch(self, primary):
        """Names another and says so, as a real one does after a failover."""
        old = self.address
        self.named(primary)
        self.publish("+switch-master", f"{self.master} {old[0]} {old[1]}"
                                       f" {self.address[0]} {self.address[1]}")

    def promotes(self, server, channel="+selected-slave"):
        """Says that it is at promoting a replica, and goes on naming whom it names."""
        host, port = server.address
        old = " ".join(map(str, self.address))
        self.publish(channel, f"slave {host}:{port} {host} {port} @ {self.master} {old}")

    def gives_up(self):
        self.publish("-failover-abort-slave-timeout",
                     f"master {self.master} {self.address[0]} {self.address[1]}")

    def publish(self, channel, message):
        """To all that subscribed to it. How many."""
        if self.silent:
            return 0
        with self.lock:
            count = 0
            for sock, wanted in list(self.subscribers.items()):
                for kind, pattern in wanted:
                    count += self._tell(sock, kind, pattern, channel, message)
            return count

    def flood(self, channel, message, count):
        """Many events in one breath."""
        for _ in range(count):
            self.publish(channel, message)

    def cut(self):
        """Ends all connections; new ones are welcome."""
        with self.server.lock:
            sockets = list(self.server.open)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def wait_subscribed(self, channel, count=1, timeout=5.0):
        until(lambda: self._listeners(channel) >= count, f"{count} subscribers of {channel}",
              timeout)

    def wait_asked(self, *words, timeout=5.0):
        """For a command that begins so. The first one counts."""
        until(lambda: any(q[:len(words)] == list(words) for q in list(self.questions)),
              f"{words} to be asked", timeout)

    def close(self):
        self.server.close()

    # What it says.

    def _listeners(self, channel):
        with self.lock:
            return sum(1 for wanted in self.subscribers.values()
                       if any(_matches(kind, pattern, channel) for kind, pattern in wanted))

    def _tell(self, sock, kind, pattern, channel, message):
        if not _matches(kind, pattern, channel):
            return 0
        if kind == "message":
            parts = [text(kind), text(channel), text(message)]
        else:
            parts = [text(kind), text(pattern), text(channel), text(message)]
        try:
            sock.sendall(array(*parts))
        except OSError:
            return 0  # it leaves; its own thread sees to it
        return 1

    def _serve(self, _server, sock):
        buffer, known = b"", self.password is None
        try:
            while True:
                args, buffer = read_command(sock, buffer)
                if args is None:
                    return
                if not args:
                    continue
                args[0] = args[0].upper()
                self.questions.append(args)
                known = self._reply(sock, args, known)
        finally:
            with self.lock:
                self.subscribers.pop(sock, None)

    def _reply(self, sock, args, known):
        """Whether it has said the password."""
        if args[0] == "AUTH":
            known = [self.user, self.password] == (["default"] + args[1:])[-2:]
            answer = b"+OK\r\n" if known else b"-WRONGPASS invalid username-password pair\r\n"
        elif not known:
            answer = b"-NOAUTH Authentication required.\r\n"
        elif args[0] in ("SUBSCRIBE", "PSUBSCRIBE"):
            answer = self._subscribe(sock, args[0].lower(), args[1:])
        elif args[0] == "PING" and sock in self.subscribers and not self.plain_pong:
            answer = array(text("pong"), text(args[1] if len(args) > 1 else ""))
        else:
            answer = self._answer(args)
        if not self.silent:
            with self.lock:  # an event may be on its way
                sock.sendall(answer if self.raw is None else self.raw)
        return known

    def _subscribe(self, sock, command, channels):
        kind = "message" if command == "subscribe" else "pmessage"
        answer = b""
        with self.lock:
            wanted = self.subscribers.setdefault(sock, set())
            for channel in channels:
                wanted.add((kind, channel))
                answer += array(text(command), text(channel), b":%d\r\n" % len(wanted))
        return answer

    def _answer(self, args):
        if args[0] == "PING":
            return b"+PONG\r\n"
        if args[0] == "ROLE":
            return array(text("sentinel"), array(text(self.master)))
        if args[0] == "CLIENT":
            return b"+OK\r\n"
        if args[0] != "SENTINEL" or len(args) < 2:
            return b"-ERR unknown command '%s'\r\n" % args[0].encode()
        question, name = args[1].lower(), args[2] if len(args) > 2 else None
        ours = name == self.master and self.address is not None
        if question == "get-master-addr-by-name":
            host, port = self.address or (None, None)
            return array(text(host), text(str(port))) if ours else b"*-1\r\n"
        if question not in ("master", "sentinels", "replicas", "slaves"):
            return b"-ERR Unknown sentinel subcommand\r\n"
        if not ours:
            return b"-ERR No such master with that name\r\n"
        if question == "master":
            return self._dictionary(self._master())
        others = self.others if question == "sentinels" else []
        return array(*(self._dictionary({"name": str(n), "flags": "sentinel", **fields})
                       for n, fields in enumerate(others)))

    def _master(self):
        return {"name": self.master, "ip": self.address[0], "port": str(self.address[1]),
                "runid": f"{self.address[1]:040x}", "flags": "master", "config-epoch": "0",
                "num-slaves": "2", "num-other-sentinels": str(len(self.others)), "quorum": "2",
                **self.fields}

    @staticmethod
    def _dictionary(fields):
        return array(*(text(word) for pair in fields.items() for word in pair))


def _matches(kind, pattern, channel):
    return pattern == channel if kind == "message" else fnmatch.fnmatchcase(channel, pattern)
