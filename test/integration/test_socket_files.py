"""Promise: the router removes the socket files that it has made, however it ends, and never one of
somebody else."""
import os
import signal
import socket

import pytest

from lib.fake import echo
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.router import run
from lib.waiting import until

pytestmark = pytest.mark.sanitize


def echoes(sock, word=b"word"):
    sock.sendall(word)
    return sock.recv(100) == word


def test_a_path_that_another_router_took_over_is_left_alone(home):
    """An upgrade: the second one starts while the first drains; the first ends afterwards."""
    server, path = home.fake(echo), os.path.join(home.path, "s")
    sections = frontend("u", f"unix:{path}") + tcp_backend(server)
    first = home.router(sections, drain_timeout="20s")
    living = home.keep(connect(path))
    assert echoes(living)
    first.process.signal(signal.SIGTERM)
    until(lambda: "drain" in first.log and not connects(path), "the first to stop listening")
    home.router(sections)
    assert echoes(home.keep(connect(path)))
    living.close()
    first.ended = True
    assert first.process.wait() == 0
    assert echoes(home.keep(connect(path))), "the second router's path was removed"


def connects(path):
    try:
        connect(path).close()
    except OSError:
        return False
    return True


def failed_start(home, *frontends):
    server = home.fake(echo)
    text = "[router]\nadmin = off\n" + "".join(frontends) + tcp_backend(server)
    done = run("-c", home.file("router.ini", text))
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_a_failed_start_leaves_no_socket_file(home):
    """The first bind is fine, the second one's address is taken."""
    path = os.path.join(home.path, "s")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        why = failed_start(home, frontend("u", f"unix:{path}"), frontend("w", port))
    assert str(port) in why
    assert not os.path.exists(path)


def test_a_failed_start_leaves_the_socket_files_of_others(home):
    """The path of a living server is refused, and goes on working; our own is removed."""
    own, other = os.path.join(home.path, "own"), os.path.join(home.path, "other")
    home.router(frontend("u", f"unix:{other}") + tcp_backend(home.fake(echo)))
    why = failed_start(home, frontend("u", f"unix:{own}"), frontend("v", f"unix:{other}"),
                       frontend("w", free_port()))
    assert other in why
    assert not os.path.exists(own)
    assert echoes(home.keep(connect(other)))
