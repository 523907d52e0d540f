/* Parser and printer of control sockets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"

#define MODE_DEFAULT 0600
#define MODE_MAX     0777

static const char *const level_words[] = {
    [CONTROL_USER] = "user",
    [CONTROL_OPERATOR] = "operator",
    [CONTROL_ADMIN] = "admin",
};

static bool parse_mode(struct parse *p, const char *word, const char *digits, unsigned *out)
{
    size_t len = strspn(digits, "01234567");
    unsigned long mode =
        len > 0 && len <= 4 && digits[len] == '\0' ? strtoul(digits, NULL, 8) : MODE_MAX + 1;
    if (mode > MODE_MAX || (mode & 0600) != 0600) {
        parse_error(p, word, ": expected permissions in octal, from 600 to 777");
        return false;
    }
    *out = (unsigned)mode;
    return true;
}

static bool parse_level(struct parse *p, const char *word, const char *name,
                        enum control_level *out)
{
    struct nearest near = {.word = name};
    char suggestion[SUGGESTION_MAX];
    for (size_t i = 0; i < ARRAY_LEN(level_words); i++) {
        if (strcmp(name, level_words[i]) == 0) {
            *out = (enum control_level)i;
            return true;
        }
        nearest_try(&near, level_words[i]);
    }
    parse_error(p, word, ": a level is user, operator or admin%s",
                nearest_words(&near, suggestion));
    return false;
}

static bool parse_word(struct parse *p, const char *word, struct control_config *c)
{
    if (strncmp(word, "mode=", 5) == 0) {
        return parse_mode(p, word, word + 5, &c->mode);
    }
    if (strncmp(word, "level=", 6) == 0) {
        return parse_level(p, word, word + 6, &c->level);
    }
    parse_expected(p, word);
    return false;
}

static bool parse_path(struct parse *p, const char *path, struct control_config *c)
{
    struct text address = {0};
    text_add(&address, "unix:%s", path);
    bool ok = path[0] == '/' && address_parse(&c->address, address.data) == 0;
    text_free(&address);
    if (!ok) {
        parse_error(p, path, "%s",
                    path[0] == '/' ? ": the path of a unix socket has at most 107 bytes"
                                   : ": the path of a unix socket begins with a slash");
    }
    return ok;
}

bool parse_CONTROL(struct parse *p, struct control_list *out)
{
    struct control_config c = {.mode = MODE_DEFAULT, .level = CONTROL_ADMIN};
    char *rest = p->value;
    const char *path = parse_next_word(&rest);
    bool ok = parse_path(p, path, &c);
    for (char *word; (word = parse_next_word(&rest)) != NULL;) {
        ok = parse_word(p, word, &c) && ok;
    }
    for (size_t i = 0; ok && i < out->count; i++) {
        if (strcmp(out->items[i].path, path) == 0) {
            parse_error(p, path, ": this control socket is there already");
            ok = false;
        }
    }
    if (!ok || !parse_grow(p, &out->items, out->count, sizeof(*out->items))) {
        return false;
    }
    c.path = xstrdup(path);
    out->items[out->count++] = c;
    return true;
}

void print_CONTROL(struct text *out, const struct control_list *value, size_t item)
{
    const struct control_config *c = &value->items[item];
    text_add(out, "%s", c->path);
    if (c->mode != MODE_DEFAULT) {
        text_add(out, " mode=%o", c->mode);
    }
    if (c->level != CONTROL_ADMIN) {
        text_add(out, " level=%s", level_words[c->level]);
    }
}

void release_CONTROL(struct control_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i].path);
    }
    free(value->items);
    *value = (struct control_list){0};
}
