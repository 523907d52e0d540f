/* A session that has no server yet: it may stand in the backend's queue, which the control thread
 * keeps (ctl/waiting.c), and what the client sends meanwhile is read ahead up to a bound. A client
 * that is read is seen to leave at once; one whose bytes are over the bound, or whose session
 * stands still, is looked at twice a second. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/mysql_lease.h"
#include "core/mysql_link.h"
#include "core/pooled.h"
#include "core/session.h"

/* The queue --------------------------------------------------------------------------------- */

static void on_granted(struct message *m, void *worker)
{
    struct worker *w = worker;
    struct waiter *waiter = container_of(m, struct waiter, message);
    struct session *s = waiter->session;
    if (s == NULL) { /* it gave up before the grant came; on_cancelled frees */
        worker_settled(w, waiter->request.backend, waiter->server);
        worker_release_place(w, waiter->request.backend, waiter->server);
        return;
    }
    size_t server = waiter->server;
    s->waiter = NULL;
    free(waiter);
    w->waiters--;
    mysql_pool_unwait(s);
    s->settling = true;
    session_connect(s, server);
}

static void on_cancelled(struct message *m, void *worker)
{
    struct worker *w = worker;
    free(container_of(m, struct waiter, cancel));
    w->waiters--;
    worker_maybe_stop(w);
}

/* Nobody can tell a client that left from one that only finished sending, so the latter is told. */
static void refuse_leaver(struct session *s)
{
    session_refuse(s, REFUSED_LEFT, "the connection was closed while it waited");
}

static void refuse_late(struct session *s)
{
    const struct topology_backend *b = &s->worker->topology->backends[s->backend->index];
    bool primary = b->primary >= 0 && b->servers[b->primary].access == ACCESS_OPEN;
    session_refuse(s, REFUSED_TIMEOUT,
                   s->route == ROUTE_PRIMARY && !primary ? "no primary in time"
                                                         : "no server was free in time");
}

static bool take_place_in_queue(struct session *s)
{
    unsigned limit = s->backend->queue_limit;
    struct shared_backend *shared = s->worker->shared->backends[s->backend->index];
    bool taken = limit > 0 && shared_claim(&shared->waiting[ROUTE_AUTO], limit);
    if (taken) {
        shared_note_peak(&shared->waiting_peak, &shared->waiting[ROUTE_AUTO]);
    }
    return taken;
}

static void post_waiter(struct session *s, struct waiter *waiter)
{
    struct worker *w = s->worker;
    *waiter = (struct waiter){
        .message.run = w->tell->wait,
        .cancel.run = w->tell->cancel,
        .session = s,
        .reply = &w->loop.mailbox,
        .on_granted = on_granted,
        .on_cancelled = on_cancelled,
        .counted = true,
        .again = s->attempts > 0,
        .request =
            {
                .backend = s->backend->index,
                .route = (enum route)s->route,
                .fallback = s->frontend->fallback,
                .client_hash = client_key_hash(&s->admission.key),
            },
    };
    list_init(&waiter->node);
    s->waiter = waiter;
    w->waiters++;
    mailbox_post(w->control, &waiter->message);
}

void session_wait(struct session *s)
{
    struct worker *w = s->worker;
    struct shared_backend *shared = w->shared->backends[s->backend->index];
    if (s->client.eof) {
        refuse_leaver(s);
        return;
    }
    uint64_t age_ms = session_age_us(s) / 1000;
    bool first = s->times.queued_after_ms == 0;
    if (first) {
        s->times.queued_after_ms = age_ms > 0 ? (uint32_t)age_ms : 1;
    } else if (age_ms >= s->times.queued_after_ms + s->backend->queue_timeout) {
        refuse_late(s);
        return;
    }
    if (!take_place_in_queue(s)) {
        session_refuse(s, REFUSED_QUEUE_FULL,
                       s->backend->queue_limit > 0 ? "too many clients are waiting"
                                                   : "no server is free");
        return;
    }
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        shared_release(&shared->waiting[ROUTE_AUTO]);
        session_kill(s, END_MEMORY);
        return;
    }
    if (first) {
        metric_add(&w->metrics.frontends[s->frontend->index]->at[FRONTEND_HELD], 1);
    }
    session_log_queued(s, atomic_fetch_add(&shared->waiting[s->route], 1));
    s->tried_count = 0; /* by the time of the grant they may be well again */
    session_set(s, SESSION_WAIT);
    session_arm(s, &w->backends[s->backend->index]->queue);
    post_waiter(s, waiter);
    mysql_pool_wait(s);
    if ((s->client.pauses & PAUSE_WAITING) != 0) {
        deadline_arm(&w->look, &w->look_again);
    }
}

/* Control gives the waiter back by on_cancelled, whatever it did with it before. */
void session_stop_waiting(struct session *s)
{
    struct waiter *waiter = s->waiter;
    if (waiter != NULL) {
        mysql_pool_unwait(s);
        s->waiter = NULL;
        waiter->session = NULL;
        waiter_uncount(waiter, s->worker->shared->backends[s->backend->index]);
        mailbox_post(s->worker->control, &waiter->cancel);
    }
}

void session_begin_settling(struct session *s)
{
    if (s->settling) {
        deadline_arm(&s->worker->settle, &s->server->settle);
    }
}

void session_settled(struct session *s, size_t server)
{
    if (!s->settling) {
        return;
    }
    s->settling = false;
    if (s->server != NULL) {
        deadline_disarm(&s->worker->settle, &s->server->settle);
    }
    worker_settled(s->worker, s->backend->index, server);
}

void session_on_settle(struct deadline *d)
{
    struct server_link *link = container_of(d, struct server_link, settle);
    session_settled(link->session, link->index);
}

void session_on_queue_expired(struct deadline *d)
{
    struct session *s = container_of(d, struct session, deadline);
    if (s->state == SESSION_PARKED) {
        mysql_lease_late(s);
    } else if (s->state == SESSION_POOLED) {
        pooled_late(s);
    } else {
        refuse_late(s);
    }
}

/* The client meanwhile ---------------------------------------------------------------------- */

static void on_client_left(struct session *s)
{
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_LEFT_WAITING], 1);
    session_close(s, END_LEFT);
}

bool session_keep(struct session *s, const char *data, size_t len)
{
    char *grown = realloc(s->ahead, s->ahead_len + len);
    if (grown == NULL) {
        session_kill(s, END_MEMORY);
        return false;
    }
    memcpy(grown + s->ahead_len, data, len);
    s->ahead = grown;
    s->ahead_len += (uint32_t)len;
    return true;
}

void session_taken(struct session *s, size_t len)
{
    s->ahead_len -= (uint32_t)len;
    if (s->ahead_len > 0) {
        memmove(s->ahead, s->ahead + len, s->ahead_len);
    } else {
        free(s->ahead);
        s->ahead = NULL;
    }
}

/* The bytes already read ahead always fit: a read brings at most what the pause left room for, or
 * the excess is kept once (LOOP_RECEIVE_BYTES) and then the client is paused. */
void waiting_client_data(struct session *s, const char *data, size_t len)
{
    if (session_keep(s, data, len) && s->ahead_len >= SESSION_AHEAD_MAX) {
        conn_pause(&s->client, PAUSE_WAITING);
        if (s->state == SESSION_WAIT) {
            deadline_arm(&s->worker->look, &s->worker->look_again);
        }
    }
}

/* FIN while it connects is relayed later. In the queue it gives the place up. */
void waiting_client_eof(struct session *s)
{
    if (s->state == SESSION_WAIT) {
        refuse_leaver(s);
    }
}

static bool look_at_queue(struct deadline_list *queue)
{
    bool any = false;
    LIST_EACH(it, &queue->items)
    {
        struct deadline *d = container_of(it, struct deadline, node);
        struct session *s = container_of(d, struct session, deadline);
        if ((s->client.pauses & PAUSE_WAITING) == 0) {
            continue;
        }
        if (conn_peer_left(&s->client)) {
            on_client_left(s);
        } else {
            any = true;
        }
    }
    return any;
}

/* Sessions that stand still while it is contested who may be written to. */
static bool look_at_held(struct worker *w)
{
    bool any = false;
    LIST_EACH(it, &w->sessions)
    {
        struct session *s = container_of(it, struct session, node);
        if (s->server == NULL || (s->client.pauses & PAUSE_HOLD) == 0) {
            continue;
        }
        if (!s->client.eof && conn_peer_left(&s->client)) {
            session_kill(s, END_CLIENT);
        } else {
            any = true;
        }
    }
    return any;
}

static bool look_at_pooled(struct worker *w)
{
    bool any = false;
    LIST_EACH(it, &w->sessions)
    {
        struct session *s = container_of(it, struct session, node);
        if (s->state == SESSION_POOLED) {
            any = pooled_look(s) || any;
        }
    }
    return any;
}

void session_on_look(struct deadline *d)
{
    struct worker *w = container_of(d, struct worker, look_again);
    bool any = look_at_held(w);
    any = look_at_pooled(w) || any;
    for (size_t i = 0; i < w->config->backend_count; i++) {
        any = look_at_queue(&w->backends[i]->queue) || any;
    }
    if (any) {
        deadline_arm(&w->look, &w->look_again);
    }
}
