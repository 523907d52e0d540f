#include "ctl/command_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/control.h"

/* Words are compared as (text, len): the name of a backend ends at a slash. */
static bool is_name(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && memcmp(name, text, len) == 0;
}

/* "#12" or, of a server, "12" as "show servers state" prints it; 0 if it is no number. */
static size_t number_of(const char *text, size_t len)
{
    size_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > 100000000) {
            return 0;
        }
        value = value * 10 + (size_t)(text[i] - '0');
    }
    return value;
}

static bool find_backend(const struct config *c, const char *text, size_t len, size_t *backend)
{
    size_t number = len > 1 && text[0] == '#' ? number_of(text + 1, len - 1) : 0;
    for (size_t i = 0; i < c->backend_count; i++) {
        bool fits = is_name(c->backends[i].name, text, len) || number == PROXY_ID_BACKEND(i);
        if (fits && !c->backends[i].gone) {
            *backend = i;
            return true;
        }
    }
    return false;
}

static bool find_server(const struct backend_config *b, const char *text, size_t *server)
{
    size_t len = strlen(text);
    size_t number = len > 1 && text[0] == '#' ? number_of(text + 1, len - 1) : 0;
    for (size_t i = 0; i < b->servers.count; i++) {
        bool fits = is_name(b->servers.items[i].name, text, len) || number == SERVER_ID(i);
        if (fits && !b->servers.items[i].gone) {
            *server = i;
            return true;
        }
    }
    return false;
}

bool command_only_backend(struct command_call *call, size_t *only)
{
    *only = SIZE_MAX;
    return command_takes(call, 1) &&
           (call->count == 0 || command_backend(call, call->words[0], only));
}

bool command_backend(struct command_call *call, const char *name, size_t *backend)
{
    bool found = find_backend(call->control->config, name, strlen(name), backend);
    if (!found) {
        command_fail(call, "Can't find backend.");
    }
    return found;
}

bool command_server(struct command_call *call, const char *name, size_t *backend, size_t *server)
{
    const struct config *config = call->control->config;
    const char *slash = strchr(name, '/');
    if (slash == NULL) {
        command_fail(call, "Require 'backend/server'.");
        return false;
    }
    bool found = find_backend(config, name, (size_t)(slash - name), backend) &&
                 find_server(&config->backends[*backend], slash + 1, server);
    if (!found) {
        command_fail(call, "No such server.");
    }
    return found;
}

bool command_frontend(struct command_call *call, const char *name, size_t *frontend)
{
    const struct config *config = call->control->config;
    size_t len = strlen(name);
    size_t number = len > 1 && name[0] == '#' ? number_of(name + 1, len - 1) : 0;
    for (size_t i = 0; i < config->frontend_count; i++) {
        const struct frontend_config *f = &config->frontends[i];
        bool fits = is_name(f->name, name, len) || number == PROXY_ID_FRONTEND(i);
        if (fits && !f->gone) {
            *frontend = i;
            return true;
        }
    }
    command_fail(call, "No such frontend.");
    return false;
}

const char *command_who(const struct command_call *call, char who[COMMAND_WHO_MAX])
{
    snprintf(who, COMMAND_WHO_MAX, "uid %ld, pid %ld", (long)call->asker->uid,
             (long)call->asker->pid);
    return who;
}
