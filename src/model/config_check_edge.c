/* What a frontend wants of its clients before their session begins: TLS, the backend of the name
 * that they ask for, PROXY headers. */
#include <string.h>

#include "model/config_internal.h"
#include "model/sni.h"

#define NOT_JUDGED ROUTE_COUNT

static unsigned item_line(const struct config *c, const struct frontend_config *f, const char *key,
                          size_t item)
{
    return origin_item_line(c->origin, SECTION_FRONTEND, f->index, key, item);
}

/* The line that sets the key, 0 if there is none. */
static unsigned key_line(const struct config *c, const struct frontend_config *f, const char *key)
{
    const struct origin_setting *s = origin_find(c->origin, SECTION_FRONTEND, f->index, key);
    return s != NULL ? s->line : 0;
}

/* Every line of the key has a good value. */
static bool all_sound(const struct config *c, const struct frontend_config *f, const char *key,
                      size_t items)
{
    size_t lines = 0;
    for (size_t i = 0; i < c->origin->setting_count; i++) {
        const struct origin_setting *s = &c->origin->settings[i];
        const struct origin_section *in = &c->origin->sections[s->section];
        lines += in->kind == SECTION_FRONTEND && in->index == f->index &&
                 strcmp(s->option->key, key) == 0;
    }
    return lines == items;
}

/* TLS and the protocols --------------------------------------------------------------------- */

/* A client whose server speaks first, or that asks in the clear whether there is TLS, does not
 * begin with a TLS hello. */
static void check_protocol(const struct config *c, const struct frontend_config *f,
                           const struct backend_config *b, unsigned tls_line, unsigned sni_line,
                           struct config_errors *errors)
{
    if (b->protocol == NULL) {
        return;
    }
    bool inside = b->protocol->login != NULL;
    bool relayed =
        f->pool_mode == POOL_NONE && config_sound(c, SECTION_FRONTEND, f->index, "pool_mode");
    if (f->tls == TLS_MODE_REQUIRED && !inside) {
        config_error(errors, tls_line,
                     "tls = required is for protocols that upgrade to TLS inside: with protocol = "
                     "%s of [backend %s] write \"tls = yes\", which lets in no client without TLS",
                     b->protocol->name, b->name);
    } else if (f->sni.count > 0 && inside) {
        config_error(errors, sni_line,
                     "\"sni\" is not possible with protocol = %s of [backend %s]: its clients do "
                     "not begin with a TLS hello",
                     b->protocol->name, b->name);
    } else if (f->tls != TLS_MODE_NO && inside && b->protocol->upgrade == NULL && relayed) {
        config_error(errors, tls_line,
                     "\"tls\" with protocol = %s of [backend %s] needs \"pool_mode = session\" or "
                     "\"transaction\": with none, TLS is between client and server, and passed on "
                     "as it is",
                     b->protocol->name, b->name);
    }
}

static void check_files(const struct config *c, const struct frontend_config *f,
                        struct config_errors *errors)
{
    size_t certs = f->tls_certs.count;
    size_t keys = f->tls_keys.count;
    if (!all_sound(c, f, "tls_cert", certs) || !all_sound(c, f, "tls_key", keys)) {
        return;
    }
    if (f->tls != TLS_MODE_NO && certs == 0) {
        config_error(errors, key_line(c, f, "tls"),
                     "\"tls\" needs \"tls_cert\", for example: tls_cert = /etc/router/hub.pem");
    } else if (f->tls != TLS_MODE_NO && keys > 0 && keys != certs) {
        config_error(errors, item_line(c, f, "tls_key", keys - 1),
                     "there are %zu \"tls_cert\" and %zu \"tls_key\": write one key for each "
                     "certificate, in the same order, or none",
                     certs, keys);
    }
}

/* Names ------------------------------------------------------------------------------------- */

static void check_same_hosts(const struct config *c, const struct frontend_config *f,
                             struct config_errors *errors)
{
    for (size_t i = 1; i < f->sni.count; i++) {
        size_t first = f->sni.sorted[i - 1];
        size_t second = f->sni.sorted[i];
        const struct sni_rule *rule = &f->sni.items[second];
        char shown[SHOWN_MAX];
        if (sni_same_host(&f->sni.items[first], rule)) {
            config_error(errors, item_line(c, f, "sni", second),
                         "%s%s is there twice, first in line %u", rule->wildcard ? "*." : "",
                         config_shown(rule->host, shown), item_line(c, f, "sni", first));
        }
    }
}

/* A backend is judged at the first name that goes there; `routes` has an item for each backend. */
static void resolve_name(const struct config *c, const struct frontend_config *f, size_t item,
                         enum route *routes, struct config_errors *errors)
{
    struct sni_rule *rule = &f->sni.items[item];
    if (!config_find_backend(c, rule->backend_name, &rule->backend)) {
        config_tell_no_backend(c, rule->backend_name, item_line(c, f, "sni", item), errors);
        return;
    }
    if (routes[rule->backend] == NOT_JUDGED) {
        const struct backend_config *b = &c->backends[rule->backend];
        unsigned line = item_line(c, f, "sni", item);
        routes[rule->backend] = config_resolve_route(c, f, b, line, errors);
        check_protocol(c, f, b, line, line, errors);
    }
    rule->route = routes[rule->backend];
}

static void resolve_names(const struct config *c, struct frontend_config *f, bool found,
                          struct config_errors *errors)
{
    enum route routes[CONFIG_LIST_MAX]; /* there are no more sections */
    for (size_t i = 0; i < c->backend_count; i++) {
        routes[i] = NOT_JUDGED;
    }
    if (found) {
        routes[f->backend] = f->route;
    }
    for (size_t i = 0; i < f->sni.count; i++) {
        resolve_name(c, f, i, routes, errors);
    }
    sni_sort(&f->sni);
    check_same_hosts(c, f, errors);
}

/* PROXY headers ----------------------------------------------------------------------------- */

static void check_proxy(const struct config *c, const struct frontend_config *f,
                        struct config_errors *errors)
{
    bool only_paths = true;
    for (size_t i = 0; i < f->binds.count; i++) {
        only_paths = only_paths && f->binds.items[i].address.sa.any.sa_family == AF_UNIX;
    }
    if (f->accept_proxy && !only_paths && key_line(c, f, "allow") == 0) {
        config_error(errors, key_line(c, f, "accept_proxy"),
                     "with \"accept_proxy = yes\" whoever connects may say that he is somebody "
                     "else: say with \"allow\" who may, for example: allow = 10.0.0.5");
    }
}

/* The whole --------------------------------------------------------------------------------- */

void config_check_edge(const struct config *c, struct frontend_config *f, bool found,
                       struct config_errors *errors)
{
    if (found) {
        check_protocol(c, f, &c->backends[f->backend], key_line(c, f, "tls"), key_line(c, f, "sni"),
                       errors);
    }
    resolve_names(c, f, found, errors);
    check_files(c, f, errors);
    check_proxy(c, f, errors);
}
