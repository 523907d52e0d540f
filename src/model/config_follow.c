#include "model/config_follow.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"

#define NOWHERE SIZE_MAX

/* Copies that share memory ------------------------------------------------------------------ */

static struct config *holder(struct config *owner, struct config *holder)
{
    return config_ref(owner != NULL ? owner : holder);
}

static struct server_config borrow_server(const struct server_config *s, struct config *from)
{
    struct server_config copy = *s;
    copy.owner = holder(s->owner, from);
    return copy;
}

static struct frontend_config borrow_frontend(const struct frontend_config *f, struct config *from)
{
    struct frontend_config copy = *f;
    copy.owner = holder(f->owner, from);
    return copy;
}

/* The array of servers is always the copy's own, because they come and go one by one. */
static struct backend_config borrow_backend(const struct backend_config *b, struct config *from)
{
    struct backend_config copy = *b;
    copy.owner = holder(b->owner, from);
    copy.servers.items = xcalloc(b->servers.count + 1, sizeof(*copy.servers.items));
    for (size_t i = 0; i < b->servers.count; i++) {
        copy.servers.items[i] = borrow_server(&b->servers.items[i], from);
    }
    return copy;
}

struct config *config_derive(struct config *running)
{
    struct config *c = xcalloc(1, sizeof(*c));
    *c = (struct config){
        .router = running->router,
        .owner = holder(running->owner, running),
        .references = 1,
        .frontends = xcalloc(running->frontend_count + 1, sizeof(*c->frontends)),
        .frontend_count = running->frontend_count,
        .backends = xcalloc(running->backend_count + 1, sizeof(*c->backends)),
        .backend_count = running->backend_count,
        .server_count = running->server_count,
    };
    for (size_t i = 0; i < c->frontend_count; i++) {
        c->frontends[i] = borrow_frontend(&running->frontends[i], running);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        c->backends[i] = borrow_backend(&running->backends[i], running);
    }
    return c;
}

/* Edits ------------------------------------------------------------------------------------- */

static void set_texts(struct server_config *s, const char *name, const char *text, const char *host)
{
    char *own_name = xstrdup(name);
    char *own_text = xstrdup(text);
    char *own_host = host != NULL ? xstrdup(host) : NULL;
    if (s->owner != NULL) {
        config_free(s->owner);
        s->owner = NULL;
    } else {
        free(s->name);
        free(s->address_text);
        free(s->host);
    }
    s->name = own_name;
    s->address_text = own_text;
    s->host = own_host;
}

void config_set_address(struct server_config *s, const struct address *at, const char *text)
{
    set_texts(s, s->name, text, s->host);
    s->address = *at;
}

struct server_config *config_add_server(struct backend_config *b, const char *name,
                                        const struct address *at, const char *text)
{
    size_t count = b->servers.count;
    b->servers.items = xrealloc(b->servers.items, (count + 1) * sizeof(*b->servers.items));
    struct server_config *s = &b->servers.items[count];
    *s = (struct server_config){
        .address = *at,
        .weight = 1,
        .said_max_connections = b->server_max_connections,
        .id = NOWHERE,
        .rank = count > 0 ? s[-1].rank + 1 : 0,
    };
    set_texts(s, name, text, NULL);
    b->servers.count++;
    return s;
}

static void release_server(struct server_config *s)
{
    struct server_list one = {.items = xcalloc(1, sizeof(*one.items)), .count = 1};
    one.items[0] = *s;
    release_SERVER(&one);
}

void config_remove_server(struct backend_config *b, size_t server)
{
    struct server_config *s = &b->servers.items[server];
    release_server(s);
    memmove(s, s + 1, (b->servers.count - server - 1) * sizeof(*s));
    b->servers.count--;
}

/* What is the same -------------------------------------------------------------------------- */

static bool same_texts(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Every list of options begins so. */
struct any_list {
    const void *items;
    size_t count;
};

static void print_all(struct text *out, const struct option *o, const void *member)
{
    const struct any_list *list = member;
    size_t count = (o->flags & OPTION_REPEAT) != 0 ? list->count : 1;
    for (size_t i = 0; i < count; i++) {
        o->type->print(out, member, i);
        text_add(out, "\n");
    }
}

static bool same_option(const struct config *a, const struct config *b, const struct option *o,
                        size_t index)
{
    const void *one = config_member(a, o, index);
    const void *two = config_member(b, o, index);
    if (o->type->secret) {
        return same_texts(*(char *const *)one, *(char *const *)two);
    }
    struct text words = {0};
    struct text others = {0};
    print_all(&words, o, one);
    print_all(&others, o, two);
    bool same = same_texts(words.data, others.data);
    text_free(&words);
    text_free(&others);
    return same;
}

static const char *changed(const struct config *a, const struct config *b, enum section_kind kind,
                           size_t index, unsigned flag)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        if (o->kind == kind && (o->flags & flag) != 0 && !same_option(a, b, o, index)) {
            return o->key;
        }
    }
    return NULL;
}

const char *config_changed_start(const struct config *a, const struct config *b)
{
    return changed(a, b, SECTION_ROUTER, 0, OPTION_START);
}

const char *config_changed_probes(const struct config *a, const struct config *b, size_t backend)
{
    return changed(a, b, SECTION_BACKEND, backend, OPTION_ANEW);
}

bool config_same_backend(const struct backend_config *a, const struct backend_config *b)
{
    return strcmp(a->name, b->name) == 0 && a->protocol == b->protocol && a->probe == b->probe &&
           a->mysql_topology == b->mysql_topology &&
           (a->http_check.method == NULL) == (b->http_check.method == NULL);
}

bool config_same_server(const struct server_config *a, const struct server_config *b)
{
    return strcmp(a->name, b->name) == 0 && address_equal(&a->address, &b->address);
}

/* Positions --------------------------------------------------------------------------------- */

struct follow {
    struct config *next;
    struct config *running;
    const struct config_usage *usage;
    size_t *backend_at; /* owned: where each backend of `next` goes */
    bool *id_taken;     /* owned */
};

/* The first of `count` places that is free, or the one behind them. */
static size_t first_free(const bool *taken, size_t count)
{
    size_t at = 0;
    while (at < count && taken[at]) {
        at++;
    }
    return at;
}

/* Who comes back finds its place before those who are new look for one. */
static void keep_place(bool *taken, bool gone, size_t at)
{
    if (!gone && at != NOWHERE) {
        taken[at] = true;
    }
}

static size_t find_frontend(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->frontend_count; i++) {
        if (strcmp(c->frontends[i].name, name) == 0) {
            return i;
        }
    }
    return NOWHERE;
}

static void follow_frontends(struct follow *f)
{
    struct config *next = f->next;
    struct config *old = f->running;
    size_t max = old->frontend_count + next->frontend_count;
    struct frontend_config *out = xcalloc(max + 1, sizeof(*out));
    bool *taken = xcalloc(max + 1, sizeof(*taken));
    size_t count = old->frontend_count;
    for (size_t i = 0; i < old->frontend_count; i++) {
        const struct frontend_config *r = &old->frontends[i];
        taken[i] = !r->gone || f->usage->frontend(f->usage->context, i);
        out[i] = borrow_frontend(r, old);
        out[i].gone = true;
    }
    for (size_t i = 0; i < next->frontend_count; i++) {
        keep_place(taken, next->frontends[i].gone, find_frontend(old, next->frontends[i].name));
    }
    for (size_t i = 0; i < next->frontend_count; i++) {
        struct frontend_config *n = &next->frontends[i];
        if (n->gone) {
            config_free(n->owner); /* `next` was derived: what is gone is there already */
            continue;
        }
        size_t at = find_frontend(old, n->name);
        at = at != NOWHERE ? at : first_free(taken, count);
        taken[at] = true;
        count = at == count ? count + 1 : count;
        config_free(out[at].owner);
        out[at] = *n;
        out[at].index = at;
    }
    free(taken);
    free(next->frontends);
    next->frontends = out;
    next->frontend_count = count;
}

/* Sessions of a frontend that is gone may be at their edge still, and find their way by its rules.
 */
static bool leads_there(const struct follow *f, size_t backend)
{
    for (size_t i = 0; i < f->running->frontend_count; i++) {
        const struct frontend_config *own = &f->running->frontends[i];
        bool used = !own->gone || f->usage->frontend(f->usage->context, i);
        if (used && f->next->frontends[i].gone && config_uses_backend(own, backend)) {
            return true;
        }
    }
    return false;
}

static bool backend_is_used(const struct follow *f, size_t index)
{
    const struct config_usage *u = f->usage;
    const struct server_list *servers = &f->running->backends[index].servers;
    bool used = u->backend(u->context, index) || leads_there(f, index);
    for (size_t i = 0; i < servers->count && !used; i++) {
        used = u->server(u->context, servers->items[i].id);
    }
    return used;
}

static size_t find_backend(const struct config *c, const struct backend_config *like)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        if (config_same_backend(&c->backends[i], like)) {
            return i;
        }
    }
    return NOWHERE;
}

static size_t find_server(const struct backend_config *b, const struct server_config *like)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        const struct server_config *s = &b->servers.items[i];
        bool unresolved = !s->gone && !address_is_set(&s->address) && !like->gone;
        if (config_same_server(s, like) || (unresolved && strcmp(s->name, like->name) == 0)) {
            return i; /* nobody was ever there while its name led nowhere */
        }
    }
    return NOWHERE;
}

/* `n` takes the place of `r`, which is the same backend. */
static void follow_servers(struct follow *f, struct backend_config *n,
                           const struct backend_config *r)
{
    size_t max = r->servers.count + n->servers.count;
    struct server_config *out = xcalloc(max + 1, sizeof(*out));
    bool *taken = xcalloc(max + 1, sizeof(*taken));
    size_t count = r->servers.count;
    for (size_t i = 0; i < r->servers.count; i++) {
        const struct server_config *s = &r->servers.items[i];
        taken[i] = !s->gone || f->usage->server(f->usage->context, s->id);
        out[i] = borrow_server(s, f->running);
        out[i].gone = true;
    }
    for (size_t i = 0; i < n->servers.count; i++) {
        keep_place(taken, n->servers.items[i].gone, find_server(r, &n->servers.items[i]));
    }
    for (size_t i = 0; i < n->servers.count; i++) {
        struct server_config *s = &n->servers.items[i];
        if (s->gone) {
            release_server(s);
            continue;
        }
        size_t at = find_server(r, s);
        size_t id = at != NOWHERE ? r->servers.items[at].id : NOWHERE;
        at = at != NOWHERE ? at : first_free(taken, count);
        taken[at] = true;
        count = at == count ? count + 1 : count;
        if (out[at].owner != NULL) {
            release_server(&out[at]);
        }
        out[at] = *s;
        out[at].id = id;
    }
    free(taken);
    free(n->servers.items);
    n->servers = (struct server_list){out, count};
}

/* All of its servers are new. */
static void forget_ids(struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        b->servers.items[i].id = NOWHERE;
    }
}

static void drop_backend(struct backend_config *b)
{
    release_SERVER(&b->servers);
    config_free(b->owner);
}

static void follow_backends(struct follow *f)
{
    struct config *next = f->next;
    struct config *old = f->running;
    size_t max = old->backend_count + next->backend_count;
    struct backend_config *out = xcalloc(max + 1, sizeof(*out));
    bool *taken = xcalloc(max + 1, sizeof(*taken));
    size_t count = old->backend_count;
    for (size_t i = 0; i < old->backend_count; i++) {
        taken[i] = !old->backends[i].gone || backend_is_used(f, i);
        out[i] = borrow_backend(&old->backends[i], old);
        out[i].gone = true;
    }
    for (size_t i = 0; i < next->backend_count; i++) {
        keep_place(taken, next->backends[i].gone, find_backend(old, &next->backends[i]));
    }
    for (size_t i = 0; i < next->backend_count; i++) {
        struct backend_config *n = &next->backends[i];
        f->backend_at[i] = n->gone ? i : find_backend(old, n);
        if (n->gone) {
            drop_backend(n);
            continue;
        }
        if (f->backend_at[i] != NOWHERE) {
            follow_servers(f, n, &old->backends[f->backend_at[i]]);
        } else {
            f->backend_at[i] = first_free(taken, count);
            forget_ids(n);
        }
        size_t at = f->backend_at[i];
        taken[at] = true;
        count = at == count ? count + 1 : count;
        if (out[at].owner != NULL) {
            drop_backend(&out[at]);
        }
        out[at] = *n;
        out[at].index = at;
    }
    free(taken);
    free(next->backends);
    next->backends = out;
    next->backend_count = count;
}

/* New servers get ids that nobody has. */
static void give_ids(struct follow *f)
{
    struct config *next = f->next;
    size_t count = f->running->server_count;
    size_t fresh = 0;
    for (size_t i = 0; i < next->backend_count; i++) {
        fresh += next->backends[i].servers.count;
    }
    f->id_taken = xcalloc(count + fresh + 1, sizeof(*f->id_taken));
    for (size_t i = 0; i < next->backend_count; i++) {
        for (size_t j = 0; j < next->backends[i].servers.count; j++) {
            size_t id = next->backends[i].servers.items[j].id;
            if (id != NOWHERE) {
                f->id_taken[id] = true;
            }
        }
    }
    for (size_t i = 0; i < next->backend_count; i++) {
        for (size_t j = 0; j < next->backends[i].servers.count; j++) {
            struct server_config *s = &next->backends[i].servers.items[j];
            if (s->id == NOWHERE) {
                s->id = first_free(f->id_taken, count);
                f->id_taken[s->id] = true;
                count = s->id == count ? count + 1 : count;
            }
        }
    }
    next->server_count = count;
}

/* What is gone knows where its backends are; shared rules say so already. */
static void set_backends(const struct follow *f, struct frontend_config *own)
{
    own->backend = f->backend_at[own->backend];
    for (size_t i = 0; i < own->sni.count; i++) {
        struct sni_rule *rule = &own->sni.items[i];
        if (rule->backend != f->backend_at[rule->backend]) {
            assert(own->owner == NULL);
            rule->backend = f->backend_at[rule->backend];
        }
    }
}

void config_follow(struct config *next, struct config *running, const struct config_usage *usage)
{
    struct follow f = {
        .next = next,
        .running = running,
        .usage = usage,
        .backend_at = xcalloc(next->backend_count + 1, sizeof(size_t)),
    };
    follow_frontends(&f);
    follow_backends(&f);
    give_ids(&f);
    for (size_t i = 0; i < next->frontend_count; i++) {
        if (!next->frontends[i].gone) {
            set_backends(&f, &next->frontends[i]);
        }
    }
    config_cap_servers(next);
    free(f.backend_at);
    free(f.id_taken);
}
