/* What a new topology, a new configuration and the end mean to the pools, and what is done at the
 * end of each turn of the loop. */
#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/credential.h"
#include "core/mysql_link.h"
#include "core/mysql_move.h"
#include "core/pool.h"
#include "core/pooled.h"
#include "core/session.h"
#include "net/mailbox.h"

/* A new topology ---------------------------------------------------------------------------- */

/* No command is to go there any more. */
static void take_out(struct pool_link *l)
{
    list_remove(&l->at);
    l->pool->shared_count--;
    l->worker->servers[l->config->id]->shared_links--;
    l->use = LINK_NEW;
}

/* What is in flight on a server that is the primary no more may still be refused by it, as by a
 * replica: then it did not run, and may be sent to the new primary. Nothing else is relayed. */
static void doom(struct pool_link *l)
{
    take_out(l);
    if (l->clogged_by != NULL) {
        link_unclog(l);
    }
    l->doomed = true;
    link_arm(l, &l->worker->backends[l->pool->backend]->link_doom);
    conn_resume(&l->conn, PAUSE_HOLD);
}

/* Something was sent to it that it has not answered. */
static bool may_answer(struct pool_link *l)
{
    link_unsend(l);
    return l->use == LINK_SHARED && l->flights.count > 0 && conn_queued(&l->conn) == 0 &&
           (flights_first(&l->flights)->flags & FLIGHT_UNSENT) == 0;
}

static void hold(struct pool_link *l, bool held)
{
    if (held == ((l->conn.pauses & PAUSE_HOLD) != 0)) {
        return;
    }
    if (held) {
        conn_pause(&l->conn, PAUSE_HOLD);
        return;
    }
    conn_resume(&l->conn, PAUSE_HOLD);
    if (l->out_len > 0) {
        list_remove(&l->dirty);
        list_append(&l->worker->pool_dirty, &l->dirty);
    }
    link_relieve(l);
}

static void fence(struct pool_link *l)
{
    metric_add(&l->counters->at[SERVER_FENCED], 1);
    if (may_answer(l)) {
        doom(l);
    } else {
        link_lost(l);
    }
}

/* Others can be asked what is in flight on a replica that seems to be silent. */
static bool is_left_alone(const struct pool_link *l)
{
    const struct topology_backend *t = &l->worker->topology->backends[l->pool->backend];
    return !l->writes && l->use == LINK_SHARED && l->flights.count > 0 && t->primary >= 0 &&
           t->servers[t->primary].access == ACCESS_OPEN &&
           t->servers[l->pool->server].access == ACCESS_QUIET;
}

void link_on_doom(struct deadline *d)
{
    struct pool_link *l = container_of(d, struct pool_link, deadline);
    l->timer = NULL;
    if (l->doomed || is_left_alone(l)) {
        link_lost(l);
    } else {
        link_arm(l, &l->worker->backends[l->pool->backend]->link_idle);
    }
}

static void reconsider(struct pool_link *l)
{
    struct worker *w = l->worker;
    const struct topology_server *t =
        &w->topology->backends[l->pool->backend].servers[l->pool->server];
    enum route route = l->writes ? ROUTE_PRIMARY : ROUTE_ANY;
    if (l->doomed) {
        return;
    }
    if (route_allows(w->topology, l->pool->backend, l->pool->server, route)) {
        hold(l, t->access == ACCESS_PAUSE);
        if (is_left_alone(l) && l->clogged_by == NULL) {
            link_arm(l, &w->backends[l->pool->backend]->link_doom);
        }
    } else {
        fence(l);
    }
}

/* To close one may close others: the list is walked anew as long as something changes. */
static void reconsider_server(struct worker_server *ws)
{
    struct list left;
    list_init(&left);
    while (!list_empty(&ws->pool_links)) {
        struct list *node = ws->pool_links.next;
        list_remove(node);
        list_append(&left, node);
        reconsider(container_of(node, struct pool_link, node));
    }
    while (!list_empty(&left)) {
        struct list *node = left.next;
        list_remove(node);
        list_append(&ws->pool_links, node);
    }
}

void pools_reconsider(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        reconsider_server(w->servers[i]);
    }
    for (size_t i = 0; i < w->backend_count; i++) {
        pool_kick(w, i);
    }
    mysql_pool_reconsider(w);
}

/* By the operator's word ------------------------------------------------------------------------
 */

void link_retire(struct pool_link *l)
{
    if (l->state == LINK_READY && l->use == LINK_SHARED && l->flights.count > 0) {
        take_out(l);
        l->retiring = true;
    } else {
        link_close(l);
    }
}

/* A new configuration ----------------------------------------------------------------------- */

void pools_adopt(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        LIST_EACH(it, &w->servers[i]->pool_links)
        {
            struct pool_link *l = container_of(it, struct pool_link, node);
            l->config = &w->config->backends[l->pool->backend].servers.items[l->pool->server];
        }
    }
    mysql_pool_adopt(w);
}

/* What it knows is the other one's; unless links of that are still there, which ask. */
void pools_forget_server(struct worker_server *ws)
{
    if (list_empty(&ws->pool_links)) {
        redis_catalog_free(ws->catalog);
        ws->catalog = NULL;
        ws->catalog_asked = ws->catalog_ready = ws->catalog_busy = ws->no_reset = false;
    }
}

/* Others wait ------------------------------------------------------------------------------- */

/* The one that was used last is the one to keep. */
static struct pool_link *least_used(struct worker_server *ws)
{
    struct pool_link *best = NULL;
    LIST_EACH(it, &ws->pool_links)
    {
        struct pool_link *l = container_of(it, struct pool_link, node);
        const struct credential *user = l->pool->identity.credential;
        bool needed = user != NULL && user->clients > 0 &&
                      !credential_is_ours(l->worker, l->pool->backend, user);
        bool unused =
            !needed && (l->use == LINK_IDLE || (l->use == LINK_SHARED && l->pool->users == 0));
        if (l->state == LINK_READY && unused && l->flights.count == 0 &&
            (best == NULL || l->used_ms < best->used_ms)) {
            best = l;
        }
    }
    return best;
}

void pools_spare(struct worker *w, size_t backend)
{
    const struct backend_config *b = &w->config->backends[backend];
    if (!list_empty(&w->backends[backend]->held)) {
        return;
    }
    mysql_pool_spare(w, backend);
    for (size_t i = 0; i < b->servers.count; i++) {
        struct pool_link *l = least_used(w->servers[b->servers.items[i].id]);
        if (l != NULL) {
            link_close(l);
        }
    }
}

/* The end ----------------------------------------------------------------------------------- */

void pools_stop(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        struct worker_server *ws = w->servers[i];
        while (!list_empty(&ws->pool_links)) {
            link_close(container_of(ws->pool_links.next, struct pool_link, node));
        }
    }
    for (size_t i = 0; i < w->backend_count; i++) {
        struct worker_backend *wb = w->backends[i];
        if (wb->place != NULL) {
            mailbox_post(w->control, &wb->place->cancel);
            wb->place = NULL;
        }
        deadline_disarm(&wb->retry, &wb->again);
    }
    mysql_pool_stop(w);
}

/* The end of a turn ------------------------------------------------------------------------- */

/* A place that nobody took after all. */
static void return_places(struct worker *w, size_t backend)
{
    const struct backend_config *b = &w->config->backends[backend];
    for (size_t i = 0; i < b->servers.count; i++) {
        struct worker_server *ws = w->servers[b->servers.items[i].id];
        for (; ws->places > 0; ws->places--) {
            worker_release_place(w, backend, i);
        }
    }
}

static void forget_refusals(struct worker *w, size_t backend)
{
    const struct backend_config *b = &w->config->backends[backend];
    for (size_t i = 0; i < b->servers.count; i++) {
        LIST_EACH(it, &w->servers[b->servers.items[i].id]->pools)
        {
            struct pool *p = container_of(it, struct pool, node);
            free(p->refusal);
            p->refusal = NULL;
        }
    }
}

/* Each is asked once; who still has to wait is there again then. */
static void ask_all(struct worker *w, size_t backend)
{
    struct worker_backend *wb = w->backends[backend];
    struct list held;
    list_init(&held);
    wb->kicked = false;
    while (!list_empty(&wb->held)) {
        struct list *node = wb->held.next;
        list_remove(node);
        list_append(&held, node);
    }
    while (!list_empty(&held)) {
        struct pooled *p = container_of(held.next, struct pooled, held);
        pooled_unhold(p);
        pooled_advance(p);
    }
    return_places(w, backend);
    forget_refusals(w, backend);
}

uint32_t pools_now_us(struct worker *w)
{
    if (!w->turn_timed) {
        w->turn_us = (uint32_t)(uv_hrtime() / 1000);
        w->turn_timed = true;
    }
    return w->turn_us;
}

static void ask_kicked(struct worker *w)
{
    bool kicked = w->kicked;
    w->kicked = false;
    for (size_t i = 0; i < w->backend_count && kicked; i++) {
        if (w->backends[i]->kicked) {
            ask_all(w, i);
        }
    }
}

/* Those who wait may be asked in vain again and again; in the next turn there is more to know. */
#define ROUNDS_MAX 64

void pools_on_turn(struct loop *loop)
{
    struct worker *w = container_of(loop, struct worker, loop);
    for (int i = 0;
         (w->kicked && i < ROUNDS_MAX) || !list_empty(&w->touched) || !list_empty(&w->pool_dirty);
         i++) {
        pooled_write_all(w);
        ask_kicked(w);
        pooled_write_all(w);
        link_flush_all(w);
    }
    mysql_move_on_turn(w);
    pooled_bury_all(w);
    w->turn_timed = false;
}
