/* The life of a link. The happy path: its place is claimed, it connects (and TLS begins), the
 * router logs in, chooses the protocol and the database, asks once what commands there are, and the
 * link is ready. Failure modes: the connect fails or takes too long: control is told, and who waits
 * asks again; the server refuses a step: who waits hears why; it fails later: what is in flight
 * comes back to its clients (pooled_lost). */
#include "core/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/credential.h"
#include "core/pool_seen.h"
#include "core/session.h"
#include "core/upstream.h"

#define OUT_KEPT 4096 /* room for what is gathered that a link keeps when it has sent it */

static struct worker_server *server_of(const struct pool_link *l)
{
    return l->worker->servers[l->config->id];
}

static struct worker_backend *backend_of(const struct pool_link *l)
{
    return l->worker->backends[l->pool->backend];
}

static bool is_opening(const struct pool_link *l)
{
    return l->state == LINK_CONNECT || l->state == LINK_PREPARE;
}

void link_arm(struct pool_link *l, struct deadline_list *list)
{
    if (l->timer != NULL && l->timer != list) {
        deadline_disarm(l->timer, &l->deadline);
    }
    l->timer = list;
    if (list != NULL) {
        deadline_arm(list, &l->deadline);
    }
}

/* Sending ----------------------------------------------------------------------------------- */

bool link_is_full(const struct pool_link *l)
{
    return l->doomed || l->retiring || l->clogged_by != NULL ||
           (l->conn.pauses & PAUSE_HOLD) != 0 || l->out_len + conn_queued(&l->conn) > LINK_OUT_MAX;
}

void link_clog(struct pool_link *l, struct pooled *by)
{
    l->clogged_by = by;
    conn_pause(&l->conn, PAUSE_PEER_FULL);
    if (l->use == LINK_SHARED) {
        l->pool->clogged++;
        link_arm(l, &backend_of(l)->link_stall);
    }
}

void link_unclog(struct pool_link *l)
{
    l->clogged_by = NULL;
    conn_resume(&l->conn, PAUSE_PEER_FULL);
    if (l->use == LINK_SHARED) {
        l->pool->clogged--;
        link_arm(l, &backend_of(l)->link_idle);
    }
    pool_kick(l->worker, l->pool->backend);
}

static bool make_room(struct pool_link *l, size_t len)
{
    size_t room = l->out_room > 0 ? l->out_room : OUT_KEPT;
    while (room < l->out_len + len) {
        room *= 2;
    }
    if (room > l->out_room) {
        char *out = realloc(l->out, room);
        if (out == NULL) {
            return false;
        }
        l->out = out;
        l->out_room = room;
    }
    return true;
}

bool link_send(struct pool_link *l, const char *bytes, size_t len)
{
    if (UNLIKELY(l->out_len + len > l->out_room) && !make_room(l, len)) {
        return false;
    }
    memcpy(l->out + l->out_len, bytes, len);
    if (l->out_len == 0) {
        list_remove(&l->dirty);
        list_append(&l->worker->pool_dirty, &l->dirty);
    }
    l->out_len += len;
    return true;
}

struct flight *link_fly(struct pool_link *l, struct pooled *client)
{
    struct flight *f = flights_add(&l->flights);
    if (f != NULL) {
        *f = (struct flight){.client = client, .flags = client == NULL ? FLIGHT_OURS : 0};
        l->commands += client != NULL;
    }
    return f;
}

/* Of a burst nothing is kept; nor are passwords. */
static void empty_out(struct pool_link *l)
{
    if (UNLIKELY(l->secret)) {
        wipe(l->out, l->out_len);
        l->secret = false;
    }
    l->out_len = 0;
    if (l->out_room > OUT_KEPT || l->use == LINK_IDLE) {
        free(l->out);
        l->out = NULL;
        l->out_room = 0;
    }
}

void link_relieve(struct pool_link *l)
{
    if (l->lessee != NULL && l->lessee->session != NULL) {
        conn_resume(&l->lessee->session->client, PAUSE_PEER_FULL);
    }
    pool_kick(l->worker, l->pool->backend);
}

static void flush(struct pool_link *l)
{
    bool full = link_is_full(l);
    metric_add(&l->counters->at[SERVER_BYTES_IN], l->out_len);
    int rc = conn_write(&l->conn, l->out, l->out_len);
    empty_out(l);
    if (rc != 0) {
        link_lost(l);
    } else if (full && conn_queued(&l->conn) == 0) {
        link_relieve(l);
    }
}

void link_unsend(struct pool_link *l)
{
    size_t left = l->out_len;
    for (uint32_t i = l->flights.count; i > 0; i--) {
        struct flight *f = flights_at(&l->flights, i - 1);
        if ((f->flags & (FLIGHT_OURS | FLIGHT_GONE)) != 0 || f->bytes > left) {
            break;
        }
        left -= f->bytes;
        f->flags |= FLIGHT_UNSENT;
    }
    empty_out(l);
    list_remove(&l->dirty);
}

void link_flush_all(struct worker *w)
{
    while (!list_empty(&w->pool_dirty)) {
        struct pool_link *l = container_of(w->pool_dirty.next, struct pool_link, dirty);
        list_remove(&l->dirty);
        if (l->state != LINK_CLOSED && l->out_len > 0 && (l->conn.pauses & PAUSE_HOLD) == 0) {
            flush(l);
        }
    }
}

/* Failing ----------------------------------------------------------------------------------- */

static void fail(struct pool_link *l, int status)
{
    if (!upstream_is_our_want(status)) {
        worker_doubt(l->worker, l->pool->backend, l->pool->server);
    }
    metric_add(&l->counters->at[SERVER_CONNECT_ERRORS], 1);
    link_lost(l);
}

/* The server speaks Redis now. */
static void connected(struct pool_link *l)
{
    static const struct identity fresh = {.resp = 2};
    l->state = LINK_PREPARE;
    if (!link_ask_steps(l, &fresh, &l->pool->identity)) {
        link_lost(l);
    }
}

/* The way to the server --------------------------------------------------------------------- */

static void on_connected(struct conn *c)
{
    struct pool_link *l = container_of(c, struct pool_link, conn);
    int rc = upstream_begin(l->worker, l->pool->backend, l->pool->server, c, NULL);
    if (rc == UPSTREAM_READY) {
        connected(l);
    } else if (rc != UPSTREAM_PENDING) {
        fail(l, rc);
    }
}

static void on_secured(struct conn *c)
{
    struct pool_link *l = container_of(c, struct pool_link, conn);
    upstream_secured(l->worker, l->pool->backend, l->pool->server, c);
    connected(l);
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    link_data(container_of(c, struct pool_link, conn), data, len);
}

static void on_error(struct conn *c, int status)
{
    struct pool_link *l = container_of(c, struct pool_link, conn);
    if (is_opening(l)) {
        fail(l, status);
    } else {
        link_lost(l);
    }
}

/* Of what nobody looks at, the server's end is its last word: QUIT has been answered. */
static void on_eof(struct conn *c)
{
    struct pool_link *l = container_of(c, struct pool_link, conn);
    if (l->raw && l->lessee != NULL) {
        pooled_finish(l->lessee);
        link_close(l);
    } else {
        on_error(c, UV_EOF);
    }
}

static void on_drained(struct conn *c)
{
    link_relieve(container_of(c, struct pool_link, conn));
}

static void on_closed(struct conn *c)
{
    struct pool_link *l = container_of(c, struct pool_link, conn);
    struct worker *w = l->worker;
    free(l);
    w->links--;
    worker_maybe_stop(w);
}

const struct conn_ops link_ops = {
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

static void init(struct pool_link *l, struct pool *p)
{
    struct worker *w = p->worker;
    const struct server_config *config = &w->config->backends[p->backend].servers.items[p->server];
    *l = (struct pool_link){
        .worker = w,
        .pool = p,
        .config = config,
        .counters = w->metrics.servers[config->id],
        .since_ms = loop_now_ms(&w->loop),
        .checked_ms = loop_now_ms(&w->loop),
        .number = ++w->link_numbers,
        .seen_as = LINK_UNSEEN,
    };
    list_init(&l->at);
    list_init(&l->dirty);
    deadline_init(&l->deadline);
    list_append(&w->servers[config->id]->pool_links, &l->node);
    w->links++;
    p->links++;
    p->opening++;
    metric_add(&w->metrics.backends[p->backend]->at[BACKEND_POOL_OPENED], 1);
    metric_add(&l->counters->at[SERVER_CONNECTS], 1);
    link_seen(l);
}

struct pool_link *link_open(struct pool *p)
{
    struct worker *w = p->worker;
    const struct backend_config *b = &w->config->backends[p->backend];
    struct worker_server *ws = w->servers[b->servers.items[p->server].id];
    struct pool_link *l = malloc(sizeof *l);
    if (ws->catalog == NULL) {
        ws->catalog = redis_catalog_new(config_renamed, &b->probe_commands);
    }
    if (l == NULL || ws->catalog == NULL) {
        free(l);
        return NULL;
    }
    init(l, p);
    link_arm(l, &w->backends[p->backend]->link_connect);
    int rc = conn_connect(&l->conn, &w->loop, &link_ops, &l->config->address,
                          &(struct conn_tcp){b->tcp_keepalive, b->tcp_user_timeout});
    if (rc == CONN_CONNECTED) {
        on_connected(&l->conn);
    } else if (rc != CONN_PENDING) {
        fail(l, rc);
    }
    return l;
}

/* The end ----------------------------------------------------------------------------------- */

/* Out of all lists and counts; its place is free. What is in flight is still there. */
static void detach(struct pool_link *l)
{
    struct pool *p = l->pool;
    struct worker_server *ws = server_of(l);
    if (l->use == LINK_SHARED) {
        p->shared_count--;
        p->clogged -= l->clogged_by != NULL;
        ws->shared_links--;
    }
    l->clogged_by = NULL;
    p->opening -= is_opening(l);
    link_arm(l, NULL);
    list_remove(&l->at);
    list_remove(&l->dirty);
    list_remove(&l->node);
    l->state = LINK_CLOSED;
    link_seen(l);
    show_pool_forget(l->worker, &l->node);
    if (list_empty(&ws->pool_links)) { /* another process may stand there the next time */
        ws->catalog_asked = false;
    }
    conn_reset(&l->conn);
    if (l->out != NULL) {
        wipe(l->out, l->out_room);
    }
    free(l->out);
    free(l->carry);
    l->out = NULL;
    l->out_len = l->out_room = 0;
    l->carry = NULL;
    if (l->counted) {
        shared_release(&l->worker->shared->servers[l->config->id]->pooled);
    }
    worker_release_place(l->worker, p->backend, p->server);
    pool_kick(l->worker, p->backend);
}

/* A catalog that was on its way will be asked for again. */
static void forget_question(struct pool_link *l, const struct flight *f)
{
    struct worker_server *ws = server_of(l);
    if ((f->flags & FLIGHT_OURS) == 0 || (f->kind != STEP_COMMAND && f->kind != STEP_INFO)) {
        return;
    }
    redis_catalog_end(ws->catalog);
    ws->catalog_busy = false;
    if (f->kind == STEP_COMMAND) {
        ws->catalog_asked = false;
    }
}

static void let_go(struct pool_link *l)
{
    struct pool *p = l->pool;
    flights_release(&l->flights);
    l->pool = NULL;
    p->links--;
    pool_maybe_free(p);
}

/* Before it goes on, it has to learn what became of what it had there. A part of a message, or of
 * what nobody looked at, cannot be gone on with. */
static void lose_lessee(struct pooled *p, bool torn)
{
    if (torn) {
        pooled_end(p);
        return;
    }
    p->holding = true;
    pooled_touch(p);
}

void link_lost(struct pool_link *l)
{
    if (l->state == LINK_CLOSED) {
        return;
    }
    struct pooled *lessee = l->lessee;
    bool passed = l->passed;
    link_unsend(l);
    detach(l);
    l->lessee = NULL;
    for (uint32_t i = 0; i < l->flights.count; i++) {
        const struct flight *f = flights_at(&l->flights, i);
        forget_question(l, f);
        if (f->client != NULL) {
            pooled_lost(f->client, f, i == 0, passed && i == 0);
        }
    }
    let_go(l);
    if (lessee != NULL && lessee->session != NULL) {
        lose_lessee(lessee, passed || l->raw);
    }
}

void link_close(struct pool_link *l)
{
    if (l->state == LINK_CLOSED) {
        return;
    }
    detach(l);
    for (uint32_t i = 0; i < l->flights.count; i++) {
        const struct flight *f = flights_at(&l->flights, i);
        forget_question(l, f);
        if (f->client != NULL) {
            f->client->flying--;
            pooled_unref(f->client);
        }
    }
    l->lessee = NULL;
    let_go(l);
}

/* Deadlines --------------------------------------------------------------------------------- */

void link_on_late(struct deadline *d)
{
    struct pool_link *l = container_of(d, struct pool_link, deadline);
    l->timer = NULL;
    fail(l, UV_ETIMEDOUT);
}

static size_t count(const struct list *head)
{
    size_t n = 0;
    LIST_EACH(it, head)
    {
        n++;
    }
    return n;
}

/* pool_min_idle is of all workers together; each keeps its part. */
void link_on_idle(struct deadline *d)
{
    struct pool_link *l = container_of(d, struct pool_link, deadline);
    const struct worker *w = l->worker;
    const struct backend_config *b = &w->config->backends[l->pool->backend];
    unsigned keep = (b->pool_min_idle + w->worker_count - 1) / w->worker_count;
    bool ours = credential_is_ours(l->worker, l->pool->backend, l->pool->identity.credential);
    bool used = l->flights.count > 0 || loop_now_ms(&w->loop) - l->used_ms < b->pool_idle_timeout;
    l->timer = NULL;
    if (used || (!ours && l->pool->identity.credential->clients > 0) ||
        (!link_is_old(l) && count(&l->pool->idle) <= keep && l->use == LINK_IDLE)) {
        link_arm(l, &backend_of(l)->link_idle);
        return;
    }
    link_close(l);
}

static bool others_wait(const struct pool_link *l, const struct pooled *but)
{
    for (uint32_t i = 0; i < l->flights.count; i++) {
        const struct flight *f = flights_at(&l->flights, i);
        if (f->client != but && (f->client == NULL || f->client->session != NULL)) {
            return true;
        }
    }
    return false;
}

void link_on_stall(struct deadline *d)
{
    struct pool_link *l = container_of(d, struct pool_link, deadline);
    struct pooled *p = l->clogged_by;
    l->timer = NULL;
    if (p != NULL && others_wait(l, p)) {
        metric_add(&l->worker->metrics.backends[l->pool->backend]->at[BACKEND_POOL_STALLED], 1);
        session_kill(p->session, END_CLIENT);
    } else {
        link_arm(l, &backend_of(l)->link_stall);
    }
}
