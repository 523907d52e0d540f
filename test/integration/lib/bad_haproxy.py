"""Small haproxy.cfg files that HAProxy refuses, {what is wrong: (line, text)}, where the line is
the one that has to be named; and those that it forgives, {what is odd: text}."""

TIMES = """    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
"""
DEFAULTS = "defaults\n" + TIMES                                   # lines 1 to 5
LISTEN = DEFAULTS + "listen l\n    bind 127.0.0.1:1\n"            # to 7
SERVED = LISTEN + "    server first 10.0.0.9:1\n"


def in_global(*lines):
    """Wrong is the second line of the file."""
    return 2, "global\n    " + "\n    ".join(lines) + "\n"


def in_listen(*lines, also=0):
    """Wrong is the line behind bind, or as many further down as `also` says."""
    return 8 + also, LISTEN + "    " + "\n    ".join(lines) + "\n"


def in_file(line, words):
    return line, words


FILES = {
    # words
    "unknown keyword": in_listen("frobnicate 7"),
    "unknown keyword, nearly one": in_listen("balanc roundrobin"),
    "unknown section": in_file(6, DEFAULTS + "listten l\n"),
    "unknown option": in_listen("option tcp-chek"),
    "unknown balance": in_listen("balance roundrobbin"),
    "unknown mode": in_listen("mode udp"),
    "keyword of global in a listen": in_listen("chroot /var/empty"),
    "keyword of a proxy in global": in_global("balance first"),
    "keyword before any section": in_file(1, "maxconn 10\n"),
    "server in a frontend": in_file(7, DEFAULTS + "frontend f\n    server s 10.0.0.1:1\n"),
    "too many words": in_listen("server s 10.0.0.1:1" + " check" * 70),
    "timeout of nothing": in_listen("timeout lunch 5s"),
    "no with what has no no": in_listen("no server s 10.0.0.1:1"),
    "no with a check": in_listen("no option mysql-check"),
    # arguments
    "mode without a word": in_listen("mode"),
    "bind without an address": in_listen("bind"),
    "bind without a port": in_listen("bind 127.0.0.1"),
    "bind with a port too large": in_listen("bind 127.0.0.1:70000"),
    "bind with port 0": in_listen("bind 127.0.0.1:0"),
    "bind with a word that is none": in_listen("bind 127.0.0.1:2 backlogg 5"),
    "bind with a range backwards": in_listen("bind 127.0.0.1:20-10"),
    "server without an address": in_listen("server s"),
    "server without a name": in_listen("server"),
    "server with a port too large": in_listen("server s 10.0.0.1:99999"),
    "server with a word that is none": in_listen("server s 10.0.0.1:1 chek"),
    "server with inter 0": in_listen("server s 10.0.0.1:1 check inter 0"),
    "server with inter of words": in_listen("server s 10.0.0.1:1 check inter often"),
    "server with fall and no number": in_listen("server s 10.0.0.1:1 check fall"),
    "server with an event that is none": in_listen(
        "server s 10.0.0.1:1 check on-marked-down shrug"),
    "server to verify in a way that is none": in_listen("server s 10.0.0.1:1 ssl verify never"),
    "a time in two words": in_listen("timeout client 5 minutes"),
    "bad unit": in_listen("timeout server 5x"),
    "time without a number": in_listen("timeout server"),
    "time too large": in_listen("timeout server 99999999999d"),
    "maxconn without a number": in_listen("maxconn"),
    "a log without a facility": in_global("log 127.0.0.1"),
    "a log with a facility that is none": in_global("log 127.0.0.1 local9"),
    "a socket for nobody": in_global("stats socket"),
    "a socket with a level that is none": in_global("stats socket /tmp/x level god"),
    "an acl without a test": in_listen("acl a"),
    "a rule without a verb": in_listen("tcp-request connection"),
    "a rule with a verb that is none": in_listen("tcp-request connection refuse"),
    "a rule with an acl that is not there": in_listen("tcp-request connection reject if nobody"),
    "a brace that is left open": in_listen("tcp-request connection reject if { src 10.0.0.1"),
    "a check that expects nothing": in_listen("option tcp-check", "tcp-check expect", also=1),
    "a check with a verb that is none": in_listen("option tcp-check", "tcp-check shout x", also=1),
    "half a byte": in_listen("option tcp-check", "tcp-check send-binary abc", also=1),
    "a table of nothing": in_listen("stick-table type ip"),
    "a table of what is none": in_listen("stick-table type stone size 10"),
    "a name server without an address": in_file(2, "resolvers r\n    nameserver a\n"),
    "server with a weight too large": in_listen("server s 10.0.0.1:1 weight 300"),
    "server with a name it cannot have": in_listen("server s/1 10.0.0.1:1"),
    "an acl in nameless defaults": in_file(6, DEFAULTS + "    acl a src 10.0.0.1\n"),
    "a check that expects a status of words": in_listen(
        "option httpchk", "http-check expect status good", also=1),
    # names
    "one name for two servers": in_listen("server s 10.0.0.1:1", "server s 10.0.0.2:1", also=1),
    "one name for two backends": in_file(7, DEFAULTS + "backend b\nbackend b\n"),
    "a backend without a name": in_file(6, DEFAULTS + "backend\n"),
    "a backend with a name it cannot have": in_file(6, DEFAULTS + "backend a/b\n"),
    "defaults that are not there": in_file(6, DEFAULTS + "backend b from elsewhere\n"),
    "a default backend that is not there": in_listen("default_backend elsewhere"),
    "a backend of a rule that is not there": in_listen(
        "use_backend elsewhere if { src 10.0.0.1 }"),
    "a server of a rule that is not there": in_listen(
        "use-server elsewhere if { src 10.0.0.1 }", "server s 10.0.0.1:1"),
    "resolvers that are not there": in_listen("server s a.example:1 resolvers r init-addr none"),
    "a server to track that is not there": in_listen("server s 10.0.0.1:1 track l/t"),
    "a proxy to track that is not there": in_listen("server s 10.0.0.1:1 track m/t"),
    # quotes and conditions
    "a quote that is left open": in_listen('server "s 10.0.0.1:1'),
    "a strong quote that is left open": in_listen("server 's 10.0.0.1:1"),
    "a reference that is left open": in_listen('server s "${ADDRESS:1"'),
    "a reference to a name that is none": in_listen('server s "${1ADDRESS}"'),
    "hexadecimal digits that are none": in_listen("option tcp-check", r"tcp-check send \xzz",
                                                  also=1),
    ".if without .endif": in_file(8, DEFAULTS + "listen l\n.if 1\n    bind 127.0.0.1:1\n"),
    ".endif without .if": in_file(7, DEFAULTS + "listen l\n.endif\n"),
    ".else without .if": in_file(7, DEFAULTS + "listen l\n.else\n"),
    ".elif behind .else": in_file(9, DEFAULTS + "listen l\n.if 1\n.else\n.elif 1\n.endif\n"),
    ".if of nothing known": in_file(7, DEFAULTS + "listen l\n.if moon(full)\n.endif\n"),
    ".if with a bracket left open": in_file(
        7, DEFAULTS + "listen l\n.if defined(A\n.endif\n"),
    "a word too many": in_listen("mode tcp really"),
    "a word too many in global": in_global("daemon now"),
    "a word that was removed": in_listen("clitimeout 5000"),
    "an option that was removed": in_listen("option httpclose now"),
    "no line end at the end": in_file(7, LISTEN.rstrip("\n")),
    "NUL": in_listen("server s\0 10.0.0.1:1"),
    "too many .if in each other": in_file(105, DEFAULTS + ".if 1\n" * 150 + ".endif\n" * 150),
    ".alert": in_file(7, DEFAULTS + "listen l\n.alert no\n"),
    "an unknown word behind a dot": in_file(7, DEFAULTS + "listen l\n.include x.cfg\n"),
}

# What HAProxy forgives, with a warning or without one.
FORGIVEN = {
    "bind in a backend": DEFAULTS + "backend b\n    bind 127.0.0.1:1\n" + SERVED[len(DEFAULTS):],
    "balance without a word": SERVED + "    balance\n",
    "a weight of words": SERVED + "    server s 10.0.0.1:1 weight heavy\n",
    "retries of words": SERVED + "    retries often\n",
    "default_backend in a backend": SERVED + "backend b\n    default_backend c\nbackend c\n",
    "timeout client in a backend": SERVED + "backend b\n    timeout client 5s\n",
    "timeout server in a frontend": SERVED + "frontend f\n    bind :2\n    timeout server 5s\n",
    "no timeouts": "listen l\n    mode tcp\n    bind 127.0.0.1:1\n    server s 10.0.0.1:1\n",
    "a frontend without a backend": SERVED + "frontend f\n    bind 127.0.0.1:2\n",
    "a backend that nobody uses": SERVED + "backend b\n    server s 10.0.0.1:1\n",
    "HTTP's log in mode tcp": SERVED + "    option httplog\n",
    "HTTP's rules in mode tcp": SERVED + "    http-request deny\n",
    "HTTP's options in mode tcp": SERVED + "    option forwardfor\n",
    "a check in a frontend": SERVED + "frontend f\n    bind :2\n    option httpchk\n",
    "balance in a frontend": SERVED + "frontend f\n    bind :2\n    balance first\n",
    "one name for a frontend and a backend":
        DEFAULTS + "frontend a\n    bind :2\n    default_backend a\nbackend a\n"
                   "    server s 10.0.0.1:1\n",
    "a setting twice": SERVED + "    balance first\n    balance leastconn\n",
    "one address twice": SERVED + "    bind 127.0.0.1:1\n",
    "two servers at one address":
        SERVED + "    server s 10.0.0.1:1\n    server t 10.0.0.1:1\n",
    "carriage returns": SERVED.replace("\n", "\r\n"),
    "a listen without servers": SERVED + "listen m\n    bind 127.0.0.1:2\n",
    "resolvers that HAProxy has by itself":
        SERVED + "    server s a.example:1 resolvers default init-addr none\n",
    "a server to track behind a template":
        SERVED + "    server s 10.0.0.1:1 track m/t1\nlisten m\n    bind 127.0.0.1:2\n"
                 "    server-template t 2 b.example:1 check init-addr none\n",
    "nothing but comments behind": SERVED + "# the end\n\n  # really\n",
    "tabs and blanks": SERVED.replace("    ", "\t \t"),
    "63 words": SERVED + "    server s 10.0.0.1:1" + " check" * 60 + "\n",
}
