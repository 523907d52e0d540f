/* The login of a pooled client at its server: what both say passes through struct mysql_prove, one
 * packet at a time, until the server has decided. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/account.h"
#include "core/mysql_ends.h"
#include "core/mysql_lease.h"
#include "core/mysql_limits.h"
#include "core/mysql_link.h"
#include "core/mysql_seen.h"
#include "proto/mysql_crypt.h"
#include "proto/mysql_key.h"

static struct worker_backend *backend_of(const struct session *s)
{
    return s->worker->backends[s->backend->index];
}

void mysql_proof_free(struct mysql_client *c)
{
    struct mysql_proof *p = c->proof;
    if (p != NULL) {
        mysql_prove_forget(&p->prove);
        mysql_inbox_free(&p->inbox);
        wipe(p, sizeof *p + p->len);
        free(p);
        c->proof = NULL;
    }
}

struct mysql_proof *mysql_proof_new(struct session *s, const char *payload, size_t len)
{
    struct mysql_proof *p = calloc(1, sizeof *p + len);
    if (p == NULL) {
        session_kill(s, END_MEMORY);
        return NULL;
    }
    memcpy(p->payload, payload, len);
    p->len = len;
    mysql_proof_free(s->mysql);
    s->mysql->proof = p;
    return p;
}

/* Sending ------------------------------------------------------------------------------------- */

/* What one packet may lead to, on both sides. */
struct answers {
    struct mysql_writer client;
    struct mysql_writer server;
    unsigned char *data; /* owned */
};

static bool answers_new(struct answers *a, size_t len)
{
    size_t room = len + MYSQL_KEY_MAX + 64;
    unsigned char *data = malloc(2 * room);
    *a = (struct answers){
        .client = {.data = data, .size = room},
        .server = {.data = data != NULL ? data + room : NULL, .size = room},
        .data = data,
    };
    return data != NULL;
}

static void answers_free(struct answers *a)
{
    wipe(a->client.data, a->client.len);
    wipe(a->server.data, a->server.len);
    free(a->data);
}

static bool to_client(struct session *s, const struct mysql_writer *w)
{
    s->bytes_out += w->len;
    return !w->full && (w->len == 0 || conn_write(&s->client, (const char *)w->data, w->len) == 0);
}

static bool to_server(struct mysql_link *l, const struct mysql_writer *w)
{
    return !w->full &&
           (w->len == 0 || conn_write(&l->base.conn, (const char *)w->data, w->len) == 0);
}

/* The steps ----------------------------------------------------------------------------------- */

static bool note_user(struct mysql_link *l, struct mysql_text user)
{
    free(l->user);
    l->user_len = user.len < MYSQL_USER_MAX ? user.len : MYSQL_USER_MAX;
    l->user = malloc(l->user_len + 1);
    if (l->user == NULL) {
        return false;
    }
    memcpy(l->user, user.data, l->user_len);
    l->user[l->user_len] = '\0';
    return true;
}

static void logged_in(struct session *s, struct mysql_link *l)
{
    struct mysql_client *c = s->mysql;
    mysql_login_seen(s, l, c->proof->began_us);
    login_guard_succeeded(s->worker->guard, &s->admission.key, c->user_hash,
                          loop_now_ms(&s->worker->loop));
    mysql_slow_over(s);
    if (!note_user(l, c->proof->request.user)) {
        mysql_proof_free(c);
        session_kill(s, END_MEMORY);
        return;
    }
    l->user_hash = c->user_hash;
    thread_entry_set(&c->thread, l->base.config->id, l->thread);
    l->leases++;
    l->count = 0;
    if (c->lease != NULL && !mysql_lease_begin(s, l, &c->proof->request)) {
        mysql_proof_free(c);
        session_kill(s, END_MEMORY);
        return;
    }
    mysql_proof_free(c);
    c->step = MYSQL_STEP_ON;
    c->anew = false;
    mysql_relay_begin(s);
}

/* The client has read it by now; nothing is kept of a connection on which somebody failed, because
 * MariaDB would go on serving whoever was there before. */
static void denied(struct session *s, struct mysql_link *l)
{
    metric_add(&s->worker->metrics.backends[s->backend->index]->at[BACKEND_LOGINS_DENIED], 1);
    l->tainted = true;
    s->mysql->said = true;
    session_refuse(s, REFUSED_LOGIN, "");
}

static void act(struct session *s, struct mysql_link *l, enum mysql_prove_step step,
                const struct answers *a, const char *why, bool by_server)
{
    if (step == MYSQL_PROVE_BAD) {
        l->tainted = by_server;
        mysql_client_failed(s, by_server ? LOGIN_FAILED_DENIED : LOGIN_FAILED_BROKEN);
        session_refuse(s, REFUSED_LOGIN, why);
    } else if (!to_server(l, &a->server)) {
        l->tainted = true;
        session_kill(s, END_SERVER);
    } else if (!to_client(s, &a->client)) {
        if (step == MYSQL_PROVE_OK || step == MYSQL_PROVE_DENIED) {
            mysql_proof_free(s->mysql); /* there is no login that would have to end */
        }
        session_kill(s, END_CLIENT);
    } else if (step == MYSQL_PROVE_OK) {
        logged_in(s, l);
    } else if (step == MYSQL_PROVE_DENIED) {
        denied(s, l);
    } else {
        session_arm(s, &backend_of(s)->login);
    }
}

/* What the connection was before is in the way, and the client has heard nothing yet: on one of its
 * own making it begins again. False: that cannot be. */
static bool begin_anew(struct session *s, struct mysql_link *l)
{
    struct mysql_client *c = s->mysql;
    if (l->leases == 0 || c->proof->told) {
        return false;
    }
    l->tainted = true;
    c->anew = true;
    c->step = MYSQL_STEP_ROUTE;
    session_drop_server(s, true);
    mysql_pool_route(s);
    return true;
}

void mysql_proof_lost(struct session *s)
{
    if (!begin_anew(s, mysql_link_of(s))) {
        s->mysql->refusal_code = 2013; /* CR_SERVER_LOST */
        session_refuse(s, REFUSED_CONNECT, "the server ended the connection in the login");
    }
}

/* AuthSwitchRequest: the plugin, a NUL, the nonce. */
static bool shows_greetings_nonce(const struct mysql_link *l, const struct mysql_inbox *in)
{
    struct mysql_cursor c = mysql_read(in->payload, in->length);
    bool asks = mysql_read_int(&c, 1) == MYSQL_EOF;
    mysql_read_nul(&c);
    struct mysql_text nonce = mysql_read_bytes(&c, MYSQL_NONCE);
    return asks && !c.broken && memcmp(nonce.data, l->nonce, MYSQL_NONCE) == 0;
}

static bool may_be_read(const struct conn *c)
{
    struct address peer;
    return !conn_is_secured(c) && !(conn_peer(c, &peer) && address_is_loopback(&peer));
}

/* The server's packet shows that this is not the connection for it: it is one that its last client
 * has spoilt (an expired password), or one where who has read an earlier login could repeat it. */
static bool is_the_wrong_one(const struct session *s, struct mysql_link *l)
{
    if (l->inbox.length > 0 && l->inbox.payload[0] == MYSQL_ERROR) {
        return true;
    }
    if (!shows_greetings_nonce(l, &l->inbox)) {
        return false;
    }
    bool wrong = l->exposed;
    l->exposed = l->exposed || may_be_read(&s->client);
    return wrong;
}

/* Only a login that is anew takes back what a server counts against our address: as a pool makes
 * few of them, the probe is to make one. */
static void note_counted(const struct mysql_link *l, const struct mysql_inbox *in)
{
    struct mysql_error error;
    if (mysql_read_error(&error, in->payload, in->length) &&
        (error.code == 1043 || error.code == 1231 || error.code == 1300)) {
        worker_counted(l->worker, l->backend, l->base.index);
    }
}

/* One packet of either side. False: there is no more to do here. */
static bool take(struct session *s, struct mysql_link *l, struct mysql_inbox *in, bool by_server)
{
    struct mysql_proof *p = s->mysql->proof;
    struct answers a;
    const char *why = "";
    if (by_server && is_the_wrong_one(s, l) && begin_anew(s, l)) {
        return false;
    }
    if (!answers_new(&a, in->length)) {
        session_kill(s, END_MEMORY);
        return false;
    }
    enum mysql_prove_step step = (by_server ? mysql_prove_server : mysql_prove_client)(
        &p->prove, mysql_inbox_sequence(in), in->payload, in->length, &a.client, &a.server, &why);
    bool proved = step == MYSQL_PROVE_DENIED && mysql_limits_refused(s, l, in);
    if (step == MYSQL_PROVE_DENIED && !proved) {
        note_counted(l, in);
        mysql_client_failed(s, LOGIN_FAILED_DENIED);
    }
    wipe(in->payload, in->length); /* it may be a password */
    s->mysql->sequence = p->prove.client_sequence;
    p->told = p->told || a.client.len > 0;
    if (step == MYSQL_PROVE_OK && s->mysql->veiled) {
        a.client.len = mysql_veil_strip((char *)a.client.data, a.client.len);
    }
    act(s, l, step, &a, why, by_server);
    answers_free(&a);
    return s->state == SESSION_LOGIN;
}

static void too_long(struct session *s, struct mysql_link *l, bool by_server)
{
    l->tainted = by_server;
    s->mysql->refusal_code = 1153; /* ER_NET_PACKET_TOO_LARGE */
    session_refuse(s, REFUSED_LOGIN, "a packet of the login is too long");
}

/* Beginning ----------------------------------------------------------------------------------- */

static enum mysql_leg leg_of(const struct conn *c)
{
    struct address own;
    if (conn_is_secured(c)) {
        return MYSQL_LEG_TLS;
    }
    bool socket = conn_own(c, &own) && own.sa.any.sa_family == AF_UNIX;
    return socket ? MYSQL_LEG_SOCKET : MYSQL_LEG_OPEN;
}

/* A server that was exchanged since the client was greeted may lack what the client was offered. */
static bool can_all(const struct session *s, const struct mysql_link *l)
{
    uint64_t key = s->mysql->key;
    return (key & ~((uint64_t)l->extended << 32 | l->capabilities)) == 0;
}

static void send_login(struct session *s, struct mysql_link *l)
{
    struct mysql_proof *p = s->mysql->proof;
    struct answers a;
    unsigned char sequence = l->leases > 0 ? 0 : l->sequence;
    if (!answers_new(&a, mysql_request_size(&p->request))) {
        session_kill(s, END_MEMORY);
        return;
    }
    if (l->leases > 0) {
        mysql_lease_log_in(l, p->request.user);
        mysql_write_change_user(&a.server, &p->request);
    } else {
        l->capabilities &= mysql_caps_login(s->mysql->key);
        uint32_t tls = conn_is_secured(&l->base.conn) ? MYSQL_CAP_SSL : 0;
        mysql_write_login(&a.server, sequence, l->capabilities | tls, &p->request);
    }
    enum mysql_leg client = leg_of(&s->client);
    enum mysql_leg server = leg_of(&l->base.conn);
    bool shows_key = client != MYSQL_LEG_TLS && server != MYSQL_LEG_OPEN;
    mysql_prove_begin(&p->prove, s->mysql->sequence, (unsigned char)(sequence + 1), client, server,
                      shows_key ? mysql_key_shared() : NULL);
    if (!to_server(l, &a.server)) {
        l->tainted = true;
        session_kill(s, END_SERVER);
    }
    answers_free(&a);
}

void mysql_proof_again(struct session *s, const char *payload, size_t len)
{
    struct mysql_proof *p = mysql_proof_new(s, payload, len);
    if (p == NULL) {
        return;
    }
    if (s->ahead_len > 0) {
        wipe(s->ahead, s->ahead_len);
    }
    session_taken(s, s->ahead_len);
    if (!mysql_read_change_user(&p->request, s->mysql->capabilities, p->payload, p->len)) {
        mysql_ends_broken(s, 1047, "08S01", "router: the change of user is malformed");
        return;
    }
    s->mysql->sequence = 1;
    s->mysql->step = MYSQL_STEP_ROUTE;
    if (mysql_client_is_at_fault(s, &p->request)) {
        return;
    }
    s->mysql->user_hash =
        login_guard_user(s->worker->guard, p->request.user.data, p->request.user.len);
    mysql_proof_begin(s, mysql_link_of(s));
}

void mysql_proof_begin(struct session *s, struct mysql_link *l)
{
    s->mysql->step = MYSQL_STEP_PROVE;
    session_set(s, SESSION_LOGIN);
    session_settled(s, l->base.index);
    session_arm(s, &backend_of(s)->login);
    s->mysql->proof->began_us = uv_hrtime() / 1000;
    if (!can_all(s, l)) {
        session_refuse(s, REFUSED_CONNECT, "the server cannot do what it could when you came");
        return;
    }
    send_login(s, l);
    if (s->state == SESSION_LOGIN) {
        conn_resume(&s->client, PAUSE_WAITING);
    }
    if (s->state == SESSION_LOGIN && s->client.eof) { /* it has gone while it waited */
        mysql_client_eof(s);
    }
}

/* What comes ---------------------------------------------------------------------------------- */

void mysql_proof_server(struct mysql_link *l, const char *data, size_t len)
{
    struct session *s = l->base.session;
    while (len > 0) {
        enum mysql_inbox_state got =
            mysql_inbox_take(&l->inbox, MYSQL_PROVE_PACKET_MAX, &data, &len);
        if (got == MYSQL_INBOX_PART) {
            return;
        }
        if (got != MYSQL_INBOX_WHOLE) {
            too_long(s, l, true);
            return;
        }
        if (!take(s, l, &l->inbox, true)) {
            if (s->state == SESSION_RELAY && len > 0) {
                mysql_relay_server(l, data, len);
            }
            return;
        }
    }
}

void mysql_proof_client(struct session *s, const char *data, size_t len)
{
    struct mysql_link *l = mysql_link_of(s);
    while (len > 0) {
        enum mysql_inbox_state got =
            mysql_inbox_take(&s->mysql->proof->inbox, MYSQL_PROVE_PACKET_MAX, &data, &len);
        if (got == MYSQL_INBOX_PART) {
            return;
        }
        if (got != MYSQL_INBOX_WHOLE) {
            too_long(s, l, false);
            return;
        }
        if (!take(s, l, &s->mysql->proof->inbox, false)) {
            return;
        }
    }
}
