/* Promise: each change of a primary is one record with its own number, times and counts; the newest
 * are kept, and a backend's record is never taken for another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "ctl/recorder.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct recorder));
    return *state == NULL;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static const struct record_counts none;

static void nothing_has_changed_at_first(void **state)
{
    assert_null(recorder_newest(*state, 0));
    assert_null(recorder_newest(*state, SIZE_MAX));
    assert_null(recorder_current(*state, 0));
}

static void a_record_begins_with_no_times_and_no_names(void **state)
{
    uint64_t before = (uint64_t)time(NULL) * 1000;
    struct record *r = recorder_open(*state, 3, none);
    assert_int_equal(r->number, 1);
    assert_int_equal(r->backend, 3);
    assert_true(r->at_unix_ms >= before && r->at_unix_ms < before + 60000);
    assert_true(r->elected_us == RECORD_NEVER && r->fenced_us == RECORD_NEVER);
    assert_true(r->published_us == RECORD_NEVER && r->written_us == RECORD_NEVER);
    assert_string_equal(r->from, "");
    assert_string_equal(r->to, "");
    assert_false(r->complete);
    assert_ptr_equal(recorder_newest(*state, 0), r);
    assert_null(recorder_newest(*state, 1));
}

static void a_time_is_noted_once_and_grows(void **state)
{
    struct record *r = recorder_open(*state, 0, none);
    record_mark(r, &r->elected_us);
    uint64_t elected = r->elected_us;
    assert_true(elected < UINT64_C(60000000));
    record_mark(r, &r->elected_us);
    assert_true(r->elected_us == elected);
    r->opened_ns -= UINT64_C(5000000000); /* as if five seconds had passed */
    record_mark(r, &r->written_us);
    assert_true(r->written_us >= elected + 5000000);
    assert_true(r->written_us < elected + 65000000);
    record_mark(r, &r->elected_us);
    assert_true(r->elected_us == elected);
}

static void counts_are_what_came_since_and_stand_still_in_the_end(void **state)
{
    struct record *r = recorder_open(*state, 0, (struct record_counts){.held = 7, .closed = 40});
    struct record_counts now = record_since(r, (struct record_counts){.held = 9, .closed = 45});
    assert_int_equal(now.held, 2);
    assert_int_equal(now.closed, 5);
    r->counts = now;
    r->complete = true;
    now = record_since(r, (struct record_counts){.held = 100, .closed = 100});
    assert_int_equal(now.held, 2);
    assert_int_equal(now.closed, 5);
}

static void each_backend_has_its_own_open_record(void **state)
{
    struct record *a = recorder_open(*state, 0, none);
    struct record *b = recorder_open(*state, 1, none);
    assert_ptr_equal(recorder_current(*state, 0), a);
    assert_ptr_equal(recorder_current(*state, 1), b);
    assert_null(recorder_current(*state, 2));
    b->complete = true;
    assert_null(recorder_current(*state, 1));
    assert_ptr_equal(recorder_current(*state, 0), a);
}

static void only_the_newest_record_of_a_backend_is_open(void **state)
{
    struct record *forgotten = recorder_open(*state, 0, none);
    struct record *newest = recorder_open(*state, 0, none);
    newest->complete = true;
    assert_false(forgotten->complete);
    assert_null(recorder_current(*state, 0));
}

static void the_newest_are_kept_and_the_oldest_go(void **state)
{
    size_t total = RECORDS_KEPT * 2 + 5;
    for (size_t i = 1; i <= total; i++) {
        struct record *r = recorder_open(*state, i % 3, none);
        assert_int_equal(r->number, i);
        assert_ptr_equal(recorder_current(*state, i % 3), r);
        r->written_us = i;
        r->complete = true;
    }
    for (size_t i = 0; i < RECORDS_KEPT; i++) {
        const struct record *r = recorder_newest(*state, i);
        assert_non_null(r);
        assert_int_equal(r->number, total - i);
        assert_true(r->written_us == total - i);
    }
    assert_null(recorder_newest(*state, RECORDS_KEPT));
}

static void a_record_that_was_overwritten_is_open_no_more(void **state)
{
    recorder_open(*state, 7, none);
    for (size_t i = 1; i < RECORDS_KEPT; i++) {
        recorder_open(*state, 0, none);
    }
    assert_non_null(recorder_current(*state, 7)); /* the oldest of all */
    recorder_open(*state, 0, none);
    assert_null(recorder_current(*state, 7));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_has_changed_at_first),
        TEST(a_record_begins_with_no_times_and_no_names),
        TEST(a_time_is_noted_once_and_grows),
        TEST(counts_are_what_came_since_and_stand_still_in_the_end),
        TEST(each_backend_has_its_own_open_record),
        TEST(only_the_newest_record_of_a_backend_is_open),
        TEST(the_newest_are_kept_and_the_oldest_go),
        TEST(a_record_that_was_overwritten_is_open_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
