/* What becomes of lines that nobody has taken over. */
#ifndef ROUTER_IMPORT_SETTLE_H
#define ROUTER_IMPORT_SETTLE_H

#include "import/fronts.h"

/* Those that count for nothing (another line counts, no section inherits them, no frontend leads
 * there) are not needed; all others are lost. Behind it every line has a verdict. */
void settle(struct source *s, const struct proxies *all, const struct parts *parts,
            struct plan *plan);

#endif
