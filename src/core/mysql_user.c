/* Accounts of transaction mode: who they are, how many connections and sessions each has, which of
 * its connections it can do without, and what becomes of its sessions when it has none, or may not
 * be served any more. */
#include "core/mysql_lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/mysql_limits.h"

/* Accounts ------------------------------------------------------------------------------------ */

struct mysql_user *mysql_user_get(struct worker *w, size_t server_id, uint64_t key,
                                  struct mysql_text user)
{
    struct list *all = &w->servers[server_id]->mysql_users;
    LIST_EACH(it, all)
    {
        struct mysql_user *a = container_of(it, struct mysql_user, node);
        if (a->key == key && a->user_len == user.len && memcmp(a->user, user.data, user.len) == 0) {
            return a;
        }
    }
    struct mysql_user *a = calloc(1, sizeof *a + user.len + 1);
    if (a != NULL) {
        a->worker = w;
        a->server_id = server_id;
        a->key = key;
        a->user_len = user.len;
        memcpy(a->user, user.data, user.len);
        list_init(&a->soft);
        list_init(&a->parked);
        list_init(&a->waiting);
        list_append(all, &a->node);
    }
    return a;
}

void mysql_user_maybe_free(struct mysql_user *a)
{
    if (a->links == 0 && a->sessions == 0) {
        list_remove(&a->node);
        free(a);
    }
}

/* Nobody can log in for its sessions. Those that wait are told; those that say nothing may find
 * another connection there, of a client that logs in, when they do. */
static void end_waiting(struct mysql_user *a)
{
    a->sessions++; /* it stays until all are told */
    while (!list_empty(&a->waiting)) {
        mysql_lease_tell(container_of(a->waiting.next, struct mysql_lease, node)->session,
                         REFUSED_CONNECT, MYSQL_LEASE_LOST);
    }
    a->sessions--;
    mysql_user_maybe_free(a);
}

void mysql_lease_unbind(struct mysql_link *l)
{
    struct mysql_user *a = l->account;
    if (a == NULL) {
        return;
    }
    l->account = NULL;
    a->links--;
    if (a->links == 0) {
        end_waiting(a);
    } else {
        mysql_user_maybe_free(a);
    }
}

/* Somebody logs in there, or was about to: whose it is afterwards is not known. */
static bool is_leaving(const struct mysql_link *l)
{
    const struct session *s = l->base.session;
    return l->state == MYSQL_LINK_ABANDONED || (s != NULL && s->state != SESSION_RELAY);
}

void mysql_lease_log_in(struct mysql_link *l, struct mysql_text user)
{
    const struct mysql_user *a = l->account;
    if (a != NULL && (a->user_len != user.len || memcmp(a->user, user.data, user.len) != 0)) {
        mysql_lease_unbind(l);
    }
}

/* Others of its account that no session keeps for itself. */
static bool has_another(const struct mysql_link *l)
{
    unsigned pinned = 0; /* sessions that have one to themselves, and need no other */
    LIST_EACH(it, &l->worker->servers[l->base.config->id]->mysql_links)
    {
        const struct mysql_link *other = container_of(it, struct mysql_link, node);
        const struct session *s = other->base.session;
        if (other == l || other->account != l->account || is_leaving(other)) {
            continue;
        }
        if (s == NULL || s->mysql->pins == 0) {
            return true;
        }
        pinned++;
    }
    return pinned >= l->account->sessions;
}

/* Those who have one of their own need no other. */
static bool is_needed(const struct mysql_link *l)
{
    const struct mysql_user *a = l->account;
    return a->sessions > 0 &&
           (l->base.session != NULL || !list_empty(&a->parked) || !list_empty(&a->waiting));
}

bool mysql_lease_spares(const struct mysql_link *l)
{
    return l->account == NULL || !is_needed(l) || has_another(l);
}

bool mysql_lease_is_wanted(const struct mysql_link *l)
{
    return l->account != NULL && l->account->sessions > 0;
}

/* A new topology ------------------------------------------------------------------------------ */

/* A server that may not serve them any more: they cannot be logged in at the next one. */
static void fence(const struct mysql_user *a, const struct list *leases)
{
    LIST_EACH(it, leases)
    {
        struct session *s = container_of(it, struct mysql_lease, node)->session;
        if (route_allows(s->worker->topology, s->backend->index, a->server, (enum route)s->route)) {
            continue;
        }
        metric_add(&s->worker->metrics.servers[a->server_id]->at[SERVER_FENCED], 1);
        if (s->mysql->held) {
            mysql_lease_tell(s, REFUSED_FENCED, "the server lost its role");
        } else {
            session_kill(s, END_FENCED);
        }
    }
}

/* As many as there are connections for. */
static void serve(struct mysql_user *a)
{
    bool more = true;
    while (more && !list_empty(&a->waiting)) {
        struct session *s = container_of(a->waiting.next, struct mysql_lease, node)->session;
        mysql_lease_find(s);
        more = s->state != SESSION_PARKED;
    }
}

/* And one may be written to again that stood still. */
static void reconsider(struct mysql_user *a)
{
    a->sessions++; /* it stays until all are told */
    fence(a, &a->parked);
    fence(a, &a->waiting);
    serve(a);
    a->sessions--;
    mysql_user_maybe_free(a);
}

void mysql_lease_reconsider(struct worker *w)
{
    struct list *next;
    for (size_t i = 0; i < w->server_count; i++) {
        struct list *all = &w->servers[i]->mysql_users;
        for (struct list *it = all->next; it != all; it = next) {
            next = it->next;
            reconsider(container_of(it, struct mysql_user, node));
        }
    }
}
