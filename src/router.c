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
#include "base/text.h"
#include "capacity.h"
#include "core/listeners.h"
#include "core/worker.h"
#include "ctl/admin.h"
#include "ctl/apply.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"
#include "ctl/heritage.h"
#include "ctl/operate.h"
#include "ctl/own_key.h"
#include "ctl/predecessor.h"
#include "ctl/probe_once.h"
#include "identity.h"
#include "router_proto.h"
#include "signals.h"

struct router {
    struct config *config;
    struct certificates certificates;
    struct control_sockets *sockets;
    struct identity identity;
    struct heritage *heritage; /* owned; NULL = nobody's place is taken */
    struct control control;
    bool control_ready;
    struct worker *workers;
    unsigned worker_count;
    unsigned workers_ready; /* initialised */
    struct control_size sized;
    struct sockets bound; /* until control has them */
    struct sockets rest;  /* of the process before, until it is our turn: nobody listens on them */
    int admin_fd;
    struct address admin_at;
    struct listener_path admin_path;
    struct signals signals;
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

static int bind_all(struct router *r)
{
    char why[SOCKETS_WHY_MAX];
    r->rest.workers = r->worker_count;
    if (r->heritage != NULL) {
        heritage_sockets(r->heritage, r->worker_count, &r->rest);
    }
    int rc = sockets_inherit(&r->rest, r->config, &r->bound, why);
    return rc == 0 ? 0 : explain(r, rc, "%s", why);
}

static int bind_admin(struct router *r)
{
    const struct router_config *c = &r->config->router;
    if (c->admin == NULL || address_parse(&r->admin_at, c->admin) != 0) {
        return 0;
    }
    struct conn_tcp tcp = {30000, 30000};
    r->admin_fd = heritage_take(r->heritage, &r->admin_at);
    int rc = r->admin_fd >= 0 ? 0 : listener_bind(&r->admin_at, &tcp, &r->admin_fd, 1);
    if (rc == 0) {
        r->admin_path = listener_path_of(&r->admin_at);
        return 0;
    }
    r->admin_fd = -1;
    if (c->admin_written) {
        return explain(r, rc, "cannot bind the admin address %s: %s", c->admin, uv_strerror(rc));
    }
    log_warn("no admin address: cannot bind %s: %s", c->admin, uv_strerror(rc));
    return 0;
}

/* Workers and control ----------------------------------------------------------------------- */

static int listen_all(struct router *r, struct worker *w)
{
    struct sockets *s = &r->control.bound;
    int rc = 0;
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        struct bound *b = &s->items[i];
        rc = listeners_add(w, b->bind, b->frontend, sockets_take(b, w->index));
    }
    return rc;
}

static int init_worker(struct router *r, unsigned index, const unsigned char *ticket_seed,
                       uint64_t tickets_began_s)
{
    struct worker *w = &r->workers[index];
    struct worker_setup setup = {
        .index = index,
        .worker_count = r->worker_count,
        .config = r->config,
        .shared = r->control.shared,
        .clients = r->control.clients,
        .guard = r->control.guard,
        .threads = r->control.threads,
        .shares = r->control.shares,
        .cancels = r->control.cancels,
        .control = &r->control.loop.mailbox,
        .tell = &control_inbox,
        .topology = r->control.published,
        .metrics = r->control.workers[index].metrics,
        .refusing_max = r->sized.refusing_max,
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
    rc = r->heritage == NULL ? listen_all(r, w) : 0; /* else when it is our turn */
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

static int init_certificates(struct router *r)
{
    char why[CERTIFICATES_WHY_MAX];
    int rc = certificates_init(&r->certificates, r->config, why);
    if (rc != 0) {
        return explain(r, rc, "%s", why);
    }
    certificates_tell(&r->certificates, time(NULL), true);
    own_key_prepare(r->config);
    return 0;
}

static int init_control(struct router *r)
{
    struct control_setup setup = {
        .config = r->config,
        .config_path = config_path(r->config),
        .maker = config_maker(r->config),
        .size = capacity_find,
        .sized = r->sized,
        .tell = &worker_inbox,
        .certificates = &r->certificates,
        .sockets = r->sockets,
        .admin_at = r->admin_at,
        .pid_file = r->identity.pid_file.fd,
        .worker_count = r->worker_count,
    };
    int rc = control_init(&r->control, &setup);
    if (rc != 0) {
        return explain(r, rc, "cannot start: %s", uv_strerror(rc));
    }
    r->control.bound = r->bound;
    r->bound = (struct sockets){0};
    r->control_ready = true;
    return 0;
}

/* What people and programs look at. */
static int serve_operators(struct router *r)
{
    if (r->admin_fd >= 0) {
        r->control.admin = admin_new(&r->control, r->admin_fd);
        r->admin_fd = -1;
    }
    return control_sockets_start(r->sockets, &r->control);
}

/* The process before does not accept any more. */
static void on_turn(void *context)
{
    struct router *r = context;
    sockets_release(&r->rest);
    heritage_settle(r->heritage);
    if (r->identity.pid_file.fd >= 0 && pid_file_write(r->identity.pid_file.fd) != 0) {
        log_warn("cannot write the pid_file");
    }
    if (serve_operators(r) != 0) {
        log_error("cannot serve the control sockets");
    }
}

static int take_over(struct router *r)
{
    heritage_remember(r->heritage, &r->control);
    int rc = predecessor_begin(&r->control, r->heritage, on_turn, r);
    if (rc != 0) {
        return explain(r, rc, "cannot take over: %s", uv_strerror(rc));
    }
    return 0;
}

static int receive_heritage(struct router *r)
{
    char why[HERITAGE_WHY_MAX];
    int rc = heritage_receive(&r->heritage, why);
    return rc == 0 ? 0 : explain(r, rc, "%s", why);
}

static int begin_identity(struct router *r)
{
    int inherited = r->heritage != NULL ? r->heritage->pid_file : -1;
    int rc = identity_begin(&r->identity, r->config, inherited, r->why, r->why_size);
    if (inherited >= 0 && r->identity.pid_file.fd == inherited) {
        r->heritage->pid_file = -1;
    }
    return rc;
}

static int prepare(struct router *r)
{
    int rc = receive_heritage(r);
    rc = rc != 0 ? rc
                 : capacity_find(r->config, r->worker_count, sockets_count(r->config), &r->sized,
                                 r->why, r->why_size);
    rc = rc != 0 ? rc : init_certificates(r);
    rc = rc != 0 ? rc : begin_identity(r);
    rc = rc != 0 ? rc : bind_all(r);
    rc = rc != 0 ? rc : bind_admin(r);
    rc = rc != 0 ? rc
                 : control_sockets_bind(&r->sockets, r->config, r->heritage, r->why, r->why_size);
    rc = rc != 0 ? rc : identity_settle(&r->identity, r->config, r->why, r->why_size);
    rc = rc != 0 ? rc : init_control(r);
    rc = rc != 0 ? rc : init_workers(r);
    if (rc == 0) {
        rc = r->heritage != NULL ? take_over(r) : serve_operators(r);
    }
    return rc;
}

/* The files of sockets, and that with the process id, are another process' own. */
static void leave_files(struct router *r)
{
    sockets_disown(&r->bound);
    control_sockets_disown(r->sockets);
    pid_file_leave(&r->identity.pid_file);
    r->admin_path = (struct listener_path){0};
}

/* Undoes prepare(), however far it came. */
static void abandon(struct router *r)
{
    if (r->heritage != NULL) {
        leave_files(r);
    }
    for (unsigned i = 0; i < r->workers_ready; i++) {
        worker_abandon(&r->workers[i]);
    }
    if (r->control_ready) {
        control_end(&r->control);
        loop_run(&r->control.loop);
        loop_release(&r->control.loop);
        control_release(&r->control);
    }
    sockets_release(&r->bound);
    if (r->admin_fd >= 0) {
        close(r->admin_fd);
    }
    listener_unlink(&r->admin_at, &r->admin_path);
}

static void free_parts(struct router *r)
{
    sockets_disown(&r->rest); /* it was never our turn */
    sockets_release(&r->rest);
    heritage_free(r->heritage);
    control_sockets_release(r->sockets);
    certificates_release(&r->certificates);
    identity_end(&r->identity);
    free(r->workers);
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
    signals_ignore(&r->signals);
    loop_run(&r->control.loop);
    int control_rc = loop_release(&r->control.loop);
    control_release(&r->control);
    if (r->control.handed_over) {
        leave_files(r);
    }
    listener_unlink(&r->admin_at, &r->admin_path);
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

int router_start(struct router **out, struct config *config, char *why, unsigned why_size)
{
    struct router *r = xcalloc(1, sizeof *r);
    *out = NULL;
    r->config = config;
    r->why = why;
    r->why_size = why_size;
    r->admin_fd = -1;
    r->worker_count = config->router.workers > 0 ? config->router.workers : limits_cpus();
    r->workers = xcalloc(r->worker_count, sizeof *r->workers);
    signal(SIGPIPE, SIG_IGN);
    int rc = prepare(r);
    if (rc != 0) {
        abandon(r);
        free_parts(r);
        return rc;
    }
    signals_watch(&r->signals, &r->control);
    rc = run_workers(r);
    if (rc != 0) {
        finish(r);
        free_parts(r);
        return rc;
    }
    log_info("router %s: %u workers, at most %u sessions", ROUTER_VERSION, r->worker_count,
             r->control.shared->max_sessions);
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

void router_allow_upgrade(struct router *r, const char *path, char *const *arguments)
{
    r->control.command = (struct upgrade_command){path, arguments};
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

int router_probe_told(struct config *config,
                      void (*tell)(void *context, const struct router_probed *probed),
                      void *context)
{
    const struct probe_listener listener = {tell, context};
    struct certificates certificates;
    char why[CERTIFICATES_WHY_MAX];
    int status = 1;
    if (certificates_init(&certificates, config, why) == 0) {
        certificates_tell(&certificates, time(NULL), true);
        status = probe_once(config, &certificates, &listener);
    } else {
        fprintf(stderr, "router: %s\n", why);
    }
    certificates_release(&certificates);
    return status;
}

int router_probe(struct config *config)
{
    return router_probe_told(config, NULL, NULL);
}
