/* The answers to names that are not there are HAProxy's. */
#include "ctl/command_find.h"

#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/operate.h"

struct backend_control *command_find_backend(struct command_call *call)
{
    if (call->count == 0) {
        command_fail(call, "A backend name is expected.");
        return NULL;
    }
    struct backend_control *b = operate_find_backend(call->control, call->words[0]);
    if (b == NULL) {
        command_fail(call, "No such backend.");
    }
    return b;
}

bool command_find_server(struct command_call *call, struct backend_control **b, size_t *server)
{
    char *slash = call->count > 0 ? strchr(call->words[0], '/') : NULL;
    if (slash == NULL) {
        command_fail(call, "Require 'backend/server'.");
        return false;
    }
    *slash = '\0';
    *b = command_find_backend(call);
    if (*b == NULL) {
        return false;
    }
    if (!operate_find_server(*b, slash + 1, server)) {
        command_fail(call, "No such server.");
        return false;
    }
    return true;
}

bool command_find_frontend(struct command_call *call, size_t *frontend)
{
    if (call->count == 0) {
        command_fail(call, "A frontend name is expected.");
        return false;
    }
    if (!operate_find_frontend(call->control, call->words[0], frontend)) {
        command_fail(call, "No such frontend.");
        return false;
    }
    return true;
}

const char *command_who(const struct command_call *call, char who[COMMAND_WHO_MAX])
{
    snprintf(who, COMMAND_WHO_MAX, "uid %ld, pid %ld", (long)call->asker->uid,
             (long)call->asker->pid);
    return who;
}
