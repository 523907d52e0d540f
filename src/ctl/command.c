#include "ctl/command.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/manual.h"
#include "base/mem.h"
#include "ctl/command_line.h"

#define LOGGED_PER_SECOND 100

/* Lent to a command that answers later. */
struct command_ticket {
    struct command_asker *asker; /* NULL once it is gone */
};

/* In the order of "help"; those that every session needs come last, as HAProxy lists them. */
static const struct command *const tables[] = {
    command_show,     command_stat, command_topology, command_pool,
    command_sessions, command_set,  command_act,      command_basic,
};

const char *const command_level_names[] = {
    [CONTROL_USER] = "user",
    [CONTROL_OPERATOR] = "operator",
    [CONTROL_ADMIN] = "admin",
};

/* Messages ---------------------------------------------------------------------------------- */

enum severity { SEVERITY_ERROR = 3, SEVERITY_INFO = 6 }; /* syslog's */

static void add_mark(struct text *out, enum command_marks marks, enum severity severity)
{
    if (marks == COMMAND_MARKS_NUMBER) {
        text_add(out, "[%d]: ", (int)severity);
    } else if (marks == COMMAND_MARKS_STRING) {
        text_add(out, "[%s]: ", severity == SEVERITY_ERROR ? "err" : "info");
    }
}

static void add_message(struct text *out, const char *fmt, va_list args)
{
    char words[1024];
    vsnprintf(words, sizeof(words), fmt, args);
    text_add(out, "%s\n", words);
}

void command_error(const struct command_asker *asker, struct text *out, const char *fmt, ...)
{
    va_list args;
    add_mark(out, asker->marks, SEVERITY_ERROR);
    va_start(args, fmt);
    add_message(out, fmt, args);
    va_end(args);
}

void command_fail(struct command_call *call, const char *fmt, ...)
{
    va_list args;
    text_free(call->out);
    add_mark(call->out, call->asker->marks, SEVERITY_ERROR);
    va_start(args, fmt);
    add_message(call->out, fmt, args);
    va_end(args);
}

void command_say(struct command_call *call, const char *fmt, ...)
{
    va_list args;
    add_mark(call->out, call->asker->marks, SEVERITY_INFO);
    va_start(args, fmt);
    add_message(call->out, fmt, args);
    va_end(args);
}

bool command_takes(struct command_call *call, size_t max)
{
    if (call->count <= max) {
        return true;
    }
    const struct command *c = call->command;
    command_fail(call, "'%.64s' is one word too many: %s%s%s", call->words[max], c->words,
                 c->arguments[0] != '\0' ? " " : "", c->arguments);
    return false;
}

/* Answers that come later ------------------------------------------------------------------- */

struct command_ticket *command_later(struct command_call *call)
{
    assert(call->asker->ticket == NULL);
    struct command_ticket *t = xcalloc(1, sizeof(*t));
    t->asker = call->asker;
    call->asker->ticket = t;
    return t;
}

bool command_wanted(const struct command_ticket *t)
{
    return t->asker != NULL;
}

void command_answer(struct command_ticket *t, struct text *answer)
{
    struct command_asker *asker = t->asker;
    free(t);
    if (asker == NULL) {
        text_free(answer);
        return;
    }
    asker->ticket = NULL;
    asker->on_answer(asker, answer);
}

void command_answer_fail(struct command_ticket *t, const char *fmt, ...)
{
    struct text answer = {0};
    va_list args;
    add_mark(&answer, t->asker != NULL ? t->asker->marks : COMMAND_MARKS_NONE, SEVERITY_ERROR);
    va_start(args, fmt);
    add_message(&answer, fmt, args);
    va_end(args);
    command_answer(t, &answer);
}

void command_forget(struct command_asker *asker)
{
    if (asker->ticket != NULL) {
        asker->ticket->asker = NULL;
        asker->ticket = NULL;
    }
}

/* The tables -------------------------------------------------------------------------------- */

/* How many words of the row's are the first ones of these: all of them if the return is *row. */
static size_t common_words(const struct command *command, char *const *words, size_t count,
                           size_t *row)
{
    size_t common = 0;
    bool equal = true;
    *row = 0;
    for (const char *at = command->words; *at != '\0'; (*row)++) {
        size_t len = strcspn(at, " ");
        equal = equal && *row < count && strlen(words[*row]) == len &&
                memcmp(words[*row], at, len) == 0;
        common += equal;
        at += len + (at[len] == ' ');
    }
    return common;
}

/* The command with the most words of those that these begin with; NULL if there is none. */
static const struct command *find(char *const *words, size_t count, size_t *used)
{
    const struct command *found = NULL;
    *used = 0;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (const struct command *c = tables[i]; c->words != NULL; c++) {
            size_t row;
            size_t common = common_words(c, words, count, &row);
            if (common == row && row > *used) {
                found = c;
                *used = row;
            }
        }
    }
    return found;
}

static void add_row(const struct command *c, struct text *out)
{
    struct text usage = {0};
    text_add(&usage, "%s%s%s", c->words, c->arguments[0] != '\0' ? " " : "", c->arguments);
    text_add(out, "  %-40s: %s\n", usage.data, c->help);
    text_free(&usage);
}

size_t command_list(const struct command_asker *asker, char *const *words, size_t count,
                    struct text *out)
{
    size_t found = 0;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (const struct command *c = tables[i]; c->words != NULL; c++) {
            size_t row;
            bool fits = common_words(c, words, count, &row) == (row < count ? row : count);
            if (fits && c->level <= asker->level) {
                add_row(c, out);
                found++;
            }
        }
    }
    return found;
}

static void tell_unknown(struct command_call *call)
{
    struct text near = {0};
    bool any = call->count > 0 && command_list(call->asker, call->words, 1, &near) > 0;
    add_mark(call->out, call->asker->marks, SEVERITY_ERROR);
    if (any) {
        text_add(call->out, "Unknown command, but maybe one of the following ones is a better "
                            "match:\n");
    } else {
        text_add(call->out, "Unknown command. Please enter one of the following commands only:\n");
        command_list(call->asker, NULL, 0, &near);
    }
    text_add_bytes(call->out, near.data, near.len);
    text_free(&near);
}

/* Running ----------------------------------------------------------------------------------- */

static void log_change(const struct command_call *call)
{
    static struct log_gate gate;
    struct text arguments = {0};
    for (size_t i = 0; i < call->count; i++) {
        text_add(&arguments, " %s", call->words[i]);
    }
    log_limited(&gate, LOGGED_PER_SECOND, LOG_LEVEL_INFO,
                "control socket: uid %ld, pid %ld: %s%.*s", (long)call->asker->uid,
                (long)call->asker->pid, call->command->words,
                (int)(arguments.len < 512 ? arguments.len : 512),
                arguments.data != NULL ? arguments.data : "");
    text_free(&arguments);
}

static void run_words(struct command_call *call)
{
    size_t used;
    const struct command *c = find(call->words, call->count, &used);
    call->command = c;
    if (c == NULL) {
        tell_unknown(call);
        return;
    }
    call->words += used;
    call->count -= used;
    if (c->level > call->asker->level) {
        command_fail(call, "Permission denied");
    } else if (c->arguments[0] != '\0' || command_takes(call, 0)) {
        if (c->changes) {
            log_change(call);
        }
        c->run(call);
    }
}

void command_run(struct command_asker *asker, char *text, size_t len, struct text *out)
{
    assert(asker->ticket == NULL);
    char *words[COMMAND_WORDS_MAX + 1];
    struct command_call call = {
        .control = asker->control,
        .asker = asker,
        .words = words,
        .out = out,
    };
    int count = command_line_words(text, len, words, COMMAND_WORDS_MAX);
    if (count == -E2BIG) {
        command_fail(&call, "Too many words in a command, at most %d may be", COMMAND_WORDS_MAX);
    } else if (count < 0) {
        command_fail(&call, "A command may not contain control characters");
    } else {
        call.count = (size_t)count;
        run_words(&call);
    }
}

/* The manual -------------------------------------------------------------------------------- */

static void put_command(const struct command *c, FILE *out)
{
    fprintf(out, ".It Ic \"%s\"", c->words);
    if (c->arguments[0] != '\0') {
        fprintf(out, " Ar \"%s\"", c->arguments);
    }
    fputc('\n', out);
    char first = c->help[0];
    fputc(first >= 'a' && first <= 'z' ? first - 'a' + 'A' : first, out);
    manual_text(c->help + 1, strlen(c->help + 1), out);
    fputs(".\n", out);
    manual_sentences(c->more, out);
    if (c->level != CONTROL_USER) {
        fprintf(out, "Level %s.\n", command_level_names[c->level]);
    }
}

void command_manual(FILE *out)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (const struct command *c = tables[i]; c->words != NULL; c++) {
            put_command(c, out);
        }
    }
    fputs(".El\n", out);
}
