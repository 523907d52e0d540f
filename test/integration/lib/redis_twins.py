"""Clients that are two: one speaks to what is tested, its twin says the same to a server of its
own, and whatever the two are told must be the same, byte for byte."""
import random
import re
import select
import socket
import time

from lib.fake import reset
from lib.redis_talk import Command, Talk
from lib.rerun import unforgivable
from lib.resp import connect, encode
from lib.resp_frames import Frames
from lib.waiting import SLOW

MISSING = "a reply is missing"  # so far: the machine may be busy
PATIENCE = 10.0  # seconds for one reply
IDS = re.compile(rb"(?<=\$2\r\nid\r\n):\d+\r\n")  # in the reply to HELLO
NAMES = re.compile(rb"<c\d+\.\d+>")
VANISHING = (  # with what in the air
    (), (encode("MULTI"), encode("SET", "x{}", "1")), (encode("BLPOP", "q{}", "0"),),
    (encode("SUBSCRIBE", "ch{}"),), (encode("PSUBSCRIBE", "ch{}*"),), (encode("MONITOR"),),
    (encode("CLIENT", "REPLY", "OFF"),), (encode("WATCH", "x{}"),),
    (encode("SET", "x{}", "y" * 300000), *[encode("GET", "x{}")] * 10),
    (encode("HELLO", "3"), encode("CLIENT", "TRACKING", "ON")), (encode("WAIT", "1", "0"),),
    (b"*2\r\n$3\r\nGET\r\n$100000\r\n",), (b"*100000\r\n",), (b"GET x",), (encode("QUIT"),),
)
NONSENSE = (
    b"*3\r\n$abc\r\n", b"*x\r\n", b"*1\r\n:1\r\n", b"*1\r\n$-5\r\n", b"*99999999999\r\n",
    b"*1\r\n$99999999999\r\n", b'GET "x\r\n', b"*1\r\n$1\r\n" + b"x" * 70000,
)


def words(data):
    return repr(data[:300]) + ("..." if len(data) > 300 else "")


class Mismatch(AssertionError):
    """The two were told different things."""


class Side:
    """One of two connections."""

    def __init__(self, address):
        self.sock = connect(address, 10 * SLOW)
        self.sock.setblocking(False)
        self.frames = Frames()
        self.told = []      # replies
        self.taken = []     # those that are compared
        self.unsent = []    # pieces, the last one first
        self.ended = False

    def receive(self):
        try:
            data = self.sock.recv(262144)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self.told += self.frames.feed(data)
        self.ended = not data

    def say(self, data, cuts):
        """In as many pieces as there are cuts, and one."""
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)]) if b > a]
        self.unsent = pieces[::-1] + self.unsent

    def send_piece(self):
        piece = self.unsent.pop()
        try:
            sent = self.sock.send(piece)
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            self.unsent.clear()
            return
        if sent < len(piece):
            self.unsent.append(piece[sent:])


class Twin:
    """`busy`: the scene it is in."""

    def __init__(self, stage, number, generation):
        self.number, self.generation = number, generation
        name = f"c{number}.{generation}"
        self.talk = Talk(random.Random(f"{stage.seed} {name}"), name, stage.users)
        self.via, self.direct = (Side(address) for address in stage.addresses)
        self.commands, self.owed = [], 0
        self.since = None
        self.busy = None
        self.ends = None   # with what it says now: QUIT, or NONSENSE
        self.heard = True  # all that is owed, and the two have heard the same
        self.past = []     # what it said before
        self.ids = set()   # what CLIENT ID was to it
        self.served = 0

    def say(self, commands, ends=None, rng=None):
        self.past = (self.past + self.commands)[-20:]
        self.commands = commands
        self.owed = sum(command.replies for command in commands)
        self.since = time.monotonic()
        self.ends = ends
        self.heard = not ends and not self.owed
        self.via.taken, self.direct.taken = [], []
        data = b"".join(command.data for command in commands)
        cuts = rng.choice((0, 0, 1, 2, 7)) if data else 0
        self.via.say(data, sorted(rng.randrange(len(data)) for _ in range(cuts)))
        self.direct.say(data, [])

    def all_there(self):
        if self.ends:
            return self.via.ended and self.direct.ended
        return len(self.via.told) >= self.owed and len(self.direct.told) >= self.owed

    def close(self):
        self.via.sock.close()
        self.direct.sock.close()


class Stage:
    """addresses: that which is tested, and that of the server for the twins."""

    def __init__(self, seed, addresses, clients, users=None, vanish=0.03):
        self.seed, self.addresses, self.users, self.vanish = seed, addresses, users, vanish
        self.rng = random.Random(seed)
        self.twins = [Twin(self, number, 0) for number in range(clients)]
        self.living = {}  # descriptor: (twin, side)
        self.poll = select.epoll()
        for twin in self.twins:
            self._watch(twin)
        self.scenes = 0    # that are over
        self.replies = 0   # that were compared
        self.vanished = 0

    def _watch(self, twin):
        for side in (twin.via, twin.direct):
            self.poll.register(side.sock, select.EPOLLIN)
            self.living[side.sock.fileno()] = (twin, side)

    def _forget(self, twin):
        for side in (twin.via, twin.direct):
            if self.living.pop(side.sock.fileno())[1].ended is False:
                self.poll.unregister(side.sock)

    def _anew(self, twin):
        """Another client in its place, with other keys."""
        self._forget(twin)
        twin.close()
        other = Twin(self, twin.number, twin.generation + 1)
        self.twins[self.twins.index(twin)] = other
        self._watch(other)

    # The loop.

    def play(self, scenes, seconds):
        """Until so many scenes are over, or the time is; then all are let come to their ends."""
        end = time.monotonic() + seconds * SLOW
        began = 0
        while True:
            more = began < scenes and time.monotonic() < end
            idle = [twin for twin in self.twins if not twin.busy]
            if not more and len(idle) == len(self.twins):
                return
            while more and idle and self.rng.random() < 0.9:
                began += self._begin(idle)
            self._send()
            self._receive()

    def _send(self):
        sides = [side for _, side in self.living.values() if side.unsent]
        self.rng.shuffle(sides)
        for side in sides:
            side.send_piece()

    def _receive(self):
        waiting = any(side.unsent for _, side in self.living.values())
        touched = {}
        for number, _ in self.poll.poll(0 if waiting else 0.02):
            twin, side = self.living[number]
            if not side.ended:
                side.receive()
                if side.ended:
                    self.poll.unregister(side.sock)
                touched[twin.number] = twin
        for twin in touched.values():
            if not twin.heard and twin.all_there():
                self._compare(twin)
                twin.heard = True
                self._go_on(twin.busy)
            elif not twin.ends and twin.via.ended:
                self._fail(twin, "its connection ended")
            elif twin.heard and twin.via.told:
                self._fail(twin, "it did not ask for that")
        now = time.monotonic()
        for twin in self.twins:
            if not twin.heard and now - twin.since > PATIENCE * SLOW:
                self._fail(twin, MISSING)

    # Scenes.

    def _begin(self, idle):
        """Takes one or two of the idle clients."""
        rng = self.rng
        first = idle.pop(rng.randrange(len(idle)))
        chosen = rng.random()
        if chosen < self.vanish:
            self._vanish(first)
        elif chosen < self.vanish * 2:
            self._start(_leave(first, rng), first)
        elif chosen < 0.2 and idle and first.talk.known:
            other = idle.pop(rng.randrange(len(idle)))
            if other.talk.known and other.talk.free and not other.talk.deaf:
                self._start(_together(first, other, rng), first, other)
        else:
            self._start(_alone(first), first)
        return 1

    def _start(self, scene, *twins):
        for twin in twins:
            twin.busy = scene
        self._go_on(scene)

    def _go_on(self, scene):
        """Once all who are in it are done with what they had to say."""
        cast = [twin for twin in self.twins if twin.busy is scene]
        if not all(twin.heard for twin in cast):
            return
        try:
            lines = next(scene)
        except StopIteration:
            self.scenes += 1
            for twin in cast:
                twin.busy = None
                if twin.ends:
                    self._anew(twin)
            return
        for twin in cast:
            twin.say(*lines.get(twin, ([],)), rng=self.rng)
        self._go_on(scene)

    def _vanish(self, twin):
        """In the midst of anything, without a word."""
        rng = self.rng
        self.vanished += 1
        parts = [command.data for command in twin.talk.speech()][:rng.randrange(5)]
        parts += [part.replace(b"{}", b"%02d" % (twin.number % 100))
                  for part in rng.choice(VANISHING)]
        data = b"".join(parts)
        if rng.random() < 0.5:
            data = data[:rng.randrange(len(data) + 1)]
        for side in (twin.via, twin.direct):
            side.sock.setblocking(True)
            try:
                side.sock.settimeout(0.2)
                side.sock.sendall(data)
                if rng.random() < 0.3:
                    side.sock.settimeout(0.005)
                    side.sock.recv(1000)
            except OSError:
                pass
        self._forget(twin)
        for side in (twin.via, twin.direct):
            if rng.random() < 0.3:
                reset(side.sock)
        twin.close()
        other = Twin(self, twin.number, twin.generation + 1)
        self.twins[self.twins.index(twin)] = other
        self._watch(other)
        self.scenes += 1

    # What they are told.

    def _compare(self, twin):
        for side in (twin.via, twin.direct):
            side.taken, side.told = side.told, []
        for frame in twin.via.taken:
            foreign = set(NAMES.findall(frame)) - {twin.talk.mark}
            if foreign:
                self._fail(twin, f"it was told what is {foreign.pop()}'s")
        self.replies += len(twin.via.taken)
        if twin.ends == NONSENSE:
            self._ended_by_nonsense(twin)
            return
        if len(twin.via.taken) != len(twin.direct.taken):
            self._fail(twin, "another number of replies")
        kinds = [command.loose for command in twin.commands for _ in range(command.replies)]
        kinds += [False] * (len(twin.via.taken) - len(kinds))
        for loose, via, direct in zip(kinds, twin.via.taken, twin.direct.taken):
            if loose and via[:1] == direct[:1] == b":":
                twin.ids.add(via)
            elif via != direct and IDS.sub(b":0\r\n", via) != IDS.sub(b":0\r\n", direct):
                self._fail(twin, "another reply")

    def _ended_by_nonsense(self, twin):
        """The words may be others, and a server that is sent more than it reads resets."""
        via, direct = twin.via.taken, twin.direct.taken
        if via[:-1] != direct[:len(via) - 1] or not via or not via[-1].startswith(b"-ERR"):
            self._fail(twin, "another end")

    def _fail(self, twin, why):
        via, direct = ([IDS.sub(b":0\r\n", frame) for frame in side.taken + side.told]
                       for side in (twin.via, twin.direct))
        differ = [n for n, (a, b) in enumerate(zip(via, direct)) if a != b]
        first = differ[0] if differ else min(len(via), len(direct))
        lines = [f"seed {self.seed}, client {twin.talk.name}: {why}",
                 f"told {len(via)}, its twin {len(direct)}, of {twin.owed}"]
        said = [("before", command.data) for command in twin.past]
        said += [(command.replies, command.data) for command in twin.commands]
        at = 0
        for count, (n, data) in enumerate(said):
            at += n if n != "before" else 0
            if first - 15 < at < first + 5 or count > len(said) - 3:
                lines.append(f"{n}, {at}: {words(data)}")
        for n in range(max(0, first - 5), first + 3):
            a, b = (words(told[n]) if n < len(told) else "nothing" for told in (via, direct))
            lines.append(f"reply {n + 1}: {a}" + ("" if a == b else f"\n  not     {b}"))
        if why == MISSING:
            raise Mismatch("\n".join(lines))
        with unforgivable():
            raise Mismatch("\n".join(lines))

    def ids_are_their_own(self):
        """What CLIENT ID said: always the same to one client, something else to each."""
        known = [twin.ids for twin in self.twins if twin.ids]
        assert all(len(ids) == 1 for ids in known), known
        assert len(set.union(set(), *known)) == len(known), known

    def close(self):
        for twin in self.twins:
            twin.close()
        self.poll.close()


# Scenes: what each of the cast says next, or ([...], True) if its connections end with it.

def _alone(twin):
    for _ in range(2):
        yield {twin: (twin.talk.speech(),)}


def _leave(twin, rng):
    speech = twin.talk.speech()
    if rng.random() < 0.5:
        yield {twin: ([*speech, Command(encode("QUIT"))], "QUIT")}
    else:
        yield {twin: (speech,)}
        yield {twin: ([Command(rng.choice(NONSENSE))], NONSENSE)}


def _together(first, other, rng):
    yield from rng.choice((_published, _served, _interfered))(first, other)


def _published(first, other):
    """It is told what the other one publishes, once for each subscription."""
    channel = first.talk.mark + b":ch1"
    heard = channel in first.talk.channels
    heard += channel + b"*" in first.talk.patterns
    yield {other: ([Command(encode("PUBLISH", channel, first.talk.value()))],),
           first: ([Command(b"", heard)],)}


def _served(first, other):
    """It waits for what the other one brings, or finds it."""
    first.served += 1  # a key that is used once: if it cannot wait now, the value stays there
    key = first.talk.mark + b":served%d" % first.served
    same = Command(encode("SELECT", 1))
    yield {first: ([same, Command(encode("BLPOP", key, 5))],),
           other: ([same, Command(encode("RPUSH", key, first.talk.value()))],)}


def _interfered(first, other):
    """What it watches is changed by the other one."""
    key = first.talk.mark + b":watched"
    same = Command(encode("SELECT", 2))
    yield {first: ([same, Command(encode("WATCH", key))],)}
    yield {other: ([same, Command(encode("SET", key, first.talk.value()))],)}
    yield {first: ([Command(encode("MULTI")), Command(encode("GET", key)),
                    Command(encode("EXEC"))],)}
