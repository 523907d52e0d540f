/* A tiny Redis, several times: processes, replication histories and the writes in them, as far as
 * an election can see and lose them. Nothing happens by itself; the test calls the events.
 *
 * A write has a number and takes one offset. A server's data is the list of its writes, in order.
 */
#ifndef TEST_UNIT_ELECTION_WORLD_H
#define TEST_UNIT_ELECTION_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/observation.h"

#define WORLD_SERVERS 5
#define WORLD_WRITES  600

struct data {
    unsigned at[WORLD_WRITES];
    size_t len;
};

struct tiny_redis {
    bool alive;
    bool stopped; /* SIGSTOP */
    bool loading;
    bool denied; /* does not tell who it is */
    bool primary;
    size_t follows;
    bool link_up;
    unsigned process;
    struct lineage lineage;
    int64_t backlog_from; /* first offset that it can still send */
    struct data data;
    struct data saved; /* the RDB */
    struct lineage saved_lineage;
    bool held[WORLD_WRITES]; /* what it has had since it last replicated, whatever it has now */
};

struct world {
    size_t count;
    struct tiny_redis servers[WORLD_SERVERS];
    unsigned next; /* the next name of a process or a history */
    unsigned writes;
};

static inline void world_name(struct world *w, char *name)
{
    snprintf(name, REPLID_MAX, "%06u", ++w->next);
}

static inline bool data_has(const struct data *d, unsigned write)
{
    for (size_t i = 0; i < d->len; i++) {
        if (d->at[i] == write) {
            return true;
        }
    }
    return false;
}

static inline bool redis_runs(const struct tiny_redis *r)
{
    return r->alive && !r->stopped && !r->loading;
}

static inline void redis_append(struct tiny_redis *r, unsigned write)
{
    r->data.at[r->data.len++] = write;
    r->lineage.offset++;
    r->held[write] = true;
}

/* Takes a write, if it is a primary; returns its number, or WORLD_WRITES. */
static inline unsigned world_write(struct world *w, size_t i)
{
    struct tiny_redis *r = &w->servers[i];
    if (!redis_runs(r) || !r->primary || w->writes >= WORLD_WRITES) {
        return WORLD_WRITES;
    }
    redis_append(r, w->writes);
    return w->writes++;
}

static inline void world_drop_links_to(struct world *w, size_t i)
{
    for (size_t j = 0; j < w->count; j++) {
        if (w->servers[j].follows == i) {
            w->servers[j].link_up = false;
        }
    }
}

static inline void world_promote(struct world *w, size_t i)
{
    struct tiny_redis *r = &w->servers[i];
    if (!redis_runs(r) || r->primary) {
        return;
    }
    r->primary = true;
    r->link_up = false;
    memcpy(r->lineage.previous_id, r->lineage.id, REPLID_MAX);
    r->lineage.previous_end = r->lineage.offset + 1;
    world_name(w, r->lineage.id);
    world_drop_links_to(w, i);
}

/* True if `i` is `of`, or follows it, directly or over others. */
static inline bool world_is_behind(const struct world *w, size_t i, size_t of)
{
    for (size_t step = 0; step < w->count; step++) {
        if (i == of) {
            return true;
        }
        if (w->servers[i].primary) {
            return false;
        }
        i = w->servers[i].follows;
    }
    return true;
}

static inline void world_follow(struct world *w, size_t i, size_t whom)
{
    struct tiny_redis *r = &w->servers[i];
    if (!redis_runs(r) || world_is_behind(w, whom, i)) {
        return;
    }
    r->primary = false;
    r->follows = whom;
    r->link_up = false;
    world_drop_links_to(w, i);
}

static inline bool can_continue(const struct tiny_redis *r, const struct tiny_redis *from)
{
    int64_t at = r->lineage.offset;
    bool same = strcmp(r->lineage.id, from->lineage.id) == 0 && at <= from->lineage.offset;
    bool former = strcmp(r->lineage.id, from->lineage.previous_id) == 0 &&
                  at + 1 <= from->lineage.previous_end;
    return at >= from->backlog_from && (same || former);
}

/* PSYNC: goes on where it was, or takes everything anew. */
static inline void world_link(struct world *w, size_t i)
{
    struct tiny_redis *r = &w->servers[i];
    const struct tiny_redis *from = &w->servers[r->follows];
    if (!redis_runs(r) || r->primary || r->link_up || !redis_runs(from) ||
        !(from->primary || from->link_up)) {
        return;
    }
    r->link_up = true;
    if (!can_continue(r, from)) {
        r->data = from->data;
        r->lineage = (struct lineage){.previous_end = -1, .offset = from->lineage.offset};
        r->backlog_from = r->lineage.offset;
    } else if (strcmp(r->lineage.id, from->lineage.id) != 0) {
        memcpy(r->lineage.previous_id, r->lineage.id, REPLID_MAX);
        r->lineage.previous_end = r->lineage.offset + 1;
    }
    memcpy(r->lineage.id, from->lineage.id, REPLID_MAX);
    memset(r->held, 0, sizeof(r->held));
    for (size_t n = 0; n < r->data.len; n++) {
        r->held[r->data.at[n]] = true;
    }
}

/* Receives up to `most` writes. */
static inline void world_replicate(struct world *w, size_t i, size_t most)
{
    struct tiny_redis *r = &w->servers[i];
    const struct tiny_redis *from = &w->servers[r->follows];
    if (!redis_runs(r) || r->primary || !r->link_up || !redis_runs(from)) {
        return;
    }
    if (strcmp(r->lineage.id, from->lineage.id) != 0) {
        r->link_up = false;
        return;
    }
    for (; most > 0 && r->lineage.offset < from->lineage.offset; most--) {
        size_t behind = (size_t)(from->lineage.offset - r->lineage.offset);
        redis_append(r, from->data.at[from->data.len - behind]);
    }
}

static inline void world_save(struct world *w, size_t i)
{
    struct tiny_redis *r = &w->servers[i];
    if (redis_runs(r)) {
        r->saved = r->data;
        r->saved_lineage = r->lineage;
    }
}

static inline void world_crash(struct world *w, size_t i)
{
    struct tiny_redis *r = &w->servers[i];
    r->alive = false;
    r->stopped = false;
    r->link_up = false;
    world_drop_links_to(w, i);
}

enum disk { DISK_EMPTY, DISK_RDB, DISK_AOF };

/* Starts a dead server: with `replicaof` as it was, or without, which makes it a primary. */
static inline void world_restart(struct world *w, size_t i, enum disk disk, bool replicaof)
{
    struct tiny_redis *r = &w->servers[i];
    if (r->alive) {
        return;
    }
    bool replica = replicaof && !r->primary;
    r->alive = true;
    r->loading = true;
    r->primary = !replica;
    r->process = ++w->next;
    r->lineage = (struct lineage){.previous_end = -1};
    world_name(w, r->lineage.id);
    if (disk == DISK_EMPTY || (disk == DISK_RDB && r->saved_lineage.id[0] == '\0')) {
        r->data.len = 0;
    } else if (disk == DISK_RDB) {
        r->data = r->saved;
        r->lineage.offset = r->saved_lineage.offset;
        if (replica) {
            memcpy(r->lineage.id, r->saved_lineage.id, REPLID_MAX);
        } else {
            memcpy(r->lineage.previous_id, r->saved_lineage.id, REPLID_MAX);
            r->lineage.previous_end = r->lineage.offset + 1;
        }
    }
    r->backlog_from = r->lineage.offset;
}

/* `first` is the primary, all others follow it. */
static inline void world_init(struct world *w, size_t count, size_t first)
{
    *w = (struct world){.count = count};
    for (size_t i = 0; i < count; i++) {
        struct tiny_redis *r = &w->servers[i];
        r->alive = true;
        r->process = ++w->next;
        r->primary = i == first;
        r->follows = first;
        r->lineage.previous_end = -1;
        world_name(w, r->lineage.id);
    }
    for (size_t i = 0; i < count; i++) {
        world_link(w, i);
    }
}

/* What a probe of it sees now. */
static inline struct observation world_observe(const struct world *w, size_t i)
{
    const struct tiny_redis *r = &w->servers[i];
    struct observation o = {.reach = REACH_ANSWERED};
    if (!r->alive || r->stopped) {
        o.reach = r->alive ? REACH_SILENT : REACH_REFUSED;
        return o;
    }
    if (r->denied) {
        o.reach = REACH_DENIED;
        return o;
    }
    o.claim = r->primary ? CLAIM_PRIMARY : CLAIM_REPLICA;
    o.usable = r->primary && !r->loading;
    o.link_up = !r->primary && r->link_up;
    snprintf(o.identity, sizeof(o.identity), "%u", r->process);
    o.lineage = r->lineage;
    if (!r->primary) {
        snprintf(o.follows, sizeof(o.follows), "redis-%zu", r->follows);
    }
    return o;
}

#endif
