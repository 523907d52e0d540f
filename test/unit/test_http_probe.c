/* The HTTP check: what it asks, and which answers are good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "http_talk.h"
#include "proto/proto.h"

static const struct http_expect ok = {.ranges = {{200, 200}}, .count = 1};
static const struct http_expect several = {.ranges = {{200, 299}, {301, 301}}, .count = 2};

static struct talk ask(const char *method, const char *target, const struct http_expect *good)
{
    struct http_check check = {.method = strdup(method), .target = strdup(target)};
    struct probe_setup setup = {.http = &check, .http_expect = good, .host = "10.0.0.1:80"};
    struct talk t = talk_new(&http_probe, &setup); /* setup may be gone from here on */
    free(check.method);
    free(check.target);
    return t;
}

static void it_asks_for_the_target(void **state)
{
    (void)state;
    struct talk t = ask("GET", "/health?deep=1", &ok);
    assert_string_equal(t.sent, "GET /health?deep=1 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n"
                                "User-Agent: router\r\nAccept: */*\r\n\r\n");
    talk_free(&t);
    t = ask("POST", "/", &ok);
    assert_non_null(strstr(t.sent, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(t.sent, "\r\nContent-Length: 0\r\n\r\n"));
    talk_free(&t);
}

static void a_request_beyond_bounds_is_not_sent(void **state)
{
    (void)state;
    char target[8000];
    memset(target, '/', sizeof(target) - 1);
    target[sizeof(target) - 1] = '\0';
    struct http_check check = {.method = (char *)"GET", .target = target};
    struct probe_setup setup = {.http = &check, .http_expect = &ok};
    void *state_memory = calloc(1, http_probe.state_size);
    const char *out;
    size_t len;
    assert_int_equal(http_probe.start(state_memory, &setup, true, &out, &len), PROBE_STEP_FAIL);
    assert_int_equal(len, 0);
    free(state_memory);
}

static void assert_check(const char *method, const struct http_expect *good, const char *answer,
                         enum probe_step step, enum reach reach, const char *why)
{
    for (size_t piece = 1; piece <= strlen(answer); piece++) {
        struct talk t = ask(method, "/health?token=s3cret", good);
        feed_pieces(&t, answer, piece);
        assert_int_equal(t.step, step);
        assert_int_equal(t.seen.reach, reach);
        assert_string_equal(t.seen.why, why);
        assert_int_equal(t.seen.failures, 3);
        assert_int_equal(t.seen.asked, 5);
        talk_free(&t);
    }
}

#define ANSWER(status) "HTTP/1.1 " status " Words\r\nContent-Length: 2\r\n\r\nok"

static void the_status_decides(void **state)
{
    (void)state;
    assert_check("GET", &ok, ANSWER("200"), PROBE_STEP_DONE, REACH_ANSWERED, "");
    assert_check("GET", &ok, ANSWER("206"), PROBE_STEP_DONE, REACH_REFUSED,
                 "answers GET /health with 206");
    assert_check("GET", &ok, ANSWER("503"), PROBE_STEP_DONE, REACH_REFUSED,
                 "answers GET /health with 503");
    assert_check("GET", &several, ANSWER("299"), PROBE_STEP_DONE, REACH_ANSWERED, "");
    assert_check("GET", &several, ANSWER("301"), PROBE_STEP_DONE, REACH_ANSWERED, "");
    assert_check("GET", &several, ANSWER("300"), PROBE_STEP_DONE, REACH_REFUSED,
                 "answers GET /health with 300");
}

/* Galera's clustercheck (xinetd) and other shell scripts. */
static void the_connection_ends_where_the_server_ends_it(void **state)
{
    (void)state;
    assert_check("GET", &ok, "HTTP/1.0 200 OK\r\n\r\n", PROBE_STEP_LAST, REACH_ANSWERED, "");
    assert_check("OPTIONS", &ok,
                 "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
                 "Connection: close\r\nContent-Length: 44\r\n\r\n"
                 "Percona XtraDB Cluster Node is not synced. \n",
                 PROBE_STEP_LAST, REACH_REFUSED, "answers OPTIONS /health with 503");
}

static void the_answer_to_a_head_has_no_body(void **state)
{
    (void)state;
    assert_check("HEAD", &ok, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", PROBE_STEP_DONE,
                 REACH_ANSWERED, "");
}

static void what_is_no_http_is_denied(void **state)
{
    (void)state;
    assert_check("GET", &ok, "-ERR unknown command 'GET'\r\n", PROBE_STEP_FAIL, REACH_DENIED,
                 "does not speak HTTP/1.1");
    struct talk t = ask("GET", "/", &ok);
    feed(&t, ANSWER("200") "HTTP/1.1 200 OK\r\n");
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_string_equal(t.seen.why, "says more than it was asked");
    talk_free(&t);
}

static void a_kept_connection_is_asked_again(void **state)
{
    (void)state;
    struct http_check check = {.method = (char *)"GET", .target = (char *)"/a"};
    struct probe_setup setup = {.http = &check, .http_expect = &ok};
    struct talk t = talk_new(&http_probe, &setup);
    assert_non_null(strstr(t.sent, "\r\nHost: localhost\r\n"));
    feed(&t, ANSWER("200"));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    for (int i = 0; i < 3; i++) {
        talk_start(&t, &setup, false);
        assert_non_null(strstr(t.sent, "GET /a HTTP/1.1\r\n"));
        feed(&t, ANSWER("500"));
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_int_equal(t.seen.reach, REACH_REFUSED);
    }
    talk_free(&t);
}

static void an_unfinished_answer_is_waited_for(void **state)
{
    (void)state;
    static const char answer[] = ANSWER("200");
    for (size_t cut = 0; cut < sizeof(answer) - 1; cut++) {
        char text[sizeof(answer)] = "";
        memcpy(text, answer, cut);
        struct talk t = ask("GET", "/", &ok);
        feed(&t, text);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_int_equal(t.seen.reach, REACH_UNASKED);
        talk_free(&t);
    }
}

static void it_leaves_without_a_word(void **state)
{
    (void)state;
    const char *out = "x";
    size_t len = 1;
    struct probe_setup setup = {0};
    http_probe.goodbye(NULL, &setup, &out, &len);
    assert_null(out);
    assert_int_equal(len, 0);
}

static void clients_are_refused_with_503(void **state)
{
    (void)state;
    const struct proto *http = proto_find("http");
    char text[512];
    assert_non_null(http);
    assert_false(http->has_roles);
    assert_null(http->dialogue);
    size_t len = http->refuse(REFUSED_TIMEOUT, "no server in time", text, sizeof(text));
    assert_in_range(len, 1, sizeof(text) - 1);
    text[len] = '\0';
    assert_non_null(strstr(text, "HTTP/1.1 503 Service Unavailable\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: 26\r\n"));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n") + 4, "router: no server in time\n");
    assert_int_equal(http->refuse(REFUSED_TIMEOUT, "no server in time", text, len), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_for_the_target),
        cmocka_unit_test(a_request_beyond_bounds_is_not_sent),
        cmocka_unit_test(the_status_decides),
        cmocka_unit_test(the_connection_ends_where_the_server_ends_it),
        cmocka_unit_test(the_answer_to_a_head_has_no_body),
        cmocka_unit_test(what_is_no_http_is_denied),
        cmocka_unit_test(a_kept_connection_is_asked_again),
        cmocka_unit_test(an_unfinished_answer_is_waited_for),
        cmocka_unit_test(it_leaves_without_a_word),
        cmocka_unit_test(clients_are_refused_with_503),
    };
    return cmocka_run_group_tests_name("http_probe", tests, NULL, NULL);
}
