"""What is measured, in which counts, and what is asked of it: plain relays (`make bench`) and TLS
terminated by the proxy (`make bench-tls`); pools are in pool.py. The rows of a suite go through
rows.py, its tables through report.py."""

from dataclasses import dataclass, field

FULL, QUICK = 0, 1
BETTER = "better"  # of those in RIVALS, by the median of the run
RIVALS = ("haproxy", "nginx")


@dataclass(frozen=True)
class Load:
    """A row of bench/load: its options in a full run and with --quick."""
    title: str
    counts: tuple
    certificate: str | None = None
    per_gb: bool = False     # else per request
    digits: int = 2
    targets: tuple = ()      # with whom it is compared, the ratio's limit
    pool: str | None = None  # the router's pool_mode
    demands: tuple = ()      # of pools: figure, with whom it is compared, the ratio's limit

    def kind(self):
        """What the proxies are started as."""
        return self.certificate, self.pool


@dataclass(frozen=True)
class Idle:
    """Sessions that stay: how many in a full run and with --quick, and bench/load's options."""
    title: str
    counts: tuple
    certificate: str | None = None
    options: dict = field(default_factory=dict)
    pool: str | None = None
    without: tuple = ()      # proxies that cannot have as many


@dataclass(frozen=True)
class Suite:
    command: str
    file: str                # of its results
    names: dict              # of the proxies, by their key; in the order of the tables
    loads: dict              # row: Load
    idle: dict               # row: Idle
    resident: bool = False
    syscalls: dict = field(default_factory=dict)  # of LOADS: title, requests (full, --quick)
    instructions: dict = field(default_factory=dict)  # the same, with requests (few, many)
    idle_targets: tuple = ()  # row, with whom it is compared, the ratio's limit
    # Row, figure, limit in bytes, title.
    byte_targets: tuple = ()
    passes: int = 1           # how often a round takes the proxies through each load
    shared: bool = False      # CPUs: the scheduler's choice, instead of one for the proxy alone
    descriptors: tuple = (10000, 10000)  # needed in a full run and with --quick
    programs: tuple = ("haproxy", "nginx", "redis", "openssl")  # whose versions are told

    def rows(self):
        once = [name for name in ("syscalls", "instructions") if getattr(self, name)]
        return [*self.loads, *self.idle, *(["resident"] if self.resident else []), *once]

    def proxies(self):
        return [name for name in self.names if name != "direct"]


PLAIN_TARGETS = (("haproxy", 0.90), ("nginx", 1.0), ("floor", 1.08))

PLAIN = Suite(
    command="make bench",
    file="results.md",
    names={"direct": "direct", "floor": "relay floor", "haproxy": "HAProxy",
           "nginx": "nginx stream", "router": "router"},
    loads={
        "get": Load(
            "GET, 50 clients: CPU us per GET",
            ({"connections": 50, "requests": 100000, "warmup": 5000},
             {"connections": 50, "requests": 30000, "warmup": 3000}),
            targets=PLAIN_TARGETS),
        "pipelined": Load(
            "GET, 50 clients, 16 pipelined: CPU us per GET",
            ({"connections": 50, "depth": 16, "requests": 400000, "warmup": 20000},
             {"connections": 50, "depth": 16, "requests": 160000, "warmup": 16000}),
            digits=3, targets=PLAIN_TARGETS),
        # Two placements a round, and ports rest in TIME_WAIT for a minute: 5 rounds use 26,000.
        "cycle": Load(
            "connect + GET + close, 50 at once: CPU us each",
            ({"mode": "cycle", "connections": 50, "requests": 2500, "warmup": 100},
             {"mode": "cycle", "connections": 50, "requests": 1000, "warmup": 100}),
            targets=PLAIN_TARGETS[:2]),
        "bulk": Load(
            "bulk, 1 MiB GETs, 4 clients: CPU seconds per GB",
            ({"connections": 4, "requests": 1000, "warmup": 40, "key": "large"},
             {"connections": 4, "requests": 200, "warmup": 20, "key": "large"}),
            per_gb=True, digits=3, targets=(("haproxy", 1.0),)),
    },
    idle={"idle": Idle("per idle session", (4000, 1000))},
    resident=True,
    syscalls={"get": ("GET", (5000, 2000)), "cycle": ("cycle", (1000, 300))},
    instructions={"get": ("GET", ((2000, 12000), (1000, 4000)))},
    byte_targets=(("idle", "per_session", 1024, "user memory per idle session"),
                  ("resident", "rss", 8 << 20, "resident memory of an idle router")),
)


def handshake(words, tls, kind, certificate="ecdsa"):
    """A row of handshakes, each with one GET, ended by close_notify and FIN, waited for."""
    options = {"mode": "cycle", "connections": 20, "tls": tls, "handshake": kind}
    return Load(f"{words}, TLS {tls}: CPU us each",
                ({**options, "requests": 300, "warmup": 30},
                 {**options, "requests": 150, "warmup": 20}),
                certificate=certificate, digits=1, targets=((BETTER, 1.0),))


def bulk(words, **options):
    options = {"connections": 4, "tls": "1.3", **options}
    return Load(f"{words}, 4 clients, TLS 1.3: CPU seconds per GB",
                ({**options, "requests": 150, "warmup": 10},
                 {**options, "requests": 80, "warmup": 8}),
                certificate="ecdsa", per_gb=True, digits=3, targets=((BETTER, 1.0),))


TLS = Suite(
    command="make bench-tls",
    file="results-tls.md",
    names={"floor": "bare OpenSSL", "haproxy": "HAProxy", "nginx": "nginx stream",
           "router": "router"},
    loads={
        "full13": handshake("full handshakes, ECDSA P-256", "1.3", "full"),
        "full12": handshake("full handshakes, ECDSA P-256", "1.2", "full"),
        "full13rsa": handshake("full handshakes, RSA-2048", "1.3", "full", "rsa"),
        "full12rsa": handshake("full handshakes, RSA-2048", "1.2", "full", "rsa"),
        "resumed13": handshake("resumed handshakes", "1.3", "resumed"),
        "resumed12": handshake("resumed handshakes", "1.2", "resumed"),
        "message": Load(
            "GET of 100 bytes, 50 clients, TLS 1.3: CPU us per GET",
            ({"connections": 50, "requests": 25000, "warmup": 2500, "tls": "1.3"},
             {"connections": 50, "requests": 10000, "warmup": 2000, "tls": "1.3"}),
            certificate="ecdsa", targets=((BETTER, 1.0),)),
        "down": bulk("bulk to the client, 1 MiB GETs", key="large"),
        "up": bulk("bulk to the server, 1 MiB SETs in writes of 16 KiB", mode="set", key="set",
                   length=1 << 20),
    },
    idle={row: Idle(f"per idle session, TLS {tls}", (4000, 1000), "ecdsa", {"tls": tls})
          for row, tls in (("idle13", "1.3"), ("idle12", "1.2"))},
    syscalls={"message": ("GET", (5000, 2000)), "full13": ("full handshake, TLS 1.3", (500, 200)),
              "resumed13": ("resumed handshake, TLS 1.3", (500, 200))},
    instructions={"message": ("GET", ((2000, 6000), (1000, 3000))),
                  "full13": ("full handshake, TLS 1.3", ((40, 120), (40, 100))),
                  "resumed13": ("resumed handshake, TLS 1.3", ((40, 120), (40, 100)))},
    idle_targets=(("idle13", "floor", 1.15), ("idle13", "haproxy", 1.0),
                  ("idle12", "floor", 1.15), ("idle12", "haproxy", 1.0)),
    passes=3,
)
