/* Until when a replica has all that was written: of each answer of the primary it is known that all
 * writes which were answered before it was asked are below the offset that it told; a replica of
 * the same history that has told as large an offset has them. Redis only, whose servers count one
 * history alike. Times are those of uv_hrtime(), in ms. Start from zeroed structs. */
#ifndef ROUTER_MODEL_CATCH_UP_H
#define ROUTER_MODEL_CATCH_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/observation.h"

#define CATCH_UP_SAMPLES 64

/* What the primary was seen to have. */
struct catch_up {
    int primary; /* which server it is */
    char history[REPLID_MAX];
    unsigned turn; /* how many primaries and histories there were */
    struct {
        uint64_t asked_ms;
        int64_t offset;
    } samples[CATCH_UP_SAMPLES]; /* the offset grows from one to the next */
    size_t count;                /* ever */
};

/* What is known of a replica. */
struct follower {
    bool known; /* it follows: the rest is what it said last */
    char history[REPLID_MAX];
    int64_t offset;
    unsigned turn;
    uint64_t caught_up_ms; /* all writes that were answered before are on it; 0 = that is not known
                            */
};

/* An answer of the elected primary. */
void catch_up_lead(struct catch_up *c, int primary, const struct observation *o);
/* An observation of another server. What it cannot keep for certain is forgotten. */
void catch_up_follow(const struct catch_up *c, struct follower *f, const struct observation *o);
/* The primary has answered since. */
void catch_up_refresh(const struct catch_up *c, struct follower *f);
/* It may be another process by now. */
void catch_up_forget(struct follower *f);

#endif
