/* A frontend, a backend or a listen with what it inherits. */
#ifndef ROUTER_IMPORT_PROXY_H
#define ROUTER_IMPORT_PROXY_H

#include "import/place.h"

/* A line `acl NAME ...`. */
struct acl {
    const char *name;
    struct line *line;
    size_t order; /* in the proxy */
};

struct proxy {
    struct source *source;
    struct section *section;
    bool front; /* a frontend or a listen */
    bool back;  /* a backend or a listen */
    bool http;  /* mode http */
    bool disabled;
    /* In order: those of its defaults (before them, of theirs), then its own. */
    struct line **lines;
    size_t count;
    struct acl *acls; /* by name; several may have the same one */
    size_t acl_count;
};

#define PROXY_SERVERS_MAX 1024   /* as many as a list of router.ini may have */
#define PROXY_LINES_MAX   500000 /* of all of them, with what they inherit */

/* Each frontend, backend and listen, in the order of the file. */
struct proxies {
    struct proxy *items;
    size_t count;
    struct address_word *bound; /* where they listen */
    size_t bound_count;
};

/* 0, or -EINVAL with an error in the source. */
int proxies_make(struct source *s, struct proxies *out);
/* Whether a server with this address would be one of the file's own frontends. */
bool proxies_listen_at(const struct proxies *all, const struct address_word *server);
struct proxy *proxies_find(const struct proxies *all, const char *name, bool back);

/* The line with this keyword ("timeout connect", "balance") that counts: its own last one, else its
 * defaults' last one. NULL if there is none, or it was taken back by `no` or `default`. */
struct line *proxy_find(const struct proxy *p, const char *keyword);
/* All with this keyword, own and inherited, in order; start with *at = 0. NULL behind the last. */
struct line *proxy_next(const struct proxy *p, const char *keyword, size_t *at);

#endif
