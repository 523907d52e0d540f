/* Frontends: where clients connect, and where they are led. */
#ifndef ROUTER_IMPORT_FRONTS_H
#define ROUTER_IMPORT_FRONTS_H

#include "import/access.h"
#include "import/parts.h"
#include "import/sni.h"

/* For each frontend and listen that leads somewhere: what it uses is noted in the parts, which are
 * joined and watched as its rules say. Before parts_write(). */
struct front {
    struct proxy *proxy;
    struct plan_section *section;
    struct part *part;    /* who serves its clients; NULL: nobody that is known */
    const char *fallback; /* of a replica route: "primary", "none"; NULL: nothing is said */
    bool waits;           /* for the primary, where HAProxy would lead to others */
    struct sni sni;
    struct access access;
};

struct fronts {
    struct front *items;
    size_t count;
};

void fronts_make(const struct proxies *all, struct parts *parts, struct fronts *out);
/* Behind parts_write(): the frontends of the plan. */
void fronts_write(struct fronts *all, struct parts *parts);

/* bind.c */
/* Lines of different kinds (with TLS or without, with PROXY headers or without, ...) need frontends
 * of their own: 0 to BIND_KINDS - 1. */
#define BIND_KINDS   8
#define BIND_TLS     1u
#define BIND_PROXIED 2u
#define BIND_CERTS   4u /* clients must have certificates */
unsigned bind_kind(struct source *s, const struct line *l);
void bind_write(struct plan *plan, struct plan_section *section, const struct front *front,
                unsigned kind);
/* An address to listen at; `port` 0: its own. */
struct word bind_place(struct source *s, const struct address_word *a, unsigned port,
                       bool six_only);

#endif
