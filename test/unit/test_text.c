/* Promise: a text grows without limit, is always a C string, and JSON made of it is always valid.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/text.h"

static void what_is_added_stands_in_order(void **state)
{
    struct text t = {0};
    (void)state;
    text_add(&t, "a%d", 1);
    text_add_bytes(&t, "-b", 2);
    text_add(&t, "%s", "");
    text_add(&t, "-%s", "c");
    assert_string_equal(t.data, "a1-b-c");
    assert_int_equal(t.len, 6);
    text_free(&t);
    assert_null(t.data);
    assert_int_equal(t.len + t.capacity, 0);
}

static void a_text_grows_across_every_size(void **state)
{
    struct text t = {0};
    (void)state;
    for (size_t i = 0; i < 5000; i++) {
        text_add(&t, "%c", (char)('a' + i % 26));
        assert_int_equal(t.len, i + 1);
        assert_true(t.len < t.capacity);
        assert_int_equal(t.data[t.len], '\0');
    }
    for (size_t i = 0; i < t.len; i++) {
        assert_int_equal(t.data[i], (char)('a' + i % 26));
    }
    text_free(&t);
}

static void a_piece_larger_than_all_before_fits(void **state)
{
    static char piece[10000];
    struct text t = {0};
    (void)state;
    memset(piece, 'x', sizeof(piece) - 1);
    text_add(&t, "%s", piece);
    text_add_bytes(&t, piece, sizeof(piece) - 1);
    assert_int_equal(t.len, 2 * (sizeof(piece) - 1));
    assert_int_equal(strlen(t.data), t.len);
    text_free(&t);
}

static void bytes_may_hold_a_nul(void **state)
{
    struct text t = {0};
    (void)state;
    text_add_bytes(&t, "a\0b", 3);
    assert_memory_equal(t.data, "a\0b\0", 4);
    text_free(&t);
}

static void json_strings_are_escaped(void **state)
{
    static const char *const cases[][2] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\t\x01\x1f", "\"\\u000a\\u0009\\u0001\\u001f\""},
        {"\x7f", "\"\x7f\""},
        {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\"\xe2\x82\xac \xf0\x9f\x98\x80\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text t = {0};
        text_add_json(&t, cases[i][0]);
        assert_string_equal(t.data, cases[i][1]);
        text_free(&t);
    }
}

/* A bare continuation byte, cut sequences, overlong forms, a surrogate, and beyond U+10FFFF. */
static void what_is_no_utf8_becomes_a_question_mark(void **state)
{
    static const char *const cases[][2] = {
        {"a\x80z", "\"a?z\""},
        {"\xc3", "\"?\""},
        {"\xc3z", "\"?z\""},
        {"\xe2\x82", "\"??\""},
        {"\xf0\x9f\x98", "\"???\""},
        {"\xc0\xaf", "\"??\""},
        {"\xe0\x80\xaf", "\"???\""},
        {"\xf0\x80\x80\xaf", "\"????\""},
        {"\xed\xa0\x80", "\"???\""},
        {"\xf4\x90\x80\x80", "\"????\""},
        {"\xf5\x80\x80\x80", "\"????\""},
        {"\xff\xfe", "\"??\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text t = {0};
        text_add_json(&t, cases[i][0]);
        assert_string_equal(t.data, cases[i][1]);
        text_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_stands_in_order),
        cmocka_unit_test(a_text_grows_across_every_size),
        cmocka_unit_test(a_piece_larger_than_all_before_fits),
        cmocka_unit_test(bytes_may_hold_a_nul),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(what_is_no_utf8_becomes_a_question_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
