/* Every word that HAProxy knows at the start of a line, and behind `server` and `bind`: where it
 * may stand, what must follow, and what becomes of it. Declared in keywords.def and parameters.def.
 */
#ifndef ROUTER_IMPORT_KEYWORD_H
#define ROUTER_IMPORT_KEYWORD_H

#include "import/source.h"

enum keyword_place {
    IN_GLOBAL = 1 << SECTION_GLOBAL,
    IN_DEFAULTS = 1 << SECTION_DEFAULTS,
    IN_FRONTEND = 1 << SECTION_FRONTEND,
    IN_BACKEND = 1 << SECTION_BACKEND,
    IN_LISTEN = 1 << SECTION_LISTEN,
    IN_PEERS = 1 << SECTION_PEERS,
    IN_RESOLVERS = 1 << SECTION_RESOLVERS,
    IN_USERLIST = 1 << SECTION_USERLIST,
    IN_OTHER = 1 << SECTION_OTHER, /* one that nobody knows; those that are known: */
    IN_CACHE = IN_OTHER << 1,
    IN_PROGRAM = IN_OTHER << 2,
    IN_MAILERS = IN_OTHER << 3,
    IN_RING = IN_OTHER << 4,
    IN_LOG_FORWARD = IN_OTHER << 5,
    IN_HTTP_ERRORS = IN_OTHER << 6,
    IN_FCGI_APP = IN_OTHER << 7,
    IN_CRT_STORE = IN_OTHER << 8,
    IN_TRACES = IN_OTHER << 9,
    IN_LOG_PROFILE = IN_OTHER << 10,
    IN_ACME = IN_OTHER << 11,
    IN_NAMESPACES = IN_OTHER << 12,
    IN_PROXIES = IN_DEFAULTS | IN_FRONTEND | IN_BACKEND | IN_LISTEN,
    /* and what is to be said of the keyword: */
    KEYWORD_NO = 1 << 25,   /* `no` and `default` may stand before it */
    KEYWORD_SOFT = 1 << 26, /* in another kind of proxy HAProxy warns and ignores it */
    KEYWORD_HTTP = 1 << 27, /* HAProxy ignores it in mode tcp */
    KEYWORD_TLS = 1 << 28   /* it has no effect where nothing uses TLS */
};

struct keyword {
    const char *name;     /* "balance", "timeout connect", "option tcp-check" */
    unsigned places;      /* bits of enum keyword_place */
    enum verdict verdict; /* NONE: what it says is taken over by a translator, or is lost */
    const char *words;    /* why, where there is a verdict */
    const char *shape;    /* what must follow it, in the letters of keywords.def */
};

extern const struct keyword keyword_table[];
extern const size_t keyword_count;

/* The bit of the section in enum keyword_place. */
unsigned keyword_place(const struct section *section);

/* Finds the keyword of each line, marks the words that are secret, and looks at its arguments as
 * HAProxy does; what HAProxy refuses is an error. Lines whose keyword has a verdict get it. Also
 * what lines say of each other: names that are there twice, backends that are not there, ... */
void keywords_check(struct source *s);

/* One word of a `server`, `default-server`, `server-template` or `bind` line, with what belongs to
 * it. */
struct parameter {
    const char *name;             /* "check", "inter", "send-proxy-v2"; without `no-` */
    bool negated;                 /* `no-check` */
    const struct word *arguments; /* borrowed */
    size_t count;
    enum verdict verdict; /* as in struct keyword */
    const char *words;
};

struct parameters {
    struct parameter *items;
    size_t count;
};

/* Those of a line that has passed keywords_check(), from its argument `at` on: 0 for
 * `default-server`, 1 for `bind` (behind the address), 2 for `server`, 3 for `server-template`.
 * Nothing is marked. */
void parameters_read(struct source *s, const struct line *l, size_t at, struct parameters *out);
/* The last one with this name; NULL if there is none. */
const struct parameter *parameters_find(const struct parameters *all, const char *name);
/* Marks the line for each of them that has a verdict of its own. */
void parameters_mark(struct source *s, struct line *l, const struct parameters *all);

#endif
