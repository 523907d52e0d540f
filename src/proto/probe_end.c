#include "proto/probe_end.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void probe_report(struct observation *o, const struct observation *fresh)
{
    struct observation old = *o;
    *o = *fresh;
    o->asked = old.asked;
    o->answered = old.answered;
    o->at_ms = old.at_ms;
    o->latency_us = old.latency_us;
    o->failures = old.failures;
    o->successes = old.successes;
}

enum probe_step probe_fail(struct observation *o, enum reach reach, const char *fmt, ...)
{
    struct observation fresh = {.reach = reach};
    va_list args;
    va_start(args, fmt);
    vsnprintf(fresh.why, sizeof(fresh.why), fmt, args);
    va_end(args);
    probe_report(o, &fresh);
    return PROBE_STEP_FAIL;
}

const char *probe_quote(char out[PROBE_QUOTE_MAX], const char *text, const char *secret)
{
    out[0] = '\0';
    if (secret != NULL && secret[0] != '\0' && strstr(text, secret) != NULL) {
        return out;
    }
    size_t n = 0;
    for (; n < PROBE_QUOTE_MAX - 1 && text[n] != '\0'; n++) {
        out[n] = (char)(text[n] < ' ' || text[n] > '~' ? '?' : text[n]);
    }
    out[n] = '\0';
    return out;
}
