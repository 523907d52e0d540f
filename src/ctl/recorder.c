#include "ctl/recorder.h"

#include <time.h>
#include <uv.h>

static uint64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct record *recorder_open(struct recorder *r, size_t backend, struct record_counts now)
{
    struct record *record = &r->ring[r->count % RECORDS_KEPT];
    *record = (struct record){
        .number = ++r->count,
        .at_unix_ms = unix_ms(),
        .backend = backend,
        .elected_us = RECORD_NEVER,
        .fenced_us = RECORD_NEVER,
        .published_us = RECORD_NEVER,
        .written_us = RECORD_NEVER,
        .opened_ns = uv_hrtime(),
        .counts = now,
    };
    return record;
}

struct record *recorder_current(struct recorder *r, size_t backend)
{
    for (size_t i = 0; i < RECORDS_KEPT && i < r->count; i++) {
        struct record *record = &r->ring[(r->count - 1 - i) % RECORDS_KEPT];
        if (record->backend == backend) {
            return record->complete ? NULL : record;
        }
    }
    return NULL;
}

void record_mark(const struct record *record, uint64_t *time_us)
{
    if (*time_us == RECORD_NEVER) {
        *time_us = (uv_hrtime() - record->opened_ns) / 1000;
    }
}

struct record_counts record_since(const struct record *record, struct record_counts now)
{
    return record->complete ? record->counts
                            : (struct record_counts){now.held - record->counts.held,
                                                     now.closed - record->counts.closed};
}

const struct record *recorder_newest(const struct recorder *r, size_t i)
{
    if (i >= r->count || i >= RECORDS_KEPT) {
        return NULL;
    }
    return &r->ring[(r->count - 1 - i) % RECORDS_KEPT];
}
