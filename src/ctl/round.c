#include "ctl/round.h"

#include "base/macros.h"
#include "ctl/command.h"
#include "ctl/control.h"
#include "net/mailbox.h"

/* False: there is nobody to ask any more. A worker that was told to stop must not be. */
static bool ask(struct round *r)
{
    struct control *c = r->control;
    if (r->worker >= c->worker_count || c->stopping || !command_wanted(r->ticket)) {
        return false;
    }
    r->message->run = r->run;
    mailbox_post(c->workers[r->worker].mailbox, r->message);
    return true;
}

/* The next one that somebody still waits for: many may have asked and gone meanwhile. */
static void begin(struct control *c)
{
    bool asked = false;
    LIST_EACH(it, &c->rounds)
    {
        struct round *r = container_of(it, struct round, node);
        asked = asked || ask(r);
        if (!asked) {
            list_remove(&r->node);
            r->finish(r);
        }
    }
}

void round_begin(struct round *r)
{
    struct control *c = r->control;
    bool alone = list_empty(&c->rounds);
    r->worker = 0;
    list_append(&c->rounds, &r->node);
    if (alone) {
        begin(c);
    }
}

void round_go_on(struct round *r)
{
    if (!ask(r)) {
        round_end(r);
    }
}

void round_end(struct round *r)
{
    struct control *c = r->control;
    list_remove(&r->node);
    r->finish(r);
    begin(c);
}
