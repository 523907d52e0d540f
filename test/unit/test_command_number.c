/* Weights and caps are read at the control socket as HAProxy reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "ctl/command_number.h"

static void test_weights(void **state)
{
    static const struct {
        const char *text;
        unsigned initial;
        unsigned weight;
        const char *wrong;
    } cases[] = {
        {"0", 1, 0, NULL},
        {"256", 1, 256, NULL},
        {"257", 1, 0, "Absolute weight can only be between 0 and 256 inclusive."},
        {"-1", 1, 0, "Absolute weight can only be between 0 and 256 inclusive."},
        {"99999999999999999999", 1, 0, "Absolute weight can only be between 0 and 256 inclusive."},
        {"0%", 10, 0, NULL},
        {"50%", 10, 5, NULL},
        {"25%", 10, 2, NULL},
        {"100%", 256, 256, NULL},
        {"1000%", 256, 256, NULL},
        {"99999999999999999999%", 1, 256, NULL},
        {"-5%", 10, 0, "Relative weight must be positive."},
        {"5%x", 10, 0, "Trailing garbage in weight string"},
        {"5x", 10, 0, "Trailing garbage in weight string"},
        {"x", 10, 0, "Empty weight string empty or preceded by garbage"},
        {"", 10, 0, "Empty weight string empty or preceded by garbage"},
        {"%", 10, 0, "Empty weight string empty or preceded by garbage"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned got = 12345;
        const char *wrong = weight_parse(cases[i].text, cases[i].initial, &got);
        if (cases[i].wrong != NULL) {
            assert_non_null(wrong);
            assert_string_equal(wrong, cases[i].wrong);
        } else {
            assert_null(wrong);
            assert_int_equal(got, cases[i].weight);
        }
    }
}

static void test_caps(void **state)
{
    unsigned got;
    (void)state;
    assert_null(maxconn_parse("0", &got));
    assert_int_equal(got, 0);
    assert_null(maxconn_parse("2147483647", &got));
    assert_int_equal(got, 2147483647);
    assert_string_equal(maxconn_parse("2147483648", &got), "Value out of range.");
    assert_string_equal(maxconn_parse("-1", &got), "Value out of range.");
    assert_string_equal(maxconn_parse("1k", &got), "Trailing garbage in maxconn string");
    assert_string_equal(maxconn_parse("", &got), "maxconn string empty or preceded by garbage");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
