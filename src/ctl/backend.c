/* What the probes of one backend bring, and what follows from it: is a server up, who is the
 * primary, how fast to ask. What is made public, and in which order, is fence.c's business. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/control.h"
#include "ctl/drill.h"
#include "ctl/names.h"
#include "model/secret.h"
#include "router_proto.h"

#define CONTEST_NEWS_MS 200
#define WATCH_MS        3000 /* probing fast after any change */
#define DOUBT_BURST     8
#define RIVAL_NEWS_MS   3000

bool backend_has_roles(const struct backend_config *b)
{
    return b->protocol->has_roles && b->probe == PROBE_AUTO && b->http_check.method == NULL;
}

/* How fast to ask --------------------------------------------------------------------------- */

/* A contested primary gets no more writes once every worker has paused its sessions: what it says
 * of itself from then on is its last word. */
void backend_acknowledged(struct backend_control *b)
{
    if (b->paused_in > 0 && b->paused == UINT64_MAX &&
        fence_acked_by_all(b->control) >= b->paused_in) {
        b->paused = ++b->control->stamp;
        probes_all_now(&b->probes);
    }
}

static void set_pace(struct backend_control *b, bool fast)
{
    probes_set_pace(&b->probes, fast);
    authority_set_pace(b, fast);
}

/* Rounds may be asked at once beyond one at each fast interval, a few of them: a planned switchover
 * shows itself in several steps, each of which is worth another look right away. What clients see
 * in passing is worth no more than the fast pace, or one that writes to a replica would use them
 * up; and a server that changes its mind with each answer gets no more than that in the long run.
 */
static bool may_ask_now(struct backend_control *b, unsigned burst)
{
    uint64_t now = loop_now_ms(&b->control->loop);
    uint64_t step = b->config->probe_fast_interval;
    if (b->asked_until_ms > now + (burst - 1) * step) {
        return false;
    }
    b->asked_until_ms = (b->asked_until_ms > now ? b->asked_until_ms : now) + step;
    return true;
}

/* Any doubt: every server is asked now, and fast from then on until the roles are settled. */
static void doubt_all(struct backend_control *b, unsigned burst)
{
    set_pace(b, true);
    if (may_ask_now(b, burst)) {
        probes_all_now(&b->probes);
        authority_ask_now(b);
    }
}

void backend_doubt(struct backend_control *b, size_t server)
{
    struct control *c = b->control;
    atomic_store(&c->shared->backends[b->config->index]->doubted, false);
    bool known = server == MESSAGE_WHOLE_BACKEND || server < b->config->servers.count;
    if (b->config->probe == PROBE_OFF || c->stopping || !known) {
        return; /* another backend may have the place since that was said */
    }
    if (server != MESSAGE_WHOLE_BACKEND) {
        b->servers[server].suspect = true;
        b->servers[server].suspected = c->stamp;
        backend_forget_follower(b, server);
        names_doubt(c->names, b->servers[server].config->host);
        fence_publish(c);
    }
    if (backend_has_roles(b->config)) {
        doubt_all(b, 1);
    } else if (server != MESSAGE_WHOLE_BACKEND) {
        probes_now(&b->probes, server);
    }
}

void backend_counted(struct backend_control *b, size_t server)
{
    if (server < b->config->servers.count) {
        size_t id = b->config->servers.items[server].id;
        atomic_store(&b->control->shared->servers[id]->counted, false);
        probes_anew(&b->probes, server);
    }
}

/* Up or down -------------------------------------------------------------------------------- */

static void set_up(struct backend_control *b, struct server_control *s, bool up, const char *why)
{
    if (s->up == up) {
        return;
    }
    s->up = up;
    tally_server_up(b, s, up);
    events_add(&b->control->events, b->config->name, "server", "%s is %s%s%s", s->config->name,
               up ? "up" : "down", why[0] != '\0' ? ": " : "", why);
}

static void judge_health(struct backend_control *b, struct server_control *s)
{
    const struct observation *o = &s->told;
    /* Cannot ask is not down: what was proven once keeps its role while it answers at all. */
    bool was_stale = s->stale;
    s->stale = o->reach == REACH_DENIED && b->memory.servers[s - b->servers].proven && s->up;
    if (s->stale && !was_stale) {
        events_add(&b->control->events, b->config->name, "server",
                   "%s cannot be asked any more (%s); it keeps its role", s->config->name, o->why);
    } else if (was_stale && o->reach == REACH_ANSWERED) {
        events_add(&b->control->events, b->config->name, "server", "%s can be asked again",
                   s->config->name);
    }
    if (o->successes >= b->config->probe_rise) {
        set_up(b, s, true, o->why);
    } else if (o->failures >= b->config->probe_fall && !s->stale) {
        set_up(b, s, false, o->why);
    }
}

/* A server that was never up is not "down again"; but its reason belongs in the log, once. */
static void log_first_failure(const struct backend_control *b, const struct server_control *s)
{
    if (!s->up && s->told.failures == b->config->probe_fall &&
        !b->memory.servers[s - b->servers].proven) {
        log_warn("backend=%s server=%s is down: %s", b->config->name, s->config->name, s->told.why);
    }
}

/* Who is the primary ------------------------------------------------------------------------ */

static const char *kind_word(const struct verdict *v)
{
    static const char *const words[] = {
        [VERDICT_NOBODY] = "nobody",
        [VERDICT_HOLD] = "hold",
        [VERDICT_CONTESTED] = "contested",
        [VERDICT_PRIMARY] = "primary",
    };
    return words[v->kind];
}

/* Most promotions look contested until all servers were asked once more, a few milliseconds later:
 * that is nothing to wake anybody for. */
static bool is_news(const struct backend_control *b, const struct verdict *v)
{
    const struct verdict *told = &b->told;
    if (v->kind == told->kind && v->primary == told->primary && v->stale == told->stale) {
        return false;
    }
    uint64_t now = loop_now_ms(&b->control->loop);
    return v->kind != VERDICT_CONTESTED || now >= b->memory.contested_since_ms + CONTEST_NEWS_MS;
}

/* Two claims are something to be told, also when the election is not in doubt. */
static void note_rival(struct backend_control *b, struct server_control *s, const struct verdict *v)
{
    uint64_t now = loop_now_ms(&b->control->loop);
    const struct observation *o = &s->seen;
    if (v->primary == (int)(s - b->servers)) {
        s->rival = false;
        return;
    }
    bool rival = o->reach == REACH_ANSWERED && o->claim == CLAIM_PRIMARY && o->usable &&
                 o->part != PART_GALERA;
    if (rival == s->rival || (s->rival_told_ms > 0 && now < s->rival_told_ms + RIVAL_NEWS_MS)) {
        return;
    }
    s->rival = rival;
    s->rival_told_ms = now;
    events_add(&b->control->events, b->config->name, "claim", "%s %s; %s is the primary",
               s->config->name,
               rival ? "claims to be the primary too, and gets nobody" : "does not claim any more",
               b->config->servers.items[v->primary].name);
}

static void note_rivals(struct backend_control *b, const struct verdict *v)
{
    for (size_t i = 0; i < b->config->servers.count && v->kind == VERDICT_PRIMARY; i++) {
        note_rival(b, &b->servers[i], v);
    }
}

static void note_verdict(struct backend_control *b, const struct verdict *v)
{
    changes_verdict(b, v);
    note_rivals(b, v);
    if (is_news(b, v)) {
        events_add(&b->control->events, b->config->name, kind_word(v), "%s", v->reason);
        b->told = *v;
    }
    bool writes = v->kind == VERDICT_PRIMARY;
    if (writes) {
        b->held_since_ms = 0;
    } else if (b->held_since_ms == 0) {
        b->held_since_ms = loop_now_ms(&b->control->loop);
    }
    b->verdict = *v;
}

bool backend_everybody_was_asked(const struct backend_control *b)
{
    for (size_t i = 0; i < b->config->servers.count; i++) {
        const struct observation *o = &b->servers[i].told;
        if (o->reach != REACH_ANSWERED && o->failures < b->config->probe_fall) {
            return false;
        }
    }
    return true;
}

static bool is_same_channel(const struct channel *a, const struct channel *b)
{
    return a->running == b->running && strcmp(a->source, b->source) == 0;
}

static bool follows_as_before(const struct observation *a, const struct observation *b)
{
    bool same = a->channel_count == b->channel_count;
    for (unsigned i = 0; i < a->channel_count && same; i++) {
        same = is_same_channel(&a->channels[i], &b->channels[i]);
    }
    return same;
}

/* What a server says of itself, but for how far it is. */
static bool says_the_same(const struct observation *a, const struct observation *b)
{
    return a->claim == b->claim && a->usable == b->usable && a->writable == b->writable &&
           a->link_up == b->link_up && a->term == b->term && follows_as_before(a, b) &&
           strcmp(a->identity, b->identity) == 0 && strcmp(a->lineage.id, b->lineage.id) == 0;
}

static bool has_lost_its_link(const struct observation *o)
{
    bool linked = o->part == PART_SOURCE ? o->channel_count > 0 && o->channels[0].running
                                         : o->claim != CLAIM_REPLICA || o->link_up;
    return !linked;
}

/* For clients who are to read their own writes. */
static void publish_caught_up(const struct backend_control *b, size_t server)
{
    const struct server_control *s = &b->servers[server];
    atomic_store_explicit(&b->control->shared->servers[s->config->id]->caught_up_ms,
                          s->follower.caught_up_ms, memory_order_relaxed);
}

void backend_forget_follower(struct backend_control *b, size_t server)
{
    catch_up_forget(&b->servers[server].follower);
    publish_caught_up(b, server);
}

static void note_caught_up(struct backend_control *b, size_t server, const struct observation *o)
{
    if (b->verdict.kind != VERDICT_PRIMARY || b->verdict.primary != (int)server) {
        catch_up_follow(&b->catch_up, &b->servers[server].follower, o);
        publish_caught_up(b, server);
        return;
    }
    backend_forget_follower(b, server);
    catch_up_lead(&b->catch_up, (int)server, o);
    for (size_t i = 0; i < b->config->servers.count; i++) {
        catch_up_refresh(&b->catch_up, &b->servers[i].follower);
        publish_caught_up(b, i);
    }
}

/* Where one thing changes, more does: the next steps are not missed. */
static void note_change(struct backend_control *b, struct server_control *s,
                        const struct observation *o)
{
    bool known = s->told.reach == REACH_ANSWERED;
    if (o->reach != REACH_ANSWERED || (known && says_the_same(&s->told, o))) {
        return;
    }
    if (has_lost_its_link(o)) {
        s->link_lost = o->answered;
    }
    b->watch_until_ms = loop_now_ms(&b->control->loop) + WATCH_MS;
    if (known) {
        doubt_all(b, DOUBT_BURST);
    }
}

static void decide(struct backend_control *b)
{
    struct verdict v;
    backend_elect(b, &v);
    bool doubt = !v.settled;
    bool contest = v.kind == VERDICT_CONTESTED && b->verdict.kind != VERDICT_CONTESTED;
    bool new_doubt = (doubt && b->verdict.settled) || contest;
    bool watch = loop_now_ms(&b->control->loop) < b->watch_until_ms;
    note_verdict(b, &v);
    drill_elected(b);
    if (v.kind == VERDICT_PRIMARY && b->servers[v.primary].seen.reach == REACH_ANSWERED) {
        lag_record(&b->lag, loop_now_ms(&b->control->loop),
                   b->servers[v.primary].seen.lineage.offset,
                   b->config->max_lag.ms * 2 / LAG_SAMPLES);
    }
    if (new_doubt) {
        doubt_all(b, DOUBT_BURST);
    } else {
        set_pace(b, doubt || watch);
    }
}

void backend_decide(struct backend_control *b)
{
    decide(b);
    fence_publish(b->control);
}

/* Without roles: a server that has failed, but not often enough to be down. */
static bool is_any_in_doubt(const struct backend_control *b)
{
    for (size_t i = 0; i < b->config->servers.count; i++) {
        unsigned failures = b->servers[i].told.failures;
        if (failures > 0 && failures < b->config->probe_fall) {
            return true;
        }
    }
    return false;
}

void backend_observe(void *context, size_t server, const struct observation *o)
{
    struct backend_control *b = context;
    struct server_control *s = &b->servers[server];
    if (b->control->stopping) {
        return;
    }
    bool roles = backend_has_roles(b->config);
    if (roles) {
        note_change(b, s, o);
    }
    s->told = *o;
    if (o->greeting.version[0] != '\0') {
        s->greeting = o->greeting;
    }
    s->suspect =
        s->suspect && o->asked <= s->suspected; /* it was asked before: that says nothing */
    if (o->reach != REACH_ANSWERED) {
        tally_failed_probe(b, s);
    }
    judge_health(b, s);
    log_first_failure(b, s);
    if (o->reach == REACH_REFUSED || o->reach == REACH_SILENT) {
        names_doubt(b->control->names, s->config->host);
    }
    if (o->reach == REACH_DENIED) {
        probes_refresh_secret(&b->probes);
    }
    if (roles) {
        decide(b);
        note_caught_up(b, server, o);
    } else {
        s->seen = *o;
        set_pace(b, is_any_in_doubt(b));
    }
    b->first_round_over =
        b->first_round_over || backend_everybody_was_asked(b) || b->verdict.kind == VERDICT_PRIMARY;
    fence_publish(b->control);
}

/* The loss of a kept connection says that something happened, most likely to the server. Of HTTP it
 * says nothing: servers end idle connections, and some end each one after its answer. The probe
 * asks again by itself. */
static void on_lost(void *context, size_t server)
{
    struct backend_control *b = context;
    log_debug("backend=%s server=%s the probe's connection was lost", b->config->name,
              b->servers[server].config->name);
    if (backend_has_roles(b->config)) {
        backend_forget_follower(b, server);
        doubt_all(b, DOUBT_BURST);
    }
}

/* Whoever decides beside the servers has another word. */
void backend_word_changed(struct backend_control *b, bool news)
{
    if (b->control->stopping) {
        return;
    }
    if (news) {
        b->watch_until_ms = loop_now_ms(&b->control->loop) + WATCH_MS;
        doubt_all(b, DOUBT_BURST);
    }
    backend_decide(b);
}

/* Patroni said something, or could not be asked. */
static void on_word(void *context, size_t server, const struct observation *o)
{
    struct backend_control *b = context;
    struct server_control *s = &b->servers[server];
    bool changed = s->word.reach != o->reach || s->word.authority != o->authority;
    s->word = *o;
    backend_word_changed(b, changed);
}

static const struct probes_events probes_events = {
    .role = {.on_observation = backend_observe, .on_lost = on_lost},
    .witness = {.on_observation = on_word, .on_lost = on_lost},
};

bool backend_ready(const struct backend_control *b)
{
    return b->config->probe == PROBE_OFF || b->first_round_over;
}

/* Beginning and end ------------------------------------------------------------------------- */

int backend_init(struct backend_control *b, struct control *c, const struct backend_config *config)
{
    size_t count = config->servers.count;
    *b = (struct backend_control){
        .control = c,
        .config = config,
        .servers = xcalloc(count, sizeof *b->servers),
        .memory = {.incumbent = ELECTION_NOBODY,
                   .servers = xcalloc(count, sizeof *b->memory.servers)},
        .verdict = {.kind = VERDICT_NOBODY,
                    .primary = ELECTION_NOBODY,
                    .reason = "no server was asked yet"},
        .told = {.kind = VERDICT_NOBODY, .primary = ELECTION_NOBODY},
        .paused = UINT64_MAX,
    };
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        list_init(&b->waiters[i]);
    }
    for (size_t i = 0; i < count; i++) {
        b->servers[i].config = &config->servers.items[i];
        b->servers[i].up =
            config->probe == PROBE_OFF && address_is_set(&config->servers.items[i].address);
    }
    authority_init(b);
    backend_take_tls(b);
    probes_init(&b->probes, config, &b->probe_tls, &b->word_tls);
    balance_state_init(&b->balance, uv_hrtime());
    return 0;
}

void backend_take_tls(struct backend_control *b)
{
    b->probe_tls = b->control->certificates->probe_tls[b->config->index];
    b->word_tls = b->control->certificates->word_tls[b->config->index];
}

void backend_release(struct backend_control *b)
{
    authority_release(b);
    probes_release(&b->probes);
    secret_free(b->pool_password);
    balance_state_release(&b->balance);
    free(b->memory.servers);
    free(b->servers);
}

void backend_start(struct backend_control *b)
{
    if (b->config->probe != PROBE_OFF) {
        probes_start(&b->probes, &b->control->loop, &probes_events, b, &b->control->stamp);
        authority_start(b);
    }
}

void backend_stop(struct backend_control *b)
{
    probes_stop(&b->probes);
    authority_stop(b);
    drill_abandon(b);
}
