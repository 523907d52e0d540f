#include "core/show_sessions.h"

#include "base/macros.h"
#include "core/mysql_client.h"
#include "core/pooled.h"
#include "core/session.h"

#define LOOKS_MAX 1024 /* sessions looked at for one message */

static const char *const state_words[] = {
    [SESSION_NEW] = "new",         [SESSION_PROXY] = "proxy",     [SESSION_HELLO] = "hello",
    [SESSION_SHAKE] = "handshake", [SESSION_OPENING] = "opening", [SESSION_WAIT] = "wait",
    [SESSION_CONNECT] = "connect", [SESSION_LOGIN] = "login",     [SESSION_RELAY] = "relay",
    [SESSION_POOLED] = "pooled",   [SESSION_PARKED] = "parked",   [SESSION_CANCEL] = "cancel",
    [SESSION_REFUSE] = "refuse",   [SESSION_CLOSE] = "close",
};

/* Where it is, now: of a pooled one, where its commands are, or what is lent to it. SIZE_MAX:
 * nowhere. */
static size_t server_of(const struct session *s)
{
    if (s->pooling != POOLING_REDIS) {
        return s->server != NULL ? s->server->index : MESSAGE_ANY;
    }
    const struct pool_link *l = s->pooled->link;
    return l != NULL && l->state != LINK_CLOSED ? l->pool->server : MESSAGE_ANY;
}

static bool server_is_secured(const struct session *s)
{
    const struct conn *c = s->server != NULL ? &s->server->conn
                           : s->pooling == POOLING_REDIS && server_of(s) != MESSAGE_ANY
                               ? &s->pooled->link->conn
                               : NULL;
    return c != NULL && conn_is_secured(c);
}

static bool matches(const struct session *s, const struct message_sessions *m)
{
    return s->state != SESSION_CLOSE && (m->id == 0 || m->id == session_id(s)) &&
           (m->backend == MESSAGE_ANY || m->backend == s->backend->index) &&
           (m->server == MESSAGE_ANY || m->server == server_of(s));
}

static void fill_row(const struct session *s, struct session_row *row)
{
    uint64_t now_ms = loop_now_ms(&s->worker->loop);
    *row = (struct session_row){
        .id = session_id(s),
        .frontend = s->frontend->index,
        .backend = s->backend->index,
        .server = server_of(s),
        .state = state_words[s->state],
        .route = (enum route)s->route,
        .age_ms = session_age_us(s) / 1000,
        .queue_us = s->times.queue_us,
        .connect_us = s->times.connect_us,
        .bytes_in = s->bytes_in,
        .bytes_out = s->bytes_out,
        .retries = s->attempts > 0 ? s->attempts - 1U : 0,
        .client_tls = conn_is_secured(&s->client),
        .server_tls = server_is_secured(s),
        .held = (s->client.pauses & PAUSE_HOLD) != 0,
        .pooled = s->pooling != POOLING_NONE,
        .expires = s->timer != NULL && deadline_is_armed(&s->deadline),
    };
    if (row->expires && s->deadline.due_ms > now_ms) {
        row->expires_ms = s->deadline.due_ms - now_ms;
    }
    if (s->pooling == POOLING_MYSQL) {
        row->held = row->held || s->mysql->held;
        row->pins = s->mysql->pins;
    } else if (s->pooling == POOLING_REDIS) {
        row->held = !list_empty(&s->pooled->held);
        row->pins = s->pooled->pins;
    }
    if (s->origin != NULL) {
        row->client = s->origin->from;
        row->client_known = true;
    } else {
        row->client_known = conn_peer(&s->client, &row->client);
    }
}

/* False: there is no place for it in this message. */
static bool take(const struct session *s, struct message_sessions *m)
{
    if (!matches(s, m)) {
        return true;
    }
    if (m->room == 0) {
        m->left_out++;
        return true;
    }
    if (m->count == SESSION_ROWS) {
        return false;
    }
    fill_row(s, &m->rows[m->count++]);
    m->room--;
    return true;
}

/* Goes on where it was; sets what the message brings back. */
static void list_some(struct worker *w, struct message_sessions *m)
{
    for (int looks = 0; looks < LOOKS_MAX && w->listed != &w->sessions; looks++) {
        if (!take(container_of(w->listed, struct session, node), m)) {
            return;
        }
        w->listed = w->listed->next;
    }
    m->done = w->listed == &w->sessions;
}

void show_sessions(struct message *message, void *worker)
{
    struct worker *w = worker;
    struct message_sessions *m = container_of(message, struct message_sessions, message);
    m->count = 0;
    m->left_out = 0;
    m->done = false;
    if (m->first) {
        w->listed = w->sessions.next;
        m->first = false;
    }
    list_some(w, m);
    if (m->done) {
        w->listed = NULL;
    }
    m->message.run = m->on_listed;
    mailbox_post(w->control, &m->message);
}

void show_sessions_forget(const struct session *s)
{
    if (s->worker->listed == &s->node) {
        s->worker->listed = s->node.next;
    }
}
