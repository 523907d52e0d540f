/* Promise: who fails to log in waits, the longer the more often; who logs in from the same address
 * does not wait for what others did; and no number of clients makes the table grow. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/login_guard.h"

#define START   UINT64_C(1000000)
#define ANNA    UINT64_C(11)
#define BERT    UINT64_C(12)
#define MANY    5000 /* addresses: more than there is room for */
#define BURST   10
#define THREADS 4

static const struct client_key home = {0, UINT64_C(0xffff7f000001)};
static const struct client_key elsewhere = {0, UINT64_C(0xffff0a000001)};

static void fails(struct login_guard *g, uint64_t user, int times, uint64_t now)
{
    for (int i = 0; i < times; i++) {
        login_guard_failed(g, &home, user, now, LOGIN_FAILED_DENIED);
    }
}

static uint64_t delay(struct login_guard *g, uint64_t user, uint64_t now)
{
    return login_guard_delay(g, &home, user, now);
}

static void who_was_never_seen_does_not_wait(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    struct login_guard_row row;
    assert_int_equal(delay(g, ANNA, START), 0);
    login_guard_succeeded(g, &home, ANNA, START);
    assert_int_equal(delay(g, ANNA, START), 0);
    assert_int_equal(login_guard_list(g, &row, 1, START), 0);
    login_guard_free(g);
    login_guard_free(NULL);
}

static void a_burst_is_free_and_more_waits_longer_up_to_a_bound(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    fails(g, ANNA, BURST, START);
    assert_int_equal(delay(g, ANNA, START), 0);
    fails(g, ANNA, 1, START);
    assert_int_equal(delay(g, ANNA, START), 250);
    fails(g, ANNA, 3, START);
    assert_int_equal(delay(g, ANNA, START), 1000);
    assert_int_equal(delay(g, BERT, START), 1000); /* nobody knows either of them there */
    fails(g, ANNA, 100000, START);
    assert_int_equal(delay(g, ANNA, START), LOGIN_GUARD_DELAY_MAX_MS);
    assert_int_equal(login_guard_delay(g, &elsewhere, ANNA, START), 0);
    login_guard_free(g);
}

/* Also of any number of failures, within about a minute. */
static void time_forgives(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    fails(g, ANNA, BURST + 4, START);
    assert_int_equal(delay(g, ANNA, START + 2000), 500);
    assert_int_equal(delay(g, ANNA, START + 4000), 0);
    fails(g, ANNA, 1000000, START);
    assert_true(delay(g, ANNA, START + 10000) > 0);
    assert_int_equal(delay(g, ANNA, START + 60000), 0);
    login_guard_free(g);
}

static enum login_turn enter(struct login_guard *g, uint64_t user, unsigned places, uint64_t now)
{
    return login_guard_enter(g, &home, user, places, now, false);
}

/* Of many who begin at once: how many may go on. */
static unsigned enter_all(struct login_guard *g, unsigned places, uint64_t now)
{
    unsigned count = 0;
    while (enter(g, BERT, places, now) == LOGIN_TURN_COUNTED) {
        count++;
        assert_true(count < 100);
    }
    for (unsigned i = 0; i < count; i++) {
        login_guard_leave(g, &home);
    }
    login_guard_leave(g, &home); /* one too many does no harm */
    return count;
}

static void a_few_of_an_address_may_be_unfinished(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    assert_int_equal(enter_all(g, 0, START), 8);
    assert_int_equal(enter_all(g, 100, START), 8);
    assert_int_equal(enter_all(g, 16, START), 4);
    assert_int_equal(enter_all(g, 1, START), 1);
    assert_int_equal(login_guard_enter(g, &elsewhere, BERT, 1, START, false), LOGIN_TURN_COUNTED);
    fails(g, BERT, 1, START);
    assert_int_equal(enter_all(g, 0, START), 2);
    assert_int_equal(enter_all(g, 16, START), 1);
    assert_int_equal(enter_all(g, 0, START + 1000), 8);
    fails(g, BERT, 100, START);
    assert_int_equal(enter_all(g, 0, START), 1);
    login_guard_free(g);
}

/* Whatever others do there. */
static void who_is_known_there_need_not_wait_for_the_unfinished(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    login_guard_succeeded(g, &home, ANNA, START);
    fails(g, BERT, 100, START);
    assert_int_equal(enter(g, BERT, 1, START), LOGIN_TURN_COUNTED);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(enter(g, ANNA, 1, START), LOGIN_TURN_FREE);
    }
    assert_int_equal(enter(g, BERT, 1, START), LOGIN_TURN_WAITS);
    login_guard_leave(g, &home);
    assert_int_equal(enter(g, BERT, 1, START), LOGIN_TURN_COUNTED);
    login_guard_free(g);
}

static void who_is_late_has_failed_as_often_as_seconds_went_by(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    login_guard_succeeded(g, &home, ANNA, START);
    login_guard_failed(g, &home, BERT, START, LOGIN_FAILED_LATE);
    assert_int_equal(delay(g, BERT, START), 0);
    login_guard_failed(g, &home, BERT, START, LOGIN_FAILED_LATE);
    assert_int_equal(delay(g, BERT, START), 1500);
    for (int i = 0; i < BURST; i++) { /* an account of many clients, of which some stall */
        login_guard_failed(g, &home, ANNA, START, LOGIN_FAILED_LATE);
    }
    assert_int_equal(delay(g, ANNA, START), 0);
    login_guard_free(g);
}

static void who_logged_in_does_not_wait_for_others(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    login_guard_succeeded(g, &home, ANNA, START);
    fails(g, BERT, 1000, START + 1);
    for (int i = 0; i < 1000; i++) {
        login_guard_failed(g, &home, LOGIN_GUARD_NOBODY, START + 1, LOGIN_FAILED_BROKEN);
    }
    assert_int_equal(delay(g, ANNA, START + 1), 0);
    assert_int_equal(delay(g, BERT, START + 1), LOGIN_GUARD_DELAY_MAX_MS);
    /* Of what it did long ago nothing is known. */
    fails(g, BERT, 1000, START + 3600000);
    assert_true(delay(g, ANNA, START + 3600000) > 0);
    login_guard_free(g);
}

static void who_logged_in_waits_for_its_own_failures(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    login_guard_succeeded(g, &home, ANNA, START);
    fails(g, ANNA, BURST + 4, START);
    assert_int_equal(delay(g, ANNA, START), 1000);
    assert_int_equal(delay(g, BERT, START), 0);
    login_guard_succeeded(g, &home, ANNA, START);
    assert_int_equal(delay(g, ANNA, START), 750);
    /* Where most is well, somebody with an old password of the same user stops nobody. */
    for (int i = 0; i < 10000; i++) {
        login_guard_succeeded(g, &home, ANNA, START);
        fails(g, ANNA, 1, START);
    }
    assert_int_equal(delay(g, ANNA, START), 750);
    for (int i = 0; i < BURST; i++) {
        login_guard_succeeded(g, &home, ANNA, START);
    }
    assert_int_equal(delay(g, ANNA, START), 0);
    login_guard_free(g);
}

/* Who guesses at users, with an account of its own, gets on no faster. */
static void a_success_pays_for_no_other_user(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    for (int i = 0; i < 100; i++) {
        login_guard_succeeded(g, &home, ANNA, START);
        login_guard_failed(g, &home, 100 + (uint64_t)i, START, LOGIN_FAILED_DENIED);
    }
    assert_int_equal(delay(g, 99, START), LOGIN_GUARD_DELAY_MAX_MS);
    assert_int_equal(delay(g, ANNA, START), 0);
    login_guard_free(g);
}

static void one_failure_is_known_for_a_second(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    login_guard_succeeded(g, &home, ANNA, START);
    assert_false(login_guard_has_failed(g, &home, BERT, START));
    fails(g, BERT, 1, START);
    assert_true(login_guard_has_failed(g, &home, BERT, START + 999));
    assert_false(login_guard_has_failed(g, &home, BERT, START + 1000));
    assert_false(login_guard_has_failed(g, &home, ANNA, START));
    fails(g, ANNA, 1, START);
    assert_true(login_guard_has_failed(g, &home, ANNA, START));
    login_guard_succeeded(g, &home, ANNA, START);
    assert_false(login_guard_has_failed(g, &home, ANNA, START));
    login_guard_free(g);
}

static void the_last_users_of_an_address_are_known(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    for (uint64_t i = 0; i < 33; i++) {
        login_guard_succeeded(g, &home, 20 + i, START + i);
        login_guard_succeeded(g, &home, 20, START + i);
    }
    fails(g, BERT, 1000, START + 40);
    assert_int_equal(delay(g, 20, START + 40), 0);
    assert_true(delay(g, 21, START + 40) > 0); /* the last one took its place */
    assert_int_equal(delay(g, 22, START + 40), 0);
    assert_int_equal(delay(g, 52, START + 40), 0);
    login_guard_free(g);
}

static void the_longest_unused_addresses_make_room(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    fails(g, ANNA, 1000, START);
    for (uint64_t i = 0; i < MANY; i++) {
        struct client_key key = {i + 1, 0};
        login_guard_failed(g, &key, ANNA, START, LOGIN_FAILED_BROKEN);
        if (i == MANY / 2) {
            login_guard_succeeded(g, &home, BERT, START);
        }
    }
    assert_true(delay(g, ANNA, START) > 0);
    for (uint64_t i = 0; i < MANY; i++) {
        struct client_key key = {i + 1, 1};
        login_guard_failed(g, &key, ANNA, START, LOGIN_FAILED_BROKEN);
    }
    assert_int_equal(delay(g, ANNA, START), 0);
    login_guard_free(g);
}

static void the_worst_addresses_are_listed_first(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    struct login_guard_row rows[3];
    fails(g, ANNA, BURST + 4, START);
    delay(g, ANNA, START);
    login_guard_failed(g, &home, LOGIN_GUARD_NOBODY, START, LOGIN_FAILED_LATE);
    login_guard_failed(g, &elsewhere, ANNA, START, LOGIN_FAILED_BROKEN);
    for (uint64_t i = 0; i < 50; i++) {
        struct client_key key = {i + 1, 0};
        for (uint64_t k = 0; k <= i % 10; k++) {
            login_guard_failed(g, &key, ANNA, START, LOGIN_FAILED_BROKEN);
        }
    }
    assert_int_equal(login_guard_list(g, rows, 3, START + 2000), 3);
    assert_int_equal(rows[0].key.low, home.low);
    assert_int_equal(rows[0].failures[LOGIN_FAILED_DENIED], BURST + 4);
    assert_int_equal(rows[0].failures[LOGIN_FAILED_LATE], 1);
    assert_int_equal(rows[0].failures[LOGIN_FAILED_BROKEN], 0);
    assert_int_equal(rows[0].slowed, 1);
    assert_int_equal(rows[0].ago_ms, 2000);
    assert_int_equal(rows[0].delay_ms, 750);
    assert_int_equal(rows[1].failures[LOGIN_FAILED_BROKEN], 10);
    assert_int_equal(rows[2].failures[LOGIN_FAILED_BROKEN], 10);
    assert_int_equal(login_guard_list(g, rows, 0, START), 0);
    struct login_guard_total all;
    login_guard_total(g, &all, START + 59000);
    assert_int_equal(all.addresses, 52);
    assert_int_equal(all.failures[LOGIN_FAILED_DENIED], BURST + 4);
    assert_int_equal(all.failures[LOGIN_FAILED_BROKEN], 1 + 5 * 55);
    login_guard_total(g, &all, START + 60000);
    assert_int_equal(all.addresses, 0);
    assert_int_equal(all.failures[LOGIN_FAILED_LATE], 1);
    login_guard_free(g);
}

static void names_are_told_apart(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    assert_true(login_guard_user(g, "anna", 4) == login_guard_user(g, "anna", 4));
    assert_true(login_guard_user(g, "anna", 4) != login_guard_user(g, "bert", 4));
    assert_true(login_guard_user(g, "", 0) != LOGIN_GUARD_NOBODY);
    login_guard_free(g);
}

static void *log_in_and_fail(void *arg)
{
    struct login_guard *g = arg;
    for (uint64_t i = 0; i < 20000; i++) {
        struct client_key key = {i % 100, 0};
        login_guard_delay(g, &key, ANNA, START + i);
        login_guard_failed(g, &key, ANNA, START + i, LOGIN_FAILED_DENIED);
        login_guard_succeeded(g, &key, BERT, START + i);
    }
    return NULL;
}

static void threads_do_not_lose_what_they_count(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    struct login_guard_row rows[200];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, log_in_and_fail, g);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(login_guard_list(g, rows, 200, START), 100);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(rows[i].failures[LOGIN_FAILED_DENIED], THREADS * 200);
    }
    login_guard_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_never_seen_does_not_wait),
        cmocka_unit_test(a_burst_is_free_and_more_waits_longer_up_to_a_bound),
        cmocka_unit_test(time_forgives),
        cmocka_unit_test(a_few_of_an_address_may_be_unfinished),
        cmocka_unit_test(who_is_known_there_need_not_wait_for_the_unfinished),
        cmocka_unit_test(who_is_late_has_failed_as_often_as_seconds_went_by),
        cmocka_unit_test(who_logged_in_does_not_wait_for_others),
        cmocka_unit_test(who_logged_in_waits_for_its_own_failures),
        cmocka_unit_test(a_success_pays_for_no_other_user),
        cmocka_unit_test(one_failure_is_known_for_a_second),
        cmocka_unit_test(the_last_users_of_an_address_are_known),
        cmocka_unit_test(the_longest_unused_addresses_make_room),
        cmocka_unit_test(the_worst_addresses_are_listed_first),
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(threads_do_not_lose_what_they_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
