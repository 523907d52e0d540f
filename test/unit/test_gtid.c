#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/gtid.h"
#include "base/macros.h"

#define U1 "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U2 "3E11FA47-71CA-11E1-9E33-C80AA9429563"

static struct gtid_set mysql(const char *text)
{
    struct gtid_set set;
    if (!gtid_parse_mysql(&set, text, strlen(text))) {
        fail_msg("not read: %s", text);
    }
    assert_true(set.known);
    return set;
}

static struct gtid_set mariadb(const char *text)
{
    struct gtid_set set;
    if (!gtid_parse_mariadb(&set, text, strlen(text))) {
        fail_msg("not read: %s", text);
    }
    assert_true(set.known);
    return set;
}

static void test_what_is_written_is_counted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned ranges;
        uint64_t count;
    } cases[] = {
        {"", 0, 0},
        {" \r\n\t", 0, 0},
        {U1 ":1", 1, 1},
        {U1 ":1-5:8", 2, 6},
        {U1 ":1-5,\n" U2 ":1-3", 2, 8},
        {" " U1 " : 1 - 5 : 8 , " U2 ":7 ", 3, 7},
        {U1 ":1-3:11:47-49:Domain_1:1-3:15-21:_x:8-52", 6, 7 + 10 + 45},
        {U1 ":1-5:3-9:10", 1, 10}, /* overlapping and touching */
        {U1 ":8:1-5:6-7", 1, 8},   /* what lies between joins them */
        {U1 ":1-5,3E11FA47-71CA-11E1-9E33-C80AA9429562:4-6", 1, 6},
        {U1 ":tag:1-5," U1 ":TAG:4-6", 1, 6}, /* tags have no case */
        {U1 ":9223372036854775807", 1, 1},
        {U1 ":1-9223372036854775807," U2 ":1-9223372036854775807", 2, UINT64_MAX - 1},
        {U1 ":1-9223372036854775807," U2 ":1-9223372036854775807:a:1-9", 3, UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gtid_set set = mysql(cases[i].text);
        assert_int_equal(set.count, cases[i].ranges);
        assert_true(gtid_count(&set) == cases[i].count);
    }
}

static void test_what_is_malformed_says_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ",",
        U1,
        U1 ":",
        U1 ":tag",
        U1 ":tag:",
        U1 ":1:tag",
        U1 ":0",
        U1 ":0-5",
        U1 ":5-4",
        U1 ":1-",
        U1 ":-1",
        U1 ":1-5-7",
        U1 ":1,",
        "," U1 ":1",
        U1 ":1,," U2 ":1",
        U1 "1",
        ":1",
        U1 ":1 " U2 ":1",
        U1 ":9223372036854775808",
        U1 ":1-99999999999999999999999",
        U1 ":1x",
        "x" U1 ":1",
        "3e11fa4771ca11e19e33c80aa9429562:1",
        "3e11fa47-71ca-11e1-9e33-c80aa942956:1",
        "3e11fa47+71ca-11e1-9e33-c80aa9429562:1",
        "3g11fa47-71ca-11e1-9e33-c80aa9429562:1",
        U1 ":abcdefghijklmnopqrstuvwxyz0123456:1",
        "0-1-100",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct gtid_set set;
        if (gtid_parse_mysql(&set, texts[i], strlen(texts[i])) || set.known || set.count != 0) {
            fail_msg("was read: %s", texts[i]);
        }
    }
    struct gtid_set set;
    assert_false(gtid_parse_mysql(&set, U1 ":1\0", strlen(U1) + 3)); /* a NUL is no space */
}

static void test_mariadb_tells_the_last_number_of_each_server(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned ranges;
        uint64_t count;
    } cases[] = {
        {"", 0, 0},
        {"0-1-100", 1, 100},
        {"0-1-100, 0-2-50,\n7-1-3", 3, 153},
        {"0-1-100,0-1-50", 1, 100},
        {"4294967295-4294967295-18446744073709551615", 1, UINT64_MAX},
        {"0-1-18446744073709551615,0-2-1", 2, UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gtid_set set = mariadb(cases[i].text);
        assert_int_equal(set.count, cases[i].ranges);
        assert_true(gtid_count(&set) == cases[i].count);
    }
    static const char *const bad[] = {
        "0",
        "0-1",
        "0-1-",
        "0-1-0",
        "-1-1",
        "0--1-1",
        "4294967296-1-1",
        "0-4294967296-1",
        "0-1-18446744073709551616",
        "0-1-5,",
        "0-1-5 0-2-5",
        "0-1-5-6",
        "a-1-5",
        U1 ":1-5",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct gtid_set set;
        if (gtid_parse_mariadb(&set, bad[i], strlen(bad[i])) || set.known) {
            fail_msg("was read: %s", bad[i]);
        }
    }
}

static void test_containment(void **state)
{
    (void)state;
    struct gtid_set a = mariadb("0-1-100,0-2-50");
    struct gtid_set b = mariadb("0-1-100,0-2-49");
    struct gtid_set c = mariadb("0-1-101,0-2-49");
    struct gtid_set other = mariadb("1-1-100");
    struct gtid_set none = mariadb("");
    assert_true(gtid_contains(&a, &a));
    assert_true(gtid_contains(&a, &b));
    assert_false(gtid_contains(&b, &a));
    assert_false(gtid_contains(&a, &c));
    assert_false(gtid_contains(&c, &a));
    assert_false(gtid_contains(&a, &other)); /* another domain */
    assert_true(gtid_contains(&a, &none));
    assert_true(gtid_contains(&none, &none));
    assert_int_equal(gtid_missing(&a, &c), 1);
    assert_int_equal(gtid_missing(&a, &other), 150);
    struct gtid_set plain = mysql(U1 ":1-9");
    struct gtid_set tagged = mysql(U1 ":t:1-9");
    assert_false(gtid_contains(&plain, &tagged));
    assert_false(gtid_contains(&tagged, &plain));
}

static void test_of_what_is_not_known_nothing_is_said(void **state)
{
    (void)state;
    struct gtid_set unknown = {.count = 0};
    struct gtid_set none = mysql("");
    struct gtid_set some = mysql(U1 ":1-5");
    assert_false(gtid_contains(&unknown, &unknown));
    assert_false(gtid_contains(&some, &unknown));
    assert_false(gtid_contains(&unknown, &none));
    assert_int_equal(gtid_missing(&some, &unknown), 0);
    assert_int_equal(gtid_missing(&unknown, &some), 0);
    some.known = false;
    assert_int_equal(gtid_count(&some), 0);
}

static void test_a_set_of_too_many_ranges_is_not_known(void **state)
{
    (void)state;
    char text[8192] = U1;
    struct gtid_set set;
    size_t len = strlen(text);
    for (unsigned i = 0; i < GTID_RANGES_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, ":%u", 2 * i + 1);
    }
    assert_true(gtid_parse_mysql(&set, text, len));
    assert_int_equal(set.count, GTID_RANGES_MAX);
    size_t more = (size_t)snprintf(text + len, sizeof(text) - len, ":2");
    assert_true(gtid_parse_mysql(&set, text, len + more)); /* joins two of them */
    assert_int_equal(set.count, GTID_RANGES_MAX - 1);
    more = (size_t)snprintf(text + len, sizeof(text) - len, ":100000");
    assert_false(gtid_parse_mysql(&set, text, len + more));
    assert_false(set.known);
}

/* ---- against a model of one flag for each number ---- */

#define SOURCES 3
#define NUMBERS 40

struct naive {
    bool has[SOURCES][NUMBERS + 1];
};

static uint64_t dice;

static unsigned roll(unsigned sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)((dice >> 11) % sides);
}

static struct gtid_set make(struct naive *naive)
{
    static const char *const sources[SOURCES] = {U1, U2, U1 ":tag"};
    char text[4096] = "";
    size_t len = 0;
    *naive = (struct naive){0};
    for (unsigned n = roll(12); n > 0; n--) {
        unsigned source = roll(SOURCES);
        unsigned first = 1 + roll(NUMBERS);
        unsigned last = first + roll(roll(2) ? 4 : NUMBERS);
        last = last > NUMBERS ? NUMBERS : last;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s:%u-%u", len ? "," : "",
                                sources[source], first, last);
        for (unsigned i = first; i <= last; i++) {
            naive->has[source][i] = true;
        }
    }
    return mysql(text);
}

static unsigned naive_missing(const struct naive *a, const struct naive *b)
{
    unsigned missing = 0;
    for (unsigned s = 0; s < SOURCES; s++) {
        for (unsigned i = 1; i <= NUMBERS; i++) {
            missing += a->has[s][i] && !b->has[s][i];
        }
    }
    return missing;
}

static void check_form(const struct gtid_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        const struct gtid_range *r = &set->ranges[i];
        assert_true(r->first >= 1 && r->first <= r->last);
        if (i > 0) {
            int order = memcmp(&r[-1].source, &r->source, sizeof(r->source));
            assert_true(order < 0 || (order == 0 && r[-1].last < r->first - 1));
        }
    }
}

static void play(uint64_t seed)
{
    static const struct naive empty;
    struct naive a;
    struct naive b;
    dice = seed * 0x9e3779b97f4a7c15u + 1;
    for (unsigned n = 0; n < 2000; n++) {
        struct gtid_set one = make(&a);
        struct gtid_set two = make(&b);
        check_form(&one);
        bool right = gtid_count(&one) == naive_missing(&a, &empty) &&
                     gtid_missing(&one, &two) == naive_missing(&a, &b) &&
                     gtid_contains(&one, &two) == (naive_missing(&b, &a) == 0);
        if (!right) {
            fail_msg("seed %" PRIu64 ", case %u", seed, n);
        }
    }
}

static void test_sets_agree_with_a_naive_model(void **state)
{
    (void)state;
    uint64_t fresh = (uint64_t)time(NULL);
    print_message("fresh seed %" PRIu64 "\n", fresh);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        play(seed);
    }
    play(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_counted),
        cmocka_unit_test(test_what_is_malformed_says_nothing),
        cmocka_unit_test(test_mariadb_tells_the_last_number_of_each_server),
        cmocka_unit_test(test_containment),
        cmocka_unit_test(test_of_what_is_not_known_nothing_is_said),
        cmocka_unit_test(test_a_set_of_too_many_ranges_is_not_known),
        cmocka_unit_test(test_sets_agree_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
