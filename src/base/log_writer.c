#include "base/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"

#define PIPE_BYTES  (1 << 20) /* some thousand lines: as much as anybody may have */
#define BATCH_BYTES (64 << 10)
#define WAIT_S      1

struct log_writer {
    int pipe;
    int file;
    void (*count)(uint64_t lines);
    uint64_t lost; /* what the file has not been told of yet */
    bool torn;     /* the file ends within a line */
    size_t len;    /* of the batch; behind its whole lines there may be the beginning of another */
    char batch[BATCH_BYTES];
};

/* A mutex for who waits at the end of the process: no loop runs any more. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned alive;

static uint64_t count_lines(const char *data, size_t len)
{
    uint64_t count = 0;
    for (const char *end; (end = memchr(data, '\n', len)) != NULL; count++) {
        len -= (size_t)(end + 1 - data);
        data = end + 1;
    }
    return count;
}

/* How much of it the file took. */
static size_t write_some(int file, const char *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t wrote = write(file, data + done, len - done);
        if (wrote > 0) {
            done += (size_t)wrote;
        } else if (wrote == 0 || errno != EINTR) {
            break;
        }
    }
    return done;
}

/* The same; what follows half a line begins anew. */
static size_t put(struct log_writer *w, const char *data, size_t len)
{
    if (w->torn && write_some(w->file, "\n", 1) == 0) {
        return 0;
    }
    size_t done = write_some(w->file, data, len);
    w->torn = done > 0 && data[done - 1] != '\n';
    return done;
}

static bool tell_lost(struct log_writer *w)
{
    char words[64];
    struct log_line l;
    snprintf(words, sizeof words, LOG_LOST_WORDS, (unsigned long long)w->lost);
    const struct log_words said = {.level = LOG_LEVEL_WARN, .words = words};
    log_line_make(&l, &said, log_format(), false);
    if (put(w, l.data, l.len) < l.len) {
        return false;
    }
    w->lost = 0;
    return true;
}

static void write_lines(struct log_writer *w, const char *data, size_t len)
{
    size_t done = w->lost == 0 || tell_lost(w) ? put(w, data, len) : 0;
    if (done < len) {
        uint64_t lines = count_lines(data + done, len - done);
        w->lost += lines;
        w->count(lines);
    }
}

/* The last line may be there in part only: a read ends where its buffer does. */
static void take(struct log_writer *w, size_t got)
{
    w->len += got;
    const char *end = memrchr(w->batch, '\n', w->len);
    if (end == NULL) {
        return;
    }
    size_t whole = (size_t)(end + 1 - w->batch);
    write_lines(w, w->batch, whole);
    w->len -= whole;
    memmove(w->batch, w->batch + whole, w->len);
}

static void *run(void *writer)
{
    struct log_writer *w = writer;
    ssize_t got;
    prctl(PR_SET_NAME, "log");
    while ((got = read(w->pipe, w->batch + w->len, sizeof w->batch - w->len)) > 0) {
        take(w, (size_t)got);
    }
    if (w->lost > 0) {
        tell_lost(w);
    }
    close(w->pipe);
    close(w->file);
    free(w);
    pthread_mutex_lock(&lock);
    alive--;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* No signal is for it. */
static int start_thread(struct log_writer *w)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

int log_writer_start(int file, void (*lost)(uint64_t lines))
{
    int ends[2];
    struct log_writer *w = malloc(sizeof *w);
    if (w == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        int rc = w == NULL ? -ENOMEM : -errno;
        free(w);
        return rc;
    }
    *w = (struct log_writer){.pipe = ends[0], .file = file, .count = lost};
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* less will do */
    pthread_mutex_lock(&lock);
    alive++;
    pthread_mutex_unlock(&lock);
    int rc = start_thread(w);
    if (rc == 0) {
        return ends[1];
    }
    pthread_mutex_lock(&lock);
    alive--;
    pthread_mutex_unlock(&lock);
    close(ends[0]);
    close(ends[1]);
    free(w);
    return rc;
}

void log_writers_wait(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&lock);
    while (alive > 0 && pthread_cond_timedwait(&ended, &lock, &until) == 0) {
    }
    pthread_mutex_unlock(&lock);
}
