/* Plans (model/discovery.h) are made by backend, and compared with what runs: most of the time
 * there is nothing to do. */
#include "ctl/named.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/control.h"
#include "ctl/names.h"
#include "model/config_follow.h"
#include "model/discovery.h"

static const struct name_addresses *find_known(const void *context, const char *host)
{
    const struct control *c = context;
    return names_find(c->names, host);
}

static bool is_own(const void *context, const struct address *at)
{
    const struct control *c = context;
    return config_listens_at(c->config, at);
}

/* What should be of a backend that runs now, by the lines of `lines`. `down` has a place for each
 * of its servers. */
static void make_plan(const struct control *c, const struct backend_config *lines,
                      const struct backend_control *runs, bool *down, struct server_plan *out)
{
    struct discovery_input in = {
        .lines = lines, .down = down, .find = find_known, .is_own = is_own, .context = c};
    if (runs != NULL) {
        in.was = runs->config->servers.items;
        in.was_count = runs->config->servers.count;
    }
    for (size_t i = 0; i < in.was_count; i++) {
        down[i] = runs->servers[i].told.failures >= runs->config->probe_fall;
    }
    discovery_plan(&in, out);
}

static size_t find_server(const struct backend_config *b, const struct planned_server *p)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        const struct server_config *s = &b->servers.items[i];
        if (!s->gone && strcmp(s->name, p->name) == 0 &&
            (s->discovered > 0) == (p->discovered > 0)) {
            return i;
        }
    }
    return b->servers.count;
}

static bool is_as_planned(const struct backend_config *b, const struct server_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < b->servers.count; i++) {
        count += !b->servers.items[i].gone;
    }
    bool same = count == plan->count;
    for (size_t i = 0; i < plan->count && same; i++) {
        size_t at = find_server(b, &plan->items[i]);
        same = at < b->servers.count &&
               address_equal(&b->servers.items[at].address, &plan->items[i].address);
    }
    return same;
}

static void write_address(const struct server_config *s, const struct address *at,
                          char out[ADDRESS_HOST_MAX])
{
    char text[ADDRESS_TEXT_MAX];
    if (address_is_set(at)) {
        snprintf(out, ADDRESS_HOST_MAX, "%s", address_print(at, text));
    } else {
        snprintf(out, ADDRESS_HOST_MAX, "%s:%u", s->host, s->port);
    }
}

/* Of the running configuration's servers only the addresses are changed: weights and caps may be
 * an operator's. */
static void put(struct backend_config *b, const struct planned_server *p)
{
    char text[ADDRESS_HOST_MAX];
    size_t at = find_server(b, p);
    if (at < b->servers.count) {
        struct server_config *s = &b->servers.items[at];
        if (!address_equal(&s->address, &p->address)) {
            write_address(s, &p->address, text);
            config_set_address(s, &p->address, text);
        }
        return;
    }
    const struct discover_config *d = &b->discovers.items[p->discovered - 1];
    struct server_config *s =
        config_add_server(b, p->name, &p->address, address_print(&p->address, text));
    s->host = xstrdup(d->host);
    s->port = d->port;
    s->discovered = p->discovered;
    s->weight = d->weight;
    s->said_max_connections = d->max_connections;
    s->own_max_connections = d->own_max_connections;
    s->backup = d->backup;
}

static bool is_in(const struct server_plan *plan, const struct server_config *s)
{
    bool found = false;
    for (size_t i = 0; i < plan->count && !found; i++) {
        const struct planned_server *p = &plan->items[i];
        found = p->discovered > 0 && strcmp(p->name, s->name) == 0 &&
                address_equal(&p->address, &s->address);
    }
    return found;
}

static bool is_before(const struct server_config *a, const struct server_config *b)
{
    return a->discovered != b->discovered ? a->discovered < b->discovered
                                          : strverscmp(a->name, b->name) < 0;
}

/* Behind the servers of the file, by line and name: the same on every router, whoever came first.
 */
static void rank(struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        struct server_config *s = &b->servers.items[i];
        size_t place = 0;
        for (size_t j = 0; j < b->servers.count; j++) {
            const struct server_config *other = &b->servers.items[j];
            place += !other->gone && (other->discovered == 0 || is_before(other, s));
        }
        s->rank = s->discovered > 0 ? place : s->rank;
    }
}

/* Whoever moved leaves first, so that its name is free. */
static void put_all(struct backend_config *b, const struct server_plan *plan)
{
    for (size_t i = b->servers.count; i-- > 0;) {
        const struct server_config *s = &b->servers.items[i];
        if (!s->gone && s->discovered > 0 && !is_in(plan, s)) {
            config_remove_server(b, i);
        }
    }
    for (size_t i = 0; i < plan->count; i++) {
        put(b, &plan->items[i]);
    }
    rank(b);
}

static const struct backend_control *running(const struct control *c, const char *backend)
{
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (!c->config->backends[i].gone && strcmp(c->config->backends[i].name, backend) == 0) {
            return c->backends[i];
        }
    }
    return NULL;
}

static bool has_names(const struct backend_config *b)
{
    bool found = b->discovers.count > 0;
    for (size_t i = 0; i < b->servers.count && !found; i++) {
        found = b->servers.items[i].host != NULL;
    }
    return found && !b->gone;
}

/* Whether the servers of `lines` are not what they should be; then `into`, which has the same
 * lines, gets those, unless it is NULL. */
static bool differs(const struct control *c, const struct backend_config *lines,
                    struct backend_config *into)
{
    const struct backend_control *runs = running(c, lines->name);
    bool *down = xcalloc(runs != NULL ? runs->config->servers.count : 0, sizeof *down);
    struct server_plan plan;
    make_plan(c, lines, runs, down, &plan);
    bool differ = !is_as_planned(lines, &plan);
    if (differ && into != NULL) {
        put_all(into, &plan);
    }
    server_plan_release(&plan);
    free(down);
    return differ;
}

void named_fill(const struct control *c, struct config *next)
{
    for (size_t i = 0; i < next->backend_count; i++) {
        if (has_names(&next->backends[i])) {
            differs(c, &next->backends[i], &next->backends[i]);
        }
    }
}

/* A configuration with what differs, NULL if nothing does. */
static struct config *next_config(const struct control *c)
{
    struct config *next = NULL;
    for (size_t i = 0; i < c->config->backend_count; i++) {
        const struct backend_config *b = &c->config->backends[i];
        if (has_names(b) && differs(c, b, NULL)) {
            next = next != NULL ? next : config_derive(c->config);
            differs(c, b, &next->backends[i]);
        }
    }
    return next;
}

/* It is down: as if it had been asked in vain. */
static void unresolved(struct backend_control *b, size_t server, const char *why)
{
    const struct observation *told = &b->servers[server].told;
    struct observation o = {.failures = b->config->probe_fall - 1};
    if (told->reach != REACH_UNASKED && strcmp(told->why, why) == 0) {
        return;
    }
    observation_begin(&o, ++b->control->stamp);
    observation_fail(&o, REACH_REFUSED, why);
    observation_end(&o, ++b->control->stamp, loop_now_ms(&b->control->loop), 0);
    backend_observe(b, server, &o);
}

/* What can be known of the names is known: a backend without a server waits for none. */
static void names_known(struct backend_control *b)
{
    if (!b->first_round_over && backend_everybody_was_asked(b)) {
        b->first_round_over = true;
        backend_decide(b);
    }
}

/* A server whose name leads nowhere is down, and says why. */
static void tell_unresolved(const struct control *c, struct backend_control *b)
{
    for (size_t i = 0; i < b->config->servers.count; i++) {
        const struct server_config *s = &b->config->servers.items[i];
        struct name_view name;
        if (s->gone || s->host == NULL || address_is_set(&s->address) ||
            !names_look(c->names, s->host, &name) || !name.answered) {
            continue;
        }
        char why[WHY_MAX];
        if (name.failing) {
            snprintf(why, sizeof why, "cannot resolve %s: %s", name.host, name.why);
        } else {
            snprintf(why, sizeof why, "where %s leads to is another server already", name.host);
        }
        unresolved(b, i, why);
    }
}

int named_apply(struct control *c, char why[APPLY_WHY_MAX])
{
    if (c->draining || c->stopping) {
        return 0; /* it ends with the servers that it has */
    }
    struct config *next = next_config(c);
    int rc = next != NULL ? control_apply(c, next, why) : 0;
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (!c->config->backends[i].gone) {
            authority_take_names(c->backends[i]);
            tell_unresolved(c, c->backends[i]);
            names_known(c->backends[i]);
        }
    }
    return rc;
}
