#include "core/adopt.h"

#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/finisher.h"
#include "core/listeners.h"
#include "core/parts.h"
#include "core/pool.h"
#include "core/session.h"
#include "model/config_follow.h"
#include "model/messages.h"

static void adopt_link(struct server_link *link, const struct backend_config *b)
{
    link->config = &b->servers.items[link->index];
}

static void adopt_session(struct worker *w, struct session *s)
{
    s->frontend = &w->config->frontends[s->frontend->index];
    s->backend = &w->config->backends[s->backend->index];
    if (s->server != NULL) {
        adopt_link(s->server, s->backend);
    }
}

/* Connections that sessions have left behind in a login. */
static void adopt_finishers(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        LIST_EACH(it, &w->servers[i]->finishers)
        {
            size_t backend;
            struct server_link *link = finisher_link(it, &backend);
            adopt_link(link, &w->config->backends[backend]);
        }
    }
}

static void free_contexts(struct tls_context **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tls_context_unref(list[i]);
    }
    free(list);
}

static void change_free(struct change *c)
{
    free_contexts(c->frontend_tls, c->config->frontend_count);
    free_contexts(c->backend_tls, c->config->backend_count);
    free(c->listeners);
    wipe(c->ticket_seed, sizeof c->ticket_seed);
    free(c);
}

static bool had_server(const struct config *was, const struct backend_config *b, size_t i)
{
    if (b->index >= was->backend_count) {
        return false;
    }
    const struct server_list *before = &was->backends[b->index].servers;
    return i < before->count && before->items[i].id == b->servers.items[i].id &&
           config_same_server(&before->items[i], &b->servers.items[i]);
}

/* A TLS session of one server is not shown to another one that has its slot now. */
static void forget_sessions(struct worker *w, const struct config *was)
{
    for (size_t i = 0; i < w->config->backend_count; i++) {
        const struct backend_config *b = &w->config->backends[i];
        for (size_t k = 0; k < b->servers.count; k++) {
            if (!had_server(was, b, k)) {
                tls_resume_release(&w->servers[b->servers.items[k].id]->resume);
                pools_forget_server(w->servers[b->servers.items[k].id]);
            }
        }
    }
}

void worker_adopt(struct worker *w, struct change *change)
{
    const struct config *was = w->config;
    w->config = change->config;
    w->shared = change->shared;
    w->metrics = change->metrics;
    w->clients = change->clients;
    w->cancels = change->cancels;
    w->refusing_max = change->refusing_max;
    parts_extend(w, change->frontend_tls, change->backend_tls);
    forget_sessions(w, was);
    parts_start_tls(w, change->ticket_seed, change->tickets_began_s);
    LIST_EACH(it, &w->sessions)
    {
        adopt_session(w, container_of(it, struct session, node));
    }
    adopt_finishers(w);
    pools_adopt(w);
    listeners_change(w, change->listeners, change->listener_count);
    change_free(change);
}
