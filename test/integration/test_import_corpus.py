"""Promise: the files that people have are what HAProxy takes, and what one writes by hand instead
of them is what the router takes."""
import re

import pytest

from lib import corpus
from lib.corpus import Corpus

NAMES = corpus.names()

# What 41 real configurations had, and once was enough.
USED = r"""
mode tcp; timeout connect; timeout client\s; timeout server\s; timeout check; timeout queue
timeout tunnel; timeout client-fin; timeout server-fin; retries; option redispatch; check inter
rise \d; fall \d; fastinter; downinter; port 8008; port 9200; port 33062; option httpchk
http-check expect; option tcp-check; expect string role:master; expect string role:slave
SENTINEL\\ get-master-addr-by-name; AUTH\\; expect rstring; min-recv
tcp-check connect port 9200\n\s*tcp-check expect string; option external-check; insecure-fork-wanted
option mysql-check user \w+ post-41; option mysql-check\s; option pgsql-check; option redis-check
on-marked-down shutdown-sessions; on-marked-up shutdown-backup-sessions; \bbackup\b
server .* maxconn; ^ +maxconn; maxqueue; slowstart; weight; track; agent-check
balance roundrobin; balance first; balance leastconn; balance source; hash-type consistent
balance hdr; balance uri; stick-table; stick on dst; stick on src; cookie \w+ insert; ^peers
^resolvers; parse-resolv-conf; init-addr; resolve-prefer; server-template; srv_is_up; nbsrv
use-server; use_backend; tcp-request connection; tcp-request content; inspect-delay; req.ssl_sni
acl \w+ src; accept-proxy; send-proxy\s; send-proxy-v2; bind .* ssl crt; verify required
check-ssl; option tcpka; option clitcpka; option srvtcpka; option tcplog; log-format '\{
dontlognull; stats enable; stats uri; stats auth; stats admin; stats realm; stats refresh
stats socket; expose-fd listeners; prometheus-exporter; monitor-uri; monitor fail
"\$\{\w+\}"; chroot; ^ +user; ^ +group; daemon; pidfile; nbthread; cpu-map; spread-checks
hard-stop-after; ^defaults \w+; \bfrom \w+; ^\.if; ^\.else; init-state; fullconn; minconn
tcp-check send-binary; tcp-check send-lf; tcp-check comment; log stdout format raw; log /\S+/log
option httplog; logasap; track-sc0 src; sc0_conn_cur; conn_rate; rate-limit sessions; ^userlist
^cache; ^program; ^mailers; ^ring; ^peers; option allbackups; disable-on-404; abns@|unix@
hash-balance-factor; balance random; static-rr; v4v6; transparent; crt-list; alpn; ssl-min-ver
ca-base; crt-base; sni str; \[[0-9a-f:]+\]:\d+; bind \S+:\d+-\d+; setenv; version_atleast
defined\(; streq\(; feature\(
"""


@pytest.fixture(scope="module")
def here(shared_home):
    return Corpus(shared_home)


def test_all_that_people_use_is_in_it(here):
    everything = "\n".join(corpus.text(path) for name in NAMES for path in here.files(name))
    patterns = [pattern.strip() for line in USED.strip().split("\n") for pattern in line.split(";")]
    assert len(patterns) > 140
    missing = [pattern for pattern in patterns if not re.search(pattern, everything, re.M)]
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_a_real_haproxy_takes_it(here, name):
    if corpus.haproxy_version() < here.needs(name):
        pytest.skip("an older HAProxy, which does not know all words of it")
    done = corpus.haproxy("-f", here.path(name))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_by_hand_is_taken(here, name):
    done = here.router("-t", "-c", here.by_hand(name))
    assert done.returncode == 0, done.stderr
