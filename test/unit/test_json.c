/* Promise: routerctl's parser takes what is JSON and nothing else, gives back what was written, and
 * is bounded in depth and size whatever it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "routerctl/json.h"

/* Parses a copy; *kept is to be freed after the document. */
static int parse(struct json *j, const char *words, char **kept)
{
    size_t len = strlen(words);
    *kept = malloc(len + 1);
    assert_non_null(*kept);
    memcpy(*kept, words, len + 1);
    return json_parse(j, *kept, len);
}

/* What the parser makes of it, written again. */
static void assert_same(const char *words, const char *again)
{
    struct json j;
    struct text out = {0};
    char *kept;
    assert_int_equal(parse(&j, words, &kept), 0);
    json_write(&j, json_root(&j), &out);
    assert_string_equal(out.data, again);
    text_free(&out);
    json_free(&j);
    free(kept);
}

static void what_is_json_comes_back_as_it_was(void **state)
{
    static const char *const cases[] = {
        "null",
        "true",
        "false",
        "0",
        "-0.5e+10",
        "12345678901234567890",
        "\"\"",
        "\"a b\"",
        "[]",
        "{}",
        "[1,[2,[3]],{}]",
        "{\"a\":1,\"b\":[true,null],\"c\":{\"d\":\"e\"}}",
        "{\"twice\":1,\"twice\":2}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_same(cases[i], cases[i]);
    }
    assert_same(" \t\r\n[ 1 , 2 ] \n", "[1,2]");
}

static void escapes_become_what_they_mean(void **state)
{
    static const char *const cases[][2] = {
        {"\"\\\"\\\\\\/\"", "\"\\\"\\\\/\""},
        {"\"\\n\\t\\u001b\"", "\"\\u000a\\u0009\\u001b\""},
        {"\"\\u00e9\\u20AC\"", "\"\xc3\xa9\xe2\x82\xac\""},
        {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
        {"\"\\ud83d\"", "\"?\""},         /* half a pair */
        {"\"\\ude00\\ud83d\"", "\"??\""}, /* the wrong way round */
        {"\"\\ud83d\\u0041\"", "\"?\""},
        {"\"a\\u0000b\"", "\"a?b\""}, /* would end our strings */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_same(cases[i][0], cases[i][1]);
    }
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const cases[] = {
        "",        " ",        "nul",       "nulll",       "tru e",    "01",    "-",
        "1.",      ".5",       "1e",        "+1",          "0x1",      "\"",    "\"a",
        "\"\\",    "\"\\x\"",  "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "[",     "[1",
        "[1,",     "[1,]",     "[,1]",      "[1 2]",       "]",        "{",     "{\"a\"",
        "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",  "{a:1}",    "{1:2}", "{\"a\" 1}",
        "[1]]",    "[1}",      "{]",        "'a'",         "NaN",      "[1]x",  "\"\\ud83d\\u\"",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json j;
        char *kept;
        assert_int_equal(parse(&j, cases[i], &kept), -EINVAL);
        json_free(&j);
        free(kept);
    }
}

static void members_are_found_by_name_and_kind(void **state)
{
    struct json j;
    char *kept;
    double value = 7;
    (void)state;
    assert_int_equal(parse(&j, "{\"n\":2.5,\"s\":\"w\",\"t\":true,\"z\":null,\"l\":[4,5]}", &kept),
                     0);
    const struct json_node *root = json_root(&j);
    assert_true(json_number(&j, root, "n", &value));
    assert_true(value == 2.5);
    assert_false(json_number(&j, root, "z", &value));
    assert_false(json_number(&j, root, "s", &value));
    assert_true(json_number_or(&j, root, "nobody", 3) == 3);
    assert_string_equal(json_string(&j, root, "s", "-"), "w");
    assert_string_equal(json_string(&j, root, "n", "-"), "-");
    assert_true(json_is_true(&j, root, "t"));
    assert_false(json_is_true(&j, root, "z"));
    const struct json_node *first = json_first(&j, json_member(&j, root, "l"));
    assert_int_equal(json_next(&j, first)->kind, JSON_NUMBER);
    assert_null(json_next(&j, json_next(&j, first)));
    assert_null(json_member(&j, first, "n"));
    assert_null(json_first(&j, NULL));
    assert_null(json_member(&j, NULL, "n"));
    json_free(&j);
    free(kept);
}

static void nesting_has_a_bound(void **state)
{
    (void)state;
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        char deep[2 * JSON_DEPTH_MAX + 8] = {0};
        struct json j;
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        bool fits = depth <= JSON_DEPTH_MAX;
        assert_int_equal(json_parse(&j, deep, 2 * depth), fits ? 0 : -E2BIG);
        json_free(&j);
    }
}

/* "[1,1,1,...": a node for two bytes. */
static void the_number_of_nodes_has_a_bound(void **state)
{
    size_t len = 2 * (size_t)JSON_NODES_MAX + 1;
    char *many = malloc(len + 1);
    struct json j;
    (void)state;
    assert_non_null(many);
    for (size_t i = 0; i < len; i++) {
        many[i] = i == 0 ? '[' : i % 2 == 1 ? '1' : ',';
    }
    many[len - 1] = ']';
    assert_int_equal(json_parse(&j, many, len), -E2BIG);
    assert_int_equal(j.count, JSON_NODES_MAX);
    json_free(&j);
    many[len - 3] = ' '; /* one number less, and its comma */
    many[len - 2] = ' ';
    for (size_t i = 0; i < len - 3; i++) {
        many[i] = i == 0 ? '[' : i % 2 == 1 ? '1' : ',';
    }
    assert_int_equal(json_parse(&j, many, len), 0);
    json_free(&j);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_json_comes_back_as_it_was),
        cmocka_unit_test(escapes_become_what_they_mean),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(members_are_found_by_name_and_kind),
        cmocka_unit_test(nesting_has_a_bound),
        cmocka_unit_test(the_number_of_nodes_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
