/* A chained hash table over one array of entries, and all of them in a list by when they were last
 * used. Links are indexes plus one; 0 is none.
 *
 * The mutex, which the house style wants argued: a bucket is read, filled and evicted with what
 * belongs to it, and a login needs the verdict at once, so neither a message nor one atomic will
 * do. It is taken some four times a login, each for some dozen instructions, and never for
 * relayed bytes; a list is made for people, who do not ask often. */
#include "model/login_guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/sip_hash.h"

#define ENTRIES    4096 /* whoever has more addresses is not slowed by any of them */
#define BUCKETS    4096 /* a power of two */
#define USERS      32   /* of each address: those that succeeded last */
#define LATELY_MS  UINT64_C(3600000)
#define FAILURE_MS UINT64_C(1000) /* a bucket is emptied by one failure in that time */
#define BURST_MS   (10 * FAILURE_MS)
#define FULL_MS    (60 * FAILURE_MS)
#define STEEPNESS  4 /* a failure beyond the burst makes the next login wait so many times less */

/* Unfinished logins of an address: at most so many, and a part of the places. */
#define UNFINISHED_MAX  8
#define UNFINISHED_PART 4
#define LATE_WEIGHT     8 /* about as many seconds as it is waited for, see mysql_watch.c */

struct user {
    uint64_t hash;
    uint64_t good_ms;  /* its last success; meaningless if it is not known */
    uint64_t empty_ms; /* when its bucket is empty again */
    bool known;
};

struct entry {
    struct client_key key;
    uint64_t empty_ms; /* when the bucket of all other users is empty again */
    uint64_t failures[LOGIN_FAILURES];
    uint64_t slowed;
    uint64_t failed_ms; /* the last one */
    unsigned unfinished;
    struct user users[USERS];
    uint32_t bucket;
    uint32_t chain; /* next in its bucket */
    uint32_t older; /* by when they were used */
    uint32_t newer;
};

struct login_guard {
    pthread_mutex_t mutex;
    uint64_t seed[2];
    uint64_t failures[LOGIN_FAILURES];
    uint32_t used; /* entries that were ever taken: the first ones */
    uint32_t oldest;
    uint32_t newest;
    uint32_t buckets[BUCKETS];
    struct entry entries[ENTRIES]; /* zeroed memory that is not touched is not resident */
};

struct login_guard *login_guard_new(void)
{
    struct login_guard *g = xcalloc(1, sizeof *g);
    pthread_mutex_init(&g->mutex, NULL);
    arc4random_buf(g->seed, sizeof g->seed);
    return g;
}

void login_guard_free(struct login_guard *g)
{
    if (g != NULL) {
        pthread_mutex_destroy(&g->mutex);
        free(g);
    }
}

uint64_t login_guard_user(const struct login_guard *g, const void *name, size_t len)
{
    uint64_t h = sip_hash(g->seed, name, len);
    return h != LOGIN_GUARD_NOBODY ? h : 1;
}

/* Entries ----------------------------------------------------------------------------------- */

static struct entry *at_link(struct login_guard *g, uint32_t link)
{
    return &g->entries[link - 1];
}

static uint32_t link_of(const struct login_guard *g, const struct entry *e)
{
    return (uint32_t)(e - g->entries) + 1;
}

static void append(struct login_guard *g, struct entry *e)
{
    e->older = g->newest;
    e->newer = 0;
    *(g->newest != 0 ? &at_link(g, g->newest)->newer : &g->oldest) = link_of(g, e);
    g->newest = link_of(g, e);
}

static void take_out(struct login_guard *g, const struct entry *e)
{
    *(e->older != 0 ? &at_link(g, e->older)->newer : &g->oldest) = e->newer;
    *(e->newer != 0 ? &at_link(g, e->newer)->older : &g->newest) = e->older;
}

static void unchain(struct login_guard *g, const struct entry *e)
{
    uint32_t *from = &g->buckets[e->bucket];
    while (*from != link_of(g, e)) {
        from = &at_link(g, *from)->chain;
    }
    *from = e->chain;
}

static uint32_t bucket_of(const struct login_guard *g, const struct client_key *key)
{
    const uint64_t words[] = {key->high, key->low};
    return (uint32_t)sip_hash(g->seed, words, sizeof words) & (BUCKETS - 1);
}

static struct entry *find(struct login_guard *g, const struct client_key *key)
{
    uint32_t link = g->buckets[bucket_of(g, key)];
    for (; link != 0; link = at_link(g, link)->chain) {
        struct entry *e = at_link(g, link);
        if (e->key.high == key->high && e->key.low == key->low) {
            return e;
        }
    }
    return NULL;
}

/* The address's own, which may be new, as the last one to make room for another. */
static struct entry *use(struct login_guard *g, const struct client_key *key)
{
    struct entry *e = find(g, key);
    if (e != NULL) {
        take_out(g, e);
        append(g, e);
        return e;
    }
    if (g->used < ENTRIES) {
        e = &g->entries[g->used++];
    } else {
        e = at_link(g, g->oldest);
        take_out(g, e);
        unchain(g, e);
    }
    uint32_t bucket = bucket_of(g, key);
    *e = (struct entry){.key = *key, .bucket = bucket, .chain = g->buckets[bucket]};
    g->buckets[bucket] = link_of(g, e);
    append(g, e);
    return e;
}

/* Buckets ----------------------------------------------------------------------------------- */

static uint64_t level(uint64_t empty_ms, uint64_t now_ms)
{
    return empty_ms > now_ms ? empty_ms - now_ms : 0;
}

static uint64_t delay_of(uint64_t empty_ms, uint64_t now_ms)
{
    uint64_t have = level(empty_ms, now_ms);
    uint64_t delay = have > BURST_MS ? (have - BURST_MS) / STEEPNESS : 0;
    return delay < LOGIN_GUARD_DELAY_MAX_MS ? delay : LOGIN_GUARD_DELAY_MAX_MS;
}

static void fill(uint64_t *empty_ms, uint64_t now_ms, unsigned failures)
{
    uint64_t have = level(*empty_ms, now_ms) + failures * FAILURE_MS;
    *empty_ms = now_ms + (have < FULL_MS ? have : FULL_MS);
}

/* NULL: it is like any other that was never seen there. */
static struct user *find_user(struct entry *e, uint64_t user, uint64_t now_ms)
{
    for (size_t i = 0; i < USERS; i++) {
        struct user *u = &e->users[i];
        if (u->known && u->hash == user && now_ms < u->good_ms + LATELY_MS) {
            return u;
        }
    }
    return NULL;
}

/* In the place of the one that has not been there for the longest time. */
static struct user *new_user(struct entry *e, uint64_t user)
{
    struct user *oldest = &e->users[0];
    for (size_t i = 0; i < USERS; i++) {
        struct user *u = &e->users[i];
        bool same = u->known && u->hash == user;
        if (!u->known || same) {
            oldest = u;
            break;
        }
        oldest = u->good_ms < oldest->good_ms ? u : oldest;
    }
    *oldest = (struct user){.hash = user, .known = true};
    return oldest;
}

/* Logins ------------------------------------------------------------------------------------ */

uint64_t login_guard_delay(struct login_guard *g, const struct client_key *key, uint64_t user,
                           uint64_t now_ms)
{
    uint64_t delay = 0;
    pthread_mutex_lock(&g->mutex);
    struct entry *e = find(g, key);
    if (e != NULL) {
        const struct user *u = find_user(e, user, now_ms);
        delay = delay_of(u != NULL ? u->empty_ms : e->empty_ms, now_ms);
        e->slowed += delay > 0;
    }
    pthread_mutex_unlock(&g->mutex);
    return delay;
}

static unsigned most_unfinished(const struct entry *e, unsigned places, uint64_t now_ms)
{
    uint64_t have = level(e->empty_ms, now_ms);
    unsigned part = places > 0 ? places / UNFINISHED_PART : UNFINISHED_MAX;
    unsigned most = part < UNFINISHED_MAX ? part : UNFINISHED_MAX;
    most = have > BURST_MS ? 1 : have > 0 ? most / 4 : most;
    return most > 0 ? most : 1;
}

enum login_turn login_guard_enter(struct login_guard *g, const struct client_key *key,
                                  uint64_t user, unsigned places, uint64_t now_ms, bool again)
{
    enum login_turn turn = LOGIN_TURN_FREE;
    pthread_mutex_lock(&g->mutex);
    struct entry *e = use(g, key);
    if (find_user(e, user, now_ms) == NULL) {
        turn = e->unfinished < most_unfinished(e, places, now_ms) ? LOGIN_TURN_COUNTED
                                                                  : LOGIN_TURN_WAITS;
        e->unfinished += turn == LOGIN_TURN_COUNTED;
        e->slowed += turn == LOGIN_TURN_WAITS && !again;
    }
    pthread_mutex_unlock(&g->mutex);
    return turn;
}

/* The address may have made room for another one meanwhile. */
void login_guard_leave(struct login_guard *g, const struct client_key *key)
{
    pthread_mutex_lock(&g->mutex);
    struct entry *e = find(g, key);
    if (e != NULL && e->unfinished > 0) {
        e->unfinished--;
    }
    pthread_mutex_unlock(&g->mutex);
}

bool login_guard_has_failed(struct login_guard *g, const struct client_key *key, uint64_t user,
                            uint64_t now_ms)
{
    bool failed = false;
    pthread_mutex_lock(&g->mutex);
    struct entry *e = find(g, key);
    if (e != NULL) {
        const struct user *u = find_user(e, user, now_ms);
        failed = level(u != NULL ? u->empty_ms : e->empty_ms, now_ms) > 0;
    }
    pthread_mutex_unlock(&g->mutex);
    return failed;
}

void login_guard_failed(struct login_guard *g, const struct client_key *key, uint64_t user,
                        uint64_t now_ms, enum login_failure kind)
{
    pthread_mutex_lock(&g->mutex);
    struct entry *e = use(g, key);
    struct user *u = find_user(e, user, now_ms);
    e->failures[kind]++;
    g->failures[kind]++;
    e->failed_ms = now_ms;
    if (u != NULL) { /* an account of many clients, of which one stalls */
        fill(&u->empty_ms, now_ms, 1);
    } else {
        bool held = kind == LOGIN_FAILED_LATE && user != LOGIN_GUARD_NOBODY; /* a connection */
        fill(&e->empty_ms, now_ms, held ? LATE_WEIGHT : 1);
    }
    pthread_mutex_unlock(&g->mutex);
}

void login_guard_succeeded(struct login_guard *g, const struct client_key *key, uint64_t user,
                           uint64_t now_ms)
{
    pthread_mutex_lock(&g->mutex);
    struct entry *e = use(g, key);
    struct user *u = find_user(e, user, now_ms);
    if (u == NULL) {
        u = new_user(e, user);
    }
    u->good_ms = now_ms;
    u->empty_ms = u->empty_ms > FAILURE_MS ? u->empty_ms - FAILURE_MS : 0;
    pthread_mutex_unlock(&g->mutex);
}

/* For people -------------------------------------------------------------------------------- */

const char *const login_failure_words[LOGIN_FAILURES] = {
    [LOGIN_FAILED_LEFT] = "left",
    [LOGIN_FAILED_LATE] = "late",
    [LOGIN_FAILED_DENIED] = "denied",
    [LOGIN_FAILED_BROKEN] = "broken",
};

static uint64_t total(const uint64_t failures[LOGIN_FAILURES])
{
    uint64_t sum = 0;
    for (int i = 0; i < LOGIN_FAILURES; i++) {
        sum += failures[i];
    }
    return sum;
}

static struct login_guard_row row_of(const struct entry *e, uint64_t now_ms)
{
    struct login_guard_row row = {
        .key = e->key,
        .slowed = e->slowed,
        .ago_ms = now_ms > e->failed_ms ? now_ms - e->failed_ms : 0,
        .delay_ms = delay_of(e->empty_ms, now_ms),
    };
    for (int i = 0; i < LOGIN_FAILURES; i++) {
        row.failures[i] = e->failures[i];
    }
    return row;
}

/* Into its place among those that are there; the last one may fall out. */
static size_t insert(struct login_guard_row *rows, size_t count, size_t max,
                     const struct login_guard_row *row)
{
    size_t at = count;
    while (at > 0 && total(rows[at - 1].failures) < total(row->failures)) {
        at--;
    }
    if (at == max) {
        return count;
    }
    count = count < max ? count + 1 : max;
    for (size_t i = count - 1; i > at; i--) {
        rows[i] = rows[i - 1];
    }
    rows[at] = *row;
    return count;
}

size_t login_guard_list(struct login_guard *g, struct login_guard_row *rows, size_t max,
                        uint64_t now_ms)
{
    size_t count = 0;
    pthread_mutex_lock(&g->mutex);
    for (uint32_t i = 0; i < g->used; i++) {
        if (total(g->entries[i].failures) > 0) {
            struct login_guard_row row = row_of(&g->entries[i], now_ms);
            count = insert(rows, count, max, &row);
        }
    }
    pthread_mutex_unlock(&g->mutex);
    return count;
}

void login_guard_total(struct login_guard *g, struct login_guard_total *out, uint64_t now_ms)
{
    *out = (struct login_guard_total){0};
    if (g == NULL) {
        return;
    }
    pthread_mutex_lock(&g->mutex);
    memcpy(out->failures, g->failures, sizeof out->failures);
    for (uint32_t i = 0; i < g->used; i++) {
        const struct entry *e = &g->entries[i];
        out->addresses += total(e->failures) > 0 && now_ms < e->failed_ms + FULL_MS;
    }
    pthread_mutex_unlock(&g->mutex);
}
