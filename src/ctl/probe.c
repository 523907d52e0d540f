/* The happy path is: WAIT -> CONNECT -> ASK -> (report) WAIT, and from then on WAIT -> ASK -> WAIT
 * on the kept connection. With probe_keep = no, and for plain connects, LEAVE stands between ASK
 * and WAIT. Whatever fails is reported and ends in CLOSE, which waits for the socket's close
 * callback before the next WAIT. One timer serves the state: the interval in WAIT, the time-out
 * elsewhere. */
#include "ctl/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "net/conn.h"
#include "net/loop.h"
#include "router_proto.h"

enum probe_state {
    PROBE_WAIT,    /* waits for the next turn */
    PROBE_OPENING, /* waits for the connect */
    PROBE_ASK,     /* waits for the answer */
    PROBE_LEAVE,   /* waits for the server's FIN after our goodbye */
    PROBE_CLOSE,   /* waits for the close callback */
};

struct probe {
    struct loop *loop;
    const struct backend_config *backend;
    const struct server_config *config;
    size_t server;
    const struct probe_dialogue *dialogue; /* NULL: only connect */
    const struct probe_events *events;
    void *context;
    uint64_t *stamp;
    enum probe_state state;
    bool kept;    /* the connection is open and logged in */
    bool again;   /* asked for while busy */
    bool closing; /* probe_close() was called */
    unsigned handles;
    uint64_t interval_ms;
    uint64_t due_ms; /* PROBE_WAIT: when the next turn is */
    uint64_t asked_ns;
    uint64_t opened_ms; /* when the connection was begun */
    struct conn conn;
    uv_timer_t timer;
    struct observation seen;
    void *talk; /* the dialogue's state */
};

static const char *renamed(const void *renames, const char *command)
{
    const struct rename_list *list = renames;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, command) == 0) {
            return list->items[i].alias;
        }
    }
    return command;
}

static struct probe_setup account(const struct probe *p)
{
    return (struct probe_setup){
        .user = p->backend->probe_user,
        .password = p->backend->probe_password,
        .command = renamed,
        .renames = &p->backend->probe_commands,
    };
}

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
    if (p->dialogue != NULL) {
        p->dialogue->release(p->talk);
        memset(p->talk, 0, p->dialogue->state_size);
    }
}

static void close_connection(struct probe *p)
{
    p->kept = false;
    forget_dialogue(p);
    p->state = PROBE_CLOSE;
    uv_timer_stop(&p->timer);
    conn_close(&p->conn);
}

/* Reporting may lead to probe_now() or probe_close() on this very probe: it is the last thing a
 * function does. */
static void report(struct probe *p)
{
    struct observation *o = &p->seen;
    bool good = o->reach == REACH_ANSWERED;
    o->failures = good ? 0 : o->failures + 1;
    o->successes = good ? o->successes + 1 : 0;
    o->answered = ++*p->stamp;
    o->at_ms = loop_now_ms(p->loop);
    o->latency_us = (uv_hrtime() - p->asked_ns) / 1000;
    p->events->on_observation(p->context, p->server, o);
}

/* A new observation that remembers how the last ones went. */
static void begin_observation(struct probe *p)
{
    p->asked_ns = uv_hrtime();
    p->seen = (struct observation){
        .failures = p->seen.failures,
        .successes = p->seen.successes,
        .asked = ++*p->stamp,
    };
}

static void fail(struct probe *p, enum reach reach, const char *why)
{
    struct observation clean = {
        .failures = p->seen.failures,
        .successes = p->seen.successes,
        .asked = p->seen.asked,
        .reach = reach,
    };
    snprintf(clean.why, sizeof clean.why, "%s", why);
    p->seen = clean;
    close_connection(p);
    report(p);
}

static void fail_status(struct probe *p, const char *what, int status)
{
    char why[WHY_MAX];
    snprintf(why, sizeof why, "%s: %s", what, uv_strerror(status));
    fail(p, REACH_REFUSED, why);
}

static void leave(struct probe *p)
{
    const char *out = NULL;
    size_t len = 0;
    if (p->dialogue != NULL) {
        struct probe_setup who = account(p);
        p->dialogue->goodbye(p->talk, &who, &out, &len);
    }
    p->kept = false;
    if (len > 0 && conn_write(&p->conn, out, len) != 0) {
        close_connection(p);
        return;
    }
    p->state = PROBE_LEAVE;
    conn_finish(&p->conn);
    set_timer(p, p->backend->probe_timeout);
}

static void done(struct probe *p)
{
    if (p->dialogue == NULL || !p->backend->probe_keep) {
        leave(p);
    } else {
        p->kept = true;
        wait_for_turn(p);
    }
    report(p);
}

static void step(struct probe *p, enum probe_step next, const char *out, size_t len)
{
    if (next == PROBE_STEP_FAIL) {
        if (p->seen.reach == REACH_UNASKED) {
            p->seen.reach = REACH_DENIED; /* the dialogue had not even a word for it */
        }
        close_connection(p);
        report(p);
        return;
    }
    int rc = len > 0 ? conn_write(&p->conn, out, len) : 0;
    if (rc != 0) {
        fail_status(p, "the connection was cut", rc);
    } else if (next == PROBE_STEP_DONE) {
        done(p);
    }
}

static void ask(struct probe *p)
{
    p->state = PROBE_ASK;
    begin_observation(p);
    if (p->dialogue == NULL) {
        p->seen.reach = REACH_ANSWERED;
        done(p);
        return;
    }
    const char *out = NULL;
    size_t len = 0;
    struct probe_setup who = account(p);
    enum probe_step next = p->dialogue->start(p->talk, &who, !p->kept, &out, &len);
    step(p, next, out, len);
}

/* The connection ---------------------------------------------------------------------------- */

static void on_connected(struct conn *c)
{
    ask(container_of(c, struct probe, conn));
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct probe *p = container_of(c, struct probe, conn);
    const char *out = NULL;
    size_t out_len = 0;
    if (p->state == PROBE_ASK) {
        enum probe_step next = p->dialogue->feed(p->talk, data, len, &p->seen, &out, &out_len);
        step(p, next, out, out_len);
    } else if (p->state == PROBE_WAIT) {
        begin_observation(p);
        fail(p, REACH_DENIED, "it sent an answer that was not asked for");
    }
}

static void on_gone(struct probe *p, const char *what, int status)
{
    switch (p->state) {
    case PROBE_OPENING:
        begin_observation(p);
        fail_status(p, "cannot connect", status);
        break;
    case PROBE_ASK:
        fail_status(p, what, status);
        break;
    case PROBE_WAIT:
        /* Asked again at once, unless that would go round and round. */
        p->again =
            p->again || loop_now_ms(p->loop) - p->opened_ms >= p->backend->probe_fast_interval;
        close_connection(p);
        p->events->on_lost(p->context, p->server);
        break;
    case PROBE_LEAVE:
        close_connection(p);
        break;
    case PROBE_CLOSE:
        break;
    }
}

static void on_eof(struct conn *c)
{
    on_gone(container_of(c, struct probe, conn), "the connection was closed", UV_EOF);
}

static void on_drained(struct conn *c)
{
    (void)c; /* questions are small: nothing waits for room */
}

static void on_error(struct conn *c, int status)
{
    on_gone(container_of(c, struct probe, conn), "the connection was cut", status);
}

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
        wait_for_turn(p);
    }
    release(p);
}

static const struct conn_ops ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

static void turn(struct probe *p)
{
    if (p->kept) {
        set_timer(p, p->backend->probe_timeout);
        ask(p);
        return;
    }
    p->state = PROBE_OPENING;
    p->opened_ms = loop_now_ms(p->loop);
    p->handles++;
    set_timer(p, p->backend->probe_timeout);
    struct conn_tcp tcp = {p->backend->tcp_keepalive, p->backend->tcp_user_timeout};
    int rc = conn_connect(&p->conn, p->loop, &ops, &p->config->address, &tcp);
    if (rc == CONN_CONNECTED) {
        on_connected(&p->conn);
    } else if (rc < 0) {
        begin_observation(p);
        fail_status(p, "cannot connect", rc);
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
    case PROBE_ASK:
        fail(p, REACH_SILENT, "accepts connections but does not answer in time");
        break;
    case PROBE_LEAVE:
        close_connection(p);
        break;
    case PROBE_CLOSE:
        break;
    }
}

/* From outside ------------------------------------------------------------------------------ */

struct probe *probe_new(struct loop *l, const struct backend_config *backend, size_t server,
                        const struct probe_events *events, void *context, uint64_t *stamp)
{
    struct probe *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->loop = l;
    p->backend = backend;
    p->config = &backend->servers.items[server];
    p->server = server;
    p->dialogue = backend->probe == PROBE_AUTO ? backend->protocol->dialogue : NULL;
    p->events = events;
    p->context = context;
    p->stamp = stamp;
    p->interval_ms = backend->probe_fast_interval;
    if (p->dialogue != NULL) {
        p->talk = calloc(1, p->dialogue->state_size);
        if (p->talk == NULL) {
            free(p);
            return NULL;
        }
    }
    uv_timer_init(&l->uv, &p->timer);
    p->handles = 1;
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

void probe_close(struct probe *p)
{
    p->closing = true;
    p->state = PROBE_CLOSE;
    if (p->handles > 1) {
        conn_close(&p->conn);
    }
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}
