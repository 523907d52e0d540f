/* A book of edges, searched from the child upwards. Every walk is bounded by the size of the book,
 * so that nonsense from a server (a history that is its own ancestor) ends too. */
#include "model/lineage.h"

#include <string.h>

/* The place of history `child`; book->count if it is unknown. */
static size_t place_of(const struct lineage_book *book, const char *child)
{
    size_t i = 0;
    while (i < book->count && strcmp(book->edges[i].child, child) != 0) {
        i++;
    }
    return i;
}

static const struct lineage_edge *find(const struct lineage_book *book, const char *child)
{
    size_t i = place_of(book, child);
    return i < book->count ? &book->edges[i] : NULL;
}

/* A free place, or that of the edge which nobody has shown for the longest time. */
static struct lineage_edge *make_room(struct lineage_book *book)
{
    if (book->count < LINEAGE_EDGES) {
        return &book->edges[book->count++];
    }
    struct lineage_edge *oldest = &book->edges[0];
    for (size_t i = 1; i < LINEAGE_EDGES; i++) {
        if (book->edges[i].seen < oldest->seen) {
            oldest = &book->edges[i];
        }
    }
    return oldest;
}

void lineage_learn(struct lineage_book *book, const struct lineage *l, uint64_t seen)
{
    if (l->previous_id[0] == '\0' || l->previous_end < 1 || strcmp(l->id, l->previous_id) == 0) {
        return;
    }
    size_t known = place_of(book, l->id);
    if (known < book->count) {
        book->edges[known].seen = seen;
        return;
    }
    struct lineage_edge *e = make_room(book);
    *e = (struct lineage_edge){.end = l->previous_end, .seen = seen};
    memcpy(e->child, l->id, sizeof(e->child));
    memcpy(e->parent, l->previous_id, sizeof(e->parent));
}

void lineage_lose(struct lineage_book *book, const char *id)
{
    size_t i = place_of(book, id);
    if (i < book->count) {
        book->edges[i].lost = true;
    }
}

bool lineage_trace(const struct lineage_book *book, const char *from, const char *to,
                   struct lineage_path *path)
{
    struct lineage_path way = {.end = INT64_MAX};
    const struct lineage_edge *e = find(book, from);
    for (size_t step = 0; e && step < LINEAGE_EDGES; step++) {
        way.end = e->end < way.end ? e->end : way.end;
        way.lost |= e->lost;
        if (strcmp(e->parent, to) == 0) {
            if (path) {
                *path = way;
            }
            return true;
        }
        e = find(book, e->parent);
    }
    return false;
}

/* How far `l` is part of `ancestor`: its first offset that is not. 0 = not at all. */
static int64_t shared_end(const struct lineage_book *book, const struct lineage *l,
                          const char *ancestor)
{
    struct lineage_path path;
    if (strcmp(l->id, ancestor) == 0) {
        return INT64_MAX;
    }
    return lineage_trace(book, l->id, ancestor, &path) ? path.end : 0;
}

bool lineage_supersedes(const struct lineage_book *book, const struct lineage *a,
                        const struct lineage *b)
{
    /* Upwards from `a` to the nearest history that `b` is or comes from. `a` itself does not count:
     * what was branched off `a` is a later decision than `a`. Of two that were branched off the
     * same history, the later one has it all; at the same offset, neither is more than the other.
     */
    int64_t kept = INT64_MAX;
    const struct lineage_edge *e = find(book, a->id);
    if (shared_end(book, b, a->id) > 0) {
        return false;
    }
    for (size_t step = 0; e && step < LINEAGE_EDGES; step++) {
        kept = e->end < kept ? e->end : kept;
        int64_t common = shared_end(book, b, e->parent);
        if (common == INT64_MAX) {
            return b->offset < kept;
        }
        if (common > 0) {
            return b->offset < common && common < kept;
        }
        e = find(book, e->parent);
    }
    return false;
}
