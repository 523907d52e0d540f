/* Which link serves whom. A link is made for an identity; of one user that the router cannot log in
 * as, there are only those links on which clients have logged in, and these go from one database to
 * another. */
#include "core/pool.h"

#include <stdlib.h>

#include "base/macros.h"
#include "core/credential.h"
#include "core/pooled.h"
#include "core/session.h"
#include "net/mailbox.h"

#define CLOGGED_MAX 16  /* links more than pool_size, for those that stand still */
#define SHARED_MAX  256 /* shared links to a server, of all identities, with pool_size = auto */
#define BUSY        512 /* commands in flight on a shared link, before another one is opened */

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

/* Places ------------------------------------------------------------------------------------ */

static void on_granted(struct message *m, void *worker)
{
    struct worker *w = worker;
    struct waiter *waiter = container_of(m, struct waiter, message);
    size_t backend = waiter->request.backend;
    struct worker_backend *wb = w->backends[backend];
    size_t id = w->config->backends[backend].servers.items[waiter->server].id;
    worker_settled(w, backend, waiter->server);
    if (wb->place != waiter) { /* nobody needs it any more; on_cancelled frees */
        worker_release_place(w, backend, waiter->server);
        return;
    }
    wb->place = NULL;
    free(waiter);
    w->waiters--;
    w->servers[id]->places++;
    pool_kick(w, backend);
}

static void on_cancelled(struct message *m, void *worker)
{
    struct worker *w = worker;
    free(container_of(m, struct waiter, cancel));
    w->waiters--;
    worker_maybe_stop(w);
}

/* All places are taken: control says when one is free. */
static void wait_for_place(struct worker *w, size_t backend)
{
    struct worker_backend *wb = w->backends[backend];
    struct shared_backend *shared = w->shared->backends[backend];
    if (wb->place != NULL || w->stopping) {
        return;
    }
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        return; /* asked again after a while */
    }
    *waiter = (struct waiter){
        .message.run = w->tell->wait,
        .cancel.run = w->tell->cancel,
        .reply = &w->loop.mailbox,
        .on_granted = on_granted,
        .on_cancelled = on_cancelled,
        .request = {.backend = backend, .route = ROUTE_PRIMARY},
    };
    list_init(&waiter->node);
    atomic_fetch_add(&shared->waiting[ROUTE_AUTO], 1);
    atomic_fetch_add(&shared->waiting[ROUTE_PRIMARY], 1);
    wb->place = waiter;
    w->waiters++;
    mailbox_post(w->control, &waiter->message);
}

static bool claim_place(struct pool *p)
{
    struct worker *w = p->worker;
    struct worker_server *ws = server_of(p);
    if (ws->places > 0) {
        ws->places--;
        return true;
    }
    if (route_claim(w->shared, &w->config->backends[p->backend].servers.items[p->server])) {
        return true;
    }
    const struct topology_backend *t = &w->topology->backends[p->backend];
    if (t->primary == (int)p->server) { /* others are tried again after POOL_RETRY_MS */
        wait_for_place(w, p->backend);
    }
    return false;
}

/* Other workers may have what nobody uses there. */
static void ask_others(struct worker *w, size_t backend)
{
    struct message_spare *m = w->worker_count > 1 ? malloc(sizeof *m) : NULL;
    if (m != NULL) {
        *m = (struct message_spare){.message.run = w->tell->spare, .backend = backend};
        mailbox_post(w->control, &m->message);
    }
}

/* Opening ----------------------------------------------------------------------------------- */

/* pool_size bounds the links of pool_mode = session over all workers. */
static bool claim_size(struct pool *p, bool counted)
{
    const struct backend_config *b = &p->worker->config->backends[p->backend];
    size_t id = b->servers.items[p->server].id;
    return !counted || b->pool_size == 0 ||
           shared_claim(&p->worker->shared->servers[id]->pooled, b->pool_size);
}

static void release_size(struct pool *p, bool counted)
{
    const struct backend_config *b = &p->worker->config->backends[p->backend];
    if (counted && b->pool_size > 0) {
        shared_release(&p->worker->shared->servers[b->servers.items[p->server].id]->pooled);
    }
}

/* At once, and then whenever those who wait are asked again. */
static void ask_others_soon(struct pool *p)
{
    if (!deadline_is_armed(&p->worker->backends[p->backend]->again)) {
        ask_others(p->worker, p->backend);
    }
}

static void open_link(struct pool *p, bool own, bool counted)
{
    if (!credential_is_ours(p->worker, p->backend, p->identity.credential)) {
        return;
    }
    if (!claim_size(p, counted)) {
        ask_others_soon(p);
        return;
    }
    if (!claim_place(p)) {
        release_size(p, counted);
        ask_others_soon(p);
        return;
    }
    struct pool_link *l = link_open(p);
    if (l == NULL) {
        release_size(p, counted);
        worker_release_place(p->worker, p->backend, p->server);
    } else if (l->state == LINK_CLOSED) { /* it failed at once, and its place is free already */
        release_size(p, counted);
    } else {
        l->wanted_own = own;
        l->counted = counted && p->worker->config->backends[p->backend].pool_size > 0;
    }
}

static unsigned shared_limit(const struct pool *p)
{
    const struct worker *w = p->worker;
    const struct backend_config *b = &w->config->backends[p->backend];
    if (b->pool_size == 0) {
        return POOL_SHARED;
    }
    unsigned share = b->pool_size / w->worker_count;
    return share > 0 ? share : 1;
}

/* pool_size bounds the shared links of all identities together; auto those of each. */
static bool may_share_more(const struct pool *p)
{
    unsigned limit = shared_limit(p);
    bool together = p->worker->config->backends[p->backend].pool_size > 0;
    unsigned count = together ? server_of(p)->shared_links : p->shared_count;
    return count + p->opening < limit + (p->clogged < CLOGGED_MAX ? p->clogged : CLOGGED_MAX);
}

/* A link of another identity that nobody uses at the moment makes room. */
static bool make_room(struct pool *p)
{
    LIST_EACH(it, &server_of(p)->pool_links)
    {
        struct pool_link *l = container_of(it, struct pool_link, node);
        if (l->state == LINK_READY && l->use == LINK_SHARED && l->flights.count == 0 &&
            l->pool != p &&
            credential_is_ours(p->worker, p->backend, l->pool->identity.credential)) {
            link_close(l);
            return true;
        }
    }
    return false;
}

/* A link of the same user that nobody has, for another database or protocol. */
static struct pool_link *find_unused(struct pool *p, bool from_shared)
{
    LIST_EACH(it, &server_of(p)->pool_links)
    {
        struct pool_link *l = container_of(it, struct pool_link, node);
        if (l->state != LINK_READY || l->pool->identity.credential != p->identity.credential ||
            l->flights.count > 0) {
            continue;
        }
        if (l->use == LINK_IDLE || (from_shared && l->use == LINK_SHARED && l->pool != p)) {
            return l;
        }
    }
    return NULL;
}

static bool any_of_user(const struct pool *p, bool shared)
{
    LIST_EACH(it, &server_of(p)->pool_links)
    {
        const struct pool_link *l = container_of(it, struct pool_link, node);
        if (l->state != LINK_CLOSED && l->pool->identity.credential == p->identity.credential &&
            (shared || l->use != LINK_SHARED)) {
            return true;
        }
    }
    return false;
}

/* The clients of a user whose password the router does not know brought what links there are. */
static enum pool_answer do_without(struct pool *p, bool for_long)
{
    if (credential_is_ours(p->worker, p->backend, p->identity.credential)) {
        return POOL_LATER;
    }
    struct pool_link *l = p->opening == 0 ? find_unused(p, true) : NULL;
    if (l != NULL) {
        l->wanted_own = for_long;
        link_prepare(l, p);
        return POOL_LATER;
    }
    return any_of_user(p, !for_long) ? POOL_LATER : POOL_NEVER;
}

/* Shared ------------------------------------------------------------------------------------ */

static void share(struct pool_link *l)
{
    if (server_of(l->pool)->shared_links >= SHARED_MAX) {
        make_room(l->pool);
    }
    list_remove(&l->at);
    link_arm(l, &l->worker->backends[l->pool->backend]->link_idle);
    l->use = LINK_SHARED;
    list_append(&l->pool->shared, &l->at);
    l->pool->shared_count++;
    server_of(l->pool)->shared_links++;
}

static struct pool_link *least_busy(struct pool *p)
{
    struct pool_link *best = NULL;
    LIST_EACH(it, &p->shared)
    {
        struct pool_link *l = container_of(it, struct pool_link, at);
        if (!link_is_full(l) && (best == NULL || l->flights.count < best->flights.count)) {
            best = l;
        }
    }
    return best;
}

enum pool_answer pool_share(struct pool *p, struct pool_link **link)
{
    struct pool_link *best = least_busy(p);
    if (UNLIKELY(best == NULL || best->flights.count > BUSY)) {
        bool more = may_share_more(p) || (p->shared_count + p->opening == 0 && make_room(p));
        if (more && !list_empty(&p->idle)) {
            best = container_of(p->idle.next, struct pool_link, at);
            share(best);
        } else if (more && p->refusal == NULL) {
            open_link(p, false, false);
        }
    }
    if (best != NULL) {
        *link = best;
        return POOL_READY;
    }
    return p->refusal != NULL ? POOL_REFUSED : do_without(p, false);
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
}

/* Of a user that we cannot log in as, one of several shared links may be taken; for a moment also
 * the last one. */
static struct pool_link *take_shared(struct pool *p, bool brief)
{
    struct pool_link *l = least_busy(p);
    if (l == NULL || l->flights.count > 0 || p->shared_count < (brief ? 1 : 2) ||
        credential_is_ours(p->worker, p->backend, p->identity.credential)) {
        return NULL;
    }
    p->shared_count--;
    server_of(p)->shared_links--;
    return l;
}

enum pool_answer pool_lend(struct pool *p, struct pooled *to, bool brief, struct pool_link **link)
{
    struct pool_link *l = list_empty(&p->idle) ? take_shared(p, brief)
                                               : container_of(p->idle.next, struct pool_link, at);
    if (l != NULL) {
        lend(l, to);
        *link = l;
        return POOL_READY;
    }
    if (p->refusal != NULL) {
        return POOL_REFUSED;
    }
    size_t waiting = 0;
    LIST_EACH(it, &p->worker->backends[p->backend]->held)
    {
        waiting += container_of(it, struct pooled, held)->pool == p;
    }
    if (p->opening <= waiting) {
        open_link(p, true, to->session_mode);
    }
    return p->opening > 0 ? POOL_LATER : do_without(p, !brief);
}

struct pool_link *pool_find_login(struct worker *w, size_t backend, size_t server,
                                  const struct credential *c, uint8_t resp)
{
    size_t id = w->config->backends[backend].servers.items[server].id;
    struct pool_link *shared = NULL;
    struct pool_link *idle = NULL;
    LIST_EACH(it, &w->servers[id]->pool_links)
    {
        struct pool_link *l = container_of(it, struct pool_link, node);
        bool fits = l->state == LINK_READY && l->pool->identity.credential == c &&
                    (resp == 0 || l->pool->identity.resp == resp);
        if (fits && l->use == LINK_SHARED && !link_is_full(l)) {
            shared = l;
        } else if (fits && l->use == LINK_IDLE) {
            idle = l;
        }
    }
    if (shared == NULL && idle != NULL) {
        share(idle);
        return idle;
    }
    /* Of others than us there is one more, for who needs one alone. */
    return idle != NULL || credential_is_ours(w, backend, c) ? shared : NULL;
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

void pool_place(struct pool_link *l)
{
    struct pool *p = l->pool;
    if (l->use != LINK_SHARED) {
        list_remove(&l->at);
        l->use = LINK_IDLE;
        l->lessee = NULL;
        if (l->leases > 0 && link_is_old(l)) {
            link_close(l);
            return;
        }
        if (l->leases == 0 && !l->wanted_own && may_share_more(p)) {
            share(l);
        } else {
            list_prepend(&p->idle, &l->at);
            link_arm(l, &l->worker->backends[p->backend]->link_idle);
        }
    }
    l->wanted_own = false;
    pool_kick(l->worker, p->backend);
}

void pool_rename(struct pool_link *l, const struct identity *id)
{
    struct pool *old = l->pool;
    struct pool *p = pool_get(l->worker, old->backend, old->server, id);
    if (p == NULL || p == old) {
        return; /* without memory it stays what it was, and goes when it comes back */
    }
    old->links--;
    p->links++;
    l->pool = p;
    pool_maybe_free(old);
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
        ask_others(p->worker, backend);
    }
}
