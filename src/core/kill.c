#include "core/kill.h"

#include "base/macros.h"
#include "core/mysql_ends.h"
#include "core/mysql_link.h"
#include "core/pooled.h"
#include "core/session.h"
#include "net/mailbox.h"

#define AT_A_TIME 64

static void kill_one(struct session *s, struct message_kill *m)
{
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_KILLED], 1);
    session_kill(s, END_KILLED);
    m->killed++;
}

static void kill_by_number(struct worker *w, struct message_kill *m)
{
    LIST_EACH(it, &w->sessions)
    {
        struct session *s = container_of(it, struct session, node);
        if (s->number == m->number && s->state != SESSION_CLOSE) {
            kill_one(s, m);
            return;
        }
    }
}

/* Numbers go round after four billion sessions. */
static bool is_meant(const struct message_kill *m, const struct session *s)
{
    return (int32_t)(m->newest - s->number) >= 0;
}

/* Of the pools' connections those that somebody has or may take; what is on its way was asked for
 * later, or goes by itself. */
static bool is_link_meant(const struct message_kill *m, const struct pool_link *l)
{
    const struct pooled *p = l->lessee;
    bool later = (int32_t)(m->newest_link - l->number) < 0 ||
                 (p != NULL && p->session != NULL && !is_meant(m, p->session));
    return l->state == LINK_READY && l->use != LINK_NEW && !later;
}

static struct pool_link *next_link(struct worker *w, const struct message_kill *m)
{
    LIST_EACH(it, &w->servers[m->server]->pool_links)
    {
        struct pool_link *l = container_of(it, struct pool_link, node);
        if (is_link_meant(m, l)) {
            return l;
        }
    }
    return NULL;
}

/* The same with them: a client goes with what is lent to it; on a shared one what is in flight is
 * answered still. To close one may close others, so it is begun anew each time. */
static bool kill_pooled(struct worker *w, struct message_kill *m)
{
    for (int i = 0; i < AT_A_TIME; i++) {
        struct pool_link *l = next_link(w, m);
        if (l == NULL) {
            return false;
        }
        if (l->lessee != NULL && l->lessee->session != NULL) {
            kill_one(l->lessee->session, m);
        }
        link_retire(l);
    }
    return true;
}

static bool is_meant_here(const void *message, const struct session *s)
{
    return is_meant(message, s);
}

/* Of pool_mode = transaction those too that have no connection of that server at the moment: they
 * can have one of no other. */
static bool kill_parked(struct worker *w, struct message_kill *m)
{
    for (int i = 0; i < AT_A_TIME; i++) {
        struct session *s = mysql_ends_next_parked(w, m->server, is_meant_here, m);
        if (s == NULL) {
            return false;
        }
        kill_one(s, m);
    }
    return true;
}

/* True: some may be left. Who came later is behind them in the list, or had waited. */
static bool kill_on_server(struct worker *w, struct message_kill *m)
{
    unsigned last = m->killed + AT_A_TIME;
    LIST_EACH(it, &w->servers[m->server]->links)
    {
        struct session *s = container_of(it, struct server_link, node)->session;
        if (!is_meant(m, s)) {
            continue;
        }
        if (m->killed == last) {
            return true;
        }
        kill_one(s, m);
    }
    return false;
}

void kill_sessions(struct message *message, void *worker)
{
    struct worker *w = worker;
    struct message_kill *m = container_of(message, struct message_kill, message);
    bool more = false;
    if (!m->begun) {
        m->begun = true;
        m->newest = w->session_numbers;
        m->newest_link = w->link_numbers;
        w->kills++;
    }
    if (m->server == MESSAGE_ONE_SESSION) {
        kill_by_number(w, m);
    } else {
        more = (kill_on_server(w, m) || kill_parked(w, m) || kill_pooled(w, m)) && !w->stopping;
    }
    if (m->server != MESSAGE_ONE_SESSION) {
        mysql_pool_close_idle(w, m->server);
    }
    if (more) {
        mailbox_post(&w->loop.mailbox, &m->message);
        return;
    }
    w->kills--;
    m->message.run = m->on_done;
    mailbox_post(w->control, &m->message);
    worker_maybe_stop(w);
}
