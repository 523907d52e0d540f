/* Buckets of lists under one mutex, which the house style wants argued: the order to kill must know
 * at once where its victim is, which lives on another worker, so neither a message nor a snapshot
 * will do. It is taken at the beginning and the end of a session, and for each order; never when a
 * session changes its connection, which is an atomic of its own. */
#include "model/thread_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/macros.h"
#include "base/mem.h"

#define BUCKETS   512
#define IDS_BEGIN 0x80000000U

/* thread_entry.at: the server, the thread and whether somebody has aimed at it. */
#define MARK         1U
#define THREAD_SHIFT 1
#define SERVER_SHIFT 33

struct thread_table {
    pthread_mutex_t mutex;
    uint64_t drawn; /* from a random number on */
    struct list buckets[BUCKETS];
};

struct thread_table *thread_table_new(void)
{
    struct thread_table *t = xcalloc(1, sizeof *t);
    pthread_mutex_init(&t->mutex, NULL);
    arc4random_buf(&t->drawn, sizeof t->drawn);
    for (size_t i = 0; i < BUCKETS; i++) {
        list_init(&t->buckets[i]);
    }
    return t;
}

void thread_table_free(struct thread_table *t)
{
    for (size_t i = 0; t != NULL && i < BUCKETS; i++) {
        assert(list_empty(&t->buckets[i]));
    }
    if (t != NULL) {
        pthread_mutex_destroy(&t->mutex);
        free(t);
    }
}

static struct thread_entry *find(const struct thread_table *t, uint32_t id)
{
    LIST_EACH(it, &t->buckets[id % BUCKETS])
    {
        struct thread_entry *e = container_of(it, struct thread_entry, node);
        if (e->id == id) {
            return e;
        }
    }
    return NULL;
}

static uint32_t draw(struct thread_table *t)
{
    return IDS_BEGIN | (uint32_t)hash_mix(t->drawn++);
}

void thread_table_add(struct thread_table *t, struct thread_entry *e)
{
    pthread_mutex_lock(&t->mutex);
    e->id = draw(t);
    while (find(t, e->id) != NULL) {
        e->id = draw(t);
    }
    list_append(&t->buckets[e->id % BUCKETS], &e->node);
    e->listed = true;
    pthread_mutex_unlock(&t->mutex);
}

void thread_table_remove(struct thread_table *t, struct thread_entry *e)
{
    if (!e->listed) {
        return;
    }
    pthread_mutex_lock(&t->mutex);
    list_remove(&e->node);
    pthread_mutex_unlock(&t->mutex);
    e->listed = false;
}

/* Where it is -------------------------------------------------------------------------------- */

static uint32_t thread_of(uint64_t at)
{
    return (uint32_t)(at >> THREAD_SHIFT);
}

void thread_entry_set(struct thread_entry *e, size_t server, uint32_t thread)
{
    uint64_t at = (uint64_t)server << SERVER_SHIFT | (uint64_t)thread << THREAD_SHIFT;
    atomic_store(&e->at, thread != 0 ? at : 0);
}

bool thread_entry_clear(struct thread_entry *e)
{
    return (atomic_exchange(&e->at, 0) & MARK) != 0;
}

bool thread_entry_leave(struct thread_entry *e)
{
    uint64_t at = atomic_load(&e->at);
    while ((at & MARK) == 0) {
        if (atomic_compare_exchange_weak(&e->at, &at, 0)) {
            return true;
        }
    }
    return false;
}

/* Aiming -------------------------------------------------------------------------------------- */

static bool mark(struct thread_entry *e, size_t server, uint32_t *thread)
{
    uint64_t at = atomic_load(&e->at);
    while (at != 0 && at >> SERVER_SHIFT == server) {
        if (atomic_compare_exchange_weak(&e->at, &at, at | MARK)) {
            *thread = thread_of(at);
            return true;
        }
    }
    return false;
}

bool thread_table_aim(struct thread_table *t, uint32_t id, size_t server, uint32_t *thread)
{
    pthread_mutex_lock(&t->mutex);
    struct thread_entry *e = find(t, id);
    bool found = e != NULL && mark(e, server, thread);
    pthread_mutex_unlock(&t->mutex);
    return found;
}
