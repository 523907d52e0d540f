/* The ring of what happened: role changes, fences, servers that came and went. Control thread only.
 */
#ifndef ROUTER_CTL_EVENTS_H
#define ROUTER_CTL_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define EVENTS_KEPT    200
#define EVENT_TEXT_MAX 320

struct event {
    uint64_t number; /* counts from 1 */
    uint64_t at_unix_ms;
    char backend[64]; /* empty: the router itself */
    char kind[16];    /* "primary", "hold", "fence", "server", "router" */
    char text[EVENT_TEXT_MAX];
};

struct events {
    struct event ring[EVENTS_KEPT];
    uint64_t count; /* ever */
};

/* Adds to the ring and to the log (info). */
void events_add(struct events *e, const char *backend, const char *kind, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The i-th newest, 0 = newest; NULL beyond the end. */
const struct event *events_newest(const struct events *e, size_t i);

#endif
