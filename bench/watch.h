/* What a load measures while it runs: the CPU clocks of the processes that it is told to watch, the
 * wall's, and how long each of its requests took. A process's CPU clock counts nanoseconds over all
 * its threads, past and present. */
#ifndef BENCH_WATCH_H
#define BENCH_WATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { WATCHED = 8, WALL = WATCHED, OWN, CLOCKS };

struct watch {
    clockid_t clocks[WATCHED];
    int count;
    int64_t at_start[CLOCKS]; /* the watched, the wall, our own CPU clock */
    int64_t at_end[CLOCKS];
    uint32_t *took; /* owned: ns */
    size_t took_count;
    size_t took_size;
};

/* Both end the program. */
_Noreturn void die(const char *what); /* errno says why */
_Noreturn void refuse(const char *why);

int64_t wall_ns(void);

void watch_process(struct watch *w, pid_t pid);
void watch_prepare(struct watch *w, size_t requests); /* how many are timed at most */
void watch_start(struct watch *w);
void watch_end(struct watch *w);
void watch_took(struct watch *w, int64_t ns);
/* The members of a JSON object: what half of all and 99 of 100 took at most, the clocks. */
void watch_print(struct watch *w);

#endif
