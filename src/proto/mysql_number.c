#include "proto/mysql_number.h"

#include <string.h>

#include "proto/mysql_command.h"

#define EOF_MAX    9  /* bytes of an EOF packet are less */
#define DIGITS_MAX 19 /* what is longer may not fit */

enum {
    EXPECTS_COUNT,  /* of columns */
    EXPECTS_COLUMN, /* its definition */
    EXPECTS_BEGIN,  /* the EOF behind it */
    EXPECTS_ROW,
    EXPECTS_END, /* an EOF, or the OK that stands for it */
};

void mysql_number_ask(struct mysql_number *n, uint32_t capabilities, const char *sql,
                      struct mysql_writer *w)
{
    *n = (struct mysql_number){.capabilities = capabilities, .sequence = 1};
    mysql_begin(w, 0);
    mysql_write_int(w, MYSQL_COM_QUERY, 1);
    if ((capabilities & MYSQL_CAP_QUERY_ATTRIBUTES) != 0) {
        mysql_write_int(w, 0, 1); /* no parameters, */
        mysql_write_int(w, 1, 1); /* in one set */
    }
    mysql_write_bytes(w, sql, strlen(sql));
    mysql_end(w);
}

static enum mysql_number_event read_row(struct mysql_number *n, const void *payload, size_t len)
{
    struct mysql_cursor c = mysql_read(payload, len);
    struct mysql_text text = mysql_read_string(&c);
    if (c.broken || mysql_left(&c) > 0 || text.len == 0 || text.len > DIGITS_MAX) {
        return MYSQL_NUMBER_NONE;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return MYSQL_NUMBER_NONE;
        }
        n->value = n->value * 10 + (uint64_t)(text.data[i] - '0');
    }
    n->expects = EXPECTS_END;
    return MYSQL_NUMBER_MORE;
}

enum mysql_number_event mysql_number_take(struct mysql_number *n, unsigned char sequence,
                                          const void *payload, size_t len)
{
    bool no_eof = (n->capabilities & MYSQL_CAP_DEPRECATE_EOF) != 0;
    unsigned char first = len > 0 ? *(const unsigned char *)payload : MYSQL_ERROR;
    if (sequence != n->sequence || first == MYSQL_ERROR) {
        return MYSQL_NUMBER_NONE;
    }
    n->sequence++;
    switch (n->expects) {
    case EXPECTS_COUNT:
        n->expects = EXPECTS_COLUMN;
        return len == 1 && first == 1 ? MYSQL_NUMBER_MORE : MYSQL_NUMBER_NONE;
    case EXPECTS_COLUMN:
        n->expects = no_eof ? EXPECTS_ROW : EXPECTS_BEGIN;
        return MYSQL_NUMBER_MORE;
    case EXPECTS_BEGIN:
        n->expects = EXPECTS_ROW;
        return first == MYSQL_EOF && len < EOF_MAX ? MYSQL_NUMBER_MORE : MYSQL_NUMBER_NONE;
    case EXPECTS_ROW:
        return read_row(n, payload, len);
    default:
        return first == MYSQL_EOF && (no_eof || len < EOF_MAX) ? MYSQL_NUMBER_READ
                                                               : MYSQL_NUMBER_NONE;
    }
}
