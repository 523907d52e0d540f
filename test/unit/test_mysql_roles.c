/* What the answers of a server mean: its part, its claim and its reasons, by a server made up for
 * each case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "mysql_fake.h"

#define UUID_1 "11111111-1111-1111-1111-111111111111"
#define UUID_2 "22222222-2222-2222-2222-222222222222"
#define UUID_3 "33333333-3333-3333-3333-333333333333"
#define GROUP  "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

/* A server by its answers: tables of strings, each ended by NULL where it may be shorter. */
struct server {
    const char *version;
    enum mysql_topology topology;
    const char *variables[24]; /* name, value, ... */
    const char *status[24];
    const char *members[24];  /* id, host, port, state, role, view; ... */
    const char *channels[80]; /* 12 of each, as `replica_columns` */
    const char *gtids;
};

static const char *const show_columns[] = {"Variable_name", "Value"};
static const char *const member_columns[] = {"MEMBER_ID",    "MEMBER_HOST", "MEMBER_PORT",
                                             "MEMBER_STATE", "MEMBER_ROLE", "VIEW_ID"};
static const char *const replica_columns[] = {
    "Source_Host",        "Source_Port",         "Source_UUID",           "Source_Server_Id",
    "Replica_IO_Running", "Replica_SQL_Running", "Seconds_Behind_Source", "Last_IO_Errno",
    "Last_IO_Error",      "Last_SQL_Errno",      "Last_SQL_Error",        "Channel_Name",
};
static const char *const slave_columns[] = {
    "Master_Host",      "Master_Port",       "Master_UUID",           "Master_Server_Id",
    "Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master", "Last_IO_Errno",
    "Last_IO_Error",    "Last_SQL_Errno",    "Last_SQL_Error",        "Connection_name",
};

/* A replica's row: whom it follows, the threads, how far behind, errors, the channel's name. */
#define FOLLOWS(host, port, uuid, id, io, sql, behind)                                             \
    host, port, uuid, id, io, sql, behind, "0", "", "0", "", ""
#define NULL_TEXT "\001" /* stands for SQL's NULL in a table that a NULL ends */

static void answer_rows(struct talk *t, const char *const *columns, size_t width,
                        const char *const *values)
{
    const char *copy[80];
    size_t count = 0;
    for (; values[count] != NULL; count++) {
        copy[count] = strcmp(values[count], NULL_TEXT) == 0 ? NULL : values[count];
    }
    assert_int_equal(count % width, 0);
    fake_rows(t, columns, width, copy, count / width);
}

static void answer(struct talk *t, const struct server *s)
{
    static const char *const started[] = {"started"};
    static const char *const gtids[] = {"gtids"};
    static const char *const then[] = {"1795263951", NULL};
    const char *gtid_row[] = {s->gtids != NULL ? s->gtids : NULL_TEXT, NULL};
    if (asks(t, "SHOW GLOBAL VARIABLES")) {
        answer_rows(t, show_columns, 2, s->variables);
    } else if (asks(t, "SELECT UNIX_TIMESTAMP()")) {
        answer_rows(t, started, 1, then);
    } else if (asks(t, "SHOW GLOBAL STATUS")) {
        answer_rows(t, show_columns, 2, s->status);
    } else if (asks(t, "SELECT m.MEMBER_ID")) {
        answer_rows(t, member_columns, 6, s->members);
    } else if (asks(t, "SHOW REPLICA STATUS")) {
        answer_rows(t, replica_columns, 12, s->channels);
    } else if (asks(t, "SHOW ALL SLAVES STATUS")) {
        answer_rows(t, slave_columns, 12, s->channels);
    } else if (asks(t, "SELECT @@GLOBAL.gtid_")) {
        answer_rows(t, gtids, 1, gtid_row);
    } else {
        fail_msg("asks: %.*s", (int)t->out_len - 5, t->out + 5);
    }
}

static struct observation ask(const struct server *s)
{
    struct probe_setup account = router;
    account.mysql_topology = s->topology;
    struct talk t = talk_logged_in(&account, s->version != NULL ? s->version : "9.7.0");
    for (int i = 0; i < 8 && t.step == PROBE_STEP_READ; i++) {
        answer(&t, s);
    }
    assert_int_equal(t.step, PROBE_STEP_DONE);
    struct observation o = t.seen;
    talk_free(&t);
    return o;
}

static void assert_why(const struct observation *o, const char *words)
{
    if (strstr(o->why, words) == NULL) {
        fail_msg("'%s' says nothing of '%s'", o->why, words);
    }
}

/* Plain replication -------------------------------------------------------------------------- */

static void a_server_is_writable_unless_a_setting_forbids_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        bool writable;
    } cases[] = {
        {"read_only", "OFF", true},       {"read_only", "0", true},
        {"read_only", "ON", false},       {"read_only", "1", false},
        {"read_only", "NO_LOCK", false}, /* MariaDB 12 */
        {"super_read_only", "ON", false}, {"innodb_read_only", "ON", false},
        {"offline_mode", "ON", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server s = {
            .variables = {"server_id", "7", "server_uuid", UUID_1, cases[i].name, cases[i].value}};
        struct observation o = ask(&s);
        assert_int_equal(o.part, PART_SOURCE);
        assert_int_equal(o.claim, CLAIM_NONE);
        assert_string_equal(o.id, UUID_1);
        assert_string_equal(o.identity, UUID_1 "@1795263951");
        assert_int_equal(o.writable, cases[i].writable);
        assert_int_equal(o.why[0] == '\0', cases[i].writable);
        assert_int_equal(o.position, -1);
        assert_int_equal(o.behind_ms, -1);
        assert_false(o.gtids.known);
    }
}

static void channels_are_told_whether_they_run_or_not(void **state)
{
    (void)state;
    struct server s = {
        .variables = {"server_id", "7", "server_uuid", UUID_1},
        .channels = {FOLLOWS("10.0.0.1", "3306", UUID_2, "2", "Yes", "Yes", "3"),
                     FOLLOWS("::1", "3307", "", "0", "Connecting", "Yes", NULL_TEXT)},
    };
    struct observation o = ask(&s);
    assert_int_equal(o.channel_count, 2);
    assert_true(o.channels[0].running);
    assert_string_equal(o.channels[0].source, "10.0.0.1:3306");
    assert_string_equal(o.channels[0].source_id, UUID_2);
    assert_false(o.channels[1].running);
    assert_string_equal(o.channels[1].source, "[::1]:3307");
    assert_string_equal(o.channels[1].source_id, "");
    assert_int_equal(o.behind_ms, 3000);
    assert_why(&o, "replication from [::1]:3307 is not connected");
}

static void a_stopped_channel_tells_its_error(void **state)
{
    (void)state;
    struct server s = {
        .variables = {"server_id", "7", "server_uuid", UUID_1},
        .channels = {"10.0.0.1", "3306", UUID_2, "2", "Yes", "No", NULL_TEXT, "0", "", "1062",
                     "Duplicate entry \033", ""},
    };
    struct observation o = ask(&s);
    assert_int_equal(o.channel_count, 1);
    assert_false(o.channels[0].running);
    assert_int_equal(o.behind_ms, -1);
    assert_why(&o, "replication from 10.0.0.1:3306 is stopped: error 1062, Duplicate entry ?");
    s.channels[10] = "it is s3cret";
    o = ask(&s);
    assert_null(strstr(o.why, "s3cret"));
    assert_why(&o, "is stopped: error 1062");
}

static void mariadb_names_its_sources_by_number(void **state)
{
    (void)state;
    struct server s = {
        .version = "5.5.5-10.11.19-MariaDB-log",
        .variables = {"server_id", "7", "read_only", "OFF"},
        .channels = {FOLLOWS("db1", "3306", NULL_TEXT, "2", "Yes", "Yes", "0"),
                     FOLLOWS("db2", "3306", NULL_TEXT, "0", "No", "No", NULL_TEXT)},
    };
    struct observation o = ask(&s);
    assert_string_equal(o.id, "7");
    assert_string_equal(o.identity, "7@1795263951");
    assert_string_equal(o.channels[0].source_id, "2");
    assert_string_equal(o.channels[1].source_id, ""); /* it never was connected */
    assert_true(o.writable);
}

static void a_server_with_too_many_channels_is_never_writable(void **state)
{
    (void)state;
    struct server s = {.variables = {"server_id", "7", "server_uuid", UUID_1}};
    for (size_t i = 0; i < CHANNELS_MAX + 1; i++) {
        static const char *const row[] = {FOLLOWS("a", "1", UUID_2, "2", "Yes", "Yes", "0")};
        memcpy(s.channels + i * ARRAY_LEN(row), row, sizeof row);
    }
    struct observation o = ask(&s);
    assert_int_equal(o.channel_count, CHANNELS_MAX);
    assert_false(o.writable);
    assert_why(&o, "replicates from 5 sources");
}

static void the_channels_of_group_replication_are_no_sources(void **state)
{
    (void)state;
    struct server s = {
        .variables = {"server_id", "7", "server_uuid", UUID_1},
        .channels = {"<NULL>", "0", "", "0", "No", "No", NULL_TEXT, "0", "", "0", "",
                     "group_replication_recovery"},
    };
    assert_int_equal(ask(&s).channel_count, 0);
}

static void gtids_are_known_where_they_are_complete(void **state)
{
    (void)state;
    struct server mysql = {
        .variables = {"server_id", "7", "server_uuid", UUID_1, "gtid_mode", "ON"},
        .gtids = UUID_1 ":1-5,\n" UUID_2 ":1-3:7",
    };
    struct observation o = ask(&mysql);
    assert_true(o.gtids.known);
    assert_int_equal(gtid_count(&o.gtids), 9);
    mysql.variables[5] = "ON_PERMISSIVE"; /* others may be in between */
    assert_false(ask(&mysql).gtids.known);
    mysql.variables[5] = "ON";
    mysql.gtids = "nonsense";
    assert_false(ask(&mysql).gtids.known);

    struct server mariadb = {
        .version = "11.4.2-MariaDB",
        .variables = {"server_id", "7", "log_bin", "ON", "log_slave_updates", "ON"},
        .gtids = "0-1-100,0-2-120",
    };
    assert_true(ask(&mariadb).gtids.known);
    mariadb.variables[5] = "OFF"; /* what it replicated is not in its binary log */
    assert_false(ask(&mariadb).gtids.known);
    mariadb.variables[5] = "ON";
    mariadb.variables[3] = "OFF";
    assert_false(ask(&mariadb).gtids.known);
}

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

static struct server node(void)
{
    return (struct server){
        .version = "5.5.5-10.11.19-MariaDB-log",
        .variables = {"server_id", "7", "wsrep_on", "ON", "wsrep_provider",
                      "/usr/lib/galera/libgalera_smm.so", "wsrep_desync", "OFF",
                      "wsrep_reject_queries", "NONE", "read_only", "OFF"},
        .status = {"wsrep_ready", "ON", "wsrep_cluster_status", "Primary", "wsrep_local_state", "4",
                   "wsrep_local_state_comment", "Synced", "wsrep_cluster_size", "3",
                   "wsrep_cluster_conf_id", "9", "wsrep_cluster_state_uuid", GROUP,
                   "wsrep_gcomm_uuid", UUID_1, "wsrep_local_index", "2"},
    };
}

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
        {true, 11, "ON", "read_only"},
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
    struct server mute = node();
    mute.status[0] = NULL; /* no word of wsrep */
    assert_int_equal(ask(&mute).claim, CLAIM_NONE);
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

/* Topologies by configuration ---------------------------------------------------------------- */

static void a_topology_that_is_not_found_is_said(void **state)
{
    (void)state;
    struct server plain = {.variables = {"server_id", "7", "server_uuid", UUID_1}};
    plain.topology = MYSQL_TOPOLOGY_GALERA;
    struct observation o = ask(&plain);
    assert_int_equal(o.part, PART_GALERA);
    assert_int_equal(o.claim, CLAIM_NONE);
    assert_why(&o, "is no node of a Galera cluster");
    plain.topology = MYSQL_TOPOLOGY_GROUP_REPLICATION;
    o = ask(&plain);
    assert_int_equal(o.part, PART_GROUP);
    assert_int_equal(o.claim, CLAIM_NONE);
    assert_why(&o, "is not configured for Group Replication");
    struct server galera = node();
    galera.topology = MYSQL_TOPOLOGY_REPLICATION;
    assert_int_equal(ask(&galera).part, PART_SOURCE);
    galera.topology = MYSQL_TOPOLOGY_AUTO;
    galera.variables[5] = "none"; /* no provider is loaded */
    assert_int_equal(ask(&galera).part, PART_SOURCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_writable_unless_a_setting_forbids_it),
        cmocka_unit_test(channels_are_told_whether_they_run_or_not),
        cmocka_unit_test(a_stopped_channel_tells_its_error),
        cmocka_unit_test(mariadb_names_its_sources_by_number),
        cmocka_unit_test(a_server_with_too_many_channels_is_never_writable),
        cmocka_unit_test(the_channels_of_group_replication_are_no_sources),
        cmocka_unit_test(gtids_are_known_where_they_are_complete),
        cmocka_unit_test(the_primary_of_a_group_claims_with_a_majority),
        cmocka_unit_test(a_primary_without_a_majority_claims_nothing),
        cmocka_unit_test(a_primary_that_is_read_only_claims_nothing),
        cmocka_unit_test(a_secondary_follows_the_primary),
        cmocka_unit_test(who_is_no_member_claims_nothing),
        cmocka_unit_test(each_member_of_a_multi_primary_group_claims),
        cmocka_unit_test(a_later_view_has_a_larger_term),
        cmocka_unit_test(a_synced_node_could_be_the_writer),
        cmocka_unit_test(a_node_that_is_not_well_claims_nothing),
        cmocka_unit_test(numbers_that_say_unknown_are_not_believed),
        cmocka_unit_test(a_topology_that_is_not_found_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
