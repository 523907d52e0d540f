#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static _Atomic int threshold = LOG_LEVEL_INFO;

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

static size_t stamp(char *out, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(out + len, size - len, ".%03ldZ %s ", now.tv_nsec / 1000000,
                            level_names[level]);
    return len;
}

/* Whatever a peer or a file put into the line cannot forge a second one. */
static void escape_controls(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
}

static void emit(enum log_level level, unsigned suppressed, const char *fmt, va_list args)
{
    char line[LINE_MAX_BYTES];
    size_t len = stamp(line, sizeof line, level);
    int body = vsnprintf(line + len, sizeof line - len - 1, fmt, args);
    if (body < 0) {
        return;
    }
    len += (size_t)body;
    if (suppressed > 0 && len < sizeof line - 1) {
        len += (size_t)snprintf(line + len, sizeof line - len - 1, " (%u like this left out)",
                                suppressed);
    }
    if (len > sizeof line - 2) {
        len = sizeof line - 2;
    }
    escape_controls(line, len);
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* there is nowhere left to say that the log is gone */
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    emit(level, 0, fmt, args);
    va_end(args);
}

void log_limited(struct log_gate *gate, unsigned per_second, enum log_level level, const char *fmt,
                 ...)
{
    if (!log_enabled(level)) {
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    unsigned suppressed = 0;
    if ((uint64_t)now.tv_sec != gate->window_s) {
        suppressed = gate->suppressed;
        *gate = (struct log_gate){.window_s = (uint64_t)now.tv_sec};
    }
    if (gate->used >= per_second) {
        gate->suppressed++;
        return;
    }
    gate->used++;
    va_list args;
    va_start(args, fmt);
    emit(level, suppressed, fmt, args);
    va_end(args);
}
