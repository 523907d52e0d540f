/* What became of each line, for people and for tools. */
#ifndef ROUTER_IMPORT_REPORT_H
#define ROUTER_IMPORT_REPORT_H

#include "import/source.h"

/* What no line says, because HAProxy does it without one. */
#define REPORT_ALWAYS                                                                              \
    "servers are down until a probe has found them well, and SIGTERM lets sessions finish"

/* How many lines have this verdict. */
size_t report_count(const struct source *s, enum verdict verdict);
void report_text(const struct source *s, struct text *out);
/* "FILE:LINE: lost: words" for each line that is. */
void report_lost(const struct source *s, struct text *out);
void report_json(const struct source *s, struct text *out);

#endif
