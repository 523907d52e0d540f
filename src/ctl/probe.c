/* WAIT -> OPENING -> ASK -> (report) WAIT, and from then on WAIT -> ASK -> WAIT on the kept
 * connection. SHAKE stands where a TLS handshake goes on, before ASK or in its midst; LEAVE between
 * ASK and WAIT where the connection is not kept. Whatever fails is reported and ends in CLOSE. One
 * timer serves the state: the interval in WAIT, the time-out elsewhere. A login that must not be
 * cut (probe_dialogue.unfinished) outlives it: that it is late is reported each time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/probe_state.h"
#include "net/loop.h"
#include "net/proxy_header.h"
#include "net/tls.h"

static void on_timer(uv_timer_t *timer);

static void set_timer(struct probe *p, uint64_t ms)
{
    uv_timer_start(&p->timer, on_timer, ms, 0);
}

static void wait_for_turn(struct probe *p)
{
    p->state = PROBE_WAIT;
    uint64_t ms = p->again ? 0 : p->interval_ms;
    p->again = false;
    p->due_ms = loop_now_ms(p->loop) + ms;
    set_timer(p, ms);
}

/* The next connection begins with a clean dialogue. */
static void forget_dialogue(struct probe *p)
{
    if (p->target.dialogue != NULL) {
        p->target.dialogue->release(p->talk);
        memset(p->talk, 0, p->target.dialogue->state_size);
    }
}

static void close_connection(struct probe *p)
{
    p->kept = false;
    if (!p->anew || p->state != PROBE_LEAVE) {
        p->anew = false;
        forget_dialogue(p);
    }
    p->state = PROBE_CLOSE;
    uv_timer_stop(&p->timer);
    conn_close(&p->conn);
}

/* Reporting may lead to probe_now() or probe_close() on this very probe: it is the last thing a
 * function does. */
static void report(struct probe *p)
{
    p->seen.stage = p->stage;
    observation_end(&p->seen, ++*p->stamp, loop_now_ms(p->loop),
                    (uv_hrtime() - p->asked_ns) / 1000);
    if (!p->closing) {
        p->events->on_observation(p->context, p->number, &p->seen);
    }
}

static void begin_observation(struct probe *p)
{
    p->asked_ns = uv_hrtime();
    observation_begin(&p->seen, ++*p->stamp);
}

static void fail(struct probe *p, enum reach reach, const char *why)
{
    observation_fail(&p->seen, reach, why);
    close_connection(p);
    report(p);
}

static void fail_status(struct probe *p, const char *what, int status)
{
    char why[WHY_MAX];
    snprintf(why, sizeof why, "%s: %s", what, uv_strerror(status));
    fail(p, REACH_REFUSED, why);
}

static void fail_end(struct probe *p, int status)
{
    if (status == UV_EPROTO) {
        char why[TLS_WHY_MAX];
        snprintf(why, sizeof why, "%s", conn_why(&p->conn)); /* another failure overwrites it */
        fail(p, REACH_DENIED, why);
    } else {
        fail_status(p, status == UV_EOF ? "the connection was closed" : "the connection was cut",
                    status);
    }
}

static int say(struct probe *p, const char *out, size_t len)
{
    return len > 0 ? conn_write(&p->conn, out, len) : 0;
}

static int say_goodbye(struct probe *p)
{
    const char *out = NULL;
    size_t len = 0;
    if (p->target.dialogue != NULL) {
        p->target.dialogue->goodbye(p->talk, p->target.setup, &out, &len);
    }
    return say(p, out, len);
}

static void leave(struct probe *p)
{
    p->kept = false;
    p->rest = 0;
    p->state = PROBE_LEAVE;
    if (say_goodbye(p) != 0) {
        close_connection(p);
        return;
    }
    conn_finish(&p->conn);
    set_timer(p, p->target.timeout_ms);
}

static void done(struct probe *p)
{
    if (p->target.dialogue == NULL || !p->target.keep || p->last || p->closing) {
        leave(p);
    } else {
        p->kept = true;
        wait_for_turn(p);
    }
    report(p);
}

static void fail_dialogue(struct probe *p)
{
    if (p->seen.reach == REACH_UNASKED) {
        p->seen.reach = REACH_DENIED; /* the dialogue had not even a word for it */
    }
    close_connection(p);
    report(p);
}

static void begin_tls(struct probe *p, bool upgrade)
{
    p->upgrade = upgrade;
    p->state = PROBE_SHAKE;
    p->stage = STAGE_TLS;
    struct tls *tls = tls_connect(*p->target.tls, p->target.peer, NULL);
    if (tls == NULL) {
        fail(p, REACH_DENIED, "TLS cannot be begun with it: no tls_server_name, or no memory");
        return;
    }
    if (upgrade && p->target.dialogue->distrust != NULL) {
        tls_tolerate(tls);
    }
    int rc = conn_secure(&p->conn, tls, NULL, 0);
    if (rc != 0) {
        fail_end(p, rc);
    }
}

static void step(struct probe *p, enum probe_step next, const char *out, size_t len)
{
    int rc = say(p, out, len);
    if (next == PROBE_STEP_FAIL) {
        fail_dialogue(p); /* what the protocol owed the server before the end was written */
    } else if (rc != 0) {
        fail_status(p, "the connection was cut", rc);
    } else if (next == PROBE_STEP_TLS) {
        begin_tls(p, true);
    } else if (next == PROBE_STEP_ANEW) {
        p->anew = true;
        leave(p);
    } else if (next == PROBE_STEP_DONE || next == PROBE_STEP_LAST) {
        p->last = next == PROBE_STEP_LAST;
        done(p);
    }
}

static void feed(struct probe *p, const char *data, size_t len)
{
    const char *out = NULL;
    size_t out_len = 0;
    enum probe_step next = p->target.dialogue->feed(p->talk, data, len, &p->seen, &out, &out_len);
    step(p, next, out, out_len);
}

static void ask(struct probe *p)
{
    p->state = PROBE_ASK;
    begin_observation(p);
    if (p->target.dialogue == NULL) {
        p->seen.reach = REACH_ANSWERED;
        done(p);
        return;
    }
    p->stage = STAGE_ASK;
    const char *out = NULL;
    size_t len = 0;
    enum probe_step next =
        p->target.dialogue->start(p->talk, p->target.setup, !p->kept, &out, &len);
    step(p, next, out, len);
}

/* The dialogue begins, or goes on. */
static void talk(struct probe *p, bool goes_on)
{
    if (goes_on) {
        p->anew = false;
        p->state = PROBE_ASK;
        p->stage = STAGE_ASK;
        feed(p, NULL, 0);
    } else {
        ask(p);
    }
}

/* The connection ---------------------------------------------------------------------------- */

/* A connection of our own: a server that wants the header everywhere gets one that names nobody. */
static int say_whose(struct probe *p)
{
    char header[PROXY_HEADER_OUT_MAX];
    enum proxy_version version = (enum proxy_version)p->target.proxy;
    return version == 0 ? 0 : say(p, header, proxy_header_build(header, version, NULL, NULL));
}

static void connected(struct probe *p)
{
    const struct probe_dialogue *d = p->target.dialogue;
    int rc = say_whose(p);
    if (rc != 0) {
        begin_observation(p);
        fail_status(p, "cannot send the PROXY header", rc);
    } else if (*p->target.tls != NULL && d != NULL && !d->tls_inside) {
        begin_observation(p);
        begin_tls(p, false);
    } else {
        talk(p, d != NULL && p->anew);
    }
}

static void on_connected(struct conn *c)
{
    connected(container_of(c, struct probe, conn));
}

static void on_secured(struct conn *c)
{
    struct probe *p = container_of(c, struct probe, conn);
    if (!tls_is_trusted(c->tls)) {
        p->target.dialogue->distrust(p->talk, conn_why(c));
    }
    talk(p, p->upgrade || p->anew);
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct probe *p = container_of(c, struct probe, conn);
    const struct probe_dialogue *d = p->target.dialogue;
    if (p->state == PROBE_ASK) {
        feed(p, data, len);
    } else if (p->state == PROBE_WAIT && d->unasked != NULL && d->unasked(p->talk, data, len)) {
        p->events->on_lost(p->context, p->number);
    } else if (p->state == PROBE_WAIT) {
        begin_observation(p);
        fail(p, REACH_DENIED, "it sent an answer that was not asked for");
    } else if (p->state == PROBE_LEAVE && (p->rest += len) > REST_MAX) {
        close_connection(p);
    }
}

/* A kept connection is gone: asked again at once, unless that would go round and round. */
static void hurry(struct probe *p)
{
    p->again |= p->kept && loop_now_ms(p->loop) - p->opened_ms >= p->target.fast_interval_ms;
}

static void on_error(struct conn *c, int status)
{
    struct probe *p = container_of(c, struct probe, conn);
    bool kept = p->kept;
    switch (p->state) {
    case PROBE_OPENING:
        begin_observation(p);
        fail_status(p, "cannot connect", status);
        break;
    case PROBE_SHAKE:
    case PROBE_ASK:
        hurry(p);
        fail_end(p, status);
        if (kept && !p->closing) {
            p->events->on_lost(p->context, p->number);
        }
        break;
    case PROBE_WAIT:
        hurry(p);
        close_connection(p);
        p->events->on_lost(p->context, p->number);
        break;
    case PROBE_LEAVE:
    case PROBE_CLOSE: /* already */
        close_connection(p);
        break;
    }
}

static void on_eof(struct conn *c)
{
    on_error(c, UV_EOF);
}

static void on_timer_closed(uv_handle_t *handle);

static void release(struct probe *p)
{
    if (--p->handles > 0) {
        return;
    }
    forget_dialogue(p);
    free(p->talk);
    free(p);
}

static void on_closed(struct conn *c)
{
    struct probe *p = container_of(c, struct probe, conn);
    if (!p->closing) {
        p->again |= p->anew;
        wait_for_turn(p);
    } else if (!uv_is_closing((uv_handle_t *)&p->timer)) {
        uv_close((uv_handle_t *)&p->timer, on_timer_closed); /* it has finished its login */
    }
    release(p);
}

static const struct conn_ops ops = {
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_closed = on_closed,
};

static void turn(struct probe *p)
{
    bool stale = probe_is_stale(p);
    if (p->kept) {
        set_timer(p, p->target.timeout_ms);
        p->again |= stale;
        (stale ? leave : ask)(p);
        return;
    }
    p->stale = false;
    p->state = PROBE_OPENING;
    p->stage = STAGE_CONNECT;
    p->opened_ms = loop_now_ms(p->loop);
    p->handles++;
    set_timer(p, p->target.timeout_ms);
    int rc = conn_connect(&p->conn, p->loop, &ops, &p->target.address, &p->target.tcp);
    if (rc == CONN_CONNECTED) {
        connected(p);
    } else if (rc < 0) {
        begin_observation(p);
        fail_status(p, "cannot connect", rc);
    }
}

static void on_late(struct probe *p)
{
    const char *why = p->state == PROBE_SHAKE ? "does not go on with the TLS handshake in time"
                                              : "accepts connections but does not answer in time";
    if (!probe_is_unfinished(p) || p->closing) {
        fail(p, REACH_SILENT, why);
        return;
    }
    observation_fail(&p->seen, REACH_SILENT, why);
    set_timer(p, p->target.timeout_ms);
    report(p);
    if (p->state != PROBE_CLOSE) {
        begin_observation(p); /* nothing has been asked yet: the login is still under way */
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct probe *p = container_of(timer, struct probe, timer);
    switch (p->state) {
    case PROBE_WAIT:
        turn(p);
        break;
    case PROBE_OPENING:
        begin_observation(p);
        fail(p, REACH_SILENT, "does not answer the connect in time");
        break;
    case PROBE_SHAKE:
    case PROBE_ASK:
        on_late(p);
        break;
    case PROBE_LEAVE:
    case PROBE_CLOSE: /* already */
        close_connection(p);
        break;
    }
}

/* From outside ------------------------------------------------------------------------------ */

static struct tls_context *const in_the_clear;

struct probe *probe_new(struct loop *l, const struct probe_target *target, size_t number,
                        const struct probe_events *events, void *context, uint64_t *stamp)
{
    const struct probe_dialogue *d = target->dialogue;
    struct probe *p = calloc(1, sizeof *p);
    void *talk = d != NULL ? calloc(1, d->state_size) : NULL;
    if (p == NULL || (d != NULL && talk == NULL)) {
        free(talk);
        free(p);
        return NULL;
    }
    *p = (struct probe){
        .loop = l,
        .target = *target,
        .number = number,
        .events = events,
        .context = context,
        .stamp = stamp,
        .interval_ms = target->fast_interval_ms,
        .handles = 1,
        .talk = talk,
    };
    if (p->target.tls == NULL) {
        p->target.tls = &in_the_clear;
    }
    uv_timer_init(&l->uv, &p->timer);
    return p;
}

void probe_start(struct probe *p)
{
    p->again = true;
    wait_for_turn(p);
}

void probe_now(struct probe *p)
{
    if (p->state == PROBE_WAIT) {
        p->due_ms = loop_now_ms(p->loop);
        set_timer(p, 0);
    } else {
        p->again = true;
    }
}

void probe_anew(struct probe *p)
{
    p->stale = true;
}

void probe_set_interval(struct probe *p, uint64_t interval_ms)
{
    p->interval_ms = interval_ms;
    uint64_t due = loop_now_ms(p->loop) + interval_ms;
    if (p->state == PROBE_WAIT && p->due_ms > due) {
        p->due_ms = due;
        set_timer(p, interval_ms);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(container_of((uv_timer_t *)handle, struct probe, timer));
}

static void end(struct probe *p)
{
    if (p->kept) {
        say_goodbye(p);
    }
    p->state = PROBE_CLOSE;
    if (p->handles > 1) {
        conn_close(&p->conn);
    }
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

void probe_close(struct probe *p)
{
    p->closing = true;
    if (probe_is_unfinished(p)) {
        set_timer(p, p->target.timeout_ms); /* whatever ends it, on_closed() comes */
    } else {
        end(p);
    }
}
