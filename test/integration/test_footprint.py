"""Promise: an idle sidecar takes at most 8 MB, and how many descriptors it may open changes neither
that nor, beyond what memory allows, how many sessions it takes."""
import os
import re
import resource

import pytest

from lib.fake import hold
from lib.ini import frontend, redis_backend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import local
from lib.waiting import SLOW

SIDECAR_BYTES = 8 * 1024 * 1024
SESSION_BYTES = 3 * 49152      # src/capacity.c


def sidecar(home, **options):
    """As examples/redis-sidecar.ini."""
    servers = home.redis_group("redis-0", "redis-1", "redis-2")
    ports = free_port(), free_port()
    router = home.router(
        frontend("write", ports[0]) + frontend("read", ports[1], route="replica") +
        redis_backend(*servers, server_max_connections=20), workers=1, **options)
    router.wait_primary("redis-0")
    for port in ports:
        with connect(local(port)) as client:
            client.sendall(b"PING\r\n")
            assert client.recv(7) == b"+PONG\r\n"
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")
    return router


def max_sessions(router):
    return int(re.search(r"at most (\d+) sessions", router.log)[1])


@pytest.mark.skipif(SLOW != 1, reason="a sanitizer takes more than the router")
def test_an_idle_sidecar_is_small_however_many_descriptors_it_may_open(home):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]    # a million where containers run
    found = {}
    for nofile in (1024, most):
        router = sidecar(home, nofile=nofile)
        found[nofile] = max_sessions(router)
        assert router.process.rss() <= SIDECAR_BYTES, f"{nofile}: {router.process.rss()}"
        router.stop()
    assert found[1024] < 512 <= found[most]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found[most] <= memory / 2 / SESSION_BYTES, "what memory allows"


def test_max_sessions_is_the_bound_whatever_the_descriptors_allow(home):
    port = free_port()
    router = home.router(frontend("f", port) + tcp_backend(home.fake(hold)), max_sessions=10)
    assert max_sessions(router) == 10
    clients = [home.keep(connect(local(port))) for _ in range(10)]
    router.wait_for(lambda s: s["router"]["sessions"] == len(clients), "ten sessions")
    with connect(local(port)) as eleventh:
        assert eleventh.recv(1) == b""
