"""Thousands of WebSocket clients in one thread: they come from addresses of their own, stay, talk,
and know how they ended."""
import collections
import errno
import socket
import time

from lib.streams import Loop, Stream
from lib.waiting import SLOW
from lib.websocket import TEXT, Frames, Opening, frame, take_head

AT_ONCE = 64                    # how many are on their way in at one moment
IP_BIND_ADDRESS_NO_PORT = 24    # the port is chosen by connect(), when the whole pair is known


def addresses(count):
    """`count` client addresses of the loopback."""
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]


class Member(Stream):
    def __init__(self, crowd, source):
        sock = socket.socket()
        super().__init__(crowd.loop, sock, tls=crowd.tls, host=crowd.host,
                         before=crowd.before(source) if crowd.before else b"")
        self.crowd = crowd
        self.source = source
        self.hub = None
        self.opening = Opening(crowd.host)
        self.head = bytearray()
        self.frames = Frames(from_client=False)
        self.expected = None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not crowd.before:
            sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        error = sock.connect_ex(crowd.address)
        assert error in (0, errno.EINPROGRESS), error
        self.start()

    def on_open(self):
        self.send(self.opening.request)

    def on_data(self, data):
        if self.hub:
            self._listen(data)
            return
        self.head += data
        answer = take_head(self.head)
        if answer:
            self.hub = self.opening.check(answer)
            self.crowd.arrived(self)
            self._listen(bytes(self.head))

    def _listen(self, data):
        for opcode, payload in self.frames.feed(data):
            if opcode == TEXT and payload == self.expected:
                self.expected = None
                self.crowd.silent -= 1

    def say(self, payload):
        self.expected = payload
        self.crowd.silent += 1
        self.send(frame(TEXT, payload, client=True))

    def on_end(self, _why):
        self.crowd.gone(self)


class Crowd:
    """`tls` is an ssl.SSLContext; `before(source)` gives what a client sends ahead of all else.
    With `before`, its address is a matter of words, and it may be of any kind."""

    def __init__(self, address, tls=None, host="hub.test", before=None):
        self.address = address
        self.tls = tls
        self.host = host
        self.before = before
        self.loop = Loop()
        self.members = set()    # those who are in
        self.coming = set()
        self.lost = []          # those who were in, and were ended by somebody else
        self.failed = []        # those who never got in
        self.silent = 0         # how many have not heard their echo yet
        self.closing = False

    def arrived(self, member):
        self.coming.discard(member)
        self.members.add(member)

    def gone(self, member):
        if self.closing:
            return
        if member in self.members:
            self.members.discard(member)
            self.lost.append(member)
        else:
            self.coming.discard(member)
            self.failed.append(member)
        if member.expected:
            self.silent -= 1

    def run(self, condition, what, timeout):
        """Until condition() is true, by events alone."""
        deadline = time.monotonic() + timeout * SLOW
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"waited {timeout * SLOW:.0f} s in vain: {what}"
            self.loop.turn(min(left, 0.1))

    def join(self, sources, timeout=60.0):
        """Lets a client come from each of these addresses; all get in. {address: hub}"""
        left = collections.deque(sources)
        joined = {}

        def all_in():
            while left and len(self.coming) < AT_ONCE:
                member = Member(self, left.popleft())
                joined[member.source] = member
                self.coming.add(member)
            assert not self.failed, f"{self.failed[0].source}: {self.failed[0].why}"
            return not left and not self.coming

        self.run(all_in, "everybody to get in", timeout)
        return {source: member.hub for source, member in joined.items()}

    def visit(self, sources, timeout=60.0):
        """As join(), but they leave again, and only those."""
        here = set(self.members)
        found = self.join(sources, timeout)
        self.dismiss(self.members - here)
        return found

    def echo(self, timeout=60.0):
        """Everybody says something and hears it. Who is lost meanwhile is in `lost`."""
        assert self.silent == 0
        for number, member in enumerate(list(self.members)):
            member.say(b"%d says hello to %s" % (number, member.hub.encode()))
        self.run(lambda: self.silent == 0, "everybody's echo", timeout)

    def where(self):
        """{address: hub} of who is in."""
        return {member.source: member.hub for member in self.members}

    def counts(self):
        return collections.Counter(member.hub for member in self.members)

    def dismiss(self, members):
        """They leave by themselves, without many words."""
        self.closing = True
        for member in members:
            member.end("dismissed")
        self.members -= members
        self.closing = False

    def close(self):
        self.dismiss(self.members | self.coming)
        self.loop.close()
