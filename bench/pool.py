"""Redis pooling (`make bench-pool`): many clients over few connections to Redis, beside a proxy
that pools, one that does not, a bare loop that multiplexes (multiplex.c) and no proxy. Here are the
rows, what is asked of them, and their tables."""

import statistics

from report import Report, size, table
from suites import Load, Idle, Suite

PLACEMENTS = {"both": "all CPUs for everybody", "one": "all on one CPU"}
FIGURES = {"cpu": "CPU of the proxy", "redis": "CPU of Redis", "rate": "rate", "p50": "p50",
           "p99": "p99"}
AT_LEAST = ("rate",)
ON_ANY_PLACEMENT = ("cpu", "redis")  # the others: only where all CPUs are shared
# Of pool_size, in transaction mode.
CONNECTIONS_PER_WORKER = 2
COMMON = (("rate", "floor", 0.95), ("p50", "direct", 1.25), ("p99", "twemproxy", 1.2))

POOL = Suite(
    command="make bench-pool",
    file="results-pool.md",
    names={"direct": "direct", "floor": "multiplexing floor", "haproxy": "HAProxy",
           "twemproxy": "twemproxy", "router": "router"},
    loads={
        "get50": Load(
            "GET, 50 clients",
            ({"connections": 50, "requests": 120000, "warmup": 10000},
             {"connections": 50, "requests": 10000, "warmup": 1000}),
            pool="transaction",
            demands=(("cpu", "floor", 1.25), ("cpu", "haproxy", 0.65), ("redis", "direct", 0.5),
                     *COMMON)),
        "get500": Load(
            "GET, 500 clients",
            ({"connections": 500, "requests": 120000, "warmup": 10000},
             {"connections": 500, "requests": 10000, "warmup": 1000}),
            pool="transaction",
            demands=(("cpu", "floor", 1.25), ("cpu", "haproxy", 0.65), *COMMON)),
        "pipelined": Load(
            "GET, 50 clients, 16 pipelined",
            ({"connections": 50, "depth": 16, "requests": 480000, "warmup": 40000},
             {"connections": 50, "depth": 16, "requests": 64000, "warmup": 8000}),
            pool="transaction", digits=3,
            demands=(("cpu", "twemproxy", 0.35), *COMMON)),
        "cycle": Load(
            "connect + GET + close, 50 at once, `pool_mode = session`",
            ({"mode": "cycle", "connections": 50, "requests": 5000, "warmup": 500},
             {"mode": "cycle", "connections": 50, "requests": 1000, "warmup": 100}),
            pool="session", demands=(("rate", "direct", 2.0),)),
    },
    # router takes no more sessions than it has pairs of descriptors; HAProxy would need as many
    # connections to Redis.
    idle={"idle": Idle("per idle client", (9500, 1000), pool="transaction",
                       without=("haproxy",))},
    syscalls={"get50": ("GET, 50 clients", (20000, 4000)),
              "pipelined": ("GET, pipelined", (80000, 16000)), "cycle": ("cycle", (2000, 300))},
    instructions={"get50": ("GET, 50 clients", ((4000, 16000), (1000, 3000))),
                  "pipelined": ("GET, pipelined", ((16000, 64000), (3200, 9600)))},
    passes=2,
    shared=True,
    descriptors=(20000, 10000),
    programs=("haproxy", "twemproxy", "redis"),
)


def verdict(value, limit, least):
    if value >= limit if least else value <= limit:
        return "met"
    return f"**missed** by {abs(100 * (value / limit - 1)):.0f} %"


class PoolReport(Report):
    placements = PLACEMENTS

    def demand_words(self, row, placement, demand):
        figure, other, limit = demand
        got = self.ratios(f"{row}/{placement}", "router", other, figure)
        if not got or (figure not in ON_ANY_PLACEMENT and placement != "both"):
            return ""
        value = round(statistics.median(got), 2)
        return (f"{value:.2f} ({min(got):.2f}-{max(got):.2f}) "
                + verdict(value, limit, figure in AT_LEAST))

    def target_lines(self):
        for row, load in self.suite.loads.items():
            for demand in load.demands:
                figure, other, limit = demand
                sign = ">=" if figure in AT_LEAST else "<="
                yield [f"{load.title}: {FIGURES[figure]}",
                       f"{sign} {limit:.2f} x {self.suite.names[other]}",
                       *(self.demand_words(row, where, demand) for where in PLACEMENTS)]
        for figure, limit, words, show in (
                ("resident", 2048, "resident memory per idle client", size),
                ("servers", CONNECTIONS_PER_WORKER, "its connections to Redis", "{:.0f}".format)):
            got = self.series("idle", "router", figure)
            if got:
                value = statistics.median(got)
                yield [words, f"<= {show(limit)}", f"{show(value)} {verdict(value, limit, False)}",
                       ""]

    def placed_line(self, row, placement, name):
        load = self.suite.loads[row]
        key = f"{row}/{placement}"
        got = {figure: self.series(key, name, figure) for figure in FIGURES}
        if not got["rate"]:
            return []
        middle = {figure: statistics.median(series) for figure, series in got.items() if series}

        def ratio(figure, other):
            found = self.ratios(key, name, other, figure)
            return f"{statistics.median(found):.2f}" if found else ""

        cells = ["", "", ""]
        if got["cpu"]:
            cells = [f"{middle['cpu']:.{load.digits}f}",
                     f"{min(got['cpu']):.{load.digits}f}-{max(got['cpu']):.{load.digits}f}",
                     ratio("cpu", "floor")]
        return [self.suite.names[name], *cells, f"{middle['redis']:.{load.digits}f}",
                ratio("redis", "direct"), f"{middle['rate']:,.0f}", ratio("rate", "direct"),
                f"{middle['p50']:.0f}", f"{middle['p99']:.0f}"]

    def load_table(self, row):
        out = []
        for placement, words in PLACEMENTS.items():
            lines = [line for name in self.suite.names
                     if (line := self.placed_line(row, placement, name))]
            if lines:
                out += ["", *table([f"{self.suite.loads[row].title}; {words}", "CPU us each",
                                    "least-most", "x floor", "Redis' own", "x direct",
                                    "per second", "x direct", "p50 us", "p99 us"], lines)]
        return out[1:]

    def memory_table(self):
        lines = []
        for name, title in self.suite.names.items():
            got = [self.series("idle", name, figure)
                   for figure in ("resident", "per_session", "servers")]
            if all(got):
                resident, anonymous, servers = map(statistics.median, got)
                lines.append([title, size(resident), size(anonymous), f"{servers:.0f}"])
        return table(["idle clients", "resident each", "anonymous each", "connections to Redis"],
                     lines) if lines else []
