/* libFuzzer: whatever a server sends, in whatever pieces, it comes to the same replies, and they
 * are those that a reader finds who has all bytes before it and calls itself for what is nested.
 *
 * The first two bytes choose the pieces; the rest is what the server sends. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/redis_reply.h"

#define DEPTH_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How the first reply came out. */
struct outcome {
    struct redis_reply r;
    enum redis_scan scan;
    const char *why;
};

static void check(const struct redis_reply *r, enum redis_scan scan)
{
    assert(r->head_len <= REDIS_HEAD_MAX);
    assert(r->type == '\0' || strchr("+-:$*_,#!=(%~>", r->type) != NULL);
    assert(r->type != '\0' || (r->head_len == 0 && !r->head_whole));
    assert(r->head_len < REDIS_HEAD_MAX || r->head_whole);
    assert(scan != REDIS_WHOLE || (r->type != '\0' && r->head_whole && r->len >= 3));
}

/* One reply, each piece in memory of its own so that a sanitizer sees its ends. */
static struct outcome run(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome o = {.scan = REDIS_MORE};
    for (size_t at = 0; at < size && o.scan == REDIS_MORE; at += piece) {
        struct redis_reply before = o.r;
        size_t len = size - at < piece ? size - at : piece;
        char *copy = malloc(len);
        size_t used = SIZE_MAX;
        memcpy(copy, data + at, len);
        o.scan = redis_reply_feed(&o.r, copy, len, &used, &o.why);
        free(copy);
        assert((o.scan == REDIS_BAD) == (o.why != NULL));
        if (o.scan != REDIS_BAD) {
            assert(used <= len && (o.scan == REDIS_WHOLE || used == len));
            assert(o.r.len == at + used);
            check(&o.r, o.scan);
            /* What was said once stays so. */
            assert(before.type == '\0' || before.type == o.r.type);
            assert(!before.head_whole || (o.r.head_whole && before.head_len == o.r.head_len));
            assert(memcmp(before.head, o.r.head, before.head_len) == 0);
        }
    }
    return o;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert(a->scan == b->scan);
    if (a->scan == REDIS_BAD) {
        assert(strcmp(a->why, b->why) == 0);
        return;
    }
    assert(a->r.len == b->r.len && a->r.type == b->r.type);
    assert(a->r.head_len == b->r.head_len && a->r.head_whole == b->r.head_whole);
    assert(memcmp(a->r.head, b->r.head, a->r.head_len) == 0);
}

/* The end of the value at `data`, which is known to be whole; NULL: too deep to tell. */
static const char *read_again(const char *data, unsigned depth)
{
    const char *line = strstr(data, "\r\n");
    if (strchr("+-:_,#(", data[0]) != NULL) {
        /* What holds NULs is not for strstr(). */
        for (line = data; line[0] != '\r' || line[1] != '\n'; line++) {
        }
        return line + 2;
    }
    long long n = strtoll(data + 1, NULL, 10);
    const char *at = line + 2;
    if (strchr("$!=", data[0]) != NULL) {
        return n < 0 ? at : at + n + 2;
    }
    long long values = data[0] == '%' || data[0] == '|' ? 2 * n : n;
    if (data[0] == '|') {
        values++;
    }
    for (long long i = 0; i < values && at != NULL; i++) {
        at = depth < DEPTH_MAX ? read_again(at, depth + 1) : NULL;
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 20000) {
        return 0;
    }
    size_t piece = 1 + (data[0] | (size_t)data[1] << 8) % (size - 2);
    size_t left = size - 2;
    uint8_t *stream = calloc(1, left + 1);
    memcpy(stream, data + 2, left);
    const uint8_t *at = stream;
    for (struct outcome whole = {.scan = REDIS_WHOLE}; left > 0 && whole.scan == REDIS_WHOLE;) {
        whole = run(at, left, left);
        struct outcome parts = run(at, left, piece);
        struct outcome bytes = run(at, left, 1);
        assert_same(&whole, &parts);
        assert_same(&whole, &bytes);
        if (whole.scan == REDIS_WHOLE) {
            const char *end = read_again((const char *)at, 0);
            assert(end == NULL || end == (const char *)at + whole.r.len);
            at += whole.r.len;
            left -= whole.r.len;
        }
    }
    free(stream);
    return 0;
}
