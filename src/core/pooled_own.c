/* Commands on a link that their client has to itself, and what they mean to it. */
#include "core/pooled.h"
#include "core/session.h"

/* WAIT counts what its own connection has run: one that has run a command knows of all that was
 * written before it. */
static bool touch(struct pooled *p)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    struct flight *f = link_fly(p->link, NULL);
    if (f != NULL) {
        f->kind = STEP_TOUCH;
    }
    return f != NULL && link_send(p->link, ping, sizeof ping - 1);
}

enum turn pooled_go_raw(struct pooled *p)
{
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    if (!p->multi_sent && !pooled_name_link(p)) {
        pooled_no_memory(p);
        return TURN_DONE;
    }
    if (p->link->flights.count > 0) { /* the router's own: their answers are not the client's */
        return TURN_WAIT;
    }
    pooled_pin(p, PIN_RAW);
    struct pool_link *l = p->link;
    uint32_t len = p->len - p->sent;
    if (!link_send(l, pooled_command(p), len)) {
        pooled_no_memory(p);
        return TURN_DONE;
    }
    l->raw = true;
    l->tainted = true;
    pooled_begin_next(p, len);
    pooled_forget(p, len);
    return TURN_DONE;
}

/* TRACKING, NO-EVICT and NO-TOUCH are off again one by one. */
static uint32_t tracking_bit(const struct pooled *p)
{
    const char *first = pooled_command(p);
    return redis_word_is(&p->request, first, 1, "TRACKING")   ? 1
           : redis_word_is(&p->request, first, 1, "NO-EVICT") ? 2
                                                              : 4;
}

/* What a command means to the link that its client has alone. */
static void note_pins(struct pooled *p)
{
    switch ((enum redis_kind)p->kind) {
    case REDIS_AUTH:
    case REDIS_HELLO:
    case REDIS_SELECT:
    case REDIS_STATE:
        pooled_pin(p, PIN_STATE);
        break;
    case REDIS_BLOCKS:
    case REDIS_OWN:
        if (!p->multi_sent) {
            pooled_pin(p, PIN_BLOCKING);
        }
        break;
    case REDIS_WAITS:
        if (!p->multi_sent) {
            pooled_pin(p, PIN_WAIT);
        }
        break;
    case REDIS_WATCH:
        pooled_pin(p, PIN_WATCH);
        break;
    case REDIS_MULTI:
        pooled_pin(p, PIN_TRANSACTION);
        break;
    case REDIS_SUBSCRIBE:
    case REDIS_UNSUBSCRIBE:
        pooled_pin(p, PIN_SUBSCRIBE);
        break;
    case REDIS_TRACKING_ON:
        pooled_pin(p, p->multi_sent ? PIN_STATE : PIN_TRACKING);
        break;
    case REDIS_SETNAME:
        p->link->tainted = p->link->tainted || p->multi_sent;
        break;
    default:
        break;
    }
}

/* What it changes is said within the reply to EXEC, and not looked for there. */
static bool is_hidden_in_exec(const struct pooled *p)
{
    bool subscribes = p->kind == REDIS_SUBSCRIBE && p->request.argc > 1; /* else it is refused */
    bool speaks = p->kind == REDIS_HELLO && p->request.argc > 1;
    return p->multi_sent && (subscribes || speaks || p->kind == REDIS_UNSUBSCRIBE);
}

enum turn pooled_send_own(struct pooled *p)
{
    enum redis_kind kind = (enum redis_kind)p->kind;
    if (link_is_full(p->link)) {
        pooled_hold(p);
        return TURN_WAIT;
    }
    if (p->flying >= POOLED_OWN_FLYING_MAX) {
        return TURN_WAIT;
    }
    if (kind == REDIS_RAW || is_hidden_in_exec(p)) {
        return pooled_go_raw(p);
    }
    note_pins(p);
    if (kind == REDIS_WAITS && !p->multi_sent && !p->session_mode && !touch(p)) {
        pooled_no_memory(p);
        return TURN_DONE;
    }
    uint32_t bit = kind == REDIS_TRACKING_ON || kind == REDIS_TRACKING_OFF ? tracking_bit(p) : 0;
    if (kind == REDIS_EXEC || kind == REDIS_DISCARD ||
        (kind == REDIS_RESET && p->request.argc == 1)) {
        p->multi_sent = false;
        p->resetting = kind == REDIS_RESET;
    }
    uint32_t flights = p->link->flights.count;
    enum turn turn = pooled_send(p);
    if (p->session != NULL && kind == REDIS_MULTI) {
        p->multi_sent = true;
    }
    if (p->session != NULL && bit > 0) {
        flights_at(&p->link->flights, flights)->bits = (uint8_t)bit;
    }
    return turn;
}

enum turn pooled_acquire_and_send(struct pooled *p, size_t server, enum pin why)
{
    enum turn turn = pooled_acquire(p, server, &p->identity, why);
    return turn == TURN_GO ? pooled_send_own(p) : turn;
}
