/* A worker: one thread, one loop, the listeners and sessions on it. It owns all of them; nobody
 * else touches them. It hears from the control thread by worker_inbox and tells it by
 * control_inbox (model/messages.h). */
#ifndef ROUTER_CORE_WORKER_H
#define ROUTER_CORE_WORKER_H

#include "base/log.h"
#include "core/slow.h"
#include "model/cancel_table.h"
#include "model/client_table.h"
#include "model/messages.h"
#include "model/metrics.h"
#include "model/route.h"
#include "net/deadline.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tls_tickets.h"

struct account_shares;
struct login_guard;
struct thread_table;

#define WORKER_KEY_BYTES 32
#define ACCEPT_REST_MS   100 /* without descriptors */

struct worker_frontend {
    struct deadline_list idle;      /* sessions that relay, by idle_timeout */
    struct deadline_list handshake; /* those at the client's edge, by handshake_timeout */
    struct tls_context *tls;        /* ref: for the next handshake; NULL = in the clear */
    struct list turns;              /* of edges that wait to begin their handshake */
    struct list shaking;            /* of edges in theirs, the oldest first */
    unsigned shaking_count;
    unsigned shaking_max; /* this worker's share of max_handshakes */
    bool giving;          /* turns are being given */
    struct deadline turn_again;
};

struct worker_backend {
    struct deadline_list queue;   /* sessions that wait, by queue_timeout */
    struct deadline_list connect; /* sessions that connect, by connect_timeout */
    struct deadline_list login;   /* sessions whose client is to go on with its login */
    struct deadline_list half;    /* sessions of which one side has ended, by tcp_user_timeout */
    struct deadline_list drain;   /* sessions that must leave, by on_demotion */
    struct deadline_list link_connect; /* links of pools on their way, by connect_timeout */
    struct deadline_list link_idle;    /* those that nobody has, by pool_idle_timeout */
    struct deadline_list link_stall;   /* those that a client who does not read stops */
    struct deadline_list link_doom;    /* those to a server that is the primary no more */
    struct deadline_list retry;        /* when `held` are asked again, whatever happens */
    struct deadline again;
    struct deadline_list mysql_clean; /* idle ones that may hold what a client left */
    struct deadline_list mysql_idle;  /* idle ones, by pool_idle_timeout */
    struct deadline_list mysql_late;  /* those that are being cleaned */
    struct list mysql_greetless;      /* struct mysql_client.node: it is not known how to greet */
    struct list mysql_waiting;        /* the same: they stand in the queue */
    unsigned mysql_waiting_count;
    struct list held;        /* of struct pooled.held: clients that wait for a link */
    struct waiter *place;    /* lent to control: a link waits for a server that has room */
    bool kicked;             /* `held` are to be asked at the end of this turn */
    char *password;          /* owned: probe_password, or what its file says now; NULL = none */
    struct tls_context *tls; /* ref: for the next connect; NULL = in the clear */
    struct balance_state balance;
};

struct worker_server {
    struct list links;     /* of sessions: struct server_link.node */
    struct list finishers; /* struct finisher.node */
    unsigned finishing;
    struct tls_resume resume;      /* the last TLS session, to be resumed */
    struct list pools;             /* of struct pool.node */
    struct list pool_links;        /* of struct pool_link.node */
    struct list mysql_links;       /* struct mysql_link.node: all */
    struct list mysql_idle;        /* struct mysql_link.at */
    uint64_t mysql_killed_us;      /* all were closed by the operator for the last time */
    uint64_t mysql_gave_ms;        /* a place was left to another worker for the last time */
    unsigned mysql_abandoned;      /* of those, how many are in MYSQL_LINK_ABANDONED */
    struct list mysql_users;       /* struct mysql_user.node */
    struct mysql_limits *limits;   /* owned; NULL until it has told one */
    struct redis_catalog *catalog; /* owned; NULL until a link is opened */
    unsigned shared_links;         /* of those, how many are shared, or will be */
    unsigned places;               /* claimed for links that are not opened yet */
    bool catalog_asked;            /* the server was, by a link that is there */
    bool catalog_ready;            /* it has answered once */
    bool catalog_busy;             /* one question to it is under way */
    bool no_reset;                 /* it does not know RESET */
};

struct worker {
    struct loop loop;
    uv_thread_t thread;
    unsigned index;
    unsigned worker_count;
    const struct config *config; /* borrowed, like the next eight */
    struct shared *shared;
    struct client_table *clients;  /* NULL if no frontend limits by address */
    struct login_guard *guard;     /* never another one */
    struct thread_table *threads;  /* nor of this */
    struct account_shares *shares; /* the same */
    struct cancel_table *cancels;  /* NULL if no protocol has requests to cancel */
    struct mailbox *control;
    const struct control_inbox *tell;
    struct topology *topology;          /* ref */
    struct metrics metrics;             /* borrowed tables and slots */
    struct list listeners;              /* see core/listeners.h */
    struct worker_frontend **frontends; /* owned, by index; see core/parts.h */
    struct worker_backend **backends;
    struct worker_server **servers; /* by server id */
    size_t frontend_count;
    size_t backend_count;
    size_t server_count;
    struct list sessions;            /* all of them: struct session.node */
    struct list *listed;             /* among them: where a list of them goes on; NULL = nowhere */
    struct slow_list slow;           /* commands that took long */
    const struct list *links_listed; /* the same among the links of a server (pool_seen.c) */
    uint32_t link_listed;            /* the number of the last one that was */
    uint32_t link_numbers;           /* the last one that was given */
    uint32_t session_numbers;        /* the last one that was given */
    unsigned kills;    /* orders to end sessions that are being carried out (kill.c) */
    size_t waiters;    /* lent to control */
    unsigned refusing; /* sessions in SESSION_REFUSE */
    unsigned refusing_max;
    struct list cancelling; /* struct cancel.node */
    unsigned cancels_open;
    struct list pool_dirty;    /* struct pool_link.dirty */
    struct list touched;       /* struct pooled.touched */
    struct list pooled_gone;   /* struct pooled.held: freed at the end of the turn */
    struct list credentials;   /* struct credential.node */
    struct list mysql_touched; /* struct mysql_user.touched */
    size_t links;              /* struct pool_link, those too that are closing */
    bool kicked;               /* some worker_backend is */
    uint32_t turn_us;          /* of this turn of the loop, see pools_now_us() */
    bool turn_timed;           /* that is known */
    unsigned char credential_key[WORKER_KEY_BYTES];
    struct deadline_list tune;        /* server connections that turn out to last */
    struct deadline_list settle;      /* those of sessions that waited, until they are logged in */
    struct deadline_list refuse;      /* how long a refused client may take to read why */
    struct deadline_list finish;      /* logins that clients left behind */
    struct deadline_list finish_soon; /* the same, when the router is to end */
    struct deadline_list cancel;      /* requests to cancel */
    struct deadline_list mysql_give;  /* others wait for what may be spared later */
    struct deadline mysql_give_again;
    struct deadline_list mysql_slow; /* logins from where others have failed */
    bool mysql_waking;               /* core/mysql_slow.c: of those, some are being looked at */
    struct deadline_list mysql_abandoned; /* logins of pooled clients that have gone */
    struct deadline_list mysql_rest;  /* sessions in transaction mode, when the router is to end */
    struct deadline_list accept_rest; /* a listener without descriptors tries again */
    struct deadline accept_again;
    struct deadline_list turn; /* turns for handshakes, while somebody waits for one */
    struct deadline_list look; /* waiting clients that are not read are looked at */
    struct deadline look_again;
    bool stopping; /* told to end */
    bool stopped;  /* has said so */
    struct message_stop *stop;
    struct log_gate accept_gate;
    struct log_gate session_gate;
    struct log_gate finish_gate;
    struct log_gate edge_gate;
    struct log_gate connect_gate;
    struct tls_tickets tickets;
    bool tickets_begun; /* they have keys */
};

struct worker_setup {
    unsigned index;
    const struct config *config;
    struct shared *shared;
    struct client_table *clients;
    struct login_guard *guard;
    struct thread_table *threads;
    struct account_shares *shares;
    struct cancel_table *cancels;
    struct mailbox *control;
    const struct control_inbox *tell;
    struct topology *topology; /* borrowed; the worker takes its own reference */
    struct metrics metrics;    /* lent to the worker */
    unsigned refusing_max;
    unsigned worker_count; /* who share the caps on handshakes */
    /* Of each frontend, and each backend; the worker takes references of its own. */
    struct tls_context *const *frontend_tls;
    struct tls_context *const *backend_tls;
    const unsigned char *ticket_seed; /* TLS_SEED_BYTES, the same for all workers */
    uint64_t tickets_began_s;         /* tls_tickets_now(), the same for all workers */
};

extern const struct worker_inbox worker_inbox;

/* Prepares a worker that does not run yet. 0 or a UV_* code. */
int worker_init(struct worker *w, const struct worker_setup *setup);
/* Starts the thread. */
int worker_run(struct worker *w);
/* Waits for the thread's end and frees what the worker holds. Returns loop_release()'s verdict. */
int worker_join(struct worker *w);
/* Ends a worker that was initialised and never ran. */
void worker_abandon(struct worker *w);

/* For sessions: tells control that something about a server, or the whole backend, is in doubt. */
void worker_doubt(struct worker *w, size_t backend, size_t server);
/* It may have counted a broken handshake against our address. */
void worker_counted(struct worker *w, size_t backend, size_t server);
/* For sessions: a claimed place on a server is free again. */
void worker_release_place(struct worker *w, size_t backend, size_t server);
/* For sessions: a connection that was granted to a waiter is up, or given up. */
void worker_settled(struct worker *w, size_t backend, size_t server);
/* For sessions: the first bytes of a client go to a new primary. */
void worker_written(struct worker *w, size_t backend);
/* For sessions: one of them was freed, or a waiter came back. Ends a stopping worker. */
void worker_maybe_stop(struct worker *w);

#endif
