/* A few servers as an election sees them, at places that a permutation chooses: servers are called
 * by their number here, and stand in the arrays wherever `place` puts them. */
#ifndef TEST_UNIT_ELECTION_FIXTURE_H
#define TEST_UNIT_ELECTION_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "model/election.h"

#define FIXTURE_SERVERS 6

struct electorate {
    size_t count;
    size_t place[FIXTURE_SERVERS]; /* of server i in the arrays below */
    char names[FIXTURE_SERVERS][32];
    struct server_config servers[FIXTURE_SERVERS];
    struct observation seen[FIXTURE_SERVERS];
    bool barred[FIXTURE_SERVERS]; /* by the server's number: the operator has taken it out */
    struct server_memory server_memory[FIXTURE_SERVERS];
    struct election_memory memory;
    struct election_input in;
    unsigned words[FIXTURE_SERVERS]; /* of an authority */
    unsigned promoting[FIXTURE_SERVERS];
    uint64_t stamp;
};

/* Server 0 is 10.0.0.1:3306. */
static inline void electorate_address(struct electorate *e, size_t at, size_t server)
{
    char text[64];
    snprintf(text, sizeof(text), "10.0.0.%zu:3306", server + 1);
    address_parse(&e->servers[at].address, text);
}

static inline void electorate_init(struct electorate *e, size_t count, const size_t *place)
{
    *e = (struct electorate){.count = count};
    for (size_t i = 0; i < count; i++) {
        size_t at = place ? place[i] : i;
        e->place[i] = at;
        snprintf(e->names[at], sizeof(e->names[at]), "redis-%zu", i);
        e->servers[at].name = e->names[at];
        e->servers[at].id = i;
        e->servers[at].rank = i;
        electorate_address(e, at, i);
    }
    e->memory = (struct election_memory){.incumbent = ELECTION_NOBODY};
    e->memory.servers = e->server_memory;
    e->in = (struct election_input){
        .servers = e->servers,
        .seen = e->seen,
        .count = count,
        .probe_fall = 2,
        .now_ms = 1000,
        .start_timeout_ms = 5000,
        .conflict_timeout_ms = 2000,
        .on_conflict = CONFLICT_KEEP,
    };
    e->in.authority.words = e->words;
    e->in.authority.promoting = e->promoting;
}

static inline struct observation *electorate_seen(struct electorate *e, size_t server)
{
    return &e->seen[e->place[server]];
}

/* The server that stands at a place of the arrays; ELECTION_NOBODY stays what it is. */
static inline int electorate_server_at(const struct electorate *e, int place)
{
    for (size_t i = 0; place >= 0 && i < e->count; i++) {
        if ((int)e->place[i] == place) {
            return (int)i;
        }
    }
    return ELECTION_NOBODY;
}

/* What a probe sees again replaces what it saw before; what counts its failures goes on. */
static inline void electorate_observe(struct electorate *e, size_t server, struct observation o)
{
    struct observation *old = electorate_seen(e, server);
    o.failures = o.reach == REACH_ANSWERED ? 0 : old->failures + 1;
    o.successes = o.reach == REACH_ANSWERED ? old->successes + 1 : 0;
    o.asked = ++e->stamp;
    o.answered = ++e->stamp;
    o.barred = e->barred[server];
    *old = o;
}

static inline void electorate_bar(struct electorate *e, size_t server, bool barred)
{
    e->barred[server] = barred;
    electorate_seen(e, server)->barred = barred;
}

/* Runs an election; the primary is given as the server's number, not as its place. */
static inline struct verdict electorate_run(struct electorate *e)
{
    struct verdict v;
    election_run(&e->in, &e->memory, &v);
    v.primary = electorate_server_at(e, v.primary);
    return v;
}

/* The same election on copies, by somebody whose servers stand elsewhere: place[i] for server i. */
static inline struct verdict electorate_run_elsewhere(const struct electorate *e,
                                                      const size_t *place)
{
    struct electorate other;
    electorate_init(&other, e->count, place);
    struct election_input in = e->in;
    in.servers = other.servers;
    in.seen = other.seen;
    in.authority.words = other.words;
    in.authority.promoting = other.promoting;
    other.in = in;
    other.memory = e->memory;
    other.memory.servers = other.server_memory;
    int incumbent = electorate_server_at(e, e->memory.incumbent);
    other.memory.incumbent = incumbent < 0 ? ELECTION_NOBODY : (int)place[incumbent];
    for (size_t i = 0; i < e->count; i++) {
        other.seen[place[i]] = e->seen[e->place[i]];
        other.server_memory[place[i]] = e->server_memory[e->place[i]];
        other.servers[place[i]].backup = e->servers[e->place[i]].backup;
        other.words[place[i]] = e->words[e->place[i]];
        other.promoting[place[i]] = e->promoting[e->place[i]];
    }
    return electorate_run(&other);
}

static inline int verdict_differs(const struct verdict *a, const struct verdict *b)
{
    return a->kind != b->kind || a->primary != b->primary || a->stale != b->stale ||
           a->settled != b->settled || strcmp(a->reason, b->reason) != 0;
}

static inline const char *verdict_word(const struct verdict *v)
{
    static const char *const words[] = {
        [VERDICT_NOBODY] = "nobody",
        [VERDICT_HOLD] = "hold",
        [VERDICT_CONTESTED] = "contested",
        [VERDICT_PRIMARY] = "primary",
    };
    return v->stale ? "stale" : words[v->kind];
}

#endif
