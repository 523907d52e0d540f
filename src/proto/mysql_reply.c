/* Packets that only have to be gone past, rows and definitions, are never copied: of those that are
 * whole the header and the first byte are looked at. Those that say something are read where they
 * are if they are whole, else put together in `kept`; of one that is longer than that nothing
 * counts but its beginning, in either case, so that it makes no difference how the bytes come. */
#include "proto/mysql_reply.h"

#include <assert.h>
#include <string.h>

#include "proto/mysql_command.h"
#include "proto/mysql_packet.h"

#define HEAD_MAX (MYSQL_HEADER + 1)
#define EOF_LEN  5 /* 0xfe, warnings, status; an OK that begins with 0xfe has 7 at least */
#define EOF_MAX  8 /* without DEPRECATE_EOF: a longer packet that begins so is none */

/* What comes next. */
enum expects {
    EXPECTS_NOTHING,
    EXPECTS_RESULT,      /* of a statement: an OK, a request for a file, a number of columns */
    EXPECTS_COLUMNS,     /* their definitions */
    EXPECTS_COLUMNS_EOF, /* the EOF behind them */
    EXPECTS_ROWS,        /* up to an EOF, or an OK in its place */
    EXPECTS_PREPARED,    /* the OK of COM_STMT_PREPARE */
    EXPECTS_PARAMS,
    EXPECTS_PARAMS_EOF,
    EXPECTS_PREPARED_COLUMNS,
    EXPECTS_PREPARED_EOF,
    EXPECTS_OK,    /* or an EOF, and no more */
    EXPECTS_TEXT,  /* one packet, whatever it says */
    EXPECTS_LOGIN, /* packets of the server's part in a login, up to an OK */
    EXPECTS_ANYTHING,
};

static enum expects first_of(uint8_t code)
{
    switch (code) {
    case MYSQL_COM_QUERY:
    case MYSQL_COM_PROCESS_INFO:
    case MYSQL_COM_STMT_EXECUTE:
    case MYSQL_COM_STMT_BULK_EXECUTE:
        return EXPECTS_RESULT;
    case MYSQL_COM_STMT_PREPARE:
        return EXPECTS_PREPARED;
    case MYSQL_COM_STMT_FETCH:
    case MYSQL_COM_FIELD_LIST: /* definitions, but as many as there are */
        return EXPECTS_ROWS;
    case MYSQL_COM_STATISTICS:
        return EXPECTS_TEXT;
    case MYSQL_COM_CHANGE_USER:
        return EXPECTS_LOGIN;
    case MYSQL_COM_SLEEP:
    case MYSQL_COM_INIT_DB:
    case MYSQL_COM_CREATE_DB:
    case MYSQL_COM_DROP_DB:
    case MYSQL_COM_REFRESH:
    case MYSQL_COM_SHUTDOWN:
    case MYSQL_COM_PROCESS_KILL:
    case MYSQL_COM_DEBUG:
    case MYSQL_COM_PING:
    case MYSQL_COM_REGISTER_SLAVE:
    case MYSQL_COM_STMT_RESET:
    case MYSQL_COM_SET_OPTION:
    case MYSQL_COM_RESET_CONNECTION:
        return EXPECTS_OK;
    default:
        return EXPECTS_ANYTHING;
    }
}

/* Not as one assignment, which would clear what is kept, too. */
void mysql_reply_begin(struct mysql_reply *r, uint32_t capabilities, uint8_t code)
{
    assert(mysql_command_is_answered(code));
    r->capabilities = capabilities;
    r->code = code;
    r->expects = (uint8_t)first_of(code);
    r->endless = r->expects == EXPECTS_ANYTHING;
    r->failed = false;
    r->has_rows = false;
    r->cut = false;
    r->uncounted = true; /* a command of several packets is answered with a higher number */
    r->error = 0;
    r->warnings = 0;
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

bool mysql_reply_between(const struct mysql_reply *r)
{
    return r->left == 0 && r->head_len == 0 && !r->continues;
}

static bool has(const struct mysql_reply *r, uint32_t capability)
{
    return (r->capabilities & capability) != 0;
}

static enum mysql_reply_event end(struct mysql_reply *r)
{
    r->expects = EXPECTS_NOTHING;
    return MYSQL_REPLY_END;
}

static enum mysql_reply_event next(struct mysql_reply *r, enum expects expects)
{
    r->expects = (uint8_t)expects;
    return MYSQL_REPLY_MORE;
}

/* Packets that say something ------------------------------------------------------------------- */

/* Behind the numbers of an OK. */
static void read_state(struct mysql_reply *r, struct mysql_cursor c)
{
    if (mysql_left(&c) == 0) {
        return;
    }
    mysql_read_string(&c); /* words for people */
    struct mysql_text state = mysql_read_string(&c);
    if (c.broken || state.len > sizeof r->state - r->state_len) {
        r->cut = true;
    } else if (state.len > 0) {
        memcpy(r->state + r->state_len, state.data, state.len);
        r->state_len += (uint32_t)state.len;
    }
}

/* An OK, or what ends rows. False: malformed. */
static bool read_ok(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    struct mysql_cursor c = mysql_read(p + 1, len - 1);
    if (p[0] == MYSQL_EOF && len == EOF_LEN) {
        r->warnings = (uint16_t)mysql_read_int(&c, 2);
        r->status = (uint16_t)mysql_read_int(&c, 2);
        return true;
    }
    uint64_t affected = mysql_read_lenenc(&c);
    uint64_t insert_id = mysql_read_lenenc(&c);
    uint16_t status = (uint16_t)mysql_read_int(&c, 2);
    uint16_t warnings = (uint16_t)mysql_read_int(&c, 2);
    if (c.broken) {
        return false;
    }
    r->affected = affected;
    r->insert_id = insert_id != 0 ? insert_id : r->insert_id;
    r->status = status;
    r->warnings = warnings;
    if (has(r, MYSQL_CAP_SESSION_TRACK) && (status & MYSQL_STATUS_STATE_CHANGED) != 0) {
        read_state(r, c);
    }
    return true;
}

/* A result is over. */
static enum mysql_reply_event end_result(struct mysql_reply *r)
{
    bool more = first_of(r->code) == EXPECTS_RESULT && (r->status & MYSQL_STATUS_MORE_RESULTS) != 0;
    return more ? next(r, EXPECTS_RESULT) : end(r);
}

static enum mysql_reply_event take_ok(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    return read_ok(r, p, len) ? end_result(r) : MYSQL_REPLY_BAD;
}

static enum mysql_reply_event take_error(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    struct mysql_cursor c = mysql_read(p + 1, len - 1);
    r->error = (uint16_t)mysql_read_int(&c, 2);
    r->failed = true;
    return c.broken ? MYSQL_REPLY_BAD : end(r);
}

static enum mysql_reply_event take_result(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    bool statement = r->code == MYSQL_COM_QUERY || r->code == MYSQL_COM_STMT_EXECUTE;
    struct mysql_cursor c = mysql_read(p, len);
    switch (p[0]) {
    case MYSQL_OK:
    case MYSQL_EOF: /* no number of columns is that long; SHUTDOWN is answered so */
        return take_ok(r, p, len);
    case MYSQL_FILE:
        r->uncounted = true; /* it goes on behind what the client sends */
        return statement && has(r, MYSQL_CAP_LOCAL_FILES) ? MYSQL_REPLY_FILE : MYSQL_REPLY_BAD;
    default:
        r->columns_left = mysql_read_lenenc(&c);
        r->has_rows = true;
        return c.broken || mysql_left(&c) > 0 ? MYSQL_REPLY_BAD : next(r, EXPECTS_COLUMNS);
    }
}

/* What of a prepared statement's definitions comes next, each group with its EOF or none. */
static enum mysql_reply_event go_on_prepared(struct mysql_reply *r)
{
    if (r->params_left > 0) {
        return next(r, EXPECTS_PARAMS);
    }
    return r->columns_left > 0 ? next(r, EXPECTS_PREPARED_COLUMNS) : end(r);
}

static enum mysql_reply_event take_prepared(struct mysql_reply *r, const unsigned char *p,
                                            size_t len)
{
    struct mysql_cursor c = mysql_read(p, len);
    uint64_t ok = mysql_read_int(&c, 1);
    r->statement = (uint32_t)mysql_read_int(&c, 4);
    r->columns_left = mysql_read_int(&c, 2);
    r->params_left = mysql_read_int(&c, 2);
    mysql_read_int(&c, 1);
    r->warnings = (uint16_t)mysql_read_int(&c, 2);
    return c.broken || ok != MYSQL_OK ? MYSQL_REPLY_BAD : go_on_prepared(r);
}

/* Between definitions and what follows them. */
static enum mysql_reply_event take_eof(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    if (p[0] != MYSQL_EOF || len != EOF_LEN || !read_ok(r, p, len)) {
        return MYSQL_REPLY_BAD;
    }
    if (r->expects != EXPECTS_COLUMNS_EOF) {
        return go_on_prepared(r);
    }
    bool cursor = (r->status & MYSQL_STATUS_CURSOR_EXISTS) != 0; /* rows are fetched from it */
    return cursor ? end_result(r) : next(r, EXPECTS_ROWS);
}

/* Other packets only move a login on, and the client answers between them. */
static enum mysql_reply_event take_login(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    r->uncounted = true;
    return p[0] == MYSQL_OK ? take_ok(r, p, len) : MYSQL_REPLY_MORE;
}

/* A packet that is kept is over; of one that is longer than fits, only its beginning is here. */
static enum mysql_reply_event take(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    if (p[0] == MYSQL_ERROR) {
        return take_error(r, p, len);
    }
    switch ((enum expects)r->expects) {
    case EXPECTS_RESULT:
        return take_result(r, p, len);
    case EXPECTS_PREPARED:
        return take_prepared(r, p, len);
    case EXPECTS_COLUMNS_EOF:
    case EXPECTS_PARAMS_EOF:
    case EXPECTS_PREPARED_EOF:
        return take_eof(r, p, len);
    case EXPECTS_LOGIN:
        return take_login(r, p, len);
    case EXPECTS_OK:
        return p[0] == MYSQL_OK || p[0] == MYSQL_EOF ? take_ok(r, p, len) : MYSQL_REPLY_BAD;
    default:
        assert(r->expects == EXPECTS_ROWS);
        return take_ok(r, p, len);
    }
}

static uint32_t length_of(const unsigned char *head)
{
    return head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16;
}

/* Packets that are gone past ------------------------------------------------------------------- */

/* The last definition of a group is over. */
static enum mysql_reply_event defined(struct mysql_reply *r)
{
    bool eof = !has(r, MYSQL_CAP_DEPRECATE_EOF);
    if (r->expects == EXPECTS_COLUMNS) {
        return next(r, eof ? EXPECTS_COLUMNS_EOF : EXPECTS_ROWS);
    }
    if (!eof) {
        return go_on_prepared(r);
    }
    return next(r, r->expects == EXPECTS_PARAMS ? EXPECTS_PARAMS_EOF : EXPECTS_PREPARED_EOF);
}

/* Definitions that are still to come, where they are counted. */
static uint64_t *definitions_left(struct mysql_reply *r)
{
    switch ((enum expects)r->expects) {
    case EXPECTS_PARAMS:
        return &r->params_left;
    case EXPECTS_COLUMNS:
    case EXPECTS_PREPARED_COLUMNS:
        return &r->columns_left;
    default:
        return NULL;
    }
}

static bool may_skip(struct mysql_reply *r)
{
    return r->expects == EXPECTS_ROWS || definitions_left(r) != NULL;
}

static enum mysql_reply_event go_past(struct mysql_reply *r, uint64_t packets)
{
    uint64_t *left = definitions_left(r);
    if (r->expects == EXPECTS_TEXT) {
        return end(r);
    }
    if (r->expects == EXPECTS_ANYTHING) {
        r->uncounted = true;
    }
    if (left == NULL) {
        return MYSQL_REPLY_MORE;
    }
    *left -= packets;
    return *left == 0 ? defined(r) : MYSQL_REPLY_MORE;
}

/* Rows or definitions that are all there. Usually there are more of them than of all else. */
static size_t skip(struct mysql_reply *r, const unsigned char *p, size_t len,
                   enum mysql_reply_event *event)
{
    const unsigned char *at = p;
    const unsigned char *end_of = p + len;
    const uint64_t *left = definitions_left(r);
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
    *event = packets > 0 ? go_past(r, packets) : MYSQL_REPLY_MORE;
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
    switch ((enum expects)r->expects) {
    case EXPECTS_COLUMNS:
    case EXPECTS_PARAMS:
    case EXPECTS_PREPARED_COLUMNS:
        r->keeps = error;
        bad = first == MYSQL_EOF;
        break;
    case EXPECTS_ROWS: /* one that begins with a value of 16 MB has more than one packet */
        r->keeps = error || (first == MYSQL_EOF && !r->continues);
        bad = r->keeps && !error && length > EOF_MAX && !has(r, MYSQL_CAP_DEPRECATE_EOF);
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
    return r->keeps ? take(r, p, len < MYSQL_REPLY_KEPT ? len : MYSQL_REPLY_KEPT) : go_past(r, 1);
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
