/* What the observations of servers that only tell whom they follow mean together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "election_family.h"
#include "election_fixture.h"
#include "model/census.h"

static void see(struct electorate *e, const char *text)
{
    size_t server = 0;
    struct observation o;
    assert_true(see_family(text, &server, &o));
    electorate_observe(e, server, o);
}

static const struct observation *take(struct electorate *e, size_t server)
{
    census_take(&e->in, &e->memory);
    return electorate_seen(e, server);
}

static const char *history(const struct electorate *e, size_t server)
{
    return e->seen[e->place[server]].lineage.id;
}

/* ---- whom a channel names ---- */

static int member(const struct electorate *e, const char *id, const char *source)
{
    struct channel c = {.running = true};
    snprintf(c.source_id, sizeof(c.source_id), "%s", id);
    snprintf(c.source, sizeof(c.source), "%s", source);
    return census_member(&e->in, &e->memory, &c);
}

static void test_a_channel_names_a_member_by_id_or_address(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 3, NULL);
    see(&e, "0 rw A");
    see(&e, "1 rep B of=0");
    take(&e, 0);
    assert_int_equal(member(&e, "id-1", "db-1.example:3306"), 1);
    assert_int_equal(member(&e, "id-1", "10.0.0.1:3306"), 1); /* a tunnel: the id is the server's */
    assert_int_equal(member(&e, "", "10.0.0.3:3306"), 2);
    assert_int_equal(member(&e, "id-9", "10.0.0.3:3306"), 2);
    /* One member's id is not known yet: it may be id-9, or db-9. */
    assert_int_equal(member(&e, "id-9", "10.0.0.9:3306"), CENSUS_UNKNOWN);
    assert_int_equal(member(&e, "id-9", "db-9:3306"), CENSUS_UNKNOWN);
    see(&e, "2 rep C of=0");
    take(&e, 0);
    assert_int_equal(member(&e, "id-9", "10.0.0.9:3306"), ELECTION_NOBODY);
    assert_int_equal(member(&e, "id-9", "db-9:3306"), ELECTION_NOBODY);
    /* Without an id, an address that is none of the members' may be another one of theirs. */
    assert_int_equal(member(&e, "", "10.0.0.9:3306"), CENSUS_UNKNOWN);
    assert_int_equal(member(&e, "", "10.0.0.1:3307"), CENSUS_UNKNOWN);
    assert_int_equal(member(&e, "", ""), CENSUS_UNKNOWN);
    /* An id is remembered while its server is away. */
    electorate_observe(&e, 2, (struct observation){.reach = REACH_REFUSED});
    take(&e, 0);
    assert_int_equal(member(&e, "id-2", "db-2:3306"), 2);
}

/* ---- who claims ---- */

static void test_who_is_writable_and_follows_no_member_claims(void **state)
{
    (void)state;
    static const char ring[] = "takes writes, but replicates from redis-1, a member here";
    static const struct {
        const char *text;
        enum claim claim;
        bool link_up;
        const char *why;
    } cases[] = {
        {"0 rw A", CLAIM_PRIMARY, false, ""},
        {"0 ro A", CLAIM_REPLICA, false, "is read-only"},
        {"0 rep A of=1", CLAIM_REPLICA, true, ""},
        {"0 rwrep A of=1", CLAIM_REPLICA, true, ring},
        {"0 cut A of=1", CLAIM_REPLICA, false, ""},
        {"0 rwcut A of=1", CLAIM_REPLICA, false, ring},
        {"0 rwcut A at=10.0.0.2:3306", CLAIM_REPLICA, false, ring},
        {"0 rwrep A from=id-9", CLAIM_PRIMARY, false, ""},
        {"0 rwcut A from=id-9", CLAIM_PRIMARY, false, ""},
        {"0 rep A from=id-9", CLAIM_REPLICA, false, "is read-only"},
        {"0 rwcut A at=db-7:3306", CLAIM_REPLICA, false,
         "has a stopped channel from db-7:3306, which may be a member"},
        {"0 rwrep A at=10.0.0.9:3306", CLAIM_REPLICA, true,
         "has a running channel from 10.0.0.9:3306, which may be a member"},
        {"0 rep A at=db-7:3306", CLAIM_REPLICA, true, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static struct electorate e;
        electorate_init(&e, 2, NULL);
        see(&e, "1 rep B of=0");
        see(&e, cases[i].text);
        const struct observation *o = take(&e, 0);
        if (o->claim != cases[i].claim || o->usable != (o->claim == CLAIM_PRIMARY) ||
            o->link_up != cases[i].link_up || strcmp(o->why, cases[i].why) != 0) {
            fail_msg("%s: claim %d, link %d, \"%s\"", cases[i].text, o->claim, o->link_up, o->why);
        }
    }
}

static void test_what_the_probe_said_of_a_broken_channel_stays(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 2, NULL);
    see(&e, "0 rw A");
    see(&e, "1 rwcut B of=0");
    snprintf(electorate_seen(&e, 1)->why, WHY_MAX, "error 1236");
    const struct observation *o = take(&e, 1);
    assert_string_equal(o->why, "error 1236");
    assert_string_equal(o->follows, "10.0.0.1:3306");
}

static void test_all_channels_from_members_must_run(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 3, NULL);
    see(&e, "0 rw A");
    see(&e, "1 rw B");
    see(&e, "2 cut C of=0");
    struct observation *o = electorate_seen(&e, 2);
    o->channels[1] = o->channels[0];
    snprintf(o->channels[1].source_id, REPLID_MAX, "id-1");
    snprintf(o->channels[1].source, PEER_TEXT_MAX, "10.0.0.2:3306");
    o->channels[1].running = true;
    o->channels[2].running = true; /* behind those that count */
    o->channel_count = 2;
    take(&e, 2);
    assert_false(o->link_up);
    assert_string_equal(o->follows, "10.0.0.2:3306"); /* the one that runs */
    o->channels[0].running = true;
    take(&e, 2);
    assert_true(o->link_up);
    assert_string_equal(o->lineage.id, history(&e, 0));
    /* A broken one from elsewhere says nothing. */
    snprintf(o->channels[0].source_id, REPLID_MAX, "id-9");
    snprintf(o->channels[0].source, PEER_TEXT_MAX, "10.9.0.1:3306");
    o->channels[0].running = false;
    take(&e, 2);
    assert_true(o->link_up);
    assert_string_equal(o->lineage.id, history(&e, 1));
}

static void test_a_claim_on_probation_does_not_count(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 1, NULL);
    static const char *const claims[] = {"0 rw A", "0 gp A"};
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        see(&e, claims[i]);
        electorate_seen(&e, 0)->probation = true;
        const struct observation *o = take(&e, 0);
        assert_true(o->claim == CLAIM_PRIMARY && !o->usable);
        see(&e, claims[i]);
        assert_true(take(&e, 0)->usable);
    }
}

/* ---- histories ---- */

static void test_a_history_lasts_as_long_as_its_process_follows_nobody(void **state)
{
    (void)state;
    static struct electorate e;
    char first[REPLID_MAX];
    electorate_init(&e, 2, NULL);
    see(&e, "0 rw A");
    see(&e, "1 rep B of=0");
    memcpy(first, take(&e, 0)->lineage.id, REPLID_MAX);
    assert_string_equal(first, "id-0#2"); /* the stamp of its answer */
    see(&e, "0 ro A");
    assert_string_equal(take(&e, 0)->lineage.id, first);
    see(&e, "0 rw A");
    assert_string_equal(take(&e, 0)->lineage.id, first);
    see(&e, "0 rw A2"); /* restarted */
    assert_string_not_equal(take(&e, 0)->lineage.id, first);
    assert_string_equal(electorate_seen(&e, 0)->lineage.previous_id, "");
    assert_int_equal(electorate_seen(&e, 0)->lineage.previous_end, -1);
    memcpy(first, history(&e, 0), REPLID_MAX);
    see(&e, "0 cut A2 of=1"); /* it may have followed between two questions */
    take(&e, 0);
    see(&e, "0 rw A2");
    assert_string_not_equal(take(&e, 0)->lineage.id, first);
    assert_string_equal(electorate_seen(&e, 0)->lineage.previous_id, "");
}

static void test_a_promotion_continues_what_its_process_followed(void **state)
{
    (void)state;
    static struct electorate e;
    char parent[REPLID_MAX];
    electorate_init(&e, 2, NULL);
    see(&e, "0 rw A gtid=0-1-50");
    see(&e, "1 rep B of=0 gtid=0-1-40");
    memcpy(parent, take(&e, 0)->lineage.id, REPLID_MAX);
    assert_string_equal(history(&e, 1), parent);
    see(&e, "1 cut B of=0 gtid=0-1-45"); /* it goes on with what it had received */
    assert_string_equal(take(&e, 1)->lineage.id, parent);
    see(&e, "1 ro B gtid=0-1-50");
    assert_string_equal(take(&e, 1)->lineage.id, parent);
    see(&e, "1 rw B gtid=0-1-50");
    const struct observation *o = take(&e, 1);
    assert_string_not_equal(o->lineage.id, parent);
    assert_string_equal(o->lineage.previous_id, parent);
    assert_int_equal(o->lineage.previous_end, 46); /* as far as it was seen as a replica */
    assert_int_equal(o->lineage.offset, 50);
}

static void test_only_the_process_that_was_linked_is_promoted(void **state)
{
    (void)state;
    static const char *const steps[][3] = {
        {"1 rep B of=0", "1 cut B2 of=0", "1 rw B2"}, /* restarted */
        {"1 rep B of=0", "1 rw B2", "1 rw B2"},
        {"1 cut B of=0", "1 cut B of=0", "1 rw B"}, /* never seen linked */
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        static struct electorate e;
        electorate_init(&e, 2, NULL);
        see(&e, "0 rw A");
        for (size_t step = 0; step < 3; step++) {
            see(&e, steps[i][step]);
            take(&e, 1);
        }
        assert_string_equal(electorate_seen(&e, 1)->lineage.previous_id, "");
    }
}

static void test_a_chain_has_the_history_of_its_head(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 4, NULL);
    see(&e, "3 rep D of=2");
    see(&e, "2 rep C of=1");
    see(&e, "1 rep B of=0");
    see(&e, "0 rw A");
    take(&e, 0);
    for (size_t i = 1; i < 4; i++) {
        assert_string_equal(history(&e, i), history(&e, 0));
    }
    char before[REPLID_MAX];
    memcpy(before, history(&e, 0), REPLID_MAX);
    electorate_observe(&e, 0, (struct observation){.reach = REACH_SILENT});
    electorate_observe(&e, 1, (struct observation){.reach = REACH_SILENT});
    see(&e, "2 rep C of=1");
    see(&e, "3 rep D of=2");
    take(&e, 0);
    assert_string_equal(history(&e, 3), before); /* the last name of who is not heard */
}

static void test_a_replica_that_lost_its_link_keeps_what_it_had(void **state)
{
    (void)state;
    static struct electorate e;
    char before[REPLID_MAX];
    electorate_init(&e, 4, NULL);
    see(&e, "0 rw A");
    see(&e, "1 rw B");
    see(&e, "2 rep C of=0");
    see(&e, "3 rep D of=2");
    take(&e, 0);
    memcpy(before, history(&e, 0), REPLID_MAX);
    see(&e, "2 cut C of=1"); /* turned to another one that it has not reached yet */
    see(&e, "3 rep D of=2");
    take(&e, 0);
    assert_string_equal(history(&e, 2), before);
    assert_string_equal(history(&e, 3), before);
    see(&e, "2 rep C of=1");
    see(&e, "3 rep D of=2");
    take(&e, 0);
    assert_string_equal(history(&e, 2), history(&e, 1));
    assert_string_equal(history(&e, 3), history(&e, 1));
}

static void test_a_replica_that_was_asked_before_follows_the_history_before(void **state)
{
    (void)state;
    static struct electorate e;
    char before[REPLID_MAX];
    electorate_init(&e, 2, NULL);
    see(&e, "0 rw A");
    see(&e, "1 rep B of=0");
    memcpy(before, take(&e, 0)->lineage.id, REPLID_MAX);
    see(&e, "0 rw A2");
    take(&e, 0);
    assert_string_not_equal(history(&e, 0), before);
    assert_string_equal(history(&e, 1), before);
    see(&e, "1 rep B of=0");
    take(&e, 0);
    assert_string_equal(history(&e, 1), history(&e, 0));
}

static void test_rings_end_and_are_nobodys_followers(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 4, NULL);
    see(&e, "0 rwrep A of=1");
    see(&e, "1 rwrep B of=2");
    see(&e, "2 rwrep C of=0");
    see(&e, "3 rep D of=0");
    take(&e, 0);
    for (size_t i = 0; i < 4; i++) {
        assert_true(strncmp(history(&e, i), "ring:", 5) == 0);
        assert_string_not_equal(history(&e, i), history(&e, (i + 1) % 4));
    }
    see(&e, "0 rwrep A of=0"); /* a server that follows itself */
    take(&e, 0);
    assert_string_equal(history(&e, 0), "ring:redis-0");
}

/* MariaDB's replicas take writes by default: that alone is worth no word. */
static void test_who_takes_writes_on_a_ring_says_why_it_does_not_claim(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 4, NULL);
    see(&e, "0 rwrep A of=2");
    see(&e, "1 rep B of=0");
    see(&e, "2 rwcut C of=1");
    see(&e, "3 rwrep D of=0");
    assert_string_equal(take(&e, 0)->why,
                        "takes writes, but replicates from redis-2, a member here");
    assert_string_equal(take(&e, 1)->why, "");
    assert_string_equal(take(&e, 2)->why,
                        "takes writes, but replicates from redis-1, a member here");
    assert_string_equal(take(&e, 3)->why, "");
    see(&e, "0 rwcut A of=2");
    snprintf(electorate_seen(&e, 0)->why, WHY_MAX, "error 1236");
    assert_string_equal(take(&e, 0)->why, "error 1236");
    see(&e, "1 rw B");
    see(&e, "2 rwcut C of=1");
    assert_string_equal(take(&e, 2)->why, ""); /* it is a chain now */
}

static void test_who_follows_somebody_else_says_so(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 2, NULL);
    see(&e, "1 rep B of=0");
    take(&e, 1);
    assert_string_equal(history(&e, 1), "unheard:redis-0");
    see(&e, "1 rep B from=id-9 at=10.9.9.9:3306");
    assert_string_equal(take(&e, 1)->lineage.id, "outside:10.9.9.9:3306");
    /* A name that is too long is told apart by a hash. */
    see(&e, "1 rep B at=a-very-long-name-of-a-server.in.some.domain.example.org:3306");
    char one[REPLID_MAX];
    memcpy(one, take(&e, 1)->lineage.id, REPLID_MAX);
    assert_true(strncmp(one, "outside:", 8) == 0 && strlen(one) == 8 + 16);
    see(&e, "1 rep B at=a-very-long-name-of-a-server.in.some.domain.example.org:3307");
    assert_string_not_equal(take(&e, 1)->lineage.id, one);
}

static void test_names_of_long_ids_stay_unique(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 2, NULL);
    e.stamp = UINT64_MAX - 10;
    see(&e, "0 rw A id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0");
    see(&e, "1 rw B id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1");
    take(&e, 0);
    assert_string_not_equal(history(&e, 0), history(&e, 1));
    assert_non_null(strstr(history(&e, 1), "#1844674407370955"));
    static struct electorate none;
    electorate_init(&none, 1, NULL);
    see(&none, "0 rw A id=none");
    assert_string_equal(take(&none, 0)->lineage.id, "redis-0#2");
}

static void test_offsets_say_how_far_a_server_is(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t offset;
    } cases[] = {
        {"0 rw A pos=4711 term=1", 4711},
        {"0 rw A gtid=0-1-100+0-2-50", 150},
        {"0 rw A gtid=0-1-18446744073709551615", INT64_MAX},
        {"0 rw A", 1}, /* it tells no position: not nothing */
        {"0 gs A gtid=0-1-7", 7},
        {"0 wp A", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static struct electorate e;
        electorate_init(&e, 1, NULL);
        see(&e, cases[i].text);
        assert_true(take(&e, 0)->lineage.offset == cases[i].offset);
    }
}

static void test_the_members_of_a_group_have_one_history(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 3, NULL);
    see(&e, "0 gp A");
    see(&e, "1 gs B");
    see(&e, "2 gs C group=theirs");
    take(&e, 0);
    assert_string_equal(history(&e, 0), "group:ours");
    assert_string_equal(history(&e, 1), history(&e, 0));
    assert_string_not_equal(history(&e, 2), history(&e, 0));
}

static void test_a_standby_on_the_timeline_of_two_primaries_follows_neither(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 3, NULL);
    see(&e, "0 rw A id=none pos=9 term=1 group=s");
    see(&e, "1 rw B id=none pos=9 term=1 group=s");
    see(&e, "2 rep C id=none at=db-0:5432 pos=9 term=1 group=s");
    assert_string_equal(take(&e, 2)->lineage.id, "outside:db-0:5432");
    see(&e, "1 rw B id=none pos=9 term=2 group=s");
    assert_string_equal(take(&e, 2)->lineage.id, history(&e, 0));
    see(&e, "1 rw B id=none pos=9 term=1 group=s"); /* it is remembered by now */
    assert_string_equal(take(&e, 2)->lineage.id, history(&e, 0));
    see(&e, "2 rep C id=none at=db-0:5432 pos=9 term=1 group=x"); /* another system */
    see(&e, "1 rw B id=none pos=9 term=1 group=x");
    assert_string_equal(take(&e, 2)->lineage.id, history(&e, 1));
}

static void test_a_standby_that_hides_its_source_may_be_heard_first(void **state)
{
    (void)state;
    static struct electorate e;
    electorate_init(&e, 2, NULL);
    see(&e, "1 rep C id=none at= pos=9 term=0 group=s");
    assert_string_equal(take(&e, 1)->lineage.id, "outside:");
    see(&e, "0 rw A id=none pos=9 term=1 group=s");
    assert_string_equal(take(&e, 1)->lineage.id, history(&e, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_channel_names_a_member_by_id_or_address),
        cmocka_unit_test(test_who_is_writable_and_follows_no_member_claims),
        cmocka_unit_test(test_what_the_probe_said_of_a_broken_channel_stays),
        cmocka_unit_test(test_all_channels_from_members_must_run),
        cmocka_unit_test(test_a_claim_on_probation_does_not_count),
        cmocka_unit_test(test_a_history_lasts_as_long_as_its_process_follows_nobody),
        cmocka_unit_test(test_a_promotion_continues_what_its_process_followed),
        cmocka_unit_test(test_only_the_process_that_was_linked_is_promoted),
        cmocka_unit_test(test_a_chain_has_the_history_of_its_head),
        cmocka_unit_test(test_a_replica_that_lost_its_link_keeps_what_it_had),
        cmocka_unit_test(test_a_replica_that_was_asked_before_follows_the_history_before),
        cmocka_unit_test(test_rings_end_and_are_nobodys_followers),
        cmocka_unit_test(test_who_takes_writes_on_a_ring_says_why_it_does_not_claim),
        cmocka_unit_test(test_who_follows_somebody_else_says_so),
        cmocka_unit_test(test_names_of_long_ids_stay_unique),
        cmocka_unit_test(test_offsets_say_how_far_a_server_is),
        cmocka_unit_test(test_the_members_of_a_group_have_one_history),
        cmocka_unit_test(test_a_standby_on_the_timeline_of_two_primaries_follows_neither),
        cmocka_unit_test(test_a_standby_that_hides_its_source_may_be_heard_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
