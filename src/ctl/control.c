#include "ctl/control.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/admin.h"
#include "ctl/apply.h"
#include "ctl/control_socket.h"
#include "ctl/names.h"
#include "ctl/predecessor.h"
#include "ctl/reporter.h"
#include "model/account_shares.h"
#include "model/cancel_table.h"
#include "model/client_table.h"
#include "model/login_guard.h"
#include "model/secret.h"
#include "model/thread_table.h"
#include "net/mailbox.h"

#define FILES_LOOK_MS 1000

/* Messages from workers --------------------------------------------------------------------- */

static void on_ack(struct message *m, void *control)
{
    struct control *c = control;
    struct message_topology *back = container_of(m, struct message_topology, message);
    c->workers[back->worker].acked = back->generation;
    free(back);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        backend_acknowledged(c->backends[i]);
    }
    upgrade_acknowledged(c);
    apply_clean(c);
    fence_publish(c); /* the second step of a fence may have waited for this */
}

static void on_doubt(struct message *m, void *control)
{
    struct control *c = control;
    struct message_doubt *doubt = container_of(m, struct message_doubt, message);
    if (doubt->counted) {
        backend_counted(c->backends[doubt->backend], doubt->server);
    } else {
        backend_doubt(c->backends[doubt->backend], doubt->server);
    }
    free(doubt);
}

static void on_freed(struct message *m, void *control)
{
    struct control *c = control;
    struct message_freed *freed = container_of(m, struct message_freed, message);
    waiting_serve(c->backends[freed->backend]);
    free(freed);
}

static void on_written(struct message *m, void *control)
{
    struct control *c = control;
    struct message_written *written = container_of(m, struct message_written, message);
    changes_written(c->backends[written->backend]);
    free(written);
}

/* To all workers. */
static void tell_spare(struct control *c, const struct message_spare *what)
{
    for (unsigned i = 0; i < c->worker_count && !c->stopping; i++) {
        struct message_spare *m = xcalloc(1, sizeof *m);
        *m = *what;
        m->message = (struct message){.run = c->tell->spare};
        mailbox_post(c->workers[i].mailbox, &m->message);
    }
}

void control_spare(struct control *c, size_t backend)
{
    tell_spare(c, &(struct message_spare){.backend = backend});
}

static void on_spare(struct message *m, void *control)
{
    struct message_spare *spare = container_of(m, struct message_spare, message);
    tell_spare(control, spare);
    free(spare);
}

static void on_ask(struct message *m, void *control)
{
    struct control *c = control;
    struct message_ask *asked = container_of(m, struct message_ask, message);
    if (c->stopping) {
        account_share_unref(asked->account);
        free(asked);
    } else {
        asked->message.run = c->tell->ask;
        mailbox_post(c->workers[asked->worker].mailbox, &asked->message);
    }
}

static void on_gift(struct message *m, void *control)
{
    struct control *c = control;
    struct message_gift *gift = container_of(m, struct message_gift, message);
    if (c->stopping) {
        size_t server = gift->server;
        gift->drop(gift);
        shared_release(&c->shared->servers[server]->connections);
    } else {
        gift->message.run = c->tell->gift;
        mailbox_post(c->workers[gift->worker].mailbox, &gift->message);
    }
}

static void on_wait(struct message *m, void *control)
{
    struct control *c = control;
    struct waiter *w = container_of(m, struct waiter, message);
    size_t backend = w->request.backend;
    waiting_add(c->backends[backend], w);
    if (!list_empty(&c->backends[backend]->waiters[ROUTE_PRIMARY]) &&
        config_pools_backend(c->config, backend)) { /* idle connections of pools take places too */
        control_spare(c, backend);
    }
}

static void on_cancel(struct message *m, void *control)
{
    struct control *c = control;
    struct waiter *w = container_of(m, struct waiter, cancel);
    waiting_cancel(c->backends[w->request.backend], w);
}

void control_end(struct control *c)
{
    for (size_t i = 0; i < c->config->backend_count; i++) {
        backend_stop(c->backends[i]);
    }
    names_close(c->names);
    c->names = NULL;
    if (c->admin != NULL) {
        admin_close(c->admin);
        c->admin = NULL;
    }
    control_sockets_close(c->sockets);
    if (c->reporter != NULL) {
        reporter_end(c->reporter);
        c->reporter = NULL;
    }
    upgrade_end(c);
    predecessor_end(c);
    uv_close((uv_handle_t *)&c->start_timer, NULL);
    drain_end(c);
    uv_close((uv_handle_t *)&c->files_timer, NULL);
    loop_stop(&c->loop);
}

static void on_stopped(struct message *m, void *control)
{
    struct control *c = control;
    struct message_stop *back = container_of(m, struct message_stop, message);
    c->workers[back->worker].stopped = true;
    free(back);
    if (++c->workers_stopped == c->worker_count) {
        drain_tell(c);
        control_end(c);
    }
}

const struct control_inbox control_inbox = {
    .ack = on_ack,
    .doubt = on_doubt,
    .freed = on_freed,
    .spare = on_spare,
    .ask = on_ask,
    .gift = on_gift,
    .wait = on_wait,
    .cancel = on_cancel,
    .written = on_written,
    .stopped = on_stopped,
};

/* Beginning and end ------------------------------------------------------------------------- */

bool control_ready(const struct control *c)
{
    bool ready = !c->draining;
    for (size_t i = 0; i < c->config->backend_count && ready; i++) {
        ready = c->start_over || backend_ready(c->backends[i]);
    }
    return ready;
}

static void on_start_timeout(uv_timer_t *timer)
{
    struct control *c = container_of(timer, struct control, start_timer);
    c->start_over = true;
}

/* Probes look up the current context at each connect; workers are told. */
static void on_new_tls(void *receiver, bool frontend, size_t index)
{
    struct control *c = receiver;
    struct certificates *own = c->certificates;
    struct tls_context *context = frontend ? own->frontend_tls[index] : own->backend_tls[index];
    for (unsigned i = 0; i < c->worker_count && !c->stopping; i++) {
        struct message_tls *m = xcalloc(1, sizeof *m);
        *m = (struct message_tls){
            .message.run = c->tell->tls,
            .frontend = frontend,
            .index = index,
            .context = tls_context_ref(context),
        };
        mailbox_post(c->workers[i].mailbox, &m->message);
    }
}

/* Pools log in as probe_user: workers are told when its password is another one. */
static void tell_password(struct control *c, struct backend_control *b)
{
    const char *now = b->probes.secret.value;
    const char *told = b->pool_password;
    bool same = now == told || (now != NULL && told != NULL && strcmp(now, told) == 0);
    if (same || !config_pools_backend(c->config, b->config->index)) {
        return;
    }
    secret_free(b->pool_password);
    b->pool_password = now != NULL ? xstrdup(now) : NULL;
    for (unsigned i = 0; i < c->worker_count && !c->stopping; i++) {
        struct message_password *m = xcalloc(1, sizeof *m);
        *m = (struct message_password){
            .message.run = c->tell->password,
            .backend = b->config->index,
            .password = now != NULL ? xstrdup(now) : NULL,
        };
        mailbox_post(c->workers[i].mailbox, &m->message);
    }
}

static void on_files_look(uv_timer_t *timer)
{
    struct control *c = container_of(timer, struct control, files_timer);
    tally_look(c);
    certificates_look(c->certificates, time(NULL), on_new_tls, c);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        backend_take_tls(c->backends[i]);
        probes_refresh_secret(&c->backends[i]->probes);
        tell_password(c, c->backends[i]);
        authority_refresh_secret(c->backends[i]);
    }
    apply_clean(c);
    if (c->admin != NULL) {
        admin_look_at_files(c->admin);
    }
}

static void open_tables(struct control *c, const struct control_setup *setup)
{
    c->guard = login_guard_new();
    c->threads = thread_table_new();
    c->shares = account_shares_new(setup->worker_count);
    if (config_limits_by_address(c->config)) {
        c->clients = client_table_new(client_table_size(setup->sized.max_sessions));
    }
    if (setup->sized.cancels) {
        c->cancels = cancel_table_new(setup->sized.max_sessions);
    }
}

int control_init(struct control *c, const struct control_setup *setup)
{
    struct config *config = setup->config;
    *c = (struct control){
        .config = config,
        .sent_config = config,
        .admin_at = setup->admin_at,
        .pid_file = setup->pid_file,
        .started = config,
        .config_path = setup->config_path,
        .maker = setup->maker,
        .size = setup->size,
        .refusing_max = setup->sized.refusing_max,
        .bound.workers = setup->worker_count,
        .shared = shared_new(config, setup->sized.max_sessions),
        .tell = setup->tell,
        .certificates = setup->certificates,
        .sockets = setup->sockets,
        .worker_count = setup->worker_count,
        .workers = xcalloc(setup->worker_count, sizeof *c->workers),
        .published = topology_new(config),
        .backends = xcalloc(config->backend_count, sizeof(struct backend_control *)),
        .started_unix = (uint64_t)time(NULL),
    };
    list_init(&c->leaving);
    open_tables(c, setup);
    for (unsigned i = 0; i < c->worker_count; i++) {
        metrics_init(&c->workers[i].metrics, config);
    }
    list_init(&c->rounds);
    int rc = c->published == NULL ? UV_ENOMEM : uv_mutex_init(&c->config_lock);
    rc = rc == 0 ? loop_init(&c->loop, c) : rc;
    for (size_t i = 0; i < config->backend_count && rc == 0; i++) {
        c->backends[i] = xcalloc(1, sizeof **c->backends);
        rc = backend_init(c->backends[i], c, &config->backends[i]);
    }
    if (rc == 0) {
        c->names = names_new(c);
        rc = c->names == NULL ? UV_ENOMEM : 0;
    }
    if (rc == 0) {
        uv_timer_init(&c->loop.uv, &c->start_timer);
        drain_init(c);
        uv_timer_init(&c->loop.uv, &c->files_timer);
        c->started_ms = loop_now_ms(&c->loop);
    }
    return rc;
}

void control_start(struct control *c)
{
    uv_timer_start(&c->start_timer, on_start_timeout, c->config->router.start_timeout, 0);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        backend_start(c->backends[i]);
    }
    names_follow(c->names);
    uv_timer_start(&c->files_timer, on_files_look, FILES_LOOK_MS, FILES_LOOK_MS);
    fence_publish(c);
    if (c->predecessor == NULL) { /* else once it has handed over */
        c->reporter = reporter_new(c);
    }
}

void control_release(struct control *c)
{
    for (size_t i = 0; i < c->config->backend_count; i++) {
        backend_release(c->backends[i]);
        free(c->backends[i]);
    }
    for (unsigned i = 0; i < c->worker_count; i++) {
        metrics_release(&c->workers[i].metrics);
    }
    tally_release(&c->tally);
    topology_unref(c->published);
    free(c->backends);
    free(c->workers);
    client_table_free(c->clients);
    login_guard_free(c->guard);
    thread_table_free(c->threads);
    account_shares_free(c->shares);
    cancel_table_free(c->cancels);
    shared_free(c->shared);
    sockets_release(&c->bound);
    apply_release(c);
    uv_mutex_destroy(&c->config_lock);
}
