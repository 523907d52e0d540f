/* A list goes on at a link (worker.links_listed), which may be closed meanwhile; then it goes on
 * behind the last one that was listed, by their numbers, in the order of which they stand. */
#include "core/pool_seen.h"

#include <assert.h>
#include <string.h>

#include "core/credential.h"
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

/* Names come from clients: what is not printable, and what would end a value, is not shown. */
static void copy_user(const struct credential *c, char user[POOL_USER_MAX])
{
    const char *name = c != NULL && c->user_len == 0 ? "default" : c != NULL ? c->user : "";
    size_t len = c == NULL || c->user_len == 0 ? strlen(name) : c->user_len;
    len = len < POOL_USER_MAX ? len : POOL_USER_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        user[i] = name[i] > ' ' && name[i] < 0x7f && name[i] != '=' ? name[i] : '?';
    }
    user[len] = '\0';
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

static void note_pins(const struct pool_link *l, struct message_pool *m)
{
    const struct pooled *p = l->lessee;
    if (p == NULL || p->session == NULL) {
        return;
    }
    uint64_t age = loop_now_ms(&l->worker->loop) - p->pinned_ms;
    for (unsigned i = 0; i < PINS; i++) {
        if ((p->pins >> i & 1) != 0 && age > m->oldest_ms[i]) {
            m->oldest_ms[i] = age;
        }
    }
}

/* False: there is no place for it in this message. */
static bool take(const struct pool_link *l, struct message_pool *m)
{
    if (m->room > 0 && m->count == POOL_ROWS) {
        return false;
    }
    note_pins(l, m);
    if (m->room == 0) {
        m->left_out++;
        return true;
    }
    fill_row(l, &m->rows[m->count++]);
    m->room--;
    return true;
}

static struct list *find_place(const struct worker *w, const struct list *links)
{
    struct list *at = links->next;
    while (at != links && container_of(at, struct pool_link, node)->number <= w->link_listed) {
        at = at->next;
    }
    return at;
}

/* Goes on with this server's; false: this is all for this message. */
static bool list_server(struct worker *w, struct message_pool *m, size_t id, int *looks)
{
    const struct list *links = &w->servers[id]->pool_links;
    struct list *at = w->links_listed != NULL ? w->links_listed : find_place(w, links);
    while (at != links) {
        const struct pool_link *l = container_of(at, struct pool_link, node);
        w->links_listed = at;
        if ((*looks)++ == LOOKS_MAX || !take(l, m)) {
            return false;
        }
        w->link_listed = l->number;
        at = at->next;
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

void show_pool_forget(const struct pool_link *l)
{
    if (l->worker->links_listed == &l->node) {
        l->worker->links_listed = NULL;
    }
}
