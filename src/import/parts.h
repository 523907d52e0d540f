/* The backends of HAProxy on their way into backends of router: what each is by its check, which of
 * them are the same servers seen for different roles, and which are the Sentinels of others. */
#ifndef ROUTER_IMPORT_PARTS_H
#define ROUTER_IMPORT_PARTS_H

#include "import/check.h"
#include "import/plan.h"
#include "import/servers.h"

struct part {
    struct proxy *proxy;
    struct servers servers;
    struct check check;
    const char *protocol; /* of router.ini */
    bool roles;           /* its servers' roles are probed */
    const char *route;    /* of a frontend that leads here: "primary", "replica", "any"; NULL: any,
                             without a word */
    bool readers_only;    /* its check refuses the primary */
    bool one_writer;      /* one server at a time is used */
    const struct proxies *proxies; /* all of the file */
    struct part *next;             /* of its group, in a ring */
    struct part *group; /* the first part of those that become one backend; itself, if it is */
    struct plan_section
        *section;   /* the backend it became; NULL for Sentinels, and where nobody leads there */
    bool used;      /* a frontend leads here */
    unsigned uses;  /* how many do by default */
    bool stands_in; /* for another one that has no server */
    unsigned sentinel_port; /* its Sentinels are on its servers' machines, there; 0: elsewhere */
    /* Of a group's first part: the Sentinels that decide about its primary. */
    struct part **watchers;
    size_t watcher_count;
};

struct parts {
    struct part *items; /* one for each proxy that has servers */
    size_t count;
    const struct proxies *proxies;
    struct plan *plan;
};

void parts_make(const struct proxies *proxies, struct plan *plan, struct parts *out);
/* NULL: there is no such backend, or it has no servers. */
struct part *parts_find(const struct parts *all, const char *name);
struct part *parts_of(const struct parts *all, const struct proxy *p);

/* Makes them one backend: their servers are those of all. */
void parts_join(struct parts *all, struct part *a, struct part *b);
/* The Sentinels that decide about the primary of the part. */
void parts_watch(struct parts *all, struct part *of, struct part *sentinels);

/* Once it is known which are used and which belong together: the backends of the plan. */
void parts_write(struct parts *all);

/* What the lines of one part say of its backend: backend.c, backend_servers.c, backend_probe.c. */
void backend_write(struct plan *plan, struct plan_section *section, struct part *part);
void backend_write_servers(struct plan *plan, struct plan_section *section, struct part *part);
void backend_write_probe(struct plan *plan, struct plan_section *section, struct part *part);
void backend_write_sentinels(struct plan *plan, struct plan_section *section, struct part *group);

#endif
