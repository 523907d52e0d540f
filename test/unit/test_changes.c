/* Promise: what the election and the fence do is one record from the moment
 * writes stop until the first write after it: whose, why, and what was counted
 * meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "ctl/control.h"

#define SERVERS 3
#define WORKERS 2

struct world {
    struct control control;
    struct config config;
    struct backend_config backend;
    struct frontend_config frontends[2]; /* the second one is another backend's */
    struct server_config configs[SERVERS];
    struct backend_control b;
    struct backend_control *controls[1];
    struct server_control servers[SERVERS];
    struct control_worker workers[WORKERS];
    struct metrics metrics[WORKERS];
    struct shared *shared;
};

static int setup(void **state)
{
    static const char *const names[] = {"redis-0", "redis-1", "redis-2"};
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < SERVERS; i++) {
        w->configs[i] = (struct server_config){.name = (char *)names[i], .id = i};
    }
    w->backend = (struct backend_config){.name = "redis", .servers = {w->configs, SERVERS}};
    w->frontends[1].backend = 1;
    w->config = (struct config){.backends = &w->backend,
                                .backend_count = 1,
                                .frontends = w->frontends,
                                .frontend_count = 2,
                                .server_count = SERVERS};
    w->shared = shared_new(&w->config, 0);
    for (size_t i = 0; i < WORKERS; i++) {
        metrics_init(&w->metrics[i], &w->config);
        w->workers[i].metrics = w->metrics[i];
    }
    w->control.config = &w->config;
    w->control.shared = w->shared;
    w->control.workers = w->workers;
    w->control.worker_count = WORKERS;
    w->controls[0] = &w->b;
    w->control.backends = w->controls;
    w->b = (struct backend_control){.control = &w->control,
                                    .config = &w->backend,
                                    .servers = w->servers,
                                    .verdict = {.kind = VERDICT_NOBODY, .primary = -1}};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < WORKERS; i++) {
        metrics_release(&w->metrics[i]);
    }
    tally_release(&w->control.tally);
    shared_free(w->shared);
    free(w);
    return 0;
}

static void verdict(struct world *w, enum verdict_kind kind, int primary, const char *reason)
{
    struct verdict v = {.kind = kind, .primary = primary};
    snprintf(v.reason, sizeof v.reason, "%s", reason);
    changes_verdict(&w->b, &v);
    w->b.verdict = v;
}

static void written(struct world *w)
{
    struct shared_backend *s = w->shared->backends[0];
    assert_true(atomic_exchange(&s->write_awaited, false));
    changes_written(&w->b);
}

/* redis-0 is the primary and was written to. */
static void begin(struct world *w)
{
    verdict(w, VERDICT_PRIMARY, 0, "the first");
    changes_published(&w->b);
    written(w);
}

static const struct record *newest(const struct world *w)
{
    return recorder_newest(&w->control.recorder, 0);
}

static void the_first_primary_comes_after_nobody(void **state)
{
    struct world *w = *state;
    verdict(w, VERDICT_HOLD, -1, "nobody was asked");
    assert_null(newest(w));
    begin(w);
    const struct record *r = newest(w);
    assert_string_equal(r->from, "");
    assert_string_equal(r->to, "redis-0");
    assert_string_equal(r->evidence, "the first");
    assert_true(r->fenced_us == RECORD_NEVER && r->complete);
    assert_true(r->elected_us <= r->published_us && r->published_us <= r->written_us);
    assert_int_equal(w->control.recorder.count, 1);
}

static void a_change_has_its_steps_in_one_record(void **state)
{
    struct world *w = *state;
    begin(w);
    verdict(w, VERDICT_HOLD, 0, "it is silent");
    const struct record *r = newest(w);
    assert_int_equal(r->number, 2);
    assert_string_equal(r->from, "redis-0");
    assert_string_equal(r->to, "");
    assert_string_equal(r->evidence, "it is silent");
    assert_true(r->elected_us == RECORD_NEVER);
    changes_published(&w->b); /* of something else: nobody is elected */
    assert_true(r->published_us == RECORD_NEVER);
    verdict(w, VERDICT_NOBODY, -1, "still");
    assert_ptr_equal(newest(w), r);
    verdict(w, VERDICT_PRIMARY, 1, "promoted");
    changes_fenced(&w->b);
    changes_published(&w->b);
    changes_published(&w->b);
    written(w);
    assert_ptr_equal(newest(w), r);
    assert_string_equal(r->to, "redis-1");
    assert_string_equal(r->evidence, "promoted");
    assert_true(r->elected_us <= r->fenced_us && r->fenced_us <= r->published_us);
    assert_true(r->published_us <= r->written_us && r->complete);
    assert_string_equal(events_newest(&w->control.events, 0)->kind, "written");
}

static void a_verdict_that_changes_nothing_is_no_change(void **state)
{
    struct world *w = *state;
    begin(w);
    verdict(w, VERDICT_PRIMARY, 0, "the same");
    changes_published(&w->b);
    changes_fenced(&w->b);
    assert_int_equal(w->control.recorder.count, 1);
    assert_string_equal(newest(w)->evidence, "the first");
    assert_true(newest(w)->fenced_us == RECORD_NEVER);
}

static void an_election_that_is_taken_back_is_made_again(void **state)
{
    struct world *w = *state;
    begin(w);
    verdict(w, VERDICT_PRIMARY, 1, "promoted");
    changes_fenced(&w->b);
    verdict(w, VERDICT_CONTESTED, 1, "two claim");
    assert_string_equal(newest(w)->to, "");
    assert_true(newest(w)->elected_us == RECORD_NEVER);
    verdict(w, VERDICT_PRIMARY, 2, "more follow it");
    changes_published(&w->b);
    assert_string_equal(newest(w)->from, "redis-0");
    assert_string_equal(newest(w)->to, "redis-2");
    assert_string_equal(newest(w)->evidence, "more follow it");
    assert_int_equal(w->control.recorder.count, 2);
}

static void a_change_nobody_wrote_after_ends_with_the_next(void **state)
{
    struct world *w = *state;
    begin(w);
    verdict(w, VERDICT_PRIMARY, 1, "promoted");
    changes_published(&w->b);
    verdict(w, VERDICT_PRIMARY, 2, "promoted too");
    const struct record *left = recorder_newest(&w->control.recorder, 1);
    assert_true(left->complete && left->written_us == RECORD_NEVER);
    assert_string_equal(left->to, "redis-1");
    assert_string_equal(newest(w)->from, "redis-1");
    assert_string_equal(newest(w)->to, "redis-2");
}

static void bytes_before_it_is_published_are_no_write_to_it(void **state)
{
    struct world *w = *state;
    begin(w);
    verdict(w, VERDICT_PRIMARY, 1, "promoted");
    changes_written(&w->b); /* a message that was under way */
    assert_false(newest(w)->complete);
    assert_true(newest(w)->written_us == RECORD_NEVER);
}

static void all_workers_count_and_only_this_backend(void **state)
{
    struct world *w = *state;
    begin(w);
    metric_add(&w->metrics[0].frontends[0]->at[FRONTEND_HELD], 50);
    metric_add(&w->metrics[1].servers[0]->at[SERVER_FENCED], 60);
    verdict(w, VERDICT_PRIMARY, 1, "promoted");
    metric_add(&w->metrics[0].frontends[0]->at[FRONTEND_HELD], 2);
    metric_add(&w->metrics[1].frontends[0]->at[FRONTEND_HELD], 3);
    metric_add(&w->metrics[0].frontends[1]->at[FRONTEND_HELD], 100);
    metric_add(&w->metrics[0].servers[0]->at[SERVER_FENCED], 4);
    metric_add(&w->metrics[1].servers[2]->at[SERVER_FENCED], 5);
    changes_published(&w->b);
    written(w);
    metric_add(&w->metrics[0].frontends[0]->at[FRONTEND_HELD], 1000);
    struct record_counts counts = record_since(newest(w), changes_counts(&w->b));
    assert_int_equal(counts.held, 5);
    assert_int_equal(counts.closed, 9);
}

/* Of ten that waited so far for one thing or another, three still do when the writes stop. */
static void who_waits_when_it_begins_is_held_by_it(void **state)
{
    struct world *w = *state;
    begin(w);
    metric_add(&w->metrics[0].frontends[0]->at[FRONTEND_HELD], 10);
    atomic_store(&w->shared->backends[0]->waiting[ROUTE_AUTO], 3);
    verdict(w, VERDICT_HOLD, 0, "redis-0 is silent");
    metric_add(&w->metrics[1].frontends[0]->at[FRONTEND_HELD], 2);
    assert_int_equal(record_since(newest(w), changes_counts(&w->b)).held, 5);
}

static void see(struct world *w, size_t server, struct observation o)
{
    w->servers[server].seen = o;
}

static void claims_are_told_of_every_server(void **state)
{
    struct world *w = *state;
    see(w, 0, (struct observation){.reach = REACH_SILENT});
    see(w, 1,
        (struct observation){.reach = REACH_ANSWERED, .claim = CLAIM_PRIMARY, .usable = true});
    see(w, 2,
        (struct observation){.reach = REACH_ANSWERED,
                             .claim = CLAIM_REPLICA,
                             .link_up = true,
                             .follows = "10.0.0.3:6379"});
    begin(w);
    assert_string_equal(newest(w)->claims,
                        "redis-0: silent; redis-1: primary; redis-2: replica of 10.0.0.3:6379");
    see(w, 0, (struct observation){.reach = REACH_REFUSED});
    see(w, 1, (struct observation){.reach = REACH_ANSWERED, .claim = CLAIM_PRIMARY});
    see(w, 2, (struct observation){.reach = REACH_ANSWERED, .claim = CLAIM_REPLICA});
    verdict(w, VERDICT_HOLD, 0, "away");
    assert_string_equal(newest(w)->claims, "redis-0: not reached; redis-1: primary, not ready; "
                                           "redis-2: replica, no link to anybody");
    see(w, 0, (struct observation){.reach = REACH_DENIED});
    see(w, 1, (struct observation){.reach = REACH_UNASKED});
    see(w, 2, (struct observation){.reach = REACH_ANSWERED});
    verdict(w, VERDICT_PRIMARY, 0, "back");
    assert_string_equal(newest(w)->claims, "redis-0: does not tell; redis-1: not asked yet; "
                                           "redis-2: does not say its role");
}

static void claims_that_are_too_long_are_cut(void **state)
{
    struct world *w = *state;
    static char name[400];
    memset(name, 'x', sizeof name - 1);
    for (size_t i = 0; i < SERVERS; i++) {
        w->configs[i].name = name;
    }
    begin(w);
    assert_int_equal(strlen(newest(w)->claims), RECORD_CLAIMS_MAX - 1);
    assert_int_equal(strlen(newest(w)->to), sizeof newest(w)->to - 1);
}

static void a_change_of_mind_before_it_is_published_is_told(void **state)
{
    struct world *w = *state;
    begin(w);
    verdict(w, VERDICT_PRIMARY, 1, "promoted");
    verdict(w, VERDICT_PRIMARY, 2, "more follow it");
    changes_published(&w->b);
    assert_string_equal(newest(w)->from, "redis-0");
    assert_string_equal(newest(w)->to, "redis-2");
    assert_string_equal(newest(w)->evidence, "more follow it");
    assert_int_equal(w->control.recorder.count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_primary_comes_after_nobody),
        TEST(a_change_has_its_steps_in_one_record),
        TEST(a_verdict_that_changes_nothing_is_no_change),
        TEST(an_election_that_is_taken_back_is_made_again),
        TEST(a_change_nobody_wrote_after_ends_with_the_next),
        TEST(bytes_before_it_is_published_are_no_write_to_it),
        TEST(all_workers_count_and_only_this_backend),
        TEST(who_waits_when_it_begins_is_held_by_it),
        TEST(claims_are_told_of_every_server),
        TEST(claims_that_are_too_long_are_cut),
        TEST(a_change_of_mind_before_it_is_published_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
