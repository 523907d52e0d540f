#include "ctl/reporter.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/text.h"
#include "ctl/control.h"
#include "net/mailbox.h"

#define LOOK_MS       50 /* until it is ready */
#define STATUS_MS     1000
#define STATUS_MAX    512
#define END_MARGIN_MS 10000 /* what the end may take beside shutdown_delay and drain_timeout */

struct reporter {
    struct control *control; /* borrowed */
    uv_timer_t look;         /* until it is ready, then for the status */
    uv_timer_t watchdog;
    unsigned handles;           /* of libuv, until their close callbacks */
    struct message_beat *beats; /* one for each worker */
    unsigned away;              /* beats that have not come back */
    bool ready;                 /* was told */
    bool silent;                /* another process is the service */
    bool refused;               /* the last reload */
    char status[STATUS_MAX];    /* told last */
};

/* The status -------------------------------------------------------------------------------- */

static void add_backend(const struct backend_control *b, struct text *out)
{
    size_t open = 0;
    size_t all = 0;
    for (size_t i = 0; i < b->config->servers.count; i++) {
        open += b->servers[i].access == ACCESS_OPEN;
        all += !b->config->servers.items[i].gone;
    }
    text_add(out, "; %s: %zu of %zu servers", b->config->name, open, all);
    if (backend_has_roles(b->config) && b->verdict.kind == VERDICT_PRIMARY) {
        text_add(out, ", primary %s", b->config->servers.items[b->verdict.primary].name);
    } else if (backend_has_roles(b->config)) {
        text_add(out, ", no primary");
    }
}

static void tell_status(struct reporter *r)
{
    const struct control *c = r->control;
    struct text now = {0};
    text_add(&now, "%s, %u sessions",
             c->draining ? "draining"
             : r->ready  ? "serving"
                         : "starting",
             atomic_load(&c->shared->router->sessions));
    for (size_t i = 0; i < c->config->backend_count && now.len < STATUS_MAX; i++) {
        if (!c->config->backends[i].gone) {
            add_backend(c->backends[i], &now);
        }
    }
    if (r->refused) {
        text_add(&now, "; the last reload was not taken");
    }
    if (strncmp(now.data, r->status, STATUS_MAX - 1) != 0 && !r->silent) {
        snprintf(r->status, STATUS_MAX, "%s", now.data);
        notify_status("%s", r->status);
    }
    text_free(&now);
}

static void on_look(uv_timer_t *timer)
{
    struct reporter *r = container_of(timer, struct reporter, look);
    if (!r->ready && !r->silent && control_ready(r->control)) {
        r->ready = true;
        notify_ready("serving");
        uv_timer_start(&r->look, on_look, STATUS_MS, STATUS_MS);
    }
    tell_status(r);
}

/* The watchdog ------------------------------------------------------------------------------ */

static void on_back(struct message *m, void *control)
{
    struct control *c = control;
    struct message_beat *beat = container_of(m, struct message_beat, message);
    beat->away = false;
    if (--c->reporter->away == 0 && !c->reporter->silent) {
        notify_alive();
    }
}

/* A worker that is busy for a while is late and misses nothing: what it still has is not sent
 * again. */
static void on_watchdog(uv_timer_t *timer)
{
    struct reporter *r = container_of(timer, struct reporter, watchdog);
    struct control *c = r->control;
    if (r->silent) {
        return;
    }
    if (c->stopping) { /* nothing may be posted to the workers any more, and the end is bounded */
        notify_alive();
        return;
    }
    for (unsigned i = 0; i < c->worker_count; i++) {
        struct message_beat *beat = &r->beats[i];
        if (!beat->away) {
            *beat = (struct message_beat){{.run = c->tell->beat}, on_back, true};
            r->away++;
            mailbox_post(c->workers[i].mailbox, &beat->message);
        }
    }
}

/* Beginning and end ------------------------------------------------------------------------- */

struct reporter *reporter_new(struct control *c)
{
    if (!notify_begin()) {
        return NULL;
    }
    struct reporter *r = xcalloc(1, sizeof *r);
    r->control = c;
    r->beats = xcalloc(c->worker_count, sizeof *r->beats);
    r->handles = 2;
    uv_timer_init(&c->loop.uv, &r->look);
    uv_timer_init(&c->loop.uv, &r->watchdog);
    uv_timer_start(&r->look, on_look, 0, LOOK_MS);
    uint64_t ms = notify_watchdog_ms();
    if (ms > 0) {
        uv_timer_start(&r->watchdog, on_watchdog, 0, ms);
    }
    return r;
}

void reporter_reloading(struct reporter *r)
{
    if (r != NULL && r->ready && !r->silent) {
        notify_reloading();
    }
}

void reporter_reloaded(struct reporter *r, bool taken)
{
    if (r != NULL && r->ready && !r->silent) {
        r->refused = !taken;
        r->status[0] = '\0';
        notify_ready("reloaded");
        tell_status(r);
    }
}

void reporter_hand_over(struct reporter *r, int pid)
{
    if (r != NULL && !r->silent) {
        r->silent = true;
        notify_main_process(pid);
    }
}

void reporter_stopping(struct reporter *r)
{
    if (r->silent) {
        return;
    }
    const struct router_config *config = &r->control->config->router;
    notify_stopping(config->shutdown_delay + config->drain_timeout + END_MARGIN_MS);
    tell_status(r);
}

static void on_closed(uv_handle_t *handle)
{
    struct reporter *r = handle->data;
    if (--r->handles == 0) {
        notify_end();
        free(r->beats);
        free(r);
    }
}

void reporter_end(struct reporter *r)
{
    r->look.data = r;
    r->watchdog.data = r;
    uv_close((uv_handle_t *)&r->look, on_closed);
    uv_close((uv_handle_t *)&r->watchdog, on_closed);
}
