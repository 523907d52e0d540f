"""Promise: with Sentinels, a majority of all of them unseats a primary that answers, one word is
enough for a silent one, and writes wait in between. One that lies, lags, floods or is alone changes
nothing, and without any the primary stays. Counted from the servers' own data."""
import os
import time

import pytest

from lib.fake_sentinel import MASTER, FakeSentinel
from lib.ini import frontend, redis_backend
from lib.playbook import Stage
from lib.process import free_port
from lib.router import run
from lib.sockets import local
from lib.waiting import Clock, holds, until

MANY = {"count": 6, "rate": 100, "reconnect_every": 20}
NEEDED = ("router on >word -@all +sentinel|get-master-addr-by-name +sentinel|master"
          " +subscribe +psubscribe +ping")


class Watched(Stage):
    """A router before servers that Sentinels watch; the first server is the primary."""

    def __init__(self, home, servers, sentinels, writers=True, start_timeout="5s", **keys):
        self.home = home
        self.servers = servers
        self.sentinels = sentinels
        self.port = free_port()
        self.address = local(self.port)
        keys = {"sentinel": [s.text for s in sentinels], "sentinel_master": MASTER, **keys}
        self.sections = frontend("write", self.port) + redis_backend(*servers, **keys)
        self.writer_options = MANY
        self.writers = self.fault_at = None
        self.router = home.router(self.sections, start_timeout=start_timeout)
        self.router.wait_primary(servers[0].name)
        if writers:
            self.start_writers()
            # A link may be up for a second before what is written comes through it.
            until(lambda: all(s.ok("DBSIZE") > 0 for s in servers), "replicas that replicate", 10)

    def words(self):
        """Whom each Sentinel names, None for those that are not heard."""
        return [s["names"] for s in self.router.stats().backend()["sentinels"]]

    def wait_words(self, *names):
        self.router.wait_for(
            lambda s: [x["names"] for x in s.backend()["sentinels"]] == list(names),
            f"the words {names}", 20)

    def wait_subscribed(self):
        self.router.wait_for(lambda s: all(x["subscribed"] for x in s.backend()["sentinels"]),
                             "all subscriptions", 10)

    def settled(self, cluster):
        """Whom real Sentinels name in the end: who stood still may fail over once more."""
        def done():
            new = cluster.elected()
            if not new or new.role() != "master":
                return None
            linked = all(s.linked() for s in cluster.servers if s is not new)
            return linked and self.words() == [new.name] * len(cluster.sentinels) and new

        new = until(done, "one primary that all others follow", 30)
        self.wait_writes(50, new)
        return new

    def events(self, kind):
        return [e["text"] for e in self.router.stats()["events"] if e["kind"] == kind]


def faked(home, count=3, names=("a", "b", "c"), **keys):
    """Real servers, and Sentinels that say what the test tells them."""
    servers = home.redis_group(*names)
    sentinels = [home.keep(FakeSentinel(servers[0], name=f"s{n}")) for n in range(count)]
    stage = Watched(home, servers, sentinels, **keys)
    stage.wait_words(*[names[0]] * count)
    stage.wait_subscribed()
    return stage


# Real Sentinels ------------------------------------------------------------------------------


def test_a_primary_that_dies_is_succeeded_and_comes_back_as_a_replica(home, sentinels):
    stage = Watched(home, sentinels.servers, sentinels.sentinels)
    old = sentinels.primary
    stage.fault()
    old.kill()
    new = sentinels.wait_failover(old)
    stage.wait_writes(50, new)
    old.start_again(replicaof=None)  # writable, with nothing in it
    until(lambda: old.role() == "slave", "the Sentinels to demote it", 20)
    stage.curtain(stage.settled(sentinels))


def test_a_primary_that_is_stopped_and_continued_gets_no_more_writes(home, sentinels):
    """The Sentinels stand still meanwhile, so that it may claim as long as it likes."""
    stage = Watched(home, sentinels.servers, sentinels.sentinels)
    old = sentinels.primary
    stage.fault()
    old.pause()
    new = sentinels.wait_failover(old)
    stage.wait_writes(50, new)
    stage.wait_words(*[new.name] * 3)
    for sentinel in sentinels.sentinels:
        sentinel.pause()
    old.resume()
    until(lambda: old.role() == "master", "it to claim")
    clock = Clock()
    until(lambda: clock.passed(1.5), "both to claim for a while")
    stage.wait_writes(50, new)
    for sentinel in sentinels.sentinels:
        sentinel.resume()
    stage.curtain(stage.settled(sentinels))


def test_a_planned_failover_loses_nothing_though_the_old_primary_claims_for_seconds(home,
                                                                                    sentinels):
    stage = Watched(home, sentinels.servers, sentinels.sentinels)
    old = sentinels.primary
    sentinels.failover()
    new = sentinels.wait_failover(old)
    stage.wait_writes(50, new)
    until(lambda: old.role() == "slave", "the old primary to be demoted", 20)
    report = stage.curtain(stage.settled(sentinels))
    # What a promotion by force cuts off was not replicated yet; nothing is written after it.
    assert len(report.lost) <= MANY["count"] * 3, report.verdict()


def test_without_any_sentinel_the_primary_stays(home, sentinels):
    stage = Watched(home, sentinels.servers, sentinels.sentinels)
    for sentinel in sentinels.sentinels:
        sentinel.kill()
    stage.wait_words(None, None, None)
    stage.wait_writes(50, sentinels.primary)
    assert stage.router.stats().backend()["verdict"] == "primary"
    assert any("is not heard" in text for text in stage.events("sentinel"))
    for sentinel in sentinels.sentinels:
        sentinel.start_again()
    stage.wait_words(*[sentinels.primary.name] * 3)
    stage.wait_writes(50, sentinels.primary)
    stage.curtain(sentinels.primary)


@pytest.mark.parametrize("how", ["password", "file"])
def test_sentinels_with_a_password(home, sentinels, how):
    sentinels.watch_again(requirepass="s3cret-word")
    keys = {"sentinel_password": "s3cret-word"}
    if how == "file":
        keys = {"sentinel_password_file": home.file("password", "s3cret-word\n")}
    stage = Watched(home, sentinels.servers, sentinels.sentinels, writers=False, **keys)
    stage.wait_words("r1", "r1", "r1")
    stage.wait_subscribed()
    assert "s3cret-word" not in stage.router.log + stage.router.http("/stats.json")[1]


def test_a_wrong_password_is_told_and_the_servers_decide_alone(home, sentinels):
    sentinels.watch_again(requirepass="s3cret-word")
    stage = Watched(home, sentinels.servers, sentinels.sentinels, writers=False,
                    start_timeout="1s", sentinel_password="gu3ssed-word")
    why = "does not accept sentinel_user and sentinel_password"
    stage.router.wait_for(lambda s: all(one["why"] == why and not one["heard"]
                                        and not one["subscribed"]
                                        for one in s.backend()["sentinels"]), "all to be told")
    done = run("--probe", "-c", stage.router.path)
    assert done.stdout.count(why) == 3
    for text in (stage.router.log, stage.router.http("/stats.json")[1], done.stdout):
        assert "3ssed" not in text and "cret-word" not in text


def test_a_rotated_password_is_read_and_no_sentinel_is_unheard_meanwhile(home, sentinels):
    sentinels.watch_again(requirepass="old-word")
    path = home.file("password", "old-word\n")
    stage = Watched(home, sentinels.servers, sentinels.sentinels, writers=False,
                    sentinel_password_file=path)
    stage.wait_words("r1", "r1", "r1")
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write("new-word\n")
    for sentinel in sentinels.sentinels:
        sentinel.ok("ACL", "SETUSER", "default", ">new-word")
    os.rename(path + ".new", path)
    clock = Clock()
    until(lambda: clock.passed(2), "the file to be read")  # nothing tells that it was
    for sentinel in sentinels.sentinels:
        sentinel.ok("ACL", "SETUSER", "default", "<old-word")
        for kind in ("normal", "pubsub"):
            sentinel.ok("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        sentinel.password = "new-word"
    stage.wait_subscribed()
    holds(lambda: stage.words() == ["r1", "r1", "r1"], "all are heard", 1.0)
    assert not any("not heard" in text for text in stage.events("sentinel"))


@pytest.mark.parametrize("channels", [" allchannels", ""], ids=["channels", "no-channels"])
def test_what_an_account_at_the_sentinels_needs(home, sentinels, channels):
    sentinels.watch_again(acl=[NEEDED + channels])
    stage = Watched(home, sentinels.servers, sentinels.sentinels, writers=False,
                    sentinel_user="router", sentinel_password="word")
    stage.wait_words("r1", "r1", "r1")
    if channels:
        stage.wait_subscribed()
        assert [s["why"] for s in stage.router.stats().backend()["sentinels"]] == [""] * 3
    else:  # all works but the news
        stage.router.wait_for(
            lambda s: all(not x["subscribed"] and "ACL: +subscribe" in x["why"]
                          for x in s.backend()["sentinels"]), "the reason")


# Sentinels that lie --------------------------------------------------------------------------


def test_one_that_lies_about_a_replica_changes_nothing(home):
    stage = faked(home)
    _, b, _ = stage.servers
    stage.sentinels[0].switch(b)
    stage.wait_words("b", "a", "a")
    stage.wait_writes(50, stage.servers[0])
    stage.sentinels[1].switch(b)  # nor do all of them: b says itself that it is a replica
    stage.sentinels[2].switch(b)
    stage.wait_words("b", "b", "b")
    stage.wait_writes(50, stage.servers[0])
    stage.curtain(stage.servers[0])


@pytest.mark.sanitize
def test_a_primary_that_answers_is_unseated_by_a_majority_only(home):
    """b was promoted although a answers: writes wait, and one word does not decide."""
    stage = faked(home, conflict_timeout="60s", queue_timeout="60s")
    a, b, c = stage.servers
    stage.fault()
    b.promote()
    stage.sentinels[0].switch(b)
    stage.verdict(verdict="contested", primary="a")
    stage.wait_words("b", "a", "a")
    holds(lambda: stage.written_by(b) == [], "one word does not decide", 0.7)
    stage.sentinels[1].switch(b)
    stage.wait_writes(50, b)
    assert stage.router.stats().backend()["primary"] == "b"
    a.follow(b)
    c.follow(b)
    stage.curtain(b)


def test_what_they_do_not_agree_on_in_time_stays_with_the_primary(home):
    stage = faked(home, conflict_timeout="300ms", queue_timeout="60s")
    a, b, _ = stage.servers
    b.promote()
    stage.sentinels[0].switch(b)
    stage.verdict(verdict="contested")
    stage.wait_writes(50, a)
    assert stage.written_by(b) == []
    stage.curtain(a)


@pytest.mark.sanitize
def test_one_word_is_enough_against_a_silent_primary(home):
    """The others lag: they still name the old one."""
    stage = faked(home)
    a, b, c = stage.servers
    stage.fault()
    a.kill()
    b.promote()
    c.follow(b)
    stage.gone(a)
    holds(lambda: stage.written_by(b) == [], "without a word nobody is chosen", 0.5)
    stage.sentinels[0].switch(b)
    stage.wait_writes(50, b)
    stage.wait_words("b", "a", "a")
    stage.sentinels[1].switch(b)
    stage.sentinels[2].switch(b)
    stage.wait_writes(50, b)
    stage.curtain(b)


@pytest.mark.sanitize
@pytest.mark.parametrize("how", ["killed", "stepped-down"])
def test_whom_one_is_promoting_is_elected_before_any_of_them_names_it(home, how):
    """Whoever leads a failover names the new primary up to a second after it has become one."""
    stage = faked(home)
    a, b, c = stage.servers
    stage.fault()
    stage.sentinels[0].promotes(b)
    if how == "killed":
        a.kill()
        stage.gone(a)
        holds(lambda: stage.router.stats().backend()["verdict"] == "hold",
              "nobody is elected who does not claim", 0.3)
        stage.sentinels[0].gives_up()
    b.promote()
    c.follow(b)
    if how == "stepped-down":
        a.follow(b)
    else:
        holds(lambda: stage.written_by(b) == [], "what was given up does not count", 0.5)
        stage.sentinels[0].promotes(b, "+failover-state-wait-promotion")
    stage.wait_writes(50, b)
    assert stage.words() == ["a", "a", "a"]
    assert any("1 of 3 Sentinels promotes b" in text for text in stage.events("primary"))
    for sentinel in stage.sentinels:
        sentinel.switch(b)
    stage.wait_words("b", "b", "b")
    stage.wait_writes(50, b)
    stage.curtain(b)


def test_whom_they_are_promoting_says_nothing_against_a_primary_that_answers(home):
    stage = faked(home, conflict_timeout="60s", queue_timeout="60s")
    a, b, c = stage.servers
    for sentinel in stage.sentinels:  # liars: b is a replica
        sentinel.promotes(b)
    stage.wait_writes(50, a)
    stage.fault()
    b.promote()
    stage.sentinels[0].switch(b)
    for sentinel in stage.sentinels:
        sentinel.promotes(b, "+failover-state-wait-promotion")
    stage.verdict(verdict="contested", primary="a")
    stage.wait_words("b", "a", "a")
    holds(lambda: stage.written_by(b) == [], "a word and intentions do not decide", 0.7)
    stage.sentinels[1].switch(b)
    stage.wait_writes(50, b)
    a.follow(b)
    c.follow(b)
    stage.curtain(b)


@pytest.mark.parametrize("plain", [False, True], ids=["pong", "+PONG"])
def test_a_subscription_on_which_nothing_happens_stays(home, plain):
    stage = faked(home, writers=False, names=("a", "b"), probe_interval="100ms")
    for sentinel in stage.sentinels:
        sentinel.plain_pong = plain
        until(lambda s=sentinel: s.questions.count(["PING"]) >= 4, "signs of life", 10)
        assert sum(q[0] == "SUBSCRIBE" for q in sentinel.questions) == 1
    assert "tells no news" not in stage.router.log


def mistaken(stage, how="continued", unheard=()):
    """b was chosen by one word while a was silent. Then a is back and claims, and the others still
    name it."""
    a, b, c = stage.servers
    for sentinel in unheard:
        sentinel.silent = True
    stage.wait_words("a", *(None if s in unheard else "a" for s in stage.sentinels[1:]))
    stage.fault()
    if how == "continued":
        a.pause()
    else:
        a.kill()
    b.promote()
    c.follow(b)
    stage.sentinels[0].switch(b)
    stage.wait_writes(50, b)
    if how == "continued":
        a.resume()
    else:
        a.start_again(replicaof=None)
    until(lambda: a.role() == "master", "a to claim")


@pytest.mark.parametrize("how", ["continued", "restarted"])
@pytest.mark.parametrize("unheard", [0, 1, 2])
def test_an_old_primary_does_not_return_by_the_word_of_those_that_lag(home, how, unheard):
    """Some of them are not even heard when b is chosen, others are not for a while later."""
    stage = faked(home)
    a, b, _ = stage.servers
    mistaken(stage, how, stage.sentinels[1:1 + unheard])
    since = time.monotonic()
    for sentinel in stage.sentinels[1:]:
        sentinel.silent = False
    stage.wait_words("b", "a", "a")
    stage.sentinels[1].silent = True
    stage.wait_words("b", None, "a")
    stage.sentinels[1].silent = False
    stage.wait_words("b", "a", "a")
    stage.wait_writes(50, b)
    assert stage.writers.acked(a, since) == []
    stage.sentinels[1].switch(b)
    stage.sentinels[2].switch(b)
    stage.wait_writes(50, b)
    a.follow(b)
    a.wait_linked()
    stage.curtain(b)


def test_a_successor_that_most_never_agreed_to_gives_the_role_back(home):
    """It is what they do with it: they make it a replica again."""
    stage = faked(home)
    a, b, c = stage.servers
    mistaken(stage)
    stage.wait_words("b", "a", "a")
    b.follow(a)
    c.follow(a)
    stage.sentinels[0].switch(a)
    stage.wait_words("a", "a", "a")
    stage.wait_writes(50, a)
    report = stage.writers.stop()
    assert len(report.acked(b)) >= 50


def test_while_no_sentinel_is_heard_nobody_new_is_chosen(home):
    stage = faked(home, queue_timeout="60s")
    a, b, c = stage.servers
    for sentinel in stage.sentinels:
        sentinel.silent = True
    stage.wait_words(None, None, None)
    stage.fault()
    a.kill()
    b.promote()
    c.follow(b)
    stage.gone(a)
    holds(lambda: stage.written_by(b) == [], "nobody new is chosen", 0.7)
    for sentinel in stage.sentinels:
        sentinel.silent = False
        sentinel.named(b)
    stage.wait_writes(50, b)
    stage.curtain(b)


def test_news_are_followed_though_the_next_question_is_far_away(home):
    stage = faked(home, writers=False, probe_interval="60s")
    a, b, c = stage.servers
    stage.router.wait_for(lambda s: s.backend()["verdict"] == "primary", "the primary")
    clock = Clock()
    until(lambda: clock.passed(4), "the pace to be slow")  # it watches for 3 s after any change
    b.promote()
    a.follow(b)
    c.follow(b)
    for sentinel in stage.sentinels:
        sentinel.switch(b)
    stage.router.wait_primary("b", timeout=5)


def infos(server):
    stats = server.info("commandstats")["cmdstat_info"]
    return int(stats.split(",")[0].split("=")[1])


def test_a_flood_of_news_costs_bounded_questions_memory_and_lines(home):
    stage = faked(home)
    a = stage.servers[0]
    liar = stage.sentinels[0]
    memory = stage.router.process.rss()
    began, before = time.monotonic(), infos(a)
    for _ in range(20):
        liar.flood("+sdown", f"master {MASTER} 127.0.0.1 1 " + "x" * 400, 1000)
    seconds = time.monotonic() - began + 0.2
    asked = infos(a) - before
    assert asked <= 3 * (seconds / 0.02 + 50)  # three INFO a probe, at the fast pace
    stage.wait_writes(50, a)
    assert stage.router.process.rss() < memory + 4_000_000
    assert stage.router.log.count("\n") < 100 + 20 * seconds
    stage.curtain(a)


@pytest.mark.sanitize
@pytest.mark.parametrize("raw", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*2\r\n$99999999\r\n",
                                 b"*1000000000\r\n", b"$-1\r\n", b"\x00" * 100, b"+OK\r\n" * 50],
                         ids=["http", "long", "wide", "null", "zeros", "chatty"])
def test_sentinels_that_speak_nonsense_are_not_heard(home, raw):
    stage = faked(home, names=("a", "b"))
    for sentinel in stage.sentinels:
        sentinel.raw = raw
        sentinel.cut()
    stage.wait_words(None, None, None)
    assert all(s["why"] for s in stage.router.stats().backend()["sentinels"])
    stage.wait_writes(50, stage.servers[0])
    for sentinel in stage.sentinels:
        sentinel.raw = None
        sentinel.cut()
    stage.wait_words("a", "a", "a")
    stage.wait_subscribed()
    stage.curtain(stage.servers[0])


def test_a_redis_server_is_no_sentinel_and_the_probe_says_so(home):
    servers = home.redis_group("a", "b")
    stage = Watched(home, servers, [servers[1]], writers=False, start_timeout="1s")
    done = run("--probe", "-c", stage.router.path)
    assert "is no Sentinel but a Redis server" in done.stdout


def test_a_name_that_they_do_not_know_is_told(home):
    stage = faked(home, writers=False)
    for sentinel in stage.sentinels:
        sentinel.master = "another"
    stage.wait_words(None, None, None)
    why = stage.router.stats().backend()["sentinels"][0]["why"]
    assert why == f'knows no primary called "{MASTER}"'


def test_who_names_a_stranger_is_told_and_the_primary_stays(home):
    stage = faked(home)
    other = home.redis("other")
    for sentinel in stage.sentinels:
        sentinel.switch(other)
    stage.wait_words(other.text, other.text, other.text)
    assert any("no server of this backend" in text for text in stage.events("sentinel"))
    stage.wait_writes(50, stage.servers[0])
    stage.curtain(stage.servers[0])
