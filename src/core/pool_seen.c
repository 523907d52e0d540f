/* A list goes on at a link (worker.links_listed), which may be closed meanwhile; then it goes on
 * behind the last one that was listed, by their numbers, in the order of which they stand. */
#include "core/pool_seen.h"

#include <assert.h>
#include <string.h>

#include "core/credential.h"
#include "core/mysql_seen.h"
#include "core/session.h"
#include "net/mailbox.h"

#define LOOKS_MAX 1024 /* links looked at for one message */

#define PINS (BACKEND_PINS_SESSION - BACKEND_PINS_TRANSACTION + 1) /* the others are MySQL's */

static_assert(PIN_SESSION == 1 << (PINS - 1), "a gauge for each pin");
static_assert(SEEN_HELD > PIN_SESSION, "beside them");

/* Counting ---------------------------------------------------------------------------------- */

/* One that is being cleaned is about to be idle; one that goes when all on it is answered is still
 * shared. */
static enum server_metric gauge_of(const struct pool_link *l)
{
    if (l->state == LINK_CONNECT || l->state == LINK_PREPARE) {
        return SERVER_LINKS_OPENING;
    }
    if (l->state == LINK_CLEAN || l->use == LINK_IDLE) {
        return SERVER_LINKS_IDLE;
    }
    return l->use == LINK_LENT ? SERVER_LINKS_LENT : SERVER_LINKS_SHARED;
}

void link_seen(struct pool_link *l)
{
    uint16_t gauge = l->state == LINK_CLOSED ? LINK_UNSEEN : (uint16_t)gauge_of(l);
    if (gauge == l->seen_as) {
        return;
    }
    if (l->seen_as != LINK_UNSEEN) {
        metric_sub(&l->counters->at[l->seen_as], 1);
    }
    if (gauge != LINK_UNSEEN) {
        metric_add(&l->counters->at[gauge], 1);
    }
    l->seen_as = gauge;
}

static _Atomic uint64_t *gauges(const struct pooled *p)
{
    return p->worker->metrics.backends[p->session->backend->index]->at;
}

void pooled_count(struct pooled *p, uint16_t now)
{
    _Atomic uint64_t *at = gauges(p);
    for (unsigned i = 0; i < PINS; i++) {
        unsigned was = p->seen_as >> i & 1;
        unsigned is = now >> i & 1;
        if (was != is) {
            metric_add(&at[BACKEND_PINS_TRANSACTION + i], (uint64_t)is - was);
        }
    }
    if (((now ^ p->seen_as) & SEEN_HELD) != 0) {
        metric_add(&at[BACKEND_POOL_HELD], (now & SEEN_HELD) != 0 ? 1 : (uint64_t)-1);
    }
    p->seen_as = now;
}

void pooled_seen_come(struct pooled *p)
{
    metric_add(&gauges(p)[BACKEND_POOL_CLIENTS], 1);
}

void pooled_seen_gone(struct pooled *p)
{
    p->pins = 0;
    pooled_seen(p);
    metric_sub(&gauges(p)[BACKEND_POOL_CLIENTS], 1);
}

/* Listing ----------------------------------------------------------------------------------- */

static const char *const state_words[] = {
    [LINK_CONNECT] = "connect", [LINK_PREPARE] = "login", [LINK_READY] = "ready",
    [LINK_CLEAN] = "clean",     [LINK_CLOSED] = "closed",
};

static const char *use_of(const struct pool_link *l)
{
    static const char *const words[] = {
        [SERVER_LINKS_SHARED] = "shared",
        [SERVER_LINKS_LENT] = "lent",
        [SERVER_LINKS_IDLE] = "idle",
        [SERVER_LINKS_OPENING] = "opening",
    };
    return words[gauge_of(l)];
}

/* What is not printable, and what would end a value, is not shown. */
void pool_row_user(const char *name, size_t len, char out[POOL_USER_MAX])
{
    len = len < POOL_USER_MAX ? len : POOL_USER_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        out[i] = name[i] > ' ' && name[i] < 0x7f && name[i] != '=' ? name[i] : '?';
    }
    out[len] = '\0';
}

static void copy_user(const struct credential *c, char user[POOL_USER_MAX])
{
    const char *name = c != NULL && c->user_len == 0 ? "default" : c != NULL ? c->user : "";
    pool_row_user(name, c == NULL || c->user_len == 0 ? strlen(name) : c->user_len, user);
}

static void fill_row(const struct pool_link *l, struct pool_row *row)
{
    const struct identity *id = &l->pool->identity;
    uint64_t now_ms = loop_now_ms(&l->worker->loop);
    *row = (struct pool_row){
        .id = (uint64_t)l->worker->index << 32 | l->number,
        .server = l->pool->server,
        .database = id->database,
        .resp = id->resp,
        .state = state_words[l->state],
        .use = use_of(l),
        .age_ms = now_ms - l->since_ms,
        .commands = l->commands,
        .flying = l->flights.count,
    };
    copy_user(id->credential, row->user);
    row->local_known = conn_own(&l->conn, &row->local) && row->local.sa.any.sa_family != AF_UNIX;
    if (l->lessee != NULL && l->lessee->session != NULL) {
        row->session = session_id(l->lessee->session);
        row->pins = l->lessee->pins;
        row->pinned_ms = row->pins != 0 ? now_ms - l->lessee->pinned_ms : 0;
    }
}

/* A server's links are of one protocol. */
struct place {
    const struct list *node;
    bool mysql;
};

static const struct pool_link *redis_at(const struct place *at)
{
    return container_of(at->node, struct pool_link, node);
}

static const struct mysql_link *mysql_at(const struct place *at)
{
    return container_of(at->node, struct mysql_link, node);
}

static uint32_t number_at(const struct place *at)
{
    return at->mysql ? mysql_at(at)->number : redis_at(at)->number;
}

static void note_pins(unsigned pins, uint64_t age_ms, struct message_pool *m)
{
    for (unsigned i = 0; i < POOL_PINS; i++) {
        if ((pins >> i & 1) != 0 && age_ms > m->oldest_ms[i]) {
            m->oldest_ms[i] = age_ms;
        }
    }
}

/* False: there is no place for it in this message. */
static bool take(const struct place *at, struct message_pool *m)
{
    struct pool_row row;
    if (m->room > 0 && m->count == POOL_ROWS) {
        return false;
    }
    if (at->mysql) {
        mysql_link_row(mysql_at(at), &row);
    } else {
        fill_row(redis_at(at), &row);
    }
    note_pins(row.pins, row.pinned_ms, m);
    if (m->room == 0) {
        m->left_out++;
        return true;
    }
    m->rows[m->count++] = row;
    m->room--;
    return true;
}

/* Goes on with this server's; false: this is all for this message. */
static bool list_server(struct worker *w, struct message_pool *m, size_t id, int *looks)
{
    bool mysql = !list_empty(&w->servers[id]->mysql_links);
    const struct list *links = mysql ? &w->servers[id]->mysql_links : &w->servers[id]->pool_links;
    bool goes_on = w->links_listed != NULL;
    struct place at = {goes_on ? w->links_listed : links->next, mysql};
    while (!goes_on && at.node != links && number_at(&at) <= w->link_listed) {
        at.node = at.node->next;
    }
    while (at.node != links) {
        w->links_listed = at.node;
        if ((*looks)++ == LOOKS_MAX || !take(&at, m)) {
            return false;
        }
        w->link_listed = number_at(&at);
        at.node = at.node->next;
    }
    w->links_listed = NULL;
    w->link_listed = 0;
    return true;
}

void show_pool(struct message *message, void *worker)
{
    struct worker *w = worker;
    struct message_pool *m = container_of(message, struct message_pool, message);
    const struct server_list none = {0};
    const struct server_list *servers =
        m->backend < w->config->backend_count ? &w->config->backends[m->backend].servers : &none;
    int looks = 0;
    bool more = false;
    m->count = 0;
    m->left_out = 0;
    if (m->first) {
        m->first = false;
        m->at = 0;
        w->links_listed = NULL;
        w->link_listed = 0;
    }
    while (m->at < servers->count && !more) {
        more = !list_server(w, m, servers->items[m->at].id, &looks);
        m->at += !more;
    }
    m->done = !more;
    m->message.run = m->on_listed;
    mailbox_post(w->control, &m->message);
}

void show_pool_forget(struct worker *w, const struct list *node)
{
    if (w->links_listed == node) {
        w->links_listed = NULL;
    }
}
