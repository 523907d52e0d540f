/* /stats.json and /metrics from a control thread's state made by hand. That the JSON parses and has
 * every key is tested on the real binary (test/integration/test_admin.py); here are the numbers
 * that are hard to come by there. */
#include "stats_world.h"

#include "ctl/stats.h"
#include "ctl/stats_view.h"

#define FULL_ID  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_ID "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char *json(struct world *w)
{
    text_free(&w->out);
    stats_json(&w->control, &w->out);
    return w->out.data;
}

static const char *prometheus(struct world *w)
{
    text_free(&w->out);
    stats_prometheus(&w->control, &w->out);
    return w->out.data;
}

static void observe(struct world *w, size_t server, enum claim claim, const char *id,
                    int64_t offset)
{
    struct observation *o = &w->server_controls[server].seen;
    *o = (struct observation){.reach = REACH_ANSWERED, .claim = claim, .latency_us = 250};
    snprintf(o->lineage.id, sizeof(o->lineage.id), "%s", id);
    o->lineage.offset = offset;
    w->server_controls[server].up = true;
}

static void publish(struct world *w, size_t server, enum role role, enum access access)
{
    struct topology_backend *b = &w->control.published->backends[0];
    b->servers[server] = (struct topology_server){.role = role, .access = access};
    if (role == ROLE_PRIMARY) {
        b->primary = (int)server;
    }
}

static void a_router_that_just_started_knows_nothing(void **state)
{
    struct world *w = *state;
    const char *text = json(w);
    assert_says(text, "\"name\":\"redis\",\"protocol\":\"redis\",\"primary\":null,"
                      "\"verdict\":\"nobody\",\"stale\":false,\"paused\":false,"
                      "\"reason\":\"no election yet\"");
    assert_says(text, "\"state\":\"unknown\",\"role\":\"unknown\",\"access\":\"none\"");
    assert_says(text, "\"offset\":null,\"lag_bytes\":null,\"behind_ms\":null,\"latency_us\":null,"
                      "\"probe_age_ms\":null,\"failures\":0");
    assert_says(text, "\"name\":\"hubs\",\"protocol\":\"tcp\",\"primary\":null,\"verdict\":null");
    assert_says(text, "\"binds\":[\"127.0.0.1:6379\",\"unix:/run/a\"],\"backend\":\"redis\","
                      "\"route\":\"primary\",\"backends\":[\"redis\"],\"has_server\":false");
    assert_says(text, "\"route\":\"any\"");
    assert_says(text, "\"events\":[]}");
}

static void names_and_reasons_are_escaped(void **state)
{
    struct world *w = *state;
    snprintf(w->server_controls[0].reason, WHY_MAX, "says \"no\"\n\x01\xff");
    assert_says(json(w), "\"name\":\"r\\\"1\\\\\"");
    assert_says(json(w), "\"reason\":\"says \\\"no\\\"\\u000a\\u0001?\"");
    assert_says(prometheus(w), "{proxy=\"redis\",server=\"r\\\"1\\\\\"} ");
}

static void lag_is_told_where_the_histories_match(void **state)
{
    struct world *w = *state;
    publish(w, 0, ROLE_PRIMARY, ACCESS_OPEN);
    publish(w, 1, ROLE_REPLICA, ACCESS_OPEN);
    observe(w, 0, CLAIM_PRIMARY, FULL_ID, 1000);
    observe(w, 1, CLAIM_REPLICA, FULL_ID, 990);
    assert_says(json(w), "\"primary\":\"r0\"");
    assert_says(json(w), "\"offset\":1000,\"lag_bytes\":null");
    assert_says(json(w), "\"offset\":990,\"lag_bytes\":10,\"behind_ms\":null,\"latency_us\":250");
    assert_says(prometheus(w),
                "\nrouter_server_lag_bytes{proxy=\"redis\",server=\"r\\\"1\\\\\"} 10\n");
    observe(w, 1, CLAIM_REPLICA, FULL_ID, 1010); /* asked later than the primary */
    assert_says(json(w), "\"offset\":1010,\"lag_bytes\":0");
    observe(w, 1, CLAIM_REPLICA, OTHER_ID, 990);
    assert_says(json(w), "\"offset\":990,\"lag_bytes\":null");
}

static void what_is_no_place_in_bytes_is_not_told(void **state)
{
    struct world *w = *state;
    struct observation *o = &w->server_controls[1].seen;
    publish(w, 0, ROLE_PRIMARY, ACCESS_OPEN);
    publish(w, 1, ROLE_REPLICA, ACCESS_OPEN);
    observe(w, 0, CLAIM_PRIMARY, FULL_ID, 1000);
    observe(w, 1, CLAIM_REPLICA, FULL_ID, 990);
    o->part = PART_SOURCE; /* PostgreSQL */
    o->position = 990;
    o->behind_ms = 7;
    assert_says(json(w), "\"offset\":990,\"lag_bytes\":10,\"behind_ms\":7");
    o->position = -1; /* MySQL */
    assert_says(json(w), "\"offset\":null,\"lag_bytes\":null,\"behind_ms\":7");
}

static void lag_goes_on_from_memory_while_the_primary_is_silent(void **state)
{
    struct world *w = *state;
    struct election_memory *memory = &w->control.backends[0]->memory;
    publish(w, 0, ROLE_PRIMARY, ACCESS_QUIET);
    observe(w, 1, CLAIM_REPLICA, FULL_ID, 990);
    w->server_controls[0].seen.reach = REACH_SILENT;
    assert_says(json(w), "\"offset\":990,\"lag_bytes\":null");
    memory->incumbent = 0;
    snprintf(memory->elected.id, sizeof(memory->elected.id), FULL_ID);
    memory->elected.offset = 1100;
    assert_says(json(w), "\"offset\":990,\"lag_bytes\":110");
}

static void state_says_how_the_probes_went(void **state)
{
    struct world *w = *state;
    struct server_control *s = &w->server_controls[0];
    observe(w, 0, CLAIM_PRIMARY, FULL_ID, 1);
    assert_string_equal(view_server(&w->control, 0, 0).state, "up");
    s->stale = true;
    assert_string_equal(view_server(&w->control, 0, 0).state, "stale");
    s->stale = false;
    s->up = false;
    assert_string_equal(view_server(&w->control, 0, 0).state, "down");
    s->seen.reach = REACH_UNASKED;
    assert_string_equal(view_server(&w->control, 0, 0).state, "unknown");
    w->backends[0].probe = PROBE_OFF;
    assert_string_equal(view_server(&w->control, 0, 0).state, "up");
}

static void haproxy_knows_the_states_as(void **state)
{
    static const struct {
        bool up;
        enum access access;
        const char *status;
    } cases[] = {
        {true, ACCESS_OPEN, "UP"},    {true, ACCESS_PAUSE, "NOLB"},  {true, ACCESS_QUIET, "NOLB"},
        {true, ACCESS_NONE, "NOLB"},  {true, ACCESS_DRAIN, "DRAIN"}, {false, ACCESS_OPEN, "DOWN"},
        {false, ACCESS_NONE, "DOWN"},
    };
    struct world *w = *state;
    observe(w, 0, CLAIM_REPLICA, FULL_ID, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        publish(w, 0, ROLE_REPLICA, cases[i].access);
        w->server_controls[0].up = cases[i].up;
        char series[128];
        for (size_t k = 0; k < HAPROXY_STATUS_COUNT; k++) {
            bool is = strcmp(haproxy_statuses[k], cases[i].status) == 0;
            snprintf(series, sizeof(series),
                     "\nhaproxy_server_status{proxy=\"redis\",server=\"r0\",state=\"%s\"} %d\n",
                     haproxy_statuses[k], is);
            assert_says(prometheus(w), series);
        }
    }
}

static void counters_of_all_workers_are_summed(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < WORKERS; i++) {
        metric_add(&w->metrics[i].frontends[1]->at[FRONTEND_BYTES_IN], 1ULL << 60);
        metric_add(&w->metrics[i].servers[2]->at[SERVER_RETRIES], 3 + i);
    }
    assert_says(json(w), "\"bytes_in\":2305843009213693952,");
    assert_says(json(w), "\"retries\":7,");
    assert_says(prometheus(w),
                "\nhaproxy_frontend_bytes_in_total{proxy=\"hub\"} 2305843009213693952\n");
    assert_says(prometheus(w),
                "\nhaproxy_server_redispatch_warnings_total{proxy=\"hubs\",server=\"t0\"} 7\n");
}

static void gauges_follow_the_shared_counts(void **state)
{
    struct world *w = *state;
    struct shared *s = w->control.shared;
    atomic_store(&s->router->sessions, 12);
    atomic_store(&s->frontends[0]->sessions, 5);
    atomic_store(&s->servers[1]->connections, 4);
    atomic_store(&s->backends[0]->waiting[ROUTE_PRIMARY], 2);
    atomic_store(&s->backends[0]->waiting[ROUTE_ANY], 1);
    atomic_store(&s->backends[0]->waiting[ROUTE_AUTO], 3);
    assert_says(json(w), "\"sessions\":12,\"max_sessions\":1000");
    assert_says(json(w), "\"sessions\":5,\"max_sessions\":0");
    assert_says(json(w), "\"sessions\":4,\"max_connections\":0");
    assert_says(json(w), "\"waiting\":3,\"queue_limit\":1024,\"held_ms\":0");
    assert_says(prometheus(w), "\nhaproxy_frontend_current_sessions{proxy=\"write\"} 5\n");
    assert_says(prometheus(w), "\nhaproxy_backend_current_queue{proxy=\"redis\"} 3\n");
}

static bool has_server(const struct control *c, size_t frontend)
{
    size_t missing;
    return view_frontend_has_server(c, frontend, &missing);
}

static void a_frontend_has_a_server_when_its_route_is_open(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    publish(w, 0, ROLE_PRIMARY, ACCESS_QUIET);
    publish(w, 1, ROLE_REPLICA, ACCESS_OPEN);
    assert_false(has_server(c, 0));
    w->frontends[0].route = ROUTE_REPLICA;
    assert_true(has_server(c, 0));
    w->frontends[0].route = ROUTE_ANY;
    assert_true(has_server(c, 0));
    publish(w, 0, ROLE_PRIMARY, ACCESS_OPEN);
    publish(w, 1, ROLE_REPLICA, ACCESS_NONE);
    w->frontends[0].route = ROUTE_REPLICA;
    w->frontends[0].fallback = FALLBACK_NONE;
    assert_false(has_server(c, 0));
    w->frontends[0].fallback = FALLBACK_PRIMARY;
    assert_true(has_server(c, 0));
    w->frontends[0].route = ROUTE_PRIMARY;
    assert_true(has_server(c, 0));
    assert_false(has_server(c, 1));
    c->published->backends[1].servers[0].access = ACCESS_OPEN;
    assert_true(has_server(c, 1));
}

static void every_backend_that_a_name_leads_to_must_have_a_server(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    struct sni_rule rule = {.backend = 1, .route = ROUTE_ANY};
    size_t missing;
    w->frontends[0].route = ROUTE_ANY;
    w->frontends[0].sni = (struct sni_list){.items = &rule, .count = 1};
    publish(w, 0, ROLE_PRIMARY, ACCESS_OPEN);
    assert_false(view_frontend_has_server(c, 0, &missing));
    assert_int_equal(missing, 1);
    c->published->backends[1].servers[0].access = ACCESS_OPEN;
    assert_true(view_frontend_has_server(c, 0, &missing));
}

static void a_primary_counts_while_it_takes_writes(void **state)
{
    struct world *w = *state;
    publish(w, 0, ROLE_PRIMARY, ACCESS_OPEN);
    assert_says(prometheus(w), "\nrouter_backend_has_primary{proxy=\"redis\"} 1\n");
    assert_null(strstr(prometheus(w), "router_backend_has_primary{proxy=\"hubs\"}"));
    assert_says(prometheus(w),
                "\nrouter_server_role{proxy=\"redis\",server=\"r0\",role=\"primary\"} 1\n");
    assert_says(prometheus(w),
                "\nrouter_server_role{proxy=\"redis\",server=\"r0\",role=\"replica\"} 0\n");
    publish(w, 0, ROLE_PRIMARY, ACCESS_QUIET);
    assert_says(prometheus(w), "\nrouter_backend_has_primary{proxy=\"redis\"} 0\n");
}

static void events_are_told_newest_first(void **state)
{
    struct world *w = *state;
    struct events *e = &w->control.events;
    events_add(e, "redis", "hold", "first");
    events_add(e, "", "router", "second");
    e->ring[0].at_unix_ms = 1795251600007; /* 2026-11-21 09:00:00.007 */
    const char *text = json(w);
    const char *first = strstr(text, "{\"number\":1,\"at\":\"2026-11-21T09:00:00.007Z\","
                                     "\"backend\":\"redis\",\"kind\":\"hold\",\"text\":\"first\"}");
    const char *second = strstr(text, "{\"number\":2,");
    assert_non_null(first);
    assert_non_null(second);
    assert_true(second < first);
    assert_says(prometheus(w), "\nrouter_events_total 2\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_router_that_just_started_knows_nothing),
        TEST(names_and_reasons_are_escaped),
        TEST(lag_is_told_where_the_histories_match),
        TEST(what_is_no_place_in_bytes_is_not_told),
        TEST(lag_goes_on_from_memory_while_the_primary_is_silent),
        TEST(state_says_how_the_probes_went),
        TEST(haproxy_knows_the_states_as),
        TEST(counters_of_all_workers_are_summed),
        TEST(gauges_follow_the_shared_counts),
        TEST(a_frontend_has_a_server_when_its_route_is_open),
        TEST(every_backend_that_a_name_leads_to_must_have_a_server),
        TEST(a_primary_counts_while_it_takes_writes),
        TEST(events_are_told_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
