/* How a line of the log looks in each format. Pure but for the clock; for log.c. */
#ifndef ROUTER_BASE_LOG_LINE_H
#define ROUTER_BASE_LOG_LINE_H

#include "base/log.h"

/* No longer than what a pipe takes whole or not at all (PIPE_BUF). */
#define LOG_LINE_MAX  4096
/* Of the words of a line, before they are escaped. */
#define LOG_WORDS_MAX 1024

#define LOG_LOST_WORDS "%llu lines of the log were lost" /* unsigned long long */

struct log_line {
    size_t len;
    char data[LOG_LINE_MAX];
};

/* What a line says, and to whom. `words` is one of them, or with `as_is` a line that stands for
 * itself in HAProxy's format. */
struct log_words {
    enum log_level level;
    const char *words;
    const struct log_field *fields; /* NULL: none */
    size_t field_count;
    bool as_is;
};

/* Without a header: a line with its end. With one: a datagram for a syslog. */
void log_line_make(struct log_line *l, const struct log_words *w, enum log_format format,
                   bool syslog);

#endif
