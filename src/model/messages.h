/* What workers and the control thread tell each other. Each struct begins with its base/message;
 * whoever runs the message owns it from then on, unless said otherwise. */
#ifndef ROUTER_MODEL_MESSAGES_H
#define ROUTER_MODEL_MESSAGES_H

#include "base/list.h"
#include "base/message.h"
#include "model/route.h"

struct mailbox;

/* control -> worker: route by this from now on. The worker closes what it must, then sends an
 * acknowledgement. The message owns one reference. */
struct message_topology {
    struct message message;
    struct topology *topology;
};

/* worker -> control: nothing older than this generation is acted upon here any more. */
struct message_ack {
    struct message message;
    unsigned worker;
    uint64_t generation;
};

/* worker -> control: look at this server (a connect failed) or at the whole backend (a role error
 * was seen in passing: server = MESSAGE_WHOLE_BACKEND). */
#define MESSAGE_WHOLE_BACKEND SIZE_MAX
struct message_doubt {
    struct message message;
    size_t backend;
    size_t server;
};

/* worker -> control: a place on a server was freed and somebody waits. */
struct message_freed {
    struct message message;
    size_t backend;
};

enum wait_outcome {
    WAIT_GRANTED,   /* `server` is claimed for the waiter */
    WAIT_CANCELLED, /* the waiter had asked to leave */
};

/* A client in a backend's queue. Made by the worker, posted to control, which keeps it in the
 * queue and posts it back exactly once for `message`, and once more for `cancel` if that was
 * posted. The worker frees it after the last return. Fields above the line are the worker's,
 * below it control's once posted. */
struct waiter {
    struct message message;
    struct message cancel;
    struct session *session; /* worker's: NULL once the session has given up */
    bool cancelling;         /* worker's: cancel was posted */
    struct mailbox *reply;   /* the worker's mailbox */
    void (*on_reply)(struct message *m, void *worker);  /* runs on the worker, for `message` */
    void (*on_cancelled)(struct message *m, void *worker);
    /* ---- */
    struct list node; /* control's queue */
    bool queued;
    struct route_request request; /* tried points into tried_servers */
    uint16_t tried_servers[ROUTE_TRIED_MAX];
    size_t server; /* WAIT_GRANTED */
    enum wait_outcome outcome;
};

#endif
