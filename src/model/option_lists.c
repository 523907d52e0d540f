/* Parsers and printers of addresses to listen on, and what all lists share: each line adds an item.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_target.h"
#include "base/mem.h"
#include "model/config_internal.h"

#define ADDRESS_WHY_MAX 320

bool parse_grow(struct parse *p, void *items, size_t count, size_t size)
{
    void **list = items;
    size_t max = p->option->max > 0 ? (size_t)p->option->max : CONFIG_LIST_MAX;
    if (count == max) {
        config_error(p->errors, p->line, "more than %zu lines \"%s\" in one section", max,
                     p->option->key);
        return false;
    }
    *list = xrealloc(*list, (count + 1) * size);
    return true;
}

char *parse_next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    if (*word == '\0') {
        return NULL;
    }
    char *end = word + strcspn(word, " \t");
    *rest = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

bool config_name_valid(const char *name)
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t len = strlen(name);
    return len > 0 && len <= CONFIG_NAME_MAX && strspn(name, bytes) == len;
}

/* Addresses --------------------------------------------------------------------------------- */

static const char *path_why(const char *path)
{
    return path[0] != '/' ? "the path of a unix socket begins with a slash"
                          : "the path of a unix socket has at most 107 bytes";
}

static bool all_of(const char *s, size_t len, const char *bytes)
{
    return strspn(s, bytes) >= len;
}

/* A word of letters that is no numeric address, and no name where one would do. */
static const char *host_why(const char *text, size_t len, char why[ADDRESS_WHY_MAX])
{
    const char *host = text;
    char name[SHOWN_MAX];
    char shown[SHOWN_MAX];
    char parsed[ADDRESS_NAME_MAX];
    unsigned port;
    snprintf(name, sizeof(name), "%.*s", (int)len, host);
    config_shown(name, shown);
    if (memchr(host, ':', len) != NULL) {
        snprintf(why, ADDRESS_WHY_MAX, "an IPv6 address stands in brackets: [::1]:6379");
    } else if (host[0] == '[' || all_of(host, len, "0123456789.")) {
        snprintf(why, ADDRESS_WHY_MAX, "%s is no IP address", shown);
    } else if (strcmp(name, "localhost") == 0) {
        snprintf(why, ADDRESS_WHY_MAX,
                 "an address to listen on is numeric, write 127.0.0.1 or [::1]");
    } else if (address_parse_name(text, parsed, &port) == 0) {
        snprintf(why, ADDRESS_WHY_MAX, "%s is a host name; an address to listen on is numeric",
                 shown);
    } else {
        snprintf(why, ADDRESS_WHY_MAX, "%s is neither an IP address nor a host name", shown);
    }
    return why;
}

/* Why address_parse() did not like it; the answer may live in `why`. */
static const char *address_why(const char *text, char why[ADDRESS_WHY_MAX])
{
    static const char prefix[] = "unix:";
    struct address a;
    char with_port[SHOWN_MAX];
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (strncmp(text, prefix, strlen(prefix)) == 0) {
        return path_why(text + strlen(prefix));
    }
    snprintf(with_port, sizeof(with_port), "%s:1", text);
    if (address_parse(&a, with_port) == 0) {
        return "it has no port";
    }
    if (colon == NULL) {
        return "expected host:port, [host]:port or unix:/path";
    }
    if (parse_count(colon + 1, 1, UINT16_MAX, &port) != 0 || colon[1] == '0') {
        return "the port is a number from 1 to 65535";
    }
    if (text[0] == '[' && colon[-1] == ']' && memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return "what stands in the brackets is no IPv6 address";
    }
    return host_why(text, (size_t)(colon - text), why);
}

bool parse_address(struct parse *p, const char *text, struct address *out)
{
    char why[ADDRESS_WHY_MAX];
    if (address_parse(out, text) == 0) {
        return true;
    }
    parse_error(p, text, ": %s", address_why(text, why));
    return false;
}

bool parse_place(struct parse *p, const char *text, struct place *out)
{
    char name[ADDRESS_NAME_MAX];
    *out = (struct place){0};
    if (address_parse_name(text, name, &out->port) == 0) {
        out->host = xstrdup(name);
        return true;
    }
    return parse_address(p, text, &out->address);
}

bool parse_ADMIN(struct parse *p, char **out)
{
    struct address at;
    bool off = strcmp(p->value, "off") == 0 || strcmp(p->value, "none") == 0;
    if (!off && !parse_address(p, p->value, &at)) {
        return false;
    }
    free(*out);
    *out = off ? NULL : xstrdup(p->value);
    return true;
}

void print_ADMIN(struct text *out, char *const *value, size_t item)
{
    (void)item;
    text_add(out, "%s", *value != NULL ? *value : "off");
}

void release_ADMIN(char **value)
{
    free(*value);
    *value = NULL;
}

bool parse_LOG_TARGET(struct parse *p, char **out)
{
    struct log_target target;
    int rc = log_target_parse(&target, p->value);
    log_target_release(&target);
    if (rc != 0) {
        parse_expected(p, p->value);
        return false;
    }
    return parse_TEXT(p, out);
}

void print_LOG_TARGET(struct text *out, char *const *value, size_t item)
{
    print_TEXT(out, value, item);
}

void release_LOG_TARGET(char **value)
{
    release_TEXT(value);
}

bool parse_BIND(struct parse *p, struct bind_list *out)
{
    struct bind_config bind = {0};
    if (!parse_address(p, p->value, &bind.address) ||
        !parse_grow(p, &out->items, out->count, sizeof(*out->items))) {
        return false;
    }
    bind.text = xstrdup(p->value);
    out->items[out->count++] = bind;
    return true;
}

void print_BIND(struct text *out, const struct bind_list *value, size_t item)
{
    text_add(out, "%s", value->items[item].text);
}

void release_BIND(struct bind_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i].text);
    }
    free(value->items);
    *value = (struct bind_list){0};
}

/* allow and deny: two keys, one list -------------------------------------------------------- */

bool parse_ACCESS(struct parse *p, struct access_list *out)
{
    struct access_rule rule = {.allow = strcmp(p->option->key, "allow") == 0};
    int rc = cidr_parse(&rule.range, p->value);
    if (rc == -EDOM) {
        char range[ADDRESS_TEXT_MAX];
        parse_error(p, p->value, ": it has bits behind its mask, did you mean \"%s\"?",
                    cidr_print(&rule.range, range));
        return false;
    }
    if (rc != 0) {
        parse_expected(p, p->value);
        return false;
    }
    if (!parse_grow(p, &out->items, out->count, sizeof(*out->items))) {
        return false;
    }
    out->items[out->count++] = rule;
    return true;
}

void print_ACCESS(struct text *out, const struct access_list *value, size_t item)
{
    char range[ADDRESS_TEXT_MAX];
    text_add(out, "%s", cidr_print(&value->items[item].range, range));
}

void release_ACCESS(struct access_list *value)
{
    free(value->items);
    *value = (struct access_list){0};
}
