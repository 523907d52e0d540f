/* The list of the slowest commands (core/slow.h): who comes in, who gives way, what is measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "core/slow.h"

#define HOUR SLOW_STALE_MS

/* True: it came in. */
static bool offer(struct slow_list *l, uint32_t took_us, uint64_t now_ms)
{
    if (!slow_wants(l, took_us, now_ms)) {
        return false;
    }
    slow_place(l, took_us, now_ms)->session = took_us;
    return true;
}

static bool has(const struct slow_list *l, uint32_t took_us)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->rows[i].took_us == took_us) {
            assert_int_equal(l->rows[i].session, took_us);
            return true;
        }
    }
    return false;
}

static void fill(struct slow_list *l, uint32_t from_us, uint64_t now_ms)
{
    slow_init(l);
    for (uint32_t i = 0; i < SLOW_KEPT; i++) {
        assert_true(offer(l, from_us + i, now_ms));
    }
}

static void who_is_slower_displaces_the_fastest(void **state)
{
    (void)state;
    struct slow_list l;
    fill(&l, 100, 5);
    assert_int_equal(l.count, SLOW_KEPT);
    assert_false(offer(&l, 99, 6));
    assert_false(offer(&l, 100, 6)); /* as fast as the fastest */
    assert_true(offer(&l, 5000, 6));
    assert_true(has(&l, 5000) && !has(&l, 100) && has(&l, 101));
    assert_false(offer(&l, 101, 7));
    assert_true(offer(&l, 102, 7));
    assert_true(has(&l, 102) && !has(&l, 101));
    assert_int_equal(l.count, SLOW_KEPT);
}

static void what_is_older_than_an_hour_gives_way_first(void **state)
{
    (void)state;
    struct slow_list l;
    fill(&l, 1000, 1);
    assert_true(offer(&l, 9999, 50)); /* in the place of 1000 */
    assert_false(offer(&l, 5, HOUR));
    assert_true(offer(&l, 5, HOUR + 1)); /* faster than all, but they are stale */
    assert_true(has(&l, 5));
    for (uint32_t i = 1; i < SLOW_KEPT - 1; i++) {
        assert_true(offer(&l, 5 + i, HOUR + 1));
    }
    assert_true(has(&l, 9999)); /* 49 ms younger */
    assert_false(offer(&l, 5, HOUR + 2));
    assert_true(offer(&l, 100000, HOUR + 2));
    assert_true(has(&l, 9999) && !has(&l, 5)); /* the fastest again */
    assert_true(offer(&l, 1, HOUR + 50));
    assert_false(has(&l, 9999));
}

/* Beside a list of all: as long as nothing is stale, the slowest are there. */
static void the_slowest_of_many_are_there(void **state)
{
    (void)state;
    static uint32_t all[5000];
    struct slow_list l;
    uint32_t seed = 4711;
    slow_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        seed = seed * 1664525 + 1013904223;
        all[i] = 1 + (seed >> 8) % 100000 * 64 + (uint32_t)i % 64; /* few are equal */
        offer(&l, all[i], i);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        size_t slower = 0;
        for (size_t k = 0; k < ARRAY_LEN(all); k++) {
            slower += all[k] > all[i];
        }
        if (slower < SLOW_KEPT - 1) {
            assert_true(has(&l, all[i]));
        }
        if (slower > SLOW_KEPT) {
            assert_false(has(&l, all[i]));
        }
    }
}

static void what_waits_by_its_nature_is_not_measured(void **state)
{
    (void)state;
    static const uint8_t waiting[] = {REDIS_BLOCKS, REDIS_WAITS, REDIS_OWN, REDIS_SUBSCRIBE,
                                      REDIS_UNSUBSCRIBE};
    for (uint8_t kind = 0; kind < REDIS_KIND_COUNT; kind++) {
        bool waits = memchr(waiting, kind, sizeof waiting) != NULL;
        assert_int_equal(slow_is_waiting(kind), waits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_slower_displaces_the_fastest),
        cmocka_unit_test(what_is_older_than_an_hour_gives_way_first),
        cmocka_unit_test(the_slowest_of_many_are_there),
        cmocka_unit_test(what_waits_by_its_nature_is_not_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
