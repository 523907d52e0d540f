/* The queues: who waits for a place on a server or for a primary, first come first served over all
 * workers. The control thread keeps them because then nobody needs a lock; it claims the place on
 * the waiter's behalf, so the count is right at every moment. */
#include "base/macros.h"
#include "ctl/control.h"
#include "net/mailbox.h"

static void dequeue(struct backend_control *b, struct waiter *w)
{
    struct shared_backend *shared = &b->control->shared->backends[b->config->index];
    list_remove(&w->node);
    w->queued = false;
    shared_release(&shared->waiting[w->request.route]);
    shared_release(&shared->waiting[ROUTE_AUTO]);
}

static void grant(struct backend_control *b, struct waiter *w, size_t server)
{
    w->server = server;
    dequeue(b, w);
    w->message.run = w->on_granted;
    mailbox_post(w->reply, &w->message);
}

void waiting_serve(struct backend_control *b)
{
    struct control *c = b->control;
    bool refused[ROUTE_COUNT] = {false};
    bool sticky = b->config->balance == BALANCE_IP_HASH; /* each waits for its own server */
    LIST_EACH(it, &b->waiters)
    {
        struct waiter *w = container_of(it, struct waiter, node);
        if (refused[w->request.route]) {
            continue;
        }
        size_t server;
        if (route_pick(c->published, c->shared, &b->balance, &w->request, &server) == ROUTE_FOUND) {
            grant(b, w, server);
        } else {
            refused[w->request.route] = !sticky;
        }
    }
}

void waiting_add(struct backend_control *b, struct waiter *w)
{
    w->queued = true;
    if (w->again) {
        list_prepend(&b->waiters, &w->node);
    } else {
        list_append(&b->waiters, &w->node);
    }
    waiting_serve(b);
}

void waiting_cancel(struct backend_control *b, struct waiter *w)
{
    if (w->queued) {
        dequeue(b, w);
    }
    w->cancel.run = w->on_cancelled;
    mailbox_post(w->reply, &w->cancel);
}
