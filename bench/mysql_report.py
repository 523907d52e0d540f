"""From the figures of the MySQL benchmark to its tables. A figure is the median of the rounds; a
ratio is the median of the ratios within each turn, so that what slows a turn slows both sides."""

import statistics

from mysql_rows import ROWS
from mysql_stage import FAMILIES, POOL
from pool import verdict
from report import table

WAYS = {"direct": "direct", "haproxy": "HAProxy", "relay": "router, `pool_mode = none`",
        "session": "router, `session`", "session_tls": "router, `session`, TLS to it",
        "transaction": "router, `transaction`"}
FIGURES = {"server": "CPU of the server", "rate": "rate", "cpu": "CPU of the router"}
AT_LEAST = ("rate",)
HEAD = ["server CPU us", "x direct", "least-most", "proxy CPU us", "load CPU us", "per second",
        "x direct", "CPUs busy", "p50 us", "p99 us", "connections each", "threads made"]


class MysqlReport:
    def __init__(self, results):
        self.results = results  # (family, row): way: its figures, turn by turn

    def series(self, family, row, way, figure):
        return [one[figure] for one in self.results.get((family, row), {}).get(way, [])
                if figure in one]

    def median(self, family, row, way, figure):
        got = self.series(family, row, way, figure)
        return statistics.median(got) if got else None

    def ratios(self, family, row, way, other, figure):
        return [a / b for a, b in zip(self.series(family, row, way, figure),
                                      self.series(family, row, other, figure))]

    def ratio_words(self, family, row, way, other, figure):
        got = self.ratios(family, row, way, other, figure)
        return f"{statistics.median(got):.2f}" if got else ""

    def demand_lines(self, family, row):
        for figure, way, other, limits in ROWS[row].demands:
            got = self.ratios(family, row, way, other, figure)
            if family not in limits or not got:
                continue
            least = figure in AT_LEAST
            limit = limits[family]
            value = round(statistics.median(got), 2)
            yield [f"{FAMILIES[family].title}: {ROWS[row].title}: {FIGURES[figure]}, {WAYS[way]}",
                   f"{'>=' if least else '<='} {limit:.2f} x {WAYS[other]}",
                   f"{value:.2f} ({min(got):.2f}-{max(got):.2f}) {verdict(value, limit, least)}"]

    def thread_lines(self, family):
        made = [one for row in ("cycle", "secure") for way in ("session", "session_tls")
                for one in self.series(family, row, way, "threads")]
        if made:
            yield [f"{FAMILIES[family].title}: threads made by the server, all `session` cycles",
                   "0", f"{sum(made)} {'**missed**' if sum(made) else 'met'}"]

    def crowd_lines(self, family):
        title = f"{FAMILIES[family].title}: 1,000 clients: server connections at once"
        for most in self.series(family, "crowd", "session", "most"):
            yield [title, f"<= {POOL}, no error", f"{most} {verdict(most, POOL, False)}"]
        for error in self.series(family, "crowd", "session", "error"):
            yield [title, f"<= {POOL}, no error", f"**missed**: {error}"]

    def target_table(self):
        lines = [line for family in FAMILIES
                 for line in (*(line for row in ROWS for line in self.demand_lines(family, row)),
                              *self.thread_lines(family), *self.crowd_lines(family))]
        if not lines:
            return ["No target was measured in this run."]
        return table(["what", "target", "measured"], lines)

    def cells(self, family, row, way):
        def words(figure, form):
            value = self.median(family, row, way, figure)
            return "" if value is None else form.format(value)

        server = self.series(family, row, way, "server")
        logins = self.median(family, row, way, "logins")
        made = self.median(family, row, way, "connections")
        each = f"{made / logins:.2f}" if logins else ""
        return [words("server", "{:.1f}"), self.ratio_words(family, row, way, "direct", "server"),
                f"{min(server):.1f}-{max(server):.1f}", words("cpu", "{:.1f}"),
                words("load", "{:.1f}"), words("rate", "{:,.0f}"),
                self.ratio_words(family, row, way, "direct", "rate"), words("busy", "{:.0%}"),
                words("p50", "{:.0f}"), words("p99", "{:.0f}"), each, words("threads", "{:.0f}")]

    def row_table(self, family, row):
        lines = [[title, *self.cells(family, row, way),
                  *(f"{most}" for most in self.series(family, row, way, "most"))]
                 for way, title in WAYS.items() if self.series(family, row, way, "server")]
        head = [f"{FAMILIES[family].title}: {ROWS[row].title}", *HEAD,
                *(["most at once"] if row == "crowd" else [])]
        return table(head, lines) if lines else []

    def markdown(self, facts):
        out = ["# Results of `make bench-mysql`", "", *facts, "", "## Targets", "",
               *self.target_table()]
        for family in FAMILIES:
            for row in ROWS:
                lines = self.row_table(family, row)
                if lines:
                    out += ["", *lines]
        return "\n".join(out) + "\n"

