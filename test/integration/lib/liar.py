"""A fake Redis primary that answers well, but for the keys that a test has plans for."""
import threading

from lib.fake import FakeServer, info_reply, read_command, reset

END, RESET, SILENCE = "end", "reset", "silence"
WELL = "well"          # as if there were no plan
BIT_BY_BIT = "bytes"   # what follows goes out a byte at a time
GREETING = (b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n"
            b"$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
            b"$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")


def bulk(text):
    data = text if isinstance(text, bytes) else str(text).encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


class Liar:
    """plans[key] says what a command for this key gets: a list of plans, one for each time, of
    which the last one stays. A plan is a list of steps: bytes, step(sock), or one of the words
    above. GET answers "value of KEY" without a plan, all else OK."""

    def __init__(self, home, name="a", role="master", link="up"):
        self.name = name
        self.role, self.link = role, link
        self.plans = {}
        self.seen = []     # (number of the connection, words) of each command for a key
        self.numbers = {}
        self.lock = threading.Lock()
        self.fake = home.keep(FakeServer(self._serve, name))

    @property
    def text(self):
        return self.fake.text

    def times(self, key):
        """How often a command for it came."""
        with self.lock:
            return sum(1 for _, words in self.seen if words[1] == key)

    def data_sockets(self):
        """Those on which a command for a key came, and that are still open."""
        with self.fake.lock:
            return [sock for sock in self.fake.open if sock in self.numbers]

    def _serve(self, _server, sock):
        buffer = b""
        while True:
            words, buffer = read_command(sock, buffer)
            if words is None:
                return
            if words and not self._answer(sock, [words[0].upper(), *words[1:]]):
                return

    def _answer(self, sock, words):
        """False: the connection is over."""
        if words[0] not in ("GET", "SET", "INCR", "RPUSH", "DEL"):
            sock.sendall(self._manners(words))
            return True
        with self.lock:
            number = self.numbers.setdefault(sock, len(self.numbers))
            self.seen.append((number, words))
            plans = self.plans.get(words[1], [[WELL]])
            plan = plans.pop(0) if len(plans) > 1 else plans[0]
        return self._follow(sock, plan, words)

    def _manners(self, words):
        """What every client and the router may ask."""
        if words[0] == "INFO":
            return info_reply(self.role, run_id=f"{self.fake.port:040x}", link=self.link)
        if words[0] == "HELLO":
            return GREETING if words[1:2] == ["3"] else b"*0\r\n"
        if words[0] == "COMMAND":
            return b"-ERR unknown command 'COMMAND'\r\n"
        if words[0] == "PING":
            return bulk(words[1]) if words[1:] else b"+PONG\r\n"
        if words[0] == "RESET":
            return b"+RESET\r\n"
        return b"+OK\r\n"

    def _follow(self, sock, plan, words):
        slowly = False
        for step in plan:
            if step == END:
                return False
            if step == RESET:
                reset(sock)
                return False
            if step == SILENCE:
                while sock.recv(65536):
                    pass
                return False
            if step == BIT_BY_BIT:
                slowly = True
            elif callable(step):
                step(sock)
            else:
                data = self.well(words) if step == WELL else step
                for piece in ([data[i:i + 1] for i in range(len(data))] if slowly else [data]):
                    sock.sendall(piece)
        return True

    @staticmethod
    def well(words):
        return bulk(f"value of {words[1]}") if words[0] == "GET" else b"+OK\r\n"
