#include "routerctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "routerctl/rows.h"
#include "routerctl/top.h"
#include "routerctl/views.h"

static enum ctl_exit usage_error(const struct verb *verb)
{
    fprintf(stderr, "usage: routerctl %s\n", verb->usage);
    return EXIT_USAGE;
}

/* Words of the runtime language in one line. A newline would be a second question. */
static bool one_line(const char *words)
{
    if (words != NULL && strpbrk(words, "\r\n") == NULL) {
        return true;
    }
    fputs("routerctl: a command is one line\n", stderr);
    return false;
}

/* The answer as JSON, whatever its form. */
static enum ctl_exit pass_json(const struct ctl *ctl, const char *command, int timeout_ms)
{
    struct text answer = {0};
    enum ctl_exit result = ctl_ask(ctl, command, timeout_ms, &answer);
    if (result == EXIT_DONE) {
        struct json j;
        struct rows r;
        struct text out = {0};
        char *copy = xstrndup(answer.data, answer.len);
        if (json_parse(&j, copy, answer.len) == 0) {
            json_write(&j, json_root(&j), &out); /* `show json`, for one */
        } else {
            rows_parse(&r, answer.data);
            rows_write_json(&r, &out);
            rows_free(&r);
        }
        text_add(&out, "\n");
        result = ctl_print_words(ctl, &out);
        json_free(&j);
        free(copy);
        text_free(&out);
    }
    text_free(&answer);
    return result;
}

static enum ctl_exit pass(const struct ctl *ctl, const char *command, int timeout_ms)
{
    if (!one_line(command)) {
        return EXIT_USAGE;
    }
    return ctl->json ? pass_json(ctl, command, timeout_ms) : ctl_pass(ctl, command, timeout_ms);
}

/* Views ------------------------------------------------------------------------------------- */

enum view_kind { VIEW_STATUS, VIEW_SERVERS, VIEW_FRONTENDS, VIEW_CHANGES };

static bool fill(enum view_kind kind, const struct ctl *ctl, const struct view *v, struct text *out)
{
    static const struct {
        const char *part; /* of the document */
        bool (*print)(const struct view *v, struct text *out);
    } kinds[] = {
        [VIEW_STATUS] = {"backends", view_status},
        [VIEW_SERVERS] = {"servers", view_servers},
        [VIEW_FRONTENDS] = {"frontends", view_frontends},
        [VIEW_CHANGES] = {"changes", view_changes},
    };
    if (!ctl->json) {
        return kinds[kind].print(v, out);
    } else if (kind == VIEW_STATUS && v->only == NULL) {
        json_write(v->j, json_root(v->j), out);
        text_add(out, "\n");
        return true;
    }
    return view_json(v, kinds[kind].part, out);
}

static enum ctl_exit show(enum view_kind kind, const struct ctl *ctl, const char *only)
{
    struct json j;
    struct text text = {0};
    struct text out = {0};
    enum ctl_exit result = ctl_ask_json(ctl, "show json", JSON_OBJECT, &j, &text);
    if (result == EXIT_DONE) {
        struct view v = {.j = &j, .only = only, .colours = ctl->colours};
        if (fill(kind, ctl, &v, &out)) {
            result = ctl->json ? ctl_print_words(ctl, &out) : ctl_print(&out);
        } else {
            fprintf(stderr, "routerctl: there is no %s\n", only);
            result = EXIT_REFUSED;
        }
    }
    json_free(&j);
    text_free(&text);
    text_free(&out);
    return result;
}

static enum ctl_exit run_view(const struct ctl *ctl, const struct verb *verb, int argc, char **argv)
{
    static const char *const words[] = {
        [VIEW_STATUS] = "status",
        [VIEW_SERVERS] = "servers",
        [VIEW_FRONTENDS] = "frontends",
        [VIEW_CHANGES] = "changes",
    };
    if (argc > 1) {
        return usage_error(verb);
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i], argv[0]) == 0) {
            return show((enum view_kind)i, ctl, argc == 1 ? argv[1] : NULL);
        }
    }
    return EXIT_USAGE;
}

/* The newest events; *newest is the number of the last one that was shown. */
static enum ctl_exit show_events(const struct ctl *ctl, const char *only, double *newest)
{
    struct json j;
    struct text text = {0};
    struct text out = {0};
    enum ctl_exit result = ctl_ask_json(ctl, "show json", JSON_OBJECT, &j, &text);
    if (result == EXIT_DONE) {
        struct view v = {
            .j = &j,
            .only = only,
            .colours = ctl->colours,
            .lines = ctl->lines,
            .after = *newest,
            .as_json = ctl->json,
        };
        double known = view_events(&v, &out);
        if (ctl->json && !ctl->follow) {
            out.len = 0;
            view_json(&v, "events", &out);
        }
        *newest = known;
        result = ctl->json ? ctl_print_words(ctl, &out) : ctl_print(&out);
    }
    json_free(&j);
    text_free(&text);
    text_free(&out);
    return result;
}

static enum ctl_exit run_events(const struct ctl *ctl, const struct verb *verb, int argc,
                                char **argv)
{
    double newest = 0;
    struct ctl then = *ctl;
    if (argc > 1) {
        return usage_error(verb);
    }
    const char *only = argc == 1 ? argv[1] : NULL;
    enum ctl_exit result = show_events(ctl, only, &newest);
    then.lines = 0;
    while (ctl->follow && result == EXIT_DONE) {
        sleep(1);
        result = show_events(&then, only, &newest);
    }
    return result;
}

static enum ctl_exit run_top(const struct ctl *ctl, const struct verb *verb, int argc, char **argv)
{
    if (argc > 1) {
        return usage_error(verb);
    }
    return top(ctl, argc == 1 ? argv[1] : NULL);
}

/* Short words for commands ------------------------------------------------------------------ */

/* An argument of ours is one word of a command, whatever stands in it. */
static void add_word(struct text *out, const char *word)
{
    for (; *word != '\0'; word++) {
        text_add(out, strchr(";\\ \t", *word) != NULL ? "\\%c" : "%c", *word);
    }
}

/* The verb's command with the arguments in the places of its '*'; one that is left over follows. */
static void expand(const char *command, int argc, char **argv, struct text *out)
{
    int next = 1;
    for (const char *c = command; *c != '\0'; c++) {
        if (*c == '*' && next <= argc) {
            add_word(out, argv[next++]);
        } else if (*c != '*') {
            text_add(out, "%c", *c);
        }
    }
    while (next <= argc) {
        text_add(out, " ");
        add_word(out, argv[next++]);
    }
}

/* How many arguments the usage wants: "weight BACKEND/SERVER WEIGHT" two. */
static int wanted(const struct verb *verb)
{
    int count = 0;
    for (const char *c = verb->usage; *c != '\0'; c++) {
        count += *c == ' ' && c[1] != '[';
    }
    return count;
}

static enum ctl_exit run_command(const struct ctl *ctl, const struct verb *verb, int argc,
                                 char **argv)
{
    struct text command = {0};
    if (argc != wanted(verb)) {
        return usage_error(verb);
    }
    expand(verb->command, argc, argv, &command);
    enum ctl_exit result = pass(ctl, command.data, verb->seconds * 1000);
    text_free(&command);
    return result;
}

/* Like it, with a table of what comes. */
static enum ctl_exit run_table(const struct ctl *ctl, const struct verb *verb, int argc,
                               char **argv)
{
    struct text command = {0};
    struct text answer = {0};
    struct text out = {0};
    struct rows r;
    if (argc > 1) {
        return usage_error(verb);
    }
    expand(verb->command, argc, argv, &command);
    enum ctl_exit result = ctl->json                ? pass(ctl, command.data, 0)
                           : one_line(command.data) ? ctl_ask(ctl, command.data, 0, &answer)
                                                    : EXIT_USAGE;
    if (result == EXIT_DONE && !ctl->json) {
        rows_parse(&r, answer.data);
        rows_print(&r, ctl->colours, &out);
        rows_free(&r);
        result = ctl_print(&out);
    }
    text_free(&command);
    text_free(&answer);
    text_free(&out);
    return result;
}

/* Four tables, which the answer has as JSON. */
static enum ctl_exit run_pool(const struct ctl *ctl, const struct verb *verb, int argc, char **argv)
{
    struct text command = {0};
    struct text bytes = {0};
    struct text out = {0};
    struct json j = {0};
    if (argc > 1) {
        return usage_error(verb);
    }
    expand(verb->command, argc, argv, &command);
    enum ctl_exit result = ctl->json ? pass(ctl, command.data, 0)
                           : one_line(command.data)
                               ? ctl_ask_json(ctl, command.data, JSON_LIST, &j, &bytes)
                               : EXIT_USAGE;
    if (result == EXIT_DONE && !ctl->json) {
        view_pools(&(struct view){.j = &j, .colours = ctl->colours}, &out);
        result = ctl_print(&out);
    }
    json_free(&j);
    text_free(&command);
    text_free(&bytes);
    text_free(&out);
    return result;
}

static enum ctl_exit verbatim(const struct ctl *ctl, int count, char **words, int seconds)
{
    struct text command = {0};
    for (int i = 0; i < count; i++) {
        text_add(&command, "%s%s", i > 0 ? " " : "", words[i]);
    }
    enum ctl_exit result = pass(ctl, command.data, seconds * 1000);
    text_free(&command);
    return result;
}

static enum ctl_exit run_raw(const struct ctl *ctl, const struct verb *verb, int argc, char **argv)
{
    return argc > 0 ? verbatim(ctl, argc, argv + 1, 0) : usage_error(verb);
}

/* "pause b" is short for "pause backend b", which is a command itself; and so on. */
static enum ctl_exit run_short(const struct ctl *ctl, const struct verb *verb, int argc,
                               char **argv)
{
    bool is_short = argc == wanted(verb) && strcmp(argv[1], "backend") != 0;
    return is_short ? run_command(ctl, verb, argc, argv)
                    : verbatim(ctl, argc + 1, argv, verb->seconds);
}

/* The whole router leaves: nobody should find that out by having typed too little. */
static bool is_sure(const struct ctl *ctl)
{
    if (ctl->yes || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return true;
    }
    fputs("The whole router stops accepting and ends after its last session. Drain it? [y/N] ",
          stderr);
    int c = getchar();
    return c == 'y' || c == 'Y';
}

static enum ctl_exit run_drain(const struct ctl *ctl, const struct verb *verb, int argc,
                               char **argv)
{
    if (argc == 0) {
        return is_sure(ctl) ? verbatim(ctl, 1, argv, 0) : EXIT_REFUSED;
    } else if (argc > 1) {
        return usage_error(verb);
    }
    struct verb one = {.usage = "drain BACKEND/SERVER", .command = verb->command};
    return run_command(ctl, &one, argc, argv);
}

static enum ctl_exit run_drill(const struct ctl *ctl, const struct verb *verb, int argc,
                               char **argv)
{
    long seconds = argc > 1 ? strtol(argv[2], NULL, 10) : 0;
    seconds = seconds > 0 && seconds < 86400 ? seconds : 0;
    return argc > 1 ? verbatim(ctl, argc + 1, argv, (int)seconds + 30) : usage_error(verb);
}

const struct verb verbs[] = {
    {"status [BACKEND]", "one screen: frontends, backends, servers, and why", run_view, NULL, 0},
    {"servers [BACKEND[/SERVER]]", "a table of servers", run_view, NULL, 0},
    {"frontends [FRONTEND]", "a table of frontends", run_view, NULL, 0},
    {"top [BACKEND]", "the same, live", run_top, NULL, 0},
    {"events [BACKEND]", "what happened; -f waits for more, -n N shows the last N", run_events,
     NULL, 0},
    {"changes [BACKEND]", "changes of primaries, and what they cost", run_view, NULL, 0},
    {"sessions [ID]", "a table of sessions", run_table, "show sess", 0},
    {"waiting [BACKEND]", "how many clients wait, and for what", run_table, "show waiting", 0},
    {"pool [BACKEND]", "connections to servers: who shares them, who has one alone, and why",
     run_pool, "show pool json", 0},
    {"slow [COUNT]", "the slowest commands of pooled clients", run_table, "show slow", 0},
    {"info", "the process", run_table, "show info", 0},
    {"ready BACKEND/SERVER", "it takes part again", run_command, "set server * state ready", 0},
    {"drain [BACKEND/SERVER]", "it gets no new sessions; alone: the whole router leaves", run_drain,
     "set server * state drain", 0},
    {"maint BACKEND/SERVER", "out of service at once; a primary gives way first", run_command,
     "set server * state maint", 0},
    {"weight BACKEND/SERVER WEIGHT", "its share of sessions: 0 to 256, or 50%", run_command,
     "set weight * *", 0},
    {"pause BACKEND", "clients wait until resume", run_short, "pause backend *", 0},
    {"resume BACKEND", "they go on", run_short, "resume backend *", 0},
    {"elect BACKEND/SERVER", "make a server that claims to be the primary the one", run_command,
     "elect *", 0},
    {"drill BACKEND SECONDS [force]", "rehearse the loss of its primary", run_drill, NULL, 0},
    {"shutdown BACKEND/SERVER", "end the sessions on it", run_short, "shutdown sessions server *",
     0},
    {"reload", "read the configuration again", run_command, "reload", 60},
    {"raw WORDS", "anything of the runtime language", run_raw, NULL, 0},
};
const size_t verb_count = ARRAY_LEN(verbs);

static const struct verb *find(const char *word)
{
    for (size_t i = 0; i < verb_count; i++) {
        size_t len = strcspn(verbs[i].usage, " ");
        if (strlen(word) == len && strncmp(verbs[i].usage, word, len) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

enum ctl_exit verbs_run(const struct ctl *ctl, int count, char **words)
{
    const struct verb *verb = find(words[0]);
    bool events = verb != NULL && verb->run == run_events;
    if ((ctl->follow || ctl->lines > 0) && !events) {
        fputs("routerctl: -f and -n belong to events\n", stderr);
        return EXIT_USAGE;
    }
    return verb != NULL ? verb->run(ctl, verb, count - 1, words) : verbatim(ctl, count, words, 0);
}
