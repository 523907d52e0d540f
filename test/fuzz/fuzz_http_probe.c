/* libFuzzer: whatever a server sends, in whatever pieces, the HTTP check and Patroni's probe come
 * to the same end.
 *
 * The first byte chooses the dialogue, the next two how the rest is cut; the rest is what the
 * server sends. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/observation.h"
#include "proto/http_probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_expect expect = {.ranges = {{200, 299}}, .count = 1};
static const struct http_check get = {.method = (char *)"GET", .target = (char *)"/health"};
static const struct http_check head = {.method = (char *)"HEAD", .target = (char *)"/health"};

static const struct {
    const struct probe_dialogue *dialogue;
    struct probe_setup setup;
} talks[] = {
    {&http_probe, {.http = &get, .http_expect = &expect, .host = "h"}},
    {&http_probe, {.http = &head, .http_expect = &expect, .host = "h"}},
    {&patroni_probe, {.host = "h", .lag_bytes = 100}},
};

static enum probe_step feed(const struct probe_dialogue *dialogue, void *talk, const uint8_t *data,
                            size_t len, struct observation *seen)
{
    const char *out;
    size_t out_len;
    char *copy = malloc(len); /* a sanitizer sees its ends */
    memcpy(copy, data, len);
    enum probe_step step = dialogue->feed(talk, copy, len, seen, &out, &out_len);
    free(copy);
    if (step == PROBE_STEP_ANEW) {
        assert(out_len == 0 && seen->reach == REACH_UNASKED);
        step = dialogue->feed(talk, NULL, 0, seen, &out, &out_len);
        assert(step == PROBE_STEP_READ && out_len > 0);
        return PROBE_STEP_ANEW;
    }
    return step;
}

static void check(enum probe_step step, const struct observation *o)
{
    assert(o->failures == 7 && o->asked == 9);
    assert(memchr(o->why, 0, sizeof(o->why)) != NULL);
    if (step == PROBE_STEP_READ || step == PROBE_STEP_ANEW) {
        assert(o->reach == REACH_UNASKED);
    } else if (step == PROBE_STEP_FAIL) {
        assert(o->reach == REACH_DENIED && o->why[0] != '\0');
        assert(o->authority == WORD_NONE && o->readable == WORD_NONE);
    } else {
        assert(step == PROBE_STEP_DONE || step == PROBE_STEP_LAST);
        assert((o->reach == REACH_ANSWERED) == (o->why[0] == '\0'));
        assert(o->authority != WORD_YES || o->readable == WORD_NO);
    }
}

/* Ends with the first response whose connection ends: what is behind it belongs to nobody. */
static enum probe_step run(size_t which, const uint8_t *data, size_t size, size_t piece,
                           struct observation *seen)
{
    const struct probe_dialogue *dialogue = talks[which].dialogue;
    const char *out;
    size_t out_len;
    void *talk = calloc(1, dialogue->state_size);
    enum probe_step step = dialogue->start(talk, &talks[which].setup, true, &out, &out_len);
    assert(step == PROBE_STEP_READ && out_len > 0);
    *seen = (struct observation){.failures = 7, .asked = 9};
    for (size_t at = 0; at < size && step == PROBE_STEP_READ; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        step = feed(dialogue, talk, data + at, len, seen);
    }
    check(step, seen);
    dialogue->release(talk);
    free(talk);
    return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5 || size > 200000) {
        return 0;
    }
    size_t which = data[0] % (sizeof(talks) / sizeof(talks[0]));
    size_t piece = 1 + (data[1] | (size_t)data[2] << 8) % (size - 3);
    struct observation whole;
    struct observation parts;
    enum probe_step one = run(which, data + 3, size - 3, size, &whole);
    enum probe_step many = run(which, data + 3, size - 3, piece, &parts);
    if (one == PROBE_STEP_FAIL && strstr(whole.why, "more than it was asked") != NULL) {
        return 0; /* the pieces ended with the answer, or went on to the next question */
    }
    assert(one == many && whole.reach == parts.reach && strcmp(whole.why, parts.why) == 0);
    assert(whole.authority == parts.authority && whole.readable == parts.readable);
    return 0;
}
