/* Words of a script that stand for other bytes: hexadecimal digits, log-formats. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "import/builder.h"
#include "import/check_internal.h"

static int digit_of(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

bool script_decode_hex(struct source *s, const struct word *w, struct word *out)
{
    struct builder b = {.source = s, .secret = w->secret};
    bool ok = w->len % 2 == 0;
    for (size_t i = 0; ok && i < w->len; i += 2) {
        ok = isxdigit((unsigned char)w->text[i]) && isxdigit((unsigned char)w->text[i + 1]);
        builder_byte(&b, (char)(ok ? digit_of(w->text[i]) * 16 + digit_of(w->text[i + 1]) : 0));
    }
    *out = builder_word(&b);
    return ok;
}

/* The part of a word between the brackets of "name(...)"; false if it is something else. */
static bool argument_of(struct source *s, const struct word *w, const char *name, struct word *out)
{
    size_t at = strlen(name) + 1;
    if (w->len < at + 1 || strncmp(w->text, name, at - 1) != 0 || w->text[at - 1] != '(' ||
        w->text[w->len - 1] != ')') {
        return false;
    }
    size_t len = w->len - at - 1;
    bool quoted = len >= 2 && (w->text[at] == '"' || w->text[at] == '\'') &&
                  w->text[at + len - 1] == w->text[at];
    *out = word_slice(s, w, at + quoted, len - 2 * (size_t)quoted);
    return strpbrk(out->text, quoted ? "\"'\\" : "\"'\\,)") == NULL;
}

/* A fetch that says the same at any time: str(x), int(5), env(NAME). */
static bool read_constant(struct source *s, const struct word *w, struct word *out)
{
    struct word name;
    if (argument_of(s, w, "str", out) || argument_of(s, w, "int", out)) {
        return true;
    }
    if (!argument_of(s, w, "env", &name) || name.len == 0) {
        return false;
    }
    const char *value = getenv(name.text);
    *out = word_of(s, value != NULL ? value : "");
    struct reference *r = arena_take(&s->arena, sizeof *r);
    *r = (struct reference){.len = out->len, .name = name.text};
    out->references = r;
    out->reference_count = 1;
    return true;
}

/* "check.port" of "set-var(check.port,ifnotexists)". */
static bool sets(const struct line *l, const char *keyword, const struct word *name)
{
    const struct word *w = &l->words[1];
    size_t at = strlen(keyword);
    return l->count >= 3 && w->len > at + name->len + 1 && strncmp(w->text, keyword, at) == 0 &&
           w->text[at] == '(' && memcmp(w->text + at + 1, name->text, name->len) == 0 &&
           strchr(",)", w->text[at + 1 + name->len]) != NULL;
}

static bool format(struct understanding *u, const struct word *w, size_t upto, bool variables,
                   struct word *out);

/* What a variable was set to before that step. */
static bool read_variable(struct understanding *u, const struct word *name, size_t upto,
                          struct word *out)
{
    for (size_t i = upto; i > 0; i--) {
        const struct step *step = &u->script.items[i - 1];
        if (step->kind != STEP_ASIDE) {
            continue;
        }
        if (sets(step->line, "set-var", name)) {
            return step->line->count == 3 && read_constant(u->s, &step->line->words[2], out);
        }
        if (sets(step->line, "set-var-fmt", name)) {
            return format(u, &step->line->words[2], i - 1, false, out);
        }
    }
    return false;
}

/* Of "%[...]" what is between the brackets. */
static bool read_expression(struct understanding *u, const struct word *w, size_t upto,
                            bool variables, struct word *out)
{
    struct word name;
    return read_constant(u->s, w, out) ||
           (variables && argument_of(u->s, w, "var", &name) && read_variable(u, &name, upto, out));
}

static bool format(struct understanding *u, const struct word *w, size_t upto, bool variables,
                   struct word *out)
{
    struct builder b = {.source = u->s};
    size_t from = 0;
    for (size_t i = 0; i < w->len; i++) {
        if (w->text[i] != '%') {
            continue;
        }
        builder_part(&b, w, from, i - from);
        const char *close = strchr(w->text + i, ']');
        if (w->text[i + 1] == '%') {
            builder_byte(&b, '%');
            i++;
        } else if (w->text[i + 1] == '[' && close != NULL) {
            size_t len = (size_t)(close - w->text) - i - 2;
            struct word expression = word_slice(u->s, w, i + 2, len);
            struct word value;
            if (!read_expression(u, &expression, upto, variables, &value)) {
                return false;
            }
            builder_part(&b, &value, 0, value.len);
            i = (size_t)(close - w->text);
        } else {
            return false;
        }
        from = i + 1;
    }
    builder_part(&b, w, from, w->len - from);
    *out = builder_word(&b);
    return true;
}

bool script_format(struct understanding *u, const struct word *w, size_t upto, struct word *out)
{
    return format(u, w, upto, true, out);
}
