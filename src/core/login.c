/* The beginning of a session whose protocol has a login_dialogue. What the client sends is kept
 * until the dialogue lets it go on to the server; what the server sends passes while the dialogue
 * listens. When the login is over, or has become TLS, relay.c takes over and knows nothing of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/mysql_client.h"
#include "core/session.h"

static const struct login_dialogue *dialogue_of(const struct session *s)
{
    return s->backend->protocol->login;
}

bool login_new(struct session *s)
{
    const struct login_dialogue *dialogue = dialogue_of(s);
    if (dialogue == NULL) {
        return true;
    }
    s->login = calloc(1, sizeof *s->login + dialogue->state_size);
    return s->login != NULL;
}

void login_free(struct session *s)
{
    if (s->login != NULL) {
        wipe(s->login, sizeof *s->login + dialogue_of(s)->state_size);
        free(s->login);
        s->login = NULL;
    }
}

static bool is_held(const struct session *s)
{
    return (s->client.pauses & PAUSE_HOLD) != 0;
}

/* A client that is to go on has its time for it; for a server there is idle_timeout. When they
 * stand still, the server may be waiting for a client that is not let through. */
static void arm(struct session *s)
{
    struct worker *w = s->worker;
    bool client = s->login->step == LOGIN_CLIENT || is_held(s);
    session_arm(s, client ? &w->backends[s->backend->index]->login
                          : &w->frontends[s->frontend->index]->idle);
}

static void set_step(struct session *s, enum login_step step)
{
    s->login->step = (uint8_t)step;
    arm(s);
}

void login_held(struct session *s)
{
    if (!is_held(s) || s->login->step != LOGIN_CLIENT) { /* its time is running already */
        arm(s);
    }
}

static void refuse(struct session *s, const char *why)
{
    session_refuse(s, REFUSED_LOGIN, why);
}

/* The client speaks first ------------------------------------------------------------------- */

static void look_at_first(struct session *s)
{
    const char *why = "";
    switch (dialogue_of(s)->first(s->login->state, s->ahead, s->ahead_len, &why)) {
    case LOGIN_CLIENT:
        break;
    case LOGIN_SERVER:
        session_arm(s, NULL);
        session_route(s);
        break;
    case LOGIN_CANCEL:
        cancel_begin(s);
        break;
    case LOGIN_OVER:
    case LOGIN_BAD:
        refuse(s, why);
        break;
    }
}

void login_open(struct session *s)
{
    session_set(s, SESSION_OPENING);
    set_step(s, LOGIN_CLIENT);
    if (s->ahead_len > 0) { /* it came together with a PROXY header */
        look_at_first(s);
    }
}

/* Between client and server ----------------------------------------------------------------- */

/* By what name its server knows the session. Known here before the client hears of it: who has
 * heard it may cancel at once, and by another worker. */
static void note_key(struct session *s)
{
    const struct login_dialogue *dialogue = dialogue_of(s);
    const char *key;
    size_t len = dialogue->key != NULL ? dialogue->key(s->login->state, &key) : 0;
    if (len > 0) {
        s->cancel =
            cancel_table_add(s->worker->cancels, s->backend->index, s->server->index, key, len);
    }
}

static void login_over(struct session *s)
{
    login_free(s);
    relay_begin(s);
}

static void act(struct session *s, enum login_step step, const char *why)
{
    switch (step) {
    case LOGIN_CLIENT:
        break;
    case LOGIN_SERVER:
        if (s->ahead_len >= SESSION_AHEAD_MAX) {
            refuse(s, "it sends more than it may before its login is over");
        }
        break;
    case LOGIN_OVER:
        login_over(s);
        break;
    case LOGIN_BAD:
        refuse(s, why);
        break;
    case LOGIN_CANCEL:
        cancel_begin(s);
        break;
    }
}

/* Shows the dialogue what the client sent, until it takes no more of it. */
static void show_client(struct session *s)
{
    const char *why = "";
    enum login_step step = s->login->step;
    size_t pass = 1;
    while (s->ahead_len > 0 && pass > 0) {
        step = dialogue_of(s)->client(s->login->state, s->ahead, s->ahead_len, &pass, &why);
        if (pass > 0) {
            relay_client_data(s, s->ahead, pass);
            if (s->state != SESSION_LOGIN) {
                return;
            }
            session_taken(s, pass);
        }
        if (step != s->login->step) {
            set_step(s, step);
        }
    }
    act(s, step, why);
}

void login_client_data(struct session *s, const char *data, size_t len)
{
    if (!session_keep(s, data, len)) {
        return;
    }
    if (s->state == SESSION_OPENING) {
        look_at_first(s);
    } else {
        show_client(s);
    }
}

/* A client that ends its side is gone where a login must not break off; elsewhere the server may
 * say what it thinks of it. */
void login_client_eof(struct session *s)
{
    if (s->state == SESSION_OPENING) {
        session_close(s, END_LEFT);
    } else if (dialogue_of(s)->finish != NULL) {
        session_close(s, END_CLIENT);
    } else {
        relay_client_eof(s);
    }
}

void login_on_late(struct deadline *d)
{
    struct session *s = container_of(d, struct session, deadline);
    if (s->pooling == POOLING_MYSQL) {
        mysql_client_late(s);
        return;
    }
    s->cause = is_held(s) ? END_SERVER_LATE : END_CLIENT_LATE;
    if (is_held(s)) {
        session_refuse(s, REFUSED_TIMEOUT, "the server was paused for too long in its login");
    } else {
        refuse(s, "it did not go on with its login in time");
    }
}

/* What the server says, to the client: as it is, or without what would be a lie. */
static void show_server(struct session *s, struct conn *c, const char *data, size_t len)
{
    const struct login_dialogue *dialogue = dialogue_of(s);
    if (!s->backend->tls || dialogue->veil == NULL) {
        relay_server_ops.on_data(c, data, len);
        return;
    }
    char *copy = malloc(len);
    if (copy == NULL) {
        session_kill(s, END_MEMORY);
        return;
    }
    memcpy(copy, data, len);
    dialogue->veil(s->login->state, copy, len);
    relay_server_ops.on_data(c, copy, len);
    wipe(copy, len); /* it may hold the key of the session */
    free(copy);
}

static void on_server_data(struct conn *c, const char *data, size_t len)
{
    struct session *s = container_of(c, struct server_link, conn)->session;
    enum login_step step = dialogue_of(s)->server(s->login->state, data, len);
    if (step == LOGIN_OVER) {
        note_key(s);
    }
    show_server(s, c, data, len);
    if (s->state != SESSION_LOGIN) {
        return;
    }
    set_step(s, step);
    if (step == LOGIN_CLIENT && s->ahead_len > 0) {
        show_client(s);
    } else {
        act(s, step, "");
    }
}

/* It will not go on with the login, and cannot hold it against anybody any more. */
static void on_server_eof(struct conn *c)
{
    struct session *s = container_of(c, struct server_link, conn)->session;
    session_taken(s, s->ahead_len);
    login_free(s);
    relay_begin(s);
    if (s->state == SESSION_RELAY) {
        relay_server_ops.on_eof(c);
    }
}

static void on_server_drained(struct conn *c)
{
    relay_server_ops.on_drained(c);
}

static void on_server_error(struct conn *c, int status)
{
    login_free(container_of(c, struct server_link, conn)->session);
    relay_server_ops.on_error(c, status);
}

static void on_server_closed(struct conn *c)
{
    relay_server_ops.on_closed(c);
}

static const struct conn_ops login_server_ops = {
    .on_data = on_server_data,
    .on_eof = on_server_eof,
    .on_drained = on_server_drained,
    .on_error = on_server_error,
    .on_closed = on_server_closed,
};

void login_begin(struct session *s)
{
    session_set(s, SESSION_LOGIN);
    s->server->conn.ops = &login_server_ops;
    set_step(s, LOGIN_SERVER);
    conn_resume(&s->client, PAUSE_WAITING);
    if (s->ahead_len > 0) {
        show_client(s);
    }
    if (s->state == SESSION_LOGIN && s->client.eof) {
        login_client_eof(s);
    }
}
