/* Server connections that clients share or borrow (pool_mode), of one worker. A link is one such
 * connection; it is prepared as an identity: a user, a database, a version of the protocol. A pool
 * is all links to one server with one identity.
 *
 *   CONNECT -> PREPARE -> READY <-> CLEAN, and from each to CLOSED
 *
 * A ready link is shared (commands of many clients, in turn), lent (to one client), or idle. What
 * is to be sent on it in one turn of the loop is gathered and leaves in one write. */
#ifndef ROUTER_CORE_POOL_H
#define ROUTER_CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "core/flights.h"
#include "net/conn.h"
#include "net/deadline.h"
#include "proto/redis_reply.h"

struct credential;
struct loop;
struct pooled;
struct server_config;
struct server_counters;
struct worker;
struct worker_server;

#define LINK_OUT_MAX   (256 * 1024) /* gathered, or queued: a link with more takes no commands */
#define LINK_CARRY_MAX (64 * 1024)  /* of a reply that must be whole before it is passed on */
#define LINK_STALL_MS  1000         /* a client that does not read may be in the way of others */
#define LINK_NOBODY_MS 1000         /* nobody's link is made as new again after this */
#define LINK_DOOM_MS   250          /* a server that lost its role may refuse what is in flight */
#define POOL_RETRY_MS  100          /* after a server said that it cannot now */
#define LINK_UNSEEN    UINT16_MAX
#define POOL_SHARED    2 /* pool_size = auto */

struct identity {
    struct credential *credential; /* ref; NULL = nobody */
    uint32_t database;
    uint8_t resp; /* 2 or 3 */
};

struct pool {
    struct list node; /* in worker_server.pools */
    struct worker *worker;
    size_t backend;
    size_t server; /* its index in the backend */
    struct identity identity;
    struct list shared; /* of struct pool_link.at */
    struct list idle;   /* the same, the one that came back last first */
    unsigned shared_count;
    unsigned clogged; /* of the shared ones, for a client that does not read */
    unsigned opening; /* links on their way */
    unsigned links;   /* all, those that are lent too */
    unsigned users;   /* clients that keep a pointer to it */
    unsigned waiting; /* of those, who are held */
    char *refusal;    /* owned: why a link could not be prepared, as the server said it; until those
                       * who wait have heard it */
};

enum link_state {
    LINK_CONNECT, /* waits for the server to take the connect, and for TLS */
    LINK_PREPARE, /* waits for answers to AUTH, HELLO, SELECT */
    LINK_READY,
    LINK_CLEAN, /* waits for the answer to RESET */
    LINK_CLOSED,
};

enum link_use { LINK_NEW, LINK_SHARED, LINK_LENT, LINK_IDLE };

/* What the router itself asks on a link. */
enum flight_step {
    STEP_LOGIN,
    STEP_HELLO,
    STEP_SELECT,
    STEP_COMMAND,
    STEP_INFO,
    STEP_RESET,
    STEP_TOUCH,
    STEP_SUBSCRIBE
};

struct pool_link {
    struct conn conn;
    struct worker *worker;
    struct pool *pool; /* counted in its `links` */
    const struct server_config *config;
    struct server_counters *counters;
    struct list node;      /* in worker_server.pool_links */
    struct list at;        /* in pool.shared or pool.idle */
    struct list dirty;     /* in worker.pool_dirty: something was gathered */
    struct pooled *lessee; /* of a lent one */
    struct flights flights;
    struct redis_reply reply; /* that is coming in */
    char *carry;              /* owned: of that reply, what nobody was given yet */
    char *out;                /* owned: gathered in this turn */
    size_t carry_len, carry_room;
    size_t out_len, out_room;
    struct pooled *clogged_by; /* does not read, so the link is not read */
    struct deadline deadline;
    struct deadline_list *timer; /* where that is armed */
    uint64_t since_ms;
    uint64_t checked_ms; /* of nobody's: when it was a new connection for the last time */
    uint64_t used_ms;
    uint64_t leases;
    uint64_t commands;
    uint32_t number;  /* of the worker's links, from 1 on: how it is known outside */
    uint16_t seen_as; /* enum server_metric: the gauge that counts it; LINK_UNSEEN = none yet */
    uint8_t state;    /* enum link_state */
    uint8_t use;      /* enum link_use */
    bool passed;      /* bytes of the reply that is coming in were passed on */
    bool raw;         /* all bytes pass unseen, until its end */
    bool named;       /* as its client, for that */
    bool secret;      /* a password is among what was gathered */
    bool writes;      /* clients that may only be on the primary use it, or did */
    bool reset_due;   /* nothing was left behind, as far as is known: RESET goes before the next
                       * command all the same */
    bool retiring;    /* it closes as soon as all on it is answered */
    bool doomed;      /* its server is no primary any more: only refusals count */
    bool tainted;     /* it is not certain that RESET brings it back */
    bool counted;     /* against pool_size, in shared_server.pooled */
    bool wanted_own;  /* it was opened for somebody who wants one alone */
};

/* Not by p->link alone: of a shared link that it has used, another may be the lessee by now. */
static inline bool link_is_lent_to(const struct pool_link *l, const struct pooled *p)
{
    return l->use == LINK_LENT && l->lessee == p;
}

enum pool_answer {
    POOL_READY,
    POOL_LATER,   /* the client waits, and is asked again (pooled_advance) */
    POOL_REFUSED, /* pool.refusal says why */
    POOL_NEVER,   /* the router cannot log in as this one: the client must, anew */
};

/* pool.c */
struct pool *pool_get(struct worker *w, size_t backend, size_t server, const struct identity *id);
void pool_leave(struct pool *p); /* a user gives its pointer up; NULL is fine */
void pool_maybe_free(struct pool *p);
enum pool_answer pool_share(struct pool *p, struct pool_link **link);
enum pool_answer pool_lend(struct pool *p, struct pooled *to, struct pool_link **link);
/* A ready link to this server on which this user may be judged again; NULL: none. */
struct pool_link *pool_find_login(struct worker *w, size_t backend, size_t server,
                                  const struct credential *c, uint8_t resp);
/* A shared link that is this identity and takes commands; NULL: none. */
struct pool_link *pool_find_ready(struct worker *w, size_t backend, size_t server,
                                  const struct identity *id);
/* The lent link is now this (AUTH or HELLO was accepted on it). */
bool pool_rename(struct pool_link *l, const struct identity *id);
/* A lent link comes back: `clean` says that it is as it was when it was lent. */
void pool_give_back(struct pool_link *l, bool clean);
/* A link has become ready, or idle: a place for it, and for those who wait. */
void pool_place(struct pool_link *l);
/* Those who wait in this backend are asked again, soon. */
void pool_kick(struct worker *w, size_t backend);
void pool_on_kick(struct deadline *d);
bool identity_is(const struct identity *a, const struct identity *b);

/* pool_open.c */
/* Opens one, if there may be one more; `counted` against pool_size. */
void pool_open_link(struct pool *p, bool own, bool counted);
bool pool_may_share_more(const struct pool *p);
bool pool_make_room(struct pool *p); /* a link of another identity that nobody uses is closed */
/* An idle link of the same user becomes one of this pool: else there would be as many as all
 * identities ever needed at once. False: there is none. */
bool pool_take_unused(struct pool *p, bool own);
enum pool_answer pool_do_without(struct pool *p);
void pool_ask_others(struct worker *w, size_t backend);

/* pool_prepare.c */
/* A question of the router's own; the first word is renamed as the server knows it. False: out of
 * memory. */
bool link_ask(struct pool_link *l, enum flight_step step, const char *const *words, size_t count);
/* Asks for what makes it `to`; `now` is what it is. False: out of memory. */
bool link_ask_steps(struct pool_link *l, const struct identity *now, const struct identity *to);
/* Changes database or protocol of an idle link of the same user. */
void link_prepare(struct pool_link *l, struct pool *to);
void link_clean(struct pool_link *l); /* RESET */
/* Whoever is nobody may do what a new connection may do now, and not what it could do once
 * (requirepass, the ACL of default): from time to time nobody's link becomes as a new one; `now`:
 * whatever the time. False: out of memory, it must go. */
bool link_renew_nobody(struct pool_link *l, bool now);
bool link_reset_first(struct pool_link *l); /* with the next command. False: out of memory */

/* pool_link.c */
struct pool_link *link_open(struct pool *p); /* its place is claimed; NULL: out of memory */
/* The next command on it; `bytes` of it are gathered. False: out of memory. */
bool link_send(struct pool_link *l, const char *bytes, size_t len);
struct flight *link_fly(struct pool_link *l, struct pooled *client);
/* This client does not read what comes on the link, so that is not read. */
void link_clog(struct pool_link *l, struct pooled *by);
void link_unclog(struct pool_link *l);
bool link_is_full(const struct pool_link *l);
void link_relieve(struct pool_link *l); /* it may not be any more: who waits for that goes on */
bool link_is_old(const struct pool_link *l); /* pool_max_age, and another can be opened */
void link_arm(struct pool_link *l, struct deadline_list *list);
void link_close(struct pool_link *l); /* nothing is in flight that matters */
/* It failed, or lost its server's role: what is in flight is told so. */
void link_lost(struct pool_link *l);
void link_unsend(struct pool_link *l); /* what was gathered does not leave any more */
void link_flush_all(struct worker *w);
void link_on_late(struct deadline *d);
void link_on_idle(struct deadline *d);
void link_on_stall(struct deadline *d);
void link_on_doom(struct deadline *d);
extern const struct conn_ops link_ops;

/* pool_replies.c */
void link_data(struct pool_link *l, const char *data, size_t len);

/* pool_change.c: what changes around the pools */
void pools_reconsider(struct worker *w);            /* a new topology is in force */
void pools_adopt(struct worker *w);                 /* a new configuration */
void pools_forget_server(struct worker_server *ws); /* another one has its slot */
void pools_stop(struct worker *w);                  /* nobody will need them */
void pools_spare(struct worker *w, size_t backend); /* others wait for what nobody uses here */
void pools_on_turn(struct loop *loop);
/* Nobody is to use it any more: it closes when what is in flight there is answered. */
void link_retire(struct pool_link *l);
/* uv_hrtime() in us, its low bits: looked at once in a turn. */
uint32_t pools_now_us(struct worker *w);

#endif
