/* 64 shards, each with a chained hash table over its slice of one array of entries and with a list
 * of those that have no session, the longest unused first. Links are indexes plus one; 0 is none.
 *
 * Each shard has a mutex, which the house style wants argued: an entry is a key, a count and a time
 * that must change together, and be found and evicted together, so neither a message (accept needs
 * the verdict now) nor one atomic will do. It is taken only on frontends that have a bound per
 * address, once when a session begins and once when it ends, for some dozen instructions, and by
 * workers that happen to serve the same 64th of the clients; never for relayed bytes. */
#include "model/client_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/sip_hash.h"

/* An address without a session is forgotten when about so many others have come since. What it did
 * counts for a second, so this is how many sessions a second a flood would have to begin. 3 MB. */
#define FLOOD_SLACK 65536

#define SHARDS        64
#define NS_PER_SECOND UINT64_C(1000000000)

struct entry {
    struct client_key key;
    uint64_t tat_ns; /* GCRA's theoretical arrival time: when its bucket is empty again */
    uint32_t frontend;
    uint32_t sessions;
    uint32_t chain; /* next in its bucket */
    uint32_t older; /* idle list; only without sessions */
    uint32_t newer;
    uint32_t bucket;
};

struct shard {
    _Alignas(CACHE_LINE) pthread_mutex_t mutex;
    struct entry *entries; /* a slice of the table's */
    uint32_t *buckets;     /* a slice of the table's */
    uint32_t used;         /* entries that were ever taken: the first ones */
    uint32_t oldest;       /* idle list */
    uint32_t newest;
};

struct client_table {
    struct shard shards[SHARDS];
    uint32_t entries_per_shard;
    uint32_t buckets_per_shard; /* a power of two */
    uint64_t seed[2];
    struct entry *entries; /* owned */
    uint32_t *buckets;     /* owned */
    void *block;           /* owned: what the table lies in */
};

/* Its parts fill unevenly, and the fullest one refuses first. */
size_t client_table_size(unsigned max_sessions)
{
    return (size_t)max_sessions * 2 + FLOOD_SLACK;
}

struct client_table *client_table_new(size_t capacity)
{
    /* Zeroed memory that is not touched is not resident, so the arrays are taken whole. */
    char *block = xcalloc(1, sizeof(struct client_table) + CACHE_LINE - 1);
    char *at = block + (CACHE_LINE - (uintptr_t)block % CACHE_LINE) % CACHE_LINE;
    struct client_table *t = (void *)at;
    size_t entries = capacity > 0 ? (capacity - 1) / SHARDS + 1 : 1;
    assert(entries < UINT32_MAX / 2);
    size_t buckets = 1;
    while (buckets < entries) {
        buckets *= 2;
    }
    t->block = block;
    t->entries_per_shard = (uint32_t)entries;
    t->buckets_per_shard = (uint32_t)buckets;
    t->entries = xcalloc(SHARDS * entries, sizeof(*t->entries));
    t->buckets = xcalloc(SHARDS * buckets, sizeof(*t->buckets));
    arc4random_buf(t->seed, sizeof(t->seed));
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&t->shards[i].mutex, NULL);
        t->shards[i].entries = t->entries + i * entries;
        t->shards[i].buckets = t->buckets + i * buckets;
    }
    return t;
}

void client_table_free(struct client_table *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&t->shards[i].mutex);
    }
    free(t->entries);
    free(t->buckets);
    free(t->block);
}

/* Clients choose their addresses, but not where they meet. */
static uint64_t hash(const struct client_table *t, size_t frontend, const struct client_key *key)
{
    const uint64_t words[] = {key->high, key->low, frontend};
    return sip_hash(t->seed, words, sizeof words);
}

static struct entry *at_link(struct shard *s, uint32_t link)
{
    return &s->entries[link - 1];
}

static uint32_t link_of(const struct shard *s, const struct entry *e)
{
    return (uint32_t)(e - s->entries) + 1;
}

static void idle_append(struct shard *s, struct entry *e)
{
    e->older = s->newest;
    e->newer = 0;
    *(s->newest != 0 ? &at_link(s, s->newest)->newer : &s->oldest) = link_of(s, e);
    s->newest = link_of(s, e);
}

static void idle_remove(struct shard *s, struct entry *e)
{
    *(e->older != 0 ? &at_link(s, e->older)->newer : &s->oldest) = e->newer;
    *(e->newer != 0 ? &at_link(s, e->newer)->older : &s->newest) = e->older;
}

static struct entry *find(struct shard *s, uint32_t bucket, size_t frontend,
                          const struct client_key *key)
{
    for (uint32_t link = s->buckets[bucket]; link != 0; link = at_link(s, link)->chain) {
        struct entry *e = at_link(s, link);
        if (e->key.high == key->high && e->key.low == key->low && e->frontend == frontend) {
            return e;
        }
    }
    return NULL;
}

static void unchain(struct shard *s, const struct entry *e)
{
    uint32_t *from = &s->buckets[e->bucket];
    while (*from != link_of(s, e)) {
        from = &at_link(s, *from)->chain;
    }
    *from = e->chain;
}

/* A new entry, idle. NULL if all have sessions. */
static struct entry *take(const struct client_table *t, struct shard *s, uint32_t bucket,
                          size_t frontend, const struct client_key *key)
{
    struct entry *e;
    if (s->used < t->entries_per_shard) {
        e = &s->entries[s->used++];
    } else if (s->oldest != 0) {
        e = at_link(s, s->oldest);
        idle_remove(s, e);
        unchain(s, e);
    } else {
        return NULL;
    }
    *e = (struct entry){
        .key = *key,
        .frontend = (uint32_t)frontend,
        .bucket = bucket,
        .chain = s->buckets[bucket],
    };
    s->buckets[bucket] = link_of(s, e);
    idle_append(s, e);
    return e;
}

/* GCRA: each session moves the time at which the bucket is empty by its share of a second; one
 * that would move it more than a second ahead comes too fast. */
static bool too_fast(const struct entry *e, unsigned rate, uint64_t now_ns, uint64_t *tat_ns)
{
    uint64_t from = e->tat_ns > now_ns ? e->tat_ns : now_ns;
    *tat_ns = from + NS_PER_SECOND / rate;
    return *tat_ns - now_ns > NS_PER_SECOND;
}

static enum client_verdict enter(struct shard *s, struct entry *e, unsigned max_sessions,
                                 unsigned rate, uint64_t now_ns)
{
    uint64_t tat_ns = e->tat_ns;
    if (max_sessions != 0 && e->sessions >= max_sessions) {
        return CLIENT_TOO_MANY;
    }
    bool refused = rate != 0 && too_fast(e, rate, now_ns, &tat_ns);
    if (e->sessions == 0) {
        idle_remove(s, e);
    }
    if (refused) {
        if (e->sessions == 0) {
            idle_append(s, e); /* now the newest: whoever keeps knocking is not forgotten */
        }
        return CLIENT_TOO_FAST;
    }
    e->tat_ns = tat_ns;
    e->sessions++;
    return CLIENT_ADMITTED;
}

enum client_verdict client_table_enter(struct client_table *t, size_t frontend,
                                       const struct client_key *key, unsigned max_sessions,
                                       unsigned rate, uint64_t now_ns)
{
    uint64_t h = hash(t, frontend, key);
    struct shard *s = &t->shards[h % SHARDS];
    uint32_t bucket = (uint32_t)(h / SHARDS) & (t->buckets_per_shard - 1);
    pthread_mutex_lock(&s->mutex);
    struct entry *e = find(s, bucket, frontend, key);
    if (e == NULL) {
        e = take(t, s, bucket, frontend, key);
    }
    enum client_verdict verdict =
        e != NULL ? enter(s, e, max_sessions, rate, now_ns) : CLIENT_TOO_MANY;
    pthread_mutex_unlock(&s->mutex);
    return verdict;
}

void client_table_leave(struct client_table *t, size_t frontend, const struct client_key *key)
{
    uint64_t h = hash(t, frontend, key);
    struct shard *s = &t->shards[h % SHARDS];
    uint32_t bucket = (uint32_t)(h / SHARDS) & (t->buckets_per_shard - 1);
    pthread_mutex_lock(&s->mutex);
    struct entry *e = find(s, bucket, frontend, key);
    assert(e != NULL && e->sessions > 0);
    if (--e->sessions == 0) {
        idle_append(s, e);
    }
    pthread_mutex_unlock(&s->mutex);
}
