/* What is told of a backend's pool: /stats.json, "show pool" and the page say the same because they
 * ask here. Control thread only. */
#ifndef ROUTER_CTL_POOL_VIEW_H
#define ROUTER_CTL_POOL_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "model/login_guard.h"
#include "model/messages.h"

struct control;

enum pool_count { /* from the left to the right */
                  POOLED_CLIENTS,
                  POOLED_HELD,
                  POOLED_SHARED,
                  POOLED_LENT,
                  POOLED_IDLE,
                  POOLED_OPENING,
                  POOLED_OPENED,
                  POOLED_LEASES,
                  POOLED_REUSED,
                  POOLED_READ,
                  POOLED_WRITTEN,
                  POOLED_OTHER,
                  POOLED_WAITED,
                  POOLED_RESENT,
                  POOLED_UNKNOWN,
                  POOLED_REFUSED,
                  /* MySQL */
                  POOLED_FRESH,
                  POOLED_CHANGED,
                  POOLED_RESUMED,
                  POOLED_MOVED,
                  POOLED_DENIED,
                  POOLED_SLOWED,
                  POOLED_QUEUED,
                  POOLED_RETURNED,
                  POOLED_ENDED,
                  POOLED_CLEANED,
                  POOLED_LOGIN_AVERAGE,
                  POOLED_LOGIN_MAX,
                  POOLED_COUNTS,
};

struct pool_view {
    bool mysql;       /* that lends whole connections; else Redis */
    bool pooled;      /* there is one, or what is left of it */
    const char *mode; /* "session", "transaction" or "both"; "none": its clients are still there */
    uint64_t counts[POOLED_COUNTS];
    uint64_t pins[POOL_PINS];
    struct login_guard_total failed; /* MySQL: logins of the whole router, whose they were */
};

const char *pool_count_word(enum pool_count count);
/* Whether pools of its protocol have that. */
bool pool_counts(const struct pool_view *v, enum pool_count count);
bool pool_pins(const struct pool_view *v, unsigned pin);
const char *pool_pin_word(unsigned pin);
/* "transaction,watch", or `none`. */
void pool_add_pins(unsigned pins, const char *none, struct text *out);

struct pool_view view_pool(const struct control *c, size_t backend);
/* Of the times that a client was lent a connection, those with one that was there already, in
 * percent; -1 = there were none. */
int pool_reuse(const struct pool_view *v);
/* An object, or null where nothing is pooled. */
void pool_json(const struct pool_view *v, struct text *out);

#endif
