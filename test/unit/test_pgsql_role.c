/* What the answer of a PostgreSQL server says about its role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "pgsql_answers.h"
#include "proto/pgsql_role.h"

enum { RECOVERY, POSITION, FILE_NAME, READ_ONLY, STARTED, NOW, RECEIVED, REPLAYED, PAUSED, SEES };
enum { RECEIVER = SEES + 1, STATUS, HOST, PORT, TIMELINE, HEARD, COUNT };

#define PRIMARY_ROLE                                                                               \
    {                                                                                              \
        [RECOVERY] = "f", [POSITION] = "1000", [FILE_NAME] = "0000000A0000000000000003",           \
        [STARTED] = "1795263977842986", [NOW] = "50000", [SEES] = "t"                              \
    }
#define STANDBY_ROLE                                                                               \
    {                                                                                              \
        [RECOVERY] = "t", [POSITION] = "1000", [STARTED] = "1795263977842986", [NOW] = "50000",    \
        [RECEIVED] = "1000", [REPLAYED] = "20000", [PAUSED] = "f", [SEES] = "t",                   \
        [RECEIVER] = "123", [STATUS] = "streaming", [HOST] = "10.0.0.1", [PORT] = "5432",          \
        [TIMELINE] = "10", [HEARD] = "49000"                                                       \
    }

static const char *read_bytes(struct bytes b, struct pgsql_lag *lag, struct observation *o)
{
    struct pgsql_reader r = {0};
    while (pgsql_read(&r, &b.p, &b.len) == PGSQL_READ_MESSAGE && pgsql_type(&r) != 'D') {
    }
    return pgsql_role_read(&r, "router", lag, o);
}

static const char *read_values(const char *const *values, size_t count, struct pgsql_lag *lag,
                               struct observation *o)
{
    struct text t = {0};
    add_row(&t, values, count);
    const char *wrong = read_bytes((struct bytes){t.data, t.len}, lag, o);
    text_free(&t);
    return wrong;
}

static struct observation role(const char *const *values)
{
    struct pgsql_lag lag = {0};
    struct observation o;
    assert_null(read_values(values, COUNT, &lag, &o));
    assert_int_equal(o.reach, REACH_ANSWERED);
    assert_int_equal(o.part, PART_SOURCE);
    return o;
}

static void what_a_real_server_says_is_understood(void **state)
{
    (void)state;
    struct pgsql_lag lag = {0};
    struct observation o;
    assert_null(read_bytes(BYTES(PRIMARY_PLAIN), &lag, &o));
    assert_true(o.writable);
    assert_string_equal(o.why,
                        "does not show its replication to the probe: GRANT pg_monitor TO router");
    assert_null(read_bytes(BYTES(PRIMARY_READ_ONLY), &lag, &o));
    assert_false(o.writable);
    assert_non_null(strstr(o.why, "default_transaction_read_only"));
    assert_int_equal(o.channel_count, 0);

    assert_null(read_bytes(BYTES(STANDBY), &lag, &o));
    assert_false(o.writable);
    assert_int_equal(o.channel_count, 1);
    assert_true(o.channels[0].running);
    assert_string_equal(o.channels[0].source, "unix:/tmp/sockets/.s.PGSQL.55432");
    assert_int_equal(o.term, 1);
    assert_int_equal(o.position, 50590200);
    assert_int_equal(o.behind_ms, 0);
    assert_int_equal(o.link_idle_ms, 1795264602727 - 1795264592476);
    assert_string_equal(o.identity, "1795263978995891");
    assert_string_equal(o.why, "");
}

static void without_the_grant_a_standby_still_has_a_link(void **state)
{
    (void)state;
    struct pgsql_lag lag = {0};
    struct observation o;
    assert_null(read_bytes(BYTES(STANDBY_PLAIN), &lag, &o));
    assert_int_equal(o.channel_count, 1);
    assert_true(o.channels[0].running);
    assert_string_equal(o.channels[0].source, "");
    assert_int_equal(o.term, 0);
    assert_int_equal(o.behind_ms, 0);
    assert_non_null(strstr(o.why, "GRANT pg_monitor TO router"));

    const char *values[COUNT] = STANDBY_ROLE;
    values[SEES] = "f";
    values[RECEIVER] = values[STATUS] = values[HOST] = values[PORT] = values[TIMELINE] = NULL;
    o = role(values);
    assert_int_equal(o.channel_count, 1);
    assert_false(o.channels[0].running);
    assert_int_equal(o.behind_ms, -1);
}

static void a_timeline_is_read_in_hex_from_a_wal_file(void **state)
{
    (void)state;
    const char *values[COUNT] = PRIMARY_ROLE;
    assert_int_equal(role(values).term, 10);
    values[FILE_NAME] = "FFFFFFFF0000000000000003";
    assert_int_equal(role(values).term, 0xffffffff);
}

static void a_standby_names_the_timeline_that_it_gets(void **state)
{
    (void)state;
    const char *values[COUNT] = STANDBY_ROLE;
    assert_int_equal(role(values).term, 10);
    values[TIMELINE] = NULL;
    assert_int_equal(role(values).term, 0);
}

static void only_the_servers_own_setting_makes_it_read_only(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        bool writable;
    } cases[] = {
        {NULL, true},       {"user", true},          {"database user", true},
        {"client", true},   {"session", true},       {"configuration file", false},
        {"default", false}, {"command line", false}, {"database", false},
    };
    const char *values[COUNT] = PRIMARY_ROLE;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        values[READ_ONLY] = cases[i].source;
        assert_int_equal(role(values).writable, cases[i].writable);
    }
}

static void a_link_runs_while_it_streams_and_is_applied(void **state)
{
    (void)state;
    const char *values[COUNT] = STANDBY_ROLE;
    assert_true(role(values).channels[0].running);
    values[STATUS] = "waiting";
    assert_false(role(values).channels[0].running);
    values[STATUS] = "streaming";
    values[PAUSED] = "t";
    struct observation o = role(values);
    assert_false(o.channels[0].running);
    assert_non_null(strstr(o.why, "paused"));
    values[PAUSED] = "f";
    values[RECEIVER] = NULL;
    assert_false(role(values).channels[0].running);
}

static void sources_are_written_as_addresses_are(void **state)
{
    (void)state;
    char host[PEER_TEXT_MAX + 1];
    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    const struct {
        const char *host;
        const char *port;
        const char *source;
    } cases[] = {
        {"10.0.0.1", "5432", "10.0.0.1:5432"},
        {"pg-1.example.com", "5432", "pg-1.example.com:5432"},
        {"::1", "6000", "[::1]:6000"},
        {"/run/postgresql", "5433", "unix:/run/postgresql/.s.PGSQL.5433"},
        {"a\nb", "5432", ""},
        {"a b", "5432", ""},
        {"", "5432", ""},
        {NULL, "5432", ""},
        {"10.0.0.1", NULL, ""},
        {"10.0.0.1", "0", ""},
        {"10.0.0.1", "65536", ""},
        {host, "5432", ""},
        {host + 3, "5432", ""},
    };
    const char *values[COUNT] = STANDBY_ROLE;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        values[HOST] = cases[i].host;
        values[PORT] = cases[i].port;
        assert_string_equal(role(values).channels[0].source, cases[i].source);
    }
}

static int64_t behind(struct pgsql_lag *lag, const char *now, const char *replayed,
                      const char *received, const char *commit)
{
    const char *values[COUNT] = STANDBY_ROLE;
    struct observation o;
    values[NOW] = now;
    values[POSITION] = replayed;
    values[RECEIVED] = received;
    values[REPLAYED] = commit;
    assert_null(read_values(values, COUNT, lag, &o));
    return o.behind_ms;
}

static void a_quiet_primary_is_no_lag(void **state)
{
    (void)state;
    struct pgsql_lag lag = {0};
    assert_int_equal(behind(&lag, "9000000", "1000", "1000", "1000"), 0);
    /* The first write after hours: it cannot be behind for longer than since the last look. */
    assert_int_equal(behind(&lag, "9001000", "1000", "1100", "1000"), 1000);
    assert_int_equal(behind(&lag, "9001500", "1000", "1100", "1000"), 1500);
    assert_int_equal(behind(&lag, "9002000", "1100", "1100", "9001000"), 0);
}

static void a_standby_that_works_on_is_behind_by_what_it_has_not_reached(void **state)
{
    (void)state;
    struct pgsql_lag lag = {0};
    /* Never seen without arrears: by the age of what it replays. */
    assert_int_equal(behind(&lag, "100000", "1000", "2000", "60000"), 40000);
    assert_int_equal(behind(&lag, "101000", "1900", "3000", "62000"), 39000);
    /* It is past 2000 now, which it had received at 100000. */
    assert_int_equal(behind(&lag, "102000", "2500", "4000", "63000"), 2000);
    assert_int_equal(behind(&lag, "102500", "2600", "4000", "102400"), 100);
    /* Clocks differ. */
    assert_int_equal(behind(&lag, "103000", "2700", "4000", "104000"), 0);
    assert_int_equal(behind(&lag, "103000", "2700", "4000", NULL), 3000);
    struct pgsql_lag fresh = {0};
    assert_int_equal(behind(&fresh, "103000", "2700", "4000", NULL), -1);
    assert_int_equal(behind(&fresh, "103000", "2700", NULL, NULL), -1);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const struct {
        bool standby;
        int column;
        const char *value;
    } cases[] = {
        {false, RECOVERY, NULL},
        {false, RECOVERY, "no"},
        {false, POSITION, NULL},
        {false, POSITION, "-1"},
        {false, POSITION, ""},
        {false, POSITION, "9223372036854775808"},
        {false, POSITION, "99999999999999999999999999999"},
        {false, FILE_NAME, NULL},
        {false, FILE_NAME, "000000000000000000000003"},
        {false, FILE_NAME, "0000000G0000000000000003"},
        {false, FILE_NAME, "00000001"},
        {false, STARTED, NULL},
        {false, STARTED, "12.5"},
        {false, NOW, NULL},
        {false, SEES, NULL},
        {true, PAUSED, NULL},
        {true, RECEIVED, "x"},
        {true, REPLAYED, "x"},
        {true, TIMELINE, "x"},
        {true, HEARD, "x"},
        {true, POSITION, "1e3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *primary[COUNT] = PRIMARY_ROLE;
        const char *standby[COUNT] = STANDBY_ROLE;
        const char **values = cases[i].standby ? standby : primary;
        struct pgsql_lag lag = {0};
        struct observation o;
        values[cases[i].column] = cases[i].value;
        assert_non_null(read_values(values, COUNT, &lag, &o));
    }
}

static void a_row_of_another_shape_is_refused(void **state)
{
    (void)state;
    const char *values[COUNT + 1] = PRIMARY_ROLE;
    struct pgsql_lag lag = {0};
    struct observation o;
    assert_non_null(read_values(values, COUNT - 1, &lag, &o));
    assert_non_null(read_values(values, COUNT + 1, &lag, &o));
    struct text row = {0};
    add_row(&row, values, COUNT);
    for (size_t len = 0; len < row.len - PGSQL_HEAD; len++) { /* lengths that lie */
        struct text cut = {0};
        add_message(&cut, 'D', row.data + PGSQL_HEAD, len);
        assert_non_null(read_bytes((struct bytes){cut.data, cut.len}, &lag, &o));
        text_free(&cut);
    }
    struct text more = {0};
    text_add_bytes(&row, "x", 1);
    add_message(&more, 'D', row.data + PGSQL_HEAD, row.len - PGSQL_HEAD);
    assert_non_null(read_bytes((struct bytes){more.data, more.len}, &lag, &o));
    text_free(&more);
    text_free(&row);
}

static void a_group_is_a_number(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool good;
    } cases[] = {
        {"7710600071067284406", true}, {"0", false}, {NULL, false}, {"x", false}, {"", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text t = {0};
        struct pgsql_reader r = {0};
        char group[REPLID_MAX] = "";
        add_row(&t, &cases[i].value, 1);
        const char *p = t.data;
        size_t len = t.len;
        assert_int_equal(pgsql_read(&r, &p, &len), PGSQL_READ_MESSAGE);
        assert_int_equal(pgsql_group_read(&r, group), cases[i].good);
        assert_string_equal(group, cases[i].good ? cases[i].value : "");
        text_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_real_server_says_is_understood),
        cmocka_unit_test(without_the_grant_a_standby_still_has_a_link),
        cmocka_unit_test(a_timeline_is_read_in_hex_from_a_wal_file),
        cmocka_unit_test(a_standby_names_the_timeline_that_it_gets),
        cmocka_unit_test(only_the_servers_own_setting_makes_it_read_only),
        cmocka_unit_test(a_link_runs_while_it_streams_and_is_applied),
        cmocka_unit_test(sources_are_written_as_addresses_are),
        cmocka_unit_test(a_quiet_primary_is_no_lag),
        cmocka_unit_test(a_standby_that_works_on_is_behind_by_what_it_has_not_reached),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_row_of_another_shape_is_refused),
        cmocka_unit_test(a_group_is_a_number),
    };
    return cmocka_run_group_tests_name("pgsql_role", tests, NULL, NULL);
}
