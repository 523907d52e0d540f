#include "ctl/drill.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/control.h"

#define SERVED_MS 2000 /* how long the report waits for those who waited */

enum drill_phase {
    DRILL_ON,    /* waits for the end of its time */
    DRILL_AFTER, /* waits until all who waited are served */
    DRILL_OVER,  /* waits for the close callback */
};

/* Of all frontends whose clients may come to the backend. */
struct felt {
    uint64_t refused;
    uint64_t left;
};

struct drill {
    struct backend_control *backend; /* borrowed */
    uv_timer_t timer;
    enum drill_phase phase;
    unsigned number; /* of the backend's drills, so that its waiters are known */
    size_t server;
    uint64_t began_ms;
    uint64_t ended_ms;
    char why[ELECTION_REASON_MAX]; /* it ended early; empty = it did not */
    unsigned still; /* sessions on the server when it began, and those left when it ended */
    unsigned still_left;
    unsigned waited; /* clients that had to, and how many of them do so yet */
    unsigned waiting;
    uint64_t longest_ms;
    struct felt before;
    struct verdict real; /* what a loss would lead to, by what is known now */
    drill_done done;
    void *context;
};

static struct felt felt_by_now(const struct backend_control *b)
{
    const struct control *c = b->control;
    struct felt sum = {0};
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        if (!config_uses_backend(&c->config->frontends[i], b->config->index)) {
            continue;
        }
        for (unsigned w = 0; w < c->worker_count; w++) {
            struct frontend_counters *f = c->workers[w].metrics.frontends[i];
            sum.refused += metric_read(&f->at[FRONTEND_REFUSED_QUEUE]);
            sum.left += metric_read(&f->at[FRONTEND_LEFT_WAITING]);
        }
    }
    return sum;
}

static unsigned sessions_of(const struct backend_control *b, size_t server)
{
    size_t id = b->config->servers.items[server].id;
    return atomic_load(&b->control->shared->servers[id]->connections);
}

/* The report -------------------------------------------------------------------------------- */

static void tell_replica(const struct backend_control *b, size_t server, struct text *out)
{
    const struct observation *o = &b->servers[server].seen;
    int64_t bytes = lag_bytes(&b->lag, o->lineage.offset);
    text_add(out, "%s", b->config->servers.items[server].name);
    if (!o->link_up) {
        text_add(out, " (no link)");
    } else if (o->part == PART_LINEAGE && bytes >= 0) {
        text_add(out, " (%" PRId64 " bytes behind)", bytes);
    } else if (o->behind_ms >= 0) {
        text_add(out, " (%" PRId64 " ms behind)", o->behind_ms);
    }
}

static void tell_replicas(const struct drill *d, struct text *out)
{
    const struct backend_control *b = d->backend;
    const char *before = "replicas: ";
    for (size_t i = 0; i < b->config->servers.count; i++) {
        const struct observation *o = &b->servers[i].seen;
        if (i != d->server && o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA) {
            text_add(out, "%s", before);
            tell_replica(b, i, out);
            before = ", ";
        }
    }
    if (before[0] == ',') {
        text_add(out, "\n");
    }
}

static void tell_real(const struct drill *d, struct text *out)
{
    const struct server_list *servers = &d->backend->config->servers;
    text_add(out, "a real loss would have cut: %u\n", d->still);
    if (d->real.kind == VERDICT_PRIMARY) {
        text_add(out, "next primary: %s, at once\n", servers->items[d->real.primary].name);
    } else {
        text_add(out, "next primary: none, until another server claims\n");
    }
    text_add(out, "the election would have said: %s\n", d->real.reason);
    tell_replicas(d, out);
}

static void tell(const struct drill *d, struct text *out)
{
    const struct backend_config *config = d->backend->config;
    struct felt now = felt_by_now(d->backend);
    uint64_t ms = d->ended_ms - d->began_ms;
    text_add(out, "drill: %s/%s was treated as lost for %" PRIu64 " ms\n", config->name,
             config->servers.items[d->server].name, ms);
    if (d->why[0] != '\0') {
        text_add(out, "ended early: %s\n", d->why);
    }
    text_add(out, "sessions that stood still: %u, for %" PRIu64 " ms; %u were there at the end\n",
             d->still, ms, d->still_left);
    text_add(out, "clients that waited: %u, the longest %" PRIu64 " ms; %u wait yet\n", d->waited,
             d->longest_ms, d->waiting);
    text_add(out,
             "clients that were refused: %" PRIu64 " (queue_limit %u, queue_timeout %" PRIu64
             " ms); left while they waited: %" PRIu64 "\n",
             now.refused - d->before.refused, config->queue_limit, config->queue_timeout,
             now.left - d->before.left);
    tell_real(d, out);
}

static void on_closed(uv_handle_t *timer)
{
    free(container_of((uv_timer_t *)timer, struct drill, timer));
}

static void report(struct drill *d)
{
    struct backend_control *b = d->backend;
    struct text text = {0};
    tell(d, &text);
    events_add(&b->control->events, b->config->name, "drill",
               "over after %" PRIu64 " ms: %u sessions stood still, %u clients waited, the longest "
               "%" PRIu64 " ms; %" PRIu64 " were refused",
               d->ended_ms - d->began_ms, d->still, d->waited, d->longest_ms,
               felt_by_now(b).refused - d->before.refused);
    b->drill = NULL;
    d->phase = DRILL_OVER;
    uv_close((uv_handle_t *)&d->timer, on_closed);
    d->done(d->context, &text);
}

/* Its time ---------------------------------------------------------------------------------- */

static void on_served(uv_timer_t *timer)
{
    report(container_of(timer, struct drill, timer));
}

bool drill_is_on(const struct backend_control *b)
{
    return b->drill != NULL && b->drill->phase == DRILL_ON;
}

/* The report is never made from here: who calls is in the midst of something. */
void drill_stop(struct backend_control *b, const char *why)
{
    struct drill *d = b->drill;
    if (!drill_is_on(b)) {
        return;
    }
    d->phase = DRILL_AFTER;
    d->ended_ms = loop_now_ms(&b->control->loop);
    d->still_left = sessions_of(b, d->server);
    snprintf(d->why, sizeof d->why, "%s", why);
    if (why[0] != '\0') {
        events_add(&b->control->events, b->config->name, "drill", "ends early: %s", why);
    }
    uv_timer_start(&d->timer, on_served, d->waiting > 0 ? SERVED_MS : 0, 0);
}

static void on_time(uv_timer_t *timer)
{
    struct drill *d = container_of(timer, struct drill, timer);
    drill_stop(d->backend, "");
    fence_publish(d->backend->control);
}

void drill_abandon(struct backend_control *b)
{
    drill_stop(b, "the router ends");
    if (b->drill != NULL) {
        report(b->drill);
    }
}

const char *drill_why_not(const struct backend_control *b, unsigned seconds, bool force)
{
    const struct control *c = b->control;
    if (!backend_has_roles(b->config)) {
        return "there are no roles";
    } else if (c->draining) {
        return "the router ends";
    } else if (b->drill != NULL) {
        return "there is a drill already";
    } else if (b->paused_by_hand) {
        return "it is paused";
    } else if (b->verdict.kind != VERDICT_PRIMARY ||
               c->published->backends[b->config->index].primary != b->verdict.primary) {
        return "there is no primary now";
    } else if (seconds * UINT64_C(1000) >= b->config->queue_timeout && !force) {
        return "who waits for longer than queue_timeout would be refused; \"force\" does it all "
               "the same";
    }
    return NULL;
}

void drill_begin(struct backend_control *b, unsigned seconds, const char *who, drill_done done,
                 void *context)
{
    struct control *c = b->control;
    assert(b->drill == NULL && b->verdict.kind == VERDICT_PRIMARY);
    struct drill *d = xcalloc(1, sizeof *d);
    d->backend = b;
    d->number = ++b->drills;
    d->server = (size_t)b->verdict.primary;
    d->began_ms = loop_now_ms(&c->loop);
    d->before = felt_by_now(b);
    d->still = sessions_of(b, d->server);
    d->done = done;
    d->context = context;
    backend_rehearse(b, d->server, &d->real);
    uv_timer_init(&c->loop.uv, &d->timer);
    uv_timer_start(&d->timer, on_time, seconds * UINT64_C(1000), 0);
    b->drill = d;
    events_add(&c->events, b->config->name, "drill",
               "%s is treated as lost for %u s, by the operator%s%s%s",
               b->config->servers.items[d->server].name, seconds, who[0] != '\0' ? " (" : "", who,
               who[0] != '\0' ? ")" : "");
    fence_publish(c);
}

/* What happens meanwhile -------------------------------------------------------------------- */

void drill_elected(struct backend_control *b)
{
    const struct verdict *v = &b->verdict;
    if (drill_is_on(b) && (v->kind != VERDICT_PRIMARY || v->primary != (int)b->drill->server)) {
        drill_stop(b, v->reason);
    }
}

void drill_compose(struct backend_control *b, struct topology_backend *out)
{
    if (!drill_is_on(b)) {
        return;
    }
    struct topology_server *s = &out->servers[b->drill->server];
    struct server_control *own = &b->servers[b->drill->server];
    if (s->access >= ACCESS_QUIET) {
        s->access = ACCESS_PAUSE;
        snprintf(own->reason, sizeof own->reason, "a drill: it is treated as lost");
    }
}

void drill_waits(struct backend_control *b, struct waiter *w)
{
    struct drill *d = b->drill;
    if (drill_is_on(b) && w->request.route != ROUTE_REPLICA) {
        w->drill = d->number;
        d->waited++;
        d->waiting++;
    }
}

void drill_served(struct backend_control *b, const struct waiter *w)
{
    struct drill *d = b->drill;
    if (d == NULL || w->drill != d->number) {
        return;
    }
    uint64_t ms = loop_now_ms(&b->control->loop) - w->since_ms;
    d->longest_ms = ms > d->longest_ms ? ms : d->longest_ms;
    d->waiting--;
    if (d->phase == DRILL_AFTER && d->waiting == 0) {
        uv_timer_start(&d->timer, on_served, 0, 0);
    }
}
