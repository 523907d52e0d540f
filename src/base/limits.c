#include "base/limits.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors beyond this many would only make tables large. */
#define DESCRIPTORS_MAX 4000000

uint64_t limits_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    rlim_t wanted = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (limit.rlim_cur < wanted) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return before;
        }
    }
    return limit.rlim_cur;
}

/* The first number of a file; 0 if there is none ("max", or no such file). */
static uint64_t read_number(const char *path, uint64_t *second)
{
    uint64_t first = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }
    int found = fscanf(f, "%" SCNu64 " %" SCNu64, &first, second);
    fclose(f);
    return found >= 1 ? first : 0;
}

uint64_t limits_memory(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        uint64_t unused = 0;
        uint64_t limit = read_number(files[i], &unused);
        if (limit > 0 && limit < memory) {
            memory = limit;
        }
    }
    return memory;
}

unsigned limits_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    unsigned cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        cpus = (unsigned)CPU_COUNT(&set);
    }
    uint64_t period = 0;
    uint64_t quota = read_number("/sys/fs/cgroup/cpu.max", &period);
    if (quota > 0 && period > 0) {
        uint64_t paid = (quota + period - 1) / period;
        cpus = paid < cpus ? (unsigned)paid : cpus;
    }
    return cpus;
}
