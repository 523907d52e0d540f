/* Source: HAProxy's configuration manual 3.2, 7.1 (acls) and 7.4 (those that are there). */
#include "import/rule_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define MEMORY_MAX (256u * 1024 * 1024) /* of the whole import, before another file is read */

/* Files -----------------------------------------------------------------------------------------
 */

/* Everything that is in it, to be freed; NULL: no file, or too large. */
static char *read_all(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return NULL;
    }
    char *bytes = NULL;
    ssize_t got = 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= CONDITION_FILE_BYTES) {
        bytes = xcalloc(1, CONDITION_FILE_BYTES + 1);
        *len = 0;
        while (*len < CONDITION_FILE_BYTES &&
               (got = read(fd, bytes + *len, CONDITION_FILE_BYTES - *len)) > 0) {
            *len += (size_t)got;
        }
    }
    close(fd);
    if (got < 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static struct word word_part(struct source *s, const char *text, size_t len)
{
    return (struct word){.text = arena_copy(&s->arena, text, len), .len = len};
}

struct table {
    struct source *source;
    struct word **keys;
    struct word **values;
    size_t *count;
};

static void add_row(struct table *t, const char *line, size_t len)
{
    size_t key = t->values != NULL ? strcspn(line, " \t") : len;
    key = key < len ? key : len;
    size_t value = key + strspn(line + key, " \t");
    struct arena *a = &t->source->arena;
    *t->keys = arena_grow(a, *t->keys, *t->count, sizeof **t->keys);
    (*t->keys)[*t->count] = word_part(t->source, line, key);
    if (t->values != NULL) {
        *t->values = arena_grow(a, *t->values, *t->count, sizeof **t->values);
        value = value < len ? value : len;
        (*t->values)[*t->count] = word_part(t->source, line + value, len - value);
    }
    (*t->count)++;
}

static bool add_rows(struct table *t, const char *at)
{
    size_t rows = 0;
    while (*at != '\0') {
        size_t whole = strcspn(at, "\n");
        /* A sharp that stands behind a space begins a value. */
        bool comment = *at == '#';
        const char *line = at + strspn(at, " \t");
        size_t len = line < at + whole ? (size_t)(at + whole - line) : 0;
        while (len > 0 && strchr("\r \t", line[len - 1]) != NULL) {
            len--;
        }
        if (len > 0 && !comment) {
            if (++rows > CONDITION_FILE_VALUES) {
                return false;
            }
            add_row(t, line, len);
        }
        at += whole + (at[whole] == '\n');
    }
    return true;
}

bool condition_file(struct source *s, const char *path, struct word **keys, struct word **values,
                    size_t *count)
{
    size_t len;
    char *bytes = s->arena.bytes < MEMORY_MAX ? read_all(path, &len) : NULL;
    if (bytes == NULL) {
        return false;
    }
    struct table t = {.source = s, .keys = keys, .values = values, .count = count};
    bool ok = add_rows(&t, bytes);
    free(bytes);
    return ok;
}

/* The words of a test ----------------------------------------------------------------------------
 */

/* What stands behind a fetch's name: "_beg" and its like. */
static const char *suffix_of(const char *name)
{
    static const char *const not [] = {"wait_end", "req_len", "rep_len", "res_len", "body_len"};
    static const char *const methods[] = {"beg", "end", "dir", "dom", "len", "reg", "sub"};
    const char *last = strrchr(name, '_');
    for (size_t i = 0; last != NULL && i < ARRAY_LEN(not ); i++) {
        last = strcmp(name, not [i]) == 0 ? NULL : last;
    }
    for (size_t i = 0; last != NULL && i < ARRAY_LEN(methods); i++) {
        if (strcmp(last + 1, methods[i]) == 0) {
            return methods[i];
        }
    }
    return "";
}

/* Behind the bracket that belongs to the one at `at`; the end if there is none. Quotes are kept
 * together. */
static size_t pass_brackets(const struct word *w, size_t at)
{
    int depth = 0;
    char quote = '\0';
    for (; at < w->len; at++) {
        char c = w->text[at];
        if (quote != '\0') {
            quote = c == quote ? '\0' : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && --depth == 0) {
            return at + 1;
        }
    }
    return at;
}

/* "hdr_beg(host),lower". */
static void read_fetch(struct source *s, const struct word *w, struct test *t)
{
    size_t name = strcspn(w->text, "(,");
    size_t behind = w->text[name] == '(' ? pass_brackets(w, name) : name;
    t->argument = "";
    t->converters = "";
    if (behind > name) {
        size_t closed = w->text[behind - 1] == ')';
        t->argument = arena_copy(&s->arena, w->text + name + 1, behind - name - 1 - closed);
    }
    if (w->text[behind] == ',') {
        t->converters = arena_copy(&s->arena, w->text + behind + 1, w->len - behind - 1);
    }
    char *fetch = arena_copy(&s->arena, w->text, name);
    const char *suffix = suffix_of(fetch);
    /* With converters behind it the name's own method does not count. */
    t->method = t->converters[0] == '\0' ? suffix : "";
    if (suffix[0] != '\0') {
        fetch[name - strlen(suffix) - 1] = '\0';
    }
    t->fetch = fetch;
}

static void add_value(struct source *s, struct test *t, const struct word *w)
{
    t->values = arena_grow(&s->arena, t->values, t->value_count, sizeof *t->values);
    t->values[t->value_count++] = *w;
}

/* A flag at words[*at], which begins with '-'. Moves *at to its last word. */
static bool read_flag(struct source *s, const struct word *words, size_t count, size_t *at,
                      struct test *t, bool *map)
{
    const struct word *w = &words[*at];
    if (word_is(w, "-i")) {
        t->ignore_case = true;
        return true;
    }
    if (word_is(w, "-n") || word_is(w, "-M")) {
        *map = *map || word_is(w, "-M");
        return true;
    }
    if (*at + 1 == count) {
        return false;
    }
    const struct word *argument = &words[++*at];
    if (word_is(w, "-m")) {
        t->method = argument->text;
        return true;
    }
    if (word_is(w, "-f")) {
        struct word *ignored = NULL;
        return condition_file(s, argument->text, &t->values, *map ? &ignored : NULL,
                              &t->value_count);
    }
    return word_is(w, "-u");
}

static bool is_operator(const struct word *w)
{
    return word_is(w, "eq") || word_is(w, "ge") || word_is(w, "gt") || word_is(w, "le") ||
           word_is(w, "lt");
}

static bool is_about_text(const struct test *t)
{
    static const char *const methods[] = {"str", "beg", "end", "sub", "dir", "dom", "reg", "ip"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(t->method, methods[i]) == 0) {
            return true;
        }
    }
    return strcmp(t->fetch, "src") == 0;
}

bool test_read(struct source *s, const struct word *words, size_t count, struct test *out)
{
    *out = (struct test){.comparison = ""};
    if (count == 0) {
        return false;
    }
    read_fetch(s, &words[0], out);
    bool flags = true;
    bool map = false;
    for (size_t i = 1; i < count; i++) {
        const struct word *w = &words[i];
        if (flags && word_is(w, "--")) {
            flags = false;
        } else if (flags && w->len > 1 && w->text[0] == '-') {
            if (!read_flag(s, words, count, &i, out, &map)) {
                return false;
            }
        } else if (is_operator(w) && !is_about_text(out)) {
            out->comparison = w->text;
            flags = false;
        } else {
            add_value(s, out, w);
            flags = false;
        }
    }
    return true;
}

bool test_is_alike(const struct test *a, const struct test *b)
{
    return strcmp(a->fetch, b->fetch) == 0 && strcmp(a->argument, b->argument) == 0 &&
           strcmp(a->converters, b->converters) == 0 && strcmp(a->method, b->method) == 0 &&
           a->ignore_case == b->ignore_case && a->comparison[0] == '\0' &&
           b->comparison[0] == '\0' && a->value_count > 0 && b->value_count > 0;
}

const char *test_predefined(const char *name)
{
    static const char *const all[][2] = {
        {"FALSE", "always_false"},
        {"HTTP", "req.proto_http"},
        {"HTTP_1.0", "req.ver 1.0"},
        {"HTTP_1.1", "req.ver 1.1"},
        {"HTTP_2.0", "req.ver 2.0"},
        {"HTTP_3.0", "req.ver 3.0"},
        {"HTTP_CONTENT", "req.hdr_val(content-length) gt 0"},
        {"HTTP_URL_ABS", "url_reg ^[^/:]*://"},
        {"HTTP_URL_SLASH", "url_beg /"},
        {"HTTP_URL_STAR", "url *"},
        {"LOCALHOST", "src 127.0.0.1/8 ::1"},
        {"METH_CONNECT", "method CONNECT"},
        {"METH_DELETE", "method DELETE"},
        {"METH_GET", "method GET HEAD"},
        {"METH_HEAD", "method HEAD"},
        {"METH_OPTIONS", "method OPTIONS"},
        {"METH_POST", "method POST"},
        {"METH_PUT", "method PUT"},
        {"METH_TRACE", "method TRACE"},
        {"RDP_COOKIE", "req.rdp_cookie_cnt gt 0"},
        {"REQ_CONTENT", "req.len gt 0"},
        {"TRUE", "always_true"},
        {"WAIT_END", "wait_end"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(all[i][0], name) == 0) {
            return all[i][1];
        }
    }
    return NULL;
}
