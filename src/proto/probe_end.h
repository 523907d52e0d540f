/* How a dialogue ends: the observation is replaced, and what is the caller's in it is kept. */
#ifndef ROUTER_PROTO_PROBE_END_H
#define ROUTER_PROTO_PROBE_END_H

#include "base/macros.h"
#include "model/observation.h"
#include "router_proto.h"

#define PROBE_QUOTE_MAX 128

/* Replaces what the observation says, but not when it was asked and how the last ones went. */
void probe_report(struct observation *o, const struct observation *fresh);

/* Nothing was learnt but this. Always PROBE_STEP_FAIL. */
enum probe_step probe_fail(struct observation *o, enum reach reach, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* A server's text as plain ASCII, cut to PROBE_QUOTE_MAX; returns out. Empty if it tells `secret`
 * (NULL = there is none). */
const char *probe_quote(char out[PROBE_QUOTE_MAX], const char *text, const char *secret);

#endif
