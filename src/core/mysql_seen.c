#include "core/mysql_seen.h"

#include "base/macros.h"
#include "core/mysql_lease.h"
#include "core/pool_seen.h"

#define UNSEEN 0 /* mysql_link.seen_as, else 1 + the gauge */

static _Atomic uint64_t *backend_of(const struct session *s)
{
    return s->worker->metrics.backends[s->backend->index]->at;
}

static _Atomic uint64_t *server_of(const struct mysql_link *l)
{
    return l->worker->metrics.servers[l->base.config->id]->at;
}

/* Connections ------------------------------------------------------------------------------- */

static const struct {
    const char *state;
    const char *use;
    enum server_metric gauge;
} words[] = {
    [MYSQL_LINK_CONNECT] = {"connect", "opening", SERVER_LINKS_OPENING},
    [MYSQL_LINK_GREETING] = {"greeting", "opening", SERVER_LINKS_OPENING},
    [MYSQL_LINK_SECURE] = {"tls", "opening", SERVER_LINKS_OPENING},
    [MYSQL_LINK_LENT] = {"ready", "lent", SERVER_LINKS_LENT},
    [MYSQL_LINK_IDLE] = {"ready", "idle", SERVER_LINKS_IDLE},
    [MYSQL_LINK_CLEAN] = {"clean", "idle", SERVER_LINKS_IDLE},
    [MYSQL_LINK_ASK] = {"ask", "idle", SERVER_LINKS_IDLE},
    [MYSQL_LINK_QUIT] = {"quit", "idle", SERVER_LINKS_IDLE},
    [MYSQL_LINK_ABANDONED] = {"abandoned", "opening", SERVER_LINKS_OPENING},
};

void mysql_link_seen(struct mysql_link *l)
{
    bool gone = l->state == MYSQL_LINK_CLOSED;
    mysql_user_seen(l);
    uint16_t gauge = gone ? UNSEEN : (uint16_t)(words[l->state].gauge + 1);
    if (gauge == l->seen_as) {
        return;
    }
    if (l->seen_as != UNSEEN) {
        metric_sub(&server_of(l)[l->seen_as - 1], 1);
    } else if (!l->moved) {
        metric_add(&l->worker->metrics.backends[l->backend]->at[BACKEND_POOL_OPENED], 1);
    }
    if (gauge != UNSEEN) {
        metric_add(&server_of(l)[gauge - 1], 1);
    }
    l->seen_as = gauge;
}

void mysql_link_row(const struct mysql_link *l, struct pool_row *row)
{
    const struct session *s = l->base.session;
    uint64_t now_ms = loop_now_ms(&l->worker->loop);
    bool proving = s != NULL && l->state == MYSQL_LINK_LENT && s->state == SESSION_LOGIN;
    *row = (struct pool_row){
        .id = (uint64_t)l->worker->index << 32 | l->number,
        .server = l->base.index,
        .mysql = true,
        .thread = l->thread,
        .leases = l->leases,
        .state = proving   ? "login"
                 : l->soft ? "soft"
                           : words[l->state].state,
        .use = words[l->state].use,
        .age_ms = now_ms - l->since_ms,
        .commands = l->commands,
        .flying = l->count,
    };
    pool_row_user(l->user != NULL ? l->user : "", l->user_len, row->user);
    row->local_known =
        conn_own(&l->base.conn, &row->local) && row->local.sa.any.sa_family != AF_UNIX;
    if (s != NULL) {
        row->session = session_id(s);
        row->pins = s->mysql->pins;
        row->pinned_ms = row->pins != 0 ? now_ms - s->mysql->pinned_ms : 0;
    }
}

/* Clients ----------------------------------------------------------------------------------- */

void mysql_client_seen_come(const struct session *s)
{
    metric_add(&backend_of(s)[BACKEND_POOL_CLIENTS], 1);
}

void mysql_client_seen_gone(struct session *s)
{
    mysql_client_pin(s->mysql, 0);
    metric_sub(&backend_of(s)[BACKEND_POOL_CLIENTS], 1);
}

/* The counter of the reason that this gauge is of; none of PINS_SESSION, which each client has. */
static void count_pin(_Atomic uint64_t *at, unsigned pin)
{
    unsigned session = BACKEND_PINS_SESSION - BACKEND_PINS_TRANSACTION;
    if (pin < session) {
        metric_add(&at[BACKEND_PINNED_TRANSACTION + pin], 1);
    } else if (pin > session) {
        metric_add(&at[BACKEND_PINNED_PREPARED + pin - session - 1], 1);
    }
}

void mysql_client_pin(struct mysql_client *c, uint32_t pins)
{
    _Atomic uint64_t *at = backend_of(c->session);
    if (LIKELY(pins == c->pins)) {
        return;
    }
    if (c->pins == 0) {
        c->pinned_ms = loop_now_ms(&c->session->worker->loop);
    }
    for (unsigned i = 0; i < POOL_PINS; i++) {
        unsigned was = c->pins >> i & 1;
        unsigned is = pins >> i & 1;
        if (is > was) {
            count_pin(at, i);
        }
        if (was != is) {
            metric_add(&at[BACKEND_PINS_TRANSACTION + i], (uint64_t)is - was);
        }
    }
    c->pins = pins;
}

void mysql_client_hold(struct mysql_client *c, bool held)
{
    _Atomic uint64_t *at = backend_of(c->session);
    if (held == c->held) {
        return;
    }
    c->held = held;
    metric_add(&at[BACKEND_POOL_WAITED], held);
    metric_add(&at[BACKEND_POOL_HELD], held ? 1 : (uint64_t)-1);
}

void mysql_login_seen(const struct session *s, const struct mysql_link *l, uint64_t began_us)
{
    _Atomic uint64_t *at = backend_of(s);
    bool reused = l->leases > 0;
    metric_add(&at[reused ? BACKEND_LOGINS_CHANGED : BACKEND_LOGINS_FRESH], 1);
    metric_add(&at[BACKEND_POOL_LEASES], 1);
    metric_add(&at[BACKEND_POOL_REUSED], reused);
    metric_add(&server_of(l)[SERVER_POOL_REUSED], reused);
    uint64_t took_us = uv_hrtime() / 1000 - began_us;
    metric_observe(&at[BACKEND_LOGIN_TIME], HISTOGRAM_CONNECT, took_us);
    metric_average(&at[BACKEND_LOGIN_AVERAGE], took_us);
    metric_peak(&at[BACKEND_LOGIN_MAX], took_us);
}
