"""A syslog that remembers what it was told: datagrams over UDP, or at a path."""
import os
import re
import socket
import threading

from lib.waiting import until

# RFC 3164 as syslog(3) and HAProxy write it: no host name.
HEADER = re.compile(r"<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (\S+)\[(\d+)\]: ")


class Syslog:
    def __init__(self, path=None):
        self.path = path
        if path:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.sock.bind(path)
            os.chmod(path, 0o666)
        else:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind(("127.0.0.1", 0))
        self.lines = []
        self.closing = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def text(self):
        """As router.ini has it."""
        return f"syslog:unix:{self.path}" if self.path else f"syslog:127.0.0.1:{self.port}"

    @property
    def port(self):
        return self.sock.getsockname()[1]

    def _read(self):
        while True:
            try:
                data = self.sock.recv(65536)
            except OSError:
                return
            if self.closing:
                return
            self.lines.append(data.decode("utf-8", "replace"))

    def wait(self, condition, what, timeout=5.0):
        """The first line of which condition(line) is true."""
        return until(lambda: next((line for line in list(self.lines) if condition(line)), None),
                     f"{what}; lines: {self.lines[-20:]}", timeout)

    def close(self):
        self.closing = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with socket.socket(self.sock.family, socket.SOCK_DGRAM) as knock:
            try:
                knock.sendto(b"", self.sock.getsockname())
            except OSError:
                pass
        self.reader.join(5)
        self.sock.close()
        if self.path:
            os.unlink(self.path)
