#include "base/limits.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors beyond this many would only make tables large. */
#define DESCRIPTORS_MAX 4000000
#define GROUP_PATH_MAX  4096

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

/* Control groups ---------------------------------------------------------------------------- */

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

/* What a limit says; 0 = nothing. */
typedef uint64_t (*limit_reader)(const char *directory);

static uint64_t read_memory(const char *directory)
{
    static const char *const names[] = {"memory.max", "memory.limit_in_bytes"}; /* version 2, 1 */
    uint64_t limit = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && limit == 0; i++) {
        char path[GROUP_PATH_MAX];
        uint64_t unused = 0;
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        limit = read_number(path, &unused);
    }
    return limit;
}

static uint64_t read_cpus(const char *directory)
{
    char path[GROUP_PATH_MAX];
    uint64_t period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    uint64_t quota = read_number(path, &period);
    return quota > 0 && period > 0 ? (quota + period - 1) / period : 0;
}

/* The group, and each around it up to the mount: all their limits hold. */
static uint64_t least_upwards(char *directory, size_t mount_len, limit_reader read)
{
    uint64_t least = 0;
    while (true) {
        uint64_t limit = read(directory);
        least = limit > 0 && (least == 0 || limit < least) ? limit : least;
        char *end = strrchr(directory, '/');
        if (end == NULL || (size_t)(end - directory) < mount_len) {
            return least;
        }
        *end = '\0';
    }
}

/* Lines of /proc/self/cgroup are "ID:CONTROLLERS:/PATH"; of version 2 there is one, "0::/PATH", of
 * version 1 the one with the controller's name counts, below a folder of that name. A container may
 * see a path that is not mounted in it: then the mount's top is its own group. */
static uint64_t least_of_groups(const char *root, const char *controller, limit_reader read)
{
    char line[GROUP_PATH_MAX / 2];
    char path[GROUP_PATH_MAX];
    uint64_t least = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *names = strchr(line, ':');
        char *group = names != NULL ? strchr(names + 1, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        bool second = names[1] == '\0';
        if (!second && strcmp(names + 1, controller) != 0) {
            continue;
        }
        int mount_len = snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s", root, second ? "" : "/",
                                 second ? "" : controller);
        snprintf(path + mount_len, sizeof path - (size_t)mount_len, "%s", group);
        uint64_t limit = least_upwards(path, (size_t)mount_len, read);
        least = limit > 0 && (least == 0 || limit < least) ? limit : least;
    }
    if (f != NULL) {
        fclose(f);
    }
    return least;
}

uint64_t limits_group_memory(const char *root)
{
    return least_of_groups(root, "memory", read_memory);
}

unsigned limits_group_cpus(const char *root)
{
    uint64_t cpus = least_of_groups(root, "cpu", read_cpus);
    return cpus < UINT32_MAX ? (unsigned)cpus : 0;
}

/* What there is ----------------------------------------------------------------------------- */

uint64_t limits_memory(void)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t limit = limits_group_memory("");
    return limit > 0 && limit < memory ? limit : memory;
}

unsigned limits_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    unsigned cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        cpus = (unsigned)CPU_COUNT(&set);
    }
    unsigned paid = limits_group_cpus("");
    return paid > 0 && paid < cpus ? paid : cpus;
}
