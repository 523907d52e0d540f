/* Configurations written in the test, read as if they were the file "r.ini". */
#ifndef TEST_CONFIG_FIXTURE_H
#define TEST_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/config.h"

/* One frontend and one backend, to which a test adds lines. Line 1 is [frontend f], the lines of
 * FRONTEND start at 4; FILE_WITH(frontend, backend) puts [backend b] behind them. */
#define FILE_WITH(frontend, backend)                                                               \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\n" frontend                                  \
    "[backend b]\nprotocol = redis\nserver = one 127.0.0.1:7001\n" backend
#define SHORTEST FILE_WITH("", "")

static inline struct config *load_bytes(const char *data, size_t len)
{
    struct config *c;
    struct text errors = {0};
    int rc = config_load_text("r.ini", data, len, &c, &errors);
    if (rc != 0) {
        print_error("%s", errors.data);
    }
    assert_int_equal(rc, 0);
    assert_non_null(c);
    text_free(&errors);
    return c;
}

static inline struct config *load(const char *text)
{
    return load_bytes(text, strlen(text));
}

/* What is wrong with it, to be freed. */
static inline char *errors_of_bytes(const char *data, size_t len)
{
    struct config *c;
    struct text errors = {0};
    assert_true(config_load_text("r.ini", data, len, &c, &errors) != 0);
    assert_null(c);
    assert_non_null(errors.data);
    return errors.data;
}

static inline char *errors_of(const char *text)
{
    return errors_of_bytes(text, strlen(text));
}

static inline void assert_errors(const char *text, const char *expected)
{
    char *errors = errors_of(text);
    assert_string_equal(errors, expected);
    free(errors);
}

struct mistake {
    const char *text;
    const char *errors;
};

static inline void check(const struct mistake *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_errors(cases[i].text, cases[i].errors);
    }
}

/* The dump, to be freed. Inline, gcc 12 takes what open_memstream() made for a local variable. */
__attribute__((noinline, unused)) static char *dump(const struct config *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_dump(c, out);
    fclose(out);
    return text;
}

static inline void assert_has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        print_error("no \"%s\" in:\n%s", words, text);
    }
    assert_non_null(strstr(text, words));
}

/* Two dumps, up to the comments, which say where a value came from. */
static inline void assert_same(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        size_t same = strcspn(a, ";\n");
        assert_int_equal(strcspn(b, ";\n"), same);
        assert_memory_equal(a, b, same);
        a += strcspn(a, "\n") + 1;
        b += strcspn(b, "\n") + 1;
    }
    assert_true(*a == '\0' && *b == '\0');
}

#endif
