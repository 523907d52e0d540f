/* What a plain answer of the runtime language says, whichever of HAProxy's ways it says it in:
 *
 *   # pxname,svname,...  and rows     a table with commas, quoted as RFC 4180 does (show stat)
 *   # be_id be_name ...  and rows     a table with spaces (show servers state)
 *   0x1f: src=... fe=... age=...      a row of named values each line (show sess)
 *   Name: value                       pairs (show info)
 *
 * and anything else is lines. The words lie in the bytes that were parsed; the arrays are owned. */
#ifndef ROUTER_ROUTERCTL_ROWS_H
#define ROUTER_ROUTERCTL_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define ROWS_COLUMNS_MAX 200

enum rows_form { ROWS_LINES, ROWS_PAIRS, ROWS_TABLE };

struct rows {
    enum rows_form form;
    const char *titles[ROWS_COLUMNS_MAX];
    size_t columns;
    const char **cells; /* owned array; row by row; NULL: this row has no such value */
    size_t count;
    size_t capacity;
    char *names; /* owned: where the titles of named values lie */
};

/* Changes data, which ends in NUL. */
void rows_parse(struct rows *r, char *data);
/* A list of objects, an object, or a list of strings. */
void rows_write_json(const struct rows *r, struct text *out);
/* For people. */
void rows_print(const struct rows *r, bool colours, struct text *out);
void rows_free(struct rows *r);

#endif
