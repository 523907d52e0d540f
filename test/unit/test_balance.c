#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/macros.h"
#include "model/balance.h"

#define SERVERS 7
#define CLIENTS 70000

static const uint32_t weights[SERVERS] = {1, 2, 3, 10, 1, 50, 7};
#define WEIGHT_SUM 74

static void make(struct candidate *c, size_t count, const uint32_t *with)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];
        int len = snprintf(name, sizeof(name), "server-%zu", i);
        c[i] = (struct candidate){
            .server = (uint16_t)i,
            .weight = with != NULL ? with[i] : 1,
            .name_hash = hash_bytes(name, (size_t)len),
        };
    }
}

/* Client hashes as they come: from addresses that follow each other. */
static uint64_t client(size_t i)
{
    uint64_t key[2] = {0, 0x0a000000U + i};
    return hash_bytes(key, sizeof(key));
}

static void assert_share(size_t got, size_t of, double weight, double sum, double tolerance)
{
    double want = (double)of * weight / sum;
    double off = ((double)got - want) / want;
    if (off > tolerance || off < -tolerance) {
        fail_msg("%zu instead of %.0f: %.1f %% off", got, want, off * 100);
    }
}

static void round_robin_gives_each_its_weight_in_every_round(void **state)
{
    (void)state;
    struct candidate c[SERVERS];
    int64_t current[SERVERS] = {0};
    make(c, SERVERS, weights);
    for (int round = 0; round < 100; round++) {
        uint32_t got[SERVERS] = {0};
        for (int i = 0; i < WEIGHT_SUM; i++) {
            got[balance_round_robin(c, SERVERS, current)]++;
        }
        assert_memory_equal(got, weights, sizeof(got));
    }
}

static void round_robin_spreads_the_picks_of_a_heavy_server(void **state)
{
    (void)state;
    const uint32_t with[] = {5, 1, 1};
    struct candidate c[3];
    int64_t current[3] = {0};
    char order[8] = "";
    make(c, 3, with);
    for (int i = 0; i < 7; i++) {
        order[i] = (char)('a' + balance_round_robin(c, 3, current));
    }
    assert_string_equal(order, "aabacaa");
}

static void round_robin_stays_fair_while_servers_come_and_go(void **state)
{
    (void)state;
    struct candidate c[4];
    int64_t current[4] = {0};
    size_t got[4] = {0};
    for (size_t i = 0; i < 40000; i++) {
        make(c, 4, NULL);
        size_t away = i / 100 % 4;
        memmove(&c[away], &c[away + 1], (3 - away) * sizeof(c[0]));
        got[c[balance_round_robin(c, 3, current)].server]++;
    }
    for (size_t i = 0; i < 4; i++) {
        assert_share(got[i], 40000, 1, 4, 0.01);
    }
}

static void round_robin_begins_where_the_memory_says(void **state)
{
    (void)state;
    struct candidate c[3];
    int64_t current[3] = {10, BALANCE_UNIT - 1, 20};
    make(c, 3, NULL);
    assert_int_equal(balance_round_robin(c, 3, current), 1);
    assert_int_equal(balance_round_robin(c, 3, current), 2);
    assert_int_equal(balance_round_robin(c, 3, current), 0);
    assert_int_equal(balance_round_robin(c, 3, current), 1);
}

static void least_connections_fills_servers_by_weight(void **state)
{
    (void)state;
    struct candidate c[SERVERS];
    make(c, SERVERS, weights);
    for (int i = 0; i < WEIGHT_SUM * 10; i++) {
        c[balance_least_connections(c, SERVERS)].connections++;
    }
    for (size_t i = 0; i < SERVERS; i++) {
        assert_int_equal(c[i].connections, weights[i] * 10);
    }
}

static void least_connections_takes_the_first_of_equals(void **state)
{
    (void)state;
    struct candidate c[3];
    make(c, 3, NULL);
    c[0].connections = 4;
    c[1].connections = 3;
    c[2].connections = 3;
    assert_int_equal(balance_least_connections(c, 3), 1);
}

static void least_connections_does_not_overflow(void **state)
{
    (void)state;
    static const uint32_t with[][2] = {{1, 256}, {256, 1}};
    for (size_t i = 0; i < ARRAY_LEN(with); i++) {
        struct candidate c[2];
        make(c, 2, with[i]);
        c[0].connections = UINT32_MAX;
        c[1].connections = UINT32_MAX;
        assert_int_equal(balance_least_connections(c, 2), with[i][1] > with[i][0]);
    }
}

static void random_draws_by_weight(void **state)
{
    (void)state;
    struct candidate c[SERVERS];
    uint64_t seed = 42;
    make(c, SERVERS, weights);
    for (int i = 0; i < 74000; i++) {
        c[balance_random(c, SERVERS, &seed)].connections++;
    }
    for (size_t i = 0; i < SERVERS; i++) {
        assert_share(c[i].connections, 74000, weights[i], WEIGHT_SUM, 0.05);
    }
}

static void random_takes_the_less_loaded_of_two(void **state)
{
    (void)state;
    struct candidate c[10];
    uint64_t seed = 7;
    size_t got[10] = {0};
    make(c, 10, NULL);
    c[3].connections = 1000; /* loses against everybody, and is never compared with itself */
    for (size_t i = 0; i < 10000; i++) {
        got[balance_random(c, 10, &seed)]++;
    }
    assert_int_equal(got[3], 0);
    for (size_t i = 0; i < 10; i++) {
        if (i != 3) {
            assert_share(got[i], 10000, 1, 9, 0.15);
        }
    }
}

static void random_of_one_is_that_one(void **state)
{
    (void)state;
    struct candidate c[1];
    uint64_t seed = 7;
    make(c, 1, NULL);
    assert_int_equal(balance_random(c, 1, &seed), 0);
}

static void ip_hash_honours_weights_within_5_percent(void **state)
{
    (void)state;
    struct candidate c[SERVERS];
    size_t got[SERVERS] = {0};
    make(c, SERVERS, weights);
    for (size_t i = 0; i < CLIENTS * 10; i++) {
        got[balance_ip_hash(c, SERVERS, client(i))]++;
    }
    for (size_t i = 0; i < SERVERS; i++) {
        assert_share(got[i], CLIENTS * 10, weights[i], WEIGHT_SUM, 0.05);
    }
}

static void ip_hash_is_even_over_many_equal_servers(void **state)
{
    (void)state;
    struct candidate c[100];
    size_t got[100] = {0};
    make(c, 100, NULL);
    for (size_t i = 0; i < 1000000; i++) {
        got[balance_ip_hash(c, 100, client(i))]++;
    }
    for (size_t i = 0; i < 100; i++) {
        assert_share(got[i], 1000000, 1, 100, 0.05);
    }
}

static void ip_hash_does_not_care_for_the_order(void **state)
{
    (void)state;
    struct candidate c[SERVERS];
    struct candidate turned[SERVERS];
    make(c, SERVERS, weights);
    for (size_t i = 0; i < SERVERS; i++) {
        turned[i] = c[(i * 3 + 2) % SERVERS];
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        size_t one = c[balance_ip_hash(c, SERVERS, client(i))].server;
        assert_int_equal(one, turned[balance_ip_hash(turned, SERVERS, client(i))].server);
    }
}

static void when_a_server_goes_only_its_clients_move_and_they_return(void **state)
{
    (void)state;
    struct candidate all[SERVERS];
    struct candidate left[SERVERS - 1];
    const size_t gone = 3;
    size_t moved = 0;
    make(all, SERVERS, weights);
    memcpy(left, all, gone * sizeof(all[0]));
    memcpy(left + gone, all + gone + 1, (SERVERS - 1 - gone) * sizeof(all[0]));
    for (size_t i = 0; i < CLIENTS; i++) {
        size_t before = all[balance_ip_hash(all, SERVERS, client(i))].server;
        size_t during = left[balance_ip_hash(left, SERVERS - 1, client(i))].server;
        size_t after = all[balance_ip_hash(all, SERVERS, client(i))].server;
        assert_int_not_equal(during, gone);
        assert_int_equal(before, after);
        if (before == gone) {
            moved++;
        } else {
            assert_int_equal(before, during);
        }
    }
    assert_share(moved, CLIENTS, weights[gone], WEIGHT_SUM, 0.05);
}

/* A server that is added, or gets more weight, takes clients for itself and moves no other; with
 * the same clients for the same weight, whatever happened in between. */
static void only_a_server_that_gains_weight_gains_clients(void **state)
{
    (void)state;
    struct candidate before[SERVERS];
    struct candidate after[SERVERS];
    const size_t grows = 2;
    size_t moved = 0;
    make(before, SERVERS, weights);
    make(after, SERVERS, weights);
    after[grows].weight = 40;
    for (size_t i = 0; i < CLIENTS; i++) {
        size_t one = before[balance_ip_hash(before, SERVERS, client(i))].server;
        size_t other = after[balance_ip_hash(after, SERVERS, client(i))].server;
        if (one != other) {
            moved++;
            assert_int_equal(other, grows);
        }
    }
    double share = 40.0 / (WEIGHT_SUM + 37) - 3.0 / WEIGHT_SUM;
    assert_share(moved, CLIENTS, share, 1, 0.05);
}

/* Every router in the world must agree with every other, also with one of another version. */
static void ip_hash_gives_the_same_on_every_machine(void **state)
{
    (void)state;
    struct candidate c[SERVERS];
    char got[33] = {0};
    make(c, SERVERS, weights);
    for (size_t i = 0; i < 32; i++) {
        got[i] = (char)('0' + balance_ip_hash(c, SERVERS, client(i)));
    }
    /* Computed apart, with floating point. */
    assert_string_equal(got, "35555531555555555353555553555555");
}

static void ip_hash_takes_every_hash(void **state)
{
    (void)state;
    struct candidate c[2];
    make(c, 2, NULL);
    const uint64_t edges[] = {0, 1, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        assert_in_range(balance_ip_hash(c, 2, edges[i]), 0, 1);
        assert_in_range(balance_ip_hash(c, 2, edges[i] ^ c[0].name_hash), 0, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_gives_each_its_weight_in_every_round),
        cmocka_unit_test(round_robin_spreads_the_picks_of_a_heavy_server),
        cmocka_unit_test(round_robin_stays_fair_while_servers_come_and_go),
        cmocka_unit_test(round_robin_begins_where_the_memory_says),
        cmocka_unit_test(least_connections_fills_servers_by_weight),
        cmocka_unit_test(least_connections_takes_the_first_of_equals),
        cmocka_unit_test(least_connections_does_not_overflow),
        cmocka_unit_test(random_draws_by_weight),
        cmocka_unit_test(random_takes_the_less_loaded_of_two),
        cmocka_unit_test(random_of_one_is_that_one),
        cmocka_unit_test(ip_hash_honours_weights_within_5_percent),
        cmocka_unit_test(ip_hash_is_even_over_many_equal_servers),
        cmocka_unit_test(ip_hash_does_not_care_for_the_order),
        cmocka_unit_test(when_a_server_goes_only_its_clients_move_and_they_return),
        cmocka_unit_test(only_a_server_that_gains_weight_gains_clients),
        cmocka_unit_test(ip_hash_gives_the_same_on_every_machine),
        cmocka_unit_test(ip_hash_takes_every_hash),
    };
    return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
