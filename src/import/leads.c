#include "import/leads.h"

#include <stdlib.h>
#include <string.h>

#include "import/rule.h"

/* What a condition asks ---------------------------------------------------------------------------
 */

/* When it holds: while the backend has servers, or while it has none. */
enum when { WHEN_NEITHER, WHEN_UP, WHEN_DOWN };

/* Which backend a test asks for its servers; NULL: it asks something else. */
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

static enum when when_of(const struct test *t)
{
    if (strcmp(t->fetch, "srv_is_up") == 0) {
        return t->negated ? WHEN_DOWN : WHEN_UP;
    }
    if (t->value_count != 1) {
        return WHEN_NEITHER;
    }
    long long n = word_number(&t->values[0], 0, 1000000);
    bool up = (strcmp(t->comparison, "ge") == 0 && n == 1) ||
              (strcmp(t->comparison, "gt") == 0 && n == 0);
    bool down = (strcmp(t->comparison, "lt") == 0 && n == 1) ||
                (strcmp(t->comparison, "le") == 0 && n == 0) ||
                ((strcmp(t->comparison, "eq") == 0 || t->comparison[0] == '\0') && n == 0);
    return up     ? (t->negated ? WHEN_DOWN : WHEN_UP)
           : down ? (t->negated ? WHEN_UP : WHEN_DOWN)
                  : WHEN_NEITHER;
}

/* What a rule asks, if it asks for nothing but servers. */
struct question {
    bool servers;       /* it does */
    bool sentinels;     /* some of them are Sentinels */
    struct part *about; /* the one backend that it is about; NULL: several */
    enum when when;     /* of that one */
};

static void ask_test(struct parts *parts, const struct proxy *p, const struct test *t,
                     struct question *q, bool first)
{
    struct part *asked = asks_for(parts, p, t);
    q->servers = q->servers && asked != NULL;
    if (asked == NULL) {
        return;
    }
    enum when when = when_of(t);
    q->sentinels = q->sentinels || asked->check.kind == CHECK_SENTINEL;
    q->about = first || q->about == asked ? asked : NULL;
    q->when = first || q->when == when ? when : WHEN_NEITHER;
}

static struct question ask(struct parts *parts, const struct proxy *p, const struct condition *c)
{
    struct question q = {.servers = c->understood && c->count > 0};
    for (size_t i = 0; c->understood && i < c->count; i++) {
        for (size_t k = 0; k < c->items[i].count; k++) {
            ask_test(parts, p, &c->items[i].tests[k], &q, i + k == 0);
        }
    }
    q.when = c->count == 1 ? q.when : WHEN_NEITHER;
    return q;
}

/* The Sentinels that a condition asks decide about this one. */
static void watch(struct parts *parts, const struct proxy *p, const struct condition *c,
                  struct part *of)
{
    for (size_t i = 0; i < c->count; i++) {
        for (size_t k = 0; k < c->items[i].count; k++) {
            struct part *asked = asks_for(parts, p, &c->items[i].tests[k]);
            if (asked != NULL && asked->check.kind == CHECK_SENTINEL) {
                parts_watch(parts, of, asked);
            }
        }
    }
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

/* Rules -------------------------------------------------------------------------------------------
 */

static bool by_sentinels(struct parts *parts, struct front *f, const struct condition *c,
                         struct part *target)
{
    make_primary(target);
    watch(parts, f->proxy, c, target);
    if (f->part != NULL && f->part != target) {
        make_primary(f->part);
        parts_join(parts, f->part, target);
    }
    f->part = f->part != NULL ? f->part : target;
    return true;
}

/* Only this frontend leads there. */
static bool is_own(const struct front *f, const struct part *part)
{
    return part->uses == (f->part == part ? 1u : 0u);
}

/* `first` serves while it has servers, `then` when it has none. */
static bool fall_back(struct parts *parts, struct front *f, struct part *first, struct part *then)
{
    bool alike = strcmp(first->protocol, then->protocol) == 0 && first->roles == then->roles;
    if (!alike) {
        return false;
    }
    if (first->roles) {
        bool readers = strcmp(first->route, "replica") == 0 && strcmp(then->route, "primary") == 0;
        bool writers = strcmp(first->route, "primary") == 0;
        if (!readers && !writers) {
            return false;
        }
        f->fallback = readers ? "primary" : NULL;
        f->waits = writers;
    } else if (is_own(f, first) && is_own(f, then)) {
        then->stands_in = true;
    } else {
        return false;
    }
    parts_join(parts, first, then);
    f->part = first;
    return true;
}

static bool say_rule(struct parts *parts, struct front *f, const struct condition *c,
                     struct part *target)
{
    struct question q = ask(parts, f->proxy, c);
    if (q.servers && q.sentinels) {
        return by_sentinels(parts, f, c, target);
    }
    if (!q.servers || f->part == NULL || f->part == target) {
        return false;
    }
    if (q.about == target && q.when == WHEN_UP) {
        return fall_back(parts, f, target, f->part);
    }
    return q.about == f->part && q.when == WHEN_DOWN && fall_back(parts, f, f->part, target);
}

void leads_rules(struct parts *parts, struct front *f)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(f->proxy, "use_backend", &at)) != NULL;) {
        const struct word *name = line_argument(l, 0);
        struct part *target = name != NULL ? parts_find(parts, name->text) : NULL;
        struct condition c;
        condition_read(f->proxy, l, 1, &c);
        if (target != NULL && c.count > 0 && say_rule(parts, f, &c, target)) {
            target->used = true;
            line_mark(parts->plan->source, l, f->waits ? VERDICT_DIFFERENCE : VERDICT_KEPT, "%s",
                      f->waits ? "clients wait for the primary: no replica is written to" : "");
            condition_claim(f->proxy, &c, VERDICT_KEPT);
        }
    }
}

void leads_use_server(struct parts *parts, struct part *part)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(part->proxy, "use-server", &at)) != NULL;) {
        struct condition c;
        condition_read(part->proxy, l, 1, &c);
        struct question q = ask(parts, part->proxy, &c);
        if (q.servers && q.sentinels) {
            make_primary(part);
            watch(parts, part->proxy, &c, part);
            line_mark(parts->plan->source, l, VERDICT_KEPT, NULL);
            condition_claim(part->proxy, &c, VERDICT_KEPT);
        }
    }
}

/* By default --------------------------------------------------------------------------------------
 */

/* The first rule without a condition ends the search. */
static struct line *unconditional(const struct front *f)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(f->proxy, "use_backend", &at)) != NULL;) {
        if (line_argument(l, 0) != NULL && line_argument(l, 1) == NULL &&
            strstr(line_argument(l, 0)->text, "%[") == NULL) {
            return l;
        }
    }
    return NULL;
}

/* Who names no host, or one that no rule knows, must be served by somebody. */
static struct part *choose_by_name(struct parts *parts, struct front *f)
{
    struct part *part = NULL;
    for (size_t i = 0; part == NULL && i < f->sni.count; i++) {
        part = parts_find(parts, f->sni.entries[i].backend);
    }
    if (part != NULL) {
        line_mark(parts->plan->source, f->proxy->section->header, VERDICT_DIFFERENCE,
                  "clients of other names are served by %s, not refused",
                  part->proxy->section->name);
    }
    return part;
}

void leads_default(struct parts *parts, struct front *f)
{
    struct line *l = unconditional(f);
    l = l != NULL ? l : proxy_find(f->proxy, "default_backend");
    const char *name = f->sni.otherwise;
    if (name == NULL && l != NULL && line_argument(l, 0) != NULL) {
        name = line_argument(l, 0)->text;
    }
    struct part *part = name != NULL ? parts_find(parts, name) : NULL;
    part = part != NULL ? part : parts_of(parts, f->proxy);
    part = part != NULL ? part : choose_by_name(parts, f);
    if (part == NULL) {
        return;
    }
    f->part = part;
    part->used = true;
    part->uses++;
    if (l != NULL) {
        line_mark(parts->plan->source, l, VERDICT_KEPT, NULL);
    }
}
