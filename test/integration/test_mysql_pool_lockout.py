"""Promise: no client can make a MySQL server lock out the router, whatever it says in its login, or
answers as its proof: what servers count as a broken handshake is refused before they see it."""
import pytest

from lib.clusters import NotInstallable
from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mysql_speaker import FOUND_ROWS, MODERN, MySQLError, Speaker
from lib.process import free_port
from lib.strict import USER, StrictMariaDB, StrictMySQL, Stranger
from lib.waiting import until

ERRORS = 3  # max_connect_errors
TRIES = ERRORS + 2
PROOFS = [("app", 1), ("app", 19), ("app", 21), ("app", 3000), ("edward", 0), ("edward", 63),
          ("edward", 65)]


class Odd(Speaker):
    """With a database in bytes, and a proof of its own."""
    proof = None

    def _account(self, token, plugin):
        text = super()._account(token, plugin)
        if isinstance(self.database, Raw):
            text = text.replace(self.database.encode(), self.database.raw)
        return text

    def token(self, plugin, nonce):
        if self.proof is not None and len(self.nonces) > 1:
            return self.proof
        return super().token(plugin, nonce)


class Raw(str):
    """A database, named by bytes."""

    def __new__(cls, raw):
        name = super().__new__(cls, "database%d" % len(raw))
        name.raw = raw
        return name


class Locking:
    """A server that locks an address out after three broken logins, and a router that comes to it
    from one that it may lock out."""

    def __init__(self, home, kind):
        self.clients = 0
        self.server = home.keep(kind(home.directory("strict"),
                                     options={"max-connect-errors": str(ERRORS)})).start()
        self.server.add_users()
        self.server.add_user("prober", "of the probes",
                             grants=[f"{self.server.MONITOR} ON *.*"])
        self.stranger = home.keep(Stranger(self.server))
        self.port, self.narrow = free_port(), free_port()
        text = ""
        for name, port, size in (("b", self.port, 8), ("narrow", self.narrow, 1)):
            text += frontend(f"f-{name}", port, backend=name, pool_mode="session")
            text += section(f"backend {name}", protocol="mysql", server=servers(self.stranger),
                            pool_size=size, probe_user="prober", probe_keep="yes",
                            probe_password="of the probes", **FAST_PROBES)
        self.router = home.router(text, workers=1)
        for name in ("b", "narrow"):
            self.router.wait_primary("s", name)

    def log_in(self, proof=None, user=USER[0], password=USER[1], source=None, port=None, **keys):
        """Each from an address of its own, or those who fail would be slowed."""
        self.clients += 1
        source = source or f"127.9.{self.clients // 200}.{1 + self.clients % 200}"
        client = Odd(("127.0.0.1", port or self.port), user, password, source=source, login=False,
                     **keys)
        client.proof = proof
        with client:
            client.log_in()
            return client.value("SELECT CURRENT_USER()")

    def logins(self):
        """Connections that the server was ever asked for, but ours."""
        return self.stranger.accepted

    def wait_left(self):
        self.router.wait_for(lambda s: s["router"]["sessions"] == 0, "them to be gone")

    def still_welcome(self):
        """The router may connect anew, and a client is served."""
        self.wait_left()
        assert not self.stranger.locked_out()
        assert self.log_in() == f"{USER[0]}@%"


@pytest.fixture(name="locking", scope="module", params=[StrictMariaDB, StrictMySQL],
                ids=["mariadb", "mysql"])
def locking_server(request, shared_home):
    try:
        return Locking(shared_home, request.param)
    except NotInstallable as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def forgiven(locking):
    """What one test did is not held against the next."""
    locking.server.forget()


def refused(locking, code, state, **keys):
    before = locking.logins()
    for _ in range(TRIES):
        with pytest.raises(MySQLError) as caught:
            locking.log_in(**keys)
        assert (caught.value.code, caught.value.state) == (code, state)
    assert locking.logins() == before
    locking.still_welcome()


@pytest.mark.sanitize
@pytest.mark.parametrize("charset", [35, 54, 56, 60, 101, 159, 160])
def test_charsets_of_no_client_are_refused_before_a_server_is_asked(locking, charset):
    refused(locking, 1231, "42000", charset=charset)


@pytest.mark.sanitize
def test_a_database_that_is_no_text_is_refused_before_a_server_is_asked(locking):
    refused(locking, 1300, "HY000", database=Raw(b"shop\xff\x80"))


@pytest.mark.sanitize
@pytest.mark.parametrize("pooled", [False, True], ids=["fresh", "pooled"])
def test_proofs_of_no_plugins_length_are_not_passed_on(locking, pooled):
    """Broken handshakes to MariaDB."""
    if isinstance(locking.server, StrictMySQL):
        pytest.skip("its plugins take any length")
    for user, length in PROOFS:
        for _ in range(TRIES - 1):
            if pooled:
                locking.log_in()
            with pytest.raises(MySQLError) as caught:
                locking.log_in(b"x" * length, user)
            assert (caught.value.code, caught.value.state) == (1043, "08S01")
    locking.still_welcome()


BIG5 = 1


@pytest.mark.sanitize
def test_what_was_counted_is_taken_back_by_a_probe_that_logs_in_anew(locking):
    """Only a login that is anew does that; a pool makes few, and a probe keeps its connection. A
    database's name that is wrong in its charset stands for all that a server may count."""
    if isinstance(locking.server, StrictMySQL):
        pytest.skip("counts nothing of what passes")
    for _ in range(ERRORS):
        before = locking.logins()
        for _ in range(2):
            with pytest.raises(MySQLError) as caught:
                locking.log_in(charset=BIG5, database=Raw(b"shop\xff\x80"),
                               capabilities=MODERN | FOUND_ROWS)  # no idle one is like that
            assert caught.value.code == 1300
        until(lambda: locking.logins() > before + 2, "the probe to log in anew", 10)
        locking.router.wait_primary("s", "b")
    assert locking.logins() - before < 6, "again and again"
    locking.still_welcome()


def fail(locking, **keys):
    with pytest.raises(MySQLError) as caught:
        locking.log_in(password="wrong", **keys)
    assert caught.value.code == 1045


@pytest.mark.sanitize
def test_who_has_failed_lately_takes_no_pooled_connection_where_there_is_room(locking):
    """MariaDB sleeps a second over a wrong password, if it comes by COM_CHANGE_USER."""
    source = "127.8.0.1"
    fail(locking, source=source)
    locking.log_in()
    locking.wait_left()
    before = locking.logins()
    fail(locking, source=source)
    fail(locking, source=source)
    assert locking.logins() == before + 2
    locking.log_in()
    assert locking.logins() == before + 2, "the pooled connection is still there"


@pytest.mark.sanitize
def test_who_has_failed_lately_takes_the_pooled_one_where_there_is_no_room(locking):
    source = "127.8.0.2"
    fail(locking, source=source)
    locking.log_in(port=locking.narrow)
    locking.wait_left()
    before = locking.logins()
    fail(locking, source=source, port=locking.narrow)
    assert locking.logins() == before
