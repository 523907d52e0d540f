#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#define NEAR_MAX 32 /* longer words are not compared */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) that make
 * `b` of `a`. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAR_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *now = rows[2];
    for (size_t j = 0; j <= b_len; j++) {
        before[j] = last[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(replaced, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = least(now[j], before[j - 2] + 1);
            }
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b_len];
}

void nearest_try(struct nearest *n, const char *candidate)
{
    size_t len = strlen(n->word);
    size_t candidate_len = strlen(candidate);
    if (len > NEAR_MAX || candidate_len > NEAR_MAX) {
        return;
    }
    size_t distance = edit_distance(n->word, len, candidate, candidate_len);
    size_t bound = candidate_len < 3 ? 0 : least(3, 1 + candidate_len / 4);
    if (distance <= bound && (n->best == NULL || distance < n->distance)) {
        n->best = candidate;
        n->distance = distance;
    }
}

const char *nearest_words(const struct nearest *n, char out[SUGGESTION_MAX])
{
    out[0] = '\0';
    if (n->best != NULL) {
        snprintf(out, SUGGESTION_MAX, ", did you mean \"%s\"?", n->best);
    }
    return out;
}
