"""Promise: what goes in comes out, both ways, whole, in bounded memory, and ends as it ended."""
import hashlib
import os
import random
import signal
import socket
import threading

import pytest

from lib.fake import FakeServer, echo, hold, name_then_echo, reset
from lib.ini import frontend, tcp_backend
from lib.process import free_port
from lib.resp import connect
from lib.sockets import connected_sockets, local, read_all, read_line, where
from lib.waiting import SLOW, holds, until

pytestmark = pytest.mark.sanitize
MEGABYTE = 1 << 20


def relay(home, handler, backend_keys=None, **frontend_keys):
    """A fake behind a router: (fake, router, address)."""
    fake = home.fake(handler)
    port = free_port()
    router = home.router(frontend("f", port, **frontend_keys)
                         + tcp_backend(fake, **(backend_keys or {})))
    return fake, router, local(port)


def send_in_splits(sock, data, rng):
    at = 0
    while at < len(data):
        size = rng.choice((1, 2, 7, 100, 1460, 4096, 65535, 65536, 65537, 300000))
        sock.sendall(data[at:at + size])
        at += size


def test_bytes_are_identical_both_ways_for_random_sizes_and_splits(home):
    """Both directions at once, different bytes, lengths around the buffer's size and beyond."""
    rng = random.Random(7)
    lengths = [0, 1, 65535, 65536, 65537, 200001, 5 * MEGABYTE]
    got = {}

    def duplex(_server, sock):
        number = sock.recv(1)[0]
        data = random.Random(100 + number).randbytes(lengths[-1 - number])
        sender = threading.Thread(target=send_in_splits, args=(sock, data, random.Random(number)))
        sender.start()
        got[number] = hashlib.sha256(read_all(sock)).digest()
        sender.join()
        sock.shutdown(socket.SHUT_WR)

    _, router, address = relay(home, duplex)
    for number, length in enumerate(lengths):
        data = rng.randbytes(length)
        with connect(address, 20 * SLOW) as client:
            client.sendall(bytes([number]))

            def send(client=client, data=data):
                send_in_splits(client, data, rng)
                client.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            answer = read_all(client)
            sender.join()
        assert answer == random.Random(100 + number).randbytes(lengths[-1 - number])
        assert got[number] == hashlib.sha256(data).digest(), f"{length} bytes changed on the way"
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")


def test_a_server_may_answer_after_the_client_ended_its_side(home):
    def answer_at_the_end(_server, sock):
        count = len(read_all(sock))
        sock.sendall(b"got %d" % count)

    _, _, address = relay(home, answer_at_the_end)
    with connect(address) as client:
        client.sendall(b"x" * 1000)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"got 1000"


def test_a_client_may_go_on_after_the_server_ended_its_side(home):
    got = []

    def end_then_listen(_server, sock):
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        got.append(read_all(sock))

    fake, _, address = relay(home, end_then_listen)
    with connect(address) as client:
        assert read_all(client) == b"bye"
        client.sendall(b"still here")
    fake.wait_count(0)
    assert got == [b"still here"]


def watcher():
    """A server that greets and notes how each connection ends."""
    seen = []

    def watch(_server, sock):
        sock.sendall(b"hello\n")
        try:
            while sock.recv(100):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("reset")

    return seen, watch


def test_a_reset_by_the_client_arrives_as_a_reset(home):
    seen, watch = watcher()
    _, router, address = relay(home, watch)
    client = connect(address)
    assert read_line(client) == "hello"
    reset(client)
    until(lambda: seen, "the server to notice")
    assert seen == ["reset"]
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")


def test_a_reset_by_the_server_arrives_as_a_reset(home):
    def slam(_server, sock):
        sock.recv(1)
        reset(sock)

    _, router, address = relay(home, slam)
    with connect(address) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")


def test_a_reset_right_behind_bytes_is_not_taken_for_an_end(home):
    """Both come in one event; libuv calls that the end."""
    seen, watch = watcher()
    _, router, address = relay(home, watch)
    client = connect(address)
    assert read_line(client) == "hello"
    os.kill(router.pid, signal.SIGSTOP)
    client.sendall(b"x")
    reset(client)
    os.kill(router.pid, signal.SIGCONT)
    until(lambda: seen, "the server to notice")
    assert seen == ["reset"]
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")


def flow(total, sent):
    """A sender for threads that counts what it got rid of."""
    def send(sock):
        block = bytes(MEGABYTE)
        while sent[0] < total:
            sent[0] += sock.send(block[:total - sent[0]])
        sock.shutdown(socket.SHUT_WR)
    return send


def wait_stalled(sent):
    """Until the senders have not got rid of anything for 0.3 s."""
    last = [None, 0]

    def stalled():
        now = [s[0] for s in sent]
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        return last[1] >= 30

    until(stalled, "the senders to be held back", 20, poll=0.01)


# Ten sessions, 500 MB in all, would be seen at once.
STALLED = 10
EACH = (50 if SLOW == 1 else 20) * MEGABYTE
MEMORY_BOUND = (8 if SLOW == 1 else 64) * MEGABYTE


def test_a_client_that_stops_reading_costs_bounded_memory(home):
    sent = [[0] for _ in range(STALLED)]

    def source(_server, sock):
        number = sock.recv(1)[0]
        flow(EACH, sent[number])(sock)
        read_all(sock)

    _, router, address = relay(home, source)
    before = router.process.rss()
    clients = [connect(address, 30 * SLOW) for _ in sent]
    for number, client in enumerate(clients):
        client.sendall(bytes([number]))
    wait_stalled(sent)
    assert all(s[0] < EACH for s in sent), "nothing held the sender back: the test measures nothing"
    assert router.process.rss() - before < MEMORY_BOUND
    assert len(read_all(clients[0])) == EACH, "a session that was held back did not go on"
    for client in clients:
        client.close()
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")


def test_a_server_that_stops_reading_costs_bounded_memory(home):
    go_on = threading.Event()
    got = []

    def stop_reading(_server, sock):
        number = sock.recv(1)[0]
        go_on.wait(60)
        if number == 0:
            got.append(len(read_all(sock)))

    sent = [[0] for _ in range(STALLED)]
    _, router, address = relay(home, stop_reading)
    before = router.process.rss()
    clients = [connect(address, 30 * SLOW) for _ in sent]

    def send(client, number):
        try:
            flow(EACH, sent[number])(client)
        except OSError:
            pass  # all but the first are cut

    threads = []
    for number, client in enumerate(clients):
        client.sendall(bytes([number]))
        threads.append(threading.Thread(target=send, args=(client, number), daemon=True))
        threads[-1].start()
    wait_stalled(sent)
    try:
        assert all(s[0] < EACH for s in sent), "nothing held the sender back"
        assert router.process.rss() - before < MEMORY_BOUND
    finally:
        go_on.set()
    until(lambda: got, "the first server to read it all", 30)
    assert got == [EACH]
    for client, thread in zip(clients, threads):
        thread.join(10)
        client.close()


IDLE_SECONDS = 1  # longer than we ourselves may be kept from chatting


def test_idle_timeout_closes_a_session_without_traffic_and_no_other(home):
    fake, router, address = relay(home, echo, idle_timeout=f"{IDLE_SECONDS}s")
    busy, idle = connect(address), connect(address)
    fake.wait_count(2)

    def chat():
        busy.sendall(b"x")
        return busy.recv(1) == b"x"

    def idle_is_closed():
        assert chat(), "a session with traffic was closed"
        return router.stats().frontend()["idle_closed"] == 1

    until(idle_is_closed, "the idle session to be closed", 10)
    assert idle.recv(1) == b""
    fake.wait_count(1)
    holds(chat, "the busy session lives", 1.4 * IDLE_SECONDS)
    busy.close()
    idle.close()


def tuned(router, ours):
    """How many of its sockets with such a peer port have all that the configuration says. They may
    be given it a moment later than the connection is made, long before it could matter."""
    count = 0
    for sock in connected_sockets(router.process):
        with sock:
            tcp = socket.IPPROTO_TCP
            got = (sock.getsockopt(tcp, socket.TCP_NODELAY),
                   sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                   sock.getsockopt(tcp, socket.TCP_KEEPIDLE),
                   sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT))
            count += sock.getpeername()[1] in ours and got == (1, 1, 17, 23000)
    return count


def test_both_sides_have_nodelay_keepalive_and_user_timeout(home):
    fake, router, address = relay(home, echo, {"tcp_keepalive": "17s", "tcp_user_timeout": "23s"})
    with connect(address) as client:
        fake.wait_count(1)
        ours = {client.getsockname()[1], fake.port}
        until(lambda: tuned(router, ours) == 2, "the client's and the server's side to have it", 5)


def test_ipv4_ipv6_both_and_unix_sockets_on_either_side(home):
    """One frontend with four binds before one server of each family."""
    v4, v6, both = free_port(), free_port("::1"), free_port("::")
    path = os.path.join(home.path, "front.sock")
    fakes = [home.fake(name_then_echo, "four"),
             home.fake(name_then_echo, "six", family=socket.AF_INET6),
             home.fake(name_then_echo, "unix", path=os.path.join(home.path, "back.sock"))]
    binds = [f"127.0.0.1:{v4}", f"[::1]:{v6}", f":{both}", f"unix:{path}"]
    router = home.router(frontend("f", binds) + tcp_backend(*fakes))
    addresses = [local(v4), ("::1", v6), local(both), ("::1", both), path]
    for address in addresses:
        # Every family of server behind every family of client; two workers keep their own turn.
        met = set()
        until(lambda a=address, m=met: m.add(where(a)) or len(m) == 3, f"all servers via {address}")
        with connect(address) as client:
            read_line(client)
            client.sendall(b"ping")
            assert client.recv(4) == b"ping"
    assert set(router.stats().frontend()["binds"]) == set(binds)
    with pytest.raises(OSError):
        connect(("::1", v4), 1)
    router.stop()
    assert not os.path.exists(path), "the unix socket was left behind"


def test_byte_counts_are_what_was_sent(home):
    def swallow_then_answer(_server, sock):
        read_all(sock)
        sock.sendall(bytes(70001))

    fake, router, address = relay(home, swallow_then_answer)
    for _ in range(3):
        with connect(address) as client:
            client.sendall(bytes(300007))
            client.shutdown(socket.SHUT_WR)
            assert len(read_all(client)) == 70001
    stats = router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")
    for counted in (stats.frontend(), stats.server(fake.name)):
        assert counted["bytes_in"] == 3 * 300007
        assert counted["bytes_out"] == 3 * 70001
        assert counted["sessions_total"] == 3
    assert stats.server(fake.name)["sessions"] == 0


def test_thousands_of_short_connections_leave_nothing_behind(home):
    fake, router, address = relay(home, echo)
    where_to = (address, b"x")
    with connect(address) as warm:
        warm.sendall(b"x")
        warm.recv(1)
    router.wait_for(lambda s: s["router"]["sessions"] == 0, "no session")
    before = router.process.sockets()
    each = int(750 / SLOW)
    problems = []

    def hammer():
        try:
            for _ in range(each):
                with connect(where_to[0]) as client:
                    client.sendall(where_to[1])
                    assert client.recv(1) == where_to[1]
        except (OSError, AssertionError) as error:
            problems.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    stats = router.wait_for(lambda s: s["router"]["sessions"] == 0
                            and s.server(fake.name)["sessions"] == 0, "no session")
    assert stats.frontend()["sessions_total"] == 4 * each + 1
    until(lambda: router.process.sockets() <= before, "no socket left")
    fake.wait_count(0)


def test_a_client_that_leaves_at_once_leaves_nothing_behind(home):
    """Connect and reset, connect and close, send and close, in any mixture."""
    fake, router, address = relay(home, hold)
    rng = random.Random(3)
    for _ in range(300):
        client = connect(address)
        if rng.random() < 0.5:
            client.sendall(b"x" * rng.choice((1, 5000)))
        if rng.random() < 0.5:
            reset(client)
        else:
            client.close()
    router.wait_for(lambda s: s["router"]["sessions"] == 0
                    and s.server(fake.name)["sessions"] == 0, "no session")
    fake.wait_count(0)


def test_a_handler_can_be_checked_without_a_router():
    """The fakes themselves: what they promise the other tests."""
    fake = FakeServer(echo)
    with connect(fake.address) as one, connect(fake.address) as two:
        one.sendall(b"x")
        two.sendall(b"y")
        assert one.recv(1) == b"x" and two.recv(1) == b"y"
        fake.wait_count(2)
        assert fake.most == 2
    fake.wait_count(0)
    with connect(fake.address):
        fake.wait_count(1)
    assert fake.most == 2 and fake.accepted == 3
    fake.close()
    with pytest.raises(ConnectionRefusedError):
        connect(fake.address)
