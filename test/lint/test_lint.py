"""Each house rule finds the offender planted for it, and leaves its neighbour alone."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from csource import Source  # noqa: E402
from lint import Linter  # noqa: E402


def found(tmp_path, path, text):
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return [f"{where}:{line}: {words}" for where, line, words in Linter(tmp_path).run()]


def function(lines, name="f"):
    """A function of so many lines, with braces where they must not be counted."""
    trap = ['    s = "}"; /* } */ c = \'{\'; // {'] if lines > 2 else []
    body = trap + ["    x++;"] * (lines - 3 - len(trap))
    return "\n".join([f"static int {name}(int x)", "{"] + body + ["}"]) + "\n"


def test_a_function_of_61_lines_is_found_and_one_of_60_is_not(tmp_path):
    text = "struct a {\n    int b;\n};\n\n" + function(60, "fits") + "\n" + function(61, "long_one")
    assert found(tmp_path, "src/net/a.c", text) == [
        "src/net/a.c:66: long_one() has 61 lines, more than 60"]


def test_a_signature_on_two_lines_counts_as_two(tmp_path):
    text = function(60).replace("static int f(int x)", "static int f(int x,\n             int y)")
    assert "f() has 61 lines" in found(tmp_path, "src/net/a.c", text)[0]


def test_a_file_of_501_lines_is_found_and_one_of_500_is_not(tmp_path):
    assert found(tmp_path, "src/net/fits.c", "int a;\n" * 500) == []
    assert "501 lines, more than 500" in found(tmp_path, "src/net/long.c", "int a;\n" * 501)[0]


def test_a_line_of_101_columns_is_found(tmp_path):
    assert found(tmp_path, "src/net/fits.c", "x" * 100 + "\n") == []
    assert found(tmp_path, "src/net/wide.c", "x" * 101) == [
        "src/net/wide.c:1: 101 columns, more than 100"]


FLAT = """
int f(int a)
{
    if (a) {
        x();
    } else if (a > 1) {
        for (;;) {
            while (a)
                a--;
        }
    } else {
        static const int t[] = {1, 2, 3};
        { { { y((struct b){.c = {0}}); } } }
    }
    switch (a) {
    case 1: {
        do {
            if (a)
                break;
        } while (0);
        break;
    }
    case A ? 2 : 3:
    default:
        goto out;
    }
out:
    return 0;
}
"""


def nesting(text):
    (only,) = Source(text).functions
    return only.deepest


def test_nesting_is_counted_by_control_statements_not_by_braces():
    assert nesting(FLAT) == 3


@pytest.mark.parametrize("deeper", [
    "if (b) a = 1;", "if (b) { a = 1; }", "for (;;) a--;", "do { a--; } while (b);",
    "switch (a) { case 1: break; }", "LIST_EACH(it, head) { a--; }", "for (;;);",
    "if (b) ; else x();"])
def test_one_control_statement_more_nests_deeper(deeper):
    assert nesting(FLAT.replace("a--;\n", deeper + "\n", 1)) == 4


def test_four_deep_is_found(tmp_path):
    text = "void f(void)\n{\n    if (a)\n        if (b)\n            if (c)\n" \
           "                if (d)\n                    e();\n}\n"
    assert found(tmp_path, "src/core/a.c", text) == [
        "src/core/a.c:6: f() nests 4 deep, more than 3"]


def test_functions_are_told_from_types_values_and_macros():
    text = """
#define LOOP(x) \\
    for (;;) { \\
    }
struct a { int (*f)(void); } b = { .f = g };
static const struct c table[] = {
    {1, f(2)}, {3, 4},
};
enum d { E, F };
COLD __attribute__((noreturn)) static void one(int (*callback)(int), char x[3])
{
}
#ifdef A
int two(void) { return sizeof(struct { int a; }); }
#endif
int not_this(void);
struct e *three(void) { return &(struct e){.f = 1}; }
"""
    functions = Source(text).functions
    assert [f.name for f in functions] == ["one", "two", "three"]
    assert [f.lines for f in functions] == [3, 1, 1]


@pytest.mark.parametrize("path, include", [
    ("src/base/a.h", "net/loop.h"), ("src/net/a.c", "model/topology.h"),
    ("src/net/a.c", "proto/redis.h"), ("src/model/a.c", "net/conn.h"),
    ("src/model/route.c", "proto/proto.h"), ("src/proto/redis.c", "model/topology.h"),
    ("src/core/session.c", "ctl/control.h"), ("src/ctl/control.c", "core/worker.h"),
    ("src/routerctl/a.c", "ctl/control.h"), ("src/routerctl/a.c", "model/config.h"),
    ("src/ctl/a.c", "routerctl/json.h"), ("src/core/a.c", "router.h"),
    ("src/main.c", "core/worker.h"), ("src/odd/a.c", "base/log.h"),
    ("src/net/a.c", "loop.h"), ("include/router.h", "model/config.h")])
def test_an_include_that_goes_up_or_sideways_is_found(tmp_path, path, include):
    (only,) = found(tmp_path, path, f'/* a */\n#include <uv.h>\n#include "{include}"\nint a;\n')
    assert include in only or "not a layer" in only


@pytest.mark.parametrize("path, include", [
    ("src/net/a.c", "base/log.h"), ("src/proto/redis.c", "model/observation.h"),
    ("src/model/config_parse.c", "proto/proto.h"), ("src/core/session.c", "model/topology.h"),
    ("src/router.c", "core/worker.h"), ("src/main.c", "model/config.h")])
def test_an_include_that_goes_down_is_fine(tmp_path, path, include):
    assert found(tmp_path, path, f'#include "{include}"\nint a;\n') == []


def test_an_umbrella_header_is_found(tmp_path):
    (only,) = found(tmp_path, "src/core/all.h", '/* all */\n#include "base/log.h"\n')
    assert "umbrella" in only
    many = "".join(f'#include "base/{n}.h"\n' for n in range(13)) + "int a;\n"
    assert "umbrella" in found(tmp_path, "src/core/many.h", many)[0]


@pytest.mark.parametrize("path, call", [
    ("src/ctl/a.c", "uv_async_send(&a)"), ("src/net/loop.c", "uv_async_send(&a)"),
    ("src/ctl/probe.c", "uv_getaddrinfo(a)"), ("src/core/session.c", "uv_timer_start(a)"),
    ("src/router.c", "uv_timer_init(a)"), ("src/net/a.c", "strcpy(a, b)"),
    ("bench/a.c", "strcat(a, b)"), ("test/unit/a.c", "sprintf (a, b)"), ("src/net/a.c", "gets(a)")])
def test_a_forbidden_call_is_found(tmp_path, path, call):
    (only,) = found(tmp_path, path, f"void f(void)\n{{\n    {call};\n}}\n")
    assert call.split("(")[0].strip() + "()" in only


@pytest.mark.parametrize("path, line", [
    ("src/net/mailbox.c", "uv_async_send(&a);"), ("src/ctl/resolve.c", "uv_getaddrinfo(a);"),
    ("src/net/deadline.c", "uv_timer_start(a);"), ("src/ctl/probe.c", "uv_timer_stop(a);"),
    ("src/net/a.c", "snprintf(a, b);"), ("src/net/a.c", "/* strcpy(a) */ p(\"gets(a)\");")])
def test_a_call_where_it_belongs_is_fine(tmp_path, path, line):
    assert found(tmp_path, path, f"void f(void)\n{{\n    {line}\n}}\n") == []


def test_a_typedef_of_a_struct_is_found(tmp_path):
    text = "typedef int (*on_done)(int);\ntypedef struct a a_t;\n"
    assert found(tmp_path, "src/net/a.h", text) == ["src/net/a.h:2: typedef of a struct"]


@pytest.mark.parametrize("path", ["src/net/a.c", "test/a.py", "Makefile", "README.md"])
def test_unfinished_work_without_an_issue_is_found(tmp_path, path):
    word = "TO" "DO"
    assert found(tmp_path, path, f"# {word} (#12): later\n") == []
    assert found(tmp_path, path, f"# {word}: later\n") == [
        f"{path}:1: unfinished, and no issue (#1) named"]
