/* HAProxy's addresses ("*:80", "ipv4@1.2.3.4:5-9", "unix@/run/x", "db.example.com:3306") as
 * router.ini writes them. Source: HAProxy's configuration manual 3.2, 11 (addresses). */
#ifndef ROUTER_IMPORT_PLACE_H
#define ROUTER_IMPORT_PLACE_H

#include "import/source.h"

struct address_word {
    struct word host; /* with its brackets; "" = none (a bare port, "*") */
    bool any;         /* no host, or "*", or the address that stands for all */
    bool six;         /* IPv6: in brackets, ipv6@ or the like */
    struct word path; /* of a unix socket; "" = none */
    unsigned first;   /* port; 0 = none */
    unsigned last;    /* of a range, else as first */
    bool offset;      /* "+1", "-1": the port is relative to the one that the client came to */
    struct word port; /* as written, with its references; "" = none */
    const char
        *other; /* "abns@", "fd@", ...: what router does not have; NULL: it is none of them */
};

/* An IP address, and no name that is looked up; what a variable may hold counts as it is now. */
bool place_is_number(const struct address_word *a);
/* Neither a port nor a variable that may hold one. */
bool place_lacks_port(const struct address_word *a);

void address_word_read(struct source *s, const struct word *w, struct address_word *out);
/* "host:port" or "unix:/path" for router.ini; `port` 0: that of the word itself. */
struct word address_word_write(struct source *s, const struct address_word *a, unsigned port);

#endif
