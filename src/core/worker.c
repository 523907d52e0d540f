#include "core/worker.h"

#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/session.h"
#include "router_proto.h"

#define ACCEPT_REST_MS 100
#define LOOK_MS        500

static struct session *of_deadline(struct deadline *d)
{
    return container_of(d, struct session, deadline);
}

/* Deadlines --------------------------------------------------------------------------------- */

static void on_idle_expired(struct deadline *d)
{
    struct session *s = of_deadline(d);
    metric_add(&s->worker->metrics.frontends[s->frontend->index].at[FRONTEND_IDLE_CLOSED], 1);
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

static void on_refuse_expired(struct deadline *d)
{
    struct session *s = of_deadline(d);
    session_close(s, s->end);
}

static void on_accept_again(struct deadline *d)
{
    struct worker *w = container_of(d, struct worker, accept_again);
    for (size_t i = 0; i < w->listener_count; i++) {
        listener_resume(&w->listeners[i].listener);
    }
}

/* Listeners --------------------------------------------------------------------------------- */

static void on_accept(struct listener *l, int fd, const struct address *from)
{
    struct worker_listener *wl = container_of(l, struct worker_listener, listener);
    session_accept(wl->worker, wl->frontend, fd, from);
}

static void on_exhausted(struct listener *l, int status)
{
    struct worker *w = container_of(l, struct worker_listener, listener)->worker;
    log_limited(&w->accept_gate, 1, LOG_LEVEL_WARN, "cannot accept: %s; trying again in %d ms",
                uv_strerror(status), ACCEPT_REST_MS);
    deadline_arm(&w->accept_rest, &w->accept_again);
}

static void on_listener_closed(struct listener *l)
{
    struct worker *w = container_of(l, struct worker_listener, listener)->worker;
    w->listeners_open--;
}

int worker_listen(struct worker *w, const struct frontend_config *frontend, int fd)
{
    struct worker_listener *wl = &w->listeners[w->listener_count];
    *wl = (struct worker_listener){
        .worker = w,
        .frontend = frontend,
        .listener = {.on_accept = on_accept,
                     .on_exhausted = on_exhausted,
                     .on_closed = on_listener_closed},
    };
    int rc = listener_start(&wl->listener, &w->loop, fd);
    if (rc == 0) {
        w->listener_count++;
        w->listeners_open++;
    }
    return rc;
}

static void close_listeners(struct worker *w)
{
    for (size_t i = 0; i < w->listener_count; i++) {
        listener_close(&w->listeners[i].listener);
    }
    deadline_disarm(&w->accept_rest, &w->accept_again);
}

/* What sessions tell control ---------------------------------------------------------------- */

void worker_doubt(struct worker *w, size_t backend, size_t server)
{
    struct shared_backend *shared = &w->shared->backends[backend];
    if (server == MESSAGE_WHOLE_BACKEND && atomic_exchange(&shared->doubted, true)) {
        return; /* control knows and has not looked yet */
    }
    struct message_doubt *m = malloc(sizeof *m);
    if (m == NULL) {
        atomic_store(&shared->doubted, false);
        return;
    }
    *m = (struct message_doubt){{.run = w->tell->doubt}, backend, server};
    mailbox_post(w->control, &m->message);
}

static void wake_waiter(struct worker *w, size_t backend)
{
    if (atomic_load(&w->shared->backends[backend].waiting[ROUTE_AUTO]) == 0) {
        return;
    }
    struct message_freed *m = malloc(sizeof *m);
    if (m != NULL) { /* else the next one that is freed wakes the waiter */
        *m = (struct message_freed){{.run = w->tell->freed}, backend};
        mailbox_post(w->control, &m->message);
    }
}

void worker_release_place(struct worker *w, size_t backend, size_t server)
{
    const struct server_config *config = &w->config->backends[backend].servers.items[server];
    shared_release(&w->shared->servers[config->id].connections);
    if (config->max_connections > 0) {
        wake_waiter(w, backend);
    }
}

void worker_settled(struct worker *w, size_t backend, size_t server)
{
    const struct server_config *config = &w->config->backends[backend].servers.items[server];
    shared_release(&w->shared->servers[config->id].settling);
    wake_waiter(w, backend);
}

void worker_written(struct worker *w, size_t backend)
{
    struct message_written *m = malloc(sizeof *m);
    if (m != NULL && atomic_exchange(&w->shared->backends[backend].write_awaited, false)) {
        *m = (struct message_written){{.run = w->tell->written}, backend};
        mailbox_post(w->control, &m->message);
    } else {
        free(m);
    }
}

/* Messages from control --------------------------------------------------------------------- */

static void reconsider_all(struct worker *w)
{
    for (size_t i = 0; i < w->config->server_count; i++) {
        LIST_EACH(it, &w->servers[i].links)
        {
            session_reconsider(container_of(it, struct server_link, node)->session);
        }
    }
}

static void on_topology(struct message *m, void *worker)
{
    struct worker *w = worker;
    struct message_topology *mt = container_of(m, struct message_topology, message);
    topology_unref(w->topology);
    w->topology = mt->topology;
    mt->topology = NULL;
    reconsider_all(w);
    if (w->topology->draining) {
        close_listeners(w);
        finisher_hurry(w);
    }
    mt->message.run = w->tell->ack;
    mailbox_post(w->control, &mt->message);
}

/* All sessions, listeners and waiters have come back: nothing else is posted to this thread. */
void worker_maybe_stop(struct worker *w)
{
    if (!w->stopping || w->stopped || !list_empty(&w->sessions) || w->waiters > 0 ||
        finisher_any(w)) {
        return;
    }
    w->stopped = true;
    loop_stop(&w->loop);
    w->stop->message.run = w->tell->stopped;
    mailbox_post(w->control, &w->stop->message);
}

static void on_stop(struct message *m, void *worker)
{
    struct worker *w = worker;
    w->stop = container_of(m, struct message_stop, message);
    w->stopping = true;
    close_listeners(w);
    LIST_EACH(it, &w->sessions)
    {
        session_shut_down(container_of(it, struct session, node));
    }
    finisher_hurry(w);
    cancel_stop(w);
    deadline_disarm(&w->look, &w->look_again);
    worker_maybe_stop(w);
}

/* Sessions keep the context that they were made with. */
static void on_tls(struct message *m, void *worker)
{
    struct worker *w = worker;
    struct message_tls *mt = container_of(m, struct message_tls, message);
    struct tls_context **at =
        mt->frontend ? &w->frontends[mt->index].tls : &w->backends[mt->index].tls;
    tls_context_unref(*at);
    *at = mt->context;
    free(mt);
}

const struct worker_inbox worker_inbox = {.topology = on_topology, .tls = on_tls, .stop = on_stop};

/* Beginning and end ------------------------------------------------------------------------- */

static void init_deadlines(struct worker *w)
{
    const struct config *c = w->config;
    for (size_t i = 0; i < c->frontend_count; i++) {
        struct worker_frontend *wf = &w->frontends[i];
        deadline_list_init(&wf->idle, &w->loop, c->frontends[i].idle_timeout, on_idle_expired);
        deadline_list_init(&wf->handshake, &w->loop, c->frontends[i].handshake_timeout,
                           edge_on_late);
        deadline_init(&wf->turn_again);
    }
    deadline_list_init(&w->turn, &w->loop, EDGE_TURN_MS, edge_on_turn);
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct backend_config *b = &c->backends[i];
        struct worker_backend *wb = &w->backends[i];
        deadline_list_init(&wb->queue, &w->loop, b->queue_timeout, session_on_queue_expired);
        const struct login_dialogue *login = b->protocol->login;
        deadline_list_init(&wb->login, &w->loop, login != NULL ? login->patience_ms : 0,
                           login_on_late);
        deadline_list_init(&wb->connect, &w->loop, b->connect_timeout, on_connect_expired);
        deadline_list_init(&wb->half, &w->loop, b->tcp_user_timeout, on_half_expired);
        deadline_list_init(&wb->drain, &w->loop, b->on_demotion.drain_ms, on_drain_expired);
    }
    deadline_list_init(&w->refuse, &w->loop, REFUSE_MS, on_refuse_expired);
    deadline_list_init(&w->finish, &w->loop, FINISH_MS, finisher_on_late);
    deadline_list_init(&w->finish_soon, &w->loop, FINISH_SOON_MS, finisher_on_late);
    deadline_list_init(&w->cancel, &w->loop, CANCEL_MS, cancel_on_late);
    deadline_list_init(&w->tune, &w->loop, TUNE_MS, session_on_tune);
    deadline_list_init(&w->settle, &w->loop, SETTLE_MS, session_on_settle);
    deadline_list_init(&w->accept_rest, &w->loop, ACCEPT_REST_MS, on_accept_again);
    deadline_list_init(&w->look, &w->loop, LOOK_MS, session_on_look);
    deadline_init(&w->accept_again);
    deadline_init(&w->look_again);
}

static struct tls_context *take(struct tls_context *context)
{
    return context != NULL ? tls_context_ref(context) : NULL;
}

static void init_tls(struct worker *w, const struct worker_setup *setup)
{
    const struct config *c = setup->config;
    bool any = false;
    for (size_t i = 0; i < c->frontend_count; i++) {
        struct worker_frontend *wf = &w->frontends[i];
        unsigned share = c->frontends[i].max_handshakes / setup->worker_count;
        wf->shaking_max = share > 0 ? share : 1;
        wf->tls = take(setup->frontend_tls[i]);
        any = any || wf->tls != NULL;
        list_init(&wf->turns);
        list_init(&wf->shaking);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        w->backends[i].tls = take(setup->backend_tls[i]);
    }
    if (any) { /* else OpenSSL would be set up for nothing, which is 2.5 MiB */
        tls_tickets_init(&w->tickets, setup->ticket_seed, setup->tickets_began_s);
    }
}

static void release_tls(struct worker *w)
{
    for (size_t i = 0; i < w->config->frontend_count; i++) {
        tls_context_unref(w->frontends[i].tls);
    }
    for (size_t i = 0; i < w->config->backend_count; i++) {
        tls_context_unref(w->backends[i].tls);
    }
    for (size_t i = 0; i < w->config->server_count; i++) {
        tls_resume_release(&w->servers[i].resume);
    }
    tls_tickets_release(&w->tickets);
}

static size_t count_binds(const struct config *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->frontend_count; i++) {
        n += c->frontends[i].binds.count;
    }
    return n;
}

static void release(struct worker *w)
{
    for (size_t i = 0; i < w->config->backend_count; i++) {
        balance_state_release(&w->backends[i].balance);
    }
    release_tls(w);
    topology_unref(w->topology);
    metrics_release(&w->metrics);
    free(w->listeners);
    free(w->frontends);
    free(w->backends);
    free(w->servers);
}

int worker_init(struct worker *w, const struct worker_setup *setup)
{
    const struct config *c = setup->config;
    *w = (struct worker){
        .index = setup->index,
        .config = c,
        .shared = setup->shared,
        .clients = setup->clients,
        .cancels = setup->cancels,
        .control = setup->control,
        .tell = setup->tell,
        .topology = topology_ref(setup->topology),
        .refusing_max = setup->refusing_max,
        .listeners = xcalloc(count_binds(c), sizeof *w->listeners),
        .frontends = xcalloc(c->frontend_count, sizeof *w->frontends),
        .backends = xcalloc(c->backend_count, sizeof *w->backends),
        .servers = xcalloc(c->server_count, sizeof *w->servers),
    };
    list_init(&w->sessions);
    list_init(&w->cancelling);
    metrics_init(&w->metrics, c);
    init_tls(w, setup);
    for (size_t i = 0; i < c->server_count; i++) {
        list_init(&w->servers[i].links);
        list_init(&w->servers[i].finishers);
    }
    int rc = 0;
    for (size_t i = 0; i < c->backend_count && rc == 0; i++) {
        rc = balance_state_init(&w->backends[i].balance, c->backends[i].servers.count,
                                uv_hrtime() + setup->index);
    }
    rc = rc == 0 ? loop_init(&w->loop, w) : rc;
    if (rc != 0) {
        release(w);
        return rc;
    }
    init_deadlines(w);
    return 0;
}

static void thread_main(void *arg)
{
    struct worker *w = arg;
    loop_run(&w->loop);
}

int worker_run(struct worker *w)
{
    return uv_thread_create(&w->thread, thread_main, w);
}

int worker_join(struct worker *w)
{
    uv_thread_join(&w->thread);
    int rc = loop_release(&w->loop);
    release(w);
    return rc;
}

void worker_abandon(struct worker *w)
{
    close_listeners(w);
    loop_stop(&w->loop);
    loop_run(&w->loop);
    loop_release(&w->loop);
    release(w);
}
