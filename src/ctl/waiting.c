/* The queues: who waits for a place on a server or for a primary, first come first served over all
 * workers. The control thread keeps them because then nobody needs a lock; it claims the place on
 * the waiter's behalf, so the count is right at every moment. */
#include "base/macros.h"
#include "ctl/control.h"
#include "ctl/drill.h"
#include "net/mailbox.h"

static void dequeue(struct backend_control *b, struct waiter *w)
{
    struct shared_backend *shared = b->control->shared->backends[b->config->index];
    list_remove(&w->node);
    w->queued = false;
    drill_served(b, w);
    waiter_uncount(w, shared);
}

/* Many who waited for a primary do not fall upon it at once: a bound on those whose connection is
 * not up yet, or whose login is under way as far as that can be seen. A worker takes nobody for one
 * of them for longer than a few seconds, so that 32 who stall do not stop the queue. */
#define SETTLING_MAX 32

/* Claims what a grant needs: the server's place, and one of those that may settle at a time. */
static bool claim(struct backend_control *b, const struct waiter *w, size_t *server)
{
    struct control *c = b->control;
    if (route_pick(c->published, c->shared, &b->balance, &w->request, server) != ROUTE_FOUND) {
        return false;
    }
    struct shared_server *s = c->shared->servers[b->config->servers.items[*server].id];
    if (shared_claim(&s->settling, SETTLING_MAX)) {
        return true;
    }
    shared_release(&s->connections);
    return false;
}

static void grant(struct backend_control *b, struct waiter *w, size_t server)
{
    w->server = server;
    dequeue(b, w);
    w->message.run = w->on_granted;
    mailbox_post(w->reply, &w->message);
}

static struct waiter *of_node(struct list *node)
{
    return container_of(node, struct waiter, node);
}

/* The first who waits, over all routes but those that are refused; NULL if there is none. */
static struct waiter *first(struct backend_control *b, const bool *refused)
{
    struct waiter *best = NULL;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (refused[i] || list_empty(&b->waiters[i])) {
            continue;
        }
        struct waiter *w = of_node(b->waiters[i].next);
        best = best == NULL || w->turn < best->turn ? w : best;
    }
    return best;
}

/* With ip_hash each waits for its own server, so that nobody is behind somebody else for long;
 * first come first served holds within a route. */
static void serve_each(struct backend_control *b)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        LIST_EACH(it, &b->waiters[i])
        {
            size_t server;
            if (claim(b, of_node(it), &server)) {
                grant(b, of_node(it), server);
            }
        }
    }
}

void waiting_serve(struct backend_control *b)
{
    bool refused[ROUTE_COUNT] = {false};
    struct waiter *w;
    if (b->config->balance == BALANCE_IP_HASH) {
        serve_each(b);
        return;
    }
    while ((w = first(b, refused)) != NULL) {
        size_t server;
        if (claim(b, w, &server)) {
            grant(b, w, server);
        } else {
            refused[w->request.route] = true;
        }
    }
}

void waiting_add(struct backend_control *b, struct waiter *w)
{
    struct list *queue = &b->waiters[w->request.route];
    w->queued = true;
    if (w->again) {
        w->turn = --b->first_turn;
        list_prepend(queue, &w->node);
    } else {
        w->turn = ++b->last_turn;
        list_append(queue, &w->node);
    }
    w->since_ms = loop_now_ms(&b->control->loop);
    drill_waits(b, w);
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
