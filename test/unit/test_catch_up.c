/* Promise: a replica is told to have all writes that were answered before a moment only if it has:
 * by an offset of the primary that was asked for after that moment, in one history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/catch_up.h"
#include "model/topology.h"

struct pair {
    struct catch_up primary;
    struct follower replica;
};

static struct observation primary_at(uint64_t asked_ms, int64_t offset)
{
    return (struct observation){.reach = REACH_ANSWERED,
                                .claim = CLAIM_PRIMARY,
                                .usable = true,
                                .lineage = {.id = "h", .offset = offset},
                                .asked_ms = asked_ms};
}

static struct observation replica_at(int64_t offset)
{
    return (struct observation){.reach = REACH_ANSWERED,
                                .claim = CLAIM_REPLICA,
                                .link_up = true,
                                .lineage = {.id = "h", .offset = offset}};
}

static void lead(struct pair *w, uint64_t asked_ms, int64_t offset)
{
    struct observation o = primary_at(asked_ms, offset);
    catch_up_lead(&w->primary, 0, &o);
    catch_up_refresh(&w->primary, &w->replica);
}

static void follow(struct pair *w, const struct observation *o)
{
    catch_up_follow(&w->primary, &w->replica, o);
}

static void follow_at(struct pair *w, int64_t offset)
{
    struct observation o = replica_at(offset);
    follow(w, &o);
}

#define assert_caught_up(w, ms) assert_int_equal((w)->replica.caught_up_ms, ms)

static void a_replica_has_what_the_primary_had_when_it_was_asked(void **state)
{
    struct pair w = {0};
    (void)state;
    follow_at(&w, 100);
    assert_caught_up(&w, 0); /* nobody knows what the primary has */
    lead(&w, 1000, 101);
    assert_caught_up(&w, 0); /* one byte is missing */
    follow_at(&w, 101);
    assert_caught_up(&w, 1000);
    lead(&w, 2000, 101); /* nothing was written since */
    assert_caught_up(&w, 2000);
    lead(&w, 3000, 102);
    assert_caught_up(&w, 2000);
    follow_at(&w, 200); /* asked later than the primary */
    assert_caught_up(&w, 3000);
}

/* What is written all the time is never on the replica, and still all is that is a little older. */
static void a_replica_that_is_always_behind_catches_up_with_the_past(void **state)
{
    struct pair w = {0};
    (void)state;
    for (uint64_t i = 1; i <= 2 * CATCH_UP_SAMPLES; i++) {
        lead(&w, 1000 * i, (int64_t)(100 * i));
        follow_at(&w, (int64_t)(100 * i) - 250);
        assert_caught_up(&w, i <= 3 ? 0 : 1000 * (i - 3));
    }
    /* Too far behind for what is remembered: what was known stays true. */
    for (uint64_t i = 1; i <= CATCH_UP_SAMPLES + 5; i++) {
        lead(&w, 1000000 + i, (int64_t)(1000000 + i));
    }
    follow_at(&w, 20000);
    assert_caught_up(&w, 1000 * (2 * CATCH_UP_SAMPLES - 3));
    follow_at(&w, 1000000 + 5);
    assert_caught_up(&w, 1000 * (2 * CATCH_UP_SAMPLES - 3));
    follow_at(&w, 1000000 + 6); /* the oldest that is left */
    assert_caught_up(&w, 1000006);
}

static void setup_pair(struct pair *w)
{
    *w = (struct pair){0};
    lead(w, 1000, 100);
    follow_at(w, 100);
    assert_caught_up(w, 1000);
}

/* Whatever it says that leaves any doubt, it has nothing until it was compared once more. */
static void a_replica_that_may_have_lost_something_has_nothing(void **state)
{
    struct observation doubts[8];
    struct pair w;
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        doubts[i] = replica_at(100);
    }
    doubts[0].link_up = false;
    doubts[1].syncing = true;
    doubts[2].claim = CLAIM_PRIMARY;
    doubts[3].reach = REACH_REFUSED;
    doubts[4].lineage.id[0] = 'x';
    doubts[5].part = PART_SOURCE;
    doubts[6].lineage.offset = 99;
    doubts[7].claim = CLAIM_NONE;
    for (size_t i = 0; i < 8; i++) {
        setup_pair(&w);
        follow(&w, &doubts[i]);
        assert_caught_up(&w, 0);
        catch_up_refresh(&w.primary, &w.replica);
        assert_caught_up(&w, 0);
        follow_at(&w, 100);
        assert_caught_up(&w, 1000);
    }
    setup_pair(&w);
    catch_up_forget(&w.replica);
    lead(&w, 2000, 100);
    assert_caught_up(&w, 0);
}

/* It was started with what was on its disk, and has no more than that. */
static void a_replica_that_comes_back_with_less_has_less(void **state)
{
    struct pair w;
    struct observation restarted = replica_at(150);
    (void)state;
    setup_pair(&w);
    lead(&w, 2000, 200);
    follow_at(&w, 200);
    assert_caught_up(&w, 2000);
    follow(&w, &restarted);
    assert_caught_up(&w, 1000);
}

static void a_replica_that_is_slow_to_answer_is_what_it_was(void **state)
{
    struct pair w;
    struct observation o = {.reach = REACH_SILENT};
    (void)state;
    setup_pair(&w);
    follow(&w, &o);
    assert_caught_up(&w, 1000);
    o.reach = REACH_DENIED;
    follow(&w, &o);
    assert_caught_up(&w, 1000);
}

static void another_primary_is_another_matter(void **state)
{
    struct pair w;
    struct observation o;
    (void)state;
    setup_pair(&w);
    o = primary_at(2000, 50); /* its writes are others */
    o.lineage.id[0] = 'x';
    catch_up_lead(&w.primary, 1, &o);
    catch_up_refresh(&w.primary, &w.replica);
    assert_caught_up(&w, 0);
    follow_at(&w, 100); /* it follows the old one still */
    assert_caught_up(&w, 0);
    o = replica_at(50);
    o.lineage.id[0] = 'x';
    follow(&w, &o);
    assert_caught_up(&w, 2000);
    /* The same history in other hands, or cut back, is no better. */
    setup_pair(&w);
    o = primary_at(2000, 101);
    catch_up_lead(&w.primary, 1, &o);
    catch_up_refresh(&w.primary, &w.replica);
    assert_caught_up(&w, 0);
    setup_pair(&w);
    lead(&w, 2000, 99);
    assert_caught_up(&w, 2000); /* of what the primary has now; not by what it had */
    lead(&w, 3000, 101);
    assert_caught_up(&w, 2000);
}

/* Who does not claim, or did not answer, says nothing about what was written. */
static void only_a_claimant_is_a_measure(void **state)
{
    struct pair w;
    struct observation o = primary_at(2000, 100);
    (void)state;
    setup_pair(&w);
    o.claim = CLAIM_REPLICA;
    catch_up_lead(&w.primary, 0, &o);
    o = primary_at(2000, 100);
    o.reach = REACH_SILENT;
    catch_up_lead(&w.primary, 0, &o);
    o = primary_at(2000, 100);
    o.part = PART_SOURCE;
    catch_up_lead(&w.primary, 0, &o);
    catch_up_refresh(&w.primary, &w.replica);
    assert_caught_up(&w, 1000);
}

/* In the same millisecond nobody knows which came first. */
static void a_write_counts_if_it_was_answered_before(void **state)
{
    struct shared_server s = {0};
    (void)state;
    assert_true(shared_has_caught_up(&s, 0));
    assert_false(shared_has_caught_up(&s, 1));
    atomic_store(&s.caught_up_ms, 1000);
    assert_true(shared_has_caught_up(&s, 999));
    assert_false(shared_has_caught_up(&s, 1000));
    assert_false(shared_has_caught_up(&s, 1001));
}

/* Whatever was cut off in between, the moment is none in which the question was out already. */
static void a_question_is_never_dated_late(void **state)
{
    struct observation o = {.reach = REACH_ANSWERED};
    (void)state;
    observation_end(&o, 1, 5000, 0); /* of 4999.999 it may have been */
    assert_int_equal(o.asked_ms, 4999);
    observation_end(&o, 2, 5000, 2999);
    assert_int_equal(o.asked_ms, 4997);
    observation_end(&o, 3, 1, 2000);
    assert_int_equal(o.asked_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_has_what_the_primary_had_when_it_was_asked),
        cmocka_unit_test(a_replica_that_is_always_behind_catches_up_with_the_past),
        cmocka_unit_test(a_replica_that_may_have_lost_something_has_nothing),
        cmocka_unit_test(a_replica_that_comes_back_with_less_has_less),
        cmocka_unit_test(a_replica_that_is_slow_to_answer_is_what_it_was),
        cmocka_unit_test(another_primary_is_another_matter),
        cmocka_unit_test(only_a_claimant_is_a_measure),
        cmocka_unit_test(a_write_counts_if_it_was_answered_before),
        cmocka_unit_test(a_question_is_never_dated_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
