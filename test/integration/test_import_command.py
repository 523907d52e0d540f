"""Promise: `router import` says of every line what became of it and ends as it says; `router -f`
runs from HAProxy's file and reads it again; `--check` tells who else would be reached."""
import json
import os
import signal
import socket

import pytest

from lib.beside import Imported
from lib.fake import echo, name_then_echo
from lib.process import Process, free_port
from lib.resp import Resp
from lib.router import run
from lib.sockets import local, read_line
from lib.waiting import until

pytestmark = pytest.mark.sanitize

HEAD = """defaults
    mode tcp
    timeout connect 1s
    timeout client 30s
    timeout server 30s
"""
ROLE = """    option tcp-check
    tcp-check send AUTH\\ s3cret-word\\r\\n
    tcp-check expect string +OK
    tcp-check send INFO\\ replication\\r\\n
    tcp-check expect string role:master
"""


def cfg(home, text, name="haproxy.cfg"):
    return home.file(name, text)


def listen(port, *servers, more=""):
    lines = "".join(f"    server {s.name} {s.text} check\n" for s in servers)
    return f"listen hubs\n    bind 127.0.0.1:{port}\n    balance roundrobin\n{more}{lines}"


PLAIN = HEAD + "listen web\n    bind :80\n    balance roundrobin\n    server a 10.0.0.1:80 check\n"


@pytest.mark.parametrize("text, status, words", [
    (PLAIN, 0, "0 lost"),
    (PLAIN + "    tcp-request content lua.act\n", 3, "1 lost"),
    (PLAIN + "    frobnicate\n", 1, "haproxy.cfg:10: unknown keyword \"frobnicate\""),
    ("", 1, "there is no [frontend NAME]"),
], ids=["kept", "lost", "refused", "empty"])
def test_how_it_ends(home, text, status, words):
    done = run("import", cfg(home, text))
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    if status == 1 and text:
        assert done.stdout == ""


def test_a_file_that_is_not_there(home):
    done = run("import", os.path.join(home.path, "nowhere.cfg"))
    assert done.returncode == 1
    assert "nowhere.cfg" in done.stderr and "No such file" in done.stderr


def test_every_line_has_its_verdict_and_no_secret_is_told(home):
    text = (HEAD + "userlist people\n    user me insecure-password s3cret-word\n"
            "listen redis\n    bind :6379\n" + ROLE + "    tcp-request content lua.act\n"
            "    server r0 10.0.0.2:6379 check\n    server r1 10.0.0.3:6379 check slowstart 3s\n"
            "listen stats\n    bind :8404\n    mode http\n    stats enable\n"
            "    stats auth me:s3cret-word\n"
            "    http-request set-header Authorization s3cret-word if TRUE\n"
            "    acl known req.hdr(x-token) -m str s3cret-word\n"
            "    http-request deny unless known\n")
    path = cfg(home, text)
    for report in ("text", "json"):
        done = run("import", f"--report={report}", path)
        assert done.returncode == 3
        assert "s3cret-word" not in done.stderr
        comments = [line.split(";", 1)[1] for line in done.stdout.splitlines() if ";" in line]
        assert comments and not any("s3cret-word" in comment for comment in comments)
        assert "probe_password = s3cret-word" in done.stdout
        assert "admin_password = s3cret-word" in done.stdout
    told = json.loads(done.stderr)
    assert [line["line"] for line in told["lines"]] == list(range(1, text.count("\n") + 1))
    verdicts = [line["verdict"] for line in told["lines"]]
    assert told["lost"] == verdicts.count("lost") == 3
    assert told["difference"] == verdicts.count("kept with a difference") == 1
    assert told["kept"] + told["not_needed"] == len(verdicts) - 4
    lost = next(line for line in told["lines"] if line["verdict"] == "lost")
    assert lost["directive"] == "tcp-request content lua.act" and lost["section"] == "listen"
    differs = next(line for line in told["lines"] if "difference" in line["verdict"])
    assert differs["directive"].startswith("server r1") and "slowstart" in differs["words"][0]


def listens(one, two=""):
    second = "listen r\n    bind :3307\n" + two if two else ""
    return HEAD + "listen w\n    bind :3306\n" + one + second


NODES = "    server a 10.0.0.1:3306 check\n    server b 10.0.0.2:3306 check"
CLUSTER = "    option httpchk\n    default-server port 9200\n"
GUESSED = "    option external-check\n    external-check command /nowhere/ping.sh\n"


@pytest.mark.parametrize("text, directive, verdict, words", [
    (HEAD + "frontend web\n    mode http\n    bind :80\n"
     "    http-request redirect scheme https unless { ssl_fc }\n"
     "    http-request deny if { src 10.0.0.0/8 }\n    default_backend app\n"
     "backend app\n    mode http\n    server a 10.0.0.1:80 check\n",
     "http-request redirect", "lost", "nothing like it"),
    ("defaults d\n    mode http\n    http-request redirect scheme https unless { ssl_fc }\n"
     "listen web from d\n    bind :80\n    http-request deny if { src 10.0.0.0/8 }\n"
     "    server a 10.0.0.1:80 check\n",
     "http-request redirect", "lost", "nothing like it"),
    (listens(CLUSTER + NODES + " backup\n    server c 10.0.0.3:3306 check backup\n",
             CLUSTER + "    server b 10.0.0.2:3306 check\n    server c 10.0.0.3:3306 check\n"
             "    server a 10.0.0.1:3306 check backup\n"),
     "server a 10.0.0.1:3306 check backup", "kept with a difference", "used as the others"),
    (listens(CLUSTER + NODES + " backup\n", CLUSTER + "    server b 10.0.0.2:3306 check\n"
             "    server a 10.0.0.1:3306 check backup\n"),
     "option httpchk", "kept with a difference", "one primary, with those of w"),
    (listens("    option mysql-check user u\n    server a 10.0.0.1:3306\n" + NODES[33:] + "\n"),
     "server a 10.0.0.1:3306", "kept with a difference", "no check"),
    (listens(GUESSED + NODES + "\n"),
     "option external-check", "kept with a difference", "guessed"),
    (listens("    option mysql-check user u\n" + NODES + "\n",
             "    option mysql-check user u\n" + NODES + " backup\n"),
     "option mysql-check user u", "kept with a difference", "wherever it stands"),
    (listens("    server x 10.0.0.9:3306 check\n" + NODES.replace("check", "check backup") + "\n"),
     "server b", "kept with a difference", "not one after another"),
    (listens("    server x 10.0.0.9:3306 check ssl verify none\n" +
             NODES.replace("check", "check ssl ca-file /ca.pem") + "\n"),
     "server a", "lost", "verified, or none"),
    (listens("    stick-table type ip size 1k store conn_rate(10s)\n"
             "    tcp-request connection track-sc0 src\n    tcp-request connection reject if "
             "{ sc0_conn_rate gt 20 } !{ src 10.0.0.1 }\n" + NODES + "\n"),
     "tcp-request connection reject", "kept with a difference", "for every address"),
], ids=["redirect", "inherited", "backup", "writers", "unchecked", "guessed", "order", "backups",
        "unverified", "excepted"])
def test_what_is_not_the_same_is_said(home, text, directive, verdict, words):
    told = json.loads(run("import", "--report=json", cfg(home, text)).stderr)
    lines = [line for line in told["lines"] if line["directive"].startswith(directive)]
    assert any(line["verdict"] == verdict and any(words in said for said in line["words"])
               for line in lines), lines


def test_certificates_are_asked_where_they_were(home):
    path = cfg(home, HEAD + "listen web\n"
               "    bind :80 ssl crt /a.pem ca-file /b.pem verify required\n"
               "    bind :81 ssl crt /a.pem\n    server a 10.0.0.1:80 check\n")
    sections = run("import", path).stdout.split("\n[")
    assert [":81" in s for s in sections if "tls_client_ca" in s] == [False]
    assert len([s for s in sections if ":81 " in s and "tls = yes" in s]) == 1


def test_the_port_of_a_script_is_not_probed_as_mysql(home):
    path = cfg(home, listens("    default-server port 9201\n    option httpchk GET /slave\n" +
                             NODES + "\n"))
    done = run("import", path)
    assert "protocol = mysql" in done.stdout and "probe_port" not in done.stdout


def test_variables_stay_variables(home):
    path = cfg(home, HEAD + 'listen redis\n    bind "${WHERE}:6379"\n    option tcp-check\n'
               '    tcp-check send "AUTH ${WORD}\\r\\n"\n'
               '    tcp-check send INFO\\ replication\\r\\n'
               '\n    tcp-check expect string role:master\n'
               '    server r0 "${HOST}":6379 check\n')
    env = {"WHERE": "127.0.0.1", "WORD": "s3cret-word", "HOST": "10.0.0.2"}
    done = run("import", path, env=env)
    assert done.returncode == 0, done.stderr
    assert "s3cret-word" not in done.stdout + done.stderr
    for line in ("bind = ${WHERE}:6379", "probe_password = ${WORD}", "server = r0 ${HOST}:6379"):
        assert line in done.stdout


# --- router -f ---


def imported(home, path, admin):
    return home.keep(Imported(home.directory("router"), path, admin))


def admin_section(port):
    return f"listen stats\n    mode http\n    bind 127.0.0.1:{port}\n    stats enable\n"


def greeting(port):
    with socket.create_connection(local(port), timeout=10) as client:
        return read_line(client)


def test_a_reload_reads_the_files_again(home):
    one, two = (home.fake(name_then_echo, name) for name in ("one", "two"))
    port, admin = free_port(), free_port()
    path = cfg(home, HEAD + admin_section(admin) + listen(port, one))
    router = imported(home, path, admin)
    until(lambda: greeting(port) == "one", "the first server")
    cfg(home, HEAD + admin_section(admin) + listen(port, two))
    before = router.log.count("is in force")
    router.process.signal(signal.SIGHUP)
    until(lambda: router.log.count("is in force") > before, "the reload")
    until(lambda: greeting(port) == "two", "the second server")
    for bad, words in ((HEAD + "    frobnicate\n", "frobnicate"),
                       (HEAD + admin_section(admin)
                        + listen(port, one, more="    tcp-request content lua.act\n"), "lua.act")):
        cfg(home, bad)
        before = router.log.count("was not taken")
        router.process.signal(signal.SIGHUP)
        until(lambda count=before: router.log.count("was not taken") > count, "the refusal")
        assert words in router.log
        assert greeting(port) == "two"


def test_what_is_lost_ends_the_start_unless_that_is_wanted(home):
    server = home.fake(echo, "one")
    path = cfg(home, HEAD + listen(free_port(), server, more="    tcp-request content lua.act\n"))
    done = run("-f", path, "-t")
    assert done.returncode == 3
    assert f"{path}:9: lost: tcp-request content lua.act" in done.stderr
    assert "--lenient" in done.stderr
    done = run("-f", path, "--lenient", "-t")
    assert (done.returncode, done.stderr) == (0, "")
    done = run("-f", path, "--lenient", "--dump-config")
    assert "[frontend hubs]" in done.stdout
    for wrong in (("-c", path, "-f", path), ("-c", path, "--lenient"), ("--lenient",)):
        assert run(*wrong).returncode == 1


def test_probes_that_must_log_in_need_somebody(home):
    path = cfg(home, HEAD + "listen db\n    bind :5432\n    option pgsql-check user ha\n"
               "    server a 10.0.0.1:5432 check\n")
    done = run("import", path)
    assert done.returncode == 0
    assert "probe_user = ha" in done.stdout
    assert "probe_password = ${ROUTER_PROBE_PASSWORD:-}" in done.stdout
    done = run("-f", path, "-t")
    assert done.returncode == 3 and "set ROUTER_PROBE_USER" in done.stderr
    assert run("-f", path, "-t", "--lenient").returncode == 0
    assert run("-f", path, "-t", env={"ROUTER_PROBE_PASSWORD": ""}).returncode == 0


def test_a_page_behind_a_frontend_keeps_its_address(home):
    path = cfg(home, HEAD + "frontend http\n    bind 127.0.0.1:9000\n    default_backend page\n"
               "backend page\n    mode http\n    stats enable\n    stats auth me:word\n"
               + listen(1, home.fake(echo, "one")))
    done = run("import", path)
    assert done.returncode == 0, done.stderr
    for line in ("admin = 127.0.0.1:9000", "admin_user = me", "admin_password = word"):
        assert line in done.stdout


def test_a_section_that_is_disabled_opens_nothing(home):
    path = cfg(home, PLAIN + "listen closed\n    disabled\n    bind :81\n"
               "    server a 10.0.0.1:80 check\n")
    done = run("import", path)
    assert done.returncode == 0, done.stderr
    assert "[frontend web]" in done.stdout and "closed" not in done.stdout.replace("; ", "")
    assert ":81" not in "".join(line for line in done.stdout.splitlines() if "=" in line)


def test_who_is_led_to_the_primary_while_there_is_one_writes_nowhere_else(home):
    servers = "    server a 10.0.0.1:6379 check\n    server b 10.0.0.2:6379 check\n"
    role = ("    option tcp-check\n    tcp-check send INFO\\ replication\\r\\n\n"
            "    tcp-check expect string role:{}\n")
    path = cfg(home, HEAD + "frontend f\n    bind :6379\n"
               "    use_backend one if {{ nbsrv(one) ge 1 }}\n    default_backend two\n"
               .replace("{{", "{").replace("}}", "}")
               + "backend one\n" + role.format("master") + servers
               + "backend two\n" + role.format("slave") + servers)
    done = run("import", path)
    assert "route = primary" in done.stdout and "route = replica" not in done.stdout
    assert "clients wait for the primary" in done.stderr


def test_several_files_are_one(home):
    cfg(home, HEAD, "10-defaults.cfg")
    cfg(home, "listen web\n    bind :80\n    balance first\n    server a 10.0.0.1:80 check\n",
        "20-web.cfg")
    cfg(home, "this is no configuration\n", "30-web.txt")
    both = run("import", os.path.join(home.path, "10-defaults.cfg"),
               os.path.join(home.path, "20-web.cfg"))
    folder = run("import", home.path)
    assert (both.returncode, folder.returncode) == (0, 0), folder.stderr
    assert "20-web.cfg:2" in both.stdout
    assert both.stdout == folder.stdout
    assert run("-t", "-f", home.path).returncode == 0


# --- --check ---


def haproxy(home, path):
    process = home.keep(Process(["haproxy", "-db", "-f", path], os.path.join(home.path, "log")))
    process.close = process.kill
    return process


def lines_of(done):
    table = done.stdout.split("\n\n")[-1].splitlines()
    return {line.split()[2]: line for line in table[1:-1]}, table[-1]


def test_it_tells_who_else_would_be_reached(home):
    a, b = home.redis_group("a", "b", requirepass="s3cret-word")
    port, socket_path = free_port(), os.path.join(home.path, "haproxy.sock")
    path = cfg(home, f"global\n    stats socket {socket_path}\n" + HEAD
               + "    timeout check 300ms\n    default-server inter 100ms fall 1 rise 1\n"
               + listen(port, a, b, more=ROLE))
    alone = run("import", "--check", path)
    assert "HAProxy was not heard" in alone.stdout and alone.returncode == 0, alone.stdout
    haproxy(home, path)

    def port_met():
        with Resp(local(port), 2) as client:
            client.call("AUTH", "s3cret-word")
            return int(client.call("CONFIG", "GET", "port")[1])

    def only_a():
        try:
            return {port_met() for _ in range(4)} == {a.port}
        except (OSError, EOFError):
            return False

    until(only_a, "HAProxy to know the primary")
    same = run("import", "--check", path)
    servers, verdict = lines_of(same)
    assert (same.returncode, verdict) == (0, "the same servers serve"), same.stdout
    assert servers["a"].split()[3:6] == ["yes", "yes", "primary"]
    assert servers["b"].split()[3:6] == ["no", "no", "replica"]
    b.promote()  # now both say role:master, and HAProxy writes to both of them

    def both():
        return {port_met() for _ in range(6)} == {a.port, b.port}

    until(both, "HAProxy to use both")
    other = run("import", "--check", path)
    servers, verdict = lines_of(other)
    assert (other.returncode, verdict) == (1, "clients would reach other servers"), other.stdout
    assert "DIFFERS" in servers["a"] or "DIFFERS" in servers["b"]
