/* What one run of routerctl was asked, and how it ends. */
#ifndef ROUTER_ROUTERCTL_CTL_H
#define ROUTER_ROUTERCTL_CTL_H

#include <stdbool.h>

#include "base/text.h"
#include "routerctl/json.h"

/* The program's status; also what its verbs return. */
enum ctl_exit {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,   /* the router said no */
    EXIT_USAGE = 2,     /* what was typed makes no sense */
    EXIT_NO_ANSWER = 3, /* nobody there, or what came is no whole answer */
};

struct ctl {
    const char *socket; /* NULL: where it usually is */
    int timeout_ms;     /* 0: what the verb says */
    unsigned lines;     /* events: how many; 0 = all */
    bool json;
    bool follow;
    bool yes;
    bool colours;
    bool terminal; /* standard output is one */
};

/* A question whose answer is JSON, of this kind: the whole of it, parsed. *text owns the words of
 * *j; both are to be freed whatever is returned. */
enum ctl_exit ctl_ask_json(const struct ctl *ctl, const char *command, enum json_kind kind,
                           struct json *j, struct text *text);
/* A question whose answer is needed whole. Refusals are printed. */
enum ctl_exit ctl_ask(const struct ctl *ctl, const char *command, int timeout_ms,
                      struct text *answer);
/* A question whose answer is printed as it comes. */
enum ctl_exit ctl_pass(const struct ctl *ctl, const char *command, int timeout_ms);
/* To standard output; EXIT_NO_ANSWER when that fails. What was made here, with its colours ... */
enum ctl_exit ctl_print(const struct text *out);
/* ... and what holds the router's words, and goes to a terminal cleaned. */
enum ctl_exit ctl_print_words(const struct ctl *ctl, const struct text *words);

#endif
