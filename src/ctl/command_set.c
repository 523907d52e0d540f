/* Commands that change what a server or a frontend is used for. Words and answers are HAProxy's,
 * whose success is an empty answer. */
#include <string.h>

#include "base/macros.h"
#include "ctl/command.h"
#include "ctl/command_names.h"
#include "ctl/operate.h"

/* Servers ----------------------------------------------------------------------------------- */

static bool find_server(struct command_call *call, struct backend_control **b, size_t *server)
{
    size_t backend;
    if (!command_server(call, call->count > 0 ? call->words[0] : "", &backend, server)) {
        return false;
    }
    *b = call->control->backends[backend];
    return true;
}

static void set_state(struct command_call *call, struct backend_control *b, size_t server,
                      enum admin_state state)
{
    char who[COMMAND_WHO_MAX];
    operate_admin(b, server, state, command_who(call, who));
}

static void set_state_by_word(struct command_call *call, struct backend_control *b, size_t server)
{
    for (size_t i = 0; i < ADMIN_STATE_COUNT && call->count == 3; i++) {
        if (strcmp(call->words[2], admin_state_names[i]) == 0) {
            set_state(call, b, server, (enum admin_state)i);
            return;
        }
    }
    command_fail(call, "'set server <srv> state' expects 'ready', 'drain' and 'maint'.");
}

static void run_set_server(struct command_call *call)
{
    struct backend_control *b;
    size_t server;
    if (!find_server(call, &b, &server)) {
        return;
    }
    const char *what = call->count > 1 ? call->words[1] : "";
    if (strcmp(what, "state") == 0) {
        set_state_by_word(call, b, server);
    } else {
        command_fail(call, "usage: set server <backend>/<server> state");
    }
}

static void run_state(struct command_call *call, enum admin_state state)
{
    struct backend_control *b;
    size_t server;
    if (command_takes(call, 1) && find_server(call, &b, &server)) {
        set_state(call, b, server, state);
    }
}

static void run_disable_server(struct command_call *call)
{
    run_state(call, ADMIN_MAINT);
}

static void run_enable_server(struct command_call *call)
{
    run_state(call, ADMIN_READY);
}

/* Frontends --------------------------------------------------------------------------------- */

static void run_frontend(struct command_call *call, bool enabled, const char *already)
{
    size_t frontend;
    char who[COMMAND_WHO_MAX];
    if (call->count == 0) {
        command_fail(call, "A frontend name is expected.");
    }
    if (call->count == 0 || !command_takes(call, 1) ||
        !command_frontend(call, call->words[0], &frontend)) {
        return;
    }
    if (!operate_frontend(call->control, frontend, enabled, command_who(call, who))) {
        command_fail(call, "%s", already);
    }
}

static void run_disable_frontend(struct command_call *call)
{
    run_frontend(call, false, "All sockets are already disabled.");
}

static void run_enable_frontend(struct command_call *call)
{
    run_frontend(call, true, "All sockets are already enabled.");
}

/* clang-format off */
const struct command command_set[] = {
    {"disable frontend", "<frontend>", CONTROL_ADMIN, true, "refuse new connections",
     "They are accepted and told so in their protocol; sessions that live go on.",
     run_disable_frontend},
    {"disable server", "<backend>/<server>", CONTROL_ADMIN, true,
     "take a server out (set server ... state maint)", "", run_disable_server},
    {"enable frontend", "<frontend>", CONTROL_ADMIN, true, "take new connections again", "",
     run_enable_frontend},
    {"enable server", "<backend>/<server>", CONTROL_ADMIN, true,
     "let a server in again (set server ... state ready)", "", run_enable_server},
    {"set server", "<backend>/<server> state <state>", CONTROL_ADMIN, true,
     "change a server's state",
     "The states are ready, drain and maint. "
     "With drain and with maint a server gets no new sessions, and those that live go on (shutdown "
     "sessions ends them). It is probed as ever, so that ready has effect at once. "
     "Where a backend has roles its claim to be the primary does not count either. So taking the "
     "primary out is a planned switch: writes wait, living sessions stand still, and the next "
     "server that claims is the primary as soon as no worker can write to the old one any more. "
     "With Galera that is another synced server, at once; else it is the one that is promoted. "
     "Until there is one, living sessions stand still for queue_timeout; then they are closed. "
     "States outlive a reload.",
     run_set_server},
    {0},
};
/* clang-format on */
