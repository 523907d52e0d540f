/* libFuzzer: whatever a server of MySQL's sends, in whatever pieces, it comes to the same replies,
 * and each ends where a packet does.
 *
 * The first bytes choose the capabilities, the pieces and the commands that are answered; the rest
 * is what the server sends. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mysql_command.h"
#include "proto/mysql_packet.h"
#include "proto/mysql_reply.h"

#define CODES      4
#define FRONT      (4 + CODES)
#define EVENTS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is said of a reply, or of a request for a file. */
struct said {
    enum mysql_reply_event event;
    size_t at;
    bool endless;
    bool failed;
    bool has_rows;
    bool cut;
    uint16_t error;
    uint16_t status;
    uint16_t warnings;
    uint64_t affected;
    uint64_t insert_id;
    uint32_t statement;
    uint32_t state_len;
    uint32_t state; /* a sum of it */
};

struct account {
    struct said said[EVENTS_MAX];
    size_t count;
    size_t seen; /* bytes */
};

static void note(struct account *a, enum mysql_reply_event event, const struct mysql_reply *r)
{
    uint32_t sum = 0;
    assert(r->state_len <= sizeof r->state);
    assert(r->failed || r->error == 0);
    for (uint32_t i = 0; i < r->state_len; i++) {
        sum = sum * 31 + r->state[i];
    }
    memset(&a->said[a->count], 0, sizeof a->said[0]);
    a->said[a->count++] = (struct said){.event = event,
                                        .at = a->seen,
                                        .endless = r->endless,
                                        .failed = r->failed,
                                        .has_rows = r->has_rows,
                                        .cut = r->cut,
                                        .error = r->error,
                                        .status = r->status,
                                        .warnings = r->warnings,
                                        .affected = r->affected,
                                        .insert_id = r->insert_id,
                                        .statement = r->statement,
                                        .state_len = r->state_len,
                                        .state = sum};
}

static void begin(struct mysql_reply *r, const uint8_t *front, size_t number)
{
    uint32_t capabilities = (front[0] & 1 ? MYSQL_CAP_DEPRECATE_EOF : 0) |
                            (front[0] & 2 ? MYSQL_CAP_SESSION_TRACK : 0) |
                            (front[0] & 4 ? MYSQL_CAP_LOCAL_FILES : 0);
    uint8_t code = front[4 + number % CODES];
    mysql_reply_begin(r, capabilities, mysql_command_is_answered(code) ? code : MYSQL_COM_QUERY);
}

/* Bytes in memory of their own, so that a sanitizer sees their ends. */
static enum mysql_reply_event look(struct mysql_reply *r, const uint8_t *data, size_t len,
                                   size_t *used)
{
    char *copy = malloc(len);
    memcpy(copy, data, len);
    enum mysql_reply_event event = mysql_reply_look(r, copy, len, used);
    free(copy);
    assert(r->kept_len <= sizeof r->kept);
    return event;
}

static void run(struct account *a, const uint8_t *front, const uint8_t *data, size_t size,
                size_t piece)
{
    struct mysql_reply *r = calloc(1, sizeof *r);
    enum mysql_reply_event event = MYSQL_REPLY_MORE;
    size_t there = 0;
    a->count = 0;
    a->seen = 0;
    begin(r, front, 0);
    while (a->seen < size && event != MYSQL_REPLY_BAD && a->count < EVENTS_MAX) {
        there = a->seen < there ? there : there + piece < size ? there + piece : size;
        size_t used = 0;
        event = look(r, data + a->seen, there - a->seen, &used);
        if (event == MYSQL_REPLY_BAD) {
            break;
        }
        assert(used <= there - a->seen && (event != MYSQL_REPLY_MORE || used == there - a->seen));
        a->seen += used;
        if (event != MYSQL_REPLY_MORE) {
            assert(mysql_reply_between(r));
            note(a, event, r);
        }
        if (event == MYSQL_REPLY_END) {
            begin(r, front, a->count);
        }
    }
    free(r);
}

/* Each event is where a packet ends that is not to be continued. */
static void check_ends(const struct account *a, const uint8_t *data)
{
    size_t at = 0;
    bool full = false;
    for (size_t i = 0; i < a->count; i++) {
        assert(at < a->said[i].at);
        while (at < a->said[i].at) {
            size_t length = data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;
            full = length == MYSQL_FULL;
            at += MYSQL_HEADER + length;
        }
        assert(at == a->said[i].at && !full);
    }
}

static void assert_same(const struct account *a, const struct account *b)
{
    assert(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct said *x = &a->said[i];
        const struct said *y = &b->said[i];
        assert(x->event == y->event && x->at == y->at && x->endless == y->endless);
        assert(x->failed == y->failed && x->error == y->error && x->has_rows == y->has_rows);
        assert(x->cut == y->cut && x->status == y->status && x->warnings == y->warnings);
        assert(x->affected == y->affected && x->insert_id == y->insert_id);
        assert(x->statement == y->statement);
        assert(x->state_len == y->state_len && x->state == y->state);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct account whole;
    static struct account parts;
    if (size <= FRONT || size > 20000) {
        return 0;
    }
    size_t piece = 1 + (data[1] | (size_t)data[2] << 8) % (size - FRONT);
    run(&whole, data, data + FRONT, size - FRONT, size);
    check_ends(&whole, data + FRONT);
    run(&parts, data, data + FRONT, size - FRONT, piece);
    assert_same(&whole, &parts);
    run(&parts, data, data + FRONT, size - FRONT, 1);
    assert_same(&whole, &parts);
    return 0;
}
