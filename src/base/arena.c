#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_BYTES (32 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) char data[];
};

static struct arena_block *block_add(struct arena *a, size_t size)
{
    struct arena_block *b = xcalloc(1, sizeof *b + size);
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *arena_take(struct arena *a, size_t size)
{
    size_t need = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *b = a->blocks;
    if (b == NULL || b->size - b->used < need) {
        b = block_add(a, need > BLOCK_BYTES ? need : BLOCK_BYTES);
    }
    void *p = b->data + b->used;
    b->used += need;
    a->bytes += need;
    return p;
}

char *arena_copy(struct arena *a, const char *bytes, size_t len)
{
    char *copy = arena_take(a, len + 1);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

char *arena_print(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *s = arena_take(a, (size_t)(len > 0 ? len : 0) + 1);
    va_start(args, fmt);
    vsnprintf(s, (size_t)(len > 0 ? len : 0) + 1, fmt, args);
    va_end(args);
    return s;
}

void *arena_grow(struct arena *a, void *items, size_t count, size_t size)
{
    /* Room for 4, 8, 16, ... items: it is full when the count is such a number. */
    if (count != 0 && (count < 4 || (count & (count - 1)) != 0)) {
        return items;
    }
    void *grown = arena_take(a, (count < 4 ? 4 : count * 2) * size);
    if (count > 0) {
        memcpy(grown, items, count * size);
    }
    return grown;
}

void arena_free(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        wipe(b, sizeof *b + b->size);
        free(b);
    }
    a->bytes = 0;
}
