/* Who of an account has which of its connections. A connection goes on to the next one when all
 * that its session asked is answered and nothing pins it; the state of both is known then, and the
 * commands that bring the one into the other leave in one write with the next session's command. */
#include "core/mysql_lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/mysql_ends.h"
#include "core/mysql_limits.h"
#include "core/mysql_move.h"

/* Nothing can be done for it. */
void mysql_lease_tell(struct session *s, enum refusal why, const char *words)
{
    s->mysql->sequence = 1;
    s->mysql->refusal_code = why == REFUSED_CONNECT ? 1927 : 0; /* ER_CONNECTION_KILLED */
    s->mysql->owes = true;
    session_refuse(s, why, words);
}

/* Beginning and end --------------------------------------------------------------------------- */

bool mysql_lease_new(struct session *s)
{
    struct mysql_lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL) {
        return false;
    }
    lease->session = s;
    list_init(&lease->node);
    s->mysql->lease = lease;
    return true;
}

static void leave_account(struct mysql_lease *lease)
{
    struct mysql_user *a = lease->account;
    if (a != NULL) {
        struct worker *w = a->worker;
        size_t server_id = a->server_id;
        uint64_t user_hash = a->user_hash;
        bool last = --a->sessions == 0;
        atomic_fetch_sub(&a->shared->sessions, 1);
        lease->account = NULL;
        mysql_user_maybe_free(a);
        if (last) {
            mysql_limits_left(w, server_id, user_hash);
        }
    }
}

void mysql_lease_end(struct mysql_client *c)
{
    if (c->lease != NULL) {
        mysql_client_hold(c, false);
        list_remove(&c->lease->node);
        if (c->lease->account != NULL) {
            mysql_move_touch(c->lease->account);
        }
        leave_account(c->lease);
    }
}

void mysql_lease_free(struct mysql_client *c)
{
    if (c->lease != NULL) {
        mysql_lease_end(c);
        mysql_state_free(&c->lease->state);
        free(c->lease->collation);
        free(c->lease);
        c->lease = NULL;
    }
}

bool mysql_lease_begin(struct session *s, struct mysql_link *l, const struct mysql_request *request)
{
    struct mysql_lease *lease = s->mysql->lease;
    leave_account(lease);
    struct mysql_user *a = mysql_user_get(s->worker, l->base.config->id, l->key, request->user);
    if (a == NULL) {
        return false;
    }
    if (!mysql_state_begin(&lease->state, request->database.data, request->database.len,
                           request->charset)) {
        mysql_user_maybe_free(a);
        return false;
    }
    a->backend = l->backend;
    a->server = l->base.index;
    if (a != l->account) { /* the parked ones of the same account may have no other */
        mysql_lease_unbind(l);
        l->account = a;
        a->links++;
        atomic_fetch_add(&a->shared->links, 1);
    }
    a->sessions++;
    atomic_fetch_add(&a->shared->sessions, 1);
    a->user_hash = s->mysql->user_hash;
    lease->account = a;
    lease->kept = 0;
    lease->prepared_count = 0;
    lease->moved = 0;
    lease->warned = false;
    lease->charset = request->charset;
    free(lease->collation);
    lease->collation = NULL;
    if ((l->capabilities & MYSQL_CAP_SESSION_TRACK) == 0) {
        lease->kept = MYSQL_PIN_STATE;
        return true;
    }
    return mysql_ours_track(l, NULL);
}

/* Going from one to the other ----------------------------------------------------------------- */

/* What it holds is nobody's for the moment; the session is in account.parked. False: somebody is
 * about to kill it, so nobody else may have its connection; or out of memory, both have ended. */
static bool part(struct session *s, struct mysql_link *l)
{
    struct mysql_lease *lease = s->mysql->lease;
    if (!thread_entry_leave(&s->mysql->thread)) {
        lease->kept |= MYSQL_PIN_STATE;
        mysql_lease_harden(l);
        return false;
    }
    bool good = mysql_state_copy(&l->like, &lease->state);
    list_remove(&l->at);
    list_remove(&l->base.node);
    deadline_disarm(&s->worker->tune, &l->base.tune);
    l->soft = false;
    mysql_user_seen(l);
    l->dirty = false;
    l->base.session = NULL;
    s->server = NULL;
    conn_resume(&l->base.conn, PAUSE_PEER_FULL | PAUSE_HOLD);
    conn_resume(&s->client, PAUSE_HOLD);
    session_set(s, SESSION_PARKED);
    if (s->timer == NULL) { /* it stood still */
        session_arm(s, mysql_ends_timer(s));
    }
    list_append(&lease->account->parked, &lease->node);
    if (!good) {
        l->tainted = true;
        mysql_link_let_go(l, NULL, false);
        session_kill(s, END_MEMORY);
    }
    return good;
}

/* It goes on there: its command follows what brings the connection into its state. */
static void join(struct session *s, struct mysql_link *l)
{
    struct mysql_lease *lease = s->mysql->lease;
    list_remove(&lease->node);
    list_remove(&l->at);
    mysql_link_arm(l, NULL);
    l->state = MYSQL_LINK_LENT;
    mysql_link_seen(l);
    mysql_client_hold(s->mysql, false);
    l->base.session = s;
    s->server = &l->base;
    list_append(&s->worker->servers[l->base.config->id]->links, &l->base.node);
    thread_entry_set(&s->mysql->thread, l->base.config->id, l->thread);
    session_set(s, SESSION_RELAY);
    session_arm(s, mysql_ends_timer(s));
    lease->moved = MYSQL_MOVED_LAST | MYSQL_MOVED_ROWS | MYSQL_MOVED_WARNINGS | MYSQL_MOVED_EVER;
    metric_add(&s->worker->metrics.backends[s->backend->index]->at[BACKEND_POOL_LEASES], 1);
    metric_add(&s->worker->metrics.backends[s->backend->index]->at[BACKEND_POOL_REUSED], 1);
    metric_add(&s->worker->metrics.backends[s->backend->index]->at[BACKEND_LOGINS_RESUMED], 1);
    if (!mysql_ours_restore(l, &lease->state)) {
        l->tainted = true;
        session_kill(s, END_SERVER);
        return;
    }
    conn_resume(&s->client, PAUSE_WAITING);
    mysql_relay_go_on(s);
}

/* Coming to rest ------------------------------------------------------------------------------ */

/* Somebody could use it at once. */
static bool is_wanted(const struct mysql_link *l)
{
    return !list_empty(&l->account->waiting) || mysql_pool_wants(l);
}

/* And may. */
static bool is_due(const struct mysql_link *l)
{
    return !list_empty(&l->account->waiting) || (mysql_pool_wants(l) && mysql_lease_spares(l)) ||
           mysql_move_is_due(l->account);
}

bool mysql_lease_gives_way(struct mysql_lease *lease, const struct mysql_link *l)
{
    lease->yields = is_due(l) && mysql_says_pins(lease, l) == 0;
    return lease->yields;
}

/* What its session's trackers leave open is asked before. */
static void offer(struct session *s, struct mysql_link *l)
{
    bool yields = s->mysql->lease->yields;
    if (!is_due(l) || l->asking || (s->ahead_len > 0 && !yields)) {
        return;
    }
    if (s->mysql->lease->state.doubts != 0) {
        l->tainted = !mysql_ours_ask(l);
        s->mysql->lease->yields = !l->tainted; /* what it says meanwhile comes after the others */
        return;
    }
    if (part(s, l)) {
        mysql_pool_take(l);
        s->mysql->lease->yields = false;
        if (yields && s->ahead_len > 0) {
            mysql_lease_parked_data(s);
        }
    }
}

void mysql_lease_settle(struct session *s, struct mysql_link *l)
{
    mysql_client_pin(s->mysql, mysql_says_pins(s->mysql->lease, l));
    if (s->mysql->pins != 0 || conn_queued(&l->base.conn) > 0 ||
        (s->client.pauses & PAUSE_HOLD) != 0) {
        return;
    }
    if (!l->soft) {
        l->soft = true;
        list_append(&l->account->soft, &l->at);
        mysql_user_seen(l);
    }
    mysql_move_touch(l->account); /* what was asked may have stood in the way */
    if (UNLIKELY(is_wanted(l) || s->mysql->lease->yields)) {
        offer(s, l);
    }
}

/* Parked -------------------------------------------------------------------------------------- */

/* The one that is unused for longest, of those that need no question first. Those that stand still
 * are of no use to anybody. */
static struct mysql_link *find_soft(struct mysql_user *a)
{
    struct mysql_link *found = NULL;
    LIST_EACH(it, &a->soft)
    {
        struct mysql_link *l = container_of(it, struct mysql_link, at);
        const struct session *s = l->base.session;
        if ((s->client.pauses & PAUSE_HOLD) != 0) {
            continue;
        }
        if (s->mysql->lease->state.doubts == 0) {
            return l;
        }
        found = found != NULL ? found : l;
    }
    return found;
}

/* It can be brought into any state that a session had when it was parted from. */
static bool is_known(const struct mysql_link *l)
{
    return !l->dirty && l->like.why == 0 && (l->like.doubts & ~MYSQL_DOUBT_RESULTS) == 0;
}

/* One that needs no cleaning first, if there is one. */
static struct mysql_link *find_idle(const struct mysql_user *a)
{
    struct mysql_link *found = NULL;
    LIST_EACH(it, &a->worker->servers[a->server_id]->mysql_idle)
    {
        struct mysql_link *l = container_of(it, struct mysql_link, at);
        if (l->account == a && (found == NULL || is_known(l))) {
            found = l;
        }
        if (found != NULL && is_known(found)) {
            break;
        }
    }
    return found;
}

/* In its turn, if it waits already. */
static void wait_for_one(struct session *s)
{
    struct mysql_lease *lease = s->mysql->lease;
    if (s->mysql->held) {
        return;
    }
    list_remove(&lease->node);
    list_append(&lease->account->waiting, &lease->node);
    lease->since_ms = loop_now_ms(&s->worker->loop);
    mysql_move_touch(lease->account);
    mysql_client_hold(s->mysql, true);
    session_arm(s, &s->worker->backends[s->backend->index]->queue);
}

/* Its command is there, and maybe a connection. One that another session leaves is there sooner
 * than one that is to be cleaned. */
void mysql_lease_find(struct session *s)
{
    struct mysql_user *a = s->mysql->lease->account;
    struct mysql_link *idle = find_idle(a);
    struct mysql_link *soft = find_soft(a);
    const struct topology_backend *t = &s->worker->topology->backends[s->backend->index];
    if (idle != NULL && is_known(idle) && t->servers[idle->base.index].access != ACCESS_PAUSE) {
        join(s, idle);
        return;
    }
    wait_for_one(s);
    if (soft != NULL && !soft->asking && soft->base.session->ahead_len == 0) {
        offer(soft->base.session, soft);
    } else if (idle != NULL && idle->dirty) {
        mysql_pool_clean(idle);
    }
}

void mysql_lease_parked_data(struct session *s)
{
    struct mysql_lease *lease = s->mysql->lease;
    bool waits = s->timer == &s->worker->backends[s->backend->index]->queue;
    if (s->ahead_len >= SESSION_AHEAD_MAX) {
        conn_pause(&s->client, PAUSE_WAITING);
    }
    size_t used;
    enum mysql_command_event event =
        mysql_command_look(&s->mysql->command, s->ahead, s->ahead_len, &used);
    if (waits || event == MYSQL_COMMAND_PART) {
        return;
    }
    if (event == MYSQL_COMMAND_BAD) {
        mysql_ends_disorder(s, NULL);
    } else if (s->mysql->command.code == MYSQL_COM_QUIT) {
        session_close(s, END_DONE);
    } else if (mysql_user_is_lost(lease->account)) {
        mysql_lease_tell(s, REFUSED_CONNECT, MYSQL_LEASE_LOST);
    } else {
        mysql_lease_find(s);
    }
}

void mysql_lease_late(struct session *s)
{
    mysql_lease_tell(s, REFUSED_TIMEOUT, "no connection of this account was free in time");
}

bool mysql_lease_pass_on(struct mysql_link *l)
{
    struct mysql_user *a = l->account;
    if (a == NULL || list_empty(&a->waiting)) {
        return false;
    }
    if (l->dirty) {
        mysql_pool_clean(l);
    } else if (!is_known(l)) {
        return false;
    } else {
        join(container_of(a->waiting.next, struct mysql_lease, node)->session, l);
    }
    return true;
}

struct mysql_link *mysql_lease_take_soft(struct worker *w, size_t server_id, uint64_t key)
{
    LIST_EACH(it, &w->servers[server_id]->mysql_users)
    {
        struct mysql_user *a = container_of(it, struct mysql_user, node);
        struct mysql_link *l = a->key == key && list_empty(&a->waiting) ? find_soft(a) : NULL;
        if (l == NULL || !mysql_lease_spares(l)) {
            continue;
        }
        struct session *s = l->base.session;
        if (s->mysql->lease->state.doubts == 0 && !l->asking) {
            return part(s, l) ? l : NULL;
        }
        l->tainted = !l->asking && !mysql_ours_ask(l); /* it waits, and is thought of then */
        return NULL;
    }
    return NULL;
}

void mysql_lease_loosen(struct mysql_user *a)
{
    struct mysql_link *idle = find_idle(a);
    struct mysql_link *soft = idle == NULL ? find_soft(a) : NULL;
    if (idle != NULL) {
        list_remove(&idle->at);
        mysql_pool_take(idle);
    } else if (soft != NULL) {
        offer(soft->base.session, soft);
    }
}

void mysql_lease_spare(struct worker *w, size_t server_id)
{
    LIST_EACH(it, &w->servers[server_id]->mysql_users)
    {
        struct mysql_user *a = container_of(it, struct mysql_user, node);
        struct mysql_link *l = find_soft(a);
        if (l != NULL && mysql_pool_wants(l)) {
            offer(l->base.session, l);
            return;
        }
    }
}

static bool is_last(const struct mysql_user *a)
{
    return (mysql_move_may(a) ? atomic_load(&a->shared->links) : a->links) < 2;
}

bool mysql_lease_survives(struct mysql_link *l)
{
    struct session *s = l->base.session;
    if (!l->soft || l->count > 0 || s->ahead_len > 0 || is_last(l->account) ||
        s->mysql->lease->state.doubts != 0) {
        return false;
    }
    return part(s, l);
}

void mysql_lease_left(struct mysql_lease *lease, struct mysql_link *l)
{
    bool good = l->account != NULL && lease->session->mysql->pins == 0 && lease->state.doubts == 0;
    list_remove(&l->at);
    l->soft = false;
    mysql_user_seen(l);
    l->dirty = !good;
    if (!mysql_state_copy(&l->like, &lease->state)) {
        l->tainted = true;
    }
    /* No reset takes the default database back, and it is not known. */
    l->odd = l->odd || (lease->state.why & MYSQL_WHY_BLIND) != 0;
}

void mysql_lease_harden(struct mysql_link *l)
{
    if (l->soft) {
        l->soft = false;
        list_remove(&l->at);
        mysql_user_seen(l);
    }
}
