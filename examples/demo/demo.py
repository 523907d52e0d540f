"""`make demo`: three real Redis servers, a router before them, clients that never stop, and a
primary that dies, is replaced and comes back. Exits 0 if every promise held, 1 if one broke."""
import argparse
import os
import signal
import sys
import time

import clients
from clients import Pulse, Reader, Writer
from home import DemoError, Home, last_words
from resp import Client, RedisError
from verdict import Moments, judge

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INI = os.path.join(ROOT, "examples", "demo.ini")
STEADY_SECONDS = 2.0
OPERATOR_SECONDS = 1.0  # until someone, or something, promotes a replica
RETURN_SECONDS = 3.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
RECOVERY_SECONDS = 10.0  # a write must be acknowledged this soon after the promotion


class Stopped(BaseException):
    """A signal asked us to end."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


class Demo:
    def __init__(self, home, router):
        self.home = home
        self.router_path = router
        self.moments = Moments()
        self.broken = []
        self.began = time.monotonic()

    # What is seen of it.

    def tell(self, words):
        print(f"  {time.monotonic() - self.began:4.1f} s  {words}", flush=True)

    def row(self, figure, words):
        print(f"  {figure:>9}  {words}")

    def promise(self, kept, words):
        if not kept:
            self.broken.append(words)

    # The story.

    def play(self):
        print("\nThree Redis servers behind a router; four clients write, one reads.\n")
        self.start_servers()
        self.start_router()
        self.start_clients()
        time.sleep(STEADY_SECONDS)
        self.kill_the_primary()
        time.sleep(OPERATOR_SECONDS)
        self.promote_a_replica()
        if self.wait_for_writes():
            time.sleep(STEADY_SECONDS)
            self.bring_the_old_one_back()
            time.sleep(RETURN_SECONDS)
        self.end_clients()

    def start_servers(self):
        self.old = self.home.redis("redis-0")
        self.replicas = [self.home.redis(name, self.old) for name in ("redis-1", "redis-2")]
        for server in (self.old, *self.replicas):
            server.wait_ready()
        for replica in self.replicas:
            replica.wait_following()
        self.tell("redis-0 is the primary, redis-1 and redis-2 follow it")

    def start_router(self):
        self.write_port, self.read_port, self.admin_port = (self.home.free_port() for _ in range(3))
        env = dict(os.environ, WRITE_PORT=str(self.write_port), READ_PORT=str(self.read_port),
                   ADMIN_PORT=str(self.admin_port), REDIS_0=str(self.old.port),
                   REDIS_1=str(self.replicas[0].port), REDIS_2=str(self.replicas[1].port))
        self.router = self.home.start("router", [self.router_path, "-c", INI], env)
        self.wait_for_router(self.write_port)
        self.wait_for_router(self.read_port)
        self.tell(f"the router listens: writes on port {self.write_port}, "
                  f"reads on port {self.read_port}")

    def wait_for_router(self, port):
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                with Client(port, timeout=RECOVERY_SECONDS) as client:
                    client.call("PING")
                return
            except (OSError, RedisError) as error:
                if self.router.poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"the router does not serve port {port} ({error}):\n"
                                    f"{last_words(self.router)}") from None
            time.sleep(0.01)

    def start_clients(self):
        self.writers = [Writer(f"writer-{n}", self.write_port, reconnect=n % 2 == 1)
                        for n in range(4)]
        self.reader = Reader(self.read_port)
        self.moments.began = time.monotonic()
        for client in (*self.writers, self.reader):
            client.start()

    def kill_the_primary(self):
        self.moments.killed = time.monotonic()
        self.old.kill()
        self.moments.dead = time.monotonic()
        self.tell("redis-0 is killed (SIGKILL): writers wait, nobody tells them no")

    def promote_a_replica(self):
        """The operator's part. The replica that heard most of the old primary is taken."""
        self.replicas.sort(key=lambda r: -int(r.info("replication")["master_repl_offset"]))
        self.new, self.replica = self.replicas
        self.new.call("REPLICAOF", "NO", "ONE")
        self.moments.promoted = time.monotonic()
        self.replica.call("REPLICAOF", "127.0.0.1", self.new.port)
        self.tell(f"{self.new.name} is promoted, {self.replica.name} follows it")

    def wait_for_writes(self):
        deadline = self.moments.promoted + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            if all(writer.pause_around(self.moments.promoted) for writer in self.writers):
                self.tell("all four write again, on their own")
                return True
            time.sleep(0.02)
        self.promise(False, f"no write was acknowledged within {RECOVERY_SECONDS:.0f} s of the "
                            "promotion")
        return False

    def bring_the_old_one_back(self):
        self.moments.returned = time.monotonic()
        self.old.start()
        self.old.wait_ready()
        role = self.old.info("replication")["role"]
        self.tell(f"redis-0 is back on its old data and says role:{role}: two primaries now")

    def end_clients(self):
        self.moments.ended = time.monotonic()
        clients.stop([*self.writers, self.reader])
        self.tell("the writers rest; every key is compared on all three servers")

    # What came of it.

    def report(self):
        m = self.moments
        if not m.returned:
            m.returned = time.monotonic()
            self.old.start()
            self.old.wait_ready()
        self.new.call("WAIT", 1, 2000)
        writes = [write for writer in self.writers for write in writer.writes]
        verdict = judge(writes, m, self.old.data(), self.new.data(), self.replica.data())
        print()
        self.report_pauses()
        at_kill, later = (sum(w.errors_between(begin, end) for w in self.writers)
                          for begin, end in ((m.began, m.returned), (m.returned, m.ended)))
        self.row(at_kill + later, f"client errors: {at_kill} when redis-0 died (its connections "
                                  f"are cut), {later} when it came back")
        self.row(f"{verdict.acknowledged:,}", "writes acknowledged")
        self.row(verdict.unreplicated, "of them Redis itself lost: redis-0 died before it had sent "
                                       "them to a replica")
        self.row(verdict.lost, "acknowledged writes lost beyond that")
        self.row(verdict.fenced, "writes taken by redis-0 after it had been replaced")
        self.row(f"{self.reader.answers:,}", f"reads answered, {len(self.reader.errors)} errors")
        self.promise(verdict.lost == 0, f"{verdict.lost} acknowledged writes are lost")
        self.promise(verdict.fenced == 0, f"{verdict.fenced} writes went to a server that was no "
                                          "longer the primary")
        self.promise(verdict.differing == 0, f"{self.replica.name} differs from {self.new.name} in "
                                             f"{verdict.differing} keys")
        self.promise(self.router.poll() is None, "the router ended")

    def report_pauses(self):
        """Of the client that waited longest."""
        m = self.moments
        pauses = [writer.pause_around(m.promoted) for writer in self.writers]
        if None in pauses:
            self.row("endless", "pause in writes when redis-0 was killed")
            return
        whole, after = (max(column) for column in zip(*pauses))
        back = max(writer.longest_pause(m.returned, m.ended) for writer in self.writers)
        self.row(f"{whole * 1000:,.0f} ms", "pause in writes when redis-0 was killed "
                                            f"(it took {m.promoted - m.killed:.1f} s to promote)")
        self.row(f"{after * 1000:,.0f} ms", "of that after the promotion")
        self.row(f"{back * 1000:,.0f} ms", "longest pause while redis-0 was back")

    def conclude(self):
        print()
        for words in self.broken:
            print(f"  BROKEN: {words}")
        if not self.broken:
            print("  Every promise held.")
        elif last_words(self.router):
            print(f"\n  The router's last words:\n{last_words(self.router)}\n")
        print(f"  Stats page: http://127.0.0.1:{self.admin_port}/\n", flush=True)

    # At a terminal it goes on.

    def stay(self):
        servers = sorted((self.old, self.new, self.replica), key=lambda server: server.name)
        print("  Try it:     redis-cli -p PORT, writes", self.write_port, "reads", self.read_port)
        print("  Break it:  ", "  ".join(f"{s.name} {s.port} (pid {s.process.pid})"
                                         for s in servers), "\n")
        pulses = [Pulse(f"pulse-{n}", self.write_port) for n in range(2)]
        for pulse in pulses:
            pulse.start()
        try:
            self.live_line(pulses)
        except Stopped as stopped:
            print()
            if stopped.number != signal.SIGINT:
                raise
        finally:
            clients.stop(pulses, 0.5)

    def live_line(self, pulses):
        before = 0
        while True:
            time.sleep(1)
            count = sum(pulse.count for pulse in pulses)
            errors = sum(len(pulse.errors) for pulse in pulses)
            silent = time.monotonic() - max(pulse.last for pulse in pulses)
            state = f"{count - before:,} a second" if count > before else f"waiting {silent:.0f} s"
            print(f"\r  {count:,} more writes, {state}, {errors} errors. Ctrl-C ends.\033[K",
                  end="", flush=True)
            before = count


def on_signal(number, _frame):
    raise Stopped(number)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--router", default=os.path.join(ROOT, "build", "router"),
                        help="the program to show; called with -c examples/demo.ini")
    router = os.path.abspath(parser.parse_args().router)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, on_signal)
    home = Home()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return run(Demo(home, router))
    except DemoError as error:
        print(f"\n  {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        return 128 + stopped.number
    except BrokenPipeError:  # nobody reads on; what is left of the output has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        home.close()


def run(demo):
    demo.play()
    demo.report()
    demo.conclude()
    if sys.stdout.isatty() and not demo.broken:
        demo.stay()
    return 1 if demo.broken else 0


if __name__ == "__main__":
    sys.exit(main())
