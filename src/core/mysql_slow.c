/* Who waits before it may come to a server (MYSQL_STEP_SLOW): because others failed from where it
 * comes, or because others from there do not go on with their logins (model/login_guard.h). */
#include "base/macros.h"
#include "core/mysql_client.h"
#include "core/mysql_link.h"

static void count(const struct session *s)
{
    metric_add(&s->worker->metrics.backends[s->backend->index]->at[BACKEND_LOGINS_SLOWED], 1);
}

static void wait_on(struct session *s)
{
    s->mysql->step = MYSQL_STEP_SLOW;
    session_arm(s, &s->worker->mysql_slow);
}

/* Connections that its server may have; 0: any number. */
static unsigned places(const struct session *s)
{
    unsigned least = 0;
    for (size_t i = 0; i < s->backend->servers.count; i++) {
        unsigned most = s->backend->servers.items[i].max_connections;
        least = most > 0 && (least == 0 || most < least) ? most : least;
    }
    return least;
}

/* False: too many from there are at it already. */
static bool enter(struct session *s)
{
    struct mysql_client *c = s->mysql;
    uint64_t now_ms = loop_now_ms(&s->worker->loop);
    bool again = c->turn_until_ms != 0;
    enum login_turn turn = login_guard_enter(s->worker->guard, &s->admission.key, c->user_hash,
                                             places(s), now_ms, again);
    if (turn == LOGIN_TURN_WAITS) {
        c->turn_until_ms = again ? c->turn_until_ms : now_ms + s->backend->queue_timeout;
        return false;
    }
    c->counted = turn == LOGIN_TURN_COUNTED;
    c->turn_until_ms = 0;
    c->step = MYSQL_STEP_ROUTE;
    session_arm(s, NULL);
    mysql_pool_route(s);
    return true;
}

void mysql_slow_begin(struct session *s)
{
    struct mysql_client *c = s->mysql;
    uint64_t now_ms = loop_now_ms(&s->worker->loop);
    uint64_t delay_ms =
        login_guard_delay(s->worker->guard, &s->admission.key, c->user_hash, now_ms);
    c->slow_until_ms = now_ms + delay_ms;
    if (delay_ms > 0 || !enter(s)) {
        count(s);
        wait_on(s);
    }
}

void mysql_slow_on_tick(struct deadline *d)
{
    struct session *s = container_of(d, struct session, deadline);
    struct mysql_client *c = s->mysql;
    uint64_t now_ms = loop_now_ms(&s->worker->loop);
    if (now_ms >= c->slow_until_ms && enter(s)) {
        return;
    }
    if (c->turn_until_ms != 0 && now_ms >= c->turn_until_ms) {
        session_refuse(s, REFUSED_TIMEOUT, "too many logins from this address are unfinished");
        return;
    }
    wait_on(s);
}

static bool same(const struct client_key *a, const struct client_key *b)
{
    return a->high == b->high && a->low == b->low;
}

static struct session *next_waiting(const struct worker *w, const struct client_key *key)
{
    LIST_EACH(it, &w->mysql_slow.items)
    {
        struct deadline *d = container_of(it, struct deadline, node);
        struct session *s = container_of(d, struct session, deadline);
        if (s->mysql->turn_until_ms != 0 && same(&s->admission.key, key)) {
            return s;
        }
    }
    return NULL;
}

/* Others from there on this worker; those on others look ten times a second. One that is refused at
 * once is over too, and is followed by the next one here and not in there. */
static void wake(struct worker *w, struct client_key key)
{
    bool more = !w->mysql_waking && !w->stopping;
    while (more) {
        struct session *s = next_waiting(w, &key);
        w->mysql_waking = true;
        more = s != NULL && enter(s);
        w->mysql_waking = false;
    }
}

void mysql_slow_over(struct session *s)
{
    struct mysql_client *c = s->mysql;
    if (!c->counted) {
        return;
    }
    c->counted = false;
    login_guard_leave(s->worker->guard, &s->admission.key);
    wake(s->worker, s->admission.key);
}
