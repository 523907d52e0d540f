/* What became of each line, for people and for tools. */
#ifndef ROUTER_IMPORT_REPORT_H
#define ROUTER_IMPORT_REPORT_H

#include "import/source.h"

/* How many lines have this verdict. */
size_t report_count(const struct source *s, enum verdict verdict);
void report_text(const struct source *s, struct text *out);
/* "FILE:LINE: lost: words" for each line that is. */
void report_lost(const struct source *s, struct text *out);
void report_json(const struct source *s, struct text *out);

#endif
