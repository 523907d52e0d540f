/* A request goes to the server that calls a session so or, where no name was seen because the login
 * was encrypted, to each server that the frontend may use: to the others it means nothing. Servers
 * close when they have taken it, and that is what clients wait for. */
#include "core/cancel.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/session.h"
#include "core/upstream.h"

struct cancel {
    struct conn conn;
    struct worker *worker;
    struct session *session; /* NULL once it has ended */
    struct list node;        /* in worker.cancelling */
    struct deadline deadline;
    size_t backend;
    size_t server;
    struct login_out request;
};

static bool waits(const struct session *s)
{
    LIST_EACH(it, &s->worker->cancelling)
    {
        if (container_of(it, struct cancel, node)->session == s) {
            return true;
        }
    }
    return false;
}

static void maybe_done(struct session *s)
{
    if (s->state == SESSION_CANCEL && !waits(s)) {
        session_close(s, END_DONE);
    }
}

static void cancel_end(struct cancel *c)
{
    struct session *s = c->session;
    c->session = NULL;
    list_remove(&c->node);
    shared_release(&c->worker->shared->backends[c->backend]->users);
    c->worker->cancels_open--;
    deadline_disarm(&c->worker->cancel, &c->deadline);
    wipe(&c->request, sizeof c->request);
    conn_close(&c->conn);
    if (s != NULL) {
        maybe_done(s);
    }
}

static struct cancel *of_conn(struct conn *conn)
{
    return container_of(conn, struct cancel, conn);
}

static int send_request(struct cancel *c)
{
    return conn_write(&c->conn, c->request.data, c->request.len);
}

/* The server has taken the connect; `s` is who asks, if it is still there. 0, or a UV_* code. */
static int accepted(struct cancel *c, const struct session *s)
{
    int rc = upstream_begin(c->worker, c->backend, c->server, &c->conn, s);
    return rc == UPSTREAM_READY ? send_request(c) : rc == UPSTREAM_PENDING ? 0 : rc;
}

static void on_connected(struct conn *conn)
{
    struct cancel *c = of_conn(conn);
    if (accepted(c, c->session) != 0) {
        cancel_end(c);
    }
}

static void on_secured(struct conn *conn)
{
    struct cancel *c = of_conn(conn);
    upstream_secured(c->worker, c->backend, c->server, conn);
    if (send_request(c) != 0) {
        cancel_end(c);
    }
}

/* Servers say nothing, but whether TLS may begin. */
static void on_data(struct conn *conn, const char *data, size_t len)
{
    struct cancel *c = of_conn(conn);
    bool asked = c->worker->config->backends[c->backend].tls && conn->tls == NULL;
    if (asked && upstream_data(c->worker, c->backend, c->server, conn, data, len) < 0) {
        cancel_end(c);
    }
}

static void on_eof(struct conn *conn)
{
    cancel_end(of_conn(conn));
}

static void on_drained(struct conn *conn)
{
    (void)conn;
}

static void on_error(struct conn *conn, int status)
{
    (void)status;
    cancel_end(of_conn(conn));
}

static void on_closed(struct conn *conn)
{
    free(of_conn(conn));
}

static const struct conn_ops cancel_ops = {
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

void cancel_on_late(struct deadline *d)
{
    cancel_end(container_of(d, struct cancel, deadline));
}

static void send_to(struct session *s, size_t server, const struct login_out *request)
{
    struct worker *w = s->worker;
    struct cancel *c = w->cancels_open < CANCELS_MAX ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        return;
    }
    c->worker = w;
    c->backend = s->backend->index;
    c->server = server;
    c->request = *request;
    deadline_init(&c->deadline);
    list_append(&w->cancelling, &c->node);
    atomic_fetch_add(&w->shared->backends[c->backend]->users, 1);
    w->cancels_open++;
    deadline_arm(&w->cancel, &c->deadline);
    const struct server_config *config = &s->backend->servers.items[server];
    int rc = conn_connect(&c->conn, &w->loop, &cancel_ops, &config->address, NULL);
    if (rc == CONN_CONNECTED) {
        rc = accepted(c, s);
    }
    if (rc < 0) {
        cancel_end(c);
    } else {
        c->session = s;
    }
}

static void send_to_all(struct session *s, const struct login_out *request)
{
    size_t backend = s->backend->index;
    for (size_t i = 0; i < s->backend->servers.count; i++) {
        if (route_allows(s->worker->topology, backend, i, (enum route)s->route)) {
            send_to(s, i, request);
        }
    }
}

void cancel_begin(struct session *s)
{
    const struct login_dialogue *dialogue = s->backend->protocol->login;
    const char *key;
    size_t len = dialogue->key(s->login->state, &key);
    struct login_out request;
    size_t server;
    dialogue->request(s->login->state, &request);
    session_drop_server(s, false);
    session_arm(s, NULL);
    session_set(s, SESSION_CANCEL);
    if (cancel_table_find(s->worker->cancels, s->backend->index, key, len, &server)) {
        send_to(s, server, &request);
    } else {
        send_to_all(s, &request);
    }
    wipe(&request, sizeof request);
    login_free(s);
    session_taken(s, s->ahead_len);
    maybe_done(s);
}

void cancel_forget(struct session *s)
{
    LIST_EACH(it, &s->worker->cancelling)
    {
        struct cancel *c = container_of(it, struct cancel, node);
        c->session = c->session == s ? NULL : c->session;
    }
}

void cancel_stop(struct worker *w)
{
    LIST_EACH(it, &w->cancelling)
    {
        cancel_end(container_of(it, struct cancel, node));
    }
}
