/* Which of some words another one, that is none of them, was probably meant to be. */
#ifndef ROUTER_BASE_NEAREST_H
#define ROUTER_BASE_NEAREST_H

#include <stddef.h>

/* Start with {.word = word}, try each candidate; `best` is NULL if none is near. */
struct nearest {
    const char *word;
    const char *best;
    size_t distance;
};

void nearest_try(struct nearest *n, const char *candidate);
/* ", did you mean "X"?" or nothing. Returns out. */
#define SUGGESTION_MAX 128
const char *nearest_words(const struct nearest *n, char out[SUGGESTION_MAX]);

#endif
