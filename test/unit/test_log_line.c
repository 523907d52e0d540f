/* A line of the log is one line, and valid in its format, whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log_line.h"

static const char *made(const char *words, enum log_format format)
{
    static struct log_line l;
    const struct log_words w = {.level = LOG_LEVEL_WARN, .words = words};
    log_line_make(&l, &w, format, false);
    assert_true(l.len < sizeof l.data);
    l.data[l.len] = '\0';
    return l.data;
}

static void text_is_logfmt(void **state)
{
    (void)state;
    const char *line = made("it is \"down\"", LOG_FORMAT_TEXT);
    assert_memory_equal(line, "time=20", 7);
    assert_string_equal(strstr(line, " level="), " level=warn msg=\"it is \\\"down\\\"\"\n");
    line = made("down", LOG_FORMAT_TEXT);
    assert_string_equal(strstr(line, " level="), " level=warn msg=down\n");
}

static void json_names_what_a_line_is_about(void **state)
{
    (void)state;
    const char *line = made("backend=b server=one is down", LOG_FORMAT_JSON);
    assert_memory_equal(line, "{\"time\":\"20", 11);
    assert_string_equal(strstr(line, ",\"level\""),
                        ",\"level\":\"warn\",\"backend\":\"b\",\"server\":\"one\","
                        "\"msg\":\"backend=b server=one is down\"}\n");
}

static void haproxy_is_a_notice(void **state)
{
    (void)state;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "[WARNING]  (%d) : one is down\n", (int)getpid());
    assert_string_equal(made("one is down", LOG_FORMAT_HAPROXY), wanted);
}

static void no_byte_breaks_out_of_its_line(void **state)
{
    (void)state;
    const char *evil = "a\nb\"c\\d\x01\x7f\xff\xc3(\xe2\x82\xac";
    assert_string_equal(
        strstr(made(evil, LOG_FORMAT_JSON), "\"msg\""),
        "\"msg\":\"a\\u000ab\\\"c\\\\d\\u0001\\u007f\xef\xbf\xbd\xef\xbf\xbd(\xe2\x82"
        "\xac\"}\n");
    assert_string_equal(
        strstr(made(evil, LOG_FORMAT_TEXT), "msg="),
        "msg=\"a\\u000ab\\\"c\\\\d\\u0001\\u007f\xef\xbf\xbd\xef\xbf\xbd(\xe2\x82\xac"
        "\"\n");
    assert_string_equal(strstr(made("a\nb\r", LOG_FORMAT_HAPROXY), "a"), "a?b?\n");
}

static void no_character_gives_the_terminal_a_command(void **state)
{
    (void)state;
    const char *evil = "a\xc2\x9b"
                       "2J\xc2\xa0\x1b[m"; /* CSI of one and of two characters */
    assert_string_equal(strstr(made(evil, LOG_FORMAT_TEXT), "msg="),
                        "msg=\"a\\u009b2J\xc2\xa0\\u001b[m\"\n");
    assert_string_equal(strstr(made(evil, LOG_FORMAT_JSON), "\"msg\""),
                        "\"msg\":\"a\\u009b2J\xc2\xa0\\u001b[m\"}\n");
    assert_string_equal(strstr(made(evil, LOG_FORMAT_HAPROXY), "a"), "a?2J\xc2\xa0?[m\n");
}

/* Six bytes for each of the words: more than a line holds. What does not fit is cut where a
 * character ends, and the line is closed. */
static void what_is_too_long_is_cut_and_the_line_closed(void **state)
{
    (void)state;
    char words[LOG_WORDS_MAX];
    memset(words, '\x01', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    const struct log_field fields[] = {{"first", "x", 0}, {"second", NULL, 7}};
    const struct log_words w = {LOG_LEVEL_INFO, words, fields, 2, false};
    static const char *const ends[] = {[LOG_FORMAT_TEXT] = "u0001\"\n",
                                       [LOG_FORMAT_JSON] = "u0001\"}\n",
                                       [LOG_FORMAT_HAPROXY] = "? first=x second=7\n"};
    for (enum log_format f = LOG_FORMAT_TEXT; f <= LOG_FORMAT_HAPROXY; f++) {
        struct log_line l;
        log_line_make(&l, &w, f, false);
        size_t end = strlen(ends[f]);
        assert_true(l.len <= sizeof l.data);
        assert_memory_equal(l.data + l.len - end, ends[f], end);
        assert_ptr_equal(memchr(l.data, '\n', l.len), l.data + l.len - 1);
    }
}

static void fields_are_values_of_their_own(void **state)
{
    (void)state;
    struct log_line l;
    const struct log_field fields[] = {{"end", "client left", 0}, {"ms", NULL, 12}};
    const struct log_words w = {LOG_LEVEL_INFO, "session", fields, 2, false};
    log_line_make(&l, &w, LOG_FORMAT_TEXT, false);
    l.data[l.len] = '\0';
    assert_string_equal(strstr(l.data, "msg="), "msg=session end=\"client left\" ms=12\n");
    log_line_make(&l, &w, LOG_FORMAT_JSON, false);
    l.data[l.len] = '\0';
    assert_string_equal(strstr(l.data, "\"msg\""),
                        "\"msg\":\"session\",\"end\":\"client left\",\"ms\":12}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_logfmt),
        cmocka_unit_test(json_names_what_a_line_is_about),
        cmocka_unit_test(haproxy_is_a_notice),
        cmocka_unit_test(no_byte_breaks_out_of_its_line),
        cmocka_unit_test(no_character_gives_the_terminal_a_command),
        cmocka_unit_test(what_is_too_long_is_cut_and_the_line_closed),
        cmocka_unit_test(fields_are_values_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
