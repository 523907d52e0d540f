#include "model/config_internal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ERRORS_MAX 100

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
