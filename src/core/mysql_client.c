/* How a client of a pool begins: the greeting in a server's name, TLS, its login; and how it is
 * refused. Whom it may go to is asked (mysql_pool.c) when its login is there, so one that never
 * logs in costs no server anything. */
#include "core/mysql_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/mysql_lease.h"
#include "core/mysql_link.h"
#include "core/mysql_seen.h"
#include "model/login_guard.h"
#include "proto/mysql_words.h"

#define GREETING_SIZE 256
#define LOGIN_MAX     (66 * 1024) /* attributes may have 64 KiB */

static struct worker_backend *backend_of(const struct session *s)
{
    return s->worker->backends[s->backend->index];
}

/* The greeting -------------------------------------------------------------------------------- */

/* A nonce has no zeros, and nothing that could end a string. */
static bool make_nonce(unsigned char nonce[MYSQL_NONCE])
{
    if (uv_random(NULL, NULL, nonce, MYSQL_NONCE, 0, NULL) != 0) {
        return false;
    }
    for (size_t i = 0; i < MYSQL_NONCE; i++) {
        nonce[i] = (unsigned char)(nonce[i] % 94 + 33);
    }
    return true;
}

static void greet(struct session *s, const struct greeting *says)
{
    struct mysql_client *c = s->mysql;
    unsigned char packet[GREETING_SIZE];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    struct mysql_greeting g = {
        .says = *says, .thread = c->thread.id, .status = MYSQL_STATUS_AUTOCOMMIT};
    bool tls = s->frontend->tls != TLS_MODE_NO && !conn_is_secured(&s->client);
    g.says.capabilities = mysql_caps_offered(says->capabilities, tls);
    g.says.extended = mysql_caps_offered_extended(says->extended);
    c->offered = g.says.capabilities;
    c->offered_extended = g.says.extended;
    if (!make_nonce(g.nonce)) {
        session_kill(s, END_MEMORY);
        return;
    }
    mysql_write_greeting(&w, &g);
    c->step = MYSQL_STEP_LOGIN;
    c->sequence = 2; /* behind the client's login */
    session_arm(s, &backend_of(s)->login);
    if (w.full || conn_write(&s->client, (const char *)packet, w.len) != 0) {
        session_close(s, END_CLIENT);
        return;
    }
    s->bytes_out += w.len;
}

static bool greeting_for(const struct session *s, struct greeting *out)
{
    return topology_greeting(s->worker->topology, s->backend->index, out);
}

void mysql_client_greet_held(struct worker *w)
{
    struct greeting says;
    for (size_t i = 0; i < w->backend_count; i++) {
        struct list *held = &w->backends[i]->mysql_greetless;
        while (!list_empty(held)) {
            struct mysql_client *c = container_of(held->next, struct mysql_client, node);
            if (!greeting_for(c->session, &says)) {
                break;
            }
            list_remove(&c->node);
            if (c->session->state == SESSION_OPENING) { /* else it was refused, or has gone */
                greet(c->session, &says);
            }
        }
    }
}

void mysql_client_begin(struct session *s)
{
    struct greeting says;
    struct mysql_client *c = calloc(1, sizeof *c);
    login_free(s);
    if (c == NULL) {
        session_kill(s, END_MEMORY);
        return;
    }
    c->session = s;
    thread_table_add(s->worker->threads, &c->thread);
    list_init(&c->node);
    s->mysql = c;
    s->pooling = POOLING_MYSQL;
    if (s->frontend->pool_mode == POOL_TRANSACTION && !mysql_lease_new(s)) {
        session_kill(s, END_MEMORY);
        return;
    }
    mysql_client_seen_come(s);
    session_set(s, SESSION_OPENING);
    if (greeting_for(s, &says)) {
        greet(s, &says);
        return;
    }
    list_append(&backend_of(s)->mysql_greetless, &c->node);
    session_arm(s, &backend_of(s)->queue);
}

void mysql_client_free(struct session *s)
{
    struct mysql_client *c = s->mysql;
    if (s->pooling != POOLING_MYSQL || c == NULL) {
        return;
    }
    mysql_client_seen_gone(s);
    list_remove(&c->node);
    mysql_proof_free(c);
    mysql_lease_free(c);
    thread_table_remove(s->worker->threads, &c->thread);
    free(c);
    s->mysql = NULL;
    s->pooling = POOLING_NONE;
}

/* The login ----------------------------------------------------------------------------------- */

static void refuse(struct session *s, const char *why)
{
    session_refuse(s, REFUSED_LOGIN, why);
}

bool mysql_client_is_at_fault(struct session *s, const struct mysql_request *r)
{
    const char *words;
    unsigned code = mysql_request_fault(r, &words);
    if (code == 0) {
        return false;
    }
    s->mysql->refusal_code = (uint16_t)code;
    refuse(s, words);
    return true;
}

static void logs_in(struct session *s, struct mysql_proof *p, unsigned char sequence)
{
    struct mysql_client *c = s->mysql;
    c->sequence = (uint8_t)(sequence + 1);
    if (mysql_client_is_at_fault(s, &p->request)) {
        return;
    }
    if (s->frontend->tls == TLS_MODE_REQUIRED && !conn_is_secured(&s->client)) {
        c->refusal_code = 3159; /* ER_SECURE_TRANSPORT_REQUIRED */
        refuse(s, "connections in the clear are not allowed here");
        return;
    }
    c->capabilities = p->request.capabilities;
    c->key = mysql_caps_key(p->request.capabilities, p->request.extended);
    if (c->lease != NULL && (c->key & c->offered & MYSQL_CAP_SESSION_TRACK) == 0) {
        c->key |= c->offered & MYSQL_CAP_SESSION_TRACK;
        c->veiled = (c->key & MYSQL_CAP_SESSION_TRACK) != 0;
    }
    c->user_hash = login_guard_user(s->worker->guard, p->request.user.data, p->request.user.len);
    mysql_slow_begin(s);
}

static void wants_tls(struct session *s)
{
    if (s->frontend->tls == TLS_MODE_NO || conn_is_secured(&s->client)) {
        refuse(s, "it asks for TLS, and there is none here");
        return;
    }
    s->mysql->sequence = 3; /* its request for TLS was one packet more */
    edge_upgrade(s);
}

static void look_at_login(struct session *s, unsigned char sequence, size_t len)
{
    struct mysql_client *c = s->mysql;
    struct mysql_proof *p = mysql_proof_new(s, s->ahead + MYSQL_HEADER, len);
    if (p == NULL) {
        return;
    }
    enum mysql_request_kind kind =
        mysql_read_login(&p->request, c->offered, c->offered_extended, p->payload, p->len);
    wipe(s->ahead, MYSQL_HEADER + len); /* a client may send its password at once, under TLS */
    session_taken(s, MYSQL_HEADER + len);
    switch (kind) {
    case MYSQL_REQUEST_LOGIN:
        logs_in(s, p, sequence);
        break;
    case MYSQL_REQUEST_TLS:
        mysql_proof_free(c);
        wants_tls(s);
        break;
    case MYSQL_REQUEST_OLD:
        c->refusal_code = 1251; /* ER_NOT_SUPPORTED_AUTH_MODE */
        refuse(s, "the client is too old: it does not know authentication plugins");
        break;
    case MYSQL_REQUEST_BAD:
        c->refusal_code = 1043; /* ER_HANDSHAKE_ERROR */
        refuse(s, "bad handshake");
        break;
    }
}

/* The first packet, when it is whole. */
static void look_at_first(struct session *s)
{
    const unsigned char *head = (const unsigned char *)s->ahead;
    if (s->ahead_len < MYSQL_HEADER) {
        return;
    }
    size_t len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    if (len > LOGIN_MAX || head[3] != s->mysql->sequence - 1) {
        s->mysql->refusal_code = 1043;
        refuse(s, "bad handshake");
    } else if (s->ahead_len >= MYSQL_HEADER + len) {
        look_at_login(s, head[3], len);
    }
}

void mysql_client_data(struct session *s, const char *data, size_t len)
{
    if (s->state == SESSION_RELAY) {
        mysql_relay_client(s, data, len);
        return;
    }
    if (s->state == SESSION_LOGIN) {
        mysql_proof_client(s, data, len);
        return;
    }
    if (!session_keep(s, data, len)) {
        return;
    }
    if (s->state == SESSION_PARKED) {
        mysql_lease_parked_data(s);
    } else if (s->mysql->step == MYSQL_STEP_LOGIN) {
        look_at_first(s);
    } else if (s->ahead_len >= SESSION_AHEAD_MAX) {
        conn_pause(&s->client, PAUSE_WAITING);
    }
}

void mysql_client_secured(struct session *s)
{
    session_set(s, SESSION_OPENING);
    session_arm(s, &backend_of(s)->login);
    s->mysql->step = MYSQL_STEP_LOGIN;
}

static bool may_be_kept(const struct session *s)
{
    return s->state == SESSION_CLOSE &&
           (s->end == END_DONE || s->end == END_CLIENT || s->end == END_LEFT ||
            s->end == END_IDLE || s->end == END_SHUTDOWN);
}

void mysql_client_leave(struct session *s)
{
    mysql_slow_over(s);
    mysql_lease_end(s->mysql);
}

void mysql_client_drop(struct session *s, struct server_link *link, bool reset)
{
    struct mysql_link *l = container_of(link, struct mysql_link, base);
    struct mysql_client *c = s->mysql;
    bool proving = c->step == MYSQL_STEP_PROVE && c->proof != NULL;
    bool keep = may_be_kept(s) && mysql_relay_is_at_rest(s, l);
    if (l->state == MYSQL_LINK_CONNECT && link->failed) { /* nobody is at the other end */
        conn_reset(&link->conn);
        worker_release_place(s->worker, s->backend->index, link->index);
        return;
    }
    keep = !thread_entry_clear(&c->thread) && keep;
    if (c->lease != NULL) {
        mysql_lease_left(c->lease, l);
    }
    if (reset && !keep && c->step == MYSQL_STEP_ON) {
        conn_reset(&link->conn);
    }
    mysql_link_let_go(l, proving ? &c->proof->prove : NULL, keep);
}

/* One that leaves while it is to log in has not failed: a port is looked at that way. */
void mysql_client_eof(struct session *s)
{
    if (s->state == SESSION_PARKED) {
        session_close(s, END_DONE);
        return;
    }
    if (s->state == SESSION_RELAY) { /* what is under way is nobody's: its connection is closed */
        session_close(s, END_DONE);
        return;
    }
    if (s->mysql->step == MYSQL_STEP_PROVE) {
        mysql_client_failed(s, LOGIN_FAILED_LEFT);
    }
    session_close(s, END_LEFT);
}

void mysql_client_failed(struct session *s, enum login_failure how)
{
    login_guard_failed(s->worker->guard, &s->admission.key, s->mysql->user_hash,
                       loop_now_ms(&s->worker->loop), how);
}

void mysql_client_late(struct session *s)
{
    s->cause = END_CLIENT_LATE;
    mysql_client_failed(s, LOGIN_FAILED_LATE);
    refuse(s, "it did not go on with its login in time");
}

/* Refusing ------------------------------------------------------------------------------------ */

static uint16_t code_of(enum refusal why)
{
    switch (why) {
    case REFUSED_SHUTDOWN:
        return 1053; /* ER_SERVER_SHUTDOWN */
    case REFUSED_FENCED:
        return 1290; /* as a server says that is no primary any more */
    case REFUSED_CONNECT:
        return 2003;
    case REFUSED_LOGIN:
        return 1043; /* ER_HANDSHAKE_ERROR */
    default:
        return 1040; /* ER_CON_COUNT_ERROR */
    }
}

static const char *state_of(uint16_t code)
{
    switch (code) {
    case 1040: /* ER_CON_COUNT_ERROR */
        return "08004";
    case 1045: /* ER_ACCESS_DENIED_ERROR */
        return "28000";
    case 1927: /* ER_CONNECTION_KILLED */
        return "70100";
    case 1231: /* ER_WRONG_VALUE_FOR_VAR */
        return "42000";
    case 1043: /* ER_HANDSHAKE_ERROR */
    case 1053: /* ER_SERVER_SHUTDOWN */
    case 1153: /* ER_NET_PACKET_TOO_LARGE */
    case 1251: /* ER_NOT_SUPPORTED_AUTH_MODE */
        return "08S01";
    default:
        return "HY000";
    }
}

size_t mysql_client_refusal(const struct session *s, enum refusal why, const char *words, char *out,
                            size_t size)
{
    struct mysql_client *c = s->mysql;
    struct mysql_writer w = {.data = (unsigned char *)out, .size = size};
    char text[256];
    if (c->said || (c->step == MYSQL_STEP_ON && !c->owes)) {
        return 0;
    }
    uint16_t code = c->refusal_code != 0 ? c->refusal_code : code_of(why);
    const char *state = c->refusal_state[0] != '\0' ? c->refusal_state : state_of(code);
    snprintf(text, sizeof text, "%s%s", c->refusal_state[0] != '\0' ? "" : "router: ", words);
    /* In place of the greeting it has no SQLSTATE: nobody has said yet what the client can do. */
    mysql_write_error(&w, c->sequence, code, c->step == MYSQL_STEP_GREET ? NULL : state, text);
    return w.full ? 0 : w.len;
}

void mysql_client_deny(struct session *s, enum refusal why, const struct mysql_error *error)
{
    char text[192];
    snprintf(text, sizeof text, "%.*s", (int)error->text.len, error->text.data);
    s->mysql->refusal_code = (uint16_t)error->code;
    snprintf(s->mysql->refusal_state, sizeof s->mysql->refusal_state, "%s",
             error->state[0] != '\0' ? error->state : state_of((uint16_t)error->code));
    session_refuse(s, why, text);
}
