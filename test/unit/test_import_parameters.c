#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/keyword_internal.h"
#include "import_lines.h"

static void test_words_are_read_with_what_belongs_to_them(void **state)
{
    (void)state;
    struct lines lines;
    struct parameters words;
    lines_read(&lines, "backend b\n server s 10.0.0.1:1 check inter 2s no-ssl weight 5 inter 3s\n");
    assert_string_equal(lines.errors.data, "");
    parameters_read(&lines.source, lines_at(&lines, 2), 2, &words);
    assert_int_equal(words.count, 5);
    assert_string_equal(words.items[0].name, "check");
    assert_int_equal(words.items[0].count, 0);
    assert_string_equal(words.items[1].arguments[0].text, "2s");
    assert_string_equal(words.items[2].name, "ssl");
    assert_true(words.items[2].negated);
    assert_string_equal(parameters_find(&words, "inter")->arguments[0].text, "3s");
    assert_null(parameters_find(&words, "rise"));
    lines_free(&lines);
}

static void test_the_same_word_may_mean_something_else_behind_bind(void **state)
{
    (void)state;
    struct lines lines;
    struct parameters words;
    lines_read(&lines, "listen l\n bind :1 alpn h2\n server s 10.0.0.1:1 alpn h2\n");
    parameters_read(&lines.source, lines_at(&lines, 2), 1, &words);
    assert_int_equal(words.items[0].verdict, VERDICT_NONE);
    parameters_read(&lines.source, lines_at(&lines, 3), 2, &words);
    assert_int_equal(words.items[0].verdict, VERDICT_LOST);
    lines_free(&lines);
}

static void test_each_word_is_marked_by_name(void **state)
{
    (void)state;
    struct lines lines;
    struct parameters words;
    lines_read(&lines, "backend b\n server s 10.0.0.1:1 check tfo non-stick no-agent-check\n");
    struct line *l = lines_at(&lines, 2);
    parameters_read(&lines.source, l, 2, &words);
    parameters_mark(&lines.source, l, &words);
    assert_int_equal(l->verdict, VERDICT_DIFFERENCE);
    const struct remark *r = l->remarks;
    assert_string_equal(r->words, "tfo: it tunes what HAProxy asks of the kernel");
    assert_string_equal(r->next->words, "non-stick: every server keeps its clients");
    assert_string_equal(r->next->next->words, "no-agent-check: it takes something back");
    assert_null(r->next->next->next);
    lines_free(&lines);
}

static void test_nothing_is_read_of_lines_that_have_none(void **state)
{
    (void)state;
    struct lines lines;
    struct parameters words;
    lines_read(&lines, "backend b\n default-server\n server s 10.0.0.1:1\n");
    parameters_read(&lines.source, lines_at(&lines, 2), 0, &words);
    assert_int_equal(words.count, 0);
    parameters_read(&lines.source, lines_at(&lines, 3), 2, &words);
    assert_int_equal(words.count, 0);
    lines_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_read_with_what_belongs_to_them),
        cmocka_unit_test(test_the_same_word_may_mean_something_else_behind_bind),
        cmocka_unit_test(test_each_word_is_marked_by_name),
        cmocka_unit_test(test_nothing_is_read_of_lines_that_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
