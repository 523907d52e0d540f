/* A connection to a MySQL server that is lent to one client after another. While it is lent it is
 * its session's struct server_link, so that fence, hold, drain and kill know nothing of pools.
 *
 *   CONNECT -> GREETING (-> SECURE) -> LENT <-> IDLE <-> CLEAN
 *                                       |----> ASK -> IDLE
 *                                       '----> ABANDONED
 * and from each to CLOSED.
 *
 * Its place at the server is claimed from before the connect to its close, also while it is idle.
 */
#ifndef ROUTER_CORE_MYSQL_LINK_H
#define ROUTER_CORE_MYSQL_LINK_H

#include "core/session.h"
#include "proto/mysql_handshake.h"
#include "proto/mysql_number.h"
#include "proto/mysql_prove.h"
#include "proto/mysql_reply.h"
#include "proto/mysql_state.h"
#include "proto/mysql_veil.h"

#define MYSQL_FLYING_MAX 16  /* commands under way of one client; it is not read beyond */
#define MYSQL_CLEAN_MS   100 /* what a client left behind is cleaned up after this, at the latest */
#define MYSQL_GIVE_MS    100 /* so often a worker leaves a place to others, while it needs it too */
#define MYSQL_USER_MAX   256
#define MYSQL_CHARSET    45 /* utf8mb4: of logins that are nobody's */

enum mysql_link_state {
    MYSQL_LINK_CONNECT,  /* waits for the server to take the connect */
    MYSQL_LINK_GREETING, /* waits for its greeting */
    MYSQL_LINK_SECURE,   /* waits for TLS */
    MYSQL_LINK_LENT,     /* its session logs in there, or uses it */
    MYSQL_LINK_IDLE,
    MYSQL_LINK_ASK,       /* waits for how often its account may be there (mysql_limits.h) */
    MYSQL_LINK_CLEAN,     /* waits for the answer to COM_RESET_CONNECTION */
    MYSQL_LINK_ABANDONED, /* its client went in the midst of a login, which has to come to an end */
    MYSQL_LINK_QUIT,      /* waits for the server to end it too: its place is taken until then */
    MYSQL_LINK_CLOSED,
};

/* A command that was sent. */
struct mysql_flight {
    uint8_t code; /* enum mysql_com */
    uint8_t kind; /* enum mysql_ours: whose it is */
};

struct mysql_link {
    struct server_link base; /* first: core/connect.c knows no more of it */
    struct worker *worker;
    size_t backend;
    struct list node; /* in worker_server.mysql_links: all of them, from MYSQL_LINK_GREETING on */
    struct list at;   /* in worker_server.mysql_idle, the one that came back last first */
    struct deadline deadline;
    struct deadline_list *timer; /* where that is armed */
    uint8_t state;               /* enum mysql_link_state */
    bool used;                   /* a client has been logged in there */
    bool dirty;                  /* that left something behind, as far as is known */
    bool urgent;                 /* a transaction is open there, and holds locks */
    bool writes;                 /* it was lent to who may only be on the primary */
    bool soft;                   /* its session does nothing: others of its account may have it */
    bool asking;                 /* what its trackers leave open is being asked */
    bool turn;                   /* who is next, see mysql_pool_take() */
    bool mariadb;
    bool moved;            /* another worker opened it */
    bool free;             /* it is counted in account.free */
    bool gives;            /* ... in shared_backend.giving: its place is for who waits */
    bool exposed;          /* somebody may have read an answer to its greeting's nonce */
    bool odd;              /* a client changed what no login takes back */
    bool tainted;          /* it cannot be told what the server says: it is not lent again */
    uint16_t seen_as;      /* core/mysql_seen.c's */
    uint32_t number;       /* of the worker's links: how it is known outside */
    uint32_t thread;       /* the server's id of this connection */
    uint64_t key;          /* with what it is logged in, mysql_caps_key() */
    uint32_t capabilities; /* of both sides */
    uint32_t extended;     /* the server's, of MariaDB */
    uint16_t charset;      /* with which TLS was asked for; 0: it was not */
    unsigned char nonce[MYSQL_NONCE]; /* of its greeting */
    uint8_t sequence;                 /* of our next packet in the login */
    uint64_t since_ms;
    uint64_t used_ms;
    uint64_t leases;
    uint64_t commands; /* it was ever sent */
    char *user;        /* owned: who is logged in there; NULL = nobody */
    size_t user_len;
    uint64_t user_hash; /* the same, as login_guard_user() calls it */
    struct mysql_number asked;
    struct mysql_inbox inbox;  /* packets of the login, and the answer to a reset */
    struct mysql_prove *prove; /* owned: of an abandoned login */
    struct mysql_flight flying[MYSQL_FLYING_MAX]; /* commands that are not answered, a ring */
    uint8_t first, count;
    struct mysql_reply reply;   /* to the first of them */
    struct mysql_user *account; /* counted in its `links`; NULL: not of transaction mode */
    struct mysql_veil *veil;    /* owned: NULL until a client needs it */
    struct mysql_state like;    /* what it is like while it has no session, see mysql_lease.h */
};

static inline struct mysql_link *mysql_link_of(struct session *s)
{
    return s->server != NULL ? container_of(s->server, struct mysql_link, base) : NULL;
}

/* For core/connect.c, in place of a plain server_link. NULL: out of memory. */
struct server_link *mysql_link_new(struct session *s);
/* The server has taken the connect: goes on until the login may begin (mysql_proof_begin). */
void mysql_link_connected(struct session *s);
void mysql_link_close(struct mysql_link *l); /* it is nobody's */
void mysql_link_leave(struct mysql_link *l); /* the same, but its account and its place stay */
/* The same, in due form, while nothing is under way there: servers count, and log, those that end
 * without a word. */
void mysql_link_quit(struct mysql_link *l);
void mysql_link_on_late(struct deadline *d);
/* Its session lets go of it: brought to the end of its login (`prove`: how far that is; NULL: it is
 * over, or has not begun), kept for the next one, or closed. */
void mysql_link_let_go(struct mysql_link *l, const struct mysql_prove *prove, bool keep);
void mysql_link_arm(struct mysql_link *l, struct deadline_list *list); /* NULL: disarm */
extern const struct conn_ops mysql_link_ops;

/* A command was sent. False: there are too many. */
bool mysql_link_fly(struct mysql_link *l, uint8_t code, uint8_t kind);
/* Something is under way on it that the next command has to wait for: a client's command, or a
 * question of ours about its state. */
bool mysql_link_is_asked(const struct mysql_link *l);
/* No command of a client is under way on it. */
bool mysql_link_is_ours(const struct mysql_link *l);
/* Bytes of a connection of transaction mode. */
void mysql_flights_data(struct mysql_link *l, const char *data, size_t len);

/* mysql_abandoned.c: its client has gone in the midst of the login, which is brought to its end in
 * its place. `prove`: how far it is; NULL: it has not begun. */
void mysql_abandoned_begin(struct mysql_link *l, const struct mysql_prove *prove);
void mysql_abandoned_log_in(struct mysql_link *l); /* the server has greeted */
void mysql_abandoned_answer(struct mysql_link *l); /* to the packet in its inbox */

/* mysql_pool.c */
/* Somebody waits to log in who could do so on it. */
bool mysql_pool_wants(const struct mysql_link *l);
void mysql_pool_clean(struct mysql_link *l);
/* One that is nobody's now: to who waits for one, or idle. */
void mysql_pool_take(struct mysql_link *l);
/* One that has come from another worker, for who waits. */
void mysql_pool_arrived(struct mysql_link *l);
/* Finds it a connection: an idle one, a new one, or the queue. */
void mysql_pool_route(struct session *s);
void mysql_pool_wait(struct session *s); /* it stands in the queue */
void mysql_pool_unwait(struct session *s);
void mysql_pool_on_clean(struct deadline *d);
void mysql_pool_on_idle(struct deadline *d);
void mysql_pool_on_give(struct deadline *d);
/* It may be lent to somebody, some time. */
bool mysql_pool_may_stay(const struct mysql_link *l);
/* Nobody new comes to this process, and those who are here do not need it. */
bool mysql_pool_is_left_over(const struct mysql_link *l);
/* The one that is idle for longest, if its account can do without; for others: if not as many are
 * being closed as wait. False: there is none. */
bool mysql_pool_close_one(struct worker_server *ws, bool for_others);

/* mysql_pool_change.c: as pools_*() of core/pool.h. */
void mysql_pool_reconsider(struct worker *w);
void mysql_pool_adopt(struct worker *w);
void mysql_pool_stop(struct worker *w);
void mysql_pool_spare(struct worker *w, size_t backend);
void mysql_pool_close_idle(struct worker *w, size_t server_id);
/* Those that are idle, and logged in as this account. */
void mysql_pool_close_account(struct worker *w, size_t server_id, uint64_t account);

#endif
