/* From bytes to lines: comments, quotes, sections, keys and values.
 *
 * inih splits "key = value", but it cuts lines at 200 bytes and section names at 50 and goes on
 * with what is left, takes an indented line for more of the value before it, ends a quoted value at
 * " ;", keeps an empty section to itself and does not say in which line it is. So it is fed by a
 * reader of ours, which deals with all that, keeps each value back and gives inih the line number
 * in its place; whatever inih then rejects is an error. */
#include "model/config_internal.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define KEY_MAX 64 /* fits into inih's line together with the number */

struct reader {
    const char *at; /* borrowed */
    const char *end;
    unsigned number;
    char line[CONFIG_LINE_MAX + 1]; /* the one at hand, NUL-terminated, wiped at the end */
    char *value;                    /* in `line`: what inih was given the number for */
    struct config_lines *lines;
    struct config_errors *errors;
};

static void push(struct reader *r, enum line_kind kind, const char *name, const char *value)
{
    struct config_lines *l = r->lines;
    l->items = xrealloc(l->items, (l->count + 1) * sizeof(*l->items));
    l->items[l->count++] = (struct config_line){
        .kind = kind,
        .number = r->number,
        .name = xstrdup(name),
        .value = value != NULL ? xstrdup(value) : NULL,
    };
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *s)
{
    return s + strspn(s, " \t");
}

static void trim_end(char *s)
{
    size_t len = strlen(s);
    while (len > 0 && blank(s[len - 1])) {
        len--;
    }
    s[len] = '\0';
}

/* A comment begins at a ; or # behind white space; `before` is what stands before `s`. */
static void cut_comment(char *s, char before)
{
    char *end = s;
    for (; *end != '\0'; before = *end++) {
        if ((*end == ';' || *end == '#') && blank(before)) {
            break;
        }
    }
    *end = '\0';
    trim_end(s);
}

/* Takes the next line that has text and no NUL into r->line. False at the end. */
static bool next_line(struct reader *r)
{
    while (r->at < r->end) {
        const char *start = r->at;
        const char *feed = memchr(start, '\n', (size_t)(r->end - start));
        size_t len = (size_t)((feed != NULL ? feed : r->end) - start);
        r->at = feed != NULL ? feed + 1 : r->end;
        r->number++;
        if (len > 0 && start[len - 1] == '\r') {
            len--;
        }
        if (len > CONFIG_LINE_MAX) {
            config_error(r->errors, r->number, "the line is too long: %zu bytes, at most %d may be",
                         len, CONFIG_LINE_MAX);
        } else if (memchr(start, '\0', len) != NULL) {
            config_error(r->errors, r->number, "the line has a NUL byte");
        } else {
            memcpy(r->line, start, len);
            r->line[len] = '\0';
            return true;
        }
    }
    return false;
}

static void read_section(struct reader *r, char *text)
{
    cut_comment(text, '\0');
    char *end = strrchr(text, ']');
    if (end == NULL || end[1] != '\0') {
        char shown[SHOWN_MAX];
        config_error(r->errors, r->number, "expected \"]\" at the end of \"%s\"",
                     config_shown(text, shown));
        push(r, LINE_BAD_SECTION, "", NULL);
        return;
    }
    *end = '\0';
    trim_end(text);
    push(r, LINE_SECTION, skip_blanks(text + 1), NULL);
}

/* Only a word that looks like a key is shown: what stands alone may be a secret. */
static void no_pair(struct reader *r, char *text)
{
    text[strcspn(text, " \t:=")] = '\0';
    struct nearest near = {.word = text};
    for (size_t i = 0; i < config_option_count; i++) {
        nearest_try(&near, config_options[i].key);
    }
    if (near.best != NULL) {
        config_error(r->errors, r->number, "expected \"=\" after \"%s\"", text);
        push(r, LINE_BAD_PAIR, near.best, NULL);
    } else {
        config_error(r->errors, r->number, "expected \"key = value\" or \"[section]\"");
    }
}

/* Takes the quotes off: \" and \\ stand for " and \. */
static bool unquote(struct reader *r, char *value)
{
    char *to = value;
    char *from = value + 1;
    for (; *from != '"' && *from != '\0'; from++) {
        if (*from == '\\' && (from[1] == '"' || from[1] == '\\')) {
            from++;
        }
        *to++ = *from;
    }
    if (*from == '\0') {
        config_error(r->errors, r->number, "a value that begins with a quote needs one at its end");
        return false;
    }
    char *rest = from + 1;
    cut_comment(rest, '"');
    if (*skip_blanks(rest) != '\0') {
        config_error(r->errors, r->number, "there is text behind the closing quote");
        return false;
    }
    *to = '\0';
    return true;
}

static bool clean_value(struct reader *r, const char *key, char before)
{
    if (*r->value == '"') {
        return unquote(r, r->value);
    }
    cut_comment(r->value, before);
    if (*r->value == '\0') {
        config_error(r->errors, r->number, "\"%s\" has no value", key);
        return false;
    }
    return true;
}

/* Splits off the value and says whether `text` is a key now. */
static bool read_pair(struct reader *r, char *text)
{
    static const char key_bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        no_pair(r, text);
        return false;
    }
    *equals = '\0';
    trim_end(text);
    size_t len = strlen(text);
    if (len == 0 || len > KEY_MAX || strspn(text, key_bytes) != len) {
        no_pair(r, text);
        return false;
    }
    r->value = skip_blanks(equals + 1);
    if (!clean_value(r, text, r->value > equals + 1 ? ' ' : '=')) {
        push(r, LINE_BAD_PAIR, text, NULL);
        return false;
    }
    return true;
}

/* For ini_parse_stream(): the next key, and its line number where its value was. */
static char *feed(char *out, int size, void *stream)
{
    struct reader *r = stream;
    while (next_line(r)) {
        char *text = skip_blanks(r->line);
        if (*text == '\0' || *text == ';' || *text == '#') {
            continue;
        }
        if (*text == '[') {
            read_section(r, text);
        } else if (read_pair(r, text)) {
            snprintf(out, (size_t)size, "%s=%u\n", text, r->number);
            return out;
        }
    }
    return NULL;
}

static int on_pair(void *user, const char *section, const char *name, const char *number)
{
    struct reader *r = user;
    (void)section;
    (void)number;
    push(r, LINE_PAIR, name, r->value);
    return 1;
}

static bool starts_with(const char *data, size_t len, const char *prefix, size_t prefix_len)
{
    return len >= prefix_len && memcmp(data, prefix, prefix_len) == 0;
}

void config_read(const char *data, size_t len, struct config_lines *out,
                 struct config_errors *errors)
{
    static const char utf8_mark[] = "\xef\xbb\xbf";
    *out = (struct config_lines){0};
    if (starts_with(data, len, "\xff\xfe", 2) || starts_with(data, len, "\xfe\xff", 2)) {
        config_error(errors, 1, "the file is in UTF-16, save it as UTF-8");
        return;
    }
    size_t skip = starts_with(data, len, utf8_mark, strlen(utf8_mark)) ? strlen(utf8_mark) : 0;
    struct reader r = {.at = data + skip, .end = data + len, .lines = out, .errors = errors};
    int line = ini_parse_stream(feed, &r, on_pair, &r);
    if (line != 0) {
        config_error(errors, r.number, "cannot be read as \"key = value\"");
    }
    wipe(r.line, sizeof(r.line));
}

void config_lines_release(struct config_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        struct config_line *l = &lines->items[i];
        if (l->value != NULL) {
            wipe(l->value, strlen(l->value));
        }
        free(l->name);
        free(l->value);
    }
    free(lines->items);
    *lines = (struct config_lines){0};
}
