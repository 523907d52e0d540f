/* What threads hand each other: a piece of memory with a function to run on the receiver's thread.
 * Embed it in the struct that carries the content; run() owns it from then on. Delivery is by
 * net/mailbox. */
#ifndef ROUTER_BASE_MESSAGE_H
#define ROUTER_BASE_MESSAGE_H

struct message {
    struct message *next; /* used by the mailbox while it is under way */
    void (*run)(struct message *m, void *receiver);
};

#endif
