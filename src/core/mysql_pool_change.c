/* What a new topology, a new configuration, other workers and the end mean to connections of MySQL
 * that nobody has at the moment. */
#include "base/macros.h"
#include "core/mysql_lease.h"
#include "core/mysql_link.h"

bool mysql_pool_may_stay(const struct mysql_link *l)
{
    return route_allows(l->worker->topology, l->backend, l->base.index,
                        l->writes ? ROUTE_PRIMARY : ROUTE_ANY);
}

typedef bool (*link_test)(const struct mysql_link *l);

static bool is_unused(const struct mysql_link *l)
{
    return l->state == MYSQL_LINK_IDLE || l->state == MYSQL_LINK_CLEAN ||
           l->state == MYSQL_LINK_ASK;
}

static bool may_not_stay(const struct mysql_link *l)
{
    return is_unused(l) && (!mysql_pool_may_stay(l) || mysql_pool_is_left_over(l));
}

static bool is_nobodys(const struct mysql_link *l)
{
    return l->base.session == NULL;
}

static void end(struct mysql_link *l)
{
    if (l->state == MYSQL_LINK_IDLE) {
        mysql_link_quit(l);
    } else {
        mysql_link_close(l);
    }
}

/* Closing one closes no other. */
static void close_all(struct worker_server *ws, link_test which)
{
    struct list *next;
    for (struct list *it = ws->mysql_links.next; it != &ws->mysql_links; it = next) {
        struct mysql_link *l = container_of(it, struct mysql_link, node);
        next = it->next;
        if (which(l)) {
            end(l);
        }
    }
}

void mysql_pool_reconsider(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        close_all(w->servers[i], may_not_stay);
    }
    mysql_client_greet_held(w);
    mysql_lease_reconsider(w);
}

/* There may be fewer than there were: those that nobody has go now, the others when they come
 * back. */
static void shrink(struct worker *w, const struct server_config *s)
{
    const atomic_uint *connections = &w->shared->servers[s->id]->connections;
    unsigned count = atomic_load(connections);
    unsigned over =
        s->max_connections > 0 && count > s->max_connections ? count - s->max_connections : 0;
    while (over-- > 0 && atomic_load(connections) > s->max_connections &&
           mysql_pool_close_one(w->servers[s->id], false)) {
    }
}

void mysql_pool_adopt(struct worker *w)
{
    for (size_t i = 0; i < w->server_count; i++) {
        LIST_EACH(it, &w->servers[i]->mysql_links)
        {
            struct mysql_link *l = container_of(it, struct mysql_link, node);
            const struct backend_config *b = &w->config->backends[l->backend];
            l->base.config = &b->servers.items[l->base.index];
        }
    }
    for (size_t i = 0; i < w->config->backend_count; i++) {
        const struct server_list *servers = &w->config->backends[i].servers;
        for (size_t k = 0; k < servers->count; k++) {
            shrink(w, &servers->items[k]);
        }
    }
}

void mysql_pool_stop(struct worker *w)
{
    deadline_disarm(&w->mysql_give, &w->mysql_give_again);
    for (size_t i = 0; i < w->server_count; i++) {
        close_all(w->servers[i], is_nobodys);
    }
}

/* Sessions here may have what those who log in elsewhere wait for. */
static bool may_spare(const struct worker *w, size_t backend)
{
    const struct backend_config *b = &w->config->backends[backend];
    unsigned waiting = atomic_load(&w->shared->backends[backend]->waiting[ROUTE_AUTO]);
    bool any = false;
    for (size_t i = 0; i < b->servers.count; i++) {
        any = any || !list_empty(&w->servers[b->servers.items[i].id]->mysql_users);
    }
    return any && !w->stopping && waiting > w->backends[backend]->mysql_waiting_count;
}

/* Where none is closed, one may be later, and nothing may happen here meanwhile that would tell. */
void mysql_pool_spare(struct worker *w, size_t backend)
{
    const struct backend_config *b = &w->config->backends[backend];
    bool closed = false;
    for (size_t i = 0; i < b->servers.count; i++) {
        size_t id = b->servers.items[i].id;
        if (mysql_pool_close_one(w->servers[id], true)) {
            closed = true;
        } else {
            mysql_lease_spare(w, id);
        }
    }
    if (!closed && may_spare(w, backend)) {
        deadline_arm(&w->mysql_give, &w->mysql_give_again);
    }
}

void mysql_pool_on_give(struct deadline *d)
{
    struct worker *w = container_of(d, struct worker, mysql_give_again);
    for (size_t i = 0; i < w->backend_count; i++) {
        if (may_spare(w, i)) {
            mysql_pool_spare(w, i);
        }
    }
}

void mysql_pool_close_idle(struct worker *w, size_t server_id)
{
    w->servers[server_id]->mysql_killed_us = uv_hrtime() / 1000;
    close_all(w->servers[server_id], is_unused);
}

void mysql_pool_close_account(struct worker *w, size_t server_id, uint64_t account)
{
    struct list *head = &w->servers[server_id]->mysql_links;
    struct list *next;
    for (struct list *it = head->next; it != head; it = next) {
        struct mysql_link *l = container_of(it, struct mysql_link, node);
        next = it->next;
        if (is_unused(l) && l->user_hash == account && mysql_lease_spares(l)) {
            end(l);
        }
    }
}
