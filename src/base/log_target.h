/* Where the lines of the log go: a descriptor that never blocks whoever writes to it. For log.c;
 * the configuration only asks whether a target can be meant. */
#ifndef ROUTER_BASE_LOG_TARGET_H
#define ROUTER_BASE_LOG_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum log_kind {
    LOG_TO_STDERR,
    LOG_TO_FILE,
    LOG_TO_SYSLOG, /* datagrams, each with a header of RFC 3164 */
};

struct log_target {
    enum log_kind kind;
    int fd;
    bool owned;        /* fd is to be closed */
    bool is_socket;    /* standard error is one: journald's */
    bool may_block;    /* standard error itself: it is looked at before each line */
    char *path;        /* owned: LOG_TO_FILE */
    struct address to; /* LOG_TO_SYSLOG */
};

/* "stderr", "file:PATH", "syslog" (/dev/log), "syslog:HOST:PORT" (UDP, numeric) or
 * "syslog:unix:/PATH". 0 or -EINVAL; `fd` is not open yet. Release it also then. */
int log_target_parse(struct log_target *t, const char *text);
/* Whether both say the same. */
bool log_target_equal(const struct log_target *a, const struct log_target *b);
/* Whether it could be opened: 0 or a negative errno. */
int log_target_check(const struct log_target *t);
/* 0 or a negative errno. `lost` hears of lines that were taken, and then were not written. */
int log_target_open(struct log_target *t, void (*lost)(uint64_t lines));
/* The same one once more; a file by its name, which may be another file by now. */
int log_target_again(struct log_target *t, const struct log_target *before,
                     void (*lost)(uint64_t lines));
/* One line, in one call; how much of it was taken. */
size_t log_target_write(const struct log_target *t, const char *line, size_t len);
void log_target_release(struct log_target *t);

#endif
