/* Promise: whoever has connections already gets the balance's choice without a place being taken;
 * reads that must find the same server again do. */
#include "base/macros.h"
#include "route_world.h"

/* Of servers whose places are all taken. */
static void a_choice_counts_no_caps_and_takes_no_place(void **state)
{
    static const enum balance algorithms[] = {BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS,
                                              BALANCE_IP_HASH, BALANCE_RANDOM, BALANCE_FIRST};
    struct world *w = *state;
    size_t got;
    w->request.route = ROUTE_REPLICA;
    for (size_t i = 0; i < SERVERS; i++) {
        server(w, i)->max_connections = 1;
        assert_true(route_claim(w->shared, server(w, i)));
    }
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        w->config->backends[0].balance = algorithms[i];
        assert_int_equal(route_pick(w->topology, w->shared, &w->balance, &w->request, &got),
                         ROUTE_FULL);
        assert_int_equal(route_choose(w->topology, w->shared, &w->balance, &w->request, &got),
                         ROUTE_FOUND);
        assert_in_range(got, 1, SERVERS - 1);
        assert_int_equal(atomic_load(&w->shared->servers[server(w, got)->id]->connections), 1);
    }
    set_access(w, 0, ACCESS_QUIET);
    w->request.route = ROUTE_PRIMARY;
    assert_int_equal(route_choose(w->topology, w->shared, &w->balance, &w->request, &got),
                     ROUTE_NONE);
}

static void a_choice_goes_round_like_a_pick(void **state)
{
    struct world *w = *state;
    unsigned seen = 0;
    for (size_t i = 0; i < SERVERS; i++) {
        size_t got;
        route_choose(w->topology, w->shared, &w->balance, &w->request, &got);
        seen |= 1U << got;
    }
    assert_int_equal(seen, 0xf);
}

static void assert_first_replica(struct world *w, size_t want)
{
    size_t got = SIZE_MAX;
    assert_int_equal(route_first_replica(w->topology, &w->request, &got), want != SIZE_MAX);
    assert_int_equal(got, want);
}

static void the_first_replica_is_the_same_while_it_may_be_read(void **state)
{
    struct world *w = *state;
    server(w, 1)->rank = SERVERS; /* it came last, in an old one's slot */
    assert_first_replica(w, 2);
    assert_first_replica(w, 2);
    server(w, 2)->backup = server(w, 3)->backup = true;
    assert_first_replica(w, 1);
    set_access(w, 1, ACCESS_QUIET);
    assert_first_replica(w, 2);
    set_access(w, 2, ACCESS_NONE);
    w->topology->backends[0].servers[3].role = ROLE_UNKNOWN;
    assert_first_replica(w, 0);
    w->request.fallback = FALLBACK_NONE;
    assert_first_replica(w, SIZE_MAX);
    w->request.fallback = FALLBACK_PRIMARY;
    w->topology->backends[0].primary = -1;
    assert_first_replica(w, SIZE_MAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_choice_counts_no_caps_and_takes_no_place),
        TEST(a_choice_goes_round_like_a_pick),
        TEST(the_first_replica_is_the_same_while_it_may_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
