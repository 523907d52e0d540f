/* Requests that are known to ask a database for its role. Sources: Patroni's documentation, "REST
 * API"; the scripts clustercheck and mysqlchk, which answer 200 for a node that may be used. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "import/check_http.h"

#define PATRONI_PORT      8008
#define CLUSTERCHECK_PORT 9200

struct path {
    const char *name;
    enum check_wants wants;
    bool general; /* other services have it too */
    const char *words;
};

#define REPLICAS  "router tells no kinds of replicas apart"
#define BY_ITSELF "the database is asked itself"

static const struct path paths[] = {
    {"/primary", CHECK_WANTS_PRIMARY, false, NULL},
    {"/master", CHECK_WANTS_PRIMARY, false, NULL},
    {"/leader", CHECK_WANTS_PRIMARY, false, NULL},
    {"/read-write", CHECK_WANTS_PRIMARY, false, NULL},
    {"/standby-leader", CHECK_WANTS_REPLICA, false, "a standby cluster's leader is a replica here"},
    {"/standby_leader", CHECK_WANTS_REPLICA, false, "a standby cluster's leader is a replica here"},
    {"/replica", CHECK_WANTS_REPLICA, false, NULL},
    {"/read-only", CHECK_WANTS_ANY, false, NULL},
    {"/sync", CHECK_WANTS_REPLICA, false, REPLICAS},
    {"/synchronous", CHECK_WANTS_REPLICA, false, REPLICAS},
    {"/quorum", CHECK_WANTS_REPLICA, false, REPLICAS},
    {"/async", CHECK_WANTS_REPLICA, false, REPLICAS},
    {"/asynchronous", CHECK_WANTS_REPLICA, false, REPLICAS},
    {"/read-only-sync", CHECK_WANTS_ANY, false, REPLICAS},
    {"/read-only-quorum", CHECK_WANTS_ANY, false, REPLICAS},
    {"/", CHECK_WANTS_PRIMARY, true, NULL},
    {"/health", CHECK_WANTS_ANY, true, BY_ITSELF},
    {"/readiness", CHECK_WANTS_ANY, true, BY_ITSELF},
    {"/liveness", CHECK_WANTS_ANY, true, BY_ITSELF},
    {"/patroni", CHECK_WANTS_ANY, true, BY_ITSELF},
};

static const struct path *find_path(const struct word *uri)
{
    size_t len = strcspn(uri->text, "?");
    /* "/primary/" is the same. */
    len -= len > 1 && uri->text[len - 1] == '/';
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (strlen(paths[i].name) == len && memcmp(paths[i].name, uri->text, len) == 0) {
            return &paths[i];
        }
    }
    return NULL;
}

/* Whom the statuses mean: a request for the primary that must fail with 503 wants a replica. */
static enum check_wants turned(const struct http_request *r, enum check_wants wants)
{
    if (r->fits[200] || !r->fits[503] || wants == CHECK_WANTS_ANY) {
        return wants;
    }
    return wants == CHECK_WANTS_PRIMARY ? CHECK_WANTS_REPLICA : CHECK_WANTS_PRIMARY;
}

/* Patroni's "16MB" as max_lag takes it; NULL: it is none. */
static const char *read_lag(struct understanding *u, const char *text, size_t len)
{
    static const struct {
        const char *name;
        const char *unit;
        int factor;
    } units[] = {{"", "b", 1},    {"b", "b", 1},   {"kb", "kb", 1},
                 {"mb", "mb", 1}, {"gb", "gb", 1}, {"tb", "gb", 1024}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || digits > len) {
        return NULL;
    }
    size_t at = digits + strspn(text + digits, " ");
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strlen(units[i].name) == len - at &&
            strncasecmp(units[i].name, text + at, len - at) == 0) {
            return arena_print(&u->s->arena, "%lld%s", strtoll(text, NULL, 10) * units[i].factor,
                               units[i].unit);
        }
    }
    return NULL;
}

/* "?lag=1MB&tag_nofailover=true". Returns whether all of it was taken over. */
static bool read_query(struct understanding *u, const struct word *uri)
{
    const char *at = strchr(uri->text, '?');
    bool all = true;
    while (at != NULL && *++at != '\0') {
        size_t len = strcspn(at, "&");
        bool lag = len > 4 && strncmp(at, "lag=", 4) == 0;
        const char *value = lag ? read_lag(u, at + 4, len - 4) : NULL;
        u->out->max_lag = value != NULL ? value : u->out->max_lag;
        all = all && value != NULL;
        at = at[len] == '&' ? at + len : NULL;
    }
    return all;
}

static bool is_on_own_port(const struct understanding *u)
{
    unsigned port = u->out->port != 0 ? u->out->port : u->around.check_port;
    return port != 0 && port != u->around.port;
}

static unsigned port_of(const struct understanding *u)
{
    return u->out->port != 0 ? u->out->port : u->around.check_port;
}

bool check_patroni(struct understanding *u, const struct http_request *r)
{
    const struct path *path = find_path(&r->uri);
    bool other = u->around.mysql || u->around.redis;
    bool usual = port_of(u) == PATRONI_PORT;
    if (path == NULL || r->body != NULL || !is_on_own_port(u) || (other && !u->around.pgsql) ||
        (path->general && !usual)) {
        return false;
    }
    u->out->kind = CHECK_PATRONI;
    u->out->wants = turned(r, path->wants);
    if (path->words != NULL) {
        line_mark(u->s, u->out->line, VERDICT_DIFFERENCE, "%s: %s", path->name, path->words);
    }
    if (!read_query(u, &r->uri)) {
        line_mark(u->s, u->out->line, VERDICT_DIFFERENCE,
                  "only lag is taken over of what stands behind the ? of the path");
    }
    return true;
}

/* What the path, the body and the names say of the role. */
static enum check_wants role_of(const struct understanding *u, const struct http_request *r)
{
    const struct path *path = find_path(&r->uri);
    if (r->body != NULL) {
        return check_words(r->body);
    }
    if (path != NULL && !path->general) {
        return turned(r, path->wants);
    }
    enum check_wants wants = check_words(r->uri.text);
    /* What stands beside PostgreSQL and is asked for nothing says who is the primary. */
    return wants != CHECK_WANTS_ANY || !u->around.pgsql ? wants : CHECK_WANTS_PRIMARY;
}

/* Beside a MySQL on another port, beside a PostgreSQL or Redis: a script that answers for it. */
bool check_cluster(struct understanding *u, const struct http_request *r)
{
    struct surroundings *around = &u->around;
    bool cluster = port_of(u) == CLUSTERCHECK_PORT || around->mysql;
    if (!is_on_own_port(u) || !(cluster || around->pgsql || around->redis)) {
        return false;
    }
    enum check_wants wants = role_of(u, r);
    bool role = wants != CHECK_WANTS_ANY;
    u->out->wants = wants;
    if (around->mysql && role) {
        u->out->kind = CHECK_MYSQL_ROLE;
    } else if (cluster && !around->pgsql && !around->redis) {
        u->out->kind = CHECK_CLUSTERCHECK;
    } else if (around->pgsql && role) {
        u->out->kind = CHECK_PGSQL_LOGIN;
    } else if (around->redis && role) {
        u->out->kind = CHECK_REDIS_ROLE;
    } else {
        return false;
    }
    return true;
}
