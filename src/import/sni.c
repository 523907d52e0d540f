/* HAProxy takes the first rule that fits; router the exact name, then the longest that ends so.
 * What an earlier rule has already is left out, and so both choose the same. */
#include "import/sni.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "import/rule.h"

#define ENTRIES_MAX 10000 /* of a frontend in router.ini */
#define PLACES      32768 /* of the table of names; a power of two above what is in it */
#define HOST_MAX    253

struct reader {
    const struct proxy *p;
    struct source *s;
    struct sni *out;
    const char **taken; /* owned; hosts by their hash */
    struct line *line;  /* the rule that is read */
    const char *backend;
    bool always; /* a rule that holds for all names was there */
    bool lost;   /* something of this rule */
};

/* Hosts -----------------------------------------------------------------------------------------
 */

static bool is_host(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= HOST_MAX && text[0] != '.' && text[len - 1] != '.';
}

/* Where this name is, or would be, in the table. */
static const char **find_place(const struct reader *r, const char *host)
{
    size_t i = hash_bytes(host, strlen(host)) % PLACES;
    while (r->taken[i] != NULL && strcmp(r->taken[i], host) != 0) {
        i = (i + 1) % PLACES;
    }
    return &r->taken[i];
}

/* Whether an earlier entry has it: the name itself, or all names below one of its parents. */
static bool is_taken(const struct reader *r, const char *host)
{
    char parent[HOST_MAX + 3];
    if (*find_place(r, host) != NULL) {
        return true;
    }
    const char *dot = strchr(host[0] == '*' ? host + 2 : host, '.');
    for (; dot != NULL; dot = strchr(dot + 1, '.')) {
        snprintf(parent, sizeof parent, "*%s", dot);
        if (*find_place(r, parent) != NULL) {
            return true;
        }
    }
    return false;
}

static void add_host(struct reader *r, const char *host, size_t len, bool wildcard)
{
    struct sni *out = r->out;
    if (!is_host(host, len) || out->count == ENTRIES_MAX) {
        r->lost = true;
        return;
    }
    char *shown = arena_print(&r->s->arena, "%s%.*s", wildcard ? "*." : "", (int)len, host);
    for (char *c = shown; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    if (is_taken(r, shown)) {
        return;
    }
    *find_place(r, shown) = shown;
    out->entries = arena_grow(&r->s->arena, out->entries, out->count, sizeof *out->entries);
    out->entries[out->count++] =
        (struct sni_entry){.host = word_of(r->s, shown), .backend = r->backend, .line = r->line};
}

/* "-m end .x.y", "-m end x.y". */
static void add_ending(struct reader *r, const char *text, size_t len)
{
    if (len > 1 && text[0] == '.') {
        add_host(r, text + 1, len - 1, true);
        return;
    }
    add_host(r, text, len, false);
    add_host(r, text, len, true);
    line_mark(r->s, r->line, VERDICT_DIFFERENCE, "%.*s: this name and all below it, not %s%.*s",
              (int)(len < 64 ? len : 64), text, "x", (int)(len < 64 ? len : 64), text);
}

/* Regular expressions that are a name, or all names below one: "^[^.]*\.x\.y$". */
static void add_expression(struct reader *r, const char *text, size_t len)
{
    static const char *const any[] = {"[^\\.]*\\.", "[^.]*\\.", "[^.]+\\.", "[^\\.]+\\.",
                                      ".*\\.",      ".+\\.",    "(.*)\\.",  "(.+)\\."};
    char host[HOST_MAX + 1];
    size_t used = 0;
    bool wildcard = false;
    bool whole = len > 2 && text[0] == '^' && text[len - 1] == '$' && text[len - 2] != '\\';
    const char *at = text + 1;
    const char *end = text + len - 1;
    for (size_t i = 0; whole && !wildcard && i < sizeof any / sizeof any[0]; i++) {
        size_t prefix = strlen(any[i]);
        if ((size_t)(end - at) > prefix && memcmp(at, any[i], prefix) == 0) {
            wildcard = true;
            at += prefix;
        }
    }
    for (; whole && at < end; at++) {
        bool dot = at[0] == '\\' && at[1] == '.';
        at += dot;
        whole = used < HOST_MAX && (dot || (*at != '.' && is_host(at, 1)));
        host[used < HOST_MAX ? used++ : 0] = *at;
    }
    if (whole) {
        add_host(r, host, used, wildcard);
    } else {
        r->lost = true;
    }
}

static void add_by(struct reader *r, const char *method, const struct word *w)
{
    if (method[0] == '\0' || strcmp(method, "str") == 0) {
        add_host(r, w->text, w->len, false);
    } else if (strcmp(method, "end") == 0) {
        add_ending(r, w->text, w->len);
    } else if (strcmp(method, "reg") == 0) {
        add_expression(r, w->text, w->len);
    } else {
        r->lost = true;
    }
}

/* Conditions ------------------------------------------------------------------------------------
 */

static bool is_name(const char *fetch)
{
    return strcmp(fetch, "req.ssl_sni") == 0 || strcmp(fetch, "req_ssl_sni") == 0 ||
           strcmp(fetch, "ssl_fc_sni") == 0;
}

/* Tests that hold for whoever says a name. */
static bool is_idle(const struct test *t)
{
    bool hello = strcmp(t->fetch, "req.ssl_hello_type") == 0 ||
                 strcmp(t->fetch, "req_ssl_hello_type") == 0 || strcmp(t->fetch, "ssl_fc") == 0;
    return !t->negated && (hello || (is_name(t->fetch) && strcmp(t->method, "found") == 0));
}

static bool is_about_name(const struct test *t)
{
    bool plain = t->converters[0] == '\0' || strcmp(t->converters, "lower") == 0;
    return is_name(t->fetch) && plain && t->value_count > 0;
}

/* The one test of the name among those that must hold; NULL if others are there. */
static const struct test *find_test(const struct conjunction *c, bool *name)
{
    const struct test *found = NULL;
    bool others = false;
    for (size_t i = 0; i < c->count; i++) {
        const struct test *t = &c->tests[i];
        *name = *name || is_about_name(t);
        others = others || (!is_idle(t) && (!is_about_name(t) || t->negated || found != NULL));
        found = is_about_name(t) ? t : found;
    }
    return others ? NULL : found;
}

/* Whether the rule is about names, and whether that can be said of all of it. */
static bool looks_at_names(const struct condition *c, bool *clear)
{
    bool name = false;
    *clear = c->understood;
    for (size_t i = 0; i < c->count; i++) {
        *clear = find_test(&c->items[i], &name) != NULL && *clear;
    }
    return name;
}

static void add_conditions(struct reader *r, const struct condition *c)
{
    bool name = false;
    for (size_t i = 0; i < c->count; i++) {
        const struct test *t = find_test(&c->items[i], &name);
        for (size_t k = 0; k < t->value_count; k++) {
            add_by(r, t->method, &t->values[k]);
        }
    }
}

/* Maps ------------------------------------------------------------------------------------------
 */

struct map {
    const char *method;
    struct word path;
    const char *otherwise; /* NULL: none */
};

/* "%[req.ssl_sni,lower,map(/etc/hosts.map,hubs)]" and its like; false if it is something else. */
static bool read_map(struct source *s, const struct word *w, struct map *out)
{
    static const struct {
        const char *name;
        const char *method;
    } kinds[] = {{"map(", ""},        {"map_str(", ""},    {"map_end(", "end"},
                 {"map_reg(", "reg"}, {"map_dom(", "dom"}, {"map_beg(", "beg"}};
    const char *at = w->text;
    const char *end = w->text + w->len;
    if (w->len < 4 || strncmp(at, "%[", 2) != 0 || strcmp(end - 2, ")]") != 0) {
        return false;
    }
    at += 2;
    char *fetch = arena_copy(&s->arena, at, strcspn(at, ","));
    at += strlen(fetch) + 1;
    if (!is_name(fetch) || at > end) {
        return false;
    }
    at += strncmp(at, "lower,", 6) == 0 ? 6 : 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].name);
        if (strncmp(at, kinds[i].name, len) != 0) {
            continue;
        }
        at += len;
        size_t path = strcspn(at, ",)");
        *out = (struct map){.method = kinds[i].method,
                            .path = word_of(s, arena_copy(&s->arena, at, path))};
        if (at[path] == ',') {
            at += path + 1;
            out->otherwise = arena_copy(&s->arena, at, (size_t)(end - 2 - at));
        }
        return strpbrk(at, "]") == end - 1;
    }
    return false;
}

static bool is_backend(const struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->s->section_count; i++) {
        const struct section *section = r->s->sections[i];
        bool back = section->kind == SECTION_BACKEND || section->kind == SECTION_LISTEN;
        if (back && strcmp(section->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the condition holds for all whose name is looked up. */
static bool holds_for_names(const struct condition *c)
{
    bool ok = c->understood && c->count <= 1;
    for (size_t i = 0; ok && c->count == 1 && i < c->items[0].count; i++) {
        const struct test *t = &c->items[0].tests[i];
        ok = is_idle(t);
    }
    return ok;
}

static void add_map(struct reader *r, struct line *l, const struct map *map)
{
    struct word *keys = NULL;
    struct word *values = NULL;
    size_t count = 0;
    if (!condition_file(r->s, map->path.text, &keys, &values, &count)) {
        line_mark(r->s, l, VERDICT_LOST, "the map cannot be read, or is too large");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_backend(r, values[i].text)) {
            line_mark(r->s, l, VERDICT_DIFFERENCE, "%.64s is no backend", values[i].text);
            continue;
        }
        r->backend = values[i].text;
        add_by(r, map->method, &keys[i]);
    }
    if (map->otherwise != NULL && is_backend(r, map->otherwise)) {
        r->out->otherwise = map->otherwise;
        r->always = true;
    }
    line_mark(r->s, l, r->lost ? VERDICT_LOST : VERDICT_KEPT,
              r->lost ? "not all names of the map can be said" : NULL);
}

/* Rules -----------------------------------------------------------------------------------------
 */

static void read_dynamic(struct reader *r, struct line *l, const struct word *name)
{
    struct map map;
    struct condition c;
    condition_read(r->p, l, 1, &c);
    if (!read_map(r->s, name, &map) || !holds_for_names(&c)) {
        line_mark(r->s, l, VERDICT_LOST, "which backend it is, is not known before a client comes");
        return;
    }
    add_map(r, l, &map);
    condition_claim(r->p, &c, VERDICT_KEPT);
}

static void read_rule(struct reader *r, struct line *l)
{
    const struct word *name = line_argument(l, 0);
    r->line = l;
    r->lost = false;
    if (name == NULL) {
        return;
    }
    if (strchr(name->text, '%') != NULL) {
        read_dynamic(r, l, name);
        return;
    }
    struct condition c;
    bool clear;
    condition_read(r->p, l, 1, &c);
    if (!looks_at_names(&c, &clear)) {
        r->always = r->always || (c.understood && c.count == 0);
        return;
    }
    r->backend = name->text;
    if (clear) {
        add_conditions(r, &c);
    }
    clear = clear && !r->lost;
    line_mark(r->s, l, clear ? VERDICT_KEPT : VERDICT_LOST,
              clear ? NULL : "not a plain name, or more than the name: that cannot be said");
    condition_claim(r->p, &c, clear ? VERDICT_KEPT : VERDICT_LOST);
}

/* How long clients may take to say their name. */
static void read_delay(struct reader *r)
{
    struct line *l = proxy_find(r->p, "tcp-request inspect-delay");
    const struct word *w = l != NULL ? line_argument(l, 0) : NULL;
    long long ms = w != NULL ? word_milliseconds(w, 1000) : -1;
    if (l == NULL) {
        return;
    }
    if (r->out->count == 0 || ms <= 0) {
        line_mark(r->s, l, VERDICT_NOT_NEEDED, "nothing that clients say is waited for");
        return;
    }
    r->out->handshake_ms = ms;
    r->out->handshake_line = l;
    line_mark(r->s, l, VERDICT_KEPT, NULL);
}

void sni_read(const struct proxy *p, struct sni *out)
{
    struct reader r = {.p = p, .s = p->source, .out = out};
    size_t at = 0;
    *out = (struct sni){0};
    r.taken = xcalloc(PLACES, sizeof *r.taken);
    for (struct line *l; (l = proxy_next(p, "use_backend", &at)) != NULL;) {
        if (r.always) {
            line_mark(r.s, l, VERDICT_NOT_NEEDED, "no client comes to this rule");
        } else {
            read_rule(&r, l);
        }
    }
    free(r.taken);
    read_delay(&r);
}
