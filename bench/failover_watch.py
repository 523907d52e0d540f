"""Looks at the servers past all proxies and notes when something was first true there."""
import threading
import time

QUIET_SECONDS = 0.001  # after an error: a promoted Redis cuts its clients at that very moment


class Watcher:
    """Asks one question again and again in a thread of its own, until the answer is true or it is
    closed. The moment it became true lies between `asked` and `said` of the first such answer, or
    shortly before `asked`: as long before as one question and `pause` last."""

    def __init__(self, connect, ask, pause=0.001):
        self.connect = connect  # () -> whatever has close()
        self.ask = ask          # (that) -> the answer; both may raise
        self.pause = pause
        self.answer = None
        self.asked = None
        self.said = None
        self._over = threading.Event()
        self._seen = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def _run(self):
        while not self._over.is_set() and not self._seen.is_set():
            try:
                self._session(self.connect())
            except Exception:  # each driver has its own; whatever it is, nothing was said
                self._over.wait(QUIET_SECONDS)

    def _session(self, connection):
        try:
            while not self._over.is_set():
                asked = time.monotonic()
                answer = self.ask(connection)
                if answer:
                    self.answer, self.asked, self.said = answer, asked, time.monotonic()
                    self._seen.set()
                    return
                self._over.wait(self.pause)
        finally:
            connection.close()

    def seen(self):
        return self._seen.is_set()

    def close(self):
        self._over.set()
        self._thread.join(10)


class Each:
    """Several connections as one."""

    def __init__(self, connections):
        self.connections = connections

    def close(self):
        for connection in self.connections:
            connection.close()
