/* Commands that do something now: to sessions, to a backend, to the router. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply.h"
#include "ctl/command.h"
#include "ctl/command_names.h"
#include "ctl/drill.h"
#include "ctl/operate.h"

static struct backend_control *find_backend(struct command_call *call)
{
    size_t backend;
    if (!command_backend(call, call->count > 0 ? call->words[0] : "", &backend)) {
        return NULL;
    }
    return call->control->backends[backend];
}

static bool find_server(struct command_call *call, struct backend_control **b, size_t *server)
{
    size_t backend;
    if (!command_server(call, call->count > 0 ? call->words[0] : "", &backend, server)) {
        return false;
    }
    *b = call->control->backends[backend];
    return true;
}

/* Sessions ---------------------------------------------------------------------------------- */

static void on_all_killed(void *context, unsigned killed)
{
    struct text nothing = {0};
    (void)killed;
    command_answer(context, &nothing);
}

static void on_one_killed(void *context, unsigned killed)
{
    struct text nothing = {0};
    if (killed == 0) {
        command_answer_fail(context, "No such session (use 'show sess').");
    } else {
        command_answer(context, &nothing);
    }
}

/* "0x100000001", as "show sess" prints it. */
static bool parse_id(const char *text, uint64_t *id)
{
    char *end;
    size_t len = strlen(text);
    *id = strtoull(text, &end, 16);
    return len > 0 && len <= 18 && strspn(text, "xX0123456789abcdefABCDEF") == len && *end == '\0';
}

/* A worker that is told to end hears nothing else. */
static bool may_ask_workers(struct command_call *call)
{
    if (call->control->stopping) {
        command_fail(call, "The router ends.");
    }
    return !call->control->stopping;
}

static void run_shutdown_session(struct command_call *call)
{
    uint64_t id;
    char who[COMMAND_WHO_MAX];
    if (call->count != 1 || !parse_id(call->words[0], &id)) {
        command_fail(call, "Session pointer expected (use 'show sess').");
    } else if (!operate_knows_session(call->control, id)) {
        command_fail(call, "No such session (use 'show sess').");
    } else if (may_ask_workers(call)) {
        operate_kill_session(call->control, id, command_who(call, who), on_one_killed,
                             command_later(call));
    }
}

static void run_shutdown_sessions(struct command_call *call)
{
    struct backend_control *b;
    size_t server;
    char who[COMMAND_WHO_MAX];
    if (command_takes(call, 1) && find_server(call, &b, &server) && may_ask_workers(call)) {
        operate_kill_on(b, server, command_who(call, who), on_all_killed, command_later(call));
    }
}

/* Backends ---------------------------------------------------------------------------------- */

static void run_pause(struct command_call *call)
{
    char who[COMMAND_WHO_MAX];
    struct backend_control *b = command_takes(call, 1) ? find_backend(call) : NULL;
    if (b != NULL && !operate_pause(b, true, command_who(call, who))) {
        command_fail(call, "It is paused already.");
    }
}

static void run_resume(struct command_call *call)
{
    char who[COMMAND_WHO_MAX];
    struct backend_control *b = command_takes(call, 1) ? find_backend(call) : NULL;
    if (b != NULL && !operate_pause(b, false, command_who(call, who))) {
        command_fail(call, "It is not paused.");
    }
}

static void run_elect(struct command_call *call)
{
    struct backend_control *b;
    size_t server;
    char who[COMMAND_WHO_MAX];
    const char *why;
    if (command_takes(call, 1) && find_server(call, &b, &server) &&
        !operate_elect(b, server, command_who(call, who), &why)) {
        command_fail(call, "Not elected: %s.", why);
    }
}

static void on_drilled(void *context, struct text *report)
{
    command_answer(context, report);
}

/* "5", "60"; 0 if it is nothing like that. */
static unsigned parse_seconds(const char *text)
{
    size_t len = strlen(text);
    bool number = len > 0 && len <= 2 && strspn(text, "0123456789") == len;
    unsigned long seconds = number ? strtoul(text, NULL, 10) : 0;
    return seconds <= DRILL_SECONDS_MAX ? (unsigned)seconds : 0;
}

static void run_drill(struct command_call *call)
{
    char who[COMMAND_WHO_MAX];
    struct backend_control *b = find_backend(call);
    if (b == NULL) {
        return;
    }
    unsigned seconds = call->count > 1 ? parse_seconds(call->words[1]) : 0;
    bool force = call->count == 3 && strcmp(call->words[2], "force") == 0;
    if (seconds == 0 || call->count > (force ? 3 : 2)) {
        command_fail(call, "Expected a number of seconds from 1 to %d, and perhaps \"force\".",
                     DRILL_SECONDS_MAX);
        return;
    }
    const char *why = drill_why_not(b, seconds, force);
    if (why != NULL) {
        command_fail(call, "No drill: %s.", why);
        return;
    }
    drill_begin(b, seconds, command_who(call, who), on_drilled, command_later(call));
}

/* The router -------------------------------------------------------------------------------- */

static void run_reload(struct command_call *call)
{
    struct text errors = {0};
    if (control_reload(call->control, &errors) != 0) {
        command_fail(call, "Not taken, all stays as it was:");
        text_add_bytes(call->out, errors.data != NULL ? errors.data : "", errors.len);
    }
    text_free(&errors);
}

static void run_drain(struct command_call *call)
{
    if (call->control->draining) {
        command_fail(call, "It is draining already.");
    } else {
        control_drain(call->control);
    }
}

static void run_clear(struct command_call *call)
{
    bool all = call->count == 1 && strcmp(call->words[0], "all") == 0;
    if (call->count > (all ? 1 : 0)) {
        command_fail(call, "Expected nothing or \"all\".");
    } else if (all && call->asker->level < CONTROL_ADMIN) {
        command_fail(call, "Permission denied");
    } else {
        tally_clear(call->control, all);
    }
}

/* clang-format off */
const struct command command_act[] = {
    {"clear counters", "[all]", CONTROL_OPERATOR, true, "clear max statistics counters",
     "With all, for which the level must be admin, what was counted is 0 again too.",
     run_clear},
    {"shutdown session", "<id>", CONTROL_ADMIN, true, "end a session, by its id in show sess",
     "Both its connections are reset.",
     run_shutdown_session},
    {"shutdown sessions server", "<backend>/<server>", CONTROL_ADMIN, true,
     "end all sessions on a server",
     "Those that come later are not meant. Of pooled clients those that have a connection of their "
     "own there; the ones that they share are closed when what is in flight on them is answered.",
     run_shutdown_sessions},
    {"pause backend", "<backend>", CONTROL_ADMIN, true,
     "let all sessions of a backend stand still",
     "New ones wait, for at most queue_timeout; of living ones nothing is read. Nothing is closed.",
     run_pause},
    {"resume backend", "<backend>", CONTROL_ADMIN, true,
     "end what pause backend, or drill, began", "",
     run_resume},
    {"elect", "<backend>/<server>", CONTROL_ADMIN, true,
     "make a server that claims to be the primary the elected one",
     "Whoever else claims has lost, until claims change again. A server that does not claim is not "
     "elected: promote it first.",
     run_elect},
    {"drill", "<backend> <seconds> [force]", CONTROL_ADMIN, true,
     "rehearse the loss of a primary, and report what clients felt",
     "For so many seconds (1 to 60) this router treats the primary as lost, and does nothing to "
     "any server: living sessions stand still, new ones wait. Then all goes on. "
     "The answer comes afterwards, and says also what a real loss would have done. "
     "A drill that would take longer than clients may wait (queue_timeout) needs force. It ends at "
     "once when the election changes, and with resume backend.",
     run_drill},
    {"reload", "", CONTROL_ADMIN, true, "read the configuration again, as SIGHUP does",
     "The answer is empty, or says what is wrong: then all stays as it was.", run_reload},
    {"drain", "", CONTROL_ADMIN, true, "end the router as SIGTERM does",
     "It stops accepting after shutdown_delay, sessions may finish within drain_timeout.",
     run_drain},
    {0},
};
/* clang-format on */
