/* Promise: the collation that a session's results are told in is known from its login or from a
 * column's definition, given again by its name, and never guessed. */
#include "mysql_state_talk.h"

#define GENERAL "utf8mb4_general_ci"
#define NAMES                                                                                      \
    "3 SET NAMES 'utf8mb4' COLLATE '" GENERAL "',character_set_client='utf8mb4',"                  \
    "collation_connection='" GENERAL "'\n"

/* The reply to mysql_state_look(), whose column is of this charset; in every split. */
static struct mysql_reply definition(uint16_t charset, bool extended)
{
    unsigned char bytes[] = "\1\0\0\1\1"
                            "\x20\0\0\2\3def\0\0\0\4some\0\5\0\3arg\x0c\0\0\0\0\0\0\xfd\0\0\x1f\0\0"
                            "\7\0\0\3\xfe\0\0\2\0\0\0";
    unsigned char plain[] = "\1\0\0\1\1"
                            "\x16\0\0\2\3def\0\0\0\0\0\x0c\0\0\0\0\0\0\xfd\0\0\x1f\0\0"
                            "\7\0\0\3\xfe\0\0\2\0\0\0";
    unsigned char *p = extended ? bytes : plain;
    size_t len = (extended ? sizeof bytes : sizeof plain) - 1;
    size_t at = extended ? 29 : 19;
    assert_int_equal(p[at - 1], 0x0c);
    p[at] = (unsigned char)charset;
    p[at + 1] = (unsigned char)(charset >> 8);
    struct mysql_reply r = {0};
    for (size_t cut = 0; cut < len; cut++) {
        mysql_reply_begin(&r, 1U << 24, 3);
        mysql_reply_want_charset(&r);
        size_t used = 0;
        if (cut > 0) {
            assert_int_equal(mysql_reply_look(&r, (char *)p, cut, &used), MYSQL_REPLY_MORE);
        }
        assert_int_equal(mysql_reply_look(&r, (char *)p + cut, len - cut, &used), MYSQL_REPLY_END);
        assert_int_equal(r.charset, charset);
    }
    return r;
}

static struct mysql_state logged_in(uint16_t charset, const char *told)
{
    struct mysql_state s = {0};
    struct info i;
    assert_true(mysql_state_begin(&s, "", 0, charset));
    begin(&i);
    add_variable(&i, "session_track_system_variables", "*");
    add_variable(&i, "character_set_client", "utf8mb4");
    add_variable(&i, "collation_connection", told);
    add_changed(&i);
    tell(&s, &i);
    return s;
}

static void what_the_server_took_of_a_login_is_known(void **state)
{
    (void)state;
    static const struct {
        uint16_t charset;
        const char *told;
        bool known;
    } rows[] = {
        {45, GENERAL, true},
        {45, "utf8mb4_bin", false}, /* it takes no charset of clients */
        {255, "latin1_swedish_ci", false},
        {33, "utf8_general_ci", true},
        {33, "utf8mb3_general_ci", true},
        {33, "utf8mb3_bin", false},
        {0, GENERAL, false},
        {63, "binary", true},
        {35, "ucs2_general_ci", false}, /* nobody may speak it */
        {65535, GENERAL, false},
    };
    for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
        struct mysql_state s = logged_in(rows[n].charset, rows[n].told);
        assert_int_equal(s.doubts, rows[n].known ? 0 : MYSQL_DOUBT_RESULTS);
        mysql_state_free(&s);
    }
}

static void a_definition_tells_what_nothing_else_does(void **state)
{
    (void)state;
    struct mysql_state other = tracked("");
    for (int extended = 0; extended < 2; extended++) {
        struct mysql_reply r = definition(224, extended);
        struct mysql_state s = tracked("");
        assert_int_equal(tell_set(&s, "character_set_results", "utf8mb4"), MYSQL_CHANGE_VARIABLE);
        assert_int_equal(s.doubts, MYSQL_DOUBT_RESULTS);
        check_restore(&other, &s, NULL);
        check_restore(&s, &other, NAMES);
        mysql_state_looked(&s, &r);
        assert_int_equal(s.doubts, 0);
        assert_int_equal(s.why, 0);
        check_restore(&other, &s,
                      "3 SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci',"
                      "character_set_client='utf8mb4',collation_connection='" GENERAL "'\n");
        check_restore(&s, &other, NAMES);
        mysql_state_free(&s);
    }
    mysql_state_free(&other);
}

static void what_has_no_name_here_stays(void **state)
{
    (void)state;
    static const uint16_t unknown[] = {35, 213, 2304, 33, 65535};
    for (size_t n = 0; n < ARRAY_LEN(unknown); n++) {
        struct mysql_reply r = definition(unknown[n], false);
        struct mysql_state s = tracked("");
        tell_set(&s, "character_set_results", "x");
        mysql_state_looked(&s, &r);
        assert_int_equal(s.why, MYSQL_WHY_VARIABLE);
        mysql_state_free(&s);
    }
    struct mysql_state s = logged_in(0, "utf8_general_ci"); /* but as it is called there */
    struct mysql_reply r = definition(33, false);
    mysql_state_looked(&s, &r);
    assert_int_equal(s.why | s.doubts, 0);
    r.failed = true;
    mysql_state_looked(&s, &r); /* nothing was to be known */
    assert_int_equal(s.why | s.doubts, 0);
    tell_set(&s, "character_set_results", "x");
    mysql_state_looked(&s, &r);
    assert_int_equal(s.why, MYSQL_WHY_VARIABLE);
    mysql_state_free(&s);
}

static void results_as_they_are_have_no_collation(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct mysql_state other = tracked("");
    tell_set(&s, "character_set_results", "");
    assert_int_equal(s.doubts, 0);
    check_restore(&other, &s, "3 SET SESSION character_set_results=NULL\n");
    check_restore(&s, &other, NAMES);
    mysql_state_free(&s);
    mysql_state_free(&other);
}

static void what_was_restored_is_not_in_doubt(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct mysql_reply r = {.status = 2, .capabilities = 1U << 24};
    struct info i;
    begin(&i);
    add_variable(&i, "character_set_client", "utf8mb4");
    add_variable(&i, "character_set_connection", "utf8mb4");
    add_variable(&i, "character_set_results", "utf8mb4");
    add_variable(&i, "collation_connection", GENERAL);
    add_changed(&i);
    memcpy(r.state, i.data, i.w.len);
    r.state_len = (uint32_t)i.w.len;
    uint64_t hash = s.hash;
    mysql_state_restored(&s, &r, false);
    assert_int_equal(s.doubts, 0);
    assert_true(s.hash == hash);
    mysql_state_reply(&s, &r, false);
    assert_int_equal(s.doubts, MYSQL_DOUBT_RESULTS);
    mysql_state_free(&s);
}

static void the_patient_wait_for_as_long_as_they_may(void **state)
{
    (void)state;
    struct mysql_state s = tracked("");
    struct mysql_state other = tracked("");
    tell_set(&s, "wait_timeout", "5");
    for (int patient = 0; patient < 2; patient++) {
        struct sent *x = malloc(sizeof *x);
        begin_sent(x);
        assert_int_equal(
            mysql_state_restore(&x->w, &s, &other, patient ? MYSQL_CAP_INTERACTIVE : 0), 1);
        read_sent(x, false);
        assert_string_equal(x->text, patient
                                         ? "3 SET SESSION wait_timeout="
                                           "@@GLOBAL.interactive_timeout\n"
                                         : "3 SET SESSION wait_timeout=@@GLOBAL.wait_timeout\n");
        free(x);
    }
    mysql_state_free(&s);
    mysql_state_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_took_of_a_login_is_known),
        cmocka_unit_test(a_definition_tells_what_nothing_else_does),
        cmocka_unit_test(what_has_no_name_here_stays),
        cmocka_unit_test(results_as_they_are_have_no_collation),
        cmocka_unit_test(what_was_restored_is_not_in_doubt),
        cmocka_unit_test(the_patient_wait_for_as_long_as_they_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
