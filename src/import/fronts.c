#include "import/fronts.h"

#include <string.h>

#include "import/global.h"
#include "import/leads.h"
#include "import/rule.h"

/* Backends that are chosen by the name in the TLS hello. */
static void read_names(struct parts *parts, struct front *f)
{
    sni_read(f->proxy, &f->sni);
    for (size_t i = 0; i < f->sni.count; i++) {
        struct part *part = parts_find(parts, f->sni.entries[i].backend);
        if (part != NULL) {
            part->used = true;
        }
    }
}

/* Backends have such rules too, which router asks of frontends only. */
static void read_backend_rules(const struct part *part)
{
    struct sni sni;
    struct access access;
    if (part->used && !part->proxy->front) {
        sni_read(part->proxy, &sni);
        access_read(part->proxy, false, &access);
    }
}

void fronts_make(const struct proxies *all, struct parts *parts, struct fronts *out)
{
    struct source *s = parts->plan->source;
    *out = (struct fronts){0};
    out->items = arena_take(&s->arena, (all->count + 1) * sizeof *out->items);
    for (size_t i = 0; i < parts->count; i++) {
        leads_use_server(parts, &parts->items[i]);
    }
    for (size_t i = 0; i < all->count; i++) {
        struct proxy *p = &all->items[i];
        size_t at = 0;
        conditions_settle(p);
        if (p->front && !p->disabled && proxy_next(p, "bind", &at) != NULL &&
            !stats_only(p, parts)) {
            struct front *f = &out->items[out->count++];
            *f = (struct front){.proxy = p};
            read_names(parts, f);
            access_read(p, f->sni.count > 0, &f->access);
            leads_default(parts, f);
        }
    }
    for (size_t i = 0; i < out->count; i++) {
        leads_rules(parts, &out->items[i]);
    }
    for (size_t i = 0; i < parts->count; i++) {
        read_backend_rules(&parts->items[i]);
    }
}

/* What a frontend's lines say
 * ---------------------------------------------------------------------- */

static long long timeout_of(const struct proxy *p, const char *keyword, struct line **l)
{
    *l = p != NULL ? proxy_find(p, keyword) : NULL;
    const struct word *w = *l != NULL ? line_argument(*l, 0) : NULL;
    return w != NULL ? word_milliseconds(w, 1000) : -1;
}

/* HAProxy has one for each side; router closes when neither side said anything. */
static void write_idle(struct plan *plan, const struct front *f)
{
    const struct proxy *back = f->part != NULL ? f->part->proxy : NULL;
    struct line *client_line;
    struct line *server_line;
    struct line *tunnel_line;
    long long client = timeout_of(f->proxy, "timeout client", &client_line);
    long long server = timeout_of(back, "timeout server", &server_line);
    long long tunnel = timeout_of(back, "timeout tunnel", &tunnel_line);
    bool by_server = server > 0 && (client <= 0 || server < client);
    long long ms = tunnel > 0 ? tunnel : by_server ? server : client;
    struct line *by = tunnel > 0 ? tunnel_line : by_server ? server_line : client_line;
    struct line *all[] = {client_line, server_line, tunnel_line};
    if (ms > 0) {
        plan_set_duration(plan, f->section, "idle_timeout", ms, by);
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] == NULL || (all[i] == by && ms > 0)) {
            continue;
        }
        long long other = word_milliseconds(line_argument(all[i], 0), 1000);
        line_mark(plan->source, all[i],
                  tunnel > 0 || other == ms || ms <= 0 ? VERDICT_KEPT : VERDICT_DIFFERENCE, "%s",
                  tunnel > 0 || other == ms || ms <= 0
                      ? ""
                      : "idle_timeout is the smaller of client and server");
    }
}

static void write_maxconn(struct plan *plan, const struct front *f)
{
    struct line *l = proxy_find(f->proxy, "maxconn");
    const struct word *w = l != NULL ? line_argument(l, 0) : NULL;
    long long n = w != NULL ? word_number(w, 0, 100000000) : -1;
    if (n > 0) {
        plan_set_number(plan, f->section, "max_sessions", n, l);
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "who comes beyond it is refused, not left waiting");
    }
    l = proxy_find(f->proxy, "rate-limit sessions");
    n = l != NULL && line_argument(l, 0) != NULL ? word_number(line_argument(l, 0), 0, 100000000)
                                                 : -1;
    if (n > 0) {
        plan_set_number(plan, f->section, "session_rate", n, l);
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "who comes beyond it is refused, not left waiting");
    }
}

static void write_route(struct plan *plan, const struct front *f)
{
    const char *route = f->part->route;
    bool single = f->part->next == f->part && f->part->servers.count == 1 &&
                  !f->part->servers.items[0].template;
    if (route == NULL || (single && strcmp(route, "primary") == 0)) {
        return; /* which other one? */
    }
    plan_set_text(plan, f->section, "route", route, NULL);
    if (strcmp(route, "replica") == 0) {
        bool none = f->fallback == NULL && f->part->readers_only;
        plan_set_text(plan, f->section, "fallback", none ? "none" : "primary", NULL);
    }
}

static void write_names(struct plan *plan, const struct front *f, const struct parts *parts)
{
    for (size_t i = 0; i < f->sni.count; i++) {
        const struct sni_entry *e = &f->sni.entries[i];
        const struct part *part = parts_find(parts, e->backend);
        if (part == NULL || part->section == NULL) {
            line_mark(plan->source, e->line, VERDICT_LOST, "%s: it has no server", e->backend);
            continue;
        }
        struct word name = word_of(plan->source, part->section->name);
        plan_add(plan, f->section, "sni", word_join(plan->source, &e->host, " ", &name), e->line);
    }
    if (f->sni.count > 0 && f->sni.handshake_ms > 0) {
        plan_set_duration(plan, f->section, "handshake_timeout", f->sni.handshake_ms,
                          f->sni.handshake_line);
    }
}

/* With PROXY headers allow is about who sends them: rules on connections are, others are not. */
static void write_access(struct plan *plan, const struct front *f, bool proxied)
{
    const struct access *a = &f->access;
    for (size_t i = 0; i < a->count; i++) {
        const struct access_entry *e = &a->entries[i];
        if (proxied && e->allow && !word_is(&e->line->words[1], "connection")) {
            line_mark(plan->source, e->line, VERDICT_LOST,
                      "with accept_proxy allow is about who sends the headers");
        } else {
            plan_add(plan, f->section, e->allow ? "allow" : "deny", e->range, e->line);
        }
    }
    if (a->session_rate_per_ip > 0) {
        plan_set_number(plan, f->section, "session_rate_per_ip", a->session_rate_per_ip,
                        a->session_rate_line);
    }
    if (a->max_sessions_per_ip > 0) {
        plan_set_number(plan, f->section, "max_sessions_per_ip", a->max_sessions_per_ip,
                        a->max_sessions_line);
    }
}

/* One frontend of router's: TLS and PROXY headers are matters of all its addresses. NULL: none of
 * them is left. */
static struct plan_section *write_section(struct parts *parts, struct front *f, unsigned kind)
{
    struct plan *plan = parts->plan;
    f->section = plan_add_section(plan, PLAN_FRONTEND, f->proxy->section->name);
    plan_add_source(plan, f->section, f->proxy->section);
    write_access(plan, f, (kind & BIND_PROXIED) != 0);
    bind_write(plan, f->section, f, kind);
    if (plan_find(f->section, "bind") == NULL) {
        plan_drop_section(plan, f->section);
        return NULL;
    }
    plan_set_text(plan, f->section, "backend", f->part->section->name, NULL);
    write_route(plan, f);
    write_names(plan, f, parts);
    write_maxconn(plan, f);
    write_idle(plan, f);
    return f->section;
}

static void write_front(struct parts *parts, struct front *f)
{
    struct plan_section *first = NULL;
    unsigned tried = 0; /* a bit for each kind */
    size_t at = 0;
    for (struct line *l; (l = proxy_next(f->proxy, "bind", &at)) != NULL;) {
        unsigned kind = bind_kind(parts->plan->source, l);
        if ((tried & (1u << kind)) == 0) {
            struct plan_section *section = write_section(parts, f, kind);
            first = first != NULL ? first : section;
            tried |= 1u << kind;
        }
    }
    f->section = first;
    line_mark(parts->plan->source, f->proxy->section->header,
              first != NULL ? VERDICT_KEPT : VERDICT_LOST, "%s",
              first != NULL ? "" : "it has no address left to listen at");
}

void fronts_write(struct fronts *all, struct parts *parts)
{
    for (size_t i = 0; i < all->count; i++) {
        struct front *f = &all->items[i];
        if (f->part != NULL && f->part->section != NULL) {
            write_front(parts, f);
        } else {
            line_mark(parts->plan->source, f->proxy->section->header, VERDICT_LOST,
                      "no backend is left that serves its clients");
        }
    }
}
