/* Refusing: the client gets the reason in its language, then FIN; what it still sends is read and
 * thrown away for a while, because closing with unread bytes would reset the connection and take
 * the reason with it. Some protocols must hear the client out before they may say it. */
#include <stdio.h>

#include "base/macros.h"
#include "core/mysql_client.h"
#include "core/session.h"

#define REFUSAL_MAX 512

static void count_refusal(struct session *s, enum refusal why)
{
    static const enum frontend_metric counter[] = {
        [REFUSED_SESSIONS] = FRONTEND_REFUSED_SESSIONS, [REFUSED_RATE] = FRONTEND_REFUSED_RATE,
        [REFUSED_QUEUE_FULL] = FRONTEND_REFUSED_QUEUE,  [REFUSED_TIMEOUT] = FRONTEND_REFUSED_QUEUE,
        [REFUSED_CONNECT] = FRONTEND_REFUSED_CONNECT,   [REFUSED_LEFT] = FRONTEND_LEFT_WAITING,
        [REFUSED_SHUTDOWN] = FRONTEND_REFUSED_QUEUE,    [REFUSED_LOGIN] = FRONTEND_REFUSED_LOGIN,
        [REFUSED_DISABLED] = FRONTEND_REFUSED_DISABLED,
    };
    if (why == REFUSED_QUEUE_FULL || why == REFUSED_TIMEOUT) {
        metric_add(&s->worker->metrics.backends[s->backend->index]->at[BACKEND_GIVEN_UP], 1);
    }
    if (why != REFUSED_FENCED) { /* the server counts these */
        metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[counter[why]], 1);
    }
}

static enum session_end end_of(const struct session *s, enum refusal why)
{
    if (s->cause != END_DONE) {
        return s->cause;
    }
    switch (why) {
    case REFUSED_SESSIONS:
    case REFUSED_RATE:
    case REFUSED_DISABLED:
    case REFUSED_LOGIN:
        break;
    case REFUSED_QUEUE_FULL:
        return END_QUEUE_FULL;
    case REFUSED_TIMEOUT:
        return END_QUEUE_TIMEOUT;
    case REFUSED_CONNECT:
        return END_CONNECT;
    case REFUSED_LEFT:
        return END_LEFT;
    case REFUSED_SHUTDOWN:
        return END_SHUTDOWN;
    case REFUSED_FENCED:
        return END_FENCED;
    }
    return END_REFUSED;
}

void refuse_maybe_done(struct session *s)
{
    if (s->client.eof && conn_queued(&s->client) == 0) {
        session_close(s, s->end);
    }
}

static void said(struct session *s)
{
    login_free(s);
    session_taken(s, s->ahead_len);
    conn_finish(&s->client);
    refuse_maybe_done(s);
}

static void say(struct session *s, const char *text, size_t len)
{
    if (len > 0 && conn_write(&s->client, text, len) != 0) {
        session_close(s, s->end);
    }
}

/* A client that a cap keeps out may still cancel what another does: PostgreSQL's own limits do not
 * stand in the way of that either, and it is when all places are taken that somebody needs it. But
 * a worker that stops has ended its requests already, and would not see the end of another one. */
static void cancel_or_not(struct session *s)
{
    if (s->login->refusal == REFUSED_SESSIONS && !s->worker->stopping) {
        cancel_begin(s);
    } else {
        said(s);
    }
}

/* Asks the dialogue what to say to what the client has sent by now. */
static void go_on(struct session *s)
{
    const struct refusal_words words = {(enum refusal)s->login->refusal, s->login->words};
    struct login_out out;
    size_t used;
    enum refuse_step step = s->backend->protocol->login->refuse(s->login->state, &words, s->ahead,
                                                                s->ahead_len, &used, &out);
    session_taken(s, used);
    say(s, out.data, out.len);
    if (s->state != SESSION_REFUSE) {
        return;
    }
    switch (step) {
    case REFUSE_SAID:
        said(s);
        break;
    case REFUSE_READ:
        refuse_maybe_done(s);
        break;
    case REFUSE_CUT:
        session_kill(s, s->end);
        break;
    case REFUSE_CANCEL:
        cancel_or_not(s);
        break;
    }
}

/* Whose TLS passes through is in the midst of its handshake with a server, and would take words in
 * the clear for a broken one. */
static bool understands_words(const struct session *s)
{
    return s->frontend->sni.count == 0 || s->frontend->tls != TLS_MODE_NO;
}

static void begin(struct session *s, enum refusal why, const char *words)
{
    const struct proto *proto = s->backend->protocol;
    bool mute = proto->refuse == NULL || !understands_words(s);
    if (s->login != NULL) {
        s->login->refusal = (uint8_t)why;
        snprintf(s->login->words, sizeof s->login->words, "%s", words);
        go_on(s);
        return;
    }
    char text[REFUSAL_MAX];
    if (s->pooling == POOLING_MYSQL) {
        say(s, text, mysql_client_refusal(s, why, words, text, sizeof text));
    } else {
        say(s, text, mute ? 0 : proto->refuse(why, words, text, sizeof text));
    }
    if (s->state == SESSION_REFUSE) {
        said(s);
    }
}

/* False: there are too many of them, it has ended unheard. */
static bool turn_away(struct session *s, enum session_end why)
{
    struct worker *w = s->worker;
    session_stop_waiting(s);
    if (s->pooling == POOLING_MYSQL) { /* nor for anything else */
        mysql_client_leave(s);
    }
    session_set(s, SESSION_REFUSE);
    session_drop_server(s, true);
    admission_leave(w, s->frontend, &s->admission);
    s->end = (uint8_t)why;
    if (w->refusing > w->refusing_max) {
        session_kill(s, s->end);
        return false;
    }
    conn_resume(&s->client, PAUSE_WAITING | PAUSE_PEER_FULL | PAUSE_HOLD);
    session_arm(s, &w->refuse);
    return true;
}

void session_refuse(struct session *s, enum refusal why, const char *words)
{
    count_refusal(s, why);
    if (turn_away(s, end_of(s, why))) {
        begin(s, why, words);
    }
}

void session_farewell(struct session *s, enum session_end why)
{
    if (turn_away(s, why)) {
        said(s);
    }
}

void refuse_client_data(struct session *s, const char *data, size_t len)
{
    s->discarded += (uint32_t)len;
    if (s->discarded > REFUSE_DISCARD_MAX) {
        session_close(s, s->end);
    } else if (s->login != NULL && session_keep(s, data, len)) {
        go_on(s);
    }
}
