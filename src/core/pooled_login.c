/* AUTH, HELLO and SELECT: what makes a client another identity. The server judges each of them: on
 * a link that is that identity already, or on one of the client's own, which then becomes it. So
 * nobody is given what he has not proved. */
#include <string.h>

#include "core/credential.h"
#include "core/pooled.h"
#include "core/session.h"

struct wish {
    const char *user, *password; /* NULL = none is named */
    size_t user_len, password_len;
    uint32_t database;
    uint8_t resp;
};

static const char *word(const struct pooled *p, unsigned i, size_t *len)
{
    *len = p->request.words[i].len;
    return pooled_command(p) + p->request.words[i].at;
}

/* AUTH password, AUTH user password. */
static bool read_auth(const struct pooled *p, unsigned at, unsigned count, struct wish *wish)
{
    if (count == 1) {
        wish->user = "";
        wish->password = word(p, at, &wish->password_len);
    } else {
        wish->user = word(p, at, &wish->user_len);
        wish->password = word(p, at + 1, &wish->password_len);
    }
    return count == 1 || count == 2;
}

/* HELLO [version [AUTH user password] [SETNAME name]] */
static bool read_hello(const struct pooled *p, struct wish *wish)
{
    const struct redis_request *r = &p->request;
    const char *first = pooled_command(p);
    unsigned at = 2;
    if (r->argc == 1) {
        return true;
    }
    if (redis_word_is(r, first, 1, "2") || redis_word_is(r, first, 1, "3")) {
        wish->resp = redis_word_is(r, first, 1, "3") ? 3 : 2;
    } else {
        return false;
    }
    while (at < r->argc) {
        if (redis_word_is(r, first, at, "AUTH") && at + 2 < r->argc && wish->password == NULL) {
            read_auth(p, at + 1, 2, wish);
            at += 3;
        } else if (redis_word_is(r, first, at, "SETNAME") && at + 1 < r->argc) {
            at += 2;
        } else {
            return false;
        }
    }
    return true;
}

/* As Redis reads numbers: no sign, no zeros in front. */
static bool read_select(const struct pooled *p, struct wish *wish)
{
    size_t len;
    const char *text = word(p, 1, &len);
    if (p->request.argc != 2 || len == 0 || len > 5 || (text[0] == '0' && len > 1)) {
        return false;
    }
    wish->database = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        wish->database = wish->database * 10 + (uint32_t)(text[i] - '0');
    }
    return true;
}

static bool read_wish(const struct pooled *p, struct wish *wish)
{
    const struct redis_request *r = &p->request;
    *wish = (struct wish){.database = p->identity.database, .resp = p->identity.resp};
    if (r->is_odd || r->word_count != r->argc || r->argc > REDIS_WORDS_MAX) {
        return false;
    }
    switch ((enum redis_kind)p->kind) {
    case REDIS_AUTH:
        return r->argc > 1 && r->argc < 4 && read_auth(p, 1, r->argc - 1, wish);
    case REDIS_HELLO:
        return read_hello(p, wish);
    default:
        return read_select(p, wish);
    }
}

/* What the client will be if the server agrees. False: out of memory. */
static bool prove(struct pooled *p, const struct wish *wish)
{
    struct credential *c = wish->password != NULL
                               ? credential_get(p->worker, wish->user, wish->user_len,
                                                wish->password, wish->password_len)
                               : credential_ref(p->identity.credential);
    if (c == NULL && wish->password != NULL) {
        session_kill(p->session, END_MEMORY);
        return false;
    }
    pooled_judging_over(p);
    credential_unref(p->proving.credential);
    p->proving = (struct identity){c, wish->database, wish->resp};
    return true;
}

/* Any link on which this user was accepted; HELLO needs one that speaks so already. */
static enum turn on_any_of_user(struct pooled *p, size_t server)
{
    uint8_t resp = p->kind == REDIS_HELLO ? p->proving.resp : 0;
    struct pool_link *l =
        pool_find_login(p->worker, p->session->backend->index, server, p->proving.credential, resp);
    if (l == NULL) {
        return TURN_WAIT;
    }
    p->link = l;
    p->judging = p->proving.credential;
    p->judging->judged++;
    return pooled_send(p);
}

void pooled_judging_over(struct pooled *p)
{
    if (p->judging != NULL) {
        p->judging->judged--;
        p->judging = NULL;
    }
}

/* A link that is as the client is now: a new user comes on one on which nobody is. */
static enum turn on_its_own(struct pooled *p, size_t server, bool as_nobody)
{
    static const struct identity nobody = {.resp = 2};
    enum turn turn = pooled_acquire(p, server, as_nobody ? &nobody : &p->identity, PIN_LOGIN);
    return turn == TURN_GO ? pooled_send(p) : turn;
}

/* Words that no server accepts, or that are not understood here: the client has a link of its own
 * from now on, and may do there what it likes. */
static enum turn on_its_own_for_good(struct pooled *p, size_t server)
{
    enum turn turn = pooled_acquire(p, server, &p->identity, PIN_STATE);
    return turn == TURN_GO ? pooled_send(p) : turn;
}

enum turn pooled_login(struct pooled *p, size_t server)
{
    struct wish wish;
    struct pool_link *l;
    if (!read_wish(p, &wish)) {
        return on_its_own_for_good(p, server);
    }
    if (!prove(p, &wish)) {
        return TURN_DONE;
    }
    if (wish.password != NULL) {
        enum turn turn = on_any_of_user(p, server);
        return turn != TURN_WAIT ? turn : on_its_own(p, server, true);
    }
    l = pool_find_ready(p->worker, p->session->backend->index, server, &p->proving);
    if (l != NULL) {
        p->link = l;
        return pooled_send(p);
    }
    return on_its_own(p, server, false);
}

/* A link of its own on which it was accepted is, from then on, what the client is: of a user that
 * logged in, with the database of a new connection. */
static void rename_link(struct pooled *p, const struct flight *f)
{
    struct identity now = p->link->pool->identity;
    if (f->kind == REDIS_SELECT) {
        now.database = p->proving.database;
    } else {
        now.resp = f->kind == REDIS_HELLO ? p->proving.resp : now.resp;
        now.credential = p->proving.credential;
    }
    pool_rename(p->link, &now);
}

void pooled_judged(struct pooled *p, const struct flight *f, const struct redis_reply *r)
{
    bool ok = r->type != '-';
    bool own = p->link != NULL && link_is_lent_to(p->link, p);
    if (p->session_mode || (p->pins & PIN_STATE) != 0) {
        if (ok && f->kind == REDIS_HELLO) {
            p->identity.resp = r->type == '%' ? 3 : 2;
        }
        return;
    }
    p->pins &= (uint16_t)~PIN_LOGIN;
    pooled_judging_over(p);
    if (!ok) {
        return;
    }
    if (own) {
        rename_link(p, f);
    }
    pooled_become(p, &p->proving);
}

void pooled_become(struct pooled *p, const struct identity *id)
{
    struct credential *before = p->identity.credential;
    p->identity = *id;
    if (id->credential != NULL) {
        credential_ref(id->credential)->clients++;
    }
    if (before != NULL) {
        before->clients--;
        credential_unref(before);
    }
}

void pooled_reset(struct pooled *p)
{
    static const struct identity fresh = {.resp = 2};
    pooled_become(p, &fresh);
    pooled_forget_name(p);
    p->multi_lost = p->multi_void = p->multi_bad = p->watch_lost = false;
    p->tracking = 0;
    pooled_forget_channels(p);
}
