/* What becomes of the command at `sent`: it goes to a shared link, to one of the client's own, or
 * is answered here. Where it must wait for what is in flight, or for a link, nothing has changed,
 * and it is looked at again. */
#include <string.h>

#include "base/macros.h"
#include "core/pooled.h"
#include "core/session.h"

#define NAME_MAX_ASKED 64

/* Helpers ----------------------------------------------------------------------------------- */

void pooled_begin_next(struct pooled *p, size_t len)
{
    p->sent += (uint32_t)len;
    p->request = (struct redis_request){0};
    p->whole = false;
}

/* The command at `sent` is over, and nothing before it is in flight. */
static enum turn done_here(struct pooled *p)
{
    uint32_t len = (uint32_t)p->request.len;
    pooled_begin_next(p, len);
    pooled_forget(p, len);
    if (p->redo != NULL) {
        pooled_redo_sent(p);
    }
    if (p->queued && p->flying == 0) {
        pooled_served(p);
    }
    return TURN_DONE;
}

enum turn pooled_answer_self(struct pooled *p, const char *text)
{
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    pooled_say(p, text);
    return p->session != NULL ? done_here(p) : TURN_DONE;
}

static struct flight *fly(struct pooled *p)
{
    struct flight *f = link_fly(p->link, p);
    if (f == NULL) {
        pooled_no_memory(p);
        return NULL;
    }
    f->kind = p->kind;
    f->access = p->access;
    f->sent_us = pools_now_us(p->worker);
    p->session->connected = true;
    p->link->secret = p->link->secret || p->secret;
    if (p->access == REDIS_WRITES && p->session->route == ROUTE_PRIMARY) {
        p->link->writes = true;
    }
    f->flags = (uint8_t)((p->secret ? FLIGHT_SECRET : 0) | (p->multi_sent ? FLIGHT_QUEUED : 0));
    p->flying++;
    return f;
}

enum turn pooled_send(struct pooled *p)
{
    uint32_t len = (uint32_t)p->request.len;
    struct flight *f = fly(p);
    if (f == NULL) {
        return TURN_DONE;
    }
    f->bytes = len;
    if (p->kind == REDIS_SUBSCRIBE || p->kind == REDIS_UNSUBSCRIBE) {
        f->replies = p->request.argc > 1 ? p->request.argc - 1 : 0;
    }
    if (!link_send(p->link, pooled_command(p), len) || !pooled_unname(p)) {
        pooled_no_memory(p);
        return TURN_DONE;
    }
    pooled_begin_next(p, len);
    if (p->redo != NULL) {
        pooled_redo_sent(p);
    }
    return TURN_DONE;
}

static enum turn leave_it(struct pooled *p)
{
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    session_close(p->session, END_DONE);
    return TURN_DONE;
}

enum turn pooled_stream(struct pooled *p)
{
    int server =
        p->link != NULL ? (int)p->link->pool->server : pooled_server(p, REDIS_WRITES, false);
    uint32_t len = p->len - p->sent;
    if (p->multi_lost || p->refuse_until > p->sent || p->redo != NULL) {
        session_kill(p->session, END_SERVER); /* there is no place to keep it while others wait */
        return TURN_DONE;
    }
    if (p->session->client.eof) { /* the rest of it will not come */
        return leave_it(p);
    }
    if (server < 0) {
        pooled_hold(p);
        return TURN_WAIT;
    }
    enum turn turn =
        pooled_acquire(p, (size_t)server, &p->identity, p->session_mode ? PIN_SESSION : PIN_LARGE);
    if (turn != TURN_GO) {
        return turn;
    }
    const struct worker_server *ws = p->worker->servers[p->link->config->id];
    struct redis_verdict v = redis_catalog_judge(ws->catalog, &p->request, pooled_command(p), len);
    if (v.kind == REDIS_SUBSCRIBE || v.kind == REDIS_UNSUBSCRIBE || v.kind == REDIS_RAW) {
        return pooled_go_raw(p); /* it is not known how many replies there will be */
    }
    if (v.kind != REDIS_PLAIN && !p->session_mode) {
        pooled_pin(p, PIN_STATE);
    }
    p->stateful = p->stateful || !v.known || v.kind != REDIS_PLAIN;
    p->kind = REDIS_PLAIN;
    p->access = REDIS_WRITES;
    p->secret = v.secret;
    struct flight *f = fly(p);
    if (f == NULL || !link_send(p->link, pooled_command(p), len)) {
        pooled_no_memory(p);
        return TURN_DONE;
    }
    f->flags |= FLIGHT_GONE;
    p->len = p->sent;
    p->streaming = true;
    slow_large_begins(p, v.name);
    return TURN_DONE;
}

/* On a shared link -------------------------------------------------------------------------- */

static enum turn send_shared(struct pooled *p, size_t server)
{
    if (p->hog || p->flying >= POOLED_FLYING_MAX) { /* others are not to wait behind it */
        p->hog = true;
        enum turn own =
            p->flying > 0 ? TURN_WAIT : pooled_acquire_and_send(p, server, PIN_PIPELINE);
        if (own != TURN_WAIT || p->flying > 0 || p->pool->opening > 0) {
            return own;
        }
        pooled_unhold(p); /* there is none to be had */
        p->hog = false;
    }
    enum turn turn = pooled_share(p, server, &p->identity);
    return turn == TURN_GO ? pooled_send(p) : turn;
}

static bool begins_scan(const struct pooled *p)
{
    const char *first = pooled_command(p);
    return redis_word_is(&p->request, first, p->cursor_at, "0");
}

/* A cursor means something only to the server that gave it. */
static enum turn send_cursor(struct pooled *p, size_t server)
{
    bool begins = begins_scan(p);
    if (!begins && p->cursor_server > 0 && p->cursor_server != server + 1) {
        return pooled_answer_self(p, "-ERR router: the server that this cursor is of does not "
                                     "serve any more; begin again with 0\r\n");
    }
    enum turn turn = send_shared(p, server);
    if (turn == TURN_DONE && begins) {
        p->cursor_server = (uint16_t)(server + 1);
    }
    return turn;
}

/* The command -------------------------------------------------------------------------------- */

void pooled_judge(struct pooled *p, size_t server)
{
    size_t id = p->session->backend->servers.items[server].id;
    struct redis_verdict v = redis_catalog_judge(p->worker->servers[id]->catalog, &p->request,
                                                 pooled_command(p), p->request.len);
    p->kind = (uint8_t)v.kind;
    p->access = (uint8_t)v.access;
    p->secret = v.secret;
    p->known = v.known;
    p->cursor_at = v.kind == REDIS_CURSOR && strcmp(v.name, "scan") == 0 ? 1 : 2;
}

/* Nobody is there any more to hear what it would wait for: a server would have let such a client
 * go in the midst of it, and what it were given would be lost. */
static bool is_left(const struct pooled *p)
{
    bool waits = p->kind == REDIS_BLOCKS || p->kind == REDIS_WAITS || p->kind == REDIS_OWN ||
                 p->kind == REDIS_SUBSCRIBE || p->kind == REDIS_RAW;
    return waits && !p->multi_sent && p->session->client.eof;
}

static enum turn dispatch_alone(struct pooled *p)
{
    if (p->resetting) {
        return TURN_WAIT;
    }
    pooled_judge(p, p->link->pool->server);
    if (UNLIKELY(is_left(p))) {
        return leave_it(p);
    }
    p->stateful = p->stateful || !p->known || p->kind > REDIS_CURSOR;
    switch ((enum redis_kind)p->kind) {
    case REDIS_QUIT:
        return pooled_answer_quit(p);
    case REDIS_RESET:
        return p->flying > 0 ? TURN_WAIT : pooled_send_own(p);
    default:
        return pooled_send_own(p);
    }
}

static enum turn dispatch_session(struct pooled *p)
{
    if (p->link == NULL) {
        int server = pooled_server(p, REDIS_WRITES, false);
        if (server < 0) {
            pooled_hold(p);
            return TURN_WAIT;
        }
        enum turn turn = pooled_acquire(p, (size_t)server, &p->identity, PIN_SESSION);
        if (turn != TURN_GO) {
            return turn;
        }
    }
    return dispatch_alone(p);
}

static enum turn dispatch_by_kind(struct pooled *p, size_t server)
{
    switch ((enum redis_kind)p->kind) {
    case REDIS_CURSOR:
        return send_cursor(p, server);
    case REDIS_BLOCKS:
    case REDIS_OWN:
        return pooled_acquire_and_send(p, server, PIN_BLOCKING);
    case REDIS_WAITS:
        return pooled_acquire_and_send(p, server, PIN_WAIT);
    case REDIS_AUTH:
    case REDIS_HELLO:
    case REDIS_SELECT:
        return p->flying > 0 ? TURN_WAIT : pooled_login(p, server);
    case REDIS_RESET:
        return pooled_answer_reset(p);
    case REDIS_QUIT:
        return pooled_answer_quit(p);
    case REDIS_MULTI:
        return pooled_acquire_and_send(p, server, PIN_TRANSACTION);
    case REDIS_WATCH:
        return pooled_acquire_and_send(p, server, PIN_WATCH);
    case REDIS_SUBSCRIBE:
    case REDIS_UNSUBSCRIBE:
        return pooled_acquire_and_send(p, server, PIN_SUBSCRIBE);
    case REDIS_TRACKING_ON:
        return pooled_acquire_and_send(p, server, PIN_TRACKING);
    case REDIS_STATE:
        return pooled_acquire_and_send(p, server, PIN_STATE);
    case REDIS_RAW:
        return pooled_acquire_and_send(p, server, PIN_RAW);
    default:
        return send_shared(p, server);
    }
}

/* A name that the catalog does not have may be a renamed command: the server is asked once. */
static enum turn ask_what_it_is(struct pooled *p, size_t server)
{
    const struct redis_word *word = &p->request.words[0];
    const char *name = pooled_command(p) + word->at;
    size_t id = p->session->backend->servers.items[server].id;
    struct worker_server *ws = p->worker->servers[id];
    if (p->request.is_odd || p->request.word_count == 0 || word->len == 0 ||
        word->len > NAME_MAX_ASKED || redis_catalog_has_asked(ws->catalog, name, word->len)) {
        return TURN_GO;
    }
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    if (ws->catalog_busy) {
        pooled_hold(p);
        return TURN_WAIT;
    }
    enum turn turn = pooled_share(p, server, &p->identity);
    if (turn != TURN_GO) {
        return turn;
    }
    char text[NAME_MAX_ASKED + 1];
    memcpy(text, name, word->len);
    text[word->len] = '\0';
    const char *words[] = {"COMMAND", "INFO", text};
    if (!link_ask(p->link, STEP_INFO, words, 3)) {
        pooled_no_memory(p);
        return TURN_DONE;
    }
    redis_catalog_ask(ws->catalog, name, word->len);
    ws->catalog_busy = true;
    p->link = NULL;
    pooled_hold(p);
    return TURN_WAIT;
}

/* Without a primary the replicas are still read, and say what a command is. */
static int server_to_ask(struct pooled *p)
{
    int server = pooled_server(p, REDIS_WRITES, false);
    return server < 0 && p->split ? pooled_server(p, REDIS_READS, false) : server;
}

static int server_to_serve(struct pooled *p)
{
    if (!p->split || p->access != REDIS_READS || p->kind > REDIS_BLOCKS) {
        return pooled_server(p, REDIS_WRITES, false);
    }
    return p->kind == REDIS_CURSOR ? pooled_scan_server(p, begins_scan(p))
                                   : pooled_server(p, REDIS_READS, false);
}

/* The usual case of a pipeline: another plain command, to where the one before is in flight. Not
 * behind a login, which may be judged on a link of the one that the client is to become. */
static bool follows(struct pooled *p)
{
    const struct pool_link *l = p->link;
    if (l == NULL || p->split || p->hog || p->flying == 0 || p->flying >= POOLED_FLYING_MAX ||
        !identity_is(&l->pool->identity, &p->identity) || link_is_full(l) ||
        (int)l->pool->server != pooled_server(p, REDIS_WRITES, false)) {
        return false;
    }
    pooled_judge(p, l->pool->server);
    return p->kind == REDIS_PLAIN && p->known;
}

static enum turn dispatch_shared(struct pooled *p)
{
    if (follows(p)) {
        return pooled_send(p);
    }
    int server = server_to_ask(p);
    if (server < 0) {
        return pooled_without_server(p);
    }
    enum turn turn = pooled_learn(p, (size_t)server);
    if (turn != TURN_GO) {
        return turn;
    }
    pooled_judge(p, (size_t)server);
    if (!p->known) {
        turn = ask_what_it_is(p, (size_t)server);
        if (turn != TURN_GO) {
            return turn;
        }
    }
    if (UNLIKELY(is_left(p))) {
        return leave_it(p);
    }
    server = server_to_serve(p);
    if (server < 0) {
        pooled_hold(p);
        return TURN_WAIT;
    }
    return dispatch_by_kind(p, (size_t)server);
}

enum turn pooled_dispatch(struct pooled *p)
{
    if (p->request.argc == 0) { /* no server answers that */
        return p->flying > 0 ? TURN_WAIT : done_here(p);
    }
    if (UNLIKELY(pooled_has_lost(p)) && pooled_is_void(p)) {
        return pooled_answer_void(p);
    }
    if (p->refuse_until > p->sent) {
        return pooled_refuse_late(p);
    }
    if (p->session_mode) {
        return dispatch_session(p);
    }
    if (p->link != NULL && link_is_lent_to(p->link, p)) {
        return dispatch_alone(p);
    }
    return dispatch_shared(p);
}
