/* A PROXY header that holds anything, in every split, comes to one answer within its bounds; and
 * what addresses it names, we can write so that they are read again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of exactly this size, so that a sanitizer sees who reads behind it. */
static enum proxy_step parse(const void *data, size_t len, size_t *used, struct proxy_header *out,
                             const char **why)
{
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    enum proxy_step step = proxy_header_parse(copy, len, used, out, why);
    free(copy);
    return step;
}

static bool same(const struct address *a, const struct address *b)
{
    char one[ADDRESS_TEXT_MAX];
    char other[ADDRESS_TEXT_MAX];
    return strcmp(address_print(a, one), address_print(b, other)) == 0;
}

static void write_and_read(const struct proxy_header *h)
{
    for (int version = PROXY_V1; version <= PROXY_V2; version++) {
        char *out = malloc(PROXY_HEADER_OUT_MAX);
        struct proxy_header again;
        size_t used;
        const char *why;
        size_t len = proxy_header_build(out, (enum proxy_version)version, &h->from, &h->to);
        enum proxy_step step = parse(out, len, &used, &again, &why);
        assert(step == PROXY_DONE && used == len && !again.local);
        assert(same(&h->from, &again.from) && same(&h->to, &again.to));
        free(out);
    }
}

static void check(const struct proxy_header *h, size_t used)
{
    assert(used >= 15 && used <= PROXY_HEADER_MAX);
    if (!h->local) {
        int family = h->from.sa.any.sa_family;
        assert(family == h->to.sa.any.sa_family && (family == AF_INET || family == AF_INET6));
        write_and_read(h);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole;
    size_t used = 0;
    const char *why = NULL;
    enum proxy_step step = parse(data, size, &used, &whole, &why);
    assert((step == PROXY_BAD) == (why != NULL));
    assert(step != PROXY_MORE || size < PROXY_HEADER_MAX);
    if (step == PROXY_DONE) {
        assert(used <= size);
        check(&whole, used);
    }
    enum proxy_step before = PROXY_MORE;
    for (size_t len = 0; len <= size && len <= PROXY_HEADER_MAX + 1; len++) {
        struct proxy_header part;
        size_t part_used = 0;
        const char *part_why = NULL;
        enum proxy_step now = parse(data, len, &part_used, &part, &part_why);
        assert(before == PROXY_MORE || now == before); /* an answer stays */
        assert(now == PROXY_MORE || (now == step && part_why == why));
        assert((now == PROXY_DONE) == (step == PROXY_DONE && len >= used));
        assert(now != PROXY_DONE || (part_used == used && part.local == whole.local));
        before = now;
    }
    assert(before == step);
    return 0;
}
