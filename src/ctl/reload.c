/* The configuration is read again, while everything goes on. It is in force as a whole, or nothing
 * of it is. */
#include <string.h>

#include "base/address.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/privileges.h"
#include "base/text.h"
#include "ctl/admin.h"
#include "ctl/apply.h"
#include "ctl/control.h"
#include "ctl/reporter.h"
#include "model/config_follow.h"

/* A line each. */
static void log_errors(const char *errors)
{
    while (*errors != '\0') {
        size_t len = strcspn(errors, "\n");
        log_error("%.*s", (int)len, errors);
        errors += len + (errors[len] == '\n');
    }
}

static int refuse(struct control *c, struct text *errors, int rc)
{
    log_errors(errors->data != NULL ? errors->data : "");
    events_add(&c->events, "", "reload", "%s was not taken: what was in force stays",
               c->config_path);
    return rc;
}

static int set_log(const struct config *config, struct text *errors)
{
    const struct router_config *r = &config->router;
    const struct log_setup setup = {r->log, r->log_format, r->log_level};
    char why[LOG_WHY_MAX];
    int rc = log_configure(&setup, why);
    if (rc != 0) {
        text_add(errors, "log: %s\n", why);
    }
    return rc;
}

/* What a process cannot change of itself. */
static void tell_restart(struct control *c, const struct config *next)
{
    const char *key = config_changed_start(c->started, next);
    if (key != NULL) {
        log_warn("\"%s\" has changed in %s: that takes effect with the next start", key,
                 c->config_path);
    }
}

/* The admin address stays what it is until the next start, so what the file says of another one
 * does not tell whether it may do without a password. */
static int may_open(const struct control *c, const struct config *next, struct text *errors)
{
    const struct router_config *now = &c->started->router;
    struct address at;
    bool asks = next->router.admin_password != NULL;
    if (c->admin == NULL || asks || now->admin_open || next->router.admin_open ||
        address_parse(&at, now->admin) != 0 || address_is_loopback(&at)) {
        return 0;
    }
    text_add(errors,
             "%s: the admin address is %s until the next start, open to other machines: it cannot "
             "do without a password before\n",
             c->config_path, now->admin);
    return UV_EINVAL;
}

static int reload(struct control *c, struct text *errors)
{
    struct config *next;
    char why[APPLY_WHY_MAX];
    if (apply_is_busy(c)) {
        text_add(errors, "too many changes at once: try again in a few seconds\n");
        return UV_EBUSY;
    }
    if (c->config_path == NULL) {
        text_add(errors, "the configuration was not read from a file\n");
        return UV_ENOTSUP;
    }
    int rc = c->maker != NULL ? c->maker->make(c->maker, &next, errors)
                              : config_load(c->config_path, &next, errors);
    if (rc != 0) {
        return refuse(c, errors, rc);
    }
    if (config_knows_secrets(next)) {
        privileges_hide_memory();
    }
    rc = may_open(c, next, errors);
    rc = rc != 0 ? rc : set_log(next, errors);
    if (rc != 0) {
        config_free(next);
        return refuse(c, errors, rc);
    }
    rc = control_apply(c, next, why);
    if (rc != 0) {
        text_add(errors, "%s: %s\n", c->config_path, why);
        set_log(c->config, errors);
        return refuse(c, errors, rc);
    }
    tell_restart(c, c->config);
    if (c->admin != NULL) {
        admin_adopt(c->admin);
    }
    events_add(&c->events, "", "reload", "%s is in force", c->config_path);
    return 0;
}

int control_reload(struct control *c, struct text *errors)
{
    reporter_reloading(c->reporter);
    int rc = reload(c, errors);
    reporter_reloaded(c->reporter, rc == 0);
    return rc;
}

void control_reload_soon(struct control *c)
{
    c->reload_due = true;
    control_reload_due(c);
}

void control_reload_due(struct control *c)
{
    struct text errors = {0};
    if (c->reload_due && !apply_is_busy(c) && !c->stopping) {
        c->reload_due = false;
        control_reload(c, &errors);
        text_free(&errors);
    }
}
