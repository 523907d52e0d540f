"""Non-blocking connections by the thousand on one epoll, with or without TLS: what hubs and crowds
of clients are made of."""
import select
import socket
import ssl

READ_SIZE = 65536
BACKLOG_MAX = 1 << 20   # unsent bytes above which a stream stops reading
WANT_READ, WANT_WRITE = select.EPOLLIN, select.EPOLLOUT


def exact(context):
    """An ssl.SSLContext that tells a cut from an end: Python's take a FIN without a close_notify
    for one with."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def was_cut(error):
    """Whether an ssl.SSLError means a FIN without a close_notify."""
    return isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"


class Loop:
    def __init__(self):
        self.epoll = select.epoll()
        self.waiting = {}       # descriptor -> object with ready(events)

    def watch(self, thing, descriptor, events):
        if descriptor in self.waiting:
            self.epoll.modify(descriptor, events)
        else:
            self.waiting[descriptor] = thing
            self.epoll.register(descriptor, events)

    def forget(self, descriptor):
        if self.waiting.pop(descriptor, None):
            self.epoll.unregister(descriptor)

    def turn(self, timeout):
        """Waits at most `timeout` seconds for events and lets everybody act on theirs."""
        for descriptor, events in self.epoll.poll(timeout):
            thing = self.waiting.get(descriptor)
            if thing:
                thing.ready(events)

    def close(self):
        self.epoll.close()


class Stream:
    """One connection. Subclasses say what happens: on_open() once bytes can flow, on_data(bytes),
    on_end(why): "clean" (a FIN, with TLS after a close_notify), "abrupt" (a FIN without one), or
    the error's words. `why` is None while it lives."""

    def __init__(self, loop, sock, tls=None, server=False, host=None, before=b""):
        self.loop = loop
        self.sock = sock
        self.tls = tls
        self.server = server
        self.host = host
        self.before = before        # in the clear, ahead of the handshake
        self.out = bytearray()
        self.state = "connecting"   # shaking, open
        self.leaving = False        # ends when `out` has left
        self.why = None
        self.wanted = 0
        sock.setblocking(False)

    def start(self):
        """After connect() was called, or accept(): everything else comes from the loop."""
        self._want(WANT_WRITE)

    def _want(self, events):
        if events != self.wanted and self.why is None:
            self.wanted = events
            self.loop.watch(self, self.sock.fileno(), events)

    def ready(self, _events):
        try:
            self._advance()
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except ssl.SSLWantWriteError:
            self._want(WANT_READ | WANT_WRITE)
        except ssl.SSLError as error:
            self.end("abrupt" if was_cut(error) else error.reason or str(error))
        except (OSError, ValueError) as error:
            self.end(str(error) or type(error).__name__)

    def _advance(self):
        if self.state == "connecting" and not self._connected():
            return
        if self.state == "shaking":
            self._want(WANT_READ)
            self.sock.do_handshake()
            self.state = "open"
            self.on_open()
        self._flush()
        if self.why is None and len(self.out) < BACKLOG_MAX:
            self._read()
        if self.why is None:
            self._rearm()

    def _connected(self):
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connect")
        if self.before:
            sent = self.sock.send(self.before)
            self.before = self.before[sent:]
            if self.before:
                return False
        if not self.tls:
            self.state = "open"
            self.on_open()
            return True
        descriptor = self.sock.fileno()
        self.sock = self.tls.wrap_socket(self.sock, server_side=self.server,
                                         server_hostname=self.host, do_handshake_on_connect=False,
                                         suppress_ragged_eofs=False)
        assert self.sock.fileno() == descriptor
        self.state = "shaking"
        return True

    def _read(self):
        """TLS may hold more than epoll knows of: until it wants to wait, or enough is kept."""
        while self.why is None and len(self.out) < BACKLOG_MAX:
            try:
                data = self.sock.recv(READ_SIZE)
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            if not data:
                self.end("clean")
                return
            self.on_data(data)

    def send(self, data):
        """Keeps what does not leave at once."""
        self.out += data
        self._flush_soon()

    def _flush_soon(self):
        try:
            self._flush()
            self._rearm()
        except OSError as error:
            self.end(str(error))

    def _flush(self):
        while self.out and self.state == "open" and self.why is None:
            try:
                with memoryview(self.out) as view:
                    sent = self.sock.send(view[:READ_SIZE])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                break
            del self.out[:sent]
        if self.leaving and not self.out and self.why is None:
            self._say_goodbye()

    def _rearm(self):
        if self.why is None and self.state == "open":
            reading = WANT_READ if len(self.out) < BACKLOG_MAX else 0
            self._want(reading | (WANT_WRITE if self.out else 0))

    def leave(self):
        """Ends it when all that was sent has left."""
        self.leaving = True
        self._flush_soon()

    def _say_goodbye(self):
        if self.tls:
            try:
                self.sock.unwrap()      # sends the close_notify; the peer's is not awaited
            except (OSError, ValueError):
                pass
        self.end("left")

    def end(self, why):
        if self.why is not None:
            return
        self.why = why
        self.loop.forget(self.sock.fileno())
        self.sock.close()
        self.on_end(why)
