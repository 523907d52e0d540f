/* Who may connect to a frontend, and how often: `tcp-request`, `http-request deny`. */
#ifndef ROUTER_IMPORT_ACCESS_H
#define ROUTER_IMPORT_ACCESS_H

#include "import/proxy.h"

struct access_entry {
    bool allow;
    struct word range; /* as allow and deny take it */
    struct line *line;
};

struct access {
    struct access_entry *entries; /* the first that fits counts, as in router.ini */
    size_t count;
    long long session_rate_per_ip; /* 0: none */
    struct line *session_rate_line;
    long long max_sessions_per_ip; /* 0: none */
    struct line *max_sessions_line;
};

/* Marks the rules, their acls, and what they count by. Where that cannot be said in router.ini the
 * rule is lost: then somebody is let in whom HAProxy refuses. `sni`: the frontend chooses by names
 * (sni.h), and so refuses who does not speak TLS. */
void access_read(const struct proxy *p, bool sni, struct access *out);

/* "10.0.0.0/8" of what HAProxy takes for addresses ("10.1/8", "10.0.0.1/255.0.0.0"); false if it is
 * a name, or nothing. */
bool access_range(struct source *s, const struct word *w, struct word *out);

#endif
