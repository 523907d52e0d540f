/* Servers, passwords, probes and caps of each backend. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/config_internal.h"
#include "model/secret.h"

static unsigned server_line(const struct config *c, const struct backend_config *b, size_t i)
{
    return origin_item_line(c->origin, SECTION_BACKEND, b->index, "server", i);
}

static bool same_place(const struct server_config *one, const struct server_config *two)
{
    if (one->host != NULL && two->host != NULL) {
        return strcmp(one->host, two->host) == 0 && one->port == two->port;
    }
    return address_equal(&one->address, &two->address); /* of a name it is not set */
}

/* Two names for one server would give it twice its cap, and a primary two votes. */
static void check_server_pair(const struct config *c, const struct backend_config *b, size_t first,
                              size_t second, struct config_errors *errors)
{
    const struct server_config *one = &b->servers.items[first];
    const struct server_config *two = &b->servers.items[second];
    if (strcmp(one->name, two->name) == 0) {
        config_error(errors, server_line(c, b, second),
                     "there is another server \"%s\" in [backend %s], in line %u", two->name,
                     b->name, server_line(c, b, first));
    } else if (same_place(one, two)) {
        config_error(errors, server_line(c, b, second),
                     "server \"%s\" has the address of server \"%s\" in line %u", two->name,
                     one->name, server_line(c, b, first));
    }
}

static void check_servers(const struct config *c, const struct backend_config *b,
                          struct config_errors *errors)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        for (size_t j = 0; j < i; j++) {
            check_server_pair(c, b, j, i, errors);
        }
    }
}

static void check_discovers(const struct config *c, const struct backend_config *b,
                            struct config_errors *errors)
{
    const struct discover_list *list = &b->discovers;
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(list->items[i].host, list->items[j].host) == 0 &&
                list->items[i].port == list->items[j].port) {
                config_error(errors,
                             origin_item_line(c->origin, SECTION_BACKEND, b->index, "discover", i),
                             "%s is discovered twice", list->items[i].text);
            }
        }
    }
    if (origin_find(c->origin, SECTION_BACKEND, b->index, "server") == NULL &&
        origin_find(c->origin, SECTION_BACKEND, b->index, "discover") == NULL) {
        const struct option *o = config_find_option(SECTION_BACKEND, "server");
        config_error(errors, origin_section(c->origin, SECTION_BACKEND, b->index)->line,
                     "this [backend] needs \"server\" or \"discover\", for example: server = %s",
                     o->example);
    }
}

/* Passwords --------------------------------------------------------------------------------- */

void config_check_password(const struct config *c, enum section_kind kind, size_t index,
                           const struct account *keys, char **password,
                           struct config_errors *errors)
{
    const struct config_origin *o = c->origin;
    const struct origin_setting *file = origin_find(o, kind, index, keys->file);
    const struct origin_setting *plain = origin_find(o, kind, index, keys->password);
    const struct origin_setting *user = origin_find(o, kind, index, keys->user);
    bool has_file = file != NULL && file->ok;
    bool has_plain = plain != NULL && plain->ok;
    if (has_file && has_plain) {
        config_error(errors, file->line, "\"%s\" and \"%s\" (line %u) are both set", keys->file,
                     keys->password, plain->line);
    } else if (has_file) {
        const char *path = *(char **)config_member(c, file->option, index);
        char why[SECRET_WHY_MAX];
        char shown[SHOWN_MAX];
        *password = secret_read(path, why);
        if (*password == NULL) {
            config_error(errors, file->line, "cannot read the password from %s: %s",
                         config_shown(path, shown), why);
        }
    } else if (user != NULL && user->ok && !has_plain && keys->needs_password) {
        config_error(errors, user->line, "\"%s\" needs \"%s\" or \"%s\"", keys->user,
                     keys->password, keys->file);
    }
}

static void check_passwords(const struct config *c, struct backend_config *b,
                            struct config_errors *errors)
{
    bool redis = b->protocol != NULL && strcmp(b->protocol->name, "redis") == 0;
    struct account probe = {"probe_user", "probe_password", "probe_password_file", redis};
    struct account sentinel = {"sentinel_user", "sentinel_password", "sentinel_password_file",
                               true};
    config_check_password(c, SECTION_BACKEND, b->index, &probe, &b->probe_password, errors);
    config_check_password(c, SECTION_BACKEND, b->index, &sentinel, &b->sentinel_password, errors);
}

/* Probes ------------------------------------------------------------------------------------ */

/* MySQL and PostgreSQL tell nothing to a stranger. */
static void check_probe_user(const struct config *c, const struct backend_config *b,
                             struct config_errors *errors)
{
    bool asks = backend_roles_known(b) && strcmp(b->protocol->name, "redis") != 0;
    const struct origin_setting *s =
        origin_find(c->origin, SECTION_BACKEND, b->index, "probe_user");
    if (asks && b->probe_user == NULL && (s == NULL || s->ok)) {
        config_error(errors, origin_section(c->origin, SECTION_BACKEND, b->index)->line,
                     "[backend %s] asks its servers for their roles: it needs \"probe_user\" (and "
                     "\"probe_password\"), or \"probe = connect\"",
                     b->name);
    }
}

/* MySQL counts transactions, not bytes. */
static void check_lag(const struct config *c, const struct backend_config *b,
                      struct config_errors *errors)
{
    const struct origin_setting *s = origin_find(c->origin, SECTION_BACKEND, b->index, "max_lag");
    if (b->protocol != NULL && strcmp(b->protocol->name, "mysql") == 0 && b->max_lag.bytes > 0) {
        config_error(errors, s->line, "max_lag is a duration with protocol = mysql (like 10s)");
    }
}

static void check_probe_port(const struct config *c, const struct backend_config *b,
                             struct config_errors *errors)
{
    for (size_t i = 0; i < b->servers.count && (b->probe_port > 0 || b->patroni > 0); i++) {
        if (b->servers.items[i].address.sa.any.sa_family == AF_UNIX) {
            config_error(errors, server_line(c, b, i),
                         "server \"%s\" is a unix socket: it has no other port to be asked at (%s)",
                         b->servers.items[i].name, b->probe_port > 0 ? "probe_port" : "patroni");
        }
    }
}

static bool is_readable(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

static void check_tls(const struct config *c, const struct backend_config *b,
                      struct config_errors *errors)
{
    char shown[SHOWN_MAX];
    const struct origin_setting *ca = origin_find(c->origin, SECTION_BACKEND, b->index, "tls_ca");
    if (ca != NULL && ca->ok && !is_readable(b->tls_ca)) {
        config_error(errors, ca->line, "cannot read %s: %s", config_shown(b->tls_ca, shown),
                     strerror(errno));
    }
    bool verified = (b->tls || b->probe_tls == PROBE_TLS_YES) && b->tls_verify;
    for (size_t i = 0; i < b->servers.count && verified; i++) {
        if (b->servers.items[i].address.sa.any.sa_family == AF_UNIX && b->tls_server_name == NULL) {
            config_error(errors, server_line(c, b, i),
                         "server \"%s\" is a unix socket: its certificate needs a name to be "
                         "verified, tls_server_name",
                         b->servers.items[i].name);
        }
    }
}

/* A frontend that leads to the backend and relays what it does not look at. */
static const struct frontend_config *find_without_pool(const struct config *c,
                                                       const struct backend_config *b)
{
    const struct frontend_config *found = NULL;
    for (size_t i = 0; i < c->frontend_count && found == NULL; i++) {
        const struct frontend_config *f = &c->frontends[i];
        size_t at;
        bool leads = f->backend_name != NULL && config_find_backend(c, f->backend_name, &at) &&
                     at == b->index;
        if (leads && f->pool_mode == POOL_NONE &&
            config_sound(c, SECTION_FRONTEND, i, "pool_mode")) {
            found = f;
        }
    }
    return found;
}

/* Where a session begins in the clear and is relayed as it is, TLS is between client and server.
 */
static void check_session_tls(const struct config *c, const struct backend_config *b,
                              struct config_errors *errors)
{
    const struct origin_setting *key = origin_find(c->origin, SECTION_BACKEND, b->index, "tls_key");
    bool inside = b->protocol != NULL && b->protocol->login != NULL;
    const struct frontend_config *f = NULL;
    if (b->tls && inside && b->protocol->upgrade == NULL) {
        f = find_without_pool(c, b);
    }
    if (f != NULL) {
        config_error(errors, origin_find(c->origin, SECTION_BACKEND, b->index, "tls")->line,
                     "tls = yes with protocol = %s needs a \"pool_mode\" in each frontend of the "
                     "backend, and [frontend %s] has pool_mode = none: there TLS is between client "
                     "and server, and passed on as it is (probe_tls is for the probes)",
                     b->protocol->name, f->name);
    }
    if (b->tls_key != NULL && b->tls_cert == NULL &&
        config_sound(c, SECTION_BACKEND, b->index, "tls_cert")) {
        config_error(errors, key->line, "\"tls_key\" needs \"tls_cert\"");
    }
}

static bool same_sentinel(const struct sentinel_config *one, const struct sentinel_config *two)
{
    if (one->host != NULL && two->host != NULL) {
        return strcmp(one->host, two->host) == 0 && one->port == two->port;
    }
    return address_equal(&one->address, &two->address);
}

static void check_sentinels(const struct config *c, const struct backend_config *b,
                            struct config_errors *errors)
{
    const struct sentinel_list *list = &b->sentinels;
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < i; j++) {
            /* It would have two votes. */
            if (same_sentinel(&list->items[i], &list->items[j])) {
                config_error(errors,
                             origin_item_line(c->origin, SECTION_BACKEND, b->index, "sentinel", i),
                             "sentinel %s is there twice", list->items[i].text);
            }
        }
    }
    if (list->count > 0 && b->sentinel_master == NULL &&
        config_sound(c, SECTION_BACKEND, b->index, "sentinel_master")) {
        config_error(errors, origin_item_line(c->origin, SECTION_BACKEND, b->index, "sentinel", 0),
                     "\"sentinel\" needs \"sentinel_master\", the name that the Sentinels use");
    }
}

static void check_pool(const struct config *c, const struct backend_config *b,
                       struct config_errors *errors)
{
    const struct origin_setting *size =
        origin_find(c->origin, SECTION_BACKEND, b->index, "pool_size");
    const struct origin_setting *idle =
        origin_find(c->origin, SECTION_BACKEND, b->index, "pool_min_idle");
    if (size != NULL && idle != NULL && b->pool_size > 0 && b->pool_min_idle > b->pool_size) {
        config_error(errors, idle->line, "pool_min_idle = %u is more than pool_size = %u (line %u)",
                     b->pool_min_idle, b->pool_size, size->line);
    }
}

/* The whole --------------------------------------------------------------------------------- */

static void finish_servers(struct config *c, struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        struct server_config *s = &b->servers.items[i];
        s->id = c->server_count++;
        if (!s->own_max_connections) {
            s->said_max_connections = b->server_max_connections;
        }
    }
    for (size_t i = 0; i < b->discovers.count; i++) {
        struct discover_config *d = &b->discovers.items[i];
        if (!d->own_max_connections) {
            d->max_connections = b->server_max_connections;
        }
    }
}

void config_check_backends(struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        struct backend_config *b = &c->backends[i];
        if (!origin_section(c->origin, SECTION_BACKEND, i)->repeated) {
            check_servers(c, b, errors);
            check_discovers(c, b, errors);
            check_passwords(c, b, errors);
            check_probe_user(c, b, errors);
            check_lag(c, b, errors);
            check_probe_port(c, b, errors);
            check_tls(c, b, errors);
            check_session_tls(c, b, errors);
            check_sentinels(c, b, errors);
            check_pool(c, b, errors);
        }
        finish_servers(c, b);
    }
    config_cap_servers(c);
}
