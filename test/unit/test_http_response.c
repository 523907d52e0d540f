/* One HTTP response, as servers send it and as they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/http_response.h"

struct result {
    enum http_read got;
    unsigned status;
    bool keep;
    size_t rest; /* bytes that are not part of it */
};

static struct result read_cut(const char *text, size_t len, bool head_only, size_t first,
                              size_t piece)
{
    struct http_response *r = calloc(1, sizeof(*r));
    struct result result = {.got = HTTP_READ_MORE};
    r->head_only = head_only;
    size_t at = 0;
    while (at < len && result.got == HTTP_READ_MORE) {
        size_t n = at == 0 ? first : piece;
        n = n < len - at ? n : len - at;
        char *copy = malloc(n); /* a sanitizer sees who reads behind it */
        const char *p = copy;
        size_t left = n;
        memcpy(copy, text + at, n);
        result.got = http_response_read(r, &p, &left);
        assert_true(result.got != HTTP_READ_MORE || left == 0);
        at += n - left;
        free(copy);
    }
    result.status = r->status;
    result.keep = r->keep;
    result.rest = len - at;
    free(r);
    return result;
}

/* Whole, byte by byte, and cut at every byte: always the same. */
static struct result read_all_ways(const char *text, size_t len, bool head_only)
{
    struct result whole = read_cut(text, len, head_only, len, len);
    for (size_t cut = 0; cut < len; cut++) {
        struct result parts = cut == 0 ? read_cut(text, len, head_only, 1, 1)
                                       : read_cut(text, len, head_only, cut, len);
        assert_int_equal(parts.got, whole.got);
        if (whole.got == HTTP_READ_DONE) {
            assert_int_equal(parts.status, whole.status);
            assert_int_equal(parts.keep, whole.keep);
            assert_int_equal(parts.rest, whole.rest);
        }
    }
    return whole;
}

static void assert_done(const char *text, unsigned status, bool keep, size_t rest)
{
    struct result r = read_all_ways(text, strlen(text), false);
    assert_int_equal(r.got, HTTP_READ_DONE);
    assert_int_equal(r.status, status);
    assert_int_equal(r.keep, keep);
    assert_int_equal(r.rest, rest);
}

static void assert_got(const char *text, enum http_read got)
{
    struct result r = read_all_ways(text, strlen(text), false);
    if (r.got != got) {
        fail_msg("%d, not %d: %s", r.got, got, text);
    }
}

#define NGINX                                                                                      \
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"           \
    "Content-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n"

static void a_body_with_a_length_is_read_to_its_end(void **state)
{
    (void)state;
    assert_done(NGINX, 200, true, 0);
    assert_done(NGINX NGINX, 200, true, strlen(NGINX));
    assert_done("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503, true, 0);
    assert_got("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd", HTTP_READ_MORE);
}

static void a_connection_is_kept_as_the_server_says(void **state)
{
    (void)state;
    assert_done("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 200, false, 0);
    assert_done("HTTP/1.1 200 OK\r\ncontent-length:0\r\nCONNECTION:  x , Close\r\n\r\n", 200, false,
                0);
    assert_done("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, false, 0);
    assert_done("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", 200, true,
                0);
    assert_done("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, close\r\n\r\n",
                200, false, 0);
}

static void some_responses_have_no_body(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    struct result r = read_all_ways(head, strlen(head), true);
    assert_int_equal(r.got, HTTP_READ_DONE);
    assert_true(r.keep);
    assert_done("HTTP/1.1 204 No Content\r\n\r\n", 204, true, 0);
    assert_done("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 304, true, 0);
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_true(read_all_ways(chunked, strlen(chunked), true).keep);
}

static void a_body_that_ends_with_the_connection_is_not_waited_for(void **state)
{
    (void)state;
    assert_done("HTTP/1.0 200 OK\r\n\r\n", 200, false, 0); /* Patroni's answer to OPTIONS */
    assert_done("HTTP/1.0 503 Service Unavailable\r\nServer: BaseHTTP/0.6 Python/3.11.2\r\n"
                "Content-Type: application/json\r\n\r\n{\"state\"",
                503, false, 8);
    assert_done("HTTP/1.1 200 OK\r\n\r\n", 200, false, 0);
    assert_done("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", 200, false, 1);
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void chunks_are_read_to_their_end(void **state)
{
    (void)state;
    assert_done(CHUNKED "0\r\n\r\n", 200, true, 0);
    assert_done(CHUNKED "5\r\nhello\r\n0\r\n\r\n", 200, true, 0);
    assert_done(CHUNKED "5;a=b;c=\"d\"\r\nhello\r\n1A \r\nabcdefghijklmnopqrstuvwxyz\r\n000\r\n"
                        "X-Sum: 1\r\nY: 2\r\n\r\nrest",
                200, true, 4);
    assert_done("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\n\r\n", 200, true,
                0);
    assert_done("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding:chunked\r\n\r\n"
                "0\r\n\r\n",
                200, true, 0);
    assert_got(CHUNKED "5\r\nhello\r\n", HTTP_READ_MORE);
    assert_got(CHUNKED "0\r\nX-Sum: 1\r\n", HTTP_READ_MORE);
}

static void broken_chunks_are_refused(void **state)
{
    (void)state;
    assert_got(CHUNKED "\r\n", HTTP_READ_BROKEN);
    assert_got(CHUNKED "x\r\n", HTTP_READ_BROKEN);
    assert_got(CHUNKED "-1\r\n", HTTP_READ_BROKEN);
    assert_got(CHUNKED "0x5\r\n", HTTP_READ_BROKEN);
    assert_got(CHUNKED "5\r\nhelloX\r\n", HTTP_READ_BROKEN);
    assert_got(CHUNKED "123456789\r\n", HTTP_READ_BROKEN);
    assert_got(CHUNKED "\x15\r\n", HTTP_READ_BROKEN);
}

static void an_end_in_doubt_ends_the_connection(void **state)
{
    (void)state;
    assert_done("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                "0\r\n\r\n",
                200, false, 0);
    assert_done("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
                "0\r\n\r\n",
                200, false, 0);
}

static void interim_responses_are_skipped(void **state)
{
    (void)state;
    assert_done("HTTP/1.1 100 Continue\r\n\r\n" NGINX, 200, true, 0);
    assert_done("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n"
                "HTTP/1.1 102 Processing\r\nContent-Length: 7\r\n\r\n" NGINX,
                200, true, 0);
    assert_got("HTTP/1.1 100 Continue\r\n\r\n", HTTP_READ_MORE);
    assert_got("HTTP/1.1 101 Switching Protocols\r\n\r\n", HTTP_READ_BROKEN);
}

static void lengths_must_be_one_number(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 4",
        "Content-Length: 3,",
        "Content-Length: ,3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length: 3 3",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length: 3;",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[256];
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n\r\nabc", bad[i]);
        assert_got(text, HTTP_READ_BROKEN);
    }
    assert_done("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3, 3\r\n\r\nabc", 200,
                true, 0);
}

static void broken_heads_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "-ERR unknown command\r\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "HTTX",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 99 x\r\n\r\n",
        "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 2000 x\r\n\r\n",
        "HTTP/1.1  200 x\r\n\r\n",
        "HTTP/1.x 200 x\r\n\r\n",
        "HTTP/1.1 200\tOK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\n folded: first\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_got(bad[i], HTTP_READ_BROKEN);
    }
    static const char nul[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n";
    assert_int_equal(read_all_ways(nul, sizeof(nul) - 1, false).got, HTTP_READ_BROKEN);
}

static void lenient_forms_are_understood(void **state)
{
    (void)state;
    assert_done("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, true, 0);
    assert_done("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, true, 0);
    assert_done("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, true, 0);
    /* obs-fold: a line that begins with a space belongs to the one before */
    assert_done("HTTP/1.1 200 OK\r\nX: a\r\n b: c\r\n\t\r\nContent-Length:\r\n 2\r\n\r\nok", 200,
                true, 0);
    assert_done("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip,\r\n  chunked\r\n\r\n0\r\n\r\n", 200,
                true, 0);
}

static void bounds_hold(void **state)
{
    (void)state;
    char *text = calloc(1, 200000);
    /* A head without an end, in one line and in many. */
    size_t len = (size_t)snprintf(text, 100, "HTTP/1.1 200 OK\r\nX: ");
    memset(text + len, 'x', 9000);
    struct result r = read_cut(text, len + 9000, false, 100, 100);
    assert_int_equal(r.got, HTTP_READ_BROKEN);
    len = 0;
    for (int i = 0; i < 500; i++) {
        len += (size_t)snprintf(text + len, 100, "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n");
    }
    assert_int_equal(read_cut(text, len, false, 100, 100).got, HTTP_READ_BROKEN);
    /* The status of a long body is as good, but nobody waits for its end. */
    r = read_cut("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", 42, false, 42, 42);
    assert_int_equal(r.got, HTTP_READ_DONE);
    assert_false(r.keep);
    len = (size_t)snprintf(text, 100, CHUNKED);
    for (int i = 0; i < 10000; i++) {
        len += (size_t)snprintf(text + len, 100, "1\r\nx\r\n");
    }
    r = read_cut(text, len, false, 100, 100);
    assert_int_equal(r.got, HTTP_READ_DONE);
    assert_false(r.keep);
    len = (size_t)snprintf(text, 100, CHUNKED "ffffffff\r\n");
    r = read_cut(text, len, false, len, len);
    assert_int_equal(r.got, HTTP_READ_DONE);
    assert_false(r.keep);
    len = (size_t)snprintf(text, 100, CHUNKED "8001\r\n");
    memset(text + len, 'x', 0x8001);
    len += 0x8001;
    len += (size_t)snprintf(text + len, 100, "\r\n8000\r\n");
    r = read_cut(text, len, false, 1000, 1000);
    assert_int_equal(r.got, HTTP_READ_DONE);
    assert_false(r.keep);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_with_a_length_is_read_to_its_end),
        cmocka_unit_test(a_connection_is_kept_as_the_server_says),
        cmocka_unit_test(some_responses_have_no_body),
        cmocka_unit_test(a_body_that_ends_with_the_connection_is_not_waited_for),
        cmocka_unit_test(chunks_are_read_to_their_end),
        cmocka_unit_test(broken_chunks_are_refused),
        cmocka_unit_test(an_end_in_doubt_ends_the_connection),
        cmocka_unit_test(interim_responses_are_skipped),
        cmocka_unit_test(lengths_must_be_one_number),
        cmocka_unit_test(broken_heads_are_refused),
        cmocka_unit_test(lenient_forms_are_understood),
        cmocka_unit_test(bounds_hold),
    };
    return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
