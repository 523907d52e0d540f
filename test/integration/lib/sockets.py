"""Looking at another process' sockets, and small client helpers."""
import ctypes
import os
import socket

from lib.resp import connect

PIDFD_GETFD = 438  # the same number on every architecture


def borrow(process, descriptor):
    """Our own copy of a descriptor of a child process, as a socket."""
    pidfd = os.pidfd_open(process.pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        got = libc.syscall(PIDFD_GETFD, pidfd, descriptor, 0)
        if got < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
    finally:
        os.close(pidfd)
    return socket.socket(fileno=got)


def connected_sockets(process):
    """Copies of all its connected TCP sockets; close them."""
    found = []
    for descriptor in process.socket_inodes().values():
        try:
            sock = borrow(process, descriptor)
        except OSError:
            continue
        if sock.family in (socket.AF_INET, socket.AF_INET6) and _peer(sock):
            found.append(sock)
        else:
            sock.close()
    return found


def _peer(sock):
    try:
        return sock.getpeername()
    except OSError:
        return None


def read_all(sock):
    """Until the peer's FIN."""
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


def read_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            raise ConnectionError(f"end of stream after {line!r}")
        line += byte
    return line.strip().decode()


def where(address, source=None):
    """Which fake (lib.fake.name_then_echo) a new client meets."""
    with connect(address, source=source) as sock:
        return read_line(sock)


def local(port):
    return ("127.0.0.1", port)


def refused(address):
    try:
        connect(address, 1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
