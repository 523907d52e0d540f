"""From the figures of all rounds to the tables. A figure is the median of the rounds; a ratio is
the median of the ratios within each round, so that what slows a whole round slows both sides."""

import os
import platform
import statistics

import proxies

NAMES = ("direct", "floor", "haproxy", "nginx", "router")
TITLES = {"direct": "direct", "floor": "relay floor", "haproxy": "HAProxy", "nginx": "nginx stream",
          "router": "router"}
ROW_TITLES = {
    "get": "GET, 50 clients: CPU us per GET",
    "pipelined": "GET, 50 clients, 16 pipelined: CPU us per GET",
    "cycle": "connect + GET + close, 50 at once: CPU us each",
    "bulk": "bulk, 1 MiB GETs, 4 clients: CPU seconds per GB",
}

PLACEMENTS = {"own": "proxy on its own CPU", "one": "all on one CPU"}

# What DESIGN asks for: row, compared with, limit of the ratio.
RATIO_TARGETS = (
    ("get", "haproxy", 0.90), ("get", "nginx", 1.0), ("get", "floor", 1.08),
    ("pipelined", "haproxy", 0.90), ("pipelined", "nginx", 1.0), ("pipelined", "floor", 1.08),
    ("cycle", "haproxy", 0.90), ("cycle", "nginx", 1.0),
    ("bulk", "haproxy", 1.0),
)
# Row, figure, limit in bytes, title.
BYTE_TARGETS = (
    ("idle", "per_session", 1024, "user memory per idle session"),
    ("resident", "rss", 8 << 20, "resident memory of an idle router"),
)


def series(results, row, name, figure):
    return [one[figure] for one in results.get(row, {}).get(name, []) if figure in one]


def ratios(results, row, name, other):
    ours = series(results, row, name, "cpu")
    theirs = series(results, row, other, "cpu")
    return [a / b for a, b in zip(ours, theirs)]


def size(count):
    return f"{count / (1 << 20):.1f} MiB" if abs(count) >= 1 << 20 else f"{count:.0f} B"


def verdict(value, limit):
    if value <= limit:
        return "met"
    return f"**missed** by {100 * (value / limit - 1):.0f} %"


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def ratio_words(results, row, placement, other, limit):
    got = ratios(results, f"{row}/{placement}", "router", other)
    if not got:
        return ""
    value = round(statistics.median(got), 2)
    return f"{value:.2f} ({min(got):.2f}-{max(got):.2f}) {verdict(value, limit)}"


def target_table(results):
    lines = []
    for row, other, limit in RATIO_TARGETS:
        words = [ratio_words(results, row, placement, other, limit) for placement in PLACEMENTS]
        if any(words):
            lines.append([ROW_TITLES[row].rsplit(":", maxsplit=1)[0],
                          f"<= {limit:.2f} x {TITLES[other]}", *words])
    for row, figure, limit, title in BYTE_TARGETS:
        got = series(results, row, "router", figure)
        if got:
            value = statistics.median(got)
            lines.append([title, f"<= {size(limit)}",
                          f"{size(value)} ({size(min(got))} - {size(max(got))}) "
                          f"{verdict(value, limit)}", ""])
    if not lines:
        return ["No target was measured in this run."]
    return table(["what", "target", *PLACEMENTS.values()], lines)


def placed_cells(results, row, placement, name):
    """Median, range, ratio to the floor, Redis' own CPU, rate; empty strings for what has none."""
    key = f"{row}/{placement}"
    rate = series(results, key, name, "rate")
    if not rate:
        return [""] * 5
    digits = 3 if row in ("bulk", "pipelined") else 2
    cells = ["", "", ""]
    cpu = series(results, key, name, "cpu")
    if cpu:
        cells = [f"{statistics.median(cpu):.{digits}f}",
                 f"{min(cpu):.{digits}f}-{max(cpu):.{digits}f}",
                 f"{statistics.median(ratios(results, key, name, 'floor') or [0]):.2f}"]
    redis = statistics.median(series(results, key, name, "redis"))
    speed = statistics.median(rate)
    return [*cells, f"{redis:.{digits}f}", f"{speed:.2f}" if row == "bulk" else f"{speed:,.0f}"]


def load_table(results, row):
    speed = "GB/s" if row == "bulk" else "per second"
    head = [ROW_TITLES[row]]
    for placement in PLACEMENTS.values():
        head += [placement, "least-most", "x floor", "Redis' own", speed]
    lines = []
    for name in NAMES:
        cells = [cell for placement in PLACEMENTS
                 for cell in placed_cells(results, row, placement, name)]
        if any(cells):
            lines.append([TITLES[name], *cells])
    return table(head, lines) if lines else []


def memory_table(results):
    lines = []
    for name in NAMES:
        growth = series(results, "idle", name, "per_session")
        rss = series(results, "resident", name, "rss")
        if growth or rss:
            pss = series(results, "resident", name, "pss")
            anonymous = series(results, "resident", name, "anonymous")
            lines.append([TITLES[name], *(size(statistics.median(x)) if x else ""
                                          for x in (growth, rss, pss, anonymous))])
    return table(["memory", "per idle session", "idle: RSS", "PSS", "anonymous"], lines)


def named_counts(counts):
    most = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:.2f}" for name, count in most if count >= 0.02)


def once_table(results):
    lines = []
    for name in NAMES:
        calls = results.get("syscalls", {}).get(name, [])
        if calls:
            for mode, title in (("get", "GET"), ("cycle", "cycle")):
                counts = calls[0][mode]
                lines.append([TITLES[name], f"system calls per {title}",
                              f"{sum(counts.values()):.2f}", named_counts(counts)])
        for count in series(results, "instructions", name, "per_get"):
            lines.append([TITLES[name], "user instructions per GET", f"{count:,.0f}", ""])
    return table(["once", "what", "count", "of these"], lines)


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine_facts(rounds, command, seconds, load_before):
    with open("/etc/os-release", encoding="utf-8") as f:
        system = next(line.split("=", 1)[1].strip().strip('"') for line in f
                      if line.startswith("PRETTY_NAME="))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    return [
        f"* command: `{command}`, {rounds} rounds, {seconds:.0f} s",
        f"* machine: {os.cpu_count()} x {cpu_model()}, {memory:.0f} GiB; load average before the "
        f"run {load_before:.2f}",
        f"* system: {system}, Linux {platform.release()}",
        f"* {proxies.version('haproxy')}; {proxies.version('nginx')}; {proxies.version('redis')}",
    ]


def markdown(results, facts):
    out = ["# Results of `make bench`", "", *facts, "", "## Targets", "", *target_table(results)]
    for row in ROW_TITLES:
        lines = load_table(results, row)
        if lines:
            out += ["", *lines]
    if "idle" in results or "resident" in results:
        out += ["", *memory_table(results)]
    if "syscalls" in results or "instructions" in results:
        out += ["", *once_table(results)]
    return "\n".join(out) + "\n"
