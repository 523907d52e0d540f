/* What the answers of a server mean that replicates, by a server made up for each case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mysql_server.h"

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
        assert_int_equal(o.lineage.previous_end, -1);
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
                     FOLLOWS("10.0.0.3", "3306", UUID_3, "3", "Yes", "Yes", "1"),
                     FOLLOWS("::1", "3307", "", "0", "Connecting", "Yes", NULL_TEXT)},
    };
    struct observation o = ask(&s);
    assert_int_equal(o.channel_count, 3);
    assert_true(o.channels[0].running);
    assert_string_equal(o.channels[0].source, "10.0.0.1:3306");
    assert_string_equal(o.channels[0].source_id, UUID_2);
    assert_false(o.channels[2].running);
    assert_string_equal(o.channels[2].source, "[::1]:3307");
    assert_string_equal(o.channels[2].source_id, "");
    assert_int_equal(o.behind_ms, 3000); /* the most of them */
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
    s.variables[1] = "0"; /* none was given */
    assert_string_equal(ask(&s).id, "");
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
    galera.variables[3] = "OFF";
    assert_int_equal(ask(&galera).part, PART_SOURCE);
    galera.variables[3] = "ON";
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
        cmocka_unit_test(a_topology_that_is_not_found_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
