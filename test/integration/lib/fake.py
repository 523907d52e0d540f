"""A server that does what a test needs: echo, stall, cut, lie. One thread for each connection."""
import socket
import struct
import threading

from lib.resp import encode
from lib.process import free_port
from lib.waiting import until

TCP_INFO_ESTABLISHED = 1


def established(sock):
    """Whether neither side has ended it, as the kernel knows (before we have read the FIN)."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except OSError:
        return False
    return info[0] == TCP_INFO_ESTABLISHED


def reset(sock):
    """Closes with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# Handlers: handler(server, sock); the connection is closed when it returns.


def echo(_server, sock):
    while data := sock.recv(65536):
        sock.sendall(data)


def hold(_server, sock):
    """Reads and says nothing, until the peer leaves."""
    while sock.recv(65536):
        pass


def name_then_echo(server, sock):
    """Says who it is, so that a client knows where it was sent."""
    sock.sendall(server.name.encode() + b"\n")
    echo(server, sock)


class FakeServer:
    def __init__(self, handler, name="fake", family=socket.AF_INET, path=None, port=None,
                 backlog=1024, host=None):
        self.name = name
        self.handler = handler
        self.lock = threading.Lock()
        self.open = {}          # socket -> its thread
        self.accepted = 0
        self.most = 0           # most connections that were open at one moment
        self.peers = []         # client addresses in the order of accepting
        self.stopping = threading.Event()
        self.changed = threading.Condition(self.lock)
        if path:
            self.address = path
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
        else:
            host = host or ("::1" if family == socket.AF_INET6 else "127.0.0.1")
            self.address = (host, port or free_port(host))
            self.listener = socket.socket(family)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(self.address)
        self.listener.listen(backlog)
        self.accepter = threading.Thread(target=self._accept, daemon=True)
        self.accepter.start()

    @property
    def port(self):
        return self.address[1]

    @property
    def text(self):
        if isinstance(self.address, str):
            return f"unix:{self.address}"
        host = self.address[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            if self.stopping.is_set():
                sock.close()
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            with self.changed:
                self.open[sock] = thread
                self.accepted += 1
                self.peers.append(peer)
                self.most = max(self.most, self._open_now())
                self.changed.notify_all()
            thread.start()

    def _open_now(self):
        if isinstance(self.address, str):
            return len(self.open)
        return sum(1 for sock in self.open if established(sock))

    def _serve(self, sock):
        try:
            self.handler(self, sock)
        except OSError:
            pass
        finally:
            with self.changed:
                self.open.pop(sock, None)
                self.changed.notify_all()
            sock.close()

    def count(self):
        with self.lock:
            return len(self.open)

    def wait_count(self, count, timeout=5.0):
        until(lambda: self.count() == count, f"{count} connections on {self.name}", timeout)

    def first(self):
        """Some open connection's socket."""
        with self.lock:
            return next(iter(self.open))

    def cut(self):
        """Ends what is open; new connections are welcome."""
        with self.lock:
            sockets = list(self.open)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop_listening(self):
        """Connects are refused from now on; open connections stay."""
        self.stopping.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.accepter.join(5)

    def close(self):
        self.stop_listening()
        with self.lock:
            threads = list(self.open.values())
        self.cut()
        for thread in threads:
            thread.join(5)


# A Redis that lies.

INFO_TEXT = """# Server\r
redis_version:7.0.15\r
run_id:{run_id}\r
# Persistence\r
loading:0\r
# Replication\r
role:{role}\r
{link}connected_slaves:0\r
master_failover_state:no-failover\r
master_replid:{replid}\r
master_replid2:0000000000000000000000000000000000000000\r
master_repl_offset:{offset}\r
second_repl_offset:-1\r
"""


def info_reply(role="master", run_id="a" * 40, replid="b" * 40, offset=1000, link="up"):
    extra = ""
    if role == "slave":
        extra = (f"master_host:127.0.0.1\r\nmaster_port:1\r\nmaster_link_status:{link}\r\n"
                 "master_last_io_seconds_ago:0\r\nmaster_sync_in_progress:0\r\n"
                 f"slave_read_repl_offset:{offset}\r\nslave_repl_offset:{offset}\r\n")
    text = INFO_TEXT.format(role=role, run_id=run_id, replid=replid, offset=offset, link=extra)
    return b"$%d\r\n%s\r\n" % (len(text), text.encode())


def read_command(sock, buffer):
    """One command (RESP array or inline) and what is left; None at the end of the stream."""
    while True:
        parsed = _parse(buffer)
        if parsed:
            return parsed
        data = sock.recv(65536)
        if not data:
            return None, b""
        buffer += data


def _parse(buffer):
    if b"\r\n" not in buffer:
        return None
    line, rest = buffer.split(b"\r\n", 1)
    if not line.startswith(b"*"):
        return line.decode("latin-1").split(), rest
    args = []
    for _ in range(int(line[1:])):
        if b"\r\n" not in rest:
            return None
        head, rest = rest.split(b"\r\n", 1)
        length = int(head[1:])
        if len(rest) < length + 2:
            return None
        args.append(rest[:length].decode("latin-1"))
        rest = rest[length + 2:]
    return args, rest


def fake_redis(answer):
    """A handler: answer(server, args) gives the bytes of each reply, None closes."""
    def handler(server, sock):
        buffer = b""
        while True:
            args, buffer = read_command(sock, buffer)
            if args is None:
                return
            if not args:
                continue
            reply = answer(server, [args[0].upper(), *args[1:]])
            if reply is None:
                return
            sock.sendall(reply)
    return handler


def primary_answers(server, args):
    """A healthy primary that knows PING, SET, GET and who it is."""
    if args[0] == "INFO":
        return info_reply(run_id=f"{server.port:040x}")
    if args[0] == "GET":
        return encode(server.name)[4:]
    if args[0] == "PING":
        return b"+PONG\r\n"
    return b"+OK\r\n"
