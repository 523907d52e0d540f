/* What a Redis Sentinel is asked (redis.io, "Guidelines for Redis clients with support for Redis
 * Sentinel"): whom it names as the primary. */
#ifndef ROUTER_PROTO_SENTINEL_PROBE_H
#define ROUTER_PROTO_SENTINEL_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "router_proto.h"

struct resp_error;

/* Asks SENTINEL GET-MASTER-ADDR-BY-NAME for setup->master. On PROBE_STEP_DONE the reach is ANSWERED
 * and `follows` is "host:port" of the primary that this Sentinel names ("[host]:port" with IPv6;
 * a host name where Sentinels announce one); empty if it knows no such name (why says so).
 * `members` is how many Sentinels it knows of, itself among them; 0 = it does not say. On
 * PROBE_STEP_FAIL the reach is DENIED or SILENT, with why in words. */
extern const struct probe_dialogue sentinel_probe;

/* An error reply to AUTH (then it is never quoted, as it may repeat the password) or to `command`,
 * in words; `acl` is what an account needs that may not run it. */
#define SENTINEL_WORDS_MAX 160
const char *sentinel_error_words(const struct resp_error *e, bool auth, const char *command,
                                 const char *acl, char out[SENTINEL_WORDS_MAX]);

#endif
