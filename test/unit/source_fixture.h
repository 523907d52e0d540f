/* Files of HAProxy's that a test writes, read as if each were "h.cfg". */
#ifndef TEST_SOURCE_FIXTURE_H
#define TEST_SOURCE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "import/source.h"

/* What the tests' variables are; SPACED and EMPTY show what HAProxy does with them. */
static inline void set_variables(void)
{
    setenv("PLAIN", "a", 1);
    setenv("EMPTY", "", 1);
    setenv("SPACED", "x y", 1);
    setenv("LIST", "x y  z", 1);
    unsetenv("NONE");
}

/* Free both; the errors are "" if there are none. */
static inline int read_bytes(struct source *s, const char *data, size_t len, char **errors)
{
    struct text t = {0};
    int rc = source_read_bytes(s, "h.cfg", data, len, &t);
    text_add(&t, "%s", "");
    assert_int_equal(rc != 0, t.len > 0);
    assert_int_equal(s->error_count > 0, t.len > 0);
    *errors = t.data;
    s->errors = NULL;
    return rc;
}

static inline struct source read_good(const char *text)
{
    struct source s;
    char *errors;
    if (read_bytes(&s, text, strlen(text), &errors) != 0) {
        print_error("%s", errors);
    }
    assert_string_equal(errors, "");
    free(errors);
    return s;
}

static inline void assert_refused_bytes(const char *data, size_t len, const char *expected)
{
    struct source s;
    char *errors;
    read_bytes(&s, data, len, &errors);
    assert_string_equal(errors, expected);
    free(errors);
    source_free(&s);
}

static inline void assert_refused(const char *text, const char *expected)
{
    assert_refused_bytes(text, strlen(text), expected);
}

/* The words of a line as "a|b c|d", to be freed. */
static inline char *words_shown(const struct line *l)
{
    struct text t = {0};
    for (size_t i = 0; i < l->count; i++) {
        assert_int_equal(strlen(l->words[i].text), l->words[i].len);
        text_add(&t, "%s%s", i > 0 ? "|" : "", l->words[i].text);
    }
    text_add(&t, "%s", "");
    return t.data;
}

static inline void assert_line(const struct line *l, const char *expected)
{
    char *shown = words_shown(l);
    assert_string_equal(shown, expected);
    free(shown);
}

#endif
