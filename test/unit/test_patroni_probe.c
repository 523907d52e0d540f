/* Patroni's REST API as Patroni 3.0.2 answers it (HTTP/1.0, a connection for each request), and as
 * a proxy before it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "http_talk.h"

#define PATRONI(status)                                                                            \
    "HTTP/1.0 " status "\r\nServer: BaseHTTP/0.6 Python/3.11.2\r\n"                                \
    "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n\r\n"                \
    "{\"state\": \"running\", \"role\": \"replica\", \"server_version\": 150018}"
#define KEPT(status) "HTTP/1.1 " status "\r\nContent-Length: 2\r\n\r\n{}"

#define YES "200 OK"
#define NO  "503 Service Unavailable"

static const struct probe_setup setup = {.host = "10.0.0.1:8008", .lag_bytes = 1048576};

static void a_primary_needs_one_question(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum probe_step step;
    } cases[] = {{PATRONI(YES), PROBE_STEP_LAST}, {KEPT(YES), PROBE_STEP_DONE}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t piece = 1; piece <= strlen(cases[i].answer); piece++) {
            struct talk t = talk_new(&patroni_probe, &setup);
            assert_string_equal(t.sent, "GET /primary HTTP/1.1\r\nHost: 10.0.0.1:8008\r\n"
                                        "User-Agent: router\r\nAccept: */*\r\n\r\n");
            feed_pieces(&t, cases[i].answer, piece);
            assert_int_equal(t.step, cases[i].step);
            assert_int_equal(t.seen.reach, REACH_ANSWERED);
            assert_int_equal(t.seen.authority, WORD_YES);
            assert_int_equal(t.seen.readable, WORD_NO);
            assert_string_equal(t.seen.why, "");
            assert_int_equal(t.seen.failures, 3);
            talk_free(&t);
        }
    }
}

static void others_are_asked_whether_they_are_replicas(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        enum word readable;
    } cases[] = {{PATRONI(YES), WORD_YES}, {PATRONI(NO), WORD_NO}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct talk t = talk_new(&patroni_probe, &setup);
        feed_pieces(&t, PATRONI(NO), 3);
        assert_string_equal(t.sent, ""); /* this connection is over */
        talk_anew(&t);
        assert_string_equal(t.sent, "GET /replica?lag=1048576 HTTP/1.1\r\nHost: 10.0.0.1:8008\r\n"
                                    "User-Agent: router\r\nAccept: */*\r\n\r\n");
        feed_pieces(&t, cases[i].status, 3);
        assert_int_equal(t.step, PROBE_STEP_LAST);
        assert_int_equal(t.seen.reach, REACH_ANSWERED);
        assert_int_equal(t.seen.authority, WORD_NO);
        assert_int_equal(t.seen.readable, cases[i].readable);
        assert_int_equal(t.seen.asked, 5);
        talk_free(&t);
    }
}

static void a_kept_connection_serves_both_questions(void **state)
{
    (void)state;
    struct talk t = talk_new(&patroni_probe, &setup);
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(t.sent, "GET /primary "));
        feed_pieces(&t, KEPT(NO), 1);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_non_null(strstr(t.sent, "GET /replica?lag=1048576 "));
        feed_pieces(&t, KEPT(YES), 1);
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_int_equal(t.seen.authority, WORD_NO);
        assert_int_equal(t.seen.readable, WORD_YES);
        talk_start(&t, &setup, false);
    }
    talk_free(&t);
}

static void without_a_bound_the_lag_does_not_matter(void **state)
{
    (void)state;
    static const struct probe_setup no_bound = {.host = "h"};
    struct talk t = talk_new(&patroni_probe, &no_bound);
    feed(&t, KEPT(NO));
    assert_non_null(strstr(t.sent, "GET /replica HTTP/1.1\r\n"));
    talk_free(&t);
}

static void other_answers_are_not_patronis(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        const char *why;
    } cases[] = {
        {KEPT("404 Not Found"), "answers GET /primary with 404: not as Patroni does"},
        {PATRONI("501 Unsupported method ('GET')"), "with 501"},
        {"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n", "with 301"},
        {"-ERR unknown\r\n", "does not speak HTTP"},
        {KEPT(NO) KEPT(YES), "more than it was asked"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct talk t = talk_new(&patroni_probe, &setup);
        feed(&t, cases[i].answer);
        assert_int_equal(t.step, PROBE_STEP_FAIL);
        assert_int_equal(t.seen.reach, REACH_DENIED);
        assert_int_equal(t.seen.authority, WORD_NONE);
        assert_non_null(strstr(t.seen.why, cases[i].why));
        talk_free(&t);
    }
    struct talk t = talk_new(&patroni_probe, &setup);
    feed(&t, PATRONI(NO));
    talk_anew(&t);
    feed(&t, PATRONI("404 Not Found"));
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_string_equal(t.seen.why, "answers GET /replica with 404: not as Patroni does");
    assert_int_equal(t.seen.authority, WORD_NONE);
    talk_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_needs_one_question),
        cmocka_unit_test(others_are_asked_whether_they_are_replicas),
        cmocka_unit_test(a_kept_connection_serves_both_questions),
        cmocka_unit_test(without_a_bound_the_lag_does_not_matter),
        cmocka_unit_test(other_answers_are_not_patronis),
    };
    return cmocka_run_group_tests_name("patroni_probe", tests, NULL, NULL);
}
