/* Promise: where a server's replies end, and what they say of the session, is found wherever the
 * bytes are cut; what is no answer to the command is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "mysql_replies.h"

/* A result set of two rows up to its last packet. */
static void rows(struct talk *t, bool eof)
{
    SAY(t, "\2");
    define(t, 2);
    if (eof) {
        EOF_OF(t);
    }
    SAY(t, "\1"
           "1\1"
           "2");
    SAY(t, "\xfb\0");
}

/* Statements ------------------------------------------------------------------------------------
 */

static void an_ok_or_an_error_is_the_whole_reply(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\0\3\xfc\x10\x27\3\0\5\0words");
    again(t);
    ERR(t);
    again(t);
    OK(t);
    CHECK(t, OLD, "18: 0003 3+10000 w5\n44: 0003 0+0 w0 error 1064\n55: 0002 0+0 w0\n", QUERY,
          QUERY, PING);
    CHECK(t, NEW | TRACK, "18: 0003 3+10000 w5\n44: 0003 0+0 w0 error 1064\n55: 0002 0+0 w0\n",
          EXECUTE, PREPARE, MYSQL_COM_INIT_DB);
    free(t);
}

static void rows_end_with_an_eof(void **state)
{
    (void)state;
    struct talk *t = talk();
    rows(t, true);
    SAY(t, "\xfe\1\0\x21\0");
    again(t);
    OK(t);
    CHECK(t, OLD, "91: 0021 0+0 w1 rows\n102: 0002 0+0 w0\n", QUERY, QUERY);
    CHECK(t, NEW, "68: 0002 0+0 w0 rows\nbad\n", QUERY, QUERY);
    free(t);
}

static void rows_end_with_an_ok_in_its_place(void **state)
{
    (void)state;
    struct talk *t = talk();
    rows(t, false);
    SAY(t, "\xfe\0\0\x21\0\1\0");
    again(t);
    OK(t);
    CHECK(t, NEW, "84: 0021 0+0 w1 rows\n95: 0002 0+0 w0\n", QUERY, EXECUTE);
    free(t);
}

static void results_follow_each_other(void **state)
{
    (void)state;
    struct talk *t = talk();
    rows(t, true);
    SAY(t, "\xfe\0\0\x0a\0");
    SAY(t, "\0\1\7\x0a\0\0\0");
    rows(t, true);
    SAY(t, "\xfe\0\0\x0a\0");
    SAY(t, "\0\0\0\2\0\3\0");
    CHECK(t, OLD, "204: 0002 0+7 w3 rows\n", QUERY);
    t->len -= 11;
    t->sequence--;
    ERR(t);
    CHECK(t, OLD, "219: 000a 1+7 w0 error 1064 rows\n", EXECUTE);
    free(t);
}

static void an_error_ends_it_anywhere(void **state)
{
    (void)state;
    for (int where = 0; where < 4; where++) {
        struct talk *t = talk();
        SAY(t, "\2");
        define(t, where < 2 ? (size_t)where : 2);
        if (where > 1) {
            EOF_OF(t);
        }
        if (where > 2) {
            SAY(t, "\1"
                   "1\1"
                   "2");
        }
        SAY(t, "\xff\x25\x05#70100interrupted");
        size_t len = t->len;
        again(t);
        OK(t);
        char expected[200];
        snprintf(expected, sizeof expected, "%zu: %s 0+0 w0 error 1317 rows\n%zu: 0002 0+0 w0\n",
                 len, where > 1 ? "0002" : "0000", t->len);
        CHECK(t, OLD, expected, QUERY, PING);
        free(t);
    }
}

static void a_cursor_is_fetched_from(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\2");
    define(t, 2);
    SAY(t, "\xfe\0\0\x42\0");
    again(t);
    SAY(t, "\0\0\1"
           "1\1"
           "2");
    SAY(t, "\xfe\0\0\x42\0");
    again(t);
    SAY(t, "\xfe\0\0\x82\0");
    CHECK(t, OLD, "68: 0042 0+0 w0 rows\n87: 0042 0+0 w0\n96: 0082 0+0 w0\n", EXECUTE, FETCH,
          FETCH);
    anew(t);
    SAY(t, "\2");
    define(t, 2);
    SAY(t, "\xfe\0\0\x42\0\0\0");
    again(t);
    SAY(t, "\0\0\1"
           "1\1"
           "2");
    SAY(t, "\xfe\0\0\x82\0\0\0");
    CHECK(t, NEW, "70: 0042 0+0 w0 rows\n91: 0082 0+0 w0\n", EXECUTE, FETCH);
    free(t);
}

/* Measured: MySQL 9.7 says so of SELECT ... WHERE id = f() where f() has a cursor of its own, and
 * both say so of a procedure's results. */
static void nothing_is_fetched_from_a_cursor_that_nobody_asked_for(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\1");
    define(t, 1);
    SAY(t, "\xfe\0\0\x42\0");
    SAY(t, "\0\0\1\0\0\0");
    SAY(t, "\xfe\0\0\x42\0");
    CHECK(t, OLD, "60: 0042 0+0 w0 rows\n", MYSQL_COM_EXECUTE_AT_ONCE);
    CHECK(t, OLD, "60: 0042 0+0 w0 rows\n", QUERY);
    CHECK(t, OLD, "41: 0042 0+0 w0 rows\nbad\n", EXECUTE, PING);
    anew(t);
    SAY(t, "\1");
    define(t, 1);
    SAY(t, "\xfe\0\0\x4a\0");
    SAY(t, "\0\0\1\0\0\0");
    SAY(t, "\xfe\0\0\x4a\0");
    OK(t);
    CHECK(t, OLD, "71: 0002 0+0 w0 rows\n", EXECUTE);
    free(t);
}

/* Measured: without DEPRECATE_EOF, MySQL 9.7 says only behind the definitions that more follows. */
static void an_ok_follows_a_procedures_out_parameters(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\1");
    define(t, 1);
    SAY(t, "\xfe\0\0\x0a\x10");
    SAY(t, "\0\0\6\0\0\0");
    EOF_OF(t);
    OK(t);
    again(t);
    OK(t);
    CHECK(t, OLD, "71: 0002 0+0 w0 rows\n82: 0002 0+0 w0\n", MYSQL_COM_EXECUTE_AT_ONCE, PING);
    free(t);
}

static void a_file_is_asked_for(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\xfb/some/file");
    t->sequence = 9;
    SAY(t, "\0\7\0\2\0\1\0");
    CHECK(t, FILES, "file\n26: 0002 7+0 w1\n", QUERY);
    CHECK(t, OLD, "bad\n", QUERY);
    CHECK(t, FILES, "bad\n", MYSQL_COM_PROCESS_INFO);
    free(t);
}

/* Others ----------------------------------------------------------------------------------------
 */

static void prepare(struct talk *t, char columns, char params, bool eof)
{
    const char ok[] = {0, 5, 0, 0, 0, columns, 0, params, 0, 0, 1, 0};
    say_packet(t, ok, sizeof ok);
    define(t, (size_t)params);
    if (eof && params > 0) {
        EOF_OF(t);
    }
    define(t, (size_t)columns);
    if (eof && columns > 0) {
        EOF_OF(t);
    }
}

static void a_prepared_statement_has_its_definitions(void **state)
{
    (void)state;
    for (char columns = 0; columns < 3; columns++) {
        for (char params = 0; params < 3; params++) {
            struct talk *t = talk();
            char expected[200];
            bool eofs = columns + params > 0;
            prepare(t, columns, params, true);
            snprintf(expected, sizeof expected, "%zu: %s\n%zu: 0002 0+0 w0\n", t->len,
                     eofs ? "0002 0+0 w0" : "0000 0+0 w1", t->len + 11);
            again(t);
            OK(t);
            CHECK(t, OLD, expected, PREPARE, PING);
            anew(t);
            prepare(t, columns, params, false);
            snprintf(expected, sizeof expected, "%zu: 0000 0+0 w1\n%zu: 0002 0+0 w0\n", t->len,
                     t->len + 11);
            again(t);
            OK(t);
            CHECK(t, NEW, expected, PREPARE, PING);
            free(t);
        }
    }
}

static void fields_are_listed_up_to_an_eof(void **state)
{
    (void)state;
    struct talk *t = talk();
    define(t, 300); /* more than there are sequence numbers */
    EOF_OF(t);
    again(t);
    OK(t);
    CHECK(t, OLD, "8109: 0002 0+0 w0\n8120: 0002 0+0 w0\n", MYSQL_COM_FIELD_LIST, PING);
    free(t);
}

static void statistics_are_one_packet(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "Uptime: 1");
    again(t);
    ERR(t);
    CHECK(t, OLD, "13: 0000 0+0 w0\n39: 0000 0+0 w0 error 1064\n", MYSQL_COM_STATISTICS,
          MYSQL_COM_STATISTICS);
    free(t);
}

static void simple_ones_end_with_an_ok_or_an_eof(void **state)
{
    (void)state;
    struct talk *t = talk();
    EOF_OF(t);
    again(t);
    SAY(t, "\xfe\0\0\3\0\0\0");
    again(t);
    OK(t);
    CHECK(t, NEW, "9: 0002 0+0 w0\n20: 0003 0+0 w0\n31: 0002 0+0 w0\n", MYSQL_COM_DEBUG,
          MYSQL_COM_SET_OPTION, MYSQL_COM_RESET_CONNECTION);
    free(t);
}

/* Whatever a status says that is another statement's. */
static void only_statements_have_many_results(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\xfe\0\0\x0a\0");
    again(t);
    SAY(t, "\0\0\0\x0a\0\0\0");
    CHECK(t, OLD, "9: 000a 0+0 w0\n20: 000a 0+0 w0\n", FETCH, PING);
    CHECK(t, OLD, "9: 000a 0+0 w0\n20: 000a 0+0 w0\n", MYSQL_COM_FIELD_LIST, MYSQL_COM_STMT_RESET);
    free(t);
}

static void nobody_knows_where_some_end(void **state)
{
    (void)state;
    struct talk *t = talk();
    OK(t);
    t->sequence = 7;
    EOF_OF(t);
    SAY(t, "");
    CHECK(t, OLD, "more\n", MYSQL_COM_BINLOG_DUMP);
    CHECK(t, OLD, "more\n", 0xaa);
    ERR(t);
    CHECK(t, OLD, "50: 0000 0+0 w0 error 1064\n", MYSQL_COM_BINLOG_DUMP_GTID);
    free(t);
    struct mysql_reply r = {0};
    for (unsigned code = 0; code < 256; code++) {
        if (mysql_command_is_answered((uint8_t)code)) {
            bool known = code <= 0x1f || code == 0xf9 || code == 0xfa;
            mysql_reply_begin(&r, 0, (uint8_t)code);
            assert_true(known || r.endless);
        }
    }
}

static void a_login_goes_on_up_to_its_ok(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\xfemysql_native_password\0"
           "12345678901234567890");
    t->sequence++;
    SAY(t, "\1\4");
    t->sequence++;
    OK(t);
    CHECK(t, NEW, "64: 0002 0+0 w0\n", MYSQL_COM_CHANGE_USER);
    free(t);
}

/* State -----------------------------------------------------------------------------------------
 */

static void changes_of_state_are_kept(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\0\0\0\x0a\x40\0\0\0\5\1\3\2ab");
    SAY(t, "\0\0\0\x02\x40\0\0\3abc\4\2\2\1x");
    CHECK(t, TRACK, "38: 4002 0+0 w0 \1\3\2ab\2\2\1x\n", QUERY);
    anew(t);
    SAY(t, "\0\0\0\x02\x40\0\0\0\x9\2\2");
    CHECK(t, TRACK, "15: 4002 0+0 w0 cut\n", QUERY);
    CHECK(t, OLD, "15: 4002 0+0 w0\n", QUERY);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ok_or_an_error_is_the_whole_reply),
        cmocka_unit_test(rows_end_with_an_eof),
        cmocka_unit_test(rows_end_with_an_ok_in_its_place),
        cmocka_unit_test(results_follow_each_other),
        cmocka_unit_test(an_error_ends_it_anywhere),
        cmocka_unit_test(a_cursor_is_fetched_from),
        cmocka_unit_test(nothing_is_fetched_from_a_cursor_that_nobody_asked_for),
        cmocka_unit_test(an_ok_follows_a_procedures_out_parameters),
        cmocka_unit_test(a_file_is_asked_for),
        cmocka_unit_test(a_prepared_statement_has_its_definitions),
        cmocka_unit_test(fields_are_listed_up_to_an_eof),
        cmocka_unit_test(statistics_are_one_packet),
        cmocka_unit_test(simple_ones_end_with_an_ok_or_an_eof),
        cmocka_unit_test(only_statements_have_many_results),
        cmocka_unit_test(nobody_knows_where_some_end),
        cmocka_unit_test(a_login_goes_on_up_to_its_ok),
        cmocka_unit_test(changes_of_state_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
