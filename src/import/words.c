/* Words are collected in buffers that every line uses anew, and are copied into the arena when it
 * is known how many there are. A word begins with its first byte, with a variable that is not
 * there, or with quotes around nothing; it ends at a space outside of quotes. */
#include "import/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LINE_REFERENCES_MAX 4096

struct span {
    size_t at; /* in the text of the line */
    size_t len;
    size_t first_reference;
    size_t reference_count;
    bool cut; /* \x00 stood in it: HAProxy sees nothing behind that */
};

struct scanner {
    const struct words_context *context;
    const char *line;
    const char *at;
    char quote;             /* '"' or '\'', 0 outside */
    const char *quote_from; /* where it was opened */
    bool hollow;            /* nothing but a list without items stood in these quotes */
    bool in_word;
    bool taken_apart;
    struct span spans[SOURCE_WORDS_MAX];
    size_t count;
    struct text text;
    struct reference *references; /* by place in the line's text; in the arena */
    size_t reference_count;
};

static int fail(const struct scanner *s, const char *at, const char *what)
{
    source_error(s->context->source, s->context->place, "%s at position %zu", what,
                 (size_t)(at - s->line) + 1);
    return -EINVAL;
}

static int word_begin(struct scanner *s)
{
    if (s->in_word) {
        return 0;
    }
    if (s->count == SOURCE_WORDS_MAX) {
        source_error(s->context->source, s->context->place, "too many words, more than %d",
                     SOURCE_WORDS_MAX);
        return -EINVAL;
    }
    s->in_word = true;
    s->spans[s->count++] = (struct span){.at = s->text.len, .first_reference = s->reference_count};
    return 0;
}

static int emit(struct scanner *s, const char *bytes, size_t len)
{
    int rc = word_begin(s);
    if (rc != 0) {
        return rc;
    }
    struct span *span = &s->spans[s->count - 1];
    if (span->cut) {
        return 0;
    }
    size_t whole = strnlen(bytes, len);
    text_add_bytes(&s->text, bytes, whole);
    span->len += whole;
    span->cut = whole < len;
    return 0;
}

static int hex_digit(char c)
{
    const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* What stands for itself behind a backslash, where it does. */
static bool escapable(const struct scanner *s, char c)
{
    return c != '\0' && (strchr(" \\#'\"", c) != NULL || (c == '$' && s->quote == '"'));
}

static int read_escape(struct scanner *s)
{
    static const char letters[] = "tnr";
    static const char meanings[] = "\t\n\r";
    char c = s->at[1];
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    char byte = '\\'; /* otherwise it is just that */
    size_t len = 1;
    if (escapable(s, c)) {
        byte = c;
        len = 2;
    } else if (letter != NULL) {
        byte = meanings[letter - letters];
        len = 2;
    } else if (c == 'x') {
        int high = hex_digit(s->at[2]);
        int low = high >= 0 ? hex_digit(s->at[3]) : -1;
        if (low < 0) {
            return fail(s, s->at, "truncated or invalid hexadecimal sequence");
        }
        byte = (char)(high * 16 + low);
        len = 4;
    }
    s->at += len;
    return emit(s, &byte, 1);
}

static int read_quote(struct scanner *s)
{
    char c = *s->at;
    if (s->quote == 0) {
        s->quote = c;
        s->quote_from = s->at;
        s->hollow = false;
        s->at++;
        return 0;
    }
    s->quote = 0;
    s->at++;
    return s->hollow ? 0 : word_begin(s);
}

/* A variable as it stands in the line: $NAME, ${NAME}, ${NAME[*]}, ${NAME-otherwise}. */
struct mention {
    char *name;      /* in the arena */
    char *otherwise; /* the same, NULL: none */
    bool list;
};

static int read_braces(struct scanner *s, const char *brace, struct mention *m)
{
    if (*s->at == '[') {
        if (strncmp(s->at, "[*]", 3) != 0) {
            return fail(s, s->at, "truncated or invalid word expansion sequence");
        }
        m->list = true;
        s->at += 3;
    }
    if (*s->at == '-') {
        const char *from = s->at + 1;
        const char *end = strchr(from, '}');
        if (end != NULL) {
            m->otherwise = arena_copy(&s->context->source->arena, from, (size_t)(end - from));
            s->at = end;
        }
    }
    if (*s->at != '}') {
        return fail(s, brace, "unmatched brace in environment variable name");
    }
    s->at++;
    return 0;
}

static int read_mention(struct scanner *s, struct mention *m)
{
    *m = (struct mention){.list = false};
    s->at++;
    const char *brace = *s->at == '{' ? s->at++ : NULL;
    const char *name = s->at;
    if (!isalpha((unsigned char)*name) && *name != '_' && *name != '.') {
        return fail(s, name, "forbidden first char in environment variable name");
    }
    s->at++;
    while (isalnum((unsigned char)*s->at) || *s->at == '_') {
        s->at++;
    }
    m->name = arena_copy(&s->context->source->arena, name, (size_t)(s->at - name));
    return brace != NULL ? read_braces(s, brace, m) : 0;
}

/* .FILE, .LINE, .SECTION; false if there is no such thing. */
static bool pseudo_find(const struct words_context *c, const char *name, struct variable *out)
{
    *out = (struct variable){.name = name, .kind = VARIABLE_FIXED};
    if (strcmp(name, ".FILE") == 0) {
        out->value = word_of(c->source, c->place.file);
    } else if (strcmp(name, ".LINE") == 0) {
        out->value.text = arena_print(&c->source->arena, "%zu", c->place.number);
        out->value.len = strlen(out->value.text);
    } else if (strcmp(name, ".SECTION") == 0) {
        out->kind = c->section != NULL ? VARIABLE_FIXED : VARIABLE_NONE;
        out->value = word_of(c->source, c->section != NULL ? c->section : "");
    } else {
        return false;
    }
    return true;
}

static int reference_add(struct scanner *s, struct reference r)
{
    if (s->reference_count == LINE_REFERENCES_MAX) {
        return fail(s, s->at, "too many variables before the one that ends");
    }
    s->references = arena_grow(&s->context->source->arena, s->references, s->reference_count,
                               sizeof *s->references);
    s->references[s->reference_count++] = r;
    s->spans[s->count - 1].reference_count++;
    return 0;
}

/* What the file itself says may refer to others in turn. */
static int emit_fixed(struct scanner *s, const struct word *value)
{
    size_t at = s->text.len;
    int rc = emit(s, value->text, value->len);
    for (size_t i = 0; rc == 0 && i < value->reference_count; i++) {
        struct reference r = value->references[i];
        r.at += at;
        rc = reference_add(s, r);
    }
    return rc;
}

/* A few lines must not become gigabytes. */
static int spend(const struct scanner *s, size_t len)
{
    size_t *spent = s->context->spent;
    if (len > WORDS_EXPANDED_MAX - *spent) {
        return fail(s, s->at, "variables become too long before the one that ends");
    }
    *spent += len;
    return 0;
}

static int emit_variable(struct scanner *s, const struct mention *m, const struct variable *v)
{
    int rc = word_begin(s);
    if (rc != 0) {
        return rc;
    }
    if (s->spans[s->count - 1].cut) {
        return 0;
    }
    struct word value = v->value;
    if (v->kind == VARIABLE_FIXED) {
        return emit_fixed(s, &value);
    }
    if (v->kind == VARIABLE_NONE) {
        const char *otherwise = m->otherwise != NULL ? m->otherwise : "";
        value = (struct word){.text = otherwise, .len = strlen(otherwise)};
    }
    struct reference r = {
        .at = s->text.len,
        .len = value.len,
        .name = m->name,
        .otherwise = v->kind == VARIABLE_PRESET ? v->otherwise.text : m->otherwise,
    };
    rc = emit(s, value.text, value.len);
    return rc != 0 ? rc : reference_add(s, r);
}

/* Each part between spaces is a word of its own; nothing at all is none. */
static int emit_list(struct scanner *s, const struct mention *m, const struct variable *v)
{
    const char *rest = v->kind != VARIABLE_NONE ? v->value.text
                       : m->otherwise != NULL   ? m->otherwise
                                                : "";
    s->hollow = true;
    s->taken_apart = true;
    int rc = spend(s, strlen(rest));
    while (rc == 0 && *rest != '\0') {
        size_t len = strcspn(rest, " \t\n\v\f\r");
        if (len > 0) {
            rc = emit(s, rest, len);
            rest += len;
        } else {
            s->in_word = false;
            rest++;
        }
    }
    return rc;
}

static int read_variable(struct scanner *s)
{
    const char *from = s->at;
    struct mention m;
    int rc = read_mention(s, &m);
    if (rc != 0) {
        return rc;
    }
    struct variable v;
    if (m.name[0] != '.') {
        v = environment_find(s->context->environment, m.name);
    } else if (!pseudo_find(s->context, m.name, &v)) {
        return fail(s, from + 1, "forbidden first char in environment variable name");
    }
    if (m.list) {
        return emit_list(s, &m, &v);
    }
    rc = spend(s, v.value.len);
    return rc != 0 ? rc : emit_variable(s, &m, &v);
}

static int read_one(struct scanner *s)
{
    char c = *s->at;
    if ((c == '"' || c == '\'') && (s->quote == 0 || s->quote == c)) {
        return read_quote(s);
    }
    if (c == '\\' && s->quote != '\'') {
        return read_escape(s);
    }
    if (c == '$' && s->quote == '"') {
        return read_variable(s);
    }
    if (s->quote == 0 && isspace((unsigned char)c)) {
        s->in_word = false;
        s->at++;
        return 0;
    }
    /* This one, and what surely is as ordinary as it. */
    size_t len = 1 + strcspn(s->at + 1, "\"'\\$# \t\n\v\f\r");
    const char *from = s->at;
    s->at += len;
    return emit(s, from, len);
}

static bool ended(const struct scanner *s)
{
    char c = *s->at;
    return c == '\0' || c == '\n' || c == '\r' || (c == '#' && s->quote == 0);
}

/* What stands behind a carriage return that does not end the line. */
static const char *behind_return(const char *at)
{
    if (*at != '\r') {
        return NULL;
    }
    at += strspn(at, " \t\n\v\f\r");
    return *at != '\0' ? at : NULL;
}

static void words_finish(const struct scanner *s, struct words *out)
{
    struct arena *a = &s->context->source->arena;
    *out = (struct words){.count = s->count, .taken_apart = s->taken_apart};
    if (s->count == 0) {
        return;
    }
    /* Each ends in NUL. */
    char *text = arena_take(a, s->text.len + s->count);
    out->items = arena_take(a, s->count * sizeof *out->items);
    for (size_t i = 0; i < s->count; i++) {
        const struct span *span = &s->spans[i];
        if (span->len > 0) {
            memcpy(text, s->text.data + span->at, span->len);
        }
        out->items[i] = (struct word){.text = text, .len = span->len};
        text += span->len + 1;
        if (span->reference_count > 0) {
            out->items[i].references = s->references + span->first_reference;
            out->items[i].reference_count = span->reference_count;
        }
        for (size_t j = 0; j < span->reference_count; j++) {
            s->references[span->first_reference + j].at -= span->at;
        }
    }
}

static void scanner_free(struct scanner *s)
{
    if (s->text.data != NULL) {
        wipe(s->text.data, s->text.capacity);
    }
    text_free(&s->text);
}

int words_read(const struct words_context *c, const char *line, struct words *out)
{
    struct scanner s = {.context = c, .line = line, .at = line};
    int rc = 0;
    while (rc == 0 && !ended(&s)) {
        rc = read_one(&s);
    }
    if (rc == 0 && s.quote != 0) {
        rc = fail(&s, s.quote_from, "unmatched quote");
    }
    *out = (struct words){.count = 0};
    if (rc == 0) {
        words_finish(&s, out);
        out->ignored = behind_return(s.at);
    }
    scanner_free(&s);
    return rc;
}
