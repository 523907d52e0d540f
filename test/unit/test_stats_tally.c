/* What is counted over workers and over changes: averages, peaks and histograms, rates, clearing,
 * slots that become somebody else's; and HAProxy's rows of it. */
#include "stats_world.h"

#include "ctl/stats_csv.h"
#include "ctl/stats_row.h"

static _Atomic uint64_t *server_slots(struct world *w, size_t worker, size_t id)
{
    return w->control.workers[worker].metrics.servers[id]->at;
}

static _Atomic uint64_t *frontend_slots(struct world *w, size_t worker, size_t frontend)
{
    return w->control.workers[worker].metrics.frontends[frontend]->at;
}

static void an_average_is_that_of_all_workers(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        metric_average(&server_slots(w, 0, 0)[SERVER_CONNECT_AVERAGE], 100);
    }
    metric_average(&server_slots(w, 1, 0)[SERVER_CONNECT_AVERAGE], 500);
    assert_int_equal(tally_server_metric(&w->control, 0, SERVER_CONNECT_AVERAGE), 200);
    assert_int_equal(tally_server_metric(&w->control, 1, SERVER_CONNECT_AVERAGE), 0);
}

static void an_average_forgets_what_is_long_ago(void **state)
{
    struct world *w = *state;
    _Atomic uint64_t *average = &server_slots(w, 0, 0)[SERVER_CONNECT_AVERAGE];
    for (int i = 0; i < METRIC_SAMPLES; i++) {
        metric_average(average, 1000);
    }
    assert_int_equal(tally_server_metric(&w->control, 0, SERVER_CONNECT_AVERAGE), 1000);
    for (int i = 0; i < 10 * METRIC_SAMPLES; i++) {
        metric_average(average, 3000);
    }
    assert_in_range(tally_server_metric(&w->control, 0, SERVER_CONNECT_AVERAGE), 2998, 3000);
    for (int i = 0; i < 20 * METRIC_SAMPLES; i++) {
        metric_average(average, 0);
    }
    assert_int_equal(tally_server_metric(&w->control, 0, SERVER_CONNECT_AVERAGE), 0);
}

static void a_peak_is_the_greatest_of_all_workers(void **state)
{
    struct world *w = *state;
    metric_peak(&server_slots(w, 0, 0)[SERVER_CONNECT_MAX], 70);
    metric_peak(&server_slots(w, 0, 0)[SERVER_CONNECT_MAX], 50);
    metric_peak(&server_slots(w, 1, 0)[SERVER_CONNECT_MAX], 60);
    assert_int_equal(tally_server_metric(&w->control, 0, SERVER_CONNECT_MAX), 70);
}

static void a_value_is_in_the_bucket_of_its_bound(void **state)
{
    struct world *w = *state;
    _Atomic uint64_t *h = &server_slots(w, 0, 0)[SERVER_CONNECT_TIME];
    const uint64_t *bounds = histogram_bounds[HISTOGRAM_CONNECT];
    metric_observe(h, HISTOGRAM_CONNECT, 0);
    metric_observe(h, HISTOGRAM_CONNECT, bounds[0]);
    metric_observe(h, HISTOGRAM_CONNECT, bounds[0] + 1);
    metric_observe(h, HISTOGRAM_CONNECT, bounds[HISTOGRAM_BOUNDS - 1] + 1);
    assert_int_equal(metric_read(&h[0]), 2);
    assert_int_equal(metric_read(&h[1]), 1);
    assert_int_equal(metric_read(&h[HISTOGRAM_ABOVE]), 1);
    assert_int_equal(metric_read(&h[HISTOGRAM_SUM]),
                     2 * bounds[0] + 1 + bounds[HISTOGRAM_BOUNDS - 1] + 1);
}

static void bounds_grow(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < HISTOGRAM_COUNT; kind++) {
        for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++) {
            assert_true(histogram_bounds[kind][i - 1] < histogram_bounds[kind][i]);
        }
    }
}

static void rates_are_of_the_time_between_two_looks(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    const struct tally_frontend *f;
    tally_look(c);
    f = tally_of_frontend(c, 0);
    assert_int_equal(f->sessions.now, 0);
    assert_int_equal(f->sessions.last_ms, 0);
    metric_add(&frontend_slots(w, 0, 0)[FRONTEND_SESSIONS_TOTAL], 30);
    metric_add(&frontend_slots(w, 1, 0)[FRONTEND_SESSIONS_TOTAL], 10);
    c->tally.looked_ns = uv_hrtime() - 2000000000; /* two seconds ago */
    tally_look(c);
    assert_in_range(f->sessions.now, 19, 20);
    assert_int_equal(f->sessions.max, f->sessions.now);
    assert_int_equal(c->tally.sessions.now, f->sessions.now);
    assert_true(f->sessions.last_ms > 0);
    c->tally.looked_ns = uv_hrtime() - 1000000000;
    tally_look(c);
    assert_int_equal(f->sessions.now, 0);
    assert_in_range(f->sessions.max, 19, 20);
}

static void downtime_is_counted_from_fall_to_rise(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    struct backend_control *b = c->backends[0];
    const struct server_control *s = &b->servers[0];
    tally_server_up(b, s, true);
    const struct spell *spell = &tally_of_server(c, 0)->spell;
    uint64_t before = spell->down_ms; /* until it was up first */
    assert_int_equal(spell->falls, 0);
    tally_server_up(b, s, false);
    tally_server_up(b, s, false);
    assert_int_equal(spell->falls, 1);
    c->tally.servers[0]->spell.changed_ms -= 5000;
    struct stats_row row;
    stats_row_server(c, 0, 0, &row);
    assert_int_equal(row.at[STATS_DOWNTIME].number, before / 1000 + 5);
    assert_int_equal(row.at[STATS_LASTCHG].number, 5);
    tally_server_up(b, s, true);
    assert_int_equal(spell->down_ms, before + 5000);
}

static void clearing_forgets_the_maxima_only(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    metric_add(&server_slots(w, 0, 0)[SERVER_BYTES_IN], 7);
    metric_peak(&server_slots(w, 0, 0)[SERVER_TOTAL_MAX], 70);
    atomic_store(&c->shared->servers[0]->connections, 3);
    atomic_store(&c->shared->servers[0]->connections_peak, 9);
    tally_clear(c, false);
    assert_int_equal(tally_server_metric(c, 0, SERVER_BYTES_IN), 7);
    assert_int_equal(tally_server_metric(c, 0, SERVER_TOTAL_MAX), 0);
    assert_int_equal(atomic_load(&c->shared->servers[0]->connections_peak), 3);
}

static void clearing_all_begins_at_zero_and_goes_on(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    _Atomic uint64_t *slots = server_slots(w, 1, 0);
    metric_add(&slots[SERVER_BYTES_IN], 7);
    metric_observe(&slots[SERVER_CONNECT_TIME], HISTOGRAM_CONNECT, 50);
    metric_average(&slots[SERVER_TOTAL_AVERAGE], 50);
    tally_clear(c, true);
    assert_int_equal(tally_server_metric(c, 0, SERVER_BYTES_IN), 0);
    assert_int_equal(tally_server_metric(c, 0, SERVER_CONNECT_TIME), 0);
    assert_int_equal(tally_server_metric(c, 0, SERVER_TOTAL_AVERAGE), 0);
    metric_add(&slots[SERVER_BYTES_IN], 2);
    metric_average(&slots[SERVER_TOTAL_AVERAGE], 90);
    assert_int_equal(tally_server_metric(c, 0, SERVER_BYTES_IN), 2);
    assert_int_equal(tally_server_metric(c, 0, SERVER_TOTAL_AVERAGE), 90);
    assert_int_equal(tally_backend_sum(c, 0, SERVER_BYTES_IN), 2);
    tally_clear(c, true);
    assert_int_equal(tally_server_metric(c, 0, SERVER_BYTES_IN), 0);
}

static void a_slots_next_server_begins_at_zero_and_its_backend_loses_nothing(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    metric_add(&server_slots(w, 0, 0)[SERVER_BYTES_IN], 100);
    metric_add(&server_slots(w, 1, 0)[SERVER_BYTES_IN], 20);
    metric_add(&server_slots(w, 1, 1)[SERVER_BYTES_IN], 3);
    assert_int_equal(tally_backend_sum(c, 0, SERVER_BYTES_IN), 123);
    tally_forget_server(c, 0, 0);
    assert_int_equal(tally_server_metric(c, 0, SERVER_BYTES_IN), 0);
    assert_int_equal(tally_backend_sum(c, 0, SERVER_BYTES_IN), 123);
    metric_add(&server_slots(w, 0, 0)[SERVER_BYTES_IN], 4);
    assert_int_equal(tally_server_metric(c, 0, SERVER_BYTES_IN), 4);
    assert_int_equal(tally_backend_sum(c, 0, SERVER_BYTES_IN), 127);
    tally_forget_backend(c, 0);
    assert_int_equal(tally_backend_sum(c, 0, SERVER_BYTES_IN), 7); /* those that it still has */
}

static void a_frontend_that_is_no_more_stays_in_the_whole(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    metric_add(&frontend_slots(w, 0, 0)[FRONTEND_BYTES_OUT], 10);
    metric_add(&frontend_slots(w, 1, 1)[FRONTEND_BYTES_OUT], 5);
    tally_forget_frontend(c, 0);
    assert_int_equal(tally_frontend_metric(c, 0, FRONTEND_BYTES_OUT), 0);
    assert_int_equal(tally_whole(c, FRONTEND_BYTES_OUT), 15);
}

/* Rows -------------------------------------------------------------------------------------- */

static void a_check_is_named_after_how_far_it_came(void **state)
{
    static const struct {
        enum reach reach;
        enum probe_stage stage;
        unsigned code;
        const char *check;
    } cases[] = {
        {REACH_UNASKED, STAGE_CONNECT, 0, "INI"},   {REACH_ANSWERED, STAGE_CONNECT, 0, "L4OK"},
        {REACH_ANSWERED, STAGE_ASK, 0, "L7OK"},     {REACH_ANSWERED, STAGE_TLS, 0, "L6OK"},
        {REACH_SILENT, STAGE_CONNECT, 0, "L4TOUT"}, {REACH_SILENT, STAGE_TLS, 0, "L6TOUT"},
        {REACH_SILENT, STAGE_ASK, 0, "L7TOUT"},     {REACH_REFUSED, STAGE_CONNECT, 0, "L4CON"},
        {REACH_REFUSED, STAGE_TLS, 0, "L6RSP"},     {REACH_REFUSED, STAGE_ASK, 0, "L7RSP"},
        {REACH_REFUSED, STAGE_ASK, 503, "L7STS"},   {REACH_DENIED, STAGE_ASK, 0, "L7STS"},
        {REACH_DENIED, STAGE_TLS, 0, "L6RSP"},
    };
    struct world *w = *state;
    struct observation *o = &w->server_controls[0].seen;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stats_row row;
        *o = (struct observation){.reach = cases[i].reach, .stage = cases[i].stage};
        o->code = cases[i].code;
        stats_row_server(&w->control, 0, 0, &row);
        assert_string_equal(row.check, cases[i].check);
        assert_true(strlen(haproxy_check_words(row.check)) > 0);
        assert_int_equal(row.at[STATS_CHECK_CODE].known, cases[i].code > 0);
    }
    w->server_controls[0].stale = true; /* it cannot be asked, and keeps its role */
    *o = (struct observation){.reach = REACH_DENIED, .stage = STAGE_ASK};
    assert_string_equal(haproxy_check(&(struct server_view){.seen = o, .state = "stale"}), "L7OKC");
    w->backends[0].probe = PROBE_OFF;
    struct stats_row row;
    stats_row_server(&w->control, 0, 0, &row);
    assert_null(row.check);
    assert_string_equal(row.at[STATS_STATUS].text, "NOLB");
}

static void a_state_that_is_in_doubt_says_how_far(void **state)
{
    struct world *w = *state;
    struct server_control *s = &w->server_controls[0];
    struct stats_row row;
    w->backends[0].probe_rise = 3;
    w->backends[0].probe_fall = 4;
    w->control.published->backends[0].servers[0].access = ACCESS_OPEN;
    s->up = true;
    s->seen = (struct observation){.reach = REACH_SILENT, .failures = 1};
    stats_row_server(&w->control, 0, 0, &row);
    assert_string_equal(row.at[STATS_STATUS].text, "UP 3/4");
    assert_int_equal(row.at[STATS_CHECK_HEALTH].number, 5);
    s->up = false;
    s->seen = (struct observation){.reach = REACH_ANSWERED, .successes = 2};
    stats_row_server(&w->control, 0, 0, &row);
    assert_string_equal(row.at[STATS_STATUS].text, "DOWN 2/3");
    assert_string_equal(row.state, "DOWN");
    assert_int_equal(row.at[STATS_CHECK_HEALTH].number, 2);
}

static const char *csv(struct world *w)
{
    text_free(&w->out);
    stats_csv(&w->control, &w->out);
    return w->out.data;
}

static void what_separates_is_quoted(void **state)
{
    struct world *w = *state;
    struct observation *o = &w->server_controls[0].seen;
    *o = (struct observation){.reach = REACH_SILENT};
    snprintf(o->why, sizeof o->why, "says \"a, b\"\nand ends");
    assert_says(csv(w), ",\"says \"\"a, b\"\" and ends\",");
    assert_says(csv(w), "\nredis,\"r\"\"1\\\",");
}

static void times_are_in_milliseconds(void **state)
{
    struct world *w = *state;
    metric_peak(&server_slots(w, 0, 2)[SERVER_TOTAL_MAX], 1234567);
    struct stats_row row;
    stats_row_server(&w->control, 1, 0, &row);
    assert_int_equal(row.at[STATS_TTIME_MAX].number, 1234567);
    assert_says(csv(w), ",1234,");
}

static void who_is_gone_is_not_shown(void **state)
{
    struct world *w = *state;
    w->servers[0].gone = true;
    w->frontends[1].gone = true;
    const char *text = csv(w);
    assert_null(strstr(text, "\nredis,r0,"));
    assert_null(strstr(text, "\nhub,FRONTEND,"));
    assert_says(text, "\nredis,BACKEND,");
    w->backends[1].gone = true;
    assert_null(strstr(csv(w), "\nhubs,"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_average_is_that_of_all_workers),
        TEST(an_average_forgets_what_is_long_ago),
        TEST(a_peak_is_the_greatest_of_all_workers),
        TEST(a_value_is_in_the_bucket_of_its_bound),
        TEST(bounds_grow),
        TEST(rates_are_of_the_time_between_two_looks),
        TEST(downtime_is_counted_from_fall_to_rise),
        TEST(clearing_forgets_the_maxima_only),
        TEST(clearing_all_begins_at_zero_and_goes_on),
        TEST(a_slots_next_server_begins_at_zero_and_its_backend_loses_nothing),
        TEST(a_frontend_that_is_no_more_stays_in_the_whole),
        TEST(a_check_is_named_after_how_far_it_came),
        TEST(a_state_that_is_in_doubt_says_how_far),
        TEST(what_separates_is_quoted),
        TEST(times_are_in_milliseconds),
        TEST(who_is_gone_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
