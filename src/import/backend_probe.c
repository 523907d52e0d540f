/* How the servers of a backend are probed: what its check becomes. */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"
#include "import/keyword.h"
#include "import/parts.h"

static const struct parameter *first_says(const struct part *part, const char *name,
                                          struct line **l)
{
    const struct parameter *said = NULL;
    for (size_t i = 0; said == NULL && i < part->servers.count; i++) {
        const struct server_part *server = &part->servers.items[i];
        said = server->lost ? NULL : server_says(&part->servers, server, name, l);
    }
    return said;
}

/* When --------------------------------------------------------------------------------------------
 */

/* What the servers' lines say of times and counts. Of different ones the smallest
 * counts. */
static void write_pace(struct plan *plan, struct plan_section *section, const struct part *part)
{
    static const struct {
        const char *haproxy;
        const char *ours;
        bool time;
    } words[] = {
        {"inter", "probe_interval", true},
        {"fastinter", "probe_fast_interval", true},
        {"rise", "probe_rise", false},
        {"fall", "probe_fall", false},
    };
    bool probed = part->check.kind != CHECK_NONE;
    for (size_t i = 0; probed && i < sizeof words / sizeof words[0]; i++) {
        struct line *l;
        for (size_t k = 0; k < part->servers.count; k++) {
            const struct parameter *said =
                server_says(&part->servers, &part->servers.items[k], words[i].haproxy, &l);
            if (said != NULL) {
                long long n = words[i].time ? word_milliseconds(&said->arguments[0], 1000)
                                            : word_number(&said->arguments[0], 0, 100000000);
                plan_lower(plan, section, words[i].ours, n, words[i].time, l);
            }
        }
    }
    struct line *l = proxy_find(part->proxy, "timeout check");
    if (l != NULL && probed) {
        plan_set_duration(plan, section, "probe_timeout",
                          word_milliseconds(line_argument(l, 0), 1000), l);
    } else if (l != NULL) {
        line_mark(plan->source, l, VERDICT_NOT_NEEDED, NULL);
    }
}

/* The port that is asked, where it is not the one that is served; 0: the same. */
static unsigned check_port(const struct part *part, struct line **l)
{
    const struct parameter *said = first_says(part, "port", l);
    unsigned port = part->check.port;
    *l = said != NULL ? *l : part->check.line;
    if (port == 0 && said != NULL) {
        long long n = word_number(&said->arguments[0], 1, 65535);
        port = n > 0 ? (unsigned)n : 0;
    }
    return port != part->servers.items[0].at.first ? port : 0;
}

/* All servers of a backend are asked at one port. */
static void check_ports(struct plan *plan, const struct part *part)
{
    const struct servers *all = &part->servers;
    const struct parameter *first = server_says(all, &all->items[0], "port", NULL);
    for (size_t i = 1; part->check.port == 0 && i < all->count; i++) {
        struct line *l = all->items[i].line;
        const struct parameter *said = server_says(all, &all->items[i], "port", &l);
        bool same = (said == NULL) == (first == NULL) &&
                    (said == NULL || word_is(&said->arguments[0], first->arguments[0].text));
        if (!same && !all->items[i].lost) {
            line_mark(plan->source, l, VERDICT_LOST,
                      "port: all servers of a backend are asked at one port");
        }
    }
}

static void write_port(struct plan *plan, struct plan_section *section, const struct part *part,
                       const char *key)
{
    struct line *l;
    unsigned port = check_port(part, &l);
    if (port > 0) {
        plan_set_number(plan, section, key, port, l);
    }
}

/* Who asks ----------------------------------------------------------------------------------------
 */

static bool is_empty(const struct word *w)
{
    return w->len == 0 && w->reference_count == 0;
}

/* An account that HAProxy's check did without: the environment may say it, or who edits the file.
 */
static void fill_in(struct plan *plan, struct plan_section *section, const struct part *part)
{
    if (plan_find(section, "probe_password") != NULL) {
        return;
    }
    struct source *s = plan->source;
    plan->wants_account = true;
    if (is_empty(&part->check.user)) {
        plan_add(plan, section, "probe_user", word_of(s, "${" IMPORT_USER ":-router}"), NULL)
            ->note = "fill in";
    } else {
        plan_set(plan, section, "probe_user", part->check.user, part->check.line);
    }
    plan_add(plan, section, "probe_password", word_of(s, "${" IMPORT_PASSWORD ":-}"), NULL)->note =
        "fill in";
    struct line *l = part->check.line != NULL ? part->check.line : part->proxy->section->header;
    line_mark(s, l, VERDICT_DIFFERENCE,
              "router logs in and asks who is the primary: fill in probe_user and probe_password, "
              "or set " IMPORT_USER " and " IMPORT_PASSWORD);
}

static void write_redis_account(struct plan *plan, struct plan_section *section,
                                const struct part *part)
{
    if (part->sentinel_port > 0) {
        return; /* it is that of the Sentinels */
    }
    if (!is_empty(&part->check.user)) {
        plan_set(plan, section, "probe_user", part->check.user, part->check.line);
    }
    if (!is_empty(&part->check.password)) {
        plan_set(plan, section, "probe_password", part->check.password, part->check.line);
    }
}

/* What is asked -----------------------------------------------------------------------------------
 */

/* A bound of lag is the backend's: other readers have it too. */
static void tell_of_others(struct plan *plan, const struct part *part)
{
    for (const struct part *other = part->next; other != part; other = other->next) {
        bool reads = other->used && strcmp(other->route, "primary") != 0;
        if (reads && other->check.max_lag == NULL) {
            line_mark(plan->source, part->check.line, VERDICT_DIFFERENCE,
                      "max_lag counts for the clients of %s too", other->proxy->section->name);
        }
    }
}

static void write_patroni(struct plan *plan, struct plan_section *section, const struct part *part)
{
    struct line *l;
    unsigned port = check_port(part, &l);
    plan_set_number(plan, section, "patroni", port > 0 ? port : 8008, l);
    if (part->check.tls || first_says(part, "check-ssl", &l) != NULL) {
        plan_set_text(plan, section, "patroni_tls", "yes", l);
    }
    if (part->check.max_lag != NULL) {
        plan_set_text(plan, section, "max_lag", part->check.max_lag, part->check.line);
        tell_of_others(plan, part);
    }
    fill_in(plan, section, part);
}

/* HAProxy goes back to the first server as soon as that is well again. */
static void write_failback(struct plan *plan, struct plan_section *section, const struct part *part,
                           const char *topology)
{
    struct line *l = part->proxy->section->header;
    bool galera = topology != NULL && strcmp(topology, "galera") == 0;
    if (!galera || strcmp(part->route, "primary") != 0) {
        return;
    }
    if (first_says(part, "on-marked-up", &l) != NULL) {
        plan_set_text(plan, section, "failback", "yes", l);
    } else if (first_says(part, "backup", NULL) != NULL) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "the writer stays when the first server is back (failback = yes: as in HAProxy)");
    }
}

/* The one that is used before the others; NULL: there are several. */
static const char *first_place(const struct part *part)
{
    const char *place = NULL;
    for (size_t i = 0; i < part->servers.count; i++) {
        const struct server_part *server = &part->servers.items[i];
        if (server_says(&part->servers, server, "backup", NULL) == NULL) {
            if (place != NULL) {
                return NULL;
            }
            place = server->place;
        }
    }
    return place;
}

/* HAProxy may have two writers, or a reader with a server of its own; here they have one primary.
 */
static void tell_of_others_first(struct plan *plan, const struct part *part)
{
    const char *place = part->check.line != NULL ? first_place(part) : NULL;
    const struct part *other = part->next;
    for (; place != NULL && other != part; other = other->next) {
        const char *theirs = strcmp(other->route, "primary") == 0 ? first_place(other) : NULL;
        if (theirs != NULL && strcmp(theirs, place) != 0) {
            line_mark(plan->source, part->check.line, VERDICT_DIFFERENCE,
                      "its clients go to the one primary, with those of %s",
                      other->proxy->section->name);
            return;
        }
    }
}

/* A check that asks for no role, and servers that are used one after another. */
static void tell_of_order(struct plan *plan, const struct part *part)
{
    bool asks = part->check.kind != CHECK_REDIS_PING && part->check.kind != CHECK_MYSQL_LOGIN &&
                part->check.kind != CHECK_PGSQL_LOGIN;
    bool order = !asks && part->check.wants == CHECK_WANTS_ANY && part->servers.count > 1;
    if (order && strcmp(part->route, "primary") == 0 && part->check.line != NULL) {
        line_mark(plan->source, part->check.line, VERDICT_DIFFERENCE,
                  "clients go to the primary, wherever it stands in the list");
    }
}

static void write_mysql(struct plan *plan, struct plan_section *section, const struct part *part)
{
    const char *topology = part->check.kind == CHECK_CLUSTERCHECK ? "galera" : part->check.topology;
    if (topology != NULL) {
        plan_set_text(plan, section, "mysql_topology", topology, part->check.line);
    }
    struct line *l;
    /* Behind 9200, or what is asked by HTTP, is a script that asks MySQL, as router does itself. */
    bool external = part->check.line != NULL &&
                    strcmp(part->check.line->keyword->name, "option external-check") == 0;
    bool script = !external || part->check.port != 0 || check_port(part, &l) == 9200;
    if (part->check.kind == CHECK_MYSQL_ROLE && !script) {
        write_port(plan, section, part, "probe_port");
    }
    write_failback(plan, section, part, topology);
    tell_of_order(plan, part);
    if (strcmp(part->route, "primary") == 0) {
        tell_of_others_first(plan, part);
    }
    fill_in(plan, section, part);
}

static void write_http(struct plan *plan, struct plan_section *section, const struct part *part)
{
    plan_set(plan, section, "http_check", part->check.request, part->check.line);
    plan_set_text(plan, section, "http_expect",
                  part->check.expect != NULL ? part->check.expect : "200-399", part->check.line);
    write_port(plan, section, part, "probe_port");
}

static void write_redis(struct plan *plan, struct plan_section *section, const struct part *part)
{
    if (part->sentinel_port == 0) {
        write_port(plan, section, part, "probe_port");
    }
    if (part->roles) {
        write_redis_account(plan, section, part);
        tell_of_order(plan, part);
        return;
    }
    plan_set_text(plan, section, "probe", "connect", part->check.line);
    if (part->check.line != NULL) {
        line_mark(plan->source, part->check.line, VERDICT_DIFFERENCE,
                  "only the connect is probed: PING says nothing of who is the primary. Without "
                  "probe = connect, route = primary sends all clients to it");
    }
}

/* Servers that look like a database, with a check that does not ask for its role. */
static void hint(struct plan *plan, const struct part *part)
{
    static const struct {
        unsigned port;
        const char *protocol;
    } ports[] = {{6379, "redis"}, {3306, "mysql"}, {5432, "pgsql"}};
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        if (part->servers.items[0].at.first == ports[i].port) {
            line_mark(plan->source, part->proxy->section->header, VERDICT_DIFFERENCE,
                      "with protocol = %s router would find the primary by itself",
                      ports[i].protocol);
        }
    }
}

static void write_tls(struct plan *plan, struct plan_section *section, const struct part *part)
{
    struct line *l;
    bool patroni = part->check.kind == CHECK_PATRONI;
    bool asks = part->roles || part->check.kind == CHECK_HTTP;
    bool sessions = first_says(part, "ssl", NULL) != NULL;
    bool probes = first_says(part, "check-ssl", &l) != NULL;
    if (asks && !patroni && probes && !sessions) {
        plan_set_text(plan, section, "probe_tls", "yes", l);
    }
}

void backend_write_probe(struct plan *plan, struct plan_section *section, struct part *part)
{
    switch (part->check.kind) {
    case CHECK_NONE:
        plan_set_text(plan, section, "probe", "off", NULL);
        hint(plan, part);
        break;
    case CHECK_REDIS_ROLE:
    case CHECK_REDIS_PING:
        write_redis(plan, section, part);
        break;
    case CHECK_PATRONI:
        write_patroni(plan, section, part);
        break;
    case CHECK_CLUSTERCHECK:
    case CHECK_MYSQL_LOGIN:
    case CHECK_MYSQL_ROLE:
    case CHECK_PGSQL_LOGIN:
        write_mysql(plan, section, part);
        break;
    case CHECK_HTTP:
        write_http(plan, section, part);
        break;
    case CHECK_CONNECT:
        hint(plan, part);
        write_port(plan, section, part, "probe_port");
        break;
    case CHECK_UNKNOWN:
        write_port(plan, section, part, "probe_port");
        break;
    case CHECK_SENTINEL:
        break;
    }
    check_ports(plan, part);
    write_pace(plan, section, part);
    write_tls(plan, section, part);
}

/* Sentinels ---------------------------------------------------------------------------------------
 */

void backend_write_sentinels(struct plan *plan, struct plan_section *section, struct part *group)
{
    for (size_t i = 0; i < group->watcher_count; i++) {
        struct part *part = group->watchers[i];
        for (size_t k = 0; k < part->servers.count; k++) {
            struct server_part *server = &part->servers.items[k];
            struct word place = address_word_write(plan->source, &server->at, part->sentinel_port);
            plan_add_once(plan, section, "sentinel", place, server->line);
        }
        plan_set(plan, section, "sentinel_master", part->check.master, part->check.line);
        if (!is_empty(&part->check.password)) {
            plan_set(plan, section, "sentinel_password", part->check.password, part->check.line);
        }
        if (!is_empty(&part->check.user)) {
            plan_set(plan, section, "sentinel_user", part->check.user, part->check.line);
        }
        plan_add_source(plan, section, part->proxy->section);
        part->section = section;
    }
}
