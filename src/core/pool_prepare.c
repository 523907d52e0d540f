/* What the router itself asks on a link, to make it an identity or to clean it. */
#include <stdio.h>
#include <string.h>

#include "core/pool_seen.h"
#include "core/session.h"

static struct worker_server *server_of(const struct pool_link *l)
{
    return l->worker->servers[l->config->id];
}

static struct worker_backend *backend_of(const struct pool_link *l)
{
    return l->worker->backends[l->pool->backend];
}

bool link_ask(struct pool_link *l, enum flight_step step, const char *const *words, size_t count)
{
    const struct backend_config *b = &l->worker->config->backends[l->pool->backend];
    const char *name = config_renamed(&b->probe_commands, words[0]);
    char head[64];
    int n = snprintf(head, sizeof head, "*%zu\r\n", count);
    bool sent = link_send(l, head, (size_t)n);
    for (size_t i = 0; i < count; i++) {
        const char *word = i == 0 ? name : words[i];
        n = snprintf(head, sizeof head, "$%zu\r\n", strlen(word));
        sent = sent && link_send(l, head, (size_t)n) && link_send(l, word, strlen(word)) &&
               link_send(l, "\r\n", 2);
    }
    struct flight *f = sent ? link_fly(l, NULL) : NULL;
    if (f != NULL) {
        f->kind = (uint8_t)step;
        f->flags |= step == STEP_LOGIN ? FLIGHT_SECRET : 0;
        l->secret = l->secret || step == STEP_LOGIN;
    }
    return f != NULL;
}

bool link_ask_steps(struct pool_link *l, const struct identity *now, const struct identity *to)
{
    const struct backend_config *b = &l->worker->config->backends[l->pool->backend];
    struct worker_server *ws = server_of(l);
    char number[16];
    bool done = true;
    if (to->credential != now->credential) {
        const char *user = b->probe_user;
        const char *words[] = {"AUTH", user, backend_of(l)->password};
        const char *without[] = {"AUTH", backend_of(l)->password};
        done =
            user != NULL ? link_ask(l, STEP_LOGIN, words, 3) : link_ask(l, STEP_LOGIN, without, 2);
    }
    if (to->resp != now->resp) {
        const char *words[] = {"HELLO", to->resp == 3 ? "3" : "2"};
        done = done && link_ask(l, STEP_HELLO, words, 2);
    }
    if (to->database != now->database) {
        snprintf(number, sizeof number, "%u", to->database);
        const char *words[] = {"SELECT", number};
        done = done && link_ask(l, STEP_SELECT, words, 2);
    }
    if (!ws->catalog_asked && !ws->catalog_busy) {
        const char *words[] = {"COMMAND"};
        ws->catalog_asked = true;
        ws->catalog_busy = true;
        done = done && link_ask(l, STEP_COMMAND, words, 1);
    }
    if (l->flights.count == 0) { /* a server that is full says so now, not to a client */
        const char *words[] = {"PING"};
        done = done && link_ask(l, STEP_TOUCH, words, 1);
    }
    return done;
}

void link_prepare(struct pool_link *l, struct pool *to)
{
    struct pool *old = l->pool;
    struct identity now = old->identity;
    list_remove(&l->at);
    if (l->use == LINK_SHARED) {
        old->shared_count--;
        server_of(l)->shared_links--;
    }
    link_arm(l, &backend_of(l)->link_connect);
    l->use = LINK_NEW;
    l->state = LINK_PREPARE;
    link_seen(l);
    to->links++;
    to->opening++;
    l->pool = to;
    bool asked = link_ask_steps(l, &now, &to->identity);
    old->links--;
    pool_maybe_free(old);
    if (!asked) {
        link_lost(l);
    }
}

bool link_reset_first(struct pool_link *l)
{
    const char *words[] = {"RESET"};
    l->reset_due = false;
    return server_of(l)->no_reset || link_ask(l, STEP_RESET, words, 1);
}

bool link_renew_nobody(struct pool_link *l, bool now)
{
    const struct identity *id = &l->pool->identity;
    uint64_t now_ms = loop_now_ms(&l->worker->loop);
    char number[16];
    if (id->credential != NULL || server_of(l)->no_reset || l->state != LINK_READY ||
        (!now && now_ms - l->checked_ms < LINK_NOBODY_MS)) {
        return true;
    }
    l->checked_ms = now_ms;
    l->reset_due = false;
    snprintf(number, sizeof number, "%u", id->database);
    const char *reset[] = {"RESET"};
    const char *hello[] = {"HELLO", "3"};
    const char *select[] = {"SELECT", number};
    return link_ask(l, STEP_RESET, reset, 1) &&
           (id->resp == 2 || link_ask(l, STEP_HELLO, hello, 2)) &&
           (id->database == 0 || link_ask(l, STEP_SELECT, select, 2));
}

void link_clean(struct pool_link *l)
{
    const char *words[] = {"RESET"};
    static const struct identity fresh = {.resp = 2};
    if (server_of(l)->no_reset || l->raw || l->state != LINK_READY ||
        !link_ask(l, STEP_RESET, words, 1)) {
        link_close(l);
        return;
    }
    l->state = LINK_CLEAN;
    l->use = LINK_NEW;
    link_seen(l);
    l->tainted = false;
    l->lessee = NULL;
    link_arm(l, &backend_of(l)->link_connect);
    if (!pool_rename(l, &fresh)) {
        link_close(l);
    }
}
