"""Promise: through a pool every client is told what it would be told on a connection of its own,
byte for byte, whatever others do at the same time, wherever its bytes are cut, and when clients
vanish in the midst of anything. What fails names the seed."""
import contextlib
import os
import random
import socket
import threading

import pytest

from lib.pooling import MODES, SESSION, TRANSACTION, Pooled, connections, wait_still
from lib.redis_twins import IDS, Stage
from lib.redis_versions import NAMES, program
from lib.resp import Resp, connect, encode
from lib.resp_frames import Frames
from lib.waiting import SLOW

SEED = int(os.environ.get("ROUTER_SEED", random.randrange(1 << 32)))
SCENES, SECONDS = 1500, 6  # whichever is over first
FEW = 2  # pool_size
USERS = [("writer", "of-the-writer", True), ("reader", "of-the-reader", False)]
ACL = ["writer on >of-the-writer ~* &* +@all", "reader on >of-the-reader ~* &* +@all -@write"]
SHARED = 12  # clients that share keys
TURNS = 60


@pytest.fixture(name="pair", scope="module", params=NAMES)
def two_servers(shared_home, request):
    """The one behind the router, and that of the twins."""
    return [shared_home.redis(f"{name}-{request.param}", program=program(request.param))
            for name in ("a", "b")]


def data_of(server, names):
    """{(database, key): digest of the value} of these clients' keys."""
    found = {}
    with server.connect() as client:
        for number in range(4):
            assert client.call("SELECT", number) == "OK"
            keys = [key for key in client.call("KEYS", "<*") if key.split(">")[0] + ">" in names]
            digests = client.pipeline([("DEBUG", "DIGEST-VALUE", key) for key in keys])
            found.update({(number, key): digest for key, digest in zip(keys, digests)})
    return found


def play(pooled, twin, seed=SEED, scenes=SCENES, clients=40, **options):
    """Returns the stage, after all was compared and everybody has left."""
    server = pooled.servers[0]
    for each in (server, twin):
        each.ok("FLUSHALL")
    stage = Stage(seed, (pooled.address, twin.address), clients, **options)
    try:
        stage.play(scenes, SECONDS)
        stage.ids_are_their_own()
        names = {client.talk.mark.decode() for client in stage.twins}
        assert data_of(server, names) == data_of(twin, names), f"seed {seed}"
    finally:
        stage.close()
    pooled.wait_left()
    wait_still(server)
    return stage


@pytest.mark.sanitize
@pytest.mark.parametrize("mode", MODES)
def test_every_reply_is_that_of_a_connection_of_ones_own(home, pair, mode):
    a, b = pair
    pooled = Pooled(home, a, mode=mode, **({"pool_size": FEW} if mode == TRANSACTION else {}))
    stage = play(pooled, b)
    assert stage.replies > 1000 and stage.vanished > 5


@pytest.mark.sanitize
@pytest.mark.parametrize("mode", MODES)
def test_accounts_change_nothing_in_that(home, mode):
    """Clients log in as one or another, in the midst, with wrong passwords, and after RESET."""
    a, b = (home.redis(name, requirepass="of-default", acl=ACL) for name in "ab")
    pooled = Pooled(home, a, mode=mode, probe_user="writer", probe_password="of-the-writer")
    users = USERS
    stage = play(pooled, b, users=users, scenes=SCENES // 2)
    assert stage.replies > 1000


class Dribbling:
    """A relay to a server whose replies come in pieces of a few bytes."""

    def __init__(self, home, server, seed):
        self.target, self.random = server.address, random.Random(seed)
        self.name = server.name
        self.fake = home.fake(self.relay, server.name)
        self.text = self.fake.text

    def relay(self, _fake, near):
        with socket.create_connection(self.target, 10) as far:
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            forth = threading.Thread(target=self.forth, args=(near, far), daemon=True)
            forth.start()
            self.back(far, near)
            forth.join()

    def forth(self, near, far):
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    def back(self, far, near):
        with contextlib.suppress(OSError):
            while data := far.recv(self.random.choice((1, 2, 3, 7, 50, 4000))):
                near.sendall(data)
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)


def test_a_servers_replies_may_come_in_any_pieces(home):
    a, b = home.redis("a"), home.redis("b")
    pooled = Pooled(home, Dribbling(home, a, SEED), pool_size=FEW, probe_timeout="2s")
    pooled.servers = [a]
    play(pooled, b, scenes=SCENES // 5, clients=10)


TRANSCRIPT = (
    ("SET", "k@", "v@"), ("GET", "k@"), b"PING\r\n", ("SELECT", "1"), ("GET", "k@"), b"\r\n",
    ("RPUSH", "l@", "a@", "b\r\n@", "$3\r\nabc@", ""), ("LRANGE", "l@", "0", "-1"), b"*0\r\n",
    b"echo \"quoted\\r\\n@\"\r\n", ("MULTI",), ("GET", "k@"), ("SELECT", "0"), ("EXEC",),
    ("GET", "k@"), ("WATCH", "k@"), ("SET", "k@", "w@"), ("MULTI",), ("GET", "k@"), ("EXEC",),
    ("NOSUCH", "x@"), ("GET",), ("HELLO", "3"), ("HSET", "h@", "f", "v@"), ("HGETALL", "h@"),
    ("GET", "none@"), ("SUBSCRIBE", "c@"), ("PING", "p@"), ("UNSUBSCRIBE", "c@"),
    ("BLPOP", "l@", "0.01"), ("EVAL", "return {1, ARGV[1], false}", "0", "e@"),
    ("CLIENT", "SETNAME", "n@"), ("CLIENT", "GETNAME"), ("HELLO", "2"), ("GET", "none@"),
    ("DEL", "k@", "h@", "l@"), ("RESET",), ("CLIENT", "GETNAME"), ("PING", "@"),
)


def numbered(data, number):
    return data.replace(b"@@@@@", b"%05d" % number)


class Reader:
    """One connection's replies, whole. What HELLO says of the connection's id is left out."""

    def __init__(self, address):
        self.sock = connect(address, 5 * SLOW)
        self.frames = Frames()

    def read(self, count):
        found = []
        while len(found) < count:
            data = self.sock.recv(65536)
            assert data, found
            found += self.frames.feed(data)
        return [IDS.sub(b":0\r\n", frame) for frame in found]


class Transcript:
    """What is said, and what is answered, with five digits of each client's own for every @."""

    def __init__(self, server):
        self.said = [c.replace(b"@", b"@" * 5) if isinstance(c, bytes) else
                     encode(*(word.replace("@", "@" * 5) for word in c)) for c in TRANSCRIPT]
        self.length = sum(map(len, self.said))
        self.heard = []  # [reply, ...] for each
        reader = Reader(server.address)
        for command, said in zip(TRANSCRIPT, self.said):
            reader.sock.sendall(numbered(said, 10000))
            silent = command in (b"\r\n", b"*0\r\n")
            self.heard.append([reply.replace(b"10000", b"@" * 5)
                               for reply in ([] if silent else reader.read(1))])
        reader.sock.close()

    def parts(self, cut):
        """What is said before and after the cut, and what each brings."""
        said = b"".join(self.said)
        whole, at = 0, 0
        while whole < len(self.said) and at + len(self.said[whole]) <= cut:
            at += len(self.said[whole])
            whole += 1
        heard = [[numbered(reply, cut) for replies in part for reply in replies]
                 for part in (self.heard[:whole], self.heard[whole:])]
        return ((numbered(said, cut)[:cut], heard[0]), (numbered(said, cut)[cut:], heard[1]))


@pytest.mark.parametrize("mode", MODES)
def test_a_transcript_is_answered_alike_wherever_it_is_cut(home, mode):
    """The second part is said when the first is known to have arrived: it was answered."""
    server = home.redis("a", options={"maxclients": 400})
    transcript = Transcript(server)
    pooled = Pooled(home, server, mode=mode)
    step, crowd = (7, 20) if SLOW > 1 else (1, 100)
    cuts = range(1, transcript.length, step)
    for first in range(0, len(cuts), crowd):
        some = cuts[first:first + crowd]
        readers = {cut: Reader(pooled.address) for cut in some}
        for part in range(2):
            for cut in some:
                readers[cut].sock.sendall(transcript.parts(cut)[part][0])
            for cut in some:
                wanted = transcript.parts(cut)[part][1]
                assert readers[cut].read(len(wanted)) == wanted, f"cut at {cut}, part {part}"
        for reader in readers.values():
            reader.sock.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_transcript_is_answered_alike_when_every_byte_comes_by_itself(home, mode):
    server = home.redis("a")
    transcript = Transcript(server)
    reader = Reader(Pooled(home, server, mode=mode).address)
    said, heard = transcript.parts(transcript.length)[0]
    for at in range(len(said)):
        reader.sock.sendall(said[at:at + 1])
    assert reader.read(len(heard)) == heard
    reader.sock.close()


def test_many_clients_are_served_by_few_connections(home):
    server = home.redis("a")
    pooled = Pooled(home, server, pool_size=FEW)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Resp(pooled.address, 5 * SLOW)) for _ in range(300)]
        for turn in range(5):
            for number, client in enumerate(clients):
                client.send("SET", f"k{number}", f"{number}.{turn}")
                client.send("GET", f"k{number}")
            for number, client in enumerate(clients):
                assert (client.read(), client.read()) == ("OK", f"{number}.{turn}")
        # Two workers; the probe's connection is one more.
        assert len(connections(server)) <= FEW + 1, server.ok("CLIENT", "LIST")
        assert pooled.router.stats().frontend("f")["sessions"] == 300


def in_crowd(address, act):
    """act(number, client) by as many clients at once: what each returned."""
    found, errors = {}, []

    def run(number):
        try:
            with Resp(address, 10 * SLOW) as client:
                found[number] = act(number, client)
        except Exception as error:  # told by the test, not by a thread nobody hears
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(SHARED)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * SLOW)
    if errors:
        raise errors[0]
    return [found[number] for number in range(SHARED)]


@pytest.mark.sanitize
@pytest.mark.parametrize("mode", MODES)
def test_what_clients_do_to_the_same_keys_is_done_once_and_in_their_order(home, mode):
    server = home.redis("a")
    pooled = Pooled(home, server, mode=mode)

    def count(_number, client):
        return client.pipeline([("INCR", "count")] * TURNS)

    counts = in_crowd(pooled.address, count)
    assert all(mine == sorted(mine) for mine in counts)
    assert sorted(sum(counts, [])) == list(range(1, SHARED * TURNS + 1))

    def push(number, client):
        return [client.call("RPUSH", "list", f"{number}:{turn}") for turn in range(TURNS)]

    lengths = in_crowd(pooled.address, push)
    assert sorted(sum(lengths, [])) == list(range(1, SHARED * TURNS + 1))
    values = server.ok("LRANGE", "list", "0", "-1")
    for number, mine in enumerate(lengths):
        assert [values[length - 1] for length in mine] == [f"{number}:{t}" for t in range(TURNS)]

    def pop(number, client):
        """Half of them wait for what the others find."""
        if number % 2:
            return client.pipeline([("LPOP", "list")] * TURNS * 2)
        pairs = iter(lambda: client.call("BLPOP", "list", "0.1"), None)
        return [value for _, value in pairs]

    popped = [value for mine in in_crowd(pooled.address, pop) for value in mine if value]
    popped += server.ok("LRANGE", "list", "0", "-1")
    assert sorted(popped) == sorted(values)


@pytest.mark.sanitize
@pytest.mark.parametrize("mode", MODES)
def test_a_transaction_is_refused_when_another_client_was_faster(home, mode):
    server = home.redis("a")
    pooled = Pooled(home, server, mode=mode)
    server.ok("SET", "sum", "0")

    def add(_number, client):
        won = 0
        for _ in range(TURNS // 3):
            assert client.call("WATCH", "sum") == "OK"
            now = int(client.call("GET", "sum"))
            replies = client.pipeline([("MULTI",), ("SET", "sum", str(now + 1)), ("EXEC",)])
            assert replies[:2] == ["OK", "QUEUED"] and replies[2] in (None, ["OK"]), replies
            won += replies[2] is not None
        return won

    won = in_crowd(pooled.address, add)
    assert int(server.ok("GET", "sum")) == sum(won)
    assert 0 < sum(won) < SHARED * (TURNS // 3)


@pytest.mark.parametrize("mode", MODES)
def test_who_listens_hears_everything_once_and_in_order(home, mode):
    server = home.redis("a")
    pooled = Pooled(home, server, mode=mode)
    listening = threading.Barrier(SHARED)

    def talk(number, client):
        if number % 2:
            listening.wait(20 * SLOW)
            return client.pipeline([("PUBLISH", "news", f"{number}:{t}") for t in range(TURNS)])
        assert client.call("SUBSCRIBE", "news") == ["subscribe", "news", 1]
        listening.wait(20 * SLOW)
        heard = [client.read() for _ in range(TURNS * SHARED // 2)]
        assert all(message[:2] == ["message", "news"] for message in heard)
        return [message[2] for message in heard]

    heard = in_crowd(pooled.address, talk)
    for number in range(1, SHARED, 2):
        assert heard[number] == [SHARED // 2] * TURNS
        for listener in range(0, SHARED, 2):
            mine = [text for text in heard[listener] if text.startswith(f"{number}:")]
            assert mine == [f"{number}:{t}" for t in range(TURNS)]
