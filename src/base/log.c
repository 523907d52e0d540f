/* What is in use is one struct log_target behind a read-write lock: whoever writes a line holds it
 * for reading, so that a target is never closed under a line. Not one of the ways to share that
 * src/README.md allows, because any thread logs, without a mailbox or an end that could hand a
 * snapshot back. It is taken after the level is checked, only for lines that are written; held for
 * writing it is for as long as two structs take to change places, never during a system call. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/log_target.h"
#include "base/log_writer.h"

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic int format_in_use = LOG_FORMAT_TEXT;

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct log_target target = {.kind = LOG_TO_STDERR, .fd = STDERR_FILENO};
static bool configured; /* by the thread that configures: `target` is what it asked for */

static atomic_bool torn; /* the last line is there in part: a disk was full in the midst of it */
static _Atomic uint64_t dropped;
static _Atomic uint64_t untold; /* of those, what no line has told yet */
static _Atomic uint64_t left_out;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

enum log_format log_format(void)
{
    return (enum log_format)atomic_load_explicit(&format_in_use, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

uint64_t log_left_out(void)
{
    return atomic_load_explicit(&left_out, memory_order_relaxed);
}

static void count_dropped(uint64_t lines)
{
    atomic_fetch_add_explicit(&dropped, lines, memory_order_relaxed);
}

/* Lines -------------------------------------------------------------------------------------- */

/* What follows half a line begins anew. */
static bool write_line(const struct log_line *l)
{
    if (target.kind == LOG_TO_SYSLOG) {
        return log_target_write(&target, l->data, l->len) > 0;
    }
    bool mend = atomic_exchange_explicit(&torn, false, memory_order_relaxed);
    if (mend && log_target_write(&target, "\n", 1) == 0) {
        atomic_store_explicit(&torn, true, memory_order_relaxed);
        return false;
    }
    size_t wrote = log_target_write(&target, l->data, l->len);
    if (wrote > 0 && wrote < l->len) {
        atomic_store_explicit(&torn, true, memory_order_relaxed);
    }
    return wrote == l->len;
}

static bool tell_lost(struct log_line *l)
{
    uint64_t lost = atomic_exchange_explicit(&untold, 0, memory_order_relaxed);
    if (lost == 0) { /* another thread tells it */
        return true;
    }
    char words[64];
    snprintf(words, sizeof words, LOG_LOST_WORDS, (unsigned long long)lost);
    const struct log_words w = {.level = LOG_LEVEL_WARN, .words = words};
    log_line_make(l, &w, log_format(), target.kind == LOG_TO_SYSLOG);
    if (write_line(l)) {
        return true;
    }
    atomic_fetch_add_explicit(&untold, lost, memory_order_relaxed);
    return false;
}

static void emit(const struct log_words *w)
{
    struct log_line l;
    pthread_rwlock_rdlock(&lock);
    bool taken = atomic_load_explicit(&untold, memory_order_relaxed) == 0 || tell_lost(&l);
    if (taken) {
        log_line_make(&l, w, log_format(), target.kind == LOG_TO_SYSLOG);
        taken = write_line(&l);
    }
    pthread_rwlock_unlock(&lock);
    if (!taken) {
        count_dropped(1);
        atomic_fetch_add_explicit(&untold, 1, memory_order_relaxed);
    }
}

static void emit_words(enum log_level level, unsigned suppressed, const char *fmt, va_list args)
{
    char words[LOG_WORDS_MAX];
    int len = vsnprintf(words, sizeof words, fmt, args);
    if (len < 0) {
        return;
    }
    if (suppressed > 0 && (size_t)len < sizeof words) {
        snprintf(words + len, sizeof words - (size_t)len, " (%u like this left out)", suppressed);
    }
    emit(&(struct log_words){.level = level, .words = words});
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    emit_words(level, 0, fmt, args);
    va_end(args);
}

void log_event(enum log_level level, const char *what, const struct log_field *fields, size_t count)
{
    if (log_enabled(level)) {
        emit(&(struct log_words){
            .level = level, .words = what, .fields = fields, .field_count = count});
    }
}

void log_as_is(enum log_level level, const char *line)
{
    if (log_enabled(level)) {
        emit(&(struct log_words){.level = level, .words = line, .as_is = true});
    }
}

/* Gates -------------------------------------------------------------------------------------- */

bool log_gate_admits(struct log_gate *gate, unsigned per_second, unsigned *suppressed)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    *suppressed = 0;
    if ((uint64_t)now.tv_sec != gate->window_s) {
        *suppressed = gate->suppressed;
        *gate = (struct log_gate){.window_s = (uint64_t)now.tv_sec};
    }
    if (gate->used < per_second) {
        gate->used++;
        return true;
    }
    gate->suppressed++;
    atomic_fetch_add_explicit(&left_out, 1, memory_order_relaxed);
    return false;
}

void log_limited(struct log_gate *gate, unsigned per_second, enum log_level level, const char *fmt,
                 ...)
{
    unsigned suppressed;
    if (!log_enabled(level) || !log_gate_admits(gate, per_second, &suppressed)) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    emit_words(level, suppressed, fmt, args);
    va_end(args);
}

/* Targets ------------------------------------------------------------------------------------ */

/* Lines of other threads go to the one or the other. */
static void exchange(struct log_target *next, enum log_format format)
{
    pthread_rwlock_wrlock(&lock);
    struct log_target before = target;
    target = *next;
    *next = before;
    atomic_store_explicit(&format_in_use, (int)format, memory_order_relaxed);
    atomic_store_explicit(&torn, false, memory_order_relaxed);
    pthread_rwlock_unlock(&lock);
}

static int explain(int rc, const char *wanted, char why[LOG_WHY_MAX])
{
    if (rc != 0) {
        snprintf(why, LOG_WHY_MAX, "cannot log to %s: %s", wanted, strerror(-rc));
    }
    return rc;
}

int log_check(const char *wanted, char why[LOG_WHY_MAX])
{
    struct log_target t;
    int rc = log_target_parse(&t, wanted);
    rc = rc != 0 ? rc : log_target_check(&t);
    log_target_release(&t);
    return explain(rc, wanted, why);
}

/* A target that stays is not opened again: it may be where only who started us may write. */
int log_configure(const struct log_setup *setup, char why[LOG_WHY_MAX])
{
    const char *wanted = setup->target != NULL ? setup->target : "stderr";
    struct log_target next;
    int rc = log_target_parse(&next, wanted);
    bool stays = rc == 0 && configured && log_target_equal(&next, &target);
    rc = rc != 0 || stays ? rc : log_target_open(&next, count_dropped);
    if (stays) {
        atomic_store_explicit(&format_in_use, (int)setup->format, memory_order_relaxed);
    } else if (rc == 0) {
        exchange(&next, setup->format);
    }
    if (rc == 0) {
        configured = true;
        log_set_level(setup->level);
    }
    log_target_release(&next);
    return explain(rc, wanted, why);
}

/* Only the thread that configures changes the target, so it may read it without the lock. */
void log_reopen(void)
{
    struct log_target next;
    if (target.kind != LOG_TO_FILE) {
        return;
    }
    int rc = log_target_again(&next, &target, count_dropped);
    if (rc != 0) {
        log_error("cannot open the log file %s again: %s; the old one stays in use", target.path,
                  strerror(-rc));
        return;
    }
    exchange(&next, log_format());
    log_target_release(&next);
    log_info("the log file was opened again");
}

void log_close(void)
{
    struct log_target next = {.kind = LOG_TO_STDERR, .fd = STDERR_FILENO};
    struct log_line l;
    tell_lost(&l);
    exchange(&next, LOG_FORMAT_TEXT);
    configured = false;
    log_target_release(&next);
    log_writers_wait();
}
