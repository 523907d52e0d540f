/* Sessions are ended by the workers that have them: each one that may gets a message, and when all
 * have come back the order is done. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/control.h"
#include "ctl/operate.h"
#include "net/mailbox.h"

struct kill_order {
    struct control *control;
    char backend[64]; /* for the event */
    char what[160];
    char who[64];
    unsigned asked; /* workers that have not answered */
    unsigned killed;
    operate_killed done;
    void *context;
};

static void finish(struct kill_order *o)
{
    if (o->killed > 0) {
        events_add(&o->control->events, o->backend, "operator",
                   "%s: %u session%s ended by the operator%s%s%s", o->what, o->killed,
                   o->killed == 1 ? "" : "s", o->who[0] != '\0' ? " (" : "", o->who,
                   o->who[0] != '\0' ? ")" : "");
    }
    o->done(o->context, o->killed);
    free(o);
}

static void on_done(struct message *message, void *control)
{
    struct message_kill *m = container_of(message, struct message_kill, message);
    struct kill_order *o = m->order;
    (void)control;
    o->killed += m->killed;
    free(m);
    if (--o->asked == 0) {
        finish(o);
    }
}

static void ask(struct kill_order *o, unsigned worker, size_t server, uint32_t number)
{
    struct message_kill *m = xcalloc(1, sizeof *m);
    *m = (struct message_kill){
        .message.run = o->control->tell->kill,
        .on_done = on_done,
        .order = o,
        .server = server,
        .number = number,
    };
    o->asked++;
    mailbox_post(o->control->workers[worker].mailbox, &m->message);
}

static struct kill_order *order_new(struct control *c, const char *who, operate_killed done,
                                    void *context)
{
    struct kill_order *o = xcalloc(1, sizeof *o);
    o->control = c;
    o->done = done;
    o->context = context;
    snprintf(o->who, sizeof o->who, "%s", who);
    return o;
}

bool operate_knows_session(const struct control *c, uint64_t id)
{
    return id >> 32 < c->worker_count;
}

void operate_kill_session(struct control *c, uint64_t id, const char *who, operate_killed done,
                          void *context)
{
    assert(!c->stopping && operate_knows_session(c, id));
    struct kill_order *o = order_new(c, who, done, context);
    snprintf(o->what, sizeof o->what, "session 0x%" PRIx64, id);
    ask(o, (unsigned)(id >> 32), MESSAGE_ONE_SESSION, (uint32_t)id);
}

void operate_kill_on(struct backend_control *b, size_t server, const char *who, operate_killed done,
                     void *context)
{
    struct control *c = b->control;
    assert(!c->stopping);
    const struct server_config *s = &b->config->servers.items[server];
    struct kill_order *o = order_new(c, who, done, context);
    snprintf(o->backend, sizeof o->backend, "%s", b->config->name);
    snprintf(o->what, sizeof o->what, "server %s", s->name);
    for (unsigned i = 0; i < c->worker_count; i++) {
        ask(o, i, s->id, 0);
    }
}
