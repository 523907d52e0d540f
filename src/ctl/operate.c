/* What an operator may do to a backend by hand. Everything is told in the events. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/control.h"
#include "net/mailbox.h"

/* An order on its way to the control thread. */
struct ordered {
    struct message message;
    enum order order;
    size_t backend;
    size_t server;
};

static void set_paused(struct backend_control *b, bool paused)
{
    if (b->paused_by_hand != paused) {
        b->paused_by_hand = paused;
        events_add(&b->control->events, b->config->name, "operator", "%s by the operator",
                   paused ? "paused" : "resumed");
        fence_publish(b->control);
    }
}

static void elect(struct backend_control *b, size_t server)
{
    struct events *events = &b->control->events;
    const char *name = b->config->servers.items[server].name;
    if (!backend_has_roles(b->config)) {
        events_add(events, b->config->name, "operator", "%s is not elected: there are no roles",
                   name);
        return;
    }
    b->chosen = (unsigned)server + 1;
    backend_decide(b);
    b->chosen = 0;
    bool elected = b->verdict.kind == VERDICT_PRIMARY && b->verdict.primary == (int)server;
    events_add(events, b->config->name, "operator", "%s is %s", name,
               elected ? "elected by the operator's word"
                       : "not elected: it does not claim to be the primary now");
}

static void on_order(struct message *m, void *control)
{
    struct control *c = control;
    struct ordered *o = container_of(m, struct ordered, message);
    struct backend_control *b = c->backends[o->backend];
    switch (o->order) {
    case ORDER_PAUSE:
    case ORDER_RESUME:
        set_paused(b, o->order == ORDER_PAUSE);
        break;
    case ORDER_ELECT:
        elect(b, o->server);
        break;
    }
    free(o);
}

static const struct backend_config *find_backend(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        if (strcmp(c->backends[i].name, name) == 0) {
            return &c->backends[i];
        }
    }
    return NULL;
}

static bool find_server(const struct backend_config *b, const char *name, size_t *out)
{
    for (*out = 0; *out < b->servers.count; (*out)++) {
        if (strcmp(b->servers.items[*out].name, name) == 0) {
            return true;
        }
    }
    return false;
}

int operate(struct control *c, enum order order, const char *backend, const char *server)
{
    size_t index = 0;
    const struct backend_config *b = find_backend(c->config, backend);
    if (b == NULL || (order == ORDER_ELECT && !find_server(b, server, &index))) {
        return UV_ENOENT;
    }
    struct ordered *o = malloc(sizeof *o);
    if (o == NULL) {
        return UV_ENOMEM;
    }
    *o = (struct ordered){{.run = on_order}, order, b->index, index};
    mailbox_post(&c->loop.mailbox, &o->message);
    return 0;
}
