/* Commands that look at pools. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/command_names.h"
#include "ctl/control.h"
#include "ctl/list_pool.h"
#include "ctl/list_slow.h"

#define SLOW_SHOWN 20

/* Whether the first word is it; then it is taken. */
static bool take_json(struct command_call *call)
{
    bool json = call->count > 0 && strcmp(call->words[0], "json") == 0;
    call->words += json;
    call->count -= json;
    return json;
}

static void run_pool(struct command_call *call)
{
    size_t only;
    bool json = take_json(call);
    if (command_only_backend(call, &only)) {
        list_pool(call, only, json);
    }
}

static void run_slow(struct command_call *call)
{
    bool json = take_json(call);
    unsigned long most = SLOW_SHOWN;
    if (!command_takes(call, 1)) {
        return;
    }
    if (call->count > 0) {
        const char *word = call->words[0];
        char *end;
        errno = 0;
        most = strtoul(word, &end, 10);
        if (word[0] < '0' || word[0] > '9' || *end != '\0' || errno != 0 || most == 0) {
            command_fail(call, "Expected json, or how many are to be shown");
            return;
        }
    }
    list_slow(call, most, json, false);
}

static void run_clear_slow(struct command_call *call)
{
    list_slow(call, 0, false, true);
}

/* clang-format off */
const struct command command_pool[] = {
    {"show pool", "[json] [<backend>]", CONTROL_USER, false,
     "show the connections to servers, and which of them clients share",
     "Where there is a pool_mode: how many clients and connections the backend has, and what was "
     "counted of its commands; for each reason to have a connection of one's own how many clients "
     "have it now, and since when the one that has it longest. Of each server the connections in "
     "use against its cap. Then each pooled connection, up to 4096 of them: its address, as the "
     "server knows it (CLIENT LIST), who is logged in there, the database, the version of the "
     "protocol; whether it is shared, lent to a client, idle or opening; why that client has it, "
     "how many commands it was sent, how many of them it has not answered, and the session. "
     "Of MySQL: logins on connections opened for them (fresh), on those that were there (changed), "
     "and sessions that went on elsewhere (resumed); connections that changed workers (moved); "
     "logins denied and slowed; clients that had to wait for a connection (queued); connections "
     "that were kept when their client left (returned) or closed (ended), and cleaned; how long "
     "logins take; of each connection the server's number of it, which SHOW PROCESSLIST has, and "
     "how many clients it was lent to; of each account how many connections are logged in as it; "
     "and the ten addresses from which most logins fail, by why: the client left in its midst, was "
     "late, was denied, or broke the "
     "protocol. Connections, accounts and addresses are listed to operators only.",
     run_pool},
    {"show slow", "[json] [<count>]", CONTROL_OPERATOR, false,
     "show the slowest commands of pooled clients",
     "The slowest first, 20 of them or as many as are asked for: when it was answered, how many "
     "microseconds after it was sent to the server; its name, and of it and its reply how many "
     "bytes they had, but nothing of what they said; the server and the session. Each worker keeps "
     "64; those that are older than an hour give way to any other. Commands that wait by their "
     "nature (BLPOP, WAIT, SUBSCRIBE) are not among them.",
     run_slow},
    {"clear slow", "", CONTROL_OPERATOR, true, "forget the slowest commands", "", run_clear_slow},
    {0},
};
/* clang-format on */
