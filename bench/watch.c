#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

_Noreturn void refuse(const char *why)
{
    fprintf(stderr, "load: %s\n", why);
    exit(1);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t))
        die("CPU clock of a watched process");
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int64_t wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

void watch_process(struct watch *w, pid_t pid)
{
    if (w->count == WATCHED)
        refuse("too many processes to watch");
    if (clock_getcpuclockid(pid, &w->clocks[w->count++]))
        refuse("no such process to watch");
}

void watch_prepare(struct watch *w, size_t requests)
{
    w->took_size = requests;
    w->took = calloc(requests, sizeof(*w->took));
    if (!w->took)
        die("calloc");
}

static void snapshot(const struct watch *w, int64_t *into)
{
    for (int i = 0; i < w->count; i++)
        into[i] = clock_ns(w->clocks[i]);
    into[WALL] = wall_ns();
    into[OWN] = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void watch_start(struct watch *w)
{
    snapshot(w, w->at_start);
}

void watch_end(struct watch *w)
{
    snapshot(w, w->at_end);
}

void watch_took(struct watch *w, int64_t ns)
{
    if (w->took_count < w->took_size)
        w->took[w->took_count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static int by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

void watch_print(struct watch *w)
{
    qsort(w->took, w->took_count, sizeof(*w->took), by_size);
    uint32_t half = w->took_count ? w->took[w->took_count / 2] : 0;
    uint32_t most = w->took_count ? w->took[w->took_count * 99 / 100] : 0;
    printf("\"p50_ns\": %u, \"p99_ns\": %u, \"wall_ns\": %lld, \"own_ns\": %lld, \"cpu_ns\": [",
           half, most, (long long)(w->at_end[WALL] - w->at_start[WALL]),
           (long long)(w->at_end[OWN] - w->at_start[OWN]));
    for (int i = 0; i < w->count; i++)
        printf("%s%lld", i ? ", " : "", (long long)(w->at_end[i] - w->at_start[i]));
    printf("]");
}
