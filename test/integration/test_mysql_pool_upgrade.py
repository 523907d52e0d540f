"""Promise: when another process takes over, a pool's connections that nobody uses are closed: the
old process holds no more of the server's connections than its clients need, and both together never
have more than there may be."""
import pymysql
import pytest

from lib.ini import FAST_PROBES, frontend, section, servers
from lib.mariadb import PROBER, WRITER, MariaDB
from lib.process import free_port
from lib.upgrade import Upgraded
from lib.waiting import SLOW, until

SIZE = 4


@pytest.fixture(name="server", scope="module")
def one_server(shared_home):
    return shared_home.keep(MariaDB(shared_home.directory("db"), "db")).start()


def connect(port):
    return pymysql.connect(host="127.0.0.1", port=port, user=WRITER[0], password=WRITER[1],
                           database="test", autocommit=True, read_timeout=20 * SLOW)


def ask(client, sql="SELECT CONNECTION_ID()"):
    with client.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()[0][0]


def connections(server):
    return server.value("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = %s",
                        WRITER[0])


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_who_stays_behind_has_what_he_needs_and_no_more(home, server, mode):
    port = free_port()
    router = Upgraded(home, frontend("f", port, pool_mode=mode) + section(
        "backend b", protocol="mysql", server=servers(server), pool_size=SIZE,
        probe_user=PROBER[0], probe_password=PROBER[1], queue_timeout="5s", **FAST_PROBES),
        workers=1)
    router.wait_primary("db", "b")
    clients = [connect(port) for _ in range(SIZE)]
    assert len({ask(client) for client in clients}) == connections(server) == SIZE
    for client in clients[1:]:
        client.close()
    old = router.upgrade()
    until(lambda: connections(server) == 1, "those that nobody uses to be closed")
    others = [connect(port) for _ in range(SIZE - 1)]
    assert len({ask(client) for client in others}) == SIZE - 1
    assert ask(clients[0]) and connections(server) == SIZE
    clients[0].close()
    old.wait()
    others.append(connect(port))
    assert ask(others[-1]) and connections(server) == SIZE
    for client in others:
        client.close()
