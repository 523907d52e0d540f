/* Small compile-time helpers that every file may use. */
#ifndef ROUTER_BASE_MACROS_H
#define ROUTER_BASE_MACROS_H

#include <stddef.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The object of `type` that has `ptr` as its `member`. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define LIKELY(x)              __builtin_expect(!!(x), 1)
#define UNLIKELY(x)            __builtin_expect(!!(x), 0)

/* Two threads that write within one cache line slow each other down. */
#define CACHE_LINE 64

#endif
