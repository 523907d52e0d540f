#include "core/parts.h"

#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/mysql_link.h"
#include "core/pool.h"
#include "core/session.h"
#include "core/worker.h"
#include "model/secret.h"
#include "proto/redis_catalog.h"
#include "router_proto.h"

/* Deadlines --------------------------------------------------------------------------------- */

static struct session *of_deadline(struct deadline *d)
{
    return container_of(d, struct session, deadline);
}

static void on_idle_expired(struct deadline *d)
{
    struct session *s = of_deadline(d);
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_IDLE_CLOSED], 1);
    session_close(s, END_IDLE);
}

static void on_connect_expired(struct deadline *d)
{
    struct session *s = of_deadline(d);
    session_connect_failed(s, UV_ETIMEDOUT);
}

static void on_drain_expired(struct deadline *d)
{
    struct session *s = of_deadline(d);
    metric_add(&s->server->counters->at[SERVER_FENCED], 1);
    session_kill(s, END_FENCED);
}

/* The server has ended long ago, and the client has not noticed. */
static void on_half_expired(struct deadline *d)
{
    session_close(of_deadline(d), END_DONE);
}

/* The parts --------------------------------------------------------------------------------- */

static struct worker_frontend *frontend_new(struct worker *w)
{
    struct worker_frontend *wf = xcalloc(1, sizeof *wf);
    deadline_list_init(&wf->idle, &w->loop, 0, on_idle_expired);
    deadline_list_init(&wf->handshake, &w->loop, 0, edge_on_late);
    deadline_init(&wf->turn_again);
    list_init(&wf->turns);
    list_init(&wf->shaking);
    return wf;
}

static struct worker_backend *backend_new(struct worker *w)
{
    struct worker_backend *wb = xcalloc(1, sizeof *wb);
    deadline_list_init(&wb->queue, &w->loop, 0, session_on_queue_expired);
    deadline_list_init(&wb->login, &w->loop, 0, login_on_late);
    deadline_list_init(&wb->connect, &w->loop, 0, on_connect_expired);
    deadline_list_init(&wb->half, &w->loop, 0, on_half_expired);
    deadline_list_init(&wb->drain, &w->loop, 0, on_drain_expired);
    deadline_list_init(&wb->link_connect, &w->loop, 0, link_on_late);
    deadline_list_init(&wb->link_idle, &w->loop, 0, link_on_idle);
    deadline_list_init(&wb->link_stall, &w->loop, LINK_STALL_MS, link_on_stall);
    deadline_list_init(&wb->link_doom, &w->loop, LINK_DOOM_MS, link_on_doom);
    deadline_list_init(&wb->retry, &w->loop, POOL_RETRY_MS, pool_on_kick);
    deadline_init(&wb->again);
    deadline_list_init(&wb->mysql_clean, &w->loop, MYSQL_CLEAN_MS, mysql_pool_on_clean);
    deadline_list_init(&wb->mysql_idle, &w->loop, 0, mysql_pool_on_idle);
    deadline_list_init(&wb->mysql_late, &w->loop, 0, mysql_link_on_late);
    list_init(&wb->mysql_greetless);
    list_init(&wb->mysql_waiting);
    list_init(&wb->held);
    balance_state_init(&wb->balance, uv_hrtime() + w->index);
    return wb;
}

static struct worker_server *server_new(void)
{
    struct worker_server *ws = xcalloc(1, sizeof *ws);
    list_init(&ws->links);
    list_init(&ws->finishers);
    list_init(&ws->pools);
    list_init(&ws->pool_links);
    list_init(&ws->mysql_links);
    list_init(&ws->mysql_idle);
    list_init(&ws->mysql_users);
    return ws;
}

static void set_context(struct tls_context **at, struct tls_context *context)
{
    struct tls_context *old = *at;
    *at = context != NULL ? tls_context_ref(context) : NULL;
    tls_context_unref(old);
}

static void set_frontend(struct worker *w, size_t i, struct tls_context *tls)
{
    const struct frontend_config *f = &w->config->frontends[i];
    struct worker_frontend *wf = w->frontends[i];
    unsigned share = f->max_handshakes / w->worker_count;
    wf->shaking_max = share > 0 ? share : 1;
    deadline_list_change(&wf->idle, f->idle_timeout);
    deadline_list_change(&wf->handshake, f->handshake_timeout);
    set_context(&wf->tls, tls);
}

static void set_backend(struct worker *w, size_t i, struct tls_context *tls)
{
    const struct backend_config *b = &w->config->backends[i];
    const struct login_dialogue *login = b->protocol->login;
    struct worker_backend *wb = w->backends[i];
    deadline_list_change(&wb->queue, b->queue_timeout);
    deadline_list_change(&wb->login, login != NULL ? login->patience_ms : 0);
    deadline_list_change(&wb->connect, b->connect_timeout);
    deadline_list_change(&wb->half, b->tcp_user_timeout);
    deadline_list_change(&wb->drain, b->on_demotion.drain_ms);
    deadline_list_change(&wb->link_connect, b->connect_timeout);
    deadline_list_change(&wb->link_idle, b->pool_idle_timeout);
    deadline_list_change(&wb->mysql_idle, b->pool_idle_timeout);
    deadline_list_change(&wb->mysql_late, b->connect_timeout);
    if (wb->password == NULL && b->probe_password != NULL) {
        wb->password = xstrdup(b->probe_password);
    }
    set_context(&wb->tls, tls);
}

/* A table with room for one more than `count`, so that it is never empty. */
static void *grow(void *table, size_t count)
{
    return xrealloc(table, (count + 1) * sizeof(void *));
}

void parts_extend(struct worker *w, struct tls_context *const *frontend_tls,
                  struct tls_context *const *backend_tls)
{
    const struct config *c = w->config;
    w->frontends = grow(w->frontends, c->frontend_count);
    while (w->frontend_count < c->frontend_count) {
        w->frontends[w->frontend_count++] = frontend_new(w);
    }
    w->backends = grow(w->backends, c->backend_count);
    while (w->backend_count < c->backend_count) {
        w->backends[w->backend_count++] = backend_new(w);
    }
    w->servers = grow(w->servers, c->server_count);
    while (w->server_count < c->server_count) {
        w->servers[w->server_count++] = server_new();
    }
    for (size_t i = 0; i < c->frontend_count; i++) {
        set_frontend(w, i, frontend_tls[i]);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        set_backend(w, i, backend_tls[i]);
    }
}

void parts_start_tls(struct worker *w, const unsigned char *ticket_seed, uint64_t tickets_began_s)
{
    for (size_t i = 0; i < w->frontend_count && !w->tickets_begun; i++) {
        if (w->frontends[i]->tls != NULL) { /* else OpenSSL would be set up for nothing: 2.5 MiB */
            tls_tickets_init(&w->tickets, ticket_seed, tickets_began_s);
            w->tickets_begun = true;
        }
    }
}

void parts_release(struct worker *w)
{
    for (size_t i = 0; i < w->frontend_count; i++) {
        tls_context_unref(w->frontends[i]->tls);
        free(w->frontends[i]);
    }
    for (size_t i = 0; i < w->backend_count; i++) {
        tls_context_unref(w->backends[i]->tls);
        balance_state_release(&w->backends[i]->balance);
        secret_free(w->backends[i]->password);
        free(w->backends[i]);
    }
    for (size_t i = 0; i < w->server_count; i++) {
        tls_resume_release(&w->servers[i]->resume);
        redis_catalog_free(w->servers[i]->catalog);
        free(w->servers[i]->limits);
        free(w->servers[i]);
    }
    tls_tickets_release(&w->tickets);
    free(w->frontends);
    free(w->backends);
    free(w->servers);
}
