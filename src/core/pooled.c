/* A pooled client's beginning, end, and what it keeps. */
#include "core/pooled.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/account.h"
#include "core/credential.h"
#include "core/pool_seen.h"
#include "core/session.h"
#include "proto/redis_channels.h"

#define ROOM_MIN 256 /* an idle client keeps no more than that */

/* Beginning and end ------------------------------------------------------------------------- */

bool pooled_begin(struct session *s)
{
    struct pooled *p = calloc(1, sizeof *p);
    if (p == NULL) {
        session_kill(s, END_MEMORY);
        return false;
    }
    p->session = s;
    p->worker = s->worker;
    p->identity.resp = 2;
    p->proving.resp = 2;
    p->split = s->frontend->route == ROUTE_SPLIT;
    p->session_mode = s->frontend->pool_mode == POOL_SESSION;
    list_init(&p->held);
    list_init(&p->touched);
    s->pooled = p;
    pooled_seen_come(p);
    session_set(s, SESSION_POOLED);
    session_arm(s, &s->worker->frontends[s->frontend->index]->idle);
    return true;
}

void pooled_unref(struct pooled *p)
{
    if (p->session != NULL || p->flying > 0 || p->link != NULL) {
        return;
    }
    list_remove(&p->touched);
    list_remove(&p->held);
    list_append(&p->worker->pooled_gone, &p->held);
}

void pooled_bury_all(struct worker *w)
{
    LIST_EACH(it, &w->pooled_gone)
    {
        free(container_of(it, struct pooled, held));
    }
    list_init(&w->pooled_gone);
}

static void free_bytes(struct pooled *p)
{
    if (p->bytes != NULL) {
        wipe(p->bytes, p->room); /* a password may be among them */
        free(p->bytes);
    }
    p->bytes = NULL;
    p->room = 0;
}

static void release(struct pooled *p)
{
    static const struct identity nobody = {.resp = 2};
    free_bytes(p);
    free(p->gathered);
    pooled_forget_name(p);
    pooled_redo_free(p);
    slow_large_free(p);
    redis_channels_free(p->channels);
    pooled_become(p, &nobody);
    pooled_judging_over(p);
    credential_unref(p->proving.credential);
    pool_leave(p->pool);
    p->gathered = NULL;
    p->channels = NULL;
    p->pool = NULL;
    p->span = NULL;
    p->span_len = 0;
    p->gathered_len = 0;
}

/* Nothing of it is under way either way: RESET leaves nothing behind. */
static bool is_clean(const struct pooled *p)
{
    return p->flying == 0 && !p->streaming && !p->link->raw && p->link->flights.count == 0 &&
           p->link->reply.len == 0;
}

static void leave_link(struct pooled *p)
{
    struct pool_link *l = p->link;
    if (l == NULL) {
        return;
    }
    if (l->state == LINK_CLOSED) {
        p->link = NULL;
        return;
    }
    if (!link_is_lent_to(l, p)) {
        if (l->clogged_by == p) {
            link_unclog(l);
        }
    } else if (is_clean(p) && p->tracking == 0) { /* RESET of Redis 7.0 leaves NO-EVICT on */
        if (l->clogged_by == p) {
            link_unclog(l);
        }
        bool clean = p->pins == 0 || (p->session_mode && !p->stateful);
        l->reset_due = clean && p->session_mode;
        pool_give_back(l, clean);
    } else {
        link_close(l);
    }
    p->link = NULL;
}

void pooled_leave(struct pooled *p)
{
    pooled_unhold(p);
    if (p->queued) {
        pooled_served(p);
    }
    leave_link(p);
    pooled_seen_gone(p);
    p->session->pooled = NULL;
    p->session = NULL;
    release(p);
    pooled_unref(p);
}

void pooled_end(struct pooled *p)
{
    if (p->session != NULL) {
        session_kill(p->session, END_SERVER);
    }
}

void pooled_no_memory(struct pooled *p)
{
    if (p->link != NULL) {
        link_lost(p->link);
    }
    if (p->session != NULL) {
        session_kill(p->session, END_MEMORY);
    }
}

void pooled_finish(struct pooled *p)
{
    p->link = NULL;
    p->pins = 0;
    p->ending = true;
    pooled_touch(p);
}

/* What it keeps ------------------------------------------------------------------------------ */

const char *pooled_command(const struct pooled *p)
{
    return p->bytes + p->sent;
}

void pooled_forget(struct pooled *p, size_t len)
{
    assert(p->head + len <= p->len);
    p->head += (uint32_t)len;
    if (p->sent < p->head) {
        p->sent = p->head;
    }
    if (p->head < p->len) {
        return;
    }
    p->refuse_until = 0;
    p->head = p->sent = p->len = 0;
    if (p->room > ROOM_MIN) {
        free_bytes(p);
    }
}

static void shift(struct pooled *p)
{
    memmove(p->bytes, p->bytes + p->head, p->len - p->head);
    p->len -= p->head;
    p->sent -= p->head;
    p->refuse_until = p->refuse_until > p->head ? p->refuse_until - p->head : 0;
    p->head = 0;
}

static bool keep(struct pooled *p, const char *data, size_t len)
{
    if (p->len + len > p->room && p->head > 0) {
        shift(p);
    }
    if (p->len + len > p->room) {
        size_t room = p->room > 0 ? p->room : ROOM_MIN;
        while (room < p->len + len) {
            room *= 2;
        }
        char *bytes = malloc(room);
        if (bytes == NULL) {
            return false;
        }
        memcpy(bytes, p->bytes != NULL ? p->bytes : "", p->len);
        uint32_t had = p->len;
        free_bytes(p);
        p->bytes = bytes;
        p->room = (uint32_t)room;
        p->len = had;
    }
    memcpy(p->bytes + p->len, data, len);
    p->len += (uint32_t)len;
    return true;
}

/* Who has sent much that is not answered is not read. */
static void pace(struct pooled *p)
{
    struct session *s = p->session;
    if (p->len - p->head >= POOLED_KEPT_MAX) {
        conn_pause(&s->client, PAUSE_WAITING);
        if (!deadline_is_armed(&p->worker->look_again)) {
            deadline_arm(&p->worker->look, &p->worker->look_again);
        }
    } else {
        conn_resume(&s->client, PAUSE_WAITING);
    }
}

/* Going on ----------------------------------------------------------------------------------- */

static enum turn refuse_nonsense(struct pooled *p, const char *why)
{
    struct session *s = p->session;
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    char words[160];
    snprintf(words, sizeof words, "-ERR Protocol error: %s\r\n", why);
    metric_add(&p->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_PROTOCOL_ERRORS], 1);
    pooled_say(p, words);
    p->ending = true;
    return TURN_WAIT;
}

/* Looks at the command at `sent`. TURN_GO: it is whole. */
static enum turn look(struct pooled *p)
{
    size_t used = 0;
    const char *why = "";
    uint32_t at = p->sent + (uint32_t)p->request.len;
    if (p->whole) {
        return TURN_GO;
    }
    enum redis_scan scan =
        at < p->len ? redis_request_feed(&p->request, p->bytes + at, p->len - at, &used, &why)
                    : REDIS_MORE;
    if (scan == REDIS_WHOLE) {
        p->whole = true;
        return TURN_GO;
    }
    if (scan == REDIS_BAD) {
        p->request = (struct redis_request){0};
        p->nonsense = why; /* the same again, when what is in flight comes back */
        return refuse_nonsense(p, why);
    }
    return p->request.declared > POOLED_KEPT_MAX ? pooled_stream(p) : TURN_WAIT;
}

static enum turn step(struct pooled *p)
{
    if (p->nonsense != NULL) {
        return refuse_nonsense(p, p->nonsense);
    }
    if (UNLIKELY(p->rest_until_ms > 0) && pooled_must_rest(p)) {
        pooled_hold(p);
        return TURN_WAIT;
    }
    enum turn turn = p->resubscribe ? pooled_subscribe_again(p) : look(p);
    if (turn == TURN_GO && p->redo != NULL) {
        turn = pooled_redo(p);
    }
    return turn == TURN_GO ? pooled_dispatch(p) : turn;
}

static bool is_over(const struct pooled *p)
{
    return p->flying == 0 && list_empty(&p->held) && list_empty(&p->touched) &&
           (p->ending || p->session->client.eof) && conn_queued(&p->session->client) == 0 &&
           p->gathered_len == 0 && p->span_len == 0;
}

/* There is something to be done, and nothing that it has to wait for. What comes behind a login is
 * for the one that this makes of the client, on another link. */
static bool may_go_on(const struct pooled *p)
{
    return !p->holding && list_empty(&p->held) && !p->ending && !p->streaming &&
           (p->pins & PIN_LOGIN) == 0 &&
           (p->sent < p->len || p->nonsense != NULL || p->resubscribe);
}

void pooled_advance(struct pooled *p)
{
    /* What comes for who does not read would be kept. */
    bool reads = conn_queued(&p->session->client) < POOLED_QUEUED_MAX;
    enum turn turn = reads ? TURN_DONE : TURN_WAIT;
    while (p->session != NULL && turn == TURN_DONE && may_go_on(p)) {
        turn = step(p);
    }
    if (p->session == NULL) {
        return;
    }
    pooled_seen(p);
    pace(p);
    if (is_over(p)) {
        if (conn_is_secured(&p->session->client)) {
            conn_finish(&p->session->client);
        }
        session_close(p->session, END_DONE);
    }
}

/* The client's socket ------------------------------------------------------------------------ */

/* A long command turns out to be none. Its server is not told the rest, nor asked what it thinks.
 */
static void spoil(struct pooled *p, const char *why)
{
    struct pool_link *l = p->link;
    if (p->flying > 1) { /* answers to others before it are on their way, and will be lost */
        session_kill(p->session, END_CLIENT);
        return;
    }
    p->link = NULL;
    p->streaming = false;
    link_close(l);
    p->nonsense = why;
    refuse_nonsense(p, why);
}

/* A long command goes on. What is left over of `data` begins the next one. */
static size_t stream_on(struct pooled *p, const char *data, size_t len)
{
    size_t used = 0;
    const char *why = "";
    enum redis_scan scan = redis_request_feed(&p->request, data, len, &used, &why);
    size_t taken = scan == REDIS_MORE ? len : used;
    if (scan == REDIS_BAD) {
        spoil(p, why);
        return len;
    }
    if (!link_send(p->link, data, taken)) {
        pooled_no_memory(p);
        return len;
    }
    if (scan == REDIS_WHOLE) {
        p->streaming = false;
        slow_large_ends(p);
        p->request = (struct redis_request){0};
    }
    return taken;
}

static void pass_on(struct pooled *p, const char *data, size_t len)
{
    if (!link_send(p->link, data, len)) {
        pooled_no_memory(p);
    }
}

void pooled_client_data(struct session *s, const char *data, size_t len)
{
    struct pooled *p = s->pooled;
    s->bytes_in += len;
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_BYTES_IN], len);
    if (s->timer != NULL && !p->queued) {
        deadline_arm(s->timer, &s->deadline);
    }
    if (p->link != NULL && p->link->raw) {
        pass_on(p, data, len);
        len = 0;
    } else if (p->streaming) {
        size_t taken = stream_on(p, data, len);
        data += taken;
        len -= taken;
    }
    if (s->state != SESSION_POOLED || p->ending) {
        return;
    }
    if (p->link != NULL && (p->link->raw || p->streaming) && link_is_full(p->link)) {
        conn_pause(&s->client, PAUSE_PEER_FULL);
    }
    if (len == 0 || p->nonsense != NULL) {
        return;
    }
    if (!keep(p, data, len)) {
        session_kill(s, END_MEMORY);
        return;
    }
    if (p->session_mode || list_empty(&p->held)) {
        pooled_advance(p);
    } else {
        pace(p);
    }
}

/* Something is in flight that may never be answered. */
static bool may_wait_forever(const struct pooled *p)
{
    const struct pool_link *l = p->link;
    bool waits = (p->pins & (PIN_SUBSCRIBE | PIN_RAW)) != 0;
    if (l == NULL || !link_is_lent_to(l, p)) {
        return waits;
    }
    for (uint32_t i = 0; i < l->flights.count && !waits; i++) {
        const struct flight *f = flights_at(&l->flights, i);
        waits = f->client == p && (f->flags & FLIGHT_QUEUED) == 0 &&
                (f->kind == REDIS_BLOCKS || f->kind == REDIS_WAITS || f->kind == REDIS_OWN);
    }
    return waits;
}

/* Whose bytes are not read is not seen to leave. */
bool pooled_look(struct session *s)
{
    if ((s->client.pauses & PAUSE_WAITING) == 0) {
        return false;
    }
    if (may_wait_forever(s->pooled) && conn_peer_left(&s->client)) {
        session_close(s, END_CLIENT);
        return false;
    }
    return true;
}

/* A server throws away what it has not answered when it sees the end of a connection. We answer
 * what was sent whole; but nobody waits for what may never come, nor for a primary. */
void pooled_client_eof(struct session *s)
{
    struct pooled *p = s->pooled;
    if (p->streaming || may_wait_forever(p)) {
        session_close(s, END_DONE);
        return;
    }
    if (p->queued && p->flying == 0 && (p->pool == NULL || p->pool->opening == 0)) {
        metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_LEFT_WAITING], 1);
        session_close(s, END_LEFT);
        return;
    }
    if (!p->queued || p->flying > 0) {
        session_arm(s, &s->worker->backends[s->backend->index]->half);
    }
    pooled_advance(p);
}

void pooled_client_drained(struct session *s)
{
    struct pooled *p = s->pooled;
    struct pool_link *l = p->link;
    if (l != NULL && l->clogged_by == p) {
        link_unclog(l);
    }
    conn_resume(&s->client, PAUSE_PEER_FULL);
    pooled_advance(p);
}
