/* Parsers and printers of addresses and servers, and of what else repeats: each line adds an item.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"

#define ADDRESS_WHY_MAX 320
#define WEIGHT_MAX      256
#define CONNECTIONS_MAX 10000000

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

/* A word of letters that is no numeric address. */
static const char *host_why(const char *host, size_t len, char why[ADDRESS_WHY_MAX])
{
    char name[SHOWN_MAX];
    char shown[SHOWN_MAX];
    snprintf(name, sizeof(name), "%.*s", (int)len, host);
    config_shown(name, shown);
    if (memchr(host, ':', len) != NULL) {
        snprintf(why, ADDRESS_WHY_MAX, "an IPv6 address stands in brackets: [::1]:6379");
    } else if (host[0] == '[' || all_of(host, len, "0123456789.")) {
        snprintf(why, ADDRESS_WHY_MAX, "%s is no IP address", shown);
    } else if (strcmp(name, "localhost") == 0) {
        snprintf(why, ADDRESS_WHY_MAX, "names are not looked up, write 127.0.0.1 or [::1]");
    } else {
        snprintf(why, ADDRESS_WHY_MAX,
                 "%s is a host name; names are not looked up, addresses are "
                 "numeric",
                 shown);
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

/* Servers ----------------------------------------------------------------------------------- */

/* The value of "name=value" in `word`, NULL if it is another name. */
static const char *value_of(const char *word, const char *name)
{
    size_t len = strlen(name);
    return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static bool parse_server_number(struct parse *p, const char *word, const char *text, unsigned max,
                                unsigned *out)
{
    uint64_t n;
    if (parse_count(text, 1, max, &n) != 0) {
        parse_error(p, word, ": expected a number from 1 to %u", max);
        return false;
    }
    *out = (unsigned)n;
    return true;
}

static bool parse_server_word(struct parse *p, char *word, struct server_config *s)
{
    static const char *const words[] = {"weight", "server_max_connections", "backup"};
    const char *value;
    if (strcmp(word, "backup") == 0) {
        s->backup = true;
        return true;
    }
    if ((value = value_of(word, "weight")) != NULL) {
        return parse_server_number(p, word, value, WEIGHT_MAX, &s->weight);
    }
    if ((value = value_of(word, "server_max_connections")) != NULL) {
        s->own_max_connections = true;
        if (strcmp(value, "none") == 0) {
            s->max_connections = 0;
            return true;
        }
        return parse_server_number(p, word, value, CONNECTIONS_MAX, &s->max_connections);
    }
    char name[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    struct nearest near = {.word = name};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        nearest_try(&near, words[i]);
    }
    if (near.best != NULL) {
        parse_error(p, word, "%s", nearest_words(&near, suggestion));
    } else {
        parse_expected(p, word);
    }
    return false;
}

/* All words are looked at, so that one run tells everything. */
static bool parse_server_words(struct parse *p, struct server_config *s)
{
    char *rest = p->value;
    char *name = parse_next_word(&rest);
    char *address = parse_next_word(&rest);
    if (name == NULL || address == NULL) {
        parse_expected(p, p->value);
        return false;
    }
    bool ok = true;
    if (!config_name_valid(name)) {
        struct address a;
        parse_error(p, name,
                    address_parse(&a, name) == 0
                        ? ": a name comes first, then the address"
                        : ": a name has letters, digits, \"_\", \".\" and \"-\", at most "
                          "63 of them");
        ok = false;
    }
    ok = parse_address(p, address, &s->address) && ok;
    if (ok && s->address.dual) {
        parse_error(p, address, ": a server needs a host");
        ok = false;
    }
    for (char *word; (word = parse_next_word(&rest)) != NULL;) {
        ok = parse_server_word(p, word, s) && ok;
    }
    s->name = ok ? xstrdup(name) : NULL;
    s->address_text = ok ? xstrdup(address) : NULL;
    return ok;
}

bool parse_SERVER(struct parse *p, struct server_list *out)
{
    struct server_config s = {.weight = 1};
    if (!parse_grow(p, &out->items, out->count, sizeof(*out->items)) ||
        !parse_server_words(p, &s)) {
        return false;
    }
    out->items[out->count++] = s;
    return true;
}

void print_SERVER(struct text *out, const struct server_list *value, size_t item)
{
    const struct server_config *s = &value->items[item];
    text_add(out, "%s %s", s->name, s->address_text);
    if (s->weight != 1) {
        text_add(out, " weight=%u", s->weight);
    }
    if (s->own_max_connections) {
        text_add(out, " server_max_connections=");
        print_COUNT(out, &s->max_connections, 0);
    }
    text_add(out, "%s", s->backup ? " backup" : "");
}

void release_SERVER(struct server_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i].name);
        free(value->items[i].address_text);
    }
    free(value->items);
    *value = (struct server_list){0};
}
