#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "model/client_table.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static struct client_key key(uint64_t n)
{
    return (struct client_key){.high = UINT64_C(0x20010db8) << 32 | n, .low = 0};
}

static enum client_verdict enter(struct client_table *t, uint64_t client, unsigned max,
                                 unsigned rate, uint64_t now)
{
    struct client_key k = key(client);
    return client_table_enter(t, 0, &k, max, rate, now);
}

static void leave(struct client_table *t, uint64_t client)
{
    struct client_key k = key(client);
    client_table_leave(t, 0, &k);
}

static void a_client_has_at_most_its_sessions(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter(t, 1, 3, 0, START), CLIENT_ADMITTED);
    }
    assert_int_equal(enter(t, 1, 3, 0, START), CLIENT_TOO_MANY);
    assert_int_equal(enter(t, 2, 3, 0, START), CLIENT_ADMITTED);
    leave(t, 1);
    assert_int_equal(enter(t, 1, 3, 0, START), CLIENT_ADMITTED);
    assert_int_equal(enter(t, 1, 3, 0, START), CLIENT_TOO_MANY);
    client_table_free(t);
}

static void frontends_count_apart(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(1000);
    struct client_key k = key(1);
    assert_int_equal(client_table_enter(t, 0, &k, 1, 0, START), CLIENT_ADMITTED);
    assert_int_equal(client_table_enter(t, 1, &k, 1, 0, START), CLIENT_ADMITTED);
    assert_int_equal(client_table_enter(t, 0, &k, 1, 0, START), CLIENT_TOO_MANY);
    client_table_leave(t, 1, &k);
    assert_int_equal(client_table_enter(t, 0, &k, 1, 0, START), CLIENT_TOO_MANY);
    client_table_leave(t, 0, &k);
    assert_int_equal(client_table_enter(t, 0, &k, 1, 0, START), CLIENT_ADMITTED);
    client_table_free(t);
}

static void frontends_that_share_a_bucket_count_apart(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(64 * 4);
    struct client_key k = key(1);
    for (size_t frontend = 0; frontend < 2000; frontend++) {
        assert_int_equal(client_table_enter(t, frontend, &k, 0, 1, START), CLIENT_ADMITTED);
        client_table_leave(t, frontend, &k);
    }
    client_table_free(t);
}

static void a_burst_of_a_second_passes_then_the_rate_holds(void **state)
{
    (void)state;
    static const unsigned rates[] = {1, 3, 7, 10, 1000};
    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        struct client_table *t = client_table_new(100);
        unsigned rate = rates[r];
        for (unsigned i = 0; i < rate; i++) {
            assert_int_equal(enter(t, 1, 0, rate, START), CLIENT_ADMITTED);
        }
        assert_int_equal(enter(t, 1, 0, rate, START), CLIENT_TOO_FAST);
        assert_int_equal(enter(t, 2, 0, rate, START), CLIENT_ADMITTED);
        unsigned admitted = 0;
        for (uint64_t now = START; now < START + 10 * SECOND; now += SECOND / 4000) {
            admitted += enter(t, 1, 0, rate, now) == CLIENT_ADMITTED;
        }
        assert_in_range(admitted, 10 * rate - 1, 10 * rate);
        client_table_free(t);
    }
}

static void a_refused_client_uses_nothing_up(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(100);
    assert_int_equal(enter(t, 1, 1, 2, START), CLIENT_ADMITTED);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(enter(t, 1, 1, 2, START), CLIENT_TOO_MANY);
    }
    leave(t, 1);
    assert_int_equal(enter(t, 1, 1, 2, START), CLIENT_ADMITTED);
    leave(t, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(enter(t, 1, 1, 2, START), CLIENT_TOO_FAST);
    }
    assert_int_equal(enter(t, 1, 1, 2, START + SECOND / 2), CLIENT_ADMITTED);
    client_table_free(t);
}

/* Workers' clocks are read apart: one may be a little behind. */
static void a_clock_that_is_behind_admits_no_more(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(100);
    assert_int_equal(enter(t, 1, 0, 1, START), CLIENT_ADMITTED);
    assert_int_equal(enter(t, 1, 0, 1, START - SECOND / 1000), CLIENT_TOO_FAST);
    client_table_free(t);
}

static void a_flood_of_addresses_does_not_fill_the_table(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(256);
    assert_int_equal(enter(t, 0, 1, 0, START), CLIENT_ADMITTED);
    for (uint64_t i = 1; i < 100000; i++) {
        assert_int_equal(enter(t, i, 1, 0, START), CLIENT_ADMITTED);
        leave(t, i);
    }
    /* Who has a session was not forgotten. */
    assert_int_equal(enter(t, 0, 1, 0, START), CLIENT_TOO_MANY);
    client_table_free(t);
}

static void a_full_table_refuses_and_recovers(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(64 * 4);
    static bool in[10000];
    size_t admitted = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        in[i] = enter(t, i, 5, 0, START) == CLIENT_ADMITTED;
        admitted += in[i];
    }
    assert_int_equal(admitted, 64 * 4);
    for (uint64_t i = 0; i < 10000; i++) {
        if (in[i]) {
            assert_int_equal(enter(t, i, 5, 0, START), CLIENT_ADMITTED);
            leave(t, i);
            leave(t, i);
        }
    }
    for (uint64_t i = 20000; i < 20010; i++) {
        assert_int_equal(enter(t, i, 5, 0, START), CLIENT_ADMITTED);
    }
    client_table_free(t);
}

static void the_longest_unused_makes_room(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(64 * 64);
    /* Client 0 keeps knocking too fast and must stay known, however many others come by. */
    assert_int_equal(enter(t, 0, 0, 1, START), CLIENT_ADMITTED);
    leave(t, 0);
    for (uint64_t i = 1; i < 100000; i++) {
        assert_int_equal(enter(t, i, 0, 1, START), CLIENT_ADMITTED);
        leave(t, i);
        assert_int_equal(enter(t, 0, 0, 1, START), CLIENT_TOO_FAST);
    }
    /* Of the others the newest are known, the oldest are not. */
    assert_int_equal(enter(t, 99999, 0, 1, START), CLIENT_TOO_FAST);
    assert_int_equal(enter(t, 1, 0, 1, START), CLIENT_ADMITTED);
    client_table_free(t);
}

static void a_table_of_one_works(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(0);
    assert_int_equal(enter(t, 1, 1, 1, START), CLIENT_ADMITTED);
    leave(t, 1);
    client_table_free(t);
    client_table_free(NULL);
}

#define THREADS 4
#define CLIENTS 8
#define MAX     3

struct racer {
    pthread_t thread;
    struct client_table *table;
    atomic_uint *inside; /* by client */
    bool exceeded;
    bool refused;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t client = i * 7 % CLIENTS;
        if (enter(r->table, client, MAX, 0, START) != CLIENT_ADMITTED) {
            r->refused = true;
            continue;
        }
        r->exceeded = r->exceeded || atomic_fetch_add(&r->inside[client], 1) >= MAX;
        atomic_fetch_sub(&r->inside[client], 1);
        leave(r->table, client);
    }
    return NULL;
}

static void threads_together_keep_the_count(void **state)
{
    (void)state;
    struct client_table *t = client_table_new(1000);
    struct racer racers[THREADS];
    atomic_uint inside[CLIENTS] = {0};
    for (size_t i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.table = t, .inside = inside};
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
        assert_false(racers[i].exceeded);
    }
    for (uint64_t c = 0; c < CLIENTS; c++) {
        for (int i = 0; i < MAX; i++) {
            assert_int_equal(enter(t, c, MAX, 0, START), CLIENT_ADMITTED);
        }
        assert_int_equal(enter(t, c, MAX, 0, START), CLIENT_TOO_MANY);
    }
    client_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_has_at_most_its_sessions),
        cmocka_unit_test(frontends_count_apart),
        cmocka_unit_test(frontends_that_share_a_bucket_count_apart),
        cmocka_unit_test(a_burst_of_a_second_passes_then_the_rate_holds),
        cmocka_unit_test(a_refused_client_uses_nothing_up),
        cmocka_unit_test(a_clock_that_is_behind_admits_no_more),
        cmocka_unit_test(a_flood_of_addresses_does_not_fill_the_table),
        cmocka_unit_test(a_full_table_refuses_and_recovers),
        cmocka_unit_test(the_longest_unused_makes_room),
        cmocka_unit_test(a_table_of_one_works),
        cmocka_unit_test(threads_together_keep_the_count),
    };
    return cmocka_run_group_tests_name("client_table", tests, NULL, NULL);
}
