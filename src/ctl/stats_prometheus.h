/* How the parts of /metrics are written (text format 0.0.4), for ctl/stats_prometheus*.c. A family
 * has its HELP and TYPE once and all its series right behind. There may be thousands of series, so
 * what they have in common is made once: the labels of a proxy or a server are a text of its own.
 */
#ifndef ROUTER_CTL_STATS_PROMETHEUS_H
#define ROUTER_CTL_STATS_PROMETHEUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct control;

void prometheus_family(struct text *out, const char *name, const char *type, const char *help);
/* {proxy="...",server="..." without the brace at the end; a server that is NULL is left out. */
void prometheus_labels(struct text *labels, const char *proxy, const char *server);
/* name{labels,key="value"} up to the value and the space before it; `key` may be NULL. */
void prometheus_series(struct text *out, const char *name, const struct text *labels,
                       const char *key, const char *value);
void prometheus_number(struct text *out, int64_t value); /* and the line's end */
void prometheus_seconds(struct text *out, uint64_t us);

/* The parts: HAProxy's families of frontends, backends and servers with the workers' metrics; and
 * what HAProxy has not. */
void prometheus_add_proxies(const struct control *c, struct text *out);
void prometheus_add_router(const struct control *c, struct text *out);

#endif
