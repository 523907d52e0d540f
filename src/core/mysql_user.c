/* Accounts of transaction mode: who they are, how many connections and sessions each has, which of
 * its connections it can do without, and what becomes of its sessions when it has none, or may not
 * be served any more. */
#include "core/mysql_lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/mysql_limits.h"
#include "core/mysql_move.h"

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
    struct account_share *shared =
        account_share_get(w->shares, server_id, key, user.data, user.len);
    struct mysql_user *a = shared != NULL ? calloc(1, sizeof *a + user.len + 1) : NULL;
    if (a == NULL && shared != NULL) {
        account_share_unref(shared);
    }
    if (a != NULL) {
        a->shared = shared;
        a->worker = w;
        a->server_id = server_id;
        a->key = key;
        a->user_len = user.len;
        memcpy(a->user, user.data, user.len);
        list_init(&a->touched);
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
        account_share_leave(a->shared, a->worker->index);
        account_share_unref(a->shared);
        list_remove(&a->touched);
        list_remove(&a->node);
        free(a);
    }
}

bool mysql_user_is_lost(const struct mysql_user *a)
{
    return a->links == 0 && (!mysql_move_may(a) || atomic_load(&a->shared->links) == 0);
}

/* Those that say nothing may find another connection there, of a client that logs in, when they
 * do. */
void mysql_user_end_waiting(struct mysql_user *a)
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
    a->free -= l->free;
    a->links--;
    l->free = false;
    l->account = NULL;
    mysql_move_touch(a);
    if (atomic_fetch_sub(&a->shared->links, 1) == 1) {
        mysql_move_lost(a);
    }
    if (mysql_user_is_lost(a)) {
        mysql_user_end_waiting(a);
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

void mysql_user_seen(struct mysql_link *l)
{
    struct mysql_user *a = l->account;
    bool is_free = l->state == MYSQL_LINK_IDLE || (l->state == MYSQL_LINK_LENT && l->soft);
    if (a != NULL && is_free != l->free) {
        a->free += is_free ? 1 : -1U;
        l->free = is_free;
        mysql_move_touch(a);
    }
}

/* Others of its account that no session keeps for itself; of which there may be as many as there
 * are sessions, unless those of other workers depend on this one. */
static bool has_another(const struct mysql_link *l, bool for_others)
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
    return !for_others && pinned >= l->account->sessions;
}

/* Those who have one of their own need no other. */
static bool is_needed(const struct mysql_link *l)
{
    const struct mysql_user *a = l->account;
    return a->sessions > 0 &&
           (l->base.session != NULL || !list_empty(&a->parked) || !list_empty(&a->waiting));
}

/* One is for all of its sessions, wherever they are. */
static bool spares_for_all(const struct mysql_link *l)
{
    return has_another(l, true) || atomic_load(&l->account->shared->sessions) == 0;
}

/* As long as no worker keeps one for all, each keeps one for its own sessions, and one for those
 * that have none. */
static bool spares_for_own(const struct mysql_link *l)
{
    bool poor = account_share_is_poor(l->account->shared, l->worker->index);
    return (!poor && !is_needed(l)) || has_another(l, poor);
}

bool mysql_lease_spares(const struct mysql_link *l)
{
    const struct mysql_user *a = l->account;
    unsigned own = l->worker->index;
    if (a == NULL || !mysql_move_may(a)) {
        return a == NULL || spares_for_own(l);
    }
    account_share_keep(a->shared, own);
    if (account_share_is_kept(a->shared, own)) {
        return true;
    }
    return account_share_keeps(a->shared, own) ? spares_for_all(l) : spares_for_own(l);
}

bool mysql_lease_is_wanted(const struct mysql_link *l)
{
    return l->account != NULL && (l->account->sessions > 0 || !mysql_lease_spares(l));
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

static void serve(struct mysql_user *a)
{
    bool more = true;
    while (more && !list_empty(&a->waiting)) {
        struct session *s = container_of(a->waiting.next, struct mysql_lease, node)->session;
        mysql_lease_find(s);
        more = s->state != SESSION_PARKED;
    }
}

void mysql_user_serve(struct mysql_user *a)
{
    a->sessions++; /* it stays until all are served */
    serve(a);
    a->sessions--;
    mysql_user_maybe_free(a);
}

/* And one may be written to again that stood still. */
static void reconsider(struct mysql_user *a)
{
    a->sessions++; /* it stays until all are told */
    fence(a, &a->parked);
    fence(a, &a->waiting);
    serve(a);
    mysql_move_touch(a);
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
