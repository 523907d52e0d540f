/* Without CLIENT_DEPRECATE_EOF, because every server there is can do that. */
#include "proto/mysql_rows.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define EOF_MAX             8 /* bytes: a longer packet that begins so is a row */
#define STATUS_MORE_RESULTS 0x0008

void mysql_rows_begin(struct mysql_rows *r, const struct mysql_column *wanted, size_t count)
{
    assert(count <= MYSQL_WANTED_MAX);
    *r = (struct mysql_rows){.wanted = wanted, .wanted_count = count, .sequence = 1};
}

static bool is_named(struct mysql_text text, const char *name)
{
    return name != NULL && text.len == strlen(name) && strncasecmp(text.data, name, text.len) == 0;
}

static enum mysql_rows_event take_count(struct mysql_rows *r, struct mysql_cursor c)
{
    uint64_t columns = mysql_read_lenenc(&c);
    if (c.broken || mysql_left(&c) > 0 || columns == 0 || columns > MYSQL_COLUMNS_MAX) {
        return MYSQL_ROWS_BROKEN; /* an OK, and LOCAL INFILE, are among these */
    }
    r->columns = (size_t)columns;
    r->state = MYSQL_ROWS_COLUMNS;
    return MYSQL_ROWS_MORE;
}

static enum mysql_rows_event take_column(struct mysql_rows *r, struct mysql_cursor c)
{
    for (int i = 0; i < 4; i++) {
        mysql_read_string(&c); /* catalog, schema, table as it is called here, table */
    }
    struct mysql_text name = mysql_read_string(&c);
    if (c.broken) {
        return MYSQL_ROWS_BROKEN;
    }
    for (size_t i = 0; i < r->wanted_count; i++) {
        if (is_named(name, r->wanted[i].name) || is_named(name, r->wanted[i].old_name)) {
            r->slots[r->defined] = (unsigned char)(i + 1);
        }
    }
    r->defined++;
    r->state = r->defined == r->columns ? MYSQL_ROWS_BEGIN : MYSQL_ROWS_COLUMNS;
    return MYSQL_ROWS_MORE;
}

static enum mysql_rows_event take_row(struct mysql_rows *r, struct mysql_cursor c)
{
    for (size_t i = 0; i < r->columns; i++) {
        struct mysql_text value = mysql_read_string(&c);
        if (r->slots[i] > 0) {
            r->values[r->slots[i] - 1] = value;
        }
    }
    if (c.broken || mysql_left(&c) > 0 || ++r->rows > MYSQL_ROWS_MAX) {
        return MYSQL_ROWS_BROKEN;
    }
    return MYSQL_ROWS_ROW;
}

/* Two of them: behind the columns and behind the rows. */
static enum mysql_rows_event take_eof(struct mysql_rows *r, struct mysql_cursor c)
{
    mysql_read_int(&c, 3); /* itself, and the number of warnings */
    uint64_t status = mysql_read_int(&c, 2);
    bool more = (status & STATUS_MORE_RESULTS) != 0;
    if (c.broken || more) {
        return MYSQL_ROWS_BROKEN;
    }
    if (r->state == MYSQL_ROWS_BEGIN) {
        r->state = MYSQL_ROWS_ROWS;
        return MYSQL_ROWS_MORE;
    }
    r->state = MYSQL_ROWS_OVER;
    return MYSQL_ROWS_END;
}

enum mysql_rows_event mysql_rows_take(struct mysql_rows *r, const struct mysql_inbox *packet)
{
    if (packet->length == 0 || r->state == MYSQL_ROWS_OVER) {
        return MYSQL_ROWS_BROKEN;
    }
    if (packet->payload[0] == MYSQL_ERROR) {
        r->state = MYSQL_ROWS_OVER;
        return MYSQL_ROWS_ERROR;
    }
    if (mysql_inbox_sequence(packet) != r->sequence++) {
        return MYSQL_ROWS_BROKEN;
    }
    struct mysql_cursor c = mysql_read(packet->payload, packet->length);
    bool eof = packet->payload[0] == MYSQL_EOF && packet->length <= EOF_MAX;
    switch (r->state) {
    case MYSQL_ROWS_COUNT:
        return take_count(r, c);
    case MYSQL_ROWS_COLUMNS:
        return eof ? MYSQL_ROWS_BROKEN : take_column(r, c);
    case MYSQL_ROWS_BEGIN:
        return eof ? take_eof(r, c) : MYSQL_ROWS_BROKEN;
    case MYSQL_ROWS_ROWS:
        return eof ? take_eof(r, c) : take_row(r, c);
    default:
        return MYSQL_ROWS_BROKEN;
    }
}
