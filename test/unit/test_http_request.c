#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/http_request.h"

/* Every case is fed whole, byte by byte and in all splits in two: the outcome must be the same. */
struct outcome {
    enum http_step step;
    size_t used; /* of all input */
    int status;
    enum http_method method;
    bool keep_alive;
    char path[64];
    char query[64];
};

static void feed_piece(struct http_request *r, struct outcome *o, const char *data, size_t len)
{
    if (o->step != HTTP_STEP_MORE || len == 0) {
        return;
    }
    size_t used = 0;
    o->step = http_request_feed(r, data, len, &used);
    assert_true(used <= len);
    assert_true(o->step != HTTP_STEP_MORE || used == len);
    o->used += used;
}

static void conclude(const struct http_request *r, struct outcome *o)
{
    if (o->step == HTTP_STEP_BAD) {
        o->status = r->status;
    } else if (o->step == HTTP_STEP_DONE) {
        o->method = r->method;
        o->keep_alive = r->keep_alive;
        snprintf(o->path, sizeof(o->path), "%.*s", (int)r->path_len, r->path);
        const char *query = r->query != NULL ? r->query : "(none)";
        size_t query_len = r->query != NULL ? r->query_len : strlen(query);
        snprintf(o->query, sizeof(o->query), "%.*s", (int)query_len, query);
    }
}

static struct outcome feed_split(const char *data, size_t len, size_t at)
{
    struct http_request *r = malloc(sizeof(*r)); /* so that sanitizers watch its bounds */
    struct outcome o;
    memset(&o, 0, sizeof(o)); /* compared whole */
    http_request_init(r);
    feed_piece(r, &o, data, at);
    feed_piece(r, &o, data + at, len - at);
    conclude(r, &o);
    free(r);
    return o;
}

static struct outcome feed_bytes(const char *data, size_t len)
{
    struct http_request *r = malloc(sizeof(*r));
    struct outcome o;
    memset(&o, 0, sizeof(o));
    http_request_init(r);
    for (size_t i = 0; i < len; i++) {
        feed_piece(r, &o, data + i, 1);
    }
    conclude(r, &o);
    free(r);
    return o;
}

static struct outcome feed(const char *data, size_t len)
{
    struct outcome whole = feed_split(data, len, len);
    struct outcome bytes = feed_bytes(data, len);
    assert_memory_equal(&whole, &bytes, sizeof(whole));
    for (size_t at = 0; at<len; at += len> 1000 ? 97 : 1) {
        struct outcome split = feed_split(data, len, at);
        assert_memory_equal(&whole, &split, sizeof(whole));
    }
    return whole;
}

static void good_requests_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum http_method method;
        bool keep_alive;
        const char *path;
        const char *query;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_METHOD_GET, true, "/", "(none)"},
        {"HEAD /readyz?backends HTTP/1.1\r\nHost:\r\n\r\n", HTTP_METHOD_HEAD, true, "/readyz",
         "backends"},
        {"POST /x HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_METHOD_OTHER, true, "/x", "(none)"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_METHOD_OTHER, true, "*", "(none)"},
        {"get / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_METHOD_OTHER, true, "/", "(none)"},
        {"GET / HTTP/1.0\r\n\r\n", HTTP_METHOD_GET, false, "/", "(none)"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", HTTP_METHOD_GET, true, "/", "(none)"},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo ,\t CLOSE\r\n\r\n", HTTP_METHOD_GET, false,
         "/", "(none)"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", HTTP_METHOD_GET,
         false, "/", "(none)"},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", HTTP_METHOD_GET, true, "/",
         "(none)"},
        {"\r\n\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_METHOD_GET, true, "/", "(none)"},
        {"GET /a HTTP/1.1\nhost:a\n\n", HTTP_METHOD_GET, true, "/a", "(none)"},
        {"GET http://a:1/b?c?d HTTP/1.1\r\nHOST: a\r\n\r\n", HTTP_METHOD_GET, true, "/b", "c?d"},
        {"GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_METHOD_GET, true, "/", "(none)"},
        {"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_METHOD_GET, true, "/", "b"},
        {"GET /? HTTP/1.9\r\nHost: a\r\nContent-Length: 00\r\n\r\n", HTTP_METHOD_GET, true, "/",
         ""},
        {"GET / HTTP/1.1\r\nHost: a\r\nX:\t\x80\xff\t\r\n\r\n", HTTP_METHOD_GET, true, "/",
         "(none)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome o = feed(cases[i].text, strlen(cases[i].text));
        print_message("%s", cases[i].text);
        assert_int_equal(o.step, HTTP_STEP_DONE);
        assert_int_equal(o.used, strlen(cases[i].text));
        assert_int_equal(o.method, cases[i].method);
        assert_int_equal(o.keep_alive, cases[i].keep_alive);
        assert_string_equal(o.path, cases[i].path);
        assert_string_equal(o.query, cases[i].query);
    }
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET /\r\n"},
        {400, "GET  / HTTP/1.1\r\n"},
        {400, "GET / HTTP/1.1 \r\n"},
        {400, " GET / HTTP/1.1\r\n"},
        {400, "GET /a b HTTP/1.1\r\n"},
        {400, "G(T / HTTP/1.1\r\n"},
        {400, "GET / http/1.1\r\n"},
        {400, "GET / HTTP/11\r\n"},
        {400, "GET / HTTP/1.x\r\n"},
        {400, "GET * HTTP/1.1\r\n"},
        {400, "GET a:1 HTTP/1.1\r\n"},
        {505, "PRI * HTTP/2.0\r\n"},
        {505, "GET / HTTP/0.9\r\n"},
        {400, "\x16\x03\x01"}, /* a TLS hello */
        {400, "GET /\x01"},    /* a control byte, refused before the line ends */
        {400, "GET\t/ HTTP/1.1\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},                       /* no Host */
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"}, /* two of them */
        {400, "GET / HTTP/1.1\r\nHost : a\r\n"},
        {400, "GET / HTTP/1.1\r\n: a\r\n"},
        {400, "GET / HTTP/1.1\r\nHost\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\rb\r\n"},
        {400, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"},
        {413, "GET / HTTP/1.1\r\nContent-Length: 1\r\n"},
        {413, "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n"},
        {400, "GET / HTTP/1.1\r\nContent-Length: 0\r\ncontent-length: 0\r\n"},
        {400, "GET / HTTP/1.1\r\nContent-Length: -1\r\n"},
        {400, "GET / HTTP/1.1\r\nContent-Length: 0, 0\r\n"},
        {400, "GET / HTTP/1.1\r\nContent-Length:\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome o = feed(cases[i].text, strlen(cases[i].text));
        print_message("%s\n", cases[i].text);
        assert_int_equal(o.step, HTTP_STEP_BAD);
        assert_int_equal(o.status, cases[i].status);
    }
    struct outcome tls = feed("\x16\x03\x01", 3);
    assert_int_equal(tls.used, 1);
    struct outcome nul = feed("GET /\0", 6);
    assert_int_equal(nul.status, 400);
}

/* A request of exactly `size` bytes. */
static char *request_of(size_t size)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    static const char end[] = "\r\n\r\n";
    char *text = malloc(size);
    memset(text, 'x', size);
    memcpy(text, head, strlen(head));
    memcpy(text + size - strlen(end), end, strlen(end));
    return text;
}

static void a_head_may_have_its_maximum_and_no_byte_more(void **state)
{
    (void)state;
    char *fits = request_of(HTTP_REQUEST_MAX);
    assert_int_equal(feed(fits, HTTP_REQUEST_MAX).step, HTTP_STEP_DONE);
    free(fits);
    char *too_long = request_of(HTTP_REQUEST_MAX + 1);
    struct outcome o = feed(too_long, HTTP_REQUEST_MAX + 1);
    assert_int_equal(o.step, HTTP_STEP_BAD);
    assert_int_equal(o.status, 431);
    free(too_long);
    char line[HTTP_REQUEST_MAX + 1]; /* one endless line */
    memset(line, 'a', sizeof(line));
    assert_int_equal(feed(line, sizeof(line)).status, 431);
}

static void bytes_behind_a_request_are_left_for_the_next(void **state)
{
    (void)state;
    static const char text[] =
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t half = strlen(text) / 2;
    struct outcome o = feed(text, strlen(text));
    assert_int_equal(o.step, HTTP_STEP_DONE);
    assert_int_equal(o.used, half);
    assert_string_equal(o.path, "/1");
    o = feed(text + half, half);
    assert_string_equal(o.path, "/2");
}

static void empty_lines_do_not_begin_a_request(void **state)
{
    (void)state;
    struct http_request r;
    size_t used;
    http_request_init(&r);
    for (int i = 0; i < HTTP_REQUEST_MAX; i++) {
        assert_int_equal(http_request_feed(&r, "\r\n", 2, &used), HTTP_STEP_MORE);
    }
    assert_false(http_request_begun(&r));
    http_request_feed(&r, "G", 1, &used);
    assert_true(http_request_begun(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_understood),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(a_head_may_have_its_maximum_and_no_byte_more),
        cmocka_unit_test(bytes_behind_a_request_are_left_for_the_next),
        cmocka_unit_test(empty_lines_do_not_begin_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
