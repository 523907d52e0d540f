/* libFuzzer: whatever a Sentinel answers, in whatever pieces, the dialogue comes to the same end.
 *
 * The first byte chooses the account, the next two how the rest is cut; the rest is what it
 * answers. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/macros.h"
#include "model/observation.h"
#include "proto/sentinel_probe.h"

#define SECRET "QZ7-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct probe_setup accounts[] = {
    {.master = "mymaster"},
    {.master = "mymaster", .password = SECRET},
    {.master = "mymaster", .user = "router", .password = SECRET},
};

/* Feeds pieces of `piece` bytes, each in memory of its own so that a sanitizer sees its ends. */
static enum probe_step run(const struct probe_setup *account, const uint8_t *data, size_t size,
                           size_t piece, struct observation *seen)
{
    const char *out;
    size_t out_len;
    void *talk = calloc(1, sentinel_probe.state_size);
    enum probe_step step = sentinel_probe.start(talk, account, true, &out, &out_len);
    assert(step == PROBE_STEP_READ && out_len > 0);
    *seen = (struct observation){.failures = 7, .asked = 9};
    for (size_t at = 0; at < size && step == PROBE_STEP_READ; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *copy = malloc(len);
        memcpy(copy, data + at, len);
        step = sentinel_probe.feed(talk, copy, len, seen, &out, &out_len);
        free(copy);
        assert(out_len == 0);
    }
    sentinel_probe.release(talk);
    free(talk);
    return step;
}

static void check(const struct probe_setup *account, enum probe_step step,
                  const struct observation *o)
{
    struct address address;
    assert(o->failures == 7 && o->asked == 9 && o->claim == CLAIM_NONE);
    assert(memchr(o->why, 0, sizeof(o->why)) != NULL);
    assert(memchr(o->follows, 0, sizeof(o->follows)) != NULL);
    assert(account->password == NULL || strstr(o->why, SECRET) == NULL);
    if (step == PROBE_STEP_READ) {
        assert(o->reach == REACH_UNASKED);
    } else if (step == PROBE_STEP_FAIL) {
        assert(o->reach == REACH_DENIED || o->reach == REACH_SILENT);
        assert(o->follows[0] == '\0' && o->why[0] != '\0');
    } else {
        assert(o->reach == REACH_ANSWERED && (o->follows[0] == '\0') == (o->why[0] != '\0'));
        address_parse(&address, o->follows);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char extra[] = "more than it was asked";
    if (size < 4 || size > 100000) {
        return 0;
    }
    const struct probe_setup *account = &accounts[data[0] % ARRAY_LEN(accounts)];
    size_t piece = 1 + (data[1] | (size_t)data[2] << 8) % (size - 3);
    struct observation whole;
    struct observation parts;
    enum probe_step one = run(account, data + 3, size - 3, size, &whole);
    enum probe_step many = run(account, data + 3, size - 3, piece, &parts);
    check(account, one, &whole);
    check(account, many, &parts);
    if (one == PROBE_STEP_FAIL && many == PROBE_STEP_DONE) {
        /* The pieces ended with the answer, the whole had more behind it, or too much of it. */
        assert(strstr(whole.why, extra) != NULL || strstr(whole.why, "KB") != NULL);
    } else {
        assert(one == many && strcmp(whole.follows, parts.follows) == 0);
    }
    return 0;
}
