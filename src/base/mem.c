#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
    if (p == NULL) {
        fputs("router: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    return need(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xcalloc_aligned(size_t alignment, size_t size)
{
    return memset(need(aligned_alloc(alignment, size)), 0, size);
}

void *xrealloc(void *p, size_t size)
{
    return need(realloc(p, size > 0 ? size : 1));
}

char *xstrdup(const char *s)
{
    return need(strdup(s));
}

char *xstrndup(const char *s, size_t len)
{
    return need(strndup(s, len));
}

void wipe(void *p, size_t len)
{
    if (len > 0) { /* nothing may be nowhere */
        explicit_bzero(p, len);
    }
}
