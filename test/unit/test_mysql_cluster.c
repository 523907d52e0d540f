/* What the answers of a member of a group, or of a node of Galera, mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mysql_server.h"

/* Group Replication -------------------------------------------------------------------------- */

#define VIEW                                "17952653319798326:3"
#define MEMBER(uuid, port, condition, role) uuid, "10.0.0.1", port, condition, role, VIEW

static struct server member(const char *one, const char *role, const char *two, const char *three)
{
    return (struct server){
        .variables = {"server_id", "7", "server_uuid", UUID_1, "group_replication_group_name",
                      GROUP, "group_replication_single_primary_mode", "ON", "read_only", "OFF",
                      "super_read_only", "OFF"},
        .members = {MEMBER(UUID_1, "1", one, role), MEMBER(UUID_2, "2", two, "SECONDARY"),
                    MEMBER(UUID_3, "3", three, "SECONDARY")},
    };
}

static void the_primary_of_a_group_claims_with_a_majority(void **state)
{
    (void)state;
    struct server s = member("ONLINE", "PRIMARY", "RECOVERING", "UNREACHABLE");
    struct observation o = ask(&s);
    assert_int_equal(o.part, PART_GROUP);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
    assert_int_equal(o.authority, WORD_YES);
    assert_string_equal(o.group, GROUP);
    assert_string_equal(o.id, UUID_1);
    assert_int_equal(o.members, 2);
    assert_true(o.term == ((uint64_t)1795265331 << 32 | 3));
    assert_string_equal(o.why, "");
}

static void a_primary_without_a_majority_claims_nothing(void **state)
{
    (void)state;
    struct server s = member("ONLINE", "PRIMARY", "UNREACHABLE", "UNREACHABLE");
    struct observation o = ask(&s);
    assert_int_equal(o.claim, CLAIM_NONE);
    assert_false(o.usable);
    assert_int_equal(o.authority, WORD_NONE);
    assert_why(&o, "is PRIMARY of a group without a majority (1 of 3 members reachable)");
    s.members[12] = NULL; /* one of two is none either */
    assert_int_equal(ask(&s).claim, CLAIM_NONE);
}

static void a_primary_that_is_read_only_claims_nothing(void **state)
{
    (void)state;
    struct server s = member("ONLINE", "PRIMARY", "ONLINE", "ONLINE");
    s.variables[11] = "ON";
    struct observation o = ask(&s);
    assert_int_equal(o.claim, CLAIM_NONE);
    assert_why(&o, "is PRIMARY of its group, but is read-only (super_read_only)");
}

static void a_secondary_follows_the_primary(void **state)
{
    (void)state;
    struct server s = member("ONLINE", "SECONDARY", "ONLINE", "ONLINE");
    s.members[10] = "PRIMARY";
    struct observation o = ask(&s);
    assert_int_equal(o.claim, CLAIM_REPLICA);
    assert_true(o.link_up);
    assert_false(o.syncing);
    assert_string_equal(o.follows, "10.0.0.1:2");
    s.members[3] = "RECOVERING";
    o = ask(&s);
    assert_int_equal(o.claim, CLAIM_REPLICA);
    assert_false(o.link_up);
    assert_true(o.syncing);
}

static void who_is_no_member_claims_nothing(void **state)
{
    (void)state;
    static const char *const states[] = {"ERROR", "OFFLINE", "UNREACHABLE", "", NULL_TEXT};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct server s = member(states[i], "PRIMARY", "ONLINE", "ONLINE");
        struct observation o = ask(&s);
        assert_int_equal(o.part, PART_GROUP);
        assert_int_equal(o.claim, CLAIM_NONE);
        assert_true(o.why[0] != '\0');
    }
    struct server s = member("ONLINE", "PRIMARY", "ONLINE", "ONLINE");
    s.variables[3] = "44444444-4444-4444-4444-444444444444"; /* not in the list */
    assert_int_equal(ask(&s).claim, CLAIM_NONE);
}

static void each_member_of_a_multi_primary_group_claims(void **state)
{
    (void)state;
    struct server s = member("ONLINE", "PRIMARY", "ONLINE", "ONLINE");
    s.variables[7] = "OFF";
    s.members[10] = s.members[16] = "PRIMARY";
    struct observation o = ask(&s);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
    s.members[3] = "RECOVERING";
    assert_string_equal(ask(&s).follows, ""); /* all of them, not the last */
}

static void a_later_view_has_a_larger_term(void **state)
{
    (void)state;
    static const char *const views[] = {"17952653319798326:3", "17952653319798326:4",
                                        "17952663319798326:1"};
    uint64_t last = 0;
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        struct server s = member("ONLINE", "PRIMARY", "ONLINE", "ONLINE");
        s.members[5] = views[i];
        uint64_t term = ask(&s).term;
        assert_true(term > last);
        last = term;
    }
    struct server s = member("OFFLINE", "", "ONLINE", "ONLINE");
    s.members[5] = "";
    assert_true(ask(&s).term == 0);
}

/* Galera ------------------------------------------------------------------------------------- */

static void a_synced_node_could_be_the_writer(void **state)
{
    (void)state;
    struct server s = node();
    struct observation o = ask(&s);
    assert_int_equal(o.part, PART_GALERA);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
    assert_int_equal(o.members, 3);
    assert_int_equal(o.index, 2);
    assert_true(o.term == 9);
    assert_string_equal(o.group, GROUP);
    assert_string_equal(o.id, UUID_1);
    assert_string_equal(o.why, "");
}

static void a_node_that_is_not_well_claims_nothing(void **state)
{
    (void)state;
    static const struct {
        bool variable;
        size_t at;
        const char *value;
        const char *why;
    } cases[] = {
        {false, 1, "OFF", "wsrep_ready"}, {false, 3, "non-Primary", "non-Primary"},
        {false, 5, "2", "is not synced"}, {false, 5, "42", "is not synced"},
        {true, 7, "ON", "wsrep_desync"},  {true, 9, "ALL", "wsrep_reject_queries: ALL"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server s = node();
        *(cases[i].variable ? &s.variables[cases[i].at] : &s.status[cases[i].at]) = cases[i].value;
        struct observation o = ask(&s);
        assert_int_equal(o.part, PART_GALERA);
        assert_int_equal(o.claim, CLAIM_NONE);
        assert_false(o.usable);
        assert_why(&o, cases[i].why);
    }
    struct server maintained = node();
    maintained.variables[12] = "pxc_maint_mode";
    maintained.variables[13] = "MAINTENANCE";
    assert_int_equal(ask(&maintained).claim, CLAIM_NONE);
    maintained.variables[13] = "DISABLED";
    assert_int_equal(ask(&maintained).claim, CLAIM_PRIMARY);
    struct server mute = node();
    mute.status[0] = NULL; /* no word of wsrep */
    assert_int_equal(ask(&mute).claim, CLAIM_NONE);
}

/* All of them take writes: one is the writer until it fails, as in a Galera cluster. */
static void a_group_in_which_all_are_primaries_has_a_writer_that_stays(void **state)
{
    (void)state;
    struct server s = member("ONLINE", "PRIMARY", "ONLINE", "ONLINE");
    s.variables[7] = "OFF";
    struct observation o = ask(&s);
    assert_int_equal(o.part, PART_GALERA);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
}

static void a_node_that_is_only_read_only_may_be_read(void **state)
{
    (void)state;
    struct server s = node();
    s.variables[11] = "ON";
    struct observation o = ask(&s);
    assert_int_equal(o.claim, CLAIM_REPLICA);
    assert_true(o.link_up);
    assert_false(o.usable);
    assert_why(&o, "read_only");
}

static void a_nodes_own_words_are_quoted_with_care(void **state)
{
    (void)state;
    struct server s = node();
    s.status[5] = "2";
    s.status[7] = "\033[31m";
    struct observation o = ask(&s);
    assert_why(&o, "(?[31m)");
    s.status[7] = "s3cret";
    o = ask(&s);
    assert_why(&o, "gives a reason");
    assert_null(strstr(o.why, "s3cret"));
}

static void numbers_that_say_unknown_are_not_believed(void **state)
{
    (void)state;
    struct server s = node();
    s.status[11] = s.status[17] = "18446744073709551615"; /* outside of the primary component */
    struct observation o = ask(&s);
    assert_true(o.term == 0);
    assert_int_equal(o.index, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_primary_of_a_group_claims_with_a_majority),
        cmocka_unit_test(a_primary_without_a_majority_claims_nothing),
        cmocka_unit_test(a_primary_that_is_read_only_claims_nothing),
        cmocka_unit_test(a_secondary_follows_the_primary),
        cmocka_unit_test(who_is_no_member_claims_nothing),
        cmocka_unit_test(each_member_of_a_multi_primary_group_claims),
        cmocka_unit_test(a_later_view_has_a_larger_term),
        cmocka_unit_test(a_synced_node_could_be_the_writer),
        cmocka_unit_test(a_node_that_is_not_well_claims_nothing),
        cmocka_unit_test(a_group_in_which_all_are_primaries_has_a_writer_that_stays),
        cmocka_unit_test(a_node_that_is_only_read_only_may_be_read),
        cmocka_unit_test(a_nodes_own_words_are_quoted_with_care),
        cmocka_unit_test(numbers_that_say_unknown_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
