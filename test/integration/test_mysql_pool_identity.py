"""Promise: thousands of short sessions of many accounts over few connections to a MySQL server,
whose clients die anywhere: each is served as itself, and sees no byte of another's."""
import os

import pytest

from lib.mysql_mob import STRAYS, Mob
from lib.mysql_stage import ACCOUNTS, Bounds, MySQLStage
from lib.rerun import unforgivable
from lib.waiting import SLOW, until

pytestmark = pytest.mark.sanitize

SEED = os.environ.get("ROUTER_SEED")
LIVES = 40 if SLOW > 1 else 150


def mob(stage, **options):
    return stage.home.keep(Mob(stage.address, ACCOUNTS, lives=LIVES, seed=SEED, **options))


def finish(stage, crowd):
    with unforgivable():
        crowd.wait()
    stage.wait_left()
    assert stage.liar.count("garbage") == 0
    logins = sum(stage.liar.count(what) for what in ("login", "change"))
    assert stage.liar.count("in") + stage.liar.count("out") <= logins
    return crowd


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_is_taken_for_another(home, workers):
    stage = MySQLStage(home, pool_size=3, router={"workers": workers}, queue_timeout="20s")
    with Bounds(stage):
        crowd = finish(stage, mob(stage))
    assert crowd.sum("served") > crowd.sum("lives") // 4
    assert crowd.sum("cut") <= crowd.sum("denied")
    assert stage.liar.fake.most <= 3 + 1, "more connections than the cap and the probe"
    assert stage.liar.count("change") > 0, "none was used again"


def test_a_server_that_speaks_out_of_turn_lets_nobody_in(home):
    """On idle connections and on lent ones: who was not judged is not in, and nothing is kept of
    what was said."""
    stage = MySQLStage(home, pool_size=3, queue_timeout="20s")
    crowd = mob(stage, members=6, lies=True)
    told = 0
    while any(member.is_alive() for member in crowd.members):
        for link in stage.liar.clients_links():
            try:
                link.sock.sendall(STRAYS[told % len(STRAYS)])
            except OSError:
                pass
            told += 1
        before = crowd.sum("lives")
        until(lambda was=before: crowd.sum("lives") > was + 5
              or not any(m.is_alive() for m in crowd.members), "them to go on", 20)
    with unforgivable():
        crowd.wait()
    assert told > 20 and crowd.sum("served") > 20
    with stage.witnesses():
        pass


def test_the_server_is_restarted_under_them(home):
    stage = MySQLStage(home, pool_size=3, queue_timeout="20s")
    crowd = mob(stage, members=4, ends=True)
    while any(member.is_alive() for member in crowd.members):
        served = crowd.sum("served")
        until(lambda was=served: crowd.sum("served") > was + 20
              or not any(m.is_alive() for m in crowd.members), "some to be served", 20)
        for link in stage.liar.clients_links():
            try:
                link.sock.shutdown(2)
            except OSError:
                pass
    finish(stage, crowd)
    assert crowd.sum("served") > 20
