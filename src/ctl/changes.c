/* What a backend's changes of its primary look like in the flight recorder: backend.c and fence.c
 * tell what happens, the record is written here. */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/control.h"

struct record_counts changes_counts(const struct backend_control *b)
{
    const struct control *c = b->control;
    struct record_counts sum = {0};
    for (unsigned w = 0; w < c->worker_count; w++) {
        for (size_t i = 0; i < c->config->frontend_count; i++) {
            if (config_uses_backend(&c->config->frontends[i], b->config->index)) {
                sum.held += metric_read(&c->workers[w].metrics.frontends[i]->at[FRONTEND_HELD]);
            }
        }
        for (size_t i = 0; i < b->config->servers.count; i++) {
            size_t id = b->config->servers.items[i].id;
            sum.closed += metric_read(&c->workers[w].metrics.servers[id]->at[SERVER_FENCED]);
        }
    }
    return sum;
}

static const char *words_of(const struct observation *o)
{
    static const char *const reach[] = {
        [REACH_UNASKED] = "not asked yet", [REACH_ANSWERED] = "does not say its role",
        [REACH_SILENT] = "silent",         [REACH_REFUSED] = "not reached",
        [REACH_DENIED] = "does not tell",
    };
    if (o->reach == REACH_ANSWERED && o->claim == CLAIM_PRIMARY) {
        return o->usable ? "primary" : "primary, not ready";
    }
    if (o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA) {
        return o->link_up ? "replica of" : "replica, no link to";
    }
    return reach[o->reach];
}

/* "redis-0: silent; redis-1: primary; redis-2: replica of 10.0.0.3:6379" */
static void tell_claims(const struct backend_control *b, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < b->config->servers.count && len < size; i++) {
        const struct observation *o = &b->servers[i].seen;
        bool replica = o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA;
        int n = snprintf(out + len, size - len, "%s%s: %s%s%s", i > 0 ? "; " : "",
                         b->config->servers.items[i].name, words_of(o), replica ? " " : "",
                         !replica                ? ""
                         : o->follows[0] != '\0' ? o->follows
                                                 : "anybody");
        len += n > 0 ? (size_t)n : 0;
    }
}

static void set_name(char out[64], const struct backend_control *b, int server)
{
    snprintf(out, 64, "%s", server >= 0 ? b->config->servers.items[server].name : "");
}

static void explain(struct record *r, const struct backend_control *b, const struct verdict *v)
{
    snprintf(r->evidence, sizeof r->evidence, "%s", v->reason);
    tell_claims(b, r->claims, sizeof r->claims);
}

/* What is open when the next change begins: nobody wrote in between. */
static void close_unwritten(struct record *r, const struct backend_control *b)
{
    r->counts = record_since(r, changes_counts(b));
    r->complete = true;
}

/* Who waits already waits for this to end: workers see that a server is gone before we do. */
static struct record_counts counts_before(const struct backend_control *b)
{
    const struct shared_backend *shared = b->control->shared->backends[b->config->index];
    struct record_counts counts = changes_counts(b);
    uint64_t waiting = atomic_load(&shared->waiting[ROUTE_AUTO]);
    counts.held -= waiting < counts.held ? waiting : counts.held;
    return counts;
}

/* Writes were stopped, or moved on. */
static struct record *begin(struct backend_control *b, const struct verdict *v)
{
    struct recorder *recorder = &b->control->recorder;
    struct record *r = recorder_current(recorder, b->config->index);
    if (r != NULL && r->published_us != RECORD_NEVER) {
        close_unwritten(r, b);
        r = NULL;
    }
    if (r == NULL) {
        bool wrote = b->verdict.kind == VERDICT_PRIMARY;
        r = recorder_open(recorder, b->config->index, counts_before(b));
        snprintf(r->backend_name, sizeof r->backend_name, "%s", b->config->name);
        set_name(r->from, b, wrote ? b->verdict.primary : ELECTION_NOBODY);
    }
    explain(r, b, v);
    return r;
}

void changes_verdict(struct backend_control *b, const struct verdict *v)
{
    const struct verdict *before = &b->verdict;
    bool wrote = before->kind == VERDICT_PRIMARY;
    bool writes = v->kind == VERDICT_PRIMARY;
    struct record *r = recorder_current(&b->control->recorder, b->config->index);
    if ((wrote && !writes) || (writes && v->primary != before->primary)) {
        r = begin(b, v);
    }
    if (r == NULL || r->published_us != RECORD_NEVER) {
        return;
    }
    if (!writes) {
        r->to[0] = '\0'; /* the election took it back */
        r->elected_us = RECORD_NEVER;
    } else if (r->elected_us == RECORD_NEVER || v->primary != before->primary) {
        set_name(r->to, b, v->primary);
        r->elected_us = RECORD_NEVER;
        record_mark(r, &r->elected_us);
        explain(r, b, v);
    }
}

void changes_fenced(struct backend_control *b)
{
    struct record *r = recorder_current(&b->control->recorder, b->config->index);
    tally_fenced(b);
    if (r != NULL) {
        record_mark(r, &r->fenced_us);
    }
}

void changes_published(struct backend_control *b)
{
    struct record *r = recorder_current(&b->control->recorder, b->config->index);
    if (r != NULL && r->elected_us != RECORD_NEVER && r->published_us == RECORD_NEVER) {
        record_mark(r, &r->published_us);
        tally_elected(b);
        atomic_store(&b->control->shared->backends[b->config->index]->write_awaited, true);
    }
}

void changes_written(struct backend_control *b)
{
    struct record *r = recorder_current(&b->control->recorder, b->config->index);
    if (r != NULL && r->published_us != RECORD_NEVER) {
        record_mark(r, &r->written_us);
        r->counts = record_since(r, changes_counts(b));
        r->complete = true;
        events_add(&b->control->events, b->config->name, "written",
                   "the first write after %llu ms went to %s; sessions that waited: %llu, closed: "
                   "%llu",
                   (unsigned long long)(r->written_us / 1000), r->to,
                   (unsigned long long)r->counts.held, (unsigned long long)r->counts.closed);
    }
}
