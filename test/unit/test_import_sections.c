/* Promise: lines are in the sections in which HAProxy sees them, sections inherit from the defaults
 * that HAProxy takes, and what .if leaves out is kept aside with a verdict. */
#include "source_fixture.h"

#include "base/macros.h"

static const struct section *section_named(const struct source *s, const char *name)
{
    for (size_t i = 0; i < s->section_count; i++) {
        if (strcmp(s->sections[i]->name, name) == 0) {
            return s->sections[i];
        }
    }
    fail_msg("no section '%s'", name);
    return NULL;
}

static void every_section_has_its_kind_name_and_lines(void **state)
{
    (void)state;
    struct source s = read_good("global\n"
                                " daemon\n"
                                "\n"
                                "defaults d\n"
                                "listen l\n"
                                " bind :1\n"
                                " server a 10.0.0.1:1\n"
                                "frontend f\n"
                                "backend b\n"
                                "peers p\n"
                                "resolvers r\n"
                                "userlist u\n"
                                "cache c\n"
                                " total-max-size 4\n"
                                "program x\n"
                                "crt-store\n"
                                "global\n"
                                " maxconn 1\n");
    static const struct {
        enum section_kind kind;
        const char *name;
        size_t line;
        size_t lines;
    } expected[] = {{SECTION_GLOBAL, "", 1, 1},      {SECTION_DEFAULTS, "d", 4, 0},
                    {SECTION_LISTEN, "l", 5, 2},     {SECTION_FRONTEND, "f", 8, 0},
                    {SECTION_BACKEND, "b", 9, 0},    {SECTION_PEERS, "p", 10, 0},
                    {SECTION_RESOLVERS, "r", 11, 0}, {SECTION_USERLIST, "u", 12, 0},
                    {SECTION_OTHER, "c", 13, 1},     {SECTION_OTHER, "x", 15, 0},
                    {SECTION_OTHER, "", 16, 0},      {SECTION_GLOBAL, "", 17, 1}};
    assert_int_equal(s.section_count, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct section *section = s.sections[i];
        assert_int_equal(section->kind, expected[i].kind);
        assert_string_equal(section->name, expected[i].name);
        assert_int_equal(section->header->place.number, expected[i].line);
        assert_ptr_equal(section->header->section, section);
        assert_int_equal(section->count, expected[i].lines);
        for (size_t j = 0; j < section->count; j++) {
            assert_ptr_equal(section->lines[j]->section, section);
            assert_null(section->lines[j]->keyword);
        }
    }
    assert_line(s.sections[2]->lines[1], "server|a|10.0.0.1:1");
    assert_int_equal(s.sections[2]->lines[1]->place.number, 7);
    assert_string_equal(s.sections[2]->lines[1]->place.file, "h.cfg");
    source_free(&s);
}

static void sections_inherit_from_the_last_defaults_or_those_they_name(void **state)
{
    (void)state;
    struct source s = read_good("backend none\n"
                                "defaults\n"
                                "backend unnamed\n"
                                "defaults one\n"
                                "frontend last\n"
                                "defaults two from one\n"
                                "defaults three/4\n"
                                "listen named from two\n"
                                "backend later\n"
                                "peers p\n");
    assert_null(section_named(&s, "none")->from);
    assert_ptr_equal(section_named(&s, "unnamed")->from, s.sections[1]);
    assert_ptr_equal(section_named(&s, "last")->from, section_named(&s, "one"));
    assert_ptr_equal(section_named(&s, "two")->from, section_named(&s, "one"));
    assert_null(section_named(&s, "one")->from);
    assert_ptr_equal(section_named(&s, "named")->from, section_named(&s, "two"));
    assert_ptr_equal(section_named(&s, "later")->from, section_named(&s, "three/4"));
    assert_null(section_named(&s, "p")->from);
    source_free(&s);
    s = read_good("defaults a\ndefaults from a\nbackend b\n");
    assert_string_equal(s.sections[1]->name, "");
    assert_ptr_equal(s.sections[1]->from, s.sections[0]);
    assert_ptr_equal(s.sections[2]->from, s.sections[1]);
    source_free(&s);
}

static void no_and_default_are_noted(void **state)
{
    (void)state;
    struct source s = read_good("defaults\n"
                                " no option redispatch\n"
                                " default option redispatch\n"
                                " option redispatch\n"
                                " no log\n");
    const struct section *d = s.sections[0];
    assert_line(d->lines[0], "option|redispatch");
    assert_true(d->lines[0]->negated && !d->lines[0]->defaulted);
    assert_line(d->lines[1], "option|redispatch");
    assert_true(!d->lines[1]->negated && d->lines[1]->defaulted);
    assert_true(!d->lines[2]->negated && !d->lines[2]->defaulted);
    assert_line(d->lines[3], "log");
    assert_true(d->lines[3]->negated);
    source_free(&s);
}

static void assert_skipped(const struct source *s, size_t i, const char *words,
                           enum verdict verdict, const char *remark)
{
    assert_true(i < s->skipped_count);
    const struct line *l = s->skipped[i];
    assert_line(l, words);
    assert_null(l->section);
    assert_int_equal(l->verdict, verdict);
    assert_non_null(l->remarks);
    assert_string_equal(l->remarks->words, remark);
}

static void what_if_leaves_out_is_aside_with_a_verdict(void **state)
{
    (void)state;
    struct source s = read_good("global\n"
                                ".if streq(\"$PLAIN\",a)\n"
                                " daemon\n"
                                ".elif 1\n"
                                " quiet\n"
                                ".if 1\n"
                                ".endif\n"
                                ".else\n"
                                ".endif\n"
                                ".if version_before(3.2)\n"
                                " nbproc 1\n"
                                ".else\n"
                                " nbthread 1\n"
                                ".endif\n"
                                ".notice hello\n"
                                "\"\" x\n");
    assert_int_equal(s.sections[0]->count, 2);
    assert_line(s.sections[0]->lines[0], "daemon");
    assert_line(s.sections[0]->lines[1], "nbthread|1");
    assert_int_equal(s.skipped_count, 13);
    assert_skipped(&s, 0, ".if|streq(a,a)", VERDICT_DIFFERENCE, "true, decided now and for good");
    assert_skipped(&s, 1, ".elif|1", VERDICT_NOT_NEEDED, "");
    assert_skipped(&s, 2, "quiet", VERDICT_NOT_NEEDED, "left out by its .if");
    assert_skipped(&s, 3, ".if|1", VERDICT_NOT_NEEDED, "");
    assert_skipped(&s, 4, ".endif", VERDICT_NOT_NEEDED, "");
    assert_skipped(&s, 5, ".else", VERDICT_KEPT, "");
    assert_skipped(&s, 7, ".if|version_before(3.2)", VERDICT_KEPT, "false for HAProxy 3.2.0");
    assert_skipped(&s, 8, "nbproc|1", VERDICT_NOT_NEEDED, "left out by its .if");
    assert_skipped(&s, 11, ".notice|hello", VERDICT_NOT_NEEDED, "only says something");
    assert_skipped(&s, 12, "|x", VERDICT_NOT_NEEDED,
                   "HAProxy ignores a line that begins with an empty word");
    source_free(&s);
}

static void assert_shown(const struct line *l, const char *expected)
{
    struct text t = {0};
    line_show(l, &t);
    assert_string_equal(t.data, expected);
    text_free(&t);
}

static void neither_variables_nor_secrets_are_shown(void **state)
{
    (void)state;
    struct source s = read_good("global\n"
                                " setenv PW s3cret\n"
                                " presetenv TOKEN \"s3cret\"\n"
                                " x \"<$SPACED>$NONE-\" \"${PLAIN-d}\" a\n"
                                ".if streq(\"$SPACED\",s)\n"
                                " setenv PW s3cret\n"
                                " tcp-check send AUTH\\ s3cret\n"
                                " stats auth admin:s3cret\n"
                                " user me insecure-password s3cret\n"
                                " bind :80\n"
                                ".endif\n");
    const struct section *g = s.sections[0];
    assert_shown(g->lines[0], "setenv PW ***");
    assert_shown(g->lines[1], "presetenv TOKEN ***");
    assert_shown(g->lines[2], "x \"<${SPACED}>${NONE}-\" \"${PLAIN}\" a");
    assert_shown(s.skipped[0], ".if \"streq(${SPACED},s)\"");
    assert_shown(s.skipped[1], "setenv PW ***");
    assert_shown(s.skipped[2], "tcp-check send ***");
    assert_shown(s.skipped[3], "stats auth ***");
    assert_shown(s.skipped[4], "user me *** ***");
    assert_shown(s.skipped[5], "bind :80");
    source_free(&s);
}

/* Each says whether its condition holds. */
static void assert_holds(const char *condition, bool holds)
{
    struct text t = {0};
    text_add(&t, ".if %s\nglobal\n.endif\n", condition);
    struct source s = read_good(t.data);
    if ((s.section_count == 1) != holds) {
        print_error("%s\n", condition);
    }
    assert_int_equal(s.section_count, holds);
    source_free(&s);
    text_free(&t);
}

static void conditions_are_judged_as_haproxy_3_2_would(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"version_atleast(3.2)", true},
        {"version_atleast(3.2.0)", true},
        {"version_atleast(3.2-dev4)", true},
        {"version_atleast(3.2.1)", false},
        {"version_atleast(3.3-dev0)", false},
        {"version_atleast(2.99.99)", true},
        {"version_before(3.2)", false},
        {"version_before(3.3-dev1)", true},
        {"feature(OPENSSL)", true},
        {"feature(SSL)", true},
        {"feature(QUIC)", false},
        {"feature(OPEN)", false},
        {"enabled(EPOLL)", true},
        {"enabled(KQUEUE)", false},
        {"strstr(abc,bc)", true},
        {"strstr(abc,cb)", false},
        {"strneq(a,b)", true},
        {"ssllib_name_startswith(OpenSSL)", true},
        {"ssllib_name_startswith(wolf)", false},
        {"openssl_version_atleast(1.1.1)", true},
        {"openssl_version_before(1.1.1)", false},
        {"fips_mode", false},
        {"!fips_mode() && 1", true},
        {"defined(PLAIN) && !defined(NONE)", true},
        {"defined(EMPTY)", true},
        {"streq(\"$SPACED\",'x y')", true},
        {"streq(\"$NONE\",)", true},
        {"streq(\\\"a,b\\\",\\\"a,b\\\")", true},
        {"(1 && (0 || !0))", true},
        {"1 || 0 && 0", true},
        {"\"$EMPTY\"", false},
        {"", false},
        {"00", false},
        {"-1", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_holds(cases[i].condition, cases[i].holds);
    }
}

static void conditions_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"foo",
                                      "1 2",
                                      "(1",
                                      "1)",
                                      "1 &&",
                                      "|| 1",
                                      "streq(a)",
                                      "streq",
                                      "streq(a,b,c)",
                                      "streq(a,b",
                                      "!",
                                      "defined(a\\\\",
                                      "awslc_api_atleast(3)",
                                      "openssl_version_before(x)"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct text t = {0};
        text_add(&t, "\n.if %s\n.endif\nfoo\n", bad[i]);
        struct source s;
        char *errors;
        assert_true(read_bytes(&s, t.data, t.len, &errors) != 0);
        /* HAProxy reads no further. */
        assert_int_equal(s.error_count, 1);
        assert_memory_equal(errors, "h.cfg:2: ", 9);
        source_free(&s);
        free(errors);
        text_free(&t);
    }
}

static void mistakes_of_sections_are_named(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"foo bar\n", "h.cfg:1: unknown keyword 'foo' out of section\n"},
        {"listen a\nbackend a\n",
         "h.cfg:2: backend 'a' has the same name as listen 'a' declared at h.cfg:1\n"},
        {"defaults a\nbackend b from a\ndefaults a\n",
         "h.cfg:3: defaults 'a' was declared at h.cfg:1 and is referred to: it cannot be "
         "replaced\n"},
        {"defaults a\ndefaults a\nbackend b from a\n",
         "h.cfg:3: ambiguous defaults section name 'a': there are several\n"},
        {"backend b from a\n", "h.cfg:1: defaults section 'a' not found\n"},
        {"backend a/b\nbackend a'\x01'\n",
         "h.cfg:1: character '/' is not permitted in 'backend' name 'a/b'\n"
         "h.cfg:2: character '?' is not permitted in 'backend' name 'a?'\n"},
        {"a\\nb\n", "h.cfg:1: unknown keyword 'a?b' out of section\n"},
        {".if streq(a,b) x\n",
         "h.cfg:1: unexpected end of conditional expression at 'x' in '.if'\n"},
        /* What a variable holds is not shown. */
        {".if \"$SPACED\"\n", "h.cfg:1: unparsable conditional expression at '...' in '.if'\n"},
        {"frontend f :80\n", "h.cfg:1: 'frontend' cannot handle unexpected argument ':80': "
                             "addresses belong to 'bind'\n"},
        {"global\n no maxconn 1\n no\n",
         "h.cfg:2: 'no' and 'default' are not supported before 'maxconn'\n"
         "h.cfg:3: 'no' and 'default' are not supported before ''\n"},
        {"log-forward b\ndefaults b\n",
         "h.cfg:2: defaults 'b' has the same name as log-forward 'b' declared at h.cfg:1\n"},
        {".if 1\nglobal\n\n", "h.cfg:3: non-terminated '.if' block (of line 1)\n"},
        {".alert \"no way\"\nfoo\n", "h.cfg:1: 'no way'\n"},
        {"[a b]\n", "h.cfg:1: this is no scope\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_refused(cases[i][0], cases[i][1]);
    }
}

static int setup(void **state)
{
    (void)state;
    set_variables();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_section_has_its_kind_name_and_lines),
        cmocka_unit_test(sections_inherit_from_the_last_defaults_or_those_they_name),
        cmocka_unit_test(no_and_default_are_noted),
        cmocka_unit_test(what_if_leaves_out_is_aside_with_a_verdict),
        cmocka_unit_test(neither_variables_nor_secrets_are_shown),
        cmocka_unit_test(conditions_are_judged_as_haproxy_3_2_would),
        cmocka_unit_test(conditions_that_cannot_be_read_are_named),
        cmocka_unit_test(mistakes_of_sections_are_named),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
