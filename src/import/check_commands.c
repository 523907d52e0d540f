/* Commands of Redis in what a script sends. Sources: redis.io/docs, "Redis serialization protocol
 * specification"; the quotes are those of sdssplitargs() as its documentation has them. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "import/builder.h"
#include "import/check_internal.h"

#define ARGS_MAX     64
#define COMMANDS_MAX 256

struct reader {
    struct source *source;
    const struct word *w;
    size_t at;
    size_t reference; /* the next one that was not passed */
};

/* The reference that stands right here, or NULL. */
static const struct reference *here(const struct reader *r)
{
    const struct word *w = r->w;
    return r->reference < w->reference_count && w->references[r->reference].at == r->at
               ? &w->references[r->reference]
               : NULL;
}

static bool at_end(const struct reader *r)
{
    return r->at == r->w->len && here(r) == NULL;
}

/* The byte here; 0 at the end and where a reference is. */
static char peek(const struct reader *r)
{
    return r->at < r->w->len && here(r) == NULL ? r->w->text[r->at] : '\0';
}

static bool is_line_end(const struct reader *r)
{
    return at_end(r) || peek(r) == '\r' || peek(r) == '\n';
}

static void pass_line_end(struct reader *r)
{
    while (peek(r) == '\r') {
        r->at++;
    }
    r->at += peek(r) == '\n';
}

/* References behind this place are left. */
static void move(struct reader *r, size_t at)
{
    r->at = at;
    const struct word *w = r->w;
    while (r->reference < w->reference_count && w->references[r->reference].at < at) {
        r->reference++;
    }
}

/* One byte or reference, as it is. */
static void take(struct reader *r, struct builder *b)
{
    const struct reference *reference = here(r);
    if (reference != NULL) {
        builder_reference(b, r->w, reference);
        r->at += reference->len;
        r->reference++;
        return;
    }
    builder_byte(b, r->w->text[r->at++]);
}

static void add_argument(struct reader *r, struct command *c, struct builder *b, size_t from)
{
    struct arena *a = &r->source->arena;
    c->args = arena_grow(a, c->args, c->count, sizeof *c->args);
    c->places = arena_grow(a, c->places, c->count, sizeof *c->places);
    c->sizes = arena_grow(a, c->sizes, c->count, sizeof *c->sizes);
    c->args[c->count] = builder_word(b);
    c->places[c->count] = from;
    c->sizes[c->count++] = r->at - from;
}

static int digit_of(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Behind the backslash, in double quotes. */
static void take_escaped(struct reader *r, struct builder *b)
{
    static const char names[] = "nrtba";
    static const char bytes[] = "\n\r\t\b\a";
    char c = peek(r);
    const char *name = c != '\0' ? strchr(names, c) : NULL;
    const char *text = r->w->text + r->at;
    if (name != NULL) {
        builder_byte(b, bytes[name - names]);
        r->at++;
    } else if (c == 'x' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
        builder_byte(b, (char)(digit_of(text[1]) * 16 + digit_of(text[2])));
        move(r, r->at + 3);
    } else if (!at_end(r)) {
        take(r, b);
    }
}

static void take_quoted(struct reader *r, struct builder *b)
{
    char quote = peek(r);
    r->at++;
    while (!at_end(r) && peek(r) != quote) {
        bool escape = peek(r) == '\\' && (quote == '"' || r->w->text[r->at + 1] == '\'');
        if (escape) {
            r->at++;
            take_escaped(r, b);
        } else {
            take(r, b);
        }
    }
    r->at += peek(r) == quote;
}

static void read_inline_argument(struct reader *r, struct command *c)
{
    struct builder b = {.source = r->source};
    size_t from = r->at;
    while (!is_line_end(r) && peek(r) != ' ' && peek(r) != '\t') {
        if (peek(r) == '"' || peek(r) == '\'') {
            take_quoted(r, &b);
        } else {
            take(r, &b);
        }
    }
    add_argument(r, c, &b, from);
}

static bool read_inline(struct reader *r, struct command *c)
{
    while (!is_line_end(r)) {
        if (peek(r) == ' ' || peek(r) == '\t') {
            r->at++;
            continue;
        }
        if (c->count == ARGS_MAX) {
            return false;
        }
        read_inline_argument(r, c);
    }
    pass_line_end(r);
    return true;
}

/* "*3" or "$5" and its line end. A length that a reference stands for is -1. */
static bool read_length(struct reader *r, char kind, long *out)
{
    if (peek(r) != kind) {
        return false;
    }
    r->at++;
    *out = -1;
    for (long n = 0; isdigit((unsigned char)peek(r)) && n < 1000000; *out = n) {
        n = n * 10 + (r->w->text[r->at++] - '0');
    }
    while (here(r) != NULL) {
        r->at += here(r)->len;
        r->reference++;
        *out = -1;
    }
    bool ok = is_line_end(r);
    pass_line_end(r);
    return ok;
}

/* By its length where that fits: it does not where the length was written for another password. */
static void read_bulk(struct reader *r, struct command *c, long len)
{
    struct builder b = {.source = r->source};
    size_t from = r->at;
    size_t end = from + (len < 0 ? 0 : (size_t)len);
    bool referenced =
        r->reference < r->w->reference_count && r->w->references[r->reference].at <= end;
    bool fits = !referenced && len >= 0 && end <= r->w->len &&
                (end == r->w->len || r->w->text[end] == '\r' || r->w->text[end] == '\n');
    while (fits ? r->at < end : !is_line_end(r)) {
        take(r, &b);
    }
    add_argument(r, c, &b, from);
    pass_line_end(r);
}

static bool read_array(struct reader *r, struct command *c)
{
    long count;
    if (!read_length(r, '*', &count) || count < 1 || count > ARGS_MAX) {
        return false;
    }
    for (long i = 0; i < count; i++) {
        long len;
        if (!read_length(r, '$', &len)) {
            return false;
        }
        read_bulk(r, c, len);
    }
    return true;
}

void commands_read(struct understanding *u, const struct exchange *e, struct commands *out)
{
    struct reader r = {.source = u->s, .w = &e->sent};
    *out = (struct commands){.clear = e->clear};
    while (out->clear && !at_end(&r)) {
        struct command c = {0};
        out->clear = out->count < COMMANDS_MAX &&
                     (peek(&r) == '*' ? read_array(&r, &c) : read_inline(&r, &c));
        if (c.count > 0) {
            out->items = arena_grow(&u->s->arena, out->items, out->count, sizeof c);
            out->items[out->count++] = c;
        }
    }
}

bool command_says(const struct command *c, size_t i, const char *text)
{
    return i < c->count && c->args[i].len == strlen(text) &&
           strncasecmp(c->args[i].text, text, c->args[i].len) == 0;
}

bool command_is(const struct command *c, const char *name)
{
    return command_says(c, 0, name);
}
