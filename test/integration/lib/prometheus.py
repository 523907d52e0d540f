"""A strict reader of the Prometheus text format 0.0.4, and the table of metrics."""
import os
import re

METRICS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "src", "model", "metrics.def")
# HAProxy has its TLS counters from its modules, which know nothing of Prometheus' suffixes.
HAPROXY_COUNTERS = {f"haproxy_{scope}_ssl_{what}" for scope in ("frontend", "server")
                    for what in ("sess", "reused_sess", "failed_handshake")}
SERIES = re.compile(r'([a-zA-Z_:][\w:]*)'
                    r'(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (\S+)')


def metric_keys(scope):
    with open(METRICS, encoding="utf-8") as file:
        return re.findall(rf'METRIC\({scope}, \w+, "(\w+)", "(\w+)",\s+(\w+),', file.read())


def parse_metrics(text):
    """A strict reader of the text format 0.0.4: {name: (type, {labels: value})}."""
    families, name = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in families and words
            families[name] = [None, {}]
        elif line.startswith("# TYPE "):
            typed, kind = line[7:].split(" ")
            assert typed == name and families[name] == [None, {}] and kind in ("counter", "gauge")
            if name not in HAPROXY_COUNTERS:
                assert (kind == "counter") == name.endswith("_total")
            families[name][0] = kind
        else:
            match = SERIES.fullmatch(line)
            assert match and match[1] == name and families[name][0], line
            labels = tuple(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            assert labels not in families[name][1], f"twice: {line}"
            families[name][1][labels] = float(match[3])
    return families


def server_labels(backend, server, *more):
    return (("proxy", backend), ("server", server), *more)
