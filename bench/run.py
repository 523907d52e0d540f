#!/usr/bin/python3
"""Measures router beside HAProxy, nginx stream and a bare relay, before one real Redis, in one run:
as opaque relays, with --tls as those who terminate TLS. See README.md; `make bench` and `make
bench-tls` build router and call it."""

import argparse
import os
import resource
import shutil
import signal
import sys
import time

import pool
import proxies
import report
import rows
import suites
from lab import HERE, BenchError, Lab, build_programs, shared_placements


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(os.path.dirname(HERE), "build"),
                        help="the folder of router and bench/ (default: build)")
    parser.add_argument("--tls", dest="suite", action="store_const", const=suites.TLS,
                        default=suites.PLAIN, help="the proxies terminate TLS")
    parser.add_argument("--pool", dest="suite", action="store_const", const=pool.POOL,
                        help="the proxies carry many clients over few connections")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="small counts: does it run at all")
    parser.add_argument("--only", metavar="ROW", action="append",
                        help="repeat for more; " + "; ".join(
                            f"{suite.command}: {', '.join(suite.rows())}"
                            for suite in (suites.PLAIN, suites.TLS, pool.POOL)))
    parser.add_argument("--proxies", help="some of " + "; ".join(
        f"{suite.command}: {', '.join(suite.proxies())}"
        for suite in (suites.PLAIN, suites.TLS, pool.POOL)))
    args = parser.parse_args()
    args.rounds = args.rounds or (2 if args.quick else 5)
    args.only = args.only or args.suite.rows()
    args.proxies = args.proxies.split(",") if args.proxies else args.suite.proxies()
    for name in args.only:
        if name not in args.suite.rows():
            parser.error(f"no such row: {name}")
    for name in args.proxies:
        if name not in args.suite.proxies():
            parser.error(f"no such proxy: {name}")
    return args


def note(results, row, name, figures):
    results.setdefault(row, {}).setdefault(name, []).append(figures)


def rotated(names, by):
    by %= len(names)
    return names[by:] + names[:by]


def load_round(lab, args, number, results):
    """All proxies are started afresh, then each row goes through them in this round's order."""
    wanted = {row: load for row, load in args.suite.loads.items() if row in args.only}
    names = [name for name in args.suite.names if name in ("direct", *args.proxies)]
    kinds = dict.fromkeys(load.kind() for load in wanted.values())
    targets = [proxies.start(lab, name, *kind) for name in rotated(names, number)
               for kind in kinds]
    for placement in lab.placements:
        lab.place(placement, [pid for target in targets for pid in target.pids()])
        for row, load in wanted.items():
            these = [target for target in targets if target.kind == load.kind()]
            for turn in range(args.suite.passes):
                for target in rotated(these, turn):
                    figures = rows.load_row(lab, load, target, args.quick)
                    note(results, f"{row}/{placement}", target.name, figures)
    for target in targets:
        proxies.stop(lab, target)
    lab.place(next(iter(lab.placements)), [])


def memory_round(lab, args, number, results):
    for name in rotated(args.proxies, number):
        for row, idle in args.suite.idle.items():
            if row in args.only and name not in idle.without:
                note(results, row, name, rows.idle_row(lab, name, idle, args.quick))
        if "resident" in args.only and number < 2:
            note(results, "resident", name, rows.resident_row(lab, name))


def once(lab, args, results):
    for row, tool, measure in (("syscalls", "strace", rows.syscalls_row),
                               ("instructions", "valgrind", rows.instructions_row)):
        if row not in args.only:
            continue
        if not shutil.which(tool):
            print(f"bench: no {row}: {tool} is not installed", file=sys.stderr)
            continue
        for name in args.proxies:
            note(results, row, name, measure(lab, name, args.suite, args.quick))


def raise_descriptor_limit(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(f"the descriptor limit is {hard}, {count} are needed (ulimit -n)")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def run(args):
    began = time.monotonic()
    load_before = os.getloadavg()[0]
    results = {}
    raise_descriptor_limit(args.suite.descriptors[args.quick])
    build_programs(args.build)
    placed = shared_placements() if args.suite.shared else None
    with Lab(os.path.abspath(args.build), placed) as lab:
        lab.start_redis(list(proxies.BACK.values()))
        for number in range(args.rounds):
            print(f"bench: round {number + 1} of {args.rounds}", file=sys.stderr)
            load_round(lab, args, number, results)
            memory_round(lab, args, number, results)
        once(lab, args, results)
    facts = report.machine_facts(args.rounds, " ".join(["bench/run.py", *sys.argv[1:]]),
                                 time.monotonic() - began, load_before, args.suite.programs)
    made = pool.PoolReport if args.suite is pool.POOL else report.Report
    text = made(args.suite, results).markdown(facts)
    print(text, end="")
    where = os.path.join(args.build, "bench", args.suite.file)
    with open(where, "w", encoding="utf-8") as f:
        f.write(text)
    print(f"bench: written to {where}", file=sys.stderr)


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        run(parse())
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
