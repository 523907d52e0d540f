/* PAUSE -> OPENING [-> SHAKE] -> LOGIN -> LISTEN, and whatever fails ends in CLOSE, which waits for
 * the socket's close callback before the next PAUSE. One timer serves the state.
 *
 * A subscription that is cut somewhere in between looks like one on which nothing happens. So it is
 * asked for a sign of life each time a few pauses have passed. */
#include "ctl/sentinel_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/macros.h"
#include "net/loop.h"
#include "net/tls.h"
#include "proto/sentinel_news.h"

#define LIFE_PAUSES      3
#define FLOOD_WINDOW_MS  1000
#define FLOOD_BYTES      (256 * 1024) /* in it: some 2,000 events */
#define LINES_PER_SECOND 10           /* of the log, for one Sentinel */

enum watch_state {
    WATCH_PAUSE,   /* waits until it may connect */
    WATCH_OPENING, /* waits for the connect */
    WATCH_SHAKE,   /* waits for the TLS handshake */
    WATCH_LOGIN,   /* waits for the subscriptions to be confirmed */
    WATCH_LISTEN,  /* waits for news */
    WATCH_CLOSE,   /* waits for the close callback */
};

struct sentinel_watch {
    struct loop *loop; /* borrowed */
    struct sentinel_watch_target target;
    size_t number;
    const struct sentinel_watch_events *events; /* borrowed */
    void *context;
    enum watch_state state;
    bool closing; /* sentinel_watch_close() was called */
    bool alive;   /* something came since it was asked for a sign of life */
    bool told;    /* in the log: that it does not work */
    unsigned handles;
    uint64_t window_ms; /* when it began */
    size_t window_bytes;
    struct conn conn;
    uv_timer_t timer;
    struct sentinel_news news;
    struct log_gate gate;
    char why[NEWS_WHY_MAX];
};

static void on_timer(uv_timer_t *timer);

static void set_state(struct sentinel_watch *w, enum watch_state state, uint64_t timer_ms)
{
    w->state = state;
    uv_timer_start(&w->timer, on_timer, timer_ms, 0);
}

/* That nobody can be reached is told by the probe, which tries it too. */
static void log_loss(struct sentinel_watch *w)
{
    bool spoke = w->state == WATCH_LOGIN || w->state == WATCH_LISTEN;
    if (spoke && !w->told) {
        log_limited(&w->gate, LINES_PER_SECOND, LOG_LEVEL_INFO, "%s tells no news: %s",
                    w->target.label, w->why);
        w->told = true;
    }
}

/* The connection is at its end. Calls back when it had been of use: the last thing a function
 * does. */
static void drop(struct sentinel_watch *w, const char *why)
{
    char text[sizeof w->why + 32];
    bool listened = w->state == WATCH_LISTEN;
    snprintf(w->why, sizeof w->why, "%s", why); /* may lie in w->news */
    log_loss(w);
    sentinel_news_release(&w->news);
    w->state = WATCH_CLOSE;
    uv_timer_stop(&w->timer);
    conn_close(&w->conn);
    if (!w->closing) {
        w->events->on_intention(w->context, w->number, "");
    }
    if (listened && !w->closing) {
        snprintf(text, sizeof text, "the subscription was lost: %s", w->why);
        w->events->on_news(w->context, w->number, text);
    }
}

static void drop_status(struct sentinel_watch *w, const char *what, int status)
{
    char why[sizeof w->why];
    snprintf(why, sizeof why, "%s: %s", what, uv_strerror(status));
    drop(w, why);
}

/* The connection ---------------------------------------------------------------------------- */

static void on_secured(struct conn *c)
{
    struct sentinel_watch *w = container_of(c, struct sentinel_watch, conn);
    const char *out = NULL;
    size_t len = 0;
    int rc = sentinel_news_begin(&w->news, w->target.setup, &out, &len);
    if (rc == 0) {
        rc = conn_write(&w->conn, out, len);
    }
    if (rc != 0) {
        drop_status(w, "cannot subscribe", rc);
        return;
    }
    w->window_ms = loop_now_ms(w->loop);
    w->window_bytes = 0;
    set_state(w, WATCH_LOGIN, w->target.timeout_ms);
}

static void on_connected(struct conn *c)
{
    struct sentinel_watch *w = container_of(c, struct sentinel_watch, conn);
    if (w->target.tls == NULL || *w->target.tls == NULL) {
        on_secured(c);
        return;
    }
    set_state(w, WATCH_SHAKE, w->target.timeout_ms);
    struct tls *tls = tls_connect(*w->target.tls, w->target.peer, NULL);
    int rc = tls != NULL ? conn_secure(c, tls, NULL, 0) : UV_ENOMEM;
    if (rc != 0) {
        drop_status(w, "cannot begin TLS", rc);
    }
}

/* What it says costs us time, so there is a bound on that. */
static bool is_flood(struct sentinel_watch *w, size_t len)
{
    uint64_t now = loop_now_ms(w->loop);
    if (now - w->window_ms >= FLOOD_WINDOW_MS) {
        w->window_ms = now;
        w->window_bytes = 0;
    }
    w->window_bytes += len;
    return w->window_bytes > FLOOD_BYTES;
}

static void tell_intention(struct sentinel_watch *w)
{
    if (w->news.intention != INTENTION_UNTOLD) {
        w->events->on_intention(w->context, w->number, w->news.whom);
    }
}

static void listen_on(struct sentinel_watch *w)
{
    w->why[0] = '\0';
    set_state(w, WATCH_LISTEN, LIFE_PAUSES * w->target.pause_ms);
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct sentinel_watch *w = container_of(c, struct sentinel_watch, conn);
    char text[NEWS_TEXT_MAX] = "";
    w->alive = true;
    if (w->state == WATCH_CLOSE) {
        return;
    }
    if (is_flood(w, len)) {
        drop(w, "it says too much");
        return;
    }
    if (sentinel_news_feed(&w->news, data, len) != 0) {
        drop(w, "the router is out of memory");
        return;
    }
    enum sentinel_news_step step = sentinel_news_next(&w->news);
    for (; step == NEWS_READY || step == NEWS_EVENT; step = sentinel_news_next(&w->news)) {
        if (step == NEWS_READY) {
            listen_on(w);
            continue;
        }
        tell_intention(w);
        memcpy(text, w->news.text, sizeof text);
        log_limited(&w->gate, LINES_PER_SECOND, LOG_LEVEL_INFO, "%s tells: %s", w->target.label,
                    text);
    }
    if (step == NEWS_BROKEN) {
        drop(w, w->news.why);
    } else if (text[0] != '\0') {
        w->events->on_news(w->context, w->number, text);
    }
}

static void on_gone(struct sentinel_watch *w, int status)
{
    if (w->state == WATCH_OPENING) {
        drop_status(w, "cannot connect", status);
    } else if (w->state == WATCH_SHAKE && conn_why(&w->conn)[0] != '\0') {
        drop(w, conn_why(&w->conn));
    } else if (w->state != WATCH_CLOSE) {
        drop_status(w, "the connection was cut", status);
    }
}

static void on_eof(struct conn *c)
{
    on_gone(container_of(c, struct sentinel_watch, conn), UV_EOF);
}

static void on_drained(struct conn *c)
{
    (void)c; /* what we say is small: nothing waits for room */
}

static void on_error(struct conn *c, int status)
{
    on_gone(container_of(c, struct sentinel_watch, conn), status);
}

static void release(struct sentinel_watch *w)
{
    if (--w->handles == 0) {
        sentinel_news_release(&w->news);
        free(w);
    }
}

static void on_closed(struct conn *c)
{
    struct sentinel_watch *w = container_of(c, struct sentinel_watch, conn);
    if (!w->closing) {
        set_state(w, WATCH_PAUSE, w->target.pause_ms);
    }
    release(w);
}

static const struct conn_ops ops = {
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

static void open_connection(struct sentinel_watch *w)
{
    set_state(w, WATCH_OPENING, w->target.timeout_ms);
    w->handles++;
    int rc = conn_connect(&w->conn, w->loop, &ops, &w->target.address, &w->target.tcp);
    if (rc == CONN_CONNECTED) {
        on_connected(&w->conn);
    } else if (rc < 0) {
        drop_status(w, "cannot connect", rc);
    }
}

static void ask_for_life(struct sentinel_watch *w)
{
    if (!w->alive) {
        drop(w, "it gives no sign of life");
        return;
    }
    if (w->told) { /* one that is cut again and again is not told about each time */
        log_limited(&w->gate, LINES_PER_SECOND, LOG_LEVEL_INFO, "%s tells news again",
                    w->target.label);
        w->told = false;
    }
    w->alive = false;
    int rc = conn_write(&w->conn, sentinel_news_ping, strlen(sentinel_news_ping));
    if (rc != 0) {
        drop_status(w, "the connection was cut", rc);
        return;
    }
    set_state(w, WATCH_LISTEN, LIFE_PAUSES * w->target.pause_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct sentinel_watch *w = container_of(timer, struct sentinel_watch, timer);
    switch (w->state) {
    case WATCH_PAUSE:
        open_connection(w);
        break;
    case WATCH_OPENING:
        drop(w, "it does not answer the connect in time");
        break;
    case WATCH_SHAKE:
        drop(w, "it does not finish the TLS handshake in time");
        break;
    case WATCH_LOGIN:
        drop(w, "it does not answer the subscription in time");
        break;
    case WATCH_LISTEN:
        ask_for_life(w);
        break;
    case WATCH_CLOSE:
        break;
    }
}

/* From outside ------------------------------------------------------------------------------ */

struct sentinel_watch *sentinel_watch_new(struct loop *l,
                                          const struct sentinel_watch_target *target, size_t number,
                                          const struct sentinel_watch_events *events, void *context)
{
    struct sentinel_watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->loop = l;
    w->target = *target;
    w->number = number;
    w->events = events;
    w->context = context;
    uv_timer_init(&l->uv, &w->timer);
    w->handles = 1;
    return w;
}

void sentinel_watch_start(struct sentinel_watch *w)
{
    set_state(w, WATCH_PAUSE, 0);
}

bool sentinel_watch_is_subscribed(const struct sentinel_watch *w)
{
    return w->state == WATCH_LISTEN;
}

const char *sentinel_watch_why(const struct sentinel_watch *w)
{
    return w->why;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(container_of((uv_timer_t *)handle, struct sentinel_watch, timer));
}

void sentinel_watch_close(struct sentinel_watch *w)
{
    w->closing = true;
    w->state = WATCH_CLOSE;
    if (w->handles > 1) {
        conn_close(&w->conn);
    }
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}
