#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/metrics.h"
#include "model/topology.h"
#include "routing_fixture.h"

#define SERVERS 3
#define THREADS 4

static void a_new_topology_lets_nobody_in(void **state)
{
    (void)state;
    struct config *config = fixture_config(SERVERS);
    struct topology *t = topology_new(config);
    assert_int_equal(t->generation, 0);
    assert_false(t->draining);
    assert_ptr_equal(t->config, config);
    assert_int_equal(t->backends[0].primary, -1);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_int_equal(t->backends[0].servers[i].role, ROLE_UNKNOWN);
        assert_int_equal(t->backends[0].servers[i].access, ACCESS_NONE);
    }
    topology_unref(t);
    fixture_free(config);
}

static void backends_have_their_own_servers(void **state)
{
    (void)state;
    struct config *config = fixture_config(SERVERS);
    struct backend_config *one = config->backends;
    struct backend_config two[2] = {*one, *one};
    config->backends = two;
    config->backend_count = 2;
    config->server_count = 2 * SERVERS;
    struct topology *t = topology_new(config);
    assert_ptr_equal(t->backends[1].servers, t->backends[0].servers + SERVERS);
    memset(t->backends[1].servers, 0xff, SERVERS * sizeof(struct topology_server));
    topology_unref(t);
    config->backends = one;
    config->backend_count = 1;
    fixture_free(config);
}

static void greets(struct topology *t, size_t server, const char *version, uint32_t capabilities)
{
    struct greeting *g = &t->backends[0].servers[server].greeting;
    *g = (struct greeting){.capabilities = capabilities, .extended = capabilities >> 8};
    snprintf(g->version, sizeof g->version, "%s", version);
}

static void a_backend_greets_as_its_primary_with_what_all_can_do(void **state)
{
    (void)state;
    struct config *config = fixture_config(SERVERS);
    struct topology *t = topology_new(config);
    struct greeting g;
    assert_false(topology_greeting(t, 0, &g));
    greets(t, 1, "8.4.1", 0x7ff);
    greets(t, 2, "9.7.0", 0x3f7);
    assert_true(topology_greeting(t, 0, &g)); /* nothing is known of the first one */
    assert_string_equal(g.version, "8.4.1");
    assert_int_equal(g.capabilities, 0x3f7);
    assert_int_equal(g.extended, 0x3);
    t->backends[0].primary = 2;
    assert_true(topology_greeting(t, 0, &g));
    assert_string_equal(g.version, "9.7.0");
    assert_int_equal(g.capabilities, 0x3f7);
    t->backends[0].primary = 0;
    assert_true(topology_greeting(t, 0, &g));
    assert_string_equal(g.version, "8.4.1");
    config->backends[0].servers.items[1].gone = true;
    assert_true(topology_greeting(t, 0, &g));
    assert_string_equal(g.version, "9.7.0");
    topology_unref(t);
    fixture_free(config);
}

static void *ref_and_unref(void *arg)
{
    struct topology *t = arg;
    for (int i = 0; i < 50000; i++) {
        topology_unref(topology_ref(t));
    }
    topology_unref(t);
    return NULL;
}

/* A sanitizer says so if it is freed twice, too early or never. */
static void the_last_reference_frees_it(void **state)
{
    (void)state;
    struct config *config = fixture_config(SERVERS);
    struct topology *t = topology_new(config);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, ref_and_unref, topology_ref(t));
    }
    topology_unref(t);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    fixture_free(config);
}

static void shared_counters_have_cache_lines_of_their_own(void **state)
{
    (void)state;
    struct config *config = fixture_config(SERVERS);
    struct shared *s = shared_new(config, 17);
    assert_int_equal(s->max_sessions, 17);
    const void *parts[] = {s->router, s->frontends[0], s->backends[0], s->servers[0],
                           s->servers[1]};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_int_equal((uintptr_t)parts[i] % CACHE_LINE, 0);
    }
    atomic_fetch_add(&s->frontends[0]->sessions, 1);
    atomic_fetch_add(&s->servers[SERVERS - 1]->connections, 1);
    assert_int_equal(atomic_load(&s->backends[0]->waiting[ROUTE_COUNT - 1]), 0);
    assert_int_equal(atomic_load(&s->servers[0]->connections), 0);
    shared_free(s);
    shared_free(NULL);
    fixture_free(config);
}

static void a_cap_is_the_last_place(void **state)
{
    (void)state;
    atomic_uint count = 0;
    assert_true(shared_claim(&count, 2));
    assert_true(shared_claim(&count, 2));
    assert_false(shared_claim(&count, 2));
    assert_true(shared_claim(&count, 0));
    assert_int_equal(count, 3);
    assert_false(shared_claim(&count, 2));
    shared_release(&count);
    shared_release(&count);
    assert_true(shared_claim(&count, 2));
}

struct racer {
    pthread_t thread;
    atomic_uint *count;
    bool exceeded;
};

static void *claim_and_release(void *arg)
{
    struct racer *r = arg;
    for (int i = 0; i < 50000; i++) {
        if (shared_claim(r->count, 2)) {
            r->exceeded = r->exceeded || atomic_load(r->count) > 2;
            shared_release(r->count);
        }
        r->exceeded = r->exceeded || atomic_load(r->count) > 2;
    }
    return NULL;
}

static void a_cap_is_not_exceeded_for_a_moment(void **state)
{
    (void)state;
    atomic_uint count = 0;
    struct racer racers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.count = &count};
        pthread_create(&racers[i].thread, NULL, claim_and_release, &racers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
        assert_false(racers[i].exceeded);
    }
    assert_int_equal(count, 0);
}

static void metrics_begin_at_zero_and_add_up(void **state)
{
    (void)state;
    struct config *config = fixture_config(SERVERS);
    struct metrics m;
    metrics_init(&m, config);
    assert_int_equal((uintptr_t)m.frontends[0] % CACHE_LINE, 0);
    assert_int_equal((uintptr_t)m.servers[1] % CACHE_LINE, 0);
    _Atomic uint64_t *last = &m.servers[SERVERS - 1]->at[SERVER_METRIC_COUNT - 1];
    assert_int_equal(metric_read(last), 0);
    metric_add(last, 40);
    metric_add(last, 5);
    metric_sub(last, 3);
    assert_int_equal(metric_read(last), 42);
    assert_int_equal(metric_read(&m.frontends[0]->at[FRONTEND_METRIC_COUNT - 1]), 0);
    metrics_release(&m);
    fixture_free(config);
}

/* One of several gauges that a label tells apart. */
static void assert_same_family(const struct metric_words *before, const struct metric_words *words)
{
    assert_int_equal(words->kind, METRIC_gauge);
    assert_string_equal(words->prometheus, before->prometheus);
    assert_string_equal(words->label, before->label);
    assert_string_not_equal(words->value, before->value);
}

static void assert_words(const struct metric_words *words, size_t count, const char *scope)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].kind == METRIC_HOLE) {
            continue;
        }
        assert_non_null(strstr(words[i].prometheus, scope));
        if (words[i].help == NULL) {
            assert_same_family(&words[i - 1], &words[i]);
            continue;
        }
        assert_true(strlen(words[i].help) > 0);
        assert_true(words[i].kind == METRIC_histogram || words[i].kind == METRIC_gauge ||
                    strlen(words[i].json) > 0);
        for (size_t k = 0; k < i; k++) {
            assert_true(words[k].kind == METRIC_HOLE ||
                        strcmp(words[i].prometheus, words[k].prometheus) != 0);
            assert_true(words[i].json == NULL || words[k].json == NULL ||
                        strcmp(words[i].json, words[k].json) != 0);
        }
    }
}

static void every_metric_has_its_own_name_and_words(void **state)
{
    (void)state;
    assert_words(frontend_metric_words, FRONTEND_METRIC_COUNT, "_frontend_");
    assert_words(backend_metric_words, BACKEND_METRIC_COUNT, "_backend_");
    assert_words(server_metric_words, SERVER_METRIC_COUNT, "_server_");
    assert_string_equal(frontend_metric_words[FRONTEND_BYTES_IN].json, "bytes_in");
    assert_string_equal(server_metric_words[SERVER_FENCED].prometheus,
                        "router_server_sessions_fenced_total");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_topology_lets_nobody_in),
        cmocka_unit_test(backends_have_their_own_servers),
        cmocka_unit_test(a_backend_greets_as_its_primary_with_what_all_can_do),
        cmocka_unit_test(the_last_reference_frees_it),
        cmocka_unit_test(shared_counters_have_cache_lines_of_their_own),
        cmocka_unit_test(a_cap_is_the_last_place),
        cmocka_unit_test(a_cap_is_not_exceeded_for_a_moment),
        cmocka_unit_test(metrics_begin_at_zero_and_add_up),
        cmocka_unit_test(every_metric_has_its_own_name_and_words),
    };
    return cmocka_run_group_tests_name("topology", tests, NULL, NULL);
}
