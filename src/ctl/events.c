/* A ring that overwrites its oldest entry. Every event is also a line of the log: the ring is for
 * those who look at the router, the log for those who look later. */
#include "ctl/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"

static uint64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void events_add(struct events *e, const char *backend, const char *kind, const char *fmt, ...)
{
    struct event *event = &e->ring[e->count % EVENTS_KEPT];
    e->count++;
    *event = (struct event){.number = e->count, .at_unix_ms = unix_ms()};
    snprintf(event->backend, sizeof(event->backend), "%s", backend);
    snprintf(event->kind, sizeof(event->kind), "%s", kind);
    va_list args;
    va_start(args, fmt);
    vsnprintf(event->text, sizeof(event->text), fmt, args);
    va_end(args);
    if (event->backend[0] != '\0') {
        log_info("%s: %s: %s", event->backend, event->kind, event->text);
    } else {
        log_info("%s: %s", event->kind, event->text);
    }
}

const struct event *events_newest(const struct events *e, size_t i)
{
    if (i >= e->count || i >= EVENTS_KEPT) {
        return NULL;
    }
    return &e->ring[(e->count - 1 - i) % EVENTS_KEPT];
}
