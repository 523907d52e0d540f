/* The fence: a new primary is published only when every worker has acknowledged a topology in which
 * no other server of the backend may be written to. Workers are played here: their mailboxes are
 * real, their messages are taken out and acknowledged by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "ctl/control.h"
#include "net/mailbox.h"
#include "proto/proto.h"

#define WORKERS 2
#define SERVERS 3

struct world {
    struct config config;
    struct backend_config backend;
    struct server_config servers[SERVERS];
    struct certificates certificates;
    struct control control;
    struct loop loops[WORKERS];
    struct topology *seen[WORKERS];         /* newest topology that worker has received */
    struct message_topology *owed[WORKERS]; /* received, not acknowledged yet */
};

static void receive(struct message *m, void *worker)
{
    struct world *w = *(struct world **)worker;
    struct message_topology *mt = container_of(m, struct message_topology, message);
    if (w->seen[mt->worker] != NULL) {
        topology_unref(w->seen[mt->worker]);
    }
    w->seen[mt->worker] = mt->topology;
    free(w->owed[mt->worker]); /* an acknowledgement of the newest speaks for the older ones */
    w->owed[mt->worker] = mt;
}

static void ignore(struct message *m, void *worker)
{
    (void)worker;
    free(m);
}

static const struct worker_inbox inbox = {.topology = receive, .stop = ignore};

static struct world *the_world;

static void deliver(struct world *w)
{
    for (int i = 0; i < WORKERS; i++) {
        uv_run(&w->loops[i].uv, UV_RUN_NOWAIT);
    }
}

static void acknowledge(struct world *w, int worker)
{
    struct message_topology *m = w->owed[worker];
    w->owed[worker] = NULL;
    assert_non_null(m);
    control_inbox.ack(&m->message, &w->control);
    deliver(w);
}

static int setup(void **state)
{
    static const char *const names[] = {"redis-0", "redis-1", "redis-2"};
    struct world *w = calloc(1, sizeof *w);
    the_world = w;
    for (size_t i = 0; i < SERVERS; i++) {
        w->servers[i] = (struct server_config){.name = (char *)names[i], .weight = 1, .id = i};
    }
    w->backend = (struct backend_config){
        .name = "redis",
        .protocol = &proto_redis,
        .servers = {w->servers, SERVERS},
        .probe = PROBE_AUTO,
        .probe_fall = 2,
        .probe_rise = 1,
    };
    w->config =
        (struct config){.backends = &w->backend, .backend_count = 1, .server_count = SERVERS};
    char why[CERTIFICATES_WHY_MAX];
    assert_int_equal(certificates_init(&w->certificates, &w->config, why), 0);
    struct control_setup setup = {
        .config = &w->config,
        .tell = &inbox,
        .certificates = &w->certificates,
        .worker_count = WORKERS,
    };
    assert_int_equal(control_init(&w->control, &setup), 0);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(loop_init(&w->loops[i], &the_world), 0);
        w->control.workers[i].mailbox = &w->loops[i].mailbox;
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < WORKERS; i++) {
        loop_stop(&w->loops[i]);
        loop_run(&w->loops[i]);
        assert_int_equal(loop_release(&w->loops[i]), 0);
        if (w->seen[i] != NULL) {
            topology_unref(w->seen[i]);
        }
        free(w->owed[i]);
    }
    control_end(&w->control);
    loop_run(&w->control.loop);
    assert_int_equal(loop_release(&w->control.loop), 0);
    control_release(&w->control);
    certificates_release(&w->certificates);
    free(w);
    return 0;
}

/* What the election said, as if the probes had just brought it. */
static void elect(struct world *w, enum verdict_kind kind, int primary)
{
    struct backend_control *b = w->control.backends[0];
    b->verdict = (struct verdict){.kind = kind, .primary = primary, .settled = true};
    for (int i = 0; i < SERVERS; i++) {
        b->servers[i].up = true;
        b->servers[i].seen = (struct observation){
            .reach = REACH_ANSWERED, .claim = CLAIM_PRIMARY, .usable = true, .successes = 1};
    }
    fence_publish(&w->control);
    deliver(w);
}

static void acknowledge_all(struct world *w)
{
    for (int i = 0; i < WORKERS; i++) {
        while (w->owed[i] != NULL) {
            acknowledge(w, i);
        }
    }
}

static int published_primary(const struct world *w, int worker)
{
    return w->seen[worker]->backends[0].primary;
}

static enum access access_of(const struct world *w, int worker, int server)
{
    return w->seen[worker]->backends[0].servers[server].access;
}

static void test_first_primary_is_published_at_once(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    assert_int_equal(published_primary(w, 0), 0);
    assert_int_equal(access_of(w, 1, 0), ACCESS_OPEN);
    assert_int_equal(access_of(w, 1, 1), ACCESS_NONE);
}

static void test_new_primary_waits_for_every_worker(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    acknowledge_all(w);
    elect(w, VERDICT_PRIMARY, 1);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(published_primary(w, i), -1);
        assert_int_equal(access_of(w, i, 0), ACCESS_NONE);
        assert_int_not_equal(access_of(w, i, 1), ACCESS_OPEN);
    }
    acknowledge(w, 0);
    assert_int_equal(published_primary(w, 0), -1);
    assert_int_equal(published_primary(w, 1), -1);
    acknowledge(w, 1);
    assert_int_equal(published_primary(w, 0), 1);
    assert_int_equal(published_primary(w, 1), 1);
}

/* A worker that has not even acknowledged the first topology may still act upon it. */
static void test_a_late_acknowledgement_of_something_older_does_not_count(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    acknowledge(w, 0);
    struct message_topology *late = w->owed[1]; /* of the topology that has server 0 */
    w->owed[1] = NULL;
    elect(w, VERDICT_PRIMARY, 2);
    acknowledge(w, 0);
    control_inbox.ack(&late->message, &w->control);
    deliver(w);
    assert_int_equal(published_primary(w, 0), -1);
    acknowledge(w, 1);
    assert_int_equal(published_primary(w, 0), 2);
}

static void test_change_of_mind_during_the_fence_exposes_one_server_only(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    acknowledge_all(w);
    elect(w, VERDICT_PRIMARY, 1);
    elect(w, VERDICT_PRIMARY, 2);
    assert_int_equal(published_primary(w, 0), -1);
    acknowledge_all(w);
    assert_int_equal(published_primary(w, 0), 2);
    assert_int_equal(access_of(w, 0, 1), ACCESS_NONE);
}

static void test_back_to_the_old_one_needs_no_wait(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    acknowledge_all(w);
    elect(w, VERDICT_NOBODY, ELECTION_NOBODY);
    assert_int_equal(published_primary(w, 0), -1);
    elect(w, VERDICT_PRIMARY, 0);
    assert_int_equal(published_primary(w, 0), 0);
    elect(w, VERDICT_PRIMARY, 1); /* and the fence still stands behind it */
    assert_int_equal(published_primary(w, 0), -1);
    acknowledge_all(w);
    assert_int_equal(published_primary(w, 0), 1);
}

static void test_hold_leaves_living_sessions_and_contest_pauses_them(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    elect(w, VERDICT_HOLD, 0);
    assert_int_equal(access_of(w, 0, 0), ACCESS_QUIET);
    assert_int_equal(published_primary(w, 0), 0);
    elect(w, VERDICT_CONTESTED, 0);
    assert_int_equal(access_of(w, 0, 0), ACCESS_PAUSE);
}

static void take_out(struct world *w, int server, enum admin_state state)
{
    w->control.backends[0]->servers[server].admin = state;
    w->control.backends[0]->servers[server].admin_since_ms = loop_now_ms(&w->control.loop);
}

static void test_a_primary_that_is_taken_out_stands_still_until_another_is_elected(void **state)
{
    struct world *w = *state;
    w->backend.queue_timeout = 3600000;
    elect(w, VERDICT_PRIMARY, 0);
    acknowledge_all(w);
    take_out(w, 0, ADMIN_MAINT);
    elect(w, VERDICT_HOLD, 0);
    assert_int_equal(published_primary(w, 0), 0);
    assert_int_equal(access_of(w, 0, 0), ACCESS_PAUSE);
    elect(w, VERDICT_PRIMARY, 1);
    assert_int_equal(published_primary(w, 0), -1);
    assert_int_equal(access_of(w, 0, 0), ACCESS_NONE);
    acknowledge_all(w);
    assert_int_equal(published_primary(w, 0), 1);
}

static void test_nobody_stands_still_for_longer_than_queue_timeout(void **state)
{
    struct world *w = *state;
    w->backend.queue_timeout = 0; /* it is over */
    elect(w, VERDICT_PRIMARY, 0);
    acknowledge_all(w);
    take_out(w, 0, ADMIN_DRAIN);
    elect(w, VERDICT_HOLD, 0);
    assert_int_equal(published_primary(w, 0), -1);
    assert_int_equal(access_of(w, 0, 0), ACCESS_NONE);
    take_out(w, 0, ADMIN_READY);
    elect(w, VERDICT_PRIMARY, 0);
    assert_int_equal(published_primary(w, 0), 0);
    assert_int_equal(access_of(w, 0, 0), ACCESS_OPEN);
}

static void test_who_is_taken_out_or_has_no_weight_gets_nobody_new(void **state)
{
    struct world *w = *state;
    w->backend.protocol = &proto_tcp;
    elect(w, VERDICT_NOBODY, ELECTION_NOBODY);
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(access_of(w, 0, i), ACCESS_OPEN);
    }
    take_out(w, 0, ADMIN_DRAIN);
    take_out(w, 1, ADMIN_MAINT);
    w->servers[2].weight = 0;
    elect(w, VERDICT_NOBODY, ELECTION_NOBODY);
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(access_of(w, 1, i), ACCESS_QUIET);
    }
}

/* Until all have paused, the contested primary's offset is not its last word. */
static void test_last_word_is_read_after_all_workers_paused(void **state)
{
    struct world *w = *state;
    struct backend_control *b = w->control.backends[0];
    elect(w, VERDICT_PRIMARY, 0);
    acknowledge_all(w);
    assert_true(b->paused == UINT64_MAX);
    elect(w, VERDICT_CONTESTED, 0);
    acknowledge(w, 0);
    assert_true(b->paused == UINT64_MAX);
    acknowledge(w, 1);
    assert_true(b->paused != UINT64_MAX);
    elect(w, VERDICT_PRIMARY, 0);
    assert_true(b->paused == UINT64_MAX);
}

static void test_suspect_primary_gets_no_new_sessions(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    backend_doubt(w->control.backends[0], 0);
    deliver(w);
    assert_int_equal(access_of(w, 0, 0), ACCESS_QUIET);
}

static void test_lag_counts_from_when_the_primary_passed_the_replica(void **state)
{
    (void)state;
    struct lag_history h = {0};
    assert_int_equal(lag_bytes(&h, 10), -1);
    lag_record(&h, 1000, 100, 0);
    lag_record(&h, 2000, 200, 0);
    lag_record(&h, 3000, 300, 0);
    lag_record(&h, 9000, 300, 0); /* nothing was written: who has 300 is not behind */
    assert_int_equal(lag_ms(&h, 9000, 300), 0);
    assert_int_equal(lag_ms(&h, 9000, 250), 6000);
    assert_int_equal(lag_ms(&h, 9000, 150), 7000);
    assert_int_equal(lag_bytes(&h, 250), 50);
    lag_record(&h, 9500, 5, 0); /* another history */
    assert_int_equal(lag_bytes(&h, 5), 0);
}

/* What replicas have ------------------------------------------------------------------------ */

static void observe(struct world *w, size_t server, uint64_t asked_ms, int64_t offset)
{
    struct observation o = {
        .reach = REACH_ANSWERED,
        .claim = server == 0 ? CLAIM_PRIMARY : CLAIM_REPLICA,
        .usable = true,
        .link_up = true,
        .identity = {(char)('a' + server)},
        .lineage = {.id = "h", .previous_end = -1, .offset = offset},
        .asked = ++w->control.stamp,
        .asked_ms = asked_ms,
        .answered = ++w->control.stamp,
        .successes = 1,
    };
    backend_observe(w->control.backends[0], server, &o);
    deliver(w);
}

static uint64_t caught_up(struct world *w, size_t server)
{
    return atomic_load(&w->control.shared->servers[server]->caught_up_ms);
}

static void test_workers_are_told_until_when_a_replica_has_all_writes(void **state)
{
    struct world *w = *state;
    struct backend_control *b = w->control.backends[0];
    for (size_t i = 0; i < SERVERS; i++) {
        observe(w, i, 1000, 100);
    }
    assert_int_equal(b->verdict.primary, 0);
    observe(w, 0, 2000, 100);
    assert_int_equal(caught_up(w, 0), 0);
    assert_int_equal(caught_up(w, 1), 2000);
    assert_int_equal(caught_up(w, 2), 2000);
    observe(w, 0, 3000, 150);
    observe(w, 1, 3000, 120);
    observe(w, 2, 3000, 150);
    assert_int_equal(caught_up(w, 1), 2000);
    assert_int_equal(caught_up(w, 2), 3000);
    backend_doubt(b, 2); /* a worker could not connect there */
    assert_int_equal(caught_up(w, 2), 0);
    observe(w, 0, 4000, 150);
    assert_int_equal(caught_up(w, 2), 0); /* by its own word only */
    observe(w, 2, 4000, 150);
    assert_int_equal(caught_up(w, 2), 4000);
}

static const char *published_version(const struct world *w, int server)
{
    return w->seen[0]->backends[0].servers[server].greeting.version;
}

static void greet(struct world *w, size_t server, enum reach reach, const char *version)
{
    struct observation o = {.reach = reach, .failures = 1};
    snprintf(o.greeting.version, sizeof o.greeting.version, "%s", version);
    backend_observe(w->control.backends[0], server, &o);
    deliver(w);
}

/* Also of a server that lets the probe in no more, and until a newer one is known. */
static void test_how_a_server_greets_is_published(void **state)
{
    struct world *w = *state;
    elect(w, VERDICT_PRIMARY, 0);
    assert_string_equal(published_version(w, 0), "");
    greet(w, 0, REACH_DENIED, "8.4.1");
    assert_string_equal(published_version(w, 0), "8.4.1");
    assert_string_equal(published_version(w, 1), "");
    uint64_t generation = w->seen[0]->generation;
    greet(w, 0, REACH_DENIED, "8.4.1");
    assert_int_equal(w->seen[0]->generation, generation);
    greet(w, 0, REACH_REFUSED, "");
    assert_string_equal(published_version(w, 0), "8.4.1");
    greet(w, 0, REACH_DENIED, "9.7.0");
    assert_string_equal(published_version(w, 0), "9.7.0");
}

#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_first_primary_is_published_at_once),
        WITH_WORLD(test_new_primary_waits_for_every_worker),
        WITH_WORLD(test_a_late_acknowledgement_of_something_older_does_not_count),
        WITH_WORLD(test_change_of_mind_during_the_fence_exposes_one_server_only),
        WITH_WORLD(test_back_to_the_old_one_needs_no_wait),
        WITH_WORLD(test_hold_leaves_living_sessions_and_contest_pauses_them),
        WITH_WORLD(test_a_primary_that_is_taken_out_stands_still_until_another_is_elected),
        WITH_WORLD(test_nobody_stands_still_for_longer_than_queue_timeout),
        WITH_WORLD(test_who_is_taken_out_or_has_no_weight_gets_nobody_new),
        WITH_WORLD(test_last_word_is_read_after_all_workers_paused),
        WITH_WORLD(test_suspect_primary_gets_no_new_sessions),
        WITH_WORLD(test_how_a_server_greets_is_published),
        WITH_WORLD(test_workers_are_told_until_when_a_replica_has_all_writes),
        cmocka_unit_test(test_lag_counts_from_when_the_primary_passed_the_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
