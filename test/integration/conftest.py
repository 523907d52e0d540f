"""Fixtures of the integration tests. `home` starts things and ends them with the test."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from lib import clusters, galera as galera_lib, mariadb as mariadb_lib  # noqa: E402
from lib import group_replication as group_lib, mysql as mysql_lib  # noqa: E402
from lib import mysql_people, patroni as patroni_lib, pg_replicated  # noqa: E402
from lib import rerun, sentinel as sentinel_lib  # noqa: E402
from lib.home import Home  # noqa: E402
from lib.router import BINARY  # noqa: E402
from lib.waiting import SLOW  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def pytest_sessionstart(session):
    if not session.config.option.collectonly and not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY}: run `make` first", returncode=2)


def pytest_collection_finish(session):
    if not session.config.option.collectonly:
        clusters.start_needed(session.items)


def pytest_runtest_protocol(item, nextitem):
    """The other folders' tests (units, lint) are asked too: they are never run again."""
    return rerun.protocol(item, nextitem) if str(item.path.parent) == HERE else None


def pytest_terminal_summary(terminalreporter):
    rerun.terminal_summary(terminalreporter)


def pytest_sessionfinish():
    clusters.end_all()


@pytest.fixture
def home():
    place = Home()
    try:
        yield place
    finally:
        place.close()


mariadb = clusters.fixture("mariadb", mariadb_lib.replicated)  # a, read-only b and c follow it
galera = clusters.fixture("galera", galera_lib.galera)  # nodes a, b, c
mysql = clusters.fixture("mysql", mysql_lib.replicated)  # 9.7: a, read-only b and c follow it
mysql_group = clusters.fixture("mysql_group", group_lib.three_members)  # members a, b, c
pool_mariadb = clusters.fixture("pool_mariadb", mysql_people.MariaDBPeople)  # one, many accounts
pool_mysql = clusters.fixture("pool_mysql", mysql_people.MySQLPeople)
postgres = clusters.fixture("postgres", pg_replicated.replicated)  # a, standbys b, c
patroni = clusters.fixture("patroni", patroni_lib.three_nodes)  # a, b, c; any of them leads
sentinels = clusters.fixture("sentinels", sentinel_lib.watched)  # r1 to r3, watched by s1 to s3


@pytest.fixture(scope="module")
def shared_home():
    """For what a file's tests share and only read."""
    place = Home()
    try:
        yield place
    finally:
        place.close()


@pytest.fixture(scope="session")
def slow():
    """By how much bounds in time are stretched: 1, more with a sanitizer build."""
    return SLOW
