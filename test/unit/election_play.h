/* A router in a generated world: what it has seen and decided, and the account that the test keeps
 * of it by itself, without the election's memory. */
#ifndef TEST_UNIT_ELECTION_PLAY_H
#define TEST_UNIT_ELECTION_PLAY_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/macros.h"
#include "election_fixture.h"
#include "election_world.h"

#define CLAIMS 4096

/* A claim as it was seen: who, in which process, of which history. */
struct claim_seen {
    size_t server;
    char identity[REPLID_MAX];
    char id[REPLID_MAX];
};

struct play {
    uint64_t seed;
    uint64_t random;
    size_t step;
    bool traced;
    struct world world;
    struct electorate electorate;
    struct verdict verdict;
    uint64_t asked[WORLD_SERVERS]; /* stamp of the question that is under way; 0 = none */
    bool acknowledged[WORLD_WRITES];
    struct data elected; /* all that the elected server has acknowledged, with what it had before */
    bool replicated[CLAIMS]; /* by number of the process: was seen with its link up */
    bool stepped_down;       /* the incumbent's last answer */
    struct claim_seen lost[CLAIMS];
    size_t lost_count;
};

static inline unsigned roll(struct play *p, unsigned sides)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return (unsigned)((p->random >> 11) % sides);
}

static inline void broken(const struct play *p, const char *promise)
{
    fail_msg("ELECTION_SEED=%" PRIu64 ", step %zu: %s: %s %d, %s", p->seed, p->step, promise,
             verdict_word(&p->verdict), p->verdict.primary, p->verdict.reason);
}

static inline void promise(const struct play *p, bool kept, const char *words)
{
    if (!kept) {
        broken(p, words);
    }
}

static inline const struct observation *seen(const struct play *p, int server)
{
    return &p->electorate.seen[p->electorate.place[server]];
}

static inline bool claims(const struct observation *o)
{
    return o->reach == REACH_ANSWERED && o->claim == CLAIM_PRIMARY && o->usable;
}

static inline bool was_lost(const struct play *p, int server)
{
    const struct observation *o = seen(p, server);
    for (size_t i = 0; i < p->lost_count; i++) {
        const struct claim_seen *c = &p->lost[i];
        if (c->server == (size_t)server && strcmp(c->identity, o->identity) == 0 &&
            strcmp(c->id, o->lineage.id) == 0) {
            return true;
        }
    }
    return false;
}

static inline size_t followers_of(const struct play *p, const char *id)
{
    size_t n = 0;
    for (size_t i = 0; i < p->world.count; i++) {
        const struct observation *o = seen(p, (int)i);
        n += o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA && o->link_up &&
             strcmp(o->lineage.id, id) == 0;
    }
    return n;
}

/* With ELECTION_SEED: what each election saw and said. */
static inline void trace(const struct play *p)
{
    static const char *const reaches[] = {"unasked", "", "silent", "refused", "denied"};
    print_message("%zu:", p->step);
    for (size_t i = 0; i < p->world.count; i++) {
        const struct observation *o = seen(p, (int)i);
        const struct lineage *l = &o->lineage;
        const char *role = claims(o) ? "MASTER" : o->link_up ? "replica" : "not ready";
        print_message(" | %zu %s", i, o->reach == REACH_ANSWERED ? role : reaches[o->reach]);
        if (o->reach == REACH_ANSWERED) {
            print_message(" %s %s:%" PRId64, o->identity, l->id, l->offset);
            print_message(l->previous_id[0] ? " of %s:%" PRId64 : "", l->previous_id,
                          l->previous_end);
        }
    }
    print_message("\n    %s %d: %s\n", verdict_word(&p->verdict), p->verdict.primary,
                  p->verdict.reason);
}

#endif
