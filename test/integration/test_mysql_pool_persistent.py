"""Promise: connections that PHP keeps from one request to the next are as good through a pool: each
request finds what it would find without one, also after the server was restarted, and many
processes share few connections of the server."""
import concurrent.futures

import pytest

from lib import clusters
from lib.mysql_people import PLAIN, SECOND
from lib.mysql_pooled import KINDS, TRANSACTION, PooledMySQL
from lib.php_server import PhpServer

HOWS = ("mysqli", "pdo")
ACCOUNTS, PROCESSES, SIZE, REQUESTS = 2, 5, 2, 12


@pytest.fixture(name="people", scope="module", params=KINDS, ids=str)
def their_server(request):
    with clusters.lent(request.param.cluster) as people:
        people.mode = request.param.mode
        people.server.sql("DROP TABLE IF EXISTS test.r")
        people.server.sql("CREATE TABLE test.r (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40))")
        yield people


def ask(php, address, how, what, account=PLAIN):
    told = php.get(how=how, what=what, port=address[1], user=account.name,
                   password=account.password)
    assert "error" not in told, told
    return told


def accepted(stage):
    return stage.router.stats().frontend("f")["sessions_total"]


def visits(home, address, how):
    """What requests of one process are told: those of one account, and one of another between."""
    php = PhpServer(home, "mysql_requests.php")
    return [ask(php, address, how, "mess", account)
            for account in (PLAIN, PLAIN, SECOND, PLAIN, PLAIN, SECOND)]


@pytest.mark.parametrize("how", HOWS)
def test_each_request_finds_what_it_would_find_without_a_pool(home, people, how):
    """mysqli logs in again on a connection that it kept, PDO does not and finds all as it was."""
    stage = PooledMySQL(home, people, people.mode, of_router={"workers": 1}, pool_size=SIZE)
    direct, pooled = [visits(home, to, how) for to in (people.server.address, stage.address)]
    assert len({visit["thread"][0] for visit in direct}) == ACCOUNTS
    assert accepted(stage) == ACCOUNTS, "they are not kept"
    for one, other in zip(direct, pooled):
        assert one["found"] == other["found"]
        assert one["left"] == other["left"]
    assert (direct[1]["found"] == direct[0]["found"]) == (how == "mysqli")


@pytest.mark.parametrize("how", HOWS)
def test_many_processes_share_few_connections(home, people, how):
    size = SIZE if people.mode == TRANSACTION else PROCESSES
    stage = PooledMySQL(home, people, people.mode, of_router={"workers": 1}, pool_size=size,
                        queue_timeout="10s")
    processes = [PhpServer(home, "mysql_requests.php") for _ in range(PROCESSES)]
    people.wait_connections(0, PLAIN)

    def use(php):
        for number in range(REQUESTS):
            told = ask(php, stage.address, how, f"{how} {number}")
            assert told["own"] == [f"{how} {number}"]
        return len(people.connections(PLAIN))

    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as clients:
        assert max(clients.map(use, processes)) <= size
    assert stage.router.stats().frontend("f")["sessions"] == PROCESSES
    assert accepted(stage) == PROCESSES


def test_a_restart_of_the_server_is_felt_by_no_request(home, people):
    """Who keeps a connection looks whether it is still good before it is used."""
    stage = PooledMySQL(home, people, people.mode, pool_size=PROCESSES)
    php = PhpServer(home, "mysql_requests.php")
    for how in HOWS:
        ask(php, stage.address, how, "before")
    people.server.restart()
    stage.router.wait_primary(people.server.name, "b")
    for how in HOWS * 2:
        ask(php, stage.address, how, "after")
    assert accepted(stage) == 4
