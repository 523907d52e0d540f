/* Parsers and printers of what probes are told: renamed commands, Sentinels, HTTP requests. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"

#define TARGET_MAX 2000

/* Renamed commands -------------------------------------------------------------------------- */

static bool parse_rename_name(struct parse *p, char *name)
{
    /* What the probe of include/router_proto.h asks the names of, and what pools ask themselves. */
    static const char *const commands[] = {"AUTH",       "INFO",       "QUIT", "HELLO",
                                           "SELECT",     "COMMAND",    "PING", "SUBSCRIBE",
                                           "PSUBSCRIBE", "SSUBSCRIBE", "RESET"};
    for (char *c = name; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    struct nearest near = {.word = name};
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(name, commands[i]) == 0) {
            return true;
        }
        nearest_try(&near, commands[i]);
    }
    char suggestion[SUGGESTION_MAX];
    parse_error(p, name, ": the router asks nothing by that name%s",
                nearest_words(&near, suggestion));
    return false;
}

bool parse_RENAME(struct parse *p, struct rename_list *out)
{
    char *equals = strchr(p->value, '=');
    if (equals == NULL || equals[1] == '\0' || strpbrk(p->value, " \t") != NULL) {
        parse_expected(p, p->value);
        return false;
    }
    *equals = '\0';
    if (!parse_rename_name(p, p->value)) {
        return false;
    }
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->items[i].name, p->value) == 0) {
            config_error(p->errors, p->line, "%s is renamed twice", p->value);
            return false;
        }
    }
    if (!parse_grow(p, &out->items, out->count, sizeof(*out->items))) {
        return false;
    }
    out->items[out->count++] =
        (struct rename_rule){.name = xstrdup(p->value), .alias = xstrdup(equals + 1)};
    return true;
}

void print_RENAME(struct text *out, const struct rename_list *value, size_t item)
{
    text_add(out, "%s=%s", value->items[item].name, value->items[item].alias);
}

void release_RENAME(struct rename_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i].name);
        free(value->items[i].alias);
    }
    free(value->items);
    *value = (struct rename_list){0};
}

/* HTTP requests ----------------------------------------------------------------------------- */

/* No byte of it may end the request's first line, or be taken for a part of it. */
static bool is_target(const char *s)
{
    for (const char *c = s; *c != '\0'; c++) {
        if (!isgraph((unsigned char)*c)) {
            return false;
        }
    }
    return strlen(s) <= TARGET_MAX && (s[0] == '/' || strcmp(s, "*") == 0);
}

bool parse_HTTP_CHECK(struct parse *p, struct http_check *out)
{
    char *target = p->value + strcspn(p->value, " \t");
    size_t method_len = (size_t)(target - p->value);
    target += strspn(target, " \t");
    if (method_len == 0 || strspn(p->value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != method_len ||
        !is_target(target)) {
        parse_expected(p, p->value);
        return false;
    }
    release_HTTP_CHECK(out);
    p->value[method_len] = '\0';
    *out = (struct http_check){.method = xstrdup(p->value), .target = xstrdup(target)};
    return true;
}

void print_HTTP_CHECK(struct text *out, const struct http_check *value, size_t item)
{
    (void)item;
    if (value->method != NULL) {
        text_add(out, "%s %s", value->method, value->target);
    }
}

void release_HTTP_CHECK(struct http_check *value)
{
    free(value->method);
    free(value->target);
    *value = (struct http_check){0};
}

static bool parse_status(char *text, unsigned *out)
{
    uint64_t n;
    bool ok = parse_count(text, 100, 599, &n) == 0;
    *out = ok ? (unsigned)n : 0;
    return ok;
}

static bool parse_range(struct http_expect *out, char *text)
{
    char *dash = strchr(text, '-');
    unsigned first;
    unsigned last;
    if (dash != NULL) {
        *dash = '\0';
    }
    if (out->count == HTTP_EXPECT_MAX || !parse_status(text, &first) ||
        !parse_status(dash != NULL ? dash + 1 : text, &last) || last < first) {
        return false;
    }
    out->ranges[out->count].first = first;
    out->ranges[out->count++].last = last;
    return true;
}

bool parse_HTTP_EXPECT(struct parse *p, struct http_expect *out)
{
    struct http_expect found = {0};
    char *whole = xstrdup(p->value);
    bool ok = true;
    for (char *rest = p->value; ok && rest != NULL;) {
        char *item = rest;
        rest = strchr(rest, ',');
        if (rest != NULL) {
            *rest++ = '\0';
            rest += strspn(rest, " \t");
        }
        ok = parse_range(&found, item);
    }
    if (ok) {
        *out = found;
    } else {
        parse_expected(p, whole);
    }
    free(whole);
    return ok;
}

void print_HTTP_EXPECT(struct text *out, const struct http_expect *value, size_t item)
{
    (void)item;
    for (unsigned i = 0; i < value->count; i++) {
        text_add(out, value->ranges[i].first == value->ranges[i].last ? "%s%u" : "%s%u-%u",
                 i > 0 ? "," : "", value->ranges[i].first, value->ranges[i].last);
    }
}
