/* What packets mean: a small machine of what is expected next. Measured on MariaDB 10.11 and MySQL
 * 9.7 (test_mysql_scan.py); where they differ from the manuals, it says so. */
#include "proto/mysql_reply_internal.h"

#include <assert.h>
#include <string.h>

#include "proto/mysql_command.h"

#define FIXED_LEN 12 /* charset, length, type, flags, decimals, two zeros */
#define EOF_LEN   5  /* 0xfe, warnings, status; an OK that begins with 0xfe has 7 at least */

enum mysql_expects mysql_reply_first(uint8_t code)
{
    switch (code) {
    case MYSQL_COM_QUERY:
    case MYSQL_COM_PROCESS_INFO:
    case MYSQL_COM_STMT_EXECUTE:
    case MYSQL_COM_EXECUTE_AT_ONCE:
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

static enum mysql_reply_event end(struct mysql_reply *r)
{
    r->expects = EXPECTS_NOTHING;
    return MYSQL_REPLY_END;
}

static enum mysql_reply_event next(struct mysql_reply *r, enum mysql_expects expects)
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
    r->oks++;
    if (p[0] == MYSQL_EOF && len == EOF_LEN) {
        r->warnings = (uint16_t)mysql_read_int(&c, 2);
        r->status = (uint16_t)mysql_read_int(&c, 2);
        r->changed = r->changed || (r->status & MYSQL_STATUS_STATE_CHANGED) != 0;
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
    if (mysql_reply_has(r, MYSQL_CAP_SESSION_TRACK) && (status & MYSQL_STATUS_STATE_CHANGED) != 0) {
        read_state(r, c);
    }
    return true;
}

/* A result is over. */
static enum mysql_reply_event end_result(struct mysql_reply *r)
{
    uint16_t status = r->status | r->columns_status;
    bool more =
        mysql_reply_first(r->code) == EXPECTS_RESULT && (status & MYSQL_STATUS_MORE_RESULTS) != 0;
    r->columns_status = 0;
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
    bool may_ask = r->code != MYSQL_COM_PROCESS_INFO && mysql_reply_has(r, MYSQL_CAP_LOCAL_FILES);
    struct mysql_cursor c = mysql_read(p, len);
    switch (p[0]) {
    case MYSQL_OK:
    case MYSQL_EOF: /* no number of columns is that long */
        return take_ok(r, p, len);
    case MYSQL_FILE:
        r->uncounted = true; /* it goes on behind what the client sends */
        return may_ask ? MYSQL_REPLY_FILE : MYSQL_REPLY_BAD;
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
    /* A procedure's results are never fetched from a cursor, and all but the last thing that it
     * says is followed by more. */
    uint16_t fetched = r->status & (MYSQL_STATUS_CURSOR_EXISTS | MYSQL_STATUS_MORE_RESULTS);
    if (r->code == MYSQL_COM_STMT_EXECUTE && fetched == MYSQL_STATUS_CURSOR_EXISTS) {
        return end(r);
    }
    if ((r->status & MYSQL_STATUS_PS_OUT_PARAMS) != 0) { /* MySQL says only here what follows */
        r->columns_status = r->status & MYSQL_STATUS_MORE_RESULTS;
    }
    return next(r, EXPECTS_ROWS);
}

/* A column's definition: strings, more of them in MariaDB's extended one, and what is always as
 * long. */
static enum mysql_reply_event take_charset(struct mysql_reply *r, const unsigned char *p,
                                           size_t len)
{
    r->wants_charset = false;
    if (len <= FIXED_LEN || p[len - FIXED_LEN - 1] != FIXED_LEN) {
        return MYSQL_REPLY_BAD;
    }
    p += len - FIXED_LEN;
    r->charset = (uint16_t)(p[0] | p[1] << 8);
    return mysql_reply_go_past(r, 1);
}

/* Other packets only move a login on, and the client answers between them. */
static enum mysql_reply_event take_login(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    r->uncounted = true;
    return p[0] == MYSQL_OK ? take_ok(r, p, len) : MYSQL_REPLY_MORE;
}

enum mysql_reply_event mysql_reply_take(struct mysql_reply *r, const unsigned char *p, size_t len)
{
    if (p[0] == MYSQL_ERROR) {
        return take_error(r, p, len);
    }
    switch ((enum mysql_expects)r->expects) {
    case EXPECTS_RESULT:
        return take_result(r, p, len);
    case EXPECTS_COLUMNS:
        return take_charset(r, p, len);
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

/* Packets that are gone past ------------------------------------------------------------------- */

/* The last definition of a group is over. */
static enum mysql_reply_event defined(struct mysql_reply *r)
{
    bool eof = !mysql_reply_has(r, MYSQL_CAP_DEPRECATE_EOF);
    if (r->expects == EXPECTS_COLUMNS) {
        return next(r, eof ? EXPECTS_COLUMNS_EOF : EXPECTS_ROWS);
    }
    if (!eof) {
        return go_on_prepared(r);
    }
    return next(r, r->expects == EXPECTS_PARAMS ? EXPECTS_PARAMS_EOF : EXPECTS_PREPARED_EOF);
}

uint64_t *mysql_reply_definitions(struct mysql_reply *r)
{
    switch ((enum mysql_expects)r->expects) {
    case EXPECTS_PARAMS:
        return &r->params_left;
    case EXPECTS_COLUMNS:
    case EXPECTS_PREPARED_COLUMNS:
        return &r->columns_left;
    default:
        return NULL;
    }
}

enum mysql_reply_event mysql_reply_go_past(struct mysql_reply *r, uint64_t packets)
{
    uint64_t *left = mysql_reply_definitions(r);
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
