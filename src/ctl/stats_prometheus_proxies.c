/* Families of frontends, backends and servers: HAProxy's columns from the rows (stats_row.h), and
 * what the workers count, with histograms. The outer loops go over families, the inner ones over
 * who has a series. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/stats_prometheus.h"
#include "ctl/stats_row.h"

enum scope { SCOPE_FRONTEND, SCOPE_BACKEND, SCOPE_SERVER, SCOPE_COUNT };

static const struct {
    char letter; /* in stats_fields.def */
    const char *prefix;
    const struct metric_words *words;
    int metric_count;
} scopes[SCOPE_COUNT] = {
    [SCOPE_FRONTEND] = {'F', "haproxy_frontend_", frontend_metric_words, FRONTEND_METRIC_COUNT},
    [SCOPE_BACKEND] = {'B', "haproxy_backend_", backend_metric_words, BACKEND_METRIC_COUNT},
    [SCOPE_SERVER] = {'S', "haproxy_server_", server_metric_words, SERVER_METRIC_COUNT},
};

/* One who has series. */
struct item {
    struct stats_row row;
    struct text labels; /* owned */
    size_t index;       /* of the frontend or backend; of a server its id */
};

/* All of a kind. */
struct items {
    struct item *at; /* owned */
    size_t count;
};

struct page {
    const struct control *control;
    struct items items[SCOPE_COUNT];
    char bounds[HISTOGRAM_COUNT][HISTOGRAM_BOUNDS + 1][24]; /* as labels: seconds */
};

/* Columns ----------------------------------------------------------------------------------- */

struct family {
    enum stats_field field;
    const char *where;
    const char *name;
    const char *type;
    const char *help;
};

static const struct family families[] = {
#define FAMILY(field, where, name, type, help) {STATS_##field, where, name, type, help},
#include "ctl/stats_fields.def"
#undef FAMILY
};

static void add_column(const struct page *p, enum scope scope, const struct family *f,
                       struct text *out)
{
    char name[64];
    const struct items *items = &p->items[scope];
    snprintf(name, sizeof name, "%s%s", scopes[scope].prefix, f->name);
    prometheus_family(out, name, f->type, f->help);
    for (size_t i = 0; i < items->count; i++) {
        const struct stats_value *v = &items->at[i].row.at[f->field];
        if (!v->known) {
            continue;
        }
        prometheus_series(out, name, &items->at[i].labels, NULL, NULL);
        if (stats_fields[f->field].unit == STATS_TIME) {
            prometheus_seconds(out, (uint64_t)v->number);
        } else {
            prometheus_number(out, v->number);
        }
    }
}

static void add_columns(const struct page *p, enum scope scope, struct text *out)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (strchr(families[i].where, scopes[scope].letter) != NULL) {
            add_column(p, scope, &families[i], out);
        }
    }
}

/* States ------------------------------------------------------------------------------------ */

/* One series for each value that the state can have, 1 for the one it has. */
static void add_states(struct text *out, const char *name, const struct text *labels,
                       const char *const *values, size_t count, const char *now)
{
    for (size_t i = 0; i < count; i++) {
        prometheus_series(out, name, labels, "state", values[i]);
        prometheus_number(out, strcmp(values[i], now) == 0);
    }
}

static void add_statuses(const struct page *p, struct text *out)
{
    static const char *const names[] = {
        [SCOPE_FRONTEND] = "haproxy_frontend_status",
        [SCOPE_BACKEND] = "haproxy_backend_status",
        [SCOPE_SERVER] = "haproxy_server_status",
    };
    for (int scope = 0; scope < SCOPE_COUNT; scope++) {
        size_t count = scope == SCOPE_SERVER ? HAPROXY_STATUS_COUNT : 2; /* DOWN, UP */
        prometheus_family(out, names[scope], "gauge", "1 for the state that it is in.");
        for (size_t i = 0; i < p->items[scope].count; i++) {
            const struct item *it = &p->items[scope].at[i];
            add_states(out, names[scope], &it->labels, haproxy_statuses, count, it->row.state);
        }
    }
}

static void add_checks(const struct page *p, struct text *out)
{
    const char *name = "haproxy_server_check_status";
    const struct items *servers = &p->items[SCOPE_SERVER];
    prometheus_family(out, name, "gauge", "1 for how the last probe went.");
    for (size_t i = 0; i < servers->count; i++) {
        const struct item *it = &servers->at[i];
        if (it->row.check != NULL) {
            add_states(out, name, &it->labels, haproxy_checks, HAPROXY_CHECK_COUNT, it->row.check);
        }
    }
}

static bool is_in(const struct stats_row *server, const char *backend, const char *state,
                  bool check)
{
    const char *now = check ? server->check : server->state;
    return strcmp(server->proxy, backend) == 0 && now != NULL && strcmp(now, state) == 0;
}

/* How many of a backend's servers are in each state. */
static void add_aggregate(const struct page *p, const char *name, const char *help, bool check,
                          struct text *out)
{
    const struct items *backends = &p->items[SCOPE_BACKEND];
    const struct items *servers = &p->items[SCOPE_SERVER];
    const char *const *states = check ? haproxy_checks : haproxy_statuses;
    size_t count = check ? HAPROXY_CHECK_COUNT : HAPROXY_STATUS_COUNT;
    prometheus_family(out, name, "gauge", help);
    for (size_t b = 0; b < backends->count; b++) {
        for (size_t state = 0; state < count; state++) {
            int64_t n = 0;
            for (size_t s = 0; s < servers->count; s++) {
                n += is_in(&servers->at[s].row, backends->at[b].row.proxy, states[state], check);
            }
            prometheus_series(out, name, &backends->at[b].labels, "state", states[state]);
            prometheus_number(out, n);
        }
    }
}

/* What the workers count -------------------------------------------------------------------- */

static uint64_t read_metric(const struct page *p, enum scope scope, size_t index, int m)
{
    const struct control *c = p->control;
    switch (scope) {
    case SCOPE_FRONTEND:
        return tally_frontend_metric(c, index, (enum frontend_metric)m);
    case SCOPE_BACKEND:
        return tally_backend_metric(c, index, (enum backend_metric)m);
    case SCOPE_SERVER:
    case SCOPE_COUNT:
        break;
    }
    return tally_server_metric(c, index, (enum server_metric)m);
}

static void add_histogram(const struct page *p, enum scope scope, const struct item *it, int m,
                          struct text *out)
{
    const struct metric_words *words = &scopes[scope].words[m];
    char name[80];
    uint64_t count = 0;
    snprintf(name, sizeof name, "%s_bucket", words->prometheus);
    for (int i = 0; i <= HISTOGRAM_ABOVE; i++) {
        count += read_metric(p, scope, it->index, m + i);
        prometheus_series(out, name, &it->labels, "le", p->bounds[words->histogram][i]);
        prometheus_number(out, (int64_t)count);
    }
    snprintf(name, sizeof name, "%s_sum", words->prometheus);
    prometheus_series(out, name, &it->labels, NULL, NULL);
    prometheus_seconds(out, read_metric(p, scope, it->index, m + HISTOGRAM_SUM));
    snprintf(name, sizeof name, "%s_count", words->prometheus);
    prometheus_series(out, name, &it->labels, NULL, NULL);
    prometheus_number(out, (int64_t)count);
}

static void add_metric(const struct page *p, enum scope scope, const struct item *it, int m,
                       struct text *out)
{
    const struct metric_words *words = &scopes[scope].words[m];
    if (words->kind == METRIC_histogram) {
        add_histogram(p, scope, it, m, out);
        return;
    }
    uint64_t value = read_metric(p, scope, it->index, m);
    prometheus_series(out, words->prometheus, &it->labels, words->label, words->value);
    if (words->kind == METRIC_counter || words->kind == METRIC_gauge) {
        prometheus_number(out, (int64_t)value);
    } else {
        prometheus_seconds(out, value);
    }
}

static void add_metrics(const struct page *p, enum scope scope, struct text *out)
{
    for (int m = 0; m < scopes[scope].metric_count; m++) {
        const struct metric_words *words = &scopes[scope].words[m];
        if (words->kind == METRIC_HOLE) {
            continue;
        }
        if (words->help != NULL) {
            prometheus_family(out, words->prometheus, metric_type(words->kind), words->help);
        }
        for (size_t i = 0; i < p->items[scope].count; i++) {
            add_metric(p, scope, &p->items[scope].at[i], m, out);
        }
    }
}

/* The page ---------------------------------------------------------------------------------- */

static void finish(struct item *it, size_t index)
{
    it->index = index;
    prometheus_labels(&it->labels, it->row.proxy, it->row.server);
}

static struct items items_for(size_t most)
{
    return (struct items){.at = xcalloc(most + 1, sizeof(struct item))};
}

static void gather_backend(struct page *p, size_t backend)
{
    const struct control *c = p->control;
    struct items *backends = &p->items[SCOPE_BACKEND];
    struct items *servers = &p->items[SCOPE_SERVER];
    struct item *it = &backends->at[backends->count++];
    stats_row_backend(c, backend, &it->row);
    finish(it, backend);
    for (size_t s = 0; s < c->config->backends[backend].servers.count; s++) {
        if (view_shows_server(c, backend, s)) {
            it = &servers->at[servers->count++];
            stats_row_server(c, backend, s, &it->row);
            finish(it, it->row.view.config->id);
        }
    }
}

static void print_bounds(struct page *p)
{
    for (size_t kind = 0; kind < HISTOGRAM_COUNT; kind++) {
        for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
            snprintf(p->bounds[kind][i], sizeof p->bounds[kind][i], "%.10g",
                     (double)histogram_bounds[kind][i] / 1e6);
        }
        snprintf(p->bounds[kind][HISTOGRAM_ABOVE], sizeof p->bounds[kind][0], "+Inf");
    }
}

static void gather(struct page *p)
{
    const struct control *c = p->control;
    struct items *frontends = &p->items[SCOPE_FRONTEND];
    *frontends = items_for(c->config->frontend_count);
    p->items[SCOPE_BACKEND] = items_for(c->config->backend_count);
    p->items[SCOPE_SERVER] = items_for(c->config->server_count);
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        if (view_shows_frontend(c, i)) {
            struct item *it = &frontends->at[frontends->count++];
            stats_row_frontend(c, i, &it->row);
            finish(it, i);
        }
    }
    for (size_t b = 0; b < c->config->backend_count; b++) {
        if (view_shows_backend(c, b)) {
            gather_backend(p, b);
        }
    }
}

static void release(struct page *p)
{
    for (int scope = 0; scope < SCOPE_COUNT; scope++) {
        for (size_t i = 0; i < p->items[scope].count; i++) {
            text_free(&p->items[scope].at[i].labels);
        }
        free(p->items[scope].at);
    }
}

void prometheus_add_proxies(const struct control *c, struct text *out)
{
    struct page p = {.control = c};
    print_bounds(&p);
    gather(&p);
    for (int scope = 0; scope < SCOPE_COUNT; scope++) {
        add_columns(&p, (enum scope)scope, out);
        add_metrics(&p, (enum scope)scope, out);
    }
    add_statuses(&p, out);
    add_checks(&p, out);
    add_aggregate(&p, "haproxy_backend_agg_server_status", "How many servers are in each state.",
                  false, out);
    add_aggregate(&p, "haproxy_backend_agg_check_status",
                  "How many servers answered their last probe in each way.", true, out);
    release(&p);
}
