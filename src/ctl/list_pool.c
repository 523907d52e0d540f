/* Backend after backend: all workers are asked for its connections, then what is counted of it is
 * put before them. */
#include "ctl/list_pool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/command.h"
#include "ctl/control.h"
#include "ctl/pool_view.h"
#include "ctl/round.h"
#include "model/login_guard.h"

#define FAILURES_SHOWN 10 /* addresses, the worst ones */
#define ACCOUNTS_SHOWN 64 /* those that came first */

/* A user, and what the connections are used for that are logged in as it. */
struct pool_account {
    char user[POOL_USER_MAX];
    unsigned lent;
    unsigned idle;
};

struct pool_list {
    struct round round;
    struct message_pool message;
    size_t only;
    bool json;
    bool operator; /* asks */
    bool whole;
    size_t left_out;                              /* of this backend */
    struct pool_account accounts[ACCOUNTS_SHOWN]; /* of this backend, if it is MySQL's */
    size_t account_count;
    struct text rows;
    struct text out;
};

static unsigned count(const atomic_uint *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* A connection ------------------------------------------------------------------------------ */

static const char *local_of(const struct pool_row *row, char text[ADDRESS_TEXT_MAX])
{
    return row->local_known ? address_print(&row->local, text) : "-";
}

static void add_row(const struct backend_config *b, const struct pool_row *row, struct text *out)
{
    char local[ADDRESS_TEXT_MAX];
    text_add(out, "0x%" PRIx64 ": srv=%s/%s addr=%s user=%s ", row->id, b->name,
             b->servers.items[row->server].name, local_of(row, local),
             row->user[0] != '\0' ? row->user : "-");
    if (row->mysql) {
        text_add(out, "thread=%u leases=%" PRIu64, row->thread, row->leases);
    } else {
        text_add(out, "db=%u resp=%u", row->database, row->resp);
    }
    text_add(out, " state=%s use=%s pins=", row->state, row->use);
    pool_add_pins(row->pins, "-", out);
    text_add(out, " pinned=");
    if (row->pins != 0) {
        text_add_duration(out, row->pinned_ms);
    } else {
        text_add(out, "-");
    }
    text_add(out, " age=");
    text_add_duration(out, row->age_ms);
    text_add(out, " commands=%" PRIu64 " flying=%u sess=", row->commands, row->flying);
    if (row->session != 0) {
        text_add(out, "0x%" PRIx64 "\n", row->session);
    } else {
        text_add(out, "-\n");
    }
}

/* Numbers of sessions and connections are too large for what many readers take a number for. */
static void add_json_row(const struct backend_config *b, const struct pool_row *row,
                         struct text *out)
{
    text_add(out, "%s{\"id\":\"0x%" PRIx64 "\",\"server\":", out->len > 0 ? ",\n" : "", row->id);
    text_add_json(out, b->servers.items[row->server].name);
    char local[ADDRESS_TEXT_MAX];
    text_add(out, ",\"address\":\"%s\",\"user\":", local_of(row, local));
    if (row->user[0] != '\0') {
        text_add_json(out, row->user);
    } else {
        text_add(out, "null");
    }
    if (row->mysql) {
        text_add(out, ",\"thread\":%u,\"leases\":%" PRIu64, row->thread, row->leases);
    } else {
        text_add(out, ",\"database\":%u,\"resp\":%u", row->database, row->resp);
    }
    text_add(out, ",\"state\":\"%s\",\"use\":\"%s\",\"pins\":\"", row->state, row->use);
    pool_add_pins(row->pins, "", out);
    text_add(out, "\",\"pinned_ms\":%" PRIu64 ",\"age_ms\":%" PRIu64 ",\"commands\":%" PRIu64,
             row->pinned_ms, row->age_ms, row->commands);
    text_add(out, ",\"in_flight\":%u,\"session\":", row->flying);
    if (row->session != 0) {
        text_add(out, "\"0x%" PRIx64 "\"}", row->session);
    } else {
        text_add(out, "null}");
    }
}

/* A server ---------------------------------------------------------------------------------- */

static void add_server(const struct pool_list *l, const struct backend_config *b,
                       const struct server_config *s)
{
    const struct control *c = l->round.control;
    const struct shared_server *shared = c->shared->servers[s->id];
    struct text *out = (struct text *)&l->out;
    unsigned used = count(&shared->connections);
    text_add(out, "%s/%s: used=%u limit=", b->name, s->name, used);
    if (s->max_connections > 0) {
        unsigned left = used < s->max_connections ? s->max_connections - used : 0;
        text_add(out, "%u free=%u", s->max_connections, left);
    } else {
        text_add(out, "none free=any");
    }
    text_add(out, " settling=%u", count(&shared->settling));
    for (int m = SERVER_LINKS_SHARED; m <= SERVER_LINKS_OPENING; m++) {
        text_add(out, " %s=%" PRIu64, server_metric_words[m].value,
                 tally_server_metric(c, s->id, (enum server_metric)m));
    }
    text_add(out, " waiting=%u\n", count(&c->shared->backends[b->index]->waiting[ROUTE_AUTO]));
}

static void add_json_server(const struct pool_list *l, const struct server_config *s,
                            struct text *out)
{
    const struct control *c = l->round.control;
    const struct shared_server *shared = c->shared->servers[s->id];
    text_add(out, "{\"server\":");
    text_add_json(out, s->name);
    text_add(out, ",\"used\":%u,\"max_connections\":%u,\"settling\":%u",
             count(&shared->connections), s->max_connections, count(&shared->settling));
    for (int m = SERVER_LINKS_SHARED; m <= SERVER_LINKS_OPENING; m++) {
        text_add(out, ",\"%s\":%" PRIu64, server_metric_words[m].value,
                 tally_server_metric(c, s->id, (enum server_metric)m));
    }
    text_add(out, "}");
}

/* A backend --------------------------------------------------------------------------------- */

static void add_totals(const struct pool_list *l, const struct backend_config *b,
                       const struct pool_view *v, struct text *out)
{
    text_add(out, "%s: mode=%s", b->name, v->mode);
    for (int i = 0; i < POOLED_COUNTS; i++) {
        if (!pool_counts(v, (enum pool_count)i)) {
            continue;
        }
        text_add(out, " %s=%" PRIu64, pool_count_word((enum pool_count)i), v->counts[i]);
        if (i == POOLED_REUSED && pool_reuse(v) >= 0) {
            text_add(out, " reuse=%d%%", pool_reuse(v));
        } else if (i == POOLED_REUSED) {
            text_add(out, " reuse=-");
        }
    }
    text_add(out, "\n");
    for (unsigned i = 0; i < POOL_PINS; i++) {
        if (v->pins[i] > 0) {
            text_add(out, "%s: pin=%s clients=%" PRIu64 " oldest=", b->name, pool_pin_word(i),
                     v->pins[i]);
            text_add_duration(out, l->message.oldest_ms[i]);
            text_add(out, "\n");
        }
    }
}

/* Accounts ---------------------------------------------------------------------------------- */

static struct pool_account *find_account(struct pool_list *l, const char *user)
{
    for (size_t i = 0; i < l->account_count; i++) {
        if (strcmp(l->accounts[i].user, user) == 0) {
            return &l->accounts[i];
        }
    }
    if (l->account_count == ARRAY_LEN(l->accounts)) {
        return NULL;
    }
    struct pool_account *a = &l->accounts[l->account_count++];
    *a = (struct pool_account){0};
    memcpy(a->user, user, sizeof a->user);
    return a;
}

static void note_account(struct pool_list *l, const struct pool_row *row)
{
    struct pool_account *a = row->mysql && row->user[0] != '\0' ? find_account(l, row->user) : NULL;
    if (a != NULL) {
        a->lent += strcmp(row->use, "lent") == 0;
        a->idle += strcmp(row->use, "idle") == 0;
    }
}

static void add_accounts(const struct pool_list *l, const struct backend_config *b,
                         struct text *out)
{
    for (size_t i = 0; i < l->account_count; i++) {
        const struct pool_account *a = &l->accounts[i];
        if (!l->json) {
            text_add(out, "%s: account=%s lent=%u idle=%u\n", b->name, a->user, a->lent, a->idle);
            continue;
        }
        text_add(out, "%s{\"user\":", i > 0 ? "," : "");
        text_add_json(out, a->user);
        text_add(out, ",\"lent\":%u,\"idle\":%u}", a->lent, a->idle);
    }
}

/* An address from which logins fail. */
static void add_failure(const struct backend_config *b, const struct login_guard_row *r,
                        struct text *out)
{
    char from[ADDRESS_TEXT_MAX];
    text_add(out, "%s: failures from=%s", b->name, client_key_print(&r->key, from));
    for (size_t i = 0; i < LOGIN_FAILURES; i++) {
        text_add(out, " %s=%" PRIu64, login_failure_words[i], r->failures[i]);
    }
    text_add(out, " slowed=%" PRIu64 " delay=%" PRIu64 "ms ago=", r->slowed, r->delay_ms);
    text_add_duration(out, r->ago_ms);
    text_add(out, "\n");
}

static void add_json_failure(const struct login_guard_row *r, struct text *out)
{
    char from[ADDRESS_TEXT_MAX];
    text_add(out, "{\"address\":\"%s\"", client_key_print(&r->key, from));
    for (size_t i = 0; i < LOGIN_FAILURES; i++) {
        text_add(out, ",\"%s\":%" PRIu64, login_failure_words[i], r->failures[i]);
    }
    text_add(out, ",\"slowed\":%" PRIu64 ",\"delay_ms\":%" PRIu64 ",\"ago_ms\":%" PRIu64 "}",
             r->slowed, r->delay_ms, r->ago_ms);
}

/* Who fails is the whole router's, and concerns each backend that is guarded so; like clients, they
 * are told to operators only. */
static void add_failures(const struct pool_list *l, const struct backend_config *b,
                         const struct pool_view *v, struct text *out)
{
    struct login_guard_row rows[FAILURES_SHOWN];
    const struct control *c = l->round.control;
    size_t count = 0;
    if (v->pooled && v->mysql && l->operator) {
        count = login_guard_list(c->guard, rows, ARRAY_LEN(rows), loop_now_ms(&c->loop));
    }
    for (size_t i = 0; i < count; i++) {
        if (!l->json) {
            add_failure(b, &rows[i], out);
        } else {
            text_add(out, "%s", i > 0 ? "," : "");
            add_json_failure(&rows[i], out);
        }
    }
}

static void end_text(struct pool_list *l, const struct backend_config *b, const struct pool_view *v)
{
    if (v->pooled) {
        add_totals(l, b, v, &l->out);
        add_accounts(l, b, &l->out);
        add_failures(l, b, v, &l->out);
    }
    for (size_t i = 0; i < b->servers.count; i++) {
        if (!b->servers.items[i].gone) {
            add_server(l, b, &b->servers.items[i]);
        }
    }
    text_add_bytes(&l->out, l->rows.data, l->rows.len);
    if (l->left_out > 0) {
        text_add(&l->out, "# %zu more connections are not listed\n", l->left_out);
    }
}

static void end_json(struct pool_list *l, const struct backend_config *b, const struct pool_view *v)
{
    struct text *out = &l->out;
    const char *comma = "";
    text_add(out, "%s{\"name\":", out->len > 1 ? ",\n" : "");
    text_add_json(out, b->name);
    text_add(out, ",\"pool\":");
    pool_json(v, out);
    text_add(out, ",\"oldest_pin_ms\":{");
    for (unsigned i = 0; i < POOL_PINS; i++) {
        if (v->pins[i] > 0) {
            text_add(out, "%s\"%s\":%" PRIu64, comma, pool_pin_word(i), l->message.oldest_ms[i]);
            comma = ",";
        }
    }
    text_add(out, "},\"waiting\":%u,\"servers\":[",
             count(&l->round.control->shared->backends[b->index]->waiting[ROUTE_AUTO]));
    comma = "";
    for (size_t i = 0; i < b->servers.count; i++) {
        if (!b->servers.items[i].gone) {
            text_add(out, "%s", comma);
            add_json_server(l, &b->servers.items[i], out);
            comma = ",";
        }
    }
    text_add(out, "],\"accounts\":[");
    add_accounts(l, b, out);
    text_add(out, "],\"failures\":[");
    add_failures(l, b, v, out);
    text_add(out, "],\"connections\":[");
    text_add_bytes(out, l->rows.data, l->rows.len);
    text_add(out, "],\"not_listed\":%zu}", l->left_out);
}

static void end_backend(struct pool_list *l)
{
    const struct control *c = l->round.control;
    const struct backend_config *b = &c->config->backends[l->message.backend];
    struct pool_view v = view_pool(c, l->message.backend);
    if (l->json) {
        end_json(l, b, &v);
    } else {
        end_text(l, b, &v);
    }
    text_free(&l->rows);
    l->left_out = 0;
    l->account_count = 0;
}

/* Asking ------------------------------------------------------------------------------------ */

/* The next one from `backend` on whose workers are to be asked; what has no pool is told at once.
 * False: there is none any more. */
static bool go_to(struct pool_list *l, size_t backend)
{
    const struct config *config = l->round.control->config;
    for (; backend < config->backend_count; backend++) {
        bool wanted = l->only == SIZE_MAX || l->only == backend;
        if (config->backends[backend].gone || !wanted) {
            continue;
        }
        l->message.backend = backend;
        memset(l->message.oldest_ms, 0, sizeof l->message.oldest_ms);
        if (view_pool(l->round.control, backend).pooled) {
            l->message.first = true;
            l->round.worker = 0;
            return true;
        }
        end_backend(l);
    }
    if (l->json) {
        text_add(&l->out, "]\n");
    }
    l->whole = true;
    return false;
}

static void finish(struct round *r)
{
    struct pool_list *l = container_of(r, struct pool_list, round);
    if (l->whole) {
        command_answer(r->ticket, &l->out);
    } else {
        text_free(&l->out);
        command_answer_fail(r->ticket, "The router is ending");
    }
    text_free(&l->rows);
    free(l);
}

static void on_listed(struct message *m, void *control)
{
    const struct control *c = control;
    struct message_pool *back = container_of(m, struct message_pool, message);
    struct pool_list *l = container_of(back, struct pool_list, message);
    const struct backend_config *b = &c->config->backends[back->backend];
    for (size_t i = 0; i < back->count; i++) {
        note_account(l, &back->rows[i]);
        if (l->json) {
            add_json_row(b, &back->rows[i], &l->rows);
        } else {
            add_row(b, &back->rows[i], &l->rows);
        }
    }
    l->left_out += back->left_out;
    if (back->done) {
        l->round.worker++;
        back->first = true;
    }
    if (l->round.worker < c->worker_count) {
        round_go_on(&l->round);
        return;
    }
    end_backend(l);
    if (go_to(l, back->backend + 1)) {
        round_go_on(&l->round);
    } else {
        round_end(&l->round);
    }
}

void list_pool(struct command_call *call, size_t only, bool json)
{
    struct control *c = call->control;
    if (c->stopping || c->worker_count == 0) {
        command_fail(call, "The router is ending");
        return;
    }
    struct pool_list *l = xcalloc(1, sizeof *l);
    l->round.control = c;
    l->only = only;
    l->json = json;
    l->message.on_listed = on_listed;
    l->operator= call->asker->level >= CONTROL_OPERATOR;
    l->message.room = l->operator? LINKS_LISTED_MAX : 0;
    text_add(&l->out, "%s", json ? "[" : "");
    if (!go_to(l, 0)) {
        *call->out = l->out;
        free(l);
        return;
    }
    l->round.ticket = command_later(call);
    l->round.message = &l->message.message;
    l->round.run = c->tell->pool;
    l->round.finish = finish;
    round_begin(&l->round);
}
