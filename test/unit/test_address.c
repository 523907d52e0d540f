/* Promise: addresses are read strictly, printed as they were written, and a client is the same
 * client whatever socket it came through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "base/macros.h"

static struct address parse(const char *text)
{
    struct address a;
    assert_int_equal(address_parse(&a, text), 0);
    return a;
}

static void addresses_are_printed_as_they_were_written(void **state)
{
    static const char *const texts[] = {
        "127.0.0.1:6379", "0.0.0.0:1", "255.255.255.255:65535",  "[::1]:6379",
        "[::]:80",        ":443",      "[2001:db8::ff:1]:65535", "unix:/run/router.sock",
        "unix:/",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char out[ADDRESS_TEXT_MAX];
        struct address a = parse(texts[i]);
        assert_string_equal(address_print(&a, out), texts[i]);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        ":0",
        ":65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1:080",
        "1.2.3:1",
        "1.2.3.4.5:1",
        "1.2.3.400:1",
        "localhost:1",
        "example.com:6379",
        "::1:6379",
        "[::1]",
        "[::1]:",
        "[::1:6379",
        "::1]:6379",
        "[]:1",
        "[1.2.3.4]:1",
        "[fe80::1%lo]:1",
        "unix:",
        "unix:relative",
        " 1.2.3.4:1",
        "1.2.3.4 :1",
        "1.2.3.4:1 ",
        "1.2.3.4:99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct address a;
        assert_int_equal(address_parse(&a, texts[i]), -EINVAL);
    }
}

static void the_longest_unix_path_fits_and_a_longer_one_does_not(void **state)
{
    char text[160] = "unix:/";
    struct address a;
    char out[ADDRESS_TEXT_MAX];
    (void)state;
    memset(text + 6, 'x', 106);
    assert_int_equal(address_parse(&a, text), 0);
    assert_string_equal(address_print(&a, out), text);
    text[6 + 106] = 'x';
    assert_int_equal(address_parse(&a, text), -EINVAL);
}

static void a_client_without_a_path_can_be_printed(void **state)
{
    struct address a = {.len = sizeof(sa_family_t)};
    char out[ADDRESS_TEXT_MAX];
    (void)state;
    a.sa.any.sa_family = AF_UNIX;
    assert_string_equal(address_print(&a, out), "unix:");
}

static void only_loopback_is_loopback(void **state)
{
    static const char *const yes[] = {"127.0.0.1:1", "127.8.7.6:1", "[::1]:1",
                                      "[::ffff:127.0.0.1]:1", "unix:/x"};
    static const char *const no[] = {":1",      "0.0.0.0:1",           "[::]:1",     "10.0.0.1:1",
                                     "[::2]:1", "[::ffff:10.0.0.1]:1", "128.0.0.1:1"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        struct address a = parse(yes[i]);
        assert_true(address_is_loopback(&a));
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        struct address a = parse(no[i]);
        assert_false(address_is_loopback(&a));
    }
}

static void addresses_are_equal_only_to_themselves(void **state)
{
    static const char *const texts[] = {"1.2.3.4:1", "1.2.3.4:2", "1.2.3.5:1", "[::1]:1",
                                        "[::2]:1",   "[::1]:2",   "[::]:1",    ":1",
                                        "unix:/a",   "unix:/ab"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t j = 0; j < ARRAY_LEN(texts); j++) {
            struct address a = parse(texts[i]);
            struct address b = parse(texts[j]);
            assert_int_equal(address_equal(&a, &b), i == j);
        }
    }
}

static void a_host_is_printed_without_port_and_brackets(void **state)
{
    static const char *const cases[][2] = {
        {"127.0.0.1:6379", "127.0.0.1"},
        {"[::1]:6379", "::1"},
        {"[2001:db8::ff:1]:1", "2001:db8::ff:1"},
        {"[::ffff:10.1.2.3]:5", "10.1.2.3"},
        {":443", "::"},
        {"unix:/run/x.sock", "localhost"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[ADDRESS_TEXT_MAX];
        struct address a = parse(cases[i][0]);
        assert_ptr_equal(address_print_host(&a, out), out);
        assert_string_equal(out, cases[i][1]);
    }
}

static void another_port_changes_nothing_but_the_port(void **state)
{
    static const char *const cases[][2] = {
        {"127.0.0.1:6379", "127.0.0.1:8008"},
        {"[2001:db8::1]:1", "[2001:db8::1]:8008"},
        {":1", ":8008"},
        {"unix:/run/x.sock", "unix:/run/x.sock"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address a = parse(cases[i][0]);
        struct address expected = parse(cases[i][1]);
        struct address other = address_with_port(&a, 8008);
        assert_true(address_equal(&other, &expected));
        assert_int_equal(other.len, expected.len);
        struct address same = parse(cases[i][0]);
        assert_true(address_equal(&a, &same));
    }
    struct address a = parse("10.0.0.1:1");
    struct address highest = address_with_port(&a, UINT16_MAX);
    char out[ADDRESS_TEXT_MAX];
    assert_string_equal(address_print(&highest, out), "10.0.0.1:65535");
}

/* Ranges ------------------------------------------------------------------------------------ */

static bool contains(const char *range, const char *address)
{
    struct cidr c;
    struct address a = parse(address);
    assert_int_equal(cidr_parse(&c, range), 0);
    return cidr_contains(&c, &a);
}

static void a_range_contains_its_addresses_and_no_others(void **state)
{
    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.0.1:1"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0:1"));
    assert_true(contains("10.0.0.128/25", "10.0.0.128:1"));
    assert_false(contains("10.0.0.128/25", "10.0.0.127:1"));
    assert_true(contains("10.0.0.1", "10.0.0.1:1"));
    assert_false(contains("10.0.0.1", "10.0.0.2:1"));
    assert_true(contains("0.0.0.0/0", "8.8.8.8:1"));
    assert_true(contains("2001:db8::/33", "[2001:db8:7fff::1]:1"));
    assert_false(contains("2001:db8::/33", "[2001:db8:8000::1]:1"));
    assert_true(contains("::1", "[::1]:1"));
    assert_true(contains("::/0", "[2001:db8::1]:1"));
}

static void ipv4_is_in_ipv4_ranges_only(void **state)
{
    (void)state;
    assert_false(contains("::/0", "10.0.0.1:1"));
    assert_false(contains("::/0", "[::ffff:10.0.0.1]:1"));
    assert_false(contains("2001:db8::a00:0/104", "10.0.0.1:1"));
    assert_false(contains("0.0.0.0/0", "[::1]:1"));
    assert_true(contains("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
    assert_true(contains("::ffff:10.0.0.0/104", "10.1.2.3:1"));
}

static void a_unix_client_is_in_no_range(void **state)
{
    (void)state;
    assert_false(contains("0.0.0.0/0", "unix:/x"));
    assert_false(contains("::/0", "unix:/x"));
}

static void what_is_no_range_is_refused(void **state)
{
    static const char *const texts[] = {"",           "/8",          "10.0.0.0/",   "10.0.0.0/33",
                                        "::/129",     "10.0.0/8",    "10.0.0.0/08", "10.0.0.0/-1",
                                        "10.0.0.0:1", "example.com", "[::1]/128",   "10.0.0.0/8/8"};
    struct cidr c;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(cidr_parse(&c, texts[i]), -EINVAL);
    }
}

static void bits_behind_the_mask_are_told_and_cleared(void **state)
{
    static const char *const cases[][2] = {{"10.1.2.3/8", "10.0.0.0/8"},
                                           {"10.0.0.1/31", "10.0.0.0/31"},
                                           {"1.2.3.4/0", "0.0.0.0/0"},
                                           {"2001:db8::1/64", "2001:db8::/64"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cidr c;
        char out[ADDRESS_TEXT_MAX];
        assert_int_equal(cidr_parse(&c, cases[i][0]), -EDOM);
        assert_string_equal(cidr_print(&c, out), cases[i][1]);
        assert_int_equal(cidr_parse(&c, cases[i][1]), 0);
    }
}

/* Keys -------------------------------------------------------------------------------------- */

static bool same_client(const char *one, const char *two)
{
    struct address a = parse(one);
    struct address b = parse(two);
    struct client_key x = address_client_key(&a);
    struct client_key y = address_client_key(&b);
    bool same = x.high == y.high && x.low == y.low;
    assert_int_equal(same, client_key_hash(&x) == client_key_hash(&y));
    return same;
}

static void a_client_is_an_ipv4_address_or_an_ipv6_network(void **state)
{
    (void)state;
    assert_true(same_client("10.0.0.1:1", "10.0.0.1:2"));
    assert_true(same_client("10.0.0.1:1", "[::ffff:10.0.0.1]:2"));
    assert_false(same_client("10.0.0.1:1", "10.0.0.2:1"));
    assert_true(same_client("[2001:db8::1]:1", "[2001:db8::ffff:0:2]:2"));
    assert_false(same_client("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
    assert_true(same_client("unix:/a", "unix:/b"));
    assert_false(same_client("unix:/a", "[::1]:1"));
    assert_false(same_client("10.0.0.1:1", "[::1]:1"));
}

/* A change moves every sticky client of every router in the field. */
static void the_hash_never_changes(void **state)
{
    struct address v4 = parse("10.1.2.3:1");
    struct address v6 = parse("[2001:db8:1:2::3]:1");
    struct client_key a = address_client_key(&v4);
    struct client_key b = address_client_key(&v6);
    (void)state;
    assert_true(a.high == 0 && a.low == UINT64_C(0x0000ffff0a010203));
    assert_true(b.high == UINT64_C(0x20010db800010002) && b.low == 0);
    assert_true(client_key_hash(&a) == UINT64_C(0xde97033a93b2c827));
    assert_true(client_key_hash(&b) == UINT64_C(0x7d58df79c46fa8d2));
}

static void a_name_is_what_dns_knows_and_no_address(void **state)
{
    static const char *const good[][2] = {
        {"localhost:1", "localhost"},
        {"Redis-0.Redis_headless.NS.svc:6379", "redis-0.redis_headless.ns.svc"},
        {"a.b.:65535", "a.b."},
        {"1.2.3.4a:1", "1.2.3.4a"},
        {"10-0-0-1:1", "10-0-0-1"},
    };
    static const char *const bad[] = {
        "",          ":",           ":1",     "a",      "a:",    "a:0",     "a:65536",
        "a:1x",      ".:1",         "a..b:1", ".a:1",   "-a:1",  "a b:1",   "a/b:1",
        "1.2.3.4:1", "1.2.3.400:1", "10:1",   "a.10:1", "::1:1", "[::1]:1", "a:b:1",
        "unix:/x",   "unix:/x:1",   "a,b:1",  "a.\n:1", "a*:1",
    };
    char name[ADDRESS_NAME_MAX];
    char long_one[300];
    unsigned port;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(address_parse_name(good[i][0], name, &port), 0);
        assert_string_equal(name, good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(address_parse_name(bad[i], name, &port), -EINVAL);
    }
    for (size_t i = 0; i < 254; i++) {
        long_one[i] = i % 60 == 59 ? '.' : 'a';
    }
    memcpy(long_one + 253, ":1", 3);
    assert_int_equal(address_parse_name(long_one, name, &port), 0);
    assert_int_equal(strlen(name), 253);
    memcpy(long_one + 253, "a:1", 4);
    assert_int_equal(address_parse_name(long_one, name, &port), -EINVAL);
    memset(long_one, 'a', 64);
    memcpy(long_one + 64, ":1", 3);
    assert_int_equal(address_parse_name(long_one, name, &port), -EINVAL);
}

static void an_address_is_set_once_it_was_parsed(void **state)
{
    struct address none = {0};
    struct address some = parse("127.0.0.1:1");
    (void)state;
    assert_false(address_is_set(&none));
    assert_true(address_is_set(&some));
    assert_true(address_equal(&none, &none));
    assert_false(address_equal(&none, &some));
}

static void a_client_key_is_printed_as_the_range_that_it_is(void **state)
{
    static const struct {
        const char *address;
        const char *words;
    } cases[] = {
        {"10.0.0.5:1", "10.0.0.5"},
        {"255.1.2.3:1", "255.1.2.3"},
        {"[::ffff:10.0.0.5]:1", "10.0.0.5"},
        {"[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"},
        {"[::1]:1", "::/64"},
        {"unix:/run/x", "localhost"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct address a;
        char out[ADDRESS_TEXT_MAX];
        assert_int_equal(address_parse(&a, cases[i].address), 0);
        struct client_key key = address_client_key(&a);
        assert_string_equal(client_key_print(&key, out), cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_key_is_printed_as_the_range_that_it_is),
        cmocka_unit_test(addresses_are_printed_as_they_were_written),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(the_longest_unix_path_fits_and_a_longer_one_does_not),
        cmocka_unit_test(a_client_without_a_path_can_be_printed),
        cmocka_unit_test(only_loopback_is_loopback),
        cmocka_unit_test(addresses_are_equal_only_to_themselves),
        cmocka_unit_test(a_host_is_printed_without_port_and_brackets),
        cmocka_unit_test(another_port_changes_nothing_but_the_port),
        cmocka_unit_test(a_range_contains_its_addresses_and_no_others),
        cmocka_unit_test(ipv4_is_in_ipv4_ranges_only),
        cmocka_unit_test(a_unix_client_is_in_no_range),
        cmocka_unit_test(what_is_no_range_is_refused),
        cmocka_unit_test(bits_behind_the_mask_are_told_and_cleared),
        cmocka_unit_test(a_client_is_an_ipv4_address_or_an_ipv6_network),
        cmocka_unit_test(the_hash_never_changes),
        cmocka_unit_test(a_name_is_what_dns_knows_and_no_address),
        cmocka_unit_test(an_address_is_set_once_it_was_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
