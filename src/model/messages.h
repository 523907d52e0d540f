/* What workers and the control thread tell each other. Each struct begins with its base/message;
 * whoever runs the message owns it from then on, unless said otherwise. */
#ifndef ROUTER_MODEL_MESSAGES_H
#define ROUTER_MODEL_MESSAGES_H

#include "base/address.h"
#include "base/list.h"
#include "base/message.h"
#include "model/metrics.h"
#include "model/route.h"

struct cancel_table;
struct client_table;
struct mailbox;
struct account_share;
struct mysql_link;
struct tls_context;

#define TICKET_SEED_BYTES 32

/* What a thread runs when a message of a kind arrives. core/worker.c defines the one, ctl/control.c
 * the other, router.c introduces them to each other. */
struct worker_inbox {
    void (*topology)(struct message *m, void *worker); /* struct message_topology */
    void (*tls)(struct message *m, void *worker);      /* struct message_tls */
    void (*password)(struct message *m, void *worker); /* struct message_password */
    void (*spare)(struct message *m, void *worker);    /* struct message_spare */
    void (*ask)(struct message *m, void *worker);      /* struct message_ask */
    void (*gift)(struct message *m, void *worker);     /* struct message_gift */
    void (*kill)(struct message *m, void *worker);     /* struct message_kill */
    void (*beat)(struct message *m, void *worker);     /* struct message_beat */
    void (*sessions)(struct message *m, void *worker); /* struct message_sessions */
    void (*pool)(struct message *m, void *worker);     /* struct message_pool */
    void (*slow)(struct message *m, void *worker);     /* struct message_slow */
    void (*stop)(struct message *m, void *worker);     /* struct message_stop */
};

struct control_inbox {
    void (*ack)(struct message *m, void *control);     /* struct message_topology, come back */
    void (*doubt)(struct message *m, void *control);   /* struct message_doubt */
    void (*freed)(struct message *m, void *control);   /* struct message_freed */
    void (*wait)(struct message *m, void *control);    /* struct waiter, by .message */
    void (*cancel)(struct message *m, void *control);  /* struct waiter, by .cancel */
    void (*written)(struct message *m, void *control); /* struct message_written */
    void (*spare)(struct message *m, void *control);   /* struct message_spare */
    void (*ask)(struct message *m, void *control);     /* struct message_ask */
    void (*gift)(struct message *m, void *control);    /* struct message_gift */
    void (*stopped)(struct message *m, void *control); /* struct message_stop, come back */
};

/* control -> worker: close everything and end; nothing is posted to the worker after it but the
 * returns of its waiters. The message comes back as the worker's last one. */
struct message_stop {
    struct message message;
    unsigned worker;
};

/* control -> worker and back at once, as long as the worker's loop turns. Control's own. */
struct message_beat {
    struct message message;
    void (*back)(struct message *m, void *control);
    bool away; /* control's */
};

/* One of the sockets that a worker is to listen on. */
struct change_listener {
    unsigned bind; /* which address: a number that is never used again */
    size_t frontend;
    int fd; /* owned; -1 = the worker has it already */
};

/* Another configuration, for one worker. All pointers but `listeners`, `frontend_tls` and
 * `backend_tls` are lent until the worker has acknowledged a later one. */
struct change {
    const struct config *config;
    struct shared *shared;
    struct metrics metrics;
    struct client_table *clients;
    struct cancel_table *cancels;
    unsigned refusing_max;
    struct change_listener *listeners; /* owned: all that the worker is to listen on */
    size_t listener_count;
    struct tls_context **frontend_tls; /* owned, with a reference of each; NULL = in the clear */
    struct tls_context **backend_tls;  /* the same */
    /* For a worker whose tickets have no keys yet; the same for all of them. */
    unsigned char ticket_seed[TICKET_SEED_BYTES];
    uint64_t tickets_began_s;
};

/* control -> worker: route by this from now on; the message brings one reference. The worker closes
 * what it must and sends the same message back: nothing older than this generation is acted upon
 * there any more. */
struct message_topology {
    struct message message;
    struct topology *topology; /* NULL on the way back */
    struct change *change;     /* owned: another configuration with it; NULL = the same */
    unsigned worker;
    uint64_t generation;
};

/* control -> worker: a frontend's or a backend's certificates were read again. New sessions use
 * this context, which is one reference for the worker; those that live keep theirs. */
struct message_tls {
    struct message message;
    bool frontend;
    size_t index; /* of the frontend or the backend */
    struct tls_context *context;
};

/* control -> worker: probe_password of a backend is this from now on. */
struct message_password {
    struct message message;
    size_t backend;
    char *password; /* owned, and wiped by who frees it; NULL = none */
};

/* control -> worker: the operator ends one session, or all on one server that are there when the
 * message comes. It comes back when that is done, and says how many it were. */
#define MESSAGE_ONE_SESSION SIZE_MAX
struct message_kill {
    struct message message;
    void (*on_done)(struct message *m, void *control); /* run on the control thread */
    void *order;                                       /* control's */
    size_t server;                                     /* all on server_config.id, or ... */
    uint32_t number;                                   /* MESSAGE_ONE_SESSION: session.number */
    unsigned killed;
    uint32_t newest;      /* the worker's: the last session that is meant; valid once begun */
    uint32_t newest_link; /* the same of the pools' connections */
    bool begun;
};

/* A session as it is shown to people. */
struct session_row {
    uint64_t id;
    size_t frontend;
    size_t backend;
    size_t server;     /* in its backend; MESSAGE_ANY = none */
    const char *state; /* a constant word */
    enum route route;
    uint64_t age_ms;
    uint32_t queue_us;   /* it waited, all together */
    uint32_t connect_us; /* it connected, all together */
    uint64_t bytes_in;
    uint64_t bytes_out;
    unsigned retries;
    bool client_tls;
    bool server_tls;
    bool held; /* stands still until it is decided who may be written to; of a pool: it waits for
                * a server that can take its commands */
    bool pooled;
    unsigned pins; /* ... why it has a connection of its own: a bit for each reason */
    bool expires;  /* something ends it or moves it on after expires_ms */
    bool client_known;
    uint64_t expires_ms;
    struct address client; /* as a PROXY header says, or as it is connected */
};

/* control -> worker: list the next of your sessions, the first ones if it is the first message. It
 * comes back with some of them. One such message is under way at a time, to one of the workers. */
#define SESSION_ROWS 128
#define MESSAGE_ANY  SIZE_MAX
struct message_sessions {
    struct message message;
    void (*on_listed)(struct message *m, void *control); /* run on the control thread */
    uint64_t id;                                         /* only this session; 0 = any */
    size_t backend; /* only those in this backend, or MESSAGE_ANY */
    size_t server;  /* only those on this server of it, or MESSAGE_ANY */
    size_t room;    /* how many may be listed still; others are only counted */
    bool first;
    bool done;       /* those were the last ones */
    size_t left_out; /* sessions of this part that would have been listed */
    size_t count;
    struct session_row rows[SESSION_ROWS];
};

/* A server connection of a pool as it is shown to people. */
#define POOL_USER_MAX 64
#define POOL_PINS     18 /* reasons to have one of one's own, in the order of BACKEND_PINS_* */
struct pool_row {
    uint64_t id;
    size_t server; /* in its backend */
    bool mysql;
    uint32_t database; /* Redis, as the next one */
    uint8_t resp;
    uint32_t thread;          /* MySQL: the server's id of it, in SHOW PROCESSLIST */
    uint64_t leases;          /* ... how many clients were served on it */
    char user[POOL_USER_MAX]; /* who has logged in there; empty: nobody */
    const char *state;        /* constant words */
    const char *use;
    uint64_t age_ms;
    uint64_t commands; /* it was ever sent */
    uint32_t flying;   /* ... and has not answered */
    unsigned pins;     /* of the client that has it: a bit for each reason */
    uint64_t pinned_ms;
    uint64_t session;     /* that has it; 0 = none */
    struct address local; /* our end: what the server calls it by */
    bool local_known;
};

/* The same for the connections of a pool, all to one backend. */
#define POOL_ROWS 128
struct message_pool {
    struct message message;
    void (*on_listed)(struct message *m, void *control); /* run on the control thread */
    size_t backend;
    size_t room; /* how many may be listed still; others are only counted */
    bool first;
    bool done;                     /* those were the last ones */
    size_t at;                     /* the worker's: the server it is at */
    size_t left_out;               /* of this part */
    uint64_t oldest_ms[POOL_PINS]; /* of those that came so far: their age */
    size_t count;
    struct pool_row rows[POOL_ROWS];
};

/* A command that took its time: its name, no word of what it said. */
#define SLOW_KEPT     64 /* by each worker */
#define SLOW_NAME_MAX 33
struct slow_row {
    uint64_t at_ms; /* it was answered: loop time of the worker */
    uint64_t session;
    uint64_t request_bytes;
    uint64_t reply_bytes;
    size_t backend;
    size_t server; /* in its backend */
    uint32_t took_us;
    char name[SLOW_NAME_MAX];
};

/* control -> worker: tell the slowest commands, and maybe forget them. It comes back with them. */
struct message_slow {
    struct message message;
    void (*on_told)(struct message *m, void *control); /* run on the control thread */
    bool clear;
    uint64_t now_ms; /* the worker's loop time */
    size_t count;
    struct slow_row rows[SLOW_KEPT]; /* in no order */
};

/* worker -> control: look at this server (a connect failed) or at the whole backend (a role error
 * was seen in passing: server = MESSAGE_WHOLE_BACKEND). */
#define MESSAGE_WHOLE_BACKEND SIZE_MAX
struct message_doubt {
    struct message message;
    size_t backend;
    size_t server;
    bool counted; /* nothing but that (shared_server.counted) */
};

/* worker -> control: a place on a server was freed and somebody waits. */
struct message_freed {
    struct message message;
    size_t backend;
};

/* worker -> control: clients wait for a pooled connection, and all there may be are there.
 * control -> worker: close one of this backend that nobody uses, if nobody here waits for it.
 * of_account: a server lets that account in no more, and all of it that nobody uses are closed. */
struct message_spare {
    struct message message;
    size_t backend;
    bool of_account;
    size_t server; /* server_config.id */
    uint64_t account;
};

/* worker -> control -> another worker: sessions of this account wait for a connection, which may be
 * free there (core/mysql_move.h). */
struct message_ask {
    struct message message;
    unsigned worker;               /* who is asked */
    struct account_share *account; /* ref */
};

/* worker -> control -> another worker: one goes there, with its place. */
struct message_gift {
    struct message message;
    unsigned worker;               /* who gets it */
    size_t server;                 /* server_config.id */
    int fd;                        /* owned */
    struct mysql_link *link;       /* owned: what is known of it */
    struct account_share *account; /* ref */
    uint64_t given_us;             /* uv_hrtime() */
    /* Closes it, and frees the message, in place of a worker that is to end; its place at the
     * server is left to who calls. */
    void (*drop)(struct message_gift *gift);
};

/* worker -> control: a client's bytes went to the new primary (shared_backend.write_awaited). */
struct message_written {
    struct message message;
    size_t backend;
};

/* A client in a backend's queue. Made by the worker and posted to control by `message`, which comes
 * back when a server is granted. A client that gives up posts `cancel`, which always comes back,
 * after a grant that crossed it. The worker frees it at the grant, or at the return of `cancel` if
 * that was posted. Fields above the line are the worker's, below it control's once posted. */
struct waiter {
    struct message message;
    struct message cancel;
    struct session *session;                             /* NULL once the session has given up */
    struct mailbox *reply;                               /* the worker's mailbox */
    void (*on_granted)(struct message *m, void *worker); /* run on the worker */
    void (*on_cancelled)(struct message *m, void *worker);
    atomic_bool counted; /* in shared_backend.waiting: see waiter_uncount() */
    /* ---- */
    struct list node;  /* control's queue */
    int64_t turn;      /* who has the least is first */
    uint64_t since_ms; /* loop time */
    unsigned drill;    /* the backend's drill that it waits for; 0 = none */
    bool queued;
    bool again; /* it had a server already that did not take the connect: back to the head */
    struct route_request request;
    size_t server; /* granted: claimed for the waiter */
};

/* It waits no more: its places in shared_backend.waiting are given back once, by whoever knows
 * first, so that those who are served by their own worker are not counted until control hears. */
static inline void waiter_uncount(struct waiter *w, struct shared_backend *shared)
{
    if (atomic_exchange(&w->counted, false)) {
        shared_release(&shared->waiting[w->request.route]);
        shared_release(&shared->waiting[ROUTE_AUTO]);
    }
}

#endif
