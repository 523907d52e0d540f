/* libFuzzer: whatever a server sends, in whatever pieces, the probe comes to the same end.
 *
 * The first byte chooses the account, the next two how the rest is cut; the rest is what the
 * server sends. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/redis_answers.h"
#include "proto/redis.h"

#define SECRET "QZ7-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct probe_setup accounts[] = {
    {.user = NULL},
    {.password = SECRET},
    {.user = "router", .password = SECRET},
};

/* Feeds pieces of `piece` bytes, each in memory of its own so that a sanitizer sees its ends. */
static enum probe_step run(const struct probe_setup *account, const uint8_t *data, size_t size,
                           size_t piece, struct observation *seen)
{
    const char *out;
    size_t out_len;
    void *talk = calloc(1, redis_probe.state_size);
    enum probe_step step = redis_probe.start(talk, account, true, &out, &out_len);
    assert(step == PROBE_STEP_READ && out_len > 0);
    *seen = (struct observation){.failures = 7, .asked = 9};
    for (size_t at = 0; at < size && step == PROBE_STEP_READ; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *copy = malloc(len);
        memcpy(copy, data + at, len);
        step = redis_probe.feed(talk, copy, len, seen, &out, &out_len);
        free(copy);
        assert(out_len == 0);
    }
    if (step == PROBE_STEP_DONE) {
        redis_probe.goodbye(talk, account, &out, &out_len);
        assert(out_len > 0);
    }
    redis_probe.release(talk);
    free(talk);
    return step;
}

static void check(const struct probe_setup *account, enum probe_step step,
                  const struct observation *o)
{
    assert(o->failures == 7 && o->asked == 9);
    assert(memchr(o->why, 0, sizeof(o->why)) != NULL);
    assert(memchr(o->follows, 0, sizeof(o->follows)) != NULL);
    assert(account->password == NULL || strstr(o->why, account->password) == NULL);
    if (step == PROBE_STEP_READ) {
        assert(o->reach == REACH_UNASKED);
    } else if (step == PROBE_STEP_FAIL) {
        assert(o->reach == REACH_DENIED || o->reach == REACH_SILENT);
        assert(o->claim == CLAIM_NONE && !o->usable && o->why[0] != '\0');
    } else {
        assert(o->reach == REACH_ANSWERED && o->claim != CLAIM_NONE);
        assert(!o->usable || (o->claim == CLAIM_PRIMARY && o->why[0] == '\0'));
        assert(o->identity[0] != '\0' && o->lineage.id[0] != '\0' && o->lineage.offset >= 0);
        assert((o->lineage.previous_id[0] == '\0') == (o->lineage.previous_end == -1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > 100000) {
        return 0;
    }
    const struct probe_setup *account =
        &accounts[data[0] % (sizeof(accounts) / sizeof(accounts[0]))];
    size_t piece = 1 + (data[1] | (size_t)data[2] << 8) % (size - 3);
    struct observation whole;
    struct observation parts;
    enum probe_step one = run(account, data + 3, size - 3, size, &whole);
    enum probe_step many = run(account, data + 3, size - 3, piece, &parts);
    check(account, one, &whole);
    check(account, many, &parts);
    if (many == PROBE_STEP_DONE && one == PROBE_STEP_FAIL) {
        /* The pieces ended with the answer, the whole had more behind it. */
        assert(strstr(whole.why, "more than it was asked") != NULL);
    } else if (one == PROBE_STEP_FAIL && many == PROBE_STEP_FAIL &&
               strstr(whole.why, "more than it was asked") != NULL) {
        assert(parts.reach == REACH_DENIED); /* may have seen first that the end is broken */
    } else {
        assert(one == many && same_observation(&whole, &parts));
    }
    return 0;
}
