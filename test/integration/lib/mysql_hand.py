"""A client of MySQL that does random things, and knows of each what it must see then."""
import struct

from lib import mysql_speaker as my
from lib.mysql_people import PLAIN, SECOND
from lib.mysql_speaker import MODERN, USUAL, Speaker

ACCOUNTS = (PLAIN, SECOND)
WAYS = (MODERN, USUAL, MODERN & ~my.SESSION_TRACK)
ELSEWHERE = 1235
MODES = ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES")
ZONES = ("+05:00", "-03:30", "+00:00")
SEEN = ("SELECT CURRENT_USER(), DATABASE(), @@sql_mode, @@time_zone, LAST_INSERT_ID(),"
        " @@character_set_results")


KILLED = 1927  # its account has no connection any more


class Wrong(AssertionError):
    """It saw what it should not."""


class Hand:
    """One client after another, of the same number."""

    def __init__(self, address, number, random, rough):
        """rough: in ways that cost its account a connection."""
        self.address, self.number, self.random, self.rough = address, number, random, rough
        self.client = None
        self.done = self.elsewhere = 0
        self.counter = 0
        self.rows = {}  # of test.t, by id: what is committed
        self.said = []

    # What it must see.

    def come(self):
        random = self.random
        account = random.choice(ACCOUNTS)
        self.said = [f"{account.name}"]
        self.client = Speaker(self.address, *account, database=random.choice(("test", "other")),
                              capabilities=random.choice(WAYS))
        self._is(account, self.client.database)

    def _is(self, account, database):
        self.account, self.database = account, database
        self._reset()

    def _reset(self):
        self.open = None  # rows within a transaction
        self.variable = self.temporary = self.lock = None
        self.mode = self.zone = self.results = None  # not known
        self.insert_id = "0"

    def ask(self, text):
        self.said.append(text)
        return self.heard(self.client.ask(text))

    @staticmethod
    def heard(answer):
        if answer.error and answer.error.code == KILLED:
            raise ConnectionError(answer.error)
        return answer

    def say(self, text):
        answer = self.ask(text)
        if answer.error:
            raise Wrong(f"{text}: {answer.error}; {self.said[-12:]}")
        return answer

    def value(self, text):
        return tuple(None if v is None else v.decode() for v in self.say(text).rows[0])

    def must(self, what, told, expected):
        if isinstance(told, my.MySQLError) and told.code == KILLED:
            raise ConnectionError(told)
        if told != expected:
            raise Wrong(f"client {self.number}, {what}: {told!r}, not {expected!r};"
                        f" {self.said[-12:]}")

    def unique(self):
        self.counter += 1
        return f"{self.number}-{self.counter}"

    # What it does.

    def look(self):
        user, database, mode, zone, insert_id, results = self.value(SEEN)
        self.must("account", user, f"{self.account.name}@%")
        self.must("database", database, self.database)
        self.must("insert id", insert_id, self.insert_id)
        for name, value in (("mode", mode), ("zone", zone), ("results", results)):
            if getattr(self, name) is not None:
                self.must(name, value, getattr(self, name))
            setattr(self, name, value)

    def select(self):
        text = self.unique()
        self.must("select", self.value(f"SELECT '{text}'"), (text,))

    def set_mode(self):
        mode = self.random.choice(MODES)
        self.say(f"SET sql_mode = '{mode}'")
        self.mode = None if "," in mode else mode
        quoted = self.ask('SELECT "x"').error
        self.must("quotes", bool(quoted), mode == "ANSI_QUOTES")

    def set_zone(self):
        self.zone = self.random.choice(ZONES)
        self.say(f"SET time_zone = '{self.zone}'")

    def set_names(self):
        self.results = self.random.choice(("utf8mb4", "latin1"))
        self.say(f"SET NAMES {self.results}")

    def use(self):
        self.database = self.random.choice(("test", "other"))
        if self.random.random() < 0.5:
            self.say(f"USE {self.database}")
        else:
            answer = self.client.command(my.INIT_DB, self.database.encode())
            self.must("init db", answer.error, None)

    def insert(self):
        text = self.unique()
        ok = self.say(f"INSERT INTO test.t (v) VALUES ('{text}')").ok
        self.insert_id = str(ok.insert_id)
        (self.rows if self.open is None else self.open)[ok.insert_id] = text

    def give_insert_id(self):
        number = self.random.randrange(1, 1 << 40)
        self.insert_id = str(number)
        self.must("given id", self.value(f"SELECT LAST_INSERT_ID({number})"), (self.insert_id,))

    def read(self):
        rows = self.rows if self.open is None else self.open
        wanted = sorted(rows)[-5:]
        if wanted:
            listed = ",".join(map(str, wanted))
            told = self.say(f"SELECT id, v FROM test.t WHERE id IN ({listed}) ORDER BY id").rows
            self.must("rows", [(int(a), b.decode()) for a, b in told],
                      [(i, rows[i]) for i in wanted])

    def begin(self):
        if self.open is None:
            self.say("BEGIN")
            self.open = dict(self.rows)
        else:
            self.end()

    def end(self):
        if self.open is None:
            return
        if self.random.random() < 0.6:
            self.say("COMMIT")
            self.rows = self.open
        else:
            self.say("ROLLBACK")
        self.open = None

    def user_variable(self):
        told, = self.value("SELECT @v")
        self.must("variable", told, self.variable)
        self.variable = self.unique()
        self.say(f"SET @v = '{self.variable}'")

    def temporary_table(self):
        answer = self.ask("SELECT a FROM test.temporary")
        if self.temporary is None:
            self.must("no table", answer.error and answer.error.code, 1146)
            self.temporary = self.unique()
            self.say("CREATE TEMPORARY TABLE test.temporary (a VARCHAR(20))")
            self.say(f"INSERT INTO test.temporary VALUES ('{self.temporary}')")
        else:
            self.must("temporary", answer.rows, [(self.temporary.encode(),)])
            self.say("DROP TEMPORARY TABLE test.temporary")
            self.temporary = None

    def prepared(self):
        self.said.append("prepare")
        number, _ = self.client.prepare("SELECT ?, CURRENT_USER()")
        for _ in range(self.random.randrange(3)):
            text = self.unique()
            row, = self.client.execute(number, text).rows
            user = f"{self.account.name}@%"
            self.must("prepared", row[2:], my.text_of(text.encode()) + my.text_of(user.encode()))
        self.client.command(my.CLOSE, struct.pack("<I", number))

    def named_lock(self):
        if self.lock:
            held = self.value(f"SELECT IS_USED_LOCK('{self.lock}') = CONNECTION_ID()")
            self.must("lock", held, ("1",))
            self.must("unlock", self.value(f"SELECT RELEASE_LOCK('{self.lock}')"), ("1",))
            self.lock = None
        else:
            self.lock = self.unique()
            self.must("lock", self.value(f"SELECT GET_LOCK('{self.lock}', 0)"), ("1",))

    def diagnostics(self):
        rows = self.rows if self.open is None else self.open
        if not rows:
            return
        some = list(rows)[-3:]
        for row in some:
            rows[row] = self.unique()
            self.say(f"UPDATE test.t SET v = '{rows[row]}' WHERE id = {row}")
        self.perhaps("SELECT ROW_COUNT()", [(b"1",)])

    def perhaps(self, text, rows):
        """What it asks for, or the word that it needs a session."""
        answer = self.ask(text)
        if answer.error:
            self.must(text, answer.error.code, ELSEWHERE)
            self.must(text, "pool_mode = session" in answer.error.words, True)
            self.elsewhere += 1
        else:
            self.must(text, answer.rows, rows)

    def found_rows(self):
        self.say("SELECT SQL_CALC_FOUND_ROWS * FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3) x"
                 " LIMIT 1")
        self.must("found", self.say("SELECT FOUND_ROWS()").rows, [(b"3",)])

    def warn(self):
        self.say("SELECT CAST('x' AS SIGNED)")
        self.must("warnings", len(self.say("SHOW WARNINGS").rows), 1)

    def fail(self):
        self.must("error", self.ask("SELECT nonsense").error.code, 1054)
        if self.random.random() < 0.5:
            self.must("errors", len(self.say("SHOW ERRORS").rows), 1)

    def long_statement(self):
        size = self.random.choice((2000, 17000, 200000))
        told, = self.value(f"SELECT CONCAT('{'y' * size}', '{self.number}')")
        self.must("long", (len(told), told[-3:]), (size + len(str(self.number)),
                                                   f"y{self.number}"[-3:].rjust(3, "y")))
        self.said[-1] = "long"

    def pipelined(self):
        """Three commands in one write."""
        texts = [self.unique() for _ in range(3)]
        self.said.append("three at once")
        self.client.sock.sendall(b"".join(
            struct.pack("<I", len(t) + 10)[:3] + b"\0\x03SELECT '" + t.encode() + b"'"
            for t in texts))
        for text in texts:
            self.client.sequence = 0
            answer = self.heard(self.client.listen())
            self.must("pipelined", answer.rows, [(text.encode(),)])

    def ping(self):
        self.said.append("ping")
        self.must("ping", self.heard(self.client.command(my.PING)).error, None)

    def reset(self):
        self.said.append("reset")
        self.must("reset", self.client.command(my.RESET_CONNECTION).error, None)
        self._reset()

    def change(self):
        account = self.random.choice(ACCOUNTS) if self.rough else self.account
        self.said.append(f"change to {account.name}")
        self.client.change_user(*account, database="test")
        self._is(account, "test")

    def leave(self):
        how = self.random.randrange(5) if self.rough else 4 - self.random.randrange(3)
        if how == 0:  # in the midst of something
            self.client.say(my.QUERY, b"SELECT REPEAT('x', 100000)")
        if how == 1:
            self.client.sock.sendall(b"\x20\0\0\0\x03INSERT INTO t VALUES")
        if how >= 3:
            self.client.quit()
        self.client.close()
        self.client = None

    OFTEN = (select, look, read, insert, set_mode, set_zone, set_names, use, ping, diagnostics,
             give_insert_id, found_rows, warn, fail, pipelined, long_statement, begin, end)
    SELDOM = (user_variable, temporary_table, prepared, named_lock, reset, change)

    def pinned(self):
        return self.variable or self.temporary or self.lock

    def act(self):
        if self.client is None:
            self.come()
        random = self.random.random()
        if random < 0.04 or (self.pinned() and random < 0.3):
            self.leave()
        else:
            self.random.choice(self.SELDOM if random > 0.9 else self.OFTEN)(self)
        self.done += 1
