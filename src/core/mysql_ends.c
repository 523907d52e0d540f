#include "core/mysql_ends.h"

#include "base/macros.h"
#include "core/mysql_lease.h"

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
    return !l->tainted && count_clients(l) == 1 && is_unanswered(l);
}

/* In the place of an answer. */
static void answer(struct session *s, enum refusal why, const char *words)
{
    s->mysql->sequence = (uint8_t)(s->mysql->command.sequence + 1);
    s->mysql->owes = true;
    session_refuse(s, why, words);
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
    } else if (awaits_one(l)) {
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
