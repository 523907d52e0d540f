/* Whether there may be one more link: places at the server, pool_size, a password that the router
 * knows; and what is done where there may not. */
#include <stdlib.h>

#include "base/macros.h"
#include "core/credential.h"
#include "core/pool.h"
#include "core/pooled.h"
#include "core/session.h"
#include "net/mailbox.h"

#define CLOGGED_MAX 16 /* links more than pool_size, for those that stand still */

static struct worker_server *server_of(const struct pool *p)
{
    size_t id = p->worker->config->backends[p->backend].servers.items[p->server].id;
    return p->worker->servers[id];
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
        .counted = true,
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
void pool_ask_others(struct worker *w, size_t backend)
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
        pool_ask_others(p->worker, p->backend);
    }
}

void pool_open_link(struct pool *p, bool own, bool counted)
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
bool pool_may_share_more(const struct pool *p)
{
    unsigned limit = shared_limit(p);
    bool together = p->worker->config->backends[p->backend].pool_size > 0;
    unsigned count = together ? server_of(p)->shared_links : p->shared_count;
    return count + p->opening < limit + (p->clogged < CLOGGED_MAX ? p->clogged : CLOGGED_MAX);
}

/* A link of another identity that nobody uses at the moment makes room. */
bool pool_make_room(struct pool *p)
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

bool pool_take_unused(struct pool *p, bool own)
{
    struct pool_link *l = find_unused(p, false);
    if (l == NULL || (l->reset_due && !link_reset_first(l))) {
        return false;
    }
    l->wanted_own = own;
    link_prepare(l, p);
    return true;
}

static bool any_of_user(const struct pool *p)
{
    LIST_EACH(it, &server_of(p)->pool_links)
    {
        const struct pool_link *l = container_of(it, struct pool_link, node);
        if (l->pool->identity.credential == p->identity.credential) {
            return true;
        }
    }
    return false;
}

enum pool_answer pool_do_without(struct pool *p)
{
    if (credential_is_ours(p->worker, p->backend, p->identity.credential)) {
        return POOL_LATER;
    }
    struct pool_link *l = p->opening == 0 ? find_unused(p, true) : NULL;
    if (l != NULL) {
        link_prepare(l, p);
        return POOL_LATER;
    }
    return any_of_user(p) ? POOL_LATER : POOL_NEVER;
}

bool link_is_old(const struct pool_link *l)
{
    const struct worker *w = l->worker;
    const struct backend_config *b = &w->config->backends[l->pool->backend];
    return loop_now_ms(&w->loop) - l->since_ms >= b->pool_max_age &&
           credential_is_ours(l->worker, l->pool->backend, l->pool->identity.credential);
}
