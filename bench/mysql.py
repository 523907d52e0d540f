#!/usr/bin/python3
"""Measures MySQL pooling: what a connect, a login, a query and a disconnect cost the server when
the clients come directly, through HAProxy, through router as a relay and through router's pool;
what a query costs; and 1,000 clients over 32 connections. `make bench-mysql` builds router and
calls it; see README.md."""

import argparse
import contextlib
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "test", "integration"))

from lib.clusters import NotInstallable  # noqa: E402
from lib.home import Home  # noqa: E402

import mysql_report  # noqa: E402
import mysql_rows  # noqa: E402
import mysql_stage  # noqa: E402
import report  # noqa: E402
from lab import BenchError, Lab, build_programs, shared_placements  # noqa: E402
from mysql_rows import ROWS  # noqa: E402

DEFAULT = [name for name, row in ROWS.items() if not row.asked]
TRANSACTION = [name for name, row in ROWS.items() if row.asked]


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(os.path.dirname(HERE), "build"),
                        help="the folder of router and bench/ (default: build)")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="small counts: does it run at all")
    parser.add_argument("--only", metavar="ROW", action="append", choices=list(ROWS),
                        help="repeat for more; one of " + ", ".join(ROWS))
    parser.add_argument("--family", action="append", choices=list(mysql_stage.FAMILIES),
                        help="repeat for more; one of " + ", ".join(mysql_stage.FAMILIES))
    parser.add_argument("--ways", help="some of " + ",".join(mysql_report.WAYS))
    parser.add_argument("--transaction", action="store_true",
                        help="also pool_mode = transaction: " + ", ".join(TRANSACTION))
    args = parser.parse_args()
    args.rounds = args.rounds or (2 if args.quick else 5)
    args.only = args.only or DEFAULT + (TRANSACTION if args.transaction else [])
    args.family = args.family or list(mysql_stage.FAMILIES)
    args.ways = args.ways.split(",") if args.ways else list(mysql_report.WAYS)
    for name in args.ways:
        if name not in mysql_report.WAYS:
            parser.error(f"no such way: {name}")
    return args


class Run:
    """One family's rounds; all proxies of a row run while others are measured, and do nothing."""

    def __init__(self, lab, server, args, note):
        self.lab = lab
        self.server = server
        self.args = args
        self.note = note
        self.started = {}

    def way(self, name, row):
        """Started and warmed once: threads and pooled connections are there when it counts."""
        tls = row.tls and name.startswith("session")
        pool_size = mysql_stage.POOL if row.asked else 0
        key = name, tls, pool_size
        if key not in self.started:
            self.started[key] = mysql_stage.start(self.lab, self.server, name, tls=tls,
                                                  pool_size=pool_size)
            mysql_rows.warm(self.lab, row, self.started[key])
        return self.started[key]

    def measure(self, name, row, way):
        figures = mysql_rows.measure(self.lab, self.server, row, way, self.args.quick)
        self.note(name, way.name, figures)

    def round(self, number):
        for name in self.args.only:
            row = ROWS[name]
            if row.kind == "crowd":
                continue
            ways = [self.way(way, row) for way in row.ways if way in self.args.ways]
            for turn in range(row.passes):
                by = (number + turn) % max(len(ways), 1)
                for way in ways[by:] + ways[:by]:
                    self.measure(name, row, way)

    def end_proxies(self):
        for way in self.started.values():
            if way.process:
                self.lab.stop(way.process)
        self.started = {}

    def crowd(self, name):
        """When nobody else has connections, with two workers, since the cap is that of all. That
        nobody is refused is part of what is measured: who is does not end the run."""
        self.end_proxies()
        row = ROWS[name]
        for way in row.ways:
            if way in self.args.ways:
                this = mysql_stage.start(self.lab, self.server, way, workers=2,
                                         pool_size=mysql_stage.POOL)
                try:
                    mysql_rows.warm(self.lab, row, this)
                    self.measure(name, row, this)
                except BenchError as error:
                    self.note(name, way, {"error": str(error)})
                if this.process:
                    self.lab.stop(this.process)


def run_family(lab, args, family, results):
    """Returns the version of the server; None if it cannot be had."""
    def note(row, way, figures):
        results.setdefault((family, row), {}).setdefault(way, []).append(figures)

    with contextlib.closing(Home()) as home:
        try:
            server = mysql_stage.Server(home, lab, family)
        except NotInstallable as why:
            print(f"bench: no {family}: {why}", file=sys.stderr)
            return None
        if any(ROWS[name].kind == "sysbench" for name in args.only):
            mysql_rows.prepare_table(lab, server)
        this = Run(lab, server, args, note)
        try:
            for number in range(args.rounds):
                print(f"bench: {family}: round {number + 1} of {args.rounds}", file=sys.stderr)
                this.round(number)
            for name in args.only:
                if ROWS[name].kind == "crowd":
                    this.crowd(name)
        finally:
            this.end_proxies()
        return server.version()


def run(args):
    began = time.monotonic()
    load_before = os.getloadavg()[0]
    results = {}
    build_programs(args.build)
    with Lab(os.path.abspath(args.build), shared_placements()) as lab:
        versions = [run_family(lab, args, family, results) for family in args.family]
    command = " ".join(["bench/mysql.py", *sys.argv[1:]])
    facts = report.machine_facts(args.rounds, command, time.monotonic() - began, load_before,
                                 ("haproxy", "sysbench", "openssl"))
    text = mysql_report.MysqlReport(results).markdown(
        [*facts, "* " + "; ".join(filter(None, versions))])
    print(text, end="")
    where = os.path.join(args.build, "bench", "results-mysql.md")
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
