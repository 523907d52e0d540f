/* Bytes both ways between a client and its server. Each direction stands for itself: what one side
 * sends is written to the other at once; if the kernel does not take all of it, the sender is not
 * read any more until the rest has left. So a session holds at most one receive buffer's worth in
 * each direction, whatever its peers do. */
#include <assert.h>
#include <stdlib.h>

#include "base/macros.h"
#include "core/session.h"

/* Bytes moved: idle_timeout, and the patience with a client whose server has ended, begin anew. */
static void touch(struct session *s)
{
    if (s->timer != NULL && s->timer != &s->worker->backends[s->backend->index]->drain) {
        deadline_arm(s->timer, &s->deadline);
    }
}

/* Under TLS an end can be told from a cut, and is passed on as what it was. */
static void pass_end(const struct conn *from, struct conn *to)
{
    if (from->abrupt) {
        conn_cut(to);
    } else {
        conn_finish(to);
    }
}

/* Ends the session when nothing more can move in either direction. */
static bool maybe_done(struct session *s)
{
    bool done = s->client.eof && s->server->conn.eof && conn_queued(&s->client) == 0 &&
                conn_queued(&s->server->conn) == 0;
    if (done) {
        if (UNLIKELY(conn_is_secured(&s->client))) {
            admission_leave(s->worker, s->frontend, &s->admission); /* it may be back at once */
            pass_end(&s->server->conn, &s->client);
        }
        session_close(s, END_DONE);
    }
    return done;
}

/* One side failed: the other one gets a reset too, so that it cannot take it for a proper end. */
static void fail(struct session *s, enum session_end why)
{
    session_kill(s, why);
}

/* Client to server -------------------------------------------------------------------------- */

/* A login is no write yet, and a replica's reader writes nothing. */
static void notice_write(struct session *s)
{
    const struct topology_backend *b = &s->worker->topology->backends[s->backend->index];
    if (s->state == SESSION_RELAY && b->primary == (int)s->server->index) {
        worker_written(s->worker, s->backend->index);
    }
}

void relay_client_data(struct session *s, const char *data, size_t len)
{
    struct server_link *link = s->server;
    if (UNLIKELY(atomic_load_explicit(link->write_awaited, memory_order_relaxed))) {
        notice_write(s);
    }
    s->bytes_in += len;
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_BYTES_IN], len);
    metric_add(&link->counters->at[SERVER_BYTES_IN], len);
    touch(s);
    if (UNLIKELY(conn_write(&link->conn, data, len) != 0)) {
        fail(s, END_SERVER);
    } else if (UNLIKELY(conn_queued(&link->conn) > 0)) {
        conn_pause(&s->client, PAUSE_PEER_FULL);
    }
}

void relay_client_eof(struct session *s)
{
    if (!maybe_done(s)) {
        pass_end(&s->client, &s->server->conn);
    }
}

void relay_client_drained(struct session *s)
{
    conn_resume(&s->server->conn, PAUSE_PEER_FULL);
    maybe_done(s);
}

/* Server to client -------------------------------------------------------------------------- */

static void notice_role_error(struct session *s)
{
    metric_add(&s->server->counters->at[SERVER_ROLE_ERRORS], 1);
    worker_doubt(s->worker, s->backend->index, MESSAGE_WHOLE_BACKEND);
}

static void on_server_data(struct conn *c, const char *data, size_t len)
{
    struct server_link *link = container_of(c, struct server_link, conn);
    struct session *s = link->session;
    const struct proto *proto = s->backend->protocol;
    s->bytes_out += len;
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_BYTES_OUT], len);
    metric_add(&link->counters->at[SERVER_BYTES_OUT], len);
    if (proto->doubts != NULL && UNLIKELY(proto->doubts(data, len))) {
        notice_role_error(s);
    }
    touch(s);
    if (UNLIKELY(conn_write(&s->client, data, len) != 0)) {
        fail(s, END_CLIENT);
    } else if (UNLIKELY(conn_queued(&s->client) > 0)) {
        conn_pause(&link->conn, PAUSE_PEER_FULL);
    }
}

static void on_server_eof(struct conn *c)
{
    struct session *s = container_of(c, struct server_link, conn)->session;
    if (!maybe_done(s)) { /* usually the client was first, and the close says it all */
        pass_end(c, &s->client);
        /* A pooled client may not look for hours, and would hold a place of the server's cap. */
        if (s->timer != &s->worker->backends[s->backend->index]->drain) {
            session_arm(s, &s->worker->backends[s->backend->index]->half);
        }
    }
}

static void on_server_drained(struct conn *c)
{
    struct server_link *link = container_of(c, struct server_link, conn);
    conn_resume(&link->session->client, PAUSE_PEER_FULL);
    maybe_done(link->session);
}

static void on_server_error(struct conn *c, int status)
{
    (void)status;
    struct server_link *link = container_of(c, struct server_link, conn);
    fail(link->session, END_SERVER);
}

static void on_server_closed(struct conn *c)
{
    free(container_of(c, struct server_link, conn));
}

const struct conn_ops relay_server_ops = {
    .on_data = on_server_data,
    .on_eof = on_server_eof,
    .on_drained = on_server_drained,
    .on_error = on_server_error,
    .on_closed = on_server_closed,
};

/* The server has taken the connect, or the login: what was read ahead goes first. */
void relay_begin(struct session *s)
{
    struct worker *w = s->worker;
    struct server_link *link = s->server;
    session_set(s, SESSION_RELAY);
    session_settled(s, link->index);
    session_arm(s, &w->frontends[s->frontend->index]->idle);
    link->conn.ops = &relay_server_ops;
    if (s->ahead_len > 0) {
        char *ahead = s->ahead;
        s->ahead = NULL;
        relay_client_data(s, ahead, s->ahead_len);
        free(ahead);
        s->ahead_len = 0;
        if (s->state != SESSION_RELAY) {
            return;
        }
    }
    conn_resume(&s->client, PAUSE_WAITING);
    if (s->client.eof) {
        relay_client_eof(s);
    }
}
