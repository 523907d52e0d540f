/* A pooled client that is logged in: its bytes pass as they are (core/relay.c), while commands and
 * replies are told apart, so that it is known when nothing is under way. What the client may not
 * have carried out as it is, is taken out: its leaving, and becoming somebody else. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/mysql_client.h"
#include "core/mysql_ends.h"
#include "core/mysql_kill.h"
#include "core/mysql_lease.h"
#include "core/mysql_link.h"
#include "core/mysql_seen.h"

#define CHANGE_MAX (SESSION_AHEAD_MAX - MYSQL_HEADER) /* bytes of a COM_CHANGE_USER */

bool mysql_relay_is_at_rest(const struct session *s, const struct mysql_link *l)
{
    const struct mysql_client *c = s->mysql;
    return c->step == MYSQL_STEP_ON && mysql_link_is_ours(l) && s->ahead_len == 0 && !l->tainted &&
           mysql_command_is_whole(&c->command) && conn_queued(&l->base.conn) == 0;
}

/* Commands ------------------------------------------------------------------------------------ */

/* The reply to it comes behind those to the others, if there will be one. */
static void fly(struct mysql_link *l, uint8_t code)
{
    if (mysql_command_is_answered(code)) {
        mysql_link_fly(l, code, MYSQL_CLIENTS);
        l->commands++;
        l->dirty = true;
    } else {
        mysql_lease_harden(l); /* it may come in pieces */
    }
}

static enum mysql_verdict become_another(struct session *s, struct mysql_link *l, const char *data,
                                         size_t len)
{
    size_t length = s->mysql->command.length;
    if (l->count > 0 || (length <= CHANGE_MAX && len < MYSQL_HEADER + length)) {
        return MYSQL_WAIT;
    }
    if (length > CHANGE_MAX) {
        mysql_ends_broken(s, 1153, "08S01", "router: the change of user is too long");
        return MYSQL_GONE;
    }
    if (len > MYSQL_HEADER + length) { /* it is said by nobody yet */
        mysql_ends_broken(s, 1156, "08S01", "router: there is more behind the change of user");
        return MYSQL_GONE;
    }
    mysql_lease_harden(l);
    mysql_proof_again(s, data + MYSQL_HEADER, length);
    return MYSQL_GONE;
}

/* `data` is where the command begins, with all there is of it. */
static enum mysql_verdict judge(struct session *s, struct mysql_link *l, const char *data,
                                size_t len)
{
    uint8_t code = s->mysql->command.code;
    if (code == MYSQL_COM_QUIT) {
        session_taken(s, s->ahead_len);
        session_close(s, END_DONE);
        return MYSQL_GONE;
    }
    if (l->count == MYSQL_FLYING_MAX) {
        return MYSQL_WAIT;
    }
    if (code == MYSQL_COM_CHANGE_USER) {
        return become_another(s, l, data, len);
    }
    bool kills = mysql_kill_may_be(s, data, len);
    if (kills && len < MYSQL_HEADER + (size_t)s->mysql->command.length) {
        return MYSQL_WAIT;
    }
    l->odd = l->odd || code == MYSQL_COM_SET_OPTION; /* no login takes it back */
    enum mysql_verdict verdict =
        s->mysql->lease != NULL ? mysql_says_judge(s, l, data, len) : MYSQL_PASS;
    if (verdict == MYSQL_PASS) {
        fly(l, mysql_command_asks(&s->mysql->command));
        verdict = kills ? mysql_kill_pass(s, l, data) : MYSQL_PASS;
    }
    if (verdict == MYSQL_PASS || verdict == MYSQL_SKIP) {
        mysql_command_enter(&s->mysql->command);
    }
    return verdict;
}

/* False: the session has ended. */
static bool pass(struct session *s, const char *data, size_t len)
{
    if (len > 0) {
        relay_client_data(s, data, len);
    }
    return s->state == SESSION_RELAY;
}

/* What the server does not get as it is, or may not get. */
static bool is_for_us(const struct session *s, const char *data, size_t len)
{
    uint8_t code = s->mysql->command.code;
    return s->mysql->lease != NULL || code == MYSQL_COM_QUIT || code == MYSQL_COM_CHANGE_USER ||
           mysql_kill_may_be(s, data, len);
}

static bool is_scanned(const struct session *s)
{
    return s->mysql->lease != NULL && s->mysql->lease->scanning;
}

/* Between two commands, of which the first has no reply, others have their turn. */
static bool gives_way(struct session *s, const struct mysql_link *l)
{
    return s->mysql->lease != NULL && mysql_lease_gives_way(s->mysql->lease, l);
}

/* Looks at what there is, passes on what may go, and says how much that was. SIZE_MAX: the session
 * needs none of it any more. */
static size_t look(struct session *s, struct mysql_link *l, const char *data, size_t len)
{
    struct mysql_command *c = &s->mysql->command;
    enum mysql_command_event event = MYSQL_COMMAND_END;
    size_t at = 0;
    size_t passed = 0;
    while (at < len && event != MYSQL_COMMAND_MORE && event != MYSQL_COMMAND_PART) {
        size_t used = 0;
        event = mysql_command_look(c, data + at, len - at, &used);
        if (UNLIKELY(is_scanned(s)) && !mysql_says_more(s, data + at, used)) {
            return SIZE_MAX;
        }
        at += used;
        if (event == MYSQL_COMMAND_BAD) {
            if (!pass(s, data + passed, at > passed ? at - passed : 0) ||
                mysql_ends_disorder(s, l)) {
                return SIZE_MAX;
            }
            passed = at;
            break;
        }
        if (event != MYSQL_COMMAND_BEGIN) {
            continue;
        }
        if (at > 0 && l->count == 0 && gives_way(s, l)) {
            break;
        }
        if (is_for_us(s, data + at, len - at)) {
            if (!pass(s, data + passed, at > passed ? at - passed : 0)) {
                return SIZE_MAX;
            }
            passed = at > passed ? at : passed;
        }
        enum mysql_verdict verdict = judge(s, l, data + at, len - at);
        if (verdict == MYSQL_GONE) {
            return SIZE_MAX;
        }
        if (verdict == MYSQL_WAIT) {
            break;
        }
        if (verdict == MYSQL_SKIP) {
            passed = at + MYSQL_HEADER + c->length;
        }
    }
    return pass(s, data + passed, at > passed ? at - passed : 0) ? at : SIZE_MAX;
}

/* Behind the statement, so that both are one round. */
static void ping(struct session *s, struct mysql_link *l)
{
    struct mysql_lease *lease = s->mysql->lease;
    lease->pings = false;
    lease->yields = mysql_ours_ping(l);
    l->tainted = l->tainted || !lease->yields;
}

/* A command that has no reply, as those have that close a statement, is over when it is sent. */
static void rest(struct session *s)
{
    struct mysql_link *l = mysql_link_of(s);
    const struct mysql_lease *lease = s->mysql->lease;
    if (s->state != SESSION_RELAY || lease == NULL) {
        return;
    }
    if (l->count == 0 && !l->soft && (s->ahead_len == 0 || lease->yields)) {
        mysql_relay_rest(s);
    } else if (UNLIKELY(lease->pings)) {
        ping(s, l);
    }
}

/* What cannot go yet is kept. */
void mysql_relay_go_on(struct session *s)
{
    struct mysql_link *l = mysql_link_of(s);
    if (s->ahead_len == 0) {
        return;
    }
    size_t used = look(s, l, s->ahead, s->ahead_len);
    if (used == SIZE_MAX) {
        return;
    }
    if (used > 0) {
        session_taken(s, used);
    }
    if (s->ahead_len >= SESSION_AHEAD_MAX) {
        conn_pause(&s->client, PAUSE_WAITING);
    } else {
        conn_resume(&s->client, PAUSE_WAITING);
    }
    rest(s);
}

void mysql_relay_rest(struct session *s)
{
    struct mysql_link *l = mysql_link_of(s);
    struct mysql_lease *lease = s->mysql->lease;
    if (s->ahead_len > 0 && !lease->yields) {
        mysql_relay_go_on(s);
        return;
    }
    if (l->count == 0 && mysql_command_is_whole(&s->mysql->command)) {
        mysql_lease_settle(s, l);
    }
    if (lease->yields && !l->asking) { /* nobody took it */
        lease->yields = false;
        if (s->state == SESSION_RELAY && l->base.session == s) {
            mysql_relay_go_on(s);
        }
    }
}

void mysql_relay_client(struct session *s, const char *data, size_t len)
{
    struct mysql_link *l = mysql_link_of(s);
    if (UNLIKELY(s->ahead_len > 0)) {
        if (session_keep(s, data, len)) {
            mysql_relay_go_on(s);
        }
        return;
    }
    size_t used = look(s, l, data, len);
    if (used == SIZE_MAX || (used < len && !session_keep(s, data + used, len - used))) {
        return;
    }
    if (s->ahead_len >= SESSION_AHEAD_MAX) {
        conn_pause(&s->client, PAUSE_WAITING);
    }
    rest(s);
}

/* Replies ------------------------------------------------------------------------------------- */

static void answered(struct mysql_link *l)
{
    /* What a statement that failed has left open is not told. */
    l->urgent = l->reply.failed || (l->reply.status & MYSQL_STATUS_IN_TRANS) != 0;
    l->first = (uint8_t)((l->first + 1) % MYSQL_FLYING_MAX);
    l->count--;
    if (l->count > 0) {
        mysql_reply_begin(&l->reply, l->capabilities, l->flying[l->first].code);
    }
}

/* What nobody asked for passes as the rest does: a server says so why it closes. But then it is not
 * known where it ends. False: the session has ended. */
static bool watch(struct session *s, struct mysql_link *l, const char *data, size_t len)
{
    bool fresh = mysql_ends_is_fresh(l);
    while (len > 0 && !l->tainted) {
        size_t used = 0;
        if (l->count == 0) {
            l->tainted = true;
            return true;
        }
        switch (mysql_reply_look(&l->reply, data, len, &used)) {
        case MYSQL_REPLY_MORE:
            return true;
        case MYSQL_REPLY_END:
            answered(l);
            fresh = false; /* of the others nothing has been passed on either, but of this one */
            break;
        case MYSQL_REPLY_FILE: /* what was said behind it is taken for the file */
            l->tainted = l->count > 1;
            mysql_command_file(&s->mysql->command);
            break;
        case MYSQL_REPLY_BAD:
            return !mysql_ends_nonsense(l, fresh);
        }
        data += used;
        len -= used;
    }
    return true;
}

void mysql_relay_server(struct mysql_link *l, const char *data, size_t len)
{
    struct session *s = l->base.session;
    if (s->mysql->lease != NULL) {
        mysql_flights_data(l, data, len);
        return;
    }
    if (!watch(s, l, data, len)) {
        return;
    }
    relay_server_ops.on_data(&l->base.conn, data, len);
    if (UNLIKELY(s->ahead_len > 0) && s->state == SESSION_RELAY) {
        mysql_relay_go_on(s);
    }
}

/* Beginning, and beginning again -------------------------------------------------------------- */

void mysql_relay_begin(struct session *s)
{
    struct mysql_link *l = mysql_link_of(s);
    s->mysql->command = (struct mysql_command){0};
    l->urgent = false;
    l->dirty = true;
    mysql_client_pin(s->mysql, s->frontend->pool_mode == POOL_SESSION ? MYSQL_PIN_SESSION : 0);
    session_set(s, SESSION_RELAY);
    session_arm(s, mysql_ends_timer(s));
    if (s->ahead_len > 0) {
        mysql_relay_go_on(s);
    }
    if (s->state == SESSION_RELAY && s->client.eof) {
        mysql_client_eof(s);
    }
}
