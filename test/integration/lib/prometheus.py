"""A strict reader of the Prometheus text format 0.0.4, the table of metrics, and promtool."""
import os
import re
import subprocess

METRICS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "src", "model", "metrics.def")
SERIES = re.compile(r'([a-zA-Z_:][\w:]*)'
                    r'(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (\S+)')


def metric_keys(scope):
    """(key, name, type for Prometheus) of what the workers count, histograms apart."""
    with open(METRICS, encoding="utf-8") as file:
        rows = re.findall(rf'METRIC\({scope}, \w+, "(\w+)",\s+"(\w+)",\s+(\w+),', file.read())
    return [(key, name, "counter" if kind == "counter" else "gauge") for key, name, kind in rows]


def family_of(name, families):
    """A histogram's series have names of their own."""
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and families.get(base, [None])[0] == "histogram":
            return base
    return name


def check_histograms(families):
    """Buckets grow and end in +Inf, which is the count; {name: {labels: (buckets, sum)}}."""
    found = {}
    for name, (kind, series) in families.items():
        if kind != "histogram":
            continue
        for labels, value in series.items():
            what, *rest = labels
            of = tuple(pair for pair in rest if pair[0] != "le")
            buckets, others = found.setdefault(name, {}).setdefault(of, ([], {}))
            if what == "_bucket":
                buckets.append((float(dict(rest)["le"]), value))
            else:
                others[what] = value
        for buckets, others in found[name].values():
            assert [b for b, _ in buckets] == sorted(b for b, _ in buckets)
            assert [n for _, n in buckets] == sorted(n for _, n in buckets)
            assert buckets[-1] == (float("inf"), others["_count"])
            assert (others["_sum"] > 0) <= (others["_count"] > 0)
    return {name: {of: (buckets, others["_sum"]) for of, (buckets, others) in all_of.items()}
            for name, all_of in found.items()}


def parse_metrics(text, strict=True):
    """A strict reader of the text format 0.0.4: {name: (type, {labels: value})}. The labels of a
    histogram's series begin with what they are of it: "_bucket", "_sum" or "_count". `strict`:
    counters, and they only, are called _total."""
    families, name = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in families and words
            families[name] = [None, {}]
        elif line.startswith("# TYPE "):
            typed, kind = line[7:].split(" ")
            assert typed == name and families[name] == [None, {}]
            assert kind in ("counter", "gauge", "histogram")
            assert not strict or (kind == "counter") == name.endswith("_total")
            families[name][0] = kind
        else:
            match = SERIES.fullmatch(line)
            assert match and family_of(match[1], families) == name and families[name][0], line
            labels = tuple(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            if families[name][0] == "histogram":
                labels = (match[1].removeprefix(name), *labels)
            assert labels not in families[name][1], f"twice: {line}"
            families[name][1][labels] = float(match[3])
    check_histograms(families)
    return families


def server_labels(backend, server, *more):
    return (("proxy", backend), ("server", server), *more)


def promtool(*words, text=""):
    """What it says, if it is content."""
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
