/* Files of HAProxy written in the test, read as if they were "h.cfg". */
#ifndef TEST_IMPORT_FIXTURE_H
#define TEST_IMPORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "import/check.h"
#include "import/keyword.h"
#include "import/proxy.h"
#include "import/rule.h"

struct imported {
    struct source source;
    struct proxies proxies;
    struct text errors;
};

/* Mistakes of lines included. */
static inline void import_any(struct imported *i, const char *text)
{
    *i = (struct imported){0};
    int rc = source_read_bytes(&i->source, "h.cfg", text, strlen(text), &i->errors);
    assert_int_equal(rc, 0);
    keywords_check(&i->source);
    assert_int_equal(proxies_make(&i->source, &i->proxies), 0);
}

static inline void import(struct imported *i, const char *text)
{
    import_any(i, text);
    if (i->source.error_count > 0) {
        print_error("%s", i->errors.data);
    }
    assert_int_equal(i->source.error_count, 0);
}

static inline void import_end(struct imported *i)
{
    text_free(&i->errors);
    source_free(&i->source);
}

static inline struct proxy *back(struct imported *i, const char *name)
{
    struct proxy *p = proxies_find(&i->proxies, name, true);
    assert_non_null(p);
    return p;
}

/* The line with this number of the file. */
static inline struct line *line_at(struct imported *i, size_t number)
{
    for (size_t s = 0; s < i->source.section_count; s++) {
        struct section *section = i->source.sections[s];
        for (size_t l = 0; l < section->count; l++) {
            if (section->lines[l]->place.number == number) {
                return section->lines[l];
            }
        }
    }
    fail_msg("no line %zu", number);
    return NULL;
}

static inline void assert_word(const struct word *w, const char *expected)
{
    assert_string_equal(w->text, expected);
    assert_int_equal(w->len, strlen(expected));
}

/* Whether the words are in any of the line's remarks. */
static inline bool remarked(const struct line *l, const char *words)
{
    for (const struct remark *r = l->remarks; r != NULL; r = r->next) {
        if (r->words != NULL && strstr(r->words, words) != NULL) {
            return true;
        }
    }
    return false;
}

#endif
