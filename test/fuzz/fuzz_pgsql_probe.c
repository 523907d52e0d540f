/* libFuzzer: whatever a server sends, in whatever pieces, the probe comes to the same end.
 *
 * The first byte chooses the account, the next two how the rest is cut; the rest is what the
 * server sends. Where TLS is agreed on, it is taken to begin at once. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/pgsql_answers.h"
#include "proto/pgsql.h"

#define SECRET "QZ7-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct probe_setup accounts[] = {
    {.user = "router"},
    {.user = "router", .password = SECRET},
    {.user = "router", .password = SECRET, .local = true},
    {.user = "router", .password = SECRET, .tls = true},
    {.password = SECRET},
};

static enum probe_step feed(void *talk, const uint8_t *data, size_t len, struct observation *seen)
{
    const char *out;
    size_t out_len;
    char *copy = malloc(len); /* a sanitizer sees its ends */
    memcpy(copy, data, len);
    enum probe_step step = pgsql_probe.feed(talk, copy, len, seen, &out, &out_len);
    free(copy);
    if (step == PROBE_STEP_TLS) {
        assert(out_len == 0);
        step = pgsql_probe.feed(talk, NULL, 0, seen, &out, &out_len);
        assert(step == PROBE_STEP_READ && out_len > 0);
    }
    return step;
}

/* A byte that TLS follows stands alone, as the rest would be encrypted. */
static enum probe_step run(const struct probe_setup *account, const uint8_t *data, size_t size,
                           size_t piece, struct observation *seen)
{
    const char *out;
    size_t out_len;
    void *talk = calloc(1, pgsql_probe.state_size);
    enum probe_step step = pgsql_probe.start(talk, account, true, &out, &out_len);
    assert(step == PROBE_STEP_READ && out_len > 0);
    *seen = (struct observation){.failures = 7, .asked = 9};
    size_t at = 0;
    if (account->tls) {
        step = feed(talk, data, 1, seen);
        at = 1;
    }
    for (; at < size && step == PROBE_STEP_READ; at += piece) {
        step = feed(talk, data + at, size - at < piece ? size - at : piece, seen);
    }
    if (step == PROBE_STEP_DONE && at < size) {
        pgsql_probe.unasked(talk, (const char *)data + at, size - at);
        step = pgsql_probe.start(talk, account, false, &out, &out_len);
        assert(step == PROBE_STEP_READ && out_len > 0);
        step = PROBE_STEP_DONE;
    }
    pgsql_probe.goodbye(talk, account, &out, &out_len);
    pgsql_probe.release(talk);
    free(talk);
    return step;
}

static void check(const struct probe_setup *account, enum probe_step step,
                  const struct observation *o)
{
    assert(o->failures == 7 && o->asked == 9);
    assert(memchr(o->why, 0, sizeof(o->why)) != NULL);
    assert(memchr(o->channels[0].source, 0, sizeof(o->channels[0].source)) != NULL);
    assert(account->password == NULL || strstr(o->why, SECRET) == NULL);
    if (step == PROBE_STEP_READ) {
        assert(o->reach == REACH_UNASKED);
    } else if (step == PROBE_STEP_FAIL) {
        assert(o->reach == REACH_DENIED || o->reach == REACH_SILENT || o->reach == REACH_REFUSED);
        assert(!o->writable && o->why[0] != '\0');
    } else {
        assert(step == PROBE_STEP_DONE);
        assert(o->reach == REACH_ANSWERED && o->part == PART_SOURCE && o->claim == CLAIM_NONE);
        assert(o->identity[0] != '\0' && o->channel_count <= 1);
        assert(!o->writable || (o->channel_count == 0 && o->term > 0 && o->position >= 0));
        assert(o->position >= -1 && o->behind_ms >= -1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5 || size > 100000) {
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
    } else {
        assert(one == many && same_role(&whole, &parts));
    }
    return 0;
}
