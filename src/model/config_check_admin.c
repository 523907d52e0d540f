/* The admin address: who may reach it, and what it asks for. */
#include <string.h>

#include "model/config_internal.h"

static void check_account(struct config *c, struct config_errors *errors)
{
    struct router_config *r = &c->router;
    const struct account keys = {"admin_user", "admin_password", "admin_password_file", true};
    const struct origin_setting *user = origin_find(c->origin, SECTION_ROUTER, 0, keys.user);
    const char *given = r->admin_password_file != NULL ? keys.file
                        : r->admin_password != NULL    ? keys.password
                                                       : NULL;
    config_check_password(c, SECTION_ROUTER, 0, &keys, &r->admin_password, errors);
    if (r->admin_user == NULL && given != NULL) {
        config_error(errors, origin_find(c->origin, SECTION_ROUTER, 0, given)->line,
                     "\"%s\" needs \"%s\"", given, keys.user);
    } else if (r->admin_user != NULL && strchr(r->admin_user, ':') != NULL) { /* RFC 7617, 2 */
        config_error(errors, user->line, "\"%s\" has a colon in it", keys.user);
    }
}

void config_check_admin(struct config *c, struct config_errors *errors)
{
    struct router_config *r = &c->router;
    const struct origin_setting *s = origin_find(c->origin, SECTION_ROUTER, 0, "admin");
    struct address at;
    r->admin_written = s != NULL;
    check_account(c, errors);
    if (s == NULL || !s->ok || r->admin == NULL || address_parse(&at, r->admin) != 0) {
        return;
    }
    bool asks = r->admin_password != NULL || r->admin_password_file != NULL;
    if (!address_is_loopback(&at) && !r->admin_open && !asks &&
        config_sound(c, SECTION_ROUTER, 0, "admin_open")) {
        config_error(errors, s->line,
                     "admin = %s is open to other machines and asks for no password: set "
                     "\"admin_user\" and \"admin_password\", or write \"admin_open = yes\" if that "
                     "is meant, or a loopback address",
                     r->admin);
    }
}
