#include "model/observation.h"

#include <stdio.h>

void observation_begin(struct observation *o, uint64_t stamp)
{
    *o = (struct observation){.failures = o->failures, .successes = o->successes, .asked = stamp};
}

void observation_fail(struct observation *o, enum reach reach, const char *why)
{
    observation_begin(o, o->asked);
    o->reach = reach;
    snprintf(o->why, sizeof o->why, "%s", why);
}

void observation_end(struct observation *o, uint64_t stamp, uint64_t now_ms, uint64_t latency_us)
{
    uint64_t took_ms = latency_us / 1000 + 1;
    bool good = o->reach == REACH_ANSWERED;
    o->failures = good ? 0 : o->failures + 1;
    o->successes = good ? o->successes + 1 : 0;
    o->answered = stamp;
    o->asked_ms = now_ms > took_ms ? now_ms - took_ms : 0;
    o->at_ms = now_ms;
    o->latency_us = latency_us;
}
