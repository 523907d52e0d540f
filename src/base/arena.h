/* Memory that is freed all at once: for work that reads something, makes something of it and is
 * over. Start from a zeroed struct. Nothing in it is freed by itself; arena_free() wipes it,
 * because what was read may hold secrets. */
#ifndef ROUTER_BASE_ARENA_H
#define ROUTER_BASE_ARENA_H

#include <stddef.h>

#include "base/macros.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* owned; the newest first */
    size_t bytes;               /* given out so far */
};

/* Zeroed and aligned for anything; never NULL. */
void *arena_take(struct arena *a, size_t size);
/* A copy that ends in NUL. */
char *arena_copy(struct arena *a, const char *bytes, size_t len);
char *arena_print(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* For an array that grows: makes room for one more item behind `count` of them, which are `size`
 * bytes each. Returns where the array is now; what it left is garbage until arena_free(). */
void *arena_grow(struct arena *a, void *items, size_t count, size_t size);
void arena_free(struct arena *a);

#endif
