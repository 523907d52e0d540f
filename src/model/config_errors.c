#include "model/config_internal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ERRORS_MAX 100
#define NEAR_MAX   32 /* longer words are not compared */

void config_error(struct config_errors *errors, unsigned line, const char *fmt, ...)
{
    if (errors->count == ERRORS_MAX) {
        errors->left_out++;
        return;
    }
    va_list args;
    va_start(args, fmt);
    char *words;
    int len = vasprintf(&words, fmt, args);
    va_end(args);
    if (len < 0) {
        words = xstrdup("out of memory");
    }
    errors->items = xrealloc(errors->items, (errors->count + 1) * sizeof(*errors->items));
    errors->items[errors->count] =
        (struct config_error){.line = line, .order = errors->count, .words = words};
    errors->count++;
}

/* What concerns the whole file stands behind all lines. */
static int by_line(const void *left, const void *right)
{
    const struct config_error *a = left;
    const struct config_error *b = right;
    unsigned line_a = a->line > 0 ? a->line : UINT_MAX;
    unsigned line_b = b->line > 0 ? b->line : UINT_MAX;
    if (line_a != line_b) {
        return line_a < line_b ? -1 : 1;
    }
    return a->order < b->order ? -1 : 1;
}

void config_errors_tell(const struct config_errors *errors, struct text *out)
{
    if (errors->count > 1) {
        qsort(errors->items, errors->count, sizeof(*errors->items), by_line);
    }
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *e = &errors->items[i];
        if (e->line > 0) {
            text_add(out, "%s:%u: %s\n", errors->path, e->line, e->words);
        } else {
            text_add(out, "%s: %s\n", errors->path, e->words);
        }
    }
    if (errors->left_out > 0) {
        text_add(out, "%s: and %zu more errors\n", errors->path, errors->left_out);
    }
}

void config_errors_release(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        free(errors->items[i].words);
    }
    free(errors->items);
    errors->items = NULL;
    errors->count = 0;
}

const char *config_shown(const char *text, char out[SHOWN_MAX])
{
    static const char more[] = "...";
    size_t room = SHOWN_MAX - sizeof(more) - strlen("\\x00");
    size_t len = 0;
    const unsigned char *p = (const unsigned char *)text;
    for (; *p != '\0' && len < room; p++) {
        if (*p >= 0x20 && *p < 0x7f) {
            out[len++] = (char)*p;
        } else {
            len += (size_t)snprintf(out + len, SHOWN_MAX - len, "\\x%02x", *p);
        }
    }
    snprintf(out + len, SHOWN_MAX - len, "%s", *p != '\0' ? more : "");
    return out;
}

/* Near words -------------------------------------------------------------------------------- */

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
