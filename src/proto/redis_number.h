/* Numbers as Redis reads and writes them (its string2ll): digits, a minus before them, no plus, no
 * spaces, no zeros in front. */
#ifndef ROUTER_PROTO_REDIS_NUMBER_H
#define ROUTER_PROTO_REDIS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One that comes byte by byte. Start from a zeroed struct. */
struct redis_number {
    uint64_t value; /* without its sign */
    bool negative;
    bool begun; /* it has a digit: may be over */
};

/* The next byte. False: this is no number, or it is above `max`. */
static inline bool redis_number_take(struct redis_number *n, char c, uint64_t max)
{
    if (c == '-' && !n->begun && !n->negative) {
        n->negative = true;
        return true;
    }
    bool after_zero = n->value == 0 && (n->begun || (n->negative && c == '0'));
    uint64_t digit = (uint64_t)(unsigned char)c - '0';
    if (c < '0' || c > '9' || after_zero || digit > max || n->value > (max - digit) / 10) {
        return false;
    }
    n->value = n->value * 10 + digit;
    n->begun = true;
    return true;
}

#define REDIS_NUMBER_LINE_MAX 999999999

/* A whole line with a usual number: up to nine digits, no sign. Returns the length of the line,
 * with its end; 0: something else, or not all there. */
static inline size_t redis_number_line(const char *p, size_t len, uint64_t *value)
{
    uint32_t n = 0;
    size_t at = 0;
    size_t end = len < 10 ? len : 10;
    while (at < end && p[at] >= '0' && p[at] <= '9') {
        n = n * 10 + (uint32_t)(p[at++] - '0');
    }
    if (at == 0 || at > 9 || len - at < 2 || p[at] != '\r' || p[at + 1] != '\n' ||
        (p[0] == '0' && at > 1)) {
        return 0;
    }
    *value = n;
    return at + 2;
}

#endif
