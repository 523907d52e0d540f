"""Clients of a MySQL pool that come as anybody, die anywhere, and know every byte that is meant for
them. All that is random comes from one seed for each."""
import random
import threading

from lib.fake import reset
from lib.mysql_client import MySQLClient, query_packet
from lib.mysql_said import DEPRECATE_EOF, MULTI_STATEMENTS, SaidNo, change_user, error, ok, switch
from lib.mysql_wire import packet
from lib.waiting import SLOW

CAPABILITIES = (0, DEPRECATE_EOF, MULTI_STATEMENTS)  # three kinds of connections


SERVER_LOST = 2013


class Stranger(AssertionError):
    """Somebody else's bytes."""


class LetIn(AssertionError):
    """Without a proof."""


class Dies(Exception):
    """It does so, of its own will."""


class Member(threading.Thread):
    def __init__(self, mob, number):
        super().__init__(daemon=True)
        self.mob, self.number = mob, number
        self.rng = random.Random(f"{mob.seed}/{number}")
        self.lives, self.served, self.denied, self.cut = 0, 0, 0, 0
        self.error = None
        self.start()

    def run(self):
        try:
            while self.lives < self.mob.lives and not self.mob.ending.is_set():
                self.lives += 1
                self._live()
        except Exception as error_:  # told by check()
            self.error = error_
            self.mob.ending.set()

    def _live(self):
        user = self.rng.choice(list(self.mob.accounts))
        client = MySQLClient(self.mob.address, user, self.mob.accounts[user],
                             timeout=self.mob.patience)
        client.capabilities |= self.rng.choice(CAPABILITIES)
        try:
            self._log_in(client)
            for round_ in range(self.rng.randrange(1, 5)):
                self._ask(client, round_)
            client.quit()
            self.served += 1
        except Dies:
            self._die(client)
        except (ConnectionError, TimeoutError, AssertionError, SaidNo) as error_:
            if not isinstance(error_, ConnectionError) and not self.mob.forgives(error_):
                raise
            self.cut += 1
        finally:
            client.close()

    def _die(self, client):
        if self.rng.randrange(2):
            reset(client.sock)

    def _perhaps(self, client, data, chance=8):
        """Sends it, or a part of it and dies."""
        if self.rng.randrange(100) < chance:
            client.sock.sendall(data[:self.rng.randrange(len(data) + 1)])
            raise Dies
        client.sock.sendall(data)

    def _log_in(self, client):
        client.greet()
        self._perhaps(client, packet(1, client.login_payload()))
        nonce = client.asked()
        wrong = self.rng.randrange(100) < 6
        proof = b"x" * 20 if wrong else client.proof(nonce)
        self._perhaps(client, packet(client.sequence + 1, proof))
        self._judged(client, wrong)

    def _judged(self, client, wrong):
        try:
            client.finish()
        except SaidNo as said:
            if self.mob.forgives(said):
                raise
            if not wrong or said.code != 1045 or repr(client.user) not in said.words:
                raise Stranger(f"{client.user}, wrong={wrong}, was told {said}") from None
            self.denied += 1
            raise ConnectionError from None
        if wrong:
            raise LetIn(f"{client.user} was let in without a proof")
        client.kept = ""

    def _ask(self, client, round_):
        words = [f"{self.number}.{self.lives}.{round_}.{n}" for n in
                 range(self.rng.choice([1, 1, 2, 5, 20]))]
        self._perhaps(client, b"".join(query_packet(f"WHO {word}") for word in words))
        if self.rng.randrange(100) < 8:
            raise Dies
        for word in words:
            self._check(client, client.rows(), word)
        what = self.rng.randrange(10)
        if what == 0:
            self._keep(client, words[0])
        elif what == 1:
            client.query("BEGIN")
        elif what == 2:
            self._become(client)

    @staticmethod
    def _check(client, rows, word):
        if rows is None or len(rows) != 1:
            raise Stranger(f"{client.user} asked {word}: {rows}")
        user, _, _, kept, said = rows[0]
        if (user, kept, said) != (client.user, client.kept, word):
            raise Stranger(f"{client.user}, who keeps {client.kept!r}, asked {word}: {rows}")

    @staticmethod
    def _keep(client, word):
        client.kept = word
        client.query(f"KEEP {word}")

    def _become(self, client):
        client.user = self.rng.choice(list(self.mob.accounts))
        client.password = self.mob.accounts[client.user]
        self._perhaps(client, packet(0, change_user(client.user, b"x" * 20)))
        nonce = client.asked()
        self._perhaps(client, packet(client.sequence + 1, client.proof(nonce)))
        self._judged(client, False)


class Mob:
    """So many members, each of which lives so often. `lies`: the server says what is not true to
    those who are logged in, which nobody can keep from them; `ends`: it ends connections."""

    def __init__(self, address, accounts, members=8, lives=150, seed=None, lies=False,
                 ends=False):
        self.seed = random.randrange(1 << 32) if seed is None else seed
        self.address, self.accounts, self.lives = address, accounts, lives
        self.lies, self.ends = lies, ends
        self.patience = (1 if lies else 30) * SLOW  # of each with its server's answers
        self.ending = threading.Event()
        self.members = [Member(self, n) for n in range(members)]

    def forgives(self, error_):
        if self.ends and isinstance(error_, SaidNo):
            return error_.code == SERVER_LOST
        return self.lies and not isinstance(error_, LetIn)

    def wait(self, timeout=60):
        for member in self.members:
            member.join(timeout * SLOW)
        for member in self.members:
            if member.error:
                raise AssertionError(f"seed {self.seed}, {member.number}: {member.error!r}"
                                     ) from member.error
            assert not member.is_alive(), f"seed {self.seed}: {member.number} hangs"

    def sum(self, what):
        return sum(getattr(member, what) for member in self.members)

    def close(self):
        self.ending.set()
        for member in self.members:
            member.join(30 * SLOW)


# What a server says that nobody asked for, and must not be anybody's.
STRAYS = [packet(1, ok()), packet(1, switch(b"s" * 20)), packet(1, error(1045, "stray", "28000")),
          packet(0, error(4031, "inactive"))]
