#include "ctl/stats.h"
#include "ctl/sentinel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/operate.h"
#include "ctl/pool_view.h"
#include "ctl/stats_row.h"
#include "ctl/stats_view.h"
#include "proto/proto.h"
#include "router.h"

static const char *json_bool(bool b)
{
    return b ? "true" : "false";
}

/* "key": "value", with the comma that separates it from the key before. */
static void add_string(struct text *out, const char *key, const char *value)
{
    text_add(out, ",\"%s\":", key);
    if (value == NULL) {
        text_add(out, "null");
    } else {
        text_add_json(out, value);
    }
}

static void add_number(struct text *out, const char *key, uint64_t value)
{
    text_add_bytes(out, ",\"", 2);
    text_add_bytes(out, key, strlen(key));
    text_add_bytes(out, "\":", 2);
    text_add_number(out, (long long)value);
}

static void add_known(struct text *out, const char *key, bool known, int64_t value)
{
    if (known) {
        text_add(out, ",\"%s\":%" PRId64, key, value);
    } else {
        text_add(out, ",\"%s\":null", key);
    }
}

/* ,"key":"2026-11-21T09:00:00.000Z" */
static void add_stamp(struct text *out, const char *key, uint64_t unix_ms)
{
    time_t at = (time_t)(unix_ms / 1000);
    struct tm utc;
    char stamp[32];
    gmtime_r(&at, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    text_add(out, ",\"%s\":\"%s.%03uZ\"", key, stamp, (unsigned)(unix_ms % 1000));
}

/* TLS --------------------------------------------------------------------------------------- */

/* "a.example.com *.b.example.com" as a list of strings. */
static void add_names(struct text *out, const char *names)
{
    char name[TLS_NAMES_MAX];
    bool first = true;
    text_add(out, ",\"names\":[");
    for (size_t len; *names != '\0'; names += len + (names[len] == ' ')) {
        len = strcspn(names, " ");
        snprintf(name, sizeof(name), "%.*s", (int)len, names);
        text_add(out, "%s", first ? "" : ",");
        text_add_json(out, name);
        first = false;
    }
    text_add(out, "]");
}

static void add_certificate(const struct tls_certificate *certificate, time_t now, struct text *out)
{
    static const char *const words[] = {
        [VALIDITY_GOOD] = "good",
        [VALIDITY_SOON] = "soon",
        [VALIDITY_EXPIRED] = "expired",
        [VALIDITY_FUTURE] = "future",
    };
    char problem[CERTIFICATE_PROBLEM_MAX];
    certificate_problem(certificate, now, problem);
    text_add(out, "{\"file\":");
    text_add_json(out, certificate->file);
    add_names(out, certificate->names);
    add_stamp(out, "not_before", (uint64_t)certificate->not_before * 1000);
    add_stamp(out, "not_after", (uint64_t)certificate->not_after * 1000);
    text_add(out, ",\"days_left\":%ld", certificate_days_left(certificate, now));
    add_string(out, "validity", words[certificate_validity(certificate, now)]);
    add_string(out, "problem", problem[0] != '\0' ? problem : NULL);
    text_add(out, "}");
}

/* ,"tls":{...}, or null where TLS is not ours. */
static void add_tls(const struct credential *c, struct text *out)
{
    if (c == NULL) {
        text_add(out, ",\"tls\":null");
        return;
    }
    char problem[CREDENTIAL_PROBLEM_MAX];
    time_t now = time(NULL);
    credential_problem(c, problem);
    text_add(out, ",\"tls\":{\"certificates\":[");
    for (size_t i = 0; i < tls_context_count(c->context); i++) {
        text_add(out, "%s", i > 0 ? "," : "");
        add_certificate(tls_context_certificate(c->context, i), now, out);
    }
    text_add(out, "]");
    add_stamp(out, "read_at", (uint64_t)c->read_at * 1000);
    add_string(out, "problem", problem[0] != '\0' ? problem : NULL);
    text_add(out, "}");
}

/* Numbers ----------------------------------------------------------------------------------- */

static unsigned read_count(const atomic_uint *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void add_metric(struct text *out, const struct metric_words *words, uint64_t value)
{
    if (words->json != NULL) {
        add_number(out, words->json, value);
    }
}

static void add_rate(struct text *out, const struct rate *r)
{
    add_number(out, "rate", r->now);
    add_number(out, "rate_max", r->max);
}

/* How long ago that was, and how long it was down so far. */
static void add_spell(const struct control *c, const struct spell *s, struct text *out)
{
    uint64_t lasted = loop_now_ms(&c->loop) - (s->changed_ms > 0 ? s->changed_ms : c->started_ms);
    add_number(out, "changed_ms", lasted);
    add_number(out, "down_ms", s->down_ms + (s->up ? 0 : lasted));
    add_number(out, "falls", s->falls);
}

static void add_last_session(const struct control *c, const struct rate *r, struct text *out)
{
    add_known(out, "last_session_ms", r->last_ms > 0,
              (int64_t)(loop_now_ms(&c->loop) - r->last_ms));
}

/* Sections ---------------------------------------------------------------------------------- */

static void add_router(const struct control *c, struct text *out)
{
    unsigned sessions = read_count(&c->shared->router->sessions);
    const struct tally *t = &c->tally;
    text_add(out, "{\"version\":%d,\n\"router\":{\"version\":\"%s\"", STATS_JSON_VERSION,
             ROUTER_VERSION);
    add_number(out, "pid", (uint64_t)getpid());
    add_number(out, "uptime_ms", loop_now_ms(&c->loop) - c->started_ms);
    add_number(out, "workers", c->worker_count);
    add_number(out, "sessions", sessions);
    add_number(out, "max_sessions", c->shared->max_sessions);
    add_number(out, "sessions_max", read_count(&c->shared->router->sessions_peak));
    add_number(out, "sessions_total", tally_whole(c, FRONTEND_SESSIONS_TOTAL));
    add_number(out, "connections_total", tally_whole(c, FRONTEND_CONNECTIONS_TOTAL));
    add_number(out, "bytes_in", tally_whole(c, FRONTEND_BYTES_IN));
    add_number(out, "bytes_out", tally_whole(c, FRONTEND_BYTES_OUT));
    add_number(out, "rate", t->sessions.now);
    add_number(out, "rate_max", t->sessions.max);
    add_number(out, "connection_rate", t->connections.now);
    add_number(out, "connection_rate_max", t->connections.max);
    add_number(out, "idle_percent", t->looked_ns > 0 ? t->idle_percent : 100);
    add_number(out, "generation", c->published->generation);
    text_add(out, ",\"ready\":%s,\"draining\":%s}", json_bool(control_ready(c)),
             json_bool(c->draining));
}

/* All that its clients may come to, each once. */
static void add_backends(const struct control *c, const struct frontend_config *f, struct text *out)
{
    const char *comma = "";
    text_add(out, ",\"backends\":[");
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (config_uses_backend(f, i)) {
            text_add(out, "%s", comma);
            text_add_json(out, c->config->backends[i].name);
            comma = ",";
        }
    }
    text_add(out, "]");
}

static void add_frontend(const struct control *c, size_t i, struct text *out)
{
    const struct frontend_config *f = &c->config->frontends[i];
    const struct shared_frontend *shared = c->shared->frontends[i];
    text_add(out, "{\"name\":");
    text_add_json(out, f->name);
    text_add(out, ",\"binds\":[");
    for (size_t b = 0; b < f->binds.count; b++) {
        text_add(out, "%s", b > 0 ? "," : "");
        text_add_json(out, f->binds.items[b].text);
    }
    text_add(out, "]");
    add_string(out, "backend", c->config->backends[f->backend].name);
    add_string(out, "route", view_route(c, i));
    add_backends(c, f, out);
    size_t missing;
    text_add(out, ",\"has_server\":%s,\"disabled\":%s",
             json_bool(view_frontend_has_server(c, i, &missing)),
             json_bool(atomic_load_explicit(&shared->disabled, memory_order_relaxed)));
    add_number(out, "sessions", read_count(&shared->sessions));
    add_number(out, "max_sessions", f->max_sessions);
    add_number(out, "sessions_max", read_count(&shared->sessions_peak));
    add_rate(out, &tally_of_frontend(c, i)->sessions);
    add_tls(view_frontend_tls(c, i), out);
    for (int m = 0; m < FRONTEND_METRIC_COUNT; m++) {
        add_metric(out, &frontend_metric_words[m],
                   tally_frontend_metric(c, i, (enum frontend_metric)m));
    }
    text_add(out, "}");
}

/* What Patroni says of a server: true, it has the leader's lock; null, it is not asked or heard. */
static void add_patroni(const struct server_control *s, struct text *out)
{
    bool heard = s->word.reach == REACH_ANSWERED && s->word.authority != WORD_NONE;
    text_add(out, ",\"patroni_leader\":%s",
             !heard ? "null" : json_bool(s->word.authority == WORD_YES));
    add_string(out, "patroni_why", s->word.why);
}

static void add_server_tally(const struct control *c, const struct server_view *v, struct text *out)
{
    const struct tally_server *t = tally_of_server(c, v->config->id);
    const char *check = v->backend->probe == PROBE_OFF ? NULL : haproxy_check(v);
    add_number(out, "sessions_max",
               read_count(&c->shared->servers[v->config->id]->connections_peak));
    add_string(out, "check", check);
    add_number(out, "check_code", v->seen->code);
    add_number(out, "failed_probes", t->failed_probes);
    text_add(out, ",\"up\":%s", json_bool(t->spell.up));
    add_spell(c, &t->spell, out);
    add_rate(out, &t->sessions);
    add_last_session(c, &t->sessions, out);
}

static void add_server(const struct control *c, size_t backend, size_t server, struct text *out)
{
    struct server_view v = view_server(c, backend, server);
    bool asked = v.seen->reach != REACH_UNASKED;
    text_add(out, "{\"name\":");
    text_add_json(out, v.config->name);
    add_string(out, "address", v.config->address_text);
    add_string(out, "state", v.state);
    add_string(out, "role", v.role);
    add_string(out, "access", v.access);
    add_string(out, "admin", admin_state_names[c->backends[backend]->servers[server].admin]);
    add_string(out, "reason", v.reason);
    add_number(out, "sessions", v.sessions);
    add_number(out, "max_connections", v.config->max_connections);
    add_number(out, "weight", v.config->weight);
    text_add(out, ",\"backup\":%s", json_bool(v.config->backup));
    add_known(out, "offset", v.has_offset, v.offset);
    add_known(out, "lag_bytes", v.has_lag, v.lag);
    add_known(out, "behind_ms", v.has_behind, v.seen->behind_ms);
    add_known(out, "latency_us", asked, (int64_t)v.seen->latency_us);
    add_known(out, "probe_age_ms", asked, (int64_t)(loop_now_ms(&c->loop) - v.seen->at_ms));
    add_number(out, "failures", v.seen->failures);
    add_server_tally(c, &v, out);
    add_patroni(&c->backends[backend]->servers[server], out);
    for (int m = 0; m < SERVER_METRIC_COUNT; m++) {
        add_metric(out, &server_metric_words[m],
                   tally_server_metric(c, v.config->id, (enum server_metric)m));
    }
    text_add(out, "}");
}

static void add_sentinels(const struct backend_control *b, struct text *out)
{
    text_add(out, ",\"sentinels\":[");
    for (size_t i = 0; b->sentinels != NULL && i < sentinels_count(b->sentinels); i++) {
        struct sentinel_view v;
        sentinels_view(b->sentinels, i, &v);
        text_add(out, "%s{\"address\":", i > 0 ? "," : "");
        text_add_json(out, v.address);
        text_add(out, ",\"heard\":%s,\"subscribed\":%s", json_bool(v.heard),
                 json_bool(v.subscribed));
        add_string(out, "names", v.heard ? v.names : NULL);
        add_string(out, "why", v.why);
        text_add(out, "}");
    }
    text_add(out, "]");
}

static void add_backend_tally(const struct control *c, size_t i, struct text *out)
{
    const struct tally_backend *t = tally_of_backend(c, i);
    const struct shared_backend *shared = c->shared->backends[i];
    add_number(out, "waiting_max", read_count(&shared->waiting_peak));
    add_number(out, "sessions", read_count(&shared->sessions));
    add_number(out, "sessions_max", read_count(&shared->sessions_peak));
    add_number(out, "bytes_in", tally_backend_sum(c, i, SERVER_BYTES_IN));
    add_number(out, "bytes_out", tally_backend_sum(c, i, SERVER_BYTES_OUT));
    add_number(out, "elections", t->elections);
    add_number(out, "fences", t->fences);
    text_add(out, ",\"up\":%s", json_bool(t->spell.up));
    add_spell(c, &t->spell, out);
    add_rate(out, &t->sessions);
    add_last_session(c, &t->sessions, out);
    for (int m = 0; m < BACKEND_METRIC_COUNT; m++) {
        add_metric(out, &backend_metric_words[m],
                   tally_backend_metric(c, i, (enum backend_metric)m));
    }
}

static void add_backend(const struct control *c, size_t i, struct text *out)
{
    struct backend_view v = view_backend(c, i);
    text_add(out, "{\"name\":");
    text_add_json(out, v.config->name);
    add_string(out, "protocol", v.config->protocol->name);
    add_string(out, "primary", v.primary);
    add_string(out, "verdict", v.verdict);
    text_add(out, ",\"stale\":%s,\"paused\":%s", json_bool(c->backends[i]->verdict.stale),
             json_bool(c->backends[i]->paused_by_hand));
    add_string(out, "reason", v.reason);
    add_number(out, "waiting", v.waiting);
    add_number(out, "queue_limit", v.config->queue_limit);
    add_number(out, "held_ms", v.held_ms);
    add_backend_tally(c, i, out);
    struct pool_view pool = view_pool(c, i);
    text_add(out, ",\"pool\":");
    pool_json(&pool, out);
    add_tls(view_backend_tls(c, i), out);
    add_sentinels(c->backends[i], out);
    text_add(out, ",\"servers\":[");
    const char *comma = "";
    for (size_t s = 0; s < v.config->servers.count; s++) {
        if (view_shows_server(c, i, s)) {
            text_add(out, "%s", comma);
            add_server(c, i, s, out);
            comma = ",\n";
        }
    }
    text_add(out, "]}");
}

static void add_event(const struct event *e, struct text *out)
{
    text_add(out, "{\"number\":%" PRIu64, e->number);
    add_stamp(out, "at", e->at_unix_ms);
    add_string(out, "backend", e->backend);
    add_string(out, "kind", e->kind);
    add_string(out, "text", e->text);
    text_add(out, "}");
}

static void add_time(struct text *out, const char *key, uint64_t us)
{
    if (us == RECORD_NEVER) {
        text_add(out, ",\"%s\":null", key);
    } else {
        text_add(out, ",\"%s\":%" PRIu64 ".%03u", key, us / 1000, (unsigned)(us % 1000));
    }
}

static void add_change(const struct control *c, const struct record *r, struct text *out)
{
    struct record_counts counts = record_since(r, changes_counts(c->backends[r->backend]));
    text_add(out, "{\"number\":%" PRIu64, r->number);
    add_stamp(out, "at", r->at_unix_ms);
    add_string(out, "backend", r->backend_name);
    add_string(out, "from", r->from[0] != '\0' ? r->from : NULL);
    add_string(out, "to", r->to[0] != '\0' ? r->to : NULL);
    add_string(out, "evidence", r->evidence);
    add_string(out, "claims", r->claims);
    add_time(out, "elected_ms", r->elected_us);
    add_time(out, "fenced_ms", r->fenced_us);
    add_time(out, "published_ms", r->published_us);
    add_time(out, "written_ms", r->written_us);
    add_number(out, "held", counts.held);
    add_number(out, "closed", counts.closed);
    text_add(out, "}");
}

static void add_changes(const struct control *c, struct text *out)
{
    const struct record *r;
    text_add(out, "],\n\"changes\":[");
    for (size_t i = 0; (r = recorder_newest(&c->recorder, i)) != NULL; i++) {
        text_add(out, "%s", i > 0 ? ",\n" : "");
        add_change(c, r, out);
    }
}

void stats_json(const struct control *c, struct text *out)
{
    add_router(c, out);
    text_add(out, ",\n\"frontends\":[");
    const char *comma = "";
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        if (view_shows_frontend(c, i)) {
            text_add(out, "%s", comma);
            add_frontend(c, i, out);
            comma = ",\n";
        }
    }
    text_add(out, "],\n\"backends\":[");
    comma = "";
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (view_shows_backend(c, i)) {
            text_add(out, "%s", comma);
            add_backend(c, i, out);
            comma = ",\n";
        }
    }
    add_changes(c, out);
    text_add(out, "],\n\"events\":[");
    const struct event *e;
    for (size_t i = 0; (e = events_newest(&c->events, i)) != NULL; i++) {
        text_add(out, "%s", i > 0 ? ",\n" : "");
        add_event(e, out);
    }
    text_add(out, "]}\n");
}
