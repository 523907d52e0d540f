"""From what the writers and the watchers saw to figures, and from those to the tables."""
import math
import os
import re
import statistics
import subprocess

import report as bench_report
from lib import mariadb, postgres

TITLES = {"kill": "SIGKILL", "stop": "SIGSTOP, then SIGCONT", "switch": "planned"}
KINDS = ("new", "kept")
NATURAL_MS = 1000  # replication that works loses only what was written just before the fault


class Times:
    """Of one run, all by time.monotonic(). `asked` and `said`: see Watcher."""

    def __init__(self, fault, promotion, evidence=None):
        self.fault = fault
        self.promoted = promotion.asked
        self.surely_promoted = promotion.said
        self.evidence = max(promotion.asked, evidence.asked) if evidence else None

    def servers(self):
        """How long they took themselves, in ms."""
        took = {"promotion": (self.promoted - self.fault) * 1000}
        if self.evidence:
            took["evidence"] = (self.evidence - self.promoted) * 1000
        return took


def first_write(writers, times, successor):
    """When the successor first acknowledged one to this writer; infinity if it never did."""
    return min((w.acked for w in writers.acked(successor) if w.acked > times.fault),
               default=math.inf)


def judge(crowd, times, successor, data, published=None):
    """Figures of one proxy in one run. crowd: {kind: writers}; data: the successor's, at the end;
    published: when the proxy let writes go to the successor, by its own word.
    A write that another server took is late if it was acknowledged after the promotion."""
    firsts = {kind: first_write(crowd[kind], times, successor) for kind in KINDS}
    served = max(firsts.values())
    writes = [w for writers in crowd.values() for w in writers.acked()]
    elsewhere = [w for w in writes if w.by != successor.port]
    late = [w for w in elsewhere if w.acked > times.surely_promoted]
    early = [w for w in elsewhere if w.acked <= times.surely_promoted]
    broken = [w for w in writes if w.by == successor.port and data.get(w.key) != w.value]
    assert not broken, f"the successor itself lost {len(broken)} writes: {broken[:3]}"
    gone = [(w.acked - times.fault) * 1000 for w in early if w.key not in data]
    assert min(gone, default=0) > -NATURAL_MS, f"lost, though it had long been replicated: {gone}"
    figures = {
        "fault": (served - times.fault) * 1000,
        **{kind: (first - times.promoted) * 1000 for kind, first in firsts.items()},
        "errors": sum(at > times.fault for w in crowd.values() for at, _ in troubles(w)),
        "lost early": len(gone),
        "late": len(late),
        "lost late": sum(w.key not in data for w in late),
        "latest": max((w.acked - times.promoted) * 1000 for w in late) if late else 0,
        "acknowledged": len(writes),
        "lost at": gone,  # ms after the fault
    }
    if times.evidence:
        figures["evidence"] = (served - times.evidence) * 1000
    if published:
        figures["published"] = (published - times.promoted) * 1000
    return figures


def troubles(writers):
    """(time, text) of each error that a client saw."""
    with writers.lock:
        return writers.refused + [(at, "the connection was lost") for at in writers.cut]


# Tables.


def number(value):
    return "never" if math.isinf(value) else f"{round(value):,}"


def spread(values):
    """Median, least and most."""
    middle, least, most = (number(x) for x in (statistics.median_low(values), min(values),
                                               max(values)))
    if least == most:
        return middle
    return f"{middle} ({least} to {most})" if min(values) < 0 else f"{middle} ({least}-{most})"


COLUMNS = {
    "fault": "fault to first write, ms", "new": "promotion to first write, ms: new connections",
    "kept": "a kept one", "evidence": "{} to first write, ms", "errors": "client errors",
    "lost early": "writes lost with the old primary", "late": "taken by a former primary",
    "lost late": "of these lost", "latest": "the last of these, ms after the promotion",
}


def stage_table(stage, results):
    """results: {fault: {"servers": [took], proxy title: [figures]}}, each list one per round."""
    evidence = getattr(stage, "evidence_title", None)
    columns = {name: title.format(evidence) for name, title in COLUMNS.items()
               if evidence or name != "evidence"}
    lines, words = [], []
    for fault, proxies in results.items():
        words.append(f"{TITLES[fault]}: {servers_words(proxies, evidence)}")
        for title, runs in proxies.items():
            if title != "servers":
                lines.append([TITLES[fault], title, *(cell(runs, name) for name in columns)])
    return [*bench_report.table([stage.title, "through", *columns.values()], lines), "",
            "From the fault on: " + "; ".join(words) + "."]


def cell(runs, name):
    if name in ("lost late", "latest") and not any(run["late"] for run in runs):
        return ""
    return spread([run[name] for run in runs])


def servers_words(proxies, evidence):
    """What is nobody's doing but theirs, and how much of the rest is a proxy's own."""
    runs = proxies["servers"]
    words = f"promoted after {spread([r['promotion'] for r in runs])} ms"
    if evidence:
        words += f", {evidence} {spread([r['evidence'] for r in runs])} ms later"
    for title, figures in proxies.items():
        if "published" in figures[0]:
            told = spread([r["published"] for r in figures])
            words += f", {title} let writes through {told} ms after the promotion"
    return words


VERSIONS = (["haproxy", "-v"], ["redis-server", "--version"], ["mariadbd", "--version"],
            [f"{postgres.BIN}/postgres", "--version"], ["patroni", "--version"],
            ["etcd", "--version"])


def version(argv):
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, "PATH": mariadb.PATH})
    except FileNotFoundError:
        return f"no {argv[0]}"
    words = done.stdout.decode("utf-8", "replace").splitlines()[0]
    return re.split(r" - | sha=| for | \((?!Post)", words)[0]


def machine_facts(rounds, seconds, load_before):
    return [
        f"* {rounds} rounds, {seconds:.0f} s; {os.cpu_count()} x {bench_report.cpu_model()}; load "
        f"average before the run {load_before:.2f}",
        "* " + "; ".join(version(argv) for argv in VERSIONS),
    ]
