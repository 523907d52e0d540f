#include "core/worker.h"

#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/adopt.h"
#include "core/kill.h"
#include "core/listeners.h"
#include "core/mysql_client.h"
#include "core/mysql_ends.h"
#include "core/mysql_limits.h"
#include "core/mysql_link.h"
#include "core/mysql_move.h"
#include "core/parts.h"
#include "core/pool_seen.h"
#include "core/pooled.h"
#include "core/session.h"
#include "core/show_sessions.h"
#include "model/secret.h"
#include "router_proto.h"

#define LOOK_MS 500

/* Deadlines --------------------------------------------------------------------------------- */

static void on_refuse_expired(struct deadline *d)
{
    struct session *s = container_of(d, struct session, deadline);
    session_close(s, s->end);
}

/* What sessions tell control ---------------------------------------------------------------- */

void worker_doubt(struct worker *w, size_t backend, size_t server)
{
    struct shared_backend *shared = w->shared->backends[backend];
    if (server == MESSAGE_WHOLE_BACKEND && atomic_exchange(&shared->doubted, true)) {
        return; /* control knows and has not looked yet */
    }
    struct message_doubt *m = malloc(sizeof *m);
    if (m == NULL) {
        atomic_store(&shared->doubted, false);
        return;
    }
    *m = (struct message_doubt){{.run = w->tell->doubt}, backend, server, false};
    mailbox_post(w->control, &m->message);
}

void worker_counted(struct worker *w, size_t backend, size_t server)
{
    const struct server_config *config = &w->config->backends[backend].servers.items[server];
    struct shared_server *shared = w->shared->servers[config->id];
    if (atomic_exchange(&shared->counted, true)) {
        return; /* control knows */
    }
    struct message_doubt *m = malloc(sizeof *m);
    if (m == NULL) {
        atomic_store(&shared->counted, false);
        return;
    }
    *m = (struct message_doubt){{.run = w->tell->doubt}, backend, server, true};
    mailbox_post(w->control, &m->message);
}

static void wake_waiter(struct worker *w, size_t backend)
{
    if (atomic_load(&w->shared->backends[backend]->waiting[ROUTE_AUTO]) == 0) {
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
    shared_release(&w->shared->servers[config->id]->connections);
    if (config->max_connections > 0) {
        wake_waiter(w, backend);
    }
}

void worker_settled(struct worker *w, size_t backend, size_t server)
{
    const struct server_config *config = &w->config->backends[backend].servers.items[server];
    shared_release(&w->shared->servers[config->id]->settling);
    wake_waiter(w, backend);
}

void worker_written(struct worker *w, size_t backend)
{
    struct message_written *m = malloc(sizeof *m);
    if (m != NULL && atomic_exchange(&w->shared->backends[backend]->write_awaited, false)) {
        *m = (struct message_written){{.run = w->tell->written}, backend};
        mailbox_post(w->control, &m->message);
    } else {
        free(m);
    }
}

/* Messages from control --------------------------------------------------------------------- */

static void reconsider_all(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        LIST_EACH(it, &w->servers[i]->links)
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
    if (mt->change != NULL) {
        worker_adopt(w, mt->change);
        mt->change = NULL;
    }
    reconsider_all(w);
    pools_reconsider(w);
    if (w->topology->draining) {
        listeners_close(w);
        finisher_hurry(w);
    }
    if (w->topology->ending) {
        mysql_ends_drain(w);
    }
    mt->message.run = w->tell->ack;
    mailbox_post(w->control, &mt->message);
}

/* All sessions, listeners and waiters have come back: nothing else is posted to this thread. */
void worker_maybe_stop(struct worker *w)
{
    if (!w->stopping || w->stopped || !list_empty(&w->sessions) || w->kills > 0 ||
        finisher_any(w)) {
        return;
    }
    pools_stop(w);
    if (w->links > 0 || w->waiters > 0) {
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
    listeners_close(w);
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
        mt->frontend ? &w->frontends[mt->index]->tls : &w->backends[mt->index]->tls;
    tls_context_unref(*at);
    *at = mt->context;
    free(mt);
}

static void on_password(struct message *m, void *worker)
{
    struct worker *w = worker;
    struct message_password *mp = container_of(m, struct message_password, message);
    struct worker_backend *wb = w->backends[mp->backend];
    secret_free(wb->password);
    wb->password = mp->password;
    free(mp);
}

static void on_spare(struct message *m, void *worker)
{
    struct message_spare *spare = container_of(m, struct message_spare, message);
    if (spare->of_account) {
        mysql_limits_told(worker, spare->server, spare->account);
    } else {
        pools_spare(worker, spare->backend);
    }
    free(spare);
}

static void on_beat(struct message *m, void *worker)
{
    struct worker *w = worker;
    m->run = container_of(m, struct message_beat, message)->back;
    mailbox_post(w->control, m);
}

const struct worker_inbox worker_inbox = {
    .topology = on_topology,
    .tls = on_tls,
    .password = on_password,
    .spare = on_spare,
    .ask = mysql_move_asked,
    .gift = mysql_move_given,
    .beat = on_beat,
    .kill = kill_sessions,
    .sessions = show_sessions,
    .pool = show_pool,
    .slow = show_slow,
    .stop = on_stop,
};

/* Beginning and end ------------------------------------------------------------------------- */

static void init_deadlines(struct worker *w)
{
    deadline_list_init(&w->turn, &w->loop, EDGE_TURN_MS, edge_on_turn);
    deadline_list_init(&w->refuse, &w->loop, REFUSE_MS, on_refuse_expired);
    deadline_list_init(&w->finish, &w->loop, FINISH_MS, finisher_on_late);
    deadline_list_init(&w->finish_soon, &w->loop, FINISH_SOON_MS, finisher_on_late);
    deadline_list_init(&w->cancel, &w->loop, CANCEL_MS, cancel_on_late);
    deadline_list_init(&w->mysql_give, &w->loop, MYSQL_GIVE_MS, mysql_pool_on_give);
    deadline_list_init(&w->mysql_slow, &w->loop, MYSQL_SLOW_MS, mysql_slow_on_tick);
    deadline_list_init(&w->mysql_abandoned, &w->loop, FINISH_MS, mysql_link_on_late);
    deadline_list_init(&w->mysql_rest, &w->loop, MYSQL_REST_MS, mysql_ends_on_rest);
    deadline_list_init(&w->tune, &w->loop, TUNE_MS, session_on_tune);
    deadline_list_init(&w->settle, &w->loop, SETTLE_MS, session_on_settle);
    deadline_list_init(&w->accept_rest, &w->loop, ACCEPT_REST_MS, listeners_on_again);
    deadline_list_init(&w->look, &w->loop, LOOK_MS, session_on_look);
    deadline_init(&w->mysql_give_again);
    deadline_init(&w->accept_again);
    deadline_init(&w->look_again);
}

static void release(struct worker *w)
{
    pooled_bury_all(w);
    parts_release(w);
    topology_unref(w->topology);
}

int worker_init(struct worker *w, const struct worker_setup *setup)
{
    const struct config *c = setup->config;
    *w = (struct worker){
        .index = setup->index,
        .worker_count = setup->worker_count,
        .config = c,
        .shared = setup->shared,
        .clients = setup->clients,
        .guard = setup->guard,
        .threads = setup->threads,
        .shares = setup->shares,
        .cancels = setup->cancels,
        .control = setup->control,
        .tell = setup->tell,
        .metrics = setup->metrics,
        .topology = topology_ref(setup->topology),
        .refusing_max = setup->refusing_max,
    };
    slow_init(&w->slow);
    list_init(&w->sessions);
    list_init(&w->listeners);
    list_init(&w->cancelling);
    list_init(&w->pool_dirty);
    list_init(&w->touched);
    list_init(&w->pooled_gone);
    list_init(&w->credentials);
    list_init(&w->mysql_touched);
    uv_random(NULL, NULL, w->credential_key, sizeof w->credential_key, 0, NULL);
    int rc = loop_init(&w->loop, w);
    if (rc != 0) {
        release(w);
        return rc;
    }
    init_deadlines(w);
    loop_at_turn(&w->loop, pools_on_turn);
    parts_extend(w, setup->frontend_tls, setup->backend_tls);
    parts_start_tls(w, setup->ticket_seed, setup->tickets_began_s);
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
    listeners_close(w);
    loop_stop(&w->loop);
    loop_run(&w->loop);
    loop_release(&w->loop);
    release(w);
}
