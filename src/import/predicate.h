/* The expression behind .if and .elif: chapter 2.4 of HAProxy's configuration manual. It is judged
 * as HAProxy 3.2 with OpenSSL would, built as distributions do; what router cannot have (QUIC) is
 * not there. */
#ifndef ROUTER_IMPORT_PREDICATE_H
#define ROUTER_IMPORT_PREDICATE_H

#include "import/environment.h"

#define ASSUMED_VERSION "3.2.0"

/* `expression` is the line's words behind the directive, with a space between each two. Returns 1,
 * 0, or -EINVAL if HAProxy could not read it: then *what says so, and *where is the place in it. */
int predicate_judge(const char *expression, const struct environment *e, const char **what,
                    const char **where);

#endif
