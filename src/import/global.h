/* What stands in `global` and in the sections that are no proxies: for the whole process. */
#ifndef ROUTER_IMPORT_GLOBAL_H
#define ROUTER_IMPORT_GLOBAL_H

#include "import/parts.h"

/* The last line of global with this keyword; NULL: none. */
struct line *global_find(const struct source *s, const char *keyword);
/* A file below `base` ("ca-base", "crt-base") where it is relative. */
struct word global_file(struct source *s, const struct word *w, const char *base);

/* [router]: logs, control sockets, limits, who it runs as. */
void global_write(struct plan *plan, const struct proxies *all);
/* Whether the proxy is there for statistics, metrics or health pages only. */
bool stats_only(const struct proxy *p, const struct parts *parts);
/* All that is said of those, in any proxy: the admin address. */
void stats_write(struct plan *plan, const struct proxies *all, const struct parts *parts);

#endif
