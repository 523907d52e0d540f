/* Elections of all families over observations that are drawn at random, sense or nonsense: whatever
 * servers and authorities say, in whatever order, the promises below hold. A failure prints the
 * seed: ELECTION_SEED=<seed> plays that one alone. (Generated worlds in which servers behave like
 * servers are in test_election_generated.c.) */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "base/macros.h"
#include "election_family.h"
#include "election_fixture.h"
#include "model/ballot.h"

#define PLAYS   1600
#define STEPS   120
#define SERVERS 5

enum family { MARIADB, MYSQL, POSTGRES, GROUP, GALERA, REDIS, MIXED, FAMILIES };

struct draw {
    uint64_t seed;
    uint64_t random;
    size_t step;
    enum family family;
    struct electorate e;
    struct verdict v;
    unsigned numbers[SERVERS + 1]; /* transactions that each has written, last seen */
};

static const char *const family_names[] = {"mariadb", "mysql", "postgres", "group",
                                           "galera",  "redis", "mixed"};

/* How often each family elected, changed its primary, and unseated one that held. */
static size_t elected[FAMILIES];
static size_t changed[FAMILIES];
static size_t unseated[FAMILIES];
static size_t unseen[FAMILIES]; /* changed, and nobody saw the promotion */

static unsigned roll(struct draw *d, unsigned sides)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return (unsigned)((d->random >> 11) % sides);
}

static void differ(const struct draw *d, const char *why, const struct verdict *other)
{
    fail_msg("ELECTION_SEED=%" PRIu64 ", step %zu, %s: %s:\n%s %d, %s\n%s %d, %s", d->seed, d->step,
             family_names[d->family], why, verdict_word(&d->v), d->v.primary, d->v.reason,
             verdict_word(other), other->primary, other->reason);
}

static void promise(const struct draw *d, bool kept, const char *words)
{
    if (!kept) {
        fail_msg("ELECTION_SEED=%" PRIu64 ", step %zu, %s: %s: %s %d, %s", d->seed, d->step,
                 family_names[d->family], words, verdict_word(&d->v), d->v.primary, d->v.reason);
    }
}

/* ---- what is seen ---- */

/* Each server's own numbers only grow; which of the others' it has is chance. */
static void draw_gtids(struct draw *d, struct observation *o, size_t server)
{
    char text[256];
    size_t len = 0;
    d->numbers[server] += roll(d, 3) == 0;
    for (size_t i = 0; i < d->e.count; i++) {
        unsigned has = i == server || roll(d, 4) > 0 ? d->numbers[i] : roll(d, d->numbers[i] + 1);
        if (has > 0) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s0-%zu-%u", len ? "," : "", i,
                                    has);
        }
    }
    assert_true(gtid_parse_mariadb(&o->gtids, text, len));
}

static void draw_channel(struct draw *d, struct observation *o, size_t server)
{
    struct channel *c = &o->channels[0];
    /* Most of them follow the same server for a while. */
    bool crowd = roll(d, 3) > 0;
    size_t of = crowd ? d->step / 16 % d->e.count : roll(d, (unsigned)d->e.count + 1);
    of = of == server ? (of + 1) % d->e.count : of; /* the one behind the last is an outsider */
    if (roll(d, 8) > 0) {
        snprintf(c->source_id, sizeof(c->source_id), "id-%zu", of);
    }
    snprintf(c->source, sizeof(c->source), roll(d, 5) ? "10.0.0.%zu:3306" : "db-%zu:3306", of + 1);
    c->running = roll(d, 5) > 0;
    o->channel_count = 1;
}

static void draw_source(struct draw *d, struct observation *o, size_t server, enum family family)
{
    o->part = PART_SOURCE;
    o->position = -1;
    bool replica = roll(d, 5) < 3;
    if (replica) {
        draw_channel(d, o, server);
    }
    o->writable = family == POSTGRES ? !replica : roll(d, replica ? 3 : 6) > 0;
    if (family == MARIADB) {
        draw_gtids(d, o, server);
    } else if (family == POSTGRES) {
        o->position = 1 + roll(d, 40);
        o->term = roll(d, 4);
        snprintf(o->group, sizeof(o->group), "%s", roll(d, 12) ? "s" : "x");
    }
    if (family == POSTGRES || roll(d, 20) == 0) {
        o->id[0] = '\0';
    }
}

static void draw_member(struct draw *d, struct observation *o, enum part part)
{
    static const enum claim claims[] = {CLAIM_NONE, CLAIM_REPLICA, CLAIM_REPLICA, CLAIM_PRIMARY};
    o->part = part;
    o->claim = claims[roll(d, 4)];
    o->claim = part == PART_GALERA && roll(d, 2) ? CLAIM_PRIMARY : o->claim;
    o->usable = o->claim == CLAIM_PRIMARY && roll(d, 8) > 0;
    o->link_up = part == PART_GROUP && o->claim == CLAIM_REPLICA;
    o->term = roll(d, 4);
    snprintf(o->group, sizeof(o->group), "%s", roll(d, 6) ? "g" : "h");
}

/* Two servers never write one history: that much sense there must be. */
static void draw_redis(struct draw *d, struct observation *o, size_t server)
{
    o->claim = roll(d, 2) ? CLAIM_PRIMARY : CLAIM_REPLICA;
    o->usable = o->claim == CLAIM_PRIMARY && roll(d, 8) > 0;
    o->link_up = o->claim == CLAIM_REPLICA && roll(d, 4) > 0;
    o->lineage = (struct lineage){.previous_end = -1, .offset = roll(d, 30)};
    snprintf(o->lineage.id, sizeof(o->lineage.id), "h%zu.%u",
             o->claim == CLAIM_PRIMARY ? server : roll(d, 5), roll(d, 2));
    if (roll(d, 2)) {
        snprintf(o->lineage.previous_id, sizeof(o->lineage.previous_id), "h%u.%u", roll(d, 5),
                 roll(d, 2));
        o->lineage.previous_end = 1 + roll(d, 30);
    }
}

static struct observation draw_observation(struct draw *d, size_t server)
{
    static const enum reach reaches[] = {REACH_SILENT, REACH_REFUSED, REACH_DENIED};
    struct observation o = {.reach = REACH_ANSWERED, .behind_ms = -1};
    if (roll(d, 5) == 0) {
        o.reach = reaches[roll(d, 3)];
        return o;
    }
    snprintf(o.identity, sizeof(o.identity), "%zu.%u", server, roll(d, 12) / 10);
    snprintf(o.id, sizeof(o.id), "id-%zu", server);
    static const enum family mix[] = {MARIADB, MYSQL, GROUP, GALERA};
    enum family family = d->family == MIXED ? mix[roll(d, 4)] : d->family;
    if (family == GROUP || family == GALERA) {
        draw_member(d, &o, family == GROUP ? PART_GROUP : PART_GALERA);
    } else if (family == REDIS) {
        draw_redis(d, &o, server);
    } else {
        draw_source(d, &o, server, family);
    }
    o.probation = roll(d, 20) == 0;
    return o;
}

static void draw_words(struct draw *d)
{
    struct authority *a = &d->e.in.authority;
    unsigned left = a->total;
    a->heard = roll(d, 4) ? a->total : roll(d, a->total + 1);
    memset(d->e.words, 0, sizeof(d->e.words));
    for (; left > 0; left--) {
        d->e.words[roll(d, (unsigned)d->e.count)] += roll(d, 4) > 0;
    }
    memset(d->e.promoting, 0, sizeof(d->e.promoting));
    d->e.promoting[roll(d, (unsigned)d->e.count)] = roll(d, 3) == 0;
}

/* ---- what each verdict promises ---- */

static bool claims(const struct observation *o)
{
    return o->reach == REACH_ANSWERED && o->claim == CLAIM_PRIMARY && o->usable;
}

static void check_form(const struct draw *d)
{
    const struct verdict *v = &d->v;
    promise(d, (v->kind == VERDICT_NOBODY) == (v->primary == ELECTION_NOBODY), "an odd verdict");
    promise(d, v->reason[0] != '\0' && memchr(v->reason, 0, sizeof(v->reason)), "no reason");
    if (v->primary == ELECTION_NOBODY) {
        return;
    }
    const struct observation *o = &d->e.seen[d->e.place[v->primary]];
    promise(d, !(o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA),
            "a server that says replica is treated as the primary");
    if (v->kind == VERDICT_PRIMARY) {
        promise(d, v->stale ? o->reach == REACH_DENIED : claims(o),
                "a primary that does not claim");
        promise(d, !o->barred, "a primary that the operator has taken out");
    }
}

/* The same set and more, or more votes: nothing else unseats one that goes on claiming. */
static void check_unseated(struct draw *d, size_t winner, size_t old)
{
    const struct electorate *e = &d->e;
    const struct observation *new = &e->seen[winner];
    const struct observation *had = &e->seen[old];
    struct ballot b = ballot_open(&e->in, &e->memory);
    size_t votes = ballot_votes(&b, new->lineage.id);
    bool followed = votes > ballot_votes(&b, had->lineage.id);
    bool contains =
        gtid_contains(&new->gtids, &had->gtids) && gtid_missing(&new->gtids, &had->gtids) > 0;
    /* What the operator has taken out is not asked for what it has for ever. */
    bool word = had->barred && e->in.on_conflict == CONFLICT_KEEP;
    unseated[d->family]++;
    if (d->family == MARIADB) {
        promise(d, contains || followed || word, "unseated by one that lacks a transaction");
    } else if (d->family == MYSQL) {
        promise(d, followed || word, "unseated, and nothing is known of who has what");
    } else if (d->family == GROUP) {
        promise(d, new->term > had->term, "unseated by one of no later view");
    } else if (d->family == GALERA) {
        promise(d, (e->in.failback && winner < old) || had->barred, "the writer has not stayed");
    }
}

/* Returns whether an authority that rules here allows the change. */
static bool check_authority(struct draw *d, size_t winner, bool held, enum standing standing)
{
    const struct authority *a = &d->e.in.authority;
    if (a->total == 0 || d->family >= GROUP) {
        return false;
    }
    unsigned words = d->e.words[winner];
    if (a->heard == 0) {
        promise(d, standing == STANDING_STEPPED_DOWN, "somebody new, and no authority was heard");
        return false;
    }
    promise(d, words > 0 || d->e.promoting[winner] > 0, "elected without a word");
    promise(d, !(held || standing == STANDING_DENIED) || words * 2 > a->total,
            "unseated without a majority");
    return true;
}

/* The old primary is gone, and the new one is none that was seen to be promoted: it has all that
 * the old one was ever told to have. */
static void check_unseen(struct draw *d, const struct election_memory *before)
{
    const struct electorate *e = &d->e;
    const struct observation *o = &e->seen[e->memory.incumbent];
    const struct observation *old = &e->seen[before->incumbent];
    if (o->part != PART_SOURCE || old->reach == REACH_ANSWERED || e->in.authority.total > 0 ||
        before->stepped_down || d->family == MIXED ||
        lineage_trace(&e->memory.histories, o->lineage.id, before->elected.id, NULL)) {
        return;
    }
    unseen[d->family]++;
    promise(d, old->reach != REACH_DENIED && old->failures >= e->in.probe_fall,
            "an unseen promotion against one that is there");
    promise(d, d->family != MYSQL, "an unseen promotion, and nothing is known of who has what");
    if (d->family == MARIADB) {
        promise(d, gtid_contains(&o->gtids, &before->elected_gtids),
                "an unseen promotion that lacks a transaction");
    } else {
        promise(d,
                o->term > before->elected_term && o->position >= before->elected.offset &&
                    before->servers[e->memory.incumbent].replica_position >= before->elected.offset,
                "an unseen promotion that lacks a part of the log");
    }
}

static void check_change(struct draw *d, const struct election_memory *before)
{
    const struct electorate *e = &d->e;
    size_t winner = (size_t)e->memory.incumbent;
    size_t old = (size_t)before->incumbent;
    const struct observation *o = &e->seen[winner];
    struct ballot b = ballot_open(&e->in, before);
    bool held = b.standing == STANDING_HOLDS && ballot_is_kin(&b, old);
    promise(d, claims(o), "a server was elected that does not claim");
    promise(d, ballot_is_kin(&b, winner) || ballot_is_extinct(&b),
            "a server was elected that shares no data");
    changed[d->family]++;
    check_unseen(d, before);
    bool allowed = check_authority(d, winner, held, b.standing);
    if (held && !allowed && d->family != MIXED) {
        check_unseated(d, winner, old);
    }
}

/* The server itself may have been made anew, but not while others have the old data. */
static void check_seated(const struct draw *d, const struct election_memory *before)
{
    struct ballot b = ballot_open(&d->e.in, before);
    size_t i = (size_t)d->e.memory.incumbent;
    promise(d, ballot_is_kin(&b, i) || ballot_is_extinct(&b), "a primary that shares no data");
}

static void check_stable(struct draw *d)
{
    static struct electorate before;
    memcpy(&before, &d->e, sizeof(before));
    struct verdict again = electorate_run(&d->e);
    if (verdict_differs(&again, &d->v)) {
        differ(d, "the verdict changes without cause", &again);
    }
    promise(d,
            memcmp(&before.memory, &d->e.memory, sizeof(before.memory)) == 0 &&
                memcmp(before.server_memory, d->e.server_memory, sizeof(before.server_memory)) == 0,
            "what is remembered changes without cause");
}

static void elect(struct draw *d)
{
    struct electorate *e = &d->e;
    size_t place[FIXTURE_SERVERS];
    for (size_t i = 0; i < e->count; i++) {
        size_t with = roll(d, (unsigned)i + 1);
        place[i] = i;
        place[i] = place[with];
        place[with] = i;
    }
    struct verdict elsewhere = electorate_run_elsewhere(e, place);
    struct election_memory before = e->memory;
    static struct server_memory servers[FIXTURE_SERVERS];
    memcpy(servers, e->server_memory, sizeof(servers));
    before.servers = servers;
    d->v = electorate_run(e);
    if (verdict_differs(&elsewhere, &d->v)) {
        differ(d, "the order of the servers matters", &elsewhere);
    }
    check_form(d);
    elected[d->family] += d->v.kind == VERDICT_PRIMARY;
    if (before.incumbent != ELECTION_NOBODY && e->memory.incumbent != before.incumbent) {
        check_change(d, &before);
    } else if (d->v.kind == VERDICT_PRIMARY && !d->v.stale && before.incumbent >= 0) {
        check_seated(d, &before);
    }
    check_stable(d);
    /* What the workers do of it: see test_election_generated.c. */
    bool contested =
        d->v.kind == VERDICT_CONTESTED || (d->v.kind == VERDICT_HOLD && e->barred[d->v.primary]);
    e->in.paused = !contested ? UINT64_MAX : e->in.paused == UINT64_MAX ? ++e->stamp : e->in.paused;
}

static void play(uint64_t seed)
{
    static struct draw d; /* large */
    d = (struct draw){.seed = seed, .random = seed * 0x9e3779b97f4a7c15u + 1};
    d.family = (enum family)roll(&d, FAMILIES);
    electorate_init(&d.e, 1 + roll(&d, SERVERS), NULL);
    d.e.in.on_conflict = roll(&d, 4) == 0 ? CONFLICT_REFUSE : CONFLICT_KEEP;
    d.e.in.failback = roll(&d, 3) == 0;
    d.e.in.authority.total = roll(&d, 2) ? (unsigned[]){1, 3, 4}[roll(&d, 3)] : 0;
    d.e.in.authority.total = d.family == MIXED ? 0 : d.e.in.authority.total;
    d.e.in.authority.name = d.e.in.authority.total == 1 ? "Patroni" : "the Sentinels";
    d.e.in.paused = UINT64_MAX;
    for (d.step = 0; d.step < STEPS; d.step++) {
        size_t server = roll(&d, (unsigned)d.e.count);
        if (roll(&d, 4) == 0) {
            electorate_observe(&d.e, server, *electorate_seen(&d.e, server)); /* nothing new */
        } else {
            electorate_observe(&d.e, server, draw_observation(&d, server));
        }
        if (d.e.in.authority.total > 0 && roll(&d, 6) == 0) {
            draw_words(&d);
        }
        d.e.in.now_ms += roll(&d, 8) == 0 ? 6000 : 50;
        if (roll(&d, d.e.barred[server] ? 4 : 160) == 0) {
            electorate_bar(&d.e, server, !d.e.barred[server]);
        }
        elect(&d);
    }
}

static void test_promises_hold_whatever_is_seen(void **state)
{
    (void)state;
    const char *one = getenv("ELECTION_SEED");
    if (one) {
        play(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= PLAYS; seed++) {
        play(seed);
    }
    uint64_t fresh = (uint64_t)time(NULL);
    print_message("from fresh seed %" PRIu64 " on\n", fresh);
    for (uint64_t seed = fresh; seed < fresh + PLAYS / 4; seed++) {
        play(seed);
    }
}

/* Observations that lead to nothing would keep every promise. */
static void test_the_observations_reach_what_the_promises_are_about(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAMILIES; i++) {
        print_message("%-9s elected %zu, changed %zu, unseated %zu, unseen %zu\n", family_names[i],
                      elected[i], changed[i], unseated[i], unseen[i]);
        if (!getenv("ELECTION_SEED")) {
            assert_true(elected[i] > 500 && changed[i] > 20);
            assert_true(unseated[i] > 5 || i == MIXED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises_hold_whatever_is_seen),
        cmocka_unit_test(test_the_observations_reach_what_the_promises_are_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
