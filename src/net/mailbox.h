/* Messages to a thread from any other: a lock-free stack that the receiver takes whole and runs in
 * the order of posting. A uv_async is sent only when the stack was empty. */
#ifndef ROUTER_NET_MAILBOX_H
#define ROUTER_NET_MAILBOX_H

#include <stdatomic.h>
#include <uv.h>

#include "base/message.h"

struct mailbox {
    uv_async_t wake;
    _Atomic(struct message *) newest;
    void *receiver; /* handed to each message */
};

int mailbox_init(struct mailbox *m, uv_loop_t *loop, void *receiver);
/* Any thread; `message` is the receiver's from now on. */
void mailbox_post(struct mailbox *m, struct message *message);
/* Receiver's thread: runs what is there, then closes. */
void mailbox_close(struct mailbox *m);

#endif
