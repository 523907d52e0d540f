/* Regular expressions of health checks, to find out what they would say to a given answer. Bounded:
 * the time is the product of both lengths, whatever the expression. What HAProxy's library knows
 * beyond this (references, assertions) is not understood, and said so. */
#ifndef ROUTER_IMPORT_PATTERN_H
#define ROUTER_IMPORT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_SIZE 512 /* steps of a program */

struct pattern_step {
    enum {
        PATTERN_BYTES,
        PATTERN_SPLIT, /* goes on at both */
        PATTERN_JUMP,
        PATTERN_START,
        PATTERN_END,
        PATTERN_FOUND
    } kind;
    int one; /* relative */
    int other;
    uint8_t bytes[32]; /* a bit for each byte that fits */
};

struct pattern {
    struct pattern_step steps[PATTERN_SIZE];
    int count;
    bool lines; /* ^ and $ are about lines: not so in HAProxy; set it after pattern_read() */
};

/* Returns 0, or -EINVAL if it is too long or not understood. */
int pattern_read(struct pattern *p, const char *text, size_t len, bool ignore_case);
/* Whether it is found anywhere in the text. */
bool pattern_matches(const struct pattern *p, const char *text, size_t len);

#endif
