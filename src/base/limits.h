/* What this process may use: descriptors, memory, CPUs, as the system and its control group say
 * (setrlimit(2), cgroups(7), sched_getaffinity(2)). */
#ifndef ROUTER_BASE_LIMITS_H
#define ROUTER_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Raises the soft descriptor limit to the hard one and returns it. */
uint64_t limits_descriptors(void);
/* The smallest of the machine's memory and the limits of the control group and those around it, in
 * bytes. */
uint64_t limits_memory(void);
/* CPUs this process may run on, no more than the control groups' quotas pay for; at least 1. */
unsigned limits_cpus(void);

/* The same as far as control groups say it, below another root than "": for tests. 0 = no limit. */
uint64_t limits_group_memory(const char *root);
unsigned limits_group_cpus(const char *root);

#endif
