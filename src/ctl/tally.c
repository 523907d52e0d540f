#include "ctl/tally.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ctl/control.h"

/* Growing ----------------------------------------------------------------------------------- */

/* What belongs to the slots is found by them, so it stays where it is. */
static void extend(void ***table, size_t *count, size_t wanted, size_t size)
{
    if (*count >= wanted) {
        return;
    }
    *table = xrealloc(*table, wanted * sizeof **table);
    while (*count < wanted) {
        (*table)[(*count)++] = xcalloc(1, size);
    }
}

static struct tally *grown(struct control *c)
{
    struct tally *t = &c->tally;
    extend((void ***)&t->frontends, &t->frontend_count, c->config->frontend_count,
           sizeof **t->frontends);
    extend((void ***)&t->backends, &t->backend_count, c->config->backend_count,
           sizeof **t->backends);
    extend((void ***)&t->servers, &t->server_count, c->config->server_count, sizeof **t->servers);
    return t;
}

static void release(void **table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(table[i]);
    }
    free(table);
}

void tally_release(struct tally *t)
{
    release((void **)t->frontends, t->frontend_count);
    release((void **)t->backends, t->backend_count);
    release((void **)t->servers, t->server_count);
    *t = (struct tally){0};
}

/* Nothing yet: the first look makes the tables. */
const struct tally_frontend *tally_of_frontend(const struct control *c, size_t frontend)
{
    static const struct tally_frontend none;
    return frontend < c->tally.frontend_count ? c->tally.frontends[frontend] : &none;
}

const struct tally_backend *tally_of_backend(const struct control *c, size_t backend)
{
    static const struct tally_backend none;
    return backend < c->tally.backend_count ? c->tally.backends[backend] : &none;
}

const struct tally_server *tally_of_server(const struct control *c, size_t id)
{
    static const struct tally_server none;
    return id < c->tally.server_count ? c->tally.servers[id] : &none;
}

/* The workers' counters --------------------------------------------------------------------- */

struct total {
    uint64_t value;
    uint64_t count; /* of an average: how many values there are in it */
};

static void add(struct total *t, enum metric_kind kind, _Atomic uint64_t *slot)
{
    uint64_t value = metric_read(slot);
    if (kind == METRIC_peak) {
        t->value = value > t->value ? value : t->value;
        return;
    }
    t->value += value;
    if (kind == METRIC_average) {
        uint64_t count = metric_read(slot + 1);
        t->count += count < METRIC_SAMPLES ? count : METRIC_SAMPLES;
    }
}

static uint64_t result(struct total t, enum metric_kind kind, uint64_t without)
{
    if (kind == METRIC_average) {
        return t.count > 0 ? t.value / t.count : 0;
    }
    return kind == METRIC_peak || kind == METRIC_gauge ? t.value : t.value - without;
}

uint64_t tally_frontend_metric(const struct control *c, size_t frontend, enum frontend_metric m)
{
    enum metric_kind kind = frontend_metric_words[m].kind;
    struct total t = {0};
    for (unsigned i = 0; i < c->worker_count; i++) {
        add(&t, kind, &c->workers[i].metrics.frontends[frontend]->at[m]);
    }
    return result(t, kind, tally_of_frontend(c, frontend)->without[m]);
}

uint64_t tally_backend_metric(const struct control *c, size_t backend, enum backend_metric m)
{
    enum metric_kind kind = backend_metric_words[m].kind;
    struct total t = {0};
    for (unsigned i = 0; i < c->worker_count; i++) {
        add(&t, kind, &c->workers[i].metrics.backends[backend]->at[m]);
    }
    return result(t, kind, tally_of_backend(c, backend)->without[m]);
}

uint64_t tally_server_metric(const struct control *c, size_t id, enum server_metric m)
{
    enum metric_kind kind = server_metric_words[m].kind;
    struct total t = {0};
    for (unsigned i = 0; i < c->worker_count; i++) {
        add(&t, kind, &c->workers[i].metrics.servers[id]->at[m]);
    }
    return result(t, kind, tally_of_server(c, id)->without[m]);
}

uint64_t tally_backend_sum(const struct control *c, size_t backend, enum server_metric m)
{
    const struct server_list *servers = &c->config->backends[backend].servers;
    uint64_t sum = tally_of_backend(c, backend)->gone[m];
    for (size_t i = 0; i < servers->count; i++) {
        sum += tally_server_metric(c, servers->items[i].id, m);
    }
    return sum;
}

uint64_t tally_whole(const struct control *c, enum frontend_metric m)
{
    uint64_t sum = c->tally.gone[m];
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        sum += tally_frontend_metric(c, i, m);
    }
    return sum;
}

/* Rates ------------------------------------------------------------------------------------- */

static void look_at(struct rate *r, uint64_t total, uint64_t passed_ns, uint64_t now_ms)
{
    uint64_t more = total > r->total ? total - r->total : 0;
    r->total = total;
    r->now = passed_ns > 0 ? (more * 1000000000 + passed_ns / 2) / passed_ns : 0;
    r->max = r->now > r->max ? r->now : r->max;
    r->last_ms = more > 0 ? now_ms : r->last_ms;
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* Of the time that all workers had together. */
static void look_at_cpu(struct tally *t, unsigned workers, uint64_t passed_ns)
{
    uint64_t now = cpu_ns();
    uint64_t had = passed_ns * (workers > 0 ? workers : 1);
    uint64_t used = now - t->cpu_ns;
    t->cpu_ns = now;
    t->idle_percent = passed_ns == 0 ? 100 : used < had ? (unsigned)(100 - used * 100 / had) : 0;
}

static void look_at_frontends(struct control *c, struct tally *t, uint64_t passed, uint64_t now_ms)
{
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        struct tally_frontend *f = t->frontends[i];
        look_at(&f->sessions, tally_frontend_metric(c, i, FRONTEND_SESSIONS_TOTAL), passed, now_ms);
        look_at(&f->connections, tally_frontend_metric(c, i, FRONTEND_CONNECTIONS_TOTAL), passed,
                now_ms);
    }
    look_at(&t->sessions, tally_whole(c, FRONTEND_SESSIONS_TOTAL), passed, now_ms);
    look_at(&t->connections, tally_whole(c, FRONTEND_CONNECTIONS_TOTAL), passed, now_ms);
    look_at(&t->bytes_out, tally_whole(c, FRONTEND_BYTES_OUT), passed, now_ms);
}

void tally_look(struct control *c)
{
    struct tally *t = grown(c);
    uint64_t now_ns = uv_hrtime();
    uint64_t passed = t->looked_ns > 0 ? now_ns - t->looked_ns : 0;
    uint64_t now_ms = loop_now_ms(&c->loop);
    t->looked_ns = now_ns;
    look_at_cpu(t, c->worker_count, passed);
    look_at_frontends(c, t, passed, now_ms);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        look_at(&t->backends[i]->sessions, tally_backend_metric(c, i, BACKEND_SESSIONS_TOTAL),
                passed, now_ms);
    }
    for (size_t i = 0; i < c->config->server_count; i++) {
        look_at(&t->servers[i]->sessions, tally_server_metric(c, i, SERVER_SESSIONS_TOTAL), passed,
                now_ms);
    }
}

/* Up and down ------------------------------------------------------------------------------- */

static void turn(struct spell *s, bool up, const struct control *c)
{
    uint64_t now = loop_now_ms(&c->loop);
    if (s->up == up) {
        return;
    }
    if (up) {
        s->down_ms += now - (s->changed_ms > 0 ? s->changed_ms : c->started_ms);
    } else {
        s->falls++;
    }
    s->up = up;
    s->changed_ms = now > 0 ? now : 1;
}

void tally_server_up(struct backend_control *b, const struct server_control *s, bool up)
{
    turn(&grown(b->control)->servers[s->config->id]->spell, up, b->control);
}

void tally_failed_probe(struct backend_control *b, const struct server_control *s)
{
    grown(b->control)->servers[s->config->id]->failed_probes++;
}

void tally_published(struct control *c)
{
    struct tally *t = grown(c);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        bool up = false;
        for (size_t s = 0; s < c->config->backends[i].servers.count; s++) {
            up = up || c->published->backends[i].servers[s].access == ACCESS_OPEN;
        }
        turn(&t->backends[i]->spell, up, c);
    }
}

void tally_elected(struct backend_control *b)
{
    grown(b->control)->backends[b->config->index]->elections++;
}

void tally_fenced(struct backend_control *b)
{
    grown(b->control)->backends[b->config->index]->fences++;
}

/* Forgetting -------------------------------------------------------------------------------- */

/* Peaks and averages are the workers' own; to set one back beside them costs at most a value. */
static void set_back(_Atomic uint64_t *slots, const struct metric_words *words, size_t count,
                     bool averages)
{
    for (size_t m = 0; m < count; m++) {
        if (words[m].kind == METRIC_peak) {
            atomic_store_explicit(&slots[m], 0, memory_order_relaxed);
        } else if (words[m].kind == METRIC_average && averages) {
            atomic_store_explicit(&slots[m], 0, memory_order_relaxed);
            atomic_store_explicit(&slots[m + 1], 0, memory_order_relaxed);
        }
    }
}

static void set_peak(atomic_uint *peak, const atomic_uint *count)
{
    atomic_store_explicit(peak, atomic_load_explicit(count, memory_order_relaxed),
                          memory_order_relaxed);
}

static void begin_again(struct rate *r, bool all)
{
    r->max = 0;
    if (all) {
        r->total = 0;
        r->now = 0;
    }
}

static void clear_frontend(struct control *c, size_t i, bool all)
{
    struct tally_frontend *f = grown(c)->frontends[i];
    struct shared_frontend *shared = c->shared->frontends[i];
    for (size_t m = 0; m < FRONTEND_METRIC_COUNT && all; m++) {
        f->without[m] += tally_frontend_metric(c, i, (enum frontend_metric)m);
    }
    begin_again(&f->sessions, all);
    begin_again(&f->connections, all);
    set_peak(&shared->sessions_peak, &shared->sessions);
}

static void clear_backend(struct control *c, size_t i, bool all)
{
    struct tally_backend *b = grown(c)->backends[i];
    struct shared_backend *shared = c->shared->backends[i];
    for (unsigned w = 0; w < c->worker_count; w++) {
        set_back(c->workers[w].metrics.backends[i]->at, backend_metric_words, BACKEND_METRIC_COUNT,
                 all);
    }
    for (size_t m = 0; m < BACKEND_METRIC_COUNT && all; m++) {
        b->without[m] += tally_backend_metric(c, i, (enum backend_metric)m);
    }
    if (all) {
        memset(b->gone, 0, sizeof b->gone);
        b->spell.falls = 0;
        b->elections = 0;
        b->fences = 0;
    }
    begin_again(&b->sessions, all);
    set_peak(&shared->sessions_peak, &shared->sessions);
    set_peak(&shared->waiting_peak, &shared->waiting[ROUTE_AUTO]);
}

static void clear_server(struct control *c, size_t id, bool all)
{
    struct tally_server *s = grown(c)->servers[id];
    struct shared_server *shared = c->shared->servers[id];
    for (unsigned w = 0; w < c->worker_count; w++) {
        set_back(c->workers[w].metrics.servers[id]->at, server_metric_words, SERVER_METRIC_COUNT,
                 all);
    }
    for (size_t m = 0; m < SERVER_METRIC_COUNT && all; m++) {
        s->without[m] += tally_server_metric(c, id, (enum server_metric)m);
    }
    if (all) {
        s->spell.falls = 0;
        s->failed_probes = 0;
    }
    begin_again(&s->sessions, all);
    set_peak(&shared->connections_peak, &shared->connections);
}

void tally_clear(struct control *c, bool all)
{
    struct tally *t = grown(c);
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        clear_frontend(c, i, all);
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        clear_backend(c, i, all);
    }
    for (size_t i = 0; i < c->config->server_count; i++) {
        clear_server(c, i, all);
    }
    if (all) {
        memset(t->gone, 0, sizeof t->gone);
    }
    begin_again(&t->sessions, all);
    begin_again(&t->connections, all);
    begin_again(&t->bytes_out, all);
    set_peak(&c->shared->router->sessions_peak, &c->shared->router->sessions);
}

void tally_forget_frontend(struct control *c, size_t frontend)
{
    struct tally *t = grown(c);
    for (size_t m = 0; m < FRONTEND_METRIC_COUNT; m++) {
        t->gone[m] += tally_frontend_metric(c, frontend, (enum frontend_metric)m);
    }
    clear_frontend(c, frontend, true);
    t->frontends[frontend]->sessions = (struct rate){0};
    t->frontends[frontend]->connections = (struct rate){0};
}

void tally_forget_backend(struct control *c, size_t backend)
{
    struct tally_backend *b = grown(c)->backends[backend];
    clear_backend(c, backend, true);
    b->sessions = (struct rate){0};
    b->spell = (struct spell){.changed_ms = loop_now_ms(&c->loop)};
}

void tally_forget_server(struct control *c, size_t backend, size_t id)
{
    struct tally *t = grown(c);
    for (size_t m = 0; m < SERVER_METRIC_COUNT; m++) {
        t->backends[backend]->gone[m] += tally_server_metric(c, id, (enum server_metric)m);
    }
    clear_server(c, id, true);
    t->servers[id]->sessions = (struct rate){0};
    t->servers[id]->spell = (struct spell){.changed_ms = loop_now_ms(&c->loop)};
}
