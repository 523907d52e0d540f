"""From the figures of all rounds to the tables. A figure is the median of the rounds; a ratio is
the median of the ratios within each round, so that what slows a whole round slows both sides."""

import os
import platform
import statistics

import proxies
from suites import BETTER, RIVALS

PLACEMENTS = {"own": "proxy on its own CPU", "one": "all on one CPU"}


def size(count):
    return f"{count / (1 << 20):.1f} MiB" if abs(count) >= 1 << 20 else f"{count:.0f} B"


def verdict(value, limit):
    if value <= limit:
        return "met"
    return f"**missed** by {100 * (value / limit - 1):.0f} %"


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def named_counts(counts):
    most = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:.2f}" for name, count in most if count >= 0.02)


class Report:
    placements = PLACEMENTS

    def __init__(self, suite, results):
        self.suite = suite
        self.results = results

    def series(self, row, name, figure):
        return [one[figure] for one in self.results.get(row, {}).get(name, []) if figure in one]

    def ratios(self, row, name, other, figure="cpu"):
        ours = self.series(row, name, figure)
        theirs = self.series(row, other, figure)
        return [a / b for a, b in zip(ours, theirs)]

    def better(self, row):
        """Who of the rivals has the lower median; None if none was measured."""
        medians = {name: statistics.median(got) for name in RIVALS
                   if (got := self.series(row, name, "cpu"))}
        return min(medians, key=medians.get) if medians else None

    def ratio_words(self, row, other, limit, figure="cpu"):
        against = self.better(row) if other == BETTER else other
        got = self.ratios(row, "router", against, figure)
        if not got:
            return ""
        value = round(statistics.median(got), 2)
        whose = f" of {self.suite.names[against]}" if other == BETTER else ""
        return f"{value:.2f} ({min(got):.2f}-{max(got):.2f}){whose} {verdict(value, limit)}"

    def byte_words(self, row, figure, limit):
        got = self.series(row, "router", figure)
        if not got:
            return ""
        value = statistics.median(got)
        return f"{size(value)} ({size(min(got))} - {size(max(got))}) {verdict(value, limit)}"

    def other_name(self, other):
        return "the better of the two" if other == BETTER else self.suite.names[other]

    def target_lines(self):
        for row, load in self.suite.loads.items():
            for other, limit in load.targets:
                yield [load.title.rsplit(":", maxsplit=1)[0],
                       f"<= {limit:.2f} x {self.other_name(other)}",
                       *(self.ratio_words(f"{row}/{where}", other, limit)
                         for where in self.placements)]
        for row, other, limit in self.suite.idle_targets:
            yield [f"user memory {self.suite.idle[row].title}",
                   f"<= {limit:.2f} x {self.other_name(other)}",
                   self.ratio_words(row, other, limit, "per_session"), ""]
        for row, figure, limit, title in self.suite.byte_targets:
            yield [title, f"<= {size(limit)}", self.byte_words(row, figure, limit), ""]

    def target_table(self):
        lines = [line for line in self.target_lines() if any(line[2:])]
        if not lines:
            return ["No target was measured in this run."]
        return table(["what", "target", *self.placements.values()], lines)

    def placed_cells(self, row, placement, name):
        """Median, range, ratio to the floor, Redis' own CPU, rate; empty for what has none."""
        load = self.suite.loads[row]
        key = f"{row}/{placement}"
        rate = self.series(key, name, "rate")
        if not rate:
            return [""] * 5
        cells = ["", "", ""]
        cpu = self.series(key, name, "cpu")
        if cpu:
            cells = [f"{statistics.median(cpu):.{load.digits}f}",
                     f"{min(cpu):.{load.digits}f}-{max(cpu):.{load.digits}f}",
                     f"{statistics.median(self.ratios(key, name, 'floor') or [0]):.2f}"]
        redis = statistics.median(self.series(key, name, "redis"))
        speed = statistics.median(rate)
        return [*cells, f"{redis:.{load.digits}f}",
                f"{speed:.2f}" if load.per_gb else f"{speed:,.0f}"]

    def load_table(self, row):
        load = self.suite.loads[row]
        head = [load.title]
        for placement in PLACEMENTS.values():
            head += [placement, "least-most", "x floor", "Redis' own",
                     "GB/s" if load.per_gb else "per second"]
        lines = []
        for name, title in self.suite.names.items():
            cells = [cell for placement in PLACEMENTS
                     for cell in self.placed_cells(row, placement, name)]
            if any(cells):
                lines.append([title, *cells])
        return table(head, lines) if lines else []

    def memory_table(self):
        figures = [(row, "per_session", idle.title) for row, idle in self.suite.idle.items()]
        if self.suite.resident:
            figures += [("resident", "rss", "idle: RSS"), ("resident", "pss", "PSS"),
                        ("resident", "anonymous", "anonymous")]
        lines = []
        for name, title in self.suite.names.items():
            cells = [self.series(row, name, figure) for row, figure, _ in figures]
            if any(cells):
                lines.append([title, *(size(statistics.median(got)) if got else ""
                                       for got in cells)])
        return table(["memory", *(title for _, _, title in figures)], lines) if lines else []

    def once_table(self):
        lines = []
        for name, title in self.suite.names.items():
            for counted in self.results.get("syscalls", {}).get(name, []):
                for row, counts in counted.items():
                    lines.append([title, f"system calls per {self.suite.syscalls[row][0]}",
                                  f"{sum(counts.values()):.2f}", named_counts(counts)])
            for counted in self.results.get("instructions", {}).get(name, []):
                for row, count in counted.items():
                    lines.append([title, f"user instructions per {self.suite.instructions[row][0]}",
                                  f"{count:,.0f}", ""])
        return table(["once", "what", "count", "of these"], lines) if lines else []

    def markdown(self, facts):
        out = [f"# Results of `{self.suite.command}`", "", *facts, "", "## Targets", "",
               *self.target_table()]
        for lines in (*map(self.load_table, self.suite.loads), self.memory_table(),
                      self.once_table()):
            if lines:
                out += ["", *lines]
        return "\n".join(out) + "\n"


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine_facts(rounds, command, seconds, load_before, programs):
    with open("/etc/os-release", encoding="utf-8") as f:
        system = next(line.split("=", 1)[1].strip().strip('"') for line in f
                      if line.startswith("PRETTY_NAME="))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    return [
        f"* command: `{command}`, {rounds} rounds, {seconds:.0f} s",
        f"* machine: {os.cpu_count()} x {cpu_model()}, {memory:.0f} GiB; load average before the "
        f"run {load_before:.2f}",
        f"* system: {system}, Linux {platform.release()}",
        "* " + "; ".join(map(proxies.version, programs)),
    ]
