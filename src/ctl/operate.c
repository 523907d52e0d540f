#include "ctl/operate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/control.h"
#include "ctl/drill.h"
#include "net/mailbox.h"

const char *const admin_state_names[] = {
    [ADMIN_READY] = "ready",
    [ADMIN_DRAIN] = "drain",
    [ADMIN_MAINT] = "maint",
};

/* " (uid 0, pid 4711)", behind what was done */
struct by {
    char text[64];
};

static struct by by(const char *who)
{
    struct by b = {""};
    if (who[0] != '\0') {
        snprintf(b.text, sizeof b.text, " (%s)", who);
    }
    return b;
}

bool operate_pause(struct backend_control *b, bool paused, const char *who)
{
    bool drilled = !paused && drill_is_on(b);
    if (drilled) {
        drill_stop(b, "resumed by the operator");
        fence_publish(b->control);
    }
    if (b->paused_by_hand == paused) { /* else it was paused in the midst of the drill */
        return drilled;
    }
    b->paused_by_hand = paused;
    events_add(&b->control->events, b->config->name, "operator", "%s by the operator%s",
               paused ? "paused" : "resumed", by(who).text);
    fence_publish(b->control);
    return true;
}

static const char *why_not_elected(const struct backend_control *b, size_t server)
{
    if (b->servers[server].admin != ADMIN_READY) {
        return "it is taken out (drain or maint)";
    }
    return "it does not claim to be the primary now";
}

bool operate_elect(struct backend_control *b, size_t server, const char *who, const char **why)
{
    struct events *events = &b->control->events;
    const char *name = b->config->servers.items[server].name;
    if (!backend_has_roles(b->config)) {
        *why = "there are no roles";
        events_add(events, b->config->name, "operator", "%s is not elected: %s%s", name, *why,
                   by(who).text);
        return false;
    }
    b->chosen = (unsigned)server + 1;
    backend_decide(b);
    b->chosen = 0;
    if (b->verdict.kind == VERDICT_PRIMARY && b->verdict.primary == (int)server) {
        events_add(events, b->config->name, "operator", "%s is elected by the operator's word%s",
                   name, by(who).text);
        return true;
    }
    *why = why_not_elected(b, server);
    events_add(events, b->config->name, "operator", "%s is not elected: %s%s", name, *why,
               by(who).text);
    return false;
}

bool operate_admin(struct backend_control *b, size_t server, enum admin_state state,
                   const char *who)
{
    static const char *const words[] = {
        [ADMIN_READY] = "ready again",
        [ADMIN_DRAIN] = "drained: no new sessions",
        [ADMIN_MAINT] = "in maintenance: no new sessions",
    };
    struct server_control *s = &b->servers[server];
    if (s->admin == state) {
        return false;
    }
    s->admin = state;
    s->admin_since_ms = loop_now_ms(&b->control->loop);
    events_add(&b->control->events, b->config->name, "operator", "%s is %s, by the operator%s",
               s->config->name, words[state], by(who).text);
    if (backend_has_roles(b->config)) {
        backend_decide(b);
    } else {
        fence_publish(b->control);
    }
    return true;
}

bool operate_frontend(struct control *c, size_t frontend, bool enabled, const char *who)
{
    if (atomic_exchange(&c->shared->frontends[frontend]->disabled, !enabled) == !enabled) {
        return false;
    }
    events_add(&c->events, "", "operator", "frontend %s is %s by the operator%s",
               c->config->frontends[frontend].name, enabled ? "enabled" : "disabled", by(who).text);
    return true;
}

/* From another thread ----------------------------------------------------------------------- */

/* An order on its way to the control thread. */
struct ordered {
    struct message message;
    enum order order;
    size_t backend;
    size_t server;
};

static void on_order(struct message *m, void *control)
{
    struct control *c = control;
    struct ordered *o = container_of(m, struct ordered, message);
    struct backend_control *b = c->backends[o->backend];
    const char *why;
    if (b->config->gone || o->server >= b->config->servers.count) {
        free(o); /* the configuration has changed since it was looked up */
        return;
    }
    switch (o->order) {
    case ORDER_PAUSE:
    case ORDER_RESUME:
        operate_pause(b, o->order == ORDER_PAUSE, "");
        break;
    case ORDER_ELECT:
        operate_elect(b, o->server, "", &why);
        break;
    }
    free(o);
}
static const struct backend_config *find_backend(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        if (!c->backends[i].gone && strcmp(c->backends[i].name, name) == 0) {
            return &c->backends[i];
        }
    }
    return NULL;
}

static bool find_server(const struct backend_config *b, const char *name, size_t *server)
{
    for (*server = 0; *server < b->servers.count; (*server)++) {
        const struct server_config *s = &b->servers.items[*server];
        if (!s->gone && strcmp(s->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A mutex, because whoever calls wants to know at once whether the name is right, and the
 * configuration that it is looked up in belongs to the control thread. Positions stay what they
 * are. */
static bool find(struct control *c, struct ordered *o, const char *backend, const char *server)
{
    uv_mutex_lock(&c->config_lock);
    const struct backend_config *b = find_backend(c->config, backend);
    bool found = b != NULL && (o->order != ORDER_ELECT || find_server(b, server, &o->server));
    o->backend = found ? b->index : 0;
    uv_mutex_unlock(&c->config_lock);
    return found;
}

int operate(struct control *c, enum order order, const char *backend, const char *server)
{
    struct ordered *o = malloc(sizeof *o);
    if (o == NULL) {
        return UV_ENOMEM;
    }
    *o = (struct ordered){.message.run = on_order, .order = order};
    if (!find(c, o, backend, server)) {
        free(o);
        return UV_ENOENT;
    }
    mailbox_post(&c->loop.mailbox, &o->message);
    return 0;
}
