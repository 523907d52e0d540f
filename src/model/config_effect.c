/* Which options have an effect where they stand: each flag of options.def is a condition that the
 * section must meet, and the words for where it does not. */
#include <stdio.h>
#include <string.h>

#include "model/config_internal.h"

const char *const config_probe_words[] = {
    [PROBE_AUTO] = "auto", [PROBE_CONNECT] = "connect", [PROBE_OFF] = "off"};
const char *const config_route_words[ROUTE_COUNT] = {[ROUTE_AUTO] = "auto",
                                                     [ROUTE_PRIMARY] = "primary",
                                                     [ROUTE_REPLICA] = "replica",
                                                     [ROUTE_ANY] = "any",
                                                     [ROUTE_SPLIT] = "split"};
const char *const config_pool_words[POOL_COUNT] = {
    [POOL_NONE] = "none", [POOL_SESSION] = "session", [POOL_TRANSACTION] = "transaction"};

bool config_sound(const struct config *c, enum section_kind kind, size_t index, const char *key)
{
    const struct origin_setting *s = origin_find(c->origin, kind, index, key);
    return s == NULL || s->ok;
}

/* Each condition writes into `why` what it is that leaves the option without an effect. */
typedef bool (*condition)(const struct backend_config *b, char why[EFFECT_WHY_MAX]);

static bool has_protocol(const struct backend_config *b, const char *name, char *why)
{
    snprintf(why, EFFECT_WHY_MAX, "protocol = %s", b->protocol->name);
    return strcmp(b->protocol->name, name) == 0;
}

static bool is_redis(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    return has_protocol(b, "redis", why);
}

static bool is_mysql(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    return has_protocol(b, "mysql", why);
}

static bool is_pgsql(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    return has_protocol(b, "pgsql", why);
}

static bool is_probed(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    snprintf(why, EFFECT_WHY_MAX, "probe = %s", config_probe_words[b->probe]);
    return b->probe != PROBE_OFF;
}

static bool is_probed_auto(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    snprintf(why, EFFECT_WHY_MAX, "probe = %s", config_probe_words[b->probe]);
    return b->probe == PROBE_AUTO;
}

static bool has_roles(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    if (!b->protocol->has_roles) {
        snprintf(why, EFFECT_WHY_MAX, "protocol = %s", b->protocol->name);
        return false;
    }
    snprintf(why, EFFECT_WHY_MAX, "http_check");
    return b->http_check.method == NULL && is_probed_auto(b, why);
}

static bool is_asked(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    if (!b->protocol->has_roles && b->http_check.method == NULL) {
        snprintf(why, EFFECT_WHY_MAX, "protocol = %s", b->protocol->name);
        return false;
    }
    return is_probed_auto(b, why);
}

static bool has_tls(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    snprintf(why, EFFECT_WHY_MAX, "tls = no and probe_tls = %s", b->probe_tls_auto ? "auto" : "no");
    return b->tls || b->probe_tls == PROBE_TLS_YES || b->sentinel_tls || b->patroni_tls;
}

static bool verifies(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    snprintf(why, EFFECT_WHY_MAX, "tls_verify = no");
    return b->tls_verify;
}

static bool has_http_check(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    snprintf(why, EFFECT_WHY_MAX, "no \"http_check\"");
    return b->http_check.method != NULL;
}

static bool has_sentinels(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    snprintf(why, EFFECT_WHY_MAX, "no \"sentinel\"");
    return b->sentinels.count > 0;
}

static bool has_patroni(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    snprintf(why, EFFECT_WHY_MAX, "no \"patroni\"");
    return b->patroni > 0;
}

/* Only Galera has a first server to go back to. */
static bool may_be_galera(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    bool replication = b->mysql_topology == MYSQL_TOPOLOGY_REPLICATION;
    snprintf(why, EFFECT_WHY_MAX, "mysql_topology = %s",
             replication ? "replication" : "group_replication");
    return b->mysql_topology == MYSQL_TOPOLOGY_AUTO || b->mysql_topology == MYSQL_TOPOLOGY_GALERA;
}

/* A node of Galera and a member of a group do not tell how far they are behind, and are never far.
 */
static bool tells_lag(const struct backend_config *b, char why[EFFECT_WHY_MAX])
{
    bool galera = b->mysql_topology == MYSQL_TOPOLOGY_GALERA;
    snprintf(why, EFFECT_WHY_MAX, "mysql_topology = %s", galera ? "galera" : "group_replication");
    return !galera && b->mysql_topology != MYSQL_TOPOLOGY_GROUP_REPLICATION;
}

static const struct {
    enum option_flag flag;
    condition holds;
} conditions[] = {
    {OPTION_REDIS, is_redis},      {OPTION_MYSQL, is_mysql},      {OPTION_PGSQL, is_pgsql},
    {OPTION_ROLES, has_roles},     {OPTION_ASKED, is_asked},      {OPTION_PROBED, is_probed},
    {OPTION_HTTP, has_http_check}, {OPTION_TLS, has_tls},         {OPTION_SENTINEL, has_sentinels},
    {OPTION_AUTO, is_probed_auto}, {OPTION_VERIFY, verifies},     {OPTION_GALERA, may_be_galera},
    {OPTION_LAG, tells_lag},       {OPTION_PATRONI, has_patroni},
};

/* Whatever turns TLS on could be read. */
static bool tls_is_sound(const struct config *c, size_t index)
{
    static const char *const keys[] = {"tls", "probe_tls", "sentinel_tls", "patroni_tls"};
    bool sound = true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        sound = sound && config_sound(c, SECTION_BACKEND, index, keys[i]);
    }
    return sound;
}

/* Whether clients of the frontend may come to this backend, as far as can be seen: a name that was
 * wrong may have been meant to be that of any backend. */
static bool may_lead_to(const struct config *c, const struct frontend_config *f, size_t backend)
{
    size_t found;
    bool may = !config_sound(c, SECTION_FRONTEND, f->index, "sni") || f->backend_name == NULL ||
               !config_find_backend(c, f->backend_name, &found) || found == backend;
    for (size_t i = 0; i < f->sni.count && !may; i++) {
        may = !config_find_backend(c, f->sni.items[i].backend_name, &found) || found == backend;
    }
    return may;
}

static bool is_pooled(const struct config *c, size_t backend, char why[EFFECT_WHY_MAX])
{
    bool pooled = false;
    for (size_t i = 0; i < c->frontend_count && !pooled; i++) {
        const struct frontend_config *f = &c->frontends[i];
        pooled =
            (f->pool_mode != POOL_NONE || !config_sound(c, SECTION_FRONTEND, i, "pool_mode")) &&
            may_lead_to(c, f, backend);
    }
    snprintf(why, EFFECT_WHY_MAX, "pool_mode = none in all of its frontends");
    return pooled;
}

static bool backend_effect(const struct config *c, const struct option *o, size_t index,
                           char why[EFFECT_WHY_MAX])
{
    const struct backend_config *b = &c->backends[index];
    if (b->protocol == NULL || !config_sound(c, SECTION_BACKEND, index, "probe")) {
        return true;
    }
    if ((o->flags & OPTION_SENTINEL) != 0 && !config_sound(c, SECTION_BACKEND, index, "sentinel")) {
        return true;
    }
    if ((o->flags & OPTION_PATRONI) != 0 && !config_sound(c, SECTION_BACKEND, index, "patroni")) {
        return true;
    }
    if ((o->flags & OPTION_TLS) != 0 && !tls_is_sound(c, index)) {
        return true;
    }
    if ((o->flags & OPTION_POOLED) != 0 && !is_pooled(c, index, why)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        if ((o->flags & conditions[i].flag) != 0 && !conditions[i].holds(b, why)) {
            return false;
        }
    }
    return true;
}

/* Clients that ask for TLS inside the protocol are answered here where the servers' TLS is ours. */
static bool answers_upgrades(const struct config *c, const struct frontend_config *f)
{
    const struct backend_config *b =
        f->backend < c->backend_count ? &c->backends[f->backend] : NULL;
    return b != NULL && b->tls && b->protocol != NULL && b->protocol->upgrade != NULL;
}

static bool frontend_effect(const struct config *c, const struct option *o, size_t index,
                            char why[EFFECT_WHY_MAX])
{
    const struct frontend_config *f = &c->frontends[index];
    bool tls = f->tls != TLS_MODE_NO || !config_sound(c, SECTION_FRONTEND, index, "tls");
    if ((o->flags & (OPTION_REPLICA | OPTION_SPLIT)) != 0) {
        bool replica = f->route == ROUTE_REPLICA && (o->flags & OPTION_REPLICA) != 0;
        snprintf(why, EFFECT_WHY_MAX, "route = %s", config_route_words[f->route]);
        return replica || f->route == ROUTE_SPLIT ||
               !config_sound(c, SECTION_FRONTEND, index, "route");
    }
    if ((o->flags & OPTION_TERMINATED) != 0) {
        snprintf(why, EFFECT_WHY_MAX, "tls = no");
        return tls;
    }
    if ((o->flags & OPTION_EDGE) != 0) {
        snprintf(why, EFFECT_WHY_MAX, "accept_proxy = no, tls = no and no \"sni\"");
        return tls || f->accept_proxy || f->sni.count > 0 || answers_upgrades(c, f) ||
               !config_sound(c, SECTION_FRONTEND, index, "accept_proxy") ||
               !config_sound(c, SECTION_FRONTEND, index, "sni");
    }
    return true;
}

static bool router_effect(const struct config *c, const struct option *o, char why[EFFECT_WHY_MAX])
{
    if ((o->flags & OPTION_ADMIN) != 0 && c->router.admin == NULL) {
        snprintf(why, EFFECT_WHY_MAX, "admin = off");
        return !config_sound(c, SECTION_ROUTER, 0, "admin");
    }
    snprintf(why, EFFECT_WHY_MAX, "no \"admin_password\"");
    return (o->flags & OPTION_PASSWORD) == 0 || c->router.admin_password != NULL ||
           c->router.admin_password_file != NULL;
}

bool config_has_effect(const struct config *c, const struct option *o, size_t index,
                       char why[EFFECT_WHY_MAX])
{
    switch (o->kind) {
    case SECTION_FRONTEND:
        return frontend_effect(c, o, index, why);
    case SECTION_BACKEND:
        return backend_effect(c, o, index, why);
    case SECTION_ROUTER:
        return router_effect(c, o, why);
    case SECTION_KINDS:
        break;
    }
    return true;
}

void config_check_effects(const struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->origin->setting_count; i++) {
        const struct origin_setting *s = &c->origin->settings[i];
        const struct origin_section *in = &c->origin->sections[s->section];
        char why[EFFECT_WHY_MAX];
        /* An empty value means that the option is not used. */
        if (s->ok && !in->repeated && !config_has_effect(c, s->option, in->index, why)) {
            config_error(errors, s->line, "\"%s\" has no effect with %s", s->option->key, why);
        }
    }
}
