"""Promise: a probe logs in to MariaDB, MySQL and PostgreSQL in every way they want of it, says in
words what is missing when it may not, and outlives a change of its password."""
import os

import pytest

from lib import lone, mariadb
from lib.clusters import NotInstallable
from lib.families import GroupReplication, PostgreSQL
from lib.ini import frontend
from lib.lone import ACCOUNT
from lib.postgres import run_openssl
from lib.process import free_port
from lib.router import run
from lib.sockets import local
from lib.sql_playbook import Both
from lib.sql_writers import Refused
from lib.strict import Stranger
from lib.waiting import holds, until

NEW = "of the second day"

# caching_sha2_password's third packet: the proof is good, or the password itself is wanted.
FAST, FULL = b"\x02\0\0\x02\x01\x03", b"\x02\0\0\x02\x01\x04"


@pytest.fixture(name="place", scope="module", params=lone.ALL, ids=lambda p: p.name)
def lone_server(request, shared_home):
    try:
        return request.param(shared_home)
    except NotInstallable as missing:
        pytest.skip(str(missing))


def only(*chosen):
    return pytest.mark.parametrize("place", chosen, ids=lambda p: p.name, indirect=True)


class Asked:
    """A router with this backend, and what it says of the server."""

    def __init__(self, home, place, account=None, **keys):
        self.place = place
        self.port = free_port()
        self.sections = frontend("f", self.port) + place.backend(account, **keys)
        self.router = home.router(self.sections)

    def server(self, stats=None):
        return (stats or self.router.stats()).server(self.place.server.name)

    def wait(self, state, words=""):
        stats = self.router.wait_for(
            lambda s: self.server(s)["state"] == state and words in self.server(s)["reason"],
            f"the server to be {state}: {words}", 10)
        return self.server(stats)

    def wait_primary(self):
        return self.router.wait_primary(self.place.server.name)

    def write(self, key):
        """The port of the server that took it."""
        client = self.place.dialect.connect(local(self.port), 10)
        try:
            return client.insert(key)
        finally:
            client.close()


def once(home, sections):
    path = home.file("once.ini", f"[router]\nadmin = off\n{sections}")
    return run("--probe", "-c", path)


# --- refused ---

REFUSED = {"wrong": (ACCOUNT[0], "guessed"), "none": (ACCOUNT[0], None),
           "stranger": ("stranger", "guessed")}
WORDS = {("wrong", "mysql"): "does not accept the probe's user and password",
         ("wrong", "pgsql"): "does not accept the probe's user and password",
         ("none", "mysql"): "asks for a password: probe_user and probe_password",
         ("none", "pgsql"): "asks for a password: probe_password",
         ("stranger", "mysql"): "",  # MySQL does not even tell that there is no such account
         ("stranger", "pgsql"): "does not let the probe in (pg_hba.conf, or the role)"}


@pytest.mark.sanitize
@pytest.mark.parametrize("how", list(REFUSED))
def test_who_is_refused_is_told_why_and_the_server_is_down(home, place, how):
    place.add_account(*ACCOUNT)
    user, password = REFUSED[how]
    asked = Asked(home, place, (user, password), queue_timeout="200ms")
    seen = asked.wait("down", WORDS[how, place.protocol])
    assert seen["role"] == "unknown" and seen["access"] == "none"
    with pytest.raises(Refused, match="no primary in time"):
        asked.write("refused")
    done = once(home, asked.sections)
    assert done.returncode == 1
    assert WORDS[how, place.protocol] in done.stdout and "frontend f: no server" in done.stdout
    if password:
        assert password not in asked.router.log + done.stdout + done.stderr


@only(lone.LoneMariaDB, lone.LoneMySQL)
def test_a_missing_privilege_is_named_with_its_statement_and_its_grant(home, place):
    statement = "SHOW ALL SLAVES STATUS" if place.name == "mariadb" else "SHOW REPLICA STATUS"
    words = f"{statement} is refused: GRANT {place.grant} TO 'nobody'@'...'"
    asked = Asked(home, place, mariadb.NOBODY)
    asked.wait("down", words)
    done = once(home, asked.sections)
    assert (done.returncode, words in done.stdout) == (1, True), done.stdout
    place.server.sql(f"GRANT {place.grant} TO nobody")  # as it was told
    asked.wait_primary()
    done = once(home, asked.sections)
    assert (done.returncode, "frontend f: ok" in done.stdout) == (0, True), done.stdout
    place.server.sql(f"REVOKE {place.grant} FROM nobody")


def test_a_group_tells_its_members_to_who_may_see_them(home, mysql_group):
    """Two are asked with an account that may, one with one that may not."""
    family = GroupReplication(mysql_group)
    text = frontend("f", free_port()) + family.backend(probe_user=mariadb.NOBODY[0],
                                                       probe_password=mariadb.NOBODY[1])
    words = ("SELECT on performance_schema.replication_group_members is refused:"
             " GRANT SELECT ON performance_schema.* TO 'nobody'@'...'")
    done = once(home, text)
    told = [line.endswith(words) for line in done.stdout.splitlines()]
    assert (done.returncode, sum(told)) == (1, 3), done.stdout
    done = once(home, frontend("f", free_port()) + family.backend())
    assert done.returncode == 0
    roles = [line.split()[3] for line in done.stdout.splitlines() if "127.0.0.1:" in line]
    assert sorted(roles) == ["primary", "replica", "replica"], done.stdout


def test_a_standby_that_hides_whom_it_follows_says_what_to_grant(home, postgres):
    """It follows the only server that claims all the same, whoever answers first."""
    family = PostgreSQL(postgres)
    text = frontend("f", free_port()) + family.backend(probe_user=mariadb.NOBODY[0],
                                                       probe_password=mariadb.NOBODY[1])
    for _ in range(5):
        done = once(home, text)
        assert done.stdout.count("GRANT pg_monitor TO nobody") >= 2, done.stdout
        assert done.returncode == 0, done.stdout
    done = once(home, frontend("f", free_port()) + family.backend())
    assert done.returncode == 0
    assert "GRANT" not in done.stdout


# --- stale ---


@pytest.mark.sanitize
def test_a_proven_server_whose_password_changed_keeps_its_role_and_its_sessions(home, place):
    place.add_account(*ACCOUNT)
    asked = Asked(home, place, ACCOUNT, probe_keep="no")
    asked.wait_primary()
    writers = Both(home, local(asked.port), place.dialect)
    until(lambda: len(writers.acked()) > 10, "writes")
    place.set_password(ACCOUNT[0], NEW)
    asked.wait("stale", "does not accept the probe's user and password")
    before = len(writers.acked())
    until(lambda: len(writers.acked()) > before + 20, "more writes")
    assert not any(w.cut or w.refused for w in writers.all)
    stats = asked.router.stats()
    assert (stats.backend()["primary"], stats.backend()["stale"]) == (place.server.name, True)
    assert "cannot be asked any more" in asked.router.log
    place.set_password(*ACCOUNT)
    asked.wait("up")
    assert asked.router.stats().backend()["stale"] is False
    writers.stop()
    assert not any(w.cut or w.refused for w in writers.all)


# --- rotation ---


class Renamed:
    """A file that a new one is renamed to."""

    def __init__(self, home):
        self.path = os.path.join(home.directory("secret"), "password")

    def say(self, text):
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(text + "\n")
        os.replace(self.path + ".new", self.path)


class Mounted:
    """As Kubernetes mounts a secret: password -> ..data/password, ..data -> ..N, which is swapped.
    """

    def __init__(self, home):
        self.directory = home.directory("secret")
        self.path = os.path.join(self.directory, "password")
        self.count = 0
        os.symlink("..data/password", self.path)

    def say(self, text):
        self.count += 1
        folder = os.path.join(self.directory, f"..{self.count}")
        os.mkdir(folder)
        with open(os.path.join(folder, "password"), "w", encoding="ascii") as file:
            file.write(text)
        os.symlink(f"..{self.count}", os.path.join(self.directory, "..data_tmp"))
        os.replace(os.path.join(self.directory, "..data_tmp"),
                   os.path.join(self.directory, "..data"))


@pytest.mark.sanitize
@pytest.mark.parametrize("secret", [Renamed, Mounted], ids=["renamed", "mounted"])
def test_a_password_is_rotated_on_the_server_and_in_the_file_in_either_order(home, place, secret):
    file = secret(home)
    file.say(ACCOUNT[1])
    place.add_account(*ACCOUNT)
    asked = Asked(home, place, ACCOUNT, probe_password_file=file.path, probe_keep="no")
    asked.wait_primary()

    place.set_password(ACCOUNT[0], NEW)
    asked.wait("stale")
    file.say(NEW)
    asked.wait("up")

    file.say("of the third day")
    asked.wait("stale")
    place.set_password(ACCOUNT[0], "of the third day")
    asked.wait("up")

    assert asked.router.stats().backend()["primary"] == place.server.name
    assert asked.write(secret.__name__) == place.server.port
    assert "of the" not in asked.router.log


@only(lone.LoneMySQL)
def test_while_the_server_takes_both_passwords_the_rotation_is_not_noticed(home, place):
    file = Renamed(home)
    file.say(ACCOUNT[1])
    place.add_account(*ACCOUNT)
    asked = Asked(home, place, ACCOUNT, probe_password_file=file.path, probe_keep="no")
    asked.wait_primary()
    place.server.sql("ALTER USER rotated IDENTIFIED BY %s RETAIN CURRENT PASSWORD", NEW)
    file.say(NEW)
    until(lambda: "has changed" in asked.router.log, "the router to look at its file")
    place.server.sql("ALTER USER rotated DISCARD OLD PASSWORD")
    holds(lambda: asked.server()["state"] == "up", "it can be asked", 0.5)
    assert "cannot be asked" not in asked.router.log


def test_a_kept_connection_outlives_the_rotation_and_the_next_one_knows_the_new_password(home,
                                                                                         place):
    file = Renamed(home)
    file.say(ACCOUNT[1])
    place.add_account(*ACCOUNT)
    asked = Asked(home, place, ACCOUNT, probe_password_file=file.path)
    asked.wait_primary()
    place.set_password(ACCOUNT[0], NEW)
    holds(lambda: asked.server()["state"] == "up", "it is logged in", 0.3)
    file.say(NEW)
    until(lambda: "has changed" in asked.router.log, "the router to look at its file")
    place.server.restart()
    asked.wait_primary()
    assert "cannot be asked" not in asked.router.log


# --- plugins ---


@only(lone.LoneMariaDB)
def test_an_account_with_a_plugin_that_the_probe_cannot_do_is_told_at_once(home, place):
    if not place.server.sql("SELECT 1 FROM information_schema.plugins"
                            " WHERE plugin_name = 'ed25519'"):
        place.server.sql("INSTALL SONAME 'auth_ed25519'")
    place.server.add_user("edward", "word", plugin="ed25519", grants=[place.grant])
    words = "its account uses client_ed25519, which the probe cannot do"
    asked = Asked(home, place, ("edward", "word"), probe_timeout="5s")
    asked.wait("down", words)
    done = once(home, asked.sections)
    assert (done.returncode, words in done.stdout) == (1, True), done.stdout

    # With a second plugin, MariaDB's way of changing it.
    place.server.sql("ALTER USER edward IDENTIFIED VIA ed25519 USING PASSWORD('word')"
                     " OR mysql_native_password USING PASSWORD('word')")
    asked.wait_primary()


class Recorder(Stranger):
    """Stands before a server and keeps what it says."""

    def __init__(self, server):
        self.said = b""
        super().__init__(server, server.name)

    def _move(self, sock, peer):
        if sock.getpeername()[1] == self.server.port:
            peer = _Keeping(self, peer)
        return super()._move(sock, peer)


class _Keeping:
    def __init__(self, recorder, peer):
        self.recorder = recorder
        self.peer = peer

    def sendall(self, data):
        self.recorder.said += data
        self.peer.sendall(data)

    def __getattr__(self, name):
        return getattr(self.peer, name)


@only(lone.LoneMySQL)
def test_a_password_goes_encrypted_by_the_servers_key_once_and_then_as_a_proof(home, place):
    """caching_sha2_password without TLS."""
    place.add_account(*ACCOUNT)
    recorder = home.keep(Recorder(place.server))
    text = place.backend(ACCOUNT, probe_keep="no").replace(place.server.text, recorder.text)
    router = home.router(frontend("f", free_port()) + text)
    router.wait_primary(place.server.name)
    assert recorder.said.count(FULL) == 1
    assert b"-----BEGIN PUBLIC KEY-----" in recorder.said
    until(lambda: recorder.said.count(FAST) > 2, "short logins")
    assert recorder.said.count(FULL) == 1
    place.server.sql("FLUSH PRIVILEGES")  # what the server knows by heart is forgotten
    until(lambda: recorder.said.count(FULL) == 2, "a full login")
    assert "cannot be asked" not in router.log


# --- TLS ---


@pytest.mark.sanitize
def test_probes_speak_tls_to_the_server_whose_certificate_they_know(home, place):
    ca, name = place.ca()
    place.add_account(*ACCOUNT)
    asked = Asked(home, place, ACCOUNT, probe_tls="yes", tls_ca=ca, tls_server_name=name)
    asked.wait_primary()
    assert asked.write("by tls") == place.server.port


def test_what_the_probe_says_is_encrypted(home, place):
    ca, name = place.ca()
    place.add_account(*ACCOUNT)
    told = b"server_id" if place.protocol == "mysql" else b"server_version"
    for keys in {}, {"probe_tls": "yes", "tls_ca": ca, "tls_server_name": name}:
        recorder = home.keep(Recorder(place.server))
        text = place.backend(ACCOUNT, **keys).replace(place.server.text, recorder.text)
        home.router(frontend("f", free_port()) + text).wait_primary(place.server.name)
        assert (told in recorder.said) == (keys == {})


@pytest.mark.sanitize
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_server_with_a_wrong_certificate_is_not_told_the_password(home, place, wrong):
    ca, name = place.ca()
    if wrong == "authority":
        ca = os.path.join(home.directory("ca"), "other.pem")
        run_openssl(ca, ca + ".key")
        os.chmod(ca, 0o644)
    else:
        name = "db.example.com"
    place.add_account(*ACCOUNT)
    asked = Asked(home, place, ACCOUNT, probe_tls="yes", tls_ca=ca, tls_server_name=name)
    seen = asked.wait("down", "its certificate is not accepted: ")
    if wrong == "name":
        assert "mismatch" in seen["reason"]
    done = once(home, asked.sections)
    assert (done.returncode, seen["reason"] in done.stdout) == (1, True), done.stdout
    unverified = Asked(home, place, ACCOUNT, probe_tls="yes", tls_verify="no")
    unverified.wait_primary()


@only(lone.LoneMySQL)  # MariaDB says no more than that it denies access
def test_a_server_that_takes_tls_only_says_so(home, place):
    place.add_account(*ACCOUNT)
    place.server.sql("SET GLOBAL require_secure_transport = 1")
    try:
        Asked(home, place, ACCOUNT).wait("down", "takes TLS only (require_secure_transport)")
        Asked(home, place, ACCOUNT, probe_tls="yes", tls_verify="no").wait_primary()
    finally:
        place.server.sql("SET GLOBAL require_secure_transport = 0")
