/* A small table, of which the account decides the few places where it may stand: what is not found
 * there is asked again. */
#include "core/mysql_limits.h"

#include <stdlib.h>

#include "base/macros.h"
#include "core/mysql_client.h"
#include "core/mysql_lease.h"
#include "core/mysql_link.h"
#include "core/mysql_seen.h"
#include "proto/mysql_number.h"

#define SETS     64
#define WAYS     4
#define QUESTION "SELECT @@session.max_user_connections"

#define ER_TOO_MANY_USER_CONNECTIONS 1203
#define ER_USER_LIMIT_REACHED        1226

enum knowledge { UNKNOWN, ASKED, UNLIMITED, LIMITED };

struct known {
    uint64_t account;
    uint64_t until_ms; /* loop time; 0 = never used */
    enum knowledge is;
};

struct mysql_limits {
    struct known known[SETS][WAYS];
};

static struct worker_server *server_of(const struct mysql_link *l)
{
    return l->worker->servers[l->base.config->id];
}

static enum knowledge look_up(const struct mysql_limits *t, uint64_t account, uint64_t now_ms)
{
    for (size_t i = 0; t != NULL && i < WAYS; i++) {
        const struct known *k = &t->known[account % SETS][i];
        if (k->account == account && k->until_ms > now_ms) {
            return k->is;
        }
    }
    return UNKNOWN;
}

/* In its own place, or in that of who was asked longest ago. Out of memory: it is asked again. */
static void note(struct worker *w, size_t server_id, uint64_t account, enum knowledge is)
{
    struct worker_server *ws = w->servers[server_id];
    if (ws->limits == NULL) {
        ws->limits = calloc(1, sizeof *ws->limits);
    }
    if (ws->limits == NULL) {
        return;
    }
    struct known *set = ws->limits->known[account % SETS];
    struct known *at = set;
    for (size_t i = 1; i < WAYS && at->account != account; i++) {
        at = set[i].account == account || set[i].until_ms < at->until_ms ? &set[i] : at;
    }
    *at = (struct known){account, loop_now_ms(&w->loop) + MYSQL_LIMITS_MS, is};
}

/* Asking -------------------------------------------------------------------------------------- */

static void ask(struct mysql_link *l)
{
    unsigned char packet[64];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    mysql_number_ask(&l->asked, l->capabilities, QUESTION, &w);
    l->state = MYSQL_LINK_ASK;
    mysql_link_seen(l);
    mysql_link_arm(l, &l->worker->backends[l->backend]->mysql_late);
    note(l->worker, l->base.config->id, l->user_hash, ASKED);
    if (conn_write(&l->base.conn, (const char *)packet, w.len) != 0) {
        mysql_link_close(l);
    }
}

/* Sessions of transaction mode may have left it theirs, as those who have no other. */
bool mysql_limits_forbids(const struct mysql_link *l)
{
    uint64_t now_ms = loop_now_ms(&l->worker->loop);
    return look_up(server_of(l)->limits, l->user_hash, now_ms) == LIMITED && mysql_lease_spares(l);
}

void mysql_limits_take(struct mysql_link *l)
{
    enum knowledge is = look_up(server_of(l)->limits, l->user_hash, loop_now_ms(&l->worker->loop));
    if (is == LIMITED || is == UNLIMITED) {
        mysql_pool_take(l);
    } else {
        ask(l);
    }
}

void mysql_limits_answered(struct mysql_link *l)
{
    switch (mysql_number_take(&l->asked, mysql_inbox_sequence(&l->inbox), l->inbox.payload,
                              l->inbox.length)) {
    case MYSQL_NUMBER_MORE:
        break;
    case MYSQL_NUMBER_READ: {
        unsigned most = l->base.config->max_connections; /* 0: any */
        bool limited = l->asked.value > 0 && (most == 0 || l->asked.value <= most);
        note(l->worker, l->base.config->id, l->user_hash, limited ? LIMITED : UNLIMITED);
        mysql_pool_take(l);
        break;
    }
    case MYSQL_NUMBER_NONE:
        mysql_link_close(l);
        break;
    }
}

bool mysql_limits_has(const struct session *s, size_t server_id)
{
    const struct mysql_limits *t = s->worker->servers[server_id]->limits;
    enum knowledge is = look_up(t, s->mysql->user_hash, loop_now_ms(&s->worker->loop));
    return is == LIMITED || is == ASKED;
}

/* Refused ------------------------------------------------------------------------------------- */

void mysql_limits_told(struct worker *w, size_t server_id, uint64_t account)
{
    note(w, server_id, account, LIMITED);
    mysql_pool_close_account(w, server_id, account);
}

void mysql_limits_left(struct worker *w, size_t server_id, uint64_t account)
{
    const struct mysql_limits *t = w->servers[server_id]->limits;
    if (look_up(t, account, loop_now_ms(&w->loop)) == LIMITED) {
        mysql_pool_close_account(w, server_id, account);
    }
}

/* All workers' idle ones count. */
static void tell_others(struct worker *w, size_t backend, size_t server_id, uint64_t account)
{
    struct message_spare *m = w->worker_count > 1 ? malloc(sizeof *m) : NULL;
    if (m != NULL) {
        *m = (struct message_spare){.message.run = w->tell->spare,
                                    .backend = backend,
                                    .of_account = true,
                                    .server = server_id,
                                    .account = account};
        mailbox_post(w->control, &m->message);
    }
}

bool mysql_limits_refused(struct session *s, const struct mysql_link *l,
                          const struct mysql_inbox *error)
{
    struct mysql_error e;
    if (!mysql_read_error(&e, error->payload, error->length) ||
        (e.code != ER_TOO_MANY_USER_CONNECTIONS && e.code != ER_USER_LIMIT_REACHED)) {
        return false;
    }
    mysql_limits_told(s->worker, l->base.config->id, s->mysql->user_hash);
    tell_others(s->worker, l->backend, l->base.config->id, s->mysql->user_hash);
    return true;
}
