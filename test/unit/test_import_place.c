/* HAProxy's addresses, read and written as router.ini has them; and memory that is freed at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "import/fronts.h"
#include "import/place.h"

static struct word plain(struct source *s, const char *text)
{
    return word_of(s, text);
}

static void written(const char *text, const char *expected)
{
    struct source s = {0};
    struct address_word at;
    struct word w = plain(&s, text);
    address_word_read(&s, &w, &at);
    assert_null(at.other);
    assert_string_equal(address_word_write(&s, &at, 0).text, expected);
    source_free(&s);
}

static void test_servers(void **state)
{
    (void)state;
    written("10.0.0.1:6379", "10.0.0.1:6379");
    written("ipv4@10.0.0.1:6379", "10.0.0.1:6379");
    written("db.example.com:3306", "db.example.com:3306");
    written("[2001:db8::1]:5432", "[2001:db8::1]:5432");
    written("2001:db8::1:5432", "[2001:db8::1]:5432");
    written("ipv6@2001:db8::1:5432", "[2001:db8::1]:5432");
    written("/run/db.sock", "unix:/run/db.sock");
    written("unix@/run/db.sock", "unix:/run/db.sock");
}

static void listened(const char *text, bool six_only, unsigned port, const char *expected)
{
    struct source s = {0};
    struct address_word at;
    struct word w = plain(&s, text);
    address_word_read(&s, &w, &at);
    assert_string_equal(bind_place(&s, &at, port, six_only).text, expected);
    source_free(&s);
}

static void test_binds(void **state)
{
    (void)state;
    listened("*:80", false, 0, "0.0.0.0:80");
    listened(":80", false, 0, "0.0.0.0:80");
    listened("0.0.0.0:80", true, 0, "0.0.0.0:80");
    listened("[::]:80", false, 0, ":80");
    listened(":::80", false, 0, ":80");
    listened("[::]:80", true, 0, "[::]:80");
    listened("localhost:80", false, 0, "127.0.0.1:80");
    listened("10.0.0.1:80-90", false, 85, "10.0.0.1:85");
    listened("unix@/run/x", false, 0, "unix:/run/x");
}

static void test_what_router_does_not_have(void **state)
{
    (void)state;
    static const char *const words[] = {"abns@x", "fd@3", "quic4@:443", "udp@:53", "ring@r"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct source s = {0};
        struct address_word at;
        struct word w = plain(&s, words[i]);
        address_word_read(&s, &w, &at);
        assert_non_null(at.other);
        source_free(&s);
    }
}

static void ports(const char *text, unsigned first, unsigned last, bool offset, bool lacks)
{
    struct source s = {0};
    struct address_word at;
    struct word w = plain(&s, text);
    address_word_read(&s, &w, &at);
    assert_int_equal(at.first, first);
    assert_int_equal(at.last, last);
    assert_int_equal(at.offset, offset);
    assert_int_equal(place_lacks_port(&at), lacks);
    source_free(&s);
}

static void test_ports(void **state)
{
    (void)state;
    ports("10.0.0.1", 0, 0, false, true);
    ports("10.0.0.1:", 0, 0, false, true);
    ports("[::1]", 0, 0, false, true);
    ports("10.0.0.1:80", 80, 80, false, false);
    ports(":9001-9006", 9001, 9006, false, false);
    ports("10.0.0.1:+10", 10, 10, true, false);
    ports("10.0.0.1:99999", 0, 0, false, true);
    ports("10.0.0.1:9-8", 0, 0, false, true);
    ports("/run/x", 0, 0, false, false);
}

/* What comes from the environment stays what it is, also where its value is no port. */
static void test_variables(void **state)
{
    (void)state;
    static const struct reference r[] = {{.at = 0, .len = 8, .name = "HOST"},
                                         {.at = 9, .len = 0, .name = "PORT"}};
    struct source s = {0};
    struct address_word at;
    struct word w = {.text = "10.0.0.1:", .len = 9, .references = r, .reference_count = 2};
    address_word_read(&s, &w, &at);
    assert_false(place_lacks_port(&at));
    struct word out = address_word_write(&s, &at, 0);
    assert_int_equal(out.reference_count, 2);
    assert_string_equal(out.references[0].name, "HOST");
    assert_int_equal(out.references[0].len, 8);
    assert_string_equal(out.references[1].name, "PORT");
    assert_int_equal(out.references[1].at, 9);
    source_free(&s);
}

static void test_an_arena_gives_room_that_stays(void **state)
{
    (void)state;
    struct arena a = {0};
    int *items = NULL;
    for (size_t i = 0; i < 1000; i++) {
        items = arena_grow(&a, items, i, sizeof *items);
        items[i] = (int)i;
    }
    char *large = arena_take(&a, 1 << 20);
    assert_int_equal(large[0] | large[(1 << 20) - 1], 0);
    assert_string_equal(arena_copy(&a, "abc", 2), "ab");
    assert_string_equal(arena_print(&a, "%d-%s", 7, "x"), "7-x");
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(items[i], i);
    }
    assert_int_equal((uintptr_t)arena_take(&a, 1) % _Alignof(max_align_t), 0);
    arena_free(&a);
    assert_null(a.blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_binds),
        cmocka_unit_test(test_what_router_does_not_have),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_an_arena_gives_room_that_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
