/* A question that goes to all workers in turn, to each as often as it has more to say, for a
 * command whose answer comes later. One such round is made at a time, others wait for it: a worker
 * keeps one place in each of its lists. Control thread only. */
#ifndef ROUTER_CTL_ROUND_H
#define ROUTER_CTL_ROUND_H

#include "base/list.h"
#include "base/message.h"

struct command_ticket;
struct control;

/* Embedded in what is being made; all but `node` and `worker` are set by who embeds it. */
struct round {
    struct list node; /* in control.rounds: the first one is being made */
    struct control *control;
    struct command_ticket *ticket; /* owned until `finish` */
    struct message *message;       /* at home, or at `worker` */
    void (*run)(struct message *m, void *worker);
    void (*finish)(struct round *r); /* answers the ticket, and frees it */
    unsigned worker;
};

/* When it is its turn. It may be finished before this returns: if nobody waits for it any more. */
void round_begin(struct round *r);
/* Its message is back and goes to `worker` (again), or it is over: all were asked, or the router
 * ends, or nobody waits for it. */
void round_go_on(struct round *r);
/* All is known. */
void round_end(struct round *r);

#endif
