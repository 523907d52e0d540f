/* Commands that look at sessions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/command_names.h"
#include "ctl/control.h"
#include "ctl/list_sessions.h"

static bool parse_id(const char *text, uint64_t *id)
{
    char *end;
    errno = 0;
    *id = strtoull(text, &end, 0);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *id != 0;
}

/* "show sess server b/s". */
static void list_on_server(struct command_call *call, struct sessions_wanted *wanted)
{
    const char *name = call->count > 1 ? call->words[1] : "";
    if (command_takes(call, 2) && command_server(call, name, &wanted->backend, &wanted->server)) {
        list_sessions(call, wanted);
    }
}

static void run_sess(struct command_call *call)
{
    struct sessions_wanted wanted = {.backend = MESSAGE_ANY, .server = MESSAGE_ANY};
    const char *word = call->count > 0 ? call->words[0] : "";
    if (strcmp(word, "server") == 0) {
        list_on_server(call, &wanted);
        return;
    }
    wanted.whole = call->count > 0;
    if (call->count > 0 && strcmp(word, "all") != 0 && !parse_id(word, &wanted.id)) {
        command_fail(call, "Expected the number of a session, all, or server and its name");
    } else if (command_takes(call, 1)) {
        list_sessions(call, &wanted);
    }
}

/* clang-format off */
const struct command command_sessions[] = {
    {"show sess", "[<id>|all|server <b>/<s>]", CONTROL_OPERATOR, false,
     "report the list of current sessions or dump this exact session",
     "A line for each, up to 4096 of them, and how many more there are; with all or the number of "
     "a session all that is known, with server only those on it. A pooled one is on a server while "
     "it has something in flight there, or a connection of its own for the reasons in pins; held "
     "says that it waits for a server that can take its commands.",
     run_sess},
    {0},
};
/* clang-format on */
