/* The session's machine: its states, its beginning and its end. What happens while it waits is in
 * waiting.c and connect.c, what happens while bytes flow in relay.c, what a new topology does in
 * reconsider.c. */
#include "core/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "core/account.h"
#include "core/mysql_client.h"
#include "core/mysql_ends.h"
#include "core/mysql_link.h"
#include "core/pooled.h"
#include "core/show_sessions.h"

#define TO(state) (1U << (state))
#define ENDS      (TO(SESSION_REFUSE) | TO(SESSION_CLOSE))
#define ADMITS                                                                                     \
    (TO(SESSION_OPENING) | TO(SESSION_WAIT) | TO(SESSION_CONNECT) | TO(SESSION_POOLED) | ENDS)
#define EDGE   (TO(SESSION_PROXY) | TO(SESSION_HELLO) | TO(SESSION_SHAKE))
#define PHASES (TO(SESSION_WAIT) | TO(SESSION_CONNECT)) /* whose times are taken */

static const unsigned successors[] = {
    [SESSION_NEW] = TO(SESSION_PROXY) | TO(SESSION_HELLO) | ADMITS,
    [SESSION_PROXY] = TO(SESSION_HELLO) | ADMITS,
    [SESSION_HELLO] = TO(SESSION_SHAKE) | ADMITS,
    [SESSION_SHAKE] = ADMITS,
    [SESSION_OPENING] = TO(SESSION_SHAKE) | TO(SESSION_WAIT) | TO(SESSION_CONNECT) |
                        TO(SESSION_LOGIN) | TO(SESSION_CANCEL) | ENDS,
    [SESSION_WAIT] = TO(SESSION_CONNECT) | TO(SESSION_LOGIN) | ENDS,
    [SESSION_CONNECT] =
        TO(SESSION_CONNECT) | TO(SESSION_WAIT) | TO(SESSION_LOGIN) | TO(SESSION_RELAY) | ENDS,
    [SESSION_LOGIN] =
        TO(SESSION_WAIT) | TO(SESSION_CONNECT) | TO(SESSION_RELAY) | TO(SESSION_CANCEL) | ENDS,
    [SESSION_RELAY] = TO(SESSION_LOGIN) | TO(SESSION_PARKED) | ENDS,
    [SESSION_PARKED] = TO(SESSION_RELAY) | ENDS,
    [SESSION_POOLED] = TO(SESSION_CLOSE),
    [SESSION_CANCEL] = TO(SESSION_CLOSE),
    [SESSION_REFUSE] = TO(SESSION_CANCEL) | TO(SESSION_CLOSE),
    [SESSION_CLOSE] = 0,
};

/* Times ------------------------------------------------------------------------------------- */

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

uint64_t session_age_us(const struct session *s)
{
    return now_us() - s->times.began_us;
}

static uint32_t add_up(uint32_t sum, uint32_t more)
{
    return more > UINT32_MAX - sum ? UINT32_MAX : sum + more;
}

/* A wait or a connect ends, or begins. */
static void note_phase(struct session *s, enum session_state next)
{
    struct session_times *t = &s->times;
    uint32_t now = (uint32_t)now_us();
    if (s->state == SESSION_WAIT) {
        t->queue_us = add_up(t->queue_us, now - t->phase_us);
    } else if (s->state == SESSION_CONNECT) {
        t->connect_us = add_up(t->connect_us, now - t->phase_us);
    }
    t->phase_us = now;
    if (next == SESSION_LOGIN || next == SESSION_RELAY) {
        account_ready(s);
    }
}

void session_set(struct session *s, enum session_state next)
{
    assert((successors[s->state] & TO(next)) != 0);
    if (((TO(s->state) | TO(next)) & PHASES) != 0) {
        note_phase(s, next);
    }
    if (s->state == SESSION_REFUSE) {
        s->worker->refusing--;
    } else if ((TO(next) & ENDS) != 0) {
        s->ended_in = s->state;
    }
    s->state = (uint8_t)next;
    if (next == SESSION_REFUSE) {
        s->worker->refusing++;
    }
}

void session_arm(struct session *s, struct deadline_list *list)
{
    if (s->timer != NULL && s->timer != list) {
        deadline_disarm(s->timer, &s->deadline);
    }
    s->timer = list;
    if (list != NULL) {
        deadline_arm(list, &s->deadline);
    }
}

/* The end ----------------------------------------------------------------------------------- */

/* Under TLS an end has to be said. */
static void end(struct conn *c)
{
    if (conn_is_secured(c)) {
        conn_finish(c);
    }
    conn_close(c);
}

void session_drop_server(struct session *s, bool reset)
{
    struct server_link *link = s->server;
    if (link == NULL) {
        return;
    }
    session_settled(s, link->index);
    s->server = NULL;
    link->session = NULL;
    list_remove(&link->node);
    deadline_disarm(&s->worker->tune, &link->tune);
    if (s->cancel != NULL) {
        cancel_table_remove(s->worker->cancels, s->cancel);
        s->cancel = NULL;
    }
    if (s->pooling == POOLING_MYSQL) {
        mysql_client_drop(s, link, reset);
        return;
    }
    if (finisher_adopt(s, link, (TO(s->state) & ENDS) != 0)) {
        return;
    }
    if (reset) {
        conn_reset(&link->conn);
    } else {
        end(&link->conn);
    }
    worker_release_place(s->worker, s->backend->index, link->index);
}

void session_close(struct session *s, enum session_end why)
{
    if (s->state == SESSION_CLOSE) {
        return;
    }
    session_arm(s, NULL);
    session_set(s, SESSION_CLOSE);
    s->end = (uint8_t)why;
    account_end(s);
    session_log_end(s);
    session_stop_waiting(s);
    if (s->pooling == POOLING_REDIS && s->pooled != NULL) {
        pooled_leave(s->pooled);
    }
    if (s->pooling == POOLING_MYSQL && s->mysql != NULL) {
        mysql_client_leave(s);
    }
    cancel_forget(s);
    edge_free(s);
    session_drop_server(s, why != END_DONE && why != END_IDLE);
    admission_leave(s->worker, s->frontend, &s->admission);
    if (why == END_IDLE) {
        end(&s->client);
    } else {
        conn_close(&s->client);
    }
}

/* Ends that the client must not take for a success are resets on its side too. Its place is free
 * before it hears of it: it may be back at once. */
void session_kill(struct session *s, enum session_end why)
{
    admission_leave(s->worker, s->frontend, &s->admission);
    conn_reset(&s->client);
    session_close(s, why);
}

void session_shut_down(struct session *s)
{
    const unsigned in_service = TO(SESSION_RELAY) | TO(SESSION_PARKED);
    bool mute = (TO(s->state) & (EDGE | in_service)) != 0;
    if (s->state != SESSION_REFUSE && s->state != SESSION_CLOSE) {
        metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_DRAIN_CLOSED], 1);
    }
    if (s->pooling == POOLING_MYSQL && (TO(s->state) & in_service) != 0) {
        mysql_ends_shut_down(s);
    } else if ((successors[s->state] & TO(SESSION_REFUSE)) != 0 && !mute) {
        session_refuse(s, REFUSED_SHUTDOWN, "it is shutting down");
    } else if (s->state != SESSION_REFUSE) {
        session_kill(s, END_SHUTDOWN);
    }
}

/* The client's socket: what arrives goes to the part that is responsible in this state ------ */

/* What the client of a pool of MySQL says there is for the pool. */
static bool is_of_mysql(const struct session *s)
{
    const unsigned states =
        TO(SESSION_OPENING) | TO(SESSION_LOGIN) | TO(SESSION_RELAY) | TO(SESSION_PARKED);
    return s->pooling == POOLING_MYSQL && (TO(s->state) & states) != 0;
}

static void on_client_data(struct conn *c, const char *data, size_t len)
{
    struct session *s = container_of(c, struct session, client);
    if (LIKELY(s->state == SESSION_RELAY && s->pooling == POOLING_NONE)) {
        relay_client_data(s, data, len);
        return;
    }
    if (LIKELY(s->state == SESSION_POOLED)) {
        pooled_client_data(s, data, len);
        return;
    }
    if (is_of_mysql(s)) {
        mysql_client_data(s, data, len);
        return;
    }
    switch ((enum session_state)s->state) {
    case SESSION_WAIT:
    case SESSION_CONNECT:
        waiting_client_data(s, data, len);
        break;
    case SESSION_OPENING:
    case SESSION_LOGIN:
        login_client_data(s, data, len);
        break;
    case SESSION_PROXY:
    case SESSION_HELLO:
    case SESSION_SHAKE:
        edge_client_data(s, data, len);
        break;
    case SESSION_REFUSE:
        refuse_client_data(s, data, len);
        break;
    case SESSION_CANCEL: /* it has said all it had to say */
        break;
    case SESSION_NEW:
    case SESSION_RELAY:
    case SESSION_POOLED:
    case SESSION_PARKED:
    case SESSION_CLOSE:
        assert(!"bytes in a state that does not read");
    }
}

static void on_client_eof(struct conn *c)
{
    struct session *s = container_of(c, struct session, client);
    if (is_of_mysql(s)) {
        mysql_client_eof(s);
    } else if (s->state == SESSION_RELAY) {
        relay_client_eof(s);
    } else if (s->state == SESSION_POOLED) {
        pooled_client_eof(s);
    } else if (s->state == SESSION_REFUSE) {
        refuse_maybe_done(s);
    } else if (s->state == SESSION_OPENING || s->state == SESSION_LOGIN) {
        login_client_eof(s);
    } else if ((TO(s->state) & EDGE) != 0) {
        edge_client_eof(s);
    } else {
        waiting_client_eof(s);
    }
}

static void on_client_drained(struct conn *c)
{
    struct session *s = container_of(c, struct session, client);
    if (s->state == SESSION_RELAY || s->state == SESSION_LOGIN) {
        relay_client_drained(s);
    } else if (s->state == SESSION_POOLED) {
        pooled_client_drained(s);
    } else if (s->state == SESSION_REFUSE) {
        refuse_maybe_done(s);
    }
}

static void on_client_secured(struct conn *c)
{
    edge_client_secured(container_of(c, struct session, client));
}

static void on_client_error(struct conn *c, int status)
{
    struct session *s = container_of(c, struct session, client);
    if ((TO(s->state) & EDGE) != 0) {
        edge_client_error(s, status);
    } else if (s->state == SESSION_WAIT || s->state == SESSION_CONNECT) {
        metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_LEFT_WAITING], 1);
        session_close(s, END_LEFT);
    } else {
        session_close(s, s->state == SESSION_REFUSE ? s->end : END_CLIENT);
    }
}

static void on_client_closed(struct conn *c)
{
    struct session *s = container_of(c, struct session, client);
    struct worker *w = s->worker;
    assert(s->state == SESSION_CLOSE);
    show_sessions_forget(s);
    list_remove(&s->node);
    shared_release(&w->shared->backends[s->backend->index]->users);
    login_free(s);
    mysql_client_free(s);
    free(s->origin);
    free(s->ahead);
    free(s->note);
    free(s);
    worker_maybe_stop(w);
}

static const struct conn_ops client_ops = {
    .on_secured = on_client_secured,
    .on_data = on_client_data,
    .on_eof = on_client_eof,
    .on_drained = on_client_drained,
    .on_error = on_client_error,
    .on_closed = on_client_closed,
};

/* The beginning ----------------------------------------------------------------------------- */

void session_use_backend(struct session *s, size_t backend)
{
    struct worker *w = s->worker;
    if (s->backend != NULL) {
        shared_release(&w->shared->backends[s->backend->index]->users);
    }
    atomic_fetch_add(&w->shared->backends[backend]->users, 1);
    s->backend = &w->config->backends[backend];
}

static struct session *session_new(struct worker *w, const struct frontend_config *f)
{
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->worker = w;
    s->number = ++w->session_numbers;
    s->frontend = f;
    session_use_backend(s, f->backend);
    s->route = session_side(f->route);
    s->times.began_us = now_us();
    if (!login_new(s)) {
        shared_release(&w->shared->backends[f->backend]->users);
        free(s);
        return NULL;
    }
    deadline_init(&s->deadline);
    list_append(&w->sessions, &s->node);
    return s;
}

static void begin(struct session *s)
{
    const struct login_dialogue *login = s->backend->protocol->login;
    if (s->frontend->pool_mode != POOL_NONE && s->backend->protocol->tls_greeted) {
        mysql_client_begin(s);
    } else if (s->frontend->pool_mode != POOL_NONE) {
        s->pooling = POOLING_REDIS;
        pooled_begin(s);
    } else if (login != NULL && login->first != NULL) {
        login_open(s);
    } else {
        session_route(s);
    }
}

void session_admit(struct session *s, enum admission_verdict verdict, const char *words)
{
    if (verdict == ADMITTED) {
        account_begin(s);
        begin(s);
    } else if (verdict == ADMISSION_SESSIONS) {
        session_refuse(s, REFUSED_SESSIONS, words);
    } else if (verdict == ADMISSION_DISABLED) {
        session_refuse(s, REFUSED_DISABLED, words);
    } else {
        session_refuse(s, REFUSED_RATE, words);
    }
}

void session_accept(struct worker *w, const struct frontend_config *f, int fd,
                    const struct address *from)
{
    struct frontend_counters *counters = w->metrics.frontends[f->index];
    struct admission admission;
    const char *words = "";
    metric_add(&counters->at[FRONTEND_CONNECTIONS_TOTAL], 1);
    enum admission_verdict verdict = admission_enter(w, f, from, &admission, &words);
    struct session *s = verdict != ADMISSION_DENIED ? session_new(w, f) : NULL;
    if (verdict == ADMISSION_DENIED && f->accept_proxy) {
        edge_tell_denied(w, f, from);
    }
    if (s == NULL) {
        bool denied = verdict == ADMISSION_DENIED;
        metric_add(&counters->at[denied ? FRONTEND_DENIED : FRONTEND_INTERNAL_ERRORS], 1);
        admission_leave(w, f, &admission);
        close(fd);
        return;
    }
    s->admission = admission;
    session_log_begin(s, from);
    if (conn_open(&s->client, &w->loop, &client_ops, fd) != 0) {
        session_close(s, END_CLIENT);
        return;
    }
    if (edge_wanted(w->config, f)) {
        edge_begin(s, verdict, words);
    } else {
        session_admit(s, verdict, words);
    }
    if (s->state != SESSION_CLOSE) {
        conn_start(&s->client);
    }
}

/* Finding a server -------------------------------------------------------------------------- */

void session_fill_request(const struct session *s, struct route_request *r)
{
    *r = (struct route_request){
        .backend = s->backend->index,
        .route = (enum route)s->route,
        .fallback = s->frontend->fallback,
        .client_hash = client_key_hash(&s->admission.key),
        .tried = s->tried,
        .tried_count = s->tried_count,
    };
}

void session_route(struct session *s)
{
    struct worker *w = s->worker;
    struct shared_backend *shared = w->shared->backends[s->backend->index];
    struct route_request request;
    size_t server;
    session_fill_request(s, &request);
    /* Whoever waits was first; a session that already had a server has had its turn. */
    bool behind = s->attempts == 0 && atomic_load(&shared->waiting[request.route]) > 0;
    if (!behind && route_pick(w->topology, w->shared, &w->backends[s->backend->index]->balance,
                              &request, &server) == ROUTE_FOUND) {
        account_chosen(s, server);
        session_connect(s, server);
    } else {
        session_wait(s);
    }
}
