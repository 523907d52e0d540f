"""Sections of a router.ini as text."""


def section(title, **keys):
    """A list as a value repeats the key."""
    lines = [f"[{title}]"]
    for key, value in keys.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            lines.append(f"{key} = {item}")
    return "\n".join(lines) + "\n"


def frontend(name, bind, backend="b", **keys):
    """bind: a port of 127.0.0.1, or the text of one, or a list of texts."""
    if isinstance(bind, int):
        bind = f"127.0.0.1:{bind}"
    return section(f"frontend {name}", bind=bind, backend=backend, **keys)


def servers(*things, extra=""):
    """server lines of Redis objects and fakes (anything with .name and .text)."""
    return [f"{s.name} {s.text} {extra}".rstrip() for s in things]


def tcp_backend(*things, name="b", **keys):
    """Opaque bytes; the servers are taken to be up unless `probe` is given."""
    keys.setdefault("probe", "off")
    return section(f"backend {name}", protocol="tcp", server=servers(*things), **keys)


# Small intervals, so that a test of seconds sees what production sees in tens of them.
FAST_PROBES = {"probe_interval": "100ms", "probe_fast_interval": "20ms", "probe_timeout": "300ms"}


def redis_backend(*things, name="b", **keys):
    return section(f"backend {name}", protocol="redis", server=servers(*things),
                   **{**FAST_PROBES, **keys})
