#include "core/edge.h"

#include <stdlib.h>

#include "base/macros.h"
#include "core/mysql_client.h"
#include "core/session.h"
#include "model/sni.h"
#include "net/proxy_header.h"
#include "net/tls.h"
#include "proto/tls_hello.h"

struct edge {
    struct session *session; /* whose it is */
    struct list node;        /* in worker_frontend.turns or .shaking */
    uint64_t shaking_ms;     /* since when it is counted among those under way; 0 = it is not */
    const char *words;       /* borrowed: of the verdict */
    uint8_t verdict;         /* enum admission_verdict */
    bool asking;             /* the client has not said yet whether it wants TLS */
    bool declined_tls;       /* it asked, and was told that there is none */
    bool declined_other;
    bool late; /* the session has begun: only its handshake is missing */
    struct tls_hello hello;
};

static struct worker_frontend *frontend_of(const struct session *s)
{
    return s->worker->frontends[s->frontend->index];
}

static struct frontend_counters *counters_of(const struct session *s)
{
    return s->worker->metrics.frontends[s->frontend->index];
}

/* Whose clients ask for TLS inside the protocol are answered here, also with no: where the
 * connections to the servers are encrypted already, servers would not understand the question. */
static bool answers_upgrades(const struct config *c, const struct frontend_config *f)
{
    const struct backend_config *b = &c->backends[f->backend];
    return b->protocol->upgrade != NULL && (f->tls != TLS_MODE_NO || b->tls);
}

/* Before anything of the protocol. */
static bool begins_tls(const struct config *c, const struct frontend_config *f)
{
    return f->tls != TLS_MODE_NO && !c->backends[f->backend].protocol->tls_greeted;
}

bool edge_wanted(const struct config *c, const struct frontend_config *f)
{
    return f->accept_proxy || begins_tls(c, f) || f->sni.count > 0 || answers_upgrades(c, f);
}

static void tell(struct worker *w, const struct frontend_config *f, const struct address *from,
                 const char *why)
{
    char text[ADDRESS_TEXT_MAX];
    log_limited(&w->edge_gate, 1, LOG_LEVEL_WARN, "frontend %s: %s is refused: %s", f->name,
                address_print(from, text), why);
}

void edge_tell_denied(struct worker *w, const struct frontend_config *f, const struct address *from)
{
    tell(w, f, from, "it is not allowed to speak for others (allow)");
}

/* Nothing can be said to a client that does not speak what is expected: it is closed, counted and,
 * not too often, logged. */
static void refuse(struct session *s, enum frontend_metric counter, const char *why)
{
    struct address from;
    metric_add(&counters_of(s)->at[counter], 1);
    if (conn_peer(&s->client, &from)) {
        tell(s->worker, s->frontend, &from, why);
    }
    /* no reset: it may take an alert of TLS with it */
    session_close(s, s->cause != END_DONE ? s->cause : END_REFUSED);
}

static enum frontend_metric counter_of(const struct session *s)
{
    return s->state == SESSION_PROXY   ? FRONTEND_PROXY_REFUSED
           : s->state == SESSION_HELLO ? FRONTEND_HELLO_REFUSED
                                       : FRONTEND_TLS_FAILED;
}

/* Who is at the edge only to hear why it may not go on counts as one that is being refused, and
 * takes no place from others meanwhile. False: there are too many of them, it has ended unheard. */
static bool keep_to_be_told(struct session *s, enum admission_verdict verdict)
{
    struct worker *w = s->worker;
    if (w->refusing >= w->refusing_max) {
        metric_add(&counters_of(s)->at[admission_counter(verdict)], 1);
        session_kill(s, END_REFUSED);
        return false;
    }
    s->edge->verdict = (uint8_t)verdict;
    w->refusing++;
    admission_leave(w, s->frontend, &s->admission);
    return true;
}

/* Turns ------------------------------------------------------------------------------------- */

static struct session *first_of(struct list *edges)
{
    return list_empty(edges) ? NULL : container_of(edges->next, struct edge, node)->session;
}

static void shake(struct session *s)
{
    struct worker *w = s->worker;
    struct worker_frontend *wf = frontend_of(s);
    struct edge *e = s->edge;
    list_remove(&e->node);
    list_append(&wf->shaking, &e->node);
    wf->shaking_count++;
    e->shaking_ms = loop_now_ms(&w->loop);
    struct tls *tls = tls_accept(wf->tls, &w->tickets);
    if (tls == NULL) {
        session_kill(s, END_MEMORY);
        return;
    }
    char *hello = s->ahead;
    size_t len = s->ahead_len;
    s->ahead = NULL;
    s->ahead_len = 0;
    int rc = conn_secure(&s->client, tls, hello, len);
    free(hello);
    if (rc != 0) {
        refuse(s, FRONTEND_TLS_FAILED, conn_why(&s->client));
        return;
    }
    conn_resume(&s->client, PAUSE_WAITING);
}

/* A handshake that ends at once gives its turn away from inside here: this is no recursion. */
static void give_turns(struct worker *w, struct worker_frontend *wf)
{
    if (wf->giving || w->stopping) {
        return;
    }
    wf->giving = true;
    while (wf->shaking_count < wf->shaking_max && !list_empty(&wf->turns)) {
        shake(first_of(&wf->turns));
    }
    wf->giving = false;
}

static void join_turns(struct session *s)
{
    struct worker_frontend *wf = frontend_of(s);
    bool first = list_empty(&wf->turns);
    session_set(s, SESSION_SHAKE);
    list_append(&wf->turns, &s->edge->node);
    give_turns(s->worker, wf);
    if (s->edge != NULL && s->edge->shaking_ms == 0) {
        conn_pause(&s->client, PAUSE_WAITING);
        if (first) {
            deadline_arm(&s->worker->turn, &wf->turn_again);
        }
    }
}

void edge_on_turn(struct deadline *d)
{
    struct worker_frontend *wf = container_of(d, struct worker_frontend, turn_again);
    struct session *oldest;
    struct worker *w = NULL;
    while (!list_empty(&wf->turns) && (oldest = first_of(&wf->shaking)) != NULL) {
        w = oldest->worker;
        if (loop_now_ms(&w->loop) - oldest->edge->shaking_ms < EDGE_STALL_MS) {
            break;
        }
        oldest->cause = END_CLIENT_LATE;
        refuse(oldest, FRONTEND_TLS_FAILED, "its handshake stands still, and others wait");
    }
    if (w != NULL && !list_empty(&wf->turns)) {
        deadline_arm(&w->turn, &wf->turn_again);
    }
}

void edge_free(struct session *s)
{
    struct edge *e = s->edge;
    if (e == NULL) {
        return;
    }
    struct worker_frontend *wf = frontend_of(s);
    bool shaking = e->shaking_ms > 0;
    s->edge = NULL;
    if (e->verdict != ADMITTED) {
        s->worker->refusing--;
    }
    list_remove(&e->node);
    free(e);
    if (shaking) {
        wf->shaking_count--;
        give_turns(s->worker, wf);
    }
}

/* The steps --------------------------------------------------------------------------------- */

static void over(struct session *s)
{
    enum admission_verdict verdict = (enum admission_verdict)s->edge->verdict;
    const char *words = s->edge->words;
    bool late = s->edge->late;
    session_arm(s, NULL);
    edge_free(s);
    if (late) {
        mysql_client_secured(s);
        return;
    }
    if (s->ahead_len >= SESSION_AHEAD_MAX) {
        conn_pause(&s->client, PAUSE_WAITING);
    }
    if (s->backend->send_proxy == SEND_PROXY_NO) {
        free(s->origin);
        s->origin = NULL;
    }
    session_admit(s, verdict, words);
}

/* The rule's backend instead of the frontend's own. */
static void follow_name(struct session *s)
{
    const char *name = s->edge->hello.name;
    const struct sni_rule *rule = name[0] != '\0' ? sni_find(&s->frontend->sni, name) : NULL;
    if (rule != NULL) {
        session_use_backend(s, rule->backend);
        s->route = session_side(rule->route);
        conn_tune(&s->client,
                  &(struct conn_tcp){s->backend->tcp_keepalive, s->backend->tcp_user_timeout});
    }
}

static void look_at_hello(struct session *s)
{
    const char *why = "";
    switch (tls_hello_look(&s->edge->hello, s->ahead, s->ahead_len, &why)) {
    case TLS_HELLO_MORE:
        return;
    case TLS_HELLO_NONE:
    case TLS_HELLO_BAD:
        refuse(s, FRONTEND_HELLO_REFUSED, why);
        return;
    case TLS_HELLO_DONE:
        break;
    }
    follow_name(s);
    if (s->frontend->tls != TLS_MODE_NO) {
        join_turns(s);
    } else {
        over(s);
    }
}

static bool answer(struct session *s, char byte, size_t used)
{
    session_taken(s, used);
    if (conn_write(&s->client, &byte, 1) != 0) {
        session_close(s, END_CLIENT);
        return false;
    }
    return true;
}

/* Each question has its answer once: one that is asked again and again, by who reads no answers,
 * would fill our memory. */
static void decline(struct session *s, bool *before, size_t used)
{
    if (*before) {
        refuse(s, FRONTEND_HELLO_REFUSED, "it asks again for what there is not");
        return;
    }
    *before = true;
    answer(s, s->backend->protocol->upgrade->no, used);
}

/* Nothing may follow the question in the same breath: what stands in the clear behind it would be
 * taken for what came under TLS. */
static void welcome(struct session *s, size_t used)
{
    const struct tls_upgrade *upgrade = s->backend->protocol->upgrade;
    if (s->frontend->tls == TLS_MODE_NO) {
        decline(s, &s->edge->declined_tls, used);
    } else if (s->ahead_len > used) {
        refuse(s, FRONTEND_HELLO_REFUSED, "it sends more before its question for TLS is answered");
    } else if (answer(s, upgrade->yes, used)) {
        s->edge->asking = false;
    }
}

static void go_on_in_the_clear(struct session *s, bool exempt)
{
    if (s->frontend->tls == TLS_MODE_REQUIRED && !exempt && s->edge->verdict == ADMITTED) {
        metric_add(&counters_of(s)->at[FRONTEND_HELLO_REFUSED], 1);
        edge_free(s);
        session_refuse(s, REFUSED_LOGIN, "TLS is required");
    } else {
        over(s);
    }
}

static void look_at_question(struct session *s)
{
    const struct tls_upgrade *upgrade = s->backend->protocol->upgrade;
    size_t used = 0;
    switch (upgrade->asked(s->ahead, s->ahead_len, &used)) {
    case UPGRADE_MORE:
        break;
    case UPGRADE_ASKED:
        welcome(s, used);
        break;
    case UPGRADE_OTHER:
        decline(s, &s->edge->declined_other, used);
        break;
    case UPGRADE_DIRECT:
        s->edge->asking = false;
        if (s->frontend->tls == TLS_MODE_NO) {
            refuse(s, FRONTEND_HELLO_REFUSED, "it begins TLS, and there is none here");
        }
        break;
    case UPGRADE_CLEAR:
        go_on_in_the_clear(s, false);
        break;
    case UPGRADE_EXEMPT:
        go_on_in_the_clear(s, true);
        break;
    }
}

static void look_ahead(struct session *s)
{
    size_t left = 0;
    while (s->state == SESSION_HELLO && s->edge->asking && s->ahead_len != left) {
        left = s->ahead_len;
        look_at_question(s);
    }
    if (s->state == SESSION_HELLO && !s->edge->asking && s->ahead_len > 0) {
        look_at_hello(s);
    }
}

static void after_proxy(struct session *s)
{
    if (s->edge->asking || begins_tls(s->worker->config, s->frontend) ||
        s->frontend->sni.count > 0) {
        session_set(s, SESSION_HELLO);
        look_ahead(s);
    } else {
        over(s);
    }
}

/* Who is named speaks for itself from now on: its caps, and what a deny says of it. */
static void take_client(struct session *s, const struct proxy_header *header)
{
    struct worker *w = s->worker;
    struct edge *e = s->edge;
    if (!header->local) { /* over() knows whether a server is to be told */
        s->origin = malloc(sizeof *s->origin);
        if (s->origin == NULL) {
            session_kill(s, END_MEMORY);
            return;
        }
        *s->origin = (struct origin){header->from, header->to};
        session_log_client(s, &header->from);
    }
    const struct address *from = &header->from;
    struct address peer;
    if (header->local) {
        from = conn_peer(&s->client, &peer) ? &peer : NULL;
    }
    if (e->verdict != ADMITTED || from == NULL) {
        after_proxy(s);
        return;
    }
    enum admission_verdict verdict =
        admission_client(w, s->frontend, from, !header->local, &s->admission, &e->words);
    if (verdict == ADMISSION_DENIED) {
        metric_add(&counters_of(s)->at[FRONTEND_DENIED], 1);
        session_kill(s, END_REFUSED);
        return;
    }
    if (verdict == ADMITTED || keep_to_be_told(s, verdict)) {
        after_proxy(s);
    }
}

static void look_at_proxy(struct session *s)
{
    const char *why = "";
    struct proxy_header header;
    size_t used;
    switch (proxy_header_parse(s->ahead, s->ahead_len, &used, &header, &why)) {
    case PROXY_MORE:
        break;
    case PROXY_BAD:
        refuse(s, FRONTEND_PROXY_REFUSED, why);
        break;
    case PROXY_DONE:
        session_taken(s, used);
        take_client(s, &header);
        break;
    }
}

static struct edge *edge_new(struct session *s)
{
    struct edge *e = calloc(1, sizeof *e);
    if (e == NULL) {
        session_kill(s, END_MEMORY);
        return NULL;
    }
    e->session = s;
    e->verdict = ADMITTED;
    list_init(&e->node);
    tls_hello_init(&e->hello);
    s->edge = e;
    return e;
}

void edge_begin(struct session *s, enum admission_verdict verdict, const char *words)
{
    if (edge_new(s) == NULL || (verdict != ADMITTED && !keep_to_be_told(s, verdict))) {
        return;
    }
    s->edge->words = words;
    s->edge->asking = answers_upgrades(s->worker->config, s->frontend);
    session_set(s, s->frontend->accept_proxy ? SESSION_PROXY : SESSION_HELLO);
    session_arm(s, &frontend_of(s)->handshake);
}

void edge_upgrade(struct session *s)
{
    struct edge *e = edge_new(s);
    if (e != NULL) {
        e->late = true;
        session_arm(s, &frontend_of(s)->handshake);
        join_turns(s);
    }
}

/* What the client's socket tells ------------------------------------------------------------- */

void edge_client_data(struct session *s, const char *data, size_t len)
{
    if (!session_keep(s, data, len)) {
        return;
    }
    if (s->state == SESSION_PROXY) {
        look_at_proxy(s);
    } else if (s->state == SESSION_HELLO) {
        look_ahead(s);
    }
}

void edge_client_secured(struct session *s)
{
    struct frontend_counters *counters = counters_of(s);
    metric_add(&counters->at[FRONTEND_TLS_HANDSHAKES], 1);
    if (tls_is_resumed(s->client.tls)) {
        metric_add(&counters->at[FRONTEND_TLS_RESUMED], 1);
    }
    over(s);
}

void edge_client_eof(struct session *s)
{
    edge_client_error(s, UV_EOF);
}

/* Load balancers look whether a port is open by a connect and nothing more. */
void edge_client_error(struct session *s, int status)
{
    if (s->state != SESSION_SHAKE && s->ahead_len == 0) {
        session_close(s, END_LEFT);
        return;
    }
    const char *why = conn_why(&s->client);
    s->cause = status == UV_EPROTO ? END_REFUSED : END_LEFT;
    refuse(s, counter_of(s), status == UV_EPROTO && why[0] != '\0' ? why : "it left in the midst");
}

void edge_on_late(struct deadline *d)
{
    struct session *s = container_of(d, struct session, deadline);
    static const char *const words[] = {
        [SESSION_PROXY] = "its PROXY header did not come in time",
        [SESSION_HELLO] = "its client hello did not come in time",
        [SESSION_SHAKE] = "its TLS handshake took too long",
    };
    s->cause = END_CLIENT_LATE;
    refuse(s, counter_of(s), words[s->state]);
}
