/* The log: one line per event, "2026-11-21T09:00:00.000Z info words words". Any thread may log; a
 * line is formatted on the caller's stack and leaves in one write(2), so lines never mix. Control
 * bytes are escaped. Never pass a secret. What a peer can cause is passed through log_limited(). */
#ifndef ROUTER_BASE_LOG_H
#define ROUTER_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level); /* before threads start, or from the control thread */
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* At most `per_second` lines each second; the next window's first line tells how many were left
 * out. One gate belongs to one thread. */
struct log_gate {
    uint64_t window_s;
    unsigned used;
    unsigned suppressed;
};

void log_limited(struct log_gate *gate, unsigned per_second, enum log_level level, const char *fmt,
                 ...) PRINTF_LIKE(4, 5);

#endif
