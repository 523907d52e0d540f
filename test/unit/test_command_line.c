/* Promise: lines of commands are cut where HAProxy cuts them, whatever bytes they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/command_line.h"

#define WORDS 8

static void assert_end(const char *line, int expected)
{
    size_t at = 0;
    bool found = command_line_end(line, strlen(line), &at);
    assert_int_equal(found ? (int)at : -1, expected);
}

static void a_command_ends_at_a_line_end_or_a_semicolon(void **state)
{
    (void)state;
    assert_end("show info\n", 9);
    assert_end("show info;show stat\n", 9);
    assert_end("\n", 0);
    assert_end(";\n", 0);
    assert_end("show info", -1);
    assert_end("", -1);
}

static void a_backslash_keeps_a_semicolon_and_never_a_line_end(void **state)
{
    (void)state;
    assert_end("a\\;b\n", 4);
    assert_end("a\\\\;b\n", 3);
    assert_end("a\\\n", 2);
    assert_end("a\\;", -1);
    assert_end("a\\", -1);
}

/* The words with "|" between them, or a negative code as text. */
static void assert_words(const char *command, const char *expected)
{
    char buffer[256];
    char got[256] = "";
    char *words[WORDS + 1];
    size_t len = strlen(command);
    memcpy(buffer, command, len);
    buffer[len] = ';'; /* what a command ends with may be overwritten */
    int count = command_line_words(buffer, len, words, WORDS);
    if (count < 0) {
        assert_string_equal(count == -E2BIG ? "E2BIG" : "EILSEQ", expected);
        return;
    }
    for (int i = 0; i < count; i++) {
        strncat(got, i > 0 ? "|" : "", sizeof(got) - strlen(got) - 1);
        strncat(got, words[i], sizeof(got) - strlen(got) - 1);
    }
    assert_null(words[count]);
    assert_string_equal(got, expected);
}

static void words_are_separated_by_spaces_and_tabs(void **state)
{
    (void)state;
    assert_words("set server b/s weight 10", "set|server|b/s|weight|10");
    assert_words("  show \t stat  ", "show|stat");
    assert_words("show\r", "show");
    assert_words("", "");
    assert_words(" \t ", "");
    assert_words("\r", "");
}

static void a_backslash_takes_the_meaning_from_what_follows(void **state)
{
    (void)state;
    assert_words("a\\ b c", "a b|c");
    assert_words("a\\;b", "a;b");
    assert_words("a\\\\ b", "a\\|b");
    assert_words("\\a", "a");
    assert_words("a\\", "a\\");
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    assert_words("1 2 3 4 5 6 7 8", "1|2|3|4|5|6|7|8");
    assert_words("1 2 3 4 5 6 7 8 ", "1|2|3|4|5|6|7|8");
    assert_words("1 2 3 4 5 6 7 8 9", "E2BIG");
}

static void control_characters_are_refused(void **state)
{
    char words_with_nul[] = "a\0b;";
    char *words[WORDS + 1];
    (void)state;
    assert_words("a\x01", "EILSEQ");
    assert_words("a\x7f", "EILSEQ");
    assert_words("a\rb", "EILSEQ");
    assert_words("a\\\x1b[31m", "EILSEQ");
    assert_int_equal(command_line_words(words_with_nul, 3, words, WORDS), -EILSEQ);
    assert_words("h\xc3\xa9", "h\xc3\xa9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_ends_at_a_line_end_or_a_semicolon),
        cmocka_unit_test(a_backslash_keeps_a_semicolon_and_never_a_line_end),
        cmocka_unit_test(words_are_separated_by_spaces_and_tabs),
        cmocka_unit_test(a_backslash_takes_the_meaning_from_what_follows),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(control_characters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
