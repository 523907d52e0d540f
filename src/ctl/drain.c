/* control_drain() and what follows from it; see struct drain. */
#include "base/macros.h"
#include "base/mem.h"
#include "ctl/admin.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"
#include "ctl/reporter.h"
#include "net/mailbox.h"

#define LOOK_MS  20
#define LEAVE_MS 1000 /* for operators to get the answers that they wait for */

void control_stop(struct control *c)
{
    if (c->worker_count == 0) {
        control_end(c);
        return;
    }
    c->stopping = true;
    uv_timer_stop(&c->drain.timer);
    for (unsigned i = 0; i < c->worker_count; i++) {
        struct message_stop *m = xcalloc(1, sizeof *m);
        *m = (struct message_stop){{.run = c->tell->stop}, i};
        mailbox_post(c->workers[i].mailbox, &m->message);
    }
}

/* Whoever comes now is answered by the process that has taken our place. */
static bool operators_left(struct control *c)
{
    unsigned here = c->admin != NULL ? admin_clients(c->admin) : 0;
    here += control_sockets_clients(c->sockets);
    if (here > 0 && loop_now_ms(&c->loop) < c->drain.leave_ms) {
        return false;
    }
    if (c->admin != NULL) {
        admin_close(c->admin);
        c->admin = NULL;
    }
    control_sockets_close(c->sockets);
    return true;
}

/* Nobody new comes in once all workers have acknowledged that they closed their listeners. */
static void on_look(uv_timer_t *timer)
{
    struct control *c = container_of(timer, struct control, drain.timer);
    if (c->handed_over && !operators_left(c)) {
        return;
    }
    unsigned left = atomic_load(&c->shared->router->sessions);
    bool closed = fence_acked_by_all(c) >= c->published->generation;
    if (loop_now_ms(&c->loop) >= c->drain.until_ms) {
        if (left > 0) {
            c->drain.timed_out = true;
            events_add(&c->events, "", "router", "drain_timeout is over: %u sessions are closed",
                       left);
        }
        control_stop(c);
    } else if (left == 0 && closed) {
        control_stop(c);
    }
}

static void close_doors(struct control *c)
{
    c->drain.doors_closed = true;
    c->drain.until_ms = loop_now_ms(&c->loop) + c->config->router.drain_timeout;
    events_add(&c->events, "", "router", "draining: %u sessions may finish within %llu ms",
               atomic_load(&c->shared->router->sessions),
               (unsigned long long)c->config->router.drain_timeout);
    fence_publish(c);
    uv_timer_start(&c->drain.timer, on_look, LOOK_MS, LOOK_MS);
}

void drain_for_successor(struct control *c)
{
    c->draining = true;
    c->drain.doors_closed = true;
    c->drain.until_ms = UINT64_MAX;
    c->drain.for_successor = true;
    fence_publish(c);
}

void drain_until_done(struct control *c)
{
    if (c->drain.asked) {
        c->drain.until_ms = loop_now_ms(&c->loop) + c->config->router.drain_timeout;
    }
    c->drain.leave_ms = loop_now_ms(&c->loop) + LEAVE_MS;
    if (c->admin != NULL) {
        admin_leave(c->admin);
    }
    control_sockets_leave(c->sockets);
    uv_timer_start(&c->drain.timer, on_look, LOOK_MS, LOOK_MS);
}

void drain_undo(struct control *c)
{
    c->draining = false;
    c->drain.doors_closed = c->drain.for_successor = c->drain.asked = false;
}

static void on_delay_over(uv_timer_t *timer)
{
    close_doors(container_of(timer, struct control, drain.timer));
}

void control_drain(struct control *c)
{
    loop_assert(&c->loop);
    c->drain.asked = c->drain.for_successor;
    if (c->handed_over) { /* what is left has no longer than others */
        c->drain.until_ms = loop_now_ms(&c->loop) + c->config->router.drain_timeout;
    }
    if (c->draining) {
        fence_publish(c); /* who stayed behind is not to stay for long */
        return;
    }
    c->draining = true;
    if (c->reporter != NULL) {
        reporter_stopping(c->reporter);
    }
    uint64_t delay = c->config->router.shutdown_delay;
    if (delay == 0) {
        close_doors(c);
        return;
    }
    events_add(&c->events, "", "router",
               "about to drain: /readyz says so, clients are accepted for another %llu ms",
               (unsigned long long)delay);
    uv_timer_start(&c->drain.timer, on_delay_over, delay, 0);
}

void drain_init(struct control *c)
{
    uv_timer_init(&c->loop.uv, &c->drain.timer);
}

void drain_tell(struct control *c)
{
    for (size_t i = 0; i < c->config->frontend_count && c->drain.timed_out; i++) {
        uint64_t closed = 0;
        for (unsigned j = 0; j < c->worker_count; j++) {
            struct frontend_counters *of = c->workers[j].metrics.frontends[i];
            closed += metric_read(&of->at[FRONTEND_DRAIN_CLOSED]);
        }
        if (closed > 0) {
            events_add(&c->events, "", "router", "frontend=%s closed at the end of the drain: %llu",
                       c->config->frontends[i].name, (unsigned long long)closed);
        }
    }
}

void drain_end(struct control *c)
{
    uv_close((uv_handle_t *)&c->drain.timer, NULL);
}
