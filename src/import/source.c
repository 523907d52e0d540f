#include "import/source.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX   512 /* of a remark or an error */
#define SHOWN_BYTES 100 /* of a line */

void source_free(struct source *s)
{
    arena_free(&s->arena);
}

/* A file's words stay on their line. */
static void make_printable(char *words)
{
    while (*words != '\0') {
        size_t len = iscntrl((unsigned char)*words) ? 0 : text_utf8_sequence(words);
        *words = len == 0 ? '?' : *words;
        words += len == 0 ? 1 : len;
    }
}

/* Behind those that stand before it in the files, or in the same line. */
static void tell(struct source *s, struct place at, const struct text *line)
{
    size_t i = s->error_count;
    size_t behind = 0;
    while (i > 0 && (s->told[i - 1].rank > at.rank ||
                     (s->told[i - 1].rank == at.rank && s->told[i - 1].number > at.number))) {
        s->told[i] = s->told[i - 1];
        behind += s->told[i].len;
        i--;
    }
    s->told[i] = (struct told){.rank = at.rank, .number = at.number, .len = line->len};
    text_add_bytes(s->errors, line->data, line->len);
    char *place = s->errors->data + s->errors->len - line->len - behind;
    memmove(place + line->len, place, behind);
    memcpy(place, line->data, line->len);
}

void source_error(struct source *s, struct place at, const char *fmt, ...)
{
    if (s->error_count >= SOURCE_ERRORS_MAX) {
        s->error_count++;
        return;
    }
    char words[WORDS_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    make_printable(words);
    struct text line = {0};
    if (at.number == 0) {
        text_add(&line, "%s: %s\n", at.file, words);
    } else {
        text_add(&line, "%s:%zu: %s\n", at.file, at.number, words);
    }
    tell(s, at, &line);
    s->error_count++;
    text_free(&line);
}

void line_mark(struct source *s, struct line *l, enum verdict verdict, const char *fmt, ...)
{
    char words[WORDS_MAX] = "";
    if (fmt != NULL) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(words, sizeof words, fmt, args);
        va_end(args);
        make_printable(words);
    }
    l->verdict = verdict > l->verdict ? verdict : l->verdict;
    struct remark **end = &l->remarks;
    for (; *end != NULL; end = &(*end)->next) {
        if ((*end)->verdict == verdict && strcmp((*end)->words, words) == 0) {
            return; /* lines of defaults are looked at by whoever inherits them */
        }
    }
    *end = arena_take(&s->arena, sizeof **end);
    (*end)->verdict = verdict;
    (*end)->words = arena_copy(&s->arena, words, strlen(words));
}

static void show_byte(unsigned char c, struct text *out)
{
    if (c == '\r' || c == '\n') {
        text_add(out, c == '\r' ? "\\r" : "\\n");
    } else {
        text_add(out, "%c", c < ' ' || c >= 127 ? '?' : c);
    }
}

/* What a variable holds may be secret: it is shown by its name. */
static void show_word(const struct word *w, struct text *out)
{
    if (w->secret) {
        text_add(out, "***");
        return;
    }
    bool quoted = w->len == 0 || w->reference_count > 0 || strpbrk(w->text, " \t\"'#") != NULL;
    text_add(out, "%s", quoted ? "\"" : "");
    size_t at = 0;
    for (size_t i = 0; i <= w->reference_count; i++) {
        const struct reference *r = i < w->reference_count ? &w->references[i] : NULL;
        for (; at < (r != NULL ? r->at : w->len); at++) {
            show_byte((unsigned char)w->text[at], out);
        }
        if (r != NULL) {
            text_add(out, "${%s}", r->name);
            at = r->at + r->len;
        }
    }
    text_add(out, "%s", quoted ? "\"" : "");
}

void line_show(const struct line *l, struct text *out)
{
    size_t start = out->len;
    text_add(out, "%s", l->negated ? "no " : l->defaulted ? "default " : "");
    for (size_t i = 0; i < l->count && out->len - start < SHOWN_BYTES; i++) {
        text_add(out, "%s", i > 0 ? " " : "");
        show_word(&l->words[i], out);
    }
    if (out->len - start > SHOWN_BYTES) {
        out->len = start + SHOWN_BYTES;
        out->data[out->len] = '\0';
        text_add(out, "...");
    }
}

void place_show(const struct source *s, struct place at, struct text *out)
{
    if (s->file_count > 1) {
        text_add(out, "%s:", at.file);
    }
    text_add(out, "%zu", at.number);
}

int line_compare_names(const void *a, const void *b)
{
    const struct line *const *one = a;
    const struct line *const *other = b;
    int names = strcmp(line_argument(*one, 0)->text, line_argument(*other, 0)->text);
    size_t at = (*one)->place.number; /* a section is in one file */
    size_t other_at = (*other)->place.number;
    return names != 0 ? names : (at > other_at) - (at < other_at);
}

const struct word *line_argument(const struct line *l, size_t i)
{
    size_t at = l->keyword_words + i;
    return at < l->count ? &l->words[at] : NULL;
}

bool line_says(const struct line *l, size_t i, const char *text)
{
    const struct word *w = line_argument(l, i);
    return w != NULL && word_is(w, text);
}

bool word_is(const struct word *w, const char *text)
{
    return strlen(text) == w->len && memcmp(w->text, text, w->len) == 0;
}

struct word word_of(struct source *s, const char *text)
{
    size_t len = strlen(text);
    return (struct word){.text = arena_copy(&s->arena, text, len), .len = len};
}

/* Whether a reference lies within [at, at + len): one that is empty also at either end. */
static bool within(const struct reference *r, size_t at, size_t len)
{
    return r->at >= at && r->at + r->len <= at + len;
}

struct word word_slice(struct source *s, const struct word *w, size_t at, size_t len)
{
    struct word part = {
        .text = arena_copy(&s->arena, w->text + at, len), .len = len, .secret = w->secret};
    struct reference *kept = NULL;
    for (size_t i = 0; i < w->reference_count; i++) {
        struct reference r = w->references[i];
        if (!within(&r, at, len)) {
            continue;
        }
        r.at -= at;
        kept = arena_grow(&s->arena, kept, part.reference_count, sizeof *kept);
        kept[part.reference_count++] = r;
    }
    part.references = kept;
    return part;
}

struct word word_join(struct source *s, const struct word *a, const char *between,
                      const struct word *b)
{
    struct reference *all =
        arena_take(&s->arena, (a->reference_count + b->reference_count + 1) * sizeof *all);
    struct word joined = {
        .text = arena_print(&s->arena, "%s%s%s", a->text, between, b->text),
        .references = all,
        .secret = a->secret || b->secret,
    };
    joined.len = strlen(joined.text);
    for (size_t i = 0; i < a->reference_count; i++) {
        all[joined.reference_count++] = a->references[i];
    }
    for (size_t i = 0; i < b->reference_count; i++) {
        all[joined.reference_count] = b->references[i];
        all[joined.reference_count++].at += a->len + strlen(between);
    }
    return joined;
}

/* The number at the start of the word, with at least one digit; *end is behind it. */
static long long leading_number(const struct word *w, const char **end)
{
    *end = w->text;
    if (!isdigit((unsigned char)w->text[0])) {
        return -EINVAL;
    }
    char *behind;
    errno = 0;
    long long n = strtoll(w->text, &behind, 10);
    *end = behind;
    return errno != 0 ? -EINVAL : n;
}

long long word_number(const struct word *w, long long min, long long max)
{
    const char *end;
    long long n = leading_number(w, &end);
    return n >= min && n <= max && *end == '\0' ? n : -EINVAL;
}

long long word_milliseconds(const struct word *w, long long unit_us)
{
    static const struct {
        const char *name;
        long long us;
    } units[] = {{"us", 1},         {"ms", 1000},        {"s", 1000000},
                 {"m", 60000000LL}, {"h", 3600000000LL}, {"d", 86400000000LL}};
    const char *end;
    long long n = leading_number(w, &end);
    long long us = *end == '\0' ? unit_us : 0;
    for (size_t i = 0; n >= 0 && i < sizeof units / sizeof units[0]; i++) {
        us = strcmp(end, units[i].name) == 0 ? units[i].us : us;
    }
    /* HAProxy's own bound is 2^31 - 1 ms. */
    if (n < 0 || us == 0 || n > 2147483647LL * 1000 / us) {
        return -EINVAL;
    }
    return (n * us + 999) / 1000;
}
