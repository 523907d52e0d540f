"""Promise: whoever leaves a pool of MySQL without having read what he asked for leaves a connection
on which others are served, or none."""
import socket

import pytest

from lib import clusters
from lib.mysql_people import ALL, PLAIN
from lib.mysql_pooled import SESSION, TRANSACTION, Kind, PooledMySQL
from lib.mysql_speaker import QUERY, Speaker
from lib.waiting import SLOW, Clock, until


@pytest.fixture(name="stage", scope="module", ids=str,
                params=[Kind(people, mode) for mode in (SESSION, TRANSACTION) for people in ALL])
def one_stage(request, shared_home):
    with clusters.lent(request.param.cluster) as people:
        yield PooledMySQL(shared_home, people, request.param.mode, pool_size=4,
                          of_router={"workers": 1})


def test_who_does_not_read_leaves_no_connection_that_is_not_read(stage):
    """Of lengths about that which fits into all buffers on the way: with some of them the whole
    reply was there and could not be written."""
    visit(stage)
    clock, kilobytes = Clock(), 256
    while leave_unread(stage, kilobytes):
        kilobytes += 256
    for less in range(0, 512, 8):
        leave_unread(stage, kilobytes - less)
        visit(stage)
    assert not clock.passed(15 * SLOW), "others waited"


def leave_unread(stage, kilobytes):
    """True: the connection was good enough to be kept."""
    before = stage.router.stats().backend("b")["pool_returned"]
    with Speaker(stage.address, *PLAIN, "test") as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.say(QUERY, f"SELECT REPEAT('x', {kilobytes} << 10)".encode())
        client.sock.recv(1, socket.MSG_PEEK)
        until_still(lambda: stage.router.stats().backend("b")["bytes_out"])
    stage.wait_left()
    return stage.router.stats().backend("b")["pool_returned"] > before


def until_still(number):
    """It grows no more."""
    seen = [number(), None]
    until(lambda: seen.append(number()) or seen[-1] == seen[-2] == seen[-3], "it to stand still")


def visit(stage):
    with Speaker(stage.address, *PLAIN, "test") as client:
        assert client.value("SELECT 1") == "1"
        client.quit()
