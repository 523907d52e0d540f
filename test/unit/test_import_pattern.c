/* Promise: a regular expression says what HAProxy's library would say, or that it is not
 * understood; and none takes long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "import/pattern.h"

static int found(const char *pattern, const char *text)
{
    struct pattern p;
    if (pattern_read(&p, pattern, strlen(pattern), false) != 0) {
        return -1;
    }
    return pattern_matches(&p, text, strlen(text));
}

static const struct {
    const char *pattern;
    const char *text;
    int found;
} cases[] = {
    {"", "", 1},
    {"", "abc", 1},
    {"abc", "xabcx", 1},
    {"abc", "ab", 0},
    {"a.c", "a\nc", 0},
    {"a.c", "a-c", 1},
    {"^abc$", "abc", 1},
    {"^abc$", "abc\n", 1},
    {"^abc$", "xabc", 0},
    {"^bc", "abc", 0},
    {"a*b", "b", 1},
    {"^a+b", "b", 0},
    {"^a+b", "aaab", 1},
    {"^a?b$", "ab", 1},
    {"^a?b$", "aab", 0},
    {"^a{2,3}b$", "ab", 0},
    {"^a{2,3}b$", "aab", 1},
    {"^a{2,3}b$", "aaab", 1},
    {"^a{2,3}b$", "aaaab", 0},
    {"^a{2}b$", "aab", 1},
    {"^a{2,}b$", "aaaaab", 1},
    {"^a{0,2}b$", "aab", 1},
    {"^a{0,2}b$", "aaab", 0},
    {"^(ab|cd|e)*$", "abecdab", 1},
    {"^(ab|cd|e)*$", "abec", 0},
    {"^(?:a|b)c", "bc", 1},
    {"a||b", "x", 1},
    {"^(a|)$", "", 1},
    {"role:(master|slave)", "role:slave", 1},
    {"[[:digit:]]+-[^a-c]", "12-d", 1},
    {"[[:digit:]]+-[^a-c]", "12-b", 0},
    {"[]x]", "]", 1},
    {"[a\\]]", "]", 1},
    {"^2..$", "204", 1},
    {"\\d\\d", "a12", 1},
    {"\\+OK", "+OK", 1},
    {"\\x41", "A", 1},
    {"(?i)master", "MASTER", 1},
    {"(a", "a", -1},
    {"a)", "a", -1},
    {"*a", "a", -1},
    {"a**", "a", -1},
    {"[a", "a", -1},
    {"a{3,2}", "a", -1},
    {"a{1000}", "a", -1},
    {"(?=a)", "a", -1},
    {"(a)\\1", "aa", -1},
    {"a\\", "a", -1},
};

static void it_finds_what_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (found(cases[i].pattern, cases[i].text) != cases[i].found) {
            fail_msg("%s in %s", cases[i].pattern, cases[i].text);
        }
    }
}

/* What brings other libraries to their knees. */
static void none_takes_long(void **state)
{
    static const char *const hostile[] = {
        "((((((((((a+)+)+)+)+)+)+)+)+)+)+b", "(a|a|a|a)*(a|a|a|a)*(a|a|a|a)*b", "(a?){64}a{64}b",
        "((a{20}){20}){20}",
        "(((((((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))))))))"};
    char text[2000];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    clock_t before = clock();
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        assert_true(found(hostile[i], text) <= 0);
    }
    assert_true((clock() - before) / CLOCKS_PER_SEC < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_it_should),
        cmocka_unit_test(none_takes_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
