/* A pooled client that waits, for a link or a primary; and what it has a link to itself for. */
#include "base/macros.h"
#include "core/pooled.h"
#include "core/session.h"

/* Who only waits until a link is connected needs no place in the queue. */
static bool may_wait(struct pooled *p)
{
    const struct session *s = p->session;
    struct shared_backend *shared = p->worker->shared->backends[s->backend->index];
    unsigned limit = s->backend->queue_limit;
    if (!p->counted && limit > 0 && shared_claim(&shared->waiting[ROUTE_AUTO], limit)) {
        p->counted = true;
        shared_note_peak(&shared->waiting_peak, &shared->waiting[ROUTE_AUTO]);
    }
    return p->counted || (p->pool != NULL && p->pool->opening > 0);
}

static void begin_waiting(struct pooled *p)
{
    struct session *s = p->session;
    p->queued = true;
    session_arm(s, &p->worker->backends[s->backend->index]->queue);
    metric_add(&p->worker->metrics.backends[s->backend->index]->at[BACKEND_COMMANDS_HELD], 1);
}

static void refuse_to_wait(struct pooled *p)
{
    struct session *s = p->session;
    if (p->resubscribe) { /* it has asked nothing that could be refused */
        session_kill(s, END_QUEUE_FULL);
        return;
    }
    p->refuse_until = p->len;
    pool_kick(p->worker, s->backend->index);
}

void pooled_hold(struct pooled *p)
{
    struct worker_backend *wb = p->worker->backends[p->session->backend->index];
    if (!may_wait(p)) {
        refuse_to_wait(p);
    } else if (!p->queued) {
        begin_waiting(p);
    }
    if (p->session == NULL) {
        return;
    }
    if (list_empty(&p->held)) {
        list_append(&wb->held, &p->held);
        if (p->pool != NULL) {
            p->pool->waiting++;
        }
    }
    if (!deadline_is_armed(&wb->again)) {
        deadline_arm(&wb->retry, &wb->again);
    }
}

void pooled_unhold(struct pooled *p)
{
    if (!list_empty(&p->held) && p->pool != NULL) {
        p->pool->waiting--;
    }
    list_remove(&p->held);
}

void pooled_served(struct pooled *p)
{
    struct session *s = p->session;
    p->queued = false;
    if (p->counted) {
        p->counted = false;
        shared_release(&p->worker->shared->backends[s->backend->index]->waiting[ROUTE_AUTO]);
    }
    if (s->state == SESSION_POOLED) {
        session_arm(s, s->client.eof ? &p->worker->backends[s->backend->index]->half
                                     : &p->worker->frontends[s->frontend->index]->idle);
    }
}

/* It waited for queue_timeout. */
void pooled_late(struct session *s)
{
    struct pooled *p = s->pooled;
    s->timer = NULL;
    pooled_served(p);
    if (p->resubscribe) { /* so that it knows that it hears nothing */
        session_kill(s, END_QUEUE_TIMEOUT);
        return;
    }
    if (p->flying == 0 || p->holding) {
        p->refuse_until = p->len;
        metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_REFUSED_QUEUE],
                   1);
    }
    if (p->flying == 0) {
        pooled_unhold(p);
        pooled_advance(p);
    }
}

void pooled_pin(struct pooled *p, enum pin why)
{
    static const struct {
        enum pin pin;
        enum backend_metric metric;
    } counted[] = {
        {PIN_TRANSACTION, BACKEND_PINNED_TRANSACTION},
        {PIN_WATCH, BACKEND_PINNED_WATCH},
        {PIN_BLOCKING, BACKEND_PINNED_BLOCKING},
        {PIN_WAIT, BACKEND_PINNED_WAIT},
        {PIN_SUBSCRIBE, BACKEND_PINNED_SUBSCRIBE},
        {PIN_TRACKING, BACKEND_PINNED_TRACKING},
        {PIN_STATE, BACKEND_PINNED_STATE},
        {PIN_RAW, BACKEND_PINNED_RAW},
        {PIN_LARGE, BACKEND_PINNED_LARGE},
        {PIN_PIPELINE, BACKEND_PINNED_PIPELINE},
        {PIN_LOGIN, BACKEND_PINNED_LOGIN},
    };
    if ((p->pins & why) != 0) {
        return;
    }
    p->pins |= (uint16_t)why;
    p->pinned_ms = loop_now_ms(&p->worker->loop);
    if (p->link != NULL && (why & (PIN_STATE | PIN_RAW)) != 0) { /* the others end as they began */
        p->link->tainted = true;
    }
    for (size_t i = 0; i < ARRAY_LEN(counted) && !p->session_mode; i++) {
        if (counted[i].pin == why) {
            size_t backend = p->session->backend->index;
            metric_add(&p->worker->metrics.backends[backend]->at[counted[i].metric], 1);
        }
    }
}
