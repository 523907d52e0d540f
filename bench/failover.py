#!/usr/bin/python3
"""Measures what a failover costs clients through router and through HAProxy, side by side before
the same servers: Redis with three Sentinels, MariaDB with two replicas and an operator's script,
PostgreSQL with Patroni. `make bench-failover` builds router and calls it.

Each run starts everything anew, lets two writers of unique keys go through each proxy (one takes a
new connection for each write, one keeps its own), plays a fault, continues a stopped primary as
soon as its successor serves, and goes on until the old primary claims no more. Threads ask the
servers themselves, past all proxies, every 1 to 3 ms, which gives the moment of the promotion; what
became of each acknowledged write is read from the successor's data. router has its default
settings, HAProxy `inter 1s fall 2 rise 1 on-marked-down shutdown-sessions` and the checks people
write. Sentinels have the periods of production, and down-after-milliseconds 2000."""
import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "test", "integration"))

from lib.clusters import NotInstallable  # noqa: E402
from lib.home import Home  # noqa: E402
from lib.router import BUILD  # noqa: E402
from lib.waiting import until  # noqa: E402

import failover_report as report  # noqa: E402
from failover_stages import STAGES  # noqa: E402

FAULTS = ("kill", "stop", "switch")
CALM_SECONDS = 1.5     # without an error before the fault: HAProxy begins with all servers up
CALM_WRITES = 30       # of each writer
PHASE_SECONDS = 1.0    # the checks' interval: the fault may come at any moment of it
SUCCESSOR_SECONDS = 40
NEVER_SECONDS = 8      # after the promotion; who has not served by then is not waited for
AFTER_SECONDS = 2      # that all of it goes on when the old primary claims no more


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="STAGE", action="append", choices=list(STAGES),
                        help="repeat for more; one of " + ", ".join(STAGES))
    parser.add_argument("--fault", action="append", choices=FAULTS,
                        help="repeat for more; one of " + ", ".join(FAULTS))
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--keep", metavar="DIR",
                        help="keep there what the clients and the proxies had to say, run by run")
    args = parser.parse_args()
    args.only = args.only or list(STAGES)
    args.fault = args.fault or list(FAULTS)
    return args


class Run:
    """One fault on one stage, all proxies at once."""

    def __init__(self, home, stage):
        self.stage = stage
        self.at = 0.0  # when the fault was played
        self.fronts = stage.fronts()
        self.crowds = {front.name: self._crowd(home, front) for front in self.fronts}
        self.writers = [w for crowd in self.crowds.values() for w in crowd.values()]

    def _crowd(self, home, front):
        every = {"new": 1, "kept": None}
        return {kind: home.keep(self.stage.writers(front.address, prefix=f"{front.name}-{kind}",
                                                   reconnect_every=every[kind]))
                for kind in report.KINDS}

    def wait_calm(self):
        until(lambda: all(self._calm(w) for w in self.writers), "all writers to be served", 30)

    @staticmethod
    def _calm(writers):
        last = max((at for at, _ in report.troubles(writers)), default=0)
        calm = time.monotonic() - last > CALM_SECONDS
        return calm and len(writers.acked(since=last)) >= CALM_WRITES

    def play(self, fault):
        """Returns the times of what happened, and who succeeded."""
        watchers = [w.start() for w in self.stage.watchers()]
        evidence = self.stage.evidence()
        with contextlib.ExitStack() as stack:
            for watcher in watchers + ([evidence.start()] if evidence else []):
                stack.callback(watcher.close)
            self.at = time.monotonic()
            getattr(self.stage, fault)()
            first = until(lambda: next((w for w in watchers if w.seen()), None), "a successor",
                          SUCCESSOR_SECONDS)
            if evidence:
                until(evidence.seen, "the evidence of it", SUCCESSOR_SECONDS)
        return report.Times(self.at, first, evidence), first.answer

    def wait_served(self, times, successor):
        deadline = time.monotonic() + NEVER_SECONDS
        while time.monotonic() < deadline and not all(
                w.acked(successor, times.fault) for w in self.writers):
            time.sleep(0.02)

    def stop_writers(self):
        for writers in self.writers:
            writers.stop_event.set()
        for writers in self.writers:
            writers.stop()


def run_once(family, fault, keep):
    """The figures of each proxy, by its title, and what the servers took themselves."""
    with contextlib.closing(Home()) as home:
        stage = STAGES[family](home)
        run = Run(home, stage)
        try:
            run.wait_calm()
            time.sleep(random.uniform(0, PHASE_SECONDS))
            times, successor = run.play(fault)
            run.wait_served(times, successor)
            if fault == "stop":
                stage.come_back()
            stage.finish()
            stage.aftermath()
            time.sleep(AFTER_SECONDS)
            published = {front.title: front.published() for front in run.fronts}
        finally:
            run.stop_writers()
            keep_logs(run, keep)
        data = stage.data(successor)
        figures = {front.title: report.judge(run.crowds[front.name], times, successor, data,
                                             published[front.title]) for front in run.fronts}
        return {"servers": times.servers(), **figures}


def keep_logs(run, where):
    if not where:
        return
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, "errors"), "w", encoding="utf-8") as file:
        for name, crowd in run.crowds.items():
            for kind, writers in crowd.items():
                file.writelines(f"{(at - run.at) * 1000:9.1f} ms {name} {kind}: {text}\n"
                                for at, text in sorted(report.troubles(writers)))
    for front in run.fronts:
        with open(os.path.join(where, f"{front.name}.log"), "w", encoding="utf-8") as file:
            file.write(front.log)
        if front.name == "router" and front.process.running():
            with open(os.path.join(where, "stats.json"), "w", encoding="utf-8") as file:
                json.dump(front.router.stats(), file, indent=1)


def rounds(args, family, results, failures):
    for number in range(1, args.rounds + 1):
        for fault in args.fault:
            print(f"bench: {family}, {fault}, round {number} of {args.rounds}", file=sys.stderr)
            keep = args.keep and os.path.join(args.keep, f"{family}-{fault}-{number}")
            try:
                figures = run_once(family, fault, keep)
            except NotInstallable as missing:
                print(f"bench: no {family}: {missing}", file=sys.stderr)
                return
            except Exception:  # the other runs are still worth something
                traceback.print_exc()
                failures.append(f"{family}, {fault}, round {number}")
                continue
            for title, one in figures.items():
                results.setdefault(fault, {}).setdefault(title, []).append(one)
                print(f"bench:   {title}: {one}", file=sys.stderr)


def measure(args):
    began, load_before = time.monotonic(), os.getloadavg()[0]
    failures, out, raw = [], [], {}
    for family in args.only:
        results = raw.setdefault(family, {})
        rounds(args, family, results, failures)
        if results:
            out += ["", *report.stage_table(STAGES[family], results)]
    facts = report.machine_facts(args.rounds, time.monotonic() - began, load_before)
    out += [f"\n**Failed: {failure}**" for failure in failures]
    return "\n".join(facts + out) + "\n", raw, failures


def main():
    args = parse()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    for program in ("haproxy", "redis-server"):
        if not shutil.which(program):
            print(f"bench: {program} is missing", file=sys.stderr)
            return 1
    sys.setswitchinterval(0.0005)  # the threads that watch must not wait for those that write
    text, raw, failures = measure(args)
    print(text, end="")
    where = os.path.join(BUILD, "bench")
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, "failover.md"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(where, "failover.json"), "w", encoding="utf-8") as file:
        json.dump(raw, file, indent=1)
    print(f"bench: written to {where}/failover.md and .json", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
