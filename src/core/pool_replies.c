/* What a server says on a link: whole replies, one after the other, for whoever asked. Most are
 * passed on as they come, borrowed from the receive buffer; what must be seen whole first (errors,
 * what is for the router, what is changed on its way) is kept until it is. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/pool.h"
#include "core/pooled.h"
#include "core/session.h"

static void broken(struct pool_link *l, const char *why)
{
    metric_add(&l->worker->metrics.backends[l->pool->backend]->at[BACKEND_POOL_BROKEN], 1);
    log_limited(&l->worker->connect_gate, 1, LOG_LEVEL_WARN, "server %s/%s: %s",
                l->worker->config->backends[l->pool->backend].name, l->config->name, why);
    link_lost(l);
}

static bool is_asked_for_channels(const struct flight *f)
{
    if (f == NULL || (f->flags & FLIGHT_OURS) != 0) {
        return f != NULL && f->kind == STEP_SUBSCRIBE;
    }
    return f->kind == REDIS_SUBSCRIBE || f->kind == REDIS_UNSUBSCRIBE || f->kind == REDIS_STATE;
}

/* A message of a subscription, or a push: it answers nothing. RESP2 has such messages only while
 * the client is subscribed, and then no other arrays than the confirmations. */
static bool is_unasked(const struct pool_link *l)
{
    const struct redis_reply *r = &l->reply;
    static const char *const messages[] = {"message", "pmessage", "smessage"};
    if (l->use != LINK_LENT || (r->type != '>' && r->type != '*')) {
        return false;
    }
    if (r->type == '>') {
        return !pooled_is_confirmation(r) || !is_asked_for_channels(flights_first(&l->flights));
    }
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        if (r->head_len == strlen(messages[i]) && memcmp(r->head, messages[i], r->head_len) == 0) {
            return l->lessee->identity.resp == 2 && pooled_subscriptions(l->lessee) > 0;
        }
    }
    return false;
}

/* A push on a link that is nobody's alone is for nobody, and no reply either; nor are messages
 * that were on their way when RESET was sent. */
static bool is_idle_talk(const struct pool_link *l)
{
    char type = l->reply.type;
    if (l->state == LINK_CLEAN) {
        return type == '>' || type == '*';
    }
    return l->use != LINK_LENT && type == '>' && l->pool->identity.resp == 3;
}

/* The beginning of what nobody asked for. Whoever asks next would be given its end. */
static bool is_stray(const struct pool_link *l, const struct flight *f)
{
    if (l->use != LINK_LENT) {
        return f == NULL || l->reply.type == '>';
    }
    return f == NULL && l->reply.type != '>' && l->reply.type != '*';
}

static bool is_held(const struct pooled *p)
{
    return p->session != NULL && p->holding;
}

/* Whether this reply must be whole before anything is done with it. */
static bool must_be_whole(const struct pool_link *l, const struct flight *f)
{
    const struct redis_reply *r = &l->reply;
    if (r->type == 0 || r->type == '-') {
        return true;
    }
    bool subscribed = l->use == LINK_LENT && (l->lessee->pins & PIN_SUBSCRIBE) != 0;
    if (r->type == '>' || (r->type == '*' && subscribed && l->lessee->identity.resp == 2)) {
        return !r->head_whole || pooled_is_confirmation(r);
    }
    return f == NULL || (f->flags & FLIGHT_OURS) != 0 || is_held(f->client) ||
           f->kind == REDIS_GETNAME || f->kind == REDIS_ID || f->kind == REDIS_HELLO;
}

/* The router's own questions ---------------------------------------------------------------- */

static void ready(struct pool_link *l)
{
    l->pool->opening--;
    l->state = LINK_READY;
    link_arm(l, NULL);
    free(l->pool->refusal);
    l->pool->refusal = NULL;
    pool_place(l);
}

/* Those who wait for such a link hear it; with the server's own words. */
static void refused(struct pool_link *l, const char *text, size_t len)
{
    struct pool *p = l->pool;
    char *copy = malloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        free(p->refusal);
        p->refusal = copy;
    }
    log_limited(&l->worker->connect_gate, 1, LOG_LEVEL_WARN,
                "server %s/%s refuses a pooled connection: %.*s",
                l->worker->config->backends[p->backend].name, l->config->name,
                (int)(len > 2 ? len - 2 : 0), text);
    link_lost(l);
}

static bool begins(const char *text, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static void on_step(struct pool_link *l, enum flight_step step, const char *text, size_t len)
{
    struct worker_server *ws = l->worker->servers[l->config->id];
    bool failed = text[0] == '-';
    if (l->state == LINK_PREPARE && begins(text, len, "-ERR max")) { /* "number of clients" */
        refused(l, text, len);
        return;
    }
    if (l->lessee != NULL && l->lessee->session != NULL) { /* it may have waited for that */
        pooled_touch(l->lessee);
    }
    switch (step) {
    case STEP_LOGIN:
    case STEP_HELLO:
    case STEP_SELECT:
        if (failed) {
            refused(l, text, len);
            return;
        }
        break;
    case STEP_TOUCH:
        break;
    case STEP_COMMAND:
        ws->catalog_asked = redis_catalog_end(ws->catalog);
        ws->catalog_ready = true;
        ws->catalog_busy = false;
        break;
    case STEP_INFO:
        redis_catalog_end(ws->catalog);
        ws->catalog_busy = false;
        pool_kick(l->worker, l->pool->backend);
        break;
    case STEP_RESET:
        ws->no_reset = failed;
        if (l->state == LINK_READY) { /* it was clean before */
            break;
        }
        if (failed) {
            link_close(l);
            return;
        }
        l->state = LINK_READY;
        link_arm(l, NULL);
        pool_place(l);
        return;
    case STEP_SUBSCRIBE:
        break;
    }
    if (l->state == LINK_PREPARE && l->flights.count == 0) {
        ready(l);
    }
}

/* A long answer (COMMAND) is read as it comes. */
static void own_reply(struct pool_link *l, const char *data, size_t len, bool whole)
{
    struct flight f = *flights_first(&l->flights);
    struct worker_server *ws = l->worker->servers[l->config->id];
    if (f.kind == STEP_COMMAND || f.kind == STEP_INFO) {
        redis_catalog_feed(ws->catalog, data, len);
    }
    if (!whole) {
        return;
    }
    if (f.kind == STEP_RESET && data[0] != '-' && !begins(data, len, "+RESET\r\n")) {
        broken(l, "a reply that is none to RESET");
        return;
    }
    if (f.kind == STEP_SUBSCRIBE && l->lessee != NULL &&
        !pooled_subscribed_again(l->lessee, &l->reply, flights_first(&l->flights))) {
        return;
    }
    flights_drop(&l->flights);
    on_step(l, f.kind, data, len);
}

/* Replies ----------------------------------------------------------------------------------- */

/* Bytes of the reply that is coming in; `borrowed`: they stay until the end of this read. */
static void deliver(struct pool_link *l, const char *data, size_t len, bool whole, bool borrowed)
{
    struct flight *f = flights_first(&l->flights);
    if (l->use == LINK_LENT && is_unasked(l)) {
        pooled_pass(l->lessee, data, len, borrowed);
        return;
    }
    if (f == NULL) {
        broken(l, "a reply that nobody asked for");
        return;
    }
    if ((f->flags & FLIGHT_OURS) != 0) {
        own_reply(l, data, len, whole);
        return;
    }
    if (!whole) {
        pooled_pass(f->client, data, len, borrowed);
        return;
    }
    if (f->replies > 0 || f->kind == REDIS_UNSUBSCRIBE) {
        if (!pooled_confirmed(f->client, f, &l->reply)) {
            pooled_pass(f->client, data, len, borrowed);
            return;
        }
    }
    struct flight answered = *f;
    flights_drop(&l->flights);
    pooled_reply(answered.client, &answered, &l->reply, data, len, borrowed);
}

static bool keep(struct pool_link *l, const char *data, size_t len)
{
    size_t room = l->carry_room > 0 ? l->carry_room : 256;
    if (l->carry_len + len > LINK_CARRY_MAX) {
        return false;
    }
    while (room < l->carry_len + len) {
        room *= 2;
    }
    if (room > l->carry_room) {
        char *carry = realloc(l->carry, room);
        if (carry == NULL) {
            return false;
        }
        l->carry = carry;
        l->carry_room = room;
    }
    memcpy(l->carry + l->carry_len, data, len);
    l->carry_len += len;
    return true;
}

static bool is_long_answer(const struct flight *f)
{
    return f != NULL && (f->flags & FLIGHT_OURS) != 0 &&
           (f->kind == STEP_COMMAND || f->kind == STEP_INFO);
}

/* A reply that was to be whole first is longer than can be kept: it is passed on as it comes, so
 * that others on the link do not suffer. Who is to be answered something else is lost for that. */
static bool give_up_keeping(struct pool_link *l, const struct flight *f)
{
    bool client = f != NULL && (f->flags & FLIGHT_OURS) == 0;
    if (!client || l->reply.type == 0) {
        broken(l, "a reply is too long for what was asked");
        return false;
    }
    if (is_held(f->client)) {
        pooled_end(f->client);
    }
    if (l->state != LINK_CLOSED) {
        deliver(l, l->carry, l->carry_len, false, false);
    }
    return l->state != LINK_CLOSED;
}

static void take(struct pool_link *l, const char *data, size_t len, bool whole)
{
    const struct flight *f = flights_first(&l->flights);
    if (UNLIKELY(is_idle_talk(l))) {
        l->carry_len = 0;
        return;
    }
    if (UNLIKELY(is_stray(l, f))) {
        broken(l, "a reply that nobody asked for");
        return;
    }
    bool wait = !whole && !l->passed && !is_long_answer(f) && must_be_whole(l, f);
    if (UNLIKELY(wait || l->carry_len > 0)) {
        if (keep(l, data, len)) {
            if (wait) {
                return;
            }
            deliver(l, l->carry, l->carry_len, whole, false);
        } else if (!give_up_keeping(l, f)) {
            return;
        } else {
            deliver(l, data, len, whole, true);
        }
        l->carry_len = 0;
    } else {
        deliver(l, data, len, whole, true);
    }
    l->passed = !whole;
}

static void end_of_read(struct pool_link *l)
{
    struct worker *w = l->worker;
    if (l->state == LINK_CLOSED) {
        return;
    }
    if (l->carry_len == 0 && l->carry != NULL) {
        free(l->carry);
        l->carry = NULL;
        l->carry_room = 0;
    }
    l->used_ms = loop_now_ms(&w->loop);
    if (l->flights.count == 0 && !list_empty(&w->backends[l->pool->backend]->held)) {
        pool_kick(w, l->pool->backend); /* somebody may wait for it to be free */
    }
    bool needless = l->doomed || l->retiring || (l->use == LINK_SHARED && link_is_old(l));
    const struct flight *f = flights_first(&l->flights);
    if (needless && f == NULL) {
        link_close(l);
    } else if (l->doomed && (f->flags & FLIGHT_UNSENT) != 0) {
        link_lost(l);
    }
}

void link_data(struct pool_link *l, const char *data, size_t len)
{
    struct worker *w = l->worker;
    const char *why = "";
    metric_add(&l->counters->at[SERVER_BYTES_OUT], len);
    if (l->state == LINK_CONNECT) { /* before TLS: nothing comes then */
        broken(l, "it speaks before it is spoken to");
        return;
    }
    if (l->raw) {
        pooled_pass(l->lessee, data, len, true);
        pooled_write_all(w);
        return;
    }
    for (size_t at = 0; at < len && l->state != LINK_CLOSED;) {
        size_t used = 0;
        enum redis_scan scan = redis_reply_feed(&l->reply, data + at, len - at, &used, &why);
        if (scan == REDIS_BAD) {
            broken(l, why);
            break;
        }
        take(l, data + at, used, scan == REDIS_WHOLE);
        at += used;
        if (scan == REDIS_WHOLE) {
            l->reply = (struct redis_reply){0};
        }
    }
    pooled_write_all(w); /* before what is borrowed goes */
    end_of_read(l);
}
