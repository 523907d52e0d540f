"""Promise: through a pool every account is let in, or refused, as the server itself does it, with
every plugin, with TLS on either way, when the server remembers the account and when it does not."""
import itertools

import pytest

from lib import clusters
from lib.certificates import Authority
from lib.ini import frontend
from lib.mariadb import MariaDB
from lib.mysql_logins import WHO
from lib.mysql_people import (EMPTY, LENGTHY, ONE, PLAIN, SECOND, SECURE, SHA256, UNKNOWN, Login,
                              MySQLPeople)
from lib.mysql_pooled import (DIRECT, KINDS, SESSION, SESSION_KINDS, TLS_NAMES, TRANSACTION,
                              PooledMySQL, backend)
from lib.mysql_speaker import MySQLError, Speaker, trusting
from lib.netns import NEAR, Cable
from lib.process import free_port

FULL, FAST = b"\1\4", b"\1\3"
# How TLS ends is the same in every mode.
WAYS = [(kind, client, server) for kind in KINDS for client, server in TLS_NAMES
        if kind.mode == SESSION or not server]
_sources = (f"127.1.{high}.{low}" for high in range(256) for low in range(1, 255))


class Way:
    """To a server: what stands between, and who speaks TLS."""

    def __init__(self, stage, client, server):
        self.stage, self.client, self.server = stage, client, server
        self.people, self.address = stage.people, stage.to(server)

    def log_in(self, account, password=None, database=None):
        """From an address of its own: who fails slows those who come from the same one."""
        return Speaker(self.address, account.name,
                       account.password if password is None else password, database,
                       tls=trusting() if self.client else None, source=next(_sources))

    def past_the_router(self, account, password=None, database=None):
        return Speaker(self.people.server.address, account.name,
                       account.password if password is None else password, database,
                       tls=trusting() if self.server else None)

    def visit(self, account, password=None):
        """In and out: what the client has seen, and the connection's id at the server."""
        client = self.log_in(account, password)
        rows = client.rows("SELECT CURRENT_USER(), CONNECTION_ID()")
        assert rows[0][0] == f"{account.name}@%"
        client.quit()
        return client, rows[0][1]


@pytest.fixture(name="stages", scope="module")
def all_stages(shared_home):
    """By kind; made when they are asked for."""
    stages, lent = {}, []

    def get(kind):
        if kind not in stages:
            lent.append(clusters.lent(kind.cluster))
            stages[kind] = PooledMySQL(shared_home, lent[-1].__enter__(), kind.mode,
                                       of_router={"workers": 1})
        return stages[kind]

    yield get
    for one in lent:
        one.__exit__(None, None, None)


def named(value):
    return "-".join([str(value[0]), TLS_NAMES[value[1:]]])


@pytest.fixture(name="way", params=WAYS, ids=named)
def every_way(request, stages):
    kind, client, server = request.param
    yield Way(stages(kind), client, server)
    stages(kind).wait_left()


@pytest.fixture(name="asking", params=[way for way in WAYS if way[0].people is MySQLPeople],
                ids=named)
def every_way_to_mysql(request, stages):
    """Whose plugins ask for the password itself."""
    kind, client, server = request.param
    yield Way(stages(kind), client, server)
    stages(kind).wait_left()


@pytest.fixture(name="stage", params=SESSION_KINDS, ids=str)
def one_stage(request, stages):
    yield stages(request.param)
    stages(request.param).wait_left()


REFUSALS = {1044, 1045, 1698, 1820, 1862, 3118, 4151}


def outcome(log_in, login):
    """Who a client is then, or how it was refused."""
    try:
        with log_in(login.account, login.password, login.database or None) as client:
            row = client.rows(WHO)[0]
            client.quit()
            return row
    except MySQLError as error:
        return error.told


def test_who_is_let_in_and_who_is_not(way):
    """In the server's words: with right and wrong passwords, and with databases. Who comes later
    finds the connections of others."""
    people = way.people
    logins = [Login(account, password, "test") for account in people.accounts
              for password in (None, "wrong") if account is not ONE]
    logins += [Login(UNKNOWN, ""), Login(PLAIN, ""), Login(EMPTY, "x" * 100)]
    logins += [Login(PLAIN, database=name) for name in ("", "other", "latin", "nowhere", "mysql")]
    expected = {login: outcome(way.past_the_router, login) for login in logins}
    assert len(set(expected.values())) > 10
    welcome = [login for login in logins if expected[login][0] not in REFUSALS]
    refused = [login for login in logins if login not in welcome]
    assert len(welcome) > 7 and len(refused) > 7
    for login in welcome + refused + welcome:
        assert outcome(way.log_in, login) == expected[login], login


@pytest.mark.parametrize("account", [PLAIN, LENGTHY, SHA256], ids=lambda a: a.name)
def test_a_server_that_has_forgotten_asks_for_the_password(asking, account):
    """As after each restart: nobody is in its cache, and all tell their password, in the clear over
    TLS and encrypted without. Whoever is remembered is let in without."""
    for _ in range(2):
        asking.people.forget_passwords()
        rounds = asking.visit(account)[0].rounds
        shows_key = any(payload.startswith(b"\1-----BEGIN PUBLIC KEY") for payload in rounds)
        assert shows_key == (not asking.client), rounds
        assert (FULL in rounds) == (account is not SHA256), rounds
        with pytest.raises(MySQLError, match="1045"):
            asking.visit(account, "wrong")
    if account is not SHA256:
        assert FAST in asking.visit(account)[0].rounds


def test_a_key_is_used_more_than_once(asking):
    """Whoever comes later may remember it, as clients do with that of a server."""
    keys = set()
    for _ in range(3):
        asking.people.forget_passwords()
        keys |= {r for r in asking.visit(PLAIN)[0].rounds if len(r) > 100}
    assert len(keys) == (0 if asking.client else 1)


NATIVE = b"\xfemysql_native_password\0"


def test_no_nonce_is_shown_twice(way):
    """Neither to two who come one after the other over the same connection of the server; but a
    MariaDB shows the same with mysql_native_password, which is of the next test"""
    shown, connections = [], []
    for account in (PLAIN, PLAIN, SECOND, *way.people.others) * 10:
        client, connection = way.visit(account)
        connections.append(connection)
        again = [r[len(NATIVE):-1] for r in client.rounds if r.startswith(NATIVE)]
        fresh = [nonce for nonce in client.nonces if nonce not in again]
        assert fresh and not set(fresh) & set(shown)
        assert all(len(nonce) in (20, 32) for nonce in client.nonces)
        shown += client.nonces
    if way.stage.mode != DIRECT:
        assert len(set(connections)) < len(connections) / 2, "connections are used again"


@pytest.mark.parametrize("mode", [SESSION, TRANSACTION])
def test_who_listens_cannot_repeat_what_was_said(home, mode):
    """A MariaDB's mysql_native_password asks the same on a connection for ever: so where somebody
    may have read the answer, nobody is asked it again. Over TLS there is nobody."""
    cable = home.keep(Cable())
    server = home.keep(MariaDB(home.directory("alone"), "m")).start()
    server.add_user(*PLAIN)
    leaf = Authority(home.directory("ca")).leaf(names=["db.test"])
    port = free_port()
    router = home.router(
        frontend("f", f"{NEAR}:{port}", pool_mode=mode, tls="yes", tls_cert=leaf.pem)
        + backend(server), workers=1)
    router.wait_primary("m")

    def visit(tls=None):
        with cable.far(), Speaker((NEAR, port), *PLAIN, tls=tls) as client:
            number = client.value("SELECT CONNECTION_ID()")
            nonces = client.nonces
            client.quit()
        router.wait_for(lambda s: s["router"]["sessions"] == 0, "it to be gone")
        return number, *nonces[1:]

    assert visit(trusting()) == visit(trusting()), "the connection and what it asks"
    readable = [True, False, True, True, False, False, True]
    told = [visit(None if open else trusting()) for open in readable]
    for number, open in enumerate(readable):
        assert not open or told[number] not in told[number + 1:], told
    assert told[4] == told[5], "over TLS it is used again"


def test_an_account_that_may_come_once(way):
    """Its own connection that is idle in the pool is not held against it; a second one at a time
    is, as it is without a pool."""
    other = SECURE if way.server else SECOND
    for account in (ONE, PLAIN, other, ONE, ONE, PLAIN, ONE, other, ONE):
        with way.log_in(account) as client:
            assert client.value("SELECT CURRENT_USER()") == f"{account.name}@%"
            if account is ONE:
                with pytest.raises(MySQLError) as caught:
                    way.log_in(account)
                assert caught.value.told[:2] == (1226, "42000")
            client.quit()
        if way.stage.mode == DIRECT:
            way.people.wait_connections(0, ONE)
        else:
            way.stage.wait_left()


def test_the_greeting_is_the_servers(stage):
    """Compression is not offered, and ids are none that the server gives: a client that kills the
    connection with the id that it was told must not kill another one."""
    with Speaker(stage.server.address, login=False) as direct, \
            Speaker(stage.address, login=False) as client:
        known, told = direct.greeting, client.greeting
    for name in ("version", "charset", "plugin", "status"):
        assert getattr(told, name) == getattr(known, name), name
    assert told.capabilities & ~known.capabilities == 0
    assert told.extended & ~known.extended == 0
    with Speaker(stage.address, *PLAIN) as client:
        if stage.mode != DIRECT:
            assert client.ask(f"KILL {client.greeting.thread + 100000}").error.code == 1094


def test_ids_in_greetings_are_all_different(stage):
    told = []
    for _ in range(50):
        with Speaker(stage.address, login=False) as client:
            told.append(client.greeting.thread)
    assert len(set(told)) == 50


def test_a_password_that_was_changed_is_the_one_that_counts(stage):
    """At the next login, over a connection that was proved with the old one."""
    people, account = stage.people, PLAIN._replace(name="rotating", password="of monday")

    way = Way(stage, False, False)

    def told(password):
        return outcome(way.log_in, Login(account, password))[:2]

    people.server.add_user(*account)
    denied = 1045, "28000"
    assert told("of monday")[0] == "rotating@%"
    people.server.set_password("rotating", "of tuesday")
    assert told("of monday") == denied
    assert told("of tuesday")[0] == "rotating@%"
    people.server.sql("ALTER USER rotating ACCOUNT LOCK")
    assert told("of tuesday") == outcome(way.past_the_router, Login(people.locked))[:2]
    people.server.sql("DROP USER rotating")
    assert told("of tuesday") == denied


def test_logins_of_many_at_once(stage):
    """Each is who it says."""
    accounts = [account for account, _ in zip(itertools.cycle(
        (PLAIN, SECOND, EMPTY, LENGTHY, *stage.people.others)), range(60))]
    clients = []
    try:
        for account in accounts:
            clients.append(Speaker(stage.address, *account))
        for client, account in zip(clients, accounts, strict=True):
            assert client.value("SELECT USER()") == f"{account.name}@127.0.0.1"
    finally:
        for client in clients:
            client.close()
