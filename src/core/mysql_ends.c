#include "core/mysql_ends.h"

#include "base/macros.h"
#include "core/mysql_lease.h"
#include "proto/mysql_words.h"

/* Telling ------------------------------------------------------------------------------------- */

static unsigned count_clients(const struct mysql_link *l)
{
    unsigned clients = 0;
    for (size_t i = 0; i < l->count; i++) {
        clients += l->flying[(l->first + i) % MYSQL_FLYING_MAX].kind == MYSQL_CLIENTS;
    }
    return clients;
}

/* Nothing of the reply to the first command under way has reached the client. */
static bool is_unanswered(const struct mysql_link *l)
{
    bool ours = l->flying[l->first].kind != MYSQL_CLIENTS;
    return ours || (l->reply.uncounted && mysql_reply_between(&l->reply));
}

/* It waits for a single answer, of which it has seen nothing: it can be another one. */
static bool awaits_one(const struct mysql_link *l)
{
    return count_clients(l) == 1 && is_unanswered(l);
}

/* In the place of an answer. */
static void answer(struct session *s, enum refusal why, const char *words)
{
    s->mysql->sequence = (uint8_t)(s->mysql->command.sequence + 1);
    s->mysql->owes = true;
    session_refuse(s, why, words);
}

void mysql_ends_unrestored(struct session *s)
{
    const struct mysql_link *l = mysql_link_of(s);
    bool unsent = count_clients(l) == 0 && s->ahead_len > 0;
    if (unsent || awaits_one(l)) {
        mysql_lease_tell(s, REFUSED_CONNECT,
                         "Connection was killed: its state cannot be had on another one");
    } else {
        session_kill(s, END_SERVER);
    }
}

/* Broken protocol ----------------------------------------------------------------------------- */

static void tell(struct session *s, enum session_end why, uint8_t sequence, uint16_t code,
                 const char *state, const char *words)
{
    unsigned char packet[256];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    mysql_write_error(&w, sequence, code, state, words);
    if (w.full || conn_write(&s->client, (const char *)packet, w.len) != 0) {
        session_kill(s, END_CLIENT);
        return;
    }
    s->bytes_out += w.len;
    session_farewell(s, why);
}

static bool may_be_told(const struct mysql_link *l)
{
    return l == NULL || (!l->tainted && (count_clients(l) == 0 || awaits_one(l)));
}

static void count(const struct session *s)
{
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_PROTOCOL_ERRORS], 1);
}

void mysql_ends_broken(struct session *s, uint16_t code, const char *state, const char *words)
{
    count(s);
    mysql_ends_instead(s, code, state, words);
}

void mysql_ends_instead(struct session *s, uint16_t code, const char *state, const char *words)
{
    if (may_be_told(mysql_link_of(s))) {
        tell(s, END_CLIENT, (uint8_t)(s->mysql->command.sequence + 1), code, state, words);
    } else {
        session_kill(s, END_CLIENT);
    }
}

bool mysql_ends_disorder(struct session *s, const struct mysql_link *l)
{
    bool first = mysql_command_is_whole(&s->mysql->command); /* of a command */
    if (first && l != NULL && l->count > 0 && !l->tainted) {
        return false;
    }
    count(s);
    if (may_be_told(l)) {
        /* ER_NET_PACKETS_OUT_OF_ORDER */
        tell(s, END_CLIENT, 0, 1156, "08S01", "Got packets out of order");
    } else {
        session_kill(s, END_CLIENT);
    }
    return true;
}

bool mysql_ends_is_fresh(const struct mysql_link *l)
{
    return l->count > 0 && l->flying[l->first].kind == MYSQL_CLIENTS && is_unanswered(l);
}

bool mysql_ends_nonsense(struct mysql_link *l, bool fresh)
{
    struct session *s = l->base.session;
    metric_add(&l->base.counters->at[SERVER_PROTOCOL_ERRORS], 1);
    l->tainted = true;
    if (fresh) {
        tell(s, END_SERVER, (uint8_t)(s->mysql->command.sequence + 1), 2027, "HY000",
             "router: what the server said is no answer"); /* CR_MALFORMED_PACKET */
    }
    return fresh;
}

/* Shutting down ------------------------------------------------------------------------------- */

void mysql_ends_shut_down(struct session *s)
{
    static const char words[] = "it is shutting down";
    const struct mysql_link *l = mysql_link_of(s);
    if (s->state == SESSION_PARKED && s->mysql->held) {
        mysql_lease_tell(s, REFUSED_SHUTDOWN, words);
    } else if (s->state == SESSION_PARKED || mysql_relay_is_at_rest(s, l)) {
        session_farewell(s, END_SHUTDOWN);
    } else if (!l->tainted && awaits_one(l)) {
        answer(s, REFUSED_SHUTDOWN, words);
    } else {
        session_kill(s, END_SHUTDOWN);
    }
}

static bool does_nothing(struct session *s)
{
    const struct mysql_link *l = mysql_link_of(s);
    bool parked = s->state == SESSION_PARKED && !s->mysql->held;
    return s->ahead_len == 0 && (parked || (l != NULL && l->soft && mysql_relay_is_at_rest(s, l)));
}

void mysql_ends_on_rest(struct deadline *d)
{
    struct session *s = container_of(d, struct session, deadline);
    if (!does_nothing(s) || !s->worker->topology->ending) {
        session_arm(s, mysql_ends_timer(s));
        return;
    }
    if (conn_is_secured(&s->client)) {
        conn_finish(&s->client);
    }
    session_close(s, END_SHUTDOWN);
}

struct deadline_list *mysql_ends_timer(const struct session *s)
{
    struct worker *w = s->worker;
    bool rests = w->topology->ending && s->mysql->lease != NULL;
    return rests ? &w->mysql_rest : &w->frontends[s->frontend->index]->idle;
}

void mysql_ends_drain(struct worker *w)
{
    LIST_EACH(it, &w->sessions)
    {
        struct session *s = container_of(it, struct session, node);
        bool on = s->pooling == POOLING_MYSQL && s->mysql->lease != NULL &&
                  (s->state == SESSION_RELAY || s->state == SESSION_PARKED);
        if (on && (s->timer == NULL || s->timer == &w->frontends[s->frontend->index]->idle)) {
            session_arm(s, &w->mysql_rest);
        }
    }
}

/* Ended by an operator ------------------------------------------------------------------------ */

static struct session *next_of(const struct list *leases,
                               bool (*is_meant)(const void *of, const struct session *s),
                               const void *of)
{
    LIST_EACH(it, leases)
    {
        struct session *s = container_of(it, struct mysql_lease, node)->session;
        if (is_meant(of, s)) {
            return s;
        }
    }
    return NULL;
}

struct session *mysql_ends_next_parked(struct worker *w, size_t server_id,
                                       bool (*is_meant)(const void *of, const struct session *s),
                                       const void *of)
{
    struct session *s = NULL;
    LIST_EACH(it, &w->servers[server_id]->mysql_users)
    {
        const struct mysql_user *a = container_of(it, struct mysql_user, node);
        s = next_of(&a->parked, is_meant, of);
        s = s != NULL ? s : next_of(&a->waiting, is_meant, of);
        if (s != NULL) {
            break;
        }
    }
    return s;
}
