#include "import/fronts.h"

#include <string.h>

#include "import/global.h"
#include "import/rule.h"

/* Rules that lead to backends ---------------------------------------------------------------------
 */

/* Whether the test asks how many servers of a backend are up, and which backend that is. */
static struct part *asks_for(const struct parts *parts, const struct proxy *p, const struct test *t)
{
    struct source *s = p->source;
    bool counts = strcmp(t->fetch, "nbsrv") == 0;
    if (!counts && strcmp(t->fetch, "srv_is_up") != 0) {
        return NULL;
    }
    size_t len = strcspn(t->argument, "/");
    bool own = t->argument[0] == '\0' || (!counts && t->argument[len] == '\0');
    return own ? parts_of(parts, p) : parts_find(parts, arena_copy(&s->arena, t->argument, len));
}

/* Whether nothing but that is asked in these tests. The Sentinels among those who are asked watch
 * `target`. */
static bool asks_only(struct parts *parts, const struct proxy *p, const struct conjunction *tests,
                      struct part *target, bool *sentinels)
{
    for (size_t i = 0; i < tests->count; i++) {
        struct part *asked = asks_for(parts, p, &tests->tests[i]);
        if (asked == NULL) {
            return false;
        }
        bool sentinel = asked->check.kind == CHECK_SENTINEL;
        *sentinels = *sentinels || sentinel;
        if (sentinel && target != NULL) {
            parts_watch(parts, target, asked);
        }
    }
    return true;
}

static bool asks_servers_only(struct parts *parts, const struct proxy *p, const struct condition *c,
                              struct part *target, bool *sentinels)
{
    bool only = c->understood && c->count > 0;
    *sentinels = false;
    for (size_t i = 0; only && i < c->count; i++) {
        only = asks_only(parts, p, &c->items[i], target, sentinels);
    }
    return only;
}

/* Sentinels say who is written to, whatever the servers' own check is. */
static void make_primary(struct part *part)
{
    part->protocol = "redis";
    part->roles = true;
    part->route = "primary";
    if (part->check.kind != CHECK_REDIS_ROLE) {
        part->check.kind = CHECK_REDIS_ROLE;
        part->check.wants = CHECK_WANTS_PRIMARY;
    }
}

/* Where the clients go that this rule is about, beside those who are there already. */
static bool add_target(struct parts *parts, struct front *f, struct line *l, struct part *target,
                       bool sentinels)
{
    if (f->part == NULL || f->part == target) {
        f->part = target;
        return true;
    }
    bool same = f->part->roles && target->roles && strcmp(f->part->protocol, target->protocol) == 0;
    if (sentinels || (same && strcmp(f->part->route, target->route) == 0)) {
        parts_join(parts, f->part, target);
        return true;
    }
    line_mark(parts->plan->source, l, VERDICT_LOST, "%s: clients of a frontend have one backend",
              target->proxy->section->name);
    return false;
}

static void read_rule(struct parts *parts, struct front *f, struct line *l)
{
    struct plan *plan = parts->plan;
    const struct word *name = line_argument(l, 0);
    struct part *target = name != NULL ? parts_find(parts, name->text) : NULL;
    struct condition c;
    condition_read(f->proxy, l, 1, &c);
    bool sentinels = false;
    bool servers = c.count > 0 && asks_servers_only(parts, f->proxy, &c, target, &sentinels);
    if (target == NULL || (c.count > 0 && !servers)) {
        return; /* by name (SNI), or lost: nobody else claims it */
    }
    if (sentinels) {
        make_primary(target);
    }
    if (add_target(parts, f, l, target, sentinels)) {
        target->used = true;
        line_mark(plan->source, l, VERDICT_KEPT, NULL);
        condition_claim(f->proxy, &c, VERDICT_KEPT);
    }
}

/* `use-server R1 if { srv_is_up(R1) } { nbsrv(sentinels_of_R1) ge 2 }`: Sentinels choose. */
static void read_use_server(struct parts *parts, struct part *part)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(part->proxy, "use-server", &at)) != NULL;) {
        struct condition c;
        bool sentinels = false;
        condition_read(part->proxy, l, 1, &c);
        bool servers = asks_servers_only(parts, part->proxy, &c, part, &sentinels);
        if (servers && sentinels) {
            make_primary(part);
        }
        if (servers) {
            line_mark(parts->plan->source, l, VERDICT_KEPT, NULL);
            condition_claim(part->proxy, &c, VERDICT_KEPT);
        }
    }
}

/* Who names no host, or one that no rule knows, must be served by somebody. */
static void choose_default(struct parts *parts, struct front *f)
{
    for (size_t i = 0; f->part == NULL && i < f->sni.count; i++) {
        f->part = parts_find(parts, f->sni.entries[i].backend);
    }
    if (f->part != NULL) {
        line_mark(parts->plan->source, f->proxy->section->header, VERDICT_DIFFERENCE,
                  "clients of other names are served by %s, not refused",
                  f->part->proxy->section->name);
    }
}

/* The backend for all whom no rule is about; behind rules, who is served when they do not hold. */
static void read_default(struct parts *parts, struct front *f)
{
    struct line *l = proxy_find(f->proxy, "default_backend");
    struct part *own = parts_of(parts, f->proxy);
    struct part *target = own;
    const char *name = f->sni.otherwise;
    if (name == NULL && l != NULL && line_argument(l, 0) != NULL) {
        name = line_argument(l, 0)->text;
    }
    struct part *named = name != NULL ? parts_find(parts, name) : NULL;
    target = named != NULL ? named : own;
    if (target == NULL && f->part == NULL) {
        choose_default(parts, f);
    }
    if (target == NULL) {
        return;
    }
    bool replica = f->part != NULL && f->part->roles && target->roles &&
                   strcmp(f->part->route, "replica") == 0 && strcmp(target->route, "primary") == 0;
    if (replica) {
        f->fallback = "primary";
        parts_join(parts, f->part, target);
    } else if (!add_target(parts, f, l != NULL ? l : f->proxy->section->header, target, false)) {
        return;
    }
    target->used = true;
    if (l != NULL) {
        line_mark(parts->plan->source, l, VERDICT_KEPT, NULL);
    }
}

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

void fronts_make(const struct proxies *all, struct parts *parts, struct fronts *out)
{
    struct source *s = parts->plan->source;
    *out = (struct fronts){0};
    out->items = arena_take(&s->arena, (all->count + 1) * sizeof *out->items);
    for (size_t i = 0; i < parts->count; i++) {
        read_use_server(parts, &parts->items[i]);
    }
    for (size_t i = 0; i < all->count; i++) {
        struct proxy *p = &all->items[i];
        size_t at = 0;
        conditions_settle(p);
        if (!p->front || proxy_next(p, "bind", &at) == NULL || stats_only(p, parts)) {
            continue;
        }
        struct front *f = &out->items[out->count++];
        *f = (struct front){.proxy = p};
        read_names(parts, f);
        access_read(p, f->sni.count > 0, &f->access);
        at = 0;
        for (struct line *l; (l = proxy_next(p, "use_backend", &at)) != NULL;) {
            read_rule(parts, f, l);
        }
        read_default(parts, f);
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
