"""A relay before a server that spoils what the server says, at a byte that is told in advance."""
import collections
import select
import socket
import threading

from lib.fake import FakeServer, reset
from lib.waiting import SLOW, Clock

END, RESET, STALL, FLIP = "end", "reset", "stall", "flip"
KINDS = (END, RESET, STALL, FLIP)
STALL_MS = 2       # then it goes on
PATIENCE_MS = 200  # how long a spoiled connection goes on: somebody may wait for more than comes

Plan = collections.namedtuple("Plan", "kind at")


class Saboteur(FakeServer):
    """What connects is relayed to `target`, one plan for each connection as long as there are any:

    end, reset  the connection ends just before byte `at` of what the server says
    stall       that byte and what follows come later, so that it is read in two pieces
    flip        one bit of that byte is another

    meant(data) says by what a client begins with whether its connection is to be spoiled; prepare()
    is called before the server is connected to for one that has a plan.
    """

    def __init__(self, target, name="a", meant=None, prepare=None,
                 patience_ms=PATIENCE_MS, **options):
        self.target = target
        self.patience_ms = patience_ms * SLOW
        self.meant = meant
        self.prepare = prepare
        self.plans = collections.deque()
        self.carried = 0      # connections that are over
        self.lengths = []     # what a server said on those without a plan, in bytes
        self.spoiled = 0      # plans that came to their byte
        super().__init__(self._relay, name, **options)

    def plan(self, plans):
        self.plans.extend(plans)

    def _next(self):
        try:
            return self.plans.popleft()
        except IndexError:
            return None

    def _relay(self, _server, near):
        first = near.recv(65536) if self.meant else b""
        plan = None if self.meant and not self.meant(first) else self._next()
        if plan and self.prepare:
            self.prepare()
        with socket.create_connection(self.target, 10) as far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far.sendall(first)
            said = self._talk(near, far, plan)
            with self.lock:
                self.carried += 1
                if not plan and (not self.meant or self.meant(first)):
                    self.lengths.append(said)

    def _talk(self, near, far, plan):
        """How many bytes the server said."""
        said, spoiled = 0, None
        poll = select.poll()
        poll.register(near, select.POLLIN)
        poll.register(far, select.POLLIN)
        while not spoiled or not spoiled.passed(self.patience_ms / 1000):
            for number, _ in poll.poll(self.patience_ms if plan else None):
                source = near if number == near.fileno() else far
                data = source.recv(65536)
                if not data:
                    return said
                if source is near:
                    far.sendall(data)
                elif plan is None or not said <= plan.at < said + len(data):
                    near.sendall(data)
                    said += len(data)
                elif self._spoil(near, data, plan, plan.at - said):
                    spoiled = Clock()
                    said += len(data)
                else:
                    return said
        return said

    def _spoil(self, near, data, plan, at):
        """False: the connection is over."""
        with self.lock:
            self.spoiled += 1
        if plan.kind == FLIP:
            near.sendall(data[:at] + bytes([data[at] ^ (1 << plan.at % 8)]) + data[at + 1:])
            return True
        near.sendall(data[:at])
        if plan.kind == STALL:
            threading.Event().wait(STALL_MS / 1000)
            near.sendall(data[at:])
            return True
        if plan.kind == RESET:
            reset(near)
        return False


def every_byte(length, *kinds):
    """The connection ends at every byte, and at every byte it is spoiled in another way; or only in
    the ways that are given, one after the other."""
    for at in range(length):
        if kinds:
            yield Plan(kinds[at % len(kinds)], at)
        else:
            yield Plan(END, at)
            yield Plan(KINDS[1 + at % 3], at)
