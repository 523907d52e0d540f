/* Which replication history was branched off which: observed promotions, remembered because a full
 * resync erases them on the servers. Plain data; start from a zeroed struct. */
#ifndef ROUTER_MODEL_LINEAGE_H
#define ROUTER_MODEL_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/observation.h"

#define LINEAGE_EDGES 64

/* History `child` was branched off `parent` by a promotion, at offset `end` (the first one they do
 * not share). A history has one parent. */
struct lineage_edge {
    char child[REPLID_MAX];
    char parent[REPLID_MAX];
    int64_t end;
    uint64_t seen; /* stamp of the last observation that showed it */
    bool lost;     /* `child` lost an election, and so did whatever is branched off it later */
};

struct lineage_book {
    struct lineage_edge edges[LINEAGE_EDGES];
    size_t count;
};

/* How one history leads to another. */
struct lineage_path {
    int64_t end; /* first offset that is not shared along the whole way */
    bool lost;   /* the way leads through a history that lost an election */
};

/* Remembers what `l` says of its parent, if anything. Where the book is full, the edge that nobody
 * has shown for the longest time makes room. */
void lineage_learn(struct lineage_book *book, const struct lineage *l, uint64_t seen);

/* History `id` lost an election. */
void lineage_lose(struct lineage_book *book, const char *id);

/* True if `from` was branched off `to`, directly or over others. A history is not branched off
 * itself. `path` may be NULL. */
bool lineage_trace(const struct lineage_book *book, const char *from, const char *to,
                   struct lineage_path *path);

/* True if `a` was branched off `b`, or both off a third, and all that `b` has written lies in what
 * `a` has kept: whoever follows `a` loses nothing of `b`. False where it cannot be known. */
bool lineage_supersedes(const struct lineage_book *book, const struct lineage *a,
                        const struct lineage *b);

#endif
