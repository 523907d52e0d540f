/* The flight recorder: what happened at each change of a backend's primary, as one record. A ring
 * of the newest; control thread only.
 *
 * A record is opened when writes stop (the primary is held, contested, or lost, or another one is
 * elected), and is complete when the first client has written to the primary again, whoever that
 * is. Until then its numbers grow. */
#ifndef ROUTER_CTL_RECORDER_H
#define ROUTER_CTL_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/election.h"

#define RECORDS_KEPT      32
#define RECORD_CLAIMS_MAX 512
#define RECORD_NEVER      UINT64_MAX

/* Sessions that waited, and sessions that were reset because their server lost the role. */
struct record_counts {
    uint64_t held;
    uint64_t closed;
};

struct record {
    uint64_t number;     /* counts from 1 */
    uint64_t at_unix_ms; /* when it was opened */
    size_t backend;
    char backend_name[64];              /* it may be another one's place later */
    char from[64];                      /* the primary before; empty = none */
    char to[64];                        /* the one after; empty = none yet */
    char evidence[ELECTION_REASON_MAX]; /* the verdict that opened it; then the one that elected */
    char claims[RECORD_CLAIMS_MAX];     /* who said what at that moment */
    /* Since at_unix_ms, in us; RECORD_NEVER = not yet. */
    uint64_t elected_us;   /* the election named the primary */
    uint64_t fenced_us;    /* no worker could write to the old one any more; 0 = nobody had to */
    uint64_t published_us; /* the workers were told about the new one */
    uint64_t written_us;   /* the first bytes of a client went to it */
    bool complete;
    struct record_counts
        counts; /* complete: what it has counted; until then what stood before it */
    uint64_t opened_ns;
};

struct recorder {
    struct record ring[RECORDS_KEPT];
    uint64_t count; /* ever */
};

/* A new record of this backend, to be filled in. It is borrowed until 31 others were opened. */
struct record *recorder_open(struct recorder *r, size_t backend, struct record_counts now);
/* The open record of this backend, NULL if its last one is complete. */
struct record *recorder_current(struct recorder *r, size_t backend);
/* Notes the present moment in one of the record's times, if it has none yet. */
void record_mark(const struct record *record, uint64_t *time_us);
/* What was counted since the record was opened. */
struct record_counts record_since(const struct record *record, struct record_counts now);
/* The i-th newest, 0 = newest; NULL beyond the end. */
const struct record *recorder_newest(const struct recorder *r, size_t i);

#endif
