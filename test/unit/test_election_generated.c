/* The election in generated worlds: servers that are promoted, demoted, killed, stopped, restarted
 * with and without their data, in any order, while a router writes to whom was elected. After each
 * election the promises below must hold. A failure prints the seed of its world:
 * ELECTION_SEED=<seed> plays that world alone. */
#include "election_play.h"

#define WORLDS 3000
#define STEPS  400

static const char promotion[] = "promoted from";
static const char followers[] = "more replicas follow it";

/* How often the worlds led to what the promises are about. */
static struct {
    size_t first, promotion, overtaken, followers, handed_over, returned, kept, refused, contested,
        stale, hold, loser_held;
} reached;

/* ---- what each verdict promises ---- */

static void check_form(const struct play *p)
{
    const struct verdict *v = &p->verdict;
    promise(p, (v->kind == VERDICT_NOBODY) == (v->primary == ELECTION_NOBODY), "an odd verdict");
    promise(p, v->reason[0] != '\0', "no reason");
    if (v->primary == ELECTION_NOBODY) {
        return;
    }
    const struct observation *o = seen(p, v->primary);
    promise(p, !(o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA),
            "a server that says replica is treated as the primary");
    if (v->kind == VERDICT_PRIMARY) {
        promise(p, v->stale ? o->reach == REACH_DENIED : claims(o),
                "a primary that does not claim");
        promise(p, !o->barred, "a primary that the operator has taken out");
    }
}

/* The server is still what was seen of it. */
static bool is_as_seen(const struct play *p, int server)
{
    const struct tiny_redis *r = &p->world.servers[server];
    const struct observation *o = seen(p, server);
    return r->process == strtoul(o->identity, NULL, 10) &&
           strcmp(r->lineage.id, o->lineage.id) == 0;
}

/* Whoever follows the winner loses nothing that the unseated server has acknowledged. */
static void check_contains(const struct play *p, int winner, int old)
{
    const struct data *has = &p->world.servers[winner].data;
    const struct data *had = &p->world.servers[old].data;
    for (size_t i = 0; i < had->len; i++) {
        promise(p, !p->acknowledged[had->at[i]] || data_has(has, had->at[i]),
                "a primary that answered was unseated by one that lacks an acknowledged write");
    }
}

/* The winner lacks at most the newest writes of the elected history, those that had not reached it
 * when it was promoted; and nothing that it had when it last replicated. */
static void check_is_prefix(const struct play *p, int winner)
{
    const struct tiny_redis *r = &p->world.servers[winner];
    bool missing = false;
    for (size_t i = 0; i < p->elected.len; i++) {
        unsigned write = p->elected.at[i];
        bool has = data_has(&r->data, write);
        promise(p, has || !r->held[write], "a server was elected that had lost data");
        promise(p, !(has && missing), "a server was elected whose history has a hole");
        missing |= !has;
    }
}

static void check_promotion(const struct play *p, int winner, int old, bool old_held)
{
    const struct observation *o = seen(p, winner);
    promise(p, p->replicated[strtoul(o->identity, NULL, 10)],
            "a process was elected that was never seen to replicate");
    reached.promotion++;
    if (!is_as_seen(p, winner)) {
        return; /* it has crashed since */
    }
    check_is_prefix(p, winner);
    if (old_held && is_as_seen(p, old)) {
        check_contains(p, winner, old);
        reached.overtaken++;
    }
}

/* `rivals` follow the unseated server, unless that is gone and they hang on a dead connection. */
static void check_followers(const struct play *p, int winner, size_t rivals)
{
    size_t votes = followers_of(p, seen(p, winner)->lineage.id);
    promise(p, votes > rivals, "elected against the followers");
    if (p->stepped_down) {
        reached.handed_over++;
    }
    reached.followers++;
}

/* The incumbent has changed. */
static void check_succession(const struct play *p, const struct election_memory *before)
{
    int winner = p->verdict.primary;
    int old = electorate_server_at(&p->electorate, before->incumbent);
    const struct observation *o = seen(p, old);
    bool claimed = claims(o);
    bool given_up = o->barred && before->contested_since_ms > 0 &&
                    p->electorate.in.now_ms >= before->contested_since_ms + 2000;
    bool old_held = claimed && !p->stepped_down && !given_up &&
                    strcmp(o->identity, before->elected_identity) == 0;
    bool known = claimed || p->stepped_down || o->reach == REACH_DENIED;
    promise(p, known || !was_lost(p, winner), "a loser won by the winner's silence");
    if (strstr(p->verdict.reason, promotion)) {
        promise(p, p->stepped_down || !was_lost(p, winner), "a loser was elected as a promotion");
        check_promotion(p, winner, old, old_held);
    } else if (strstr(p->verdict.reason, followers)) {
        bool lives = old_held || (o->reach == REACH_DENIED && !p->stepped_down);
        check_followers(p, winner, lives ? followers_of(p, before->elected.id) : 0);
    } else {
        promise(p, p->stepped_down, "a primary was unseated for no good reason");
    }
}

static void check_stable(struct play *p)
{
    struct verdict again = electorate_run(&p->electorate);
    if (verdict_differs(&again, &p->verdict)) {
        broken(p, again.reason);
    }
}

static void count_verdict(const struct play *p, int incumbent)
{
    const struct verdict *v = &p->verdict;
    reached.first += v->kind == VERDICT_PRIMARY && incumbent == ELECTION_NOBODY;
    reached.returned += v->kind == VERDICT_PRIMARY && strstr(v->reason, "it was restarted");
    reached.kept += v->kind == VERDICT_PRIMARY && strstr(v->reason, "kept, because");
    reached.refused += v->kind == VERDICT_NOBODY && strstr(v->reason, "undecided in time");
    reached.loser_held += v->kind == VERDICT_HOLD && strstr(v->reason, "lost an election");
    reached.contested += v->kind == VERDICT_CONTESTED;
    reached.hold += v->kind == VERDICT_HOLD;
    reached.stale += v->stale;
}

/* ---- how the play keeps its own account ---- */

static void note_lost(struct play *p)
{
    for (size_t i = 0; i < p->world.count; i++) {
        const struct observation *o = seen(p, (int)i);
        if ((int)i == p->verdict.primary || !claims(o) || was_lost(p, (int)i) ||
            p->lost_count == CLAIMS) {
            continue;
        }
        struct claim_seen *c = &p->lost[p->lost_count++];
        c->server = i;
        memcpy(c->identity, o->identity, REPLID_MAX);
        memcpy(c->id, o->lineage.id, REPLID_MAX);
    }
}

static void note_observation(struct play *p, size_t i)
{
    const struct observation *o = seen(p, (int)i);
    if (o->reach != REACH_ANSWERED) {
        return;
    }
    if (o->link_up) {
        p->replicated[strtoul(o->identity, NULL, 10)] = true;
    }
    if (o->claim == CLAIM_REPLICA &&
        electorate_server_at(&p->electorate, p->electorate.memory.incumbent) == (int)i) {
        p->stepped_down = true;
    }
}

static bool is_taken_out(const struct play *p)
{
    return p->verdict.kind == VERDICT_HOLD && p->electorate.barred[p->verdict.primary];
}

/* What the workers do of the verdict: paused sessions write no more, and that is acknowledged. */
static void obey(struct play *p)
{
    struct electorate *e = &p->electorate;
    bool contested = p->verdict.kind == VERDICT_CONTESTED || is_taken_out(p);
    if (!contested) {
        e->in.paused = UINT64_MAX;
    } else if (e->in.paused == UINT64_MAX) {
        e->in.paused = ++e->stamp;
    }
}

static void elect(struct play *p)
{
    struct electorate *e = &p->electorate;
    size_t place[FIXTURE_SERVERS];
    for (size_t i = 0; i < e->count; i++) {
        size_t with = roll(p, (unsigned)i + 1);
        place[i] = i;
        place[i] = place[with];
        place[with] = i;
    }
    struct verdict elsewhere = electorate_run_elsewhere(e, place);
    struct election_memory before = e->memory;
    p->verdict = electorate_run(e);
    if (p->traced) {
        trace(p);
    }
    promise(p, !verdict_differs(&elsewhere, &p->verdict), "the order of the servers matters");
    check_form(p);
    count_verdict(p, before.incumbent);
    bool changed = e->memory.incumbent != before.incumbent;
    if (changed && before.incumbent != ELECTION_NOBODY) {
        check_succession(p, &before);
    }
    if (p->verdict.kind == VERDICT_PRIMARY) {
        note_lost(p);
        p->stepped_down = false;
    }
    if (changed || p->verdict.kind == VERDICT_PRIMARY) {
        p->elected = p->world.servers[electorate_server_at(e, e->memory.incumbent)].data;
    }
    check_stable(p);
    obey(p);
}

/* ---- events ---- */

/* A question is sent, or the answer to the last one arrives: the server is as it is then. */
static void probe(struct play *p, size_t i)
{
    struct electorate *e = &p->electorate;
    if (p->asked[i] == 0) {
        p->asked[i] = ++e->stamp;
        return;
    }
    electorate_observe(e, i, world_observe(&p->world, i));
    electorate_seen(e, i)->asked = p->asked[i];
    p->asked[i] = 0;
    note_observation(p, i);
    elect(p);
}

/* A client behind the router writes. Where writes are held, only a session that lives already. */
static void client_write(struct play *p)
{
    bool open = p->verdict.kind == VERDICT_PRIMARY ||
                (p->verdict.kind == VERDICT_HOLD && !is_taken_out(p) && roll(p, 4) == 0);
    if (!open) {
        return;
    }
    size_t i = (size_t)p->verdict.primary;
    unsigned write = world_write(&p->world, i);
    if (write < WORLD_WRITES) {
        p->acknowledged[write] = true;
        p->elected = p->world.servers[i].data;
    }
}

static void fault(struct play *p, size_t i)
{
    struct world *w = &p->world;
    size_t other = roll(p, (unsigned)w->count);
    switch (roll(p, 12)) {
    case 0:
    case 1:
        world_promote(w, i);
        break;
    case 2:
    case 3:
        world_follow(w, i, other);
        break;
    case 4:
        world_crash(w, i);
        break;
    case 5:
    case 6:
        world_restart(w, i, (enum disk)roll(p, 3), roll(p, 3) > 0);
        break;
    case 7:
        w->servers[i].stopped = w->servers[i].alive;
        break;
    case 8:
    case 9:
        w->servers[i].stopped = false;
        break;
    case 10:
        w->servers[i].denied = roll(p, 3) == 0;
        break;
    default:
        w->servers[i].link_up = false; /* a link that times out, or is cut */
        break;
    }
}

static void happen(struct play *p)
{
    struct world *w = &p->world;
    size_t i = roll(p, (unsigned)w->count);
    switch (roll(p, 24)) {
    case 0:
    case 1:
        fault(p, i);
        break;
    case 2:
        world_write(w, i); /* by somebody who passes the router by */
        break;
    case 3:
    case 4:
    case 5:
        client_write(p);
        break;
    case 6:
        world_save(w, i);
        break;
    case 7:
        w->servers[i].loading = false;
        break;
    case 8:
        p->electorate.in.now_ms += roll(p, 8) == 0 ? 6000 : 50;
        break;
    case 9:
    case 10:
        world_link(w, i);
        break;
    case 11:
    case 12:
    case 13:
        world_replicate(w, i, 1 + roll(p, 3));
        break;
    case 14:
        if (roll(p, p->electorate.barred[i] ? 2 : 12) == 0) {
            electorate_bar(&p->electorate, i, !p->electorate.barred[i]);
        }
        break;
    default:
        probe(p, i);
        break;
    }
}

/* In the end there is one primary, and everybody follows it: it must be elected. */
static void make_peace(struct play *p)
{
    struct world *w = &p->world;
    size_t chosen = roll(p, (unsigned)w->count);
    for (size_t i = 0; i < w->count; i++) {
        world_restart(w, i, DISK_RDB, true);
        w->servers[i].stopped = w->servers[i].loading = w->servers[i].denied = false;
        electorate_bar(&p->electorate, i, false);
    }
    world_promote(w, chosen);
    for (size_t i = 0; i < w->count; i++) {
        world_follow(w, i, chosen);
    }
    for (size_t i = 0; i < w->count; i++) {
        world_link(w, i);
    }
    for (size_t round = 0; round < 4 * w->count; round++) {
        probe(p, round % w->count);
        probe(p, round % w->count);
    }
    promise(p,
            p->verdict.kind == VERDICT_PRIMARY && p->verdict.primary == (int)chosen &&
                p->verdict.settled,
            "everybody follows one server, and it is not elected");
}

static void play(uint64_t seed, bool traced)
{
    static struct play p; /* large */
    p = (struct play){.seed = seed, .random = seed * 0x9e3779b97f4a7c15u + 1, .traced = traced};
    size_t count = 1 + roll(&p, WORLD_SERVERS);
    world_init(&p.world, count, roll(&p, (unsigned)count));
    electorate_init(&p.electorate, count, NULL);
    p.electorate.in.on_conflict = roll(&p, 4) == 0 ? CONFLICT_REFUSE : CONFLICT_KEEP;
    p.electorate.in.paused = UINT64_MAX;
    p.verdict = (struct verdict){.primary = ELECTION_NOBODY};
    for (p.step = 0; p.step < STEPS; p.step++) {
        happen(&p);
    }
    make_peace(&p);
}

static void test_promises_hold_in_generated_worlds(void **state)
{
    (void)state;
    const char *one = getenv("ELECTION_SEED");
    if (one) {
        play(strtoull(one, NULL, 10), true);
        return;
    }
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        play(seed, false);
    }
}

/* Worlds in which nothing happens would keep every promise. */
static void test_the_worlds_reach_what_the_promises_are_about(void **state)
{
    (void)state;
    const struct {
        const char *what;
        size_t times;
    } cases[] = {
        {"first election", reached.first},
        {"promotion", reached.promotion},
        {"promotion over a primary that answered", reached.overtaken},
        {"decided by followers", reached.followers},
        {"handed over", reached.handed_over},
        {"restart accepted", reached.returned},
        {"kept after a contest", reached.kept},
        {"refused after a contest", reached.refused},
        {"contested", reached.contested},
        {"stale", reached.stale},
        {"held", reached.hold},
        {"held against a loser", reached.loser_held},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%7zu  %s\n", cases[i].times, cases[i].what);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases) && !getenv("ELECTION_SEED"); i++) {
        assert_true(cases[i].times > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises_hold_in_generated_worlds),
        cmocka_unit_test(test_the_worlds_reach_what_the_promises_are_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
