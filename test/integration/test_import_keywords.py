"""Promise: what a real HAProxy refuses is refused at the same line, what it takes is taken, and no
word that somebody was to take over is forgotten."""
import glob
import os
import re

import pytest

from lib import corpus
from lib.router import run

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "import")
IN_FILE = 20  # HAProxy stops at 50 mistakes
OWN = ("keyword", "parameters", "shape", "words", "fetch")

HEADS = {
    "global": "global",
    "defaults": "defaults d",
    "listen": "listen l\n bind 127.0.0.1:1\n server own 127.0.0.1:1 check",
    "frontend": "frontend f\n bind 127.0.0.1:1",
    "backend": "backend b\n server own 127.0.0.1:1 check",
    "resolvers": "resolvers r",
    "http": "listen l\n mode http\n bind 127.0.0.1:1",
}

REFUSED = {
    "global": """
        nbtread 4; chroot; maxconn; log 127.0.0.1 lokal0; log 127.0.0.1; daemon x; balance first
        hard-stop-after 5x; stats socket; server s 127.0.0.1:1; no nbthread 2; busy-polling x
        log 127.0.0.1 local0 loud; external-check x y; pidfile; ulimit-n; ca-base; option tcplog""",
    "defaults": """
        timeout conect 5s; timeout server 5x; timeout client; timeout client 1s 2s; option tcplo
        mode tpc; balance leastcon; retries; bind :1; server s 127.0.0.1:1; use_backend b if TRUE
        chroot /; nbthread 4; no mode tcp; no option tcp-check; default-server id 5
        hash-type sdbm; option mysql-check me; tcp-check expect strin x; default-server inter 0""",
    "listen": """
        server s 127.0.0.1:99999; server s 127.0.0.1:x; server s 127.0.0.1:1-5; server s
        server s 127.0.0.1:1 chek; server s 127.0.0.1:1 inter; server s 127.0.0.1:1 rise 0
        server s 127.0.0.1:1 on-marked-down x; server s 127.0.0.1:1 verify x; bind :0; bind :70000
        server s 127.0.0.1:1 observe x; server s 127.0.0.1:1 inter 5x; bind 127.0.0.1; bind :9-8
        bind 300.1.1.1:80; bind :2 acept-proxy; bind :2 level x; bind :2 verify x; bind :2 maxconn
        acl a; acl a scr 1; acl a src(; use_backend l if nope; use_backend l whenever
        use_backend l if { scr 1 }; use_backend l if { src 1.1.1.1; tcp-request connection rejekt
        tcp-request content accept if { scr 1 }; balance url_param
        tcp-request connection set-header x y; tcp-check connect port
        tcp-check expect string; tcp-check send-binary abc; tcp-check connect prot 5
        stick-table type foo size 1; stick-table type ip; stick on scr; stats admin
        option pgsql-check; option mysql-check user; capture request x; monitor fail if nope
        force-persist; retry-on maybe; http-reuse x; frobnicate; option; timeout; stats""",
    "frontend": """
        server s 127.0.0.1:1; acl; bind; stats socket /x; option redis-chek; default_backend""",
    "http": "http-request frobnicate",  # HAProxy reads no further
    "backend": "balance foo; server-template s; server-template s 3; cookie",
    "resolvers": "hold never 5s; hold valid 5x; nameserver a; resolve_retries; nbthread 4",
}

TAKEN = {
    "global": """
        nbthread 4; chroot /; daemon; log 127.0.0.1:514 len 900 format rfc5424 local0 info err
        log stdout format raw daemon; stats timeout 5s; tune.bufsize 16384; spread-checks 5
        hard-stop-after 5s; tune.ssl.default-dh-param 2048; no busy-polling; maxconnrate 5
        stats socket /tmp/x mode 600 level admin user root expose-fd listeners; description a b
        ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets; insecure-fork-wanted
        external-check; ulimit-n 65536; pidfile /x; cpu-map 1 0; server-state-base /x""",
    "defaults": """
        timeout client 5; timeout server 2h; mode http; option httplog clf; option redispatch 3
        no option dontlognull; no option splice-auto; option forwardfor except 127.0.0.0/8
        balance random(2); balance hdr(X-Id); hash-type consistent djb2 avalanche; retries 3
        errorloc 503 http://x/; compression algo gzip; option httpchk GET /x; option abortonclose
        tcp-check connect port 5 ssl sni x linger; tcp-check expect min-recv 5 ! rstring x
        http-check expect ! rstatus ^5; default-server inter 1s fall 2 check on-error mark-down
        timeout http-request 5s; option clitcpka; clitcpka-cnt 5; log global; no log; maxconn 5
        option mysql-check user me post-41; option pgsql-check user me; option redis-check
        tcp-check send-binary 00ff; tcp-check set-var(check.x) str(a); cookie X insert indirect
        http-reuse always; rate-limit sessions 5; stats enable; stats uri /x; stats refresh 5s""",
    "listen": """
        server a 127.0.0.1 check inter 2s fastinter 500ms downinter 5s rise 1 fall 1 weight 5
        server b ::1:5 backup maxconn 5 minconn 1 maxqueue 5 slowstart 30s no-ssl track own
        server c unix@/x send-proxy-v2 check-send-proxy tfo; server d 127.0.0.1:+5 check port 5
        server e 127.0.0.1:1 ssl verify none sni str(x) alpn h2 check-ssl check-sni y no-tlsv10
        server f 127.0.0.1:1 source 0.0.0.0 usesrc clientip init-addr last,libc,none
        server-template t 1-3 127.0.0.1:5 check; bind :::2 v4v6; bind [::]:3 v6only; bind :4-6
        bind :7,:8 accept-proxy maxconn 5 backlog 6 nice 5 name x; bind unix@/tmp/y mode 600
        acl a src 10.0.0.0/8; acl a hdr_beg(host) -i x
        use_backend l if { nbsrv(l) ge 2 } || ! TRUE; use_backend %[src] if TRUE
        tcp-request connection track-sc0 src if !FALSE; tcp-request content capture src len 5
        tcp-request connection silent-drop; http-request set-var(txn.x) src; monitor-uri /x
        http-request set-header if if if TRUE; stick on src,ipmask(24) if TRUE; dispatch :5
        stick-table type ip size 1m expire 5m store conn_rate(10s); stats admin if LOCALHOST
        monitor fail if { nbsrv lt 1 }; capture request header x len 5; redirect location /""",
    "frontend": """
        balance first; timeout connect 5s; option redispatch; cookie x; retries 5; fullconn 5
        option tcp-check; timeout server 5s; http-send-name-header x; tcp-check send x""",
    "backend": """
        bind :5; timeout client 5s; option tcp-smart-accept; backlog 5; use_backend x
        monitor-uri /x; log-format %t; rate-limit sessions 5; default_backend x
        option dontlognull""",
    "resolvers": "nameserver a 127.0.0.1:53; hold valid 5s; resolve_retries 3; timeout retry 1s",
}


def pieces():
    for kind, lines in (("refused", REFUSED), ("taken", TAKEN)):
        for section, text in lines.items():
            probes = [line.strip() for line in re.split(r"[;\n]", text) if line.strip()]
            for at in range(0, len(probes), IN_FILE):
                yield pytest.param(kind, section, probes[at:at + IN_FILE],
                                   id=f"{kind}-{section}-{at // IN_FILE}")


def numbers(pattern, said):
    return {int(number) for number in re.findall(pattern, said, re.M)}


@pytest.mark.parametrize("kind, section, probes", pieces())
def test_the_lines_that_haproxy_refuses_are_refused(home, kind, section, probes):
    head = HEADS[section].split("\n")
    path = home.file("haproxy.cfg", "\n".join(head + [f" {probe}" for probe in probes]) + "\n")
    name = re.escape(path)
    by_haproxy = numbers(rf"ALERT.*?{name}:(\d+)\]", corpus.haproxy("-f", path).stdout)
    by_router = numbers(rf"^{name}:(\d+): ", run("import", path).stderr)

    def words(found):
        return [(head + probes)[number - 1] for number in sorted(found)]

    assert words(by_router) == words(by_haproxy)
    assert words(by_haproxy) == (probes if kind == "refused" else [])


def rows(pattern, macro):
    for path in glob.glob(os.path.join(SOURCE, pattern)):
        with open(path, encoding="utf-8") as file:
            for match in re.finditer(rf'^{macro}\(\s*"([^"]+)"', file.read(), re.M):
                yield match[1]


def literals():
    """The strings of the files that say what becomes of lines."""
    found = set()
    for path in glob.glob(os.path.join(SOURCE, "*.c")):
        if not os.path.basename(path).startswith(OWN):
            with open(path, encoding="utf-8") as file:
                found.update(re.findall(r'"((?:[^"\\\n]|\\.)*)"', file.read()))
    return found


@pytest.mark.parametrize("pattern, least", [("keywords*.def", 60), ("parameters.def", 30)])
def test_what_is_taken_over_is_named_by_who_does(pattern, least):
    named = literals()
    names = list(rows(pattern, "TAKEN"))
    assert len(names) > least

    def is_named(name):
        first, _, rest = name.partition(" ")
        return name in named or (first in named and first != "option") or rest in named

    assert [name for name in names if not is_named(name)] == []
