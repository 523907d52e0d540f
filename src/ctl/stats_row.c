#include "ctl/stats_row.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "router_proto.h"

const struct stats_field_words stats_fields[STATS_FIELD_COUNT] = {
#define FIELD(name, csv, unit) [STATS_##name] = {csv, STATS_##unit},
#include "ctl/stats_fields.def"
#undef FIELD
};

/* HAProxy's numbers of kinds of rows. */
enum { TYPE_FRONTEND, TYPE_BACKEND, TYPE_SERVER };

static void put(struct stats_row *row, enum stats_field field, uint64_t number)
{
    row->at[field] = (struct stats_value){.known = true, .number = (int64_t)number};
}

static void put_text(struct stats_row *row, enum stats_field field, const char *text)
{
    row->at[field] = (struct stats_value){.known = text != NULL, .text = text};
}

/* What HAProxy counts of HTTP, compression and the like has no meaning here, but its readers find a
 * number where it has one for TCP. */
static void put_nothing(struct stats_row *row, const enum stats_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(row, fields[i], 0);
    }
}

static void begin(struct stats_row *row, const char *proxy, const char *name, unsigned type)
{
    *row = (struct stats_row){.proxy = proxy};
    put_text(row, STATS_PXNAME, proxy);
    put_text(row, STATS_SVNAME, name);
    put_text(row, STATS_MODE, "tcp");
    put(row, STATS_PID, 1);
    put(row, STATS_TYPE, type);
}

static void put_rate(struct stats_row *row, const struct rate *rate)
{
    put(row, STATS_RATE, rate->now);
    put(row, STATS_RATE_MAX, rate->max);
}

/* In seconds; those that have begun do not count. */
static uint64_t since(const struct control *c, uint64_t at_ms)
{
    uint64_t now = loop_now_ms(&c->loop);
    return now > at_ms ? (now - at_ms) / 1000 : 0;
}

static void put_spell(const struct control *c, struct stats_row *row, const struct spell *s)
{
    uint64_t changed_ms = s->changed_ms > 0 ? s->changed_ms : c->started_ms;
    uint64_t lasted = since(c, changed_ms);
    put(row, STATS_CHKDOWN, s->falls);
    put(row, STATS_LASTCHG, lasted);
    put(row, STATS_DOWNTIME, s->down_ms / 1000 + (s->up ? 0 : lasted));
}

static void put_last_session(const struct control *c, struct stats_row *row, const struct rate *r)
{
    put(row, STATS_LASTSESS, r->last_ms > 0 ? since(c, r->last_ms) : (uint64_t)-1);
}

/* Frontends --------------------------------------------------------------------------------- */

void stats_row_frontend(const struct control *c, size_t frontend, struct stats_row *row)
{
    static const enum stats_field nothing[] = {
        STATS_DREQ,         STATS_DRESP,    STATS_SID,     STATS_REQ_RATE,
        STATS_REQ_RATE_MAX, STATS_REQ_TOT,  STATS_COMP_IN, STATS_COMP_OUT,
        STATS_COMP_BYP,     STATS_COMP_RSP, STATS_DSES,    STATS_WREW,
    };
    static const struct {
        enum stats_field field;
        enum frontend_metric metric;
    } metrics[] = {
        {STATS_STOT, FRONTEND_SESSIONS_TOTAL},
        {STATS_BIN, FRONTEND_BYTES_IN},
        {STATS_BOUT, FRONTEND_BYTES_OUT},
        {STATS_DCON, FRONTEND_DENIED},
        {STATS_CONN_TOT, FRONTEND_CONNECTIONS_TOTAL},
        {STATS_EINT, FRONTEND_INTERNAL_ERRORS},
    };
    const struct frontend_config *f = &c->config->frontends[frontend];
    const struct shared_frontend *shared = c->shared->frontends[frontend];
    const struct tally_frontend *tally = tally_of_frontend(c, frontend);
    unsigned most = c->shared->max_sessions;
    begin(row, f->name, "FRONTEND", TYPE_FRONTEND);
    put_nothing(row, nothing, ARRAY_LEN(nothing));
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        put(row, metrics[i].field, tally_frontend_metric(c, frontend, metrics[i].metric));
    }
    put(row, STATS_SCUR, atomic_load_explicit(&shared->sessions, memory_order_relaxed));
    put(row, STATS_SMAX, atomic_load_explicit(&shared->sessions_peak, memory_order_relaxed));
    put(row, STATS_SLIM, f->max_sessions > 0 && f->max_sessions < most ? f->max_sessions : most);
    put(row, STATS_EREQ,
        tally_frontend_metric(c, frontend, FRONTEND_PROXY_REFUSED) +
            tally_frontend_metric(c, frontend, FRONTEND_HELLO_REFUSED) +
            tally_frontend_metric(c, frontend, FRONTEND_REFUSED_LOGIN));
    put(row, STATS_IID, 2 * frontend + 2);
    put(row, STATS_RATE_LIM, f->session_rate);
    put_rate(row, &tally->sessions);
    put(row, STATS_CONN_RATE, tally->connections.now);
    put(row, STATS_CONN_RATE_MAX, tally->connections.max);
    row->state = c->published->draining ? "DOWN" : "UP";
    put_text(row, STATS_STATUS,
             c->published->draining || atomic_load(&c->shared->frontends[frontend]->disabled)
                 ? "STOP"
                 : "OPEN");
}

/* Backends ---------------------------------------------------------------------------------- */

/* The servers that take sessions now. */
struct serving {
    uint64_t active;
    uint64_t backup;
    uint64_t active_weight;
    uint64_t backup_weight;
};

static struct serving count_serving(const struct control *c, size_t backend)
{
    struct serving n = {0};
    const struct server_list *servers = &c->config->backends[backend].servers;
    for (size_t i = 0; i < servers->count; i++) {
        const struct server_config *s = &servers->items[i];
        if (c->published->backends[backend].servers[i].access != ACCESS_OPEN) {
            continue;
        }
        *(s->backup ? &n.backup : &n.active) += 1;
        *(s->backup ? &n.backup_weight : &n.active_weight) += s->weight;
    }
    return n;
}

static const char *algorithm(enum balance balance)
{
    static const char *const words[] = {
        [BALANCE_ROUND_ROBIN] = "roundrobin",
        [BALANCE_LEAST_CONNECTIONS] = "leastconn",
        [BALANCE_IP_HASH] = "source",
        [BALANCE_RANDOM] = "random",
        [BALANCE_FIRST] = "first",
    };
    return words[balance];
}

static void put_serving(const struct control *c, size_t backend, struct stats_row *row)
{
    struct serving n = count_serving(c, backend);
    uint64_t weight = n.active > 0 ? n.active_weight : n.backup_weight;
    row->state = n.active + n.backup > 0 ? "UP" : "DOWN";
    put_text(row, STATS_STATUS, row->state);
    put(row, STATS_ACT, n.active);
    put(row, STATS_BCK, n.backup);
    put(row, STATS_WEIGHT, weight);
    put(row, STATS_UWEIGHT, weight);
}

void stats_row_backend(const struct control *c, size_t backend, struct stats_row *row)
{
    static const enum stats_field nothing[] = {
        STATS_DREQ,
        STATS_DRESP,

        STATS_SID,
        STATS_RTIME,
        STATS_RTIME_MAX,
        STATS_WREW,
        STATS_COMP_IN,
        STATS_COMP_OUT,
        STATS_COMP_BYP,
        STATS_COMP_RSP,
        STATS_AGG_SERVER_STATUS,
        STATS_AGG_SERVER_CHECK_STATUS,
        STATS_AGG_CHECK_STATUS,
    };
    static const struct {
        enum stats_field field;
        enum backend_metric metric;
    } metrics[] = {
        {STATS_STOT, BACKEND_SESSIONS_TOTAL},    {STATS_ECON, BACKEND_GIVEN_UP},
        {STATS_CLI_ABRT, BACKEND_CLIENT_ABORTS}, {STATS_SRV_ABRT, BACKEND_SERVER_ABORTS},
        {STATS_ERESP, BACKEND_SERVER_ABORTS},    {STATS_EINT, BACKEND_INTERNAL_ERRORS},
        {STATS_QTIME, BACKEND_QUEUE_AVERAGE},    {STATS_CTIME, BACKEND_CONNECT_AVERAGE},
        {STATS_TTIME, BACKEND_TOTAL_AVERAGE},    {STATS_REUSE, BACKEND_POOL_REUSED},
        {STATS_QTIME_MAX, BACKEND_QUEUE_MAX},    {STATS_CTIME_MAX, BACKEND_CONNECT_MAX},
        {STATS_TTIME_MAX, BACKEND_TOTAL_MAX},
    };
    static const struct {
        enum stats_field field;
        enum server_metric metric;
    } sums[] = {
        {STATS_BIN, SERVER_BYTES_IN},  {STATS_BOUT, SERVER_BYTES_OUT},
        {STATS_WRETR, SERVER_REPEATS}, {STATS_WREDIS, SERVER_RETRIES},
        {STATS_LBTOT, SERVER_CHOSEN},  {STATS_CONNECT, SERVER_CONNECTS},
    };
    const struct backend_config *b = &c->config->backends[backend];
    const struct shared_backend *shared = c->shared->backends[backend];
    const struct tally_backend *tally = tally_of_backend(c, backend);
    begin(row, b->name, "BACKEND", TYPE_BACKEND);
    put_nothing(row, nothing, ARRAY_LEN(nothing));
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        put(row, metrics[i].field, tally_backend_metric(c, backend, metrics[i].metric));
    }
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        put(row, sums[i].field, tally_backend_sum(c, backend, sums[i].metric));
    }
    put(row, STATS_QCUR, atomic_load_explicit(&shared->waiting[ROUTE_AUTO], memory_order_relaxed));
    put(row, STATS_QMAX, atomic_load_explicit(&shared->waiting_peak, memory_order_relaxed));
    put(row, STATS_SCUR, atomic_load_explicit(&shared->sessions, memory_order_relaxed));
    put(row, STATS_SMAX, atomic_load_explicit(&shared->sessions_peak, memory_order_relaxed));
    put(row, STATS_IID, 2 * backend + 3);
    put_text(row, STATS_ALGO, algorithm(b->balance));
    put_serving(c, backend, row);
    put_spell(c, row, &tally->spell);
    put_rate(row, &tally->sessions);
    put_last_session(c, row, &tally->sessions);
}

/* Servers ----------------------------------------------------------------------------------- */

const char *const haproxy_checks[HAPROXY_CHECK_COUNT] = {
    "SOCKERR", "L4OK",   "L4TOUT", "L4CON", "L6OK",  "L6TOUT",
    "L6RSP",   "L7TOUT", "L7RSP",  "L7OK",  "L7OKC", "L7STS",
};

const char *haproxy_check_words(const char *check)
{
    static const struct {
        const char *check;
        const char *words;
    } table[] = {
        {"INI", "Initializing"},
        {"SOCKERR", "Socket error"},
        {"L4OK", "Layer4 check passed"},
        {"L4TOUT", "Layer4 timeout"},
        {"L4CON", "Layer4 connection problem"},
        {"L6OK", "Layer6 check passed"},
        {"L6TOUT", "Layer6 timeout"},
        {"L6RSP", "Layer6 invalid response"},
        {"L7TOUT", "Layer7 timeout"},
        {"L7RSP", "Layer7 invalid response"},
        {"L7OK", "Layer7 check passed"},
        {"L7OKC", "Layer7 check conditionally passed"},
        {"L7STS", "Layer7 wrong status"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(table[i].check, check) == 0) {
            return table[i].words;
        }
    }
    return "";
}

/* Layer 4 is the connect, 6 the TLS handshake, 7 what is asked. A server that answers, but not what
 * it was asked, has a wrong status; one that is cut in its answer an invalid one. */
const char *haproxy_check(const struct server_view *v)
{
    static const char *const silent[] = {"L4TOUT", "L6TOUT", "L7TOUT"};
    static const char *const failed[] = {"L4CON", "L6RSP", "L7RSP"};
    const struct observation *o = v->seen;
    switch (o->reach) {
    case REACH_UNASKED:
        return "INI";
    case REACH_ANSWERED:
        return o->stage == STAGE_ASK ? "L7OK" : o->stage == STAGE_TLS ? "L6OK" : "L4OK";
    case REACH_SILENT:
        return silent[o->stage];
    case REACH_REFUSED:
        return o->code > 0 ? "L7STS" : failed[o->stage];
    case REACH_DENIED:
        return o->stage == STAGE_ASK ? strcmp(v->state, "stale") == 0 ? "L7OKC" : "L7STS"
                                     : failed[o->stage];
    }
    return "INI";
}

/* "UP 1/3": it will be down after two more failures; "DOWN 1/2": up after one more answer. */
static void put_status(struct stats_row *row)
{
    const struct server_view *v = &row->view;
    unsigned rise = v->backend->probe_rise;
    unsigned fall = v->backend->probe_fall;
    const char *word = row->state;
    if (v->backend->probe == PROBE_OFF && strcmp(word, "UP") == 0) {
        snprintf(row->status, sizeof row->status, "no check");
    } else if (strcmp(word, "UP") == 0 && v->seen->failures > 0 && v->seen->failures < fall) {
        snprintf(row->status, sizeof row->status, "UP %u/%u", fall - v->seen->failures, fall);
    } else if (strcmp(word, "DOWN") == 0 && v->seen->successes > 0 && v->seen->successes < rise) {
        snprintf(row->status, sizeof row->status, "DOWN %u/%u", v->seen->successes, rise);
    } else {
        snprintf(row->status, sizeof row->status, "%s", word);
    }
    put_text(row, STATS_STATUS, row->status);
}

static void put_check(struct stats_row *row)
{
    const struct server_view *v = &row->view;
    const struct observation *o = v->seen;
    unsigned rise = v->backend->probe_rise;
    unsigned fall = v->backend->probe_fall;
    if (v->backend->probe == PROBE_OFF) {
        return;
    }
    bool up = strcmp(v->state, "up") == 0 || strcmp(v->state, "stale") == 0;
    unsigned lost = o->failures < fall ? o->failures : fall - 1;
    unsigned won = o->successes < rise ? o->successes : rise - 1;
    row->check = haproxy_check(v);
    put_text(row, STATS_CHECK_STATUS, row->check);
    put_text(row, STATS_CHECK_DESC, haproxy_check_words(row->check));
    put_text(row, STATS_LAST_CHK, o->why);
    put(row, STATS_CHECK_RISE, rise);
    put(row, STATS_CHECK_FALL, fall);
    put(row, STATS_CHECK_HEALTH, up ? rise + fall - 1 - lost : won);
    if (o->reach != REACH_UNASKED) {
        put(row, STATS_CHECK_DURATION, o->latency_us);
    }
    if (o->code > 0) {
        put(row, STATS_CHECK_CODE, o->code);
    }
}

static void put_server_metrics(const struct control *c, size_t id, struct stats_row *row)
{
    static const struct {
        enum stats_field field;
        enum server_metric metric;
    } metrics[] = {
        {STATS_STOT, SERVER_SESSIONS_TOTAL},
        {STATS_BIN, SERVER_BYTES_IN},
        {STATS_BOUT, SERVER_BYTES_OUT},
        {STATS_ECON, SERVER_GIVEN_UP},
        {STATS_WRETR, SERVER_REPEATS},
        {STATS_WREDIS, SERVER_RETRIES},
        {STATS_LBTOT, SERVER_CHOSEN},
        {STATS_CONNECT, SERVER_CONNECTS},
        {STATS_ERESP, SERVER_SERVER_ABORTS},
        {STATS_CLI_ABRT, SERVER_CLIENT_ABORTS},
        {STATS_SRV_ABRT, SERVER_SERVER_ABORTS},
        {STATS_QTIME, SERVER_QUEUE_AVERAGE},
        {STATS_CTIME, SERVER_CONNECT_AVERAGE},
        {STATS_TTIME, SERVER_TOTAL_AVERAGE},
        {STATS_QTIME_MAX, SERVER_QUEUE_MAX},
        {STATS_CTIME_MAX, SERVER_CONNECT_MAX},
        {STATS_TTIME_MAX, SERVER_TOTAL_MAX},
        {STATS_SRV_ICUR, SERVER_LINKS_IDLE},
        {STATS_SAFE_CONN_CUR, SERVER_LINKS_IDLE},
        {STATS_REUSE, SERVER_POOL_REUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        put(row, metrics[i].field, tally_server_metric(c, id, metrics[i].metric));
    }
}

void stats_row_server(const struct control *c, size_t backend, size_t server, struct stats_row *row)
{
    static const enum stats_field nothing[] = {
        STATS_QCUR,      STATS_QMAX, STATS_DRESP,         STATS_EINT,          STATS_RTIME,
        STATS_RTIME_MAX, STATS_WREW, STATS_IDLE_CONN_CUR, STATS_NEED_CONN_EST,
    };
    struct server_view v = view_server(c, backend, server);
    const struct tally_server *tally = tally_of_server(c, v.config->id);
    const struct shared_server *shared = c->shared->servers[v.config->id];
    begin(row, v.backend->name, v.config->name, TYPE_SERVER);
    row->server = v.config->name;
    row->view = v;
    row->state = v.haproxy_status;
    put_nothing(row, nothing, ARRAY_LEN(nothing));
    put_server_metrics(c, v.config->id, row);
    put(row, STATS_SCUR, v.sessions);
    uint64_t idle = (uint64_t)row->at[STATS_SRV_ICUR].number;
    put(row, STATS_USED_CONN_CUR, v.sessions > idle ? v.sessions - idle : 0);
    put(row, STATS_SMAX, atomic_load_explicit(&shared->connections_peak, memory_order_relaxed));
    if (v.config->max_connections > 0) {
        put(row, STATS_SLIM, v.config->max_connections);
    }
    put(row, STATS_WEIGHT, v.config->weight);
    put(row, STATS_UWEIGHT, v.config->weight);
    put(row, STATS_ACT, !v.config->backup);
    put(row, STATS_BCK, v.config->backup);
    put(row, STATS_IID, 2 * backend + 3);
    put(row, STATS_SID, server + 1);
    put(row, STATS_CHKFAIL, tally->failed_probes);
    put_text(row, STATS_ADDR, v.config->address_text);
    put_status(row);
    put_check(row);
    put_spell(c, row, &tally->spell);
    put_rate(row, &tally->sessions);
    put_last_session(c, row, &tally->sessions);
}
