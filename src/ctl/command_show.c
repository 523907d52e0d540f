/* Commands that look at the router as a whole. */
#include <string.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "ctl/names.h"
#include "ctl/show_info.h"
#include "ctl/stats.h"
#include "router.h"

static void run_version(struct command_call *call)
{
    text_add(call->out, "%s\n", ROUTER_VERSION);
}

static void run_info(struct command_call *call)
{
    static const char *const words[] = {
        [INFO_PLAIN] = "",
        [INFO_DESC] = "desc",
        [INFO_TYPED] = "typed",
        [INFO_JSON] = "json",
    };
    enum info_form form = INFO_PLAIN;
    for (size_t i = 0; i < ARRAY_LEN(words) && call->count > 0; i++) {
        form = strcmp(call->words[0], words[i]) == 0 ? (enum info_form)i : form;
    }
    if (call->count > 0 && form == INFO_PLAIN) {
        command_fail(call, "Expected desc, typed or json");
    } else if (command_takes(call, 1)) {
        show_info(call->control, form, call->out);
    }
}

/* Events ------------------------------------------------------------------------------------ */

static void add_event(const struct event *e, struct text *out)
{
    time_t at = (time_t)(e->at_unix_ms / 1000);
    struct tm utc;
    char stamp[32];
    gmtime_r(&at, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    text_add(out, "%s.%03uZ %-9s %s%s%s\n", stamp, (unsigned)(e->at_unix_ms % 1000), e->kind,
             e->backend, e->backend[0] != '\0' ? ": " : "", e->text);
}

/* The oldest first, as a log is read. */
static void run_events(struct command_call *call)
{
    const struct events *events = &call->control->events;
    size_t count = 0;
    while (events_newest(events, count) != NULL) {
        count++;
    }
    while (count > 0) {
        add_event(events_newest(events, --count), call->out);
    }
}

static void run_json(struct command_call *call)
{
    stats_json(call->control, call->out);
}

static void run_resolvers(struct command_call *call)
{
    if (command_takes(call, 0)) {
        names_tell(call->control->names, call->out);
    }
}

/* clang-format off */
const struct command command_show[] = {
    {"show events", "", CONTROL_USER, false, "report the newest events, the last one last",
     "They are those of the stats page: changes of roles, fences, servers that come and go, and "
     "what operators do.",
     run_events},
    {"show info", "[desc|json|typed]", CONTROL_USER, false,
     "report information about the running process",
     "Names and order are those of HAProxy 2.6; what the router does not have is 0. With desc a "
     "description stands behind each; json and typed are HAProxy's forms for programs.",
     run_info},
    {"show json", "", CONTROL_USER, false, "report all of /stats.json", "", run_json},
    {"show resolvers", "", CONTROL_USER, false, "report what names of servers lead to",
     "Each name of the configuration with its addresses, what these are called where that was "
     "asked, and how the last look-up went.",
     run_resolvers},
    {"show version", "", CONTROL_USER, false, "show version of the current process", "",
     run_version},
    {0},
};
/* clang-format on */
