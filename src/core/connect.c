/* The way to a server: connects, sends what stands before the protocol (upstream.c), and hands over
 * to the login or the relay; or tries another server, or refuses. */
#include <stdio.h>
#include <stdlib.h>

#include "base/macros.h"
#include "core/account.h"
#include "core/mysql_client.h"
#include "core/mysql_link.h"
#include "core/session.h"
#include "core/upstream.h"

void session_connect_failed(struct session *s, int status)
{
    struct server_link *link = s->server;
    const char *name = link->config->name;
    size_t failed = link->index;
    link->failed = true;
    bool last = s->attempts > s->backend->connect_retries;
    account_failed(s, last);
    if (!upstream_is_our_want(status)) {
        /* Said first, so that control does not grant this server again before it has looked. */
        worker_doubt(s->worker, s->backend->index, failed);
    }
    const char *why = status == UV_EPROTO ? conn_why(&link->conn) : "";
    if (why[0] != '\0') { /* a probe that only connects would not find out */
        log_limited(&s->worker->connect_gate, 1, LOG_LEVEL_WARN, "server %s/%s: %s",
                    s->backend->name, name, why);
    }
    if (last) {
        char words[256];
        s->cause = upstream_is_our_want(status) ? END_CONNECT_WANT
                   : status == UV_ETIMEDOUT     ? END_CONNECT_TIMEOUT
                                                : END_CONNECT;
        snprintf(words, sizeof words, "cannot connect to %s: %s", name,
                 why[0] != '\0' ? why : uv_strerror(status));
        session_refuse(s, REFUSED_CONNECT, words);
        return;
    }
    if (s->tried_count < ROUTE_TRIED_MAX) {
        s->tried[s->tried_count++] = (uint16_t)failed;
    }
    session_drop_server(s, true);
    session_route(s);
}

static void connected(struct session *s)
{
    deadline_arm(&s->worker->tune, &s->server->tune);
    if (s->pooling == POOLING_MYSQL) {
        mysql_link_connected(s);
    } else if (s->login != NULL) {
        login_begin(s);
    } else {
        relay_begin(s);
    }
}

/* The server has taken the connect. */
static void accepted(struct session *s)
{
    struct worker *w = s->worker;
    int rc = upstream_begin(w, s->backend->index, s->server->index, &s->server->conn, s);
    if (rc == UPSTREAM_READY) {
        connected(s);
    } else if (rc == UPSTREAM_PENDING) {
        session_arm(s, &w->backends[s->backend->index]->connect);
    } else {
        session_connect_failed(s, rc);
    }
}

static void on_server_connected(struct conn *c)
{
    accepted(container_of(c, struct server_link, conn)->session);
}

/* No session has begun: it is the answer to whether TLS may begin. */
static void on_server_answer(struct conn *c, const char *data, size_t len)
{
    struct session *s = container_of(c, struct server_link, conn)->session;
    int rc = upstream_data(s->worker, s->backend->index, s->server->index, c, data, len);
    if (rc < 0) {
        session_connect_failed(s, rc);
    }
}

static void on_server_secured(struct conn *c)
{
    struct session *s = container_of(c, struct server_link, conn)->session;
    upstream_secured(s->worker, s->backend->index, s->server->index, c);
    connected(s);
}

/* A server that ends in the midst of its TLS handshake. */
static void on_server_connect_eof(struct conn *c)
{
    session_connect_failed(container_of(c, struct server_link, conn)->session, UV_EOF);
}

static void on_server_connect_error(struct conn *c, int status)
{
    struct server_link *link = container_of(c, struct server_link, conn);
    session_connect_failed(link->session, status);
}

static void on_server_closed(struct conn *c)
{
    free(container_of(c, struct server_link, conn));
}

static const struct conn_ops connect_ops = {
    .on_connected = on_server_connected,
    .on_data = on_server_answer,
    .on_secured = on_server_secured,
    .on_eof = on_server_connect_eof,
    .on_error = on_server_connect_error,
    .on_closed = on_server_closed,
};

static struct server_link *link_new(struct session *s, size_t server)
{
    struct server_link *link =
        s->pooling == POOLING_MYSQL ? mysql_link_new(s) : calloc(1, sizeof *link);
    if (link == NULL) {
        return NULL;
    }
    link->session = s;
    link->config = &s->backend->servers.items[server];
    link->index = server;
    deadline_init(&link->tune);
    deadline_init(&link->settle);
    link->counters = s->worker->metrics.servers[link->config->id];
    link->write_awaited = &s->worker->shared->backends[s->backend->index]->write_awaited;
    list_append(&s->worker->servers[link->config->id]->links, &link->node);
    s->server = link;
    session_begin_settling(s);
    return link;
}

void session_connect(struct session *s, size_t server)
{
    struct worker *w = s->worker;
    session_set(s, SESSION_CONNECT);
    s->attempts++;
    session_log_sent(s, server);
    struct server_link *link = link_new(s, server);
    if (link == NULL) {
        session_settled(s, server);
        worker_release_place(w, s->backend->index, server);
        session_kill(s, END_MEMORY);
        return;
    }
    account_connect(s);
    int rc = conn_connect(&link->conn, &w->loop, &connect_ops, &link->config->address, NULL);
    if (rc == CONN_PENDING) {
        session_arm(s, &w->backends[s->backend->index]->connect);
    } else if (rc == CONN_CONNECTED) {
        accepted(s);
    } else {
        session_connect_failed(s, rc);
    }
}

void session_on_tune(struct deadline *d)
{
    struct server_link *link = container_of(d, struct server_link, tune);
    const struct backend_config *b = link->session->backend;
    conn_tune(&link->conn, &(struct conn_tcp){b->tcp_keepalive, b->tcp_user_timeout});
}
