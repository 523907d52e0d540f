/* Commands about the conversation itself. */
#include <string.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"

static void run_help(struct command_call *call)
{
    text_add(call->out, "The following commands are valid at this level:\n");
    if (command_list(call->asker, call->words, call->count, call->out) == 0) {
        command_fail(call, "There is no such command at this level");
    }
}

static void run_prompt(struct command_call *call)
{
    call->asker->prompt = !call->asker->prompt;
}

static void run_quit(struct command_call *call)
{
    call->asker->quit = true;
}

static void run_severity(struct command_call *call)
{
    static const char *const words[] = {
        [COMMAND_MARKS_NONE] = "none",
        [COMMAND_MARKS_NUMBER] = "number",
        [COMMAND_MARKS_STRING] = "string",
    };
    for (size_t i = 0; i < ARRAY_LEN(words) && call->count == 1; i++) {
        if (strcmp(call->words[0], words[i]) == 0) {
            call->asker->marks = (enum command_marks)i;
            return;
        }
    }
    command_fail(call, "Expected none, number or string");
}

static void run_level(struct command_call *call)
{
    command_say(call, "%s", command_level_names[call->asker->level]);
}

static void run_sockets(struct command_call *call)
{
    control_sockets_list(call->control->sockets, call->out);
}

static void lower(struct command_call *call, enum control_level level)
{
    if (call->asker->level > level) {
        call->asker->level = level;
    }
}

static void run_operator(struct command_call *call)
{
    lower(call, CONTROL_OPERATOR);
}

static void run_user(struct command_call *call)
{
    lower(call, CONTROL_USER);
}

/* clang-format off */
const struct command command_basic[] = {
    {"show cli level", "", CONTROL_USER, false, "display the level of the current CLI session", "",
     run_level},
    {"show cli sockets", "", CONTROL_OPERATOR, false, "dump list of cli sockets", "",
     run_sockets},
    {"set severity-output", "[none|number|string]", CONTROL_USER, false,
     "set presence of severity level in feedback information",
     "Messages then begin with [3]: or [err]: where something could not be done, and with [6]: or "
     "[info]: where it could.",
     run_severity},
    {"operator", "", CONTROL_OPERATOR, false,
     "lower the level of the current CLI session to operator", "", run_operator},
    {"user", "", CONTROL_USER, false, "lower the level of the current CLI session to user", "",
     run_user},
    {"help", "[<command>]", CONTROL_USER, false, "list matching or all commands", "", run_help},
    {"prompt", "", CONTROL_USER, false, "toggle interactive mode with prompt",
     "The connection stays open for further lines, until quit or ten minutes without one.",
     run_prompt},
    {"quit", "", CONTROL_USER, false, "disconnect", "", run_quit},
    {0},
};
/* clang-format on */
