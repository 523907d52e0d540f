/* INFO's master_last_io_seconds_ago says when a replica last heard anything, which on an idle link
 * is up to ten seconds ago although nothing is missing. So we remember where the primary was when,
 * and look up how long ago it passed the replica's offset. */
#include "ctl/control.h"

static size_t kept(const struct lag_history *h)
{
    return h->count < LAG_SAMPLES ? h->count : LAG_SAMPLES;
}

void lag_record(struct lag_history *h, uint64_t now_ms, int64_t primary_offset, uint64_t gap_ms)
{
    if (h->count > 0) {
        size_t last = (h->count - 1) % LAG_SAMPLES;
        if (primary_offset == h->samples[last].offset) {
            return; /* the older time is the better one */
        }
        if (primary_offset < h->samples[last].offset) {
            h->count = 0; /* another history */
        }
    }
    if (h->count >= 2 && now_ms - h->samples[(h->count - 2) % LAG_SAMPLES].at_ms < gap_ms) {
        h->count--; /* too close to be worth a place: the newer one takes it */
    }
    h->samples[h->count % LAG_SAMPLES].at_ms = now_ms;
    h->samples[h->count % LAG_SAMPLES].offset = primary_offset;
    h->count++;
}

uint64_t lag_ms(const struct lag_history *h, uint64_t now_ms, int64_t replica_offset)
{
    uint64_t since = now_ms;
    for (size_t i = 0; i < kept(h); i++) {
        size_t at = (h->count - 1 - i) % LAG_SAMPLES;
        if (h->samples[at].offset <= replica_offset) {
            break;
        }
        since = h->samples[at].at_ms;
    }
    return now_ms - since;
}

int64_t lag_bytes(const struct lag_history *h, int64_t replica_offset)
{
    if (h->count == 0) {
        return -1;
    }
    int64_t behind = h->samples[(h->count - 1) % LAG_SAMPLES].offset - replica_offset;
    return behind > 0 ? behind : 0;
}
