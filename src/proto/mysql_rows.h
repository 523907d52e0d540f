/* The answer to one COM_QUERY in the text protocol, packet by packet, for the inside of proto/:
 * Protocol::ColumnDefinition41 once for each column, an EOF, the rows and an EOF; or an ERR. */
#ifndef ROUTER_PROTO_MYSQL_ROWS_H
#define ROUTER_PROTO_MYSQL_ROWS_H

#include "proto/mysql_packet.h"

#define MYSQL_COLUMNS_MAX 128
#define MYSQL_ROWS_MAX    64
#define MYSQL_WANTED_MAX  12

/* A column that we read, under the name it has now or the one it had. */
struct mysql_column {
    const char *name;
    const char *old_name; /* NULL = it had no other */
};

struct mysql_rows {
    const struct mysql_column *wanted; /* borrowed; mysql_rows_begin() */
    size_t wanted_count;
    enum {
        MYSQL_ROWS_COUNT,   /* waits for the number of columns */
        MYSQL_ROWS_COLUMNS, /* for the definition of the next column */
        MYSQL_ROWS_BEGIN,   /* for the EOF behind them */
        MYSQL_ROWS_ROWS,    /* for the next row, or the last EOF */
        MYSQL_ROWS_OVER,
    } state;
    unsigned char sequence; /* of the next packet */
    size_t columns;
    size_t defined;                             /* columns so far */
    unsigned char slots[MYSQL_COLUMNS_MAX];     /* 1 + the wanted one that a column is; 0: none */
    struct mysql_text values[MYSQL_WANTED_MAX]; /* of the row just read: borrowed from the packet */
    size_t rows;
};

enum mysql_rows_event {
    MYSQL_ROWS_MORE, /* nothing to tell yet */
    MYSQL_ROWS_ROW,  /* `values`; those of columns that there are none of are NULL */
    MYSQL_ROWS_END,
    MYSQL_ROWS_ERROR,  /* the packet is an ERR */
    MYSQL_ROWS_BROKEN, /* it is no answer to a question of ours */
};

void mysql_rows_begin(struct mysql_rows *r, const struct mysql_column *wanted, size_t count);
enum mysql_rows_event mysql_rows_take(struct mysql_rows *r, const struct mysql_inbox *packet);

#endif
