/* The life of a connection. The happy path: core/connect.c has claimed its place and connected; the
 * server greets, TLS begins if it is to, the client's login is sent and its proof relayed
 * (mysql_proof.c); it serves that client, and the next ones after a COM_CHANGE_USER. Failure modes:
 * the server refuses it, in its greeting's place: the client hears it in the server's words; the
 * client leaves in the midst of a login: that is brought to its end in its place, because servers
 * count those that break off against our address (max_connect_errors); the server says something
 * that nobody asked for, or ends: it is closed. */
#include "core/mysql_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/account.h"
#include "core/mysql_lease.h"
#include "core/mysql_limits.h"
#include "core/mysql_seen.h"
#include "core/pool_seen.h"
#include "core/upstream.h"

#define SMALL_PACKET 1024 /* a greeting, the answer to a reset */

static struct worker_server *server_of(const struct mysql_link *l)
{
    return l->worker->servers[l->base.config->id];
}

static struct mysql_link *of(struct conn *c)
{
    return container_of(container_of(c, struct server_link, conn), struct mysql_link, base);
}

void mysql_link_arm(struct mysql_link *l, struct deadline_list *list)
{
    if (l->timer != NULL && l->timer != list) {
        deadline_disarm(l->timer, &l->deadline);
    }
    l->timer = list;
    if (list != NULL) {
        deadline_arm(list, &l->deadline);
    }
}

struct server_link *mysql_link_new(struct session *s)
{
    struct mysql_link *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->worker = s->worker;
    l->backend = s->backend->index;
    l->since_ms = loop_now_ms(&s->worker->loop);
    list_init(&l->node);
    list_init(&l->at);
    deadline_init(&l->deadline);
    return &l->base;
}

/* The end ------------------------------------------------------------------------------------- */

static void forget_proof(struct mysql_link *l)
{
    if (l->prove != NULL) {
        mysql_prove_forget(l->prove);
        free(l->prove);
        l->prove = NULL;
    }
}

void mysql_link_leave(struct mysql_link *l)
{
    if (l->state == MYSQL_LINK_ABANDONED) {
        server_of(l)->mysql_abandoned--;
    }
    mysql_link_arm(l, NULL);
    list_remove(&l->at);
    show_pool_forget(l->worker, &l->node);
    list_remove(&l->node);
    l->state = MYSQL_LINK_CLOSED;
    mysql_link_seen(l);
    l->soft = false;
    mysql_state_free(&l->like);
    forget_proof(l);
    mysql_inbox_free(&l->inbox);
    conn_close(&l->base.conn);
}

void mysql_link_close(struct mysql_link *l)
{
    if (l->state != MYSQL_LINK_CLOSED) {
        mysql_link_leave(l);
        mysql_lease_unbind(l);
        if (l->gives) {
            shared_release(&l->worker->shared->backends[l->backend]->giving);
        }
        worker_release_place(l->worker, l->backend, l->base.index);
    }
}

/* Where others wait for its place, the server must not see both at once. */
static bool ends_first(const struct mysql_link *l)
{
    return l->base.config->max_connections > 0 && !l->worker->stopping &&
           atomic_load(&l->worker->shared->backends[l->backend]->waiting[ROUTE_AUTO]) > 0;
}

void mysql_link_quit(struct mysql_link *l)
{
    static const char packet[] = {1, 0, 0, 0, MYSQL_COM_QUIT};
    if (l->state == MYSQL_LINK_CLOSED || l->state == MYSQL_LINK_QUIT) {
        return;
    }
    bool said = conn_write(&l->base.conn, packet, sizeof packet) == 0;
    if (said && conn_is_secured(&l->base.conn)) {
        conn_finish(&l->base.conn);
    }
    if (!said || !ends_first(l)) {
        mysql_link_close(l);
        return;
    }
    list_remove(&l->at);
    l->state = MYSQL_LINK_QUIT;
    mysql_link_arm(l, &l->worker->backends[l->backend]->mysql_late);
    mysql_lease_unbind(l);
    mysql_link_seen(l);
}

static void on_closed(struct conn *c)
{
    struct mysql_link *l = of(c);
    struct worker *w = l->worker;
    free(l->user);
    free(l->veil);
    free(l);
    w->links--;
    worker_maybe_stop(w);
}

/* In the midst of a login, as far as its server knows: it may count that. */
static void cut(const struct mysql_link *l)
{
    if (l->state == MYSQL_LINK_ABANDONED || l->state == MYSQL_LINK_LENT) {
        worker_counted(l->worker, l->backend, l->base.index);
    }
}

void mysql_link_on_late(struct deadline *d)
{
    struct mysql_link *l = container_of(d, struct mysql_link, deadline);
    l->timer = NULL;
    cut(l);
    mysql_link_close(l);
}

static void fail(struct mysql_link *l, int status)
{
    l->tainted = true;
    cut(l);
    if (l->base.session != NULL && l->state != MYSQL_LINK_LENT) {
        session_connect_failed(l->base.session, status);
    } else if (l->base.session != NULL) {
        mysql_proof_lost(l->base.session);
    } else {
        mysql_link_close(l);
    }
}

static void read_small(struct mysql_link *l, const char *data, size_t len,
                       void (*on_packet)(struct mysql_link *l))
{
    while (len > 0) {
        size_t max = l->state == MYSQL_LINK_ABANDONED ? MYSQL_PROVE_PACKET_MAX : SMALL_PACKET;
        enum mysql_inbox_state got = mysql_inbox_take(&l->inbox, max, &data, &len);
        if (got == MYSQL_INBOX_PART) {
            return;
        }
        if (got != MYSQL_INBOX_WHOLE) {
            fail(l, UV_EPROTO);
            return;
        }
        enum mysql_link_state state = (enum mysql_link_state)l->state;
        on_packet(l);
        if (l->state != state) { /* what follows was said out of turn: nobody's, or a lie */
            if (len > 0 && l->state != MYSQL_LINK_CLOSED) {
                fail(l, UV_EPROTO);
            }
            return;
        }
    }
}

/* The beginning ------------------------------------------------------------------------------- */

static void log_in(struct mysql_link *l)
{
    if (l->base.session != NULL) {
        l->state = MYSQL_LINK_LENT;
        mysql_link_seen(l);
        mysql_proof_begin(l->base.session, l);
    } else {
        mysql_abandoned_log_in(l);
    }
}

/* MySQL wants the login to name the same charset. */
static void begin_tls(struct mysql_link *l)
{
    struct session *s = l->base.session;
    l->charset = s != NULL ? s->mysql->proof->request.charset : MYSQL_CHARSET;
    unsigned char packet[64];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    uint32_t caps = mysql_caps_login(l->key) & l->capabilities;
    mysql_write_tls_request(&w, caps | MYSQL_CAP_SSL, mysql_caps_login_extended(l->key),
                            l->charset);
    l->sequence++;
    l->state = l->base.session != NULL ? MYSQL_LINK_SECURE : l->state;
    int rc = conn_write(&l->base.conn, (const char *)packet, w.len);
    if (rc == 0) {
        rc = upstream_secure(l->worker, l->backend, l->base.index, &l->base.conn);
    }
    if (rc < 0) {
        fail(l, rc);
    }
}

/* In place of a greeting: too many connections, or the host is blocked. */
static void turned_away(struct mysql_link *l)
{
    struct mysql_error error;
    struct session *s = l->base.session;
    if (s == NULL || !mysql_read_error(&error, l->inbox.payload, l->inbox.length)) {
        fail(l, UV_EPROTO);
        return;
    }
    l->tainted = true; /* there is no login that would have to end */
    account_failed(s, true);
    worker_doubt(l->worker, l->backend, l->base.index);
    mysql_client_deny(s, REFUSED_CONNECT, &error);
}

static void on_greeting(struct mysql_link *l)
{
    struct mysql_greeting g;
    if (l->inbox.length > 0 && l->inbox.payload[0] == MYSQL_ERROR) {
        turned_away(l);
        return;
    }
    if (!mysql_read_greeting(&g, l->inbox.payload, l->inbox.length)) {
        l->tainted = true;
        fail(l, UV_EPROTONOSUPPORT);
        return;
    }
    l->thread = g.thread;
    memcpy(l->nonce, g.nonce, sizeof l->nonce);
    l->mariadb = strstr(g.says.version, "MariaDB") != NULL;
    l->capabilities = g.says.capabilities;
    l->extended = g.says.extended;
    l->sequence = (unsigned char)(mysql_inbox_sequence(&l->inbox) + 1);
    if (!l->worker->config->backends[l->backend].tls) {
        log_in(l);
    } else if ((g.says.capabilities & MYSQL_CAP_SSL) != 0) {
        begin_tls(l);
    } else {
        fail(l, UV_EPROTONOSUPPORT);
    }
}

static void begin(struct mysql_link *l)
{
    struct worker *w = l->worker;
    l->base.conn.ops = &mysql_link_ops;
    w->links++;
    l->number = ++w->link_numbers; /* the list is in their order */
    list_append(&server_of(l)->mysql_links, &l->node);
    mysql_link_seen(l);
}

void mysql_link_connected(struct session *s)
{
    struct mysql_link *l = mysql_link_of(s);
    deadline_arm(&s->worker->tune, &l->base.tune);
    l->key = s->mysql->key;
    l->state = MYSQL_LINK_GREETING;
    begin(l);
}

/* Its session has gone while it connected. */
static void on_connected(struct conn *c)
{
    struct mysql_link *l = of(c);
    int rc = upstream_begin(l->worker, l->backend, l->base.index, c, NULL);
    if (rc != UPSTREAM_READY) {
        mysql_link_close(l);
    }
}

static void on_secured(struct conn *c)
{
    struct mysql_link *l = of(c);
    upstream_secured(l->worker, l->backend, l->base.index, c);
    log_in(l);
}

/* What the server sends ----------------------------------------------------------------------- */

static void on_abandoned(struct mysql_link *l)
{
    if (l->prove == NULL) {
        on_greeting(l);
    } else {
        mysql_abandoned_answer(l);
    }
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct mysql_link *l = of(c);
    switch ((enum mysql_link_state)l->state) {
    case MYSQL_LINK_LENT:
        if (LIKELY(l->base.session->state == SESSION_RELAY)) {
            mysql_relay_server(l, data, len);
        } else {
            mysql_proof_server(l, data, len);
        }
        break;
    case MYSQL_LINK_GREETING:
        read_small(l, data, len, on_greeting);
        break;
    case MYSQL_LINK_CLEAN:
        mysql_flights_data(l, data, len);
        break;
    case MYSQL_LINK_ASK:
        read_small(l, data, len, mysql_limits_answered);
        break;
    case MYSQL_LINK_ABANDONED:
        read_small(l, data, len, on_abandoned);
        break;
    case MYSQL_LINK_CONNECT:
    case MYSQL_LINK_SECURE:
    case MYSQL_LINK_IDLE: /* nobody has asked for anything; usually it says why it closes */
        fail(l, UV_EPROTO);
        break;
    case MYSQL_LINK_QUIT:
    case MYSQL_LINK_CLOSED:
        break;
    }
}

static void on_error(struct conn *c, int status)
{
    struct mysql_link *l = of(c);
    if (l->state == MYSQL_LINK_LENT && l->base.session->state == SESSION_RELAY) {
        l->tainted = true;
        if (mysql_lease_survives(l)) {
            mysql_link_close(l);
        } else {
            relay_server_ops.on_error(c, status);
        }
    } else {
        fail(l, status);
    }
}

static void on_eof(struct conn *c)
{
    struct mysql_link *l = of(c);
    if (l->state == MYSQL_LINK_LENT && l->base.session->state == SESSION_RELAY) {
        l->tainted = true;
        if (mysql_lease_survives(l)) {
            mysql_link_close(l);
        } else {
            session_farewell(l->base.session, END_SERVER);
        }
    } else {
        fail(l, UV_EOF);
    }
}

static void on_drained(struct conn *c)
{
    struct mysql_link *l = of(c);
    if (l->base.session != NULL && l->state == MYSQL_LINK_LENT) {
        relay_server_ops.on_drained(c);
    }
}

const struct conn_ops mysql_link_ops = {
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

/* Coming back --------------------------------------------------------------------------------- */

/* What we were asking is answered first. */
static void come_back(struct mysql_link *l)
{
    if (l->count > 0) {
        mysql_pool_clean(l);
    } else {
        mysql_limits_take(l);
    }
}

void mysql_link_let_go(struct mysql_link *l, const struct mysql_prove *prove, bool keep)
{
    switch ((enum mysql_link_state)l->state) {
    case MYSQL_LINK_CONNECT:
        begin(l);
        mysql_abandoned_begin(l, NULL);
        break;
    case MYSQL_LINK_GREETING:
    case MYSQL_LINK_SECURE:
        if (l->tainted) {
            mysql_link_close(l);
        } else {
            mysql_abandoned_begin(l, NULL);
        }
        break;
    case MYSQL_LINK_LENT:
        keep = keep && prove == NULL && !l->tainted;
        metric_add(&l->worker->metrics.backends[l->backend]
                        ->at[keep ? BACKEND_POOL_RETURNED : BACKEND_POOL_ENDED],
                   1);
        if (prove != NULL && !l->tainted) {
            mysql_abandoned_begin(l, prove);
        } else if (keep) { /* who left may have stopped it, by not reading */
            conn_resume(&l->base.conn, PAUSE_PEER_FULL | PAUSE_HOLD);
            come_back(l);
        } else {
            mysql_link_close(l);
        }
        break;
    default:
        mysql_link_close(l);
        break;
    }
}
