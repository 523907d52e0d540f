/* What a reply changes: for the client, for the link that it has, and for what is told to people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/credential.h"
#include "core/pooled.h"
#include "core/session.h"
#include "proto/redis_channels.h"

/* Replies that are not the server's own ----------------------------------------------------- */

static void say_id(struct pooled *p)
{
    char text[32];
    snprintf(text, sizeof text, ":%llu\r\n", (unsigned long long)session_id(p->session));
    pooled_say(p, text);
}

/* The reply to HELLO tells the connection's number: here that of the link. */
static void pass_hello(struct pooled *p, const char *data, size_t len)
{
    static const char key[] = "$2\r\nid\r\n:";
    const char *at = memmem(data, len, key, sizeof key - 1);
    const char *number = at != NULL ? at + sizeof key - 1 : data + len;
    const char *end = memchr(number, '\n', len - (size_t)(number - data));
    if (end == NULL) {
        pooled_pass(p, data, len, false);
        return;
    }
    end++;
    pooled_pass(p, data, (size_t)(number - 1 - data), false);
    say_id(p);
    pooled_pass(p, end, len - (size_t)(end - data), false);
}

static void pass(struct pooled *p, const struct flight *f, const struct redis_reply *r,
                 const char *data, size_t len, bool borrowed)
{
    if (r->type == '-' || p->session_mode || (f->flags & FLIGHT_QUEUED) != 0) {
        pooled_pass(p, data, len, borrowed);
        return;
    }
    switch ((enum redis_kind)f->kind) {
    case REDIS_GETNAME:
        pooled_say_name(p);
        break;
    case REDIS_ID:
        say_id(p);
        break;
    case REDIS_HELLO:
        pass_hello(p, data, len);
        break;
    default:
        pooled_pass(p, data, len, borrowed);
        break;
    }
}

/* What they mean ---------------------------------------------------------------------------- */

static void note_tracking(struct pooled *p, const struct flight *f, bool ok)
{
    if (ok) {
        p->tracking = f->kind == REDIS_TRACKING_ON ? p->tracking | f->bits : p->tracking & ~f->bits;
    }
    if (p->tracking == 0) {
        p->pins &= (uint16_t)~PIN_TRACKING;
    } else {
        pooled_pin(p, PIN_TRACKING);
    }
}

/* EXEC ends a transaction whatever is answered, DISCARD and UNWATCH only when they are accepted. */
static void note_transaction(struct pooled *p, const struct flight *f, const struct redis_reply *r)
{
    bool ok = r->type != '-';
    if (f->kind == REDIS_MULTI) {
        p->multi_bad = p->multi_bad && (f->flags & FLIGHT_QUEUED) != 0;
        if (!ok && !(f->flags & FLIGHT_QUEUED)) { /* what follows is not what it seemed to be */
            pooled_pin(p, PIN_STATE);
        }
    } else if (f->kind == REDIS_UNWATCH) {
        if (ok && (f->flags & FLIGHT_QUEUED) == 0) {
            p->pins &= (uint16_t)~PIN_WATCH;
        }
    } else if (f->kind == REDIS_EXEC || ok) {
        p->multi_bad = false;
        p->pins &= (uint16_t)~PIN_WATCH;
        if (!p->multi_sent) {
            p->pins &= (uint16_t)~PIN_TRANSACTION;
        }
        if (!ok && !redis_reply_is_error(r, "EXECABORT") && p->link->use == LINK_LENT) {
            p->link->tainted = true; /* old servers may still be in the midst of it */
        }
    }
}

static void note_subscriptions(struct pooled *p)
{
    if (pooled_subscriptions(p) == 0) {
        p->pins &= (uint16_t)~PIN_SUBSCRIBE;
    } else {
        p->pins |= PIN_SUBSCRIBE; /* one before it in the pipeline ended all there were */
    }
}

static void note_reset(struct pooled *p)
{
    static const struct identity fresh = {.resp = 2};
    if (p->session_mode) {
        p->identity.resp = 2;
        p->pins &= (uint16_t)~PIN_SUBSCRIBE;
        pooled_forget_channels(p);
        return;
    }
    pooled_reset(p);
    p->pins = 0;
    p->link->tainted = false;
    pool_rename(p->link, &fresh);
}

static void note_kind(struct pooled *p, const struct flight *f, const struct redis_reply *r)
{
    bool ok = r->type != '-';
    bool queued = (f->flags & FLIGHT_QUEUED) != 0;
    switch ((enum redis_kind)f->kind) {
    case REDIS_AUTH:
    case REDIS_HELLO:
    case REDIS_SELECT:
        pooled_judged(p, f, r);
        if (ok) {
            pooled_named(p, f);
        }
        break;
    case REDIS_SETNAME:
        if (ok) {
            pooled_named(p, f);
        }
        break;
    case REDIS_MULTI:
    case REDIS_EXEC:
    case REDIS_DISCARD:
    case REDIS_UNWATCH:
        note_transaction(p, f, r);
        pooled_named_at_exec(p, f, r);
        break;
    case REDIS_WATCH:
        if (!queued) { /* what ended an earlier one may have been answered since it was sent */
            pooled_pin(p, PIN_WATCH);
        }
        break;
    case REDIS_BLOCKS:
    case REDIS_OWN:
        p->pins &= (uint16_t)~PIN_BLOCKING;
        break;
    case REDIS_WAITS:
        p->pins &= (uint16_t)~PIN_WAIT;
        break;
    case REDIS_TRACKING_ON:
    case REDIS_TRACKING_OFF:
        if (!queued) {
            note_tracking(p, f, ok);
        }
        break;
    case REDIS_SUBSCRIBE:
    case REDIS_UNSUBSCRIBE:
        note_subscriptions(p);
        break;
    case REDIS_RESET:
        p->resetting = false;
        if (ok) {
            note_reset(p);
        }
        break;
    default:
        break;
    }
}

/* Counting ---------------------------------------------------------------------------------- */

static void measure(struct pooled *p, const struct flight *f, const struct redis_reply *r)
{
    struct worker *w = p->worker;
    uint32_t took_us = pools_now_us(w) - f->sent_us;
    size_t backend = p->session->backend->index;
    metric_observe(&w->metrics.backends[backend]->at[BACKEND_COMMAND_TIME], HISTOGRAM_COMMAND,
                   took_us);
    if (UNLIKELY(slow_wants(&w->slow, took_us, loop_now_ms(&w->loop)))) {
        slow_note(p, f, r, took_us);
    }
}

static void count(struct pooled *p, const struct flight *f, const struct redis_reply *r)
{
    static const enum backend_metric metrics[] = {
        [REDIS_NEITHER] = BACKEND_COMMANDS_OTHER,
        [REDIS_READS] = BACKEND_COMMANDS_READ,
        [REDIS_WRITES] = BACKEND_COMMANDS_WRITTEN,
    };
    size_t backend = p->session->backend->index;
    struct worker *w = p->worker;
    metric_add(&w->metrics.backends[backend]->at[metrics[f->access]], 1);
    if (f->access == REDIS_WRITES) {
        if (p->split) {
            p->wrote_ms = uv_hrtime() / 1000000;
        }
        if (UNLIKELY(atomic_load_explicit(&w->shared->backends[backend]->write_awaited,
                                          memory_order_relaxed))) {
            worker_written(w, backend);
        }
    }
    if (LIKELY(!slow_is_waiting(f->kind))) {
        measure(p, f, r);
    }
}

/* Kept bytes of a password do not stay. */
static void forget_command(struct pooled *p, const struct flight *f)
{
    if (UNLIKELY((f->flags & FLIGHT_SECRET) != 0)) {
        memset(p->bytes + p->head, 0, f->bytes);
    }
    pooled_forget(p, f->bytes);
}

void pooled_reply(struct pooled *p, const struct flight *f, const struct redis_reply *r,
                  const char *data, size_t len, bool borrowed)
{
    p->flying--;
    if (p->session == NULL) {
        pooled_unref(p);
        return;
    }
    pooled_touch(p);
    if (UNLIKELY(r->type == '-' || p->holding) && pooled_refused(p, f, r, data, len)) {
        if ((f->flags & FLIGHT_GONE) != 0) {
            slow_large_answered(p);
        }
        return;
    }
    p->tries = 0;
    count(p, f, r);
    if (UNLIKELY(p->link != NULL && p->link->doomed && f->access == REDIS_WRITES)) {
        pooled_say_unknown(p);
    } else if (UNLIKELY(f->kind != REDIS_PLAIN)) {
        pass(p, f, r, data, len, borrowed);
        if (p->session != NULL) {
            note_kind(p, f, r);
        }
    } else {
        pooled_pass(p, data, len, borrowed);
        p->multi_bad = p->multi_bad || (r->type == '-' && (f->flags & FLIGHT_QUEUED) != 0);
    }
    if (p->session == NULL) {
        return;
    }
    forget_command(p, f);
    if ((f->flags & FLIGHT_GONE) != 0) {
        slow_large_answered(p);
        if (!p->streaming) {
            p->pins &= (uint16_t)~PIN_LARGE;
        }
    }
    if (UNLIKELY(p->queued) && p->redo == NULL) {
        pooled_served(p);
    }
}

static bool is_ours(const struct pool_link *l)
{
    return credential_is_ours(l->worker, l->pool->backend, l->pool->identity.credential);
}

/* When nothing of it is in flight, it needs no link, unless something pins it. */
void pooled_settle(struct pooled *p)
{
    struct pool_link *l = p->link;
    if (p->flying > 0) {
        return;
    }
    if (p->holding) {
        pooled_restart(p);
        return;
    }
    if (l == NULL) {
        return;
    }
    if (l->state == LINK_CLOSED) {
        p->link = NULL;
        pooled_restart(p);
        return;
    }
    if (p->sent == p->len) {
        p->pins &= (uint16_t)~PIN_PIPELINE;
        p->hog = false;
    }
    if (!link_is_lent_to(l, p)) {
        p->link = NULL;
        return;
    }
    if (p->pins == 0 && l->tainted && !is_ours(l)) {
        pooled_pin(p, PIN_STATE); /* RESET would cost its user a link that only a client brings */
    }
    if (p->pins == 0 && !p->streaming && l->flights.count == 0 && l->reply.len == 0) {
        p->link = NULL;
        if (l->clogged_by != NULL) {
            link_unclog(l);
        }
        pool_give_back(l, true);
    }
}
