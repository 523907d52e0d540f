"""Promise: what HAProxy refuses the import refuses, by the same line; what HAProxy forgives, it
does too; and nothing that it is given costs more than some memory and a moment."""
import os
import random
import re
import time

import pytest

from lib import bad_haproxy, corpus
from lib.router import run
from lib.waiting import SLOW

MEGABYTES = 100      # of data, beyond what the program itself is
SECONDS = 5


def refused(home, words, name="bad.cfg"):
    """What the import says of a file that it must refuse."""
    path = os.path.join(home.path, name)
    with open(path, "wb") as file:
        file.write(words if isinstance(words, bytes) else words.encode())
    return refused_path(path)


def refused_path(*paths):
    done = run("import", *paths)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.strip()
    return done.stderr


def lines_named(path, said, before="^"):
    """Ours begin a line with the place; HAProxy's have it in brackets."""
    found = re.findall(before + re.escape(path) + r":(\d+)", said, re.M)
    return {int(number) for number in found}


# --- what HAProxy says ---


@pytest.mark.parametrize("name", bad_haproxy.FILES)
def test_the_line_that_haproxy_names_is_named(home, name):
    line, words = bad_haproxy.FILES[name]
    said = refused(home, words)
    path = os.path.join(home.path, "bad.cfg")
    judged = corpus.haproxy("-f", path)
    assert judged.returncode == 1, judged.stdout
    theirs = {line for text in judged.stdout.split("\n") if "[ALERT]" in text
              for line in lines_named(path, text, r"\[")}
    assert not theirs or line in theirs, judged.stdout  # of names that are not there it has none
    assert line in lines_named(path, said), said
    assert lines_named(path, said) <= theirs | {line}, said + judged.stdout


@pytest.mark.parametrize("name", bad_haproxy.FORGIVEN)
def test_what_haproxy_forgives_is_imported(home, name):
    path = os.path.join(home.path, "odd.cfg")
    with open(path, "w", encoding="ascii", newline="") as file:
        file.write(bad_haproxy.FORGIVEN[name])
    judged = corpus.haproxy("-f", path)
    assert judged.returncode == 0, judged.stdout
    done = run("import", path)
    assert done.returncode in (0, 3), done.stderr
    imported = home.file("router.ini", done.stdout)
    checked = run("-t", "-c", imported)
    assert checked.returncode == 0, checked.stderr + done.stdout


def test_all_that_is_wrong_is_named_at_once(home):
    _, first = bad_haproxy.FILES["unknown keyword"]
    said = refused(home, first + "    mode udp\n    timeout client 5x\n" + "    balance first\n")
    assert lines_named(os.path.join(home.path, "bad.cfg"), said) == {8, 9, 10}


def test_of_several_files_the_one_is_named(home):
    good = home.file("a.cfg", bad_haproxy.DEFAULTS)
    bad = home.file("b.cfg", "listen l\n    bind 127.0.0.1:1\n    frobnicate\n")
    said = refused_path(good, bad)
    assert lines_named(bad, said) == {3} and not lines_named(good, said)


# --- what nobody wrote by hand ---


@pytest.fixture
def bounded():
    """run("import", *paths) of what must be refused, within bounds."""
    def limited(argv):
        limits = [] if SLOW > 1 else ["prlimit", f"--data={MEGABYTES << 20}"]  # not of sanitizers
        return limits + argv

    def bounded_run(*paths):
        began = time.monotonic()
        done = run("import", *paths, wrap=limited)
        assert time.monotonic() - began < SECONDS * SLOW
        assert done.returncode == 1, (done.returncode, done.stderr[-2000:])
        assert done.stdout == "" and done.stderr.strip()
        assert len(done.stderr) < 20000
        return done.stderr

    return bounded_run


def written(home, name, data):
    path = os.path.join(home.path, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


@pytest.mark.parametrize("seed", range(5))
def test_binary_junk(home, bounded, seed):
    junk = random.Random(seed).randbytes(300000)
    assert bounded(written(home, "junk.cfg", junk)).isprintable() is False  # it has line ends
    assert "\x1b" not in bounded(written(home, "junk.cfg", b"\x1b[31m" + junk))


def test_a_program(home, bounded):
    with open("/usr/sbin/haproxy", "rb") as file:
        bounded(written(home, "program.cfg", file.read()))


@pytest.mark.parametrize("line", [
    b"    log " + b"x" * 10_000_000, b"#" * 10_000_000, b"    bind " + b"\\" * 10_000_000,
    b'    description "' + b"${A}" * 2_500_000, b"    bind" + b" x" * 5_000_000,
], ids=["one word", "a comment", "backslashes", "references", "words"])
def test_a_line_of_ten_megabytes(home, bounded, line):
    bounded(written(home, "long.cfg", bad_haproxy.LISTEN.encode() + line + b"\n"))


@pytest.mark.parametrize("line", [b"\n", b"listen l\n", b".if 1\n", b"    frobnicate\n", b"\0"],
                         ids=["empty", "sections", ".if", "wrong", "NUL"])
def test_lines_without_end(home, bounded, line):
    bounded(written(home, "many.cfg", line * (9_000_000 // len(line))))


def servers(count):
    return bad_haproxy.LISTEN + "".join(
        f"    server s{n} 10.{n >> 16}.{(n >> 8) & 255}.{n & 255}:1\n" for n in range(count))


def test_a_million_servers(home, bounded):
    bounded(written(home, "servers.cfg", servers(1_000_000).encode()))


def test_more_servers_than_there_may_be(home, bounded):
    bounded(written(home, "servers.cfg", servers(10_000).encode()))


def test_a_million_servers_in_a_line(home):
    done = run("import", home.file("t.cfg", bad_haproxy.LISTEN +
                                   "    server-template s 1000000 a.example:1 init-addr none\n"))
    assert done.returncode in (0, 1) and len(done.stdout) < 5000  # one name, whatever the number


def test_a_variable_in_a_variable_ends(home, bounded):
    words = "global\n" + "".join(
        f'    setenv A{n + 1} "${{A{n}}}${{A{n}}}${{A{n}}}${{A{n}}}"\n' for n in range(40))
    bounded(written(home, "env.cfg", words.replace("${A0}", "x" * 1000).encode()))


def test_directories_in_circles(home, bounded):
    folder = home.directory("circle")
    os.symlink(".", os.path.join(folder, "a.cfg"))
    os.symlink("c.cfg", os.path.join(folder, "b.cfg"))
    os.symlink("b.cfg", os.path.join(folder, "c.cfg"))
    bounded(folder)
    bounded(os.path.join(folder, "b.cfg"))


def test_files_without_end(bounded):
    bounded("/dev/zero")
    bounded("/dev/urandom")


def test_too_many_files(home, bounded):
    folder = home.directory("many")
    for number in range(1000):
        written(home, os.path.join(folder, f"{number:04}.cfg"), bad_haproxy.DEFAULTS.encode())
    bounded(folder)


def test_nothing_to_read(home, bounded):
    bounded(os.path.join(home.path, "absent.cfg"))
    bounded(os.path.join(home.directory("locked.cfg"), "x.cfg"))
    for nothing in (home.directory("empty"), home.file("empty.cfg", "")):
        done = run("import", nothing)
        assert done.returncode == 1 and "there is no [frontend NAME]" in done.stderr, done.stderr
