"""Logs in with the clients that people have. Each takes Logins and an address, and tells of each
what became of it: ("in", what WHO selects) or ("out", code, SQLSTATE, words), as far as it knows
that."""
import json
import os
import re
import subprocess

import pymysql

from lib import mysql, node, sid
from lib.mysql_speaker import Speaker, MySQLError, trusting
from lib.mysql_people import SERVER_NAME
from lib.waiting import SLOW

CLIENTS = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "clients"))
WHO = ("SELECT CURRENT_USER(), USER(), COALESCE(DATABASE(), ''), @@character_set_client,"
       " @@collation_connection")
ERROR = re.compile(r"ERROR (\d+)(?: \((\w+)\))?:? ?(.*)")
SECONDS = 30


def run(*argv, stdin="", check=True):
    done = subprocess.run(["setpriv", "--pdeathsig", "KILL", *argv], input=stdin, check=False,
                          capture_output=True, text=True, timeout=SECONDS * SLOW)
    if check:
        assert done.returncode == 0, (argv, done.stdout[-2000:], done.stderr[-4000:])
    return done


def by_hand(login, address, tls, _people):
    try:
        client = Speaker(address, login.account.name, login.secret, login.database or None,
                             tls=trusting() if tls else None)
        row = client.rows(WHO)[0]
        client.quit()
        return ("in", *row)
    except MySQLError as error:
        return "out", *error.told


def by_pymysql(login, address, tls, people):
    ssl = {"ca": people.authority.ca, "check_hostname": False} if tls else None
    try:
        connection = pymysql.connect(
            host=address[0], port=address[1], user=login.account.name, password=login.secret,
            database=login.database or None, ssl=ssl, connect_timeout=SECONDS,
            read_timeout=SECONDS)
        with connection, connection.cursor() as cursor:
            cursor.execute(WHO)
            return ("in", *cursor.fetchone())
    except RuntimeError:  # a library of Python's for that plugin is not in Debian's package
        return "out", 0, "", ""
    except pymysql.MySQLError as error:
        return "out", error.args[0], "", error.args[1]


def _of_command_line(done):
    if done.returncode == 0:
        return ("in", *done.stdout.rstrip("\n").split("\t"))
    found = ERROR.search(done.stderr)
    assert found or "expired" in done.stdout, (done.args, done.stdout, done.stderr)
    return (("out", int(found[1]), found[2] or "", found[3]) if found
            else ("out", done.stdout, "", done.stderr))


def _arguments(login, address):
    base = ["-D", login.database] if login.database else []
    return ["-h", address[0], "-P", str(address[1]), "-u", login.account.name,
            f"--password={login.secret}", *base, "-N", "-B", "-e", WHO]


def by_mariadb(login, address, tls, people):
    safe = (["--ssl", f"--ssl-ca={people.authority.ca}", "--ssl-verify-server-cert"] if tls
            else ["--skip-ssl"])
    return _of_command_line(run("mariadb", "--no-defaults", *safe, *_arguments(login, address),
                                check=False))


def by_mysql(login, address, tls, people):
    """Of MySQL 9.7, in its own Debian."""
    safe = (["--ssl-mode=VERIFY_CA", f"--ssl-ca=/srv/{os.path.basename(people.authority.ca)}"]
            if tls else ["--ssl-mode=DISABLED", "--get-server-public-key"])
    return _of_command_line(run(*inside(people, "/usr/bin/mysql", "--no-defaults", *safe,
                                        *_arguments(login, address)), check=False))


def inside(people, *argv):
    """A command of the Debian that MySQL is in; the server's directory is /srv there."""
    return sid.command(mysql.folder(), people.server.directory, "/etc/hosts", list(argv))


def _one_by_one(log_in):
    return lambda logins, address, tls, people: [
        log_in(login, address, tls, people) for login in logins]


def _by_program(*argv):
    """One program that is told all of them."""
    def log_in(logins, address, tls, people):
        jobs = [{"user": login.account.name, "password": login.secret, "port": address[1],
                 "database": login.database, "tls": tls, "ca": people.authority.ca, "query": WHO}
                for login in logins]
        command = [node.modules() if part is node else part for part in argv]
        told = json.loads(run(*command, stdin=json.dumps(jobs)).stdout)
        return [("in", *a["row"]) if "row" in a else
                ("out", a["code"], a["state"], a["words"]) for a in told]
    return log_in


PHP = os.path.join(CLIENTS, "mysql_logins.php")
ALL = {
    "hand": _one_by_one(by_hand), "pymysql": _one_by_one(by_pymysql),
    "mariadb": _one_by_one(by_mariadb), "mysql": _one_by_one(by_mysql),
    "mysqli": _by_program("php", PHP, "mysqli"), "pdo": _by_program("php", PHP, "pdo"),
    "mysql2": _by_program("node", os.path.join(CLIENTS, "mysql_logins.js"), node),
}
assert SERVER_NAME in open(os.path.join(CLIENTS, "mysql_logins.js"), encoding="ascii").read()
