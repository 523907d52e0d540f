/* Pool modes: which frontends may have one, the backends they lead to, and what the size of a pool
 * means for the caps of servers. */
#include <string.h>

#include "model/config_internal.h"

static unsigned key_line(const struct config *c, const struct frontend_config *f, const char *key)
{
    const struct origin_setting *s = origin_find(c->origin, SECTION_FRONTEND, f->index, key);
    return s != NULL ? s->line : 0;
}

static bool has_protocol(const struct backend_config *b, const char *name)
{
    return b->protocol != NULL && strcmp(b->protocol->name, name) == 0;
}

/* MySQL's clients are greeted before there is a server for them. */
static void check_greeting(const struct frontend_config *f, const struct backend_config *b,
                           unsigned line, struct config_errors *errors)
{
    if (b->probe != PROBE_AUTO || b->http_check.method != NULL) {
        config_error(errors, line,
                     "pool_mode = %s needs \"probe = auto\"%s of [backend %s]: the router greets "
                     "clients with what the probe has read",
                     config_pool_words[f->pool_mode],
                     b->probe == PROBE_AUTO ? " without \"http_check\"" : "", b->name);
    }
}

/* The router reads what clients of a pool say, and so does the next client's server connection. */
static void check_backend(const struct config *c, const struct frontend_config *f,
                          const struct backend_config *b, struct config_errors *errors)
{
    const char *mode = config_pool_words[f->pool_mode];
    unsigned line = key_line(c, f, "pool_mode");
    bool mysql = has_protocol(b, "mysql");
    if (b->protocol != NULL && !mysql && !has_protocol(b, "redis")) {
        config_error(errors, line,
                     "pool_mode = %s needs protocol = redis or mysql, and [backend %s] has "
                     "protocol = %s: write \"pool_mode = none\"",
                     mode, b->name, b->protocol->name);
    } else if (b->send_proxy != SEND_PROXY_NO) {
        config_error(errors, line,
                     "pool_mode = %s is not possible with \"send_proxy\" of [backend %s]: a pooled "
                     "connection is not one client's",
                     mode, b->name);
    } else if (mysql && f->route == ROUTE_SPLIT) {
        config_error(errors, key_line(c, f, "route"),
                     "route = split needs protocol = redis, and [backend %s] has protocol = mysql: "
                     "only of Redis' commands does the router know which ones read",
                     b->name);
    } else if (mysql && config_sound(c, SECTION_BACKEND, b->index, "probe") &&
               config_sound(c, SECTION_BACKEND, b->index, "http_check")) {
        check_greeting(f, b, line, errors);
    }
}

/* Names that lead nowhere have been told, and have no backend. */
static bool leads_to(const struct config *c, const struct frontend_config *f, size_t backend,
                     bool found)
{
    bool leads = found && f->backend == backend;
    for (size_t i = 0; i < f->sni.count && !leads; i++) {
        leads = strcmp(f->sni.items[i].backend_name, c->backends[backend].name) == 0;
    }
    return leads;
}

void config_check_pool(const struct config *c, const struct frontend_config *f, bool found,
                       struct config_errors *errors)
{
    unsigned line = key_line(c, f, "pool_mode");
    if (!config_sound(c, SECTION_FRONTEND, f->index, "pool_mode")) {
        return;
    }
    if (f->route == ROUTE_SPLIT && f->pool_mode != POOL_TRANSACTION) {
        config_error(errors, key_line(c, f, "route"),
                     "route = split needs \"pool_mode = transaction\", and here it is %s",
                     config_pool_words[f->pool_mode]);
    }
    if (f->pool_mode == POOL_NONE) {
        return;
    }
    if (f->sni.count > 0 && f->tls == TLS_MODE_NO &&
        config_sound(c, SECTION_FRONTEND, f->index, "tls")) {
        config_error(
            errors, line,
            "pool_mode = %s needs \"tls = yes\" where there is \"sni\": the router must be "
            "able to read what clients say",
            config_pool_words[f->pool_mode]);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        if (!origin_section(c->origin, SECTION_BACKEND, i)->repeated && leads_to(c, f, i, found)) {
            check_backend(c, f, &c->backends[i], errors);
        }
    }
}

/* Caps -------------------------------------------------------------------------------------- */

bool config_lends(const struct config *c, const struct backend_config *b)
{
    return has_protocol(b, "mysql") && config_pools_backend(c, b->index);
}

unsigned config_server_cap(const struct config *c, const struct backend_config *b, unsigned said)
{
    bool smaller = b->pool_size > 0 && (said == 0 || b->pool_size < said);
    return smaller && config_lends(c, b) ? b->pool_size : said;
}

void config_cap_servers(struct config *c)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        struct backend_config *b = &c->backends[i];
        for (size_t j = 0; j < b->servers.count; j++) {
            struct server_config *s = &b->servers.items[j];
            s->max_connections = config_server_cap(c, b, s->said_max_connections);
        }
    }
}
