/* Promise: a line becomes the words that HAProxy makes of it: quotes, escapes, comments, variables;
 * and what was a variable is still known to be one. */
#include "source_fixture.h"

#include "base/macros.h"

/* Reads " x LINE" in a section, and shows its words behind the x. */
static void assert_words(const char *line, const char *expected)
{
    struct text t = {0};
    text_add(&t, "global\n x %s\n", line);
    struct source s = read_good(t.data);
    struct line *l = s.sections[0]->lines[0];
    l->words++;
    l->count--;
    assert_line(l, expected);
    source_free(&s);
    text_free(&t);
}

static void quotes_and_escapes_mean_what_they_mean_to_haproxy(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a b\tc", "a|b|c"},
        {"  a  \t b  ", "a|b"},
        {"a\vb\fc", "a|b|c"},
        {"a#b", "a"},
        {"a #b", "a"},
        {"a\\#b", "a#b"},
        {"\"a #b\"", "a #b"},
        {"'a #b'", "a #b"},
        {"a\"b c\"d", "ab cd"},
        {"a'b c'd", "ab cd"},
        {"\"a\"'b'c", "abc"},
        {"\"it's\"", "it's"},
        {"'say \"x\"'", "say \"x\""},
        {"a\\ b", "a b"},
        {"a\\\\b", "a\\b"},
        {"\\\"a\\'", "\"a'"},
        {"\"a\\\"b\"", "a\"b"},
        {"'a\\'b", "a\\b"},
        {"a\\tb\\nc\\rd", "a\tb\nc\rd"},
        {"'a\\tb'", "a\\tb"},
        {"\\x41\\x7e\"\\x20\"", "A~ "},
        {"a\\qb", "a\\qb"},
        {"a\\1", "a\\1"},
        {"a\\", "a\\"}, /* no line goes on */
        {"a\\$b", "a\\$b"},
        {"\"a\\$b\"", "a$b"},
        {"\xc3\xa9\xff", "\xc3\xa9\xff"},
        {"a\\x00bc d", "a|d"}, /* what is behind it cannot be seen */
        {"AUTH\\ s3cret\\r\\n", "AUTH s3cret\r\n"},
        {"\"PING\\r\\n\"", "PING\r\n"},
        {"[::]:80", "[::]:80"},
        {"{ src 10.0.0.0/8 }", "{|src|10.0.0.0/8|}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_words(cases[i][0], cases[i][1]);
    }
}

static void variables_stand_in_double_quotes_only(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"$PLAIN ${PLAIN} '$PLAIN'", "$PLAIN|${PLAIN}|$PLAIN"},
        {"\"$PLAIN\" \"${PLAIN}\" \"<${PLAIN}>$PLAIN.\"", "a|a|<a>a."},
        {"\"$PLAIN-x\" \"$PLAIN[*]\"", "a-x|a[*]"},
        {"\"${SPACED}\" b", "x y|b"},
        {"\"${LIST[*]}\" b", "x|y|z|b"},
        {"\"<${LIST[*]}>\"", "<x|y|z>"},
        {"<\"${EMPTY[*]}\"> \"${EMPTY[*]}\" \"${NONE[*]}\" b", "<>|b"},
        {"\"${NONE[*]-p q}\"", "p|q"},
        {"\"${NONE-other wise}\" \"${PLAIN-x}\" \"<${NONE-}>\" \"<${EMPTY-x}>\"",
         "other wise|a|<>|<>"},
        {"\"<${NONE}>\" \"<$EMPTY>\"", "<>|<>"},
        {"\"${.FILE}:${.LINE}:$.SECTION\"", "h.cfg:2:global"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_words(cases[i][0], cases[i][1]);
    }
}

static void an_empty_word_ends_the_line(void **state)
{
    (void)state;
    static const char *const lines[] = {"a \"\" b", "a '' b", "a \"$NONE\" b", "a \\x00 b",
                                        "a \"${EMPTY}\" b"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct text t = {0};
        text_add(&t, "global\n %s\n", lines[i]);
        struct source s = read_good(t.data);
        const struct line *l = s.sections[0]->lines[0];
        assert_line(l, "a");
        /* It is told, and decides nothing. */
        assert_string_equal(l->remarks->words, "HAProxy ignores what stands behind the empty word");
        assert_int_equal(l->verdict, VERDICT_NONE);
        source_free(&s);
        text_free(&t);
    }
    struct source s = read_good("global\n a \"\"\n");
    assert_line(s.sections[0]->lines[0], "a");
    assert_null(s.sections[0]->lines[0]->remarks);
    source_free(&s);
}

static void assert_reference(const struct word *w, size_t i, size_t at, size_t len,
                             const char *name, const char *otherwise)
{
    assert_true(i < w->reference_count);
    const struct reference *r = &w->references[i];
    assert_int_equal(r->at, at);
    assert_int_equal(r->len, len);
    assert_string_equal(r->name, name);
    assert_int_equal(r->otherwise == NULL, otherwise == NULL);
    if (otherwise != NULL) {
        assert_string_equal(r->otherwise, otherwise);
    }
}

static void what_was_a_variable_is_known(void **state)
{
    (void)state;
    struct source s = read_good("global\n x \"<${SPACED}>\" a\"$PLAIN$NONE${NONE-d}\" "
                                "\"${PLAIN-d}\" \"${.LINE}\" \"${LIST[*]}\"\n");
    const struct line *l = s.sections[0]->lines[0];
    assert_line(l, "x|<x y>|aad|a|2|x|y|z");
    assert_int_equal(l->words[0].reference_count, 0);
    assert_int_equal(l->words[1].reference_count, 1);
    assert_reference(&l->words[1], 0, 1, 3, "SPACED", NULL);
    assert_int_equal(l->words[2].reference_count, 3);
    assert_reference(&l->words[2], 0, 1, 1, "PLAIN", NULL);
    assert_reference(&l->words[2], 1, 2, 0, "NONE", NULL);
    assert_reference(&l->words[2], 2, 2, 1, "NONE", "d");
    assert_reference(&l->words[3], 0, 0, 1, "PLAIN", "d");
    /* These are what they are now. */
    assert_int_equal(l->words[4].reference_count, 0);
    assert_int_equal(l->words[5].reference_count, 0);
    assert_non_null(strstr(l->remarks->words, "what they are now"));
    source_free(&s);
}

static void variables_of_the_file_are_no_references(void **state)
{
    (void)state;
    struct source s = read_good("global\n"
                                " setenv A one\n"
                                " setenv B \"<$PLAIN>\"\n"
                                " setenv PLAIN mine\n"
                                " presetenv SPACED other\n"
                                " presetenv NONE preset\n"
                                " presetenv A two\n"
                                " x \"$A\" \"-$B\" \"$PLAIN\" \"$SPACED\" \"$NONE\"\n"
                                " unsetenv A SPACED\n"
                                " x \"<$A>\" \"${SPACED-gone}\"\n"
                                " resetenv PLAIN EMPTY\n"
                                " x \"<$HAPROXY_BRANCH>\" \"<$NONE>\" \"$PLAIN\" \"<$LIST>\"\n"
                                " presetenv LIST new\n"
                                " x \"$LIST\"\n"
                                "backend b\n"
                                " setenv LIST x\n"
                                " x \"$LIST\"\n");
    struct section *g = s.sections[0];
    const struct line *l = g->lines[6];
    assert_line(l, "x|one|-<a>|mine|x y|preset");
    assert_int_equal(l->words[1].reference_count, 0);
    /* What it was made of is. */
    assert_int_equal(l->words[2].reference_count, 1);
    assert_reference(&l->words[2], 0, 2, 1, "PLAIN", NULL);
    assert_int_equal(l->words[3].reference_count, 0);
    assert_reference(&l->words[4], 0, 0, 3, "SPACED", "other");
    assert_reference(&l->words[5], 0, 0, 6, "NONE", "preset");
    assert_line(g->lines[8], "x|<>|gone");
    assert_line(g->lines[10], "x|<>|<>|mine|<>");
    assert_line(g->lines[12], "x|new");
    assert_int_equal(g->lines[12]->words[1].reference_count, 0);
    assert_line(s.sections[1]->lines[1], "x|new");
    /* Ours is as it was. */
    assert_string_equal(getenv("PLAIN"), "a");
    assert_string_equal(getenv("LIST"), "x y  z");
    assert_null(getenv("NONE"));
    source_free(&s);
}

static void haproxys_own_variables_are_there(void **state)
{
    (void)state;
    struct source s = read_good("global\n x \"$HAPROXY_BRANCH\" \"<$HAPROXY_MWORKER>\"\n"
                                " x \"$HAPROXY_TCP_LOG_FMT x\"\n");
    assert_line(s.sections[0]->lines[0], "x|3.2|<>");
    assert_non_null(strstr(s.sections[0]->lines[1]->words[1].text, "%ci:%cp [%t] %ft %b/%s"));
    source_free(&s);
}

static void mistakes_are_named_with_their_place(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"global\n x \"a\n", "h.cfg:2: unmatched quote at position 4\n"},
        {"global\n x 'a\"\n", "h.cfg:2: unmatched quote at position 4\n"},
        {"global\n x \"a\r\"\n", "h.cfg:2: unmatched quote at position 4\n"},
        {"global\n x \"${A\"\n",
         "h.cfg:2: unmatched brace in environment variable name at position 6\n"},
        {"global\n x \"${A-b\"\n",
         "h.cfg:2: unmatched brace in environment variable name at position 6\n"},
        {"global\n x \"${A:-b}\"\n",
         "h.cfg:2: unmatched brace in environment variable name at position 6\n"},
        {"global\n x \"$1\"\n",
         "h.cfg:2: forbidden first char in environment variable name at position 6\n"},
        {"global\n x \"$.NO\"\n",
         "h.cfg:2: forbidden first char in environment variable name at position 6\n"},
        {"global\n x \"${A[1]}\"\n",
         "h.cfg:2: truncated or invalid word expansion sequence at position 8\n"},
        {"global\n x a\\xg0\n",
         "h.cfg:2: truncated or invalid hexadecimal sequence at position 5\n"},
        {"global\n x a\\x1", "h.cfg:2: truncated or invalid hexadecimal sequence at position 5\n"
                             "h.cfg:2: missing LF on last line, file might have been truncated\n"},
        /* The others are read too. */
        {"global\n x \"a\n y\n z 'b\n",
         "h.cfg:2: unmatched quote at position 4\nh.cfg:4: unmatched quote at position 4\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_refused(cases[i][0], cases[i][1]);
    }
}

static void a_line_has_64_words_at_most(void **state)
{
    (void)state;
    struct text t = {0};
    text_add(&t, "global\n");
    for (size_t i = 0; i < SOURCE_WORDS_MAX; i++) {
        text_add(&t, "w ");
    }
    size_t most = t.len;
    text_add(&t, "#x\n");
    struct source s = read_good(t.data);
    assert_int_equal(s.sections[0]->lines[0]->count, SOURCE_WORDS_MAX);
    source_free(&s);
    t.len = most;
    text_add(&t, "w\n");
    assert_refused(t.data, "h.cfg:2: too many words, more than 64\n");
    text_free(&t);
}

static void variables_do_not_become_gigabytes(void **state)
{
    (void)state;
    struct text t = {0};
    text_add(&t, "global\n setenv V %01000000d\n", 0);
    for (size_t i = 0; i < 200; i++) {
        text_add(&t, " x \"$V$V\"\n");
    }
    struct source s;
    char *errors;
    assert_true(read_bytes(&s, t.data, t.len, &errors) != 0);
    assert_non_null(strstr(errors, "variables become too long"));
    assert_true(s.arena.bytes < 300u * 1024 * 1024);
    source_free(&s);
    free(errors);
    text_free(&t);
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
        cmocka_unit_test(quotes_and_escapes_mean_what_they_mean_to_haproxy),
        cmocka_unit_test(variables_stand_in_double_quotes_only),
        cmocka_unit_test(an_empty_word_ends_the_line),
        cmocka_unit_test(what_was_a_variable_is_known),
        cmocka_unit_test(variables_of_the_file_are_no_references),
        cmocka_unit_test(haproxys_own_variables_are_there),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(a_line_has_64_words_at_most),
        cmocka_unit_test(variables_do_not_become_gigabytes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
