/* Commands that change what a server or a frontend is used for. Words and answers are HAProxy's,
 * whose success is an empty answer. */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/command.h"
#include "ctl/command_names.h"
#include "ctl/command_number.h"
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

static void set_weight(struct command_call *call, struct backend_control *b, size_t server,
                       const char *text)
{
    const struct server_config *s = &b->config->servers.items[server];
    unsigned in_file = s->weight_in_file > 0 ? s->weight_in_file : s->weight;
    unsigned weight = 0;
    char who[COMMAND_WHO_MAX];
    char why[APPLY_WHY_MAX];
    const char *wrong =
        text == NULL ? "Require <weight> or <weight%>." : weight_parse(text, in_file, &weight);
    if (wrong != NULL) {
        command_fail(call, "%s", wrong);
    } else if (weight != s->weight &&
               operate_weight(b, server, weight, command_who(call, who), why) != 0) {
        command_fail(call, "%s", why);
    }
}

/* "A", or "A port P": what is not said stays. */
static bool parse_address(struct command_call *call, const struct address *old, struct address *at)
{
    char text[ADDRESS_TEXT_MAX + 16];
    const char *host = call->words[2];
    unsigned port = address_port(old);
    if (call->count == 5) {
        const char *wrong = maxconn_parse(call->words[4], &port);
        if (wrong != NULL || port == 0 || port > UINT16_MAX) {
            command_fail(call, "Invalid port '%s'.", call->words[4]);
            return false;
        }
    }
    snprintf(text, sizeof text, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
    if (strlen(host) >= ADDRESS_TEXT_MAX || address_parse(at, text) != 0 || at->dual) {
        command_fail(call, "Invalid addr '%.64s'.", host);
        return false;
    }
    return true;
}

static void add_change(struct command_call *call, const struct address *old,
                       const struct address *at)
{
    char was[ADDRESS_TEXT_MAX];
    char is[ADDRESS_TEXT_MAX];
    bool same_port = address_port(old) == address_port(at);
    address_print_host(old, was);
    address_print_host(at, is);
    struct text words = {0};
    if (strcmp(was, is) == 0) {
        text_add(&words, "no need to change the addr, ");
    } else {
        text_add(&words, "IP changed from '%s' to '%s', ", was, is);
    }
    if (same_port) {
        text_add(&words, "no need to change the port");
    } else {
        text_add(&words, "port changed from '%u' to '%u'", address_port(old), address_port(at));
    }
    if (strcmp(was, is) != 0 || !same_port) {
        text_add(&words, " by 'stats socket command'");
    }
    command_say(call, "%s", words.data);
    text_free(&words);
}

static void set_address(struct command_call *call, struct backend_control *b, size_t server)
{
    const struct address old = b->config->servers.items[server].address;
    struct address at;
    char who[COMMAND_WHO_MAX];
    char why[APPLY_WHY_MAX];
    bool whole = call->count == 3 || (call->count == 5 && strcmp(call->words[3], "port") == 0);
    if (!whole) {
        command_fail(call, "set server <b>/<s> addr requires an address and optionally a port.");
    } else if (parse_address(call, &old, &at)) {
        if (!address_equal(&old, &at) &&
            operate_address(b, server, &at, command_who(call, who), why) != 0) {
            command_fail(call, "%s", why);
        } else {
            add_change(call, &old, &at);
        }
    }
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
    } else if (strcmp(what, "weight") == 0) {
        if (command_takes(call, 3)) {
            set_weight(call, b, server, call->words[2]);
        }
    } else if (strcmp(what, "addr") == 0) {
        set_address(call, b, server);
    } else {
        command_fail(call, "usage: set server <backend>/<server> addr | state | weight");
    }
}

static void run_set_weight(struct command_call *call)
{
    struct backend_control *b;
    size_t server;
    if (command_takes(call, 2) && find_server(call, &b, &server)) {
        set_weight(call, b, server, call->words[1]);
    }
}

static void run_get_weight(struct command_call *call)
{
    struct backend_control *b;
    size_t server;
    if (command_takes(call, 1) && find_server(call, &b, &server)) {
        const struct server_config *s = &b->config->servers.items[server];
        text_add(call->out, "%u (initial %u)\n", s->weight,
                 s->weight_in_file > 0 ? s->weight_in_file : s->weight);
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

static bool find_frontend(struct command_call *call, size_t *frontend)
{
    if (call->count == 0) {
        command_fail(call, "A frontend name is expected.");
        return false;
    }
    return command_frontend(call, call->words[0], frontend);
}

static void run_frontend(struct command_call *call, bool enabled, const char *already)
{
    size_t frontend;
    char who[COMMAND_WHO_MAX];
    if (!command_takes(call, 1) || !find_frontend(call, &frontend)) {
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

/* Caps -------------------------------------------------------------------------------------- */

static bool parse_cap(struct command_call *call, const char *text, unsigned *cap)
{
    const char *wrong = text == NULL ? "Integer value expected." : maxconn_parse(text, cap);
    if (wrong != NULL) {
        command_fail(call, "%s", wrong);
    }
    return wrong == NULL;
}

static void run_server_cap(struct command_call *call)
{
    struct backend_control *b;
    size_t server;
    unsigned cap;
    char who[COMMAND_WHO_MAX];
    char why[APPLY_WHY_MAX];
    if (command_takes(call, 2) && find_server(call, &b, &server) &&
        parse_cap(call, call->words[1], &cap) &&
        operate_server_cap(b, server, cap, command_who(call, who), why) != 0) {
        command_fail(call, "%s", why);
    }
}

static void run_frontend_cap(struct command_call *call)
{
    size_t frontend;
    unsigned cap;
    char who[COMMAND_WHO_MAX];
    char why[APPLY_WHY_MAX];
    if (command_takes(call, 2) && find_frontend(call, &frontend) &&
        parse_cap(call, call->words[1], &cap) &&
        operate_frontend_cap(call->control, frontend, cap, command_who(call, who), why) != 0) {
        command_fail(call, "%s", why);
    }
}

static void run_global_cap(struct command_call *call)
{
    unsigned cap;
    char who[COMMAND_WHO_MAX];
    char why[APPLY_WHY_MAX];
    if (command_takes(call, 1) && parse_cap(call, call->words[0], &cap) &&
        operate_global_cap(call->control, cap, command_who(call, who), why) != 0) {
        command_fail(call, "%s", why);
    }
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
    {"get weight", "<backend>/<server>", CONTROL_USER, false, "report a server's current weight",
     "And the one in the file.",
     run_get_weight},
    {"set maxconn frontend", "<frontend> <number>", CONTROL_ADMIN, true,
     "change a frontend's max_sessions", "With 0 there is none.", run_frontend_cap},
    {"set maxconn global", "<number>", CONTROL_ADMIN, true, "change the router's max_sessions",
     "With 0 it is what the machine allows (auto).", run_global_cap},
    {"set maxconn server", "<backend>/<server> <number>", CONTROL_ADMIN, true,
     "change a server's server_max_connections", "With 0 there is none.", run_server_cap},
    {"set weight", "<backend>/<server> <weight>[%]", CONTROL_ADMIN, true,
     "change a server's weight",
     "From 0 to 256, or a part of the one in the file. With 0 the server gets no new sessions. "
     "What is set so, and by the other forms of set, lasts until the configuration is read again.",
     run_set_weight},
    {"set server", "<backend>/<server> addr|state|weight ...", CONTROL_ADMIN, true,
     "change a server's state, weight or address",
     "\"addr IP [port N]\" is a new server at that address under the old name: it is down until it "
     "is proven, and the old one gets no new sessions. "
     "\"weight N\" is set weight. "
     "\"state S\": "
     "the states are ready, drain and maint. "
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
