"""The rows of the MySQL benchmark: what is measured, in which counts, on which ways, and how one
measurement is made."""

import json
import os
import re
import resource
import time
from dataclasses import dataclass

from lib.mariadb import WRITER

import mysql_stage
from lab import BenchError

DATABASE = "test"
TABLE_SIZE = 10000
PLAIN = ("direct", "haproxy", "relay", "session")
# `session` gives the servers TLS there, and its clients are plain.
SECURE = ("direct", "haproxy", "relay", "session", "session_tls")


@dataclass(frozen=True)
class Row:
    title: str
    kind: str         # load: bench/mysql_load; crowd: the same, once; sysbench
    ways: tuple
    counts: tuple     # of what is measured: in a full run and with --quick
    clients: int = 16
    mode: str = "cycle"
    tls: bool = False
    passes: int = 1   # how often a round takes the ways through it
    options: tuple = ()  # of sysbench
    asked: bool = False  # only with --transaction
    # Figure, way, with which way it is compared, the ratio's limit by family.
    demands: tuple = ()


def both(limit):
    return {"mariadb": limit, "mysql": limit}


CYCLE = "connect + login + `SELECT 1` + disconnect"
ROWS = {
    "cycle": Row(f"{CYCLE}, 16 at once", "load", PLAIN, (8000, 400),
                 demands=(("server", "session", "direct", both(0.5)),
                          ("rate", "session", "direct", {"mariadb": 1.5}))),
    "alone": Row(f"{CYCLE}, one client", "load", PLAIN, (2500, 200), clients=1),
    "secure": Row(f"{CYCLE}, 16 at once, TLS", "load", SECURE, (1200, 100), tls=True,
                  demands=(("server", "session", "direct", both(0.5)),
                           ("rate", "session", "direct", both(3.0)),
                           ("server", "session_tls", "direct", both(0.5)),
                           ("rate", "session_tls", "direct", both(3.0)))),
    "query": Row("`SELECT 1`, 16 connections that stay", "load", PLAIN, (60000, 5000),
                 mode="query"),
    "select": Row("sysbench `oltp_point_select`, 16 threads", "sysbench", PLAIN, (25000, 2000),
                  passes=2, demands=(("rate", "session", "relay", both(0.97)),)),
    "select256": Row("sysbench `oltp_point_select`, 256 threads, no prepared statements",
                     "sysbench", ("direct", "transaction"), (30000, 3000), clients=256,
                     options=("--db-ps-mode=disable",), asked=True,
                     demands=(("rate", "transaction", "direct", both(1.0)),)),
    "crowd": Row("connect + login + `SELECT 1` + disconnect, 1,000 at once, `pool_size = 32`",
                 "crowd", ("direct", "session"), (10000, 2000), clients=1000),
}


def cpu_ns(pid):
    """The CPU clock of a process, over all its threads; see clock_getcpuclockid(3)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def children_ns():
    """The CPU time of all that we started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def load_argv(lab, row, way, count, warmup):
    argv = [lab.program("mysql_load"), "-a", way.address, "-p", str(way.port), "-m", row.mode,
            "-c", str(row.clients), "-n", str(count), "-w", str(warmup), "-u", WRITER[0],
            "-P", WRITER[1], "-D", DATABASE]
    # The plain leg of a router that speaks TLS to its servers.
    plain = not row.tls or way.name == "session"
    return argv if plain else [*argv, "-t"]


def figures(count, wall_ns, server_ns, own_ns, proxy_ns):
    """Per request: the CPU time of each in us."""
    got = {"rate": count * 1e9 / wall_ns, "server": server_ns / count / 1e3,
           "load": own_ns / count / 1e3}
    return got if proxy_ns is None else {**got, "cpu": proxy_ns / count / 1e3}


def busy(got):
    """The share of all CPUs that server, proxy and load together had."""
    total = got["server"] + got["load"] + got.get("cpu", 0)
    return total * got["rate"] / 1e6 / len(os.sched_getaffinity(0))


def warm(lab, row, way):
    """So that the server has its threads, and a pool its connections."""
    if row.kind != "sysbench":
        lab.run("load", load_argv(lab, row, way, 4 * row.clients, row.clients))


def load_once(lab, server, row, way, quick):
    count = row.counts[quick]
    warm = max(count // 20, row.clients)
    argv = load_argv(lab, row, way, count, warm)
    for pid in [server.pid, *way.pids]:
        argv += ["-W", str(pid)]
    connections, threads = server.counters()
    got = json.loads(lab.run("load", argv))
    made = [now - then for now, then in zip(server.counters(), (connections, threads))]
    clocks = got["cpu_ns"]
    own = figures(got["requests"], got["wall_ns"], clocks[0], got["own_ns"],
                  clocks[1] if way.pids else None)
    return {**own, "busy": busy(own), "p50": got["p50_ns"] / 1e3,
            "p99": got["p99_ns"] / 1e3, "logins": got["logins"],
            "connections": made[0], "threads": made[1]}


def crowd_once(lab, server, row, way, quick):
    """The most connections that the clients had at the server, and what load_once() tells; an error
    of a single client ends the load."""
    server.forget_most()
    others = server.others()
    got = load_once(lab, server, row, way, quick)
    return {**got, "most": server.most() - others}


def sysbench(lab, way, threads, *command):
    argv = ["sysbench", "oltp_point_select", "--db-driver=mysql", f"--mysql-host={way.address}",
            f"--mysql-port={way.port}", f"--mysql-user={WRITER[0]}",
            f"--mysql-password={WRITER[1]}", f"--mysql-db={DATABASE}",
            f"--table-size={TABLE_SIZE}", f"--threads={threads}"]
    return lab.run("sysbench", [*argv, *command])


def prepare_table(lab, server):
    sysbench(lab, mysql_stage.start(lab, server, "direct"), 1, "prepare")


def told(pattern, text):
    return float(re.search(pattern + r": +([\d.]+)", text).group(1))


def sysbench_once(lab, server, row, way, quick):
    """Its start is in the CPU times, its own above all."""
    count = row.counts[quick]
    watched = [server.pid, *way.pids]
    before = [*map(cpu_ns, watched), children_ns()]
    said = sysbench(lab, way, row.clients, f"--events={count}", "--time=0", *row.options, "run")
    spent = [now - then for now, then in zip([*map(cpu_ns, watched), children_ns()], before)]
    done, wrong = told("total number of events", said), told("ignored errors", said)
    if done != count or wrong:
        raise BenchError(f"sysbench: {done} of {count} events, {wrong} errors")
    return figures(count, told("total time", said) * 1e9, spent[0], spent[-1],
                   spent[1] if way.pids else None)


MEASURE = {"load": load_once, "crowd": crowd_once, "sysbench": sysbench_once}


def measure(lab, server, row, way, quick):
    try:
        return MEASURE[row.kind](lab, server, row, way, quick)
    except BenchError as error:
        raise BenchError(f"{row.title}, {way.name}: {error}") from error
