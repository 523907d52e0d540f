"""How it is measured. Each function measures one target once and returns its figures by name."""

import os
import re
import signal
import time

import proxies
from lab import BenchError, memory


def options_of(load, quick):
    """What bench/load is told."""
    options = dict(load.counts[quick])
    if load.certificate:
        options["certificate"] = load.certificate
    return options


def check_handshakes(options, got):
    """The load has verified each; here that there were as many as the row says."""
    if options.get("mode") != "cycle" or "tls" not in options:
        return
    wanted = options["requests"] + options["warmup"]
    kind = options["handshake"]
    if got[kind] != wanted or got["full"] + got["resumed"] != wanted:
        raise BenchError(f"{wanted} {kind} handshakes were asked for: {got}")


def load_row(lab, load, target, quick):
    """CPU of the proxy and of Redis in us per request (bulk: seconds per GB), the rate, and how
    many us half of all requests and 99 of 100 took at most."""
    options = options_of(load, quick)
    watch = [target.worker] if target.process else []
    got = lab.load(target.address, target.port, [*watch, lab.redis.pid], **options)
    check_handshakes(options, got)
    unit = got["bytes"] if load.per_gb else got["requests"] * 1000
    seconds = got["wall_ns"] / 1e9
    figures = {"redis": got["cpu_ns"][-1] / unit,
               "rate": got["bytes"] / 1e9 / seconds if load.per_gb else got["requests"] / seconds,
               "p50": got["p50_ns"] / 1e3, "p99": got["p99_ns"] / 1e3}
    if target.process:
        figures["cpu"] = got["cpu_ns"][0] / unit
    return figures


def idle_row(lab, name, idle, quick):
    """A fresh process, then sessions that have asked once and stay: growth of its anonymous memory
    (what the process allocated itself; the kernel's socket buffers are not in it) and of all that
    is resident, and how many connections it has to Redis."""
    count = idle.counts[quick]
    target = proxies.start(lab, name, idle.certificate, pool=idle.pool)
    before = memory(target.pids())
    held = lab.hold_idle(target.address, target.port, count, **idle.options)
    after = memory(target.pids())
    servers = lab.redis_clients(proxies.BACK[name])
    lab.stop(held)
    proxies.stop(lab, target)
    return {"per_session": (after["Anonymous"] - before["Anonymous"]) / count,
            "resident": (after["Rss"] - before["Rss"]) / count, "servers": servers}


def resident_row(lab, name):
    """A process with its default options, nobody connected, two seconds after it was ready."""
    options = f"admin = 127.0.0.1:{proxies.free_port('127.0.0.1')}"
    target = proxies.start(lab, name, options=options)
    time.sleep(2)
    now = memory(target.pids())
    proxies.stop(lab, target)
    return {"rss": now["Rss"], "pss": now["Pss"], "anonymous": now["Anonymous"]}


def attached(pid):
    """Whether all threads of `pid` are traced."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as f:
            if re.search(r"^TracerPid:\t0$", f.read(), re.MULTILINE):
                return False
    return True


def count_syscalls(lab, target, options):
    """Calls per request by name, counted by strace."""
    table = os.path.join(lab.folder, "strace.out")
    strace = lab.start("strace", ["strace", "-f", "-c", "-o", table, "-p", str(target.worker)])
    until = time.monotonic() + 5
    while not attached(target.worker):
        if strace.popen.poll() is not None or time.monotonic() > until:
            raise BenchError(f"strace did not attach: {strace.last_words()}")
        time.sleep(0.01)
    lab.load(target.address, target.port, [], **options)
    strace.popen.send_signal(signal.SIGINT)
    strace.popen.wait(5)
    lab.stop(strace)
    with open(table, encoding="ascii") as f:
        lines = [line.split() for line in f]
    return {line[-1]: int(line[3]) / options["requests"] for line in lines
            if len(line) >= 5 and line[3].isdigit() and line[-1] != "total"}


def syscalls_row(lab, name, suite, quick):
    """System calls per request (1 or 2 % of a GET's are the 50 connects and closes), by row."""
    counted = {}
    for row, (_, requests) in suite.syscalls.items():
        load = suite.loads[row]
        options = {**options_of(load, quick), "requests": requests[quick], "warmup": 0}
        target = proxies.start(lab, name, load.certificate, pool=load.pool)
        try:
            counted[row] = count_syscalls(lab, target, options)
        finally:
            proxies.stop(lab, target)
    return counted


def count_instructions(lab, name, load, options):
    out = os.path.join(lab.folder, f"callgrind.{name}.{options['requests']}")
    wrap = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}")
    target = proxies.start(lab, name, load.certificate, pool=load.pool, wrap=wrap)
    lab.load(target.address, target.port, [], **options)
    proxies.stop(lab, target, patience=20)
    with open(out, encoding="utf-8", errors="replace") as f:
        found = re.search(r"^(?:totals|summary): (\d+)", f.read(), re.MULTILINE)
    if not found:
        raise BenchError(f"callgrind counted nothing for {name}")
    os.unlink(out)
    return int(found.group(1))


def instructions_row(lab, name, suite, quick):
    """User instructions per request, by row: two runs, the difference, so that the start is not
    in it."""
    counted = {}
    for row, (_, requests) in suite.instructions.items():
        load = suite.loads[row]
        few, many = requests[quick]
        options = {**options_of(load, quick), "warmup": 0}
        totals = [count_instructions(lab, name, load, {**options, "requests": n})
                  for n in (few, many)]
        counted[row] = (totals[1] - totals[0]) / (many - few)
    return counted
