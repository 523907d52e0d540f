"""What is measured. Each function measures one target once and returns its figures by name."""

import os
import re
import signal
import time

import proxies
from lab import BenchError, memory

PROXIES = ("floor", "haproxy", "nginx", "router")

# The counts of a full run and of --quick.
COUNTS = {
    "get": ({"connections": 50, "requests": 100000, "warmup": 5000},
            {"connections": 50, "requests": 30000, "warmup": 3000}),
    "pipelined": ({"connections": 50, "depth": 16, "requests": 400000, "warmup": 20000},
                  {"connections": 50, "depth": 16, "requests": 160000, "warmup": 16000}),
    # Two placements a round, and ports rest in TIME_WAIT for a minute: 5 rounds use 26,000.
    "cycle": ({"mode": "cycle", "connections": 50, "requests": 2500, "warmup": 100},
              {"mode": "cycle", "connections": 50, "requests": 1000, "warmup": 100}),
    "bulk": ({"connections": 4, "requests": 1000, "warmup": 40, "key": "large"},
             {"connections": 4, "requests": 200, "warmup": 20, "key": "large"}),
    "idle": (4000, 1000),
    "syscalls": ({"get": 5000, "cycle": 1000}, {"get": 2000, "cycle": 300}),
    "instructions": ((2000, 12000), (1000, 4000)),
}
LOAD_ROWS = ("get", "pipelined", "cycle", "bulk")
MEMORY_ROWS = ("idle", "resident")
ONCE_ROWS = ("syscalls", "instructions")
ROWS = LOAD_ROWS + MEMORY_ROWS + ONCE_ROWS


def load_row(lab, row, target, quick):
    """CPU of the proxy and of Redis in us per request (bulk: seconds per GB), and the rate."""
    watch = [target.worker] if target.process else []
    got = lab.load(target.address, target.port, [*watch, lab.redis.pid], **COUNTS[row][quick])
    unit = got["bytes"] if row == "bulk" else got["requests"] * 1000
    seconds = got["wall_ns"] / 1e9
    figures = {"redis": got["cpu_ns"][-1] / unit,
               "rate": got["bytes"] / 1e9 / seconds if row == "bulk" else got["requests"] / seconds}
    if target.process:
        figures["cpu"] = got["cpu_ns"][0] / unit
    return figures


def idle_row(lab, name, quick):
    """A fresh process, then sessions that have asked once and stay: growth of its anonymous memory
    (what the process allocated itself; the kernel's socket buffers are not in it)."""
    count = COUNTS["idle"][quick]
    target = proxies.start(lab, name)
    before = memory(target.pids())
    idle = lab.hold_idle(target.address, target.port, count)
    after = memory(target.pids())
    lab.stop(idle)
    proxies.stop(lab, target)
    return {"per_session": (after["Anonymous"] - before["Anonymous"]) / count}


def resident_row(lab, name, _quick):
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


def count_syscalls(lab, target, mode, requests):
    """Calls per request by name, counted by strace."""
    table = os.path.join(lab.folder, "strace.out")
    strace = lab.start("strace", ["strace", "-f", "-c", "-o", table, "-p", str(target.worker)])
    until = time.monotonic() + 5
    while not attached(target.worker):
        if strace.popen.poll() is not None or time.monotonic() > until:
            raise BenchError(f"strace did not attach: {strace.last_words()}")
        time.sleep(0.01)
    lab.load(target.address, target.port, [], mode=mode, connections=50, requests=requests)
    strace.popen.send_signal(signal.SIGINT)
    strace.popen.wait(5)
    lab.stop(strace)
    with open(table, encoding="ascii") as f:
        lines = [line.split() for line in f]
    counts = {line[-1]: int(line[3]) / requests for line in lines
              if len(line) >= 5 and line[3].isdigit() and line[-1] != "total"}
    return counts


def syscalls_row(lab, name, quick):
    """System calls per GET (1 or 2 % of them are the 50 connects and closes) and per cycle."""
    wanted = COUNTS["syscalls"][quick]
    target = proxies.start(lab, name)
    try:
        return {mode: count_syscalls(lab, target, mode, wanted[mode]) for mode in ("get", "cycle")}
    finally:
        proxies.stop(lab, target)


def count_instructions(lab, name, requests):
    out = os.path.join(lab.folder, f"callgrind.{name}.{requests}")
    wrap = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}")
    target = proxies.start(lab, name, wrap=wrap)
    lab.load(target.address, target.port, [], connections=50, requests=requests)
    proxies.stop(lab, target, patience=20)
    with open(out, encoding="utf-8", errors="replace") as f:
        found = re.search(r"^(?:totals|summary): (\d+)", f.read(), re.MULTILINE)
    if not found:
        raise BenchError(f"callgrind counted nothing for {name}")
    return int(found.group(1))


def instructions_row(lab, name, quick):
    """User instructions per GET: two runs, the difference, so that the start is not in it."""
    few, many = COUNTS["instructions"][quick]
    counted = [count_instructions(lab, name, n) for n in (few, many)]
    return {"per_get": (counted[1] - counted[0]) / (many - few)}
