/* Promise: what a session has set is given again to another connection, byte for byte and nothing
 * else. */
#include "mysql_state_talk.h"

#define TRACKERS                                                                                   \
    "SESSION session_track_system_variables='*',session_track_schema=ON,"                          \
    "session_track_state_change=ON,session_track_transaction_info='CHARACTERISTICS'"

static void the_trackers_are_switched_on_and_asked(void **state)
{
    (void)state;
    struct sent *x = malloc(sizeof *x);
    begin_sent(x);
    mysql_state_track(&x->w, QUERY_ATTRIBUTES, "latin1_bin");
    mysql_state_track(&x->w, QUERY_ATTRIBUTES, NULL);
    mysql_state_look(&x->w, QUERY_ATTRIBUTES);
    mysql_state_ask(&x->w, QUERY_ATTRIBUTES);
    assert_int_equal(read_sent(x, true), 4);
    assert_string_equal(
        x->text, "3 SET NAMES 'latin1' COLLATE 'latin1_bin'," TRACKERS
                 ",last_insert_id=LAST_INSERT_ID(),character_set_client='latin1',"
                 "collation_connection='latin1_bin',sql_mode=@@sql_mode,time_zone=@@time_zone\n"
                 "3 SET " TRACKERS ",character_set_client=@@character_set_client,"
                 "last_insert_id=LAST_INSERT_ID(),collation_connection=@@collation_connection,"
                 "sql_mode=@@sql_mode,time_zone=@@time_zone\n"
                 "3 SELECT _latin1'' LIMIT 0\n"
                 "3 SET SESSION last_insert_id=LAST_INSERT_ID(),"
                 "collation_connection=@@collation_connection\n");
    free(x);
}

static void a_new_session_is_not_known_until_the_server_has_told(void **state)
{
    (void)state;
    struct mysql_state s = {0};
    assert_true(mysql_state_begin(&s, "shop", 4, 45));
    assert_int_equal(s.doubts, MYSQL_DOUBT_COLLATION | MYSQL_DOUBT_RESULTS);
    assert_int_equal(s.text, MYSQL_TEXT_UNSURE | MYSQL_TEXT_WIDE);
    struct mysql_state other = tracked("shop");
    assert_false(mysql_state_same(&s, &other));
    check_restore(&other, &s, NULL);
    tell_tracked(&s);
    assert_int_equal(s.text, MYSQL_TEXT_USUAL);
    assert_true(mysql_state_same(&s, &other));
    check_restore(&other, &s, "");
    mysql_state_free(&s);
    mysql_state_free(&other);
}

static void settings_are_given_and_taken_back(void **state)
{
    (void)state;
    struct mysql_state a = tracked("");
    struct mysql_state b = tracked("");
    assert_int_equal(tell_set(&a, "time_zone", "+01:00"), MYSQL_CHANGE_VARIABLE);
    assert_int_equal(tell_set(&a, "foreign_key_checks", "OFF"), MYSQL_CHANGE_VARIABLE);
    assert_int_equal(tell_set(&a, "MAX_statement_time", "1.500000"), MYSQL_CHANGE_VARIABLE);
    assert_int_equal(a.why, 0);
    assert_false(mysql_state_same(&a, &b));
    check_restore(&b, &a,
                  "3 SET SESSION foreign_key_checks='OFF',max_statement_time=1.500000,"
                  "time_zone='+01:00'\n");
    check_restore(&a, &b,
                  "3 SET SESSION foreign_key_checks=@@GLOBAL.foreign_key_checks,"
                  "max_statement_time=@@GLOBAL.max_statement_time,time_zone='SYSTEM'\n");
    tell_set(&b, "max_statement_time", "1.500000");
    tell_set(&b, "time_zone", "+01:00");
    tell_set(&b, "foreign_key_checks", "OFF");
    assert_true(mysql_state_same(&a, &b));
    check_restore(&a, &b, "");
    tell_set(&b, "time_zone", "SYSTEM");
    tell_set(&b, "time_zone", "+01:00");
    assert_true(mysql_state_same(&a, &b));
    mysql_state_free(&a);
    mysql_state_free(&b);
}

static void the_database_is_given_again_and_cannot_be_taken(void **state)
{
    (void)state;
    struct mysql_state none = tracked("");
    struct mysql_state shop = tracked("shop");
    struct info i;
    begin(&i);
    add_one(&i, 1, "a`b;c");
    add_changed(&i);
    assert_int_equal(tell(&shop, &i), MYSQL_CHANGE_SCHEMA);
    assert_int_equal(shop.why, 0);
    check_restore(&none, &shop, "2 a`b;c\n");
    check_restore(&shop, &none, NULL);
    begin(&i);
    add_one(&i, 1, ""); /* DROP DATABASE */
    tell(&shop, &i);
    assert_null(shop.database);
    assert_true(mysql_state_same(&shop, &none));
    mysql_state_free(&none);
    mysql_state_free(&shop);
}

static void a_reset_connection_gets_trackers_and_everything(void **state)
{
    (void)state;
    struct mysql_state connection = tracked("shop");
    struct mysql_state session = tracked("other");
    tell_set(&connection, "autocommit", "ON");
    tell_set(&session, "last_insert_id", "77");
    mysql_state_reset(&connection, 0);
    assert_string_equal(connection.database, "shop");
    assert_int_equal(connection.count, 0);
    check_restore(&connection, &session,
                  "2 other\n"
                  "3 SET SESSION session_track_system_variables='*',session_track_schema=ON,"
                  "session_track_state_change=ON,session_track_transaction_info='CHARACTERISTICS',"
                  "NAMES 'utf8mb4' COLLATE 'utf8mb4_general_ci',character_set_client='utf8mb4',"
                  "collation_connection='utf8mb4_general_ci',sql_mode='STRICT_TRANS_TABLES',"
                  "time_zone='SYSTEM',last_insert_id=77\n");
    mysql_state_free(&connection);
    mysql_state_free(&session);
}

static void a_reset_connection_has_forgotten_the_charset_of_its_database(void **state)
{
    (void)state;
    struct mysql_state connection = tracked("shop");
    struct mysql_state session = tracked("shop");
    assert_true(mysql_state_same(&connection, &session));
    mysql_state_reset(&connection, 45);
    tell_tracked(&connection);
    assert_false(mysql_state_same(&connection, &session));
    assert_true(mysql_state_same(&session, &connection));
    check_restore(&connection, &session, "2 shop\n");
    check_restore(&session, &connection, "");
    check_restore(&connection, &connection, "");
    struct info i;
    begin(&i);
    add_one(&i, 1, "shop");
    tell(&connection, &i);
    assert_true(mysql_state_same(&connection, &session));
    mysql_state_free(&connection);
    mysql_state_free(&session);
}

static void the_last_insert_id_is_given_again(void **state)
{
    (void)state;
    struct mysql_state a = tracked("");
    struct mysql_state b = tracked("");
    tell_set(&a, "last_insert_id", "18446744073709551615");
    assert_false(mysql_state_same(&a, &b));
    check_restore(&b, &a, "3 SET SESSION last_insert_id=18446744073709551615\n");
    check_restore(&a, &b, "3 SET SESSION last_insert_id=0\n");
    tell_set(&a, "identity", "0");
    assert_true(mysql_state_same(&a, &b));
    mysql_state_said(&a, MYSQL_SAYS_SET);
    assert_int_equal(a.doubts, 0);
    mysql_state_said(&a, MYSQL_SAYS_LAST_INSERT_ID);
    assert_int_equal(a.doubts, MYSQL_DOUBT_INSERT_ID);
    check_restore(&b, &a, NULL);
    check_restore(&a, &b, "3 SET SESSION last_insert_id=0\n");
    mysql_state_free(&a);
    mysql_state_free(&b);
}

static void a_name_that_is_an_alias_replaces_the_other(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct mysql_state other = tracked("");
    tell_set(&s, "transaction_isolation", "SERIALIZABLE");
    tell_set(&s, "tx_isolation", "READ-COMMITTED");
    check_restore(&other, &s, "3 SET SESSION tx_isolation='READ-COMMITTED'\n");
    tell_set(&s, "transaction_isolation", "SERIALIZABLE");
    check_restore(&other, &s, "3 SET SESSION transaction_isolation='SERIALIZABLE'\n");
    mysql_state_free(&s);
    mysql_state_free(&other);
}

static void a_copy_is_a_state_of_its_own(void **state)
{
    (void)state;
    struct mysql_state s = tracked("shop");
    struct mysql_state copy = tracked("other");
    assert_true(mysql_state_copy(&copy, &s));
    assert_true(mysql_state_same(&copy, &s));
    tell_set(&copy, "lc_time_names", "de_DE");
    assert_false(mysql_state_same(&copy, &s));
    check_restore(&s, &copy, "3 SET SESSION lc_time_names='de_DE'\n");
    mysql_state_free(&s);
    assert_string_equal(copy.database, "shop");
    assert_true(mysql_state_copy(&s, &copy));
    assert_true(mysql_state_same(&copy, &s));
    mysql_state_free(&copy);
    mysql_state_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trackers_are_switched_on_and_asked),
        cmocka_unit_test(a_new_session_is_not_known_until_the_server_has_told),
        cmocka_unit_test(settings_are_given_and_taken_back),
        cmocka_unit_test(the_database_is_given_again_and_cannot_be_taken),
        cmocka_unit_test(a_reset_connection_gets_trackers_and_everything),
        cmocka_unit_test(a_reset_connection_has_forgotten_the_charset_of_its_database),
        cmocka_unit_test(the_last_insert_id_is_given_again),
        cmocka_unit_test(a_name_that_is_an_alias_replaces_the_other),
        cmocka_unit_test(a_copy_is_a_state_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
