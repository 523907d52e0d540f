/* What names mean for a backend: which servers there should be, of those that are configured, those
 * that there were, and what is known of their names. Pure functions; ctl/names.c keeps what they
 * need, and puts their results into effect. */
#ifndef ROUTER_MODEL_DISCOVERY_H
#define ROUTER_MODEL_DISCOVERY_H

#include "model/config.h"

#define DISCOVERY_LABEL_MAX 64 /* a server's name and its NUL */

/* An address that a name has, or had lately. */
struct name_address {
    struct address address;          /* without a port */
    char label[DISCOVERY_LABEL_MAX]; /* what it is called; "" = nothing that would do as a name */
    bool asked;                      /* for the label; ctl/names.c's own */
    bool settled;     /* the label is known, or was waited for long enough: it may be discovered */
    unsigned missing; /* in how many answers, one after another */
};

/* All that is known of a name: IPv4 before IPv6, ascending. Zeroed at first. */
struct name_addresses {
    struct name_address *items; /* owned */
    size_t count;
};

/* Takes an answer that has at least one address, in the same order, each once. What is missing in
 * it is forgotten only when it is missing for the second time. `partial`: nothing is known of IPv6.
 * Whether anything changed. */
bool discovery_merge(struct name_addresses *known, const struct address *answer, size_t count,
                     bool partial);
void discovery_release(struct name_addresses *known);
/* The first label of what an address is called, if a server may have that as its name, else "". */
void discovery_label(const char *owner, char out[DISCOVERY_LABEL_MAX]);

/* Whether "host:port" is this server: its address, or its name, or, of one that was discovered, a
 * name that begins with its own. */
bool server_is_at(const struct server_config *s, const char *place);

struct discovery_input {
    const struct backend_config *lines; /* what the file says: servers, and what to discover */
    const struct server_config *was;    /* the servers that run, some of which may be gone */
    const bool *down;                   /* which of them the probes have found down */
    size_t was_count;
    /* What is known of a name; NULL: nothing. */
    const struct name_addresses *(*find)(const void *context, const char *host);
    /* Whether this router listens there itself: it would connect to itself for ever. */
    bool (*is_own)(const void *context, const struct address *at);
    const void *context;
};

/* A server that should be. */
struct planned_server {
    size_t line;       /* in lines->servers, or */
    size_t discovered; /* 1 + in lines->discovers, as in server_config */
    char name[DISCOVERY_LABEL_MAX];
    struct address address; /* not set: it cannot be resolved */
    bool taken; /* not set, because all addresses of its name are another server's, or our own */
};

struct server_plan {
    struct planned_server *items; /* owned; the lines first, in their order */
    size_t count;
};

void discovery_plan(const struct discovery_input *in, struct server_plan *out);
void server_plan_release(struct server_plan *p);

#endif
