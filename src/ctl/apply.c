#include "ctl/apply.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl/control.h"
#include "ctl/named.h"
#include "ctl/names.h"
#include "ctl/own_key.h"
#include "ctl/predecessor.h"
#include "model/cancel_table.h"
#include "model/client_table.h"
#include "model/config_follow.h"
#include "net/tls_tickets.h"

/* A probe that is closed may finish its login with what the old configuration says. */
#define LINGER_MS   2000
#define LEAVING_MAX 16  /* beyond, reloads wait */
#define CHANGES_MAX 256 /* beyond, nothing is changed */

/* What an old configuration leaves behind until nobody needs it. */
struct leaving {
    struct list node;        /* in control.leaving */
    uint64_t generation;     /* all workers have to acknowledge it; 0 = it was not sent yet */
    uint64_t until_ms;       /* loop time */
    struct config *config;   /* owned (ref); NULL: the first one, which is borrowed */
    struct shared *shared;   /* owned: the way, not the counters */
    struct metrics *metrics; /* owned: each worker's tables, not the slots */
    unsigned workers;
    struct backend_control **backends; /* owned: whose place another one has taken */
    size_t backend_count;
};

/* Who is used ------------------------------------------------------------------------------- */

/* A worker that has not heard of the last change may still choose what is gone by it, and a server
 * that was published as the primary is not forgotten before all have taken that back. */
static bool may_be_chosen(const struct control *c)
{
    return c->sent_config != c->config || fence_acked_by_all(c) < c->published->generation;
}

static bool frontend_is_used(const void *context, size_t index)
{
    const struct control *c = context;
    return may_be_chosen(c) || atomic_load(&c->shared->frontends[index]->sessions) > 0;
}

static bool backend_is_used(const void *context, size_t index)
{
    const struct control *c = context;
    return may_be_chosen(c) || atomic_load(&c->shared->backends[index]->users) > 0;
}

static bool server_is_used(const void *context, size_t id)
{
    const struct control *c = context;
    const struct shared_server *s = c->shared->servers[id];
    return may_be_chosen(c) || atomic_load(&s->connections) > 0 || atomic_load(&s->settling) > 0;
}

/* What can fail ----------------------------------------------------------------------------- */

struct plan {
    struct config *next;
    bool derived; /* it shares its certificates' files with the running one */
    struct certificates certificates;
    struct sockets sockets;
    struct control_size size;
};

static int read_certificates(struct plan *p, char why[APPLY_WHY_MAX])
{
    if (p->derived) {
        return 0;
    }
    int rc = certificates_init(&p->certificates, p->next, why);
    if (rc != 0) {
        certificates_release(&p->certificates);
    }
    return rc;
}

/* Nothing is left open or changed if it fails. */
static int prepare(struct control *c, struct plan *p, char why[APPLY_WHY_MAX])
{
    if (c->draining || c->stopping || c->upgrade != NULL) {
        snprintf(why, APPLY_WHY_MAX, "the router is about to end");
        return UV_ECANCELED;
    }
    if (!p->derived && !predecessor_is_over(c)) {
        snprintf(why, APPLY_WHY_MAX, "the process before serves still");
        return UV_EBUSY;
    }
    if (c->leaving_count >= CHANGES_MAX) {
        snprintf(why, APPLY_WHY_MAX, "too many changes at once: try again in a few seconds");
        return UV_EBUSY;
    }
    config_follow(p->next, c->config,
                  &(struct config_usage){frontend_is_used, backend_is_used, server_is_used, c});
    if (c->worker_count == 0) {
        return read_certificates(p, why); /* nobody listens, as with --probe */
    }
    int rc =
        c->size(p->next, c->worker_count, sockets_count(p->next), &p->size, why, APPLY_WHY_MAX);
    rc = rc != 0 ? rc : read_certificates(p, why);
    if (rc != 0) {
        return rc;
    }
    own_key_prepare(p->next);
    rc = sockets_follow(&c->bound, p->next, &p->sockets, why);
    if (rc != 0 && !p->derived) {
        certificates_release(&p->certificates);
    }
    return rc;
}

/* What follows ------------------------------------------------------------------------------ */

static struct leaving *leave(struct control *c)
{
    struct leaving *l = xcalloc(1, sizeof *l);
    *l = (struct leaving){
        .config = c->own_config,
        .shared = c->shared,
        .metrics = xcalloc(c->worker_count + 1, sizeof *l->metrics),
        .workers = c->worker_count,
        .backends = xcalloc(c->config->backend_count + 1, sizeof(struct backend_control *)),
    };
    uint64_t linger = 0;
    for (size_t i = 0; i < c->config->backend_count; i++) {
        const struct backend_config *b = &c->config->backends[i];
        uint64_t timeout = b->probe != PROBE_OFF ? 2 * b->probe_timeout + LINGER_MS : 0;
        linger = timeout > linger ? timeout : linger;
    }
    l->until_ms = loop_now_ms(&c->loop) + linger;
    list_append(&c->leaving, &l->node);
    c->leaving_count++;
    return l;
}

static void follow_counters(struct control *c, const struct plan *p, struct leaving *l)
{
    c->shared = shared_extend(l->shared, p->next, p->size.max_sessions);
    for (unsigned i = 0; i < c->worker_count; i++) {
        l->metrics[i] = c->workers[i].metrics;
        metrics_extend(&c->workers[i].metrics, &l->metrics[i], p->next);
    }
    bool by_address = config_limits_by_address(p->next);
    if (by_address && c->clients == NULL) {
        c->clients = client_table_new(client_table_size(p->size.max_sessions));
    }
    if (p->size.cancels && c->cancels == NULL) {
        c->cancels = cancel_table_new(p->size.max_sessions);
    }
}

static void follow_certificates(struct control *c, struct plan *p)
{
    if (p->derived) {
        certificates_adopt(c->certificates, p->next);
    } else {
        struct certificates old = *c->certificates;
        *c->certificates = p->certificates;
        certificates_release(&old);
        certificates_tell(c->certificates, time(NULL), true);
    }
}

static void begin_backend(struct control *c, size_t i)
{
    c->backends[i] = xcalloc(1, sizeof **c->backends);
    backend_init(c->backends[i], c, &c->config->backends[i]);
    backend_start(c->backends[i]);
}

/* Another backend has the place now. */
static bool is_replaced(const struct config *was, const struct config *now, size_t i)
{
    return !config_same_backend(&was->backends[i], &now->backends[i]);
}

static void follow_backends(struct control *c, const struct config *was, struct leaving *l)
{
    const struct config *now = c->config;
    c->backends =
        xrealloc(c->backends, (now->backend_count + 1) * sizeof(struct backend_control *));
    for (size_t i = 0; i < now->backend_count; i++) {
        if (i >= was->backend_count) {
            begin_backend(c, i);
        } else if (is_replaced(was, now, i)) {
            backend_stop(c->backends[i]);
            l->backends[l->backend_count++] = c->backends[i];
            begin_backend(c, i);
        } else {
            bool anew = config_changed_probes(was, now, i) != NULL;
            backend_adopt(c->backends[i], &now->backends[i], anew);
        }
    }
}

/* Whether `c` has the very server under that id. */
static bool has_server(const struct config *c, const struct server_config *like)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct server_list *l = &c->backends[i].servers;
        for (size_t j = 0; j < l->count; j++) {
            const struct server_config *s = &l->items[j];
            if (s->id == like->id) {
                return config_same_server(s, like);
            }
        }
    }
    return false;
}

/* What was counted for whom others take the place of now. Nobody counts there: no session was left,
 * and no worker is told of the new one yet. */
static void forget_counts(struct control *c, const struct config *next)
{
    const struct config *was = c->config;
    for (size_t i = 0; i < was->backend_count; i++) {
        const struct server_list *l = &was->backends[i].servers;
        for (size_t j = 0; j < l->count; j++) {
            if (!has_server(next, &l->items[j])) {
                tally_forget_server(c, i, l->items[j].id);
            }
        }
        if (is_replaced(was, next, i)) {
            tally_forget_backend(c, i);
        }
    }
    for (size_t i = 0; i < was->frontend_count; i++) {
        if (strcmp(was->frontends[i].name, next->frontends[i].name) != 0) {
            tally_forget_frontend(c, i);
        }
        if (was->frontends[i].gone) { /* what was said of it ended with it */
            atomic_store(&c->shared->frontends[i]->disabled, false);
        }
    }
}

static void follow(struct control *c, struct plan *p)
{
    forget_counts(c, p->next);
    struct leaving *l = leave(c);
    const struct config *was = c->config;
    follow_counters(c, p, l);
    uv_mutex_lock(&c->config_lock);
    c->config = p->next;
    uv_mutex_unlock(&c->config_lock);
    c->own_config = p->next;
    follow_certificates(c, p);
    sockets_replace(&c->bound, &p->sockets);
    c->refusing_max = p->size.refusing_max;
    follow_backends(c, was, l);
    RAND_bytes(c->ticket_seed, sizeof c->ticket_seed);
    fence_publish(c);
}

bool apply_is_busy(const struct control *c)
{
    return c->leaving_count >= LEAVING_MAX;
}

int control_apply(struct control *c, struct config *next, char why[APPLY_WHY_MAX])
{
    struct plan p = {.next = next, .derived = next->owner != NULL};
    why[0] = '\0';
    if (!p.derived) {
        named_fill(c, next);
    }
    int rc = prepare(c, &p, why);
    if (rc != 0) {
        config_free(next);
        return rc;
    }
    follow(c, &p);
    names_follow(c->names);
    return 0;
}

/* To the workers ---------------------------------------------------------------------------- */

static struct tls_context **refs_of(struct tls_context *const *contexts, size_t count)
{
    struct tls_context **copy = xcalloc(count + 1, sizeof(struct tls_context *));
    for (size_t i = 0; i < count; i++) {
        copy[i] = contexts[i] != NULL ? tls_context_ref(contexts[i]) : NULL;
    }
    return copy;
}

/* It listens as soon as it is our turn. */
static struct change_listener *listeners_for(struct control *c, unsigned worker)
{
    struct sockets *s = &c->bound;
    bool listens = predecessor_is_over(c);
    struct change_listener *out = xcalloc(s->count + 1, sizeof(*out));
    for (size_t i = 0; i < s->count; i++) {
        struct bound *b = &s->items[i];
        out[i] =
            (struct change_listener){b->bind, b->frontend, listens ? sockets_take(b, worker) : -1};
    }
    return out;
}

struct change *apply_change(struct control *c, unsigned worker)
{
    if (c->sent_config == c->config) {
        return NULL;
    }
    struct change *change = xcalloc(1, sizeof *change);
    *change = (struct change){
        .config = c->config,
        .shared = c->shared,
        .metrics = c->workers[worker].metrics,
        .clients = c->clients,
        .cancels = c->cancels,
        .refusing_max = c->refusing_max,
        .listeners = listeners_for(c, worker),
        .listener_count = c->bound.count,
        .frontend_tls = refs_of(c->certificates->frontend_tls, c->config->frontend_count),
        .backend_tls = refs_of(c->certificates->backend_tls, c->config->backend_count),
        .tickets_began_s = tls_tickets_now(),
    };
    memcpy(change->ticket_seed, c->ticket_seed, sizeof change->ticket_seed);
    return change;
}

void apply_resend(struct control *c)
{
    c->sent_config = NULL;
}

void apply_sent(struct control *c)
{
    if (c->sent_config == c->config) {
        return;
    }
    c->sent_config = c->config;
    wipe(c->ticket_seed, sizeof c->ticket_seed);
    LIST_EACH(it, &c->leaving)
    {
        struct leaving *l = container_of(it, struct leaving, node);
        l->generation = l->generation > 0 ? l->generation : c->published->generation;
    }
}

/* What is left ------------------------------------------------------------------------------ */

static void free_leaving(struct control *c, struct leaving *l)
{
    list_remove(&l->node);
    c->leaving_count--;
    for (size_t i = 0; i < l->backend_count; i++) {
        backend_release(l->backends[i]);
        free(l->backends[i]);
    }
    free(l->backends);
    for (unsigned i = 0; i < l->workers; i++) {
        metrics_forget(&l->metrics[i]);
    }
    free(l->metrics);
    shared_forget(l->shared);
    config_free(l->config);
    free(l);
}

void apply_clean(struct control *c)
{
    uint64_t acked = fence_acked_by_all(c);
    LIST_EACH(it, &c->leaving)
    {
        struct leaving *l = container_of(it, struct leaving, node);
        bool seen = l->generation > 0 && acked >= l->generation;
        if (seen && loop_now_ms(&c->loop) >= l->until_ms) {
            free_leaving(c, l);
        }
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        backend_forget_gone(c->backends[i]);
    }
    control_reload_due(c);
}

void apply_release(struct control *c)
{
    LIST_EACH(it, &c->leaving)
    {
        free_leaving(c, container_of(it, struct leaving, node));
    }
    config_free(c->own_config);
}
