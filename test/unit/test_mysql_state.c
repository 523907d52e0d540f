/* Promise: what the servers' trackers tell of a session is known; what cannot be given again
 * elsewhere, or is in doubt, is a reason to stay. */
#include "mysql_state_talk.h"

static void the_collation_is_asked_after_the_charset_was_set(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct mysql_state other = tracked("");
    struct info i;
    begin(&i);
    add_variable(&i, "character_set_connection", "latin1");
    add_variable(&i, "character_set_results", "");
    add_variable(&i, "character_set_client", "gbk");
    add_changed(&i);
    tell(&s, &i);
    assert_int_equal(s.doubts, MYSQL_DOUBT_COLLATION);
    assert_int_equal(s.text, MYSQL_TEXT_WIDE);
    check_restore(&other, &s, NULL);
    check_restore(&s, &other,
                  "3 SET NAMES 'utf8mb4' COLLATE 'utf8mb4_general_ci',"
                  "character_set_client='utf8mb4',collation_connection='utf8mb4_general_ci'\n");
    tell_set(&s, "collation_connection", "latin1_bin");
    assert_int_equal(s.doubts, 0);
    check_restore(&other, &s,
                  "3 SET SESSION character_set_client='gbk',character_set_results=NULL,"
                  "collation_connection='latin1_bin'\n");
    begin(&i); /* both in one statement, in either order */
    add_variable(&i, "collation_connection", "utf8mb4_bin");
    add_variable(&i, "character_set_connection", "utf8mb4");
    add_changed(&i);
    tell(&s, &i);
    assert_int_equal(s.doubts, 0);
    mysql_state_free(&s);
    mysql_state_free(&other);
}

static void sql_mode_says_how_statements_are_read(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    tell_set(&s, "sql_mode", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES");
    assert_int_equal(s.text, MYSQL_TEXT_ANSI_QUOTES | MYSQL_TEXT_NO_BACKSLASH);
    tell_set(&s, "sql_mode", "");
    assert_int_equal(s.text, MYSQL_TEXT_USUAL);
    assert_int_equal(s.why, 0);
    mysql_state_free(&s);
}

/* Each of them alone keeps the session where it is. */
static void what_cannot_be_given_again_is_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        uint32_t why;
    } rows[] = {
        {"insert_id", "5", MYSQL_WHY_VARIABLE},
        {"timestamp", "5.000000", MYSQL_WHY_VARIABLE},
        {"sql_log_bin", "OFF", MYSQL_WHY_VARIABLE},
        {"gtid_next", "AUTOMATIC", MYSQL_WHY_VARIABLE},
        {"made_up", "1", MYSQL_WHY_VARIABLE},
        {"", "1", MYSQL_WHY_VARIABLE},
        {"time_zone", "a'b", MYSQL_WHY_VARIABLE},
        {"time_zone", "a\\", MYSQL_WHY_VARIABLE},
        {"time_zone", "a\"b", MYSQL_WHY_VARIABLE},
        {"time_zone", "\xbf'", MYSQL_WHY_VARIABLE},
        {"time_zone", "a\n", MYSQL_WHY_VARIABLE},
        {"time_zone", "", MYSQL_WHY_VARIABLE},
        {"sort_buffer_size", "1,x=2", MYSQL_WHY_VARIABLE},
        {"sort_buffer_size", "", MYSQL_WHY_VARIABLE},
        {"sort_buffer_size", "1-1", MYSQL_WHY_VARIABLE},
        {"sort_buffer_size", "(SELECT 1)", MYSQL_WHY_VARIABLE},
        {"last_insert_id", "x", MYSQL_WHY_BAD},
        {"session_track_schema", "OFF", MYSQL_WHY_TRACKERS},
        {"session_track_state_change", "OFF", MYSQL_WHY_TRACKERS},
        {"session_track_system_variables", "time_zone", MYSQL_WHY_TRACKERS},
        {"session_track_transaction_info", "STATE", MYSQL_WHY_TRACKERS},
        {"session_track_transaction_info", "CHARACTERISTICS", 0},
        {"session_track_system_variables", "*", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mysql_state s = tracked("");
        struct mysql_state other = tracked("");
        unsigned changes = tell_set(&s, rows[i].name, rows[i].value);
        assert_int_equal(s.why, rows[i].why);
        assert_int_equal((changes & MYSQL_CHANGE_WHY) != 0, rows[i].why != 0);
        assert_int_equal(mysql_state_same(&s, &other), rows[i].why == 0);
        check_restore(&other, &s, rows[i].why != 0 ? NULL : "");
        check_restore(&s, &other, rows[i].why != 0 ? NULL : "");
        mysql_state_free(&s);
        mysql_state_free(&other);
    }
}

static void a_value_that_holds_a_nul_is_not_repeated(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct info i;
    begin(&i);
    add_bytes(&i, "time_zone", "a\0b", 3);
    tell(&s, &i);
    assert_int_equal(s.why, MYSQL_WHY_VARIABLE);
    mysql_state_free(&s);
}

static void a_change_that_nothing_explains_is_a_reason(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct info i;
    begin(&i); /* SET time_zone = ...; SET @a = 1: two packets */
    add_variable(&i, "time_zone", "UTC");
    add_changed(&i);
    assert_int_equal(tell(&s, &i), MYSQL_CHANGE_VARIABLE);
    assert_int_equal(s.why, 0);
    add_variable(&i, "statement_id", "2");
    add_variable(&i, "last_gtid", "0-1-2");
    add_changed(&i);
    assert_true(tell(&s, &i) & MYSQL_CHANGE_WHY);
    assert_int_equal(s.why, MYSQL_WHY_OTHER);
    mysql_state_reset(&s, 0);
    assert_int_equal(s.why, 0);
    mysql_state_free(&s);
}

static void locks_and_the_next_transaction_are_reasons_for_a_while(void **state)
{
    (void)state;
    static const struct {
        unsigned type;
        const char *text;
        uint32_t why;
    } rows[] = {
        {5, "_______L", MYSQL_WHY_LOCKED},
        {5, "T_R_____", 0},
        {4, "SET TRANSACTION READ ONLY;", MYSQL_WHY_NEXT},
        {5, "_______L", MYSQL_WHY_NEXT | MYSQL_WHY_LOCKED},
        {4, "START TRANSACTION READ ONLY;", MYSQL_WHY_LOCKED},
        {5, "________", 0},
        {4, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION;", 0},
        {4, "", 0},
        {3, "x", 0},
    };
    struct mysql_state s = tracked("");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct info info;
        uint32_t before = s.why;
        begin(&info);
        add_one(&info, rows[i].type, rows[i].text);
        unsigned changes = tell(&s, &info);
        assert_int_equal(s.why, rows[i].why);
        assert_int_equal(changes, before != s.why ? MYSQL_CHANGE_WHY : 0);
    }
    mysql_state_free(&s);
}

static void what_is_malformed_or_unknown_is_a_reason(void **state)
{
    (void)state;
    struct info i;
    begin(&i);
    add_variable(&i, "time_zone", "UTC");
    add_one(&i, 1, "shop");
    add_changed(&i);
    for (size_t len = 1; len < i.w.len; len++) {
        struct mysql_state s = tracked("");
        void *copy = malloc(len);
        memcpy(copy, i.data, len);
        mysql_state_apply(&s, copy, len);
        free(copy);
        bool whole = len == 2 + 10 + 4 || len == 2 + 10 + 4 + 2 + 5;
        assert_int_equal(s.why, whole ? 0 : MYSQL_WHY_BAD);
        mysql_state_free(&s);
    }
    static const char *const bad[] = {"\6\1x", "\377\1x", "\0\1\1", "\1\2\3x", "\4\1\xfb"};
    for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
        struct mysql_state s = tracked("");
        mysql_state_apply(&s, bad[n], 2 + (size_t)bad[n][1]);
        assert_int_equal(s.why, MYSQL_WHY_BAD);
        mysql_state_free(&s);
    }
}

static void only_so_much_is_remembered(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    char value[2049];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    static const char *const names[] = {"optimizer_switch", "lc_messages", "lc_time_names",
                                        "explain_format", "completion_type"};
    for (size_t i = 0; i < 3; i++) {
        tell_set(&s, names[i], value);
        assert_int_equal(s.why, 0);
    }
    tell_set(&s, names[3], value);
    assert_int_equal(s.why, MYSQL_WHY_MANY);
    mysql_state_reset(&s, 0);
    char longer[2050];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    tell_set(&s, names[0], longer);
    assert_int_equal(s.why, MYSQL_WHY_VARIABLE);
    mysql_state_free(&s);
}

static struct mysql_reply *reply_of(uint32_t capabilities)
{
    struct mysql_reply *r = calloc(1, sizeof *r);
    r->capabilities = capabilities;
    r->status = MYSQL_STATUS_AUTOCOMMIT;
    return r;
}

#define FAILED (MYSQL_DOUBT_LATE | MYSQL_DOUBT_INSERT_ID)

static void replies_leave_doubts(void **state)
{
    (void)state;
    static const struct {
        uint32_t capabilities;
        bool failed;
        bool has_rows;
        bool changed;
        uint64_t insert_id;
        uint8_t doubts;
        uint8_t of_mysql;
    } rows[] = {
        {DEPRECATE_EOF, false, true, false, 0, 0, 0},
        {0, false, true, false, 0, 0, MYSQL_DOUBT_LATE},
        {0, false, true, true, 0, MYSQL_DOUBT_LATE, MYSQL_DOUBT_LATE},
        {0, false, false, false, 5, MYSQL_DOUBT_INSERT_ID, MYSQL_DOUBT_INSERT_ID},
        {DEPRECATE_EOF, true, false, false, 0, FAILED, FAILED},
        {0, true, true, false, 0, FAILED, FAILED},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        struct mysql_state s = tracked("");
        bool mariadb = i < ARRAY_LEN(rows);
        size_t at = i % ARRAY_LEN(rows);
        struct mysql_reply *r = reply_of(rows[at].capabilities);
        r->failed = rows[at].failed;
        r->has_rows = rows[at].has_rows;
        r->changed = rows[at].changed;
        r->insert_id = rows[at].insert_id;
        mysql_state_reply(&s, r, mariadb);
        assert_int_equal(s.doubts, mariadb ? rows[at].doubts : rows[at].of_mysql);
        assert_int_equal(s.why, 0);
        free(r);
        mysql_state_free(&s);
    }
}

/* MariaDB keeps news back until it has others. */
static void an_ok_without_news_leaves_open_what_came_before(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct mysql_reply *r = reply_of(0);
    r->has_rows = r->changed = true;
    mysql_state_reply(&s, r, true);
    r->has_rows = r->changed = false;
    mysql_state_reply(&s, r, true);
    assert_int_equal(s.doubts, MYSQL_DOUBT_LATE);
    memcpy(r->state, "\1\2\1x", 4);
    r->state_len = 4;
    mysql_state_reply(&s, r, true);
    assert_int_equal(s.doubts, 0);
    assert_string_equal(s.database, "x");
    r->has_rows = true;
    mysql_state_reply(&s, r, false);
    assert_int_equal(s.doubts, MYSQL_DOUBT_LATE);
    r->has_rows = false;
    r->state_len = 0; /* MySQL has told everything */
    mysql_state_reply(&s, r, false);
    assert_int_equal(s.doubts, 0);
    free(r);
    mysql_state_free(&s);
}

static void the_answer_to_the_question_settles_all_doubts(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct mysql_state other = tracked("");
    struct mysql_reply *r = reply_of(DEPRECATE_EOF);
    r->failed = true;
    mysql_state_reply(&s, r, true);
    check_restore(&s, &other, NULL);
    r->failed = false;
    struct info i;
    begin(&i);
    add_variable(&i, "collation_connection", "utf8mb4_bin");
    add_variable(&i, "last_insert_id", "5");
    add_changed(&i);
    memcpy(r->state, i.data, i.w.len);
    r->state_len = (uint32_t)i.w.len;
    assert_int_equal(mysql_state_reply(&s, r, true), MYSQL_CHANGE_VARIABLE);
    assert_int_equal(s.doubts, 0);
    check_restore(&other, &s,
                  "3 SET SESSION collation_connection='utf8mb4_bin',last_insert_id=5\n");
    r->cut = true;
    assert_true(mysql_state_reply(&s, r, true) & MYSQL_CHANGE_WHY);
    assert_int_equal(s.why, MYSQL_WHY_BAD);
    free(r);
    mysql_state_free(&s);
    mysql_state_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_collation_is_asked_after_the_charset_was_set),
        cmocka_unit_test(sql_mode_says_how_statements_are_read),
        cmocka_unit_test(what_cannot_be_given_again_is_a_reason),
        cmocka_unit_test(a_value_that_holds_a_nul_is_not_repeated),
        cmocka_unit_test(a_change_that_nothing_explains_is_a_reason),
        cmocka_unit_test(locks_and_the_next_transaction_are_reasons_for_a_while),
        cmocka_unit_test(what_is_malformed_or_unknown_is_a_reason),
        cmocka_unit_test(only_so_much_is_remembered),
        cmocka_unit_test(replies_leave_doubts),
        cmocka_unit_test(an_ok_without_news_leaves_open_what_came_before),
        cmocka_unit_test(the_answer_to_the_question_settles_all_doubts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
