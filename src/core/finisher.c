#include "core/finisher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/session.h"
#include "core/upstream.h"

struct finisher {
    struct server_link *link; /* owned */
    struct worker *worker;
    const struct login_dialogue *dialogue;
    size_t backend;
    struct list node; /* in worker.servers[id].finishers */
    struct deadline deadline;
    struct deadline_list *timer; /* where `deadline` is armed */
    size_t heard;
    max_align_t state[];
};

static struct worker_server *server_of(const struct finisher *f)
{
    return f->worker->servers[f->link->config->id];
}

static void finisher_end(struct finisher *f)
{
    struct worker *w = f->worker;
    deadline_disarm(f->timer, &f->deadline);
    list_remove(&f->node);
    server_of(f)->finishing--;
    conn_close(&f->link->conn);
    worker_release_place(w, f->backend, f->link->index);
    shared_release(&w->shared->router->sessions);
}

static void go_on(struct finisher *f, const char *data, size_t len)
{
    struct login_out out;
    bool over = f->dialogue->finish(f->state, data, len, &out);
    f->heard += len;
    bool failed = out.len > 0 && conn_write(&f->link->conn, out.data, out.len) != 0;
    if (over || failed || f->heard > FINISH_BYTES) {
        finisher_end(f);
    }
}

static struct finisher *of_conn(struct conn *c)
{
    return container_of(c, struct server_link, conn)->finisher;
}

/* It speaks first, once it knows whose connection it is. */
static void on_connected(struct conn *c)
{
    struct finisher *f = of_conn(c);
    if (upstream_begin(f->worker, f->backend, f->link->index, c, NULL) != UPSTREAM_READY) {
        finisher_end(f);
    }
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    go_on(of_conn(c), data, len);
}

static void on_eof(struct conn *c)
{
    finisher_end(of_conn(c));
}

static void on_drained(struct conn *c)
{
    (void)c;
}

static void on_error(struct conn *c, int status)
{
    (void)status;
    finisher_end(of_conn(c));
}

static void on_closed(struct conn *c)
{
    struct server_link *link = container_of(c, struct server_link, conn);
    struct worker *w = link->finisher->worker;
    free(link->finisher);
    free(link);
    worker_maybe_stop(w);
}

static const struct conn_ops finisher_ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

void finisher_on_late(struct deadline *d)
{
    finisher_end(container_of(d, struct finisher, deadline));
}

/* It may last now, and its client is no longer there to notice that the server's machine is not. */
static void tune(const struct session *s, struct conn *c)
{
    const struct backend_config *b = s->backend;
    conn_tune(c, &(struct conn_tcp){b->tcp_keepalive, b->tcp_user_timeout});
}

static bool take_place(struct session *s, bool last)
{
    struct shared *shared = s->worker->shared;
    if (!last || !s->admission.router) {
        return shared_claim(&shared->router->sessions, shared->max_sessions);
    }
    s->admission.router = false;
    return true;
}

static struct finisher *finisher_new(struct session *s, struct server_link *link)
{
    const struct login_dialogue *dialogue = s->backend->protocol->login;
    struct finisher *f = malloc(sizeof *f + dialogue->state_size);
    if (f == NULL) {
        return NULL;
    }
    *f = (struct finisher){
        .link = link,
        .worker = s->worker,
        .dialogue = dialogue,
        .backend = s->backend->index,
    };
    memcpy(f->state, s->login->state, dialogue->state_size);
    deadline_init(&f->deadline);
    return f;
}

static bool may_finish(const struct session *s, const struct server_link *link)
{
    struct worker *w = s->worker;
    if (s->login == NULL || link->failed || s->backend->protocol->login->finish == NULL) {
        return false;
    }
    if (w->servers[link->config->id]->finishing < FINISHERS_MAX) {
        return true;
    }
    log_limited(&w->finish_gate, 1, LOG_LEVEL_WARN,
                "server %s/%s: %d logins that clients left behind wait for it; more are cut, and "
                "it may lock this address out (max_connect_errors)",
                s->backend->name, link->config->name, FINISHERS_MAX);
    return false;
}

bool finisher_adopt(struct session *s, struct server_link *link, bool last)
{
    struct worker *w = s->worker;
    struct finisher *f = may_finish(s, link) ? finisher_new(s, link) : NULL;
    if (f == NULL || !take_place(s, last)) {
        free(f);
        return false;
    }
    struct worker_server *server = server_of(f);
    list_append(&server->finishers, &f->node);
    server->finishing++;
    f->timer = w->topology->draining || w->stopping ? &w->finish_soon : &w->finish;
    deadline_arm(f->timer, &f->deadline);
    link->finisher = f;
    link->conn.ops = &finisher_ops;
    tune(s, &link->conn);
    conn_resume(&link->conn, PAUSE_PEER_FULL | PAUSE_WAITING | PAUSE_HOLD);
    go_on(f, NULL, 0);
    return true;
}

void finisher_hurry(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        LIST_EACH(it, &w->servers[i]->finishers)
        {
            struct finisher *f = container_of(it, struct finisher, node);
            deadline_disarm(f->timer, &f->deadline);
            f->timer = &w->finish_soon;
            deadline_arm(f->timer, &f->deadline);
        }
    }
}

bool finisher_any(const struct worker *w)
{
    bool any = false;
    for (size_t i = 0; i < w->server_count; i++) {
        any = any || w->servers[i]->finishing > 0;
    }
    return any;
}

struct server_link *finisher_link(struct list *node, size_t *backend)
{
    struct finisher *f = container_of(node, struct finisher, node);
    *backend = f->backend;
    return f->link;
}
