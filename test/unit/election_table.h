/* Elections as tables: what is seen, and the verdict that it must lead to.
 *
 * A step's `see` is a list of observations, "SERVER STATE PROCESS HISTORY OFFSET [PARENT END]", in
 * the order in which they arrive:
 *     0 master A a 100          server 0, process A, says master, in history a at offset 100
 *     1 master B b 101 a 101    the same of server 1, whose history was branched off a at 101
 *     1 replica B a 100         a replica whose link is up; `nolink`: whose link is down
 *     0 loading A2 a 0          says master, but is loading
 *     0 silent | refused | denied
 *     + 500                     so many milliseconds pass
 *     say 2 1 0                 so many of an authority name server 0, 1, 2; `say nothing`: none is
 *                               heard
 *     mean 0 1 0                so many of it promote server 0, 1, 2, and do not name it yet
 *     elect 1                   the operator's word
 *     out 1, in 1               the operator takes server 1 out, and lets it in again
 * Servers of other families: election_family.h.
 *     alone                     nobody else is asked in this step
 * An election runs after each observation, as in the router; then all other servers are asked
 * again, and one more election gives the verdict that is compared. Each table is played for every
 * order of the servers, and each verdict must come out again when nothing has changed. */
#ifndef TEST_UNIT_ELECTION_TABLE_H
#define TEST_UNIT_ELECTION_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macros.h"
#include "election_family.h"
#include "election_fixture.h"

#define STEPS 14
#define ANY   NULL

struct step {
    const char *see;
    const char *expect; /* "primary 0", "hold 0", "contested 0", "stale 0", "nobody"; behind it
                         * " settled" or " unsettled" where that matters */
    const char *words;  /* part of the reason; ANY */
};

struct scenario {
    const char *name;
    size_t servers; /* 0 = 3 */
    enum conflict on_conflict;
    bool accounts_pauses; /* the router tells when writes have stopped; not yet */
    unsigned authority;   /* how many Sentinels there are; 1 = Patroni */
    bool failback;
    bool backup; /* server 0 is a backup */
    struct step steps[STEPS];
};

/* redis-0 is elected, the others replicate. */
#define ALL_IS_WELL                                                                                \
    {                                                                                              \
        "0 master A a 100, 1 replica B a 100, 2 replica C a 99", "primary 0 settled", "the only"   \
    }
#define TWO_ARE_WELL                                                                               \
    {                                                                                              \
        "0 master A a 100, 1 replica B a 100", "primary 0 settled", "the only"                     \
    }

static inline void see_process(struct observation *o, const char *process, const char *id,
                               long offset)
{
    snprintf(o->identity, sizeof(o->identity), "%s", process);
    snprintf(o->lineage.id, sizeof(o->lineage.id), "%s", id);
    o->lineage.offset = offset;
    o->lineage.previous_end = -1;
}

static inline void see_state(struct observation *o, const char *state)
{
    o->reach = strcmp(state, "silent") == 0    ? REACH_SILENT
               : strcmp(state, "refused") == 0 ? REACH_REFUSED
               : strcmp(state, "denied") == 0  ? REACH_DENIED
                                               : REACH_ANSWERED;
    if (o->reach != REACH_ANSWERED) {
        return;
    }
    o->usable = strcmp(state, "master") == 0;
    o->link_up = strcmp(state, "replica") == 0;
    o->claim = CLAIM_REPLICA;
    if (o->usable || strcmp(state, "loading") == 0) {
        o->claim = CLAIM_PRIMARY;
    } else {
        snprintf(o->follows, sizeof(o->follows), "10.0.0.9:6379");
        assert_true(o->link_up || strcmp(state, "nolink") == 0);
    }
}

/* One observation of a step; returns the server's number. */
static inline size_t see(struct electorate *e, const char *text)
{
    size_t server = 0;
    char state[16] = "";
    char process[16] = "";
    char id[16] = "";
    char parent[16] = "";
    long offset = 0;
    long end = -1;
    struct observation o = {0};
    if (see_family(text, &server, &o)) {
        assert_true(server < e->count);
        electorate_observe(e, server, o);
        return server;
    }
    int words = sscanf(text, " %zu %15s %15s %15s %ld %15s %ld", &server, state, process, id,
                       &offset, parent, &end);
    see_state(&o, state);
    assert_true(words == 2 || words == 5 || words == 7);
    assert_true(server < e->count);
    see_process(&o, process, id, offset);
    if (words == 7) {
        snprintf(o.lineage.previous_id, sizeof(o.lineage.previous_id), "%s", parent);
        o.lineage.previous_end = end;
    }
    electorate_observe(e, server, o);
    return server;
}

static inline void ask_others(struct electorate *e, const bool *asked)
{
    for (size_t i = 0; i < e->count; i++) {
        if (!asked[i] && electorate_seen(e, i)->reach != REACH_UNASKED) {
            electorate_observe(e, i, *electorate_seen(e, i));
        }
    }
}

/* What an authority says from now on. */
static inline void hear(struct electorate *e, const char *text)
{
    char *rest = (char *)text;
    e->in.authority.heard = strstr(text, "nothing") ? 0 : e->in.authority.total;
    for (size_t i = 0; i < e->count; i++) {
        e->words[e->place[i]] = (unsigned)strtoul(rest, &rest, 10);
    }
}

static inline void hear_intentions(struct electorate *e, const char *text)
{
    char *rest = (char *)text;
    for (size_t i = 0; i < e->count; i++) {
        e->promoting[e->place[i]] = (unsigned)strtoul(rest, &rest, 10);
    }
}

static inline void choose(struct electorate *e, const char *text)
{
    e->in.chosen = 1 + (unsigned)e->place[strtoul(text, NULL, 10)];
    electorate_run(e);
    e->in.chosen = 0;
}

/* Plays what a step shows; an election follows each part. */
static inline struct verdict play_step(struct electorate *e, const char *text)
{
    bool asked[FIXTURE_SERVERS] = {false};
    bool alone = false;
    char copy[512];
    char *rest = NULL;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        part += strspn(part, " ");
        if (strcmp(part, "alone") == 0) {
            alone = true;
        } else if (part[0] == '+') {
            e->in.now_ms += strtoul(part + 1, NULL, 10);
        } else if (strncmp(part, "say", 3) == 0) {
            hear(e, part + 3);
        } else if (strncmp(part, "mean", 4) == 0) {
            hear_intentions(e, part + 4);
        } else if (strncmp(part, "elect", 5) == 0) {
            choose(e, part + 5);
        } else if (strncmp(part, "out", 3) == 0) {
            electorate_bar(e, strtoul(part + 3, NULL, 10), true);
        } else if (strncmp(part, "in", 2) == 0) {
            electorate_bar(e, strtoul(part + 2, NULL, 10), false);
        } else {
            asked[see(e, part)] = true;
            electorate_run(e);
        }
    }
    if (!alone) {
        ask_others(e, asked);
    }
    return electorate_run(e);
}

static inline void check_step(const struct verdict *v, const struct step *step, size_t number)
{
    char got[64];
    size_t len = (size_t)snprintf(got, sizeof(got), "%s", verdict_word(v));
    if (v->kind != VERDICT_NOBODY) {
        len += (size_t)snprintf(got + len, sizeof(got) - len, " %d", v->primary);
    }
    snprintf(got + len, sizeof(got) - len, v->settled ? " settled" : " unsettled");
    size_t compare = strlen(step->expect);
    bool right = strncmp(got, step->expect, compare) == 0 && (got[compare] == ' ' || !got[compare]);
    bool said = step->words == NULL || strstr(v->reason, step->words) != NULL;
    if (!right || !said) {
        fail_msg("step %zu, after \"%s\": expected %s (%s), got %s: %s", number, step->see,
                 step->expect, step->words ? step->words : "any words", got, v->reason);
    }
}

/* Nothing has changed: neither does the verdict, nor what is remembered. */
static inline void check_stable(struct electorate *e, const struct verdict *v, size_t number)
{
    static struct electorate before;
    memcpy(&before, e, sizeof(before));
    struct verdict again = electorate_run(e);
    if (verdict_differs(v, &again)) {
        fail_msg("step %zu: \"%s\" becomes \"%s\" without cause", number, v->reason, again.reason);
    }
    if (memcmp(&before.memory, &e->memory, sizeof(e->memory)) != 0 ||
        memcmp(before.server_memory, e->server_memory, sizeof(e->server_memory)) != 0) {
        fail_msg("step %zu: what is remembered changes without cause", number);
    }
}

static inline void play(const struct scenario *s, const size_t *place, size_t count)
{
    static struct electorate e; /* large */
    electorate_init(&e, count, place);
    e.in.failback = s->failback;
    e.in.authority.total = e.in.authority.heard = s->authority;
    e.in.authority.name = s->authority == 1 ? "Patroni" : "the Sentinels";
    e.servers[e.place[0]].backup = s->backup;
    e.in.on_conflict = s->on_conflict;
    e.in.paused = s->accounts_pauses ? UINT64_MAX : 0;
    for (size_t i = 0; i < STEPS && s->steps[i].see; i++) {
        struct verdict v = play_step(&e, s->steps[i].see);
        check_step(&v, &s->steps[i], i);
        check_stable(&e, &v, i);
    }
}

/* All orders of `count` servers, by counting in the factorial system. */
static inline void permutation(size_t number, size_t count, size_t *place)
{
    for (size_t i = 0; i < count; i++) {
        place[i] = i;
    }
    for (size_t i = count; i > 1; i--) {
        size_t with = number % i;
        size_t kept = place[i - 1];
        number /= i;
        place[i - 1] = place[with];
        place[with] = kept;
    }
}

static inline void test_scenario(void **state)
{
    const struct scenario *s = *state;
    size_t count = s->servers ? s->servers : 3;
    size_t orders = 1;
    for (size_t i = 2; i <= count; i++) {
        orders *= i;
    }
    for (size_t i = 0; i < orders; i++) {
        size_t place[FIXTURE_SERVERS];
        permutation(i, count, place);
        play(s, place, count);
    }
}

/* One test for each scenario. */
static inline void scenario_tests(const struct scenario *scenarios, size_t count,
                                  struct CMUnitTest *tests)
{
    for (size_t i = 0; i < count; i++) {
        tests[i] = (struct CMUnitTest){
            .name = scenarios[i].name,
            .test_func = test_scenario,
            .initial_state = (void *)&scenarios[i],
        };
    }
}

#endif
