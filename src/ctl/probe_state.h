/* What a probe holds, and what it waits for; only ctl/probe.c looks at it. */
#ifndef ROUTER_CTL_PROBE_STATE_H
#define ROUTER_CTL_PROBE_STATE_H

#include "ctl/probe.h"
#include "net/loop.h"

#define ANEW_MS  1000  /* the least between two logins for probe_anew() */
#define REST_MAX 65536 /* bytes from a server that is left: a download is not waited for */

enum probe_state {
    PROBE_WAIT,    /* waits for the next turn */
    PROBE_OPENING, /* waits for the connect */
    PROBE_SHAKE,   /* waits for the TLS handshake */
    PROBE_ASK,     /* waits for the answer */
    PROBE_LEAVE,   /* waits for the server's FIN after our goodbye */
    PROBE_CLOSE,   /* waits for the close callback */
};

struct probe {
    struct loop *loop;
    struct probe_target target;
    size_t number;
    const struct probe_events *events;
    void *context;
    uint64_t *stamp;
    enum probe_state state;
    enum probe_stage stage; /* how far the question that is under way has come */
    bool kept;              /* the connection is open and logged in */
    bool again;             /* asked for while busy */
    bool upgrade;           /* PROBE_SHAKE: in the midst of the dialogue */
    bool last;              /* the connection is at its end */
    bool anew;              /* the dialogue goes on with another one */
    bool stale;             /* the kept connection is not to be asked again */
    bool closing;           /* probe_close() was called */
    unsigned handles;
    uint64_t interval_ms;
    uint64_t due_ms; /* PROBE_WAIT: when the next turn is */
    uint64_t asked_ns;
    uint64_t opened_ms; /* when the connection was begun */
    size_t rest;        /* PROBE_LEAVE: bytes that were thrown away */
    struct conn conn;
    uv_timer_t timer;
    struct observation seen;
    void *talk; /* the dialogue's state */
};

/* Cut now, it would be held against our address. */
static inline bool probe_is_unfinished(const struct probe *p)
{
    const struct probe_dialogue *d = p->target.dialogue;
    bool busy = p->state == PROBE_OPENING || p->state == PROBE_ASK ||
                (p->state == PROBE_SHAKE && p->upgrade);
    return busy && d != NULL && d->unfinished != NULL && d->unfinished(p->talk);
}

/* The kept connection has to go before the next question. */
static inline bool probe_is_stale(const struct probe *p)
{
    return p->kept && p->stale && loop_now_ms(p->loop) - p->opened_ms >= ANEW_MS;
}

#endif
