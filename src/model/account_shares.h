/* The accounts of MySQL's pool_mode = transaction over all workers: what each of them has to know
 * of the others', whose connections may come to it (core/mysql_move.h).
 *
 * One is known as long as somebody has a reference: each worker where it has sessions or
 * connections, and what is on its way between them. Its numbers change without a lock. */
#ifndef ROUTER_MODEL_ACCOUNT_SHARES_H
#define ROUTER_MODEL_ACCOUNT_SHARES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct account_shares;

/* Of one worker. Only that one writes it, but for `since_ms`, which who sends it a connection sets
 * to 0. */
struct account_share_at {
    _Atomic uint64_t since_ms; /* the first of its sessions that waits for a connection does so
                                * since then (loop time); 0: none does, or one is on its way */
    atomic_uint free;          /* connections that another worker could have */
    atomic_bool poor;          /* sessions there have none of their own, and none is free */
};

struct account_share {
    struct list node;
    struct account_shares *table;
    unsigned refs; /* under the table's mutex */
    size_t server; /* server_config.id */
    uint64_t key;  /* how both sides speak */
    size_t user_len;
    char *user;           /* behind `at` */
    atomic_uint sessions; /* of all workers */
    atomic_uint links;    /* of all workers, and those on their way */
    atomic_uint keeper;   /* 1 + the worker that does not give up its last one that is free, so that
                           * others may; 0: none, so each keeps one for its own sessions */
    unsigned workers;
    struct account_share_at at[];
};

struct account_shares *account_shares_new(unsigned workers);
void account_shares_free(struct account_shares *t); /* must be empty; NULL is fine */

/* Any thread. A reference to this one; NULL: out of memory. */
struct account_share *account_share_get(struct account_shares *t, size_t server, uint64_t key,
                                        const char *user, size_t len);
struct account_share *account_share_ref(struct account_share *a);
void account_share_unref(struct account_share *a);

/* Who waits longest of the other workers; false: nobody. */
bool account_share_first(const struct account_share *a, unsigned but, unsigned *worker,
                         uint64_t *since_ms);
/* A worker has nothing of it any more. */
void account_share_leave(struct account_share *a, unsigned worker);
/* A worker has shown what is free there: it keeps one for all if nobody does, as long as it can. */
void account_share_keep(struct account_share *a, unsigned worker);
bool account_share_keeps(const struct account_share *a, unsigned worker);
/* Another one does. */
bool account_share_is_kept(const struct account_share *a, unsigned but);
/* Sessions of other workers depend on what is free anywhere. */
bool account_share_is_poor(const struct account_share *a, unsigned but);

#endif
