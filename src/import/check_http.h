/* A check over HTTP: what is asked, and which answers are good. */
#ifndef ROUTER_IMPORT_CHECK_HTTP_H
#define ROUTER_IMPORT_CHECK_HTTP_H

#include "import/check_internal.h"

#define STATUS_MAX 600

struct http_request {
    struct word method;
    struct word uri;
    bool fits[STATUS_MAX]; /* by the status of the answer; from 100 on */
    bool expected;         /* a script says so: otherwise 2xx and 3xx */
    const char *body;      /* what must stand in the body; NULL: nothing */
};

/* What the request means where it is an idiom; its lines are marked then. */
bool check_patroni(struct understanding *u, const struct http_request *r);
bool check_cluster(struct understanding *u, const struct http_request *r);

#endif
