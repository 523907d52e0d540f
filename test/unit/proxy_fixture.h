/* PROXY headers shown whole, at every length, and with something behind them. */
#ifndef ROUTER_TEST_PROXY_FIXTURE_H
#define ROUTER_TEST_PROXY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_HEADER SIGNATURE "\x21\x11\0\xc\300\250\0\1\300\250\0\13\334\4\1\273"

/* Parses in memory of exactly this size. */
static inline enum proxy_step parse(const char *data, size_t len, size_t *used,
                                    struct proxy_header *out, const char **why)
{
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    *why = NULL;
    memset(out, 0x5a, sizeof *out);
    enum proxy_step step = proxy_header_parse(copy, len, used, out, why);
    free(copy);
    assert_true((step == PROXY_BAD) == (*why != NULL));
    return step;
}

/* Every beginning wants more until `needed` bytes are there; from then on the answer stays,
 * whatever follows. */
static inline void check_beginnings(const char *data, size_t len, size_t needed,
                                    enum proxy_step step)
{
    struct proxy_header out;
    size_t used;
    const char *why;
    char *more = calloc(1, len + 5000);
    memcpy(more, data, len);
    memset(more + len, 'x', 5000);
    for (size_t n = 0; n <= len; n++) {
        assert_int_equal(parse(more, n, &used, &out, &why), n < needed ? PROXY_MORE : step);
    }
    assert_int_equal(parse(more, len + 1, &used, &out, &why), step);
    assert_int_equal(parse(more, len + 5000, &used, &out, &why), step);
    assert_int_equal(used, step == PROXY_DONE ? needed : used);
    free(more);
}

static inline void assert_client(const struct proxy_header *h, const char *from, const char *to)
{
    char text[ADDRESS_TEXT_MAX];
    assert_false(h->local);
    assert_string_equal(address_print(&h->from, text), from);
    assert_string_equal(address_print(&h->to, text), to);
}

static inline struct proxy_header read_all(const char *data, size_t len)
{
    struct proxy_header h;
    size_t used;
    const char *why;
    check_beginnings(data, len, len, PROXY_DONE);
    assert_int_equal(parse(data, len, &used, &h, &why), PROXY_DONE);
    assert_int_equal(used, len);
    return h;
}

/* Refused with words like these once `needed` bytes are there, and not before. */
static inline void assert_bad(const char *data, size_t len, size_t needed, const char *words)
{
    struct proxy_header h;
    size_t used;
    const char *why;
    check_beginnings(data, len, needed, PROXY_BAD);
    assert_int_equal(parse(data, len, &used, &h, &why), PROXY_BAD);
    if (why == NULL || strstr(why, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, why != NULL ? why : "");
    }
}

#endif
