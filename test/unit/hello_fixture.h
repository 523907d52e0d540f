/* ClientHellos made by hand, cut into records of any size, and looked at in any split. Every buffer
 * is as long as its bytes, so that a sanitizer sees who reads behind them. */
#ifndef ROUTER_TEST_HELLO_FIXTURE_H
#define ROUTER_TEST_HELLO_FIXTURE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tls_hello.h"

#define HELLO_BYTES_MAX 130000
#define EXT_SERVER_NAME 0
#define EXT_ALPN        16
#define EXT_PADDING     21
#define EXT_ECH         0xfe0d

struct bytes {
    size_t len;
    unsigned char data[HELLO_BYTES_MAX];
};

static inline struct bytes *bytes_new(void)
{
    return calloc(1, sizeof(struct bytes));
}

static inline void put(struct bytes *b, const void *data, size_t len)
{
    assert(b->len + len <= sizeof b->data);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static inline void put_fill(struct bytes *b, int c, size_t count)
{
    assert(b->len + count <= sizeof b->data);
    memset(b->data + b->len, c, count);
    b->len += count;
}

static inline void put_number(struct bytes *b, size_t n, unsigned width)
{
    while (width-- > 0) {
        put_fill(b, (int)(n >> (8 * width) & 0xff), 1);
    }
}

/* A vector is what is put between these two; its length stands before it. */
static inline size_t open_vector(struct bytes *b, unsigned width)
{
    put_number(b, 0, width);
    return b->len;
}

static inline void close_vector(struct bytes *b, size_t start, unsigned width)
{
    size_t n = b->len - start;
    for (unsigned i = 0; i < width; i++) {
        b->data[start - 1 - i] = (unsigned char)(n >> (8 * i));
    }
}

static inline void put_extension(struct bytes *b, unsigned type, const void *data, size_t len)
{
    put_number(b, type, 2);
    put_number(b, len, 2);
    put(b, data, len);
}

static inline void put_padding(struct bytes *b, size_t len)
{
    put_number(b, EXT_PADDING, 2);
    put_number(b, len, 2);
    put_fill(b, 0, len);
}

/* One entry of a ServerNameList. */
static inline void put_name(struct bytes *b, unsigned type, const void *name, size_t len)
{
    put_number(b, type, 1);
    put_number(b, len, 2);
    put(b, name, len);
}

static inline void put_server_name(struct bytes *b, const void *name, size_t len)
{
    put_number(b, EXT_SERVER_NAME, 2);
    size_t extension = open_vector(b, 2);
    size_t list = open_vector(b, 2);
    put_name(b, 0, name, len);
    close_vector(b, list, 2);
    close_vector(b, extension, 2);
}

/* Up to the extensions, which the caller puts; `extensions` may be NULL for none at all. */
static inline size_t begin_hello(struct bytes *b, size_t *extensions)
{
    put_number(b, 1, 1);
    size_t message = open_vector(b, 3);
    put_number(b, 0x0303, 2);
    put_fill(b, 0x5a, 32);
    put_number(b, 32, 1);
    put_fill(b, 0xa5, 32);
    put_number(b, 6, 2);
    put_number(b, 0x0a0a1301c02fu, 6); /* GREASE before two that exist */
    put_number(b, 0x0100, 2);
    if (extensions != NULL) {
        *extensions = open_vector(b, 2);
    }
    return message;
}

static inline void end_hello(struct bytes *b, size_t message, size_t extensions)
{
    close_vector(b, extensions, 2);
    close_vector(b, message, 3);
}

/* The message cut into records of `size` bytes. */
static inline struct bytes *into_records(const void *message, size_t len, size_t size)
{
    struct bytes *out = bytes_new();
    for (size_t at = 0; at < len; at += size) {
        size_t now = len - at < size ? len - at : size;
        put_number(out, 0x160301, 3);
        put_number(out, now, 2);
        put(out, (const char *)message + at, now);
    }
    return out;
}

/* A hello with this name between other extensions, in records of `size` bytes. */
static inline struct bytes *named_hello(const void *name, size_t len, size_t size)
{
    struct bytes *b = bytes_new();
    size_t extensions;
    size_t message = begin_hello(b, &extensions);
    put_extension(b, 0x1a1a, "", 0);
    put_server_name(b, name, len);
    put_extension(b, EXT_ALPN, "\0\3\2h2", 5);
    end_hello(b, message, extensions);
    struct bytes *records = into_records(b->data, b->len, size);
    free(b);
    return records;
}

/* Shows `len` bytes in memory of exactly that size. */
static inline enum tls_hello_step look(struct tls_hello *h, const void *data, size_t len,
                                       const char **why)
{
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    enum tls_hello_step step = tls_hello_look(h, copy, len, why);
    free(copy);
    return step;
}

/* Grown by `piece` bytes from look to look until there is an answer. *seen: how many it took. */
static inline enum tls_hello_step look_in_pieces(struct tls_hello *h, const void *data, size_t len,
                                                 size_t piece, size_t *seen, const char **why)
{
    enum tls_hello_step step = TLS_HELLO_MORE;
    tls_hello_init(h);
    for (*seen = 0; *seen < len && step == TLS_HELLO_MORE;) {
        *seen += len - *seen < piece ? len - *seen : piece;
        step = look(h, data, *seen, why);
    }
    return step;
}

#endif
