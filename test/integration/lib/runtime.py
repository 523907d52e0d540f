"""A router's control socket, as a script uses it: one connection for each line of commands."""
import os
import threading

from lib.resp import connect
from lib.waiting import SLOW


class Runtime:
    def __init__(self, path):
        self.path = path

    def __call__(self, line, timeout=20.0):
        """The answer, without the empty line behind it."""
        sock = self.send(line, timeout)
        try:
            parts = []
            while data := sock.recv(65536):
                parts.append(data)
        finally:
            sock.close()
        text = b"".join(parts).decode()
        assert text.endswith("\n"), text
        return text[:-1]

    def ok(self, line):
        """HAProxy's commands say nothing when all went well."""
        answer = self(line)
        assert answer == "", (line, answer)

    def send(self, line, timeout=20.0):
        sock = connect(self.path, timeout * SLOW)
        sock.sendall(line.encode() + b"\n")
        return sock

    def later(self, line):
        return Later(self, line)


class Later:
    """An answer that takes its time."""

    def __init__(self, runtime, line):
        self.text = None
        self.thread = threading.Thread(target=self._run, args=(runtime, line), daemon=True)
        self.thread.start()

    def _run(self, runtime, line):
        self.text = runtime(line, timeout=60.0)

    def answer(self, timeout=60.0):
        self.thread.join(timeout * SLOW)
        assert self.text is not None, "no answer"
        return self.text


def control_of(home):
    """What [router] needs for it, and the Runtime."""
    path = os.path.join(home.directory("run"), "control")
    return {"control": path}, Runtime(path)
