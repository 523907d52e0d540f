/* Parsers and printers of servers and Sentinels: a numeric address or a name that is looked up, and
 * the words behind it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"

#define WEIGHT_MAX      256
#define CONNECTIONS_MAX 10000000

/* What may stand behind an address. ----------------------------------------------------------- */

/* Where the words of a line go. */
struct server_words {
    unsigned *weight;
    unsigned *max_connections;
    bool *own_max_connections;
    bool *backup;
};

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

static bool parse_server_word(struct parse *p, char *word, const struct server_words *s)
{
    static const char *const words[] = {"weight", "server_max_connections", "backup"};
    const char *value;
    if (strcmp(word, "backup") == 0) {
        *s->backup = true;
        return true;
    }
    if ((value = value_of(word, "weight")) != NULL) {
        return parse_server_number(p, word, value, WEIGHT_MAX, s->weight);
    }
    if ((value = value_of(word, "server_max_connections")) != NULL) {
        *s->own_max_connections = true;
        if (strcmp(value, "none") == 0) {
            *s->max_connections = 0;
            return true;
        }
        return parse_server_number(p, word, value, CONNECTIONS_MAX, s->max_connections);
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
static bool parse_rest(struct parse *p, char *rest, const struct server_words *words)
{
    bool ok = true;
    for (char *word; (word = parse_next_word(&rest)) != NULL;) {
        ok = parse_server_word(p, word, words) && ok;
    }
    return ok;
}

static void print_words(struct text *out, unsigned weight, const unsigned *max_connections,
                        bool backup)
{
    if (weight != 1) {
        text_add(out, " weight=%u", weight);
    }
    if (max_connections != NULL) {
        text_add(out, " server_max_connections=");
        print_COUNT(out, max_connections, 0);
    }
    text_add(out, "%s", backup ? " backup" : "");
}

/* Servers ----------------------------------------------------------------------------------- */

static bool parse_server_name(struct parse *p, const char *name)
{
    struct address a;
    bool ok = config_name_valid(name);
    if (!ok) {
        parse_error(p, name,
                    address_parse(&a, name) == 0
                        ? ": a name comes first, then the address"
                        : ": a name has letters, digits, \"_\", \".\" and \"-\", at most "
                          "63 of them");
    }
    return ok;
}

static bool parse_server_place(struct parse *p, const char *text, struct place *at)
{
    bool ok = parse_place(p, text, at);
    if (ok && at->address.dual) {
        parse_error(p, text, ": a server needs a host");
        ok = false;
    }
    return ok;
}

static bool parse_server_words(struct parse *p, struct server_config *s)
{
    char *rest = p->value;
    char *name = parse_next_word(&rest);
    char *address = parse_next_word(&rest);
    const struct server_words words = {&s->weight, &s->said_max_connections,
                                       &s->own_max_connections, &s->backup};
    struct place at = {0};
    if (name == NULL || address == NULL) {
        parse_expected(p, p->value);
        return false;
    }
    bool ok = parse_server_name(p, name);
    ok = parse_server_place(p, address, &at) && ok;
    ok = parse_rest(p, rest, &words) && ok;
    if (!ok) {
        free(at.host);
        return false;
    }
    s->name = xstrdup(name);
    s->address = at.address;
    s->address_text = xstrdup(address);
    s->host = at.host;
    s->port = at.port;
    return true;
}

bool parse_SERVER(struct parse *p, struct server_list *out)
{
    struct server_config s = {.weight = 1};
    if (!parse_grow(p, &out->items, out->count, sizeof(*out->items)) ||
        !parse_server_words(p, &s)) {
        return false;
    }
    s.rank = out->count;
    out->items[out->count++] = s;
    return true;
}

void print_SERVER(struct text *out, const struct server_list *value, size_t item)
{
    const struct server_config *s = &value->items[item];
    text_add(out, "%s %s", s->name, s->address_text);
    print_words(out, s->weight, s->own_max_connections ? &s->said_max_connections : NULL,
                s->backup);
}

void release_SERVER(struct server_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        struct server_config *s = &value->items[i];
        if (s->owner != NULL) {
            config_free(s->owner);
        } else {
            free(s->name);
            free(s->address_text);
            free(s->host);
        }
    }
    free(value->items);
    *value = (struct server_list){0};
}

bool parse_DISCOVER(struct parse *p, struct discover_list *out)
{
    struct discover_config d = {.weight = 1};
    const struct server_words words = {&d.weight, &d.max_connections, &d.own_max_connections,
                                       &d.backup};
    char *rest = p->value;
    const char *text = parse_next_word(&rest);
    struct place at = {0};
    if (text == NULL || !parse_grow(p, &out->items, out->count, sizeof(*out->items))) {
        return false;
    }
    bool ok = parse_place(p, text, &at);
    if (ok && at.host == NULL) {
        parse_error(p, text, ": expected a name that is looked up; an address is a \"server\"");
        ok = false;
    }
    ok = parse_rest(p, rest, &words) && ok;
    if (!ok) {
        free(at.host);
        return false;
    }
    d.host = at.host;
    d.port = at.port;
    d.text = xstrdup(text);
    out->items[out->count++] = d;
    return true;
}

void print_DISCOVER(struct text *out, const struct discover_list *value, size_t item)
{
    const struct discover_config *d = &value->items[item];
    text_add(out, "%s", d->text);
    print_words(out, d->weight, d->own_max_connections ? &d->max_connections : NULL, d->backup);
}

void release_DISCOVER(struct discover_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i].host);
        free(value->items[i].text);
    }
    free(value->items);
    *value = (struct discover_list){0};
}

/* Sentinels --------------------------------------------------------------------------------- */

bool parse_SENTINEL(struct parse *p, struct sentinel_list *out)
{
    struct place at = {0};
    if (!parse_grow(p, &out->items, out->count, sizeof(*out->items)) ||
        !parse_place(p, p->value, &at)) {
        return false;
    }
    if (at.address.dual || at.address.sa.any.sa_family == AF_UNIX) {
        parse_expected(p, p->value);
        return false;
    }
    out->items[out->count] = (struct sentinel_config){
        .address = at.address,
        .text = xstrdup(p->value),
        .host = at.host,
        .port = at.port,
        .line = out->count,
    };
    out->count++;
    return true;
}

void print_SENTINEL(struct text *out, const struct sentinel_list *value, size_t item)
{
    text_add(out, "%s", value->items[item].text);
}

void release_SENTINEL(struct sentinel_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i].text);
        free(value->items[i].host);
    }
    free(value->items);
    *value = (struct sentinel_list){0};
}
