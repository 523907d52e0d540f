/* The backend to which a frontend leads, by default and by rules that ask which servers are up. */
#ifndef ROUTER_IMPORT_LEADS_H
#define ROUTER_IMPORT_LEADS_H

#include "import/fronts.h"

/* Who serves the frontend's clients if no rule is about them. Of all frontends before leads_rules()
 * of any, which must know who else leads where. */
void leads_default(struct parts *parts, struct front *f);
/* `use_backend X if { nbsrv(Y) ... }`: Sentinels that choose, readers who fall back, servers that
 * stand in for others. Marks the rules that it can say; others are left alone. */
void leads_rules(struct parts *parts, struct front *f);
/* `use-server`, where Sentinels choose. */
void leads_use_server(struct parts *parts, struct part *part);

#endif
