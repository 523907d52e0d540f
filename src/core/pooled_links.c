/* Which server and which link a command goes to. */
#include <string.h>

#include "core/credential.h"
#include "core/pooled.h"
#include "core/session.h"

/* Servers ----------------------------------------------------------------------------------- */

static bool is_open(const struct pooled *p, int server)
{
    const struct topology_backend *t = &p->worker->topology->backends[p->session->backend->index];
    return server >= 0 && t->servers[server].access == ACCESS_OPEN;
}

static int primary(const struct pooled *p)
{
    const struct topology_backend *t = &p->worker->topology->backends[p->session->backend->index];
    return is_open(p, t->primary) ? t->primary : -1;
}

static struct route_request request_of(const struct pooled *p, enum route route)
{
    return (struct route_request){
        .backend = p->session->backend->index,
        .route = route,
        .fallback = p->session->frontend->fallback,
        .client_hash = client_key_hash(&p->session->admission.key),
    };
}

/* The primary is read in place of a replica only for as long as none can be. */
static bool may_stay(const struct pooled *p, int server, enum route route)
{
    const struct topology *t = p->worker->topology;
    size_t backend = p->session->backend->index;
    return is_open(p, server) && route_allows(t, backend, (size_t)server, route) &&
           (route != ROUTE_REPLICA || t->backends[backend].primary != server);
}

/* Where it reads, or all of it goes with route = replica or any: one server for as long as that
 * serves. */
static int reader(struct pooled *p, enum route route)
{
    struct worker *w = p->worker;
    size_t backend = p->session->backend->index;
    struct route_request request = request_of(p, route);
    size_t server;
    if (p->read_server > 0 && may_stay(p, p->read_server - 1, route)) {
        return p->read_server - 1;
    }
    if (route_choose(w->topology, w->shared, &w->backends[backend]->balance, &request, &server) !=
        ROUTE_FOUND) { /* who reads goes on reading what there is */
        bool stays =
            p->read_server > 0 && route_allows(w->topology, backend, p->read_server - 1U, route);
        return stays ? p->read_server - 1 : -1;
    }
    p->read_server = (uint16_t)(server + 1);
    return (int)server;
}

/* The scan of one client may go on on another connection of the same program, so all of them go to
 * the same replica, as long as it serves. */
static int scanner(struct pooled *p)
{
    struct worker *w = p->worker;
    struct route_request request = request_of(p, ROUTE_REPLICA);
    size_t server;
    if (!route_first_replica(w->topology, &request, &server)) {
        return -1;
    }
    return (int)server;
}

/* Whether what this client wrote may be missing at a replica. */
static bool must_read_own(struct pooled *p, int server)
{
    const struct frontend_config *f = p->session->frontend;
    if (p->wrote_ms == 0 || server < 0) {
        return false;
    }
    if (f->read_your_writes.offset) {
        size_t id = p->session->backend->servers.items[server].id;
        return !shared_has_caught_up(p->worker->shared->servers[id], p->wrote_ms);
    }
    return uv_hrtime() / 1000000 - p->wrote_ms < f->read_your_writes.ms;
}

int pooled_scan_server(struct pooled *p, bool begins)
{
    int server = (int)p->cursor_server - 1;
    return !begins && is_open(p, server) ? server : pooled_server(p, REDIS_READS, true);
}

int pooled_server(struct pooled *p, enum redis_access access, bool cursor)
{
    enum route route = (enum route)p->session->route;
    if (!p->split) {
        return route == ROUTE_PRIMARY ? primary(p) : reader(p, route);
    }
    if (access != REDIS_READS || (p->pins & (PIN_TRANSACTION | PIN_WATCH)) != 0) {
        return primary(p);
    }
    int server = cursor ? scanner(p) : reader(p, ROUTE_REPLICA);
    if (server < 0 || !must_read_own(p, server) || primary(p) < 0) {
        return server;
    }
    return primary(p);
}

/* Links ------------------------------------------------------------------------------------- */

static bool use_pool(struct pooled *p, size_t server, const struct identity *as)
{
    size_t backend = p->session->backend->index;
    if (p->pool != NULL && p->pool->server == server && p->pool->backend == backend &&
        identity_is(&p->pool->identity, as)) {
        return true;
    }
    struct pool *pool = pool_get(p->worker, backend, server, as);
    if (pool == NULL) {
        session_kill(p->session, END_MEMORY);
        return false;
    }
    pool->users++;
    pool_leave(p->pool);
    p->pool = pool;
    return true;
}

static enum turn turn_of(struct pooled *p, enum pool_answer answer)
{
    char *refusal;
    switch (answer) {
    case POOL_READY:
        return TURN_GO;
    case POOL_REFUSED:
        if (p->resubscribe) {
            session_kill(p->session, END_SERVER);
            return TURN_DONE;
        }
        refusal = p->pool->refusal;
        return pooled_answer_self(p, refusal);
    case POOL_NEVER: /* its own connection would be lost as well */
        session_kill(p->session, END_SERVER);
        return TURN_DONE;
    default:
        pooled_hold(p);
        return TURN_WAIT;
    }
}

/* A link to the primary that such a client has used goes when the primary does. */
static void take(struct pooled *p, struct pool_link *l)
{
    const struct topology_backend *t = &p->worker->topology->backends[l->pool->backend];
    p->link = l;
    l->writes =
        l->writes || (p->session->route == ROUTE_PRIMARY && t->primary == (int)l->pool->server);
}

enum turn pooled_share(struct pooled *p, size_t server, const struct identity *as)
{
    struct pool_link *l = NULL;
    if (p->link != NULL) {
        bool there = link_is_lent_to(p->link, p) ||
                     (p->link->pool->server == server && identity_is(&p->link->pool->identity, as));
        if (there && link_is_full(p->link)) {
            pooled_hold(p);
            return TURN_WAIT;
        }
        return there ? TURN_GO : TURN_WAIT;
    }
    if (!use_pool(p, server, as)) {
        return TURN_DONE;
    }
    enum turn turn = turn_of(p, pool_share(p->pool, &l));
    if (turn == TURN_GO) {
        if (!link_renew_nobody(l, false)) {
            link_lost(l);
            pooled_hold(p);
            return TURN_WAIT;
        }
        take(p, l);
    }
    return turn;
}

enum turn pooled_acquire(struct pooled *p, size_t server, const struct identity *as, enum pin why)
{
    struct pool_link *l = NULL;
    if (p->link != NULL && !link_is_lent_to(p->link, p)) {
        return TURN_WAIT;
    }
    if (p->link == NULL) {
        if (!use_pool(p, server, as)) {
            return TURN_DONE;
        }
        enum turn turn = turn_of(p, pool_lend(p->pool, p, &l));
        if (turn != TURN_GO) {
            return turn;
        }
        take(p, l);
    }
    pooled_pin(p, why);
    return TURN_GO;
}

enum turn pooled_learn(struct pooled *p, size_t server)
{
    struct worker_server *ws = p->worker->servers[p->session->backend->servers.items[server].id];
    struct pool_link *l = NULL;
    if (ws->catalog_ready) {
        return TURN_GO;
    }
    if (!use_pool(p, server, &p->identity)) {
        return TURN_DONE;
    }
    return turn_of(p, pool_share(p->pool, &l));
}
