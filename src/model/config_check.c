/* What can only be seen when the whole file was read: names that refer to each other, options that
 * exclude each other or have no effect. A value that was wrong by itself is not judged again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"
#include "router_proto.h"

bool backend_roles_known(const struct backend_config *b)
{
    return b->protocol != NULL && b->protocol->has_roles && b->probe == PROBE_AUTO &&
           b->http_check.method == NULL;
}

static void check_required(const struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->origin->section_count; i++) {
        const struct origin_section *s = &c->origin->sections[i];
        for (size_t j = 0; j < config_option_count && !s->repeated; j++) {
            const struct option *o = &config_options[j];
            if (o->kind == s->kind && (o->flags & OPTION_REQUIRED) != 0 &&
                origin_find(c->origin, s->kind, s->index, o->key) == NULL) {
                config_error(errors, s->line, "this [%s] needs \"%s\", for example: %s = %s",
                             section_words[s->kind], o->key, o->key, o->example);
            }
        }
    }
}

/* Frontends --------------------------------------------------------------------------------- */

bool config_find_backend(const struct config *c, const char *name, size_t *index)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        if (strcmp(c->backends[i].name, name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

void config_tell_no_backend(const struct config *c, const char *name, unsigned line,
                            struct config_errors *errors)
{
    struct nearest near = {.word = name};
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    for (size_t i = 0; i < c->backend_count; i++) {
        nearest_try(&near, c->backends[i].name);
    }
    config_error(errors, line, "there is no [backend %s]%s", config_shown(name, shown),
                 nearest_words(&near, suggestion));
}

static bool resolve_backend(const struct config *c, struct frontend_config *f,
                            struct config_errors *errors)
{
    const struct origin_setting *s = origin_find(c->origin, SECTION_FRONTEND, f->index, "backend");
    if (s == NULL || !s->ok) {
        return false;
    }
    bool found = config_find_backend(c, f->backend_name, &f->backend);
    if (!found) {
        config_tell_no_backend(c, f->backend_name, s->line, errors);
    }
    return found;
}

/* A role that nobody would know. */
static void tell_no_roles(const struct backend_config *b, enum route route, bool route_auto,
                          unsigned line, struct config_errors *errors)
{
    const char *means = route_auto ? " (that is what auto means here)" : "";
    if (!b->protocol->has_roles) {
        config_error(errors, line,
                     "route = %s needs roles, and protocol = %s of [backend %s] has none: write "
                     "\"route = any\"",
                     config_route_words[route], b->protocol->name, b->name);
    } else if (b->http_check.method != NULL) {
        config_error(errors, line,
                     "route = %s%s needs roles, and with http_check nobody asks [backend %s] for "
                     "them: leave it out there, or write \"route = any\" here",
                     config_route_words[route], means, b->name);
    } else {
        config_error(errors, line,
                     "route = %s%s needs roles, and with probe = %s nobody asks [backend %s] for "
                     "them: write \"probe = auto\" there, or \"route = any\" here",
                     config_route_words[route], means, config_probe_words[b->probe], b->name);
    }
}

enum route config_resolve_route(const struct config *c, const struct frontend_config *f,
                                const struct backend_config *b, unsigned line,
                                struct config_errors *errors)
{
    const struct origin_setting *s = origin_find(c->origin, SECTION_FRONTEND, f->index, "route");
    enum route route = f->route;
    if (b->protocol == NULL || (s != NULL && !s->ok) ||
        !config_sound(c, SECTION_BACKEND, b->index, "probe")) {
        return route;
    }
    if (f->route_auto) {
        route = b->protocol->has_roles ? ROUTE_PRIMARY : ROUTE_ANY;
    }
    if (route != ROUTE_ANY && !backend_roles_known(b)) {
        tell_no_roles(b, route, f->route_auto, s != NULL ? s->line : line, errors);
    }
    return route;
}

/* auto becomes what it means here. */
static void resolve_route(const struct config *c, struct frontend_config *f,
                          struct config_errors *errors)
{
    unsigned line = origin_section(c->origin, SECTION_FRONTEND, f->index)->line;
    f->route = config_resolve_route(c, f, &c->backends[f->backend], line, errors);
}

/* The same of backends: probes speak TLS where sessions do. */
static void resolve_probe_tls(struct backend_config *b)
{
    bool speaks = b->protocol != NULL && b->probe == PROBE_AUTO &&
                  (b->protocol->has_roles || b->http_check.method != NULL);
    b->probe_tls_auto = b->probe_tls == PROBE_TLS_AUTO;
    if (b->probe_tls_auto) {
        b->probe_tls = b->tls && speaks ? PROBE_TLS_YES : PROBE_TLS_NO;
    }
}

/* Binds ------------------------------------------------------------------------------------- */

static unsigned port_of(const struct address *a)
{
    return a->sa.any.sa_family == AF_UNIX ? 0 : a->sa.v4.sin_port; /* v6's is at the same place */
}

/* Whether the socket of `a` would also take what comes to `b`. */
static bool covers(const struct address *a, const struct address *b)
{
    if (port_of(a) == 0 || port_of(a) != port_of(b)) {
        return false;
    }
    bool same = a->sa.any.sa_family == b->sa.any.sa_family;
    if (a->sa.any.sa_family == AF_INET) {
        return same && a->sa.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    }
    return (same || a->dual) && IN6_IS_ADDR_UNSPECIFIED(&a->sa.v6.sin6_addr);
}

static bool takes(const struct address *bind, const struct address *at)
{
    return address_equal(bind, at) || (address_is_loopback(at) && covers(bind, at));
}

bool config_listens_at(const struct config *c, const struct address *at)
{
    bool found = false;
    for (size_t i = 0; i < c->frontend_count; i++) {
        const struct bind_list *binds = &c->frontends[i].binds;
        for (size_t j = 0; j < binds->count && !c->frontends[i].gone && !found; j++) {
            found = takes(&binds->items[j].address, at);
        }
    }
    return found;
}

static bool overlap(const struct address *a, const struct address *b)
{
    return address_equal(a, b) || covers(a, b) || covers(b, a);
}

struct bind_place {
    const struct bind_config *bind;
    unsigned line;
};

static void check_bind_pair(const struct bind_place *first, const struct bind_place *second,
                            struct config_errors *errors)
{
    if (address_equal(&first->bind->address, &second->bind->address)) {
        config_error(errors, second->line, "%s is bound twice, first in line %u",
                     second->bind->text, first->line);
    } else if (overlap(&first->bind->address, &second->bind->address)) {
        config_error(errors, second->line, "%s overlaps with %s of line %u", second->bind->text,
                     first->bind->text, first->line);
    }
}

/* A server that is this router itself would connect to itself for ever. */
static void check_loop(const struct config *c, const struct bind_place *at,
                       const struct backend_config *b, struct config_errors *errors)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        const struct server_config *s = &b->servers.items[i];
        if (takes(&at->bind->address, &s->address)) {
            config_error(errors,
                         origin_item_line(c->origin, SECTION_BACKEND, b->index, "server", i),
                         "the address of server \"%s\" is where this router listens (line %u)",
                         s->name, at->line);
        }
    }
}

static void check_binds(const struct config *c, struct config_errors *errors)
{
    struct bind_place *places = NULL;
    size_t count = 0;
    for (size_t i = 0; i < c->frontend_count; i++) {
        const struct bind_list *binds = &c->frontends[i].binds;
        const struct origin_section *in = origin_section(c->origin, SECTION_FRONTEND, i);
        for (size_t j = 0; j < binds->count && !in->repeated; j++) {
            places = xrealloc(places, (count + 1) * sizeof(*places));
            places[count++] = (struct bind_place){
                &binds->items[j], origin_item_line(c->origin, SECTION_FRONTEND, i, "bind", j)};
        }
    }
    struct bind_config admin = {.text = c->router.admin};
    const struct origin_setting *s = origin_find(c->origin, SECTION_ROUTER, 0, "admin");
    bool has_admin =
        s != NULL && s->ok && admin.text != NULL && address_parse(&admin.address, admin.text) == 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            check_bind_pair(&places[j], &places[i], errors);
        }
        for (size_t j = 0; j < c->backend_count; j++) {
            check_loop(c, &places[i], &c->backends[j], errors);
        }
        if (has_admin) {
            struct bind_place at = {&admin, s->line};
            check_bind_pair(&at, &places[i], errors);
        }
    }
    free(places);
}

void config_check(struct config *c, struct config_errors *errors)
{
    check_required(c, errors);
    config_check_admin(c, errors);
    for (size_t i = 0; i < c->frontend_count; i++) {
        struct frontend_config *f = &c->frontends[i];
        f->route_auto = f->route == ROUTE_AUTO;
        if (origin_section(c->origin, SECTION_FRONTEND, i)->repeated) {
            continue;
        }
        bool found = resolve_backend(c, f, errors);
        if (found) {
            resolve_route(c, f, errors);
        }
        config_check_edge(c, f, found, errors);
        config_check_pool(c, f, found, errors);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        resolve_probe_tls(&c->backends[i]);
    }
    check_binds(c, errors);
    config_check_effects(c, errors);
    config_check_backends(c, errors);
    if (c->frontend_count == 0 && !c->origin->skipped) {
        config_error(errors, 0, "there is no [frontend NAME], so nobody could connect");
    }
}
