/* The servers of a backend or a listen, with what `default-server` says of all of them. */
#ifndef ROUTER_IMPORT_SERVERS_H
#define ROUTER_IMPORT_SERVERS_H

#include "import/keyword.h"
#include "import/place.h"
#include "import/proxy.h"

struct server_part {
    struct line *line;
    struct word name;
    struct address_word at;
    const char *place; /* the address as router.ini has it; by it servers are the same */
    struct parameters own;
    bool lost;     /* router cannot connect there */
    bool template; /* `server-template`: the name's addresses are the servers */
};

struct defaults_part {
    struct line *line;
    struct parameters own;
};

struct servers {
    struct server_part *items;
    size_t count;
    struct defaults_part *defaults; /* in order, the inherited ones first */
    size_t defaults_count;
};

void servers_read(const struct proxy *p, struct servers *out);

/* What the server's line says, or else a `default-server`: NULL if neither does, or it was taken
 * back. *l is the line that says it; NULL is fine. */
const struct parameter *server_says(const struct servers *all, const struct server_part *server,
                                    const char *name, struct line **l);
/* Whether the servers that may be used first are one: one of all, or all others are `backup`. */
bool servers_are_one(const struct servers *all);

#endif
