/* Allocation for start-up and configuration: these never return NULL, they end the process with
 * one line. The data path uses malloc() itself and gives up that one session when it fails. */
#ifndef ROUTER_BASE_MEM_H
#define ROUTER_BASE_MEM_H

#include <stddef.h>

void *xcalloc(size_t count, size_t size); /* zeroed; release with free() */
/* The same, at a multiple of `alignment`, which divides `size`. */
void *xcalloc_aligned(size_t alignment, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);

/* Overwrites a secret in a way the compiler keeps. */
void wipe(void *p, size_t len);

#endif
