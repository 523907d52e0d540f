/* Payloads of requests, for tests: in memory of their own, and built by hand. */
#ifndef TEST_REQUEST_FIXTURE_H
#define TEST_REQUEST_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "proto/mysql_handshake.h"

#define ALL   0xffffffffU
#define MYSQL 0x19fff7dfU /* what a router offers for MySQL 9.7, without TLS */
#define NEVER (MYSQL_CAP_COMPRESS | MYSQL_CAP_ZSTD | MYSQL_CAP_OPTIONAL_METADATA | 0xe0000000U)

/* The least that a client claims. */
#define LOGIN                                                                                      \
    (MYSQL_CAP_LONG_PASSWORD | MYSQL_CAP_PROTOCOL_41 | MYSQL_CAP_SECURE_CONNECTION |               \
     MYSQL_CAP_PLUGIN_AUTH)
#define REST(text) text, sizeof(text) - 1

/* A sanitizer sees who reads behind it. */
struct payload {
    char *data;
    size_t len;
};

static inline struct payload payload_of(const void *data, size_t len)
{
    struct payload p = {.data = malloc(len > 0 ? len : 1), .len = len};
    memcpy(p.data, data, len);
    return p;
}

static inline void assert_text(struct mysql_text text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

#endif
