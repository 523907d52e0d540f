/* Showing, asking, giving, taking in: see mysql_move.h. A link itself does not move, because its
 * handle belongs to its loop: the new one takes over a duplicate of the descriptor and what is
 * known, the old one is closed without its place. */
#include "core/mysql_move.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "core/mysql_lease.h"
#include "core/mysql_link.h"
#include "net/mailbox.h"

#define ROUNDS_MAX 256 /* of one turn: there is no end of it while descriptors are wanting */

bool mysql_move_may(const struct mysql_user *a)
{
    const struct worker *w = a->worker;
    return w->worker_count > 1 && !w->config->backends[a->backend].tls;
}

/* Showing and asking -------------------------------------------------------------------------- */

void mysql_move_touch(struct mysql_user *a)
{
    if (list_empty(&a->touched)) {
        list_append(&a->worker->mysql_touched, &a->touched);
    }
}

static struct account_share_at *own(const struct mysql_user *a)
{
    return &a->shared->at[a->worker->index];
}

static uint64_t first_since(const struct mysql_user *a)
{
    if (list_empty(&a->waiting)) {
        return 0;
    }
    return container_of(a->waiting.next, struct mysql_lease, node)->since_ms;
}

static void show(const struct mysql_user *a)
{
    bool may = mysql_move_may(a);
    bool depend = !list_empty(&a->parked) || !list_empty(&a->waiting);
    atomic_store(&own(a)->free, may ? a->free : 0);
    atomic_store(&own(a)->poor, may && depend && a->free == 0);
    account_share_keep(a->shared, a->worker->index);
}

static void ask(const struct mysql_user *a, unsigned worker)
{
    struct message_ask *m = malloc(sizeof *m);
    if (m != NULL) { /* else it may have to wait for those that are here */
        *m = (struct message_ask){.message.run = a->worker->tell->ask,
                                  .worker = worker,
                                  .account = account_share_ref(a->shared)};
        mailbox_post(a->worker->control, &m->message);
    }
}

/* While one is on its way for the first who waits, nobody is asked for another one. */
static void show_waiting(struct mysql_user *a)
{
    uint64_t since_ms = mysql_move_may(a) ? first_since(a) : 0;
    if (since_ms == a->shown_ms) {
        return;
    }
    a->shown_ms = since_ms;
    bool told = atomic_exchange(&own(a)->since_ms, since_ms) != 0;
    for (unsigned i = 0; i < a->shared->workers && since_ms != 0 && !told; i++) {
        if (i != a->worker->index && atomic_load(&a->shared->at[i].free) > 0) {
            ask(a, i);
        }
    }
}

bool mysql_move_is_due(const struct mysql_user *a)
{
    unsigned worker;
    uint64_t since_ms;
    uint64_t here_ms = first_since(a);
    return account_share_first(a->shared, a->worker->index, &worker, &since_ms) &&
           (here_ms == 0 || since_ms + MYSQL_PATIENCE_MS <= here_ms);
}

static void balance(struct mysql_user *a)
{
    show(a);
    show_waiting(a);
    if (mysql_user_is_lost(a)) {
        mysql_user_end_waiting(a);
    } else if (a->free > 0 && !list_empty(&a->waiting)) {
        mysql_user_serve(a); /* what was to be for who waits is closed, and others are there */
    } else if (a->free > 0 && mysql_move_may(a) && mysql_move_is_due(a)) {
        mysql_lease_loosen(a);
    }
}

/* What changes meanwhile is shown before the loop sleeps, too. */
void mysql_move_on_turn(struct worker *w)
{
    for (int i = 0; i < ROUNDS_MAX && !list_empty(&w->mysql_touched) && !w->stopping; i++) {
        struct mysql_user *a = container_of(w->mysql_touched.next, struct mysql_user, touched);
        list_remove(&a->touched);
        balance(a);
    }
}

void mysql_move_lost(struct mysql_user *a)
{
    for (unsigned i = 0; i < a->shared->workers; i++) {
        if (i != a->worker->index && atomic_load(&a->shared->at[i].poor)) {
            ask(a, i);
        }
    }
}

void mysql_move_asked(struct message *m, void *worker)
{
    struct worker *w = worker;
    struct message_ask *asked = container_of(m, struct message_ask, message);
    LIST_EACH(it, &w->servers[asked->account->server]->mysql_users)
    {
        struct mysql_user *a = container_of(it, struct mysql_user, node);
        if (a->shared == asked->account) {
            mysql_move_touch(a);
        }
    }
    account_share_unref(asked->account);
    free(asked);
}

/* Giving -------------------------------------------------------------------------------------- */

/* Run on the control thread, when all is to end. */
static void drop(struct message_gift *gift)
{
    struct mysql_link *l = gift->link;
    close(gift->fd);
    atomic_fetch_sub(&gift->account->links, 1);
    account_share_unref(gift->account);
    mysql_state_free(&l->like);
    free(l->user);
    free(l);
    free(gift);
}

/* What is known of it, for another loop. */
static void take_over(struct mysql_link *to, struct mysql_link *from)
{
    *to = (struct mysql_link){
        .backend = from->backend,
        .dirty = from->dirty,
        .urgent = from->urgent,
        .writes = from->writes,
        .turn = from->turn,
        .mariadb = from->mariadb,
        .moved = true,
        .exposed = from->exposed,
        .odd = from->odd,
        .thread = from->thread,
        .key = from->key,
        .capabilities = from->capabilities,
        .extended = from->extended,
        .charset = from->charset,
        .since_ms = from->since_ms,
        .used_ms = from->used_ms,
        .leases = from->leases,
        .commands = from->commands,
        .user = from->user,
        .user_len = from->user_len,
        .user_hash = from->user_hash,
        .like = from->like,
    };
    memcpy(to->nonce, from->nonce, sizeof to->nonce);
    to->base.index = from->base.index;
    to->base.conn.path = from->base.conn.path;
    from->user = NULL;
    from->user_len = 0;
    from->like = (struct mysql_state){0};
}

/* fcntl(F_DUPFD) would do, but ThreadSanitizer does not see it, and takes whoever had the number
 * before for a race. */
static int duplicate(int fd)
{
    int number = eventfd(0, EFD_CLOEXEC);
    if (number >= 0 && dup3(fd, number, O_CLOEXEC) < 0) {
        close(number);
        return -1;
    }
    return number;
}

/* NULL: it stays what it was. */
static struct message_gift *wrap(const struct mysql_link *l, unsigned worker)
{
    struct message_gift *gift = malloc(sizeof *gift);
    struct mysql_link *to = malloc(sizeof *to);
    int fd = gift != NULL && to != NULL ? duplicate(l->base.conn.fd) : -1;
    if (fd < 0) {
        free(gift);
        free(to);
        return NULL;
    }
    *gift = (struct message_gift){.message.run = l->worker->tell->gift,
                                  .worker = worker,
                                  .server = l->base.config->id,
                                  .fd = fd,
                                  .link = to,
                                  .drop = drop};
    return gift;
}

/* Its account goes on here without it. */
static void send_away(struct mysql_link *l, struct message_gift *gift)
{
    struct worker *w = l->worker;
    struct mysql_user *a = l->account;
    gift->account = account_share_ref(a->shared);
    gift->given_us = uv_hrtime() / 1000;
    take_over(gift->link, l);
    mysql_link_leave(l);
    show(a); /* before it is there, so that who has it knows who depends on it */
    l->account = NULL;
    a->links--;
    mysql_user_maybe_free(a);
    mailbox_post(w->control, &gift->message);
}

static bool is_quiet(const struct mysql_link *l)
{
    return l->base.conn.open && l->base.conn.tls == NULL && l->count == 0 && !l->tainted &&
           !l->odd && conn_queued(&l->base.conn) == 0;
}

/* From now on nobody else gives one to who waits there first. False: nobody waits any more. */
static bool claim(const struct mysql_user *a, unsigned *worker, uint64_t *since_ms)
{
    while (mysql_move_is_due(a) &&
           account_share_first(a->shared, a->worker->index, worker, since_ms)) {
        uint64_t expected = *since_ms;
        if (atomic_compare_exchange_strong(&a->shared->at[*worker].since_ms, &expected, 0)) {
            return true;
        }
    }
    return false;
}

/* Unless somebody waits there anew, and has said so. */
static void unclaim(const struct mysql_user *a, unsigned worker, uint64_t since_ms)
{
    uint64_t expected = 0;
    atomic_compare_exchange_strong(&a->shared->at[worker].since_ms, &expected, since_ms);
}

bool mysql_move_pass_on(struct mysql_link *l)
{
    const struct mysql_user *a = l->account;
    unsigned worker;
    uint64_t since_ms;
    if (a == NULL || l->worker->stopping || !mysql_move_may(a) || !is_quiet(l) ||
        !claim(a, &worker, &since_ms)) {
        return false;
    }
    struct message_gift *gift = wrap(l, worker);
    if (gift == NULL) {
        unclaim(a, worker, since_ms);
        return false;
    }
    send_away(l, gift);
    return true;
}

/* Taking in ----------------------------------------------------------------------------------- */

/* False: it cannot be, and its end has begun. */
static bool open_here(struct mysql_link *l, struct worker *w, int fd)
{
    const struct backend_config *b = &w->config->backends[l->backend];
    bool path = l->base.conn.path;
    l->worker = w;
    l->base.config = &b->servers.items[l->base.index];
    l->base.counters = w->metrics.servers[l->base.config->id];
    l->base.write_awaited = &w->shared->backends[l->backend]->write_awaited;
    list_init(&l->node);
    list_init(&l->at);
    list_init(&l->base.node);
    deadline_init(&l->deadline);
    deadline_init(&l->base.tune);
    deadline_init(&l->base.settle);
    w->links++;
    l->number = ++w->link_numbers;
    list_append(&w->servers[l->base.config->id]->mysql_links, &l->node);
    l->state = MYSQL_LINK_LENT;
    int rc = conn_open(&l->base.conn, &w->loop, &mysql_link_ops, fd);
    if (rc == 0) {
        l->base.conn.path = path;
        conn_tune(&l->base.conn, &(struct conn_tcp){b->tcp_keepalive, b->tcp_user_timeout});
        conn_start(&l->base.conn);
    }
    mysql_link_seen(l);
    return rc == 0;
}

/* It is of its account here, too. */
static bool bind_here(struct mysql_link *l, struct account_share *account)
{
    struct mysql_user *a =
        mysql_user_get(l->worker, l->base.config->id, l->key,
                       (struct mysql_text){.data = account->user, .len = account->user_len});
    if (a == NULL) {
        atomic_fetch_sub(&account->links, 1);
        return false;
    }
    a->links++;
    a->server = l->base.index;
    a->backend = l->backend;
    a->user_hash = l->user_hash;
    a->shown_ms = 0; /* who waits still asks again */
    l->account = a;
    mysql_move_touch(a);
    return true;
}

void mysql_move_given(struct message *m, void *worker)
{
    struct worker *w = worker;
    struct message_gift *gift = container_of(m, struct message_gift, message);
    struct mysql_link *l = gift->link;
    bool killed = gift->given_us <= w->servers[gift->server]->mysql_killed_us;
    bool opened = open_here(l, w, gift->fd);
    bool bound = bind_here(l, gift->account);
    metric_add(&w->metrics.backends[l->backend]->at[BACKEND_POOL_MOVED], 1);
    account_share_unref(gift->account);
    free(gift);
    if (opened && bound && !killed) {
        mysql_pool_arrived(l);
    } else {
        mysql_link_close(l);
    }
}
