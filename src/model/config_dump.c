/* --dump-config: a configuration with the source of each value behind it. */
#include <stdlib.h>
#include <string.h>

#include "model/config_internal.h"

#define SOURCE_COLUMN 44

struct dump {
    const struct config *config;
    FILE *out;
    const struct option *option;
    size_t index;
};

/* As the reader wants it: quoted where it would take a part for a comment, or cut blanks off. */
static void add_value(struct text *out, const char *value)
{
    size_t len = strlen(value);
    bool plain = len > 0 && strchr(" \t\"", value[0]) == NULL &&
                 strchr(" \t", value[len - 1]) == NULL && strpbrk(value, ";#") == NULL;
    if (plain) {
        text_add(out, "%s", value);
        return;
    }
    text_add(out, "\"");
    for (; *value != '\0'; value++) {
        text_add(out, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    }
    text_add(out, "\"");
}

static void add_source(const struct dump *d, struct text *out, const struct origin_setting *s,
                       bool set)
{
    const char *path = d->config->origin->path;
    if (s != NULL) {
        text_add(out, "%s:%u%s", path, s->line, s->environment ? " (environment)" : "");
    } else {
        /* A secret has no default: it came from its file. */
        text_add(out, d->option->type->secret && set ? "%s_file" : "default", d->option->key);
    }
}

/* It was resolved when it was loaded; the file says auto. */
static bool is_auto(const struct dump *d)
{
    if (d->option == config_find_option(SECTION_FRONTEND, "route")) {
        return d->config->frontends[d->index].route_auto;
    }
    return d->option == config_find_option(SECTION_BACKEND, "probe_tls") &&
           d->config->backends[d->index].probe_tls_auto;
}

/* "key = value ; source", as a comment if it says nothing or must not be said. */
static void print_line(const struct dump *d, const char *key, const char *value,
                       const struct origin_setting *s)
{
    struct text line = {0};
    char why[EFFECT_WHY_MAX];
    bool set = value[0] != '\0';
    bool effect = config_has_effect(d->config, d->option, d->index, why);
    text_add(&line, "%s%s = ", set && effect && !d->option->type->secret ? "" : "; ", key);
    if (set) {
        add_value(&line, value);
    }
    text_add(&line, "%*s ; ", line.len < SOURCE_COLUMN ? (int)(SOURCE_COLUMN - line.len) : 0, "");
    add_source(d, &line, s, set);
    if (!effect) {
        text_add(&line, ", no effect with %s", why);
    }
    if (effect && is_auto(d)) {
        text_add(&line, ", here it means ");
        d->option->type->print(&line, config_member(d->config, d->option, d->index), 0);
    }
    fprintf(d->out, "%s\n", line.data);
    text_free(&line);
}

static void print_item(const struct dump *d, const struct origin_setting *s, size_t item)
{
    struct text value = {0};
    text_add(&value, "%s", "");
    d->option->type->print(&value, config_member(d->config, d->option, d->index), item);
    print_line(d, s != NULL ? s->option->key : d->option->key, value.data, s);
    text_free(&value);
}

static void print_option(const struct dump *d)
{
    const struct option *o = d->option;
    const struct config_origin *origin = d->config->origin;
    const struct origin_setting *s = origin_item(origin, o, d->index, 0);
    if ((o->flags & OPTION_REPEAT) == 0) {
        s = origin_find(origin, o->kind, d->index, o->key);
        if (is_auto(d)) {
            print_line(d, o->key, "auto", s);
        } else {
            print_item(d, s, 0);
        }
    } else if (s == NULL) {
        print_line(d, o->key, "", NULL);
    } else if (!o->shared) {
        for (size_t i = 0; (s = origin_item(origin, o, d->index, i)) != NULL; i++) {
            print_item(d, s, i);
        }
    }
}

static void print_section(const struct config *c, enum section_kind kind, size_t index, FILE *out)
{
    for (size_t i = 0; i < config_option_count; i++) {
        struct dump d = {.config = c, .out = out, .option = &config_options[i], .index = index};
        if (d.option->kind == kind) {
            print_option(&d);
        }
    }
}

/* How many connections a server may see ----------------------------------------------------- */

/* What the frontends of a backend may bring it. */
struct crowd {
    size_t frontends;
    bool modes[POOL_COUNT]; /* whether one of them has it */
    uint64_t own;           /* sessions with a connection of their own each; 0 = no number is set */
};

static struct crowd crowd_of(const struct config *c, size_t backend)
{
    struct crowd crowd = {0};
    bool bounded = true;
    for (size_t i = 0; i < c->frontend_count; i++) {
        const struct frontend_config *f = &c->frontends[i];
        if (!config_uses_backend(f, backend)) {
            continue;
        }
        crowd.frontends++;
        crowd.modes[f->pool_mode] = true;
        if (f->pool_mode == POOL_NONE) {
            crowd.own += f->max_sessions;
            bounded = bounded && f->max_sessions > 0;
        }
    }
    uint64_t all = c->router.max_sessions;
    if (!bounded || (all > 0 && all < crowd.own)) {
        crowd.own = all;
    }
    return crowd;
}

/* The most by what is not server_max_connections; 0 = there is no such bound, and `why` says so. */
static uint64_t most_by_others(const struct backend_config *b, const struct crowd *crowd,
                               const char **why)
{
    bool own = crowd->modes[POOL_NONE];
    if (crowd->modes[POOL_TRANSACTION]) {
        *why = "no limit (pool_mode = transaction, server_max_connections = none)";
        return 0;
    }
    if (crowd->modes[POOL_SESSION] && b->pool_size == 0) {
        *why = "no limit (pool_size = auto, server_max_connections = none)";
        return 0;
    }
    if (own && crowd->own == 0) {
        *why = "no limit but the router's own (max_sessions = auto)";
        return 0;
    }
    *why = !crowd->modes[POOL_SESSION] ? "max_sessions"
           : own                       ? "max_sessions and pool_size"
                                       : "pool_size";
    return (own ? crowd->own : 0) + (crowd->modes[POOL_SESSION] ? b->pool_size : 0);
}

static void print_shared(const struct backend_config *b, FILE *out)
{
    if (b->pool_size > 0) {
        fprintf(out, ", of them shared %u (pool_size), or 1 for each worker and identity",
                b->pool_size);
    } else {
        fputs(", of them shared 2 for each worker and identity (pool_size = auto)", out);
    }
}

/* Where a pool lends what there is, its size bounds all of it. */
static void print_lent(const struct config *c, const struct backend_config *b, unsigned said,
                       FILE *out)
{
    unsigned cap = config_server_cap(c, b, said);
    if (cap == 0) {
        fputs("no limit (pool_size = auto, server_max_connections = none)", out);
    } else {
        fprintf(out, "%u (%s)", cap, cap != said ? "pool_size" : "server_max_connections");
    }
}

static void print_most(const struct config *c, const struct backend_config *b,
                       unsigned max_connections, FILE *out)
{
    const char *why;
    struct crowd crowd = crowd_of(c, b->index);
    uint64_t others = most_by_others(b, &crowd, &why);
    bool lends = config_lends(c, b);
    if (crowd.frontends == 0) {
        fputs("0 (no frontend uses it)", out);
    } else if (lends) {
        print_lent(c, b, max_connections, out);
    } else if (max_connections > 0 && (others == 0 || max_connections <= others)) {
        fprintf(out, "%u (server_max_connections)", max_connections);
    } else if (others > 0) {
        fprintf(out, "%llu (%s)", (unsigned long long)others, why);
    } else {
        fputs(why, out);
    }
    if (crowd.modes[POOL_TRANSACTION] && !lends) {
        print_shared(b, out);
    }
    fputs(b->probe == PROBE_OFF ? "\n" : ", and 1 for the probe\n", out);
}

void config_dump(const struct config *config, FILE *out)
{
    fprintf(out, "[router]\n");
    print_section(config, SECTION_ROUTER, 0, out);
    for (size_t i = 0; i < config->frontend_count; i++) {
        fprintf(out, "\n[frontend %s]\n", config->frontends[i].name);
        print_section(config, SECTION_FRONTEND, i, out);
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        fprintf(out, "\n[backend %s]\n", config->backends[i].name);
        print_section(config, SECTION_BACKEND, i, out);
    }
    fprintf(out, "\n; Connections that this router opens to each server at most:\n");
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct backend_config *b = &config->backends[i];
        for (size_t j = 0; j < b->servers.count; j++) {
            fprintf(out, ";   %s/%s: ", b->name, b->servers.items[j].name);
            print_most(config, b, b->servers.items[j].said_max_connections, out);
        }
        for (size_t j = 0; j < b->discovers.count; j++) {
            fprintf(out, ";   %s, each that %s finds: ", b->name, b->discovers.items[j].text);
            print_most(config, b, b->discovers.items[j].max_connections, out);
        }
    }
}
