/* The log: one line per event, to standard error, a file or a syslog, as logfmt, as JSON or as
 * HAProxy's would look. Any thread may log. A line is made on the caller's stack and leaves in one
 * system call, so lines never mix; and it leaves at once or not at all: what a full pipe, a full
 * disk or a syslog that does not keep up does not take is counted, and told by the next line that
 * is taken. Whatever bytes are in a line, it stays one line and valid in its format. Never pass a
 * secret. What a peer can cause is passed through a log_gate.
 *
 * Before log_configure() lines go to standard error, as text. */
#ifndef ROUTER_BASE_LOG_H
#define ROUTER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_HAPROXY };

struct log_setup {
    const char *target; /* "stderr", "file:PATH", "syslog", "syslog:ADDRESS"; NULL = stderr */
    enum log_format format;
    enum log_level level;
};

#define LOG_WHY_MAX 256

/* At the start, and again whenever the configuration changes. 0; or a negative errno with the
 * reason in `why`, and everything stays as it was. */
int log_configure(const struct log_setup *setup, char why[LOG_WHY_MAX]);
/* Whether that target could be used now: nothing is made, nothing changes. As log_configure(). */
int log_check(const char *wanted, char why[LOG_WHY_MAX]);
/* After a file was moved away (logrotate): opens it again by its name. One that cannot be opened is
 * told in the old one, which stays in use. */
void log_reopen(void);
/* Tells what was lost, and lets go of everything, once a file has what it was to get or a second
 * is over. Later lines go to standard error. */
void log_close(void);

void log_set_level(enum log_level level); /* any time */
bool log_enabled(enum log_level level);
enum log_format log_format(void);

uint64_t log_dropped(void);  /* lines that the target did not take */
uint64_t log_left_out(void); /* lines that gates held back */

void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A line that other programs read: a word for what it is, and values with names. */
struct log_field {
    const char *key;
    const char *text; /* NULL: the number */
    int64_t number;
};
void log_event(enum log_level level, const char *what, const struct log_field *fields,
               size_t count);
/* A line that is in HAProxy's format already: nothing is put before it there. */
void log_as_is(enum log_level level, const char *line);

/* At most `per_second` lines each second; the next window's first line tells how many were left
 * out. One gate belongs to one thread. */
struct log_gate {
    uint64_t window_s;
    unsigned used;
    unsigned suppressed;
};

/* False: it is to be left out, and counted. Else *suppressed says how many were before it. */
bool log_gate_admits(struct log_gate *gate, unsigned per_second, unsigned *suppressed);
void log_limited(struct log_gate *gate, unsigned per_second, enum log_level level, const char *fmt,
                 ...) PRINTF_LIKE(4, 5);

#endif
