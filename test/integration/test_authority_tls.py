"""Promise: with sentinel_tls and patroni_tls those who decide beside the servers are asked, and
listened to, over TLS. Who does not prove who he is, is not heard: that is told, with the reason,
and changes nothing. Files that were replaced count from the next connection on."""
import pytest

from lib import certificates, families, postgres
from lib.certificates import write
from lib.fake import hold
from lib.hub import Authority, Hub, head, names_wanted
from lib.ini import FAST_PROBES, frontend, redis_backend, section
from lib.process import free_port
from lib.resp import Resp
from lib.router import run
from lib.secure_sentinel import SecureWatched
from lib.sentinel import MASTER
from lib.sockets import local
from lib.tls_place import content
from lib.waiting import until

UNTRUSTED = "its certificate is not accepted: unable to get local issuer certificate"
PROBES = {**FAST_PROBES, "probe_timeout": "2s"}  # a handshake may take its time


# Sentinels -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(shared_home):
    return SecureWatched(shared_home)


@pytest.fixture
def watched(cluster):
    cluster.reset()
    return cluster


class Stage:
    """A router before them."""

    def __init__(self, home, watched, **keys):
        self.watched = watched
        self.port = free_port()
        trust = watched.trust
        keys = {**PROBES, "tls": "yes", "tls_ca": trust.both, "tls_cert": trust.client.pem,
                "sentinel": [s.text for s in watched.sentinels], "sentinel_master": MASTER,
                "sentinel_tls": "yes", **keys}
        self.router = home.router(frontend("write", self.port)
                                  + redis_backend(*watched.servers,
                                                  **{k: v for k, v in keys.items() if v}),
                                  start_timeout="1s")

    def sentinels(self):
        return self.router.stats().backend()["sentinels"]

    def wait_each(self, condition, what):
        self.router.wait_for(lambda s: all(map(condition, s.backend()["sentinels"])), what, 20)

    def wait_heard(self, name):
        self.wait_each(lambda s: s["heard"] and s["subscribed"] and s["names"] == name
                       and s["why"] == "", f"all to name {name}")

    def wait_unheard(self, words):
        self.wait_each(lambda s: not s["heard"] and not s["subscribed"] and s["names"] is None
                       and words in s["why"], words)

    def writes(self, value):
        with Resp(local(self.port), 20) as client:
            assert client.call("SET", "k", value) == "OK"

    def look(self):
        """What a single look tells of the Sentinels."""
        return run("--probe", "-c", self.router.path).stdout


def test_with_all_in_tls_the_primary_is_found_and_a_failover_followed(home, watched):
    stage = Stage(home, watched)
    old = watched.primary
    stage.router.wait_primary(old.name)
    stage.wait_heard(old.name)
    stage.writes("before")
    assert stage.look().count(f"names {old.name}") == 3
    watched.failover()
    new = watched.wait_failover(old)
    stage.router.wait_primary(new.name, timeout=20)
    stage.wait_heard(new.name)
    stage.writes("after")
    assert new.call("GET", "k") == "after"


def test_sentinels_of_a_stranger_are_not_heard_and_it_is_told_why(home, watched):
    stage = Stage(home, watched, tls_ca=watched.trust.servers.ca)
    stage.wait_unheard(UNTRUSTED)
    stage.router.wait_primary(watched.primary.name)  # by the servers' own word
    stage.writes("alone")
    told = stage.look()
    assert told.count(f"is not heard: {UNTRUSTED}") == 3, told


def test_one_that_stalls_in_the_handshake_is_not_heard_and_tried_again(home, watched):
    mute = home.fake(hold)
    stage = Stage(home, watched, sentinel=mute.text, probe_timeout="300ms")
    first = until(lambda: len(mute.open) >= 2 and set(mute.open), "a question, a subscription", 10)
    stage.wait_unheard("does not go on with the TLS handshake in time")
    until(lambda: not first & set(mute.open), "both to be given up", 10)
    until(lambda: len(mute.open) >= 2, "both to be tried again", 10)


def test_without_verification_anybody_is_heard(home, watched):
    stage = Stage(home, watched, tls_ca=None, tls_verify="no")
    stage.wait_heard(watched.primary.name)


def test_a_replaced_file_counts_from_the_next_connection_and_the_primary_stays(home, watched):
    trust, name = watched.trust, watched.primary.name
    live = write(home.path + "/live.pem", content(trust.both))
    stage = Stage(home, watched, tls_ca=live)
    stage.wait_heard(name)
    write(live, content(trust.servers.ca))
    until(lambda: "were read again" in stage.router.log, "the file to be read", 10)
    for sentinel in watched.sentinels:
        sentinel.cut("pubsub")
    stage.wait_each(lambda s: s["heard"] and not s["subscribed"]
                    and s["why"] == f"tells no news: {UNTRUSTED}", "news to be missed")
    for sentinel in watched.sentinels:
        sentinel.cut("normal")
    stage.wait_unheard(UNTRUSTED)
    stats = stage.router.stats()
    assert (stats.backend()["primary"], stats.backend()["verdict"]) == (name, "primary")
    assert any(e["kind"] == "sentinel" and f"is not heard: {UNTRUSTED}" in e["text"]
               for e in stats["events"])
    stage.writes("alone")
    write(live, content(trust.both))
    stage.wait_heard(name)


# Patroni -------------------------------------------------------------------------------------


def as_patroni(status, body):
    return head(status, "Content-Type: application/json", version="1.0") + body


class Witness:
    """What answers as Patroni's REST API does, and a router that asks it. Its PostgreSQL is not
    there, which keeps nobody from asking."""

    def __init__(self, home, alternative="IP:127.0.0.1", clear=False, **keys):
        self.authority = Authority(home.directory("ca"))
        self.tls = self.authority.context("patroni", alternative)
        self.hub = home.keep(Hub(shape=as_patroni, tls=None if clear else self.tls, ends=True))
        server = f"a 127.0.0.1:{free_port()}"
        keys = {**PROBES, "protocol": "pgsql", "server": server, "patroni": self.hub.port,
                "patroni_tls": "yes", "tls_ca": self.authority.ca,
                "probe_user": postgres.PROBER[0], "probe_password": postgres.PROBER[1], **keys}
        self.router = home.router(
            frontend("f", free_port())
            + section("backend b", **{k: v for k, v in keys.items() if v}), start_timeout="1s")

    def wait(self, leader, why):
        """Until this is what Patroni says, or why it is not heard."""
        def told(stats):
            server = stats.server("a")
            return server["patroni_leader"] is leader and why in server["patroni_why"]
        self.router.wait_for(told, f"patroni_leader = {leader}: {why}", 10)

    def asked(self):
        """The fields Host."""
        return {request.fields["host"] for request in list(self.hub.requests)}


def test_patroni_is_asked_over_tls(home):
    witness = Witness(home)
    with names_wanted(witness.tls) as wanted:
        witness.wait(True, "")
        until(lambda: wanted, "a handshake")
    assert set(wanted) == {None}
    assert witness.asked() == {f"127.0.0.1:{witness.hub.port}"}
    witness.hub.status = 503
    witness.wait(False, "")


def test_tls_server_name_is_patronis_too(home):
    witness = Witness(home, "DNS:patroni.test", tls_server_name="patroni.test")
    with names_wanted(witness.tls) as wanted:
        witness.wait(True, "")
        until(lambda: wanted, "a handshake")
    assert set(wanted) == {"patroni.test"}
    assert witness.asked() == {f"patroni.test:{witness.hub.port}"}


STRANGERS = {
    "address": ({"alternative": "IP:127.0.0.2"}, "IP address mismatch"),
    "name": ({"tls_server_name": "patroni.test"}, "hostname mismatch"),
    "authority": ({"tls_ca": None}, "unable to get local issuer certificate"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_patroni_that_does_not_prove_itself_is_told_nothing_and_it_is_said_why(home, stranger):
    keys, words = STRANGERS[stranger]
    witness = Witness(home, **keys)
    words = f"its certificate is not accepted: {words}"
    witness.wait(None, words)
    assert f"patroni: {words}" in run("--probe", "-c", witness.router.path).stdout
    assert witness.hub.requests == []


def test_without_verification_any_patroni_is_heard(home):
    Witness(home, "IP:127.0.0.2", tls_ca=None, tls_verify="no").wait(True, "")


@pytest.mark.parametrize("tls", ["yes", "no"])
def test_a_patroni_that_speaks_otherwise_is_not_heard_and_it_is_said_why(home, tls):
    in_tls = tls == "yes"
    keys = {} if in_tls else {"patroni_tls": "no", "tls_ca": None}
    witness = Witness(home, clear=in_tls, **keys)
    witness.wait(None, "TLS" if in_tls else "the connection was c")
    assert witness.hub.requests == []


def test_patroni_is_met_with_replaced_files_at_the_next_question(home):
    other = Authority(home.directory("other"), "other")
    live = write(home.path + "/live.pem", content(other.ca))
    witness = Witness(home, tls_ca=live)
    witness.wait(None, "its certificate is not accepted: ")
    write(live, content(witness.authority.ca))
    witness.wait(True, "")
    write(live, content(other.ca))
    witness.wait(None, "its certificate is not accepted: ")


def test_a_real_patroni_is_asked_over_tls(home, patroni):
    authority = certificates.Authority(home.directory("ca"))
    patroni.spoil()
    for node in patroni.nodes:
        node.serve_tls(authority.leaf(ips=[node.host]), authority.ca)
    family = families.Patroni(patroni)
    leader = patroni.wait_leader()
    router = home.router(frontend("f", free_port()) + family.backend(
        patroni_tls="yes", tls_ca=authority.ca, probe_timeout="2s"))
    router.wait_primary(leader.name)
    router.wait_for(lambda s: all(x["patroni_leader"] is (x["name"] == leader.name)
                                  and x["patroni_why"] == "" for x in s.backend()["servers"]),
                    "Patroni's word on each", 20)
    for node in patroni.nodes:
        node.serve_clear()
    router.wait_for(lambda s: all(x["patroni_leader"] is None and "TLS" in x["patroni_why"]
                                  for x in s.backend()["servers"]), "Patroni not to be heard", 20)
    assert router.stats().backend()["primary"] == leader.name
