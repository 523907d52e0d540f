"""Clients that write unique keys without pause and remember which were acknowledged, by whom."""
import dataclasses
import itertools
import threading
import time

from lib.rerun import unforgivable
from lib.rerun import unforgivable
from lib.resp import Resp, RespError


@dataclasses.dataclass
class Write:
    key: str
    value: str
    by: int        # port of the server that acknowledged it, by its own word
    sent: float    # time.monotonic() before the command was sent
    acked: float


class Writers:
    """`count` threads, each with one connection at a time, paced to `rate` writes a second each.

    At the start of a connection the server is asked for its port (CONFIG GET port); as one client
    connection is one server connection, it names who acknowledges what comes next."""

    def __init__(self, address, count=1, rate=200, prefix="k", timeout=20.0, reconnect_every=None):
        self.address = address
        self.period = 1.0 / rate
        self.prefix = prefix
        self.timeout = timeout
        self.reconnect_every = reconnect_every
        self.stop_event = threading.Event()
        self.lock = threading.Lock()
        self.acknowledged = []
        self.earlier = []    # those of writers before them, for compare()
        self.refused = []    # (time, text) of error replies
        self.cut = []        # time of each lost connection
        self.uncertain = set()  # keys sent and never answered
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True)
                        for n in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        keys = (f"{self.prefix}:{number}:{n}" for n in itertools.count())
        while not self.stop_event.is_set():
            try:
                with Resp(self.address, self.timeout) as client:
                    self._session(client, keys)
            except OSError:
                with self.lock:
                    self.cut.append(time.monotonic())
                self.stop_event.wait(0.01)

    def _session(self, client, keys):
        answer = client.call("CONFIG", "GET", "port")
        if isinstance(answer, RespError):
            self._refusal(answer)
            return
        by = int(answer[1])
        for key in itertools.islice(keys, self.reconnect_every):
            if not self._write(client, by, key) or self.stop_event.wait(self.period):
                return

    def _write(self, client, by, key):
        value = f"v-{key}-{by}"
        sent = time.monotonic()
        self.uncertain.add(key)
        answer = client.call("SET", key, value)
        acked = time.monotonic()
        self.uncertain.discard(key)
        if answer == "OK":
            with self.lock:
                self.acknowledged.append(Write(key, value, by, sent, acked))
            return True
        self._refusal(answer)
        return False

    def _refusal(self, answer):
        with self.lock:
            self.refused.append((time.monotonic(), str(answer)))
        self.stop_event.wait(0.01)

    # Reading while they run.

    def acked(self, by=None, since=0.0):
        """Acknowledged writes of one server (a Redis or a port), sent after `since`."""
        port = getattr(by, "port", by)
        with self.lock:
            return [w for w in self.acknowledged if w.sent >= since and port in (None, w.by)]

    def stop(self):
        self.stop_event.set()
        for thread in self.threads:
            thread.join(self.timeout + 5)
        assert not any(t.is_alive() for t in self.threads), "a writer hangs"
        return self

    close = stop


@dataclasses.dataclass
class Report:
    """What became of the acknowledged writes, from the servers' own data."""
    acknowledged: int
    lost: list             # acknowledged, and not on the last primary
    lost_by_replication: list  # of these: acknowledged by a server before it was succeeded
    lost_beyond: list      # the others: nobody but the proxy is to blame
    by_fenced: list        # sent after the successor had acknowledged one, acknowledged by the old
    wrong_value: list
    gap_ms: float          # longest time without an acknowledgement

    def verdict(self):
        return (f"{self.acknowledged} acknowledged, {len(self.lost)} lost "
                f"({len(self.lost_beyond)} beyond replication), {len(self.by_fenced)} acknowledged "
                f"by a fenced server, gap {self.gap_ms:.0f} ms")

    def check(self):
        """Nothing is lost but what the servers' own replication lost, nor written to a server that
        was succeeded."""
        with unforgivable():
            assert self.by_fenced == [], self.verdict()
            assert self.lost_beyond == [], self.verdict()
            assert self.wrong_value == []


def compare(writers, last_primary, others=()):
    """Reads every key of every server and says which acknowledged writes are gone.

    A server is succeeded at the moment the first write *sent* to its successor was acknowledged;
    an acknowledgement by it for a write sent later is one by a fenced server."""
    final = last_primary.data()
    elsewhere = {server.port: server.data() for server in others}
    writes = sorted(writers.acked(), key=lambda w: w.acked)
    succeeded = {}
    order = []
    for write in writes:
        if not order or write.by not in order:
            for port in order:
                succeeded.setdefault(port, write.acked)
            order.append(write.by)
    by_fenced = [w for w in writes if w.sent > succeeded.get(w.by, float("inf"))]
    lost = [w for w in writes if w.key not in final]
    fenced_keys = {w.key for w in by_fenced}
    natural = [w for w in lost if w.by in succeeded and w.key not in fenced_keys]
    natural_keys = {w.key for w in natural}
    wrong = [w for w in writes for data in (final, *elsewhere.values())
             if w.key in data and data[w.key] != w.value]
    gaps = [(b.acked - a.acked) * 1000 for a, b in zip(writes, writes[1:])]
    return Report(acknowledged=len(writes), lost=lost, lost_by_replication=natural,
                  lost_beyond=[w for w in lost if w.key not in natural_keys],
                  by_fenced=by_fenced, wrong_value=wrong, gap_ms=max(gaps, default=0.0))
