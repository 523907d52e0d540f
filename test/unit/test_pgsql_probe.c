/* The dialogue with a PostgreSQL server, fed with what real ones say and with what lying ones may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "pgsql_talk.h"

static void a_primary_is_seen_whatever_the_pieces(void **state)
{
    (void)state;
    struct bytes all = BYTES(GREETING GROUP PRIMARY);
    struct talk whole = talk_new(&account);
    feed(&whole, all);
    assert_int_equal(whole.step, PROBE_STEP_DONE);
    assert_int_equal(whole.seen.reach, REACH_ANSWERED);
    assert_int_equal(whole.seen.part, PART_SOURCE);
    assert_true(whole.seen.writable);
    assert_int_equal(whole.seen.channel_count, 0);
    assert_int_equal(whole.seen.term, 1);
    assert_int_equal(whole.seen.position, 50590200);
    assert_int_equal(whole.seen.behind_ms, -1);
    assert_string_equal(whole.seen.identity, "1795263977842986");
    assert_string_equal(whole.seen.group, "7710600071067284406");
    assert_string_equal(whole.seen.id, "");
    assert_string_equal(whole.seen.why, "");
    assert_int_equal(whole.seen.failures, 3);
    assert_int_equal(whole.seen.asked, 5);
    for (size_t cut = 1; cut < all.len; cut++) {
        struct talk parts = talk_new(&account);
        feed(&parts, (struct bytes){all.p, cut});
        assert_int_equal(parts.step, PROBE_STEP_READ);
        feed(&parts, (struct bytes){all.p + cut, all.len - cut});
        assert_int_equal(parts.step, PROBE_STEP_DONE);
        assert_true(same_role(&whole.seen, &parts.seen));
        assert_int_equal(parts.sent.len, whole.sent.len);
        talk_free(&parts);
    }
    struct talk bytes = talk_new(&account);
    feed_pieces(&bytes, all, 1);
    assert_int_equal(bytes.step, PROBE_STEP_DONE);
    assert_true(same_role(&whole.seen, &bytes.seen));
    talk_free(&bytes);
    talk_free(&whole);
}

static void a_server_that_stops_anywhere_is_waited_for(void **state)
{
    (void)state;
    struct bytes all = BYTES(GREETING GROUP STANDBY);
    for (size_t cut = 0; cut < all.len; cut++) {
        struct talk t = talk_new(&account);
        feed_pieces(&t, (struct bytes){all.p, cut}, 100);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_int_equal(t.seen.reach, REACH_UNASKED);
        talk_free(&t);
    }
}

static void a_kept_connection_is_asked_for_the_role_only(void **state)
{
    (void)state;
    struct talk t = talk_new(&account);
    feed(&t, BYTES(GREETING));
    assert_true(asked_for_group(&t) && asked_for_role(&t));
    feed(&t, BYTES(GROUP PRIMARY));
    start(&t, &account, false);
    assert_true(asked_for_role(&t) && !asked_for_group(&t));
    feed(&t, BYTES(STANDBY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    assert_int_equal(t.seen.channel_count, 1);
    assert_string_equal(t.seen.group, "7710600071067284406");
    talk_free(&t);
}

static void add_greeting(struct text *t)
{
    text_add_bytes(t, GREETING, sizeof(GREETING) - 1);
}

static void a_group_that_cannot_be_read_does_not_matter(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        bool again;
    } cases[] = {{"XX001", true}, {"42501", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text answer = {0};
        add_greeting(&answer);
        text_add_bytes(&answer, SETS, sizeof(SETS) - 1);
        add_error(&answer, "ERROR", cases[i].code, "calculated CRC checksum does not match");
        text_add_bytes(&answer, READY PRIMARY, sizeof(READY PRIMARY) - 1);
        struct talk t = talk_new(&account);
        feed(&t, (struct bytes){answer.data, answer.len});
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_string_equal(t.seen.group, "");
        assert_true(t.seen.writable);
        start(&t, &account, false);
        assert_int_equal(asked_for_group(&t), cases[i].again);
        talk_free(&t);
        text_free(&answer);
    }
}

/* Errors ------------------------------------------------------------------------------------ */

static void errors_of_a_login_are_put_into_words(void **state)
{
    (void)state;
    assert_ends(&account, BYTES(ERROR_HBA), REACH_DENIED,
                "pg_hba.conf, or the role): no pg_hba.conf entry for host \"127.0.0.1\"");
    assert_ends(&account, BYTES(ERROR_DATABASE), REACH_DENIED, "lacks probe_database");
    assert_ends(&account, BYTES(AUTH_MD5 ERROR_PASSWORD), REACH_DENIED,
                "does not accept the probe's user and password");
    assert_ends(&account, BYTES(ERROR_FULL), REACH_DENIED, "no connection left");
    assert_ends(&account,
                BYTES("Ecould not fork new process for connection: Cannot allocate\n\000"),
                REACH_DENIED, "cannot start a session now");
    static const struct {
        const char *code;
        enum reach reach;
        const char *why;
    } cases[] = {
        {"57P03", REACH_SILENT, "takes no sessions now: words"},
        {"57P01", REACH_REFUSED, "ended the probe's session"},
        {"57P02", REACH_REFUSED, "ended the probe's session"},
        {"42501", REACH_DENIED, "does not allow it"},
        {"0A000", REACH_DENIED, "answers the probe's login with error 0A000: words ? ?"},
        {"", REACH_DENIED, "answers the probe's login with error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text answer = {0};
        add_error(&answer, "FATAL", cases[i].code, "words \x1b \x80");
        assert_ends(&account, (struct bytes){answer.data, answer.len}, cases[i].reach,
                    cases[i].why);
        text_free(&answer);
    }
}

static void errors_of_a_question_are_put_into_words(void **state)
{
    (void)state;
    assert_ends(&account, BYTES(GREETING GROUP SETS ERROR_TIMEOUT), REACH_SILENT,
                "did not answer in time");
    assert_ends(&account, BYTES(GREETING GROUP ERROR_SHUTDOWN), REACH_REFUSED,
                "ended the probe's session");
    assert_ends(&account, BYTES(GREETING ERROR_SHUTDOWN), REACH_REFUSED,
                "ended the probe's session");
    static const struct {
        const char *code;
        const char *why;
    } cases[] = {
        {"42883", "is 15.18 (Debian 15.18-0+deb12u1); the probe needs PostgreSQL 11 or later"},
        {"42501", "does not allow it to the probe's user: words"},
        {"XX000", "answers the probe's question with error XX000: words"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text answer = {0};
        add_greeting(&answer);
        text_add_bytes(&answer, GROUP, sizeof(GROUP) - 1);
        add_error(&answer, "ERROR", cases[i].code, "words");
        assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_DENIED, cases[i].why);
        text_free(&answer);
    }
}

static void an_error_that_tells_the_password_is_not_quoted(void **state)
{
    (void)state;
    static const char *const codes[] = {"28P01", "28000", "XX000", "s3cret", "42883"};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        for (int later = 0; later < 2; later++) {
            struct text answer = {0};
            if (later) {
                text_add_bytes(&answer, GREETING GROUP, sizeof(GREETING GROUP) - 1);
            }
            add_error(&answer, later ? "ERROR" : "FATAL", codes[i], "no s3cret for you");
            assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_DENIED, "");
            text_free(&answer);
        }
    }
}

static void a_session_is_left_politely(void **state)
{
    (void)state;
    const char *out;
    size_t len;
    struct talk t = talk_new(&account);
    pgsql_probe.goodbye(t.state, &account, &out, &len);
    assert_int_equal(len, 0); /* there is none yet */
    feed(&t, BYTES(GREETING GROUP PRIMARY));
    pgsql_probe.goodbye(t.state, &account, &out, &len);
    assert_int_equal(len, 5);
    assert_memory_equal(out, "X\000\000\000\004", 5);
    talk_free(&t);
    t = talk_new(&account);
    feed(&t, BYTES(GREETING GROUP SETS ERROR_TIMEOUT));
    assert_memory_equal(t.sent.data + t.sent.len - 5, "X\000\000\000\004", 5);
    talk_free(&t);
}

/* Bytes that nobody asked for --------------------------------------------------------------- */

static struct talk idle(void)
{
    struct talk t = talk_new(&account);
    feed(&t, BYTES(GREETING GROUP PRIMARY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    return t;
}

static bool unasked(struct talk *t, struct bytes b)
{
    return pgsql_probe.unasked(t->state, b.p, b.len);
}

static void parameters_notices_and_a_last_word_may_come_at_any_time(void **state)
{
    (void)state;
    static const struct bytes fine[] = {
        BYTES(HOT_STANDBY_OFF),
        BYTES("N\000\000\000\006Sx"),
        BYTES(ERROR_SHUTDOWN),
        BYTES("A\000\000\000\013\000\000\000\001a\000\000"),
    };
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        struct talk t = idle();
        for (size_t at = 0; at < fine[i].len; at++) {
            assert_true(unasked(&t, (struct bytes){fine[i].p + at, 1}));
        }
        start(&t, &account, false);
        feed(&t, BYTES(STANDBY));
        assert_int_equal(t.step, PROBE_STEP_DONE);
        talk_free(&t);
    }
    assert_ends(&account, BYTES(GREETING GROUP PRIMARY HOT_STANDBY_OFF ERROR_SHUTDOWN),
                REACH_ANSWERED, "");
    assert_ends(&account, BYTES(GREETING GROUP PRIMARY HOT_STANDBY_OFF "S\000"), REACH_ANSWERED,
                "");
}

static void a_message_may_begin_before_the_question_and_end_after_it(void **state)
{
    (void)state;
    struct bytes half = BYTES(HOT_STANDBY_OFF);
    struct talk t = idle();
    assert_true(unasked(&t, (struct bytes){half.p, 9}));
    start(&t, &account, false);
    feed(&t, (struct bytes){half.p + 9, half.len - 9});
    feed(&t, BYTES(STANDBY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    talk_free(&t);
}

static void an_answer_without_a_question_is_not_fine(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        BYTES(PRIMARY),
        BYTES(READY),
        BYTES("S\000\000\000\003"),
        BYTES("S\377\377\377\377"),
        BYTES(HOT_STANDBY_OFF AUTH_MD5),
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct talk t = idle();
        assert_false(unasked(&t, wrong[i]));
        talk_free(&t);
    }
    assert_ends(&account, BYTES(GREETING GROUP PRIMARY READY), REACH_DENIED, "more than it was");
}

static void a_flood_ends(void **state)
{
    (void)state;
    struct talk t = idle();
    size_t n = 0;
    while (unasked(&t, BYTES(HOT_STANDBY_OFF)) && n < 1000000) {
        n++;
    }
    assert_in_range(n, 100, 3000);
    talk_free(&t);

    static const struct bytes floods[] = {BYTES(HOT_STANDBY_OFF), BYTES("N\000\003\000\000Sx")};
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        t = talk_new(&account);
        for (n = 0; t.step == PROBE_STEP_READ && n < 1000000; n++) {
            feed(&t, floods[i]);
        }
        assert_int_equal(t.seen.reach, REACH_DENIED);
        assert_true(n < 300 * 1024 / 7);
        talk_free(&t);
    }
    assert_ends(&account, BYTES(GREETING "N\000\020\000\000"), REACH_DENIED, "does not speak");
}

static void a_long_message_is_skipped(void **state)
{
    (void)state;
    struct text answer = {0};
    char *body = calloc(1, 60000);
    memset(body, 'M', 60000 - 1);
    add_greeting(&answer);
    add_message(&answer, 'N', body, 60000);
    text_add_bytes(&answer, GROUP PRIMARY, sizeof(GROUP PRIMARY) - 1);
    assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_ANSWERED, "");
    text_free(&answer);
    add_message(&answer, 'E', body, 60000);
    assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_DENIED, "");
    text_free(&answer);
    free(body);
}

static void it_needs_exactly_one_row(void **state)
{
    (void)state;
    assert_ends(&account, BYTES(GREETING GROUP SETS COLUMNS DONE), REACH_DENIED, "does not answer");
    assert_ends(&account, BYTES(GREETING GROUP SETS COLUMNS PRIMARY_ROW("t") PRIMARY_ROW("t") DONE),
                REACH_DENIED, "does not answer");
    assert_ends(&account, BYTES(GREETING GROUP GROUP), REACH_DENIED, "does not answer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_is_seen_whatever_the_pieces),
        cmocka_unit_test(a_server_that_stops_anywhere_is_waited_for),
        cmocka_unit_test(a_kept_connection_is_asked_for_the_role_only),
        cmocka_unit_test(a_group_that_cannot_be_read_does_not_matter),
        cmocka_unit_test(errors_of_a_login_are_put_into_words),
        cmocka_unit_test(errors_of_a_question_are_put_into_words),
        cmocka_unit_test(an_error_that_tells_the_password_is_not_quoted),
        cmocka_unit_test(a_session_is_left_politely),
        cmocka_unit_test(parameters_notices_and_a_last_word_may_come_at_any_time),
        cmocka_unit_test(a_message_may_begin_before_the_question_and_end_after_it),
        cmocka_unit_test(an_answer_without_a_question_is_not_fine),
        cmocka_unit_test(a_flood_ends),
        cmocka_unit_test(a_long_message_is_skipped),
        cmocka_unit_test(it_needs_exactly_one_row),
    };
    return cmocka_run_group_tests_name("pgsql_probe", tests, NULL, NULL);
}
