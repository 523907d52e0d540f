/* Buckets of lists under one mutex, which the house style wants argued: workers have to mean the
 * same account when they name it, without a message there and back before a login may go on. It is
 * taken when an account comes to a worker and when it leaves it, not for what its sessions do. */
#include "model/account_shares.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/macros.h"
#include "base/mem.h"

#define BUCKETS 256

struct account_shares {
    pthread_mutex_t mutex;
    unsigned workers;
    struct list buckets[BUCKETS];
};

struct account_shares *account_shares_new(unsigned workers)
{
    struct account_shares *t = xcalloc(1, sizeof *t);
    pthread_mutex_init(&t->mutex, NULL);
    t->workers = workers;
    for (size_t i = 0; i < BUCKETS; i++) {
        list_init(&t->buckets[i]);
    }
    return t;
}

void account_shares_free(struct account_shares *t)
{
    for (size_t i = 0; t != NULL && i < BUCKETS; i++) {
        assert(list_empty(&t->buckets[i]));
    }
    if (t != NULL) {
        pthread_mutex_destroy(&t->mutex);
        free(t);
    }
}

static struct account_share *find(struct list *bucket, size_t server, uint64_t key,
                                  const char *user, size_t len)
{
    LIST_EACH(it, bucket)
    {
        struct account_share *a = container_of(it, struct account_share, node);
        if (a->server == server && a->key == key && a->user_len == len &&
            memcmp(a->user, user, len) == 0) {
            return a;
        }
    }
    return NULL;
}

static struct account_share *make(struct account_shares *t, size_t server, uint64_t key,
                                  const char *user, size_t len)
{
    size_t head = sizeof(struct account_share) + t->workers * sizeof(struct account_share_at);
    struct account_share *a = calloc(1, head + len + 1);
    if (a == NULL) {
        return NULL;
    }
    a->table = t;
    a->workers = t->workers;
    a->server = server;
    a->key = key;
    a->user = (char *)a + head;
    a->user_len = len;
    memcpy(a->user, user, len);
    return a;
}

struct account_share *account_share_get(struct account_shares *t, size_t server, uint64_t key,
                                        const char *user, size_t len)
{
    struct list *bucket = &t->buckets[hash_mix(hash_bytes(user, len) + key + server) % BUCKETS];
    pthread_mutex_lock(&t->mutex);
    struct account_share *a = find(bucket, server, key, user, len);
    if (a == NULL) {
        a = make(t, server, key, user, len);
        if (a != NULL) {
            list_append(bucket, &a->node);
        }
    }
    if (a != NULL) {
        a->refs++;
    }
    pthread_mutex_unlock(&t->mutex);
    return a;
}

struct account_share *account_share_ref(struct account_share *a)
{
    pthread_mutex_lock(&a->table->mutex);
    a->refs++;
    pthread_mutex_unlock(&a->table->mutex);
    return a;
}

void account_share_unref(struct account_share *a)
{
    struct account_shares *t = a->table;
    pthread_mutex_lock(&t->mutex);
    bool last = --a->refs == 0;
    if (last) {
        list_remove(&a->node);
    }
    pthread_mutex_unlock(&t->mutex);
    if (last) {
        free(a);
    }
}

/* What the others have ------------------------------------------------------------------------ */

bool account_share_first(const struct account_share *a, unsigned but, unsigned *worker,
                         uint64_t *since_ms)
{
    *since_ms = 0;
    for (unsigned i = 0; i < a->workers; i++) {
        uint64_t since = i != but ? atomic_load(&a->at[i].since_ms) : 0;
        if (since != 0 && (*since_ms == 0 || since < *since_ms)) {
            *since_ms = since;
            *worker = i;
        }
    }
    return *since_ms != 0;
}

void account_share_keep(struct account_share *a, unsigned worker)
{
    unsigned keeper = worker + 1;
    if (atomic_load(&a->at[worker].free) == 0) {
        atomic_compare_exchange_strong(&a->keeper, &keeper, 0);
    } else if (atomic_load(&a->keeper) == 0) {
        unsigned nobody = 0;
        atomic_compare_exchange_strong(&a->keeper, &nobody, keeper);
    }
}

void account_share_leave(struct account_share *a, unsigned worker)
{
    atomic_store(&a->at[worker].since_ms, 0);
    atomic_store(&a->at[worker].poor, false);
    atomic_store(&a->at[worker].free, 0);
    account_share_keep(a, worker);
}

bool account_share_keeps(const struct account_share *a, unsigned worker)
{
    return atomic_load(&a->keeper) == worker + 1;
}

bool account_share_is_kept(const struct account_share *a, unsigned but)
{
    unsigned keeper = atomic_load(&a->keeper);
    return keeper != 0 && keeper - 1 != but && atomic_load(&a->at[keeper - 1].free) > 0;
}

bool account_share_is_poor(const struct account_share *a, unsigned but)
{
    bool poor = false;
    for (unsigned i = 0; i < a->workers && !poor; i++) {
        poor = i != but && atomic_load(&a->at[i].poor);
    }
    return poor;
}
