/* Which link serves whom. A link is made for an identity; of one user that the router cannot log in
 * as, there are only those links on which clients have logged in, and these go from one database to
 * another. */
#include "core/pool.h"

#include <stdlib.h>

#include "base/macros.h"
#include "core/credential.h"
#include "core/pool_seen.h"
#include "core/session.h"
#include "net/mailbox.h"

#define ABANDONED_MAX 64  /* idle links to a server, of users without clients */
#define SHARED_MAX    256 /* shared links to a server, of all identities, with pool_size = auto */
#define BUSY          512 /* commands in flight on a shared link, before another one is opened */

bool identity_is(const struct identity *a, const struct identity *b)
{
    return a->credential == b->credential && a->database == b->database && a->resp == b->resp;
}

static struct worker_server *server_of(const struct pool *p)
{
    size_t id = p->worker->config->backends[p->backend].servers.items[p->server].id;
    return p->worker->servers[id];
}

/* Pools ------------------------------------------------------------------------------------- */

struct pool *pool_get(struct worker *w, size_t backend, size_t server, const struct identity *id)
{
    struct worker_server *ws = w->servers[w->config->backends[backend].servers.items[server].id];
    LIST_EACH(it, &ws->pools)
    {
        struct pool *p = container_of(it, struct pool, node);
        if (identity_is(&p->identity, id)) {
            return p;
        }
    }
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    *p = (struct pool){.worker = w, .backend = backend, .server = server, .identity = *id};
    credential_ref(id->credential);
    list_init(&p->shared);
    list_init(&p->idle);
    list_append(&ws->pools, &p->node);
    return p;
}

void pool_maybe_free(struct pool *p)
{
    if (p->users > 0 || p->links > 0) {
        return;
    }
    list_remove(&p->node);
    credential_unref(p->identity.credential);
    free(p->refusal);
    free(p);
}

void pool_leave(struct pool *p)
{
    if (p != NULL) {
        p->users--;
        pool_maybe_free(p);
    }
}

/* Shared ------------------------------------------------------------------------------------ */

static void share(struct pool_link *l)
{
    if (server_of(l->pool)->shared_links >= SHARED_MAX) {
        pool_make_room(l->pool);
    }
    if (l->reset_due) {
        link_reset_first(l);
    }
    list_remove(&l->at);
    link_arm(l, &l->worker->backends[l->pool->backend]->link_idle);
    l->use = LINK_SHARED;
    list_append(&l->pool->shared, &l->at);
    l->pool->shared_count++;
    server_of(l->pool)->shared_links++;
    link_seen(l);
}

/* The first one that is not busy, so that a turn's commands leave in one write rather than in two;
 * a server answers one after the other anyway. Else the least busy. */
static struct pool_link *least_busy(struct pool *p)
{
    struct pool_link *best = NULL;
    LIST_EACH(it, &p->shared)
    {
        struct pool_link *l = container_of(it, struct pool_link, at);
        if (link_is_full(l)) {
            continue;
        }
        if (l->flights.count <= BUSY) {
            return l;
        }
        if (best == NULL || l->flights.count < best->flights.count) {
            best = l;
        }
    }
    return best;
}

enum pool_answer pool_share(struct pool *p, struct pool_link **link)
{
    struct pool_link *best = least_busy(p);
    if (UNLIKELY(best == NULL || best->flights.count > BUSY)) {
        bool more = pool_may_share_more(p);
        if (!more && p->shared_count + p->opening == 0) { /* one it may have in any case */
            pool_make_room(p);
            more = true;
        }
        if (more && !list_empty(&p->idle)) {
            best = container_of(p->idle.next, struct pool_link, at);
            share(best);
        } else if (more && p->refusal == NULL && !pool_take_unused(p, false)) {
            pool_open_link(p, false, false);
        }
    }
    if (best != NULL) {
        *link = best;
        return POOL_READY;
    }
    return p->refusal != NULL ? POOL_REFUSED : pool_do_without(p);
}

/* Lent -------------------------------------------------------------------------------------- */

static void lend(struct pool_link *l, struct pooled *to)
{
    list_remove(&l->at);
    link_arm(l, NULL);
    l->use = LINK_LENT;
    l->lessee = to;
    l->leases++;
    _Atomic uint64_t *backend = l->worker->metrics.backends[l->pool->backend]->at;
    metric_add(&backend[BACKEND_POOL_LEASES], 1);
    metric_add(&backend[BACKEND_POOL_REUSED], l->leases > 1 || l->commands > 0);
    metric_add(&l->counters->at[SERVER_POOL_REUSED], l->leases > 1 || l->commands > 0);
    link_seen(l);
}

/* Of a user that we cannot log in as there are as many links as clients: one that is shared may be
 * taken by who needs one alone. */
static struct pool_link *take_shared(struct pool *p)
{
    struct pool_link *l = least_busy(p);
    if (l == NULL || l->flights.count > 0 ||
        credential_is_ours(p->worker, p->backend, p->identity.credential)) {
        return NULL;
    }
    p->shared_count--;
    server_of(p)->shared_links--;
    return l;
}

enum pool_answer pool_lend(struct pool *p, struct pooled *to, struct pool_link **link)
{
    struct pool_link *l =
        list_empty(&p->idle) ? take_shared(p) : container_of(p->idle.next, struct pool_link, at);
    if (l != NULL && !link_renew_nobody(l, l->leases > 0)) {
        link_close(l);
        return POOL_LATER;
    }
    if (l != NULL) {
        lend(l, to);
        *link = l;
        return POOL_READY;
    }
    if (p->refusal != NULL) {
        return POOL_REFUSED;
    }
    if (p->opening <= p->waiting && !pool_take_unused(p, true)) {
        pool_open_link(p, true, to->session_mode);
    }
    return p->opening > 0 ? POOL_LATER : pool_do_without(p);
}

static bool is_full(const struct worker *w, const struct server_config *s)
{
    return s->max_connections > 0 &&
           atomic_load(&w->shared->servers[s->id]->connections) >= s->max_connections;
}

struct pool_link *pool_find_login(struct worker *w, size_t backend, size_t server,
                                  const struct credential *c, uint8_t resp)
{
    const struct server_config *config = &w->config->backends[backend].servers.items[server];
    struct pool_link *found = NULL;
    unsigned links = 0;
    LIST_EACH(it, &w->servers[config->id]->pool_links)
    {
        struct pool_link *l = container_of(it, struct pool_link, node);
        bool of_user = l->pool->identity.credential == c;
        bool fits =
            of_user && l->state == LINK_READY && (resp == 0 || l->pool->identity.resp == resp);
        links += of_user;
        if (fits && ((l->use == LINK_SHARED && !link_is_full(l)) ||
                     (l->use == LINK_IDLE && found == NULL))) {
            found = l;
        }
    }
    /* Of a user that we cannot log in as, each client may need one alone, and only a client's own
     * AUTH brings one. */
    bool enough =
        credential_is_ours(w, backend, c) || links > c->clients + c->judged || is_full(w, config);
    if (found != NULL && enough && found->use == LINK_IDLE) {
        share(found);
    }
    return enough ? found : NULL;
}

struct pool_link *pool_find_ready(struct worker *w, size_t backend, size_t server,
                                  const struct identity *id)
{
    struct pool *p = pool_get(w, backend, server, id);
    struct pool_link *l = p != NULL ? least_busy(p) : NULL;
    if (l == NULL && p != NULL && !list_empty(&p->idle)) {
        l = container_of(p->idle.next, struct pool_link, at);
        share(l);
    }
    if (p != NULL) {
        pool_maybe_free(p);
    }
    return l;
}

/* Coming back ------------------------------------------------------------------------------- */

/* Users whom the router cannot log in as may be many, and gone: theirs are kept as long as others,
 * but not without bound. */
static bool is_one_too_many(const struct pool_link *l)
{
    const struct credential *c = l->pool->identity.credential;
    unsigned count = 0;
    if (c == NULL || c->clients > 0 || credential_is_ours(l->worker, l->pool->backend, c)) {
        return false;
    }
    LIST_EACH(it, &server_of(l->pool)->pool_links)
    {
        const struct pool_link *other = container_of(it, struct pool_link, node);
        const struct credential *user = other->pool->identity.credential;
        count += other->use == LINK_IDLE && user != NULL && user->clients == 0;
    }
    return count > ABANDONED_MAX;
}

void pool_place(struct pool_link *l)
{
    struct pool *p = l->pool;
    if (l->use != LINK_SHARED) {
        list_remove(&l->at);
        l->use = LINK_IDLE;
        l->lessee = NULL;
        if ((l->leases > 0 && link_is_old(l)) || is_one_too_many(l)) {
            link_close(l);
            return;
        }
        if (l->leases == 0 && !l->wanted_own && pool_may_share_more(p)) {
            share(l);
        } else {
            list_prepend(&p->idle, &l->at);
            link_arm(l, &l->worker->backends[p->backend]->link_idle);
        }
    }
    l->wanted_own = false;
    link_seen(l);
    pool_kick(l->worker, p->backend);
}

bool pool_rename(struct pool_link *l, const struct identity *id)
{
    struct pool *old = l->pool;
    struct pool *p = pool_get(l->worker, old->backend, old->server, id);
    if (p == NULL) {
        l->tainted = true; /* it is not what its pool says */
        return false;
    }
    if (p == old) {
        return true;
    }
    old->links--;
    p->links++;
    l->pool = p;
    pool_maybe_free(old);
    return true;
}

void pool_give_back(struct pool_link *l, bool clean)
{
    l->lessee = NULL;
    if (!clean || l->tainted) {
        link_clean(l);
        return;
    }
    pool_place(l);
}

/* Who waits --------------------------------------------------------------------------------- */

void pool_kick(struct worker *w, size_t backend)
{
    w->backends[backend]->kicked = true;
    w->kicked = true;
}

void pool_on_kick(struct deadline *d)
{
    struct worker_backend *wb = container_of(d, struct worker_backend, again);
    if (list_empty(&wb->held)) {
        return;
    }
    struct pooled *p = container_of(wb->held.next, struct pooled, held);
    size_t backend = p->session->backend->index;
    pool_kick(p->worker, backend);
    if (p->pool != NULL && p->pool->opening == 0) {
        pool_ask_others(p->worker, backend);
    }
}
