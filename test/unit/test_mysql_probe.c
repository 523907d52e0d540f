/* The dialogue against what real servers said, and against what no server should say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "mysql_fake.h"
#include "mysql_recorded_mariadb.h"
#include "mysql_recorded_mysql.h"

#define WHOLE (SIZE_MAX / 2)

struct recording {
    const struct turn *turns;
    size_t count;
};

static const struct recording recordings[] = {
    {mariadb_replica, ARRAY_LEN(mariadb_replica)},
    {mariadb_galera, ARRAY_LEN(mariadb_galera)},
    {mysql_replica, ARRAY_LEN(mysql_replica)},
    {mysql_group, ARRAY_LEN(mysql_group)},
};

/* Plays the recording in pieces; false: the dialogue came to an end before it. */
static bool play(struct talk *t, const struct recording *r, size_t piece)
{
    for (size_t i = 0; i < r->count; i++) {
        if (t->step != PROBE_STEP_READ) {
            return false;
        }
        if (r->turns[i].sent_len > 0) {
            assert_int_equal(t->out_len, r->turns[i].sent_len);
            assert_memory_equal(t->out, r->turns[i].sent, t->out_len);
        }
        talk_feed(t, r->turns[i].answer, r->turns[i].answer_len, piece);
    }
    return true;
}

static struct observation observed(size_t number, size_t piece)
{
    struct talk t = talk_new(&router);
    assert_true(play(&t, &recordings[number], piece));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    assert_int_equal(t.seen.reach, REACH_ANSWERED);
    assert_int_equal(t.seen.failures, 3);
    assert_int_equal(t.seen.asked, 5);
    assert_string_equal(t.seen.why, "");
    struct observation o = t.seen;
    talk_free(&t);
    return o;
}

static void a_replica_of_mariadb_is_understood(void **state)
{
    (void)state;
    struct observation o = observed(0, WHOLE);
    assert_int_equal(o.part, PART_SOURCE);
    assert_string_equal(o.id, "2");
    assert_string_equal(o.identity, "2@1795265742");
    assert_true(o.writable); /* MariaDB's replicas are */
    assert_int_equal(o.channel_count, 1);
    assert_string_equal(o.channels[0].source, "127.0.0.1:23301");
    assert_string_equal(o.channels[0].source_id, "1");
    assert_true(o.channels[0].running);
    assert_int_equal(o.behind_ms, 0);
    assert_true(o.gtids.known);
    assert_int_equal(o.gtids.count, 1);
    assert_int_equal(o.claim, CLAIM_NONE);
    assert_string_equal(o.greeting.version, "5.5.5-10.11.19-MariaDB-0+deb12u1-log");
    assert_string_equal(o.greeting.plugin, "mysql_native_password");
    assert_int_equal(o.greeting.capabilities, 0x81fff7fe);
    assert_int_equal(o.greeting.extended, 0x1d);
    assert_int_equal(o.greeting.charset, 8);
}

static void a_node_of_galera_is_understood(void **state)
{
    (void)state;
    struct observation o = observed(1, WHOLE);
    assert_int_equal(o.part, PART_GALERA);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
    assert_int_equal(o.members, 3);
    assert_int_equal(o.index, 0);
    assert_true(o.term > 0);
    assert_int_equal(strlen(o.group), 36);
    assert_int_equal(strlen(o.id), 36);
}

static void a_replica_of_mysql_is_understood(void **state)
{
    (void)state;
    struct observation o = observed(2, WHOLE);
    assert_int_equal(o.part, PART_SOURCE);
    assert_int_equal(strlen(o.id), 36);
    assert_memory_equal(o.identity, o.id, 36);
    assert_int_equal(strspn(o.identity + 37, "0123456789"), 10);
    assert_int_equal(o.channel_count, 1);
    assert_string_equal(o.channels[0].source, "127.0.0.1:23401");
    assert_string_equal(o.channels[0].source_id, "e66be597-e5a6-11f1-aefc-02fc00000001");
    assert_true(o.channels[0].running);
    assert_true(o.gtids.known);
}

static void the_primary_of_a_group_is_understood(void **state)
{
    (void)state;
    struct observation o = observed(3, WHOLE);
    assert_int_equal(o.part, PART_GROUP);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
    assert_int_equal(o.authority, WORD_YES);
    assert_string_equal(o.group, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_true(o.term >> 32 == 1795265331); /* 17952653319798326, in seconds */
}

static void the_split_of_the_answers_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        struct observation whole = observed(i, WHOLE);
        for (size_t piece = 1; piece < 40; piece += 6) {
            struct observation parts = observed(i, piece);
            assert_memory_equal(&whole, &parts, sizeof whole);
        }
    }
}

/* Cut at each byte: nothing is decided, and the login is known to be broken until its OK. */
static void a_cut_at_any_byte_leaves_nothing_decided(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        struct talk t = talk_new(&router);
        assert_true(mysql_probe.unfinished(t.state));
        for (size_t turn = 0; turn < recordings[i].count; turn++) {
            const struct turn *now = &recordings[i].turns[turn];
            for (size_t at = 0; at < now->answer_len; at++) {
                assert_int_equal(t.step, PROBE_STEP_READ);
                assert_int_equal(t.seen.reach, REACH_UNASKED);
                assert_int_equal(mysql_probe.unfinished(t.state), turn < 2);
                talk_feed(&t, now->answer + at, 1, 1);
            }
        }
        assert_int_equal(t.step, PROBE_STEP_DONE);
        talk_free(&t);
    }
}

static void start_over_and_cut(const struct recording *r, size_t turn, size_t len)
{
    struct talk t = talk_new(&router);
    struct recording before = {r->turns, turn};
    assert_true(play(&t, &before, WHOLE));
    talk_feed(&t, r->turns[turn].answer, len, WHOLE);
    assert_int_equal(t.step, PROBE_STEP_READ);
    talk_free(&t);
}

static void a_dialogue_is_released_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        for (size_t turn = 0; turn < recordings[i].count; turn++) {
            for (size_t n = 0; n < recordings[i].turns[turn].answer_len; n += n < 200 ? 1 : 37) {
                start_over_and_cut(&recordings[i], turn, n);
            }
        }
    }
}

/* Each byte in turn is another: whatever comes of it, it ends, and within bounds. */
static void a_wrong_byte_anywhere_does_no_harm(void **state)
{
    (void)state;
    static const unsigned char wrong[] = {0x00, 0xff, 0x80, 0xfe};
    const struct recording *r = &recordings[3];
    for (size_t turn = 0; turn < r->count; turn++) {
        for (size_t at = 0; at < r->turns[turn].answer_len * ARRAY_LEN(wrong); at++) {
            struct talk t = talk_new(&router);
            struct recording before = {r->turns, turn};
            play(&t, &before, WHOLE);
            size_t len = r->turns[turn].answer_len;
            char *copy = malloc(len);
            memcpy(copy, r->turns[turn].answer, len);
            copy[at / ARRAY_LEN(wrong)] = (char)wrong[at % ARRAY_LEN(wrong)];
            talk_feed(&t, copy, len, WHOLE);
            assert_true(t.step != PROBE_STEP_FAIL || t.seen.why[0] != '\0');
            assert_null(strstr(t.seen.why, "s3cret"));
            free(copy);
            talk_free(&t);
        }
    }
}

static void a_kept_connection_is_asked_without_a_login(void **state)
{
    (void)state;
    const struct recording *r = &recordings[0];
    struct talk t = talk_new(&router);
    assert_true(play(&t, r, WHOLE));
    struct observation first = t.seen;
    for (int round = 0; round < 100; round++) {
        t.step = mysql_probe.start(t.state, &router, false, &t.out, &t.out_len);
        assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
        assert_false(mysql_probe.unfinished(t.state));
        talk_feed(&t, r->turns[2].answer, r->turns[2].answer_len, WHOLE);
        assert_true(asks(&t, "SHOW ALL SLAVES STATUS")); /* when it started is known */
        talk_feed(&t, r->turns[4].answer, r->turns[4].answer_len, WHOLE);
        talk_feed(&t, r->turns[5].answer, r->turns[5].answer_len, WHOLE);
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_memory_equal(&first, &t.seen, sizeof first);
    }
    mysql_probe.goodbye(t.state, &router, &t.out, &t.out_len);
    assert_int_equal(t.out_len, 5);
    assert_memory_equal(t.out, "\001\0\0\0\001", 5);
    talk_free(&t);
}

static void assert_no_mysql(const char *bytes, size_t len, const char *why)
{
    struct talk t = talk_new(&router);
    talk_feed(&t, bytes, len, WHOLE);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_int_equal(t.seen.reach, REACH_DENIED);
    assert_non_null(strstr(t.seen.why, why));
    assert_int_equal(t.out_len, 0);
    talk_free(&t);
}

static void other_protocols_are_recognised(void **state)
{
    (void)state;
    static const char *const others[] = {
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "-ERR unknown command\r\n",
        "220 mail ESMTP\r\n",
        "E\0\0\0\x10SFATAL\0\0\0\0\0\0\0\0\0", /* PostgreSQL */
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_no_mysql(others[i], i == 4 ? 20 : strlen(others[i]), "does not speak MySQL");
    }
    assert_no_mysql("\0\0\0\0", 4, "does not speak MySQL");
    assert_no_mysql("\001\0\0\0\011", 5, "does not speak MySQL");
    assert_no_mysql("\001\0\0\0\012", 5, "does not speak MySQL");
    assert_no_mysql("\001\0\0\0\377", 5, "does not speak MySQL");
    assert_no_mysql("\001\0\0\002\012", 5, "does not speak MySQL");
}

static void more_than_was_asked_is_refused(void **state)
{
    (void)state;
    for (size_t turn = 0; turn < recordings[3].count; turn++) {
        struct talk t = talk_new(&router);
        struct recording before = {recordings[3].turns, turn};
        const struct turn *last = &recordings[3].turns[turn];
        assert_true(play(&t, &before, WHOLE));
        char *longer = malloc(last->answer_len + 1);
        memcpy(longer, last->answer, last->answer_len);
        longer[last->answer_len] = '\1';
        talk_feed(&t, longer, last->answer_len + 1, WHOLE);
        assert_int_equal(t.step, PROBE_STEP_FAIL);
        assert_string_equal(t.seen.why, "says more than it was asked");
        free(longer);
        talk_free(&t);
    }
}

static void assert_broken_answer(const void *bytes, size_t len, const char *why)
{
    struct talk t = talk_logged_in(&router, "9.7.0");
    assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
    talk_feed(&t, bytes, len, WHOLE);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_int_equal(t.seen.reach, REACH_DENIED);
    assert_non_null(strstr(t.seen.why, why));
    talk_free(&t);
}

static void answers_that_are_none_are_refused(void **state)
{
    (void)state;
    const char *const why = "does not answer SHOW GLOBAL VARIABLES as MySQL does";
    assert_broken_answer("\007\0\0\001\0\0\0\002\0\0\0", 11, why);            /* OK */
    assert_broken_answer("\007\0\0\001\373/a/b/c", 11, why);                  /* LOCAL INFILE */
    assert_broken_answer("\001\0\0\001\0", 5, why);                           /* no columns */
    assert_broken_answer("\003\0\0\001\374\377\377", 7, why);                 /* 65,535 columns */
    assert_broken_answer("\001\0\0\002\001", 5, why);                         /* out of order */
    assert_broken_answer("\0\0\0\001", 4, why);                               /* an empty packet */
    assert_broken_answer("\001\0\0\001\001\001\0\0\002\377", 10, "no MySQL"); /* half an ERR */
    /* One column; then another result behind it, and a row that is longer than its columns. */
    static const char head[] = "\001\0\0\001\001\012\0\0\002\003def\0\0\0\001x\0";
    char answer[64];
    memcpy(answer, head, sizeof head - 1);
    memcpy(answer + sizeof head - 1, "\005\0\0\003\376\0\0\012\0", 9);
    assert_broken_answer(answer, sizeof head + 8, why);
    memcpy(answer + sizeof head - 1, "\005\0\0\003\376\0\0\002\0\003\0\0\004\001ab", 16);
    assert_broken_answer(answer, sizeof head + 15, why);
    assert_broken_answer("\377\377\377\001", 4, "more than 256 KB");
    assert_broken_answer("\001\0\004\001", 4, "more than 256 KB");
}

static void a_flood_is_bounded(void **state)
{
    (void)state;
    static const char *const columns[] = {"Variable_name", "Value"};
    static const char *rows[2 * 65];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rows[i] = "server_id";
    }
    struct talk t = talk_logged_in(&router, "9.7.0");
    fake_rows(&t, columns, 2, rows, 65); /* more rows than anything has */
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    talk_free(&t);

    t = talk_logged_in(&router, "9.7.0");
    talk_feed(&t, "\001\0\0\001\100", 5, WHOLE); /* 64 columns, of 8 KB each */
    for (unsigned char i = 2; i < 70 && t.step == PROBE_STEP_READ; i++) {
        char definition[8192 + MYSQL_HEADER] = {0, 32, 0, (char)i};
        talk_feed(&t, definition, sizeof definition, WHOLE);
    }
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_string_equal(t.seen.why, "answers with more than 256 KB");
    talk_free(&t);
}

/* Errors ------------------------------------------------------------------------------------- */

/* Logged in, and asked for the channels. */
static struct talk asked_for_channels(const char *version)
{
    static const char *const show[] = {"Variable_name", "Value"};
    static const char *const variables[] = {"server_id", "7"};
    static const char *const started[] = {"started"};
    static const char *const then[] = {"1795263951"};
    struct talk t = talk_logged_in(&router, version);
    fake_rows(&t, show, 2, variables, 1);
    fake_rows(&t, started, 1, then, 1);
    return t;
}

static void assert_refused(struct talk *t, enum reach reach, const char *why)
{
    assert_int_equal(t->step, PROBE_STEP_FAIL);
    assert_int_equal(t->seen.reach, reach);
    if (strstr(t->seen.why, why) == NULL) {
        fail_msg("'%s' says nothing of '%s'", t->seen.why, why);
    }
    talk_free(t);
}

static void a_refused_question_names_its_grant(void **state)
{
    (void)state;
    struct talk t = asked_for_channels("9.7.0");
    fake_error(&t, 1227, "#42000Access denied; you need the SUPER privilege");
    assert_refused(&t, REACH_DENIED,
                   "SHOW REPLICA STATUS is refused: GRANT REPLICATION CLIENT ON *.* TO "
                   "'router'@'...'");
    t = asked_for_channels("10.11-MariaDB");
    fake_error(&t, 1227, "#42000Access denied; you need the SUPER, SLAVE MONITOR privilege(s)");
    assert_refused(&t, REACH_DENIED,
                   "SHOW ALL SLAVES STATUS is refused: GRANT SLAVE MONITOR ON *.* TO 'router'");
    t = asked_for_channels("10.4-MariaDB");
    fake_error(&t, 1227, "#42000Access denied; you need the SUPER, REPLICATION CLIENT privilege");
    assert_refused(&t, REACH_DENIED, "GRANT REPLICATION CLIENT");

    static const char *const show[] = {"Variable_name", "Value"};
    static const char *const variables[] = {"server_id", "7", "group_replication_group_name", "a"};
    static const char *const started[] = {"started"};
    static const char *const then[] = {"1795263951"};
    t = talk_logged_in(&router, "9.7.0");
    fake_rows(&t, show, 2, variables, 2);
    fake_rows(&t, started, 1, then, 1);
    fake_error(&t, 1142, "#42000SELECT command denied to user 'router'@'localhost'");
    assert_refused(&t, REACH_DENIED,
                   "SELECT on performance_schema.replication_group_members is refused: GRANT "
                   "SELECT ON performance_schema.* TO 'router'");
}

static void a_server_of_before_8_0_22_is_asked_in_its_words(void **state)
{
    (void)state;
    struct talk t = asked_for_channels("8.0.20");
    assert_true(asks(&t, "SHOW REPLICA STATUS"));
    fake_error(&t, 1064, "#42000You have an error in your SQL syntax");
    assert_true(asks(&t, "SHOW SLAVE STATUS"));
    fake_error(&t, 1064, "#42000You have an error in your SQL syntax");
    assert_refused(&t, REACH_DENIED, "answers SHOW SLAVE STATUS with error 1064: You have");
}

static void a_server_that_ends_or_is_slow_is_not_denied(void **state)
{
    (void)state;
    static const struct {
        unsigned code;
        enum reach reach;
    } cases[] = {
        {1053, REACH_REFUSED}, {1927, REACH_REFUSED}, {4031, REACH_REFUSED},
        {1317, REACH_SILENT},  {1969, REACH_SILENT},  {3024, REACH_SILENT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct talk t = talk_logged_in(&router, "9.7.0");
        fake_error(&t, cases[i].code, "#HY000words");
        assert_refused(&t, cases[i].reach, "");
    }
}

static void a_node_of_galera_that_refuses_is_not_usable(void **state)
{
    (void)state;
    static const char words[] = "#08S01WSREP has not yet prepared node for application use";
    struct talk t = talk_logged_in(&router, "10.11-MariaDB");
    fake_error(&t, 1047, words);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    assert_int_equal(t.seen.reach, REACH_ANSWERED);
    assert_int_equal(t.seen.part, PART_GALERA);
    assert_int_equal(t.seen.claim, CLAIM_NONE);
    assert_non_null(strstr(t.seen.why, "is not ready: WSREP has not yet prepared"));
    talk_free(&t);

    static const char *const show[] = {"Variable_name", "Value"};
    static const char *const variables[] = {"server_id", "7",        "wsrep_provider",
                                            "/lib",      "wsrep_on", "ON"};
    t = talk_logged_in(&router, "10.11-MariaDB");
    fake_rows(&t, show, 2, variables, 3);
    assert_true(asks(&t, "SELECT UNIX_TIMESTAMP()"));
    fake_error(&t, 1047, words); /* when it started is asked again another time */
    assert_true(asks(&t, "SHOW GLOBAL STATUS"));
    talk_free(&t);

    t = talk_logged_in(&router, "9.7.0");
    fake_error(&t, 1047, "#08S01Unknown command");
    assert_refused(&t, REACH_DENIED, "error 1047");
}

static void a_row_that_cannot_be_true_is_refused(void **state)
{
    (void)state;
    static const char *const columns[] = {"Source_Host", "Source_Port"};
    static const char *const row[] = {"10.0.0.1", "3306"};
    struct talk t = asked_for_channels("9.7.0");
    fake_rows(&t, columns, 2, row, 1); /* not a word of its threads */
    assert_refused(&t, REACH_DENIED, "does not answer SHOW REPLICA STATUS as MySQL does");

    static const char *const show[] = {"Variable_name", "Value"};
    static const char *const started[] = {"started"};
    static const char *const wrong[] = {"-5"};
    static const char *const variables[] = {"server_id", "7"};
    t = talk_logged_in(&router, "9.7.0");
    fake_rows(&t, show, 2, variables, 1);
    fake_rows(&t, started, 1, wrong, 1);
    assert_refused(&t, REACH_DENIED, "does not answer SELECT on performance_schema.global_status");

    t = talk_logged_in(&router, "9.7.0");
    fake_rows(&t, show, 2, variables, 0); /* not one variable */
    fake_rows(&t, started, 1, variables + 1, 1);
    fake_rows(&t, columns, 2, row, 0);
    assert_refused(&t, REACH_DENIED, "does not tell its variables as MySQL does");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_of_mariadb_is_understood),
        cmocka_unit_test(a_node_of_galera_is_understood),
        cmocka_unit_test(a_replica_of_mysql_is_understood),
        cmocka_unit_test(the_primary_of_a_group_is_understood),
        cmocka_unit_test(the_split_of_the_answers_changes_nothing),
        cmocka_unit_test(a_cut_at_any_byte_leaves_nothing_decided),
        cmocka_unit_test(a_dialogue_is_released_wherever_it_stands),
        cmocka_unit_test(a_wrong_byte_anywhere_does_no_harm),
        cmocka_unit_test(a_kept_connection_is_asked_without_a_login),
        cmocka_unit_test(other_protocols_are_recognised),
        cmocka_unit_test(more_than_was_asked_is_refused),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(a_flood_is_bounded),
        cmocka_unit_test(a_refused_question_names_its_grant),
        cmocka_unit_test(a_server_of_before_8_0_22_is_asked_in_its_words),
        cmocka_unit_test(a_server_that_ends_or_is_slow_is_not_denied),
        cmocka_unit_test(a_node_of_galera_that_refuses_is_not_usable),
        cmocka_unit_test(a_row_that_cannot_be_true_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
