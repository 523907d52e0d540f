"""Promise: by the id that a pool's client was told its statement and its connection are killed as
without one, by the clients that people have too, and never those of somebody else."""
import contextlib
import os
import signal
import threading

import pymysql
import pytest

from lib import clusters, mysql_logins
from lib.mysql_people import ALL, PLAIN, SECOND, MySQLPeople
from lib.mysql_pooled import SESSION, TRANSACTION, Kind, PooledMySQL
from lib.mysql_speaker import MODERN, QUERY, MySQLError, Speaker
from lib.process import Process
from lib.waiting import until

KINDS = [Kind(people, mode) for mode in (SESSION, TRANSACTION) for people in ALL]
ATTRIBUTES = 1 << 27  # statements may have some
LONG = 30  # seconds that a victim would sleep
PROCESS_KILL = 0x0c


@pytest.fixture(name="stage", scope="module", params=KINDS, ids=str)
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        yield PooledMySQL(shared_home, people, request.param.mode, of_router={"workers": 2})


@pytest.fixture(name="victim")
def one_victim(stage):
    """In the midst of a statement."""
    with Victim(stage) as victim:
        yield victim
    stage.wait_left()


class Victim(Speaker):
    def __init__(self, stage, account=PLAIN):
        super().__init__(stage.address, *account, database="test")
        self.stage, self.answer_of_sleep = stage, None
        self.server_id = int(self.value("SELECT CONNECTION_ID()"))
        self.id = self.greeting.thread
        self.thread = threading.Thread(target=self._sleep, daemon=True)
        self.thread.start()
        until(self.is_asleep, "the victim to sleep")

    def _sleep(self):
        with contextlib.suppress(ConnectionError, EOFError):
            self.answer_of_sleep = self.ask(f"SELECT SLEEP({LONG}), 'zzz'")

    def is_asleep(self):
        rows = self.stage.server.sql("SELECT info FROM information_schema.processlist"
                                     " WHERE id = %s", self.server_id)
        return bool(rows) and "SLEEP" in (rows[0][0] or "")

    def wait_woken(self):
        self.thread.join(LONG / 3)
        assert not self.thread.is_alive(), "it sleeps on"
        return self.answer_of_sleep

    def is_there(self):
        return self.value("SELECT 1") == "1"

    def __exit__(self, *_):
        if self.thread.is_alive():
            with contextlib.suppress(pymysql.Error):
                self.stage.server.sql(f"KILL {self.server_id}")
        self.thread.join(LONG / 3)
        super().__exit__(*_)


def order(stage, words, account=PLAIN, **options):
    """What the server answers to it: None, or (code, state, text)."""
    with Speaker(stage.address, *account, **options) as killer:
        assert killer.value("SELECT 1") == "1"
        error = killer.ask(words).error
        return error.told if error else None


@pytest.mark.sanitize
@pytest.mark.parametrize("capabilities", [MODERN, MODERN | ATTRIBUTES], ids=["bare", "attributes"])
def test_a_statement_is_killed_by_the_id_in_the_greeting(stage, victim, capabilities):
    words = f"KILL QUERY {victim.id}"
    with Speaker(stage.address, *PLAIN, capabilities=capabilities) as killer:
        attributed = killer.capabilities & ATTRIBUTES
        assert killer.ask((b"\0\1" if attributed else b"") + words.encode()).error is None
        assert killer.ask((b"\0\1" if attributed else b"") + b"SELECT 1").error is None
    answer = victim.wait_woken()
    assert answer.error.code == 1317 if answer.error else answer.rows[0][0] == b"1"
    assert victim.is_there()


@pytest.mark.sanitize
@pytest.mark.parametrize("words", ["KILL {}", " kill\tconnection {} ;"])
def test_a_connection_is_killed_so_too(stage, victim, words):
    assert order(stage, words.format(victim.id)) is None
    answer = victim.wait_woken()
    assert answer is None or answer.error.code in (1317, 1927, 2013, 4031)
    with pytest.raises((ConnectionError, MySQLError, EOFError, AssertionError)):
        victim.is_there()


def test_the_words_of_mariadb(stage, victim):
    """KILL QUERY ID names a statement and not a connection."""
    with Speaker(stage.server.address, *PLAIN) as direct:
        expected = direct.ask(f"KILL QUERY ID {victim.id}").error.told
    assert order(stage, f"KILL QUERY ID {victim.id}") == expected
    assert victim.is_asleep()
    if not isinstance(stage.people, MySQLPeople):
        assert order(stage, f"KILL SOFT QUERY {victim.id}") is None
        victim.wait_woken()


def test_the_servers_ids_are_good_as_well(stage, victim):
    assert order(stage, f"KILL QUERY {victim.server_id}") is None
    victim.wait_woken()
    assert victim.is_there()


def test_the_old_command(stage, victim):
    """As PyMySQL's kill(); MySQL 9 has it no more."""
    body = victim.id.to_bytes(4, "little")
    with Speaker(stage.server.address, *PLAIN) as direct:
        known = direct.command(PROCESS_KILL, (1 << 30).to_bytes(4, "little")).error.code
    with Speaker(stage.address, *PLAIN) as killer:
        error = killer.command(PROCESS_KILL, body).error
    if known == 1094:
        assert error is None
        assert victim.wait_woken() is None or victim.answer_of_sleep.error
    else:
        assert error.code == known


@pytest.mark.sanitize
def test_it_may_come_in_pieces_and_among_others(stage, victim):
    with Speaker(stage.address, *PLAIN) as killer:
        said = b""
        for words in (b"SELECT 1", f"KILL QUERY {victim.id}".encode(), b"SELECT 2"):
            payload = bytes([QUERY]) + words
            said += len(payload).to_bytes(3, "little") + b"\0" + payload
        for at in range(len(said) - 12):
            killer.sock.sendall(said[at:at + 1])
        killer.sock.sendall(said[-12:])
        answers = []
        for _ in range(3):
            killer.sequence = 0
            answers.append(killer.listen())
        assert [answer.error for answer in answers] == [None] * 3
        assert answers[0].rows == [(b"1",)] and answers[2].rows == [(b"2",)]
    victim.wait_woken()
    assert victim.is_there()


def test_the_server_says_who_may(stage, victim):
    """In its own words, with its own id."""
    told = order(stage, f"KILL QUERY {victim.id}", SECOND)
    with Speaker(stage.server.address, *SECOND) as direct:
        expected = direct.ask(f"KILL QUERY {victim.server_id}").error.told
    assert told == expected and told[0] == 1095
    assert victim.is_asleep()


def test_who_has_left_is_nobody(stage):
    """Whoever has his connection now is left alone."""
    with Speaker(stage.address, *PLAIN) as gone:
        assert gone.value("SELECT 1") == "1"
        old = gone.greeting.thread
        gone.quit()
    stage.wait_left()
    with contextlib.ExitStack() as kept:
        victims = [kept.enter_context(Victim(stage)) for _ in range(3)]
        for number in (old, old + 1000, 0x80000000, 0xffffffff, (1 << 31) - 1):
            assert order(stage, f"KILL QUERY {number}")[0] == 1094
        assert all(victim.is_asleep() for victim in victims)


def test_a_connection_that_was_aimed_at_is_nobodys_afterwards(stage):
    """The order may hit when its victim has left."""
    seen = set()
    for _ in range(4):
        with Speaker(stage.address, *PLAIN) as client:
            seen.add(client.value("SELECT CONNECTION_ID()"))
            assert order(stage, f"KILL QUERY {client.greeting.thread}") is None
            with contextlib.suppress(MySQLError):  # at the next statement
                client.value("SELECT 1")
            client.quit()
        stage.wait_left()
    assert len(seen) == 4


@pytest.mark.sanitize
@pytest.mark.parametrize("kind", [Kind(people, TRANSACTION) for people in ALL], ids=str)
def test_it_follows_who_changes_connections(home, kind):
    """Two for many of one account: whoever sleeps is woken, whichever of both it has."""
    with clusters.lent(kind.cluster) as people, contextlib.ExitStack() as kept:
        stage = PooledMySQL(home, people, TRANSACTION, pool_size=2, of_router={"workers": 1})
        others = [kept.enter_context(Speaker(stage.address, *PLAIN, "test")) for _ in range(3)]
        had = set()
        for n in range(8):
            with Victim(stage) as victim:
                had.add(victim.server_id)
                words = f"KILL QUERY {victim.id}".encode()
                assert others[n % 3].ask(words).error is None
                victim.wait_woken()
                assert victim.is_there()
            for other in others:
                assert other.value("SELECT 1") == "1"
        assert len(had) > 1


# --- as people do it ---


def command_line(people):
    """Of that family."""
    if not isinstance(people, MySQLPeople):
        return ["mariadb", "--no-defaults"]
    return mysql_logins.inside(people, "/usr/bin/mysql", "--no-defaults", "--get-server-public-key")


def test_ctrl_c(stage, home):
    """The command line opens a second connection, by which it kills the statement."""
    argv = [*command_line(stage.people), f"--host={stage.address[0]}",
            f"--port={stage.address[1]}", f"--user={PLAIN.name}", f"--password={PLAIN.password}",
            "-e", f"SELECT SLEEP({LONG}), 'ctrlc'"]
    client = Process(argv, os.path.join(home.directory("client"), "log"))
    try:
        until(lambda: statements(stage, "ctrlc"), "it to sleep", 10)
        os.killpg(client.pid, signal.SIGINT)
        until(lambda: not statements(stage, "ctrlc"), "it to be woken", LONG / 3)
        client.wait()
        assert "Unknown thread" not in client.log, client.log
    finally:
        client.kill()
    stage.wait_left()


def statements(stage, mark):
    """That are under way, and have that word."""
    return stage.server.sql("SELECT id FROM information_schema.processlist"
                            " WHERE info LIKE %s AND id <> CONNECTION_ID()", f"%{mark}%")


def test_pymysql(stage):
    def connect():
        return pymysql.connect(host=stage.address[0], port=stage.address[1], user=PLAIN.name,
                               password=PLAIN.password)

    with connect() as one, connect() as other, other.cursor() as cursor:
        assert one.thread_id() >= 1 << 31
        cursor.execute(f"KILL {one.thread_id()}")
        with pytest.raises(pymysql.OperationalError):
            one.ping(reconnect=False)
        with pytest.raises(pymysql.OperationalError) as caught:
            cursor.execute(f"KILL {one.thread_id()}")
        assert caught.value.args[0] == 1094
