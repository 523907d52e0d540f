/* Which connection serves whom: the idle ones of each server, who waits, and when they are cleaned
 * and closed. There is no knowing a password, so none is opened but for a client that logs in; and
 * any idle one serves any account, if both sides speak alike (mysql_caps_key). */
#include <stdlib.h>

#include "base/macros.h"
#include "core/account.h"
#include "core/mysql_lease.h"
#include "core/mysql_limits.h"
#include "core/mysql_link.h"
#include "core/mysql_move.h"
#include "core/mysql_seen.h"
#include "core/pool.h"

static struct worker_server *server_of(const struct mysql_link *l)
{
    return l->worker->servers[l->base.config->id];
}

static struct worker_backend *backend_of(const struct mysql_link *l)
{
    return l->worker->backends[l->backend];
}

static const struct backend_config *config_of(const struct mysql_link *l)
{
    return &l->worker->config->backends[l->backend];
}

/* Lending ------------------------------------------------------------------------------------- */

static void lend(struct mysql_link *l, struct session *s)
{
    list_remove(&l->at);
    mysql_link_arm(l, NULL);
    l->state = MYSQL_LINK_LENT;
    mysql_link_seen(l);
    l->writes = l->writes || s->route != ROUTE_REPLICA;
    l->base.session = s;
    s->server = &l->base;
    list_append(&server_of(l)->links, &l->base.node);
    session_log_sent(s, l->base.index);
    if (s->state == SESSION_OPENING) { /* who waited is counted when that ends */
        account_ready(s);
    }
    mysql_proof_begin(s, l);
}

/* MariaDB's COM_CHANGE_USER forgets what some capabilities ask for at a login, and has accounts of
 * mysql_native_password answer the nonce of its greeting again. */
static bool can_change(const struct mysql_link *l)
{
    return !l->mariadb ||
           (!l->exposed && (l->key & (MYSQL_CAP_IGNORE_SPACE | MYSQL_CAP_INTERACTIVE)) == 0);
}

/* The one that came back last is the one that is warm. */
static struct mysql_link *find_idle(struct worker *w, size_t id, uint64_t key)
{
    LIST_EACH(it, &w->servers[id]->mysql_idle)
    {
        struct mysql_link *l = container_of(it, struct mysql_link, at);
        if (l->key == key && can_change(l) && mysql_lease_spares(l)) {
            return l;
        }
    }
    return NULL;
}

static bool is_full(const struct worker *w, const struct server_config *s)
{
    return s->max_connections > 0 &&
           atomic_load(&w->shared->servers[s->id]->connections) >= s->max_connections;
}

/* The cap was lowered. */
static bool is_too_many(const struct mysql_link *l)
{
    unsigned most = l->base.config->max_connections;
    return most > 0 &&
           atomic_load(&l->worker->shared->servers[l->base.config->id]->connections) > most;
}

static bool lend_idle(struct session *s)
{
    struct worker *w = s->worker;
    size_t server;
    struct route_request request;
    session_fill_request(s, &request);
    if (route_choose(w->topology, w->shared, &w->backends[s->backend->index]->balance, &request,
                     &server) != ROUTE_FOUND) {
        return false;
    }
    const struct server_config *config = &s->backend->servers.items[server];
    if (mysql_limits_has(s, config->id)) {
        return false;
    }
    struct mysql_link *l = find_idle(w, config->id, s->mysql->key);
    if (l == NULL && is_full(w, config)) {
        l = mysql_lease_take_soft(w, config->id, s->mysql->key);
    }
    if (l != NULL) {
        account_chosen(s, server);
        lend(l, s);
    }
    return l != NULL;
}

static unsigned count_waiting(const struct mysql_link *l)
{
    return atomic_load(&l->worker->shared->backends[l->backend]->waiting[ROUTE_AUTO]);
}

/* Fewer are being closed for those who wait than there are of them. */
static bool is_short(const struct mysql_link *l)
{
    return atomic_load(&l->worker->shared->backends[l->backend]->giving) < count_waiting(l);
}

/* It is to be closed for one of them. False: enough are. */
static bool give_up(struct mysql_link *l)
{
    unsigned waiting = count_waiting(l);
    l->gives =
        l->gives ||
        (waiting > 0 && shared_claim(&l->worker->shared->backends[l->backend]->giving, waiting));
    return l->gives;
}

bool mysql_pool_close_one(struct worker_server *ws, bool for_others)
{
    for (struct list *it = ws->mysql_idle.prev; it != &ws->mysql_idle; it = it->prev) {
        struct mysql_link *l = container_of(it, struct mysql_link, at);
        if (mysql_lease_spares(l) && (!for_others || give_up(l))) {
            mysql_link_quit(l);
            return true;
        }
    }
    return false;
}

/* Idle ones of which this client can have none give their places up. */
static void make_room(struct worker *w, const struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        if (is_full(w, &b->servers.items[i])) {
            mysql_pool_close_one(w->servers[b->servers.items[i].id], false);
        }
    }
}

static bool any_is_full(const struct worker *w, const struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        if (is_full(w, &b->servers.items[i])) {
            return true;
        }
    }
    return false;
}

/* MariaDB waits a second before it refuses who comes by COM_CHANGE_USER: who has failed lately does
 * not take an idle one for that long, where there is room for another. */
static bool is_better_alone(const struct session *s)
{
    const struct worker *w = s->worker;
    return login_guard_has_failed(w->guard, &s->admission.key, s->mysql->user_hash,
                                  loop_now_ms(&w->loop)) &&
           !any_is_full(w, s->backend);
}

void mysql_pool_route(struct session *s)
{
    if (s->mysql->anew || is_better_alone(s) || !lend_idle(s)) {
        make_room(s->worker, s->backend);
        session_route(s);
    }
}

/* Waiting ------------------------------------------------------------------------------------- */

/* Other workers may have what nobody uses there. */
void mysql_pool_wait(struct session *s)
{
    struct worker_backend *wb = s->worker->backends[s->backend->index];
    if (s->pooling != POOLING_MYSQL) {
        return;
    }
    s->mysql->step = MYSQL_STEP_ROUTE;
    metric_add(&s->worker->metrics.backends[s->backend->index]->at[BACKEND_POOL_WAITED], 1);
    list_remove(&s->mysql->node);
    list_append(&wb->mysql_waiting, &s->mysql->node);
    wb->mysql_waiting_count++;
    if (any_is_full(s->worker, s->backend)) {
        pool_ask_others(s->worker, s->backend->index);
    }
}

void mysql_pool_unwait(struct session *s)
{
    if (s->pooling == POOLING_MYSQL && !list_empty(&s->mysql->node) &&
        s->mysql->step == MYSQL_STEP_ROUTE) {
        list_remove(&s->mysql->node);
        s->worker->backends[s->backend->index]->mysql_waiting_count--;
    }
}

static bool wait_elsewhere(const struct mysql_link *l)
{
    return count_waiting(l) > backend_of(l)->mysql_waiting_count;
}

/* While clients of other workers wait, no worker keeps more than its share for its own. */
static bool is_over_share(const struct mysql_link *l)
{
    unsigned count = 0;
    unsigned share = l->base.config->max_connections / l->worker->worker_count;
    LIST_EACH(it, &server_of(l)->mysql_links)
    {
        count++;
    }
    return count > share;
}

/* A worker that takes the place may be this one again: not too often. */
static bool may_give(const struct mysql_link *l)
{
    uint64_t now_ms = loop_now_ms(&l->worker->loop);
    return now_ms - server_of(l)->mysql_gave_ms >= MYSQL_GIVE_MS;
}

static bool fits(const struct mysql_link *l, const struct session *s)
{
    return s->mysql->key == l->key && !s->mysql->anew && can_change(l) &&
           route_allows(l->worker->topology, l->backend, l->base.index, (enum route)s->route);
}

static struct session *find_waiting(const struct mysql_link *l)
{
    LIST_EACH(it, &backend_of(l)->mysql_waiting)
    {
        struct session *s = container_of(it, struct mysql_client, node)->session;
        if (fits(l, s)) {
            return s;
        }
    }
    return NULL;
}

/* Who is logged in has it softly, or may soon want it, and nobody here waits for one. */
static bool is_at_leisure(const struct mysql_link *l)
{
    return l->account != NULL && list_empty(&l->account->waiting) &&
           backend_of(l)->mysql_waiting_count == 0;
}

/* Clients of other workers wait for its place, and this one has more than its share, or no need. */
static bool is_due_elsewhere(const struct mysql_link *l)
{
    return is_full(l->worker, l->base.config) && wait_elsewhere(l) &&
           (is_at_leisure(l) || is_over_share(l)) && may_give(l) && is_short(l);
}

/* Here, and cannot speak as it does. */
static bool others_wait(const struct mysql_link *l)
{
    return backend_of(l)->mysql_waiting_count > 0 && find_waiting(l) == NULL &&
           is_full(l->worker, l->base.config) && may_give(l) && is_short(l);
}

bool mysql_pool_wants(const struct mysql_link *l)
{
    return find_waiting(l) != NULL || is_due_elsewhere(l) || others_wait(l);
}

static bool is_open(const struct mysql_link *l)
{
    const struct topology_backend *t = &l->worker->topology->backends[l->backend];
    return t->servers[l->base.index].access == ACCESS_OPEN;
}

/* Those who are there already go on with theirs. */
static bool stands_still(const struct mysql_link *l)
{
    const struct topology_backend *t = &l->worker->topology->backends[l->backend];
    return t->servers[l->base.index].access == ACCESS_PAUSE;
}

/* Idle ---------------------------------------------------------------------------------------- */

static bool is_old(const struct mysql_link *l)
{
    return loop_now_ms(&l->worker->loop) - l->since_ms >= config_of(l)->pool_max_age;
}

/* What is left of its client goes; of an account it is known then what it is like. */
void mysql_pool_clean(struct mysql_link *l)
{
    static const char packet[] = {1, 0, 0, 0, MYSQL_COM_RESET_CONNECTION};
    list_remove(&l->at);
    l->state = MYSQL_LINK_CLEAN;
    mysql_link_seen(l);
    mysql_link_arm(l, &backend_of(l)->mysql_late);
    metric_add(&l->worker->metrics.backends[l->backend]->at[BACKEND_POOL_CLEANED], 1);
    bool sent = l->account != NULL
                    ? mysql_ours_reset(l)
                    : mysql_link_fly(l, MYSQL_COM_RESET_CONNECTION, MYSQL_OURS_RESET) &&
                          conn_write(&l->base.conn, packet, sizeof packet) == 0;
    if (!sent) {
        mysql_link_close(l);
    }
}

static void make_idle(struct mysql_link *l)
{
    l->state = MYSQL_LINK_IDLE;
    mysql_link_seen(l);
    list_prepend(&server_of(l)->mysql_idle, &l->at);
    mysql_link_arm(l, l->dirty ? &backend_of(l)->mysql_clean : &backend_of(l)->mysql_idle);
}

/* Nobody new comes to this process, and another one may want its place: those who are still here
 * need no more connections than there are of them. */
bool mysql_pool_is_left_over(const struct mysql_link *l)
{
    const struct mysql_user *a = l->account;
    return l->worker->topology->draining &&
           (a == NULL || (a->links > a->sessions && mysql_lease_spares(l)));
}

void mysql_pool_take(struct mysql_link *l)
{
    struct session *s = is_open(l) ? find_waiting(l) : NULL;
    bool full = is_full(l->worker, l->base.config);
    l->used_ms = loop_now_ms(&l->worker->loop);
    bool spares = mysql_lease_spares(l);
    s = spares ? s : NULL;
    bool unused = s == NULL && !mysql_lease_is_wanted(l);
    /* Others wait for its place: elsewhere, or here, and cannot speak as it does. */
    bool due = spares && ((full && unused) || is_due_elsewhere(l) || others_wait(l)) && give_up(l);
    bool goes = l->odd || mysql_limits_forbids(l) ||
                (!can_change(l) && !mysql_lease_is_wanted(l)) || due ||
                (spares && (is_old(l) || is_too_many(l)));
    l->turn = !l->turn;
    goes = goes || (s == NULL && mysql_pool_is_left_over(l));
    if (goes || l->worker->stopping || !mysql_pool_may_stay(l)) {
        server_of(l)->mysql_gave_ms = due ? l->used_ms : server_of(l)->mysql_gave_ms;
        mysql_link_quit(l);
    } else if ((s == NULL || l->turn) && !stands_still(l) &&
               (mysql_move_pass_on(l) || mysql_lease_pass_on(l))) {
        return;
    } else if (s != NULL) {
        mysql_pool_unwait(s);
        session_stop_waiting(s);
        session_arm(s, NULL);
        lend(l, s);
    } else if (l->urgent) {
        mysql_pool_clean(l);
    } else {
        make_idle(l);
    }
}

void mysql_pool_arrived(struct mysql_link *l)
{
    if (!mysql_pool_may_stay(l)) {
        mysql_link_close(l);
    } else if (stands_still(l) || !mysql_lease_pass_on(l)) {
        mysql_pool_take(l);
    }
}

void mysql_pool_on_clean(struct deadline *d)
{
    struct mysql_link *l = container_of(d, struct mysql_link, deadline);
    l->timer = NULL;
    mysql_pool_clean(l);
}

static size_t count(const struct list *head)
{
    size_t n = 0;
    LIST_EACH(it, head)
    {
        n++;
    }
    return n;
}

/* pool_min_idle is of all workers together; each keeps its part. */
void mysql_pool_on_idle(struct deadline *d)
{
    struct mysql_link *l = container_of(d, struct mysql_link, deadline);
    unsigned workers = l->worker->worker_count;
    l->timer = NULL;
    if (!mysql_lease_spares(l)) {
        mysql_link_arm(l, &backend_of(l)->mysql_idle);
    } else if (!is_old(l) && count(&server_of(l)->mysql_idle) <=
                                 (config_of(l)->pool_min_idle + workers - 1) / workers) {
        mysql_link_arm(l, &backend_of(l)->mysql_idle);
    } else {
        mysql_link_quit(l);
    }
}
