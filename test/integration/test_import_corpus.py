"""Promise: `router import` of the files that people have writes what one would have written by
hand, and says of each line what became of it."""
import json
import re

import pytest

from lib import corpus
from lib.corpus import Corpus

NAMES = corpus.names()
VERDICTS = {"lost": "lost", "difference": "kept with a difference"}
SECTIONS = ("defaults", "listen", "frontend", "backend")

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


# --- the import ---


def imported(here, name, *more):
    """(how it ended, its router.ini as a file); made once."""
    done = here.router("import", *more, here.path(name))
    path = here.by_hand(name) + ".imported"
    with open(path, "w", encoding="utf-8") as file:
        file.write(done.stdout)
    return done, path


@pytest.mark.parametrize("name", NAMES)
def test_the_import_is_what_one_writes_by_hand(here, name):
    done, path = imported(here, name)
    said = done.stderr + corpus.numbered(done.stdout)
    lost = "lost" in here.marks(name).values()
    assert done.returncode == (3 if lost else 0), said
    checked = here.router("-t", "-c", path)
    assert checked.returncode == 0, checked.stderr + said
    assert here.dump("-c", path) == here.dump("-c", here.by_hand(name)), said
    assert here.secrets(path) == here.secrets(here.by_hand(name)), said
    count = {p: sum(map(len, corpus.sections(corpus.text(p)).values()))
             for p in (path, here.by_hand(name))}
    assert count[path] <= count[here.by_hand(name)], said  # no defaults


@pytest.mark.parametrize("name", NAMES)
def test_what_is_imported_is_what_runs_from_the_file(here, name):
    done, path = imported(here, name)
    checked = here.router("-t", "-f", here.path(name))
    assert checked.returncode == done.returncode, checked.stderr
    assert here.dump("--lenient", "-f", here.path(name)) == here.dump("-c", path)


@pytest.mark.sanitize
@pytest.mark.parametrize("name", NAMES)
def test_of_each_line_it_is_said_what_became_of_it(here, name):
    done, _ = imported(here, name, "--report=json")
    found = {(line["file"], line["line"]): line for line in json.loads(done.stderr)["lines"]}
    written = {(path, number) for path in here.files(name)
               for number, line in enumerate(corpus.text(path).split("\n"), 1)
               if line.strip() and not line.strip().startswith("#")}
    assert set(found) == written
    expected = here.marks(name)
    wrong = [(place[1], expected.get(place), line) for place, line in found.items()
             if not as_marked(line, expected.get(place))]
    assert not wrong, "\n".join(map(str, wrong))


def as_marked(line, mark):
    """Of a section's first line a difference may be told that none of its lines is about."""
    if mark:
        return line["verdict"] == VERDICTS[mark]
    others = [VERDICTS["difference"]] if line["directive"].startswith(SECTIONS) else []
    return line["verdict"] in ["kept", "not needed"] + others


@pytest.mark.parametrize("name", ["redis-doc", "patroni-doc"])
def test_the_examples_of_the_manuals_are_short(here, name):
    done, _ = imported(here, name)
    assert done.stdout.count("\n") < 30, done.stdout


def passwords(here, path):
    """As they are written, and in hexadecimal digits."""
    found = {line.split(" = ")[1] for lines in here.secrets(path).values() for line in lines}
    plain = {word for word in found if "${" not in word} | {"Xw93kLmP"}  # of a userlist
    return plain | {word.encode().hex() for word in plain} | set(corpus.ENVIRONMENT[name] for name
                                                                 in corpus.SECRET_VARIABLES)


@pytest.mark.parametrize("name", NAMES)
def test_no_password_is_shown(here, name):
    text, path = imported(here, name)
    report, _ = imported(here, name, "--report=json")
    for password in passwords(here, path):
        assert password not in text.stderr + report.stderr
        assert not any(password in comment for comment in re.findall(r";.*", text.stdout))
