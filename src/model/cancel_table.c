/* A chained hash table with one mutex, which the house style wants argued: a request to cancel
 * arrives on any worker and wants its answer at once, while the session it names begins and ends on
 * another, so neither a message (to all workers, and back, for each) nor an atomic will do. It is
 * taken once when a session's login is over, once when it ends, and for each request to cancel; for
 * some dozen instructions, never for relayed bytes, and by no session of other protocols. */
#include "model/cancel_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct cancel_entry {
    struct cancel_entry *next; /* in its bucket */
    size_t backend;
    size_t server;
    size_t len;
    char key[];
};

struct bucket {
    struct cancel_entry *first;
};

struct cancel_table {
    pthread_mutex_t mutex;
    size_t count;
    size_t capacity;
    size_t mask;            /* buckets - 1 */
    struct bucket *buckets; /* owned */
};

struct cancel_table *cancel_table_new(size_t capacity)
{
    struct cancel_table *t = xcalloc(1, sizeof *t);
    size_t buckets = 1;
    while (buckets < capacity) {
        buckets *= 2;
    }
    pthread_mutex_init(&t->mutex, NULL);
    t->capacity = capacity;
    t->mask = buckets - 1;
    t->buckets = xcalloc(buckets, sizeof *t->buckets);
    return t;
}

void cancel_table_free(struct cancel_table *t)
{
    if (t == NULL) {
        return;
    }
    assert(t->count == 0);
    pthread_mutex_destroy(&t->mutex);
    free(t->buckets);
    free(t);
}

/* Servers choose the keys, at random, and clients only ask: no seed is needed. */
static struct bucket *bucket_of(const struct cancel_table *t, const void *key, size_t len)
{
    return &t->buckets[hash_bytes(key, len) & t->mask];
}

struct cancel_entry *cancel_table_add(struct cancel_table *t, size_t backend, size_t server,
                                      const void *key, size_t len)
{
    struct cancel_entry *e = malloc(sizeof *e + len);
    if (e == NULL) {
        return NULL;
    }
    *e = (struct cancel_entry){.backend = backend, .server = server, .len = len};
    memcpy(e->key, key, len);
    struct bucket *bucket = bucket_of(t, key, len);
    pthread_mutex_lock(&t->mutex);
    bool room = t->count < t->capacity;
    if (room) {
        t->count++;
        e->next = bucket->first;
        bucket->first = e;
    }
    pthread_mutex_unlock(&t->mutex);
    if (!room) {
        wipe(e->key, len);
        free(e);
    }
    return room ? e : NULL;
}

void cancel_table_remove(struct cancel_table *t, struct cancel_entry *entry)
{
    struct cancel_entry **at = &bucket_of(t, entry->key, entry->len)->first;
    pthread_mutex_lock(&t->mutex);
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    t->count--;
    pthread_mutex_unlock(&t->mutex);
    wipe(entry->key, entry->len);
    free(entry);
}

bool cancel_table_find(struct cancel_table *t, size_t backend, const void *key, size_t len,
                       size_t *server)
{
    const struct bucket *bucket = bucket_of(t, key, len);
    bool found = false;
    pthread_mutex_lock(&t->mutex);
    for (const struct cancel_entry *e = bucket->first; e != NULL && !found; e = e->next) {
        found = e->backend == backend && e->len == len && memcmp(e->key, key, len) == 0;
        *server = found ? e->server : *server;
    }
    pthread_mutex_unlock(&t->mutex);
    return found;
}
