#include "identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/text.h"
#include "model/config.h"

/* Files ------------------------------------------------------------------------------------- */

struct unread {
    const struct privileges *who;
    struct text names;
    int rc;
};

static void try_file(void *context, const char *path)
{
    struct unread *u = context;
    int rc = privileges_try_read(u->who, path);
    if (rc != 0) {
        text_add(&u->names, "%s%s (%s)", u->names.len > 0 ? ", " : "", path, uv_strerror(rc));
        u->rc = rc;
    }
}

static int check_files(const struct privileges *p, const struct config *config, char *why,
                       size_t why_size)
{
    struct unread unread = {.who = p};
    if (p->wanted) {
        config_each_file(config, try_file, &unread);
    }
    if (unread.rc != 0) {
        snprintf(why, why_size, "\"%s\" must be able to read again what it cannot read: %s",
                 p->name, unread.names.data);
    }
    text_free(&unread.names);
    return unread.rc;
}

/* What root has made is the user's, so that it can be opened, or removed, again. */
static void give_path(const struct privileges *p, const struct address *at)
{
    if (at->sa.any.sa_family == AF_UNIX) {
        privileges_give(p, at->sa.path.sun_path);
    }
}

static void give_all(const struct privileges *p, const struct config *config)
{
    const struct router_config *r = &config->router;
    static const char to_file[] = "file:";
    struct address admin;
    for (size_t i = 0; i < config->frontend_count; i++) {
        const struct bind_list *binds = &config->frontends[i].binds;
        for (size_t j = 0; j < binds->count; j++) {
            give_path(p, &binds->items[j].address);
        }
    }
    for (size_t i = 0; i < r->controls.count; i++) {
        give_path(p, &r->controls.items[i].address);
    }
    if (r->admin != NULL && address_parse(&admin, r->admin) == 0) {
        give_path(p, &admin);
    }
    if (strncmp(r->log, to_file, sizeof to_file - 1) == 0) {
        privileges_give(p, r->log + sizeof to_file - 1);
    }
    if (r->pid_file != NULL) {
        privileges_give(p, r->pid_file);
    }
}

/* Ports ------------------------------------------------------------------------------------- */

static bool is_low(const struct address *at)
{
    sa_family_t family = at->sa.any.sa_family;
    unsigned port = family == AF_INET    ? ntohs(at->sa.v4.sin_port)
                    : family == AF_INET6 ? ntohs(at->sa.v6.sin6_port)
                                         : 0;
    return port > 0 && port < IPPORT_RESERVED;
}

static bool binds_low(const struct config *config)
{
    struct address admin;
    const char *text = config->router.admin;
    bool low = text != NULL && address_parse(&admin, text) == 0 && is_low(&admin);
    for (size_t i = 0; i < config->frontend_count; i++) {
        const struct bind_list *binds = &config->frontends[i].binds;
        for (size_t j = 0; j < binds->count; j++) {
            low = low || is_low(&binds->items[j].address);
        }
    }
    return low;
}

/* The whole --------------------------------------------------------------------------------- */

static int find(struct privileges *p, const struct config *config, char *why, size_t why_size)
{
    return privileges_find(p, config->router.user, config->router.group, why, why_size);
}

int identity_begin(struct identity *id, const struct config *config, int inherited, char *why,
                   size_t why_size)
{
    id->pid_file.fd = -1;
    int rc = find(&id->privileges, config, why, why_size);
    rc = rc != 0 ? rc : check_files(&id->privileges, config, why, why_size);
    if (rc == 0 && inherited >= 0 &&
        pid_file_inherit(&id->pid_file, inherited, config->router.pid_file)) {
        return 0;
    }
    return rc != 0 ? rc : pid_file_take(&id->pid_file, config->router.pid_file, why, why_size);
}

int identity_settle(struct identity *id, const struct config *config, char *why, size_t why_size)
{
    give_all(&id->privileges, config);
    int rc = privileges_drop(&id->privileges, binds_low(config), why, why_size);
    if (rc == 0 && config_knows_secrets(config)) {
        privileges_hide_memory();
    }
    return rc;
}

void identity_end(struct identity *id)
{
    if (id->pid_file.path != NULL) {
        pid_file_remove(&id->pid_file);
    }
}

int identity_check(const struct config *config, char *why, size_t why_size)
{
    struct privileges p;
    int rc = find(&p, config, why, why_size);
    if (rc == UV_EPERM) {
        return 0;
    }
    return rc != 0 ? rc : check_files(&p, config, why, why_size);
}
