"""Promise: workers in PHP, as frameworks make them, do all their jobs exactly once through a pool:
their sessions have their settings on every connection, deadlocks are tried again, and a restart of
the server is what they know from one without a pool."""
import json
import os
import subprocess

import pytest

from lib import clusters
from lib.mysql_logins import CLIENTS
from lib.mysql_people import PLAIN
from lib.mysql_pooled import KINDS, SESSION, TRANSACTION, PooledMySQL
from lib.mysql_speaker import Speaker
from lib.waiting import SLOW, until

WORKERS, SIZE, JOBS, ACCOUNTS = 4, 2, 90, 3
TABLES = {"jobs": "id INT PRIMARY KEY AUTO_INCREMENT, payload VARCHAR(40), taken_by VARCHAR(20)",
          "done": "id INT PRIMARY KEY AUTO_INCREMENT, job INT UNIQUE, worker VARCHAR(20)",
          "accounts": "id INT PRIMARY KEY, jobs INT NOT NULL DEFAULT 0"}


@pytest.fixture(name="people", scope="module", params=KINDS, ids=str)
def their_server(request):
    with clusters.lent(request.param.cluster) as people:
        people.mode = request.param.mode
        for name, columns in TABLES.items():
            people.server.sql(f"DROP TABLE IF EXISTS test.{name}")
            people.server.sql(f"CREATE TABLE test.{name} ({columns}) ENGINE = InnoDB")
        for number in range(1, ACCOUNTS + 1):
            people.server.sql("INSERT INTO test.accounts (id) VALUES (%s)", number)
        yield people


class Worker:
    """A process that takes what there is to do."""

    def __init__(self, home, address, number, emulated):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "php", os.path.join(CLIENTS, "mysql_worker.php")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        home.keep(self)
        self.process.stdin.write(json.dumps(
            {"port": address[1], "user": PLAIN.name, "password": PLAIN.password,
             "name": f"worker {number}", "emulated": emulated, "together": number % 2 == 0}) + "\n")
        self.process.stdin.flush()
        ready = self.process.stdout.readline()
        assert ready == "ready\n", ready + self.process.stdout.read()

    def begin(self):
        self.process.stdin.close()

    def finish(self):
        """What it met."""
        said = self.process.stdout.read()
        assert self.process.wait(60 * SLOW) == 0, said
        return json.loads(said)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Work:
    """Jobs that touch two of few rows, in either order."""

    def __init__(self, people):
        self.people, self.sql = people, people.server.sql
        for table in "jobs", "done":
            self.sql(f"TRUNCATE test.{table}")
        self.sql("UPDATE test.accounts SET jobs = 0")
        for number in range(JOBS):
            first = number % ACCOUNTS
            self.add([first + 1, (first + 1 + number % 2) % ACCOUNTS + 1])

    def add(self, accounts):
        self.sql("INSERT INTO test.jobs (payload) VALUES (%s)", json.dumps(accounts))

    def done(self):
        return self.people.server.value("SELECT COUNT(*) FROM test.done")

    def check(self, count=JOBS):
        """Each was done, once."""
        assert self.sql("SELECT COUNT(*), COUNT(taken_by) FROM test.jobs") == [(count, count)]
        assert self.done() == count
        assert self.people.server.value("SELECT SUM(jobs) FROM test.accounts") == 2 * count


def pool(home, people, **keys):
    size = WORKERS if people.mode == SESSION else SIZE
    return PooledMySQL(home, people, people.mode, of_router={"workers": 1}, pool_size=size,
                       queue_timeout="20s", **keys)


def begin(home, stage, emulated):
    """All, at once."""
    workers = [Worker(home, stage.address, number, emulated) for number in range(WORKERS)]
    for worker in workers:
        worker.begin()
    return workers


@pytest.mark.parametrize("emulated", [False, True], ids=["prepared", "emulated"])
def test_they_do_each_job_once(home, people, emulated):
    stage, work = pool(home, people), Work(people)
    workers = begin(home, stage, emulated)
    met = [worker.finish() for worker in workers]
    work.check()
    assert [worker["lost"] for worker in met] == [[]] * WORKERS
    assert min(worker["jobs"] for worker in met) > 0, "not all were served"
    if people.mode == TRANSACTION:
        assert stage.router.stats().backend("b")["pool_leases"] > JOBS
    assert len(people.connections(PLAIN)) <= (WORKERS if people.mode == SESSION else SIZE)


def test_the_server_is_restarted_under_them(home, people):
    stage, work = pool(home, people), Work(people)
    workers = begin(home, stage, False)
    until(lambda: work.done() > JOBS // 5, "some to be done", 20)
    people.server.restart()
    assert work.done() < JOBS, "it was too late"
    met = [worker.finish() for worker in workers]
    work.check()
    noticed = sum(bool(worker["lost"]) for worker in met)
    assert noticed == WORKERS if people.mode == SESSION else noticed > 0, met


def test_a_deadlock_is_tried_again(home, people):
    """The worker has done less when it meets somebody who has its rows in the other order."""
    stage = pool(home, people)
    work = Work(people)
    people.server.sql("TRUNCATE test.jobs")
    with Speaker(stage.address, *PLAIN, "test") as other:
        other.query("BEGIN")
        other.query("INSERT INTO jobs (payload, taken_by) SELECT '[]', 'nobody' FROM"
                    " information_schema.columns LIMIT 500")
        other.query("UPDATE accounts SET jobs = jobs WHERE id = 1")
        work.add([2, 1])
        worker = Worker(home, stage.address, 0, False)
        worker.begin()
        until(lambda: people.server.value("SELECT COUNT(*) FROM information_schema.innodb_trx"
                                          " WHERE trx_state = 'LOCK WAIT'") == 1, "it to wait",
              poll=0.2)  # asked more often, servers tell what they told before
        other.query("UPDATE accounts SET jobs = jobs WHERE id = 2")
        other.query("ROLLBACK")
        met = worker.finish()
        other.quit()
    assert (met["deadlocks"], met["jobs"]) == (1, 1)
    work.check(1)
