/* What a hello must come to, in every split. */
#ifndef ROUTER_TEST_HELLO_CHECKS_H
#define ROUTER_TEST_HELLO_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hello_fixture.h"

/* What is found in these bytes, whole, byte by byte and at every split. Fails unless all agree and
 * no byte more than necessary was awaited. */
static inline enum tls_hello_step find(const void *data, size_t len, char name[256],
                                       const char **why)
{
    struct tls_hello h;
    size_t needed;
    *why = NULL;
    enum tls_hello_step step = look_in_pieces(&h, data, len, 1, &needed, why);
    memcpy(name, h.name, sizeof h.name);
    assert_true(step == TLS_HELLO_DONE || name[0] == '\0');
    assert_true((*why != NULL) == (step == TLS_HELLO_BAD || step == TLS_HELLO_NONE));
    for (size_t split = 0; split <= len; split += len > 2000 ? 97 : 1) {
        const char *now = NULL;
        tls_hello_init(&h);
        enum tls_hello_step first = look(&h, data, split, &now);
        assert_int_equal(first, split < needed ? TLS_HELLO_MORE : step);
        assert_int_equal(look(&h, data, len, &now), step);
        assert_string_equal(h.name, name);
        assert_ptr_equal(now, *why);
    }
    return step;
}

static inline void assert_name(const struct bytes *b, const char *expected)
{
    char name[256];
    const char *why;
    enum tls_hello_step step = find(b->data, b->len, name, &why);
    assert_string_equal(why != NULL ? why : "", "");
    assert_int_equal(step, TLS_HELLO_DONE);
    assert_string_equal(name, expected);
}

static inline void assert_bad(const struct bytes *b, const char *words)
{
    char name[256];
    const char *why;
    assert_int_equal(find(b->data, b->len, name, &why), TLS_HELLO_BAD);
    if (why == NULL || strstr(why, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, why != NULL ? why : "");
    }
}

#endif
