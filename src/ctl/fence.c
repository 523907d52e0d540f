/* From verdicts to topologies. The rule that everything here serves: a server is published as the
 * primary only when every worker has acknowledged a topology in which no other server of the
 * backend is. So a change of the primary takes two steps: first nobody, and the workers reset what
 * could still write to the old one; then, when all have acknowledged that, the new one. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/apply.h"
#include "ctl/control.h"
#include "ctl/drill.h"
#include "net/mailbox.h"

uint64_t fence_acked_by_all(const struct control *c)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < c->worker_count; i++) {
        if (!c->workers[i].stopped && c->workers[i].acked < least) {
            least = c->workers[i].acked;
        }
    }
    return least;
}

static void explain(struct server_control *s, const char *why)
{
    snprintf(s->reason, sizeof s->reason, "%s", why);
}

/* Replicas ---------------------------------------------------------------------------------- */

static bool primary_is_known(const struct backend_control *b)
{
    return b->verdict.kind == VERDICT_PRIMARY;
}

/* By what the server says itself where it has no position that could be compared. */
static uint64_t lag_in_ms(struct backend_control *b, const struct observation *o)
{
    if (o->part != PART_LINEAGE && o->position < 0) {
        return o->behind_ms > 0 ? (uint64_t)o->behind_ms : 0;
    }
    return lag_ms(&b->lag, loop_now_ms(&b->control->loop), o->lineage.offset);
}

static bool lags(struct backend_control *b, const struct observation *o, char *why, size_t size)
{
    const struct lag_bound *bound = &b->config->max_lag;
    int64_t bytes = lag_bytes(&b->lag, o->lineage.offset);
    uint64_t ms = lag_in_ms(b, o);
    if (bound->bytes > 0 && bytes > (int64_t)bound->bytes) {
        snprintf(why, size, "%lld bytes behind its primary", (long long)bytes);
        return true;
    }
    if (bound->ms > 0 && ms > bound->ms) {
        snprintf(why, size, "%llu ms behind its primary", (unsigned long long)ms);
        return true;
    }
    return false;
}

/* The replica has the data that the primary here writes. */
static bool has_our_data(const struct backend_control *b, const struct observation *o)
{
    if (b->memory.incumbent < 0) {
        return true;
    }
    return strcmp(o->lineage.id, b->memory.elected.id) == 0;
}

/* What an answering replica may be used for. */
static enum access replica_access(struct backend_control *b, struct server_control *s)
{
    const struct observation *o = &s->seen;
    char why[ELECTION_REASON_MAX] = "";
    if (!o->link_up || o->syncing) {
        snprintf(why, sizeof why, "%s %s%s%.80s",
                 o->syncing ? "synchronises with" : "has no link to",
                 o->follows[0] != '\0' ? o->follows : "a primary", o->why[0] != '\0' ? ": " : "",
                 o->why);
    } else if (o->part == PART_LINEAGE && o->lineage.offset <= 0) {
        snprintf(why, sizeof why, "has received nothing yet");
    } else if (!has_our_data(b, o)) {
        snprintf(why, sizeof why, "follows %s, which is not the primary here", o->follows);
    } else if (o->readable == WORD_NO) {
        snprintf(why, sizeof why, "Patroni says that it is not to be read");
    } else if (!lags(b, o, why, sizeof why)) {
        snprintf(why, sizeof why, "follows %s", o->follows[0] != '\0' ? o->follows : "the primary");
        explain(s, why);
        return s->suspect || !s->up ? ACCESS_QUIET : ACCESS_OPEN;
    }
    explain(s, why);
    /* Without a primary every link is down: who reads goes on reading what there is. And a link
     * that is just lost says nothing against the replica until the primary has been heard after it.
     */
    bool blame = primary_is_known(b) &&
                 (o->link_up || b->servers[b->verdict.primary].seen.asked > s->link_lost);
    return blame ? ACCESS_DRAIN : ACCESS_QUIET;
}

/* The readers of a replica that is promoted stay, but it must not take a write from them before it
 * is elected. */
static bool is_promoted_in_contest(const struct backend_control *b, const struct server_control *s)
{
    return b->verdict.kind == VERDICT_CONTESTED && s->role == ROLE_REPLICA &&
           s->access >= ACCESS_QUIET && s->seen.reach == REACH_ANSWERED && s->seen.usable;
}

/* Every server but the primary: what it may be used for by its own word and the election's. */
static void judge_other(struct backend_control *b, struct server_control *s,
                        struct topology_server *out)
{
    const struct observation *o = &s->seen;
    if (o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA) {
        out->role = ROLE_REPLICA;
        out->access = replica_access(b, s);
    } else if (o->reach == REACH_ANSWERED && o->part == PART_GALERA && o->usable) {
        out->role = ROLE_REPLICA; /* it has everything, and takes no writes from us */
        out->access = s->suspect || !s->up ? ACCESS_QUIET : ACCESS_OPEN;
        explain(s, "synced; another one takes the writes");
    } else if (is_promoted_in_contest(b, s)) {
        out->role = ROLE_REPLICA;
        out->access = ACCESS_PAUSE;
        explain(s, "was promoted; its readers stand still until it is decided");
    } else if (o->reach == REACH_ANSWERED || s->access == ACCESS_PAUSE) {
        /* It claims, or that was its last word before it fell silent in a contest. */
        out->role = ROLE_UNKNOWN;
        out->access = ACCESS_NONE;
        explain(s, o->usable ? "claims to be the primary, but was not elected" : o->why);
    } else {
        /* Not reached or not told: a replica stays one, but for how long it is used depends. */
        out->role = s->role == ROLE_REPLICA ? ROLE_REPLICA : ROLE_UNKNOWN;
        out->access = out->role == ROLE_REPLICA ? (s->up && !s->suspect ? s->access : ACCESS_QUIET)
                                                : ACCESS_NONE;
        explain(s, o->reach == REACH_UNASKED ? "not asked yet" : o->why);
    }
}

/* The primary ------------------------------------------------------------------------------- */

static bool is_taken_out(const struct server_control *s)
{
    return s->admin != ADMIN_READY;
}

/* Who is to stand still because the operator has taken the primary out does not do so for longer
 * than a client may wait. */
static bool is_out_of_patience(const struct backend_control *b, const struct server_control *s)
{
    return is_taken_out(s) && b->verdict.kind != VERDICT_PRIMARY &&
           loop_now_ms(&b->control->loop) >= s->admin_since_ms + b->config->queue_timeout;
}

static enum access primary_access(const struct backend_control *b)
{
    switch (b->verdict.kind) {
    case VERDICT_PRIMARY:
        return b->servers[b->verdict.primary].suspect ? ACCESS_QUIET : ACCESS_OPEN;
    case VERDICT_CONTESTED:
        return ACCESS_PAUSE;
    case VERDICT_HOLD:
        return is_taken_out(&b->servers[b->verdict.primary]) ? ACCESS_PAUSE : ACCESS_QUIET;
    case VERDICT_NOBODY:
        break;
    }
    return ACCESS_NONE;
}

/* Takes back a server that was published as the primary and is not to be any more. True while some
 * worker may still act upon that. */
static bool take_back(struct server_control *s, struct topology_server *out, uint64_t generation,
                      uint64_t acked)
{
    struct server_fence *f = &s->fence;
    if (!f->exposed) {
        return false;
    }
    if (f->fenced_at == 0) {
        f->fenced_at = generation;
    }
    if (acked >= f->fenced_at) {
        *f = (struct server_fence){0};
        return false;
    }
    bool says_replica =
        out->role == ROLE_REPLICA && out->access != ACCESS_NONE && s->seen.claim == CLAIM_REPLICA;
    if (!says_replica) {
        out->role = ROLE_UNKNOWN;
        out->access = ACCESS_NONE;
    }
    return true;
}

static void compose_roles(struct backend_control *b, struct topology_backend *out,
                          uint64_t generation, uint64_t acked)
{
    int elected = b->verdict.kind == VERDICT_NOBODY ? ELECTION_NOBODY : b->verdict.primary;
    bool old_one_out = false;
    if (elected != ELECTION_NOBODY && is_out_of_patience(b, &b->servers[elected])) {
        elected = ELECTION_NOBODY;
    }
    for (size_t i = 0; i < b->config->servers.count; i++) {
        if ((int)i != elected) {
            judge_other(b, &b->servers[i], &out->servers[i]);
            old_one_out =
                take_back(&b->servers[i], &out->servers[i], generation, acked) || old_one_out;
        }
    }
    b->fencing = old_one_out;
    if (elected == ELECTION_NOBODY) {
        return;
    }
    struct server_control *s = &b->servers[elected];
    if (old_one_out) {
        /* A replica that was promoted keeps its readers, but not a byte goes to it yet. */
        bool readers = s->role == ROLE_REPLICA && s->access >= ACCESS_QUIET;
        out->servers[elected] =
            readers ? (struct topology_server){.role = ROLE_REPLICA, .access = ACCESS_PAUSE}
                    : (struct topology_server){.role = ROLE_UNKNOWN, .access = ACCESS_NONE};
        explain(s, "elected; waits until the old primary is fenced");
        return;
    }
    out->primary = elected;
    out->servers[elected] =
        (struct topology_server){.role = ROLE_PRIMARY, .access = primary_access(b)};
    s->fence = (struct server_fence){.exposed = true};
    explain(s, b->verdict.reason);
}

/* Without roles ----------------------------------------------------------------------------- */

static void compose_plain(struct backend_control *b, struct topology_backend *out)
{
    for (size_t i = 0; i < b->config->servers.count; i++) {
        struct server_control *s = &b->servers[i];
        out->servers[i] = (struct topology_server){
            .role = ROLE_UNKNOWN, .access = s->up && !s->suspect ? ACCESS_OPEN : ACCESS_QUIET};
        explain(s, s->up ? "" : s->seen.reach == REACH_UNASKED ? "not asked yet" : s->seen.why);
    }
}

/* By the operator's hand ---------------------------------------------------------------------- */

/* Nobody new comes to a server that is taken out, or that has no weight. */
static void keep_out(struct backend_control *b, struct topology_backend *out)
{
    for (size_t i = 0; i < b->config->servers.count; i++) {
        struct server_control *s = &b->servers[i];
        bool out_by_hand = is_taken_out(s);
        if (out->servers[i].access != ACCESS_OPEN || (!out_by_hand && s->config->weight > 0)) {
            continue;
        }
        out->servers[i].access = ACCESS_QUIET;
        explain(s, !out_by_hand              ? "its weight is 0"
                   : s->admin == ADMIN_DRAIN ? "drained by the operator"
                                             : "in maintenance by the operator's word");
    }
}

/* Whoever may go on stands still instead. */
static void stand_still(const struct backend_control *b, struct topology_backend *out)
{
    for (size_t i = 0; i < b->config->servers.count && b->paused_by_hand; i++) {
        struct topology_server *s = &out->servers[i];
        s->access = s->access >= ACCESS_QUIET ? ACCESS_PAUSE : s->access;
    }
}

/* Whatever else a server is: how it greets stays true. */
static void compose_greetings(const struct backend_control *b, struct topology_backend *out)
{
    for (size_t i = 0; i < b->config->servers.count; i++) {
        out->servers[i].greeting = b->servers[i].greeting;
    }
}

/* Publishing -------------------------------------------------------------------------------- */

static bool same_backend(const struct topology_backend *a, const struct topology_backend *b,
                         size_t count)
{
    if (a->primary != b->primary) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (a->servers[i].role != b->servers[i].role ||
            a->servers[i].access != b->servers[i].access ||
            !greeting_equal(&a->servers[i].greeting, &b->servers[i].greeting)) {
            return false;
        }
    }
    return true;
}

static bool same(const struct topology *a, const struct topology *b)
{
    bool equal = a->config == b->config && a->draining == b->draining && a->ending == b->ending;
    for (size_t i = 0; i < a->config->backend_count && equal; i++) {
        equal =
            same_backend(&a->backends[i], &b->backends[i], a->config->backends[i].servers.count);
    }
    return equal;
}

static void send_to_workers(struct control *c)
{
    for (unsigned i = 0; i < c->worker_count; i++) {
        struct message_topology *m = xcalloc(1, sizeof *m);
        *m = (struct message_topology){{.run = c->tell->topology},
                                       topology_ref(c->published),
                                       apply_change(c, i),
                                       i,
                                       c->published->generation};
        mailbox_post(c->workers[i].mailbox, &m->message);
    }
    apply_sent(c);
}

static void remember_published(struct control *c)
{
    for (size_t i = 0; i < c->config->backend_count; i++) {
        struct backend_control *b = c->backends[i];
        for (size_t j = 0; j < b->config->servers.count; j++) {
            const struct topology_server *t = &c->published->backends[i].servers[j];
            if (b->servers[j].role != t->role || b->servers[j].access != t->access) {
                b->servers[j].changed_ms = loop_now_ms(&c->loop);
            }
            b->servers[j].role = t->role;
            b->servers[j].access = t->access;
        }
    }
}

/* Since when all living sessions of a contested primary stand still. */
static void note_pause(struct backend_control *b, const struct topology *t)
{
    const struct topology_backend *tb = &t->backends[b->config->index];
    bool paused = tb->primary >= 0 && tb->servers[tb->primary].access == ACCESS_PAUSE;
    if (!paused) {
        b->paused_in = 0;
        b->paused = UINT64_MAX;
    } else if (b->paused_in == 0) {
        b->paused_in = t->generation;
    }
}

/* The recorder's lines about the two steps. */
static void note_fence(struct backend_control *b, bool was_fencing)
{
    struct events *e = &b->control->events;
    uint64_t now = loop_now_ms(&b->control->loop);
    if (b->fencing && !was_fencing) {
        b->fencing_since_ms = now;
    } else if (!b->fencing && was_fencing) {
        changes_fenced(b);
        events_add(e, b->config->name, "fence",
                   "no worker writes to the old primary any more (%llu ms)",
                   (unsigned long long)(now - b->fencing_since_ms));
    }
}

static void compose(struct control *c, struct topology *t)
{
    uint64_t acked = fence_acked_by_all(c);
    t->generation = c->published->generation + 1;
    t->draining = c->drain.doors_closed;
    t->ending = t->draining && (!c->drain.for_successor || c->drain.asked);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        struct backend_control *b = c->backends[i];
        bool was_fencing = b->fencing;
        if (backend_has_roles(b->config)) {
            compose_roles(b, &t->backends[i], t->generation, acked);
        } else {
            compose_plain(b, &t->backends[i]);
        }
        keep_out(b, &t->backends[i]);
        drill_compose(b, &t->backends[i]);
        stand_still(b, &t->backends[i]);
        compose_greetings(b, &t->backends[i]);
        note_fence(b, was_fencing);
        note_pause(b, t);
    }
}

void fence_publish(struct control *c)
{
    if (c->stopping) {
        return;
    }
    struct topology *t = topology_new(c->config);
    if (t == NULL) {
        return; /* the old one stays in force; the next observation tries again */
    }
    compose(c, t);
    if (c->sent_config == c->config && same(t, c->published)) {
        topology_unref(t);
        return;
    }
    topology_unref(c->published);
    c->published = t;
    remember_published(c);
    tally_published(c);
    send_to_workers(c);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (t->backends[i].primary >= 0) {
            changes_published(c->backends[i]);
        }
        waiting_serve(c->backends[i]);
    }
}
