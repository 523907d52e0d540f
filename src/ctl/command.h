/* The runtime commands: what HAProxy's users type at its stats socket, and our own. A command is
 * one row of a table, and each file of commands (ctl/command_*.c) has a table of its own; the help
 * and the manual come from the rows. Nothing here knows about sockets: whoever has a line of text
 * and somebody who asks may run it. Control thread only.
 *
 * A command writes its answer into a text. One that has to wait for others first takes a ticket and
 * gives the answer later; who asked may be gone by then. */
#ifndef ROUTER_CTL_COMMAND_H
#define ROUTER_CTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/macros.h"
#include "base/text.h"
#include "model/config.h"

#define COMMAND_WORDS_MAX 64

struct command;
struct command_ticket;
struct control;

/* How messages are marked ("set severity-output"), so that programs can tell them from what was
 * asked for: not at all, as "[3]: ", or as "[err]: ". */
enum command_marks { COMMAND_MARKS_NONE, COMMAND_MARKS_NUMBER, COMMAND_MARKS_STRING };

/* Somebody who asks, one thing at a time; embedded in the connection. */
struct command_asker {
    struct control *control; /* borrowed */
    enum control_level level;
    uid_t uid; /* of the peer, as the kernel knows it (SO_PEERCRED) */
    pid_t pid;
    enum command_marks marks;
    bool prompt;                   /* stays for further lines and is prompted for them */
    bool quit;                     /* has said that this is all */
    struct command_ticket *ticket; /* borrowed: an answer is awaited; NULL = none is */
    /* The answer to the ticket, which the callee takes over. */
    void (*on_answer)(struct command_asker *asker, struct text *answer);
};

/* One command on its way to its answer. */
struct command_call {
    struct control *control; /* borrowed */
    struct command_asker *asker;
    const struct command *command;
    char **words; /* those behind the command's own; words[count] is NULL */
    size_t count;
    struct text *out; /* the answer; may stay empty, which says that all went well */
};

struct command {
    const char *words;     /* "show servers state"; NULL ends a table */
    const char *arguments; /* what may follow, for people; "" = nothing, and then nothing may */
    enum control_level level;
    bool changes;     /* something: who asked for it is logged */
    const char *help; /* a few words for the list, in lower case */
    const char *more; /* sentences for the manual; "" = the few words say it all */
    void (*run)(struct command_call *call);
};

/* The tables, each ended by a row of zeros. A new one is listed in command.c too. */
extern const struct command command_basic[];
extern const struct command command_sessions[];
extern const struct command command_show[];
extern const struct command command_stat[];
extern const struct command command_topology[];
extern const struct command command_pool[];
extern const struct command command_set[];
extern const struct command command_act[];

/* Runs one command (without its delimiter), which is cut up on the way. The answer is in *out, or
 * asker->ticket is set and on_answer() will bring it. */
void command_run(struct command_asker *asker, char *text, size_t len, struct text *out);
/* Who asked is gone: an answer that is still under way has nobody to go to. */
void command_forget(struct command_asker *asker);

/* Words that say why something was not done, with a line end. */
void command_error(const struct command_asker *asker, struct text *out, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* For commands -------------------------------------------------------------------------------- */

/* The answer is that it cannot be done and why; ends in a line end. What was written before goes.
 */
void command_fail(struct command_call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What was done, where the answer of HAProxy is not empty; one line. */
void command_say(struct command_call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* True if there are at most `max` words; else that is the answer. */
bool command_takes(struct command_call *call, size_t max);

/* The answer comes later, exactly once, by command_answer(). The ticket is the command's until
 * then; the call is over when the command returns. */
struct command_ticket *command_later(struct command_call *call);
/* Whether anybody still waits for it; if not, only command_answer() is left to do. */
bool command_wanted(const struct command_ticket *t);
/* Gives the answer and takes over its text, and the ticket. Not from inside the command. */
void command_answer(struct command_ticket *t, struct text *answer);
/* The same with words that say why it could not be done, as command_fail(). */
void command_answer_fail(struct command_ticket *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* For help and the manual --------------------------------------------------------------------- */

extern const char *const command_level_names[];
/* The rows that `asker` may use and that begin with these words (none: all), as "help" lists them.
 * Returns how many there are. */
size_t command_list(const struct command_asker *asker, char *const *words, size_t count,
                    struct text *out);
/* Prints the commands in mdoc(7), for router(8); used by the build only. */
void command_manual(FILE *out);

#endif
