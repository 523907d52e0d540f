/* Packets that only have to be gone past, rows and definitions, are never copied: of those that are
 * whole the header and the first byte are looked at. Those that say something are read where they
 * are if they are whole, else put together in `kept`; of one that is longer than that nothing
 * counts but its beginning, in either case, so that it makes no difference how the bytes come. */
#include "proto/mysql_reply_internal.h"

#include <assert.h>
#include <string.h>

#include "proto/mysql_command.h"

#define HEAD_MAX (MYSQL_HEADER + 1)
#define EOF_MAX  8 /* without DEPRECATE_EOF: a longer packet that begins so is none */

/* Not as one assignment, which would clear what is kept, too. */
void mysql_reply_begin(struct mysql_reply *r, uint32_t capabilities, uint8_t code)
{
    assert(mysql_command_is_answered(code));
    r->capabilities = capabilities;
    r->code = code;
    r->expects = (uint8_t)mysql_reply_first(code);
    r->endless = r->expects == EXPECTS_ANYTHING;
    r->failed = false;
    r->has_rows = false;
    r->changed = false;
    r->cut = false;
    r->uncounted = true; /* a command of several packets is answered with a higher number */
    r->error = 0;
    r->columns_status = 0;
    r->warnings = 0;
    r->wants_charset = false;
    r->charset = 0;
    r->affected = 0;
    r->insert_id = 0;
    r->statement = 0;
    r->columns_left = 0;
    r->params_left = 0;
    r->left = 0;
    r->continues = false;
    r->keeps = false;
    r->head_len = 0;
    r->kept_len = 0;
    r->state_len = 0;
}

void mysql_reply_want_charset(struct mysql_reply *r)
{
    r->wants_charset = true;
}

bool mysql_reply_in_rows(const struct mysql_reply *r)
{
    return r->expects == EXPECTS_ROWS && mysql_reply_between(r);
}

bool mysql_reply_between(const struct mysql_reply *r)
{
    return r->left == 0 && r->head_len == 0 && !r->continues;
}

static uint32_t length_of(const unsigned char *head)
{
    return head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16;
}

static bool may_skip(struct mysql_reply *r)
{
    return r->expects == EXPECTS_ROWS || (mysql_reply_definitions(r) != NULL && !r->wants_charset);
}

/* Rows or definitions that are all there. Usually there are more of them than of all else. */
static size_t skip(struct mysql_reply *r, const unsigned char *p, size_t len,
                   enum mysql_reply_event *event)
{
    const unsigned char *at = p;
    const unsigned char *end_of = p + len;
    const uint64_t *left = mysql_reply_definitions(r);
    uint64_t most = left != NULL ? *left : UINT64_MAX;
    uint64_t packets = 0;
    uint8_t sequence = r->sequence;
    while (packets < most && end_of - at >= HEAD_MAX) {
        uint32_t length = length_of(at);
        bool plain = length > 0 && length < MYSQL_FULL && at[MYSQL_HEADER] < MYSQL_EOF;
        bool whole = (size_t)(end_of - at) - MYSQL_HEADER >= length;
        if (!plain || !whole || at[3] != (uint8_t)(sequence + 1)) {
            break;
        }
        at += MYSQL_HEADER + length;
        sequence++;
        packets++;
    }
    r->sequence = sequence;
    *event = packets > 0 ? mysql_reply_go_past(r, packets) : MYSQL_REPLY_MORE;
    return (size_t)(at - p);
}

/* Packets as they come ------------------------------------------------------------------------- */

/* What can be told by a packet's header and its first byte. */
static enum mysql_reply_event open_packet(struct mysql_reply *r, const unsigned char *head)
{
    uint32_t length = length_of(head);
    uint8_t first = head[MYSQL_HEADER];
    bool error = first == MYSQL_ERROR;
    bool shutdown = error && head[3] == 0; /* said by another thread, MariaDB does not count it */
    if (!r->uncounted && !shutdown && head[3] != (uint8_t)(r->sequence + 1)) {
        return MYSQL_REPLY_BAD;
    }
    r->sequence = head[3];
    r->uncounted = false;
    r->continues = length == MYSQL_FULL;
    bool bad = false;
    switch ((enum mysql_expects)r->expects) {
    case EXPECTS_COLUMNS:
    case EXPECTS_PARAMS:
    case EXPECTS_PREPARED_COLUMNS:
        r->keeps = error || (r->wants_charset && r->expects == EXPECTS_COLUMNS);
        bad = first == MYSQL_EOF;
        break;
    case EXPECTS_ROWS: /* one that begins with a value of 16 MB has more than one packet */
        r->keeps = error || (first == MYSQL_EOF && !r->continues);
        bad =
            r->keeps && !error && length > EOF_MAX && !mysql_reply_has(r, MYSQL_CAP_DEPRECATE_EOF);
        break;
    case EXPECTS_TEXT:
    case EXPECTS_ANYTHING:
        r->keeps = error;
        break;
    default:
        r->keeps = true;
        break;
    }
    return bad ? MYSQL_REPLY_BAD : MYSQL_REPLY_MORE;
}

static enum mysql_reply_event close_packet(struct mysql_reply *r, const unsigned char *p,
                                           size_t len)
{
    return r->keeps ? mysql_reply_take(r, p, len < MYSQL_REPLY_KEPT ? len : MYSQL_REPLY_KEPT)
                    : mysql_reply_go_past(r, 1);
}

/* A packet that is all there. */
static size_t quick(struct mysql_reply *r, const unsigned char *p, size_t len,
                    enum mysql_reply_event *event)
{
    uint32_t length = len > MYSQL_HEADER ? length_of(p) : 0;
    if (length == 0 || length == MYSQL_FULL || len - MYSQL_HEADER < length) {
        return 0;
    }
    *event = open_packet(r, p);
    if (*event == MYSQL_REPLY_MORE) {
        *event = close_packet(r, p + MYSQL_HEADER, length);
    }
    return MYSQL_HEADER + length;
}

static void keep(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    size_t room = sizeof r->kept - r->kept_len;
    size_t n = len < room ? len : room;
    memcpy(r->kept + r->kept_len, p, n);
    r->kept_len += (uint32_t)n;
}

/* The header of a packet that continues another is there. */
static enum mysql_reply_event reopen_packet(struct mysql_reply *r)
{
    if (r->head[3] != (uint8_t)(r->sequence + 1)) {
        return MYSQL_REPLY_BAD;
    }
    r->sequence = r->head[3];
    r->left = length_of(r->head);
    r->continues = r->left == MYSQL_FULL;
    r->head_len = 0;
    return r->left == 0 ? close_packet(r, r->kept, r->kept_len) : MYSQL_REPLY_MORE;
}

static enum mysql_reply_event take_head(struct mysql_reply *r, unsigned char byte)
{
    r->head[r->head_len++] = byte;
    if (r->head_len < MYSQL_HEADER) {
        return MYSQL_REPLY_MORE;
    }
    if (r->continues) {
        return reopen_packet(r);
    }
    uint32_t length = length_of(r->head);
    if (r->head_len < HEAD_MAX && length == 0 && r->endless) {
        r->head_len = 0;
        return MYSQL_REPLY_MORE;
    }
    if (r->head_len < HEAD_MAX) {
        return length > 0 ? MYSQL_REPLY_MORE : MYSQL_REPLY_BAD;
    }
    enum mysql_reply_event event = open_packet(r, r->head);
    r->head_len = 0;
    r->left = length - 1;
    r->kept[0] = byte;
    r->kept_len = 1;
    return event == MYSQL_REPLY_MORE && r->left == 0 ? close_packet(r, r->kept, 1) : event;
}

static size_t take_body(struct mysql_reply *r, const unsigned char *p, size_t len,
                        enum mysql_reply_event *event)
{
    size_t n = r->left < len ? r->left : len;
    if (r->keeps) {
        keep(r, p, n);
    }
    r->left -= (uint32_t)n;
    if (r->left == 0 && !r->continues) {
        *event = close_packet(r, r->kept, r->kept_len);
    }
    return n;
}

static size_t step(struct mysql_reply *r, const unsigned char *p, size_t len,
                   enum mysql_reply_event *event)
{
    size_t n = 0;
    if (r->left > 0) {
        return take_body(r, p, len, event);
    }
    if (mysql_reply_between(r)) {
        n = !r->uncounted && may_skip(r) ? skip(r, p, len, event) : 0;
        n = n == 0 ? quick(r, p, len, event) : n;
    }
    if (n == 0) {
        *event = take_head(r, p[0]);
        n = 1;
    }
    return n;
}

enum mysql_reply_event mysql_reply_look(struct mysql_reply *r, const char *data, size_t len,
                                        size_t *used)
{
    const unsigned char *bytes = (const unsigned char *)data;
    enum mysql_reply_event event = MYSQL_REPLY_MORE;
    size_t at = 0;
    assert(r->expects != EXPECTS_NOTHING);
    while (at < len && event == MYSQL_REPLY_MORE) {
        at += step(r, bytes + at, len - at, &event);
    }
    *used = at;
    return event;
}
