#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/observation.h"
#include "proto/redis_info.h"
#include "redis_answers.h"

/* reach is UNASKED if it is no answer; then `why` holds the words. */
static struct observation observe(const char *server, const char *persistence,
                                  const char *replication)
{
    struct redis_info info = {0};
    struct observation o = {0};
    redis_info_read(&info, INFO_SERVER, server, strlen(server));
    redis_info_read(&info, INFO_PERSISTENCE, persistence, strlen(persistence));
    redis_info_read(&info, INFO_REPLICATION, replication, strlen(replication));
    const char *wrong = redis_info_observe(&info, &o);
    if (wrong != NULL) {
        o = (struct observation){0};
        snprintf(o.why, sizeof(o.why), "%s", wrong);
    }
    return o;
}

/* `text` with its first `from` replaced; for the life of the test. */
static const char *with(const char *text, const char *from, const char *to)
{
    static char out[8][2048];
    static size_t next;
    char *o = out[next++ % ARRAY_LEN(out)];
    const char *at = strstr(text, from);
    assert_non_null(at);
    snprintf(o, sizeof(out[0]), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return o;
}

static void a_master_is_seen_as_it_is(void **state)
{
    (void)state;
    struct observation o = observe(SERVER, PERSISTENCE, MASTER);
    assert_int_equal(o.reach, REACH_ANSWERED);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
    assert_string_equal(o.identity, ID_R);
    assert_string_equal(o.lineage.id, ID_A);
    assert_string_equal(o.lineage.previous_id, "");
    assert_int_equal(o.lineage.previous_end, -1);
    assert_int_equal(o.lineage.offset, 1234);
    assert_string_equal(o.why, "");
}

static void a_history_of_zeros_is_none(void **state)
{
    (void)state;
    struct observation o = observe(SERVER, PERSISTENCE, with(MASTER, "offset:-1", "offset:55"));
    assert_int_equal(o.reach, REACH_ANSWERED);
    assert_string_equal(o.lineage.previous_id, "");
    assert_int_equal(o.lineage.previous_end, -1);
}

static void a_replica_is_seen_as_it_is(void **state)
{
    (void)state;
    struct observation o = observe(SERVER, PERSISTENCE, REPLICA);
    assert_int_equal(o.claim, CLAIM_REPLICA);
    assert_true(o.link_up);
    assert_false(o.syncing);
    assert_false(o.usable);
    assert_int_equal(o.link_idle_ms, 2000);
    assert_string_equal(o.follows, "10.0.0.1:6379");
    assert_string_equal(o.lineage.previous_id, ID_B);
    assert_int_equal(o.lineage.previous_end, 700);
    assert_int_equal(o.lineage.offset, 900);
    assert_string_equal(o.why, "");
}

static void a_master_that_loads_or_hands_over_is_not_usable(void **state)
{
    (void)state;
    static const char *const busy[] = {"loading:1\r\n", "loading:0\r\nasync_loading:1\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
        struct observation o = observe(SERVER, busy[i], MASTER);
        assert_int_equal(o.claim, CLAIM_PRIMARY);
        assert_false(o.usable);
        assert_string_equal(o.why, "loading its data set");
    }
    static const char *const states[] = {"waiting-for-sync", "failover-in-progress"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct observation o = observe(SERVER, PERSISTENCE, with(MASTER, "no-failover", states[i]));
        assert_false(o.usable);
        assert_string_equal(o.why, "a failover is in progress");
    }
    /* Redis before 6.2 has no such line, before 7 no async_loading. */
    const char *older = with(MASTER, "master_failover_state:no-failover\r\n", "");
    assert_true(observe(SERVER, "loading:0\r\n", older).usable);
}

static void a_replica_says_what_is_wrong_with_its_link(void **state)
{
    (void)state;
    struct observation o = observe(SERVER, PERSISTENCE, with(REPLICA, "status:up", "status:down"));
    assert_false(o.link_up);
    assert_string_equal(o.why, "its link to 10.0.0.1:6379 is down");
    o = observe(SERVER, PERSISTENCE, with(REPLICA, "in_progress:0", "in_progress:1"));
    assert_true(o.syncing);
    assert_string_equal(o.why, "copying the data set of 10.0.0.1:6379");
    o = observe(SERVER, "loading:1\r\n", REPLICA);
    assert_true(o.syncing);
    o = observe(SERVER, PERSISTENCE, with(REPLICA, "seconds_ago:2", "seconds_ago:-1"));
    assert_true(o.link_idle_ms == UINT64_MAX);
    o = observe(SERVER, PERSISTENCE, with(REPLICA, "10.0.0.1", "fe80::1"));
    assert_string_equal(o.follows, "[fe80::1]:6379");
    o = observe(SERVER, PERSISTENCE, with(REPLICA, "10.0.0.1", "a\x1b[31mb"));
    assert_string_equal(o.follows, "a?[31mb:6379");
    o = observe(SERVER, PERSISTENCE, with(REPLICA, "slave_repl_offset:900", "slave_repl_offset:1"));
    assert_int_equal(o.lineage.offset, 1);
    o = observe(SERVER, PERSISTENCE,
                with(REPLICA, "master_repl_offset:900", "master_repl_offset:0"));
    assert_int_equal(o.lineage.offset, 0);
}

static void a_field_that_is_missing_or_broken_is_no_answer(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *why;
    } cases[] = {
        {"role:slave", "roll:slave", "without a role"},
        {"role:slave", "role:sentinel", "without a role"},
        {"role:slave", "role:", "without a role"},
        {"master_replid:" ID_A, "x:y", "without a master_replid"},
        {"master_replid:" ID_A, "master_replid:" ID_A "a", "without a master_replid"},
        {"master_replid:" ID_A, "master_replid:../..", "without a master_replid"},
        {"master_replid:" ID_A, "master_replid:abc/def", "without a master_replid"},
        {"master_repl_offset:900", "x:y", "without a master_repl_offset"},
        {"master_repl_offset:900", "master_repl_offset:-1", "without a master_repl_offset"},
        {"master_repl_offset:900", "master_repl_offset:9x", "without a master_repl_offset"},
        {"master_repl_offset:900", "master_repl_offset:", "without a master_repl_offset"},
        {"master_repl_offset:900", "master_repl_offset:9223372036854775808", "master_repl_offset"},
        {"second_repl_offset:700", "second_repl_offset:-2", "broken master_replid2"},
        {"second_repl_offset:700", "x:y", "broken master_replid2"},
        {"master_replid2:" ID_B, "master_replid2:", "broken master_replid2"},
        {"slave_repl_offset:900", "x:y", "state of its link"},
        {"master_link_status:up", "master_link_status:sideways", "master_link_status"},
        {"master_sync_in_progress:0", "master_sync_in_progress:2", "state of its link"},
        {"seconds_ago:2", "seconds_ago:soon", "state of its link"},
        {"master_host:", "x:", "master's address"},
        {"master_port:6379", "master_port:65536", "master's address"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct observation o =
            observe(SERVER, PERSISTENCE, with(REPLICA, cases[i].from, cases[i].to));
        assert_int_equal(o.reach, REACH_UNASKED);
        assert_non_null(strstr(o.why, cases[i].why));
    }
    assert_int_equal(observe("", PERSISTENCE, MASTER).reach, REACH_UNASKED);
    assert_int_equal(observe(SERVER, "", MASTER).reach, REACH_UNASKED);
    assert_int_equal(observe(SERVER, "loading:maybe\r\n", MASTER).reach, REACH_UNASKED);
    assert_int_equal(observe(SERVER, PERSISTENCE, "").reach, REACH_UNASKED);
}

static void the_largest_offset_is_read(void **state)
{
    (void)state;
    struct observation o =
        observe(SERVER, PERSISTENCE, with(MASTER, "offset:1234", "offset:9223372036854775807"));
    assert_true(o.lineage.offset == INT64_MAX);
}

static void of_a_field_that_comes_twice_the_first_counts(void **state)
{
    (void)state;
    const char *twice = with(MASTER, "connected_slaves:0", "role:slave\r\nmaster_replid:" ID_B);
    struct observation o = observe(SERVER, PERSISTENCE, twice);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_string_equal(o.lineage.id, ID_B); /* there it came before the other */
    /* And a section's fields are taken from that section only. */
    o = observe(SERVER "role:slave\r\n", PERSISTENCE "role:slave\r\n", MASTER);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
}

static void lines_may_end_as_they_like(void **state)
{
    (void)state;
    struct observation o = observe("run_id:" ID_R, "\n\r\n:\nloading:0\n", MASTER);
    assert_int_equal(o.reach, REACH_ANSWERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_master_is_seen_as_it_is),
        cmocka_unit_test(a_history_of_zeros_is_none),
        cmocka_unit_test(a_replica_is_seen_as_it_is),
        cmocka_unit_test(a_master_that_loads_or_hands_over_is_not_usable),
        cmocka_unit_test(a_replica_says_what_is_wrong_with_its_link),
        cmocka_unit_test(a_field_that_is_missing_or_broken_is_no_answer),
        cmocka_unit_test(the_largest_offset_is_read),
        cmocka_unit_test(of_a_field_that_comes_twice_the_first_counts),
        cmocka_unit_test(lines_may_end_as_they_like),
    };
    return cmocka_run_group_tests_name("redis_info", tests, NULL, NULL);
}
