/* What a backend's lines say: balancing, waiting, time-outs, TLS to the servers. */
#include <string.h>

#include "import/global.h"
#include "import/parts.h"

/* A line of the proxy that is a duration. */
static void write_duration(struct plan *plan, struct plan_section *section, const struct proxy *p,
                           const char *keyword, const char *key)
{
    struct line *l = proxy_find(p, keyword);
    const struct word *w = l != NULL ? line_argument(l, 0) : NULL;
    long long ms = w != NULL ? word_milliseconds(w, 1000) : -1;
    if (ms >= 0) {
        plan_set_duration(plan, section, key, ms, l);
    }
}

static void write_retries(struct plan *plan, struct plan_section *section, const struct proxy *p)
{
    struct line *l = proxy_find(p, "retries");
    const struct word *w = l != NULL ? line_argument(l, 0) : NULL;
    long long n = w != NULL ? word_number(w, 0, 1000000) : -1;
    if (n >= 0) {
        plan_set_number(plan, section, "connect_retries", n, l);
    }
}

/* Balancing ---------------------------------------------------------------------------------------
 */

static const struct {
    const char *haproxy;
    const char *ours;
    const char *words; /* what is different; NULL: nothing */
} balances[] = {
    {"roundrobin", "round_robin", NULL},
    {"static-rr", "round_robin", NULL},
    {"leastconn", "least_connections", NULL},
    {"first", "first", NULL},
    {"source", "ip_hash", NULL},
    {"random", "random", NULL},
    {"random(2)", "random", NULL},
    {"random(", "random", "router takes the less used of two"},
};

static void write_balance_line(struct plan *plan, struct plan_section *section, struct line *l)
{
    const struct word *w = line_argument(l, 0);
    for (size_t i = 0; w != NULL && i < sizeof balances / sizeof balances[0]; i++) {
        const char *name = balances[i].haproxy;
        bool prefix = name[strlen(name) - 1] == '(';
        if (prefix ? strncmp(w->text, name, strlen(name)) == 0 : word_is(w, name)) {
            plan_set_text(plan, section, "balance", balances[i].ours, l);
            if (balances[i].words != NULL) {
                line_mark(plan->source, l, VERDICT_DIFFERENCE, "%s", balances[i].words);
            }
            return;
        }
    }
    line_mark(
        plan->source, l, VERDICT_LOST,
        "router balances by what HAProxy calls roundrobin, leastconn, source, random or first");
}

/* Clients are kept on one server by a table: that is what ip_hash does without one. */
static bool write_stick(struct plan *plan, struct plan_section *section, const struct proxy *p)
{
    bool by_source = false;
    size_t at = 0;
    struct line *table = proxy_find(p, "stick-table");
    for (struct line *l; (l = proxy_next(p, "stick on", &at)) != NULL;) {
        if (line_says(l, 0, "src")) {
            plan_set_text(plan, section, "balance", "ip_hash", l);
            line_mark(plan->source, l, VERDICT_DIFFERENCE,
                      "by the client's address, without a table: the same on every router");
            by_source = true;
        } else if (line_says(l, 0, "dst")) {
            line_mark(plan->source, l, VERDICT_KEPT, NULL);
        } else {
            line_mark(plan->source, l, VERDICT_LOST, "router keeps clients by their address only");
        }
        if (table != NULL) {
            line_mark(plan->source, table, VERDICT_NOT_NEEDED, "router keeps no table of clients");
        }
    }
    return by_source;
}

static void write_hash_type(struct plan *plan, const struct proxy *p, bool hashed)
{
    struct line *l = proxy_find(p, "hash-type");
    if (l == NULL) {
        return;
    }
    if (!hashed) {
        line_mark(plan->source, l, VERDICT_NOT_NEEDED, NULL);
    } else if (line_says(l, 0, "consistent")) {
        line_mark(plan->source, l, VERDICT_KEPT, NULL);
    } else {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "ip_hash is consistent: when a server goes, only its clients move");
    }
}

static void write_balance(struct plan *plan, struct plan_section *section, struct part *part)
{
    const struct proxy *p = part->proxy;
    bool stuck = write_stick(plan, section, p);
    struct line *l = proxy_find(p, "balance");
    bool one = part->route != NULL && strcmp(part->route, "primary") == 0;
    if (l != NULL && (one || stuck)) {
        line_mark(plan->source, l, one ? VERDICT_KEPT : VERDICT_NOT_NEEDED, NULL);
    } else if (l != NULL) {
        write_balance_line(plan, section, l);
    } else if (!one && !stuck && part->servers.count > 1) {
        line_mark(plan->source, p->section->header, VERDICT_DIFFERENCE,
                  "no balance: round robin, as in HAProxy before 3.3; since then it is random");
    }
    const struct setting *balance = plan_find(section, "balance");
    write_hash_type(plan, p, balance != NULL && word_is(&balance->value, "ip_hash"));
}

/* TLS to the servers ------------------------------------------------------------------------------
 */

static void write_tls_file(struct plan *plan, struct plan_section *section, const struct part *part,
                           const struct server_part *server, const char *name, const char *key)
{
    struct line *l;
    const struct parameter *said = server_says(&part->servers, server, name, &l);
    if (said != NULL && word_is(&said->arguments[0], "@system-ca")) {
        line_mark(plan->source, l, VERDICT_KEPT, NULL);
    } else if (said != NULL) {
        const char *base = strcmp(name, "crt") == 0 ? "crt-base" : "ca-base";
        plan_set(plan, section, key, global_file(plan->source, &said->arguments[0], base), l);
    }
}

/* "str(db.example.com)" says a name; what else an expression may say is not known before. */
static void write_sni(struct plan *plan, struct plan_section *section, const struct part *part,
                      const struct server_part *server, const char *name)
{
    struct line *l;
    const struct parameter *said = server_says(&part->servers, server, name, &l);
    if (said == NULL) {
        return;
    }
    const struct word *w = &said->arguments[0];
    if (strcmp(name, "sni") != 0) {
        plan_set(plan, section, "tls_server_name", *w, l);
    } else if (strncmp(w->text, "str(", 4) == 0 && w->text[w->len - 1] == ')') {
        plan_set(plan, section, "tls_server_name", word_slice(plan->source, w, 4, w->len - 5), l);
    } else {
        line_mark(plan->source, l, VERDICT_LOST, "sni: router sends one name to all servers");
    }
}

/* By which certificates the servers, or Patroni on them, are known. */
static void write_verification(struct plan *plan, struct plan_section *section,
                               const struct part *part, const struct server_part *server)
{
    struct line *l;
    const struct parameter *verify = server_says(&part->servers, server, "verify", &l);
    bool none = verify != NULL && word_is(&verify->arguments[0], "none");
    if (none && plan_find(section, "tls_ca") == NULL) {
        plan_set_text(plan, section, "tls_verify", "no", l);
    } else if (none || plan_find(section, "tls_verify") != NULL) {
        line_mark(plan->source, server->line, none ? VERDICT_DIFFERENCE : VERDICT_LOST,
                  "verify: all servers of a backend are verified, or none");
    } else {
        write_tls_file(plan, section, part, server, "ca-file", "tls_ca");
    }
    write_tls_file(plan, section, part, server, "crt", "tls_cert");
    write_sni(plan, section, part, server, "verifyhost");
    write_sni(plan, section, part, server, "sni");
}

static void write_server_tls(struct plan *plan, struct plan_section *section,
                             const struct part *part, const struct server_part *server)
{
    struct line *l;
    bool probes = part->check.kind == CHECK_PATRONI || part->check.kind == CHECK_HTTP;
    if (server_says(&part->servers, server, "ssl", &l) == NULL) {
        if (probes && server_says(&part->servers, server, "check-ssl", NULL) != NULL) {
            write_verification(plan, section, part, server);
        }
        return;
    }
    if (strcmp(part->protocol, "mysql") == 0) {
        line_mark(plan->source, l, VERDICT_LOST,
                  "ssl: MySQL's TLS begins inside of the protocol; tls = yes needs pool_mode = "
                  "session in router");
        return;
    }
    if (strcmp(part->protocol, "pgsql") == 0) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "ssl: router asks for TLS as PostgreSQL's clients do");
    }
    plan_set_text(plan, section, "tls", "yes", l);
    write_verification(plan, section, part, server);
}

static void write_send_proxy(struct plan *plan, struct plan_section *section,
                             const struct part *part, const struct server_part *server)
{
    static const struct {
        const char *name;
        const char *version;
    } words[] = {{"send-proxy", "v1"},
                 {"send-proxy-v2", "v2"},
                 {"send-proxy-v2-ssl", "v2"},
                 {"send-proxy-v2-ssl-cn", "v2"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct line *l;
        if (server_says(&part->servers, server, words[i].name, &l) != NULL) {
            plan_set_text(plan, section, "send_proxy", words[i].version, l);
            if (i > 1) {
                line_mark(plan->source, l, VERDICT_DIFFERENCE,
                          "%s: the header says nothing about TLS", words[i].name);
            }
        }
    }
}

/* -------------------------------------------------------------------------------------------------
 */

static void write_keepalive(struct plan *plan, struct plan_section *section,
                            const struct part *part)
{
    static const char *const idles[] = {"srvtcpka-idle", "clitcpka-idle"};
    for (size_t i = 0; i < sizeof idles / sizeof idles[0]; i++) {
        struct line *l = proxy_find(part->proxy, idles[i]);
        const struct word *w = l != NULL ? line_argument(l, 0) : NULL;
        long long ms = w != NULL ? word_milliseconds(w, 1000000) : -1;
        if (ms >= 0) {
            plan_set_duration(plan, section, "tcp_keepalive", ms, l);
        }
    }
    struct line *l;
    for (size_t i = 0; i < part->servers.count; i++) {
        const struct parameter *said =
            server_says(&part->servers, &part->servers.items[i], "tcp-ut", &l);
        long long ms = said != NULL ? word_milliseconds(&said->arguments[0], 1000) : -1;
        if (ms >= 0) {
            plan_set_duration(plan, section, "tcp_user_timeout", ms, l);
        }
    }
}

/* What router does to all servers of a backend, or to none. */
static void check_alike(struct plan *plan, const struct part *part, const char *name)
{
    size_t with = 0;
    size_t without = 0;
    struct line *first = NULL;
    for (size_t i = 0; i < part->servers.count; i++) {
        const struct server_part *server = &part->servers.items[i];
        struct line *l;
        if (server->lost) {
            continue;
        }
        if (server_says(&part->servers, server, name, &l) != NULL) {
            first = first != NULL ? first : l;
            with++;
        } else {
            without++;
        }
    }
    if (with > 0 && without > 0) {
        bool harmless = strcmp(name, "tcp-ut") == 0;
        line_mark(plan->source, first, harmless ? VERDICT_DIFFERENCE : VERDICT_LOST,
                  "%s: not of all servers; router does it to all of a backend or to none", name);
    }
}

/* Without `option allbackups` HAProxy uses the first backup only: of a database that may matter. */
static void tell_of_backups(struct plan *plan, const struct part *part)
{
    size_t backups = 0;
    for (size_t i = 0; i < part->servers.count; i++) {
        struct server_part *server = &part->servers.items[i];
        bool backup = server_says(&part->servers, server, "backup", NULL) != NULL;
        if (backup && ++backups == 2 && !part->roles &&
            proxy_find(part->proxy, "option allbackups") == NULL) {
            line_mark(plan->source, server->line, VERDICT_DIFFERENCE,
                      "backup: all backup servers are used then, not one after another");
        }
    }
}

void backend_write(struct plan *plan, struct plan_section *section, struct part *part)
{
    const struct proxy *p = part->proxy;
    backend_write_servers(plan, section, part);
    write_balance(plan, section, part);
    tell_of_backups(plan, part);
    write_duration(plan, section, p, "timeout connect", "connect_timeout");
    write_duration(plan, section, p, "timeout queue", "queue_timeout");
    write_retries(plan, section, p);
    backend_write_probe(plan, section, part);
    for (size_t i = 0; i < part->servers.count; i++) {
        if (!part->servers.items[i].lost) {
            write_server_tls(plan, section, part, &part->servers.items[i]);
            write_send_proxy(plan, section, part, &part->servers.items[i]);
        }
    }
    check_alike(plan, part, "tcp-ut");
    check_alike(plan, part, "ssl");
    check_alike(plan, part, "send-proxy");
    check_alike(plan, part, "send-proxy-v2");
    write_keepalive(plan, section, part);
}
