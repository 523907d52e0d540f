/* What a new topology means to a session that has a server: it stays, stands still, begins again
 * elsewhere, has its time to leave, or is fenced. */
#include "core/session.h"

static bool refuses_writes_itself(const struct session *s, const struct topology_server *t)
{
    return s->backend->on_demotion.drain_ms > 0 && t->role == ROLE_REPLICA &&
           t->access != ACCESS_NONE && t->access != ACCESS_PAUSE;
}

/* Who stands still is not idle: what its client has sent is not looked at. */
static void rest(struct session *s, bool held)
{
    struct deadline_list *idle = &s->worker->frontends[s->frontend->index]->idle;
    if (held && s->timer == idle) {
        session_arm(s, NULL);
    } else if (!held && s->timer == NULL) {
        session_arm(s, idle);
    }
}

static void hold(struct session *s, bool held)
{
    if (held == ((s->client.pauses & PAUSE_HOLD) != 0)) {
        return;
    }
    if (held) {
        conn_pause(&s->client, PAUSE_HOLD);
        conn_pause(&s->server->conn, PAUSE_HOLD);
        deadline_arm(&s->worker->look, &s->worker->look_again);
    } else {
        conn_resume(&s->client, PAUSE_HOLD);
        conn_resume(&s->server->conn, PAUSE_HOLD);
    }
    if (s->state == SESSION_LOGIN && s->login != NULL) {
        login_held(s);
    } else if (s->state != SESSION_LOGIN) {
        rest(s, held);
    }
}

/* Not a byte has passed: not even the greeting of a server that speaks first. */
static bool is_untouched(const struct session *s)
{
    return s->state == SESSION_CONNECT ||
           (s->state == SESSION_LOGIN && s->bytes_in == 0 && s->bytes_out == 0);
}

/* It may begin again, and its client notices nothing. */
static void reconsider_untouched(struct session *s, bool allowed, enum access access)
{
    if (!allowed || access == ACCESS_PAUSE) {
        session_drop_server(s, true);
        session_wait(s);
    }
}

/* A client that is not logged in yet has nothing to lose, and is told. */
static void fence(struct session *s)
{
    metric_add(&s->server->counters->at[SERVER_FENCED], 1);
    if (s->state == SESSION_LOGIN) {
        session_refuse(s, REFUSED_FENCED, "the server lost its role");
    } else {
        session_kill(s, END_FENCED);
    }
}

void session_reconsider(struct session *s)
{
    struct worker *w = s->worker;
    size_t backend = s->backend->index;
    size_t server = s->server->index;
    const struct topology_server *t = &w->topology->backends[backend].servers[server];
    bool allowed = route_allows(w->topology, backend, server, (enum route)s->route);
    if (is_untouched(s)) {
        reconsider_untouched(s, allowed, t->access);
    } else if (allowed) {
        if (s->timer == &w->backends[backend]->drain) { /* it is well again */
            session_arm(s, &w->frontends[s->frontend->index]->idle);
        }
        hold(s, t->access == ACCESS_PAUSE);
    } else if (s->state == SESSION_RELAY && refuses_writes_itself(s, t)) {
        hold(s, false);
        if (s->timer != &w->backends[backend]->drain) {
            session_arm(s, &w->backends[backend]->drain);
        }
    } else {
        fence(s);
    }
}
