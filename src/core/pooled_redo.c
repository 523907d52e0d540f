/* Commands that come back unanswered, because their link was lost or their server said that it
 * cannot now. Which of them are sent again: those that read, and those that were refused before
 * they ran. Which are not: writes that may have run; their clients are told so. The order of a
 * client's commands, and of its replies, stays as it was. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/pooled.h"
#include "core/session.h"
#include "proto/redis_channels.h"

enum action { ACTION_SEND, ACTION_SAY };

struct item {
    uint32_t len;
    enum action action;
    char *text; /* owned, of ACTION_SAY */
    size_t text_len;
};

/* For the commands from the first one that is kept on. */
struct redo {
    struct item *items; /* owned */
    size_t count;
    size_t next;  /* the one at `sent` */
    size_t fresh; /* while things come back: how many of the items are new, at the end */
};

static const char unknown[] = "-ERR router: the connection to the server was lost; it is not known "
                              "whether the command was carried out\r\n";
static const char aborted[] = "-EXECABORT Transaction discarded because its server was lost\r\n";
static const char deadly[] = "-ERR router: the connection to the server was lost each time that "
                             "this command was sent\r\n";
static const char transaction[] = "-ERR router: the transaction was lost with its server\r\n";

void pooled_say_unknown(struct pooled *p)
{
    metric_add(
        &p->worker->metrics.backends[p->session->backend->index]->at[BACKEND_COMMANDS_UNKNOWN], 1);
    pooled_say(p, unknown);
}

void pooled_redo_free(struct pooled *p)
{
    struct redo *redo = p->redo;
    if (redo == NULL) {
        return;
    }
    for (size_t i = 0; i < redo->count; i++) {
        free(redo->items[i].text);
    }
    free(redo->items);
    free(redo);
    p->redo = NULL;
}

static void add(struct pooled *p, uint32_t len, enum action action, const char *text,
                size_t text_len)
{
    if (p->redo == NULL) {
        p->redo = calloc(1, sizeof *p->redo);
    }
    struct item *items =
        p->redo != NULL ? realloc(p->redo->items, (p->redo->count + 1) * sizeof *items) : NULL;
    if (items == NULL) {
        pooled_end(p);
        return;
    }
    p->redo->items = items;
    struct item *item = &items[p->redo->count++];
    *item = (struct item){.len = len, .action = action};
    p->redo->fresh++;
    if (text != NULL) {
        item->text = malloc(text_len + 1);
        if (item->text == NULL) {
            pooled_end(p);
            return;
        }
        memcpy(item->text, text, text_len);
        item->text[text_len] = '\0';
        item->text_len = text_len;
    }
}

static void add_words(struct pooled *p, const struct flight *f, const char *words)
{
    add(p, f->bytes, ACTION_SAY, words, strlen(words));
}

static _Atomic uint64_t *backend_metrics(const struct pooled *p)
{
    return p->worker->metrics.backends[p->session->backend->index]->at;
}

static void send_again(struct pooled *p, const struct flight *f)
{
    metric_add(&backend_metrics(p)[BACKEND_COMMANDS_RESENT], 1);
    add(p, f->bytes, ACTION_SEND, NULL, 0);
}

/* Lost -------------------------------------------------------------------------------------- */

static bool in_transaction(const struct flight *f)
{
    return (f->flags & FLIGHT_QUEUED) != 0 || f->kind == REDIS_MULTI;
}

static bool may_have_run(const struct flight *f)
{
    bool again = f->kind != REDIS_WAITS && f->kind != REDIS_OWN && f->access != REDIS_WRITES;
    return !again && (f->flags & FLIGHT_UNSENT) == 0;
}

/* What is certain is that the transaction, and what it watched, are over. */
static void lose_exec(struct pooled *p, const struct flight *f)
{
    if (p->multi_bad || (f->flags & FLIGHT_UNSENT) != 0) {
        add_words(p, f, aborted);
    } else {
        metric_add(&backend_metrics(p)[BACKEND_COMMANDS_UNKNOWN], 1);
        add_words(p, f, unknown);
    }
    p->multi_lost = p->multi_bad = false;
    p->pins &= (uint16_t)~PIN_WATCH;
}

static void come_back(struct pooled *p, const struct flight *f, bool next)
{
    bool begun = f->asked > 0 && f->replies < f->asked;
    if ((f->flags & FLIGHT_GONE) != 0 || begun || p->session_mode) {
        pooled_end(p);
    } else if (f->kind == REDIS_EXEC) {
        lose_exec(p, f);
    } else if (in_transaction(f)) {
        p->multi_lost = true;
        add_words(p, f, transaction);
    } else if (may_have_run(f)) {
        metric_add(&backend_metrics(p)[BACKEND_COMMANDS_UNKNOWN], 1);
        add_words(p, f, unknown);
    } else if (next && ++p->tries >= POOLED_TRIES_MAX) {
        p->tries = 0;
        add_words(p, f, deadly);
    } else {
        send_again(p, f);
    }
}

void pooled_lost(struct pooled *p, const struct flight *f, bool next, bool torn)
{
    p->flying--;
    if (p->session == NULL) {
        p->link = NULL;
        pooled_unref(p);
        return;
    }
    pooled_touch(p);
    if (torn) {
        pooled_end(p);
    } else {
        p->holding = true;
        come_back(p, f, next);
    }
}

/* Refused ----------------------------------------------------------------------------------- */

/* Raised before a command runs (Redis, processCommand()). */
static bool cannot_now(const struct pooled *p, const struct redis_reply *r)
{
    bool to_primary = p->session->route == ROUTE_PRIMARY;
    return redis_reply_is_error(r, "LOADING") || redis_reply_is_error(r, "MASTERDOWN") ||
           (to_primary && redis_reply_is_error(r, "READONLY"));
}

static bool is_role_error(const struct redis_reply *r)
{
    return redis_reply_is_error(r, "READONLY") || redis_reply_is_error(r, "LOADING") ||
           redis_reply_is_error(r, "MASTERDOWN") || redis_reply_is_error(r, "UNBLOCKED");
}

static void doubt(struct pooled *p)
{
    metric_add(&p->link->counters->at[SERVER_ROLE_ERRORS], 1);
    worker_doubt(p->worker, p->session->backend->index, MESSAGE_WHOLE_BACKEND);
}

bool pooled_refused(struct pooled *p, const struct flight *f, const struct redis_reply *r,
                    const char *text, size_t len)
{
    bool refused = false;
    if (r->type == '-' && is_role_error(r)) {
        doubt(p);
        refused = cannot_now(p, r) && !p->session_mode && !in_transaction(f) &&
                  f->kind != REDIS_EXEC && (p->pins & PIN_STATE) == 0 &&
                  (f->flags & FLIGHT_GONE) == 0;
    }
    if (!refused && !p->holding) {
        return false;
    }
    p->holding = true;
    p->read_server = 0;
    if (refused || (f->access != REDIS_WRITES && f->kind <= REDIS_CURSOR)) {
        metric_add(&backend_metrics(p)[BACKEND_COMMANDS_RESENT], 1);
        add(p, f->bytes, ACTION_SEND, NULL, 0);
    } else { /* it ran, and is not to run again */
        add(p, f->bytes, ACTION_SAY, text, len);
    }
    return true;
}

/* Again ------------------------------------------------------------------------------------- */

/* What came back stands before what was there already. */
static bool order(struct redo *redo)
{
    size_t old = redo->count - redo->fresh;
    size_t rest = old - redo->next;
    struct item *items = redo->items;
    struct item *sorted = malloc((redo->count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return false;
    }
    memcpy(sorted, items + old, redo->fresh * sizeof *sorted);
    memcpy(sorted + redo->fresh, items + redo->next, rest * sizeof *sorted);
    for (size_t i = 0; i < redo->next; i++) {
        free(items[i].text);
    }
    free(items);
    *redo = (struct redo){.items = sorted, .count = redo->fresh + rest};
    return true;
}

static void lose_pins(struct pooled *p)
{
    uint16_t gone = PIN_STATE | PIN_RAW | PIN_LARGE | PIN_TRACKING | PIN_SESSION;
    if ((p->pins & gone) != 0 || p->streaming) {
        pooled_end(p);
        return;
    }
    if ((p->pins & PIN_TRANSACTION) != 0 && p->multi_sent) {
        p->multi_lost = true;
    } else if ((p->pins & PIN_WATCH) != 0) {
        p->watch_lost = true;
    }
    p->multi_sent = false;
    p->resetting = false;
    p->resubscribe = p->resubscribe || pooled_subscriptions(p) > 0;
    p->pins = 0;
}

void pooled_restart(struct pooled *p)
{
    struct pool_link *l = p->link;
    bool lost = l == NULL || l->state == LINK_CLOSED;
    bool refused = p->holding && !lost;
    p->holding = false;
    p->link = NULL;
    if (lost) {
        lose_pins(p);
    } else if (link_is_lent_to(l, p)) {
        p->pins &= (uint16_t) ~(PIN_BLOCKING | PIN_WAIT | PIN_LOGIN | PIN_PIPELINE);
        if (p->pins == 0) {
            pool_give_back(l, true);
        } else {
            p->link = l;
        }
    }
    if (p->session == NULL) {
        return;
    }
    if (p->redo != NULL && !order(p->redo)) {
        pooled_end(p);
        return;
    }
    p->sent = p->head;
    p->request = (struct redis_request){0};
    p->whole = false;
    p->nonsense = NULL;
    if (refused) { /* not at once: it would say the same again */
        p->rest_until_ms = loop_now_ms(&p->worker->loop) + POOL_RETRY_MS;
        p->rest_generation = p->worker->topology->generation;
        pooled_hold(p);
    }
}

bool pooled_must_rest(struct pooled *p)
{
    struct worker *w = p->worker;
    bool rests = p->rest_until_ms > loop_now_ms(&w->loop) &&
                 p->rest_generation == w->topology->generation && p->refuse_until <= p->sent;
    if (!rests) {
        p->rest_until_ms = 0;
    }
    return rests;
}

enum turn pooled_redo(struct pooled *p)
{
    struct item *item = &p->redo->items[p->redo->next];
    if (item->action == ACTION_SEND) {
        return TURN_GO;
    }
    return pooled_answer_self(p, item->text);
}

void pooled_redo_sent(struct pooled *p)
{
    if (++p->redo->next == p->redo->count) {
        pooled_redo_free(p);
    }
}
