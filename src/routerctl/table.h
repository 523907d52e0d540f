/* Rows of cells in aligned columns. The table owns copies of what is put in, cleaned of what a
 * terminal would obey. Start from table_begin(), end with table_free(). */
#ifndef ROUTER_ROUTERCTL_TABLE_H
#define ROUTER_ROUTERCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/text.h"
#include "routerctl/term.h"

#define TABLE_COLUMNS_MAX 32

struct table_column {
    char *title; /* owned */
    bool right;
    size_t width;
};

struct table_cell {
    char *words; /* owned */
    enum colour colour;
};

struct table {
    struct table_column columns[TABLE_COLUMNS_MAX];
    size_t column_count;
    struct table_cell *cells; /* owned; row by row */
    size_t count;
    size_t capacity;
};

/* `titles` are separated by a space; one that begins with '>' is a column of numbers. */
void table_begin(struct table *t, const char *titles);
/* A column's width at least, so that it stays where it is while values change. */
void table_widen(struct table *t, size_t column, size_t width);
/* The next cell, from left to right, then the next row. */
void table_add(struct table *t, enum colour colour, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t table_rows(const struct table *t);
/* One row: its words without colours, or the titles (row = SIZE_MAX); no longer than `columns`
 * (0 = as long as it is), without the end of the line. */
void table_row(const struct table *t, size_t row, bool colours, size_t columns, struct text *out);
/* Titles and rows, each indented. */
void table_print(const struct table *t, bool colours, const char *indent, struct text *out);
void table_free(struct table *t);

#endif
