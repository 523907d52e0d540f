/* libFuzzer: whatever a client sends, in whatever pieces, it comes to the same commands, and they
 * are those that a reader finds who has all bytes before it and no shortcuts.
 *
 * The first two bytes choose the pieces; the rest is what the client sends. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/redis_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How the first command came out. */
struct outcome {
    struct redis_request r;
    enum redis_scan scan;
    const char *why;
};

static void check(const struct redis_request *r, enum redis_scan scan)
{
    assert(r->declared >= r->len && (scan == REDIS_MORE || r->declared == r->len));
    assert(r->word_count <= REDIS_WORDS_MAX && (scan == REDIS_MORE || r->word_count <= r->argc));
    assert(r->is_inline || !r->is_odd);
    uint64_t end = 0;
    for (unsigned i = 0; i < r->word_count; i++) {
        assert(r->words[i].at >= end);
        end = (uint64_t)r->words[i].at + r->words[i].len;
        assert(end <= r->len);
    }
}

/* One command, each piece in memory of its own so that a sanitizer sees its ends. */
static struct outcome run(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome o = {.scan = REDIS_MORE};
    uint64_t declared = 0;
    for (size_t at = 0; at < size && o.scan == REDIS_MORE; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *copy = malloc(len);
        size_t used = SIZE_MAX;
        memcpy(copy, data + at, len);
        o.scan = redis_request_feed(&o.r, copy, len, &used, &o.why);
        free(copy);
        assert((o.scan == REDIS_BAD) == (o.why != NULL));
        if (o.scan != REDIS_BAD) {
            assert(used <= len && (o.scan == REDIS_WHOLE || used == len));
            assert(o.r.len == at + used && o.r.declared >= declared);
            check(&o.r, o.scan);
            declared = o.r.declared;
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
    assert(a->r.len == b->r.len && a->r.declared == b->r.declared && a->r.argc == b->r.argc);
    assert(a->r.word_count == b->r.word_count);
    assert(a->r.is_inline == b->r.is_inline && a->r.is_odd == b->r.is_odd);
    for (unsigned i = 0; i < a->r.word_count; i++) {
        assert(a->r.words[i].at == b->r.words[i].at && a->r.words[i].len == b->r.words[i].len);
    }
}

/* The number behind a '*' or '$' at `at`; moves behind its line. */
static long long read_number(const uint8_t *data, size_t *at)
{
    char *end;
    long long n = strtoll((const char *)data + *at + 1, &end, 10);
    assert(end[0] == '\r' && end[1] == '\n');
    *at = (size_t)((const uint8_t *)end - data) + 2;
    return n;
}

/* Reads a whole command again. `data` ends in NUL. */
static void read_again(const uint8_t *data, const struct redis_request *r)
{
    size_t at = 0;
    if (data[0] != '*') {
        const uint8_t *end = memchr(data, '\n', REDIS_INLINE_MAX + 1);
        assert(r->is_inline && end != NULL && r->len == (size_t)(end - data) + 1);
        return;
    }
    long long count = read_number(data, &at);
    assert(r->argc == (count > 0 ? (uint64_t)count : 0));
    for (long long i = 0; i < count; i++) {
        assert(data[at] == '$');
        long long len = read_number(data, &at);
        if (i < REDIS_WORDS_MAX) {
            assert(r->words[i].at == at && r->words[i].len == len);
        }
        at += (size_t)len + 2;
        assert(at <= r->len && data[at - 2] == '\r' && data[at - 1] == '\n');
    }
    assert(at == r->len);
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
            read_again(at, &whole.r);
            at += whole.r.len;
            left -= whole.r.len;
        }
    }
    free(stream);
    return 0;
}
