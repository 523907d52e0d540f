/* Commands in flight: a ring that keeps their order however it grows and turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/flights.h"

static void add(struct flights *f, uint32_t number)
{
    struct flight *flight = flights_add(f);
    assert_non_null(flight);
    *flight = (struct flight){.bytes = number};
}

static void nothing_is_first_of_none(void **state)
{
    (void)state;
    struct flights f = {0};
    assert_null(flights_first(&f));
    flights_release(&f);
}

static void first_in_is_first_out(void **state)
{
    (void)state;
    struct flights f = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        add(&f, i);
    }
    assert_int_equal(f.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(flights_at(&f, 0)->bytes, i);
        assert_int_equal(flights_first(&f)->bytes, i);
        flights_drop(&f);
    }
    assert_null(flights_first(&f));
    flights_release(&f);
}

/* At each growth the ring begins somewhere else. */
static void order_stays_when_it_grows_in_the_midst(void **state)
{
    (void)state;
    for (uint32_t turned = 0; turned < 40; turned++) {
        struct flights f = {0};
        uint32_t in = 0;
        uint32_t out = 0;
        for (; in < turned; in++, out++) {
            add(&f, in);
            flights_drop(&f);
        }
        for (; in < turned + 100; in++) {
            add(&f, in);
        }
        for (uint32_t i = 0; i < f.count; i++) {
            assert_int_equal(flights_at(&f, i)->bytes, out + i);
        }
        flights_release(&f);
    }
}

static void room_is_used_again(void **state)
{
    (void)state;
    struct flights f = {0};
    for (uint32_t i = 0; i < 100000; i++) {
        add(&f, i);
        add(&f, i);
        flights_drop(&f);
        flights_drop(&f);
    }
    assert_true(f.room <= 16);
    flights_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_first_of_none),
        cmocka_unit_test(first_in_is_first_out),
        cmocka_unit_test(order_stays_when_it_grows_in_the_midst),
        cmocka_unit_test(room_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
