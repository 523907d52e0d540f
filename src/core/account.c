#include "core/account.h"

#include "core/session.h"

static _Atomic uint64_t *of_backend(const struct session *s)
{
    return s->worker->metrics.backends[s->backend->index]->at;
}

static _Atomic uint64_t *of_frontend(const struct session *s)
{
    return s->worker->metrics.frontends[s->frontend->index]->at;
}

void account_begin(struct session *s)
{
    s->admitted = true;
    admission_enter_backend(s->worker, s->backend->index, &s->admission);
    metric_add(&of_frontend(s)[FRONTEND_SESSIONS_TOTAL], 1);
    metric_add(&of_backend(s)[BACKEND_SESSIONS_TOTAL], 1);
}

void account_chosen(struct session *s, size_t server)
{
    size_t id = s->backend->servers.items[server].id;
    metric_add(&s->worker->metrics.servers[id]->at[SERVER_CHOSEN], 1);
}

void account_connect(struct session *s)
{
    metric_add(&s->server->counters->at[SERVER_CONNECTS], 1);
}

void account_ready(struct session *s)
{
    const struct session_times *t = &s->times;
    _Atomic uint64_t *server = s->server->counters->at;
    _Atomic uint64_t *backend = of_backend(s);
    metric_add(&server[SERVER_SESSIONS_TOTAL], 1);
    metric_average(&server[SERVER_QUEUE_AVERAGE], t->queue_us);
    metric_average(&server[SERVER_CONNECT_AVERAGE], t->connect_us);
    metric_peak(&server[SERVER_QUEUE_MAX], t->queue_us);
    metric_peak(&server[SERVER_CONNECT_MAX], t->connect_us);
    metric_observe(&server[SERVER_CONNECT_TIME], HISTOGRAM_CONNECT, t->connect_us);
    metric_average(&backend[BACKEND_QUEUE_AVERAGE], t->queue_us);
    metric_average(&backend[BACKEND_CONNECT_AVERAGE], t->connect_us);
    metric_peak(&backend[BACKEND_QUEUE_MAX], t->queue_us);
    metric_peak(&backend[BACKEND_CONNECT_MAX], t->connect_us);
    if (!s->connected) {
        metric_observe(&backend[BACKEND_QUEUE_TIME], HISTOGRAM_QUEUE, t->queue_us);
    }
    s->connected = true;
}

/* With one server there is no other to go on to: the session waits for it. */
void account_failed(struct session *s, bool last)
{
    _Atomic uint64_t *server = s->server->counters->at;
    metric_add(&server[SERVER_CONNECT_ERRORS], 1);
    if (last) {
        metric_add(&server[SERVER_GIVEN_UP], 1);
        metric_add(&of_backend(s)[BACKEND_GIVEN_UP], 1);
    } else {
        bool only = s->backend->servers.count == 1;
        metric_add(&server[only ? SERVER_REPEATS : SERVER_RETRIES], 1);
    }
}

static void count_abort(struct session *s, enum backend_metric whole, enum server_metric part)
{
    metric_add(&of_backend(s)[whole], 1);
    if (s->server != NULL) {
        metric_add(&s->server->counters->at[part], 1);
    }
}

static void count_end(struct session *s)
{
    switch ((enum session_end)s->end) {
    case END_CLIENT:
    case END_LEFT:
    case END_IDLE:
    case END_CLIENT_LATE:
        count_abort(s, BACKEND_CLIENT_ABORTS, SERVER_CLIENT_ABORTS);
        break;
    case END_SERVER:
    case END_SERVER_LATE:
        count_abort(s, BACKEND_SERVER_ABORTS, SERVER_SERVER_ABORTS);
        break;
    case END_MEMORY:
        metric_add(&of_backend(s)[BACKEND_INTERNAL_ERRORS], 1);
        break;
    default: /* counted where it was decided */
        break;
    }
}

static void time_end(struct session *s)
{
    _Atomic uint64_t *backend = of_backend(s);
    uint64_t age_us = session_age_us(s);
    metric_average(&backend[BACKEND_TOTAL_AVERAGE], age_us);
    metric_peak(&backend[BACKEND_TOTAL_MAX], age_us);
    metric_observe(&backend[BACKEND_SESSION_TIME], HISTOGRAM_SESSION, age_us);
    if (s->server != NULL) {
        _Atomic uint64_t *server = s->server->counters->at;
        metric_average(&server[SERVER_TOTAL_AVERAGE], age_us);
        metric_peak(&server[SERVER_TOTAL_MAX], age_us);
    }
}

void account_end(struct session *s)
{
    if (s->end == END_MEMORY) {
        metric_add(&of_frontend(s)[FRONTEND_INTERNAL_ERRORS], 1);
    }
    if (!s->admitted) {
        return;
    }
    count_end(s);
    if (s->connected) {
        time_end(s);
    } else if (s->times.queued_after_ms > 0) {
        metric_observe(&of_backend(s)[BACKEND_QUEUE_TIME], HISTOGRAM_QUEUE, s->times.queue_us);
    }
}
