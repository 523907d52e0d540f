/* Puts the parts together: limits, sockets, workers, control; and takes them apart again. */
#include "router.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "capacity.h"
#include "core/worker.h"
#include "ctl/admin.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"
#include "ctl/operate.h"
#include "ctl/probe_once.h"
#include "identity.h"
#include "router_proto.h"

/* An address without a session is forgotten when about so many others have come since. What it did
 * counts for a second, so this is how many sessions a second a flood would have to begin. 3 MB. */
#define CLIENT_TABLE_SLACK 65536

struct router {
    const struct config *config;
    struct shared *shared;
    struct client_table *clients;
    struct cancel_table *cancels;
    struct certificates certificates;
    struct control_sockets *sockets;
    struct identity identity;
    struct control control;
    bool control_ready;
    struct worker *workers;
    unsigned worker_count;
    unsigned workers_ready; /* initialised */
    struct capacity capacity;
    size_t bind_count;
    int *fds;                    /* bind_count * worker_count; -1 = handed over */
    struct listener_path *paths; /* of each bind, and behind them of the admin address */
    int admin_fd;
    uv_signal_t term;
    uv_signal_t interrupt;
    uv_signal_t reopen;
    bool signalled;
    struct message drain;
    atomic_bool drain_posted; /* the message is not ours any more */
    char *why;                /* borrowed, during router_start() */
    unsigned why_size;
};

static int explain(struct router *r, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int explain(struct router *r, int rc, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->why, r->why_size, fmt, args);
    va_end(args);
    return rc;
}

/* Sockets ----------------------------------------------------------------------------------- */

static size_t count_binds(const struct config *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->frontend_count; i++) {
        n += c->frontends[i].binds.count;
    }
    return n;
}

static int bind_frontend(struct router *r, const struct frontend_config *f, size_t first)
{
    const struct backend_config *b = &r->config->backends[f->backend];
    struct conn_tcp tcp = {b->tcp_keepalive, b->tcp_user_timeout};
    for (size_t i = 0; i < f->binds.count; i++) {
        const struct address *at = &f->binds.items[i].address;
        int rc = listener_bind(at, &tcp, r->fds + (first + i) * r->worker_count, r->worker_count);
        if (rc != 0) {
            return explain(r, rc, "frontend %s: cannot bind %s: %s", f->name,
                           f->binds.items[i].text, uv_strerror(rc));
        }
        r->paths[first + i] = listener_path_of(at);
    }
    return 0;
}

static int bind_all(struct router *r)
{
    size_t bind = 0;
    for (size_t i = 0; i < r->config->frontend_count; i++) {
        const struct frontend_config *f = &r->config->frontends[i];
        int rc = bind_frontend(r, f, bind);
        if (rc != 0) {
            return rc;
        }
        bind += f->binds.count;
    }
    return 0;
}

static int bind_admin(struct router *r)
{
    const struct router_config *c = &r->config->router;
    struct address at;
    if (c->admin == NULL || address_parse(&at, c->admin) != 0) {
        return 0;
    }
    struct conn_tcp tcp = {30000, 30000};
    int rc = listener_bind(&at, &tcp, &r->admin_fd, 1);
    if (rc == 0) {
        r->paths[r->bind_count] = listener_path_of(&at);
        return 0;
    }
    r->admin_fd = -1;
    if (c->admin_written) {
        return explain(r, rc, "cannot bind the admin address %s: %s", c->admin, uv_strerror(rc));
    }
    log_warn("no admin address: cannot bind %s: %s", c->admin, uv_strerror(rc));
    return 0;
}

static void unlink_paths(const struct router *r)
{
    size_t bind = 0;
    for (size_t i = 0; i < r->config->frontend_count; i++) {
        const struct bind_list *binds = &r->config->frontends[i].binds;
        for (size_t j = 0; j < binds->count; j++, bind++) {
            listener_unlink(&binds->items[j].address, &r->paths[bind]);
        }
    }
    struct address admin;
    if (r->config->router.admin != NULL && address_parse(&admin, r->config->router.admin) == 0) {
        listener_unlink(&admin, &r->paths[r->bind_count]);
    }
}

/* Workers and control ----------------------------------------------------------------------- */

static int listen_all(struct router *r, struct worker *w)
{
    size_t bind = 0;
    for (size_t i = 0; i < r->config->frontend_count; i++) {
        const struct frontend_config *f = &r->config->frontends[i];
        for (size_t j = 0; j < f->binds.count; j++, bind++) {
            int *fd = &r->fds[bind * r->worker_count + w->index];
            int rc = worker_listen(w, f, *fd);
            *fd = -1;
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

static int init_worker(struct router *r, unsigned index, const unsigned char *ticket_seed,
                       uint64_t tickets_began_s)
{
    struct worker *w = &r->workers[index];
    struct worker_setup setup = {
        .index = index,
        .worker_count = r->worker_count,
        .config = r->config,
        .shared = r->shared,
        .clients = r->clients,
        .cancels = r->cancels,
        .control = &r->control.loop.mailbox,
        .tell = &control_inbox,
        .topology = r->control.published,
        .metrics = r->control.workers[index].metrics,
        .refusing_max = r->capacity.refusing_max,
        .frontend_tls = r->certificates.frontend_tls,
        .backend_tls = r->certificates.backend_tls,
        .ticket_seed = ticket_seed,
        .tickets_began_s = tickets_began_s,
    };
    int rc = worker_init(w, &setup);
    if (rc != 0) {
        return explain(r, rc, "cannot start a worker: %s", uv_strerror(rc));
    }
    r->workers_ready++;
    r->control.workers[index].mailbox = &w->loop.mailbox;
    rc = listen_all(r, w);
    return rc == 0 ? 0 : explain(r, rc, "cannot listen: %s", uv_strerror(rc));
}

static int init_workers(struct router *r)
{
    unsigned char ticket_seed[TLS_SEED_BYTES];
    uint64_t tickets_began_s = tls_tickets_now();
    int rc = 0;
    arc4random_buf(ticket_seed, sizeof ticket_seed);
    for (unsigned i = 0; i < r->worker_count && rc == 0; i++) {
        rc = init_worker(r, i, ticket_seed, tickets_began_s);
    }
    wipe(ticket_seed, sizeof ticket_seed);
    return rc;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct router *r = handle->data;
    if (r->signalled) {
        log_warn("second signal: ending at once");
        _exit(1);
    }
    r->signalled = true;
    log_info("%s: draining", number == SIGINT ? "SIGINT" : "SIGTERM");
    control_drain(&r->control);
}

static void on_reopen(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    log_reopen();
}

static void watch_signals(struct router *r)
{
    uv_signal_init(&r->control.loop.uv, &r->term);
    uv_signal_init(&r->control.loop.uv, &r->interrupt);
    uv_signal_init(&r->control.loop.uv, &r->reopen);
    r->term.data = r;
    r->interrupt.data = r;
    uv_signal_start(&r->term, on_signal, SIGTERM);
    uv_signal_start(&r->interrupt, on_signal, SIGINT);
    uv_signal_start(&r->reopen, on_reopen, SIGUSR1);
    uv_unref((uv_handle_t *)&r->term);
    uv_unref((uv_handle_t *)&r->interrupt);
    uv_unref((uv_handle_t *)&r->reopen);
}

static int init_certificates(struct router *r)
{
    char why[CERTIFICATES_WHY_MAX];
    int rc = certificates_init(&r->certificates, r->config, why);
    if (rc != 0) {
        return explain(r, rc, "%s", why);
    }
    certificates_tell(&r->certificates, time(NULL), true);
    return 0;
}

static int init_control(struct router *r)
{
    unsigned max_sessions = r->capacity.max_sessions;
    r->shared = shared_new(r->config, max_sessions);
    if (r->shared == NULL) {
        return explain(r, UV_ENOMEM, "out of memory");
    }
    if (capacity_limits_by_address(r->config)) {
        /* Its parts fill unevenly, and the fullest one refuses first. */
        r->clients = client_table_new((size_t)max_sessions * 2 + CLIENT_TABLE_SLACK);
        if (r->clients == NULL) {
            return explain(r, UV_ENOMEM, "out of memory");
        }
    }
    if (capacity_knows_cancelling(r->config)) {
        r->cancels = cancel_table_new(max_sessions);
    }
    struct control_setup setup = {
        .config = r->config,
        .shared = r->shared,
        .tell = &worker_inbox,
        .certificates = &r->certificates,
        .sockets = r->sockets,
        .worker_count = r->worker_count,
    };
    int rc = control_init(&r->control, &setup);
    if (rc != 0) {
        return explain(r, rc, "cannot start: %s", uv_strerror(rc));
    }
    r->control_ready = true;
    return 0;
}

static void close_sockets(struct router *r)
{
    for (size_t i = 0; i < r->bind_count * r->worker_count; i++) {
        if (r->fds[i] >= 0) {
            close(r->fds[i]);
        }
    }
    if (r->admin_fd >= 0) {
        close(r->admin_fd);
    }
}

static int prepare(struct router *r)
{
    r->capacity.workers = r->worker_count;
    r->capacity.sockets = r->bind_count * r->worker_count;
    int rc = capacity_find(&r->capacity, r->config, r->why, r->why_size);
    rc = rc != 0 ? rc : init_certificates(r);
    rc = rc != 0 ? rc : identity_begin(&r->identity, r->config, r->why, r->why_size);
    rc = rc != 0 ? rc : bind_all(r);
    rc = rc != 0 ? rc : bind_admin(r);
    rc = rc != 0 ? rc : control_sockets_bind(&r->sockets, r->config, r->why, r->why_size);
    rc = rc != 0 ? rc : identity_settle(&r->identity, r->config, r->why, r->why_size);
    rc = rc != 0 ? rc : init_control(r);
    rc = rc != 0 ? rc : init_workers(r);
    return rc != 0 ? rc : control_sockets_start(r->sockets, &r->control);
}

/* Undoes prepare(), however far it came. */
static void abandon(struct router *r)
{
    for (unsigned i = 0; i < r->workers_ready; i++) {
        worker_abandon(&r->workers[i]);
    }
    if (r->control_ready) {
        control_end(&r->control);
        loop_run(&r->control.loop);
        loop_release(&r->control.loop);
        control_release(&r->control);
    }
    close_sockets(r);
    unlink_paths(r);
}

static void free_parts(struct router *r)
{
    client_table_free(r->clients);
    cancel_table_free(r->cancels);
    control_sockets_release(r->sockets);
    shared_free(r->shared);
    certificates_release(&r->certificates);
    identity_end(&r->identity);
    free(r->workers);
    free(r->fds);
    free(r->paths);
    free(r);
}

/* Runs the control loop to its end, then takes everything apart. 0 or UV_EBUSY. */
static int finish(struct router *r)
{
    loop_run(&r->control.loop);
    int rc = 0;
    for (unsigned i = 0; i < r->worker_count; i++) {
        int worker_rc = worker_join(&r->workers[i]);
        rc = rc != 0 ? rc : worker_rc;
    }
    uv_close((uv_handle_t *)&r->term, NULL);
    uv_close((uv_handle_t *)&r->interrupt, NULL);
    uv_close((uv_handle_t *)&r->reopen, NULL);
    signal(SIGTERM, SIG_IGN); /* it ends already: another one would leave the socket files behind */
    signal(SIGINT, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    loop_run(&r->control.loop);
    int control_rc = loop_release(&r->control.loop);
    control_release(&r->control);
    unlink_paths(r);
    return rc != 0 ? rc : control_rc;
}

/* All threads, or none: a listener without its thread would leave clients unanswered. */
static int run_workers(struct router *r)
{
    unsigned running = 0;
    int rc = 0;
    while (running < r->worker_count && (rc = worker_run(&r->workers[running])) == 0) {
        running++;
    }
    if (rc == 0) {
        return 0;
    }
    for (unsigned i = running; i < r->worker_count; i++) {
        worker_abandon(&r->workers[i]);
        metrics_release(&r->control.workers[i].metrics);
    }
    explain(r, rc, "cannot start thread %u of %u: %s", running + 1, r->worker_count,
            uv_strerror(rc));
    r->worker_count = running;
    r->control.worker_count = running;
    control_stop(&r->control);
    return rc;
}

int router_start(struct router **out, const struct config *config, char *why, unsigned why_size)
{
    struct router *r = xcalloc(1, sizeof *r);
    *out = NULL;
    r->config = config;
    r->why = why;
    r->why_size = why_size;
    r->admin_fd = -1;
    r->worker_count = config->router.workers > 0 ? config->router.workers : limits_cpus();
    r->workers = xcalloc(r->worker_count, sizeof *r->workers);
    r->bind_count = count_binds(config);
    r->fds = xcalloc(r->bind_count * r->worker_count, sizeof *r->fds);
    r->paths = xcalloc(r->bind_count + 1, sizeof *r->paths);
    memset(r->fds, 0xff, r->bind_count * r->worker_count * sizeof *r->fds);
    signal(SIGPIPE, SIG_IGN);
    int rc = prepare(r);
    if (rc != 0) {
        abandon(r);
        free_parts(r);
        return rc;
    }
    if (r->admin_fd >= 0) {
        r->control.admin = admin_new(&r->control, r->admin_fd);
        r->admin_fd = -1;
    }
    watch_signals(r);
    rc = run_workers(r);
    if (rc != 0) {
        finish(r);
        free_parts(r);
        return rc;
    }
    log_info("router %s: %u workers, at most %u sessions", ROUTER_VERSION, r->worker_count,
             r->shared->max_sessions);
    *out = r;
    return 0;
}

int router_run(struct router *r)
{
    control_start(&r->control);
    int rc = finish(r);
    log_info("router has ended");
    return rc;
}

static void on_drain(struct message *m, void *control)
{
    (void)m; /* part of struct router */
    control_drain(control);
}

void router_drain(struct router *r)
{
    if (atomic_exchange(&r->drain_posted, true)) {
        return;
    }
    r->drain.run = on_drain;
    mailbox_post(&r->control.loop.mailbox, &r->drain);
}

int router_pause(struct router *r, const char *backend)
{
    return operate(&r->control, ORDER_PAUSE, backend, NULL);
}

int router_resume(struct router *r, const char *backend)
{
    return operate(&r->control, ORDER_RESUME, backend, NULL);
}

int router_elect(struct router *r, const char *backend, const char *server)
{
    return operate(&r->control, ORDER_ELECT, backend, server);
}

void router_free(struct router *r)
{
    free_parts(r);
}

int router_check(const struct config *config, char *why, unsigned why_size)
{
    struct certificates certificates;
    char cause[CERTIFICATES_WHY_MAX];
    int rc = certificates_init(&certificates, config, cause);
    if (rc == 0) {
        certificates_tell(&certificates, time(NULL), true);
    } else {
        snprintf(why, why_size, "%s", cause);
    }
    certificates_release(&certificates);
    return rc != 0 ? rc : identity_check(config, why, why_size);
}

int router_probe(const struct config *config)
{
    struct certificates certificates;
    char why[CERTIFICATES_WHY_MAX];
    int status = 1;
    if (certificates_init(&certificates, config, why) == 0) {
        certificates_tell(&certificates, time(NULL), true);
        status = probe_once(config, &certificates);
    } else {
        fprintf(stderr, "router: %s\n", why);
    }
    certificates_release(&certificates);
    return status;
}
