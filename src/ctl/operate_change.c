/* Each of these is a configuration that is derived from the running one and takes its place, as one
 * from a file would. */
#include <stdio.h>

#include "ctl/operate.h"
#include "model/config_follow.h"

static struct server_config *server_of(struct config *next, const struct backend_control *b,
                                       size_t server)
{
    return &next->backends[b->config->index].servers.items[server];
}

static void tell(struct control *c, const char *backend, const char *what, const char *who)
{
    events_add(&c->events, backend, "operator", "%s, by the operator%s%s%s", what,
               who[0] != '\0' ? " (" : "", who, who[0] != '\0' ? ")" : "");
}

int operate_weight(struct backend_control *b, size_t server, unsigned weight, const char *who,
                   char why[APPLY_WHY_MAX])
{
    struct control *c = b->control;
    struct config *next = config_derive(c->config);
    struct server_config *s = server_of(next, b, server);
    unsigned in_file = s->weight_in_file > 0 ? s->weight_in_file : s->weight;
    s->weight_in_file = weight == in_file ? 0 : in_file;
    s->weight = weight;
    int rc = control_apply(c, next, why);
    if (rc == 0) {
        char what[160];
        snprintf(what, sizeof what, "the weight of %s is %u", b->config->servers.items[server].name,
                 weight);
        tell(c, b->config->name, what, who);
    }
    return rc;
}

int operate_address(struct backend_control *b, size_t server, const struct address *at,
                    const char *who, char why[APPLY_WHY_MAX])
{
    struct control *c = b->control;
    char text[ADDRESS_TEXT_MAX];
    char what[256];
    address_print(at, text);
    snprintf(what, sizeof what, "the address of %s is %s", b->config->servers.items[server].name,
             text);
    struct config *next = config_derive(c->config);
    config_set_address(server_of(next, b, server), at, text);
    int rc = control_apply(c, next, why);
    if (rc == 0) {
        tell(c, b->config->name, what, who);
    }
    return rc;
}

int operate_server_cap(struct backend_control *b, size_t server, unsigned cap, const char *who,
                       char why[APPLY_WHY_MAX])
{
    struct control *c = b->control;
    struct config *next = config_derive(c->config);
    struct server_config *s = server_of(next, b, server);
    s->said_max_connections = cap;
    s->own_max_connections = true;
    int rc = control_apply(c, next, why);
    if (rc == 0) {
        char what[160];
        snprintf(what, sizeof what, "%s takes at most %u connections (0: no cap)",
                 b->config->servers.items[server].name, cap);
        tell(c, b->config->name, what, who);
    }
    return rc;
}

int operate_frontend_cap(struct control *c, size_t frontend, unsigned cap, const char *who,
                         char why[APPLY_WHY_MAX])
{
    struct config *next = config_derive(c->config);
    next->frontends[frontend].max_sessions = cap;
    int rc = control_apply(c, next, why);
    if (rc == 0) {
        char what[160];
        snprintf(what, sizeof what, "frontend %s takes at most %u sessions (0: no cap)",
                 c->config->frontends[frontend].name, cap);
        tell(c, "", what, who);
    }
    return rc;
}

int operate_global_cap(struct control *c, unsigned cap, const char *who, char why[APPLY_WHY_MAX])
{
    struct config *next = config_derive(c->config);
    next->router.max_sessions = cap;
    int rc = control_apply(c, next, why);
    if (rc == 0) {
        char what[160];
        snprintf(what, sizeof what, "the router takes at most %u sessions",
                 c->shared->max_sessions);
        tell(c, "", what, who);
    }
    return rc;
}
