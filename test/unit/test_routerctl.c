/* Promise: routerctl takes answers in any pieces and knows refusals among them, makes rows of each
 * of HAProxy's forms, and neither its tables nor its words carry what a terminal would obey. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "routerctl/answer.h"
#include "routerctl/format.h"
#include "routerctl/rows.h"
#include "routerctl/table.h"
#include "routerctl/term.h"

/* Answers ----------------------------------------------------------------------------------- */

struct heard {
    struct text words;
    struct text refusals;
};

static void keep(void *to, const char *words, size_t len, bool refusal)
{
    struct heard *h = to;
    text_add_bytes(refusal ? &h->refusals : &h->words, words, len);
}

static void assert_heard(const char *bytes, size_t piece, bool whole, const char *words,
                         const char *refusals)
{
    struct heard h = {0};
    struct answer a = {.on_words = keep, .to = &h};
    size_t len = strlen(bytes);
    text_add(&h.words, "%s", "");
    text_add(&h.refusals, "%s", "");
    for (size_t at = 0; at < len; at += piece) {
        answer_feed(&a, bytes + at, len - at < piece ? len - at : piece);
    }
    assert_int_equal(a.refused, refusals[0] != '\0');
    assert_int_equal(answer_end(&a), whole);
    assert_string_equal(h.words.data, words);
    assert_string_equal(h.refusals.data, refusals);
    text_free(&h.words);
    text_free(&h.refusals);
}

static void an_answer_is_the_same_in_any_pieces(void **state)
{
    static const struct {
        const char *bytes;
        bool whole;
        const char *words;
        const char *refusals;
    } cases[] = {
        {"\n\n", true, "", ""},
        {"\na\nb\n\n", true, "a\nb\n", ""},
        {"\na\n\nb\n\n", true, "a\n\nb\n", ""},
        {"\n\nb\n\n", true, "b\n", ""},
        {"\n[3]: No such server.\n\n", true, "", "No such server.\n"},
        {"\n[0]: a\n[3]: b\n\n", true, "", "a\n[3]: b\n"},
        {"\n[4]: a\n\n", true, "a\n", ""},
        {"\n[6]: a\n\n[3]: b\nc\n\nd\n\n", true, "a\n\nd\n", "b\nc\n\n"},
        {"\n[8]: a\n\n", true, "[8]: a\n", ""},
        {"\na [3]: b\n\n", true, "a [3]: b\n", ""},
        {"Unknown command\nmore\n\nb\n\n", true, "b\n", ""}, /* no such thing as our marks */
        {"", false, "", ""},
        {"\n", false, "", ""},
        {"\na", false, "a", ""},
        {"\na\n", false, "a\n", ""},
        {"\na\n\nb", false, "a\n\nb", ""},
        {"a\nb", false, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t piece = 1; piece < 12; piece++) {
            assert_heard(cases[i].bytes, piece, cases[i].whole, cases[i].words, cases[i].refusals);
        }
    }
}

static void count_bytes(void *to, const char *words, size_t len, bool refusal)
{
    (void)words;
    assert_false(refusal);
    *(size_t *)to += len;
}

static void a_line_without_an_end_is_not_kept(void **state)
{
    static const char piece[4096] = {'a'};
    size_t seen = 0;
    struct answer a = {.on_words = count_bytes, .to = &seen};
    (void)state;
    answer_feed(&a, "\n", 1);
    for (int i = 0; i < 1000; i++) {
        answer_feed(&a, piece, sizeof(piece));
        assert_true(a.line.capacity <= 256 << 10);
    }
    answer_feed(&a, "\n\n", 2);
    assert_true(answer_end(&a));
    assert_int_equal(seen, 1000 * sizeof(piece) + 1);
}

/* Rows -------------------------------------------------------------------------------------- */

static void assert_rows(const char *answer, enum rows_form form, const char *json)
{
    struct rows r;
    struct text out = {0};
    char *copy = strdup(answer);
    assert_non_null(copy);
    rows_parse(&r, copy);
    assert_int_equal(r.form, form);
    rows_write_json(&r, &out);
    assert_string_equal(out.data, json);
    text_free(&out);
    rows_free(&r);
    free(copy);
}

static void each_form_of_answer_becomes_json(void **state)
{
    (void)state;
    assert_rows("# a,b,\n1,x,\n,\"y, \"\"z\"\"\",\n", ROWS_TABLE,
                "[{\"a\":1,\"b\":\"x\"},\n{\"a\":null,\"b\":\"y, \\\"z\\\"\"}]");
    assert_rows("1\n# a b\n1 2\n3\n", ROWS_TABLE, "[{\"a\":1,\"b\":2},\n{\"a\":3}]");
    assert_rows("# name\nb\nc\n", ROWS_TABLE, "[{\"name\":\"b\"},\n{\"name\":\"c\"}]");
    assert_rows("0x1f: src=1.2.3.4:5 age=3s\n0x20: age=4s why=no more room\n", ROWS_TABLE,
                "[{\"id\":\"0x1f\",\"src\":\"1.2.3.4:5\",\"age\":\"3s\"},\n"
                "{\"id\":\"0x20\",\"age\":\"4s\",\"why\":\"no more room\"}]");
    assert_rows("Name: router\nPid: 7\nnode: \n\n", ROWS_PAIRS,
                "{\"Name\":\"router\",\n\"Pid\":7,\n\"node\":null}");
    assert_rows("one line\nand another\n", ROWS_LINES, "[\"one line\",\n\"and another\"]");
    assert_rows("", ROWS_LINES, "[]");
    assert_rows("\n\n", ROWS_LINES, "[]");
}

static void what_looks_like_a_number_is_one_only_if_json_says_so(void **state)
{
    (void)state;
    assert_rows("a: 0\nb: -1.5\nc: 007\nd: 1.\ne: .5\nf: 1e3\ng: 12345678901234567890\nh: -\n",
                ROWS_PAIRS,
                "{\"a\":0,\n\"b\":-1.5,\n\"c\":\"007\",\n\"d\":\"1.\",\n\"e\":\".5\",\n"
                "\"f\":\"1e3\",\n\"g\":\"12345678901234567890\",\n\"h\":\"-\"}");
}

/* What a terminal sees ---------------------------------------------------------------------- */

static void what_a_terminal_obeys_becomes_a_question_mark(void **state)
{
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"\x1b[2J", "?[2J"},
        {"a\tb\nc\r", "a?b?c?"},
        {"\x7f\x01", "??"},
        {"\xc2\x9b"
         "31m",
         "?31m"}, /* CSI as one character */
        {"\x9b"
         "31m",
         "?31m"}, /* and as one byte */
        {"\xe2\x80\xae"
         "abc",
         "?abc"},              /* writes from right to left */
        {"\xe2\x80\x8b", "?"}, /* has no width */
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82", "??"},                /* cut */
        {"\xc0\xaf\xe0\x80\xaf", "?????"}, /* longer than it need be */
        {"\xa1\xa1\xa1\xa1\xa1\xa1\xa1\xa1\xa1\xa1\xa1\xa1", "????????????"},
        {"\xed\xa0\x80", "?"},        /* a surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* beyond the last */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text out = {0};
        term_clean(&out, cases[i][0], strlen(cases[i][0]), false);
        assert_string_equal(out.data, cases[i][1]);
        text_free(&out);
    }
    struct text lines = {0};
    term_clean(&lines, "a\tb\n\x1b\n", 6, true);
    assert_string_equal(lines.data, "a\tb\n?\n");
    text_free(&lines);
}

static void columns_are_counted_and_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(term_width("abc"), 3);
    assert_int_equal(term_width("gr\xc3\xbc\xc3\x9f"), 4);
    assert_int_equal(term_width("\xe4\xb8\xad\xe6\x96\x87"), 4); /* two that are wide */
    assert_int_equal(term_fit("\xe4\xb8\xad\xe6\x96\x87", 3), 3);
    assert_int_equal(term_fit("abc", 0), 0);
    assert_int_equal(term_fit("abc", 9), 3);
}

static void assert_row(const struct table *t, size_t row, size_t columns, const char *line)
{
    struct text out = {0};
    text_add(&out, "%s", "");
    table_row(t, row, false, columns, &out);
    assert_string_equal(out.data, line);
    text_free(&out);
}

static void a_table_is_aligned_and_cut_at_any_width(void **state)
{
    struct table t;
    (void)state;
    table_begin(&t, "NAME >SIZE WHY");
    table_add(&t, COLOUR_PLAIN, "%s", "a");
    table_add(&t, COLOUR_GOOD, "%d", 12345);
    table_add(&t, COLOUR_PLAIN, "%s", "so\nit is");
    table_add(&t, COLOUR_PLAIN, "%s", "longer");
    table_add(&t, COLOUR_PLAIN, "%d", 7);
    table_add(&t, COLOUR_PLAIN, "%s", "");
    assert_int_equal(table_rows(&t), 2);
    assert_row(&t, SIZE_MAX, 0, "NAME     SIZE  WHY");
    assert_row(&t, 0, 0, "a       12345  so?it is");
    assert_row(&t, 1, 0, "longer      7  ");
    for (size_t columns = 1; columns < 30; columns++) {
        char whole[] = "a       12345  so?it is";
        whole[columns < strlen(whole) ? columns : strlen(whole)] = '\0';
        /* A number that does not fit is cut at its end, like words. */
        struct text out = {0};
        table_row(&t, 0, false, columns, &out);
        assert_true(term_width(out.data) <= columns);
        assert_memory_equal(out.data, whole, columns < 8 ? out.len : 8);
        text_free(&out);
    }
    struct text coloured = {0};
    table_row(&t, 0, true, 0, &coloured);
    assert_non_null(strstr(coloured.data, "  \033[32m12345\033[0m  so"));
    text_free(&coloured);
    table_widen(&t, 0, 8);
    assert_row(&t, 1, 0, "longer        7  ");
    table_free(&t);
}

static void numbers_are_short(void **state)
{
    char out[FORMAT_MAX];
    (void)state;
    assert_string_equal(format_count(out, 0), "0");
    assert_string_equal(format_count(out, 999), "999");
    assert_string_equal(format_count(out, 12345), "12.3k");
    assert_string_equal(format_count(out, 999999), "1.0M");
    assert_string_equal(format_bytes(out, 999), "999 B");
    assert_string_equal(format_bytes(out, 4096), "4.1 kB");
    assert_string_equal(format_bytes(out, -1), "0 B");
    assert_string_equal(format_bytes(out, 1.0 / 0.0), "0 B");
    assert_string_equal(format_duration(out, 0), "0 ms");
    assert_string_equal(format_duration(out, 0.312), "312 us");
    assert_string_equal(format_duration(out, 12.34), "12.3 ms");
    assert_string_equal(format_duration(out, 1500), "1.5 s");
    assert_string_equal(format_duration(out, 185000), "3m 5s");
    assert_string_equal(format_duration(out, 3723000), "1h 2m");
    assert_string_equal(format_duration(out, 781200000), "9d 1h");
    assert_true(strlen(format_duration(out, 1e308)) < FORMAT_MAX);
    assert_true(strlen(format_count(out, 1e30)) < FORMAT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_the_same_in_any_pieces),
        cmocka_unit_test(a_line_without_an_end_is_not_kept),
        cmocka_unit_test(each_form_of_answer_becomes_json),
        cmocka_unit_test(what_looks_like_a_number_is_one_only_if_json_says_so),
        cmocka_unit_test(what_a_terminal_obeys_becomes_a_question_mark),
        cmocka_unit_test(columns_are_counted_and_not_bytes),
        cmocka_unit_test(a_table_is_aligned_and_cut_at_any_width),
        cmocka_unit_test(numbers_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
