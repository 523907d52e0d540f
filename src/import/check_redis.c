/* Scripts that talk to Redis, or to Sentinels.
 *
 * What a script means is found out by playing it: to each question the answer of a primary and that
 * of a replica are put together, and what the script expects is looked for in both. A script that
 * only the primary passes asks for the primary, however it is spelled. */
#include <stdio.h>
#include <string.h>

#include "import/builder.h"
#include "import/check_internal.h"
#include "import/check_redis.h"

#define ANSWER_MAX 16384 /* HAProxy looks at no more of it */

enum { ASKS_NOTHING = 0, ASKS_LIFE = 1, ASKS_ROLE = 2, ASKS_SENTINEL = 4, ASKS_UNKNOWN = 8 };

struct play {
    struct understanding *u;
    unsigned asked;  /* by the script */
    unsigned recent; /* since the last answer was awaited */
    bool only_primary;
    bool only_replica;
    bool never;                 /* a step that neither passes */
    size_t expects;             /* how many */
    const struct step *connect; /* of the connection that is played */
    const struct step *decides; /* of the one that tells the roles apart */
    struct text answers[REDIS_ROLES];
};

static void free_answers(struct play *play)
{
    for (size_t i = 0; i < REDIS_ROLES; i++) {
        text_free(&play->answers[i]);
    }
}

/* What is sent ----------------------------------------------------------------------------------
 */

static bool is_given(const struct word *w)
{
    return w->len > 0 || w->reference_count > 0;
}

static void take_password(struct play *play, const struct exchange *e, const struct command *c,
                          size_t user, size_t password)
{
    struct check *out = play->u->out;
    exchange_hide(play->u, e, c->places[password], c->sizes[password]);
    if (is_given(&out->password)) {
        return;
    }
    out->password = c->args[password];
    out->password.secret = true;
    /* "default" is who one is without a name. */
    if (user != 0 && !command_says(c, user, "default")) {
        out->user = c->args[user];
    }
}

static void look_for_login(struct play *play, const struct exchange *e, const struct command *c)
{
    if (command_is(c, "AUTH") && c->count >= 2) {
        take_password(play, e, c, c->count > 2 ? 1 : 0, c->count > 2 ? 2 : 1);
    }
    for (size_t i = 2; command_is(c, "HELLO") && i + 2 < c->count; i++) {
        if (command_says(c, i, "AUTH")) {
            take_password(play, e, c, i + 1, i + 2);
            return;
        }
    }
}

static unsigned kind_of(const struct command *c)
{
    static const char *const life[] = {"PING",   "ECHO",   "SELECT", "QUIT", "AUTH",
                                       "CLIENT", "DBSIZE", "TIME",   "RESET"};
    if (command_is(c, "INFO") || command_is(c, "ROLE") || command_is(c, "HELLO") ||
        redis_writes(c)) {
        return ASKS_ROLE;
    }
    if (command_is(c, "SENTINEL")) {
        return ASKS_SENTINEL;
    }
    for (size_t i = 0; i < ARRAY_LEN(life); i++) {
        if (command_is(c, life[i])) {
            return ASKS_LIFE;
        }
    }
    return ASKS_UNKNOWN;
}

/* The name that Sentinels are asked for: of get-master-addr-by-name, master, replicas, ... */
static void look_for_master(struct play *play, const struct command *c)
{
    struct word *master = &play->u->out->master;
    if (command_is(c, "SENTINEL") && c->count >= 3 && !is_given(master)) {
        *master = c->args[2];
    }
}

static void ask(struct play *play, const struct exchange *e)
{
    struct commands commands;
    commands_read(play->u, e, &commands);
    play->recent = commands.clear ? 0 : ASKS_UNKNOWN;
    free_answers(play);
    for (size_t i = 0; i < commands.count; i++) {
        const struct command *c = &commands.items[i];
        play->recent |= kind_of(c);
        look_for_login(play, e, c);
        look_for_master(play, c);
        for (enum redis_role role = 0; role < REDIS_ROLES; role++) {
            if (play->answers[role].len < ANSWER_MAX) {
                redis_answer(c, role, &play->answers[role]);
            }
        }
    }
    play->asked |= play->recent;
}

/* What is expected ------------------------------------------------------------------------------
 */

static bool accepts(struct play *play, const struct step *step, enum redis_role role)
{
    const struct text *answer = &play->answers[role];
    return step_accepts(play->u, step, answer->data != NULL ? answer->data : "", answer->len);
}

/* Of which roles the answer is one that the step waits for. */
static void try_roles(struct play *play, const struct step *step, bool *primary, bool *replica)
{
    *primary = accepts(play, step, REDIS_MASTER);
    *replica = accepts(play, step, REDIS_SLAVE);
    if (!*primary && !*replica) {
        *primary = accepts(play, step, REDIS_ACTIVE);
        *replica = accepts(play, step, REDIS_REPLICA);
    }
}

static void say(struct step *step, const char *words)
{
    step->verdict = VERDICT_DIFFERENCE;
    step->words = words;
}

static void expect_role(struct play *play, struct step *step)
{
    bool primary;
    bool replica;
    try_roles(play, step, &primary, &replica);
    if (!primary && !replica) {
        step->lines = true;
        try_roles(play, step, &primary, &replica);
        say(step, primary || replica
                      ? "HAProxy never finds it: ^ and $ are about the whole answer there"
                      : "not asked: the probe looks at the role, and whether a replica has its "
                        "primary");
    }
    if (!primary && !replica) {
        play->never = true;
        return;
    }
    play->only_primary = play->only_primary || !replica;
    play->only_replica = play->only_replica || !primary;
    if (primary != replica && play->decides == NULL) {
        play->decides = play->connect;
    }
}

/* The address that a Sentinel must name: as it is, or in the array of its answer. */
static void expect_address(struct play *play, const struct step *step)
{
    struct check *out = play->u->out;
    bool known = step->clear && step->match == MATCH_TEXT && !step->negated;
    if (!known || is_given(&out->expected) || strncmp(step->data.text, "+OK", 3) == 0 ||
        strncmp(step->data.text, "+PONG", 5) == 0) {
        return;
    }
    const char *bulk = strchr(step->data.text, '$');
    const char *text = bulk != NULL ? strchr(bulk, '\n') : NULL;
    size_t at = text != NULL ? (size_t)(text - step->data.text) + 1 : 0;
    out->expected = word_slice(play->u->s, &step->data, at, strcspn(step->data.text + at, "\r\n"));
}

static void expect(struct play *play, struct step *step)
{
    play->expects++;
    if ((play->recent & ASKS_SENTINEL) != 0) {
        expect_address(play, step);
    } else if ((play->recent & ASKS_UNKNOWN) != 0) {
        say(step, "not asked: the probe looks at the role");
    } else {
        expect_role(play, step);
    }
}

/* What it means ---------------------------------------------------------------------------------
 */

static bool says(const struct script *script, const char *text)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct step *step = &script->items[i];
        if (step->kind == STEP_EXPECT && step->clear && strstr(step->data.text, text) != NULL) {
            return true;
        }
    }
    return false;
}

static void conclude_role(struct play *play)
{
    struct check *out = play->u->out;
    out->kind = CHECK_REDIS_ROLE;
    if (play->only_primary) {
        out->wants = CHECK_WANTS_PRIMARY;
    } else if (play->only_replica) {
        out->wants = CHECK_WANTS_REPLICA;
    } else if (!says(&play->u->script, "role")) {
        out->kind = CHECK_REDIS_PING;
    }
}

static bool conclude(struct play *play)
{
    struct check *out = play->u->out;
    bool role = play->only_primary || play->only_replica;
    bool sentinel = (play->asked & ASKS_SENTINEL) != 0;
    bool known = (play->asked & ~(unsigned)ASKS_UNKNOWN) != 0;
    if ((play->only_primary && play->only_replica) || !known ||
        (play->never && !role && !sentinel)) {
        return false;
    }
    if (sentinel && !role) {
        out->kind = CHECK_SENTINEL;
    } else if (role || (play->asked & ASKS_ROLE) != 0) {
        conclude_role(play);
    } else {
        out->kind = CHECK_REDIS_PING;
    }
    script_take_connect(play->u, play->decides);
    script_mark(play->u, VERDICT_KEPT, NULL);
    return true;
}

/* Whether anything is said that only Redis understands: other protocols know QUIT too. */
static bool is_redis(struct understanding *u)
{
    bool yes = false;
    struct exchange e;
    for (size_t at = 0; exchange_next(u, &at, &e);) {
        struct commands commands;
        commands_read(u, &e, &commands);
        for (size_t i = 0; i < commands.count; i++) {
            const struct command *c = &commands.items[i];
            yes = yes || command_is(c, "PING") || command_is(c, "INFO") || command_is(c, "ROLE") ||
                  command_is(c, "SENTINEL") || (command_is(c, "AUTH") && c->count >= 2) ||
                  (redis_writes(c) && c->count == 3) ||
                  (command_is(c, "HELLO") && (command_says(c, 1, "2") || command_says(c, 1, "3")));
        }
    }
    return yes;
}

static void play_all(struct play *play)
{
    struct script *script = &play->u->script;
    struct exchange e;
    for (size_t at = 0; exchange_next(play->u, &at, &e);) {
        if (script->items[e.first].kind == STEP_CONNECT) {
            play->connect = &script->items[e.first];
        }
        ask(play, &e);
        for (size_t i = e.expect; i < e.behind; i++) {
            if (script->items[i].kind == STEP_EXPECT) {
                expect(play, &script->items[i]);
            }
        }
    }
}

bool check_redis(struct understanding *u)
{
    if (!is_redis(u)) {
        return false;
    }
    struct play play = {.u = u};
    play_all(&play);
    free_answers(&play);
    return play.expects > 0 && conclude(&play);
}
