/* Whatever a server sends, in whatever pieces, the probe of MySQL comes to an end within its
 * bounds, tells no secret and says why.
 *
 * The first byte chooses the account and the topology, the next two how the rest is cut; the rest
 * is what the server sends. It cannot know what we send: proofs are not checked by it. A marker of
 * four bytes ends a turn, because a server that speaks before it is asked is refused at once. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/observation.h"
#include "proto/mysql.h"

#define SECRET "QZ7-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct probe_setup accounts[] = {
    {.user = NULL},
    {.user = "router", .password = SECRET},
    {.user = "router", .password = SECRET, .tls = true},
    {.user = "router", .password = SECRET, .database = "app", .local = true},
};

static const char end_of_turn[] = {'\177', 'E', 'O', 'T'};

struct talk {
    void *state;
    struct observation seen;
    enum probe_step step;
    const char *out;
    size_t out_len;
};

/* Pieces of `piece` bytes, each in memory of its own so that a sanitizer sees its ends. */
static void feed(struct talk *t, const uint8_t *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && t->step == PROBE_STEP_READ; at += piece) {
        size_t now = len - at < piece ? len - at : piece;
        char *copy = malloc(now);
        memcpy(copy, data + at, now);
        t->step = mysql_probe.feed(t->state, copy, now, &t->seen, &t->out, &t->out_len);
        assert((t->out_len > 0) == (t->out != NULL));
        free(copy);
        if (t->step == PROBE_STEP_TLS) {
            assert(t->out_len == 36);
            t->step = mysql_probe.feed(t->state, NULL, 0, &t->seen, &t->out, &t->out_len);
        }
    }
}

static size_t turn_length(const uint8_t *data, size_t size)
{
    const uint8_t *end = memmem(data, size, end_of_turn, sizeof end_of_turn);
    return end != NULL ? (size_t)(end - data) : size;
}

static enum probe_step run(const struct probe_setup *account, const uint8_t *data, size_t size,
                           size_t piece, struct observation *seen)
{
    struct talk t = {.state = calloc(1, mysql_probe.state_size)};
    t.seen = (struct observation){.failures = 7, .asked = 9};
    assert(mysql_probe.unfinished(t.state));
    t.step = mysql_probe.start(t.state, account, true, &t.out, &t.out_len);
    assert(t.step == PROBE_STEP_READ && t.out_len == 0);
    while (size > 0 && t.step != PROBE_STEP_FAIL) {
        size_t len = turn_length(data, size);
        feed(&t, data, len, piece);
        len += len < size ? sizeof end_of_turn : 0;
        data += len;
        size -= len;
        if (t.step == PROBE_STEP_DONE && size > 0) { /* the next probe of a kept connection */
            assert(!mysql_probe.unfinished(t.state));
            t.step = mysql_probe.start(t.state, account, false, &t.out, &t.out_len);
            assert(t.step == PROBE_STEP_READ && t.out_len > 5);
        }
    }
    *seen = t.seen;
    mysql_probe.release(t.state);
    free(t.state);
    return t.step;
}

static void check(const struct probe_setup *account, enum probe_step step,
                  const struct observation *o)
{
    assert(o->failures == 7 && o->asked == 9);
    assert(memchr(o->why, 0, sizeof o->why) != NULL);
    assert(memchr(o->id, 0, sizeof o->id) != NULL);
    assert(memchr(o->group, 0, sizeof o->group) != NULL);
    assert(memchr(o->identity, 0, sizeof o->identity) != NULL);
    assert(memchr(o->follows, 0, sizeof o->follows) != NULL);
    assert(account->password == NULL || strstr(o->why, SECRET) == NULL);
    for (const char *p = o->why; *p != '\0'; p++) {
        assert(*p >= ' ' && *p <= '~');
    }
    if (step == PROBE_STEP_FAIL) {
        assert(o->reach != REACH_UNASKED && o->reach != REACH_ANSWERED);
        assert(o->claim == CLAIM_NONE && !o->usable && o->why[0] != '\0');
    } else if (step == PROBE_STEP_DONE) {
        assert(o->reach == REACH_ANSWERED && o->channel_count <= CHANNELS_MAX);
        assert(!o->usable || (o->claim == CLAIM_PRIMARY && o->part != PART_SOURCE));
        assert(o->part != PART_SOURCE || o->claim == CLAIM_NONE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > 100000) {
        return 0;
    }
    struct probe_setup account = accounts[data[0] % 4];
    account.mysql_topology = (enum mysql_topology)(data[0] / 4 % 4);
    size_t piece = 1 + (data[1] | (size_t)data[2] << 8) % (size - 3);
    struct observation whole;
    struct observation parts;
    enum probe_step one = run(&account, data + 3, size - 3, size, &whole);
    enum probe_step many = run(&account, data + 3, size - 3, piece, &parts);
    check(&account, one, &whole);
    check(&account, many, &parts);
    if (strstr(whole.why, "more than it was asked") == NULL) {
        assert(one == many && memcmp(&whole, &parts, sizeof whole) == 0);
    }
    return 0;
}
