"""Promise: with pool_mode = transaction many clients of several accounts share a few connections,
and each sees its own session only, whatever the others do."""
import collections
import random
import threading
import time

import pytest

from lib import clusters
from lib.mysql_hand import ACCOUNTS, KILLED, Hand
from lib.mysql_people import ALL
from lib.mysql_pooled import TRANSACTION, PooledMySQL
from lib.mysql_speaker import MySQLError, Speaker
from lib.waiting import SLOW

CLIENTS, SIZE, SECONDS = 24, 4, 2
SEED = 20261122


@pytest.fixture(name="people", scope="module", params=ALL, ids=lambda p: p.name)
def their_server(request):
    with clusters.lent(request.param.cluster) as people:
        people.server.sql("DROP TABLE IF EXISTS test.t")
        people.server.sql("CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))")
        yield people


class Crowd:
    def __init__(self, address, rough):
        self.rough, self.lost = rough, 0
        self.wrong = []
        self.until = time.monotonic() + SECONDS * SLOW
        self.hands = [Hand(address, n, random.Random(SEED + n), rough) for n in range(CLIENTS)]
        threads = [threading.Thread(target=self._run, args=(hand,)) for hand in self.hands]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30 * SLOW)
            assert not thread.is_alive(), "a client waits for ever"

    def _run(self, hand):
        try:
            while time.monotonic() < self.until and not self.wrong:
                self._act(hand)
        except Exception as error:
            self.wrong.append((hand.number, repr(error), [x[:60] for x in hand.said[-5:]]))
        finally:
            if hand.client:
                hand.client.close()


    def _act(self, hand):
        try:
            hand.act()
        except (ConnectionError, MySQLError) as error:
            if not self.rough or (isinstance(error, MySQLError) and error.code != KILLED):
                raise
            self.lost += 1
            hand.rows = {}  # whether the last one was committed is not known
            if hand.client:
                hand.client.close()
                hand.client = None


@pytest.mark.sanitize
@pytest.mark.parametrize("workers, rough", [(1, False), (2, False), (2, True)],
                         ids=["one-worker", "two-workers", "rough"])
def test_each_sees_its_own_session(home, people, workers, rough):
    people.server.sql("TRUNCATE test.t")
    stage = PooledMySQL(home, people, TRANSACTION, of_router={"workers": workers}, pool_size=SIZE,
                        queue_timeout="10s")
    crowd = Crowd(stage.address, rough)
    assert not crowd.wrong, "\n".join(map(str, crowd.wrong[:3])) + stage.router.log[-3000:]
    stage.wait_left()
    committed = collections.Counter(v for (v,) in people.server.sql("SELECT v FROM test.t"))
    assert max(committed.values()) == 1
    assert crowd.lost < sum(hand.done for hand in crowd.hands) / 20
    pool = stage.router.stats().backend("b")
    assert pool["pool_leases"] > 50, pool
    assert sum(hand.done for hand in crowd.hands) > 100
    for account in ACCOUNTS:  # nothing is kept from who comes now
        with Speaker(stage.address, *account, database="test") as client:
            assert client.value("SELECT CURRENT_USER()") == f"{account.name}@%"
            client.quit()
    stage.wait_left()
    stage.router.stop()
