/* libFuzzer: whatever a Sentinel publishes, in whatever pieces, the same is told of it.
 *
 * The first byte chooses the account and whether the subscriptions are confirmed before, the next
 * two how the rest is cut; the rest is what it says. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/sentinel_news.h"

#define SECRET    "QZ7-secret"
#define CONFIRM   "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"
#define FIVE      CONFIRM CONFIRM CONFIRM CONFIRM CONFIRM
#define CONFIRMED FIVE FIVE

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct probe_setup accounts[] = {
    {.master = "m"},
    {.master = "m", .user = "router", .password = SECRET},
};

struct outcome {
    unsigned ready;
    unsigned events;
    uint64_t sum; /* of what was told */
    uint64_t intentions;
    bool broken;
};

static void add(uint64_t *sum, const char *text)
{
    for (; *text != '\0'; text++) {
        assert(*text >= ' ' && *text <= '~');
        *sum = *sum * 31 + (unsigned char)*text;
    }
}

/* Whom it promotes is looked up, not shown: any bytes will do. */
static void add_intention(uint64_t *sum, const struct sentinel_news *n)
{
    bool promotes = n->intention == INTENTION_PROMOTES;
    assert(memchr(n->whom, 0, sizeof(n->whom)) != NULL && promotes == (n->whom[0] != '\0'));
    *sum = *sum * 31 + (unsigned)n->intention;
    for (const char *at = n->whom; *at != '\0'; at++) {
        *sum = *sum * 31 + (unsigned char)*at;
    }
}

static void take(struct sentinel_news *n, struct outcome *o)
{
    enum sentinel_news_step step = sentinel_news_next(n);
    for (; step == NEWS_READY || step == NEWS_EVENT; step = sentinel_news_next(n)) {
        o->ready += step == NEWS_READY;
        if (step == NEWS_EVENT) {
            o->events++;
            assert(n->text[0] != '\0' && memchr(n->text, 0, sizeof(n->text)) != NULL);
            assert(n->password == NULL || strstr(n->text, SECRET) == NULL);
            add(&o->sum, n->text);
            add_intention(&o->intentions, n);
        }
        assert(o->ready <= 1 && o->events <= 100000);
    }
    o->broken = step == NEWS_BROKEN;
    if (o->broken) {
        assert(n->why[0] != '\0' && memchr(n->why, 0, sizeof(n->why)) != NULL);
        assert(n->password == NULL || strstr(n->why, SECRET) == NULL);
    }
}

static void feed(struct sentinel_news *n, struct outcome *o, const void *data, size_t len)
{
    char *copy = malloc(len); /* a sanitizer sees its ends */
    memcpy(copy, data, len);
    assert(sentinel_news_feed(n, copy, len) == 0);
    free(copy);
    take(n, o);
}

static struct outcome run(const uint8_t *data, size_t size, size_t piece)
{
    const char *out;
    size_t len;
    struct outcome o = {0};
    struct sentinel_news *n = calloc(1, sizeof(*n));
    bool login = data[0] & 1;
    assert(sentinel_news_begin(n, &accounts[login], &out, &len) == 0);
    assert(len > 0);
    if (data[0] & 2) {
        const char *before = login ? "+OK\r\n" CONFIRMED : CONFIRMED;
        feed(n, &o, before, strlen(before));
        assert(o.ready == 1 && !o.broken);
    }
    for (size_t at = 3; at < size && !o.broken; at += piece) {
        feed(n, &o, data + at, size - at < piece ? size - at : piece);
    }
    sentinel_news_release(n);
    free(n);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > 100000) {
        return 0;
    }
    struct outcome one = run(data, size, size);
    struct outcome many = run(data, size, 1 + (data[1] | (size_t)data[2] << 8) % (size - 3));
    assert(one.ready == many.ready && one.events == many.events && one.sum == many.sum);
    assert(one.broken == many.broken && one.intentions == many.intentions);
    return 0;
}
