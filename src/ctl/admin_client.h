/* What admin.c and admin_room.c share: the admin address and its clients; nobody else includes it.
 */
#ifndef ROUTER_CTL_ADMIN_CLIENT_H
#define ROUTER_CTL_ADMIN_CLIENT_H

#include "base/list.h"
#include "ctl/admin.h"
#include "ctl/authorize.h"
#include "net/conn.h"
#include "net/deadline.h"
#include "net/listener.h"
#include "proto/http_request.h"

#define ADMIN_REQUEST_MS 10000 /* from the wish for a request to the last byte of its answer */

struct admin {
    struct control *control; /* borrowed */
    struct listener listener;
    bool watching;                 /* the listener is polled */
    uv_idle_t turn;                /* runs while `pending` is not empty */
    struct list pending;           /* of struct client.pending */
    struct list clients;           /* of struct client.node, also those that are closing */
    unsigned open;                 /* clients that are not closing */
    unsigned handles;              /* of libuv, until their close callbacks */
    struct deadline_list requests; /* CLIENT_READ, CLIENT_WRITE */
    struct deadline_list lingers;  /* CLIENT_LINGER */
    struct deadline_list rests;
    struct deadline rest; /* armed: no descriptors, the listener rests */
    struct deadline_list looks;
    struct deadline look; /* armed: no room, and nobody who can make some yet */
    size_t unsent;        /* bytes of answers that the kernel has not taken */
    struct authorizer authorizer;
    bool closing;
};

enum client_state {
    CLIENT_READ,   /* waits for a request */
    CLIENT_WRITE,  /* waits for the kernel to take the answer */
    CLIENT_LINGER, /* waits for the client to see the end and to close */
    CLIENT_CLOSED, /* waits for the close callback */
};

struct client {
    struct list node;    /* in admin.clients */
    struct list pending; /* in admin.pending: CLIENT_READ with a `rest` */
    struct admin *admin; /* borrowed */
    struct conn conn;
    struct address from;
    struct deadline deadline;
    enum client_state state;
    bool answered; /* at least once */
    bool trusted;  /* it has known the password */
    bool last;     /* CLIENT_WRITE: no request follows this answer */
    char *rest;    /* owned; bytes behind the request that is being answered, or NULL */
    size_t rest_at;
    size_t rest_len;
    size_t unsent;    /* CLIENT_WRITE: its part of admin.unsent */
    size_t discarded; /* CLIENT_LINGER */
    struct http_request request;
};

/* Who has been reading or writing for the longest time, but no shorter than `ms`; or NULL. */
struct client *admin_slowest(struct admin *a, enum client_state state, uint64_t ms);
/* Whose place another one may have; NULL = nobody's. */
struct client *admin_who_makes_room(struct admin *a);
/* Accepts or does not; called after everything that makes or takes room. */
void admin_watch(struct admin *a);

#endif
