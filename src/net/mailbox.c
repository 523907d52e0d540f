#include "net/mailbox.h"

/* Takes the whole stack, turns it round into the order of posting, and runs it. A message may post
 * to this mailbox again: that is a new edge and a new wake-up. */
static void drain(struct mailbox *m)
{
    struct message *newest = atomic_exchange_explicit(&m->newest, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (newest != NULL) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct message *next = oldest->next;
        oldest->run(oldest, m->receiver);
        oldest = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    drain(wake->data);
}

int mailbox_init(struct mailbox *m, uv_loop_t *loop, void *receiver)
{
    *m = (struct mailbox){.receiver = receiver};
    int rc = uv_async_init(loop, &m->wake, on_wake);
    m->wake.data = m;
    return rc;
}

void mailbox_post(struct mailbox *m, struct message *message)
{
    struct message *newest = atomic_load_explicit(&m->newest, memory_order_relaxed);
    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&m->newest, &newest, message,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (newest == NULL) {
        uv_async_send(&m->wake);
    }
}

void mailbox_close(struct mailbox *m)
{
    drain(m);
    uv_close((uv_handle_t *)&m->wake, NULL);
}
